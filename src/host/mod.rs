// SPDX-License-Identifier: LGPL-2.1-or-later
//! What the machine is: read from sysfs, procfs and our own run state. Never writes, never decides.

pub mod accounts;
pub mod apparmor;
pub mod bars;
pub mod boot;
pub mod bridge_window;
pub mod cpu_list;
pub mod cpus;
pub mod detail;
pub mod display;
pub mod domain;
pub mod framebuffer;
pub mod function;
pub mod governor;
pub mod holders;
pub mod home;
pub mod image;
pub mod initramfs;
pub mod input;
pub mod iommu;
pub mod kernel_cmdline;
pub mod leftovers;
pub mod libvirt;
pub mod modules;
pub mod mounts;
pub mod networks;
pub mod numa;
pub mod os_release;
pub mod pages;
pub mod pci_ids;
pub mod platform;
pub mod power;
pub mod process;
pub mod programs;
pub mod qemu;
pub mod qemu_conf;
pub mod reset;
pub mod rom;
pub mod run;
pub mod selinux;
pub mod shared_memory;
pub mod software;
mod switch;
pub mod usage;
pub mod usb;
pub mod way_in;

pub use function::Function;

use crate::pci::{Address, Slot};
use crate::root::{self, Root};
use bridge_window::BridgeWindow;

/// How closely to look: what stands in the boot path reads no more than it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Ids, class and driver of every function, the boot display, the kernel's words. For the boot path.
    Boot,
    /// As `Boot`, and every function's IOMMU group, reset methods and physical function, and the displays with their
    /// connectors.
    Full,
}

/// The machine, as it was when it was looked at.
#[derive(Debug, Clone, Default)]
pub struct Host {
    /// All PCI functions, sorted by address.
    pub functions: Vec<Function>,
    /// Whether every function was looked at, with its IOMMU group: then the groups are complete.
    pub whole: bool,
    /// Functions in other slots that belong to the card with this display, behind the card's own switch.
    pub behind: Vec<(Address, Vec<Address>)>,
    /// Physical functions that have made virtual ones, and how many, where not all functions were looked at; filled by
    /// [`Host::inspect`].
    pub with_virtual: Vec<(Address, u16)>,
    /// The state of the IOMMU.
    pub iommu: iommu::Iommu,
    /// The kernel's command line.
    pub words: kernel_cmdline::KernelCmdline,
    /// Displays with their DRM nodes; empty if not looked at, or if no DRM driver is loaded yet.
    pub displays: Vec<display::Display>,
    /// The display that the firmware showed its messages on; known after `Depth::Full` or [`Host::find_boot_display`].
    pub boot_display: display::BootDisplay,
    /// The firmware's framebuffers that lie on displays; looked for at `Depth::Full`.
    pub framebuffers: Vec<framebuffer::Kept>,
    /// Which guest has which card, by the names of their sections; read at `Depth::Full`.
    pub claims: Vec<(String, String)>,
    /// PCI drivers that are registered with the kernel; filled by [`Host::inspect`].
    pub drivers: Vec<String>,
    /// Whether nvidia's display module is loaded; filled by [`Host::inspect`].
    pub nvidia_drm: bool,
    /// Who holds which function; filled by [`Host::find_holders`].
    pub holders: Vec<(Address, holders::Holder)>,
    /// What the host has on functions; filled by [`Host::find_usage`], of disks alone by [`Host::find_data`].
    pub usage: Vec<usage::Usage>,
    /// Best vfio driver for a function, for `driver = auto`; filled by [`Host::find_variants`].
    pub variants: Vec<(Address, modules::Variant)>,
    /// The module vendor-reset; filled by [`Host::find_vendor_reset`].
    pub vendor_reset: reset::VendorReset,
    /// The reset methods that functions showed before we wrote others, from the journals.
    pub reset_before: Vec<(Address, Vec<String>)>,
    /// Functions that do not answer; filled by [`Host::find_dead`].
    pub silent: Vec<Address>,
    /// Cards that must be left alone until the next boot, and why; filled by [`Host::find_dead`].
    pub dead: Vec<(String, String)>,
    /// Functions with resizable BARs, and the room they have; filled by [`Host::inspect_bars`].
    pub windows: Vec<(Address, BridgeWindow)>,
    /// Whether the kernel lets nobody write configuration space; filled by [`Host::inspect_bars`].
    pub locked_down: bool,
    /// The kernel's release; filled at `Depth::Full`, by [`Host::inspect_bars`], and by [`Host::find_direct`] if that has
    /// found something.
    pub kernel: String,
    /// IOMMU groups with memory that the firmware wants mapped 1:1, and where; filled by [`Host::find_direct`].
    pub direct: Vec<(u32, String)>,
    /// Functions that may sleep; filled by [`Host::find_sleepers`].
    pub sleepers: Vec<Address>,
    /// Functions that have lost the place of a BAR, by its number; filled by [`Host::inspect`].
    pub lost: Vec<(Address, u8)>,
    /// Why nothing is bound in this boot (`/run/vfio/off`), if so.
    pub off: Option<String>,
}

