// SPDX-License-Identifier: LGPL-2.1-or-later
//! Programs of the firmware (PE files): their sections, and what they say of themselves.
//!
//! Read from the disk piece by piece: a unified kernel image is a hundred megabytes, and three small sections of it matter.

use crate::root::Root;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// No sane program has more; `systemd-stub` refuses at 96.
const SECTIONS: usize = 96;
/// No section that we read is larger, in bytes.
const SECTION_LIMIT: u64 = 1 << 18;

/// Bytes that can be read at any offset.
pub trait Bytes {
    /// Fills `buffer` from an offset on; `None` if there are not as many bytes.
    fn read(&self, offset: u64, buffer: &mut [u8]) -> Option<()>;
}

impl Bytes for File {
    fn read(&self, offset: u64, buffer: &mut [u8]) -> Option<()> {
        self.read_exact_at(buffer, offset).ok()
    }
}

impl Bytes for &[u8] {
    fn read(&self, offset: u64, buffer: &mut [u8]) -> Option<()> {
        let begin = usize::try_from(offset).ok()?;
        buffer.copy_from_slice(self.get(begin..begin.checked_add(buffer.len())?)?);
        Some(())
    }
}

/// A program of the firmware.
#[derive(Debug)]
pub struct Program<B> {
    bytes: B,
    /// For which processor: `IMAGE_FILE_MACHINE_*`.
    pub machine: u16,
    sections: Vec<Section>,
}

#[derive(Debug)]
struct Section {
    name: [u8; 8],
    offset: u64,
    length: u64,
}

impl Program<File> {
    /// Opens one; `None` if it is not there or is none.
    pub fn open(root: &Root, path: &str) -> Option<Program<File>> {
        Program::parse(root.open_regular(path).ok()?)
    }
}

impl<B: Bytes> Program<B> {
    /// Reads the table of sections.
    pub fn parse(bytes: B) -> Option<Program<B>> {
        let mut dos = [0; 64];
        bytes.read(0, &mut dos)?;
        if !dos.starts_with(b"MZ") {
            return None;
        }
        let at = u64::from(u32::from_le_bytes([dos[60], dos[61], dos[62], dos[63]]));
        let mut header = [0; 24];
        bytes.read(at, &mut header)?;
        let field = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
        if !header.starts_with(b"PE\0\0") || usize::from(field(6)) > SECTIONS {
            return None;
        }
        let table = at + 24 + u64::from(field(20));
        let mut sections = Vec::new();
        for number in 0..u64::from(field(6)) {
            let mut entry = [0; 40];
            bytes.read(table + 40 * number, &mut entry)?;
            let field = |at: usize| u32::from_le_bytes([entry[at], entry[at + 1], entry[at + 2], entry[at + 3]]);
            let mut name = [0; 8];
            name.copy_from_slice(&entry[..8]);
            // On disk a section is filled up; some tools leave its real size out.
            let length = if field(8) == 0 { field(16) } else { field(8).min(field(16)) };
            sections.push(Section { name, offset: u64::from(field(20)), length: u64::from(length) });
        }
        Some(Program { machine: field(4), bytes, sections })
    }

    fn find(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| {
            let end = section.name.iter().position(|b| *b == 0).unwrap_or(section.name.len());
            &section.name[..end] == name.as_bytes()
        })
    }

    /// Whether there is a section of this name.
    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Where a section is in the file, and how long; `None` if it is not there.
    pub fn place(&self, name: &str) -> Option<(u64, u64)> {
        self.find(name).map(|section| (section.offset, section.length))
    }

    /// The bytes of a section; `None` if it is not there, is cut off, or is larger than 256 KiB.
    pub fn section(&self, name: &str) -> Option<Vec<u8>> {
        let section = self.find(name)?;
        if section.length > SECTION_LIMIT {
            return None;
        }
        let mut bytes = vec![0; usize::try_from(section.length).ok()?];
        self.bytes.read(section.offset, &mut bytes)?;
        Some(bytes)
    }

    /// What systemd's programs say of themselves: name and version, `systemd-stub` and `257.9-1`.
    pub fn marker(&self) -> Option<(String, String)> {
        // A section of its own since 250; data of the program before.
        let bytes = [".sdmagic", ".rodata", ".data"].iter().find_map(|name| {
            let bytes = self.section(name)?;
            let begin = position(&bytes, MARKER)? + MARKER.len();
            Some(bytes[begin..].iter().take(128).copied().collect::<Vec<u8>>())
        })?;
        let text = String::from_utf8_lossy(&bytes);
        let (name, version) = text.split_once(" ####")?.0.split_once(' ')?;
        Some((name.to_owned(), version.to_owned()))
    }

    /// The command line in it, ended by a line end as a text file is: of a unified kernel image, or of an addon.
    pub fn command_line(&self) -> Option<Result<String, &'static str>> {
        if !self.has(".cmdline") {
            return None;
        }
        let Some(bytes) = self.section(".cmdline") else {
            return Some(Err("is cut off, or its command line is too long"));
        };
        // The stub stops at the first zero.
        let bytes = bytes.split(|b| *b == 0).next().unwrap_or_default();
        Some(match std::str::from_utf8(bytes) {
            Ok(text) => Ok(format!("{}\n", text.trim_end())),
            Err(_) => Err("has a command line that is not text in UTF-8"),
        })
    }
}

const MARKER: &[u8] = b"#### LoaderInfo: ";

fn position(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
