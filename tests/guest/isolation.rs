// SPDX-License-Identifier: LGPL-2.1-or-later
//! CPUs that a guest has for itself: fast while it runs, without the host's programs, and as before afterwards.

use super::*;

const POLICIES: &str = "sys/devices/system/cpu/cpufreq";

/// Eight CPUs with a policy for each pair, of which the second pair's driver has a preference; the guest `demo` has the CPUs 4
/// to 7 to itself.
pub fn prepare(tree: &Tree) {
    tree.write("sys/devices/system/cpu/online", "0-7\n");
    for policy in 0..4 {
        let directory = format!("{POLICIES}/policy{policy}");
        tree.write(&format!("{directory}/affected_cpus"), &format!("{} {}\n", 2 * policy, 2 * policy + 1));
        tree.write(&format!("{directory}/scaling_available_governors"), "performance schedutil\n");
        tree.write(&format!("{directory}/scaling_governor"), "schedutil\n");
    }
    tree.write(&format!("{POLICIES}/policy2/energy_performance_preference"), "balance_performance\n");
    tree.write("sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory pids\n");
    std::fs::create_dir_all(tree.join("run/systemd/system")).unwrap();
    let xml = tree.read(".kernel/domains/demo.xml");
    let pins: String = (0..4).map(|vcpu| format!("<vcpupin vcpu='{vcpu}' cpuset='{}'/>", vcpu + 4)).collect();
    domain::define(tree, "demo", &xml.replace("<os>", &format!("<cputune>{pins}</cputune>\n  <os>")));
    let text = CONFIGURATION.replace("[guest demo]\n", "[guest demo]\ncpus-isolate = yes\n");
    tree.config(&text);
}

fn isolated() -> Tree {
    let tree = machine();
    prepare(&tree);
    tree
}

fn governors(tree: &Tree) -> Vec<String> {
    (0..4).map(|policy| tree.read(&format!("{POLICIES}/policy{policy}/scaling_governor")).trim().to_owned()).collect()
}

#[test]
fn the_hosts_programs_keep_off_while_the_guest_runs() {
    let tree = isolated();
    // An administrator's own setting comes back.
    tree.write(".kernel/allowed-cpus/user.slice", "0-6\n");
    let before = tree.snapshot();
    let running = started(&tree, "demo");
    assert_eq!(governors(&tree), ["schedutil", "schedutil", "performance", "performance"]);
    assert_eq!(tree.read(&format!("{POLICIES}/policy2/energy_performance_preference")), "performance\n");
    for unit in ["system.slice", "user.slice", "init.scope"] {
        assert_eq!(tree.read(&format!(".kernel/allowed-cpus/{unit}")), "0-3\n", "{unit}");
    }
    assert!(!tree.exists(".kernel/allowed-cpus/machine.slice"), "the guest's own");
    guest_ends(&tree, "demo");
    assert_eq!(running.end().status, Some(0));
    log_in_again(&tree, "after the guest");
    tree.assert_same(&before, "after the guest");
}

#[test]
fn a_guest_starts_without_what_cannot_be_had() {
    // Neither the governor nor systemd does what it is asked.
    let tree = isolated();
    tree.write(&format!("{POLICIES}/policy3/scaling_available_governors"), "schedutil\n");
    tree.faults("run:systemctl*set-property*init.scope* EIO\n");
    let running = started(&tree, "demo");
    assert_eq!(governors(&tree), ["schedutil", "schedutil", "performance", "schedutil"]);
    assert!(tree.exists(".kernel/allowed-cpus/system.slice") && !tree.exists(".kernel/allowed-cpus/init.scope"));
    tree.no_faults();
    guest_ends(&tree, "demo");
    let ran = running.end();
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("policy3/scaling_governor cannot be set to 'performance'"), "{}", ran.stderr);
    assert!(ran.stderr.contains("init.scope stays on all CPUs"), "{}", ran.stderr);
    assert_eq!(governors(&tree), ["schedutil"; 4]);
    assert!(!tree.exists(".kernel/allowed-cpus"));
}

#[test]
fn what_cannot_be_asked_is_not_changed() {
    let tree = isolated();
    tree.faults("run:systemctl*AllowedCPUs*system.slice* EIO\n");
    let running = started(&tree, "demo");
    assert!(!tree.exists(".kernel/allowed-cpus"));
    tree.no_faults();
    guest_ends(&tree, "demo");
    assert_eq!(running.end().status, Some(0));
}

#[test]
fn one_guest_at_a_time_has_cpus_for_itself() {
    let tree = isolated();
    tree.config(&CONFIGURATION.replace("gpus = big\n", "gpus = big\ncpus-isolate = yes\n"));
    let _running = started(&tree, "demo");
    let ran = tree.run(VFIO, &["guest", "plan", "other"]);
    let text = format!("{}{}", ran.stdout, ran.stderr);
    assert!(text.contains("those of [guest demo] are now") && text.contains("[cpus-not-isolated]"), "{text}");
}
