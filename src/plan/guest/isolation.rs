// SPDX-License-Identifier: LGPL-2.1-or-later
//! Keeping the host's own programs off the CPUs of a guest while it runs (`cpus-isolate`).
//!
//! What counts is what the domain's vCPUs are bound to, not the key `cpus`: a start never changes a domain. Interrupts stay where
//! they are: those of the guest's card follow its vCPUs (KVM posts them), and others were placed by the administrator or
//! irqbalance, which would move them back.

use super::{DomainState, GuestContext, GuestStep};
use crate::config::Guest;
use crate::finding::{codes, Finding};

/// What is known of the machine's CPUs; only looked at if the guest is to have some for itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CpuContext {
    /// Those that are online.
    pub online: Vec<u32>,
    /// Whether systemd runs and the control groups have CPUs to allow (cgroup v2, `cpuset`).
    pub confines: bool,
    /// Another guest that has CPUs for itself now: two could not both give back what was before.
    pub taken_by: Option<String>,
}

/// Those of the CPUs that the domain's vCPUs are bound to which are online.
fn bound(context: &GuestContext) -> Vec<u32> {
    let Some(DomainState::Known { domain, .. }) = &context.domain else { return Vec::new() };
    let mut bound = domain.vcpu_cpus();
    bound.retain(|cpu| context.cpus.online.binary_search(cpu).is_ok());
    bound
}

fn others(bound: &[u32], context: &GuestContext) -> Vec<u32> {
    context.cpus.online.iter().copied().filter(|cpu| bound.binary_search(cpu).is_err()).collect()
}

/// Why the CPUs are not kept for the guest, or not all of it is done: warnings, for the guest starts all the same.
pub(super) fn check(guest: &Guest, context: &GuestContext) -> Option<Finding> {
    if guest.definition.cpus_isolate != Some(true) {
        return None;
    }
    let Some(DomainState::Known { .. }) = &context.domain else { return None };
    let bound = bound(context);
    let finding = |text: String| Finding::guest(guest, codes::CPUS_NOT_ISOLATED, text).warning();
    if let Some(other) = &context.cpus.taken_by {
        let text = format!(
            "its CPUs are not kept for it: those of [guest {other}] are now, and one guest at a time can have that"
        );
        return Some(finding(text).hint(format!("start it after [guest {other}] has ended")));
    }
    if bound.is_empty() {
        let text = format!("'cpus-isolate' has no effect: domain {} binds its vCPUs to no CPUs", guest.domain);
        return Some(finding(text).hint("write 'cpus', and have the domain changed accordingly"));
    }
    if others(&bound, context).is_empty() {
        let text =
            format!("'cpus-isolate' leaves the host's programs where they are: domain {} has all CPUs", guest.domain);
        return Some(finding(text).hint("leave at least one core to the host"));
    }
    (!context.cpus.confines).then(|| {
        let text = "the host's programs stay on its CPUs, which are only kept fast: systemd does not run here, or its control \
                    groups have no CPUs to allow";
        finding(text.to_owned()).hint("with systemd, boot without 'systemd.unified_cgroup_hierarchy=0'")
    })
}

/// The steps that keep the CPUs for the guest.
pub(super) fn steps(guest: &Guest, context: &GuestContext) -> Vec<GuestStep> {
    let bound = bound(context);
    if guest.definition.cpus_isolate != Some(true) || context.cpus.taken_by.is_some() || bound.is_empty() {
        return Vec::new();
    }
    let others = others(&bound, context);
    let confine = (context.cpus.confines && !others.is_empty()).then_some(GuestStep::Confine { cpus: others });
    [GuestStep::SpeedUp { cpus: bound }].into_iter().chain(confine).collect()
}

#[cfg(test)]
#[path = "isolation_tests.rs"]
mod tests;
