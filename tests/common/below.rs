// SPDX-License-Identifier: LGPL-2.1-or-later
//! What the kernel shows below a function: block devices, USB, network interfaces, input devices.
//!
//! The nesting is that of the drivers: `nvme_alloc_ns()` (drivers/nvme/host/core.c) with `nvme_mpath_alloc_disk()`
//! (multipath.c), `ata_scsi_add_hosts()` (drivers/ata/libata-scsi.c), `scsi_alloc_target()` (drivers/scsi/scsi_scan.c),
//! `usb_alloc_dev()` (drivers/usb/core/usb.c), `hid_add_device()` (drivers/hid/hid-core.c), `input_register_device()`
//! (drivers/input/input.c), `register_virtio_device()` (drivers/virtio/virtio.c), `netdev_register_kobject()`
//! (net/core/net-sysfs.c), `device_add_disk()` (block/genhd.c).

use super::parts::{Disk, Input, InputKind, Interface, Net, Part, Usb};
use super::shown::Shown;

/// What is handed out one by one to what lies below functions.
#[derive(Default)]
pub struct Numbers {
    atas: u32,
    hosts: u32,
    virtios: u32,
    usbs: u32,
    usb_devices: Vec<(String, u32, u32)>,
    hids: u32,
    inputs: u32,
    events: u32,
    mice: u32,
    interfaces: u32,
    extended: u32,
    subsystems: u32,
    i2cs: u32,
    adapters: u32,
}

impl Shown {
    /// Shows something below the function at `path`.
    pub fn part(&mut self, path: &str, part: &Part) {
        match part {
            Part::Nvme(disk) => self.nvme(path, disk, false),
            Part::NvmePaths(disk) => self.nvme(path, disk, true),
            Part::Ata(disk) => {
                self.numbers.atas += 1;
                let port = format!("{path}/ata{}", self.numbers.atas);
                self.file(format!("{port}/uevent"), 0o644, "");
                self.scsi(&port, disk, 0);
            }
            Part::Scsi(disk) => self.scsi(path, disk, 2),
            Part::Virtio(disk) => {
                let device = self.virtio(path, "virtio_blk");
                self.disk(&format!("{device}/block"), disk);
            }
            Part::Usb(usb) => self.usb(path, usb),
            Part::Net(net) => self.interface(path, net),
            Part::VirtioNet(net) => {
                let device = self.virtio(path, "virtio_net");
                self.interface(&device, net);
            }
            Part::I2c(input) => {
                let number = self.numbers.i2cs;
                self.numbers.i2cs += 1;
                let bus = format!("{path}/i2c_designware.{number}/i2c-{number}");
                self.device(&bus, "bus/i2c", "");
                let client = format!("{bus}/i2c-ELAN0001:0{number}");
                self.device(&client, "bus/i2c", "DRIVER=i2c_hid_acpi\nMODALIAS=acpi:ELAN0001:PNP0C50:\n");
                self.hid(&client, 0x0018, (0x04f3, 0x3140), input);
            }
        }
    }

    fn nvme(&mut self, path: &str, disk: &Disk, paths: bool) {
        let (controller, namespace) = disk.name.rsplit_once('n').unwrap();
        let number: u32 = controller.strip_prefix("nvme").unwrap().parse().unwrap();
        let device = format!("{path}/nvme/{controller}");
        self.node(&device, "class/nvme", (240, number), controller, "NVME_TRTYPE=pcie\n");
        self.file(format!("{device}/model"), 0o444, "Samsung SSD 980 PRO 1TB                 \n");
        self.file(format!("{device}/state"), 0o444, "live\n");
        if !paths {
            return self.disk(&device, disk);
        }
        let subsystem = format!("sys/devices/virtual/nvme-subsystem/nvme-subsys{}", self.numbers.subsystems);
        self.numbers.subsystems += 1;
        self.device(&subsystem, "class/nvme-subsystem", "");
        self.link(format!("{subsystem}/{controller}"), &device);
        self.disk(&subsystem, disk);
        // The path itself: a disk that nobody opens (`GENHD_FL_HIDDEN`), so it has no number.
        let hidden = format!("{device}/{controller}c{number}n{namespace}");
        self.device(&hidden, "class/block", "DEVTYPE=disk\n");
        self.file(format!("{hidden}/hidden"), 0o444, "1\n");
    }

