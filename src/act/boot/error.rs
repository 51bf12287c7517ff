// SPDX-License-Identifier: LGPL-2.1-or-later
//! Why boot files are as they were.

use crate::act::backend::tools::ToolError;
use crate::act::lock::LockError;
use crate::plan::cmdline::outcome::Shortcoming;
use std::io;

/// What kept boot files from being changed, or the record of what is ours in them from being read or written.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// A file cannot be read.
    #[error("/{path}: {error}")]
    Unread {
        /// The file.
        path: String,
        /// Why.
        error: io::Error,
    },
    /// The record is not one.
    #[error("/{path}: it does not say which parameters vfio added ({error}); remove them from the boot files manually, then this file")]
    NoRecord {
        /// The record.
        path: String,
        /// Why.
        error: serde_json::Error,
    },
    /// The record is of another version of ours.
    #[error("/{path}: version {version} was written by a newer vfio: update this one")]
    NewerRecord {
        /// The record.
        path: String,
        /// Its version.
        version: u32,
    },
    /// The record could not be read again: it would keep the parameters where they are for ever.
    #[error("/{path}: it would be larger than 4 MiB: shorten the boot files; nothing was changed")]
    LargeRecord {
        /// The record.
        path: String,
    },
    /// A file cannot be looked at, or the record not be written, before anything was done.
    #[error("/{path}: {error}; nothing was changed")]
    NotBegun {
        /// The file.
        path: String,
        /// Why.
        error: io::Error,
    },
    /// Somebody has changed a file since it was looked at.
    #[error("/{path}: it has changed since it was looked at; nothing was done, run this again")]
    Changed {
        /// The file.
        path: String,
    },
    /// A file cannot be changed.
    #[error("/{path}: {reason}", reason = reason(error))]
    File {
        /// The file.
        path: String,
        /// Why.
        error: io::Error,
    },
    /// A file was changed, and cannot be put back.
    #[error("/{path} could not be put back: {reason}", reason = reason(error))]
    NotPutBack {
        /// The file.
        path: String,
        /// Why.
        error: io::Error,
    },
    /// A program of the boot loader failed.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// A program ended well and built nothing.
    #[error("{tool} made no addon")]
    NoAddon {
        /// The program.
        tool: String,
    },
    /// A program of the boot loader ended well, and what it was to make is not there.
    #[error("{shortcoming}{}", complaint.iter().map(|text| format!(": {text}")).collect::<String>())]
    Unmade {
        /// What is not there.
        shortcoming: Shortcoming,
        /// The first error that the program printed.
        complaint: Option<String>,
    },
    /// Another program of ours is at work, or the lock cannot be taken.
    #[error("/{path}: {}", error.sentence())]
    Lock {
        /// The lock's file.
        path: String,
        /// Why.
        error: LockError,
    },
    /// The work failed; what was done about it.
    #[error("{why}{}", then.iter().map(|sentence| format!("; {sentence}")).collect::<String>())]
    TakenBack {
        /// Why.
        why: Box<BootError>,
        /// A sentence each.
        then: Vec<String>,
    },
}

/// What went wrong with a file, and what to do about it.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem => {
            "it is on a file system that is mounted read-only: mount it writable".to_owned()
        }
        io::ErrorKind::StorageFull => "there is no space left: remove kernels that are no longer needed".to_owned(),
        _ => error.to_string(),
    }
}
