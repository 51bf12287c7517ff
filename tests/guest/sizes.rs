// SPDX-License-Identifier: LGPL-2.1-or-later
//! BARs have a size for each guest, and their former one when it has ended.

use super::*;

const M: u64 = 1 << 20;
const G: u64 = 1 << 30;

/// The card has 16G and 256M, as amdgpu left it; its window has room for 32G.
fn resized(bind: &str) -> Tree {
    let tree = machine();
    tree.write(".kernel/windows", "0000:00:01.0 0x800000000 0x8000000000\n");
    let text = CONFIGURATION.replace("bind = guest", &format!("bind = {bind}"));
    let text = text.replace("[guest demo]\n", "bar2 = 8M\n[guest demo]\nbig.bar0 = 512M\n");
    tree.config(&text);
    tree
}

/// Sizes of BAR 0 and 2.
fn sizes(tree: &Tree) -> [u64; 2] {
    let text = tree.attribute(VIDEO, "resource");
    let hex = |word: &str| u64::from_str_radix(word.trim_start_matches("0x"), 16).unwrap();
    [0, 2].map(|bar| {
        let words: Vec<u64> = text.lines().nth(bar).unwrap().split(' ').map(hex).collect();
        words[1] - words[0] + 1
    })
}

/// Starts a guest, sees its sizes, ends it and gives back.
fn whole(tree: &Tree, guest: &str, expected: [u64; 2]) {
    let running = started(tree, guest);
    assert!(has_card(tree));
    assert_eq!(sizes(tree), expected, "{guest}");
    // A replayed event finds the card claimed, and leaves its sizes alone.
    let replayed = tree.run(env!("CARGO_BIN_EXE_vfio-bind"), &["gpu", "big"]);
    assert_eq!(sizes(tree), expected, "{guest}: {}", replayed.stderr);
    guest_ends(tree, guest);
    let ran = running.end();
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    let back = give_back(tree, guest);
    assert_eq!(back.status, Some(0), "{}", back.stderr);
}

#[test]
fn a_card_of_the_hosts_has_its_sizes_for_the_guest_and_its_own_afterwards() {
    let tree = resized("guest");
    let before = tree.snapshot();
    assert_eq!(sizes(&tree), [16 * G, 256 * M]);
    whole(&tree, "demo", [512 * M, 8 * M]);
    tree.assert_same(&before, "after demo");
    assert_nothing_left(&tree, "after demo");
    // The other has no size of its own: the card's section counts.
    whole(&tree, "other", [16 * G, 8 * M]);
    tree.assert_same(&before, "after other");
}

/// The card with vfio from the boot on, before any guest has it.
fn bound() -> Tree {
    let tree = resized("boot");
    assert_eq!(tree.run(VFIO, &["bind", "big"]).status, Some(1), "the desktop has it");
    for unit in [ALIAS, "user@1000.service"] {
        assert_eq!(tree.simulate(&["run", "systemctl", "stop", "--", unit]).status, Some(0));
    }
    let ran = tree.run(VFIO, &["bind", "big"]);
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    tree
}

#[test]
fn a_card_that_stays_with_vfio_has_the_sizes_of_its_section_between_guests() {
    let tree = bound();
    let before = tree.snapshot();
    assert_eq!(sizes(&tree), [16 * G, 8 * M]);
    let plan = tree.run(VFIO, &["guest", "plan", "demo"]);
    assert!(plan.stdout.contains("resize the BARs of [gpu big]"), "{}{}", plan.stdout, plan.stderr);
    whole(&tree, "demo", [512 * M, 8 * M]);
    assert!(has_card(&tree), "it stays with vfio");
    tree.assert_same(&before, "after demo");
    // For a guest without sizes of its own there is nothing to resize.
    let plan = tree.run(VFIO, &["guest", "plan", "other"]);
    assert!(!plan.stdout.contains("resize"), "{}", plan.stdout);
    whole(&tree, "other", [16 * G, 8 * M]);
    tree.assert_same(&before, "after other");
}

#[test]
fn sizes_that_cannot_be_given_back_are_given_back_the_next_time() {
    let tree = bound();
    let before = tree.snapshot();
    let running = started(&tree, "demo");
    assert_eq!(sizes(&tree), [512 * M, 8 * M]);
    tree.faults("*_resize EIO\n");
    guest_ends(&tree, "demo");
    running.end();
    let ran = give_back(&tree, "demo");
    assert_eq!(ran.status, Some(2), "{}", ran.stderr);
    assert_eq!(sizes(&tree), [512 * M, 8 * M]);
    tree.no_faults();
    let ran = give_back(&tree, "demo");
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    tree.assert_same(&before, "after the second attempt");
    assert!(!tree.exists("run/vfio/guests/demo"), "nothing of the guest is left");
}

#[test]
fn a_failure_at_any_act_brings_all_sizes_back() {
    let tree = resized("guest");
    let running = started(&tree, "demo");
    let acts = tree.count();
    drop(running);
    let mut failed = 0;
    for n in 1..=acts {
        let tree = resized("guest");
        let before = tree.snapshot();
        tree.faults(&format!("{n} EIO\n"));
        let mut running = Running::start(&tree, "demo");
        let handed_over = || tree.read("run/vfio/guest-status/demo").contains("handed-over");
        let ended = running.ends_or("a start", || domain::runs(&tree, "demo") && handed_over());
        tree.no_faults();
        if !ended {
            guest_ends(&tree, "demo");
        }
        failed += u32::from(ended);
        running.end();
        let what = format!("act {n} of {acts} fails");
        let back = give_back(&tree, "demo");
        assert_eq!(back.status, Some(0), "{what}: {}", back.stderr);
        log_in_again(&tree, &what);
        tree.assert_same(&before, &what);
        assert_nothing_left(&tree, &what);
    }
    assert!(failed > 8, "only {failed} of {acts} acts keep a guest from starting");
}
