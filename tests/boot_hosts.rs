// SPDX-License-Identifier: LGPL-2.1-or-later
//! What machines boot with, as the host floor sees it: every machine of `tests/common/boots.rs` against
//! `tests/golden/boot/NAME.txt`. `UPDATE_GOLDEN=1` writes them anew.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::boots::{self, Boot};
use common::skipped::skipped;
use common::text::Node;
use common::{pe, Tree};
use proptest::prelude::*;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use vfio_suite::act::backend::tools::{Signal, ToolError, Tools};
use vfio_suite::act::boot::cmdline as act;
use vfio_suite::host::boot::pe::Program;
use vfio_suite::host::boot::{efi, BootFile, BootSystem, Content, Format, Loader, LoaderKind, Role};
use vfio_suite::host::process::Process;
use vfio_suite::plan::cmdline::parameters::Parameter;
use vfio_suite::plan::cmdline::record::Record;
use vfio_suite::plan::cmdline::status::status;
use vfio_suite::plan::cmdline::{self, not_found, CmdlinePlan, Options};

/// A name as it stands in JSON.
fn name<T: serde::Serialize>(value: T) -> String {
    serde_json::to_value(value).unwrap().as_str().unwrap().to_owned()
}

/// All of it as text, a line for each thing.
fn show(system: &BootSystem) -> String {
    let mut out = String::new();
    show_to(&mut out, system).unwrap();
    out
}

fn show_to(out: &mut String, system: &BootSystem) -> std::fmt::Result {
    for (what, value) in [("booted", &system.booted), ("stub", &system.stub), ("entry", &system.entry)] {
        value.as_ref().map_or(Ok(()), |value| writeln!(out, "{what}: {value}"))?;
    }
    writeln!(out, "processor: {:?}", system.vendor)?;
    for path in &system.closed {
        writeln!(out, "not to be read: {path}")?;
    }
    if system.secure_boot {
        writeln!(out, "signatures are checked")?;
    }
    writeln!(out, "words: {}", system.parameters.iter().collect::<Vec<_>>().join(" "))?;
    for kernel in &system.kernels {
        writeln!(out, "kernel {}: {:?}", kernel.release, kernel.intel)?;
    }
    for loader in &system.loaders {
        writeln!(out, "\n{} ({})", loader.kind.name(), name(loader.kind))?;
        for place in &loader.boot_files {
            show_place(out, place)?;
        }
        for tool in &loader.tools {
            writeln!(out, "  run: {}", tool.join(" "))?;
        }
        for missing in &loader.missing {
            writeln!(out, "  missing: {missing}")?;
        }
        loader.check.as_ref().map_or(Ok(()), |check| writeln!(out, "  check: {}", check.join(" ")))?;
    }
    Ok(())
}

fn show_place(out: &mut String, place: &BootFile) -> std::fmt::Result {
    write!(out, "  {:8} {:13} {}", name(place.role), name(place.format), place.path)?;
    if place.key() != place.path {
        write!(out, " (known as {})", place.key())?;
    }
    match &place.content {
        None => writeln!(out, ", not there"),
        Some(Content::Unreadable(why)) => writeln!(out, ", unreadable: {why}"),
        Some(Content::Text(text)) if place.format.is_ours_alone() => writeln!(out, ": {text:?}"),
        Some(Content::Text(_)) => writeln!(out),
    }
}

fn scan(boot: &Boot) -> BootSystem {
    BootSystem::scan(&Tree::new(&boot.0).root())
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/boot/{name}.txt"))
}

#[test]
fn machines_boot_with_what_they_boot_with() {
    let mut differing = Vec::new();
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let all = boots::all();
    for (name, boot) in &all {
        let found = show(&scan(boot));
        if update {
            fs::create_dir_all(golden(name).parent().unwrap()).unwrap();
            fs::write(golden(name), &found).unwrap();
        } else if fs::read_to_string(golden(name)).unwrap_or_default() != found {
            differing.push(format!("{} should say:\n{found}", golden(name).display()));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
    let files = fs::read_dir(golden("x").parent().unwrap()).unwrap().count();
    assert_eq!(files, all.len(), "a file in tests/golden/boot belongs to no machine");
}

/// Whoever looks leaves no trace.
#[test]
fn looking_changes_nothing() {
    for (name, boot) in boots::all() {
        let tree = Tree::new(&boot.0);
        let (before, times) = (tree.snapshot(), tree.times());
        BootSystem::scan(&tree.root());
        tree.assert_same(&before, name);
        assert!(tree.times() == times, "{name}: a file was touched");
    }
}

/// The one loader of a machine.
#[track_caller]
fn only(system: &BootSystem) -> &Loader {
    let [loader] = &system.loaders[..] else { panic!("{}", show(system)) };
    loader
}

#[track_caller]
fn at<'s>(system: &'s BootSystem, path: &str) -> &'s BootFile {
    let mut boot_files = system.loaders.iter().flat_map(|loader| &loader.boot_files);
    boot_files.find(|place| place.path == path).unwrap_or_else(|| panic!("{path}:\n{}", show(system)))
}

