// SPDX-License-Identifier: LGPL-2.1-or-later
//! Displays: DRM nodes with their connectors, and which of them the firmware showed its messages on.
//!
//! In the initramfs and at generator time no DRM driver is loaded yet; what a card may show is judged by its PCI class
//! there ([`Function::has_outputs`]) and this list is empty.

use super::framebuffer::{self, Framebuffer};
use super::function::{attribute, Function};
use crate::pci::Address;
use crate::root::{Root, RUN};

/// One display function with what drives it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Display {
    /// The PCI function.
    pub function: Address,
    /// The firmware showed its messages here.
    pub boot: bool,
    /// The firmware's framebuffer still lies on it: the kernel's console may be there.
    pub firmware_framebuffer: bool,
    /// The DRM node, `card0`.
    pub card: Option<String>,
    /// Its connectors.
    pub connectors: Vec<Connector>,
}

/// A socket for a monitor.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Connector {
    /// `DP-1`, `HDMI-A-1`.
    pub name: String,
    /// Whether a monitor is there.
    pub connected: bool,
}

/// What says which display the firmware showed its messages on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BootSign {
    /// The firmware's framebuffer lies in its memory, or did when the early part of this boot looked.
    Framebuffer,
    /// `boot_display` of its DRM node (kernel 6.18, `Documentation/ABI/testing/sysfs-class-drm`).
    BootDisplay,
    /// `boot_vga`, which only VGA controllers (class 0300) have: the kernel's guess where no framebuffer tells
    /// (`drivers/pci/vgaarb.c`).
    BootVga,
}

/// The display that the firmware showed its messages on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BootDisplay {
    /// Its functions: one, if the firmware is to be believed; none if it is not known, or was not asked for.
    pub functions: Vec<Address>,
    /// How that is known.
    pub sign: Option<BootSign>,
}

/// Where the early part of the boot writes on which function it saw the firmware's framebuffer. Once the display's driver has
/// come nobody can see that any more, and a replayed event must not find another boot display than the boot did.
pub fn boot_display_path() -> String {
    format!("{RUN}/boot-display")
}

/// Looks which display is the boot display. All signs are about display controllers of every class (03xx); the strongest
/// that is there counts.
pub(super) fn boot(root: &Root, functions: &[Function]) -> BootDisplay {
    decide(root, functions, || framebuffer::find(root).into_iter().map(|f| f.function).collect())
}

fn decide(root: &Root, functions: &[Function], framebuffers: impl FnOnce() -> Vec<Address>) -> BootDisplay {
    let of = |is: &dyn Fn(&Function) -> bool| -> Vec<Address> {
        functions.iter().filter(|f| f.is_display() && is(f)).map(|f| f.address).collect()
    };
    let seen = root.read_text(&boot_display_path()).ok().and_then(|text| text.parse::<Address>().ok());
    let seen: Vec<Address> = seen.map_or_else(framebuffers, |address| vec![address]);
    let by_drm = |f: &Function| {
        let says = |card: &String| root.read_text(&format!("{card}/boot_display")).is_ok_and(|text| text == "1");
        cards(root, f.address).iter().any(says)
    };
    let known =
        |sign, functions: Vec<Address>| (!functions.is_empty()).then_some(BootDisplay { functions, sign: Some(sign) });
    known(BootSign::Framebuffer, of(&|f| seen.contains(&f.address)))
        .or_else(|| known(BootSign::BootDisplay, of(&by_drm)))
        .or_else(|| known(BootSign::BootVga, of(&|f| f.boot_vga)))
        .unwrap_or_default()
}

/// The directories of a function's DRM cards, below the root.
pub fn cards(root: &Root, function: Address) -> Vec<String> {
    let drm = attribute(function, "drm");
    let names = root.list(&drm).unwrap_or_default();
    names.into_iter().filter(|name| name.starts_with("card")).map(|name| format!("{drm}/{name}")).collect()
}

/// The directories of a function's sound cards, below the root.
pub fn sound(root: &Root, function: Address) -> Vec<String> {
    let sound = attribute(function, "sound");
    let names = root.list(&sound).unwrap_or_default();
    names.into_iter().filter(|name| name.starts_with("card")).map(|name| format!("{sound}/{name}")).collect()
}

