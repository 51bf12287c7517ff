// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio doctor` on a machine on which one thing after the other goes wrong: each is told by its code and by no other, and no
//! longer when it is put right. Then `--fix`, its undo, and the same after a kill.

use crate::checks::Checks;
use crate::desk;
use crate::machine::Machine;
use crate::qemu;
use crate::roms;
use anyhow::Result;
use std::collections::BTreeSet;

/// One card for a guest of libvirt's, which the desktop is on, and one that is bound at boot.
const CONFIGURATION: &str = "\
[gpu big]
device = 0000:01:00.0
identity = 1234:1111
bind = guest

[gpu second]
device = 0000:02:00.0
bind = boot

[guest demo]
gpus = big
start-timeout = 4min
";

/// What the guest's network needs beside what is on the desk, and another program that binds cards.
const PACKAGES: &str = concat!(
    "weston libpam-systemd dbus alsa-utils libvirt-daemon-system libvirt-clients apparmor polkitd ",
    "dnsmasq-base iptables driverctl"
);

const NETWORK: &str = "<interface type='network'><source network='default'/></interface>";

/// What doctor finds at each look: its exit code, and the codes of all that is not well.
const FOUND: [(&str, &str, &[&str]); 21] = [
    ("fresh", "0", &[]),
    ("host-driver", "1", &["card-not-as-configured", "monitor-goes-dark"]),
    ("hook", "1", &["hook-not-seen"]),
    ("mount", "2", &["huge-pages-not-mounted"]),
    ("pages-free", "0", &[]),
    ("pages", "1", &["huge-pages-not-free"]),
    ("pages-again", "0", &[]),
    ("rom", "2", &["rom-apparmor"]),
    ("rom-readable", "0", &[]),
    ("network", "2", &["libvirt-not-ready", "network-not-active"]),
    ("domain", "2", &["domain-unknown"]),
    ("program", "2", &["domain-unknown", "program-missing"]),
    ("leftovers", "1", &["leftover-blacklist", "leftover-hook", "leftover-ids", "leftover-override", "leftover-rule"]),
    ("sleep", "1", &["card-may-sleep"]),
    ("watch", "0", &["edits-not-watched"]),
    ("writable", "2", &["config-writable-by-others"]),
    ("refused", "2", &["guest-file"]),
    ("refused-before", "0", &[]),
    ("broken", "2", &["card-not-as-configured", "domain-unknown", "libvirt-not-ready", "monitor-goes-dark"]),
    ("fixed-since", "0", &[]),
    ("end", "0", &[]),
];

pub fn doctor() -> Result<()> {
    let mut disk = desk::disk()?;
    disk.name = "desk-doctor";
    disk.packages = PACKAGES;
    let unwanted =
        |path: &str| path == "etc/vfio.conf" || path.contains("hooks") || path.starts_with("etc/libvirt/qemu/");
    disk.files.retain(|(path, _)| !unwanted(path));
    disk.files.push(("etc/vfio.conf", CONFIGURATION.to_owned()));
    disk.files.push(("etc/libvirt/qemu/demo.xml", desk::domain("demo", "", NETWORK, 0)));
    let link = "ln -s ../default.xml /etc/libvirt/qemu/networks/autostart/default.xml";
    disk.commands.push(link.to_owned());
    let machine = Machine::new("machine_doctor", &disk)?;
    let mut boot = desk::boot(include_str!("../guest/desk/doctor.sh"));
    boot.devices = [qemu::card(1), qemu::card(2), vec![qemu::host_display()]].concat();
    boot.words += " iommu=pt";
    machine.hand(&boot.name, "card.rom", &roms::legacy((0x1234, 0x1111)).last().bytes())?;
    let run = machine.boot(&boot)?;

    let mut checks = Checks::default();
    checks.same("the card before the first look", run.fact("first.0000:02:00.0"), "vfio-pci");
    checks.same("the text of the first look", run.text("fresh.text"), "ok: nothing is wrong\n".to_owned());
    for (look, code, expected) in FOUND {
        let answer = run.json(&format!("{look}.json"))?;
        let found = answer["checks"].as_array().into_iter().flatten();
        let wrong = found.filter(|check| check["level"] != "ok");
        let codes: BTreeSet<&str> = wrong.filter_map(|check| check["code"].as_str()).collect();
        checks.same(&format!("what '{look}' finds"), codes, expected.iter().copied().collect::<BTreeSet<_>>());
        checks.same(&format!("exit of '{look}'"), run.fact(look), code);
    }
    checks.line("why the last start failed", &run.text("last.text"), &["/srv/gone.img", "not there"]);

    let broken = run.text("broken");
    checks.same("exit of '--fix' without a terminal", run.fact("shown"), "64");
    for fix in ["fix: vfio bind second (undone by 'vfio restore second')", "fix: vfio setup --services"] {
        checks.line("what it shows", &run.text("shown.text"), &[fix]);
    }
    checks.same("and changes", run.text("broken.shown"), broken.clone());
    checks.same(&format!("exit of '--fix --yes': {}", run.text("fixed.text")), run.fact("fixed"), "0");
    checks.same("what it leaves", run.text("whole"), format!("vfio-pci\nup\ndefault.xml\n{}", "enabled\n".repeat(4)));
    checks.same(&format!("exit of the undo: {}", run.text("undo.text")), run.fact("undo"), "0");
    checks.same("what the undo leaves", run.text("broken.undo"), broken.clone());
    checks.same("exit of the one that is killed", run.fact("killed"), "137");
    checks.line("what it had done by then", &run.text("killed"), &["vfio-pci"]);
    checks.same(&format!("exit of its undo: {}", run.text("undo.killed.text")), run.fact("undo.killed"), "0");
    checks.same("what that undo leaves", run.text("broken.killed"), broken);
    checks.same("records after it", run.text("left"), String::new());
    checks.same(&format!("exit of the fix after it: {}", run.text("again.text")), run.fact("again"), "0");
    checks.same("units that failed", run.fact("failed"), "");
    checks.done()
}
