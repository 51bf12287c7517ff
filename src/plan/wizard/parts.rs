// SPDX-License-Identifier: LGPL-2.1-or-later
//! The plan: numbered parts, each with the steps that make it so, in the order in which they are made.

use super::answers::Answers;
use super::facts::{Card, Facts, IommuState};
use super::file;
use super::packages::{self, For, Packages};
use super::request::When;
use crate::host::leftovers::{Leftover, LeftoverKind, ModprobeLine};
use crate::plan::leftovers::DRIVERS;
use crate::plan::setup::{self, SetupStep, ASIDE};
use crate::text::shell_command;
use serde::Serialize;

/// What a part is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Packages.
    Packages,
    /// libvirt's services and network, an SSH server.
    Services,
    /// Groups of a user.
    Groups,
    /// The file of the configuration.
    Config,
    /// The guest's domain.
    Guest,
    /// What others have left.
    Leftovers,
    /// Boot entries and images.
    Boot,
}

impl Kind {
    /// As the plan calls it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Packages => "packages",
            Kind::Services => "services",
            Kind::Groups => "groups",
            Kind::Config => "new file",
            Kind::Guest => "guest",
            Kind::Leftovers => "old files",
            Kind::Boot => "boot",
        }
    }
}

/// A part of the plan.
#[derive(Debug, Clone, Serialize)]
pub struct Part {
    /// What it is about.
    pub kind: Kind,
    /// What it does, a line each.
    pub lines: Vec<String>,
    /// What changes, as a unified diff; empty if the lines say it.
    pub diff: String,
    /// Its steps.
    pub steps: Vec<SetupStep>,
}

/// The plan.
#[derive(Debug, Clone, Default, Serialize)]
pub struct WizardPlan {
    /// Its parts, in order.
    pub parts: Vec<Part>,
    /// What is left to a person.
    pub left: Vec<String>,
    /// What else there is to know.
    pub notes: Vec<String>,
    /// What comes after it, a sentence each.
    pub next: Vec<String>,
    /// Whether the machine has to be rebooted afterwards.
    pub reboot: bool,
    /// Whether a user has to log in again.
    pub log_in_again: bool,
}

/// What other parts of vfio would do, once the file is there.
#[derive(Debug, Clone, Default)]
pub struct Previews {
    /// What is in the file now.
    pub file_now: Option<String>,
    /// What the domain lacks: a line each, and the differences. Nothing if it lacks nothing.
    pub edit: Option<(Vec<String>, String)>,
    /// What a domain that is made is like: a line each, and its text.
    pub define: Option<(Vec<String>, String)>,
    /// What a person does with it then, a sentence each.
    pub next: Vec<String>,
    /// Why the domain cannot be made so.
    pub edit_refused: Vec<String>,
    /// What changes in boot entries and images: a line each, and the differences. Nothing if nothing changes.
    pub boot: Option<(Vec<String>, String)>,
    /// Whether that builds images.
    pub builds: bool,
    /// What of that is left to a person.
    pub boot_left: Vec<String>,
    /// What others have left and what to do about it, each with its file.
    pub leftovers: Vec<(String, String)>,
    /// What is to be known of the card.
    pub notes: Vec<String>,
}

/// Which parts are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Only {
    /// Services and groups.
    Services,
    /// Packages.
    Packages,
    /// The configuration, and what others have left in its way.
    Config,
    /// The guest's domain.
    Guest,
    /// What boots.
    Boot,
}

impl Only {
    fn takes(self, kind: Kind) -> bool {
        matches!(
            (self, kind),
            (Only::Services, Kind::Services | Kind::Groups)
                | (Only::Packages, Kind::Packages)
                | (Only::Config, Kind::Config | Kind::Leftovers)
                | (Only::Guest, Kind::Guest)
                | (Only::Boot, Kind::Boot)
        )
    }
}

/// The plan for these answers.
pub fn plan(facts: &Facts, answers: &Answers, previews: &Previews, only: Option<Only>) -> WizardPlan {
    let mut plan = WizardPlan { notes: previews.notes.clone(), ..WizardPlan::default() };
    let missing = packages::missing(facts, For::of(answers));
    install(&missing, &mut plan);
    system(facts, answers.way_back.ssh, &missing, &mut plan);
    configuration(facts, answers, previews, &mut plan);
    guest(answers, previews, &mut plan);
    leftovers(facts, answers, previews, &mut plan);
    boot(facts, previews, &mut plan);
    if let Some(only) = only {
        plan.parts.retain(|part| only.takes(part.kind));
    }
    let has = |kind| plan.parts.iter().any(|part: &Part| part.kind == kind);
    plan.log_in_again = has(Kind::Groups);
    let at_boot = answers.when == When::Boot && !answers.card.with_vfio && (has(Kind::Config) || has(Kind::Boot));
    plan.reboot = at_boot || (facts.iommu == IommuState::AtNextBoot && only.is_none());
    if facts.iommu == IommuState::AtNextBoot {
        plan.left.push(
            "after the reboot, run the same command again: what shares the card's IOMMU group is known only then"
                .to_owned(),
        );
    }
    plan
}

