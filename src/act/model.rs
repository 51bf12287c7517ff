// SPDX-License-Identifier: LGPL-2.1-or-later
//! A model of the kernel for test trees.

use super::kernel::Kernel;
use crate::root::Root;
use std::io;

/// The model; it follows with the fake tree.
#[derive(Debug)]
pub struct ModelKernel<'a> {
    root: &'a Root,
}

impl<'a> ModelKernel<'a> {
    /// The model of a tree.
    pub fn new(root: &'a Root) -> Self {
        ModelKernel { root }
    }
}

impl Kernel for ModelKernel<'_> {
    fn write(&self, attribute: &str, _value: &str) -> io::Result<()> {
        Err(io::Error::new(io::ErrorKind::Unsupported, self.root.show(attribute)))
    }

    fn modprobe(&self, module: &str) -> io::Result<()> {
        Err(io::Error::new(io::ErrorKind::Unsupported, module.to_owned()))
    }
}
