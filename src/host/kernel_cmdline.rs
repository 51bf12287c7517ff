// SPDX-License-Identifier: LGPL-2.1-or-later
//! The kernel's command line.

use crate::root::Root;

/// Whether the kernel takes a byte for white space (`lib/ctype.c`, `_S`): what C does, and 0xa0, Latin-1's no-break space.
pub fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r' | 0xa0)
}

/// The parameters of `/proc/cmdline`, quotes kept as the kernel got them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KernelCmdline {
    parameters: Vec<String>,
}

impl KernelCmdline {
    /// Reads them; none if there is no `/proc`.
    pub fn read(root: &Root) -> KernelCmdline {
        KernelCmdline::of_bytes(&root.read("proc/cmdline").unwrap_or_default())
    }

    /// Splits a command line as the kernel does.
    pub fn parse(line: &str) -> KernelCmdline {
        KernelCmdline::of_bytes(line.as_bytes())
    }

    /// At white space, except inside double quotes (`lib/cmdline.c`, `next_arg`).
    fn of_bytes(line: &[u8]) -> KernelCmdline {
        let mut quoted = false;
        let parameters = line.split(|byte| {
            quoted ^= *byte == b'"';
            is_space(*byte) && !quoted
        });
        let parameters = parameters
            .filter(|parameter| !parameter.is_empty())
            .map(|parameter| String::from_utf8_lossy(parameter).into_owned());
        KernelCmdline { parameters: parameters.collect() }
    }

    /// All parameters.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.parameters.iter().map(String::as_str)
    }

    /// The parameter that switches the whole suite off, if there is one: `vfio=off` or `rd.vfio=off`
    /// (`0`, `no` and `false` mean the same). One is enough, whatever else is said, as for the conditions in our units.
    pub fn switched_off(&self) -> Option<&str> {
        self.iter().find(|parameter| {
            let value = ["vfio=", "rd.vfio="].iter().find_map(|key| parameter.strip_prefix(key));
            value.is_some_and(|value| matches!(value, "off" | "0" | "no" | "false"))
        })
    }

    /// Whether a parameter of the user gives devices of these ids to vfio-pci or pci-stub (`vfio_pci.ids=10de:1e87,...`): no host
    /// driver has them then.
    pub fn gives_away(&self, vendor: u16, device: u16) -> bool {
        let lists = self.iter().filter_map(|parameter| {
            let (module, list) = parameter.split_once(".ids=")?;
            ["vfio-pci", "vfio_pci", "pci-stub", "pci_stub"].contains(&module).then_some(list)
        });
        let number = |text: Option<&str>| text.and_then(|text| u16::from_str_radix(text, 16).ok());
        lists.flat_map(|list| list.split(',')).any(|ids| {
            let mut parts = ids.split(':');
            number(parts.next()) == Some(vendor) && number(parts.next()) == Some(device)
        })
    }

    /// The parameter that keeps the IOMMU off, if there is one.
    pub fn iommu_off(&self) -> Option<&str> {
        self.iter().find(|w| matches!(*w, "intel_iommu=off" | "amd_iommu=off" | "iommu=off"))
    }

    /// The parameter that switches Intel's IOMMU on, if there is one; it may list more (`intel_iommu=on,sm_on`).
    pub fn intel_iommu_on(&self) -> Option<&str> {
        let on = |parameter: &&str| {
            parameter.strip_prefix("intel_iommu=").is_some_and(|list| list.split(',').any(|w| w == "on"))
        };
        self.iter().find(on)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_switch() {
        for (line, off) in [
            ("root=/dev/vda ro", None),
            ("root=/dev/vda vfio=off ro\n", Some("vfio=off")),
            ("rd.vfio=0", Some("rd.vfio=0")),
            ("vfio=off vfio=on", Some("vfio=off")),
            ("vfio=on vfio=no", Some("vfio=no")),
            ("xvfio=off vfio.off vfio", None),
            ("a=\"b vfio=off c\"", None),
            ("a\u{b}vfio=off\u{c}b", Some("vfio=off")),
            ("a\u{a0}vfio=off", Some("vfio=off")),
            ("a\u{2003}vfio=off", None),
        ] {
            assert_eq!(KernelCmdline::parse(line).switched_off(), off, "{line}");
        }
    }

    #[test]
    fn ids_that_are_given_away() {
        let parameters =
            KernelCmdline::parse("quiet vfio_pci.ids=10de:1e87,10DE:10f8:ffff pci_stub.ids=1022:149c ids=8086:15f3");
        let given = [(0x10de, 0x1e87), (0x10de, 0x10f8), (0x1022, 0x149c)];
        assert!(given.iter().all(|(vendor, device)| parameters.gives_away(*vendor, *device)));
        assert!(!parameters.gives_away(0x8086, 0x15f3) && !parameters.gives_away(0x10de, 0x149c));
    }

    #[test]
    fn the_word_for_intel() {
        for (line, on) in [
            ("quiet intel_iommu=on", Some("intel_iommu=on")),
            ("intel_iommu=sm_on,on ro", Some("intel_iommu=sm_on,on")),
            ("intel_iommu=sm_on", None),
            ("amd_iommu=on iommu=pt intel_iommu=off", None),
        ] {
            assert_eq!(KernelCmdline::parse(line).intel_iommu_on(), on, "{line}");
        }
    }
}
