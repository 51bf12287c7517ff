// SPDX-License-Identifier: LGPL-2.1-or-later
//! The commands of a shell script, as far as one must know them to tell what its variables are set to.
//!
//! What this cannot tell for sure is told apart as such ([`Piece::Unknown`], [`Command::depends`]), never guessed.

use super::super::Problem;
use super::problem::problem;
use super::skip;
use std::ops::Range;

/// How a character is quoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Not at all, or by a backslash.
    Bare,
    /// In single quotes.
    Single,
    /// In double quotes.
    Double,
}

/// A part of a word.
#[derive(Debug, Clone)]
pub enum Piece {
    /// A character, and the raw text that stands for it.
    Char(char, Range<usize>, Mode),
    /// A variable.
    Name(String, Range<usize>, Mode),
    /// What is only known when the script runs: what it is.
    Unknown(&'static str),
}

/// A word.
#[derive(Debug, Clone)]
pub struct Word {
    /// Where it is.
    pub raw: Range<usize>,
    /// What it is made of; each with where it begins.
    pub pieces: Vec<(usize, Piece)>,
}

impl Word {
    /// Its text, if it is known without running anything.
    pub fn literal(&self) -> Option<String> {
        let of = |(_, piece): &(usize, Piece)| match piece {
            Piece::Char(c, ..) => Some(*c),
            _ => None,
        };
        self.pieces.iter().map(of).collect()
    }
}

/// A simple command.
#[derive(Debug, Clone)]
pub struct Command {
    /// Its words, assignments among them.
    pub words: Vec<Word>,
    /// Whether it runs only in some cases, or where it changes nothing outside.
    pub depends: bool,
    /// Whether it is in a function, which runs when it is called.
    pub in_function: bool,
    /// Whether it is in a loop of this script.
    pub in_loop: bool,
    /// Where its words may set variables while they are expanded: `${NAME:=value}`, `$((NAME = 1))`.
    pub sets: Vec<Range<usize>>,
}

/// A block that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Block {
    If,
    Case,
    Loop,
    Brace,
    Function,
    Paren,
}

/// A here-document: what ends it, whether tabs before that go, whether it is taken as it stands, where it begins.
struct Heredoc {
    delimiter: String,
    strip: bool,
    quoted: bool,
    begin: usize,
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    blocks: Vec<(Block, usize)>,
    /// How many of these are functions, and how many are loops.
    functions: usize,
    loops: usize,
    /// Here-documents whose text begins on the next line.
    heredocs: Vec<Heredoc>,
    words: Vec<Word>,
    sets: Vec<Range<usize>>,
    commands: Vec<Command>,
    /// Where an operator is that makes the next command depend on the last one.
    chained: Option<usize>,
    /// The first command of the list that is being read: `&` at its end puts all of it in the background.
    list: usize,
    /// The first command behind those that were put in the background.
    background: usize,
    /// Whether shells disagree to which command the words belong that are being read.
    split: bool,
    /// Whether what comes next is the body of a function.
    body: bool,
    /// Whether the next word is where a redirection leads.
    target: bool,
}

/// The commands of a script, in order. A script that is not complete is a problem.
pub fn commands(text: &str) -> Result<Vec<Command>, Problem> {
    let mut lexer = Lexer {
        text,
        at: 0,
        blocks: Vec::new(),
        functions: 0,
        loops: 0,
        heredocs: Vec::new(),
        words: Vec::new(),
        sets: Vec::new(),
        commands: Vec::new(),
        chained: None,
        list: 0,
        background: 0,
        split: false,
        body: false,
        target: false,
    };
    if let Some(at) = text.find('\0') {
        return Err(problem(text, at, "a zero byte is here, which no two shells read alike: remove it"));
    }
    lexer.run()?;
    Ok(lexer.commands)
}

