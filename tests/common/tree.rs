// SPDX-License-Identifier: LGPL-2.1-or-later
//! A machine in a directory of its own.

use super::text::{self, Node, Nodes};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::SystemTime;
use vfio_suite::root::Root;

/// A machine's tree, removed with this value.
#[derive(Debug)]
pub struct Tree {
    dir: tempfile::TempDir,
}

/// How a program ended.
#[derive(Debug)]
pub struct Ran {
    /// Exit status; none if a signal ended it.
    pub status: Option<i32>,
    /// What it wrote.
    pub stdout: String,
    /// What it complained of.
    pub stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        Ran {
            status: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// What our programs keep for themselves, and what the model counts: no part of the machine.
fn ours(path: &str) -> bool {
    let counts = matches!(path, ".kernel/count" | ".kernel/lock" | ".kernel/new" | ".kernel/faults" | ".kernel/ran");
    // That memory was compacted, or caches were dropped, is nothing to undo.
    let counts = counts || matches!(path, ".kernel/compacted" | ".kernel/dropped");
    // A module that was loaded for its resets harms nobody and stays.
    counts || matches!(path, "run/vfio" | "var/lib/vfio" | "sys/module/vendor_reset")
}

/// Whether a path is there because vfio-pci is loaded.
fn of_vfio_module(path: &str) -> bool {
    let roots = ["sys/module/vfio_pci", "sys/module/mlx5_vfio_pci", "sys/bus/pci/drivers/vfio-pci"];
    roots.iter().any(|root| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
        || matches!(path, "dev" | "dev/vfio" | "dev/vfio/vfio" | "sys/class/vfio-dev")
}

/// The machine without what loading vfio-pci adds; a loaded module harms nobody and stays.
pub fn without_vfio_module(nodes: Nodes) -> Nodes {
    nodes.into_iter().filter(|(path, _)| !of_vfio_module(path)).collect()
}

/// Where machines are made: in memory if there is a place, for thousands of small files and our fsyncs are ten times
/// slower on a disk.
fn place() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if std::env::var_os("TMPDIR").is_none() && memory.is_dir() {
        memory.to_owned()
    } else {
        std::env::temp_dir()
    }
}

impl Tree {
    /// Makes the files of a machine.
    pub fn new(nodes: &Nodes) -> Tree {
        let dir = tempfile::Builder::new().prefix("machine-").tempdir_in(place()).unwrap();
        text::write(nodes, dir.path());
        for directory in ["etc", "run", "var/lib"] {
            fs::create_dir_all(dir.path().join(directory)).unwrap();
        }
        Tree { dir }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A path in it.
    pub fn join(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    /// It as the programs see it.
    pub fn root(&self) -> Root {
        Root::open(self.path()).unwrap()
    }

    /// Writes a file of the tree, as a person or a test would: no kernel answers.
    pub fn write(&self, path: &str, content: &str) {
        let at = self.join(path);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        // One that is read-only is replaced also by who is not root.
        let _ = fs::remove_file(&at);
        fs::write(&at, content).unwrap();
        fs::set_permissions(&at, fs::Permissions::from_mode(0o644)).unwrap();
    }

    /// Writes `/etc/vfio.conf`.
    pub fn config(&self, text: &str) {
        self.write("etc/vfio.conf", text);
    }

    /// Removes a file.
    pub fn remove(&self, path: &str) {
        fs::remove_file(self.join(path)).unwrap();
    }

    /// Reads a file.
    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    /// Whether something is there.
    pub fn exists(&self, path: &str) -> bool {
        self.root().exists(path)
    }

    /// What will go wrong, as `.kernel/faults` says it; counting begins anew.
    pub fn faults(&self, lines: &str) {
        self.write(".kernel/faults", lines);
        let _ = fs::remove_file(self.join(".kernel/count"));
    }

    /// Nothing goes wrong any more.
    pub fn no_faults(&self) {
        let _ = fs::remove_file(self.join(".kernel/faults"));
        let _ = fs::remove_file(self.join(".kernel/count"));
    }

    /// How many writes there were.
    pub fn count(&self) -> u64 {
        fs::read_to_string(self.join(".kernel/count")).map_or(0, |text| text.trim().parse().unwrap())
    }

    /// The driver that has a function.
    pub fn driver(&self, address: &str) -> Option<String> {
        let link = fs::read_link(self.join(&format!("sys/bus/pci/devices/{address}/driver"))).ok()?;
        let name = link.file_name()?.to_str()?.to_owned();
        // Links and uevent never disagree.
        assert!(self.exists(&format!("sys/bus/pci/drivers/{name}/{address}")), "{address} and {name} disagree");
        assert!(self.attribute(address, "uevent").starts_with(&format!("DRIVER={name}\n")));
        Some(name)
    }

    /// An attribute of a function.
    pub fn attribute(&self, address: &str, name: &str) -> String {
        self.read(&format!("sys/bus/pci/devices/{address}/{name}"))
    }

    /// The addresses of all functions.
    pub fn functions(&self) -> Vec<String> {
        self.root().list("sys/bus/pci/devices").unwrap()
    }

    /// The machine as it is: everything but what is ours, and what drivers switch on and off in a function's command register.
    pub fn snapshot(&self) -> Nodes {
        let mut nodes = text::read(self.path(), &ours);
        for (_, node) in nodes.iter_mut().filter(|(path, _)| path.ends_with("/config")) {
            match node {
                Node::File(_, content) if content.len() >= 64 => content[4] = 0,
                _ => {}
            }
        }
        nodes
    }

    /// When each file was last changed, ours too: nothing may be touched by who only looks.
    pub fn times(&self) -> BTreeMap<PathBuf, (u64, SystemTime)> {
        let mut times = BTreeMap::new();
        let mut todo = vec![self.path().to_owned()];
        while let Some(path) = todo.pop() {
            let meta = fs::symlink_metadata(&path).unwrap();
            if meta.is_dir() {
                todo.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
            times.insert(path, (meta.ino(), meta.modified().unwrap()));
        }
        times
    }

    /// Fails, showing what differs, if the machine is not as it was. Modules that were loaded since may stay.
    #[track_caller]
    pub fn assert_same(&self, before: &Nodes, what: &str) {
        let differences = if before.contains_key("sys/module/vfio_pci/initstate") {
            differences(before, &self.snapshot())
        } else {
            differences(&without_vfio_module(before.clone()), &without_vfio_module(self.snapshot()))
        };
        let first: Vec<&str> = differences.lines().take(12).collect();
        assert!(differences.is_empty(), "{what}: the tree differs:\n{}", first.join("\n"));
    }

    /// Runs one of our programs on the tree.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Ran {
        self.command(program).args(arguments).output().unwrap().into()
    }

    /// Runs a program with standard error as the journal reads it: `$JOURNAL_STREAM` names its device and inode (systemd.exec(5)).
    pub fn run_in_journal(&self, mut command: Command) -> Ran {
        let stderr = tempfile::NamedTempFile::new().unwrap();
        let stream = stderr.as_file().metadata().unwrap();
        command.env("JOURNAL_STREAM", format!("{}:{}", stream.dev(), stream.ino()));
        let output = command.stderr(stderr.reopen().unwrap()).output().unwrap();
        Ran { stderr: fs::read_to_string(stderr.path()).unwrap(), ..output.into() }
    }

    /// Asks the simulator of the tree: to run a program of the system, or to send a signal.
    pub fn simulate(&self, request: &[&str]) -> Ran {
        self.run(env!("CARGO_BIN_EXE_vfio-sim"), request)
    }

    /// One of our programs, to be run on the tree.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("VFIO_ROOT", self.path())
            .env("NO_COLOR", "1")
            .env_remove("JOURNAL_STREAM")
            .env_remove("INVOCATION_ID");
        command
    }
}

/// What differs between two trees, a line each.
pub fn differences(before: &Nodes, after: &Nodes) -> String {
    let mut text = String::new();
    let mut say = |path: &str, before: Option<&Node>, after: Option<&Node>| {
        let show = |node: Option<&Node>| match node {
            None => "nothing".to_owned(),
            Some(Node::Directory) => "an empty directory".to_owned(),
            Some(Node::Link(target)) => format!("-> {target}"),
            Some(Node::File(mode, content)) => format!("{mode:o} {:?}", String::from_utf8_lossy(content)),
        };
        text += &format!("  {path}: was {}, is {}\n", show(before), show(after));
    };
    for (path, node) in before {
        if after.get(path) != Some(node) {
            say(path, Some(node), after.get(path));
        }
    }
    for (path, node) in after.iter().filter(|(path, _)| !before.contains_key(*path)) {
        say(path, None, Some(node));
    }
    text
}
