// SPDX-License-Identifier: LGPL-2.1-or-later
//! A layer between a Debian with a kernel and the disks of scenarios: further packages of Debian, installed once.

use crate::layers::{copy, enter, with_kernel, write, Initramfs};
use crate::{cache, tools};
use anyhow::Result;
use std::fs;
use std::path::PathBuf;

/// The tree that disks are made of: with the `packages` (names with blanks between them), if there are any.
pub fn with_packages(suite: &str, initramfs: Initramfs, packages: &str) -> Result<PathBuf> {
    let from = with_kernel(suite, initramfs)?;
    if packages.is_empty() {
        return Ok(from);
    }
    let key = cache::key(&(&from, packages, include_str!("extra.rs")));
    cache::entry(&format!("machine-{suite}-more"), key, |dir| {
        let tree = dir.join("tree");
        copy(&from.join("tree"), &tree)?;
        // Nothing is started in a root that no machine runs, and no package builds an initramfs.
        write(&tree, "usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755)?;
        enter(&tree, &format!("INITRD=No apt-get -y --no-install-recommends install {packages}"))?;
        enter(&tree, "apt-get clean; rm -r /usr/sbin/policy-rc.d /usr/share/doc /usr/share/locale /usr/share/man")?;
        Ok(())
    })
}

/// The smallest kernel for a guest in the guest (guest/pocket).
pub fn pocket() -> Result<PathBuf> {
    let (source, script) = (include_str!("guest/pocket/pocket.c"), include_str!("guest/pocket/pocket.ld"));
    let dir = cache::entry("pocket", cache::key(&(source, script, include_str!("extra.rs"))), |dir| {
        fs::write(dir.join("pocket.c"), source)?;
        fs::write(dir.join("pocket.ld"), script)?;
        let mut compiler = tools::command("gcc")?;
        compiler.args(["-m32", "-march=i686", "-Os", "-Wall", "-Wextra", "-Werror", "-ffreestanding", "-fno-pic"]);
        compiler.args(["-fno-stack-protector", "-fno-asynchronous-unwind-tables", "-nostdlib", "-static", "-no-pie"]);
        compiler.args(["-Wl,--build-id=none", "-Wl,-z,norelro", "-Wl,-T,pocket.ld", "-o", "pocket", "pocket.c"]);
        tools::output(compiler.current_dir(dir)).map(drop)
    })?;
    Ok(dir.join("pocket"))
}
