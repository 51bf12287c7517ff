// SPDX-License-Identifier: LGPL-2.1-or-later
//! Random files of every grammar, as people and tools write them. For each: applied twice is applied once, and a revert gives the
//! same bytes (`common::boot::applied`); and what the file's reader makes of it with our parameters is what it made of it
//! without, and ours behind that. The reader is a shell where a shell reads the file. The other loaders' own are programs of the
//! firmware: what they do is written down here once more, from their source, without any code of ours.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::boot::applied;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use std::fs;
use std::process::{Command, Stdio};
use vfio_suite::host::boot::Format;
use vfio_suite::plan::cmdline::format;
use vfio_suite::plan::cmdline::parameters::is_there;

type Lines = Vec<Vec<String>>;

/// A command line's parameters: parted at white space outside double quotes (`lib/cmdline.c`, `next_arg`).
fn split(line: &str) -> Vec<String> {
    let (mut found, mut open) = (vec![String::new()], false);
    for c in line.chars() {
        open ^= c == '"';
        match found.last_mut() {
            Some(last) if open || !c.is_ascii_whitespace() => last.push(c),
            _ => found.push(String::new()),
        }
    }
    found.retain(|parameter| !parameter.is_empty());
    found
}

/// What is required.
fn required() -> impl Strategy<Value = Vec<String>> {
    let parameters = ["iommu=pt", "intel_iommu=on", "a=\"b c\"", "x=$y", "z=`\\'", "d=1,2;3"];
    proptest::sample::subsequence(parameters.to_vec(), 1..=3)
        .prop_map(|list| list.into_iter().map(str::to_owned).collect())
}

/// A command line as somebody writes it; empty ones too.
fn line() -> impl Strategy<Value = String> {
    let parameters = [
        "root=UUID=12-34",
        "ro",
        "quiet",
        "console=ttyS0,115200n8",
        "note=\"a b\"",
        "iommu=pt",
        "intel_iommu=sm_on,on",
        "d=1",
        "na\u{ef}ve=\u{e9}",
        "$kernelopts",
        "x='y'",
        "rd.luks.name=a=b",
    ];
    let part = (select(parameters.to_vec()), select(vec![" ", " ", "  ", "\t"]))
        .prop_map(|(word, blank)| format!("{word}{blank}"));
    (vec(part, 0..6), any::<bool>()).prop_map(|(parts, trim)| {
        let line = parts.concat();
        // systemd-boot takes quotes away that are around all of it.
        let line = if line.starts_with("note=") { format!("ro {line}") } else { line };
        if trim {
            line.trim_end().to_owned()
        } else {
            line
        }
    })
}

/// Lines in some order, with some of others between them, and a line end behind the last or none.
fn file(lines: Vec<String>, noise: &'static [&'static str]) -> impl Strategy<Value = String> {
    let gaps = vec(proptest::option::of(select(noise)), lines.len() + 1);
    (gaps, any::<bool>()).prop_map(move |(gaps, ended)| {
        let mut all: Vec<&str> = Vec::new();
        for (at, gap) in gaps.iter().enumerate() {
            all.extend(gap.iter().copied());
            all.extend(lines.get(at).map(String::as_str));
        }
        format!("{}{}", all.join("\n"), if ended { "\n" } else { "" })
    })
}

/// What must be true of a file and of the same with what is required.
fn check(format: Format, text: &str, required: &[String], read: impl Fn(&str) -> Lines) {
    let new = applied(format, text, required).unwrap_or_else(|problem| panic!("{format:?}: {problem}\n{text}"));
    let (old, new_lines) = (read(text), read(&new));
    assert_eq!(old.len(), new_lines.len(), "{format:?}\n{text}\n->\n{new}");
    for (old, new_line) in old.iter().zip(&new_lines) {
        let missing = required.iter().filter(|parameter| !is_there(parameter, old));
        let expected: Vec<String> = old.iter().chain(missing).cloned().collect();
        assert_eq!(*new_line, expected, "{format:?}\n{text}\n->\n{new}");
    }
}

/// A shell's arrays and variables after it has read a file: each value, by the name.
fn sourced(text: &str, script: &str) -> Lines {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("file"), text).unwrap();
    let mut command = Command::new("bash");
    command.args(["-c", script]).current_dir(directory.path()).stdin(Stdio::null());
    let ran = command.output().unwrap();
    assert!(ran.status.success() && ran.stderr.is_empty(), "{}\n{text}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap().split_terminator('\0').map(split).collect()
}

