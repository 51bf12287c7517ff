// SPDX-License-Identifier: LGPL-2.1-or-later
//! Drivers: which matches which function, binding, unbinding.

use crate::device::Device;
use crate::faults;
use crate::platform;
use crate::tree::{glob, Tree};
use rustix::io::Errno;
use std::io;
use vfio_suite::root::PCI_DRIVERS;

/// A line of `.kernel/drivers`.
pub(crate) struct Known {
    /// Its name on the PCI bus; `None` for a module that registers no PCI driver.
    pub(crate) driver: Option<String>,
    /// Its module; `None` if it is built in.
    pub(crate) module: Option<String>,
    /// Which modaliases it matches.
    globs: Vec<String>,
}

impl Known {
    pub(crate) fn matches(&self, modalias: &str) -> bool {
        self.globs.iter().any(|pattern| glob(pattern, modalias))
    }

    /// Whether it hands functions to guests: its alias says so, as that of every VFIO driver does.
    pub(crate) fn is_vfio(&self) -> bool {
        self.globs.iter().any(|pattern| pattern.starts_with("vfio_pci:"))
    }
}

/// Why a function was not bound.
enum Refusal {
    /// The core would not even ask the driver.
    Core(io::Error),
    /// The driver's `probe()` said no.
    Probe(io::Error),
}

/// What can be loaded, or is built in.
pub(crate) fn known(tree: &Tree<'_>) -> io::Result<Vec<Known>> {
    let some = |word: Option<&String>| word.filter(|word| *word != "-").cloned();
    let line = |words: Vec<String>| Known {
        driver: some(words.first()),
        module: some(words.get(1)),
        globs: words.into_iter().skip(2).collect(),
    };
    Ok(tree.facts("drivers")?.into_iter().map(line).collect())
}

/// The drivers that are registered: those the simulator knows, in the order in which they come, then the tree's others.
fn registered(tree: &Tree<'_>, known: &[Known]) -> Vec<String> {
    let mut all = tree.list(PCI_DRIVERS);
    let mut names: Vec<String> = Vec::new();
    for name in known.iter().filter_map(|known| known.driver.as_ref()) {
        if let Some(at) = all.iter().position(|there| there == name) {
            names.push(all.remove(at));
        }
    }
    names.extend(all);
    names
}

fn is_vfio(known: &[Known], driver: &str) -> bool {
    driver == "vfio-pci" || known.iter().any(|k| k.driver.as_deref() == Some(driver) && k.is_vfio())
}

/// `pci_match_device()`: an override lets one name only and needs no id; then come the ids written to `new_id`, then
/// the driver's own.
fn matches(tree: &Tree<'_>, known: &[Known], driver: &str, device: &Device) -> io::Result<bool> {
    if let Some(only) = device.driver_override(tree) {
        return Ok(only == driver);
    }
    let modalias = device.modalias(tree);
    if dynids(tree, driver)?.iter().any(|id| id.matches(tree, device)) {
        return Ok(true);
    }
    Ok(known.iter().any(|known| known.driver.as_deref() == Some(driver) && known.matches(&modalias)))
}

/// `__driver_probe_device()`: gives a function to a driver that matches it.
fn attach(tree: &Tree<'_>, known: &[Known], driver: &str, device: &Device) -> Result<(), Refusal> {
    let core = |errno: Errno| Refusal::Core(errno.into());
    if device.driver(tree).is_some() {
        return Err(core(Errno::BUSY));
    }
    let vfio = is_vfio(known, driver);
    // A driver that uses the kernel's DMA is kept out of a group that a guest has open (`pci_dma_configure`);
    // these three manage it themselves or need none (`driver_managed_dma`).
    let own_dma = vfio || matches!(driver, "pcieport" | "pci-stub");
    if !own_dma && device.owned(tree).map_err(Refusal::Core)? {
        return Err(core(Errno::BUSY));
    }
    let what = format!("probe:{driver}:{}", device.name);
    if let Some((error, _)) = faults::planned(tree, &what, None).map_err(Refusal::Core)? {
        return Err(Refusal::Probe(error));
    }
    if vfio && (device.is_bridge(tree) || denied(tree, device) || device.group(tree).is_none()) {
        return Err(Refusal::Probe(Errno::INVAL.into()));
    }
    // A display's own driver takes the firmware's framebuffer away, vfio-pci only that of a VGA controller.
    let class = device.id(tree, "class").unwrap_or(0);
    if class >> 16 == 0x03 && driver != "pci-stub" && (!vfio || class >> 8 == 0x0300) {
        platform::remove(tree, device).map_err(Refusal::Core)?;
    }
    device.show_bound(tree, driver, vfio).map_err(Refusal::Core)
}

