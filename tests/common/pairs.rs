// SPDX-License-Identifier: LGPL-2.1-or-later
//! Small machines with two equal cards each, cheap to make again and again. The card `big` is the one that the host
//! does not show its messages on; all functions are on host drivers.

use super::machine::{MEMORY_64, RELEASE};
use super::{cards, Function, Machine, Tree};

/// Two RX 6800 of two functions each: `big` is 0000:03:00, in group 11; its twin 0000:04:00.
pub fn small_machine() -> Machine {
    let mut twin = cards::rx6800("0000:04:00", "0000:00:02.0", 12);
    twin[0].boot_vga = true;
    Machine::new()
        .with([cards::port("0000:00:01.0", (0x8086, 0x460d), 1), cards::port("0000:00:02.0", (0x8086, 0x462d), 2)])
        .with(cards::rx6800("0000:03:00", "0000:00:01.0", 11))
        .with(twin)
}

/// The functions of `big` in [`small`], with the host drivers that have them.
pub const SMALL: [(&str, &str); 2] = [("0000:03:00.0", "amdgpu"), ("0000:03:00.1", "snd_hda_intel")];

/// That machine, configured.
pub fn small() -> Tree {
    let tree = small_machine().build();
    tree.config("[gpu big]\ndevice = 0000:03:00.0\nidentity = 1002:73bf\n");
    tree
}

/// The same before vfio-pci is loaded.
pub fn small_without_vfio() -> Tree {
    let tree = small_machine().without_vfio().build();
    tree.config("[gpu big]\ndevice = 0000:03:00.0\nidentity = 1002:73bf\n");
    tree
}

/// That machine, with sizes for the BARs of `big`: one is to shrink, then the other to grow in the room that the firmware
/// left.
pub fn small_resized() -> Tree {
    let mut machine = small_machine();
    let card = machine.functions.iter_mut().find(|f| f.address == SMALL[0].0).unwrap();
    card.bars[0].size = 256 << 20;
    let tree = machine.build();
    tree.config("[gpu big]\ndevice = 0000:03:00.0\nidentity = 1002:73bf\nbar0 = 8G\nbar2 = 8M\n");
    tree.write(".kernel/windows", "0000:00:01.0 0x400000000 0x8000000000\n");
    tree
}

/// The same, and its card says in configuration space how large its BARs are, for who finds it anew.
pub fn small_found_anew() -> Tree {
    let tree = small_resized();
    show_size_registers(&tree, SMALL[0].0, &[(0, 8), (2, 8)]);
    tree.write("sys/bus/pci/devices/0000:00:01.0/pci_bus/0000:03/rescan", "");
    tree.config(
        "[gpu big]\ndevice = 0000:03:00.0\nidentity = 1002:73bf\nbar0 = 8G\nbar2 = 8M\nrebar-method = rescan\n",
    );
    tree
}

/// Gives a function the capability: BARs with the numbers that stand for their sizes, 2^(number+20) bytes.
fn show_size_registers(tree: &Tree, address: &str, bars: &[(u8, u8)]) {
    let path = tree.join(&format!("sys/bus/pci/devices/{address}/config"));
    let mut config = std::fs::read(&path).unwrap();
    config.resize(0x140, 0);
    // Another capability before it (0x0b, vendor specific), as cards have.
    config[0x100..0x104].copy_from_slice(&0x1201_000b_u32.to_le_bytes());
    config[0x120..0x124].copy_from_slice(&0x0001_0015_u32.to_le_bytes());
    for (n, (bar, size)) in bars.iter().enumerate() {
        let control = u32::from(*bar) | (bars.len() as u32) << 5 | u32::from(*size) << 8;
        config[0x128 + 8 * n..0x12c + 8 * n].copy_from_slice(&control.to_le_bytes());
    }
    std::fs::write(&path, config).unwrap();
}

/// The functions of `big` in [`twins`], with the host drivers that have them.
pub const TWINS: [(&str, &str); 4] = [
    ("0000:42:00.0", "nvidia"),
    ("0000:42:00.1", "snd_hda_intel"),
    ("0000:42:00.2", "xhci_hcd"),
    ("0000:42:00.3", "nvidia-gpu"),
];

