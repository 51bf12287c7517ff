// SPDX-License-Identifier: LGPL-2.1-or-later
//! Sessions with the real programs: `tests/golden/sessions/NAME.txt`. The machines are layouts, described after public reports
//! of such machines, and none is a recording (`tests/hosts/README.md`); the kernel and the system's programs are the simulator.
//!
//! The first lines name the machine and write its configuration; then each line that begins with `$ ` runs a command,
//! and what it printed follows. `UPDATE_GOLDEN=1 cargo test --test sessions` writes what is found; read the difference.
//!
//! Besides our programs there are: `put FILE TEXT...` (writes a file of the tree), `tear FILE TEXT...` (the same without a
//! last newline; `\n` in TEXT and NEW begins a line), `cdrom FILE` (an image of a CD-ROM), `replace FILE OLD NEW`, `cut FILE` (removes it), `drivers ADDRESS...` (who has a function, and its
//! override), `show PATH` (a file, or every file and link below, with contents), `boot ID` (the machine after a reboot: host drivers
//! have everything, /run is empty, /etc and /var are as they were), `desktop VIDEO SOUND` (somebody is logged in there),
//! `process PID COMMAND UID CGROUP NODE...` (has these device nodes open), `login ID SEAT USER UID PID NODE...` (a session with
//! such a compositor), `seat ADDRESS SEAT` (a display has a seat of its own),
//! `domain NAME ADDRESS...` (defines one of libvirt's with these host devices), `sim WORDS...` (the simulator runs a program
//! of the system, or a guest's end: `guest-ends`). `vfio-libvirt-hook` gets the domain's description, as from libvirt.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{desktop, domain, hosts, Tree};
use std::fmt::Write;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// One run of a session: its text with what was found in place of what was expected.
fn run(text: &str) -> String {
    let mut lines = text.lines().peekable();
    let mut found = String::new();
    let first = lines.next().unwrap();
    writeln!(found, "{first}").unwrap();
    let machine = first.strip_prefix("machine: ").expect("the first line names the machine");
    let mut tree = hosts::unpack(machine);
    let mut config = String::new();
    while let Some(line) = lines.next_if(|l| !l.starts_with("$ ")) {
        writeln!(found, "{line}").unwrap();
        writeln!(config, "{}", line.trim_start()).unwrap();
    }
    tree.config(&config);
    tree.write("proc/sys/kernel/random/boot_id", "boot-1\n");
    for line in lines.filter(|l| l.starts_with("$ ")) {
        writeln!(found, "{line}").unwrap();
        if let Some(id) = line.strip_prefix("$ boot ") {
            tree = boot(machine, &tree, id);
            continue;
        }
        let output = command(&tree, &line[2..]).replace(&tree.path().display().to_string(), "ROOT");
        output.lines().for_each(|line| writeln!(found, "{line}").unwrap());
    }
    found
}

/// The machine after a reboot.
fn boot(machine: &str, before: &Tree, id: &str) -> Tree {
    let tree = hosts::unpack(machine);
    for kept in ["etc", "var/lib/vfio"] {
        let copied =
            Command::new("cp").arg("-a").arg(before.join(kept)).arg(tree.join(kept).parent().unwrap()).status();
        assert!(!before.exists(kept) || copied.unwrap().success());
    }
    tree.write("proc/sys/kernel/random/boot_id", &format!("{id}\n"));
    tree
}

/// Text in which `\n` begins a new line.
fn lines(text: &str) -> String {
    text.replace("\\n", "\n")
}

fn command(tree: &Tree, line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    match words[..] {
        ["put", file, ..] => tree.write(file, &format!("{}\n", lines(&words[2..].join(" ")))),
        ["cdrom", file] => tree.write(file, &format!("{}CD001", "\0".repeat(32769))),
        ["tear", file, ..] => tree.write(file, &words[2..].join(" ")),
        ["replace", file, old, new] => {
            let text = tree.read(file);
            assert!(text.contains(old), "{file} has no {old}");
            tree.write(file, &text.replace(old, &lines(new)));
        }
        ["cut", file] => tree.remove(file),
        ["desktop", video, sound] => desktop::desktop(tree, video, Some(sound)),
        ["process", pid, command, uid, cgroup, ..] => {
            let open: Vec<String> = words[5..].iter().map(|node| (*node).to_owned()).collect();
            desktop::process(tree, pid.parse().unwrap(), command, uid.parse().unwrap(), cgroup, &open);
        }
        ["login", id, seat, user, uid, pid, ..] => {
            let open: Vec<String> = words[6..].iter().map(|node| (*node).to_owned()).collect();
            desktop::logged_in(tree, (id, seat), (user, uid.parse().unwrap()), pid.parse().unwrap(), &open);
        }
        ["seat", address, seat] => desktop::on_seat(tree, address, seat),
        ["domain", name, ..] => domain::domain(tree, name, &words[2..], &[]),
        ["sim", ..] => return program_output(tree, "vfio-sim", &[&["run"], &words[1..]].concat()),
        ["drivers", ..] => {
            return words[1..].iter().fold(String::new(), |mut text, address| {
                let driver = tree.driver(address).unwrap_or_else(|| "-".to_owned());
                writeln!(text, "{address} {driver} {}", tree.attribute(address, "driver_override").trim()).unwrap();
                text
            });
        }
        ["show", file] if tree.join(file).is_file() => return tree.read(file),
        ["show", dir] => return show(&tree.join(dir), ""),
        [program, ..] => return program_output(tree, program, &words[1..]),
        [] => unreachable!("a split gives at least one part"),
    }
    String::new()
}

