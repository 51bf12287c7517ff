// SPDX-License-Identifier: LGPL-2.1-or-later
//! How answers are shown: JSON for programs, tables for people, colour only on a terminal.

use nix::errno::Errno;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use serde::Serialize;
use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::time::Duration;
use vfio_suite::logger::complain;
use vfio_suite::root::Root;
use vfio_suite::text;

/// What our own colours begin and end with.
const COLOURS: [&str; 6] = ["\x1b[1m", "\x1b[2m", "\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[0m"];

/// Columns of a text: our own colours take no room.
fn shown_width(text: &str) -> usize {
    COLOURS.iter().fold(text.to_owned(), |text, code| text.replace(code, "")).chars().count()
}

/// Says that only root sees who holds a card, if that is so.
pub fn warn_of_unseen(root: &Root) {
    if root.is_system() && !nix::unistd::geteuid().is_root() {
        complain("vfio: warning: other users' processes cannot be looked at; run this as root");
    }
}

/// An answer, line by line. What is put in as a line stays one and shows as it is, whatever a name in it tries.
#[derive(Default)]
pub struct Text {
    lines: String,
    colour: bool,
}

impl Text {
    /// A line.
    pub fn line(&mut self, line: impl Display) {
        let line = line.to_string();
        let mut rest = line.as_str();
        while let Some((at, code)) = self.first_colour(rest) {
            self.lines.push_str(&text::line(&rest[..at]));
            self.lines.push_str(code);
            rest = &rest[at + code.len()..];
        }
        self.lines.push_str(&text::line(rest));
        self.lines.push('\n');
    }

    /// Where the next of our own colours is. A name with the same bytes colours its own part of a line, no more.
    fn first_colour(&self, text: &str) -> Option<(usize, &'static str)> {
        let found = COLOURS.iter().filter_map(|code| Some((text.find(code)?, *code)));
        found.min().filter(|_| self.colour)
    }

    /// Several lines: of a file, or of a text that is ours.
    pub fn lines(&mut self, lines: &str) {
        self.lines.push_str(&text::lines(lines));
        if !self.lines.is_empty() && !self.lines.ends_with('\n') {
            self.lines.push('\n');
        }
    }

    /// Each of the lines.
    pub fn each(&self, each: impl FnMut(&str)) {
        self.lines.lines().for_each(each);
    }

    /// The lines of another answer.
    pub fn add(&mut self, other: &Text) {
        self.lines.push_str(&other.lines);
    }

    /// Rows as padded columns; the last column is as long as it is.
    pub fn table(&mut self, rows: &[Vec<String>]) {
        let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
        let rows: Vec<Vec<Cow<'_, str>>> =
            rows.iter().map(|row| row.iter().map(|cell| self.cell(cell)).collect()).collect();
        let width = |column: usize| rows.iter().filter_map(|r| r.get(column)).map(|c| c.chars().count()).max();
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        for row in &rows {
            let mut line = String::from(" ");
            for (cell, width) in row.iter().zip(&widths) {
                line.push(' ');
                line.push_str(cell);
                line.extend(std::iter::repeat_n(' ', width - cell.chars().count() + 1));
            }
            self.line(line.trim_end());
        }
    }

    /// A text in lines that are no wider than the terminal, parted at blanks only: `first` begins the first of them, `next` each
    /// other.
    pub fn wrapped(&mut self, first: &str, next: &str, said: &str, width: usize) {
        let (mut line, mut begin) = (String::new(), first);
        let shown = text::line(said);
        for word in shown.split(' ') {
            let wide = shown_width(begin) + line.chars().count() + 1 + word.chars().count();
            if !line.is_empty() && wide > width {
                self.line(format!("{begin}{line}").trim_end());
                (line, begin) = (String::new(), next);
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        self.line(format!("{begin}{line}").trim_end());
    }

    /// A cell as it is shown: it is as wide as that.
    fn cell<'c>(&self, cell: &'c str) -> Cow<'c, str> {
        match self.first_colour(cell) {
            Some(_) => cell.into(),
            None => text::line(cell),
        }
    }

    /// What is said of something, behind a label, from a column on, in lines that are no wider than the terminal.
    pub fn row(&mut self, indent: usize, label: &str, said: &str, width: usize) {
        let fill = (indent - 2).saturating_sub(shown_width(label));
        self.wrapped(&format!("  {label}{:fill$}", ""), &" ".repeat(indent), said, width);
    }

