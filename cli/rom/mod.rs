// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio rom`: what an option ROM holds, whether it is right for a card, and the part of a file that is one.

mod dump;
mod show;

use crate::arguments::RomVerb;
use crate::output::Output;
use crate::{check, Answer as Exit};
use anyhow::{anyhow, bail, Context};
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use vfio_suite::config::{self, Config, Gpu};
use vfio_suite::finding::{codes, Finding, Location, Section, Severity};
use vfio_suite::host::rom::{self, file, NotRom, Rom};
use vfio_suite::host::{Depth, Host};
use vfio_suite::logger::complain;
use vfio_suite::plan::rom::judge::{judge, Purpose};
use vfio_suite::plan::rom::table::{self, Place};
use vfio_suite::plan::rom::{function, trim};
use vfio_suite::plan::{section, select};
use vfio_suite::root::Root;

/// An option ROM that was read: where from, and what it is.
struct Read {
    /// The file, as a person writes it.
    name: String,
    bytes: Vec<u8>,
    rom: Result<Rom, NotRom>,
    findings: Vec<Finding>,
}

impl Read {
    fn of(name: String, bytes: Vec<u8>, card: Option<(u16, u16)>) -> Read {
        let rom = rom::read(&bytes, card.map(|(vendor, _)| vendor));
        let at = Location { path: Rc::from(name.as_str()), line: 0 };
        let findings = judge(rom.as_ref().map_err(|why| *why), Purpose { card, firmware: None });
        let of_file = |finding: Finding| Finding { text: format!("the file {}", finding.text), ..finding.at(&at) };
        let findings = findings.into_iter().map(of_file).collect();
        Read { name, bytes, rom, findings }
    }

    fn exit(&self) -> Exit {
        exit(&self.findings)
    }
}

/// The exit code that findings mean.
fn exit(findings: &[Finding]) -> Exit {
    match findings.iter().map(|finding| finding.severity).max() {
        Some(Severity::Error) => Exit::Errors,
        Some(Severity::Warning) => Exit::No,
        Some(Severity::Note | Severity::Ok) | None => Exit::Done,
    }
}

/// A file that a person names, as it is seen from here.
fn read_file(path: &Path, card: Option<(u16, u16)>) -> anyhow::Result<Read> {
    let name = path.display().to_string();
    let bytes = open(path).and_then(file::read).with_context(|| name.clone())?;
    Ok(Read::of(name, bytes, card))
}

/// Opens a regular file: what else there is may wait for a writer, or never end.
fn open(path: &Path) -> std::io::Result<File> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(std::io::Error::other("it is not a regular file"));
    }
    File::open(path)
}

/// What is to be said of the files of all sections that name one, for `vfio check`.
pub(crate) fn findings(root: &Root, config: &Config, host: &Host) -> Vec<Finding> {
    let of = |gpu: &Gpu| match read_of(root, gpu, ids(config, host, &gpu.name)) {
        Ok(read) => {
            read.map(|read| read.findings.into_iter().map(|finding| of_section(gpu, &read.name, finding)).collect())
        }
        Err(error) => gpu.rom.as_ref().map(|rom| {
            let text = format!("the option ROM {} cannot be read: {}", rom.value, error.root_cause());
            let finding = Finding::card(gpu, &rom.at, codes::GUEST_FILE, text);
            vec![finding.hint("put that right or remove this line").warning()]
        }),
    };
    config.gpus.iter().filter_map(of).flatten().collect()
}

/// A finding about a file as one about the line that names it.
fn of_section(gpu: &Gpu, path: &str, finding: Finding) -> Finding {
    let at = gpu.rom.as_ref().map_or(&gpu.at, |rom| &rom.at);
    let text = finding.text.replacen("the file ", &format!("the option ROM {path} "), 1);
    Finding { text, ..finding }.at(at)
}

/// The file of a section's `rom`, if it has that key.
fn read_of(root: &Root, gpu: &Gpu, card: Option<(u16, u16)>) -> anyhow::Result<Option<Read>> {
    let Some(path) = gpu.rom.as_ref().map(|rom| rom.value.clone()) else { return Ok(None) };
    let bytes = root.open_regular(path.trim_start_matches('/')).and_then(file::read);
    let bytes =
        bytes.with_context(|| format!("{}: the option ROM {path}", gpu.rom.as_ref().map_or(&gpu.at, |rom| &rom.at)))?;
    let mut read = Read::of(path, bytes, card);
    let section = Section::Gpu(gpu.name.clone());
    read.findings.iter_mut().for_each(|finding| finding.section = section.clone());
    Ok(Some(read))
}

/// Vendor and device of a section's card, if it is there.
fn ids(config: &Config, host: &Host, name: &str) -> Option<(u16, u16)> {
    let selections = select::select_all(config, host);
    let selection = selections.iter().find(|selection| selection.gpu.name == name)?;
    function(selection, host).map(|function| (function.vendor, function.device))
}

/// What a person named: the card of a section, or a file.
fn named<'c>(config: &'c Config, what: &Path) -> Option<&'c Gpu> {
    let name = what.to_str()?;
    config.gpus.iter().find(|gpu| gpu.name == name)
}

/// The file that a person named, or that of a section's `rom`; `None` if the section has no such key.
fn read_named(root: &Root, config: &Config, what: &Path) -> anyhow::Result<Option<Read>> {
    let Some(gpu) = named(config, what) else {
        return read_file(what, None).map(Some).map_err(|error| {
            match what.to_str().filter(|name| config::is_name(name)) {
                Some(name) => anyhow!("{error:#}, and there is no [gpu {name}]"),
                None => error,
            }
        });
    };
    let host = Host::scan(root, Depth::Full);
    read_of(root, gpu, ids(config, &host, &gpu.name))
}

