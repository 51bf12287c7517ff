// SPDX-License-Identifier: LGPL-2.1-or-later
//! Machines that boot from their own disk.

use super::probed;
use crate::checks::Checks;
use crate::efi::{EfiDisk, EfiMachine, Loader};
use crate::layers::Initramfs;
use crate::qemu::Outcome;
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::time::Duration;

/// What the scripts share.
const LIBRARY: &str = include_str!("../guest/efi/boot.sh");

/// Our words for the configuration in words.sh, on a machine with Intel's IOMMU.
const WORDS: [&str; 3] = ["intel_iommu=on", "iommu=pt", "vfio_lab.word=1"];

/// A word is added where an administrator does it by hand: it is what shows that the machine really starts from its disk.
const BY_HAND: &str = r#"
step=$(step)
fact "$step" "$(cat /proc/cmdline)"
if [ $step = first ]; then
	snapshot >/lab/snapshot
	entries >/lab/entries
	entry >/lab/entry
	by_hand >/lab/by-hand 2>&1 || exit 1
	again second
fi
"#;

fn by_hand(name: &str, loader: Loader, command: &str) -> Result<()> {
    let machine = EfiMachine::new(name, &EfiDisk::new(loader))?;
    let mut boot = EfiMachine::usual("boot", &format!("{LIBRARY}by_hand() {{\n{command}\n}}\n{BY_HAND}"));
    boot.reboots = true;
    let run = machine.boot(&boot)?;
    let mut checks = Checks::default();
    let has = |step: &str, word: &str| run.fact(step).split_whitespace().any(|found| found == word);
    for step in ["first", "second"] {
        checks.same(&format!("the machine's own words on the {step} command line"), has(step, "mitigations=off"), true);
        checks.same(&format!("the new word on the {step} command line"), has(step, "lab.hand=1"), step == "second");
    }
    checks.done()
}

pub fn by_hand_grub() -> Result<()> {
    let command = "sed -i '/^GRUB_CMDLINE_LINUX_DEFAULT/s/quiet/& lab.hand=1/' /etc/default/grub && update-grub";
    by_hand("efi_by_hand_grub", Loader::Grub, command)
}

pub fn by_hand_systemd_boot() -> Result<()> {
    let command = "sed -i '/^options/s/$/ lab.hand=1/' /boot/efi/loader/entries/*.conf";
    by_hand("efi_by_hand_systemd_boot", Loader::SystemdBoot, command)
}

pub fn by_hand_uki() -> Result<()> {
    let command = "mkdir -p /boot/efi/loader/addons && \
                   ukify build --cmdline=lab.hand=1 --output=/boot/efi/loader/addons/hand.addon.efi";
    by_hand("efi_by_hand_uki", Loader::Uki, command)
}

/// What all three loaders have in common: `entries` is how many of the lines that `entries` (boot.sh) prints have our words
/// when there is one kernel, and when there are two.
fn words(name: &str, loader: Loader, desired: [usize; 2]) -> Result<()> {
    let machine = EfiMachine::new(name, &EfiDisk::new(loader))?;
    let mut boot = EfiMachine::usual("boot", &format!("{LIBRARY}{}", include_str!("../guest/efi/words.sh")));
    boot.reboots = true;
    let run = machine.boot(&boot)?;
    let mut checks = Checks::default();
    let ours = |line: &str| WORDS.map(|word| line.split([' ', '"']).filter(|found| *found == word).count());
    for (step, count) in [("first", 0), ("second", 1), ("third", 1)] {
        let line = run.fact(&format!("cmdline.{step}"));
        checks.same(&format!("each of our words in {line:?}"), ours(line), [count; 3]);
        checks.same(&format!("the quoted word of the user in {line:?}"), line.contains("file dd.c +p"), true);
    }
    let installed = run.text("installed");
    let installed: Vec<_> =
        installed.lines().filter(|line| !line.ends_with("/etc/kernel/postinst.d/xx-vfio")).collect();
    checks.same("boot files with the package alone", installed, run.text("before").lines().collect::<Vec<_>>());
    checks.same("words in what the loader reads", run.fact("written"), "0");
    checks.same("vfio-sync.service at rest", run.fact("rests"), "0");
    for (step, count) in [("first", desired[0]), ("second", desired[1]), ("third", 0)] {
        let text = run.text(&format!("entries.{step}"));
        let lines: Vec<_> = text.lines().map(ours).filter(|found| *found != [0; 3]).collect();
        checks.same(
            &format!("entries with all of our words, once, {step} boot, in\n{text}"),
            lines,
            vec![[1; 3]; count],
        );
    }
    for step in ["first", "second", "third"] {
        let fact = format!("judged.{step}");
        judged(&run, &fact, &run.text(&format!("entries.{step}")), &format!("{step} boot"), &mut checks)?;
    }
    // Written, but not yet booted; then booted, with one kernel and with the new one.
    for (step, status) in [("first", "1"), ("second", "0"), ("third", "0")] {
        let said = run.text(&format!("status.{step}"));
        checks.same(&format!("`vfio cmdline status` ({said})"), run.fact(&format!("status.{step}")), status);
    }
    let desired = ["running kernel", "without", WORDS[2]];
    checks.line("`vfio cmdline status` before the reboot", &run.text("status.first"), &desired);
    checks.same("the third boot is the new kernel's", new_kernel(&run), true);
    checks.same("no word is left (1: nothing found)", run.fact("left"), "1");
    checks.same("boot files after the removal", run.text("after"), run.text("before"));
    checks.same("files that the package left", run.text("files"), "");
    checks.same("units that failed", run.text("failed").trim(), "");
    checks.done()
}

