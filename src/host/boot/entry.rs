// SPDX-License-Identifier: LGPL-2.1-or-later
//! Boot entries by name, and files with command lines.

use super::{Content, Grammar, Place, Role};
use crate::root::Root;
use std::io;

impl Place {
    /// Looks at a file.
    pub fn read(root: &Root, path: &str, grammar: Grammar, role: Role) -> Place {
        let content = match root.read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => Some(Content::Unreadable(error.to_string())),
            Ok(bytes) => Some(match String::from_utf8(bytes) {
                Ok(text) => Content::Text(text),
                Err(_) => Content::Unreadable("it is not UTF-8 text: mend it, or change it by hand".to_owned()),
            }),
        };
        Place { path: path.to_owned(), grammar, role, content }
    }
}

/// Whether the name of a file is that of this entry, with a boot counter or without: `NAME.conf`, `NAME+3.conf`,
/// `NAME+2-1.conf` (UAPI Boot Loader Specification, "Boot counting").
pub fn is_entry(file: &str, name: &str) -> bool {
    let Some(rest) = file.strip_prefix(name).and_then(|rest| rest.strip_suffix(".conf")) else { return false };
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match rest.strip_prefix('+') {
        Some(counter) => match counter.split_once('-') {
            Some((left, done)) => number(left) && number(done),
            None => number(counter),
        },
        None => rest.is_empty(),
    }
}

/// The type 1 entries of one of these names in a directory.
pub fn find(root: &Root, directory: &str, names: &[String]) -> Vec<Place> {
    let files = root.list(directory).unwrap_or_default();
    let files = files.iter().filter(|file| names.iter().any(|name| is_entry(file, name)));
    files.map(|file| Place::read(root, &format!("{directory}/{file}"), Grammar::Bls, Role::Entry)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_belong_to_no_name() {
        for (file, is) in [
            ("a-6.1.conf", true),
            ("a-6.1+3.conf", true),
            ("a-6.1+2-1.conf", true),
            ("a-6.1+debug.conf", false),
            ("a-6.1+debug+3.conf", false),
            ("a-6.1.2.conf", false),
            ("a-6.1+.conf", false),
            ("a-6.1+3-.conf", false),
            ("a-6.1.conf.bak", false),
            ("xa-6.1.conf", false),
        ] {
            assert_eq!(is_entry(file, "a-6.1"), is, "{file}");
        }
        assert!(is_entry("a-6.1+debug+3.conf", "a-6.1+debug"));
    }
}
