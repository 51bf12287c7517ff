// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio guest edit` on a guest that libvirt has: what it writes is what the guest then has, on the host and inside. And
//! `vfio guest define`: a guest from nothing.

use crate::checks::Checks;
use crate::desk;
use crate::machine::Machine;
use crate::qemu;
use crate::roms;
use anyhow::Result;

/// The second card, which nobody holds, and its guest.
const SECTIONS: &str = "\
[gpu second]
device = 0000:02:00.0
bind = guest
rom = /var/lib/vfio/second.rom

[guest edited]
gpus = second
input = auto
audio = pipewire
memory = 64M
hugepages = 2M
looking-glass = 640x480
cpus = 1
cpus-isolate = yes
start-timeout = 4min
stop-timeout = 60s

[guest made]
gpus = second
input = auto
audio = pipewire
memory = 128M
hugepages = 2M
looking-glass = 640x480
cpus = 1
start-timeout = 4min
stop-timeout = 30s";

/// Two processors, of which the guest has one; a keyboard and a mouse with names of their own.
const DEVICES: [&str; 4] = [
    "-smp 2",
    "-device qemu-xhci,id=usb",
    "-device usb-kbd,bus=usb.0,serial=lab1",
    "-device usb-mouse,bus=usb.0,serial=lab2",
];

pub fn edit() -> Result<()> {
    let mut disk = desk::disk()?;
    disk.name = "desk-edit";
    disk.packages = concat!(
        "weston libpam-systemd dbus alsa-utils libvirt-daemon-system libvirt-clients apparmor polkitd ",
        "pipewire pipewire-bin qemu-system-gui qemu-system-modules-spice acl virtinst ovmf qemu-utils"
    );
    let machine = Machine::new("machine_guest_edit", &disk)?;
    let mut boot = desk::boot(&include_str!("../guest/desk/edit.sh").replace("@SECTIONS@", SECTIONS));
    boot.devices = [qemu::card(1), qemu::card(2), vec![qemu::host_display()]].concat();
    boot.devices.extend(DEVICES.map(str::to_owned));
    let rom = roms::efi((0x1234, 0x1111)).last().bytes();
    machine.hand(&boot.name, "card.rom", &rom)?;
    let run = machine.boot(&boot)?;

    let mut checks = Checks::default();
    for (what, code) in [("pipewire", "0"), ("define", "0"), ("dry", "1"), ("edit", "0"), ("again", "0"), ("plan", "0")]
    {
        checks.same(&format!("exit of '{what}': {}", run.text(what)), run.fact(what), code);
    }
    checks.same("exit of the start", run.fact("start"), "0");
    for function in ["0000:02:00.0", "0000:02:00.1"] {
        checks.same(&format!("{function} with the guest"), run.fact(&format!("during.{function}")), "vfio-pci");
    }
    checks.same("QEMU's AppArmor profile", run.fact("confined").contains("(enforce)"), true);
    checks.no_line("AppArmor", &run.text("journal"), &["apparmor=\"DENIED\""]);

    let serial = run.text("serial");
    checks.line("the card as the guest sees it", &serial, &["1234:1111 class 038000"]);
    checks.line("its audio as the guest sees it", &serial, &["8086:2668 class 040300"]);
    checks.line("the memory of Looking Glass as the guest sees it", &serial, &["1af4:1110 class 050000"]);
    let sum: u32 = rom.iter().map(|byte| u32::from(*byte)).sum();
    checks.line(
        "the option ROM as the card shows it in the guest",
        &serial,
        &[&format!("rom {:08x} sum {sum:08x}", rom.len())],
    );
    checks.line("the key that was pressed", &serial, &["key 25"]);
    checks.line("the memory of Looking Glass on the host", &run.text("shm"), &["looking-glass"]);

    checks.same("huge pages before", run.fact("pages.before"), "0");
    checks.same("huge pages during", run.fact("pages.during"), "32");
    checks.same("free ones of them", run.fact("free.during"), "0");
    checks.same("huge pages after", run.fact("pages.after"), "0");
    checks.line("the guest's processor", &run.text("threads"), &["CPU 0/TCG: 1"]);
    checks.line("`virsh vcpupin`", &run.text("vcpupin"), &["0", "1"]);
    let host = "system.slice:0 user.slice:0 init.scope:0 ";
    checks.same("the CPUs of the host's programs during", run.fact("allowed.during"), host);
    checks.same("the same after", run.fact("allowed.after"), run.fact("allowed.before"));
    checks.line("access to the sound server", &run.text("acl"), &["user:libvirt-qemu:"]);
    checks.no_line("access to it after", &run.text("acl.after"), &["user:libvirt-qemu:"]);
    checks.line("the guest among the clients of the sound server", &run.text("clients"), &["qemu"]);
    checks.same("the desktop during", run.fact("during.compositor"), "yes");

    checks.same("exit of the stop", run.fact("stop"), "0");
    checks.line("how the guest ended", &run.text("serial.end"), &["pocket: power button"]);
    checks.same("its unit then", run.fact("state"), "inactive");
    for (function, driver) in [("0000:02:00.0", "bochs-drm"), ("0000:02:00.1", "snd_hda_intel")] {
        checks.same(&format!("{function} after"), run.fact(&format!("after.{function}")), driver);
    }
    checks.same("what is left in /run/vfio", run.fact("left"), "");
    checks.same(&format!("exit of the undo: {}", run.text("undo")), run.fact("undo"), "0");
    checks.same("the domain was changed", run.text("edited.xml") != run.text("before.xml"), true);
    checks.same("the domain after the undo", run.text("after.xml"), run.text("before.xml"));

    for what in ["made", "made.edit", "made.plan", "made.undo"] {
        checks.same(&format!("exit of '{what}': {}", run.text(what)), run.fact(what), "0");
    }
    let made = run.text("made.xml");
    let parts = ["ua-vfio-second-0", "ua-vfio-second-1", "type='pflash'", "dev='vda' bus='virtio'", "type='pipewire'"];
    for part in parts.into_iter().chain(["type='evdev'", "name='looking-glass'", "<vcpupin vcpu='0' cpuset='1'/>"]) {
        checks.same(&format!("the new domain has {part}"), made.contains(part), true);
    }
    checks.line("what the new domain lacks", &run.text("made"), &["warning", "network 'default'"]);
    checks.same("exit of the new guest's start", run.fact("made.start"), "0");
    for (function, driver) in [("0000:02:00.0", "bochs-drm"), ("0000:02:00.1", "snd_hda_intel")] {
        checks.same(&format!("{function} with it"), run.fact(&format!("made.during.{function}")), "vfio-pci");
        checks.same(&format!("{function} after it"), run.fact(&format!("made.after.{function}")), driver);
    }
    checks.same("its huge pages", run.fact("made.pages"), "64");
    checks.same("its huge pages after", run.fact("made.pages.after"), "0");
    checks.same("what is left of it", run.fact("made.left"), "");
    checks.same("units that failed", run.fact("failed"), "");
    checks.done()
}
