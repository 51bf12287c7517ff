// SPDX-License-Identifier: LGPL-2.1-or-later
//! `[guest NAME]`: a virtual machine that gets cards.

use crate::config::location::At;
use crate::config::name::check_name;
use crate::config::report::clip;
use crate::config::sections::definition::Definition;
use crate::config::sections::gpu::{BarSize, BARS};
use crate::config::values::{list_of, one_of, Parsed, Wrong};
use crate::finding::{codes, Location};
use std::time::Duration;

/// The keys, beside `GPU.barN` and those about the domain's definition.
pub(in crate::config) const KEYS: &[&str] = &[
    "gpus",
    "domain",
    "uri",
    "runner",
    "command",
    "user",
    "handover",
    "display-manager",
    "stop-units",
    "before",
    "after",
    "kill-holders",
    "start-timeout",
    "stop-timeout",
    "inhibit-sleep",
];

/// The card and the number of the BAR in a guest's `GPU.barN`.
pub(in crate::config) fn guest_bar(key: &str) -> Option<(&str, u8)> {
    let (gpu, bar) = key.rsplit_once('.')?;
    let bar = BARS.iter().position(|known| *known == bar)?;
    // There are six.
    (!gpu.is_empty()).then_some((gpu, bar as u8))
}

/// `before` and `after` may be written more than once in a file: each line adds commands.
pub(in crate::config) fn accumulates(key: &str) -> bool {
    matches!(key, "before" | "after")
}

/// The user that the package makes for guests that are commands.
pub const DEFAULT_USER: &str = "vfio-guest";

/// `[guest NAME]`: a virtual machine that gets cards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guest {
    /// The user's name for it; the instance of `vfio-guest@`.
    pub name: String,
    /// Where the section begins.
    pub at: Location,
    /// `gpus`: names of `[gpu]` sections.
    pub gpus: At<Vec<String>>,
    /// `GPU.bar0` to `GPU.bar5`: sizes for this guest.
    pub bars: Vec<GuestBar>,
    /// `domain`: the libvirt domain; the section's name by default.
    pub domain: String,
    /// `uri`.
    pub uri: String,
    /// `runner`.
    pub runner: Runner,
    /// `command`, split into words; not empty with `runner = command`.
    pub command: Vec<String>,
    /// `user`: who runs `command`.
    pub user: String,
    /// `handover`.
    pub handover: Handover,
    /// `display-manager`.
    pub display_manager: DisplayManager,
    /// `stop-units`: further units stopped for the guest.
    pub stop_units: Vec<String>,
    /// `before`: commands, each split into words.
    pub before: Vec<Vec<String>>,
    /// `after`: commands, each split into words.
    pub after: Vec<Vec<String>>,
    /// `kill-holders`: a process that holds the card and does not end when asked (SIGTERM) is killed.
    pub kill_holders: bool,
    /// `start-timeout`.
    pub start_timeout: Duration,
    /// `stop-timeout`.
    pub stop_timeout: Duration,
    /// `inhibit-sleep`.
    pub inhibit_sleep: bool,
    /// What the domain is to be like.
    pub definition: Definition,
}

/// `GPU.barN`: the size of a BAR for one guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestBar {
    /// The `[gpu]` section's name.
    pub gpu: String,
    /// 0 to 5.
    pub bar: u8,
    /// The desired size.
    pub size: At<BarSize>,
}

/// `runner`: what the guest is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runner {
    /// A libvirt domain.
    Libvirt,
    /// A program, plain QEMU for example.
    Command,
}

/// `handover`: what becomes of the host's sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handover {
    /// Exactly the sessions and processes that hold the card make way; none, if none holds it.
    Auto,
    /// The display manager is stopped and comes back, whatever holds the card.
    Steal,
    /// Sessions stay.
    Hot,
    /// The device is bound at boot.
    None,
}

/// `display-manager`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DisplayManager {
    /// Found.
    Auto,
    /// There is none.
    None,
    /// This unit.
    Unit(String),
}

/// `runner`.
pub(in crate::config) fn runner(text: &str) -> Parsed<Runner> {
    one_of(text, &[("libvirt", Runner::Libvirt), ("command", Runner::Command)])
}

/// `handover`.
pub(in crate::config) fn handover(text: &str) -> Parsed<Handover> {
    let words =
        [("auto", Handover::Auto), ("steal", Handover::Steal), ("hot", Handover::Hot), ("none", Handover::None)];
    one_of(text, &words)
}

