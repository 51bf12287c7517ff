// SPDX-License-Identifier: LGPL-2.1-or-later
#![allow(clippy::unwrap_used)]

use super::super::super::line::Change;
use super::*;

const DEFAULT: Format = Format::GrubDefault;

fn own(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// The words of the one command line.
fn read(text: &str) -> String {
    let lines = lines(DEFAULT, text).unwrap();
    assert_eq!(lines.len(), 1, "{text:?}");
    lines[0].parameters.join(" ")
}

fn changed_in(format: Format, text: &str, remove: &[&str], add: &[&str]) -> String {
    let line = lines(format, text).unwrap().remove(0);
    let change = Change { remove: &own(remove), add: &own(add) };
    let raw = edit(format, &text[line.span.clone()], &change).unwrap();
    format!("{}{raw}{}", &text[..line.span.start], &text[line.span.end..])
}

fn changed(text: &str, remove: &[&str], add: &[&str]) -> String {
    changed_in(DEFAULT, text, remove, add)
}

fn refused(text: &str) -> (usize, String) {
    let problem = lines(DEFAULT, text).unwrap_err();
    (problem.line, problem.message)
}

#[test]
fn the_value_is_what_a_shell_makes_of_it() {
    for (text, words) in [
        ("GRUB_CMDLINE_LINUX_DEFAULT=\"quiet splash\"\n", "quiet splash"),
        ("GRUB_CMDLINE_LINUX_DEFAULT='quiet splash'", "quiet splash"),
        ("GRUB_CMDLINE_LINUX_DEFAULT=quiet\n", "quiet"),
        ("GRUB_CMDLINE_LINUX_DEFAULT=quiet\\ splash # x\n", "quiet splash"),
        ("GRUB_CMDLINE_LINUX_DEFAULT=\n", ""),
        ("  export GRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"' 'splash\n", "quiet splash"),
        ("A=1; GRUB_CMDLINE_LINUX_DEFAULT=\"a\" B=2;C=3\n", "a"),
        ("GRUB_CMDLINE_LINUX_DEFAULT=\"quiet \\\nsplash\n a\"\n", "quiet splash a"),
        ("GRUB_CMDLINE_LINUX_DEFAULT=\"a=\\\"b c\\\" \\$x \\` \\\\ \\q\"\n", "a=\"b c\" $x ` \\ \\q"),
        ("GRUB_CMDLINE_LINUX_DEFAULT=\"a\"\nGRUB_CMDLINE_LINUX_DEFAULT=\"b\"\n", "b"),
        ("GRUB_CMDLINE_LINUX_DEFAULT=\"a\"\nGRUB_CMDLINE_LINUX_DEFAULT+=\" b\"\n", "a b"),
        ("GRUB_CMDLINE_LINUX_DEFAULT=\"a\"\nGRUB_CMDLINE_LINUX_DEFAULT=\"c $GRUB_CMDLINE_LINUX_DEFAULT b\"\n", "c a b"),
        ("GRUB_CMDLINE_LINUX_DEFAULT=\"${GRUB_CMDLINE_LINUX_DEFAULT} b\"\n", "b"),
        ("export GRUB_CMDLINE_LINUX_DEFAULT=a GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT b\"\n", "b"),
        ("X='i=1 j'\nGRUB_CMDLINE_LINUX_DEFAULT=\"a $X\"\n", "a i=1 j"),
        ("#GRUB_CMDLINE_LINUX_DEFAULT=\"a\"\nGRUB_CMDLINE_LINUX=\"b\"\nGRUB_CMDLINE_LINUX_DEFAULT_XEN=c\n", ""),
        ("cat <<E\nGRUB_CMDLINE_LINUX_DEFAULT=a\nE\nGRUB_CMDLINE_LINUX_DEFAULT=b\n", "b"),
        ("GRUB_CMDLINE_LINUX_DEFAULT=b >/dev/null 2>&1\n", "b"),
        ("command -v return >x\nGRUB_CMDLINE_LINUX_DEFAULT=b\n", "b"),
        ("if x; then\n  GRUB_CMDLINE_LINUX_DEFAULT=a\nfi\nGRUB_CMDLINE_LINUX_DEFAULT=b\n", "b"),
        ("D=`( . /etc/os-release && echo ${NAME:-D} ) 2>/dev/null || echo D`\nGRUB_CMDLINE_LINUX_DEFAULT=b\n", "b"),
        ("GRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\r\nB=1\r\n", "quiet"),
        ("case $x in (a|b) echo x;; c) y;; esac\nfor i in 1; do x; done\nGRUB_CMDLINE_LINUX_DEFAULT=b", "b"),
        ("GRUB_CMDLINE_LINUX_DEFAULT=\"a$\"\n", "a$"),
    ] {
        assert_eq!(read(text), words, "{text:?}");
    }
}

#[test]
fn words_are_put_into_the_quotes_that_are_there() {
    for (text, with) in [
        ("GRUB_CMDLINE_LINUX_DEFAULT=\"quiet splash\"\n", "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet splash iommu=pt\"\n"),
        ("GRUB_CMDLINE_LINUX_DEFAULT='quiet' # x", "GRUB_CMDLINE_LINUX_DEFAULT='quiet iommu=pt' # x"),
        ("GRUB_CMDLINE_LINUX_DEFAULT=quiet\n", "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet iommu=pt\"\n"),
        ("GRUB_CMDLINE_LINUX_DEFAULT=\n", "GRUB_CMDLINE_LINUX_DEFAULT=\"iommu=pt\"\n"),
        ("GRUB_CMDLINE_LINUX_DEFAULT=\"\"\n", "GRUB_CMDLINE_LINUX_DEFAULT=\"iommu=pt\"\n"),
        ("GRUB_CMDLINE_LINUX_DEFAULT=''\n", "GRUB_CMDLINE_LINUX_DEFAULT='iommu=pt'\n"),
        ("GRUB_CMDLINE_LINUX_DEFAULT=a\\ b\n", "GRUB_CMDLINE_LINUX_DEFAULT=a\\ b\" iommu=pt\"\n"),
        ("GRUB_CMDLINE_LINUX_DEFAULT=\"quiet \"\n", "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet iommu=pt \"\n"),
        ("GRUB_CMDLINE_LINUX_DEFAULT=\"a \\\n  b\"\n", "GRUB_CMDLINE_LINUX_DEFAULT=\"a \\\n  b iommu=pt\"\n"),
        ("GRUB_CMDLINE_LINUX_DEFAULT=a\r\n", "GRUB_CMDLINE_LINUX_DEFAULT=\"a iommu=pt\"\r\n"),
        ("X=b\nGRUB_CMDLINE_LINUX_DEFAULT=$X\n", "X=b\nGRUB_CMDLINE_LINUX_DEFAULT=\"$X iommu=pt\"\n"),
        ("GRUB_CMDLINE_LINUX_DEFAULT+=\"\"", "GRUB_CMDLINE_LINUX_DEFAULT+=\" iommu=pt\""),
        (
            "GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT\"",
            "GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT iommu=pt\"",
        ),
        // The other assignments stay as they are.
        (
            "GRUB_CMDLINE_LINUX_DEFAULT=\"a\"\nGRUB_CMDLINE_LINUX_DEFAULT=\"b\"\n",
            "GRUB_CMDLINE_LINUX_DEFAULT=\"a\"\nGRUB_CMDLINE_LINUX_DEFAULT=\"b iommu=pt\"\n",
        ),
        ("GRUB_CMDLINE_LINUX=\"b\"", "GRUB_CMDLINE_LINUX=\"b\"\nGRUB_CMDLINE_LINUX_DEFAULT=\"iommu=pt\"\n"),
        ("A=1\r\n", "A=1\r\nGRUB_CMDLINE_LINUX_DEFAULT=\"iommu=pt\"\r\n"),
        ("", "GRUB_CMDLINE_LINUX_DEFAULT=\"iommu=pt\"\n"),
    ] {
        assert_eq!(changed(text, &[], &["iommu=pt"]), with, "{text:?}");
        assert!(read(with).ends_with("iommu=pt"), "{with:?}");
    }
    let quotes = changed("GRUB_CMDLINE_LINUX_DEFAULT='a'\n", &[], &["b=\"c $d\"", "it's"]);
    assert_eq!(quotes, "GRUB_CMDLINE_LINUX_DEFAULT='a b=\"c $d\" it'\\''s'\n");
    assert_eq!(read(&quotes), "a b=\"c $d\" it's");
    let quotes = changed("GRUB_CMDLINE_LINUX_DEFAULT=\"a\"\n", &[], &["b=\"c $d\\\"", "it's"]);
    assert_eq!(read(&quotes), "a b=\"c $d\\\" it's");
}

#[test]
fn words_are_taken_out_of_whatever_assignment_has_them() {
    for (text, without) in [
        ("GRUB_CMDLINE_LINUX_DEFAULT=\"a iommu=pt b\"\n", "GRUB_CMDLINE_LINUX_DEFAULT=\"a b\"\n"),
        ("GRUB_CMDLINE_LINUX_DEFAULT='iommu=pt b'\n", "GRUB_CMDLINE_LINUX_DEFAULT='b'\n"),
        ("GRUB_CMDLINE_LINUX_DEFAULT=a\\ iommu=pt\n", "GRUB_CMDLINE_LINUX_DEFAULT=a\n"),
        ("GRUB_CMDLINE_LINUX_DEFAULT=iommu=pt\n", "GRUB_CMDLINE_LINUX_DEFAULT=\n"),
        ("GRUB_CMDLINE_LINUX_DEFAULT=\"a \\\n iommu=pt\"\n", "GRUB_CMDLINE_LINUX_DEFAULT=\"a \\\n\"\n"),
        (
            "GRUB_CMDLINE_LINUX_DEFAULT=\"a iommu=pt\"\n# x\nGRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT b\"\n",
            "GRUB_CMDLINE_LINUX_DEFAULT=\"a\"\n# x\nGRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT b\"\n",
        ),
    ] {
        assert_eq!(changed(text, &["iommu=pt"], &[]), without, "{text:?}");
    }
    let elsewhere = "X=\"iommu=pt a\"\nGRUB_CMDLINE_LINUX_DEFAULT=\"b $X\"\n";
    let line = lines(DEFAULT, elsewhere).unwrap().remove(0);
    let change = Change { remove: &own(&["iommu=pt"]), add: &[] };
    let problem = edit(DEFAULT, &elsewhere[line.span], &change).unwrap_err();
    assert!(problem.message.contains("another variable"), "{problem:?}");
}

#[test]
fn what_cannot_be_told_is_refused_with_its_line() {
    for (text, line, part) in [
        ("\nGRUB_CMDLINE_LINUX_DEFAULT=\"a $(cat x)\"\n", 2, "$(...)"),
        ("GRUB_CMDLINE_LINUX_DEFAULT=\"a `cat x`\"\n", 1, "`...`"),
        ("GRUB_CMDLINE_LINUX_DEFAULT=\"a $HOSTNAME\"\n", 1, "refers to $HOSTNAME"),
        ("X=$(y)\nGRUB_CMDLINE_LINUX_DEFAULT=\"a $X\"\n", 2, "refers to $X"),
        ("GRUB_CMDLINE_LINUX_DEFAULT=\"a ${X:-b}\"\n", 1, "${...}"),
        ("GRUB_CMDLINE_LINUX_DEFAULT=\"a $1\"\n", 1, "every run"),
        ("GRUB_CMDLINE_LINUX_DEFAULT=$'a'\n", 1, "not every shell"),
        ("GRUB_CMDLINE_LINUX_DEFAULT=(a b)\n", 1, "a list"),
        ("if x\nthen GRUB_CMDLINE_LINUX_DEFAULT=a; fi\n", 2, "only in some cases"),
        ("case x in\nx) GRUB_CMDLINE_LINUX_DEFAULT=a ;;\nesac\n", 2, "only in some cases"),
        ("f() {\nGRUB_CMDLINE_LINUX_DEFAULT=a\n}\n", 2, "inside a function"),
        ("function f {\nGRUB_CMDLINE_LINUX_DEFAULT=a\n}\n", 2, "inside a function"),
        ("x && GRUB_CMDLINE_LINUX_DEFAULT=a\n", 1, "only in some cases"),
        ("GRUB_CMDLINE_LINUX_DEFAULT=a | x\n", 1, "only in some cases"),
        ("( GRUB_CMDLINE_LINUX_DEFAULT=a )\n", 1, "only in some cases"),
        ("GRUB_CMDLINE_LINUX_DEFAULT=a\nx || GRUB_CMDLINE_LINUX_DEFAULT+=b\n", 2, "only in some cases"),
        ("GRUB_CMDLINE_LINUX_DEFAULT=quiet splash\n", 1, "put the value in quotes"),
        ("GRUB_CMDLINE_LINUX_DEFAULT= \"quiet\"\n", 1, "remove the blank"),
        ("GRUB_CMDLINE_LINUX_DEFAULT=a\nunset GRUB_CMDLINE_LINUX_DEFAULT\n", 2, "changed by a command"),
        ("GRUB_CMDLINE_LINUX_DEFAULT=a\neval \"GRUB_CMDLINE_LINUX_DEFAULT=b\"\n", 2, "'eval' is here"),
        ("GRUB_CMDLINE_LINUX_DEFAULT=a\nreturn\nGRUB_CMDLINE_LINUX_DEFAULT=b\n", 2, "'return' is here"),
        ("x || return 1\n", 1, "'return' is here"),
        ("X=return\n$X\n", 2, "computed"),
        ("set -e\n", 1, "'set' is here"),
        ("break\n", 1, "'break' is here"),
        ("GRUB_CMDLINE_LINUX_DEFAULT=a || b &\n", 1, "only in some cases"),
        ("f()\nGRUB_CMDLINE_LINUX_DEFAULT=a\n", 2, "only in some cases"),
        ("A=$(cat <<E\n)\nE\n)\n", 1, "a here-document"),
        ("A=$(case a in a) b;; esac)\n", 1, "a 'case'"),
        ("A=\"${B:-'}\"\n", 1, "a quote (')"),
        ("cat <<E\n$(x)\nE\n", 2, "quote the word that ends it"),
        ("readonly GRUB_CMDLINE_LINUX_DEFAULT=a\nGRUB_CMDLINE_LINUX_DEFAULT=b\n", 1, "is declared by a command"),
        ("declare -n X=GRUB_CMDLINE_LINUX_DEFAULT\nX=b\nGRUB_CMDLINE_LINUX_DEFAULT=b\n", 1, "is declared by a command"),
        ("X=GRUB_CMDLINE_LINUX_DEFAULT\ndeclare -n Y=$X\n", 2, "stands for another one"),
        (". /etc/x\n", 1, "another file that is read here"),
        // Whatever stands before the program.
        ("X=1 return\nGRUB_CMDLINE_LINUX_DEFAULT=b\n", 1, "'return' is here"),
        ("X=1 eval y\nGRUB_CMDLINE_LINUX_DEFAULT=b\n", 1, "'eval' is here"),
        ("GRUB_CMDLINE_LINUX_DEFAULT=b\nX=1 . /x\n", 2, "another file that is read here"),
        ("GRUB_CMDLINE_LINUX_DEFAULT=b\ncommand . /x\n", 2, "another file that is read here"),
        ("command -p eval x\nGRUB_CMDLINE_LINUX_DEFAULT=b\n", 1, "'eval' is here"),
        ("builtin return\nGRUB_CMDLINE_LINUX_DEFAULT=b\n", 1, "'return' is here"),
        (">x return\nGRUB_CMDLINE_LINUX_DEFAULT=b\n", 1, "'return' is here"),
        ("2>/dev/null exec\nGRUB_CMDLINE_LINUX_DEFAULT=b\n", 1, "'exec' is here"),
        ("<<<x exit\nGRUB_CMDLINE_LINUX_DEFAULT=b\n", 1, "'exit' is here"),
        ("time return\nGRUB_CMDLINE_LINUX_DEFAULT=b\n", 1, "'return' is here"),
        (
            "command readonly GRUB_CMDLINE_LINUX_DEFAULT=a\nGRUB_CMDLINE_LINUX_DEFAULT=b\n",
            1,
            "is declared by a command",
        ),
        ("X=1 declare -r GRUB_CMDLINE_LINUX_DEFAULT=a\nGRUB_CMDLINE_LINUX_DEFAULT=b\n", 1, "is declared by a command"),
        ("f() {\nGRUB_CMDLINE_LINUX_DEFAULT=a\n}\nGRUB_CMDLINE_LINUX_DEFAULT=b\nf\n", 2, "inside a function"),
        ("read GRUB_CMDLINE_LINUX_DEFAULT\n", 1, "changed by a command"),
        ("GRUB_CMDLINE_LINUX\\\n_DEFAULT=a\n", 1, "a word is broken"),
        ("cat <\\\n<E\nGRUB_CMDLINE_LINUX_DEFAULT=a\nE\n", 1, "an operator is broken"),
        ("GRUB_CMDLINE_LINUX_DEFAULT[0]=a\n", 1, "an element of a list"),
        ("export GRUB_CMDLINE_LINUX_DEFAULT={a,b}\n", 1, "a pattern"),
        ("((GRUB_CMDLINE_LINUX_DEFAULT=1))\n", 1, "arithmetic"),
        ("A=$((GRUB_CMDLINE_LINUX_DEFAULT++))\n", 1, "changed by a command"),
        ("GRUB_CMDLINE_LINUX_DEFAULT=$RANDOM\n", 1, "refers to $RANDOM"),
        ("A=1\0\n", 1, "a zero byte"),
        ("X='a b'\nexport GRUB_CMDLINE_LINUX_DEFAULT=$X\n", 2, "put the value in quotes"),
        (": ${GRUB_CMDLINE_LINUX_DEFAULT:=quiet}\n", 1, "changed by a command"),
        ("case ${GRUB_CMDLINE_LINUX_DEFAULT:=quiet} in a) ;; esac\n", 1, "changed by a command"),
        ("GRUB_CMDLINE_LINUX_DEFAULT=1\nA=$((GRUB_CMDLINE_LINUX_DEFAULT += 1))\n", 2, "changed by a command"),
        ("for GRUB_CMDLINE_LINUX_DEFAULT in a; do x; done\n", 1, "changed by a command"),
        (
            "GRUB_CMDLINE_LINUX_DEFAULT=a\n\
             GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT $GRUB_CMDLINE_LINUX_DEFAULT\"\n",
            2,
            "twice",
        ),
        ("A=1\nGRUB_CMDLINE_LINUX_DEFAULT=\"a\n", 2, "does not end"),
        ("A='\n", 1, "does not end"),
        ("A=$(x\n", 1, "does not end"),
        ("if x; then\nA=1\n", 1, "does not end"),
        ("cat <<X\n", 1, "does not end"),
        ("A=1\nx &&\n", 2, "missing after"),
        ("A=1\nx \\\n", 2, "remove the backslash"),
    ] {
        let (at, message) = refused(text);
        assert!(at == line && message.contains(part), "{text:?}: {at}: {message}");
    }
}

#[test]
fn only_the_very_name_is_the_variable() {
    let text = "GRUB_CMDLINE_LINUX_RECOVERY=r\nGRUB_CMDLINE_LINUX=\"a\"\nGRUB_CMDLINE_LINUX_DEFAULT=\"b\"\n";
    assert_eq!(lines(Format::GrubLinux, text).unwrap()[0].parameters, ["a"]);
    assert_eq!(lines(DEFAULT, text).unwrap()[0].parameters, ["b"]);
    let new = changed_in(Format::GrubLinux, text, &[], &["iommu=pt"]);
    assert_eq!(new, text.replace("\"a\"", "\"a iommu=pt\""));
    let text = "LINUX_FALLBACK_OPTIONS=\"quiet\"\n";
    let new = changed_in(Format::SdbootManage, text, &[], &["iommu=pt"]);
    assert_eq!(new, format!("{text}LINUX_OPTIONS=\"iommu=pt\"\n"));
}

/// Regression: a quote that is put behind a `$` without quotes makes `$"..."` of it, which bash takes for another kind of
/// quote.
#[test]
fn a_quote_that_only_looks_closed_is_left_alone() {
    let text = "GRUB_CMDLINE_LINUX_DEFAULT=\"a\"b$\n";
    assert_eq!(read(text), "ab$");
    let line = lines(DEFAULT, text).unwrap().remove(0);
    let change = Change { remove: &[], add: &own(&["iommu=pt"]) };
    let problem = edit(DEFAULT, &text[line.span], &change).unwrap_err();
    assert!(problem.message.contains("manually"), "{problem:?}");
    // Within quotes of its own it is not a quote of another kind.
    assert_eq!(changed("GRUB_CMDLINE_LINUX_DEFAULT=b$\n", &[], &["x"]), "GRUB_CMDLINE_LINUX_DEFAULT=\"b$ x\"\n");
}

/// What refers to itself again and again does not grow without end.
#[test]
fn a_value_has_an_end() {
    let doubled: String = (0..64).map(|n| format!("A{}=\"$A{n} $A{n}\"\n", n + 1)).collect();
    let text = format!("A0=x\n{doubled}GRUB_CMDLINE_LINUX_DEFAULT=\"$A64\"\n");
    assert!(refused(&text).1.contains("$A64"));
}
