// SPDX-License-Identifier: LGPL-2.1-or-later
//! QEMU and its helpers as libvirt knows them: machines, the program that shares directories, what its user may use.

use super::accounts::{self, User};
use crate::root::Root;
use roxmltree::{Document, ParsingOptions};
use rustix::fs::{FileType, OFlags, Stat};
use serde_json::Value;
use std::io::Read;

/// A part of QEMU that is a file of its own where distributions build it so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Module {
    /// Sound by PipeWire.
    Pipewire,
    /// Sound by PulseAudio.
    Pulseaudio,
    /// Sound by JACK.
    Jack,
    /// A display that is seen by Spice.
    Spice,
}

impl Module {
    /// That of a kind of `<audio>` in a domain.
    pub fn of_sound(kind: &str) -> Option<Module> {
        match kind {
            "pipewire" => Some(Module::Pipewire),
            "pulseaudio" => Some(Module::Pulseaudio),
            "jack" => Some(Module::Jack),
            _ => None,
        }
    }

    fn file(self) -> &'static str {
        match self {
            Module::Pipewire => "audio-pipewire.so",
            Module::Pulseaudio => "audio-pa.so",
            Module::Jack => "audio-jack.so",
            Module::Spice => "ui-spice-core.so",
        }
    }

    /// Whether the distribution's QEMU is built in parts (`--enable-modules`: then all of these are files) and this one is not
    /// installed.
    pub fn is_missing(self, root: &Root) -> bool {
        let files = MODULES.iter().flat_map(|directory| root.list(directory).unwrap_or_default());
        let files: Vec<String> = files.filter(|name| name.ends_with(".so")).collect();
        !files.is_empty() && !files.iter().any(|name| name == self.file())
    }
}

/// Where distributions have them: Debian and Ubuntu, Fedora and openSUSE, Arch Linux.
const MODULES: [&str; 4] =
    ["usr/lib/x86_64-linux-gnu/qemu", "usr/lib/aarch64-linux-gnu/qemu", "usr/lib64/qemu", "usr/lib/qemu"];

/// Where libvirt's system daemon keeps what it has found out about emulators (`src/qemu/qemu_capabilities.c`).
const CACHE: &str = "var/cache/libvirt/qemu/capabilities";
/// A file of it has some 200 KiB; nothing larger is read.
const LARGEST: u64 = 4 << 20;
/// It has some 10,000 elements.
const MOST_NODES: u32 = 200_000;
/// More files than emulators are not looked at.
const MOST: usize = 64;

/// The machines that an emulator knows, with their other names, as libvirt has found out; `None` where it has not, or where
/// the emulator was changed since. `by` is `kvm` or `qemu`.
pub fn machines(root: &Root, emulator: &str, by: &str) -> Option<Vec<String>> {
    let changed = root.stat(emulator.trim_start_matches('/')).ok()?.st_ctime;
    let by = if by == "kvm" { "kvm" } else { "tcg" };
    let files = root.list(CACHE).ok()?;
    files.iter().filter(|name| name.ends_with(".xml")).take(MOST).find_map(|name| {
        let mut text = String::new();
        let file = root.open_regular(&format!("{CACHE}/{name}")).ok()?;
        file.take(LARGEST).read_to_string(&mut text).ok()?;
        // Other emulators' files are not parsed.
        if !text.contains(&format!("<emulator>{emulator}</emulator>")) {
            return None;
        }
        let how = ParsingOptions { nodes_limit: MOST_NODES, ..ParsingOptions::default() };
        let document = Document::parse_with_options(&text, how).ok()?;
        let top = document.root_element();
        let of = |name: &str| top.children().find(|n| n.has_tag_name(name)).and_then(|n| n.text());
        if of("emulator") != Some(emulator) || of("qemuctime")?.trim().parse() != Ok(changed) {
            return None;
        }
        let machines = top.descendants().filter(|n| n.has_tag_name("machine"));
        let of_kind = machines.filter(|n| n.attribute("type").is_none_or(|kind| kind == by));
        let names = of_kind.flat_map(|n| n.attribute("name").into_iter().chain(n.attribute("alias")));
        Some(names.map(str::to_owned).collect::<Vec<_>>()).filter(|names| !names.is_empty())
    })
}

/// Where QEMU's programs and firmware are described: a file in the first hides the one with its name in the other, also an empty
/// one (`docs/interop/firmware.json`, `vhost-user.json` of QEMU).
const DESCRIPTIONS: [&str; 2] = ["etc/qemu", "usr/share/qemu"];

/// The descriptions of a kind, `firmware` or `vhost-user`.
fn descriptions(root: &Root, kind: &str) -> Vec<Value> {
    let (mut seen, mut found) = (Vec::new(), Vec::new());
    for directory in DESCRIPTIONS {
        for name in root.list(&format!("{directory}/{kind}")).unwrap_or_default() {
            if seen.contains(&name) || !name.ends_with(".json") {
                continue;
            }
            let text = root.read_regular(&format!("{directory}/{kind}/{name}")).unwrap_or_default();
            seen.push(name);
            found.extend(serde_json::from_slice(&text));
        }
    }
    found
}

