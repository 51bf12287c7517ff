// SPDX-License-Identifier: LGPL-2.1-or-later
#![allow(clippy::unwrap_used)]

use super::*;
use crate::config;
use crate::finding::Section;
use crate::host::boot::{BootFile, Content, Format, Loader, LoaderKind, Role};
use crate::host::initramfs::image::{Seen, Unseen};
use crate::host::kernel_cmdline::KernelCmdline;
use crate::plan::cmdline::parameters::Parameter;
use crate::plan::cmdline::record::{Owned, Record};
use crate::plan::cmdline::status::status;
use crate::plan::cmdline::{self, Options};

const CARD: &str = "[gpu big]\ndevice = 0000:03:00.0\n";

/// A machine with one file that entries are made from.
struct Machine {
    text: String,
    running: &'static str,
    /// `/etc/kernel/cmdline`; none: no loader that is known.
    entry: Option<&'static str>,
    required: &'static [&'static str],
    initramfs: Initramfs,
    report: Option<Report>,
    /// What is ours; `Err`: it cannot be read.
    record: Result<Record, &'static str>,
    counter: Option<Obstacle>,
    /// A program that the loader's files are changed by and that is not there.
    missing: Option<&'static str>,
    /// A directory that we may not read.
    closed: Option<&'static str>,
}

impl Default for Machine {
    fn default() -> Self {
        Machine {
            text: String::new(),
            running: "quiet",
            entry: Some("quiet\n"),
            required: &[],
            initramfs: Initramfs::default(),
            report: None,
            record: Ok(Record::default()),
            counter: None,
            missing: None,
            closed: None,
        }
    }
}

impl Machine {
    fn checks(&self) -> Vec<Finding> {
        let config = config::parse_files(&[("/etc/vfio.conf", self.text.as_bytes())]);
        let boot_file = |text: &str| BootFile {
            path: "etc/kernel/cmdline".to_owned(),
            format: Format::Plain,
            role: Role::Source,
            content: Some(Content::Text(text.to_owned())),
        };
        let loader = |text: &str| Loader {
            kind: LoaderKind::SystemdBoot,
            boot_files: vec![boot_file(text)],
            tools: Vec::new(),
            missing: self.missing.iter().map(|tool| (*tool).to_owned()).collect(),
            check: None,
        };
        let system = BootSystem {
            loaders: self.entry.into_iter().map(loader).collect(),
            parameters: KernelCmdline::parse(self.running),
            closed: self.closed.iter().map(|path| (*path).to_owned()).collect(),
            ..BootSystem::default()
        };
        let parameters = self
            .required
            .iter()
            .map(|parameter| Parameter { parameter: (*parameter).to_owned(), why: "why".to_owned() });
        let parameters: Vec<Parameter> = parameters.collect();
        let texts: Vec<String> = parameters.iter().map(|w| w.parameter.clone()).collect();
        let record = self.record.clone().unwrap_or_default();
        let plan = cmdline::plan(&system, &texts, &record, &Options::default());
        let status = status(&system, parameters, &record);
        boot(&BootFacts {
            config: &config,
            system: &system,
            status: self.record.as_ref().map(|_| &status).map_err(|why| *why),
            problems: &plan.problems,
            notes: &plan.notes,
            no_rescue_entry: &plan.no_rescue_entry,
            initramfs: &self.initramfs,
            report: self.report.as_ref(),
            watched: true,
            no_iommu: None,
            counter: self.counter.as_ref(),
        })
    }

    /// Each finding's code, and how bad it is.
    fn codes(&self) -> Vec<(Code, Severity)> {
        self.checks().iter().map(|check| (check.code, check.severity)).collect()
    }

    /// Each finding as a line that ends with what to do and its code.
    fn lines(&self) -> Vec<String> {
        let line = |check: &Finding| {
            let Section::Part { id, .. } = check.section else { panic!("{check:?}") };
            format!("{:?} {id}: {}", check.severity, check.line())
        };
        self.checks().iter().map(line).collect()
    }
}

#[test]
fn nothing_configured_and_nothing_there_is_nothing_to_say() {
    assert_eq!(Machine::default().lines(), [""; 0]);
}

#[test]
fn a_word_is_looked_for_in_the_running_kernel_and_in_the_entries() {
    let machine = |running, entry| Machine { running, entry, required: &["iommu=pt"], ..Machine::default() };
    assert_eq!(
        machine("quiet iommu=pt", Some("quiet iommu=pt\n")).lines(),
        [
            "Ok running-kernel: the running kernel has 'iommu=pt' (why) [ok]",
            "Ok boot-entries: boot files with all required parameters: 1 (0 of them changed by vfio) [ok]",
        ]
    );
    assert_eq!(
        machine("quiet", Some("quiet iommu=pt\n")).lines()[0],
        "Warning running-kernel: the running kernel does not have 'iommu=pt' (why); reboot [parameter-not-running]"
    );
    assert_eq!(
        machine("quiet", Some("quiet\n")).lines(),
        [
            "Warning running-kernel: the running kernel does not have 'iommu=pt' (why); run 'vfio sync', then reboot \
             [parameter-not-running]",
            "Error boot-entries: /etc/kernel/cmdline does not have iommu=pt; run 'vfio sync' [boot-file-not-as-required]",
        ]
    );
    // The next boot would be without it.
    assert_eq!(
        machine("quiet iommu=pt", Some("quiet\n")).checks().iter().map(|c| c.severity).max(),
        Some(Severity::Error)
    );
    // Another form of it.
    assert_eq!(machine("iommu.passthrough=1", Some("iommu.passthrough=1\n")).checks()[0].severity, Severity::Ok);
}

