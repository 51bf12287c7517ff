// SPDX-License-Identifier: LGPL-2.1-or-later
//! Why a step did not come about.

use crate::plan::Step;
use std::io;

/// A step that did not come about.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The kernel refused it, or has not answered.
    #[error("{step}: {source}")]
    Kernel {
        /// The step.
        step: Step,
        /// The kernel's errno.
        source: io::Error,
    },
    /// The kernel said yes but it is not so.
    #[error("{step}: {found}")]
    NotSo {
        /// The step.
        step: Step,
        /// What is so.
        found: String,
    },
    /// The journal could not be written; the step was not begun.
    #[error("{step}: the journal cannot be written: {source}")]
    Journal {
        /// The step.
        step: Step,
        /// The error.
        source: io::Error,
    },
}

impl StepError {
    /// Whether the kernel has not answered: what it was asked may still happen.
    pub fn is_timeout(&self) -> bool {
        matches!(self, StepError::Kernel { source, .. } if source.kind() == io::ErrorKind::TimedOut)
    }
}
