// SPDX-License-Identifier: LGPL-2.1-or-later
//! GRUB on Debian and Ubuntu with drop-ins of others in `/etc/default/grub.d`, however these are written: a shell runs them, and
//! what `update-grub` makes of them is what counts. The stand-in for `update-grub` (`boot-tools.sh`) was compared with that of
//! Debian 12 (grub 2.06-13+deb12u2) and 13 (2.12-9+deb13u4).
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::boot_tools::{BootMachine, BootTools};
use common::boots::{self, Boot};
use common::tree::Ran;
use std::ops::Deref;

const CONFIGURATION: &str = "[host]\niommu = on\nkernel-parameters = lab.word=1\n";
const OURS: &str = "etc/default/grub.d/95-vfio.cfg";
const PARAMETERS: &str = "intel_iommu=on iommu=pt lab.word=1";

struct Machine {
    machine: BootMachine,
    /// What it boots with, but for parameters of vfio.
    line: String,
}

impl Deref for Machine {
    type Target = BootMachine;

    fn deref(&self) -> &BootMachine {
        &self.machine
    }
}

impl Machine {
    /// Debian with these files beside its own, and the menu that is made of them.
    fn new(files: &[(&str, &str)]) -> Machine {
        let boot = files.iter().fold(boots::of("debian-grub"), |boot, (path, text)| boot.file(path, text));
        Machine::of(boot)
    }

    fn of(boot: Boot) -> Machine {
        let machine = BootMachine::new(&boot, CONFIGURATION, &[]);
        machine.tool(&["update-grub"]);
        BootTools::ran(&machine.tree);
        let line = machine.tree.read("proc/cmdline");
        Machine { machine, line }
    }

    fn apply(&self) -> Ran {
        self.vfio(&["cmdline", "apply"])
    }

    /// The next boot has what GRUB's menu says.
    fn reboot(&self) {
        let menu = self.tree.read("boot/grub/grub.cfg");
        let line = menu.lines().find_map(|line| line.trim().strip_prefix("linux")).unwrap();
        self.tree.write("proc/cmdline", &format!("BOOT_IMAGE={}\n", line.trim()));
    }
}

/// What people and packages write.
const OTHERS: [(&str, &str); 9] = [
    ("if", "if [ -d /sys ]; then\n\tGRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT mitigations=off\"\nfi\n"),
    ("command", "GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT $(echo nosmt)\"\n"),
    ("backquotes", "GRUB_CMDLINE_LINUX_DEFAULT=\"`echo nosmt` $GRUB_CMDLINE_LINUX_DEFAULT\"\n"),
    // What tuned puts there (tuned/plugins/plugin_bootloader.py, _grub2_default_env_patch, 2.28).
    (
        "tuned",
        "GRUB_CMDLINE_LINUX_DEFAULT=\"${GRUB_CMDLINE_LINUX_DEFAULT:+$GRUB_CMDLINE_LINUX_DEFAULT }\\$tuned_params\"\n",
    ),
    ("function", "more() {\n\tGRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT $1\"\n}\nmore nosmt\n"),
    ("loop", "for word in a b; do GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT $word\"; done\n"),
    ("test", "[ -e /nonexistent ] || GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT nosmt\"\n"),
    ("eval", "eval 'GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT nosmt\"'\n"),
    ("anew", "GRUB_CMDLINE_LINUX_DEFAULT=\"$(echo quiet) splash\"\n"),
];

#[test]
fn nothing_of_another_file_has_to_be_understood() {
    for (name, text) in OTHERS {
        for path in ["etc/default/grub.d/50-theirs.cfg", "etc/default/grub.d/kdump.cfg"] {
            let machine = Machine::new(&[(path, text)]);
            let all = machine.tree.snapshot();
            let before = machine.tree.read("boot/grub/grub.cfg");
            let ran = machine.apply();
            assert_eq!(ran.status, Some(0), "{name}: {}{}", ran.stdout, ran.stderr);
            let after = machine.tree.read("boot/grub/grub.cfg");
            assert_eq!(after, before.replace("\n}", &format!(" {PARAMETERS}\n}}")), "{name}");
            machine.reboot();
            let ran = machine.vfio(&["cmdline", "status"]);
            assert_eq!(ran.status, Some(0), "{name}: {}", ran.stdout);
            BootTools::ran(&machine.tree);
            let ran = machine.apply();
            assert!(ran.status == Some(0) && ran.stdout.contains("nothing to do"), "{name}: {}", ran.stdout);
            assert_eq!(BootTools::ran(&machine.tree), [""; 0], "{name}: applied twice");
            let ran = machine.vfio(&["cmdline", "revert"]);
            assert_eq!(ran.status, Some(0), "{name}: {}{}", ran.stdout, ran.stderr);
            machine.tree.write("proc/cmdline", &machine.line);
            machine.tree.assert_same(&all, &format!("{name}: reverted"));
        }
    }
}

