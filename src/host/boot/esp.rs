// SPDX-License-Identifier: LGPL-2.1-or-later
//! Where the partitions that the firmware and its loaders read are mounted: the ESP, and `XBOOTLDR`.
//!
//! Looked for as bootctl(1) does, at `/efi`, `/boot/efi` and `/boot`; a partition's type would need its block device.

use super::look::{below, join};
use crate::root::Root;

/// Where an ESP is mounted, first the one that cannot be anything else.
const ESP: [&str; 3] = ["efi", "boot/efi", "boot"];

/// The partitions for boot files, as paths below the root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Partitions {
    /// The EFI system partition.
    pub esp: Option<String>,
    /// `XBOOTLDR`: `/boot`, if it is another that a loader can read.
    pub extended: Option<String>,
}

impl Partitions {
    /// Finds them. `booted` is the UUID of the partition that the loader came from.
    pub fn find(root: &Root, booted: Option<&str>) -> Partitions {
        match root.read("proc/self/mountinfo") {
            Ok(text) => Partitions::of_mounts(root, &String::from_utf8_lossy(&text), booted),
            Err(_) => Partitions::of_directories(root),
        }
    }

    /// Both, the ESP first.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        [&self.esp, &self.extended].into_iter().flatten().map(String::as_str)
    }

    /// What lies at a path on either of them.
    pub(in crate::host) fn each(&self, root: &Root, path: &str) -> Vec<String> {
        self.all().filter_map(|partition| below(root, partition, path)).collect()
    }

    fn of_mounts(root: &Root, text: &str, booted: Option<&str>) -> Partitions {
        let mounts = mounts(text);
        let fat: Vec<&Mount> = mounts.iter().filter(|m| matches!(&*m.kind, "vfat" | "msdos" | "autofs")).collect();
        let device = booted.and_then(|uuid| root.link_name(&format!("dev/disk/by-partuuid/{uuid}")).ok());
        let from = fat.iter().find(|mount| {
            let name = mount.source.rsplit('/').next().unwrap_or_default();
            device.as_deref() == Some(name) && !name.is_empty()
        });
        let usual = || ESP.iter().find_map(|at| fat.iter().find(|mount| mount.at == *at));
        // Some mount it at a place of their own below /boot.
        let odd = || fat.iter().find(|m| m.kind != "autofs" && below(root, &m.at, "EFI").is_some());
        let esp = from.or_else(usual).or_else(odd).map(|mount| mount.at.clone());
        let extended = fat.iter().any(|mount| mount.at == "boot") && esp.as_deref() != Some("boot");
        // What lies in its directory while it is not mounted is not what the firmware reads.
        match esp {
            Some(esp) => Partitions { esp: Some(esp), extended: extended.then(|| "boot".to_owned()) },
            None => Partitions::default(),
        }
    }

    /// In a tree of which nobody knows the mounts, by what is there.
    fn of_directories(root: &Root) -> Partitions {
        let has = |at: &str, path: &str| below(root, at, path).is_some();
        // On a case-blind disk /boot/efi would be the EFI of an ESP at /boot.
        let is_esp = |at: &&str| has(at, "EFI") && !(*at == "boot" && root.exists("boot/efi/EFI"));
        let esp = ESP.into_iter().find(is_esp).map(str::to_owned);
        let other = esp.as_deref() != Some("boot") && (has("boot", "loader/entries") || root.exists("boot/EFI/Linux"));
        Partitions { extended: (esp.is_some() && other).then(|| "boot".to_owned()), esp }
    }
}

/// A mounted file system.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    /// Where, below the root.
    at: String,
    kind: String,
    source: String,
}

/// The mounts of a `mountinfo` (proc_pid_mountinfo(5)).
fn mounts(text: &str) -> Vec<Mount> {
    let mount = |line: &str| {
        let (place, what) = line.split_once(" - ")?;
        let at = unescape(place.split(' ').nth(4)?);
        let mut what = what.split(' ');
        Some(Mount {
            at: join("", at.trim_matches('/')),
            kind: what.next()?.to_owned(),
            source: unescape(what.next()?),
        })
    };
    text.lines().filter_map(mount).collect()
}

/// Blanks, tabs, line ends and backslashes stand there as three octal digits.
fn unescape(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()).filter(u8::is_ascii);
        match code {
            Some(code) => {
                plain.push(char::from(code));
                plain.push_str(&part[3..]);
            }
            None => {
                plain.push('\\');
                plain.push_str(part);
            }
        }
    }
    plain
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn found(lines: &[&str], booted: Option<&str>) -> (Option<String>, Option<String>) {
        let tree = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(tree.path().join("dev/disk/by-partuuid")).unwrap();
        let link = tree.path().join("dev/disk/by-partuuid/0123-ab");
        std::os::unix::fs::symlink("../../nvme1n1p1", link).unwrap();
        let root = Root::open(tree.path()).unwrap();
        let partitions = Partitions::of_mounts(&root, &lines.join("\n"), booted);
        (partitions.esp, partitions.extended)
    }

    #[test]
    fn mounts_tell_the_esp_from_xbootldr() {
        let root = "22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw";
        let boot = "30 22 259:2 / /boot rw shared:2 - vfat /dev/nvme0n1p2 rw";
        let efi = "31 22 259:1 / /efi rw shared:3 master:1 - vfat /dev/nvme0n1p1 rw";
        let auto = "32 22 0:40 / /efi rw - autofs systemd-1 rw";
        let below = "33 30 259:3 / /boot/efi rw - vfat /dev/nvme1n1p1 rw";
        let ext4 = "34 22 259:4 / /boot rw - ext4 /dev/nvme0n1p4 rw";
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(found(&[root], None), (None, None));
        assert_eq!(found(&[root, boot], None), (some("boot"), None));
        assert_eq!(found(&[root, boot, efi], None), (some("efi"), some("boot")));
        assert_eq!(found(&[root, auto, boot], None), (some("efi"), some("boot")));
        assert_eq!(found(&[root, ext4, below], None), (some("boot/efi"), None));
        assert_eq!(found(&[root, boot, below], None), (some("boot/efi"), some("boot")));
        // The partition that booted is the ESP, whatever else is mounted.
        assert_eq!(found(&[root, efi, below], Some("0123-ab")), (some("boot/efi"), None));
        assert_eq!(found(&[root, efi, below], Some("ffff")), (some("efi"), None));
    }

    #[test]
    fn lines_of_mountinfo() {
        assert_eq!(mounts("no such line\n1 2 3\n1 2 3:4 / - x\n"), []);
        let [mount] = &mounts("1 2 3:4 /sub /mnt/a\\040b\\134\\9 rw - fuse.x \\ rw")[..] else { panic!() };
        assert_eq!((&*mount.at, &*mount.source), ("mnt/a b\\\\9", "\\"));
        assert_eq!(mounts("1 2 3:4 / / rw - ext4 /dev/vda rw")[0].at, "");
    }
}
