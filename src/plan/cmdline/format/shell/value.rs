// SPDX-License-Identifier: LGPL-2.1-or-later
//! What the variables of a shell script are set to when it has run, and where each character comes from.

use super::super::own_line::Numbers;
use super::super::Problem;
use super::lex::{commands, name_length, Command, Mode, Piece, Word};
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

/// So many characters all values of a script may have together, each counted with every assignment that takes it over.
const MOST: usize = 1 << 18;

/// What stands for a variable of which a part of a script does not say what it is.
pub const ELSEWHERE: char = '\u{fffc}';

/// The variables of a script. A part of one (`part`) may refer to what the rest of it sets; the whole may not.
pub fn variables(text: &str, part: bool) -> Result<Variables, Problem> {
    let mut reader = Reader {
        text,
        part,
        numbers: Numbers::of(text),
        variables: BTreeMap::new(),
        declared: BTreeMap::new(),
        moment: 0,
        others: None,
        cells: 0,
    };
    for command in commands(text)? {
        reader.run(&command)?;
        for range in command.sets {
            reader.changed(range.start, &text[range.clone()]);
            // What another variable names.
            if text[range.clone()].starts_with("${!") {
                reader.anything_is_changed(range.start, "may be set here, by a variable that names another one");
            }
        }
    }
    let names: Vec<String> = reader.variables.keys().cloned().collect();
    let mut known: BTreeMap<String, Value> = BTreeMap::new();
    for name in names {
        known.extend(reader.taken(&name).map(|value| (name, value)));
    }
    known.extend(reader.declared.into_iter().map(|(name, problem)| (name, Err(problem))));
    Ok(Variables { known, others: reader.others.map(|(_, problem)| problem) })
}

/// What the variables of a script are set to.
pub struct Variables {
    /// Those that the script names.
    pub known: BTreeMap<String, Value>,
    /// Why it may set others too, if so.
    pub others: Option<Problem>,
}

/// Whatever comes after these may not be read, or is read otherwise.
const ENDS: [&str; 13] = [
    "return", "exit", "exec", "break", "continue", "eval", "set", "shopt", "alias", "unalias", "trap", "enable",
    "coproc",
];

/// These say how a variable takes values, and not in every shell.
const DECLARES: [&str; 5] = ["readonly", "declare", "typeset", "local", "nameref"];

/// These give values to variables that are named by their words.
const BY_NAME: [&str; 9] = ["unset", "read", "getopts", "mapfile", "readarray", "let", "wait", "command", "builtin"];

/// These change no variable, whatever their words are.
const HARMLESS: [&str; 7] = [":", "true", "false", "echo", "test", "[", "cat"];