/// Checks the files of all sections that name one.
fn check_all(root: &Root, out: &Output, config: &Config) -> anyhow::Result<Exit> {
    let host = Host::scan(root, Depth::Full);
    let mut worst = Exit::Done;
    let mut all = Vec::new();
    for gpu in &config.gpus {
        match read_of(root, gpu, ids(config, &host, &gpu.name)) {
            Ok(Some(read)) => {
                worst = worst.max(read.exit());
                all.push(read);
            }
            Ok(None) => {}
            Err(error) => {
                complain(format_args!("vfio: {error:#}"));
                worst = Exit::Errors;
            }
        }
    }
    show::verdicts(out, &all)?;
    Ok(worst)
}

/// Writes the part of a file that is the ROM.
fn cut(root: &Root, out: &Output, input: &Path, output: &Path, gpu: Option<&str>, all: bool) -> anyhow::Result<Exit> {
    let config = config::load(root);
    let card = match gpu {
        None => None,
        Some(name) => {
            section(&config, name).map_err(|finding| anyhow!("{}", finding.line()))?;
            let card = ids(&config, &Host::scan(root, Depth::Full), name);
            Some(card.ok_or_else(|| anyhow!("the display of [gpu {name}] is not there"))?)
        }
    };
    let read = read_file(input, card)?;
    let rom = match &read.rom {
        Ok(rom) => rom,
        Err(why) => bail!("{}: {why}", read.name),
    };
    let kept = trim::trim(rom, all).map_err(|why| anyhow!("{}: {why}", read.name))?;
    if kept == (0..read.bytes.len()) {
        out.line(format_args!("{}: nothing to cut; no file is written", read.name))?;
        return Ok(Exit::Done);
    }
    let bytes = read.bytes.get(kept.clone()).unwrap_or_default();
    let name = output.display().to_string();
    write_new(output, bytes).with_context(|| name.clone())?;
    let (front, behind) = (kept.start, read.bytes.len() - kept.end);
    out.line(format_args!("{name}: {} bytes; cut: {front} before them, {behind} behind", bytes.len()))?;
    let written = Read::of(name, bytes.to_vec(), card);
    written.findings.iter().for_each(|finding| complain(check::line(finding)));
    Ok(written.exit())
}

/// The name of one of several files: `big.aml`, `big-2.aml`.
fn numbered(path: &Path, number: usize) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    match (number, path.extension()) {
        (1, _) => path.to_owned(),
        (_, Some(kind)) => path.with_file_name(format!("{stem}-{number}.{}", kind.to_string_lossy())),
        (_, None) => path.with_file_name(format!("{stem}-{number}")),
    }
}

/// Writes ACPI tables with the ROM.
fn write_table(out: &Output, input: &Path, output: &Path, place: &Place, battery: bool) -> anyhow::Result<Exit> {
    let read = read_file(input, None)?;
    let rom = match &read.rom {
        Ok(rom) => rom,
        Err(why) => bail!("{}: {why}", read.name),
    };
    if rom.start() != 0 {
        bail!("{}: other bytes stand before the option ROM; 'vfio rom trim' writes it alone", read.name);
    }
    let tables = table::build(&read.bytes, place, battery).with_context(|| read.name.clone())?;
    let names: Vec<PathBuf> = (1..=tables.len()).map(|number| numbered(output, number)).collect();
    for (number, (name, table)) in names.iter().zip(&tables).enumerate() {
        if let Err(error) = write_new(name, table) {
            // The error that matters is this one.
            names[..number].iter().for_each(|written| drop(std::fs::remove_file(written)));
            return Err(error).with_context(|| name.display().to_string());
        }
    }
    let beside = if battery { ", and a battery" } else { "" };
    out.line(format_args!("{}: {}._ROM gives {}{beside}", output.display(), place.path(), read.name))?;
    if let [_, others @ ..] = &names[..] {
        for other in others {
            out.line(format_args!("{}: more of it", other.display()))?;
        }
        if !others.is_empty() {
            out.line("a guest needs all of these tables, by arguments for QEMU: docs/MUXLESS.md")?;
        }
    }
    read.findings.iter().for_each(|finding| complain(check::line(finding)));
    Ok(read.exit())
}

/// Writes a file that must not be there yet, for every user to read: QEMU is not root. Nothing half-written is left.
fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = File::options().write(true).create_new(true).mode(0o644).open(path)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if written.is_err() {
        // The error that matters is the one above.
        let _ = std::fs::remove_file(path);
    }
    written
}

/// Runs one of the verbs.
pub fn run(root: &Root, out: &Output, verb: &RomVerb) -> anyhow::Result<Exit> {
    match verb {
        RomVerb::Show { what } => {
            let config = config::load(root);
            match read_named(root, &config, what)? {
                Some(read) => {
                    show::show(out, &read)?;
                    Ok(read.exit())
                }
                None => dump::sources(root, out, &config, what),
            }
        }
        RomVerb::Check { what: Some(what) } => {
            let Some(read) = read_named(root, &config::load(root), what)? else {
                bail!("[gpu {}] has no 'rom'", what.display());
            };
            show::verdicts(out, std::slice::from_ref(&read))?;
            Ok(read.exit())
        }
        RomVerb::Check { what: None } => {
            let config = config::load(root);
            check::report(&config);
            check_all(root, out, &config)
        }
        RomVerb::Dump { gpu, output, from, force } => {
            dump::dump(root, out, gpu, output.as_deref(), (*from).into(), *force)
        }
        RomVerb::Table { input, output, at, no_battery } => write_table(out, input, output, at, !no_battery),
        RomVerb::Trim { input, output, gpu, keep_all } => cut(root, out, input, output, gpu.as_deref(), *keep_all),
    }
}
