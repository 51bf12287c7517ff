// SPDX-License-Identifier: LGPL-2.1-or-later
//! Memory shared with a program of the desktop: there while the guest runs, and not afterwards.

use super::*;
use common::strace;
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

/// The directory is opened by its path; the file is made and removed by calls of which there are few others.
const CALLS: [(&str, &[&str]); 2] = [("openat2", &["dev/shm"]), ("fchown,ftruncate,fchmod,unlinkat", &[])];

/// Does something at each call of these kinds, one in each run of a program; then all is given back and as before. `left`: a
/// former start has left its file. How many programs were killed, and how many ended with the file named.
fn at_each_call(arguments: &[&str], left: bool, injection: &str) -> (u32, u32) {
    let (mut killed, mut failed) = (0, 0);
    for (calls, paths) in CALLS {
        for n in 1.. {
            assert!(n < 100, "{arguments:?}: the calls never end");
            let tree = machine();
            prepare(&tree);
            let before = tree.snapshot();
            if left {
                tree.write(FILE, "short");
            }
            if arguments[0] == "give-back" {
                drop(started(&tree, "demo"));
            }
            let what = format!("{arguments:?}: {injection} at {calls} {n}, left {left}");
            let (log, said) = (tempfile::NamedTempFile::new().unwrap(), tempfile::NamedTempFile::new().unwrap());
            let inject = format!("{calls}:{injection}:when={n}");
            let mut strace = strace::command_at(&tree, VFIO_GUEST, arguments, log.path(), paths, &inject);
            let strace = strace.stdout(Stdio::null()).stderr(said.reopen().unwrap()).spawn().unwrap();
            let ended = crashes::ended(&tree, arguments, strace, &what);
            let said = fs::read_to_string(said.path()).unwrap();
            if ended.is_some() && !fs::read_to_string(log.path()).unwrap().contains("INJECTED") {
                assert_eq!(ended, Some(0), "{what}: {said}");
                break;
            }
            killed += u32::from(ended.is_none());
            if said.contains("/dev/shm/looking-glass: Input/output error") {
                failed += 1;
                let desktop = arguments[0] == "give-back" || ended == Some(0) || tree.exists(".kernel/sessions/2");
                assert!(desktop, "{what}: the desktop has ended: {said}");
            }
            // What a former start has left stays, if the program did not come to it.
            if left && tree.exists(FILE) && tree.read(FILE) == "short" {
                fs::remove_file(tree.join(FILE)).unwrap();
            }
            crashes::all_is_back(&tree, &before, &what);
        }
    }
    (killed, failed)
}

#[test]
fn a_failure_at_any_call_is_said_and_given_back() {
    for left in [false, true] {
        let (_, failed) = at_each_call(&["run", "demo"], left, "error=EIO");
        // The directory, owner, size and mode of the file; its removal before, if there was one.
        assert!(failed >= 4 + u32::from(left), "only {failed} starts failed for the file");
    }
    let (_, failed) = at_each_call(&["give-back", "demo"], false, "error=EIO");
    assert!(failed >= 2, "only {failed} ends failed for the file");
}

#[test]
fn killed_at_any_call_it_is_given_back() {
    for (arguments, left, least) in
        [(["run", "demo"], false, 5), (["run", "demo"], true, 6), (["give-back", "demo"], false, 2)]
    {
        let (killed, _) = at_each_call(&arguments, left, "signal=SIGKILL");
        assert!(killed >= least, "{arguments:?}: killed {killed} times");
    }
}
