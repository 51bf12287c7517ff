// SPDX-License-Identifier: LGPL-2.1-or-later
//! The lab: real kernels in virtual machines, with real host drivers that want the cards. See README.md here.

mod apt;
mod bench;
mod cache;
mod checks;
mod compiled;
mod cpio;
mod demo;
mod desk;
mod efi;
mod extra;
mod images;
mod layers;
mod machine;
mod micro;
mod picture;
mod qemu;
mod qmp;
#[path = "../common/roms.rs"]
#[allow(dead_code, reason = "made for tests that need more of it")]
mod roms;
mod scenarios;
mod tools;

use anyhow::Result;
use std::path::PathBuf;

/// Where a scenario's runs are kept: made empty at its start, removed when it has passed.
fn run_dir(name: &str) -> Result<PathBuf> {
    let dir = cache::dir()?.join("runs").join(name);
    cache::remove(&dir)?;
    std::fs::create_dir_all(&dir)?;
    Ok(dir)
}

fn main() -> Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("demo") => return demo::run(),
        Some("bench") => return bench::run(),
        _ => {}
    }
    let mut arguments = libtest_mimic::Arguments::from_args();
    arguments.test_threads.get_or_insert(2);
    libtest_mimic::run(&arguments, scenarios::trials()).exit();
}