/// Whether libvirt finds a program that shares directories: one of type `fs`, which is there.
pub fn has_virtiofsd(root: &Root) -> bool {
    let shares = |about: &Value| {
        let program = about.get("binary").and_then(Value::as_str);
        about.get("type").and_then(Value::as_str) == Some("fs")
            && program.is_some_and(|path| root.exists(path.trim_start_matches('/')))
    };
    descriptions(root, "vhost-user").iter().any(shares)
}

/// Whether libvirt finds UEFI firmware for guests.
pub fn has_uefi(root: &Root) -> bool {
    let is_uefi = |about: &Value| {
        let interfaces = about.get("interface-types").and_then(Value::as_array);
        interfaces.is_some_and(|all| all.iter().any(|interface| interface.as_str() == Some("uefi")))
    };
    descriptions(root, "firmware").iter().any(is_uefi)
}

/// Whether a user may read and write a node, by its mode: libvirt changes nothing of a node that only QEMU's arguments name.
pub fn may_use(root: &Root, user: &User, node: &str) -> bool {
    let Ok(stat) = root.stat(node.trim_start_matches('/')) else { return true };
    !FileType::from_raw_mode(stat.st_mode).is_char_device() || permits(root, user, &stat)
}

/// Whether a user may read and write what is there, by its mode.
pub fn permits(root: &Root, user: &User, stat: &Stat) -> bool {
    allows(root, user, stat, 0o6)
}

/// What keeps a user from reading a file, by owners and modes: the file, or the first directory that may not be entered. libvirt
/// changes neither for the ROM of a host device. Who has an access control list is taken to be let in.
pub fn unreadable(root: &Root, user: &User, path: &str) -> Option<String> {
    let path = path.trim_start_matches('/');
    let directories = path.match_indices('/').map(|(end, _)| (&path[..end], 0o1));
    let closed = |(place, wanted): &(&str, u32)| {
        let is_closed = root.stat(place).is_ok_and(|stat| !allows(root, user, &stat, *wanted));
        is_closed && !has_list(root, place)
    };
    directories.chain([(path, 0o4)]).find(closed).map(|(place, _)| format!("/{place}"))
}

/// The attribute that a file has beside its mode where more than that decides (acl(5)).
const ACCESS_LIST: &str = "system.posix_acl_access";

fn has_list(root: &Root, path: &str) -> bool {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = root.open_at(path, flags, rustix::fs::Mode::empty());
    file.is_ok_and(|file| rustix::fs::fgetxattr(file, ACCESS_LIST, &mut [0; 0][..]).is_ok_and(|length| length > 0))
}

/// Whether a user has these permissions (read 4, write 2, execute 1), by a mode.
fn allows(root: &Root, user: &User, stat: &Stat, wanted: u32) -> bool {
    if user.uid == 0 {
        return true;
    }
    let groups = accounts::groups(root).unwrap_or_default();
    let in_group = stat.st_gid == user.gid
        || groups.iter().any(|group| group.gid == stat.st_gid && group.members.contains(&user.name));
    let shift = match () {
        () if stat.st_uid == user.uid => 6,
        () if in_group => 3,
        () => 0,
    };
    stat.st_mode >> shift & wanted == wanted
}

