// SPDX-License-Identifier: LGPL-2.1-or-later
//! Tests that need what a system may not have.

use std::io::Write;

/// Says that a test has looked at nothing, and why, in every log: what is written to standard error itself is not kept back
/// as the output of a test that passed is. With `VFIO_SKIP_NOTHING` in the environment it fails.
#[track_caller]
pub fn skipped(test: &str, why: &str) {
    assert!(std::env::var_os("VFIO_SKIP_NOTHING").is_none(), "{test} cannot be skipped here: {why}");
    std::io::stderr().write_all(format!("\nSKIPPED {test}: {why}\n").as_bytes()).unwrap();
}
