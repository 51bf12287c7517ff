// SPDX-License-Identifier: LGPL-2.1-or-later
//! How command lines stand in boot files: where they are, and how one of them is changed.

mod own_line;
mod plain;
mod shell;

use super::line::Change;
use crate::host::boot::Grammar;
use std::ops::Range;

/// A command line in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What tells it from the others of the file, the same after an edit by us or elsewhere in the file: a title, a name, a number.
    pub key: String,
    /// The number of its first line, from 1.
    pub number: usize,
    /// Its raw text in the file, quotes included, line end excluded. May be empty.
    pub span: Range<usize>,
    /// Its words as the kernel gets them.
    pub words: Vec<String>,
}

/// Why a file is left as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1; 0 if it is about the whole file.
    pub line: usize,
    /// What is wrong and what to do, without path and line.
    pub message: String,
}

/// The command lines of a file.
pub fn lines(grammar: Grammar, text: &str) -> Result<Vec<Line>, Problem> {
    match grammar {
        Grammar::Plain => Ok(plain::lines(text)),
        Grammar::GrubDefault | Grammar::GrubLinux | Grammar::LimineDefault | Grammar::SdbootManage => {
            shell::lines(grammar, text)
        }
        _ => Err(Problem { line: 0, message: "is not read yet".to_owned() }),
    }
}

/// The raw text of a command line ([`Line::span`]) with words taken out and put in, still quoted as the file wants it. The
/// rest of it stays.
pub fn edit(grammar: Grammar, raw: &str, change: &Change<'_>) -> Result<String, Problem> {
    match grammar {
        Grammar::Plain => Ok(plain::edit(raw, change)),
        Grammar::GrubDefault | Grammar::GrubLinux | Grammar::LimineDefault | Grammar::SdbootManage => {
            shell::edit(grammar, raw, change)
        }
        _ => Err(Problem { line: 0, message: "is not written yet".to_owned() }),
    }
}

/// The text of a file that is ours alone ([`Grammar::is_ours_alone`]). Of an addon it is its command line.
pub fn whole(grammar: Grammar, words: &[String]) -> String {
    let words = words.join(" ");
    match grammar {
        // What a shell would take for its own within double quotes.
        Grammar::GrubDropIn => format!(
            "# Written by vfio from /etc/vfio.conf; \"vfio cmdline revert\" removes it.\n\
             GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT {}\"\n",
            words.chars().fold(String::new(), |mut text, c| {
                if matches!(c, '"' | '\\' | '$' | '`') {
                    text.push('\\');
                }
                text.push(c);
                text
            })
        ),
        _ => format!("{words}\n"),
    }
}

/// The words in a file that is ours alone; `None` if it is not as we write it.
pub fn our_words(grammar: Grammar, text: &str) -> Option<Vec<String>> {
    let words: Vec<String> = match grammar {
        Grammar::GrubDropIn => {
            let begin = text.find("$GRUB_CMDLINE_LINUX_DEFAULT ")? + "$GRUB_CMDLINE_LINUX_DEFAULT ".len();
            let end = text.rfind('"').filter(|end| *end >= begin)?;
            let mut escaped = false;
            let plain: String = text[begin..end]
                .chars()
                .filter(|c| {
                    escaped = *c == '\\' && !escaped;
                    !escaped
                })
                .collect();
            split(&plain)
        }
        _ => split(text),
    };
    (whole(grammar, &words) == text).then_some(words)
}

fn split(text: &str) -> Vec<String> {
    super::line::words(text).into_iter().map(|range| text[range].to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_ours_alone_is_read_as_it_was_written() {
        for words in [vec!["iommu=pt"], vec!["a=\"b c\"", "x=$y`z\\", "last"], vec!["\\"]] {
            let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
            for grammar in [Grammar::GrubDropIn, Grammar::DropIn, Grammar::Addon] {
                let text = whole(grammar, &words);
                assert_eq!(our_words(grammar, &text).as_ref(), Some(&words), "{text}");
                assert_eq!(our_words(grammar, &format!("{text}more=1\n")), None);
            }
        }
    }
}