/// Contents that nobody expects are said, one sentence each, whatever file they are in.
#[test]
fn files_that_are_no_text_are_said() {
    for (machine, boot) in boots::all() {
        let boot_files: Vec<String> =
            scan(&boot).loaders.iter().flat_map(|l| &l.boot_files).map(|place| place.path.clone()).collect();
        for path in boot_files {
            for (bytes, why) in [
                (vec![b'a', 0xff, b'b'], "is not text in UTF-8"),
                (vec![b'a'; (1 << 20) + 1], "is larger than 1 MiB"),
                (vec![0; 5000], ""),
                (Vec::new(), ""),
            ] {
                let tree = Tree::new(&boot.0);
                fs::create_dir_all(tree.join(&path).parent().unwrap()).unwrap();
                fs::write(tree.join(&path), bytes).unwrap();
                let system = BootSystem::scan(&tree.root());
                let mut boot_files = system.loaders.iter().flat_map(|loader| &loader.boot_files);
                // A file that says nothing may be no boot file any more; one that is there is said to be wrong.
                let Some(place) = boot_files.find(|place| place.path == path) else { continue };
                match &place.content {
                    Some(Content::Unreadable(said)) => {
                        assert!(!said.contains('\n') && said.len() < 200, "{machine}: {path}: {said}");
                        // An addon is no text, an old limine.cfg and what has no source say their own.
                        let own = place.format == Format::Addon || said.starts_with("is in the format");
                        assert!(own || said.contains(why), "{machine}: {path}: {said}");
                    }
                    other => assert_eq!(why, "", "{machine}: {path}: {other:?}"),
                }
            }
        }
    }
}

#[test]
fn what_is_no_file_is_said() {
    let tree = Tree::new(&boots::of("arch-grub").0);
    tree.remove("etc/default/grub");
    fs::create_dir(tree.join("etc/default/grub")).unwrap();
    let system = BootSystem::scan(&tree.root());
    let Some(Content::Unreadable(why)) = &at(&system, "etc/default/grub").content else { panic!("{}", show(&system)) };
    assert!(why.starts_with("is not a file"), "{why}");
    // A FIFO is not waited for, and not taken for an empty file.
    let entry = "boot/loader/entries/arch.conf";
    let tree = Tree::new(&boots::of("arch-systemd-boot").0);
    tree.remove(entry);
    assert!(Command::new("mkfifo").arg(tree.join(entry)).status().unwrap().success());
    let system = BootSystem::scan(&tree.root());
    assert!(matches!(&at(&system, entry).content, Some(Content::Unreadable(why)) if why.starts_with("is not a file")));
}

#[test]
fn our_drop_in_comes_last_and_stays_where_it_is() {
    let debian = boots::of("debian-grub");
    let ours = |boot: &Boot| {
        let system = scan(boot);
        let sources = system.loaders[0].boot_files.iter().filter(|place| place.role == Role::Source);
        sources.map(|place| place.path.clone()).collect::<Vec<_>>()
    };
    let (first, last) = ("etc/default/grub.d/95-vfio.cfg", "etc/default/grub.d/zz-vfio.cfg");
    let early = debian.clone().file("etc/default/grub.d/20-mine.cfg", "GRUB_TIMEOUT=1\n");
    let late = debian.clone().file("etc/default/grub.d/99-mine.cfg", "GRUB_CMDLINE_LINUX_DEFAULT=quiet\n");
    assert_eq!(ours(&debian), [first]);
    assert_eq!(ours(&early), [first]);
    assert_eq!(ours(&late), [last]);
    // Not behind one that sets the variable anew; the first goes then.
    assert_eq!(ours(&late.clone().file(first, "")), [first, last]);
    let harmless = debian.file("etc/default/grub.d/99-mine.cfg", "GRUB_TIMEOUT=1\n").file(first, "");
    assert_eq!(ours(&harmless), [first]);
    assert_eq!(ours(&early.file(last, "")), [last]);
    assert_eq!(ours(&late.file(first, "").file(last, "")), [first, last]);
}

