// SPDX-License-Identifier: LGPL-2.1-or-later
//! Resets with the real programs on modelled machines: what is chosen at boot, `vfio reset`, and what is said.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::machine::RELEASE;
use common::pairs::{lone_disk, polaris, small};
use common::Tree;

const VFIO: &str = env!("CARGO_BIN_EXE_vfio");
const VFIO_BIND: &str = env!("CARGO_BIN_EXE_vfio-bind");
const VFIO_GENERATOR: &str = env!("CARGO_BIN_EXE_vfio-generator");

const VIDEO: &str = "0000:03:00.0";
const SOUND: &str = "0000:03:00.1";
const DISK: &str = "0000:05:00.0";

fn device(address: &str, attribute: &str) -> String {
    format!("sys/bus/pci/devices/{address}/{attribute}")
}

fn method(tree: &Tree, address: &str) -> String {
    tree.attribute(address, "reset_method").trim_end().to_owned()
}

fn module(release: &str) -> String {
    format!("lib/modules/{release}/updates/dkms/vendor-reset.ko")
}

/// The one warning of a boot that binds the card all the same, in the kernel's own order.
#[track_caller]
fn warned(tree: &Tree) -> String {
    let ran = tree.run(VFIO_BIND, &["gpu", "big"]);
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    assert_eq!(tree.driver(VIDEO).as_deref(), Some("vfio-pci"), "{}", ran.stderr);
    assert_eq!(method(tree, VIDEO), "pm");
    assert!(!tree.exists("sys/module/vendor_reset"), "it was loaded");
    let warnings: Vec<&str> = ran.stderr.lines().filter(|line| line.contains("vendor-reset")).collect();
    assert_eq!(warnings.len(), 1, "{}", ran.stderr);
    warnings[0].to_owned()
}

#[test]
fn the_boot_loads_vendor_reset_and_chooses_it() {
    let tree = polaris();
    let ran = tree.run(VFIO_BIND, &["gpu", "big"]);
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    assert_eq!(method(&tree, VIDEO), "device_specific");
    assert!(tree.exists("sys/module/vendor_reset"));
    let doctor = tree.run(VFIO, &["doctor", "--only", "reset"]);
    assert_eq!(doctor.status, Some(0), "{}", doctor.stdout);
    assert!(doctor.stdout.contains("0000:03:00.0 is reset by device_specific"), "{}", doctor.stdout);
    tree.faults("");
    assert_eq!(tree.run(VFIO_BIND, &["gpu", "big"]).status, Some(0));
    assert_eq!(tree.count(), 0, "nothing is written that is there");
}

#[test]
fn the_generator_has_the_module_loaded_first() {
    for (tree, module, other) in [(polaris(), "vendor_reset", "vfio_pci"), (small(), "vfio_pci", "vendor_reset")] {
        let units = tempfile::tempdir().unwrap();
        let ran = tree.run(VFIO_GENERATOR, &[units.path().to_str().unwrap()]);
        assert_eq!(ran.status, Some(0), "{}", ran.stderr);
        let text = std::fs::read_to_string(units.path().join("vfio-bind@big.service.d/50-vfio.conf")).unwrap();
        let desired = format!("Wants=modprobe@{module}.service\nAfter=modprobe@{module}.service\n");
        assert!(text.contains(&desired) && !text.contains(other), "{text}");
    }
}

#[test]
fn vendor_reset_that_is_absent() {
    let tree = polaris();
    tree.write(&format!("lib/modules/{RELEASE}/modules.dep"), "");
    assert!(warned(&tree).contains("(Polaris 10)"));
}

#[test]
fn vendor_reset_for_another_kernel() {
    let tree = polaris();
    tree.write("lib/modules/6.1.0-40-amd64/modules.dep", "updates/dkms/vendor-reset.ko.xz:\n");
    tree.write(&format!("lib/modules/{RELEASE}/modules.dep"), "");
    let text = warned(&tree);
    assert!(text.contains("not built for the running kernel, only for 6.1.0-40-amd64"), "{text}");
}

#[test]
fn vendor_reset_without_a_signature_where_one_is_wanted() {
    let lockdown = "sys/kernel/security/lockdown";
    for (path, text) in [
        (lockdown, "none [integrity] confidentiality\n"),
        (lockdown, "none integrity [confidentiality]\n"),
        ("sys/module/module/parameters/sig_enforce", "Y\n"),
    ] {
        let tree = polaris();
        tree.write(path, text);
        let warning = warned(&tree);
        assert!(warning.contains("is not signed, which this kernel requires (Secure Boot)"), "{warning}");
        tree.write(&module(RELEASE), "\x7fELF and a key's\n~Module signature appended~\n");
        let ran = tree.run(VFIO, &["rescan", "big"]);
        assert_eq!((ran.status, ran.stderr.contains("vendor-reset")), (Some(0), false), "{}", ran.stderr);
        assert_eq!(method(&tree, VIDEO), "device_specific");
    }
    let tree = polaris();
    tree.write(lockdown, "[none] integrity confidentiality\n");
    assert_eq!(tree.run(VFIO_BIND, &["gpu", "big"]).status, Some(0));
    assert_eq!(method(&tree, VIDEO), "device_specific", "nobody wants a signature");
}

