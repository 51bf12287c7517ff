// SPDX-License-Identifier: LGPL-2.1-or-later
//! No plan takes what the host lives on: on every machine and for every configuration, no function that carries the root file
//! system, swap or other data, and, unless the file says so, neither the last keyboard nor the last display.
//!
//! What the host lives on is told from how the test has described the machine, never from what the programs read of it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::machine::Machine;
use common::parts::{self, Disk, Interface, Part, StackKind};
use common::{cards, hosts, Function};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use vfio_suite::config::{self, Config, Functions};
use vfio_suite::host::usage::Use;
use vfio_suite::host::{Depth, Host};
use vfio_suite::pci::Address;
use vfio_suite::plan::boot::Stage;
use vfio_suite::plan::selection::Selection;
use vfio_suite::plan::{bind, boot, Plan, Step};
use vfio_suite::root::Root;
use vfio_suite::survey;

/// What the host lives on, by addresses as text.
#[derive(Debug, Default)]
struct Needs {
    /// Functions with data on them, or above those.
    data: BTreeSet<String>,
    /// Of each keyboard the functions above it; none for one that hangs on no function.
    keyboards: Vec<BTreeSet<String>>,
}

/// A function and the bridges above it.
fn with_bridges(machine: &Machine, address: &str) -> BTreeSet<String> {
    let mut above = BTreeSet::new();
    let mut next = Some(address.to_owned());
    while let Some(address) = next {
        next = machine.functions.iter().find(|f| f.address == address).and_then(|f| f.under.clone());
        above.insert(address);
    }
    above
}

/// The names of a disk and its partitions.
fn names(disk: &Disk) -> Vec<String> {
    let between = if disk.name.ends_with(|c: char| c.is_ascii_digit()) { "p" } else { "" };
    let partitions = (1..=disk.partitions).map(|n| format!("{}{between}{n}", disk.name));
    std::iter::once(disk.name.to_owned()).chain(partitions).collect()
}

/// What a description says that the host lives on.
fn needs(machine: &Machine) -> Needs {
    let mut needs = Needs::default();
    let mut disks: BTreeMap<String, String> = BTreeMap::new();
    let mut interfaces: BTreeMap<&str, &str> = BTreeMap::new();
    for function in &machine.functions {
        let mut add =
            |disk: &Disk| names(disk).into_iter().for_each(|n| drop(disks.insert(n, function.address.clone())));
        for part in &function.parts {
            match part {
                Part::Nvme(disk) | Part::NvmePaths(disk) | Part::Ata(disk) | Part::Scsi(disk) | Part::Virtio(disk) => {
                    add(disk);
                }
                Part::Net(net) | Part::VirtioNet(net) => drop(interfaces.insert(net.name, &function.address)),
                Part::Usb(usb) => {
                    for interface in &usb.interfaces {
                        match interface {
                            Interface::Storage(disk) => add(disk),
                            Interface::Net(net) => drop(interfaces.insert(net.name, &function.address)),
                            Interface::Input(input) if input.kind == parts::InputKind::Keyboard => {
                                needs.keyboards.push(with_bridges(machine, &function.address));
                            }
                            Interface::Input(_) | Interface::Other(..) => {}
                        }
                    }
                }
                Part::I2c(input) if input.kind == parts::InputKind::Keyboard => {
                    needs.keyboards.push(with_bridges(machine, &function.address));
                }
                Part::I2c(_) => {}
            }
        }
    }
    let ps2 = machine.i8042.iter().filter(|(_, _, kind)| *kind == parts::InputKind::Keyboard);
    needs.keyboards.extend(ps2.map(|_| BTreeSet::new()));

    // Devices in use: mounted, swapped to, members of what is mounted or of anything that is made of them.
    let mut used: Vec<String> = machine.mounts.iter().map(|mount| mount.source.to_owned()).collect();
    used.extend(machine.swaps.iter().map(|swap| (*swap).to_owned()));
    used.extend(machine.btrfs.iter().flat_map(|(_, _, members)| members).map(|member| (*member).to_owned()));
    used.extend(machine.stacks.iter().flat_map(|stack| &stack.on).map(|below| (*below).to_owned()));
    for (name, properties) in &machine.udev {
        let pool = properties.iter().find_map(|property| property.strip_prefix("ID_FS_LABEL="));
        let member = properties.contains(&"ID_FS_TYPE=zfs_member");
        used.extend(pool.filter(|pool| member && machine.pools.contains(pool)).map(|_| (*name).to_owned()));
    }
    for device in &used {
        needs.data.extend(disks.get(device).into_iter().flat_map(|address| with_bridges(machine, address)));
    }
    if machine.mounts.iter().any(|mount| mount.at == "/" && mount.kind.starts_with("nfs")) {
        let default = machine.routes.iter().filter(|(_, default)| *default);
        for (name, _) in default {
            let members = machine.bridges.iter().filter(|(bridge, _, _)| bridge == name).flat_map(|(_, _, m)| m);
            for interface in members.chain(std::iter::once(name)) {
                let address = interfaces.get(interface).into_iter();
                needs.data.extend(address.flat_map(|address| with_bridges(machine, address)));
            }
        }
    }
    needs
}

