// SPDX-License-Identifier: LGPL-2.1-or-later
//! The power goes while boot files are being changed: the machine boots every time, with the old or the new command line.

use crate::checks::Checks;
use crate::efi::{EfiDisk, EfiMachine, Loader};
use crate::machine::Boot;
use crate::qemu::Cut;
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::time::Duration;

/// So many cuts, half of them of `apply`, half of `revert`.
const CUTS: u32 = 20;

const CONFIGURATION: &str = "[host]\niommu = on\nkernel-parameters = vfio_lab.word=1 vfio_lab.list=a,b\n";

const WORDS: [&str; 4] = ["intel_iommu=on", "iommu=pt", "vfio_lab.word=1", "vfio_lab.list=a,b"];

fn boot(name: &str, part: &str, verb: &str) -> Boot {
    let undo = if verb == "apply" { "revert" } else { "apply" };
    let scripts = concat!(include_str!("../guest/efi/boot.sh"), include_str!("../guest/efi/power.sh"));
    let mut boot = EfiMachine::usual(name, &format!("set -- {part} {verb} {undo}\n{scripts}"));
    boot.devices.clear();
    boot
}

/// A command line in two: what is not ours, and how often each of ours is there.
fn parts(line: &str) -> (Vec<&str>, [usize; 4]) {
    let (ours, others): (Vec<&str>, Vec<&str>) = line.split_whitespace().partition(|word| WORDS.contains(word));
    (others, WORDS.map(|word| ours.iter().filter(|found| **found == word).count()))
}

fn power(name: &str, loader: Loader) -> Result<()> {
    let machine = EfiMachine::new(name, &EfiDisk { loader, early: Some(CONFIGURATION) })?;
    let mut checks = Checks::default();
    let first = machine.boot(&boot("measure", "measure", "apply"))?;
    let (old, none) = parts(first.fact("cmdline"));
    checks.same("our words on the first command line", none, [0; 4]);
    checks.same("exits of apply and revert", [first.fact("apply"), first.fact("revert")], ["0", "0"]);
    checks.same("boot files after apply and revert", first.text("after"), first.text("before"));
    let lines = |text: String| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    let (before, after) = (lines(first.text("entries")), lines(first.text("entries.new")));
    checks.same("an entry that stays the same", before.intersection(&after).next(), None::<&String>);
    let mut outcomes = BTreeSet::new();
    let mut booted = |boot: &Boot, checks: &mut Checks| -> Result<_> {
        let run = machine.boot(boot)?;
        let line = run.fact("cmdline");
        let (others, ours) = parts(line);
        checks.same(&format!("{}: words that are not ours", boot.name), others, old.as_slice());
        checks.same(&format!("{}: all of our words once or none: {line}", boot.name), ours, [ours[0].min(1); 4]);
        outcomes.insert(ours[0]);
        let found = lines(run.text("entries"));
        let broken: Vec<_> = found.iter().filter(|line| !before.contains(*line) && !after.contains(*line)).collect();
        checks.same(&format!("{}: entries neither old nor new", boot.name), broken, Vec::<&String>::new());
        checks.same(&format!("{}: entries", boot.name), found.len(), before.len());
        Ok(run)
    };
    for n in 0..CUTS {
        let verb = if n % 2 == 0 { "apply" } else { "revert" };
        let whole: u32 = first.fact(&format!("{verb}.ms")).parse().context("the time that a command takes")?;
        // From its first moment to a little after its end.
        let after = Duration::from_millis(u64::from(whole) * u64::from(n / 2 * 2 + 1) * 12 / u64::from(CUTS * 10));
        let mut boot = boot(&format!("cut-{n:02}-{verb}"), "cut", verb);
        boot.cut = Some(Cut { at: "lab: armed".to_owned(), after });
        let run = booted(&boot, &mut checks)?;
        checks.same(&format!("{}: exit of what puts it right", boot.name), run.fact("undo"), "0");
    }
    let run = booted(&boot("last", "last", "revert"), &mut checks)?;
    checks.same("exit of the last revert", run.fact("revert"), "0");
    checks.same("boot files after the last revert", run.text("after"), first.text("before"));
    checks.same("both lines were seen after a cut", outcomes, BTreeSet::from([0, 1]));
    checks.done()
}

pub fn grub() -> Result<()> {
    power("efi_power_loss_grub", Loader::Grub)
}

pub fn systemd_boot() -> Result<()> {
    power("efi_power_loss_systemd_boot", Loader::SystemdBoot)
}
