// SPDX-License-Identifier: LGPL-2.1-or-later
use super::*;
use crate::act::backend::tools::{failed, Signal, ToolError};
use crate::host::boot::LoaderKind;
use crate::host::process::Process;
use crate::plan::cmdline::record::Owned;
use std::fs;
use std::path::Path;
use std::sync::Mutex;

/// Programs that are only noted down; the one with this word in it fails.
#[derive(Debug, Default)]
struct Noted {
    ran: Mutex<Vec<String>>,
    fails: &'static str,
}

impl Tools for Noted {
    fn run(&self, words: &[&str], _: Duration) -> Result<String, ToolError> {
        self.ran.lock().unwrap().push(words.join(" "));
        if !self.fails.is_empty() && words.iter().any(|word| word.contains(self.fails)) {
            Err(failed(words[0], "it does not work"))
        } else {
            Ok(String::new())
        }
    }

    fn signal(&self, _: &Process, _: Signal) -> Result<(), ToolError> {
        Err(io::Error::from(io::ErrorKind::Unsupported).into())
    }
}

fn change(path: &str, old: Option<&str>, new: Option<&str>) -> FileChange {
    FileChange {
        loader: LoaderKind::GrubFile,
        path: path.to_owned(),
        format: Format::Plain,
        old: old.map(str::to_owned),
        new: new.map(str::to_owned),
        adds: vec!["iommu=pt".to_owned()],
        removes: Vec::new(),
        builder: Vec::new(),
    }
}

fn ours(paths: &[&str]) -> Record {
    let owned = || vec![Owned { key: String::new(), parameters: vec!["iommu=pt".to_owned()], before: None }];
    Record { boot_files: paths.iter().map(|path| ((*path).to_owned(), owned())).collect(), ..Record::default() }
}

/// Two boot files, a plan that changes both, makes a third, and runs a program.
fn case() -> (tempfile::TempDir, CmdlinePlan) {
    let tree = tempfile::tempdir().unwrap();
    for (path, text) in [("boot/a", "a\n"), ("boot/b", "b\n")] {
        fs::create_dir_all(tree.path().join("boot")).unwrap();
        fs::write(tree.path().join(path), text).unwrap();
    }
    let run = |words: &str| ToolRun {
        loader: LoaderKind::GrubFile,
        command: words.split(' ').map(str::to_owned).collect(),
        undo: Vec::new(),
    };
    let plan = CmdlinePlan {
        changes: vec![
            change("boot/a", Some("a\n"), Some("a iommu=pt\n")),
            change("etc/new.d/deep/vfio.conf", None, Some("iommu=pt\n")),
            change("boot/b", Some("b\n"), Some("b iommu=pt\n")),
        ],
        tools: vec![run("make first"), run("make second")],
        record: ours(&["boot/a", "boot/b", "etc/new.d/deep/vfio.conf"]),
        required: vec!["iommu=pt".to_owned()],
        ..CmdlinePlan::default()
    };
    (tree, plan)
}

/// Everything in a tree but what says who is at work.
fn all(tree: &Path) -> Vec<(String, String)> {
    fn walk(at: &Path, below: &str, found: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(at).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{below}/{}", entry.file_name().into_string().unwrap());
            if entry.path().is_dir() {
                found.push((name.clone(), "directory".to_owned()));
                walk(&entry.path(), &name, found);
            } else {
                found.push((name, fs::read_to_string(entry.path()).unwrap()));
            }
        }
    }
    let mut found = Vec::new();
    walk(tree, "", &mut found);
    found.retain(|(name, _)| {
        !name.starts_with("/run") && !matches!(name.as_str(), "/var" | "/var/lib" | "/var/lib/vfio")
    });
    found.sort();
    found
}

fn apply_to(tree: &Path, tools: &Noted, plan: &CmdlinePlan) -> Result<(), String> {
    apply(&Root::open(tree).unwrap(), tools, plan, &mut |_| {}).map(drop).map_err(|error| error.to_string())
}

#[test]
fn all_of_a_plan_is_done_and_its_record_kept() {
    let (tree, plan) = case();
    let before = all(tree.path());
    let tools = Noted::default();
    apply_to(tree.path(), &tools, &plan).unwrap();
    assert_eq!(*tools.ran.lock().unwrap(), ["make first", "make second"]);
    assert_eq!(fs::read_to_string(tree.path().join("boot/a")).unwrap(), "a iommu=pt\n");
    let root = Root::open(tree.path()).unwrap();
    let record = load_record(&root).unwrap();
    assert_eq!(record.boot_files, plan.record.boot_files);
    assert_eq!(record.directories, ["etc", "etc/new.d", "etc/new.d/deep"]);
    // And back: nothing of it is left, made directories included.
    let back = CmdlinePlan {
        changes: vec![
            change("boot/b", Some("b iommu=pt\n"), Some("b\n")),
            change("etc/new.d/deep/vfio.conf", Some("iommu=pt\n"), None),
            change("boot/a", Some("a iommu=pt\n"), Some("a\n")),
        ],
        record: Record { boot_files: Default::default(), ..record },
        ..CmdlinePlan::default()
    };
    apply_to(tree.path(), &tools, &back).unwrap();
    assert_eq!(all(tree.path()), before);
}