#[test]
fn grub_needs_its_tools_and_its_menu() {
    let arch = boots::of("arch-grub");
    assert_eq!(only(&scan(&arch.clone().without("usr/bin/grub-mkconfig"))).missing, ["grub-mkconfig"]);
    assert_eq!(scan(&arch.clone().without("boot/grub/grub.cfg")).loaders, []);
    assert_eq!(scan(&arch.clone().without("etc/default/grub")).loaders, []);
    // A menu on the ESP, made long ago.
    let boot = arch.without("boot/grub/grub.cfg").file("efi/EFI/arch/grub.cfg", "linux /vmlinuz\n");
    assert_eq!(only(&scan(&boot)).tools, [["grub-mkconfig", "-o", "/efi/EFI/arch/grub.cfg"]]);
    // Debian's without its short name.
    let boot = boots::of("debian-grub").without("usr/sbin/update-grub");
    assert_eq!(only(&scan(&boot)).tools, [["grub-mkconfig", "-o", "/boot/grub/grub.cfg"]]);
    // Entries that are switched off.
    let boot = boots::of("fedora").file("etc/default/grub", "GRUB_ENABLE_BLSCFG=true\nGRUB_ENABLE_BLSCFG=\"false\"\n");
    assert_eq!(only(&scan(&boot)).kind, LoaderKind::GrubFile);
}

#[test]
fn the_loader_that_booted_comes_first() {
    let kinds = |boot: &Boot| scan(boot).loaders.iter().map(|loader| loader.kind).collect::<Vec<_>>();
    let mut both = boots::of("debian-grub");
    both.0.extend(boots::of("debian-systemd-boot").0);
    assert_eq!(kinds(&both), [LoaderKind::SystemdBoot, LoaderKind::GrubDropIn]);
    let both = both.variable("LoaderInfo", "GRUB 2.12");
    assert_eq!(kinds(&both), [LoaderKind::GrubDropIn, LoaderKind::SystemdBoot]);
    let both = both.without("sys/firmware/efi/efivars/LoaderInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f");
    assert_eq!(kinds(&both), [LoaderKind::GrubDropIn, LoaderKind::SystemdBoot]);
    // An image that systemd-boot started; entries beside it. /etc/kernel/cmdline is the image's.
    let mut images = boots::of("debian-systemd-boot");
    images.0.extend(boots::of("arch-uki").without("proc/self/mountinfo").0);
    let images = images.bytes("boot/efi/EFI/Linux/arch-linux.efi", pe::image("258", "quiet"));
    assert_eq!(kinds(&images), [LoaderKind::UkiRebuild, LoaderKind::SystemdBoot]);
    let system = scan(&images);
    assert!(system.loaders[1].boot_files.iter().all(|place| place.role == Role::Entry));
    // GRUB's entries are not systemd-boot's, even where that one lies on the ESP as well.
    let fedora = boots::of("fedora").bytes("boot/efi/EFI/systemd/systemd-bootx64.efi", pe::systemd_boot("258"));
    assert_eq!(kinds(&fedora), [LoaderKind::GrubBls]);
}

#[test]
fn images_take_addons_if_all_is_there() {
    let debian = boots::of("debian-uki").without("boot/efi/loader/addons/vfio.addon.efi");
    let kind = |boot: &Boot| only(&scan(boot)).kind;
    let stub = "usr/lib/systemd/boot/efi/addonx64.efi.stub";
    assert_eq!(kind(&debian), LoaderKind::UkiAddon);
    assert_eq!(kind(&debian.clone().without("usr/bin/ukify")), LoaderKind::UkiRebuild);
    assert_eq!(kind(&debian.clone().without(stub)), LoaderKind::UkiRebuild);
    assert_eq!(kind(&debian.clone().secure_boot(true)), LoaderKind::UkiRebuild);
    let old = debian.clone().bytes("boot/efi/EFI/Linux/old.efi", pe::image("253.4", "quiet"));
    assert_eq!(kind(&old), LoaderKind::UkiRebuild);
    // Another system's on the same ESP is left alone.
    assert_eq!(kind(&old.clone().file("etc/machine-id", "5f\n")), LoaderKind::UkiAddon);
    // Whoever builds them is not known: addons are the only way.
    let unknown = debian.clone().without("etc/kernel/install.conf").secure_boot(true);
    let system = scan(&unknown);
    assert_eq!(only(&system).kind, LoaderKind::UkiAddon);
    assert!(only(&system).missing[0].starts_with("a signing key"), "{}", show(&system));
    let plan = cmdline::plan(&system, &["iommu=pt".to_owned()], &Record::default(), &Options::default());
    let problem = plan.problems.first().unwrap();
    assert!(problem.contains("write there where your key") && !problem.contains("install"), "{problem}");
    // And if they take none, it is said.
    let system = scan(&unknown.bytes("boot/efi/EFI/Linux/old.efi", pe::image("253.4", "quiet")));
    let Some(Content::Unreadable(why)) = &only(&system).boot_files[0].content else { panic!("{}", show(&system)) };
    assert!(why.contains("built by a tool that vfio does not know"), "{why}");
    // An addon of ours stays one when its tools go.
    let boot = boots::of("debian-uki").without("usr/bin/ukify");
    assert_eq!(only(&scan(&boot)).missing, ["ukify"]);
    // kernel-install before 255 cannot make all images anew.
    let boot = debian.without("usr/bin/ukify").file("usr/bin/kernel-install", "#!/bin/sh\n");
    assert_eq!(only(&scan(&boot)).missing, ["a kernel-install that knows add-all (systemd 255)"]);
}

