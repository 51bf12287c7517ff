// SPDX-License-Identifier: LGPL-2.1-or-later
//! The vocabulary of PCI that every floor shares: addresses, slots and identities.

use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// What is wrong with a text that should be an address or an identity; a sentence fragment for the user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseError(pub String);

/// A slot: everything of an address but the function. All functions of a card share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    /// PCI domain (segment), 0000 on nearly all machines; VMD and some servers use up to 32 bits.
    pub domain: u32,
    /// Bus number.
    pub bus: u8,
    /// Device number, 0 to 31.
    pub device: u8,
}

/// The address of one function, `DDDD:BB:DD.F` as sysfs writes it
/// (`drivers/pci/probe.c`, `pci_setup_device`: `%04x:%02x:%02x.%d`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// The slot the function belongs to.
    pub slot: Slot,
    /// Function number, 0 to 7.
    pub function: u8,
}

impl Slot {
    /// The address of function `function` in this slot.
    pub fn function(self, function: u8) -> Address {
        Address { slot: self, function }
    }
}

/// A short text that is made without the formatting machinery: it is needed several times a function.
#[derive(Default)]
struct Short {
    /// The longest is an identity with its subsystem.
    bytes: [u8; 20],
    len: usize,
}

impl Short {
    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.len) {
            *place = byte;
            self.len += 1;
        }
    }

    /// At least so many hexadecimal digits of a number.
    fn hex(&mut self, value: u32, least: u32) {
        let digits = (least..8).find(|n| value >> (4 * n) == 0).unwrap_or(8);
        for n in (0..digits).rev() {
            self.push(b"0123456789abcdef"[(value >> (4 * n) & 15) as usize]);
        }
    }

    fn as_str(&self) -> &str {
        // Only ASCII is pushed.
        std::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }
}

impl Slot {
    fn text(self) -> Short {
        let mut text = Short::default();
        // Domains of more than 16 bits are rare, but exist (VMD).
        text.hex(self.domain, 4);
        text.push(b':');
        text.hex(u32::from(self.bus), 2);
        text.push(b':');
        text.hex(u32::from(self.device), 2);
        text
    }
}

impl Address {
    fn text(self) -> Short {
        let mut text = self.slot.text();
        text.push(b'.');
        text.hex(u32::from(self.function), 1);
        text
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().as_str())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().as_str())
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.text().as_str())
    }
}

impl<'de> serde::Deserialize<'de> for Address {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A hexadecimal number of exactly `least` to `most` digits; `from_str_radix` alone would take a sign.
fn hex(text: &str, least: usize, most: usize) -> Option<u32> {
    let right = (least..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    if right {
        u32::from_str_radix(text, 16).ok()
    } else {
        None
    }
}

impl FromStr for Address {
    type Err = ParseError;

    /// Parses `0000:03:00.0`. The domain may be left out (as `lspci` prints it): it is 0000 then.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let wrong =
            |why: &str| Err(ParseError(format!("'{text}' is not a PCI address ({why}); write it as 0000:03:00.0")));
        let Some((left, function)) = text.split_once('.') else {
            return wrong("the function after a '.' is missing");
        };
        let mut parts = left.rsplit(':');
        let (Some(device), Some(bus)) = (parts.next(), parts.next()) else {
            return wrong("the bus is missing");
        };
        let domain = match (parts.next(), parts.next()) {
            (None, _) => 0,
            (Some(domain), None) => match hex(domain, 4, 8) {
                Some(domain) => domain,
                None => return wrong("the domain is four hexadecimal digits"),
            },
            (Some(_), Some(_)) => return wrong("too many ':'"),
        };
        let Some(bus) = hex(bus, 2, 2) else {
            return wrong("the bus is two hexadecimal digits");
        };
        let Some(device) = hex(device, 2, 2).filter(|d| *d < 32) else {
            return wrong("the device is two hexadecimal digits from 00 to 1f");
        };
        let Some(function) = hex(function, 1, 1).filter(|f| *f < 8) else {
            return wrong("the function is one digit from 0 to 7");
        };
        // hex() bounds the digits, so the values fit the narrower types.
        Ok(Slot { domain, bus: bus as u8, device: device as u8 }.function(function as u8))
    }
}

impl Address {
    /// Appends the form that sysfs uses, without the formatting machinery: once per function at boot.
    pub fn push_to(self, text: &mut String) {
        text.push_str(self.text().as_str());
    }

    /// The address as one number, in the order of addresses: what is sorted at boot is sorted by this.
    pub fn key(self) -> u64 {
        let Slot { domain, bus, device } = self.slot;
        u64::from(domain) << 16 | u64::from(bus) << 8 | u64::from(device) << 3 | u64::from(self.function)
    }

    /// The address of a [`key`](Address::key).
    pub fn from_key(key: u64) -> Address {
        let slot = Slot { domain: (key >> 16) as u32, bus: (key >> 8) as u8, device: (key >> 3) as u8 & 31 };
        slot.function(key as u8 & 7)
    }

