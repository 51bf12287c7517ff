// SPDX-License-Identifier: LGPL-2.1-or-later
//! Trees of bridges with windows, and what is free around them.
#![allow(clippy::unwrap_used)]

use super::*;
use std::fs;

const M: u64 = 1 << 20;
const G: u64 = 1 << 30;
/// Where the root bus has its 64-bit window, of 64G.
const BASE: u64 = 0x40_0000_0000;
const BAR: u64 = 0x14_220c;
const WINDOW: u64 = 0x10_2201;

const PORT: &str = "0000:00:01.0";
const UP: &str = "0000:00:01.0/0000:01:00.0";
const DOWN: &str = "0000:00:01.0/0000:01:00.0/0000:02:01.0";
const CARD: &str = "0000:00:01.0/0000:01:00.0/0000:02:01.0/0000:03:00.0";
const SOUND: &str = "0000:00:01.0/0000:01:00.0/0000:02:01.0/0000:03:00.1";

/// A function with lines of `resource`: number, start, bytes, flags.
type Lines = Vec<(usize, u64, u64, u64)>;

fn address(path: &str) -> Address {
    Address::from_sysfs(path.rsplit('/').next().unwrap().as_bytes()).unwrap()
}

fn machine(functions: &[(&str, Lines)], iomem: &str) -> (tempfile::TempDir, Root) {
    let tree = tempfile::tempdir().unwrap();
    let devices = tree.path().join(PCI_DEVICES);
    fs::create_dir_all(&devices).unwrap();
    fs::create_dir_all(tree.path().join("proc")).unwrap();
    fs::write(tree.path().join("proc/iomem"), iomem).unwrap();
    for (path, lines) in functions {
        let directory = tree.path().join("sys/devices/pci0000:00").join(path);
        fs::create_dir_all(&directory).unwrap();
        let bridge = lines.iter().any(|(n, ..)| *n > 12);
        let mut text = vec![(0, 0, 0); if bridge { 17 } else { 13 }];
        for (n, start, bytes, flags) in lines {
            text[*n] = (*start, start + bytes - 1, *flags);
            if *flags == BAR && *path == CARD {
                fs::write(directory.join(format!("resource{n}_resize")), "0000000000007f00\n").unwrap();
            }
        }
        let text: String = text.iter().map(|(s, e, f)| format!("{s:#018x} {e:#018x} {f:#018x}\n")).collect();
        fs::write(directory.join("resource"), text).unwrap();
        let link = format!("../../../devices/pci0000:00/{path}");
        std::os::unix::fs::symlink(link, devices.join(address(path).to_string())).unwrap();
    }
    let root = Root::open(tree.path()).unwrap();
    (tree, root)
}

/// A card of 256M behind a switch of its own, whose upstream port may have a BAR in the window of the root port.
fn switched(bar_of_switch: bool) -> Vec<(&'static str, Lines)> {
    let window = |bytes: u64| (15, BASE, bytes, WINDOW);
    let mut up = vec![window(256 * M)];
    if bar_of_switch {
        up.push((0, BASE + 256 * M, 8 * M, BAR));
    }
    vec![
        (PORT, vec![window(512 * M), (14, 0x8000_0000, M, 0x200)]),
        (UP, up),
        (DOWN, vec![window(256 * M)]),
        (CARD, vec![(0, BASE, 256 * M, BAR), (5, 0x8000_0000, M, 0x4_0200)]),
        (SOUND, vec![(0, 0x8010_0000, 16 << 10, 0x4_0200)]),
    ]
}

const IOMEM: &str = "00000000-00000fff : Reserved\n\
    80000000-80ffffff : PCI Bus 0000:00\n  80000000-800fffff : PCI Bus 0000:01\n\
    4000000000-4fffffffff : PCI Bus 0000:00\n  4000000000-401fffffff : PCI Bus 0000:01\n    4000000000-400fffffff : 0000:03:00.0\n  \
    4800000000-48ffffffff : 0000:00:02.0\n\
    5000000000-5fffffffff : PCI Bus 0000:40\n";

