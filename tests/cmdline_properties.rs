// SPDX-License-Identifier: LGPL-2.1-or-later
//! What holds for every boot file: it is read without a panic; changed twice it is as changed once; changed back it is as it
//! was; and where a shell or GRUB reads it, they read what we read.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::boot::{after, applied, cases, grammars, planned};
use common::hand;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use std::fs;
use std::process::{Command, Stdio};
use vfio_suite::host::boot::Format;
use vfio_suite::plan::cmdline::format::{lines, Line};
use vfio_suite::plan::cmdline::line;
use vfio_suite::plan::cmdline::record::Record;

const VARIABLE: &str = "GRUB_CMDLINE_LINUX_DEFAULT";

/// Pieces of boot files, in any order.
fn soup() -> impl Strategy<Value = String> {
    let pieces = [
        "GRUB_CMDLINE_LINUX_DEFAULT",
        "GRUB_CMDLINE_LINUX_DEFAULT=",
        "GRUB_CMDLINE_LINUX_DEFAULT=\"",
        "GRUB_CMDLINE_LINUX_DEFAULT='a",
        "$GRUB_CMDLINE_LINUX_DEFAULT",
        "${GRUB_CMDLINE_LINUX_DEFAULT}",
        "GRUB_CMDLINE_LINUX=",
        "KERNEL_CMDLINE[default]+=",
        "LINUX_OPTIONS=\"",
        "options ",
        "options",
        "linux /l",
        "initrd /i",
        "menuentry \"A\" {",
        "submenuentry b {",
        "add_options ",
        "ostype Linux",
        "loader vmlinuz",
        "/Arch",
        "//b",
        ":Old",
        "protocol: linux",
        "cmdline: ",
        "CMDLINE=",
        "### BEGIN /etc/grub.d/10_linux ###",
        "{\"user\": {\"kernel_options\": [\"a\"]}}",
        "X=",
        "$X",
        "\"",
        "\"\"",
        "'",
        "\\",
        "`",
        "$(",
        "${",
        "}",
        "(",
        ")",
        ";",
        "&&",
        "|",
        "&",
        "#",
        "~",
        "=",
        "+=",
        "if true; then ",
        "; fi",
        "case a in a) ",
        "esac",
        "f() {",
        "<<E\n",
        "\nE\n",
        "export ",
        "a",
        "iommu=pt",
        "a=\"b c\"",
        "root=/dev/vda ro",
        "\u{e4}",
        "\u{fffc}",
        " ",
        " ",
        "\t",
        "\n",
        "\n",
        "\r\n",
        "\\\n",
        "\r",
    ];
    vec(select(pieces.to_vec()), 0..24).prop_map(|pieces| pieces.concat())
}

