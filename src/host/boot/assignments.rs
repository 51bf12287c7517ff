// SPDX-License-Identifier: LGPL-2.1-or-later
//! Files of plain assignments that a shell reads: mkinitcpio's presets and its configuration. Nothing is run; what only a
//! shell could compute has no value.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

/// So many bytes of other variables are put into values at most.
const EXPANDED: usize = 1 << 20;

/// What a variable is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// An array (bash). An element that only a shell could compute is empty.
    List(Vec<String>),
}

impl Value {
    /// Its words: of a text what blanks part.
    pub fn words(&self) -> Vec<&str> {
        match self {
            Value::Text(text) => text.split_whitespace().collect(),
            Value::List(list) => list.iter().map(String::as_str).collect(),
        }
    }

    /// What `$NAME` gives: of an array its first element.
    pub fn text(&self) -> &str {
        match self {
            Value::Text(text) => text,
            Value::List(list) => list.first().map_or("", String::as_str),
        }
    }

    /// The value after `+=`, as bash has it.
    fn and(self, more: Value) -> Value {
        match (self, more) {
            (Value::Text(text), Value::Text(more)) => Value::Text(text + &more),
            (Value::Text(text), Value::List(more)) => Value::List([vec![text], more].concat()),
            (Value::List(mut list), Value::List(more)) => {
                list.extend(more);
                Value::List(list)
            }
            (Value::List(mut list), Value::Text(more)) => {
                match list.first_mut() {
                    Some(first) => first.push_str(&more),
                    None => list.push(more),
                }
                Value::List(list)
            }
        }
    }
}

/// Variables, by name; `None` for a value that only a shell could compute.
#[derive(Debug, Default)]
pub struct Assignments(BTreeMap<String, Option<Value>>);

impl Assignments {
    /// Reads them, the last assignment of each name counting.
    pub fn read(text: &str) -> Assignments {
        let mut reader = Reader { rest: text.chars().peekable(), found: Assignments::default(), expanded: 0 };
        while reader.statement() {}
        reader.found
    }

    /// The value of a variable that is set.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)?.as_ref()
    }

    /// The same, if it is not empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).map(Value::text).filter(|text| !text.is_empty())
    }
}

struct Reader<'t> {
    rest: Peekable<Chars<'t>>,
    found: Assignments,
    expanded: usize,
}

