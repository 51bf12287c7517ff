// SPDX-License-Identifier: LGPL-2.1-or-later
//! Paths: those of the system say what a report is about, all others whose machine it is.

/// A path, and how much of it is shown.
pub struct Cut {
    /// So many bytes are shown.
    pub shown: usize,
    /// So long is the whole path.
    pub length: usize,
}

/// Where everything may be seen.
const SYSTEM: [&str; 16] = [
    "/boot", "/bin", "/dev", "/efi", "/esp", "/etc", "/lib", "/lib32", "/lib64", "/ostree", "/proc", "/sbin", "/sys",
    "/usr", "/EFI", "/loader",
];
/// Below places that are not the system's alone, those where everything may be seen.
const OURS: [&str; 10] = [
    "/run/vfio",
    "/run/vfio.conf.d",
    "/run/systemd",
    "/run/udev",
    "/run/libvirt",
    "/run/booted-system",
    "/run/current-system",
    "/var/lib/vfio",
    "/run/initramfs",
    "/run/lock",
];
/// Places whose names may be seen, but nothing below them.
const TO_HERE: [&str; 23] = [
    "/home",
    "/root",
    "/mnt",
    "/media",
    "/srv",
    "/opt",
    "/tmp",
    "/data",
    "/run",
    "/run/user",
    "/run/media",
    "/var",
    "/var/lib",
    "/var/log",
    "/var/tmp",
    "/var/cache",
    "/var/lib/libvirt",
    "/var/lib/libvirt/images",
    "/var/lib/libvirt/qemu",
    "/var/lib/libvirt/qemu/nvram",
    "/nix",
    "/nix/store",
    "/usr/local",
];
/// Below places of the system, those where a person or a disk gave the names.
const NAMED: [&str; 10] = [
    "/dev/input/by-id/",
    "/dev/serial/",
    "/dev/mapper/",
    "/dev/md/",
    "/dev/zvol/",
    "/etc/NetworkManager/",
    "/etc/libvirt/",
    "/etc/ssh/",
    "/etc/wireguard/",
    "/etc/netplan/",
];
/// Directories in /dev that the kernel or udev makes; of another one the volume group has the name.
const DEV: [&str; 17] = [
    "block",
    "bus",
    "char",
    "cpu",
    "disk",
    "dri",
    "fd",
    "hugepages",
    "infiniband",
    "input",
    "mapper",
    "md",
    "net",
    "nvidia-caps",
    "shm",
    "snd",
    "vfio",
];

/// Names that every machine may have in places where others are somebody's.
const COMMON: &str = " . .. AccountsService audit audit.log autostart bin cache capabilities control dbus default.xml disks dnsmasq \
    dpkg home hooks images lib libvirt linger lock log lxc media mnt network networks nvram nwfilter opt ostree pacman pulse qemu \
    qemu.conf qemu.d libvirtd.conf virtqemud.conf network.conf rpm save sbin secrets share srv state storage swtpm system \
    system_bus_socket tmp user users var win10 win11 modprobe.d kernel uki.conf .rpm.lock db.lck native pipewire-0 \
    wayland-0 bus roms iso boot efi EFI root run etc usr dev proc sys ";

/// Whether such a name is shown anywhere. A number says nothing.
pub fn is_common(name: &str) -> bool {
    COMMON.contains(&format!(" {name} ")) || name.bytes().all(|b| b.is_ascii_digit())
}

/// What a name in a directory of links to disks is, where it is not just a name.
pub fn kind(path: &str) -> Option<&'static str> {
    let (by, name) = path.strip_prefix("/dev/disk/by-")?.split_once('/')?;
    match by {
        _ if name.is_empty() => None,
        "uuid" | "partuuid" => Some("uuid"),
        "label" | "partlabel" => Some("label"),
        _ => None,
    }
}

