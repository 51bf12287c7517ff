// SPDX-License-Identifier: LGPL-2.1-or-later
//! The model of the kernel against what the kernel does, fact by fact. Each test's name is the fact.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../common/mod.rs"]
mod common;
mod devices;
mod framebuffer;
mod modules;
mod resize;
mod services;

use common::{cards, Function, Machine, Tree};
use vfio_suite::act::backend::kernel::KernelError;
use vfio_suite::act::backend::kernel_for;

const EPERM: i32 = 1;
const ENOENT: i32 = 2;
const EIO: i32 = 5;
const EACCES: i32 = 13;
const EBUSY: i32 = 16;
const EEXIST: i32 = 17;
const ENODEV: i32 = 19;
const EINVAL: i32 = 22;
const ENOTTY: i32 = 25;
const ENOSPC: i32 = 28;
/// The kernel's own number.
const ENOTSUPP: i32 = 524;

const VIDEO: &str = "0000:03:00.0";
const SOUND: &str = "0000:03:00.1";
const TWIN: &str = "0000:04:00.0";
const TWIN_SOUND: &str = "0000:04:00.1";
const PORT: &str = "0000:00:01.0";
const DISK: &str = "0000:05:00.0";

/// Two equal cards below a root port each, and a disk.
fn machine() -> Machine {
    Machine::new()
        .with([cards::port(PORT, (0x8086, 0x460d), 1), cards::port("0000:00:02.0", (0x8086, 0x462d), 2)])
        .with([cards::port("0000:00:03.0", (0x8086, 0x464d), 3)])
        .with(cards::rx6800("0000:03:00", PORT, 11))
        .with(cards::rx6800("0000:04:00", "0000:00:02.0", 12))
        .with([cards::nvme(DISK, "0000:00:03.0", 13)])
}

/// A write as our programs make it: 0, or the errno; a hang is -1.
fn write(tree: &Tree, attribute: &str, value: &str) -> i32 {
    result(kernel_for(&tree.root()).write(attribute, value))
}

fn modprobe(tree: &Tree, module: &str) -> i32 {
    result(kernel_for(&tree.root()).modprobe(module))
}

fn result(result: Result<(), KernelError>) -> i32 {
    match result {
        Ok(()) => 0,
        Err(error) if error.is_timeout() => -1,
        Err(error) => error.errno().unwrap_or_else(|| panic!("no errno: {error}")).raw_os_error(),
    }
}

fn device(address: &str, attribute: &str) -> String {
    format!("sys/bus/pci/devices/{address}/{attribute}")
}

fn driver(name: &str, attribute: &str) -> String {
    format!("sys/bus/pci/drivers/{name}/{attribute}")
}

fn set_override(tree: &Tree, address: &str, name: &str) {
    assert_eq!(write(tree, &device(address, "driver_override"), name), 0);
}

fn unbind(tree: &Tree, address: &str) {
    let name = tree.driver(address).expect("bound");
    assert_eq!(write(tree, &driver(&name, "unbind"), address), 0);
}

fn probe(tree: &Tree, address: &str) -> i32 {
    write(tree, "sys/bus/pci/drivers_probe", address)
}

/// Override, unbind, probe.
fn give_to(tree: &Tree, address: &str, name: &str) {
    set_override(tree, address, name);
    unbind(tree, address);
    assert_eq!(probe(tree, address), 0);
    assert_eq!(tree.driver(address).as_deref(), Some(name));
}

#[test]
fn an_override_neither_binds_nor_unbinds_and_an_empty_line_clears_it() {
    let tree = machine().build();
    let before = tree.snapshot();
    set_override(&tree, VIDEO, "vfio-pci");
    assert_eq!(tree.attribute(VIDEO, "driver_override"), "vfio-pci\n");
    assert_eq!(tree.driver(VIDEO).as_deref(), Some("amdgpu"));
    set_override(&tree, VIDEO, "a\nb");
    assert_eq!(tree.attribute(VIDEO, "driver_override"), "a\n", "only the first line counts");
    set_override(&tree, VIDEO, "");
    assert_eq!(tree.attribute(VIDEO, "driver_override"), "(null)\n");
    tree.assert_same(&before, "cleared");
}

