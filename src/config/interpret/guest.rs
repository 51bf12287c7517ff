// SPDX-License-Identifier: LGPL-2.1-or-later
//! `[guest NAME]`: what its keys say, and that the cards that it names are there.

use super::Reader;
use crate::config::commands::{command, commands};
use crate::config::merge::Setting;
use crate::config::report::{Said, Spot};
use crate::config::sections::definition::{self, Definition};
use crate::config::sections::gpu;
use crate::config::sections::guest::{self, guest_bar, DEFAULT_USER};
use crate::config::values;
use crate::config::{Bind, Config, DisplayManager, Guest, GuestBar, Handover, Runner};
use crate::finding::codes;
use crate::nearest::did_you_mean;
use std::time::Duration;

/// Reads a `[guest NAME]`. The cards are in the configuration already.
pub(super) fn guest(mut r: Reader<'_, '_>, config: &Config) -> Option<Guest> {
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
    let definition = definition(&mut r);

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
        definition,
    })
}

/// What the domain is to be like.
fn definition(r: &mut Reader<'_, '_>) -> Definition {
    Definition {
        display: r.value("display", definition::display),
        hide: r.value("hide", definition::hide),
        input: r.value("input", definition::input),
        input_toggle: r.value("input-toggle", definition::input_toggle),
        usb: r.value("usb", definition::usb),
        audio: r.value("audio", definition::audio),
        audio_user: r.value("audio-user", guest::user),
        cpus: r.value("cpus", definition::cpus),
        cpus_isolate: r.value("cpus-isolate", values::boolean),
        memory: r.value("memory", definition::memory),
        hugepages: r.value("hugepages", definition::hugepages),
        looking_glass: r.value("looking-glass", definition::looking_glass),
        tpm: r.value("tpm", values::boolean),
        secure_boot: r.value("secure-boot", values::boolean),
        virtio_win: r.value("virtio-win", definition::virtio_win),
    }
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
            for key in ["domain", "uri"].iter().chain(definition::KEYS) {
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
