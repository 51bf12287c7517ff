// SPDX-License-Identifier: LGPL-2.1-or-later
//! What the variables of a shell script are set to when it has run, and where each character comes from.

use super::super::Problem;
use super::lex::{commands, name_length, problem, Command, Mode, Piece, Word};
use std::collections::BTreeMap;
use std::ops::Range;

/// No command line is as long as this; what refers to itself again and again would be.
const LONGEST: usize = 65_536;

/// A character of a value.
#[derive(Debug, Clone)]
pub struct Cell {
    /// The character.
    pub c: char,
    /// The raw text that stands for it: itself, or the variable that it comes from.
    pub raw: Range<usize>,
    /// How that is quoted.
    pub mode: Mode,
    /// Whether it stands in an assignment of this variable, so that it can be taken out there.
    pub own: bool,
}

/// The value of a variable, made by one assignment or by several that add to each other.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The value.
    pub cells: Vec<Cell>,
    /// From the first assignment that has a part in it to the end of the last.
    pub span: Range<usize>,
    /// The value of the last.
    pub last: Range<usize>,
    /// Whether the last adds to what was before.
    pub appends: bool,
    /// Where a variable that the last one refers to ends, and how that is quoted; of the last such.
    pub refers: Option<(usize, Mode)>,
}

impl Known {
    /// The value as a text.
    pub fn text(&self) -> String {
        self.cells.iter().map(|cell| cell.c).collect()
    }
}

/// A value, or why it is not known.
pub type Value = Result<Known, Problem>;

/// What stands for a variable of which a part of a script does not say what it is.
pub const ELSEWHERE: char = '\u{fffc}';

/// The variables of a script. A part of one (`part`) may refer to what the rest of it sets; the whole may not.
pub fn variables(text: &str, part: bool) -> Result<BTreeMap<String, Value>, Problem> {
    let mut reader = Reader { text, part, variables: BTreeMap::new() };
    for command in commands(text)? {
        reader.run(&command);
        for range in command.sets {
            reader.changed(range.start, &text[range.clone()]);
        }
    }
    Ok(reader.variables)
}

/// An assignment as a word.
struct Assignment {
    /// The name; of a list's element `name[element]`.
    name: String,
    /// Whether it adds to what is there.
    append: bool,
    /// Where its value begins.
    value: usize,
}

struct Reader<'t> {
    text: &'t str,
    part: bool,
    variables: BTreeMap<String, Value>,
}

