// SPDX-License-Identifier: LGPL-2.1-or-later
//! Who holds a function: processes with one of its device nodes open or mapped, and mounts on its disks.
//!
//! A driver's `remove` waits for its users: `snd_card_free()` for every open sound node, nvidia for its usage count,
//! vfio-pci for the open group. So nothing is unbound while this finds somebody.

use super::function;
use super::home::{cgroup, Home};
use crate::pci::Address;
use crate::root::Root;
use std::io::{self, BufRead, BufReader};

/// Somebody who holds a function.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Holder {
    /// The device node it holds, or the mount point.
    pub node: String,
    /// The process; `None` for a mount.
    pub pid: Option<u32>,
    /// Its command name.
    pub command: String,
    /// Whose process it is: the user's id, or the name ([`name_users`]).
    pub user: Option<String>,
    /// The systemd unit it runs in, where it can be told.
    pub unit: Option<String>,
    /// The program it runs, where we may know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executable: Option<String>,
    /// Its control group. A journal needs none.
    #[serde(skip)]
    pub cgroup: Option<String>,
}

/// Services that hold devices on behalf of others and let go when those end, or look at a device for a moment when it comes
/// (udev): none of them is ever asked to end.
const ON_BEHALF: [&str; 4] = ["systemd-logind.service", "elogind.service", "seatd.service", "systemd-udevd.service"];

impl Holder {
    /// The process, if it is one that may be asked to end.
    pub fn may_end(&self) -> Option<u32> {
        self.pid.filter(|pid| *pid > 1 && !self.is_on_behalf())
    }

    /// Whether it holds the device for others. A name alone is anybody's to take.
    fn is_on_behalf(&self) -> bool {
        if self.unit.as_deref().is_some_and(|unit| ON_BEHALF.contains(&unit)) {
            return true;
        }
        let program = self.executable.as_deref().and_then(|path| path.rsplit('/').next()).unwrap_or(&self.command);
        match program {
            // A user's manager keeps what its services have given it to keep.
            "systemd" => self.unit.as_deref() == Some("init.scope"),
            // Without systemd's units, or as a part of the session that it serves.
            "elogind" | "elogind-daemon" | "seatd" => {
                let service = self.unit.as_deref().is_some_and(|unit| unit.ends_with(".service"));
                self.is_by_root() && !service
            }
            _ => false,
        }
    }

    fn is_by_root(&self) -> bool {
        self.user.as_deref().is_none_or(|user| matches!(user, "0" | "root"))
    }

    /// Where it belongs.
    pub fn home(&self) -> Home {
        Home::of(self.cgroup.as_deref())
    }

    /// Whether it has to be asked to end because it does not end with a session: all that a user's manager runs outside
    /// its `session.slice` (systemd.special(7)), where compositors are, and of that slice those that have sound open. The
    /// manager itself ends some time after the last session.
    pub fn outlives_sessions(&self) -> bool {
        let Home::Manager { below, .. } = self.home() else { return false };
        let in_session = below.starts_with("session.slice/") && !self.node.starts_with(SOUND);
        !below.is_empty() && !in_session && self.may_end().is_some()
    }

    /// Whether what it has open is for sound.
    pub fn has_sound(&self) -> bool {
        self.node.starts_with(SOUND)
    }

    /// Whether what it has open is for showing something: the node by which a display is set (DRM's primary node, a
    /// framebuffer, NVIDIA's of the same purpose). Those who only draw or compute have others.
    pub fn shows(&self) -> bool {
        ["/dev/dri/card", "/dev/fb", "/dev/nvidia-modeset"].iter().any(|node| self.node.starts_with(node))
    }

    /// A disk that is mounted, or in use in another way, at a place.
    pub fn mount(node: String, place: String) -> Holder {
        Holder { node, pid: None, command: place, user: None, unit: None, executable: None, cgroup: None }
    }

