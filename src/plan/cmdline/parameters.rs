// SPDX-License-Identifier: LGPL-2.1-or-later
//! Which parameters the kernel needs, and why each.

use crate::config::{Config, Iommu};
use crate::host::boot::{BootSystem, IntelDefault, Vendor};
use crate::host::platform::Architecture;
use serde::Serialize;

/// A required parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Parameter {
    /// The parameter.
    #[serde(rename = "word")]
    pub parameter: String,
    /// Why it is required: a sentence.
    pub why: String,
}

/// `iommu=pt` where that is none of the kernel parameters: it is x86's own (arch/x86/kernel/pci-dma.c), this one everybody's.
const PASSTHROUGH: &str = "iommu.passthrough=1";

/// Whether a parameter is there, in this form or one that means the same.
pub fn is_there(parameter: &str, there: &[String]) -> bool {
    there.iter().any(|other| {
        other == parameter
            || match parameter {
                "intel_iommu=on" => {
                    other.strip_prefix("intel_iommu=").is_some_and(|list| list.split(',').any(|part| part == "on"))
                }
                "iommu=pt" | PASSTHROUGH => other == "iommu=pt" || passthrough(other) == Some(true),
                _ => false,
            }
    })
}

/// What `iommu.passthrough=` says (`lib/kstrtox.c`, `kstrtobool`).
fn passthrough(parameter: &str) -> Option<bool> {
    let mut value = parameter.strip_prefix("iommu.passthrough=")?.chars().map(|c| c.to_ascii_lowercase());
    match (value.next()?, value.next()) {
        ('y' | 't' | '1', _) | ('o', Some('n')) => Some(true),
        ('n' | 'f' | '0', _) | ('o', Some('f')) => Some(false),
        _ => None,
    }
}

/// A parameter of the user that is against what is required.
pub fn against<'t>(required: &[String], there: &'t [String]) -> Option<&'t str> {
    let wants = |parameter: &str| required.iter().any(|w| w == parameter);
    let wants_passthrough = wants("iommu=pt") || wants(PASSTHROUGH);
    let off = ["iommu=off", "intel_iommu=off", "amd_iommu=off"];
    let found = there.iter().find(|parameter| {
        let slow = || *parameter == "iommu=nopt" || passthrough(parameter) == Some(false);
        (wants("intel_iommu=on") || wants_passthrough) && off.contains(&parameter.as_str())
            || wants_passthrough && slow()
    });
    found.map(String::as_str)
}

/// The parameters that this machine's boot entries need for this configuration, in order. `integrated` says whether one of the
/// cards is the processor's own graphics.
pub fn parameters(config: &Config, system: &BootSystem, integrated: bool) -> Vec<Parameter> {
    let host = &config.host;
    if !host.enable {
        return Vec::new();
    }
    let mut parameters: Vec<Parameter> = Vec::new();
    // One of the user's that means the same counts in its place.
    let mut want = |parameter: &str, why: String| {
        let theirs = host.kernel_parameters.iter().any(|other| other == parameter)
            || !is_there(parameter, &host.kernel_parameters);
        if theirs && !parameters.iter().any(|w| w.parameter == parameter) {
            parameters.push(Parameter { parameter: parameter.to_owned(), why });
        }
    };
    let cards = !config.gpus.is_empty() || config.disabled.iter().any(|d| d.kind == "gpu");
    let iommu = match host.iommu {
        Iommu::On => true,
        Iommu::Auto => cards && !never(system),
        Iommu::Off => false,
    };
    if iommu {
        if system.vendor == Vendor::Intel {
            if let Some(why) = why_intel(config, system, integrated) {
                want("intel_iommu=on", why);
            }
        }
        if host.iommu_passthrough {
            let parameter = if system.platform.architecture == Architecture::Arm { PASSTHROUGH } else { "iommu=pt" };
            want(parameter, "iommu-passthrough = yes: devices of the host are not slowed down by the IOMMU".to_owned());
        }
    }
    for parameter in &host.kernel_parameters {
        want(parameter, "kernel-parameters in [host]".to_owned());
    }
    parameters
}

/// Whether no parameter brings an IOMMU about: a virtual machine to which none was given, or ARM without an SMMU. On other
/// machines it may only be switched off in the firmware's setup.
fn never(system: &BootSystem) -> bool {
    let platform = &system.platform;
    !system.has_iommu && (platform.hypervisor.is_some() || platform.architecture == Architecture::Arm)
}