    fn scsi(&mut self, above: &str, disk: &Disk, channel: u32) {
        let host = self.numbers.hosts;
        self.numbers.hosts += 1;
        let (parent, address) = (format!("{above}/host{host}"), format!("{host}:{channel}:0"));
        self.device(&parent, "bus/scsi", "DEVTYPE=scsi_host\n");
        let target = format!("{parent}/target{address}");
        self.device(&target, "bus/scsi", "DEVTYPE=scsi_target\n");
        let unit = format!("{target}/{address}:0");
        self.device(&unit, "bus/scsi", "DEVTYPE=scsi_device\nDRIVER=sd\nMODALIAS=scsi:t-0x00\n");
        self.disk(&format!("{unit}/block"), disk);
    }

    fn virtio(&mut self, path: &str, driver: &str) -> String {
        let device = format!("{path}/virtio{}", self.numbers.virtios);
        self.numbers.virtios += 1;
        self.device(&device, "bus/virtio", &format!("DRIVER={driver}\n"));
        device
    }

    /// A disk in a directory, with its partitions.
    pub fn disk(&mut self, in_directory: &str, disk: &Disk) {
        let path = format!("{in_directory}/{}", disk.name);
        let number = self.block_number(disk.name, 0);
        self.block(&path, disk.name, number, "disk");
        self.file(format!("{path}/removable"), 0o444, if disk.removable { "1\n" } else { "0\n" });
        self.directory(format!("{path}/slaves"));
        for partition in 1..=disk.partitions {
            let separator = if disk.name.ends_with(|c: char| c.is_ascii_digit()) { "p" } else { "" };
            let name = format!("{}{separator}{partition}", disk.name);
            let path = format!("{path}/{name}");
            let number = self.block_number(disk.name, partition);
            self.block(&path, &name, number, "partition");
            self.file(format!("{path}/partition"), 0o444, format!("{partition}\n"));
        }
    }

    /// A block device, without what only disks or only partitions have.
    pub fn block(&mut self, path: &str, name: &str, number: (u32, u32), kind: &str) {
        self.node(path, "class/block", number, name, &format!("DEVTYPE={kind}\n"));
        self.file(format!("{path}/ro"), 0o444, "0\n");
        self.file(format!("{path}/size"), 0o444, "1953525168\n");
        self.directory(format!("{path}/holders"));
        self.blocks.insert(name.to_owned(), (path.to_owned(), number));
    }

    /// The number of a disk, or of a partition of it: sixteen for each `sdX` (`sd_major()`); NVMe has extended ones, which
    /// are handed out one after another (`blk_alloc_ext_minor()`).
    fn block_number(&mut self, disk: &str, partition: u32) -> (u32, u32) {
        let letter = |name: &str| u32::from(name.as_bytes()[0] - b'a') * 16 + partition;
        if let Some(name) = disk.strip_prefix("sd") {
            return (8, letter(name));
        }
        if let Some(name) = disk.strip_prefix("vd") {
            return (254, letter(name));
        }
        if disk.starts_with("mmcblk") {
            return (179, partition);
        }
        self.numbers.extended += 1;
        (259, self.numbers.extended - 1)
    }

    /// The two buses of a USB 3 host controller, made once: their numbers.
    fn usb_buses(&mut self, path: &str) -> u32 {
        if let Some((_, bus, _)) = self.numbers.usb_devices.iter().find(|(of, ..)| of == path) {
            return *bus;
        }
        let first = self.numbers.usbs + 1;
        self.numbers.usbs += 2;
        for (bus, speed) in [(first, "480"), (first + 1, "10000")] {
            let hub = format!("{path}/usb{bus}");
            self.usb_node(&hub, bus, 1, (0x1d6b, if bus == first { 2 } else { 3 }), 9);
            self.file(format!("{hub}/product"), 0o444, "xHCI Host Controller\n");
            self.file(format!("{hub}/speed"), 0o444, format!("{speed}\n"));
        }
        self.numbers.usb_devices.push((path.to_owned(), first, 1));
        first
    }

