// SPDX-License-Identifier: LGPL-2.1-or-later
//! What the simulator cannot say.

use std::io;
use vfio_suite::act::backend::tools;

/// The failure of a program that wrote this on standard error.
pub(crate) fn failed(program: &str, errors: &str) -> io::Error {
    io::Error::other(tools::failed(program, errors))
}

/// What the simulator has no answer to: a program that asks it must be told, or its test would prove nothing.
pub(crate) fn unknown(program: &str, arguments: &[&str]) -> io::Error {
    failed(program, &format!("the simulator does not know '{program} {}'", arguments.join(" ")))
}
