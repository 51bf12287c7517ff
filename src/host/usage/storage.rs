// SPDX-License-Identifier: LGPL-2.1-or-later
//! Disks: which functions carry mounted file systems, swap, and parts of LVM, dm-crypt, MD, bcache, ZFS or btrfs.
//!
//! From what is mounted downwards: a block device that is made of others names them in `slaves/`, down to those that hang
//! on a function (`block/holder.c`, `bd_link_disk_holder`). File systems of several devices (btrfs, ZFS) show a number of
//! no block device in mountinfo; their devices are looked up where each of them lists its own.

use super::{functions_above, Usage, Use};
use crate::host::mounts::{self, Mount};
use crate::pci::Address;
use crate::root::Root;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::Ipv4Addr;

pub(super) const BLOCK: &str = "sys/class/block";

/// A file system that comes over the network.
pub(super) struct OverNetwork {
    /// Where it is mounted.
    pub at: String,
    /// By whom it is served, if that is known.
    pub server: Option<Ipv4Addr>,
}

/// What a disk or a partition is used for, by its name.
pub(super) type Uses = BTreeMap<String, Use>;

/// The block devices at the bottom of another, and what is known of them. Asked for several times each.
struct Stack<'r> {
    root: &'r Root,
    bottoms: HashMap<String, BTreeSet<String>>,
    /// Whether what lies between is asked for as well.
    every_layer: bool,
}

/// What the host has on disks, and file systems that come over the network.
pub(super) fn read_storage(root: &Root, asked: &[Address]) -> (Vec<Usage>, Vec<OverNetwork>) {
    let mut stack = Stack { root, bottoms: HashMap::new(), every_layer: false };
    let (mut uses, over_network) = read_uses(&mut stack);
    claimed(root, asked, &mut uses);
    let usage = |(name, what): (String, Use)| Usage { functions: stack.functions(&name), what };
    let found: Vec<Usage> = uses.into_iter().map(usage).filter(|usage| !usage.functions.is_empty()).collect();
    (found, over_network)
}

/// What the host has on block devices, on every layer: not only on the disk that a volume is on, but on the volume too.
pub(super) fn uses_of_all_layers(root: &Root) -> Uses {
    read_uses(&mut Stack { root, bottoms: HashMap::new(), every_layer: true }).0
}

/// What is mounted, swapped to, or a part of something, and file systems that come over the network.
fn read_uses(stack: &mut Stack<'_>) -> (Uses, Vec<OverNetwork>) {
    let root = stack.root;
    let mounts = mounts::of_system(root);
    let mut uses = Uses::new();
    let mut over_network = Vec::new();
    for mount in &mounts {
        let by_number = root.link_name(&format!("sys/dev/block/{}", mount.number)).ok();
        for device in by_number.into_iter().chain(sources(root, mount)) {
            for bottom in stack.bottoms(&device) {
                add_mount(&mut uses, &bottom, &mount.at);
                if comes_over_network(root, &bottom) {
                    over_network.push(OverNetwork { at: mount.at.clone(), server: None });
                }
            }
        }
        if matches!(mount.kind.as_str(), "nfs" | "nfs4" | "cifs" | "smb3" | "ceph" | "afs" | "glusterfs" | "ocfs2") {
            over_network.push(OverNetwork { at: mount.at.clone(), server: server(mount) });
        }
    }
    btrfs(stack, &mounts, &mut uses);
    zfs(stack, &mounts, &mut uses);
    let swaps = root.read_text("proc/swaps").unwrap_or_default();
    for device in swaps.lines().filter_map(|line| line.split_ascii_whitespace().next()?.strip_prefix("/dev/")) {
        for bottom in stack.bottoms(&resolved(root, device)) {
            uses.entry(bottom.clone()).or_insert(Use::Swap { device: bottom });
        }
    }
    members(root, &mut uses);
    (uses, over_network)
}

