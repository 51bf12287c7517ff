// SPDX-License-Identifier: LGPL-2.1-or-later
//! rEFInd's command lines: `refind_linux.conf`, a title and options a line, and the stanzas of `refind.conf`.
//!
//! A line is parted into tokens by blanks, `=` and `,` outside double quotes; a doubled quote is one quote of the text
//! (`config.c`, `ReadTokenLine` and `KeepReading`). Options are one token.

use super::super::line::{self, Change};
use super::own_line::Numbers;
use super::{Line, Problem};
use std::collections::BTreeMap;
use std::ops::Range;

/// A part of a line.
struct Token {
    /// Its raw text, quotes included.
    raw: Range<usize>,
    text: String,
    /// Whether its quote does not end, or a quote is where rEFInd expects none.
    odd: bool,
}

fn is_separator(c: char) -> bool {
    matches!(c, ' ' | '\t' | '=' | ',')
}

/// The tokens of a line that begins at `offset` of its file.
fn tokens(text: &str, offset: usize) -> Vec<Token> {
    let mut found = Vec::new();
    let mut at = 0;
    loop {
        at += text[at..].len() - text[at..].trim_start_matches(is_separator).len();
        let quoted = match text[at..].chars().next() {
            None | Some('#') => return found,
            Some(c) => c == '"',
        };
        let start = at;
        at += usize::from(quoted);
        let mut token = Token { raw: start..at, text: String::new(), odd: quoted };
        while let Some(c) = text[at..].chars().next() {
            if text[at..].starts_with("\"\"") {
                token.text.push('"');
                at += 2;
                continue;
            }
            if c == '"' {
                token.odd = !quoted;
                at += 1;
                break;
            }
            if !quoted && (is_separator(c) || c == '#') {
                break;
            }
            token.text.push(c);
            at += c.len_utf8();
        }
        token.raw = offset + start..offset + at;
        found.push(token);
    }
}

/// The lines of a file with their tokens: those without any are not there.
fn token_lines(text: &str) -> impl Iterator<Item = Vec<Token>> + '_ {
    let mut at = 0;
    text.split_inclusive('\n').filter_map(move |whole| {
        let start = at;
        at += whole.len();
        let line = whole.trim_end_matches(['\n', '\r']);
        let mark = if start == 0 && line.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        let found = tokens(&line[mark..], start + mark);
        (!found.is_empty()).then_some(found)
    })
}

/// The second token of a line; odd if the first is, because then its own quotes are the wrong way round, or if nothing
/// parts them, because a quote before it would belong to the first.
fn second(tokens: &mut Vec<Token>) -> Token {
    let second = tokens.swap_remove(1);
    let first = &tokens[0];
    Token { odd: second.odd || first.odd || first.raw.end == second.raw.start, ..second }
}

fn line_of(numbers: &Numbers, key: String, token: &Token) -> Result<Line, Problem> {
    let number = numbers.number(token.raw.start);
    if token.odd {
        let message =
            "a quote of these options does not end, or begins inside a word; put all of them in quotes, and write \
                       a quote inside them twice";
        return Err(Problem { line: number, message: message.to_owned() });
    }
    let parameters = line::parameters(&token.text).into_iter().map(|range| token.text[range].to_owned()).collect();
    Ok(Line::of_entry(&key, number, token.raw.clone(), parameters))
}

/// So many bytes of a title tell an entry from others. Longer ones are told apart by their numbers: each command line of an
/// entry has its title.
const TITLE: usize = 256;

/// The part of a title that counts.
pub(super) fn title(text: &str) -> &str {
    let end = (0..=TITLE.min(text.len())).rfind(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or_default()]
}

/// Tells keys apart that are the same: `Arch`, `Arch #2`, `Arch #3`. Each number is tried once, so many equal titles cost no
/// more than as many different ones.
pub(super) fn unlike(lines: &mut [Line]) {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for line in lines {
        let Some(mut number) = seen.get(&line.key).copied() else {
            seen.insert(line.key.clone(), 1);
            continue;
        };
        let title = line.key.clone();
        // Somebody may have written such a number into a title.
        while seen.contains_key(&line.key) {
            number += 1;
            line.key = format!("{title} #{number}");
        }
        seen.insert(title, number);
        seen.insert(line.key.clone(), 1);
    }
}

