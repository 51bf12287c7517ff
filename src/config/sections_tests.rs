// SPDX-License-Identifier: LGPL-2.1-or-later
//! What the golden trees do not show: bounds, and lines that meddle with others.
#![allow(clippy::unwrap_used)]

use super::super::{parse_files, Config};
use crate::finding::codes;

fn parse(texts: &[&str]) -> Config {
    let files: Vec<(String, &[u8])> =
        texts.iter().enumerate().map(|(n, text)| (format!("/{n}"), text.as_bytes())).collect();
    parse_files(&files.iter().map(|(path, text)| (path.as_str(), *text)).collect::<Vec<_>>())
}

fn messages(config: &Config) -> Vec<String> {
    config.diagnostics.iter().map(ToString::to_string).collect()
}

#[test]
fn an_empty_value_forgets_what_stood_before_it() {
    let card = "[gpu a]\ndevice = 03:00.0\n[guest b]\ngpus = a\n";
    let before = |text: &str| parse(&[&format!("{card}{text}")]).guests[0].before.concat();
    assert_eq!(before("before = x\nbefore = y\n"), ["x", "y"]);
    assert_eq!(before("before = x\nbefore =\nbefore = y\n"), ["y"]);
    assert_eq!(before("before = x\nbefore =\n"), [""; 0]);
    let later = parse(&[&format!("{card}before = x\n"), "[guest b]\nbefore =\n"]);
    assert_eq!(later.guests[0].before, [[""; 0]; 0]);
}

#[test]
fn a_continued_line_costs_one_message_but_host_loses_no_line() {
    let config = parse(&["[guest a]\ncommand = x \\\n  -y = z \\\n  -v\nuri = qemu:///system\nnonsense\n"]);
    assert_eq!(config.diagnostics.len(), 2, "{:?}", messages(&config));
    // A comment or an empty line ends it.
    let config = parse(&["[guest a]\ncommand = x \\\n\nnonsense\n"]);
    assert_eq!(config.diagnostics.len(), 2, "{:?}", messages(&config));
    // What was to be continued with "enable = no" in [host] must not swallow it.
    let config = parse(&["[host]\nkernel-parameters = a \\\nenable = no\n"]);
    assert!(!config.host.enable && config.host.kernel_parameters.is_empty());
    let config = parse(&["[host]\nenable = \\\n"]);
    assert!(!config.host.enable, "{:?}", messages(&config));
}

/// Regression: 70,000 settings of one section were each compared with all before them. No time is measured: what is
/// not taken in is not compared.
#[test]
fn settings_are_bounded() {
    let many: String = (0..70_000).map(|n| format!("c{n}.bar0 = 256M\n")).collect();
    let config = parse(&[&format!("[gpu c]\ndevice = 0000:03:00.0\n[guest a]\ngpus = c\n{many}[guest b]\ngpus = c\n")]);
    assert_eq!(config.guests.iter().map(|guest| guest.name.as_str()).collect::<Vec<_>>(), ["b"]);
    assert_eq!(config.disabled[0].why.code, codes::TOO_MANY_SETTINGS);
    // Nobody knows what was meant by a switch that is not read.
    let config = parse(&[&format!("[host]\n{}enable = no\n", "failed-boots = 1\n".repeat(600))]);
    assert!(!config.host.enable);
    let config = parse(&[&format!("[guest a]\ngpus ={}\n", (0..65).map(|n| format!(" c{n}")).collect::<String>())]);
    assert!(config.diagnostics[0].text.contains("more than 64 entries"), "{:?}", messages(&config));
}

#[test]
fn sections_are_bounded() {
    let many: String =
        (0..300).map(|n| format!("[gpu {n}]\ndevice = 0000:{:02x}:{:02x}.0\n", n / 32, n % 32)).collect();
    let config = parse(&[&many]);
    assert_eq!((config.gpus.len(), config.gpus[255].name.as_str()), (256, "255"));
    let first = &config.diagnostics[0];
    assert_eq!((first.code, first.at.as_ref().unwrap().line), (codes::TOO_MANY_SECTIONS, 513), "{first}");
    // Every one of 44 was said or counted, and a known section may still be added to.
    assert_eq!(messages(&config)[20], "/0: and 24 more messages about this file");
    let config = parse(&[&many, "[gpu 7]\nbar0 = 1G\n"]);
    assert!(config.gpu("7").unwrap().bars[0].is_some());
}