/// Two RTX 2080 of four functions each: `big` is 0000:42:00, its twin 0000:0a:00.
pub fn twins() -> Tree {
    let mut twin = cards::rtx2080("0000:0a:00", "0000:00:03.1", 14);
    twin[0].boot_vga = true;
    let machine = Machine::new()
        .with([cards::port("0000:00:03.1", (0x1022, 0x1453), 3), cards::port("0000:40:01.3", (0x1022, 0x1453), 22)])
        .with(twin)
        .with(cards::rtx2080("0000:42:00", "0000:40:01.3", 30));
    let tree = machine.build();
    tree.config("[gpu big]\ndevice = 0000:42:00.0\nidentity = 10de:1e87\n");
    tree
}

/// The functions of `big` in [`polaris`], with the host drivers that have them.
pub const POLARIS: [(&str, &str); 2] = [("0000:03:00.0", "amdgpu"), ("0000:03:00.1", "snd_hda_intel")];

/// Two RX 580, which vendor-reset knows: `big` is 0000:03:00, its twin 0000:04:00. The module is there, by DKMS.
pub fn polaris() -> Tree {
    let mut twin = cards::rx580("0000:04:00", "0000:00:02.0", 12);
    twin[0].boot_vga = true;
    let machine = Machine::new()
        .with([cards::port("0000:00:01.0", (0x8086, 0x460d), 1), cards::port("0000:00:02.0", (0x8086, 0x462d), 2)])
        .with(cards::rx580("0000:03:00", "0000:00:01.0", 11))
        .with(twin);
    let tree = machine.build();
    tree.write(&format!("lib/modules/{RELEASE}/modules.dep"), "updates/dkms/vendor-reset.ko:\n");
    tree.write(
        &format!("lib/modules/{RELEASE}/updates/dkms/vendor-reset.ko"),
        "\x7fELF, and nothing at its end that looks like a signature\n",
    );
    tree.config("[gpu big]\ndevice = 0000:03:00.0\nidentity = 1002:67df\n");
    tree
}

/// Something with every common reset method and its bus for itself, kept from every driver: `big` is 0000:05:00.0.
pub fn lone_disk() -> Tree {
    let port = "0000:00:03.0";
    let mut disk = cards::nvme("0000:05:00.0", port, 13);
    (disk.driver, disk.driver_override) = (None, Some("none"));
    let tree = Machine::new().with([cards::port(port, (0x8086, 0x464d), 3), disk]).build();
    tree.config("[gpu big]\ndevice = 0000:05:00.0\nbind = guest\n");
    tree
}

/// A display of class 0380 without a driver, with the firmware's framebuffer on it: `big` is 0000:03:00.0. No driver of the
/// host's fits it.
fn framed_by(claim: &'static str) -> Tree {
    let display = Function::new("0000:03:00.0", (0x1ed5, 0x0222), 0x03_8000).under("0000:00:01.0").group(11).bar(
        0,
        256 << 20,
        MEMORY_64,
        0,
    );
    let machine = Machine::new()
        .with([cards::port("0000:00:01.0", (0x8086, 0x460d), 1), cards::port("0000:00:02.0", (0x8086, 0x462d), 2)])
        .with(cards::rx6800("0000:04:00", "0000:00:02.0", 12))
        .with([display])
        .framebuffer("0000:03:00.0", 0, claim);
    let tree = machine.build();
    tree.config("[gpu big]\ndevice = 0000:03:00.0\nidentity = 1ed5:0222\n");
    tree
}

/// The function of `big` in [`framed`] and [`framed_simply`].
pub const FRAMED: [(&str, &str); 1] = [("0000:03:00.0", "")];

/// With efifb on it, which gives back all memory when it lets go.
pub fn framed() -> Tree {
    framed_by("efifb")
}

/// With simpledrm on it, whose device keeps the memory.
pub fn framed_simply() -> Tree {
    framed_by("simpledrm")
}
