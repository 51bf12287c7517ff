// SPDX-License-Identifier: LGPL-2.1-or-later
//! What domains are to be, for tests of their definition.

use vfio_suite::config::{self, Config};
use vfio_suite::host::input::Kind;
use vfio_suite::plan::cpus::Chosen;
use vfio_suite::plan::definition::request::{Card, Facts, Inputs};
use vfio_suite::plan::input::Input;
use vfio_suite::root::Root;

/// Guests of all kinds.
pub fn guests() -> &'static Config {
    // A configuration names its files by shared pointers, which stay in one thread.
    thread_local!(static CONFIG: &'static Config = {
        let tree = super::Machine::new().build();
        tree.config(
            "[gpu big]\ndevice = 0000:03:00.0\nrom = /var/lib/vfio/big.rom\n\
             [guest a]\ngpus = big\ndisplay = card\nhide = yes\nmemory = 8G\nhugepages = 2M\ntpm = yes\naudio = card\n\
             usb = 046d:c52b, 1234:5678\ncpus = auto\ninput = auto\nsecure-boot = yes\n\
             virtio-win = /usr/share/virtio-win.iso\n\
             [guest b]\ngpus = big\ndisplay = vnc\nhide = no\nlooking-glass = no\naudio = jack\ntpm = no\nhugepages = no\n\
             input = none\nsecure-boot = no\n\
             [guest c]\ngpus = big\ndisplay = card\nlooking-glass = 2560x1440\naudio = pipewire\nhide = Acme\n\
             [guest d]\ngpus = big\n",
        );
        let config = config::load(&Root::open(tree.path()).unwrap());
        assert_eq!(config.guests.len(), 4, "{:?}", config.diagnostics);
        Box::leak(Box::new(config))
    });
    CONFIG.with(|config| *config)
}

/// A machine that has all that these ask for.
pub fn facts() -> Facts {
    let input = |path: &str, kind| Input { path: path.to_owned(), kind };
    let chosen = vec![
        input("/dev/input/by-id/k-event-kbd", Kind::Keyboard),
        input("/dev/input/by-id/m-event-mouse", Kind::Mouse),
    ];
    Facts {
        inputs: Inputs { chosen: Some(Ok(chosen)), links: Vec::new() },
        cpus: Some(Ok(Chosen { pinned: vec![2, 6, 3, 7], threads: 2, others: vec![0, 1, 4, 5], caches: 1 })),
        amd: true,
        audio: Some(Ok("/run/user/1000".to_owned())),
        address_bits: Some(39),
        ..Facts::default()
    }
}

/// Their card.
pub fn card() -> Card {
    let at = |text: &str| text.parse().unwrap();
    let functions = vec![at("0000:03:00.0"), at("0000:03:00.1")];
    let rom = Some("/var/lib/vfio/big.rom".to_owned());
    Card { name: "big".to_owned(), display: functions[0], functions, rom, acpi_table: None, shown_by: None }
}
