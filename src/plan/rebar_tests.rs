// SPDX-License-Identifier: LGPL-2.1-or-later
//! Which size is chosen, and why not a larger one.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::config::{parse_files, Config};
use crate::finding::codes::Code;
use crate::host::holders::Holder;
use crate::host::Function;
use crate::plan::{bind, select};

const M: u64 = 1 << 20;
const G: u64 = 1 << 30;
const BASE: u64 = 0x40_0000_0000;
/// 256M to 16G, and 1M to 256M: what an RX 6800 offers.
const OFFERS: [(u8, std::ops::RangeInclusive<u32>); 2] = [(0, 28..=34), (2, 20..=28)];

fn card() -> Address {
    Address::from_sysfs(b"0000:03:00.0").unwrap()
}

/// A card with these sizes of BAR 0 and 2, and so much room.
fn host(now: [u64; 2], free: Option<u64>) -> Host {
    let bar = |n: usize| {
        let (index, shifts) = OFFERS[n].clone();
        let (start, flags) = (BASE + n as u64 * 32 * G, 0x14_220c);
        Bar { index, start, size: now[n], flags, sizes: shifts.map(|shift| 1 << shift).collect() }
    };
    let small = Bar { index: 5, start: 0x8000_0000, size: M, flags: 0x4_0200, sizes: Vec::new() };
    let window = BridgeWindow {
        bars: vec![bar(0), bar(1), small],
        firmware: vec![(0, 256 * M), (2, 256 * M), (5, M)],
        free: free.map(|bytes| vec![(0x1000, 64 * M), (BASE, bytes)]),
        ..BridgeWindow::default()
    };
    Host { windows: vec![(card(), window)], kernel: "6.12.107+deb13-amd64".to_owned(), ..Host::default() }
}

fn config(lines: &str) -> Config {
    let text = format!("[gpu big]\ndevice = 0000:03:00.0\n{lines}");
    let config = parse_files(&[("/etc/vfio.conf", text.as_bytes())]);
    assert_eq!(config.diagnostics, []);
    config
}

/// The steps as `BAR SIZE`, and the warnings with their codes.
fn planned(lines: &str, host: &Host) -> (Vec<String>, Vec<String>) {
    let config = config(lines);
    let gpu = &config.gpus[0];
    let (steps, warnings) = plan(gpu, &[card()], &desired(gpu, None), host);
    let show = |step: &Step| match step {
        Step::Resize { bar, size, .. } => format!("{bar} {}", show_size(*size)),
        other => panic!("{other}"),
    };
    (steps.iter().map(show).collect(), warnings.iter().map(Finding::line).collect())
}

fn steps(lines: &str, host: &Host) -> Vec<String> {
    let (steps, warnings) = planned(lines, host);
    assert_eq!(warnings, [] as [&str; 0], "{lines}");
    steps
}

#[test]
fn sizes_that_are_offered_are_chosen_shrinking_first() {
    let small = host([256 * M, 256 * M], Some(64 * G));
    assert_eq!(steps("bar0 = 16G\nbar2 = 8M\n", &small), ["2 8M", "0 16G"]);
    assert_eq!(steps("bar0 = max\nbar2 = min\n", &small), ["2 1M", "0 16G"]);
    assert_eq!(steps("bar0 = 256M\n", &small), [] as [&str; 0]);
    let large = host([16 * G, 8 * M], None);
    assert_eq!(steps("bar0 = firmware\nbar2 = firmware\n", &large), ["0 256M", "2 256M"]);
    assert_eq!(steps("bar0 = max\nbar2 = 8M\n", &large), [] as [&str; 0]);
}

#[test]
fn what_is_not_offered_becomes_the_next_smaller_with_a_warning() {
    let (steps, warnings) = planned("bar0 = 32G\n", &host([256 * M, 256 * M], None));
    assert_eq!(steps, ["0 16G"]);
    assert_eq!(
        warnings,
        ["/etc/vfio.conf:3: [gpu big] 0000:03:00.0: BAR 0 does not offer 32G: it gets 16G [bar-size-not-offered]"]
    );
    let (steps, warnings) = planned("bar0 = 128M\n", &host([256 * M, 256 * M], None));
    assert_eq!(steps, [] as [&str; 0]);
    assert!(
        warnings[0].ends_with("BAR 0 stays as it is: the smallest size that it offers is 256M [bar-size-not-offered]"),
        "{warnings:?}"
    );
    let (steps, warnings) = planned("bar5 = 1M\n", &host([256 * M, 256 * M], None));
    assert_eq!(steps, [] as [&str; 0]);
    assert!(warnings.len() == 1 && warnings[0].ends_with("[bar-not-resizable]"), "{warnings:?}");
}

