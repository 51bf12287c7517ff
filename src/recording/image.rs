// SPDX-License-Identifier: LGPL-2.1-or-later
//! Images of the initramfs and programs of the firmware, which are too large to record: small ones in which our readers find
//! the same.

use crate::host::boot::pe::Program;
use crate::host::initramfs::image::{Packing, Seen};
use crate::root::Root;

/// The sections of a program that our readers ask for.
const SECTIONS: [&str; 6] = [".osrel", ".cmdline", ".uname", ".sdmagic", ".linux", ".initrd"];
/// Where the first section is: behind the headers.
const HEADERS: usize = 0x400;

/// A program of the firmware, as far as we look into it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sections {
    /// For which processor.
    machine: u16,
    /// Names and contents.
    pub all: Vec<(&'static str, Vec<u8>)>,
}

/// Whether the first bytes of a file are those of an image: an archive, or packed.
pub(super) fn is_image(path: &str, start: &[u8]) -> bool {
    let of_kernel = ["sys/", "proc/", "lib/modules/", "usr/"].iter().any(|place| path.starts_with(place));
    !of_kernel && (start.starts_with(b"070701") || start.starts_with(b"070702") || Packing::of(start).is_some())
}

/// An archive with what was seen in an image.
pub fn image(seen: &Seen) -> Vec<u8> {
    let mut archive = Vec::new();
    let mut add = |name: &str, mode: u32, content: &[u8]| push_entry(&mut archive, name, mode, content);
    for (there, name) in [
        (seen.program, "usr/lib/vfio/vfio-bind"),
        (seen.run, "scripts/init-top/00-vfio"),
        (seen.rule, "usr/lib/udev/rules.d/70-vfio.rules"),
        (seen.vfio_pci, "lib/modules/vfio-pci.ko"),
    ] {
        if there {
            add(name, 0o10_0644, b"");
        }
    }
    for (name, text) in &seen.files {
        match text {
            Some(text) => add(name, 0o10_0644, text),
            None => add(name, 0o12_0777, b"/dev/null"),
        }
    }
    add("TRAILER!!!", 0, b"");
    archive
}

/// An entry in the form "newc": thirteen numbers of eight digits, the name, the content, each filled up to four bytes.
fn push_entry(archive: &mut Vec<u8>, name: &str, mode: u32, content: &[u8]) {
    let number = archive.len();
    let fields = [number, mode as usize, 0, 0, 1, 0, content.len(), 0, 0, 0, 0, name.len() + 1, 0];
    archive.extend_from_slice(b"070701");
    fields.iter().for_each(|field| archive.extend_from_slice(format!("{field:08x}").as_bytes()));
    let fill = |archive: &mut Vec<u8>| archive.resize(archive.len().next_multiple_of(4), 0);
    archive.extend_from_slice(name.as_bytes());
    archive.push(0);
    fill(archive);
    archive.extend_from_slice(content);
    fill(archive);
}

impl Sections {
    /// Of a program; `None` if it is none. That there is a kernel or an initramfs in it is all that is kept of these.
    pub(super) fn of(root: &Root, path: &str) -> Option<Sections> {
        let program = Program::open(root, path)?;
        let mut all = Vec::new();
        for name in SECTIONS.into_iter().filter(|name| program.has(name)) {
            let content = if matches!(name, ".linux" | ".initrd") { None } else { program.section(name) };
            all.push((name, content.unwrap_or_default()));
        }
        if let Some((name, version)) = program.marker() {
            all.retain(|(name, _)| *name != ".sdmagic");
            all.push((".sdmagic", format!("#### LoaderInfo: {name} {version} ####").into_bytes()));
        }
        Some(Sections { machine: program.machine, all })
    }

    /// Whether there is an initramfs in it.
    pub fn has_initramfs(&self) -> bool {
        self.all.iter().any(|(name, _)| *name == ".initrd")
    }

    /// A program with these sections.
    pub fn program(&self) -> Vec<u8> {
        let mut program = vec![0; HEADERS];
        program[..2].copy_from_slice(b"MZ");
        let at: usize = 0x80;
        // The place is within the first kilobyte, and the number of sections is the table's above.
        program[60..64].copy_from_slice(&(at as u32).to_le_bytes());
        program[at..at + 4].copy_from_slice(b"PE\0\0");
        program[at + 4..at + 6].copy_from_slice(&self.machine.to_le_bytes());
        program[at + 6..at + 8].copy_from_slice(&(self.all.len() as u16).to_le_bytes());
        for (number, (name, content)) in self.all.iter().enumerate() {
            let (entry, offset) = (at + 24 + 40 * number, program.len() as u32);
            // A section without a length has no place.
            let length = (content.len() as u32).max(1);
            program[entry..entry + name.len()].copy_from_slice(name.as_bytes());
            program[entry + 8..entry + 12].copy_from_slice(&length.to_le_bytes());
            program[entry + 16..entry + 20].copy_from_slice(&length.to_le_bytes());
            program[entry + 20..entry + 24].copy_from_slice(&offset.to_le_bytes());
            program.extend_from_slice(content);
            program.resize(program.len() + usize::from(content.is_empty()), 0);
        }
        program
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::host::initramfs::error::UnpackError;
    use crate::host::initramfs::image::{read_image, Unpack};
    use std::fs::File;
    use std::io::Read;

    #[derive(Debug)]
    struct Nobody;

    impl Unpack for Nobody {
        fn unpack(&self, _: Packing, _: File) -> Result<Box<dyn Read>, UnpackError> {
            Err(UnpackError::TestTree { command: String::new() })
        }
    }

    #[test]
    fn the_same_is_found_in_a_small_image() {
        let tree = tempfile::tempdir().unwrap();
        let root = Root::open(tree.path()).unwrap();
        for n in 0..16 {
            let files = vec![
                ("etc/vfio.conf".to_owned(), Some(b"[host]\n".to_vec())),
                ("etc/vfio.conf.d/1.conf".to_owned(), None),
            ];
            let seen = Seen {
                program: n & 1 > 0,
                run: n & 2 > 0,
                rule: n & 4 > 0,
                vfio_pci: n & 8 > 0,
                files: if n > 7 { files } else { Vec::new() },
            };
            std::fs::write(tree.path().join("image"), image(&seen)).unwrap();
            assert!(is_image("boot/image", &image(&seen)));
            assert_eq!(read_image(&root, &["image".to_owned()], &Nobody).unwrap(), seen);
            // The same in a unified kernel image.
            let all = vec![(".linux", Vec::new()), (".uname", b"6.12".to_vec()), (".initrd", image(&seen))];
            let sections = Sections { machine: 0x8664, all };
            std::fs::write(tree.path().join("linux.efi"), sections.program()).unwrap();
            assert_eq!(read_image(&root, &["linux.efi".to_owned()], &Nobody).unwrap(), seen);
            let read = Sections::of(&root, "linux.efi").unwrap();
            assert_eq!((read.machine, read.all[0].1.as_slice()), (0x8664, &b"6.12"[..]));
            assert!(read.has_initramfs() && read.all.len() == 3);
        }
    }
}
