// SPDX-License-Identifier: LGPL-2.1-or-later
//! IOMMU groups: whether a guest could get them, and what the host would lose.

use super::select::Choice;
use super::Finding;
use crate::host::{function, Function, Host};
use crate::pci::Address;
use serde::Serialize;

/// A member that keeps its group from guests: a driver that does not share (`driver_managed_dma` false,
/// `drivers/iommu/iommu.c`, `iommu_group_claim_dma_owner`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Blocker {
    /// The function.
    pub function: Address,
    /// The host driver that has it.
    pub driver: String,
}

/// Whether a function with this driver leaves its group to a guest: no driver, a vfio driver, pci-stub, and bridges'
/// own pcieport.
fn shares(function: &Function) -> bool {
    match function.driver.as_deref() {
        None | Some("pci-stub" | "pcieport") => true,
        Some(driver) => function::is_vfio(driver),
    }
}

/// Which members of a group keep it from guests now; none if it is viable.
pub fn blockers<'h>(members: impl Iterator<Item = &'h Function>) -> Vec<Blocker> {
    let blocker = |f: &Function| {
        let driver = f.driver.clone().filter(|_| !shares(f))?;
        Some(Blocker { function: f.address, driver })
    };
    members.filter_map(blocker).collect()
}

/// Why these functions cannot be given to a guest at all: the IOMMU is off, or leaves one of them out.
pub fn without_iommu(choice: &Choice<'_>, functions: &[Address], host: &Host) -> Option<Finding> {
    let outside = functions.iter().filter_map(|a| host.function(*a)).find(|f| f.group.is_none())?;
    let gpu = choice.gpu;
    let on = host.words.intel_iommu_on();
    let text = if host.iommu.active {
        let address = outside.address;
        let hint = match (host.iommu.firmware, on) {
            (Some("DMAR"), Some(word)) => {
                format!(" although the kernel command line says '{word}': the firmware leaves it out")
            }
            (Some("DMAR"), None) => " (boot with 'intel_iommu=on')".to_owned(),
            _ => String::new(),
        };
        format!("{address} is in no IOMMU group: the IOMMU does not translate for it{hint}")
    } else if let Some(word) = host.words.iommu_off() {
        format!("the IOMMU is off because the kernel command line says '{word}'; remove that word and reboot")
    } else {
        match (host.iommu.firmware, on) {
            (Some("DMAR"), Some(word)) => format!(
                "the IOMMU is off although the kernel command line says '{word}'; switch on VT-d in the firmware's setup, or \
                 use a kernel with INTEL_IOMMU"
            ),
            (Some("DMAR"), None) => "the IOMMU is off in the kernel; boot with 'intel_iommu=on'".to_owned(),
            (Some(_), _) => {
                "the IOMMU is off in the kernel; remove 'amd_iommu=off' or use a kernel with AMD_IOMMU".to_owned()
            }
            (None, _) => "the firmware shows no IOMMU; switch on VT-d (Intel) or AMD-Vi/IOMMU (AMD) in its setup".to_owned(),
        }
    };
    Some(Finding::new(gpu, &gpu.device.at, text))
}

/// Why no guest can have these functions although the IOMMU translates for them: the firmware wants memory of their group
/// mapped 1:1. Kernels from 6.6 on refuse such a group to vfio (`drivers/iommu/iommu.c`, `__iommu_device_set_domain`), those
/// before with Intel's driver (`device_is_rmrr_locked`).
pub fn one_to_one(choice: &Choice<'_>, host: &Host) -> Option<Finding> {
    let intel = host.iommu.firmware == Some("DMAR");
    mapped(choice, host).filter(|_| intel || !is_before(&host.kernel, (6, 6)))
}

/// The same where the kernel does not refuse it yet.
pub fn one_to_one_later(choice: &Choice<'_>, host: &Host) -> Option<Finding> {
    let mut finding = mapped(choice, host)?;
    finding.text.push_str("; this kernel does not look, later ones do");
    Some(finding).filter(|_| one_to_one(choice, host).is_none())
}

fn mapped(choice: &Choice<'_>, host: &Host) -> Option<Finding> {
    let chosen = choice.chosen.as_ref().ok()?;
    let groups: Vec<u32> = chosen.functions.iter().filter_map(|a| host.function(*a)?.group).collect();
    let (group, place) = host.direct.iter().find(|(group, _)| groups.contains(group))?;
    let text = format!(
        "IOMMU group {group} is not for guests: the firmware wants memory of it mapped 1:1 ({place}); a firmware update, \
         another slot, or the switch for pre-boot DMA protection in the firmware's setup may help"
    );
    Some(Finding::new(choice.gpu, &choice.gpu.device.at, text))
}

