// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio report`: what a bug report needs, without what tells whose machine it is.

use crate::output::Output;
use crate::{check, cmdline, doctor, groups, guest, plan, status, CmdlineVerb, GuestVerb, DONE};
use serde::Serialize;
use std::time::Duration;
use vfio_suite::act::tools::tools_for;
use vfio_suite::root::Root;

/// How long the journal may take.
const JOURNAL: Duration = Duration::from_secs(20);

#[derive(Serialize)]
struct Section {
    /// What was asked.
    what: &'static str,
    /// The verb's exit code; null where no verb was asked.
    code: Option<u8>,
    /// What it said.
    text: String,
}

#[derive(Serialize)]
struct Answer {
    sections: Vec<Section>,
}

type Verb = fn(&Root, &Output) -> anyhow::Result<u8>;

/// What is asked, in this order. None of them changes anything.
const ASKED: [(&str, Verb); 7] = [
    ("vfio check", check::run),
    ("vfio groups", groups::run),
    ("vfio plan", plan::run),
    ("vfio status", status::run),
    ("vfio cmdline status", |root, out| cmdline::run(root, out, &CmdlineVerb::Status)),
    ("vfio guest list", |root, out| guest::run(root, out, &GuestVerb::List)),
    ("vfio doctor", |root, out| doctor::run(root, out, None)),
];

/// Prints everything.
pub fn run(root: &Root, out: &Output) -> anyhow::Result<u8> {
    let hidden = hidden(root);
    let section = |what, code, text: &str| Section { what, code, text: masked(text, &hidden) };
    let mut sections = vec![section("versions", None, &versions(root))];
    for (what, verb) in ASKED {
        let kept = Output::kept();
        let code = match verb(root, &kept) {
            Ok(code) => Some(code),
            // One that cannot answer is part of the report.
            Err(error) => {
                kept.line(format_args!("{error:#}"))?;
                None
            }
        };
        sections.push(section(what, code, &kept.into_text()));
    }
    sections.push(section("journal", None, &journal(root)));
    if out.is_json() {
        out.json("vfio.report/1", &Answer { sections })?;
        return Ok(DONE);
    }
    let mut text = out.lines();
    text.line("Names of users and hosts, UUIDs, MAC addresses and disks' serial numbers are masked. Read it before you send it.");
    for section in sections {
        let code = section.code.map(|code| format!(" (exit code {code})")).unwrap_or_default();
        text.line("");
        text.line(out.bold(&format!("== {}{code}", section.what)));
        text.lines(if section.text.is_empty() { "nothing" } else { &section.text });
    }
    out.text(&text)?;
    Ok(DONE)
}

/// What runs here.
fn versions(root: &Root) -> String {
    let first = |path: &str| root.read_text(path).ok().and_then(|text| text.lines().next().map(str::to_owned));
    let release =
        root.read_text("etc/os-release").or_else(|_| root.read_text("usr/lib/os-release")).unwrap_or_default();
    let system = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).unwrap_or("not known");
    let or_unknown = |text: Option<String>| text.unwrap_or_else(|| "not known".to_owned());
    format!(
        "vfio-suite {}\nsystem: {}\nkernel: {}\ncommand line: {}\n",
        env!("CARGO_PKG_VERSION"),
        system.trim_matches('"'),
        or_unknown(first("proc/sys/kernel/osrelease")),
        or_unknown(first("proc/cmdline")),
    )
}

/// What the units said in this boot.
fn journal(root: &Root) -> String {
    if !root.is_system() {
        return "not asked: this is a tree, not the running system\n".to_owned();
    }
    let words = "journalctl --boot --lines=300 --no-pager --no-hostname --output=short-monotonic --unit=vfio-*";
    let words: Vec<&str> = words.split(' ').collect();
    tools_for(root).run(&words, JOURNAL).unwrap_or_else(|error| format!("journalctl: {error}\n"))
}

/// Words that tell whose machine it is, and what stands in their place.
fn hidden(root: &Root) -> Vec<(String, &'static str)> {
    let mut hidden = Vec::new();
    let host = root.read_text("proc/sys/kernel/hostname").or_else(|_| root.read_text("etc/hostname"));
    for part in host.unwrap_or_default().trim().split('.') {
        if part.len() > 2 && !matches!(part, "localhost" | "localdomain" | "local" | "lan" | "home") {
            hidden.push((part.to_owned(), "(host)"));
        }
    }
    for line in root.read_text("etc/passwd").unwrap_or_default().lines() {
        let mut fields = line.split(':');
        let (name, id) = (fields.next(), fields.nth(1).and_then(|id| id.parse::<u32>().ok()));
        // People, not services.
        if let (Some(name), Some(1000..=60000)) = (name, id) {
            hidden.push((name.to_owned(), "(user)"));
        }
    }
    hidden
}

