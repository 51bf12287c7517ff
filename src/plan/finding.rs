// SPDX-License-Identifier: LGPL-2.1-or-later
//! What a user is told about a card or a guest.

use crate::config::{Diagnostic, Gpu, Guest, Location, Severity};
use serde::Serialize;
use std::fmt;

/// A sentence about a card, and the line of the configuration that it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The `[gpu]` section's name.
    pub gpu: String,
    /// The line; `None` where the configuration has no part in it.
    pub at: Option<Location>,
    /// One sentence: what is so and what to do.
    pub text: String,
    /// Whether it only says that the card is not there now: nothing to be mended.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub absent: bool,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(at) = &self.at {
            write!(f, "{at}: ")?;
        }
        write!(f, "[gpu {}] {}", self.gpu, self.text)
    }
}

impl Finding {
    /// A finding about a section.
    pub fn new(gpu: &Gpu, at: &Location, text: impl Into<String>) -> Finding {
        Finding { gpu: gpu.name.clone(), at: Some(at.clone()), text: text.into(), absent: false }
    }

    /// The finding that a section's card is not there now.
    pub fn absent(gpu: &Gpu, text: impl std::fmt::Display) -> Finding {
        Finding { absent: true, ..Finding::new(gpu, &gpu.device.at, format!("is not there now: {text}")) }
    }

    /// A finding about a name, for which the configuration has no line.
    pub fn nowhere(gpu: &str, text: impl Into<String>) -> Finding {
        Finding { gpu: gpu.to_owned(), at: None, text: text.into(), absent: false }
    }

    /// The same as a finding about the configuration; none where that has no part in it.
    pub fn diagnostic(&self, severity: Severity) -> Option<Diagnostic> {
        let message = format!("[gpu {}] {}", self.gpu, self.text);
        Some(Diagnostic { severity, at: self.at.clone()?, message })
    }
}

/// A sentence about a guest, and the line of the configuration that it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remark {
    /// The `[guest]` section's name.
    pub guest: String,
    /// The line; `None` where the configuration has no part in it.
    pub at: Option<Location>,
    /// One sentence: what is so and what to do.
    pub text: String,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(at) = &self.at {
            write!(f, "{at}: ")?;
        }
        write!(f, "[guest {}] {}", self.guest, self.text)
    }
}

impl Remark {
    /// A remark about a guest's section.
    pub fn new(guest: &Guest, text: impl Into<String>) -> Remark {
        Remark::at(guest, &guest.at, text)
    }

    /// A remark about a line of the configuration.
    pub fn at(guest: &Guest, at: &Location, text: impl Into<String>) -> Remark {
        Remark { guest: guest.name.clone(), at: Some(at.clone()), text: text.into() }
    }

    /// What is known of a card, as a remark about the guest that is to have it.
    pub fn of(guest: &Guest, finding: &Finding) -> Remark {
        let at = finding.at.clone().or_else(|| Some(guest.gpus.at.clone()));
        Remark { guest: guest.name.clone(), at, text: format!("[gpu {}] {}", finding.gpu, finding.text) }
    }
}
