// SPDX-License-Identifier: LGPL-2.1-or-later
//! The machines of `tests/hosts`: how they are laid out, and reading the texts that were made from that.

use super::cards::{self, endpoint, port};
use super::machine::{Function, Machine, MEMORY_64};
use super::text::{self, Nodes};
use super::tree::Tree;
use std::path::PathBuf;

/// Every machine by the name of its directory.
pub fn all() -> Vec<(&'static str, Machine)> {
    vec![
        ("single-amd", single_amd()),
        ("twin-nvidia", twin_nvidia()),
        ("igpu-amd", igpu_amd()),
        ("muxless", muxless()),
        ("apu-dgpu", apu_dgpu()),
        ("no-iommu", no_iommu()),
    ]
}

/// Every machine, those too that are only in code.
pub fn all_layouts() -> Vec<(&'static str, Machine)> {
    [all(), vec![("apu-0380", apu_0380())], super::layouts::all()].concat()
}

/// Where a machine's text lies.
pub fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/hosts").join(name).join("tree.txt")
}

/// A machine's nodes, from its text.
pub fn nodes(name: &str) -> Nodes {
    let file = file(name);
    text::parse(&std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display())))
}

/// A machine, unpacked: from its text in `tests/hosts` if it has one (`tests/hosts.rs` sees that it is as the code says), else
/// from the code.
pub fn unpack(name: &str) -> Tree {
    if file(name).exists() {
        return Tree::new(&nodes(name));
    }
    let machines = all_layouts();
    let machine = machines.iter().find(|(of, _)| *of == name).unwrap_or_else(|| panic!("no machine '{name}'"));
    machine.1.build()
}

/// What an AM4 board has beside its slots. Groups 0 to 11.
fn am4() -> Vec<Function> {
    let mut functions = vec![
        endpoint("0000:00:00.0", (0x1022, 0x1480), 0x06_0000, 0),
        endpoint("0000:00:00.2", (0x1022, 0x1481), 0x08_0600, 0),
        endpoint("0000:00:01.0", (0x1022, 0x1482), 0x06_0000, 1),
        port("0000:00:01.1", (0x1022, 0x1483), 2),
        endpoint("0000:00:03.0", (0x1022, 0x1482), 0x06_0000, 3),
        port("0000:00:03.1", (0x1022, 0x1483), 4),
        endpoint("0000:00:08.0", (0x1022, 0x1482), 0x06_0000, 5),
        port("0000:00:08.1", (0x1022, 0x1484), 6),
        endpoint("0000:00:14.0", (0x1022, 0x790b), 0x0c_0500, 7).driver("piix4_smbus"),
        endpoint("0000:00:14.3", (0x1022, 0x790e), 0x06_0100, 7),
    ];
    functions.extend((0..8u16).map(|n| {
        let function = endpoint(&format!("0000:00:18.{n}"), (0x1022, 0x1440 + n), 0x06_0000, 8);
        if n == 3 {
            function.driver("k10temp")
        } else {
            function
        }
    }));
    functions.extend([
        cards::nvme("0000:01:00.0", "0000:00:01.1", 9),
        endpoint("0000:0c:00.1", (0x1022, 0x1486), 0x10_8000, 10).under("0000:00:08.1").driver("ccp"),
        endpoint("0000:0c:00.3", (0x1022, 0x149c), 0x0c_0330, 11).under("0000:00:08.1").driver("xhci_hcd"),
        endpoint("0000:0c:00.4", (0x1022, 0x1487), 0x04_0300, 12).under("0000:00:08.1").driver("snd_hda_intel"),
    ]);
    functions
}

/// A Ryzen desktop whose only display is an RX 6800 with sound, both on the host's drivers.
pub fn single_amd() -> Machine {
    let mut machine = Machine::new().iommu(Some("ivhd0")).with(am4());
    machine = machine.with(cards::amd_switch("0000:07:00.0", "0000:08:00.0", "0000:00:03.1", (13, 14)));
    let [mut video, sound] = cards::rx6800("0000:09:00", "0000:08:00.0", 15);
    video.boot_vga = true;
    machine.with([video, sound]).window("0000:08:00.0", 32 << 30, 0x80_0000_0000)
}

