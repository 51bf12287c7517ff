// SPDX-License-Identifier: LGPL-2.1-or-later
//! Carrying out a plan: each step is journalled, made, and read back.

use super::journal::{Journal, Record};
use super::kernel::Kernel;
use super::{framebuffer, power, resize};
use crate::host::function::{self, attribute};
use crate::host::holders;
use crate::pci::Address;
use crate::plan::{Plan, Step};
use crate::root::{Root, PCI_BUS, PCI_DEVICES, PCI_DRIVERS};
use std::io;
use std::time::{Duration, Instant};

/// A step that did not come about.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The kernel refused it, or has not answered.
    #[error("{step}: {source}")]
    Kernel {
        /// The step.
        step: Step,
        /// The kernel's errno.
        source: io::Error,
    },
    /// The kernel said yes but it is not so.
    #[error("{step}: {found}")]
    NotSo {
        /// The step.
        step: Step,
        /// What is so.
        found: String,
    },
    /// The journal could not be written; the step was not begun.
    #[error("{step}: the journal cannot be written: {source}")]
    Journal {
        /// The step.
        step: Step,
        /// The error.
        source: io::Error,
    },
}

impl StepError {
    /// Whether the kernel has not answered: what it was asked may still happen.
    pub fn is_timeout(&self) -> bool {
        matches!(self, StepError::Kernel { source, .. } if source.kind() == io::ErrorKind::TimedOut)
    }
}

/// How long to wait for what the kernel does on its own time: a found device, a driver that probes asynchronously.
const PATIENCE: Duration = Duration::from_secs(10);

/// Carries out a plan. Stops at the first step that does not come about and is needed; nothing is undone here.
pub fn execute(root: &Root, kernel: &dyn Kernel, journal: &mut Journal, plan: &Plan) -> Result<(), StepError> {
    for step in &plan.steps {
        log::debug!("{step}");
        let record = Record::before(root, step);
        journal.add(&record).map_err(|source| StepError::Journal { step: step.clone(), source })?;
        match make(root, kernel, step) {
            Err(error) if step.is_dispensable() && !error.is_timeout() => log::warn!("[gpu {}] {error}", plan.gpu),
            made => made?,
        }
    }
    Ok(())
}

/// Makes one step and reads back whether it came about.
pub(super) fn make(root: &Root, kernel: &dyn Kernel, step: &Step) -> Result<(), StepError> {
    let kernel_error = |source| StepError::Kernel { step: step.clone(), source };
    let not_so = |found: String| Err(StepError::NotSo { step: step.clone(), found });
    match step {
        Step::Override { function, driver } => {
            set_override(kernel, *function, driver.as_deref()).map_err(kernel_error)?;
            match function::driver_override(root, *function) {
                now if now == *driver => Ok(()),
                now => not_so(format!("driver_override reads '{}'", now.unwrap_or_default())),
            }
        }
        Step::Load { module } => kernel.modprobe(module).map_err(kernel_error),
        Step::Unbind { function, driver } => {
            unbind(root, kernel, *function, driver).map_err(kernel_error)?;
            match function::driver(root, *function) {
                None => Ok(()),
                Some(driver) => not_so(format!("{driver} still has it")),
            }
        }
        Step::Free { function } => {
            let Some(driver) = function::driver(root, *function) else { return Ok(()) };
            log::warn!(
                "{function}: {driver} was faster: this kernel binds what a rescan finds even with autoprobe off"
            );
            if let Some((_, holder)) = holders::find(root, &[*function]).first() {
                return not_so(holder.to_string());
            }
            unbind(root, kernel, *function, &driver).map_err(kernel_error)?;
            match function::driver(root, *function) {
                None => Ok(()),
                Some(driver) => not_so(format!("{driver} still has it")),
            }
        }
        Step::Evict { function } => match framebuffer::evict(root, kernel, *function).map_err(kernel_error)? {
            None => Ok(()),
            Some(driver) => not_so(format!("{driver} still has it")),
        },
        Step::Set { function, attribute: name, value } => {
            let path = attribute(*function, name);
            let is_so = || root.read_text(&path).is_ok_and(|now| now == *value);
            if is_so() {
                return Ok(());
            }
            match kernel.write(&path, value) {
                Err(error) if error.kind() == io::ErrorKind::TimedOut || !is_so() => Err(kernel_error(error)),
                Ok(()) if !is_so() => not_so(format!("it reads '{}'", root.read_text(&path).unwrap_or_default())),
                _ => Ok(()),
            }
        }
        Step::Awake { function } => power::keep_awake(root, kernel, &[*function]).map_err(kernel_error),
        Step::Resize { function, bar, size, below } => {
            resize::make(root, kernel, step, (*function, *bar, *size), *below)
        }
        Step::Probe { function, driver } => {
            if let Some(loss) = resize::loss(root, *function) {
                return not_so(loss);
            }
            probe(kernel, *function).map_err(kernel_error)?;
            match function::driver(root, *function) {
                Some(now) if now == *driver => Ok(()),
                Some(now) => not_so(format!("{now} has it instead")),
                None => {
                    not_so(format!("the kernel bound nothing; is {driver} loaded, and what does the kernel log say?"))
                }
            }
        }
        Step::Autoprobe { on } => {
            let value = if *on { "1" } else { "0" };
            kernel.write(&format!("{PCI_BUS}/drivers_autoprobe"), value).map_err(kernel_error)?;
            if *on {
                probe_newcomers(root, kernel);
            }
            Ok(())
        }
        Step::Remove { function } => {
            kernel.write(&attribute(*function, "remove"), "1").map_err(kernel_error)?;
            match root.exists(&format!("{PCI_DEVICES}/{function}")) {
                false => Ok(()),
                true => not_so("it is still there".to_owned()),
            }
        }
        Step::Rescan { below, expect } => {
            rescan(kernel, *below).map_err(kernel_error)?;
            match expect.iter().find(|f| !appears(root, **f)) {
                None => Ok(()),
                Some(missing) => not_so(format!("{missing} was not found again; a reboot brings it back")),
            }
        }
    }
}

