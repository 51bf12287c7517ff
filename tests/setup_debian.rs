// SPDX-License-Identifier: LGPL-2.1-or-later
//! `tests/setup-debian.sh` beside an apt that takes one package away for another: it ends with everything there, or says
//! what cannot be had.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Debian's programs, as far as the script asks them. `installed` holds a name a line. What apt-get makes of a request is in
/// `rule`: it asks with `has WORD` what was asked for and with `there NAME` what is installed, changes that with `add NAME` and
/// `take NAME`, and fails with `exit 100`. Every request is a line in `requests`.
const PROGRAMS: [(&str, &str); 7] = [
    (
        "apt-get",
        r#"
words=" $* "
has() { case $words in *" $1 "*) ;; *) return 1 ;; esac; }
there() { grep -qx "$1" "$WORLD/installed"; }
take() { sed -i "/^$1\$/d" "$WORLD/installed"; }
add() { there "$1" || echo "$1" >>"$WORLD/installed"; }
! has update || exit 0
has -s || echo "$*" >>"$WORLD/requests"
. "$WORLD/rule"
! has -s || exit 0
install=
while [ $# -gt 0 ]; do
	case $1 in
	-t) shift ;;
	-*) ;;
	install) install=1 ;;
	*) [ -z "$install" ] || add "${1%%/*}" ;;
	esac
	shift