/// What the loader's own program (boot.sh: `judge`) says of the entries that boot.sh printed: it can read them, and bootctl finds
/// in boot entries just the command lines that are written there. GRUB's program says only whether it can.
pub fn judged(run: &Outcome, fact: &str, entries: &str, what: &str, checks: &mut Checks) -> Result<()> {
    checks.same(&format!("{what}: the loader's own program"), run.fact(fact), "0");
    let lines = entries.lines().filter_map(|line| line.split_once("options")).filter(|(file, _)| !file.contains(' '));
    let written: BTreeSet<String> = lines.map(|(_, options)| options.trim().to_owned()).collect();
    if written.is_empty() {
        return Ok(());
    }
    let listed = run.json(fact)?;
    let listed = listed.as_array().context("bootctl lists no entries")?.iter().filter(|entry| entry["type"] == "type1");
    let listed: BTreeSet<&str> = listed.filter_map(|entry| entry["options"].as_str()).collect();
    checks.same(
        &format!("{what}: command lines that bootctl lists"),
        listed,
        written.iter().map(String::as_str).collect(),
    );
    Ok(())
}

/// Whether the third boot was of the kernel that was installed in the second: by what the loader tells the kernel of itself,
/// or the firmware.
fn new_kernel(run: &Outcome) -> bool {
    ["cmdline.third", "entry.third"].iter().any(|fact| run.fact(fact).contains("-lab"))
}

pub fn grub() -> Result<()> {
    // The first entry, and the same kernel's in the menu of all kernels; then the new kernel's there.
    words("efi_grub", Loader::Grub, [2, 3])
}

pub fn systemd_boot() -> Result<()> {
    words("efi_systemd_boot", Loader::SystemdBoot, [1, 2])
}

pub fn uki() -> Result<()> {
    // One addon for all images.
    words("efi_uki", Loader::Uki, [1, 1])
}

/// A machine that boots from elsewhere than where we wrote: told of after the reboot, by all who are asked, and not before
/// or when it boots from there.
pub fn elsewhere() -> Result<()> {
    let machine = EfiMachine::new("efi_elsewhere", &EfiDisk::new(Loader::Grub))?;
    let mut boot = EfiMachine::usual("boot", &format!("{LIBRARY}{}", include_str!("../guest/efi/elsewhere.sh")));
    boot.reboots = true;
    let run = machine.boot(&boot)?;
    let mut checks = Checks::default();
    checks.same(&format!("`vfio cmdline apply` ({})", run.text("apply")), run.fact("apply"), "0");
    for (step, has, status) in [("first", false, "1"), ("second", false, "1"), ("third", true, "0")] {
        let line = run.fact(&format!("cmdline.{step}"));
        checks.same(&format!("our parameter in {line:?}"), line.split(' ').any(|word| word == "iommu=pt"), has);
        let text = |what: &str| run.text(&format!("{what}.{step}"));
        checks.same(
            &format!("`vfio cmdline status`, {step} boot: {}", text("cmdline-status")),
            run.fact(&format!("cmdline-status.{step}")),
            status,
        );
        for what in ["cmdline-status", "status", "doctor"] {
            let told = text(what).contains("this machine boots from elsewhere");
            checks.same(&format!("elsewhere in `{what}`, {step} boot: {}", text(what)), told, step == "second");
        }
    }
    let desired = ["error", "BOOT_IMAGE", "[boots-from-elsewhere]"];
    checks.line("`vfio doctor` after the reboot", &run.text("doctor.second"), &desired);
    checks.line("what is to be done", &run.text("doctor.second"), &["to do", "a second GRUB"]);
    checks.done()
}