    /// Who it is, without what it holds: `aplay (pid 712, user ada, music.service)`.
    pub fn who(&self) -> String {
        let Some(pid) = self.pid else { return self.command.clone() };
        let more = self.user.iter().map(|user| format!(", user {user}"));
        let more = more.chain(self.unit.iter().map(|unit| format!(", {unit}")));
        format!("{} (pid {pid}{})", self.command, more.collect::<String>())
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.pid {
            Some(_) => write!(f, "{} has {} open", self.who(), self.node),
            None => write!(f, "{} is mounted or in use at {}", self.node, self.command),
        }
    }
}

/// Where the nodes of sound are.
const SOUND: &str = "/dev/snd/";

/// A device node of a function: its path below the root, and its number as `major:minor`.
#[derive(Debug)]
struct Node {
    path: String,
    number: String,
    block: bool,
    /// Device-mapper, md or bcache devices made of it.
    stacked: Vec<String>,
}

impl Node {
    /// A character device of which only the path matters.
    fn named(path: String) -> Node {
        Node { path, number: String::new(), block: false, stacked: Vec::new() }
    }
}

/// Deep enough for a partition of a disk behind five USB hubs.
const DEPTH: usize = 24;

/// The device nodes of everything below a function: every directory whose `uevent` names one (`DEVNAME=`).
fn nodes(root: &Root, address: Address) -> Vec<Node> {
    let mut found = Vec::new();
    walk(root, &format!("{}/{address}", crate::root::PCI_DEVICES), DEPTH, &mut found);
    if let Some(group) = function::group(root, address) {
        found.push(Node::named(format!("/dev/vfio/{group}")));
    }
    found.extend(beside_sysfs(root, address));
    found
}

fn walk(root: &Root, dir: &str, depth: usize, found: &mut Vec<Node>) {
    if let Ok(uevent) = root.read_text(&format!("{dir}/uevent")) {
        let value = |key: &str| uevent.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix('='));
        // No driver waits for those who read a keyboard or whether a plug is in its jack: to them it is pulled out.
        if let Some(name) = value("DEVNAME").filter(|name| !name.starts_with("input/")) {
            let number = format!("{}:{}", value("MAJOR").unwrap_or("?"), value("MINOR").unwrap_or("?"));
            let block = value("DEVTYPE").is_some_and(|t| t == "disk" || t == "partition");
            let stacked = if block { root.list(&format!("{dir}/holders")).unwrap_or_default() } else { Vec::new() };
            found.push(Node { path: format!("/dev/{name}"), number, block, stacked });
        }
    }
    if depth == 0 {
        return;
    }
    // Links lead out of the subtree (driver, subsystem, iommu_group); another function's devices are not ours.
    for name in root.directories(dir).unwrap_or_default() {
        if Address::from_sysfs(name.as_bytes()).is_none() {
            walk(root, &format!("{dir}/{name}"), depth - 1, found);
        }
    }
}

/// Nodes that drivers make without sysfs showing whose they are: NVIDIA's own, by the minor that it prints, and those that
/// all cards of a driver share. With another card on the driver nobody can tell for which of them a process has these open.
fn beside_sysfs(root: &Root, address: Address) -> Vec<Node> {
    let Some(driver) = function::driver(root, address) else { return Vec::new() };
    let (minor, shared): (_, &[&str]) = match driver.as_str() {
        "nvidia" => {
            let information = root.read_text(&format!("proc/driver/nvidia/gpus/{address}/information"));
            let information = information.unwrap_or_default();
            let minor = information.lines().find_map(|l| Some(l.strip_prefix("Device Minor:")?.trim().to_owned()));
            (minor, &["nvidiactl", "nvidia-modeset", "nvidia-uvm", "nvidia-uvm-tools"])
        }
        // drivers/gpu/drm/amd/amdkfd
        "amdgpu" if root.exists("sys/class/kfd/kfd") => (None, &["kfd"]),
        _ => return Vec::new(),
    };
    let mut names: Vec<String> = minor.map(|m| format!("nvidia{m}")).into_iter().collect();
    let functions = root.list(&format!("{}/{driver}", crate::root::PCI_DRIVERS)).unwrap_or_default();
    if functions.iter().filter(|name| name.contains(':')).count() == 1 {
        names.extend(shared.iter().map(|name| (*name).to_owned()));
    }
    names.iter().map(|name| Node::named(format!("/dev/{name}"))).collect()
}