fn below(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The path that the text begins with. Where a quote stands before it, it may have blanks.
pub fn at(text: &str, before: Option<char>) -> Option<Cut> {
    if !text.starts_with('/') || before.is_some_and(|c| super::kinds::is_word(c) || matches!(c, '/' | '.' | '*')) {
        return None;
    }
    // The end of an element.
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ':' | '.');
    let name = text[1..].find(|c: char| !is_of_name(c)).map_or(text.len(), |at| at + 1);
    if before == Some('<') && text[name..].starts_with('>') {
        return None;
    }
    let quoted = before.filter(|c| matches!(c, '\'' | '"')).and_then(|quote| text.find(quote));
    let length = quoted.unwrap_or_else(|| super::kinds::token(text));
    // "/etc/vfio.conf:3" is a path and a line.
    let length = match text[..length].find(':') {
        Some(at) if quoted.is_none() && !text.starts_with("/dev/") => at,
        _ => length,
    };
    let path = &text[..length];
    let kernel = path.rsplit('/').next().is_some_and(|name| {
        ["vmlinuz", "initr", "linux", "booster", "bzImage", "Image"].iter().any(|start| name.starts_with(start))
    });
    if kernel && path.matches('/').count() == 1 || OURS.iter().any(|place| below(path, place)) {
        return Some(Cut { shown: length, length });
    }
    if let Some(place) = NAMED.iter().find(|place| path.starts_with(**place)) {
        return Some(Cut { shown: place.len(), length });
    }
    if let Some(rest) = path.strip_prefix("/dev/disk/by-") {
        let shown = rest.find('/').map_or(length, |at| length - rest.len() + at + 1);
        return Some(Cut { shown, length });
    }
    if path.starts_with("/usr/local/") {
        return Some(Cut { shown: path.rfind('/')? + 1, length });
    }
    if let Some(name) = path.strip_prefix("/dev/").and_then(|rest| rest.split_once('/')) {
        let shown = if DEV.contains(&name.0) { length } else { "/dev/".len() };
        return Some(Cut { shown, length });
    }
    if SYSTEM.iter().any(|place| below(path, place)) {
        return Some(Cut { shown: length, length });
    }
    let place = TO_HERE.iter().filter(|place| below(path, place)).map(|place| place.len()).max();
    let shown = match place {
        Some(shown) if length > shown + 1 => shown + 1,
        None if length > 1 => 0,
        _ => length,
    };
    Some(Cut { shown, length })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_the_system_are_shown_as_a_whole() {
        for (text, shown) in [
            ("/etc/vfio.conf:3: error", "/etc/vfio.conf"),
            ("/boot/loader/entries/arch.conf, and", "/boot/loader/entries/arch.conf"),
            ("/sys/bus/pci/devices/0000:03:00.0/driver", "/sys/bus/pci/devices/0000"),
            ("/vmlinuz-linux", "/vmlinuz-linux"),
            ("/dev/dri/card0", "/dev/dri/card0"),
            ("/dev/nvme0n1p2)", "/dev/nvme0n1p2"),
            ("/dev/vfio/15", "/dev/vfio/15"),
            ("/run/vfio/journal/big", "/run/vfio/journal/big"),
            ("/home", "/home"),
            ("/", "/"),
            ("/home/anna/x", "/home/(path)"),
            ("/mnt/backup", "/mnt/(path)"),
            ("/annas-data", "(path)"),
            ("/annas/data", "(path)"),
            ("/var/lib/libvirt/images/win.qcow2", "/var/lib/libvirt/images/(path)"),
            ("/var/lib/other/x", "/var/lib/(path)"),
            ("/dev/mapper/vg-anna", "/dev/mapper/(path)"),
            ("/dev/vg/anna", "/dev/(path)"),
            ("/dev/disk/by-id/nvme-Big", "/dev/disk/by-id/(path)"),
            ("/dev/disk/by-label/anna", "/dev/disk/by-label/(path)"),
            ("/usr/local/bin/annas", "/usr/local/bin/(path)"),
            ("/run/media/anna/stick", "/run/media/(path)"),
            ("/run/user/1000/x", "/run/user/(path)"),
        ] {
            let cut = at(text, None).unwrap_or(Cut { shown: 0, length: 0 });
            let rest = if cut.shown < cut.length { "(path)" } else { "" };
            assert_eq!(format!("{}{rest}", &text[..cut.shown]), shown, "{text}");
        }
        let cut = at("/home/a b.qcow2' is", Some('\'')).map(|cut| cut.length);
        assert_eq!(cut, Some("/home/a b.qcow2".len()));
        assert!(at("/or", Some('d')).is_none());
        for end in ["/name>", "/on_poweroff>", "/vfio:kept>", "/suspend-to-mem>"] {
            assert!(at(end, Some('<')).is_none(), "{end}");
        }
        assert!(at("/annas_data", Some('<')).is_some());
    }
}
