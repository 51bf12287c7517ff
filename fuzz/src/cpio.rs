// SPDX-License-Identifier: LGPL-2.1-or-later
//! Archives of an initramfs.

use vfio_suite::host::initramfs::cpio::{walk, Entry, Visitor};

#[derive(Default)]
struct All(usize);

impl Visitor for All {
    fn wants(&mut self, entry: &Entry) -> bool {
        assert!(!entry.name.starts_with('/'));
        entry.size < 1 << 20
    }

    fn take(&mut self, entry: &Entry, content: &[u8]) {
        assert_eq!(content.len(), entry.size as usize);
        self.0 += content.len();
    }
}

/// No more comes out than went in.
pub fn check(data: &[u8]) {
    let mut all = All::default();
    let _ = walk(data, &mut all);
    assert!(all.0 <= data.len());
}
