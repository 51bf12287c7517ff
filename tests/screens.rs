// SPDX-License-Identifier: LGPL-2.1-or-later
//! What every verb has in common: its exit codes mean the same, its help has an example, its lines fit the terminal, and colour is
//! only where it shows. `UPDATE_GOLDEN=1 cargo test --test screens` writes `tests/golden/screens/`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::desktop::desktop;
use common::domain::domain;
use common::{hosts, Tree};
use std::path::Path;
use std::process::{Command, Stdio};

const VFIO: &str = env!("CARGO_BIN_EXE_vfio");

/// A card that a guest has while it runs, with these lines more.
fn machine(more: &str) -> Tree {
    let tree = hosts::unpack("igpu-amd");
    tree.config(&format!("[gpu big]\ndevice = 0000:03:00.0\nbind = guest\n[guest win10]\ngpus = big\n{more}"));
    domain(&tree, "win10", &["0000:03:00.0", "0000:03:00.1"], &[]);
    tree.write("proc/cmdline", "quiet intel_iommu=on iommu=pt\n");
    tree
}

/// A machine in some state, and what each verb that only looks answers on it: `check`, `plan`, `status`, `guest list`,
/// `guest status win10`, `guest plan win10`.
const VERBS: [&str; 6] = ["check", "plan", "status", "guest list", "guest status win10", "guest plan win10"];

