// SPDX-License-Identifier: LGPL-2.1-or-later
//! One thing that `vfio setup` makes so, and the record of it in `/var/lib/vfio/setup`.

use super::NETWORK;
use crate::plan::definition::new_domain::Wish;
use serde::{Deserialize, Serialize};

/// One thing to be made so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum SetupStep {
    /// These start at every boot.
    Enable {
        /// Units, or OpenRC's services.
        services: Vec<String>,
    },
    /// These run now.
    Start {
        /// Units, or OpenRC's services.
        services: Vec<String>,
    },
    /// libvirt's network is up.
    NetworkStart,
    /// libvirt's network comes up with libvirt.
    NetworkAutostart,
    /// A user is in a group.
    Join {
        /// The user.
        user: String,
        /// The group.
        group: String,
    },
    /// Packages are installed. They stay when the rest is undone: others may need them by then.
    Install {
        /// Their names.
        packages: Vec<String>,
        /// The system's own manager, with all that it is told.
        command: Vec<String>,
    },
    /// A file of the configuration says this.
    Write {
        /// Below the root.
        path: String,
        /// What is in it.
        text: String,
    },
    /// What another program has left has another name, by which nobody finds it.
    Aside {
        /// Below the root.
        path: String,
    },
    /// libvirt has a domain for a guest (`act::definition::new`).
    Define {
        /// The section's name.
        guest: String,
        /// What it is made from.
        wish: Wish,
    },
    /// A guest's domain is what its section says (`plan::definition`).
    Edit {
        /// The section's name.
        guest: String,
    },
    /// The images of the initramfs have the files of modprobe.d(5) that are there now.
    Images {
        /// The tool that builds them, with all that it is told.
        commands: Vec<Vec<String>>,
    },
    /// Boot entries and images are what the configuration says (`plan::sync`).
    Sync,
    /// A card that the host's driver had is bound to vfio: `vfio bind` does that, for `vfio doctor --fix`.
    Bind {
        /// The section's name.
        gpu: String,
        /// The boot in which it was: a later one binds it by itself.
        boot: String,
    },
}

/// What the name of a thing that was put aside ends in: udev, modprobe and libvirt disregard it.
pub const ASIDE: &str = ".before-vfio";

impl SetupStep {
    /// Whether it is about services, libvirt's network or groups: what `--services` is for.
    pub fn is_of_system(&self) -> bool {
        match self {
            SetupStep::Enable { .. }
            | SetupStep::Start { .. }
            | SetupStep::NetworkStart
            | SetupStep::NetworkAutostart
            | SetupStep::Join { .. } => true,
            SetupStep::Install { .. }
            | SetupStep::Write { .. }
            | SetupStep::Aside { .. }
            | SetupStep::Define { .. }
            | SetupStep::Edit { .. }
            | SetupStep::Images { .. }
            | SetupStep::Sync
            | SetupStep::Bind { .. } => false,
        }
    }

    /// Whether it is about what boots: undone last of all, for it is made from what else there is.
    pub fn is_of_boot(&self) -> bool {
        matches!(self, SetupStep::Images { .. } | SetupStep::Sync)
    }

    /// In a few words, for a person.
    pub fn words(&self) -> String {
        match self {
            SetupStep::Enable { services } => format!("enable {}", services.join(" ")),
            SetupStep::Start { services } => format!("start {}", services.join(" ")),
            SetupStep::NetworkStart => format!("start libvirt's network {NETWORK}"),
            SetupStep::NetworkAutostart => format!("have libvirt's network {NETWORK} start with libvirt"),
            SetupStep::Join { user, group } => format!("add {user} to the group {group}"),
            SetupStep::Install { packages, .. } => format!("install {}", packages.join(" ")),
            SetupStep::Write { path, .. } => format!("write /{path}"),
            SetupStep::Aside { path } => format!("rename /{path} to /{path}{ASIDE}"),
            SetupStep::Define { guest, .. } => format!("define the domain of [guest {guest}]"),
            SetupStep::Edit { guest } => format!("edit the domain of [guest {guest}]"),
            SetupStep::Images { .. } => "build the initramfs anew".to_owned(),
            SetupStep::Sync => "bring boot entries and initramfs up to date".to_owned(),
            SetupStep::Bind { gpu, .. } => format!("bind [gpu {gpu}] to vfio"),
        }
    }
}

/// A step, and what was so before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The step.
    pub step: SetupStep,
    /// Of services those that were enabled, or active, before it: systemd enables and starts others along. Of a file the text
    /// that was in it; nothing if it was not there.
    pub before: Vec<String>,
    /// Directories that had to be made for a file, below the root.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub made: Vec<String>,
}
