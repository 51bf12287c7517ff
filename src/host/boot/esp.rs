// SPDX-License-Identifier: LGPL-2.1-or-later
//! Where the partitions that the firmware and its loaders read are mounted: the ESP, and `XBOOTLDR`.
//!
//! The ESP is the partition that the firmware booted from, as the loader says (`LoaderDevicePartUUID`); else it is looked for
//! as bootctl(1) does, at `/efi`, `/boot/efi` and `/boot`, and below these. Nothing else is one, however it looks: a stick
//! with a loader of its own is somebody else's, and so is whatever can be pulled out.

use super::efi;
use crate::host::boot::probe::below;
use crate::host::mounts::{mounts, Mount};
use crate::root::Root;
use std::collections::BTreeMap;

/// Where an ESP is mounted, first the one that cannot be anything else.
const ESP: [&str; 3] = ["efi", "boot/efi", "boot"];
/// Where media of the moment are mounted (file-hierarchy(7), udisks(8)).
const MEDIA: [&str; 3] = ["run/media", "media", "mnt"];
/// What a partition of a GPT is (UEFI specification; UAPI Boot Loader Specification).
const TYPES: [&str; 2] = ["c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "bc13c2ff-59e6-4262-a352-b275fd6f7172"];
/// Deeper than anybody stacks devices; the kernel makes no circles.
const DEEP: u32 = 16;

/// The partitions for boot files, as paths below the root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Partitions {
    /// The EFI system partition.
    pub esp: Option<String>,
    /// `XBOOTLDR`: `/boot`, if it is another that a loader can read.
    pub extended: Option<String>,
    /// Where something is mounted that looks like the ESP that is missing, and that is left alone.
    pub left_alone: Vec<LeftAlone>,
}

/// A file system with a loader that is not taken for the machine's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftAlone {
    /// Where it is mounted, below the root.
    pub at: String,
    /// Why: what comes after its path in a sentence.
    pub why: &'static str,
}

impl Partitions {
    /// Finds them.
    pub fn find(root: &Root) -> Partitions {
        let booted = efi::partition(root);
        let read = || root.read(MOUNTINFO).ok().map(|text| mounts(&String::from_utf8_lossy(&text)));
        let Some(mut mounted) = read() else { return Partitions::of_directories(root) };
        // systemd mounts it when somebody looks there (systemd-gpt-auto-generator(8)); which one it is shows only then.
        let waits = |at: &str| of_place(&mounted, at).is_some_and(|mount| mount.kind == "autofs");
        let waiting: Vec<&str> = ESP.into_iter().filter(|at| waits(at)).collect();
        if !waiting.is_empty() {
            // One that cannot be mounted is not there either way.
            waiting.iter().for_each(|at| drop(root.list(at)));
            mounted = read().unwrap_or(mounted);
        }
        Partitions::of_mounts(root, &mounted, booted.as_deref())
    }

