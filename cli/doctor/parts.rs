// SPDX-License-Identifier: LGPL-2.1-or-later
//! The parts of the machine, each by the functions that the other verbs use: one fact has one answer.

use crate::arguments::DoctorPart;
use crate::{guest, plan, status};
use vfio_suite::act::backend::tools_for;
use vfio_suite::act::boot::sync::Snapshot;
use vfio_suite::act::guest::probe::Source;
use vfio_suite::act::guest::start;
use vfio_suite::act::logs::{self, Logs};
use vfio_suite::act::setup;
use vfio_suite::config::{Config, Guest, Runner};
use vfio_suite::finding::codes::{self, Code};
use vfio_suite::finding::{Finding, Part, Severity};
use vfio_suite::host::detail::parents;
use vfio_suite::host::function::is_vfio;
use vfio_suite::host::iommu::Iommu;
use vfio_suite::host::leftovers::find as find_leftovers;
use vfio_suite::host::power::may_sleep;
use vfio_suite::host::run::{boot_counter, sync_report};
use vfio_suite::host::{accounts, software, Depth, Host};
use vfio_suite::plan::cmdline::{self, status::status, Options};
use vfio_suite::plan::doctor::{self, BootFacts};
use vfio_suite::plan::iommu::why_off;
use vfio_suite::plan::logs::cards::LoggedCards;
use vfio_suite::plan::logs::gather::{findings, guest_failed};
use vfio_suite::plan::logs::search::{Hit, Patterns};
use vfio_suite::plan::setup::{commands, plan as plan_setup};
use vfio_suite::plan::system::{findings as findings_of_system, SystemFacts};
use vfio_suite::plan::{boot as next_boot, display, leftovers, reset_now, select};
use vfio_suite::root::Root;
use vfio_suite::survey;

/// What all parts share: the machine is looked at once.
pub struct Machine<'m> {
    pub root: &'m Root,
    pub config: &'m Config,
    /// At `Depth::Full`.
    pub host: Host,
}

impl<'m> Machine<'m> {
    /// Looks at it.
    pub fn scan(root: &'m Root, config: &'m Config) -> Machine<'m> {
        Machine { root, config, host: Host::scan(root, Depth::Full) }
    }
}

/// Looks at one part; `said` is what other parts have said already.
pub fn look(machine: &Machine<'_>, part: DoctorPart, guest: Option<&str>, said: &[Finding]) -> Vec<Finding> {
    let found = match part {
        DoctorPart::Boot => boot(machine),
        DoctorPart::Reset => resets(machine),
        DoctorPart::Display => displays(machine),
        DoctorPart::Cards => cards(machine),
        DoctorPart::Guests => guests(machine, guest),
        DoctorPart::System => system(machine),
        DoctorPart::Logs => in_logs(machine, guest),
    };
    found.into_iter().filter(|finding| !is_said(finding, said)).collect()
}

/// Whether another finding says the same of the same card.
fn is_said(finding: &Finding, said: &[Finding]) -> bool {
    let card = |finding: &Finding| {
        let (_, rest) = finding.text.split_once("[gpu ")?;
        rest.split_once(']').map(|(name, _)| name.to_owned())
    };
    let of = card(finding);
    finding.code != codes::OK
        && said
            .iter()
            .any(|other| other.code == finding.code && (finding.code == codes::IOMMU_OFF || card(other) == of))
}

/// Whether edits are noticed: the path unit is enabled, by the administrator or by the package.
fn is_watched(root: &Root) -> bool {
    let directories = ["etc/systemd/system", "usr/lib/systemd/system", "run/systemd/system"];
    let links = directories.iter().map(|directory| format!("{directory}/paths.target.wants/vfio-sync.path"));
    // A link to a unit that is not there is none.
    links.into_iter().any(|link| root.exists(&link))
}

fn boot(machine: &Machine<'_>) -> Vec<Finding> {
    let Machine { root, host, .. } = machine;
    let snapshot = Snapshot::on(root, host);
    let record = snapshot.record.as_ref().cloned().unwrap_or_default();
    let parameters: Vec<String> = snapshot.parameters.iter().map(|parameter| parameter.parameter.clone()).collect();
    let options = Options { rescue_entry: snapshot.config.host.needs_rescue_entry(), ..Options::default() };
    let plan = cmdline::plan(&snapshot.system, &parameters, &record, &options);
    let iommu = &host.iommu;
    let status = status(&snapshot.system, snapshot.parameters.clone(), &record);
    let unknown = snapshot.record.as_ref().err().map(ToString::to_string);
    doctor::boot(&BootFacts {
        config: &snapshot.config,
        system: &snapshot.system,
        status: unknown.as_deref().map_or(Ok(&status), Err),
        problems: &plan.problems,
        notes: &plan.notes,
        no_rescue_entry: &plan.no_rescue_entry,
        initramfs: &snapshot.initramfs,
        report: sync_report::read(root).as_ref(),
        watched: is_watched(root),
        no_iommu: (!iommu.active || !Iommu::covers_pci(root))
            .then(|| why_off(iommu, &snapshot.system.parameters))
            .as_ref(),
        counter: boot_counter::obstacle(root).as_ref(),
    })
}

