// SPDX-License-Identifier: LGPL-2.1-or-later
//! Text without what tells whose machine it is. What is known by its form is found wherever it stands ([`kinds`]), names are
//! those that the machine knows ([`sources`]), and of paths, units and kernel parameters only those are shown that every
//! machine has. Equal things stay equal: each has a number of its kind.

mod context;
mod file;
mod kinds;
pub mod parameters;
mod paths;
mod sources;
mod stand_in;
mod units;

use kinds::is_word;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use vfio_suite::root::Root;

/// In place of what is not even counted.
pub const MASKED: &str = "masked";

/// Words after which comes what is nobody's business.
const SECRETS: [&str; 20] = [
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "pass",
    "pwd",
    "secret",
    "token",
    "credential",
    "credentials",
    "psk",
    "apikey",
    "api-key",
    "api_key",
    "bearer",
    "authorization",
    "basic",
    "pin",
    "serial",
    "secret-key",
];

/// What is masked on this machine.
#[derive(Default)]
pub struct Mask {
    /// Names, in small letters, each with its kind; by their first letter, the longest first.
    names: BTreeMap<char, Vec<(String, &'static str)>>,
    /// The commands of processes.
    commands: BTreeMap<u32, String>,
    /// What may stand in quotes.
    known: HashSet<String>,
    /// The kernel's release, which may look like a name of the internet.
    kernel: String,
    /// What stands for what, by its kind.
    given: RefCell<BTreeMap<(&'static str, String), usize>>,
    /// How many of each kind there are.
    counts: RefCell<BTreeMap<&'static str, usize>>,
    /// All that stands for something: it is not masked again.
    stand_ins: RefCell<HashSet<String>>,
}

/// What a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Sentences: ours, and what others have logged.
    Prose,
    /// A file of the system's that programs read again.
    File,
    /// The same, where what is not known is a kernel parameter.
    Boot,
    /// What the kernel shows of itself: nobody has given names in it but for those that are known.
    Kernel,
}

impl Mask {
    /// What this machine knows.
    pub fn of(root: &Root) -> Mask {
        sources::read(root)
    }

    /// The text without all that.
    pub fn text(&self, text: &str) -> String {
        text.split_inclusive('\n').map(|line| self.line(line)).collect()
    }

    fn line(&self, line: &str) -> String {
        self.scan(&context::masked(self, line), None, Kind::Prose)
    }

    /// What stands in the place of a thing.
    fn instead(&self, kind: &'static str, thing: &str) -> String {
        if self.stand_ins.borrow().contains(thing) {
            return thing.to_owned();
        }
        let key = (kind, stand_in::known_by(kind, thing).to_lowercase());
        let number = *self.given.borrow_mut().entry(key).or_insert_with(|| {
            let mut counts = self.counts.borrow_mut();
            let count = counts.entry(kind).or_default();
            *count += 1;
            *count
        });
        let shown = stand_in::stand_in(kind, thing, number);
        self.stand_ins.borrow_mut().insert(shown.clone());
        shown
    }

