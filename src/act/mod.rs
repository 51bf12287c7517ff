// SPDX-License-Identifier: LGPL-2.1-or-later
//! Making it so, and undoing it: the only code that changes the system.

pub mod backend;
pub mod boot;
pub mod card;
pub mod definition;
pub mod files;
pub mod guest;
pub mod journal;
pub mod lock;
pub mod logs;
pub mod replay;
pub mod rom;
pub mod setup;
pub mod state;