#[test]
fn a_broken_header_counts_as_its_section() {
    let config = parse(&["[gpu a\ndevice = 03:00.0\n[gpu a]\ndevice = 04:00.0\n"]);
    assert_eq!((config.gpus.len(), config.disabled.len()), (0, 1));
    assert!(messages(&config)[1].starts_with("/0:3: [gpu a] already begins on line 1;"), "{:?}", messages(&config));
    // A good one in another file does not repair it: what the broken one was to say is not known.
    let config = parse(&["[gpu a\n", "[gpu a]\ndevice = 04:00.0\n"]);
    assert_eq!((config.gpus.len(), config.disabled.len(), config.diagnostics.len()), (0, 1, 1));
}

#[test]
fn a_bad_name_is_reported_once() {
    let config = parse(&["[gpu a/b]\ndevice = 03:00.0\n", "[gpu a/b]\nbar0 = 1G\n"]);
    assert_eq!(config.diagnostics.len(), 1, "{:?}", messages(&config));
    assert_eq!(config.diagnostics[0].code, codes::SECTION_NAME);
    assert_eq!(config.disabled.len(), 1);
}

/// The sentence, what to do and the code apart, as they are for programs.
#[test]
fn codes_and_hints() {
    let said = |text: &str| {
        let config = parse(&[text]);
        let finding = config.diagnostics.last().unwrap().clone();
        (finding.code, finding.text, finding.hint.unwrap_or_default())
    };
    let gpu = |line: &str| said(&format!("[gpu a]\n{line}\n"));
    for (found, code, text, hint) in [
        (
            gpu("bind = boto"),
            codes::WRONG_VALUE,
            "invalid value 'boto' for 'bind': expected boot or guest",
            "did you mean 'boot'?",
        ),
        (
            gpu("bar0 = mxa"),
            codes::WRONG_VALUE,
            "invalid value 'mxa' for 'bar0': expected max, min, firmware or a size such as 256M or 16G",
            "did you mean 'max'?",
        ),
        (
            gpu("device = 03:00.9"),
            codes::WRONG_VALUE,
            "invalid value for 'device': '03:00.9' is not a PCI address (the function is one digit from 0 to 7)",
            "write it as 0000:03:00.0",
        ),
        (
            gpu("driver = auto # mine"),
            codes::COMMENT_IN_VALUE,
            "invalid value 'auto # mine' for 'driver': expected vfio-pci or auto",
            "a comment must be on a line of its own",
        ),
        (
            gpu("bar0 = \"256M\""),
            codes::QUOTED_VALUE,
            "invalid value '\"256M\"' for 'bar0': expected max, min, firmware or a size such as 256M or 16G",
            "write it without quotes",
        ),
        (
            said("[host]\nenable = maybe\n"),
            codes::WRONG_VALUE,
            "invalid value 'maybe' for 'enable': expected yes or no; the suite stays idle until this is corrected",
            "",
        ),
        (
            said("[host]\nkernel-parameters = iommu=pt\n"),
            codes::KERNEL_PARAMETER_LEFT_OUT,
            "'kernel-parameters': 'iommu=pt' is left out",
            "write iommu-passthrough = yes instead",
        ),
        (
            said("[guest a]\nuri = qemu:///session\n"),
            codes::LIBVIRT_SESSION,
            "invalid value for 'uri': 'qemu:///session' is a user's own libvirt, which runs no hook and may not lock a \
             guest's memory",
            "define the domain in qemu:///system",
        ),
        (said("[gpu a]\ndevcie =\n"), codes::UNKNOWN_KEY, "unknown key 'devcie', ignored", "did you mean 'device'?"),
        (gpu("colour ="), codes::UNKNOWN_KEY, "unknown key 'colour', ignored", ""),
        (said("[guest a]\ngpus = b\n"), codes::NO_SUCH_GPU, "'gpus' names 'b', but there is no [gpu b]", ""),
    ] {
        assert_eq!(found, (code, text.to_owned(), hint.into()));
    }
}
