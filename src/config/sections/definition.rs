// SPDX-License-Identifier: LGPL-2.1-or-later
//! The keys of `[guest NAME]` that say what its libvirt domain is to be like. A key that is not written leaves the domain's
//! own definition alone.

use crate::config::report::clip;
use crate::config::values::{absolute_path, list, list_of, number, one_of, size, word, Parsed, Wrong};

/// The keys, among those of a guest.
pub(in crate::config) const KEYS: &[&str] = &[
    "display",
    "hide",
    "input",
    "input-toggle",
    "usb",
    "audio",
    "audio-user",
    "cpus",
    "cpus-isolate",
    "memory",
    "hugepages",
    "looking-glass",
    "tpm",
    "secure-boot",
    "virtio-win",
];

/// What a domain is to be like; of each key `None` where it is not written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Definition {
    /// `display`: where the guest's picture is.
    pub display: Option<Display>,
    /// `hide`: whether the guest is kept from seeing that it is a virtual machine.
    pub hide: Option<Hide>,
    /// `input`: the host's keyboards and mice that the guest shares.
    pub input: Option<Input>,
    /// `input-toggle`: the keys that move them between host and guest, in libvirt's word (`grabToggle`).
    pub input_toggle: Option<&'static str>,
    /// `usb`: USB devices of the host that the guest gets.
    pub usb: Option<Vec<UsbId>>,
    /// `audio`: where the guest's sound is.
    pub audio: Option<Audio>,
    /// `audio-user`: whose sound server plays it.
    pub audio_user: Option<String>,
    /// `cpus`: the processors of the host that the guest's run on.
    pub cpus: Option<Cpus>,
    /// `cpus-isolate`: whether the host's own programs keep off these processors while the guest runs.
    pub cpus_isolate: Option<bool>,
    /// `memory`, in bytes.
    pub memory: Option<u64>,
    /// `hugepages`: the pages that the memory is made of.
    pub hugepages: Option<Pages>,
    /// `looking-glass`: the shared memory by which the host shows the guest's picture.
    pub looking_glass: Option<LookingGlass>,
    /// `tpm`: whether there is an emulated TPM 2.0.
    pub tpm: Option<bool>,
    /// `secure-boot`: whether the firmware checks signatures.
    pub secure_boot: Option<bool>,
    /// `virtio-win`: the image with the drivers for Windows.
    pub virtio_win: Option<String>,
}

/// `display`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Display {
    /// As the domain has it.
    Keep,
    /// On the card alone: there is no emulated display.
    Card,
    /// On the card, and on an emulated one that VNC shows on this machine.
    Vnc,
}

/// `hide`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hide {
    /// Nothing is hidden.
    No,
    /// KVM is hidden, and Hyper-V has another vendor's name.
    Yes,
    /// The same with this vendor's name: 1 to 12 characters.
    Vendor(String),
}

/// `input`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// None.
    None,
    /// The keyboards and mice that are found.
    Auto,
    /// These event nodes, by their paths below `/dev/input`.
    Paths(Vec<String>),
}

/// A USB device by what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsbId {
    /// `idVendor`.
    pub vendor: u16,
    /// `idProduct`.
    pub product: u16,
}

/// `audio`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audio {
    /// As the domain has it.
    Keep,
    /// The card's own: there is no emulated one.
    Card,
    /// PipeWire of a user of the host.
    Pipewire,
    /// PulseAudio of a user of the host.
    Pulseaudio,
    /// JACK of a user of the host.
    Jack,
}

/// `cpus`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cpus {
    /// Whole cores near the card, at most half of the machine.
    Auto,
    /// So many of them, chosen in the same way.
    Number(u32),
    /// These, in ascending order.
    List(Vec<u32>),
}

/// `hugepages`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pages {
    /// Pages of the usual size.
    No,
    /// Huge pages of so many bytes.
    Size(u64),
}

/// `looking-glass`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookingGlass {
    /// There is none.
    No,
    /// For pictures of this size.
    Picture {
        /// In pixels.
        width: u32,
        /// In pixels.
        height: u32,
        /// Whether a pixel has 8 bytes instead of 4.
        hdr: bool,
    },
}

/// `display`.
pub(in crate::config) fn display(text: &str) -> Parsed<Display> {
    one_of(text, &[("keep", Display::Keep), ("card", Display::Card), ("vnc", Display::Vnc)])
}

/// `hide`: libvirt takes a vendor of at most 12 characters without a comma (`VIR_DOMAIN_HYPERV_VENDOR_ID_MAX`).
pub(in crate::config) fn hide(text: &str) -> Parsed<Hide> {
    match word(text, &[("no", false), ("yes", true)]) {
        Some(false) => Ok(Hide::No),
        Some(true) => Ok(Hide::Yes),
        None if text.len() <= 12 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-. ".contains(&b)) => {
            Ok(Hide::Vendor(text.to_owned()))
        }
        None => {
            let text = format!("'{}' is not a vendor's name", clip(text));
            Err(Wrong::new(text).hint("write yes, no, or at most 12 letters and digits"))
        }
    }
}

/// `input`.
pub(in crate::config) fn input(text: &str) -> Parsed<Input> {
    match word(text, &[("none", false), ("auto", true)]) {
        Some(false) => Ok(Input::None),
        Some(true) => Ok(Input::Auto),
        None => list_of(text, "event node", event_node).map(Input::Paths),
    }
}

