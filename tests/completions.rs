// SPDX-License-Identifier: LGPL-2.1-or-later
//! The completions of bash, run by bash: what they offer on a machine.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{hosts, Tree};
use std::process::Command;

/// A completion's file.
fn file(name: &str) -> String {
    format!("{}/completions/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// What bash offers for the last of these words, which may be the beginning of one.
fn offered(tree: &Tree, words: &[&str]) -> Vec<String> {
    let script = r#"
        source "$1"; shift
        COMP_WORDS=(vfio "$@"); COMP_CWORD=$#
        _vfio vfio "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        (( ${#COMPREPLY[@]} == 0 )) || printf '%s\n' "${COMPREPLY[@]}""#;
    let mut command = Command::new("bash");
    command.args(["--norc", "-c", script, "bash", &file("vfio.bash")]).args(words);
    let output = command.env("VFIO_ROOT", tree.path()).current_dir(tree.path()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, "", "{words:?}");
    let mut offered: Vec<String> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    offered.sort_unstable();
    offered
}

#[test]
fn bash_offers_what_there_is() {
    let tree = hosts::unpack("igpu-amd");
    tree.config("[gpu big]\ndevice = 0000:03:00.0\n[guest win10]\ngpus = big\n");
    tree.write("etc/vfio.conf.d/10.conf", "  [ gpu  other ]\ndevice = 0000:00:02.0\n[guest linux]\n#[gpu off]\n");
    tree.write("cards.rom", "");
    tree.write("01-amd.rules", "");
    for (words, expected) in [
        (&["bi"][..], &["bind"][..]),
        (&["gu"], &["guest"]),
        (&["bind", ""], &["big", "other"]),
        (&["bind", "o"], &["other"]),
        (&["holders", "b"], &["big"]),
        (&["--json", "restore", "b"], &["big"]),
        (&["--root", "/x", "restore", "b"], &["big"]),
        (&["guest", "st"], &["start", "status", "stop"]),
        (&["guest", "start", ""], &["linux", "win10"]),
        (&["guest", "edit", "w"], &["win10"]),
        (&["doctor", "--guest", ""], &["linux", "win10"]),
        (&["doctor", "--only", "b"], &["boot"]),
        (&["doctor", "--la"], &["--last"]),
        (&["groups", "--gpu", "0000:0"], &["0000:00:02.0", "0000:03:00.0"]),
        (&["reset", "big", "--method", "v"], &["vendor-reset"]),
        (&["rebar", "set", ""], &["big", "other"]),
        (&["rebar", "set", "big", ""], &["0=", "1=", "2=", "3=", "4=", "5="]),
        (&["rebar", "adopt", "01"], &["01-amd.rules"]),
        (&["rom", "show", "ca"], &["cards.rom"]),
        (&["rom", "show", "b"], &["big"]),
        (&["check", "cards"], &["cards.rom"]),
        (&["--root", "cards"], &["cards.rom"]),
        (&["cmdline", "apply", "--q"], &["--quiet"]),
        (&["nothing", ""], &[]),
    ] {
        assert_eq!(offered(&tree, words), expected, "{words:?}");
    }
    // Without any configuration nothing is offered, and nothing is said.
    let bare = hosts::unpack("igpu-amd");
    assert_eq!(offered(&bare, &["bind", ""]), [""; 0]);
}