/// The functions that a plan takes from the host.
fn taken(plan: &Plan) -> BTreeSet<String> {
    let function = |step: &Step| match step {
        Step::Override { function, .. }
        | Step::Unbind { function, .. }
        | Step::Probe { function, .. }
        | Step::Free { function }
        | Step::Remove { function } => Some(function.to_string()),
        _ => None,
    };
    plan.steps.iter().filter_map(function).collect()
}

/// Whether the section names a function with its own number or address.
fn names_it(selection: &Selection<'_>, address: &str) -> bool {
    let named = selection.gpu.device.value.to_string() == address
        || selection.gpu.also.iter().any(|also| also.value.to_string() == address);
    let number = |n: u8| selection.selected.as_ref().is_ok_and(|c| c.slot.function(n).to_string() == address);
    named || matches!(&selection.gpu.functions, Functions::Listed(listed) if listed.value.iter().any(|n| number(*n)))
}

/// What was seen over many cases, so that nobody mistakes a test that tries nothing for one that finds nothing.
#[derive(Debug, Default)]
struct Seen {
    plans: usize,
    refused_for_data: usize,
    late: usize,
}

/// Looks at every plan that is made of a configuration on a machine.
fn check(machine: &Machine, root: &Root, text: &str, seen: &mut Seen) -> Result<(), String> {
    let config = config::parse_files(&[("/etc/vfio.conf", text.as_bytes())]);
    let needs = needs(machine);
    at_boot(machine, root, &config, &needs, seen)?;
    for gpu in &config.gpus {
        let Ok((selection, host)) = survey::card_now(root, &config, &gpu.name) else { continue };
        let Ok(selected) = &selection.selected else {
            seen.refused_for_data +=
                usize::from(selection.selected.as_ref().is_err_and(|f| f.text.contains("no guest can have it")));
            continue;
        };
        let functions: BTreeSet<String> = selected.functions.iter().map(ToString::to_string).collect();
        if let Some(lost) = functions.intersection(&needs.data).next() {
            return Err(format!("[gpu {}] may have {lost}, which has data on it", gpu.name));
        }
        let gone = |keyboard: &BTreeSet<String>| keyboard.intersection(&functions).next().cloned();
        let keyboards: Option<Vec<String>> = needs.keyboards.iter().map(gone).collect();
        if let Some(last) = keyboards.into_iter().flatten().next().filter(|function| !names_it(&selection, function)) {
            return Err(format!("[gpu {}] takes the last keyboard with {last}, and no line names that", gpu.name));
        }
        let plan = bind::plan(&selection, &host, &Default::default());
        seen.plans += usize::from(!plan.steps.is_empty());
    }
    Ok(())
}

