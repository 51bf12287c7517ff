// SPDX-License-Identifier: LGPL-2.1-or-later
//! Resizable BARs with the kernel's own code: a module shows emulated functions as cards that have them (guest/rebar).
//!
//! 0000:01:00.0 is alone below its port. 0000:02:00.0 and 0000:04:00.0 have a neighbour with a place in the same window.
//! 0000:03:00.0 has more than the window of its port can take. 0000:00:06.0 sits on the root bus.
//!
//! Each boot is a machine of its own, so that no step hangs on what another left (guest/rebar/rebar.sh). What kernels are
//! known to answer, what we make of it, and how both are judged: `kernels.rs`.

use super::kernels::{judge, Found};
use crate::compiled::{module, REBAR};
use crate::micro::Micro;
use crate::qemu;
use anyhow::{anyhow, bail, Result};
use std::path::Path;

const SCRIPT: &str = include_str!("../guest/rebar/rebar.sh");

/// Its functions that are a boot each.
const BOOTS: [&str; 13] = [
    "sizes",
    "no_room",
    "windows",
    "by_rescan",
    "rescan_no_room",
    "rescan_16G",
    "rescan_8G",
    "boot",
    "too_much",
    "neighbour",
    "root_bus",
    "lost",
    "found_anew",
];

/// One boot: its facts, and what programs said in it.
fn run(scenario: &str, suite: &'static str, module: &Path, boot: &str) -> Result<Found> {
    let mut micro = Micro::new(&format!("{scenario}/{boot}"), &format!("{SCRIPT}\n{boot}\n"));
    micro.suite = suite;
    micro.copies.push((module.to_owned(), "lab_rebar.ko"));
    micro.devices = vec![
        qemu::port_of(1, "512M"),
        "-device e1000e,bus=rp1,addr=0.0".to_owned(),
        qemu::port(2),
        "-device e1000e,bus=rp2,addr=0.0,multifunction=on".to_owned(),
        "-device virtio-rng-pci,bus=rp2,addr=0.1".to_owned(),
        qemu::port(3),
        "-device e1000e,bus=rp3,addr=0.0".to_owned(),
        qemu::port(4),
        "-device e1000e,bus=rp4,addr=0.0,multifunction=on".to_owned(),
        "-device virtio-rng-pci,bus=rp4,addr=0.1".to_owned(),
        "-device e1000e,bus=pcie.0,addr=0x6".to_owned(),
        qemu::host_display(),
    ];
    Ok(Found::new(&micro.run()?))
}

/// What a suite's kernel does. An answer that is not known is said; only what is not safe of ours, or is not as known where
/// the kernel answers as known, is a failure.
fn resize(scenario: &str, suite: &'static str) -> Result<()> {
    let module = module(suite, REBAR)?;
    let mut found = Found::default();
    // As many at once as the lab has places for.
    let boots: Vec<Result<Found>> = std::thread::scope(|scope| {
        let module = module.as_path();
        let running = BOOTS.map(|boot| scope.spawn(move || run(scenario, suite, module, boot)));
        running.into_iter().map(|boot| boot.join().unwrap_or_else(|_| Err(anyhow!("a boot panicked")))).collect()
    });
    for (name, boot) in BOOTS.iter().zip(boots) {
        found.add(boot.map_err(|error| error.context(format!("boot {name}")))?);
    }
    let verdict = judge(&found);
    verdict.said.iter().for_each(|line| println!("{line}"));
    if !verdict.wrong.is_empty() {
        bail!("{}", [verdict.said, verdict.wrong].concat().join("\n"));
    }
    Ok(())
}

pub fn trixie() -> Result<()> {
    resize("micro_rebar", "trixie")
}

pub fn bookworm() -> Result<()> {
    resize("micro_rebar_bookworm", "bookworm")
}

pub fn backports() -> Result<()> {
    resize("micro_rebar_backports", "trixie-backports")
}
