// SPDX-License-Identifier: LGPL-2.1-or-later
//! What the simulator cannot say.

use std::io;
use vfio_suite::act::backend::tools::failed;

/// What the simulator has no answer to: a program that asks it must be told, or its test would prove nothing.
pub(crate) fn unknown(program: &str, arguments: &[&str]) -> io::Error {
    failed(program, &format!("the simulator does not know '{program} {}'", arguments.join(" ")))
}
