// SPDX-License-Identifier: LGPL-2.1-or-later
//! The boot entry without us (`[host] rescue-entry`): on machines of `tests/common/boots.rs`, with the tools of their loaders
//! (`boot-tools.sh`), against `tests/golden/rescue/NAME.txt`. `UPDATE_GOLDEN=1` writes these.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::boot_tools::{BootMachine, BootTools};
use common::boots::{self, Boot};
use common::halfway::files;
use common::skipped::skipped;
use common::text::Node;
use common::Tree;
use std::fs;
use std::path::{Path, PathBuf};
use vfio_suite::finding::codes;

const CONFIGURATION: &str = "[host]\niommu = on\nkernel-parameters = lab.word=1\nrescue-entry = yes\n";
/// Loaders with such an entry.
const WITH: [&str; 9] = [
    "arch-systemd-boot",
    "debian-systemd-boot",
    "fedora",
    "debian-grub",
    "arch-grub",
    "limine-by-hand",
    "archinstall-limine",
    "refind",
    "refind-include",
];

/// What `10_linux` prints, as far as it matters: the entry of the newest kernel, then all others in a submenu. After grub's
/// `util/grub.d/10_linux.in`, Debian's 2.12-9+deb13u4; it shows that it has got the variables.
const TEN_LINUX: &str = r#"#!/bin/sh
set -e
cat <<END
function gfxmode {
	set gfxpayload="\${1}"
}
menuentry 'It'\''s Linux' --class gnu-linux --class os \$menuentry_id_option 'gnulinux-simple-ab' {
	${GRUB_SAVEDEFAULT:+savedefault}
	linux	/boot/vmlinuz-6.12.48 root=UUID=ab ro ${GRUB_CMDLINE_LINUX} ${GRUB_CMDLINE_LINUX_DEFAULT}
	initrd	/boot/initrd.img-6.12.48
}
submenu 'Advanced' \$menuentry_id_option 'gnulinux-advanced-ab' {
	menuentry 'x' \$menuentry_id_option 'gnulinux-6.1-advanced-ab' {
		linux	/boot/vmlinuz-6.1 root=UUID=ab ro
	}
}
END
"#;

fn machine(boot: &Boot) -> BootMachine {
    let mut boot = boot.clone();
    boot.0.insert("etc/grub.d/10_linux".to_owned(), Node::File(0o755, TEN_LINUX.as_bytes().to_vec()));
    BootMachine::new(
        &boot,
        CONFIGURATION,
        &["intel_iommu=on iommu=pt lab.word=1", "iommu=pt lab.word=1", "intel_iommu=on lab.word=1"],
    )
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/rescue/{name}.txt"))
}

/// The files that are not as they were, with what is in them now.
fn shown(old: &common::text::Nodes, tree: &Tree) -> String {
    let mut text = String::new();
    for (path, node) in files(tree) {
        if let (Node::File(mode, bytes), true) = (&node, old.get(&path) != Some(&node)) {
            text.push_str(&format!("\n--- /{path} {mode:o}\n{}", String::from_utf8_lossy(bytes)));
        }
    }
    text
}

