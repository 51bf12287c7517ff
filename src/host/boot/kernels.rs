// SPDX-License-Identifier: LGPL-2.1-or-later
//! The kernels that are installed, what they do with Intel's IOMMU when no parameter says so, and whose processor it is.

use super::{IntelDefault, KernelBuild, Vendor};
use crate::host::iommu::Iommu;
use crate::host::modules;
use crate::host::platform::{Architecture, Platform};
use crate::root::Root;
use std::io::Read;

/// A kernel's configuration is a quarter of a megabyte.
const CONFIG_LIMIT: u64 = 4 << 20;

/// The kernels, by their files and modules, sorted by release.
pub(super) fn scan(root: &Root) -> Vec<KernelBuild> {
    let mut releases = Vec::new();
    for directory in ["lib/modules", "usr/lib/modules"] {
        // What is built later (modules.dep, DKMS) stays when a kernel goes; what its package brings does not.
        let there = |release: &String| {
            let has = |name: &str| root.exists(&format!("{directory}/{release}/{name}"));
            ["kernel", "vmlinuz", "modules.builtin", "modules.order"].into_iter().any(has)
        };
        releases.extend(root.list(directory).unwrap_or_default().into_iter().filter(there));
    }
    // One without modules.
    let boot = root.list("boot").unwrap_or_default();
    let whole = |release: &&str| {
        ["vmlinuz", "vmlinux", "kernel"].into_iter().any(|image| root.exists(&format!("boot/{image}-{release}")))
    };
    releases.extend(boot.iter().filter_map(|name| name.strip_prefix("config-")).filter(whole).map(str::to_owned));
    releases.sort_unstable();
    releases.dedup();
    let running = modules::release(root);
    let build = |release: String| {
        let config = config(root, &release, running.as_deref() == Some(&release));
        KernelBuild { intel: config.map_or(IntelDefault::Unknown, |config| intel(&config)), release }
    };
    releases.into_iter().map(build).collect()
}

/// The configuration a kernel was built with.
fn config(root: &Root, release: &str, running: bool) -> Option<String> {
    let files = [
        format!("boot/config-{release}"),
        format!("usr/lib/modules/{release}/config"),
        format!("lib/modules/{release}/config"),
        format!("usr/lib/modules/{release}/build/.config"),
        format!("lib/modules/{release}/build/.config"),
    ];
    // A file that is cut off would say "off" of everything in the rest.
    let is_whole = |text: &String| text.contains("CONFIG_PCI=y");
    let text = files.iter().find_map(|path| {
        let mut bytes = Vec::new();
        root.open_file(path).ok()?.take(CONFIG_LIMIT).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned()).filter(is_whole)
    });
    text.or_else(|| if running { packed(root).filter(is_whole) } else { None })
}

/// The running kernel's own copy (`CONFIG_IKCONFIG_PROC`); where a distribution ships no other, as Arch.
fn packed(root: &Root) -> Option<String> {
    let mut bytes = Vec::new();
    let file = root.open_file("proc/config.gz").ok()?;
    flate2::read::GzDecoder::new(file.take(CONFIG_LIMIT)).take(CONFIG_LIMIT).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// `drivers/iommu/intel/Kconfig`; the choice without integrated graphics is Debian's, and upstream's since 7.3.
fn intel(config: &str) -> IntelDefault {
    let set = |name: &str| config.lines().any(|line| line.trim_end().strip_suffix("=y") == Some(name));
    if set("CONFIG_INTEL_IOMMU_DEFAULT_ON_INTGPU_OFF") {
        IntelDefault::OnButIntegrated
    } else if set("CONFIG_INTEL_IOMMU_DEFAULT_ON") {
        IntelDefault::On
    } else {
        IntelDefault::Off
    }
}

/// Whose IOMMU the machine has: by the firmware's table, which its driver goes by too; if there is none (it may be switched off
/// in the setup), by the processor.
pub(super) fn vendor(root: &Root) -> Vendor {
    match Iommu::scan(root).firmware {
        Some("DMAR") => Vendor::Intel,
        Some("IVRS") => Vendor::Amd,
        _ => match Platform::scan(root).architecture {
            Architecture::Intel => Vendor::Intel,
            Architecture::Amd => Vendor::Amd,
            Architecture::Arm | Architecture::Other => Vendor::Other,
        },
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_firmware_says_whose_iommu_it_is() {
        for (table, cpu, vendor) in [
            (None, "GenuineIntel", Vendor::Intel),
            (None, "HygonGenuine", Vendor::Amd),
            (None, "CentaurHauls", Vendor::Other),
            (Some("DMAR"), "CentaurHauls", Vendor::Intel),
            (Some("IVRS"), "GenuineIntel", Vendor::Amd),
        ] {
            let tree = tempfile::tempdir().unwrap();
            let write = |path: &str, text: &str| {
                let path = tree.path().join(path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            };
            write("proc/cpuinfo", &format!("processor\t: 0\nvendor_id\t: {cpu}\n"));
            table.iter().for_each(|table| write(&format!("sys/firmware/acpi/tables/{table}"), ""));
            assert_eq!(super::vendor(&Root::open(tree.path()).unwrap()), vendor, "{table:?} {cpu}");
        }
    }

    #[test]
    fn what_a_configuration_says() {
        for (config, default) in [
            ("CONFIG_INTEL_IOMMU=y\nCONFIG_INTEL_IOMMU_DEFAULT_ON=y\n", IntelDefault::On),
            (
                "# CONFIG_INTEL_IOMMU_DEFAULT_ON is not set\nCONFIG_INTEL_IOMMU_DEFAULT_ON_INTGPU_OFF=y\n",
                IntelDefault::OnButIntegrated,
            ),
            ("# CONFIG_INTEL_IOMMU_DEFAULT_ON is not set\nCONFIG_INTEL_IOMMU_DEFAULT_OFF=y\n", IntelDefault::Off),
            ("", IntelDefault::Off),
        ] {
            assert_eq!(intel(config), default, "{config}");
        }
    }
}
