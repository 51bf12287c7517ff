// SPDX-License-Identifier: LGPL-2.1-or-later
//! Whether the IOMMU works, from what the kernel did and not from what it was told.
//!
//! `/sys/class/iommu` gets its entries only after translation was enabled (`drivers/iommu/intel/iommu.c`,
//! `drivers/iommu/amd/init.c`); the log line "IOMMU enabled" is printed by the option parser and proves nothing.

use super::function;
use super::platform::Platform;
use crate::pci::Address;
use crate::root::{Root, IOMMU_GROUPS, PCI_DEVICES};

/// The state of the IOMMU.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Iommu {
    /// There are groups, or units that translate: what is in a group can be given away.
    pub active: bool,
    /// The units that translate: `dmar0` (Intel), `ivhd0` (AMD).
    pub units: Vec<String>,
    /// The firmware's table: `DMAR` or `IVRS`, which must be there for those to work, or `IORT`, in which an SMMU may be;
    /// `None` if none of them is there.
    pub firmware: Option<&'static str>,
    /// What the machine is built on; looked at only where no firmware's table says whose IOMMU it has.
    #[serde(skip_serializing_if = "Platform::is_unknown")]
    pub platform: Platform,
}

impl Iommu {
    /// Looks at it.
    pub fn scan(root: &Root) -> Iommu {
        let table = |name: &&'static str| root.exists(&format!("sys/firmware/acpi/tables/{name}"));
        let units = root.list("sys/class/iommu").unwrap_or_default();
        // A missing directory means a kernel without IOMMU support: not active.
        let active = !units.is_empty() || root.holds_anything(IOMMU_GROUPS);
        let firmware = ["DMAR", "IVRS", "IORT"].into_iter().find(table);
        let known = matches!(firmware, Some("DMAR" | "IVRS"));
        let platform = if known { Platform::default() } else { Platform::scan(root) };
        Iommu { active, units, firmware, platform }
    }

    /// Whether it translates for any PCI function: a Raspberry Pi has IOMMUs, but none between PCIe and memory.
    pub fn covers_pci(root: &Root) -> bool {
        let mut any = false;
        // No PCI bus: nothing is covered.
        let _ = root.for_each_name(PCI_DEVICES, |name| {
            any = any || Address::from_sysfs(name).is_some_and(|address| function::group(root, address).is_some());
        });
        any
    }
}

/// How many bits an address may have that a function reaches, where that is fewer than the processor's: the smallest "maximum
/// guest address width" of Intel's units (VT-d specification, capability register, bits 16 to 21; the kernel shows the register
/// in `intel-iommu/cap`).
pub fn address_bits(root: &Root) -> Option<u32> {
    let units = root.list("sys/class/iommu").unwrap_or_default();
    let register = |unit: &String| root.read_text(&format!("sys/class/iommu/{unit}/intel-iommu/cap")).ok();
    let width = |text: String| u64::from_str_radix(&text, 16).ok().map(|cap| (cap >> 16 & 0x3f) as u32 + 1);
    let reached = units.iter().filter_map(register).filter_map(width).min()?;
    let cpuinfo = root.read_text("proc/cpuinfo").ok()?;
    let line = cpuinfo.lines().find_map(|line| line.strip_prefix("address sizes")?.split_once(':'))?;
    let processor: u32 = line.1.split_whitespace().next()?.parse().ok()?;
    (reached < processor).then_some(reached)
}

/// The first part of memory that the firmware wants mapped 1:1 for a group, whatever else is mapped there: a line of its
/// `reserved_regions` that ends in `direct` (`drivers/iommu/iommu.c`, `iommu_group_resv_type_string`). What ends in
/// `direct-relaxable`, as the kernel has it for graphics and USB, keeps nobody from a guest.
pub fn direct(root: &Root, group: u32) -> Option<String> {
    let text = root.read_text(&format!("{IOMMU_GROUPS}/{group}/reserved_regions")).ok()?;
    text.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let (start, end, kind) = (words.next()?, words.next()?, words.next()?);
        let number = |word: &str| u64::from_str_radix(word.trim_start_matches("0x"), 16).ok();
        (kind == "direct").then_some(format!("{:#x} to {:#x}", number(start)?, number(end)?))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn groups_or_units_show_that_it_works() {
        for (there, active) in [
            (&[][..], false),
            (&["sys/class/iommu", "sys/kernel/iommu_groups"], false),
            (&["sys/kernel/iommu_groups/0"], true),
            (&["sys/class/iommu/dmar0", "sys/kernel/iommu_groups"], true),
        ] {
            let tree = tempfile::tempdir().unwrap();
            there.iter().for_each(|directory| std::fs::create_dir_all(tree.path().join(directory)).unwrap());
            let iommu = Iommu::scan(&Root::open(tree.path()).unwrap());
            assert_eq!(iommu.active, active, "{there:?}");
        }
    }

    #[test]
    fn only_what_cannot_be_relaxed_is_kept_from_guests() {
        for (regions, expected) in [
            ("0x00000000fee00000 0x00000000feefffff msi\n", None),
            (
                "0x0000000000000000 0x0000000000ffffff direct-relaxable\n0x00000000fee00000 0x00000000feefffff msi\n",
                None,
            ),
            ("0x000000007b800000 0x000000007fffffff direct\n", Some("0x7b800000 to 0x7fffffff")),
            ("0x000000fd00000000 0x000000ffffffffff reserved\ndirect\n\n", None),
        ] {
            let tree = tempfile::tempdir().unwrap();
            let directory = tree.path().join("sys/kernel/iommu_groups/7");
            std::fs::create_dir_all(&directory).unwrap();
            std::fs::write(directory.join("reserved_regions"), regions).unwrap();
            let root = Root::open(tree.path()).unwrap();
            assert_eq!(direct(&root, 7).as_deref(), expected, "{regions}");
            assert_eq!(direct(&root, 8), None);
        }
    }
}