    /// Both, the ESP first.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        [&self.esp, &self.extended].into_iter().flatten().map(String::as_str)
    }

    /// Whether a file is on a file system that is left alone.
    pub(super) fn leave_alone(&self, path: &str) -> bool {
        self.is_on(path, self.left_alone.iter().map(|alone| alone.at.as_str()))
    }

    /// Whether a file is on one of these, and not on one of the machine's own below it.
    pub(super) fn is_on<'p>(&'p self, path: &str, places: impl Iterator<Item = &'p str>) -> bool {
        let closest =
            |places: &mut dyn Iterator<Item = &'p str>| places.filter(|at| is_below(path, &[at])).map(str::len).max();
        let closest_of_these = closest(&mut { places });
        closest_of_these.is_some() && closest_of_these > closest(&mut self.all())
    }

    /// What lies at a path on either of them.
    pub(in crate::host) fn each(&self, root: &Root, path: &str) -> Vec<String> {
        self.all().filter_map(|partition| below(root, partition, path)).collect()
    }

    fn of_mounts(root: &Root, mounts: &[Mount], booted: Option<&str>) -> Partitions {
        let is_fat = |mount: &&Mount| matches!(&*mount.kind, "vfat" | "msdos" | "autofs") && mount.part == "/";
        // What another covers is not seen.
        let seen: BTreeMap<&str, &Mount> = mounts.iter().map(|mount| (mounted_at(mount), mount)).collect();
        let is_seen = |mount: &&Mount| seen.get(mounted_at(mount)).is_some_and(|last| std::ptr::eq(*last, *mount));
        let fat: Vec<&Mount> = mounts.iter().filter(is_fat).filter(is_seen).collect();
        let (own, others): (Vec<&Mount>, Vec<&Mount>) = fat.iter().partition(|mount| why_not(root, mount).is_none());
        let at = |at: &str| own.iter().find(|mount| mounted_at(mount) == at);
        let from = booted.and_then(|uuid| own.iter().find(|mount| is_partition(root, mount, uuid)));
        let usual = || ESP.iter().find_map(|place| at(place));
        // Some mount it at a place of their own below these.
        let odd = || own.iter().find(|mount| is_below(mounted_at(mount), &["boot", "efi"]) && is_likely(root, mount));
        let esp = from.or_else(usual).or_else(odd).map(|mount| mounted_at(mount).to_owned());
        let extended = at("boot").is_some() && esp.as_deref() != Some("boot");
        let looks_like_it = |mount: &&Mount| {
            let is_booted = booted.is_some_and(|uuid| is_partition(root, mount, uuid));
            let is_usual = ESP.contains(&mounted_at(mount)) && why_not(root, mount).is_some();
            is_usual || is_booted && from.is_none() || esp.is_none() && below(root, mounted_at(mount), "EFI").is_some()
        };
        let elsewhere = |mount: &Mount| {
            let why =
                why_not(root, mount).unwrap_or("is mounted where no EFI system partition of this machine would be");
            LeftAlone { at: mounted_at(mount).to_owned(), why }
        };
        let unlikely = own.iter().copied().filter(|mount| esp.as_deref() != Some(mounted_at(mount)));
        let left_alone = others.into_iter().chain(unlikely).filter(looks_like_it).map(elsewhere).collect();
        // What lies in its directory while it is not mounted is not what the firmware reads.
        let extended = (extended && esp.is_some()).then(|| "boot".to_owned());
        Partitions { esp, extended, left_alone }
    }

    /// In a tree of which nobody knows the mounts, by what is there.
    fn of_directories(root: &Root) -> Partitions {
        let has = |at: &str, path: &str| below(root, at, path).is_some();
        // On a case-blind disk /boot/efi would be the EFI of an ESP at /boot.
        let is_esp = |at: &&str| has(at, "EFI") && !(*at == "boot" && root.exists("boot/efi/EFI"));
        let esp = ESP.into_iter().find(is_esp).map(str::to_owned);
        let other = esp.as_deref() != Some("boot") && (has("boot", "loader/entries") || root.exists("boot/EFI/Linux"));
        let extended = (esp.is_some() && other).then(|| "boot".to_owned());
        Partitions { esp, extended, left_alone: Vec::new() }
    }
}

/// The mounts of the program that looks.
pub(super) const MOUNTINFO: &str = "proc/self/mountinfo";

/// Where it is mounted, below the root.
pub(super) fn mounted_at(mount: &Mount) -> &str {
    mount.at.trim_matches('/')
}

/// What is seen at a place: what was mounted there last.
fn of_place<'m>(mounts: &'m [Mount], at: &str) -> Option<&'m Mount> {
    mounts.iter().rfind(|mount| mounted_at(mount) == at)
}

pub(super) fn is_below(path: &str, directories: &[&str]) -> bool {
    let inside = |directory: &&str| path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'));
    directories.iter().any(inside)
}

/// Why a file system is nobody's ESP, whatever is on it: what comes after its path in a sentence.
fn why_not(root: &Root, mount: &Mount) -> Option<&'static str> {
    let at = mounted_at(mount);
    if MEDIA.contains(&at) || is_below(at, &MEDIA) {
        return Some("is mounted where media of the moment are");
    }
    can_be_pulled_out(root, &mount.number, DEEP).then_some("is on a device that can be pulled out")
}

/// Whether a block device can be pulled out while the machine runs: it says so itself, or it hangs on USB. One that is made
/// of others can if one of them can.
fn can_be_pulled_out(root: &Root, number: &str, deep: u32) -> bool {
    let device = format!("sys/dev/block/{number}");
    let on_usb = root.read_link(&device).is_ok_and(|target| {
        let is_bus =
            |part: &str| part.strip_prefix("usb").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        target.to_string_lossy().split('/').any(is_bus)
    });
    let says_so = |path: String| root.read_text(&path).is_ok_and(|text| text == "1");
    // Of a partition its disk says it.
    if on_usb || says_so(format!("{device}/removable")) || says_so(format!("{device}/../removable")) {
        return true;
    }
    let parts = root.list(&format!("{device}/slaves")).unwrap_or_default();
    let number = |name: &String| root.read_text(&format!("{device}/slaves/{name}/dev")).ok();
    deep > 0 && parts.iter().filter_map(number).any(|part| can_be_pulled_out(root, &part, deep - 1))
}