/// Waits for something, some seconds at most; whether it came about.
pub(super) fn wait_until(condition: impl Fn() -> bool) -> bool {
    let until = Instant::now() + PATIENCE;
    let mut pause = Duration::from_millis(1);
    while !condition() {
        if Instant::now() >= until {
            return false;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(100));
    }
    true
}

/// Waits for a function that the kernel was asked to look for; whether it is there.
pub(super) fn appears(root: &Root, function: Address) -> bool {
    wait_until(|| root.exists(&format!("{PCI_DEVICES}/{function}")))
}

/// The same for one that was taken off the bus.
pub(super) fn comes_back(root: &Root, function: Address) -> io::Result<()> {
    match appears(root, function) {
        true => Ok(()),
        false => Err(io::Error::new(io::ErrorKind::NotFound, "it was not found again; a reboot brings it back")),
    }
}

/// Writes `driver_override`; an empty line clears it.
pub(super) fn set_override(kernel: &dyn Kernel, function: Address, driver: Option<&str>) -> io::Result<()> {
    kernel.write(&attribute(function, "driver_override"), driver.unwrap_or_default())
}

/// Takes a function from a driver. One that the driver has let go of meanwhile (ENODEV) is as wished.
pub(super) fn unbind(root: &Root, kernel: &dyn Kernel, function: Address, driver: &str) -> io::Result<()> {
    match kernel.write(&format!("{PCI_DRIVERS}/{driver}/unbind"), &function.to_string()) {
        Err(_) if function::driver(root, function).is_none() => Ok(()),
        other => other,
    }
}

/// Asks the kernel to bind a function. Success says nothing of whether a driver took it.
pub(super) fn probe(kernel: &dyn Kernel, function: Address) -> io::Result<()> {
    kernel.write(&format!("{PCI_BUS}/drivers_probe"), &function.to_string())
}

/// Looks for devices below a bridge, or on the whole bus.
pub(super) fn rescan(kernel: &dyn Kernel, below: Option<Address>) -> io::Result<()> {
    match below {
        Some(bridge) => kernel.write(&attribute(bridge, "rescan"), "1"),
        None => kernel.write(&format!("{PCI_BUS}/rescan"), "1"),
    }
}

/// Binds what was plugged in while autoprobe was off: functions without driver and without override.
pub(super) fn probe_newcomers(root: &Root, kernel: &dyn Kernel) {
    for name in root.list(PCI_DEVICES).unwrap_or_default() {
        let Some(address) = Address::from_sysfs(name.as_bytes()) else { continue };
        if function::driver(root, address).is_none() && function::driver_override(root, address).is_none() {
            // Most functions without a driver have none that fits; that is no error.
            let _ = probe(kernel, address);
        }
    }
}
