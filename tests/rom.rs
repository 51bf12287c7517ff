// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio rom`: what it says of ROMs of every structure (`tests/golden/rom/NAME.txt`; `UPDATE_GOLDEN=1 cargo test --test rom`
//! writes what is found), what it writes, and how it reads a card's own.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::pairs::small;
use common::roms::{self, efi, legacy, nvgi, rom, vfct, Image};
use common::tree::Ran;
use common::Tree;
use std::fs;
use std::path::Path;

const VFIO: &str = env!("CARGO_BIN_EXE_vfio");
const NVIDIA: (u16, u16) = (0x10de, 0x2482);
const AMD: (u16, u16) = (0x1002, 0x73bf);
const VIDEO: &str = "0000:03:00.0";

/// A ROM as a card has it: legacy, EFI.
fn good(ids: (u16, u16)) -> Vec<u8> {
    rom(&[legacy(ids), efi(ids).last()])
}

/// What NVIDIA's cards have: images for the card itself behind those for a computer, by the extension alone.
fn turing() -> Vec<u8> {
    let own = Image { code: 0xe0, ..legacy(NVIDIA) };
    rom(&[
        legacy(NVIDIA).npde(4, false),
        efi(NVIDIA).last().npde(4, false),
        own.clone().last().npde(4, false),
        Image { begins: [0x56, 0x4e], structure: *b"NPDS", ..own }.npde(4, true),
    ])
}

/// ROMs of every structure.
fn structures() -> Vec<(&'static str, Vec<u8>)> {
    let padded = |fill: u8| [good(NVIDIA), vec![fill; 4096]].concat();
    let with = |image: Image| rom(&[image]);
    let mut unsigned = efi(NVIDIA).last().bytes();
    unsigned[4] = 0;
    let first_own = Image { begins: [0x77, 0xbb], structure: *b"RGIS", ..legacy(NVIDIA) };
    vec![
        ("good", good(NVIDIA)),
        ("legacy-alone", with(legacy(NVIDIA).last())),
        ("efi-alone", with(efi(NVIDIA).last())),
        ("efi-of-arm", with(Image { machine: 0xaa64, ..efi(NVIDIA).last() })),
        ("efi-of-32-bits", with(Image { machine: 0x014c, ..efi(NVIDIA).last() })),
        ("efi-byte-code", with(Image { machine: 0x0ebc, ..efi(NVIDIA).last() })),
        ("efi-without-its-header", unsigned),
        ("open-firmware", with(Image { code: 1, ..legacy(AMD).last() })),
        ("turing", turing()),
        ("pascal-nbsi", rom(&[legacy(NVIDIA), efi(NVIDIA).last(), Image { code: 0x70, ..legacy(NVIDIA) }])),
        (
            "npde-last-elsewhere",
            rom(&[
                legacy(NVIDIA).last().npde(4, false),
                efi(NVIDIA).last().npde(4, false),
                efi(NVIDIA).last().npde(4, true),
            ]),
        ),
        ("nvidias-own-image-first", [first_own.bytes(), good(NVIDIA)].concat()),
        ("flash-1", [nvgi(1), turing()].concat()),
        ("flash-2", [nvgi(2), turing(), vec![0xff; 8192]].concat()),
        ("flash-3", [nvgi(3), turing()].concat()),
        ("flash-unknown", [nvgi(9), turing()].concat()),
        ("something-before", [vec![0x11; 1028], good(AMD)].concat()),
        ("device-list", rom(&[Image { devices: vec![0x73af, 0x73a5], ..legacy(AMD) }, efi(AMD).last()])),
        ("padding-of-ones", padded(0xff)),
        ("padding-of-zeros", padded(0)),
        ("bytes-behind", [good(NVIDIA), b"a signature".to_vec()].concat()),
        ("cut", good(NVIDIA)[..3000].to_vec()),
        ("cut-in-the-first", good(NVIDIA)[..700].to_vec()),
        ("without-structure", with(Image { structure: *b"NONE", ..legacy(NVIDIA) })),
        ("structure-beyond", with(Image { pointer: 0x7f0, ..legacy(NVIDIA) })),
        ("length-missing", with(Image { says: Some(0), ..legacy(NVIDIA).last() })),
        ("length-missing-efi", with(Image { says: Some(0), ..efi(NVIDIA).last() })),
        ("wrong-sum", rom(&[Image { sums: false, ..legacy(NVIDIA) }, efi(NVIDIA).last()])),
        ("wrong-sum-intel", with(Image { sums: false, ..legacy((0x8086, 0x0406)).last() })),
        ("no-last-image", rom(&[legacy(NVIDIA), efi(NVIDIA)])),
        ("broken-second", rom(&[legacy(NVIDIA), Image { structure: *b"NONE", ..efi(NVIDIA) }])),
        ("not-aligned", with(Image { pointer: 0x42, ..legacy(NVIDIA).last() })),
        ("network", with(Image { class: 0x02_0000, ..legacy((0x8086, 0x10d3)).last() })),
        ("forty-images", rom(&vec![Image { blocks: 1, ..legacy(NVIDIA) }; 40])),
        ("empty", Vec::new()),
        ("ones", vec![0xff; 65536]),
        ("web-page", b"<!DOCTYPE html><html><body>Just a moment...</body></html>".to_vec()),
        ("program", b"MZ\x90\0".to_vec()),
    ]
}

