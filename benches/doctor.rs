// SPDX-License-Identifier: LGPL-2.1-or-later
//! `make bench ONLY='--bench doctor'`: `vfio doctor` as a whole process, on a machine of 256 functions whose journal has
//! 50,000 lines, with warm caches. The journal's program is the simulator, which reads a file. docs/PERFORMANCE.md has the figures.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../tests/common/mod.rs"]
mod common;

use common::hosts;
use std::fmt::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Runs of each.
const RUNS: usize = 21;
const LINES: usize = 50_000;

/// What a kernel logs where nothing is wrong, and in every thousandth line something about the card.
fn journal() -> String {
    let mut text = String::new();
    for number in 0..LINES {
        let second = 1_700_000_000 + number;
        let said = match number % 1000 {
            0 => "vfio-pci 0000:02:00.0: enabling device (0000 -> 0003)",
            500 => "vfio-pci 0000:02:00.0: Invalid PCI ROM header signature: expecting 0xaa55, got 0xffff",
            _ => "usb 1-4: new high-speed USB device, number of it follows",
        };
        writeln!(text, "{second}.0 kernel: {said}").unwrap();
    }
    text
}

fn median(tree: &common::Tree, arguments: &[&str]) -> Duration {
    let mut times: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let begin = Instant::now();
            let mut command = Command::new(env!("CARGO_BIN_EXE_vfio"));
            command.arg("--root").arg(tree.path()).args(arguments);
            let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
            assert!(status.code().is_some_and(|code| code <= 2), "{arguments:?}: {status}");
            begin.elapsed()
        })
        .collect();
    times.sort();
    times[RUNS / 2]
}

fn main() {
    // cargo test --benches runs this too; there is nothing to assert.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let tree = hosts::server(256).build();
    tree.config("[gpu big]\ndevice = 0000:02:00.0\n");
    for arguments in [&["doctor", "--only", "logs"][..], &["doctor"]] {
        tree.write(".kernel/log", "");
        let without = median(&tree, arguments);
        tree.write(".kernel/log", &journal());
        // What stands in every thousandth line, the last of them too.
        let mut command = Command::new(env!("CARGO_BIN_EXE_vfio"));
        let told = command.arg("--root").arg(tree.path()).args(arguments).output().unwrap();
        let (told, times) = (String::from_utf8_lossy(&told.stdout), (LINES / 1000).to_string());
        assert!(told.contains("0xffff") && told.contains(&times), "the lines were not read: {told}");
        let with = median(&tree, arguments);
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        println!("vfio {}: {:.1} ms, without lines {:.1} ms", arguments.join(" "), ms(with), ms(without));
    }
}
