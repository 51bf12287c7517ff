// SPDX-License-Identifier: LGPL-2.1-or-later
//! Whether SELinux lets a domain's QEMU read a file, by the type in the file's label (selinux(8), the attribute
//! `security.selinux`).

use crate::root::Root;
use rustix::fs::OFlags;

/// 1 if what is forbidden is refused.
const ENFORCE: &str = "sys/fs/selinux/enforce";

/// Types that a confined QEMU (`svirt_t`) may not read, of places where people put a ROM. libvirt gives a host device's ROM
/// no label of its own (11.3, `src/security/security_selinux.c`).
const FORBIDDEN: [&str; 10] = [
    "var_lib_t",
    "var_t",
    "user_home_t",
    "admin_home_t",
    "home_root_t",
    "user_tmp_t",
    "tmp_t",
    "default_t",
    "root_t",
    "unlabeled_t",
];

/// The type of a file, if SELinux is enforced and keeps QEMU from reading it.
pub fn forbids(root: &Root, path: &str) -> Option<String> {
    if root.read_text(ENFORCE).ok()? != "1" {
        return None;
    }
    let file = root.open_at(path, OFlags::RDONLY | OFlags::NONBLOCK, rustix::fs::Mode::empty()).ok()?;
    let mut label = [0; 256];
    let length = rustix::fs::fgetxattr(&file, "security.selinux", &mut label[..]).ok()?;
    forbidden(&String::from_utf8_lossy(label.get(..length)?))
}

/// The type in a label (`user:role:type:level`), if it is one of those.
fn forbidden(label: &str) -> Option<String> {
    let kind = label.trim_end_matches('\0').split(':').nth(2)?;
    FORBIDDEN.contains(&kind).then(|| kind.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_decides() {
        assert_eq!(forbidden("system_u:object_r:var_lib_t:s0\0").as_deref(), Some("var_lib_t"));
        assert_eq!(forbidden("unconfined_u:object_r:user_home_t:s0").as_deref(), Some("user_home_t"));
        for label in ["system_u:object_r:virt_content_t:s0", "system_u:object_r:usr_t:s0", "", "a:b"] {
            assert_eq!(forbidden(label), None, "{label}");
        }
    }
}
