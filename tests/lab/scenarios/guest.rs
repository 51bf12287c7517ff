// SPDX-License-Identifier: LGPL-2.1-or-later
//! Guests that get the card of a desktop: every way to start one, every way it can end, and the desktop back each time.

use super::probed;
use crate::checks::Checks;
use crate::machine::Machine;
use crate::qemu::Outcome;
use crate::{desk, qemu};
use anyhow::Result;

/// What runs the desktop, and what the script does then.
fn run(name: &'static str, script: &str) -> Result<Outcome> {
    Machine::new(name, &desk::disk()?)?.boot(&desk::boot(script))
}

/// What is said of every run: nothing had failed before, nothing was denied.
fn common(checks: &mut Checks, run: &Outcome) {
    checks.same("units that failed before any guest", run.fact("failed.before"), "");
    checks.no_line("AppArmor", &run.text("journal"), &["apparmor=\"DENIED\""]);
}

/// Everything was back after the guest.
fn clean(checks: &mut Checks, run: &Outcome, names: &[&str]) {
    for name in names {
        checks.same(&format!("everything back after {name}"), run.fact(&format!("clean.{name}")), "yes");
    }
}

fn on_vfio(checks: &mut Checks, run: &Outcome, when: &str) {
    for function in ["0000:01:00.0", "0000:01:00.1"] {
        checks.same(&format!("{function} with {when}"), run.fact(&format!("{when}.{function}")), "vfio-pci");
    }
}

/// The guest's own kernel has seen the card, as it is.
fn seen(checks: &mut Checks, run: &Outcome, name: &str) {
    let serial = run.text(&format!("serial.{name}"));
    checks.line(&format!("the card as the guest {name} sees it"), &serial, &["1234:1111 class 038000"]);
    checks.line(&format!("its audio as the guest {name} sees it"), &serial, &["8086:2668 class 040300"]);
}

/// The place of the first line with all of `words`.
fn line(text: &str, words: &[&str]) -> Option<usize> {
    text.lines().position(|line| words.iter().all(|word| line.contains(word)))
}

/// One guest, from a desktop to a desktop.
const HAND_OVER: &str = include_str!("../guest/desk/hand-over.sh");

fn handed_over(checks: &mut Checks, run: &Outcome) -> Result<()> {
    common(checks, run);
    checks.same("libvirt's daemon", run.fact("apparmor"), "libvirtd (enforce)");
    for (who, words) in [("the compositor", ["weston", "desk"]), ("the user's sound", ["aplay", "lab-sound.service"])] {
        checks.line(&format!("`vfio holders`: {who}"), &run.text("holders"), &words);
    }
    checks.same("exit of the start of demo", run.fact("start.demo"), "0");

    // Its service is the user's, and goes on when the session has ended.
    let asked = ["vfio-guest[", "ask aplay (pid ", "lab-sound.service) to end"];
    checks.line("who outlives the session is asked to end", &run.text("journal"), &asked);
    on_vfio(checks, run, "demo");
    checks.same("demo's unit", run.text("unit.demo"), "StatusText=the guest runs\nActiveState=active\n");
    checks.line("`vfio guest status`", &run.text("status.demo"), &["[guest demo]", "has its cards"]);
    checks.line("`vfio guest list`", &run.text("list.demo"), &["[guest demo]", "has its cards", "big"]);
    checks.line("`vfio guest list`", &run.text("list.demo"), &["[guest brief]", "off", "big"]);
    checks.line("who keeps the machine awake", &run.text("inhibitors"), &["vfio", "sleep", "demo"]);
    checks.same("QEMU's AppArmor profile", run.fact("confined").contains("(enforce)"), true);
    seen(checks, run, "demo");
    checks.same("`systemctl stop`", run.fact("stop.demo"), "0");
    checks.line("how demo ended", &run.text("serial.demo"), &["pocket: power button"]);
    for when in ["before", "after"] {
        let colours = run.colours(when)?.len();
        checks.same(&format!("a desktop {when} demo ({colours} colours)"), colours > 1000, true);
    }
    let stripes = [[0x00, 0xa0, 0xe0], [0xe0, 0x80, 0x00]];
    checks.same("what demo shows", run.colours("during")?.into_iter().collect::<Vec<_>>(), stripes.to_vec());
    clean(checks, run, &["demo"]);
    Ok(())
}

pub fn hand_over() -> Result<()> {
    let run = run("machine_guest_hand_over", HAND_OVER)?;
    let mut checks = Checks::default();
    handed_over(&mut checks, &run)?;
    checks.done()
}

