// SPDX-License-Identifier: LGPL-2.1-or-later
//! PCI functions as sysfs shows them (`drivers/pci/pci-sysfs.c`, `drivers/pci/pci-driver.c`).

use super::Depth;
use crate::pci::{Address, Slot};
use crate::root::{Root, PCI_DEVICES};

/// One PCI function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Its address.
    pub address: Address,
    /// Vendor id.
    pub vendor: u16,
    /// Device id.
    pub device: u16,
    /// Subsystem vendor and device.
    pub subsystem: Option<(u16, u16)>,
    /// Class code, 24 bits: base class, subclass, programming interface.
    pub class: u32,
    /// The driver that has it.
    pub driver: Option<String>,
    /// The physical function of a virtual one (SR-IOV), from the link `physfn` (`drivers/pci/iov.c`); `None` for every other
    /// function, or if it was not asked for: of displays it always is, of others with `Depth::Full`, of those of the
    /// slots that [`super::Host::scan_near`] is given, or by [`super::Host::find_virtual`].
    pub physfn: Option<Address>,
    /// `boot_vga`, only read for displays. It is one sign of the boot display, and not the strongest: who wants to know asks
    /// [`super::Host::is_boot_display`].
    pub(crate) boot_vga: bool,
    /// The IOMMU group; `None` without one, or if it was not asked for (`Depth`).
    pub group: Option<u32>,
    /// The reset methods the kernel would try, in order; `None` if it knows none, or if it was not asked for (`Depth`).
    pub reset_methods: Option<Vec<String>>,
    /// `driver_override`; `None` if unset, or if it was not asked for: of displays it always is, of others by
    /// `Host::inspect`.
    pub driver_override: Option<String>,
}

impl Function {
    /// A function of which nothing else is known.
    pub fn new(address: Address, (vendor, device): (u16, u16), class: u32) -> Function {
        Function {
            address,
            vendor,
            device,
            subsystem: None,
            class,
            driver: None,
            physfn: None,
            boot_vga: false,
            group: None,
            reset_methods: None,
            driver_override: None,
        }
    }

    /// Base class 03: VGA (0300), 3D controller without outputs (0302), other display (0380).
    pub fn is_display(&self) -> bool {
        self.class >> 16 == 0x03
    }

    /// A display that a monitor can hang on. A 3D controller (0302) has no outputs: a muxless laptop's second GPU. Nor has
    /// a virtual function, whatever its class.
    pub fn has_outputs(&self) -> bool {
        self.is_display() && self.class >> 8 != 0x0302 && !self.is_virtual()
    }

    /// Whether it is a virtual function (SR-IOV): a device of its own, wherever its address lies.
    pub fn is_virtual(&self) -> bool {
        self.physfn.is_some()
    }

    /// Whether a vfio driver has it, or alone may take it: then the host shows nothing on it.
    pub fn is_given_away(&self) -> bool {
        [&self.driver, &self.driver_override].into_iter().flatten().any(|driver| is_vfio(driver))
    }

    /// Whether it is a USB host controller (class 0c03, of the PCI Code and ID Assignment Specification).
    pub fn is_usb_controller(&self) -> bool {
        self.class >> 8 == 0x0c03
    }

    /// Base class 06, bridges of every kind: never given to a guest.
    pub fn is_bridge(&self) -> bool {
        self.class >> 16 == 0x06
    }

    /// Whether the host may need it to reach its root file system or to be spoken to before that is there: everything but
    /// displays, audio, USB-C and accelerators. Disks, USB hosts and network cards are among it, and whatever is not known.
    pub fn may_be_needed_for_root(&self) -> bool {
        !matches!((self.class >> 16, self.class >> 8 & 0xff), (0x03 | 0x12, _) | (0x04, _) | (0x0c, 0x80))
    }

    /// `vendor:device` as lspci prints it.
    pub fn ids(&self) -> String {
        format!("{:04x}:{:04x}", self.vendor, self.device)
    }

