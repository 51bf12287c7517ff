// SPDX-License-Identifier: LGPL-2.1-or-later
//! The generator with every sort of bad file beside a good one: it exits 0, says what is wrong with file and line, and
//! the good section still works.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{hosts, Tree};
use std::os::unix::fs::{symlink, PermissionsExt};
use std::process::{Command, Stdio};

const GOOD: &str = "[gpu good]\ndevice = 0000:03:00.0\nidentity = 1002:73df\n";

/// Runs the generator on a machine whose drop-in has the good section; what it said.
fn generate(tree: &Tree) -> String {
    tree.write("etc/vfio.conf.d/50-good.conf", GOOD);
    let out = tree.join("out");
    std::fs::create_dir(&out).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_vfio-generator"))
        .args([&out, &out, &out])
        .env_clear()
        .env("VFIO_ROOT", tree.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "a generator that fails is only logged by systemd");
    assert!(output.stdout.is_empty());
    let desired = out.join("sysinit.target.wants/vfio-bind@good.service");
    let said = String::from_utf8(output.stderr).expect("what it says is text, whatever the file holds");
    assert!(desired.is_symlink(), "the good section does not work any more:\n{said}");
    assert!(said.lines().all(|l| l.len() < 1024), "one record of the kernel log holds less than this");
    said
}

fn says(content: impl AsRef<[u8]>, expected: &[&str]) {
    let tree = hosts::unpack("igpu-amd");
    tree.write("etc/vfio.conf", "");
    std::fs::write(tree.join("etc/vfio.conf"), content).unwrap();
    let said = generate(&tree);
    for text in expected {
        assert!(said.contains(text), "not said: {text}\nbut:\n{said}");
    }
    assert_eq!(expected.is_empty(), said.is_empty(), "{said}");
}

#[test]
fn bad_content() {
    says("", &[]);
    says("\n# nothing\n\n", &[]);
    says(b"\x7fELF\x02\x01\x01\0\0\0\xff\xfe[gpu good]\xff\0", &["/etc/vfio.conf:1: "]);
    says(format!("[host]\nkernel-parameters = {}\n", "x".repeat(1 << 20)), &["/etc/vfio.conf: ", "1 MiB"]);
    says(format!("[host]\nkernel-parameters = {}\n", "x".repeat(1_000_000)), &["/etc/vfio.conf:2: "]);
    says("[gpuu big]\ndevice = 0000:03:00.0\n", &["/etc/vfio.conf:1: ", "[gpuu big]", "[gpu big]"]);
    says("[gpu a]\ndevice = 0000:00:02.0\n[gpu a]\ndevice = 0000:05:00.0\n", &["/etc/vfio.conf:3: ", "[gpu a]"]);
    says("[gpu a]\ndevice = 0000:0x:00.0\n", &["/etc/vfio.conf:2: ", "0000:0x:00.0"]);
    says("[gpu a]\ndevice = 0000:08:00.0\n", &["/etc/vfio.conf:2: ", "nothing is at 0000:08:00.0"]);
    says("[gpu a]\ndevice = 0000:09:09.0\n", &["/etc/vfio.conf:2: ", "nothing is at 0000:09:09.0"]);
    says("[gpu a\ndevice = 0000:03:00.0\n", &["/etc/vfio.conf:1: "]);
    says("[gpu a]\ndevcie = 0000:03:00.0\n", &["/etc/vfio.conf:2: ", "did you mean 'device'?"]);
}

#[test]
fn bad_files() {
    let with = |make: &dyn Fn(&Tree), expected: &[&str]| {
        let tree = hosts::unpack("igpu-amd");
        let _ = std::fs::remove_file(tree.join("etc/vfio.conf"));
        make(&tree);
        let said = generate(&tree);
        for text in expected {
            assert!(said.contains(text), "not said: {text}\nbut:\n{said}");
        }
        assert_eq!(expected.is_empty(), said.is_empty(), "{said}");
    };
    let conf = "etc/vfio.conf";
    // Neither a file nor one of the other drop-in directories: nothing to say.
    with(&|_| {}, &[]);
    with(&|tree| symlink("/nowhere", tree.join(conf)).unwrap(), &["/etc/vfio.conf: "]);
    with(&|tree| symlink("vfio.conf", tree.join(conf)).unwrap(), &["/etc/vfio.conf: "]);
    with(&|tree| std::fs::create_dir(tree.join(conf)).unwrap(), &["/etc/vfio.conf: "]);
    with(&|tree| symlink("/dev/null", tree.join(conf)).unwrap(), &[]);
    // Others than root may write it.
    with(
        &|tree| {
            tree.config("[gpu big]\ndevice = 0000:00:02.0\n");
            std::fs::set_permissions(tree.join(conf), std::fs::Permissions::from_mode(0o666)).unwrap();
        },
        &["/etc/vfio.conf: "],
    );
}

#[test]
fn an_unreadable_file_is_named() {
    // Permissions do not stop root, so the generator is run as somebody else where the tests are root's.
    let tree = hosts::unpack("igpu-amd");
    tree.config("[gpu big]\ndevice = 0000:00:02.0\n");
    tree.write("etc/vfio.conf.d/50-good.conf", GOOD);
    std::fs::set_permissions(tree.join("etc/vfio.conf"), std::fs::Permissions::from_mode(0o000)).unwrap();
    std::fs::set_permissions(tree.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let out = tree.join("out");
    std::fs::create_dir(&out).unwrap();
    std::fs::set_permissions(&out, std::fs::Permissions::from_mode(0o777)).unwrap();
    let program = tree.join("generator");
    // Not by this process: what another test starts meanwhile would inherit the open copy, and nothing that is open for
    // writing can be run (execve(2), ETXTBSY).
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_vfio-generator")).arg(&program).status().unwrap();
    assert!(copied.success(), "cp: {copied}");
    let root = nix::unistd::geteuid().is_root();
    let mut command = if root {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "--"]).arg(&program);
        command
    } else {
        Command::new(&program)
    };
    let output = command.arg(&out).env("VFIO_ROOT", tree.path()).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("/etc/vfio.conf: "), "{said}");
    assert!(out.join("sysinit.target.wants/vfio-bind@good.service").is_symlink(), "{said}");
}
