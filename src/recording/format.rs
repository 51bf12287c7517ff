// SPDX-License-Identifier: LGPL-2.1-or-later
//! The text of a machine: a line for each directory and for what is in it. Who reads one may have it from a stranger: nothing
//! in it leads out of its root, and what it may take is limited.

use super::{Node, Nodes, BEGIN, END};
use std::fmt::Write as _;

/// No text is longer, in bytes.
pub const TEXT_LIMIT: usize = 32 << 20;
/// No text has more files, links and directories.
const NODES: usize = 100_000;
/// What is in all files of a text together is not more, in bytes.
const CONTENT_LIMIT: usize = 64 << 20;
/// No path is longer, and no name in one (PATH_MAX and NAME_MAX, `include/uapi/linux/limits.h`).
const PATH_LIMIT: usize = 4095;
const NAME_LIMIT: usize = 255;
/// So many zeros in a row are written as their number.
const RUN: usize = 8;

/// What is wrong with a text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// A line cannot be understood.
    #[error("line {line}: {what}")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The last line is not there.
    #[error("it is cut off: '{END}' is not in it")]
    CutOff,
    /// There is no recording in it.
    #[error("it is not a recording: neither a report of 'vfio report' nor the text of a machine")]
    NotOne,
    /// It is longer than any.
    #[error("it is larger than {} MiB", TEXT_LIMIT >> 20)]
    TooLong,
}

/// The text of a tree.
pub fn render(nodes: &Nodes) -> String {
    let mut text = String::new();
    let mut current = None;
    for (path, node) in nodes {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        if *node == Node::Directory {
            push_line(&mut text, format_args!("/{}/", escape(path.as_bytes(), false)));
            current = Some(path.as_str());
            continue;
        }
        if current != Some(directory) {
            push_line(&mut text, format_args!("/{}", escape(directory.as_bytes(), false)));
            current = Some(directory);
        }
        let name = escape(name.as_bytes(), true);
        match node {
            Node::File(mode, content) => {
                push_line(&mut text, format_args!(" {name} {mode:03o} {}", escape(content, false)));
            }
            Node::Link(target) => push_line(&mut text, format_args!(" {name} -> {}", escape(target.as_bytes(), false))),
            Node::Directory => {}
        }
    }
    text
}

fn push_line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // A String takes everything.
    let _ = writeln!(text, "{line}");
}

/// Bytes as printable characters of ASCII; of a name blanks too.
fn escape(content: &[u8], is_name: bool) -> String {
    let mut text = String::with_capacity(content.len());
    let mut rest = content;
    while let [byte, more @ ..] = rest {
        let zeros = rest.iter().take_while(|byte| **byte == 0).count();
        if zeros >= RUN {
            let _ = write!(text, "\\0{{{zeros}}}");
            rest = &rest[zeros..];
            continue;
        }
        match byte {
            b'\n' => text.push_str("\\n"),
            b'\t' => text.push_str("\\t"),
            b'\\' => text.push_str("\\\\"),
            b' ' if is_name => text.push_str("\\x20"),
            b' '..=b'~' => text.push(char::from(*byte)),
            other => drop(write!(text, "\\x{other:02x}")),
        }
        rest = more;
    }
    text
}

/// What [`escape`] wrote; not more than `most` bytes.
fn unescape(text: &str, most: usize) -> Result<Vec<u8>, &'static str> {
    const WRONG: &str = "a '\\' is not followed by what may follow one";
    let mut content = Vec::with_capacity(text.len().min(most));
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        content.extend_from_slice(&rest.as_bytes()[..at]);
        let (what, behind) = rest[at + 1..].split_at_checked(1).ok_or(WRONG)?;
        rest = behind;
        match what {
            "n" => content.push(b'\n'),
            "t" => content.push(b'\t'),
            "\\" => content.push(b'\\'),
            "x" => {
                let (digits, behind) = rest.split_at_checked(2).ok_or(WRONG)?;
                content.push(u8::from_str_radix(digits, 16).map_err(|_| WRONG)?);
                rest = behind;
            }
            "0" => {
                let (number, behind) = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')).ok_or(WRONG)?;
                let zeros: usize = number.parse().map_err(|_| WRONG)?;
                if zeros > most.saturating_sub(content.len()) {
                    return Err("the files in it are too large");
                }
                content.resize(content.len() + zeros, 0);
                rest = behind;
            }
            _ => return Err(WRONG),
        }
    }
    content.extend_from_slice(rest.as_bytes());
    if content.len() > most {
        return Err("the files in it are too large");
    }
    Ok(content)
}