    /// What sort of thing it is, in a user's words, from the class code (PCI Code and ID Assignment Specification).
    pub fn kind(&self) -> &'static str {
        match (self.class >> 16, (self.class >> 8) & 0xff) {
            (0x03, 0x00) => "VGA display",
            (0x03, 0x02) => "3D controller",
            (0x03, _) => "display",
            (0x04, 0x03) => "audio",
            (0x04, _) => "multimedia",
            (0x0c, 0x03) => "USB controller",
            (0x0c, 0x05) => "SMBus",
            (0x0c, 0x80) => "USB-C controller",
            (0x0c, _) => "serial bus",
            (0x01, 0x08) => "NVMe disk",
            (0x01, _) => "storage controller",
            (0x02, _) => "network",
            (0x06, 0x00) => "host bridge",
            (0x06, 0x04 | 0x09) => "PCI bridge",
            (0x06, _) => "bridge",
            (0x0d, _) => "wireless",
            (0x10, _) => "security processor",
            (0x12, _) => "accelerator",
            _ => "device",
        }
    }
}

/// Whether a driver hands devices to user space: vfio-pci and its variants (module aliases `vfio_pci:`).
pub fn is_vfio(driver: &str) -> bool {
    driver == "vfio-pci" || driver.ends_with("-vfio-pci") || driver.ends_with("_vfio_pci")
}

/// The path of an attribute of a function, below the root.
pub fn attribute(address: Address, name: &str) -> String {
    format!("{PCI_DEVICES}/{address}/{name}")
}

/// The addresses of all functions, in order.
pub fn addresses(root: &Root) -> Vec<Address> {
    let mut keys = Vec::new();
    // No PCI bus is not an error: there is nothing to find then.
    let _ = root.for_each_name(PCI_DEVICES, |name| keys.extend(Address::from_sysfs(name).map(Address::key)));
    keys.sort_unstable();
    keys.into_iter().map(Address::from_key).collect()
}

/// All functions, sorted by address.
pub(super) fn scan(root: &Root, depth: Depth) -> Vec<Function> {
    match depth {
        Depth::Boot => {
            let mut reader = Reader::default();
            addresses(root).into_iter().filter_map(|address| reader.read(root, address)).collect()
        }
        Depth::Full => read_fully(root, &addresses(root)),
    }
}

fn read_fully(root: &Root, addresses: &[Address]) -> Vec<Function> {
    let mut reader = Reader::default();
    addresses.iter().filter_map(|address| reader.read_fully(root, *address)).collect()
}

/// With fewer functions a second thread costs more than it saves.
const WORTH_A_THREAD: usize = 64;

/// All functions at `Depth::Full`, one half by another thread. Not in `scan`: no program of the boot path starts threads.
pub(super) fn scan_by_two(root: &Root) -> Vec<Function> {
    let addresses = addresses(root);
    if addresses.len() < WORTH_A_THREAD {
        return read_fully(root, &addresses);
    }
    let (first, second) = addresses.split_at(addresses.len() / 2);
    std::thread::scope(|scope| {
        let second_half = std::thread::Builder::new().spawn_scoped(scope, || read_fully(root, second));
        let mut functions = read_fully(root, first);
        // A machine that has no thread for us has the time.
        match second_half.map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok(more)) => functions.extend(more),
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(_) => functions.extend(read_fully(root, second)),
        }
        functions
    })
}

/// Where displays mostly are: Intel's in the processor, and whatever is alone on one of the first buses.
fn likely_displays() -> impl Iterator<Item = Address> {
    let slot = |bus, device| Slot { domain: 0, bus, device }.function(0);
    std::iter::once(slot(0, 2)).chain((1..16).map(move |bus| slot(bus, 0)))
}

