// SPDX-License-Identifier: LGPL-2.1-or-later
#![allow(clippy::unwrap_used)]

use super::*;
use crate::config;
use crate::host::boot::{Content, Grammar, Loader, LoaderKind, Place, Role};
use crate::host::initramfs::image::Seen;
use crate::host::kernel_cmdline::KernelWords;
use crate::plan::cmdline::parameters::Word;
use crate::plan::cmdline::record::Record;
use crate::plan::cmdline::status::status;
use crate::plan::cmdline::{self, Options};

const CARD: &str = "[gpu big]\ndevice = 0000:03:00.0\n";

/// A machine with one file that entries are made from.
struct Machine {
    text: String,
    running: &'static str,
    /// `/etc/kernel/cmdline`; none: no loader that is known.
    entry: Option<&'static str>,
    wanted: &'static [&'static str],
    initramfs: Initramfs,
    report: Option<Report>,
}

impl Default for Machine {
    fn default() -> Self {
        Machine {
            text: String::new(),
            running: "quiet",
            entry: Some("quiet\n"),
            wanted: &[],
            initramfs: Initramfs::default(),
            report: None,
        }
    }
}

impl Machine {
    fn checks(&self) -> Vec<Check> {
        let config = config::parse_files(&[("/etc/vfio.conf", self.text.as_bytes())]);
        let place = |text: &str| Place {
            path: "etc/kernel/cmdline".to_owned(),
            grammar: Grammar::Plain,
            role: Role::Source,
            content: Some(Content::Text(text.to_owned())),
        };
        let loader = |text: &str| Loader {
            kind: LoaderKind::SystemdBoot,
            places: vec![place(text)],
            tools: Vec::new(),
            missing: Vec::new(),
            check: None,
        };
        let system = BootSystem {
            loaders: self.entry.into_iter().map(loader).collect(),
            words: KernelWords::parse(self.running),
            ..BootSystem::default()
        };
        let words = self.wanted.iter().map(|word| Word { word: (*word).to_owned(), why: "why".to_owned() });
        let words: Vec<Word> = words.collect();
        let (texts, record): (Vec<String>, _) = (words.iter().map(|w| w.word.clone()).collect(), Record::default());
        let plan = cmdline::plan(&system, &texts, &record, &Options::default());
        let status = status(&system, words, &record);
        boot(&BootFacts {
            config: &config,
            system: &system,
            status: Ok(&status),
            problems: &plan.problems,
            notes: &plan.notes,
            initramfs: &self.initramfs,
            report: self.report.as_ref(),
            watched: true,
            no_iommu: None,
            counter: None,
        })
    }

