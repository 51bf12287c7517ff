// SPDX-License-Identifier: LGPL-2.1-or-later
//! Sections to the configuration: every value read, required keys there, names that lead somewhere.

use super::commands::{command, commands, kernel_parameters, WithWarnings};
use super::keys::Kind;
use super::report::{clip, Report, Said, Spot};
use super::sections::gpu::{self, BARS};
use super::sections::guest::{self, guest_bar};
use super::sections::host;
use super::values::{self, Parsed, Wrong};
use super::DEFAULT_USER;
use super::{
    At, Bind, Config, Disabled, DisplayManager, Driver, Functions, Gpu, Guest, GuestBar, Handover, HostSection,
    RebarMethod, Reset, Runner, Selector,
};
use crate::config::merge::{Section, Sections, Setting};
use crate::finding::codes::{self, Code};
use crate::nearest::did_you_mean;
use std::time::Duration;

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

    /// The same, and a default.
    fn or<T>(&mut self, key: &str, default: T, parse: impl FnOnce(&'a str) -> Parsed<T>) -> T {
        self.get(key, parse).map_or(default, |at| at.value)
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
        let mut gpu = gpu(Reader { section, report: &mut report }, &mut devices);
        // Nobody looks for a picture there: what one card says for itself holds for all of them.
        gpu.iter_mut().for_each(|gpu| gpu.only_display |= config.host.headless);
        take(gpu, section, &report, &mut config.gpus, &mut config.disabled);
    }
    for section in list.iter_mut().filter(|section| guests && section.kind == Kind::Guest) {
        let guest = guest(Reader { section, report: &mut report }, &config);
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
    };
    host.kernel_parameters = r.words("kernel-parameters", |text| kernel_parameters(text, &host));
    host
}

fn gpu(mut r: Reader<'_, '_>, devices: &mut Vec<(Spot, String, Selector)>) -> Option<Gpu> {
    let begin = r.section.spot;
    let name = r.section.name.to_owned();
    let device = r.get("device", gpu::selector);
    let identity = r.get("identity", gpu::identity);
    let functions = r.get("functions", gpu::functions);
    let optional = r.or("optional", false, values::boolean);
    let also = r.get("also", gpu::addresses);
    let bind = r.or("bind", Bind::Boot, gpu::bind);
    let driver = r.or("driver", Driver::VfioPci, gpu::driver);
    let bars = BARS.map(|key| r.get(key, gpu::bar));
    let rebar_method = r.or("rebar-method", RebarMethod::Kernel, gpu::rebar_method);
    let reset = r.or("reset", Reset::Auto, gpu::reset);
    let rom = r.get("rom", values::absolute_path);
    r.warn_of_comment("rom");
    let only_display = r.or("only-display", false, values::boolean);

    let Some(device) = device else {
        // Where another error stands, it may have been about this very line.
        if r.section.why.is_none() {
            let said = format!("[gpu {name}] has no 'device'");
            let said = Said::new(codes::NO_DEVICE, &said).hint(&"write device = and the card's address");
            r.section.fail(r.report, begin, said);
        }
        return None;
    };
    let at = r.spot("device").unwrap_or(begin);
    match devices.iter().find(|(_, _, selector)| *selector == device.value) {
        // What is disabled claims nothing: the good one of two must not suffer from the bad.
        None if r.section.why.is_some() => {}
        None => devices.push((at, name.clone(), device.value)),
        Some((first, owner, selector)) => {
            let place = r.report.seen_from(at, *first);
            let hint = match selector {
                Selector::Identity(_) => {
                    "if there are two such cards, name each by its address ('vfio groups' lists them)"
                }
                _ => "each card has one section",
            };
            let text = format!("{selector} is already the device of [gpu {owner}] ({place})");
            r.section.fail(r.report, at, Said::new(codes::DEVICE_TWICE, &text).hint(&hint));
        }
    }
    Some(Gpu {
        identity,
        also: useful_also(&mut r, device.value, also),
        name,
        at: r.report.location(begin),
        device,
        functions: match functions {
            Some(At { value: Some(value), at }) => Functions::Listed(At { value, at }),
            _ => Functions::All,
        },
        optional,
        bind,
        driver,
        bars,
        rebar_method,
        reset,
        rom,
        only_display,
    })
}

/// `also` names what is outside the card's own slot.
fn useful_also(
    r: &mut Reader<'_, '_>,
    device: Selector,
    also: Option<At<Vec<crate::pci::Address>>>,
) -> Vec<At<crate::pci::Address>> {
    let (Some(also), Some(spot)) = (also, r.spot("also")) else { return Vec::new() };
    let mut list = Vec::new();
    for address in also.value {
        if matches!(device, Selector::Address(own) if own.slot == address.slot) {
            let text = format!("'also' names {address}, which is in the card's own slot");
            let said = Said::new(codes::ALSO_IN_OWN_SLOT, &text);
            r.report.warning(spot, said.hint(&"'functions' is for the functions of this slot"));
        } else {
            list.push(At { value: address, at: also.at.clone() });
        }
    }
    list
}

