// SPDX-License-Identifier: LGPL-2.1-or-later
//! Images of disks and of CD-ROMs, by what they begin with. Nothing else of them is read.

use crate::root::Root;
use rustix::fs::{FileType, OFlags};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// How an image of a disk is written, as QEMU and libvirt call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The disk's bytes, and nothing else.
    Raw,
    /// QEMU's own.
    Qcow2,
    /// VMware's.
    Vmdk,
    /// VirtualBox'.
    Vdi,
    /// Hyper-V's.
    Vhdx,
}

/// What an image begins with: at which place, and what (`block/qcow2.c`, `vmdk.c`, `vdi.c`, `vhdx.h` of QEMU).
const SIGNS: [(u64, &[u8], Format); 4] = [
    (0, b"QFI\xfb", Format::Qcow2),
    (0, b"KDMV", Format::Vmdk),
    (0x40, &[0x7f, 0x10, 0xda, 0xbe], Format::Vdi),
    (0, b"vhdxfile", Format::Vhdx),
];

/// The first volume descriptor of a CD-ROM is in its sector 16, and has a byte before its name (ECMA-119, 8.1).
const VOLUME: (u64, &[u8]) = (16 * 2048 + 1, b"CD001");

impl Format {
    /// libvirt's name.
    pub fn name(self) -> &'static str {
        match self {
            Format::Raw => "raw",
            Format::Qcow2 => "qcow2",
            Format::Vmdk => "vmdk",
            Format::Vdi => "vdi",
            Format::Vhdx => "vhdx",
        }
    }
}

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Image {
    /// Whether it is a block device.
    pub block: bool,
    /// How it is written.
    pub format: Format,
    /// Whether it is an image of a CD-ROM.
    pub is_cdrom: bool,
}

fn has(file: &File, at: u64, sign: &[u8]) -> bool {
    let mut there = [0; 8];
    let there = &mut there[..sign.len().min(8)];
    file.read_exact_at(there, at).is_ok() && there == sign
}

/// Looks at an image; what is neither a file nor a block device is `InvalidInput`.
pub fn look(root: &Root, path: &str) -> io::Result<Image> {
    let path = path.trim_start_matches('/');
    let kind = FileType::from_raw_mode(root.stat(path)?.st_mode);
    if !(kind.is_file() || kind.is_block_device()) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(root.open_at(path, flags, rustix::fs::Mode::empty())?);
    let sign = SIGNS.iter().find(|(at, sign, _)| has(&file, *at, sign));
    let format = sign.map_or(Format::Raw, |(_, _, format)| *format);
    Ok(Image { block: kind.is_block_device(), format, is_cdrom: has(&file, VOLUME.0, VOLUME.1) })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn images_are_known_by_what_they_begin_with() {
        let tree = tempfile::tempdir().unwrap();
        let root = Root::open(tree.path()).unwrap();
        let at = |place: usize, sign: &[u8]| [vec![0; place].as_slice(), sign, &[0; 16]].concat();
        for (name, bytes, format, is_cdrom) in [
            ("qcow2", at(0, b"QFI\xfb\0\0\0\x03"), Format::Qcow2, false),
            ("vmdk", at(0, b"KDMV"), Format::Vmdk, false),
            ("vdi", at(0x40, &[0x7f, 0x10, 0xda, 0xbe]), Format::Vdi, false),
            ("vhdx", at(0, b"vhdxfile"), Format::Vhdx, false),
            ("iso", at(32769, b"CD001"), Format::Raw, true),
            ("page", b"<html>CD001</html>".to_vec(), Format::Raw, false),
            ("empty", Vec::new(), Format::Raw, false),
        ] {
            std::fs::write(tree.path().join(name), bytes).unwrap();
            let expected = Image { block: false, format, is_cdrom };
            assert_eq!(look(&root, &format!("/{name}")).unwrap(), expected, "{name}");
        }
        assert_eq!(look(&root, "/none").unwrap_err().kind(), io::ErrorKind::NotFound);
        std::fs::create_dir(tree.path().join("directory")).unwrap();
        assert_eq!(look(&root, "/directory").unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
