// SPDX-License-Identifier: LGPL-2.1-or-later
#![allow(clippy::unwrap_used)]

use super::super::tests::{machine, video, Case};
use crate::host::display::{Connector, Display};
use crate::host::holders::{Facts, Holder};
use crate::host::way_in::WayIn;
use crate::plan::guest::{Session, Unit};

/// Somebody on the machine's only display, with a display manager and a unit that is stopped.
fn case() -> Case {
    let mut host = machine();
    host.functions.retain(|function| function.address.to_string() != "0000:00:02.0");
    let connectors = vec![Connector { name: "DP-1".to_owned(), connected: true }];
    let display = Display {
        function: video().address,
        boot: true,
        firmware_framebuffer: false,
        card: Some("card0".to_owned()),
        connectors,
    };
    host.displays = vec![display];
    let config =
        "[host]\nrescue-entry = yes\n[gpu only]\ndevice = 0000:09:00.0\nbind = guest\n[guest win10]\ngpus = only\n\
                  stop-units = ollama.service\n";
    let mut case = Case::new(config, host);
    let cgroup = "/user.slice/user-1000.slice/session-2.scope".to_owned();
    let facts = Facts { cgroup: Some(cgroup), ..Facts::default() };
    let (node, command) = ("/dev/dri/card0".to_owned(), "kwin_wayland".to_owned());
    case.host.holders = vec![(video().address, Holder { node, pid: Some(7), command, facts, ..Holder::default() })];
    case.domain(&[("0000:09:00.0", true), ("0000:09:00.1", true)]);
    case.context.seats = vec!["seat0".to_owned()];
    let session = |id: &str, user: &str, uid: &str, greeter| Session {
        id: id.to_owned(),
        user: user.to_owned(),
        uid: uid.to_owned(),
        kind: "wayland".to_owned(),
        seat: "seat0".to_owned(),
        greeter,
        managed: true,
        ..Session::default()
    };
    case.context.sessions = vec![session("2", "ada", "1000", false), session("c1", "sddm", "120", true)];
    case.context.display_manager = Some("sddm.service".to_owned());
    let unit = |name: &str| Unit { name: name.to_owned(), id: name.to_owned(), state: "active".to_owned() };
    case.context.units = vec![unit("sddm.service"), unit("ollama.service")];
    case.context.way_in =
        WayIn { ssh: Some(22), addresses: vec!["192.168.1.5".to_owned()], serial: Some("ttyS0".to_owned()) };
    case
}

fn shown(case: &Case) -> Vec<String> {
    let plan = case.planned();
    assert!(plan.refusals.is_empty(), "{:?}", plan.refusals);
    [plan.meanwhile.losses(), plan.meanwhile.returns()].concat()
}

#[test]
fn what_ends_is_said_first_and_then_how_it_comes_back() {
    let expected = [
        "ends: the Plasma session of ada on seat0 (2): save first",
        "stops: sddm.service, ollama.service",
        "dark: card0-DP-1",
        "back: when the guest has ended, sddm.service and ollama.service are started again, and ada logs in again",
        "way in: 'ssh ada@192.168.1.5', then 'vfio guest stop win10' ends the guest; after a reboot, the boot entry without VFIO",
    ];
    assert_eq!(shown(&case()), expected);
    assert!(case().planned().meanwhile.ends_sessions());
}

#[test]
fn the_desktop_has_the_name_that_it_gives_itself() {
    for (word, expected) in [("ubuntu-wayland", "GNOME"), ("KDE", "Plasma"), ("river", "river"), ("", "Plasma")] {
        let mut case = case();
        case.context.sessions[0].desktop = word.to_owned();
        assert_eq!(shown(&case)[0], format!("ends: the {expected} session of ada on seat0 (2): save first"), "{word}");
    }
}

#[test]
fn the_way_in_is_the_one_that_there_is() {
    let mut case = case();
    case.context.way_in.ssh = Some(2222);
    case.context.way_in.addresses.clear();
    let way = |case: &Case| shown(case).last().unwrap().clone();
    assert!(way(&case).starts_with("way in: ssh -p 2222 to this machine, then"), "{}", way(&case));
    case.context.way_in.ssh = None;
    assert!(way(&case).starts_with("way in: the login on ttyS0, then"), "{}", way(&case));
    case.context.way_in.serial = None;
    assert_eq!(way(&case), "way in: after a reboot, the boot entry without VFIO");
}

#[test]
fn where_nobody_holds_the_card_nothing_ends() {
    let mut case = case();
    case.host.holders.clear();
    case.context.sessions.clear();
    case.context.display_manager = None;
    case.context.units.clear();
    assert!(!case.planned().meanwhile.ends_sessions());
    assert_eq!(shown(&case)[0], "dark: card0-DP-1");
}
