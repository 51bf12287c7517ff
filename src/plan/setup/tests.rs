// SPDX-License-Identifier: LGPL-2.1-or-later
//! Which form of libvirt is chosen, and what is left alone.

use super::*;

fn service(name: &str, enabled: bool, active: bool) -> Service {
    Service { name: name.to_owned(), enabled, active, masked: false }
}

fn systemd(services: &[(&str, bool, bool)]) -> SetupContext {
    let services = services.iter().map(|(name, enabled, active)| service(name, *enabled, *active)).collect();
    let network = Some(Ok(Network { active: true, autostart: true }));
    let group = |name: &str, gid, members: &[&str]| Group {
        name: name.to_owned(),
        gid,
        members: members.iter().map(|member| (*member).to_owned()).collect(),
    };
    SetupContext {
        init: Some(Init::Systemd),
        services,
        network,
        users: vec![User { name: "ada".to_owned(), uid: 1000, gid: 1000 }],
        groups: vec![group("ada", 1000, &[]), group("kvm", 104, &["ada"]), group("input", 1000, &[])],
    }
}

fn told(now: &SetupContext, user: Option<&str>) -> (Vec<String>, Vec<String>) {
    let plan = plan(now, user);
    let words = plan.steps.iter().flat_map(|step| commands(step, now)).map(|words| words.join(" "));
    (words.collect(), plan.notes.into_iter().chain(plan.nobody.map(str::to_owned)).collect())
}

const NOBODY: &str = "nobody is added to groups: say who with --user NAME";

#[test]
fn the_form_of_libvirt_that_is_used_already_is_the_one() {
    let both = |one: bool, several: bool| {
        systemd(&[
            ("libvirtd.service", one, one),
            ("virtqemud.socket", several, several),
            ("virtsecretd.socket", false, false),
        ])
    };
    let (one, _) = told(&both(false, false), None);
    assert_eq!(one, ["systemctl enable -- libvirtd.service", "systemctl start -- libvirtd.service"]);
    assert_eq!(told(&both(true, false), None), (vec![], vec![NOBODY.to_owned()]));
    assert_eq!(told(&both(true, true), None), (vec![], vec![NOBODY.to_owned()]));
    let (several, _) = told(&both(false, true), None);
    assert_eq!(several, ["systemctl enable -- virtsecretd.socket", "systemctl start -- virtsecretd.socket"]);
    let (only, _) = told(&systemd(&[("virtqemud.socket", false, false), ("virtnetworkd.socket", true, false)]), None);
    assert_eq!(
        only,
        ["systemctl enable -- virtqemud.socket", "systemctl start -- virtqemud.socket virtnetworkd.socket"]
    );
}

/// The daemon has ended because nobody asked it; the next question starts it.
#[test]
fn a_daemon_whose_socket_listens_is_not_started() {
    let now = systemd(&[("libvirtd.service", true, false), ("libvirtd.socket", true, true)]);
    assert_eq!(told(&now, None).0, Vec::<String>::new());
}

#[test]
fn what_cannot_be_done_is_said() {
    let mut masked = systemd(&[("libvirtd.service", false, false)]);
    masked.services[0].masked = true;
    assert!(told(&masked, None).1[0].contains("'systemctl unmask libvirtd.service'"));
    assert!(told(&systemd(&[]), None).1[0].starts_with("libvirt is not installed"));
    let chroot = SetupContext { init: None, ..systemd(&[]) };
    assert!(told(&chroot, None).1[0].starts_with("neither systemd nor OpenRC"));
    let unknown = SetupContext { network: Some(Err("no".to_owned())), ..systemd(&[("libvirtd.service", true, true)]) };
    assert_eq!(told(&unknown, None).1, ["libvirt's network 'default' is left alone: no", NOBODY]);
    let none = SetupContext { network: None, ..unknown };
    assert!(told(&none, None).1[0].starts_with("libvirt has no network 'default'"));
}

#[test]
fn a_user_joins_groups_that_are_there_and_that_they_are_not_in() {
    let mut now = systemd(&[("libvirtd.service", true, true)]);
    // In "kvm" by its list, in "input" by the user's own group; "libvirt" does not exist.
    assert_eq!(told(&now, Some("ada")), (vec![], vec![]));
    now.groups[2].gid = 105;
    assert_eq!(told(&now, Some("ada")).0, ["gpasswd -a ada input"]);
    for nobody in ["bob", "-a"] {
        assert!(told(&now, Some(nobody)).1[0].contains("in /etc/passwd"), "{nobody}");
    }
}

/// systemd disables what a unit names in `Also=`, whatever else needs that enabled.
#[test]
fn an_undo_enables_again_what_it_lost() {
    let names = ["libvirtd.service", "libvirtd.socket", "virtlogd.socket"];
    let state = |on: [bool; 3]| systemd(&names.iter().zip(on).map(|(name, on)| (*name, on, false)).collect::<Vec<_>>());
    let step = SetupStep::Enable { services: vec![names[0].to_owned()] };
    let record = state([false, false, true]).record(&step);
    assert_eq!(undo(&record, &state([true; 3])), [["systemctl", "disable", "--", names[0], names[1]]]);
    assert_eq!(undo(&record, &state([false; 3])), [["systemctl", "enable", "--", names[2]]]);
    assert!(undo(&record, &state([false, false, true])).is_empty());
}

/// Without libvirt nobody could take its network down.
#[test]
fn libvirt_stays_as_long_as_its_network_is_not_undone() {
    let now = systemd(&[]);
    let start = now.record(&SetupStep::Start { services: Vec::new() });
    let network = now.record(&SetupStep::NetworkAutostart);
    let join = now.record(&SetupStep::Join { user: "ada".to_owned(), group: "kvm".to_owned() });
    assert!(
        waits_for_network(&start, std::slice::from_ref(&network))
            && !waits_for_network(&start, std::slice::from_ref(&join))
    );
    assert!(!waits_for_network(&join, &[network]));
}
