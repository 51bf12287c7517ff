// SPDX-License-Identifier: LGPL-2.1-or-later
//! Which words the kernel needs, and why each.

use crate::config::{Config, Iommu};
use crate::host::boot::{BootSystem, IntelDefault, Vendor};
use serde::Serialize;

/// A wanted word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Word {
    /// The word.
    pub word: String,
    /// Why it is wanted: a sentence.
    pub why: String,
}

/// Whether a word is there, in this form or one that means the same.
pub fn is_there(word: &str, there: &[String]) -> bool {
    there.iter().any(|other| {
        other == word
            || match word {
                "intel_iommu=on" => {
                    other.strip_prefix("intel_iommu=").is_some_and(|list| list.split(',').any(|part| part == "on"))
                }
                "iommu=pt" => matches!(other.as_str(), "iommu.passthrough=1" | "iommu.passthrough=y"),
                _ => false,
            }
    })
}

/// A word of the user that is against what is wanted.
pub fn against<'t>(wanted: &[String], there: &'t [String]) -> Option<&'t str> {
    let wants = |word: &str| wanted.iter().any(|w| w == word);
    let off = ["iommu=off", "intel_iommu=off", "amd_iommu=off"];
    let slow = ["iommu=nopt", "iommu.passthrough=0"];
    let is = |list: &[&str], word: &&String| list.contains(&word.as_str());
    let found = there.iter().find(|word| {
        (wants("intel_iommu=on") || wants("iommu=pt")) && is(&off, word) || wants("iommu=pt") && is(&slow, word)
    });
    found.map(String::as_str)
}

/// The words that this machine's boot entries need for this configuration, in order. `integrated` says whether one of the
/// cards is the processor's own graphics.
pub fn words(config: &Config, system: &BootSystem, integrated: bool) -> Vec<Word> {
    let host = &config.host;
    if !host.enable {
        return Vec::new();
    }
    let mut words: Vec<Word> = Vec::new();
    let mut want = |word: &str, why: String| {
        if !words.iter().any(|w| w.word == word) {
            words.push(Word { word: word.to_owned(), why });
        }
    };
    let cards = !config.gpus.is_empty() || config.disabled.iter().any(|d| d.kind == "gpu");
    let iommu = match host.iommu {
        Iommu::On => true,
        Iommu::Auto => cards,
        Iommu::Off => false,
    };
    if iommu {
        if system.vendor == Vendor::Intel {
            if let Some(why) = why_intel(config, system, integrated) {
                want("intel_iommu=on", why);
            }
        }
        if host.iommu_passthrough {
            want(
                "iommu=pt",
                "iommu-passthrough = yes: devices of the host are not slowed down by the IOMMU".to_owned(),
            );
        }
    }
    for word in &host.kernel_parameters {
        want(word, "kernel-parameters in [host]".to_owned());
    }
    words
}

/// Why Intel's IOMMU needs a word; `None` if all installed kernels switch it on by themselves.
fn why_intel(config: &Config, system: &BootSystem, integrated: bool) -> Option<String> {
    if config.host.iommu == Iommu::On {
        return Some("iommu = on".to_owned());
    }
    if system.kernels.is_empty() {
        return Some("no kernel was found whose configuration says that it is not needed".to_owned());
    }
    system.kernels.iter().find_map(|kernel| {
        let release = &kernel.release;
        match kernel.intel {
            IntelDefault::On => None,
            IntelDefault::OnButIntegrated if integrated => {
                Some(format!("kernel {release} leaves the processor's own graphics out unless told otherwise"))
            }
            IntelDefault::OnButIntegrated => None,
            IntelDefault::Off => Some(format!("kernel {release} leaves Intel's IOMMU off unless told otherwise")),
            IntelDefault::Unknown => {
                Some(format!("the configuration of kernel {release} is not there to say that it is not needed"))
            }
        }
    })
}
