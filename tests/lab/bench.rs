// SPDX-License-Identifier: LGPL-2.1-or-later
//! `make bench`, its part in a machine: a hand-over and a give-back, ours beside libvirt hooks as users write them.

use crate::desk;
use crate::machine::Machine;
use crate::qemu::Outcome;
use anyhow::{Context, Result};
use std::process::Command;
use std::time::Instant;

/// Rounds, one way after the other in each.
const ROUNDS: u32 = 3;

/// Starts of a program that does nothing, by which the emulated machine is compared with the one it runs on.
const STARTS: u32 = 200;

/// Measures and prints. Everything is emulated: the figures are for comparing, not for believing. So it also says how much
/// slower than this machine the emulated one is.
pub fn run() -> Result<()> {
    let mut disk = desk::disk()?;
    disk.name = "desk-bench";
    disk.files.push(("etc/libvirt/hooks/qemu.d/20-hooked", include_str!("guest/desk/hooks.sh").to_owned()));
    disk.files.push(("etc/libvirt/qemu/hooked.xml", desk::domain("hooked", "deaf", "", 99)));
    let here = starts_here()?;
    let script = format!("STARTS={STARTS}\n{}", include_str!("guest/desk/bench.sh"));
    let run = Machine::new("bench", &disk)?.boot(&desk::boot(&script))?;
    let span = |way: &str, round: u32, what: &str| span_of(&run, &format!("{way}.{round}.{what}"));
    println!(
        "seconds in an emulated machine, each round in turn        start to QEMU running   end to display manager"
    );
    for way in ["unit", "hooks"] {
        let name = if way == "unit" { "vfio-guest@.service" } else { "libvirt hooks as users write them" };
        for round in 1..=ROUNDS {
            let (started, back) = (span(way, round, "started")?, span(way, round, "back")?);
            println!("{name:<50} {round} {started:>26.1} {back:>24.1}");
        }
    }
    println!("what vfio-guest says of itself:\n{}", run.text("ours"));
    let there = span_of(&run, "true")? / f64::from(STARTS);
    println!("a start of /bin/true: {:.1} ms there, {:.2} ms here: {:.0} times", there * 1e3, here * 1e3, there / here);
    Ok(())
}

/// The seconds between the two times of a fact.
fn span_of(run: &Outcome, name: &str) -> Result<f64> {
    let fact = run.fact(name);
    let (begin, end) = fact.split_once(' ').with_context(|| format!("{name} is '{fact}'"))?;
    Ok(end.parse::<f64>()? - begin.parse::<f64>()?)
}

/// Seconds that a start of /bin/true takes on this machine, by the loop that is run in the other.
fn starts_here() -> Result<f64> {
    let begin = Instant::now();
    let script = format!("for _ in $(seq {STARTS}); do /bin/true; done");
    anyhow::ensure!(Command::new("sh").args(["-c", &script]).status()?.success(), "sh cannot start /bin/true");
    Ok(begin.elapsed().as_secs_f64() / f64::from(STARTS))
}
