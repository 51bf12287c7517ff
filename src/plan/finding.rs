// SPDX-License-Identifier: LGPL-2.1-or-later
//! Findings about cards and guests of the configuration.

use crate::config::{Gpu, Guest};
use crate::finding::codes::{self, Code};
use crate::finding::{Finding, Location, Section};

impl Finding {
    /// An error about a card, at a line of its section.
    pub fn card(gpu: &Gpu, at: &Location, code: Code, text: impl Into<String>) -> Finding {
        Finding::about(Section::Gpu(gpu.name.clone()), code, text).at(at)
    }

    /// The finding that a section's card is not there now.
    pub fn absent(gpu: &Gpu, text: impl std::fmt::Display) -> Finding {
        Finding::card(gpu, &gpu.device.at, codes::CARD_ABSENT, format!("is not there now: {text}"))
    }

    /// An error about the name of a card, for which the configuration has no line.
    pub fn card_named(name: &str, code: Code, text: impl Into<String>) -> Finding {
        Finding::about(Section::Gpu(name.to_owned()), code, text)
    }

    /// An error about a guest's section.
    pub fn guest(guest: &Guest, code: Code, text: impl Into<String>) -> Finding {
        Finding::guest_at(guest, &guest.at, code, text)
    }

    /// An error about a guest, at a line of its section.
    pub fn guest_at(guest: &Guest, at: &Location, code: Code, text: impl Into<String>) -> Finding {
        Finding::about(Section::Guest(guest.name.clone()), code, text).at(at)
    }

    /// With the severity and the hint of another.
    pub fn like(self, other: &Finding) -> Finding {
        Finding { severity: other.severity, hint: other.hint.clone(), ..self }
    }

    /// What is known of a card, as a finding about the guest that is to have it.
    pub fn for_guest(&self, guest: &Guest) -> Finding {
        let text = match &self.section {
            Section::Gpu(name) => format!("[gpu {name}] {}", self.text),
            _ => self.text.clone(),
        };
        let at = self.at.clone().or_else(|| Some(guest.gpus.at.clone()));
        Finding { section: Section::Guest(guest.name.clone()), at, text, ..self.clone() }
    }

    /// The name of the `[gpu]` section that it is about; empty if it is about something else.
    pub fn gpu_name(&self) -> &str {
        match &self.section {
            Section::Gpu(name) => name,
            _ => "",
        }
    }
}
