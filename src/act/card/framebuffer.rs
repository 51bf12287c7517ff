// SPDX-License-Identifier: LGPL-2.1-or-later
//! Taking the firmware's framebuffer from its driver, and giving it back: `Step::Evict`.

use crate::act::backend::kernel::{Kernel, KernelError};
use crate::host::framebuffer::{self, Bound};
use crate::host::function;
use crate::pci::Address;
use crate::root::{Root, PLATFORM_DRIVERS};

/// What is there before the step: driver, device and memory; `None` where no driver has any.
pub(crate) fn before(root: &Root, function: Address) -> Option<String> {
    let Bound { driver, device, range: (start, end) } = framebuffer::bound(root, function)?;
    Some(format!("{driver} {device} {start:x}-{end:x}"))
}

/// Takes it from its driver. Gives the driver that has it still, if the kernel said yes and did not do it.
pub(crate) fn evict(root: &Root, kernel: &dyn Kernel, function: Address) -> Result<Option<String>, KernelError> {
    let Some(Bound { driver, device, .. }) = framebuffer::bound(root, function) else { return Ok(None) };
    let has = || root.exists(&format!("{PLATFORM_DRIVERS}/{driver}/{device}"));
    match kernel.write(&format!("{PLATFORM_DRIVERS}/{driver}/unbind"), &device) {
        Err(error) if error.is_timeout() || has() => Err(error),
        _ => Ok(has().then_some(driver)),
    }
}

/// Gives it back to its driver, if it is still where it was. The kernel may have done away with the device meanwhile, as it does
/// when the display's own driver comes; whatever it says keeps no card from the host.
pub(crate) fn bind_back(root: &Root, kernel: &dyn Kernel, function: Address, before: Option<&str>) {
    let words: Vec<&str> = before.unwrap_or_default().split(' ').collect();
    let [driver, device, range] = words[..] else { return };
    let number = |text: &str| u64::from_str_radix(text, 16).ok();
    let Some(range) = range.split_once('-').and_then(|(start, end)| number(start).zip(number(end))) else { return };
    let has = || root.exists(&format!("{PLATFORM_DRIVERS}/{driver}/{device}"));
    // What could not be taken back from a guest is not drawn on.
    if function::driver(root, function).is_some_and(|driver| function::is_vfio(&driver)) {
        return;
    }
    if has() || !root.exists(&format!("sys/bus/platform/devices/{device}")) {
        return;
    }
    let own = driver == "simple-framebuffer";
    if !framebuffer::lies_in(root, function, range, own) {
        log::info!("{function}: the firmware's framebuffer stays without its driver: its memory is not where it was");
        return;
    }
    match kernel.write(&format!("{PLATFORM_DRIVERS}/{driver}/bind"), device) {
        Err(error) if !has() => {
            log::info!("{function}: the firmware's framebuffer stays without its driver: {driver} does not take it back: {error}");
        }
        _ => {}
    }
}