/// What was printed, without the directory, and how it ended.
fn printed(ran: &Ran, directory: &Path) -> String {
    let text = format!("{}{}[exit status: {}]\n", ran.stdout, ran.stderr, ran.status.unwrap());
    text.replace(&format!("{}/", directory.display()), "")
}

#[test]
fn every_structure_is_shown_as_it_is() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/rom");
    let (tree, directory) = (small(), tempfile::tempdir().unwrap());
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut wrong = Vec::new();
    for (name, bytes) in structures() {
        let file = directory.path().join(format!("{name}.rom"));
        fs::write(&file, bytes).unwrap();
        let found = printed(&tree.run(VFIO, &["rom", "show", file.to_str().unwrap()]), directory.path());
        let path = golden.join(format!("{name}.txt"));
        if update {
            fs::create_dir_all(&golden).unwrap();
            fs::write(&path, &found).unwrap();
        }
        if fs::read_to_string(&path).unwrap_or_default() != found {
            wrong.push(format!("{name}:\n{found}"));
        }
    }
    assert!(wrong.is_empty(), "UPDATE_GOLDEN=1 writes what is found\n{}", wrong.join("\n"));
}

#[test]
fn programs_are_told_the_same() {
    let (tree, directory) = (small(), tempfile::tempdir().unwrap());
    let path = directory.path().join("a.rom");
    fs::write(&path, [nvgi(2), turing()].concat()).unwrap();
    let answer = |what: &str| -> serde_json::Value {
        let ran = tree.run(VFIO, &["--json", "rom", "show", what]);
        assert_eq!(ran.status, Some(2), "{}", ran.stderr);
        serde_json::from_str(&ran.stdout).unwrap()
    };
    let shown = answer(path.to_str().unwrap());
    assert_eq!(shown["schema"], "vfio.rom/1");
    assert_eq!(shown["front"], serde_json::json!({"kind": "nvgi", "version": 2}));
    assert_eq!(
        (&shown["start"], &shown["pci_end"], &shown["end"]),
        (&2560.into(), &(2560 + 4096).into(), &"last".into())
    );
    assert_eq!(shown["images"].as_array().unwrap().len(), 4);
    assert_eq!((&shown["uefi"], &shown["bios"]), (&true.into(), &true.into()));
    assert_eq!(shown["findings"][0]["code"], "rom-flash-header");
    fs::write(&path, "").unwrap();
    let shown = answer(path.to_str().unwrap());
    assert!(shown.get("images").is_none() && shown["findings"][0]["code"] == "rom-invalid", "{shown}");
}

