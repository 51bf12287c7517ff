// SPDX-License-Identifier: LGPL-2.1-or-later
//! What other ways of passing cards through leave on a machine: hook scripts of libvirt, options of modules, overrides of
//! driverctl, udev rules, supergfxctl's configuration. They do what vfio does, a second time.

use crate::pci::Address;
use crate::root::Root;

/// Of a directory no more files are looked at.
const FILES: usize = 200;

/// What kind of thing it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeftoverKind {
    /// Scripts of libvirt's hook for one domain, below `qemu.d/DOMAIN`: the layout of the VFIO-Tools hook helper.
    DomainScripts(String),
    /// The hook script itself, which does something to PCI devices or asks libvirt, which waits for it.
    HookScript,
    /// `options vfio-pci ids=`, or the same on the kernel command line: every device of that kind.
    DeviceIds(String),
    /// A driver of the host that is never loaded.
    Blacklist(String),
    /// An override that driverctl(8) writes at every boot.
    Override(Address),
    /// A udev rule that resizes BARs or chooses reset methods: the attribute that it writes.
    Rule(&'static str),
    /// supergfxctl may bind cards to vfio by itself.
    Switcher,
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// The file, absolute.
    pub path: String,
    /// Its line, from 1; 0 for all of it.
    pub line: usize,
    /// What it is.
    pub kind: LeftoverKind,
}

/// Looks for all of them. What cannot be read is left out.
pub fn find(root: &Root) -> Vec<Leftover> {
    let mut found = hooks(root);
    for directory in ["etc/modprobe.d", "run/modprobe.d", "usr/local/lib/modprobe.d"] {
        lines_below(root, directory, ".conf", module_option, &mut found);
    }
    let parameters = root.read("proc/cmdline").unwrap_or_default();
    for word in String::from_utf8_lossy(&parameters).split_whitespace() {
        let ids = ["vfio-pci.ids=", "vfio_pci.ids="].iter().find_map(|key| word.strip_prefix(key));
        let kind = ids.map(|ids| LeftoverKind::DeviceIds(ids.to_owned()));
        found.extend(kind.map(|kind| Leftover { path: "/proc/cmdline".to_owned(), line: 0, kind }));
    }
    for name in root.list("etc/driverctl.d").unwrap_or_default().into_iter().take(FILES) {
        let address = name.strip_prefix("pci-").and_then(|text| text.parse().ok());
        let kind = address.map(LeftoverKind::Override);
        found.extend(kind.map(|kind| Leftover { path: format!("/etc/driverctl.d/{name}"), line: 0, kind }));
    }
    lines_below(root, "etc/udev/rules.d", ".rules", udev_rule, &mut found);
    let path = "etc/supergfxd.conf";
    let text = root.read_regular(path).map(|text| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default();
    if text.lines().any(|line| line.contains("\"vfio_enable\"") && line.contains("true")) {
        found.push(Leftover { path: format!("/{path}"), line: 0, kind: LeftoverKind::Switcher });
    }
    found
}

/// libvirt's hook for QEMU, and what the usual hook helper calls for a domain (libvirt.org/hooks.html).
fn hooks(root: &Root) -> Vec<Leftover> {
    let mut found = Vec::new();
    let path = "etc/libvirt/hooks/qemu";
    let text = root.read_regular(path).map(|text| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default();
    let does = |line: &str| {
        !line.trim_start().starts_with('#') && ["virsh", "vfio", "unbind"].iter().any(|word| line.contains(word))
    };
    if text.lines().any(does) {
        found.push(Leftover { path: format!("/{path}"), line: 0, kind: LeftoverKind::HookScript });
    }
    let directory = "etc/libvirt/hooks/qemu.d";
    for domain in root.directories(directory).unwrap_or_default().into_iter().take(FILES) {
        // `qemu.d/DOMAIN/OPERATION/SUB-OPERATION/SCRIPT`.
        let domain_path = format!("{directory}/{domain}");
        let below = |path: &str| root.directories(path).unwrap_or_default().into_iter().take(FILES);
        let has_scripts = below(&domain_path).any(|operation| {
            let operation = format!("{domain_path}/{operation}");
            below(&operation).any(|sub| root.holds_anything(&format!("{operation}/{sub}")))
        });
        if has_scripts {
            let path = format!("/{directory}/{domain}");
            found.push(Leftover { path, line: 0, kind: LeftoverKind::DomainScripts(domain) });
        }
    }
    found
}

/// Lines of the files of a directory that say something.
fn lines_below(
    root: &Root,
    directory: &str,
    ending: &str,
    read: impl Fn(&str) -> Option<LeftoverKind>,
    found: &mut Vec<Leftover>,
) {
    for name in root.list(directory).unwrap_or_default().into_iter().filter(|name| name.ends_with(ending)).take(FILES) {
        let Ok(bytes) = root.read_regular(&format!("{directory}/{name}")) else { continue };
        let text = String::from_utf8_lossy(&bytes);
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with('#')) {
            let path = || format!("/{directory}/{name}");
            found.extend(read(line).map(|kind| Leftover { path: path(), line: number + 1, kind }));
        }
    }
}

/// A line of modprobe.d(5).
fn module_option(line: &str) -> Option<LeftoverKind> {
    let mut words = line.split_whitespace();
    match (words.next()?, words.next()?.replace('-', "_").as_str()) {
        ("options", "vfio_pci") => {
            let ids = words.find_map(|word| word.strip_prefix("ids="))?;
            Some(LeftoverKind::DeviceIds(ids.to_owned()))
        }
        ("blacklist", module) => Some(LeftoverKind::Blacklist(module.to_owned())),
        ("install", module)
            if words.next().is_some_and(|word| matches!(word, "/bin/false" | "/bin/true" | "/usr/bin/false")) =>
        {
            Some(LeftoverKind::Blacklist(module.to_owned()))
        }
        _ => None,
    }
}

/// A line of modprobe.d(5), as far as passing cards through goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModprobeLine {
    /// `options vfio-pci` with these ids, separated by commas; empty if it has other options only.
    Vfio(String),
    /// This driver is never loaded.
    Blacklist(String),
    /// This driver is loaded after vfio-pci.
    After(String),
    /// Anything else.
    Other,
}

