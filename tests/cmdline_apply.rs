// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio cmdline` on whole machines: what it puts in, what it takes out, and that an undo is exact.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::process::Command;
use vfio_suite::host::boot::Grammar;
use vfio_suite::plan::cmdline::grammar;

#[test]
fn a_shell_gets_the_words_of_a_drop_in() {
    let words = ["a=\"b c\"".to_owned(), "x=$y`z\\".to_owned()];
    let text = grammar::whole(Grammar::GrubDropIn, &words);
    let script = format!("GRUB_CMDLINE_LINUX_DEFAULT=quiet\n{text}printf %s \"$GRUB_CMDLINE_LINUX_DEFAULT\"");
    let printed = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert_eq!(String::from_utf8(printed.stdout).unwrap(), "quiet a=\"b c\" x=$y`z\\");
}