/// The text without what tells whose machine it is.
fn masked(text: &str, hidden: &[(String, &'static str)]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let before = out.chars().next_back();
        let boundary = !before.is_some_and(is_word);
        let found = boundary
            .then(|| {
                number(rest).or_else(|| hidden.iter().find_map(|(word, mask)| whole(rest, word).map(|n| (n, *mask))))
            })
            .flatten()
            // Inside a longer word: "luks-" before a UUID.
            .or_else(|| (!before.is_some_and(|c| c.is_ascii_hexdigit())).then(|| uuid(rest)).flatten());
        match found {
            Some((length, mask)) => {
                out.push_str(mask);
                rest = &rest[length..];
            }
            None => {
                out.push(next);
                rest = &rest[next.len_utf8()..];
            }
        }
        // A disk's name has its serial number.
        if out.ends_with("/disk/by-id/") {
            let length = rest.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',')).unwrap_or(rest.len());
            out.push_str("(disk)");
            rest = &rest[length..];
        }
    }
    out
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The length of `word`, if the text begins with it and it ends there.
fn whole(text: &str, word: &str) -> Option<usize> {
    let rest = text.strip_prefix(word)?;
    (!rest.starts_with(is_word)).then_some(word.len())
}

/// Whether the text begins with groups of so many hexadecimal digits, and ends or goes on with something else.
fn hex_groups(text: &str, groups: &[usize], between: char) -> Option<usize> {
    let mut rest = text;
    for (index, length) in groups.iter().enumerate() {
        if index > 0 {
            rest = rest.strip_prefix(between)?;
        }
        let group = rest.get(..*length)?;
        if !group.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        rest = &rest[*length..];
    }
    (!rest.starts_with(|c: char| is_word(c) || c == between)).then_some(text.len() - rest.len())
}

fn uuid(text: &str) -> Option<(usize, &'static str)> {
    hex_groups(text, &[8, 4, 4, 4, 12], '-').map(|length| (length, "(uuid)"))
}

/// A MAC address, a machine's id, the id of a FAT file system.
fn number(text: &str) -> Option<(usize, &'static str)> {
    let mac = || hex_groups(text, &[2; 6], ':').map(|length| (length, "(mac)"));
    let machine = || hex_groups(text, &[32], '\0').map(|length| (length, "(id)"));
    let fat = || hex_groups(text, &[4, 4], '-').map(|length| (length, "(uuid)"));
    uuid(text).or_else(mac).or_else(machine).or_else(fat)
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn what_tells_whose_machine_it_is_is_masked_and_nothing_else() {
        let hidden = [("anna".to_owned(), "(user)"), ("tower".to_owned(), "(host)")];
        for (text, expected) in [
            ("root=UUID=0b8e1a2c-1234-4abc-9def-0123456789ab ro", "root=UUID=(uuid) ro"),
            ("rd.luks.uuid=luks-0b8e1a2c-1234-4abc-9def-0123456789ab", "rd.luks.uuid=luks-(uuid)"),
            ("UUID=1A2B-3C4D /boot/efi", "UUID=(uuid) /boot/efi"),
            ("/efi/0123456789abcdef0123456789abcdef-6.12.conf", "/efi/(id)-6.12.conf"),
            ("machine 0123456789abcdef0123456789abcdef", "machine (id)"),
            ("52:54:00:12:34:56 and 0000:03:00.0", "(mac) and 0000:03:00.0"),
            ("/home/anna/x of anna on tower, annas towers", "/home/(user)/x of (user) on (host), annas towers"),
            ("root=/dev/disk/by-id/nvme-Big_500_S4EV-part2 ro", "root=/dev/disk/by-id/(disk) ro"),
            ("1002:73bf 10de:2204 6.12.94+deb13-amd64 über", "1002:73bf 10de:2204 6.12.94+deb13-amd64 über"),
        ] {
            assert_eq!(masked(text, &hidden), expected);
        }
    }
}