/// Every loader that can have the entry gets it, last; it has none of our parameters; nobody takes it for an entry that lacks some;
/// and it goes, whichever way, byte for byte.
#[test]
fn every_loader_gets_the_entry_and_is_then_as_before() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    for name in WITH {
        let machine = machine(&boots::of(name));
        if name.ends_with("grub") {
            let tool = if name == "arch-grub" {
                vec!["grub-mkconfig", "-o", "/boot/grub/grub.cfg"]
            } else {
                vec!["update-grub"]
            };
            machine.tool(&tool);
        }
        let (tree, old) = (&machine.tree, files(&machine.tree));
        let said = machine.said(&["cmdline", "apply"], 0);
        assert!(!said.contains("no boot entry without VFIO"), "{name}: {said}");
        let found = format!("{said}{}", shown(&old, tree));
        let file = golden(name);
        if update {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, &found).unwrap();
        }
        assert_eq!(found, fs::read_to_string(&file).unwrap_or_default(), "{}", file.display());

        let new = files(tree);
        BootTools::ran(tree);
        assert!(machine.said(&["cmdline", "apply"], 0).contains("nothing to do"), "{name}");
        assert_eq!(BootTools::ran(tree), [""; 0], "{name}: applied twice");
        let line = tree.read("proc/cmdline");
        tree.write("proc/cmdline", &format!("{} intel_iommu=on iommu=pt lab.word=1\n", line.trim_end()));
        let status = machine.said(&["cmdline", "status"], 0);
        assert!(!status.contains("(without VFIO)'") && !status.contains("without intel_iommu"), "{name}: {status}");
        let doctor = machine.vfio(&["doctor", "--only", "boot"]).stdout;
        assert!(!doctor.contains("boot-file-not") && !doctor.contains("(without VFIO)'"), "{name}: {doctor}");
        machine.said(&["sync"], 0);
        assert_eq!(
            files(tree),
            {
                let mut new = new.clone();
                new.insert("proc/cmdline".to_owned(), files(tree)["proc/cmdline"].clone());
                new
            },
            "{name}: synced"
        );

        // Without the key the next sync takes it away, and nothing else.
        tree.config(&CONFIGURATION.replace("rescue-entry = yes", "rescue-entry = no"));
        machine.said(&["sync"], 0);
        let left = shown(&old, tree);
        assert!(left.contains("lab.word=1"), "{name}");
        assert!(
            !left.replace("rescue-entry = no", "").contains("ithout VFIO") && !left.contains("vfio-off"),
            "{name}: {left}"
        );
        tree.config(CONFIGURATION);
        machine.said(&["sync"], 0);
        tree.write("proc/cmdline", &line);
        assert_eq!(files(tree), new, "{name}: and again");

        machine.said(&["cmdline", "revert"], 0);
        assert_eq!(files(tree), old, "{name}: reverted");
        assert!(!tree.exists("var/lib/vfio/cmdline"), "{name}: something is still on record");
    }
    let count = fs::read_dir(golden("x").parent().unwrap()).unwrap().count();
    assert_eq!(count, WITH.len(), "a file in tests/golden/rescue belongs to no machine");
}

/// Where a loader cannot have one, one sentence says so, with what to type; the parameters are put in all the same.
#[test]
fn where_none_can_be_made_it_is_said() {
    for (name, why, typed) in [
        ("arch-uki", "a second command line", "systemd-boot, add vfio=off"),
        ("debian-uki-secure-boot", "a second command line", "Secure Boot"),
        ("cachyos-limine", "writes limine.conf", "press F10"),
        ("cachyos-sdboot-manage", "removes boot entries that it has not made", "add vfio=off, then press Enter"),
        ("opensuse-sdbootutil", "makes all boot entries", "systemd-boot, add vfio=off"),
        ("pop-os", "makes all boot entries", "systemd-boot, add vfio=off"),
        ("fedora-silverblue", "belong to deployments", "begins with 'linux', then press Ctrl+X"),
        ("solus", "makes all boot entries", "systemd-boot, add vfio=off"),
        ("proxmox-zfs", "on partitions that are not mounted", "systemd-boot, add vfio=off"),
        ("nixos", "from its configuration", "add vfio=off"),
        ("zfsbootmenu", "for each dataset", "Ctrl+E"),
    ] {
        let machine = machine(&boots::of(name));
        let plan = machine.vfio(&["cmdline", "plan"]).stdout;
        let said: Vec<&str> = plan.lines().filter(|line| line.contains("no boot entry without VFIO")).collect();
        let [said] = said[..] else { panic!("{name}: {plan}") };
        assert!(said.starts_with("note: ") && said.contains(why) && said.contains(typed), "{name}: {said}");
        assert!(!plan.contains("vfio-off"), "{name}: {plan}");
        let doctor = machine.vfio(&["doctor", "--only", "boot", "--json"]).stdout;
        let code = format!("\"code\":\"{}\"", codes::NO_RESCUE_ENTRY.name());
        assert!(doctor.contains(&code), "{name}: {doctor}");
    }
}

