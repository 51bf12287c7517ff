// SPDX-License-Identifier: LGPL-2.1-or-later
//! `uki.conf`, which kernel-install(8) gives to ukify(1): an INI file as Python's `configparser` reads it.
//!
//! Its `Cmdline=` is the command line of an image only for newer versions of kernel-install's plugin: an older one gives ukify
//! the command line of `/etc/kernel/cmdline` before it reads the file, and what is set already stays
//! (60-ukify.install of systemd 257; the other way around in 262). mkinitcpio always gives one.

use crate::host::boot::probe::text;
use crate::root::Root;
use ini::{Ini, ParseOption};

/// Where it is looked for, the first that is there.
const PATHS: [&str; 4] =
    ["etc/kernel/uki.conf", "run/kernel/uki.conf", "usr/local/lib/kernel/uki.conf", "usr/lib/kernel/uki.conf"];
/// kernel-install's plugin.
const PLUGINS: [&str; 2] = ["etc/kernel/install.d/60-ukify.install", "usr/lib/kernel/install.d/60-ukify.install"];
/// What stands in a plugin for which `Cmdline=` counts: only where there is none is the command line looked for elsewhere.
const ASKS_FIRST: &str = "opts2.cmdline is None";

/// What ukify(1) is told.
pub(super) struct UkiConf {
    /// The file, below the root.
    pub path: String,
    settings: Option<Ini>,
}

/// What `Cmdline=` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cmdline {
    /// It is in this file, below the root (`@FILE`).
    File(String),
    /// It stands there itself.
    Text,
}

/// Whether kernel-install takes the command line of an image from here.
pub(super) fn counts(root: &Root) -> bool {
    PLUGINS.iter().find_map(|path| text(root, path)).is_some_and(|plugin| plugin.contains(ASKS_FIRST))
}

impl UkiConf {
    /// Reads it. One that is not there says nothing.
    pub fn read(root: &Root) -> UkiConf {
        let path = PATHS.into_iter().find(|path| root.exists(path)).unwrap_or(PATHS[0]);
        UkiConf { path: path.to_owned(), settings: text(root, path).and_then(|text| ini(&text)) }
    }

    /// The last value of a key; an empty one is none.
    pub fn get(&self, key: &str) -> Option<String> {
        self.value(key).filter(|value| !value.is_empty()).map(str::to_owned)
    }

    /// Where the command line is. An empty value is one, and an image has no command line then.
    pub fn cmdline(&self) -> Option<Cmdline> {
        Some(match self.value("Cmdline")?.strip_prefix("@/") {
            Some(path) => Cmdline::File(path.to_owned()),
            None => Cmdline::Text,
        })
    }

    fn value(&self, key: &str) -> Option<&str> {
        let sections = self.settings.iter().flat_map(Ini::iter).filter(|(name, _)| *name == Some("UKI"));
        sections.flat_map(|(_, properties)| properties.get_all(key)).last()
    }
}

/// An INI file as ukify(1) reads it, which is Python's `configparser`: comments may be indented or come after a value, values
/// go on in lines that are indented, and neither quotes nor backslashes mean anything. One that is broken says nothing.
fn ini(text: &str) -> Option<Ini> {
    let lines = text.lines().map(without_comment).filter(|line| !line.trim_start().starts_with('#'));
    // A backslash at the end of a line would join it with the next, whatever the options are; an escaped one does not.
    let text: String = lines.flat_map(|line| [line.replace('\\', "\\\\"), "\n".to_owned()]).collect();
    let options = ParseOption {
        enabled_quote: false,
        enabled_escape: true,
        enabled_indented_mutiline_value: true,
        enabled_preserve_key_leading_whitespace: false,
    };
    Ini::load_from_str_opt(&text, options).ok()
}

