// SPDX-License-Identifier: LGPL-2.1-or-later
//! The recording in a report: the files that the verbs have read, masked, and what the system's programs told them.

use crate::mask::Mask;
use anyhow::Context;
use std::collections::BTreeMap;
use vfio_suite::act::boot::unpack::unpacker_for;
use vfio_suite::host::initramfs::image::Seen;
use vfio_suite::plan::logs::search::{LogForm, Patterns};
use vfio_suite::recording::collect::{self, Recorded};
use vfio_suite::recording::{answers, image, render, Node, Nodes, BEGIN, END};
use vfio_suite::root::Root;
use vfio_suite::trace::{Answer, Outcome};

/// What systemd says of a unit of a guest that has failed, which is no trouble by itself.
const FAILED: &str = "vfio-guest@*: Failed with result ";
/// What libvirt writes first when it starts a domain.
const START: &str = "starting up libvirt version";

/// The text of the recording of what was looked at by way of this root.
pub fn record(root: &Root, mask: &Mask) -> anyhow::Result<String> {
    let recorded = collect::collect(root, unpacker_for(root).as_ref()).context("the machine cannot be recorded")?;
    let patterns = Patterns::of_all_rules().context("the rules are too many")?;
    let Recorded { nodes, answers, images, damaged, programs, left_out } = recorded;
    let mut nodes: Nodes =
        nodes.into_iter().map(|(path, node)| (path.clone(), of_log(mask, &patterns, &path, node))).collect();
    for (path, mut sections) in programs {
        let seen = images.get(&path).map(|seen| image::image(&masked(mask, seen)));
        let seen = seen.or_else(|| damaged.get(&path).cloned()).unwrap_or_default();
        for (name, content) in &mut sections.all {
            match *name {
                ".initrd" => content.clone_from(&seen),
                ".cmdline" => *content = mask.command_line(&String::from_utf8_lossy(content)).into_bytes(),
                ".osrel" => *content = mask.file("etc/os-release", std::mem::take(content)),
                ".uname" | ".sdmagic" => {}
                _ => content.clear(),
            }
        }
        put(&mut nodes, path, sections.program());
    }
    let made = images.into_iter().map(|(path, seen)| (path, image::image(&masked(mask, &seen))));
    for (path, content) in made.chain(damaged) {
        if matches!(nodes.get(&path), Some(Node::File(_, content)) if content.is_empty()) {
            put(&mut nodes, path, content);
        }
    }
    let mut made = Nodes::new();
    // What was made here is masked, and is not text.
    nodes.retain(|path, node| match node {
        Node::File(_, content) if content.starts_with(b"MZ") || content.starts_with(b"070701") => {
            made.insert(mask.file_path(path), node.clone());
            false
        }
        _ => true,
    });
    let mut nodes = mask.nodes(nodes);
    nodes.extend(made);
    let answers: BTreeMap<Vec<String>, Answer> =
        answers.into_iter().map(|(words, answer)| answered(mask, &patterns, words, answer)).collect();
    nodes.extend(answers::files(&answers));
    let left_out: String = left_out.iter().map(|path| format!("# left out: /{}\n", mask.file_path(path))).collect();
    Ok(format!("{BEGIN}\n{left_out}{}{END}\n", render(&nodes)))
}

fn put(nodes: &mut Nodes, path: String, content: Vec<u8>) {
    let mode = match nodes.get(&path) {
        Some(Node::File(mode, _)) => *mode,
        _ => 0o644,
    };
    nodes.insert(path, Node::File(mode, content));
}

fn masked(mask: &Mask, seen: &Seen) -> Seen {
    let text = |(path, text): &(String, Option<Vec<u8>>)| {
        (mask.file_path(path), text.as_ref().map(|text| mask.file(path, text.clone())))
    };
    Seen { files: seen.files.iter().map(text).collect(), ..seen.clone() }
}

/// Of a log the lines that a rule knows.
fn of_log(mask: &Mask, patterns: &Patterns, path: &str, node: Node) -> Node {
    let form = match path {
        _ if path.starts_with("var/log/libvirt/") => LogForm::Domain,
        _ if path.starts_with("var/log/audit/") => LogForm::Audit,
        _ => return node,
    };
    let Node::File(mode, content) = node else { return node };
    Node::File(mode, lines(mask, patterns, form, &String::from_utf8_lossy(&content)).into_bytes())
}

fn lines(mask: &Mask, patterns: &Patterns, form: LogForm, text: &str) -> String {
    let mut known: BTreeMap<usize, String> = BTreeMap::new();
    let place = |line: &str| line.as_ptr() as usize - text.as_ptr() as usize;
    for (line, pattern) in patterns.known_lines(form, text) {
        known.insert(place(line), mask.log_line(line, pattern));
    }
    // What a guest's failed start and a new start are known by.
    for line in text.lines() {
        if line.contains("vfio-guest@") && line.contains(": Failed with result ") {
            known.insert(place(line), mask.log_line(line, FAILED));
        } else if form == LogForm::Domain && line.contains(START) {
            let at = line.find(START).unwrap_or_default();
            known.insert(place(line), format!("{}{START}", mask.text(&line[..at])));
        }
    }
    known.into_values().map(|line| format!("{line}\n")).collect()
}

/// A question and its answer.
fn answered(mask: &Mask, patterns: &Patterns, words: Vec<String>, answer: Answer) -> (Vec<String>, Answer) {
    let printed = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["journalctl", ..] => lines(mask, patterns, LogForm::Journal, &answer.printed),
        ["virsh", .., "dumpxml", _, _] | ["virsh", .., "dumpxml", _] => mask.xml(&answer.printed),
        _ if answer.printed.trim_start().starts_with('<') => mask.xml(&answer.printed),
        ["getent", "passwd", ..] => {
            String::from_utf8_lossy(&mask.file("etc/passwd", answer.printed.into_bytes())).into_owned()
        }
        _ => mask.printed(&answer.printed),
    };
    let outcome = match answer.outcome {
        Outcome::Failed(line) => Outcome::Failed(mask.text(&line)),
        other => other,
    };
    (words.iter().map(|word| mask.printed(word)).collect(), Answer { outcome, printed })
}
