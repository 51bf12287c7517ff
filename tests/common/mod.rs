// SPDX-License-Identifier: LGPL-2.1-or-later
//! What the tests share: machines as trees of files, and what to do with them.
#![allow(dead_code, unused_imports, clippy::unwrap_used, clippy::expect_used)]

pub mod around;
pub mod below;
pub mod boot;
pub mod boot_tools;
pub mod boots;
pub mod boots_limine;
pub mod boots_made;
pub mod cards;
pub mod definition;
pub mod desktop;
pub mod domain;
pub mod drivers;
pub mod function;
pub mod halfway;
pub mod hand;
pub mod hosts;
pub mod keyboards;
pub mod layouts;
pub mod machine;
pub mod made;
pub mod moments;
pub mod pages;
pub mod pairs;
pub mod parts;
pub mod pe;
pub mod roms;
pub mod shown;
pub mod skipped;
pub mod strace;
pub mod terminal;
pub mod text;
pub mod tree;

pub use machine::{Function, Machine};
pub use tree::Tree;