/// `gpus`: names; whether they exist is seen when all sections are read.
pub(in crate::config) fn names(text: &str) -> Parsed<Vec<String>> {
    list_of(text, "[gpu] section", |name| match check_name(name) {
        Ok(()) => Ok(name.to_owned()),
        Err(bad) => {
            let text = format!("'{}' cannot be the name of a [gpu] section{}", clip(name), bad.why());
            Err(Wrong::new(text).code(codes::SECTION_NAME).hint(bad.hint()))
        }
    })
}

/// `domain`: libvirt's own rule is that it is not a path; the rest keeps it from being taken for an option of a tool.
pub(in crate::config) fn domain(text: &str) -> Parsed<String> {
    if text.contains('/') || text.starts_with('-') || text.len() > 255 {
        let text = format!("'{}' is not a libvirt domain's name", clip(text));
        return Err(Wrong::new(text).hint("write it as virsh list --all shows it"));
    }
    Ok(text.to_owned())
}

/// `uri`.
pub(in crate::config) fn uri(text: &str) -> Parsed<String> {
    let scheme = text.split_once("://").map_or("", |(scheme, _)| scheme);
    let right = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+.-".contains(&b))
        && !text.contains([' ', '\t']);
    // Behind the host's name and before what is told beside it.
    let path = text.split_once("://").and_then(|(_, rest)| rest.split(['?', '#']).next()?.split_once('/'));
    if !right {
        let text = format!("'{}' is not a libvirt URI", clip(text));
        return Err(Wrong::new(text).hint("write it as qemu:///system"));
    }
    if path.is_some_and(|(_, path)| path.trim_matches('/') == "session") {
        let text =
            format!("'{}' is a user's own libvirt, which runs no hook and may not lock a guest's memory", clip(text));
        return Err(Wrong::new(text).code(codes::LIBVIRT_SESSION).hint("define the domain in qemu:///system"));
    }
    Ok(text.to_owned())
}

/// `user`: the name of an account, as useradd(8) takes one.
pub(in crate::config) fn user(text: &str) -> Parsed<String> {
    let mut bytes = text.bytes();
    let first = bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    if !first || text.len() > 31 || !bytes.all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b)) {
        let text = format!("'{}' is not the name of a user", clip(text));
        return Err(Wrong::new(text).hint("write one that 'getent passwd' lists"));
    }
    Ok(text.to_owned())
}

/// `display-manager`.
pub(in crate::config) fn display_manager(text: &str) -> Parsed<DisplayManager> {
    match text {
        _ if text.eq_ignore_ascii_case("auto") => Ok(DisplayManager::Auto),
        _ if text.eq_ignore_ascii_case("none") => Ok(DisplayManager::None),
        unit => match self::unit(unit) {
            Ok(unit) => Ok(DisplayManager::Unit(unit)),
            Err(mut wrong) => {
                wrong.hint = wrong.hint.map(|hint| hint + ", or auto, or none");
                Err(wrong)
            }
        },
    }
}

/// `stop-units`.
pub(in crate::config) fn units(text: &str) -> Parsed<Vec<String>> {
    list_of(text, "unit", unit)
}

/// A unit's name; `.service` is added where there is no suffix, as systemctl does.
fn unit(text: &str) -> Parsed<String> {
    const SUFFIXES: [&str; 10] =
        ["service", "socket", "target", "timer", "path", "mount", "automount", "swap", "slice", "scope"];
    let name = match text.rsplit_once('.') {
        Some((_, suffix)) if SUFFIXES.contains(&suffix) => text.to_owned(),
        _ => format!("{text}.service"),
    };
    let prefix = name.rsplit_once('.').map_or("", |(prefix, _)| prefix);
    let wrong = |why: &str| {
        Err(Wrong::new(format!("'{}' is not a unit's name{why}", clip(text))).hint("write it as sddm.service"))
    };
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b":_.\\@-".contains(&b)) || name.len() > 255 {
        return wrong("");
    }
    if prefix.is_empty() || prefix.starts_with(['@', '-', '.']) {
        return wrong("");
    }
    if prefix.ends_with('@') {
        return wrong(" but a template's (the instance after the '@' is missing)");
    }
    Ok(name)
}