impl Reader<'_> {
    fn assignment(&self, word: &Word) -> Option<Assignment> {
        let raw = &self.text[word.raw.clone()];
        let length = name_length(raw);
        let (name, mut rest) = raw.split_at(length);
        if name.is_empty() {
            return None;
        }
        let mut name = name.to_owned();
        if let Some(inside) = rest.strip_prefix('[') {
            let (element, after) = inside.split_once(']')?;
            let element: String = element.chars().filter(|c| !matches!(c, '"' | '\'' | '\\')).collect();
            name = format!("{name}[{element}]");
            rest = after;
        }
        let append = rest.starts_with("+=");
        let rest = rest.strip_prefix("+=").or_else(|| rest.strip_prefix('='))?;
        Some(Assignment { name, append, value: word.raw.end - rest.len() })
    }

    fn run(&mut self, command: &Command) {
        let words = &command.words;
        let assignments: Vec<Option<Assignment>> = words.iter().map(|word| self.assignment(word)).collect();
        let first = words.first().and_then(Word::literal).unwrap_or_default();
        let sets = matches!(first.as_str(), "export" | "readonly" | "declare" | "typeset" | "local");
        if sets || assignments.iter().all(Option::is_some) {
            let mut later = Vec::new();
            for (word, assignment) in words.iter().zip(&assignments).filter_map(|(w, a)| Some((w, a.as_ref()?))) {
                let value = match command.depends {
                    true => Err(self.problem(
                        word,
                        "is set only in some cases here, or inside a function; set it once more after that, \
                         outside of any block",
                    )),
                    // Some shells part it at blanks here.
                    false if sets && word.pieces.iter().any(|(_, p)| matches!(p, Piece::Name(_, _, Mode::Bare))) => {
                        Err(self
                            .problem(word, "has a variable without quotes behind a command; put the value in quotes"))
                    }
                    false => self.assigned(word, assignment),
                };
                // Its words are expanded before any of them is assigned.
                match sets {
                    true => later.push((assignment.name.clone(), value)),
                    false => drop(self.variables.insert(assignment.name.clone(), value)),
                }
            }
            self.variables.extend(later);
            return;
        }
        // Before a command: for that command only, and the rest of a value that was not quoted is that command.
        for (word, assignment) in words.iter().zip(&assignments).filter_map(|(w, a)| Some((w, a.as_ref()?))) {
            let value = match assignment.value == word.raw.end {
                true => "has a blank after the '=', so that it is not set at all; remove the blank",
                false => "has a blank in a value without quotes, so that it is not set at all; put the value in quotes",
            };
            self.variables.insert(assignment.name.clone(), Err(self.problem(word, value)));
        }
        let changes = ["unset", "read", "for", "select", "getopts", "mapfile", "readarray", "printf", "eval", "let"];
        if changes.contains(&first.as_str()) {
            for word in &words[1..] {
                match word.literal() {
                    Some(name) if first != "eval" && name_length(&name) < name.len() => {}
                    _ => self.changed(word.raw.start, &self.text[word.raw.clone()]),
                }
            }
        }
    }

    /// Whatever is named here is given a value by a command.
    fn changed(&mut self, at: usize, raw: &str) {
        for name in raw.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|name| name_length(name) > 0) {
            let problem = problem(self.text, at, "is changed by a command here; set it once more after that");
            self.variables.insert(name.to_owned(), Err(problem));
        }
    }

    fn problem(&self, word: &Word, message: &str) -> Problem {
        problem(self.text, word.raw.start, message)
    }

    fn assigned(&self, word: &Word, assignment: &Assignment) -> Value {
        let name = &assignment.name;
        let had = self.variables.get(name).cloned();
        let mut known = match (assignment.append, had.clone()) {
            (true, Some(value)) => value?,
            _ => Known { span: word.raw.clone(), ..Known::default() },
        };
        known.appends = assignment.append;
        (known.span.end, known.last, known.refers) = (word.raw.end, assignment.value..word.raw.end, None);
        let mut itself = assignment.append;
        for (_, piece) in word.pieces.iter().filter(|(at, _)| *at >= assignment.value) {
            match piece {
                Piece::Char(c, raw, mode) => {
                    known.cells.push(Cell { c: *c, raw: raw.clone(), mode: *mode, own: true });
                }
                Piece::Unknown(what) => {
                    let message = format!("has {what} in its value; write out what it stands for");
                    return Err(self.problem(word, &message));
                }
                Piece::Name(other, raw, mode) => {
                    known.refers = Some((raw.end, *mode));
                    let value = match other == name {
                        true => had.clone().map(Ok),
                        false => self.variables.get(other).cloned().map(Err),
                    };
                    match value {
                        Some(Ok(before)) => {
                            let before = before?;
                            if std::mem::replace(&mut itself, true) {
                                return Err(self.problem(word, "refers to itself twice; write its words once"));
                            }
                            known.span.start = known.span.start.min(before.span.start);
                            known.cells.extend(before.cells);
                        }
                        Some(Err(other_value)) => {
                            let of = |cell: Cell| Cell { raw: raw.clone(), mode: *mode, own: false, ..cell };
                            known
                                .cells
                                .extend(other_value.map_err(|_| self.refers(word, other))?.cells.into_iter().map(of));
                        }
                        // What a part does not set, the rest does.
                        None if self.part => {
                            known.cells.push(Cell { c: ELSEWHERE, raw: raw.clone(), mode: *mode, own: false });
                        }
                        None if other == name => {}
                        None => return Err(self.refers(word, other)),
                    }
                }
            }
            if known.cells.len() > LONGEST {
                return Err(self.problem(word, "is longer than any command line; shorten it"));
            }
        }
        Ok(known)
    }

    fn refers(&self, word: &Word, other: &str) -> Problem {
        let message = format!("refers to ${other}, and what that is cannot be told; write out what it stands for");
        self.problem(word, &message)
    }
}