/// What a program of ours printed: standard output, then errors, then the exit code if it is not 0.
fn program_output(tree: &Tree, program: &str, arguments: &[&str]) -> String {
    let path = match program {
        "vfio" => env!("CARGO_BIN_EXE_vfio"),
        "vfio-sim" => env!("CARGO_BIN_EXE_vfio-sim"),
        "vfio-bind" => env!("CARGO_BIN_EXE_vfio-bind"),
        "vfio-sync" => env!("CARGO_BIN_EXE_vfio-sync"),
        "vfio-guest" => env!("CARGO_BIN_EXE_vfio-guest"),
        "vfio-libvirt-hook" => env!("CARGO_BIN_EXE_vfio-libvirt-hook"),
        "vfio-generator" => env!("CARGO_BIN_EXE_vfio-generator"),
        "vfio-udev" => env!("CARGO_BIN_EXE_vfio-udev"),
        other => panic!("no such command in a session: {other}"),
    };
    let description = arguments.first().map(|name| tree.join(&format!(".kernel/domains/{name}.xml")));
    let input = match description.filter(|file| program == "vfio-libvirt-hook" && file.exists()) {
        Some(file) => File::open(file).unwrap().into(),
        None => Stdio::null(),
    };
    let output = Command::new(path)
        .arg0(program)
        .args(arguments)
        .current_dir(tree.path())
        .env_clear()
        .env("VFIO_ROOT", tree.path())
        .stdin(input)
        .output()
        .unwrap();
    let mut text = String::from_utf8(output.stdout).unwrap();
    text.push_str(&String::from_utf8(output.stderr).unwrap());
    if output.status.code() != Some(0) {
        writeln!(text, "[{}]", output.status).unwrap();
    }
    text
}

/// A directory as text.
fn show(dir: &Path, prefix: &str) -> String {
    let mut text = String::new();
    let Ok(entries) = std::fs::read_dir(dir) else { return text };
    let mut entries: Vec<_> = entries.map(|e| e.unwrap()).collect();
    entries.sort_by_key(|e| e.file_name());
    for entry in entries {
        let name = format!("{prefix}{}", entry.file_name().into_string().unwrap());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() && name.ends_with("guest-progress") {
            // Has times in it.
        } else if kind.is_dir() {
            text.push_str(&show(&entry.path(), &format!("{name}/")));
        } else if kind.is_symlink() {
            writeln!(text, "{name} -> {}", std::fs::read_link(entry.path()).unwrap().display()).unwrap();
        } else {
            writeln!(text, "{name}").unwrap();
            let content = std::fs::read_to_string(entry.path()).unwrap();
            content.lines().for_each(|line| writeln!(text, "    {line}").unwrap());
        }
    }
    text
}

#[test]
fn sessions_go_as_recorded() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/sessions");
    let mut wrong = Vec::new();
    let mut names: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|e| e.unwrap().path()).collect();
    names.sort();
    assert!(names.len() >= 10, "the sessions are not where they should be");
    for path in names {
        let expected = std::fs::read_to_string(&path).unwrap();
        let found = run(&expected);
        if found == expected {
            continue;
        }
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, found).unwrap();
        } else {
            let line = expected.lines().zip(found.lines()).position(|(e, f)| e != f).unwrap_or(0);
            let at = |text: &str| text.lines().skip(line).take(4).collect::<Vec<_>>().join("\n");
            wrong.push(format!(
                "{}:{}\nexpected:\n{}\nfound:\n{}\n",
                path.display(),
                line + 1,
                at(&expected),
                at(&found)
            ));
        }
    }
    assert!(wrong.is_empty(), "{}\nUPDATE_GOLDEN=1 writes what is found", wrong.join("\n"));
}
