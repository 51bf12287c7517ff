// SPDX-License-Identifier: LGPL-2.1-or-later
//! The firmware's framebuffer: in whose memory it lies, as `/proc/iomem` shows it (`kernel/resource.c`), and which device of
//! the platform bus it is (`drivers/firmware/sysfb.c`).

use crate::host::detail::parents;
use crate::pci::Address;
use crate::root::{Root, PLATFORM_DRIVERS};

/// The memory of a `simple-framebuffer`: the range is the device's own (`drivers/firmware/sysfb_simplefb.c`). It stays for as
/// long as the device is there, whether a driver has that or not.
pub const OWN: &str = "BOOTFB";

/// The drivers of the platform bus that take a firmware's framebuffer, which are named as their devices, each with what the
/// ranges are called (`drivers/video/fbdev`, `drivers/gpu/drm/sysfb`).
const DRIVERS: [(&str, &[&str]); 3] = [
    ("simple-framebuffer", &[OWN, "simplefb", "simpledrm"]),
    ("efi-framebuffer", &["efifb", "efidrm"]),
    ("vesa-framebuffer", &["vesafb", "vesadrm"]),
];

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

/// A framebuffer of the firmware's on a display, as far as moving it out of the way needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The display.
    pub function: Address,
    /// Whether the memory is the device's own: then it stays reserved when its driver has let go of it.
    pub own: bool,
    /// Whether the device hangs below the display's function (since 6.9, `sysfb_parent_dev()`): then the function outlives it in
    /// memory, and the framebuffer's range goes when the function is taken off the bus.
    pub goes_with_function: bool,
    /// The bridge above the function.
    pub bridge: Option<Address>,
}

/// What there is to know of the framebuffers on some functions.
pub(super) fn kept(root: &Root, framebuffers: &[Framebuffer]) -> Vec<Kept> {
    let mut kept: Vec<Kept> = Vec::new();
    for found in framebuffers {
        let function = found.function;
        if kept.iter().any(|k| k.function == function) {
            continue;
        }
        let below = || devices(root, "simple-framebuffer").iter().any(|(_, owner)| *owner == Some(function));
        let own = framebuffers.iter().any(|f| f.function == function && f.name == OWN);
        let bridge = parents(root, function).first().copied();
        kept.push(Kept { function, own, goes_with_function: own && below(), bridge });
    }
    kept
}

/// The devices of a driver of the platform bus or, without a driver, of that name; each with the PCI function that it hangs
/// below, if it does.
fn devices(root: &Root, name: &str) -> Vec<(String, Option<Address>)> {
    let names = root.list(PLATFORM_DEVICES).unwrap_or_default().into_iter().filter(|device| {
        let rest = device.strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with('.')) || device.ends_with(".framebuffer")
    });
    let with_owner = |device: String| {
        let place = root.read_link(&format!("{PLATFORM_DEVICES}/{device}")).unwrap_or_default();
        let owner = place.components().rev().find_map(|part| Address::from_sysfs(part.as_os_str().as_encoded_bytes()));
        (device, owner)
    };
    names.map(with_owner).collect()
}

const PLATFORM_DEVICES: &str = "sys/bus/platform/devices";

/// The framebuffer's device, while a driver has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// `simple-framebuffer`.
    pub driver: String,
    /// `simple-framebuffer.0`.
    pub device: String,
    /// The memory: first and last byte.
    pub range: (u64, u64),
}

/// The device of the framebuffer that lies on a function, if a driver has it: only what lies in the function's memory.
pub fn bound(root: &Root, function: Address) -> Option<Bound> {
    let found: Vec<Framebuffer> = find(root).into_iter().filter(|f| f.function == function).collect();
    let range = found.first()?.range;
    let (driver, _) = DRIVERS.iter().find(|(_, names)| found.iter().any(|f| names.contains(&f.name.as_str())))?;
    let has_driver = |device: &String| root.exists(&format!("{PLATFORM_DRIVERS}/{driver}/{device}"));
    let devices: Vec<_> = devices(root, driver).into_iter().filter(|(device, _)| has_driver(device)).collect();
    let below = devices.iter().find(|(_, owner)| *owner == Some(function));
    // Older kernels hang it below no function; then it must be the only one.
    let mut unknown = devices.iter().filter(|(_, owner)| owner.is_none());
    let (device, _) = below.or_else(|| unknown.next().filter(|_| unknown.next().is_none()))?;
    Some(Bound { driver: (*driver).to_owned(), device: device.clone(), range })
}

/// Whether a range is still within the memory of a function, and if `own` is asked for still a framebuffer's.
pub fn lies_in(root: &Root, function: Address, range: (u64, u64), own: bool) -> bool {
    let iomem = root.read("proc/iomem").unwrap_or_default();
    let iomem = String::from_utf8_lossy(&iomem);
    let function = function.to_string();
    let covers = iomem
        .lines()
        .filter_map(parse_iomem)
        .any(|(_, (start, end), name)| name == function && end > 0 && start <= range.0 && range.1 <= end);
    covers && (!own || find(root).iter().any(|f| f.name == OWN && f.range == range))
}

/// A line of `/proc/iomem`: how far it is indented, first and last byte, name.
fn parse_iomem(text: &str) -> Option<(usize, (u64, u64), &str)> {
    let (place, name) = text.split_once(" : ")?;
    let number = |text: &str| u64::from_str_radix(text, 16).ok();
    let (start, end) = place.trim().split_once('-')?;
    Some((place.len() - place.trim_start().len(), (number(start)?, number(end)?), name))
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
    for (depth, (start, end), name) in iomem.lines().filter_map(parse_iomem) {
        let holds = |a: &Above| match end {
            0 => a.depth < depth,
            _ => a.range.0 <= start && end <= a.range.1,
        };
        while above.last().is_some_and(|last| !holds(last)) {
            above.pop();
        }
        let function = Address::from_sysfs(name.as_bytes());
        if DRIVERS.iter().any(|(_, names)| names.contains(&name)) {
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