fn guest(mut r: Reader<'_, '_>, config: &Config) -> Option<Guest> {
    let begin = r.section.spot;
    let name = r.section.name.to_owned();
    let gpus = r.get("gpus", guest::names);
    let domain = r.or("domain", name.clone(), guest::domain);
    r.warn_of_comment("domain");
    let uri = r.or("uri", "qemu:///system".to_owned(), guest::uri);
    let runner = r.get("runner", guest::runner);
    let command = r.words("command", command);
    let user = r.or("user", DEFAULT_USER.to_owned(), guest::user);
    let handover = r.or("handover", Handover::Auto, guest::handover);
    let display_manager = r.or("display-manager", DisplayManager::Auto, guest::display_manager);
    let stop_units = r.or("stop-units", Vec::new(), guest::units);
    let before = command_list(&mut r, "before");
    let after = command_list(&mut r, "after");
    let kill_holders = r.or("kill-holders", false, values::boolean);
    let start_timeout = r.or("start-timeout", Duration::from_secs(90), values::time);
    let stop_timeout = r.or("stop-timeout", Duration::from_secs(120), values::time);
    let inhibit_sleep = r.or("inhibit-sleep", true, values::boolean);

    let runner = runner.map_or(Runner::Libvirt, |at| at.value);
    check_runner(&mut r, runner, &command);
    let Some(gpus) = gpus else {
        if r.section.why.is_none() {
            let said = format!("[guest {name}] has no 'gpus'");
            let said = Said::new(codes::NO_GPUS, &said).hint(&"write gpus = and the name of a [gpu] section");
            r.section.fail(r.report, begin, said);
        }
        return None;
    };
    let at = r.spot("gpus").unwrap_or(begin);
    for gpu in &gpus.value {
        check_gpu(&mut r, at, gpu, handover, config);
    }
    let bars = guest_bars(&mut r, &gpus.value);
    Some(Guest {
        name,
        at: r.report.location(begin),
        gpus,
        bars,
        domain,
        uri,
        runner,
        command,
        user,
        handover,
        display_manager,
        stop_units,
        before,
        after,
        kill_holders,
        start_timeout,
        stop_timeout,
        inhibit_sleep,
    })
}

/// `GPU.barN`: the card must be one of the guest's.
fn guest_bars(r: &mut Reader<'_, '_>, gpus: &[String]) -> Vec<GuestBar> {
    let mut bars = Vec::new();
    for setting in r.section.dotted() {
        let Some((gpu, bar)) = guest_bar(setting.key) else { continue };
        if !gpus.iter().any(|name| name == gpu) {
            let key = setting.key;
            // The first error of many is enough to look for what was meant.
            let first = r.section.why.is_none();
            let near = if first { did_you_mean(gpu, gpus.iter().map(String::as_str)) } else { None };
            let text = format!("'{key}' is about '{gpu}', which is not among the 'gpus' of this guest");
            let said = Said::new(codes::BAR_OF_OTHER_GPU, &text);
            r.section.fail(r.report, setting.spot, said.hint(&near.unwrap_or_default()));
        } else if let Some(size) = r.get(setting.key, gpu::bar) {
            bars.push(GuestBar { gpu: gpu.to_owned(), bar, size });
        }
    }
    bars
}

/// `before` and `after`: the commands of all their lines.
fn command_list(r: &mut Reader<'_, '_>, key: &str) -> Vec<Vec<String>> {
    let lines: Vec<Setting<'_>> = r.section.all(key).collect();
    lines.into_iter().flat_map(|setting| r.checked_words(setting, commands)).collect()
}

/// `command` and `runner = command` go together; `domain` and `uri` go with libvirt.
fn check_runner(r: &mut Reader<'_, '_>, runner: Runner, command: &[String]) {
    match runner {
        Runner::Libvirt => {
            for key in ["command", "user"] {
                if let Some(spot) = r.spot(key) {
                    r.report.warning(
                        spot,
                        Said::new(codes::KEY_WITHOUT_EFFECT, &format_args!("'{key}' has no effect"))
                            .hint(&"write runner = command with it"),
                    );
                }
            }
        }
        Runner::Command => {
            for key in ["domain", "uri"] {
                if let Some(spot) = r.spot(key) {
                    let text = format!("'{key}' has no effect with runner = command");
                    r.report.warning(spot, Said::new(codes::KEY_WITHOUT_EFFECT, &text));
                }
            }
            // A wrong command has its own error.
            if command.is_empty() && r.section.why.is_none() {
                let spot = r.spot("runner").unwrap_or(r.section.spot);
                let said = Said::new(codes::NO_COMMAND, &"runner = command needs a 'command'");
                r.section.fail(r.report, spot, said.hint(&"write the program that is the guest"));
            }
        }
    }
}

/// A name in `gpus` must lead to a card, and to one that is bound when the guest starts.
fn check_gpu(r: &mut Reader<'_, '_>, at: Spot, name: &str, handover: Handover, config: &Config) {
    if let Some(gpu) = config.gpu(name) {
        if handover == Handover::None && gpu.bind != Bind::Boot {
            let spot = r.spot("handover").unwrap_or(at);
            let said =
                Said::new(codes::HANDOVER_NEEDS_BIND_AT_BOOT, &"handover = none needs cards that are bound at boot");
            r.report.warning(spot, said.hint(&format_args!("write bind = boot in [gpu {name}]")));
        }
        return;
    }
    if let Some(disabled) = config.disabled_section("gpu", name) {
        let text = format!("'gpus' names [gpu {name}], which is disabled by the error at {}", disabled.error_at());
        return r.section.fail(r.report, at, Said::new(codes::GPU_DISABLED, &text));
    }
    let first = r.section.why.is_none();
    let names = config.gpus.iter().map(|gpu| gpu.name.as_str());
    let near = if first { did_you_mean(name, names) } else { None };
    let text = format!("'gpus' names '{name}', but there is no [gpu {name}]");
    r.section.fail(r.report, at, Said::new(codes::NO_SUCH_GPU, &text).hint(&near.unwrap_or_default()));
}
