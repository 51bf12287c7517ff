// SPDX-License-Identifier: LGPL-2.1-or-later
//! The floors keep to what they are for (docs/ARCHITECTURE.md): `plan` is pure, `host` writes nothing, and whoever only
//! looks leaves no trace.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::hosts;
use std::fs;
use std::path::{Path, PathBuf};

const VFIO: &str = env!("CARGO_BIN_EXE_vfio");
const VFIO_UDEV: &str = env!("CARGO_BIN_EXE_vfio-udev");
const VFIO_GENERATOR: &str = env!("CARGO_BIN_EXE_vfio-generator");

/// What has no place on a floor: the words, and why.
struct Rule {
    floor: &'static str,
    words: &'static [&'static str],
}

const RULES: [Rule; 3] = [
    // No file, no clock, no process, no environment; the host comes as data, so not even the root.
    Rule {
        floor: "src/plan",
        words: &[
            "fs",
            "process",
            "time",
            "env",
            "net",
            "thread",
            "rustix",
            "root",
            "Root",
            "act",
            "logger",
            "log",
            "println!",
            "eprintln!",
            "stdout",
            "stderr",
            "stdin",
            "unsafe",
        ],
    },
    // Reads, and nothing else: no call that makes, changes or removes, no process.
    Rule {
        floor: "src/host",
        words: &[
            "OpenOptions",
            "options",
            "create",
            "create_new",
            "create_dir",
            "create_dir_all",
            "write",
            "write_all",
            "append",
            "truncate",
            "set_len",
            "remove_file",
            "remove_dir",
            "remove_dir_all",
            "rename",
            "copy",
            "symlink",
            "hard_link",
            "set_permissions",
            "WRONLY",
            "RDWR",
            "CREATE",
            "TRUNC",
            "APPEND",
            "mkdirat",
            "unlinkat",
            "renameat",
            "symlinkat",
            "linkat",
            "fchmod",
            "fchown",
            "ftruncate",
            "Command",
            "act",
            "unsafe",
        ],
    },
    // What the user asked for is read from files; nothing is changed, and the machine is not looked at.
    Rule {
        floor: "src/config",
        words: &[
            "OpenOptions",
            "options",
            "create_dir",
            "create_dir_all",
            "set_len",
            "remove_file",
            "rename",
            "symlink",
            "set_permissions",
            "WRONLY",
            "RDWR",
            "CREATE",
            "TRUNC",
            "APPEND",
            "process",
            "act",
            "unsafe",
        ],
    },
];

/// Source up to its test module, if it has one at its end.
fn without_tests(source: &str) -> &str {
    for (at, mark) in source.match_indices("#[cfg(test)]\n") {
        let mut item = source[at + mark.len()..].lines().skip_while(|line| line.starts_with("#["));
        if item.next().is_some_and(|line| line.starts_with("mod ") && line.contains('{')) {
            return &source[..at];
        }
    }
    source
}

/// The words of Rust source that the compiler sees, each with its line: without comments, strings, and test modules. A
/// macro's name ends in `!`.
fn words(source: &str) -> Vec<(usize, String)> {
    let source = without_tests(source);
    let (mut words, mut word, mut line) = (Vec::new(), String::new(), 1);
    let mut chars = source.chars().peekable();
    while let Some(c) = chars.next() {
        if c.is_alphanumeric() || c == '_' {
            word.push(c);
            continue;
        }
        if !word.is_empty() {
            // `!=` is no macro.
            if c == '!' && chars.peek() != Some(&'=') {
                word.push(c);
            }
            words.push((line, std::mem::take(&mut word)));
        }
        match c {
            '\n' => line += 1,
            '/' if chars.peek() == Some(&'/') => while chars.next_if(|c| *c != '\n').is_some() {},
            '"' => {
                while let Some(c) = chars.next() {
                    match c {
                        '"' => break,
                        '\\' => line += usize::from(chars.next() == Some('\n')),
                        '\n' => line += 1,
                        _ => {}
                    }
                }
            }
            // A character, not a lifetime: '"' and '\'' would open a string.
            '\'' => match chars.next() {
                Some('\\') => {
                    chars.next();
                    chars.next_if_eq(&'\'');
                }
                Some(c) if chars.peek() == Some(&'\'') => {
                    chars.next();
                    line += usize::from(c == '\n');
                }
                Some(c) => word.push(c),
                None => {}
            },
            _ => {}
        }
    }
    words.extend((!word.is_empty()).then_some((line, word)));
    words
}

/// Every offence against a rule in a file's source.
fn offences(rule: &Rule, path: &Path, source: &str) -> Vec<String> {
    let bad = words(source).into_iter().filter(|(_, word)| rule.words.contains(&word.as_str()));
    bad.map(|(line, word)| format!("{}:{line}: '{word}' has no place in {}", path.display(), rule.floor)).collect()
}

/// Rust sources below a directory. Files of tests alone are not part of the floor.
fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
            found.push(path);
        }
    }
    found
}

