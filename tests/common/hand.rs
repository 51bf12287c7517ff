// SPDX-License-Identifier: LGPL-2.1-or-later
//! A boot file that a person edited after we did: what must hold whatever they wrote. The properties and the fuzz targets
//! share this.

use super::boot::{after, planned, system};
use vfio_suite::host::boot::Format;
use vfio_suite::plan::cmdline::format::lines;
use vfio_suite::plan::cmdline::parameters::Parameter;
use vfio_suite::plan::cmdline::record::Record;
use vfio_suite::plan::cmdline::status::status;

/// What is white space to the kernel, to a shell, to Unicode, or to nobody but looks like it.
const SPACES: [&str; 10] = [" ", "\t", "\r", "\n", "\u{b}", "\u{c}", "\u{a0}", "\u{e0}", "\u{85}", "\u{2003}"];

/// What else a person may put in.
const OTHERS: [&str; 14] =
    ["\"", "'", "\\", "$", "`", "#", "a", " b=\"c d\" ", "options ", "iommu=pt", " iommu=pt", "=", "\r\n", "${X}"];

/// The text after some edits: each says where, and what. Most are beside white space and words of ours.
pub fn edited(text: &str, words: &[String], edits: &[(u16, u8)]) -> String {
    let mut text = text.to_owned();
    for (place, what) in edits {
        let what = usize::from(*what);
        let mut boot_files: Vec<usize> = Vec::new();
        if what >= 192 {
            boot_files.extend(text.char_indices().map(|(at, _)| at).chain([text.len()]));
        } else {
            boot_files.extend(text.char_indices().filter(|(_, c)| c.is_whitespace()).map(|(at, _)| at));
            for word in words {
                boot_files.extend(text.match_indices(word.as_str()).flat_map(|(at, word)| [at, at + word.len()]));
            }
            boot_files.push(text.len());
        }
        let at = boot_files[usize::from(*place) % boot_files.len()];
        let next = text[at..].chars().next();
        let end = at + next.map_or(0, char::len_utf8);
        let replaced = match what % 4 {
            // A blank becomes another one.
            0 | 1 if next.is_some_and(char::is_whitespace) => at..end,
            2 if what >= 128 => at..end,
            _ => at..at,
        };
        let with = match what % 64 {
            n @ 0..=47 => SPACES[n / 4 % SPACES.len()],
            n => OTHERS[(n - 48 + what / 64 * 4) % OTHERS.len()],
        };
        text.replace_range(replaced, with);
    }
    text
}

/// The words of a file's command lines, sorted; `None` if it is left alone.
fn parameters_of(format: Format, text: &str) -> Option<Vec<String>> {
    let mut words: Vec<String> = lines(format, text).ok()?.into_iter().flat_map(|line| line.parameters).collect();
    words.sort_unstable();
    Some(words)
}

/// Applies, edits, and looks at everything that is done with such a file then.
pub fn check(format: Format, text: &str, words: &[String], edits: &[(u16, u8)]) {
    let first = planned(format, text, words, &Record::default(), false);
    let Ok(ours) = after(&first, text) else { return };
    let edited = edited(&ours, words, edits);
    for (adopt, desired) in [(false, words), (true, words), (false, &words[..words.len() / 2]), (false, &[])] {
        let second = planned(format, &edited, desired, &first.record, adopt);
        let asked = desired.iter().map(|word| Parameter { parameter: word.clone(), why: String::new() }).collect();
        status(&system(format, &edited), asked, &first.record);
        let Ok(new) = after(&second, &edited) else { continue };
        let (had, has) = (parameters_of(format, &edited), parameters_of(format, &new));
        let (Some(had), Some(mut has)) = (had, has) else {
            assert_eq!(new, edited, "{format:?}: a file that cannot be read is changed");
            continue;
        };
        // What is not ours is there as before.
        let (mut theirs, mut gone) = (Vec::new(), Vec::new());
        for word in had {
            match has.iter().position(|other| *other == word) {
                Some(at) => theirs.push(has.swap_remove(at)),
                None => gone.push(word),
            }
        }
        let may_go = |word: &String| words.contains(word) || adopt && word == "amd_iommu=on";
        assert!(gone.iter().all(may_go), "{format:?}: {gone:?} went:\n{edited}\n---\n{new}");
        assert!(has.iter().all(|word| desired.contains(word)), "{format:?}: {has:?} came:\n{edited}\n---\n{new}");
        // Whoever does it again changes nothing, and nothing of ours is left in the end.
        let third = planned(format, &new, desired, &second.record, adopt);
        assert_eq!(after(&third, &new).as_ref(), Ok(&new), "{format:?}: not once:\n{edited}");
        if desired.is_empty() {
            assert!(second.record.is_empty(), "{format:?}: something is still ours:\n{edited}");
        }
    }
}
