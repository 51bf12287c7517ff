// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio rom dump`: a card's own option ROM, from where it can be read.

use super::{function, show, write_new, Read};
use crate::act::{choose, lock};
use crate::output::Output;
use crate::{check, Answer as Exit};
use anyhow::{bail, Context};
use serde::Serialize;
use std::path::Path;
use vfio_suite::act::rom as act;
use vfio_suite::config::{self, Config};
use vfio_suite::finding::Finding;
use vfio_suite::host::rom::source::{self, Source, Sources};
use vfio_suite::host::{Function, Host};
use vfio_suite::plan::rom::dump;
use vfio_suite::plan::selection::Selection;
use vfio_suite::root::Root;

/// The display of a chosen card.
fn display<'h>(selection: &Selection<'_>, host: &'h Host) -> anyhow::Result<&'h Function> {
    match (&selection.selected, function(selection, host)) {
        (Err(finding), _) => bail!("{}", finding.line()),
        (Ok(_), None) => bail!("[gpu {}] is not a display: it has no option ROM that matters", selection.gpu.name),
        (Ok(_), Some(function)) => Ok(function),
    }
}

/// Reads a card's ROM; shows it, and with `output` writes it into a new file.
pub(super) fn dump(
    root: &Root,
    out: &Output,
    gpu: &str,
    output: Option<&Path>,
    from: Option<Source>,
    force: bool,
) -> anyhow::Result<Exit> {
    let config = config::load(root);
    let _lock = lock(root)?;
    let (selection, host) = choose(root, &config, gpu)?;
    let function = display(&selection, &host)?;
    let there = source::look(root, function);
    let sources = match dump::sources(gpu, function, &host, &there, from, force) {
        Ok(sources) => sources,
        Err(finding) => {
            check::refuse(&[finding]);
            return Ok(Exit::No);
        }
    };
    let mut failed = Vec::new();
    for source in sources {
        match act::read(root, function, &there, source) {
            Ok(bytes) => {
                check::warn(&failed);
                check::warn(
                    &dump::elsewhere(gpu, function, &there)
                        .filter(|_| source == Source::Vfct)
                        .into_iter()
                        .collect::<Vec<_>>(),
                );
                return finish(out, gpu, source, bytes, (function.vendor, function.device), output);
            }
            Err(error) => {
                failed.push(dump::unreadable(gpu, function, source, &error.to_string(), error.errno()));
            }
        }
    }
    check::refuse(&failed);
    Ok(Exit::Errors)
}

/// Shows what was read, and writes it if it is an option ROM.
fn finish(
    out: &Output,
    gpu: &str,
    source: Source,
    bytes: Vec<u8>,
    card: (u16, u16),
    output: Option<&Path>,
) -> anyhow::Result<Exit> {
    let name = output.map_or_else(|| format!("[gpu {gpu}] by {}", source.word()), |path| path.display().to_string());
    let read = Read::of(name.clone(), bytes, Some(card));
    if let Some(path) = output.filter(|_| read.rom.is_ok()) {
        write_new(path, &read.bytes).with_context(|| name)?;
    }
    show::show(out, &read)?;
    Ok(read.exit())
}

/// Shows where the ROM of a card can be read, whose section names no file.
pub(super) fn sources(root: &Root, out: &Output, config: &Config, what: &Path) -> anyhow::Result<Exit> {
    #[derive(Serialize)]
    struct Answer<'a> {
        gpu: &'a str,
        sources: &'a Sources,
        usable: Vec<Source>,
        why_not: Option<&'a Finding>,
    }
    let gpu = what.to_str().unwrap_or_default();
    let (selection, host) = choose(root, config, gpu)?;
    let function = display(&selection, &host)?;
    let there = source::look(root, function);
    let usable = dump::sources(gpu, function, &host, &there, None, false);
    let exit = if usable.is_ok() { Exit::Done } else { Exit::No };
    if out.is_json() {
        let why_not = usable.as_ref().err();
        let usable = usable.as_ref().map_or_else(|_| Vec::new(), Clone::clone);
        out.json("vfio.rom-sources/1", &Answer { gpu, sources: &there, usable, why_not })?;
        return Ok(exit);
    }
    let mut text = out.lines();
    text.line(format_args!("[gpu {gpu}] has no 'rom': the guest sees the card's own option ROM"));
    match usable {
        Ok(sources) => {
            let words: Vec<&str> = sources.iter().map(|source| source.word()).collect();
            text.line(format_args!("  'vfio rom dump {gpu}' can read it by {}", words.join(", ")));
        }
        Err(finding) => text.line(check::line(&finding.note())),
    }
    out.text(&text)?;
    Ok(exit)
}
