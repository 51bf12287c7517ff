// SPDX-License-Identifier: LGPL-2.1-or-later
//! The system's programs: what systemctl, loginctl, virsh and kill(2) answer, and what they leave of a machine.

use super::*;
use common::desktop::{self, ALIAS, COMPOSITOR, DISPLAY_MANAGER, SESSION, SOUND_SERVER};
use common::domain::{self, domain};
use std::time::Duration;
use vfio_suite::act::backend::tools::{Signal, ToolError};
use vfio_suite::act::backend::tools_for;
use vfio_suite::host::process::Process;

const VIRSH: &str = "virsh --connect qemu:///system";

/// Runs a line: what it printed, or the text of its failure.
pub fn run(tree: &Tree, line: &str) -> Result<String, String> {
    let words: Vec<&str> = line.split(' ').collect();
    tools_for(&tree.root()).run(&words, Duration::from_secs(1)).map_err(|error| match error {
        ToolError::NotEnded { .. } => "hang".to_owned(),
        _ => error.to_string(),
    })
}

#[track_caller]
pub fn done(tree: &Tree, line: &str) -> String {
    run(tree, line).unwrap_or_else(|error| panic!("{line}: {error}"))
}

#[track_caller]
pub fn refused(tree: &Tree, line: &str, text: &str) {
    let error = run(tree, line).unwrap_err();
    assert!(error.contains(text), "{line}: {error}");
}

fn virsh(tree: &Tree, request: &str) -> Result<String, String> {
    run(tree, &format!("{VIRSH} {request}"))
}

fn signal(tree: &Tree, pid: u32, signal: Signal) -> i32 {
    let process = Process { pid, started: None };
    match tools_for(&tree.root()).signal(&process, signal) {
        Ok(()) => 0,
        Err(ToolError::Io(error)) => error.raw_os_error().unwrap_or_else(|| panic!("no errno: {error}")),
        Err(error) => panic!("no errno: {error}"),
    }
}

fn alive(tree: &Tree, pid: u32) -> bool {
    tree.exists(&format!("proc/{pid}"))
}

/// A desktop on the first card.
fn with_desktop() -> Tree {
    let tree = machine().build();
    desktop::desktop(&tree, VIDEO, Some(SOUND));
    tree
}

/// The first card is with vfio, and two domains have it.
fn with_domains() -> Tree {
    let tree = machine().build();
    for address in [VIDEO, SOUND] {
        give_to(&tree, address, "vfio-pci");
    }
    domain(&tree, "win10", &[VIDEO, SOUND], &[]);
    domain(&tree, "other-guest", &[VIDEO], &["ignores-shutdown"]);
    tree
}

#[test]
fn units_show_their_own_names_and_states() {
    let tree = with_desktop();
    let text = done(
        &tree,
        &format!("systemctl show --property=Id,LoadState,ActiveState -- {ALIAS} nobody.service ssh.service"),
    );
    let nobody = "Id=nobody.service\nLoadState=not-found\nActiveState=inactive\n";
    let ssh = nobody.replace("nobody", "ssh");
    assert_eq!(text, format!("Id=gdm.service\nLoadState=loaded\nActiveState=active\n\n{nobody}\n{ssh}"));
    let text = done(&tree, "systemctl show --property=Id,LoadState,ActiveState -- session-2.scope");
    assert_eq!(text, "Id=session-2.scope\nLoadState=loaded\nActiveState=active\n");
    refused(&tree, "systemctl stop -- nobody.service", "Unit nobody.service not loaded.");
    refused(&tree, "systemctl start -- nobody.service", "Unit nobody.service not found.");
    refused(&tree, "systemctl --no-block start -- nobody.service", "not found");
    refused(&tree, "systemctl show gdm.service", "does not know");
}

