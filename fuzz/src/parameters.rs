// SPDX-License-Identifier: LGPL-2.1-or-later
//! The kernel's command line.

use vfio_suite::host::kernel_cmdline::KernelCmdline;
use vfio_suite::plan::cmdline::line;

/// What is read of it never fails, and its parameters are its text in order.
pub fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let words = KernelCmdline::parse(&text);
    words.switched_off();
    words.iommu_off();
    words.intel_iommu_on();
    words.gives_away(0x1002, 0x73bf);
    let mut from = 0;
    for range in line::parameters(&text) {
        assert!(from <= range.start && range.start < range.end, "{range:?} of {text:?}");
        assert!(text.get(range.clone()).is_some(), "{range:?} of {text:?}");
        from = range.end;
    }
}
