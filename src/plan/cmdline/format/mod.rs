// SPDX-License-Identifier: LGPL-2.1-or-later
//! How command lines stand in boot files: where they are, and how one of them is changed.

mod bls;
mod first_line;
mod grub_cfg;
mod kernelstub;
mod limine;
mod limine_default;
pub(super) mod own_block;
mod own_line;
mod plain;
pub(super) mod read_lines;
mod refind;
mod shell;

pub use limine_default::ALL as LIMINE_ALL;

use super::line::{self, Change};
use crate::host::boot::emergency::is_for_emergencies;
use crate::host::boot::Format;
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
    /// Its parameters as the kernel gets them.
    pub parameters: Vec<String>,
    /// Whether it is there for emergencies: left alone unless asked for.
    pub for_emergencies: bool,
    /// What the file says of the system that it starts.
    pub owner: Owner,
}

/// Whose a boot entry is, as far as its file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Owner {
    /// Nothing is said.
    #[default]
    NotSaid,
    /// The system with this machine-id(5).
    Machine(String),
    /// A snapshot of a system, which keeps the command line that it had.
    Snapshot,
}

impl Line {
    /// A line of which nothing else is known.
    fn new(key: &str, number: usize, span: Range<usize>) -> Line {
        let (parameters, owner) = (Vec::new(), Owner::NotSaid);
        Line { key: key.to_owned(), number, span, parameters, for_emergencies: false, owner }
    }

    /// An entry of a menu, with its title.
    fn of_entry(title: &str, number: usize, span: Range<usize>, parameters: Vec<String>) -> Line {
        let for_emergencies =
            is_for_emergencies(title) || parameters.iter().any(|parameter| EMERGENCIES.contains(&parameter.as_str()));
        Line { parameters, for_emergencies, ..Line::new(title, number, span) }
    }
}

/// Parameters with which a system starts no further than a shell (systemd(1)).
const EMERGENCIES: [&str; 5] =
    ["single", "rescue", "emergency", "systemd.unit=rescue.target", "systemd.unit=emergency.target"];

/// Why a file is left as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1; 0 if it is about the whole file.
    pub line: usize,
    /// What is wrong and what to do, without path and line.
    pub message: String,
}

/// The command lines of a file.
pub fn lines(format: Format, text: &str) -> Result<Vec<Line>, Problem> {
    let mut lines = match format {
        Format::GrubDefault | Format::GrubLinux | Format::SdbootManage | Format::LimineShell | Format::VoidHook => {
            shell::lines(format, text)?
        }
        Format::LimineDefault | Format::LimineDropIn => limine_default::lines(text)?,
        Format::Bls | Format::RpmOstree => bls::lines(text)?,
        Format::RefindLinux => refind::linux_lines(text)?,
        Format::Refind => refind::stanza_lines(text)?,
        Format::Limine => limine::lines(text),
        Format::GrubCfg => return Ok(grub_cfg::lines(text)),
        Format::GrubScript => return Ok(Vec::new()),
        Format::Kernelstub => return kernelstub::lines(text),
        Format::GrubDropIn => shell::lines(Format::GrubDefault, text)?,
        Format::FirstLine => first_line::lines(text)?,
        Format::ReadLines => read_lines::lines(text),
        Format::Plain | Format::DropIn | Format::Addon => plain::lines(text),
    };
    if matches!(format, Format::RefindLinux | Format::Refind | Format::Limine) {
        // One that does not end is none.
        let ours = own_block::ranges(text).unwrap_or_default();
        // Both in the order of the text.
        lines.retain(|line| {
            let next = ours.partition_point(|range| range.end <= line.span.start);
            ours.get(next).is_none_or(|range| line.span.start < range.start)
        });
    }
    // What is put in after it would be a part of it.
    let is_open = |parameter: &String| parameter.matches('"').count() % 2 == 1;
    match lines.iter().find(|line| line.parameters.iter().any(is_open)) {
        Some(line) => Err(Problem {
            line: line.number,
            message: "a quote (\") of the kernel's command line does not end; close it".to_owned(),
        }),
        None => Ok(lines),
    }
}