/// The boot entry without us: the last of the menu and not the default; where it is chosen, nothing is bound; gone with the package.
fn rescue(name: &str, loader: Loader) -> Result<()> {
    let machine = EfiMachine::new(name, &EfiDisk::new(loader))?;
    let mut boot = EfiMachine::usual("boot", &format!("{LIBRARY}{}", include_str!("../guest/efi/rescue.sh")));
    boot.reboots = true;
    let run = machine.boot(&boot)?;
    let mut checks = Checks::default();
    checks.same(&format!("`vfio cmdline apply` ({})", run.text("apply")), run.fact("apply"), "0");
    checks.same("the loader's own program", run.fact("judged"), "0");
    checks.same("the choice for one boot", run.fact("chosen"), "0");
    let ours = run.text("ours");
    checks.same(&format!("entries of ours in {ours:?}"), ours.lines().count(), 1);
    let titles = run.text("titles");
    let is_ours = |title: &str| title.ends_with("(without VFIO)");
    let places: Vec<bool> = titles.lines().map(is_ours).collect();
    checks.same(&format!("the last of the menu, and the only one, in {titles:?}"), places.last(), Some(&true));
    checks.same("other entries", places.iter().filter(|ours| !**ours).count() + 1, places.len());
    for (step, has, off, driver) in
        [("first", false, false, "bochs-drm"), ("second", false, true, "bochs-drm"), ("third", true, false, "vfio-pci")]
    {
        let line = run.fact(&format!("cmdline.{step}"));
        let is_there = |word: &str| line.split(' ').any(|other| other == word);
        checks.same(&format!("our words in {line:?}"), WORDS.map(is_there), [has; 3]);
        checks.same(&format!("vfio=off in {line:?}"), is_there("vfio=off"), off);
        checks.same(&format!("who has the card, {step} boot"), run.fact(&format!("driver.{step}")), driver);
    }
    checks.same(&format!("`vfio cmdline status` ({})", run.text("status.third")), run.fact("status.third"), "0");
    checks.line("`vfio status` in the second boot", &run.text("off"), &["vfio=off"]);
    checks.same("boot files after the removal", run.text("after"), run.text("before"));
    checks.same("files that still speak of it", run.text("left"), "");
    checks.done()
}

pub fn rescue_grub() -> Result<()> {
    rescue("efi_rescue_grub", Loader::Grub)
}

pub fn rescue_systemd_boot() -> Result<()> {
    rescue("efi_rescue_systemd_boot", Loader::SystemdBoot)
}

/// Debian's unstable suite with dracut, whose own `update-initramfs` makes the images: our package by apt, a card for the boot, `vfio
/// sync`; the next boot has its parameters and reserves the card in the initramfs; then the package is purged.
pub fn unstable_dracut() -> Result<()> {
    let disk = EfiDisk { suite: "sid", initramfs: Initramfs::Dracut, ..EfiDisk::new(Loader::Grub) };
    let machine = EfiMachine::new("efi_unstable_dracut", &disk)?;
    let script = format!("{LIBRARY}{}", include_str!("../guest/efi/unstable.sh"));
    let mut boot = EfiMachine::usual("boot", &script);
    boot.reboots = true;
    boot.deadline = Duration::from_secs(5400);
    let run = machine.boot(&boot)?;
    let mut checks = Checks::default();
    checks.line("who owns update-initramfs", &run.text("owner"), &["dracut"]);
    checks.same("boot files with the package alone", run.text("installed"), run.text("before"));
    checks.same(&format!("`vfio sync` ({})", run.text("sync")), run.fact("sync"), "0");
    checks.line("`vfio sync`", &run.text("sync"), &["building the initramfs: update-initramfs"]);
    checks.line("`vfio sync` again", &run.text("sync-again"), &["are up to date"]);
    for (step, ours, images, driver) in
        [("first", 0, "0", "bochs-drm"), ("second", 1, "1", "vfio-pci"), ("third", 0, "0", "bochs-drm")]
    {
        let line = run.fact(&format!("cmdline.{step}"));
        let counts = WORDS.map(|word| line.split(' ').filter(|found| *found == word).count());
        checks.same(&format!("each of our words in {line:?}"), counts, [ours; 3]);
        checks.same(&format!("images with vfio-bind, {step} boot"), run.fact(&format!("images.{step}")), images);
        checks.same(&format!("the card's driver, {step} boot"), run.fact(&format!("driver.{step}")), driver);
        checks.same(&format!("units that failed, {step} boot"), run.text(&format!("failed.{step}")).trim(), "");
    }
    for address in ["0000:01:00.0", "0000:01:00.1"] {
        let dmesg = run.text("dmesg.second");
        checks.same(&format!("drivers tried on {address}"), probed(&dmesg, address), ["vfio-pci"]);
    }
    for verb in ["status", "cmdline-status", "doctor"] {
        checks.same(&format!("`vfio {verb}` ({})", run.text(verb)), run.fact(verb), "0");
    }
    checks.line("`vfio doctor`", &run.text("doctor"), &["reserves the cards of the configuration"]);
    checks.same("boot files after the removal", run.text("after"), run.text("before"));
    checks.same("files that the package left", run.text("files"), "");
    checks.done()
}
