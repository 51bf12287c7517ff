// SPDX-License-Identifier: LGPL-2.1-or-later
//! Which of several boot entries is the first in the loader's menu, and so the one that is started: that of the newest kernel.

use crate::host::boot::entry::value;
use crate::host::boot::BootFile;
use crate::plan::cmdline::text_of;
use std::cmp::Ordering;

/// What systemd-boot sorts by (`src/boot/boot.c`, `boot_entry_compare`). GRUB goes by the name alone, of which the version is a part.
struct Rank {
    /// A boot counter that has run out: last.
    is_bad: bool,
    sort_key: Option<String>,
    version: String,
    name: String,
}

impl Rank {
    fn of(boot_file: &BootFile) -> Rank {
        let text = text_of(boot_file).unwrap_or_default();
        let own = |key: &str| value(text, key).map(str::to_owned);
        let name = boot_file.path.rsplit('/').next().unwrap_or_default();
        let known = boot_file.key();
        Rank {
            is_bad: name.ends_with("+0.conf") || name.contains("+0-"),
            sort_key: own("sort-key"),
            version: own("version").unwrap_or_default(),
            name: known.rsplit('/').next().unwrap_or_default().to_ascii_lowercase(),
        }
    }

    fn compare(&self, other: &Rank) -> Ordering {
        let by_key = || match (&self.sort_key, &other.sort_key) {
            (Some(a), Some(b)) => a.cmp(b).then_with(|| compare(&other.version, &self.version)),
            (a, b) => a.is_none().cmp(&b.is_none()),
        };
        self.is_bad.cmp(&other.is_bad).then_with(by_key).then_with(|| compare(&other.name, &self.name))
    }
}

/// The entry that comes first.
pub(super) fn first<'f>(entries: &[&'f BootFile]) -> Option<&'f BootFile> {
    let ranked = entries.iter().map(|entry| (Rank::of(entry), *entry));
    ranked.min_by(|(a, _), (b, _)| a.compare(b)).map(|(_, entry)| entry)
}

/// Compares versions as systemd does (`src/fundamental/string-util.c`, `strverscmp_improved`): numbers by value, a number
/// after letters, and `~`, the end, `-`, `^` and `.` before anything else, in this order.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        a = known(a);
        b = known(b);
        if let Some(order) = mark(&mut a, &mut b, b'~') {
            return order;
        }
        if a.is_empty() || b.is_empty() {
            return a.len().min(1).cmp(&b.len().min(1));
        }
        for sign in *b"-^." {
            if let Some(order) = mark(&mut a, &mut b, sign) {
                return order;
            }
        }
        let is_number = |text: &[u8]| text.first().is_some_and(u8::is_ascii_digit);
        let order = if is_number(a) || is_number(b) {
            let (first, second) = (part(&mut a, u8::is_ascii_digit), part(&mut b, u8::is_ascii_digit));
            let (n, m) = (without_zeros(first), without_zeros(second));
            (!first.is_empty()).cmp(&!second.is_empty()).then(n.len().cmp(&m.len())).then(n.cmp(m))
        } else {
            part(&mut a, u8::is_ascii_alphabetic).cmp(part(&mut b, u8::is_ascii_alphabetic))
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// Whether one of two has a sign first, which makes it the lesser; of both it is taken off.
fn mark(a: &mut &[u8], b: &mut &[u8], sign: u8) -> Option<Ordering> {
    match (a.strip_prefix(&[sign]), b.strip_prefix(&[sign])) {
        (Some(first), Some(second)) => {
            (*a, *b) = (first, second);
            None
        }
        (None, None) => None,
        (first, second) => Some(first.is_none().cmp(&second.is_none())),
    }
}

fn known(text: &[u8]) -> &[u8] {
    let is_known = |byte: &u8| byte.is_ascii_alphanumeric() || b"~-^.".contains(byte);
    &text[text.iter().position(is_known).unwrap_or(text.len())..]
}

fn part<'t>(text: &mut &'t [u8], is_part: fn(&u8) -> bool) -> &'t [u8] {
    let end = text.iter().position(|byte| !is_part(byte)).unwrap_or(text.len());
    let (part, rest) = text.split_at(end);
    *text = rest;
    part
}

fn without_zeros(text: &[u8]) -> &[u8] {
    &text[text.iter().position(|byte| *byte != b'0').unwrap_or(text.len())..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::boot::rescue_entry::SYSTEMD_BOOT;
    use crate::host::boot::{Content, Format, Role};

    /// The order that the comment above the function in systemd gives, and what is less than all of it.
    #[test]
    fn versions_in_systemds_order() {
        let order = [
            "122.1",
            "123~rc1-1",
            "123",
            "123-a",
            "123-a.1",
            "123-1",
            "123-1.1",
            "123^post1",
            "123.a-1",
            "123.1-1",
            "123a-1",
            "124-1",
        ];
        for (at, a) in order.iter().enumerate() {
            for (other, b) in order.iter().enumerate() {
                assert_eq!(compare(a, b), at.cmp(&other), "{a} {b}");
            }
        }
        assert_eq!(compare("a_00012", "a12"), Ordering::Equal);
    }

    #[test]
    fn ours_is_less_than_every_name() {
        for name in ["arch.conf", "0.conf", "00f3.conf", "a.conf", "^.conf", ".conf", "5f-6.1.conf", "z.conf"] {
            assert_eq!(compare(SYSTEMD_BOOT, name), Ordering::Less, "{name}");
        }
    }

    #[test]
    fn the_entry_that_is_started() {
        let entry = |name: &str, text: &str| BootFile {
            path: format!("efi/loader/entries/{name}.conf"),
            format: Format::Bls,
            role: Role::Entry,
            content: Some(Content::Text(text.to_owned())),
        };
        for (entries, expected) in [
            ([("arch-lts", ""), ("arch", "")], "arch"),
            ([("5f-6.9.1", ""), ("5f-6.12.1", "")], "5f-6.12.1"),
            ([("z", ""), ("a", "sort-key debian\nversion 6.1\n")], "a"),
            ([("a", "sort-key debian\nversion 6.1\n"), ("b", "sort-key debian\nversion 6.12\n")], "b"),
            ([("a", "sort-key b\nversion 9\n"), ("b", "sort-key a\nversion 1\n")], "b"),
            ([("5f-6.12+0-3", ""), ("5f-6.9+3", "")], "5f-6.9+3"),
            ([("5f-6.12+2-1", ""), ("5f-6.9", "")], "5f-6.12+2-1"),
        ] {
            let entries: Vec<BootFile> = entries.into_iter().map(|(name, text)| entry(name, text)).collect();
            let found = first(&entries.iter().collect::<Vec<_>>()).map(|entry| entry.path.clone());
            assert_eq!(found, Some(format!("efi/loader/entries/{expected}.conf")));
        }
        assert_eq!(first(&[]), None);
    }
}
