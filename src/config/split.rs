// SPDX-License-Identifier: LGPL-2.1-or-later
//! Splits command lines into words, quoted as in a shell; nothing is expanded, because no shell runs them.

/// Why a text cannot be split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum SplitError {
    /// A quote is opened and not closed.
    #[error("the closing {0} is missing")]
    Unclosed(char),
    /// The text ends in a backslash that keeps nothing.
    #[error("there is nothing after the last backslash")]
    LastBackslash,
}

/// A word, and whether all of it was written without quotes and backslashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    /// The word without its quotes.
    pub(super) text: String,
    /// Nothing of it was quoted: a bare `;` separates commands, a quoted one is an argument.
    pub(super) bare: bool,
}

/// Splits at blanks. `'...'` and `"..."` keep blanks; a backslash keeps the next character, within double quotes only
/// `"`, `\`, `$` and the backtick, as in a shell.
pub(super) fn split(text: &str) -> Result<Vec<Word>, SplitError> {
    let mut words = Vec::new();
    let mut word: Option<Word> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if matches!(c, ' ' | '\t') {
            words.extend(word.take());
            continue;
        }
        let Word { text, bare } = word.get_or_insert(Word { text: String::new(), bare: true });
        if matches!(c, '\'' | '"' | '\\') {
            *bare = false;
        }
        match c {
            '\'' => loop {
                match chars.next() {
                    Some('\'') => break,
                    Some(c) => text.push(c),
                    None => return Err(SplitError::Unclosed('\'')),
                }
            },
            '"' => loop {
                match chars.next() {
                    Some('"') => break,
                    Some('\\') => match chars.next() {
                        Some(c @ ('"' | '\\' | '$' | '`')) => text.push(c),
                        Some(c) => text.extend(['\\', c]),
                        None => return Err(SplitError::Unclosed('"')),
                    },
                    Some(c) => text.push(c),
                    None => return Err(SplitError::Unclosed('"')),
                }
            },
            '\\' => match chars.next() {
                Some(c) => text.push(c),
                None => return Err(SplitError::LastBackslash),
            },
            c => text.push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

/// Splits kernel parameters as the kernel does: at blanks, except within double quotes, which stay part of the
/// parameter.
pub(super) fn split_kernel(text: &str) -> Result<Vec<&str>, SplitError> {
    let mut quoted = false;
    let parameters = text.split(|c| {
        quoted ^= c == '"';
        !quoted && matches!(c, ' ' | '\t')
    });
    let parameters = parameters.filter(|parameter| !parameter.is_empty()).collect();
    if text.bytes().filter(|b| *b == b'"').count() % 2 == 1 {
        return Err(SplitError::Unclosed('"'));
    }
    Ok(parameters)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn words_as_in_a_shell() {
        let table: [(&str, &[&str]); 14] = [
            ("", &[]),
            ("  \t ", &[]),
            ("a b\tc", &["a", "b", "c"]),
            ("'a b' c", &["a b", "c"]),
            ("\"a b\"c", &["a bc"]),
            ("a'b'\"c\"d", &["abcd"]),
            ("'' x", &["", "x"]),
            (r"a\ b", &["a b"]),
            (r#""a\"b\\c\$d\`e\nf""#, &[r#"a"b\c$d`e\nf"#]),
            (r"'a\b'", &[r"a\b"]),
            ("$HOME `id` ~ *", &["$HOME", "`id`", "~", "*"]),
            (r#"-device '{"driver":"vfio-pci"}'"#, &["-device", r#"{"driver":"vfio-pci"}"#]),
            ("größe 'ü ö'", &["größe", "ü ö"]),
            (r"a\\", &[r"a\"]),
        ];
        for (text, words) in table {
            let split: Vec<String> = split(text).unwrap().into_iter().map(|word| word.text).collect();
            assert_eq!(split, words, "{text}");
        }
        for text in ["'", "\"", "a 'b", "a \"b", "a\\", "\"a\\", "\"a\\\""] {
            assert!(split(text).is_err(), "{text}");
        }
    }

    #[test]
    fn bare_words_are_known() {
        let bare: Vec<bool> = split(r#"; ';' ";" \; a; a\;"#).unwrap().iter().map(|word| word.bare).collect();
        assert_eq!(bare, [true, false, false, false, true, false]);
    }

    #[test]
    fn kernel_parameters_keep_their_quotes() {
        let parameters = split_kernel(" a=1  dyndbg=\"file x.c +p\" \"b c\"=2\td ").unwrap();
        assert_eq!(parameters, ["a=1", "dyndbg=\"file x.c +p\"", "\"b c\"=2", "d"]);
        assert_eq!(split_kernel("").unwrap(), [""; 0]);
        assert!(split_kernel("a=\"b c").is_err());
    }
}
