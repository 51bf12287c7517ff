// SPDX-License-Identifier: LGPL-2.1-or-later
//! Which functions are a card, and which only share a slot with it: an APU has the security processor, USB hosts and the
//! board's sound in the slot of its display.

use super::Finding;
use crate::config::Gpu;
use crate::finding::codes;
use crate::host::{Function, Host};
use crate::pci::Address;
use crate::plan::device::Device;
use crate::plan::list::listed;
use crate::plan::selection::Selection;

/// A display or an accelerator: what a card is bought for.
pub(super) fn is_main(function: &Function) -> bool {
    matches!(function.class >> 16, 0x03 | 0x12)
}

/// What graphics cards have beside it: sound, USB and USB-C.
pub(super) fn goes_with_main(function: &Function) -> bool {
    matches!(function.class >> 8, 0x0403 | 0x0c03 | 0x0c80)
}

/// Those of a device's functions that are the card. `named` says which function the user named, by address or by what it is;
/// where that is none of the card it stands alone.
///
/// A slot is a card's own if it holds nothing but what graphics cards have. In a slot with anything else only the displays
/// are the card's, and the sound of the same maker: so it is in AMD's processors, whose displays and their sound are 1002,
/// and whose USB hosts, security processor and other sound are 1022. Where there is no display, functions of one sort are
/// one device (the ports of a network card).
pub fn own_functions(members: &[&Function], named: impl Fn(&Function) -> bool) -> Vec<Address> {
    let mains: Vec<&Function> = members.iter().copied().filter(|f| is_main(f)).collect();
    let only_named = || members.iter().filter(|f| named(f)).map(|f| f.address).collect();
    if mains.is_empty() {
        let alike = members.windows(2).all(|two| two[0].class >> 8 == two[1].class >> 8);
        return if alike { members.iter().map(|f| f.address).collect() } else { only_named() };
    }
    let within_processor = is_processor(members);
    let alone = !within_processor && members.iter().all(|f| is_main(f) || goes_with_main(f));
    let sound_of_it = |f: &Function| f.class >> 8 == 0x0403 && mains.iter().any(|main| main.vendor == f.vendor);
    let belongs = |f: &&&Function| alone || is_main(f) || sound_of_it(f);
    let own: Vec<&Function> = members.iter().filter(belongs).copied().collect();
    if own.iter().any(|f| named(f)) {
        own.iter().map(|f| f.address).collect()
    } else {
        only_named()
    }
}

/// Whether these functions of one slot are in a processor of AMD: its display is 1002, all else in the slot 1022.
fn is_processor(members: &[&Function]) -> bool {
    members.iter().any(|f| f.vendor == 0x1002 && f.is_display()) && members.iter().any(|f| f.vendor == 0x1022)
}

/// Whether a function is the graphics of a processor of AMD.
pub fn is_apu(function: &Function, host: &Host) -> bool {
    function.vendor == 0x1002 && function.is_display() && is_processor(&Device::of(function).members(host))
}

/// What is in the slot of a card and none of it, nor anybody's (`taken`): it stays with the host unless it is asked for.
pub fn rest(gpu: &Gpu, card: &[Address], taken: impl Fn(Address) -> bool, host: &Host) -> Option<Finding> {
    let first = host.function(*card.first()?)?;
    let members = Device::of(first).members(host);
    let rest: Vec<&&Function> = members.iter().filter(|f| !card.contains(&f.address) && !taken(f.address)).collect();
    if rest.is_empty() || !card.iter().filter_map(|a| host.function(*a)).any(is_main) {
        return None;
    }
    let numbers = members.iter().filter(|f| !taken(f.address) || card.contains(&f.address));
    let text = format!(
        "the slot of {} also has {}, which stay with the host",
        first.address,
        listed(&rest.iter().map(|f| format!("{} ({})", f.address, f.kind())).collect::<Vec<_>>()),
    );
    let numbers = numbers.map(|f| f.address.function.to_string()).collect::<Vec<_>>().join(",");
    let hint = format!("to give them to the guest too, list them ('functions = {numbers}')");
    Some(Finding::card(gpu, &gpu.device.at, codes::REST_OF_SLOT_STAYS, text).hint(hint).note())
}

