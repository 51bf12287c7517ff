// SPDX-License-Identifier: LGPL-2.1-or-later
//! What a domain's definition is made from: the guest's section, its cards, and what is so of this machine.

use crate::config::Guest;
use crate::host::libvirt::{Capabilities, DomainInfo, Version};
use crate::host::{Function, Host};
use crate::pci::Address;
use crate::plan::cpus::Chosen;
use crate::plan::definition::installation::Installation;
use crate::plan::display;
use crate::plan::input::Input;
use crate::plan::selection::Selection;

/// What a domain is to be, and what surrounds it. Asked for by `act::definition::probe`.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The guest's section.
    pub guest: &'a Guest,
    /// Its cards.
    pub cards: &'a [Card],
    /// The machine.
    pub facts: &'a Facts,
    /// Whether the guest's UEFI variables may begin anew.
    pub reset_variables: bool,
    /// What is to be installed, for a domain that is only being made.
    pub installation: Option<&'a Installation>,
}

/// A card that the domain is to get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// The `[gpu]` section's name.
    pub name: String,
    /// Its functions, the display among them.
    pub functions: Vec<Address>,
    /// That which shows the picture, and has the option ROM.
    pub display: Address,
    /// A file with its option ROM.
    pub rom: Option<String>,
    /// A file with an ACPI table for it.
    pub acpi_table: Option<String>,
    /// It has no outputs: the display of the host that shows what it draws.
    pub shown_by: Option<Address>,
}

/// What is so of this machine, of libvirt and of the domain beside its XML.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// What libvirt says of the domain; empty for one that is only being made.
    pub info: DomainInfo,
    /// libvirt's version; `None` if not known.
    pub libvirt: Option<Version>,
    /// QEMU's version; `None` if not known.
    pub qemu: Option<Version>,
    /// What QEMU can do; `None` if not known.
    pub capabilities: Option<Capabilities>,
    /// Whether the domain's UEFI variables are there: something was installed.
    pub has_variables: bool,
    /// Keyboards and mice for `input`: those that were found, or those that are named.
    pub inputs: Inputs,
    /// The CPUs for `cpus`.
    pub cpus: Option<Result<Chosen, String>>,
    /// Whether the processor is AMD's: a guest sees its threads only with `topoext`.
    pub amd: bool,
    /// Where the user's sound server listens (`XDG_RUNTIME_DIR`), or why that is not known.
    pub audio: Option<Result<String, String>>,
    /// How many bits an address may have that a card can reach, if these are fewer than the processor has.
    pub address_bits: Option<u32>,
}

/// The keyboards and mice of the host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inputs {
    /// Those that the guest is to share, or why there are none.
    pub chosen: Option<Result<Vec<Input>, String>>,
    /// Paths that lead to one event node: each with the others.
    pub links: Vec<Vec<String>>,
}

impl Card {
    /// The cards of a guest's sections, as far as they are there.
    pub fn of(selections: &[Selection<'_>], host: &Host) -> Vec<Card> {
        let card = |selection: &Selection<'_>| {
            let functions = selection.selected.as_ref().ok()?.card.clone();
            let is_display = |at: &&Address| host.function(**at).is_some_and(Function::is_display);
            let display = *functions.iter().find(is_display).or(functions.first())?;
            let rom = selection.gpu.rom.as_ref().map(|rom| rom.value.clone());
            let acpi_table = selection.gpu.acpi_table.as_ref().map(|table| table.value.clone());
            let shown_by = display::shown_by(&functions, host);
            Some(Card { name: selection.gpu.name.clone(), display, functions, rom, acpi_table, shown_by })
        };
        selections.iter().filter_map(card).collect()
    }
}

impl Inputs {
    /// Whether two paths lead to the same event node.
    pub fn is_same(&self, one: &str, other: &str) -> bool {
        let has = |links: &&Vec<String>, path: &str| links.iter().any(|link| link == path);
        one == other || self.links.iter().any(|links| has(&links, one) && has(&links, other))
    }
}
