// SPDX-License-Identifier: LGPL-2.1-or-later
//! How a card is reset and kept awake while a guest has it, and what becomes of one that does not answer any more.

use super::*;
use common::pairs::polaris;

const PORT: &str = "0000:00:01.0";

fn device(address: &str, attribute: &str) -> String {
    format!("sys/bus/pci/devices/{address}/{attribute}")
}

/// All that is read from a function is ones.
fn falls_silent(tree: &Tree, address: &str) {
    std::fs::write(tree.join(&device(address, "config")), [0xff; 64]).unwrap();
}

#[test]
fn the_card_and_its_port_are_kept_awake_while_a_guest_runs_and_then_are_as_before() {
    let tree = machine();
    // Somebody has chosen otherwise than the drivers.
    tree.write(&device(VIDEO, "power/control"), "on\n");
    tree.write(&device(PORT, "d3cold_allowed"), "0\n");
    let before = tree.snapshot();
    let running = started(&tree, "demo");
    for address in [PORT, VIDEO, SOUND] {
        assert_eq!(tree.attribute(address, "power/control"), "on\n", "{address}");
        assert_eq!(tree.attribute(address, "d3cold_allowed"), "0\n", "{address}");
    }
    assert_eq!(tree.attribute("0000:00:02.0", "power/control"), "auto\n", "its twin's port is left alone");
    guest_ends(&tree, "demo");
    assert_eq!(running.end().status, Some(0));
    assert_eq!(give_back(&tree, "demo").status, Some(0));
    tree.assert_same(&before, "after the guest");
}

/// What cannot be kept awake is no reason not to have a guest, and is said.
#[test]
fn a_card_that_cannot_be_kept_awake_goes_to_the_guest_all_the_same() {
    let tree = machine();
    let before = tree.snapshot();
    tree.faults("*/power/control EIO\n");
    let running = started(&tree, "demo");
    guest_ends(&tree, "demo");
    let ran = running.end();
    assert!(ran.stderr.contains("power/control cannot be set to 'on'"), "{}", ran.stderr);
    tree.no_faults();
    assert_eq!(give_back(&tree, "demo").status, Some(0));
    tree.assert_same(&before, "after the guest");
}

#[test]
fn vendor_reset_is_chosen_for_the_guest_and_the_hosts_list_comes_back() {
    let tree = polaris();
    tree.config(&CONFIGURATION.replace("1002:73bf", "1002:67df"));
    desktop(&tree, VIDEO, Some(SOUND));
    domain(&tree, "demo", &[VIDEO, SOUND], &[]);
    let before = tree.snapshot();
    let running = started(&tree, "demo");
    assert_eq!(tree.attribute(VIDEO, "reset_method"), "device_specific\n");
    assert_eq!(tree.attribute(SOUND, "reset_method"), "pm\n", "vendor-reset resets the card through its display");
    guest_ends(&tree, "demo");
    assert_eq!(running.end().status, Some(0));
    assert_eq!(give_back(&tree, "demo").status, Some(0));
    tree.assert_same(&before, "after the guest");
}

#[test]
fn a_card_that_does_not_answer_is_refused_before_the_desktop_is_touched() {
    let tree = machine();
    falls_silent(&tree, VIDEO);
    let before = tree.snapshot();
    let ran = tree.run(VFIO_GUEST, &["run", "demo"]);
    assert_eq!(ran.status, Some(1));
    assert!(ran.stderr.contains("[guest demo] [gpu big] 0000:03:00.0 does not answer any more"), "{}", ran.stderr);
    tree.assert_same(&before, "refused");
}

#[test]
fn a_card_that_a_guest_has_killed_is_given_to_nobody_and_the_desktop_is_tried_all_the_same() {
    let tree = machine();
    let before = tree.snapshot();
    let running = started(&tree, "demo");
    falls_silent(&tree, VIDEO);
    guest_ends(&tree, "demo");
    assert_eq!(running.end().status, Some(0));
    let back = give_back(&tree, "demo");
    assert_eq!(back.status, Some(2), "{}", back.stderr);
    assert!(back.stderr.contains("0000:03:00.0 does not answer any more"), "{}", back.stderr);
    assert!(!back.stderr.contains("trying a reset"), "{}", back.stderr);
    assert!(has_card(&tree), "no driver of the host meets it");
    assert_eq!(desktop::unit_state(&tree, "ollama.service").as_deref(), Some("active"));
    // It answers again, in whatever state it is in.
    tree.write(&device(VIDEO, "config"), "");
    let Some(common::text::Node::File(_, config)) =
        before.get(&format!("sys/devices/pci0000:00/{PORT}/{VIDEO}/config"))
    else {
        panic!("no configuration space")
    };
    std::fs::write(tree.join(&device(VIDEO, "config")), config).unwrap();
    let other = tree.run(VFIO_GUEST, &["run", "other"]);
    assert_eq!(other.status, Some(1));
    let status = tree.run(VFIO, &["status"]);
    assert!(status.status != Some(0) && status.stdout.contains("does not answer any more"), "{}", status.stdout);
    let doctor = tree.run(VFIO, &["doctor", "--only", "reset"]);
    assert_eq!(doctor.status, Some(2));
    assert!(doctor.stdout.contains("switch the machine off and on"), "{}", doctor.stdout);
    // The next boot.
    std::fs::remove_dir_all(tree.join("run/vfio/dead")).unwrap();
    let back = give_back(&tree, "demo");
    assert_eq!(back.status, Some(0), "{}", back.stderr);
}