/// Pieces of shell, most of which fit together.
fn shell_soup() -> impl Strategy<Value = String> {
    let commands = [
        "GRUB_CMDLINE_LINUX_DEFAULT=a",
        "GRUB_CMDLINE_LINUX_DEFAULT=\"b c\"",
        "GRUB_CMDLINE_LINUX_DEFAULT='d'\"$X\"",
        "GRUB_CMDLINE_LINUX_DEFAULT=$GRUB_CMDLINE_LINUX_DEFAULT\\ e",
        "GRUB_CMDLINE_LINUX_DEFAULT=\"$X $GRUB_CMDLINE_LINUX_DEFAULT\"",
        "GRUB_CMDLINE_LINUX_DEFAULT=\"\\\n f\\\\\\\" g \\h\"",
        "export GRUB_CMDLINE_LINUX_DEFAULT=i",
        "export GRUB_CMDLINE_LINUX_DEFAULT=$X",
        "export GRUB_CMDLINE_LINUX_DEFAULT=\"$X\"",
        ": ${GRUB_CMDLINE_LINUX_DEFAULT:=u}",
        "GRUB_CMDLINE_LINUX=j",
        "X='k l'",
        "X=\"m$X\"",
        "X=`(n; echo \\`o\\`)`",
        "X=$(echo \")\" '(' # )\n)",
        "X=${Y:-\"}\"}",
        "unset GRUB_CMDLINE_LINUX_DEFAULT",
        ": # GRUB_CMDLINE_LINUX_DEFAULT=p",
        ": <<E '\nGRUB_CMDLINE_LINUX_DEFAULT=q\nE\n'",
        ": <<-'E'\n\tGRUB_CMDLINE_LINUX_DEFAULT=r\n\tE",
        ": $#",
        "eval \"GRUB_CMDLINE_LINUX_DEFAULT=s\"",
        "f() { GRUB_CMDLINE_LINUX_DEFAULT=t; }; f",
        "f() { return; }; f",
        "f()\nGRUB_CMDLINE_LINUX_DEFAULT=v",
        "f ( ) GRUB_CMDLINE_LINUX_DEFAULT=v",
        "return",
        "return 0",
        "ret\\\nurn",
        "X=return; $X",
        "break",
        "eval return",
        "set -n",
        "set -e; false",
        "alias true=return; true",
        "GRUB_CMDLINE_LINUX_DEFAULT=a || B=x &",
        "GRUB_CMDLINE_LINUX_DEFAULT=w && : | : &",
        "true &&\nGRUB_CMDLINE_LINUX_DEFAULT=w",
        "X=$(: <<E\n)\nE\n)",
        "X=$(case a in a) echo b;; esac)",
        "X=$(: ;# )\n)",
        "X=$((1<<2))",
        "X=\"${Y:-'}\"",
        "X=\"${Y:-\"}\"}\"",
        ": $((GRUB_CMDLINE_LINUX_DEFAULT++))",
        ": $(( --GRUB_CMDLINE_LINUX_DEFAULT ))",
        ": $[GRUB_CMDLINE_LINUX_DEFAULT=5]",
        "((GRUB_CMDLINE_LINUX_DEFAULT=5))",
        "(( 1 << E ))",
        ": <<E\n$(\nE\n)\nE",
        ": <<E\nx\\\nE\nE",
        ": <<\\E\nx\\\nE",
        ": <<E\n${GRUB_CMDLINE_LINUX_DEFAULT:=x}\nE",
        "readonly GRUB_CMDLINE_LINUX_DEFAULT=x",
        "readonly GRUB_CMDLINE_LINUX_DEFAULT",
        "declare -n X=GRUB_CMDLINE_LINUX_DEFAULT",
        "X=GRUB_CMDLINE_LINUX_DEFAULT; declare -n Y=$X; Y=z",
        "declare -r GRUB_CMDLINE_LINUX_DEFAULT",
        "typeset -i GRUB_CMDLINE_LINUX_DEFAULT=4+4",
        "declare -u GRUB_CMDLINE_LINUX_DEFAULT",
        "local GRUB_CMDLINE_LINUX_DEFAULT=x",
        "export -n GRUB_CMDLINE_LINUX_DEFAULT=x",
        "export GRUB_CMDLINE_LINUX_DEFAULT={a,b}",
        "export GRUB_CMDLINE_LINUX_DEFAULT=/*",
        "command export GRUB_CMDLINE_LINUX_DEFAULT=x",
        "\\export GRUB_CMDLINE_LINUX_DEFAULT=x",
        "GRUB_CMDLINE_LINUX\\\n_DEFAULT=x",
        "GRUB_CMDLINE_LINUX_DEFAULT[0]=x",
        "GRUB_CMDLINE_LINUX_DEFAULT[1 - 1]=x",
        "GRUB_CMDLINE_LINUX_DEFAULT=(x y)",
        "printf -v GRUB_CMDLINE_LINUX_DEFAULT x",
        "X=GRUB_CMDLINE_LINUX_DEFAULT; printf -v $X x",
        "X=GRUB_CMDLINE_LINUX_DEFAULT; : ${!X:=x}",
        "read GRUB_CMDLINE_LINUX_DEFAULT <<E\nx\nE",
        "X=GRUB_CMDLINE_LINUX_DEFAULT; read $X <<E\nx\nE",
        "exec {GRUB_CMDLINE_LINUX_DEFAULT}</dev/null",
        ": {GRUB_CMDLINE_LINUX_DEFAULT}</dev/null",
        "RANDOM=1; GRUB_CMDLINE_LINUX_DEFAULT=$RANDOM",
        "_=1; GRUB_CMDLINE_LINUX_DEFAULT=$_",
        "GRUB_CMDLINE_LINUX_DEFAULT=$'a\\'b'",
        "GRUB_CMDLINE_LINUX_DEFAULT=$\"a\"",
        "GRUB_CMDLINE_LINUX_DEFAULT=\"a\"b$",
        "GRUB_CMDLINE_LINUX_DEFAULT=a$",
        "GRUB_CMDLINE_LINUX_DEFAULT=a$\\\nX",
        "GRUB_CMDLINE_LINUX_DEFAULT=<(:)",
        "GRUB_CMDLINE_LINUX_DEFAULT=a:~:b",
        "GRUB_CMDLINE_LINUX_DEFAULT=a >/dev/null",
        "GRUB_CMDLINE_LINUX_DEFAULT=a &>/dev/null",
        ">/dev/null GRUB_CMDLINE_LINUX_DEFAULT=a",
        "GRUB_CMDLINE_LINUX_DEFAULT=x :",
        "GRUB_CMDLINE_LINUX_DEFAULT=x export Y=1",
        "time GRUB_CMDLINE_LINUX_DEFAULT=x",
        "coproc GRUB_CMDLINE_LINUX_DEFAULT=x",
        "unset X; unset -v GRUB_CMDLINE_LINUX_DEFAULT",
        "i\\\nf false; then GRUB_CMDLINE_LINUX_DEFAULT=x; fi",
        ": <\\\n<E\nGRUB_CMDLINE_LINUX_DEFAULT=x\nE",
        "for GRUB_CMDLINE_LINUX_DEFAULT in a b; do :; done",
        "X=1 Y=\"$X\" GRUB_CMDLINE_LINUX_DEFAULT=\"$Y\"",
    ];
    let around = [
        "_",
        "_",
        "_",
        "_",
        "  _ # x",
        "if true; then _; fi",
        "if false\nthen _\nelse :; fi",
        "case a in (b) :;; a) _\nesac",
        "for i in 1 2; do _; done",
        "( _ )",
        "{ _; }",
        "true && _",
        "false || _",
        "_ | :",
        "_ &",
        "! _",
        "g() {\n_\n}",
        "_\\",
        "while false; do _; done",
    ];
    let command = (select(around.to_vec()), select(commands.to_vec())).prop_map(|(a, c)| a.replace('_', c));
    let end = select(vec!["\n", "\n", ";", " ; ", "\n\n", " &&\n", "\r\n"]);
    vec((command, end).prop_map(|(command, end)| format!("{command}{end}")), 1..5).prop_map(|all| all.concat())
}