/// The raw text of a command line ([`Line::span`]) with parameters taken out and put in, still quoted as the file wants it. The
/// rest of it stays.
pub fn edit(format: Format, raw: &str, change: &Change<'_>) -> Result<String, Problem> {
    let tool_managed = |tool: &str| {
        let message = format!("is not changed here, {tool} does that: run 'vfio cmdline apply'");
        Err(Problem { line: 0, message })
    };
    match format {
        Format::GrubDefault | Format::GrubLinux | Format::SdbootManage | Format::LimineShell | Format::VoidHook => {
            shell::edit(format, raw, change)
        }
        Format::LimineDefault => limine_default::edit(raw, change).ok_or_else(by_hand),
        Format::Bls => bls::edit(raw, change),
        Format::RefindLinux | Format::Refind => refind::edit(raw, change).ok_or_else(by_hand),
        Format::Limine => limine::edit(raw, change).ok_or_else(by_hand),
        Format::RpmOstree => tool_managed("rpm-ostree"),
        Format::GrubCfg | Format::GrubScript => tool_managed("grub-mkconfig"),
        Format::Kernelstub => tool_managed("kernelstub"),
        Format::FirstLine => line::edit(raw, change).ok_or_else(by_hand),
        Format::ReadLines => read_lines::edit(raw, change).ok_or_else(by_hand),
        Format::Plain | Format::GrubDropIn | Format::LimineDropIn | Format::DropIn | Format::Addon => {
            plain::edit(raw, change).ok_or_else(by_hand)
        }
    }
}

/// Parameters that cannot be put in or taken out without changing something else.
pub fn by_hand() -> Problem {
    let message = "cannot be changed without changing more than vfio's parameters in it; add or remove them manually";
    Problem { line: 0, message: message.to_owned() }
}

/// The text of a file that is ours alone ([`Format::is_ours_alone`]). Of an addon it is its command line.
pub fn whole(format: Format, parameters: &[String]) -> String {
    let parameters = parameters.join(" ");
    match format {
        // What a shell would take for its own within double quotes.
        Format::GrubDropIn => format!(
            "# Written by vfio from /etc/vfio.conf; \"vfio cmdline revert\" removes it.\n\
             GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT {}\"\n",
            shell::in_double_quotes(&parameters)
        ),
        // The tool puts nothing between what its files add.
        Format::LimineDropIn => format!(
            "# Written by vfio from /etc/vfio.conf; \"vfio cmdline revert\" removes it.\n\
             KERNEL_CMDLINE[{}]+=\" {parameters} \"\n",
            limine_default::ALL
        ),
        _ => format!("{parameters}\n"),
    }
}

/// The parameters in a file that is ours alone; `None` if it is not as we write it.
pub fn our_parameters(format: Format, text: &str) -> Option<Vec<String>> {
    let parameters = match format {
        Format::GrubDropIn | Format::LimineDropIn => lines(format, text).ok()?.pop()?.parameters,
        _ => parameters(text),
    };
    (whole(format, &parameters) == text).then_some(parameters)
}

/// The parameters of a command line that is plain text.
pub(super) fn parameters(text: &str) -> Vec<String> {
    line::parameters(text).into_iter().map(|range| text[range].to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_ours_alone_is_read_as_it_was_written() {
        for parameters in [vec!["iommu=pt"], vec!["a=\"b c\"", "x=$y`z\\", "last"], vec!["\\"]] {
            let parameters: Vec<String> = parameters.into_iter().map(str::to_owned).collect();
            for format in [Format::GrubDropIn, Format::LimineDropIn, Format::DropIn, Format::Addon] {
                let text = whole(format, &parameters);
                assert_eq!(our_parameters(format, &text).as_ref(), Some(&parameters), "{text}");
                assert_eq!(our_parameters(format, &format!("{text}more=1\n")), None);
            }
        }
    }
}
