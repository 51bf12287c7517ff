// SPDX-License-Identifier: LGPL-2.1-or-later
//! Long files without what says nothing of this machine: of a list of all devices in the world those that are here.

use crate::host::function;
use crate::root::Root;
use std::collections::BTreeSet;

/// What the names of modules begin with that are asked for although no device here has them.
const MODULES: [&str; 13] = [
    "vfio",
    "kvm",
    "nvidia",
    "nouveau",
    "amdgpu",
    "radeon",
    "i915",
    "xe",
    "ast",
    "mgag200",
    "snd_hda",
    "vendor_reset",
    "simpledrm",
];
/// Of a kernel's configuration what is asked for, and the line that says that it is whole.
const OPTIONS: [&str; 4] = ["CONFIG_PCI=", "CONFIG_INTEL_IOMMU", "CONFIG_AMD_IOMMU", "CONFIG_VFIO"];
/// Of a module the end is kept, where its signature is, in bytes.
const END: usize = 512;

/// What is here.
#[derive(Debug, Default)]
pub(super) struct Thinner {
    /// Vendor and device of each function.
    ids: BTreeSet<(String, String)>,
    /// Modules that are loaded, and drivers of functions.
    modules: BTreeSet<String>,
}

impl Thinner {
    /// Looks at what is here.
    pub(super) fn of(root: &Root) -> Thinner {
        let mut found = Thinner::default();
        for address in function::addresses(root) {
            let id = |name: &str| {
                let text = root.read_text(&function::attribute(address, name)).unwrap_or_default();
                text.trim_start_matches("0x").to_lowercase()
            };
            found.ids.insert((id("vendor"), id("device")));
            let driver = root.link_name(&function::attribute(address, "driver")).unwrap_or_default();
            found.modules.insert(driver.replace('-', "_"));
        }
        let loaded = root.list("sys/module").unwrap_or_default();
        found
            .modules
            .extend(loaded.iter().filter(|module| root.exists(&format!("sys/module/{module}/initstate"))).cloned());
        found
    }

    /// What of a file is kept.
    pub(super) fn thin(&self, path: &str, bytes: Vec<u8>) -> Vec<u8> {
        let name = path.rsplit('/').next().unwrap_or(path);
        let lines = |kept: &dyn Fn(&str) -> bool| lines_of(&bytes, kept);
        match name {
            "pci.ids" => self.names(&bytes),
            "modules.alias" => lines(&|line| self.is_alias(line)),
            "modules.dep" | "modules.builtin" => {
                // Which others a module needs is modprobe's business.
                let text = String::from_utf8_lossy(&bytes);
                let paths = text.lines().map(|line| (line, line.split(':').next().unwrap_or(line)));
                let kept = paths.filter(|(_, path)| self.is_module(path));
                kept.map(|(line, path)| if line.contains(':') { format!("{path}:\n") } else { format!("{path}\n") })
                    .collect::<String>()
                    .into_bytes()
            }
            "cpuinfo" => {
                let text = String::from_utf8_lossy(&bytes);
                text.split_inclusive("\n\n").next().unwrap_or_default().as_bytes().to_vec()
            }
            _ if name.starts_with("config-") && path.starts_with("boot/") || path.ends_with("/build/.config") => {
                lines(&|line| OPTIONS.iter().any(|option| line.contains(option)))
            }
            _ if name.ends_with(".ko") => bytes[bytes.len().saturating_sub(END)..].to_vec(),
            "config" if path.starts_with("sys/") => without_serial_number(bytes),
            _ => bytes,
        }
    }

    /// The vendors and devices of `pci.ids` that are here.
    fn names(&self, bytes: &[u8]) -> Vec<u8> {
        let (mut vendor, mut kept) = (String::new(), String::new());
        for line in String::from_utf8_lossy(bytes).lines() {
            let is_here = match (line.strip_prefix('\t'), line) {
                (Some(device), _) => {
                    !device.starts_with('\t')
                        && device.get(..4).is_some_and(|id| self.ids.contains(&(vendor.clone(), id.to_lowercase())))
                }
                (None, "") => false,
                (None, line) if line.starts_with('#') => false,
                // Classes follow the vendors.
                (None, line) if line.starts_with("C ") => break,
                (None, line) => {
                    vendor = line.get(..4).unwrap_or_default().to_lowercase();
                    self.ids.iter().any(|(known, _)| *known == vendor)
                }
            };
            if is_here {
                kept.push_str(line);
                kept.push('\n');
            }
        }
        kept.into_bytes()
    }