#[test]
fn a_name_of_a_page_is_too_long() {
    let tree = machine().build();
    assert_eq!(write(&tree, &device(VIDEO, "driver_override"), &"x".repeat(4094)), EINVAL);
    assert_eq!(tree.attribute(VIDEO, "driver_override"), "(null)\n");
    assert_eq!(write(&tree, &device(VIDEO, "driver_override"), &"x".repeat(4093)), 0);
}

#[test]
fn only_the_named_driver_can_take_a_function() {
    let tree = machine().build();
    set_override(&tree, VIDEO, "vfio-pci");
    unbind(&tree, VIDEO);
    assert_eq!(write(&tree, &driver("amdgpu", "bind"), VIDEO), ENODEV);
    assert_eq!(probe(&tree, VIDEO), 0);
    assert_eq!(tree.driver(VIDEO).as_deref(), Some("vfio-pci"));
}

#[test]
fn an_override_needs_no_id() {
    let tree = machine().build();
    give_to(&tree, SOUND, "amdgpu");
}

#[test]
fn drivers_probe_succeeds_though_nothing_is_bound() {
    let tree = machine().build();
    for name in ["none", "vfio_pci"] {
        set_override(&tree, VIDEO, name);
        if tree.driver(VIDEO).is_some() {
            unbind(&tree, VIDEO);
        }
        assert_eq!(probe(&tree, VIDEO), 0);
        assert_eq!(tree.driver(VIDEO), None, "no driver has the name {name}");
    }
}

#[test]
fn drivers_probe_leaves_a_bound_function_alone() {
    let tree = machine().build();
    set_override(&tree, VIDEO, "vfio-pci");
    assert_eq!(probe(&tree, VIDEO), 0);
    assert_eq!(tree.driver(VIDEO).as_deref(), Some("amdgpu"));
}

#[test]
fn what_is_not_on_the_bus_is_enodev() {
    let tree = machine().build();
    for name in ["0000:99:00.0", "03:00.0", "", "nonsense", "0000:03:00.0 ", " 0000:03:00.0"] {
        assert_eq!(probe(&tree, name), ENODEV, "{name:?}");
        assert_eq!(write(&tree, &driver("amdgpu", "unbind"), name), ENODEV, "{name:?}");
        assert_eq!(write(&tree, &driver("amdgpu", "bind"), name), ENODEV, "{name:?}");
    }
    assert_eq!(write(&tree, &device("0000:99:00.0", "driver_override"), "x"), ENOENT);
    assert_eq!(write(&tree, &driver("radeon", "bind"), VIDEO), ENOENT);
}

#[test]
fn unbind_is_enodev_for_another_drivers_function() {
    let tree = machine().build();
    assert_eq!(write(&tree, &driver("vfio-pci", "unbind"), VIDEO), ENODEV);
    unbind(&tree, VIDEO);
    assert_eq!(write(&tree, &driver("amdgpu", "unbind"), VIDEO), ENODEV);
    assert_eq!(tree.driver(VIDEO), None);
}

#[test]
fn a_function_can_be_unbound_through_its_driver_link() {
    let tree = machine().build();
    assert_eq!(write(&tree, &device(VIDEO, "driver/unbind"), VIDEO), 0);
    assert_eq!(tree.driver(VIDEO), None);
    assert_eq!(write(&tree, &device(VIDEO, "driver/unbind"), VIDEO), ENOENT);
}

#[test]
fn bind_needs_a_match_and_steals_from_nobody() {
    let tree = machine().build();
    assert_eq!(write(&tree, &driver("snd_hda_intel", "bind"), VIDEO), ENODEV, "no match");
    assert_eq!(write(&tree, &driver("vfio-pci", "bind"), VIDEO), ENODEV, "vfio-pci matches by override only");
    assert_eq!(write(&tree, &driver("amdgpu", "bind"), VIDEO), EBUSY, "bound to it already");
    set_override(&tree, VIDEO, "vfio-pci");
    assert_eq!(write(&tree, &driver("vfio-pci", "bind"), VIDEO), EBUSY, "bound elsewhere");
    unbind(&tree, VIDEO);
    assert_eq!(write(&tree, &driver("vfio-pci", "bind"), VIDEO), 0);
    assert_eq!(tree.driver(VIDEO).as_deref(), Some("vfio-pci"));
}