/// The image with which a domain of the system's libvirt goes on at its next start, if one is kept
/// (`src/qemu/qemu_saveimage.c`).
pub fn saved_image(root: &Root, domain: &str) -> Option<String> {
    let path = format!("var/lib/libvirt/qemu/save/{domain}.save");
    (!domain.contains('/') && root.exists(&path)).then(|| format!("/{path}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    struct Machine(tempfile::TempDir);

    impl Machine {
        fn new() -> Machine {
            Machine(tempfile::tempdir().unwrap())
        }

        fn put(&self, path: &str, text: &str) {
            let path = self.0.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn root(&self) -> Root {
            Root::open(self.0.path()).unwrap()
        }
    }

    /// The form is that of libvirt's `tests/qemucapabilitiesdata`.
    #[test]
    fn machines_are_those_that_libvirt_has_found() {
        const EMULATOR: &str = "/usr/bin/qemu-system-x86_64";
        let machine = Machine::new();
        let known = |by: &str| machines(&machine.root(), EMULATOR, by);
        assert_eq!(known("kvm"), None, "no emulator");
        machine.put("usr/bin/qemu-system-x86_64", "");
        assert_eq!(known("kvm"), None, "nothing was found out");
        let changed = fs::metadata(machine.0.path().join("usr/bin/qemu-system-x86_64")).unwrap().ctime();
        let cache = |emulator: &str, changed: i64| {
            format!(
                "<qemuCaps>\n  <emulator>{emulator}</emulator>\n  <qemuctime>{changed}</qemuctime>\n  \
                 <machine type='kvm' name='pc-q35-9.2' alias='q35' maxCpus='288'/>\n  \
                 <machine type='tcg' name='pc-q35-9.1' maxCpus='288'/>\n</qemuCaps>\n"
            )
        };
        machine.put("var/cache/libvirt/qemu/capabilities/1.xml", &cache("/usr/bin/qemu-system-i386", changed));
        machine.put("var/cache/libvirt/qemu/capabilities/2.xml", &cache(EMULATOR, changed - 1));
        assert_eq!(known("kvm"), None, "the emulator was changed since");
        machine.put("var/cache/libvirt/qemu/capabilities/3.xml", &cache(EMULATOR, changed));
        assert_eq!(known("kvm").unwrap(), ["pc-q35-9.2", "q35"]);
        assert_eq!(known("qemu").unwrap(), ["pc-q35-9.1"]);
    }

    #[test]
    fn a_part_that_is_not_installed() {
        let machine = Machine::new();
        let missing = |module: Module| module.is_missing(&machine.root());
        assert!(!missing(Module::Pipewire), "QEMU is one file, or not there");
        // As Debian 13 has them without qemu-system-gui.
        machine.put("usr/lib/x86_64-linux-gnu/qemu/audio-alsa.so", "");
        machine.put("usr/lib/x86_64-linux-gnu/qemu/ui-spice-core.so", "");
        assert!(missing(Module::Pipewire) && missing(Module::Pulseaudio) && missing(Module::Jack));
        assert!(!missing(Module::Spice));
        machine.put("usr/lib/x86_64-linux-gnu/qemu/audio-pipewire.so", "");
        assert!(!missing(Module::Pipewire));
    }

    #[test]
    fn a_program_that_shares_directories_is_found_by_its_description() {
        let machine = Machine::new();
        let has = || has_virtiofsd(&machine.root());
        assert!(!has());
        machine.put("usr/share/qemu/vhost-user/40-gpu.json", "{\"type\": \"gpu\", \"binary\": \"/bin/x\"}");
        machine.put(
            "usr/share/qemu/vhost-user/50-virtiofsd.json",
            "{\"type\": \"fs\", \"binary\": \"/usr/libexec/virtiofsd\"}",
        );
        machine.put("bin/x", "");
        assert!(!has(), "the program is gone");
        machine.put("usr/libexec/virtiofsd", "");
        assert!(has());
        machine.put("etc/qemu/vhost-user/50-virtiofsd.json", "");
        assert!(!has(), "it is hidden");
    }

    #[test]
    fn firmware_is_found_by_its_description() {
        let machine = Machine::new();
        let has = || has_uefi(&machine.root());
        assert!(!has());
        machine.put("usr/share/qemu/firmware/50-seabios.json", "{\"interface-types\": [\"bios\"], \"x\": \"uefi\"}");
        assert!(!has(), "another interface");
        machine.put("usr/share/qemu/firmware/60-ovmf.json", "{\"interface-types\": [\"uefi\"]}");
        assert!(has());
        machine.put("etc/qemu/firmware/60-ovmf.json", "");
        assert!(!has(), "it is hidden");
    }

    #[test]
    fn a_file_is_read_by_who_may_enter_its_directories() {
        use std::os::unix::fs::PermissionsExt;
        let machine = Machine::new();
        machine.put("srv/roms/big.rom", "");
        let user = User { name: "libvirt-qemu".to_owned(), uid: 64055, gid: 64056 };
        let found = |directory: u32, file: u32| {
            let mode = |path: &str, mode: u32| {
                fs::set_permissions(machine.0.path().join(path), fs::Permissions::from_mode(mode)).unwrap();
            };
            mode("srv/roms/big.rom", file);
            mode("srv/roms", directory);
            let found = unreadable(&machine.root(), &user, "/srv/roms/big.rom");
            mode("srv/roms", 0o755);
            found
        };
        assert_eq!(found(0o755, 0o644), None);
        assert_eq!(found(0o711, 0o604), None, "a directory need not be listed");
        assert_eq!(found(0o750, 0o644).as_deref(), Some("/srv/roms"));
        assert_eq!(found(0o755, 0o640).as_deref(), Some("/srv/roms/big.rom"));
        let root = User { uid: 0, ..user.clone() };
        assert_eq!(unreadable(&machine.root(), &root, "/srv/roms/big.rom"), None);
    }

    #[test]
    fn a_saved_state_is_found_by_the_domains_name() {
        let machine = Machine::new();
        machine.put("var/lib/libvirt/qemu/save/win10.save", "");
        assert_eq!(saved_image(&machine.root(), "win10").as_deref(), Some("/var/lib/libvirt/qemu/save/win10.save"));
        assert_eq!(saved_image(&machine.root(), "win11"), None);
        assert_eq!(saved_image(&machine.root(), "../save/win10"), None);
    }
}
