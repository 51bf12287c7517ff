// SPDX-License-Identifier: LGPL-2.1-or-later
//! What lies below a PCI function, and what is made of it: disks, what is plugged into USB, network interfaces.
//! `below.rs` shows it as the kernel lays it out.

/// Something that a function's driver makes.
#[derive(Debug, Clone)]
pub enum Part {
    /// A namespace of an NVMe controller: `nvme0n1` below `nvme/nvme0`.
    Nvme(Disk),
    /// The same of a controller that says it may have more than one path to it: the disk is below
    /// `sys/devices/virtual/nvme-subsystem`, and the function has a hidden `nvme0c0n1` only.
    NvmePaths(Disk),
    /// A disk behind SATA: `ata1/host0/target0:0:0/0:0:0:0/block/sda`.
    Ata(Disk),
    /// A disk behind SAS, or a controller that makes one of several: `host0/target0:2:0/0:2:0:0/block/sda`.
    Scsi(Disk),
    /// A disk that a hypervisor makes: `virtio1/block/vda`.
    Virtio(Disk),
    /// Something in a port of a USB host controller.
    Usb(Usb),
    /// A network interface.
    Net(Net),
    /// A network interface that a hypervisor makes: `virtio0/net/enp1s0`.
    VirtioNet(Net),
    /// A keyboard or mouse on an I2C bus of the processor: `i2c_designware.0/i2c-0/i2c-NAME/0018:.../input`.
    I2c(Input),
}

/// A block device and its partitions.
#[derive(Debug, Clone)]
pub struct Disk {
    /// `nvme0n1`, `sda`.
    pub name: &'static str,
    /// How many partitions it has.
    pub partitions: u32,
    /// What the kernel says of its medium.
    pub removable: bool,
}

/// A USB device.
#[derive(Debug, Clone)]
pub struct Usb {
    /// The port's number, with those of the hubs on the way: `2`, `1.4`.
    pub port: &'static str,
    /// Vendor and product.
    pub ids: (u16, u16),
    /// What it calls itself.
    pub product: &'static str,
    /// Its interfaces.
    pub interfaces: Vec<Interface>,
}

/// What an interface of a USB device is.
#[derive(Debug, Clone)]
pub enum Interface {
    /// Of the class for human interfaces (03).
    Input(Input),
    /// Of the class for storage (08).
    Storage(Disk),
    /// A network adapter.
    Net(Net),
    /// Another: class, and the driver that has it.
    Other(u8, Option<&'static str>),
}

/// An input device.
#[derive(Debug, Clone, Copy)]
pub struct Input {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: InputKind,
}

/// What an input device can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputKind {
    /// All keys of a keyboard.
    Keyboard,
    /// Buttons and two axes.
    Mouse,
    /// A touchpad: absolute axes.
    Touchpad,
    /// A few keys: volume, power. Nobody can type on it.
    Keys,
    /// A jack that tells whether a plug is in it.
    Switch,
}

/// A network interface.
#[derive(Debug, Clone, Copy)]
pub struct Net {
    /// Its name.
    pub name: &'static str,
    /// Whether there is a carrier.
    pub up: bool,
    /// Whether it has no wire.
    pub wireless: bool,
}

/// A disk.
pub fn disk(name: &'static str, partitions: u32) -> Disk {
    Disk { name, partitions, removable: false }
}

/// What is plugged into a USB port.
pub fn usb(port: &'static str, ids: (u16, u16), product: &'static str, interfaces: Vec<Interface>) -> Part {
    Part::Usb(Usb { port, ids, product, interfaces })
}

/// A USB keyboard: an interface for the keys, one for those that play and pause.
pub fn keyboard(port: &'static str) -> Part {
    let keys = Input { name: "Logitech USB Keyboard", kind: InputKind::Keyboard };
    let control = Input { name: "Logitech USB Keyboard Consumer Control", kind: InputKind::Keys };
    usb(port, (0x046d, 0xc31c), "USB Keyboard", vec![Interface::Input(keys), Interface::Input(control)])
}

/// A USB mouse.
pub fn mouse(port: &'static str) -> Part {
    let mouse = Input { name: "Logitech USB Optical Mouse", kind: InputKind::Mouse };
    usb(port, (0x046d, 0xc077), "USB Optical Mouse", vec![Interface::Input(mouse)])
}

/// A receiver for a keyboard and a mouse without wires.
pub fn receiver(port: &'static str) -> Part {
    let keys = Input { name: "Logitech USB Receiver", kind: InputKind::Keyboard };
    let mouse = Input { name: "Logitech USB Receiver Mouse", kind: InputKind::Mouse };
    usb(port, (0x046d, 0xc534), "USB Receiver", vec![Interface::Input(keys), Interface::Input(mouse)])
}

/// A USB stick.
pub fn stick(port: &'static str, name: &'static str, partitions: u32) -> Part {
    let disk = Disk { name, partitions, removable: true };
    usb(port, (0x0781, 0x5583), "Ultra Fit", vec![Interface::Storage(disk)])
}

/// A Bluetooth adapter: whoever takes its USB host takes it along.
pub fn bluetooth(port: &'static str) -> Part {
    usb(port, (0x8087, 0x0032), "AX210 Bluetooth", vec![Interface::Other(0xe0, Some("btusb"))])
}

/// A camera.
pub fn camera(port: &'static str) -> Part {
    usb(port, (0x04f2, 0xb6d0), "Integrated Camera", vec![Interface::Other(0x0e, Some("uvcvideo"))])
}

/// A network interface with a cable in it.
pub fn ethernet(name: &'static str) -> Part {
    Part::Net(Net { name, up: true, wireless: false })
}

/// A network interface without a cable.
pub fn unplugged(name: &'static str) -> Part {
    Part::Net(Net { name, up: false, wireless: false })
}

/// A wireless network interface that is connected.
pub fn wireless(name: &'static str) -> Part {
    Part::Net(Net { name, up: true, wireless: true })
}

/// A block device that is made of others.
#[derive(Debug, Clone)]
pub struct Stack {
    /// `dm-0`, `md127`, `bcache0`.
    pub name: &'static str,
    /// What makes it.
    pub kind: StackKind,
    /// The names of what it is made of, in order.
    pub on: Vec<&'static str>,
}

/// What makes a block device of others.
#[derive(Debug, Clone, Copy)]
pub enum StackKind {
    /// The device mapper: the name below `/dev/mapper`, and the uuid, whose prefix says whose it is (`CRYPT-`, `LVM-`).
    Mapper(&'static str, &'static str),
    /// An array: its level.
    Array(&'static str),
    /// bcache.
    Cache,
}

/// A mounted file system.
#[derive(Debug, Clone)]
pub struct Mount {
    /// Where.
    pub at: &'static str,
    /// What: a block device's name, or whatever is the source of one without.
    pub source: &'static str,
    /// `ext4`.
    pub kind: &'static str,
}
