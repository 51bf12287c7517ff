// SPDX-License-Identifier: LGPL-2.1-or-later
//! Sections to the configuration: every value read, required keys there, names that lead somewhere.

mod card;
mod guest;

use super::commands::{kernel_parameters, WithWarnings};
use super::keys::Kind;
use super::report::{clip, Report, Said, Spot};
use super::sections::host;
use super::values::{self, Parsed, Wrong};
use super::{At, Config, Disabled, HostSection, Selector};
use crate::config::merge::{Section, Sections, Setting};
use crate::finding::codes::{self, Code};

/// Reads the values of one section.
struct Reader<'s, 'a> {
    section: &'s mut Section<'a>,
    report: &'s mut Report,
}

impl<'a> Reader<'_, 'a> {
    /// The value of a key; None where it is not written, empty or wrong. A wrong one is reported and ends the section.
    fn get<T>(&mut self, key: &str, parse: impl FnOnce(&'a str) -> Parsed<T>) -> Option<At<T>> {
        let setting = self.section.get(key)?;
        match parse(setting.value) {
            Ok(value) => Some(At { value, at: self.report.location(setting.spot) }),
            Err(why) => {
                self.wrong(setting, why, Slip::of(setting.value));
                None
            }
        }
    }

    /// The same without its place.
    fn value<T>(&mut self, key: &str, parse: impl FnOnce(&'a str) -> Parsed<T>) -> Option<T> {
        self.get(key, parse).map(|at| at.value)
    }

    /// The same, and a default.
    fn or<T>(&mut self, key: &str, default: T, parse: impl FnOnce(&'a str) -> Parsed<T>) -> T {
        self.value(key, parse).unwrap_or(default)
    }

    /// The same for words that come with warnings.
    fn words<T: Default>(&mut self, key: &str, parse: impl FnOnce(&'a str) -> Parsed<WithWarnings<T>>) -> T {
        match self.section.get(key) {
            Some(setting) => self.checked_words(setting, parse),
            None => T::default(),
        }
    }

    fn checked_words<T: Default>(
        &mut self,
        setting: Setting<'a>,
        parse: impl FnOnce(&'a str) -> Parsed<WithWarnings<T>>,
    ) -> T {
        match parse(setting.value) {
            Ok((value, warnings)) => {
                for warning in warnings {
                    let (text, hint) = (warning.as_warning(setting.key), warning.hint.unwrap_or_default());
                    self.report.warning(setting.spot, Said::new(warning.code, &text).hint(&hint));
                }
                value
            }
            Err(why) => {
                self.wrong(setting, why, None);
                T::default()
            }
        }
    }

    fn wrong(&mut self, setting: Setting<'a>, why: Wrong, slip: Option<Slip>) {
        let meanwhile = match (self.section.kind, setting.key) {
            (Kind::Host, "enable") => "; the suite stays idle until this is corrected",
            (Kind::Host, _) => "; the default counts until this is corrected",
            _ => "",
        };
        let text = why.as_error(setting.key) + meanwhile;
        let code = slip.map_or(why.code, Slip::code);
        let hint = match (why.hint, slip.map(Slip::hint)) {
            (Some(why), Some(slip)) => format!("{why}; {slip}"),
            (why, slip) => why.unwrap_or_else(|| slip.unwrap_or_default().to_owned()),
        };
        self.section.fail(self.report, setting.spot, Said::new(code, &text).hint(&hint));
    }

    /// Where a key stands that has a value.
    fn spot(&self, key: &str) -> Option<Spot> {
        self.section.get(key).map(|setting| setting.spot)
    }

    /// A warning about a text that is taken whole although it seems to end in a comment.
    fn warn_of_comment(&mut self, key: &str) {
        let Some(setting) = self.section.get(key) else { return };
        if let Some(slip) = Slip::of(setting.value) {
            let text = format!("'{key}' is taken as the whole text '{}'", clip(setting.value));
            self.report.warning(setting.spot, Said::new(slip.code(), &text).hint(&slip.hint()));
        }
    }
}

/// What the value seems to have that it must not have.
#[derive(Clone, Copy)]
enum Slip {
    /// A comment behind it.
    Comment,
    /// Quotes around it.
    Quotes,
}

impl Slip {
    fn of(value: &str) -> Option<Slip> {
        if value.starts_with(['#', ';']) || [" #", " ;", "\t#", "\t;"].iter().any(|mark| value.contains(mark)) {
            Some(Slip::Comment)
        } else if value.starts_with(['"', '\'']) {
            Some(Slip::Quotes)
        } else {
            None
        }
    }

    fn code(self) -> Code {
        match self {
            Slip::Comment => codes::COMMENT_IN_VALUE,
            Slip::Quotes => codes::QUOTED_VALUE,
        }
    }

    fn hint(self) -> &'static str {
        match self {
            Slip::Comment => "a comment must be on a line of its own",
            Slip::Quotes => "write it without quotes",
        }
    }
}

/// Makes the configuration from all sections, or from all but those of guests.
pub(super) fn interpret(sections: Sections<'_>, mut report: Report, guests: bool) -> Config {
    let Sections { mut list, enable_unclear } = sections;
    let mut config = Config::default();
    // Guests name cards, wherever these stand: cards first.
    for section in list.iter_mut().filter(|section| section.kind == Kind::Host) {
        config.host = host(Reader { section, report: &mut report });
        config.host.enable &= enable_unclear.is_none();
    }
    let mut devices: Vec<(Spot, String, Selector)> = Vec::new();
    for section in list.iter_mut().filter(|section| section.kind == Kind::Gpu) {
        let mut gpu = card::gpu(Reader { section, report: &mut report }, &mut devices);
        // Nobody looks for a picture there: what one card says for itself holds for all of them.
        gpu.iter_mut().for_each(|gpu| gpu.only_display |= config.host.headless);
        take(gpu, section, &report, &mut config.gpus, &mut config.disabled);
    }
    for section in list.iter_mut().filter(|section| guests && section.kind == Kind::Guest) {
        let guest = guest::guest(Reader { section, report: &mut report }, &config);
        take(guest, section, &report, &mut config.guests, &mut config.disabled);
    }
    config.diagnostics = report.finish();
    config
}

/// Into the list of what counts, or of what does not.
fn take<T>(made: Option<T>, section: &mut Section<'_>, report: &Report, good: &mut Vec<T>, bad: &mut Vec<Disabled>) {
    match (made, section.why.take()) {
        (Some(made), None) => good.push(made),
        (_, Some(why)) => {
            let (kind, name) = (section.kind.word(), section.name.to_owned());
            bad.push(Disabled { kind, name, at: report.location(section.spot), why });
        }
        // A section is not made only where an error said why.
        (None, None) => {}
    }
}

fn host(mut r: Reader<'_, '_>) -> HostSection {
    let default = HostSection::default();
    let asked = r.spot("enable").is_some();
    let enable = r.get("enable", values::boolean);
    let mut host = HostSection {
        // Nobody knows what a wrong value was to be; to do nothing is safe.
        enable: enable.map_or(default.enable && !asked, |at| at.value),
        iommu: r.or("iommu", default.iommu, host::iommu),
        iommu_passthrough: r.or("iommu-passthrough", default.iommu_passthrough, values::boolean),
        kernel_parameters: default.kernel_parameters,
        headless: r.or("headless", default.headless, values::boolean),
        failed_boots: r.or("failed-boots", default.failed_boots, host::failed_boots),
        rescue_entry: r.or("rescue-entry", default.rescue_entry, values::boolean),
    };
    host.kernel_parameters = r.words("kernel-parameters", |text| kernel_parameters(text, &host));
    host
}
