// SPDX-License-Identifier: LGPL-2.1-or-later
#![allow(clippy::unwrap_used)]

use super::*;
use crate::config::parse_files;
use crate::finding::codes::Code;
use crate::finding::Severity;
use crate::plan::select;

const CARD: &str = "0000:03:00.0";
const USB: &str = "0000:03:00.2";
const DISK: &str = "0000:04:00.0";

/// A card with a USB controller, and a disk, on which the host has this.
fn host(what: &[(&str, Use)]) -> Host {
    let function = |address: &str, class| Function {
        group: Some(1),
        ..Function::new(address.parse().unwrap(), (0x10de, 1), class)
    };
    let usage = |(address, what): &(&str, Use)| Usage { functions: vec![address.parse().unwrap()], what: what.clone() };
    Host {
        functions: vec![function(CARD, 0x03_0000), function(USB, 0x0c_0330), function(DISK, 0x01_0802)],
        usage: what.iter().map(usage).collect(),
        ..Host::default()
    }
}

/// A code, and the line of the configuration that it is about.
type Said = (Code, u32);

/// What forbids this section, and what the host loses with it: the codes, with the line of the configuration.
fn said(lines: &str, what: &[(&str, Use)]) -> (Option<Said>, Vec<Said>) {
    let config = parse_files(&[("/etc/vfio.conf", format!("[gpu big]\n{lines}").as_bytes())]);
    assert_eq!(config.diagnostics, []);
    let host = host(what);
    let selection = select::select_all(&config, &host).pop().unwrap();
    let code = |finding: &Finding| (finding.code, finding.at.as_ref().unwrap().line);
    let losses = losses(&selection, &host);
    assert!(losses.iter().all(|finding| finding.severity == Severity::Warning), "{losses:?}");
    let forbids = forbids(&selection, &host);
    assert!(forbids.iter().all(|finding| finding.severity == Severity::Error), "{forbids:?}");
    (forbids.as_ref().map(code), losses.iter().map(code).collect())
}

fn keyboard() -> Use {
    Use::Keyboard { name: "a keyboard".to_owned() }
}

#[test]
fn the_last_keyboard_is_taken_only_if_a_line_names_its_function() {
    let last = [(USB, keyboard())];
    let loses = vec![(codes::HOST_LOSES, 2)];
    assert_eq!(said("device = 03:00.0\n", &last), (Some((codes::LAST_KEYBOARD, 2)), loses.clone()));
    assert_eq!(said("device = 03:00.2\n", &last), (None, loses.clone()));
    let listed = "device = 03:00.0\nfunctions = 0,2\n";
    assert_eq!(said(listed, &last), (None, vec![(codes::HOST_LOSES, 3)]));
    assert_eq!(said("device = 03:00.0\nfunctions = 0\n", &last), (None, Vec::new()));
    // Another is elsewhere.
    let two = [(USB, keyboard()), ("0000:00:14.0", keyboard())];
    assert_eq!(said("device = 03:00.0\n", &two), (None, loses));
}

#[test]
fn data_of_the_host_is_never_taken() {
    let disk = [(USB, Use::Swap { device: "sda1".to_owned() })];
    for (lines, line) in
        [("device = 03:00.0\n", 2), ("device = 03:00.2\n", 2), ("device = 03:00.0\nfunctions = 0,2\n", 3)]
    {
        let expected = (Some((codes::HOST_DATA_ON_DEVICE, line)), Vec::new());
        assert_eq!(said(lines, &disk), expected, "{lines}");
    }
    assert_eq!(said("device = 03:00.0\nfunctions = 0\n", &disk), (None, Vec::new()));
    let beside = [(DISK, disk[0].1.clone())];
    let expected = (Some((codes::HOST_DATA_ON_DEVICE, 3)), Vec::new());
    assert_eq!(said("device = 03:00.0\nalso = 04:00.0\n", &beside), expected);
    assert_eq!(said("device = 03:00.0\n", &beside), (None, Vec::new()));
}
