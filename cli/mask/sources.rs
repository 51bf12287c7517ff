// SPDX-License-Identifier: LGPL-2.1-or-later
//! The names that a machine knows and that tell whose it is: of itself, its users, networks, disks and guests.

use super::parameters;
use super::Mask;
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;
use vfio_suite::act::backend::tools_for;
use vfio_suite::config::{self, Config};
use vfio_suite::host::kernel_cmdline::KernelCmdline;
use vfio_suite::host::mounts;
use vfio_suite::pci::Address;
use vfio_suite::root::{Root, CONFIG_DIRS, CONFIG_FILE, RUN};
use vfio_suite::text;
use vfio_suite::text::shell_command;

/// How long a question may take.
const MOMENT: Duration = Duration::from_secs(5);

/// The configuration as it is installed: its sections, keys and values may be in everybody's configuration.
const SAMPLE: &str = include_str!("../../vfio.conf");

/// Words of our own sentences that are in no sample, and names that many machines have.
const COMMON: &str = "\
    systemctl now path vfio-sync check groups plan status doctor report rescan restore cmdline apply revert adopt rescue \
    sync setup services holders rebar reset list start stop only display dry run root user users admin administrator \
    localhost localdomain local lan home internal domain host guest guests gpu card cards kernel driver drivers device \
    devices windows linux debian ubuntu fedora arch gentoo opensuse nixos win10 win11 default system session service \
    virtual machine vm boot efi data disk none null true false enable disable enabled disabled yes amd intel nvidia \
    define FILE guest-os osinfo list virt-install lspci --user=NAME --vm=NAME \
    nouveau amdgpu i915 snd_hda_intel vfio iommu pci group name unknown video audio render input kvm libvirt qemu wheel \
    sudo intel-iommu intremap caching-mode on off virtio-iommu-pci virtio virt smmuv3 Above 4G decoding case \
    kernel-install add-all kernelstub -p P mkinitcpio key value undo virsh net-define model caching p getent passwd \
    Virtualization Technology for Directed I O IOMMU hot \
    vnc ip link lsscsi efibootmgr installkernel all nixos-rebuild ostree admin proxmox-auto-removal proxmox-boot-tool clean init \
    touch";

/// Input devices that every machine has.
const NOBODYS: [&str; 6] =
    ["AT Translated Set 2 keyboard", "Lid Switch", "PC Speaker", "Power Button", "Sleep Button", "Video Bus"];

/// Names that are shown, even if a person is called so.
fn is_common(name: &str) -> bool {
    let common = |text: &str| words(text).any(|word| word.eq_ignore_ascii_case(name));
    common(COMMON) || sample().any(common) || parameters::is_shown(name)
}

/// The lines of the sample that are configuration, switched off by a `#` without a blank behind it; the others are prose.
fn sample() -> impl Iterator<Item = &'static str> {
    SAMPLE.lines().map(|line| line.strip_prefix('#').unwrap_or(line)).filter(|line| !line.starts_with([' ', '#']))
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))).filter(|word| !word.is_empty())
}