/// The functions of some slots, and of all others only so many until one of them is `enough`; sorted.
///
/// Any that is enough will do, so the likely ones are asked first, and the bus is listed only if none of them is.
pub(super) fn scan_until(root: &Root, slots: &[Slot], enough: impl Fn(&Function) -> bool) -> Vec<Function> {
    let mut reader = Reader::default();
    let mut keys: Vec<u64> = slots.iter().flat_map(|slot| (0..8).map(|n| slot.function(n).key())).collect();
    keys.sort_unstable();
    keys.dedup();
    let named = keys.into_iter().map(Address::from_key);
    let mut functions: Vec<Function> = named.filter_map(|address| reader.read_named(root, address)).collect();
    let mut other = |address: Address| {
        let function = if slots.contains(&address.slot) { None } else { reader.read(root, address) };
        function.filter(&enough)
    };
    let found = likely_displays().find_map(&mut other);
    if let Some(found) = found.or_else(|| addresses(root).into_iter().find_map(&mut other)) {
        functions.insert(functions.partition_point(|f| f.address < found.address), found);
    }
    functions
}

/// The functions of one slot, in order.
pub(super) fn scan_slot(root: &Root, slot: Slot) -> Vec<Function> {
    let mut reader = Reader::default();
    (0..8).filter_map(|n| reader.read(root, slot.function(n))).collect()
}

/// One function as `Depth::Boot` shows it.
pub(super) fn read(root: &Root, address: Address) -> Option<Function> {
    Reader::default().read(root, address)
}

/// Reads functions one after another, with one buffer for all.
struct Reader {
    path: String,
    buffer: [u8; 4096],
}

impl Default for Reader {
    fn default() -> Reader {
        Reader { path: String::with_capacity(64), buffer: [0; 4096] }
    }
}

impl Reader {
    /// One function at `Depth::Boot`: all of that is in its `uevent`, one read; only a display needs a second.
    fn read(&mut self, root: &Root, address: Address) -> Option<Function> {
        self.set_path(address, "/uevent");
        let uevent = root.read_into(&self.path, &mut self.buffer);
        let function = uevent.ok().and_then(|uevent| from_uevent(address, uevent));
        let mut function = function.or_else(|| from_attributes(root, address))?;
        if function.is_display() {
            self.set_path(address, "/boot_vga");
            function.boot_vga = root.read_into(&self.path, &mut self.buffer).is_ok_and(yes);
            // Whether a display is the host's is asked of all of them.
            function.driver_override = driver_override(root, address);
            function.physfn = physfn(root, address);
        }
        Some(function)
    }

    /// The same, and whether it is a virtual function.
    fn read_named(&mut self, root: &Root, address: Address) -> Option<Function> {
        let mut function = self.read(root, address)?;
        if !function.is_display() {
            function.physfn = physfn(root, address);
        }
        Some(function)
    }

    /// One function at `Depth::Full`: walking to its directory costs more than reading there, so it is walked to once.
    fn read_fully(&mut self, root: &Root, address: Address) -> Option<Function> {
        self.set_path(address, "");
        let attributes = root.attributes(&self.path).ok()?;
        let buffer = &mut self.buffer;
        let uevent = attributes.read_into("uevent", buffer);
        let function = uevent.ok().and_then(|uevent| from_uevent(address, uevent));
        let mut function = function.or_else(|| from_attributes(root, address))?;
        if function.is_display() {
            function.boot_vga = attributes.read_into("boot_vga", buffer).is_ok_and(yes);
            function.driver_override = driver_override(root, address);
        }
        function.group = attributes.link_name("iommu_group", buffer).ok().and_then(number);
        function.physfn = attributes.link_name("physfn", buffer).ok().and_then(Address::from_sysfs);
        let methods = attributes.read_into("reset_method", buffer).ok();
        let methods = methods.and_then(|text| std::str::from_utf8(text).ok());
        function.reset_methods = methods.map(|text| text.split_ascii_whitespace().map(str::to_owned).collect());
        Some(function)
    }

    fn set_path(&mut self, address: Address, attribute: &str) {
        self.path.clear();
        self.path.push_str(PCI_DEVICES);
        self.path.push('/');
        address.push_to(&mut self.path);
        self.path.push_str(attribute);
    }
}

