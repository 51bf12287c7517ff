// SPDX-License-Identifier: LGPL-2.1-or-later
//! Keyboards and mice, the TPM, and sound that is being played.

use super::{functions_above, Usage, Use};
use crate::host::input::{self, InputDevice, Kind};
use crate::host::Function;
use crate::pci::Address;
use crate::root::Root;

/// Keyboards and mice, also those that hang on no function.
pub(super) fn read_input(root: &Root) -> Vec<Usage> {
    let usage = |device: InputDevice| {
        let mut functions = functions_above(root, &device.link());
        if functions.is_empty() && device.is_by_bluetooth(root) {
            functions = adapters(root);
        }
        let name = device.name;
        Usage {
            functions,
            what: match device.kind {
                Kind::Keyboard => Use::Keyboard { name },
                Kind::Mouse => Use::Mouse { name },
            },
        }
    };
    input::devices(root).into_iter().map(usage).collect()
}

/// The functions that Bluetooth adapters hang on. Which of several a keyboard is paired with does not show.
fn adapters(root: &Root) -> Vec<Address> {
    const BLUETOOTH: &str = "sys/class/bluetooth";
    let names = root.list(BLUETOOTH).unwrap_or_default();
    let adapters: Vec<&String> = names.iter().filter(|name| !name.contains(':')).collect();
    match adapters[..] {
        [only] => functions_above(root, &format!("{BLUETOOTH}/{only}")),
        _ => Vec::new(),
    }
}

/// The TPM: where the device tree shows no function above it, AMD's security processor (class 1080, vendor 1022) is what
/// a firmware TPM runs on. That has a command buffer (drivers/char/tpm/tpm_crb.c); a chip has registers (tpm_tis_core.c).
pub(super) fn tpm(root: &Root, functions: &[Function]) -> Vec<Usage> {
    const TPM: &str = "sys/class/tpm";
    let mut found = Vec::new();
    for chip in root.list(TPM).unwrap_or_default() {
        let mut above = functions_above(root, &format!("{TPM}/{chip}"));
        let by_firmware = root.link_name(&format!("{TPM}/{chip}/device/driver")).map_or(true, |name| name == "tpm_crb");
        if above.is_empty() && by_firmware {
            let processor = |f: &&Function| f.vendor == 0x1022 && f.class >> 8 == 0x1080;
            above = functions.iter().filter(processor).map(|f| f.address).collect();
        }
        found.push(Usage { functions: above, what: Use::Tpm });
    }
    found
}

/// Cards of ALSA of which a stream is open (`sound/core/pcm.c`, `snd_pcm_substream_proc_status_read`).
pub(super) fn sound(root: &Root) -> Vec<Usage> {
    const ASOUND: &str = "proc/asound";
    let mut found = Vec::new();
    let cards = root.directories(ASOUND).unwrap_or_default();
    for card in cards.into_iter().filter(|name| name.strip_prefix("card").is_some_and(|n| n.parse::<u32>().is_ok())) {
        let streams = root.directories(&format!("{ASOUND}/{card}")).unwrap_or_default();
        let open = streams.iter().filter(|name| name.starts_with("pcm")).any(|stream| {
            let subs = root.directories(&format!("{ASOUND}/{card}/{stream}")).unwrap_or_default();
            subs.iter().any(|sub| {
                let status = root.read_text(&format!("{ASOUND}/{card}/{stream}/{sub}/status"));
                status.is_ok_and(|text| text.starts_with("state:"))
            })
        });
        let functions = functions_above(root, &format!("sys/class/sound/{card}"));
        if open && !functions.is_empty() {
            found.push(Usage { functions, what: Use::Sound { card } });
        }
    }
    found
}
