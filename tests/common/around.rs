// SPDX-License-Identifier: LGPL-2.1-or-later
//! What the kernel and udev show of a machine beside its PCI functions: what disks are made into, what is mounted, routes,
//! the firmware's framebuffer, platform devices.

use super::machine::Machine;
use super::parts::{Input, InputKind, Mount, Stack, StackKind};
use super::shown::Shown;
use super::text::Node;
use std::fmt::Write as _;

impl Shown {
    /// Shows what is around the functions: they are shown already.
    pub fn around(&mut self, machine: &Machine) {
        for (directory, disk) in &machine.disks {
            self.disk(directory, disk);
        }
        machine.stacks.iter().for_each(|stack| self.stack(stack));
        for (name, uuid, members) in &machine.btrfs {
            let path = format!("sys/fs/btrfs/{uuid}");
            self.file(format!("{path}/label"), 0o644, format!("{name}\n"));
            members.iter().for_each(|member| {
                let device = self.blocks[*member].0.clone();
                self.link(format!("{path}/devices/{member}"), &device);
            });
        }
        for pool in &machine.pools {
            // module/zfs/zfs_vfsops.c and os/linux/spl: a directory for each imported pool.
            self.file(format!("proc/spl/kstat/zfs/{pool}/state"), 0o444, "ONLINE\n");
        }
        for (name, properties) in &machine.udev {
            let (major, minor) = self.blocks[*name].1;
            let lines: String = properties.iter().map(|property| format!("E:{property}\n")).collect();
            self.file(format!("run/udev/data/b{major}:{minor}"), 0o644, format!("I:1000000\n{lines}G:systemd\nV:1\n"));
        }
        self.mounted(&machine.mounts, &machine.swaps);
        self.bridges(machine);
        self.routes(machine);
        for (bus, name, kind) in &machine.i8042 {
            let port = format!("sys/devices/platform/i8042/serio{bus}");
            self.device(&port, "bus/serio", "DRIVER=atkbd\n");
            self.input(&port, 0x11, &Input { name, kind: *kind });
        }
        for input in &machine.bluetooth {
            self.hid("sys/devices/virtual/misc/uhid", 5, (0x046d, 0xb369), input);
        }
        if machine.inhabited {
            // A power button is an input device that nobody can type on.
            let button = "sys/devices/LNXSYSTM:00/LNXPWRBN:00";
            self.input(button, 0x19, &Input { name: "Power Button", kind: InputKind::Keys });
        }
        if let Some(driver) = machine.tpm {
            self.tpm(driver);
        }
        for (group, line) in &machine.regions {
            let path = format!("sys/kernel/iommu_groups/{group}/reserved_regions");
            let Some(Node::File(_, old)) = self.nodes.get(&path) else { panic!("no group {group}") };
            let text = format!("{line}\n{}", String::from_utf8_lossy(old));
            self.file(path, 0o444, text);
        }
        for (path, node) in &machine.more {
            self.nodes.insert(path.clone(), node.clone());
        }
    }

    /// A block device made of others: each has it among its holders, and is a slave of it (`bd_link_disk_holder()`,
    /// block/holder.c).
    fn stack(&mut self, stack: &Stack) {
        let path = format!("sys/devices/virtual/block/{}", stack.name);
        let digits = stack.name.trim_start_matches(|c: char| !c.is_ascii_digit());
        let minor: u32 = digits.parse().unwrap();
        let major = match stack.kind {
            StackKind::Mapper(name, uuid) => {
                self.file(format!("{path}/dm/name"), 0o444, format!("{name}\n"));
                self.file(format!("{path}/dm/uuid"), 0o444, format!("{uuid}\n"));
                self.file(format!("{path}/dm/suspended"), 0o444, "0\n");
                253
            }
            StackKind::Array(level) => {
                self.file(format!("{path}/md/level"), 0o644, format!("{level}\n"));
                self.file(format!("{path}/md/array_state"), 0o644, "clean\n");
                9
            }
            StackKind::Cache => 252,
        };
        self.block(&path, stack.name, (major, minor), "disk");
        self.file(format!("{path}/removable"), 0o444, "0\n");
        self.directory(format!("{path}/slaves"));
        for below in &stack.on {
            let device = self.blocks.get(*below).unwrap_or_else(|| panic!("{}: no {below}", stack.name)).0.clone();
            self.link(format!("{path}/slaves/{below}"), &device);
            self.link(format!("{device}/holders/{}", stack.name), &path);
            if matches!(stack.kind, StackKind::Cache) {
                self.link(format!("{path}/bcache"), &device);
            }
        }
    }

    /// The path of a block device's node, as it is shown to people: devices of the mapper by their name.
    fn source(&self, name: &str) -> String {
        let Some((path, _)) = self.blocks.get(name) else { return name.to_owned() };
        match self.nodes.get(&format!("{path}/dm/name")) {
            Some(Node::File(_, mapped)) => format!("/dev/mapper/{}", String::from_utf8_lossy(mapped).trim()),
            _ => format!("/dev/{name}"),
        }
    }

