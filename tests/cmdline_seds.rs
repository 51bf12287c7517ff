// SPDX-License-Identifier: LGPL-2.1-or-later
//! What guides and other tools do to boot files with `sed`, and what went wrong: the same input through ours.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::boot::{after, applied, planned, system, PATH};
use vfio_suite::host::boot::{BootFile, Content, Format, Role};
use vfio_suite::plan::cmdline::format::lines;
use vfio_suite::plan::cmdline::record::Record;
use vfio_suite::plan::cmdline::{plan, Options};

fn words() -> Vec<String> {
    ["intel_iommu=on", "iommu=pt"].map(str::to_owned).to_vec()
}

#[track_caller]
fn becomes(format: Format, text: &str, with: &str) {
    assert_eq!(applied(format, text, &words()).unwrap(), with);
}

/// A guide's script put the words and a second quote behind the closing one: every later run of grub-mkconfig ended with an
/// unterminated string.
#[test]
fn words_go_before_the_closing_quote() {
    becomes(
        Format::GrubDefault,
        "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet splash\"\n",
        "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet splash intel_iommu=on iommu=pt\"\n",
    );
    // A file that such a script has broken is named with its line, and left alone.
    let broken = "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet splash\" intel_iommu=on iommu=pt\"\n";
    let problem = applied(Format::GrubDefault, broken, &words()).unwrap_err();
    assert_eq!(problem, format!("/{PATH}:1: the quote (\") that begins here does not end: close it"));
}

/// gpupt and GPU Passthrough Manager write the whole line anew: `resume=`, `cryptdevice=` and whatever else the user had are
/// gone, and with them the way to the root file system.
#[test]
fn the_words_of_the_user_stay() {
    let line = "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet resume=UUID=1-2 cryptdevice=UUID=3-4:root root=/dev/mapper/root";
    becomes(Format::GrubDefault, &format!("{line}\"\n"), &format!("{line} intel_iommu=on iommu=pt\"\n"));
    becomes(
        Format::GrubDefault,
        "GRUB_CMDLINE_LINUX_DEFAULT='a=\"b c\"' # mine\n",
        "GRUB_CMDLINE_LINUX_DEFAULT='a=\"b c\" intel_iommu=on iommu=pt' # mine\n",
    );
}

/// A pattern without an anchor (`GRUB_CMDLINE_LINUX`) also hits the variables whose names only begin like that, and comments.
#[test]
fn only_the_one_variable_changes() {
    let text = "#GRUB_CMDLINE_LINUX_DEFAULT=\"old\"\nGRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\nGRUB_CMDLINE_LINUX=\"net.ifnames=0\"\n\
                GRUB_CMDLINE_LINUX_RECOVERY=\"single\"\nGRUB_CMDLINE_LINUX_XEN_REPLACE_DEFAULT=\"x\"\n";
    becomes(Format::GrubDefault, text, &text.replace("\"quiet\"", "\"quiet intel_iommu=on iommu=pt\""));
    becomes(Format::GrubLinux, text, &text.replace("net.ifnames=0", "net.ifnames=0 intel_iommu=on iommu=pt"));
}

/// stele95's, MobilePassThrough's and GPU Passthrough Manager's edits put the words in again with every run.
/// [`applied`] applies twice and compares.
#[test]
fn a_second_run_changes_nothing() {
    for text in ["GRUB_CMDLINE_LINUX_DEFAULT=\"\"\n", "GRUB_CMDLINE_LINUX_DEFAULT=quiet\n", "GRUB_TIMEOUT=5\n"] {
        applied(Format::GrubDefault, text, &words()).unwrap();
    }
    // The guide's script compares the whole text: in another order, the words come a second time.
    let other_order = "linux /l\noptions iommu=pt quiet intel_iommu=on\n";
    becomes(Format::Bls, other_order, other_order);
}

/// The same tools look for a part of the line: with `intel_iommu=on,sm_on` or `xiommu=pt` there they add nothing, or take out
/// a part of a word.
#[test]
fn a_part_of_a_word_is_no_word() {
    becomes(
        Format::GrubDefault,
        "GRUB_CMDLINE_LINUX_DEFAULT=\"my_iommu=pt iommu=pth\"\n",
        "GRUB_CMDLINE_LINUX_DEFAULT=\"my_iommu=pt iommu=pth intel_iommu=on iommu=pt\"\n",
    );
    // What means the same is there already.
    let same = "GRUB_CMDLINE_LINUX_DEFAULT=\"intel_iommu=on,sm_on iommu.passthrough=1\"\n";
    becomes(Format::GrubDefault, same, same);
}