    fn usb_node(&mut self, path: &str, bus: u32, number: u32, ids: (u16, u16), class: u8) {
        let name = format!("bus/usb/{bus:03}/{number:03}");
        let more = format!(
            "DEVTYPE=usb_device\nDRIVER=usb\nPRODUCT={:x}/{:x}/100\nTYPE={class}/0/0\nBUSNUM={bus:03}\nDEVNUM={number:03}\n",
            ids.0, ids.1
        );
        self.node(path, "bus/usb", (189, (bus - 1) * 128 + number - 1), &name, &more);
        self.file(format!("{path}/idVendor"), 0o444, format!("{:04x}\n", ids.0));
        self.file(format!("{path}/idProduct"), 0o444, format!("{:04x}\n", ids.1));
        self.file(format!("{path}/bDeviceClass"), 0o444, format!("{class:02x}\n"));
        self.file(format!("{path}/busnum"), 0o444, format!("{bus}\n"));
        self.file(format!("{path}/devnum"), 0o444, format!("{number}\n"));
    }

    /// What is in a port; a port with dots in it is that of a hub, which is shown too.
    fn usb(&mut self, path: &str, usb: &Usb) {
        let bus = self.usb_buses(path);
        let mut above = format!("{path}/usb{bus}");
        let hubs = usb.port.match_indices('.').map(|(at, _)| &usb.port[..at]);
        for port in hubs {
            above = format!("{above}/{bus}-{port}");
            if !self.nodes.contains_key(&format!("{above}/dev")) {
                let number = self.next_usb(path);
                self.usb_node(&above, bus, number, (0x05e3, 0x0610), 9);
                self.file(format!("{above}/product"), 0o444, "USB2.1 Hub\n");
            }
        }
        let device = format!("{above}/{bus}-{}", usb.port);
        let number = self.next_usb(path);
        self.usb_node(&device, bus, number, usb.ids, 0);
        self.file(format!("{device}/product"), 0o444, format!("{}\n", usb.product));
        for (n, interface) in usb.interfaces.iter().enumerate() {
            let path = format!("{device}/{bus}-{}:1.{n}", usb.port);
            let (class, subclass, protocol, driver) = match interface {
                Interface::Input(input) => match input.kind {
                    InputKind::Keyboard => (3, 1, 1, Some("usbhid")),
                    InputKind::Mouse => (3, 1, 2, Some("usbhid")),
                    _ => (3, 0, 0, Some("usbhid")),
                },
                Interface::Storage(_) => (8, 6, 0x50, Some("usb-storage")),
                Interface::Net(_) => (0xff, 0xff, 0, Some("r8152")),
                Interface::Other(class, driver) => (*class, 1, 1, *driver),
            };
            let driver = driver.map(|driver| format!("DRIVER={driver}\n")).unwrap_or_default();
            let uevent = format!("DEVTYPE=usb_interface\n{driver}INTERFACE={class}/{subclass}/{protocol}\n");
            self.device(&path, "bus/usb", &uevent);
            self.file(format!("{path}/bInterfaceClass"), 0o444, format!("{class:02x}\n"));
            self.file(format!("{path}/bInterfaceProtocol"), 0o444, format!("{protocol:02x}\n"));
            match interface {
                Interface::Input(input) => self.hid(&path, 3, usb.ids, input),
                Interface::Storage(disk) => self.scsi(&path, disk, 0),
                Interface::Net(net) => self.interface(&path, net),
                Interface::Other(0xe0, Some(_)) => {
                    let name = format!("hci{}", self.numbers.adapters);
                    self.numbers.adapters += 1;
                    self.device(&format!("{path}/bluetooth/{name}"), "class/bluetooth", "DEVTYPE=host\n");
                }
                Interface::Other(..) => {}
            }
        }
    }

    fn next_usb(&mut self, path: &str) -> u32 {
        let (.., last) = self.numbers.usb_devices.iter_mut().find(|(of, ..)| of == path).unwrap();
        *last += 1;
        *last
    }

