// SPDX-License-Identifier: LGPL-2.1-or-later
//! Archives as the kernel unpacks them at boot: cpio, "newc" (`Documentation/driver-api/early-userspace/buffer-format.rst`).
//!
//! Bytes of anybody's making: every number in them is doubted, and nothing is kept that was not asked for.

use super::error::ImageError;
use std::io::{self, BufReader, Read};

/// No name is longer (`PATH_MAX`).
const NAME_LIMIT: u32 = 4096;
/// No more is unpacked of one image.
const SIZE_LIMIT: u64 = 4 << 30;
/// More entries than any image has.
const ENTRY_LIMIT: u32 = 1_000_000;

/// What an entry says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its path, without what roots it (`./`, `/`).
    pub name: String,
    /// Type and rights, as stat(2) has them.
    pub mode: u32,
    /// How many names the file has.
    pub links: u32,
    /// The size of its content.
    pub size: u32,
    /// What its names have in common: the archive it is in, device and inode.
    pub inode: (u32, u32, u32, u32),
}

impl Entry {
    /// Whether it is a regular file.
    pub fn is_file(&self) -> bool {
        self.mode & 0o17_0000 == 0o10_0000
    }

    /// Whether it is a symbolic link; its content is where it leads.
    pub fn is_link(&self) -> bool {
        self.mode & 0o17_0000 == 0o12_0000
    }
}

/// Who looks at the entries.
pub trait Visitor {
    /// Whether the content of this entry is wanted.
    fn wants(&mut self, entry: &Entry) -> bool;
    /// The content of an entry that was wanted.
    fn take(&mut self, entry: &Entry, content: &[u8]);
}

/// How a row of archives ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// With the last byte.
    Over,
    /// With something that is not an archive.
    Other {
        /// Where it begins.
        at: u64,
        /// Its first bytes; fewer only at the end.
        magic: Vec<u8>,
    },
}

/// Bytes, counted.
struct Source<R> {
    input: BufReader<R>,
    at: u64,
}

impl<R: Read> Source<R> {
    /// Fills as much of the buffer as there is.
    fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize, ImageError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.input.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.at += filled as u64;
        if self.at > SIZE_LIMIT {
            Err(ImageError::Damaged("it is larger than 4 GiB"))
        } else {
            Ok(filled)
        }
    }

    fn read_exactly(&mut self, buffer: &mut [u8]) -> Result<(), ImageError> {
        if self.read_some(buffer)? == buffer.len() {
            Ok(())
        } else {
            Err(ImageError::Damaged("it ends in the middle of a file"))
        }
    }

    fn skip(&mut self, mut bytes: u64) -> Result<(), ImageError> {
        let mut buffer = [0; 16384];
        while bytes > 0 {
            let part = usize::try_from(bytes).map_or(buffer.len(), |bytes| bytes.min(buffer.len()));
            self.read_exactly(&mut buffer[..part])?;
            bytes -= part as u64;
        }
        Ok(())
    }

    fn read_bytes(&mut self, size: u32) -> Result<Vec<u8>, ImageError> {
        let mut content = Vec::new();
        let read = self.input.by_ref().take(u64::from(size)).read_to_end(&mut content)?;
        self.at += read as u64;
        if read as u64 == u64::from(size) {
            Ok(content)
        } else {
            Err(ImageError::Damaged("it ends in the middle of a file"))
        }
    }

    /// The first bytes after zeros, which may stand between archives; none at the end.
    fn magic(&mut self) -> Result<Vec<u8>, ImageError> {
        let mut magic = [0; 6];
        while magic[0] == 0 {
            if self.read_some(&mut magic[..1])? == 0 {
                return Ok(Vec::new());
            }
        }
        let more = self.read_some(&mut magic[1..])?;
        Ok(magic[..=more].to_vec())
    }
}

/// What fills up to a multiple of four.
fn padding(size: u64) -> u64 {
    (4 - size % 4) % 4
}

/// The eight hexadecimal digits of a field.
fn field(header: &[u8; 104], number: usize) -> Result<u32, ImageError> {
    let digits = &header[number * 8..number * 8 + 8];
    let text = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()));
    text.and_then(|text| u32::from_str_radix(text, 16).ok())
        .ok_or(ImageError::Damaged("a header has no number where one belongs"))
}