    /// Parses the exact form that sysfs uses as a directory name; nothing else.
    /// This is the fast path for directory listings: no message is made.
    pub fn from_sysfs(name: &[u8]) -> Option<Self> {
        // DDDD:BB:DD.F, with a domain of four to eight digits
        let n = name.len();
        if !(12..=16).contains(&n) || name[n - 2] != b'.' || name[n - 5] != b':' || name[n - 8] != b':' {
            return None;
        }
        let hex = |range: std::ops::Range<usize>| {
            name[range].iter().try_fold(0u32, |sum, b| {
                let digit = match b {
                    b'0'..=b'9' => b - b'0',
                    b'a'..=b'f' => b - b'a' + 10,
                    _ => return None,
                };
                Some(sum << 4 | u32::from(digit))
            })
        };
        let domain = hex(0..n - 8)?;
        let bus = hex(n - 7..n - 5)?;
        let device = hex(n - 4..n - 2).filter(|d| *d < 32)?;
        let function = hex(n - 1..n).filter(|f| *f < 8)?;
        Some(Slot { domain, bus: bus as u8, device: device as u8 }.function(function as u8))
    }
}

/// Vendor and device, and optionally the subsystem's: `1002:73bf` or `1002:73bf:1da2:e445`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Vendor id.
    pub vendor: u16,
    /// Device id.
    pub device: u16,
    /// Subsystem vendor and device, where given.
    pub subsystem: Option<(u16, u16)>,
}

impl Identity {
    /// Whether a function with these ids is what `self` asks for; a missing subsystem in `self` matches any.
    pub fn matches(&self, vendor: u16, device: u16, subsystem: Option<(u16, u16)>) -> bool {
        self.vendor == vendor && self.device == device && (self.subsystem.is_none() || self.subsystem == subsystem)
    }

    /// Appends it as text.
    pub fn push_to(self, text: &mut String) {
        text.push_str(self.text().as_str());
    }

    fn text(self) -> Short {
        let mut text = Short::default();
        text.hex(u32::from(self.vendor), 4);
        text.push(b':');
        text.hex(u32::from(self.device), 4);
        if let Some((vendor, device)) = self.subsystem {
            text.push(b':');
            text.hex(u32::from(vendor), 4);
            text.push(b':');
            text.hex(u32::from(device), 4);
        }
        text
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().as_str())
    }
}

impl Serialize for Identity {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.text().as_str())
    }
}

/// A class code as six hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Class(pub u32);

impl Class {
    /// Appends it as text.
    pub fn push_to(self, text: &mut String) {
        let mut digits = Short::default();
        digits.hex(self.0, 6);
        text.push_str(digits.as_str());
    }
}

impl FromStr for Identity {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let ids: Option<Vec<u16>> = text.split(':').map(|part| hex(part, 4, 4).map(|id| id as u16)).collect();
        match ids.as_deref() {
            Some([vendor, device]) => Ok(Identity { vendor: *vendor, device: *device, subsystem: None }),
            Some([vendor, device, sv, sd]) => {
                Ok(Identity { vendor: *vendor, device: *device, subsystem: Some((*sv, *sd)) })
            }
            _ => Err(ParseError(format!(
                "'{text}' is not vendor:device; write four hexadecimal digits each, as 1002:73bf or 1002:73bf:1da2:e445"
            ))),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_are_right() {
        for (text, shown) in [
            ("0000:03:00.0", "0000:03:00.0"),
            ("03:00.1", "0000:03:00.1"),
            ("0000:08:09.0", "0000:08:09.0"),
            ("10000:e1:1f.7", "10000:e1:1f.7"),
            ("0000:0A:0b.2", "0000:0a:0b.2"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), shown);
            assert_eq!(Address::from_sysfs(shown.as_bytes()), Some(address));
            let mut pushed = String::new();
            address.push_to(&mut pushed);
            assert_eq!(pushed, shown);
            assert_eq!(serde_json::to_string(&address).unwrap(), format!("\"{shown}\""));
        }
    }

    #[test]
    fn classes_have_six_digits() {
        let mut text = String::new();
        [0x03_0000, 0x0c_0330, 0x100_0000].into_iter().for_each(|class| Class(class).push_to(&mut text));
        assert_eq!(text, "0300000c03301000000");
    }

    #[test]
    fn addresses_that_are_wrong() {
        for text in [
            "",
            ".",
            ":",
            "0000:03:00",
            "0000:03:20.0",
            "0000:03:00.8",
            "0000:3:00.0",
            "+000:03:00.0",
            "0000:03:00.00",
            "1:0000:03:00.0",
            "0000:03:00.0 ",
            "000g:03:00.0",
            "03.0",
            "0000:03:+0.0",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
            assert_eq!(Address::from_sysfs(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn keys_are_in_the_order_of_addresses() {
        let texts = ["0000:00:00.0", "0000:00:00.7", "0000:00:1f.0", "0000:01:00.0", "0001:00:00.0", "10000:00:00.0"];
        let addresses: Vec<Address> = texts.iter().map(|t| t.parse().unwrap()).collect();
        assert!(addresses.is_sorted() && addresses.is_sorted_by_key(|a| a.key()));
        assert!(addresses.iter().all(|a| Address::from_key(a.key()) == *a));
    }

    #[test]
    fn identities() {
        assert_eq!("1002:73BF".parse::<Identity>().unwrap().to_string(), "1002:73bf");
        let long: Identity = "1002:73bf:1da2:e445".parse().unwrap();
        assert_eq!(long.to_string(), "1002:73bf:1da2:e445");
        assert!(long.matches(0x1002, 0x73bf, Some((0x1da2, 0xe445))));
        assert!(!long.matches(0x1002, 0x73bf, None));
        for text in ["", "1002", "1002:73bf:1da2", "1002:73b", "1002:+3bf", "1002:73bf:1:2", "a:b:c:d:e"] {
            assert!(text.parse::<Identity>().is_err(), "{text}");
        }
    }
}
