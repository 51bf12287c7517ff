// SPDX-License-Identifier: LGPL-2.1-or-later
//! How fast CPUs run (Documentation/admin-guide/pm/cpufreq.rst): the governor of each policy, and the preference of drivers that
//! choose themselves.

use super::cpu_list::parse_list;
use crate::root::Root;

/// One directory per policy: CPUs that run at one speed.
const POLICIES: &str = "sys/devices/system/cpu/cpufreq";

/// The governor, and the preference between speed and energy (Documentation/admin-guide/pm/{intel_pstate,amd-pstate}.rst).
pub const ATTRIBUTES: [&str; 2] = ["scaling_governor", "energy_performance_preference"];

/// What both are called at full speed.
pub const FAST: &str = "performance";

/// The policies of these CPUs, by name. A policy that has other CPUs too is among them: they run at one speed.
pub fn policies(root: &Root, cpus: &[u32]) -> Vec<String> {
    let has_one = |name: &String| {
        let list = root.read_text(&format!("{POLICIES}/{name}/affected_cpus")).unwrap_or_default();
        let list = parse_list(&list.split_ascii_whitespace().collect::<Vec<_>>().join(",")).unwrap_or_default();
        list.iter().any(|cpu| cpus.contains(cpu))
    };
    let names = root.list(POLICIES).unwrap_or_default();
    names.into_iter().filter(|name| name.starts_with("policy")).filter(has_one).collect()
}

/// The path of a policy's attribute.
pub fn attribute(policy: &str, name: &str) -> String {
    format!("{POLICIES}/{policy}/{name}")
}

/// What these CPUs' policies say now, those attributes that they have: policy, attribute, value.
pub fn settings(root: &Root, cpus: &[u32]) -> Vec<(String, &'static str, String)> {
    let of_policy = |policy: String| {
        let value = |name: &'static str| {
            let value = root.read_text(&attribute(&policy, name)).ok()?;
            Some((policy.clone(), name, value))
        };
        ATTRIBUTES.into_iter().filter_map(value).collect::<Vec<_>>()
    };
    policies(root, cpus).into_iter().flat_map(of_policy).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_policies_of_some_cpus() {
        let tree = tempfile::tempdir().unwrap();
        for (policy, cpus, preference) in [("policy0", "0 4", None), ("policy1", "1 5", Some("balance_power"))] {
            let directory = tree.path().join(POLICIES).join(policy);
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join("affected_cpus"), format!("{cpus}\n")).unwrap();
            fs::write(directory.join("scaling_governor"), "powersave\n").unwrap();
            if let Some(text) = preference {
                fs::write(directory.join("energy_performance_preference"), format!("{text}\n")).unwrap();
            }
        }
        let root = Root::open(tree.path()).unwrap();
        assert_eq!(policies(&root, &[4, 7]), ["policy0"]);
        assert!(policies(&root, &[7]).is_empty());
        let shown: Vec<String> = settings(&root, &[1, 0]).into_iter().map(|(p, a, v)| format!("{p} {a} {v}")).collect();
        assert_eq!(
            shown,
            [
                "policy0 scaling_governor powersave",
                "policy1 scaling_governor powersave",
                "policy1 energy_performance_preference balance_power"
            ]
        );
    }
}
