// SPDX-License-Identifier: LGPL-2.1-or-later
//! What a tool has made decides, and no exit code: images of mkinitcpio, unified ones, Gentoo's on the EFI system partition.
//! The tools are the simulator's (`sim/mkinitcpio.rs`, `sim/installkernel.rs`), which do what the real ones were seen to do.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::text::Nodes;
use common::tree::Ran;
use common::{hosts, Tree};
use vfio_suite::act::boot::unpack::Programs;
use vfio_suite::host::boot::pe::Program;
use vfio_suite::host::initramfs::image::{self, Seen};

const VFIO: &str = env!("CARGO_BIN_EXE_vfio");
const RELEASE: &str = "6.17.1-arch1-1";
const HOST: &str = "[host]\niommu-passthrough = no\n";
const CARD: &str = "[host]\niommu-passthrough = no\n[gpu big]\ndevice = 0000:03:00.0\n";
const IMAGE: &str = "boot/initramfs-linux.img";
const UKI: &str = "efi/EFI/Linux/arch-linux.efi";
const MARK: &str = "var/lib/vfio/initramfs";

/// A preset of one image.
fn preset(more: &str) -> String {
    format!("ALL_kver=\"/boot/vmlinuz-linux\"\nPRESETS=('default')\n{more}\n")
}

/// A machine of Arch Linux with one kernel.
fn arch(presets: &str) -> Tree {
    let tree = hosts::unpack("igpu-amd");
    tree.write("usr/bin/mkinitcpio", "");
    tree.write("boot/vmlinuz-linux", "kernel");
    tree.write(&format!("lib/modules/{RELEASE}/pkgbase"), "linux\n");
    tree.write("etc/mkinitcpio.d/linux.preset", &preset(presets));
    tree.write("etc/mkinitcpio.conf", "MODULES=()\nHOOKS=(base udev vfio)\n");
    tree.config(HOST);
    tree
}

fn sim(tree: &Tree, words: &[&str]) -> Ran {
    tree.simulate(&[&["run"], words].concat())
}

fn sync(tree: &Tree) -> Ran {
    tree.run(VFIO, &["sync"])
}

/// How often a tool was to build images.
fn builds(ran: &Ran) -> usize {
    ran.stdout.matches("building the initramfs").count()
}

fn seen(tree: &Tree, path: &str) -> Seen {
    image::read_image(&tree.root(), &[path.to_owned()], &Programs).unwrap()
}

/// All of it but what says who is at work.
fn files(tree: &Tree) -> Nodes {
    let mut all = tree.snapshot();
    all.retain(|path, _| !path.starts_with("run/vfio") && !path.starts_with(".kernel"));
    all
}

#[track_caller]
fn works(ran: &Ran) {
    assert_eq!(ran.status, Some(0), "{}{}", ran.stdout, ran.stderr);
}

/// Regression: the hook left no mark, so the image kept the card and was said to be up to date.
#[test]
fn a_card_comes_and_goes_with_mkinitcpio() {
    let tree = arch("default_image=\"/boot/initramfs-linux.img\"");
    works(&sim(&tree, &["mkinitcpio", "-P"]));
    let before = files(&tree);
    tree.config(CARD);
    let ran = sync(&tree);
    works(&ran);
    assert_eq!(builds(&ran), 1);
    assert!(seen(&tree, IMAGE).run && tree.exists(MARK));
    assert_eq!(builds(&sync(&tree)), 0);
    assert_eq!(tree.run(VFIO, &["doctor", "--only", "boot"]).stdout.matches("error: ").count(), 0);
    // The next kernel's package has its image built.
    works(&sim(&tree, &["mkinitcpio", "-P"]));
    assert_eq!(builds(&sync(&tree)), 0);
    tree.config(HOST);
    // Also of an image that was made before the hook left a mark.
    tree.remove(MARK);
    let ran = sync(&tree);
    works(&ran);
    assert_eq!((builds(&ran), seen(&tree, IMAGE).program), (1, false));
    assert!(ran.stdout.contains("still reserves [gpu big]"), "{}", ran.stdout);
    let mut after = files(&tree);
    after.retain(|path, _| path != "var/lib/vfio");
    assert!(after == before, "something is left");
}

