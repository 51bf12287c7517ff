// SPDX-License-Identifier: LGPL-2.1-or-later
//! What must hold for any bytes, one module for each place where bytes come in that others wrote. The fuzz targets call
//! these, and `tests/fuzz.rs` does with what is kept in `fuzz/seeds` and `tests/regressions`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

// Its machines are the tests' machines.
#[path = "../../tests/common/mod.rs"]
#[allow(missing_docs)]
pub mod common;

pub mod boot;
pub mod boot_file;
pub mod configuration;
pub mod cpio;
pub mod definition;
pub mod domain;
pub mod edited;
pub mod image;
pub mod logs;
pub mod machine;
pub mod parameters;
pub mod pe;
pub mod recording;
pub mod records;
pub mod rom;
pub mod tree;

/// A check, given bytes.
pub type Check = fn(&[u8]);

/// Every target by its name.
pub const TARGETS: [(&str, Check); 15] = [
    ("boot", boot::check),
    ("boot_file", boot_file::check),
    ("configuration", configuration::check),
    ("cpio", cpio::check),
    ("definition", definition::check),
    ("domain", domain::check),
    ("edited", edited::check),
    ("image", image::check),
    ("logs", logs::check),
    ("machine", machine::check),
    ("parameters", parameters::check),
    ("pe", pe::check),
    ("recording", recording::check),
    ("records", records::check),
    ("rom", rom::check),
];
