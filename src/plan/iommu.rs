// SPDX-License-Identifier: LGPL-2.1-or-later
//! Why the IOMMU does not work, or not for a card, and what to do: in the words of the machine that it is.

use super::select::Choice;
use super::Finding;
use crate::host::iommu::Iommu;
use crate::host::kernel_cmdline::KernelWords;
use crate::host::platform::Architecture;
use crate::host::Host;
use crate::pci::Address;

/// Why these functions cannot be given to a guest at all: the IOMMU is off, or leaves one of them out.
pub fn without(choice: &Choice<'_>, functions: &[Address], host: &Host) -> Option<Finding> {
    let outside = functions.iter().filter_map(|a| host.function(*a)).find(|f| f.group.is_none())?;
    // Where no PCI function has a group, the IOMMUs that there are stand elsewhere.
    let none = host.whole && host.functions.iter().all(|f| f.group.is_none());
    let text = match host.iommu.active && !none {
        true => format!(
            "{} is in no IOMMU group: the IOMMU does not translate for it{}",
            outside.address,
            match (host.iommu.firmware, host.words.intel_iommu_on()) {
                (Some("DMAR"), Some(word)) => {
                    format!(" although the kernel command line says '{word}': the firmware leaves it out")
                }
                (Some("DMAR"), None) => " (boot with 'intel_iommu=on')".to_owned(),
                _ => String::new(),
            }
        ),
        false => why_off(&host.iommu, &host.words),
    };
    Some(Finding::new(choice.gpu, &choice.gpu.device.at, text))
}

/// Why no IOMMU works at all, and what to do: a sentence.
pub fn why_off(iommu: &Iommu, words: &KernelWords) -> String {
    if let Some(word) = words.iommu_off() {
        return format!("the IOMMU is off because the kernel command line says '{word}'; remove that word and reboot");
    }
    let platform = &iommu.platform;
    let on = words.intel_iommu_on();
    match (iommu.firmware, platform.hypervisor, platform.architecture) {
        (Some("DMAR"), _, _) => match on {
            None => "the IOMMU is off in the kernel; boot with 'intel_iommu=on'".to_owned(),
            Some(word) => format!(
                "the IOMMU is off although the kernel command line says '{word}'; switch on VT-d in the firmware's setup, or \
                 use a kernel with INTEL_IOMMU"
            ),
        },
        (Some("IVRS"), _, _) => {
            "the IOMMU is off in the kernel although the firmware shows it; use a kernel with AMD_IOMMU".to_owned()
        }
        (_, Some("Xen"), _) => "Xen keeps the IOMMU to itself: vfio cannot work below it".to_owned(),
        (_, Some(hypervisor), architecture) => format!(
            "this is a virtual machine ({hypervisor}) that has no IOMMU: whoever runs it must give it a virtual one{}",
            match (hypervisor, architecture) {
                ("QEMU", Architecture::Arm) => ": '-machine virt,iommu=smmuv3', or '-device virtio-iommu-pci'",
                ("QEMU", _) => {
                    ": '-device intel-iommu,intremap=on,caching-mode=on' on a q35 machine, or '-device virtio-iommu-pci'; for \
                     libvirt <iommu model='intel'> or 'virtio'"
                }
                _ => "",
            }
        ),
        (Some("IORT"), None, Architecture::Arm) => {
            "the kernel found no SMMU, the IOMMU of ARM processors; switch it on in the firmware's setup, if it has one there, \
             or use a kernel with ARM_SMMU_V3"
                .to_owned()
        }
        (_, None, Architecture::Arm) => {
            "this machine has no SMMU, the IOMMU of ARM processors, that the kernel knows: no device of it can be given to a \
             guest"
                .to_owned()
        }
        (_, None, Architecture::Intel) => {
            "the firmware shows no IOMMU; switch on VT-d in its setup, where it is called that or 'Virtualization Technology \
             for Directed I/O'"
                .to_owned()
        }
        (_, None, Architecture::Amd) => {
            "the firmware shows no IOMMU; switch on 'IOMMU' or AMD-Vi in its setup".to_owned()
        }
        (_, None, Architecture::Other) => {
            "the kernel shows no IOMMU; without one no device can be given to a guest: look for one in the firmware's setup"
                .to_owned()
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::host::platform::Platform;
    use crate::host::Function;
    use crate::plan::select;

    /// A machine with one card in no group.
    fn machine(active: bool, firmware: Option<&'static str>, platform: Platform, cmdline: &str) -> Host {
        let function = Function {
            address: "0000:03:00.0".parse().unwrap(),
            vendor: 0x1002,
            device: 0x73bf,
            subsystem: None,
            class: 0x03_0000,
            driver: None,
            physfn: None,
            boot_vga: false,
            group: None,
            reset_methods: None,
            driver_override: None,
        };
        Host {
            functions: vec![function],
            iommu: Iommu { active, units: Vec::new(), firmware, platform },
            words: KernelWords::parse(cmdline),
            ..Host::default()
        }
    }

    /// What is said of a card in no group.
    fn said(active: bool, firmware: Option<&'static str>, cmdline: &str) -> String {
        let config = crate::config::parse_files(&[("/etc/vfio.conf", b"[gpu big]\ndevice = 0000:03:00.0\n")]);
        let host = machine(active, firmware, Platform::default(), cmdline);
        without(&select::all(&config, &host)[0], &[host.functions[0].address], &host).unwrap().text
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

    #[test]
    fn each_machine_hears_of_its_own_iommu() {
        use Architecture::{Amd, Arm, Intel, Other};
        for (architecture, hypervisor, firmware, has, not) in [
            (Intel, None, None, "switch on VT-d", "AMD"),
            (Amd, None, None, "AMD-Vi", "VT-d"),
            (Arm, None, None, "no device of it can be given", "setup"),
            (Arm, None, Some("IORT"), "firmware's setup", "VT-d"),
            (Arm, Some("QEMU"), None, "iommu=smmuv3", "intel"),
            (Intel, Some("QEMU"), None, "-device intel-iommu", "VT-d"),
            (Amd, Some("VMware"), None, "virtual machine (VMware)", "-device"),
            (Intel, Some("Xen"), None, "cannot work", "VT-d"),
            (Intel, Some("QEMU"), Some("DMAR"), "boot with 'intel_iommu=on'", "-device"),
            (Other, None, None, "no IOMMU", "VT-d"),
        ] {
            let host = machine(false, firmware, Platform { architecture, hypervisor }, "quiet");
            let why = why_off(&host.iommu, &host.words);
            assert!(why.contains(has) && !why.contains(not), "{architecture:?} {hypervisor:?} {firmware:?}: {why}");
        }
    }
}
