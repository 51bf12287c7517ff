// SPDX-License-Identifier: LGPL-2.1-or-later
//! Names of devices, from the system's `pci.ids` where there is one. Cosmetic: without it there are only numbers.

use crate::host::Function;
use crate::root::Root;
use std::collections::HashMap;
use std::io::Read;

/// Where distributions keep it.
const PLACES: [&str; 2] = ["usr/share/hwdata/pci.ids", "usr/share/misc/pci.ids"];
/// The file is some 1.5 MB; anything far larger is not it.
const LIMIT: u64 = 16 << 20;

/// Names by vendor and device.
#[derive(Debug, Default)]
pub struct Names {
    vendors: HashMap<u16, String>,
    /// With the vendor's name before it.
    devices: HashMap<(u16, u16), String>,
}

impl Names {
    /// Reads the names of the vendors and devices that are among `functions`, in one pass.
    pub fn read(root: &Root, functions: &[Function]) -> Names {
        let desired: HashMap<(u16, u16), ()> = functions.iter().map(|f| ((f.vendor, f.device), ())).collect();
        let vendors: HashMap<u16, ()> = functions.iter().map(|f| (f.vendor, ())).collect();
        let mut names = Names::default();
        let mut text = Vec::new();
        for place in PLACES {
            let Ok(file) = root.open_file(place) else { continue };
            if file.take(LIMIT).read_to_end(&mut text).is_ok() {
                break;
            }
        }
        let mut vendor = None;
        for line in text.split(|b| *b == b'\n') {
            match line {
                // Classes follow the vendors: nothing of ours is beyond.
                [b'C', b' ', ..] => break,
                [b'\t', b'\t', ..] | [b'#', ..] | [] => {}
                [b'\t', rest @ ..] => {
                    let Some(vendor) = vendor else { continue };
                    if let Some((device, name)) = entry(rest) {
                        if desired.contains_key(&(vendor, device)) {
                            let vendor_name = names.vendors.get(&vendor).map_or("", String::as_str);
                            let name = format!("{vendor_name} {name}");
                            names.devices.insert((vendor, device), name);
                        }
                    }
                }
                rest => {
                    vendor = None;
                    if let Some((id, name)) = entry(rest) {
                        if vendors.contains_key(&id) {
                            vendor = Some(id);
                            names.vendors.insert(id, name);
                        }
                    }
                }
            }
        }
        names
    }

    /// Vendor and device by name, or what is known of them.
    pub fn of(&self, function: &Function) -> Option<&str> {
        let device = self.devices.get(&(function.vendor, function.device));
        device.or_else(|| self.vendors.get(&function.vendor)).map(String::as_str)
    }
}

/// `1002  Advanced Micro Devices, Inc. [AMD/ATI]`.
fn entry(line: &[u8]) -> Option<(u16, String)> {
    let id = u16::from_str_radix(std::str::from_utf8(line.get(..4)?).ok()?, 16).ok()?;
    Some((id, String::from_utf8_lossy(line.get(4..)?.trim_ascii()).into_owned()))
}
