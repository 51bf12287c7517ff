// SPDX-License-Identifier: LGPL-2.1-or-later
//! The firmware's framebuffer in a function's memory: who takes it away, and what stays.

use super::*;
use common::machine::MEMORY_64;
use common::pairs::{framed, framed_simply, FRAMED};
use vfio_suite::act::backend::tools_for;

const EFI: &str = "sys/bus/platform/drivers/efi-framebuffer";
const SIMPLE: &str = "sys/bus/platform/drivers/simple-framebuffer";
const DISPLAY: &str = FRAMED[0].0;

fn names(tree: &Tree) -> Vec<String> {
    vfio_suite::host::framebuffer::find(&tree.root()).into_iter().map(|f| f.name).collect()
}

#[test]
fn efifb_gives_back_its_memory_and_takes_it_again() {
    let tree = framed();
    let before = tree.snapshot();
    assert_eq!(names(&tree), ["efifb"]);
    assert_eq!(write(&tree, &format!("{SIMPLE}/unbind"), "efi-framebuffer.0"), ENOENT, "no such driver");
    assert_eq!(write(&tree, &format!("{EFI}/unbind"), "efi-framebuffer.1"), ENODEV);
    assert_eq!(write(&tree, &format!("{EFI}/bind"), "efi-framebuffer.0"), EBUSY);
    assert_eq!(write(&tree, &format!("{EFI}/unbind"), "efi-framebuffer.0"), 0);
    assert_eq!(names(&tree), [] as [&str; 0]);
    assert_eq!(write(&tree, &format!("{EFI}/unbind"), "efi-framebuffer.0"), ENODEV);
    assert_eq!(write(&tree, &format!("{EFI}/bind"), "efi-framebuffer.0"), 0);
    tree.assert_same(&before, "bound again");
}

#[test]
fn the_memory_of_a_simple_framebuffer_stays_reserved_without_its_driver() {
    let tree = framed_simply();
    assert_eq!(write(&tree, &format!("{SIMPLE}/unbind"), "simple-framebuffer.0"), 0);
    assert_eq!(names(&tree), ["BOOTFB"]);
    assert_eq!(write(&tree, &device(DISPLAY, "remove"), "1"), 0);
    assert_eq!(names(&tree), [] as [&str; 0], "it goes with its function");
    assert_eq!(write(&tree, "sys/bus/pci/rescan", "1"), 0);
    assert_eq!(names(&tree), [] as [&str; 0]);
}

/// A guest with a display of this class that vfio-pci has; why it does not start, if it does not.
fn guest(class: u32) -> Result<String, String> {
    let display = Function::new(DISPLAY, (0x1ed5, 0x0222), class).group(11).bar(0, 256 << 20, MEMORY_64, 0);
    let tree = Machine::new().with([display]).framebuffer(DISPLAY, 0, "efifb").build();
    common::domain::domain(&tree, "demo", &[DISPLAY], &[]);
    set_override(&tree, DISPLAY, "vfio-pci");
    assert_eq!(probe(&tree, DISPLAY), 0);
    assert_eq!(tree.driver(DISPLAY).as_deref(), Some("vfio-pci"), "binding always succeeds");
    let root = tree.root();
    let words = ["virsh", "--connect", "qemu:///system", "start", "--", "demo"];
    let ran = tools_for(&root).run(&words, std::time::Duration::from_secs(5));
    ran.map_err(|error| error.to_string())
}

#[test]
fn vfio_takes_it_away_from_vga_controllers_only() {
    assert!(guest(0x03_0000).is_ok());
    for class in [0x03_8000, 0x03_0200] {
        let why = guest(class).unwrap_err();
        assert!(why.contains("can't reserve"), "{why}");
    }
}

#[test]
fn a_displays_own_driver_takes_it_away_for_good() {
    let [mut video, sound] = cards::rx6800("0000:03:00", PORT, 11);
    video.driver = None;
    let tree = Machine::new()
        .with([cards::port(PORT, (0x8086, 0x460d), 1), video, sound])
        .load("amdgpu")
        .framebuffer(VIDEO, 0, "simpledrm")
        .build();
    assert_eq!(probe(&tree, VIDEO), 0);
    assert_eq!(tree.driver(VIDEO).as_deref(), Some("amdgpu"));
    assert_eq!(names(&tree), [] as [&str; 0]);
    assert_eq!(write(&tree, &format!("{SIMPLE}/bind"), "simple-framebuffer.0"), ENODEV);
}