#[test]
fn there_and_back_leaves_no_trace() {
    let tree = machine().build();
    let before = tree.snapshot();
    for address in [SOUND, VIDEO] {
        give_to(&tree, address, "vfio-pci");
    }
    assert!(tree.exists("dev/vfio/11") && tree.exists(&device(VIDEO, "vfio-dev/vfio1")));
    assert!(!tree.exists(&device(VIDEO, "drm")) && !tree.exists("sys/class/drm/card0"));
    assert!(!tree.exists(&device(SOUND, "sound")) && !tree.exists("sys/class/sound/controlC0"));
    assert!(tree.exists("sys/class/drm/card1"), "the twin keeps its node");
    assert_eq!(tree.attribute(VIDEO, "power_state"), "D3hot\n");
    unbind(&tree, SOUND);
    assert!(tree.exists("dev/vfio/11"), "the group's node stays while one function is with vfio");
    unbind(&tree, VIDEO);
    assert!(!tree.exists("dev/vfio/11"));
    for (address, name) in [(VIDEO, "amdgpu"), (SOUND, "snd_hda_intel")] {
        set_override(&tree, address, "");
        assert_eq!(probe(&tree, address), 0);
        assert_eq!(tree.driver(address).as_deref(), Some(name));
    }
    tree.assert_same(&before, "back");
}

#[test]
fn a_group_that_a_guest_has_open_keeps_host_drivers_out_and_vfio_in() {
    let tree = machine().build();
    give_to(&tree, VIDEO, "vfio-pci");
    unbind(&tree, SOUND);
    tree.write(".kernel/owned", "11\n");
    assert_eq!(probe(&tree, SOUND), EINVAL);
    assert_eq!(write(&tree, &driver("snd_hda_intel", "bind"), SOUND), EBUSY);
    assert_eq!(tree.driver(SOUND), None);
    set_override(&tree, SOUND, "vfio-pci");
    assert_eq!(probe(&tree, SOUND), 0);
    assert_eq!(tree.driver(SOUND).as_deref(), Some("vfio-pci"));
    // The writer waits for the guest to let go.
    assert_eq!(write(&tree, &driver("vfio-pci", "unbind"), VIDEO), -1);
    assert_eq!(write(&tree, &device(VIDEO, "remove"), "1"), -1);
    assert_eq!(tree.driver(VIDEO).as_deref(), Some("vfio-pci"));
    tree.remove(".kernel/owned");
    assert_eq!(write(&tree, &driver("vfio-pci", "unbind"), VIDEO), 0);
}

#[test]
fn vfio_takes_nothing_without_an_iommu_group() {
    let tree = machine().iommu(None).build();
    set_override(&tree, VIDEO, "vfio-pci");
    unbind(&tree, VIDEO);
    assert_eq!(write(&tree, &driver("vfio-pci", "bind"), VIDEO), EINVAL);
    assert_eq!(probe(&tree, VIDEO), 0, "drivers_probe does not say so");
    assert_eq!(tree.driver(VIDEO), None);
}

#[test]
fn vfio_takes_no_bridge_and_none_of_its_deny_list() {
    let tree = machine().with([Function::new("0000:00:0b.0", (0x8086, 0x0b25), 0x08_8000).group(20)]).build();
    set_override(&tree, PORT, "vfio-pci");
    unbind(&tree, PORT);
    assert_eq!(write(&tree, &driver("vfio-pci", "bind"), PORT), EINVAL);
    set_override(&tree, "0000:00:0b.0", "vfio-pci");
    assert_eq!(write(&tree, &driver("vfio-pci", "bind"), "0000:00:0b.0"), EINVAL);
}