#[test]
fn the_display_manager_takes_its_session_along_and_brings_it_back() {
    let tree = with_desktop();
    let before = tree.snapshot();
    assert!([2000, 2050, COMPOSITOR, SOUND_SERVER].iter().all(|pid| alive(&tree, *pid)));
    done(&tree, &format!("systemctl stop -- {ALIAS}"));
    assert!(![2000, 2050, COMPOSITOR, SOUND_SERVER].iter().any(|pid| alive(&tree, *pid)));
    assert_eq!(done(&tree, "loginctl show-seat --property=Sessions seat0"), "Sessions=\n");
    assert_eq!(desktop::unit_state(&tree, ALIAS).as_deref(), Some("inactive"));
    let between = tree.snapshot();
    done(&tree, &format!("systemctl stop -- {DISPLAY_MANAGER}"));
    tree.assert_same(&between, "stopped already");
    done(&tree, &format!("systemctl start -- {DISPLAY_MANAGER}"));
    tree.assert_same(&before, "started again");
    done(&tree, &format!("systemctl start -- {ALIAS}"));
    tree.assert_same(&before, "started already");
}

#[test]
fn a_session_tells_who_it_is_and_the_users_manager_ends_with_the_last() {
    let tree = with_desktop();
    desktop::session(&tree, "c7", &["seat seat0", "name ada", "type tty", "manager user@1000.service"]);
    assert_eq!(done(&tree, "loginctl show-seat --property=Sessions seat0"), "Sessions=2 c7\n");
    let all = "--property=Id --property=Name --property=Type --property=Class --property=Scope --property=Leader";
    assert_eq!(
        done(&tree, &format!("loginctl show-session {all} {SESSION}")),
        "Id=2\nName=ada\nScope=session-2.scope\nLeader=2050\nType=wayland\nClass=user\n"
    );
    assert_eq!(done(&tree, "loginctl show-session --property=Type --property=Leader c7"), "Leader=\nType=tty\n");
    let before = tree.snapshot();
    done(&tree, &format!("loginctl terminate-session {SESSION}"));
    assert!(alive(&tree, 2000) && !alive(&tree, 2050) && !alive(&tree, COMPOSITOR));
    assert!(alive(&tree, SOUND_SERVER), "ada is still logged in");
    done(&tree, "loginctl terminate-session c7");
    assert!(!alive(&tree, SOUND_SERVER));
    for verb in ["terminate-session", "show-session --property=Id"] {
        refused(&tree, &format!("loginctl {verb} {SESSION}"), "No session '2' known");
    }
    refused(&tree, "loginctl show-seat --property=Sessions seat1", "No seat 'seat1' known");
    // The display manager logs in again what is its own; the other session was a person's.
    done(&tree, &format!("systemctl stop -- {DISPLAY_MANAGER}"));
    done(&tree, &format!("systemctl start -- {DISPLAY_MANAGER}"));
    assert!(alive(&tree, SOUND_SERVER));
    std::fs::rename(tree.join(".kernel/parked-sessions/c7"), tree.join(".kernel/sessions/c7")).unwrap();
    std::fs::remove_dir(tree.join(".kernel/parked-sessions")).unwrap();
    tree.assert_same(&before, "logged in again");
}

#[test]
fn a_display_manager_does_not_start_without_its_display() {
    let tree = with_desktop();
    let before = tree.snapshot();
    done(&tree, &format!("systemctl stop -- {ALIAS}"));
    give_to(&tree, VIDEO, "vfio-pci");
    refused(&tree, &format!("systemctl start -- {ALIAS}"), "journalctl -xeu gdm.service");
    assert_eq!(desktop::unit_state(&tree, ALIAS).as_deref(), Some("failed"));
    assert!(!alive(&tree, 2000));
    set_override(&tree, VIDEO, "");
    unbind(&tree, VIDEO);
    assert_eq!(probe(&tree, VIDEO), 0);
    done(&tree, &format!("systemctl reset-failed -- {ALIAS}"));
    assert_eq!(desktop::unit_state(&tree, ALIAS).as_deref(), Some("inactive"));
    done(&tree, &format!("systemctl start -- {ALIAS}"));
    tree.assert_same(&before, "the card is back");
}

#[test]
fn a_unit_that_was_started_too_often_wants_a_reset() {
    let tree = with_desktop();
    desktop::unit(&tree, "often.service", &["restart-needs-reset", "state active"]);
    desktop::unit(&tree, "never.service", &["load masked"]);
    let before = tree.snapshot();
    done(&tree, "systemctl stop -- often.service");
    refused(&tree, "systemctl start -- often.service", "followed by \"systemctl start often.service\" again.");
    assert_eq!(desktop::unit_state(&tree, "often.service").as_deref(), Some("failed"));
    assert_eq!(done(&tree, "systemctl --no-block start -- often.service"), "", "nobody waits to hear it");
    assert_eq!(desktop::unit_state(&tree, "often.service").as_deref(), Some("failed"));
    done(&tree, "systemctl reset-failed -- often.service");
    done(&tree, "systemctl start -- often.service");
    tree.assert_same(&before, "started again");
    refused(&tree, "systemctl start -- never.service", "is masked");
}

