// SPDX-License-Identifier: LGPL-2.1-or-later
//! The udev helper: `vfio-udev ADDRESS` prints which driver alone may take this function, if the configuration says so.
//!
//! Called by `70-vfio.rules` (`IMPORT{program}`) for every PCI function that appears, so it looks no further than it must.
//! It changes nothing. No output: the function is none of ours.

use std::io::Write;
use std::process::ExitCode;
use vfio_suite::config;
use vfio_suite::host::run::marks;
use vfio_suite::host::{detail, Depth, Host};
use vfio_suite::logger;
use vfio_suite::logger::boot::Target;
use vfio_suite::pci::Address;
use vfio_suite::plan::boot::Stage;
use vfio_suite::plan::{bind, boot, idle};
use vfio_suite::root::Root;
use vfio_suite::survey;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).map(|a| a.to_string_lossy().into_owned());
    let (Some(name), None) = (arguments.next(), arguments.next()) else {
        logger::complain("vfio-udev: give the address of one PCI function, as 0000:03:00.0");
        return ExitCode::from(64);
    };
    let root = match Root::from_option(None) {
        Ok(root) => root,
        Err(error) => {
            logger::complain(format_args!("vfio-udev: the root cannot be opened: {error}"));
            return ExitCode::FAILURE;
        }
    };
    logger::boot::start("vfio-udev", Target::Stderr, root.is_system());
    // udev also asks for PCI devices that are no functions (ports' services): none of ours.
    let Some(function) = Address::from_sysfs(name.as_bytes()) else { return ExitCode::SUCCESS };
    if let Some(properties) = properties(&root, function) {
        if let Err(error) = std::io::stdout().write_all(properties.as_bytes()) {
            log::error!("the answer cannot be written: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// The properties of a function that a section bound at boot means, if it may be bound in this boot.
fn properties(root: &Root, function: Address) -> Option<String> {
    let config = config::load_without_guests(root);
    let look = || Host::scan_slot(root, function.slot);
    if !boot::concerns(&config, function, look, |below| detail::parents(root, below)) {
        return None;
    }
    let (mut selections, host) = survey::admitted(root, &config, Depth::Boot);
    if host.off.is_some() || idle(&config, &host).is_some() {
        return None;
    }
    selections.retain(|c| c.selected.as_ref().is_ok_and(|c| c.functions.contains(&function)));
    let selection = selections.first()?;
    let (_, driver) = bind::desired(selection, &host).into_iter().find(|(address, _)| *address == function)?;
    let name = &selection.gpu.name;
    // A person gave it back to the host: a replayed event is no reason to take it again.
    if root.exists(&marks::given_back_path(name)) {
        return None;
    }
    // Units are for the running system: in an initramfs nothing is bound yet, and one without systemd has no such file.
    let unit = if root.exists("run/systemd/system") && !root.exists("etc/initrd-release") {
        format!("VFIO_UNIT=vfio-bind@{name}.service\n")
    } else {
        String::new()
    };
    // What may carry a file system is not kept from the host's driver while there are some to be mounted.
    let stage = if root.exists(&marks::booted_path()) { Stage::Running } else { Stage::Early };
    let driver =
        if boot::may_reserve(function, &host, stage) { format!("VFIO_OVERRIDE={driver}\n") } else { String::new() };
    Some(format!("VFIO_GPU={name}\n{driver}{unit}")).filter(|properties| are_plain(properties))
}

/// Whether these are properties and no more: udev takes every line for one, and the rules put values into names of units.
fn are_plain(properties: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':' | b'@');
    properties.lines().all(|line| {
        let value = ["VFIO_GPU=", "VFIO_OVERRIDE=", "VFIO_UNIT="].iter().find_map(|key| line.strip_prefix(key));
        value.is_some_and(|value| !value.is_empty() && value.bytes().all(plain))
    })
}

#[cfg(test)]
mod tests {
    use super::are_plain;

    #[test]
    fn a_value_begins_no_property_of_its_own() {
        assert!(are_plain("VFIO_GPU=big\nVFIO_OVERRIDE=vfio-pci\nVFIO_UNIT=vfio-bind@big.service\n"));
        for bad in [
            "VFIO_GPU=big\nPATH=/x\n",
            "VFIO_GPU=\n",
            "VFIO_GPU=a b\n",
            "VFIO_GPU=a\n\n",
            "VFIO_GPU=$x\n",
            "VFIO_GPU=\u{9b}\n",
        ] {
            assert!(!are_plain(bad), "{bad:?}");
        }
    }
}