/// A Threadripper with two RTX 2080 of the same board, below two host bridges; the first is the boot display.
pub fn twin_nvidia() -> Machine {
    let mut functions = vec![
        endpoint("0000:00:00.0", (0x1022, 0x1450), 0x06_0000, 0),
        endpoint("0000:00:00.2", (0x1022, 0x1451), 0x08_0600, 0),
        endpoint("0000:00:01.0", (0x1022, 0x1452), 0x06_0000, 1),
        port("0000:00:01.1", (0x1022, 0x1453), 2),
        port("0000:00:03.1", (0x1022, 0x1453), 3),
        endpoint("0000:00:14.0", (0x1022, 0x790b), 0x0c_0500, 4).driver("piix4_smbus"),
        endpoint("0000:00:14.3", (0x1022, 0x790e), 0x06_0100, 4),
        endpoint("0000:40:00.0", (0x1022, 0x1450), 0x06_0000, 20),
        endpoint("0000:40:01.0", (0x1022, 0x1452), 0x06_0000, 21),
        port("0000:40:01.3", (0x1022, 0x1453), 22),
        cards::nvme("0000:01:00.0", "0000:00:01.1", 10),
    ];
    let mut first = cards::rtx2080("0000:0a:00", "0000:00:03.1", 14);
    first[0].boot_vga = true;
    first[0].connectors[0].1 = true;
    functions.extend(first);
    functions.extend(cards::rtx2080("0000:42:00", "0000:40:01.3", 30));
    for function in functions.iter_mut() {
        function.node = i32::from(function.address.starts_with("0000:4"));
    }
    Machine::new().iommu(Some("ivhd0")).with(functions)
}

/// A twelfth generation Core whose display is the processor's, with an RX 6700 XT behind the switch on the card.
pub fn igpu_amd() -> Machine {
    let mut igpu = cards::igpu(0x4680, 0).connectors(&[("HDMI-A-1", true), ("DP-1", false)]);
    igpu.boot_vga = true;
    let board = [
        endpoint("0000:00:00.0", (0x8086, 0x4660), 0x06_0000, 1),
        port("0000:00:01.0", (0x8086, 0x460d), 2),
        endpoint("0000:00:14.0", (0x8086, 0x7ae0), 0x0c_0330, 4).driver("xhci_hcd"),
        endpoint("0000:00:14.2", (0x8086, 0x7aa7), 0x05_0000, 4),
        endpoint("0000:00:17.0", (0x8086, 0x7ae2), 0x01_0601, 6).driver("ahci"),
        port("0000:00:1a.0", (0x8086, 0x7ac8), 7),
        port("0000:00:1c.0", (0x8086, 0x7aba), 8),
        endpoint("0000:00:1f.0", (0x8086, 0x7a84), 0x06_0100, 9),
        endpoint("0000:00:1f.3", (0x8086, 0x7ad0), 0x04_0300, 9).driver("snd_hda_intel"),
        endpoint("0000:00:1f.4", (0x8086, 0x7aa3), 0x0c_0500, 9).driver("i801_smbus"),
        endpoint("0000:00:1f.5", (0x8086, 0x7aa4), 0x0c_8000, 9),
        cards::nvme("0000:04:00.0", "0000:00:1a.0", 10),
        endpoint("0000:05:00.0", (0x8086, 0x15f3), 0x02_0000, 11).under("0000:00:1c.0").driver("igc"),
    ];
    let mut machine = Machine::new().with([igpu]).with(board);
    machine = machine.with(cards::amd_switch("0000:01:00.0", "0000:02:00.0", "0000:00:01.0", (12, 13)));
    machine = machine.window("0000:02:00.0", 32 << 30, 0x80_0000_0000).words("intel_iommu=on");
    machine.with(cards::rx6700xt("0000:03:00", "0000:02:00.0", 14))
}

/// A laptop whose outputs all hang on the processor's graphics; the GeForce is a 3D controller without any.
pub fn muxless() -> Machine {
    let mut igpu = cards::igpu(0x9a49, 0).connectors(&[("eDP-1", true), ("DP-1", false), ("HDMI-A-1", false)]);
    igpu.boot_vga = true;
    let board = [
        endpoint("0000:00:00.0", (0x8086, 0x9a14), 0x06_0000, 1),
        port("0000:00:01.0", (0x8086, 0x9a05), 2),
        port("0000:00:06.0", (0x8086, 0x9a09), 3),
        endpoint("0000:00:14.0", (0x8086, 0xa0ed), 0x0c_0330, 5).driver("xhci_hcd"),
        endpoint("0000:00:1f.0", (0x8086, 0xa082), 0x06_0100, 8),
        endpoint("0000:00:1f.3", (0x8086, 0xa0c8), 0x04_0100, 8),
        endpoint("0000:00:1f.4", (0x8086, 0xa0a3), 0x0c_0500, 8).driver("i801_smbus"),
        cards::gtx1650m("0000:01:00.0", "0000:00:01.0", 9),
        cards::nvme("0000:02:00.0", "0000:00:06.0", 10),
    ];
    Machine::new().with([igpu]).with(board).words("intel_iommu=on")
}

