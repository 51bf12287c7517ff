// SPDX-License-Identifier: LGPL-2.1-or-later
//! The machine of the guest scenarios: a desktop session under logind on the very card that guests get, with sound, and
//! libvirt with its AppArmor profiles.

use crate::extra;
use crate::images::Disk;
use crate::layers::Initramfs;
use anyhow::Result;

/// A desktop's compositor, logind's part of PAM, sound, libvirt and what confines it.
const PACKAGES: &str = "weston libpam-systemd dbus alsa-utils libvirt-daemon-system libvirt-clients apparmor polkitd";

/// Every guest gets the same card.
const CONFIGURATION: &str = "\
[gpu big]
device = 0000:01:00.0
identity = 1234:1111
bind = guest
";

/// The domains, and their kernel's command line: how each ends.
const DOMAINS: [(&str, &str); 4] = [
    // Waits for the power button.
    ("demo", ""),
    // Powers off by itself.
    ("brief", "off=3"),
    // Panics.
    ("ill", "panic=3"),
    // Does not hear the power button.
    ("deaf", "deaf"),
];

/// A name's XML. `number` makes its UUID.
fn domain(name: &str, words: &str, number: usize) -> String {
    let uuid = format!("6c616200-0000-4000-8000-{number:012}");
    let xml = include_str!("guest/desk/domain.xml").replace("NAME", name).replace("UUID", &uuid);
    xml.replace("WORDS", words)
}

/// What costs time at boot and is no part of a desktop or of a guest.
const QUIET: &str = "\
rm -f /etc/libvirt/qemu/networks/autostart/default.xml
find /etc/apparmor.d -maxdepth 1 -type f ! -name '*libvirt*' -delete
ln -s /dev/null /etc/udev/rules.d/90-alsa-restore.rules";

/// The disk.
pub fn disk() -> Result<Disk> {
    let mut disk = Disk::new("desk", Initramfs::InitramfsTools);
    disk.packages = PACKAGES;
    let mut configuration = CONFIGURATION.to_owned();
    for (name, _) in DOMAINS {
        configuration += &format!("\n[guest {name}]\ngpus = big\nstop-timeout = 20s\n");
    }
    disk.files = vec![
        ("etc/vfio.conf", configuration),
        ("usr/lib/lab/session", include_str!("guest/desk/session.sh").to_owned()),
        ("usr/lib/lab/sound", include_str!("guest/desk/sound.sh").to_owned()),
        ("usr/lib/lab/weston.ini", include_str!("guest/desk/weston.ini").to_owned()),
        ("etc/systemd/system/display-manager.service", include_str!("guest/desk/display-manager.service").to_owned()),
        ("etc/systemd/user/lab-sound.service", include_str!("guest/desk/sound.service").to_owned()),
    ];
    for (number, (name, words)) in DOMAINS.iter().enumerate() {
        let path: &'static str = match *name {
            "demo" => "etc/libvirt/qemu/demo.xml",
            "pocket" => "etc/libvirt/qemu/pocket.xml",
            "brief" => "etc/libvirt/qemu/brief.xml",
            "ill" => "etc/libvirt/qemu/ill.xml",
            _ => "etc/libvirt/qemu/deaf.xml",
        };
        disk.files.push((path, domain(name, words, number)));
    }
    disk.copies = vec![(extra::pocket()?, "var/lib/libvirt/boot/pocket")];
    disk.commands = vec![
        "useradd --create-home --groups audio,video desk".to_owned(),
        "systemctl enable display-manager.service && systemctl --global enable lab-sound.service".to_owned(),
        QUIET.to_owned(),
    ];
    Ok(disk)
}
