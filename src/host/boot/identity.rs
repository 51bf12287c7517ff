// SPDX-License-Identifier: LGPL-2.1-or-later
//! Which system this is: what tells its boot entries from those of other systems in the same files.

use crate::host::boot::probe::text;
use crate::host::kernel_cmdline::KernelCmdline;
use crate::host::mounts::{self, Mount};
use crate::root::Root;

/// What of udev's data names the root file system as `root=` does.
const NAMES: [(&str, &str); 4] = [
    ("ID_FS_UUID", "UUID"),
    ("ID_FS_LABEL", "LABEL"),
    ("ID_PART_ENTRY_UUID", "PARTUUID"),
    ("ID_PART_ENTRY_NAME", "PARTLABEL"),
];
/// The same as directories of links.
const LINKS: [(&str, &str); 4] = [
    ("/dev/disk/by-uuid/", "UUID"),
    ("/dev/disk/by-label/", "LABEL"),
    ("/dev/disk/by-partuuid/", "PARTUUID"),
    ("/dev/disk/by-partlabel/", "PARTLABEL"),
];
/// Where snapper keeps snapshots. A root in there is one of many.
const SNAPSHOTS: &str = ".snapshots/";

/// What is known of this system. Without knowledge no entry is another's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// machine-id(5).
    machine_id: Option<String>,
    /// What its root file system is called. Another name of the same kind is another root.
    roots: Vec<String>,
    /// What the running kernel calls it; of another system in a chroot.
    running: Option<String>,
    /// Which subvolume of a btrfs it is, without the `/` before it.
    subvolume: Option<String>,
}

impl Identity {
    /// Looks.
    pub fn read(root: &Root, parameters: &KernelCmdline) -> Identity {
        let machine_id = text(root, "etc/machine-id").map(|text| text.trim().to_owned());
        let running = parameters.iter().filter_map(root_of).last();
        let mount = mounts::of_system(root).into_iter().rfind(|mount| mount.at == "/");
        let mut roots = mount.as_ref().map(|mount| names(root, mount)).unwrap_or_default();
        // In a chroot what the kernel says is another system's; udev's data is not.
        if !roots.iter().any(|name| kind(name) == "UUID") {
            roots.extend(running.clone());
        }
        let subvolume = mount.filter(|mount| mount.kind == "btrfs").map(|mount| bare(&mount.part).to_owned());
        Identity {
            machine_id: machine_id.filter(|id| !id.is_empty() && id != "uninitialized"),
            roots,
            running,
            subvolume: subvolume.filter(|part| !part.is_empty() && !part.contains(SNAPSHOTS)),
        }
    }

    /// Whether an entry of the machine with this id is of another system.
    pub fn is_other_machine(&self, id: &str) -> bool {
        self.machine_id.as_deref().is_some_and(|own| own != id)
    }

    /// Whether a command line is another system's: it names another root file system, or another subvolume of this one.
    pub fn is_other(&self, parameters: &[String]) -> bool {
        let Some(its) = parameters.iter().filter_map(|parameter| root_of(parameter)).next_back() else { return false };
        if !self.roots.contains(&its) && self.running.as_ref() != Some(&its) {
            return !kind(&its).is_empty() && self.roots.iter().any(|own| kind(own) == kind(&its));
        }
        let its = parameters.iter().filter_map(|parameter| subvolume_of(parameter)).next_back();
        self.subvolume.as_deref().zip(its).is_some_and(|(own, its)| own != its)
    }
}

/// The names of a mounted root file system.
fn names(root: &Root, mount: &Mount) -> Vec<String> {
    if mount.kind == "zfs" {
        return vec![format!("ZFS={}", mount.source)];
    }
    let Some(path) = mount.source.strip_prefix('/') else { return Vec::new() };
    let name = root.link_name(path).unwrap_or_else(|_| path.rsplit('/').next().unwrap_or_default().to_owned());
    // On btrfs the mount has a number of its own.
    let number = root.read_text(&format!("sys/class/block/{name}/dev")).unwrap_or_else(|_| mount.number.clone());
    let data = root.read_text(&format!("run/udev/data/b{number}")).unwrap_or_default();
    let value = |key: &str| {
        let of_line = |line: &str| line.strip_prefix("E:")?.strip_prefix(key)?.strip_prefix('=').map(str::to_owned);
        data.lines().find_map(of_line)
    };
    let mut found: Vec<String> =
        NAMES.iter().filter_map(|(key, tag)| Some(name_of(&format!("{tag}={}", value(key)?)))).collect();
    found.push(name_of(&mount.source));
    // A btrfs may be on several partitions, each of which is a name of it.
    if mount.kind == "btrfs" || mount.kind == "bcachefs" {
        found.retain(|name| !kind(name).starts_with("PART") && kind(name) != "/");
    }
    found
}

