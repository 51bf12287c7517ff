// SPDX-License-Identifier: LGPL-2.1-or-later
//! What the user asked for: `/etc/vfio.conf` and its drop-ins, read, checked, every message with its path and line.
//!
//! The way of a text: `files` decides which files count, `scan` makes lines of bytes, `sections` collects over all
//! files what stands in which section, `interpret` reads the values (with `values`, `commands` and `words`) and
//! checks that names lead somewhere. `report` keeps what there is to say on the way. Nothing here fails or stops:
//! whatever the files are, there is a [`Config`], and what was wrong is in its diagnostics.

mod access;
mod commands;
#[cfg(test)]
mod example_tests;
mod files;
mod interpret;
mod keys;
mod merge;
mod report;
mod scan;
mod split;
mod values;

use crate::pci::{Address, Identity};
use crate::root::{Root, CONFIG_DIRS, CONFIG_FILE};
use std::fmt;
use std::time::Duration;

/// Where something was written.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize)]
pub struct Location {
    /// The file, absolute as the user knows it (`/etc/vfio.conf`), whatever the root is.
    pub path: std::rc::Rc<str>,
    /// The line, from 1; 0 where the message is about the whole file.
    pub line: u32,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            write!(f, "{}", self.path)
        } else {
            write!(f, "{}:{}", self.path, self.line)
        }
    }
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing, changes no exit code.
    Note,
    /// Something was ignored; the rest works.
    Warning,
    /// A section (or the whole file) does not count.
    Error,
}

/// One finding about the configuration: a sentence, and where.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Where it is.
    pub at: Location,
    /// One sentence: what is wrong and what to do. No path in it: `at` has that.
    pub message: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.message)
    }
}

/// A value, and where it was written (the section's header where it is the default).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub at: Location,
}

/// Whether a text can be the name of a section: of a unit's instance and of a file as well.
pub fn is_name(text: &str) -> bool {
    !text.is_empty() && merge::check_name(text).is_ok()
}

/// A size as `bar0` takes it; an error is a sentence fragment.
pub fn bar_size(text: &str) -> Result<BarSize, String> {
    values::bar(text)
}

/// The whole configuration. Sections with errors are not in it, only in `diagnostics`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `[host]`.
    pub host: HostSection,
    /// The `[gpu NAME]` sections, in the order in which they first appear.
    pub gpus: Vec<Gpu>,
    /// The `[guest NAME]` sections, in the order in which they first appear.
    pub guests: Vec<Guest>,
    /// Names of `[gpu]` and `[guest]` sections that were disabled by an error, so that "no such section" is never said of them.
    pub disabled: Vec<Disabled>,
    /// Everything there is to say, in file order.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads the configuration of a root. It never fails: no file is an empty configuration, and whatever is wrong is in
/// the diagnostics.
pub fn load(root: &Root) -> Config {
    load_from(root, &CONFIG_DIRS, true)
}

/// The same without guests, and without what is said of them: what binds cards has no use for them, and is a tenth smaller.
pub fn load_without_guests(root: &Root) -> Config {
    load_from(root, &CONFIG_DIRS, false)
}

/// The same without `/run/vfio.conf.d`, which the next boot does not have: what boot entries and images are made from.
pub fn load_for_next_boot(root: &Root) -> Config {
    load_from(root, &LASTING_DIRS, true)
}

fn load_from(root: &Root, dirs: &[&str], guests: bool) -> Config {
    let mut report = report::Report::default();
    let texts = files::read_all(root, dirs, &mut report);
    parse(texts.iter().map(|text| (text.file, text.bytes.as_slice())), report, guests)
}

/// The files that count for the next boot, as they are put into an image: of each the path below the root, and the bytes;
/// `None` is a mask. One that is refused here is not among them: its copy would belong to root, and nobody could tell.
pub fn lasting_files(root: &Root) -> Vec<(String, Option<Vec<u8>>)> {
    files::that_count(root, &LASTING_DIRS)
}

/// Reads files as they lie in an image: of each the path below the root, and the bytes; `None` is a mask.
pub fn parse_lasting(files: &[(String, Option<Vec<u8>>)]) -> Config {
    let find = |path: &str| files.iter().find(|(other, _)| other == path).and_then(|(_, text)| text.as_deref());
    let number = |dir: &str| LASTING_DIRS.iter().position(|other| *other == dir);
    let drop_ins = files.iter().filter_map(|(path, _)| {
        let (dir, name) = path.rsplit_once('/')?;
        Some((name.to_owned(), number(dir)?))
    });
    let drop_ins = files::in_order(drop_ins.collect());
    let drop_ins = drop_ins.into_iter().map(|(name, dir)| format!("{}/{name}", LASTING_DIRS[dir]));
    let paths = std::iter::once(CONFIG_FILE.to_owned()).chain(drop_ins);
    let mut report = report::Report::default();
    let texts = paths.filter_map(|path| Some((report.file(&format!("/{path}")), find(&path)?)));
    let texts: Vec<(u32, &[u8])> = texts.collect();
    parse(texts.into_iter(), report, true)
}

