// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio rom table`: ACPICA, whose interpreter is Linux's, reads the table and runs its methods.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::roms::{efi, legacy, nvgi, rom};
use common::Tree;
use std::fs;
use std::process::Command;

const VFIO: &str = env!("CARGO_BIN_EXE_vfio");
const NVIDIA: (u16, u16) = (0x10de, 0x2482);

/// A program of ACPICA's in a directory; what it prints.
fn acpica(directory: &Tree, program: &str, words: &[&str]) -> String {
    let ran = Command::new(program).args(words).current_dir(directory.path()).output();
    let ran = ran.unwrap_or_else(|error| panic!("{program} cannot be run ({error}); install the package acpica-tools"));
    let text = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{program} {words:?}: {text}");
    text
}

/// A machine with a card behind a root port at 02.5, as QEMU describes it.
const MACHINE: &str = r#"DefinitionBlock ("", "DSDT", 2, "TEST", "MACHINE", 1) {
    Scope (\_SB) { Device (PCI0) { Name (_HID, EisaId ("PNP0A08"))
        Device (S15) { Name (_ADR, 0x00020005) Device (S00) { Name (_ADR, Zero) } } } } }
"#;

/// The bytes of a buffer, and how many the interpreter says it has.
fn buffer(said: &str) -> (usize, Vec<u8>) {
    let (_, rest) = said.split_once("[Buffer] Length ").unwrap_or_else(|| panic!("no buffer: {said}"));
    let length = usize::from_str_radix(rest.split_whitespace().next().unwrap(), 16).unwrap();
    let lines = rest.split('\n').filter_map(|line| line.split_once("//")?.0.split_once(": "));
    let bytes = lines.flat_map(|(_, bytes)| bytes.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()));
    (length, bytes.collect())
}

#[test]
fn a_guests_interpreter_reads_the_rom_from_the_table() {
    let tree = Tree::new(&Default::default());
    let image = rom(&[legacy(NVIDIA), efi(NVIDIA).last()]);
    fs::write(tree.join("big.rom"), &image).unwrap();
    fs::write(tree.join("machine.asl"), MACHINE).unwrap();
    let (input, output) = (tree.join("big.rom"), tree.join("big.aml"));
    let words = ["rom", "table", input.to_str().unwrap(), output.to_str().unwrap(), "--at", "02.5/00.0"];
    let ran = tree.run(VFIO, &words);
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), ""), "{}", ran.stdout);
    assert!(
        ran.stdout.contains("\\_SB.PCI0.S15.S00._ROM gives") && ran.stdout.contains("and a battery"),
        "{}",
        ran.stdout
    );
    let again = tree.run(VFIO, &words);
    assert_eq!(again.status, Some(2), "a file that is there is not written over: {}", again.stderr);
    acpica(&tree, "iasl", &["-p", "machine", "machine.asl"]);
    // The disassembler takes it, and the compiler what that says.
    acpica(&tree, "iasl", &["-p", "shown", "-d", "big.aml"]);
    let compiled = acpica(&tree, "iasl", &["-p", "compiled", "shown.dsl"]);
    assert!(compiled.contains(" 0 Errors, 0 Warnings"), "{compiled}");
    let evaluate = |what: &str| {
        let command = format!("evaluate {what}");
        let said = acpica(&tree, "acpiexec", &["-b", &command, "machine.aml", "big.aml"]);
        assert!(!said.contains("Error") && !said.contains("AE_"), "{said}");
        said
    };
    let read =
        |offset: usize, length: usize| buffer(&evaluate(&format!("\\_SB.PCI0.S15.S00._ROM {offset:#x} {length:#x}")));
    let (_, bytes) = read(0, 64);
    assert_eq!(bytes, image[..64]);
    let (_, bytes) = read(image.len() - 24, 0x1000);
    assert_eq!(bytes, image[image.len() - 24..], "what there is of it");
    assert_eq!(read(image.len(), 16).0, 0, "nothing behind the end");
    let about = evaluate("\\_SB.VBAT._BIF");
    assert!(about.contains("Contains 13 Elements") && about.contains("\"LION\""), "{about}");
    let state = evaluate("\\_SB.VBAT._BST");
    assert!(state.contains("Contains 4 Elements") && state.contains("1388"), "{state}");
}

