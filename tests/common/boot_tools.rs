// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio` beside a simulator that knows the tools of boot loaders (`boot-tools.sh`).

use super::boots::{self, Boot};
use super::tree::Ran;
use super::{pe, Tree};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/boot-tools.sh");

/// A directory with the program and that simulator: the program looks for its simulator beside itself.
#[derive(Debug)]
pub struct BootTools {
    dir: tempfile::TempDir,
}

impl BootTools {
    /// Makes it. Addons can be built with these lines only.
    pub fn new(lines: &[&str]) -> BootTools {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::hard_link(env!("CARGO_BIN_EXE_vfio"), at("vfio")).unwrap();
        fs::hard_link(env!("CARGO_BIN_EXE_vfio-sync"), at("vfio-sync")).unwrap();
        symlink(SCRIPT, at("vfio-sim")).unwrap();
        symlink(env!("CARGO_BIN_EXE_vfio-sim"), at("real-sim")).unwrap();
        for line in lines {
            // A file's name has no '/'; the parameters of a deployment have some.
            let name = line.replace('/', "|");
            fs::write(at(&format!("addon {name}")), pe::addon(line)).unwrap();
            fs::write(at(&format!("staged {name}")), staged(line)).unwrap();
        }
        BootTools { dir }
    }

    /// A machine whose boot files are all there: Debian's menu is made first.
    pub fn machine(&self, name: &str, config: &str) -> Tree {
        let tree = Tree::new(&boots::of(name).0);
        fs::create_dir(tree.join(".kernel")).unwrap();
        if name == "debian-grub" {
            self.tool(&tree, &["update-grub"]);
        }
        tree.config(config);
        tree
    }

    /// The program.
    pub fn program(&self) -> String {
        self.dir.path().join("vfio").to_str().unwrap().to_owned()
    }

    /// The service's program.
    pub fn sync(&self) -> String {
        self.dir.path().join("vfio-sync").to_str().unwrap().to_owned()
    }

    /// Runs `vfio` on a tree.
    pub fn vfio(&self, tree: &Tree, arguments: &[&str]) -> Ran {
        tree.command(&self.program()).args(arguments).output().unwrap().into()
    }

    /// Runs a tool on a tree, as its user would.
    #[track_caller]
    pub fn tool(&self, tree: &Tree, words: &[&str]) {
        let mut command = tree.command(self.dir.path().join("vfio-sim").to_str().unwrap());
        command.env("REAL_SIM", env!("CARGO_BIN_EXE_vfio-sim"));
        let ran: Ran = command.arg("run").args(words).output().unwrap().into();
        assert_eq!(ran.status, Some(0), "{words:?}: {}{}", ran.stdout, ran.stderr);
    }

    /// What tools were run on a tree since the last time this was asked.
    pub fn ran(tree: &Tree) -> Vec<String> {
        let log: &Path = &tree.join(".kernel/ran");
        let text = fs::read_to_string(log).unwrap_or_default();
        let _ = fs::remove_file(log);
        text.lines().map(str::to_owned).collect()
    }
}

/// A machine with these tools.
#[derive(Debug)]
pub struct BootMachine {
    pub tools: BootTools,
    pub tree: Tree,
}

impl BootMachine {
    /// With this configuration. Addons and deployments can be made with these lines only.
    pub fn new(boot: &Boot, config: &str, lines: &[&str]) -> BootMachine {
        let tree = Tree::new(&boot.0);
        fs::create_dir_all(tree.join(".kernel")).unwrap();
        tree.config(config);
        BootMachine { tools: BootTools::new(lines), tree }
    }

    /// Runs `vfio`.
    pub fn vfio(&self, arguments: &[&str]) -> Ran {
        self.tools.vfio(&self.tree, arguments)
    }

    /// Runs `vfio`, which must end with this status, and gives what it said.
    #[track_caller]
    pub fn said(&self, arguments: &[&str], status: i32) -> String {
        let ran = self.vfio(arguments);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert_eq!(ran.status, Some(status), "{arguments:?}: {said}");
        said
    }

    /// Runs a tool, as its user would.
    #[track_caller]
    pub fn tool(&self, words: &[&str]) {
        self.tools.tool(&self.tree, words);
    }
}

/// What ostree writes of a deployment that is staged, as far as its parameters go: GVariant of the type `a{sv}`, which has one
/// entry here, `{'kargs': <['...']>}` (GLib, "GVariant Serialisation").
pub fn staged(line: &str) -> Vec<u8> {
    /// A container whose parts end at these offsets. Their size follows from the length, with them.
    fn framed(mut bytes: Vec<u8>, ends: &[usize]) -> Vec<u8> {
        let size = [1, 2, 4].into_iter().find(|size| bytes.len() + size * ends.len() < 1 << (8 * size)).unwrap();
        bytes.extend(ends.iter().flat_map(|end| end.to_le_bytes()[..size].to_vec()));
        bytes
    }
    let (mut list, mut ends) = (Vec::new(), Vec::new());
    for parameter in line.split(' ') {
        list.extend(parameter.bytes().chain([0]));
        ends.push(list.len());
    }
    let variant = [framed(list, &ends), b"\0as".to_vec()].concat();
    let entry = framed([b"kargs\0\0\0".to_vec(), variant].concat(), &["kargs\0".len()]);
    let end = entry.len();
    framed(entry, &[end])
}
