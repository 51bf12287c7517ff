// SPDX-License-Identifier: LGPL-2.1-or-later
//! `--root REPORT`: a report in the place of a directory, unpacked into one that is gone when the program ends.

use anyhow::Context;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use vfio_suite::act::replay::unpack;
use vfio_suite::recording;
use vfio_suite::root::ROOT_VARIABLE;

/// No report is larger, in bytes; what is in it may be larger still.
const LIMIT: u64 = 32 << 20;

/// The directory of what `--root` or the environment names, if that is a file.
pub fn of(option: Option<&Path>) -> anyhow::Result<Option<TempDir>> {
    let variable = std::env::var_os(ROOT_VARIABLE).map(PathBuf::from);
    let Some(path) = option.or(variable.as_deref()).filter(|path| path.is_file()) else { return Ok(None) };
    let shown = || path.display().to_string();
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(LIMIT + 1).read_to_end(&mut bytes)).with_context(shown)?;
    let text = String::from_utf8(bytes).map_err(|_| anyhow::anyhow!("{}: it is not text in UTF-8", shown()))?;
    let nodes = recording::parse(&text).with_context(shown)?;
    let directory = tempfile::Builder::new().prefix("vfio-report-").tempdir().context("a directory for the report")?;
    unpack(&nodes, directory.path()).with_context(shown)?;
    Ok(Some(directory))
}
