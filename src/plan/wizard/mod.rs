// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio setup`: from what was found and what was asked for to a numbered plan.
//!
//! `facts` is what the machine is, `request` what a person has said so far, by options or by answers (`questions` has what is
//! still open), `answers` both together with a default for everything else. `file` makes the file of the configuration of
//! these, `parts` the plan, `found` the first screen.

pub mod answers;
pub mod card;
pub mod facts;
pub mod file;
pub mod found;
pub mod packages;
pub mod parts;
pub mod questions;
pub mod request;

use crate::finding::codes::Code;
use crate::finding::{Finding, Part, Severity};

/// The file of the configuration for a name, below the root.
fn path_of(name: &str) -> String {
    format!("etc/vfio.conf.d/50-{name}.conf")
}

/// Why nothing can be planned.
#[derive(Debug, Clone)]
pub struct Stop {
    /// What is told.
    pub finding: Box<Finding>,
    /// Whether another option on the command line would help.
    pub usage: bool,
}

impl Stop {
    fn new(code: Code, text: impl Into<String>, hint: impl Into<Box<str>>) -> Stop {
        let hint: Box<str> = hint.into();
        let finding = Finding::check(Part::System, "setup", Severity::Error, code, text).hint(hint.to_string());
        Stop { finding: Box::new(finding), usage: false }
    }

    /// One that another part of vfio has found, about a line that is not there yet.
    pub fn of(finding: &Finding) -> Stop {
        Stop { finding: Box::new(Finding { at: None, ..finding.clone() }), usage: false }
    }

    fn usage(self) -> Stop {
        Stop { usage: true, ..self }
    }
}