#[test]
fn trimming_writes_a_new_file_that_every_user_may_read() {
    use std::os::unix::fs::PermissionsExt;
    let (tree, directory) = (small(), tempfile::tempdir().unwrap());
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("in"), [nvgi(1), turing(), vec![0xff; 2048]].concat()).unwrap();
    let ran = tree.run(VFIO, &["rom", "trim", &path("in"), &path("out")]);
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), ""), "{}", ran.stdout);
    assert!(ran.stdout.ends_with("out: 4096 bytes; cut: 2560 before them, 6144 behind\n"), "{}", ran.stdout);
    assert_eq!(fs::read(path("out")).unwrap(), turing()[..4096]);
    assert_eq!(fs::metadata(path("out")).unwrap().permissions().mode() & 0o777, 0o644);
    // Twice is once: nothing to cut, no file.
    let ran = tree.run(VFIO, &["rom", "trim", &path("out"), &path("again")]);
    assert_eq!(ran.status, Some(0));
    assert!(ran.stdout.contains("nothing to cut") && !Path::new(&path("again")).exists(), "{}", ran.stdout);
    // A file that is there is not touched.
    let ran = tree.run(VFIO, &["rom", "trim", &path("in"), &path("out")]);
    assert_eq!(ran.status, Some(2));
    assert!(ran.stderr.contains("File exists"), "{}", ran.stderr);
    assert_eq!(fs::read(path("out")).unwrap(), turing()[..4096]);
    let ran = tree.run(VFIO, &["rom", "trim", "--keep-all", &path("in"), &path("all")]);
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    assert_eq!(fs::read(path("all")).unwrap(), turing());
    // What cannot be trimmed leaves nothing.
    fs::write(path("cut"), &good(NVIDIA)[..3000]).unwrap();
    let ran = tree.run(VFIO, &["rom", "trim", &path("cut"), &path("none")]);
    assert_eq!(ran.status, Some(2));
    assert!(ran.stderr.contains("is cut off") && !Path::new(&path("none")).exists(), "{}", ran.stderr);
    let ran = tree.run(VFIO, &["rom", "trim", &path("gone"), &path("none")]);
    assert_eq!(ran.status, Some(2), "{}", ran.stderr);
    for other in ["/dev/null", directory.path().to_str().unwrap()] {
        let ran = tree.run(VFIO, &["rom", "trim", other, &path("none")]);
        assert!(ran.stderr.contains("it is not a regular file"), "{}", ran.stderr);
    }
    assert_eq!(tree.run(VFIO, &["rom", "trim", &path("in")]).status, Some(64));
}

#[test]
fn a_card_finds_its_rom_behind_anothers() {
    let (tree, directory) = (small(), tempfile::tempdir().unwrap());
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("in"), [vec![0x22; 512], good(NVIDIA), good(AMD)].concat()).unwrap();
    let ran = tree.run(VFIO, &["rom", "trim", "--for", "big", &path("in"), &path("out")]);
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    assert_eq!(fs::read(path("out")).unwrap(), good(AMD));
    let ran = tree.run(VFIO, &["rom", "trim", "--for", "none", &path("in"), &path("other")]);
    assert_eq!(ran.status, Some(2), "{}", ran.stderr);
}

/// A machine whose card `big` has a ROM, with a section that names a file with these bytes.
fn with_file(bytes: &[u8]) -> Tree {
    let tree = small();
    tree.config("[gpu big]\ndevice = 0000:03:00.0\nidentity = 1002:73bf\nrom = /var/lib/vfio/big.rom\n");
    fs::create_dir_all(tree.join("var/lib/vfio")).unwrap();
    fs::write(tree.join("var/lib/vfio/big.rom"), bytes).unwrap();
    tree
}

