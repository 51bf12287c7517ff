// SPDX-License-Identifier: LGPL-2.1-or-later
//! Text of others before it reaches a terminal, the kernel log or the journal: what does not show, or moves what does, is
//! shown by its number. Names of processes, domains and devices are anybody's to choose.

use std::borrow::Cow;

/// Whether a character shows as one character at its place. Those that do not: control characters of ASCII and of Latin-1
/// (U+009B begins a terminal's sequence as ESC [ does), ends of lines and paragraphs, what turns the direction of writing,
/// blanks that are not the usual one, and what has no width at all (Unicode's `Default_Ignorable_Code_Point`).
fn shows(c: char) -> bool {
    match c {
        ' '..='~' => true,
        '\0'..='\u{a0}' => false,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{1680}' | '\u{17b4}'..='\u{17b5}' => false,
        '\u{180b}'..='\u{180f}' | '\u{2000}'..='\u{200f}' | '\u{2028}'..='\u{202f}' | '\u{205f}'..='\u{206f}' => false,
        '\u{2800}' | '\u{3000}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' => false,
        '\u{fff0}'..='\u{fffb}' | '\u{fffe}'..='\u{ffff}' | '\u{1bca0}'..='\u{1bca3}' => false,
        '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}' => false,
        _ => true,
    }
}

/// The text with `escape` in place of what does not show, but for what `keep` names.
fn escaped<'t>(text: &'t str, keep: &str, escape: impl Fn(char, &mut String)) -> Cow<'t, str> {
    let stays = |c: char| shows(c) || keep.contains(c);
    if text.bytes().all(|b| (b' '..0x7f).contains(&b) || keep.as_bytes().contains(&b)) || text.chars().all(stays) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if stays(c) {
            shown.push(c);
        } else {
            escape(c, &mut shown);
        }
    }
    shown.into()
}

/// As Rust writes it: `\n`, `\u{202e}`.
fn by_number(c: char, shown: &mut String) {
    match c {
        '\n' => shown.push_str("\\n"),
        '\t' => shown.push_str("\\t"),
        '\r' => shown.push_str("\\r"),
        _ => shown.extend(c.escape_unicode()),
    }
}

/// One line, whatever is in it. Doing it twice changes nothing.
pub fn line(text: &str) -> Cow<'_, str> {
    escaped(text, "", by_number)
}

/// Lines of a file: their ends and tabulators stay.
pub fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, "\n\t", by_number)
}

/// One line of at most so many bytes.
pub fn short(text: &str, most: usize) -> Cow<'_, str> {
    const MORE: &str = "...";
    let shown = line(text);
    if shown.len() <= most {
        return shown;
    }
    let end = (0..=most.saturating_sub(MORE.len())).rev().find(|end| shown.is_char_boundary(*end)).unwrap_or(0);
    format!("{}{MORE}", &shown[..end]).into()
}

/// A word of a command that is printed, as a shell reads it back: in quotes if it has blanks, quotes, or anything else that
/// means something to a shell.
pub fn shell_word(word: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_alphanumeric() || "_-./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.into();
    }
    // Commands stand in single quotes in our sentences: others are easier to read there.
    if word.contains(['"', '$', '`', '\\', '!']) {
        format!("'{}'", word.replace('\'', "'\\''")).into()
    } else {
        format!("\"{word}\"").into()
    }
}

/// A command that is printed, as a shell reads it back.
pub fn shell_command<W: AsRef<str>>(words: &[W]) -> String {
    let words: Vec<Cow<'_, str>> = words.iter().map(|word| shell_word(word.as_ref())).collect();
    words.join(" ")
}

/// JSON as it was, with its strings in ASCII where their characters do not show. Outside of strings there are none of those
/// but ends of lines.
pub fn json(text: &str) -> Cow<'_, str> {
    escaped(text, "\n", |c, shown| {
        for unit in c.encode_utf16(&mut [0; 2]) {
            shown.push_str("\\u");
            // Four digits, without the machinery of formatting.
            shown.extend((0..4).rev().filter_map(|digit| char::from_digit(u32::from(*unit) >> (4 * digit) & 15, 16)));
        }
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A shell says what a word is.
    #[test]
    fn printed_words_are_read_back_by_a_shell() {
        for (word, shown) in [
            ("win10", "win10"),
            ("qemu:///system", "qemu:///system"),
            ("größe", "größe"),
            ("my win", "\"my win\""),
            ("a;b", "\"a;b\""),
            ("it's", "\"it's\""),
            ("$HOME", "'$HOME'"),
            ("a\"b'c", "'a\"b'\\''c'"),
            ("`id`!", "'`id`!'"),
            ("back\\slash", "'back\\slash'"),
            ("", "\"\""),
            ("*", "\"*\""),
            ("~", "\"~\""),
        ] {
            assert_eq!(shell_word(word), shown);
            let shell = std::process::Command::new("sh").arg("-c").arg(format!("printf %s {shown}")).output().unwrap();
            assert_eq!(String::from_utf8(shell.stdout).unwrap(), word);
        }
        assert_eq!(shell_command(&["virsh", "edit", "my win"]), "virsh edit \"my win\"");
    }

    #[test]
    fn what_does_not_show_is_shown_by_its_number() {
        for (text, expected) in [
            ("plain (pid 712) größe 日本", "plain (pid 712) größe 日本"),
            ("\x1b[31mred\x07", "\\u{1b}[31mred\\u{7}"),
            ("a\nb\tc\rd\0", "a\\nb\\tc\\rd\\u{0}"),
            ("\u{7f}\u{9b}2J", "\\u{7f}\\u{9b}2J"),
            ("\u{202e}txt.exe\u{2066}\u{200f}\u{61c}", "\\u{202e}txt.exe\\u{2066}\\u{200f}\\u{61c}"),
            ("a\u{200b}b\u{feff}\u{2028}\u{e0041}", "a\\u{200b}b\\u{feff}\\u{2028}\\u{e0041}"),
            ("a\u{a0}b", "a\\u{a0}b"),
            (&String::from_utf8_lossy(b"\xff\x9b"), "\u{fffd}\u{fffd}"),
        ] {
            assert_eq!(line(text), expected);
            assert_eq!(line(expected), expected);
        }
    }

    #[test]
    fn a_short_line_is_no_longer_than_it_may_be() {
        assert_eq!(short("12345", 5), "12345");
        assert_eq!(short("123456", 5), "12...");
        assert_eq!(short("ääää", 6), "ä...");
        // What it is escaped to counts.
        assert_eq!(short("\u{202e}\u{202e}", 12), "\\u{202e}\\...");
        assert_eq!(short("123456", 2), "...");
    }

    #[test]
    fn json_has_the_same_value_as_before() {
        let value = serde_json::json!({"a\u{9b}": ["\u{7f}\u{202e}\n\u{1b}", "ü\u{e0041}\"\\"]});
        let text = serde_json::to_string_pretty(&value).unwrap();
        let shown = json(&text);
        assert!(shown.chars().all(|c| shows(c) || c == '\n'), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }
}