#[test]
fn an_unknown_loader_is_an_error_until_the_word_is_there() {
    let machine = |running| Machine { running, entry: None, required: &["iommu=pt"], ..Machine::default() };
    assert_eq!(
        machine("quiet").lines(),
        ["Error running-kernel: the running kernel does not have 'iommu=pt' (why), and no boot loader that vfio knows was \
          found; add 'iommu=pt' to the kernel command line manually, then reboot [parameter-not-running]"]
    );
    assert_eq!(machine("quiet iommu=pt").checks()[0].severity, Severity::Ok);
}

#[test]
fn the_switch_and_the_files_errors_are_said() {
    let machine = Machine { running: "quiet vfio=off", text: "[gpu big]\n".to_owned(), ..Machine::default() };
    let lines = machine.lines();
    assert!(lines[0].starts_with("Error configuration: /etc/vfio.conf:1: "), "{lines:?}");
    assert!(lines[1].starts_with("Warning switch: the kernel command line of this boot says 'vfio=off'"), "{lines:?}");
    // What is only a warning in a file keeps nothing from being done, and 'vfio check' says it.
    let machine = Machine { text: "[host]\nenable = no\nno-such-key = 1\n".to_owned(), ..Machine::default() };
    assert_eq!(machine.checks().iter().map(|check| check.severity).collect::<Vec<_>>(), [Severity::Note]);
}

#[test]
fn a_sync_that_failed_is_said() {
    let outcome = |outcome| Report { version: 1, outcome, did: Vec::new(), why: vec!["the disk is full".to_owned()] };
    let machine = |o| Machine { report: Some(outcome(o)), ..Machine::default() };
    assert_eq!(
        machine(SyncOutcome::Failed).lines(),
        ["Warning sync: the last sync failed: the disk is full; run 'vfio sync' [sync-failed]"]
    );
    assert_eq!(machine(SyncOutcome::Done).lines(), [""; 0]);
}

fn image(seen: Result<Seen, Unseen>, made: i64) -> Image {
    Image { paths: vec!["boot/initrd.img-6.12".to_owned()], release: Some("6.12".to_owned()), made, seen }
}

fn with_image(image: Image) -> Machine {
    let files = vec![("etc/vfio.conf".to_owned(), Some(CARD.as_bytes().to_vec()))];
    let tool = Some(Tool::UpdateInitramfs);
    let initramfs = Initramfs { tool, marked: true, images: vec![image], files, changed: 5, ..Initramfs::default() };
    Machine { text: CARD.to_owned(), initramfs, ..Machine::default() }
}

fn ours(text: &str) -> Seen {
    let files = vec![("etc/vfio.conf".to_owned(), Some(text.as_bytes().to_vec()))];
    Seen { program: true, run: true, rule: true, vfio_pci: true, files }
}

#[test]
fn images_are_judged_by_what_is_in_them() {
    let lines = |image| with_image(image).lines();
    let well = "Ok initramfs: /boot/initrd.img-6.12 reserves the cards of the configuration (with vfio_pci) [ok]";
    assert_eq!(lines(image(Ok(ours(CARD)), 0)), [well]);
    assert_eq!(
        lines(image(Ok(ours(&format!("# older\n{CARD}"))), 0)),
        [
            well,
            "Note initramfs: /boot/initrd.img-6.12 has another text of the configuration, which means the same for it \
             [initramfs-other-text]"
        ]
    );
    assert_eq!(
        lines(image(Ok(Seen::default()), 9)),
        ["Error initramfs: /boot/initrd.img-6.12 does not reserve [gpu big]; run 'vfio sync' \
          [initramfs-not-as-required]"]
    );
    assert_eq!(
        lines(image(Ok(ours(&CARD.replace("03:00", "04:00"))), 9)),
        ["Error initramfs: /boot/initrd.img-6.12 reserves [gpu big] by an older configuration; run 'vfio sync' \
          [initramfs-not-as-required]"]
    );
    let unseen = |damaged| Unseen { why: "it cannot be looked into".to_owned(), damaged };
    let unknown = |made| lines(image(Err(unseen(false)), made));
    assert_eq!(
        unknown(4),
        ["Warning initramfs: it cannot be looked into; it is older than the configuration; run 'vfio sync' \
          [initramfs-unreadable]"]
    );
    assert_eq!(
        unknown(6),
        ["Warning initramfs: it cannot be looked into; it is newer than the configuration [initramfs-unreadable]"]
    );
    assert_eq!(
        lines(image(Err(unseen(true)), 6)),
        ["Warning initramfs: it cannot be looked into; it is newer than the configuration; whatever built it last may have \
          been interrupted: rebuild it before the next boot: update-initramfs -u -k all [initramfs-unreadable]"]
    );
    let late = Seen { rule: false, ..ours(CARD) };
    let late = with_image(image(Ok(late), 0)).checks().swap_remove(1);
    assert_eq!((late.code, late.severity), (codes::INITRAMFS_LACKS_RULE, Severity::Warning));
}

