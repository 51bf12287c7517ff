// SPDX-License-Identifier: LGPL-2.1-or-later
#![allow(clippy::unwrap_used)]

use super::*;
use crate::host::boot::{BootFile, Content, Format, Loader, LoaderKind, Role};
use crate::host::initramfs::image::{Seen, Unseen};

const CARD: &str = "[gpu big]\ndevice = 0000:03:00.0\n";

fn config(text: &str) -> Config {
    config::parse_files(&[("/etc/vfio.conf", text.as_bytes())])
}

/// An image that has all of ours, with this configuration.
fn image(text: &str) -> Image {
    let files = vec![("etc/vfio.conf".to_owned(), Some(text.as_bytes().to_vec()))];
    let seen = Seen { program: true, run: true, rule: true, vfio_pci: false, files };
    Image {
        paths: vec!["boot/initrd.img-6.12.1".to_owned()],
        release: Some("6.12.1".to_owned()),
        made: 0,
        seen: Ok(seen),
    }
}

fn without_us() -> Image {
    Image { seen: Ok(Seen::default()), ..image("") }
}

fn unreadable() -> Image {
    Image { seen: Err(Unseen { why: "zstd is not there".to_owned(), damaged: false }), ..image("") }
}

fn debian(images: Vec<Image>) -> Initramfs {
    Initramfs { tool: Some(Tool::UpdateInitramfs), marked: true, images, ..Initramfs::default() }
}

fn decide(text: &str, initramfs: &Initramfs, synced: &Synced) -> SyncPlan {
    let (system, record) = (BootSystem::default(), Record::default());
    plan(&config(text), &Facts { system: &system, record: &record, initramfs, synced, parameters: &[], refused: &[] })
}

fn runs(plan: &SyncPlan) -> Vec<String> {
    let runs = plan.steps.iter().flat_map(|step| match step {
        SyncStep::Initramfs { runs, .. } => runs.iter().map(|run| run.join(" ")).collect(),
        SyncStep::Words { .. } | SyncStep::Hook { .. } => Vec::new(),
    });
    runs.collect()
}

const BUILD: &str = "update-initramfs -u -k all";

#[test]
fn an_image_is_built_anew_where_it_reserves_something_else() {
    let edited = |more: &str| format!("{CARD}{more}");
    for (text, image, builds) in [
        (CARD.to_owned(), without_us(), true),
        (CARD.to_owned(), image(CARD), false),
        // What changes nothing in the image.
        (edited("bar0 = 16G\nreset = bus\nrom = /a.rom\n"), image(CARD), false),
        (format!("# a remark\n{CARD}\n[guest win]\ngpus = big\n"), image(CARD), false),
        ("[host]\nfailed-boots = 0\niommu = off\n".to_owned() + CARD, image(CARD), false),
        // What does.
        (edited("functions = 0\n"), image(CARD), true),
        (edited("also = 0000:05:00.0\n"), image(CARD), true),
        (edited("identity = 1002:73bf\n"), image(CARD), true),
        (edited("only-display = yes\n"), image(CARD), true),
        (edited("bind = guest\n"), image(CARD), true),
        ("[host]\nenable = no\n".to_owned() + CARD, image(CARD), true),
        (String::new(), image(CARD), true),
        // Cards of guests are in the image's configuration and change nothing there.
        (edited("bind = guest\n"), image(&edited("bind = guest\n")), false),
        (edited("bind = guest\n"), without_us(), false),
        (String::new(), without_us(), false),
    ] {
        let plan = decide(&text, &debian(vec![image]), &Synced::default());
        assert_eq!(runs(&plan), if builds { vec![BUILD] } else { vec![] }, "{text}");
        assert_eq!(plan.notes, [""; 0], "{text}");
    }
}

#[test]
fn a_program_that_nothing_starts_reserves_nothing() {
    let mut image = image(CARD);
    image.seen.as_mut().unwrap().run = false;
    assert_eq!(
        fit(&image, &needs(&config(CARD))),
        Fit::Wrong("/boot/initrd.img-6.12.1 has vfio-bind, but nothing that starts it".to_owned())
    );
}

#[test]
fn drop_ins_count_and_masks_too() {
    let mut image = image("");
    let seen = image.seen.as_mut().unwrap();
    seen.files.extend([
        ("etc/vfio.conf.d/10.conf".to_owned(), None),
        ("etc/vfio.conf.d/20.conf".to_owned(), Some(CARD.as_bytes().to_vec())),
        ("usr/lib/vfio.conf.d/10.conf".to_owned(), Some(b"[host]\nenable = no\n".to_vec())),
    ]);
    assert_eq!(fit(&image, &needs(&config(CARD))), Fit::Right);
}

