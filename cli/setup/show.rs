// SPDX-License-Identifier: LGPL-2.1-or-later
//! The screens of `vfio setup`, in lines that are no longer than the terminal is wide.

use crate::output::{Output, Text};
use vfio_suite::host::bars::show_size;
use vfio_suite::plan::definition::new_domain::DiskWish;
use vfio_suite::plan::setup::SetupStep;
use vfio_suite::plan::wizard::answers::Answers;
use vfio_suite::plan::wizard::found::{Block, Mark, Row};
use vfio_suite::plan::wizard::parts::{Kind, Part, WizardPlan};
use vfio_suite::plan::wizard::request::{AudioWay, InputWay, WayBack, When};
use vfio_suite::text::shell_word;

/// How far what is said of something stands in.
const INDENT: usize = 16;

/// The first screen.
pub fn found(blocks: &[Block], out: &Output) -> Text {
    let mut text = out.lines();
    for (number, block) in blocks.iter().enumerate() {
        if number > 0 {
            text.line("");
        }
        text.line(out.bold(&block.title));
        block.rows.iter().for_each(|row| show_row(&mut text, row, out));
    }
    text
}

fn show_row(text: &mut Text, row: &Row, out: &Output) {
    let sign = match row.mark {
        Mark::Good => out.good(row.mark.sign()),
        Mark::Open => out.open(row.mark.sign()),
        Mark::Bad => out.bad(row.mark.sign()),
    };
    let indent = if row.about.is_empty() { 4 } else { INDENT };
    for (number, line) in row.lines.iter().enumerate() {
        let label = if number == 0 { format!("{sign} {}", row.about) } else { String::new() };
        text.row(indent, &label, line, out.width());
    }
}

/// The plan.
pub fn plan(plan: &WizardPlan, out: &Output) -> Text {
    let mut text = out.lines();
    text.line(out.bold("Plan"));
    for (number, part) in plan.parts.iter().enumerate() {
        show_part(&mut text, number + 1, part, out);
    }
    plan.notes.iter().for_each(|note| text.row(INDENT, "note", note, out.width()));
    plan.left.iter().for_each(|left| text.row(INDENT, "left to you", left, out.width()));
    let reboot = if plan.reboot { "yes, once" } else { "no" };
    text.line(format_args!("Reboot needed: {reboot}.    Undo all of it: vfio setup --undo"));
    text
}

fn show_part(text: &mut Text, number: usize, part: &Part, out: &Output) {
    let mut label = format!("{number:2}  {}", part.kind.name());
    for line in &part.lines {
        if part.kind == Kind::Config {
            text.line(format!("  {label:width$}{line}", width = INDENT - 2).trim_end());
        } else {
            text.row(INDENT, &label, line, out.width());
        }
        label = String::new();
    }
}

/// The differences.
pub fn differences(plan: &WizardPlan, out: &Output) -> Text {
    let mut text = out.lines();
    for part in plan.parts.iter().filter(|part| !part.diff.is_empty()) {
        text.line(out.bold(part.kind.name()));
        text.lines(&part.diff);
    }
    for step in plan.parts.iter().flat_map(|part| &part.steps) {
        if let SetupStep::Write { path, text: content } = step {
            text.line(out.bold(&format!("/{path}")));
            text.lines(content);
        }
    }
    text
}

/// The command that does the same without a question.
pub fn again(answers: &Answers) -> Vec<String> {
    let mut words = vec!["vfio".to_owned(), "setup".to_owned()];
    words.extend(answers.domain.as_ref().map(|name| format!("--vm={}", shell_word(name))));
    if let Some(wish) = &answers.new {
        words.extend(wish.installer.as_ref().map(|path| format!("--iso={}", shell_word(path))));
        let disk = match &wish.disk {
            DiskWish::Path(path) => shell_word(path).into_owned(),
            DiskWish::New(bytes) => show_size(*bytes),
        };
        words.push(format!("--disk={disk}"));
        words.push(format!("--guest-os={}", shell_word(&wish.os)));
        words.extend(wish.virtio_win.as_ref().map(|path| format!("--virtio-win={}", shell_word(path))));
    }
    words.push(format!("--gpu={}", answers.card.at()));
    words.push(format!("--when={}", if answers.when == When::Boot { "boot" } else { "guest" }));
    if answers.guest.is_some() {
        words.push(match answers.input {
            InputWay::Evdev => "--input=evdev".to_owned(),
            InputWay::Usb(address) => format!("--input=usb:{address}"),
            InputWay::Leave => "--input=none".to_owned(),
        });
        let audio = match answers.audio {
            AudioWay::Card => "card",
            AudioWay::Pipewire => "pipewire",
            AudioWay::Pulseaudio => "pulse",
            AudioWay::Leave => "none",
        };
        words.push(format!("--audio={audio}"));
        words.extend(answers.looking_glass.map(|of| format!("--looking-glass={}x{}", of.width, of.height)));
        words.extend(answers.hide.map(|hide| format!("--hide-vm={}", if hide { "yes" } else { "no" })));
        words.extend(answers.memory.as_ref().map(|size| format!("--memory={size}")));
    }
    let way = match answers.way_back {
        WayBack { ssh: true, entry: true } => Some("both"),
        WayBack { ssh: true, entry: false } => Some("ssh"),
        WayBack { ssh: false, entry: true } => Some("entry"),
        WayBack { ssh: false, entry: false } => answers.dark.then_some("none"),
    };
    words.extend(way.map(|way| format!("--way-back={way}")));
    words.push("--yes".to_owned());
    words
}

/// A command in lines that a shell reads as one.
pub fn command_lines(words: &[String], width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in words {
        let last = lines.len() - 1;
        let line = &mut lines[last];
        // Two blanks stand before it, and what goes on needs two characters more.
        if !line.is_empty() && line.len() + word.len() + 7 > width {
            line.push_str(" \\");
            lines.push(format!("    {word}"));
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}