#[test]
fn what_to_do_depends_on_what_builds_images() {
    let todo = |tool| {
        let mut machine = with_image(image(Ok(Seen::default()), 0));
        machine.initramfs.tool = tool;
        let check = machine.checks().pop().unwrap();
        assert_eq!(check.code, codes::INITRAMFS_NOT_AS_REQUIRED);
        String::from(check.hint.unwrap())
    };
    assert_eq!(todo(Some(Tool::Mkinitcpio)), "run 'vfio sync'");
    assert!(todo(None).starts_with("rebuild it manually"));
    let mut machine = with_image(image(Ok(Seen::default()), 0));
    machine.initramfs.immutable = true;
    assert_eq!(machine.codes(), [(codes::INITRAMFS_NOT_BUILT, Severity::Note)]);
    // Images that nobody needs are not spoken of.
    let mut machine = with_image(image(Err(Unseen::default()), 0));
    (machine.text, machine.initramfs.marked) = (String::new(), false);
    assert_eq!(machine.lines(), [""; 0]);
    // None there at all.
    let mut machine = with_image(image(Ok(Seen::default()), 0));
    machine.initramfs.images.clear();
    assert_eq!(machine.codes(), [(codes::INITRAMFS_NOT_FOUND, Severity::Warning)]);
}

#[test]
fn a_record_that_cannot_be_read_says_that_nothing_is_known() {
    let machine = Machine { record: Err("it is cut off"), required: &["iommu=pt"], ..Machine::default() };
    assert_eq!(machine.codes(), [(codes::RECORD_UNREADABLE, Severity::Error)]);
}

#[test]
fn what_is_ours_and_no_longer_required_goes_at_the_next_boot() {
    let ours = Owned { key: String::new(), parameters: vec!["iommu=pt".to_owned()], before: None };
    let boot_files = [("etc/kernel/cmdline".to_owned(), vec![ours])].into();
    let record = Record { boot_files, ..Record::default() };
    let machine = |running, entry| Machine { running, entry, record: Ok(record.clone()), ..Machine::default() };
    let (running, file) = (codes::PARAMETER_OBSOLETE, codes::BOOT_FILE_NOT_AS_REQUIRED);
    let (running, file) = ((running, Severity::Warning), (file, Severity::Error));
    assert_eq!(machine("quiet iommu=pt", Some("quiet\n")).codes(), [running]);
    assert_eq!(machine("quiet iommu=pt", Some("quiet iommu=pt\n")).codes(), [running, file]);
    assert_eq!(machine("quiet", Some("quiet\n")).codes(), []);
}

#[test]
fn a_loader_without_its_tool_is_left_alone() {
    let machine = |running, entry| {
        let missing = Some("bootctl");
        let machine = Machine { running, entry, missing, required: &["iommu=pt"], ..Machine::default() };
        machine.codes()
    };
    let left_alone = (codes::BOOT_FILE_LEFT_ALONE, Severity::Error);
    assert!(machine("quiet", Some("quiet\n")).contains(&left_alone));
    assert!(!machine("quiet iommu=pt", Some("quiet iommu=pt\n")).contains(&left_alone), "nothing is to be changed");
}

#[test]
fn what_was_not_looked_at_is_noted() {
    let machine = Machine { closed: Some("boot/loader"), ..Machine::default() };
    assert_eq!(machine.codes(), [(codes::BOOT_FILES_NOTE, Severity::Note)]);
}

#[test]
fn boots_that_are_not_counted_are_said_where_something_is_bound_at_boot() {
    let why = || "it is a link".to_owned();
    for (obstacle, severity) in
        [(Obstacle::NoCount(why()), Severity::Error), (Obstacle::NoMemory(why()), Severity::Warning)]
    {
        let codes = |text: &str| {
            let counter = Some(obstacle.clone());
            Machine { text: text.to_owned(), counter, ..Machine::default() }.codes()
        };
        assert_eq!(codes(CARD), [(codes::BOOTS_NOT_COUNTED, severity)]);
        assert_eq!(codes(&format!("{CARD}bind = guest\n")), []);
        assert_eq!(codes(&format!("[host]\nfailed-boots = 0\n{CARD}")), []);
    }
}
