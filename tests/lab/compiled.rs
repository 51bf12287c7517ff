// SPDX-License-Identifier: LGPL-2.1-or-later
//! Kernel modules of the lab's own, for the micro lab.

use crate::layers::{copy, enter, write};
use crate::{apt, cache, tools};
use anyhow::{bail, Result};
use std::path::PathBuf;

/// A module's source.
#[derive(Debug, Clone, Copy, Hash)]
pub struct Source {
    /// The file's name without its end.
    pub name: &'static str,
    /// C.
    pub text: &'static str,
    /// What Kbuild is told.
    pub build: &'static str,
}

/// Gives emulated functions the identity of another card.
pub const CARD: Source =
    Source { name: "lab_card", text: include_str!("guest/card/lab_card.c"), build: include_str!("guest/card/Kbuild") };

/// Stands in for vendor-reset.
pub const VENDOR_RESET: Source = Source {
    name: "vendor-reset",
    text: include_str!("guest/vendor-reset/vendor-reset.c"),
    build: include_str!("guest/vendor-reset/Kbuild"),
};

/// A root with the kernel's headers of `suite` and the compiler that it was built with.
fn compiler(suite: &str) -> Result<PathBuf> {
    if !rustix::process::geteuid().is_root() {
        bail!("the lab's own kernel modules are compiled in a chroot, which needs root");
    }
    let key = cache::key(&(suite, include_str!("compiled.rs")));
    cache::entry(&format!("compiler-{suite}"), key, |dir| {
        let tree = dir.join("tree");
        let mut debstrap = tools::command("mmdebstrap")?;
        debstrap.args(["--mode=root", "--variant=minbase", "--include=linux-headers-amd64,gcc,make"]);
        debstrap.arg("--aptopt=APT::Install-Recommends \"false\"");
        for proxy in apt::proxies()? {
            debstrap.arg(format!("--aptopt={proxy}"));
        }
        let source = apt::source(suite)?;
        tools::output(debstrap.args([suite, &tree.display().to_string(), source.trim()]).env("LC_ALL", "C")).map(drop)
    })
}

/// A module for the kernel of `suite`.
pub fn module(suite: &str, source: Source) -> Result<PathBuf> {
    let from = compiler(suite)?;
    let Source { name, text, build } = source;
    let dir = cache::entry(&format!("{name}-{suite}"), cache::key(&(&from, source)), |dir| {
        let tree = dir.join("tree");
        copy(&from.join("tree"), &tree)?;
        write(&tree, &format!("module/{name}.c"), text, 0o644)?;
        write(&tree, "module/Kbuild", build, 0o644)?;
        enter(&tree, "make -s -C /usr/src/linux-headers-*-amd64 M=/module modules")?;
        std::fs::copy(tree.join(format!("module/{name}.ko")), dir.join(format!("{name}.ko")))?;
        cache::remove(&tree)
    })?;
    Ok(dir.join(format!("{name}.ko")))
}