/// What was found so far.
struct Names(BTreeMap<String, &'static str>);

impl Names {
    fn add(&mut self, kind: &'static str, name: &str) {
        let name = name.trim();
        // Where a function is tells whose machine it is as little as a number does, and a report is about it.
        let says_nothing = name.bytes().all(|b| b.is_ascii_digit()) || name.parse::<Address>().is_ok();
        if name.chars().count() > 2 && !is_common(name) && !says_nothing {
            // As it is printed.
            self.0.entry(text::line(name).to_lowercase()).or_insert(kind);
        }
    }
}

fn lines(root: &Root, path: &str) -> Vec<String> {
    // Of a file that is not text, or too long, nothing is known.
    root.read_text(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// Everything.
pub fn read(root: &Root) -> Mask {
    let config = config::load(root);
    let mut names = Names(BTreeMap::new());
    hosts(root, &mut names);
    users(root, &mut names);
    disks(root, &mut names);
    guests(root, &config, &mut names);
    parameters(root, &config, &mut names);
    devices(root, &mut names);
    let mut names: Vec<(String, &'static str)> = names.0.into_iter().collect();
    // One may begin with another.
    names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    let kernel = root.read_text("proc/sys/kernel/osrelease").unwrap_or_default();
    let names = super::by_letter(names);
    Mask { names, commands: commands(root), known: known(root, &config), kernel, ..Mask::default() }
}

/// What may stand in quotes.
fn known(root: &Root, config: &Config) -> HashSet<String> {
    let mut known: HashSet<String> = sample().flat_map(words).chain(words(COMMON)).map(str::to_owned).collect();
    for place in ["sys/module", "sys/bus/pci/drivers"] {
        known.extend(root.list(place).unwrap_or_default());
    }
    known.extend(config.gpus.iter().map(|gpu| gpu.name.clone()));
    known.extend(config.guests.iter().map(|guest| guest.name.clone()));
    // Sections that were there earlier in this boot.
    for place in ["status", "guest-status", "guests", "journal"] {
        known.extend(root.list(&format!("{RUN}/{place}")).unwrap_or_default());
    }
    known
}

/// The machine, its domains and networks.
fn hosts(root: &Root, names: &mut Names) {
    let mut add = |name: &str| {
        names.add("host", name);
        name.split('.').for_each(|part| names.add("host", part));
    };
    for file in
        ["proc/sys/kernel/hostname", "proc/sys/kernel/domainname", "etc/hostname", "etc/mailname", "etc/defaultdomain"]
    {
        lines(root, file).iter().for_each(|line| add(line.trim()));
    }
    for line in lines(root, "etc/hosts") {
        let line = line.split('#').next().unwrap_or_default();
        line.split_ascii_whitespace().skip(1).filter(|name| !name.starts_with("ip6-")).for_each(&mut add);
    }
    for file in ["etc/resolv.conf", "run/systemd/resolve/resolv.conf"] {
        for line in lines(root, file) {
            if let Some(("search" | "domain", domains)) = line.split_once([' ', '\t']) {
                domains.split_ascii_whitespace().for_each(&mut add);
            }
        }
    }
    for line in lines(root, "etc/machine-info") {
        if let Some(("PRETTY_HOSTNAME" | "LOCATION", value)) = line.split_once('=') {
            add(value.trim_matches('"'));
        }
    }
}

/// People: of the machine's list, of a directory service as far as they have been here, and of those who are logged in.
fn users(root: &Root, names: &mut Names) {
    let mut add = |name: &str| {
        names.add("user", name);
        // DOMAIN\user, user@domain.
        name.split(['\\', '@']).for_each(|part| names.add("user", part));
    };
    for line in lines(root, "etc/passwd") {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, id, _, full, ..] = fields[..] else { continue };
        // People, not services.
        if id.parse::<u32>().is_ok_and(|id| id >= 1000 && id != 65534) {
            add(name);
            full.split(',').for_each(&mut add);
            full.split([' ', ',']).for_each(&mut add);
        }
    }
    root.directories("home").unwrap_or_default().iter().for_each(|name| add(name));
    if root.is_system() {
        ["SUDO_USER", "USER", "LOGNAME"].iter().filter_map(|name| std::env::var(name).ok()).for_each(|name| add(&name));
    }
    let users = tools_for(root).run(&["loginctl", "list-users", "--no-legend"], MOMENT).unwrap_or_default();
    users.lines().filter_map(|line| line.split_whitespace().nth(1)).filter(|name| *name != "root").for_each(add);
}

/// Disks, file systems and what is made of them.
fn disks(root: &Root, names: &mut Names) {
    for device in root.list("sys/class/block").unwrap_or_default() {
        let read = |name: &str| root.read_text(&format!("sys/class/block/{device}/{name}")).unwrap_or_default();
        let mapped = read("dm/name");
        names.add("volume", &mapped);
        // LVM's groups and volumes, with a "-" of their own doubled.
        mapped.replace("--", "\0").split('-').for_each(|part| names.add("volume", &part.replace('\0', "-")));
        names.add("volume", &read("md/array_name"));
        ["serial", "device/serial", "wwid", "device/wwid"].iter().for_each(|name| names.add("disk", &read(name)));
    }
    for name in root.list("dev/mapper").unwrap_or_default().iter().filter(|name| *name != "control") {
        names.add("volume", name);
    }
    root.list("dev/md").unwrap_or_default().iter().for_each(|name| names.add("volume", name));
    for uuid in root.list("sys/fs/btrfs").unwrap_or_default() {
        names.add("label", &root.read_text(&format!("sys/fs/btrfs/{uuid}/label")).unwrap_or_default());
    }
    for kind in ["label", "partlabel", "id", "uuid", "partuuid"] {
        root.list(&format!("dev/disk/by-{kind}")).unwrap_or_default().iter().for_each(|name| names.add(kind, name));
    }
    for mount in mounts::of_system(root) {
        let source = mount.source;
        if mount.kind == "zfs" {
            source.split('/').take(1).for_each(|pool| names.add("volume", pool));
        } else if source.starts_with("//") || source.contains(":/") {
            let host = source.trim_start_matches('/').split(['/', ':']).next().unwrap_or_default();
            names.add("host", host);
        }
    }
    for line in lines(root, "etc/crypttab") {
        names.add("volume", line.split_ascii_whitespace().next().unwrap_or_default());
    }
    for file in root.list("run/udev/data").unwrap_or_default().iter().filter(|name| name.starts_with('b')) {
        for line in lines(root, &format!("run/udev/data/{file}")) {
            match line.strip_prefix("E:").and_then(|line| line.split_once('=')) {
                Some(("ID_FS_LABEL" | "ID_PART_ENTRY_NAME", value)) => names.add("label", value),
                Some((
                    "ID_SERIAL" | "ID_SERIAL_SHORT" | "ID_WWN" | "DM_NAME" | "DM_VG_NAME" | "DM_LV_NAME" | "MD_NAME",
                    value,
                )) => {
                    names.add("disk", value);
                }
                _ => {}
            }
        }
    }
}

/// What people have named of their devices: interfaces of networks, and keyboards.
fn devices(root: &Root, names: &mut Names) {
    for interface in root.list("sys/class/net").unwrap_or_default() {
        if !super::context::is_interface(&interface) {
            names.add("interface", &interface);
        }
    }
    for input in root.list("sys/class/input").unwrap_or_default() {
        let name = root.read_text(&format!("sys/class/input/{input}/name")).unwrap_or_default();
        if !NOBODYS.contains(&name.as_str()) {
            names.add("name", &name);
        }
    }
}

/// libvirt's domains, the users' commands and their words.
fn guests(root: &Root, config: &Config, names: &mut Names) {
    for guest in &config.guests {
        names.add("domain", &guest.domain);
        for words in guest.before.iter().chain(&guest.after).chain([&guest.command]) {
            command(&words.iter().map(String::as_str).collect::<Vec<_>>(), names);
        }
    }
    // A section with an error does not count, and is talked of all the same.
    for (key, value) in settings(root) {
        match key.as_str() {
            "domain" => names.add("domain", &value),
            "before" | "after" | "command" => command(&value.split_whitespace().collect::<Vec<_>>(), names),
            _ => {}
        }
    }
    for directory in ["etc/libvirt/qemu", "run/libvirt/qemu"] {
        for file in root.list(directory).unwrap_or_default() {
            if let Some((name, "xml" | "pid")) = file.rsplit_once('.') {
                names.add("domain", name);
            }
        }
    }
}

/// A command of the user's, and its words.
fn command(words: &[&str], names: &mut Names) {
    names.add("command", &words.join(" "));
    names.add("command", &shell_command(words));
    // An option's name says what it is; what it is set to may be a secret.
    for word in words.iter().skip(1).filter(|word| !word.starts_with(['-', '/']) && word.len() > 5) {
        names.add("", word.trim_matches(['"', '\'']));
        word.split([',', '=']).filter(|part| part.len() > 7).for_each(|part| names.add("", part));
    }
}

/// What the configuration sets, right or wrong.
fn settings(root: &Root) -> Vec<(String, String)> {
    let mut files = vec![CONFIG_FILE.to_owned()];
    for directory in CONFIG_DIRS {
        files.extend(root.list(directory).unwrap_or_default().iter().map(|name| format!("{directory}/{name}")));
    }
    let lines = files.iter().flat_map(|file| lines(root, file));
    let settings = lines.filter_map(|line| {
        let (key, value) = line.split_once('=')?;
        Some((key.trim().to_owned(), value.trim().to_owned()))
    });
    settings.collect()
}

/// What is masked on the kernel's command line is masked wherever else it is said.
fn parameters(root: &Root, config: &Config, names: &mut Names) {
    let running = KernelCmdline::read(root);
    let lasting = config.host.kernel_parameters.iter().map(String::as_str);
    let settings = settings(root);
    let wrong =
        settings.iter().filter(|(key, _)| key == "kernel-parameters").flat_map(|(_, value)| parameters::words(value));
    for word in running.iter().chain(lasting).chain(wrong) {
        match parameters::parts(word) {
            (key, _) if parameters::is_shown(key) => {}
            (_, Some(value)) if value.len() > 5 && !value.starts_with('/') => names.add("", value),
            (flag, None) if flag.len() > 4 => names.add("", flag),
            _ => {}
        }
    }
}

/// The commands of all processes.
fn commands(root: &Root) -> BTreeMap<u32, String> {
    let pids = root.list("proc").unwrap_or_default().into_iter().filter_map(|name| name.parse().ok());
    let command = |pid: u32| Some((pid, text::line(&root.read_text(&format!("proc/{pid}/comm")).ok()?).into_owned()));
    pids.filter_map(command).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a command everything is a name that may be one; the card that it is about is none.
    #[test]
    fn a_function_in_a_command_is_shown() {
        let mut names = Names(BTreeMap::new());
        command(&["/usr/bin/qemu", "-device", "vfio-pci,host=0000:01:00.1,serial=tower-disk-7"], &mut names);
        command(&["/usr/bin/start", "0000:01:00.0"], &mut names);
        let names: Vec<&str> = names.0.keys().map(String::as_str).collect();
        assert!(names.contains(&"tower-disk-7"), "{names:?}");
        assert!(!names.contains(&"0000:01:00.1") && !names.contains(&"0000:01:00.0"), "{names:?}");
    }
}