#[test]
fn exit_codes_mean_the_same_for_every_verb() {
    let put = |tree: &Tree, path: &str, text: &str| tree.write(path, text);
    type Change<'a> = &'a dyn Fn(&Tree);
    let states: [(&str, &str, Change<'_>, [i32; 6]); 6] = [
        ("all is well", "", &|_| {}, [0, 0, 0, 0, 0, 0]),
        ("a warning in the configuration", "colour = red\n", &|_| {}, [1, 1, 1, 1, 1, 1]),
        ("an error in the configuration", "[gpu other]\ndevice = moon\n", &|_| {}, [2, 2, 2, 2, 2, 2]),
        ("a card that is refused", "[gpu bridge]\ndevice = 0000:00:01.0\n", &|_| {}, [2, 1, 1, 0, 0, 0]),
        ("a domain that is not there", "domain = win11\n", &|_| {}, [0, 0, 0, 0, 0, 1]),
        (
            "a start that failed",
            "",
            &|tree| {
                put(tree, "run/vfio/guest-status/win10", r#"{"guest":"win10","outcome":"failed","why":["it hung"]}"#);
            },
            [0, 0, 0, 1, 1, 0],
        ),
    ];
    for (what, more, change, expected) in states {
        let tree = machine(more);
        change(&tree);
        let codes = VERBS.map(|verb| tree.run(VFIO, &verb.split(' ').collect::<Vec<_>>()).status.unwrap());
        assert_eq!(codes, expected, "{what}: {VERBS:?}");
    }
    let tree = machine("");
    for (words, expected) in [
        (&["gropus"][..], 64),
        (&["guest", "start"], 64),
        (&["doctor", "--only", "moon"], 64),
        (&["explain", "no-such-code"], 64),
        (&["bind", "nothing"], 2),
        (&["guest", "status", "nobody"], 2),
        (&["guest", "plan", "nobody"], 2),
        (&["groups", "--gpu", "0000:ff:00.0"], 2),
        (&["groups", "--gpu", "moon"], 2),
        (&["groups", "--gpu", "03:00"], 0),
        (&["check", "/no/such/file"], 2),
        (&["sync", "--dry-run"], 0),
    ] {
        let ran = tree.run(VFIO, words);
        assert_eq!(ran.status, Some(expected), "{words:?}: {} {}", ran.stdout, ran.stderr);
    }
}

/// What changes a card says to programs whether it has, and whether a reboot is required, as sync and setup do.
#[test]
fn what_was_changed_is_said_to_programs() {
    let tree = machine("");
    for (words, changed) in [
        (&["restore", "big"][..], false),
        (&["bind", "big"], true),
        (&["bind", "big"], false),
        (&["rebar", "set", "big", "0=512M", "--dry-run"], false),
        (&["rebar", "set", "big", "0=512M"], true),
        (&["restore", "big"], true),
        (&["restore", "big"], false),
    ] {
        let ran = tree.run(VFIO, &[&["--json"], words].concat());
        let answer: serde_json::Value =
            serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{words:?}: {ran:?}"));
        assert_eq!(answer["changed"], changed, "{words:?}: {}", ran.stdout);
        assert_eq!((&answer["reboot"], ran.status), (&false.into(), Some(0)), "{words:?}: {}", ran.stdout);
    }
    // A card that does not answer stays where it is until the next boot.
    tree.write("run/vfio/dead/big", "0000:03:00.0 does not answer\n");
    let ran = tree.run(VFIO, &["--json", "bind", "big"]);
    assert!(ran.stdout.contains(r#""changed":false,"reboot":true"#), "{} {}", ran.stdout, ran.stderr);
    assert_eq!(ran.status, Some(1));
}

/// Regression: what had kept a card from being given back stood there for ever.
#[test]
fn a_reason_that_is_over_is_not_said_any_more() {
    let tree = machine("");
    let status = |outcome: &str| {
        let text = format!(
            r#"{{"gpu":"big","outcome":"{outcome}","why":["[gpu big] was held"],"functions":["0000:03:00.0","0000:03:00.1"]}}"#
        );
        tree.write("run/vfio/status/big", &text);
        let ran = tree.run(VFIO, &["status"]);
        (ran.status, ran.stdout.contains("was held"))
    };
    assert_eq!(status("refused"), (Some(0), false));
    assert_eq!(status("failed"), (Some(0), false));
    assert_eq!(status("stuck"), (Some(1), true));
    tree.write("etc/vfio.conf", "[gpu big]\ndevice = 0000:03:00.0\n");
    assert_eq!(status("refused"), (Some(1), true));
}

#[test]
fn what_is_not_there_is_answered_with_what_is() {
    let tree = machine("domain = win11\n");
    let said = |tree: &Tree| tree.run(VFIO, &["guest", "plan", "win10"]).stdout;
    assert!(
        said(&tree).contains("cannot start domain win11: libvirt has no such domain; it has win10 [domain-unknown]")
    );
    tree.remove(".kernel/domains/win10.xml");
    assert!(said(&tree).contains("cannot start domain win11: libvirt has no domain [domain-unknown]"));
    // Where virsh is not installed.
    tree.faults("run:virsh* ENOENT\n");
    tree.write("etc/os-release", "ID=debian\n");
    let text = said(&tree);
    assert!(text.contains("win11: virsh is not installed: install libvirt-clients [domain-unknown]"), "{text}");
    let text = tree.run(VFIO, &["guest", "start", "nobody"]).stderr;
    assert!(text.contains("there is win10"), "{text}");
    let text = tree.run(VFIO, &["groups", "--gpu", "0000:ff:00.0"]).stderr;
    assert!(text.contains("displays are at 0000:00:02.0, 0000:03:00.0"), "{text}");
}

/// A file is checked before it counts.
#[test]
fn a_file_is_checked_by_itself() {
    let tree = machine("");
    let file = tree.join("etc/new.conf");
    let name = file.to_str().unwrap();
    for (text, code, said) in [
        ("[gpu a]\ndevice = 0000:03:00.0\nbind = guest\n", 0, "gpus: a; guests: none\n"),
        ("[gpu a]\ndevise = 0000:03:00.0\n", 2, "unknown key 'devise'"),
    ] {
        std::fs::write(&file, text).unwrap();
        let ran = tree.run(VFIO, &["check", name]);
        assert_eq!(ran.status, Some(code), "{} {}", ran.stdout, ran.stderr);
        assert!(ran.stdout.contains(said), "{}", ran.stdout);
    }
}

#[test]
fn what_a_sync_would_do_is_shown_and_not_done() {
    let tree = machine("");
    tree.write("etc/vfio.conf", "[gpu big]\ndevice = 0000:03:00.0\n");
    tree.write("proc/cmdline", "quiet\n");
    let before = tree.snapshot();
    let ran = tree.run(VFIO, &["--json", "sync", "--dry-run"]);
    tree.assert_same(&before, "a dry run");
    let answer: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(answer["schema"], "vfio.sync-plan/1");
    assert_eq!(ran.status, Some(1), "{} {}", ran.stdout, ran.stderr);
    assert_eq!(answer["reboot"], true, "the running kernel lacks intel_iommu=on: {answer}");
    let done: serde_json::Value = serde_json::from_str(&tree.run(VFIO, &["--json", "sync"]).stdout).unwrap();
    assert!(done["changed"].is_boolean() && done["reboot"] == true, "{done}");
}

/// The verbs that `vfio --help` lists, or those below another.
fn verbs(above: &[&str]) -> Vec<String> {
    let output = Command::new(VFIO).args(above).arg("--help").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let verb = |line: &str| line.strip_prefix("  ").filter(|l| !l.starts_with(' ')).map(str::to_owned);
    let names = lines.filter_map(verb).map(|line| line.split(' ').next().unwrap_or_default().to_owned());
    names.filter(|name| name != "help").collect()
}

#[test]
fn the_help_of_every_verb_has_an_example() {
    let mut all: Vec<Vec<String>> = Vec::new();
    for verb in verbs(&[]) {
        all.extend(verbs(&[&verb]).into_iter().map(|below| vec![verb.clone(), below]));
        all.push(vec![verb]);
    }
    assert!(all.len() > 30, "{all:?}");
    for words in &all {
        let output = Command::new(VFIO).args(words).arg("--help").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let example = text.lines().find_map(|line| line.strip_prefix("Example: "));
        let example = example.unwrap_or_else(|| panic!("vfio {} --help has no example", words.join(" ")));
        let begin = format!("vfio {}", words.join(" "));
        assert!(example.starts_with(&begin), "{example}");
        // It is one that the command line takes: what is wrong before it is said instead of the help.
        let words = example.split(" > ").next().unwrap().split(' ').skip(1);
        let output = Command::new(VFIO).args(words).arg("--help").output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{example}");
    }
}

/// Screens of one machine: every verb that looks. The first ones part their lines where the terminal ends.
const SCREENS: [&[&str]; 19] = [
    &["groups"],
    &["groups", "--gpu", "03:00.0"],
    &["cards"],
    &["guest", "plan", "win10"],
    &["guest", "list"],
    &["guest", "status", "win10"],
    &["check"],
    &["plan"],
    &["status"],
    &["holders", "big"],
    &["reset"],
    &["reset", "big", "--dry-run"],
    &["rebar"],
    &["rebar", "set", "big", "0=256M", "--dry-run"],
    &["rom", "show", "big"],
    &["cmdline", "status"],
    &["cmdline", "plan"],
    &["sync", "--dry-run"],
    &["doctor"],
];
/// So many of them do.
const PARTED: usize = 3;

/// The machine that they are of.
fn shown() -> Tree {
    let tree = machine("stop-units = ollama.service\n");
    desktop(&tree, "0000:03:00.0", Some("0000:03:00.1"));
    tree
}

/// Compares with a golden file, or writes it.
fn compare(name: &str, screens: &str) {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/screens");
    let file = golden.join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(&golden).unwrap();
        std::fs::write(&file, screens).unwrap();
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(screens, expected, "{}: UPDATE_GOLDEN=1 writes it", file.display());
}

/// Each screen, as a verb shows it in some way.
fn screens(tree: &Tree, show: impl Fn(&[&str]) -> String) -> String {
    let root = tree.path().to_str().unwrap();
    SCREENS.iter().map(|words| format!("$ vfio {}\n{}", words.join(" "), show(words).replace(root, "ROOT"))).collect()
}

/// Without a terminal: what goes to standard output, and behind it what goes to standard error.
fn without_terminal(tree: &Tree, words: &[&str], columns: Option<&str>) -> String {
    let mut command = tree.command(VFIO);
    command.args(words).stdin(Stdio::null()).env_remove("COLUMNS").envs(columns.map(|columns| ("COLUMNS", columns)));
    let output = command.output().unwrap();
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

#[test]
fn lines_fit_the_terminal() {
    let tree = shown();
    for width in ["80", "120"] {
        for words in &SCREENS[..PARTED] {
            for line in without_terminal(&tree, words, Some(width)).lines() {
                assert!(line.chars().count() <= width.parse().unwrap(), "{width}: {line}");
            }
        }
        compare(&format!("{width}.txt"), &screens(&tree, |words| without_terminal(&tree, words, Some(width))));
    }
}

/// What goes into a pipe or a file is for other programs: a line each, however long.
#[test]
fn a_pipe_gets_a_line_each() {
    let tree = shown();
    let piped = screens(&tree, |words| without_terminal(&tree, words, None));
    assert!(!piped.contains('\u{1b}'), "{piped}");
    for function in tree.functions() {
        let begin = format!("- {function}  ");
        let line = lines_of_groups(&piped).find(|line| line.contains(&begin));
        assert!(
            line.is_some_and(|line| line.contains("driver") || line.contains("bridge") || line.contains("bound")),
            "{function}: {line:?}"
        );
    }
    assert!(piped.lines().any(|line| line.chars().count() > 130), "{piped}");
    compare("pipe.txt", &piped);
}

/// The lines of `vfio groups`.
fn lines_of_groups(piped: &str) -> impl Iterator<Item = &str> {
    piped.lines().skip(1).take_while(|line| !line.starts_with('$'))
}

/// On a terminal (script(1)) with these variables: what a verb prints.
fn on_terminal(tree: &Tree, words: &[&str], variables: &[(&str, &str)]) -> String {
    let mut command = Command::new("script");
    let words = format!("{VFIO} --root {} {}", tree.path().display(), words.join(" "));
    command.args(["--quiet", "--return", "--command", &words, "/dev/null"]).env_remove("NO_COLOR");
    command.envs(variables.iter().copied()).stdin(Stdio::null());
    String::from_utf8(command.output().expect("script(1)").stdout).unwrap().replace("\r\n", "\n")
}

/// A text without our colours.
fn without_colour(text: &str) -> String {
    ["1", "2", "31", "32", "33", "0"]
        .iter()
        .fold(text.to_owned(), |text, code| text.replace(&format!("\u{1b}[{code}m"), ""))
}

#[test]
fn colour_is_only_where_it_shows() {
    let tree = shown();
    let colour = screens(&tree, |words| on_terminal(&tree, words, &[("TERM", "xterm"), ("COLUMNS", "80")]));
    for (what, code) in
        [("a heading", "\u{1b}[1mIOMMU group 0\u{1b}[0m"), ("a bridge", "\u{1b}[2mIOMMU group 1\u{1b}[0m")]
    {
        assert!(colour.contains(code), "{what}: {colour}");
    }
    let groups = colour.split("$ vfio ").nth(1).unwrap();
    assert!(!groups.contains("\u{1b}[31m"), "nothing is wrong: {groups}");
    compare("terminal.txt", &colour.replace('\u{1b}', "\\e"));
    let plain = without_colour(&colour);
    assert!(!plain.contains('\u{1b}'), "a colour that is none of ours");
    for variables in
        [&[("TERM", "xterm"), ("NO_COLOR", "1"), ("COLUMNS", "80")][..], &[("TERM", "dumb"), ("COLUMNS", "80")]]
    {
        assert_eq!(screens(&tree, |words| on_terminal(&tree, words, variables)), plain, "{variables:?}");
    }
}

/// `doctor --fix` shows what it would run, runs it only when told, and what it ran can be undone.
#[test]
fn what_is_safe_is_fixed() {
    let tree = machine("");
    tree.write("usr/bin/virsh", "");
    tree.write("etc/group", "kvm:x:1:ada\nlibvirt:x:2:\n");
    let output = tree.command(VFIO).args(["doctor", "--only", "system"]).env("SUDO_USER", "ada").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("ada is not in libvirt, which may manage guests without being root [user-not-in-groups]"),
        "{text}"
    );
    // A guest that still has something, which its restore gives back.
    let stuck = r#"{"guest":"win10","outcome":"stuck","why":["it hung"]}"#;
    tree.write("run/vfio/guest-status/win10", stuck);
    let doctor = |more: &[&str]| tree.run(VFIO, &[&["doctor", "--only", "guests"], more].concat());
    let ran = doctor(&["--fix"]);
    assert_eq!(ran.status, Some(64), "{}", ran.stdout);
    assert!(ran.stdout.contains("\nfix: vfio guest restore win10\nnothing was run: "), "{}", ran.stdout);
    let json = tree.run(VFIO, &["--json", "doctor", "--only", "guests"]).stdout;
    assert!(json.contains(r#""fixes":[{"run":"vfio guest restore win10","undo":null}]"#), "{json}");
    let ran = doctor(&["--fix", "--yes"]);
    assert!(ran.stdout.contains("$ vfio guest restore win10\n"), "{}", ran.stdout);
    assert_eq!(ran.status, Some(0), "{} {}", ran.stdout, ran.stderr);
}

/// What `doctor --fix` has bound is given back by `setup --undo`, in the same boot. What a later boot has bound by itself stays.
#[test]
fn a_card_that_doctor_has_bound_is_given_back() {
    let tree = machine("");
    tree.config("[gpu big]\ndevice = 0000:03:00.0\nbind = boot\n");
    let of_host = tree.driver("0000:03:00.0").unwrap();
    for (later, driver) in [("one", of_host.as_str()), ("two", "vfio-pci")] {
        tree.write("proc/sys/kernel/random/boot_id", "one\n");
        let ran = tree.run(VFIO, &["doctor", "--only", "cards", "--fix", "--yes"]);
        assert!(ran.stdout.contains("fix: vfio bind big (undone by 'vfio restore big')\n$ vfio bind big\n"), "{ran:?}");
        assert!(!ran.stdout.rsplit("$ vfio bind big").next().unwrap().contains("card-not-as-configured"), "{ran:?}");
        assert_eq!(tree.driver("0000:03:00.0").as_deref(), Some("vfio-pci"));
        tree.write("proc/sys/kernel/random/boot_id", &format!("{later}\n"));
        let ran = tree.run(VFIO, &["setup", "--undo"]);
        assert_eq!((ran.status, ran.stdout.as_str()), (Some(0), "undo: bind [gpu big] to vfio\n"), "{}", ran.stderr);
        assert_eq!(tree.driver("0000:03:00.0").as_deref(), Some(driver));
        assert!(!tree.exists("var/lib/vfio/setup"), "{later}");
    }
}

/// All parts of `vfio doctor` look at one picture of the machine, however many guests there are.
#[test]
fn doctor_looks_at_the_machine_once() {
    let tree = machine("[guest other]\ngpus = big\n[guest third]\ngpus = big\n");
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-e", "trace=openat2", "-e", "signal=none", "-o"]).arg(log.path()).args([VFIO, "doctor"]);
    strace.env("VFIO_ROOT", tree.path()).stdin(Stdio::null());
    let ran = strace.output().expect("strace, which the package of that name has");
    assert!(String::from_utf8_lossy(&ran.stdout).contains("[guest third]"), "{ran:?}");
    let text = std::fs::read_to_string(log.path()).unwrap();
    let looks = |place: &str| text.lines().filter(|line| line.contains(&format!("\"{place}\", "))).count();
    // What every scan of the machine asks once, and nobody else.
    assert_eq!(looks("run/vfio/off"), 1);
}