#[test]
fn a_system_that_stops_starts_nothing() {
    let tree = with_desktop();
    assert_eq!(done(&tree, "systemctl is-system-running"), "running\n");
    assert_eq!(done(&tree, "systemctl show --property=SystemState"), "SystemState=running\n");
    tree.write(".kernel/system-state", "stopping\n");
    refused(&tree, "systemctl is-system-running", "systemctl: it failed");
    assert_eq!(done(&tree, "systemctl show --property=SystemState"), "SystemState=stopping\n");
    done(&tree, &format!("systemctl stop -- {ALIAS}"));
    refused(&tree, &format!("systemctl start -- {ALIAS}"), "is destructive");
}

#[test]
fn signals_end_processes_but_for_the_stubborn() {
    let tree = with_desktop();
    assert_eq!(signal(&tree, COMPOSITOR, Signal::Term), 0);
    assert!(!alive(&tree, COMPOSITOR));
    desktop::stubborn(&tree, &[SOUND_SERVER]);
    assert_eq!(signal(&tree, SOUND_SERVER, Signal::Term), 0);
    assert!(alive(&tree, SOUND_SERVER));
    assert_eq!(signal(&tree, SOUND_SERVER, Signal::Kill), 0);
    assert!(!alive(&tree, SOUND_SERVER));
    assert_eq!(signal(&tree, SOUND_SERVER, Signal::Kill), 0, "ended meanwhile");
    tree.faults("signal:2000:TERM EPERM\n1 slow\n");
    assert_eq!(signal(&tree, 2000, Signal::Term), EPERM);
    assert_eq!((signal(&tree, 2000, Signal::Kill), tree.count()), (0, 2));
}

#[test]
fn a_domain_runs_on_functions_that_are_with_vfio() {
    let tree = with_domains();
    assert_eq!(virsh(&tree, "domstate -- win10").unwrap(), "shut off\n\n");
    assert_eq!(virsh(&tree, "dumpxml --inactive -- win10").unwrap(), tree.read(".kernel/domains/win10.xml") + "\n");
    let before = tree.snapshot();
    virsh(&tree, "start -- win10").unwrap();
    assert_eq!(virsh(&tree, "domstate -- win10").unwrap(), "running\n\n");
    assert!(virsh(&tree, "start -- win10").unwrap_err().contains("already active"));
    let pid = domain::pid(&tree, "win10");
    assert_eq!(tree.read("run/libvirt/qemu/win10.pid"), pid.to_string());
    assert_eq!(tree.read(&format!("proc/{pid}/comm")), "qemu-system-x86\n");
    assert!(tree.read(&format!("proc/{pid}/cgroup")).contains("machine-qemu\\x2d1\\x2dwin10.scope"));
    let functions = [VIDEO, SOUND].map(|a| vfio_suite::pci::Address::from_sysfs(a.as_bytes()).unwrap());
    let holders = vfio_suite::host::holders::find(&tree.root(), &functions);
    assert_eq!(holders.len(), 2, "each function is of the group that the guest has open");
    assert!(holders.iter().all(|(_, holder)| holder.node == "/dev/vfio/11" && holder.pid == Some(pid)));
    assert_eq!(write(&tree, &driver("vfio-pci", "unbind"), SOUND), -1, "the kernel waits for the guest");
    assert!(virsh(&tree, "start -- other-guest").unwrap_err().contains("Device or resource busy"));
    for end in ["destroy -- win10", "shutdown --mode acpi -- win10"] {
        virsh(&tree, end).unwrap();
        assert!(!domain::runs(&tree, "win10"));
        tree.assert_same(&before, end);
        assert!(virsh(&tree, end).unwrap_err().contains("domain is not running"));
        virsh(&tree, "start -- win10").unwrap();
    }
    done(&tree, "guest-ends win10");
    tree.assert_same(&before, "from inside");
    for way in [Signal::Term, Signal::Kill] {
        virsh(&tree, "start -- win10").unwrap();
        assert_eq!(signal(&tree, domain::pid(&tree, "win10"), way), 0);
        tree.assert_same(&before, "killed");
    }
    refused(&tree, "guest-ends win10", "no such domain is running");
}