#[test]
fn new_id_takes_every_unbound_function_that_matches_and_no_other() {
    let tree = machine().build();
    unbind(&tree, VIDEO);
    let new_id = driver("vfio-pci", "new_id");
    assert_eq!(write(&tree, &new_id, "1002 73bf"), 0);
    assert_eq!(tree.driver(VIDEO).as_deref(), Some("vfio-pci"));
    assert_eq!(tree.driver(TWIN).as_deref(), Some("amdgpu"), "a bound one stays");
    unbind(&tree, TWIN);
    assert_eq!(write(&tree, &new_id, "1002 73bf"), EEXIST, "the second time");
    assert_eq!(tree.driver(TWIN), None, "and binds nothing");
    assert_eq!(write(&tree, &driver("vfio-pci", "bind"), TWIN), 0, "but the twin matches now");
}

#[test]
fn remove_id_forgets_and_unbinds_nothing() {
    let tree = machine().build();
    let before = tree.snapshot();
    unbind(&tree, VIDEO);
    assert_eq!(write(&tree, &driver("vfio-pci", "remove_id"), "1002 73bf"), ENODEV);
    assert_eq!(write(&tree, &driver("vfio-pci", "new_id"), "1002 73bf 1da2 e445"), 0);
    assert_eq!(write(&tree, &driver("vfio-pci", "remove_id"), "1002 73bf"), 0);
    assert_eq!(tree.driver(VIDEO).as_deref(), Some("vfio-pci"));
    unbind(&tree, VIDEO);
    assert_eq!(probe(&tree, VIDEO), 0);
    assert_eq!(tree.driver(VIDEO).as_deref(), Some("amdgpu"));
    tree.assert_same(&before, "forgotten");
}

#[test]
fn new_id_wants_two_hexadecimal_numbers_and_something_new() {
    let tree = machine().build();
    for value in ["", "1002", "x y", "10022 "] {
        assert_eq!(write(&tree, &driver("vfio-pci", "new_id"), value), EINVAL, "{value:?}");
    }
    assert_eq!(write(&tree, &driver("amdgpu", "new_id"), "1002 73bf 0 0 30000"), EEXIST, "its own table has it");
}

#[test]
fn a_module_that_comes_takes_what_matches_and_is_unbound() {
    let tree = machine().without_vfio().build();
    set_override(&tree, VIDEO, "vfio-pci");
    unbind(&tree, VIDEO);
    set_override(&tree, TWIN, "vfio-pci");
    assert_eq!(modprobe(&tree, "vfio-pci"), 0);
    assert_eq!(tree.driver(VIDEO).as_deref(), Some("vfio-pci"), "it waited unbound for its driver");
    assert_eq!(tree.driver(TWIN).as_deref(), Some("amdgpu"), "nobody is unbound");
    assert!(tree.exists("sys/module/vfio_pci") && tree.exists(&driver("vfio-pci", "module")));
    assert!(tree.exists("dev/vfio/vfio"));
    let before = tree.snapshot();
    assert_eq!(modprobe(&tree, "vfio_pci"), 0, "again, by its other spelling");
    tree.assert_same(&before, "loaded already");
}

#[test]
fn a_module_that_comes_while_autoprobe_is_off_takes_nothing() {
    let tree = machine().without_vfio().build();
    set_override(&tree, VIDEO, "vfio-pci");
    unbind(&tree, VIDEO);
    assert_eq!(write(&tree, "sys/bus/pci/drivers_autoprobe", "0"), 0);
    assert_eq!(tree.read("sys/bus/pci/drivers_autoprobe"), "0\n");
    assert_eq!(modprobe(&tree, "vfio-pci"), 0);
    assert_eq!(tree.driver(VIDEO), None);
    assert_eq!(probe(&tree, VIDEO), 0, "but drivers_probe works");
    assert_eq!(tree.driver(VIDEO).as_deref(), Some("vfio-pci"));
    assert_eq!(write(&tree, "sys/bus/pci/drivers_autoprobe", "1"), 0);
    assert_eq!(tree.read("sys/bus/pci/drivers_autoprobe"), "1\n");
}