    fn scan(&self, text: &str, mut before: Option<char>, kind: Kind) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            let (length, shown) = self.found(rest, before, kind).unwrap_or_else(|| (next.len_utf8(), next.to_string()));
            out.push_str(&shown);
            before = rest[..length].chars().next_back();
            rest = &rest[length..];
        }
        out
    }

    /// What the text begins with that is masked: its length, and what is shown instead.
    fn found(&self, text: &str, before: Option<char>, kind: Kind) -> Option<(usize, String)> {
        let whole = |(length, kind): (usize, &'static str)| (length, self.instead(kind, &text[..length]));
        if let Some(before) = before.filter(|c| is_word(*c)) {
            return kinds::inside(text, before).map(whole);
        }
        if let Some(length) = self.stand_in_at(text) {
            return Some((length, text[..length].to_owned()));
        }
        if !self.kernel.is_empty() && text.starts_with(&self.kernel) {
            return Some((self.kernel.len(), self.kernel.clone()));
        }
        if kind == Kind::Kernel {
            return self.name(text).or_else(|| kinds::of_kernel(text).map(whole));
        }
        self.url(text)
            .or_else(|| paths::at(text, before).and_then(|cut| self.path(text, &cut)))
            .or_else(|| self.setting(text, before, kind))
            .or_else(|| self.name(text))
            .or_else(|| secret(text))
            .or_else(|| units::at(text).map(|(length, suffix, known)| self.unit(&text[..length], suffix, known)))
            .or_else(|| kinds::at(text).map(whole))
    }

    /// Whether a name stands for another already.
    fn is_stand_in(&self, name: &str) -> bool {
        name == MASKED || self.stand_ins.borrow().contains(name)
    }

    /// The length of what the text begins with, if that stands for something already.
    fn stand_in_at(&self, text: &str) -> Option<usize> {
        let word = |c: char| is_word(c) || matches!(c, '-' | '.' | ':');
        let length = text.find(|c| !word(c)).unwrap_or(text.len());
        let stand_ins = self.stand_ins.borrow();
        // What ends a sentence, or the line number behind a path, is no part of it.
        let mut end = length;
        while end > 0 {
            if text[..end] == *MASKED || stand_ins.contains(&text[..end]) {
                return Some(end);
            }
            end = text[..end].rfind(['-', '.', ':'])?;
        }
        None
    }

    fn path(&self, text: &str, cut: &paths::Cut) -> Option<(usize, String)> {
        if cut.shown == cut.length {
            return None;
        }
        let path = &text[..cut.length];
        // Past its first slash, or it would be found again.
        let shown =
            path[..cut.shown].strip_prefix('/').map(|rest| format!("/{}", self.scan(rest, Some('/'), Kind::Prose)));
        let kind = paths::kind(path);
        let part = |part: &str| kind.map_or_else(|| self.component(part), |kind| self.instead(kind, part));
        let rest: Vec<String> = path[cut.shown..].split('/').map(part).collect();
        Some((cut.length, shown.unwrap_or_default() + &rest.join("/")))
    }

    /// A name of a file or a directory, wherever it is.
    fn component(&self, name: &str) -> String {
        if name.is_empty() || paths::is_common(name) || self.stand_ins.borrow().contains(name) {
            return name.to_owned();
        }
        if let Some((length, shown)) = self.name(name).filter(|(length, _)| *length == name.len()) {
            debug_assert_eq!(length, name.len());
            // Two files must not get one name.
            return if shown == MASKED { self.instead("name", name) } else { shown };
        }
        if let Some((_, kind)) = kinds::at(name).filter(|(length, _)| *length == name.len()) {
            return self.instead(kind, name);
        }
        // What a file ends with says what it is.
        match name.rsplit_once('.').filter(|(stem, end)| !stem.is_empty() && kinds::is_of_file(end)) {
            Some((stem, end)) => format!("{}.{end}", self.component(stem)),
            None => self.instead("name", name),
        }
    }

    fn unit(&self, unit: &str, suffix: &str, known: bool) -> (usize, String) {
        let shown = if known { self.only_names(unit) } else { format!("{}.{suffix}", self.instead("unit", unit)) };
        (unit.len(), shown)
    }

    /// The text without names that the machine knows.
    fn only_names(&self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            let found = if out.ends_with(is_word) { None } else { self.name(rest) };
            let (length, shown) = found.unwrap_or_else(|| (next.len_utf8(), next.to_string()));
            out.push_str(&shown);
            rest = &rest[length..];
        }
        out
    }

    /// A name that the machine knows, in any case of letters.
    fn name(&self, text: &str) -> Option<(usize, String)> {
        let first = text.chars().next()?.to_lowercase().next()?;
        self.names.get(&first)?.iter().find_map(|(name, kind)| {
            let length = starts_with_ignoring_case(text, name)?;
            (!text[length..].starts_with(is_word)).then(|| (length, self.masked_name(kind, name)))
        })
    }

    fn masked_name(&self, kind: &'static str, name: &str) -> String {
        match kind {
            "" => MASKED.to_owned(),
            kind => self.instead(kind, name),
        }
    }

    /// `scheme://...`: the scheme, and libvirt's own places.
    fn url(&self, text: &str) -> Option<(usize, String)> {
        let scheme = text.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '.' | '-')))?;
        let rest = text[scheme..].strip_prefix("://").filter(|_| scheme > 1)?;
        let length =
            rest.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>')).unwrap_or(rest.len());
        let rest = rest[..length].trim_end_matches([',', ';', '.', ')', ':']);
        let length = scheme + 3 + rest.len();
        match rest {
            "/system" | "/session" | "/embed" => Some((length, text[..length].to_owned())),
            _ => Some((length, format!("{}://{}", &text[..scheme], self.instead("address", rest)))),
        }
    }

    /// `KEY=VALUE`: a value that is not among those that are shown; in files only what is a secret, or a kernel parameter.
    fn setting(&self, text: &str, before: Option<char>, kind: Kind) -> Option<(usize, String)> {
        let key = text.find(|c: char| !(is_word(c) || matches!(c, '.' | '-')))?;
        let value = text[key..].strip_prefix('=').filter(|_| key > 0)?;
        let name = &text[..key];
        let length = match before.filter(|c| matches!(c, '"' | '\'')).and_then(|quote| value.find(quote)) {
            Some(end) => end,
            None => value_length(value),
        };
        let (value, quotes) = match value[..length].chars().next().filter(|c| matches!(c, '"' | '\'')) {
            Some(quote) if length > 1 && value[..length].ends_with(quote) => (&value[1..length - 1], quote.to_string()),
            _ => (&value[..length], String::new()),
        };
        let shown = match name {
            "UUID" | "PARTUUID" | "uuid" | "partuuid" | "ID_FS_UUID" | "ID_FS_UUID_ENC" | "ID_PART_ENTRY_UUID" => {
                self.instead("uuid", value)
            }
            "LABEL" | "PARTLABEL" | "label" | "ID_FS_LABEL" | "ID_FS_LABEL_ENC" | "ID_PART_ENTRY_NAME" => {
                self.instead("label", value)
            }
            // The value is looked at for itself.
            name if parameters::is_shown(name) || !is_masked(name, kind) => {
                return Some((key + 1, format!("{}=", self.only_names(name))));
            }
            _ if value.is_empty() => return None,
            _ => MASKED.to_owned(),
        };
        Some((key + 1 + length, format!("{}={quotes}{shown}{quotes}", self.only_names(name))))
    }

    /// Whether something in quotes is of the kind that every machine has.
    fn is_known(&self, quoted: &str) -> bool {
        let known = |word: &str| {
            let word = word.trim_start_matches('-');
            let number = word.trim_end_matches(['K', 'M', 'G', 'T']);
            let number = number.len() <= 8 && number.bytes().all(|b| b.is_ascii_hexdigit() || b == b'x');
            number || self.known.contains(word) || parameters::is_shown(word)
        };
        quoted.split(' ').all(|word| match word.split_once('=') {
            Some((key, _)) if parameters::is_shown(key) => true,
            _ => word.split([',', '=', ':', '.', '/', '@', '[', ']', '<', '>', '(', ')', '?']).all(known),
        })
    }
}

