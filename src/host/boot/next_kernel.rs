// SPDX-License-Identifier: LGPL-2.1-or-later
//! What the entry of Fedora's and RHEL's next kernel is made from (`20-grub.install`).

use super::{Loader, LoaderKind};
use crate::host::boot::probe::text;
use crate::root::Root;
use serde::{Deserialize, Serialize};

/// Where the plugin may be; the first counts (kernel-install(8)).
const PLUGINS: [&str; 2] = ["etc/kernel/install.d/20-grub.install", "usr/lib/kernel/install.d/20-grub.install"];

/// The file that decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NextKernel {
    /// `/etc/default/grub`: it is the newer one, so `grub2-mkconfig` makes `/etc/kernel/cmdline` again from it.
    GrubDefaults,
    /// `/etc/kernel/cmdline`.
    Cmdline,
}

/// Finds out; `None` where no plugin compares the two.
pub(super) fn find(root: &Root, loaders: &[Loader]) -> Option<NextKernel> {
    loaders.iter().find(|loader| loader.kind == LoaderKind::GrubBls)?;
    let plugin = PLUGINS.iter().find(|path| root.exists(path))?;
    if !text(root, plugin)?.contains("-ot /etc/default/grub") {
        return None;
    }
    let written = |path: &str| root.stat(path).ok().map(|stat| (stat.st_mtime, stat.st_mtime_nsec));
    // As bash's `-ot`: a file that is not there is older than one that is.
    let is_older = written("etc/kernel/cmdline") < written("etc/default/grub");
    Some(if is_older { NextKernel::GrubDefaults } else { NextKernel::Cmdline })
}
