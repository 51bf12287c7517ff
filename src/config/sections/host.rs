// SPDX-License-Identifier: LGPL-2.1-or-later
//! `[host]`: what concerns the whole machine.

use crate::config::report::clip;
use crate::config::values::{number, one_of, Parsed, Wrong};

/// The keys.
pub(in crate::config) const KEYS: &[&str] =
    &["enable", "iommu", "iommu-passthrough", "kernel-parameters", "headless", "failed-boots", "rescue-entry"];

/// The section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostSection {
    /// `enable`: the whole suite is idle if not.
    pub enable: bool,
    /// `iommu`: which kernel parameters boot entries need.
    pub iommu: Iommu,
    /// `iommu-passthrough`: `iommu=pt`.
    pub iommu_passthrough: bool,
    /// `kernel-parameters`: further kernel parameters to add.
    pub kernel_parameters: Vec<String>,
    /// `headless`: no card needs to stay for the host's picture.
    pub headless: bool,
    /// `failed-boots`: skip boot-time binding after so many boots that did not come up; 0 = never skip.
    pub failed_boots: u32,
    /// `rescue-entry`: one more boot entry, without us.
    pub rescue_entry: bool,
}

impl HostSection {
    /// Whether there has to be a boot entry without us.
    pub fn needs_rescue_entry(&self) -> bool {
        self.enable && self.rescue_entry
    }
}

impl Default for HostSection {
    fn default() -> Self {
        HostSection {
            enable: true,
            iommu: Iommu::Auto,
            iommu_passthrough: true,
            kernel_parameters: Vec::new(),
            headless: false,
            failed_boots: 2,
            rescue_entry: false,
        }
    }
}

/// `[host] iommu`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Iommu {
    /// What this CPU and kernel need.
    Auto,
    /// Always ask for it.
    On,
    /// Never ask for it.
    Off,
}

/// `iommu`.
pub(in crate::config) fn iommu(text: &str) -> Parsed<Iommu> {
    one_of(text, &[("auto", Iommu::Auto), ("on", Iommu::On), ("off", Iommu::Off)])
}

/// `failed-boots`.
pub(in crate::config) fn failed_boots(text: &str) -> Parsed<u32> {
    match number(text) {
        Some(boots @ 0..=100) => Ok(boots as u32),
        _ => Err(Wrong::new(format!("'{}' is not a number from 0 to 100", clip(text)))),
    }
}
