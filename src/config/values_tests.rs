// SPDX-License-Identifier: LGPL-2.1-or-later
//! One table per type of value.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::config::sections::gpu::*;
use crate::config::sections::guest::*;
use crate::config::sections::host::*;
use crate::pci::Address;

/// What is read, and that everything in `wrong` is refused with an error that quotes the beginning of the value.
fn table<T: PartialEq + std::fmt::Debug>(read: impl Fn(&str) -> Parsed<T>, right: &[(&str, T)], wrong: &[&str]) {
    for (text, value) in right {
        assert_eq!(read(text).as_ref(), Ok(value), "{text}");
    }
    for text in wrong {
        let error = read(text).unwrap_err().to_string();
        let quoted = text.split([' ', ',']).next().unwrap();
        assert!(error.contains(&*clip(quoted)) && error.contains(' '), "{text}: {error}");
        assert!(error.len() < 300, "{text}: {error}");
    }
}

#[test]
fn booleans() {
    table(
        boolean,
        &[
            ("yes", true),
            ("TRUE", true),
            ("On", true),
            ("1", true),
            ("no", false),
            ("False", false),
            ("off", false),
            ("0", false),
        ],
        &["y", "n", "2", "yes # mine", "ja", "10", "enabled"],
    );
}

#[test]
fn words_of_a_set() {
    table(iommu, &[("auto", Iommu::Auto), ("ON", Iommu::On), ("off", Iommu::Off)], &["yes", "pt", "autos"]);
    table(bind, &[("boot", Bind::Boot), ("Guest", Bind::Guest)], &["boto", "never"]);
    table(
        driver,
        &[("vfio-pci", Driver::VfioPci), ("vfio_pci", Driver::VfioPci), ("auto", Driver::Auto)],
        &["vfio", "amdgpu"],
    );
    table(runner, &[("libvirt", Runner::Libvirt), ("command", Runner::Command)], &["qemu"]);
    table(
        handover,
        &[("auto", Handover::Auto), ("steal", Handover::Steal), ("hot", Handover::Hot), ("none", Handover::None)],
        &["cold", "no"],
    );
    table(
        reset,
        &[
            ("auto", Reset::Auto),
            ("flr", Reset::Flr),
            ("FLR", Reset::Flr),
            ("pm", Reset::Pm),
            ("bus", Reset::Bus),
            ("device_specific", Reset::DeviceSpecific),
            ("device-specific", Reset::DeviceSpecific),
            ("vendor-reset", Reset::VendorReset),
            ("vendor_reset", Reset::VendorReset),
            ("none", Reset::None),
        ],
        &["flr,bus", "secondary", "function"],
    );
    let error = bind("boto").unwrap_err();
    assert_eq!(error.to_string(), "invalid value 'boto': expected boot or guest; did you mean 'boot'?");
    assert_eq!(error.as_error("bind"), "invalid value 'boto' for 'bind': expected boot or guest");
}

#[test]
fn failed_boot_numbers() {
    table(
        failed_boots,
        &[("0", 0), ("2", 2), ("08", 8), ("100", 100)],
        &["-1", "+1", "101", "2.0", "two", "99999999999999999999"],
    );
}

#[test]
fn selectors() {
    let address = |text: &str| Selector::Address(text.parse().unwrap());
    table(
        selector,
        &[
            ("0000:08:09.0", address("0000:08:09.0")),
            ("03:00.1", address("0000:03:00.1")),
            ("1002:73bf", Selector::Identity("1002:73bf".parse().unwrap())),
            ("1002:73BF:1da2:e445", Selector::Identity("1002:73bf:1da2:e445".parse().unwrap())),
            ("boot-display", Selector::BootDisplay),
            ("not-boot-display", Selector::NotBootDisplay),
        ],
        &[
            "0000:03:00",
            "03:00",
            "0000:03:00.8",
            "1002:73b",
            "1002",
            "boot",
            "boot-dispaly",
            "0000:03:00.0,0000:03:00.1",
            "x.y",
        ],
    );
    // The error is about what the text looks like.
    assert!(selector("0000:03:00").unwrap_err().to_string().contains("function"));
    assert!(selector("1002:73b").unwrap_err().to_string().contains("vendor:device"));
    assert_eq!(selector("boot-dispaly").unwrap_err().hint.as_deref(), Some("did you mean 'boot-display'?"));
    assert!(selector(&"0".repeat(4000)).unwrap_err().to_string().len() < 300);
    assert!(selector(&format!("{}.0", "0".repeat(4000))).unwrap_err().to_string().len() < 300);
}

