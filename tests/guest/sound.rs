// SPDX-License-Identifier: LGPL-2.1-or-later
//! Sound on a user's own server: QEMU's user reaches it while the guest runs, and not afterwards.

use super::*;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;

/// The user of the test stands for the one who is logged in: nobody else's files can be shared.
fn own() -> String {
    format!("run/user/{}", rustix::process::getuid().as_raw())
}

/// A sound server of a user who is not at the desktop; the guest `demo` plays on it.
pub fn prepare(tree: &Tree) {
    let own = own();
    let uid = rustix::process::getuid().as_raw();
    std::fs::create_dir_all(tree.join(&own)).unwrap();
    std::fs::set_permissions(tree.join(&own), std::fs::Permissions::from_mode(0o700)).unwrap();
    drop(UnixListener::bind(tree.join(&format!("{own}/pipewire-0"))).unwrap());
    let passwd = format!("ada:x:{uid}:{uid}::/home/ada:/bin/sh\nlibvirt-qemu:x:64055:109::/:/bin/false\n");
    tree.write("etc/passwd", &passwd);
    let audio = format!("<audio id='1' type='pipewire' runtimeDir='/{own}'/>\n  </devices>");
    let xml = tree.read(".kernel/domains/demo.xml");
    domain::define(tree, "demo", &xml.replace("</devices>", &audio));
}

fn mode(tree: &Tree) -> u32 {
    std::fs::metadata(tree.join(&own())).unwrap().mode() & 0o777
}

#[test]
fn the_socket_is_shared_while_the_guest_runs() {
    let tree = machine();
    prepare(&tree);
    let before = tree.snapshot();
    let running = started(&tree, "demo");
    assert_eq!(mode(&tree), 0o710, "the mask shows in the group's bits");
    guest_ends(&tree, "demo");
    let ran = running.end();
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    let step = format!("let libvirt-qemu connect to /{}/pipewire-0", own());
    assert!(ran.stderr.contains(&step), "{}", ran.stderr);
    assert_eq!(mode(&tree), 0o700);
    log_in_again(&tree, "after the guest");
    tree.assert_same(&before, "after the guest");
}

/// A file system without access control lists: ENOTSUP, seen with the kernel's own call (setxattr(2)).
#[test]
fn without_access_control_lists_nothing_is_begun() {
    let tree = machine();
    prepare(&tree);
    let before = tree.snapshot();
    let ended = crashes::injected(&tree, &["run", "demo"], "setxattr", "error=ENOTSUP:when=1+");
    assert_eq!(ended, Some(1));
    assert!(tree.exists(".kernel/sessions/2"), "the desktop is still there");
    assert_eq!(give_back(&tree, "demo").status, Some(0));
    tree.assert_same(&before, "without lists");
}

#[test]
fn a_server_that_is_not_there_is_refused_before_anything_is_done() {
    let tree = machine();
    prepare(&tree);
    std::fs::remove_file(tree.join(&format!("{}/pipewire-0", own()))).unwrap();
    let ran = tree.run(VFIO_GUEST, &["run", "demo"]);
    assert_eq!(ran.status, Some(1));
    let text = format!("the sound server of ada does not run: /{}/pipewire-0 is not there", own());
    assert!(ran.stderr.contains(&text), "{}", ran.stderr);
    assert!(tree.exists(".kernel/sessions/2"));
}

/// libvirt's profile has no rule for the server's socket; ours counts where libvirt includes rules of packages.
#[test]
fn apparmors_rules_have_the_socket_or_the_guest_is_refused() {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("libvirt/apparmor-libvirt-qemu");
    let ours = std::fs::read_to_string(ours).unwrap();
    for (includes, refused) in [("abstractions/libvirt-qemu.d", false), ("local/abstractions/libvirt-qemu", true)] {
        let tree = machine();
        prepare(&tree);
        tree.write("sys/module/apparmor/parameters/enabled", "Y\n");
        tree.write("etc/apparmor.d/abstractions/libvirt-qemu", &format!("  include if exists <{includes}>\n"));
        tree.write("etc/apparmor.d/abstractions/libvirt-qemu.d/vfio", &ours);
        let ran = tree.run(VFIO, &["guest", "plan", "demo"]);
        assert_eq!(ran.stdout.contains("[sound-apparmor]"), refused, "{}{}", ran.stdout, ran.stderr);
    }
}
