// SPDX-License-Identifier: LGPL-2.1-or-later
//! The child that makes the writes of the programs that act: a real one, with files in sysfs's place.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// Every program that writes can be its own child.
const PROGRAMS: [&str; 4] = [
    env!("CARGO_BIN_EXE_vfio"),
    env!("CARGO_BIN_EXE_vfio-bind"),
    env!("CARGO_BIN_EXE_vfio-guest"),
    env!("CARGO_BIN_EXE_vfio-libvirt-hook"),
];

#[test]
fn it_makes_write_after_write_answers_each_and_ends_with_who_asks() {
    for program in PROGRAMS {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        for name in ["driver_override", "with blanks"] {
            std::fs::write(path(name), "........").unwrap();
        }
        let mut command = Command::new(program);
        command.arg0("vfio-sysfs-writer").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut to = child.stdin.take().unwrap();
        let mut from = child.stdout.take().unwrap();
        let mut ask = |name: &str, value: &str| {
            to.write_all([&path(name), "\0", value, "\n"].concat().as_bytes()).unwrap();
            let mut errno = [0; 4];
            from.read_exact(&mut errno).unwrap();
            i32::from_ne_bytes(errno)
        };
        assert_eq!(ask("driver_override", "vfio-pci"), 0, "{program}");
        assert_eq!(ask("not-there", "1"), 2, "ENOENT");
        assert_eq!(ask(".", "1"), 21, "EISDIR");
        // It goes on after an error. An end of line alone is written, too: it clears an override.
        assert_eq!(ask("with blanks", ""), 0);
        assert_eq!(std::fs::read_to_string(path("driver_override")).unwrap(), "vfio-pci\n");
        assert_eq!(std::fs::read_to_string(path("with blanks")).unwrap(), "\n.......");
        drop(to);
        assert!(child.wait().unwrap().success(), "{program}");
    }
}

/// Regression: libvirt chooses the hook's arguments, and one of them made it write what it read to any file.
#[test]
fn no_argument_makes_a_program_write() {
    for program in PROGRAMS {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "as it was").unwrap();
        let names = ["vfio-sysfs-writer", "--vfio-sysfs-write", "--vfio-sysfs-writer", "vfio-model"];
        for name in names {
            let called: [(&str, &[&str]); 4] = [
                (program, &[name]),
                (program, &[name, "prepare", "begin", "-"]),
                (name, &["vfio-sysfs-writer"]),
                ("vfio-sysfs-writer ", &[]),
            ];
            for (first, arguments) in called {
                let mut command = Command::new(program);
                command.arg0(first).args(arguments).env("VFIO_ROOT", directory.path());
                command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
                let mut child = command.spawn().unwrap();
                let request = format!("{}\0others\n", file.display());
                // It may have ended already.
                let _ = child.stdin.take().unwrap().write_all(request.as_bytes());
                child.wait().unwrap();
                assert_eq!(std::fs::read_to_string(&file).unwrap(), "as it was", "{program} {first} {arguments:?}");
            }
        }
    }
}