#[test]
fn addons_are_on_the_partition_of_the_images() {
    let boot = boots::of("debian-uki").mounts(&[
        ("/", "ext4", "/dev/sda3"),
        ("/efi", "vfat", "/dev/nvme0n1p1"),
        ("/boot", "vfat", "/dev/sda2"),
    ]);
    let boot = boot.bytes("boot/efi/Linux/a.efi", pe::image("258", "quiet")).file("efi/EFI/x/y", "");
    let system = scan(&boot);
    assert_eq!(only(&system).boot_files.len(), 1, "{}", show(&system));
    assert_eq!(only(&system).boot_files[0].path, "boot/loader/addons/vfio.addon.efi");
}

#[test]
fn what_mkinitcpio_reads() {
    let arch = boots::of("arch-uki");
    let sources = |boot: &Boot| {
        let system = scan(boot);
        let sources = only(&system).boot_files.iter().filter(|place| place.role == Role::Source);
        sources.map(|place| place.path.clone()).collect::<Vec<_>>()
    };
    assert_eq!(sources(&arch), ["etc/kernel/cmdline"]);
    let preset = |more: &str| {
        format!("ALL_kver=/boot/vmlinuz-linux\nPRESETS=(default)\ndefault_uki=/efi/EFI/Linux/arch-linux.efi\n{more}")
    };
    let own = arch.clone().file("etc/mkinitcpio.d/lts.preset", &preset("default_cmdline=/etc/lts\n"));
    assert_eq!(sources(&own), ["etc/kernel/cmdline", "etc/lts"]);
    let with = |more: &str| arch.clone().file("etc/mkinitcpio.d/linux.preset", &preset(more));
    assert_eq!(sources(&with("default_options=\"--cmdline /etc/a -S autodetect\"\n")), ["etc/a"]);
    // A folder (41), with folders in it; links are left aside.
    let folder = with("ALL_cmdline=/etc/lines\n").file("etc/lines/deep/a.conf", "root=x\n");
    assert_eq!(sources(&folder), ["etc/lines/vfio.conf"]);
    assert_eq!(at(&scan(&folder), "etc/lines/deep/a.conf").role, Role::Base);
    let link = with("ALL_cmdline=/etc/lines\n").link("etc/lines", "other").file("etc/other/a.conf", "root=x\n");
    let why = |boot: &Boot, path: &str| match &at(&scan(boot), path).content {
        Some(Content::Unreadable(why)) => why.clone(),
        other => panic!("{path}: {other:?}"),
    };
    let said = why(&link, "etc/lines");
    assert!(said.starts_with("has no file that ends in .conf"), "{said}");
    // None at all, unless ukify's own configuration has one.
    let none = with("default_options=\"--no-cmdline\"\n");
    let said = why(&none, "etc/mkinitcpio.d/linux.preset");
    assert!(said.contains("--no-cmdline"), "{said}");
    let conf = none.file("etc/kernel/uki.conf", "[UKI]\nCmdline=@/etc/words\n").file("etc/words", "quiet\n");
    assert_eq!(sources(&conf), ["etc/words"]);
    // What is in /usr/lib is not changed: ours comes after it.
    let usual = arch.clone().without("etc/kernel/cmdline").file("usr/lib/kernel/cmdline", "root=x\n");
    assert_eq!(sources(&usual), ["etc/cmdline.d/vfio.conf"]);
    // Our drop-in is never the first.
    assert_eq!(sources(&arch.clone().file("etc/cmdline.d/root.conf", "root=x\n")), ["etc/cmdline.d/vfio.conf"]);
    // It gives ukify the command line itself.
    let file = arch.file("etc/kernel/uki.conf", "[UKI]\nCmdline=@/etc/words\n").file("etc/words", "quiet\n");
    assert_eq!(sources(&file), ["etc/kernel/cmdline"]);
}

