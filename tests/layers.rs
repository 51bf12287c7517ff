// SPDX-License-Identifier: LGPL-2.1-or-later
//! The layers keep to what they are for (docs/ARCHITECTURE.md): imports go down only and in no circle, `plan` does no I/O,
//! `host` and `config` write nothing, and a verb that only looks leaves no trace.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::hosts;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const VFIO: &str = env!("CARGO_BIN_EXE_vfio");
const VFIO_UDEV: &str = env!("CARGO_BIN_EXE_vfio-udev");
const VFIO_GENERATOR: &str = env!("CARGO_BIN_EXE_vfio-generator");

/// What each module at the top of `src` may import of the others.
const MAY_IMPORT: [(&str, &[&str]); 16] = [
    ("trace", &[]),
    ("root", &["trace"]),
    ("pci", &[]),
    ("text", &[]),
    ("nearest", &[]),
    ("aside", &[]),
    ("posix_acl", &[]),
    ("finding", &[]),
    ("logger", &["text"]),
    ("config", &["finding", "nearest", "pci", "posix_acl", "root", "text"]),
    ("host", &["aside", "config", "pci", "root", "text"]),
    ("recording", &["host", "pci", "root", "trace"]),
    // Pure: not even the root.
    ("plan", &["config", "finding", "host", "pci", "text"]),
    ("journal", &["host", "pci", "plan", "root"]),
    ("survey", &["config", "finding", "host", "journal", "pci", "plan", "root"]),
    (
        "act",
        &[
            "aside",
            "config",
            "host",
            "journal",
            "pci",
            "plan",
            "posix_acl",
            "recording",
            "root",
            "survey",
            "text",
            "trace",
        ],
    ),
];

/// What opens or makes something to write it.
const WRITES: [&str; 9] = [
    "OpenOptions",
    "File::options",
    "fs::write",
    "WRONLY",
    "RDWR",
    "OFlags::CREATE",
    "write_all",
    "remove_file",
    "create_dir",
];

/// What no layer but `act` may name of the standard library and of crates, besides [`WRITES`].
const MAY_NOT_NAME: [(&str, &[&str]); 3] = [
    (
        "plan",
        &[
            "std::fs",
            "std::process",
            "std::time",
            "std::env",
            "std::net::Tcp",
            "std::thread",
            "std::io",
            "rustix",
            "log",
        ],
    ),
    ("host", &["std::process::Command"]),
    ("config", &["std::process"]),
];

type Module = Vec<String>;

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Rust sources below a directory; files of tests alone are left out.
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

