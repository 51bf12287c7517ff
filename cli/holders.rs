// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio holders`: who has a card's device nodes open or mapped, or a disk of its mounted.

use crate::output::{self, Output};
use crate::{check, Answer as Exit};
use anyhow::bail;
use serde::Serialize;
use vfio_suite::config;
use vfio_suite::host::holders::{self, Holder};
use vfio_suite::host::usage::Use;
use vfio_suite::host::{Depth, Host};
use vfio_suite::pci::Address;
use vfio_suite::plan::{section, select};
use vfio_suite::root::Root;

#[derive(Serialize)]
struct Answer<'a> {
    gpu: &'a str,
    functions: &'a [Address],
    holders: Vec<Row<'a>>,
    /// What else the host has on them.
    uses: Vec<Used<'a>>,
}

#[derive(Serialize)]
struct Used<'a> {
    function: Address,
    #[serde(flatten)]
    what: &'a Use,
}

#[derive(Serialize)]
struct Row<'a> {
    function: Address,
    #[serde(flatten)]
    holder: &'a Holder,
}

/// Says who holds a card.
pub fn run(root: &Root, out: &Output, name: &str) -> anyhow::Result<Exit> {
    let config = config::load(root);
    check::report(&config);
    let mut host = Host::scan(root, Depth::Full);
    let gpu = match section(&config, name) {
        Ok(gpu) => gpu,
        Err(finding) => bail!("{}", finding.line()),
    };
    let selected = match select::select_one(gpu, &host) {
        Ok(selected) => selected,
        Err(finding) => bail!("{}", finding.line()),
    };
    host.find_usage(root, &selected.functions);
    let of = |function: Address| host.usage_of(function).map(move |what| Used { function, what });
    let uses: Vec<Used<'_>> = selected.functions.iter().copied().flat_map(of).collect();
    let mut found = holders::find(root, &selected.functions);
    holders::name_users(root, &mut found);
    output::warn_of_unseen(root);
    if out.is_json() {
        let rows = found.iter().map(|(function, holder)| Row { function: *function, holder }).collect();
        out.json("vfio.holders/1", &Answer { gpu: name, functions: &selected.functions, holders: rows, uses })?;
        return Ok(if found.is_empty() { Exit::Done } else { Exit::No });
    }
    if found.is_empty() {
        out.line(format_args!("nobody holds [gpu {name}]"))?;
    } else {
        let row = |(function, holder): &(Address, Holder)| {
            let pid = holder.pid.map_or("mounted".to_owned(), |pid| format!("pid {pid}"));
            let unit = holder.unit.clone().unwrap_or_default();
            vec![
                function.to_string(),
                holder.node.clone(),
                pid,
                holder.command.clone(),
                unit,
                holder.user.clone().unwrap_or_default(),
            ]
        };
        let (certain, others): (Vec<_>, Vec<_>) = found.iter().partition(|(_, holder)| holder.is_certain());
        let mut text = out.lines();
        text.table(&certain.into_iter().map(row).collect::<Vec<_>>());
        // Each once, for all functions.
        let mut sentences: Vec<String> = others.iter().map(|(_, holder)| holder.to_string()).collect();
        sentences.dedup();
        sentences.iter().for_each(|sentence| text.line(sentence));
        out.text(&text)?;
    }
    for Used { function, what } in &uses {
        out.line(format_args!("{function} {what}"))?;
    }
    Ok(if found.is_empty() { Exit::Done } else { Exit::No })
}
