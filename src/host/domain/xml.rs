// SPDX-License-Identifier: LGPL-2.1-or-later
//! What the readers of a domain's XML share: elements by name, numbers as libvirt reads them, texts of others in a message.

use crate::host::cpu_list::parse_list;
use crate::text::short;
use roxmltree::Node;
use std::borrow::Cow;

/// The longest part of a foreign text in a message, in bytes.
const LONGEST: usize = 200;

/// The namespace of QEMU's own arguments (libvirt's "QEMU command-line passthrough").
pub(crate) const QEMU: &str = "http://libvirt.org/schemas/domain/qemu/1.0";

/// Whether this is an element of libvirt's own with this name.
pub(crate) fn is(node: Node<'_, '_>, name: &str) -> bool {
    node.is_element() && node.tag_name().namespace().is_none() && node.tag_name().name() == name
}

pub(crate) fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    node.children().find(|n| is(*n, name))
}

pub(crate) fn text(node: Node<'_, '_>) -> String {
    node.text().unwrap_or_default().trim().to_owned()
}

/// A value that is there and not empty.
pub(crate) fn attribute(node: Node<'_, '_>, name: &str) -> Option<String> {
    node.attribute(name).filter(|value| !value.is_empty()).map(str::to_owned)
}

/// A foreign text for a message: short, and nothing in it moves a cursor.
pub(crate) fn clip(text: &str) -> Cow<'_, str> {
    short(text, LONGEST)
}

/// A number with a unit, in bytes (`virScaleInteger`: `KB` is 1000, `K` and `KiB` are 1024, in any case of letters).
pub(crate) fn size(number: &str, unit: &str) -> Option<u64> {
    let number: u64 = number.parse().ok()?;
    let unit = unit.to_ascii_lowercase();
    let scale = match unit.as_str() {
        "b" | "byte" | "bytes" => 1,
        _ => {
            let (power, rest) = (unit.chars().next()?, unit.get(1..)?);
            let base: u64 = match rest {
                "" | "ib" => 1024,
                "b" => 1000,
                _ => return None,
            };
            base.checked_pow(match power {
                'k' => 1,
                'm' => 2,
                'g' => 3,
                't' => 4,
                'p' => 5,
                'e' => 6,
                _ => return None,
            })?
        }
    };
    number.checked_mul(scale)
}

/// A number as `strtoul` reads it with base 0, but without a sign.
pub(crate) fn number(text: &str) -> Option<u32> {
    let (digits, base) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&text[2..], 16),
        [b'0', _, ..] => (&text[1..], 8),
        _ => (text, 10),
    };
    // `from_str_radix` would take a sign.
    digits.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, base).ok())?
}

/// The CPUs or nodes in a list as libvirt writes it: `0-3,^2,8` (`virBitmapParse`). Sorted, each once, and not none.
pub(super) fn number_set(text: &str) -> Option<Vec<u32>> {
    let (left_out, named): (Vec<&str>, Vec<&str>) =
        text.split(',').map(str::trim).partition(|part| part.starts_with('^'));
    let mut set = parse_list(&named.join(","))?;
    let left_out: Vec<&str> = left_out.iter().map(|part| &part[1..]).collect();
    let left_out = parse_list(&left_out.join(","))?;
    set.retain(|number| left_out.binary_search(number).is_err());
    Some(set).filter(|set| !set.is_empty())
}
