// SPDX-License-Identifier: LGPL-2.1-or-later
//! The two texts that tell users about the file, checked against the code: the installed example and the manual page.
#![allow(clippy::unwrap_used)]

use super::keys::Kind;
use super::*;

const EXAMPLE: &str = include_str!("../../vfio.conf");
const MANUAL: &str = include_str!("../../man/vfio.conf.5");

/// The example with every setting and header switched on: `#key = value`; prose has a blank after its `#`.
fn uncommented() -> String {
    let switch_on =
        |line: &str| line.strip_prefix('#').filter(|rest| !rest.starts_with([' ', '#'])).unwrap_or(line).to_owned();
    EXAMPLE.lines().map(switch_on).collect::<Vec<_>>().join("\n")
}

fn parse_text(text: &str) -> Config {
    parse_files(&[("/etc/vfio.conf", text.as_bytes())])
}

#[test]
fn as_installed_it_changes_nothing() {
    assert!(EXAMPLE.lines().all(|line| line.is_empty() || line.starts_with('#')));
    assert_eq!(parse_text(EXAMPLE), Config::default());
}

#[test]
fn switched_on_it_is_right() {
    let config = parse_text(&uncommented());
    assert_eq!(config.diagnostics, []);
    assert_eq!((config.gpus.len(), config.guests.len()), (1, 2));
    // What it shows for the host is the default, but for the one key without.
    let shown = HostSection { kernel_parameters: Vec::new(), ..config.host.clone() };
    assert_eq!(shown, HostSection::default());
    assert_eq!(config.host.kernel_parameters, ["pcie_acs_override=downstream,multifunction"]);
}

#[test]
fn each_setting_can_be_switched_on_alone() {
    let text = uncommented();
    let mut tried = 0;
    for section in text.split("\n[").skip(1) {
        let (header, body) = section.split_once("]\n").unwrap();
        let settings: Vec<&str> = body.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
        let needed = match header {
            "host" => "",
            "gpu big" => "device = 0000:03:00.0\n",
            "guest win10" => "gpus = big\n[gpu big]\ndevice = 0000:03:00.0\n",
            // It is one example as a whole.
            "guest plain" => continue,
            header => panic!("what does [{header}] need?"),
        };
        for setting in settings.iter().filter(|setting| !needed.starts_with(**setting)) {
            tried += 1;
            assert_eq!(parse_text(&format!("[{header}]\n{setting}\n{needed}")).diagnostics, [], "{setting}");
        }
    }
    assert!(tried >= 25, "only {tried} settings were found");
}

#[test]
fn both_name_every_key() {
    for kind in Kind::ALL {
        for key in kind.keys() {
            let bar = key.strip_prefix("bar").is_some();
            let shown = EXAMPLE.lines().any(|line| line.starts_with(&format!("#{key} =")));
            assert!(shown || bar, "vfio.conf does not show {key}");
            let told = MANUAL
                .lines()
                .any(|line| line == format!(".It Ic {key}") || line.starts_with(&format!(".It Ic {key} ")));
            assert!(
                told || (bar && MANUAL.contains(".It Ic bar0 No to Ic bar5")),
                "vfio.conf(5) does not tell of {key}"
            );
        }
    }
}

/// The examples of the manual page are literal displays: lines between `.Bd -literal` and `.Ed`.
#[test]
fn the_examples_of_the_manual_are_right() {
    let mut examples = 0;
    let mut rest = MANUAL;
    while let Some((_, after)) = rest.split_once(".Bd -literal") {
        let (display, after) = after.split_once(".Ed").unwrap();
        rest = after;
        let text: String = display.lines().skip(1).map(|line| line.to_owned() + "\n").collect();
        // As mdoc writes a backslash and a quote at the beginning of a line.
        let text = text.replace("\\e", "\\").replace("\\&", "").replace("\\-", "-");
        if text.contains('[') {
            examples += 1;
            assert_eq!(parse_text(&text).diagnostics, [], "{text}");
        }
    }
    assert!(examples >= 4, "only {examples} examples were found");
}
