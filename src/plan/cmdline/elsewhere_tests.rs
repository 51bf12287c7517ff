// SPDX-License-Identifier: LGPL-2.1-or-later

use super::*;
use crate::host::boot::esp::LeftAlone;
use crate::host::boot::{BootFile, Content, Format, Loader};
use crate::host::kernel_cmdline::KernelCmdline;
use crate::plan::cmdline::parameters::Parameter;
use crate::plan::cmdline::record::Owned;
use crate::plan::cmdline::status::status;

const PARAMETER: &str = "iommu=pt";

fn loader(kind: LoaderKind, files: &[(&str, Role, &str)]) -> Loader {
    let boot_files = files.iter().map(|(path, role, line)| BootFile {
        path: (*path).to_owned(),
        format: Format::Bls,
        role: *role,
        content: Some(Content::Text(format!("title a\noptions root=/dev/vda1 {line}\n"))),
    });
    Loader { kind, boot_files: boot_files.collect(), tools: Vec::new(), missing: Vec::new(), check: None }
}

/// A machine with systemd-boot that was changed in boot "1" and is in boot "2" now.
fn system(line: &str) -> BootSystem {
    let files = [
        ("efi/loader/entries/arch.conf", Role::Entry, PARAMETER),
        ("efi/loader/entries/arch-rescue.conf", Role::Rescue, ""),
    ];
    BootSystem {
        loaders: vec![loader(LoaderKind::SystemdBoot, &files)],
        boot_id: "2".to_owned(),
        parameters: KernelCmdline::parse(line),
        ..BootSystem::default()
    }
}

fn record() -> Record {
    let owned = Owned { key: String::new(), parameters: vec![PARAMETER.to_owned()], before: None };
    let boot_files = [("efi/loader/entries/arch.conf".to_owned(), vec![owned])].into_iter().collect();
    Record { boot_files, changed_in: "1".to_owned(), ..Record::default() }
}

fn found(system: &BootSystem, record: &Record) -> Option<Elsewhere> {
    let required = vec![Parameter { parameter: PARAMETER.to_owned(), why: "why".to_owned() }];
    status(system, required, record).elsewhere
}

#[test]
fn only_a_later_boot_tells() {
    let line = "root=/dev/vda1 quiet";
    assert_eq!(found(&system(line), &record()).unwrap().parameters, [PARAMETER]);
    assert_eq!(found(&system("root=/dev/vda1 iommu=pt"), &record()), None, "the kernel has it");
    for changed_in in ["", "2"] {
        let record = Record { changed_in: changed_in.to_owned(), ..record() };
        assert_eq!(found(&system(line), &record), None, "changed in '{changed_in}'");
    }
    assert_eq!(found(&BootSystem { boot_id: String::new(), ..system(line) }, &record()), None, "no boot id");
}

#[test]
fn a_boot_that_was_chosen_without_us_is_none() {
    assert_eq!(found(&system("root=/dev/vda1 vfio=off"), &record()), None);
    for entry in ["arch-rescue.conf", "arch-rescue"] {
        let system = BootSystem { entry: Some(entry.to_owned()), ..system("root=/dev/vda1") };
        assert_eq!(found(&system, &record()), None, "{entry}");
    }
    let system = BootSystem { entry: Some("arch.conf".to_owned()), ..system("root=/dev/vda1") };
    assert!(found(&system, &record()).is_some(), "an entry that has it");
}

#[test]
fn what_a_boot_file_lacks_or_is_not_ours_does_not_tell() {
    let mut lacking = system("root=/dev/vda1");
    lacking.loaders.push(loader(LoaderKind::Refind, &[("boot/refind_linux.conf", Role::Entry, "")]));
    assert_eq!(found(&lacking, &record()), None, "vfio sync comes first");
    let users = Record { boot_files: Default::default(), ..record() };
    assert_eq!(found(&system("root=/dev/vda1"), &users), None, "the user's own parameter");
}

#[test]
fn the_likely_place_follows_the_traces() {
    let base = || system("root=/dev/vda1");
    let hint = |system: BootSystem| {
        let found = found(&system, &record()).unwrap();
        (found.traces.join("; "), found.hint)
    };
    for (system, trace, word) in [
        (base(), "/proc/cmdline: root=/dev/vda1", "efibootmgr -u"),
        (system("BOOT_IMAGE=/boot/vmlinuz root=/dev/vda1"), "BOOT_IMAGE: /boot/vmlinuz", "GRUB was booted"),
        (
            BootSystem { booted: Some("rEFInd 0.14".to_owned()), ..base() },
            "LoaderInfo: rEFInd 0.14",
            "rEFInd 0.14 was booted",
        ),
        (
            BootSystem { booted: Some("systemd-boot 257".to_owned()), entry: Some("old".to_owned()), ..base() },
            "LoaderInfo: systemd-boot 257; LoaderEntrySelected: old",
            "bootctl list",
        ),
        (
            BootSystem { stub: Some("systemd-stub 257".to_owned()), ..base() },
            "StubInfo: systemd-stub 257",
            "a unified kernel image was booted",
        ),
        (
            BootSystem { left_alone: vec![LeftAlone { at: "media/stick".to_owned(), why: "is removable" }], ..base() },
            "/proc/cmdline: root=/dev/vda1",
            "/media/stick is removable",
        ),
    ] {
        let (traces, hint) = hint(system);
        assert_eq!(traces, trace);
        assert!(hint.starts_with(word) || hint.contains(word), "{hint}");
    }
    let mut grub = system("BOOT_IMAGE=/vmlinuz root=/dev/vda1");
    grub.loaders[0].kind = LoaderKind::GrubFile;
    assert!(hint(grub).1.contains("a second GRUB"));
}
