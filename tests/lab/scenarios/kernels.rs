// SPDX-License-Identifier: LGPL-2.1-or-later
//! What kernels are known to do when a BAR is resized, what we make of it, and what must be true on any kernel.

use crate::checks::{has, Checks};
use crate::qemu::Outcome;
use anyhow::Result;
use std::collections::BTreeMap;

/// The kernels that were measured, by the first numbers of their releases. A newer one is compared with the last of its
/// series, or else with the last that is older.
const KERNELS: [&str; 4] = ["6.1.176", "6.12.107", "6.12.117", "7.3.4"];

/// An answer of each of them.
type Answers = [&'static str; 4];

/// The same of all of them.
const fn all(answer: &'static str) -> Answers {
    [answer; 4]
}

/// What is asked of the kernel alone, without any program of ours: how a write to `resourceN_resize` ended and the sizes of
/// both BARs then, or driver and sizes after a rescan.
const KERNEL: &[(&str, Answers)] = &[
    ("card", all("0x1002 0x73bf 0x030000 256M 128M")),
    ("offers", all("000000000001ff00 00000000000001fe ")),
    ("no_such", all("Invalid argument, 256M 128M")),
    ("bound", all("Device or resource busy, 256M 128M")),
    ("grow", all("ok, 8192M 128M")),
    ("shrink", all("ok, 8192M 8M")),
    ("back", all("ok, 256M 8M")),
    // No room below the root bus.
    ("no_room", all("No space left on device, 256M 128M")),
    ("no_room.then", all("ok, 8192M 128M")),
    // A neighbour has a place in the window.
    ("pinned", all("16M 16M")),
    (
        "pinned.grow",
        [
            "No such file or directory, 16M 16M",
            "No space left on device, 16M 16M",
            "No space left on device, 16M 16M",
            "No space left on device, 16M 16M",
        ],
    ),
    ("pinned.shrink", ["No such file or directory, 16M 16M", "ok, 16M 8M", "ok, 16M 8M", "ok, 16M 8M"]),
    // A BAR has no place, and the window cannot move.
    ("cramped", all("32M nowhere")),
    (
        "cramped.shrink",
        [
            "Device or resource busy, 32M nowhere",
            "No such file or directory, 32M nowhere",
            "No such file or directory, 32M nowhere",
            "Invalid argument, 32M nowhere",
        ],
    ),
    // On the root bus.
    ("bare", all("16M 16M")),
    ("bare.grow", all("ok, 512M 16M")),
    (
        "bare.no_room",
        ["ok, nowhere 16M", "ok, nowhere 16M", "No space left on device, 16M 16M", "No space left on device, 16M 16M"],
    ),
    // By remove and rescan.
    ("rescan.grow", all("none 8192M 128M")),
    ("rescan.back", all("none 256M 128M")),
    ("rescan.no_room", all("none nowhere nowhere")),
    ("rescan.no_room.back", all("none 256M 128M")),
    ("rescan.16G", all("none 16384M 16M")),
    ("rescan.8G", all("none 8192M 16M")),
];

/// A run of a program of ours: exit code, driver, and the sizes of both BARs then.
struct Run {
    fact: &'static str,
    /// What of the kernel's answers it hangs on.
    hangs_on: &'static [&'static str],
    answers: Answers,
    /// What it says, where the kernel answers as known.
    says: [&'static [&'static str]; 4],
}

const fn run(fact: &'static str, hangs_on: &'static [&'static str], answers: Answers) -> Run {
    Run { fact, hangs_on, answers, says: [&[]; 4] }
}

const fn says(run: Run, words: &'static [&'static str]) -> Run {
    Run { says: [words; 4], ..run }
}

const LOST: &[&str] = &["0000:00:06.0 has no place for its BAR 0 any more", "reboot"];
const LESS: &[&str] = &["0000:00:06.0: BAR 0 gets 16G instead of 64G", "root bus"];
const ANEW_16G: &[&str] = &["0000:02:00.0: BAR 0 is 16G now, not 64G: the kernel finds no place for it"];

