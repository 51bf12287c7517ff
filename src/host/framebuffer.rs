// SPDX-License-Identifier: LGPL-2.1-or-later
//! The firmware's framebuffer: in whose memory it lies, as `/proc/iomem` shows it (`kernel/resource.c`).

use crate::pci::Address;
use crate::root::Root;

/// Names of ranges that are the firmware's framebuffer: the memory of a `simple-framebuffer`, which is there without a
/// driver too (`drivers/firmware/sysfb_simplefb.c`), then what drivers ask for (`drivers/video/fbdev`, `drivers/gpu/drm/sysfb`).
const NAMES: [&str; 7] = ["BOOTFB", "simplefb", "simpledrm", "efifb", "efidrm", "vesafb", "vesadrm"];

/// A range of the firmware's framebuffer inside the memory of a PCI function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Framebuffer {
    /// The function.
    pub function: Address,
    /// What the range is called.
    pub name: String,
    /// First and last byte; both 0 for who is not root.
    pub range: (u64, u64),
}

/// All that there are. None where `/proc/iomem` cannot be read, or once the display's own driver has taken over.
pub fn find(root: &Root) -> Vec<Framebuffer> {
    in_iomem(&String::from_utf8_lossy(&root.read("proc/iomem").unwrap_or_default()))
}

/// A line that further lines may lie in.
struct Above {
    depth: usize,
    range: (u64, u64),
    function: Option<Address>,
}

/// Framebuffers that are nested in a function's memory.
///
/// Who is not root sees zeros for all addresses, but the same lines: then how far a line is indented decides. The kernel
/// indents by five levels at most (`MAX_IORES_LEVEL`; eight since 6.19), which a card behind a switch on a chipset's port is
/// beyond, so addresses decide where there are any.
fn in_iomem(iomem: &str) -> Vec<Framebuffer> {
    let mut found = Vec::new();
    let mut above: Vec<Above> = Vec::new();
    for line in iomem.lines() {
        let Some((place, name)) = line.split_once(" : ") else { continue };
        let depth = place.len() - place.trim_start().len();
        let number = |text: &str| u64::from_str_radix(text, 16).ok();
        let Some((start, end)) = place.trim().split_once('-').and_then(|(a, b)| number(a).zip(number(b))) else {
            continue;
        };
        let holds = |a: &Above| match end {
            0 => a.depth < depth,
            _ => a.range.0 <= start && end <= a.range.1,
        };
        while above.last().is_some_and(|last| !holds(last)) {
            above.pop();
        }
        let function = Address::from_sysfs(name.as_bytes());
        if NAMES.contains(&name) {
            let owner = above.iter().rev().find_map(|a| a.function);
            found.extend(owner.map(|function| Framebuffer { function, name: name.to_owned(), range: (start, end) }));
        }
        above.push(Above { depth, range: (start, end), function });
    }
    found
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn owners(iomem: &str) -> Vec<(String, String)> {
        in_iomem(iomem).into_iter().map(|f| (f.function.to_string(), f.name)).collect()
    }

    fn is(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(function, name)| ((*function).to_owned(), (*name).to_owned())).collect()
    }

    /// As who is not root sees it.
    fn zeroed(iomem: &str) -> String {
        let digits = |line: &str| {
            let (place, name) = line.split_once(" : ").unwrap();
            let zeros: String = place.chars().map(|c| if c.is_ascii_hexdigit() { '0' } else { c }).collect();
            format!("{zeros} : {name}\n")
        };
        iomem.lines().map(digits).collect()
    }

    const DESKTOP: &str = "00000000-00000fff : Reserved\nc0000000-dfffffff : PCI Bus 0000:00\n  \
        c0000000-cfffffff : PCI Bus 0000:03\n    c0000000-cfffffff : 0000:03:00.0\n      c0000000-c02fffff : BOOTFB\n        \
        c0000000-c02fffff : simpledrm\n  d0000000-d0ffffff : 0000:00:02.0\n    d0000000-d0000fff : i915\n";

    #[test]
    fn a_framebuffer_belongs_to_the_innermost_function() {
        let expected = is(&[("0000:03:00.0", "BOOTFB"), ("0000:03:00.0", "simpledrm")]);
        assert_eq!(owners(DESKTOP), expected);
        assert_eq!(owners(&zeroed(DESKTOP)), expected, "without addresses");
        for nothing in ["", "efifb\n : efifb\n", "x-y : efifb\n", "c0000000-c02fffff : efifb\n"] {
            assert_eq!(owners(nothing), [], "{nothing:?}");
        }
        for name in ["efifb", "vesafb", "simplefb", "efidrm", "vesadrm"] {
            let iomem = format!("e0000000-efffffff : 0000:0e:00.0\n  e0000000-e07e8fff : {name}\n");
            assert_eq!(owners(&iomem), is(&[("0000:0e:00.0", name)]));
        }
    }

    /// A card on a switch of its own, in a slot of the chipset: the kernel indents no further than five levels.
    #[test]
    fn deep_below_bridges_addresses_tell() {
        let deep = "c0000000-dfffffff : PCI Bus 0000:00\n  c0000000-dfffffff : PCI Bus 0000:01\n    \
                    c0000000-dfffffff : PCI Bus 0000:02\n      c0000000-dfffffff : PCI Bus 0000:03\n        \
                    c0000000-dfffffff : PCI Bus 0000:04\n          c0000000-cfffffff : PCI Bus 0000:05\n          \
                    c0000000-cfffffff : 0000:05:00.0\n          c0000000-c02fffff : BOOTFB\n          \
                    d0000000-d0003fff : 0000:06:00.0\n";
        assert_eq!(owners(deep), is(&[("0000:05:00.0", "BOOTFB")]));
        assert_eq!(owners(&zeroed(deep)), [], "nobody could know");
    }
}
