// SPDX-License-Identifier: LGPL-2.1-or-later
//! Whether AppArmor lets a domain's QEMU read a file, by the rules that libvirt gives every domain (apparmor.d(5)).
//!
//! virt-aa-helper writes rules for disks, devices and the like, and none for the option ROM of a host device (libvirt 9.0 to
//! 11.3, `src/security/virt-aa-helper.c`): for that the abstraction counts.

use super::qemu_conf;
use crate::root::Root;

/// Whether the kernel has it switched on.
const ENABLED: &str = "sys/module/apparmor/parameters/enabled";
/// The rules of every domain.
const ABSTRACTION: &str = "etc/apparmor.d/abstractions/libvirt-qemu";
/// The administrator's, which that includes.
const LOCAL: &str = "etc/apparmor.d/local/abstractions/libvirt-qemu";
/// A directory for files of packages, which it includes since libvirt 10 (Debian: 11.3, not 9.0).
const DIRECTORY: &str = "etc/apparmor.d/abstractions/libvirt-qemu.d";
/// Where QEMU may read in every version, and what distributions call it.
pub const ALLOWED: &str = "/usr/share/vgabios";

/// What AppArmor lets every domain's QEMU read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Globs of the rules that allow reading.
    globs: Vec<String>,
    /// Whether files of packages are included.
    pub takes_packages: bool,
}

/// The rules; `None` if AppArmor does not confine domains here.
pub fn rules(root: &Root) -> Option<Rules> {
    if root.read_text(ENABLED).ok()? != "Y" || !is_chosen(root) {
        return None;
    }
    let text = |path: &str| root.read_regular(path).map(|text| String::from_utf8_lossy(&text).into_owned());
    let own = text(ABSTRACTION).ok()?;
    let includes = |what: &str| own.lines().any(|line| line.contains("include") && line.contains(&format!("<{what}>")));
    let mut rules = Rules { globs: Vec::new(), takes_packages: includes("abstractions/libvirt-qemu.d") };
    rules.add(&own);
    if includes("local/abstractions/libvirt-qemu") {
        rules.add(&text(LOCAL).unwrap_or_default());
    }
    if rules.takes_packages {
        for name in root.list(DIRECTORY).unwrap_or_default() {
            rules.add(&text(&format!("{DIRECTORY}/{name}")).unwrap_or_default());
        }
    }
    Some(rules)
}

/// Whether libvirt uses it: `security_driver` of qemu.conf(5) may name others, or `none`.
fn is_chosen(root: &Root) -> bool {
    qemu_conf::value(root, "security_driver").is_none_or(|value| value.contains("\"apparmor\""))
}

impl Rules {
    /// Takes the rules of a file that allow reading: `[owner] GLOB PERMISSIONS,`, with or without quotes.
    fn add(&mut self, text: &str) {
        for line in text.lines() {
            let line = line.trim().strip_prefix("owner ").unwrap_or(line.trim()).trim_start();
            let (glob, rest) = match line.strip_prefix('"').and_then(|rest| rest.split_once('"')) {
                Some(quoted) => quoted,
                None => line.split_once([' ', '\t']).unwrap_or_default(),
            };
            let permissions = rest.split(',').next().unwrap_or_default().trim();
            let reads = permissions.contains('r') && permissions.bytes().all(|b| b.is_ascii_alphabetic());
            // What stands for other text is another place than a ROM's.
            if glob.starts_with('/') && reads && !glob.contains(['@', '[', '\\']) {
                self.globs.push(glob.to_owned());
            }
        }
    }

    /// Whether a file may be read.
    pub fn allow(&self, path: &str) -> bool {
        self.globs.iter().any(|glob| alternatives(glob).iter().any(|glob| matches(glob.as_bytes(), path.as_bytes())))
    }
}

/// A glob without its first braces: one for each alternative. No rule has more than a pair.
fn alternatives(glob: &str) -> Vec<String> {
    let parts = glob.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?)));
    match parts {
        None => vec![glob.to_owned()],
        Some((before, (inner, after))) => inner.split(',').map(|one| format!("{before}{one}{after}")).collect(),
    }
}

