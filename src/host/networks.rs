// SPDX-License-Identifier: LGPL-2.1-or-later
//! libvirt's virtual networks, from its own files: its daemon need not run for it (`src/network/bridge_driver.c`:
//! `configDir`, `autostartDir` and `stateDir` of the system's daemon).

use crate::root::Root;
use std::io;

/// Where networks are defined.
const DEFINED: &str = "etc/libvirt/qemu/networks";
/// A link for each that its daemon starts.
const AUTOSTART: &str = "etc/libvirt/qemu/networks/autostart";
/// A file for each that is up.
const UP: &str = "run/libvirt/network";

/// A network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// Whether it is up.
    pub active: bool,
    /// Whether libvirt's daemon starts it.
    pub autostart: bool,
}

/// A network by its name; none if it is not defined. Where libvirt's folder is root's alone, others get `PermissionDenied`.
pub fn find(root: &Root, name: &str) -> io::Result<Option<Network>> {
    let file = format!("{name}.xml");
    let has = |directory: &str| match root.list(directory) {
        Ok(names) => Ok(names.contains(&file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(io::Error::new(error.kind(), format!("/{directory}: {error}"))),
    };
    if has(DEFINED)? {
        Ok(Some(Network { active: has(UP)?, autostart: has(AUTOSTART)? }))
    } else {
        Ok(None)
    }
}

/// What keeps a domain from being connected to something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkProblem {
    /// libvirt has no such network.
    NotDefined,
    /// The network is not up, and nothing starts it before the domain.
    NotActive,
    /// The host has no such interface.
    Absent,
    /// The interface is not a bridge.
    NoBridge,
}

/// What keeps a network of libvirt's from being used, if anything. A daemon that has not run since the boot starts those
/// that start by themselves before the domain; one that runs, or ran, has done so. What cannot be read is taken to be right.
pub fn network_problem(root: &Root, name: &str) -> Option<LinkProblem> {
    // One that is not defined may be up: it is forgotten when it ends.
    if root.exists(&format!("{UP}/{name}.xml")) {
        return None;
    }
    match find(root, name) {
        Ok(None) => Some(LinkProblem::NotDefined),
        Ok(Some(network)) if network.autostart && !root.exists(UP) => None,
        Ok(Some(network)) => (!network.active).then_some(LinkProblem::NotActive),
        Err(_) => None,
    }
}

/// What keeps an interface of the host from being a domain's bridge, or the parent of its own interface.
pub fn interface_problem(root: &Root, name: &str, bridge: bool) -> Option<LinkProblem> {
    const INTERFACES: &str = "sys/class/net";
    if !root.exists(&format!("{INTERFACES}/{name}")) {
        return Some(LinkProblem::Absent);
    }
    // `net/bridge/br_sysfs_br.c`
    let is_bridge = root.exists(&format!("{INTERFACES}/{name}/bridge"));
    (bridge && !is_bridge).then_some(LinkProblem::NoBridge)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_keeps_a_domain_from_its_network() {
        let tree = tempfile::tempdir().unwrap();
        let put = |path: &str| {
            let path = tree.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        };
        let root = Root::open(tree.path()).unwrap();
        let problem = || network_problem(&root, "default");
        assert_eq!(problem(), Some(LinkProblem::NotDefined));
        put("etc/libvirt/qemu/networks/default.xml");
        assert_eq!(problem(), Some(LinkProblem::NotActive));
        put("etc/libvirt/qemu/networks/autostart/default.xml");
        assert_eq!(problem(), None, "the daemon starts it when it starts");
        put("run/libvirt/network/other.xml");
        assert_eq!(problem(), Some(LinkProblem::NotActive), "the daemon has run");
        put("run/libvirt/network/default.xml");
        assert_eq!(problem(), None);
        assert_eq!(network_problem(&root, "other"), None, "one that is up and not defined");
        put("sys/class/net/br0/bridge/bridge_id");
        put("sys/class/net/eth0/mtu");
        for (name, bridge, expected) in [
            ("br0", true, None),
            ("eth0", true, Some(LinkProblem::NoBridge)),
            ("eth0", false, None),
            ("eth1", true, Some(LinkProblem::Absent)),
            ("eth1", false, Some(LinkProblem::Absent)),
        ] {
            assert_eq!(interface_problem(&root, name, bridge), expected, "{name} {bridge}");
        }
    }
}
