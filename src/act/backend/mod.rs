// SPDX-License-Identifier: LGPL-2.1-or-later
//! Who answers what is written and asked: the running kernel and the system's programs, or, in a test tree, the simulator.

pub(crate) mod apart;
pub mod child;
pub mod complaint;
pub mod kernel;
pub mod process;
mod recorded;
pub mod simulated;
pub mod sysfs;
pub mod tools;

use crate::root::Root;
use kernel::Kernel;
use recorded::{Noted, Recorded};
use simulated::Simulated;
use sysfs::LiveKernel;
use tools::{LiveTools, Tools};

/// The kernel that belongs to a root: the running one for "/", the simulated one for a test tree.
pub fn kernel_for(root: &Root) -> Box<dyn Kernel + '_> {
    if root.is_system() {
        Box::new(LiveKernel::new(root))
    } else {
        Box::new(Simulated::new(root))
    }
}

/// The tools that belong to a root: the system's for "/"; for a recording what they have answered, for a test tree simulated
/// ones. What they answer is noted where the root notes what is looked at.
pub fn tools_for(root: &Root) -> Box<dyn Tools + '_> {
    let tools: Box<dyn Tools + '_> = if root.is_system() {
        Box::new(LiveTools)
    } else {
        match Recorded::of(root, Box::new(Simulated::new(root))) {
            Ok(recorded) => Box::new(recorded),
            Err(simulated) => simulated,
        }
    };
    match root.trace() {
        Some(trace) => Box::new(Noted { tools, trace }),
        None => tools,
    }
}
