// SPDX-License-Identifier: LGPL-2.1-or-later
//! Why the IOMMU does not work, or not for a card, and what to do: in the parameters of the machine that it is.

use super::Finding;
use crate::finding::codes;
use crate::host::iommu::Iommu;
use crate::host::kernel_cmdline::KernelCmdline;
use crate::host::platform::Architecture;
use crate::host::Host;
use crate::pci::Address;
use crate::plan::selection::Selection;

/// Why these functions cannot be given to a guest at all: the IOMMU is off, or leaves one of them out.
pub fn without(selection: &Selection<'_>, functions: &[Address], host: &Host) -> Option<Finding> {
    let outside = functions.iter().filter_map(|a| host.function(*a)).find(|f| f.group.is_none())?;
    // Where no PCI function has a group, the IOMMUs that there are stand elsewhere.
    let none = host.whole && host.functions.iter().all(|f| f.group.is_none());
    let card = |code, text: String| Finding::card(selection.gpu, &selection.gpu.device.at, code, text);
    if !host.iommu.active || none {
        let (text, hint) = why_off(&host.iommu, &host.words);
        return Some(card(codes::IOMMU_OFF, text).hint(hint));
    }
    let text = format!("{} is in no IOMMU group: the IOMMU does not translate for it", outside.address);
    Some(match (host.iommu.firmware, host.words.intel_iommu_on()) {
        (Some("DMAR"), Some(parameter)) => {
            let why = format!(" although the kernel command line says '{parameter}': the firmware leaves it out");
            card(codes::NO_IOMMU_GROUP, text + &why)
        }
        (Some("DMAR"), None) => card(codes::NO_IOMMU_GROUP, text).hint("boot with 'intel_iommu=on'"),
        _ => card(codes::NO_IOMMU_GROUP, text),
    })
}

/// Why no IOMMU works at all, and what to do.
pub fn why_off(iommu: &Iommu, words: &KernelCmdline) -> (String, String) {
    let said = |text: &str, hint: &str| (text.to_owned(), hint.to_owned());
    if let Some(parameter) = words.iommu_off() {
        let text = format!("the IOMMU is off because the kernel command line says '{parameter}'");
        return (text, "remove that parameter and reboot".to_owned());
    }
    let platform = &iommu.platform;
    let on = words.intel_iommu_on();
    match (iommu.firmware, platform.hypervisor, platform.architecture) {
        (Some("DMAR"), _, _) => match on {
            None => said("the IOMMU is off in the kernel", "boot with 'intel_iommu=on'"),
            Some(parameter) => (
                format!("the IOMMU is off although the kernel command line says '{parameter}'"),
                "switch on VT-d in the firmware's setup, or use a kernel with INTEL_IOMMU".to_owned(),
            ),
        },
        (Some("IVRS"), _, _) => {
            said("the IOMMU is off in the kernel although the firmware shows it", "use a kernel with AMD_IOMMU")
        }
        (_, Some("Xen"), _) => {
            said("Xen keeps the IOMMU to itself: vfio cannot work below it", "boot the kernel without Xen")
        }
        (_, Some(hypervisor), architecture) => {
            let way = match (hypervisor, architecture) {
                ("QEMU", Architecture::Arm) => ": '-machine virt,iommu=smmuv3', or '-device virtio-iommu-pci'",
                ("QEMU", _) => {
                    ": '-device intel-iommu,intremap=on,caching-mode=on' on a q35 machine, or '-device virtio-iommu-pci'; for \
                     libvirt <iommu model='intel'> or 'virtio'"
                }
                _ => "",
            };
            let text = format!("this is a virtual machine ({hypervisor}) that has no IOMMU");
            (text, format!("give it a virtual one{way}"))
        }
        (Some("IORT"), None, Architecture::Arm) => said(
            "the kernel found no SMMU, the IOMMU of ARM processors",
            "switch it on in the firmware's setup, if it has one there, or use a kernel with ARM_SMMU_V3",
        ),
        (_, None, Architecture::Arm) => said(
            "the kernel knows no SMMU, the IOMMU of ARM processors, in this machine",
            "use another machine: no device of this one can be given to a guest",
        ),
        (_, None, Architecture::Intel) => said(
            "the firmware shows no IOMMU",
            "switch on VT-d in its setup, where it is called that or 'Virtualization Technology for Directed I/O'",
        ),
        (_, None, Architecture::Amd) => said("the firmware shows no IOMMU", "switch on 'IOMMU' or AMD-Vi in its setup"),
        (_, None, Architecture::Other) => said(
            "the kernel shows no IOMMU, and without one no device can be given to a guest",
            "look for one in the firmware's setup",
        ),
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
        let function = Function::new("0000:03:00.0".parse().unwrap(), (0x1002, 0x73bf), 0x03_0000);
        Host {
            functions: vec![function],
            iommu: Iommu { active, units: Vec::new(), firmware, platform },
            words: KernelCmdline::parse(cmdline),
            ..Host::default()
        }
    }

    /// What is said of a card in no group.
    fn said(active: bool, firmware: Option<&'static str>, cmdline: &str) -> String {
        let config = crate::config::parse_files(&[("/etc/vfio.conf", b"[gpu big]\ndevice = 0000:03:00.0\n")]);
        let host = machine(active, firmware, Platform::default(), cmdline);
        let finding = without(&select::select_all(&config, &host)[0], &[host.functions[0].address], &host).unwrap();
        assert_eq!(finding.code, if active { codes::NO_IOMMU_GROUP } else { codes::IOMMU_OFF }, "{finding}");
        finding.sentence()
    }

    #[test]
    fn a_word_that_is_there_is_not_asked_for() {
        for active in [false, true] {
            let without = said(active, Some("DMAR"), "quiet");
            assert!(without.contains("boot with 'intel_iommu=on'"), "{without}");
            for parameter in ["intel_iommu=on", "intel_iommu=on,sm_on"] {
                let with = said(active, Some("DMAR"), parameter);
                assert!(!with.contains("boot with") && with.contains(&format!("says '{parameter}'")), "{with}");
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
            (Arm, None, None, "no device of this one can be given", "setup"),
            (Arm, None, Some("IORT"), "firmware's setup", "VT-d"),
            (Arm, Some("QEMU"), None, "iommu=smmuv3", "intel"),
            (Intel, Some("QEMU"), None, "-device intel-iommu", "VT-d"),
            (Amd, Some("VMware"), None, "virtual machine (VMware)", "-device"),
            (Intel, Some("Xen"), None, "cannot work", "VT-d"),
            (Intel, Some("QEMU"), Some("DMAR"), "boot with 'intel_iommu=on'", "-device"),
            (Other, None, None, "no IOMMU", "VT-d"),
        ] {
            let host = machine(false, firmware, Platform { architecture, hypervisor }, "quiet");
            let (text, hint) = why_off(&host.iommu, &host.words);
            let why = format!("{text}; {hint}");
            assert!(why.contains(has) && !why.contains(not), "{architecture:?} {hypervisor:?} {firmware:?}: {why}");
        }
    }
}