/// The displays among the functions, and which of them is the boot display; `found` are the firmware's framebuffers.
pub(super) fn scan(root: &Root, functions: &[Function], found: &[Framebuffer]) -> (Vec<Display>, BootDisplay) {
    let framebuffers: Vec<Address> = found.iter().map(|f| f.function).collect();
    let boot = decide(root, functions, || framebuffers.clone());
    let display = |f: &Function| {
        let drm = attribute(f.address, "drm");
        let names = root.list(&drm).unwrap_or_default();
        let card = names.into_iter().find(|n| n.starts_with("card"));
        let connectors = card.as_ref().map(|card| connectors(root, &drm, card)).unwrap_or_default();
        Display {
            function: f.address,
            boot: boot.functions.contains(&f.address),
            firmware_framebuffer: framebuffers.contains(&f.address),
            card,
            connectors,
        }
    };
    let displays = functions.iter().filter(|f| f.is_display()).map(display).collect();
    (displays, boot)
}

/// Whether a function has a socket for a monitor that its driver knows of.
pub fn has_connector(root: &Root, function: Address) -> bool {
    let drm = attribute(function, "drm");
    let names = root.list(&drm).unwrap_or_default();
    names.iter().filter(|name| name.starts_with("card")).any(|card| !connectors(root, &drm, card).is_empty())
}

/// Connectors are directories `cardN-NAME` in the card's with a `status` (`drivers/gpu/drm/drm_sysfs.c`).
fn connectors(root: &Root, drm: &str, card: &str) -> Vec<Connector> {
    let names = root.list(&format!("{drm}/{card}")).unwrap_or_default();
    let connector = |entry: &String| {
        let name = entry.strip_prefix(card)?.strip_prefix('-')?;
        let status = root.read_text(&format!("{drm}/{card}/{entry}/status")).ok()?;
        Some(Connector { name: name.to_owned(), connected: status == "connected" })
    };
    names.iter().filter_map(connector).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::host::Depth;

    const FIRST: &str = "0000:01:00.0";
    const SECOND: &str = "0000:02:00.0";

    fn write(tree: &tempfile::TempDir, path: &str, text: &str) {
        let path = tree.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Signs on one machine, one after the other, the weakest first: each that comes wins over all before it.
    #[test]
    fn the_strongest_sign_counts() {
        let tree = tempfile::tempdir().unwrap();
        for (address, class) in [(FIRST, "30000"), (SECOND, "38000"), ("0000:03:00.0", "20000")] {
            let uevent = format!("PCI_CLASS={class}\nPCI_ID=1002:73BF\nPCI_SUBSYS_ID=0000:0000\n");
            write(&tree, &format!("sys/bus/pci/devices/{address}/uevent"), &uevent);
        }
        let root = Root::open(tree.path()).unwrap();
        let found = || {
            let functions = crate::host::function::scan(&root, Depth::Boot);
            let boot = boot(&root, &functions);
            assert_eq!(scan(&root, &functions, &framebuffer::find(&root)).1, boot, "both ways to look find the same");
            (boot.functions.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "), boot.sign)
        };
        assert_eq!(found(), (String::new(), None));
        write(&tree, &format!("sys/bus/pci/devices/{FIRST}/boot_vga"), "1\n");
        assert_eq!(found(), (FIRST.to_owned(), Some(BootSign::BootVga)));
        write(&tree, &format!("sys/bus/pci/devices/{SECOND}/drm/card1/boot_display"), "1\n");
        assert_eq!(found(), (SECOND.to_owned(), Some(BootSign::BootDisplay)));
        // Not a display: what lies there says nothing.
        write(&tree, "proc/iomem", "e0000000-efffffff : 0000:03:00.0\n  e0000000-e07e8fff : efifb\n");
        assert_eq!(found(), (SECOND.to_owned(), Some(BootSign::BootDisplay)));
        write(&tree, "proc/iomem", "e0000000-efffffff : 0000:01:00.0\n  e0000000-e07e8fff : efifb\n");
        assert_eq!(found(), (FIRST.to_owned(), Some(BootSign::Framebuffer)));
        write(&tree, "run/vfio/boot-display", "0000:02:00.0\n");
        assert_eq!(found(), (SECOND.to_owned(), Some(BootSign::Framebuffer)));
        // What was written down about a card that is gone, or that nobody can read, is as nothing.
        for gone in ["0000:07:00.0\n", "", "x\n"] {
            write(&tree, "run/vfio/boot-display", gone);
            assert_ne!(found().0, "", "{gone:?}");
        }
    }
}