#[test]
fn all_windows_up_to_the_root_bus_move_if_nothing_else_is_in_them() {
    let (_tree, root) = machine(&switched(false), IOMEM);
    let bridge_window = read_window(&root, address(CARD)).unwrap();
    assert_eq!((bridge_window.pinned, bridge_window.within), (None, None));
    // Below 4G the 16M of the first window but what has a place there; then all but 0000:00:02.0.
    let free = vec![(0x8010_0000, 15 * M), (BASE, 32 * G), (BASE + 36 * G, 28 * G)];
    assert_eq!(bridge_window.free, Some(free));
    assert_eq!(bridge_window.firmware, [(0, 256 * M), (5, M)]);
    assert_eq!(bridge_window.together().map(|bar| bar.index).collect::<Vec<_>>(), [0], "BAR 5 is of another kind");
    assert_eq!(neighbours(&root, address(CARD)).len(), 5);
    assert_eq!(read_window(&root, address(SOUND)), None);
}

#[test]
fn a_bar_of_the_switch_keeps_the_window_above_it() {
    let (_tree, root) = machine(&switched(true), IOMEM);
    let bridge_window = read_window(&root, address(CARD)).unwrap();
    assert_eq!((bridge_window.pinned, bridge_window.within), (None, Some(address(PORT))));
    assert_eq!(bridge_window.free, Some(vec![(BASE, 256 * M), (BASE + 264 * M, 248 * M)]));
}

#[test]
fn a_neighbour_in_the_nearest_window_pins_it() {
    let mut functions = switched(false);
    functions[4].1.push((2, BASE + 128 * M, 64 << 10, BAR));
    let (_tree, root) = machine(&functions, IOMEM);
    let bridge_window = read_window(&root, address(CARD)).unwrap();
    assert_eq!(bridge_window.pinned, Some((address(DOWN), address(SOUND))));
}

#[test]
fn what_may_not_be_seen_or_is_not_there_is_not_known() {
    let zeros: String =
        IOMEM.lines().map(|line| format!("00000000-00000000 : {}\n", line.split(" : ").nth(1).unwrap())).collect();
    for iomem in [zeros.as_str(), ""] {
        let (_tree, root) = machine(&switched(false), iomem);
        assert_eq!(read_window(&root, address(CARD)).unwrap().free, None);
    }
    let mut functions = switched(false);
    functions[2].1 = vec![(13, 0x3000, 0x1000, 0x101)];
    let (_tree, root) = machine(&functions, IOMEM);
    assert_eq!(read_window(&root, address(CARD)).unwrap().free, None, "no window is there that could move");
}

#[test]
fn on_the_root_bus_itself_there_is_no_bridge_to_ask() {
    let functions = [("0000:03:00.0", vec![(0, BASE, 256 * M, BAR)])];
    let (tree, root) =
        machine(&functions, "4000000000-4fffffffff : PCI Bus 0000:00\n  4000000000-400fffffff : 0000:03:00.0\n");
    let resize = tree.path().join("sys/devices/pci0000:00/0000:03:00.0/resource0_resize");
    fs::write(resize, "0000000000007f00\n").unwrap();
    let bridge_window = read_window(&root, address("0000:03:00.0")).unwrap();
    assert_eq!((bridge_window.within, bridge_window.free), (None, Some(vec![(BASE, 64 * G)])));
    assert_eq!(neighbours(&root, address("0000:03:00.0")), [address("0000:03:00.0")]);
}

#[test]
fn what_was_remembered_counts_for_the_card_that_it_was_written_for() {
    let (tree, root) = machine(&switched(false), IOMEM);
    let card = address(CARD);
    fs::write(tree.path().join("sys/devices/pci0000:00").join(CARD).join("modalias"), "pci:one\n").unwrap();
    fs::create_dir_all(tree.path().join("run/vfio/bars")).unwrap();
    let remember = |text: &str| fs::write(tree.path().join(bars::remembered_path(card)), text).unwrap();
    remember("pci:one\n0 1073741824\n5 1048576\n");
    assert_eq!(read_window(&root, card).unwrap().firmware, [(0, G), (5, M)]);
    assert_eq!(bars::lost(&root, card), None);
    remember("pci:one\n0 268435456\n2 8388608\n");
    assert_eq!(bars::lost(&root, card), Some(2));
    remember("pci:another\n2 8388608\n");
    assert_eq!(
        (bars::lost(&root, card), read_window(&root, card).unwrap().firmware),
        (None, vec![(0, 256 * M), (5, M)])
    );
}
