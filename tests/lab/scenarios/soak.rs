// SPDX-License-Identifier: LGPL-2.1-or-later
//! Many hand-overs and give-backs in one boot, some of them with an end that nobody asked for: nothing is lost, nothing grows.

use super::keep;
use crate::checks::Checks;
use crate::desk;
use crate::machine::Machine;
use crate::micro::Micro;
use crate::qemu::{self, Outcome};
use anyhow::{bail, Context, Result};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// So many without `$VFIO_LAB_SOAK`: with systemd a hand-over takes the machine a dozen seconds, without it about three.
const ROUNDS: u32 = 200;
const ROUNDS_OF_MICRO: u32 = 1000;

/// The hand-overs.
const SCRIPT: &str = include_str!("../guest/soak/soak.sh");

/// The card that nobody holds, and a guest that has its group open until it is ended, or told to end. It may be told with which
/// code. What it runs has not: where no control group ends that, it outlives the guest for a moment.
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
while [ ! -s /run/soak-ends ]; do sleep 0.2 3>&-; done; exit $(cat /run/soak-ends)\"
start-timeout = 2min
stop-timeout = 20s";

/// What may differ between the tenth hand-over and the last, in parts of a hundred and beside that in its own unit: caches of
/// systemd's fill, and memory is counted in pages.
const MAY_GROW: [(&str, u64, u64); 7] = [
    ("memory-of-vfio-guest-kB", 5, 128),
    ("descriptors-of-vfio-guest", 0, 0),
    ("files-in-run-vfio", 0, 0),
    ("files-in-var-lib-vfio", 0, 0),
    ("processes", 0, 2),
    ("mounts", 0, 0),
    ("available-kB", 100, 0),
];

/// And of systemd.
const MAY_GROW_IN_SYSTEMD: [(&str, u64, u64); 4] =
    [("descriptors-of-systemd", 0, 2), ("memory-of-systemd-kB", 10, 512), ("units", 0, 2), ("transient-units", 0, 0)];

/// What cannot be counted is 0, and would never grow.
const COUNTED: [&str; 5] =
    ["descriptors-of-systemd", "memory-of-vfio-guest-kB", "descriptors-of-vfio-guest", "units", "processes"];

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

/// The script with its numbers, and how many hand-overs it makes.
fn script(name: &str, begin: &str, rounds: u32) -> Result<(String, u32)> {
    let rounds = std::env::var("VFIO_LAB_SOAK").map_or(Ok(rounds), |rounds| rounds.parse());
    let rounds = rounds.context("VFIO_LAB_SOAK is no number")?;
    let seed = seed()?;
    println!("{name}: {rounds} hand-overs, ends drawn from VFIO_LAB_SEED={seed}");
    let script = SCRIPT.replace("@COUNT@", &rounds.to_string()).replace("@SEED@", &seed.to_string());
    Ok((format!("{begin}{script}"), rounds))
}

/// Nothing is lost, and nothing has grown.
fn judge(name: &str, run: &Outcome, rounds: u32, may_grow: &[(&str, u64, u64)]) -> Result<Checks> {
    for file in ["noted.first", "noted.last", "rounds"] {
        keep(name, file, run)?;
    }
    let mut checks = Checks::default();
    checks.same("rounds", run.fact("rounds"), rounds.to_string());
    checks.same("what was lost", run.text("lost"), "");
    let (first, last) = (noted(&run.text("noted.first")), noted(&run.text("noted.last")));
    let seconds: f64 = run.fact("seconds").parse().context("no time was noted")?;
    println!(
        "{name}: {:.1} s of the machine's time for each; after the tenth and after the last:",
        seconds / f64::from(rounds)
    );
    for &(what, percent, beside) in may_grow {
        let (Some(first), Some(last)) = (first.get(what), last.get(what)) else {
            bail!("'{what}' was not noted");
        };
        println!("{name}: {what}: {first}, {last}");
        let may_be = first + first * percent / 100 + beside;
        checks.same(
            &format!("{what}, {first} after the tenth, {last} after the last, is at most {may_be}"),
            *last <= may_be,
            true,
        );
        if COUNTED.contains(&what) {
            checks.same(&format!("{what} were counted"), *first > 0, true);
        }
    }
    let available = [&first, &last].map(|noted| noted.get("available-kB").copied().unwrap_or(0));
    checks.same(
        &format!("memory of the machine that is left: {available:?} kB"),
        available[1] * 100 >= available[0] * 95,
        true,
    );
    Ok(checks)
}

/// As a service of systemd.
pub fn soak() -> Result<()> {
    let begin = include_str!("../guest/soak/systemd.sh").replace("@SECTIONS@", SECTIONS);
    let (script, rounds) = script("machine_soak", &begin, ROUNDS)?;
    let failed = "fact failed \"$(systemctl list-units --failed --plain --no-legend)\"\n";
    let mut boot = desk::boot(&format!("{script}{failed}"));
    boot.devices = [qemu::card(1), qemu::card(2), vec![qemu::host_display()]].concat();
    boot.deadline += Duration::from_secs(30) * rounds;
    let run = Machine::new("machine_soak", &desk::disk()?)?.boot(&boot)?;
    let mut checks = judge("machine_soak", &run, rounds, &[&MAY_GROW[..], &MAY_GROW_IN_SYSTEMD].concat())?;
    checks.same("units that failed", run.fact("failed"), "");
    checks.done()
}

/// Without a service manager: the supervisor and the kernel alone.
pub fn micro() -> Result<()> {
    let (script, rounds) = script("micro_soak", include_str!("../guest/soak/micro.sh"), ROUNDS_OF_MICRO)?;
    let mut micro = Micro::new("micro_soak", &script);
    micro.files.push(("etc/vfio.conf", SECTIONS.to_owned()));
    micro.files.push(("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n".to_owned()));
    micro.files.push(("etc/group", "root:x:0:\n".to_owned()));
    micro.deadline += Duration::from_secs(10) * rounds;
    judge("micro_soak", &micro.run()?, rounds, &MAY_GROW)?.done()
}