impl Reader<'_> {
    /// One statement; whether there may be more.
    fn statement(&mut self) -> bool {
        self.skip(|c| c.is_whitespace() || c == ';');
        if self.rest.peek().is_none() {
            return false;
        }
        let name = self.take(is_of_name);
        let adds = !name.is_empty() && self.rest.next_if_eq(&'+').is_some();
        if !name.is_empty() && self.rest.next_if_eq(&'=').is_some() {
            let value = if self.rest.next_if_eq(&'(').is_some() { Some(self.list()) } else { self.word() };
            let before = if adds { self.found.0.remove(&name) } else { None };
            let value = match (before, value) {
                (Some(before), more) => before.zip(more).map(|(before, more)| before.and(more)),
                (None, value) => value,
            };
            self.found.0.insert(name, value);
        } else if name != "export" {
            self.skip(|c| c != '\n');
        }
        true
    }

    fn list(&mut self) -> Value {
        let mut list = Vec::new();
        loop {
            self.skip(char::is_whitespace);
            match self.rest.peek() {
                None => break,
                Some(')') => {
                    self.rest.next();
                    break;
                }
                Some('#') => self.skip(|c| c != '\n'),
                Some(c) if ends_word(*c) => drop(self.rest.next()),
                Some(_) => list.push(self.word().map_or_else(String::new, |word| word.text().to_owned())),
            }
        }
        Value::List(list)
    }

    /// A word with its quotes off and plain variables in it; `None` if only a shell could compute it.
    fn word(&mut self) -> Option<Value> {
        let (mut word, mut known) = (String::new(), true);
        while let Some(c) = self.rest.next_if(|c| !ends_word(*c)) {
            match c {
                '\'' => {
                    word.push_str(&self.take(|c| c != '\''));
                    self.rest.next();
                }
                '"' => {
                    while let Some(c) = self.rest.next_if(|c| *c != '"') {
                        self.character(c, true, &mut word, &mut known);
                    }
                    self.rest.next();
                }
                c => self.character(c, false, &mut word, &mut known),
            }
        }
        known.then_some(Value::Text(word))
    }

    fn character(&mut self, c: char, quoted: bool, word: &mut String, known: &mut bool) {
        match c {
            '\\' => match self.rest.next() {
                None | Some('\n') => {}
                Some(c) if quoted && !matches!(c, '"' | '\\' | '$' | '`') => word.extend(['\\', c]),
                Some(c) => word.push(c),
            },
            '`' => *known = false,
            '$' => {
                let braces = self.rest.next_if_eq(&'{').is_some();
                let name = self.take(is_of_name);
                let closed = !braces || self.rest.next_if_eq(&'}').is_some();
                let value = self.found.text(&name).unwrap_or_default();
                self.expanded = self.expanded.saturating_add(value.len());
                if closed && self.found.get(&name).is_some() && self.expanded <= EXPANDED {
                    word.push_str(value);
                } else {
                    *known = false;
                }
            }
            c => word.push(c),
        }
    }

    fn take(&mut self, is: impl Fn(char) -> bool) -> String {
        std::iter::from_fn(|| self.rest.next_if(|c| is(*c))).collect()
    }

    fn skip(&mut self, is: impl Fn(char) -> bool) {
        while self.rest.next_if(|c| is(*c)).is_some() {}
    }
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn ends_word(c: char) -> bool {
    c.is_whitespace() || matches!(c, ';' | '(' | ')' | '&' | '|' | '<' | '>')
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::process::Command;

    fn shown(text: &str) -> String {
        match Assignments::read(text).get("A") {
            None => "-".to_owned(),
            Some(Value::Text(text)) => format!("<{text}>"),
            Some(Value::List(list)) => list.iter().map(|one| format!("({one})")).collect(),
        }
    }

    /// What bash makes of it: a text in angle brackets, each element of an array in round ones.
    fn of_bash(text: &str) -> String {
        let show = "if [[ ${A@a} == *a* ]]; then [ ${#A[@]} -eq 0 ] || printf '(%s)' \"${A[@]}\"; \
                    elif [[ -v A ]]; then printf '<%s>' \"$A\"; else printf -; fi";
        let output = Command::new("bash").args(["-c", &format!("{text}\n{show}")]).env_clear().output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn assignments_are_read_as_bash_reads_them() {
        for text in [
            "A=1",
            "A=1 # 2\nA='2 3'",
            "A=\"a b\"c'd e'",
            "A=(a 'b c' \"d\" # e\n  f\n)",
            "A=()",
            "A=a\nA+=b",
            "A=(a)\nA+=(b c)",
            "A=a\nA+=(b)",
            "A=(a b)\nA+=c",
            "A+=(a)",
            "A=a; A=b",
            "export A=1",
            "B=x\nA=\"$B/${B}y\"",
            "B=(x y)\nA=$B",
            "A=a\\ b\\\nc",
            "A=\"a\\\"b\\$c\\d\"",
            "A='a\nb'",
            "# A=1",
            "AA=1",
            "A=",
            "A=a # x\n# A=b\n",
        ] {
            assert_eq!(shown(text), of_bash(text), "{text}");
        }
    }

    #[test]
    fn what_only_a_shell_could_compute_has_no_value() {
        for text in ["A=$(uname -r)", "A=`uname`", "A=$B", "A=${B%x}", "A=\"a$1\""] {
            assert_eq!(shown(text), "-", "{text}");
        }
        assert_eq!(shown("A=(a $B c)"), "(a)()(c)");
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "[A(){}'\"$#=+; \\\\\n`xy]{0,60}") {
            let _ = Assignments::read(&text);
        }
    }
}
