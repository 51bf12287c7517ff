// SPDX-License-Identifier: LGPL-2.1-or-later
//! What the firmware's variables say of this boot (systemd's Boot Loader Interface; GRUB's module `bli` and others keep to it).

use crate::root::Root;

/// Where the kernel shows variables: four bytes of attributes, then the value (`Documentation/filesystems/efivarfs.rst`).
const VARIABLES: &str = "sys/firmware/efi/efivars";
/// The vendor of a loader's variables.
const LOADER: &str = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
/// The vendor of the firmware's own.
const GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
/// The bytes of attributes.
const ATTRIBUTES: usize = 4;

/// The variables that tell how the machine booted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Variables {
    /// The loader: its name and version.
    pub loader: Option<String>,
    /// The stub of the unified kernel image that was booted: its name and version.
    pub stub: Option<String>,
    /// The entry that was chosen.
    pub entry: Option<String>,
    /// The entries that the loader saw.
    pub entries: Vec<String>,
    /// Whether the firmware checks signatures.
    pub secure_boot: bool,
}

impl Variables {
    /// Reads them. A machine without UEFI has none.
    pub fn read(root: &Root) -> Variables {
        let first = |name: &str| texts(&value(root, name, LOADER)?).into_iter().next();
        Variables {
            loader: first("LoaderInfo"),
            stub: first("StubInfo"),
            entry: first("LoaderEntrySelected"),
            entries: value(root, "LoaderEntries", LOADER).map(|bytes| texts(&bytes)).unwrap_or_default(),
            secure_boot: value(root, "SecureBoot", GLOBAL).is_some_and(|bytes| flag(&bytes)),
        }
    }
}

fn value(root: &Root, name: &str, vendor: &str) -> Option<Vec<u8>> {
    root.read(&format!("{VARIABLES}/{name}-{vendor}")).ok()
}

/// The partition that the loader came from: its UUID, in small letters.
pub(super) fn partition(root: &Root) -> Option<String> {
    let uuid = texts(&value(root, "LoaderDevicePartUUID", LOADER)?).into_iter().next()?.to_ascii_lowercase();
    // It becomes a part of a path.
    uuid.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-').then_some(uuid)
}

/// The texts in a variable: UTF-16LE, each ended by a zero. What is not a character is shown as U+FFFD.
pub fn texts(variable: &[u8]) -> Vec<String> {
    let value = variable.get(ATTRIBUTES..).unwrap_or_default();
    let units: Vec<u16> = value.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    let parts = units.split(|unit| *unit == 0).filter(|part| !part.is_empty());
    parts.map(String::from_utf16_lossy).collect()
}

/// Whether a variable of one byte is set.
pub fn flag(variable: &[u8]) -> bool {
    variable.get(ATTRIBUTES) == Some(&1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_read_as_they_are() {
        let text = |text: &str| -> Vec<u8> {
            let units = text.encode_utf16().flat_map(u16::to_le_bytes);
            [6, 0, 0, 0].into_iter().chain(units).collect()
        };
        assert_eq!(texts(&text("systemd-boot 257.9-1\0")), ["systemd-boot 257.9-1"]);
        assert_eq!(texts(&text("a.conf\0b.efi\0\0")), ["a.conf", "b.efi"]);
        assert_eq!(texts(&text("no end")), ["no end"]);
        assert_eq!(texts(&text("")), [""; 0]);
        assert_eq!(texts(&[6, 0]), [""; 0]);
        // Half a character, and half of a pair.
        assert_eq!(texts(&[6, 0, 0, 0, b'a', 0, b'b']), ["a"]);
        assert_eq!(texts(&[6, 0, 0, 0, 0x00, 0xd8]), ["\u{fffd}"]);
        assert!(flag(&[6, 0, 0, 0, 1]));
        assert!(!flag(&[6, 0, 0, 0, 0]) && !flag(&[6, 0, 0, 0]) && !flag(&[1]));
    }
}
