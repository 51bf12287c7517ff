// SPDX-License-Identifier: LGPL-2.1-or-later
//! What a process of the running system has open. A device that everybody may open stands for a card, one that no process
//! has open already.
#![allow(clippy::unwrap_used)]

use super::*;
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};

const FUNCTION: &str = "0000:03:00.0";
/// `/dev/full` (Documentation/admin-guide/devices.txt).
const FULL: Device = Device { block: false, major: 1, minor: 7 };

/// A process with a file as its standard input, and nothing else.
struct Reader(Child);

impl Reader {
    fn of(path: &Path) -> Reader {
        let input = File::open(path).unwrap();
        let mut command = Command::new("sleep");
        let (output, errors) = (Stdio::piped(), Stdio::piped());
        Reader(command.arg("300").stdin(input).stdout(output).stderr(errors).spawn().unwrap())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn search(path: &str, device: Option<Device>) -> Search {
    let node = Node { path: path.to_owned(), device, stacked: Vec::new() };
    Search::new(Root::open(Path::new("/")).unwrap(), vec![(FUNCTION.parse().unwrap(), vec![node])])
}

/// The nodes of which it is found to have one open.
fn open(pid: u32, path: &str, device: Option<Device>) -> Vec<String> {
    search(path, device).open(pid).into_iter().map(|(_, node)| node.path.clone()).collect()
}

/// Regression: who had opened a node through a bind mount, a chroot or a namespace was not seen.
#[test]
fn a_device_is_open_whatever_path_it_was_opened_by() {
    let reader = Reader::of(Path::new("/dev/full"));
    let pid = reader.0.id();
    assert_eq!(open(pid, "/dev/dri/card0", Some(FULL)), ["/dev/dri/card0"]);
    for other in [Device { block: true, ..FULL }, Device { minor: 5, ..FULL }, Device { major: 5, ..FULL }] {
        assert_eq!(open(pid, "/dev/full", Some(other)), [""; 0], "{other:?}");
    }
    // A node of which no number is known has only its path.
    assert_eq!(open(pid, "/dev/full", None), ["/dev/full"]);
    assert_eq!(open(pid, "/dev/zero", None), [""; 0]);
}

/// Regression: a file at a node's path, on a file system of somebody's own over /dev, kept the card from its guest.
#[test]
fn a_file_with_the_path_of_a_node_is_none() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("card0");
    std::fs::write(&path, "").unwrap();
    let reader = Reader::of(&path);
    let path = path.to_str().unwrap();
    for device in [Some(FULL), None] {
        assert_eq!(open(reader.0.id(), path, device), [""; 0], "{device:?}");
    }
}

/// A line of our own `maps`, with a file that we have mapped.
fn mapped_line(private: bool) -> String {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let line = maps.lines().find(|line| line.contains(" /")).unwrap().to_owned();
    let permissions = line.split(' ').nth(1).unwrap();
    let other = format!("{}{}", &permissions[..3], if private { 'p' } else { 's' });
    line.replacen(permissions, &other, 1)
}

/// A mapping is what is mapped, and not what its line says.
#[test]
fn a_file_that_is_mapped_with_the_path_of_a_node_is_none() {
    let pid = std::process::id();
    for private in [true, false] {
        let line = mapped_line(private);
        let path = &line[line.find('/').unwrap()..];
        let search = search(path, Some(FULL));
        let range = line.split(' ').next().unwrap();
        match search.file(pid, range.as_bytes()) {
            Ok(device) => {
                assert_eq!(device, None, "{line}");
                // The second time it is known.
                assert_eq!([search.mapping(pid, line.as_bytes()), search.mapping(pid, line.as_bytes())], [None, None]);
            }
            // Not everybody may look so closely. Then the path counts.
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{line}");
                assert_eq!(search.mapping(pid, line.as_bytes()), Some(Known::Path(path.as_bytes())));
            }
        }
    }
}

/// A mapping that has changed since its line was read is known by file system and inode, else by its path.
#[test]
fn a_mapping_that_has_changed_meanwhile_is_known_by_its_inode() {
    let search = search("/dev/full", Some(FULL));
    let stat = search.root.stat("dev/full").unwrap();
    let (major, minor) = (rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev));
    let line = |inode: u64, path: &str| format!("1000-2000 rw-s 00000000 {major:02x}:{minor:02x} {inode} {path}");
    let own = std::process::id();
    let known = |line: &str| search.mapping(own, line.as_bytes()).map(|known| matches!(known, Known::As(FULL)));
    assert_eq!(known(&line(stat.st_ino, "/mnt/elsewhere")), Some(true));
    let line = line(stat.st_ino + 1, "/mnt/elsewhere (deleted)");
    assert_eq!(search.mapping(own, line.as_bytes()), Some(Known::Path(b"/mnt/elsewhere")));
}

/// QEMU may have closed the group of a function that it has open.
#[test]
fn a_descriptor_of_vfio_tells_its_function() {
    let tree = tempfile::tempdir().unwrap();
    let process = tree.path().join("proc/700");
    for directory in ["fd", "fdinfo"] {
        std::fs::create_dir_all(process.join(directory)).unwrap();
    }
    std::os::unix::fs::symlink("anon_inode:[vfio-device]", process.join("fd/40")).unwrap();
    let found = |device: &str, node: &str| {
        let info = format!("pos:\t0\nflags:\t02000002\nvfio-device-syspath: /sys/devices/pci0000:00/{device}\n");
        std::fs::write(process.join("fdinfo/40"), info).unwrap();
        let node = Node { path: node.to_owned(), device: None, stacked: Vec::new() };
        let desired = vec![(FUNCTION.parse().unwrap(), vec![node])];
        Search::new(Root::open(tree.path()).unwrap(), desired).open(700).len()
    };
    assert_eq!(found("0000:00:01.0/0000:03:00.0", "/dev/vfio/15"), 1);
    assert_eq!(found("0000:00:01.0/0000:04:00.0", "/dev/vfio/15"), 0);
}
