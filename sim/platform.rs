// SPDX-License-Identifier: LGPL-2.1-or-later
//! The firmware's framebuffer: a device of the platform bus, and what `/proc/iomem` shows of it (`drivers/firmware/sysfb.c`,
//! `drivers/video/aperture.c`).
//!
//! A driver that lets go gives back the range that it had asked for; what the device itself has (`BOOTFB`) stays until the
//! device is gone. That line is kept in `.kernel/framebuffer` for when the driver comes back.

use crate::device::Device;
use crate::tree::Tree;
use rustix::io::Errno;
use std::io;
use vfio_suite::host::framebuffer::{self, OWN};
use vfio_suite::pci::Address;
use vfio_suite::root::PLATFORM_DRIVERS;

const DEVICES: &str = "sys/bus/platform/devices";
const IOMEM: &str = "proc/iomem";
const KEPT: &str = ".kernel/framebuffer";

/// Where a device of the platform bus lies.
fn place(tree: &Tree<'_>, name: &str) -> io::Result<String> {
    let target = tree.root.read_link(&format!("{DEVICES}/{name}")).map_err(|_| Errno::NODEV)?;
    Ok(format!("sys/{}", target.to_string_lossy().trim_start_matches("../")))
}

fn lines(tree: &Tree<'_>) -> io::Result<Vec<String>> {
    let text = tree.root.read(IOMEM)?;
    Ok(String::from_utf8_lossy(&text).lines().map(str::to_owned).collect())
}

fn put(tree: &Tree<'_>, lines: &[String]) -> io::Result<()> {
    tree.put(IOMEM, &(lines.join("\n") + "\n"))
}

/// Whether a line is a framebuffer's of this function.
fn is_of(tree: &Tree<'_>, line: &str, which: impl Fn(&framebuffer::Framebuffer) -> bool) -> bool {
    let shows = |f: &framebuffer::Framebuffer| {
        line.trim() == format!("{:08x}-{:08x} : {}", f.range.0, f.range.1, f.name) && which(f)
    };
    framebuffer::find(tree.root).iter().any(shows)
}

/// `unbind`: ENODEV if it is not this driver's.
pub(crate) fn unbind(tree: &Tree<'_>, driver: &str, name: &str) -> io::Result<()> {
    let bound = format!("{PLATFORM_DRIVERS}/{driver}/{name}");
    if !tree.root.exists(&bound) {
        return Err(Errno::NODEV.into());
    }
    let place = place(tree, name)?;
    let (taken, kept): (Vec<String>, Vec<String>) =
        lines(tree)?.into_iter().partition(|line| is_of(tree, line, |f| f.name != OWN));
    tree.put(KEPT, &taken.join("\n"))?;
    put(tree, &kept)?;
    tree.unlink(&bound)?;
    tree.unlink(&format!("{place}/driver"))
}

/// `bind`: ENODEV if there is no such device any more.
pub(crate) fn bind(tree: &Tree<'_>, driver: &str, name: &str) -> io::Result<()> {
    let place = place(tree, name)?;
    let bound = format!("{PLATFORM_DRIVERS}/{driver}/{name}");
    if tree.root.exists(&bound) {
        return Err(Errno::BUSY.into());
    }
    let kept = tree.root.read(KEPT)?;
    let kept = String::from_utf8_lossy(&kept).into_owned();
    let range = |line: &str| {
        let (start, end) = line.trim().split_once(" : ")?.0.split_once('-')?;
        Some((u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?))
    };
    let mut lines = lines(tree)?;
    let (start, end) = range(&kept).ok_or(Errno::NODEV)?;
    let above = lines.iter().rposition(|line| range(line).is_some_and(|(a, b)| a <= start && end <= b));
    lines.insert(above.ok_or(Errno::BUSY)? + 1, kept);
    put(tree, &lines)?;
    tree.unlink(KEPT)?;
    tree.link(&bound, &place)?;
    tree.link(&format!("{place}/driver"), &format!("{PLATFORM_DRIVERS}/{driver}"))
}

/// `aperture_remove_conflicting_pci_devices()`: the device of a framebuffer in the function's memory is gone for good, with
/// the memory. So it is for us when the function goes itself.
pub(crate) fn remove(tree: &Tree<'_>, function: &Device) -> io::Result<()> {
    let Some(address) = Address::from_sysfs(function.name.as_bytes()) else { return Ok(()) };
    let of = |f: &framebuffer::Framebuffer| f.function == address;
    let left = tree.list(&function.path).into_iter().filter(|name| name.contains("-framebuffer."));
    let left: Vec<String> = left.collect();
    if left.is_empty() {
        return Ok(());
    }
    let kept: Vec<String> = lines(tree)?.into_iter().filter(|line| !is_of(tree, line, of)).collect();
    put(tree, &kept)?;
    tree.unlink(KEPT)?;
    for name in left {
        remove_class_links(tree, &function.file(&name))?;
        let driver = name.split('.').next().unwrap_or_default();
        tree.unlink(&format!("{PLATFORM_DRIVERS}/{driver}/{name}"))?;
        tree.unlink(&format!("{DEVICES}/{name}"))?;
        tree.remove_all(&function.file(&name))?;
    }
    Ok(())
}

/// What the driver had made of it: a card of DRM with its connector, a framebuffer.
fn remove_class_links(tree: &Tree<'_>, device: &str) -> io::Result<()> {
    for class in ["drm", "graphics"] {
        for made in tree.list(&format!("{device}/{class}")) {
            let children = tree.list(&format!("{device}/{class}/{made}"));
            let connectors = children.iter().filter(|child| child.starts_with(&format!("{made}-")));
            for link in connectors.chain([&made]) {
                tree.unlink(&format!("sys/class/{class}/{link}"))?;
            }
        }
    }
    Ok(())
}

/// Whether nobody else can have a BAR of the function as a whole.
pub(crate) fn is_in_the_way(tree: &Tree<'_>, function: &Device) -> bool {
    framebuffer::find(tree.root).iter().any(|f| f.function.to_string() == function.name)
}