impl Host {
    /// Looks at the machine. What cannot be read is left out: a machine without PCI has no functions.
    pub fn scan(root: &Root, depth: Depth) -> Host {
        let functions = function::scan(root, depth);
        let mut host = Host::with(root, functions);
        if depth == Depth::Full {
            host.whole = true;
            host.find_displays(root);
            host.claims = run::claims::claims(root);
        }
        host
    }

    /// As `Depth::Full` without the displays, read by two threads: what takes the time is the kernel, several system
    /// calls a function, and it takes them side by side.
    pub fn scan_by_two(root: &Root) -> Host {
        Host { whole: true, ..Host::with(root, function::scan_by_two(root)) }
    }

    fn with(root: &Root, functions: Vec<Function>) -> Host {
        let mut host = Host {
            functions,
            iommu: iommu::Iommu::scan(root),
            words: kernel_cmdline::KernelCmdline::read(root),
            off: root.read_text(&format!("{}/off", root::RUN)).ok(),
            ..Host::default()
        };
        let alone = |f: &&Function| f.is_display() && switch::may_have(f, host.slot(f.address.slot));
        let displays: Vec<Function> = host.functions.iter().filter(alone).cloned().collect();
        for display in displays {
            let behind = switch::behind(root, &display);
            if !behind.is_empty() {
                host.behind.push((display.address, behind.iter().map(|f| f.address).collect()));
                behind.into_iter().for_each(|function| host.insert(function));
            }
        }
        host
    }

    /// A function that was not looked at before.
    fn insert(&mut self, function: Function) {
        if let Err(at) = self.functions.binary_search_by_key(&function.address, |f| f.address) {
            self.functions.insert(at, function);
        }
    }

    /// As `Depth::Boot`, but of the functions outside these slots only so many until a display of the host is among them:
    /// enough to decide on cards that are chosen by address, and on most machines a handful.
    pub fn scan_near(root: &Root, slots: &[Slot]) -> Host {
        let display = |f: &Function| f.has_outputs() && !f.is_given_away();
        Host::with(root, function::scan_until(root, slots, display))
    }

    /// The functions of one slot, as `Depth::Boot` shows them.
    pub fn scan_slot(root: &Root, slot: Slot) -> Vec<Function> {
        function::scan_slot(root, slot)
    }

    /// Finds the virtual functions of some slots, where they were not asked for.
    pub fn find_virtual(&mut self, root: &Root, slots: &[Slot]) {
        for function in self.functions.iter_mut().filter(|f| slots.contains(&f.address.slot)) {
            function.physfn = function::physfn(root, function.address);
        }
    }

