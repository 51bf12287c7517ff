// SPDX-License-Identifier: LGPL-2.1-or-later
//! Texts to values, one function per type. Errors are sentence fragments that quote the value and say what to write.

use super::keys::did_you_mean;
use super::report::clip;
use super::{BarSize, Bind, DisplayManager, Driver, Handover, Iommu, RebarMethod, Reset, Runner, Selector};
use crate::pci::{Address, Identity, ParseError};
use std::str::FromStr;
use std::time::Duration;

/// The outcome of reading a value.
pub(super) type Parsed<T> = Result<T, String>;

/// The value of a word, in upper or lower case.
fn word<T: Copy>(text: &str, words: &[(&str, T)]) -> Option<T> {
    words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)).map(|(_, value)| *value)
}

/// One of some words.
fn one_of<T: Copy>(text: &str, words: &[(&str, T)]) -> Parsed<T> {
    if let Some(value) = word(text, words) {
        return Ok(value);
    }
    let names = || words.iter().map(|(word, _)| *word);
    let list: Vec<&str> = names().collect();
    Err(format!("'{}' is none of {}{}", clip(text), list.join(", "), did_you_mean(text, names())))
}

/// `yes`, `no` and their like.
pub(super) fn boolean(text: &str) -> Parsed<bool> {
    let is = |words: [&str; 4]| words.iter().any(|word| word.eq_ignore_ascii_case(text));
    if is(["yes", "true", "on", "1"]) {
        Ok(true)
    } else if is(["no", "false", "off", "0"]) {
        Ok(false)
    } else {
        Err(format!("'{}' is neither yes nor no", clip(text)))
    }
}

/// `iommu`.
pub(super) fn iommu(text: &str) -> Parsed<Iommu> {
    one_of(text, &[("auto", Iommu::Auto), ("on", Iommu::On), ("off", Iommu::Off)])
}

/// `failed-boots`.
pub(super) fn failed_boots(text: &str) -> Parsed<u32> {
    match number(text) {
        Some(boots @ 0..=100) => Ok(boots as u32),
        _ => Err(format!("'{}' is not a number from 0 to 100", clip(text))),
    }
}

/// Digits only; none of the signs that the standard library would take.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// An address or an identity; of a long text only the beginning comes back in the error.
fn pci<T: FromStr<Err = ParseError>>(text: &str) -> Parsed<T> {
    clip(text).parse().map_err(|error: ParseError| error.0)
}

/// `identity`.
pub(super) fn identity(text: &str) -> Parsed<Identity> {
    pci(text)
}

/// `device`.
pub(super) fn selector(text: &str) -> Parsed<Selector> {
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
    Err(format!(
        "'{}' is neither an address (0000:03:00.0) nor vendor:device (1002:73bf) nor boot-display nor not-boot-display{}",
        clip(text),
        did_you_mean(text, WORDS.iter().map(|(word, _)| *word))
    ))
}

/// The parts of a list, between commas or blanks or both.
pub(super) fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', ' ', '\t']).filter(|part| !part.is_empty())
}

/// More than any machine has of whatever is listed; they are compared one by one.
const MOST_LISTED: usize = 64;

/// A list that must not be empty, each part read, none kept twice.
fn list_of<T: PartialEq>(text: &str, what: &str, read: impl Fn(&str) -> Parsed<T>) -> Parsed<Vec<T>> {
    let mut values = Vec::new();
    for part in list(text) {
        if values.len() == MOST_LISTED {
            return Err(format!("there are more than {MOST_LISTED} in the list"));
        }
        let value = read(part)?;
        if !values.contains(&value) {
            values.push(value);
        }
    }
    if values.is_empty() {
        return Err(format!("'{}' names no {what}", clip(text)));
    }
    Ok(values)
}

/// `also`.
pub(super) fn addresses(text: &str) -> Parsed<Vec<Address>> {
    list_of(text, "address", pci)
}

/// `functions`: None for `all`.
pub(super) fn functions(text: &str) -> Parsed<Option<Vec<u8>>> {
    if text.eq_ignore_ascii_case("all") {
        return Ok(None);
    }
    let one = |part: &str| match part.as_bytes() {
        [digit @ b'0'..=b'7'] => Ok(digit - b'0'),
        _ => Err(format!("'{}' is not a function; write all, or numbers from 0 to 7 as in 0,1", clip(part))),
    };
    let functions = list_of(text, "function", one)?;
    // In order. A sort is 4 KB in each program of the boot.
    Ok(Some((0..8).filter(|function| functions.contains(function)).collect()))
}

