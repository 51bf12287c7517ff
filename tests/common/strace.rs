// SPDX-License-Identifier: LGPL-2.1-or-later
//! Our programs under strace(1), which kills them at a call or answers it with an error.

use super::tree::Ran;
use super::Tree;
use std::io::{Read, Seek};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A program on the tree, not its children: `injection` is what strace(1) calls `-e inject=`.
pub fn command(tree: &Tree, program: &str, arguments: &[&str], calls: &str, injection: &str) -> Command {
    let mut strace = Command::new("strace");
    strace.args(["-qq", "-o", "/dev/null", "-e", &format!("trace={calls}")]);
    strace.args(["-e", &format!("inject={calls}:{injection}"), program]).args(arguments);
    inside(tree, &mut strace);
    strace
}

fn inside(tree: &Tree, strace: &mut Command) {
    strace.env("VFIO_ROOT", tree.path()).env("NO_COLOR", "1").env_remove("JOURNAL_STREAM").env_remove("INVOCATION_ID");
    strace.stdin(Stdio::null());
}

/// As [`command`], but only calls count that name one of these files of the tree, or have it open; `log` is what strace writes.
pub fn command_at(tree: &Tree, program: &str, arguments: &[&str], log: &Path, paths: &[&str], inject: &str) -> Command {
    let mut strace = Command::new("strace");
    for path in paths {
        // As a program inside the tree names it, and as the kernel does.
        strace.args(["-P", path, "-P", &tree.join(path).display().to_string()]);
    }
    strace.args(["-qq", "-e", "signal=none", "-e", &format!("inject={inject}"), "-o"]).arg(log).arg(program);
    inside(tree, strace.args(arguments));
    strace
}

/// Starts it, its output nowhere.
pub fn start(mut strace: Command) -> Child {
    strace.stdout(Stdio::null()).stderr(Stdio::null());
    strace.spawn().unwrap_or_else(|error| {
        panic!("strace cannot be run ({error}); install the package strace: without it no crash can be tested")
    })
}

/// Runs it to its end. Without a status it was killed: strace ends as its child did.
pub fn run(tree: &Tree, program: &str, arguments: &[&str], calls: &str, injection: &str) -> Ran {
    let mut strace = command(tree, program, arguments, calls, injection);
    // Files, not pipes: a pipe would also wait for a child that is left behind.
    let (mut out, mut err) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
    strace.stdout(out.try_clone().unwrap()).stderr(err.try_clone().unwrap());
    let status = strace.status().unwrap_or_else(|error| {
        panic!("strace cannot be run ({error}); install the package strace: without it no crash can be tested")
    });
    assert!(matches!(status.signal(), None | Some(9)), "{program} {arguments:?}, {calls}:{injection}: {status}");
    let mut ran = Ran { status: status.code(), stdout: String::new(), stderr: String::new() };
    for (file, text) in [(&mut out, &mut ran.stdout), (&mut err, &mut ran.stderr)] {
        file.rewind().unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        *text = String::from_utf8_lossy(&bytes).into_owned();
    }
    ran
}

/// Kills it at the Nth of these calls; none if it ended before that.
pub fn kill(tree: &Tree, program: &str, arguments: &[&str], calls: &str, n: u32) -> Option<Ran> {
    Some(run(tree, program, arguments, calls, &format!("signal=SIGKILL:when={n}"))).filter(|ran| ran.status.is_some())
}

/// How many calls of these kinds it makes.
pub fn count(tree: &Tree, program: &str, arguments: &[&str], calls: &str) -> u32 {
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut strace = Command::new("strace");
    strace.args(["-qq", "-e", &format!("trace={calls}"), "-e", "signal=none", "-o"]).arg(log.path());
    strace.arg(program).args(arguments).env("VFIO_ROOT", tree.path()).stdin(Stdio::null());
    start(strace).wait().unwrap();
    u32::try_from(std::fs::read_to_string(log.path()).unwrap().lines().count()).unwrap()
}

/// What it asks the simulator of its tree, in order: the words of each request.
pub fn requests(tree: &Tree, program: &str, arguments: &[&str]) -> Vec<Vec<String>> {
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-s", "1000", "-e", "trace=execve", "-e", "signal=none", "-o"]).arg(log.path());
    strace.arg(program).args(arguments).env("VFIO_ROOT", tree.path()).stdin(Stdio::null());
    assert!(start(strace).wait().unwrap().success());
    let text = std::fs::read_to_string(log.path()).unwrap();
    // 123 execve("/x/vfio-sim", ["/x/vfio-sim", "write", "sys/x", "1"], 0x7ffe /* 30 vars */) = 0
    let words = |call: &str| {
        let (_, list) = call.split_once("vfio-sim\", [")?;
        let (list, _) = list.split_once(']')?;
        Some(list.split(", ").skip(1).map(|word| word.trim_matches('"').to_owned()).collect())
    };
    text.lines().filter_map(words).collect()
}