    /// A device of the HID core with one input device: `0003:046D:C31C.0001/input/input3/event3`.
    pub fn hid(&mut self, above: &str, bus: u16, (vendor, product): (u16, u16), input: &Input) {
        self.numbers.hids += 1;
        let path = format!("{above}/{bus:04X}:{vendor:04X}:{product:04X}.{:04X}", self.numbers.hids);
        let uevent =
            format!("DRIVER=hid-generic\nHID_ID={bus:04X}:{vendor:08X}:{product:08X}\nHID_NAME={}\n", input.name);
        self.device(&path, "bus/hid", &uevent);
        self.input(&path, bus, input);
    }

    /// An input device. The bits are those that such devices show; every word is 64 bits wide, the highest first
    /// (`input_print_bitmap()`).
    pub fn input(&mut self, above: &str, bus: u16, input: &Input) {
        let (ev, key, rel, abs, sw) = match input.kind {
            InputKind::Keyboard => {
                ("120013", "1000000000007 ff9f207ac14057ff febeffdfffefffff fffffffffffffffe", "0", "0", "0")
            }
            InputKind::Mouse => ("17", "ff0000 0 0 0 0", "903", "0", "0"),
            InputKind::Touchpad => ("1b", "e520 10000 0 0 0 0", "0", "2e0800000000003", "0"),
            InputKind::Keys => ("13", "3f000303ff 0 0 483ffff17aff32d bfd4444600000000 1 130ff38b17d000 677bfad941dfed 9ed68000004400 10000002", "40", "0", "0"),
            InputKind::Switch => ("21", "0", "0", "0", "140"),
        };
        let path = format!("{above}/input/input{}", self.numbers.inputs);
        self.numbers.inputs += 1;
        let uevent = format!("PRODUCT={bus:x}/0/0/0\nNAME=\"{}\"\nEV={ev}\nKEY={key}\nREL={rel}\n", input.name);
        self.device(&path, "class/input", &uevent);
        self.file(format!("{path}/name"), 0o444, format!("{}\n", input.name));
        self.file(format!("{path}/id/bustype"), 0o444, format!("{bus:04x}\n"));
        for (name, bits) in [("ev", ev), ("key", key), ("rel", rel), ("abs", abs), ("sw", sw)] {
            self.file(format!("{path}/capabilities/{name}"), 0o444, format!("{bits}\n"));
        }
        let (event, mouse) = (self.numbers.events, self.numbers.mice);
        self.numbers.events += 1;
        let mut minors = vec![(format!("event{event}"), 64 + event)];
        if matches!(input.kind, InputKind::Mouse | InputKind::Touchpad) {
            self.numbers.mice += 1;
            minors.push((format!("mouse{mouse}"), 32 + mouse));
        }
        for (name, minor) in minors {
            self.node(&format!("{path}/{name}"), "class/input", (13, minor), &format!("input/{name}"), "");
        }
    }

    /// A network interface of the device at `path`.
    fn interface(&mut self, path: &str, net: &Net) {
        let device = format!("{path}/net/{}", net.name);
        self.named_interface(&device, net.name, net.up, if net.wireless { "DEVTYPE=wlan\n" } else { "" });
        if net.wireless {
            self.directory(format!("{device}/wireless"));
        }
    }

    /// A network interface, real or made.
    pub fn named_interface(&mut self, path: &str, name: &str, up: bool, kind: &str) {
        // The first is the loopback interface.
        let index = self.numbers.interfaces + 2;
        self.numbers.interfaces += 1;
        self.device(path, "class/net", &format!("{kind}INTERFACE={name}\nIFINDEX={index}\n"));
        self.file(format!("{path}/ifindex"), 0o444, format!("{index}\n"));
        self.file(format!("{path}/address"), 0o444, format!("02:00:00:00:00:{index:02x}\n"));
        self.file(format!("{path}/type"), 0o444, "1\n");
        self.file(format!("{path}/operstate"), 0o444, if up { "up\n" } else { "down\n" });
        self.file(format!("{path}/carrier"), 0o644, if up { "1\n" } else { "0\n" });
        self.file(format!("{path}/flags"), 0o644, if up { "0x1003\n" } else { "0x1002\n" });
        self.interfaces.insert(name.to_owned(), path.to_owned());
    }
}