/// Packages, services and groups: what can be planned without a card.
pub fn plan_without_card(facts: &Facts, domain: Option<&str>, only: Option<Only>) -> WizardPlan {
    let mut plan = WizardPlan::default();
    let missing = packages::missing(facts, domain.map_or(For::Nobody, For::Domain));
    if only != Some(Only::Services) {
        install(&missing, &mut plan);
    }
    if only != Some(Only::Packages) {
        system(facts, false, &missing, &mut plan);
    }
    plan.log_in_again = plan.parts.iter().any(|part| part.kind == Kind::Groups);
    plan
}

fn install(missing: &Packages, plan: &mut WizardPlan) {
    if missing.command.is_empty() {
        if !missing.programs.is_empty() {
            let names = missing.programs.join(", ");
            plan.left.push(format!("install the packages of this distribution that have: {names}"));
        }
        return;
    }
    let step = SetupStep::Install { packages: missing.names.clone(), command: missing.command.clone() };
    let lines = vec![shell_command(&missing.command)];
    plan.parts.push(Part { kind: Kind::Packages, lines, diff: String::new(), steps: vec![step] });
}

fn system(facts: &Facts, ssh: bool, missing: &Packages, plan: &mut WizardPlan) {
    let found = setup::plan(&facts.system, facts.user.as_deref());
    let mut steps = found.steps;
    plan.notes.extend(found.nobody.map(str::to_owned));
    if facts.installed.daemon || missing.command.is_empty() {
        plan.left.extend(found.notes);
    } else {
        plan.notes.push("libvirt's services and its network follow once it is installed".to_owned());
    }
    if ssh {
        match setup::ssh(&facts.system) {
            Some(more) => steps.splice(0..0, more).for_each(drop),
            None if setup::SSH.iter().any(|unit| facts.system.services.iter().any(|s| s.name == *unit)) => {}
            None => plan.left.push("no SSH server is installed: install openssh-server (Arch: openssh)".to_owned()),
        }
    }
    split(facts, steps, plan);
}

/// Services and groups are two parts.
fn split(facts: &Facts, steps: Vec<SetupStep>, plan: &mut WizardPlan) {
    let (groups, services): (Vec<_>, Vec<_>) =
        steps.into_iter().partition(|step| matches!(step, SetupStep::Join { .. }));
    if !services.is_empty() {
        let commands = services.iter().flat_map(|step| setup::commands(step, &facts.system));
        let lines = commands.map(|words| shell_command(&words)).collect();
        plan.parts.push(Part { kind: Kind::Services, lines, diff: String::new(), steps: services });
    }
    if let Some(SetupStep::Join { user, .. }) = groups.first() {
        let names = groups.iter().filter_map(|step| match step {
            SetupStep::Join { group, .. } => Some(format!("+ {group}")),
            _ => None,
        });
        let lines = vec![format!("{user}: {}  (sign in again for it)", names.collect::<Vec<_>>().join(" "))];
        plan.parts.push(Part { kind: Kind::Groups, lines, diff: String::new(), steps: groups });
    }
}

fn configuration(facts: &Facts, answers: &Answers, previews: &Previews, plan: &mut WizardPlan) {
    if answers.is_theirs {
        let sentence = format!("/{} is not as 'vfio setup' has written it: it is left alone", answers.path);
        return plan.notes.push(sentence);
    }
    let Some(text) = file::text(answers, facts) else { return };
    if previews.file_now.as_deref() == Some(text.as_str()) {
        return;
    }
    let mut lines = vec![format!("/{}", answers.path)];
    lines.extend(text.lines().filter(|line| !line.starts_with('#')).map(|line| format!("  {line}")));
    let steps = vec![SetupStep::Write { path: answers.path.clone(), text }];
    plan.parts.push(Part { kind: Kind::Config, lines, diff: String::new(), steps });
}

