// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio guest edit`: shows what the guest's domain lacks, change by change, asks, and has libvirt define it; or undoes that.

use crate::arguments::EditOptions;
use crate::output::{Output, Text};
use crate::{check, Answer};
use serde::Serialize;
use similar::TextDiff;
use vfio_suite::act::backend::tools::Tools;
use vfio_suite::act::definition::{self, Probed};
use vfio_suite::act::guest::start;
use vfio_suite::config::{self, Guest};
use vfio_suite::plan::definition::Definition;
use vfio_suite::plan::Finding;
use vfio_suite::root::Root;

/// `vfio.guest-edit/1`.
#[derive(Default, Serialize)]
struct Shown<'a> {
    guest: &'a str,
    domain: &'a str,
    /// Whether it was only said.
    dry_run: bool,
    /// Whether the domain was changed.
    changed: bool,
    changes: Vec<ShownChange>,
    refusals: &'a [Finding],
    warnings: &'a [Finding],
}

#[derive(Serialize)]
struct ShownChange {
    key: &'static str,
    why: String,
    needs_libvirt: String,
    diff: String,
}

/// Brings a domain to what its section says, or back.
pub fn run(root: &Root, tools: &dyn Tools, out: &Output, options: &EditOptions) -> anyhow::Result<Answer> {
    let config = config::load(root);
    check::report(&config);
    let guest = start::section(&config, &options.name).map_err(anyhow::Error::msg)?;
    let probed = definition::probe(root, tools, &config, guest)?;
    if options.undo {
        return undo(root, tools, out, options, guest, &probed);
    }
    let mut plan = definition::plan(guest, &probed, options.reset_nvram)?;
    if plan.refusals.is_empty() {
        plan.warnings.extend(definition::next_start(root, tools, guest, &probed.cards, &plan.apply(&probed.xml)));
    }
    let mut shown = Shown {
        guest: &guest.name,
        domain: &guest.domain,
        dry_run: options.dry_run,
        // Nothing is changed where something is refused.
        changes: if plan.refusals.is_empty() { changes(&plan, &probed.xml) } else { Vec::new() },
        refusals: &plan.refusals,
        warnings: &plan.warnings,
        ..Shown::default()
    };
    show(out, &shown)?;
    if !plan.refusals.is_empty() {
        return end(out, &shown, Answer::Errors);
    }
    if plan.changes.is_empty() {
        return end(out, &shown, Answer::Done);
    }
    if let Some(answer) = permission(out, options.dry_run, options.yes, &question(guest))? {
        return end(out, &shown, answer);
    }
    definition::carry_out(root, tools, guest, &probed, &plan, options.reset_nvram)?;
    shown.changed = true;
    if !out.is_json() {
        let (name, domain) = (&guest.name, &guest.domain);
        out.line(format_args!("domain {domain} is changed; 'vfio guest edit {name} --undo' takes it back"))?;
    }
    end(out, &shown, Answer::Done)
}

fn question(guest: &Guest) -> String {
    format!("Change domain {}?", guest.domain)
}

/// Whether to go on; if not, how it ends.
pub fn permission(out: &Output, dry_run: bool, yes: bool, question: &str) -> anyhow::Result<Option<Answer>> {
    if dry_run {
        return Ok(Some(Answer::No));
    }
    if yes {
        return Ok(None);
    }
    Ok(match out.ask(question)? {
        Some(true) => None,
        Some(false) => Some(Answer::No),
        None => {
            vfio_suite::logger::complain(format_args!(
                "vfio: nothing is changed without a terminal to ask on; '--yes' changes it without a question"
            ));
            Some(Answer::Usage)
        }
    })
}