#[test]
fn what_has_no_room_is_known_before_anything_is_written() {
    let tight = host([256 * M, 256 * M], Some(9 * G));
    let (selected, warnings) = planned("bar0 = 16G\n", &tight);
    assert_eq!(selected, ["0 8G"]);
    let text = "/etc/vfio.conf:3: [gpu big] 0000:03:00.0: BAR 0 gets 8G instead of 16G: the root bus has no more room for it; \
                look for 'Above 4G decoding' in the firmware's setup [bar-lacks-space]";
    assert_eq!(warnings, [text]);
    assert_eq!(steps("bar0 = max\n", &tight), ["0 8G"], "the largest that fits is what was asked for");
    // 8G and what the other has make more than 8G.
    let eight = host([256 * M, 256 * M], Some(8 * G));
    assert_eq!(planned("bar0 = 8G\n", &eight).0, ["0 4G"]);
    let window = &eight.windows[0].1;
    assert_eq!(largest(window, &window.bars[0], false), 4 * G);
    // Nothing but the present sizes has room: no step is made up.
    let full = host([256 * M, 256 * M], Some(512 * M));
    assert_eq!(planned("bar0 = 16G\n", &full).0, [] as [&str; 0]);
    assert_eq!(steps("bar2 = 8M\n", &full), ["2 8M"]);
}

#[test]
fn a_largest_bar_needs_a_place_that_is_a_multiple_of_its_size() {
    let mut host = host([256 * M, 256 * M], None);
    let window = &mut host.windows[0].1;
    for (free, fitting) in [((BASE, 17 * G), true), ((BASE + 4 * G, 20 * G), false), ((BASE + 4 * G, 28 * G), true)] {
        window.free = Some(vec![free]);
        assert_eq!(fits(window, &[16 * G, 256 * M]), fitting, "{free:x?}");
    }
    assert!(fits(window, &[]));
    window.free = Some(vec![(u64::MAX - G, G)]);
    assert!(!fits(window, &[16 * G]));
}

#[test]
fn in_a_window_that_is_pinned_there_is_only_its_own_room_and_who_pins_it_is_named() {
    let mut host = host([256 * M, 256 * M], Some(G));
    let [bridge, other] = [&b"0000:02:00.0"[..], b"0000:03:00.2"].map(|a| Address::from_sysfs(a).unwrap());
    (host.windows[0].1.pinned, host.windows[0].1.within) = (Some((bridge, other)), Some(bridge));
    let (steps, warnings) = planned("bar0 = 16G\nbar2 = 8M\n", &host);
    assert_eq!(steps, ["2 8M", "0 512M"]);
    let why = "the window of bridge 0000:02:00.0 cannot move: 0000:03:00.2 has a place in it too [bar-lacks-space]";
    assert!(warnings.len() == 1 && warnings[0].ends_with(why), "{warnings:?}");
    // A kernel that may not undo what fails is asked for nothing there.
    host.kernel = "6.1.0-50-amd64".to_owned();
    let (steps, warnings) = planned("bar0 = 16G\nbar2 = 8M\n", &host);
    assert_eq!(steps, [] as [&str; 0]);
    assert!(warnings.len() == 2 && warnings.iter().all(|w| w.ends_with(why)), "{warnings:?}");
    host.windows[0].1.pinned = None;
    host.kernel = "7.3.4".to_owned();
    let (steps, warnings) = planned("bar0 = 16G\n", &host);
    assert_eq!(steps, ["0 512M"]);
    let why = "bridge 0000:02:00.0 has no more room for it in its window [bar-lacks-space]";
    assert!(warnings[0].ends_with(why), "{warnings:?}");
}

#[test]
fn a_guests_sizes_come_before_the_cards() {
    let config = config("bar0 = 16G\nbar2 = 8M\n[guest win]\ngpus = big\nbig.bar0 = 256M\n");
    let sizes = desired(&config.gpus[0], Some(&config.guests[0]));
    let value = |n: usize| sizes[n].as_ref().map(|at| (at.value, at.at.line));
    assert_eq!(value(0), Some((BarSize::Bytes(256 * M), 7)));
    assert_eq!(value(2), Some((BarSize::Bytes(8 * M), 4)));
    assert!(asks(&sizes) && !asks(&Sizes::default()));
}

#[test]
fn kernels_that_are_known_to_be_bad_are_warned_of_when_something_is_resized() {
    for (release, bad) in [
        ("6.1.0-50-amd64", true),
        ("6.12.57+deb13-amd64", true),
        ("6.12.107+deb13-amd64", false),
        ("6.18.15", true),
        ("6.19-rc1", false),
        ("7.0.4-arch1", true),
        ("7.3.4+deb13-amd64", false),
    ] {
        assert_eq!(known_bad(release).is_some(), bad, "{release}");
        let host = Host { kernel: release.to_owned(), ..host([256 * M, 256 * M], None) };
        let warned = planned("bar0 = 16G\n", &host).1;
        assert_eq!(warned.iter().any(|w| w.ends_with("[kernel-may-lose-bars]") && w.contains(release)), bad);
        assert_eq!(planned("bar0 = 256M\n", &host).1, [] as [&str; 0], "nothing is resized");
    }
}

