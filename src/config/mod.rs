// SPDX-License-Identifier: LGPL-2.1-or-later
//! What the user asked for: `/etc/vfio.conf` and its drop-ins, read, checked, every message with its path and line.
//!
//! The way of a text: `files` decides which files count, `scan` makes lines of bytes, `merge` collects over all
//! files what stands in which section, `interpret` reads the values (with `values`, `commands` and `split`) and
//! checks that names lead somewhere. `report` keeps what there is to say on the way. Nothing here fails or stops:
//! whatever the files are, there is a [`Config`], and what was wrong is in its diagnostics.

mod access;
mod commands;
#[cfg(test)]
mod example_tests;
mod files;
mod interpret;
mod keys;
mod location;
mod merge;
mod name;
mod report;
mod scan;
mod sections;
mod split;
mod values;

pub use crate::finding::{Finding, Location, Severity};
pub use location::At;
pub use sections::definition::{Audio, Cpus, Definition, Display, Hide, Input, LookingGlass, Pages, UsbId};
pub use sections::gpu::{BarSize, Bind, Driver, Functions, Gpu, RebarMethod, Reset, Selector};
pub use sections::guest::{DisplayManager, Guest, GuestBar, Handover, Runner, DEFAULT_USER};
pub use sections::host::{HostSection, Iommu};

use crate::root::{Root, CONFIG_DIRS, CONFIG_FILE};

/// Whether a text can be the name of a section: of a unit's instance and of a file as well.
pub fn is_name(text: &str) -> bool {
    !text.is_empty() && name::check_name(text).is_ok()
}

/// Bytes, as `64G`.
pub fn size(text: &str) -> Option<u64> {
    values::size(text)
}

/// The size of a guest's memory, as in a configuration, or what is wrong with it.
pub fn memory_size(text: &str) -> Result<u64, String> {
    sections::definition::memory(text).map_err(|wrong| wrong.to_string())
}

/// A size as `bar0` takes it; an error is a sentence that quotes the text.
pub fn bar_size(text: &str) -> Result<BarSize, String> {
    sections::gpu::bar(text).map_err(|wrong| wrong.to_string())
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
    pub diagnostics: Vec<Finding>,
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
    pub why: Finding,
}

impl Disabled {
    /// Where the error is.
    pub fn error_at(&self) -> &Location {
        self.why.at.as_ref().unwrap_or(&self.at)
    }
}
