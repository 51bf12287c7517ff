// SPDX-License-Identifier: LGPL-2.1-or-later
//! `options` of a boot entry (UAPI Boot Loader Specification, type 1).
//!
//! systemd-boot joins all `options` lines; GRUB takes the first and no other, and reads no further than the first blank line
//! or key without a value (`blsuki.c`, `bls_parse_keyvals`). So parameters go into the first line that there is, never into one
//! of their own beside it. GRUB's variables (`$kernelopts`, `$tuned_params`) are parameters as others are.

use super::super::line::{self, Change};
use super::{own_line, Line, Problem};
use std::ops::Range;

/// A line of an entry.
struct Entry<'t> {
    /// Where it begins.
    start: usize,
    /// Behind its line end.
    end: usize,
    key: &'t str,
    key_end: usize,
    value: Range<usize>,
}

fn entries(text: &str) -> Vec<Entry<'_>> {
    let mut at = 0;
    let entry = |whole: &'_ str| {
        let start = at;
        at += whole.len();
        let line = whole.trim_end_matches(['\n', '\r']);
        let key_start = line.len() - line.trim_start_matches([' ', '\t']).len();
        let key_length = line[key_start..].find([' ', '\t']).unwrap_or(line.len() - key_start);
        let after = &line[key_start + key_length..];
        let value = line.len() - after.trim_start_matches([' ', '\t']).len();
        (start, at, key_start..key_start + key_length, start + value..start + line.len())
    };
    let of = |(start, end, key, value): (usize, usize, Range<usize>, Range<usize>)| Entry {
        start,
        end,
        key: &text[start + key.start..start + key.end],
        key_end: start + key.end,
        value,
    };
    text.split_inclusive('\n').map(entry).map(of).collect()
}