fn resets(machine: &Machine<'_>) -> Vec<Finding> {
    let (selections, host) = survey::cards_of(machine.root, machine.config, machine.host.clone());
    selections.iter().flat_map(|selection| reset_now::checks(selection, &host)).collect()
}

fn displays(machine: &Machine<'_>) -> Vec<Finding> {
    let Machine { config, host, .. } = machine;
    if config.gpus.is_empty() {
        return Vec::new();
    }
    display::checks(&next_boot::selections(config, &next_boot::at_next_boot(host)), host)
}

/// What `vfio check`, `plan` and `status` say of the cards.
fn cards(machine: &Machine<'_>) -> Vec<Finding> {
    let Machine { root, config, host } = machine;
    let mut found = Vec::new();
    if config.gpus.is_empty() {
        return found;
    }
    for card in plan::cards(root, config, &mut host.clone()) {
        let check = |finding: &Finding, severity| finding.as_check(Part::Cards, "plan", severity);
        found.extend(card.plan.refusals.iter().map(|finding| check(finding, Severity::Error)));
        found.extend(card.plan.warnings.iter().map(|finding| check(finding, finding.severity)));
        found.extend(card.plan.notes.iter().map(|finding| check(finding, Severity::Note)));
    }
    let troubles = status::troubles(root, config, host.clone());
    let state = |trouble: status::Trouble| {
        let text = Finding::without_code(&trouble.text);
        let finding = Finding::check(Part::Cards, "state", Severity::Warning, codes::CARD_NOT_AS_CONFIGURED, text);
        Finding { hint: trouble.todo.map(Into::into), ..finding }
    };
    found.extend(troubles.into_iter().map(state));
    if found.is_empty() {
        let text = format!("cards of the configuration that this machine can give to guests: {}", config.gpus.len());
        found.push(Finding::check(Part::Cards, "plan", Severity::Ok, codes::OK, text));
    }
    found
}

/// What a start does by design is no trouble: `vfio guest plan` tells of it.
const BY_DESIGN: [Code; 3] = [codes::SESSION_ENDS, codes::UNRELATED_SESSION_ENDS, codes::HOST_LOSES];

/// What `vfio guest status` and `vfio guest plan` say of the guests.
fn guests(machine: &Machine<'_>, only: Option<&str>) -> Vec<Finding> {
    let Machine { root, config, host } = machine;
    let mut found = Vec::new();
    let tools = tools_for(root);
    for row in guest::rows(root, config).iter().filter(|row| only.is_none_or(|name| row.is_of(name))) {
        let Some(section) = config.guest(row.name()).filter(|_| !row.has_cards()) else {
            found.extend(row.trouble(Part::Guests));
            continue;
        };
        let plan = start::plan_on(root, tools.as_ref(), config, section, Source::Libvirt, host.clone());
        // What refused the last start either refuses the next one, too, and is said below, or is over.
        let stays = |trouble: &Finding| plan.refusals.iter().any(|refusal| trouble.text.contains(&refusal.text));
        let counts = |trouble: &Finding| !row.was_refused() && !stays(trouble);
        found.extend(row.trouble(Part::Guests).into_iter().filter(counts));
        let of_design = |finding: &&Finding| !BY_DESIGN.contains(&finding.code);
        let check = |finding: &Finding, severity| finding.as_check(Part::Guests, "plan", severity);
        found.extend(plan.refusals.iter().map(|finding| check(finding, Severity::Error)));
        found.extend(plan.warnings.iter().filter(of_design).map(|finding| check(finding, Severity::Warning)));
        if plan.refusals.is_empty() {
            let text = format!("[guest {}] can be started", row.name());
            found.push(Finding::check(Part::Guests, "plan", Severity::Ok, codes::OK, text));
        }
    }
    found
}

/// What guests need of the system, and what others have left on it.
fn system(machine: &Machine<'_>) -> Vec<Finding> {
    let Machine { root, config, host } = machine;
    if config.gpus.is_empty() && config.guests.is_empty() {
        return Vec::new();
    }
    let mut sleepers = Vec::new();
    let mut functions = Vec::new();
    for selection in select::select_all(config, host) {
        let of_card = selection.selected.iter().flat_map(|selected| &selected.functions);
        for function in of_card {
            functions.push(*function);
            let driver = host.function(*function).and_then(|of| of.driver.as_deref());
            if driver.is_some_and(is_vfio) && may_sleep(root, *function) {
                sleepers.push((*function, selection.gpu.name.clone()));
            }
        }
    }
    let facts = SystemFacts {
        distribution: software::distribution(root),
        virsh: software::has_program(root, &["virsh"]),
        qemu: software::has_qemu(root),
        swtpm: software::has_program(root, &["swtpm"]),
        setup: not_ready(root, config),
        hook_unseen: software::hook_is_unseen(root),
        clock: software::clock_source(root),
        outside: outside(root),
        sleepers,
    };
    let mut found = findings_of_system(&facts, config);
    found.extend(leftovers::findings(&find_leftovers(root), config, &functions));
    if found.is_empty() {
        let text = "the system has what guests need, and nobody else binds cards";
        found.push(Finding::check(Part::System, "programs", Severity::Ok, codes::OK, text));
    }
    found
}

