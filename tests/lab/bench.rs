// SPDX-License-Identifier: LGPL-2.1-or-later
//! `make bench`, its part in a machine: a hand-over and a give-back, ours beside libvirt hooks as users write them.

use crate::desk;
use crate::machine::Machine;
use anyhow::{Context, Result};

/// Rounds, one way after the other in each.
const ROUNDS: u32 = 3;

/// Measures and prints. Everything is emulated: the figures are for comparing, not for believing.
pub fn run() -> Result<()> {
    let mut disk = desk::disk()?;
    disk.name = "desk-bench";
    disk.files.push(("etc/libvirt/hooks/qemu.d/20-hooked", include_str!("guest/desk/hooks.sh").to_owned()));
    disk.files.push(("etc/libvirt/qemu/hooked.xml", desk::domain("hooked", "deaf", "", 99)));
    let run = Machine::new("bench", &disk)?.boot(&desk::boot(include_str!("guest/desk/bench.sh")))?;
    let span = |way: &str, round: u32, what: &str| -> Result<f64> {
        let fact = run.fact(&format!("{way}.{round}.{what}"));
        let (begin, end) = fact.split_once(' ').with_context(|| format!("{way}.{round}.{what} is '{fact}'"))?;
        Ok(end.parse::<f64>()? - begin.parse::<f64>()?)
    };
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
    Ok(())
}