#[test]
fn vendor_reset_that_is_compressed_is_tried_and_said_to_be_unclear() {
    let tree = polaris();
    tree.write("sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
    tree.write(&format!("lib/modules/{RELEASE}/modules.dep"), "updates/dkms/vendor-reset.ko.zst:\n");
    let doctor = tree.run(VFIO, &["doctor", "--only", "reset"]);
    assert!(doctor.stdout.contains("note: [gpu big] this kernel takes only signed modules"), "{}", doctor.stdout);
    tree.faults("modprobe:vendor* EPERM\n");
    let ran = tree.run(VFIO_BIND, &["gpu", "big"]);
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    assert_eq!((tree.driver(VIDEO).as_deref(), method(&tree, VIDEO).as_str()), (Some("vfio-pci"), "pm"));
    assert!(ran.stderr.contains("load module vendor_reset: "), "{}", ran.stderr);
}

#[test]
fn vendor_reset_for_a_card_that_it_does_not_know() {
    let tree = small();
    tree.config("[gpu big]\ndevice = 0000:03:00.0\nreset = vendor-reset\n");
    tree.write(&format!("lib/modules/{RELEASE}/modules.dep"), "updates/dkms/vendor-reset.ko:\n");
    let ran = tree.run(VFIO, &["bind", "big"]);
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("(1002:73bf) is not supported by vendor-reset"), "{}", ran.stderr);
    assert!(!tree.exists("sys/module/vendor_reset"));
}

#[test]
fn a_reset_by_each_method() {
    for method_now in ["flr", "pm", "bus"] {
        let tree = lone_disk();
        let before = tree.snapshot();
        let ran = tree.run(VFIO, &["reset", "big", "--method", method_now, "--dry-run"]);
        assert_eq!(ran.status, Some(0), "{}", ran.stderr);
        assert_eq!(ran.stdout, format!("[gpu big] {DISK} would be reset by {method_now}\n"));
        assert_eq!(tree.count(), 0, "a dry run writes nothing");
        let ran = tree.run(VFIO, &["reset", "big", "--method", method_now]);
        assert_eq!(ran.status, Some(0), "{}", ran.stderr);
        assert_eq!(ran.stdout, format!("[gpu big] {DISK} was reset by {method_now}\n"));
        tree.assert_same(&before, "its list is as before");
        assert!(!tree.exists("run/vfio/journal/big"), "nothing is left to undo");
    }
}

#[test]
fn a_reset_by_a_method_that_is_not_offered() {
    let tree = lone_disk();
    let ran = tree.run(VFIO, &["reset", "big", "--method", "device_specific"]);
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("cannot be reset by device_specific, only by flr, pm, bus"), "{}", ran.stderr);
    assert_eq!(tree.run(VFIO, &["reset", "big", "--method", "magic"]).status, Some(64));
    assert_eq!(tree.count(), 0);
}

/// What we have written there ourselves does not hide what the function offers.
#[test]
fn another_method_for_a_card_that_is_bound() {
    let tree = polaris();
    assert_eq!(tree.run(VFIO, &["bind", "big"]).status, Some(0));
    let ran = tree.run(VFIO, &["reset", "big", "--method", "pm"]);
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    assert_eq!(method(&tree, VIDEO), "device_specific");
    tree.config("[gpu big]\ndevice = 0000:03:00.0\nreset = pm\n");
    let ran = tree.run(VFIO, &["bind", "big"]);
    assert_eq!((ran.status, method(&tree, VIDEO).as_str()), (Some(0), "pm"), "{}", ran.stderr);
}

#[test]
fn a_reset_that_the_kernel_refuses() {
    let tree = lone_disk();
    let before = tree.snapshot();
    for (fault, words) in [("*/reset EIO\n", "was not reset"), ("*/reset_method EINVAL\n", "set reset_method to 'pm'")]
    {
        tree.faults(fault);
        let ran = tree.run(VFIO, &["reset", "big", "--method", "pm"]);
        assert_eq!(ran.status, Some(2), "{}", ran.stderr);
        assert!(ran.stderr.contains(words), "{}", ran.stderr);
        tree.no_faults();
        assert_eq!(tree.run(VFIO, &["restore", "big"]).status, Some(0));
        tree.assert_same(&before, fault);
    }
}

