// SPDX-License-Identifier: LGPL-2.1-or-later
//! OpenRC's services: a script in `/etc/init.d`, whose `need` lines count; links in `/etc/runlevels` and
//! `/run/openrc/started`.

use crate::error::{failed, unknown};
use crate::networks;
use crate::tree::Tree;
use std::io;

const SCRIPTS: &str = "etc/init.d";
const STARTED: &str = "run/openrc/started";

/// Whether libvirt's daemon is a service of OpenRC that does not run.
pub(crate) fn libvirt_is_down(tree: &Tree<'_>) -> bool {
    tree.root.exists(&format!("{SCRIPTS}/libvirtd")) && !is_started(tree, "libvirtd")
}

fn is_started(tree: &Tree<'_>, name: &str) -> bool {
    tree.list(STARTED).iter().any(|started| started == name)
}

fn needs(tree: &Tree<'_>, name: &str) -> io::Result<Vec<String>> {
    let text = tree.root.read_text(&format!("{SCRIPTS}/{name}"))?;
    let lines = text.lines().filter_map(|line| line.trim().strip_prefix("need "));
    Ok(lines.flat_map(str::split_whitespace).map(str::to_owned).collect())
}

fn has_script(tree: &Tree<'_>, name: &str) -> bool {
    !name.contains('/') && tree.root.exists(&format!("{SCRIPTS}/{name}"))
}

/// `rc-update ARGUMENTS`.
pub(crate) fn rc_update(tree: &Tree<'_>, arguments: &[&str]) -> io::Result<String> {
    let [verb @ ("add" | "del"), name, level] = *arguments else { return Err(unknown("rc-update", arguments)) };
    let directory = format!("etc/runlevels/{level}");
    if !tree.root.exists(&directory) {
        return Err(failed("rc-update", &format!(" * rc-update: `{level}' is not a valid runlevel")));
    }
    let link = format!("{directory}/{name}");
    if verb == "del" {
        tree.unlink(&link)?;
        return Ok(format!(" * service {name} removed from runlevel {level}\n"));
    }
    if !has_script(tree, name) {
        return Err(failed("rc-update", &format!(" * rc-update: service `{name}' does not exist")));
    }
    tree.unlink(&link)?;
    tree.symlink(&link, &format!("/{SCRIPTS}/{name}"))?;
    Ok(format!(" * service {name} added to runlevel {level}\n"))
}

/// `rc-service ARGUMENTS`.
pub(crate) fn rc_service(tree: &Tree<'_>, arguments: &[&str]) -> io::Result<String> {
    let [name, verb @ ("start" | "stop")] = *arguments else { return Err(unknown("rc-service", arguments)) };
    if !has_script(tree, name) {
        return Err(failed("rc-service", &format!(" * rc-service: service `{name}' does not exist")));
    }
    match verb {
        "start" => start(tree, name)?,
        _ => stop(tree, name)?,
    }
    Ok(String::new())
}

fn start(tree: &Tree<'_>, name: &str) -> io::Result<()> {
    if is_started(tree, name) {
        return Ok(());
    }
    needs(tree, name)?.iter().try_for_each(|need| start(tree, need))?;
    tree.mkdir(STARTED)?;
    tree.symlink(&format!("{STARTED}/{name}"), &format!("/{SCRIPTS}/{name}"))?;
    match name {
        "libvirtd" => networks::daemon_starts(tree),
        _ => Ok(()),
    }
}

/// A service that needs it is stopped first.
fn stop(tree: &Tree<'_>, name: &str) -> io::Result<()> {
    for other in tree.list(STARTED) {
        if needs(tree, &other)?.iter().any(|need| need == name) {
            stop(tree, &other)?;
        }
    }
    tree.unlink(&format!("{STARTED}/{name}"))
}