/// None of these tools can take its words out again. Ours go, and those that were the user's stay, at the same place.
#[test]
fn a_revert_takes_out_ours_and_nothing_else() {
    let text = "GRUB_CMDLINE_LINUX_DEFAULT=\"iommu=pt  quiet\"\n";
    let first = planned(Format::GrubDefault, text, &words(), &Record::default(), false);
    let with = after(&first, text).unwrap();
    assert_eq!(with, "GRUB_CMDLINE_LINUX_DEFAULT=\"iommu=pt  quiet intel_iommu=on\"\n");
    // Even after the user has gone on to edit.
    let edited = with.replace("quiet", "splash");
    let back = planned(Format::GrubDefault, &edited, &[], &first.record, false);
    assert_eq!(after(&back, &edited).unwrap(), text.replace("quiet", "splash"));
}

/// Appending to the file, or to the first line that matches, has no effect where a later assignment counts.
#[test]
fn the_assignment_that_counts_is_changed() {
    becomes(
        Format::GrubDefault,
        "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\nGRUB_CMDLINE_LINUX_DEFAULT=\"debug\"\n",
        "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\nGRUB_CMDLINE_LINUX_DEFAULT=\"debug intel_iommu=on iommu=pt\"\n",
    );
}

/// `amd_iommu=on`, which many guides ask for, is no word of any kernel: it goes when the user says so, and is never added.
#[test]
fn a_word_without_effect_goes_when_asked() {
    let text = "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet amd_iommu=on iommu=pt\"\n";
    let adopted = planned(Format::GrubDefault, text, &["iommu=pt".to_owned()], &Record::default(), true);
    assert_eq!(after(&adopted, text).unwrap(), "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet iommu=pt\"\n");
}

/// A second `options` line is read by systemd-boot and not by GRUB; one after a blank line neither.
#[test]
fn no_second_options_line() {
    let text = "title Fedora\nlinux /vmlinuz\noptions $kernelopts $tuned_params\n\ngrub_class fedora\n";
    let new = applied(Format::Bls, text, &words()).unwrap();
    assert_eq!(new.matches("options").count(), 1);
    assert_eq!(new, text.replace("$tuned_params", "$tuned_params intel_iommu=on iommu=pt"));
}

/// The guide's script appends to every entry of systemd-boot: to those for emergencies, and to shells and other systems.
#[test]
fn entries_for_emergencies_and_other_systems_are_left_alone() {
    let text = "title Rescue\nlinux /vmlinuz\noptions root=/dev/vda2 ro\n";
    let mut system = system(Format::Bls, text);
    let entry = |path: &str, role: Role, text: &str| BootFile {
        path: path.to_owned(),
        format: Format::Bls,
        role,
        content: Some(Content::Text(text.to_owned())),
    };
    system.loaders[0].boot_files = vec![
        entry("boot/loader/entries/a.conf", Role::Entry, text),
        entry("boot/loader/entries/rescue.conf", Role::Rescue, text),
        entry("boot/loader/entries/shell.conf", Role::Entry, "title Shell\nefi /shellx64.efi\n"),
        entry("boot/loader/entries/windows.conf", Role::Entry, "title Windows\nefi /EFI/Microsoft/bootmgfw.efi\n"),
    ];
    let change = |options: &Options| -> Vec<String> {
        plan(&system, &words(), &Record::default(), options).changes.into_iter().map(|change| change.path).collect()
    };
    assert_eq!(change(&Options::default()), ["boot/loader/entries/a.conf"]);
    let rescue = Options { rescue: true, ..Options::default() };
    assert_eq!(change(&rescue), ["boot/loader/entries/a.conf", "boot/loader/entries/rescue.conf"]);
}

/// With boot entries in files (Fedora), what grub-mkconfig makes has no command line in it: a tool that looks for its words
/// in grub.cfg, or puts them there, changes nothing that boots.
#[test]
fn with_entries_in_files_grub_cfg_has_no_command_line() {
    assert_eq!(lines(Format::GrubCfg, "set kernelopts=\"ro quiet\"\ninsmod blscfg\nblscfg\n").unwrap(), []);
}