/// 6.1.176 crashed when a BAR without a place was resized; newer kernels can give it one.
#[test]
fn a_bar_without_a_place_is_not_resized_by_kernels_that_are_known_to_be_bad() {
    let config = config("bar0 = 512M\n");
    for (release, refused) in [("6.1.0-50-amd64", true), ("6.12.117+deb13-amd64", false)] {
        let mut host = Host { kernel: release.to_owned(), ..host([256 * M, 256 * M], None) };
        let functions: Vec<Address> = host.windows.iter().map(|(function, _)| *function).collect();
        let why = |host: &Host| {
            let (steps, _) = plan(&config.gpus[0], &functions, &desired(&config.gpus[0], None), host);
            unplaced(&config.gpus[0], &steps, host).map(|finding| finding.code)
        };
        assert_eq!(why(&host), None, "{release}: with a place");
        host.windows[0].1.bars[0].start = 0;
        host.windows[0].1.bars[0].flags = 0;
        assert_eq!(why(&host), refused.then_some(codes::BAR_LOST), "{release}");
    }
}

#[test]
fn a_rescan_needs_a_bridge_of_its_own_and_a_kernel_that_is_not_locked_down() {
    let lines = "bar0 = 16G\nrebar-method = rescan\n";
    let mut host = host([256 * M, 256 * M], None);
    let code = |host: &Host| {
        let (steps, warnings) = planned_codes(lines, host);
        (steps.is_empty(), warnings)
    };
    assert_eq!(code(&host), (true, vec![codes::BAR_RESCAN_IMPOSSIBLE]));
    host.windows[0].1.alone_below = Address::from_sysfs(b"0000:02:00.0");
    assert_eq!(code(&host), (false, Vec::new()));
    host.locked_down = true;
    assert_eq!(code(&host), (true, vec![codes::BAR_RESCAN_IMPOSSIBLE]));
}

fn planned_codes(lines: &str, host: &Host) -> (Vec<Step>, Vec<Code>) {
    let config = config(lines);
    let gpu = &config.gpus[0];
    let (steps, warnings) = plan(gpu, &[card()], &desired(gpu, None), host);
    (steps, warnings.iter().map(|warning| warning.code).collect())
}

/// As [`host`], with the function itself, bound to this driver.
fn with_driver(driver: Option<&str>) -> Host {
    let function = Function {
        driver: driver.map(str::to_owned),
        group: Some(1),
        ..Function::new(card(), (0x1002, 0x73bf), 0x03_0000)
    };
    Host { functions: vec![function], ..host([256 * M, 256 * M], None) }
}

fn held(mut host: Host) -> Host {
    let holder = Holder { node: "/dev/vfio/1".to_owned(), pid: Some(7), ..Holder::default() };
    host.holders = vec![(card(), holder)];
    host
}

#[test]
fn why_sizes_are_not_set_by_hand() {
    let refused = |lines: &str, host: &Host, owner: Option<&str>| {
        let config = config(lines);
        let selection = select::select_all(&config, host).pop().unwrap();
        let plan = set(&selection, host, &desired(selection.gpu, None), owner);
        assert_ne!(plan.refusals.is_empty(), plan.steps.is_empty(), "{plan:?}");
        plan.refusals.iter().map(|finding| finding.code).collect::<Vec<_>>()
    };
    let lines = "bar0 = 16G\n";
    assert_eq!(refused(lines, &with_driver(None), None), []);
    assert_eq!(refused(lines, &with_driver(Some("vfio-pci")), None), []);
    assert_eq!(refused(lines, &with_driver(None), Some("win")), [codes::CARD_IN_GUEST]);
    assert_eq!(refused(lines, &with_driver(Some("amdgpu")), None), [codes::CARD_BOUND_TO_HOST_DRIVER]);
    assert_eq!(refused(lines, &held(with_driver(Some("vfio-pci"))), None), [codes::CARD_HELD]);
    // After a rescan any driver may have it.
    let mut host = with_driver(None);
    host.windows[0].1.alone_below = Address::from_sysfs(b"0000:02:00.0");
    assert_eq!(refused("bar0 = 16G\nrebar-method = rescan\n", &host, None), [codes::CARD_HAS_NO_DRIVER]);
}

#[test]
fn what_a_guest_has_open_keeps_its_sizes() {
    let config = config("bar0 = 16G\n");
    let said = |host: &Host| {
        let selection = crate::plan::selection::Selection {
            gpu: &config.gpus[0],
            selected: select::select_one(&config.gpus[0], host),
        };
        let plan = bind::plan(&selection, host, &desired(selection.gpu, None));
        let resizes = plan.steps.iter().any(|step| matches!(step, Step::Resize { .. }));
        (resizes, plan.warnings.iter().map(|warning| warning.code).collect::<Vec<_>>())
    };
    assert_eq!(said(&with_driver(Some("vfio-pci"))), (true, Vec::new()));
    assert_eq!(said(&held(with_driver(Some("vfio-pci")))), (false, vec![codes::BAR_IN_USE]));
}