#[test]
fn a_reset_that_fails_anywhere_leaves_the_list_of_methods_as_it_was() {
    let writes = {
        let tree = lone_disk();
        assert_eq!(tree.run(VFIO, &["reset", "big", "--method", "bus"]).status, Some(0));
        tree.count()
    };
    assert_eq!(writes, 3, "the list, the reset, the list");
    for n in 1..=writes {
        for fault in ["EIO", "EIO late", "hang", "hang late"] {
            let tree = lone_disk();
            let before = tree.snapshot();
            tree.faults(&format!("{n} {fault}\n"));
            let ran = tree.run(VFIO, &["reset", "big", "--method", "bus"]);
            let what = format!("write {n}: {fault}: {:?} {}", ran.status, ran.stderr);
            assert!(ran.status == Some(2) || (fault == "EIO late" && ran.status == Some(0)), "{what}");
            tree.no_faults();
            assert_eq!(tree.run(VFIO, &["restore", "big"]).status, Some(0), "{what}");
            tree.assert_same(&before, &what);
        }
    }
}

#[test]
fn no_reset_of_what_the_host_uses() {
    let tree = polaris();
    let ran = tree.run(VFIO, &["reset", "big"]);
    assert_eq!(ran.status, Some(1));
    assert!(
        ran.stderr.contains("is bound to amdgpu") && ran.stderr.contains("'vfio bind big' first"),
        "{}",
        ran.stderr
    );
    assert_eq!(tree.run(VFIO, &["bind", "big"]).status, Some(0));
    tree.write("run/vfio/claims/big", "win10\n");
    let ran = tree.run(VFIO, &["reset", "big"]);
    assert_eq!(ran.status, Some(1));
    assert!(ran.stderr.contains("belongs to [guest win10] now"), "{}", ran.stderr);
    tree.remove("run/vfio/claims/big");
    let ran = tree.run(VFIO, &["reset", "big"]);
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    let told = format!("[gpu big] {SOUND} was reset by pm\n[gpu big] {VIDEO} was reset by device_specific\n");
    assert_eq!(ran.stdout, told, "the display last");
}

#[test]
fn a_card_that_a_reset_has_killed_is_left_alone_until_the_next_boot() {
    let tree = polaris();
    assert_eq!(tree.run(VFIO, &["bind", "big"]).status, Some(0));
    tree.write(".kernel/dies", &format!("{VIDEO}\n"));
    let ran = tree.run(VFIO, &["reset", "big"]);
    assert_eq!(ran.status, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains(&format!("{VIDEO} does not answer any more")), "{}", ran.stderr);
    assert!(tree.read("run/vfio/dead/big").contains("switch the machine off and on"));
    let said = |arguments: &[&str]| {
        let ran = tree.run(VFIO, arguments);
        (ran.status, ran.stdout + &ran.stderr)
    };
    for (arguments, status) in [
        (&["bind", "big"][..], 1),
        (&["rescan", "big"], 1),
        (&["restore", "big"], 1),
        (&["reset", "big"], 1),
        (&["status"], 1),
        (&["reset"], 1),
        (&["doctor", "--only", "reset"], 2),
    ] {
        let (code, text) = said(arguments);
        assert_eq!(code, Some(status), "{arguments:?}: {text}");
        assert!(text.contains("does not answer any more"), "{arguments:?}: {text}");
        assert_eq!(tree.driver(VIDEO).as_deref(), Some("vfio-pci"), "{arguments:?}");
    }
}

/// At boot no driver of the host meets such a card: its overrides stay.
#[test]
fn a_card_that_does_not_answer_at_boot_is_kept_from_the_hosts_drivers() {
    let tree = small();
    let ran = tree.run(VFIO_BIND, &["early"]);
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    for address in [VIDEO, SOUND] {
        std::fs::write(tree.join(&device(address, "config")), [0xff; 64]).unwrap();
    }
    let ran = tree.run(VFIO_BIND, &["gpu", "big"]);
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("does not answer any more"), "{}", ran.stderr);
    assert_eq!(tree.attribute(VIDEO, "driver_override"), "vfio-pci\n");
    assert!(tree.exists("run/vfio/dead/big"));
}

#[test]
fn the_table_says_what_each_method_would_do() {
    let tree = polaris();
    let ran = tree.run(VFIO, &["reset"]);
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    for words in ["[gpu big]: reset = auto", "known: Polaris 10: vendor-reset", "when it is bound: device_specific"] {
        assert!(ran.stdout.contains(words), "{words}: {}", ran.stdout);
    }
    assert_eq!(tree.run(VFIO, &["bind", "big"]).status, Some(0));
    let ran = tree.run(VFIO, &["reset"]);
    assert!(ran.stdout.contains("    pm  sends it") && ran.stdout.contains("now: device_specific"), "{}", ran.stdout);
    let ran = small().run(VFIO, &["reset", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(json["schema"], "vfio.reset/1");
    let video = &json["cards"][0]["functions"][0];
    assert_eq!((video["address"].as_str(), video["known"].as_str()), (Some(VIDEO), None));
    let methods: Vec<&str> = video["methods"].as_array().unwrap().iter().map(|m| m["name"].as_str().unwrap()).collect();
    assert_eq!(methods, ["pm", "bus"]);
    assert!(video["methods"][1]["effect"].as_str().unwrap().contains("not possible"));
}