#[test]
fn the_file_of_a_section_is_compared_with_its_card() {
    for (bytes, status, code) in [
        (good(AMD), 0, "nothing is wrong with it"),
        (good(NVIDIA), 2, "[rom-other-card]"),
        (good((0x1002, 0x73df)), 1, "[rom-other-device]"),
        (rom(&[Image { class: 0x04_0300, ..legacy(AMD).last() }]), 1, "[rom-class]"),
        (b"junk".to_vec(), 2, "[rom-invalid]"),
    ] {
        let tree = with_file(&bytes);
        for words in [&["rom", "check"][..], &["rom", "check", "big"]] {
            let ran = tree.run(VFIO, words);
            assert_eq!(ran.status, Some(status), "{}{}", ran.stdout, ran.stderr);
            assert!(ran.stdout.contains(code), "{code}: {}", ran.stdout);
        }
        assert_eq!(tree.run(VFIO, &["rom", "show", "big"]).status, Some(status));
    }
    let tree = with_file(b"");
    tree.remove("var/lib/vfio/big.rom");
    let ran = tree.run(VFIO, &["rom", "check"]);
    assert_eq!(ran.status, Some(2));
    assert!(ran.stderr.contains("/etc/vfio.conf:4: the option ROM /var/lib/vfio/big.rom"), "{}", ran.stderr);
    let ran = small().run(VFIO, &["rom", "check"]);
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(0), "no [gpu] section has 'rom'\n"));
    let ran = small().run(VFIO, &["rom", "show", "large"]);
    assert!(ran.stderr.contains("there is no [gpu large]"), "{}", ran.stderr);
    assert_eq!(ran.status, Some(2));
}

/// That machine with a guest whose domain has the ROM, and what a start of it would do.
fn plan(tree: &Tree) -> Ran {
    const FIRST: &str = "<hostdev mode='subsystem' type='pci'";
    tree.write("etc/vfio.conf", &(tree.read("etc/vfio.conf") + "[guest demo]\ngpus = big\n"));
    common::domain::domain(tree, "demo", &[VIDEO, "0000:03:00.1"], &[]);
    let xml = tree.read(".kernel/domains/demo.xml");
    let (before, device) = xml.split_once(FIRST).unwrap();
    let device = device.replacen("</source>", "</source><rom file='/var/lib/vfio/big.rom'/>", 1);
    tree.write(".kernel/domains/demo.xml", &format!("{before}{FIRST}{device}"));
    tree.run(VFIO, &["guest", "plan", "demo"])
}

#[test]
fn a_guest_with_a_rom_that_does_not_fit_is_refused() {
    let ran = plan(&with_file(&good(AMD)));
    assert_eq!(ran.status, Some(0), "{}", ran.stdout);
    assert!(!ran.stdout.contains("[rom-"), "{}", ran.stdout);
    let ran = plan(&with_file(&rom(&[legacy(AMD).last()])));
    assert!(ran.status == Some(0) && ran.stdout.contains("[rom-no-efi]"), "{}", ran.stdout);
    for (bytes, code) in [
        (good(NVIDIA), "[rom-other-card]"),
        ([nvgi(1), good(AMD)].concat(), "[rom-flash-header]"),
        (good(AMD)[..3000].to_vec(), "[rom-truncated]"),
        (vec![0xff; 512], "[rom-invalid]"),
    ] {
        let tree = with_file(&bytes);
        let ran = plan(&tree);
        assert!(ran.status == Some(1) && ran.stdout.contains(code), "{code}: {}", ran.stdout);
        let check = tree.run(VFIO, &["check"]);
        assert!(check.status == Some(2) && check.stdout.contains(code), "{code}: {}", check.stdout);
        let at = "/etc/vfio.conf:4: error: [gpu big] the option ROM /var/lib/vfio/big.rom ";
        assert!(check.stdout.contains(at), "{}", check.stdout);
    }
    let tree = with_file(b"");
    tree.remove("var/lib/vfio/big.rom");
    let ran = plan(&tree);
    assert!(ran.status == Some(1) && ran.stdout.contains("[guest-file]"), "{}", ran.stdout);
    let check = tree.run(VFIO, &["check"]);
    assert!(check.stdout.contains("[guest-file]") && check.status == Some(1), "{}", check.stdout);
}