impl<'t> Lexer<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn run(&mut self) -> Result<(), Problem> {
        while let Some(c) = self.rest().chars().next() {
            match c {
                ' ' | '\t' => self.at += 1,
                '\\' if self.rest().starts_with("\\\n") => self.continued()?,
                '#' => self.at += self.rest().find('\n').unwrap_or(self.rest().len()),
                '\n' => {
                    self.end_list();
                    self.at += 1;
                    self.skip_heredocs()?;
                }
                ';' => {
                    self.end_list();
                    self.at += 1;
                }
                '&' | '|' => self.list_operator(),
                '(' => self.open_paren()?,
                ')' => {
                    self.end_command(false);
                    self.close(Block::Paren);
                    self.at += 1;
                }
                '<' | '>' => self.redirection()?,
                _ => {
                    let word = self.word()?;
                    // Where something is read from or written to is not a word of the command.
                    if !std::mem::take(&mut self.target) {
                        self.words.push(word);
                    }
                }
            }
        }
        self.end_command(false);
        if let Some(Heredoc { begin, .. }) = self.heredocs.first() {
            return Err(problem(self.text, *begin, "the here-document that begins here does not end: end it"));
        }
        if let Some((_, at)) = self.blocks.first() {
            return Err(problem(self.text, *at, "what begins here does not end (if, case, a loop, braces): end it"));
        }
        if let Some(at) = self.chained {
            return Err(problem(self.text, at, "a command is missing after this line: complete it"));
        }
        Ok(())
    }

    /// A backslash at the end of a line, between words: neither is there for a shell, and what is before and after it may be
    /// one operator.
    fn continued(&mut self) -> Result<(), Problem> {
        let is_operator = |byte: Option<&u8>| byte.is_some_and(|byte| b"&|;<>()".contains(byte));
        let bytes = self.text.as_bytes();
        if is_operator(self.at.checked_sub(1).and_then(|before| bytes.get(before)))
            && is_operator(bytes.get(self.at + 2))
        {
            return Err(problem(
                self.text,
                self.at,
                "an operator is broken by a backslash at the end of a line: join it",
            ));
        }
        self.at += 2;
        Ok(())
    }

    fn end_list(&mut self) {
        self.end_command(false);
        if self.blocks.is_empty() && self.chained.is_none() {
            self.list = self.commands.len();
        }
    }

    /// In the background: in a process of its own, with all that is chained before it.
    fn put_in_background(&mut self) {
        self.end_command(true);
        // In a block the list does not begin again: what depends already is not looked at again.
        let from = self.list.max(self.background);
        self.commands[from..].iter_mut().for_each(|command| command.depends = true);
        self.background = self.commands.len();
    }

    fn list_operator(&mut self) {
        let rest = self.rest();
        let at = self.at;
        match rest.as_bytes() {
            [b'&', b'&', ..] | [b'|', b'|', ..] => {
                self.end_command(false);
                (self.chained, self.at) = (Some(at), at + 2);
            }
            [b'&', b'>', ..] => {
                // bash sends the output elsewhere; for other shells the command ends here, in the background, and what is
                // behind is another.
                self.put_in_background();
                (self.at, self.target, self.split) = (at + 2, true, true);
            }
            [b'&', ..] => {
                self.put_in_background();
                self.end_list();
                self.at += 1;
            }
            _ => {
                // So is each part of a pipe.
                self.end_command(true);
                (self.chained, self.at) = (Some(at), at + 1);
            }
        }
    }

    fn open_paren(&mut self) -> Result<(), Problem> {
        let at = self.at;
        if self.text[at..].starts_with("((") {
            return Err(problem(
                self.text,
                at,
                "arithmetic that not every shell has is here (((...))): write it as $((...))",
            ));
        }
        let word_end = self.words.last().map(|word| word.raw.end);
        let is_list = word_end == Some(at) && self.text[..at].ends_with('=');
        // A name before a bracket: a function, whose body comes next.
        self.body |= word_end.is_some() && !is_list;
        if word_end == Some(at) {
            if let Some(word) = self.words.last_mut() {
                // name=(...), or a function's name.
                word.pieces.push((at, Piece::Unknown("a list in brackets")));
            }
        }
        let body = self.body;
        self.end_command(false);
        self.body = body;
        self.open(Block::Paren, at);
        self.at += 1;
        Ok(())
    }

    fn redirection(&mut self) -> Result<(), Problem> {
        let rest = self.rest();
        let before = self.words.last().filter(|word| word.raw.end == self.at).map(|word| &self.text[word.raw.clone()]);
        if before.is_some_and(|word| word.starts_with('{') && word.ends_with('}')) {
            let message = "a redirection that sets a variable, which not every shell has, is here: write a number";
            return Err(problem(self.text, self.at, message));
        }
        if rest[1..].starts_with('(') {
            return Err(problem(
                self.text,
                self.at,
                "a command in place of a file, which not every shell has, is here: remove it",
            ));
        }
        // The number before it is none either.
        if before.is_some_and(|word| word.bytes().all(|byte| byte.is_ascii_digit())) {
            self.words.pop();
        }
        self.target = !rest.starts_with("<<") || rest.starts_with("<<<");
        if rest.starts_with("<<<") {
            self.at += 3;
            return Ok(());
        }
        if !rest.starts_with("<<") {
            self.at += 1;
            if self.rest().starts_with('&') || self.rest().starts_with('|') {
                self.at += 1;
            }
            return Ok(());
        }
        let begin = self.at;
        self.at += 2;
        let strip = self.rest().starts_with('-');
        self.at += usize::from(strip);
        self.at += self.rest().len() - self.rest().trim_start_matches([' ', '\t']).len();
        let word = self.word()?;
        match word.literal() {
            Some(delimiter) if !word.raw.is_empty() => {
                let quoted = self.text[word.raw.clone()] != delimiter;
                self.heredocs.push(Heredoc { delimiter, strip, quoted, begin });
            }
            _ => return Err(problem(self.text, begin, "what ends this here-document cannot be told: name it plainly")),
        }
        Ok(())
    }

    fn skip_heredocs(&mut self) -> Result<(), Problem> {
        for Heredoc { delimiter, strip, quoted, begin } in std::mem::take(&mut self.heredocs) {
            loop {
                if self.at >= self.text.len() {
                    let message = "the here-document that begins here does not end: end it";
                    return Err(problem(self.text, begin, message));
                }
                let rest = self.rest();
                let line = &rest[..rest.find('\n').unwrap_or(rest.len())];
                let at = self.at;
                self.at += (line.len() + 1).min(rest.len());
                if delimiter == if strip { line.trim_start_matches('\t') } else { line } {
                    break;
                }
                // A line may go on in the next one, and what is expanded may reach over several.
                if !quoted && line.contains(['$', '`', '\\']) {
                    let message = "this here-document is not taken as it stands; quote the word that ends it";
                    return Err(problem(self.text, at, message));
                }
            }
        }
        Ok(())
    }

    fn open(&mut self, block: Block, at: usize) {
        self.blocks.push((block, at));
        self.functions += usize::from(block == Block::Function);
        self.loops += usize::from(block == Block::Loop);
    }

    fn close(&mut self, block: Block) {
        if self.blocks.last().is_some_and(|(open, _)| *open == block) {
            self.blocks.pop();
            self.functions -= usize::from(block == Block::Function);
            self.loops -= usize::from(block == Block::Loop);
        }
    }

    /// Takes the words that were read as a command, without the reserved words before it.
    fn end_command(&mut self, apart: bool) {
        self.target = false;
        let apart = apart | std::mem::take(&mut self.split);
        let mut words = std::mem::take(&mut self.words);
        if words.is_empty() {
            return;
        }
        let mut body = std::mem::take(&mut self.body);
        let mut kept = 0;
        while let Some(word) = words.get(kept) {
            let at = word.raw.start;
            // Quoted, it is not a reserved word.
            match self.text[word.raw.clone()].trim_end_matches('\r') {
                "if" => self.open(Block::If, at),
                "while" | "until" => self.open(Block::Loop, at),
                "{" => self.open(if body { Block::Function } else { Block::Brace }, at),
                "then" | "else" | "elif" | "do" | "!" => {}
                "fi" => self.close(Block::If),
                "done" => self.close(Block::Loop),
                "esac" => self.close(Block::Case),
                "}" if self.blocks.last().is_some_and(|(open, _)| *open == Block::Function) => {
                    self.close(Block::Function);
                }
                "}" => self.close(Block::Brace),
                "case" => {
                    self.open(Block::Case, at);
                    kept = words.len();
                }
                "for" | "select" => {
                    self.open(Block::Loop, at);
                    break;
                }
                "function" => {
                    body = true;
                    kept += 1;
                }
                _ => break,
            }
            kept += 1;
        }
        let depends = self.chained.take().is_some() || apart || !self.blocks.is_empty() || body;
        let (in_function, in_loop) = (body || self.functions > 0, self.loops > 0);
        words.drain(..kept.min(words.len()));
        let sets = std::mem::take(&mut self.sets);
        if !words.is_empty() || !sets.is_empty() {
            self.commands.push(Command { words, depends, in_function, in_loop, sets });
        }
    }

    fn word(&mut self) -> Result<Word, Problem> {
        let begin = self.at;
        let mut pieces = Vec::new();
        while let Some(c) = self.rest().chars().next() {
            let at = self.at;
            match c {
                ' ' | '\t' | '\n' | ';' | '&' | '|' | '<' | '>' | '(' | ')' => break,
                // It is not there for a shell: what is before and after it may be one name, or one reserved word.
                '\\' if self.rest().starts_with("\\\n") && !self.text[begin..at].contains('=') => {
                    return Err(problem(
                        self.text,
                        at,
                        "a word is broken by a backslash at the end of a line: join it",
                    ));
                }
                '\\' => self.backslash(&mut pieces),
                '\'' => {
                    let Some(end) = self.text[at + 1..].find('\'') else {
                        return Err(problem(self.text, at, "the quote (') that begins here does not end: close it"));
                    };
                    let inside = at + 1..at + 1 + end;
                    pieces.extend(self.text[inside.clone()].char_indices().map(|(offset, c)| {
                        let at = inside.start + offset;
                        (at, Piece::Char(c, at..at + c.len_utf8(), Mode::Single))
                    }));
                    self.at = inside.end + 1;
                }
                '"' => self.double_quoted(&mut pieces)?,
                '$' => self.dollar(Mode::Bare, &mut pieces)?,
                '`' => self.command_output(&mut pieces)?,
                '~' if self.text[begin..at].ends_with(['=', ':']) => {
                    pieces.push((at, Piece::Unknown("a home directory (~)")));
                    self.at += 1;
                }
                c => self.take(c, Mode::Bare, &mut pieces),
            }
        }
        Ok(Word { raw: begin..self.at, pieces })
    }

    fn take(&mut self, c: char, mode: Mode, pieces: &mut Vec<(usize, Piece)>) {
        let at = self.at;
        self.at += c.len_utf8();
        pieces.push((at, Piece::Char(c, at..self.at, mode)));
    }

    fn backslash(&mut self, pieces: &mut Vec<(usize, Piece)>) {
        let at = self.at;
        match self.text[at + 1..].chars().next() {
            Some('\n') => self.at += 2,
            Some(c) => {
                self.at += 1 + c.len_utf8();
                pieces.push((at, Piece::Char(c, at..self.at, Mode::Bare)));
            }
            None => {
                self.at += 1;
                pieces.push((at, Piece::Unknown("a backslash with nothing after it")));
            }
        }
    }

    fn double_quoted(&mut self, pieces: &mut Vec<(usize, Piece)>) -> Result<(), Problem> {
        let begin = self.at;
        self.at += 1;
        while let Some(c) = self.rest().chars().next() {
            let at = self.at;
            match c {
                '"' => {
                    self.at += 1;
                    return Ok(());
                }
                '\\' => match self.text.as_bytes().get(at + 1) {
                    Some(b'\n') => self.at += 2,
                    Some(escaped @ (b'$' | b'`' | b'"' | b'\\')) => {
                        self.at += 2;
                        pieces.push((at, Piece::Char(char::from(*escaped), at..at + 2, Mode::Double)));
                    }
                    _ => self.take('\\', Mode::Double, pieces),
                },
                '$' => self.dollar(Mode::Double, pieces)?,
                '`' => self.command_output(pieces)?,
                c => self.take(c, Mode::Double, pieces),
            }
        }
        Err(problem(self.text, begin, "the quote (\") that begins here does not end: close it"))
    }

    fn command_output(&mut self, pieces: &mut Vec<(usize, Piece)>) -> Result<(), Problem> {
        let at = self.at;
        self.at = skip::nested(self.text, at)?;
        pieces.push((at, Piece::Unknown("what a command prints (`...`)")));
        Ok(())
    }

    fn dollar(&mut self, mode: Mode, pieces: &mut Vec<(usize, Piece)>) -> Result<(), Problem> {
        let at = self.at;
        let after = &self.text[at + 1..];
        let name = name_length(after);
        let (end, piece) = match after.chars().next() {
            Some('(') => (skip::nested(self.text, at)?, Piece::Unknown("what a command prints ($(...))")),
            Some('{') => {
                let end = skip::nested(self.text, at)?;
                let inside = &self.text[at + 2..end - 1];
                if !inside.is_empty() && name_length(inside) == inside.len() {
                    (end, Piece::Name(inside.to_owned(), at..end, mode))
                } else {
                    (end, Piece::Unknown("a computed variable (${...})"))
                }
            }
            Some(_) if name > 0 => {
                let end = at + 1 + name;
                // The name goes on in the next line.
                if self.text[end..].starts_with("\\\n") {
                    (end, Piece::Unknown("a variable whose name is broken by a line end"))
                } else {
                    (end, Piece::Name(after[..name].to_owned(), at..end, mode))
                }
            }
            // It ends elsewhere than other quotes do.
            Some('\'') if mode == Mode::Bare => {
                let message = "a quote that not every shell has ($'...') is here; write it in other quotes";
                return Err(problem(self.text, at, message));
            }
            Some('"') if mode == Mode::Bare => (at + 1, Piece::Unknown("a quote that not every shell has ($\"...\")")),
            Some('[') => {
                return Err(problem(
                    self.text,
                    at,
                    "arithmetic that not every shell has ($[...]) is here; write $((...))",
                ));
            }
            Some('\\') if after.starts_with("\\\n") => {
                return Err(problem(
                    self.text,
                    at,
                    "a variable is broken by a backslash at the end of a line: join it",
                ));
            }
            Some('0'..='9' | '@' | '*' | '#' | '?' | '$' | '!' | '-') => {
                (at + 2, Piece::Unknown("a variable that is different in every run"))
            }
            _ => (at + 1, Piece::Char('$', at..at + 1, mode)),
        };
        let inside = &self.text[at..end];
        if inside.contains('=') && inside.starts_with("${") || inside.starts_with("$((") {
            self.sets.push(at..end);
        }
        self.at = end;
        pieces.push((at, piece));
        Ok(())
    }
}

/// How many bytes at the beginning are a variable's name.
pub fn name_length(text: &str) -> usize {
    match text.as_bytes().first() {
        Some(first) if first.is_ascii_alphabetic() || *first == b'_' => {
            text.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count()
        }
        _ => 0,
    }
}
