// SPDX-License-Identifier: LGPL-2.1-or-later
//! How answers are shown: JSON for programs, tables for people, colour only on a terminal.

use serde::Serialize;
use std::cell::RefCell;
use std::io::{self, IsTerminal, Write};
use vfio_suite::root::Root;

/// Says that only root sees who holds a card, if that is so.
pub fn warn_of_unseen(root: &Root) {
    if root.is_system() && !rustix::process::geteuid().is_root() {
        vfio_suite::tell!("vfio: warning: other users' processes cannot be looked at; run this as root");
    }
}

/// Where and how answers go.
pub struct Output {
    json: bool,
    colour: bool,
    /// What was written, instead of standard output.
    kept: Option<RefCell<Vec<u8>>>,
}

impl Output {
    /// As the arguments and the terminal want it (`NO_COLOR` is respected, <https://no-color.org>).
    pub fn new(json: bool) -> Output {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty())
            || std::env::var_os("TERM").is_some_and(|t| t == "dumb");
        Output { json, colour: !plain && !json && io::stdout().is_terminal(), kept: None }
    }

    /// Text that is kept: a part of another answer.
    pub fn kept() -> Output {
        Output { json: false, colour: false, kept: Some(RefCell::default()) }
    }

    /// What was kept.
    pub fn into_text(self) -> String {
        String::from_utf8_lossy(&self.kept.unwrap_or_default().into_inner()).into_owned()
    }

    /// Whether JSON is wanted.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Prints an answer as JSON, with its schema: documented in docs/JSON.md, and only added to within a version.
    pub fn json<T: Serialize>(&self, schema: &'static str, answer: &T) -> anyhow::Result<()> {
        #[derive(Serialize)]
        struct Envelope<'a, T> {
            schema: &'static str,
            #[serde(flatten)]
            answer: &'a T,
        }
        let mut text = serde_json::to_vec(&Envelope { schema, answer })?;
        text.push(b'\n');
        self.write(&text)
    }

    /// Prints text. A reader that has gone (`vfio groups | head`) is no error.
    pub fn text(&self, text: &str) -> anyhow::Result<()> {
        self.write(text.as_bytes())
    }

    fn write(&self, bytes: &[u8]) -> anyhow::Result<()> {
        if let Some(kept) = &self.kept {
            kept.borrow_mut().extend_from_slice(bytes);
            return Ok(());
        }
        match io::stdout().write_all(bytes) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => Ok(other?),
        }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    /// A heading.
    pub fn bold(&self, text: &str) -> String {
        self.paint("1", text)
    }

    /// What is well.
    pub fn good(&self, text: &str) -> String {
        self.paint("32", text)
    }

    /// What is not.
    pub fn bad(&self, text: &str) -> String {
        self.paint("31", text)
    }
}

/// Rows as padded columns; the last column is as long as it is.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|r| r.get(column)).map(|c| c.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::from(" ");
        for (cell, width) in row.iter().zip(&widths) {
            line.push(' ');
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width - cell.chars().count() + 1));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Steps, one a line, with numbers.
pub fn numbered<T: std::fmt::Display>(steps: &[T]) -> String {
    steps.iter().enumerate().map(|(n, step)| format!("  {}. {step}\n", n + 1)).collect()
}