/// Accelerators that vfio-pci will not have (`vfio_pci_dev_in_denylist`).
fn denied(tree: &Tree<'_>, device: &Device) -> bool {
    let ids = [0x19e2, 0x19e3, 0x37c8, 0x37c9, 0x0435, 0x0443, 0x0b25, 0x0cfe];
    device.id(tree, "vendor") == Some(0x8086) && device.id(tree, "device").is_some_and(|id| ids.contains(&id))
}

/// `device_attach()`: an unbound function is offered to every driver that matches, until one takes it.
fn offer(tree: &Tree<'_>, known: &[Known], device: &Device) -> io::Result<()> {
    if device.driver(tree).is_some() {
        return Ok(());
    }
    for driver in registered(tree, known) {
        if matches(tree, known, &driver, device)? {
            match attach(tree, known, &driver, device) {
                Ok(()) => break,
                Err(Refusal::Core(e)) => return Err(e),
                // The next driver may be luckier.
                Err(Refusal::Probe(_)) => {}
            }
        }
    }
    Ok(())
}

/// `driver_attach()`: a new driver or id is offered every unbound function; what fails is passed over.
pub(crate) fn offer_all(tree: &Tree<'_>, known: &[Known], driver: &str) -> io::Result<()> {
    for device in Device::all(tree) {
        if device.driver(tree).is_none() && matches(tree, known, driver, &device)? {
            let _refused = attach(tree, known, driver, &device);
        }
    }
    Ok(())
}

/// What a function that is new on the bus meets: the drivers that are registered and match. What fails is only logged.
pub(crate) fn meet(tree: &Tree<'_>, device: &Device) -> io::Result<()> {
    let _refused = offer(tree, &known(tree)?, device);
    Ok(())
}

/// `drivers_probe`: success says that no error happened, not that anything was bound; every error is EINVAL.
pub(crate) fn probe(tree: &Tree<'_>, device: &Device) -> io::Result<()> {
    offer(tree, &known(tree)?, device).map_err(|_| Errno::INVAL.into())
}

/// `drivers/NAME/bind`: ENODEV if it does not match; EBUSY if it is bound already, be it to the same driver (so since
/// 5.12; before, ENODEV); what `probe()` says is returned as it is.
pub(crate) fn bind(tree: &Tree<'_>, driver: &str, device: &Device) -> io::Result<()> {
    let known = known(tree)?;
    if !matches(tree, &known, driver, device)? {
        return Err(Errno::NODEV.into());
    }
    attach(tree, &known, driver, device).map_err(|refusal| match refusal {
        Refusal::Core(e) | Refusal::Probe(e) => e,
    })
}

/// `drivers/NAME/unbind`: ENODEV if it is not this driver's.
pub(crate) fn unbind(tree: &Tree<'_>, driver: &str, device: &Device) -> io::Result<()> {
    if device.driver(tree).as_deref() != Some(driver) {
        return Err(Errno::NODEV.into());
    }
    release(tree, device)
}

/// Takes the driver away from a function, if it has one. A function that a guest uses is not given back until the guest
/// lets go, nor one whose driver waits for its last user: the writer waits with it.
pub(crate) fn release(tree: &Tree<'_>, device: &Device) -> io::Result<()> {
    let Some(driver) = device.driver(tree) else { return Ok(()) };
    let vfio = is_vfio(&known(tree)?, &driver);
    if (vfio && device.owned(tree)?) || waits(tree, &driver, device) {
        return Err(io::ErrorKind::TimedOut.into());
    }
    device.show_unbound(tree, &driver, vfio)
}

/// Drivers whose `remove()` waits until nobody has a node open: `snd_card_free()` of sound cards; NVIDIA's own for the
/// users of that card, not for those of the nodes that all cards share. Others let go under their users' hands.
fn waits(tree: &Tree<'_>, driver: &str, device: &Device) -> bool {
    let own = |node: &str| {
        let minor = node.strip_prefix("/dev/nvidia").and_then(|rest| rest.bytes().next());
        node.starts_with("/dev/dri/") || minor.is_some_and(|byte| byte.is_ascii_digit())
    };
    match driver {
        "snd_hda_intel" => device.held(tree, |node| node.starts_with("/dev/snd/")),
        "nvidia" => device.held(tree, own),
        _ => false,
    }
}

/// Whether a function is with a driver that hands it to guests.
pub(crate) fn is_with_vfio(tree: &Tree<'_>, device: &Device) -> io::Result<bool> {
    let known = known(tree)?;
    Ok(device.driver(tree).is_some_and(|driver| is_vfio(&known, &driver)))
}

/// Forgets what was written to a driver's `new_id`: it goes with the driver.
pub(crate) fn forget_ids(tree: &Tree<'_>, driver: &str) -> io::Result<()> {
    if dynids(tree, driver)?.is_empty() {
        Ok(())
    } else {
        write_dynids(tree, driver, &[])
    }
}

