// SPDX-License-Identifier: LGPL-2.1-or-later
//! The package is upgraded while a guest runs: its programs are replaced as a package manager does it, no unit is stopped
//! (tests/packages/upgrade.sh), and the host gets everything back. Journals of earlier versions are understood.

use super::*;
use serde::de::DeserializeOwned;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::Command;
use vfio_suite::act::guest::GuestRecord;
use vfio_suite::journal;
use vfio_suite::journal::Record;
use vfio_suite::plan::setup;

/// Programs in a folder of their own.
struct Installed {
    folder: tempfile::TempDir,
}

impl Installed {
    fn new() -> Installed {
        let installed = Installed { folder: tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap() };
        installed.upgrade();
        installed
    }

    fn guest(&self) -> PathBuf {
        self.folder.path().join("vfio-guest")
    }

    /// Each program is another file from now on; whoever runs goes on with one that has no name any more.
    fn upgrade(&self) {
        for program in [env!("CARGO_BIN_EXE_vfio-sim"), VFIO_GUEST] {
            let to = self.folder.path().join(Path::new(program).file_name().unwrap());
            let new = to.with_extension("dpkg-new");
            // By another process: a file that we have open for writing while a test beside this one starts a program could
            // not be executed.
            assert!(Command::new("cp").args([Path::new(program), &new]).status().unwrap().success());
            std::fs::rename(&new, &to).unwrap();
        }
    }

    /// A guest that runs, with its supervisor from here.
    #[track_caller]
    fn started(&self, tree: &Tree) -> Running {
        let mut command = tree.command(self.guest().to_str().unwrap());
        command.args(["run", "demo"]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let running = Running { child: Some(command.spawn().unwrap()) };
        until("the guest", || domain::runs(tree, "demo"));
        running
    }

    #[track_caller]
    fn give_back(&self, tree: &Tree) {
        let back = tree.run(self.guest().to_str().unwrap(), &["give-back", "demo"]);
        assert_eq!(back.status, Some(0), "{}", back.stderr);
    }
}

#[test]
fn the_supervisor_goes_on_and_gives_back_when_the_guest_ends() {
    let (tree, installed) = (machine(), Installed::new());
    let before = tree.snapshot();
    let running = installed.started(&tree);
    installed.upgrade();
    assert!(domain::runs(&tree, "demo") && has_card(&tree), "an upgrade takes nothing from a guest");
    guest_ends(&tree, "demo");
    let ran = running.end();
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    tree.assert_same(&before, "the supervisor of the old package");
    // What systemd runs after it is the new package's.
    installed.give_back(&tree);
    assert_nothing_left(&tree, "after the new package's program");
    tree.assert_same(&before, "after the new package's program");
}

#[test]
fn the_new_programs_give_back_what_a_killed_supervisor_of_the_old_ones_had() {
    for guest_has_ended in [true, false] {
        let (tree, installed) = (machine(), Installed::new());
        let before = tree.snapshot();
        // SIGKILL.
        drop(installed.started(&tree));
        installed.upgrade();
        if guest_has_ended {
            guest_ends(&tree, "demo");
        }
        assert!(has_card(&tree));
        installed.give_back(&tree);
        tree.assert_same(&before, "the supervisor of the old package was killed");
        assert_nothing_left(&tree, "the supervisor of the old package was killed");
    }
}

/// A folder for each version whose journals have another form than the one before.
fn versions() -> Vec<PathBuf> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/journals");
    let versions: Vec<PathBuf> = std::fs::read_dir(golden).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!versions.is_empty());
    versions
}

/// What version 0.1.0 wrote for this machine's guest is in place of what we wrote ourselves.
#[test]
fn the_journals_of_every_earlier_version_lead_back() {
    for version in versions() {
        let tree = machine();
        let before = tree.snapshot();
        drop(started(&tree, "demo"));
        for (name, path) in [("guest", "run/vfio/guests/demo/journal"), ("card", "run/vfio/journal/big")] {
            assert!(tree.exists(path), "{path}");
            tree.write(path, &std::fs::read_to_string(version.join(name)).unwrap());
        }
        guest_ends(&tree, "demo");
        let back = give_back(&tree, "demo");
        assert_eq!(back.status, Some(0), "{}: {}", version.display(), back.stderr);
        tree.assert_same(&before, &version.display().to_string());
        assert_nothing_left(&tree, &version.display().to_string());
    }
}

/// Reads a journal, and finds all of it in what was read.
#[track_caller]
fn understood<R: DeserializeOwned + Serialize>(tree: &Tree, file: &Path) {
    let text = std::fs::read_to_string(file).unwrap();
    tree.write("journal", &text);
    let records: Vec<R> =
        journal::read_all(&tree.root(), "journal").unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    // A last line that is not understood would be taken for one that was cut off.
    assert_eq!(records.len(), text.lines().count(), "{}", file.display());
    for (record, line) in records.iter().zip(text.lines()) {
        let was: serde_json::Value = serde_json::from_str(line).unwrap();
        let is = serde_json::to_value(record).unwrap();
        // A field may have been added since; none may be lost.
        let kept = |was: &serde_json::Value, is: &serde_json::Value| {
            was.as_object().unwrap().iter().all(|(key, value)| key == "step" || is.get(key) == Some(value))
        };
        assert!(kept(&was, &is) && kept(&was["step"], &is["step"]), "{}: {line} is read as {is}", file.display());
    }
}

#[test]
fn every_step_that_an_earlier_version_wrote_down_is_understood() {
    let tree = machine();
    for version in versions() {
        for name in ["guest", "every-guest-step"] {
            understood::<GuestRecord>(&tree, &version.join(name));
        }
        for name in ["card", "every-card-step"] {
            understood::<Record>(&tree, &version.join(name));
        }
        understood::<setup::Record>(&tree, &version.join("every-setup-step"));
    }
}
