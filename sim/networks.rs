// SPDX-License-Identifier: LGPL-2.1-or-later
//! libvirt's networks, in libvirt's own places: what is defined is there before, what is up and what starts by itself are
//! made and removed here.

use crate::error::{failed, unknown};
use crate::tree::Tree;
use std::io;

const DEFINED: &str = "etc/libvirt/qemu/networks";
const UP: &str = "run/libvirt/network";

/// `virsh --connect URI net-...`.
pub(crate) fn virsh(tree: &Tree<'_>, request: &[&str]) -> io::Result<String> {
    let (verb, name) = match *request {
        [verb @ ("net-start" | "net-destroy" | "net-autostart"), "--", name] => (verb, name),
        ["net-autostart", "--disable", "--", name] => ("net-autostart --disable", name),
        _ => return Err(unknown("virsh", request)),
    };
    let xml = format!("{name}.xml");
    if name.contains('/') || !tree.root.exists(&format!("{DEFINED}/{xml}")) {
        return Err(failed("virsh", &format!("error: failed to get network '{name}'")));
    }
    let (up, link) = (format!("{UP}/{xml}"), format!("{DEFINED}/autostart/{xml}"));
    let is_up = tree.root.exists(&up);
    let wrong = |what: &str, state: &str| {
        let text = format!(
            "error: Failed to {what} network {name}\nerror: Requested operation is not valid: network is {state}"
        );
        Err(failed("virsh", &text))
    };
    match verb {
        "net-start" if is_up => wrong("start", "already active"),
        "net-start" => start(tree, name).map(|()| format!("Network {name} started\n\n")),
        "net-destroy" if !is_up => wrong("destroy", "not active"),
        "net-destroy" => tree.unlink(&up).map(|()| format!("Network {name} destroyed\n\n")),
        "net-autostart" => {
            tree.mkdir(&format!("{DEFINED}/autostart"))?;
            tree.unlink(&link)?;
            tree.symlink(&link, &format!("/{DEFINED}/{xml}"))?;
            Ok(format!("Network {name} marked as autostarted\n\n"))
        }
        _ => tree.unlink(&link).map(|()| format!("Network {name} unmarked as autostarted\n\n")),
    }
}

fn start(tree: &Tree<'_>, name: &str) -> io::Result<()> {
    tree.mkdir(UP)?;
    tree.put(&format!("{UP}/{name}.xml"), "<networkstatus/>\n")
}

/// libvirt's daemon starts: so do the networks that it is to start.
pub(crate) fn daemon_starts(tree: &Tree<'_>) -> io::Result<()> {
    for xml in tree.list(&format!("{DEFINED}/autostart")) {
        let name = xml.trim_end_matches(".xml");
        if !tree.root.exists(&format!("{UP}/{xml}")) {
            start(tree, name)?;
        }
    }
    Ok(())
}
