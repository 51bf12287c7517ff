// SPDX-License-Identifier: LGPL-2.1-or-later
//! A report is a recording: given to `--root` it shows what the machine showed, but for the names that are masked.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::tree::Ran;
use common::Tree;
use common::{desktop, domain, hosts};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const VFIO: &str = env!("CARGO_BIN_EXE_vfio");

/// What is asked on the machine and on its recording.
const ASKED: [&[&str]; 4] = [&["groups"], &["plan"], &["doctor", "--all"], &["cards"]];

/// The report of a machine, in a file.
fn report(tree: &Tree) -> tempfile::NamedTempFile {
    let ran = tree.run(VFIO, &["report"]);
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), ""));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), ran.stdout).unwrap();
    file
}

/// Runs a verb on a report.
fn replay(report: &Path, arguments: &[&str]) -> Ran {
    let mut command = Command::new(VFIO);
    command.arg("--root").arg(report).args(arguments).env("NO_COLOR", "1").env_remove("VFIO_ROOT");
    command.output().unwrap().into()
}

/// What a verb said, without where the root is.
fn said(ran: &Ran, root: &str) -> String {
    let text = format!("{:?}\n{}{}", ran.status, ran.stdout, ran.stderr).replace(root, "ROOT");
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find("/tmp/vfio-report-") {
        let end =
            rest[at + 5..].find(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).map_or(rest.len(), |n| at + 5 + n);
        out += &rest[..at];
        out += "ROOT";
        rest = &rest[end..];
    }
    out + rest
}

/// What differs between the machine and its report, in each of these verbs.
fn differences(name: &str, tree: &Tree, asked: &[&[&str]]) -> Vec<String> {
    let report = report(tree);
    let root = tree.path().to_str().unwrap();
    let mut found = Vec::new();
    for arguments in asked {
        let (machine, replayed) =
            (said(&tree.run(VFIO, arguments), root), said(&replay(report.path(), arguments), root));
        for (one, other) in machine.lines().zip(replayed.lines()).filter(|(one, other)| one != other) {
            found.push(format!("{name}, {}:\n  {one}\n  {other}", arguments.join(" ")));
        }
        if machine.lines().count() != replayed.lines().count() {
            found.push(format!("{name}, {}: lines more or less:\n{machine}\n{replayed}", arguments.join(" ")));
        }
    }
    found
}

/// A configuration with every display of a machine.
fn configure(tree: &Tree) {
    let mut config = "[host]\nrescue-entry = no\n".to_owned();
    let is_display = |address: &String| tree.attribute(address, "class").starts_with("0x03");
    for (n, address) in tree.functions().iter().filter(|address| is_display(address)).enumerate() {
        config += &format!("[gpu card{n}]\ndevice = {address}\nbind = {}\n", if n % 2 == 0 { "guest" } else { "boot" });
    }
    tree.config(&format!("{config}[guest win10]\ngpus = card0\n"));
}

#[test]
fn a_report_shows_what_the_machine_shows() {
    let machines: Vec<(&str, Tree)> = hosts::all().into_iter().map(|(name, _)| (name, hosts::unpack(name))).collect();
    assert!(machines.len() >= 6);
    let half = machines.len() / 2;
    let all = |machines: &[(&str, Tree)]| {
        let mut found = Vec::new();
        for (name, tree) in machines {
            configure(tree);
            found.extend(differences(name, tree, &ASKED));
        }
        found
    };
    let found = std::thread::scope(|scope| {
        let other = scope.spawn(|| all(&machines[half..]));
        [all(&machines[..half]), other.join().unwrap()].concat()
    });
    assert!(found.is_empty(), "{} differ:\n{}", found.len(), found[..found.len().min(12)].join("\n"));
}