fn undo(
    root: &Root,
    tools: &dyn Tools,
    out: &Output,
    options: &EditOptions,
    guest: &Guest,
    probed: &Probed,
) -> anyhow::Result<Answer> {
    let undone = definition::plan_undo(root, guest, probed)?;
    let refusals = definition::refuse_undo(guest, probed, &undone);
    let why = "what vfio changed is taken back; what was changed since stays".to_owned();
    let diff = diff(&probed.xml, &undone.text);
    let change = ShownChange { key: "undo", why, needs_libvirt: String::new(), diff };
    let mut shown = Shown {
        guest: &guest.name,
        domain: &guest.domain,
        dry_run: options.dry_run,
        changes: if undone.text == probed.xml || !refusals.is_empty() { Vec::new() } else { vec![change] },
        refusals: &refusals,
        ..Shown::default()
    };
    show(out, &shown)?;
    if !refusals.is_empty() {
        return end(out, &shown, Answer::Errors);
    }
    if !shown.changes.is_empty() {
        if let Some(answer) = permission(out, options.dry_run, options.yes, &question(guest))? {
            return end(out, &shown, answer);
        }
    }
    if !options.dry_run {
        definition::undo(root, tools, guest, probed, &undone)?;
        shown.changed = !shown.changes.is_empty();
    }
    if shown.changed && !out.is_json() {
        out.line(format_args!("nothing of vfio is left in domain {}", guest.domain))?;
    }
    end(out, &shown, Answer::Done)
}

/// Each change with the lines that it changes.
fn changes(plan: &Definition, before: &str) -> Vec<ShownChange> {
    let texts = plan.texts(before);
    let each = plan.changes.iter().zip(texts.windows(2));
    each.map(|(change, texts)| ShownChange {
        key: change.key,
        why: change.why.clone(),
        needs_libvirt: change.needs.to_string(),
        diff: diff(&texts[0], &texts[1]),
    })
    .collect()
}

/// The lines that differ, without passwords.
pub fn diff(before: &str, after: &str) -> String {
    let (before, after) = (without_passwords(before), without_passwords(after));
    TextDiff::from_lines(&before, &after).unified_diff().context_radius(2).to_string()
}

/// A text without the values of `passwd`, which libvirt writes for VNC and Spice.
fn without_passwords(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("passwd=") {
        let value = at + "passwd=".len();
        let quote = rest[value..].chars().next().filter(|c| matches!(c, '\'' | '"'));
        let end = quote.and_then(|quote| Some((quote, rest[value + 1..].find(quote)?)));
        let Some((quote, length)) = end else { break };
        out.push_str(&rest[..value]);
        out.push_str(&format!("{quote}***{quote}"));
        rest = &rest[value + 1 + length + 1..];
    }
    out + rest
}

fn show(out: &Output, shown: &Shown<'_>) -> anyhow::Result<()> {
    if out.is_json() {
        return Ok(());
    }
    let mut text = out.lines();
    for change in &shown.changes {
        show_change(&mut text, change, out);
    }
    shown.refusals.iter().for_each(|refusal| text.line(out.bad(&format!("refused: {}", refusal.line()))));
    shown.warnings.iter().for_each(|warning| text.line(format_args!("warning: {}", warning.line())));
    if shown.changes.is_empty() && shown.refusals.is_empty() {
        text.line("nothing to do");
    }
    out.text(&text)
}

fn show_change(text: &mut Text, change: &ShownChange, out: &Output) {
    text.line(format_args!("{}: {}", out.bold(change.key), change.why));
    text.lines(&change.diff);
}

fn end(out: &Output, shown: &Shown<'_>, answer: Answer) -> anyhow::Result<Answer> {
    if out.is_json() {
        out.json("vfio.guest-edit/1", shown)?;
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        let text = "<graphics type='vnc' passwd='a\"b'/>\n<graphics passwd=\"c'd\" passwdValidTo='x'/> passwd=";
        let expected = "<graphics type='vnc' passwd='***'/>\n<graphics passwd=\"***\" passwdValidTo='x'/> passwd=";
        assert_eq!(without_passwords(text), expected);
        assert!(diff("<a passwd='x'/>\n", "<a passwd='x'/>\n<b/>\n").contains("+<b/>"));
    }
}
