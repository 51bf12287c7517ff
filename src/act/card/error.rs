// SPDX-License-Identifier: LGPL-2.1-or-later
//! Why a step did not come about, or was not undone.

use crate::act::backend::kernel::KernelError;
use crate::act::card::power::PowerError;
use crate::host::bars::show_size;
use crate::host::holders::Holder;
use crate::pci::Address;
use crate::plan::Step;
use std::io;

/// What kept a function from being as it was to be.
#[derive(Debug, thiserror::Error)]
pub enum FunctionError {
    /// The kernel refused a write, or has not answered.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// A power attribute was not set back.
    #[error(transparent)]
    Power(#[from] PowerError),
    /// What is there cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A process holds the function.
    #[error("{0}")]
    Held(Box<Holder>),
    /// A rescan has not found the function.
    #[error("it was not found again; a reboot brings it back")]
    Gone,
    /// A rescan has not found another function that was taken off the bus with it.
    #[error("{0} was not found again; a reboot brings it back")]
    OtherGone(Address),
    /// The function's Resizable BAR capability has no register for the BAR.
    #[error("it shows no register for its size")]
    NoSizeRegister,
    /// A BAR has no place any more; the sentence of [`crate::host::bars::loss`].
    #[error("{0}")]
    NoPlace(String),
    /// A BAR has another size than before.
    #[error("the kernel did not give {} back", show_size(*.0))]
    OtherSize(u64),
    /// Another driver has the function now.
    #[error("it is bound to {0} now")]
    BoundTo(String),
    /// The driver that had the function does not take it.
    #[error("{0} did not bind it again; the kernel log says why")]
    NotBound(String),
}

impl FunctionError {
    /// Whether the kernel may still work on it: a further write may hang as well.
    pub fn is_timeout(&self) -> bool {
        match self {
            FunctionError::Kernel(error) => error.is_timeout(),
            FunctionError::Power(error) => error.source.is_timeout(),
            _ => false,
        }
    }
}

/// A step that did not come about.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The kernel refused it, or has not answered.
    #[error("{step}: {source}")]
    Kernel {
        /// The step.
        step: Step,
        /// What it said.
        source: Box<FunctionError>,
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
        matches!(self, StepError::Kernel { source, .. } if source.is_timeout())
    }
}
