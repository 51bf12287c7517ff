// SPDX-License-Identifier: LGPL-2.1-or-later
//! Kernel modules of the lab's own for the kernels of the micro lab, built in a Debian 13 whatever the host is.

use crate::layers::{base, copy, enter, write, APT, COMPILER};
use crate::{apt, cache, micro, tools};
use anyhow::{ensure, Context, Result};
use std::fs;
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

/// Gives emulated functions resizable BARs.
pub const REBAR: Source = Source {
    name: "lab_rebar",
    text: include_str!("guest/rebar/lab_rebar.c"),
    build: include_str!("guest/rebar/Kbuild"),
};

/// Stands in for vendor-reset.
pub const VENDOR_RESET: Source = Source {
    name: "vendor-reset",
    text: include_str!("guest/vendor-reset/vendor-reset.c"),
    build: include_str!("guest/vendor-reset/Kbuild"),
};

/// A Debian 13 with a compiler, and what the kernel's build asks for.
fn compiler() -> Result<PathBuf> {
    let from = base("trixie")?;
    cache::entry("compiler", cache::key(&(&from, include_str!("compiled.rs"))), |dir| {
        let tree = dir.join("tree");
        copy(&from.join("tree"), &tree)?;
        enter(&tree, &format!("{APT} install {COMPILER} && apt-get clean")).map(drop)
    })
}

/// The packages with the headers of the kernel of `suite`, and what they bring to build with.
fn headers(suite: &str) -> Result<PathBuf> {
    let kernel = micro::kernel(suite)?;
    cache::entry(&format!("headers-{suite}"), cache::key(&(&kernel, include_str!("compiled.rs"))), |dir| {
        let part = |name: &str| name.starts_with("linux-headers-") || name.starts_with("linux-kbuild-");
        for package in apt::download(suite, &dir.join("apt"), "linux-headers-amd64", part)? {
            fs::rename(&package, dir.join(package.file_name().context("a package without a name")?))?;
        }
        cache::remove(&dir.join("apt"))
    })
}

/// A module for the kernel of `suite`.
pub fn module(suite: &str, source: Source) -> Result<PathBuf> {
    let (compiler, headers, kernel) = (compiler()?, headers(suite)?, micro::kernel(suite)?);
    let version = fs::read_to_string(kernel.join("version"))?;
    let Source { name, text, build } = source;
    let key = cache::key(&(&compiler, &headers, source));
    let dir = cache::entry(&format!("{name}-{suite}"), key, |dir| {
        let tree = dir.join("tree");
        copy(&compiler.join("tree"), &tree)?;
        for package in fs::read_dir(&headers)? {
            let package = package?.path();
            if package.extension().is_some_and(|end| end == "deb") {
                tools::output(tools::command("dpkg-deb")?.arg("-x").arg(&package).arg(&tree))?;
            }
        }
        let place = format!("usr/src/linux-headers-{version}");
        ensure!(
            tree.join(&place).exists(),
            "the lab has the kernel {version} and the mirror of {suite} another; remove {}",
            kernel.display()
        );
        write(&tree, &format!("module/{name}.c"), text, 0o644)?;
        write(&tree, "module/Kbuild", build, 0o644)?;
        enter(&tree, &format!("make -s -C /{place} CC=gcc M=/module modules"))?;
        fs::copy(tree.join(format!("module/{name}.ko")), dir.join(format!("{name}.ko")))?;
        cache::remove(&tree)
    })?;
    Ok(dir.join(format!("{name}.ko")))
}