/// `bind`.
pub(super) fn bind(text: &str) -> Parsed<Bind> {
    one_of(text, &[("boot", Bind::Boot), ("guest", Bind::Guest)])
}

/// `driver`.
pub(super) fn driver(text: &str) -> Parsed<Driver> {
    let words = [("vfio-pci", Driver::VfioPci), ("auto", Driver::Auto)];
    // The kernel writes the module's name with an underscore and the driver's with a hyphen.
    one_of(if text == "vfio_pci" { "vfio-pci" } else { text }, &words)
}

/// `reset`.
pub(super) fn reset(text: &str) -> Parsed<Reset> {
    match text {
        "device-specific" => Ok(Reset::DeviceSpecific),
        "vendor_reset" => Ok(Reset::VendorReset),
        _ => one_of(text, &Reset::WORDS),
    }
}

/// `bar0` to `bar5`.
pub(super) fn bar(text: &str) -> Parsed<BarSize> {
    /// What a Resizable BAR capability can say: 1 MiB to 128 TiB.
    const SIZES: std::ops::RangeInclusive<u64> = 1 << 20..=1 << 47;
    let words = [("max", BarSize::Max), ("min", BarSize::Min), ("firmware", BarSize::Firmware)];
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return one_of(text, &words).map_err(|error| format!("{error}, or a size such as 256M or 16G"));
    }
    match size(text) {
        Some(bytes) if bytes.is_power_of_two() && SIZES.contains(&bytes) => Ok(BarSize::Bytes(bytes)),
        Some(bytes) if bytes < *SIZES.start() && !text.ends_with(|c: char| c.is_ascii_alphabetic()) => {
            Err(format!("'{text}' counts bytes, and a BAR has 1M at least; write the size with M or G, as 256M or 16G"))
        }
        Some(_) => Err(format!("'{}' is not a power of two from 1M to 128T; write 256M or 16G", clip(text))),
        None => Err(format!("'{}' is not a size; write 256M or 16G", clip(text))),
    }
}

/// `rebar-method`.
pub(super) fn rebar_method(text: &str) -> Parsed<RebarMethod> {
    one_of(text, &[("kernel", RebarMethod::Kernel), ("rescan", RebarMethod::Rescan)])
}

/// Bytes, with K, M, G or T for powers of 1024.
fn size(text: &str) -> Option<u64> {
    let (digits, shift) = match text.as_bytes().last()?.to_ascii_uppercase() {
        b'K' => (&text[..text.len() - 1], 10),
        b'M' => (&text[..text.len() - 1], 20),
        b'G' => (&text[..text.len() - 1], 30),
        b'T' => (&text[..text.len() - 1], 40),
        _ => (text, 0),
    };
    number(digits)?.checked_mul(1 << shift)
}

/// `rom`.
pub(super) fn absolute_path(text: &str) -> Parsed<String> {
    if text.starts_with('/') && !text.ends_with('/') {
        Ok(text.to_owned())
    } else {
        Err(format!("'{}' is not the absolute path of a file; write it as /var/lib/vfio/big.rom", clip(text)))
    }
}

/// `runner`.
pub(super) fn runner(text: &str) -> Parsed<Runner> {
    one_of(text, &[("libvirt", Runner::Libvirt), ("command", Runner::Command)])
}

/// `handover`.
pub(super) fn handover(text: &str) -> Parsed<Handover> {
    let words =
        [("auto", Handover::Auto), ("steal", Handover::Steal), ("hot", Handover::Hot), ("none", Handover::None)];
    one_of(text, &words)
}

/// `gpus`: names; whether they exist is seen when all sections are read.
pub(super) fn names(text: &str) -> Parsed<Vec<String>> {
    list_of(text, "[gpu] section", |name| match crate::config::merge::check_name(name) {
        Ok(()) => Ok(name.to_owned()),
        Err(why) => Err(format!("'{}' cannot be the name of a [gpu] section: {why}", clip(name))),
    })
}

/// `domain`: libvirt's own rule is that it is no path; the rest keeps it from being taken for an option of a tool.
pub(super) fn domain(text: &str) -> Parsed<String> {
    if text.contains('/') || text.starts_with('-') || text.len() > 255 {
        return Err(format!("'{}' is not a libvirt domain's name; write it as virsh list --all shows it", clip(text)));
    }
    Ok(text.to_owned())
}

