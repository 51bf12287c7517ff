// SPDX-License-Identifier: LGPL-2.1-or-later
//! Sound servers of users: shared with QEMU's user, there, and there for as long as the guest.

use super::*;
use crate::host::accounts::User;
use crate::plan::guest::tests::{machine, Case};
use crate::plan::guest::Session;

/// A guest that plays on ada's server, whose session shows the desktop.
fn case(handover: &str) -> Case {
    let text =
        format!("[gpu big]\ndevice = 0000:09:00.0\nbind = guest\n[guest win10]\ngpus = big\nhandover = {handover}\n");
    let mut case = Case::new(&text, machine());
    case.domain(&[("0000:09:00.0", true), ("0000:09:00.1", true)]);
    case.context.sound = vec![SoundServer {
        socket: "/run/user/1000/pulse/native".to_owned(),
        listens: true,
        confined: false,
        uid: 1000,
        user: Some("ada".to_owned()),
        lingers: false,
    }];
    case.context.qemu_user = Some(User { name: "libvirt-qemu".to_owned(), uid: 64055, gid: 109 });
    case.context.seats = vec!["seat0".to_owned()];
    case.context.sessions = vec![Session {
        id: "2".to_owned(),
        user: "ada".to_owned(),
        uid: "1000".to_owned(),
        kind: "wayland".to_owned(),
        seat: "seat0".to_owned(),
        leader: None,
        managed: false,
        ..Session::default()
    }];
    case
}

fn said(case: &Case) -> Vec<String> {
    let plan = case.planned();
    plan.refusals.iter().filter(|f| f.code == codes::SOUND_SERVER).map(|finding| finding.text.to_string()).collect()
}

#[test]
fn each_directory_of_the_users_own_is_shared_and_nothing_above() {
    let plan = case("hot").planned();
    let shared = plan.steps.iter().find(|step| matches!(step, GuestStep::ShareSound { .. }));
    let paths = ["/run/user/1000", "/run/user/1000/pulse", "/run/user/1000/pulse/native"];
    let expected = GuestStep::ShareSound {
        owner: 1000,
        paths: paths.map(str::to_owned).to_vec(),
        user: "libvirt-qemu".to_owned(),
        uid: 64055,
    };
    assert_eq!(shared, Some(&expected));
    assert_eq!(expected.to_string(), "let libvirt-qemu connect to /run/user/1000/pulse/native");
    for uid in [Some(1000), Some(0), None] {
        let mut case = case("hot");
        case.context.qemu_user = uid.map(|uid| User { name: "other".to_owned(), uid, gid: 0 });
        assert!(!case.planned().steps.iter().any(|step| matches!(step, GuestStep::ShareSound { .. })), "{uid:?}");
    }
}

#[test]
fn a_server_that_ends_with_the_desktop_is_refused_unless_its_user_lingers() {
    assert!(said(&case("hot")).is_empty());
    let text = "the sound server of ada ends with the session of ada, which ends for the guest";
    let mut steal = case("steal");
    assert!(said(&steal)[0].ends_with(text), "{:?}", said(&steal));
    steal.context.sound[0].lingers = true;
    assert!(said(&steal).is_empty());
    // Somebody who is also logged in elsewhere keeps the server.
    let mut twice = case("steal");
    let elsewhere = Session { id: "3".to_owned(), kind: "tty".to_owned(), ..twice.context.sessions[0].clone() };
    twice.context.sessions.push(elsewhere);
    assert!(said(&twice).is_empty());
}

#[test]
fn a_server_that_does_not_run_is_refused() {
    let mut case = case("hot");
    case.context.sound[0].listens = false;
    case.context.sound[0].user = None;
    let text = "the sound server of user 1000 does not run: /run/user/1000/pulse/native is not there";
    assert!(said(&case)[0].ends_with(text), "{:?}", said(&case));
}

#[test]
fn a_server_that_apparmor_keeps_from_qemu_is_named_with_the_rules() {
    let mut case = case("none");
    case.context.sound[0].confined = true;
    let plan = case.planned();
    let said: Vec<String> =
        plan.refusals.iter().filter(|f| f.code == codes::SOUND_APPARMOR).map(Finding::sentence).collect();
    assert_eq!(
        said,
        ["QEMU cannot reach the sound server of ada: AppArmor's rules for domains do not have /run/user/1000/pulse/native; add the \
          rules '/run/user/1000/pulse/native rw,' and '/usr/share/pipewire/** r,' to \
          /etc/apparmor.d/local/abstractions/libvirt-qemu"]
    );
}
