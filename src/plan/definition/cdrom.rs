// SPDX-License-Identifier: LGPL-2.1-or-later
//! The image with the drivers for Windows, as a CD-ROM that may be missing at a start (formatdomain, "Hard drives", `startupPolicy`).

use super::element::Element;
use super::mine::{is_of, mark};
use super::{change, Look, Said, ALWAYS};
use crate::host::domain::xml::child;

/// What our device is called.
const NAME: &str = "virtio-win";

/// `virtio-win`.
pub(super) fn virtio_win(look: &Look<'_, '_>) -> Said {
    let Some(path) = look.request.guest.definition.virtio_win.as_deref() else { return Ok(None) };
    let mut draft = look.draft();
    let disks = look.devices("disk");
    let file =
        |disk: &roxmltree::Node<'_, '_>| child(*disk, "source").and_then(|s| s.attribute("file").map(str::to_owned));
    let why = "the drivers for Windows; the guest starts without the image too";
    if let Some(there) = disks.iter().find(|disk| file(disk).as_deref() == Some(path)) {
        let source = child(*there, "source").filter(|source| source.attribute("startupPolicy").is_none());
        source.into_iter().for_each(|source| draft.set(source, "startupPolicy", "optional"));
        return Ok(change("virtio-win", why, ALWAYS, draft));
    }
    if let Some(ours) = disks.iter().find(|disk| is_of(**disk, NAME)) {
        match child(*ours, "source") {
            Some(source) => draft.set(source, "file", path),
            None => {
                let source = Element::new("source").with("file", path).with("startupPolicy", "optional");
                draft.insert(*ours, source);
            }
        }
        return Ok(change("virtio-win", why, ALWAYS, draft));
    }
    let machine = look.part("os").and_then(|os| child(os, "type")).and_then(|kind| kind.attribute("machine"));
    // Only Q35 has SATA of its own.
    let (bus, prefix) = if machine.is_some_and(|m| m.contains("q35")) { ("sata", "sd") } else { ("ide", "hd") };
    let taken: Vec<&str> = disks.iter().filter_map(|disk| child(*disk, "target")?.attribute("dev")).collect();
    let names = ('a'..='z').map(|letter| format!("{prefix}{letter}"));
    let Some(target) = names.into_iter().find(|name| !taken.contains(&name.as_str())) else { return Ok(None) };
    let disk = Element::new("disk").with("type", "file").with("device", "cdrom").children([
        Element::new("driver").with("name", "qemu").with("type", "raw"),
        Element::new("source").with("file", path).with("startupPolicy", "optional"),
        Element::new("target").with("dev", target).with("bus", bus),
        Element::new("readonly"),
        mark(&format!("{NAME}-0")),
    ]);
    look.add(&mut draft, disk);
    Ok(change("virtio-win", why, ALWAYS, draft))
}