/// `Cmdline=` in `uki.conf` counts for kernel-install's plugin of systemd 262 and not for that of 257, which were both run.
#[test]
fn what_kernel_install_reads() {
    const PLUGIN: &str = "usr/lib/kernel/install.d/60-ukify.install";
    let old = "    opts2.cmdline = kernel_cmdline(opts)\n    ukify.apply_config(opts2)\n";
    let new =
        "    ukify.apply_config(opts2)\n    if opts2.cmdline is None:\n        opts2.cmdline = kernel_cmdline(opts)\n";
    let debian = boots::of("debian-uki").without("boot/efi/loader/addons/vfio.addon.efi").without("usr/bin/ukify");
    let source = |boot: &Boot| {
        let system = scan(boot);
        let source = only(&system).boot_files.iter().find(|place| place.role == Role::Source).unwrap();
        match &source.content {
            Some(Content::Unreadable(why)) => format!("{}: {why}", source.path),
            _ => source.path.clone(),
        }
    };
    let moved = "etc/kernel/uki.conf: has Cmdline=, which counts instead of /etc/kernel/cmdline: move its value there";
    let gone = "etc/words: is not there, and Cmdline= in /etc/kernel/uki.conf names it: write it";
    for (settings, plugin, path) in [
        ("Cmdline=@/etc/words", old, "etc/kernel/cmdline"),
        ("Cmdline=quiet", old, "etc/kernel/cmdline"),
        ("Cmdline=@/etc/words", new, gone),
        ("Cmdline=quiet", new, moved),
        ("Cmdline=", new, moved),
        ("Initrd=/x", new, "etc/kernel/cmdline"),
    ] {
        let boot = debian.clone().file("etc/kernel/uki.conf", &format!("[UKI]\n{settings}\n")).file(PLUGIN, plugin);
        assert_eq!(source(&boot), path, "{settings}");
    }
    let boot = debian.file("usr/lib/kernel/uki.conf", "[UKI]\nCmdline=@/etc/words\n").file("etc/words", "quiet\n");
    assert_eq!(source(&boot.clone().file(PLUGIN, new)), "etc/words");
    // Images are dracut's.
    assert_eq!(source(&boot), "etc/kernel/cmdline");
}

#[test]
fn limine_that_knows_its_menu_by_a_checksum() {
    let with = |digits: &str| {
        let program = pe::program(&[(".data", format!("Limine++CONFIG_B2SUM_SIGNATURE++{digits}").as_bytes())]);
        boots::of("cachyos-limine").bytes("boot/EFI/limine/limine_x64.efi", program)
    };
    let by_hand = |boot: Boot| boot.without("usr/bin/limine-update").without("usr/bin/limine-mkinitcpio");
    let (none, one) = ("0".repeat(128), "0123456789abcdef".repeat(8));
    assert!(matches!(at(&scan(&by_hand(with(&none))), "boot/limine.conf").content, Some(Content::Text(_))));
    let system = scan(&by_hand(with(&one)));
    let Some(Content::Unreadable(why)) = &at(&system, "boot/limine.conf").content else {
        panic!("a menu that is not to be changed");
    };
    assert!(why.contains("/boot/EFI/limine/limine_x64.efi") && why.contains("enroll"), "{why}");
    let desired = ["iommu=pt".to_owned()];
    let plan = cmdline::plan(&system, &desired, &Record::default(), &Options::default());
    assert!(plan.is_empty(), "{:?}", plan.changes);
    assert!(plan.problems[0].starts_with("/boot/limine.conf: its checksum is enrolled"), "{:?}", plan.problems);
    // limine-entry-tool enrolls what it makes.
    assert!(matches!(at(&scan(&with(&one)), "boot/limine.conf").content, Some(Content::Text(_))));
}

#[test]
fn limine_without_a_source_of_its_own() {
    let cachyos = boots::of("cachyos-limine");
    let system = scan(&cachyos.clone().file("etc/default/limine", "ESP_PATH=\"/boot\"\n"));
    let Some(Content::Unreadable(why)) = &at(&system, "etc/default/limine").content else {
        panic!("{}", show(&system))
    };
    assert!(why.contains("KERNEL_CMDLINE[default]"), "{why}");
    // Without its tool the menu is written by hand.
    let system = scan(&cachyos.without("usr/bin/limine-update").without("usr/bin/limine-mkinitcpio"));
    assert_eq!(at(&system, "boot/limine.conf").role, Role::Entry);
}

#[test]
fn kernels_say_what_they_do_with_intels_iommu() {
    use vfio_suite::host::boot::IntelDefault::{On, Unknown};
    let arch = boots::of("arch-grub");
    let intel = |boot: &Boot| scan(boot).kernels.iter().map(|kernel| kernel.intel).collect::<Vec<_>>();
    let on = "CONFIG_PCI=y\nCONFIG_INTEL_IOMMU_DEFAULT_ON=y\n";
    assert_eq!(intel(&arch.clone().bytes("proc/config.gz", boots::packed(on))), [On]);
    // It is the running kernel's, and no other's.
    assert_eq!(intel(&arch.clone().file("proc/sys/kernel/osrelease", "6.17.2\n")), [Unknown]);
    // Cut off, no gzip, or nothing in it.
    let mut cut = boots::packed(&on.repeat(1000));
    cut.truncate(30);
    assert_eq!(intel(&arch.clone().bytes("proc/config.gz", cut)), [Unknown]);
    assert_eq!(intel(&arch.clone().file("proc/config.gz", on)), [Unknown]);
    assert_eq!(intel(&arch.file("usr/lib/modules/6.17.1-arch1-1/config", "CONF").without("proc/config.gz")), [Unknown]);
    // A kernel without modules, and /lib that is no link.
    let boot = Boot::intel("").file("boot/vmlinuz-6.6.1", "").file("boot/config-6.6.1", on).file("boot/config-6.5", on);
    assert_eq!(scan(&boot).kernels.len(), 1);
    let boot = boot.file("lib/modules/6.6.1/modules.order", "").file("usr/lib/modules/6.6.1/vmlinuz", "");
    assert_eq!(intel(&boot), [On]);
}