done
"#,
    ),
    (
        "dpkg-query",
        r#"
for name; do :; done
case $name in
*' '*) awk '{ print $1 ~ /^qemu-/ ? "qemu" : $1, $1, "installed" }' "$WORLD/installed" ;;
*) ! grep -qx "$name" "$WORLD/installed" || echo installed ;;
esac
"#,
    ),
    (
        "apt-cache",
        r#"
for name; do :; done
case $1 in
policy) cat "$WORLD/policy" ;;
show) case $name in qemu-*) echo "Source: qemu (1:2)" ;; esac ;;
esac
"#,
    ),
    ("apt-mark", r#"cat "$WORLD/held""#),
    ("sudo", r#"exec "$@""#),
    ("cargo", ""),
    ("rustc", ""),
];

/// What the lab cannot do without and Debian makes of one source.
const QEMU: [&str; 2] = ["qemu-system-x86", "qemu-utils"];

/// A Debian 12 with everything but what a test takes away.
struct World {
    place: tempfile::TempDir,
}

struct Ran {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

impl World {
    fn new() -> Self {
        let world = World { place: tempfile::tempdir().unwrap() };
        for (name, text) in PROGRAMS {
            let file = world.path("bin").join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, format!("#!/bin/sh\n{text}")).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        for file in ["installed", "policy", "held", "requests"] {
            world.write(file, "");
        }
        world.write("os-release", "ID=debian\nVERSION_ID=12\n");
        // An apt that does as it is told: the script's own list.
        world.rule("");
        assert_eq!(world.run().status, Some(0));
        world.write("requests", "");
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn rule(&self, text: &str) {
        self.write("rule", text);
    }

    fn installed(&self) -> Vec<String> {
        let mut names: Vec<_> = self.read("installed").lines().map(str::to_owned).collect();
        names.sort();
        names
    }

    /// Takes packages away before the script runs.
    fn without(&self, names: &[&str]) {
        let keep = |name: &String| !names.contains(&name.as_str());
        let kept: Vec<_> = self.installed().into_iter().filter(keep).collect();
        self.write("installed", &(kept.join("\n") + "\n"));
    }

    /// Requests to install, without the options that all of them have.
    fn requests(&self) -> Vec<String> {
        let request = |line: &str| line.strip_prefix("-q install -y --no-install-recommends ").map(str::to_owned);
        self.read("requests").lines().filter_map(request).collect()
    }

    fn run(&self) -> Ran {
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap());
        let output = Command::new("sh")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/setup-debian.sh"))
            .env("PATH", path)
            .env("WORLD", self.place.path())
            .env("OS_RELEASE", self.path("os-release"))
            .output()
            .unwrap();
        Ran {
            status: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

#[test]
fn where_all_is_there_apt_is_not_asked() {
    let world = World::new();
    let before = world.installed();
    let ran = world.run();
    assert_eq!((ran.status, ran.stdout.as_str(), ran.stderr.as_str()), (Some(0), "", ""));
    assert_eq!(world.read("requests"), "");
    assert!(before.len() > 30, "{before:?}");
}

/// apt removes what it was not asked for, if that is in the way.
#[test]
fn the_whole_list_is_asked_for_at_once() {
    for missing in QEMU {
        let world = World::new();
        let all = world.installed();
        world.without(&[missing]);
        world.rule("has qemu-system-x86 || take qemu-system-x86\nhas qemu-utils || take qemu-utils\n");
        let ran = world.run();
        assert_eq!(ran.status, Some(0), "{missing}: {}{}", ran.stdout, ran.stderr);
        assert_eq!(world.installed(), all, "{missing}");
        let mut asked: Vec<_> = world.requests()[0].split_whitespace().map(str::to_owned).collect();
        asked.sort();
        assert_eq!(asked, all, "{missing}");
    }
}

#[test]
fn what_apt_took_away_all_the_same_is_installed_again() {
    let world = World::new();
    let all = world.installed();
    world.without(&["qemu-system-x86"]);
    world.rule("there qemu-system-x86 || { add qemu-system-x86; take qemu-utils; exit 0; }\n");
    let ran = world.run();
    assert_eq!(ran.status, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert_eq!((world.installed(), world.requests().len()), (all, 2));
}

/// It says so and ends, though apt says yes each time.
#[test]
fn what_apt_never_leaves_there_is_named() {
    let world = World::new();
    world.without(&["qemu-system-x86"]);
    world.rule("if there qemu-utils; then add qemu-system-x86; take qemu-utils; else add qemu-utils; take qemu-system-x86; fi; exit 0\n");
    let ran = world.run();
    assert_eq!(ran.status, Some(1), "{}", ran.stdout);
    assert!(ran.stderr.contains("apt cannot install: qemu-utils;"), "{}", ran.stderr);
    world.rule("exit 0");
    world.write("requests", "");
    assert_eq!(
        (world.run().status, world.requests().len()),
        (Some(1), 1),
        "nothing changed, so nothing is tried again"
    );
}

#[test]
fn what_apt_does_not_have_is_named_and_the_rest_is_installed() {
    let world = World::new();
    let all = world.installed();
    world.without(&["mandoc", "strace", "xz-utils"]);
    world.rule("! has strace || { echo 'E: Unable to locate package strace' >&2; exit 100; }\n");
    let ran = world.run();
    assert_eq!(ran.status, Some(1), "{}", ran.stdout);
    assert!(ran.stderr.contains("apt cannot install: strace;"), "{}", ran.stderr);
    let rest: Vec<_> = all.into_iter().filter(|name| name != "strace").collect();
    assert_eq!(world.installed(), rest);
}

/// qemu-utils is from backports and breaks what the suite has of the same source. The rest comes from the suite, and first:
/// what else came from backports could be in its way.
#[test]
fn what_is_missing_comes_from_where_its_like_is_from() {
    let world = World::new();
    let all = world.installed();
    world.without(&["mandoc", "qemu-system-x86"]);
    world.write(
        "policy",
        "     release o=Debian Backports,a=stable-backports,n=bookworm-backports,l=Debian Backports\n",
    );
    world.rule("! has qemu-system-x86 || has '-t bookworm-backports qemu-system-x86' || exit 100\n");
    let ran = world.run();
    assert_eq!(ran.status, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(world.installed(), all);
    let requests = world.requests();
    assert!(requests[1].contains("mandoc") && !requests[1].contains("-t "), "{requests:?}");
    assert_eq!(requests[2..], ["--no-remove -t bookworm-backports qemu-system-x86"]);
}

/// The source of packages that it is from is no longer there.
#[test]
fn a_newer_one_that_nothing_goes_with_is_brought_back_to_the_suite() {
    let world = World::new();
    let all = world.installed();
    world.without(&["qemu-system-x86"]);
    world.rule("has '--allow-downgrades qemu-system-x86 qemu-utils/bookworm' || exit 100\n");
    let ran = world.run();
    assert_eq!(ran.status, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(world.installed(), all);
    assert!(ran.stdout.contains("back to the versions of bookworm\n"), "{}", ran.stdout);
    // Not if it is to stay.
    world.without(&["qemu-system-x86"]);
    world.write("held", "qemu-utils\n");
    let ran = world.run();
    assert_eq!(ran.status, Some(1), "{}", ran.stdout);
    assert!(ran.stderr.contains("apt cannot install: qemu-system-x86;"), "{}", ran.stderr);
}

/// apt does nothing at all if a held package is named that has a newer version.
#[test]
fn what_is_held_is_left_as_it_is() {
    let world = World::new();
    let all = world.installed();
    world.without(&["mandoc"]);
    world.write("held", "git\n");
    world.rule("! has git || exit 100\n");
    let ran = world.run();
    assert_eq!(ran.status, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert_eq!((world.installed(), world.requests().len()), (all, 1));
}
