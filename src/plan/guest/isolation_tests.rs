// SPDX-License-Identifier: LGPL-2.1-or-later
//! Which CPUs are kept for a guest, and where that is not possible.

use super::*;
use crate::host::domain::Pin;
use crate::plan::guest::tests::{machine, Case};

/// A guest with CPUs of its own on a machine of eight, whose vCPUs are bound to these.
fn case(cpus: &[u32]) -> Case {
    let text = "[gpu big]\ndevice = 0000:09:00.0\nbind = guest\n[guest win10]\ngpus = big\nhandover = hot\ncpus-isolate = yes\n";
    let mut case = Case::new(text, machine());
    case.domain(&[("0000:09:00.0", true), ("0000:09:00.1", true)]);
    let Some(DomainState::Known { domain, .. }) = &mut case.context.domain else { unreachable!() };
    domain.pins = vec![Pin { what: "vcpupin", number: None, cpus: cpus.to_vec() }];
    case.context.cpus = CpuContext { online: (0..8).collect(), confines: true, taken_by: None };
    case
}

/// The steps that keep CPUs, and what is said of them.
fn planned(case: &Case) -> (Vec<String>, Vec<String>) {
    let plan = case.planned();
    let ours = |step: &&GuestStep| matches!(step, GuestStep::SpeedUp { .. } | GuestStep::Confine { .. });
    let steps = plan.steps.iter().filter(ours).map(ToString::to_string).collect();
    let said = plan.warnings.iter().filter(|finding| finding.code == codes::CPUS_NOT_ISOLATED);
    (steps, said.map(|finding| finding.text.to_string()).collect())
}

#[test]
fn what_vcpus_are_bound_to_is_kept_for_them() {
    let expected = ["run CPUs 4,7 at full speed", "keep the host's programs on CPUs 0-3,5-6"];
    assert_eq!(planned(&case(&[4, 7, 9])), (expected.map(str::to_owned).to_vec(), vec![]));
    let mut without = case(&[4, 7, 9]);
    without.context.cpus.confines = false;
    let (steps, said) = planned(&without);
    assert_eq!((steps.len(), said.len()), (1, 1), "the governor all the same");
    assert!(said[0].contains("which are only kept fast"), "{said:?}");
}

#[test]
fn nothing_is_kept_where_nothing_is_bound_or_everything_is() {
    let (steps, said) = planned(&case(&[]));
    assert_eq!((steps.len(), said.len()), (0, 1));
    assert!(said[0].ends_with("domain win10 binds its vCPUs to no CPUs"), "{said:?}");
    let (steps, said) = planned(&case(&[0, 1, 2, 3, 4, 5, 6, 7]));
    assert_eq!((steps, said.len()), (vec!["run CPUs 0-7 at full speed".to_owned()], 1));
    let mut taken = case(&[4]);
    taken.context.cpus.taken_by = Some("other".to_owned());
    let (steps, said) = planned(&taken);
    assert_eq!((steps.len(), said.len()), (0, 1));
    assert!(said[0].contains("[guest other]"), "{said:?}");
}