/// The drop-in directories that are there at the next boot too, weakest first.
const LASTING_DIRS: [&str; 2] = [CONFIG_DIRS[0], CONFIG_DIRS[2]];

/// Reads texts as if they were files, in this order: of each the path to name in messages, and the bytes.
pub fn parse_files(files: &[(&str, &[u8])]) -> Config {
    let mut report = report::Report::default();
    let numbered: Vec<(u32, &[u8])> = files.iter().map(|(path, bytes)| (report.file(path), *bytes)).collect();
    parse(numbered.into_iter(), report, true)
}

fn parse<'t>(files: impl Iterator<Item = (u32, &'t [u8])>, mut report: report::Report, guests: bool) -> Config {
    let mut sections = merge::Sections::default();
    for (file, bytes) in files {
        sections.read(&mut report, file, bytes);
    }
    interpret::interpret(sections, report, guests)
}

impl Default for Config {
    /// What no file at all means.
    fn default() -> Self {
        Config {
            host: HostSection::default(),
            gpus: Vec::new(),
            guests: Vec::new(),
            disabled: Vec::new(),
            diagnostics: Vec::new(),
        }
    }
}

impl Config {
    /// The `[gpu NAME]` section, if it is there and counts.
    pub fn gpu(&self, name: &str) -> Option<&Gpu> {
        self.gpus.iter().find(|gpu| gpu.name == name)
    }

    /// The `[guest NAME]` section, if it is there and counts.
    pub fn guest(&self, name: &str) -> Option<&Guest> {
        self.guests.iter().find(|guest| guest.name == name)
    }

    /// The section of this kind (`gpu`, `guest`) and name, if an error disabled it.
    pub fn disabled_section(&self, kind: &str, name: &str) -> Option<&Disabled> {
        self.disabled.iter().find(|disabled| disabled.kind == kind && disabled.name == name)
    }

    /// How bad the worst finding is; None if there is nothing to say.
    pub fn worst(&self) -> Option<Severity> {
        self.diagnostics.iter().map(|diagnostic| diagnostic.severity).max()
    }
}

/// A section that an error disabled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disabled {
    /// `gpu` or `guest`.
    pub kind: &'static str,
    /// The section's name.
    pub name: String,
    /// Where it begins.
    pub at: Location,
    /// The first error in it, as a sentence.
    pub why: Diagnostic,
}

/// `[host]`: what concerns the whole machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostSection {
    /// `enable`: the whole suite is idle if not.
    pub enable: bool,
    /// `iommu`: which kernel parameters boot entries need.
    pub iommu: Iommu,
    /// `iommu-passthrough`: `iommu=pt`.
    pub iommu_passthrough: bool,
    /// `kernel-parameters`: more words to own.
    pub kernel_parameters: Vec<String>,
    /// `headless`: no card needs to stay for the host's picture.
    pub headless: bool,
    /// `failed-boots`: skip boot-time binding after so many boots that did not come up; 0 = never skip.
    pub failed_boots: u32,
}

impl Default for HostSection {
    fn default() -> Self {
        HostSection {
            enable: true,
            iommu: Iommu::Auto,
            iommu_passthrough: true,
            kernel_parameters: Vec::new(),
            headless: false,
            failed_boots: 2,
        }
    }
}

/// `[host] iommu`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Iommu {
    /// What this CPU and kernel need.
    Auto,
    /// Always ask for it.
    On,
    /// Never ask for it.
    Off,
}

/// `[gpu NAME]`: a card that guests may get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gpu {
    /// The user's name for it.
    pub name: String,
    /// Where the section begins.
    pub at: Location,
    /// `device`: which card.
    pub device: At<Selector>,
    /// `identity`: what the card must be, however it is chosen.
    pub identity: Option<At<Identity>>,
    /// `functions` of the slot.
    pub functions: Functions,
    /// `optional`: a card that is not there is nothing to speak of.
    pub optional: bool,
    /// `also`: further endpoints of the group that the host may lose.
    pub also: Vec<At<Address>>,
    /// `bind`: when it is bound to vfio.
    pub bind: Bind,
    /// `driver`.
    pub driver: Driver,
    /// `bar0` to `bar5`.
    pub bars: [Option<At<BarSize>>; 6],
    /// `rebar-method`.
    pub rebar_method: RebarMethod,
    /// `reset`.
    pub reset: Reset,
    /// `rom`: an option ROM file.
    pub rom: Option<At<String>>,
    /// `only-display`: may be taken although the host keeps no other display; so may all cards of a headless host.
    pub only_display: bool,
}

