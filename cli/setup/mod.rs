// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio setup`: looks at the machine, asks what cannot be known, shows everything that will change, makes it so, or undoes it.

mod ask;
mod guide;
mod look;
pub mod options;
mod report;
mod services;
mod show;

use crate::output::Output;
use crate::Answer as Exit;
use ask::Will;
use options::SetupOptions;
use report::Report;
use std::collections::VecDeque;
use vfio_suite::act::backend::tools::Tools;
use vfio_suite::act::backend::tools_for;
use vfio_suite::act::guest::probe::Source;
use vfio_suite::act::guest::start;
use vfio_suite::act::lock::Lock;
use vfio_suite::act::setup;
use vfio_suite::config;
use vfio_suite::logger::complain;
use vfio_suite::plan::setup::SetupStep;
use vfio_suite::plan::wizard::answers::{decide, Answers};
use vfio_suite::plan::wizard::facts::Facts;
use vfio_suite::plan::wizard::found;
use vfio_suite::plan::wizard::parts::{self, Kind, Only, Part, WizardPlan};
use vfio_suite::plan::wizard::request::{Request, Vm};
use vfio_suite::plan::wizard::Stop;
use vfio_suite::root::Root;

/// One run.
struct Run<'a> {
    root: &'a Root,
    tools: &'a dyn Tools,
    options: &'a SetupOptions,
    report: Report<'a>,
}

/// A plan and what it was made from.
struct Made {
    facts: Facts,
    answers: Option<Answers>,
    plan: WizardPlan,
}

/// Does what the options say.
pub fn run(root: &Root, out: &Output, options: &SetupOptions) -> anyhow::Result<Exit> {
    let tools = tools_for(root);
    let mut run = Run { root, tools: tools.as_ref(), options, report: Report::new(out) };
    run.report.answer.dry_run = options.dry_run;
    // Who only looks waits for nobody.
    if options.undo {
        let _lock = if options.dry_run { None } else { Some(lock(root)?) };
        run.report.undo(root, tools.as_ref(), options.dry_run, options.services)?;
        return run.report.end("nothing to undo");
    }
    if options.services {
        let _lock = if options.dry_run { None } else { Some(lock(root)?) };
        let user = options.user.clone().or_else(|| look::who_asked(root));
        services::make_ready(root, tools.as_ref(), &mut run.report, user.as_deref(), options)?;
        return run.report.end("nothing to do");
    }
    run.report.tells_commands = false;
    run.wizard()
}

fn lock(root: &Root) -> anyhow::Result<Lock> {
    setup::lock(root).map_err(|error| anyhow::anyhow!(error.sentence()))
}

