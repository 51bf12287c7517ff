// SPDX-License-Identifier: LGPL-2.1-or-later
//! What speaks against a start because of who holds the card, and of who does not answer.
#![allow(clippy::unwrap_used)]

use super::super::tests::{machine, video, Case};
use crate::finding::codes::{self, Code};
use crate::finding::Finding;
use crate::host::holders::{Facts, Holder, Seen};
use crate::plan::guest::Session;

/// A guest with this line, and a machine where this process has the card open.
fn case(line: &str, holder: Holder) -> Case {
    let config = format!("[gpu big]\ndevice = 0000:09:00.0\nbind = guest\n\n[guest win10]\ngpus = big\n{line}");
    let mut case = Case::new(&config, machine());
    case.host.holders = vec![(video().address, holder)];
    case.domain(&[("0000:09:00.0", true), ("0000:09:00.1", true)]);
    case.context.seats = vec!["seat0".to_owned()];
    case
}

/// A process of this control group that shows something on the card.
fn holder(cgroup: &str) -> Holder {
    let facts = Facts { cgroup: Some(cgroup.to_owned()), ..Facts::default() };
    Holder { node: "/dev/dri/card1".to_owned(), pid: Some(7), command: "a".to_owned(), facts, ..Holder::default() }
}

const SESSION: &str = "/user.slice/user-1000.slice/session-2.scope";

/// The codes of what the plan of a start says: why it is refused, what the user should know.
fn planned(case: &Case) -> (Vec<Code>, Vec<Code>) {
    let plan = case.planned();
    assert_ne!(plan.refusals.is_empty(), plan.steps.is_empty(), "{plan:?}");
    let codes = |findings: &[Finding]| findings.iter().map(|finding| finding.code).collect();
    (codes(&plan.refusals), codes(&plan.warnings))
}

#[test]
fn a_process_of_the_system_stays_unless_somebody_ends_it() {
    let service = || holder("/system.slice/music.service");
    assert_eq!(planned(&case("", service())), (vec![codes::CARD_HELD], Vec::new()));
    assert_eq!(planned(&case("before = end-it\n", holder("/init.scope"))), (Vec::new(), vec![codes::CARD_HELD]));
    assert_eq!(planned(&case("kill-holders = yes\n", service())), (Vec::new(), Vec::new()));
}

#[test]
fn whoever_may_hold_the_card_is_named() {
    for seen in [Seen::Unanswered, Seen::Unseen] {
        let maybe = Holder { seen, ..holder("/system.slice/music.service") };
        assert_eq!(planned(&case("", maybe)), (vec![codes::HOLDER_UNKNOWN], Vec::new()), "{seen:?}");
    }
}

#[test]
fn without_logind_a_session_cannot_be_ended() {
    let mut case = case("", holder(SESSION));
    case.context.no_logind = Some("no answer in time".to_owned());
    assert_eq!(planned(&case), (vec![codes::LOGIND_DOES_NOT_ANSWER], Vec::new()));
    case.context.no_logind = None;
    let session = |id: &str, seat: &str| Session {
        id: id.to_owned(),
        user: "ada".to_owned(),
        uid: "1000".to_owned(),
        kind: "wayland".to_owned(),
        seat: seat.to_owned(),
        leader: None,
        managed: true,
        ..Session::default()
    };
    case.context.sessions = vec![session("2", "seat0")];
    assert_eq!(planned(&case), (Vec::new(), vec![codes::SESSION_ENDS]));
    // The display manager that is stopped serves another seat too.
    case.context.display_manager = Some("gdm.service".to_owned());
    case.context.sessions.push(session("3", "seat1"));
    assert_eq!(planned(&case), (Vec::new(), vec![codes::UNRELATED_SESSION_ENDS, codes::SESSION_ENDS]));
}

#[test]
fn what_is_not_known_to_run_would_not_be_started_again() {
    let mut case = case("", holder(SESSION));
    case.context.no_systemd = Some("no answer in time".to_owned());
    assert_eq!(planned(&case), (vec![codes::SYSTEMD_DOES_NOT_ANSWER], Vec::new()));
}

#[test]
fn what_only_systemd_stops_is_not_left_running_under_another_init() {
    let mut case = case("", holder(SESSION));
    case.context.only_systemd_stops = Some("sddm.service".to_owned());
    assert_eq!(planned(&case), (vec![codes::NEEDS_SYSTEMD], Vec::new()));
}

#[test]
fn who_is_only_told_may_crash() {
    let case = case("handover = hot\n", holder(SESSION));
    assert_eq!(planned(&case), (Vec::new(), vec![codes::SESSION_MAY_END]));
}
