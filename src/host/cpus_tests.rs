// SPDX-License-Identifier: LGPL-2.1-or-later
//! What is read where the kernel shows less.
#![allow(clippy::unwrap_used)]

use super::*;
use std::fs;

/// Kernel 4.19 has no `core_cpus_list` and no `die_id`, a virtual machine no cache of level 3, a container no topology.
#[test]
fn what_is_not_shown_is_the_simplest() {
    let tree = tempfile::tempdir().unwrap();
    let put = |path: &str, text: &str| {
        let path = tree.path().join("sys/devices/system/cpu").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    put("online", "0-1,3\n");
    put("present", "0-3\n");
    for cpu in [0, 1] {
        put(&format!("cpu{cpu}/topology/thread_siblings_list"), "0-1\n");
        put(&format!("cpu{cpu}/topology/physical_package_id"), "0\n");
    }
    let cpus = read(&Root::open(tree.path()).unwrap());
    assert_eq!(cpus.numbers(), [0, 1, 3]);
    assert_eq!(cpus.present, [0, 1, 2, 3]);
    assert_eq!(cpus.get(1).unwrap().core, [0, 1]);
    assert_eq!(cpus.get(1).unwrap().domain, [0, 1]);
    assert_eq!((&cpus.get(3).unwrap().core, &cpus.get(3).unwrap().domain), (&vec![3], &vec![3]));
    assert!(cpus.get(2).is_none() && cpus.nodes.is_empty() && cpus.get(0).unwrap().node.is_none());
    // What a core's list says of CPUs that are gone by now does not count.
    put("cpu3/topology/core_cpus_list", "2-3\n");
    put("cpu3/cache/index3/shared_cpu_list", "9\n");
    let cpus = read(&Root::open(tree.path()).unwrap());
    assert_eq!((&cpus.get(3).unwrap().core, &cpus.get(3).unwrap().domain), (&vec![3], &vec![3]));
    assert_eq!(read(&Root::open(&tree.path().join("sys")).unwrap()), Cpus::default());
}