fn desired() -> impl Strategy<Value = Vec<String>> {
    let words = ["iommu=pt", "intel_iommu=on", "a=\"b c\"", "x=$y", "z=`\\'", "d=1,2;3"];
    proptest::sample::subsequence(words.to_vec(), 1..=3)
        .prop_map(|words| words.into_iter().map(str::to_owned).collect())
}

/// What must be true of the command lines of any file.
fn check_lines(text: &str, lines: &[Line]) {
    let mut from = 0;
    for line in lines {
        assert!(from <= line.span.start && line.span.start <= line.span.end, "{line:?}\n{text}");
        assert!(text.get(line.span.clone()).is_some(), "{line:?}\n{text}");
        assert!((1..=text.matches('\n').count() + 1).contains(&line.number), "{line:?}\n{text}");
        assert!(line.parameters.iter().all(|word| !word.is_empty()), "{line:?}");
        assert_eq!(lines.iter().filter(|other| other.key == line.key).count(), 1, "{line:?}\n{text}");
        from = line.span.end;
    }
}

/// What must be true of a file and the same file with our words.
fn check_change(format: Format, old: &str, new: &str, words: &[String]) {
    let (before, after) = (lines(format, old).unwrap(), lines(format, new).unwrap());
    // Everything between the command lines is as it was.
    let between = |text: &str, lines: &[Line]| -> Vec<String> {
        let starts = std::iter::once(0).chain(lines.iter().map(|line| line.span.end));
        let ends = lines.iter().map(|line| line.span.start).chain([text.len()]);
        starts.zip(ends).map(|(start, end)| text[start..end].to_owned()).collect()
    };
    assert_eq!(between(old, &before), between(new, &after), "{format:?}\n{old}");
    assert_eq!(before.len(), after.len());
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before.key, after.key);
        assert!(
            words.iter().all(|word| vfio_suite::plan::cmdline::parameters::is_there(word, &after.parameters)),
            "{new}"
        );
        // Ours come in; no other word comes or goes, and none moves.
        let mut theirs = after.parameters.clone();
        for word in words.iter().filter(|word| !before.parameters.contains(word)) {
            if let Some(at) = theirs.iter().position(|other| other == word) {
                theirs.remove(at);
            }
        }
        assert_eq!(before.parameters, theirs, "{format:?}\n{old}\n{new}");
    }
}

