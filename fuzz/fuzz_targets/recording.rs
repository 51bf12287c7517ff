// SPDX-License-Identifier: LGPL-2.1-or-later
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vfio_suite_fuzz::recording::check(data));
