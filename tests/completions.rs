// SPDX-License-Identifier: LGPL-2.1-or-later
//! The completions of bash, zsh and fish, run by these shells: what each offers on a machine.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::skipped::skipped;
use common::{hosts, Tree};
use std::path::Path;
use std::process::{Command, Output};

const VFIO: &str = env!("CARGO_BIN_EXE_vfio");

/// A shell as a user calls it, and what has it print the offers for the line `$1`; `$2` is the completion's file.
struct Shell {
    program: &'static str,
    options: &'static [&'static str],
    file: &'static str,
    script: &'static str,
}

/// Readline parts words at its own breaks, and puts an offer in the place of the last part.
const BASH: Shell = Shell {
    program: "bash",
    options: &["--norc", "-c"],
    file: "vfio.bash",
    script: r#"
        source "$2"
        COMP_LINE=$1 COMP_POINT=${#1}
        _vfio vfio '' ''
        last=${COMP_LINE##* }
        (( ${#COMPREPLY[@]} == 0 )) || printf '%s\n' "${COMPREPLY[@]/#/${last%"${last##*[:=]}"}}""#,
};

/// zsh completes on a terminal only: one of its own, in which each word that it would add is printed between angle brackets.
const ZSH: Shell = Shell {
    program: "zsh",
    options: &["-f", "-c"],
    file: "_vfio",
    script: r#"
        zmodload zsh/zpty
        zpty inner zsh -f -i
        zpty -w inner "unset zle_bracketed_paste; fpath=(${2:h} \$fpath); autoload -Uz compinit; compinit -u -D
            compadd() {
                local -a had
                (( \${@[(I)-[OAD]]} )) || { builtin compadd -O had \"\$@\"; print -rl -- '<<'\${^had}'>>'; }
                builtin compadd \"\$@\"
            }
            asked() { compstate[list]= compstate[insert]=; _main_complete; print -r -- '<<>>' }
            zle -C asked complete-word asked; bindkey '^X' asked; print -r -- '<<''ready>>'"
        while zpty -r inner line; do [[ $line != *'<<ready>>'* ]] || break; done
        zpty -w -n inner "$1"$'\x18'
        while zpty -r inner line; do
            [[ $line != *'<<>>'* ]] || break
            [[ $line != *'<<'*'>>'* ]] || print -r -- ${${line#*<<}%>>*}
        done
        zpty -d inner"#,
};

const FISH: Shell = Shell {
    program: "fish",
    options: &["--no-config", "-c"],
    file: "vfio.fish",
    script: r#"
        source $argv[2]
        complete -C $argv[1] | string replace -r '\t.*' ''"#,
};

impl Shell {
    fn run(&self, tree: &Tree, line: &str) -> Output {
        let file = format!("{}/completions/{}", env!("CARGO_MANIFEST_DIR"), self.file);
        let mut command = Command::new(self.program);
        command.args(self.options).arg(self.script);
        if self.program != "fish" {
            command.arg(self.program);
        }
        // The program that is completed is the one that is asked.
        let programs = Path::new(VFIO).parent().unwrap().to_str().unwrap();
        let path = format!("{programs}:{}", std::env::var("PATH").unwrap());
        command.arg(line).arg(file).env("PATH", path).env("VFIO_ROOT", tree.path()).env("HOME", tree.path());
        let command = command.env("TERM", "dumb").current_dir(tree.path());
        command.output().unwrap_or_else(|error| panic!("{}: {error}; install it", self.program))
    }

    /// What it offers, in order; directories and what belongs to a word's end are no part of it.
    #[track_caller]
    fn offered(&self, tree: &Tree, line: &str) -> Vec<String> {
        let output = self.run(tree, line);
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{}: {line}", self.program);
        let text = String::from_utf8(output.stdout).unwrap();
        let mut offered: Vec<String> = text.lines().map(|line| line.trim_end_matches('\r').to_owned()).collect();
        offered.sort_unstable();
        offered.dedup();
        offered
    }
}

/// Lines, and what every shell offers at their ends.
const OFFERED: [(&str, &[&str]); 30] = [
    ("vfio bi", &["bind"]),
    ("vfio gu", &["guest"]),
    ("vfio compl", &[]),
    ("vfio bind ", &["big", "other"]),
    ("vfio bind o", &["other"]),
    ("vfio bind big ", &[]),
    ("vfio holders b", &["big"]),
    ("vfio --json restore b", &["big"]),
    ("vfio --root . restore b", &["big"]),
    ("vfio guest st", &["start", "status", "stop"]),
    ("vfio guest start ", &["linux", "win10"]),
    ("vfio guest edit w", &["win10"]),
    ("vfio guest edit win10 --u", &["--undo"]),
    ("vfio guest start --u", &[]),
    ("vfio doctor --guest ", &["linux", "win10"]),
    ("vfio doctor --only b", &["boot"]),
    ("vfio doctor --la", &["--last"]),
    ("vfio explain card-abs", &["card-absent"]),
    ("vfio groups --gpu 0000:0", &["0000:00:02.0", "0000:03:00.0"]),
    ("vfio groups --gpu=0000:03", &["--gpu=0000:03:00.0"]),
    ("vfio reset big --method v", &["vendor-reset"]),
    ("vfio setup --when=g", &["--when=guest"]),
    ("vfio setup --when g", &["guest"]),
    ("vfio rebar set ", &["big", "other"]),
    ("vfio rebar set big ", &["0=", "1=", "2=", "3=", "4=", "5="]),
    ("vfio rebar set big 0=16G 1", &["1="]),
    ("vfio rebar adopt 01", &["01-amd.rules"]),
    ("vfio rom show ca", &["cards.rom"]),
    ("vfio rom show b", &["big"]),
    ("vfio nothing ", &[]),
];

fn machine() -> Tree {
    let tree = hosts::unpack("igpu-amd");
    tree.config("[gpu big]\ndevice = 0000:03:00.0\n[guest win10]\ngpus = big\n");
    tree.write("etc/vfio.conf.d/10.conf", "  [ gpu  other ]\ndevice = 0000:00:02.0\n[guest linux]\n#[gpu off]\n");
    tree.write("cards.rom", "");
    tree.write("01-amd.rules", "");
    tree
}

#[track_caller]
fn offers_what_there_is(shell: &Shell) {
    if Command::new(shell.program).args(["-c", ":"]).output().is_err() {
        return skipped("offers_what_there_is", &format!("{} is not installed", shell.program));
    }
    let tree = machine();
    let wrong: Vec<String> = OFFERED
        .iter()
        .filter_map(|(line, expected)| {
            let offered = shell.offered(&tree, line);
            (offered != *expected).then(|| format!("{line:?}: {offered:?}, not {expected:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}:\n{}", shell.program, wrong.join("\n"));
    // Without any configuration nothing is offered, and nothing is said.
    let bare = hosts::unpack("igpu-amd");
    assert_eq!(shell.offered(&bare, "vfio bind "), [""; 0], "{}", shell.program);
}

#[test]
fn bash_offers_what_there_is() {
    offers_what_there_is(&BASH);
}

#[test]
fn zsh_offers_what_there_is() {
    offers_what_there_is(&ZSH);
}

#[test]
fn fish_offers_what_there_is() {
    offers_what_there_is(&FISH);
}

/// Every verb and every option of the help is offered, and nothing of a configuration that cannot be read.
#[test]
fn all_of_the_command_line_is_offered() {
    let tree = machine();
    tree.write("etc/vfio.conf", "[gpu big\n\0");
    let ran = |words: &[&str]| {
        let output = Command::new(VFIO).args(words).env("VFIO_ROOT", tree.path()).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{words:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let offered = |words: &[&str]| -> Vec<String> {
        let text = ran(&[&["complete", "--"], words].concat());
        text.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
    };
    let verbs = offered(&[""]);
    assert!(verbs.len() > 15, "{verbs:?}");
    for verb in verbs.iter().filter(|verb| *verb != "help") {
        let help = ran(&[verb, "--help"]);
        let options = offered(&[verb, "--"]);
        let told = help.split_whitespace().filter(|word| word.starts_with("--") && word.len() > 2);
        for option in told.map(|word| word.trim_matches(|c: char| c != '-' && !c.is_ascii_lowercase())) {
            let option = option.split(['[', '=']).next().unwrap();
            let elsewhere = help.contains("Commands:") || help.contains(&format!("Example: vfio {verb}"));
            assert!(options.iter().any(|offer| offer == option) || elsewhere, "{verb} {option}: {options:?}");
        }
    }
}