/// What each shell makes of a file: the variable's value, of those that read it to the end. They find no programs. What only
/// bash has is for bash.
fn sourced_by_all(text: &str) -> Vec<(&'static str, String)> {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("file"), text).unwrap();
    let run = |shell: &[&str], arguments: &[&str]| {
        let mut command = Command::new(shell[0]);
        command.args(&shell[1..]).args(arguments);
        command.current_dir(directory.path()).env_clear().env("PATH", "/nonexistent");
        command.stdin(Stdio::null()).stderr(Stdio::null()).output().unwrap()
    };
    let value = |shell: &[&str]| {
        if !run(shell, &["-n", "./file"]).status.success() {
            return None;
        }
        let output = run(shell, &["-c", "{ . ./file; } >/dev/null\nprintf '<%s>' \"$GRUB_CMDLINE_LINUX_DEFAULT\""]);
        let text = String::from_utf8(output.stdout).ok()?;
        Some(text.strip_prefix('<')?.strip_suffix('>')?.to_owned())
    };
    let shells: [(&str, &[&str]); 3] =
        [("sh", &["/bin/sh"]), ("bash", &["/bin/bash"]), ("bash --posix", &["/bin/bash", "--posix"])];
    let shells = shells.into_iter().filter(|(name, _)| *name != "sh" || !text.contains("+="));
    shells.filter_map(|(name, shell)| Some((name, value(shell)?))).collect()
}

/// The same of the one that is asked first.
fn sourced(text: &str) -> Option<String> {
    sourced_by_all(text).into_iter().next().map(|(_, value)| value)
}

fn parameters_of(value: &str) -> Vec<String> {
    line::parameters(value).into_iter().map(|range| value[range].to_owned()).collect()
}

/// A value in any quotes, and its words.
fn assignment() -> impl Strategy<Value = String> {
    let quoted = |quote: usize, text: &str| match quote {
        0 => format!("'{text}'"),
        1 => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$")),
        2 => text.chars().map(|c| if c == '\n' { "'\n'".to_owned() } else { format!("\\{c}") }).collect(),
        _ => format!("\"\\\n{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$")),
    };
    let part = (0..4usize, "[a-c=$.,!;&|()<>~*\\\\ \n]{0,8}(=\"[ab ]{0,3}\")?( iommu=pt)?")
        .prop_map(move |(quote, text)| quoted(quote, &text));
    let operator = select(vec!["=", "=", "=", "+="]);
    let before = select(vec!["", "  ", "export ", "A=1; ", "# x\n"]);
    let after = select(vec!["\n", "\n", " # x\n", "; B=2\n", ""]);
    (before, operator, vec(part, 0..3), any::<bool>(), after).prop_map(|(before, operator, parts, itself, after)| {
        let itself = if itself { "\"$GRUB_CMDLINE_LINUX_DEFAULT \"" } else { "" };
        format!("{before}{VARIABLE}{operator}{itself}{}{after}", parts.concat())
    })
}

proptest! {
    /// All white space, between and around words of ours, and whatever else a person may write there.
    #[test]
    fn a_person_may_edit_what_we_wrote(
        text in prop_oneof![2 => soup(), 1 => select(golden())],
        words in desired(),
        edits in vec((any::<u16>(), any::<u8>()), 1..6),
    ) {
        for format in grammars().into_values() {
            hand::check(format, &text, &words, &edits);
        }
    }
}

/// The golden files, whatever grammar they are for.
fn golden() -> Vec<String> {
    cases().into_iter().map(|(_, _, path)| fs::read_to_string(path.join("in")).unwrap()).collect()
}

