// SPDX-License-Identifier: LGPL-2.1-or-later
//! What the second GPU of a laptop needs beside its functions (docs/MUXLESS.md; formatdomain, "Operating system booting").

use super::element::Element;
use super::{change, Look, Said};
use crate::finding::codes;
use crate::host::domain::xml::{child, is, text};
use crate::host::libvirt::Version;

/// Since when libvirt has tables that are not licences.
const RAW: Version = Version(11, 2, 0);

/// `acpi-table` of `[gpu]`.
pub(super) fn acpi_table(look: &Look<'_, '_>) -> Said {
    let asked: Vec<&String> = look.request.cards.iter().filter_map(|card| card.acpi_table.as_ref()).collect();
    let Some(path) = asked.first() else { return Ok(None) };
    if asked.iter().any(|other| other != path) {
        let text = "several cards have 'acpi-table', and libvirt takes one such table for a guest";
        return Err(look.refuse(codes::DEFINITION_UNCLEAR, text).hint("keep one of them"));
    }
    // Whoever gives it by arguments for QEMU has a libvirt that knows no other way.
    let by_arguments =
        |node: &roxmltree::Node<'_, '_>| node.attribute("value").is_some_and(|v| v.contains(path.as_str()));
    if look.arguments().iter().any(by_arguments) {
        return Ok(None);
    }
    let mut draft = look.draft();
    let table = Element::new("table").with("type", "raw").text(path);
    let Some(os) = look.part("os") else { return Ok(None) };
    let acpi = child(os, "acpi");
    let raw = acpi.iter().flat_map(|acpi| acpi.children());
    let raw = raw.filter(|n| is(*n, "table")).find(|n| n.attribute("type") == Some("raw"));
    match (raw, acpi) {
        (Some(there), _) if text(there).trim() == path.as_str() => {}
        (Some(there), _) => draft.replace(there, &table),
        (None, Some(acpi)) => draft.insert(acpi, table),
        (None, None) => draft.insert(os, Element::new("acpi").child(table)),
    }
    Ok(change("acpi-table", "the guest's driver asks for the card's option ROM by ACPI", RAW, draft))
}