    /// Reads what a plan for these functions needs beyond `Depth::Boot`: group with all its members, override, the
    /// virtual functions that they have made, and the registered drivers.
    pub fn inspect(&mut self, root: &Root, functions: impl IntoIterator<Item = Address>) {
        let functions: Vec<Address> = functions.into_iter().collect();
        let mut groups: Vec<u32> = Vec::new();
        for address in functions.iter().copied() {
            if let Ok(at) = self.functions.binary_search_by_key(&address, |f| f.address) {
                let function = &mut self.functions[at];
                function.group = function::group(root, address);
                function.driver_override = function::driver_override(root, address);
                groups.extend(function.group.filter(|group| !groups.contains(group)));
                // Only a driver makes them (`drivers/pci/iov.c`, `sriov_numvfs_store`).
                if !self.whole && function.driver.is_some() {
                    let made = function::virtual_functions(root, address);
                    self.with_virtual.extend((made > 0).then_some((address, made)));
                }
            }
            self.lost.extend(bars::lost(root, address).map(|bar| (address, bar)));
        }
        self.find_direct(root, &functions);
        if !self.whole {
            groups.iter().for_each(|group| self.complete_group(root, *group));
        }
        self.drivers = root.list(root::PCI_DRIVERS).unwrap_or_default();
        self.nvidia_drm = root.exists("sys/module/nvidia_drm");
    }

    /// Looks for memory that the firmware wants mapped 1:1 for the groups of functions: one small file each.
    pub fn find_direct(&mut self, root: &Root, functions: &[Address]) {
        let mut groups: Vec<u32> = functions.iter().filter_map(|f| self.function(*f)?.group).collect();
        groups.sort_unstable();
        groups.dedup();
        self.direct = groups.into_iter().filter_map(|group| Some((group, iommu::direct(root, group)?))).collect();
        if !self.direct.is_empty() {
            self.kernel = modules::release(root).unwrap_or_default();
        }
    }

    /// Reads the members of a group that are not known yet.
    fn complete_group(&mut self, root: &Root, group: u32) {
        let mut members = Vec::new();
        let path = format!("{}/{group}/devices", root::IOMMU_GROUPS);
        // A group without this directory has gone meanwhile.
        let _ = root.for_each_name(&path, |name| members.extend(Address::from_sysfs(name)));
        for address in members {
            match self.functions.binary_search_by_key(&address, |f| f.address) {
                Ok(at) => self.functions[at].group = Some(group),
                Err(_) => {
                    let read = function::read(root, address).map(|f| Function { group: Some(group), ..f });
                    read.into_iter().for_each(|function| self.insert(function));
                }
            }
        }
    }

    /// How many virtual functions a physical one has.
    pub fn virtual_functions(&self, physical: Address) -> usize {
        let made = self.with_virtual.iter().find(|(address, _)| *address == physical).map_or(0, |(_, made)| *made);
        let seen = self.functions.iter().filter(|f| f.physfn == Some(physical)).count();
        seen.max(usize::from(made))
    }

    /// Looks which display is the boot display: a read of `/proc/iomem`, and where that does not tell of every display's
    /// DRM node.
    pub fn find_boot_display(&mut self, root: &Root) {
        self.boot_display = display::boot(root, &self.functions);
    }

    /// Whether the firmware showed its messages on this function, as far as that is known. Nothing else decides it.
    pub fn is_boot_display(&self, function: Address) -> bool {
        self.boot_display.functions.contains(&function)
    }

    /// Looks for cards that do not answer, now or since an earlier act.
    pub fn find_dead(&mut self, root: &Root, functions: &[Address]) {
        self.silent = functions.iter().copied().filter(|function| reset::is_silent(root, *function)).collect();
        let dead = root.list(&format!("{}/dead", root::RUN)).unwrap_or_default();
        self.dead = dead.into_iter().filter_map(|gpu| reset::dead(root, &gpu).map(|why| (gpu, why))).collect();
    }

    /// Looks which functions may sleep.
    pub fn find_sleepers(&mut self, root: &Root, functions: &[Address]) {
        self.sleepers = functions.iter().copied().filter(|function| power::may_sleep(root, *function)).collect();
    }

    /// Looks for the module vendor-reset, if it is asked for.
    pub fn find_vendor_reset(&mut self, root: &Root, asked: bool) {
        if asked {
            self.vendor_reset = reset::vendor_reset(root);
        }
    }