/// Walks through archives, one after the other, until something else comes or nothing.
pub fn walk(input: impl Read, visitor: &mut dyn Visitor) -> Result<End, ImageError> {
    let mut source = Source { input: BufReader::with_capacity(1 << 16, input), at: 0 };
    let mut archive = 0;
    for _ in 0..ENTRY_LIMIT {
        let magic = source.magic()?;
        if magic.is_empty() {
            return Ok(End::Over);
        }
        if !matches!(magic.as_slice(), b"070701" | b"070702") {
            return Ok(End::Other { at: source.at - magic.len() as u64, magic });
        }
        let mut header = [0; 104];
        source.read_exactly(&mut header)?;
        let name_size = field(&header, 11)?;
        if name_size == 0 || name_size > NAME_LIMIT {
            return Err(ImageError::Damaged("a name has no likely length"));
        }
        let name = source.read_bytes(name_size)?;
        source.skip(padding(110 + u64::from(name_size)))?;
        let name = name.strip_suffix(b"\0").unwrap_or(&name);
        let size = field(&header, 6)?;
        if name == b"TRAILER!!!" {
            source.skip(u64::from(size) + padding(u64::from(size)))?;
            archive += 1;
            continue;
        }
        let name = String::from_utf8_lossy(name);
        let entry = Entry {
            name: name.trim_start_matches("./").trim_start_matches('/').to_owned(),
            mode: field(&header, 1)?,
            links: field(&header, 4)?,
            size,
            inode: (archive, field(&header, 7)?, field(&header, 8)?, field(&header, 0)?),
        };
        if visitor.wants(&entry) {
            let content = source.read_bytes(size)?;
            visitor.take(&entry, &content);
        } else {
            source.skip(u64::from(size))?;
        }
        source.skip(padding(u64::from(size)))?;
    }
    Err(ImageError::Damaged("it has more than a million entries"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Keeps all contents that are not large.
    #[derive(Default)]
    struct All(Vec<(Entry, Vec<u8>)>);

    impl Visitor for All {
        fn wants(&mut self, entry: &Entry) -> bool {
            entry.size < 1 << 16
        }
        fn take(&mut self, entry: &Entry, content: &[u8]) {
            self.0.push((entry.clone(), content.to_vec()));
        }
    }

    /// An entry as bytes, as `gen_init_cpio` writes it.
    fn entry(name: &str, mode: u32, content: &[u8]) -> Vec<u8> {
        let (size, name_size) = (content.len(), name.len() + 1);
        let numbers = [7, mode, 0, 0, 1, 0, size as u32, 8, 1, 0, 0, name_size as u32, 0];
        let mut bytes = b"070701".to_vec();
        numbers.iter().for_each(|n| bytes.extend(format!("{n:08X}").bytes()));
        bytes.extend(name.bytes());
        bytes.push(0);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend(content);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    type Read = (Result<End, ImageError>, Vec<(Entry, Vec<u8>)>);

    fn read(bytes: &[u8]) -> Read {
        let mut all = All::default();
        (walk(bytes, &mut all), all.0)
    }

    #[test]
    fn archives_follow_each_other_with_zeros_between() {
        let mut bytes = entry("kernel/x86/microcode/GenuineIntel.bin", 0o10_0644, b"abc");
        bytes.extend(entry("TRAILER!!!", 0, b""));
        bytes.resize(2048, 0);
        bytes.extend(entry("./etc/vfio.conf", 0o10_0644, b"[gpu a]"));
        bytes.extend(entry("/etc/link", 0o12_0777, b"/dev/null"));
        bytes.extend(entry("TRAILER!!!", 0, b""));
        let at = bytes.len() as u64;
        let (end, all) = read(&bytes);
        assert_eq!(end.unwrap(), End::Over);
        let names: Vec<_> = all.iter().map(|(e, _)| e.name.as_str()).collect();
        assert_eq!(names, ["kernel/x86/microcode/GenuineIntel.bin", "etc/vfio.conf", "etc/link"]);
        assert_eq!((all[1].1.as_slice(), all[2].1.as_slice()), (&b"[gpu a]"[..], &b"/dev/null"[..]));
        assert!(all[1].0.is_file() && all[2].0.is_link());
        assert_ne!(all[0].0.inode, all[1].0.inode, "the same number in another archive is another file");
        bytes.extend(b"\0\0\0\0\x28\xb5\x2f\xfd1234");
        let (end, _) = read(&bytes);
        assert_eq!(end.unwrap(), End::Other { at: at + 4, magic: b"\x28\xb5\x2f\xfd12".to_vec() });
    }

    #[test]
    fn what_is_cut_or_lies_is_an_error() {
        let whole = entry("etc/vfio.conf", 0o10_0644, b"[gpu a]");
        for cut in 6..whole.len() - 1 {
            assert!(read(&whole[..cut]).0.is_err(), "cut at {cut}");
        }
        assert_eq!(read(&whole[..3]).0.unwrap(), End::Other { at: 0, magic: b"070".to_vec() });
        let mut lies = whole.clone();
        lies[6 + 6 * 8..6 + 7 * 8].copy_from_slice(b"FFFFFFFF");
        assert!(read(&lies).0.is_err());
        lies[6 + 6 * 8..6 + 7 * 8].copy_from_slice(b"+0000001");
        assert!(read(&lies).0.is_err());
        let mut lies = whole;
        lies[6 + 11 * 8..6 + 12 * 8].copy_from_slice(b"00000000");
        assert!(read(&lies).0.is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = read(&bytes);
        }

        #[test]
        fn any_damage_is_survived(at in 0usize..300, with in any::<u8>()) {
            let mut bytes = [entry("a", 0o10_0644, b"content"), entry("TRAILER!!!", 0, b"")].concat();
            let at = at % bytes.len();
            bytes[at] = with;
            let _ = read(&bytes);
        }

        #[test]
        fn what_was_put_in_comes_out(files in prop::collection::vec(("[a-z]{1,9}(/[a-z]{1,9}){0,3}", prop::collection::vec(any::<u8>(), 0..99)), 0..9)) {
            let mut bytes: Vec<u8> = files.iter().flat_map(|(name, content)| entry(name, 0o10_0644, content)).collect();
            bytes.extend(entry("TRAILER!!!", 0, b""));
            let (end, all) = read(&bytes);
            prop_assert_eq!(end.unwrap(), End::Over);
            let found: Vec<_> = all.into_iter().map(|(e, content)| (e.name, content)).collect();
            prop_assert_eq!(found, files);
        }
    }
}
