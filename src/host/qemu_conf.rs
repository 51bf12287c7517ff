// SPDX-License-Identifier: LGPL-2.1-or-later
//! Settings of /etc/libvirt/qemu.conf: its comments say what each means.

use super::accounts::{users, User};
use crate::root::Root;

const FILE: &str = "etc/libvirt/qemu.conf";

/// What distributions call it: Debian; Fedora, Arch, Gentoo and SUSE.
const USUAL: [&str; 2] = ["libvirt-qemu", "qemu"];

/// The user that QEMU runs as; `None` if the machine knows no such user, or its QEMU runs as root.
pub fn user(root: &Root) -> Option<User> {
    let users = users(root).unwrap_or_default();
    let configured = value(root, "user");
    let configured = configured.as_deref().and_then(quoted);
    let found = match configured {
        // A number may have a sign so that it is not taken for a name (qemu.conf's own comment).
        Some(name) => {
            let number = name.trim_start_matches('+').parse::<u32>().ok();
            users.into_iter().find(|user| user.name == name || Some(user.uid) == number)
        }
        None => USUAL.iter().find_map(|name| users.iter().find(|user| user.name == *name).cloned()),
    };
    found.filter(|user| user.uid != 0)
}

/// The value of a key as it stands there, the last of several; lists keep their brackets.
pub(super) fn value(root: &Root, key: &str) -> Option<String> {
    let text = root.read(FILE).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let mut set = text.lines().filter_map(|line| line.split_once('=').filter(|(name, _)| name.trim() == key));
    set.next_back().map(|(_, value)| value.trim().to_owned())
}

/// The nodes that libvirt gives every QEMU (its qemu.conf, `cgroup_device_acl`).
const USUAL_NODES: &str =
    "\"/dev/null\", \"/dev/full\", \"/dev/zero\", \"/dev/random\", \"/dev/urandom\", \"/dev/ptmx\", \
                           \"/dev/kvm\", \"/dev/userfaultfd\"";

/// Whether libvirt gives QEMU a node that only its arguments name: one that the file lists. Where there is no file, libvirt is not
/// set up here, and nothing is said.
pub fn gives(root: &Root, node: &str) -> bool {
    let Ok(text) = root.read_text(FILE) else { return true };
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let text: String = lines.flat_map(|line| [line, "\n"]).collect();
    let list = |key: &str| {
        let value =
            text.lines().position(|line| line.starts_with(key)).map(|at| text.lines().skip(at).collect::<String>());
        value.map(|value| value.split(']').next().unwrap_or_default().to_owned())
    };
    let is_empty = |key: &str| list(key).is_some_and(|value| !value.contains('"'));
    // Without a mount namespace and cgroups of its own QEMU sees what the host has.
    let free = is_empty("namespaces") && is_empty("cgroup_controllers");
    free || list("cgroup_device_acl").is_some_and(|value| value.contains(&format!("\"{node}\"")))
}

/// The rest of a sentence about a node that QEMU does not get.
pub fn how_to_give(node: &str) -> String {
    format!(
        "is not given to QEMU by libvirt: write 'cgroup_device_acl = [ {USUAL_NODES}, \"{node}\" ]' into /{FILE}, and start libvirt's \
         daemon again"
    )
}

/// What stands between quotes, without a comment after it.
fn quoted(value: &str) -> Option<&str> {
    let value = value.split('#').next().unwrap_or_default().trim();
    value.strip_prefix(['"', '\''])?.strip_suffix(['"', '\'']).filter(|value| !value.is_empty())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_node_is_given_if_it_is_listed() {
        let tree = tempfile::tempdir().unwrap();
        let root = Root::open(tree.path()).unwrap();
        assert!(gives(&root, "/dev/kvmfr0"), "libvirt is not set up");
        fs::create_dir_all(tree.path().join("etc/libvirt")).unwrap();
        for (text, expected) in [
            ("", false),
            ("#cgroup_device_acl = [ \"/dev/kvmfr0\" ]\n", false),
            ("cgroup_device_acl = [\n    \"/dev/null\",\n    \"/dev/kvmfr0\"\n]\n", true),
            ("cgroup_device_acl = [ \"/dev/kvmfr1\" ]\nx = [ \"/dev/kvmfr0\" ]\n", false),
            ("namespaces = [ ]\n", false),
            ("namespaces = [ ]\ncgroup_controllers = [ ]\n", true),
        ] {
            fs::write(tree.path().join(FILE), text).unwrap();
            assert_eq!(gives(&root, "/dev/kvmfr0"), expected, "{text}");
        }
        assert!(how_to_give("/dev/kvmfr0").contains("\"/dev/userfaultfd\", \"/dev/kvmfr0\" ]"));
    }

    #[test]
    fn the_user_is_the_configured_one_or_the_distributions() {
        let tree = tempfile::tempdir().unwrap();
        fs::create_dir_all(tree.path().join("etc/libvirt")).unwrap();
        let root = Root::open(tree.path()).unwrap();
        let passwd = "root:x:0:0::/:/bin/sh\nada:x:1000:1000::/:/bin/sh\nlibvirt-qemu:x:64055:109::/:/bin/sh\n";
        fs::write(tree.path().join("etc/passwd"), passwd).unwrap();
        let name = || user(&root).map(|user| user.name);
        assert_eq!(name().as_deref(), Some("libvirt-qemu"), "without the file");
        for (line, expected) in [
            ("#user = \"ada\"\ngroup = \"kvm\"\n", Some("libvirt-qemu")),
            ("user = \"ada\"\n", Some("ada")),
            (" user='+1000' # as ada\n", Some("ada")),
            ("user = \"root\"\n", None),
            ("user = \"nobody-has-this-name\"\n", None),
        ] {
            fs::write(tree.path().join(FILE), line).unwrap();
            assert_eq!(name().as_deref(), expected, "{line}");
        }
    }
}