const OURS: &[Run] = &[
    run("boot", &["grow", "shrink"], all("0 vfio-pci 8192M 8M")),
    run("boot.restored", &["grow", "shrink", "back"], all("0 none 256M 128M")),
    says(
        run("too_much", &["grow", "shrink", "no_room"], all("0 vfio-pci 16384M 8M")),
        &["BAR 0 gets 16G instead of 64G", "root bus"],
    ),
    run("too_much.restored", &["grow", "shrink", "back"], all("0 none 256M 128M")),
    says(
        run(
            "pinned.bound",
            &["pinned", "pinned.grow", "pinned.shrink"],
            ["0 vfio-pci 16M 16M", "0 vfio-pci 32M 16M", "0 vfio-pci 32M 16M", "0 vfio-pci 32M 16M"],
        ),
        &["the window of bridge 0000:00:03.0 cannot move: 0000:02:00.1 has a place in it too"],
    ),
    run("pinned.restored", &["pinned", "pinned.grow", "pinned.shrink"], all("0 none 16M 16M")),
    says(
        run("shared", &[], all("0 vfio-pci 16M 16M")),
        &["rebar-method = rescan needs a bridge above the card with nothing else below it"],
    ),
    run("shared.restored", &[], all("0 none 16M 16M")),
    says(run("bare.bound", &["bare", "bare.grow"], all("0 vfio-pci 16384M 16M")), LESS),
    run("bare.restored", &["bare", "bare.grow"], all("0 none 16M 16M")),
    Run {
        fact: "lost",
        hangs_on: &["bare", "bare.grow", "bare.no_room"],
        answers: ["1 none nowhere 16M", "1 none nowhere 16M", "0 vfio-pci 16384M 16M", "0 vfio-pci 16384M 16M"],
        says: [LOST, LOST, LESS, LESS],
    },
    says(run("anew", &["rescan.16G", "rescan.8G"], all("0 vfio-pci 16384M 16M")), ANEW_16G),
    run("anew.restored", &["rescan.16G", "rescan.8G"], all("0 none 16M 16M")),
];

/// What the boots left: facts, and files by name.
#[derive(Debug, Default, Clone)]
pub struct Found {
    facts: BTreeMap<String, String>,
    says: BTreeMap<String, String>,
}

impl Found {
    /// All of one boot.
    pub fn new(run: &Outcome) -> Self {
        let says = OURS.iter().map(|ours| (ours.fact.to_owned(), run.text(&format!("{}.says", ours.fact))));
        Found { facts: run.facts().clone(), says: says.filter(|(_, text)| !text.is_empty()).collect() }
    }

    /// And another.
    pub fn add(&mut self, other: Found) {
        self.facts.extend(other.facts);
        self.says.extend(other.says);
    }

    fn fact(&self, name: &str) -> &str {
        self.facts.get(name).map_or("", String::as_str)
    }

    fn said(&self, name: &str) -> &str {
        self.says.get(name).map_or("", String::as_str)
    }
}

/// What there is to say about a kernel, and what is wrong with us.
#[derive(Debug, Default)]
pub struct Verdict {
    pub said: Vec<String>,
    pub wrong: Vec<String>,
}

/// The numbers that a release begins with.
fn numbers(release: &str) -> [u32; 3] {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap_or(0));
    [(); 3].map(|()| numbers.next().unwrap_or(0))
}

/// The measured kernel that a release is compared with: the last of the same series, else the last before it.
fn nearest(release: &str) -> usize {
    let of = numbers(release);
    let rank = |n: &usize| {
        let known = numbers(KERNELS[*n]);
        (known[..2] == of[..2], known == of, known <= of, known)
    };
    (0..KERNELS.len()).max_by_key(rank).unwrap_or(0)
}

/// Judges what a kernel answered, and what we made of it.
pub fn judge(found: &Found) -> Verdict {
    let mut verdict = Verdict::default();
    let release = found.fact("kernel");
    let known = nearest(release);
    let asked = |name: &str| KERNEL.iter().find(|(fact, _)| *fact == name).map_or("", |(_, answers)| answers[known]);
    let otherwise: Vec<&str> =
        KERNEL.iter().map(|(fact, _)| *fact).filter(|fact| found.fact(fact) != asked(fact)).collect();
    let mut differs: Vec<String> =
        otherwise.iter().map(|fact| format!("{fact}: {:?}, not {:?}", found.fact(fact), asked(fact))).collect();
    for ours in OURS {
        verdict.wrong.extend(unsafe_of(ours.fact, found));
        let (is, says) = (found.fact(ours.fact), found.said(ours.fact));
        let (desired, words) = (ours.answers[known], ours.says[known]);
        let same = is == desired && (words.is_empty() || has(says, words));
        if same {
            continue;
        }
        let text = format!("{}: {is:?}, not {desired:?} with {words:?}; it says {:?}", ours.fact, says.trim_end());
        // What follows from another answer of the kernel is no fault of ours.
        if ours.hangs_on.iter().any(|fact| otherwise.contains(fact)) {
            differs.push(text);
        } else {
            verdict.wrong.push(text);
        }
    }
    if !differs.is_empty() {
        let ours = if verdict.wrong.is_empty() {
            "what we make of it is safe: no BAR is lost unsaid, and all is given back"
        } else {
            "and what we make of it is NOT safe"
        };
        let series = KERNELS[known];
        verdict.said.push(format!(
            "lab: kernel {release} answers otherwise than known of {series}: {}. {ours}; tests/lab/scenarios/kernels.rs \
             and docs/REBAR.md want a new column",
            differs.join("; ")
        ));
    }
    verdict
}

