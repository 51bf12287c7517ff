// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio setup` on a Debian as its installer leaves it, with libvirt and two cards: one command, a reboot, and the guest has the
//! card; one more, and everything is as before.

use super::probed;
use crate::checks::Checks;
use crate::efi::{EfiDisk, EfiMachine, Loader};
use crate::qemu;
use anyhow::Result;

const SCRIPT: &str = concat!(include_str!("../guest/efi/boot.sh"), include_str!("../guest/setup/setup.sh"));

/// libvirt, and what Debian recommends beside it for its network.
const PACKAGES: &str = "libvirt-daemon-system libvirt-clients dnsmasq-base iptables libpam-systemd apparmor polkitd";

/// A user; no monitor on the second display, which is the card; libvirt's network does not start by itself; of AppArmor's
/// profiles, which are slow to load here, libvirt's stay.
const COMMANDS: &[&str] = &[
    "sed -i 's/=\"quiet\"/=\"quiet video=Virtual-2:d\"/' /etc/default/grub",
    "useradd --create-home ada",
    "rm -f /etc/libvirt/qemu/networks/autostart/default.xml",
    "find /etc/apparmor.d -maxdepth 1 -type f ! -name '*libvirt*' -delete",
];

/// The functions of the card, and the host's drivers for them.
const FUNCTIONS: [(&str, &str); 2] = [("0000:01:00.0", "bochs-drm"), ("0000:01:00.1", "snd_hda_intel")];

/// As virt-manager makes them: with a display of its own, and nothing of the host's.
const DOMAIN: &str = include_str!("../guest/setup/domain.xml");

/// The first lines in which two texts differ.
fn differences(one: &str, other: &str) -> String {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
    let (one, other) = (lines(one), lines(other));
    let gone = one.difference(&other).map(|line| format!("- {line}"));
    gone.chain(other.difference(&one).map(|line| format!("+ {line}"))).take(20).collect::<Vec<_>>().join("\n")
}

pub fn grub() -> Result<()> {
    let disk = EfiDisk { host_drivers: true, packages: PACKAGES, commands: COMMANDS, ..EfiDisk::new(Loader::Grub) };
    let machine = EfiMachine::new("efi_setup", &disk)?;
    let mut boot = EfiMachine::usual("boot", &SCRIPT.replace("@DOMAIN@", DOMAIN));
    boot.devices = [qemu::card(1), vec![qemu::host_display()]].concat();
    boot.reboots = true;
    let run = machine.boot(&boot)?;

    let mut checks = Checks::default();
    for (name, code) in [("check", "1"), ("dry", "0"), ("made", "0"), ("json", "0"), ("again", "0"), ("early", "2")] {
        checks.same(&format!("exit of '{name}': {}", run.text(name)), run.fact(name), code);
    }
    checks.same("a look changes", differences(&run.text("before"), &run.text("looked")), String::new());
    checks.line("it says that a reboot is needed", &run.text("made"), &["Next:", "reboot"]);
    checks.line("no monitor is on the card", &run.text("check"), &["no monitor; for the guest"]);
    for name in ["json", "again"] {
        let words = if name == "json" { "\"changed\":false" } else { "nothing to do" };
        checks.line(&format!("a second run ({name})"), &run.text(name), &[words]);
    }
    checks.line("an undo while the guest runs", &run.text("early"), &["shut down what runs first", "tiny"]);
    checks.line("groups", &run.text("made"), &["ada", "libvirt"]);
    for (function, driver) in FUNCTIONS {
        for (when, expected) in [("first", driver), ("second", "vfio-pci"), ("guest", "vfio-pci"), ("third", driver)] {
            checks.same(&format!("{function}, {when}"), run.fact(&format!("{when}.{function}")), expected);
        }
    }
    checks.same(&format!("`vfio status`: {}", run.text("status")), run.fact("status"), "0");
    checks.same(&format!("the guest's start: {}", run.text("start.text")), run.fact("start"), "0");
    checks.same("its unit runs", run.fact("runs"), "0");
    checks.line("the card as the guest sees it", &run.text("serial"), &["1234:1111 class 038000"]);
    checks.line("its audio as the guest sees it", &run.text("serial"), &["8086:2668 class 040300"]);
    checks.same(&format!("the guest's stop: {}", run.text("stop.text")), run.fact("stop"), "0");
    checks.line("how the guest ended", &run.text("serial"), &["pocket: power button"]);

    checks.same(&format!("exit of the undo: {}", run.text("undo")), run.fact("undo"), "0");
    checks.line("a second undo", &run.text("nothing"), &["nothing to undo"]);
    checks.no_line("records after the undo", &run.text("left"), &["/var/lib/vfio/setup"]);
    checks.same("/etc and /boot after the undo", differences(&run.text("before"), &run.text("after")), String::new());
    for what in ["domain", "networks", "groups", "enabled", "entries"] {
        let (before, after) = (run.text(&format!("{what}.before")), run.text(&format!("{what}.after")));
        checks.same(&format!("{what} after the undo"), differences(&before, &after), String::new());
        checks.same(&format!("there are {what}"), before.is_empty(), false);
    }
    checks.same("libvirt's network after the reboot", run.fact("network"), "0");
    checks.same("units that failed", run.fact("failed"), "");
    checks.no_line("AppArmor", &run.text("journal"), &["apparmor=\"DENIED\""]);
    let tried = probed(&run.text("dmesg"), "0000:01:00.0").contains(&"vfio-pci");
    checks.same("vfio tried on the card after the undo", tried, false);
    checks.done()
}
