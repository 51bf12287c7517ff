// SPDX-License-Identifier: LGPL-2.1-or-later
//! Huge pages: how many of which size there are, on which NUMA node, and where file systems of them are mounted
//! (Documentation/admin-guide/mm/hugetlbpage.rst).

use super::numa::NODES;
use crate::root::Root;

/// One directory per size, for all nodes together.
const ALL: &str = "sys/kernel/mm/hugepages";

/// The huge pages of a machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HugePagePools {
    /// The size that is used where none is named, in bytes (`Hugepagesize` of proc_meminfo(5)).
    pub default: Option<u64>,
    /// What there is of each size, of all nodes together and of each node, by size.
    pub pools: Vec<Pool>,
    /// File systems of huge pages.
    pub mounts: Vec<Mount>,
}

/// The huge pages of one size, of one node or of all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pool {
    /// The size of a page, in bytes.
    pub size: u64,
    /// The NUMA node; `None` for all of them together.
    pub node: Option<u32>,
    /// How many there are, surplus ones included (`nr_hugepages`).
    pub total: u64,
    /// How many of them are not in use, reserved ones included (`free_hugepages`).
    pub free: u64,
    /// How many of the free ones somebody has mapped and not touched yet (`resv_hugepages`); the kernel tells that only of all
    /// nodes together.
    pub reserved: u64,
    /// How many there are beyond what was asked for (`surplus_hugepages`): they go when they are free again.
    pub surplus: u64,
}

impl Pool {
    /// How many a new user can have.
    pub fn usable(&self) -> u64 {
        self.free.saturating_sub(self.reserved)
    }
}

/// A file system of huge pages (`hugetlbfs`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Where it is mounted.
    pub path: String,
    /// The size of its pages, in bytes; `None` for the default size.
    pub size: Option<u64>,
}

impl HugePagePools {
    /// The pool of a size, of one node or of all together.
    pub fn pool(&self, size: u64, node: Option<u32>) -> Option<&Pool> {
        self.pools.iter().find(|pool| pool.size == size && pool.node == node)
    }

    /// Whether the kernel shows huge pages at all.
    pub fn known(&self) -> bool {
        !self.pools.is_empty()
    }

    /// The memory that is in huge pages, of all sizes together, in bytes.
    pub fn bytes(&self) -> u64 {
        let all = self.pools.iter().filter(|pool| pool.node.is_none());
        all.map(|pool| pool.size.saturating_mul(pool.total)).fold(0, u64::saturating_add)
    }

    /// Whether a file system with pages of this size is mounted; `None` is the default size.
    pub fn is_mounted(&self, size: Option<u64>) -> bool {
        let size = size.or(self.default);
        self.mounts.iter().any(|mount| mount.size.or(self.default) == size)
    }

    /// Whether the running kernel has pages of this size.
    pub fn has(&self, size: u64) -> bool {
        self.pool(size, None).is_some()
    }
}

/// The directory of the attributes of a size, in bytes, of one node or of all together.
pub fn directory(size: u64, node: Option<u32>) -> String {
    let name = format!("hugepages-{}kB", size / 1024);
    match node {
        None => format!("{ALL}/{name}"),
        Some(node) => format!("{NODES}/node{node}/hugepages/{name}"),
    }
}

/// The attribute that says how many pages there are, and by which they are made and given back.
pub fn number_path(size: u64, node: Option<u32>) -> String {
    format!("{}/nr_hugepages", directory(size, node))
}

/// How many pages of a size were asked for and came; `None` where the kernel has none of this size, or no such node. Those that
/// go by themselves when they are free again are not among them: they came from an overcommitment, or were in use when fewer
/// were asked for.
pub fn number(root: &Root, size: u64, node: Option<u32>) -> Option<u64> {
    pool(root, size, node).map(|pool| pool.total.saturating_sub(pool.surplus))
}

/// Reads what there is of one pool.
pub fn pool(root: &Root, size: u64, node: Option<u32>) -> Option<Pool> {
    let number = |name: &str| root.read_text(&format!("{}/{name}", directory(size, node))).ok()?.parse().ok();
    Some(Pool {
        size,
        node,
        total: number("nr_hugepages")?,
        free: number("free_hugepages")?,
        reserved: number("resv_hugepages").unwrap_or(0),
        surplus: number("surplus_hugepages").unwrap_or(0),
    })
}

