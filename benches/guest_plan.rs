// SPDX-License-Identifier: LGPL-2.1-or-later
//! `make bench`: what `vfio guest plan` and libvirt's hook do themselves for a domain of 64 KiB: reading its XML, looking at the
//! machine, deciding. The programs that are asked answer at once; what they take is not ours.
//!
//! The median of many is judged: more than ten milliseconds fail the bench. docs/PERFORMANCE.md has the figure.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../tests/common/mod.rs"]
mod common;

use common::{desktop, domain, hosts};
use std::fmt::Write;
use std::time::{Duration, Instant};
use vfio_suite::act::backend::tools::{Signal, ToolError, Tools};
use vfio_suite::act::guest::probe::Source;
use vfio_suite::act::guest::start;
use vfio_suite::config;
use vfio_suite::host::process::Process;

const ROUNDS: usize = 200;
const MOST: Duration = Duration::from_millis(10);
const SIZE: usize = 64 << 10;
const CARD: &str = "0000:02:00";

/// systemctl and loginctl of a machine without a display manager and without sessions.
#[derive(Debug)]
struct AtOnce;

impl Tools for AtOnce {
    fn run(&self, words: &[&str], _: Duration) -> Result<String, ToolError> {
        let units = words.iter().skip_while(|word| **word != "--").skip(1);
        let block = |unit: &&str| format!("Id={unit}\nLoadState=not-found\nActiveState=inactive\n\n");
        Ok(units.map(block).collect())
    }

    fn signal(&self, _: &Process, _: Signal) -> Result<(), ToolError> {
        Ok(())
    }
}

/// A domain of 64 KiB: the card, disks, CPUs, networks, and controllers for the rest.
fn large_domain() -> String {
    let mut inside = String::new();
    for n in 0..60 {
        let path = format!("/var/lib/libvirt/images/disk{n}.qcow2");
        write!(inside, "<disk type='file' device='disk'><source file='{path}'/><target dev='sd{n}'/></disk>\n    ")
            .unwrap();
    }
    inside.push_str("<interface type='network'><source network='default'/></interface>\n    ");
    inside.push_str(
        "<hostdev mode='subsystem' type='usb'><source><vendor id='0x1'/><product id='0x2'/></source></hostdev>\n",
    );
    let pins: String = (0..64).map(|n| format!("    <vcpupin vcpu='{n}' cpuset='{n}'/>\n")).collect();
    let card = domain::hostdev(&format!("{CARD}.0")) + &domain::hostdev(&format!("{CARD}.1"));
    let begin = format!(
        "<domain type='kvm'>\n  <name>demo</name>\n  <memory unit='KiB'>8388608</memory>\n  <cputune>\n{pins}  </cputune>\n  \
         <devices>\n    <emulator>/usr/bin/qemu-system-x86_64</emulator>\n{card}    {inside}"
    );
    let end = "  </devices>\n</domain>\n";
    let mut text = begin;
    for n in 0.. {
        let controller = format!(
            "    <controller type='pci' index='{n}' model='pcie-root-port'><target chassis='{n}'/></controller>\n"
        );
        if text.len() + controller.len() + end.len() > SIZE {
            break;
        }
        text.push_str(&controller);
    }
    text + end
}

fn main() {
    // cargo test --benches runs this too; there is nothing to assert.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let tree = hosts::server(256).build();
    tree.config(&format!(
        "[gpu big]\ndevice = {CARD}.0\nidentity = 1002:73bf\nbind = guest\n[guest demo]\ngpus = big\n"
    ));
    desktop::desktop(&tree, &format!("{CARD}.0"), Some(&format!("{CARD}.1")));
    domain::domain(&tree, "demo", &[], &[]);
    let (root, xml) = (tree.root(), large_domain());
    let config = config::load(&root);
    let guest = config.guest("demo").expect("the guest");
    let mut times: Vec<Duration> = Vec::new();
    let mut said = 0;
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        let plan = start::plan(&root, &AtOnce, &config, guest, Source::Hook(&xml));
        times.push(begin.elapsed());
        said = plan.refusals.len();
    }
    times.sort_unstable();
    let (median, worst) = (times[ROUNDS / 2], times[ROUNDS * 95 / 100]);
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    println!("| guest plan, a domain of | functions | refusals | median, ms | 95 of 100, ms |");
    println!("|---|---|---|---|---|");
    println!("| {} bytes | 256 | {said} | {:.2} | {:.2} |", xml.len(), milliseconds(median), milliseconds(worst));
    assert!(said > 60, "every missing disk is found: {said}");
    assert!(median <= MOST, "{median:?}");
}