fn entry(machine: &BootMachine, name: &str) -> String {
    machine.tree.read(&format!("boot/loader/entries/{name}"))
}

/// A file of somebody else's under our name is nobody's business of ours, whether the entry is asked for or not.
#[test]
fn a_file_of_somebody_else_stays() {
    for (name, path, text) in [
        ("arch-systemd-boot", "boot/loader/entries/_-vfio-off.conf", "title Mine\nlinux /vmlinuz-linux\noptions ro\n"),
        ("fedora", "boot/loader/entries/~vfio-off.conf", "title Mine\nlinux /vmlinuz\noptions ro\n"),
        ("debian-grub", "etc/grub.d/41_vfio", "#!/bin/sh\necho mine\n"),
    ] {
        let machine = machine(&boots::of(name).file(path, text));
        let said = machine.said(&["cmdline", "apply"], 0);
        assert!(said.contains(&format!("/{path} is not of vfio: give it another name")), "{name}: {said}");
        assert_eq!(machine.tree.read(path), text, "{name}");
        machine.said(&["cmdline", "revert"], 0);
        assert_eq!(machine.tree.read(path), text, "{name}");
        assert!(!machine.tree.exists("var/lib/vfio/cmdline"), "{name}");
    }
}

#[test]
fn an_entry_that_was_lost_or_changed_is_made_again() {
    let machine = machine(&boots::of("arch-systemd-boot"));
    machine.said(&["cmdline", "apply"], 0);
    let ours = entry(&machine, "_-vfio-off.conf");
    machine.tree.write("boot/loader/entries/_-vfio-off.conf", &ours.replace("quiet", "quiet iommu=pt"));
    let said = machine.said(&["cmdline", "apply"], 0);
    assert!(said.contains("/boot/loader/entries/_-vfio-off.conf: the boot entry without VFIO is made again"), "{said}");
    machine.tree.remove("boot/loader/entries/_-vfio-off.conf");
    machine.said(&["sync"], 0);
    assert_eq!(entry(&machine, "_-vfio-off.conf"), ours);
    // Somebody has removed it and the key: nothing is left on record for it.
    machine.tree.remove("boot/loader/entries/_-vfio-off.conf");
    machine.said(&["cmdline", "revert"], 0);
    assert!(!machine.tree.exists("var/lib/vfio/cmdline"));
}

/// Without any parameter of ours, as with `iommu = off`, the entry is there and is on record, so that a package's removal takes it.
#[test]
fn an_entry_without_any_parameter() {
    for (name, path) in
        [("arch-systemd-boot", "boot/loader/entries/_-vfio-off.conf"), ("arch-grub", "etc/grub.d/41_vfio")]
    {
        let machine = machine(&boots::of(name));
        let old = files(&machine.tree);
        machine.tree.config("[host]\nrescue-entry = yes\n");
        machine.said(&["sync"], 0);
        assert!(machine.tree.exists(path) && machine.tree.exists("var/lib/vfio/cmdline"), "{name}");
        assert!(machine.said(&["sync"], 0).contains("are up to date"), "{name}");
        // Switched off as a whole there is none.
        machine.tree.config("[host]\nrescue-entry = yes\nenable = no\n");
        machine.said(&["sync"], 0);
        machine.tree.config(CONFIGURATION);
        let mut new = files(&machine.tree);
        new.remove("boot/grub/grub.cfg");
        assert!(new.iter().all(|(path, node)| old.get(path) == Some(node)), "{name}");
        assert!(!machine.tree.exists("var/lib/vfio/cmdline"), "{name}");
    }
}

