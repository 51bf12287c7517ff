// SPDX-License-Identifier: LGPL-2.1-or-later
//! Boot entries by name, and files with command lines.

use crate::host::boot::emergency::is_for_emergencies;
use crate::host::boot::{probe, rescue_entry, BootFile, Content, Format, Role};
use crate::root::Root;

/// What the entry of an ostree deployment is known by: its number changes with every deployment.
const OSTREE: &str = "boot/loader/entries/ostree";

/// What kernelstub keeps its list in (`kernelstub.rs`).
pub(super) const KERNELSTUB: &str = "etc/kernelstub/configuration";

/// The value of an entry's first line with this key.
pub fn value<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    let mut lines = text.lines().filter_map(|line| line.trim().split_once([' ', '\t']));
    lines.find(|(there, _)| *there == key).map(|(_, value)| value.trim())
}

impl BootFile {
    /// Looks at a file.
    pub fn read(root: &Root, path: &str, format: Format, role: Role) -> BootFile {
        BootFile { path: path.to_owned(), format, role, content: probe::content(root, path) }
    }

    /// A source that is not changed: why, and what to do, to be said after its path.
    pub fn unreadable(path: &str, format: Format, why: impl Into<String>) -> BootFile {
        let content = Some(Content::Unreadable(why.into()));
        BootFile { path: path.to_owned(), format, role: Role::Source, content }
    }

    /// Looks at a boot entry (type 1), and whether it is one for emergencies, by its name and its title, or ours, by its name.
    pub fn entry(root: &Root, path: &str) -> BootFile {
        let boot_file = BootFile::read(root, path, Format::Bls, Role::Entry);
        let title = match &boot_file.content {
            Some(Content::Text(text)) => value(text, "title").unwrap_or_default(),
            _ => "",
        };
        let name = path.rsplit('/').next().unwrap_or(path);
        let is_rescue = is_for_emergencies(name) || is_for_emergencies(title);
        let role = match is_rescue {
            _ if rescue_entry::is_ours(path) => Role::WithoutVfio,
            true => Role::Rescue,
            false => Role::Entry,
        };
        BootFile { role, ..boot_file }
    }

    /// What the file is known by while its name changes: a boot counter comes and goes (`NAME+2-1.conf`), and the newest
    /// deployment's entry has another number each time.
    pub fn key(&self) -> String {
        let (directory, name) = self.path.rsplit_once('/').unwrap_or(("", &self.path));
        match self.format {
            // Also as long as the newest is only staged.
            Format::RpmOstree => OSTREE.to_owned(),
            // Its first list may stand elsewhere; what it writes is there.
            Format::Kernelstub => KERNELSTUB.to_owned(),
            Format::Bls => probe::join(directory, &without_counter(name)),
            _ => self.path.clone(),
        }
    }
}

/// An entry's name without its boot counter: `+LEFT` or `+LEFT-DONE` before the suffix. Other names have a plus too:
/// `6.12.0+debug`.
fn without_counter(name: &str) -> String {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let counter = name.strip_suffix(".conf").and_then(|stem| stem.rsplit_once('+'));
    match counter {
        Some((stem, count)) if count.split('-').count() <= 2 && count.split('-').all(is_number) => {
            format!("{stem}.conf")
        }
        _ => name.to_owned(),
    }
}

/// Whether a file that is known by this name ([`BootFile::key`]) is there, whatever its counter.
pub fn is_there(root: &Root, known: &str) -> bool {
    let (directory, name) = known.rsplit_once('/').unwrap_or(("", known));
    let is_it = |file: &String| match name.strip_suffix(".conf") {
        Some(stem) => is_entry(file, stem),
        None => name == "ostree" && file.starts_with("ostree-"),
    };
    root.exists(known) || root.list(directory).is_ok_and(|files| files.iter().any(is_it))
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

/// The type 1 entries in a directory, whatever system they are of.
pub fn all(root: &Root, directory: &str) -> Vec<BootFile> {
    probe::files(root, directory, ".conf").iter().map(|path| BootFile::entry(root, path)).collect()
}

/// The type 1 entries of one of these names in a directory.
pub fn find(root: &Root, directory: &str, names: &[String]) -> Vec<BootFile> {
    let is_one = |entry: &BootFile| {
        let file = entry.path.rsplit('/').next().unwrap_or_default();
        names.iter().any(|name| is_entry(file, name))
    };
    all(root, directory).into_iter().filter(is_one).collect()
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

    #[test]
    fn a_file_is_known_whatever_its_counter() {
        let key = |path: &str, format| BootFile { path: path.into(), format, role: Role::Entry, content: None }.key();
        for (path, known) in [
            ("efi/loader/entries/arch.conf", "efi/loader/entries/arch.conf"),
            ("efi/loader/entries/arch+3.conf", "efi/loader/entries/arch.conf"),
            ("efi/loader/entries/arch+2-1.conf", "efi/loader/entries/arch.conf"),
            ("boot/loader/entries/6.12+debug.conf", "boot/loader/entries/6.12+debug.conf"),
            ("boot/loader/entries/6.12+debug+3.conf", "boot/loader/entries/6.12+debug.conf"),
            ("boot/loader/entries/a+1-2-3.conf", "boot/loader/entries/a+1-2-3.conf"),
            ("boot/loader/entries/a+.conf", "boot/loader/entries/a+.conf"),
        ] {
            assert_eq!(key(path, Format::Bls), known);
        }
        assert_eq!(key("boot/loader/entries/ostree-2.conf", Format::RpmOstree), "boot/loader/entries/ostree");
        assert_eq!(key("etc/default/grub", Format::GrubDefault), "etc/default/grub");
    }

    #[test]
    #[allow(clippy::unwrap_used)]
    fn an_entry_is_there_whatever_its_counter() {
        let tree = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(tree.path().join("efi")).unwrap();
        for name in ["a+2-1.conf", "b.conf", "ostree-1.conf"] {
            std::fs::write(tree.path().join("efi").join(name), "").unwrap();
        }
        let root = Root::open(tree.path()).unwrap();
        for known in ["efi/a.conf", "efi/b.conf", "efi/ostree"] {
            assert!(is_there(&root, known), "{known}");
        }
        for known in ["efi/c.conf", "efi/a", "efi/a+3.conf", "boot/b.conf", "ostree"] {
            assert!(!is_there(&root, known), "{known}");
        }
    }
}
