// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio guest define`: shows the domain that would be made, asks, and makes it; or removes one that it has made.

use crate::arguments::DefineOptions;
use crate::guest_edit::permission;
use crate::output::Output;
use crate::{check, Answer};
use serde::Serialize;
use vfio_suite::act::backend::tools::Tools;
use vfio_suite::act::definition::{self, new};
use vfio_suite::act::guest::start;
use vfio_suite::config::{self, Guest};
use vfio_suite::plan::definition::new_domain::{next_steps, Wish};
use vfio_suite::plan::Finding;
use vfio_suite::root::Root;

/// `vfio.guest-define/1`.
#[derive(Default, Serialize)]
struct Shown<'a> {
    guest: &'a str,
    domain: &'a str,
    /// Whether it was only said.
    dry_run: bool,
    /// Whether libvirt was changed.
    changed: bool,
    /// What was added to the text that virt-install recommends.
    changes: Vec<Added<'a>>,
    /// The domain's text.
    xml: String,
    /// The disk that is made.
    makes: Option<&'a str>,
    /// Files that an undo removes, and those that it leaves.
    removes: &'a [String],
    keeps: &'a [String],
    /// What the user does next.
    next: Vec<String>,
    refusals: &'a [Finding],
    warnings: &'a [Finding],
}

#[derive(Serialize)]
struct Added<'a> {
    key: &'a str,
    why: &'a str,
    needs_libvirt: String,
}

/// Makes a domain as its section says, or removes it.
pub fn run(root: &Root, tools: &dyn Tools, out: &Output, options: &DefineOptions) -> anyhow::Result<Answer> {
    let config = config::load(root);
    check::report(&config);
    let guest = start::section(&config, &options.name).map_err(anyhow::Error::msg)?;
    let (Some(os), Some(disk)) = (&options.os, &options.disk) else {
        return undo(root, tools, out, options, guest);
    };
    let wish = Wish {
        os: os.clone(),
        disk: disk.clone(),
        installer: options.iso.clone(),
        virtio_win: options.virtio_win.clone(),
        memory: options.memory,
    };
    let mut shown = Shown { guest: &guest.name, domain: &guest.domain, dry_run: options.dry_run, ..Shown::default() };
    let mut new = match new::probe(root, tools, &config, guest, &wish)? {
        Ok(new) => new,
        Err(refusals) => return refuse(out, &Shown { refusals: &refusals, ..shown }),
    };
    let ahead = definition::next_start(root, tools, guest, &new.probed.cards, &new.text());
    new.definition.warnings.extend(ahead);
    let added = |change: &vfio_suite::plan::definition::Change| change.needs.to_string();
    shown.changes =
        new.definition.changes.iter().map(|c| Added { key: c.key, why: &c.why, needs_libvirt: added(c) }).collect();
    shown.xml = new.text();
    shown.makes = new.installation.disk.made.map(|_| new.installation.disk.path.as_str());
    shown.warnings = &new.definition.warnings;
    shown.next = next_steps(&new.guest, &new.installation, new.virtio_win.as_deref());
    if !out.is_json() {
        let mut text = out.lines();
        text.line(format_args!("{}: what virt-install recommends for {os}", out.bold("--os")));
        for change in &shown.changes {
            text.line(format_args!("{}: {}", out.bold(change.key), change.why));
        }
        text.line("");
        text.lines(&shown.xml);
        shown.warnings.iter().for_each(|warning| text.line(format_args!("warning: {}", warning.line())));
        out.text(&text)?;
    }
    if let Some(answer) = permission(out, options.dry_run, options.yes, &format!("Define domain {}?", guest.domain))? {
        return end(out, &shown, answer);
    }
    new::carry_out(root, tools, &new)?;
    shown.changed = true;
    if !out.is_json() {
        let (name, domain) = (&guest.name, &guest.domain);
        let mut text = out.lines();
        text.line(format_args!("domain {domain} is defined; 'vfio guest define {name} --undo' removes it"));
        text.numbered(&shown.next);
        out.text(&text)?;
    }
    end(out, &shown, Answer::Done)
}

fn undo(
    root: &Root,
    tools: &dyn Tools,
    out: &Output,
    options: &DefineOptions,
    guest: &Guest,
) -> anyhow::Result<Answer> {
    let undoing = new::plan_undo(root, tools, guest)?;
    let mut shown = Shown {
        guest: &guest.name,
        domain: &guest.domain,
        dry_run: options.dry_run,
        removes: &undoing.removes,
        keeps: &undoing.keeps,
        refusals: &undoing.refusals,
        ..Shown::default()
    };
    if !undoing.refusals.is_empty() {
        return refuse(out, &shown);
    }
    if !out.is_json() {
        let mut text = out.lines();
        if undoing.exists {
            text.line(format_args!("domain {} is taken out of libvirt", guest.domain));
        }
        for path in &undoing.removes {
            text.line(format_args!("{path} is removed: vfio made it, and nothing was written to it"));
        }
        undoing.keeps.iter().for_each(|path| text.line(format_args!("{path} stays: remove it when it is not needed")));
        out.text(&text)?;
    }
    let question = format!("Remove domain {}?", guest.domain);
    if let Some(answer) = permission(out, options.dry_run, options.yes, &question)? {
        return end(out, &shown, answer);
    }
    new::undo(root, tools, guest, &undoing)?;
    shown.changed = true;
    if !out.is_json() {
        out.line(format_args!("nothing of vfio is left of domain {}", guest.domain))?;
    }
    end(out, &shown, Answer::Done)
}

fn refuse(out: &Output, shown: &Shown<'_>) -> anyhow::Result<Answer> {
    if !out.is_json() {
        let mut text = out.lines();
        shown.refusals.iter().for_each(|refusal| text.line(out.bad(&format!("refused: {}", refusal.line()))));
        out.text(&text)?;
    }
    end(out, shown, Answer::Errors)
}

fn end(out: &Output, shown: &Shown<'_>, answer: Answer) -> anyhow::Result<Answer> {
    if out.is_json() {
        out.json("vfio.guest-define/1", shown)?;
    }
    Ok(answer)
}
