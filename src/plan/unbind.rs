// SPDX-License-Identifier: LGPL-2.1-or-later
//! Taking a function from a host driver: only from drivers that let go, and only while nobody holds it.

use crate::config::{Bind, Gpu};
use crate::finding::codes;
use crate::host::{function, Function, Host};
use crate::pci::Address;
use crate::plan::{Finding, Step};

/// Host drivers whose `remove` is known to end when nobody uses the device. A driver that is not here may hang with the
/// device's lock held, and the host with it. Of disks it is known what is on them (`host::usage`, mounts and an exclusive
/// opening), and one with anything of the host is refused before; their drivers' removal ends then.
const LET_GO: &[&str] = &[
    "amdgpu",
    "radeon",
    "nouveau",
    "nvidia",
    "i915",
    "xe",
    // What the kernel calls the driver that is to follow nouveau, by its module's name (drivers/gpu/nova-core).
    "NovaCore",
    "nova-core",
    "nova_core",
    "ast",
    "mgag200",
    "bochs-drm",
    "cirrus",
    "cirrus-qemu",
    "qxl",
    "virtio-pci",
    "snd_hda_intel",
    "xhci_hcd",
    "xhci-pci-renesas",
    "xhci-pci-prom21",
    "nvidia-gpu",
    "i2c-designware-pci",
    "e1000e",
    "igb",
    "igc",
    "ixgbe",
    "r8169",
    // Virtual functions' drivers, whose removal is that of their physical function's.
    "igbvf",
    "ixgbevf",
    "iavf",
    "nvme",
    "ahci",
    "vmd",
    "pci-stub",
];

/// Why one of these functions cannot be taken from its host driver now.
pub fn forbids(gpu: &Gpu, functions: &[Address], host: &Host) -> Vec<Finding> {
    let mut findings = Vec::new();
    for function in functions.iter().filter_map(|a| host.function(*a)) {
        let address = function.address;
        let Some(driver) = function.driver.as_deref() else { continue };
        if let Some(holder) = host.holder(address) {
            let text = format!("{address} stays bound to {driver}: {holder}");
            let finding = Finding::card(gpu, &gpu.device.at, codes::CARD_HELD, text);
            findings.push(finding.hint("end it and try again"));
        } else if driver == "nvidia" && host.nvidia_drm {
            // It is a user inside the kernel, which no process shows, and nvidia waits for it for ever.
            let text = format!("{address} stays bound to nvidia, which does not release it while nvidia_drm is loaded");
            let finding = Finding::card(gpu, &gpu.device.at, codes::NVIDIA_DRM_LOADED, text);
            findings.push(finding.hint("unload that first, or use 'bind = boot' and reboot"));
        } else {
            findings.extend(stays(gpu, function));
        }
    }
    findings
}

/// Why a function cannot be taken from its host driver at any time while the system runs, whatever process holds it.
///
/// What is bound at boot and could not be kept from its driver, because a file system may be on it, comes from any driver: the
/// boot has looked that nothing of the host is on it, and there is no other way to it.
pub fn stays(gpu: &Gpu, function: &Function) -> Option<Finding> {
    if gpu.bind == Bind::Boot && function.may_be_needed_for_root() {
        return None;
    }
    let driver = function.driver.as_deref().filter(|d| !function::is_vfio(d) && !LET_GO.contains(d))?;
    let address = function.address;
    let text =
        format!("{address} stays bound to {driver}, which is not known to release a device while the system runs");
    Some(Finding::card(gpu, &gpu.device.at, codes::DRIVER_STAYS, text).hint("use 'bind = boot' and reboot"))
}

