// SPDX-License-Identifier: LGPL-2.1-or-later
//! Memory shared with a program of the desktop: there while the guest runs, and not afterwards.

use super::*;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

const FILE: &str = "dev/shm/looking-glass";

/// The guest `demo` shares 64 MiB; the user of the test stands for QEMU's: nobody else may give a file away.
fn prepare(tree: &Tree) {
    let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    fs::create_dir_all(tree.join("dev/shm")).unwrap();
    tree.write("etc/passwd", &format!("libvirt-qemu:x:{uid}:{gid}::/:/bin/false\n"));
    tree.write("etc/group", &format!("kvm:x:{gid}:libvirt-qemu\n"));
    let shmem =
        "<shmem name='looking-glass'><model type='ivshmem-plain'/><size unit='M'>64</size></shmem>\n  </devices>";
    let xml = tree.read(".kernel/domains/demo.xml");
    domain::define(tree, "demo", &xml.replace("</devices>", shmem));
}

#[test]
fn the_file_is_there_while_the_guest_runs() {
    // What a former start left: of another size, and for QEMU alone.
    for left in [false, true] {
        let tree = machine();
        prepare(&tree);
        let before = tree.snapshot();
        if left {
            tree.write(FILE, "short");
            fs::set_permissions(tree.join(FILE), fs::Permissions::from_mode(0o644)).unwrap();
        }
        let running = started(&tree, "demo");
        let file = fs::metadata(tree.join(FILE)).unwrap();
        assert_eq!((file.len(), file.mode() & 0o7777), (64 << 20, 0o660), "{left}");
        guest_ends(&tree, "demo");
        let ran = running.end();
        assert_eq!(ran.status, Some(0), "{}", ran.stderr);
        assert!(ran.stderr.contains("make the shared memory /dev/shm/looking-glass of 64 MiB"), "{}", ran.stderr);
        log_in_again(&tree, "after the guest");
        tree.assert_same(&before, "after the guest");
    }
}

#[test]
fn what_is_in_the_way_is_named_before_anything_ends() {
    let tree = machine();
    prepare(&tree);
    tree.write("srv/other", "");
    std::os::unix::fs::symlink("/srv/other", tree.join(FILE)).unwrap();
    let planned = tree.run(VFIO, &["guest", "plan", "demo"]);
    assert!(format!("{}{}", planned.stdout, planned.stderr).contains("[shared-memory]"), "{}", planned.stderr);
    let ran = tree.run(VFIO_GUEST, &["run", "demo"]);
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("the shared memory /dev/shm/looking-glass is in the way: it is not a file"),
        "{}",
        ran.stderr
    );
    assert!(tree.exists(".kernel/sessions/2"), "the desktop is still there");
}
