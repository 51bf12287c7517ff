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