/// QEMU takes tables of less than 64 KiB, and ACPI has at most 4096 bytes at once: a long ROM is in several tables.
#[test]
fn a_long_rom_is_in_several_tables() {
    let tree = Tree::new(&Default::default());
    let mut image = rom(&[efi(NVIDIA).last()]);
    let length = image.len();
    image.extend((length..150_000).map(|at| (at / 256 ^ at) as u8));
    fs::write(tree.join("big.rom"), &image).unwrap();
    fs::write(tree.join("machine.asl"), MACHINE).unwrap();
    let (input, output) = (tree.join("big.rom"), tree.join("big.aml"));
    let words =
        ["rom", "table", input.to_str().unwrap(), output.to_str().unwrap(), "--at", "02.5/00.0", "--no-battery"];
    fs::write(tree.join("big-2.aml"), "").unwrap();
    let ran = tree.run(VFIO, &words);
    assert_eq!(ran.status, Some(2), "{}", ran.stderr);
    assert!(!tree.exists("big.aml"), "nothing half-written is left");
    fs::remove_file(tree.join("big-2.aml")).unwrap();
    let ran = tree.run(VFIO, &words);
    // What stands behind its last image is a note.
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.contains("big-3.aml: more of it\na guest needs all of these tables"), "{}", ran.stdout);
    acpica(&tree, "iasl", &["-p", "machine", "machine.asl"]);
    let files = ["machine.aml", "big.aml", "big-2.aml", "big-3.aml"];
    assert!(files[1..].iter().all(|file| fs::metadata(tree.join(file)).unwrap().len() <= 0xffff));
    for file in &files[1..] {
        acpica(&tree, "iasl", &["-p", "shown", "-d", file]);
    }
    let part = 14 * 4096;
    for (offset, asked) in
        [(0, 0x2000), (4096, 64), (part - 4096, 4096), (part - 40, 100), (2 * part - 1, 2), (2 * part, 64)]
    {
        let command = format!("evaluate \\_SB.PCI0.S15.S00._ROM {offset:#x} {asked:#x}");
        let said = acpica(&tree, "acpiexec", &[&["-b", command.as_str()], &files[..]].concat());
        assert!(!said.contains("AE_"), "{said}");
        let (length, bytes) = buffer(&said);
        assert_eq!(length, asked.min(4096), "{offset} {asked}: {said}");
        // The interpreter prints the beginning of long ones.
        assert_eq!(bytes, image[offset..offset + bytes.len()], "{offset} {asked}");
    }
    let said =
        acpica(&tree, "acpiexec", &[&["-b", "evaluate \\_SB.PCI0.S15.S00._ROM 0x40000 16"], &files[..]].concat());
    assert_eq!(buffer(&said).0, 0, "nothing behind the end: {said}");
}

#[test]
fn what_is_no_rom_or_no_place_is_said() {
    let tree = Tree::new(&Default::default());
    let put = |name: &str, bytes: &[u8]| {
        fs::write(tree.join(name), bytes).unwrap();
        tree.join(name).display().to_string()
    };
    let (page, flash) = (put("page", &[b'<'; 2048]), put("flash", &[nvgi(1), rom(&[efi(NVIDIA).last()])].concat()));
    let out = tree.join("out.aml").display().to_string();
    for (input, place, status, part) in [
        (&page, "02.0/00.0", 2, "page: "),
        (&flash, "02.0/00.0", 2, "'vfio rom trim' writes it alone"),
        (
            &page,
            "bus 3",
            64,
            "write the root port's slot and function in the guest, a slash, and the card's, as 02.5/00.0",
        ),
    ] {
        let ran = tree.run(VFIO, &["rom", "table", input, &out, "--at", place]);
        assert_eq!(ran.status, Some(status), "{}", ran.stderr);
        assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
        assert!(!tree.exists("out.aml"));
    }
}