/// Whether a kernel's release is older than this one; what cannot be read is not.
fn is_before(release: &str, version: (u32, u32)) -> bool {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse::<u32>().ok());
    let release = (numbers.next().flatten(), numbers.next().flatten());
    matches!(release, (Some(major), Some(minor)) if (major, minor) < version)
}

/// An `also` that is not in the card's group is refused: nothing asks for it, and it may be the host's disk.
pub fn foreign_also(choice: &Choice<'_>, host: &Host) -> Option<Finding> {
    let chosen = choice.chosen.as_ref().ok()?;
    let groups: Vec<u32> =
        chosen.functions.iter().filter(|a| a.slot == chosen.slot).filter_map(|a| host.function(*a)?.group).collect();
    let gpu = choice.gpu;
    let also = gpu
        .also
        .iter()
        .find(|also| host.function(also.value).is_some_and(|f| !f.group.is_some_and(|g| groups.contains(&g))))?;
    let kind = host.function(also.value).map_or("device", Function::kind);
    let text = format!("{} in 'also' ({kind}) is not in the card's IOMMU group; remove it from this line", also.value);
    Some(Finding::new(gpu, &also.at, text))
}

/// Endpoints of the card's groups that the section does not name: a guest cannot start while a host driver has one.
pub fn left_out(choice: &Choice<'_>, host: &Host) -> Vec<Finding> {
    let Ok(chosen) = &choice.chosen else { return Vec::new() };
    let mut groups: Vec<u32> = Vec::new();
    for group in chosen.functions.iter().filter_map(|a| host.function(*a)?.group) {
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    let members = groups.iter().flat_map(|g| host.group(*g).map(move |f| (g, f)));
    members
        .filter(|(_, f)| !(chosen.functions.contains(&f.address) || f.is_bridge() && shares(f)))
        .map(|(group, f)| {
            let (address, kind) = (f.address, f.kind());
            let text = match &f.driver {
                _ if address.slot == chosen.slot && !f.is_bridge() => format!(
                    "{address} ({kind}) is a function of the same card in IOMMU group {group}: a guest needs all of them; \
                     use 'functions = all'"
                ),
                Some(driver) if f.is_bridge() => format!(
                    "{address} ({kind}, {driver}) shares IOMMU group {group} and its driver keeps the group from guests; \
                     keep that driver from loading"
                ),
                Some(driver) => format!(
                    "{address} ({kind}, {driver}) shares IOMMU group {group}: a guest can start only if the host loses it \
                     too; if it may, add it to 'also'"
                ),
                None => format!("{address} ({kind}, no driver) shares IOMMU group {group}: no host driver may take it while a guest runs"),
            };
            Finding::new(choice.gpu, &choice.gpu.device.at, text)
        })
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::host::iommu::Iommu;
    use crate::host::words::KernelWords;
    use crate::plan::select;

    /// What is said of a card in no group.
    fn said(active: bool, firmware: Option<&'static str>, cmdline: &str) -> String {
        let config = crate::config::parse_files(&[("/etc/vfio.conf", b"[gpu big]\ndevice = 0000:03:00.0\n")]);
        let address = Address::from_sysfs(b"0000:03:00.0").unwrap();
        let function = Function {
            address,
            vendor: 0x1002,
            device: 0x73bf,
            subsystem: None,
            class: 0x03_0000,
            driver: None,
            boot_vga: false,
            group: None,
            reset_methods: None,
            driver_override: None,
        };
        let host = Host {
            functions: vec![function],
            iommu: Iommu { active, units: Vec::new(), firmware },
            words: KernelWords::parse(cmdline),
            ..Host::default()
        };
        let choices = select::all(&config, &host);
        without_iommu(&choices[0], &[address], &host).unwrap().text
    }

    #[test]
    fn a_word_that_is_there_is_not_asked_for() {
        for active in [false, true] {
            let without = said(active, Some("DMAR"), "quiet");
            assert!(without.contains("boot with 'intel_iommu=on'"), "{without}");
            for word in ["intel_iommu=on", "intel_iommu=on,sm_on"] {
                let with = said(active, Some("DMAR"), word);
                assert!(!with.contains("boot with") && with.contains(&format!("says '{word}'")), "{with}");
            }
            let amd = said(active, Some("IVRS"), "quiet");
            assert!(!amd.contains("intel"), "{amd}");
        }
        let off = said(false, Some("DMAR"), "intel_iommu=on intel_iommu=off");
        assert!(off.contains("says 'intel_iommu=off'"), "{off}");
    }
}