/// The administrator's files of modprobe.d(5) that have such a line, absolute, with what all of their lines say.
pub fn modprobe_files(root: &Root) -> Vec<(String, Vec<ModprobeLine>)> {
    let directory = "etc/modprobe.d";
    let names = root.list(directory).unwrap_or_default();
    let read = |name: String| {
        let bytes = root.read_regular(&format!("{directory}/{name}")).ok()?;
        let text = String::from_utf8_lossy(&bytes).replace("\\\n", " ");
        let says = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
        let lines: Vec<ModprobeLine> = text.lines().filter(says).map(modprobe_line).collect();
        let any = lines.iter().any(|line| *line != ModprobeLine::Other);
        any.then(|| (format!("/{directory}/{name}"), lines))
    };
    names.into_iter().filter(|name| name.ends_with(".conf")).take(FILES).filter_map(read).collect()
}

fn modprobe_line(line: &str) -> ModprobeLine {
    if let Some(LeftoverKind::Blacklist(module)) = module_option(line) {
        return ModprobeLine::Blacklist(module);
    }
    let words: Vec<String> = line.split_whitespace().map(|word| word.replace('-', "_")).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["options", "vfio_pci", options @ ..] => {
            let ids = options.iter().find_map(|option| option.strip_prefix("ids="));
            ModprobeLine::Vfio(ids.unwrap_or_default().to_owned())
        }
        ["softdep", driver, "pre:", "vfio_pci" | "vfio"] => ModprobeLine::After((*driver).to_owned()),
        _ => ModprobeLine::Other,
    }
}