/// What mkinitcpio makes of its configuration, and what is said of it.
#[test]
fn mkinitcpio_says_itself_what_its_configuration_means() {
    type Case = (&'static str, &'static [(&'static str, &'static str)], Result<(), &'static str>);
    const IMAGE_KEY: &str = "default_image=\"/boot/initramfs-linux.img\"\n";
    const CONF: &str = "etc/mkinitcpio.conf";
    let cases: [Case; 12] = [
        ("an array", &[(CONF, "HOOKS=(base udev vfio)\n")], Ok(())),
        ("a text", &[(CONF, "HOOKS=\"base udev vfio\"\n")], Ok(())),
        (
            "none",
            &[(CONF, "HOOKS=(base udev)\n")],
            Err("add 'vfio' to HOOKS in /etc/mkinitcpio.conf, or, if HOOKS is an array"),
        ),
        ("a drop-in", &[(CONF, "HOOKS=(base)\n"), ("etc/mkinitcpio.conf.d/vfio.conf", "HOOKS+=(vfio)\n")], Ok(())),
        (
            "10 comes after 9",
            &[
                (CONF, "HOOKS=(base)\n"),
                ("etc/mkinitcpio.conf.d/9.conf", "HOOKS+=(vfio)\n"),
                ("etc/mkinitcpio.conf.d/10.conf", "HOOKS=(base)\n"),
            ],
            Err("mkinitcpio ran no hook 'vfio' for it"),
        ),
        (
            "a line without an end swallows the next",
            &[(CONF, "HOOKS=(base)\n# the end"), ("etc/mkinitcpio.conf.d/vfio.conf", "HOOKS+=(vfio)\n")],
            Err("mkinitcpio ran no hook 'vfio' for it"),
        ),
        (
            "a text and an array are no list",
            &[(CONF, "HOOKS=\"base udev\"\n"), ("etc/mkinitcpio.conf.d/vfio.conf", "HOOKS+=(vfio)\n")],
            Err("mkinitcpio: Hook 'base udev' cannot be found; the images have what vfio needs in them, and may lack"),
        ),
        (
            "left out",
            &[("etc/mkinitcpio.d/linux.preset", "default_options=\"-S autodetect,vfio\"\n")],
            Err("/etc/mkinitcpio.d/linux.preset leaves the hook 'vfio' out of it (-S autodetect,vfio)"),
        ),
        (
            "added",
            &[(CONF, "HOOKS=(base)\n"), ("etc/mkinitcpio.d/linux.preset", "default_options=(-A vfio)\n")],
            Ok(()),
        ),
        (
            "another configuration",
            &[("etc/other.conf", "HOOKS=(base)\n"), ("etc/mkinitcpio.d/linux.preset", "ALL_config=/etc/other.conf\n")],
            Err("add 'vfio' to HOOKS in /etc/other.conf"),
        ),
        (
            "a kernel that is gone",
            &[("etc/mkinitcpio.d/linux.preset", "default_kver=/boot/vmlinuz-gone\n")],
            Err("the initramfs was not built: mkinitcpio: Invalid option -k -- '/boot/vmlinuz-gone' must be readable"),
        ),
        (
            "not in the list",
            &[("etc/mkinitcpio.d/linux.preset", "fallback_image=/boot/initramfs-linux-fallback.img\n")],
            Ok(()),
        ),
    ];
    for (name, written, expected) in cases {
        let tree = arch(IMAGE_KEY);
        works(&sim(&tree, &["mkinitcpio", "-P"]));
        for (path, text) in written {
            let is_preset = path.ends_with(".preset");
            tree.write(path, &if is_preset { preset(&format!("{IMAGE_KEY}{text}")) } else { (*text).to_owned() });
        }
        tree.write("boot/initramfs-linux-fallback.img", "for emergencies: left alone");
        tree.config(CARD);
        let ran = sync(&tree);
        assert_eq!(builds(&ran), 1, "{name}: {}{}", ran.stdout, ran.stderr);
        // Right or not as mkinitcpio made it, whatever its exit code was.
        match expected {
            Ok(()) => assert_eq!(ran.status, Some(0), "{name}: {}{}", ran.stdout, ran.stderr),
            Err(why) => {
                let status = if why.ends_with("may lack") { 1 } else { 2 };
                assert_eq!(ran.status, Some(status), "{name}: {}{}", ran.stdout, ran.stderr);
                assert_eq!(ran.stderr.matches(why).count(), 1, "{name}: {}", ran.stderr);
            }
        }
        assert_eq!(tree.read("boot/initramfs-linux-fallback.img"), "for emergencies: left alone", "{name}");
    }
}

/// `vfio sync` has mkinitcpio run our hook where nobody has: whatever `HOOKS` is, by a drop-in that goes with the last card.
#[test]
fn mkinitcpio_is_told_of_our_hook() {
    const CONF: &str = "etc/mkinitcpio.conf";
    const DROP_IN: &str = "etc/mkinitcpio.conf.d/zz-vfio.conf";
    const DEFAULT: &str = "default_image=\"/boot/initramfs-linux.img\"\n";
    let machine = |conf: &str, script: &str| {
        let tree = arch(DEFAULT);
        tree.write("usr/bin/mkinitcpio", script);
        tree.write("usr/lib/initcpio/install/vfio", "build() { :; }\n");
        std::fs::create_dir_all(tree.join("etc/mkinitcpio.conf.d")).unwrap();
        tree.write(CONF, conf);
        tree
    };
    let (new, old) = ("#!/bin/bash\n_d_config=/etc/mkinitcpio.conf.d\n", "#!/bin/bash\n");
    for (conf, other) in [
        ("HOOKS=(base udev)\n", None),
        ("HOOKS=\"base udev\"\n", None),
        ("HOOKS='base udev'\n# the end", None),
        ("HOOKS=(base)\n", Some(("etc/mkinitcpio.conf.d/omarchy_hooks.conf", "HOOKS=(base udev keyboard)\n# the end"))),
        ("more=udev\nHOOKS=(base $more)\n", None),
    ] {
        let tree = machine(conf, new);
        other.iter().for_each(|(path, text)| tree.write(path, text));
        sim(&tree, &["mkinitcpio", "-P"]);
        let before = files(&tree);
        tree.config(CARD);
        let ran = sync(&tree);
        assert_eq!((ran.status, builds(&ran)), (Some(0), 1), "{conf}: {}{}", ran.stdout, ran.stderr);
        assert!(ran.stdout.contains(&format!("/{DROP_IN}: has mkinitcpio run the hook 'vfio'")), "{}", ran.stdout);
        assert!(seen(&tree, IMAGE).run && tree.exists(DROP_IN), "{conf}");
        // Again, and by a kernel's update.
        let ran = sync(&tree);
        assert_eq!((ran.status, builds(&ran)), (Some(0), 0), "{conf}: {}", ran.stderr);
        works(&sim(&tree, &["mkinitcpio", "-P"]));
        assert!(seen(&tree, IMAGE).run, "{conf}");
        // Somebody adds it in the usual place: once is enough.
        tree.write(CONF, "HOOKS=(base udev vfio)\n");
        let printed = sim(&tree, &["mkinitcpio", "-P"]);
        assert_eq!(printed.stdout.matches("Running build hook: [vfio]").count(), 1, "{conf}: {}", printed.stdout);
        tree.write(CONF, conf);
        tree.config(HOST);
        let ran = sync(&tree);
        assert_eq!((ran.status, builds(&ran)), (Some(0), 1), "{conf}: {}{}", ran.stdout, ran.stderr);
        assert!(ran.stdout.contains(&format!("/{DROP_IN}: removed")), "{}", ran.stdout);
        assert!(files(&tree) == before, "{conf}: something is left");
    }
    // One that reads none, one whose preset has another configuration, a file of somebody else's under its name.
    for (script, preset_too, there) in
        [(old, "", None), (new, "ALL_config=/etc/other.conf\n", None), (new, "", Some("# mine\n"))]
    {
        let tree = machine("HOOKS=(base udev)\n", script);
        tree.write("etc/other.conf", "HOOKS=(base)\n");
        tree.write("etc/mkinitcpio.d/linux.preset", &preset(&format!("{DEFAULT}{preset_too}")));
        there.iter().for_each(|text| tree.write(DROP_IN, text));
        sim(&tree, &["mkinitcpio", "-P"]);
        tree.config(CARD);
        let ran = sync(&tree);
        assert_eq!((ran.status, builds(&ran)), (Some(2), 1), "{preset_too}: {}{}", ran.stdout, ran.stderr);
        assert!(ran.stderr.contains("mkinitcpio ran no hook 'vfio' for it"), "{}", ran.stderr);
        assert_eq!(tree.exists(DROP_IN).then(|| tree.read(DROP_IN)).as_deref(), there, "{preset_too}");
    }
    // A package that is gone leaves nothing that mkinitcpio would look for.
    let tree = machine("HOOKS=(base udev)\n", new);
    sim(&tree, &["mkinitcpio", "-P"]);
    tree.config(CARD);
    works(&sync(&tree));
    tree.remove("usr/lib/initcpio/install/vfio");
    let ran = sim(&tree, &["mkinitcpio", "-P"]);
    works(&ran);
    assert!(!ran.stdout.contains("vfio]"), "{}", ran.stdout);
}

/// Regression: mkinitcpio ended with an error because of a module, and the good image was said not to be built.
#[test]
fn an_error_about_a_module_is_not_about_the_image() {
    let tree = arch("default_image=\"/boot/initramfs-linux.img\"");
    works(&sim(&tree, &["mkinitcpio", "-P"]));
    tree.write("etc/mkinitcpio.conf", "MODULES=(nonesuch other)\nHOOKS=(base vfio)\n");
    tree.config(CARD);
    let ran = sync(&tree);
    assert_eq!((ran.status, builds(&ran)), (Some(1), 1), "{}{}", ran.stdout, ran.stderr);
    let error = "mkinitcpio: module not found: 'nonesuch'; the images have what vfio needs in them";
    assert_eq!(ran.stderr.matches(error).count(), 1, "{}", ran.stderr);
    assert!(!ran.stderr.contains("'other'") && seen(&tree, IMAGE).run, "{}", ran.stderr);
    works(&sync(&tree));
}

/// The command line in an image.
fn line(tree: &Tree, path: &str) -> String {
    let program = Program::open(&tree.root(), path).unwrap();
    program.command_line().map_or_else(String::new, |line| line.unwrap())
}

const ASKED: &str = "[host]\nkernel-parameters = lab.word=1\n";

/// A machine of Arch Linux with a unified kernel image, as mkinitcpio makes it.
fn arch_uki(presets: &str, files: &[(&str, &str)]) -> Tree {
    let tree = arch(&format!("default_uki=\"/{UKI}\"\n{presets}"));
    tree.write("proc/cmdline", "root=/dev/sda2 rw\n");
    tree.write(&format!("efi/EFI/Linux/{}", "README"), "");
    files.iter().for_each(|(path, text)| tree.write(path, text));
    sim(&tree, &["mkinitcpio", "-P"]);
    tree
}

/// Applies, applies again, looks, lets the next kernel come, and reverts: the bytes are as before.
fn comes_and_goes(tree: &Tree, image: &str, what: &str) -> Ran {
    let before = files(tree);
    let old = line(tree, image);
    tree.config(ASKED);
    let configured = tree.read("etc/vfio.conf");
    let applied = tree.run(VFIO, &["cmdline", "apply"]);
    assert_eq!(applied.status, Some(0), "{what}: {}{}", applied.stdout, applied.stderr);
    assert!(line(tree, image).contains("lab.word=1"), "{what}: {}", line(tree, image));
    let again = tree.run(VFIO, &["cmdline", "apply"]);
    assert!(again.stdout.ends_with("nothing to do\n"), "{what}: {}{}", again.stdout, again.stderr);
    tree.write("proc/cmdline", "root=/dev/sda2 rw lab.word=1\n");
    let status = tree.run(VFIO, &["cmdline", "status"]);
    assert_eq!(status.status, Some(0), "{what}: {}{}", status.stdout, status.stderr);
    let doctor = tree.run(VFIO, &["doctor", "--only", "boot"]).stdout;
    assert!(!doctor.contains("does not have"), "{what}: {doctor}");
    tree.write("proc/cmdline", "root=/dev/sda2 rw\n");
    works(&sync(tree));
    let reverted = tree.run(VFIO, &["cmdline", "revert"]);
    assert_eq!(reverted.status, Some(0), "{what}: {}{}", reverted.stdout, reverted.stderr);
    assert_eq!(line(tree, image), old, "{what}");
    assert_eq!(tree.read("etc/vfio.conf"), configured);
    tree.config(HOST);
    let mut after = files(tree);
    for path in ["var/lib/vfio", "var/lib/vfio/synced", "var/lib"] {
        if !before.contains_key(path) {
            after.remove(path);
        }
    }
    assert!(after == before, "{what}: {}", common::tree::differences(&before, &after));
    applied
}

#[test]
fn parameters_are_put_where_mkinitcpio_takes_them_from() {
    const LINE: &str = "root=/dev/sda2 rw\n";
    type Case = (&'static str, &'static str, &'static [(&'static str, &'static str)]);
    let cases: [Case; 8] = [
        ("a file", "", &[("etc/kernel/cmdline", LINE)]),
        ("a file without a line end", "", &[("etc/kernel/cmdline", "root=/dev/sda2 rw")]),
        ("both", "", &[("etc/kernel/cmdline", LINE), ("etc/cmdline.d/a.conf", "quiet\n")]),
        ("a folder in a folder", "", &[("etc/cmdline.d/deep/a.conf", LINE)]),
        ("another file", "ALL_cmdline=/etc/line", &[("etc/line", LINE), ("etc/kernel/cmdline", "none\n")]),
        ("another folder", "ALL_cmdline=/etc/lines", &[("etc/lines/a.conf", LINE), ("etc/kernel/cmdline", "none\n")]),
        ("in /usr/lib", "", &[("usr/lib/kernel/cmdline", LINE)]),
        (
            "ukify's own does not count",
            "",
            &[("etc/kernel/cmdline", LINE), ("etc/kernel/uki.conf", "[UKI]\nCmdline=none\n"), ("usr/bin/ukify", "")],
        ),
    ];
    for (what, presets, files) in cases {
        comes_and_goes(&arch_uki(presets, files), UKI, what);
    }
}

/// Regression: the parameters never arrived where mkinitcpio ends with an error because of a module.
#[test]
fn an_error_about_a_module_keeps_no_parameter_back() {
    let conf = ("etc/mkinitcpio.conf", "MODULES=(nonesuch)\nHOOKS=(base)\n");
    let tree = arch_uki("", &[("etc/kernel/cmdline", "root=/dev/sda2 rw\n"), conf]);
    let applied = comes_and_goes(&tree, UKI, "a module is missing");
    let said = "mkinitcpio: module not found: 'nonesuch'; what it made has the parameters all the same";
    assert_eq!(applied.stdout.matches(said).count(), 1, "{}", applied.stdout);
}

/// A tool that makes nothing, or not what was asked: all is as it was, which is said once, with its first error.
#[test]
fn what_is_not_made_is_taken_back() {
    let line = ("etc/kernel/cmdline", "root=/dev/sda2 rw\n");
    let gone = arch_uki("", &[line]);
    gone.write("etc/mkinitcpio.d/linux.preset", &preset(&format!("default_uki=/{UKI}\ndefault_kver=/boot/gone")));
    let never = arch_uki("", &[line]);
    never.write(
        "etc/mkinitcpio.d/linux.preset",
        &preset(&format!("default_uki=/{UKI}\nPRESETS+=()\nALL_kver=/boot/gone")),
    );
    for (tree, why) in [
        (gone, "vfio: mkinitcpio: Invalid option -k -- '/boot/gone' must be readable; everything is as it was\n"),
        (never, "vfio: mkinitcpio: Invalid option -k -- '/boot/gone' must be readable; everything is as it was\n"),
    ] {
        let before = files(&tree);
        tree.config(ASKED);
        let ran = tree.run(VFIO, &["cmdline", "apply"]);
        assert_eq!(ran.status, Some(2), "{}", ran.stdout);
        assert!(ran.stderr.ends_with(why), "{}", ran.stderr);
        tree.config(HOST);
        let mut after = files(&tree);
        after.remove("var/lib/vfio");
        assert!(after == before, "{}", common::tree::differences(&before, &after));
    }
}

#[test]
fn an_image_without_a_command_line_is_said() {
    let tree = arch_uki("default_options=\"--no-cmdline\"", &[("etc/kernel/cmdline", "root=/dev/sda2 rw\n")]);
    tree.config(ASKED);
    let ran = tree.run(VFIO, &["cmdline", "apply"]);
    assert_eq!(ran.status, Some(2), "{}", ran.stdout);
    assert!(
        ran.stderr.contains("/etc/mkinitcpio.d/linux.preset: makes an image without a command line"),
        "{}",
        ran.stderr
    );
}

/// A card and parameters at once: one run makes both.
#[test]
fn a_unified_image_gets_the_card_too() {
    let tree = arch_uki("", &[("etc/kernel/cmdline", "root=/dev/sda2 rw\n")]);
    tree.config(&format!("{CARD}[host]\nkernel-parameters = lab.word=1\n"));
    let ran = sync(&tree);
    works(&ran);
    assert_eq!(ran.stdout.matches("mkinitcpio -P").count(), 1, "{}", ran.stdout);
    assert!(seen(&tree, UKI).run && line(&tree, UKI).contains("lab.word=1"));
    // Its hook is lost: the image is wrong, and is built, and is still wrong.
    tree.write("etc/mkinitcpio.conf", "HOOKS=(base)\n");
    sim(&tree, &["mkinitcpio", "-P"]);
    let ran = sync(&tree);
    assert_eq!((ran.status, builds(&ran)), (Some(2), 1), "{}{}", ran.stdout, ran.stderr);
    assert!(
        ran.stderr.contains(&format!("/{UKI} does not reserve [gpu big]: mkinitcpio ran no hook")),
        "{}",
        ran.stderr
    );
    tree.write("etc/mkinitcpio.conf", "HOOKS=(base systemd vfio)\n");
    works(&sync(&tree));
    tree.config("");
    works(&sync(&tree));
    assert!(!seen(&tree, UKI).program && !line(&tree, UKI).contains("lab.word"));
}

const GENTOO: &str = "6.12.41-gentoo";

/// A machine of Gentoo with dracut and installkernel.
fn gentoo(layout: &str, uki: &str) -> Tree {
    let tree = hosts::unpack("igpu-amd");
    tree.write("usr/bin/dracut", "");
    // As its program has it: `--all|-a)`.
    tree.write("usr/sbin/installkernel", "#!/bin/sh\n\t\t--all|-a)\n");
    tree.write(&format!("lib/modules/{GENTOO}/vmlinuz"), "kernel");
    tree.write(&format!("lib/modules/{GENTOO}/System.map"), "");
    tree.write("etc/os-release", "NAME=Gentoo\nID=gentoo\n");
    tree.write(
        "usr/lib/kernel/install.conf",
        &format!("layout={layout}\ninitrd_generator=dracut\nuki_generator={uki}\n"),
    );
    tree.write("efi/EFI/Linux/README", "");
    tree.write("efi/EFI/Gentoo/README", "");
    tree.config(HOST);
    tree
}

/// Regression: sync ran `dracut --regenerate-all`, which wrote into /boot.
#[test]
fn gentoos_images_are_on_the_esp() {
    let tree = gentoo("efistub", "none");
    works(&sim(&tree, &["installkernel", "--all"]));
    let image = format!("efi/EFI/Gentoo/initramfs-{GENTOO}.img");
    let before = files(&tree);
    tree.config(CARD);
    let ran = sync(&tree);
    works(&ran);
    let expected = format!("building the initramfs: dracut --force --no-uefi /{image} {GENTOO}\n");
    assert!(ran.stdout.contains(&expected), "{}", ran.stdout);
    assert!(seen(&tree, &image).run);
    assert_eq!(builds(&sync(&tree)), 0);
    let doctor = tree.run(VFIO, &["doctor", "--only", "boot"]).stdout;
    assert!(doctor.contains(&format!("ok: /{image} reserves the cards of the configuration")), "{doctor}");
    // The next kernel: what was there is kept beside it, and is nobody's business.
    works(&sim(&tree, &["installkernel", "--all"]));
    assert!(tree.exists(&format!("{image}.old")));
    assert_eq!(builds(&sync(&tree)), 0);
    for old in [
        format!("{image}.old"),
        format!("efi/EFI/Gentoo/vmlinuz-{GENTOO}-old.efi"),
        format!("efi/EFI/Gentoo/System.map-{GENTOO}.old"),
    ] {
        tree.remove(&old);
    }
    tree.config(HOST);
    works(&sync(&tree));
    let mut after = files(&tree);
    after.retain(|path, _| path != "var/lib/vfio");
    assert!(after == before, "{}", common::tree::differences(&before, &after));
    // None yet: only installkernel knows where it belongs.
    tree.remove(&image);
    tree.config(CARD);
    let ran = sync(&tree);
    works(&ran);
    assert!(ran.stdout.contains("building the initramfs: installkernel --all\n"), "{}", ran.stdout);
    assert!(seen(&tree, &image).run);
}

#[test]
fn gentoos_unified_images() {
    let tree = gentoo("uki", "ukify");
    let image = format!("efi/EFI/Linux/gentoo-{GENTOO}.efi");
    tree.write("etc/kernel/cmdline", "root=/dev/sda2 rw\n");
    tree.write("proc/cmdline", "root=/dev/sda2 rw\n");
    works(&sim(&tree, &["installkernel", "--all"]));
    tree.config(&format!("{CARD}[host]\nkernel-parameters = lab.word=1\n"));
    let ran = sync(&tree);
    works(&ran);
    assert_eq!(ran.stdout.matches("installkernel --all").count(), 1, "{}", ran.stdout);
    assert!(seen(&tree, &image).run);
    assert_eq!(line(&tree, &image), "root=/dev/sda2 rw lab.word=1\n");
    // The one before is kept, without the parameters: that is no error.
    assert_eq!(line(&tree, &format!("efi/EFI/Linux/gentoo-{GENTOO}-old.efi")), "root=/dev/sda2 rw\n");
    works(&sync(&tree));
    tree.write("proc/cmdline", "root=/dev/sda2 rw lab.word=1\n");
    works(&tree.run(VFIO, &["cmdline", "status"]));
    tree.config("");
    works(&sync(&tree));
    assert!(!seen(&tree, &image).program);
    assert_eq!(
        (line(&tree, &image), tree.read("etc/kernel/cmdline").as_str()),
        ("root=/dev/sda2 rw\n".into(), "root=/dev/sda2 rw\n")
    );

    // dracut takes the line from its own configuration.
    tree.write("etc/kernel/install.conf", "layout=uki\ninitrd_generator=dracut\nuki_generator=dracut\n");
    tree.config(ASKED);
    let ran = tree.run(VFIO, &["cmdline", "apply"]);
    assert_eq!(ran.status, Some(2));
    assert!(ran.stderr.contains("/etc/dracut.conf.d: is where dracut takes the command line"), "{}", ran.stderr);
}
