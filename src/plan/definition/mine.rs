// SPDX-License-Identifier: LGPL-2.1-or-later
//! Marks on devices that we added: an alias of the user's, which libvirt keeps and gives to no device of its own.

use super::element::Element;
use crate::host::domain::xml::child;
use roxmltree::Node;

/// What our aliases begin with. libvirt takes those that begin with `ua-` (formatdomain, "devices").
const PREFIX: &str = "ua-vfio-";

/// The alias of a device: libvirt takes letters, digits, `_` and `-`.
pub(super) fn alias(of: &str) -> String {
    let right = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    format!("{PREFIX}{}", of.chars().map(right).collect::<String>())
}

/// The element with a device's alias.
pub(super) fn mark(of: &str) -> Element {
    Element::new("alias").with("name", alias(of))
}

/// The alias of a device, if it is one of ours: what comes after `ua-vfio-`.
pub(super) fn marked<'a>(device: Node<'a, '_>) -> Option<&'a str> {
    child(device, "alias")?.attribute("name")?.strip_prefix(PREFIX)
}

/// Whether a device is one that we added for this; each has a number behind it.
pub(super) fn is_of(device: Node<'_, '_>, of: &str) -> bool {
    let alias = alias(of);
    let number = marked(device).and_then(|rest| rest.strip_prefix(alias.strip_prefix(PREFIX)?)?.strip_prefix('-'));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

/// Names for devices of a kind that no device here has.
pub(super) fn free_names<'n>(devices: Node<'n, '_>, of: &'n str) -> impl Iterator<Item = String> + 'n {
    let taken: Vec<&str> = devices.children().filter_map(marked).collect();
    let names = (0..).map(move |number| format!("{of}-{number}"));
    names.filter(move |name| {
        let alias = alias(name);
        !taken.iter().any(|taken| alias.strip_prefix(PREFIX) == Some(taken))
    })
}
