// SPDX-License-Identifier: LGPL-2.1-or-later
//! `make bench-guest`: a hand-over and a give-back in a machine of the lab, ours beside the libvirt hooks of the
//! "VFIO Single GPU Passthrough Guide".

use crate::desk;
use crate::machine::Machine;
use crate::qemu::Outcome;
use anyhow::{ensure, Context, Result};
use std::process::Command;
use std::time::Instant;

/// Starts and ends of a guest, one after the other. Only the first finds what no guest has used since the boot.
const ROUNDS: u32 = 4;

/// The machine's clock goes by what its processor has done, a nanosecond an instruction, and by ours while it is idle: what
/// takes time and what waits for time are in proportion, and other work on this machine does not show.
const CLOCK: &str = "-icount shift=0,sleep=on";

/// Starts of a program that does nothing, by which the emulated machine is compared with the one it runs on.
const STARTS: u32 = 200;

/// Calls of each hook with nothing to do.
const CALLS: u32 = 10;

/// The guide's hooks: its dispatcher, and what that finds for the guest.
const GUIDE: [(&str, &str); 3] = [
    ("etc/libvirt/hooks/qemu", include_str!("guest/guide/dispatcher.sh")),
    ("etc/libvirt/hooks/qemu.d/hooked/prepare/begin/start.sh", include_str!("guest/guide/start.sh")),
    ("etc/libvirt/hooks/qemu.d/hooked/release/end/stop.sh", include_str!("guest/guide/stop.sh")),
];

/// Measures and prints. The figures are those of a processor that does a thousand million instructions a second, so it also
/// says how much slower than this machine that is.
pub fn run() -> Result<()> {
    let mut disk = desk::disk()?;
    disk.name = "desk-bench";
    disk.files.retain(|(path, _)| !path.ends_with("-foreign"));
    disk.files.extend(GUIDE.map(|(path, script)| (path, script.to_owned())));
    disk.files.push(("etc/libvirt/qemu/hooked.xml", desk::domain("hooked", "deaf", "", 99)));
    let here = starts_here()?;
    // Each way in a machine of its own: a start finds the modules as the end before it has left them.
    let boot = |way: &str| -> Result<Outcome> {
        let values = format!("WAY={way} STARTS={STARTS} CALLS={CALLS} ROUNDS={ROUNDS}");
        let mut boot = desk::boot(&format!("{values}\n{}", include_str!("guest/desk/bench.sh")));
        boot.devices.push(CLOCK.to_owned());
        Machine::new(&format!("bench_{way}"), &disk)?.boot(&boot)
    };
    let (ours, guide) = (boot("unit")?, boot("hooks")?);
    println!(
        "seconds of that machine, by round                         start to QEMU running   end to display manager"
    );
    for (run, name) in [(&ours, "vfio-guest@.service"), (&guide, "the guide's libvirt hooks")] {
        for round in 1..=ROUNDS {
            let fact = |what: &str| format!("{round}.{what}");
            for (what, desired) in [("start", "0"), ("0000:01:00.0", "vfio-pci"), ("0000:01:00.1", "vfio-pci")] {
                ensure!(run.fact(&fact(what)) == desired, "{name}: {} is {}", fact(what), run.fact(&fact(what)));
            }
            let (started, back) = (span(run, &fact("started"))?, span(run, &fact("back"))?);
            println!("{name:<50} {round} {started:>26.2} {back:>24.2}");
        }
    }
    println!("the card's driver during the guide's guests: {}", guide.fact("1.module"));
    println!("what vfio-guest says of itself:\n{}", ours.text("ours"));
    for (run, hook, name) in [(&guide, "qemu", "the guide's dispatcher"), (&ours, "50-vfio", "vfio-libvirt-hook")] {
        let idle = span(run, &format!("idle.{hook}"))? / f64::from(CALLS);
        println!("a call of {name} for another's guest: {:.0} ms", idle * 1e3);
    }
    let there = span(&ours, "true")? / f64::from(STARTS);
    println!("a start of /bin/true: {:.1} ms there, {:.2} ms here: {:.0} times", there * 1e3, here * 1e3, there / here);
    Ok(())
}

/// The seconds between the two times of a fact.
fn span(run: &Outcome, name: &str) -> Result<f64> {
    let fact = run.fact(name);
    let (begin, end) = fact.split_once(' ').with_context(|| format!("{name} is '{fact}'"))?;
    Ok(end.parse::<f64>()? - begin.parse::<f64>()?)
}

/// Seconds that a start of /bin/true takes on this machine, by the loop that is run in the other.
fn starts_here() -> Result<f64> {
    let begin = Instant::now();
    let script = format!("for _ in $(seq {STARTS}); do /bin/true; done");
    ensure!(Command::new("sh").args(["-c", &script]).status()?.success(), "sh cannot start /bin/true");
    Ok(begin.elapsed().as_secs_f64() / f64::from(STARTS))
}
