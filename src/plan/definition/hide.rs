// SPDX-License-Identifier: LGPL-2.1-or-later
//! What the guest sees of being a virtual machine (formatdomain, "Hypervisor features").

use super::draft::Draft;
use super::element::Element;
use super::{change, Look, Said, ALWAYS, CARDS};
use crate::config::Hide;
use crate::host::domain::xml::child;
use roxmltree::Node;

/// The vendor's name where the user gives none and the domain has none.
const VENDOR: &str = "randomid";

fn is_on(node: Option<Node<'_, '_>>) -> bool {
    node.and_then(|node| node.attribute("state")) == Some("on")
}

/// Puts elements into parts of `<features>`, and makes what of these is missing.
fn put(look: &Look<'_, '_>, draft: &mut Draft<'_>, parts: Vec<(Element, Element)>) {
    let features = look.part("features");
    let mut missing = Vec::new();
    for (part, element) in parts {
        match features.and_then(|features| child(features, part.name())) {
            Some(there) => match child(there, element.name()) {
                Some(old) => draft.replace(old, &element),
                None => draft.insert(there, element),
            },
            None => missing.push(part.child(element)),
        }
    }
    match features {
        Some(features) => missing.into_iter().for_each(|part| draft.insert(features, part)),
        None if missing.is_empty() => {}
        None => draft.insert(look.domain, Element::new("features").children(missing)),
    }
}

/// `hide`.
pub(super) fn hidden(look: &Look<'_, '_>) -> Said {
    let features = look.part("features");
    let part = |name: &str| features.and_then(|features| child(features, name));
    let kvm = part("kvm").and_then(|kvm| child(kvm, "hidden"));
    let vendor = part("hyperv").and_then(|hyperv| child(hyperv, "vendor_id"));
    let there = vendor.filter(|vendor| is_on(Some(*vendor))).and_then(|vendor| vendor.attribute("value"));
    let mut draft = look.draft();
    let name = match &look.request.guest.definition.hide {
        None => return Ok(None),
        Some(Hide::No) => {
            kvm.into_iter().for_each(|kvm| draft.remove(kvm));
            vendor.into_iter().for_each(|vendor| draft.remove(vendor));
            return Ok(change("hide", "the guest sees KVM as it is", ALWAYS, draft));
        }
        Some(Hide::Yes) => there.unwrap_or(VENDOR),
        Some(Hide::Vendor(name)) => name,
    };
    let mut parts = Vec::new();
    if !is_on(kvm) {
        parts.push((Element::new("kvm"), Element::new("hidden").with("state", "on")));
    }
    // libvirt reads nothing in <hyperv mode='passthrough'>: the guest sees what the host's KVM offers.
    let is_whole = part("hyperv").is_some_and(|hyperv| !matches!(hyperv.attribute("mode"), None | Some("custom")));
    if there != Some(name) && !is_whole {
        let element = Element::new("vendor_id").with("state", "on").with("value", name);
        parts.push((Element::new("hyperv").with("mode", "custom"), element));
    }
    put(look, &mut draft, parts);
    let why = "drivers that refuse a virtual machine do not see KVM, and see another vendor's Hyper-V";
    Ok(change("hide", why, ALWAYS, draft))
}

/// `stimer` without `synic` is refused by libvirt 12.8, which in turn needs `vpindex` (QEMU, docs/system/i386/hyperv.rst).
pub(super) fn hyperv(look: &Look<'_, '_>) -> Said {
    let features = look.part("features");
    let Some(hyperv) = features.and_then(|features| child(features, "hyperv")) else { return Ok(None) };
    if !is_on(child(hyperv, "stimer")) {
        return Ok(None);
    }
    let mut draft = look.draft();
    for name in ["vpindex", "synic"] {
        match child(hyperv, name) {
            Some(there) => draft.set(there, "state", "on"),
            None => draft.insert(hyperv, Element::new(name).with("state", "on")),
        }
    }
    Ok(change(CARDS, "libvirt takes stimer only with synic, and synic with vpindex", ALWAYS, draft))
}
