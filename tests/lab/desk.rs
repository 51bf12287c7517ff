// SPDX-License-Identifier: LGPL-2.1-or-later
//! The machine of the guest scenarios: a desktop session under logind on the very card that guests get, with sound, and
//! libvirt with its AppArmor profiles.

use crate::images::Disk;
use crate::layers::Initramfs;
use crate::machine::Boot;
use crate::{extra, qemu};
use anyhow::Result;
use std::time::Duration;

/// A desktop's compositor, logind's part of PAM, sound, libvirt and what confines it.
const PACKAGES: &str = "weston libpam-systemd dbus alsa-utils libvirt-daemon-system libvirt-clients apparmor polkitd";

/// Every guest gets the same card. All of this is slow in an emulator, libvirt's first start of a guest most of all.
const CONFIGURATION: &str = "\
[gpu big]
device = 0000:01:00.0
identity = 1234:1111
bind = guest
";

/// The domains, their kernel's command line (how each ends), and a further device.
const DOMAINS: [(&str, &str, &str); 5] = [
    // Waits for the power button.
    ("demo", "", ""),
    // Powers off by itself.
    ("brief", "off=15", ""),
    // Panics.
    ("ill", "panic=3", ""),
    // Does not hear the power button.
    ("deaf", "deaf", ""),
    // Cannot start.
    ("lame", "", "<disk type='file'><source file='/srv/gone.img'/><target dev='vda'/></disk>"),
];

/// Guests without libvirt: the name, the kernel's command line, further words for QEMU, and further lines of the section.
const PROGRAMS: [(&str, &str, &str, &str); 5] = [
    ("plain", "", "", ""),
    ("rival", "", "", ""),
    ("quick", "off=1", "", ""),
    ("early", "", "", "before = /bin/sh -c \"echo no luck >&2; exit 3\"\n"),
    // QEMU makes its devices in this order: it fails when it has the card.
    ("wrong", "", " -device no-such-device", ""),
];

/// QEMU for a guest without libvirt, with a monitor for the power button.
pub const QEMU: &str = "/usr/bin/qemu-system-x86_64 -machine q35 -accel tcg -m 32 -nodefaults -display none \
    -kernel /var/lib/libvirt/boot/pocket -append \"WORDS\" -serial file:/var/lib/vfio-guest/NAME/log \
    -qmp unix:/run/vfio-guest/NAME/qmp,server=on,wait=off -device vfio-pci,host={bdf},addr=5.0,multifunction=on \
    -device vfio-pci,host=0000:01:00.1,addr=5.1";

/// What the scripts of all machines share in which guests are started.
pub const UNITS: &str = include_str!("guest/desk/units.sh");

/// A hook that is none of ours: it notes its calls, and refuses when it is told to.
const FOREIGN_HOOK: &str = "\
#!/bin/sh
echo \"${0##*/} $1 $2 $3\" >>/run/foreign-hooks
[ \"$2\" != prepare ] || [ ! -e \"/run/refuse-${0##*/}\" ]
";

/// A name's XML. `number` makes its UUID.
pub fn domain(name: &str, words: &str, device: &str, number: usize) -> String {
    let uuid = format!("6c616200-0000-4000-8000-{number:012}");
    let xml = include_str!("guest/desk/domain.xml").replace("NAME", name).replace("UUID", &uuid);
    xml.replace("WORDS", words).replace("DEVICE", device)
}

/// The sections of all guests.
fn guests() -> String {
    let mut text = String::new();
    for (name, ..) in DOMAINS {
        text += &format!("\n[guest {name}]\ngpus = big\nstart-timeout = 4min\nstop-timeout = 60s\n");
    }
    for (name, words, more, lines) in PROGRAMS {
        let mut command = QEMU.replace("NAME", name).replace("WORDS", words);
        command += more;
        text += &format!(
            "\n[guest {name}]\ngpus = big\nrunner = command\ncommand = {command}\nstart-timeout = 4min\n\
             stop-timeout = 60s\n{lines}"
        );
    }
    text
}

/// What costs time at boot and is no part of a desktop or of a guest.
const QUIET: &str = "\
rm -f /etc/libvirt/qemu/networks/autostart/default.xml
find /etc/apparmor.d -maxdepth 1 -type f ! -name '*libvirt*' -delete
ln -s /dev/null /etc/udev/rules.d/90-alsa-restore.rules
systemctl mask alsa-restore.service";

/// The disk.
pub fn disk() -> Result<Disk> {
    let mut disk = Disk::new("desk", Initramfs::InitramfsTools);
    disk.packages = PACKAGES;
    disk.files = vec![
        ("etc/vfio.conf", CONFIGURATION.to_owned() + &guests()),
        // At a shutdown the daemon that would write logs for QEMU stops before guests do.
        ("etc/libvirt/qemu.conf", "stdio_handler = \"file\"\n".to_owned()),
        ("etc/libvirt/hooks/qemu.d/10-foreign", FOREIGN_HOOK.to_owned()),
        ("etc/libvirt/hooks/qemu.d/60-foreign", FOREIGN_HOOK.to_owned()),
        ("usr/lib/lab/session", include_str!("guest/desk/session.sh").to_owned()),
        ("usr/lib/lab/sound", include_str!("guest/desk/sound.sh").to_owned()),
        ("usr/lib/lab/weston.ini", include_str!("guest/desk/weston.ini").to_owned()),
        ("etc/systemd/system/display-manager.service", include_str!("guest/desk/display-manager.service").to_owned()),
        ("etc/systemd/user/lab-sound.service", include_str!("guest/desk/sound.service").to_owned()),
    ];
    for (number, (name, words, device)) in DOMAINS.iter().enumerate() {
        let path: &'static str = match *name {
            "demo" => "etc/libvirt/qemu/demo.xml",
            "brief" => "etc/libvirt/qemu/brief.xml",
            "ill" => "etc/libvirt/qemu/ill.xml",
            "lame" => "etc/libvirt/qemu/lame.xml",
            _ => "etc/libvirt/qemu/deaf.xml",
        };
        disk.files.push((path, domain(name, words, device, number)));
    }
    disk.copies = vec![(extra::pocket()?, "var/lib/libvirt/boot/pocket")];
    disk.commands = vec![
        "useradd --create-home --groups audio,video desk".to_owned(),
        "systemctl enable display-manager.service && systemctl --global enable lab-sound.service".to_owned(),
        QUIET.to_owned(),
    ];
    disk.report = vec!["vfio check"];
    Ok(disk)
}

/// A boot of it: one card, which the desktop is on, and a display of which nobody takes notice.
pub fn boot(script: &str) -> Boot {
    let mut boot = Boot::new("boot", &format!("{UNITS}{}{script}", include_str!("guest/desk/desk.sh")));
    boot.devices = qemu::card(1);
    boot.devices.push(qemu::host_display());
    boot.deadline = Duration::from_secs(1800);
    boot
}