/// Machines with a tool that is judged by what it made, or printed: `cmdline_apply.rs` and `boot_owners.rs` have stand-ins.
const JUDGED: [&str; 13] = [
    "cachyos-limine",
    "cachyos-limine-layers",
    "cachyos-limine-plain",
    "fedora-bootc",
    "fedora-silverblue",
    "limine-kernel-cmdline",
    "omarchy-limine",
    "opensuse-sdbootutil",
    "pop-os",
    "proxmox-grub",
    "proxmox-zfs",
    "solus",
    "void-update-limine",
];

/// The tools of boot loaders on a tree: ukify builds addons, GRUB's make its menu; what the others make of their sources is looked
/// at in `cmdline_apply.rs`.
#[derive(Debug)]
struct BootTools<'t>(&'t Tree);

impl BootTools<'_> {
    /// Makes the menu again, as it is where nobody has changed a source since.
    fn make_menu(&self, system: &BootSystem) {
        let tools = system.loaders.iter().filter(|loader| loader.kind.makes_a_menu()).flat_map(|loader| &loader.tools);
        tools.for_each(|tool| self.stand_in(&tool.iter().map(String::as_str).collect::<Vec<_>>()));
    }

    fn stand_in(&self, words: &[&str]) {
        fs::create_dir_all(self.0.join(".kernel")).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/boot-tools.sh");
        let ran = Command::new(script).arg("run").args(words).env("VFIO_ROOT", self.0.path()).output().unwrap();
        assert!(ran.status.success(), "{words:?}: {}", String::from_utf8_lossy(&ran.stdout));
    }
}

impl Tools for BootTools<'_> {
    fn run(&self, words: &[&str], _: Duration) -> Result<String, ToolError> {
        if let ["ukify", "build", ..] = words {
            let value = |key: &str| words.iter().find_map(|word| word.strip_prefix(key)).unwrap();
            fs::write(value("--output="), pe::addon(value("--cmdline=")))?;
        }
        if let ["mkinitcpio", "-P"] = words {
            assert_eq!(self.0.simulate(&["run", "mkinitcpio", "-P"]).status, Some(0));
        }
        if let ["update-grub" | "grub-mkconfig" | "grub2-mkconfig", ..] = words {
            self.stand_in(words);
        }
        Ok(String::new())
    }

    fn signal(&self, _: &Process, _: Signal) -> Result<(), ToolError> {
        Err(io::Error::from(io::ErrorKind::Unsupported).into())
    }
}

/// After an apply the next boot has the parameters. One that lacks them was started from elsewhere: on every machine whose
/// boot files have them.
#[test]
fn a_later_boot_without_the_parameters_is_from_elsewhere() {
    let desired = ["intel_iommu=on", "iommu=pt"];
    let required =
        || desired.iter().map(|parameter| Parameter { parameter: (*parameter).to_owned(), why: String::new() });
    for (name, boot) in boots::all() {
        const BOOT_ID: &str = "proc/sys/kernel/random/boot_id";
        let tree = Tree::new(&boot.file(BOOT_ID, "first\n").file("proc/cmdline", "root=/dev/vda1 quiet\n").0);
        let record = act::load_record(&tree.root()).unwrap();
        let words = desired.map(str::to_owned);
        let plan = cmdline::plan(&BootSystem::scan(&tree.root()), &words, &record, &Options::default());
        if plan.changes.is_empty() || JUDGED.contains(&name) {
            continue;
        }
        act::apply(&tree.root(), &BootTools(&tree), &plan, &mut |_| {})
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let found = || {
            let record = act::load_record(&tree.root()).unwrap();
            status(&BootSystem::scan(&tree.root()), required().collect(), &record)
        };
        assert_eq!(found().elsewhere, None, "{name}: this boot is the one in which it was changed");
        tree.write(BOOT_ID, "second\n");
        let later = found();
        let lacks = later.boot_files.iter().any(|file| file.counts() && !file.missing.is_empty());
        assert_eq!(later.elsewhere.is_none(), lacks, "{name}: {later:?}");
        tree.write("proc/cmdline", "root=/dev/vda1 intel_iommu=on iommu=pt\n");
        assert_eq!(found().elsewhere, None, "{name}: it has them");
    }
}

