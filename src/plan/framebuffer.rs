// SPDX-License-Identifier: LGPL-2.1-or-later
//! The firmware's framebuffer on a card: out of the way before a guest gets the card.
//!
//! A guest's program maps the BARs of its card, for which vfio-pci reserves them (`pci_request_selected_regions()`), each as a
//! whole: "can't reserve" where the firmware's framebuffer lies in one. vfio-pci takes that out of the way itself, but of VGA
//! controllers only, and since 6.0 (`vfio_pci_vga_init()`). On displays of class 0380 and 3D controllers it stays.

use super::{Finding, Step};
use crate::config::Gpu;
use crate::finding::codes;
use crate::host::framebuffer::Kept;
use crate::host::{Function, Host};
use crate::pci::Address;

/// Whether vfio-pci takes the framebuffer out of the way by itself.
fn vfio_does(function: &Function, host: &Host) -> bool {
    let major = host.kernel.split('.').next().and_then(|major| major.parse::<u32>().ok());
    function.class >> 8 == 0x0300 && major.is_none_or(|major| major >= 6)
}

/// The steps before any of these functions is resized, re-enumerated or bound. `all`: also from where vfio-pci would take it:
/// what is taken off the bus must not be drawn on.
pub fn evictions(functions: &[Address], host: &Host, all: bool) -> Vec<Step> {
    let on = |a: &&Address| host.displays.iter().any(|d| d.function == **a && d.firmware_framebuffer);
    let asked = functions.iter().filter(on).filter_map(|a| host.function(*a));
    asked.filter(|f| all || !vfio_does(f, host)).map(|f| Step::Evict { function: f.address }).collect()
}

/// Functions that must be re-enumerated for it: the memory of a `simple-framebuffer` stays reserved when its driver has let go,
/// for as long as the device is there, and nobody can take that away but a display's driver. It is not part of the function
/// that is re-enumerated.
pub fn reenumerated<'h>(functions: &[Address], host: &'h Host) -> Vec<&'h Kept> {
    // A splash screen may have the framebuffer itself open; it is not a guest.
    let open = |a: Address| host.holders.iter().any(|(held, by)| *held == a && by.node.starts_with("/dev/vfio/"));
    let ours = host.framebuffers.iter().filter(|k| k.own && functions.contains(&k.function) && !open(k.function));
    let needed = |k: &&Kept| host.function(k.function).is_some_and(|f| !vfio_does(f, host));
    ours.filter(needed).filter(|k| k.goes_with_function).collect()
}

/// The steps that re-enumerate such a function; a driver that binds it first is unbound again.
pub fn reenumerate(kept: &Kept, driver: &str) -> Vec<Step> {
    let function = kept.function;
    vec![
        Step::Autoprobe { on: false },
        Step::Remove { function },
        Step::Rescan { below: kept.bridge, expect: vec![function] },
        Step::Override { function, driver: Some(driver.to_owned()) },
        Step::Free { function },
        Step::Autoprobe { on: true },
    ]
}

/// Where nothing frees the memory: said, with what helps.
pub fn stays(gpu: &Gpu, functions: &[Address], host: &Host) -> Vec<Finding> {
    let ours = host.framebuffers.iter().filter(|k| k.own && !k.goes_with_function && functions.contains(&k.function));
    let needed = |k: &&Kept| host.function(k.function).is_some_and(|f| !vfio_does(f, host));
    let finding = |k: &Kept| {
        let text = format!(
            "the firmware's framebuffer keeps memory of {} reserved, which this kernel ({}) gives to nobody but the display's own \
             driver: a guest fails with \"can't reserve\"",
            k.function, host.kernel
        );
        let finding = Finding::card(gpu, &gpu.device.at, codes::FRAMEBUFFER_STAYS, text).warning();
        finding.hint("use 'bind = guest', or a newer kernel")
    };
    ours.filter(needed).map(finding).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_nothing_frees_is_said() {
        let config = crate::config::parse_files(&[("/etc/vfio.conf", b"[gpu big]\ndevice = 0000:03:00.0\n")]);
        let address: Address = "0000:03:00.0".parse().unwrap();
        let machine = |class, kernel: &str, goes_with_function| {
            let function = Function { group: Some(1), ..Function::new(address, (0x8086, 0x56a0), class) };
            let kept = Kept { function: address, own: true, goes_with_function, bridge: None };
            let kernel = kernel.to_owned();
            Host { functions: vec![function], framebuffers: vec![kept], kernel, ..Host::default() }
        };
        for (class, kernel, goes_with_function, said) in [
            (0x03_8000, "6.1.0-44-amd64", false, true),
            // It is re-enumerated.
            (0x03_8000, "6.12.57", true, false),
            // vfio-pci does it.
            (0x03_0000, "6.1.0-44-amd64", false, false),
            (0x03_0000, "5.15.0-91-generic", false, true),
        ] {
            let host = machine(class, kernel, goes_with_function);
            let found: Vec<_> = stays(&config.gpus[0], &[address], &host).iter().map(|finding| finding.code).collect();
            let expected: &[codes::Code] = if said { &[codes::FRAMEBUFFER_STAYS] } else { &[] };
            assert_eq!(found, expected, "{class:06x} {kernel}");
            assert_eq!(reenumerated(&[address], &host).len(), usize::from(goes_with_function), "{class:06x} {kernel}");
        }
    }
}
