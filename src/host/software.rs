// SPDX-License-Identifier: LGPL-2.1-or-later
//! Programs that guests need, the distribution that has them in its packages, libvirt's daemon and the clock.

use super::{os_release, process, programs};
use crate::root::Root;
use std::os::unix::ffi::OsStrExt;

/// Ticks a second in `/proc/PID/stat`: `USER_HZ`, which is 100 on every architecture with KVM and PCI (sysconf(3)).
const TICKS: i64 = 100;
/// Where libvirt's daemons that start domains write their numbers.
const DAEMONS: [&str; 3] = ["run/virtqemud.pid", "run/libvirtd.pid", "run/libvirt/libvirtd.pid"];
/// libvirt's hook for QEMU: a script, and a directory of scripts (libvirt.org/hooks.html).
const HOOK: &str = "etc/libvirt/hooks/qemu";
const HOOKS: &str = "etc/libvirt/hooks/qemu.d";
/// Ours among them.
const OURS: &str = "50-vfio";

/// A family of distributions with the same names of packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distribution {
    /// Debian, Ubuntu and what is made from them.
    Debian,
    /// Fedora, RHEL and what is made from them.
    Fedora,
    /// Arch Linux and what is made from it.
    Arch,
    /// Gentoo.
    Gentoo,
    /// openSUSE and SLE.
    Suse,
}

/// The distribution, by `ID` and `ID_LIKE` (os-release(5)).
pub fn distribution(root: &Root) -> Option<Distribution> {
    let text = os_release::read(root);
    let known = |key: &str| os_release::value(&text, key)?.split_whitespace().find_map(of_word);
    known("ID").or_else(|| known("ID_LIKE"))
}

/// The family that a word of os-release(5) means.
pub fn of_word(word: &str) -> Option<Distribution> {
    Some(match word {
        "debian" | "ubuntu" => Distribution::Debian,
        "fedora" | "rhel" | "centos" => Distribution::Fedora,
        "arch" => Distribution::Arch,
        "gentoo" => Distribution::Gentoo,
        "suse" | "opensuse" => Distribution::Suse,
        _ => return None,
    })
}

/// Whether one of these programs is there, for people or only for other programs (RHEL's `qemu-kvm`).
pub fn has_program(root: &Root, names: &[&str]) -> bool {
    names.iter().any(|name| programs::find(root, name).is_some() || root.exists(&format!("usr/libexec/{name}")))
}

/// Whether QEMU is there, for any machine or by the name of RHEL's.
pub fn has_qemu(root: &Root) -> bool {
    let mut any = has_program(root, &["qemu-kvm", "kvm"]);
    // No such directory, no such program.
    let _ = root.for_each_name("usr/bin", |name| any = any || name.starts_with(b"qemu-system-"));
    any
}

/// Whether libvirt's daemon was started before our hook was there: it looks for hooks once (`src/util/virhook.c`,
/// `virHookInitialize`), and where it has found any it asks again for each domain.
pub fn hook_is_unseen(root: &Root) -> bool {
    // Packages have a link as their hook. It came here with the package, whatever it leads to.
    let changed = |path: &str| root.changed(path).ok();
    let Some(hook) = changed(&format!("{HOOKS}/{OURS}")) else { return false };
    let Some(started) = daemon_started(root) else { return false };
    // An upgrade brings another link into the same directory, which had come with the first.
    let mut others = vec![changed(HOOK), root.made(HOOKS)];
    let _ = root.for_each_name(HOOKS, |name| {
        let name = std::ffi::OsStr::from_bytes(name).to_string_lossy();
        if name != OURS {
            others.push(changed(&format!("{HOOKS}/{name}")));
        }
    });
    hook > started && !others.into_iter().flatten().any(|other| other <= started)
}

/// When libvirt's daemon was started, in seconds since 1970; `None` if none runs.
fn daemon_started(root: &Root) -> Option<i64> {
    let pid = DAEMONS.iter().find_map(|path| root.read_text(path).ok()?.trim().parse::<u32>().ok())?;
    let ticks: i64 = process::started(root, pid)?.parse().ok()?;
    process::booted(root)?.checked_add(ticks / TICKS)
}

/// The clock that the kernel uses.
pub fn clock_source(root: &Root) -> Option<String> {
    root.read_text("sys/devices/system/clocksource/clocksource0/current_clocksource").ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let tree = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = tree.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        tree
    }

    #[test]
    fn distributions_are_known_by_what_they_are_made_from() {
        for (text, expected) in [
            ("ID=debian\n", Some(Distribution::Debian)),
            ("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", Some(Distribution::Debian)),
            ("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", Some(Distribution::Fedora)),
            ("ID=cachyos\nID_LIKE=arch\n", Some(Distribution::Arch)),
            ("ID=\"opensuse-tumbleweed\"\nID_LIKE=\"opensuse suse\"\n", Some(Distribution::Suse)),
            ("ID=nixos\n", None),
        ] {
            let tree = tree(&[("etc/os-release", text)]);
            assert_eq!(distribution(&Root::open(tree.path()).unwrap()), expected, "{text}");
        }
    }

    /// Has a file or a directory changed last in 1970.
    fn long_ago(file: &fs::File) {
        let begin = rustix::fs::Timespec { tv_sec: 0, tv_nsec: 0 };
        let times = rustix::fs::Timestamps { last_access: begin, last_modification: begin };
        rustix::fs::futimens(file, &times).unwrap();
    }

    #[test]
    fn a_daemon_from_before_the_hook_does_not_call_it() {
        for (later, unseen) in [(-3600, true), (3600, false)] {
            let tree = tree(&[
                ("etc/libvirt/hooks/qemu.d/README", ""),
                ("run/libvirtd.pid", "812\n"),
                ("proc/stat", ""),
                ("proc/812/stat", &format!("812 (libvirtd) S {}0 100", "0 ".repeat(18))),
            ]);
            // As packages have it; when the program behind it was made says nothing.
            let (hook, program) = (tree.path().join("etc/libvirt/hooks/qemu.d/50-vfio"), tree.path().join("program"));
            std::os::unix::fs::symlink("../../../../program", &hook).unwrap();
            let program = fs::File::create(program).unwrap();
            long_ago(&program);
            let started = fs::symlink_metadata(hook).unwrap().mtime() + later;
            fs::write(tree.path().join("proc/stat"), format!("cpu 1\nbtime {started}\n")).unwrap();
            let root = Root::open(tree.path()).unwrap();
            assert_eq!(daemon_started(&root), Some(started));
            assert_eq!(hook_is_unseen(&root), unseen);
            // An upgrade of the package: another link, in a directory from before the daemon.
            let hooks = fs::File::open(tree.path().join(HOOKS)).unwrap();
            long_ago(&hooks);
            assert!(!hook_is_unseen(&root));
        }
        assert!(!hook_is_unseen(&Root::open(tree(&[(HOOK, "")]).path()).unwrap()));
    }
}
