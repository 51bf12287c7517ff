// SPDX-License-Identifier: LGPL-2.1-or-later
//! What there is to reset cards with, and which do not answer any more.

use super::{function, modules};
use crate::pci::Address;
use crate::root::{Root, RUN};
use std::io::{Read, Seek, SeekFrom};

/// The module vendor-reset, as the running kernel has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum VendorReset {
    /// It was not looked for.
    #[default]
    NotAsked,
    /// It is loaded.
    Loaded,
    /// It is there and may be loaded.
    There,
    /// It is there, this kernel takes only signed modules, and whether it is signed cannot be told: it is compressed.
    Unclear,
    /// It is there without a signature, and this kernel takes only signed modules.
    Unsigned,
    /// It is there for these kernels, the running one not among them.
    Elsewhere(Vec<String>),
    /// It is not there.
    Absent,
}

/// What the kernel's build writes at the end of a signed module (`MODULE_SIG_STRING`, include/linux/module_signature.h).
const SIGNED: &[u8; 28] = b"~Module signature appended~\n";

/// Its name.
pub const MODULE: &str = "vendor_reset";
/// The attribute that shows a function's reset methods, and takes others.
pub const RESET_METHOD: &str = "reset_method";

/// Looks for vendor-reset.
pub fn vendor_reset(root: &Root) -> VendorReset {
    if root.exists(&format!("sys/module/{MODULE}")) {
        return VendorReset::Loaded;
    }
    let release = modules::release(root).unwrap_or_default();
    if let Some(path) = modules::file(root, &release, MODULE) {
        return match is_signed(root, &format!("lib/modules/{release}/{path}")) {
            _ if !wants_signatures(root) => VendorReset::There,
            Some(true) => VendorReset::There,
            Some(false) => VendorReset::Unsigned,
            None => VendorReset::Unclear,
        };
    }
    let mut others = root.list("lib/modules").unwrap_or_default();
    others.retain(|other| *other != release && modules::file(root, other, MODULE).is_some());
    if others.is_empty() {
        VendorReset::Absent
    } else {
        VendorReset::Elsewhere(others)
    }
}

/// Whether the kernel protects itself from root (`kernel_lockdown(7)`): then no configuration space is written either.
pub fn is_locked_down(root: &Root) -> bool {
    root.read_text("sys/kernel/security/lockdown").is_ok_and(|t| t.contains('[') && !t.contains("[none]"))
}

/// Whether the kernel takes only signed modules: lockdown, which Secure Boot switches on, or `module.sig_enforce`.
pub fn wants_signatures(root: &Root) -> bool {
    is_locked_down(root) || root.read_text("sys/module/module/parameters/sig_enforce").is_ok_and(|text| text == "Y")
}

/// Whether a module has a signature; by whom does not show. `None` if it cannot be told.
fn is_signed(root: &Root, path: &str) -> Option<bool> {
    let mut file = root.open_file(path).ok().filter(|_| path.ends_with(".ko"))?;
    let mut end = [0; SIGNED.len()];
    file.seek(SeekFrom::End(-(SIGNED.len() as i64))).and_then(|_| file.read_exact(&mut end)).ok()?;
    Some(end == *SIGNED)
}

/// Whether a function does not answer: all that is read from it is ones. One that is not there, or whose configuration
/// space is not shown, counts as answering. The ids of a virtual function always read as ones (SR-IOV specification 3.4.1):
/// it answers as long as its physical function does.
pub fn is_silent(root: &Root, address: Address) -> bool {
    ids_are_ones(root, address) && function::physfn(root, address).is_none_or(|physical| ids_are_ones(root, physical))
}

fn ids_are_ones(root: &Root, address: Address) -> bool {
    let mut config = [0; 4];
    let read = root.read_into(&function::attribute(address, "config"), &mut config);
    read.is_ok_and(|ids| ids == [0xff; 4])
}

/// Where it is written down that a card does not answer, and must be left alone until the next boot.
pub fn dead_path(gpu: &str) -> String {
    format!("{RUN}/dead/{gpu}")
}

/// Why a card must be left alone until the next boot, if so.
pub fn dead(root: &Root, gpu: &str) -> Option<String> {
    root.read_text(&dead_path(gpu)).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::root::PCI_DEVICES;

    /// Regression: the ids of a virtual function read as ones, and it was taken for dead.
    #[test]
    fn a_virtual_function_answers_as_long_as_its_physical_one_does() {
        let tree = tempfile::tempdir().unwrap();
        let [physical, virtual_one] = ["0000:03:00.0", "0000:03:00.1"].map(|a| a.parse::<Address>().unwrap());
        let devices = tree.path().join(PCI_DEVICES);
        let ids = |address: Address, ids: [u8; 4]| {
            let directory = devices.join(address.to_string());
            std::fs::create_dir_all(&directory).unwrap();
            std::fs::write(directory.join("config"), ids).unwrap();
        };
        ids(physical, [0x86, 0x80, 0x11, 0xe2]);
        ids(virtual_one, [0xff; 4]);
        let root = Root::open(tree.path()).unwrap();
        assert!(is_silent(&root, virtual_one), "nothing says that it is virtual");
        let link = devices.join("0000:03:00.1/physfn");
        std::os::unix::fs::symlink("../0000:03:00.0", link).unwrap();
        assert!(!is_silent(&root, virtual_one) && !is_silent(&root, physical));
        ids(physical, [0xff; 4]);
        assert!(is_silent(&root, virtual_one) && is_silent(&root, physical));
    }
}