/// A name or a path, as text.
fn unescape_text(text: &str) -> Result<String, &'static str> {
    let bytes = unescape(text, PATH_LIMIT)?;
    String::from_utf8(bytes).map_err(|_| "a path is not UTF-8")
}

/// Whether a path stays below its root and is one that a kernel has: no empty part, none that means another directory.
fn is_path(path: &str) -> bool {
    let is_name = |name: &str| !matches!(name, "" | "." | "..") && name.len() <= NAME_LIMIT && !name.contains('\0');
    path.len() <= PATH_LIMIT && path.split('/').all(is_name)
}

/// The lines of a machine in a text, numbered from 1: all of them, or of a report those of its recording.
fn lines(text: &str) -> Result<Vec<(usize, &str)>, ParseError> {
    let mut all = text.lines().enumerate().map(|(number, line)| (number + 1, line));
    if !text.lines().any(|line| line == BEGIN) {
        let is_machine = |line: &str| line.is_empty() || line.starts_with(['#', '/']);
        let first = text.lines().find(|line| !line.starts_with('#') && !line.is_empty());
        return match first {
            Some(first) if is_machine(first) => Ok(all.collect()),
            _ => Err(ParseError::NotOne),
        };
    }
    all.by_ref().find(|(_, line)| *line == BEGIN);
    let mut inside = Vec::new();
    for (number, line) in all {
        if line == END {
            return Ok(inside);
        }
        inside.push((number, line));
    }
    Err(ParseError::CutOff)
}

/// The tree of a text, of the text of a machine or of a report.
///
/// # Errors
/// What is wrong with it, with the number of its line.
pub fn parse(text: &str) -> Result<Nodes, ParseError> {
    if text.len() > TEXT_LIMIT {
        return Err(ParseError::TooLong);
    }
    let mut nodes = Nodes::new();
    let (mut directory, mut left) = (String::new(), CONTENT_LIMIT);
    for (number, line) in lines(text)? {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |what| ParseError::Line { line: number, what };
        if nodes.len() > NODES {
            return Err(wrong("there are more than 100000 files"));
        }
        let (path, node) = if let Some(path) = line.strip_prefix('/') {
            directory = unescape_text(path.strip_suffix('/').unwrap_or(path)).map_err(wrong)?;
            if !directory.is_empty() && !is_path(&directory) {
                return Err(wrong("this cannot be a path"));
            }
            if !path.ends_with('/') || directory.is_empty() {
                continue;
            }
            (directory.clone(), Node::Directory)
        } else {
            entry(line, &directory, left).map_err(wrong)?
        };
        if let Node::File(_, content) = &node {
            left -= content.len();
        }
        if !is_path(&path) {
            return Err(wrong("this cannot be a path"));
        }
        // A directory may be named, and have entries of its own.
        match nodes.insert(path, node) {
            None | Some(Node::Directory) => {}
            Some(_) => return Err(wrong("this is there twice")),
        }
    }
    is_tree(&nodes)?;
    Ok(nodes)
}

/// A file or a link in a directory.
fn entry(line: &str, directory: &str, left: usize) -> Result<(String, Node), &'static str> {
    let (name, rest) = line
        .strip_prefix(' ')
        .and_then(|line| line.split_once(' '))
        .ok_or("this is neither a directory nor an entry of one")?;
    let name = unescape_text(name)?;
    if name.contains('/') {
        return Err("this cannot be a name");
    }
    let path = if directory.is_empty() { name } else { format!("{directory}/{name}") };
    let (kind, content) = rest.split_once(' ').ok_or("there is no content")?;
    if kind == "->" {
        let target = unescape_text(content)?;
        return if target.is_empty() || target.contains('\0') {
            Err("this cannot be what a link says")
        } else {
            Ok((path, Node::Link(target)))
        };
    }
    let mode = u32::from_str_radix(kind, 8).ok().filter(|mode| *mode <= 0o777).ok_or("these are no permissions")?;
    Ok((path, Node::File(mode, unescape(content, left)?)))
}

/// Whether nothing is below a file or a link.
fn is_tree(nodes: &Nodes) -> Result<(), ParseError> {
    for path in nodes.keys() {
        let mut above = path.as_str();
        while let Some((directory, _)) = above.rsplit_once('/') {
            if matches!(nodes.get(directory), Some(Node::File(..) | Node::Link(_))) {
                return Err(ParseError::Line { line: 0, what: "something lies below a file or a link" });
            }
            above = directory;
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "format_tests.rs"]
mod tests;
