// SPDX-License-Identifier: LGPL-2.1-or-later
//! Whether the IOMMU works, from what the kernel did and not from what it was told.
//!
//! `/sys/class/iommu` gets its entries only after translation was enabled (`drivers/iommu/intel/iommu.c`,
//! `drivers/iommu/amd/init.c`); the log line "IOMMU enabled" is printed by the option parser and proves nothing.

use crate::root::{Root, IOMMU_GROUPS};

/// The state of the IOMMU.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Iommu {
    /// There are groups, or units that translate: what is in a group can be given away.
    pub active: bool,
    /// The units that translate: `dmar0` (Intel), `ivhd0` (AMD).
    pub units: Vec<String>,
    /// The firmware's table, `DMAR` or `IVRS`, which must be there for it to work; `None` if neither is.
    pub firmware: Option<&'static str>,
}

impl Iommu {
    /// Looks at it.
    pub fn scan(root: &Root) -> Iommu {
        let table = |name: &&'static str| root.exists(&format!("sys/firmware/acpi/tables/{name}"));
        let units = root.list("sys/class/iommu").unwrap_or_default();
        Iommu {
            // A missing directory means a kernel without IOMMU support: not active.
            active: !units.is_empty() || root.holds_anything(IOMMU_GROUPS),
            units,
            firmware: ["DMAR", "IVRS"].into_iter().find(table),
        }
    }
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
}