/// The rules are Debian's, as its packages have them; the file that our package brings decides on Debian 13 alone.
#[test]
fn apparmor_lets_qemu_read_the_rom_or_the_guest_is_refused() {
    const BOOKWORM: &str = "  /usr/share/vgabios/** r,\n  #include <local/abstractions/libvirt-qemu>\n";
    const TRIXIE: &str = "  /usr/share/vgabios/** r,\n  include if exists <abstractions/libvirt-qemu.d>\n";
    let ours = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("libvirt/apparmor-libvirt-qemu")).unwrap();
    for (rules, package, words) in [
        (BOOKWORM, true, Some("move it to /usr/share/vgabios/big.rom")),
        (TRIXIE, true, None),
        (TRIXIE, false, Some("move it to /var/lib/vfio/big.rom")),
    ] {
        let tree = with_file(&good(AMD));
        tree.write("sys/module/apparmor/parameters/enabled", "Y\n");
        tree.write("etc/apparmor.d/abstractions/libvirt-qemu", rules);
        if package {
            tree.write("etc/apparmor.d/abstractions/libvirt-qemu.d/vfio", &ours);
        }
        let ran = plan(&tree);
        assert_eq!(ran.status, Some(i32::from(words.is_some())), "{}", ran.stdout);
        assert_eq!(ran.stdout.contains("[rom-apparmor]"), words.is_some(), "{}", ran.stdout);
        assert!(words.is_none_or(|words| ran.stdout.contains(words)), "{}", ran.stdout);
    }
}

#[test]
fn a_command_gets_the_path_of_the_rom() {
    let tree = with_file(&good(AMD));
    let guest = "[guest demo]\ngpus = big\nrunner = command\nuser = root\ncommand = qemu -device vfio-pci,host={bdf},romfile={rom}\n";
    tree.write("etc/vfio.conf", &(tree.read("etc/vfio.conf") + guest));
    tree.write("proc/meminfo", "MemTotal: 16000000 kB\nMemAvailable: 16000000 kB\n");
    let ran = tree.run(VFIO, &["--json", "guest", "plan", "demo"]);
    assert!(
        ran.stdout.contains("vfio-pci,host=0000:03:00.0,romfile=/var/lib/vfio/big.rom"),
        "{}{}",
        ran.stdout,
        ran.stderr
    );
    assert!(!ran.stdout.contains("[rom-"), "{}", ran.stdout);
}

/// The card with a ROM of its own, bound to vfio, asleep.
fn asleep() -> Tree {
    let tree = small();
    assert_eq!(tree.run(VFIO, &["bind", "big"]).status, Some(0));
    own(&tree, &good(AMD));
    tree.no_faults();
    tree
}

/// Gives the card a ROM.
fn own(tree: &Tree, bytes: &[u8]) {
    fs::create_dir_all(tree.join(".kernel/roms")).unwrap();
    fs::write(tree.join(".kernel/roms").join(VIDEO), bytes).unwrap();
}

#[test]
fn a_card_is_kept_awake_and_its_rom_switched_off_again() {
    let tree = asleep();
    let before = tree.snapshot();
    let out = tree.join("big.rom");
    let ran = tree.run(VFIO, &["rom", "dump", "big", out.to_str().unwrap()]);
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), ""), "{}", ran.stdout);
    assert_eq!(fs::read(&out).unwrap(), good(AMD));
    fs::remove_file(&out).unwrap();
    fs::remove_file(tree.join(".kernel/count")).unwrap();
    let _ = fs::remove_dir(tree.join(".kernel/rom-enabled"));
    tree.assert_same(&before, "a dump");
    // Without a file it is only shown.
    let ran = tree.run(VFIO, &["rom", "dump", "big"]);
    assert!(ran.stdout.contains("[gpu big] by sysfs: 4096 bytes"), "{}", ran.stdout);
}