/// An id written to `new_id`; what is not given matches anything.
#[derive(PartialEq, Eq)]
struct DynamicId {
    vendor: u32,
    device: u32,
    subvendor: u32,
    subdevice: u32,
    class: u32,
    mask: u32,
}

/// `PCI_ANY_ID`.
const ANY: u32 = u32::MAX;

impl DynamicId {
    /// Reads as `sscanf("%x %x ...")` does: as many numbers as are there, two at least.
    fn parse<'t>(words: impl Iterator<Item = &'t str>) -> Option<(DynamicId, usize)> {
        let read = |word: &str| {
            let digits = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")).unwrap_or(word);
            u32::from_str_radix(digits, 16).ok()
        };
        let numbers: Vec<u32> = words.map_while(read).take(7).collect();
        let [vendor, device, rest @ ..] = numbers.as_slice() else { return None };
        let nth = |n: usize, otherwise| rest.get(n).copied().unwrap_or(otherwise);
        let id = DynamicId {
            vendor: *vendor,
            device: *device,
            subvendor: nth(0, ANY),
            subdevice: nth(1, ANY),
            class: nth(2, 0),
            mask: nth(3, 0),
        };
        Some((id, numbers.len()))
    }

    fn matches(&self, tree: &Tree<'_>, device: &Device) -> bool {
        let is = |desired: u32, attribute| desired == ANY || device.id(tree, attribute) == Some(desired);
        is(self.vendor, "vendor")
            && is(self.device, "device")
            && is(self.subvendor, "subsystem_vendor")
            && is(self.subdevice, "subsystem_device")
            && (self.class ^ device.id(tree, "class").unwrap_or(0)) & self.mask == 0
    }

    /// The modalias of a function that has just these ids.
    fn modalias(&self) -> String {
        let DynamicId { vendor, device, subvendor, subdevice, class, .. } = self;
        let [_, base, sub, interface] = class.to_be_bytes();
        format!(
            "pci:v{vendor:08X}d{device:08X}sv{subvendor:08X}sd{subdevice:08X}bc{base:02X}sc{sub:02X}i{interface:02X}"
        )
    }

    fn show(&self) -> String {
        let DynamicId { vendor, device, subvendor, subdevice, class, mask } = self;
        format!("{vendor:04x} {device:04x} {subvendor:x} {subdevice:x} {class:x} {mask:x}")
    }
}

fn dynids(tree: &Tree<'_>, driver: &str) -> io::Result<Vec<DynamicId>> {
    let lines = tree.facts("dynids")?.into_iter().filter(|words| words[0] == driver);
    Ok(lines.filter_map(|words| Some(DynamicId::parse(words[1..].iter().map(String::as_str))?.0)).collect())
}

fn write_dynids(tree: &Tree<'_>, driver: &str, ids: &[DynamicId]) -> io::Result<()> {
    let others = tree.facts("dynids")?.into_iter().filter(|words| words[0] != driver);
    let mut text: String = others.map(|words| format!("{}\n", words.join(" "))).collect();
    text.extend(ids.iter().map(|id| format!("{driver} {}\n", id.show())));
    if text.is_empty() {
        return tree.unlink(".kernel/dynids");
    }
    tree.put(".kernel/dynids", &text)
}

/// `drivers/NAME/new_id`: EEXIST if the driver has it already; then every unbound function that matches is bound.
pub(crate) fn new_id(tree: &Tree<'_>, driver: &str, value: &str) -> io::Result<()> {
    let (id, fields) = DynamicId::parse(value.split_whitespace()).ok_or(Errno::INVAL)?;
    let known = known(tree)?;
    let mut ids = dynids(tree, driver)?;
    let own = || known.iter().any(|k| k.driver.as_deref() == Some(driver) && k.matches(&id.modalias()));
    if fields != 7 && (ids.contains(&id) || own()) {
        return Err(Errno::EXIST.into());
    }
    ids.push(id);
    write_dynids(tree, driver, &ids)?;
    offer_all(tree, &known, driver)
}

/// `drivers/NAME/remove_id`: forgets one such id; what is bound stays bound.
pub(crate) fn remove_id(tree: &Tree<'_>, driver: &str, value: &str) -> io::Result<()> {
    let (desired, _) = DynamicId::parse(value.split_whitespace()).ok_or(Errno::INVAL)?;
    let mut ids = dynids(tree, driver)?;
    let same = |id: &DynamicId| {
        (id.vendor, id.device) == (desired.vendor, desired.device)
            && (desired.subvendor == ANY || id.subvendor == desired.subvendor)
            && (desired.subdevice == ANY || id.subdevice == desired.subdevice)
            && (id.class ^ desired.class) & desired.mask == 0
    };
    let at = ids.iter().position(same).ok_or(Errno::NODEV)?;
    ids.remove(at);
    write_dynids(tree, driver, &ids)
}
