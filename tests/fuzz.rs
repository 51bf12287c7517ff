// SPDX-License-Identifier: LGPL-2.1-or-later
//! What the fuzz targets check, with what is kept: the seeds, what was found once (`tests/regressions`), and each of them
//! cut at every length and with single bytes replaced. `make fuzz` looks for more.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../fuzz/src/lib.rs"]
mod fuzz;

// The modules of the fuzz targets name each other from the top of their crate.
use fuzz::{boot_file, common, tree};

use std::fs;
use std::path::{Path, PathBuf};

/// The files that are kept for a target.
fn kept(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for directory in ["fuzz/seeds", "tests/regressions"] {
        let Ok(entries) = fs::read_dir(root.join(directory).join(target)) else { continue };
        files.extend(entries.map(|entry| entry.unwrap().path()).map(|path| (path.clone(), fs::read(path).unwrap())));
    }
    files.sort();
    files
}

#[test]
fn what_is_kept_passes() {
    for (target, check) in fuzz::TARGETS {
        let files = kept(target);
        assert!(!files.is_empty(), "{target} has no seed");
        for (path, data) in files {
            println!("{}", path.display());
            check(&data);
        }
    }
}

/// A byte in the place of one: those that mean something somewhere.
const BYTES: [u8; 8] = [0, b'\t', b'\n', b'"', b'\\', b'9', 0x80, 0xff];

#[test]
fn what_is_kept_and_damaged_passes() {
    for (target, check) in fuzz::TARGETS {
        // Whole machines take milliseconds, and an edited file is planned for four times.
        let most = match target {
            "machine" | "boot" => 8,
            "edited" | "boot_file" => 40,
            _ => 200,
        };
        for (path, data) in kept(target) {
            let step = (data.len() / most).max(1);
            println!("{}", path.display());
            for at in (0..data.len()).step_by(step) {
                check(&data[..at]);
                let mut damaged = data.clone();
                damaged[at] = BYTES[at % BYTES.len()];
                check(&damaged);
            }
        }
    }
}

/// A target that is not built is none.
#[test]
fn every_target_is_a_program() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let programs: Vec<&str> = manifest.lines().filter_map(|line| line.strip_prefix("path = \"fuzz_targets/")).collect();
    let expected: Vec<String> = fuzz::TARGETS.iter().map(|(name, _)| format!("{name}.rs\"")).collect();
    let mut sorted = programs.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, expected);
    for (name, _) in fuzz::TARGETS {
        let text = fs::read_to_string(root.join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(text.contains(&format!("vfio_suite_fuzz::{name}::check(data)")), "{text}");
    }
}
