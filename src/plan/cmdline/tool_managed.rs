// SPDX-License-Identifier: LGPL-2.1-or-later
//! Command lines that a tool keeps: kernelstub's, rpm-ostree's. The tool is told parameters; no file is written by us.

use crate::host::boot::{BootFile, LoaderKind};
use crate::plan::cmdline::edit_line::shares;
use crate::plan::cmdline::format::{self, Problem};
use crate::plan::cmdline::record::Owned;
use crate::plan::cmdline::{text_of, Options, ToolRun};

/// What to run, and what is ours afterwards.
pub(super) fn change(
    loader: LoaderKind,
    boot_file: &BootFile,
    required: &[String],
    ours: &[Owned],
    options: &Options,
) -> Result<(Vec<ToolRun>, Vec<Owned>), Problem> {
    let lines = format::lines(boot_file.format, text_of(boot_file)?)?;
    let parameters: Vec<String> = lines.into_iter().flat_map(|line| line.parameters).collect();
    let shares = shares(&parameters, required, ours.first(), options);
    let owned = Owned { key: String::new(), parameters: shares.add.clone(), before: None };
    let owned = if owned.parameters.is_empty() { Vec::new() } else { vec![owned] };
    let (adds, mut removes) = (shares.adds(), shares.removes());
    // Which of two equal parameters a tool takes out is its own affair, and whether it leaves the other.
    removes.retain(|parameter| !shares.add.contains(parameter));
    if adds.is_empty() && removes.is_empty() {
        return Ok((Vec::new(), owned));
    }
    let runs = match loader {
        LoaderKind::Kernelstub => kernelstub(loader, &adds, &removes),
        _ => vec![ToolRun { loader, command: kargs(&adds, &removes), undo: kargs(&removes, &adds) }],
    };
    Ok((runs, owned))
}

/// One call makes one new deployment, whatever number of parameters it changes (rpm-ostree(1)).
fn kargs(adds: &[String], removes: &[String]) -> Vec<String> {
    let mut command = vec!["rpm-ostree".to_owned(), "kargs".to_owned()];
    command.extend(removes.iter().map(|parameter| format!("--delete-if-present={parameter}")));
    command.extend(adds.iter().map(|parameter| format!("--append-if-missing={parameter}")));
    command
}

/// It takes one list of parameters a call.
fn kernelstub(loader: LoaderKind, adds: &[String], removes: &[String]) -> Vec<ToolRun> {
    let call =
        |option: &str, parameters: &[String]| vec!["kernelstub".to_owned(), option.to_owned(), parameters.join(" ")];
    let mut runs = Vec::new();
    if !removes.is_empty() {
        runs.push(ToolRun { loader, command: call("-d", removes), undo: call("-a", removes) });
    }
    if !adds.is_empty() {
        runs.push(ToolRun { loader, command: call("-a", adds), undo: call("-d", adds) });
    }
    runs
}
