// SPDX-License-Identifier: LGPL-2.1-or-later
//! Carrying out a plan: each step is journalled, made, and read back.

use crate::act::backend::kernel::{Kernel, KernelError};
use crate::act::card::error::StepError;
use crate::act::card::writes::{appears, probe, probe_newcomers, rescan, set_override, unbind, Resized};
use crate::act::card::{framebuffer, power, resize};
use crate::act::journal::Journal;
use crate::host::bars;
use crate::host::function::{self, attribute};
use crate::host::holders;
use crate::journal::Record;
use crate::pci::Address;
use crate::plan::{Plan, Step};
use crate::root::{Root, PCI_BUS, PCI_DEVICES};

/// Carries out a plan. Stops at the first step that does not come about and is needed; nothing is undone here.
pub fn execute(root: &Root, kernel: &dyn Kernel, journal: &mut Journal, plan: &Plan) -> Result<(), StepError> {
    for step in &plan.steps {
        log::debug!("{step}");
        let record = Record::before(root, step);
        journal.add(&record).map_err(|source| StepError::Journal { step: step.clone(), source })?;
        match execute_step(root, kernel, step) {
            Err(error) if step.is_dispensable() && !error.is_timeout() => log::warn!("[gpu {}] {error}", plan.gpu),
            made => made?,
        }
    }
    Ok(())
}

/// Makes one step and reads back whether it came about.
pub(crate) fn execute_step(root: &Root, kernel: &dyn Kernel, step: &Step) -> Result<(), StepError> {
    let kernel_error = |source: KernelError| StepError::Kernel { step: step.clone(), source: Box::new(source.into()) };
    let not_so = |found: String| Err(StepError::NotSo { step: step.clone(), found });
    let still = |driver: Option<String>| match driver {
        None => Ok(()),
        Some(driver) => not_so(format!("it is still bound to {driver}")),
    };
    let unbound = |function: Address, driver: &str| {
        unbind(root, kernel, function, driver).map_err(kernel_error)?;
        still(function::driver(root, function))
    };
    match step {
        Step::Override { function, driver } => {
            set_override(kernel, *function, driver.as_deref()).map_err(kernel_error)?;
            match function::driver_override(root, *function) {
                now if now == *driver => Ok(()),
                now => not_so(format!("driver_override reads '{}'", now.unwrap_or_default())),
            }
        }
        Step::Load { module } => kernel.modprobe(module).map_err(kernel_error),
        Step::Unbind { function, driver } => unbound(*function, driver),
        Step::Free { function } => {
            let Some(driver) = function::driver(root, *function) else { return Ok(()) };
            log::warn!("{function}: {driver} bound it first: this kernel ignores drivers_autoprobe during a rescan");
            if let Some((_, holder)) = holders::find(root, &[*function]).first() {
                return not_so(holder.to_string());
            }
            unbound(*function, &driver)
        }
        Step::Evict { function } => still(framebuffer::evict(root, kernel, *function).map_err(kernel_error)?),
        Step::Set { function, attribute: name, value } => {
            let path = attribute(*function, name);
            let is_so = || root.read_text(&path).is_ok_and(|now| now == *value);
            if is_so() {
                return Ok(());
            }
            match kernel.write(&path, value) {
                Err(error) if error.is_timeout() || !is_so() => Err(kernel_error(error)),
                Ok(()) if !is_so() => not_so(format!("it reads '{}'", root.read_text(&path).unwrap_or_default())),
                _ => Ok(()),
            }
        }
        Step::Awake { function } => power::keep_awake(root, kernel, &[*function]).map_err(kernel_error),
        Step::Resize { function, bar, size, below } => {
            resize::resize_bar(root, kernel, step, Resized { function: *function, bar: *bar }, *size, *below)
        }
        Step::Probe { function, driver } => {
            if let Some(loss) = bars::loss(root, *function) {
                return not_so(loss);
            }
            probe(kernel, *function).map_err(kernel_error)?;
            match function::driver(root, *function) {
                Some(now) if now == *driver => Ok(()),
                Some(now) => not_so(format!("it is bound to {now} instead")),
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
            if root.exists(&format!("{PCI_DEVICES}/{function}")) {
                return not_so("it is still there".to_owned());
            }
            Ok(())
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