/// The same in `/etc/default/grub` itself, which vfio only reads here.
#[test]
fn nothing_of_the_main_file_has_to_be_understood() {
    for (name, text) in OTHERS {
        let machine = Machine::new(&[("etc/default/grub", text)]);
        let all = machine.tree.snapshot();
        let ran = machine.apply();
        assert_eq!(ran.status, Some(0), "{name}: {}{}", ran.stdout, ran.stderr);
        assert!(machine.tree.read("boot/grub/grub.cfg").contains(PARAMETERS), "{name}");
        let ran = machine.vfio(&["cmdline", "revert"]);
        assert_eq!(ran.status, Some(0), "{name}: {}{}", ran.stdout, ran.stderr);
        machine.tree.assert_same(&all, &format!("{name}: reverted"));
    }
}

/// A file that comes later and sets the variable anew: ours moves behind it.
#[test]
fn ours_moves_behind_a_file_that_sets_the_variable_anew() {
    for (theirs, ours) in [
        ("etc/default/grub.d/99-mine.cfg", "etc/default/grub.d/zz-vfio.cfg"),
        ("etc/default/grub.d/zzz-mine.cfg", "etc/default/grub.d/zzz-vfio.cfg"),
    ] {
        let machine = Machine::new(&[]);
        let all = machine.tree.snapshot();
        assert_eq!(machine.apply().status, Some(0));
        assert!(machine.tree.exists(OURS));
        machine.tree.write(theirs, "GRUB_CMDLINE_LINUX_DEFAULT=\"splash\"\n");
        let ran = machine.vfio(&["cmdline", "status"]);
        assert_eq!(ran.status, Some(1), "{}", ran.stdout);
        assert_eq!(machine.apply().status, Some(0));
        assert!(machine.tree.exists(ours) && !machine.tree.exists(OURS), "{theirs}");
        assert!(machine.tree.read("boot/grub/grub.cfg").contains(&format!("splash {PARAMETERS}\n")), "{theirs}");
        machine.reboot();
        assert_eq!(machine.vfio(&["cmdline", "status"]).status, Some(0), "{theirs}");
        let ran = machine.apply();
        assert!(ran.status == Some(0) && ran.stdout.contains("nothing to do"), "{theirs}: {}", ran.stdout);
        assert_eq!(machine.vfio(&["cmdline", "revert"]).status, Some(0));
        // A directory with a file of somebody else in it stays.
        std::fs::remove_dir_all(machine.tree.join("etc/default/grub.d")).unwrap();
        machine.tools.tool(&machine.tree, &["update-grub"]);
        machine.tree.write("proc/cmdline", &machine.line);
        machine.tree.assert_same(&all, theirs);
    }
}

/// A file behind which no name of ours comes: it is named when the parameters are applied.
#[test]
fn a_file_that_wins_is_named() {
    let machine = Machine::new(&[("etc/default/grub.d/~last.cfg", "# x\nGRUB_CMDLINE_LINUX_DEFAULT=\"splash\"\n")]);
    let all = machine.tree.snapshot();
    for verb in [&["cmdline", "apply"][..], &["sync"]] {
        let ran = machine.vfio(verb);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert_ne!(ran.status, Some(0), "{verb:?}: {said}");
        assert!(said.contains("/etc/default/grub.d/~last.cfg:2"), "{verb:?}: {said}");
        assert!(said.contains("$GRUB_CMDLINE_LINUX_DEFAULT"), "{verb:?}: {said}");
    }
    let ran = machine.vfio(&["cmdline", "revert"]);
    assert_eq!(ran.status, Some(0), "{}{}", ran.stdout, ran.stderr);
    machine.tree.assert_same(&all, "reverted");
}