pub fn libvirt() -> Result<()> {
    let run = run(
        "machine_guest",
        concat!(include_str!("../guest/desk/hand-over.sh"), include_str!("../guest/desk/libvirt.sh")),
    )?;
    let mut checks = Checks::default();
    handed_over(&mut checks, &run)?;
    for name in ["brief", "deaf", "asleep", "ill", "last"] {
        checks.same(&format!("exit of the start of {name}"), run.fact(&format!("start.{name}")), "0");
    }
    on_vfio(&mut checks, &run, "brief");
    checks.same("brief's unit when virsh has started it", run.fact("supervised"), "active");
    seen(&mut checks, &run, "brief");
    checks.line("how brief ended", &run.text("serial.brief"), &["pocket: off"]);
    checks.no_line("how brief ended", &run.text("serial.brief"), &["power button"]);
    for hook in ["10-foreign", "60-foreign"] {
        for call in ["prepare begin", "started begin", "release end"] {
            let call = format!("brief {call}");
            checks.line("calls of the foreign hooks", &run.text("hooks"), &[hook, &call]);
        }
    }
    for step in ["[guest brief] reserve [gpu big]", "[guest brief] bind [gpu big] to vfio"] {
        checks.line("the hook's steps in the journal", &run.text("journal"), &["vfio[", step]);
    }
    let descriptors = |name: &str| run.fact(name).parse().unwrap_or(0i32);
    let (before, after) = (descriptors("descriptors.libvirtd"), descriptors("descriptors.libvirtd.after"));
    checks.same("libvirtd's descriptors, before", before > 0, true);
    checks.same(&format!("libvirtd's descriptors: {before}, later {after}"), after <= before + 2, true);

    checks.same("libvirt's daemon was restarted", run.fact("restarted"), "0");
    checks.same("deaf's unit then", run.fact("deaf.after"), "active");
    on_vfio(&mut checks, &run, "deaf");
    checks.same("`virsh destroy`", run.fact("destroy"), "0");
    checks.same("libvirt's daemon and its socket when QEMU is killed", run.fact("asleep"), "inactive active ");
    checks.no_line("the end of libvirt's wait", &run.text("journal"), &["libvirt has not noticed"]);
    checks.line("how ill ended", &run.text("serial.ill"), &["pocket: panic"]);
    clean(&mut checks, &run, &["brief", "deaf", "asleep", "ill"]);

    // The machine's end, with the guest demo: the power button first, libvirt's own way to deal with guests after that.
    checks.line("how demo ended when the machine went down", &run.text("serial.down"), &["pocket: power button"]);
    let down = run.text("journal.down");
    let over = line(&down, &["systemd[1]", "Stopped vfio-guest@demo.service"]);
    let guests = line(&down, &["systemd[1]", "Stopping libvirt-guests.service"]);
    checks.same("demo's unit was over", over.is_some(), true);
    checks.same(&format!("before (line {over:?}) libvirt-guests stopped (line {guests:?})"), guests > over, true);
    checks.no_line("what demo was ended by", &down, &["Stopping machine-qemu"]);
    // It says that there are none, or that libvirt's daemon, which stops at the same time, has gone.
    let none = ["no running guests", "Can't connect to default"];
    let none = none.iter().any(|words| line(&down, &["libvirt-guests.sh", words]).is_some());
    checks.same("libvirt-guests finds no guest", none, true);
    checks.line("the machine's own end", &down, &["Reached target poweroff.target"]);
    checks.done()
}

/// Where the supervisor is killed.
const KILLED: [&str; 5] = ["killed.end-session", "killed.stop-unit", "killed.let-go", "killed.bind", "killed.running"];

pub fn program() -> Result<()> {
    let run = run("machine_guest_program", include_str!("../guest/desk/program.sh"))?;
    let mut checks = Checks::default();
    common(&mut checks, &run);
    checks.same("exit of the start of plain", run.fact("start.plain"), "0");
    on_vfio(&mut checks, &run, "plain");
    seen(&mut checks, &run, "plain");

    checks.same("the start of a second guest fails", run.fact("start.rival"), "1");
    checks.line("why", &run.text("why.rival"), &["[gpu big] belongs to [guest plain]"]);
    checks.same("the first guest then", run.fact("rival.plain"), "active");
    checks.same("its supervisor is the same", run.fact("rival.same"), "0");

    // With the one before and the five killed ones these are ten.
    checks.same("quick hand-overs in a row that went well", run.fact("quick"), "4");
    let descriptors = |name: &str| run.fact(name).parse().unwrap_or(0i32);
    let (before, after) = (descriptors("descriptors.systemd"), descriptors("descriptors.systemd.after"));
    checks.same("systemd's descriptors, before", before > 0, true);
    checks.same(&format!("systemd's descriptors: {before}, later {after}"), after <= before + 2, true);
    clean(&mut checks, &run, &["plain", "quick"]);
    clean(&mut checks, &run, &KILLED);
    checks.done()
}