/// The server's address, where the options of a network file system say it (`fs/nfs/super.c`, `fs/smb/client/cifsfs.c`).
fn server(mount: &Mount) -> Option<Ipv4Addr> {
    mount.details.split(',').find_map(|option| option.strip_prefix("addr=")?.parse().ok())
}

/// The devices that a mount names itself, where its number is none of a block device: btrfs one of its devices, bcachefs all
/// of them with colons between.
fn sources(root: &Root, mount: &Mount) -> Vec<String> {
    let anonymous = mount.number.starts_with("0:") && !matches!(mount.kind.as_str(), "btrfs" | "zfs");
    let devices = mount.source.split(':').filter_map(|part| part.strip_prefix("/dev/")).filter(|_| anonymous);
    devices.map(|device| resolved(root, device)).filter(|name| root.exists(&format!("{BLOCK}/{name}"))).collect()
}

/// The kernel's name of a device that is named by its path below /dev: `mapper/vg-root`, `disk/by-uuid/...`.
pub(super) fn resolved(root: &Root, device: &str) -> String {
    if root.exists(&format!("{BLOCK}/{device}")) {
        return device.to_owned();
    }
    if let Some(name) = device.strip_prefix("mapper/") {
        let all = root.list(BLOCK).unwrap_or_default();
        let mut mapped = all.into_iter().filter(|block| block.starts_with("dm-"));
        if let Some(found) = mapped.find(|block| attribute(root, block, "dm/name").as_deref() == Some(name)) {
            return found;
        }
    }
    root.link_name(&format!("dev/{device}")).unwrap_or_else(|_| device.to_owned())
}

fn attribute(root: &Root, device: &str, name: &str) -> Option<String> {
    root.read_text(&format!("{BLOCK}/{device}/{name}")).ok()
}

/// Deeper than anybody stacks devices; the kernel makes no circles.
const DEEP: u32 = 16;

impl Stack<'_> {
    /// The devices at the bottom of a device, itself if it is made of no others.
    fn bottoms(&mut self, device: &str) -> BTreeSet<String> {
        self.below(device, DEEP)
    }

    fn below(&mut self, device: &str, deep: u32) -> BTreeSet<String> {
        if let Some(known) = self.bottoms.get(device) {
            return known.clone();
        }
        let slaves = self.root.list(&format!("{BLOCK}/{device}/slaves")).unwrap_or_default();
        let is_bottom = slaves.is_empty() || deep == 0;
        let mut bottoms: BTreeSet<String> = if is_bottom {
            BTreeSet::new()
        } else {
            slaves.iter().flat_map(|slave| self.below(slave, deep - 1)).collect()
        };
        if is_bottom || self.every_layer {
            bottoms.insert(device.to_owned());
        }
        self.bottoms.insert(device.to_owned(), bottoms.clone());
        bottoms
    }

    /// The functions above a device at the bottom.
    fn functions(&self, device: &str) -> Vec<Address> {
        let direct = functions_above(self.root, &format!("{BLOCK}/{device}"));
        if direct.is_empty() {
            by_multipath(self.root, device)
        } else {
            direct
        }
    }
}

