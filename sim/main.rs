// SPDX-License-Identifier: LGPL-2.1-or-later
//! The program `vfio-sim`: answers for the kernel and for the system's programs in a test tree (`act::backend::simulated` asks
//! it). It is built for tests and for `--root`, and not installed.

mod accounts;
mod definition;
mod device;
mod domains;
mod driver;
mod error;
mod faults;
mod hotplug;
mod images;
mod installkernel;
mod logins;
mod machine;
mod made;
mod mkinitcpio;
mod modules;
mod networks;
mod openrc;
mod packages;
mod pages;
mod parse;
#[allow(dead_code, clippy::unwrap_used)]
#[path = "../tests/common/pe.rs"]
mod pe;
mod platform;
mod processes;
mod reset;
mod resize;
mod rom;
mod services;
mod tree;
mod udev;
mod units;
mod virt_install;

use machine::Simulator;
use std::io::{self, Write};
use std::process::ExitCode;
use vfio_suite::act::backend::simulated::show_failure;
use vfio_suite::act::backend::tools::Signal;
use vfio_suite::host::process::{self, Process};
use vfio_suite::root::Root;

fn main() -> ExitCode {
    let request: Vec<String> = std::env::args_os().skip(1).map(|a| a.to_string_lossy().into_owned()).collect();
    let request: Vec<&str> = request.iter().map(String::as_str).collect();
    let (code, text) = match answer(&request) {
        Ok(output) => (ExitCode::SUCCESS, output),
        Err(error) => (ExitCode::FAILURE, show_failure(&error).into_bytes()),
    };
    match io::stdout().write_all(&text) {
        Ok(()) => code,
        Err(_) => ExitCode::FAILURE,
    }
}

/// The answer to a request: what a program prints, or what an attribute holds, and nothing for other requests to the kernel.
fn answer(request: &[&str]) -> io::Result<Vec<u8>> {
    let root = Root::from_option(None)?;
    let simulator = Simulator::new(&root);
    let nothing = |()| Vec::new();
    match *request {
        _ if root.is_system() => Err(io::ErrorKind::PermissionDenied.into()),
        ["write", attribute, value] => simulator.write(attribute, value).map(nothing),
        ["read", attribute] => simulator.read(attribute),
        ["modprobe", module] => simulator.modprobe(module).map(nothing),
        ["run", ref words @ ..] => simulator.run(words).map(String::into_bytes),
        ["signal", pid, "TERM"] => simulator.signal(&numbered(&root, pid)?, Signal::Term).map(nothing),
        ["signal", pid, "KILL"] => simulator.signal(&numbered(&root, pid)?, Signal::Kill).map(nothing),
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}

fn numbered(root: &Root, text: &str) -> io::Result<Process> {
    let pid = text.parse().map_err(|_| io::ErrorKind::InvalidInput)?;
    Ok(Process { pid, started: process::started(root, pid) })
}
