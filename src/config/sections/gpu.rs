// SPDX-License-Identifier: LGPL-2.1-or-later
//! `[gpu NAME]`: a card that guests may get.

use crate::config::location::At;
use crate::config::report::clip;
use crate::config::values::{list_of, one_of, pci, size, word, Parsed, Wrong};
use crate::finding::Location;
use crate::pci::{Address, Identity};
use std::fmt;

/// The keys.
pub(in crate::config) const KEYS: &[&str] = &[
    "device",
    "identity",
    "functions",
    "optional",
    "also",
    "bind",
    "driver",
    BARS[0],
    BARS[1],
    BARS[2],
    BARS[3],
    BARS[4],
    BARS[5],
    "rebar-method",
    "reset",
    "rom",
    "acpi-table",
    "only-display",
];

/// The BARs, which `[gpu]` has as keys.
pub(in crate::config) const BARS: [&str; 6] = ["bar0", "bar1", "bar2", "bar3", "bar4", "bar5"];

/// `[gpu NAME]`: a card that guests may get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gpu {
    /// The user's name for it.
    pub name: String,
    /// Where the section begins.
    pub at: Location,
    /// `device`: which card.
    pub device: At<Selector>,
    /// `identity`: what the card must be, however it is chosen.
    pub identity: Option<At<Identity>>,
    /// `functions` of the slot.
    pub functions: Functions,
    /// `optional`: a card that is not there is nothing to speak of.
    pub optional: bool,
    /// `also`: further endpoints of the group that the host may lose.
    pub also: Vec<At<Address>>,
    /// `bind`: when it is bound to vfio.
    pub bind: Bind,
    /// `driver`.
    pub driver: Driver,
    /// `bar0` to `bar5`.
    pub bars: [Option<At<BarSize>>; 6],
    /// `rebar-method`.
    pub rebar_method: RebarMethod,
    /// `reset`.
    pub reset: Reset,
    /// `rom`: an option ROM file.
    pub rom: Option<At<String>>,
    /// `acpi-table`: an ACPI table by which the guest's driver gets the option ROM.
    pub acpi_table: Option<At<String>>,
    /// `only-display`: may be taken although the host keeps no other display; so may all cards of a headless host.
    pub only_display: bool,
}

/// `device`: how a card is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selector {
    /// By where it sits.
    Address(Address),
    /// By what it is; exactly one slot must match.
    Identity(Identity),
    /// The card the firmware showed its messages on (`host::display::BootDisplay`).
    BootDisplay,
    /// The one display that is not the boot display.
    NotBootDisplay,
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Selector::Address(address) => address.fmt(f),
            Selector::Identity(identity) => identity.fmt(f),
            Selector::BootDisplay => f.write_str("boot-display"),
            Selector::NotBootDisplay => f.write_str("not-boot-display"),
        }
    }
}

/// `functions`: which of the slot's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Functions {
    /// All that are there.
    All,
    /// These, by number (0 to 7), sorted, none twice.
    Listed(At<Vec<u8>>),
}

/// `bind`: when the card is bound to vfio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bind {
    /// At boot, before any host driver.
    Boot,
    /// Only while a guest runs.
    Guest,
}

/// `driver`: what the functions are bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// `vfio-pci`.
    VfioPci,
    /// The best vfio variant driver in `modules.alias`.
    Auto,
}

/// `bar0` to `bar5`: the desired size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BarSize {
    /// So many bytes.
    Bytes(u64),
    /// The largest that fits.
    Max,
    /// The smallest supported.
    Min,
    /// What the firmware chose.
    Firmware,
}

/// `rebar-method`: how BARs get other sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RebarMethod {
    /// By `resourceN_resize`.
    Kernel,
    /// By the register of the capability; the card is removed and rescanned.
    Rescan,
}

/// `reset`: how the card is reset between guests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reset {
    /// From the table of known cards.
    Auto,
    /// Function-level reset.
    Flr,
    /// Power state D3hot and back.
    Pm,
    /// Secondary bus reset.
    Bus,
    /// The kernel's device-specific method.
    DeviceSpecific,
    /// The vendor-reset module's.
    VendorReset,
    /// Not at all.
    None,
}

