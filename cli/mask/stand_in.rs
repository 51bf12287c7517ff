// SPDX-License-Identifier: LGPL-2.1-or-later
//! What stands in the place of a thing: of the same form where a program reads it again, and the same wherever the thing is.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Of the `number`th thing of its kind.
pub fn stand_in(kind: &str, thing: &str, number: usize) -> String {
    match kind {
        "mac" | "uuid" => same_form(thing, number),
        "id" if thing.bytes().all(|b| b.is_ascii_hexdigit()) => same_form(thing, number),
        "ip" => address(thing, number),
        // A parameter has the bus or the like before it.
        "disk" => {
            let bus = thing.find('-').map_or("", |at| &thing[..at]);
            let part = thing.rfind("-part").map_or("", |at| &thing[at..]);
            format!("{bus}-disk-{number}{part}")
        }
        kind => format!("{kind}-{number}"),
    }
}

/// The same form with only zeros but for the number: of a MAC address a locally administered one.
fn same_form(thing: &str, number: usize) -> String {
    let named = ["enx", "wlx", "wwx"].iter().find(|name| thing.starts_with(**name)).map_or(0, |name| name.len());
    let (name, digits) = thing.split_at(named);
    let mut number = number.to_string();
    let mut shown: Vec<char> =
        digits.chars().rev().map(|c| if c.is_ascii_hexdigit() { number.pop().unwrap_or('0') } else { c }).collect();
    shown.reverse();
    // Two digits of a MAC address with its lowest bits 10: no maker's, and one device's.
    if digits.len() == 17 || digits.len() == 12 {
        shown[..2].copy_from_slice(&['0', '2']);
    }
    name.chars().chain(shown).collect()
}

/// An address without what follows it (a port, a network's length, an interface, the dot that ends a sentence), and that.
fn split_address(thing: &str) -> (&str, &str) {
    let of =
        |fits: fn(char) -> bool| thing[..thing.find(|c| !fits(c)).unwrap_or(thing.len())].trim_end_matches('.').len();
    let v4 = of(|c| c.is_ascii_digit() || c == '.');
    let is_v4 = thing[..v4].parse::<Ipv4Addr>().is_ok();
    thing.split_at(if is_v4 { v4 } else { of(|c| c.is_ascii_hexdigit() || matches!(c, ':' | '.')) })
}

/// Addresses that documents have (RFC 5737, RFC 3849); a port and a network's length stay.
fn address(thing: &str, number: usize) -> String {
    let (address, rest) = split_address(thing);
    // Of a mask of 16 bits none is cut off that counts.
    let low = (number & 0xffff) as u16;
    if address.parse::<Ipv4Addr>().is_ok() {
        let [high, low] = low.to_be_bytes();
        return format!("198.18.{high}.{low}{rest}");
    }
    format!("{}{}", Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, low), rest.split('%').next().unwrap_or_default())
}

/// The part of a thing by which it is known again: an address without its port, a disk without its partition.
pub fn known_by<'t>(kind: &str, thing: &'t str) -> &'t str {
    match kind {
        "ip" => split_address(thing).0,
        "disk" => thing.rfind("-part").map_or(thing, |at| &thing[..at]),
        _ => thing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_stay() {
        for (kind, thing, shown) in [
            ("mac", "52:54:00:aa:bb:c1", "02:00:00:00:00:07"),
            ("mac", "525400aabbc4", "020000000007"),
            ("mac", "enx525400aabbc4", "enx020000000007"),
            ("uuid", "0b8e1a2c-7777-4abc-9def-0123456789ab", "00000000-0000-0000-0000-000000000007"),
            ("uuid", "7A7B-7C7D", "0000-0007"),
            ("id", "77777777777777789abcdef012345678", "00000000000000000000000000000007"),
            ("id", "iqn.2001-04.com.acme:x", "id-7"),
            ("ip", "10.11.12.13", "198.18.0.7"),
            ("ip", "10.11.12.13:5901", "198.18.0.7:5901"),
            ("ip", "10.11.0.0/16", "198.18.0.7/16"),
            ("ip", "10.11.12.13.", "198.18.0.7."),
            ("ip", "fe80::9.", "2001:db8::7."),
            ("ip", "fe80::5054:ff:fe12:9%eth0", "2001:db8::7"),
            ("disk", "nvme-Big_500_S7QNNJ0W77-part2", "nvme-disk-7-part2"),
            ("user", "anna", "user-7"),
        ] {
            assert_eq!(stand_in(kind, thing, 7), shown, "{thing}");
        }
        for thing in ["10.1.2.3", "10.1.2.3:22", "10.1.2.3.", "10.1.2.3/8"] {
            assert_eq!(known_by("ip", thing), "10.1.2.3", "one address, one number");
        }
        assert_eq!(known_by("ip", "fe80::1%eth0"), "fe80::1");
        assert_eq!(known_by("ip", "fe80::1."), "fe80::1");
        assert_eq!(known_by("disk", "nvme-a-part2"), "nvme-a");
    }
}