/// `*` is anything but a slash, `**` anything, `?` one character but a slash. The last star is gone back to, and with it the
/// last double one: each byte of the path is looked at once for each star at most.
fn matches(glob: &[u8], path: &[u8]) -> bool {
    let (mut g, mut p) = (0, 0);
    // Where to go on behind a star: in the glob, in the path; a double one does not stop at slashes.
    let (mut single, mut double) = (None::<(usize, usize)>, None::<(usize, usize)>);
    loop {
        match (glob.get(g), path.get(p)) {
            (Some(b'*'), _) if glob.get(g + 1) == Some(&b'*') => {
                (g, single, double) = (g + 2, None, Some((g + 2, p)));
            }
            (Some(b'*'), _) => (g, single) = (g + 1, Some((g + 1, p))),
            (None, None) => return true,
            (Some(b'?'), Some(byte)) if *byte != b'/' => (g, p) = (g + 1, p + 1),
            (Some(wanted), Some(byte)) if wanted == byte => (g, p) = (g + 1, p + 1),
            _ => match (single, double) {
                (Some((behind, at)), _) if path.get(at).is_some_and(|byte| *byte != b'/') => {
                    (g, p, single) = (behind, at + 1, Some((behind, at + 1)));
                }
                (_, Some((behind, at))) if at < path.len() => {
                    (g, p, single, double) = (behind, at + 1, None, Some((behind, at + 1)));
                }
                _ => return false,
            },
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn globs_are_apparmors() {
        let path = "/var/lib/vfio/big.rom";
        for (glob, fits) in [
            (path, true),
            ("/var/lib/vfio/*.rom", true),
            ("/var/lib/*.rom", false),
            ("/var/lib/**.rom", true),
            ("/var/lib/**", true),
            ("/var/*/vfio/*", true),
            ("/var/*/*", false),
            ("/var/lib/vfio/b?g.rom", true),
            ("/var/lib?vfio/big.rom", false),
            ("/var/{lib,tmp}/vfio/*.rom", true),
            ("/var/{run,tmp}/vfio/*.rom", false),
            ("/**/**/*.rom", true),
            ("/**x", false),
            ("", false),
        ] {
            let rules = Rules { globs: vec![glob.to_owned()], takes_packages: false };
            assert_eq!(rules.allow(path), fits, "{glob}");
        }
    }

    #[test]
    fn the_rules_are_those_of_every_domain() {
        let tree = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = tree.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let allowed = |path: &str| rules(&Root::open(tree.path()).unwrap()).map(|rules| rules.allow(path));
        let (ours, packaged) = ("/var/lib/vfio/big.rom", "/usr/share/vgabios/big.rom");
        assert_eq!(allowed(ours), None, "no AppArmor");
        put(ENABLED, "Y\n");
        assert_eq!(allowed(ours), None, "libvirt brings no rules for it");
        // As Debian 12 has it.
        let own = "  owner \"/var/lib/x/*\" rw,\n  /usr/share/vgabios/** r,\n  deny /var/lib/vfio/** r,\n  /var/lib/vfio/big.rom w,\n";
        put(ABSTRACTION, &format!("{own}  #include <local/abstractions/libvirt-qemu>\n"));
        put(&format!("{DIRECTORY}/vfio"), "  /var/lib/vfio/*.rom r,\n");
        assert_eq!((allowed(ours), allowed(packaged), allowed("/var/lib/x/y")), (Some(false), Some(true), Some(true)));
        put(LOCAL, "# mine\n/var/lib/vfio/*.rom rk,\n");
        assert_eq!(allowed(ours), Some(true));
        fs::remove_file(tree.path().join(LOCAL)).unwrap();
        // As Debian 13 has it.
        put(ABSTRACTION, &format!("{own}  include if exists <abstractions/libvirt-qemu.d>\n"));
        assert_eq!(allowed(ours), Some(true));
        put(
            "etc/libvirt/qemu.conf",
            "#security_driver = \"selinux\"\nsecurity_driver = [ \"selinux\", \"apparmor\" ]\n",
        );
        assert_eq!(allowed(packaged), Some(true));
        put("etc/libvirt/qemu.conf", "security_driver = \"none\"\n");
        assert_eq!(allowed(ours), None);
        put("etc/libvirt/qemu.conf", "");
        put(ENABLED, "N\n");
        assert_eq!(allowed(ours), None);
    }
}