/// Whatever fails, the ROM is switched off and the card may sleep as before.
#[test]
fn a_dump_that_fails_at_any_step_leaves_nothing() {
    let tree = asleep();
    let before = tree.snapshot();
    tree.run(VFIO, &["rom", "dump", "big"]);
    let steps = tree.count();
    assert!(steps >= 5, "{steps}");
    let mut failed = 0;
    for step in 1..=steps {
        for errno in ["EIO", "EIO late", "EBUSY"] {
            let tree = asleep();
            tree.faults(&format!("{step} {errno}\n"));
            let out = tree.join("big.rom");
            let ran = tree.run(VFIO, &["rom", "dump", "big", out.to_str().unwrap()]);
            tree.no_faults();
            let whole = fs::read(&out).is_ok_and(|bytes| bytes == good(AMD));
            assert_eq!(whole, ran.status == Some(0), "{step} {errno}: {}", ran.stderr);
            failed += u32::from(!whole);
            let _ = fs::remove_file(&out);
            let enabled = tree.exists(&format!(".kernel/rom-enabled/{VIDEO}"));
            // What the kernel refuses to switch off it has not switched off.
            let refused = ran.stderr.contains("cannot be read") && !errno.ends_with("late");
            assert!(!enabled || refused, "{step} {errno}: {}", ran.stderr);
            let _ = fs::remove_dir_all(tree.join(".kernel/rom-enabled"));
            if !ran.stderr.contains("power/control") && !ran.stderr.contains("d3cold_allowed") {
                tree.assert_same(&before, &format!("{step} {errno}"));
            }
        }
    }
    assert!(failed >= 6, "{failed}");
}

#[test]
fn what_is_read_of_a_card_may_be_no_rom() {
    let tree = asleep();
    own(&tree, &[0xff; 4096]);
    let out = tree.join("big.rom");
    let ran = tree.run(VFIO, &["rom", "dump", "big", out.to_str().unwrap()]);
    assert_eq!(ran.status, Some(2));
    assert!(
        ran.stderr.contains("[rom-not-readable]") && ran.stderr.contains("the kernel found no ROM"),
        "{}",
        ran.stderr
    );
    assert!(!out.exists());
}

