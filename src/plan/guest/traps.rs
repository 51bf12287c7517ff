// SPDX-License-Identifier: LGPL-2.1-or-later
//! Traps into which machines with one card fall: the guest starts, and shows nothing, hears nobody, or is not to be reached.
//! All are warnings: each may be as the user means it.

use super::{DomainState, GuestContext};
use crate::config::{BarSize, Display, Guest};
use crate::finding::codes;
use crate::host::domain::Domain;
use crate::host::{Function, Host};
use crate::plan::definition::request::Card;
use crate::plan::rom::function;
use crate::plan::selection::Selection;
use crate::plan::{display, rebar, udev_sizes, Finding};

/// The class of USB controllers.
const USB: u32 = 0x0c_03;

/// What may be a trap of this start.
pub(super) fn check(guest: &Guest, selections: &[Selection<'_>], host: &Host, context: &GuestContext) -> Vec<Finding> {
    let domain = match &context.domain {
        Some(DomainState::Known { domain, .. }) => Some(&**domain),
        _ => None,
    };
    let dark = display::goes_dark(selections, host);
    let all = Traps { guest, selections, host, context };
    let mut findings = Vec::new();
    if let Some(domain) = domain {
        let cards = Card::of(selections, host);
        findings.extend(unseen(guest, domain, &cards));
        if dark {
            findings.extend(all.display(domain));
            findings.extend(all.input(domain));
        }
        if domain.windows {
            findings.extend(selections.iter().filter_map(|selection| all.bar(selection)));
        }
        findings.extend(selections.iter().filter_map(|selection| all.rom(selection, domain)));
    }
    if dark && !context.way_in.is_some() {
        let text = "the host shows no picture while it runs, and nothing lets anybody in from elsewhere";
        let hint = "enable sshd, or keep the end of the guest in reach: it is the only way back";
        findings.push(Finding::guest(guest, codes::NO_WAY_IN, text).hint(hint));
    }
    findings.into_iter().map(Finding::warning).collect()
}

/// No card of the guest has outputs, and the domain has nothing else that would show it.
pub(super) fn unseen(guest: &Guest, domain: &Domain, cards: &[Card]) -> Option<Finding> {
    let by = cards.first()?.shown_by?;
    let all = cards.iter().all(|card| card.shown_by.is_some());
    if !all || !domain.displays.is_empty() || !domain.shared.is_empty() {
        return None;
    }
    let text = format!(
        "[gpu {}] has no outputs ({by} has the laptop's panel), and domain {} has no other display: nobody sees the guest",
        cards[0].name, guest.domain
    );
    let hint = "write 'looking-glass', or 'display = vnc' as long as the guest is set up: docs/MUXLESS.md";
    Some(Finding::guest(guest, codes::GUEST_UNSEEN, text).hint(hint))
}

/// Everything there is to judge by.
struct Traps<'a> {
    guest: &'a Guest,
    selections: &'a [Selection<'a>],
    host: &'a Host,
    context: &'a GuestContext,
}

impl Traps<'_> {
    /// The guest's picture begins on a display that nobody sees.
    fn display(&self, domain: &Domain) -> Option<Finding> {
        let model = domain.displays.first()?;
        if matches!(self.guest.definition.display, Some(Display::Keep | Display::Vnc)) {
            return None;
        }
        let text = format!("domain {} also has an emulated display ({model}), and nobody sees it", self.guest.domain);
        let hint = format!("write 'display = card', then 'vfio guest edit {}'", self.guest.name);
        Some(Finding::guest(self.guest, codes::EMULATED_DISPLAY_FIRST, text).hint(hint))
    }

    /// Nobody could type.
    fn input(&self, domain: &Domain) -> Option<Finding> {
        let of_card = |function: &Function| {
            let slots = self.selections.iter().filter_map(|c| c.selected.as_ref().ok()).map(|selected| selected.slot);
            slots.into_iter().any(|slot| slot == function.address.slot)
        };
        // A port of the card itself is for a monitor or a headset.
        let controller = |function: &Function| function.class >> 8 == USB && !of_card(function);
        let mut given = domain.hostdevs.iter().filter_map(|device| self.host.function(device.address));
        if domain.has_input || given.any(controller) {
            return None;
        }
        let text = format!("domain {} gets no keyboard and no mouse of the host", self.guest.domain);
        let hint = format!("write 'input = auto', then 'vfio guest edit {}'", self.guest.name);
        Some(Finding::guest(self.guest, codes::NO_INPUT, text).hint(hint))
    }

    /// A size that Windows' driver cannot take.
    fn bar(&self, selection: &Selection<'_>) -> Option<Finding> {
        let card = function(selection, self.host)?;
        let desired = rebar::desired(selection.gpu, Some(self.guest));
        let asked = desired[2].as_ref().map(|at| at.value);
        let now = self.context.bar2.iter().find(|(address, _)| *address == card.address).map(|(_, size)| *size)?;
        let size = match asked {
            Some(BarSize::Bytes(bytes)) => bytes,
            Some(BarSize::Min) => return None,
            Some(BarSize::Max | BarSize::Firmware) | None => now,
        };
        if !udev_sizes::is_too_large((card.vendor, card.device), size) {
            return None;
        }
        let text = format!(
            "BAR 2 of {} has {}, and Windows' driver for an RX 6000 reports Code 43 unless it has 8M",
            card.address,
            crate::host::bars::show_size(size)
        );
        let finding = Finding::card(selection.gpu, &selection.gpu.at, codes::BAR_TOO_LARGE_FOR_WINDOWS, text);
        Some(finding.hint("write 'bar2 = 8M'").for_guest(self.guest))
    }

    /// No ROM where the card has none to show, unless the domain says that the guest is to see none.
    fn rom(&self, selection: &Selection<'_>, domain: &Domain) -> Option<Finding> {
        let card = function(selection, self.host)?;
        let why = self.context.no_rom.iter().find(|(address, _)| *address == card.address).map(|(_, why)| why)?;
        let given = domain.hostdevs.iter().find(|device| device.address == card.address)?;
        if given.rom.is_some() || given.rom_off || selection.gpu.rom.is_some() {
            return None;
        }
        let text = match why {
            NoRom::Copy => format!("{} is the boot display, so the guest sees no option ROM of its own", card.address),
            NoRom::OfProcessor => {
                format!("{} is the graphics of a processor, which has no option ROM that a guest sees", card.address)
            }
        };
        let finding = Finding::card(selection.gpu, &selection.gpu.at, codes::ROM_NEEDED, text);
        let hint = format!("if the screen stays dark, give it one: 'rom' in [gpu {}], docs/ROM.md", selection.gpu.name);
        Some(finding.hint(hint).for_guest(self.guest))
    }
}

/// Why a card has no option ROM for a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRom {
    /// The kernel shows a copy that the firmware has made.
    Copy,
    /// It has none: the firmware keeps it.
    OfProcessor,
}

#[cfg(test)]
#[path = "traps_tests.rs"]
mod tests;