/// The text of all `options`, every other byte a line end: each parameter is where it was.
fn options_alone(text: &str, options: &[&Entry<'_>]) -> String {
    let mut alone = String::with_capacity(text.len());
    for entry in options {
        alone.extend(std::iter::repeat_n('\n', entry.value.start.saturating_sub(alone.len())));
        alone.push_str(&text[entry.value.clone()]);
    }
    alone
}

fn in_quotes(value: &str) -> bool {
    let value = value.trim_matches([' ', '\t']);
    value.len() > 1 && value.starts_with('"') && value.ends_with('"')
}

/// The one command line of an entry; none if it starts no kernel.
pub fn lines(text: &str) -> Result<Vec<Line>, Problem> {
    let entries = entries(text);
    let options: Vec<&Entry<'_>> = entries.iter().filter(|entry| entry.key == "options").collect();
    let alone = options_alone(text, &options);
    let parameters: Vec<String> = line::parameters(&alone).into_iter().map(|range| alone[range].to_owned()).collect();
    let has = |key: &str| entries.iter().any(|entry| entry.key == key && !entry.value.is_empty());
    // An image that firmware starts (`efi`) may be a kernel, or a shell, or another system.
    let is_kernel = has("linux") || has("initrd") || parameters.iter().any(|parameter| parameter.starts_with("root="));
    if !is_kernel {
        return Ok(Vec::new());
    }
    if let Some(entry) = options.iter().find(|entry| in_quotes(&text[entry.value.clone()])) {
        return Err(quoted(own_line::number(text, entry.start)));
    }
    // systemd-boot joins the lines, so that the quote ends in another one; GRUB takes the first alone, where it does not.
    if let Some(entry) = options.iter().find(|entry| text[entry.value.clone()].matches('"').count() % 2 == 1) {
        return Err(Problem {
            line: own_line::number(text, entry.start),
            message: "a quote (\") of the kernel's command line does not end in this line; close it here".to_owned(),
        });
    }
    let (first, last) = match (options.first(), options.last()) {
        (Some(first), Some(last)) => (first.start, own_line::end(text, last.value.end)),
        // After the last line that every loader reads.
        _ => {
            let stop = |entry: &&Entry<'_>| entry.value.is_empty() && !entry.key.starts_with('#');
            let at = entries.iter().find(stop).map_or(text.len(), |entry| entry.start);
            (at, at)
        }
    };
    let span = own_line::begin(text, first)..last;
    Ok(vec![Line::of_entry("", own_line::number(text, first), span, parameters)])
}

fn quoted(line: usize) -> Problem {
    let message = "the options begin and end with a quote, which systemd-boot takes away and other loaders do not; \
                   remove those quotes, or put another word first";
    Problem { line, message: message.to_owned() }
}

/// Changes it.
pub fn edit(raw: &str, change: &Change<'_>) -> Result<String, Problem> {
    let (before, body) = own_line::split(raw);
    let entries = entries(body);
    let options: Vec<&Entry<'_>> = entries.iter().filter(|entry| entry.key == "options").collect();
    let Some(first) = options.first() else {
        let parameters = change.add.join(" ");
        return Ok(if parameters.is_empty() {
            raw.to_owned()
        } else {
            own_line::made(raw, &format!("options {parameters}"))
        });
    };
    let alone = options_alone(body, &options);
    // Both in the order of the text.
    let cuts = line::cuts(&alone, &Change { remove: change.remove, add: &[] }).cut;
    let is_cut = |parameter: &Range<usize>| {
        let next = cuts.partition_point(|cut| cut.end <= parameter.start);
        cuts.get(next).is_some_and(|cut| cut.start < parameter.end)
    };
    let stay: Vec<Range<usize>> = line::parameters(&alone).into_iter().filter(|parameter| !is_cut(parameter)).collect();
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    for entry in &options {
        let within = |ranges: &[Range<usize>]| {
            let from = ranges.partition_point(|range| range.start < entry.value.start);
            from..ranges.partition_point(|range| range.end <= entry.value.end).max(from)
        };
        let is_first = entry.start == first.start;
        let last = stay[within(&stay)].last();
        let cut = &cuts[within(&cuts)];
        let parameters = if is_first { change.add.join(" ") } else { String::new() };
        match last {
            Some(last) if !parameters.is_empty() => edits.push((last.end..last.end, format!(" {parameters}"))),
            None if !parameters.is_empty() => {
                let blank = if entry.value.start == entry.key_end { " " } else { "" };
                edits.push((entry.value.start..entry.value.start, format!("{blank}{parameters}")));
            }
            // A key without a value ends what GRUB reads.
            None if !cut.is_empty() => {
                edits.push((entry.start..entry.end, String::new()));
                continue;
            }
            _ => {}
        }
        edits.extend(cut.iter().map(|cut| (cut.clone(), String::new())));
    }
    let new = format!("{before}{}", line::apply(body, edits).ok_or_else(super::by_hand)?);
    let entries = self::entries(&new);
    match entries.iter().find(|entry| entry.key == "options" && in_quotes(&new[entry.value.clone()])) {
        Some(_) => Err(quoted(1)),
        None => Ok(new),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn changed(text: &str, remove: &[&str], add: &[&str]) -> String {
        let own = |parameters: &[&str]| parameters.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        let line = lines(text).unwrap().remove(0);
        let raw = edit(&text[line.span.clone()], &Change { remove: &own(remove), add: &own(add) }).unwrap();
        format!("{}{raw}{}", &text[..line.span.start], &text[line.span.end..])
    }

    #[test]
    fn words_go_into_the_first_options_line() {
        for (text, with) in [
            ("linux /l\noptions ro quiet\n", "linux /l\noptions ro quiet iommu=pt\n"),
            ("options\tro  \nlinux /l", "options\tro iommu=pt  \nlinux /l"),
            ("linux /l\r\noptions ro\r\n", "linux /l\r\noptions ro iommu=pt\r\n"),
            ("linux /l\noptions ro", "linux /l\noptions ro iommu=pt"),
            ("linux /l\noptions a\n# x\noptions b\n", "linux /l\noptions a iommu=pt\n# x\noptions b\n"),
            ("linux /l\n  options a $tuned_params\n", "linux /l\n  options a $tuned_params iommu=pt\n"),
            ("linux /l\noptions\n", "linux /l\noptions iommu=pt\n"),
            ("linux /l\noptions \n", "linux /l\noptions iommu=pt\n"),
            ("linux /l\n  options\n", "linux /l\n  options iommu=pt\n"),
            // None yet: where GRUB still reads.
            ("linux /l\ninitrd /i\n", "linux /l\ninitrd /i\noptions iommu=pt\n"),
            ("linux /l\r\n", "linux /l\r\noptions iommu=pt\r\n"),
            ("linux /l", "linux /l\noptions iommu=pt\n"),
            ("linux /l\n\n# x\n", "linux /l\noptions iommu=pt\n\n# x\n"),
            ("linux /l\n#\ngrub_users \ngrub_arg x\n", "linux /l\n#\noptions iommu=pt\ngrub_users \ngrub_arg x\n"),
        ] {
            assert_eq!(changed(text, &[], &["iommu=pt"]), with, "{text:?}");
            let line = lines(with).unwrap().remove(0);
            assert!(line.parameters.contains(&"iommu=pt".to_owned()), "{with:?}");
        }
    }

    #[test]
    fn words_go_from_whichever_options_line_has_them() {
        for (text, without) in [
            ("linux /l\noptions a iommu=pt b\n", "linux /l\noptions a b\n"),
            ("linux /l\noptions a\noptions iommu=pt b\n", "linux /l\noptions a\noptions b\n"),
            // No key without a value is left.
            ("linux /l\noptions iommu=pt\ninitrd /i\n", "linux /l\ninitrd /i\n"),
            ("linux /l\noptions a\noptions iommu=pt", "linux /l\noptions a\n"),
        ] {
            assert_eq!(changed(text, &["iommu=pt"], &[]), without, "{text:?}");
        }
        assert_eq!(changed("linux /l\noptions a=b\n", &["a=b"], &["c"]), "linux /l\noptions c\n");
    }

    #[test]
    fn what_is_no_kernel_has_no_command_line() {
        assert_eq!(lines("title Shell\nefi /shellx64.efi\n").unwrap(), []);
        assert_eq!(lines("title Shell\nefi /shellx64.efi\noptions -nostartup\n").unwrap(), []);
        assert_eq!(lines("").unwrap(), []);
        assert_eq!(
            lines("efi /vmlinuz.efi\noptions root=/dev/vda ro\n").unwrap()[0].parameters,
            ["root=/dev/vda", "ro"]
        );
    }

    /// Regression: parameters went between the two halves of a quote, where systemd-boot takes them for a part of it.
    #[test]
    fn a_quote_over_two_options_lines_is_refused() {
        let problem = lines("linux /l\noptions ro a=\"b\noptions c\" d\n").unwrap_err();
        assert_eq!((problem.line, problem.message.contains("does not end in this line")), (2, true));
        assert_eq!(lines("linux /l\noptions ro\noptions a=\"b\noptions c\"\n").unwrap_err().line, 3);
        assert!(lines("linux /l\noptions a=\"b c\"\noptions d=\"e\"\n").is_ok());
    }

    #[test]
    fn quotes_around_all_options_are_refused() {
        let problem = lines("linux /l\noptions \"ro quiet\"\n").unwrap_err();
        assert_eq!(problem.line, 2);
        let add = ["b=\"x y\"".to_owned()];
        assert!(edit("options \"a b\"=c\n", &Change { remove: &[], add: &add }).is_err());
        assert_eq!(lines("linux /l\noptions x \"a b\"\n").unwrap()[0].parameters, ["x", "\"a b\""]);
    }
}