#[test]
fn a_card_that_the_host_uses_is_not_asked() {
    let tree = small();
    own(&tree, &good(AMD));
    tree.no_faults();
    let ran = tree.run(VFIO, &["rom", "dump", "big"]);
    assert_eq!(ran.status, Some(1));
    assert!(
        ran.stderr.contains("is bound to amdgpu") && ran.stderr.contains("'vfio bind big' first"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("[rom-card-in-use]"), "{}", ran.stderr);
    assert!(!tree.exists(".kernel/count"), "something was written");
    assert_eq!(tree.run(VFIO, &["rom", "dump", "big", "--force"]).status, Some(0));
    // What the driver has read is there without asking the card.
    tree.write("sys/kernel/debug/dri/0000:03:00.0/amdgpu_vbios", "");
    fs::write(tree.join("sys/kernel/debug/dri/0000:03:00.0/amdgpu_vbios"), rom(&[legacy(AMD).last()])).unwrap();
    let ran = tree.run(VFIO, &["rom", "dump", "big"]);
    assert!(ran.stdout.contains("[gpu big] by debugfs: 2048 bytes"), "{}{}", ran.stdout, ran.stderr);
    let ran = tree.run(VFIO, &["rom", "show", "big"]);
    assert!(ran.stdout.contains("can read it by debugfs"), "{}", ran.stdout);
}

#[test]
fn the_firmwares_table_has_it_too() {
    let tree = small();
    let table = |entries: &[roms::VfctEntry<'_>]| {
        fs::create_dir_all(tree.join("sys/firmware/acpi/tables")).unwrap();
        fs::write(tree.join("sys/firmware/acpi/tables/VFCT"), vfct(entries)).unwrap();
    };
    let (own, twin) = (rom(&[legacy(AMD).last()]), good(AMD));
    table(&[((4, 0, 0), AMD, &twin), ((3, 0, 0), AMD, &own)]);
    let ran = tree.run(VFIO, &["rom", "dump", "big", "--from", "vfct"]);
    assert!(ran.stdout.contains("[gpu big] by vfct: 2048 bytes"), "{}{}", ran.stdout, ran.stderr);
    table(&[((9, 0, 0), AMD, &twin)]);
    let ran = tree.run(VFIO, &["rom", "dump", "big"]);
    assert!(ran.stderr.contains("[rom-other-address]") && ran.stdout.contains("4096 bytes"), "{}", ran.stderr);
    table(&[((3, 0, 0), NVIDIA, &twin)]);
    let ran = tree.run(VFIO, &["rom", "dump", "big", "--from", "vfct"]);
    assert!(ran.stderr.contains("[rom-no-source]"), "{}", ran.stderr);
    assert_eq!(tree.run(VFIO, &["rom", "dump", "big", "--from", "elsewhere"]).status, Some(64));
}

#[test]
fn a_shadow_is_not_the_cards_rom() {
    for (lines, shadow) in [
        ("0x00000000000c0000 0x00000000000dffff 0x0000000000000212", true),
        ("0x00000000fc000000 0x00000000fc01ffff 0x0000000000046200", false),
    ] {
        let tree = asleep();
        let resource = format!("sys/bus/pci/devices/{VIDEO}/resource");
        let mut text: Vec<String> = tree.read(&resource).lines().map(str::to_owned).collect();
        text[6] = lines.to_owned();
        tree.write(&resource, &(text.join("\n") + "\n"));
        let ran = tree.run(VFIO, &["rom", "dump", "big", "--force"]);
        assert_eq!(ran.stderr.contains("[rom-shadow]"), shadow, "{}", ran.stderr);
    }
}

/// What Debian's packages bring: SeaBIOS's own ROMs and iPXE's, which have a legacy and an EFI image.
#[test]
fn roms_of_packages_are_right() {
    let tree = small();
    let list = |directory: &str, suffix: &str| -> Vec<String> {
        let entries = fs::read_dir(directory).into_iter().flatten().map(|entry| entry.unwrap().path());
        let paths = entries.map(|path| path.to_str().unwrap().to_owned());
        paths.filter(|path| path.ends_with(suffix)).collect()
    };
    for path in list("/usr/lib/ipxe/qemu", ".rom") {
        let shown = tree.run(VFIO, &["rom", "show", &path]);
        assert_eq!(shown.status, Some(0), "{}{}", shown.stdout, shown.stderr);
        let both = path.contains("/efi-");
        assert!(shown.stdout.contains("legacy x86") && shown.stdout.contains("EFI x64") == both, "{}", shown.stdout);
    }
    // Those for no PCI device have no PCI data structure.
    const OF_ISA: [&str; 3] = ["vgabios.bin", "vgabios-isavga.bin", "vgabios-ramfb.bin"];
    for path in list("/usr/share/seabios", ".bin").into_iter().filter(|path| path.contains("/vgabios")) {
        let shown = tree.run(VFIO, &["rom", "show", &path]);
        let isa = OF_ISA.iter().any(|name| path.ends_with(&format!("/{name}")));
        assert_eq!(shown.status, Some(if isa { 2 } else { 0 }), "{path}: {}{}", shown.stdout, shown.stderr);
    }
}