/// The functions of an NVMe namespace that several controllers may show: it hangs on the subsystem, which links its
/// controllers, and each controller that shows it has a hidden device `nvmeScCnN` (`drivers/nvme/host/multipath.c`).
fn by_multipath(root: &Root, device: &str) -> Vec<Address> {
    let Ok(target) = root.read_link(&format!("{BLOCK}/{device}")) else { return Vec::new() };
    let target = target.to_string_lossy().into_owned();
    let Some(subsystem) = target.split('/').find(|part| part.starts_with("nvme-subsys") && *part != "nvme-subsystem")
    else {
        return Vec::new();
    };
    // A partition's name has a number after a "p", its disk's has none.
    let disk = target.split('/').skip_while(|part| *part != subsystem).nth(1).unwrap_or_default();
    let Some((head, namespace)) = disk.strip_prefix("nvme").and_then(|rest| rest.split_once('n')) else {
        return Vec::new();
    };
    let directory = format!("sys/class/nvme-subsystem/{subsystem}");
    let controllers = root.list(&directory).unwrap_or_default();
    let mut functions = Vec::new();
    for controller in controllers.iter().filter(|name| is_controller(name)) {
        let link = format!("{directory}/{controller}");
        let shows = |name: &String| {
            let rest = name.strip_prefix("nvme").and_then(|rest| rest.strip_prefix(head)?.strip_prefix('c'));
            rest.and_then(|rest| rest.split_once('n')).is_some_and(|(_, n)| n == namespace)
        };
        if !root.list(&link).unwrap_or_default().iter().any(shows) {
            continue;
        }
        for function in functions_above(root, &link) {
            if !functions.contains(&function) {
                functions.push(function);
            }
        }
    }
    functions
}

