// SPDX-License-Identifier: LGPL-2.1-or-later
//! NVIDIA's own driver: its modules are unloaded, its services stopped, its framebuffer's console taken away, and all of it
//! comes back.

use super::*;
use common::{cards, Machine};

const CARD: [(&str, &str); 4] = [
    ("0000:42:00.0", "nvidia"),
    ("0000:42:00.1", "snd_hda_intel"),
    ("0000:42:00.2", "xhci_hcd"),
    ("0000:42:00.3", "nvidia-gpu"),
];

/// A desktop on one RTX 2080; its driver's framebuffer has the console, and two services keep the driver in use.
fn geforce() -> Tree {
    let mut card = cards::rtx2080("0000:42:00", "0000:40:01.3", 30);
    card[0].boot_vga = true;
    let machine = Machine::new().with([cards::port("0000:40:01.3", (0x1022, 0x1453), 22)]).with(card);
    let tree = machine.load("nvidia_drm").build();
    tree.config("[gpu big]\ndevice = 0000:42:00.0\nidentity = 10de:1e87\nbind = guest\n[guest demo]\ngpus = big\nstart-timeout = 40s\n");
    desktop::nvidia_minor(&tree, CARD[0].0, 0);
    let display = ["/dev/nvidia0".to_owned(), "/dev/nvidiactl".to_owned(), "/dev/nvidia-modeset".to_owned()];
    let scope = "/user.slice/user-1000.slice/session-2.scope";
    desktop::process(&tree, 2000, "gdm3", 0, "/system.slice/gdm.service", &[]);
    desktop::process(&tree, 2100, "gnome-shell", 1000, scope, &display);
    desktop::unit(&tree, ALIAS, &["alias gdm.service"]);
    desktop::unit(&tree, "gdm.service", &["state active", "process 2000", "session 2"]);
    let facts =
        ["seat seat0", "name ada", "type x11", "class user", "scope session-2.scope", "leader 2100", "process 2100"];
    desktop::session(&tree, "2", &facts);
    desktop::process(&tree, 900, "nvidia-persiste", 0, "/system.slice/nvidia-persistenced.service", &display[..2]);
    desktop::unit(&tree, "nvidia-persistenced.service", &["state active", "process 900"]);
    for (console, name, bound) in [("vtcon0", "(S) dummy device", "0"), ("vtcon1", "(M) frame buffer device", "1")] {
        tree.write(&format!("sys/class/vtconsole/{console}/name"), &format!("{name}\n"));
        tree.write(&format!("sys/class/vtconsole/{console}/bind"), &format!("{bound}\n"));
    }
    for module in ["nvidia", "nvidia-drm", "nvidia-modeset", "nvidia-uvm"] {
        let line = format!("updates/dkms/{module}.ko:\n");
        let list = format!("lib/modules/{}/modules.dep", common::machine::RELEASE);
        let before = std::fs::read_to_string(tree.join(&list)).unwrap_or_default();
        tree.write(&list, &(before + &line));
    }
    let functions = CARD.map(|(address, _)| address);
    domain(&tree, "demo", &functions, &[]);
    tree
}

#[test]
fn modules_go_in_order_and_all_comes_back() {
    let tree = geforce();
    let before = tree.snapshot();
    let running = started(&tree, "demo");
    assert!(CARD.iter().all(|(address, _)| tree.driver(address).as_deref() == Some("vfio-pci")));
    assert!(!tree.exists("sys/module/nvidia") && !tree.exists("sys/module/nvidia_drm"));
    assert_eq!(tree.read("sys/class/vtconsole/vtcon1/bind"), "0\n");
    assert_eq!(desktop::unit_state(&tree, "nvidia-persistenced.service").as_deref(), Some("inactive"));
    guest_ends(&tree, "demo");
    let ran = running.end();
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    // Overrides stand before any driver goes; the console goes before the module that it keeps in use.
    let told = |words: &str| ran.stderr.find(words).unwrap_or_else(|| panic!("{words}: {}", ran.stderr));
    let order = [
        "stop gdm.service",
        "stop nvidia-persistenced.service",
        "wait until nobody holds",
        "keep other drivers",
        "unbind the text console vtcon1",
        "unload module nvidia_drm",
        "unload module nvidia\n",
        "bind [gpu big]",
    ];
    assert!(order.windows(2).all(|pair| told(pair[0]) < told(pair[1])), "{}", ran.stderr);
    let back = give_back(&tree, "demo");
    assert_eq!(back.status, Some(0), "{}", back.stderr);
    for (address, driver) in CARD {
        assert_eq!(tree.driver(address).as_deref(), Some(driver), "{address}");
    }
    tree.assert_same(&before, "after the guest");
}

#[test]
fn a_failure_at_any_act_brings_the_driver_back() {
    let tree = geforce();
    let running = started(&tree, "demo");
    let acts = tree.count();
    drop(running);
    assert!(acts > 15, "a hand-over is more than {acts} acts");
    for n in 1..=acts {
        let tree = geforce();
        let before = tree.snapshot();
        tree.faults(&format!("{n} EIO\n"));
        let what = format!("act {n} of {acts} fails");
        let mut running = Running::start(&tree, "demo");
        running.ends_or(&what, || domain::runs(&tree, "demo"));
        tree.no_faults();
        drop(running);
        let back = give_back(&tree, "demo");
        assert_eq!(back.status, Some(0), "{what}: {}", back.stderr);
        log_in_again(&tree, &what);
        tree.assert_same(&before, &what);
    }
}

#[test]
fn modules_that_could_not_be_loaded_again_are_not_unloaded() {
    let tree = geforce();
    tree.write(&format!("lib/modules/{}/modules.dep", common::machine::RELEASE), "kernel/x.ko:\nkernel/vfio_pci.ko:\n");
    let before = tree.snapshot();
    let ran = tree.run(VFIO_GUEST, &["run", "demo"]);
    assert_eq!(ran.status, Some(1));
    assert!(ran.stderr.contains("could not be given back to the host"), "{}", ran.stderr);
    tree.assert_same(&before, "refused");
}

#[test]
fn another_card_of_the_same_driver_keeps_it() {
    let tree = common::pairs::twins();
    tree.config(
        "[gpu big]\ndevice = 0000:42:00.0\nidentity = 10de:1e87\nbind = guest\n[guest demo]\ngpus = big\nstart-timeout = 40s\n",
    );
    for (address, minor) in [("0000:0a:00.0", 0), (CARD[0].0, 1)] {
        desktop::nvidia_minor(&tree, address, minor);
    }
    // It uses the other card: the nodes that both share say nothing.
    let open = ["/dev/nvidia0".to_owned(), "/dev/nvidiactl".to_owned()];
    desktop::process(&tree, 3000, "Xorg", 0, "/system.slice/gdm.service", &open);
    domain(&tree, "demo", &CARD.map(|(address, _)| address), &[]);
    let before = tree.snapshot();
    let running = started(&tree, "demo");
    assert!(tree.exists("sys/module/nvidia") && tree.exists("proc/3000"));
    assert_eq!(tree.driver("0000:0a:00.0").as_deref(), Some("nvidia"));
    guest_ends(&tree, "demo");
    assert_eq!(running.end().status, Some(0));
    assert_eq!(give_back(&tree, "demo").status, Some(0));
    tree.assert_same(&before, "after the guest");
}
