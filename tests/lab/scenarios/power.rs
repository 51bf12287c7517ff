// SPDX-License-Identifier: LGPL-2.1-or-later
//! The power goes while boot files are being changed: the machine boots every time, with the old or the new command line.

use super::efi::judged;
use crate::checks::Checks;
use crate::efi::{EfiDisk, EfiMachine, Loader};
use crate::machine::Boot;
use crate::qemu::{Cut, Outcome};
use anyhow::{bail, Result};
use std::collections::BTreeSet;
use std::time::Duration;

/// So many cuts, half of them of `apply`, half of `revert`: for every moment, and for a check that the next boot comes at all.
const CUTS: usize = 20;
const FEW: usize = 2;

/// So many moments at least are told apart, of which the first are taken: the last one is when all is done.
const MOMENTS: usize = 3;

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

fn lines(text: &str) -> BTreeSet<String> {
    text.lines().map(str::to_owned).collect()
}

/// When a command said each of its lines, in ms.
fn times(run: &Outcome, verb: &str) -> Result<Vec<u64>> {
    let text = run.text(&format!("told.{verb}"));
    let times: Option<Vec<u64>> = text.lines().map(|line| line.split(' ').next()?.parse().ok()).collect();
    match times {
        Some(times) if times.len() > 1 => Ok([vec![0], times].concat()),
        _ => bail!("{verb} told of no steps: {text:?}"),
    }
}

/// The moment of the cut `n` of `of`, for a command that spoke at these times: every step between two of its lines is cut
/// at several moments, up to its end; the last cut comes when all is done and not yet on the disk.
fn moment(n: usize, of: usize, times: &[u64]) -> (usize, Duration) {
    let steps = times.len() - 1;
    if n + 1 == of {
        return (steps, Duration::from_millis(100));
    }
    let (step, round) = (n % steps, n / steps);
    let rounds = (of - 1 - step).div_ceil(steps);
    let whole = times[step + 1] - times[step];
    (step, Duration::from_millis(whole * (round + 1) as u64 * 97 / (rounds as u64 * 100)))
}

/// What a boot after a cut must be.
struct Wanted {
    /// The words of the command line that are not ours.
    others: Vec<String>,
    before: BTreeSet<String>,
    after: BTreeSet<String>,
}

impl Wanted {
    /// How often our words are on the command line: all of them once, or none.
    fn check(&self, name: &str, run: &Outcome, checks: &mut Checks) -> Result<usize> {
        let line = run.fact("cmdline");
        let (others, ours) = parts(line);
        checks.same(&format!("{name}: words that are not ours"), others, self.others.as_slice());
        checks.same(&format!("{name}: all of our words once or none: {line}"), ours, [ours[0].min(1); 4]);
        let found = lines(&run.text("entries"));
        let strange = |line: &&String| !self.before.contains(*line) && !self.after.contains(*line);
        let broken: Vec<_> = found.iter().filter(strange).collect();
        checks.same(&format!("{name}: entries neither old nor new"), broken, Vec::<&String>::new());
        checks.same(&format!("{name}: entries"), found.len(), self.before.len());
        judged(run, "judged", &run.text("entries"), name, checks)?;
        Ok(ours[0])
    }
}

fn power(name: &str, loader: Loader, cuts: usize) -> Result<()> {
    let machine = EfiMachine::new(name, &EfiDisk { early: Some(CONFIGURATION), ..EfiDisk::new(loader) })?;
    let mut checks = Checks::default();
    let first = machine.boot(&boot("measure", "measure", "apply"))?;
    let (others, none) = parts(first.fact("cmdline"));
    let desired = Wanted {
        others: others.into_iter().map(str::to_owned).collect(),
        before: lines(&first.text("entries")),
        after: lines(&first.text("entries.new")),
    };
    checks.same("our words on the first command line", none, [0; 4]);
    checks.same("exits of apply and revert", [first.fact("apply"), first.fact("revert")], ["0", "0"]);
    checks.same("boot files after apply and revert", first.text("after"), first.text("before"));
    checks.same("an entry that stays the same", desired.before.intersection(&desired.after).next(), None::<&String>);
    let whole = [first.text("state"), first.text("state.new")];
    let (mut inside, mut halfway, mut seen) = (0, 0, [0, 0]);
    for n in 0..=cuts {
        let verb = if n % 2 == 0 { "apply" } else { "revert" };
        let mut boot = boot(&format!("cut-{n:02}-{verb}"), if n < cuts { "cut" } else { "last" }, verb);
        if n < cuts {
            let (step, after) = moment(n / 2, (cuts / 2).max(MOMENTS), &times(&first, verb)?);
            boot.cut = Some(Cut { at: format!("lab: {verb} {step}."), after });
        }
        let run = machine.boot(&boot)?;
        let ours = desired.check(&boot.name, &run, &mut checks)?;
        if n > 0 {
            seen[ours.min(1)] += 1;
            halfway += usize::from(!whole.contains(&run.text("state")) || !run.text("leftovers").is_empty());
        }
        if n < cuts {
            checks.same(&format!("{}: exit of what puts it right", boot.name), run.fact("undo"), "0");
            let state = run.text("state.undone");
            checks.same(&format!("{}: files then", boot.name), &state, &whole[usize::from(verb == "revert")]);
            inside += usize::from(run.fact(verb).is_empty());
        } else {
            checks.same("exit of the last revert", run.fact("revert"), "0");
            checks.same("files of the last revert", run.text("state.last"), &*whole[0]);
            checks.same("boot files after the last revert", run.text("after"), first.text("before"));
        }
    }
    println!(
        "{name}: of {cuts} cuts {inside} came before the command had ended, {halfway} left files neither old nor new; \
         booted with the old line {} times, with the new one {} times",
        seen[0], seen[1]
    );
    checks.same("most cuts came before the command had ended", inside * 4 >= cuts * 3, true);
    if cuts == CUTS {
        checks.same("some cuts left files neither old nor new", halfway > 0, true);
        checks.same("both lines were seen after a cut", seen.contains(&0), false);
    }
    checks.done()
}

pub fn grub() -> Result<()> {
    power("efi_power_loss_grub", Loader::Grub, CUTS)
}

pub fn systemd_boot() -> Result<()> {
    power("efi_power_loss_systemd_boot", Loader::SystemdBoot, CUTS)
}

pub fn grub_few() -> Result<()> {
    power("efi_power_cut_grub", Loader::Grub, FEW)
}
