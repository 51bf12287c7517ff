// SPDX-License-Identifier: LGPL-2.1-or-later
//! Huge pages for a guest: made before it starts, gone when it has ended, and nobody else's touched.

use super::*;
const ALL: &str = "sys/kernel/mm/hugepages/hugepages-2048kB";

/// How many there are on each node.
fn there(tree: &Tree) -> [u64; 2] {
    [0, 1].map(|node| common::pages::number(tree, node))
}

#[test]
fn they_are_made_on_the_cards_node_and_given_back() {
    let tree = with_pages([100, 96]);
    let before = tree.snapshot();
    let running = started(&tree, "demo");
    assert_eq!(there(&tree), [100, 96 + 3900], "196 of the 4096 were there");
    assert_eq!(tree.read(&format!("{ALL}/free_hugepages")), "0\n", "the guest has them");
    guest_ends(&tree, "demo");
    let ran = running.end();
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    let told = |words: &str| ran.stderr.find(words).unwrap_or_else(|| panic!("{words}: {}", ran.stderr));
    assert!(told("have 4096 huge pages of 2 MiB free, as far as they come now") < told("end session 2"));
    assert!(told("wait until nobody holds") < told("have 4096 huge pages of 2 MiB free\n"));
    give_back(&tree, "demo");
    log_in_again(&tree, "after the guest");
    tree.assert_same(&before, "after the guest");
}

#[test]
fn what_others_have_made_meanwhile_stays() {
    let tree = with_pages([0, 0]);
    let running = started(&tree, "demo");
    let more = common::pages::number(&tree, 1) + 7;
    let path = common::pages::path(1);
    assert_eq!(tree.simulate(&["write", &path, &more.to_string()]).status, Some(0));
    guest_ends(&tree, "demo");
    assert_eq!(running.end().status, Some(0));
    assert_eq!(there(&tree), [0, 7]);
}

#[test]
fn what_others_have_given_back_meanwhile_is_not_taken_from_anybody() {
    let tree = with_pages([0, 50]);
    let running = started(&tree, "demo");
    let fewer = common::pages::number(&tree, 1) - 20;
    assert_eq!(tree.simulate(&["write", &common::pages::path(1), &fewer.to_string()]).status, Some(0));
    guest_ends(&tree, "demo");
    assert_eq!(running.end().status, Some(0));
    assert_eq!(there(&tree), [0, 50]);
}

#[test]
fn memory_that_is_not_together_is_compacted_and_caches_are_dropped_only_then() {
    for (limits, compacted, dropped) in
        [("2048 1 5000", false, false), ("2048 1 900 5000", true, false), ("2048 1 900 1000 5000", true, true)]
    {
        let tree = with_pages([0, 0]);
        tree.write(".kernel/huge-pages", &format!("2048 0 0\n{limits}\n"));
        let running = started(&tree, "demo");
        assert_eq!(there(&tree), [0, 4096], "{limits}");
        assert_eq!(tree.exists(".kernel/compacted"), compacted, "{limits}");
        assert_eq!(tree.exists(".kernel/dropped"), dropped, "{limits}");
        guest_ends(&tree, "demo");
        assert_eq!(running.end().status, Some(0), "{limits}");
        assert_eq!(there(&tree), [0, 0], "{limits}");
    }
}

#[test]
fn what_the_cards_node_does_not_have_comes_from_the_next() {
    let tree = with_pages([3, 0]);
    tree.write(".kernel/huge-pages", "2048 1 1000\n");
    let running = started(&tree, "demo");
    assert_eq!(there(&tree), [3096, 1000]);
    guest_ends(&tree, "demo");
    assert_eq!(running.end().status, Some(0));
    assert_eq!(there(&tree), [3, 0]);
}

#[test]
fn pages_that_do_not_come_fail_the_start_and_the_desktop_comes_back() {
    let tree = with_pages([0, 10]);
    tree.write(".kernel/huge-pages", "2048 0 1000\n2048 1 1000\n");
    let before = tree.snapshot();
    let ran = tree.run(VFIO_GUEST, &["run", "demo"]);
    assert_eq!(ran.status, Some(1));
    let sentence = "4096 of 2 MiB are needed and 2000 came; end programs that use memory, or boot with 'hugepagesz=2M \
                    hugepages=4096'";
    assert!(ran.stderr.contains(sentence), "{}", ran.stderr);
    assert_eq!(give_back(&tree, "demo").status, Some(0));
    log_in_again(&tree, "without pages");
    tree.assert_same(&before, "without pages");
    assert_nothing_left(&tree, "without pages");
}
