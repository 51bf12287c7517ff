// SPDX-License-Identifier: LGPL-2.1-or-later
//! Why an image could not be looked into.

use std::io;

/// What was met in an image.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is not as an archive, or a unified kernel image, is to be.
    #[error("{0}")]
    Damaged(&'static str),
    /// It has more than any image has.
    #[error("{0}")]
    TooMuch(&'static str),
    /// It is packed in a way that is not known.
    #[error("it is packed in a way that is not known")]
    UnknownPacking,
    /// It cannot be unpacked.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
}

impl ImageError {
    /// Whether the image itself is not whole, as far as that shows: a boot may fail with it.
    pub fn is_damage(&self) -> bool {
        match self {
            ImageError::Damaged(_) | ImageError::Unpack(UnpackError::Failed { .. }) => true,
            // What unpacks says so when its last bytes are asked for.
            ImageError::Io(error) => {
                let error = error.get_ref().and_then(|error| error.downcast_ref::<UnpackError>());
                matches!(error, Some(UnpackError::Failed { .. }))
            }
            ImageError::TooMuch(_) | ImageError::UnknownPacking | ImageError::Unpack(_) => false,
        }
    }
}

/// What kept an image from being unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// No program of the system runs in a test tree.
    #[error("in a test tree '{command}' does not run")]
    TestTree {
        /// What would have run.
        command: String,
    },
    /// The program is not installed.
    #[error("{program} is not there to unpack it: install it")]
    NoProgram {
        /// The program.
        program: &'static str,
    },
    /// The program takes too long.
    #[error("{program} has not unpacked it within {seconds} s")]
    Slow {
        /// The program.
        program: &'static str,
        /// How long it was waited for.
        seconds: u64,
    },
    /// The program failed.
    #[error("{program} cannot unpack it")]
    Failed {
        /// The program.
        program: &'static str,
    },
    /// The program cannot be started.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What unpacks is read as any file is.
impl From<UnpackError> for io::Error {
    fn from(error: UnpackError) -> io::Error {
        io::Error::other(error)
    }
}