#[test]
fn an_unedited_package_does_nothing() {
    let unedited = include_str!("../../vfio.conf");
    let initramfs = Initramfs { marked: false, ..debian(vec![image(CARD)]) };
    assert!(!must_look(&config(unedited), &initramfs, &Synced::default()));
    let plan = decide(unedited, &initramfs, &Synced::default());
    assert!(plan.steps.is_empty() && plan.notes.is_empty() && plan.refusals.is_empty());
    assert_eq!(plan.synced, Synced::default());
}

#[test]
fn a_wrong_file_changes_nothing() {
    let synced = Synced { cards: needs(&config(CARD)), ..Synced::default() };
    let plan = decide("[gpu big]\ndevice = nonsense\n", &debian(vec![image(CARD)]), &synced);
    assert!(plan.steps.is_empty());
    assert!(plan.refusals[0].starts_with("/etc/vfio.conf:2: "), "{:?}", plan.refusals);
    assert_eq!(plan.synced, synced);
}

#[test]
fn an_image_that_cannot_be_read_is_built_once() {
    let before = Synced::default();
    let plan = decide(CARD, &debian(vec![unreadable()]), &before);
    assert_eq!(runs(&plan), [BUILD]);
    assert_eq!(runs(&decide(CARD, &debian(vec![unreadable()]), &plan.synced)), [""; 0]);
    assert_eq!(runs(&decide("", &debian(vec![unreadable()]), &plan.synced)), [BUILD]);
}

#[test]
fn each_tool_builds_in_its_own_way() {
    let run = |tool, images| {
        let initramfs = Initramfs { tool: Some(tool), ..debian(images) };
        runs(&decide(CARD, &initramfs, &Synced::default()))
    };
    assert_eq!(run(Tool::Dracut, vec![without_us()]), ["dracut --force /boot/initrd.img-6.12.1 6.12.1"]);
    assert_eq!(run(Tool::Dracut, vec![image(CARD)]), [""; 0]);
    assert_eq!(run(Tool::Dracut, vec![]), ["dracut --force --regenerate-all"]);
    let nameless = Image { release: None, ..without_us() };
    assert_eq!(run(Tool::Dracut, vec![without_us(), nameless]), ["dracut --force --regenerate-all"]);
    assert_eq!(run(Tool::Mkinitcpio, vec![without_us()]), ["mkinitcpio -P"]);
}

/// Regression: mkinitcpio's hook left no mark, so an image kept a card for ever that the configuration had no more.
#[test]
fn images_that_were_made_for_cards_are_looked_into() {
    let synced = Synced { cards: needs(&config(CARD)), ..Synced::default() };
    let initramfs = Initramfs { tool: Some(Tool::Mkinitcpio), marked: false, ..debian(vec![image(CARD)]) };
    assert!(must_look(&config(""), &initramfs, &synced) && !must_look(&config(""), &initramfs, &Synced::default()));
    assert_eq!(runs(&decide("", &initramfs, &synced)), ["mkinitcpio -P"]);
}

/// An image in one program of the firmware with its kernel.
fn unified(text: &str) -> Image {
    Image { paths: vec!["efi/EFI/Linux/a-6.12.1.efi".to_owned()], ..image(text) }
}

#[test]
fn unified_images_are_built_by_what_makes_them() {
    let by = |run: &str| Some(run.split(' ').map(str::to_owned).collect());
    let run = |tool, images, run| {
        let initramfs = Initramfs { tool: Some(tool), unified_by: run, ..debian(images) };
        runs(&decide(CARD, &initramfs, &Synced::default()))
    };
    let wrong = || Image { seen: Ok(Seen::default()), ..unified("") };
    // Nobody knows what makes it.
    assert_eq!(run(Tool::UpdateInitramfs, vec![image(CARD), wrong()], None), [""; 0]);
    let add_all = || by("kernel-install add-all");
    assert_eq!(run(Tool::UpdateInitramfs, vec![image(CARD), wrong()], add_all()), ["kernel-install add-all"]);
    assert_eq!(run(Tool::UpdateInitramfs, vec![image(CARD), unified(CARD)], add_all()), [""; 0]);
    // It may take the other tool's image.
    assert_eq!(run(Tool::UpdateInitramfs, vec![without_us(), wrong()], add_all()), [BUILD, "kernel-install add-all"]);
    assert_eq!(run(Tool::Dracut, vec![wrong()], add_all()), ["kernel-install add-all"]);
    assert_eq!(run(Tool::Dracut, vec![wrong()], None), ["dracut --force --regenerate-all"]);
    let mkinitcpio = || by("mkinitcpio -P");
    assert_eq!(run(Tool::Mkinitcpio, vec![without_us(), wrong()], mkinitcpio()), ["mkinitcpio -P"]);
    assert_eq!(run(Tool::Mkinitcpio, vec![wrong()], mkinitcpio()), ["mkinitcpio -P"]);
}

