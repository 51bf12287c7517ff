// SPDX-License-Identifier: LGPL-2.1-or-later
//! What the system's programs answered, as files of a recording.

use super::{Node, Nodes, ANSWERS};
use crate::trace::{Answer, Outcome};
use std::collections::BTreeMap;

/// Answers as files.
pub fn files(answers: &BTreeMap<Vec<String>, Answer>) -> Nodes {
    let file = |(number, (words, answer)): (usize, (&Vec<String>, &Answer))| {
        let outcome = match &answer.outcome {
            Outcome::Done => "done".to_owned(),
            Outcome::Failed(line) => format!("failed {}", one_line(line)),
            Outcome::Errno(errno) => format!("errno {errno}"),
            Outcome::Silent => "silent".to_owned(),
        };
        let words: String = words.iter().map(|word| format!("{}\n", one_line(word))).collect();
        let content = format!("{words}\n{outcome}\n{}", answer.printed).into_bytes();
        (format!("{ANSWERS}/{number:04}"), Node::File(0o644, content))
    };
    answers.iter().enumerate().map(file).collect()
}

fn one_line(text: &str) -> String {
    text.replace('\n', " ")
}

/// An answer that [`files`] has written: the question, and the answer. `None` for what is none.
pub fn parse(text: &str) -> Option<(Vec<String>, Answer)> {
    let (words, rest) = text.split_once("\n\n")?;
    let (outcome, printed) = rest.split_once('\n')?;
    let outcome = match outcome.split_once(' ').unwrap_or((outcome, "")) {
        ("done", _) => Outcome::Done,
        ("failed", line) => Outcome::Failed(line.to_owned()),
        ("errno", number) => Outcome::Errno(number.parse().ok()?),
        ("silent", _) => Outcome::Silent,
        _ => return None,
    };
    Some((words.lines().map(str::to_owned).collect(), Answer { outcome, printed: printed.to_owned() }))
}