/// Shells set these by themselves.
const SPECIAL: [&str; 23] = [
    "_",
    "RANDOM",
    "SRANDOM",
    "SECONDS",
    "LINENO",
    "EPOCHSECONDS",
    "EPOCHREALTIME",
    "UID",
    "EUID",
    "PPID",
    "GROUPS",
    "PWD",
    "OLDPWD",
    "REPLY",
    "MAPFILE",
    "COPROC",
    "OPTARG",
    "OPTIND",
    "DIRSTACK",
    "FUNCNAME",
    "PIPESTATUS",
    "SHELLOPTS",
    "HISTCMD",
];

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
    numbers: Numbers,
    /// The variables, each with the time at which it was set.
    variables: BTreeMap<String, (usize, Value)>,
    /// Those that are declared in a way that counts for all of the script.
    declared: BTreeMap<String, Problem>,
    /// How often something was set so far.
    moment: usize,
    /// Why every variable may have been set, and when that was last.
    others: Option<(usize, Problem)>,
    /// How many characters all values together had so far.
    cells: usize,
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

    fn run(&mut self, command: &Command) -> Result<(), Problem> {
        let words = &command.words;
        let assignments: Vec<Option<Assignment>> = words.iter().map(|word| self.assignment(word)).collect();
        let all_set = assignments.iter().all(Option::is_some);
        let first = words.first().and_then(Word::literal).unwrap_or_default();
        let program = self.program(words);
        if let Some(word) = program.first().filter(|_| !all_set) {
            self.check(command, word, program)?;
        }
        let name = program.first().and_then(Word::literal).unwrap_or_default();
        let exports = first == "export" && !words[1..].iter().any(|word| self.text[word.raw.clone()].starts_with('-'));
        if exports || all_set {
            let mut later = Vec::new();
            for (word, assignment) in words.iter().zip(&assignments).filter_map(|(w, a)| Some((w, a.as_ref()?))) {
                let value = match command.depends {
                    true => Err(self.problem(
                        word,
                        "is set only in some cases here, or inside a function; set it once more after that, \
                         outside of any block",
                    )),
                    // Some shells part it at blanks here.
                    false if exports && word.pieces.iter().any(|(_, p)| matches!(p, Piece::Name(_, _, Mode::Bare))) => {
                        Err(self
                            .problem(word, "has a variable without quotes behind a command; put the value in quotes"))
                    }
                    // And look for files, or make several words of it.
                    false if exports && self.has_pattern(word) => {
                        Err(self.problem(word, "has a pattern behind a command; put the value in quotes"))
                    }
                    false => {
                        // Words behind "export" are all expanded before any is assigned.
                        let had = if exports { self.get(&assignment.name) } else { self.taken(&assignment.name) };
                        self.assigned(word, assignment, had)
                    }
                };
                // A call sets it again.
                if let (true, Err(problem)) = (command.in_function, &value) {
                    self.declared.insert(assignment.name.clone(), problem.clone());
                }
                // Its words are expanded before any of them is assigned.
                if exports {
                    later.push((assignment.name.clone(), value));
                } else {
                    self.set(assignment.name.clone(), value);
                }
            }
            later.into_iter().for_each(|(name, value)| self.set(name, value));
            return Ok(());
        }
        // Before a command: for that command only, and the rest of a value that was not quoted is that command.
        let before = words.iter().zip(&assignments).map_while(|(word, assignment)| Some((word, assignment.as_ref()?)));
        for (word, assignment) in before {
            let value = if assignment.value == word.raw.end {
                "has a blank after the '=', so that it is not set at all; remove the blank"
            } else {
                "has a blank in a value without quotes, so that it is not set at all; put the value in quotes"
            };
            self.set(assignment.name.clone(), Err(self.problem(word, value)));
        }
        if HARMLESS.contains(&name.as_str()) {
            return Ok(());
        }
        // Programs cannot change variables, but who can tell that it is one?
        for word in words.iter().skip(assignments.iter().take_while(|assignment| assignment.is_some()).count()) {
            let text: String =
                word.pieces.iter().map(|(_, piece)| if let Piece::Char(c, ..) = piece { *c } else { ' ' }).collect();
            self.changed(word.raw.start, &text);
            if DECLARES.contains(&name.as_str()) {
                for name in names(&text) {
                    let message = "is declared by a command here, which shells take differently; set it without that";
                    self.declared.insert(name.to_owned(), self.problem(word, message));
                }
            }
        }
        let computed = words.iter().any(|word| word.literal().is_none());
        let names = BY_NAME.contains(&name.as_str())
            || name == "printf" && words.iter().any(|w| self.text[w.raw.clone()].starts_with("-v"));
        if matches!(name.as_str(), "." | "source") {
            self.anything_is_changed(words[0].raw.start, "may be set by another file that is read here");
        } else if names && computed {
            self.anything_is_changed(words[0].raw.start, "may be set here, by a command that is told its name");
        }
        Ok(())
    }

    /// The words of a command from its program on: without assignments for it alone, and without what only says how it is
    /// looked for or that its time is taken.
    fn program<'w>(&self, words: &'w [Word]) -> &'w [Word] {
        let assigned = words.iter().take_while(|word| self.assignment(word).is_some()).count();
        let mut rest = &words[assigned..];
        while let [word, after @ ..] = rest {
            match word.literal().as_deref() {
                Some("command" | "builtin" | "time" | "-p" | "--") if !after.is_empty() => rest = after,
                _ => break,
            }
        }
        rest
    }

    /// Whether what comes after a command can be told.
    fn check(&self, command: &Command, word: &Word, program: &[Word]) -> Result<(), Problem> {
        let first = &*word.literal().unwrap_or_default();
        let in_place = match first {
            "return" => command.in_function,
            "break" | "continue" => command.in_loop,
            "set" => {
                program[1..].iter().all(|word| matches!(word.literal().as_deref(), Some("-a" | "+a" | "-x" | "+x")))
            }
            _ => false,
        };
        if ENDS.contains(&first) && !in_place {
            let message =
                format!("'{first}' is here, and whether and how what comes after it is read cannot be told; remove it");
            return Err(self.problem(word, &message));
        }
        // `$X` may be any of these.
        if word.literal().is_none()
            && self.assignment(word).is_none()
            && !word.pieces.iter().any(|(_, p)| matches!(p, Piece::Unknown("a list in brackets")))
        {
            return Err(
                self.problem(word, "a command that is computed is here, and what it does cannot be told; write it out")
            );
        }
        // Whose name is given by another variable.
        if DECLARES.contains(&first) {
            let is_option = |text: &str| text.starts_with('-') && text.contains('n');
            let computed = command.words.iter().any(|word| word.literal().is_none());
            if command.words.iter().any(|word| is_option(&self.text[word.raw.clone()])) && computed {
                return Err(self.problem(word, "a variable that stands for another one is declared here; write it out"));
            }
        }
        Ok(())
    }

    /// Whether a word has a part outside quotes that stands for several words or for files.
    fn has_pattern(&self, word: &Word) -> bool {
        // With a backslash it is two bytes.
        let is_one = |piece: &Piece| match piece {
            Piece::Char(c, raw, Mode::Bare) => raw.len() == 1 && matches!(c, '{' | '*' | '?' | '['),
            _ => false,
        };
        word.pieces.iter().any(|(_, piece)| is_one(piece))
    }

    /// Something was run that may have set every variable.
    fn anything_is_changed(&mut self, at: usize, what: &str) {
        let message = format!("{what}; set it once more after that");
        let problem = Problem { line: self.number(at), message };
        self.moment += 1;
        self.others = Some((self.moment, problem));
    }

    fn set(&mut self, name: String, value: Value) {
        self.moment += 1;
        self.variables.insert(name, (self.moment, value));
    }

    /// Why a variable that was set at a time is not known any more, if so.
    fn changed_since(&self, moment: usize) -> Option<&Problem> {
        self.others.as_ref().filter(|(others, _)| *others > moment).map(|(_, problem)| problem)
    }

    /// The value of a variable.
    fn get(&self, name: &str) -> Option<Value> {
        let (moment, value) = self.variables.get(name)?;
        Some(self.changed_since(*moment).cloned().map_or_else(|| value.clone(), Err))
    }

    /// The same, where it is not read before it is set again.
    fn taken(&mut self, name: &str) -> Option<Value> {
        let (moment, value) = self.variables.remove(name)?;
        Some(self.changed_since(moment).cloned().map_or(value, Err))
    }

    fn number(&self, at: usize) -> usize {
        self.numbers.number(at)
    }

    /// Whatever is named here is given a value by a command.
    fn changed(&mut self, at: usize, raw: &str) {
        for name in names(raw) {
            let message = "is changed by a command here; set it once more after that".to_owned();
            self.set(name.to_owned(), Err(Problem { line: self.number(at), message }));
        }
    }

    fn problem(&self, word: &Word, message: &str) -> Problem {
        Problem { line: self.number(word.raw.start), message: message.to_owned() }
    }

    fn assigned(&mut self, word: &Word, assignment: &Assignment, had: Option<Value>) -> Value {
        let before = had.as_ref().and_then(|had| had.as_ref().ok()).map_or(0, |had| had.cells.len());
        let value = self.assembled(word, assignment, had)?;
        // What only goes on is not copied.
        self.cells += value.cells.len().saturating_sub(if assignment.append { before } else { 0 });
        if self.cells > MOST {
            Err(self.problem(word, "is one of many values that refer to each other; write out what it stands for"))
        } else {
            Ok(value)
        }
    }

    fn assembled(&self, word: &Word, assignment: &Assignment, mut had: Option<Value>) -> Value {
        let name = &assignment.name;
        let was_set = had.is_some();
        let mut known = match if assignment.append { had.take() } else { None } {
            Some(value) => value?,
            None => Known { span: word.raw.clone(), ..Known::default() },
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
                Piece::Name(other, ..) if SPECIAL.contains(&other.as_str()) || other.starts_with("BASH") => {
                    return Err(self.refers(word, other));
                }
                Piece::Name(other, raw, mode) => {
                    known.refers = Some((raw.end, *mode));
                    let value = match other == name {
                        true if was_set => {
                            if std::mem::replace(&mut itself, true) {
                                return Err(self.problem(word, "refers to itself twice; write its words once"));
                            }
                            had.take().map(Ok)
                        }
                        true => None,
                        false => self.get(other).map(Err),
                    };
                    match value {
                        Some(Ok(before)) => {
                            let before = before?;
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

/// What may be names of variables in a text.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|name| name_length(name) > 0)
}