/// Whether the value of a key is masked that is not among those that are shown.
fn is_masked(key: &str, kind: Kind) -> bool {
    let is_secret =
        || key.split(['.', '_', '-']).any(|part| SECRETS.iter().any(|secret| part.eq_ignore_ascii_case(secret)));
    match kind {
        Kind::Prose => true,
        Kind::Boot => key.contains(|c: char| c.is_ascii_lowercase()) || is_secret(),
        Kind::File | Kind::Kernel => is_secret(),
    }
}

/// As far as a value goes: to a blank that is not between double quotes; what ends a sentence is no part of it.
fn value_length(value: &str) -> usize {
    let mut end = 0;
    while let Some(c) = value[end..].chars().next() {
        match c {
            '"' | '\'' => match value[end + 1..].find(c) {
                Some(close) if c == '"' || end == 0 => end += close + 2,
                _ => break,
            },
            c if c.is_whitespace() => break,
            c => end += c.len_utf8(),
        }
    }
    value[..end].trim_end_matches([',', ';', ')', '.', ':']).len()
}

/// The length of what `text` begins with, if that is `small` but for the case of its letters.
fn starts_with_ignoring_case(text: &str, small: &str) -> Option<usize> {
    let mut letters = small.chars();
    let mut length = 0;
    for c in text.chars() {
        if letters.as_str().is_empty() {
            break;
        }
        for lower in c.to_lowercase() {
            if letters.next() != Some(lower) {
                return None;
            }
        }
        length += c.len_utf8();
    }
    letters.as_str().is_empty().then_some(length)
}