    /// Steps, one a line, with numbers.
    pub fn numbered<T: Display>(&mut self, steps: &[T]) {
        steps.iter().enumerate().for_each(|(n, step)| self.line(format_args!("  {}. {step}", n + 1)));
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

    /// Whether somebody is there who can be asked.
    pub fn can_ask(&self) -> bool {
        !self.json && self.kept.is_none() && io::stdin().is_terminal() && io::stdout().is_terminal()
    }

    /// Asks a question that is answered with yes or no, and no where nothing is answered. `None` where nobody can be asked.
    pub fn ask(&self, question: &str) -> anyhow::Result<Option<bool>> {
        if !self.can_ask() {
            return Ok(None);
        }
        let answer = self.prompt(&format!("{question} [y/N] "))?.unwrap_or_default();
        Ok(Some(matches!(answer.to_ascii_lowercase().as_str(), "y" | "yes")))
    }

    /// Asks for a line; `None` at the end of all lines.
    pub fn prompt(&self, question: &str) -> anyhow::Result<Option<String>> {
        self.write(text::line(question).as_bytes())?;
        io::stdout().flush()?;
        let mut answer = String::new();
        let read = io::stdin().read_line(&mut answer)?;
        if read == 0 {
            self.line("")?;
        }
        Ok((read > 0).then(|| answer.trim().to_owned()))
    }

    /// Waits so long, or until nobody reads the answer any more: says whether that is so.
    pub fn reader_has_gone(&self, time: Duration) -> anyhow::Result<bool> {
        let output = io::stdout();
        let mut ends = [PollFd::new(output.as_fd(), PollFlags::empty())];
        match poll(&mut ends, PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX)) {
            Ok(_) => {
                let gone = PollFlags::POLLERR | PollFlags::POLLHUP;
                Ok(ends[0].revents().is_some_and(|seen| seen.intersects(gone)))
            }
            Err(Errno::EINTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Prints an answer as JSON, with its schema: documented in docs/JSON.md, and only added to within a version.
    pub fn json<T: Serialize>(&self, schema: &'static str, answer: &T) -> anyhow::Result<()> {
        #[derive(Serialize)]
        struct Envelope<'a, T> {
            schema: &'static str,
            #[serde(flatten)]
            answer: &'a T,
        }
        let mut text = serde_json::to_string(&Envelope { schema, answer })?;
        text.push('\n');
        self.json_text(&text)
    }

    /// Prints JSON.
    pub fn json_text(&self, json: &str) -> anyhow::Result<()> {
        self.write(text::json(json).as_bytes())
    }

    /// For the lines of an answer.
    pub fn lines(&self) -> Text {
        Text { lines: String::new(), colour: self.colour }
    }

    /// Prints an answer. A reader that has gone (`vfio groups | head`) is not an error.
    pub fn text(&self, text: &Text) -> anyhow::Result<()> {
        self.write(text.lines.as_bytes())
    }

    /// Prints one line.
    pub fn line(&self, line: impl Display) -> anyhow::Result<()> {
        let mut text = self.lines();
        text.line(line);
        self.text(&text)
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

    /// What is there and matters less.
    pub fn dim(&self, text: &str) -> String {
        self.paint("2", text)
    }

    /// How wide lines may be: as the terminal is, or as `COLUMNS` says (environ(7)), within reason. What goes into a pipe or a
    /// file is for programs, and has a line each.
    pub fn width(&self) -> usize {
        if self.kept.is_some() {
            // A part of a report: what is masked there must not be parted.
            return usize::MAX;
        }
        let told = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse::<usize>().ok());
        let terminal = || {
            let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
            // One that does not say it, as at the end of a serial line.
            Some(usize::from(size.ws_col)).filter(|columns| *columns > 0).or(Some(80))
        };
        told.or_else(terminal).map_or(usize::MAX, |columns| columns.clamp(60, 120))
    }

    /// What is well.
    pub fn good(&self, text: &str) -> String {
        self.paint("32", text)
    }

    /// What is to be done.
    pub fn open(&self, text: &str) -> String {
        self.paint("33", text)
    }

    /// What is not.
    pub fn bad(&self, text: &str) -> String {
        self.paint("31", text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_forges_no_line_and_no_column() {
        for colour in [false, true] {
            let out = Output { json: false, colour, kept: None };
            let mut text = out.lines();
            text.line(format_args!("{}: a\nb\x1b[2J\u{9b}K", out.bold("[gpu x\ny]")));
            text.table(&[vec!["a\nb".to_owned(), "c".to_owned()], vec!["long\u{202e}".to_owned(), out.good("d")]]);
            let (on, green, off) = if colour { ("\x1b[1m", "\x1b[32m", "\x1b[0m") } else { ("", "", "") };
            let expected = format!(
                "{on}[gpu x\\ny]{off}: a\\nb\\u{{1b}}[2J\\u{{9b}}K\n  a\\nb          c\n  long\\u{{202e}}  {green}d{off}\n"
            );
            assert_eq!(text.lines, expected);
        }
    }
}