fn guest(answers: &Answers, previews: &Previews, plan: &mut WizardPlan) {
    let Some(name) = &answers.guest else { return };
    if let Some(wish) = &answers.new {
        let Some((lines, diff)) = previews.define.clone() else { return };
        plan.next.clone_from(&previews.next);
        if let (true, Some(domain), Some(_)) = (answers.dark, &answers.domain, &wish.installer) {
            plan.notes.push(format!(
                "while {domain} has the only card, its installer is seen from another machine: 'virt-viewer -c \
                 qemu+ssh://HOST/system {domain}'"
            ));
        }
        let steps = vec![SetupStep::Define { guest: name.clone(), wish: wish.clone() }];
        return plan.parts.push(Part { kind: Kind::Guest, lines, diff, steps });
    }
    if !answers.has_domain {
        let domain = answers.domain.as_deref().unwrap_or(name);
        return plan.left.push(format!(
            "libvirt has no domain '{domain}': '--iso=FILE' or '--disk' has setup make it, with the card in it"
        ));
    }
    plan.left.extend(previews.edit_refused.iter().cloned());
    let Some((lines, diff)) = previews.edit.clone() else { return };
    if previews.edit_refused.is_empty() {
        let steps = vec![SetupStep::Edit { guest: name.clone() }];
        plan.parts.push(Part { kind: Kind::Guest, lines, diff, steps });
    }
}

/// What would do the same a second time is put aside where nothing else is in it; of the rest a person is told.
fn leftovers(facts: &Facts, answers: &Answers, previews: &Previews, plan: &mut WizardPlan) {
    let mut lines = Vec::new();
    let mut steps = Vec::new();
    let domain = answers.domain.as_deref().filter(|_| answers.has_domain);
    let scripts = |leftover: &Leftover| match &leftover.kind {
        LeftoverKind::DomainScripts(of) if Some(of.as_str()) == domain => Some(leftover.path.clone()),
        _ => None,
    };
    let rule = |(path, found): &(String, Vec<crate::plan::udev_sizes::Found>)| {
        let is_it = |of: &crate::plan::udev_sizes::Found| {
            answers.card.ids.starts_with(&of.device) || of.device == answers.card.at()
        };
        (!found.is_empty() && found.iter().all(is_it)).then(|| path.clone())
    };
    let options = facts.modprobe.iter().filter(|(_, lines)| is_for(lines, &answers.card)).map(|(path, _)| path.clone());
    let all = facts.leftovers.iter().filter_map(scripts).chain(facts.rules.iter().filter_map(rule)).chain(options);
    for path in all {
        lines.push(format!("{path} -> {path}{ASIDE}"));
        steps.push(SetupStep::Aside { path: path.trim_start_matches('/').to_owned() });
    }
    let is_aside = |path: &str| {
        steps
            .iter()
            .any(|step| matches!(step, SetupStep::Aside { path: aside } if *aside == path.trim_start_matches('/')))
    };
    let rest = previews.leftovers.iter().filter(|(path, _)| !is_aside(path));
    plan.left.extend(rest.map(|(_, sentence)| sentence.clone()));
    if !steps.is_empty() {
        plan.parts.push(Part { kind: Kind::Leftovers, lines, diff: String::new(), steps });
    }
}

/// Whether a file of modprobe.d(5) says nothing but what keeps this card's kind from the host.
fn is_for(lines: &[ModprobeLine], card: &Card) -> bool {
    let own = |id: &str| card.kinds.iter().any(|kind| kind.eq_ignore_ascii_case(id));
    let drivers: &[&str] = match card.vendor {
        0x1002 => &["amdgpu"],
        0x10de => &["nvidia", "nvidia_drm"],
        0x8086 => &["i915", "xe"],
        _ => &[],
    };
    let about = |line: &ModprobeLine| match line {
        ModprobeLine::Vfio(_) | ModprobeLine::After(_) => true,
        ModprobeLine::Blacklist(driver) => drivers.contains(&driver.as_str()),
        ModprobeLine::Other => false,
    };
    lines.iter().any(about)
        && lines.iter().all(|line| match line {
            ModprobeLine::Vfio(ids) => ids.split(',').filter(|id| !id.is_empty()).all(own),
            ModprobeLine::Blacklist(driver) | ModprobeLine::After(driver) => DRIVERS.contains(&driver.as_str()),
            ModprobeLine::Other => false,
        })
}

fn boot(facts: &Facts, previews: &Previews, plan: &mut WizardPlan) {
    plan.left.extend(previews.boot_left.iter().cloned());
    let of_modprobe =
        |step: &SetupStep| matches!(step, SetupStep::Aside { path } if path.starts_with("etc/modprobe.d/"));
    let (mut lines, mut diff, mut steps) = (Vec::new(), String::new(), Vec::new());
    // An image has a copy of them.
    let aside = plan.parts.iter().flat_map(|part| &part.steps).any(of_modprobe);
    if aside && !previews.builds && !facts.rebuild.is_empty() {
        lines.extend(facts.rebuild.iter().map(|command| shell_command(command)));
        steps.push(SetupStep::Images { commands: facts.rebuild.clone() });
    }
    if let Some((more, changes)) = previews.boot.clone() {
        lines.extend(more);
        diff = changes;
        steps.push(SetupStep::Sync);
    }
    if !steps.is_empty() {
        plan.parts.push(Part { kind: Kind::Boot, lines, diff, steps });
    }
}