/// A word that says that a secret follows, and that.
fn secret(text: &str) -> Option<(usize, String)> {
    let word = text.find(|c: char| !(is_word(c) || c == '-'))?;
    if !SECRETS.iter().any(|secret| text[..word].eq_ignore_ascii_case(secret)) {
        return None;
    }
    let between = text[word..].find(|c: char| !matches!(c, ' ' | ':' | '=' | '\'' | '"'))?;
    // "serial number", "the password is".
    let more = ["number", "no", "is", "was"].iter().find_map(|more| {
        let rest = &text[word + between + starts_with_ignoring_case(&text[word + between..], more)?..];
        let blank = rest.find(|c: char| !matches!(c, ' ' | ':' | '=' | '.'))?;
        (blank > 0).then_some(more.len() + blank)
    });
    let between = between + more.unwrap_or(0);
    let follows = &text[word + between..];
    let length = match kinds::token(follows) {
        0 => follows.chars().next().map_or(0, char::len_utf8),
        length => length,
    };
    // There are serial buses.
    let number = more.is_some() || follows[..length].contains(|c: char| c.is_ascii_digit());
    let is_one = number || !text[..word].eq_ignore_ascii_case("serial");
    (between > 0 && is_one && !follows.starts_with(['\n', '<', '(', '/', '{', '[']))
        .then(|| (word + between + length, format!("{}{MASKED}", &text[..word + between])))
}