/// The command lines of a `refind_linux.conf`: every one, those for single-user mode as well.
pub fn linux_lines(text: &str) -> Result<Vec<Line>, Problem> {
    let (mut lines, numbers) = (Vec::new(), Numbers::of(text));
    for mut tokens in token_lines(text) {
        if tokens.len() > 1 {
            lines.push(line_of(&numbers, title(&tokens[0].text).to_owned(), &second(&mut tokens))?);
        }
    }
    unlike(&mut lines);
    Ok(lines)
}

/// A stanza of `refind.conf`.
#[derive(Default)]
struct Stanza {
    name: String,
    /// What system it says it starts.
    system: Option<String>,
    is_kernel: bool,
    /// The options of the stanza and of those inside it: the key, and whether they are added to the stanza's.
    options: Vec<(String, Token, bool)>,
}

/// The command lines of a `refind.conf`: those of stanzas that start a kernel.
pub fn stanza_lines(text: &str) -> Result<Vec<Line>, Problem> {
    let (mut lines, numbers) = (Vec::new(), Numbers::of(text));
    let mut stanza: Option<Stanza> = None;
    let mut inner: Option<String> = None;
    for mut tokens in token_lines(text) {
        let first = tokens[0].text.to_ascii_lowercase();
        let second = (tokens.len() > 1).then(|| second(&mut tokens));
        let Some(open) = &mut stanza else {
            if let ("menuentry", Some(name)) = (first.as_str(), second) {
                stanza = Some(Stanza { name: title(&name.text).to_owned(), ..Stanza::default() });
            }
            continue;
        };
        match (first.as_str(), second) {
            ("}", _) if inner.is_some() => inner = None,
            ("}", _) => {
                if let Some(stanza) = stanza.take() {
                    lines.extend(of_stanza(&numbers, stanza)?);
                }
            }
            ("submenuentry", name) => inner = Some(name.map(|name| title(&name.text).to_owned()).unwrap_or_default()),
            ("ostype", Some(system)) => open.system = Some(system.text.to_ascii_lowercase()),
            ("initrd", Some(_)) => open.is_kernel = true,
            ("loader", Some(loader)) => {
                let loader = loader.text.to_ascii_lowercase();
                open.is_kernel |= ["vmlinu", "bzimage", "kernel"].iter().any(|part| loader.contains(part));
            }
            ("options" | "add_options", Some(token)) => {
                open.is_kernel |=
                    line::parameters(&token.text).iter().any(|w| token.text[w.clone()].starts_with("root="));
                let key = match &inner {
                    Some(inner) => format!("{}/{inner}", open.name),
                    None => open.name.clone(),
                };
                open.options.push((key, token, first == "add_options"));
            }
            _ => {}
        }
    }
    if let Some(stanza) = stanza {
        lines.extend(of_stanza(&numbers, stanza)?);
    }
    unlike(&mut lines);
    Ok(lines)
}

fn of_stanza(numbers: &Numbers, stanza: Stanza) -> Result<Vec<Line>, Problem> {
    let is_kernel = stanza.system.map_or(stanza.is_kernel, |system| system == "linux");
    // What is added to options that are listed gets their parameters anyway.
    let has_own = stanza.options.iter().any(|(key, _, adds)| !adds && *key == stanza.name);
    let listed = stanza.options.into_iter().filter(|(_, _, adds)| is_kernel && !(*adds && has_own));
    listed.map(|(key, token, _)| line_of(numbers, key, &token)).collect()
}