/// `nvme0`, and no namespace `nvme0n1`.
fn is_controller(name: &str) -> bool {
    name.strip_prefix("nvme").is_some_and(|n| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether a block device comes over the network: it hangs on no function, and on one of these instead (iSCSI by software,
/// NVMe over fabrics, nbd, rbd, drbd, ATA over Ethernet).
fn comes_over_network(root: &Root, device: &str) -> bool {
    let Ok(target) = root.read_link(&format!("{BLOCK}/{device}")) else { return false };
    let target = target.to_string_lossy();
    let over_network = ["/session", "/nvme-fabrics/", "/block/nbd", "/rbd/", "/block/drbd", "/block/etherd"];
    over_network.iter().any(|part| target.contains(part))
        && functions_above(root, &format!("{BLOCK}/{device}")).is_empty()
}

fn add_mount(uses: &mut Uses, device: &str, at: &str) {
    let mounted = || Use::Mounted { at: at.to_owned(), device: device.to_owned() };
    match uses.get_mut(device) {
        Some(Use::Mounted { at: known, .. }) if known.len() <= at.len() => {}
        Some(known) => *known = mounted(),
        None => drop(uses.insert(device.to_owned(), mounted())),
    }
}

/// Every device of a mounted btrfs (`fs/btrfs/sysfs.c`: a directory for each that is open, with links to its devices).
fn btrfs(stack: &mut Stack<'_>, mounts: &[Mount], uses: &mut Uses) {
    let root = stack.root;
    let file_systems = root.directories("sys/fs/btrfs").unwrap_or_default();
    let of_kind: Vec<&Mount> = mounts.iter().filter(|mount| mount.kind == "btrfs").collect();
    for uuid in &file_systems {
        let devices = root.list(&format!("sys/fs/btrfs/{uuid}/devices")).unwrap_or_default();
        let names = |mount: &&&Mount| {
            let named = mount.source.strip_prefix("/dev/").map(|device| resolved(root, device));
            named.is_some_and(|name| devices.contains(&name))
        };
        let at = of_kind.iter().filter(names).map(|mount| mount.at.as_str()).min_by_key(|at| at.len());
        for device in &devices {
            for bottom in stack.bottoms(device) {
                match at {
                    Some(at) => add_mount(uses, &bottom, at),
                    None => {
                        let of = format!("the btrfs file system {uuid}");
                        uses.entry(bottom.clone()).or_insert(Use::Member { of, device: bottom });
                    }
                }
            }
        }
    }
    // A kernel without that directory for it: what the mount itself names.
    for mount in of_kind {
        let Some(device) = mount.source.strip_prefix("/dev/") else { continue };
        for bottom in stack.bottoms(&resolved(root, device)) {
            add_mount(uses, &bottom, &mount.at);
        }
    }
}

/// Every device of an imported ZFS pool: the pool has a directory of statistics, and udev's database says of a partition
/// which pool it belongs to (blkid: type `zfs_member`, label the pool's name).
fn zfs(stack: &mut Stack<'_>, mounts: &[Mount], uses: &mut Uses) {
    let root = stack.root;
    let pools = root.directories("proc/spl/kstat/zfs").unwrap_or_default();
    if pools.is_empty() {
        return;
    }
    for device in root.list(BLOCK).unwrap_or_default() {
        let Some(number) = attribute(root, &device, "dev") else { continue };
        let known = root.read_text(&format!("run/udev/data/b{number}")).unwrap_or_default();
        let property =
            |key: &str| known.lines().find_map(|line| line.strip_prefix("E:")?.strip_prefix(key)?.strip_prefix('='));
        if property("ID_FS_TYPE") != Some("zfs_member") {
            continue;
        }
        let Some(pool) = property("ID_FS_LABEL").filter(|label| pools.iter().any(|pool| pool == label)) else {
            continue;
        };
        let of_pool = |mount: &&Mount| mount.kind == "zfs" && mount.source.split('/').next() == Some(pool);
        let at = mounts.iter().filter(of_pool).map(|mount| mount.at.as_str()).min_by_key(|at| at.len());
        for bottom in stack.bottoms(&device) {
            match at {
                Some(at) => add_mount(uses, &bottom, at),
                None => {
                    let of = format!("the ZFS pool {pool}");
                    uses.entry(bottom.clone()).or_insert(Use::Member { of, device: bottom });
                }
            }
        }
    }
}

/// What is a part of something that is not mounted: its `holders/`, and bcache's own directory in a registered device.
fn members(root: &Root, uses: &mut Uses) {
    for device in root.list(BLOCK).unwrap_or_default() {
        if uses.contains_key(&device) {
            continue;
        }
        let holders = root.list(&format!("{BLOCK}/{device}/holders")).unwrap_or_default();
        let of = match holders.first() {
            Some(holder) => describe(root, holder),
            None if root.exists(&format!("{BLOCK}/{device}/bcache")) => "a bcache".to_owned(),
            None => continue,
        };
        uses.insert(device.clone(), Use::Member { of, device });
    }
}

/// What a device is that is made of others, for a sentence.
fn describe(root: &Root, device: &str) -> String {
    let Some(name) = attribute(root, device, "dm/name") else { return device.to_owned() };
    let kind = attribute(root, device, "dm/uuid").unwrap_or_default();
    let kinds = [("LVM-", "the LVM volume"), ("CRYPT-", "the encrypted device"), ("mpath-", "the multipath device")];
    let kind = kinds.iter().find(|(prefix, _)| kind.starts_with(prefix)).map_or("the mapped device", |(_, kind)| kind);
    format!("{kind} {name}")
}

/// Disks that the kernel has claimed for something that shows nowhere else: they cannot be opened for oneself (open(2),
/// `O_EXCL` on a block device). In a test tree nodes are no devices.
fn claimed(root: &Root, asked: &[Address], uses: &mut Uses) {
    use rustix::fs::{Mode, OFlags};
    if !root.is_system() || asked.is_empty() {
        return;
    }
    for device in root.list(BLOCK).unwrap_or_default() {
        let functions = functions_above(root, &format!("{BLOCK}/{device}"));
        if uses.contains_key(&device) || !functions.iter().any(|function| asked.contains(function)) {
            continue;
        }
        // A disk with a mounted partition is claimed as well, but for that.
        let partition_in_use = uses.keys().any(|used| root.exists(&format!("{BLOCK}/{device}/{used}")));
        let flags = OFlags::RDONLY | OFlags::EXCL | OFlags::NONBLOCK;
        let opened = root.open_at(&format!("dev/{device}"), flags, Mode::empty());
        if !partition_in_use && opened.is_err_and(|error| error.kind() == std::io::ErrorKind::ResourceBusy) {
            uses.insert(
                device.clone(),
                Use::Member { of: "something that the kernel holds it for".to_owned(), device },
            );
        }
    }
}