/// Found, changed, found changed, and as before: on every machine, while boot counters come and go.
#[test]
fn what_is_put_in_is_found_and_taken_out() {
    let desired = ["intel_iommu=on".to_owned(), "iommu=pt".to_owned()];
    for (name, boot) in boots::all() {
        let mut tree = Tree::new(&boot.0);
        let look = |tree: &Tree, words: &[String]| {
            let record = act::load_record(&tree.root()).unwrap();
            cmdline::plan(&BootSystem::scan(&tree.root()), words, &record, &Options::default())
        };
        let carry_out = |tree: &Tree, plan: &CmdlinePlan| {
            let left = act::apply(&tree.root(), &BootTools(tree), plan, &mut |_| {})
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(left, [""; 0], "{name}");
        };
        if name.starts_with("arch-uki") {
            // As it makes them by itself.
            tree.simulate(&["run", "mkinitcpio", "-P"]);
        }
        BootTools(&tree).make_menu(&BootSystem::scan(&tree.root()));
        let before = tree.snapshot();
        let plan = look(&tree, &desired);
        match name {
            "arch-uki-no-source" | "bootc-composefs" | "nixos" | "zfsbootmenu" => {
                assert!(plan.changes.is_empty() && plan.problems.len() == 1, "{name}: {plan:?}");
                continue;
            }
            judged if JUDGED.contains(&judged) => {
                assert!(!plan.tools.is_empty() && plan.problems.is_empty(), "{name}: {plan:?}");
                continue;
            }
            // Nothing is known, or the addon is there.
            "nothing-known" | "debian-uki" | "debian-uki-secure-boot" => assert!(plan.is_empty(), "{name}: {plan:?}"),
            _ => assert!(!plan.changes.is_empty(), "{name}: {plan:?}"),
        }
        // There the entries of kernels to come are not made from a file of ours.
        let by_hand = usize::from(name == "void-systemd-boot-no-source");
        assert_eq!(plan.problems.len(), by_hand, "{name}: {:?}", plan.problems);
        carry_out(&tree, &plan);
        // The entry has booted well; the next update will count anew.
        let (counted, blessed) = ("5f-6.12.57+deb13-amd64+3-1.conf", "5f-6.12.57+deb13-amd64.conf");
        let counts = name == "debian-systemd-boot";
        let rename = |tree: &mut Tree, from: &str, to: &str| {
            let at = |name: &str| tree.join(&format!("boot/efi/loader/entries/{name}"));
            fs::rename(at(from), at(to)).unwrap();
        };
        if counts {
            rename(&mut tree, counted, blessed);
        }
        let record = act::load_record(&tree.root()).unwrap();
        assert_eq!(record.boot_files, plan.record.boot_files, "{name}: what is on record");
        let again = look(&tree, &desired);
        assert!(again.changes.is_empty() && again.problems.len() == by_hand, "{name}: {again:?}");
        assert_eq!(again.record, record, "{name}");
        let back = look(&tree, &[]);
        assert!(back.problems.is_empty(), "{name}: {:?}", back.problems);
        assert_eq!(back.record.boot_files.len(), 0, "{name}");
        carry_out(&tree, &back);
        if counts {
            rename(&mut tree, blessed, counted);
        }
        // An addon that was there before counts as ours, and went.
        let mut before = before;
        if before.remove("boot/efi/loader/addons/vfio.addon.efi").is_some() {
            before.insert("boot/efi/loader/addons".to_owned(), Node::Directory);
        }
        tree.assert_same(&before, name);
        assert!(!tree.exists("var/lib/vfio/cmdline"), "{name}: something is still on record");
    }
}

/// A real image and a real addon, where systemd's tools are. `VFIO_STUBS` names another directory of theirs.
#[test]
fn what_ukify_builds_is_read() {
    let stubs = std::env::var("VFIO_STUBS").unwrap_or("/usr/lib/systemd/boot/efi".into());
    let file = |name: &str| format!("{stubs}/{name}");
    let there =
        Path::new(&file("addonx64.efi.stub")).exists() && Command::new("ukify").arg("--version").output().is_ok();
    if !there {
        let packages = "systemd-ukify and systemd-boot-efi (Debian 13; Debian 12's systemd knows no addons)";
        return skipped("what_ukify_builds_is_read", &format!("no ukify, or no stubs in {stubs}: install {packages}"));
    }
    let tree = Tree::new(&boots::of("debian-uki").0);
    let (image, addon) = ("boot/efi/EFI/Linux/5f-6.12.48+deb13-amd64.efi", "boot/efi/loader/addons/vfio.addon.efi");
    let build = |more: &[String], path: &str| {
        let output = format!("--output={}", tree.join(path).display());
        let ran = Command::new("ukify").arg("build").args(more).arg(output).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    };
    let (line, words) = ("root=UUID=f1 ro quiet", "iommu=pt a=\"b c\"");
    build(&[format!("--stub={}", file("addonx64.efi.stub")), format!("--cmdline={words}")], addon);
    // Any program of the firmware passes for a kernel.
    let kernel = format!("--linux={}", file("systemd-bootx64.efi"));
    let stub = format!("--stub={}", file("linuxx64.efi.stub"));
    build(&[kernel, stub, format!("--cmdline={line}"), "--uname=6.12.48".into(), "--os-release=ID=x".into()], image);
    let system = BootSystem::scan(&tree.root());
    assert_eq!(only(&system).kind, LoaderKind::UkiAddon, "{}", show(&system));
    assert_eq!(at(&system, addon).content, Some(Content::Text(format!("{words}\n"))));
    tree.remove(addon);
    tree.remove("usr/bin/ukify");
    let system = BootSystem::scan(&tree.root());
    assert_eq!(at(&system, image).content, Some(Content::Text(format!("{line}\n"))));
    let marker = |name: &str| {
        let bytes = fs::read(file(name)).unwrap();
        Program::parse(&bytes[..]).unwrap().marker().unwrap().0
    };
    assert_eq!(marker("systemd-bootx64.efi"), "systemd-boot");
    assert_eq!(marker("linuxx64.efi.stub"), "systemd-stub");
}