/// The plans of a boot: in the initramfs, where nothing is mounted; with the root alone; with all that is mounted.
fn at_boot(machine: &Machine, root: &Root, config: &Config, needs: &Needs, seen: &mut Seen) -> Result<(), String> {
    let forbid = |plans: &[Plan], when: &str| {
        let lost = plans.iter().find_map(|plan| taken(plan).intersection(&needs.data).next().cloned());
        lost.map_or(Ok(()), |function| Err(format!("{when}: {function} is taken, which has data on it")))
    };
    let (selections, whole) = survey::admitted(root, config, Depth::Full);
    let mut blind = Host { usage: Vec::new(), ..whole.clone() };
    let mut unadmitted = boot::selections(config, &blind);
    boot::admit(&mut unadmitted, &blind);
    forbid(&boot::early(&unadmitted, &blind), "in the initramfs")?;
    let root_only =
        |usage: &vfio_suite::host::usage::Usage| matches!(&usage.what, Use::Mounted { at, .. } if at == "/");
    blind.usage = whole.usage.iter().filter(|usage| root_only(usage)).cloned().collect();
    let mut early = boot::selections(config, &blind);
    boot::admit(&mut early, &blind);
    forbid(&boot::early(&early, &blind), "before local file systems")?;
    seen.late += early.iter().filter(|selection| boot::waits_for_file_systems(selection, &blind)).count();
    let plans: Vec<Plan> = selections
        .iter()
        .filter(|selection| selection.selected.is_ok())
        .map(|selection| bind::plan(selection, &whole, &Default::default()))
        .collect();
    forbid(&plans, "when file systems are mounted")?;
    for selected in selections.iter().filter_map(|selection| selection.selected.as_ref().ok()) {
        let late = selected.functions.iter().filter(|f| boot::may_reserve(**f, &whole, Stage::Running));
        if let Some(function) = late.map(ToString::to_string).find(|function| needs.data.contains(function)) {
            return Err(format!("by udev: {function} is taken, which has data on it"));
        }
    }
    last_display(machine, config, &selections)
}