/// What udev knows of a block device (`/run/udev/data/bMAJOR:MINOR`).
fn known(root: &Root, mount: &Mount, key: &str) -> Option<String> {
    let text = root.read_text(&format!("run/udev/data/b{}", mount.number)).ok()?;
    let value = |line: &str| line.strip_prefix("E:")?.strip_prefix(key)?.strip_prefix('=').map(str::to_ascii_lowercase);
    text.lines().find_map(value)
}

/// Whether a file system is on the partition with this UUID.
pub(super) fn is_partition(root: &Root, mount: &Mount, uuid: &str) -> bool {
    if let Some(its) = known(root, mount, "ID_PART_ENTRY_UUID") {
        return its == uuid;
    }
    let Ok(device) = root.link_name(&format!("dev/disk/by-partuuid/{uuid}")) else { return false };
    let by_number = root.link_name(&format!("sys/dev/block/{}", mount.number));
    device == by_number.unwrap_or_else(|_| mount.source.rsplit('/').next().unwrap_or_default().to_owned())
}

/// Whether a file system at an unusual place is an ESP: it looks like one, its partition is of no other type, and it is no
/// image in a file.
fn is_likely(root: &Root, mount: &Mount) -> bool {
    let of_type = known(root, mount, "ID_PART_ENTRY_TYPE").is_none_or(|its| TYPES.contains(&&*its) || its == "0xef");
    let in_a_file = root.exists(&format!("sys/dev/block/{}/loop", mount.number))
        || root.exists(&format!("sys/dev/block/{}/../loop", mount.number));
    mount.kind != "autofs" && of_type && !in_a_file && below(root, mounted_at(mount), "EFI").is_some()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    /// Disks of a machine: one in it with two partitions, one on USB, one in a card reader, an array of the first two, and
    /// an image in a file.
    fn tree() -> tempfile::TempDir {
        let tree = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = tree.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        for (number, path, removable) in [
            ("259:1", "pci0000:00/0000:00:1d.0/0000:3d:00.0/nvme/nvme1/nvme1n1/nvme1n1p1", "0"),
            ("259:2", "pci0000:00/0000:00:1d.0/0000:3d:00.0/nvme/nvme1/nvme1n1/nvme1n1p2", "0"),
            ("8:17", "pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host6/target6:0:0/6:0:0:0/block/sdb/sdb1", "0"),
            ("8:33", "pci0000:00/0000:00:17.0/ata3/host2/target2:0:0/2:0:0:0/block/sdc/sdc1", "1"),
            ("9:0", "virtual/block/md/md0", "0"),
            ("259:9", "virtual/block/loop0/loop0p1", "0"),
        ] {
            let device = format!("sys/devices/{path}");
            write(&format!("{device}/dev"), &format!("{number}\n"));
            write(&format!("{device}/../removable"), &format!("{removable}\n"));
            fs::create_dir_all(tree.path().join("sys/dev/block")).unwrap();
            symlink(format!("../../devices/{path}"), tree.path().join(format!("sys/dev/block/{number}"))).unwrap();
        }
        write("sys/devices/virtual/block/loop0/loop/backing_file", "/srv/image\n");
        fs::create_dir_all(tree.path().join("sys/devices/virtual/block/md/md0/slaves")).unwrap();
        let slave = "../../../../../pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host6/target6:0:0/6:0:0:0/block/sdb/sdb1";
        symlink(slave, tree.path().join("sys/devices/virtual/block/md/md0/slaves/sdb1")).unwrap();
        fs::create_dir_all(tree.path().join("dev/disk/by-partuuid")).unwrap();
        symlink("../../nvme1n1p1", tree.path().join("dev/disk/by-partuuid/0123-ab")).unwrap();
        symlink("../../sdb1", tree.path().join("dev/disk/by-partuuid/5555-cd")).unwrap();
        write("run/udev/data/b259:2", "S:disk/x\nE:ID_PART_ENTRY_UUID=7777-EF\nE:ID_PART_ENTRY_TYPE=other\n");
        for at in ["run/media/me/STICK", "srv/esp", "boot/efi2", "mnt", "boot", "efi"] {
            fs::create_dir_all(tree.path().join(at).join("EFI")).unwrap();
        }
        tree
    }

    fn line((at, number, kind): (&str, &str, &str)) -> String {
        format!("30 1 {number} / /{at} rw shared:1 - {kind} /dev/x rw")
    }

    fn found(lines: &[(&str, &str, &str)], booted: Option<&str>) -> Partitions {
        let tree = tree();
        let root = Root::open(tree.path()).unwrap();
        let text: Vec<String> = lines.iter().copied().map(line).collect();
        Partitions::of_mounts(&root, &mounts(&text.join("\n")), booted)
    }

    fn shown(lines: &[(&str, &str, &str)], booted: Option<&str>) -> (Option<String>, Option<String>, Vec<String>) {
        let found = found(lines, booted);
        (found.esp, found.extended, found.left_alone.into_iter().map(|alone| alone.at).collect())
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    const NONE: Vec<String> = Vec::new();

    #[test]
    fn mounts_tell_the_esp_from_xbootldr() {
        let root = ("", "254:1", "ext4");
        let boot = ("boot", "259:2", "vfat");
        let efi = ("efi", "259:4", "vfat");
        let auto = ("efi", "0:40", "autofs");
        let below = ("boot/efi", "259:1", "vfat");
        let ext4 = ("boot", "259:4", "ext4");
        assert_eq!(shown(&[root], None), (None, None, NONE));
        assert_eq!(shown(&[root, boot], None), (some("boot"), None, NONE));
        assert_eq!(shown(&[root, boot, efi], None), (some("efi"), some("boot"), NONE));
        assert_eq!(shown(&[root, auto, boot], None), (some("efi"), some("boot"), NONE));
        assert_eq!(shown(&[root, ext4, below], None), (some("boot/efi"), None, NONE));
        assert_eq!(shown(&[root, boot, below], None), (some("boot/efi"), some("boot"), NONE));
        // The partition that booted is the ESP, whatever else is mounted and wherever it is.
        assert_eq!(shown(&[root, efi, below], Some("0123-ab")), (some("boot/efi"), None, NONE));
        assert_eq!(shown(&[root, efi, ("srv/esp", "259:1", "vfat")], Some("0123-ab")).0, some("srv/esp"));
        assert_eq!(shown(&[root, efi, ("srv/esp", "259:2", "vfat")], Some("7777-ef")).0, some("srv/esp"));
        assert_eq!(shown(&[root, efi, below], Some("ffff")), (some("efi"), None, NONE));
    }

    /// Regression: where nothing was at the usual places, a stick with a loader was taken for the ESP, and edited.
    #[test]
    fn nothing_that_can_be_pulled_out_is_the_esp() {
        let root = ("", "254:1", "ext4");
        for alone in [
            ("run/media/me/STICK", "8:17"),
            ("run/media/me/STICK", "259:1"),
            ("mnt", "259:1"),
            ("srv/esp", "8:17"),
            ("srv/esp", "259:1"),
            ("boot", "8:33"),
            ("boot", "9:0"),
            ("efi", "8:17"),
            ("boot/efi2", "8:17"),
            ("boot/efi2", "259:9"),
            ("boot/efi2", "259:2"),
        ] {
            let (at, number) = alone;
            assert_eq!(shown(&[root, (at, number, "vfat")], None), (None, None, vec![at.to_owned()]), "{alone:?}");
        }
        // Also if the machine booted from it, and if it covers the ESP.
        let stick = ("run/media/me/STICK", "8:17", "vfat");
        assert_eq!(shown(&[root, stick], Some("5555-cd")), (None, None, vec!["run/media/me/STICK".to_owned()]));
        let (efi, over) = (("efi", "259:1", "vfat"), ("efi", "8:17", "vfat"));
        assert_eq!(shown(&[root, efi, over], Some("0123-ab")), (None, None, vec!["efi".to_owned()]));
        // Beside the machine's own nobody needs to hear of it.
        assert_eq!(shown(&[root, efi, stick], None), (some("efi"), None, NONE));
        // Limine and rEFInd look through /boot whatever is there.
        let found = found(&[root, ("boot/efi", "259:1", "vfat"), ("boot", "8:33", "vfat")], None);
        assert!(found.leave_alone("boot/limine.conf") && found.leave_alone("boot/loader/entries/x.conf"));
        assert!(!found.leave_alone("boot/efi/limine.conf") && !found.leave_alone("bootx/limine.conf"));
    }

    #[test]
    fn one_at_a_place_of_its_own_below_boot() {
        assert_eq!(shown(&[("boot/efi2", "259:1", "vfat")], None).0, some("boot/efi2"));
        // A part of a file system is not all of it.
        let tree = tree();
        let root = Root::open(tree.path()).unwrap();
        let bound = mounts("30 1 259:1 /EFI/arch /boot rw - vfat /dev/nvme1n1p1 rw");
        assert_eq!(Partitions::of_mounts(&root, &bound, None).esp, None);
    }
}