/// Changes it.
pub fn edit(raw: &str, change: &Change<'_>) -> Option<String> {
    let inside = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let body = inside.unwrap_or(raw);
    // The text, and where in the file each byte of it is.
    let (mut text, mut boot_files) = (String::with_capacity(body.len()), Vec::with_capacity(body.len()));
    let mut at = 0;
    while let Some(c) = body[at..].chars().next() {
        boot_files.extend(std::iter::repeat_n(at, c.len_utf8()));
        text.push(c);
        at += if body[at..].starts_with("\"\"") { 2 } else { c.len_utf8() };
    }
    boot_files.push(body.len());
    let mut cuts = line::cuts(&text, change);
    for range in &mut cuts.cut {
        *range = *boot_files.get(range.start)?..*boot_files.get(range.end)?;
    }
    cuts.insert_at = *boot_files.get(cuts.insert_at)?;
    cuts.insert = cuts.insert.replace('"', "\"\"");
    let new = cuts.apply(body)?;
    Some(match inside {
        None if !new.is_empty() && !new.contains(is_separator) => new,
        _ => format!("\"{new}\""),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn own(parameters: &[&str]) -> Vec<String> {
        parameters.iter().map(|w| (*w).to_owned()).collect()
    }

    #[test]
    fn a_title_and_options_a_line() {
        let text = "\u{feff}# x\n\"Boot\" \"root=/dev/sda1 ro a=\"\"b c\"\"\"\r\n\"Boot\"   'x'\n\nNone\nplain ro\n";
        let lines = linux_lines(text).unwrap();
        let shown: Vec<(&str, usize, &str, String)> =
            lines.iter().map(|l| (l.key.as_str(), l.number, &text[l.span.clone()], l.parameters.join("|"))).collect();
        assert_eq!(
            shown,
            [
                ("Boot", 2, "\"root=/dev/sda1 ro a=\"\"b c\"\"\"", "root=/dev/sda1|ro|a=\"b c\"".to_owned()),
                ("Boot #2", 3, "'x'", "'x'".to_owned()),
                ("plain", 6, "ro", "ro".to_owned()),
            ]
        );
        assert!(linux_lines("\"a\" \"b\n").is_err());
        assert!(linux_lines("\"a\" b\"c\n").is_err());
        assert!(linux_lines("a\"b c\n").is_err());
        assert!(linux_lines("\"a\"b\n").is_err());
    }

    #[test]
    fn words_go_into_the_quotes() {
        for (raw, with) in [
            ("\"ro quiet\"", "\"ro quiet iommu=pt\""),
            ("\"\"", "\"iommu=pt\""),
            ("ro", "\"ro iommu=pt\""),
            ("\"a=\"\"b c\"\"\"", "\"a=\"\"b c\"\" iommu=pt\""),
        ] {
            assert_eq!(edit(raw, &Change { remove: &[], add: &own(&["iommu=pt"]) }).as_deref(), Some(with));
        }
        let with = edit("\"a\"", &Change { remove: &[], add: &own(&["b=\"c d\""]) }).unwrap();
        assert_eq!(with, "\"a b=\"\"c d\"\"\"");
        let without = |raw: &str| edit(raw, &Change { remove: &own(&["b=\"c d\""]), add: &[] }).unwrap();
        assert_eq!(without("\"a b=\"\"c d\"\" e\""), "\"a e\"");
        assert_eq!(without("\"b=\"\"c d\"\"\""), "\"\"");
        assert_eq!(edit("ro", &Change { remove: &own(&["ro"]), add: &[] }).unwrap(), "\"\"");
    }

    #[test]
    fn stanzas_that_start_a_kernel() {
        let text = "timeout 20\noptions \"not in a stanza\"\nmenuentry \"Arch Linux\" {\n    loader /vmlinuz-linux\n    \
                    options \"root=/dev/sda3 rw\" # x\n    submenuentry \"fallback\" {\n        initrd /f.img\n    }\n    \
                    submenuentry \"terminal\" {\n        add_options \"systemd.unit=multi-user.target\"\n    }\n    \
                    submenuentry old {\n        options \"ro\"\n    }\n}\nmenuentry Windows {\n    loader \\EFI\\b.efi\n    \
                    options \"x\"\n}\nmenuentry \"Other\" {\n  ostype Linux\n  submenuentry a {\n    add_options \"b\"\n  }\n";
        let lines = stanza_lines(text).unwrap();
        let shown: Vec<(&str, String)> = lines.iter().map(|l| (l.key.as_str(), l.parameters.join(" "))).collect();
        assert_eq!(
            shown,
            [
                ("Arch Linux", "root=/dev/sda3 rw".to_owned()),
                ("Arch Linux/old", "ro".to_owned()),
                ("Other/a", "b".to_owned()),
            ]
        );
    }
}