    /// `mountinfo` of everybody and `swaps` (proc_pid_mountinfo(5), proc_swaps(5)). What is on btrfs, ZFS or the network
    /// has a number of its own, with the major 0.
    fn mounted(&mut self, mounts: &[Mount], swaps: &[&str]) {
        if mounts.is_empty() {
            return;
        }
        let mut text = String::new();
        let own = ["btrfs", "zfs", "nfs4", "overlay", "tmpfs"];
        for (n, mount) in mounts.iter().enumerate() {
            let number = match self.blocks.get(mount.source) {
                Some((_, (major, minor))) if !own.contains(&mount.kind) => format!("{major}:{minor}"),
                _ => format!("0:{}", 30 + n),
            };
            let (at, source) = (mount.at, self.source(mount.source));
            let parent = if at == "/" { 1 } else { 28 };
            writeln!(
                text,
                "{} {parent} {number} / {at} rw,relatime shared:{} - {} {source} rw",
                28 + n,
                n + 1,
                mount.kind
            )
            .unwrap();
        }
        for (n, (at, kind)) in [("/proc", "proc"), ("/sys", "sysfs"), ("/run", "tmpfs")].iter().enumerate() {
            writeln!(text, "{} 28 0:{} / {at} rw,nosuid shared:{} - {kind} {kind} rw", 70 + n, 5 + n, 20 + n).unwrap();
        }
        self.file("proc/1/mountinfo", 0o444, text.clone());
        self.file("proc/1/comm", 0o644, "systemd\n");
        self.file("proc/self/mountinfo", 0o444, text);
        let mut text = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n".to_owned();
        for name in swaps {
            // The kernel prints the path by which swapon(2) was told, with the links in it resolved.
            let (path, kind) = match name.strip_prefix('/') {
                Some(_) => ((*name).to_owned(), "file"),
                None => (format!("/dev/{name}"), "partition"),
            };
            writeln!(text, "{path:<39} {kind}\t8388604\t\t0\t\t-2").unwrap();
        }
        self.file("proc/swaps", 0o444, text);
    }

    /// Bridges and bonds: `br_add_if()` and `bond_enslave()` link them with their members both ways
    /// (`netdev_adjacent_sysfs_add()`, net/core/dev.c).
    fn bridges(&mut self, machine: &Machine) {
        for (name, kind, members) in &machine.bridges {
            let path = format!("sys/devices/virtual/net/{name}");
            let devtype = format!("DEVTYPE={kind}\n");
            self.named_interface(&path, name, true, &devtype);
            for member in members {
                let below = self.interfaces[*member].clone();
                self.link(format!("{path}/lower_{member}"), &below);
                self.link(format!("{below}/upper_{name}"), &path);
                self.link(format!("{below}/master"), &path);
            }
            match *kind {
                "bond" => self.file(format!("{path}/bonding/slaves"), 0o644, format!("{}\n", members.join(" "))),
                _ => self.file(format!("{path}/bridge/stp_state"), 0o644, "0\n"),
            }
        }
    }

    /// The routing tables: numbers as the kernel keeps them, so an address's bytes are the other way round on these
    /// machines (`fib_route_seq_show()`, net/ipv4/fib_trie.c; `rt6_info_route()` in net/ipv6/route.c).
    fn routes(&mut self, machine: &Machine) {
        if machine.routes.is_empty() && !machine.inhabited {
            return;
        }
        let header = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT";
        let mut four = format!("{header:<127}\n");
        let mut six = String::new();
        let zero = "0".repeat(32);
        for (interface, default) in &machine.routes {
            if *default {
                let line = format!("{interface}\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0");
                writeln!(four, "{line:<127}").unwrap();
                let gateway = "fe80000000000000020000fffe000001";
                writeln!(six, "{zero} 00 {zero} 00 {gateway} 00000400 00000001 00000000 00000003 {interface:>8}")
                    .unwrap();
            }
            let line = format!("{interface}\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0");
            writeln!(four, "{line:<127}").unwrap();
            let local = format!("fe80{}", "0".repeat(28));
            writeln!(six, "{local} 40 {zero} 00 {zero} 00000100 00000001 00000000 00000001 {interface:>8}").unwrap();
        }
        self.file("proc/net/route", 0o444, four);
        self.file("proc/net/ipv6_route", 0o444, six);
    }

    /// A TPM that the firmware describes in ACPI; of a firmware's own (AMD's fTPM in the security processor) nothing says
    /// which PCI function it needs (drivers/char/tpm/tpm_crb.c). A chip has another driver (tpm_tis.c).
    fn tpm(&mut self, driver: &str) {
        let acpi = "sys/devices/LNXSYSTM:00/LNXSYBUS:00/MSFT0101:00";
        self.device(acpi, "bus/acpi", &format!("DRIVER={driver}\nMODALIAS=acpi:MSFT0101:\n"));
        self.link(format!("{acpi}/driver"), &format!("sys/bus/acpi/drivers/{driver}"));
        self.link(format!("sys/bus/acpi/drivers/{driver}/MSFT0101:00"), acpi);
        self.node(&format!("{acpi}/tpm/tpm0"), "class/tpm", (10, 224), "tpm0", "");
        self.file(format!("{acpi}/tpm/tpm0/tpm_version_major"), 0o444, "2\n");
        self.node(&format!("{acpi}/tpmrm/tpmrm0"), "class/tpmrm", (253, 65536), "tpmrm0", "");
    }
}