/// A physical function with virtual ones in use is not taken: they would go with it.
pub fn with_virtual(selection: &Selection<'_>, host: &Host) -> Option<Finding> {
    let selected = selection.selected.as_ref().ok()?;
    let (physical, count) =
        selected.functions.iter().map(|f| (*f, host.virtual_functions(*f))).find(|(_, count)| *count > 0)?;
    let text = format!(
        "{physical} has made {count} virtual {}, which would go with it",
        if count == 1 { "function" } else { "functions" }
    );
    let hint =
        "remove them first (0 in its sriov_numvfs, and whatever makes them at boot), or name one of them instead";
    let finding = Finding::card(selection.gpu, &selection.gpu.device.at, codes::HAS_VIRTUAL_FUNCTIONS, text);
    Some(finding.hint(hint))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::pci::Slot;

    /// The functions of a slot: number, vendor, class; which of them are the card if `named` was named.
    fn card(functions: &[(u8, u16, u32)], named: u8) -> Vec<u8> {
        let slot = Slot { domain: 0, bus: 3, device: 0 };
        let function =
            |(number, vendor, class): &(u8, u16, u32)| Function::new(slot.function(*number), (*vendor, 1), *class);
        let functions: Vec<Function> = functions.iter().map(function).collect();
        own_functions(&functions.iter().collect::<Vec<_>>(), |f| f.address.function == named)
            .into_iter()
            .map(|a| a.function)
            .collect()
    }

    #[test]
    fn a_cards_own_slot_is_the_card() {
        let geforce = [(0, 0x10de, 0x03_0000), (1, 0x10de, 0x04_0300), (2, 0x10de, 0x0c_0330), (3, 0x10de, 0x0c_8000)];
        let radeon = [(0, 0x1002, 0x03_0000), (1, 0x1002, 0x04_0300), (2, 0x1002, 0x0c_0330), (3, 0x1002, 0x0c_8000)];
        assert_eq!(card(&geforce, 0), [0, 1, 2, 3]);
        assert_eq!(card(&radeon, 1), [0, 1, 2, 3]);
        assert_eq!(card(&[(0, 0x10de, 0x03_0200)], 0), [0]);
        // A machine of QEMU: display and sound of different makers.
        assert_eq!(card(&[(0, 0x1234, 0x03_0000), (1, 0x8086, 0x04_0300)], 0), [0, 1]);
    }

    #[test]
    fn of_an_apu_only_the_display_and_its_sound_are_the_card() {
        let apu = [
            (0, 0x1002, 0x03_0000),
            (1, 0x1002, 0x04_0300),
            (2, 0x1022, 0x10_8000),
            (3, 0x1022, 0x0c_0330),
            (4, 0x1022, 0x0c_0330),
            (5, 0x1022, 0x04_8000),
            (6, 0x1022, 0x04_0300),
        ];
        assert_eq!(card(&apu, 0), [0, 1]);
        assert_eq!(card(&apu, 1), [0, 1]);
        assert_eq!(card(&apu, 3), [3], "a USB host was named, and nothing else");
        // Without the security processor the classes alone would say that all is one card.
        assert_eq!(card(&[apu[0], apu[1], apu[3], apu[6]], 0), [0, 1]);
        // "Other display", as the newer ones are.
        assert_eq!(card(&[(0, 0x1002, 0x03_8000), apu[1], apu[2]], 0), [0, 1]);
    }

    #[test]
    fn without_a_display_equals_are_one_device() {
        assert_eq!(card(&[(0, 0x8086, 0x02_0000), (1, 0x8086, 0x02_0000)], 0), [0, 1]);
        let chipset = [(3, 0x8086, 0x04_0300), (4, 0x8086, 0x0c_0500), (5, 0x8086, 0x0c_8000)];
        assert_eq!(card(&chipset, 3), [3]);
        // A display with something foreign beside it.
        assert_eq!(card(&[(0, 0x1a03, 0x03_0000), (1, 0x8086, 0x02_0000), (2, 0x1a03, 0x04_0300)], 0), [0, 2]);
    }
}
