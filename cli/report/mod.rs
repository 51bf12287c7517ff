// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio report`: what a bug report needs, without what tells whose machine it is: what the verbs say of the machine, for people,
//! and a recording of what they have read, on which they say the same again.

mod recording;

use crate::arguments::{CmdlineVerb, DoctorOptions, GuestVerb};
use crate::mask::{parameters, Mask};
use crate::output::Output;
use crate::{cards, check, cmdline, doctor, groups, guest, plan, status, Answer as Exit};
use anyhow::Context;
use rustix::fs::MemfdFlags;
use serde::Serialize;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::OwnedFd;
use std::time::Duration;
use vfio_suite::act::backend::tools_for;
use vfio_suite::host::os_release;
use vfio_suite::root::Root;
use vfio_suite::text;

/// How long the journal may take.
const JOURNAL: Duration = Duration::from_secs(20);
/// Of what is said on standard error no more is shown, in bytes.
const MOST_SAID: u64 = 1 << 16;
/// What is said first.
const NOTICE: &str = "For people it ends with the line '== recording'. Names of users, hosts, networks, disks, guests \
                      and processes, addresses of networks, ids and serial numbers, paths of your own and most kernel \
                      parameters are masked. Read it before you send it.";

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
    /// What `--root` takes in the place of a directory.
    recording: String,
}

type Verb = fn(&Root, &Output) -> anyhow::Result<Exit>;

/// What is asked, in this order. None of them changes anything.
const ASKED: [(&str, Verb); 8] = [
    ("vfio check", |root, out| check::run(root, out, None)),
    ("vfio cards", cards::run),
    ("vfio groups", |root, out| groups::run(root, out, None)),
    ("vfio plan", plan::run),
    ("vfio status", status::run),
    ("vfio cmdline status", |root, out| cmdline::run(root, out, &CmdlineVerb::Status)),
    ("vfio guest list", |root, out| guest::run(root, out, &GuestVerb::List)),
    ("vfio doctor", |root, out| doctor::run(root, out, &DoctorOptions { all: true, ..DoctorOptions::default() })),
];

/// Prints everything.
pub fn run(root: &Root, out: &Output) -> anyhow::Result<Exit> {
    let aside = Aside::begin().context("standard error cannot be put aside")?;
    // What the verbs look at is noted; what is looked at to mask it is not.
    let traced = Root::open(root.path())?.traced();
    let (mut sections, mask) = (sections(&traced), Mask::of(root));
    sections.push(Section { what: "journal", code: None, text: journal(root) });
    let recorded = recording::record(&traced, &mask);
    let said = aside.end().context("standard error")?;
    sections.push(Section { what: "messages", code: None, text: said });
    for section in &mut sections {
        section.text = mask.text(&section.text);
    }
    let recording = recorded?;
    if out.is_json() {
        out.json("vfio.report/1", &Answer { sections, recording })?;
        return Ok(Exit::Done);
    }
    let mut text = out.lines();
    text.line(NOTICE);
    for section in sections {
        let code = section.code.map(|code| format!(" (exit code {code})")).unwrap_or_default();
        text.line("");
        text.line(out.bold(&format!("== {}{code}", section.what)));
        let said = if section.text.is_empty() { "nothing" } else { &section.text };
        // What was said is not a file of anybody's: a tabulator in it is part of a name. No line of it is one of ours.
        let shown = |line: &str| if line.starts_with("== ") { format!(" {line}") } else { line.to_owned() };
        said.lines().for_each(|line| text.line(shown(line)));
    }
    text.line("");
    text.lines(&recording);
    out.text(&text)?;
    Ok(Exit::Done)
}

/// What everything says, not masked yet.
fn sections(root: &Root) -> Vec<Section> {
    let mut sections = vec![Section { what: "versions", code: None, text: versions(root) }];
    for (what, verb) in ASKED {
        let kept = Output::kept();
        let (code, error) = match verb(root, &kept) {
            Ok(code) => (Some(code), String::new()),
            // One that cannot answer is part of the report.
            Err(error) => (None, format!("{}\n", text::line(&format!("{error:#}")))),
        };
        sections.push(Section { what, code: code.map(|code| code as u8), text: kept.into_text() + &error });
    }
    sections
}

/// Standard error while the verbs are asked: what they, libraries and children say there is a part of the report, and
/// nowhere to be seen as it was said.
struct Aside {
    before: OwnedFd,
    said: File,
}

impl Aside {
    fn begin() -> io::Result<Aside> {
        let before = rustix::io::fcntl_dupfd_cloexec(io::stderr(), 3)?;
        let said = File::from(rustix::fs::memfd_create("report", MemfdFlags::CLOEXEC)?);
        rustix::stdio::dup2_stderr(&said)?;
        Ok(Aside { before, said })
    }

    /// What was said; standard error is as it was.
    fn end(mut self) -> io::Result<String> {
        rustix::stdio::dup2_stderr(&self.before)?;
        self.said.rewind()?;
        let mut bytes = Vec::new();
        self.said.take(MOST_SAID).read_to_end(&mut bytes)?;
        Ok(text::lines(&String::from_utf8_lossy(&bytes)).into_owned())
    }
}

/// What runs here. Of the system only what is the same wherever it runs.
fn versions(root: &Root) -> String {
    let release = os_release::read(root);
    let value = |key: &str| {
        let value = os_release::value(&release, key)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        (value.chars().all(plain) && value.len() <= 24).then(|| value.to_owned())
    };
    let system: Vec<String> = ["ID", "VERSION_ID", "VARIANT_ID"].into_iter().filter_map(value).collect();
    let or_unknown = |text: String| if text.is_empty() { "not known".to_owned() } else { text };
    let first = |path: &str| root.read_text(path).unwrap_or_default().lines().next().unwrap_or_default().to_owned();
    // Ends of lines between quotes are a part of it.
    let line = text::line(&root.read_text("proc/cmdline").unwrap_or_default()).into_owned();
    format!(
        "vfio-suite {}\nsystem: {}\nkernel: {}\ncommand line: {}\n",
        env!("CARGO_PKG_VERSION"),
        or_unknown(system.join(" ")),
        or_unknown(first("proc/sys/kernel/osrelease")),
        or_unknown(parameters::shown(&line)),
    )
}

/// What the units said in this boot.
fn journal(root: &Root) -> String {
    let words = "journalctl --boot --lines=300 --no-pager --no-hostname --output=short-monotonic --unit=vfio-*";
    let words: Vec<&str> = words.split(' ').collect();
    match tools_for(root).run(&words, JOURNAL) {
        Ok(said) => text::lines(&said).into_owned(),
        Err(error) => format!("journalctl: {}\n", text::line(&error.to_string())),
    }
}