/// With a desktop on the card, a domain, boot files, logs of two boots and a failed start.
#[test]
fn a_report_has_holders_domains_and_logs() {
    const VIDEO: &str = "0000:09:00.0";
    const SOUND: &str = "0000:09:00.1";
    let tree = hosts::unpack("single-amd");
    desktop::desktop(&tree, VIDEO, Some(SOUND));
    domain::domain(&tree, "win10", &[VIDEO, SOUND], &[]);
    tree.config("[gpu big]\ndevice = 0000:09:00.0\nbind = guest\n[guest win10]\ngpus = big\n");
    let log = "1700000000.1 kernel: vfio-pci 0000:09:00.0: not ready 65535ms after FLR; giving up\n\
               1700000001.1 kernel: something else that no rule knows\n";
    tree.write(".kernel/log", log);
    tree.write(".kernel/log-before", &log.replace("FLR", "bus reset"));
    tree.write(
        "var/log/libvirt/qemu/win10.log",
        "2023-11-14 22:13:21.000+0000: starting up libvirt version: 11.3.0\n\
         2023-11-14T22:13:22.000000Z qemu-system-x86_64: vfio: Cannot reset device 0000:09:00.0, no available reset mechanism.\n\
         nothing of interest\n",
    );
    tree.write(
        "run/vfio/guest-status/win10",
        "{\"guest\":\"win10\",\"outcome\":\"failed\",\"why\":[\"it has not started\"]}\n",
    );
    tree.write("boot/loader/loader.conf", "default *\n");
    tree.write(
        "boot/loader/entries/a.conf",
        "title Debian\nversion 6.12\nlinux /vmlinuz\noptions root=/dev/sda1 quiet\n",
    );
    let more: [&[&str]; 9] = [
        &["groups", "--json"],
        &["plan", "--json"],
        &["doctor", "--json"],
        &["status"],
        &["check"],
        &["guest", "status", "win10"],
        &["doctor", "--last"],
        &["holders", "big"],
        &["guest", "list"],
    ];
    let asked: Vec<&[&str]> = [&ASKED[..], &more[..]].concat();
    let found = differences("single-amd", &tree, &asked);
    assert!(found.is_empty(), "{}", found.join("\n"));
    let report = report(&tree);
    let text = std::fs::read_to_string(report.path()).unwrap();
    assert!(text.contains("giving up") && text.contains("no available reset mechanism"));
    assert!(
        !text.contains("that no rule knows") && !text.contains("nothing of interest"),
        "only lines that rules know"
    );
    let doctor = replay(report.path(), &["doctor", "--only", "logs"]);
    assert!(doctor.stdout.contains("giving up"), "{}", doctor.stdout);
    // It can be replayed again and again: a report of a report is the same recording.
    let again = replay(report.path(), &["report"]).stdout;
    let recording = |text: &str| text.split("== recording\n").nth(1).unwrap().to_owned();
    let files = |text: &str| vfio_suite::recording::parse(text).unwrap();
    assert_eq!(
        common::tree::differences(&without_times(files(&text)), &without_times(files(&again))),
        "",
        "{}",
        recording(&again).len()
    );
}

/// Of a guest with a name that is masked everything is found as well: what was asked about it is asked by the other name.
#[test]
fn what_doctor_finds_is_the_same_by_any_name() {
    let tree = hosts::unpack("single-amd");
    domain::domain(&tree, "annas-games", &["0000:09:00.0", "0000:09:00.1"], &[]);
    tree.config("[gpu big]\ndevice = 0000:09:00.0\nbind = guest\n[guest annas-games]\ngpus = big\n");
    tree.write("usr/bin/virsh", "");
    std::fs::create_dir_all(tree.join("run/systemd/system")).unwrap();
    tree.write("etc/passwd", "root:x:0:0:root:/root:/bin/bash\n");
    tree.write("etc/group", "root:x:0:\n");
    desktop::unit(&tree, "libvirtd.service", &["state active"]);
    desktop::unit(&tree, "virtinterfaced-admin.socket", &["state inactive"]);
    tree.write(".kernel/log", "1700000000.1 kernel: vfio-pci 0000:09:00.0: not ready 65535ms after FLR; giving up\n");
    let report = report(&tree);
    let text = std::fs::read_to_string(report.path()).unwrap();
    assert!(!text.contains("annas") && text.contains("virtinterfaced-admin.socket"), "the guest's name is masked");
    let found = |ran: Ran| {
        let answer: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        let checks = answer["checks"].as_array().unwrap().clone();
        let code = |check: &serde_json::Value| format!("{} {} {}", check["part"], check["level"], check["code"]);
        checks.iter().map(code).collect::<Vec<_>>()
    };
    let machine = found(tree.run(VFIO, &["doctor", "--json"]));
    for code in ["not-ready-after-reset", "libvirt-not-ready"] {
        assert!(machine.iter().any(|found| found.contains(code)), "{machine:?}");
    }
    assert_eq!(found(replay(report.path(), &["doctor", "--json"])), machine);
}