#[test]
fn modules_are_found_by_alias_and_by_name_only() {
    let tree = machine().build();
    assert_eq!(modprobe(&tree, "no_such_module"), ENOENT);
    assert_eq!(modprobe(&tree, "pci:v00001234d00005678sv00000000sd00000000bc05sc00i00"), ENOENT);
    assert!(!tree.exists("sys/module/nvidia"));
    let modalias = "pci:v000010DEd00001E87sv00001462sd00003721bc03sc00i00";
    assert_eq!(modprobe(&tree, modalias), 0);
    assert!(tree.exists("sys/module/nvidia") && tree.exists("sys/bus/pci/drivers/nouveau"), "all that match");
    let modalias = tree.attribute(DISK, "modalias");
    assert_eq!(modprobe(&tree, modalias.trim_end()), 0, "one that is loaded already");
}

#[test]
fn faults_come_by_number_and_by_name_before_or_after_the_effect() {
    let tree = machine().build();
    let attribute = device(VIDEO, "driver_override");
    tree.faults("2 EIO\n3 EPERM late\n4 hang # this write\n5 524\nmodprobe:amd* EBUSY\n*/reset_method ENODEV\n");
    let shown = || tree.attribute(VIDEO, "driver_override");
    for (value, errno, after) in
        [("a", 0, "a\n"), ("b", EIO, "a\n"), ("c", EPERM, "c\n"), ("d", -1, "c\n"), ("e", 524, "c\n"), ("f", 0, "f\n")]
    {
        assert_eq!(write(&tree, &attribute, value), errno, "{value}");
        assert_eq!(shown(), after, "{value}");
    }
    assert_eq!(modprobe(&tree, "amdgpu"), EBUSY);
    assert_eq!(write(&tree, &device(SOUND, "reset_method"), "pm"), ENODEV);
    assert_eq!(tree.count(), 8, "failed writes and module loads count too");
}

#[test]
fn a_driver_that_fails_to_probe_leaves_the_function_to_the_next_or_to_nobody() {
    let tree = machine().build();
    unbind(&tree, VIDEO);
    tree.faults("probe:amdgpu:0000:03:00.0 EIO\n");
    assert_eq!(probe(&tree, VIDEO), 0);
    assert_eq!(tree.driver(VIDEO), None);
    assert_eq!(write(&tree, &driver("amdgpu", "bind"), VIDEO), EIO);
    assert_eq!(write(&tree, &driver("amdgpu", "new_id"), "1002 73bf 1 1 1 1 0"), 0);
    assert_eq!(tree.driver(VIDEO), None);
    tree.no_faults();
    assert_eq!(probe(&tree, VIDEO), 0);
    assert_eq!(tree.driver(VIDEO).as_deref(), Some("amdgpu"));
}

#[test]
fn nothing_escapes_from_the_tree() {
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("attribute");
    std::fs::write(&secret, "untouched\n").unwrap();
    let tree = machine().build();
    let link = tree.join("sys/class/vtconsole/vtcon9");
    std::fs::create_dir_all(&link).unwrap();
    std::os::unix::fs::symlink(&secret, link.join("bind")).unwrap();
    assert_eq!(write(&tree, "sys/class/vtconsole/vtcon9/bind", "0"), ENOENT);
    let up = format!("sys/../../../{}", secret.display());
    assert_eq!(write(&tree, &up, "0"), ENOENT);
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "untouched\n");
}

#[test]
fn processes_that_write_at_once_see_one_machine() {
    let tree = machine().build();
    let writers: Vec<_> = (0..8)
        .map(|n| {
            let path = tree.path().to_owned();
            std::thread::spawn(move || {
                let root = vfio_suite::root::Root::open(&path).unwrap();
                for _ in 0..25 {
                    let kernel = kernel_for(&root);
                    kernel.write(&device(VIDEO, "driver_override"), &format!("driver{n}")).unwrap();
                }
            })
        })
        .collect();
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    assert_eq!(tree.count(), 200);
}