#[test]
fn every_floor_keeps_to_itself() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for rule in &RULES {
        let sources = sources(&package.join(rule.floor));
        assert!(sources.len() > 2, "{} is empty", rule.floor);
        for path in sources {
            let source = fs::read_to_string(&path).unwrap();
            found.extend(offences(rule, path.strip_prefix(package).unwrap(), &source));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Everything is printed by the ways that escape what does not show: the logger, and `vfio`'s own output.
#[test]
fn nothing_is_printed_past_what_escapes_it() {
    const WORDS: [&str; 7] = ["print!", "println!", "eprint!", "eprintln!", "dbg!", "stdout", "stderr"];
    // Its answer for udev is checked, kernel-install's and clap's are escaped where they stand.
    const MAY: [(&str, &str); 7] = [
        // Paths of the configuration, for the hooks of images.
        ("units/vfio-bind.rs", "stdout"),
        ("src/logger.rs", "stderr"),
        ("cli/output.rs", "stdout"),
        ("cli/main.rs", "stdout"),
        ("cli/report.rs", "stderr"),
        ("udev/vfio-udev.rs", "stdout"),
        ("kernel-install/95-vfio.rs", "stdout"),
    ];
    // Of children: what a pipe of theirs is.
    const CHILDREN: [&str; 4] = ["src/act/", "src/aside.rs", "src/host/initramfs/", "units/vfio-guest.rs"];
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for directory in ["src", "cli", "units", "udev", "generators", "libvirt", "kernel-install"] {
        for path in sources(&package.join(directory)) {
            let source = fs::read_to_string(&path).unwrap();
            let name = path.strip_prefix(package).unwrap().to_str().unwrap();
            for (line, word) in words(&source) {
                let pipe =
                    matches!(word.as_str(), "stdout" | "stderr") && CHILDREN.iter().any(|of| name.starts_with(of));
                if WORDS.contains(&word.as_str()) && !pipe && !MAY.contains(&(name, word.as_str())) {
                    found.push(format!("{name}:{line}: '{word}'"));
                }
            }
            // What systemd is told is one line.
            for (at, _) in source.match_indices("NotifyState::Status(") {
                let told = &source[at + "NotifyState::Status(".len()..];
                assert!(told.starts_with('"') || told.starts_with("&logger::state_line("), "{name}: {}", &told[..40]);
            }
        }
    }
    assert!(found.is_empty(), "{}\nuse logger::complain, log, or Output", found.join("\n"));
}

/// The scan finds what it should, and only that.
#[test]
fn the_scan_finds_planted_offences() {
    let path = Path::new("planted.rs");
    let [plan, host, _] = &RULES;
    for (rule, source) in [
        (plan, "fn f() { std::fs::read(\"x\"); }"),
        (plan, "use std::{collections::BTreeMap, time::Instant};"),
        (plan, "use crate::root::Root;"),
        (plan, "fn f() { std::env::var(\"X\"); }"),
        (plan, "use std::process;"),
        (plan, "fn f() { rustix::process::getpid(); }"),
        (plan, "fn f() {\n    let c = '\"';\n    std::fs::read(\"x\");\n}"),
        (plan, "fn f<'a>(x: &'a str) { let y = '\\''; std::fs::read(x); }"),
        (plan, "/* in a comment of the other kind it is found too: std::fs */"),
        (host, "fn f() { std::fs::write(p, \"x\"); }"),
        (host, "fn f() { File::options().read(true).open(p); }"),
        (host, "fn f() { OFlags::WRONLY; }"),
        (host, "fn f() { file\n        .write_all(b\"x\"); }"),
        (host, "use std::process::Command;"),
        (host, "#[cfg(test)]\nmod tests;\nfn f() { std::fs::remove_file(p); }"),
        (plan, "fn f() { println!(); }"),
    ] {
        assert!(!offences(rule, path, source).is_empty(), "not found: {source}");
    }
    for (rule, source) in [
        (plan, "//! The fs and the time.\n/// std::fs\nfn f() { let filesystem = \"std::fs \\\" env\"; } // rustix"),
        (plan, "fn f() {}\n#[cfg(test)]\nmod tests { use std::fs; }"),
        (host, "fn f() -> &'static str { \"write create\" }"),
        (host, "fn f() { write!(text, \"x\"); }"),
    ] {
        assert_eq!(offences(rule, path, source), [""; 0], "{source}");
    }
    let line = offences(plan, path, "//! Text\n\nfn f() {\n    \"a\n    b\";\n    std::fs::read(p)\n}");
    assert_eq!(line, ["planted.rs:6: 'fs' has no place in src/plan"]);
}

/// Whoever only looks changes nothing: no content, no time of any file, nothing in /run/vfio either.
#[test]
fn looking_leaves_no_trace() {
    for (name, machine) in hosts::all_layouts() {
        let tree = machine.build();
        tree.config("[gpu big]\ndevice = not-boot-display\n\n[gpu odd]\ndevice = 0000:99:00.0\nnonsense = 1\n");
        let (before, times) = (tree.snapshot(), tree.times());
        for verb in ["check", "groups", "plan", "status", "doctor", "report"] {
            for json in [&[][..], &["--json"]] {
                let arguments: Vec<&str> = [verb].iter().chain(json).copied().collect();
                let ran = tree.run(VFIO, &arguments);
                assert!(ran.status.is_some_and(|code| code <= 2), "{name}: {arguments:?}: {}", ran.stderr);
                assert!(!ran.stdout.is_empty(), "{name}: {arguments:?} says nothing");
            }
        }
        for address in tree.functions() {
            let ran = tree.run(VFIO_UDEV, &[&address]);
            assert_eq!(ran.status, Some(0), "{name}: {}", ran.stderr);
        }
        let units = tempfile::tempdir().unwrap();
        let ran = tree.run(VFIO_GENERATOR, &[units.path().to_str().unwrap()]);
        assert_eq!(ran.status, Some(0), "{name}: {}", ran.stderr);
        tree.assert_same(&before, name);
        assert!(tree.times() == times, "{name}: a file was touched");
    }
}
