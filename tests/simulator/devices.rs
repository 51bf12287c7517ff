// SPDX-License-Identifier: LGPL-2.1-or-later
//! Functions that go and come, and their resets.

use super::*;

#[test]
fn a_removed_function_is_gone_with_its_group_and_comes_back_new() {
    let tree = machine().build();
    let before = tree.snapshot();
    set_override(&tree, VIDEO, "none");
    for address in [SOUND, VIDEO] {
        assert_eq!(write(&tree, &device(address, "remove"), "1"), 0);
        assert!(!tree.exists(&format!("sys/bus/pci/devices/{address}")));
    }
    assert!(!tree.exists("sys/kernel/iommu_groups/11") && !tree.exists("sys/class/drm/card0"));
    assert_eq!(probe(&tree, VIDEO), ENODEV);
    assert_eq!(write(&tree, "sys/bus/pci/rescan", "1"), 0);
    // The override is lost, and the host's driver was faster than anybody.
    assert_eq!(tree.driver(VIDEO).as_deref(), Some("amdgpu"));
    tree.assert_same(&before, "found again");
}

#[test]
fn removing_a_bridge_removes_what_is_below_it() {
    let tree = machine().build();
    let before = tree.snapshot();
    assert_eq!(write(&tree, &device(PORT, "remove"), "1"), 0);
    assert_eq!(tree.functions(), ["0000:00:02.0", "0000:00:03.0", TWIN, TWIN_SOUND, DISK]);
    assert_eq!(write(&tree, "sys/bus/pci/rescan", "1"), 0);
    tree.assert_same(&before, "found again");
}

#[test]
fn a_bridges_rescan_looks_at_its_own_bus_and_below() {
    let tree = machine().build();
    for address in [VIDEO, TWIN] {
        assert_eq!(write(&tree, &device(address, "remove"), "1"), 0);
    }
    assert_eq!(write(&tree, &device(SOUND, "rescan"), "1"), 0);
    assert!(tree.driver(VIDEO).is_some());
    assert!(!tree.functions().contains(&TWIN.to_owned()), "that is on another bus");
    assert_eq!(write(&tree, &device(PORT, "rescan"), "1"), 0, "the bus that the port sits on, and all below");
    assert!(tree.driver(TWIN).is_some());
}

#[test]
fn zero_removes_nothing_and_words_are_no_numbers() {
    let tree = machine().build();
    let before = tree.snapshot();
    for (attribute, value, errno) in [("remove", "0", 0), ("remove", "yes", EINVAL), ("rescan", "", EINVAL)] {
        assert_eq!(write(&tree, &device(VIDEO, attribute), value), errno, "{attribute} {value}");
    }
    assert_eq!(write(&tree, "sys/bus/pci/rescan", "x"), EINVAL);
    tree.assert_same(&before, "nothing happened");
}

#[test]
fn a_rescan_binds_though_autoprobe_is_off_on_6_1_and_6_12() {
    for (machine, bound) in [(machine(), Some("amdgpu")), (machine().rescan_honours_autoprobe(), None)] {
        let tree = machine.build();
        assert_eq!(write(&tree, "sys/bus/pci/drivers_autoprobe", "0"), 0);
        assert_eq!(write(&tree, &device(VIDEO, "remove"), "1"), 0);
        assert_eq!(write(&tree, "sys/bus/pci/rescan", "1"), 0);
        assert_eq!(tree.driver(VIDEO).as_deref(), bound);
    }
}

#[test]
fn a_card_that_was_never_there_is_found() {
    let with = machine().build();
    let card = "sys/devices/pci0000:00/0000:00:02.0/0000:04:00.0";
    assert_eq!(write(&with, &device(TWIN, "remove"), "1"), 0);
    let kept = format!(".kernel/removed/{}", card.replace('/', "!"));
    assert!(with.exists(&kept) && !with.exists(card));
    assert_eq!(write(&with, &device("0000:00:02.0", "rescan"), "1"), 0);
    assert!(with.exists(card) && !with.exists(".kernel/removed"));
}

#[test]
fn reset_methods_are_chosen_from_what_the_function_supports() {
    let tree = machine().build();
    let method = device(DISK, "reset_method");
    let shown = || tree.attribute(DISK, "reset_method");
    assert_eq!(shown(), "flr pm bus\n");
    for (value, errno, after) in [
        ("bus", 0, "bus\n"),
        ("bus pm", 0, "bus pm\n"),
        ("acpi", EINVAL, "bus pm\n"),
        ("bus acpi", EINVAL, "bus pm\n"),
        ("nonsense", EINVAL, "bus pm\n"),
        ("device_specific", EINVAL, "bus pm\n"),
        (" pm  bus ", 0, "pm bus\n"),
        ("", 0, ""),
        ("default", 0, "flr pm bus\n"),
    ] {
        assert_eq!(write(&tree, &method, value), errno, "{value:?}");
        assert_eq!(shown(), after, "{value:?}");
    }
}