fn without_times(mut nodes: common::text::Nodes) -> common::text::Nodes {
    nodes.remove(".kernel/times");
    nodes
}

/// A report from a stranger: nothing is written or read outside of the directory that it is unpacked into, which is gone
/// afterwards, whatever is in it.
#[test]
fn a_report_from_a_stranger_leads_nowhere() {
    let place = tempfile::tempdir().unwrap();
    let secret = place.path().join("secret");
    std::fs::write(&secret, "[gpu stolen]\ndevice = 0000:00:01.0\n").unwrap();
    let temporary = place.path().join("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let file = place.path().join("report.txt");
    let run = |text: &str, verb: &[&str]| -> Ran {
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new(VFIO);
        command
            .arg("--root")
            .arg(&file)
            .args(verb)
            .env("TMPDIR", &temporary)
            .env("NO_COLOR", "1")
            .env_remove("VFIO_ROOT");
        let ran = command.output().unwrap().into();
        assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0, "the directory is gone");
        ran
    };
    let outside = secret.to_str().unwrap();
    for (text, says) in [
        (format!("== recording\n/etc\n vfio.conf -> {outside}\n== end of the recording\n"), ""),
        (format!("== recording\n/etc\n vfio.conf -> ../../../../../../..{outside}\n== end of the recording\n"), ""),
        (
            format!("/etc\n vfio.conf.d -> {}\n/etc/vfio.conf.d\n a.conf 644 x\n", place.path().display()),
            "below a file or a link",
        ),
        ("/etc/../../x\n y 644 z\n".to_owned(), "line 1: this cannot be a path"),
        ("== recording\n/etc\n vfio.conf 644 x\n".to_owned(), "it is cut off"),
        ("hello\n".to_owned(), "it is not a recording"),
        (String::new(), "it is not a recording"),
        ("/etc\n vfio.conf 644 \\0{99999999}\n".to_owned(), "the files in it are too large"),
    ] {
        let ran = run(&text, &["check"]);
        assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("stolen"), "{text}: {}", ran.stdout);
        assert!(ran.stderr.contains(says), "{text}: {}", ran.stderr);
        assert_eq!(ran.status, Some(2), "{text}: {}{}", ran.stdout, ran.stderr);
    }
    // What would change the machine changes what is unpacked, if anything.
    let hosts = std::fs::read_to_string(hosts::file("single-amd")).unwrap();
    let ran = run(&hosts, &["groups"]);
    assert_eq!(ran.status, Some(0), "the text of a machine is one, too: {}", ran.stderr);
    std::fs::write(&file, [0xff; 64]).unwrap();
    let ran: Ran = Command::new(VFIO).arg("--root").arg(&file).arg("check").output().unwrap().into();
    assert!(ran.stderr.contains("is not text in UTF-8"), "{}", ran.stderr);
}

/// A large machine's report is small, and is made and read in a time that grows with it.
#[test]
fn a_report_of_a_server_is_made_at_once() {
    let size = |functions: usize| {
        let tree = hosts::server(functions).build();
        let begin = Instant::now();
        let report = report(&tree);
        let groups = replay(report.path(), &["groups"]);
        assert_eq!(groups.stdout, tree.run(VFIO, &["groups"]).stdout);
        (std::fs::metadata(report.path()).unwrap().len(), begin.elapsed())
    };
    let ((small, _), (large, time)) = (size(64), size(256));
    assert!(large < 6 * small && large < 1 << 20, "{small} and {large} bytes");
    assert!(time < Duration::from_secs(60), "{time:?}");
}
