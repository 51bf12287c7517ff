// SPDX-License-Identifier: LGPL-2.1-or-later
//! The codes of messages: each is explained once, in `src/finding/codes/`; docs/MESSAGES.md is made from that
//! (`UPDATE_GOLDEN=1 cargo test --test messages` writes it), and each is produced by some test.
//!
//! A program can print no other code: `Code` can be made only there.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use vfio_suite::finding::codes;

const VFIO: &str = env!("CARGO_BIN_EXE_vfio");

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn document() -> String {
    let mut text = "# Messages\n\n\
        What `vfio` and its units say of the configuration, of cards, of guests and of how the machine boots ends with a code in\n\
        brackets. `vfio explain CODE` prints what stands here; with `--json` a message has `code` and `hint`. A code keeps its\n\
        meaning in every version. (Made from `src/finding/codes/`; `UPDATE_GOLDEN=1 cargo test --test messages` writes it.)\n"
        .to_owned();
    for (title, codes) in codes::ALL {
        writeln!(text, "\n## {title}\n\n| code | what it means | what to do |\n|---|---|---|").unwrap();
        let mut codes: Vec<_> = codes.iter().collect();
        codes.sort_by_key(|of| of.code);
        for of in codes {
            writeln!(text, "| `{}` | {} | {} |", of.code, of.means, of.todo).unwrap();
        }
    }
    text
}

#[test]
fn the_document_has_every_code() {
    let path = package().join("docs/MESSAGES.md");
    let text = document();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &text).unwrap();
    }
    assert_eq!(fs::read_to_string(path).unwrap_or_default(), text, "UPDATE_GOLDEN=1 writes it");
}

#[test]
fn codes_are_plain_and_explained() {
    let mut seen = BTreeSet::new();
    for of in codes::all() {
        let code = of.code.name();
        assert!(seen.insert(code), "{code} is there twice");
        assert!(
            code.split('-')
                .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())),
            "{code}"
        );
        for text in [of.means, of.todo] {
            assert!(text.ends_with('.') && text.len() > 6 && !text.contains(['|', '\n']), "{code}: {text}");
        }
    }
}

/// All files below a directory.
fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// Nothing can produce it: `vfio` says so where it contradicts itself.
const NEVER: &str = "internal";

/// What tests print and expect: golden files, and the code of tests.
fn of_tests() -> String {
    let (mut paths, mut text) = (Vec::new(), String::new());
    ["tests", "src", "cli"].iter().for_each(|directory| files(&package().join(directory), &mut paths));
    for path in paths {
        if path.ends_with("tests/messages.rs") {
            continue;
        }
        let Ok(content) = fs::read_to_string(&path) else { continue };
        let name = path.strip_prefix(package()).unwrap().to_str().unwrap();
        let is_test = name.starts_with("tests/") || name.ends_with("tests.rs");
        let from = if is_test {
            Some(0)
        } else {
            content
                .find("#[cfg(test)]\nmod tests")
                .or(content.find("#[cfg(test)]\n#[allow(clippy::unwrap_used)]\nmod tests"))
        };
        text.push_str(from.map_or("", |from| &content[from..]));
        text.push('\n');
    }
    text
}

#[test]
fn every_code_is_produced_by_some_test() {
    let text = of_tests();
    let known = |code: &str| {
        let constant = code.replace('-', "_").to_uppercase();
        [format!("[{code}]"), format!("\"code\":\"{code}\""), format!("codes::{constant}"), format!("logs::{constant}")]
            .iter()
            .any(|form| text.contains(form))
    };
    let all = codes::all().map(|of| of.code.name());
    let missing: Vec<&str> = all.filter(|code| *code != NEVER && !known(code)).collect();
    assert!(missing.is_empty(), "no test produces {missing:?}");
}

#[test]
fn a_code_is_explained() {
    let tree = common::Machine::new().build();
    let ran = tree.run(VFIO, &["explain", "[card-absent]"]);
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.starts_with("card-absent\n") && ran.stdout.contains("To do: "), "{}", ran.stdout);
    let ran = tree.run(VFIO, &["explain", "card-abesnt"]);
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(64), ""));
    assert!(ran.stderr.contains("did you mean 'card-absent'?"), "{}", ran.stderr);
    let all = tree.run(VFIO, &["explain"]).stdout;
    for of in codes::all() {
        assert!(all.contains(of.means) && all.contains(of.todo), "{}", of.code);
    }
}

/// As bootctl(1) does.
#[test]
fn without_a_verb_the_status_is_shown() {
    let tree = common::Machine::new().build();
    let (alone, status) = (tree.run(VFIO, &[]), tree.run(VFIO, &["status"]));
    assert_eq!((alone.status, &alone.stdout), (status.status, &status.stdout));
    assert!(!alone.stdout.is_empty());
}
