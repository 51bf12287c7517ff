// SPDX-License-Identifier: LGPL-2.1-or-later
//! Kernel modules of the lab for the kernels of the micro lab, built in a Debian 13 whatever the host is.

use crate::layers::{copy, enter, with_kernel, write, Initramfs};
use crate::{apt, cache, micro, tools};
use anyhow::{ensure, Result};
use std::fs;
use std::path::PathBuf;

/// The module that gives emulated functions resizable BARs (guest/rebar), for the kernel of `suite`.
pub fn rebar(suite: &str) -> Result<PathBuf> {
    let from = with_kernel("trixie", Initramfs::Dracut)?;
    let kernel = micro::kernel(suite)?;
    let version = fs::read_to_string(kernel.join("version"))?;
    let (source, build) = (include_str!("guest/rebar/lab_rebar.c"), include_str!("guest/rebar/Kbuild"));
    let key = cache::key(&(&from, &kernel, source, build, include_str!("modules.rs")));
    let dir = cache::entry(&format!("rebar-{suite}"), key, |dir| {
        let tree = dir.join("tree");
        copy(&from.join("tree"), &tree)?;
        enter(&tree, "apt-get -q update && apt-get -y --no-install-recommends install gcc make pahole")?;
        let apt = dir.join("apt");
        let part = |name: &str| name.starts_with("linux-headers-") || name.starts_with("linux-kbuild-");
        for package in apt::download(suite, &apt, "linux-headers-amd64", part)? {
            tools::output(tools::command("dpkg-deb")?.arg("-x").arg(&package).arg(&tree))?;
        }
        cache::remove(&apt)?;
        let headers = format!("usr/src/linux-headers-{version}");
        ensure!(
            tree.join(&headers).exists(),
            "the lab has the kernel {version} and the mirror of {suite} another; remove {}",
            kernel.display()
        );
        write(&tree, "module/lab_rebar.c", source, 0o644)?;
        write(&tree, "module/Kbuild", build, 0o644)?;
        enter(&tree, &format!("make -s -C /{headers} CC=gcc M=/module modules"))?;
        fs::copy(tree.join("module/lab_rebar.ko"), dir.join("lab_rebar.ko"))?;
        cache::remove(&tree)
    })?;
    Ok(dir.join("lab_rebar.ko"))
}