#[test]
fn what_fails_at_any_point_leaves_everything_as_it_was() {
    // A program fails.
    for fails in ["first", "second"] {
        let (tree, plan) = case();
        let before = all(tree.path());
        let tools = Noted { fails, ..Noted::default() };
        let error = apply_to(tree.path(), &tools, &plan).unwrap_err();
        assert!(error.contains("it does not work"), "{error}");
        assert_eq!(all(tree.path()), before, "{fails}");
    }
    // A file cannot be written: a directory has its place, or its directory is a file.
    for (at, blocked) in [(0, "boot/a"), (1, "etc/new.d"), (2, "boot/b")] {
        let (tree, mut plan) = case();
        let path = tree.path().join(blocked);
        match at {
            1 => {
                fs::create_dir(tree.path().join("etc")).unwrap();
                fs::write(&path, "").unwrap();
            }
            _ => {
                // It cannot be replaced: all names for its temporary file are directories'.
                let name = format!("boot/.{}.vfio-new", blocked.rsplit_once('/').unwrap().1);
                fs::create_dir(tree.path().join(&name)).unwrap();
                for number in 1..boot_files::LEFTOVERS {
                    fs::create_dir(tree.path().join(format!("{name}{number}"))).unwrap();
                }
            }
        }
        plan.tools.clear();
        let before = all(tree.path());
        let error = apply_to(tree.path(), &Noted::default(), &plan).unwrap_err();
        assert!(error.contains(plan.changes[at].path.as_str()), "{error}");
        assert!(error.lines().count() == 1, "one sentence: {error}");
        assert_eq!(all(tree.path()), before, "{blocked}");
    }
}

#[test]
fn a_file_that_has_changed_since_stops_all_of_it() {
    for changed in ["boot/a", "boot/b", "etc/new.d/deep/vfio.conf"] {
        let (tree, plan) = case();
        fs::create_dir_all(tree.path().join(changed).parent().unwrap()).unwrap();
        fs::write(tree.path().join(changed), "somebody's\n").unwrap();
        let before = all(tree.path());
        let tools = Noted::default();
        let error = apply_to(tree.path(), &tools, &plan).unwrap_err();
        assert!(error.contains(changed) && error.contains("has changed since"), "{error}");
        assert_eq!(all(tree.path()), before);
        assert!(tools.ran.lock().unwrap().is_empty());
    }
}

#[test]
fn an_addon_is_built_beside_and_put_in_its_place_whole() {
    #[derive(Debug)]
    struct Ukify<'t>(&'t Path);
    impl Tools for Ukify<'_> {
        fn run(&self, words: &[&str], _: Duration) -> Result<String, ToolError> {
            assert_eq!(words[..3], ["ukify", "build", "--secureboot-private-key=k"]);
            let value = |key: &str| words.iter().find_map(|word| word.strip_prefix(key)).unwrap();
            assert_eq!(value("--cmdline="), "iommu=pt a=\"b c\"");
            assert!(Path::new(value("--output=")).starts_with(self.0.join("run/vfio")));
            fs::write(value("--output="), b"MZ\xff").unwrap();
            Ok(String::new())
        }

        fn signal(&self, _: &Process, _: Signal) -> Result<(), ToolError> {
            Err(io::Error::from(io::ErrorKind::Unsupported).into())
        }
    }
    let tree = tempfile::tempdir().unwrap();
    let path = "efi/loader/addons/vfio.addon.efi";
    let builder = ["ukify", "build", "--secureboot-private-key=k"].map(str::to_owned).to_vec();
    let new = change(path, None, Some("iommu=pt a=\"b c\"\n"));
    let new = FileChange { format: Format::Addon, builder, ..new };
    let plan = CmdlinePlan { changes: vec![new], record: ours(&[path]), ..CmdlinePlan::default() };
    let root = Root::open(tree.path()).unwrap();
    apply(&root, &Ukify(&tree.path().canonicalize().unwrap()), &plan, &mut |_| {}).unwrap();
    assert_eq!(fs::read(tree.path().join(path)).unwrap(), b"MZ\xff");
    assert!(!root.exists("run/vfio/addon.efi"));
}

#[test]
fn a_record_that_cannot_be_read_is_no_empty_one() {
    let tree = tempfile::tempdir().unwrap();
    let root = Root::open(tree.path()).unwrap();
    assert_eq!(load_record(&root).unwrap(), Record::default());
    fs::create_dir_all(tree.path().join("var/lib/vfio")).unwrap();
    for text in ["", "{", "[]", "{\"version\":2,\"places\":{}}", "\u{0}"] {
        fs::write(tree.path().join("var/lib/vfio/cmdline"), text).unwrap();
        let error = load_record(&root).unwrap_err();
        assert!(matches!(error, BootError::NoRecord { .. } | BootError::NewerRecord { version: 2, .. }), "{error}");
    }
}

/// A record that could not be read again would keep its parameters in the boot files for ever: nothing is changed then.
#[test]
fn a_record_that_is_too_large_is_refused_first() {
    let (tree, mut plan) = case();
    let many = (0..40_000).map(|number| Owned {
        key: format!("an entry of a menu #{number}"),
        parameters: vec!["iommu=pt".to_owned()],
        before: Some(": root=/dev/vda1 ro quiet splash with a command line that is not short".to_owned()),
    });
    plan.record.boot_files.insert("boot/a".to_owned(), many.collect());
    let root = Root::open(tree.path()).unwrap();
    let error = apply(&root, &Noted::default(), &plan, &mut |_| {}).unwrap_err();
    assert!(matches!(error, BootError::LargeRecord { .. }), "{error}");
    assert_eq!(fs::read_to_string(tree.path().join("boot/a")).unwrap(), "a\n");
    assert!(!tree.path().join("var/lib/vfio/cmdline").exists());
}