/// The functions of a list that a driver other than `desired` has, last function first: audio leaves before video.
pub fn unbinds(functions: &[(Address, String)], host: &Host) -> Vec<Step> {
    let mut steps: Vec<Step> = functions
        .iter()
        .filter_map(|(address, desired)| {
            let driver = host.function(*address)?.driver.clone().filter(|d| d != desired)?;
            Some(Step::Unbind { function: *address, driver })
        })
        .collect();
    steps.reverse();
    steps
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::host::holders::Holder;

    fn machine(driver: &str) -> (crate::config::Config, Host, Address) {
        let config = crate::config::parse_files(&[("/etc/vfio.conf", b"[gpu big]\ndevice = 0000:03:00.0\n")]);
        let address: Address = "0000:03:00.0".parse().unwrap();
        let function = Function {
            driver: Some(driver.to_owned()),
            group: Some(1),
            ..Function::new(address, (0x10de, 0x1e87), 0x03_0000)
        };
        (config, Host { functions: vec![function], ..Host::default() }, address)
    }

    fn codes_of(findings: &[Finding]) -> Vec<codes::Code> {
        findings.iter().map(|finding| finding.code).collect()
    }

    /// nvidia's removal waits for ever while its usage count is not zero (nv-pci.c, "non-zero usage count"), and from driver 595
    /// on it does not come out of that any more: a change that loosens this leaves a host that must be switched off.
    #[test]
    fn no_function_is_taken_from_nvidia_while_anybody_uses_it() {
        let (config, mut host, address) = machine("nvidia");
        let forbidden = |host: &Host| codes_of(&forbids(&config.gpus[0], &[address], host));
        let planned = |host: &Host| {
            let selected = crate::plan::select::select_one(&config.gpus[0], host);
            let selection = crate::plan::selection::Selection { gpu: &config.gpus[0], selected };
            let plan = crate::plan::bind::plan(&selection, host, &Default::default());
            plan.steps.iter().any(|step| matches!(step, Step::Unbind { .. }))
        };
        assert!(forbidden(&host).is_empty() && planned(&host), "nobody uses it");
        host.nvidia_drm = true;
        assert!(forbidden(&host) == [codes::NVIDIA_DRM_LOADED] && !planned(&host), "nvidia_drm uses it");
        host.nvidia_drm = false;
        for node in ["/dev/nvidia0", "/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/dri/renderD128"] {
            let holder = |pid| Holder { node: node.to_owned(), pid, command: "a".to_owned(), ..Holder::default() };
            for pid in [Some(712), None] {
                host.holders = vec![(address, holder(pid))];
                assert!(forbidden(&host) == [codes::CARD_HELD] && !planned(&host), "{node} is held");
            }
        }
    }

    #[test]
    fn who_lets_go_when_idle() {
        for (driver, lets_go) in [
            ("amdgpu", true),
            ("xhci-pci-renesas", true),
            ("xhci-pci-prom21", true),
            ("NovaCore", true),
            ("xe", true),
            ("nvme", true),
            ("ahci", true),
            ("vmd", true),
            ("ixgbevf", true),
            ("mlx5_core", false),
            ("somebody-new", false),
        ] {
            let (config, mut host, address) = machine(driver);
            let forbidden = |host: &Host| codes_of(&forbids(&config.gpus[0], &[address], host));
            let expected: &[codes::Code] = if lets_go { &[] } else { &[codes::DRIVER_STAYS] };
            assert_eq!(forbidden(&host), expected, "{driver}");
            let node = "/dev/dri/card0".to_owned();
            let holder = Holder { node, pid: Some(7), command: "a".to_owned(), ..Holder::default() };
            host.holders = vec![(address, holder)];
            assert_eq!(forbidden(&host), [codes::CARD_HELD], "{driver} is held");
        }
    }

    /// Nothing may be kept from the drivers of disks and network cards while a file system could be reached by them, so these
    /// must come from any driver at boot.
    #[test]
    fn what_could_not_be_reserved_comes_from_any_driver_at_boot() {
        for (class, driver) in [(0x02_0000, "mlx5_core"), (0x01_0700, "mpt3sas"), (0x0c_0330, "somebody-new")] {
            let (mut config, mut host, address) = machine(driver);
            host.functions[0].class = class;
            assert_eq!(forbids(&config.gpus[0], &[address], &host), [], "{driver}");
            config.gpus[0].bind = Bind::Guest;
            let forbidden = forbids(&config.gpus[0], &[address], &host);
            assert_eq!(codes_of(&forbidden), [codes::DRIVER_STAYS], "{driver}");
        }
    }
}