/// Why Intel's IOMMU needs a parameter; `None` if all installed kernels switch it on by themselves.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse_files;
    use crate::host::boot::KernelBuild;

    fn machine(vendor: Vendor, kernels: &[IntelDefault]) -> BootSystem {
        let build = |intel: &IntelDefault| KernelBuild { release: "6.12-lab".to_owned(), intel: *intel };
        BootSystem { vendor, kernels: kernels.iter().map(build).collect(), ..BootSystem::default() }
    }

    fn required(text: &str, system: &BootSystem, integrated: bool) -> String {
        let config = parse_files(&[("/etc/vfio.conf", text.as_bytes())]);
        let parameters = parameters(&config, system, integrated);
        parameters.into_iter().map(|parameter| parameter.parameter).collect::<Vec<_>>().join(" ")
    }

    const CARD: &str = "[gpu big]\ndevice = 1002:73bf\n";

    #[test]
    fn intel_gets_a_word_only_where_its_kernels_need_one() {
        use IntelDefault::{Off, On, OnButIntegrated, Unknown};
        for (kernels, integrated, with) in [
            (&[On][..], false, "iommu=pt"),
            (&[On], true, "iommu=pt"),
            (&[OnButIntegrated], false, "iommu=pt"),
            (&[OnButIntegrated], true, "intel_iommu=on iommu=pt"),
            (&[On, Off], false, "intel_iommu=on iommu=pt"),
            (&[Unknown], false, "intel_iommu=on iommu=pt"),
            (&[], false, "intel_iommu=on iommu=pt"),
        ] {
            assert_eq!(required(CARD, &machine(Vendor::Intel, kernels), integrated), with, "{kernels:?}");
        }
    }

    /// Regression: `amd_iommu=on` is not a parameter of any kernel, and Intel's parameter is none for AMD.
    #[test]
    fn amd_needs_no_word() {
        let amd = machine(Vendor::Amd, &[IntelDefault::Off]);
        assert_eq!(required(CARD, &amd, true), "iommu=pt");
        assert_eq!(required(&format!("[host]\niommu = on\n{CARD}"), &amd, true), "iommu=pt");
        assert_eq!(required(CARD, &machine(Vendor::Other, &[IntelDefault::Off]), true), "iommu=pt");
    }

    #[test]
    fn no_word_where_none_helps() {
        use crate::host::platform::Platform;
        let machine = |vendor, architecture, hypervisor, has_iommu| BootSystem {
            vendor,
            platform: Platform { architecture, hypervisor },
            has_iommu,
            ..BootSystem::default()
        };
        for (system, with) in [
            (machine(Vendor::Other, Architecture::Arm, None, false), ""),
            (machine(Vendor::Other, Architecture::Arm, None, true), "iommu.passthrough=1"),
            (machine(Vendor::Intel, Architecture::Intel, Some("QEMU"), false), ""),
            (machine(Vendor::Intel, Architecture::Intel, Some("QEMU"), true), "intel_iommu=on iommu=pt"),
            (machine(Vendor::Intel, Architecture::Intel, None, false), "intel_iommu=on iommu=pt"),
            (machine(Vendor::Amd, Architecture::Amd, Some("QEMU"), false), ""),
        ] {
            assert_eq!(required(CARD, &system, false), with, "{:?}", system.platform);
        }
        let guest = machine(Vendor::Intel, Architecture::Intel, Some("QEMU"), false);
        assert_eq!(required(&format!("[host]\niommu = on\n{CARD}"), &guest, false), "intel_iommu=on iommu=pt");
    }

    #[test]
    fn the_file_decides() {
        let intel = machine(Vendor::Intel, &[IntelDefault::Off]);
        for (text, with) in [
            ("", ""),
            ("[host]\nkernel-parameters = a=1 b\n", "a=1 b"),
            ("[host]\niommu = on\n", "intel_iommu=on iommu=pt"),
            ("[host]\niommu = off\nkernel-parameters = a=1\n[gpu big]\ndevice = 1002:73bf\n", "a=1"),
            ("[host]\niommu-passthrough = no\n[gpu big]\ndevice = 1002:73bf\n", "intel_iommu=on"),
            ("[host]\nenable = no\nkernel-parameters = a=1\n[gpu big]\ndevice = 1002:73bf\n", ""),
            (
                "[host]\nkernel-parameters = intel_iommu=on,sm_on\n[gpu big]\ndevice = 1002:73bf\n",
                "iommu=pt intel_iommu=on,sm_on",
            ),
            // A card whose section has a mistake is a card all the same.
            ("[gpu big]\ndevice = nonsense\n", "intel_iommu=on iommu=pt"),
        ] {
            assert_eq!(required(text, &intel, false), with, "{text}");
        }
    }

    #[test]
    fn a_word_in_another_form_is_there() {
        let there =
            |parameter: &str, line: &str| is_there(parameter, &line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert!(there("intel_iommu=on", "intel_iommu=sm_on,on") && there("iommu=pt", "quiet iommu.passthrough=1"));
        assert!(!there("intel_iommu=on", "intel_iommu=sm_on") && !there("iommu=pt", "iommu=ptx xiommu=pt"));
        let against = |line: &str| {
            let line: Vec<String> = line.split(' ').map(str::to_owned).collect();
            crate::plan::cmdline::parameters::against(&["iommu=pt".to_owned()], &line).map(str::to_owned)
        };
        assert_eq!(against("quiet intel_iommu=off").as_deref(), Some("intel_iommu=off"));
        assert_eq!(against("quiet iommu=pt"), None);
        for value in ["0", "n", "N", "no", "off"] {
            let parameter = format!("iommu.passthrough={value}");
            assert_eq!(against(&format!("quiet {parameter}")), Some(parameter));
        }
        for value in ["1", "y", "Yes", "on"] {
            assert!(there("iommu=pt", &format!("iommu.passthrough={value}")), "{value}");
        }
        assert_eq!(against("iommu.passthrough=maybe iommu.passthrough= iommu.passthroughx=0"), None);
    }
}