#[test]
fn gentoo_has_its_images_elsewhere() {
    let run = |images, unified_by: Option<&str>| {
        let unified_by = unified_by.map(|run| run.split(' ').map(str::to_owned).collect());
        let initramfs = Initramfs { tool: Some(Tool::Dracut), installkernel: true, unified_by, ..debian(images) };
        runs(&decide(CARD, &initramfs, &Synced::default()))
    };
    let on_esp = Image { paths: vec!["efi/EFI/Gentoo/initramfs-6.12.1.img".to_owned()], ..without_us() };
    assert_eq!(run(vec![on_esp], None), ["dracut --force --no-uefi /efi/EFI/Gentoo/initramfs-6.12.1.img 6.12.1"]);
    assert_eq!(run(vec![], None), ["installkernel --all"]);
    let wrong = Image { seen: Ok(Seen::default()), ..unified("") };
    assert_eq!(run(vec![wrong], Some("installkernel --all")), ["installkernel --all"]);
}

#[test]
fn what_cannot_be_built_is_said() {
    let said = |initramfs: Initramfs| {
        let plan = decide(CARD, &initramfs, &Synced::default());
        assert!(plan.steps.is_empty());
        plan.notes.join("; ")
    };
    let images = || debian(vec![without_us()]);
    let text = said(Initramfs { immutable: true, ..images() });
    assert!(text.contains("comes with it and is not built here: [gpu big] is reserved only after it"), "{text}");
    let text = said(Initramfs { tool: Some(Tool::Booster), ..images() });
    assert!(text.contains("booster has no place for vfio"), "{text}");
    let text = said(Initramfs { tool: None, ..images() });
    assert!(text.contains("does not reserve [gpu big]; no program was found that builds it"), "{text}");
    // A kernel that needs no image: nothing to say.
    let plan = decide(CARD, &Initramfs::default(), &Synced::default());
    assert!(plan.steps.is_empty() && plan.notes.is_empty());
    // With nothing to reserve there is nothing to miss.
    let plan = decide("", &Initramfs { immutable: true, ..images() }, &Synced::default());
    assert!(plan.steps.is_empty() && plan.notes.is_empty());
}

fn parameters(plan: &SyncPlan) -> usize {
    plan.steps.iter().filter(|step| matches!(step, SyncStep::Words { .. })).count()
}

#[test]
fn words_come_before_images_and_one_build_is_enough() {
    let boot_file = BootFile {
        path: "etc/kernel/cmdline".to_owned(),
        format: Format::Plain,
        role: Role::Source,
        content: Some(Content::Text("quiet\n".to_owned())),
    };
    let build = vec!["mkinitcpio".to_owned(), "-P".to_owned()];
    let kind = LoaderKind::UkiRebuild;
    let loader = Loader { kind, boot_files: vec![boot_file], tools: vec![build], missing: Vec::new(), check: None };
    let system = BootSystem { loaders: vec![loader], ..BootSystem::default() };
    let initramfs = Initramfs { tool: Some(Tool::Mkinitcpio), ..debian(vec![without_us()]) };
    let required = [Parameter { parameter: "iommu=pt".to_owned(), why: String::new() }];
    let (record, synced) = (Record::default(), Synced::default());
    let facts = Facts {
        system: &system,
        record: &record,
        initramfs: &initramfs,
        synced: &synced,
        parameters: &required,
        refused: &[],
    };
    let plan = plan(&config(CARD), &facts);
    assert!(matches!(plan.steps[0], SyncStep::Words { .. }));
    assert!(matches!(&plan.steps[1], SyncStep::Initramfs { runs, .. } if runs.is_empty()), "{:?}", plan.steps);
    assert_eq!(plan.synced.parameters, ["iommu=pt"]);
}

#[test]
fn an_unknown_loader_is_said_until_the_words_are_there() {
    let required = [Parameter { parameter: "iommu=pt".to_owned(), why: String::new() }];
    let (record, synced, initramfs) = (Record::default(), Synced::default(), debian(vec![image(CARD)]));
    for (line, said) in [("quiet", true), ("quiet iommu=pt", false), ("iommu.passthrough=1", false)] {
        let running = crate::host::kernel_cmdline::KernelCmdline::parse(line);
        let system = BootSystem { parameters: running, ..BootSystem::default() };
        let facts = Facts {
            system: &system,
            record: &record,
            initramfs: &initramfs,
            synced: &synced,
            parameters: &required,
            refused: &[],
        };
        let plan = plan(&config(CARD), &facts);
        assert_eq!((parameters(&plan), !plan.notes.is_empty()), (0, said), "{line}: {:?}", plan.notes);
    }
}
