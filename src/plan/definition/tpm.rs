// SPDX-License-Identifier: LGPL-2.1-or-later
//! The emulated TPM (formatdomain, "TPM device").

use super::element::Element;
use super::{change, Look, Said};
use crate::finding::codes;
use crate::host::libvirt::Version;

/// Since when libvirt has an emulated TPM 2.0.
const EMULATED: Version = Version(4, 5, 0);

/// `tpm`.
pub(super) fn tpm(look: &Look<'_, '_>) -> Said {
    let there = look.devices("tpm");
    let mut draft = look.draft();
    match (look.request.guest.definition.tpm, there.is_empty()) {
        (Some(false), false) => {
            there.into_iter().for_each(|tpm| draft.remove(tpm));
            Ok(change("tpm", "no TPM; what the guest sealed with it needs its recovery key", EMULATED, draft))
        }
        (Some(true), true) => {
            if look.request.facts.capabilities.is_some_and(|c| !c.emulated_tpm) {
                let text = "'tpm = yes' needs swtpm, which libvirt does not find";
                return Err(look.refuse(codes::TPM_MISSING, text).hint("install swtpm and swtpm-tools"));
            }
            let backend = Element::new("backend").with("type", "emulator").with("version", "2.0");
            look.add(&mut draft, Element::new("tpm").with("model", "tpm-crb").child(backend));
            Ok(change("tpm", "an emulated TPM 2.0, which Windows 11 asks for", EMULATED, draft))
        }
        _ => Ok(None),
    }
}