/// Whoever holds one of `functions`: mounts first, then processes.
pub fn find(root: &Root, functions: &[Address]) -> Vec<(Address, Holder)> {
    let nodes: Vec<(Address, Vec<Node>)> = functions.iter().map(|a| (*a, nodes(root, *a))).collect();
    let mut holders = mounts(root, &nodes);
    let ourselves = std::process::id();
    // Without /proc there are no processes to find.
    for pid in root.list("proc").unwrap_or_default() {
        let Some(pid) = pid.parse().ok().filter(|pid| *pid != ourselves) else { continue };
        for path in open_nodes(root, pid) {
            for (address, _) in nodes.iter().filter(|(_, nodes)| nodes.iter().any(|n| n.path == path)) {
                holders.push((*address, holder(root, pid, path.clone())));
            }
        }
    }
    holders
}

/// A process with what it holds.
fn holder(root: &Root, pid: u32, node: String) -> Holder {
    let cgroup = cgroup(root, pid);
    let executable = root.read_link(&format!("proc/{pid}/exe")).ok();
    let executable = executable.map(|path| path.to_string_lossy().trim_end_matches(" (deleted)").to_owned());
    let unit = cgroup.as_deref().and_then(unit);
    Holder { node, pid: Some(pid), command: command(root, pid), user: user(root, pid), unit, executable, cgroup }
}

/// Whether somebody who was found still holds what was found. A mount is not looked at again.
pub fn still_holds(root: &Root, holder: &Holder) -> bool {
    holder.pid.is_some_and(|pid| open_nodes(root, pid).contains(&holder.node))
}

/// Mounted disks and swap below the functions.
fn mounts(root: &Root, nodes: &[(Address, Vec<Node>)]) -> Vec<(Address, Holder)> {
    let mut holders = Vec::new();
    // Not our own mounts: a unit's view of them is narrowed (ProtectHome= and the like).
    let mountinfo = root.read_text("proc/1/mountinfo").or_else(|_| root.read_text("proc/self/mountinfo"));
    let mountinfo = mountinfo.unwrap_or_default();
    let swaps = root.read_text("proc/swaps").unwrap_or_default();
    for (address, nodes) in nodes {
        for node in nodes.iter().filter(|n| n.block) {
            let mounted = mountinfo.lines().find_map(|line| mounted_at(line, node));
            let swap = swaps.lines().any(|l| l.split_ascii_whitespace().next() == Some(&node.path));
            let stacked = node.stacked.first().cloned().or_else(|| claimed(root, node));
            if let Some(place) = mounted.or(stacked).or_else(|| swap.then(|| "swap".to_owned())) {
                holders.push((*address, Holder::mount(node.path.clone(), place)));
            }
        }
    }
    holders
}

/// Whether the kernel has claimed a disk for something that shows nowhere else (ZFS, a second disk of btrfs): then it
/// cannot be opened for oneself (open(2), `O_EXCL` on a block device). In a test tree nodes are no devices.
fn claimed(root: &Root, node: &Node) -> Option<String> {
    use rustix::fs::{Mode, OFlags};
    if !root.is_system() {
        return None;
    }
    let flags = OFlags::RDONLY | OFlags::EXCL | OFlags::NONBLOCK;
    let opened = root.open_at(node.path.trim_start_matches('/'), flags, Mode::empty());
    let busy = opened.is_err_and(|error| error.kind() == std::io::ErrorKind::ResourceBusy);
    busy.then(|| "the kernel".to_owned())
}

/// The place at which a line of mountinfo mounts a node: `ID PARENT MAJOR:MINOR ROOT PLACE OPTIONS... - TYPE SOURCE ...`
/// (proc_pid_mountinfo(5)). btrfs shows a number of its own, so the source is compared too.
fn mounted_at(line: &str, node: &Node) -> Option<String> {
    let mut fields = line.split(' ').skip(2);
    let (number, place) = (fields.next()?, fields.nth(1)?);
    let source = line.split_once(" - ").and_then(|(_, rest)| rest.split(' ').nth(1));
    (number == node.number || source == Some(&node.path)).then(|| place.to_owned())
}

