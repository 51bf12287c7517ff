// SPDX-License-Identifier: LGPL-2.1-or-later
//! Questions as plain lines: they work over ssh, on a serial line, and in a log.

use crate::output::Output;
use vfio_suite::plan::wizard::facts::Facts;
use vfio_suite::plan::wizard::questions::{self, Question, Refused, Topic};
use vfio_suite::plan::wizard::request::{Asked, Request};
use vfio_suite::plan::wizard::Stop;

/// What a person wants to be done with the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Will {
    Yes,
    No,
    Differences,
    Save,
}

/// Asks all that is open. `None` where the person has had enough.
pub fn questions(out: &Output, facts: &Facts, request: &mut Request) -> anyhow::Result<Result<Option<()>, Stop>> {
    let mut number = 0;
    loop {
        let question = match questions::next(facts, request) {
            Err(stop) => return Ok(Err(stop)),
            Ok(None) => return Ok(Ok(Some(()))),
            Ok(Some(question)) => question,
        };
        number += 1;
        if !ask(out, facts, request, &question, &format!("{number}  "))? {
            return Ok(Ok(None));
        }
        if question.topic == Topic::Glass && matches!(request.looking_glass, Asked::Is(Some(_))) {
            let picture = questions::largest_picture();
            if !ask(out, facts, request, &picture, "   ")? {
                return Ok(Ok(None));
            }
        }
    }
}

/// One question, until it is answered; whether it was.
fn ask(out: &Output, facts: &Facts, request: &mut Request, question: &Question, head: &str) -> anyhow::Result<bool> {
    out.line("")?;
    for (number, line) in question.lines.iter().enumerate() {
        out.line(format_args!("{}{line}", if number == 0 { head } else { "   " }))?;
    }
    for (number, option) in question.options.iter().enumerate() {
        let mut text = out.lines();
        text.row(9, &format!("     {}", number + 1), option, out.width());
        out.text(&text)?;
    }
    let choices = match (question.topic, question.default.as_str()) {
        (Topic::Dark | Topic::Glass | Topic::Make, "y") => "[Y/n]".to_owned(),
        (Topic::Dark | Topic::Glass | Topic::Make, _) => "[y/N]".to_owned(),
        (_, default) => format!("[{default}]"),
    };
    loop {
        let Some(said) = out.prompt(&format!("   {choices} > "))? else { return Ok(false) };
        match questions::take(facts, request, question, &said) {
            Ok(()) => return Ok(true),
            Err(Refused::End) => return Ok(false),
            Err(Refused::Again(why)) => out.line(format_args!("   {why}"))?,
        }
    }
}

/// Whether the plan is to be carried out.
pub fn will(out: &Output) -> anyhow::Result<Will> {
    loop {
        let question = "Do it? [y/N/d/s]  y yes, n no, d differences, s show as a command > ";
        let Some(said) = out.prompt(question)? else { return Ok(Will::No) };
        match said.to_ascii_lowercase().as_str() {
            "y" | "yes" => return Ok(Will::Yes),
            "" | "n" | "no" => return Ok(Will::No),
            "d" => return Ok(Will::Differences),
            "s" => return Ok(Will::Save),
            _ => {}
        }
    }
}