    /// Whether a line of `modules.alias` is of vfio's drivers, or of a device that is here.
    fn is_alias(&self, line: &str) -> bool {
        let Some(alias) = line.strip_prefix("alias ") else { return false };
        let device = |rest: &str| {
            let id = |at: usize| rest.get(at..at + 8).map(|digits| digits.trim_start_matches("0000").to_lowercase());
            id(1).zip(id(10)).is_some_and(|ids| self.ids.contains(&ids))
        };
        alias.starts_with("vfio_pci:") || alias.strip_prefix("pci:").is_some_and(device)
    }

    fn is_module(&self, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        let name = name.split_once(".ko").map_or(name, |(name, _)| name).replace('-', "_");
        self.modules.contains(&name) || MODULES.iter().any(|start| name.starts_with(start))
    }
}

fn lines_of(bytes: &[u8], kept: &dyn Fn(&str) -> bool) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    text.lines().filter(|line| kept(line)).flat_map(|line| [line, "\n"]).collect::<String>().into_bytes()
}

/// A configuration space without the number that no other device in the world has (`PCI_EXT_CAP_ID_DSN`).
fn without_serial_number(mut config: Vec<u8>) -> Vec<u8> {
    const CAPABILITY: u32 = 0x03;
    /// The first extended capability; each has two words at least.
    const FIRST: usize = 0x100;
    let mut at = FIRST;
    for _ in 0..(4096 - FIRST) / 8 {
        let Some(head) = config.get(at..at + 4).and_then(|head| head.try_into().ok()).map(u32::from_le_bytes) else {
            break;
        };
        if head & 0xffff == CAPABILITY {
            if let Some(number) = config.get_mut(at + 4..at + 12) {
                number.fill(0);
            }
        }
        at = head as usize >> 20 & !3;
        if at < FIRST {
            break;
        }
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here() -> Thinner {
        let ids = [("1002", "73bf"), ("10de", "1e87")].map(|(vendor, device)| (vendor.to_owned(), device.to_owned()));
        Thinner { ids: ids.into(), modules: ["snd_x".to_owned()].into() }
    }

    fn thinned(path: &str, text: &str) -> String {
        String::from_utf8_lossy(&here().thin(path, text.as_bytes().to_vec())).into_owned()
    }

    #[test]
    fn of_lists_what_is_here_is_kept() {
        let ids =
            "# x\n1001  K\n\t73bf  not ours\n1002  AMD\n\t0001  A\n\t73bf  Navi\n\t\t1da2 e445  Card\nC 03  Display\n";
        assert_eq!(thinned("usr/share/misc/pci.ids", ids), "1002  AMD\n\t73bf  Navi\n");
        let alias =
            "alias pci:v000010DEd00001E87sv*sd*bc*sc*i* nouveau\nalias pci:v000010DEd00001E88sv*sd*bc*sc*i* nouveau\n\
                     alias vfio_pci:v*d* vfio_pci\nalias usb:v1 x\n";
        assert_eq!(thinned("lib/modules/6.12/modules.alias", alias).lines().count(), 2);
        let dep = "kernel/a/vfio-pci.ko.xz: kernel/b.ko\nkernel/other.ko: kernel/b.ko\nkernel/snd-x.ko:\n";
        assert_eq!(thinned("lib/modules/6.12/modules.dep", dep), "kernel/a/vfio-pci.ko.xz:\nkernel/snd-x.ko:\n");
        assert_eq!(thinned("proc/cpuinfo", "a\nb\n\na\nb\n\n"), "a\nb\n\n");
        assert_eq!(
            thinned("boot/config-6.12", "CONFIG_PCI=y\nCONFIG_X=y\n# CONFIG_VFIO is not set\n").lines().count(),
            2
        );
        assert_eq!(thinned("etc/vfio.conf", "[gpu a]\n"), "[gpu a]\n");
    }

    #[test]
    fn a_serial_number_is_taken_out_of_a_configuration_space() {
        let mut config = vec![0; 4096];
        config[0x100..0x104].copy_from_slice(&(0x0001_u32 | 0x150 << 20).to_le_bytes());
        config[0x150..0x154].copy_from_slice(&(0x0003_u32 | 0x200 << 20).to_le_bytes());
        config[0x154..0x15c].fill(0xab);
        config[0x200] = 0x15;
        let mut expected = config.clone();
        expected[0x154..0x15c].fill(0);
        assert_eq!(without_serial_number(config), expected);
        // One that leads to itself ends.
        let mut round = vec![0; 4096];
        round[0x100..0x104].copy_from_slice(&(0x0001_u32 | 0x100 << 20).to_le_bytes());
        assert_eq!(without_serial_number(round.clone()), round);
        assert_eq!(without_serial_number(vec![1; 64]), [1; 64]);
    }
}
