// SPDX-License-Identifier: LGPL-2.1-or-later
//! Making it so, and undoing it: the only code that changes the system.

mod anew;
pub(crate) mod apart;
pub mod boot_files;
pub mod card;
pub mod child;
pub mod cmdline;
pub mod execute;
pub mod files;
mod framebuffer;
pub mod guest;
pub mod journal;
pub mod kernel;
pub mod live;
pub mod lock;
pub mod model;
mod power;
pub mod rehearsal;
mod rehearsal_tools;
pub mod reset;
mod resize;
pub mod setup;
pub mod state;
pub mod sync;
pub mod tools;
pub mod undo;
pub mod unpack;