/// What is not safe about a run of ours, whatever the kernel does: a BAR that is lost is said and the card gets no driver,
/// otherwise vfio has it; another size than the one that was there is given back; and nothing else has moved.
fn unsafe_of(fact: &str, found: &Found) -> Vec<String> {
    let mut wrong = Vec::new();
    let (is, says) = (found.fact(fact), found.said(fact));
    let was = found.fact(&format!("{fact}.was"));
    let mut words = is.split(' ');
    let (code, driver) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let now: Vec<&str> = words.collect();
    let lost = now.len() != 2 || now.contains(&"nowhere");
    let shown = format!("{fact}: {is:?} after {was:?}; it says {:?}", says.trim_end());
    let quiet = lost && !(says.contains("has no place for its BAR") && says.contains("reboot"));
    if quiet || (lost && (driver != "none" || code == "0")) {
        wrong.push(format!("a lost BAR must be said, with no driver and no success: {shown}"));
    }
    let restored = fact.ends_with(".restored");
    if !lost && (code != "0" || driver != if restored { "none" } else { "vfio-pci" }) {
        wrong.push(format!("nothing is lost, so it must come about: {shown}"));
    }
    let first = fact.strip_suffix(".restored").map(|bound| match bound {
        "pinned" => "pinned.bound.was".to_owned(),
        "bare" => "bare.bound.was".to_owned(),
        _ => format!("{bound}.was"),
    });
    if let Some(first) = first.filter(|first| !lost && found.fact(first) != now.join(" ")) {
        wrong.push(format!("what was there at first ({}) must be back: {shown}", found.fact(&first)));
    }
    if found.fact(&format!("{fact}.others")) != "same" {
        wrong.push(format!("nothing else may move: {shown}"));
    }
    wrong
}

/// The judge himself, without a machine.
pub fn verdicts() -> Result<()> {
    let mut checks = Checks::default();
    for (column, kernel) in KERNELS.iter().enumerate() {
        let verdict = judge(&as_known(kernel, column));
        checks.same(kernel, (verdict.said.len(), verdict.wrong), (0, Vec::<String>::new()));
    }
    // The next kernel of the series loses what an older one lost, and we say so.
    let mut other = as_known("6.12.130+deb13-amd64", 2);
    for fact in ["bare.no_room", "lost"] {
        other.facts.insert(fact.to_owned(), as_known("", 1).fact(fact).to_owned());
    }
    other.says.insert("lost".to_owned(), LOST.join(" "));
    let verdict = judge(&other);
    checks.same("a loss that is said", verdict.wrong, Vec::<String>::new());
    let words = ["kernel 6.12.130+deb13-amd64 answers otherwise than known of 6.12.117: bare.no_room: ", "is safe"];
    checks.line("what is said of it", &verdict.said.join("\n"), &words);
    for (fact, is, says, wrong) in [
        ("lost", "0 vfio-pci nowhere 16M", LOST.join(" "), "a lost BAR must be said"),
        ("lost", "1 none nowhere 16M", String::new(), "a lost BAR must be said"),
        ("lost", "1 none 16M 16M", String::new(), "nothing is lost, so it must come about"),
        ("lost.others", "moved", String::new(), "nothing else may move"),
        ("bare.restored", "0 none 512M 16M", String::new(), "what was there at first"),
        // Safe, but of an answer that this kernel has given as known.
        ("boot", "0 vfio-pci 256M 128M", String::new(), "boot: \"0 vfio-pci 256M 128M\", not"),
    ] {
        let mut unsafe_one = other.clone();
        unsafe_one.facts.insert(fact.to_owned(), is.to_owned());
        unsafe_one.says.insert("lost".to_owned(), says);
        let verdict = judge(&unsafe_one);
        checks.line(&format!("{fact}: {is}"), &verdict.wrong.join("\n"), &[wrong]);
        checks.line("what is said of it", &verdict.said.join("\n"), &["NOT safe"]);
    }
    checks.done()
}

/// What boots of a kernel leave that is as one column.
fn as_known(kernel: &str, column: usize) -> Found {
    let mut found = Found::default();
    let mut fact = |name: &str, value: &str| found.facts.insert(name.to_owned(), value.to_owned());
    fact("kernel", kernel);
    for (name, answers) in KERNEL {
        fact(name, answers[column]);
    }
    for run in OURS {
        let sizes = |answer: &str| {
            answer.rsplitn(3, ' ').take(2).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join(" ")
        };
        let first = OURS.iter().find(|other| {
            run.fact.split('.').next() == other.fact.split('.').next() && other.fact.ends_with(".restored")
        });
        fact(run.fact, run.answers[column]);
        fact(&format!("{}.others", run.fact), "same");
        fact(
            &format!("{}.was", run.fact),
            &first.map_or_else(|| "16M 16M".to_owned(), |first| sizes(first.answers[column])),
        );
    }
    for run in OURS {
        found.says.insert(run.fact.to_owned(), run.says[column].join(" "));
    }
    found
}
