// SPDX-License-Identifier: LGPL-2.1-or-later
use super::*;

fn text_of(lines: &str) -> Result<Nodes, ParseError> {
    parse(lines)
}

#[test]
fn a_tree_survives_its_text() {
    let nodes = Nodes::from([
        ("a b/c d".to_owned(), Node::File(0o640, b"x\\n\t\n".to_vec())),
        ("dir".to_owned(), Node::Directory),
        ("dir/link".to_owned(), Node::Link("../a b/\\c".to_owned())),
        ("sys/config".to_owned(), Node::File(0o644, [vec![1; 3], vec![0; 4093]].concat())),
        ("\u{e4}/\u{fc}".to_owned(), Node::File(0o444, vec![0, 255, 0])),
    ]);
    let text = render(&nodes);
    assert!(text.is_ascii() && text.len() < 400, "{text}");
    assert_eq!(parse(&text).unwrap(), nodes);
    let report = format!("what a person reads\n/etc/x\n{BEGIN}\n{text}{END}\nbehind it\n");
    assert_eq!(parse(&report).unwrap(), nodes);
    assert_eq!(parse(&report.replace('\n', "\r\n")).unwrap(), nodes, "as a browser may save it");
}

#[test]
fn nothing_leads_out_of_a_recording() {
    for (wrong, line) in [
        ("/etc/../..\n x 644 y", 1),
        ("/..\n x 644 y", 1),
        ("/etc//x\n y 644 z", 1),
        ("/etc\n .. 644 y", 2),
        ("/etc\n a/../../b 644 y", 2),
        ("/etc\n a\\x2fb 644 y", 2),
        ("/etc\n a\\x00b 644 y", 2),
        ("/etc/\\x2e\\x2e/\n", 1),
        ("/etc\n x 4755 y", 2),
        ("/etc\n x 644", 2),
        ("/etc\n x rw y", 2),
        ("/etc\n x -> ", 2),
        ("/etc\n x -> a\\x00", 2),
        ("/etc\n x 644 \\q", 2),
        ("/etc\n x 644 \\x4", 2),
        ("/etc\n x 644 \\xzz", 2),
        ("/etc\n x 644 \\", 2),
        ("/etc\n x 644 \\0{99999999999}", 2),
        ("/etc\n x 644 \\0{99999999999999999999999}", 2),
        ("/etc\n x 644 \\0{9", 2),
        ("/etc\n x 644 \\\u{fc}", 2),
        ("/etc\nx 644 y", 2),
        ("/etc\n x 644 y\n x 644 y", 3),
        // By way of a link, or of a file.
        ("/a\n b -> /etc\n/a/b\n passwd 644 x", 0),
        ("/a\n b 644 x\n/a/b/\n", 3),
        ("/a/b/c\n d 644 x\n/a\n b 644 x", 0),
    ] {
        match text_of(wrong) {
            Err(ParseError::Line { line: found, .. }) => assert_eq!(found, line, "{wrong}"),
            other => panic!("{wrong}: {other:?}"),
        }
    }
    assert_eq!(text_of(&format!("{BEGIN}\n/a\n x 644 y\n")).unwrap_err(), ParseError::CutOff);
    for not_one in ["", "hello", "[gpu big]\n", "# a comment\n", "<html>"] {
        assert_eq!(text_of(not_one).unwrap_err(), ParseError::NotOne, "{not_one}");
    }
    assert_eq!(text_of(&"#\n".repeat(TEXT_LIMIT / 2 + 1)).unwrap_err(), ParseError::TooLong);
    let many: String = (0..=NODES + 1).map(|n| format!(" {n} 644 \n")).collect();
    assert!(text_of(&format!("/a\n{many}")).is_err());
    let zeros: String = (0..70).map(|n| format!(" {n} 644 \\0{{1000000}}\n")).collect();
    assert!(text_of(&format!("/a\n{zeros}")).is_err(), "more than 64 MiB from 2 KiB");
}

/// Whatever bytes come: no panic, and what is accepted is the same when it is written and read again.
#[test]
fn any_text_is_refused_or_read() {
    use proptest::prelude::*;
    let pieces = prop::sample::select(
        &[
            "/",
            "a",
            " ",
            "b 644 ",
            "\\x2f",
            "..",
            "\n",
            "->",
            " x -> y",
            "\\0{9}",
            "\\",
            "\u{fc}",
            "#",
            "== recording\n",
        ][..],
    );
    let text = prop::collection::vec(prop_oneof![3 => pieces.prop_map(str::to_owned), 1 => ".{0,4}"], 0..24);
    proptest!(ProptestConfig { failure_persistence: None, cases: 4000, ..ProptestConfig::default() }, |(parts in text)| {
        if let Ok(nodes) = parse(&parts.concat()) {
            prop_assert_eq!(parse(&render(&nodes)).ok(), Some(nodes.clone()).filter(|nodes| !nodes.is_empty()));
            prop_assert!(nodes.keys().all(|path| is_path(path)));
        }
    });
}