/// A line of a udev rule.
fn udev_rule(line: &str) -> Option<LeftoverKind> {
    let writes = |attribute: &str| line.contains(attribute) && (line.contains("ATTR{") || line.contains("RUN"));
    if line.contains("resource") && writes("_resize") {
        return Some(LeftoverKind::Rule("resourceN_resize"));
    }
    writes("reset_method").then_some(LeftoverKind::Rule("reset_method"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_others_left_is_found_with_its_line() {
        let tree = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = tree.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        put("etc/libvirt/hooks/qemu", "#!/bin/sh\n# virsh\nexec /etc/libvirt/hooks/qemu.d/$1\n");
        put("etc/libvirt/hooks/qemu.d/50-vfio", "ours");
        put("etc/libvirt/hooks/qemu.d/win10/prepare/begin/start.sh", "virsh nodedev-detach");
        put("etc/libvirt/hooks/qemu.d/empty/README", "x");
        put(
            "etc/modprobe.d/vfio.conf",
            "# options vfio-pci ids=1:2\noptions vfio-pci ids=10de:2684,10de:22ba disable_vga=1\n",
        );
        put(
            "etc/modprobe.d/black.conf",
            "blacklist amdgpu\ninstall nouveau /bin/false\ninstall snd /sbin/x\noptions vfio-pci disable_vga=1\n",
        );
        put("proc/cmdline", "quiet vfio-pci.ids=1002:73bf\n");
        put("etc/driverctl.d/pci-0000:03:00.0", "vfio-pci\n");
        put("etc/driverctl.d/vmbus-x", "x\n");
        put("etc/udev/rules.d/99.rules", "ACTION==\"add\", ATTR{resource0_resize}=\"14\"\nATTR{reset_method}=\"bus\"\n#ATTR{resource2_resize}=\"3\"\nATTR{size}=\"1\"\n");
        put("etc/supergfxd.conf", "{\n  \"mode\": \"Hybrid\",\n  \"vfio_enable\": true\n}\n");
        let found: Vec<String> = find(&Root::open(tree.path()).unwrap())
            .into_iter()
            .map(|of| format!("{}:{} {:?}", of.path, of.line, of.kind))
            .collect();
        let address: Address = "0000:03:00.0".parse().unwrap();
        assert_eq!(
            found,
            [
                "/etc/libvirt/hooks/qemu.d/win10:0 DomainScripts(\"win10\")",
                "/etc/modprobe.d/black.conf:1 Blacklist(\"amdgpu\")",
                "/etc/modprobe.d/black.conf:2 Blacklist(\"nouveau\")",
                "/etc/modprobe.d/vfio.conf:2 DeviceIds(\"10de:2684,10de:22ba\")",
                "/proc/cmdline:0 DeviceIds(\"1002:73bf\")",
                &format!("/etc/driverctl.d/pci-0000:03:00.0:0 {:?}", LeftoverKind::Override(address)),
                "/etc/udev/rules.d/99.rules:1 Rule(\"resourceN_resize\")",
                "/etc/udev/rules.d/99.rules:2 Rule(\"reset_method\")",
                "/etc/supergfxd.conf:0 Switcher",
            ]
        );
    }

    #[test]
    fn each_line_of_modprobe_is_told_apart() {
        let tree = tempfile::tempdir().unwrap();
        let directory = tree.path().join("etc/modprobe.d");
        std::fs::create_dir_all(&directory).unwrap();
        let text = "# ours\n\noptions vfio-pci \\\n  ids=1002:73bf,1002:ab28\noptions vfio_pci disable_vga=1\nblacklist amdgpu\n\
                    softdep amdgpu pre: vfio-pci\nsoftdep amdgpu pre: drm\noptions snd power_save=1\n";
        std::fs::write(directory.join("vfio.conf"), text).unwrap();
        std::fs::write(directory.join("sound.conf"), "options snd power_save=1\n").unwrap();
        std::fs::write(directory.join("vfio.conf.before-vfio"), text).unwrap();
        let of = |text: &str| text.to_owned();
        let expected = vec![
            ModprobeLine::Vfio(of("1002:73bf,1002:ab28")),
            ModprobeLine::Vfio(String::new()),
            ModprobeLine::Blacklist(of("amdgpu")),
            ModprobeLine::After(of("amdgpu")),
            ModprobeLine::Other,
            ModprobeLine::Other,
        ];
        let found = modprobe_files(&Root::open(tree.path()).unwrap());
        assert_eq!(found, [("/etc/modprobe.d/vfio.conf".to_owned(), expected)]);
    }
}