/// `pci_init_reset_methods()` runs before the other functions are on the bus.
#[test]
fn function_0_lists_a_reset_of_its_bus_that_it_does_not_have() {
    let tree = machine().build();
    assert_eq!(tree.attribute(VIDEO, "reset_method"), "pm bus\n");
    assert_eq!(write(&tree, &device(VIDEO, "reset_method"), "bus"), EINVAL);
    assert_eq!(write(&tree, &device(VIDEO, "reset_method"), "pm bus"), EINVAL, "not even what it shows");
    assert_eq!(write(&tree, &device(VIDEO, "reset_method"), "default"), 0);
    assert_eq!(tree.attribute(VIDEO, "reset_method"), "pm\n");
}

#[test]
fn vendor_reset_makes_device_specific_acceptable_for_its_cards_once_it_is_loaded() {
    let tree = Machine::new()
        .with([cards::port(PORT, (0x8086, 0x460d), 1), cards::port("0000:00:02.0", (0x8086, 0x462d), 2)])
        .with(cards::rx580("0000:03:00", PORT, 11))
        .with(cards::rx6800("0000:04:00", "0000:00:02.0", 12))
        .build();
    let method = device(VIDEO, "reset_method");
    assert_eq!(write(&tree, &method, "device_specific"), EINVAL, "it is not loaded");
    assert_eq!(modprobe(&tree, "vendor-reset"), 0);
    assert_eq!(tree.attribute(VIDEO, "reset_method"), "pm\n", "the list is that of the enumeration");
    assert_eq!(write(&tree, &device(SOUND, "reset_method"), "device_specific"), EINVAL, "no card of its own");
    assert_eq!(write(&tree, &device(TWIN, "reset_method"), "device_specific"), EINVAL, "it does not know this card");
    assert_eq!(write(&tree, &method, "device_specific"), 0);
    assert_eq!(tree.attribute(VIDEO, "reset_method"), "device_specific\n");
    assert_eq!(write(&tree, &device(VIDEO, "remove"), "1"), 0);
    assert_eq!(write(&tree, "sys/bus/pci/rescan", "1"), 0);
    assert_eq!(tree.attribute(VIDEO, "reset_method"), "device_specific pm\n", "a choice is lost with the function");
}

#[test]
fn a_function_that_a_reset_has_killed_reads_as_ones() {
    let tree = machine().build();
    tree.write(".kernel/dies", &format!("{DISK} pm\n"));
    let config = || std::fs::read(tree.join(&device(DISK, "config"))).unwrap();
    assert_eq!(write(&tree, &device(DISK, "reset"), "1"), 0);
    assert_eq!(config()[..2], [0x4d, 0x14], "flr comes first, and does it no harm");
    assert_eq!(write(&tree, &device(DISK, "reset_method"), "pm"), 0);
    assert_eq!(write(&tree, &device(DISK, "reset"), "1"), 0, "the kernel does not look");
    assert!(config().iter().all(|byte| *byte == 0xff));
}

#[test]
fn power_is_let_on_and_off_by_drivers_and_by_hand() {
    let tree = machine().build();
    let control = || tree.attribute(VIDEO, "power/control");
    assert_eq!(control(), "auto\n", "amdgpu lets it sleep");
    unbind(&tree, VIDEO);
    assert_eq!(control(), "on\n");
    set_override(&tree, VIDEO, "vfio-pci");
    assert_eq!(probe(&tree, VIDEO), 0);
    assert_eq!(control(), "auto\n", "whatever was written before");
    for (attribute, value, errno, after) in [
        ("power/control", "on", 0, "on\n"),
        ("power/control", "off", EINVAL, "on\n"),
        ("d3cold_allowed", "0", 0, "0\n"),
        ("d3cold_allowed", "2", 0, "1\n"),
        ("d3cold_allowed", "no", EINVAL, "1\n"),
    ] {
        assert_eq!(write(&tree, &device(VIDEO, attribute), value), errno, "{attribute} {value}");
        assert_eq!(tree.attribute(VIDEO, attribute), after, "{attribute} {value}");
    }
}

#[test]
fn a_function_without_methods_cannot_be_reset() {
    let tree = machine().build();
    let reset = device(VIDEO, "reset");
    assert_eq!(write(&tree, &reset, "1"), 0);
    assert_eq!(write(&tree, &reset, "2"), EINVAL);
    assert_eq!(write(&tree, &device(VIDEO, "reset_method"), ""), 0);
    assert_eq!(write(&tree, &reset, "1"), ENOTTY);
}

#[test]
fn attributes_without_a_write_bit_take_nothing_from_anybody() {
    let tree = machine().build();
    assert_eq!(write(&tree, &device(VIDEO, "vendor"), "0x1234"), EACCES);
    assert_eq!(write(&tree, &device(VIDEO, "no_such_attribute"), "1"), ENOENT);
    assert_eq!(write(&tree, "sys/class/vtconsole/vtcon1/bind", "0"), 0);
    assert_eq!(tree.read("sys/class/vtconsole/vtcon1/bind"), "0\n");
}
