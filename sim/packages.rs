// SPDX-License-Identifier: LGPL-2.1-or-later
//! Package managers, as far as `vfio setup` calls them: apt-get, dnf, pacman, emerge and zypper install a package by making the
//! files that `.kernel/packages/NAME` lists, a path a line. A package that is not listed is not known.

use crate::error::{failed, unknown};
use crate::tree::Tree;
use std::io;

/// How each is called, and what it says of a package that it does not know.
const MANAGERS: [(&str, &[&str], &str); 5] = [
    ("apt-get", &["install", "-y"], "E: Unable to locate package "),
    ("dnf", &["install", "-y"], "Error: Unable to find a match: "),
    ("pacman", &["-S", "--needed", "--noconfirm"], "error: target not found: "),
    ("emerge", &["--noreplace"], "emerge: there are no ebuilds to satisfy "),
    ("zypper", &["--non-interactive", "install"], "No provider of "),
];

/// Whether a program is one of them.
pub(crate) fn is_manager(program: &str) -> bool {
    MANAGERS.iter().any(|(name, ..)| *name == program)
}

/// Installs packages, or none of them.
pub(crate) fn install(tree: &Tree<'_>, program: &str, arguments: &[&str]) -> io::Result<String> {
    let manager = MANAGERS.iter().find(|(name, ..)| *name == program);
    let Some((_, head, says)) = manager.filter(|(_, head, _)| arguments.starts_with(head)) else {
        return Err(unknown(program, arguments));
    };
    let packages = &arguments[head.len()..];
    let mut files = Vec::new();
    for package in packages {
        match tree.root.read_text(&format!(".kernel/packages/{package}")) {
            Ok(list) if !package.contains('/') || program == "emerge" => {
                files.extend(list.lines().map(str::to_owned).collect::<Vec<_>>());
            }
            _ => return Err(failed(program, &format!("{says}{package}"))),
        }
    }
    for file in files {
        if let Some((directory, _)) = file.rsplit_once('/') {
            tree.mkdir(directory)?;
        }
        if !tree.root.exists(&file) {
            tree.put(&file, "")?;
        }
    }
    Ok(String::new())
}