/// A Ryzen 7000 whose own graphics are an "other display" (0380) beside an RX 7600, the boot display.
pub fn apu_dgpu() -> Machine {
    let apu = Function::new("0000:0e:00.0", (0x1002, 0x15bf), 0x03_8000)
        .under("0000:00:08.1")
        .subsystem(0x1043, 0x8877)
        .group(20)
        .driver("amdgpu")
        .bar(0, 256 << 20, MEMORY_64, 0)
        .connectors(&[("HDMI-A-2", true)]);
    let sound = endpoint("0000:0e:00.1", (0x1002, 0x1640), 0x04_0300, 21).under("0000:00:08.1").driver("snd_hda_intel");
    let mut machine = Machine::new().iommu(Some("ivhd0")).with(am4()).with([apu, sound]);
    machine = machine.with(cards::amd_switch("0000:02:00.0", "0000:03:00.0", "0000:00:03.1", (13, 14)));
    let [mut video, hdmi] = cards::amd("0000:04:00", "0000:03:00.0", 15, (0x1002, 0x7480), (0x1043, 0x05c1));
    video.boot_vga = true;
    machine.with([video, hdmi]).window("0000:03:00.0", 32 << 30, 0x80_0000_0000)
}

/// A small desktop around a large APU, early in its boot: no display has a driver yet. The firmware shows the boot on the
/// APU's graphics, an "other display" (0380) that has no `boot_vga`; so the kernel gives that to the RX 7600, the only VGA
/// controller.
pub fn apu_0380() -> Machine {
    let root_port = |address: &str, group| port(address, (0x1022, 0x150b), group);
    let apu = Function::new("0000:c3:00.0", (0x1002, 0x1586), 0x03_8000)
        .under("0000:00:08.1")
        .subsystem(0xf111, 0x000a)
        .group(20)
        .reset(&["pm"])
        .bar(0, 256 << 20, MEMORY_64, 0);
    let sound = endpoint("0000:c3:00.1", (0x1002, 0x1640), 0x04_0300, 21).under("0000:00:08.1").reset(&["pm"]);
    let [mut video, mut hdmi] = cards::amd("0000:03:00", "0000:02:00.0", 15, (0x1002, 0x7480), (0x1da2, 0xe452));
    video.boot_vga = true;
    (video.driver, hdmi.driver) = (None, None);
    Machine::new()
        .iommu(Some("ivhd0"))
        .with([
            endpoint("0000:00:00.0", (0x1022, 0x1507), 0x06_0000, 0),
            root_port("0000:00:01.1", 1),
            root_port("0000:00:02.4", 2),
            root_port("0000:00:08.1", 3),
            cards::nvme("0000:c1:00.0", "0000:00:02.4", 9),
            endpoint("0000:c3:00.4", (0x1022, 0x1587), 0x0c_0330, 22).under("0000:00:08.1").driver("xhci_hcd"),
        ])
        .with(cards::amd_switch("0000:01:00.0", "0000:02:00.0", "0000:00:01.1", (13, 14)))
        .with([apu, sound, video, hdmi])
        .framebuffer("0000:c3:00.0", 0, "simpledrm")
        .window("0000:02:00.0", 32 << 30, 0x80_0000_0000)
}

/// The machine of [`igpu_amd`] with VT-d switched off in the firmware.
pub fn no_iommu() -> Machine {
    igpu_amd().iommu(None).file("proc/cpuinfo", "processor\t: 0\nvendor_id\t: GenuineIntel\n")
}

/// A server with so many functions: root ports, below each a network card of eight functions; two GPUs among them.
/// It is for the benches, and never lies on disk as a text.
pub fn server(functions: usize) -> Machine {
    assert!(functions >= 16, "a server has at least 16 functions");
    let mut all = vec![endpoint("0000:00:00.0", (0x1022, 0x14a4), 0x06_0000, 0)];
    let mut group = 1;
    let mut bus = 0u32;
    let mut display = true;
    while all.len() < functions {
        // 32 root ports a host bridge, one bus below each; six host bridges a segment.
        let (segment, index) = (bus / 192, bus % 192);
        let (host, n) = (index / 32 * 40, index % 32);
        let below = host + n + 1;
        let root_port = format!("{segment:04x}:{host:02x}:{:02x}.{}", 1 + n / 8, n % 8);
        all.push(port(&root_port, (0x1022, 0x14ab), group).bar(0, 4096, super::machine::MEMORY_32, 0));
        let slot = format!("{segment:04x}:{below:02x}:00");
        match bus {
            0 | 1 => all.extend(cards::rx6800(&slot, &root_port, group + 1).map(|mut function| {
                function.boot_vga = std::mem::take(&mut display);
                function
            })),
            _ => all.extend((0..8).map(|n| {
                endpoint(&format!("{slot}.{n}"), (0x15b3, 0x101d), 0x02_0000, group + 1 + n)
                    .under(&root_port)
                    .driver("mlx5_core")
                    .reset(&["flr"])
            })),
        }
        group += 10;
        bus += 1;
    }
    all.truncate(functions);
    Machine::new().iommu(Some("ivhd0")).with(all)
}
