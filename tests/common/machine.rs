// SPDX-License-Identifier: LGPL-2.1-or-later
//! Describes a machine, function by function; `shown.rs` makes its tree.

pub use super::drivers::{DEPENDS, DRIVERS};
pub use super::function::{Bar, Function, MEMORY_32, MEMORY_64, PORTS, ROM};

use super::parts::{Disk, Input, InputKind, Mount, Part, Stack, StackKind};
use super::shown::Shown;
use super::text::{Node, Nodes};
use super::tree::Tree;

/// The kernel that a machine says it runs.
pub const RELEASE: &str = "6.12.57+deb13-amd64";

/// A machine.
#[derive(Debug, Clone)]
pub struct Machine {
    /// What is on the bus.
    pub functions: Vec<Function>,
    /// Drivers that are loaded although they have no function.
    pub modules: Vec<&'static str>,
    /// The IOMMU's name.
    pub iommu: Option<&'static str>,
    /// The kernel's command line.
    pub cmdline: String,
    /// Lines of `.kernel/windows`.
    pub windows: Vec<String>,
    /// Whether a rescan binds nothing while `drivers_autoprobe` is 0.
    pub honours_autoprobe: bool,
    /// Disks that are below no PCI function: the `block` directory they are in.
    pub disks: Vec<(&'static str, Disk)>,
    /// Block devices made of others, the lowest first.
    pub stacks: Vec<Stack>,
    /// What is mounted; the root first.
    pub mounts: Vec<Mount>,
    /// Where is swapped to: names of block devices, or paths of files.
    pub swaps: Vec<&'static str>,
    /// File systems of btrfs: label, uuid, members.
    pub btrfs: Vec<(&'static str, &'static str, Vec<&'static str>)>,
    /// Pools of ZFS that are imported.
    pub pools: Vec<&'static str>,
    /// Properties of block devices in udev's database.
    pub udev: Vec<(&'static str, Vec<&'static str>)>,
    /// Bridges and bonds: name, `bridge` or `bond`, members.
    pub bridges: Vec<(&'static str, &'static str, Vec<&'static str>)>,
    /// Interfaces with routes, and whether the default route is among them.
    pub routes: Vec<(&'static str, bool)>,
    /// Input devices of the keyboard controller: port, name, kind.
    pub i8042: Vec<(u32, &'static str, InputKind)>,
    /// Input devices that the Bluetooth daemon has made.
    pub bluetooth: Vec<Input>,
    /// The driver of the TPM, if there is one: `tpm_crb` of one that firmware makes, `tpm_tis` of a chip.
    pub tpm: Option<&'static str>,
    /// Whether somebody could be at work there: routing tables, sound cards in `/proc/asound`, a power button.
    pub inhabited: bool,
    /// Where the firmware's framebuffer is.
    pub framebuffer: Option<Framebuffer>,
    /// Lines of `reserved_regions` that groups have beside the usual one.
    pub regions: Vec<(u32, &'static str)>,
    /// Host bridges that are not at the top of `sys/devices`: domain and bus, and the directory there.
    pub bridges_at: Vec<(&'static str, &'static str)>,
    /// Other files and links.
    pub more: Nodes,
}

/// The firmware's framebuffer.
#[derive(Debug, Clone)]
pub struct Framebuffer {
    /// The function in whose memory it is.
    pub on: String,
    /// The BAR.
    pub bar: usize,
    /// Who has it in `/proc/iomem`: `BOOTFB` (nobody), `simpledrm`, `simplefb`, `efifb`.
    pub claim: &'static str,
    /// Whether its device is below the card's, as since 6.9.
    pub below_card: bool,
}

impl Default for Machine {
    fn default() -> Machine {
        Machine::new()
    }
}

impl Machine {
    /// A machine with an Intel IOMMU, vfio-pci loaded, and nothing on the bus.
    pub fn new() -> Machine {
        Machine {
            functions: Vec::new(),
            modules: vec!["vfio-pci"],
            iommu: Some("dmar0"),
            cmdline: format!(
                "BOOT_IMAGE=/boot/vmlinuz-{RELEASE} root=UUID=2c3ab8d2-1f0b-4a6e-9c57-0d2f5b3f6c1e ro quiet"
            ),
            windows: Vec::new(),
            honours_autoprobe: false,
            disks: Vec::new(),
            stacks: Vec::new(),
            mounts: Vec::new(),
            swaps: Vec::new(),
            btrfs: Vec::new(),
            pools: Vec::new(),
            udev: Vec::new(),
            bridges: Vec::new(),
            routes: Vec::new(),
            i8042: Vec::new(),
            bluetooth: Vec::new(),
            tpm: None,
            inhabited: false,
            framebuffer: None,
            regions: Vec::new(),
            bridges_at: Vec::new(),
            more: Nodes::new(),
        }
    }

    /// Adds functions.
    pub fn with(mut self, functions: impl IntoIterator<Item = Function>) -> Machine {
        self.functions.extend(functions);
        self
    }

    /// Loads a driver that has no function, or a module, with what it is built on.
    pub fn load(mut self, driver: &'static str) -> Machine {
        self.modules.push(driver);
        self
    }

    /// vfio-pci is not loaded yet.
    pub fn without_vfio(mut self) -> Machine {
        self.modules.retain(|driver| *driver != "vfio-pci");
        self
    }

    /// The IOMMU's name in `/sys/class/iommu`; none switches it off.
    pub fn iommu(mut self, name: Option<&'static str>) -> Machine {
        self.iommu = name;
        self
    }

    /// More words on the kernel's command line.
    pub fn words(mut self, words: &str) -> Machine {
        self.cmdline = format!("{} {words}", self.cmdline);
        self
    }

    /// A bridge's, or a function's, 64-bit prefetchable window.
    pub fn window(mut self, address: &str, bytes: u64, base: u64) -> Machine {
        self.windows.push(format!("{address} {bytes:#x} {base:#x}"));
        self
    }

    /// A kernel in which a rescan binds nothing while `drivers_autoprobe` is 0.
    pub fn rescan_honours_autoprobe(mut self) -> Machine {
        self.honours_autoprobe = true;
        self
    }

    /// The function at an address, to be changed.
    pub fn at(&mut self, address: &str) -> &mut Function {
        let found = self.functions.iter_mut().find(|function| function.address == address);
        found.unwrap_or_else(|| panic!("no function {address}"))
    }

    /// Something that the driver of the function at an address has made of it.
    pub fn on(mut self, address: &str, part: Part) -> Machine {
        self.at(address).parts.push(part);
        self
    }

    /// Somebody works there: sound cards in `/proc/asound`, a power button, routing tables.
    pub fn inhabited(mut self) -> Machine {
        self.inhabited = true;
        self
    }

    /// A keyboard by Bluetooth.
    pub fn bluetooth_keyboard(mut self) -> Machine {
        self.bluetooth.push(Input { name: "MX Keys Mini Keyboard", kind: InputKind::Keyboard });
        self
    }

    /// A TPM that firmware makes.
    pub fn tpm(mut self) -> Machine {
        self.tpm = Some("tpm_crb");
        self
    }

    /// A TPM that is a chip of its own.
    pub fn tpm_chip(mut self) -> Machine {
        self.tpm = Some("tpm_tis");
        self
    }

    /// The keyboard of a laptop: behind no PCI function.
    pub fn ps2_keyboard(mut self) -> Machine {
        self.i8042.push((0, "AT Translated Set 2 keyboard", InputKind::Keyboard));
        self
    }

    /// A bridge or bond (`kind`) of network interfaces.
    pub fn bridge(mut self, name: &'static str, kind: &'static str, members: &[&'static str]) -> Machine {
        self.bridges.push((name, kind, members.to_vec()));
        self
    }

    /// A file system of btrfs.
    pub fn btrfs(mut self, label: &'static str, uuid: &'static str, members: &[&'static str]) -> Machine {
        self.btrfs.push((label, uuid, members.to_vec()));
        self
    }

    /// A pool of ZFS with these members.
    pub fn pool(mut self, name: &'static str, label: &'static str, members: &[&'static str]) -> Machine {
        self.pools.push(name);
        let known = ["ID_FS_TYPE=zfs_member", "ID_FS_USAGE=filesystem", label];
        self.udev.extend(members.iter().map(|member| (*member, known.to_vec())));
        self
    }

    /// A disk that is below no PCI function, in this `block` directory.
    pub fn disk_in(mut self, directory: &'static str, disk: Disk) -> Machine {
        self.disks.push((directory, disk));
        self
    }

    /// A block device made of others.
    pub fn stack(mut self, name: &'static str, kind: StackKind, on: &[&'static str]) -> Machine {
        self.stacks.push(Stack { name, kind, on: on.to_vec() });
        self
    }

    /// A mounted file system.
    pub fn mount(mut self, at: &'static str, source: &'static str, kind: &'static str) -> Machine {
        self.mounts.push(Mount { at, source, kind });
        self
    }

    /// Swap on a block device, or in a file.
    pub fn swap(mut self, name: &'static str) -> Machine {
        self.swaps.push(name);
        self
    }

    /// What udev knows of a block device.
    pub fn udev(mut self, name: &'static str, properties: &[&'static str]) -> Machine {
        self.udev.push((name, properties.to_vec()));
        self
    }

    /// An interface with an address, by which everything is reached or only its own network.
    pub fn route(mut self, interface: &'static str, default: bool) -> Machine {
        self.routes.push((interface, default));
        self
    }

    /// A line of `reserved_regions` of a group.
    pub fn region(mut self, group: u32, line: &'static str) -> Machine {
        self.regions.push((group, line));
        self
    }

    /// The firmware's framebuffer.
    pub fn framebuffer(mut self, on: &str, bar: usize, claim: &'static str) -> Machine {
        self.framebuffer = Some(Framebuffer { on: on.to_owned(), bar, claim, below_card: true });
        self
    }

    /// Another file.
    pub fn file(mut self, path: &str, content: &str) -> Machine {
        self.more.insert(path.to_owned(), Node::File(0o444, content.as_bytes().to_vec()));
        self
    }

    /// What the firmware says of the machine (`sys/class/dmi/id`).
    pub fn dmi(self, vendor: &str, product: &str, chassis: u8) -> Machine {
        let at = "sys/devices/virtual/dmi/id";
        let mut machine = self
            .file(&format!("{at}/sys_vendor"), &format!("{vendor}\n"))
            .file(&format!("{at}/product_name"), &format!("{product}\n"))
            .file(&format!("{at}/chassis_type"), &format!("{chassis}\n"));
        let link = Node::Link("../../devices/virtual/dmi/id".to_owned());
        machine.more.insert("sys/class/dmi/id".to_owned(), link);
        machine
    }

    /// The processor: its architecture as `uname -m` prints it, who made it (`AuthenticAMD`), and whether it says that a
    /// hypervisor is below it.
    pub fn processor(self, architecture: &str, vendor: &str, guest: bool) -> Machine {
        let flag = if guest { " hypervisor" } else { "" };
        let svm = if vendor == "AuthenticAMD" { "svm" } else { "vmx" };
        let cpuinfo = match architecture {
            "aarch64" => {
                "processor\t: 0\nFeatures\t: fp asimd evtstrm crc32 cpuid\nCPU implementer\t: 0x41\n".to_owned()
            }
            _ => format!("processor\t: 0\nvendor_id\t: {vendor}\nflags\t\t: fpu vme sse2 {svm}{flag} lahf_lm\n"),
        };
        self.file("proc/sys/kernel/arch", &format!("{architecture}\n")).file("proc/cpuinfo", &cpuinfo)
    }

    /// A table of the firmware's ACPI: `DMAR`, `IVRS`, `IORT`.
    pub fn table(self, name: &str) -> Machine {
        self.file(&format!("sys/firmware/acpi/tables/{name}"), name)
    }

    /// Makes it.
    pub fn build(&self) -> Tree {
        Tree::new(&self.nodes())
    }

    /// What the kernel shows of it.
    pub fn nodes(&self) -> Nodes {
        let mut shown = Shown::default();
        shown.machine(self);
        shown.nodes
    }
}
