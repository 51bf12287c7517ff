// SPDX-License-Identifier: LGPL-2.1-or-later
//! What the machine is built on, as far as an IOMMU depends on it: the processor's sort, and a hypervisor below.

use crate::root::Root;
use std::io::{BufRead, BufReader};

/// The processor's architecture, with its maker where the name of the IOMMU depends on that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// x86 of Intel: VT-d.
    Intel,
    /// x86 of AMD: AMD-Vi.
    Amd,
    /// ARM: SMMU.
    Arm,
    /// Another, or it cannot be told.
    #[default]
    Other,
}

/// What the machine is built on.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Platform {
    /// The processor.
    pub architecture: Architecture,
    /// The hypervisor's name, in a virtual machine.
    pub hypervisor: Option<&'static str>,
}

/// Hypervisors by what DMI says of the vendor or the product, in small letters.
const HYPERVISORS: [(&str, &str); 9] = [
    ("qemu", "QEMU"),
    ("kvm", "QEMU"),
    ("openstack", "QEMU"),
    ("vmware", "VMware"),
    ("virtualbox", "VirtualBox"),
    ("xen", "Xen"),
    ("apple virtualization", "Apple's hypervisor"),
    ("amazon ec2", "EC2's hypervisor"),
    ("google compute engine", "Google's hypervisor"),
];

impl Platform {
    /// Whether nothing is known of it.
    pub fn is_unknown(&self) -> bool {
        *self == Platform::default()
    }

    /// Looks at it. Of `/proc/cpuinfo` only the first processor is read: a server prints a megabyte.
    pub fn scan(root: &Root) -> Platform {
        let (mut platform, mut below) = (Platform::default(), false);
        if let Ok(file) = root.open_file("proc/cpuinfo") {
            let lines = BufReader::new(file).lines().map_while(Result::ok);
            for line in lines.skip_while(String::is_empty).take_while(|line| !line.is_empty()) {
                let Some((key, value)) = line.split_once(':') else { continue };
                match (key.trim(), value.trim()) {
                    ("vendor_id", "GenuineIntel") => platform.architecture = Architecture::Intel,
                    // Hygon's processors are AMD's design.
                    ("vendor_id", "AuthenticAMD" | "HygonGenuine") => platform.architecture = Architecture::Amd,
                    ("CPU implementer", _) => platform.architecture = Architecture::Arm,
                    // CPUID leaf 1, ECX bit 31 (arch/x86/include/asm/cpufeatures.h).
                    ("flags", flags) => below = flags.split(' ').any(|flag| flag == "hypervisor"),
                    _ => {}
                }
            }
        }
        platform.hypervisor = hypervisor(root).or_else(|| below.then_some("a hypervisor"));
        if platform.architecture != Architecture::Arm && !below {
            // Firmware of real machines names products as it likes.
            platform.hypervisor = None;
        }
        platform
    }
}

fn hypervisor(root: &Root) -> Option<&'static str> {
    let dmi = ["sys_vendor", "product_name"].map(|name| root.read_text(&format!("sys/class/dmi/id/{name}")));
    let dmi: Vec<String> = dmi.into_iter().flatten().map(|text| text.to_lowercase()).collect();
    if dmi.iter().any(|text| text.starts_with("microsoft")) && dmi.iter().any(|text| text == "virtual machine") {
        return Some("Hyper-V");
    }
    let by_dmi = || HYPERVISORS.iter().find(|(word, _)| dmi.iter().any(|text| text.contains(word)));
    // QEMU's "virt" machine without ACPI.
    let by_tree =
        || root.read("sys/firmware/devicetree/base/compatible").is_ok_and(|t| t.starts_with(b"linux,dummy-virt"));
    by_dmi().map(|(_, name)| *name).or_else(|| by_tree().then_some("QEMU"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn platform(files: &[(&str, &str)]) -> Platform {
        let tree = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = tree.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Platform::scan(&Root::open(tree.path()).unwrap())
    }

    #[test]
    fn processors_and_hypervisors() {
        const VENDOR: &str = "sys/class/dmi/id/sys_vendor";
        const PRODUCT: &str = "sys/class/dmi/id/product_name";
        const TREE: &str = "sys/firmware/devicetree/base/compatible";
        let intel = "processor\t: 0\nvendor_id\t: GenuineIntel\nflags\t\t: fpu vmx\n\nprocessor\t: 1\n";
        let amd_guest = "processor\t: 0\nvendor_id\t: AuthenticAMD\nflags\t\t: fpu hypervisor svm\n";
        let arm = "processor\t: 0\nBogoMIPS\t: 108.00\nCPU implementer\t: 0x41\n";
        let is = |files: &[(&str, &str)]| {
            let found = platform(&[&[files[0]], &files[1..]].concat());
            (found.architecture, found.hypervisor)
        };
        use Architecture::{Amd, Arm, Intel, Other};
        for (cpu, files, expected) in [
            (intel, &[][..], (Intel, None)),
            (intel, &[(VENDOR, "Micro-Star\n"), (PRODUCT, "KVM switch PC\n")], (Intel, None)),
            (amd_guest, &[], (Amd, Some("a hypervisor"))),
            (amd_guest, &[(VENDOR, "QEMU\n")], (Amd, Some("QEMU"))),
            (amd_guest, &[(VENDOR, "Red Hat\n"), (PRODUCT, "KVM\n")], (Amd, Some("QEMU"))),
            (amd_guest, &[(VENDOR, "VMware, Inc.\n")], (Amd, Some("VMware"))),
            (amd_guest, &[(VENDOR, "Microsoft Corporation\n"), (PRODUCT, "Virtual Machine\n")], (Amd, Some("Hyper-V"))),
            (arm, &[(TREE, "raspberrypi,5-model-b\0brcm,bcm2712\0")], (Arm, None)),
            (arm, &[(TREE, "linux,dummy-virt\0")], (Arm, Some("QEMU"))),
            (arm, &[(VENDOR, "QEMU\n")], (Arm, Some("QEMU"))),
            ("", &[(VENDOR, "QEMU\n")], (Other, None)),
        ] {
            assert_eq!(is(&[&[("proc/cpuinfo", cpu)], files].concat()), expected, "{cpu} {files:?}");
        }
    }
}