/// `exit` in a drop-in ends grub-mkconfig well, without a menu. It is not its exit code that counts.
#[test]
fn a_menu_that_was_not_made_is_seen() {
    let machine = Machine::new(&[]);
    machine.tree.write("etc/default/grub.d/10-theirs.cfg", "exit 0\n");
    let ran = machine.apply();
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.status, Some(2), "{said}");
    assert!(said.contains("/boot/grub/grub.cfg") && said.contains("update-grub"), "{said}");
    machine.tree.remove("etc/default/grub.d/10-theirs.cfg");
    assert_eq!(machine.apply().status, Some(0));
    assert!(machine.tree.read("boot/grub/grub.cfg").contains(PARAMETERS));
}

/// A file of somebody else that no shell can read: nothing is applied, said once; a revert removes our file all the same.
#[test]
fn a_broken_file_of_another_stops_no_revert() {
    let broken = "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet\n";
    let machine = Machine::new(&[]);
    let clean = machine.tree.snapshot();
    machine.tree.write("etc/default/grub.d/50-theirs.cfg", broken);
    let all = machine.tree.snapshot();
    let ran = machine.apply();
    assert_eq!(ran.status, Some(2), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.stderr.matches("vfio: update-grub").count(), 1, "{}", ran.stderr);
    assert_eq!(ran.stderr.matches("Unterminated").count(), 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("everything is as it was"), "{}", ran.stderr);
    machine.tree.assert_same(&all, "an apply that fails");

    machine.tree.remove("etc/default/grub.d/50-theirs.cfg");
    assert_eq!(machine.apply().status, Some(0));
    machine.tree.write("etc/default/grub.d/50-theirs.cfg", broken);
    let ran = machine.vfio(&["cmdline", "revert"]);
    assert_eq!(ran.status, Some(1), "{}{}", ran.stdout, ran.stderr);
    assert!(!machine.tree.exists(OURS), "our file has to go");
    assert!(!machine.tree.exists("var/lib/vfio/cmdline"), "nothing is ours any more");
    assert!(ran.stderr.contains("what update-grub makes is not up to date until it runs again"), "{}", ran.stderr);
    std::fs::remove_dir_all(machine.tree.join("etc/default/grub.d")).unwrap();
    machine.tools.tool(&machine.tree, &["update-grub"]);
    machine.tree.assert_same(&clean, "after the next update-grub");
}

/// Regression: what a guide had people write into /etc/default/grub was "nothing to do" for an apply that adopts.
#[test]
fn parameters_of_an_older_guide_are_adopted() {
    let theirs = "GRUB_DEFAULT=0\nGRUB_CMDLINE_LINUX_DEFAULT=\"quiet amd_iommu=on iommu=pt\"\n\
                  GRUB_CMDLINE_LINUX=\"lab.word=1 console=ttyS0\"\n";
    let machine = Machine::new(&[("etc/default/grub", theirs)]);
    let ran = machine.vfio(&["cmdline", "apply", "--adopt"]);
    assert_eq!(ran.status, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(
        machine.tree.read("etc/default/grub"),
        "GRUB_DEFAULT=0\nGRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\nGRUB_CMDLINE_LINUX=\"console=ttyS0\"\n"
    );
    assert!(machine.tree.read("boot/grub/grub.cfg").contains(&format!(" console=ttyS0 quiet {PARAMETERS}\n")));
    let all = machine.tree.snapshot();
    let ran = machine.vfio(&["cmdline", "apply", "--adopt"]);
    assert!(ran.status == Some(0) && ran.stdout.contains("nothing to do"), "{}{}", ran.stdout, ran.stderr);
    machine.tree.assert_same(&all, "adopted twice");
    assert_eq!(machine.vfio(&["cmdline", "revert"]).status, Some(0));
    let menu = machine.tree.read("boot/grub/grub.cfg");
    assert!(menu.contains(" console=ttyS0 quiet\n"), "{menu}");
    assert!(!machine.tree.exists(OURS) && !machine.tree.exists("var/lib/vfio/cmdline"));
}