fn variable(name: &str) -> impl Fn(&str) -> Lines {
    let script = format!(". ./file >/dev/null; printf '%s\\0' \"${name}\"");
    move |text| sourced(text, &script)
}

/// A value in one of a shell's quotes.
fn quoted(value: &str, quote: u8) -> String {
    match quote {
        0 if !value.contains('\'') => format!("'{value}'"),
        1 => value.chars().map(|c| format!("\\{c}")).collect(),
        2 => format!("\"\"'{}'", value.replace('\'', "'\\''")),
        _ => {
            format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$").replace('`', "\\`"))
        }
    }
}

const SHELL: &[&str] = &[
    "# GRUB_CMDLINE_LINUX_DEFAULT=\"no\"",
    "GRUB_TIMEOUT=5",
    "GRUB_DISTRIBUTOR=`echo Debian`",
    "",
    "if [ -e /nonexistent ]; then\n\tX=1\nfi",
    "export Y='a b'",
    "echo \"$Y\" # GRUB_CMDLINE_LINUX=x",
];

/// Assignments of a variable: set, set anew, added to, by itself.
fn assignments(name: &'static str) -> impl Strategy<Value = String> {
    let one = (line(), 0..4u8, 0..5u8).prop_map(move |(value, quote, how)| match how {
        0 => format!("{name}=\"${name} \"{}", quoted(&value, quote)),
        1 => format!("{name}+=\" \"{}", quoted(&value, quote)),
        2 => format!("export {name}={}", quoted(&value, 3)),
        _ => format!("{name}={}", quoted(&value, quote)),
    });
    vec(one, 0..4).prop_flat_map(|lines| file(lines, SHELL))
}

/// What the files of limine-entry-tool say of command lines: in quotes or not, set or added to.
fn lists() -> impl Strategy<Value = String> {
    let one = || (line(), any::<bool>(), select(vec!["=", "+="]));
    // Those of one kernel stand together.
    (vec(one(), 0..3), vec(one(), 0..3)).prop_flat_map(|(first, second)| {
        let of = |key: &'static str| {
            move |(value, in_quotes, operator): (String, bool, &str)| match (
                in_quotes || value.ends_with('"'),
                operator,
            ) {
                (false, "=") => format!("KERNEL_CMDLINE[{key}]={value}"),
                (_, operator) => format!("  KERNEL_CMDLINE[{key}]{operator}\" {value}\""),
            }
        };
        file(first.into_iter().map(of("default")).chain(second.into_iter().map(of("linux-lts"))).collect(), SHELL)
    })
}

/// limine-entry-tool reads no shell: a value is what stands on its line, without the quotes around all of it; `=` begins again,
/// `+=` adds (its `/etc/limine-entry-tool.conf`, "Kernel Command Line Configuration").
fn limine_values(text: &str) -> Lines {
    let mut found: [Option<String>; 2] = [None, None];
    for line in text.lines() {
        for (key, value) in ["KERNEL_CMDLINE[default]", "KERNEL_CMDLINE[linux-lts]"].iter().zip(&mut found) {
            let Some((operator, rest)) = line.trim().strip_prefix(key).and_then(|rest| rest.split_once('=')) else {
                continue;
            };
            let rest = rest.trim();
            let bare = rest.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(rest);
            let before = value.take().filter(|_| operator == "+").unwrap_or_default();
            *value = Some(before + bare);
        }
    }
    found.into_iter().flatten().map(|value| split(&value)).collect()
}

/// The `options` of an entry. systemd-boot joins them all (boot.c, `boot_entry_add_type1`), GRUB takes the first (blsuki.c).
fn options_of(text: &str) -> Lines {
    let key = |line: &str| line.trim_start().split([' ', '\t']).next().unwrap_or_default().to_owned();
    let value = |line: &str| split(&line.trim_start()["options".len()..]);
    text.lines().filter(|line| key(line) == "options").map(value).collect()
}

fn entry() -> impl Strategy<Value = String> {
    const OTHERS: &[&str] =
        &["# options no", "title   Linux", "version 6.12", "machine-id 5f", "initrd /initrd", "grub_arg --x"];
    vec(line(), 0..3).prop_flat_map(|options| {
        let options = options.into_iter().filter(|line| !line.trim().is_empty());
        let lines = std::iter::once("linux /vmlinuz".to_owned()).chain(options.map(|line| format!("options {line}")));
        file(lines.collect(), OTHERS)
    })
}

/// kernel-install takes all lines that are not comments for one.
fn plain_lines(text: &str) -> Lines {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    vec![split(&lines.join(" "))]
}

/// The quoted texts of a line of rEFInd's: a quote within is doubled (config.c, `KeepReading`).
fn quoted_texts(line: &str) -> Vec<String> {
    let mut rest = line.trim_start();
    let mut found = Vec::new();
    while let Some(inside) = rest.strip_prefix('"') {
        let hidden = inside.replace("\"\"", "\u{1}\u{1}");
        let end = hidden.find('"').unwrap_or(hidden.len());
        found.push(inside[..end].replace("\"\"", "\""));
        rest = inside[end..].trim_start_matches('"').trim_start();
    }
    found
}

fn refind_text(line: &str) -> String {
    format!("\"{}\"", line.trim().replace('"', "\"\""))
}

fn refind_linux_lines(text: &str) -> Lines {
    let options = |line: &str| quoted_texts(line).into_iter().nth(1).map(|options| split(&options));
    text.lines().filter(|line| !line.starts_with('#')).filter_map(options).collect()
}

/// What each entry of rEFInd's menu starts with: a stanza's options, and those of what is inside it in their place or added
/// (config.c, `AddStanzaEntries`, `AddSubmenu`).
fn stanza_lines(text: &str) -> Lines {
    let (mut lines, mut own): (Lines, Vec<String>) = (Vec::new(), Vec::new());
    for line in text.lines().map(str::trim_start) {
        let (key, value) = line.split_once(' ').unwrap_or((line, ""));
        let options = || quoted_texts(value).first().map(|options| split(options)).unwrap_or_default();
        match key {
            "menuentry" => own.clear(),
            // The stanza's own, which stand before what is inside it.
            "options" if !line.ends_with("# inner") => {
                own = options();
                lines.push(own.clone());
            }
            "options" => lines.push(options()),
            "add_options" => lines.push(own.iter().cloned().chain(options()).collect()),
            _ => {}
        }
    }
    lines
}

fn limine_lines(text: &str) -> Lines {
    let value = |line: &str| {
        let (key, value) = line.trim_start().split_once(':')?;
        let key = key.to_ascii_lowercase();
        matches!(key.as_str(), "cmdline" | "kernel_cmdline").then(|| split(value))
    };
    text.lines().filter_map(value).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn etc_kernel_cmdline(lines in vec(line(), 0..3).prop_flat_map(|lines| file(lines, &["# iommu=pt", "  # x", ""])), required in required()) {
        check(Format::Plain, &lines, &required, plain_lines);
    }

    /// What sdbootutil's reader makes of it (`create_boot_options`): a line without a line end is not there.
    #[test]
    fn lines_that_a_script_reads(text in vec(line(), 0..3).prop_flat_map(|lines| file(lines, &["# iommu=pt", "  # x", ""])), required in required()) {
        let script = "while read -r line; do [[ \"$line\" == '#'* ]] && continue; all=\"${all:+$all }${line}\"; done <file\n\
                      printf '%s\\0' \"$all\"";
        check(Format::ReadLines, &text, &required, |text| sourced(text, script));
    }

    /// What proxmox-boot-tool's reader makes of it (`get_first_line`).
    #[test]
    fn the_first_line(lines in vec(line(), 1..4), ended in any::<bool>(), required in required()) {
        let script = "while IFS= read -r line || [ -n \"$line\" ]; do break; done <file; printf '%s\\0' \"$line\"";
        let text = format!("root=ZFS=rpool {}{}", lines.join("\n"), if ended { "\n" } else { "" });
        check(Format::FirstLine, &text, &required, |text| sourced(text, script));
    }

    #[test]
    fn entries(text in entry(), required in required()) {
        let new = applied(Format::Bls, &text, &required).unwrap();
        let (mut old, new) = (options_of(&text), options_of(&new));
        let there = old.concat();
        let missing: Vec<String> = required.into_iter().filter(|parameter| !is_there(parameter, &there)).collect();
        match old.first_mut() {
            Some(first) => first.extend(missing),
            None if missing.is_empty() => {}
            None => old.push(missing),
        }
        prop_assert_eq!(old, new, "{}", text);
    }

    #[test]
    fn refind_linux(lines in vec(line(), 1..4), required in required()) {
        let lines: Vec<String> = lines.iter().enumerate().map(|(n, line)| format!("\"Boot {n}\"  {}", refind_text(line))).collect();
        check(Format::RefindLinux, &format!("# x\n{}\n", lines.join("\n")), &required, refind_linux_lines);
    }

    #[test]
    fn refind_stanzas(stanzas in vec((line(), proptest::option::of(line()), proptest::option::of(line())), 1..3), required in required()) {
        let mut text = String::from("timeout 5\n");
        for (number, (own, instead, added)) in stanzas.iter().enumerate() {
            text += &format!("menuentry \"{number}\" {{\n  loader /vmlinuz\n  options {}\n", refind_text(own));
            if let Some(line) = instead {
                text += &format!("  submenuentry \"a\" {{\n    options {} # inner\n  }}\n", refind_text(line));
            }
            if let Some(line) = added {
                text += &format!("  submenuentry \"b\" {{\n    add_options {}\n  }}\n", refind_text(line));
            }
            text += "}\n";
        }
        let new = applied(Format::Refind, &text, &required).unwrap_or_else(|problem| panic!("{problem}\n{text}"));
        let (old, new_lines) = (stanza_lines(&text), stanza_lines(&new));
        prop_assert_eq!(old.len(), new_lines.len());
        for (old, new_line) in old.iter().zip(&new_lines) {
            prop_assert!(required.iter().all(|parameter| is_there(parameter, new_line)), "{}", new);
            // What is added to options comes behind ours in them: the rest is as it was, in order.
            let mut rest = new_line.iter();
            prop_assert!(old.iter().all(|parameter| rest.any(|other| other == parameter)), "{}\n{}", text, new);
            prop_assert!(new_line.len() <= old.len() + required.len(), "{}", new);
        }
    }

    #[test]
    fn limine(entries in vec((line(), select(vec!["cmdline", "kernel_cmdline", "CMDLINE"])), 1..4), required in required()) {
        let entry = |(number, (line, key)): (usize, &(String, &str))| {
            format!("{}Linux {number}\n    protocol: linux\n    path: boot():/vmlinuz\n    {key}: {line}\n", "/".repeat(1 + number % 2))
        };
        let text = format!("timeout: 5\n# cmdline: no\n{}", entries.iter().enumerate().map(entry).collect::<String>());
        check(Format::Limine, &text, &required, |text| limine_lines(text.split_once("no\n").unwrap().1));
    }

    #[test]
    fn grub_default(text in assignments("GRUB_CMDLINE_LINUX_DEFAULT"), required in required()) {
        check(Format::GrubDefault, &text, &required, variable("GRUB_CMDLINE_LINUX_DEFAULT"));
    }

    #[test]
    fn grub_linux(text in assignments("GRUB_CMDLINE_LINUX"), required in required()) {
        check(Format::GrubLinux, &text, &required, variable("GRUB_CMDLINE_LINUX"));
    }

    #[test]
    fn sdboot_manage(text in assignments("LINUX_OPTIONS"), required in required()) {
        check(Format::SdbootManage, &text, &required, variable("LINUX_OPTIONS"));
    }

    /// Where nothing is set, nothing is put in.
    #[test]
    fn limine_default(text in lists(), required in required()) {
        check(Format::LimineDefault, &text, &required, limine_values);
    }

    /// The same from a shell's file of another tool, and of Void's kernel hook.
    #[test]
    fn limine_shell(text in assignments("LIMINE_CMDLINE_LINUX_DEFAULT"), required in required()) {
        check(Format::LimineShell, &text, &required, variable("LIMINE_CMDLINE_LINUX_DEFAULT"));
    }

    #[test]
    fn void_hook(text in assignments("CMDLINE"), required in required()) {
        check(Format::VoidHook, &text, &required, variable("CMDLINE"));
    }

    /// A drop-in of ours behind what somebody else says.
    #[test]
    fn grub_drop_in(line in line(), required in required()) {
        let old = format!("GRUB_CMDLINE_LINUX_DEFAULT={}\n", quoted(&line, 3));
        let read = variable("GRUB_CMDLINE_LINUX_DEFAULT");
        let ours = format::whole(Format::GrubDropIn, &required);
        let expected: Vec<String> = read(&old)[0].iter().chain(&required).cloned().collect();
        prop_assert_eq!(&read(&format!("{old}{ours}"))[0], &expected);
        prop_assert_eq!(format::our_parameters(Format::GrubDropIn, &ours), Some(required));
    }
}