/// A menu that was not made, since the tool was cut off, is made by the next apply.
#[test]
fn a_menu_without_the_entry_is_made_again() {
    let machine = machine(&boots::of("debian-grub"));
    machine.tool(&["update-grub"]);
    machine.said(&["cmdline", "apply"], 0);
    let menu = machine.tree.read("boot/grub/grub.cfg");
    machine.tree.write("boot/grub/grub.cfg", menu.split("### BEGIN").next().unwrap());
    machine.said(&["cmdline", "apply"], 0);
    assert_eq!(machine.tree.read("boot/grub/grub.cfg"), menu);
    // Cut off on its way out, where no parameter tells.
    machine.tree.config("[host]\nrescue-entry = yes\n");
    machine.said(&["sync"], 0);
    assert!(machine.tree.read("boot/grub/grub.cfg").contains("vfio-off"));
    machine.tree.remove("etc/grub.d/41_vfio");
    machine.said(&["cmdline", "revert"], 0);
    assert!(!machine.tree.read("boot/grub/grub.cfg").contains("vfio-off"));
    assert!(!machine.tree.exists("var/lib/vfio/cmdline"));
}

/// Limine takes the last entry where `default_entry` is behind it: one more would become the default.
#[test]
fn an_entry_never_becomes_limines_default() {
    let text = boots::of("limine-by-hand").0;
    let Node::File(_, bytes) = &text["boot/limine/limine.conf"] else { panic!() };
    let text = String::from_utf8(bytes.clone()).unwrap();
    for (default, is_there) in [("1", true), ("2", false), ("9", false), ("Linux", true)] {
        let boot =
            boots::of("limine-by-hand").file("boot/limine/limine.conf", &format!("default_entry: {default}\n{text}"));
        let machine = machine(&boot);
        let said = machine.said(&["cmdline", "apply"], 0);
        assert_eq!(machine.tree.read("boot/limine/limine.conf").contains("vfio=off"), is_there, "{default}: {said}");
        assert_eq!(said.contains(&format!("default_entry {default} is behind the last entry")), !is_there, "{said}");
    }
}

/// Lines of ours without their end are nobody's to guess at.
#[test]
fn lines_without_their_end_stay() {
    let machine = machine(&boots::of("limine-by-hand"));
    machine.said(&["cmdline", "apply"], 0);
    let text = machine.tree.read("boot/limine/limine.conf").replace("# vfio: the end of that entry\n", "/Mine\n");
    machine.tree.write("boot/limine/limine.conf", &text);
    let said = machine.said(&["cmdline", "apply"], 0);
    assert!(said.contains("/boot/limine/limine.conf:5: vfio's boot entry begins here and does not end"), "{said}");
    assert!(machine.tree.read("boot/limine/limine.conf").contains("/Mine\n"));
}

