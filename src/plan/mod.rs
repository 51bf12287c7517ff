// SPDX-License-Identifier: LGPL-2.1-or-later
//! What should happen: pure functions from configuration and machine to a [`Plan`]. No file, no clock, no process.

pub mod already_decided;
mod amount;
pub mod bind;
pub mod boot;
pub mod card;
pub mod cmdline;
pub mod cpus;
pub mod definition;
pub mod device;
pub mod display;
pub mod doctor;
mod finding;
pub mod framebuffer;
pub mod group;
pub mod guest;
pub mod input;
pub mod iommu;
pub mod leftovers;
mod list;
pub mod logs;
pub mod mkinitcpio;
pub mod packages;
pub mod proposal;
pub mod rebar;
pub mod rescan;
pub mod reset;
pub mod reset_now;
pub mod rom;
pub mod select;
pub mod selection;
pub mod setup;
mod step;
pub mod sync;
pub mod system;
pub mod udev_sizes;
pub mod unbind;
pub mod usage;
pub mod wizard;

pub use crate::finding::Finding;
pub use step::Step;

use crate::config::{Config, Gpu};
use crate::finding::{codes, Section};
use crate::host::Host;
use crate::pci::Address;
use serde::Serialize;

/// What should happen to one card.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The `[gpu]` section's name.
    pub gpu: String,
    /// All functions that it is about.
    pub functions: Vec<Address>,
    /// The steps, in order; none if it is refused or if all is as it should be.
    pub steps: Vec<Step>,
    /// Why nothing is done, if it is refused.
    pub refusals: Vec<Finding>,
    /// What the user should know although it is done.
    pub warnings: Vec<Finding>,
    /// What is worth a word where somebody asks, and needs nothing done.
    pub notes: Vec<Finding>,
}

impl Plan {
    /// A plan that does nothing, and why.
    pub fn refused(finding: Finding) -> Plan {
        Plan { gpu: finding.gpu_name().to_owned(), refusals: vec![finding], ..Plan::default() }
    }
}

/// What forbids every act in this boot: the switch on the kernel command line, `enable = no`.
pub fn idle(config: &Config, host: &Host) -> Option<String> {
    if let Some(word) = host.words.switched_off() {
        return Some(format!("nothing is bound because the kernel command line says '{word}'"));
    }
    (!config.host.enable).then(|| "nothing is bound because 'enable' in [host] is not 'yes'".to_owned())
}

/// The section of a name, or why there is none.
pub fn section<'c>(config: &'c Config, name: &str) -> Result<&'c Gpu, Finding> {
    if let Some(gpu) = config.gpu(name) {
        return Ok(gpu);
    }
    if let Some(disabled) = config.disabled_section("gpu", name) {
        return Err(Finding { section: Section::Gpu(name.to_owned()), ..disabled.why.clone() });
    }
    let finding = Finding::card_named(name, codes::NO_SUCH_SECTION, "no such section");
    let names: Vec<&str> = config.gpus.iter().map(|g| g.name.as_str()).collect();
    Err(match names[..] {
        [] => finding.hint("the configuration has no [gpu] section; write one"),
        _ => finding.hint(format!("configured: {}", names.join(", "))),
    })
}