impl Run<'_> {
    fn wizard(mut self) -> anyhow::Result<Exit> {
        let facts = look::facts(self.root, self.tools, self.options.user.as_deref())?;
        guide::warn(self.options, &facts, self.root);
        let mut request = self.options.request();
        let asks = self.report.out.can_ask() && !self.options.yes && !self.options.dry_run && !self.options.check;
        let mut _held = if self.options.yes { Some(lock(self.root)?) } else { None };
        if self.options.yes || self.options.check || self.options.dry_run || !asks {
            return self.without_questions(facts, request);
        }
        self.report.say("vfio setup: nothing is changed before you say yes.");
        self.report.say("");
        let first = found::blocks(&facts, decide(&facts, &request).ok().as_ref(), None);
        self.report.out.text(&show::found(&first, self.report.out))?;
        if !self.is_of_system() {
            match ask::questions(self.report.out, &facts, &mut request)? {
                Err(stop) => return self.stop(stop),
                Ok(None) => return self.nothing_changed(),
                Ok(Some(())) => {}
            }
        }
        let made = match self.make(facts, &request)? {
            Ok(made) => made,
            Err(stop) => return self.stop(stop),
        };
        self.report.say("");
        self.show_plan(&made)?;
        if made.plan.parts.is_empty() {
            return self.end(&made);
        }
        loop {
            match ask::will(self.report.out)? {
                Will::Yes => break,
                Will::No => return self.nothing_changed(),
                Will::Differences => self.report.out.text(&show::differences(&made.plan, self.report.out))?,
                Will::Save => self.say_again(&made),
            }
        }
        _held = Some(lock(self.root)?);
        // A person thinks for minutes.
        let again = look::facts(self.root, self.tools, self.options.user.as_deref())?;
        let now = match self.make(again, &request)? {
            Ok(now) => now,
            Err(stop) => return self.stop(stop),
        };
        if steps(&now.plan) != steps(&made.plan) {
            complain("vfio: the machine has changed meanwhile, so nothing was done: run this again");
            return Ok(Exit::Errors);
        }
        self.carry_out(now, &request)
    }

    fn without_questions(mut self, facts: Facts, request: Request) -> anyhow::Result<Exit> {
        let made = match self.make(facts, &request)? {
            Ok(made) => made,
            Err(stop) => return self.stop(stop),
        };
        if self.options.check {
            return self.check(&made);
        }
        if !self.report.out.is_json() {
            self.report.out.text(&show::found(&self.report.answer.found, self.report.out))?;
            self.report.out.line("")?;
        }
        self.show_plan(&made)?;
        if made.plan.parts.is_empty() || self.options.dry_run {
            return self.end(&made);
        }
        if !self.options.yes {
            complain("vfio: nothing is changed without a terminal to ask on; '--yes' does it without a question");
            self.end(&made)?;
            return Ok(Exit::Usage);
        }
        self.carry_out(made, &request)
    }

    /// Whether the part that was asked for needs no card.
    fn is_of_system(&self) -> bool {
        matches!(self.options.part(), Some(Only::Services | Only::Packages))
    }

    fn make(&mut self, facts: Facts, request: &Request) -> anyhow::Result<Result<Made, Stop>> {
        let only = self.options.part();
        let made = if self.is_of_system() {
            let domain = match &request.vm {
                Vm::Domain(name) => Some(name.as_str()),
                Vm::Open | Vm::New | Vm::HostOnly => None,
            };
            let plan = parts::plan_without_card(&facts, domain, only);
            Made { facts, answers: None, plan }
        } else {
            let answers = match decide(&facts, request) {
                Ok(answers) => answers,
                Err(stop) => {
                    self.report.answer.found = found::blocks(&facts, None, None);
                    return Ok(Err(stop));
                }
            };
            let previews = match look::previews(self.root, self.tools, &facts, &answers)? {
                Ok(previews) => previews,
                Err(stop) => {
                    self.report.answer.found = found::blocks(&facts, Some(&answers), None);
                    return Ok(Err(stop));
                }
            };
            let plan = parts::plan(&facts, &answers, &previews, only);
            Made { facts, answers: Some(answers), plan }
        };
        let answer = &mut self.report.answer;
        answer.found = found::blocks(&made.facts, made.answers.as_ref(), Some(&made.plan));
        answer.plan.clone_from(&made.plan.parts);
        answer.left.clone_from(&made.plan.left);
        answer.notes.clone_from(&made.plan.notes);
        answer.reboot = made.plan.reboot;
        answer.again = made.answers.as_ref().map(|answers| show::again(answers).join(" ")).unwrap_or_default();
        Ok(Ok(made))
    }

    /// Why nothing can be planned.
    fn stop(mut self, stop: Stop) -> anyhow::Result<Exit> {
        let out = self.report.out;
        if out.is_json() {
            self.report.answer.problems.push(stop.finding.sentence());
            out.json("vfio.setup/2", &self.report.answer)?;
        } else {
            if self.options.check || !out.can_ask() || self.options.yes {
                out.text(&show::found(&self.report.answer.found, out))?;
                out.line("")?;
            }
            complain(format_args!("vfio: {}", stop.finding.line()));
            out.line("nothing was changed")?;
        }
        Ok(if stop.usage { Exit::Usage } else { Exit::No })
    }

    fn nothing_changed(self) -> anyhow::Result<Exit> {
        self.report.say("nothing was changed");
        Ok(Exit::No)
    }

    fn check(self, made: &Made) -> anyhow::Result<Exit> {
        let out = self.report.out;
        let is_ready = made.plan.parts.is_empty() && made.plan.left.is_empty();
        if out.is_json() {
            out.json("vfio.setup/2", &self.report.answer)?;
        } else {
            out.text(&show::found(&self.report.answer.found, out))?;
            out.line("")?;
            made.plan.left.iter().try_for_each(|left| out.line(format_args!("left to you: {left}")))?;
            out.line(if is_ready { "nothing to do" } else { "'vfio setup --dry-run' shows what would be done" })?;
        }
        Ok(if is_ready { Exit::Done } else { Exit::No })
    }

    fn show_plan(&self, made: &Made) -> anyhow::Result<()> {
        let out = self.report.out;
        if out.is_json() {
            return Ok(());
        }
        if made.plan.parts.is_empty() {
            made.plan.notes.iter().try_for_each(|note| out.line(format_args!("note: {note}")))?;
            made.plan.left.iter().try_for_each(|left| out.line(format_args!("left to you: {left}")))?;
            return out.line("nothing to do");
        }
        out.text(&show::plan(&made.plan, out))
    }

    fn say_again(&self, made: &Made) {
        let Some(answers) = &made.answers else { return };
        let width = self.report.out.width();
        show::command_lines(&show::again(answers), width).iter().for_each(|line| self.report.say(&format!("  {line}")));
    }

    /// How it ends where nothing was carried out.
    fn end(self, made: &Made) -> anyhow::Result<Exit> {
        let out = self.report.out;
        if out.is_json() {
            out.json("vfio.setup/2", &self.report.answer)?;
        } else if self.options.dry_run && !made.plan.parts.is_empty() {
            out.line("nothing was changed")?;
        }
        Ok(if made.plan.left.is_empty() { Exit::Done } else { Exit::No })
    }

    /// Makes all parts so. What is installed may bring more to be done, so the plan is made again after it.
    fn carry_out(mut self, mut made: Made, request: &Request) -> anyhow::Result<Exit> {
        let start = setup::records(self.root)?.len();
        let mut number = 0;
        let mut queue: VecDeque<Part> = made.plan.parts.drain(..).collect();
        let mut reboot = made.plan.reboot;
        let mut log_in_again = made.plan.log_in_again;
        let mut left = Vec::new();
        let mut done = Vec::new();
        while let Some(part) = queue.pop_front() {
            number += 1;
            for step in &part.steps {
                let report = &mut self.report;
                match setup::carry_out(self.root, self.tools, step, &mut |words| report.command(words)) {
                    Ok(more) => left.extend(more),
                    Err(error) => {
                        self.report.say(&format!(" {number:2}  {} failed", dotted(part.kind)));
                        self.report.tells_commands = true;
                        self.report.take_back(self.root, self.tools, start, error.to_string())?;
                        return self.report.end("");
                    }
                }
            }
            self.report.answer.changed = true;
            self.report.say(&format!(" {number:2}  {} done", dotted(part.kind)));
            let installed = part.kind == Kind::Packages;
            done.push(part);
            if installed && self.options.part().is_none() {
                let facts = look::facts(self.root, self.tools, self.options.user.as_deref())?;
                match self.make(facts, request)? {
                    Ok(again) => made = again,
                    Err(stop) => {
                        self.report.take_back(self.root, self.tools, start, stop.finding.line())?;
                        return self.report.end("");
                    }
                }
                queue = made.plan.parts.drain(..).filter(|part| part.kind != Kind::Packages).collect();
                reboot |= made.plan.reboot;
                log_in_again |= made.plan.log_in_again;
            }
        }
        left.extend(std::mem::take(&mut made.plan.left));
        left.dedup();
        self.report.answer.plan = done;
        self.report.answer.reboot = reboot;
        let refused = self.tried(&made, reboot);
        left.extend(refused);
        self.report.answer.left.clone_from(&left);
        self.next(&made, log_in_again, &left);
        let out = self.report.out;
        if out.is_json() {
            out.json("vfio.setup/2", &self.report.answer)?;
        }
        Ok(if left.is_empty() { Exit::Done } else { Exit::No })
    }

    /// The guest, if libvirt has its domain by now.
    fn guest<'m>(&self, made: &'m Made) -> Option<&'m str> {
        let is_made = |part: &Part| part.steps.iter().any(|step| matches!(step, SetupStep::Define { .. }));
        let made_now = self.report.answer.plan.iter().any(is_made);
        made.answers.as_ref().filter(|answers| answers.has_domain || made_now)?.guest.as_deref()
    }

    /// What a start of the guest would say now, without starting it: why it would be refused.
    fn tried(&self, made: &Made, reboot: bool) -> Vec<String> {
        let Some(name) = self.guest(made) else {
            return Vec::new();
        };
        let config = config::load(self.root);
        let Some(guest) = config.guest(name).filter(|_| !reboot && self.options.part().is_none()) else {
            return Vec::new();
        };
        let plan = start::plan(self.root, self.tools, &config, guest, Source::Libvirt);
        if plan.refusals.is_empty() {
            self.report.say("");
            self.report.say(&format!("Tried without starting it (vfio guest plan {name}): nothing is in the way."));
        }
        let out = self.report.out;
        let mut text = out.lines();
        plan.warnings.iter().for_each(|warning| text.row(4, "!", &warning.sentence(), out.width()));
        if !self.report.out.is_json() {
            // The reader may have gone; what was done stays done.
            let _ = self.report.out.text(&text);
        }
        plan.refusals.iter().map(|refusal| format!("vfio guest plan {name}: {}", refusal.sentence())).collect()
    }

    /// What comes next.
    fn next(&self, made: &Made, log_in_again: bool, left: &[String]) {
        let mut steps = Vec::new();
        if self.report.answer.reboot {
            steps.push("reboot".to_owned());
        } else if log_in_again {
            steps.push("log out and in once (groups)".to_owned());
        }
        if let Some(name) = self.guest(made).filter(|_| left.is_empty()) {
            if made.plan.next.is_empty() {
                steps.push(format!("vfio guest start {name}"));
            }
            steps.extend(made.plan.next.iter().cloned());
        }
        self.report.say("");
        let out = self.report.out;
        let mut text = out.lines();
        left.iter().for_each(|left| text.row(16, "left to you", left, out.width()));
        for (number, step) in steps.iter().enumerate() {
            let head = if number == 0 { "Next:" } else { "" };
            text.row(11, &format!("{head:5} {}", number + 1), step, out.width());
        }
        if !self.report.out.is_json() {
            let _ = self.report.out.text(&text);
        }
        if made.answers.is_some() {
            self.report.say("Again without questions:");
            self.say_again(made);
        }
    }
}

/// A part's name, with dots as far as the others are long.
fn dotted(kind: Kind) -> String {
    let name = kind.name();
    format!("{name} {}", ".".repeat(14_usize.saturating_sub(name.len())))
}

fn steps(plan: &WizardPlan) -> Vec<SetupStep> {
    plan.parts.iter().flat_map(|part| part.steps.clone()).collect()
}