/// A line without what comes after white space and `#` (`inline_comment_prefixes`).
fn without_comment(line: &str) -> &str {
    let blank_before = |at: &usize| line[..*at].ends_with(char::is_whitespace);
    line.match_indices('#').map(|(at, _)| at).find(blank_before).map_or(line, |at| line[..at].trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn settings(text: &str) -> UkiConf {
        UkiConf { path: String::new(), settings: ini(text) }
    }

    fn cmdline(text: &str) -> Option<String> {
        settings(text).get("Cmdline")
    }

    #[test]
    fn a_command_line_is_in_a_file_or_here() {
        let cmdline = |text: &str| settings(text).cmdline();
        assert_eq!(cmdline("[UKI]\nCmdline=@/etc/words\n"), Some(Cmdline::File("etc/words".to_owned())));
        assert_eq!(cmdline("[UKI]\nCmdline=@words\n"), Some(Cmdline::Text));
        assert_eq!(cmdline("[UKI]\nCmdline=\n"), Some(Cmdline::Text));
        assert_eq!(cmdline("[UKI]\nInitrd=x\n"), None);
    }

    #[test]
    fn a_file_is_read_as_ukify_reads_it() {
        for (text, value) in [
            ("", None),
            ("[UKI]\n", None),
            ("[UKI]\nCmdline=quiet rw\n", Some("quiet rw")),
            ("[UKI]\r\nCmdline = @/etc/words\r\n", Some("@/etc/words")),
            // Other sections have no such key.
            ("Cmdline=quiet", None),
            ("[PE]\nCmdline=quiet\n", None),
            // The last one counts, also where it says nothing.
            ("[UKI]\nCmdline=a\nCmdline=b\n", Some("b")),
            ("[UKI]\nCmdline=a\n[PE]\nX=1\n[UKI]\nCmdline=b\n", Some("b")),
            ("[UKI]\nCmdline=b\n[PE]\nCmdline=a\n[UKI]\nX=1\n", Some("b")),
            ("[UKI]\nCmdline=a\nCmdline=\n", None),
            ("[UKI]\ncmdline=a\n", None),
            // Nothing in a value means anything.
            ("[UKI]\nCmdline=\"a  b\" 'c' root=/dev/x:y [z] ; e#f\n", Some("\"a  b\" 'c' root=/dev/x:y [z] ; e#f")),
            ("[UKI]\nCmdline=a\\x0041\\n\\\\b\\\nOther=1\n", Some("a\\x0041\\n\\\\b\\")),
            ("[UKI]\nOther=1\\\nCmdline=a\n", Some("a")),
            ("[UKI]\nOther=\"1\nCmdline=a\n", Some("a")),
            // Comments, and values in more than one line.
            ("# Cmdline=x\n  # Cmdline=y\n[UKI]\n#\n; x\nCmdline=a\n# Cmdline=b\n", Some("a")),
            ("[UKI]\nCmdline=\n  # b\n  @/etc/words\nOther=1\n", Some("@/etc/words")),
            ("[UKI]\nCmdline=a b # c\n", Some("a b")),
            ("[UKI]\nCmdline=a#b\n", Some("a#b")),
            ("[UKI]\nCmdline= # b\n", None),
            ("[UKI]\nOther=1\n  2\nCmdline=a\n\tb\n", Some("a\nb")),
            ("  [UKI]\n  Cmdline=a\n", Some("a")),
            // What ukify refuses.
            ("[UKI]\nCmdline=a\nnonsense\n", None),
            ("[UKI\nCmdline=a\n", None),
            ("[UKI]\n=a\n", None),
            ("[UKI]\nCmdline=a\n=\n", None),
        ] {
            assert_eq!(cmdline(text).as_deref(), value, "{text:?}");
        }
    }

    #[test]
    fn nothing_in_a_file_takes_long() {
        const MOST: usize = 1 << 18;
        let shapes = [
            "a=1\n",
            "[a]\n",
            "[a]\na=1\n",
            "[",
            "]",
            "=",
            "a",
            "\\",
            "\\\n",
            "\n",
            " ",
            " \n",
            "  a\n",
            "a=\n b\n",
            "\r",
            "a\r",
            ";",
            ";\n",
            "#\n",
            " [a]",
            " [\n",
            "\"",
            "'",
            ":=",
            "a=\r",
            "\u{a0}",
            "a = \u{2028}\n",
        ];
        for shape in shapes {
            for begin in ["", "[a]\n", "Cmdline="] {
                let text = format!("{begin}{}", shape.repeat(MOST / shape.len()));
                let start = Instant::now();
                let _ = cmdline(&text);
                // A quarter of a second at most; minutes if each line took the longer the more there are.
                assert!(start.elapsed() < Duration::from_secs(20), "{begin:?} {shape:?} {:?}", start.elapsed());
            }
        }
        let numbered: String = (0..MOST / 16).map(|n| format!("[s{n}]\nk{n}=1\n")).collect();
        let start = Instant::now();
        let _ = cmdline(&numbered);
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    }
}
