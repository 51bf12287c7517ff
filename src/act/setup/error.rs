// SPDX-License-Identifier: LGPL-2.1-or-later
//! Why the system was not set up, or is not as it was before.

use super::path;
use crate::act::backend::tools::ToolError;
use crate::act::definition::error::DefinitionError;
use std::io;

/// Why the system was not set up, or not as it was before.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A step of several did not come about.
    #[error("{what}: {error}")]
    Step {
        /// The step, in a few words.
        what: String,
        /// Why not.
        error: Box<SetupError>,
    },
    /// The programs say that all is well, and it is not.
    #[error("'{commands}' succeeded, and nothing came of it")]
    NothingCame {
        /// What was run.
        commands: String,
    },
    /// Guests would lose their network, or who looks after them.
    #[error("shut down what runs first: {names}")]
    GuestsRun {
        /// Their domains.
        names: String,
    },
    /// The journal cannot be written.
    #[error("/{place}: {0}", place = path())]
    Journal(io::Error),
    /// The journal cannot be read.
    #[error("/{place}: it does not say what was set up: {0}", place = path())]
    Unread(io::Error),
    /// A file that was written is another one by now.
    #[error("/{path} was changed since vfio wrote it: remove it, or put back what was there, then run this again")]
    ChangedSince {
        /// The file, below the root.
        path: String,
    },
    /// There is something where a thing is to be put.
    #[error("/{path} is there already: remove or rename it, then run this again")]
    InTheWay {
        /// It, below the root.
        path: String,
    },
    /// A guest's domain may not be edited, or not be taken back.
    #[error("{0}")]
    Guest(String),
    /// libvirt has not taken the domain, or does not tell of it.
    #[error(transparent)]
    Definition(#[from] DefinitionError),
    /// A card was not given back.
    #[error("{0}")]
    Card(String),
    /// Boot entries and images could not be brought up to date.
    #[error("{0}")]
    Boot(String),
    /// A program of the system.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// What there is cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}
