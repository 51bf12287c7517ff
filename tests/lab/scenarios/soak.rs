// SPDX-License-Identifier: LGPL-2.1-or-later
//! Many hand-overs and give-backs in one boot, some of them with an end that nobody asked for: nothing is lost, nothing grows.

use super::keep;
use crate::checks::Checks;
use crate::desk;
use crate::machine::Machine;
use crate::qemu;
use anyhow::{bail, Context, Result};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// So many without `$VFIO_LAB_SOAK`.
const ROUNDS: u32 = 200;

/// The card that nobody holds, and a guest that has its group open until it is ended, or told to end. It may be told with which
/// code.
const SECTIONS: &str = "\
[gpu second]
device = 0000:02:00.0
bind = guest

[guest soak]
gpus = second
runner = command
user = root
inhibit-sleep = no
command = /bin/sh -c \"exec 3<>/dev/vfio/$(basename $(readlink /sys/bus/pci/devices/{bdf}/iommu_group)); \
while [ ! -s /run/soak-ends ]; do sleep 0.2; done; exit $(cat /run/soak-ends)\"
start-timeout = 2min
stop-timeout = 20s";

/// What may differ between the tenth hand-over and the last, in parts of a hundred and beside that in its own unit: caches of
/// systemd's fill, and memory is counted in pages.
const MAY_GROW: [(&str, u64, u64); 11] = [
    ("descriptors-of-systemd", 0, 2),
    ("memory-of-systemd-kB", 10, 512),
    ("memory-of-vfio-guest-kB", 5, 128),
    ("descriptors-of-vfio-guest", 0, 0),
    ("units", 0, 2),
    ("transient-units", 0, 0),
    ("files-in-run-vfio", 0, 0),
    ("files-in-var-lib-vfio", 0, 0),
    ("processes", 0, 2),
    ("mounts", 0, 0),
    ("available-kB", 100, 0),
];

fn noted(text: &str) -> BTreeMap<String, u64> {
    let value =
        |line: &str| line.split_once(' ').and_then(|(name, value)| Some((name.to_owned(), value.parse().ok()?)));
    text.lines().filter_map(value).collect()
}

/// From the clock, unless `$VFIO_LAB_SEED` says one.
fn seed() -> Result<u64> {
    match std::env::var("VFIO_LAB_SEED") {
        Ok(seed) => seed.parse().context("VFIO_LAB_SEED is no number"),
        Err(_) => Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() % 1_000_000),
    }
}

pub fn soak() -> Result<()> {
    let rounds = std::env::var("VFIO_LAB_SOAK").map_or(Ok(ROUNDS), |rounds| rounds.parse());
    let rounds = rounds.context("VFIO_LAB_SOAK is no number")?;
    let seed = seed()?;
    println!("machine_soak: {rounds} hand-overs, ends drawn from VFIO_LAB_SEED={seed}");
    let script = include_str!("../guest/desk/soak.sh");
    let script = script.replace("@SECTIONS@", SECTIONS).replace("@COUNT@", &rounds.to_string());
    let mut boot = desk::boot(&script.replace("@SEED@", &seed.to_string()));
    boot.devices = [qemu::card(1), qemu::card(2), vec![qemu::host_display()]].concat();
    boot.deadline += Duration::from_secs(30) * rounds;
    let run = Machine::new("machine_soak", &desk::disk()?)?.boot(&boot)?;
    for file in ["noted.first", "noted.last", "rounds"] {
        keep("machine_soak", file, &run)?;
    }
    let mut checks = Checks::default();
    checks.same("rounds", run.fact("rounds"), rounds.to_string());
    checks.same("what was lost", run.text("lost"), "");
    let (first, last) = (noted(&run.text("noted.first")), noted(&run.text("noted.last")));
    let seconds: f64 = run.fact("seconds").parse().context("no time was noted")?;
    println!(
        "machine_soak: {:.1} s of the machine's time for each; after the tenth and after the last:",
        seconds / f64::from(rounds)
    );
    for (name, percent, beside) in MAY_GROW {
        let (Some(first), Some(last)) = (first.get(name), last.get(name)) else {
            bail!("'{name}' was not noted");
        };
        println!("machine_soak: {name}: {first}, {last}");
        let may_be = first + first * percent / 100 + beside;
        checks.same(
            &format!("{name}, {first} after the tenth, {last} after the last, is at most {may_be}"),
            *last <= may_be,
            true,
        );
    }
    // What cannot be counted is 0, and would never grow.
    for name in ["descriptors-of-systemd", "memory-of-vfio-guest-kB", "descriptors-of-vfio-guest", "units", "processes"]
    {
        checks.same(&format!("{name} were counted"), first.get(name) > Some(&0), true);
    }
    let available =
        ["noted.first", "noted.last"].map(|file| noted(&run.text(file)).get("available-kB").copied().unwrap_or(0));
    checks.same(
        &format!("memory of the machine that is left: {available:?} kB"),
        available[1] * 100 >= available[0] * 95,
        true,
    );
    checks.same("units that failed", run.fact("failed"), "");
    checks.done()
}
