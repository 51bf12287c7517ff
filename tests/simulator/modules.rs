// SPDX-License-Identifier: LGPL-2.1-or-later
//! Modules that are built on others, and unloading.

use super::services::{done, refused};
use super::*;
use common::desktop;

const NVIDIA: &str = "0000:42:00.0";

/// An RTX 2080 with all of NVIDIA's modules.
fn with_nvidia() -> Tree {
    let card = cards::rtx2080("0000:42:00", "0000:40:01.3", 30);
    let machine = Machine::new().with([cards::port("0000:40:01.3", (0x1022, 0x1453), 22)]).with(card);
    machine.load("nvidia_drm").load("nvidia_uvm").build()
}

#[test]
fn a_module_loads_what_it_is_built_on_and_is_its_holder() {
    let tree = machine().build();
    assert_eq!(modprobe(&tree, "nvidia-drm"), 0);
    assert!(tree.exists("sys/bus/pci/drivers/nvidia") && tree.exists("sys/module/nvidia_modeset/holders/nvidia_drm"));
    assert_eq!(tree.read("sys/module/nvidia/refcnt"), "1\n");
    assert_eq!(tree.read("sys/module/nvidia_drm/refcnt"), "0\n");
}

#[test]
fn unloading_unbinds_and_loading_binds_again() {
    let tree = machine().build();
    let before = tree.snapshot();
    done(&tree, "modprobe -r -- amdgpu");
    assert!(!tree.exists("sys/module/amdgpu") && !tree.exists("sys/bus/pci/drivers/amdgpu"));
    assert_eq!((tree.driver(VIDEO), tree.driver(TWIN)), (None, None));
    done(&tree, "modprobe -r -- amdgpu");
    refused(&tree, "modprobe -r -- no_such_module", "FATAL: Module no_such_module not found.");
    done(&tree, "modprobe -- amdgpu");
    tree.assert_same(&before, "loaded again");
    refused(&tree, "modprobe -- no_such_module", "FATAL: Module no_such_module not found.");
}

#[test]
fn what_was_written_to_new_id_goes_with_the_driver() {
    let tree = machine().build();
    let before = tree.snapshot();
    assert_eq!(write(&tree, &driver("vfio-pci", "new_id"), "8086 9999"), 0);
    done(&tree, "modprobe -r -- vfio-pci");
    assert_eq!(modprobe(&tree, "vfio-pci"), 0);
    tree.assert_same(&before, "loaded again");
}

#[test]
fn a_module_in_use_stays() {
    let tree = machine().build();
    desktop::process(&tree, 4321, "weston", 0, "/system.slice/weston.service", &desktop::nodes(&tree, TWIN));
    let before = tree.snapshot();
    refused(&tree, "modprobe -r -- amdgpu", "modprobe: FATAL: Module amdgpu is in use.");
    tree.assert_same(&before, "held by a process");
    let tree = with_nvidia();
    let before = tree.snapshot();
    for module in ["nvidia", "nvidia_modeset"] {
        refused(&tree, &format!("modprobe -r -- {module}"), "is in use");
    }
    tree.assert_same(&before, "held by modules");
}

#[test]
fn unloading_takes_along_what_nobody_uses_any_more() {
    let tree = with_nvidia();
    let before = tree.snapshot();
    assert_eq!(tree.read("sys/module/nvidia/refcnt"), "2\n");
    done(&tree, "modprobe -r -- nvidia_drm");
    assert!(!tree.exists("sys/module/nvidia_modeset") && tree.exists("sys/module/nvidia"), "nvidia_uvm is there");
    assert_eq!(tree.driver(NVIDIA).as_deref(), Some("nvidia"));
    done(&tree, "modprobe -r -- nvidia_uvm");
    assert!(!tree.exists("sys/module/nvidia"));
    assert_eq!(tree.driver(NVIDIA), None);
    for module in ["nvidia_uvm", "nvidia_drm"] {
        assert_eq!(modprobe(&tree, module), 0);
    }
    tree.assert_same(&before, "loaded again");
}

#[test]
fn nvidias_modules_go_by_their_own_nodes() {
    let tree = with_nvidia();
    desktop::nvidia_minor(&tree, NVIDIA, 0);
    desktop::process(&tree, 4321, "ollama", 0, "/system.slice/ollama.service", &["/dev/nvidia-uvm".to_owned()]);
    done(&tree, "modprobe -r -- nvidia_drm");
    refused(&tree, "modprobe -r -- nvidia_uvm", "is in use");
    assert!(tree.exists("sys/module/nvidia"));
}

#[test]
fn a_driver_that_waits_for_its_users_is_not_unbound_under_them() {
    let tree = machine().build();
    desktop::desktop(&tree, VIDEO, Some(SOUND));
    assert_eq!(write(&tree, &driver("snd_hda_intel", "unbind"), SOUND), -1);
    assert_eq!(tree.driver(SOUND).as_deref(), Some("snd_hda_intel"));
    assert_eq!(write(&tree, &driver("amdgpu", "unbind"), VIDEO), 0, "amdgpu lets go, whoever looks at it");
    done(&tree, "systemctl stop -- display-manager.service");
    assert_eq!(write(&tree, &driver("snd_hda_intel", "unbind"), SOUND), 0);
    let tree = with_nvidia();
    desktop::nvidia_minor(&tree, NVIDIA, 0);
    let shared = ["/dev/nvidiactl".to_owned()];
    desktop::process(&tree, 4321, "nvtop", 1000, "/user.slice/session-2.scope", &shared);
    assert_eq!(write(&tree, &driver("nvidia", "unbind"), NVIDIA), 0, "not a user of this card");
    assert_eq!(probe(&tree, NVIDIA), 0);
    let own = ["/dev/nvidia0".to_owned()];
    desktop::process(&tree, 4322, "nvidia-persiste", 0, "/system.slice/nvidia-persistenced.service", &own);
    assert_eq!(write(&tree, &driver("nvidia", "unbind"), NVIDIA), -1);
}
