// SPDX-License-Identifier: LGPL-2.1-or-later
//! Texts to values, one function per type. Errors are sentence fragments that quote the value and say what to write.

use super::keys::did_you_mean;
use super::report::clip;
use crate::pci::ParseError;
use std::str::FromStr;
use std::time::Duration;

/// The outcome of reading a value.
pub(super) type Parsed<T> = Result<T, String>;

/// The value of a word, in upper or lower case.
pub(super) fn word<T: Copy>(text: &str, words: &[(&str, T)]) -> Option<T> {
    words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)).map(|(_, value)| *value)
}

/// One of some words.
pub(super) fn one_of<T: Copy>(text: &str, words: &[(&str, T)]) -> Parsed<T> {
    if let Some(value) = word(text, words) {
        return Ok(value);
    }
    let names = || words.iter().map(|(word, _)| *word);
    let list: Vec<&str> = names().collect();
    Err(format!("'{}' is none of {}{}", clip(text), list.join(", "), did_you_mean(text, names())))
}

/// `yes`, `no` and their like.
pub(super) fn boolean(text: &str) -> Parsed<bool> {
    let is = |words: [&str; 4]| words.iter().any(|word| word.eq_ignore_ascii_case(text));
    if is(["yes", "true", "on", "1"]) {
        Ok(true)
    } else if is(["no", "false", "off", "0"]) {
        Ok(false)
    } else {
        Err(format!("'{}' is neither yes nor no", clip(text)))
    }
}

/// Digits only; none of the signs that the standard library would take.
pub(super) fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// An address or an identity; of a long text only the beginning comes back in the error.
pub(super) fn pci<T: FromStr<Err = ParseError>>(text: &str) -> Parsed<T> {
    clip(text).parse().map_err(|error: ParseError| error.0)
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
            return Err(format!("there are more than {MOST_LISTED} in the list"));
        }
        let value = read(part)?;
        if !values.contains(&value) {
            values.push(value);
        }
    }
    if values.is_empty() {
        return Err(format!("'{}' names no {what}", clip(text)));
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
        Err(format!("'{}' is not the absolute path of a file; write it as /var/lib/vfio/big.rom", clip(text)))
    }
}

/// `start-timeout`, `stop-timeout`: seconds, or with units, summed up: `1min 30s`.
pub(super) fn time(text: &str) -> Parsed<Duration> {
    const LONGEST: u64 = 24 * 60 * 60;
    let wrong = |why: &str| Err(format!("'{}' {why}; write it as 90s or 2min", clip(text)));
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
        0 => wrong("is no time at all"),
        1..=LONGEST => Ok(Duration::from_secs(seconds)),
        _ => wrong("is longer than a day"),
    }
}

#[cfg(test)]
#[path = "values_tests.rs"]
mod tests;
