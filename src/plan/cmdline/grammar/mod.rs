// SPDX-License-Identifier: LGPL-2.1-or-later
//! How command lines stand in boot files: where they are, and how one of them is changed.

mod bls;
mod grub_cfg;
mod kernelstub;
mod limine;
mod own_line;
mod plain;
mod refind;
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
    let lines = match grammar {
        Grammar::GrubDefault | Grammar::GrubLinux | Grammar::LimineDefault | Grammar::SdbootManage => {
            shell::lines(grammar, text)?
        }
        Grammar::Bls | Grammar::RpmOstree => bls::lines(text)?,
        Grammar::RefindLinux => refind::linux_lines(text)?,
        Grammar::Refind => refind::stanza_lines(text)?,
        Grammar::Limine => limine::lines(text),
        Grammar::GrubCfg => return Ok(grub_cfg::lines(text)),
        Grammar::Kernelstub => return kernelstub::lines(text),
        Grammar::GrubDropIn => shell::lines(Grammar::GrubDefault, text)?,
        Grammar::Plain | Grammar::DropIn | Grammar::Addon => plain::lines(text),
    };
    // What is put in after it would be a part of it.
    let is_open = |word: &String| word.matches('"').count() % 2 == 1;
    match lines.iter().find(|line| line.words.iter().any(is_open)) {
        Some(line) => Err(Problem {
            line: line.number,
            message: "a quote (\") of the kernel's command line does not end; close it".to_owned(),
        }),
        None => Ok(lines),
    }
}

/// The raw text of a command line ([`Line::span`]) with words taken out and put in, still quoted as the file wants it. The
/// rest of it stays.
pub fn edit(grammar: Grammar, raw: &str, change: &Change<'_>) -> Result<String, Problem> {
    let by_tool = |tool: &str| {
        let message = format!("is not changed here, {tool} does that: run 'vfio cmdline apply'");
        Err(Problem { line: 0, message })
    };
    match grammar {
        Grammar::GrubDefault | Grammar::GrubLinux | Grammar::LimineDefault | Grammar::SdbootManage => {
            shell::edit(grammar, raw, change)
        }
        Grammar::Bls => bls::edit(raw, change),
        Grammar::RefindLinux | Grammar::Refind => refind::edit(raw, change).ok_or_else(by_hand),
        Grammar::Limine => limine::edit(raw, change).ok_or_else(by_hand),
        Grammar::RpmOstree => by_tool("rpm-ostree"),
        Grammar::GrubCfg => by_tool("grub-mkconfig"),
        Grammar::Kernelstub => by_tool("kernelstub"),
        Grammar::Plain | Grammar::GrubDropIn | Grammar::DropIn | Grammar::Addon => {
            plain::edit(raw, change).ok_or_else(by_hand)
        }
    }
}

/// Words that cannot be put in or taken out without changing something else.
pub fn by_hand() -> Problem {
    let message = "cannot be changed without changing more than our words in it; put them in or take them out by hand";
    Problem { line: 0, message: message.to_owned() }
}

/// The text of a file that is ours alone ([`Grammar::is_ours_alone`]). Of an addon it is its command line.
pub fn whole(grammar: Grammar, words: &[String]) -> String {
    let words = words.join(" ");
    match grammar {
        // What a shell would take for its own within double quotes.
        Grammar::GrubDropIn => format!(
            "# Written by vfio from /etc/vfio.conf; \"vfio cmdline revert\" removes it.\n\
             GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT {}\"\n",
            shell::in_double_quotes(&words)
        ),
        _ => format!("{words}\n"),
    }
}

/// The words in a file that is ours alone; `None` if it is not as we write it.
pub fn our_words(grammar: Grammar, text: &str) -> Option<Vec<String>> {
    let words = match grammar {
        Grammar::GrubDropIn => lines(grammar, text).ok()?.pop()?.words,
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