/// The starts that fail: a name, and words of the reason.
const FAILURES: [(&str, &[&str]); 7] = [
    ("module", &["[guest plain]", "bind [gpu big] to vfio", "vfio"]),
    ("before", &["[guest early]", "no luck"]),
    ("disk", &["[guest lame]", "the disk /srv/gone.img is not there"]),
    ("command", &["[guest wrong]", "has ended at once", "exit status: 1"]),
    ("killed", &["[guest plain]", "has ended at once", "vfio-guest-plain-command.service"]),
    ("manager", &["[guest plain]", "stop display-manager.service"]),
    ("holder", &["[guest plain]", "user desk", "write 'stop-units = stubborn.service'"]),
];

pub fn refusals() -> Result<()> {
    let run = run("machine_guest_refusals", include_str!("../guest/desk/refusals.sh"))?;
    let mut checks = Checks::default();
    common(&mut checks, &run);
    for (name, words) in FAILURES {
        checks.same(&format!("exit of the start '{name}'"), run.fact(&format!("start.{name}")), "1");
        checks.line(&format!("`vfio guest status` about '{name}'"), &run.text(&format!("why.{name}")), words);
        checks.line(&format!("`systemctl status` about '{name}'"), &run.text(&format!("unit.{name}")), words);
        clean(&mut checks, &run, &[name]);
    }
    checks.same("vfio_pci was not loaded at the start", run.fact("vfio_pci"), "0");

    let holder = format!("pid {}", run.fact("holder"));
    checks.line("the holder in `vfio guest status`", &run.text("why.holder"), &[&holder, "sh ", "/dev/dri/card"]);
    checks.same("the holder after it", run.fact("holder.still"), "active");
    let dmesg = run.text("dmesg.holder");
    for function in ["0000:01:00.0", "0000:01:00.1"] {
        checks.same(&format!("drivers tried on {function} then"), probed(&dmesg, function), Vec::<&str>::new());
    }

    checks.same("exit of `virsh start` that a foreign hook refuses", run.fact("start.hook"), "1");
    checks.line("the foreign hook's call", &run.text("hooks"), &["60-foreign", "brief prepare begin"]);
    clean(&mut checks, &run, &["hook"]);
    checks.done()
}

/// The second card and its guest, which is a program.
fn second_sections() -> String {
    let command = desk::QEMU.replace("NAME", "aside").replace("WORDS", "").replace("0000:01:00.1", "0000:02:00.1");
    format!(
        "\n[gpu second]\ndevice = 0000:02:00.0\nbind = guest\n\n[guest aside]\ngpus = second\nrunner = command\ncommand = \
         {command}\nstart-timeout = 4min\nstop-timeout = 60s"
    )
}

pub fn second_card() -> Result<()> {
    let script = include_str!("../guest/desk/second.sh").replace("@SECTIONS@", &second_sections());
    let mut boot = desk::boot(&script);
    boot.devices = [qemu::card(1), qemu::card(2), vec![qemu::host_display()]].concat();
    let run = Machine::new("machine_guest_second_card", &desk::disk()?)?.boot(&boot)?;
    let mut checks = Checks::default();
    common(&mut checks, &run);
    checks.same("exit of `vfio guest plan`", run.fact("plan"), "0");
    checks.no_line("`vfio guest plan`", &run.text("plan"), &["end session"]);
    checks.no_line("`vfio guest plan`", &run.text("plan"), &["stop display-manager"]);
    checks.same("exit of the start", run.fact("start"), "0");
    for function in ["0000:02:00.0", "0000:02:00.1"] {
        checks.same(&format!("{function} with the guest"), run.fact(&format!("during.{function}")), "vfio-pci");
    }
    for when in ["during", "after"] {
        checks.same(&format!("the compositor {when}"), run.fact(&format!("{when}.compositor")), "same");
        checks.same(&format!("the desktop's card {when}"), run.fact(&format!("{when}.0000:01:00.0")), "bochs-drm");
        checks.same(&format!("sessions {when}"), run.fact(&format!("sessions.{when}")), run.fact("sessions.before"));
    }
    checks.same("the desktop during", run.fact("during.desktop"), "yes");
    checks.line("the second card as its guest sees it", &run.text("serial"), &["1234:1111 class 038000"]);
    checks.same("exit of the stop", run.fact("stop"), "0");
    checks.same("the second card after", run.fact("after.0000:02:00.0"), "bochs-drm");
    checks.same("its audio after", run.fact("after.0000:02:00.1"), "snd_hda_intel");
    checks.same("units that failed", run.fact("failed"), "");
    checks.same("what is left in /run/vfio", run.fact("left"), "");
    checks.done()
}
