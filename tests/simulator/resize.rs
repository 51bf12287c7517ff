// SPDX-License-Identifier: LGPL-2.1-or-later
//! Resizable BARs: every answer of the kernel, and what is left then.

use super::*;

const G: u64 = 1 << 30;

/// Start and size of a BAR as `resource` shows it; 0 and 0 without a place.
fn bar(tree: &Tree, address: &str, index: usize) -> (u64, u64) {
    let text = tree.attribute(address, "resource");
    let words: Vec<u64> = text.lines().nth(index).unwrap().split(' ').map(hex).collect();
    match words[2] {
        0 => (0, 0),
        _ => (words[0], words[1] - words[0] + 1),
    }
}

fn hex(text: &str) -> u64 {
    u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap()
}

#[test]
fn a_bar_is_resized_only_unbound_and_only_to_what_is_offered() {
    let tree = machine().build();
    let before = tree.snapshot();
    let resize = device(VIDEO, "resource0_resize");
    assert_eq!(write(&tree, &resize, "8"), EBUSY, "the host's driver has it");
    unbind(&tree, VIDEO);
    for value in ["7", "15", "abc", "", "64", "-1"] {
        assert_eq!(write(&tree, &resize, value), EINVAL, "{value:?}");
    }
    assert_eq!(bar(&tree, VIDEO, 0).1, 16 << 30);
    assert_eq!(write(&tree, &resize, "0x8"), 0, "hexadecimal");
    assert_eq!(bar(&tree, VIDEO, 0).1, 256 << 20);
    assert_eq!(tree.attribute(VIDEO, "resource0_resize"), "0000000000007f00\n", "it never tells the size");
    assert_eq!(write(&tree, &resize, "14"), 0);
    set_override(&tree, VIDEO, "vfio-pci");
    assert_eq!(probe(&tree, VIDEO), 0);
    assert_eq!(write(&tree, &resize, "8"), EBUSY, "so does vfio-pci");
    unbind(&tree, VIDEO);
    set_override(&tree, VIDEO, "");
    assert_eq!(probe(&tree, VIDEO), 0);
    tree.assert_same(&before, "resized back");
    assert_eq!(write(&tree, &device(VIDEO, "resource1_resize"), "8"), ENOENT, "no capability, no attribute");
}

#[test]
fn a_window_limits_how_far_bars_grow() {
    let tree = machine().window(PORT, 8 * G, 0x80_0000_0000).build();
    // The firmware left 16 GiB in a window of 8: nothing fits but less.
    unbind(&tree, VIDEO);
    let resize = |index: u8, bit: &str| resize(&tree, index, bit);
    assert_eq!(resize(0, "13"), ENOSPC, "8 GiB and the 256 MiB of the other do not fit");
    assert_eq!(bar(&tree, VIDEO, 0), (0x80_0000_0000, 16 * G), "nothing changed");
    assert_eq!(resize(0, "12"), 0);
    assert_eq!(bar(&tree, VIDEO, 0), (0x80_0000_0000, 4 * G));
    assert_eq!(bar(&tree, VIDEO, 2), (0x81_0000_0000, G / 4), "the other moved up behind it");
    assert_eq!(resize(0, "8"), 0);
    assert_eq!(resize(2, "3"), 0);
    assert_eq!(bar(&tree, VIDEO, 2), (0x80_1000_0000, 8 << 20));
    assert_eq!(bar(&tree, TWIN, 0).1, 16 * G, "another port's window is another matter");
}

/// The card's memory that is placed together.
fn bars(tree: &Tree) -> [(u64, u64); 2] {
    [bar(tree, VIDEO, 0), bar(tree, VIDEO, 2)]
}

fn resize(tree: &Tree, index: u8, bit: &str) -> i32 {
    write(tree, &device(VIDEO, &format!("resource{index}_resize")), bit)
}

/// A card that no driver has, in a window of its port that it fills, and how the kernel resizes BARs.
fn full(how: &str) -> Tree {
    let tree = machine().window(PORT, 32 * G, 0x80_0000_0000).build();
    tree.write(".kernel/resize", how);
    unbind(&tree, VIDEO);
    assert_eq!(resize(&tree, 0, "8"), 0, "256M and 256M");
    tree.write(".kernel/windows", &format!("{PORT} {G:#x} 0x8000000000\n"));
    tree
}

#[test]
fn without_room_a_kernel_that_puts_back_leaves_all_as_it_was() {
    let tree = full("");
    let before = tree.snapshot();
    assert_eq!(resize(&tree, 0, "13"), ENOSPC);
    assert_eq!(bars(&tree), [(0x80_0000_0000, G / 4), (0x80_1000_0000, G / 4)]);
    tree.assert_same(&before, "put back");
    assert_eq!(resize(&tree, 0, "9"), 0, "and what fits is taken as if nothing had been");
    assert_eq!(bars(&tree), [(0x80_0000_0000, G / 2), (0x80_2000_0000, G / 4)]);
}