/// The value of a boolean attribute.
fn yes(value: &[u8]) -> bool {
    value.first() == Some(&b'1')
}

/// Decimal digits as a number.
fn number(text: &[u8]) -> Option<u32> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// One to eight hexadecimal digits as a number.
fn hex(text: &[u8]) -> Option<u32> {
    let digit = |sum: u32, b: &u8| Some(sum << 4 | char::from(*b).to_digit(16)?);
    if (1..=8).contains(&text.len()) {
        text.iter().try_fold(0, digit)
    } else {
        None
    }
}

/// `VVVV:DDDD` as two numbers.
fn pair(text: &[u8]) -> Option<(u16, u16)> {
    let at = text.iter().position(|b| *b == b':')?;
    Some((u16::try_from(hex(&text[..at])?).ok()?, u16::try_from(hex(&text[at + 1..])?).ok()?))
}

/// What `pci_uevent()` (`drivers/pci/pci-driver.c`) and `dev_uevent()` (`drivers/base/core.c`) print.
fn from_uevent(address: Address, uevent: &[u8]) -> Option<Function> {
    let (mut ids, mut class, mut subsystem, mut driver) = (None, None, None, None);
    for line in uevent.split(|b| *b == b'\n') {
        if let Some(value) = line.strip_prefix(b"PCI_ID=") {
            ids = pair(value);
        } else if let Some(value) = line.strip_prefix(b"PCI_CLASS=") {
            class = hex(value);
        } else if let Some(value) = line.strip_prefix(b"PCI_SUBSYS_ID=") {
            subsystem = pair(value).filter(|s| *s != (0, 0));
            // The kernel writes it last of these; what follows is said by the address already.
            break;
        } else if let Some(value) = line.strip_prefix(b"DRIVER=") {
            driver = Some(String::from_utf8_lossy(value).into_owned());
        }
    }
    Some(Function { subsystem, driver, ..Function::new(address, ids?, class?) })
}

/// The same from single attributes, for recordings that have no `uevent`.
fn from_attributes(root: &Root, address: Address) -> Option<Function> {
    let number = |name: &str| {
        let text = root.read_text(&attribute(address, name)).ok()?;
        hex(text.trim_start_matches("0x").as_bytes())
    };
    let short = |name: &str| number(name).and_then(|n| u16::try_from(n).ok());
    Some(Function {
        subsystem: short("subsystem_vendor").zip(short("subsystem_device")).filter(|s| *s != (0, 0)),
        driver: driver(root, address),
        ..Function::new(address, (short("vendor")?, short("device")?), number("class")?)
    })
}

/// The driver that has a function right now, from its link: what the act floor reads back.
pub fn driver(root: &Root, address: Address) -> Option<String> {
    root.link_name(&attribute(address, "driver")).ok()
}

/// The IOMMU group of a function.
pub fn group(root: &Root, address: Address) -> Option<u32> {
    root.link_name(&attribute(address, "iommu_group")).ok()?.parse().ok()
}

/// The physical function of a virtual one.
pub fn physfn(root: &Root, address: Address) -> Option<Address> {
    Address::from_sysfs(root.link_name(&attribute(address, "physfn")).ok()?.as_bytes())
}