/// `device`: how a card is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selector {
    /// By where it sits.
    Address(Address),
    /// By what it is; exactly one slot must match.
    Identity(Identity),
    /// The card the firmware showed its messages on (`host::display::BootDisplay`).
    BootDisplay,
    /// The one display that is not the boot display.
    NotBootDisplay,
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Selector::Address(address) => address.fmt(f),
            Selector::Identity(identity) => identity.fmt(f),
            Selector::BootDisplay => f.write_str("boot-display"),
            Selector::NotBootDisplay => f.write_str("not-boot-display"),
        }
    }
}

/// `functions`: which of the slot's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Functions {
    /// All that are there.
    All,
    /// These, by number (0 to 7), sorted, none twice.
    Listed(At<Vec<u8>>),
}

/// `bind`: when the card is bound to vfio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bind {
    /// At boot, before any host driver.
    Boot,
    /// Only while a guest runs.
    Guest,
}

/// `driver`: what the functions are bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// `vfio-pci`.
    VfioPci,
    /// The best vfio variant driver in `modules.alias`.
    Auto,
}

/// `bar0` to `bar5`: the size wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BarSize {
    /// So many bytes.
    Bytes(u64),
    /// The largest that fits.
    Max,
    /// The smallest supported.
    Min,
    /// What the firmware chose.
    Firmware,
}

/// `rebar-method`: how BARs get other sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RebarMethod {
    /// By `resourceN_resize`.
    Kernel,
    /// By the register of the capability; the card is taken off the bus and found again.
    Rescan,
}

/// `reset`: how the card is reset between guests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reset {
    /// From the table of known cards.
    Auto,
    /// Function-level reset.
    Flr,
    /// Power state D3hot and back.
    Pm,
    /// Secondary bus reset.
    Bus,
    /// The kernel's device-specific method.
    DeviceSpecific,
    /// The vendor-reset module's.
    VendorReset,
    /// Not at all.
    None,
}

impl Reset {
    const WORDS: [(&'static str, Reset); 7] = [
        ("auto", Reset::Auto),
        ("flr", Reset::Flr),
        ("pm", Reset::Pm),
        ("bus", Reset::Bus),
        ("device_specific", Reset::DeviceSpecific),
        ("vendor-reset", Reset::VendorReset),
        ("none", Reset::None),
    ];

    /// How it is written.
    pub fn word(self) -> &'static str {
        Reset::WORDS.iter().find(|(_, reset)| *reset == self).map_or("", |(word, _)| word)
    }
}

/// The user that the package makes for guests that are commands.
pub const DEFAULT_USER: &str = "vfio-guest";

/// `[guest NAME]`: a virtual machine that gets cards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guest {
    /// The user's name for it; the instance of `vfio-guest@`.
    pub name: String,
    /// Where the section begins.
    pub at: Location,
    /// `gpus`: names of `[gpu]` sections.
    pub gpus: At<Vec<String>>,
    /// `GPU.bar0` to `GPU.bar5`: sizes for this guest.
    pub bars: Vec<GuestBar>,
    /// `domain`: the libvirt domain; the section's name by default.
    pub domain: String,
    /// `uri`.
    pub uri: String,
    /// `runner`.
    pub runner: Runner,
    /// `command`, split into words; not empty with `runner = command`.
    pub command: Vec<String>,
    /// `user`: who runs `command`.
    pub user: String,
    /// `handover`.
    pub handover: Handover,
    /// `display-manager`.
    pub display_manager: DisplayManager,
    /// `stop-units`: further units stopped for the guest.
    pub stop_units: Vec<String>,
    /// `before`: commands, each split into words.
    pub before: Vec<Vec<String>>,
    /// `after`: commands, each split into words.
    pub after: Vec<Vec<String>>,
    /// `kill-holders`: whoever holds the card and does not end when asked (SIGTERM) is killed.
    pub kill_holders: bool,
    /// `start-timeout`.
    pub start_timeout: Duration,
    /// `stop-timeout`.
    pub stop_timeout: Duration,
    /// `inhibit-sleep`.
    pub inhibit_sleep: bool,
}

/// `GPU.barN`: the size of a BAR for one guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestBar {
    /// The `[gpu]` section's name.
    pub gpu: String,
    /// 0 to 5.
    pub bar: u8,
    /// The size wanted.
    pub size: At<BarSize>,
}

/// `runner`: what the guest is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runner {
    /// A libvirt domain.
    Libvirt,
    /// A program, plain QEMU for example.
    Command,
}

/// `handover`: what becomes of the host's sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handover {
    /// Exactly those who hold the card make way; nobody, if nobody does.
    Auto,
    /// The display manager is stopped and comes back, whoever holds the card.
    Steal,
    /// Sessions stay.
    Hot,
    /// The device is bound at boot.
    None,
}

/// `display-manager`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DisplayManager {
    /// Found.
    Auto,
    /// There is none.
    None,
    /// This unit.
    Unit(String),
}