#[test]
fn without_room_a_kernel_that_does_not_put_back_loses_all_bars_of_the_kind() {
    let tree = full("rollback none\n");
    let five = bar(&tree, VIDEO, 5);
    assert_eq!(resize(&tree, 0, "13"), ENOSPC);
    assert_eq!(bars(&tree), [(0, 0); 2]);
    assert_eq!(bar(&tree, VIDEO, 5), five, "a 32-bit BAR is in another window");
    // The attributes of the lost BARs are freed, and the kernel uses them.
    assert_eq!([resize(&tree, 0, "8"), resize(&tree, 2, "1")], [-1; 2]);
    assert_eq!(bars(&tree), [(0, 0); 2]);
}

#[test]
fn with_room_it_does_not_matter_how_a_kernel_puts_back() {
    let tree = full("rollback none\n");
    assert_eq!(resize(&tree, 0, "9"), 0);
    assert_eq!(bars(&tree), [(0x80_0000_0000, G / 2), (0x80_2000_0000, G / 4)]);
}

/// A card that no driver has, in a window of 2G that another function pins, and where that one's BAR of 1M begins.
fn pinned(how: &str) -> (Tree, u64) {
    const OTHER: &str = "0000:03:00.2";
    let usb = Function::new(OTHER, (0x1002, 0x73a6), 0x0c_0330).under(PORT).group(11);
    let tree = machine().with([usb.bar(0, 1 << 20, common::machine::MEMORY_64, 0)]).build();
    tree.write(".kernel/resize", how);
    let (start, _) = bar(&tree, OTHER, 0);
    // It sits in the upper half.
    tree.write(".kernel/windows", &format!("{PORT} {:#x} {:#x}\n", 2 * G, start / G * G - G));
    unbind(&tree, VIDEO);
    (tree, start)
}

#[test]
fn beside_another_function_in_the_window_there_is_what_that_one_leaves() {
    let (tree, start) = pinned("");
    let upper = start / G * G;
    assert_eq!(start, upper + G / 4, "so that less than 1G is left there");
    let before = bars(&tree);
    assert_eq!(resize(&tree, 0, "11"), ENOSPC, "2G");
    assert_eq!(bars(&tree), before);
    assert_eq!(resize(&tree, 0, "10"), 0, "1G");
    assert_eq!(bars(&tree), [(upper - G, G), (upper, G / 4)]);
    assert_eq!(bar(&tree, "0000:03:00.2", 0), (start, 1 << 20));
}

/// 6.1, and what a kernel that puts nothing back would make of it.
#[test]
fn an_older_kernel_resizes_nothing_in_a_window_that_another_function_pins() {
    for (how, left) in [("pinned\n", [true, true]), ("pinned\nrollback none\n", [false, false])] {
        let (tree, start) = pinned(how);
        assert_eq!(resize(&tree, 0, "8"), ENOENT, "even where it is to become smaller");
        assert_eq!(bars(&tree).map(|(start, _)| start > 0), left, "{how:?}");
        assert_eq!(bar(&tree, "0000:03:00.2", 0), (start, 1 << 20));
    }
}

#[test]
fn a_firmware_that_wants_no_bar_moved_is_obeyed_after_the_driver_was_looked_for() {
    let tree = machine().build();
    tree.write(".kernel/resize", "preserve\n");
    assert_eq!(resize(&tree, 0, "8"), EBUSY);
    unbind(&tree, VIDEO);
    let before = tree.snapshot();
    assert_eq!([resize(&tree, 0, "8"), resize(&tree, 2, "1")], [ENOTSUPP; 2]);
    tree.assert_same(&before, "refused");
}

/// 7.3: `capable(CAP_SYS_ADMIN)` before anything else.
#[test]
fn who_may_not_is_told_so_before_anything_is_looked_at() {
    let tree = machine().build();
    tree.write(".kernel/resize", "privileged\npreserve\n");
    assert_eq!([resize(&tree, 0, "8"), resize(&tree, 0, "nonsense")], [EPERM; 2]);
    unbind(&tree, VIDEO);
    let before = tree.snapshot();
    assert_eq!(resize(&tree, 0, "8"), EPERM);
    tree.assert_same(&before, "refused");
}

/// 6.12.107, for a function on the root bus: no window above it, so nobody notices.
#[test]
fn success_may_leave_a_bar_without_a_place_and_the_next_write_hangs() {
    let tree = machine().build();
    tree.write(".kernel/resize", &format!("placeless {:#x}\n", 8 * G));
    unbind(&tree, VIDEO);
    assert_eq!(resize(&tree, 0, "12"), 0);
    let [_, two] = bars(&tree);
    assert_eq!(bars(&tree)[0].1, 4 * G, "less than that is placed");
    assert_eq!(resize(&tree, 0, "13"), 0, "it says yes");
    assert_eq!(bars(&tree), [(0, 0), two]);
    assert_eq!(tree.attribute(VIDEO, "resource0_resize"), "0000000000007f00\n", "and offers as many sizes as before");
    assert_eq!([resize(&tree, 0, "12"), resize(&tree, 2, "3")], [-1; 2]);
    assert_eq!(resize(&tree, 2, "14"), EINVAL, "what is refused before that is refused still");
}
