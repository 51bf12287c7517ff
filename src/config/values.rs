// SPDX-License-Identifier: LGPL-2.1-or-later
//! Texts to values, one function per type. An error quotes the value and has what to write as its hint.

use super::report::clip;
use super::split::SplitError;
use crate::finding::codes::{self, Code};
use crate::nearest::did_you_mean;
use crate::pci::ParseError;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// What is wrong with a value, or odd about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
    /// `wrong-value`, unless users would look the problem up on its own.
    pub(super) code: Code,
    /// The whole value, for a text that is only what was expected instead of it.
    value: Option<String>,
    text: String,
    /// What to write.
    pub(super) hint: Option<String>,
}

impl Wrong {
    /// A wrong value; the text quotes it.
    pub(super) fn new(text: impl Into<String>) -> Wrong {
        Wrong { code: codes::WRONG_VALUE, value: None, text: text.into(), hint: None }
    }

    /// A value that is none of these words, among which is what was probably meant, and none of these other things.
    pub(super) fn expected(value: &str, words: &[&str], others: &[&str]) -> Wrong {
        let all = [words, others].concat();
        let text = match all.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("expected {} or {last}", rest.join(", ")),
            _ => format!("expected {}", all.concat()),
        };
        let hint = did_you_mean(value, words.iter().copied());
        Wrong { value: Some(clip(value).into_owned()), hint, ..Wrong::new(text) }
    }

    /// With a code of its own.
    pub(super) fn code(self, code: Code) -> Wrong {
        Wrong { code, ..self }
    }

    /// With what to write; an empty hint is none.
    pub(super) fn hint(self, hint: impl Into<String>) -> Wrong {
        Wrong { hint: Some(hint.into()).filter(|hint| !hint.is_empty()), ..self }
    }

    /// What is odd about the value of a key that counts nevertheless.
    pub(super) fn as_warning(&self, key: &str) -> String {
        format!("'{key}': {}", self.text)
    }

    /// What is wrong with the value of a key.
    pub(super) fn as_error(&self, key: &str) -> String {
        match &self.value {
            Some(value) => format!("invalid value '{value}' for '{key}': {}", self.text),
            None => format!("invalid value for '{key}': {}", self.text),
        }
    }
}

impl fmt::Display for Wrong {
    /// Of a value that has no key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(value) = &self.value {
            write!(f, "invalid value '{value}': ")?;
        }
        f.write_str(&self.text)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl From<SplitError> for Wrong {
    fn from(error: SplitError) -> Wrong {
        Wrong::new(error.to_string())
    }
}

impl From<ParseError> for Wrong {
    /// These sentences have their remedy at the end.
    fn from(error: ParseError) -> Wrong {
        match error.0.rsplit_once("; ") {
            Some((text, hint)) => Wrong::new(text).hint(hint),
            None => Wrong::new(error.0),
        }
    }
}

/// The outcome of reading a value.
pub(super) type Parsed<T> = Result<T, Wrong>;

/// The value of a word, in upper or lower case.
pub(super) fn word<T: Copy>(text: &str, words: &[(&str, T)]) -> Option<T> {
    words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)).map(|(_, value)| *value)
}

/// One of some words.
pub(super) fn one_of<T: Copy>(text: &str, words: &[(&str, T)]) -> Parsed<T> {
    if let Some(value) = word(text, words) {
        return Ok(value);
    }
    let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    Err(Wrong::expected(text, &words, &[]))
}

/// `yes`, `no` and their like.
pub(super) fn boolean(text: &str) -> Parsed<bool> {
    let is = |words: [&str; 4]| words.iter().any(|word| word.eq_ignore_ascii_case(text));
    if is(["yes", "true", "on", "1"]) {
        Ok(true)
    } else if is(["no", "false", "off", "0"]) {
        Ok(false)
    } else {
        // Nothing is guessed of what may be the opposite.
        Err(Wrong::expected(text, &[], &["yes", "no"]))
    }
}

/// Digits only; none of the signs that the standard library would take.
pub(super) fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// An address or an identity; of a long text only the beginning comes back in the error.
pub(super) fn pci<T: FromStr<Err = ParseError>>(text: &str) -> Parsed<T> {
    Ok(clip(text).parse()?)
}

/// The parts of a list, between commas or blanks or both.
pub(super) fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', ' ', '\t']).filter(|part| !part.is_empty())
}

/// More than any machine has of whatever is listed; they are compared one by one.
const MOST_LISTED: usize = 64;

/// A list that must not be empty, each part read, none kept twice.
pub(super) fn list_of<T: PartialEq>(text: &str, what: &str, read: impl Fn(&str) -> Parsed<T>) -> Parsed<Vec<T>> {
    let mut values = Vec::new();
    for part in list(text) {
        if values.len() == MOST_LISTED {
            return Err(Wrong::new(format!("the list has more than {MOST_LISTED} entries")));
        }
        let value = read(part)?;
        if !values.contains(&value) {
            values.push(value);
        }
    }
    if values.is_empty() {
        return Err(Wrong::new(format!("'{}' names no {what}", clip(text))));
    }
    Ok(values)
}

/// Bytes, with K, M, G or T for powers of 1024.
pub(super) fn size(text: &str) -> Option<u64> {
    let (digits, shift) = match text.as_bytes().last()?.to_ascii_uppercase() {
        b'K' => (&text[..text.len() - 1], 10),
        b'M' => (&text[..text.len() - 1], 20),
        b'G' => (&text[..text.len() - 1], 30),
        b'T' => (&text[..text.len() - 1], 40),
        _ => (text, 0),
    };
    number(digits)?.checked_mul(1 << shift)
}

/// `rom`.
pub(super) fn absolute_path(text: &str) -> Parsed<String> {
    if text.starts_with('/') && !text.ends_with('/') {
        Ok(text.to_owned())
    } else {
        let text = format!("'{}' is not the absolute path of a file", clip(text));
        Err(Wrong::new(text).hint("write it as /var/lib/vfio/big.rom"))
    }
}

/// `start-timeout`, `stop-timeout`: seconds, or with units, summed up: `1min 30s`.
pub(super) fn time(text: &str) -> Parsed<Duration> {
    const LONGEST: u64 = 24 * 60 * 60;
    let wrong = |why: &str| Err(Wrong::new(format!("'{}' {why}", clip(text))).hint("write it as 90s or 2min"));
    let mut seconds: u64 = 0;
    let mut rest = text;
    let mut bare = false;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let after = rest[digits..].trim_start_matches([' ', '\t']);
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let unit = match &after[..letters] {
            "s" => 1,
            "min" => 60,
            // A number alone is seconds, but only if it is all there is: in "1min 30" the unit was forgotten.
            "" if digits == text.len() => 1,
            "" => {
                bare = true;
                1
            }
            _ => return wrong("is not a time (the units are s and min)"),
        };
        let Some(count) = number(&rest[..digits]) else { return wrong("is not a time") };
        let sum = count.checked_mul(unit).and_then(|part| seconds.checked_add(part));
        let Some(sum) = sum else { return wrong("is longer than a day") };
        seconds = sum;
        rest = after[letters..].trim_start_matches([' ', '\t']);
    }
    if bare {
        return wrong("has a number without its unit");
    }
    match seconds {
        0 => wrong("must be longer than 0"),
        1..=LONGEST => Ok(Duration::from_secs(seconds)),
        _ => wrong("is longer than a day"),
    }
}

#[cfg(test)]
#[path = "values_tests.rs"]
mod tests;
