// SPDX-License-Identifier: LGPL-2.1-or-later
//! Boot files as distributions and people write them: `tests/golden/cmdline/GRAMMAR/CASE/in` is a file, `words` what its
//! command lines are, `out` what it is with our words. `adopted` is there where an apply that adopts makes another text,
//! `problem` where the file is refused, `tools` where a tool makes the change. `UPDATE_GOLDEN=1 cargo test --test
//! cmdline_golden` writes what is found; read the difference then.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::boot::{after, applied, cases, planned, PATH};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use vfio_suite::host::boot::Format;
use vfio_suite::plan::cmdline::format::lines;
use vfio_suite::plan::cmdline::record::Record;

/// What is wanted in every case.
fn desired() -> Vec<String> {
    ["intel_iommu=on", "iommu=pt", "vfio_pci.note=\"a b\""].map(str::to_owned).to_vec()
}

/// The command lines of a file: key, number of the line, words.
fn shown(format: Format, text: &str) -> Option<String> {
    let mut out = String::new();
    for line in lines(format, text).ok()? {
        writeln!(out, "[{}] line {}", line.key, line.number).unwrap();
        for word in line.parameters {
            writeln!(out, "  {word}").unwrap();
        }
    }
    Some(out)
}

/// Everything that a case says.
fn found(format: Format, text: &str) -> BTreeMap<&'static str, String> {
    let mut found = BTreeMap::new();
    found.extend(shown(format, text).map(|words| ("words", words)));
    let words = desired();
    let new = match applied(format, text, &words) {
        Ok(new) => new,
        Err(problem) => {
            found.insert("problem", format!("{}\n", problem.replace(PATH, "in")));
            return found;
        }
    };
    let plan = planned(format, text, &words, &Record::default(), false);
    if !plan.tools.is_empty() {
        let runs: Vec<String> = plan.tools.iter().map(|run| run.command.join(" ")).collect();
        found.insert("tools", format!("{}\n", runs.join("\n")));
    }
    let adopting = planned(format, text, &words, &Record::default(), true);
    let adopted = after(&adopting, text).unwrap_or_else(|problem| format!("! {}\n", problem.replace(PATH, "in")));
    if adopted != new {
        found.insert("adopted", adopted);
    }
    if new != text {
        found.insert("out", new);
    }
    found
}

#[test]
fn files_become_what_they_became() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let (cases, mut differing) = (cases(), Vec::new());
    assert!(cases.len() >= 45, "cases are missing");
    for (format, name, path) in cases {
        let found = found(format, &fs::read_to_string(path.join("in")).unwrap());
        for part in ["words", "out", "adopted", "problem", "tools"] {
            let file = path.join(part);
            match found.get(part) {
                Some(text) if update => fs::write(&file, text).unwrap(),
                None if update => drop(fs::remove_file(&file)),
                text => {
                    let expected = fs::read_to_string(&file).ok();
                    if expected.as_ref() != text {
                        differing.push(format!("{name}/{part} should say:\n{}", text.map_or("(nothing)", |t| t)));
                    }
                }
            }
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

/// A file that is cut off anywhere is read or refused, and what is read can be changed and changed back.
#[test]
fn every_prefix_of_a_file_is_read_or_refused() {
    let words = desired();
    for (format, _, path) in cases() {
        let text = fs::read_to_string(path.join("in")).unwrap();
        for end in (0..=text.len()).filter(|end| text.is_char_boundary(*end)) {
            if let Err(problem) = applied(format, &text[..end], &words) {
                assert!(!problem.is_empty() && !problem.contains('\n'), "{problem}");
            }
        }
    }
}
