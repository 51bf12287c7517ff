// SPDX-License-Identifier: LGPL-2.1-or-later
//! The XML of a libvirt domain, as the hook gets it.

use vfio_suite::host::domain;

/// A domain, or one sentence why not.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Err(why) = domain::parse(text) {
        assert!(!why.is_empty());
    }
}