impl Reset {
    const WORDS: [(&'static str, Reset); 7] = [
        ("auto", Reset::Auto),
        ("flr", Reset::Flr),
        ("pm", Reset::Pm),
        ("bus", Reset::Bus),
        ("device_specific", Reset::DeviceSpecific),
        ("vendor-reset", Reset::VendorReset),
        ("none", Reset::None),
    ];

    /// How it is written.
    pub fn word(self) -> &'static str {
        Reset::WORDS.iter().find(|(_, reset)| *reset == self).map_or("", |(word, _)| word)
    }
}

/// `identity`.
pub(in crate::config) fn identity(text: &str) -> Parsed<Identity> {
    pci(text)
}

/// `device`.
pub(in crate::config) fn selector(text: &str) -> Parsed<Selector> {
    const WORDS: [(&str, Selector); 2] =
        [("boot-display", Selector::BootDisplay), ("not-boot-display", Selector::NotBootDisplay)];
    if let Some(selector) = word(text, &WORDS) {
        return Ok(selector);
    }
    // What it looks like most decides which error there is.
    if text.contains('.') || text.split(':').any(|part| part.len() == 2) {
        return pci(text).map(Selector::Address);
    }
    if text.contains(':') {
        return pci(text).map(Selector::Identity);
    }
    let others = ["an address (0000:03:00.0)", "vendor:device (1002:73bf)"];
    Err(Wrong::expected(text, &WORDS.map(|(word, _)| word), &others))
}

/// `also`.
pub(in crate::config) fn addresses(text: &str) -> Parsed<Vec<Address>> {
    list_of(text, "address", pci)
}

/// `functions`: None for `all`.
pub(in crate::config) fn functions(text: &str) -> Parsed<Option<Vec<u8>>> {
    if text.eq_ignore_ascii_case("all") {
        return Ok(None);
    }
    let one = |part: &str| match part.as_bytes() {
        [digit @ b'0'..=b'7'] => Ok(digit - b'0'),
        _ => Err(Wrong::new(format!("'{}' is not a function", clip(part)))
            .hint("write all, or numbers from 0 to 7 as in 0,1")),
    };
    let functions = list_of(text, "function", one)?;
    // In order. A sort is 4 KB in each program of the boot.
    Ok(Some((0..8).filter(|function| functions.contains(function)).collect()))
}

/// `bind`.
pub(in crate::config) fn bind(text: &str) -> Parsed<Bind> {
    one_of(text, &[("boot", Bind::Boot), ("guest", Bind::Guest)])
}

/// `driver`.
pub(in crate::config) fn driver(text: &str) -> Parsed<Driver> {
    let words = [("vfio-pci", Driver::VfioPci), ("auto", Driver::Auto)];
    // The kernel writes the module's name with an underscore and the driver's with a hyphen.
    one_of(if text == "vfio_pci" { "vfio-pci" } else { text }, &words)
}

/// `reset`.
pub(in crate::config) fn reset(text: &str) -> Parsed<Reset> {
    match text {
        "device-specific" => Ok(Reset::DeviceSpecific),
        "vendor_reset" => Ok(Reset::VendorReset),
        _ => one_of(text, &Reset::WORDS),
    }
}

/// `bar0` to `bar5`.
pub(in crate::config) fn bar(text: &str) -> Parsed<BarSize> {
    /// What a Resizable BAR capability can say: 1 MiB to 128 TiB.
    const SIZES: std::ops::RangeInclusive<u64> = 1 << 20..=1 << 47;
    let words = [("max", BarSize::Max), ("min", BarSize::Min), ("firmware", BarSize::Firmware)];
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        let size = ["a size such as 256M or 16G"];
        return word(text, &words).ok_or_else(|| Wrong::expected(text, &words.map(|(word, _)| word), &size));
    }
    let wrong = |why: &str, hint: &str| Err(Wrong::new(format!("'{}' {why}", clip(text))).hint(hint));
    match size(text) {
        Some(bytes) if bytes.is_power_of_two() && SIZES.contains(&bytes) => Ok(BarSize::Bytes(bytes)),
        Some(bytes) if bytes < *SIZES.start() && !text.ends_with(|c: char| c.is_ascii_alphabetic()) => {
            wrong("counts bytes, and a BAR has 1M at least", "write the size with M or G, as 256M or 16G")
        }
        Some(_) => wrong("is not a power of two from 1M to 128T", "write 256M or 16G"),
        None => wrong("is not a size", "write 256M or 16G"),
    }
}

/// `rebar-method`.
pub(in crate::config) fn rebar_method(text: &str) -> Parsed<RebarMethod> {
    one_of(text, &[("kernel", RebarMethod::Kernel), ("rescan", RebarMethod::Rescan)])
}
