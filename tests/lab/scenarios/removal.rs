// SPDX-License-Identifier: LGPL-2.1-or-later
//! The package is removed: the next boot is as if it had never been there.

use super::{boot, probed};
use crate::checks::Checks;
use crate::images::Disk;
use crate::machine::{Boot, Machine};
use anyhow::Result;

const SCRIPT: &str = r#"
drivers
find / -xdev -iname '*vfio*' ! -path '/usr/lib/modules/*' ! -path '/usr/src/*' ! -path '/lab/*' >/lab/left
systemctl list-units --failed --plain --no-legend >/lab/failed
"#;

/// The disk of a machine that had a card bound at boot, and whose administrator then purged the package.
fn purged(name: &'static str, mut disk: Disk) -> Disk {
    disk.name = name;
    // The initramfs that reserves the card is there, as after a boot with it; what the removal does about it is its own.
    disk.commands = vec!["REBUILD".to_owned(), "apt-get -y purge vfio-suite".to_owned()];
    disk.rebuild = false;
    disk.report.clear();
    disk
}

fn removed(name: &'static str, disk: &Disk) -> Result<()> {
    let run = Machine::new(name, disk)?.boot(&Boot::new("boot", SCRIPT))?;
    let mut checks = Checks::default();
    let dmesg = run.text("dmesg");
    for slot in ["0000:01:00", "0000:02:00"] {
        for (function, driver) in [(0, "bochs-drm"), (1, "snd_hda_intel")] {
            let address = format!("{slot}.{function}");
            checks.same(&address, run.fact(&address), driver);
            checks.same("drivers that were tried on it", probed(&dmesg, &address), [driver]);
        }
    }
    let left = run.text("left");
    let ours = left.lines().filter(|path| !path.contains("/qemu") && !path.contains("/linux-image"));
    checks.same("files that the package left", ours.collect::<Vec<_>>(), Vec::<&str>::new());
    checks.same("units that failed", run.text("failed").trim(), "");
    checks.done()
}

pub fn dracut() -> Result<()> {
    removed("machine_removed_dracut", &purged("dracut-removed", boot::dracut_disk()))
}

pub fn initramfs_tools() -> Result<()> {
    removed("machine_removed_initramfs_tools", &purged("initramfs-tools-removed", boot::initramfs_tools_disk()))
}
