// SPDX-License-Identifier: LGPL-2.1-or-later
//! Looking for boot files: what is in them, under which name they are there, which programs are installed.

use crate::host::boot::Content;
pub(super) use crate::host::programs::find as program;
use crate::root::Root;
use std::io::{self, ErrorKind, Read};

/// What is in a file; `None` if it is not there.
pub(super) fn content(root: &Root, path: &str) -> Option<Content> {
    let unreadable = |why: &str| Some(Content::Unreadable(why.to_owned()));
    match root.read_regular(path) {
        Ok(bytes) => Some(match String::from_utf8(bytes) {
            Ok(text) => Content::Text(text),
            Err(_) => Content::Unreadable("is not text in UTF-8: save it as UTF-8".to_owned()),
        }),
        Err(error) if is_missing(error.kind()) => None,
        Err(error) if error.kind() == ErrorKind::InvalidInput => {
            unreadable("is not a file: a boot file belongs there, or nothing")
        }
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            unreadable("is larger than 1 MiB, which no file with command lines is: look what became of it")
        }
        Err(error) => unreadable(&format!("cannot be read: {error}")),
    }
}

fn is_missing(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// The text of a file, if it is there and is text.
pub(super) fn text(root: &Root, path: &str) -> Option<String> {
    match content(root, path)? {
        Content::Text(text) => Some(text),
        Content::Unreadable(_) => None,
    }
}

/// A program's name, if it is not installed.
pub(super) fn missing_program(root: &Root, name: &str) -> Vec<String> {
    if program(root, name).is_some() {
        Vec::new()
    } else {
        vec![name.to_owned()]
    }
}

/// The first of some programs that is installed: its name.
pub(super) fn first_program<'n>(root: &Root, names: &[&'n str]) -> Option<&'n str> {
    names.iter().copied().find(|name| program(root, name).is_some())
}

/// What lies below a directory at a path like `EFI/Linux`, under the names it really has: on the FAT of an ESP case does not
/// count.
pub(super) fn below(root: &Root, directory: &str, path: &str) -> Option<String> {
    let mut at = directory.to_owned();
    for part in path.split('/') {
        let next = join(&at, part);
        at = if root.exists(&next) {
            next
        } else {
            join(&at, &root.list(&at).ok()?.into_iter().find(|name| name.eq_ignore_ascii_case(part))?)
        };
    }
    Some(at)
}

/// A path in a directory; the root directory has no name.
pub(super) fn join(directory: &str, name: &str) -> String {
    if directory.is_empty() {
        name.to_owned()
    } else {
        format!("{directory}/{name}")
    }
}

/// The files of a directory whose names end so, whatever the case, sorted by name. Hidden ones are nobody's boot files.
pub(super) fn files(root: &Root, directory: &str, end: &str) -> Vec<String> {
    let ends = |name: &String| {
        let (name, end) = (name.as_bytes(), end.as_bytes());
        name.len() > end.len() && name[0] != b'.' && name[name.len() - end.len()..].eq_ignore_ascii_case(end)
    };
    let names = root.list(directory).unwrap_or_default();
    names.into_iter().filter(ends).map(|name| join(directory, &name)).collect()
}

/// The value that a file of assignments, as a shell reads it, gives a name at last: quotes off, nothing expanded.
pub(super) fn assigned(text: &str, name: &str) -> Option<String> {
    let value = |line: &str| {
        let rest = line.trim_start();
        let rest = rest.strip_prefix("export ").unwrap_or(rest).trim_start();
        let value = rest.strip_prefix(name)?.strip_prefix('=')?;
        let plain = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => value[1..].split(quote).next(),
            _ => value.split([' ', '\t', '#', ';']).next(),
        };
        Some(plain.unwrap_or_default().to_owned())
    };
    text.lines().filter_map(value).next_back()
}

/// Whether a program holds some bytes. It may be large: it is read piece by piece.
pub(super) fn program_holds(root: &Root, path: &str, what: &[u8]) -> bool {
    let search = || -> io::Result<bool> {
        let mut file = root.open_file(path)?;
        let (mut buffer, mut kept) = (vec![0; PIECE], 0);
        loop {
            let read = file.read(&mut buffer[kept..])?;
            if buffer[..kept + read].windows(what.len()).any(|window| window == what) {
                return Ok(true);
            }
            if read == 0 {
                return Ok(false);
            }
            // What is looked for may begin in this piece and end in the next.
            let end = kept + read;
            let keep = end.min(what.len() - 1);
            buffer.copy_within(end - keep..end, 0);
            kept = keep;
        }
    };
    search().unwrap_or(false)
}

/// So much of a program is looked at in one go, in bytes.
const PIECE: usize = 1 << 20;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_last_assignment_counts() {
        for (text, value) in [
            ("A=1\n", Some("1")),
            ("A=1\n  export A='2 3' # more\n", Some("2 3")),
            ("A=\"yes\"\r\nAB=no\n#A=no\n", Some("yes")),
            ("A=yes # no\n", Some("yes")),
            ("A=\n", Some("")),
            ("AB=1\nB A=1\n", None),
        ] {
            assert_eq!(assigned(text, "A").as_deref(), value, "{text:?}");
        }
    }

    #[test]
    fn names_on_fat_have_no_case() {
        let tree = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(tree.path().join("boot/efi/Linux")).unwrap();
        std::fs::write(tree.path().join("boot/efi/Linux/A.EFI"), "").unwrap();
        let root = Root::open(tree.path()).unwrap();
        assert_eq!(below(&root, "boot", "EFI/linux").as_deref(), Some("boot/efi/Linux"));
        assert_eq!(below(&root, "boot", "EFI/Boot"), None);
        assert_eq!(files(&root, "boot/efi/Linux", ".efi"), ["boot/efi/Linux/A.EFI"]);
    }

    #[test]
    fn bytes_are_found_wherever_they_are() {
        const WHAT: &[u8] = b"set-options-for-source";
        let tree = tempfile::tempdir().unwrap();
        let root = Root::open(tree.path()).unwrap();
        for at in [0, 1, PIECE - WHAT.len(), PIECE - 5, PIECE - 1, PIECE, 2 * PIECE - 7] {
            let mut bytes = vec![b's'; at];
            bytes.extend_from_slice(WHAT);
            bytes.extend_from_slice(b"more");
            std::fs::write(tree.path().join("program"), &bytes).unwrap();
            assert!(program_holds(&root, "program", WHAT), "{at}");
            bytes.truncate(at + WHAT.len() - 1);
            std::fs::write(tree.path().join("program"), &bytes).unwrap();
            assert!(!program_holds(&root, "program", WHAT), "{at}");
        }
        assert!(!program_holds(&root, "nothing", WHAT));
    }
}