    /// Each finding as a line.
    fn lines(&self) -> Vec<String> {
        let line = |check: &Check| {
            format!("{:?} {}: {} [{}]", check.level, check.id, check.text, check.todo.as_deref().unwrap_or(""))
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
    let machine = |running, entry| Machine { running, entry, wanted: &["iommu=pt"], ..Machine::default() };
    assert_eq!(
        machine("quiet iommu=pt", Some("quiet iommu=pt\n")).lines(),
        [
            "Ok running-kernel: the running kernel has 'iommu=pt' (why) []",
            "Ok boot-entries: boot files that have all that is wanted: 1, of these with words of ours on record: 0 []",
        ]
    );
    assert_eq!(
        machine("quiet", Some("quiet iommu=pt\n")).lines()[0],
        "Warning running-kernel: the running kernel does not have 'iommu=pt' (why) [reboot]"
    );
    assert_eq!(
        machine("quiet", Some("quiet\n")).lines(),
        [
            "Warning running-kernel: the running kernel does not have 'iommu=pt' (why) [run 'vfio sync', then reboot]",
            "Error boot-entries: /etc/kernel/cmdline does not have iommu=pt [run 'vfio sync']",
        ]
    );
    // The next boot would be without it.
    assert_eq!(machine("quiet iommu=pt", Some("quiet\n")).checks().iter().map(|c| c.level).max(), Some(Level::Error));
    // Another form of it.
    assert_eq!(machine("iommu.passthrough=1", Some("iommu.passthrough=1\n")).checks()[0].level, Level::Ok);
}

#[test]
fn an_unknown_loader_is_an_error_until_the_word_is_there() {
    let machine = |running| Machine { running, entry: None, wanted: &["iommu=pt"], ..Machine::default() };
    assert_eq!(
        machine("quiet").lines(),
        ["Error running-kernel: the running kernel does not have 'iommu=pt' (why), and no boot loader that vfio knows was \
          found [add 'iommu=pt' to the kernel's command line by hand, then reboot]"]
    );
    assert_eq!(machine("quiet iommu=pt").checks()[0].level, Level::Ok);
}

#[test]
fn the_switch_and_the_files_errors_are_said() {
    let machine = Machine { running: "quiet vfio=off", text: "[gpu big]\n".to_owned(), ..Machine::default() };
    let lines = machine.lines();
    assert!(lines[0].starts_with("Error configuration: /etc/vfio.conf:1: "), "{lines:?}");
    assert!(lines[1].starts_with("Warning switch: the kernel command line of this boot says 'vfio=off'"), "{lines:?}");
    let machine = Machine { text: "[host]\nenable = no\n".to_owned(), ..Machine::default() };
    assert_eq!(machine.checks().iter().map(|check| check.level).collect::<Vec<_>>(), [Level::Note]);
}

#[test]
fn a_sync_that_failed_is_said() {
    let outcome = |outcome| Report { version: 1, outcome, did: Vec::new(), why: vec!["the disk is full".to_owned()] };
    let machine = |o| Machine { report: Some(outcome(o)), ..Machine::default() };
    assert_eq!(
        machine(SyncOutcome::Failed).lines(),
        ["Warning sync: the last sync failed: the disk is full [run 'vfio sync']"]
    );
    assert_eq!(machine(SyncOutcome::Done).lines(), [""; 0]);
}

fn image(seen: Result<Seen, String>, made: i64) -> Image {
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
    let well = "Ok initramfs: /boot/initrd.img-6.12 reserves the cards of the configuration (with vfio_pci) []";
    assert_eq!(lines(image(Ok(ours(CARD)), 0)), [well]);
    assert_eq!(
        lines(image(Ok(ours(&format!("# older\n{CARD}"))), 0)),
        [well, "Note initramfs: /boot/initrd.img-6.12 has another text of the configuration, which means the same for it []"]
    );
    assert_eq!(
        lines(image(Ok(Seen::default()), 9)),
        ["Error initramfs: /boot/initrd.img-6.12 does not reserve [gpu big] [run 'vfio sync']"]
    );
    assert_eq!(
        lines(image(Ok(ours(&CARD.replace("03:00", "04:00"))), 9)),
        ["Error initramfs: /boot/initrd.img-6.12 reserves [gpu big] by an older configuration [run 'vfio sync']"]
    );
    let unknown = |made| lines(image(Err("it cannot be looked into".to_owned()), made));
    assert_eq!(
        unknown(4),
        ["Warning initramfs: it cannot be looked into; it is older than the configuration [run 'vfio sync']"]
    );
    assert_eq!(unknown(6), ["Warning initramfs: it cannot be looked into; it is newer than the configuration []"]);
    let late = Seen { rule: false, ..ours(CARD) };
    assert!(lines(image(Ok(late), 0))[1].starts_with("Warning initramfs: /boot/initrd.img-6.12 has no udev rule"));
}

#[test]
fn what_to_do_depends_on_what_builds_images() {
    let todo = |tool, hooked, immutable| {
        let mut machine = with_image(image(Ok(Seen::default()), 0));
        (machine.initramfs.tool, machine.initramfs.hooked, machine.initramfs.immutable) = (tool, hooked, immutable);
        let check = machine.checks().pop().unwrap();
        (check.level, check.todo.unwrap_or(check.text))
    };
    assert!(todo(Some(Tool::Mkinitcpio), false, false).1.starts_with("add 'vfio' to HOOKS"));
    assert_eq!(todo(Some(Tool::Mkinitcpio), true, false).1, "run 'vfio sync'");
    assert!(todo(None, false, false).1.starts_with("build it anew by hand"));
    assert_eq!(todo(Some(Tool::Dracut), false, true).0, Level::Note);
    // Images that nobody needs are not spoken of.
    let mut machine = with_image(image(Err("no".to_owned()), 0));
    (machine.text, machine.initramfs.marked) = (String::new(), false);
    assert_eq!(machine.lines(), [""; 0]);
    // None there at all.
    let mut machine = with_image(image(Ok(Seen::default()), 0));
    machine.initramfs.images.clear();
    assert_eq!(machine.checks()[0].level, Level::Warning);
}
