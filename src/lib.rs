// SPDX-License-Identifier: LGPL-2.1-or-later
//! vfio-suite: keeps a Linux machine ready to give a GPU to a virtual machine, and to take it back.
//!
//! Four layers, and data flows one way down them: [`config`] (what the user asked for) and [`host`] (what the machine
//! is) meet in [`plan`] (what should happen; pure data), which [`act`] carries out and can undo. Every path comes from
//! [`root::Root`].

pub mod act;
mod aside;
pub mod config;
pub mod finding;
pub mod host;
pub mod journal;
pub mod logger;
pub mod nearest;
pub mod pci;
pub mod plan;
pub mod posix_acl;
pub mod recording;
pub mod root;
pub mod survey;
pub mod text;
pub mod trace;