proptest! {
    // 256 cases each; the variable PROPTEST_CASES asks for more.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read(text in prop_oneof![3 => soup(), 1 => "\\PC{0,80}"], words in desired()) {
        for format in grammars().into_values() {
            if let Ok(lines) = lines(format, &text) {
                check_lines(&text, &lines);
            }
            if let Ok(new) = applied(format, &text, &words) {
                if new != text {
                    check_change(format, &text, &new, &words);
                }
            }
        }
    }

    /// What we say that a shell's variable is, it is.
    #[test]
    fn what_is_known_is_what_a_shell_makes_of_it(text in prop_oneof![1 => soup(), 4 => shell_soup()]) {
        let Ok(lines) = lines(Format::GrubDefault, &text) else { return Ok(()) };
        for (shell, value) in sourced_by_all(&text) {
            prop_assert_eq!(&lines[0].parameters, &parameters_of(&value), "{}: {}", shell, text);
        }
        let words = parameters_of("iommu=pt a=\"b c\"");
        let Ok(new) = applied(Format::GrubDefault, &text, &words) else { return Ok(()) };
        for (shell, value) in sourced_by_all(&new) {
            let value = parameters_of(&value);
            prop_assert!(words.iter().all(|word| value.contains(word)), "{}: {}", shell, new);
        }
    }

    /// Assignments in all quotes: read, changed, and read again by a shell.
    #[test]
    fn a_shell_reads_what_was_written(assignments in vec(assignment(), 1..4), words in desired()) {
        let text = assignments.iter().fold(String::new(), |text, next| {
            let apart = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
            format!("{text}{apart}{next}")
        });
        let old = sourced(&text).expect("the text is valid");
        let read = match lines(Format::GrubDefault, &text) {
            Ok(lines) => lines,
            // Twice itself, or an open quote of the kernel's.
            Err(problem) => {
                let told = ["twice", "does not end; close it"].iter().any(|part| problem.message.contains(part));
                prop_assert!(told, "{problem:?}\n{text}");
                return Ok(());
            }
        };
        prop_assert_eq!(&read[0].parameters, &parameters_of(&old), "{}", text);
        let new = applied(Format::GrubDefault, &text, &words).unwrap();
        let value = sourced(&new);
        prop_assert!(value.is_some(), "no shell reads this:\n{}", new);
        let mut expected = parameters_of(&old);
        expected.extend(words.iter().filter(|word| !read[0].parameters.contains(word)).cloned());
        prop_assert_eq!(parameters_of(&value.unwrap()), expected, "{}", new);
    }
}

/// The golden files with our words pass `sh -n`, and differ for a shell by exactly our words.
#[test]
fn golden_files_are_read_by_a_shell() {
    let words = ["iommu=pt", "x=\"y z\""].map(str::to_owned);
    let mut read = 0;
    for (format, name, path) in cases() {
        let text = fs::read_to_string(path.join("in")).unwrap();
        let (Format::GrubDefault, Ok(new)) = (format, applied(format, &text, &words)) else { continue };
        let old = parameters_of(&sourced(&text).unwrap_or_else(|| panic!("{name}")));
        let mut expected = old.clone();
        expected.extend(words.iter().filter(|word| !old.contains(word)).cloned());
        assert_eq!(parameters_of(&sourced(&new).unwrap_or_else(|| panic!("{name}"))), expected, "{name}");
        read += 1;
    }
    assert!(read >= 15, "{read}");
}

/// What grub-mkconfig would make of them passes `grub-script-check`, and we find our words in it.
#[test]
fn grub_takes_what_is_made_from_them() {
    let words = ["iommu=pt", "intel_iommu=on", "x=\"y z\""].map(str::to_owned);
    let mut checked = 0;
    for (format, name, path) in cases() {
        let text = fs::read_to_string(path.join("in")).unwrap();
        if !matches!(format, Format::GrubDefault | Format::GrubLinux) {
            continue;
        }
        let Ok(new) = applied(format, &text, &words) else { continue };
        let line = lines(format, &new).unwrap().remove(0).parameters.join(" ");
        let made = format!(
            "### BEGIN /etc/grub.d/10_linux ###\nmenuentry 'Linux' {{\n\tlinux\t/vmlinuz root=/dev/vda ro {line}\n}}\n\
             ### END /etc/grub.d/10_linux ###\n"
        );
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), &made).unwrap();
        let check = Command::new("grub-script-check").arg(file.path()).output();
        let check = check.expect("grub-script-check of grub-common runs (tests/setup-debian.sh installs it)");
        assert!(check.status.success(), "{name}: {}\n{made}", String::from_utf8_lossy(&check.stderr));
        let found = lines(Format::GrubCfg, &made).unwrap().remove(0).parameters;
        assert!(words.iter().all(|word| found.contains(word)), "{name}: {found:?}");
        checked += 1;
    }
    assert!(checked >= 20, "{checked}");
}