    /// Looks at the BARs of functions and the room they have.
    pub fn inspect_bars(&mut self, root: &Root, functions: &[Address]) {
        let window = |f: Address| {
            let window = bridge_window::read_window(root, f)?;
            Some((f, BridgeWindow { alone_below: bridge_window::alone_below(root, f, functions), ..window }))
        };
        self.windows = functions.iter().filter_map(|f| window(*f)).collect();
        self.locked_down = reset::is_locked_down(root);
        self.kernel = modules::release(root).unwrap_or_default();
    }

    /// Looks for what holds one of these functions: open files, mappings, mounts.
    pub fn find_holders(&mut self, root: &Root, functions: &[Address]) {
        self.holders = holders::find(root, functions);
    }

    /// Looks at the displays, where [`Host::scan_by_two`] left them out.
    pub fn find_displays(&mut self, root: &Root) {
        let framebuffers = framebuffer::find(root);
        (self.displays, self.boot_display) = display::scan(root, &self.functions, &framebuffers);
        self.framebuffers = framebuffer::kept(root, &framebuffers);
        self.kernel = modules::release(root).unwrap_or_default();
    }

    /// Looks for everything that the host has on functions. `asked` are those of which also that is looked for which shows
    /// nowhere but in a disk that cannot be opened exclusively.
    pub fn find_usage(&mut self, root: &Root, asked: &[Address]) {
        self.usage = usage::read_usage(root, &self.functions, &self.displays, asked);
    }

    /// Looks for the host's data on functions, if one of these may have any: the boot path reads no mounts for a card.
    pub fn find_data(&mut self, root: &Root, functions: &[Address]) {
        let may_have = |a: &Address| self.function(*a).is_none_or(Function::may_be_needed_for_root);
        let asked: Vec<Address> = functions.iter().copied().filter(may_have).collect();
        if !asked.is_empty() {
            self.usage = usage::look_for_data(root, &asked);
        }
    }

    /// What the host has on a function, or on what hangs on it.
    pub fn usage_of(&self, function: Address) -> impl Iterator<Item = &usage::Use> {
        self.usage.iter().filter(move |usage| usage.functions.contains(&function)).map(|usage| &usage.what)
    }

    /// Looks for holders, but only of functions that a driver has: at boot there are none, and no process is looked at.
    pub fn find_holders_of_bound(&mut self, root: &Root, functions: &[Address]) {
        let bound = |a: &Address| self.function(*a).is_some_and(|f| f.driver.is_some());
        let bound: Vec<Address> = functions.iter().copied().filter(bound).collect();
        if !bound.is_empty() {
            self.find_holders(root, &bound);
        }
    }

    /// Looks up the best vfio driver of these functions in the running kernel's `modules.alias`.
    pub fn find_variants(&mut self, root: &Root, functions: &[Address]) {
        if !functions.is_empty() {
            self.variants = modules::variants(root, functions);
        }
    }

    /// The first who holds a function.
    pub fn holder(&self, function: Address) -> Option<&holders::Holder> {
        self.holders.iter().find_map(|(held, holder)| (*held == function).then_some(holder))
    }

    /// The best vfio driver of a function.
    pub fn variant(&self, function: Address) -> Option<&modules::Variant> {
        self.variants.iter().find_map(|(of, variant)| (*of == function).then_some(variant))
    }

    /// The function at an address.
    pub fn function(&self, address: Address) -> Option<&Function> {
        let at = self.functions.binary_search_by_key(&address, |f| f.address).ok()?;
        Some(&self.functions[at])
    }

    /// All functions of a slot, in order.
    pub fn slot(&self, slot: Slot) -> &[Function] {
        let from = self.functions.partition_point(|f| f.address.slot < slot);
        let to = self.functions.partition_point(|f| f.address.slot <= slot);
        &self.functions[from..to]
    }

    /// The members of an IOMMU group. Complete after `Depth::Full`, and for groups of what was looked at closer.
    pub fn group(&self, group: u32) -> impl Iterator<Item = &Function> {
        self.functions.iter().filter(move |f| f.group == Some(group))
    }
}
