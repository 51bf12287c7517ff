// SPDX-License-Identifier: LGPL-2.1-or-later
//! The values of the keys about a domain's definition, right and wrong.
#![allow(clippy::unwrap_used)]

use super::*;

#[test]
fn processors_are_a_number_or_a_list() {
    assert_eq!(cpus("auto").unwrap(), Cpus::Auto);
    assert_eq!(cpus("8").unwrap(), Cpus::Number(8));
    assert_eq!(cpus("4-6,12-13, 5").unwrap(), Cpus::List(vec![4, 5, 6, 12, 13]));
    assert_eq!(cpus("3-3").unwrap(), Cpus::List(vec![3]));
    assert_eq!(cpus("0-8191").unwrap(), Cpus::List((0..8192).collect()));
    for wrong in ["0", "8193", "-1", "3-", "5-4", "4-8192", "a", ",", "1,,x", "+4", "0x4", "1-2-3"] {
        assert!(cpus(wrong).is_err(), "{wrong}");
    }
    assert!(cpus(&"0-8191,".repeat(1000)).is_ok());
}

#[test]
fn sizes() {
    assert_eq!(memory("16G").unwrap(), 16 << 30);
    assert_eq!(memory("8192m").unwrap(), 8 << 30);
    for wrong in ["16", "63M", "0", "-1G", "1.5G", "16 G", "99999999T", "16GB"] {
        assert!(memory(wrong).is_err(), "{wrong}");
    }
    assert_eq!(hugepages("no").unwrap(), Pages::No);
    assert_eq!(hugepages("2M").unwrap(), Pages::Size(2 << 20));
    assert_eq!(hugepages("1g").unwrap(), Pages::Size(1 << 30));
    for wrong in ["yes", "4K", "3M", "2", "32G"] {
        assert!(hugepages(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn pictures() {
    let picture = |width, height, hdr| LookingGlass::Picture { width, height, hdr };
    assert_eq!(looking_glass("2560x1440").unwrap(), picture(2560, 1440, false));
    assert_eq!(looking_glass("3840X2160 HDR").unwrap(), picture(3840, 2160, true));
    assert_eq!(looking_glass("no").unwrap(), LookingGlass::No);
    for wrong in
        ["yes", "2560", "2560x", "x1440", "0x0", "2560x1440 hdr hdr", "2560x1440 sdr", "99999x1", "2560x1440x8"]
    {
        assert!(looking_glass(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn vendors_fit_into_twelve_characters() {
    assert_eq!(hide("yes").unwrap(), Hide::Yes);
    assert_eq!(hide("No").unwrap(), Hide::No);
    assert_eq!(hide("AuthenticAMD").unwrap(), Hide::Vendor("AuthenticAMD".to_owned()));
    for wrong in ["thirteen_char", "a,b", "a<b", "a'b", "\u{e9}"] {
        assert!(hide(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn nodes_and_identities() {
    let path = "/dev/input/by-id/usb-ACME_Keyboard-event-kbd";
    assert_eq!(input(&format!("{path}, {path}")).unwrap(), Input::Paths(vec![path.to_owned()]));
    assert_eq!(input("auto").unwrap(), Input::Auto);
    assert_eq!(input("none").unwrap(), Input::None);
    for wrong in ["event3", "/dev/input/", "/dev/input/../sda", "/dev/sda", "/dev/input/by-id//x", "auto,none"] {
        assert!(input(wrong).is_err(), "{wrong}");
    }
    let ids = usb("046d:c52b 1532:0084").unwrap();
    assert_eq!(ids[1], UsbId { vendor: 0x1532, product: 0x0084 });
    for wrong in ["46d:c52b", "046d", "046d:c52b:1", "046d-c52b", "+46d:c52b", ","] {
        assert!(usb(wrong).is_err(), "{wrong}");
    }
    assert_eq!(input_toggle("Ctrl-Ctrl").unwrap(), "ctrl-ctrl");
    assert!(input_toggle("ctrl").is_err());
    assert!(virtio_win("virtio.iso").is_err());
}