/// A path below `/dev/input`.
fn event_node(text: &str) -> Parsed<String> {
    let below = text.strip_prefix("/dev/input/").filter(|rest| !rest.is_empty() && !rest.ends_with('/'));
    match below {
        Some(rest) if !rest.split('/').any(|part| matches!(part, "" | "." | "..")) => Ok(text.to_owned()),
        _ => {
            let text = format!("'{}' is not an event node", clip(text));
            Err(Wrong::new(text).hint("write auto, none, or paths as /dev/input/by-id/usb-ACME_Keyboard-event-kbd"))
        }
    }
}

/// `input-toggle`: libvirt's words for `grabToggle`.
pub(in crate::config) fn input_toggle(text: &str) -> Parsed<&'static str> {
    const WORDS: [&str; 6] = ["ctrl-ctrl", "alt-alt", "shift-shift", "meta-meta", "scrolllock", "ctrl-scrolllock"];
    one_of(text, &WORDS.map(|word| (word, word)))
}

/// `usb`.
pub(in crate::config) fn usb(text: &str) -> Parsed<Vec<UsbId>> {
    list_of(text, "USB device", |part| {
        let number = |digits: &str| {
            let right = digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_hexdigit());
            right.then(|| u16::from_str_radix(digits, 16).ok()).flatten()
        };
        let id = part.split_once(':').and_then(|(vendor, product)| Some((number(vendor)?, number(product)?)));
        let Some((vendor, product)) = id else {
            let text = format!("'{}' is not a USB device's identity", clip(part));
            return Err(Wrong::new(text).hint("write it as lsusb shows it: 046d:c52b"));
        };
        Ok(UsbId { vendor, product })
    })
}

/// `audio`.
pub(in crate::config) fn audio(text: &str) -> Parsed<Audio> {
    let words = [
        ("keep", Audio::Keep),
        ("card", Audio::Card),
        ("pipewire", Audio::Pipewire),
        ("pulseaudio", Audio::Pulseaudio),
        ("jack", Audio::Jack),
    ];
    one_of(text, &words)
}

/// No kernel of today has more processors (`CONFIG_NR_CPUS`).
const MOST_CPUS: u64 = 8192;

/// `cpus`: a number alone is how many; with a comma or a dash the text is a list, as in sysfs.
pub(in crate::config) fn cpus(text: &str) -> Parsed<Cpus> {
    let wrong = || {
        let text = format!("'{}' names no processors", clip(text));
        Err(Wrong::new(text).hint("write auto, how many, or a list as 4-7,12-15"))
    };
    if text.eq_ignore_ascii_case("auto") {
        return Ok(Cpus::Auto);
    }
    if let Some(count) = number(text) {
        return if (1..=MOST_CPUS).contains(&count) { Ok(Cpus::Number(count as u32)) } else { wrong() };
    }
    let mut named = vec![false; MOST_CPUS as usize];
    for part in list(text) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last && last < MOST_CPUS => {
                named[first as usize..=last as usize].fill(true);
            }
            _ => return wrong(),
        }
    }
    let all: Vec<u32> = (0..).zip(named).filter(|(_, named)| *named).map(|(cpu, _)| cpu).collect();
    if all.is_empty() {
        wrong()
    } else {
        Ok(Cpus::List(all))
    }
}

/// `memory`: from 64 MiB to what an address of x86 can be at most.
pub(in crate::config) fn memory(text: &str) -> Parsed<u64> {
    match size(text) {
        Some(bytes) if (64 << 20..=1 << 52).contains(&bytes) => Ok(bytes),
        _ => Err(Wrong::new(format!("'{}' is not a memory's size", clip(text))).hint("write it as 16G or 8192M")),
    }
}

/// `hugepages`: a power of two, as every page of every processor is.
pub(in crate::config) fn hugepages(text: &str) -> Parsed<Pages> {
    if text.eq_ignore_ascii_case("no") {
        return Ok(Pages::No);
    }
    match size(text) {
        Some(bytes) if bytes.is_power_of_two() && (64 << 10..=16 << 30).contains(&bytes) => Ok(Pages::Size(bytes)),
        _ => Err(Wrong::new(format!("'{}' is not the size of huge pages", clip(text))).hint("write no, 2M or 1G")),
    }
}

/// `looking-glass`.
pub(in crate::config) fn looking_glass(text: &str) -> Parsed<LookingGlass> {
    if text.eq_ignore_ascii_case("no") {
        return Ok(LookingGlass::No);
    }
    let mut parts = list(text);
    let picture = parts.next().and_then(|picture| picture.split_once(['x', 'X']));
    let pixels = |text: &str| number(text).filter(|n| (64..=16384).contains(n)).map(|n| n as u32);
    let size = picture.and_then(|(width, height)| Some((pixels(width)?, pixels(height)?)));
    let hdr = match (parts.next(), parts.next()) {
        (None, _) => Some(false),
        (Some(word), None) if word.eq_ignore_ascii_case("hdr") => Some(true),
        _ => None,
    };
    match (size, hdr) {
        (Some((width, height)), Some(hdr)) => Ok(LookingGlass::Picture { width, height, hdr }),
        _ => {
            let text = format!("'{}' is not the size of a picture", clip(text));
            Err(Wrong::new(text).hint("write no, or the largest picture as 2560x1440 or 2560x1440 hdr"))
        }
    }
}

/// `virtio-win`.
pub(in crate::config) fn virtio_win(text: &str) -> Parsed<String> {
    absolute_path(text).map_err(|wrong| wrong.hint("write it as /usr/share/virtio-win/virtio-win.iso"))
}

#[cfg(test)]
#[path = "definition_tests.rs"]
mod tests;