/// Without a word in the file some display stays that a monitor can hang on.
fn last_display(machine: &Machine, config: &Config, selections: &[Selection<'_>]) -> Result<(), String> {
    let taken: BTreeSet<String> = selections
        .iter()
        .filter_map(|selection| selection.selected.as_ref().ok())
        .flat_map(|selected| selected.functions.iter().map(Address::to_string))
        .collect();
    let outputs = |f: &&Function| f.class >> 16 == 0x03 && f.class >> 8 != 0x0302;
    let displays: Vec<&Function> = machine.functions.iter().filter(outputs).collect();
    let takes_one = displays.iter().any(|f| taken.contains(&f.address));
    let keeps_one = displays.iter().any(|f| !taken.contains(&f.address));
    let allowed = config.gpus.iter().any(|gpu| gpu.only_display);
    if takes_one && !keeps_one && !allowed {
        return Err("the last display is taken at boot".to_owned());
    }
    Ok(())
}

/// Every function of every machine, as the card and as a further device of the card.
#[test]
fn no_function_of_any_machine_is_taken_with_data_on_it() {
    let (mut seen, mut wrong) = (Seen::default(), Vec::new());
    for (name, machine) in hosts::all_layouts() {
        let tree = machine.build();
        let root = tree.root();
        let display = machine.functions.iter().rfind(|f| f.class >> 16 == 0x03).map(|f| f.address.clone());
        for function in &machine.functions {
            let address = &function.address;
            let mut texts = vec![
                format!("[gpu a]\ndevice = {address}\n"),
                format!(
                    "[gpu a]\ndevice = {address}\nfunctions = {}\nonly-display = yes\n",
                    &address[address.len() - 1..]
                ),
            ];
            texts.extend(
                display
                    .as_ref()
                    .map(|card| format!("[gpu a]\ndevice = {card}\nalso = {address}\nonly-display = yes\n")),
            );
            for text in texts {
                if let Err(why) = check(&machine, &root, &text, &mut seen) {
                    wrong.push(format!("{name}: {why}\n{text}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen.plans > 50, "{seen:?}");
}

/// What a random machine has its root, swap and data on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BootFile {
    FirstNvme,
    SecondNvme,
    Sata,
    Stick,
    /// A stick in the card's own USB port.
    StickInCard,
    Network,
}

#[derive(Debug, Clone)]
struct Case {
    root: BootFile,
    /// 0 plain, 1 LVM on dm-crypt, 2 btrfs with the second NVMe, 3 ZFS, 4 an array with SATA.
    made_of: u8,
    swap: Option<BootFile>,
    data: Option<BootFile>,
    /// Of the board's USB host, the card's and the keyboard controller: which has a keyboard.
    keyboards: [bool; 3],
    igpu: bool,
    second_card: bool,
    /// Everything in one group with the card, so that `also` may name it.
    one_group: bool,
    /// The first disk by a controller that may have several paths.
    paths: bool,
    sections: Vec<Section>,
}

#[derive(Debug, Clone)]
struct Section {
    device: usize,
    functions: u8,
    also: Vec<usize>,
    only_display: bool,
    guest: bool,
}

/// What a configuration may name.
const ADDRESSES: [&str; 9] = [
    "0000:0a:00.0",
    "0000:0a:00.2",
    "0000:0b:00.0",
    "0000:05:00.0",
    "0000:06:00.0",
    "0000:00:17.0",
    "0000:00:14.0",
    "0000:07:00.0",
    "0000:00:02.0",
];

impl Case {
    fn machine(&self) -> Machine {
        let group = |own: u32| if self.one_group { 40 } else { own };
        let mut card = cards::rtx2080("0000:0a:00", "0000:00:01.0", 40);
        card[0].boot_vga = !self.igpu;
        let nvme = |address: &str, under: &str, own: u32, name: &'static str, paths: bool| {
            let disk = parts::disk(name, 3);
            let mut function = cards::nvme(address, under, group(own));
            function.parts.push(if paths { Part::NvmePaths(disk) } else { Part::Nvme(disk) });
            function
        };
        let mut sata = cards::endpoint("0000:00:17.0", (0x8086, 0x7ae2), 0x01_0601, group(43)).driver("ahci");
        sata.parts.push(Part::Ata(parts::disk("sda", 3)));
        let mut usb = cards::endpoint("0000:00:14.0", (0x8086, 0x7ae0), 0x0c_0330, group(44)).driver("xhci_hcd");
        usb.parts.push(parts::mouse("3"));
        usb.parts.push(parts::stick("4", "sdb", 3));
        card[2].parts.push(parts::stick("1", "sdc", 3));
        if self.keyboards[0] {
            usb.parts.push(parts::keyboard("2"));
        }
        if self.keyboards[1] {
            card[2].parts.push(parts::keyboard("2"));
        }
        let mut net =
            cards::endpoint("0000:07:00.0", (0x8086, 0x15f3), 0x02_0000, group(45)).under("0000:00:1c.0").driver("igc");
        net.parts.push(parts::ethernet("enp7s0"));
        let mut machine = Machine::new().inhabited().route("enp7s0", true).with([
            cards::port("0000:00:01.0", (0x8086, 0x460d), 1),
            cards::port("0000:00:1a.0", (0x8086, 0x7ac8), 2),
            cards::port("0000:00:1b.0", (0x8086, 0x7ac9), 3),
            cards::port("0000:00:1c.0", (0x8086, 0x7aba), 4),
            cards::port("0000:00:1d.0", (0x8086, 0x7ab0), 5),
        ]);
        machine = machine.with(card).with([
            nvme("0000:05:00.0", "0000:00:1a.0", 41, "nvme0n1", self.paths),
            nvme("0000:06:00.0", "0000:00:1b.0", 42, "nvme1n1", false),
            sata,
            usb,
            net,
        ]);
        if self.igpu {
            let mut igpu = cards::igpu(0x4680, 6).connectors(&[("HDMI-A-1", true)]);
            igpu.boot_vga = true;
            machine = machine.with([igpu]);
        }
        if self.second_card {
            machine = machine.with(cards::rx6700xt("0000:0b:00", "0000:00:1d.0", group(46)));
        }
        if self.keyboards[2] {
            machine = machine.ps2_keyboard();
        }
        self.file_systems(machine)
    }

    fn file_systems(&self, mut machine: Machine) -> Machine {
        let partition = |place: BootFile, n: usize| -> &'static str {
            match place {
                BootFile::FirstNvme => ["nvme0n1p1", "nvme0n1p2", "nvme0n1p3"][n],
                BootFile::SecondNvme => ["nvme1n1p1", "nvme1n1p2", "nvme1n1p3"][n],
                BootFile::Sata => ["sda1", "sda2", "sda3"][n],
                BootFile::Stick => ["sdb1", "sdb2", "sdb3"][n],
                BootFile::StickInCard => ["sdc1", "sdc2", "sdc3"][n],
                BootFile::Network => "10.0.0.1:/srv/root",
            }
        };
        let root = partition(self.root, 0);
        machine = match self.made_of {
            _ if self.root == BootFile::Network => machine.mount("/", root, "nfs4"),
            1 => machine
                .stack("dm-0", StackKind::Mapper("cryptroot", "CRYPT-LUKS2-1-cryptroot"), &[root])
                .stack("dm-1", StackKind::Mapper("vg-root", "LVM-1"), &["dm-0"])
                .mount("/", "dm-1", "ext4"),
            2 if self.root != BootFile::SecondNvme => machine
                .btrfs("root", "5d0f4f0e-6a3c-4d0c-8f5e-b7f0f6c3a9d1", &[root, "nvme1n1p1"])
                .mount("/", root, "btrfs"),
            3 => machine.pool("rpool", "ID_FS_LABEL=rpool", &[root]).mount("/", "rpool/ROOT/debian", "zfs"),
            4 if self.root != BootFile::Sata => {
                machine.stack("md0", StackKind::Array("raid1"), &[root, "sda1"]).mount("/", "md0", "ext4")
            }
            _ => machine.mount("/", root, "ext4"),
        };
        if let Some(place) = self.data.filter(|place| *place != BootFile::Network) {
            machine = machine.mount("/srv", partition(place, 1), "xfs");
        }
        if let Some(place) = self.swap.filter(|place| *place != BootFile::Network) {
            machine = machine.swap(partition(place, 2));
        }
        machine
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for (n, section) in self.sections.iter().enumerate() {
            let bind = if section.guest { "guest" } else { "boot" };
            write!(text, "[gpu g{n}]\ndevice = {}\nbind = {bind}\n", ADDRESSES[section.device]).unwrap();
            let numbers: Vec<String> =
                (0..4).filter(|f| section.functions >> f & 1 == 1).map(|f| f.to_string()).collect();
            if !numbers.is_empty() {
                writeln!(text, "functions = {}", numbers.join(",")).unwrap();
            }
            if !section.also.is_empty() {
                let also: Vec<&str> = section.also.iter().map(|n| ADDRESSES[*n]).collect();
                writeln!(text, "also = {}", also.join(", ")).unwrap();
            }
            if section.only_display {
                text.push_str("only-display = yes\n");
            }
        }
        text
    }
}

fn case() -> impl Strategy<Value = Case> {
    let place = || {
        prop_oneof![
            3 => Just(BootFile::FirstNvme),
            2 => Just(BootFile::SecondNvme),
            2 => Just(BootFile::Sata),
            1 => Just(BootFile::Stick),
            1 => Just(BootFile::StickInCard),
            1 => Just(BootFile::Network),
        ]
    };
    let section = (0usize..ADDRESSES.len(), prop_oneof![3 => Just(0u8), 1 => 1u8..16])
        .prop_flat_map(|(device, functions)| {
            let also = prop::collection::vec(0usize..ADDRESSES.len(), 0..4);
            (Just(device), Just(functions), also, any::<bool>(), any::<bool>())
        })
        .prop_map(|(device, functions, mut also, only_display, guest)| {
            also.sort_unstable();
            also.dedup();
            Section { device, functions, also, only_display, guest }
        });
    let disks = (place(), 0u8..6, proptest::option::of(place()), proptest::option::of(place()));
    let host = (any::<[bool; 3]>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (disks, host, prop::collection::vec(section, 1..3)).prop_map(
        |((root, made_of, swap, data), (keyboards, igpu, second_card, one_group, paths), sections)| Case {
            root,
            made_of,
            swap,
            data,
            keyboards,
            igpu,
            second_card,
            one_group,
            paths,
            sections,
        },
    )
}

#[test]
fn no_random_plan_takes_what_the_host_lives_on() {
    let mut seen = Seen::default();
    let config = ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() };
    let seen_by = std::cell::RefCell::new(&mut seen);
    let result = proptest::test_runner::TestRunner::new(config).run(&case(), |case| {
        let machine = case.machine();
        let tree = machine.build();
        let text = case.text();
        let checked = check(&machine, &tree.root(), &text, &mut seen_by.borrow_mut());
        checked.map_err(|why| TestCaseError::fail(format!("{why}\n{text}")))
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    assert!(seen.plans > 30 && seen.refused_for_data > 20 && seen.late > 30, "{seen:?}");
}
