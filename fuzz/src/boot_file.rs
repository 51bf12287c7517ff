// SPDX-License-Identifier: LGPL-2.1-or-later
//! Boot files of every grammar: read, changed, and changed back.

use crate::common::boot::{applied, grammars};
use vfio_suite::host::boot::Format;
use vfio_suite::plan::cmdline::format::lines;

/// The grammar that the first byte names, and the rest as text.
pub fn split(data: &[u8]) -> Option<(Format, String)> {
    thread_local!(static ALL: Vec<Format> = grammars().into_values().collect());
    let (first, rest) = data.split_first()?;
    let format = ALL.with(|all| all[usize::from(first.wrapping_sub(b'A')) % all.len()]);
    Some((format, String::from_utf8_lossy(rest).into_owned()))
}

/// The parameters that are wanted in every file.
pub fn desired() -> Vec<String> {
    ["iommu=pt", "video=efifb:off", "x=\"y z\""].map(str::to_owned).to_vec()
}

/// Command lines lie in the file one after the other, and applying and reverting gives it back byte for byte.
pub fn check(data: &[u8]) {
    let Some((format, text)) = split(data) else { return };
    if let Ok(lines) = lines(format, &text) {
        let mut from = 0;
        for line in lines {
            assert!(from <= line.span.start && line.span.start <= line.span.end, "{line:?}\n{text}");
            assert!(text.get(line.span.clone()).is_some(), "{line:?}\n{text}");
            from = line.span.end;
        }
    }
    let _ = applied(format, &text, &desired());
}