/// Names by their first letter.
fn by_letter(names: Vec<(String, &'static str)>) -> BTreeMap<char, Vec<(String, &'static str)>> {
    let mut letters: BTreeMap<char, Vec<(String, &'static str)>> = BTreeMap::new();
    for (name, kind) in names {
        if let Some(first) = name.chars().next() {
            letters.entry(first).or_default().push((name, kind));
        }
    }
    letters
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    pub(super) fn mask() -> Mask {
        let names = [("anna", "user"), ("tower", "host"), ("annas pc", "domain"), ("hunter2", "")];
        let commands = BTreeMap::from([(712, "annas secret".to_owned()), (713, "gnome-shell".to_owned())]);
        let known = ["vfio", "check", "device", "bind", "guest", "gpu", "big", "rom", "bar2"].map(str::to_owned).into();
        let names = names.map(|(name, kind)| (name.to_owned(), kind)).to_vec();
        let names = by_letter(names);
        Mask { names, commands, known, kernel: "6.12.94-tower".to_owned(), ..Mask::default() }
    }

    /// Whatever stands around it, and whatever the text is.
    #[test]
    fn a_secret_is_found_in_any_sentence() {
        use proptest::prelude::*;
        const SECRETS: [&str; 14] = [
            "0b8e1a2c-1234-4abc-9def-0123456789ab",
            "52:54:00:12:34:56",
            "192.168.178.20",
            "fe80::1a2b:3cff:fe4d:5e6f",
            "anna.smith@example.com",
            "nas.corp.example.com",
            "01D9A3B4C5D6E7F8",
            "wwn-0x5000c500a1b2c3d4",
            "nqn.2014-08.org.nvmexpress:uuid:0b8e1a2c",
            "/home/annas/file",
            "/dev/mapper/vg-annas",
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA",
            "annas pc",
            "https://intranet/annas",
        ];
        let text = || {
            let pieces = prop::sample::select(
                &[" ", "'", "\"", "(pid 7", ")", "=", "ü", "\u{3000}", "password", "run '", "/", ":", "session 1 of "]
                    [..],
            );
            prop::collection::vec(
                prop_oneof![pieces.prop_map(str::to_owned), ".*".prop_map(|any| any.chars().take(5).collect())],
                0..6,
            )
            .prop_map(|pieces| pieces.concat())
        };
        let before = prop::sample::select(&[" ", "(", "\"", ", ", "[", ": ", "x=", "<", "> "][..]);
        let behind = prop::sample::select(&[" ", ") ", "\" ", ", ", ". ", "; ", "] ", "\n", ": "][..]);
        let mask = mask();
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
            failure_persistence: None,
            cases: 2000,
            ..ProptestConfig::default()
        });
        runner
            .run(
                &(text(), before, prop::sample::select(&SECRETS[..]), behind, text()),
                |(start, before, secret, behind, end)| {
                    let text = format!("{start}{before}{secret}{behind}{end}");
                    let shown = mask.text(&text);
                    prop_assert!(!shown.contains(secret), "{text:?}: {shown:?}");
                    Ok(())
                },
            )
            .unwrap();
    }

    /// What our own sentences have in quotes is shown.
    #[test]
    fn our_own_words_are_known() {
        let mask = Mask::of(&Root::open(tempfile::tempdir().unwrap().path()).unwrap());
        let mut todo = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
        let (mut unknown, mut seen) = (Vec::new(), 0);
        while let Some(path) = todo.pop() {
            if path.is_dir() {
                todo.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
                continue;
            }
            let name = path.to_str().unwrap();
            // The explanations of codes are not part of a report.
            if !name.ends_with(".rs") || name.ends_with("tests.rs") || name.contains("/finding/codes/") {
                continue;
            }
            let source = std::fs::read_to_string(&path).unwrap();
            let source = source.split("#[cfg(test)]").next().unwrap();
            let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
            for quoted in code.filter(|line| line.contains('"')).flat_map(|line| line.split(" '").skip(1)) {
                let Some((quoted, behind)) = quoted.split_once('\'') else { continue };
                // Neither a character of Rust nor what is put in.
                let ours = quoted.len() > 2 && !quoted.contains(['{', '"', '\\']) && !behind.starts_with(is_word);
                seen += usize::from(ours);
                if ours && !mask.is_known(quoted) && !quoted.starts_with('/') {
                    unknown.push(quoted.to_owned());
                }
            }
        }
        unknown.sort();
        unknown.dedup();
        assert!(seen > 50 && unknown.is_empty(), "{seen}: {unknown:#?}");
    }

    #[test]
    fn what_tells_whose_machine_it_is_is_masked_and_nothing_else() {
        for (text, expected) in [
            ("root=UUID=0b8e1a2c-1234-4abc-9def-0123456789ab ro", "root=masked ro"),
            (
                "UUID=1A2B-3C4D and PARTUUID=1a2b3c4d-02 LABEL=Annas PARTLABEL=x",
                "UUID=0000-0001 and PARTUUID=00000000-02 LABEL=label-1 PARTLABEL=label-2",
            ),
            ("luks-0b8e1a2c-1234-4abc-9def-0123456789ab", "luks-00000000-0000-0000-0000-000000000001"),
            ("/efi/0123456789abcdef0123456789abcdef-6.12.conf", "/efi/00000000000000000000000000000001-6.12.conf"),
            ("52:54:00:12:34:56 and 0000:03:00.0", "02:00:00:00:00:01 and 0000:03:00.0"),
            ("/home/anna/x of anna on Tower, annas towers", "/home/user-1/name-1 of user-1 on host-1, annas towers"),
            (
                "ANNA anna 192.168.1.2 and 192.168.1.3, 192.168.1.2",
                "user-1 user-1 198.18.0.1 and 198.18.0.2, 198.18.0.1",
            ),
            ("1002:73bf 10de:2204 6.12.94-tower über", "1002:73bf 10de:2204 6.12.94-tower über"),
            (
                "'quiet' \"iommu=pt video=efifb:off\" vfio_pci.ids=10de:1e87",
                "'quiet' \"iommu=pt video=efifb:off\" vfio_pci.ids=10de:1e87",
            ),
            ("rd.luks.key=\"a b\" net.x='c d' y", "rd.luks.key=\"masked\" net.x='masked' y"),
            ("qemu:///system qemu+ssh://anna@nas/system, x", "qemu:///system qemu+ssh://address-1, x"),
            (
                "--password hunter3 Password: x1, passphrase 'y z'",
                "--password masked Password: masked, passphrase 'masked'",
            ),
            (
                "Serial Number: AB1, serial AB2, the passphrase is xyz",
                "Serial Number: masked, serial masked, the passphrase is masked",
            ),
            ("serial bus", "serial bus"),
            ("it is hunter2 as HUNTER2", "it is masked as masked"),
            (
                "annas secret (pid 712, user bob, annas.service) has /dev/dri/card0 open",
                "process-1 (pid 712, user user-1, unit-1.service) has /dev/dri/card0 open",
            ),
            (
                "held by gnome-shell (pid 713, user 1000, session-2.scope)",
                "held by gnome-shell (pid 713, user 1000, session-2.scope)",
            ),
            ("ask gone app (pid 9) to end", "ask process-1 (pid 9) to end"),
            ("end session 2 of CORP\\bob on seat0", "end session 2 of user-1 on seat0"),
            ("has the keyboard 'Bob's board', and", "has the keyboard 'name-1', and"),
            ("carries a part of the LVM volume vg-bob (sda)", "carries a part of the LVM volume volume-1 (sda)"),
            ("run '/bin/x --key abc'", "run 'command-1'"),
            ("annas pc runs", "domain-1 runs"),
            ("'vfio check' names 'device', not 'my word'", "'vfio check' names 'device', not 'masked'"),
            ("vfio-bind@anna.service", "vfio-bind@user-1.service"),
        ] {
            assert_eq!(mask().text(text), expected);
        }
    }
}