/// Regression: a TAB in the place of the blank before the first of two words of ours made five verbs abort.
#[test]
fn white_space_of_a_person_between_words_of_ours() {
    let words = ["iommu=pt", "video=efifb:off"].map(str::to_owned);
    for (format, file) in [
        (Format::GrubDefault, "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet@\"\n"),
        (Format::Bls, "linux /l\noptions quiet@\n"),
        (Format::Plain, "quiet@\n"),
        (Format::RefindLinux, "\"Boot\" \"quiet@\"\n"),
        (Format::Limine, "/Arch\n  protocol: linux\n  cmdline: quiet@\n"),
        (Format::LimineDefault, "KERNEL_CMDLINE[default]=\"quiet@\"\n"),
        (Format::SdbootManage, "LINUX_OPTIONS=\"quiet@\"\n"),
    ] {
        let first = planned(format, &file.replace('@', ""), &words, &Record::default(), false);
        for (ours, back) in [
            ("\tiommu=pt video=efifb:off", "\t"),
            (" iommu=pt\tvideo=efifb:off", "\t"),
            ("\tiommu=pt\tvideo=efifb:off", "\t\t"),
            (" iommu=pt\u{b}video=efifb:off", "\u{b}"),
            ("\u{c}iommu=pt video=efifb:off x", "\u{c}x"),
            ("  iommu=pt  video=efifb:off  x", "    x"),
        ] {
            let edited = file.replace('@', ours);
            let reverted = planned(format, &edited, &[], &first.record, false);
            assert_eq!(after(&reverted, &edited), Ok(file.replace('@', back)), "{format:?}: {ours:?}");
        }
    }
}

/// Regression: what bash sends elsewhere, other shells run in the background, where it sets nothing.
#[test]
fn shells_disagree_about_an_ampersand_and_an_arrow() {
    let value = |text: &str| lines(Format::GrubDefault, text).map(|lines| lines[0].parameters.clone());
    assert_eq!(value("GRUB_CMDLINE_LINUX_DEFAULT=a\ntrue &>/dev/null\n"), Ok(vec!["a".to_owned()]));
    for text in [
        "GRUB_CMDLINE_LINUX_DEFAULT=a &>/dev/null\n",
        "true && GRUB_CMDLINE_LINUX_DEFAULT=a &>/dev/null\n",
        "GRUB_CMDLINE_LINUX_DEFAULT=a\ntrue &>/dev/null GRUB_CMDLINE_LINUX_DEFAULT=b\n",
        "{ GRUB_CMDLINE_LINUX_DEFAULT=a; } &>/dev/null\n",
    ] {
        let known = value(text).ok();
        let sourced: Vec<Vec<String>> = sourced_by_all(text).iter().map(|(_, value)| parameters_of(value)).collect();
        assert!(known.is_none_or(|known| sourced.iter().all(|value| *value == known)), "{text}: {sourced:?}");
    }
}

/// Regression: each run took one of several equal words.
#[test]
fn repeated_words_are_adopted_at_once() {
    let words = ["iommu=pt".to_owned()];
    let text = "GRUB_CMDLINE_LINUX_DEFAULT=\"iommu=pt amd_iommu=on a iommu=pt amd_iommu=on b iommu=pt\"\n";
    let plan = planned(Format::GrubDefault, text, &words, &Record::default(), true);
    let new = after(&plan, text).unwrap();
    assert_eq!(new, "GRUB_CMDLINE_LINUX_DEFAULT=\"a b iommu=pt\"\n");
    let again = planned(Format::GrubDefault, &new, &words, &plan.record, true);
    assert_eq!(after(&again, &new).as_ref(), Ok(&new));
    let back = planned(Format::GrubDefault, &new, &[], &plan.record, false);
    assert_eq!(after(&back, &new).unwrap(), "GRUB_CMDLINE_LINUX_DEFAULT=\"a b\"\n");
}
