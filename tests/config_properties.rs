// SPDX-License-Identifier: LGPL-2.1-or-later
//! What holds for every text: it is read without a panic, messages point into it, and one section's garbage harms no other.
#![allow(clippy::unwrap_used)]

use proptest::collection::vec;
use proptest::prelude::*;
use vfio_suite::config::{parse_files, Config, Severity};
use vfio_suite::finding::{Finding, Location};

const PATH: &str = "/etc/vfio.conf";

/// Lines that are nearly right, which random bytes never are.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let key = prop_oneof![
        Just("device"),
        Just("identity"),
        Just("functions"),
        Just("also"),
        Just("bind"),
        Just("bar0"),
        Just("rom"),
        Just("acpi-table"),
        Just("gpus"),
        Just("command"),
        Just("before"),
        Just("stop-units"),
        Just("start-timeout"),
        Just("display-manager"),
        Just("runner"),
        Just("enable"),
        Just("kernel-parameters"),
        Just("failed-boots"),
        Just("rescue-entry"),
        Just("devcie"),
    ];
    let value = prop_oneof![
        "[0-9a-f:., ]{0,24}",
        "[0-9]{0,22}(s|min|K|M|G|T)?( [0-9]{1,3}(s|min))?",
        "[a-c'\"\\\\;#$ ]{0,16}",
        "\\PC{0,12}",
        Just("0000:03:00.0".to_owned()),
        Just("boot-display".to_owned()),
        Just("1002:73bf".to_owned()),
        Just("a".to_owned()),
        Just("yes".to_owned()),
        Just(String::new()),
    ];
    prop_oneof![
        2 => Just(b"[host]".to_vec()),
        2 => "\\[(gpu|guest) [ab]{1}\\]".prop_map(String::into_bytes),
        1 => "\\[?[a-z]{0,6}[ \\]#a-z.]{0,6}\\]?".prop_map(String::into_bytes),
        8 => (key, value).prop_map(|(key, value)| format!("{key} = {value}").into_bytes()),
        1 => vec(any::<u8>(), 0..30),
    ]
}

fn lines() -> impl Strategy<Value = Vec<u8>> {
    vec(line(), 0..25).prop_map(|lines| lines.join(&b'\n'))
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![3 => lines(), 1 => vec(any::<u8>(), 0..600)]
}

/// Where it is: every finding about the configuration has a place.
fn at(finding: &Finding) -> &Location {
    finding.at.as_ref().unwrap()
}

/// What must be true of any outcome.
fn check(config: &Config, texts: &[(&str, &[u8])]) {
    for diagnostic in &config.diagnostics {
        let at = at(diagnostic);
        let (_, text) = texts.iter().find(|(path, _)| *path == &*at.path).unwrap();
        let lines = text.split(|b| *b == b'\n').count();
        assert!(at.line as usize <= lines, "{diagnostic}");
        let sentence = diagnostic.sentence();
        assert!(!sentence.is_empty() && sentence.len() < 1000, "{diagnostic}");
        assert!(!sentence.contains(char::is_control), "{diagnostic}");
    }
    for (path, _) in texts {
        let about: Vec<_> = config.diagnostics.iter().filter(|d| &*at(d).path == *path).collect();
        assert!(about.len() <= 21);
        let kept = about.len().min(20);
        assert!(about[..kept].windows(2).all(|two| at(two[0]).line <= at(two[1]).line), "not in the order of lines");
    }
    // Whatever is disabled is so by an error, and nothing is both there and disabled.
    for disabled in &config.disabled {
        assert_eq!(disabled.why.severity, Severity::Error);
        assert_eq!(config.worst(), Some(Severity::Error));
        let there = match disabled.kind {
            "gpu" => config.gpu(&disabled.name).is_some(),
            kind => config.guest(&disabled.name).is_some() || kind != "guest",
        };
        assert!(!there, "{disabled:?}");
    }
    for guest in &config.guests {
        assert!(!guest.gpus.value.is_empty());
        assert!(guest.gpus.value.iter().all(|name| config.gpu(name).is_some()));
    }
}

proptest! {
    // 256 cases each; the variable PROPTEST_CASES asks for more.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read(text in text(), drop_in in text()) {
        let texts = [(PATH, &text[..]), ("/etc/vfio.conf.d/a.conf", &drop_in[..])];
        check(&parse_files(&texts), &texts);
    }

    /// `[gpu good]` and `[guest good]` come out the same, alone or with garbage in sections before, between and after.
    #[test]
    fn garbage_stays_where_it_is(
        garbage in [lines(), lines(), lines()],
        kind in proptest::sample::select(vec!["gpu", "guest", "host", "nonsense"]),
    ) {
        // A header in the garbage would begin another section, and another section may claim the good one's device.
        let harmless = |text: &[u8]| -> Vec<u8> {
            let keep = |line: &&[u8]| !line.trim_ascii_start().starts_with(b"[") && !line.starts_with(b"device");
            text.split(|b| *b == b'\n').filter(keep).collect::<Vec<_>>().join(&b'\n')
        };
        let good = "[gpu good]\ndevice = 0000:03:00.0\nbar0 = 16G\nbind = guest\n";
        let guest = "[guest good]\ngpus = good\nbefore = a ; b\n";
        let alone = parse_files(&[(PATH, format!("{good}{guest}").as_bytes())]);
        prop_assert_eq!(alone.diagnostics.len(), 0);

        let mut text = Vec::new();
        for (n, (garbage, rest)) in garbage.iter().zip([good, guest, ""]).enumerate() {
            text.extend(format!("[{kind} bad{n}]\n").into_bytes());
            text.extend(harmless(garbage));
            text.extend(b"\n");
            text.extend(rest.as_bytes());
        }
        let mixed = parse_files(&[(PATH, &text)]);
        let (gpu, guest) = (mixed.gpu("good"), mixed.guest("good"));
        prop_assert!(gpu.is_some() && guest.is_some(), "{:?}", mixed.diagnostics);
        // Only the places differ.
        let (mut gpu, mut guest) = (gpu.unwrap().clone(), guest.unwrap().clone());
        let (old_gpu, old_guest) = (&alone.gpus[0], &alone.guests[0]);
        prop_assert!(gpu.at.line > old_gpu.at.line && guest.at.line > old_guest.at.line);
        gpu.at = old_gpu.at.clone();
        gpu.device.at = old_gpu.device.at.clone();
        gpu.bars.clone_from(&old_gpu.bars);
        guest.at = old_guest.at.clone();
        guest.gpus.at = old_guest.gpus.at.clone();
        prop_assert_eq!(&gpu, old_gpu);
        prop_assert_eq!(&guest, old_guest);
    }

    /// What cannot be read never says yes to `enable`.
    #[test]
    fn a_damaged_enable_leaves_the_suite_idle(at in 0usize..6, byte in any::<u8>()) {
        let mut text = b"[host]\nenable = no\n".to_vec();
        // Damage in the value, or in the blanks and the '=' before it.
        let position = b"[host]\nenable".len() + at.min(4);
        text[position] = byte;
        let config = parse_files(&[(PATH, &text)]);
        // A line feed makes two lines of it, and a longer key is another key: both are told, not guessed.
        let key = byte != b'\n' && matches!(text[13], b' ' | b'\t' | b'=');
        if key {
            prop_assert!(!config.host.enable, "{:?}", String::from_utf8_lossy(&text));
        } else {
            prop_assert!(!config.host.enable || config.worst().is_some());
        }
    }
}