/// The script with the shells that machines have, and whatever is beside it: it prints one entry or nothing, and never fails.
#[test]
fn the_script_never_fails() {
    let machine = machine(&boots::of("debian-grub"));
    machine.said(&["cmdline", "apply"], 0);
    let directory = machine.tree.join("etc/grub.d");
    let script = directory.join("41_vfio");
    let run = |shell: &str, line: &str| {
        let mut command = std::process::Command::new(shell);
        command.arg(&script).env("GRUB_CMDLINE_LINUX_DEFAULT", line).env("GRUB_SAVEDEFAULT", "true");
        let output = command.output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{shell}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let put = |text: &str| {
        fs::write(directory.join("10_linux"), text).unwrap();
    };
    for shell in ["dash", "bash"] {
        for (line, kernel) in [
            ("quiet intel_iommu=on iommu=pt lab.word=1", "quiet vfio=off"),
            ("intel_iommu=on iommu=pt lab.word=1", "vfio=off"),
            ("iommu=pt a='b  c' intel_iommu=on iommu=pt lab.word=1 more", "iommu=pt a='b  c' more vfio=off"),
            ("quiet lab.word=12", "quiet lab.word=12 vfio=off"),
            ("", "vfio=off"),
            ("* $(false) `x` \\", "* $(false) `x` \\ vfio=off"),
        ] {
            put(TEN_LINUX);
            let entry = run(shell, line);
            let (first, last) = (entry.lines().next().unwrap(), entry.lines().last().unwrap());
            assert_eq!(
                first,
                r"menuentry 'It'\''s Linux (without VFIO)' --class gnu-linux --class os $menuentry_id_option 'vfio-off' {"
            );
            assert!(
                last == "}" && !entry.contains("savedefault") && entry.matches("menuentry").count() == 2,
                "{entry}"
            );
            let words = entry.lines().find_map(|line| line.split_once(" ro ")).unwrap().1;
            assert_eq!(words.trim_start(), kernel, "{shell}: {line}");
        }
        for nothing in [
            "#!/bin/sh\nexit 1\n",
            "#!/bin/sh\n",
            "#!/bin/sh\necho 'menuentry \"other\" {'\necho 'linux /x vfio=off'\necho '}'\n",
            "#!/bin/sh\necho \"menuentry 'a' \\$menuentry_id_option 'b' {\"\necho }\n",
            "#!/no/such/shell\n",
        ] {
            put(nothing);
            assert_eq!(run(shell, "quiet"), "", "{shell}: {nothing}");
        }
        fs::remove_file(directory.join("10_linux")).unwrap();
        assert_eq!(run(shell, "quiet"), "", "{shell}");
        put(TEN_LINUX);
        // Not run by grub-mkconfig either.
        fs::set_permissions(directory.join("10_linux"), std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        assert_eq!(run(shell, "quiet"), "", "{shell}");
        fs::set_permissions(directory.join("10_linux"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
}

/// systemd's own program puts ours last, whatever the others are called, and takes its name.
#[test]
fn bootctl_lists_the_entry_last() {
    let machine = machine(&boots::of("debian-systemd-boot"));
    machine.said(&["cmdline", "apply"], 0);
    let esp = machine.tree.join("boot/efi");
    for name in ["arch", "Arch", "0a", "a", "z", "5f-7", "^1"] {
        let text = format!("title {name}\nlinux /5f/6.12.48+deb13-amd64/linux\noptions ro\n");
        fs::write(esp.join(format!("loader/entries/{name}.conf")), text).unwrap();
    }
    for path in ["5f/6.12.48+deb13-amd64/linux", "5f/6.12.48+deb13-amd64/initrd"] {
        fs::create_dir_all(esp.join(path).parent().unwrap()).unwrap();
        fs::write(esp.join(path), "").unwrap();
    }
    // It takes the top of a file system alone.
    let script =
        "mount -t tmpfs none \"$2\" && cp -a \"$1\"/. \"$2\" && exec bootctl --esp-path=\"$2\" --no-pager list";
    let at = tempfile::tempdir().unwrap();
    let mut command = std::process::Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", script, "sh"]).arg(&esp).arg(at.path());
    let output = command.env("SYSTEMD_RELAX_ESP_CHECKS", "1").env("LC_ALL", "C").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let ids: Vec<&str> = said.lines().filter_map(|line| line.trim().strip_prefix("id: ")).collect();
    if ids.is_empty() {
        let why = String::from_utf8_lossy(&output.stderr);
        return skipped("bootctl_lists_the_entry_last", &format!("bootctl lists nothing ({})", why.trim()));
    }
    assert!(ids.len() >= 8, "{said}");
    let last = ids.iter().rposition(|id| id.ends_with(".conf")).unwrap();
    assert_eq!(ids[last], "_-vfio-off.conf", "{ids:?}");
    assert!(said.contains("title: Debian (without VFIO)"), "{said}");
}

/// GRUB's own checker can read a menu with it.
#[test]
fn grub_reads_the_entry() {
    let machine = machine(&boots::of("debian-grub"));
    machine.said(&["cmdline", "apply"], 0);
    let menu = machine.tree.join("boot/grub/grub.cfg");
    assert!(fs::read_to_string(&menu).unwrap().contains("vfio-off"));
    match std::process::Command::new("grub-script-check").arg(&menu).output() {
        Ok(output) => assert!(output.status.success(), "{output:?}"),
        Err(error) => skipped("grub_reads_the_entry", &format!("grub-script-check: {error}")),
    }
}