/// The root file system that a parameter names, in the form in which names are compared.
fn root_of(parameter: &str) -> Option<String> {
    parameter.strip_prefix("root=").map(|value| name_of(value.trim_matches('"')))
}

fn name_of(value: &str) -> String {
    for (directory, tag) in LINKS {
        if let Some(rest) = value.strip_prefix(directory) {
            return name_of(&format!("{tag}={rest}"));
        }
    }
    let prefix = |tag: &str| value.get(..tag.len()).filter(|start| start.eq_ignore_ascii_case(tag));
    if prefix("zfs=").or(prefix("zfs:")).is_some() {
        return format!("ZFS={}", &value[4..]);
    }
    match value.split_once('=') {
        Some((tag @ ("UUID" | "PARTUUID"), id)) => format!("{tag}={}", id.to_ascii_lowercase()),
        _ => value.to_owned(),
    }
}

/// What kind of name it is. Names of one kind are of one file system only if they are the same; of a path that is so only where
/// it is a partition's: a mapped device has several.
fn kind(name: &str) -> &str {
    match name.split_once('=') {
        // The pool says which dataset it is.
        Some(("ZFS", dataset)) if !dataset.contains('/') => "",
        Some((tag, _)) => tag,
        None if is_partition(name) => "/",
        None => "",
    }
}

fn is_partition(path: &str) -> bool {
    let Some(name) = path.strip_prefix("/dev/") else { return false };
    let is_disk = ["sd", "hd", "vd", "xvd", "nvme", "mmcblk"].iter().any(|start| name.starts_with(start));
    is_disk && !name.contains('/') && name.ends_with(|c: char| c.is_ascii_digit())
}

/// The subvolume that `rootflags=` names.
fn subvolume_of(parameter: &str) -> Option<&str> {
    let flags = parameter.strip_prefix("rootflags=")?.trim_matches('"');
    flags.split(',').filter_map(|flag| flag.strip_prefix("subvol=")).map(bare).next_back()
}

fn bare(part: &str) -> &str {
    part.trim_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(roots: &[&str], subvolume: Option<&str>) -> Identity {
        Identity {
            machine_id: Some("5f".to_owned()),
            roots: roots.iter().map(|name| name_of(name)).collect(),
            running: Some("UUID=live".to_owned()),
            subvolume: subvolume.map(str::to_owned),
        }
    }

    fn is_other(identity: &Identity, line: &str) -> bool {
        let parameters: Vec<String> = line.split(' ').map(str::to_owned).collect();
        identity.is_other(&parameters)
    }

    #[test]
    fn another_root_of_the_same_kind_is_another_system() {
        let this = identity(&["UUID=AB-1", "PARTUUID=cd", "/dev/sda2"], None);
        for line in [
            "root=UUID=ab-1 ro",
            "ro root=/dev/disk/by-uuid/ab-1",
            "root=\"UUID=AB-1\"",
            "root=PARTUUID=CD",
            "root=/dev/sda2",
            "root=UUID=live",
            "root=LABEL=arch",
            "root=/dev/mapper/root",
            "root=/dev/dm-0",
            "rw quiet",
            "root=ZFS=bootfs",
        ] {
            assert!(!is_other(&this, line), "{line}");
        }
        for line in ["root=UUID=ef ro", "root=UUID=ab-1 root=PARTUUID=ef", "root=/dev/sda3", "root=/dev/nvme0n1p2"] {
            assert!(is_other(&this, line), "{line}");
        }
        assert!(!is_other(&Identity::default(), "root=UUID=ef"));
        let zfs = identity(&["ZFS=rpool/ROOT/a"], None);
        assert!(!is_other(&zfs, "root=zfs:rpool/ROOT/a") && !is_other(&zfs, "root=ZFS=rpool"));
        assert!(is_other(&zfs, "root=zfs=rpool/ROOT/b"));
        assert!(this.is_other_machine("77") && !this.is_other_machine("5f"));
    }

    #[test]
    fn another_subvolume_of_the_same_file_system_is_another_system() {
        let this = identity(&["UUID=ab"], Some("@"));
        assert!(!is_other(&this, "root=UUID=ab rootflags=subvol=/@ rw"));
        assert!(!is_other(&this, "root=UUID=ab rw"));
        assert!(is_other(&this, "root=UUID=ab rootflags=noatime,subvol=@debian rw"));
        assert!(is_other(&this, "root=UUID=ab rootflags=subvol=/@/.snapshots/1/snapshot"));
        let any = identity(&["UUID=ab"], None);
        assert!(!is_other(&any, "root=UUID=ab rootflags=subvol=@debian rw"));
    }
}
