// SPDX-License-Identifier: LGPL-2.1-or-later
//! Why a domain was not changed, or not changed back.

use crate::act::backend::tools::ToolError;
use crate::act::lock::LockError;
use std::io;

/// What kept a domain from being changed.
#[derive(Debug, thiserror::Error)]
pub enum DefinitionError {
    /// libvirt refuses it, or does not answer.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// Its text cannot be understood: what `host::domain::parse` says.
    #[error("domain {domain}: {why}")]
    Text {
        /// The domain.
        domain: String,
        /// Why not.
        why: String,
    },
    /// libvirt answers with something else than a UUID.
    #[error("libvirt tells no UUID of domain {domain}")]
    NoUuid {
        /// The domain.
        domain: String,
    },
    /// Somebody changed it between the look and the change.
    #[error("domain {domain} was changed by somebody else meanwhile, and stays as it is; try again")]
    ChangedMeanwhile {
        /// The domain.
        domain: String,
    },
    /// Somebody made it between the look and the change.
    #[error("domain {domain} was made by somebody else meanwhile, and stays as it is")]
    MadeMeanwhile {
        /// The domain.
        domain: String,
    },
    /// libvirt took the new domain and made something else of it; it is gone again.
    #[error("libvirt accepted the new domain {domain} and did not do what {keys} asks for; it was removed again")]
    NotMade {
        /// The domain.
        domain: String,
        /// The keys.
        keys: String,
    },
    /// libvirt took the text and made something else of it; it was given the former text again.
    #[error("libvirt accepted the change of domain {domain} and did not do what {keys} asks for; the domain is as it was before")]
    NotDone {
        /// The domain.
        domain: String,
        /// The keys.
        keys: String,
    },
    /// libvirt took the text and made something else of it, and did not take the former one again.
    #[error("libvirt did not do what {keys} asks for, and does not take the former definition of domain {domain} again: {why}; it is in {kept}")]
    NotBack {
        /// The domain.
        domain: String,
        /// The keys.
        keys: String,
        /// What libvirt says.
        why: String,
        /// Where the former definition is kept.
        kept: String,
    },
    /// There is nothing of ours in it.
    #[error("domain {domain} was not changed by vfio: there is nothing to undo")]
    NothingKept {
        /// The domain.
        domain: String,
    },
    /// A file of ours cannot be read or written.
    #[error("{path}: {error}")]
    Kept {
        /// The file.
        path: String,
        /// What the system says.
        error: io::Error,
    },
    /// Another program of ours is at work for the guest.
    #[error("[guest {guest}] {}", error.sentence())]
    Lock {
        /// The guest.
        guest: String,
        /// Which.
        error: LockError,
    },
    /// The guest has its cards.
    #[error("[guest {guest}] another program is at work for it, or the guest runs: stop it first ('vfio guest stop {guest}')")]
    AtWork {
        /// The guest.
        guest: String,
    },
}
