// SPDX-License-Identifier: LGPL-2.1-or-later
//! The dictionaries that ostree keeps below `/run`: GVariant of the type `a{sv}` (GLib, "GVariant Serialisation"), in the
//! machine's byte order.
//!
//! A container ends with the offsets at which its parts end. How many bytes an offset has follows from the container's length.

/// A variant: its bytes and its type.
type Variant<'b> = (&'b [u8], &'b [u8]);

/// What begins with this alignment: a dictionary's entry, a variant.
const ALIGNED: usize = 8;

/// How many bytes an offset has in a container.
fn offset_size(container: &[u8]) -> usize {
    match container.len() {
        0..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xffff_ffff => 4,
        _ => 8,
    }
}

/// The offset at a place.
fn offset(container: &[u8], at: usize) -> Option<usize> {
    let bytes = container.get(at..at.checked_add(offset_size(container))?)?;
    let number = |all: u64, byte: &u8| all << 8 | u64::from(*byte);
    let ordered = bytes.iter();
    let value = if cfg!(target_endian = "big") { ordered.fold(0, number) } else { ordered.rev().fold(0, number) };
    usize::try_from(value).ok()
}

fn aligned(at: usize, to: usize) -> usize {
    at.next_multiple_of(to)
}

/// The parts of an array.
fn elements(array: &[u8], alignment: usize) -> Option<Vec<&[u8]>> {
    if array.is_empty() {
        return Some(Vec::new());
    }
    let size = offset_size(array);
    let table = offset(array, array.len().checked_sub(size)?)?;
    let offsets = array.get(table..)?;
    if offsets.is_empty() || offsets.len() % size != 0 {
        return None;
    }
    let (mut parts, mut begin) = (Vec::with_capacity(offsets.len() / size), 0);
    for number in 0..offsets.len() / size {
        let end = offset(array, table + number * size).filter(|end| *end <= table)?;
        parts.push(array.get(aligned(begin, alignment)..end)?);
        begin = end;
    }
    Some(parts)
}

/// A string, which ends with a zero.
fn string(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes.strip_suffix(b"\0")?).ok()
}

/// An entry of a dictionary: its key and its value.
fn entry(bytes: &[u8]) -> Option<(&str, Variant<'_>)> {
    let end = bytes.len().checked_sub(offset_size(bytes))?;
    let key = offset(bytes, end)?;
    let value = bytes.get(aligned(key, ALIGNED)..end)?;
    let type_at = value.iter().rposition(|byte| *byte == 0)?;
    Some((string(bytes.get(..key)?)?, (&value[..type_at], &value[type_at + 1..])))
}

/// The strings of a list in a dictionary; `None` if they are not there. Errors: it is not such a dictionary.
pub(super) fn strings(dictionary: &[u8], key: &str) -> Result<Option<Vec<String>>, NoDictionary> {
    let entries = elements(dictionary, ALIGNED).ok_or(NoDictionary)?;
    for part in entries {
        let (name, (bytes, kind)) = entry(part).ok_or(NoDictionary)?;
        if name == key {
            let parts =
                Some(bytes).filter(|_| kind == b"as").and_then(|bytes| elements(bytes, 1)).ok_or(NoDictionary)?;
            let list: Option<Vec<String>> = parts.into_iter().map(|part| string(part).map(str::to_owned)).collect();
            return list.ok_or(NoDictionary).map(Some);
        }
    }
    Ok(None)
}

/// Bytes that are no dictionary.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoDictionary;

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by GLib 2.74 (`g_variant_parse`, `g_variant_get_data`) from the texts beside them.
    const RECORDED: [&[u8]; 2] = [
        // {'kargs': <['a', 'bc']>}
        b"kargs\0\0\0a\0bc\0\x02\x05\0as\x06\x13",
        // {'locked': <true>, 'kargs': <@as []>}
        b"locked\0\0\x01\0b\x07\0\0\0\0kargs\0\0\0\0as\x06\x0c\x1c",
    ];

    #[cfg(target_endian = "little")]
    #[test]
    fn what_glib_wrote_is_read() {
        let list = |bytes: &[u8]| strings(bytes, "kargs").map(|list| list.map(|list| list.join(" ")));
        assert_eq!(list(RECORDED[0]), Ok(Some("a bc".to_owned())));
        assert_eq!(list(RECORDED[1]), Ok(Some(String::new())));
        assert_eq!(strings(RECORDED[1], "kar"), Ok(None));
        // Of another type.
        assert_eq!(strings(RECORDED[1], "locked"), Err(NoDictionary));
        assert_eq!(strings(b"", "kargs"), Ok(None));
        // A staged deployment as ostree writes it (ostree-sysroot-deploy.c, ostree_sysroot_stage_tree_with_options).
        let staged = include_bytes!("../../../tests/golden/ostree/staged-deployment");
        let words = ["root=UUID=56", "rw", "quiet", "rhgb", "intel_iommu=on", "a=\"b c\""].map(str::to_owned);
        assert_eq!(strings(staged, "kargs"), Ok(Some(words.to_vec())));
    }

    /// Whatever is cut off or changed, nothing is read past its end.
    #[test]
    fn broken_ones_are_refused() {
        for bytes in RECORDED {
            for end in 0..bytes.len() {
                let _ = strings(&bytes[..end], "kargs");
                for byte in [0, 1, 7, 0x13, 0x7f, 0xff] {
                    let mut changed = bytes.to_vec();
                    changed[end] = byte;
                    let _ = strings(&changed, "kargs");
                }
            }
        }
        for bytes in [&b"not one"[..], b"\0", b"\0\0\0\x03", b"kargs\0\0\0a\0as\x06\x0d"] {
            assert_eq!(strings(bytes, "kargs"), Err(NoDictionary), "{bytes:?}");
        }
    }
}