#[test]
fn a_guest_may_disregard_the_power_button() {
    let tree = with_domains();
    let before = tree.snapshot();
    // What another guest has open stays open.
    give_to(&tree, TWIN, "vfio-pci");
    give_to(&tree, TWIN_SOUND, "vfio-pci");
    domain(&tree, "third", &[TWIN], &[]);
    virsh(&tree, "start -- third").unwrap();
    virsh(&tree, "start -- other-guest").unwrap();
    assert_eq!(tree.read(".kernel/owned"), "12\n11\n");
    virsh(&tree, "shutdown --mode acpi -- other-guest").unwrap();
    assert!(domain::runs(&tree, "other-guest"));
    virsh(&tree, "destroy -- other-guest").unwrap();
    assert!(!domain::runs(&tree, "other-guest") && domain::runs(&tree, "third"));
    assert_eq!(tree.read(".kernel/owned"), "12\n");
    virsh(&tree, "destroy -- third").unwrap();
    assert!(!tree.exists(".kernel/owned") && before.contains_key(".kernel/domains/other-guest"));
}

#[test]
fn a_domain_is_refused_what_the_host_still_has() {
    let tree = with_domains();
    set_override(&tree, SOUND, "");
    unbind(&tree, SOUND);
    assert_eq!(probe(&tree, SOUND), 0);
    let managed = tree.read(".kernel/domains/win10.xml");
    domain::define(&tree, "win10", &managed.replace("managed='yes'", "managed='no'"));
    let before = tree.snapshot();
    let error = virsh(&tree, "start -- win10").unwrap_err();
    assert!(error.contains("Unmanaged PCI device 0000:03:00.1"), "{error}");
    let error = virsh(&tree, "start -- other-guest").unwrap_err();
    assert!(error.contains("group 11 is not viable"), "{error}");
    assert_eq!(virsh(&tree, "start -- nobody").unwrap_err(), "virsh: failed to get domain 'nobody'");
    tree.assert_same(&before, "nothing was started");
    tree.write(".kernel/no-libvirt", "");
    assert!(virsh(&tree, "domstate -- win10").unwrap_err().contains("Failed to connect socket"));
}

#[test]
fn commands_of_the_user_are_written_down() {
    let tree = machine().build();
    assert_eq!(done(&tree, "/usr/local/bin/lights off"), "");
    tree.faults("run:/usr/local/bin/lights* EIO\nrun:/missing ENOENT\nrun:/stuck?in?mud hang\n4 EPERM late\n");
    assert_eq!(
        run(&tree, "/usr/local/bin/lights on").unwrap_err(),
        "/usr/local/bin/lights: Input/output error (os error 5)"
    );
    refused(&tree, "/missing", "No such file or directory");
    assert_eq!(run(&tree, "/stuck in mud").unwrap_err(), "hang");
    refused(&tree, "/late", "Operation not permitted");
    assert_eq!(tree.read(".kernel/ran"), "/usr/local/bin/lights off\n/late\n");
    assert_eq!(done(&tree, "udevadm trigger --action=remove /sys/class/drm/card0"), "");
    refused(&tree, "rm -r /", "does not know");
}

#[test]
fn the_program_answers_with_what_is_printed_or_with_the_failure() {
    let tree = with_domains();
    let ask = |words: &[&str]| tree.simulate(words);
    let ran = ask(&["run", "virsh", "--connect", "qemu:///system", "domstate", "--", "win10"]);
    assert_eq!((ran.status, ran.stdout.as_str(), ran.stderr.as_str()), (Some(0), "shut off\n\n", ""));
    let ran = ask(&["run", "virsh", "--connect", "qemu:///system", "start", "--", "nobody"]);
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(1), "5\nvirsh: failed to get domain 'nobody'"));
    tree.faults("signal:* EPERM\n2 hang\n");
    assert_eq!(ask(&["signal", "4321", "KILL"]).stdout, "1\n");
    assert_eq!(ask(&["run", "/bin/true"]).stdout, "110\n");
    assert_eq!(ask(&["signal", "4321", "HUP"]).stdout, "5\ninvalid input parameter");
}