/// `uri`.
pub(super) fn uri(text: &str) -> Parsed<String> {
    let scheme = text.split_once("://").map_or("", |(scheme, _)| scheme);
    let right = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+.-".contains(&b))
        && !text.contains([' ', '\t']);
    // Behind the host's name and before what is told beside it.
    let path = text.split_once("://").and_then(|(_, rest)| rest.split(['?', '#']).next()?.split_once('/'));
    if !right {
        return Err(format!("'{}' is not a libvirt URI; write it as qemu:///system", clip(text)));
    }
    if path.is_some_and(|(_, path)| path.trim_matches('/') == "session") {
        return Err(format!(
            "'{}' is a user's own libvirt, which runs no hook and may not lock a guest's memory; define the domain in \
             qemu:///system",
            clip(text)
        ));
    }
    Ok(text.to_owned())
}

/// `user`: the name of an account, as useradd(8) takes one.
pub(super) fn user(text: &str) -> Parsed<String> {
    let mut bytes = text.bytes();
    let first = bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    if !first || text.len() > 31 || !bytes.all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b)) {
        return Err(format!("'{}' is not the name of a user; write one that 'getent passwd' lists", clip(text)));
    }
    Ok(text.to_owned())
}

/// `display-manager`.
pub(super) fn display_manager(text: &str) -> Parsed<DisplayManager> {
    match text {
        _ if text.eq_ignore_ascii_case("auto") => Ok(DisplayManager::Auto),
        _ if text.eq_ignore_ascii_case("none") => Ok(DisplayManager::None),
        unit => match self::unit(unit) {
            Ok(unit) => Ok(DisplayManager::Unit(unit)),
            Err(why) => Err(format!("{why}, or auto, or none")),
        },
    }
}

/// `stop-units`.
pub(super) fn units(text: &str) -> Parsed<Vec<String>> {
    list_of(text, "unit", unit)
}

/// A unit's name; `.service` is added where there is no suffix, as systemctl does.
fn unit(text: &str) -> Parsed<String> {
    const SUFFIXES: [&str; 10] =
        ["service", "socket", "target", "timer", "path", "mount", "automount", "swap", "slice", "scope"];
    let name = match text.rsplit_once('.') {
        Some((_, suffix)) if SUFFIXES.contains(&suffix) => text.to_owned(),
        _ => format!("{text}.service"),
    };
    let prefix = name.rsplit_once('.').map_or("", |(prefix, _)| prefix);
    let wrong = |why: &str| Err(format!("'{}' is not a unit's name{why}; write it as sddm.service", clip(text)));
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b":_.\\@-".contains(&b)) || name.len() > 255 {
        return wrong("");
    }
    if prefix.is_empty() || prefix.starts_with(['@', '-', '.']) {
        return wrong("");
    }
    if prefix.ends_with('@') {
        return wrong(" but a template's (the instance after the '@' is missing)");
    }
    Ok(name)
}

/// `start-timeout`, `stop-timeout`: seconds, or with units, summed up: `1min 30s`.
pub(super) fn time(text: &str) -> Parsed<Duration> {
    const LONGEST: u64 = 24 * 60 * 60;
    let wrong = |why: &str| Err(format!("'{}' {why}; write it as 90s or 2min", clip(text)));
    let mut seconds: u64 = 0;
    let mut rest = text;
    let mut bare = false;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let after = rest[digits..].trim_start_matches([' ', '\t']);
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let unit = match &after[..letters] {
            "s" => 1,
            "min" => 60,
            // A number alone is seconds, but only if it is all there is: in "1min 30" the unit was forgotten.
            "" if digits == text.len() => 1,
            "" => {
                bare = true;
                1
            }
            _ => return wrong("is not a time (the units are s and min)"),
        };
        let Some(count) = number(&rest[..digits]) else { return wrong("is not a time") };
        let sum = count.checked_mul(unit).and_then(|part| seconds.checked_add(part));
        let Some(sum) = sum else { return wrong("is longer than a day") };
        seconds = sum;
        rest = after[letters..].trim_start_matches([' ', '\t']);
    }
    if bare {
        return wrong("has a number without its unit");
    }
    match seconds {
        0 => wrong("is no time at all"),
        1..=LONGEST => Ok(Duration::from_secs(seconds)),
        _ => wrong("is longer than a day"),
    }
}

#[cfg(test)]
#[path = "values_tests.rs"]
mod tests;