/// The lines of a source that the compiler sees in a program: without test modules and without comments.
fn code(source: &str) -> String {
    let end = source.match_indices("#[cfg(test)]\n").find(|(at, mark)| {
        let mut item = source[at + mark.len()..].lines().skip_while(|line| line.starts_with("#["));
        item.next().is_some_and(|line| line.starts_with("mod "))
    });
    let source = &source[..end.map_or(source.len(), |(at, _)| at)];
    let line = |line: &str| {
        if line.trim_start().starts_with("//") {
            String::new()
        } else {
            line.split(" // ").next().unwrap_or_default().to_owned()
        }
    };
    source.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// The paths that a `use` means, with all braces opened.
fn opened(tree: &str, before: &[String], found: &mut Vec<Module>) {
    let tree = tree.trim();
    let segments =
        |text: &str| text.split("::").map(|s| s.trim().to_owned()).filter(|s| !s.is_empty()).collect::<Vec<_>>();
    let Some(brace) = tree.find('{') else {
        let path = tree.split(" as ").next().unwrap_or_default();
        found.push([before, &segments(path)].concat());
        return;
    };
    let before = [before, &segments(&tree[..brace])].concat();
    let inner = &tree[brace + 1..tree.rfind('}').unwrap()];
    let (mut depth, mut start) = (0, 0);
    for (at, c) in inner.char_indices().chain([(inner.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                if !inner[start..at].trim().is_empty() {
                    opened(&inner[start..at], &before, found);
                }
                start = at + 1;
            }
            _ => {}
        }
    }
}

/// Paths that begin with `crate`, `super` or `self`, in `use` and elsewhere.
fn paths(code: &str) -> Vec<Module> {
    let (mut found, mut rest) = (Vec::new(), String::new());
    let mut statements = code.split_inclusive(';');
    for statement in &mut statements {
        let at = statement.match_indices("use ").map(|(at, _)| at).find(|at| {
            let line = statement[..*at].rsplit('\n').next().unwrap_or_default().trim();
            line.is_empty() || line.starts_with("pub")
        });
        match at {
            Some(at) => {
                rest.push_str(&statement[..at]);
                let tree = statement[at + 4..].trim_end_matches(';');
                // Re-exports of a folder's own modules are its face, not an import.
                if ["crate", "super", "self"].iter().any(|head| tree.trim_start().starts_with(head)) {
                    opened(tree, &[], &mut found);
                }
            }
            None => rest.push_str(statement),
        }
    }
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    for word in rest.split(|c: char| !is_part(c)) {
        if ["crate::", "super::", "self::"].iter().any(|head| word.starts_with(head)) {
            found.push(word.split("::").filter(|s| !s.is_empty()).map(str::to_owned).collect());
        }
    }
    found
}

/// The modules of `src`, each with the modules that it imports.
fn graph() -> BTreeMap<Module, BTreeSet<Module>> {
    let src = package().join("src");
    let module = |path: &Path| {
        let path = path.strip_prefix(&src).unwrap().with_extension("");
        let mut parts: Module = path.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
        if parts.last().is_some_and(|last| last == "mod") {
            parts.pop();
        }
        parts
    };
    let files: BTreeMap<Module, String> = sources(&src)
        .into_iter()
        .map(|path| (module(&path), code(&fs::read_to_string(&path).unwrap())))
        .filter(|(module, _)| *module != ["lib"])
        .collect();
    assert!(files.len() > 100, "{}", files.len());
    let imported = |of: &Module, path: &Module| {
        let mut base = of.clone();
        let mut rest = path.as_slice();
        if rest.first().is_some_and(|head| head == "crate") {
            (base, rest) = (Vec::new(), &rest[1..]);
        }
        while let Some(head @ ("super" | "self")) = rest.first().map(String::as_str) {
            if head == "super" {
                base.pop();
            }
            rest = &rest[1..];
        }
        let whole = [base, rest.to_vec()].concat();
        (1..=whole.len()).rev().map(|n| whole[..n].to_vec()).find(|module| files.contains_key(module))
    };
    let of = |(module, code): (&Module, &String)| {
        let all = paths(code).into_iter().filter_map(|path| imported(module, &path)).filter(|other| other != module);
        (module.clone(), all.collect())
    };
    files.iter().map(of).collect()
}

#[test]
fn imports_go_down_only() {
    let allowed: BTreeMap<&str, &[&str]> = MAY_IMPORT.into_iter().collect();
    let mut wrong = Vec::new();
    for (module, imports) in graph() {
        let layer = module[0].as_str();
        let may = allowed.get(layer).unwrap_or_else(|| panic!("src/{layer} is not among the layers"));
        for other in imports.iter().filter(|other| other[0] != layer && !may.contains(&other[0].as_str())) {
            wrong.push(format!("{} imports {}", module.join("::"), other.join("::")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_module_imports_itself_by_way_of_others() {
    let graph = graph();
    for start in graph.keys() {
        let (mut todo, mut from) = (vec![start.clone()], BTreeMap::<Module, Module>::new());
        while let Some(module) = todo.pop() {
            for other in &graph[&module] {
                if other == start {
                    let mut way = vec![start.join("::"), module.join("::")];
                    let mut at = module.clone();
                    while let Some(before) = from.get(&at) {
                        way.push(before.join("::"));
                        at = before.clone();
                    }
                    panic!("a circle of imports: {}", way.join(" <- "));
                }
                if !from.contains_key(other) {
                    from.insert(other.clone(), module.clone());
                    todo.push(other.clone());
                }
            }
        }
    }
}

/// What a layer names that has no place there.
fn offences(layer: &str, code: &str) -> Vec<&'static str> {
    let (_, words) = MAY_NOT_NAME.iter().find(|(name, _)| *name == layer).unwrap();
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let names = |word: &str| {
        code.match_indices(word).any(|(at, _)| {
            !code[..at].ends_with(is_part) && (word.ends_with("Tcp") || !code[at + word.len()..].starts_with(is_part))
        })
    };
    words.iter().copied().chain(WRITES).filter(|word| names(word)).collect()
}

#[test]
fn plan_does_no_io_and_readers_write_nothing() {
    for (layer, _) in MAY_NOT_NAME {
        for path in sources(&package().join("src").join(layer)) {
            let found = offences(layer, &code(&fs::read_to_string(&path).unwrap()));
            assert!(found.is_empty(), "{}: {found:?} has no place in src/{layer}", path.display());
        }
    }
}

#[test]
fn the_checks_find_what_is_planted() {
    let found = |text: &str| {
        let mut all = paths(&code(text));
        all.sort();
        all.into_iter().map(|path| path.join("::")).collect::<Vec<_>>()
    };
    assert_eq!(
        found("use crate::a::{self, b::{C, d}};\npub(super) use super::e;\nuse std::fs;\nfn f() { crate::g::h(); } // crate::no"),
        ["crate::a::b::C", "crate::a::b::d", "crate::a::self", "crate::g::h", "super::e"]
    );
    assert_eq!(found("/// crate::a\nfn f() {}\n#[cfg(test)]\nmod tests { use crate::b; }"), [""; 0]);
    for (layer, text) in [
        ("plan", "use std::fs;"),
        ("plan", "fn f() { std::env::var(\"X\"); }"),
        ("plan", "use rustix::fs::openat;"),
        ("plan", "fn f() { log::warn!(\"x\"); }"),
        ("host", "fn f() { std::fs::write(p, \"x\"); }"),
        ("host", "fn f() { file\n        .write_all(b\"x\"); }"),
        ("config", "fn f() { File::options().write(true); }"),
    ] {
        assert!(!offences(layer, &code(text)).is_empty(), "not found: {text}");
    }
    for (layer, text) in [("plan", "fn f() { dialog::x(); catalog::y(); }"), ("plan", "// std::fs\nfn f() {}")] {
        assert_eq!(offences(layer, &code(text)), [""; 0], "{text}");
    }
}

/// The simulated machine is not part of what is installed.
#[test]
fn the_installed_program_has_no_simulator() {
    let program = fs::read(VFIO).unwrap();
    let sim = fs::read(env!("CARGO_BIN_EXE_vfio-sim")).unwrap();
    let has = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    for text in [".kernel/parked", ".kernel/dynids", "the simulator does not know"] {
        assert!(has(&sim, text), "vfio-sim has no {text:?}: this test looks for something else");
        assert!(!has(&program, text), "vfio has {text:?}");
    }
}

/// Everything is printed by the ways that escape what does not show: the logger, and `vfio`'s own output.
#[test]
fn nothing_is_printed_past_what_escapes_it() {
    const WORDS: [&str; 7] = ["print!", "println!", "eprint!", "eprintln!", "dbg!", "stdout", "stderr"];
    // Its answer for udev is checked, kernel-install's and clap's are escaped where they stand.
    const MAY: [(&str, &str); 8] = [
        // Paths of the configuration, for the hooks of images.
        ("units/vfio-bind.rs", "stdout"),
        ("src/logger/mod.rs", "stderr"),
        ("src/logger/boot.rs", "stderr"),
        ("cli/output.rs", "stdout"),
        ("cli/main.rs", "stdout"),
        ("cli/report/mod.rs", "stderr"),
        ("udev/vfio-udev.rs", "stdout"),
        ("kernel-install/95-vfio.rs", "stdout"),
    ];
    // Of children: what a pipe of theirs is.
    const CHILDREN: [&str; 4] = ["src/act/", "src/aside.rs", "src/host/initramfs/", "units/vfio-guest.rs"];
    let mut found = Vec::new();
    for directory in ["src", "cli", "units", "udev", "generators", "libvirt", "kernel-install"] {
        for path in sources(&package().join(directory)) {
            let source = fs::read_to_string(&path).unwrap();
            let name = path.strip_prefix(package()).unwrap().to_str().unwrap();
            for (number, line) in code(&source).lines().enumerate() {
                let words = line.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '!'));
                for word in words.filter(|word| WORDS.contains(word)) {
                    let pipe = matches!(word, "stdout" | "stderr") && CHILDREN.iter().any(|of| name.starts_with(of));
                    if !pipe && !MAY.contains(&(name, word)) {
                        found.push(format!("{name}:{}: '{word}'", number + 1));
                    }
                }
            }
            // What systemd is told is one line.
            for (at, _) in source.match_indices("NotifyState::Status(") {
                let told = &source[at + "NotifyState::Status(".len()..];
                assert!(told.starts_with('"') || told.starts_with("logger::state_line("), "{name}: {}", &told[..40]);
            }
        }
    }
    assert!(found.is_empty(), "{}\nuse logger::complain, log, or Output", found.join("\n"));
}

/// A verb that only looks changes nothing: no content, no time of any file, nothing in /run/vfio either.
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