/// How many virtual functions a physical one has made (`sriov_numvfs`); 0 also for what cannot make any.
pub fn virtual_functions(root: &Root, address: Address) -> u16 {
    let text = root.read_text(&attribute(address, "sriov_numvfs")).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// `driver_override`; the kernel prints `(null)` where it is unset.
pub fn driver_override(root: &Root, address: Address) -> Option<String> {
    let text = root.read_text(&attribute(address, "driver_override")).ok()?;
    Some(text).filter(|t| !t.is_empty() && t != "(null)")
}

/// The override that our udev rule wrote for a function, from udev's database.
pub fn override_by_udev(root: &Root, address: Address) -> Option<String> {
    let text = root.read_text(&format!("run/udev/data/+pci:{address}")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("E:VFIO_OVERRIDE=")).map(str::to_owned)
}

/// The module of the driver that has a function.
pub fn driver_module(root: &Root, address: Address) -> Option<String> {
    root.link_name(&attribute(address, "driver/module")).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A machine with these functions: address and class.
    fn tree(functions: &[(&str, &str)]) -> (tempfile::TempDir, Root) {
        let tree = tempfile::tempdir().unwrap();
        for (address, class) in functions {
            let directory = tree.path().join(PCI_DEVICES).join(address);
            std::fs::create_dir_all(&directory).unwrap();
            let uevent = format!("PCI_CLASS={class}\nPCI_ID=1002:73BF\nPCI_SUBSYS_ID=0000:0000\n");
            std::fs::write(directory.join("uevent"), uevent).unwrap();
        }
        let root = Root::open(tree.path()).unwrap();
        (tree, root)
    }

    /// What is found near a card at 03:00, up to one display with outputs.
    fn near(functions: &[(&str, &str)]) -> Vec<String> {
        let (_tree, root) = tree(functions);
        let card = Address::from_sysfs(b"0000:03:00.0").unwrap().slot;
        let found = scan_until(&root, &[card, card], Function::has_outputs);
        found.iter().map(|f| f.address.to_string()).collect()
    }

    const CARD: [(&str, &str); 2] = [("0000:03:00.0", "30000"), ("0000:03:00.1", "40300")];

    #[test]
    fn one_display_beside_the_card_is_enough_wherever_it_is() {
        let others = [("0000:00:00.0", "60000"), ("0000:00:1f.6", "20000"), ("0000:04:00.0", "30200")];
        let only = ["0000:03:00.0", "0000:03:00.1"];
        assert_eq!(near(&[&CARD[..], &others].concat()), only, "a 3D controller has no outputs");
        // Likely places, unlikely ones before and after the card, another segment.
        for display in ["0000:00:02.0", "0000:0c:00.0", "0000:00:01.3", "0000:c1:00.0", "10000:01:00.0"] {
            let found = near(&[&CARD[..], &others, &[(display, "30000")]].concat());
            let mut expected = vec![display, only[0], only[1]];
            expected.sort_unstable_by_key(|text| text.parse::<Address>().unwrap());
            assert_eq!(found, expected);
        }
        assert!(near(&[("0000:00:02.0", "30000")]).contains(&"0000:00:02.0".to_owned()), "without the card");
        assert_eq!(near(&[]), [] as [&str; 0]);
    }

    #[test]
    fn a_virtual_function_is_no_display_of_the_host() {
        let (tree, root) = tree(&[("0000:03:00.0", "20000"), ("0000:00:02.1", "30000"), ("0000:03:00.1", "20000")]);
        let virtual_of = |address: &str, physical: &str| {
            let link = tree.path().join(PCI_DEVICES).join(address).join("physfn");
            std::os::unix::fs::symlink(format!("../{physical}"), link).unwrap();
        };
        virtual_of("0000:00:02.1", "0000:00:02.0");
        virtual_of("0000:03:00.1", "0000:03:00.0");
        let card: Address = "0000:03:00.0".parse().unwrap();
        let found = scan_until(&root, &[card.slot], Function::has_outputs);
        let physical: Vec<_> = found.iter().map(|f| f.physfn).collect();
        assert_eq!(physical, [None, Some(card)], "{found:?}");
        assert_eq!(scan(&root, Depth::Full).iter().filter(|f| f.is_virtual()).count(), 2);
    }

    #[test]
    fn two_threads_find_what_one_does() {
        let names: Vec<String> = (0..=255).map(|bus| format!("0000:{bus:02x}:00.0")).collect();
        for count in [0, 1, WORTH_A_THREAD, 255, 256] {
            let functions: Vec<(&str, &str)> = names[..count].iter().map(|name| (name.as_str(), "20000")).collect();
            let (_tree, root) = tree(&functions);
            let found = scan_by_two(&root);
            assert_eq!(found.len(), count);
            assert_eq!(found, scan(&root, Depth::Full));
        }
    }
}