/// Reads all of it.
pub fn read(root: &Root) -> HugePagePools {
    let meminfo = root.read_text("proc/meminfo").unwrap_or_default();
    let default = field(&meminfo, "Hugepagesize").and_then(|kib| kib.checked_mul(1024));
    let mut pools = of(root, ALL, None);
    for node in super::numa::nodes(root) {
        pools.extend(of(root, &format!("{NODES}/node{}/hugepages", node.number), Some(node.number)));
    }
    pools.sort_by_key(|pool| (pool.size, pool.node));
    HugePagePools { default, pools, mounts: mounts(root) }
}

/// The pools that have a directory here.
fn of(root: &Root, directory: &str, node: Option<u32>) -> Vec<Pool> {
    let size = |name: String| -> Option<u64> {
        name.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse::<u64>().ok()?.checked_mul(1024)
    };
    let sizes = root.list(directory).unwrap_or_default().into_iter().filter_map(size);
    sizes.filter_map(|size| pool(root, size, node)).collect()
}

/// A field of proc_meminfo(5): a number, without its unit.
pub fn field(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The mounts of `hugetlbfs`, with the size that fs/hugetlbfs/inode.c (`hugetlbfs_show_options`) shows of each: `pagesize=2M`.
fn mounts(root: &Root) -> Vec<Mount> {
    let size = |details: &str| details.split(',').find_map(|option| option.strip_prefix("pagesize=")).and_then(sized);
    let all = super::mounts::of_system(root).into_iter().filter(|mount| mount.kind == "hugetlbfs");
    all.map(|mount| Mount { size: size(&mount.details), path: mount.at }).collect()
}

/// `2M`, `1024M`, `1G`, `64K`, in bytes.
fn sized(text: &str) -> Option<u64> {
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let shift = match &text[at..] {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        _ => return None,
    };
    text[..at].parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::fs;

    const MIB: u64 = 1 << 20;

    fn tree(files: &[(&str, &str)]) -> (tempfile::TempDir, Root) {
        let tree = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = tree.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let root = Root::open(tree.path()).unwrap();
        (tree, root)
    }

    #[test]
    fn pages_are_told_by_size_and_node() {
        const TWO: &str = "sys/kernel/mm/hugepages/hugepages-2048kB";
        const NODE: &str = "sys/devices/system/node/node1/hugepages/hugepages-2048kB";
        let (_tree, root) = tree(&[
            ("proc/meminfo", "MemTotal:       1000 kB\nHugepagesize:       2048 kB\n"),
            (&format!("{TWO}/nr_hugepages"), "12\n"),
            (&format!("{TWO}/free_hugepages"), "10\n"),
            (&format!("{TWO}/resv_hugepages"), "3\n"),
            (&format!("{TWO}/surplus_hugepages"), "1\n"),
            (&format!("{NODE}/nr_hugepages"), "4\n"),
            (&format!("{NODE}/free_hugepages"), "4\n"),
            (&format!("{NODE}/surplus_hugepages"), "0\n"),
            ("sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages", "0\n"),
            ("sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages", "0\n"),
            ("sys/kernel/mm/hugepages/other/nr_hugepages", "7\n"),
            (
                "proc/1/mountinfo",
                "30 24 0:31 / /dev/hugepages rw,relatime shared:15 - hugetlbfs hugetlbfs rw,pagesize=2M\n\
                 31 24 0:32 / /tmp rw - tmpfs tmpfs rw\n\
                 32 24 0:33 / /mnt/huge rw - hugetlbfs none rw,gid=78,pagesize=1024M\n\
                 33 24 0:34 / /old rw - hugetlbfs none rw\n",
            ),
        ]);
        let pages = read(&root);
        assert_eq!(pages.default, Some(2 * MIB));
        let all = pages.pool(2 * MIB, None).unwrap();
        assert_eq!((all.total, all.free, all.usable(), all.surplus), (12, 10, 7, 1));
        assert_eq!(pages.pool(2 * MIB, Some(1)).map(|pool| (pool.total, pool.usable())), Some((4, 4)));
        assert!(pages.has(1024 * MIB) && !pages.has(16 * MIB) && pages.pool(1024 * MIB, Some(1)).is_none());
        let mounts: Vec<_> = pages.mounts.iter().map(|mount| (mount.path.as_str(), mount.size)).collect();
        assert_eq!(mounts, [("/dev/hugepages", Some(2 * MIB)), ("/mnt/huge", Some(1024 * MIB)), ("/old", None)]);
    }

    #[test]
    fn a_kernel_without_huge_pages_has_none() {
        let (_tree, root) = tree(&[("proc/meminfo", "Hugepagesize:\nother")]);
        assert_eq!(read(&root), HugePagePools::default());
    }
}