/// Where paths begin in `/proc/PID/maps` but for the longest fields before them: looked at first, for most of what a scan
/// takes is this file of every process (`fs/proc/task_mmu.c`, `show_vma_header_prefix`; as wide as pointers are).
const PADDED: usize = 25 + 6 * size_of::<*const ()>();

/// The device nodes that a process has open or mapped. A process that ends meanwhile has none.
fn open_nodes(root: &Root, pid: u32) -> Vec<String> {
    let mut open = Vec::new();
    let mut add = |path: &[u8]| {
        // After its removal a node that is still open shows with this suffix.
        let path = path.strip_suffix(b" (deleted)").unwrap_or(path);
        if path.starts_with(b"/dev/") && !open.iter().any(|p: &String| p.as_bytes() == path) {
            open.push(String::from_utf8_lossy(path).into_owned());
        }
    };
    // Neither can be read of a process that has ended.
    let _ = root.for_each_link(&format!("proc/{pid}/fd"), &mut add);
    let _ = each_line(root, &format!("proc/{pid}/maps"), |line| {
        // address perms offset dev inode path: none of them but the last has a slash.
        let path = match line.get(PADDED) {
            Some(b'/') => Some(PADDED),
            _ => line.iter().position(|byte| *byte == b'/'),
        };
        if let Some(at) = path {
            add(&line[at..]);
        }
    });
    open.sort_unstable();
    open
}

/// Calls `each` with every line of a file that may be long: games have some ten thousand mappings.
fn each_line(root: &Root, path: &str, mut each: impl FnMut(&[u8])) -> io::Result<()> {
    let mut file = BufReader::with_capacity(1 << 14, root.open_file(path)?);
    let mut line = Vec::new();
    while file.read_until(b'\n', &mut line)? > 0 {
        each(line.strip_suffix(b"\n").unwrap_or(&line));
        line.clear();
    }
    Ok(())
}

fn command(root: &Root, pid: u32) -> String {
    root.read_text(&format!("proc/{pid}/comm")).unwrap_or_else(|_| "?".to_owned())
}

/// Whose process it is: the effective user id (proc_pid_status(5)).
fn user(root: &Root, pid: u32) -> Option<String> {
    let status = root.read_text(&format!("proc/{pid}/status")).ok()?;
    let uid = status.lines().find_map(|l| l.strip_prefix("Uid:"))?.split_ascii_whitespace().nth(1)?;
    Some(uid.to_owned())
}

/// Replaces users' ids by their names, where the system's own list has them. For programs that people read; at boot the id
/// is enough.
pub fn name_users(root: &Root, holders: &mut [(Address, Holder)]) {
    let passwd = root.read_text("etc/passwd").unwrap_or_default();
    let name = |uid: &str| {
        passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)? == uid).then(|| name.to_owned())
        })
    };
    for (_, holder) in holders {
        if let Some(named) = holder.user.as_deref().and_then(name) {
            holder.user = Some(named);
        }
    }
}

/// The unit from the cgroup path: its last part that names a service or scope.
fn unit(path: &str) -> Option<String> {
    let unit = path.rsplit('/').find(|part| part.ends_with(".service") || part.ends_with(".scope"))?;
    Some(unit.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_known_by_number_and_by_source() {
        let path = "/dev/nvme0n1p2".to_owned();
        let node = Node { path, number: "259:2".to_owned(), block: true, stacked: Vec::new() };
        let ext4 = "29 1 259:2 / / rw,relatime shared:1 - ext4 /dev/disk/by-uuid/1 rw";
        let btrfs = "41 29 0:33 /home /home rw,relatime shared:2 - btrfs /dev/nvme0n1p2 rw,subvol=/home";
        let other = "42 29 259:3 / /srv rw - xfs /dev/nvme0n1p3 rw";
        assert_eq!(mounted_at(ext4, &node).as_deref(), Some("/"));
        assert_eq!(mounted_at(btrfs, &node).as_deref(), Some("/home"));
        assert_eq!(mounted_at(other, &node), None);
        assert_eq!(mounted_at("", &node), None);
    }
}
