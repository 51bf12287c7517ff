// SPDX-License-Identifier: LGPL-2.1-or-later
//! `/etc/vfio.conf` and its drop-ins.

use vfio_suite::config;

/// Files, one after the other, with a zero byte between them: every sentence has its place and is one line, and a second
/// reading says the same.
pub fn check(data: &[u8]) {
    let names = ["/etc/vfio.conf", "/etc/vfio.conf.d/10.conf", "/etc/vfio.conf.d/20.conf"];
    let files: Vec<(&str, &[u8])> = names.into_iter().zip(data.splitn(3, |byte| *byte == 0)).collect();
    let config = config::parse_files(&files);
    for diagnostic in &config.diagnostics {
        let text = diagnostic.to_string();
        assert!(names.iter().any(|name| text.contains(name)), "no place: {text}");
        assert!(!text.contains('\n'), "more than a line: {text}");
    }
    for gpu in &config.gpus {
        assert!(config::is_name(&gpu.name), "{}", gpu.name);
    }
    let said = |config: &config::Config| config.diagnostics.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(said(&config), said(&config::parse_files(&files)));
    let lasting: Vec<(String, Option<Vec<u8>>)> =
        files.iter().map(|(name, text)| ((*name).to_owned(), Some(text.to_vec()))).collect();
    config::parse_lasting(&lasting);
}