/// The groups for guests that this machine has and the user who called sudo is not in.
fn outside(root: &Root) -> Option<(String, Vec<String>)> {
    let user = std::env::var("SUDO_USER").ok().filter(|user| !user.is_empty() && user != "root")?;
    let lacks =
        |group: &accounts::Group| matches!(group.name.as_str(), "kvm" | "libvirt") && !group.members.contains(&user);
    let groups = accounts::groups(root).ok()?;
    let names: Vec<String> = groups.into_iter().filter(lacks).map(|group| group.name).collect();
    (!names.is_empty()).then_some((user, names))
}

/// What 'vfio setup --services' would do.
fn not_ready(root: &Root, config: &Config) -> Vec<String> {
    if !config.guests.iter().any(|guest| guest.runner == Runner::Libvirt) {
        return Vec::new();
    }
    match setup::probe_context(root, tools_for(root).as_ref()) {
        // In a chroot nothing is started.
        Ok(now) if now.init.is_none() => Vec::new(),
        Ok(now) => {
            let steps = plan_setup(&now, None).steps;
            steps.iter().flat_map(|step| commands(step, &now)).map(|words| words.join(" ")).collect()
        }
        // 'vfio setup' says why.
        Err(_) => Vec::new(),
    }
}

/// What the logs say of the cards, or of the cards of one guest.
fn in_logs(machine: &Machine<'_>, only: Option<&str>) -> Vec<Finding> {
    let (mut logs, hits) = read_logs(machine, only);
    let failed_before = logs.all.iter().any(|log| log.before && guest_failed(&log.text));
    let mut found = findings(&hits, &logged_cards(machine, only), failed_before);
    let unread = logs.unread.drain(..);
    found.extend(unread.map(|text| Finding::check(Part::Logs, "sources", Severity::Note, codes::LOG_NOT_READ, text)));
    if found.is_empty() {
        let text = "the logs show no trouble with the cards of the configuration";
        found.push(Finding::check(Part::Logs, "sources", Severity::Ok, codes::OK, text));
    }
    found
}

fn read_logs(machine: &Machine<'_>, only: Option<&str>) -> (Logs, Vec<Hit>) {
    let Machine { root, config, .. } = machine;
    let guests: Vec<&Guest> = config.guests.iter().filter(|guest| only.is_none_or(|name| guest.name == name)).collect();
    let logs = logs::read(root, tools_for(root).as_ref(), &guests);
    let hits = Patterns::of_all_rules().map(|patterns| logs.all.iter().flat_map(|log| patterns.hits(log)).collect());
    (logs, hits.unwrap_or_default())
}

fn logged_cards(machine: &Machine<'_>, only: Option<&str>) -> LoggedCards {
    let Machine { root, config, host } = machine;
    let mut selections = select::select_all(config, host);
    if let Some(guest) = only.and_then(|name| config.guest(name)) {
        selections.retain(|selection| guest.gpus.value.contains(&selection.gpu.name));
    }
    LoggedCards::of(&selections, |function| parents(root, function))
}

/// Why the last start of a guest, or of each guest, failed.
pub fn last(machine: &Machine<'_>, only: Option<&str>) -> Vec<Finding> {
    let Machine { root, config, .. } = machine;
    let mut found = Vec::new();
    if config.guests.is_empty() {
        let text = "the configuration has no [guest] section";
        found.push(Finding::check(Part::Guests, "last", Severity::Ok, codes::OK, text));
    }
    for row in guest::rows(root, config).iter().filter(|row| only.is_none_or(|name| row.is_of(name))) {
        let trouble = row.trouble(Part::Guests);
        if trouble.is_empty() {
            let text = format!("[guest {}] no start of it has failed in this boot", row.name());
            found.push(Finding::check(Part::Guests, "last", Severity::Ok, codes::OK, text));
            continue;
        }
        found.extend(trouble);
        let (_, mut hits) = read_logs(machine, Some(row.name()));
        // A start and its end take minutes: what is older has nothing to do with it.
        if let Some(since) = row.changed(root).map(|time| time - LONGEST_START) {
            hits.retain(|hit| !hit.before && hit.time.is_none_or(|time| time >= since));
        }
        found.extend(findings(&hits, &logged_cards(machine, Some(row.name())), false));
    }
    found
}

/// How long a start takes at most, with its end, in seconds.
const LONGEST_START: i64 = 600;