#[test]
fn lists_of_addresses() {
    let two: Vec<Address> = vec!["0000:05:00.0".parse().unwrap(), "0000:05:00.1".parse().unwrap()];
    table(
        addresses,
        &[
            ("0000:05:00.0,0000:05:00.1", two.clone()),
            ("0000:05:00.0 , 05:00.1", two.clone()),
            ("0000:05:00.0\t0000:05:00.1 0000:05:00.0,", two),
        ],
        &[",", "05:00", "1002:73bf", "0000:05:00.9"],
    );
}

#[test]
fn lists_of_functions() {
    table(
        functions,
        &[("all", None), ("0", Some(vec![0])), ("1,0", Some(vec![0, 1])), ("7 0 7", Some(vec![0, 7]))],
        &["8", "00", "-1", "0-3", ",", "none", "al"],
    );
    assert!(functions("0,all").is_err());
}

#[test]
fn bar_sizes() {
    const M: u64 = 1 << 20;
    table(
        bar,
        &[
            ("1M", BarSize::Bytes(M)),
            ("1024K", BarSize::Bytes(M)),
            ("256M", BarSize::Bytes(256 * M)),
            ("16g", BarSize::Bytes(16 << 30)),
            ("8388608", BarSize::Bytes(8 * M)),
            ("128T", BarSize::Bytes(1 << 47)),
            ("max", BarSize::Max),
            ("MIN", BarSize::Min),
            ("firmware", BarSize::Firmware),
        ],
        &[
            "14",
            "0",
            "0M",
            "512K",
            "3G",
            "16GB",
            "16GiB",
            "1.5G",
            "-1G",
            "256T",
            "99999999999T",
            "G",
            "maximum",
            "16 G",
        ],
    );
    // 14 is the kernel's way to write 16G, and many have written that into scripts.
    assert!(bar("14").unwrap_err().to_string().contains("counts bytes"));
}

#[test]
fn paths() {
    table(absolute_path, &[("/a", "/a".to_owned()), ("/a b/c", "/a b/c".to_owned())], &["a", "./a", "/a/", "~/a", "/"]);
}

#[test]
fn section_names() {
    table(
        names,
        &[("big", vec!["big".to_owned()]), ("a, b a", vec!["a".to_owned(), "b".to_owned()])],
        &[",", "-a", ".a", "ä", "a/b", "a@b"],
    );
}

#[test]
fn libvirt_names() {
    table(domain, &[("Windows 11", "Windows 11".to_owned())], &["--all", "a/b"]);
    table(
        uri,
        &[("qemu:///system", "qemu:///system".to_owned()), ("qemu+ssh://h/system", "qemu+ssh://h/system".to_owned())],
        &["system", "qemu:/system", "-c://", "qemu:///system x", "1a://"],
    );
}

#[test]
fn user_names() {
    table(
        user,
        &[("root", "root".to_owned()), ("vfio-guest", "vfio-guest".to_owned()), ("_a.b", "_a.b".to_owned())],
        &["-a", "1000", "a b", "a:b", "ä", "a/b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"],
    );
}

#[test]
fn unit_names() {
    let unit = |name: &str| DisplayManager::Unit(name.to_owned());
    table(
        display_manager,
        &[
            ("auto", DisplayManager::Auto),
            ("None", DisplayManager::None),
            ("sddm", unit("sddm.service")),
            ("sddm.service", unit("sddm.service")),
            ("getty@tty1", unit("getty@tty1.service")),
            ("org.gnome.dm", unit("org.gnome.dm.service")),
            ("graphical.target", unit("graphical.target")),
            ("a\\x2db.service", unit("a\\x2db.service")),
        ],
        &["a b", "getty@.service", "@x", ".service", "a/b", "-x.service", "größe"],
    );
    let two = vec!["ollama.service".to_owned(), "docker.socket".to_owned()];
    table(units, &[("ollama docker.socket", two.clone()), ("ollama.service,docker.socket,ollama", two)], &[",", "a@"]);
}

#[test]
fn times() {
    let s = Duration::from_secs;
    table(
        time,
        &[
            ("90s", s(90)),
            ("90", s(90)),
            ("2min", s(120)),
            ("1min 30s", s(90)),
            ("1min30s", s(90)),
            ("1 min", s(60)),
            ("08s", s(8)),
            ("1440min", s(86400)),
        ],
        &[
            "0",
            "0s",
            "-1s",
            "1h",
            "1m",
            "1.5min",
            "1min 30",
            "30 1min",
            "s",
            "infinity",
            "1441min",
            "99999999999999999999s",
            "90s # mine",
        ],
    );
    assert!(time("18446744073709551615min").is_err());
    assert!(time("18446744073709551615s 1s").is_err());
}
