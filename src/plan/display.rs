// SPDX-License-Identifier: LGPL-2.1-or-later
//! The last display is not taken unless the file says so.

use super::select::Choice;
use super::Finding;
use crate::host::{Function, Host};

/// Refuses, among sections bound at boot, those that would take the host's last display.
///
/// At boot no DRM driver is loaded, so what remains is judged by PCI class: a display that is not a 3D controller.
pub fn keep_one_at_boot(choices: &mut [Choice<'_>], host: &Host) {
    // Refusing one section gives its displays back, so look again until something remains or nothing is left to refuse.
    while !choices.is_empty() && !outputs(host).any(|f| !f.is_given_away() && !taken(choices, f)) {
        let refuse = |choice: &Choice<'_>| !choice.gpu.only_display && takes_outputs(choice, host);
        let boot = |choice: &Choice<'_>| {
            let functions = choice.chosen.as_ref().map(|c| c.functions.as_slice()).unwrap_or_default();
            functions.iter().filter_map(|a| host.function(*a)).any(|f| f.boot_vga)
        };
        let pick = choices.iter().position(|c| refuse(c) && boot(c)).or_else(|| choices.iter().position(refuse));
        let Some(pick) = pick else { return };
        let gpu = choices[pick].gpu;
        let text =
            "would take the host's last display at boot; keep another card for the host, use 'bind = guest', or say \
                    'only-display = yes' if you reach this machine in another way";
        choices[pick].chosen = Err(Finding::new(gpu, &gpu.device.at, text));
    }
}

/// Why a running host may not lose these displays: no other is left that a host driver could drive.
pub fn keep_one_now(choice: &Choice<'_>, host: &Host) -> Option<Finding> {
    let gpu = choice.gpu;
    if gpu.only_display || !takes_outputs(choice, host) || keeps_one(std::slice::from_ref(choice), host) {
        return None;
    }
    let text = "would take the host's last display; say 'only-display = yes' if you reach this machine in another way";
    Some(Finding::new(gpu, &gpu.device.at, text))
}

/// Whether the host keeps a display that it can show something on when all these cards are taken at once.
pub fn keeps_one(choices: &[Choice<'_>], host: &Host) -> bool {
    outputs(host).any(|f| !f.is_given_away() && !taken(choices, f) && shows(host, f))
}

/// Whether these cards have the host's displays, and it keeps none that it can show something on.
pub fn goes_dark(choices: &[Choice<'_>], host: &Host) -> bool {
    choices.iter().any(|choice| takes_outputs(choice, host)) && !keeps_one(choices, host)
}

/// Whether a display can show something now: its DRM driver has connectors for it, or the firmware's framebuffer is on
/// it. As long as no DRM driver has anything, its class decides alone.
fn shows(host: &Host, function: &Function) -> bool {
    let known = host.displays.iter().any(|d| d.card.is_some());
    let display = host.displays.iter().find(|d| d.function == function.address);
    !known || display.is_some_and(|d| !d.connectors.is_empty() || d.firmware_framebuffer)
}

fn outputs(host: &Host) -> impl Iterator<Item = &Function> {
    host.functions.iter().filter(|f| f.has_outputs())
}

fn taken(choices: &[Choice<'_>], function: &Function) -> bool {
    choices.iter().any(|c| c.chosen.as_ref().is_ok_and(|c| c.functions.contains(&function.address)))
}

fn takes_outputs(choice: &Choice<'_>, host: &Host) -> bool {
    let functions = choice.chosen.as_ref().map(|c| c.functions.as_slice()).unwrap_or_default();
    functions.iter().filter_map(|a| host.function(*a)).any(Function::has_outputs)
}
