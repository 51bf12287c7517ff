// SPDX-License-Identifier: LGPL-2.1-or-later
//! Configuration trees in, configurations and messages out: `tests/golden/config/NN-name/` is a root, `expected.txt`
//! what it means. `UPDATE_GOLDEN=1 cargo test --test config_golden` writes what is found; read the difference then.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::{symlink, PermissionsExt};
use std::path::Path;
use vfio_suite::config::{load, At, Config, Functions};
use vfio_suite::root::Root;

const EXPECTED: &str = "expected.txt";

/// Copies a tree with fixed modes: what a clone's umask made of them must not decide whether a file is trusted.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    fs::set_permissions(to, fs::Permissions::from_mode(0o755)).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (old, new) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            copy(&old, &new);
        } else if kind.is_symlink() {
            symlink(fs::read_link(&old).unwrap(), &new).unwrap();
        } else {
            fs::write(&new, fs::read(&old).unwrap()).unwrap();
            fs::set_permissions(&new, fs::Permissions::from_mode(0o644)).unwrap();
        }
    }
}

/// The whole configuration as text, a line for each thing.
fn show(config: &Config) -> String {
    let mut out = String::new();
    show_to(&mut out, config).unwrap();
    out
}

fn show_to(out: &mut String, config: &Config) -> std::fmt::Result {
    for diagnostic in &config.diagnostics {
        writeln!(out, "{:?} {}", diagnostic.severity, diagnostic.line())?;
    }
    let host = &config.host;
    writeln!(out, "\n[host]\n  enable = {}\n  iommu = {:?}", host.enable, host.iommu)?;
    writeln!(
        out,
        "  iommu-passthrough = {}\n  kernel-parameters = {:?}",
        host.iommu_passthrough, host.kernel_parameters
    )?;
    writeln!(out, "  headless = {}", host.headless)?;
    writeln!(out, "  failed-boots = {}", host.failed_boots)?;
    if host.rescue_entry {
        writeln!(out, "  rescue-entry = yes")?;
    }
    for gpu in &config.gpus {
        writeln!(out, "\n[gpu {}] ({})", gpu.name, gpu.at)?;
        writeln!(out, "  device = {} ({})", gpu.device.value, gpu.device.at)?;
        optional(out, "identity", gpu.identity.as_ref())?;
        match &gpu.functions {
            Functions::All => writeln!(out, "  functions = all")?,
            Functions::Listed(At { value, at }) => writeln!(out, "  functions = {value:?} ({at})")?,
        }
        for also in &gpu.also {
            writeln!(out, "  also = {} ({})", also.value, also.at)?;
        }
        writeln!(out, "  bind = {:?}\n  driver = {:?}", gpu.bind, gpu.driver)?;
        for (number, bar) in gpu.bars.iter().enumerate() {
            if let Some(At { value, at }) = bar {
                writeln!(out, "  bar{number} = {value:?} ({at})")?;
            }
        }
        writeln!(out, "  reset = {:?}", gpu.reset)?;
        optional(out, "rom", gpu.rom.as_ref())?;
        optional(out, "acpi-table", gpu.acpi_table.as_ref())?;
        writeln!(out, "  only-display = {}", gpu.only_display)?;
    }
    for guest in &config.guests {
        writeln!(out, "\n[guest {}] ({})", guest.name, guest.at)?;
        writeln!(out, "  gpus = {:?} ({})", guest.gpus.value, guest.gpus.at)?;
        for bar in &guest.bars {
            writeln!(out, "  {}.bar{} = {:?} ({})", bar.gpu, bar.bar, bar.size.value, bar.size.at)?;
        }
        writeln!(out, "  domain = {}\n  uri = {}", guest.domain, guest.uri)?;
        writeln!(out, "  runner = {:?}\n  command = {:?}", guest.runner, guest.command)?;
        writeln!(out, "  handover = {:?}\n  display-manager = {:?}", guest.handover, guest.display_manager)?;
        writeln!(out, "  stop-units = {:?}", guest.stop_units)?;
        writeln!(out, "  before = {:?}\n  after = {:?}", guest.before, guest.after)?;
        writeln!(out, "  start-timeout = {:?}\n  stop-timeout = {:?}", guest.start_timeout, guest.stop_timeout)?;
        writeln!(out, "  inhibit-sleep = {}", guest.inhibit_sleep)?;
    }
    for disabled in &config.disabled {
        writeln!(out, "\ndisabled: [{} {}] ({})\n  {}", disabled.kind, disabled.name, disabled.at, disabled.why)?;
    }
    Ok(())
}

fn optional<T: std::fmt::Display>(out: &mut String, key: &str, value: Option<&At<T>>) -> std::fmt::Result {
    value.map_or(Ok(()), |At { value, at }| writeln!(out, "  {key} = {value} ({at})"))
}

#[test]
fn trees_mean_what_they_meant() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/config");
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut cases: Vec<_> = fs::read_dir(&golden).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() >= 15, "cases are missing");
    let mut differing = Vec::new();
    for case in cases {
        let tree = tempfile::tempdir().unwrap();
        copy(&case, tree.path());
        let found = show(&load(&Root::open(tree.path()).unwrap()));
        let expected = case.join(EXPECTED);
        if update {
            fs::write(&expected, &found).unwrap();
        } else if fs::read_to_string(&expected).unwrap_or_default() != found {
            differing.push(format!("{} should say:\n{found}", expected.display()));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}