/// Regression: a stick with boot entries, plugged in where no ESP is mounted, had them edited by every `vfio sync`.
#[test]
fn a_stick_with_a_loader_is_left_alone() {
    let entry = "title x\nlinux /vmlinuz\noptions root=/dev/sda2 ro\n";
    for (at, kind, booted) in
        [("run/media/me/STICK", "vfat", false), ("media/usb", "vfat", true), ("boot", "vfat", true)]
    {
        let mut boot = Boot::amd("root=/dev/vda ro")
            .mounts(&[("", "ext4", "/dev/vda"), (at, kind, "/dev/sda1")])
            .link("sys/dev/block/259:1", "../../devices/pci0000:00/0000:00:14.0/usb1/1-2/host0/block/sda/sda1")
            .bytes(&format!("{at}/EFI/systemd/systemd-bootx64.efi"), pe::systemd_boot("257"))
            .bytes(&format!("{at}/EFI/Linux/x.efi"), pe::image("257", "root=/dev/sda2 ro"))
            .file(&format!("{at}/EFI/refind/refind.conf"), "menuentry x {\nloader /vmlinuz\noptions ro\n}\n")
            .file(&format!("{at}/limine.conf"), "/x\nprotocol: linux\ncmdline: ro\n")
            .file(&format!("{at}/loader/entries/x.conf"), entry);
        if booted {
            boot = boot.variable("LoaderInfo", "systemd-boot 257").variable("LoaderDevicePartUUID", "0123-AB");
            boot = boot.link("dev/disk/by-partuuid/0123-ab", "../../sda1");
        }
        let system = scan(&boot);
        assert!(system.loaders.is_empty() && !system.is_found(), "{}", show(&system));
        let said = not_found::sentence(&system, &["iommu=pt".to_owned()]).unwrap();
        assert!(said.contains("manually: iommu=pt") && !said.contains("mount"), "{said}");
        let notes = cmdline::unchecked::sentences(&system);
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert!(notes[0].starts_with(&format!("/{at} is ")) && notes[0].ends_with("manually"), "{notes:?}");
    }
}

proptest! {
    /// Bytes of anybody's are read or not, but never panicked on.
    #[test]
    fn programs_of_the_firmware(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let _ = Program::parse(&bytes[..]);
    }

    /// The same of what looks like one: a good one with bytes changed, or cut off.
    #[test]
    fn broken_programs(changes in proptest::collection::vec((0_usize..1024, any::<u8>()), 0..8), end in 0_usize..9000) {
        let mut bytes = pe::image("257.9", "root=x ro");
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        bytes.truncate(end);
        if let Some(program) = Program::parse(&bytes[..]) {
            let _ = (program.marker(), program.command_line(), program.has(".linux"));
            prop_assert!(program.section(".cmdline").is_none_or(|section| section.len() <= 1 << 18));
        }
    }

    /// What is put into an image is read from it, quotes and blanks kept.
    #[test]
    fn command_lines_of_images(line in "[ -~]{0,80}") {
        let bytes = pe::image("257.9-1~deb13u1", &line);
        let program = Program::parse(&bytes[..]).unwrap();
        prop_assert_eq!(program.command_line(), Some(Ok(format!("{}\n", line.trim_end()))));
        let marker = program.marker().unwrap();
        prop_assert_eq!((&*marker.0, &*marker.1), ("systemd-stub", "257.9-1~deb13u1"));
    }

    #[test]
    fn variables_of_the_firmware(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = (efi::texts(&bytes), efi::flag(&bytes));
    }

    #[test]
    fn texts_in_variables(texts in proptest::collection::vec("[^\0]{1,20}", 0..5)) {
        let joined: String = texts.iter().map(|text| format!("{text}\0")).collect();
        let units = joined.encode_utf16().flat_map(u16::to_le_bytes);
        let variable: Vec<u8> = [7, 0, 0, 0].into_iter().chain(units).collect();
        prop_assert_eq!(efi::texts(&variable), texts);
    }
}
