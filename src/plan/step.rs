// SPDX-License-Identifier: LGPL-2.1-or-later
//! The steps of a plan.

use crate::host::bars::show_size;
use crate::host::reset::MODULE;
use crate::pci::Address;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One change to the system. What it was before is not here: the journal records that when the step is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", try_from = "flat::Step")]
pub enum Step {
    /// Write `driver_override`: from now on only this driver can take the function; `None` lets all drivers.
    Override {
        /// The function.
        function: Address,
        /// The driver.
        driver: Option<String>,
    },
    /// Give a BAR another size, or one between the two if that does not come about.
    Resize {
        /// The function.
        function: Address,
        /// 0 to 5.
        bar: u8,
        /// Bytes.
        size: u64,
        /// The bridge below which all functions are taken off the bus and found again for it; `None` where the kernel does it.
        #[serde(skip_serializing_if = "Option::is_none")]
        below: Option<Address>,
    },
    /// Load a module.
    Load {
        /// Its name.
        module: String,
    },
    /// Take the function away from its driver.
    Unbind {
        /// The function.
        function: Address,
        /// The driver that has it.
        driver: String,
    },
    /// Take the function away from whatever driver took it meanwhile, if one did and nobody holds it.
    Free {
        /// The function.
        function: Address,
    },
    /// Write an attribute of the function that shows what was written to it: `reset_method`. Where the kernel does not take
    /// the value, all stays as it was, and the plan goes on with a warning.
    Set {
        /// The function.
        function: Address,
        /// The attribute's name.
        attribute: String,
        /// What it is to show.
        value: String,
    },
    /// Keep the function from sleeping: what sleeps deeply may not wake up, or with a reset not be there. The ports above what
    /// is awake are, too (`drivers/base/power/runtime.c`), and may serve other cards. Where it cannot be, the plan goes on with
    /// a warning.
    Awake {
        /// The function.
        function: Address,
    },
    /// Take the firmware's framebuffer that lies in the function's memory from its driver, if there is one then.
    Evict {
        /// The function.
        function: Address,
    },
    /// Ask the kernel to bind the function, and see that this driver got it.
    Probe {
        /// The function.
        function: Address,
        /// The driver that must have it afterwards.
        driver: String,
    },
    /// Let the kernel bind new devices by itself, or not.
    Autoprobe {
        /// Whether it may.
        on: bool,
    },
    /// Take the function off the bus, as if pulled out.
    Remove {
        /// The function.
        function: Address,
    },
    /// Look for new devices on the bus of a bridge and all below it, and see that these functions are there.
    Rescan {
        /// The bridge above the functions; `None` is every bus.
        below: Option<Address>,
        /// What must be there afterwards.
        expect: Vec<Address>,
    },
}

/// How a step is read: serde's own reading of a tagged enum buffers it first, at a cost of 30 KB in every program.
mod flat {
    use super::Address;

    /// All fields of all steps.
    #[derive(serde::Deserialize)]
    pub struct Step {
        r#do: String,
        function: Option<Address>,
        driver: Option<String>,
        module: Option<String>,
        on: Option<bool>,
        bar: Option<u8>,
        size: Option<u64>,
        below: Option<Address>,
        expect: Option<Vec<Address>>,
        attribute: Option<String>,
        value: Option<String>,
    }

    impl TryFrom<Step> for super::Step {
        type Error = &'static str;

        fn try_from(flat: Step) -> Result<Self, Self::Error> {
            let function = flat.function.ok_or("no function");
            let driver = flat.driver.clone().ok_or("no driver");
            Ok(match flat.r#do.as_str() {
                "override" => super::Step::Override { function: function?, driver: flat.driver },
                "resize" => super::Step::Resize {
                    function: function?,
                    bar: flat.bar.ok_or("no BAR")?,
                    size: flat.size.ok_or("no size")?,
                    below: flat.below,
                },
                "load" => super::Step::Load { module: flat.module.ok_or("no module")? },
                "unbind" => super::Step::Unbind { function: function?, driver: driver? },
                "evict" => super::Step::Evict { function: function? },
                "free" => super::Step::Free { function: function? },
                "set" => super::Step::Set {
                    function: function?,
                    attribute: flat.attribute.ok_or("no attribute")?,
                    value: flat.value.unwrap_or_default(),
                },
                "awake" => super::Step::Awake { function: function? },
                "probe" => super::Step::Probe { function: function?, driver: driver? },
                "autoprobe" => super::Step::Autoprobe { on: flat.on.ok_or("no state")? },
                "remove" => super::Step::Remove { function: function? },
                "rescan" => super::Step::Rescan { below: flat.below, expect: flat.expect.unwrap_or_default() },
                _ => return Err("unknown step"),
            })
        }
    }
}

impl Step {
    /// The function that it is about; `None` for what is about a module or the bus.
    pub fn function(&self) -> Option<Address> {
        match self {
            Step::Override { function, .. }
            | Step::Unbind { function, .. }
            | Step::Probe { function, .. }
            | Step::Set { function, .. }
            | Step::Free { function }
            | Step::Awake { function }
            | Step::Evict { function }
            | Step::Resize { function, .. }
            | Step::Remove { function } => Some(*function),
            Step::Load { .. } | Step::Autoprobe { .. } | Step::Rescan { .. } => None,
        }
    }

    /// Whether a plan may go on without it: a card that is reset otherwise than wished is better than none.
    pub fn is_dispensable(&self) -> bool {
        match self {
            Step::Set { .. } => true,
            Step::Load { module } => module == MODULE,
            _ => false,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Override { function, driver: Some(driver) } => write!(f, "{function}: let only {driver} bind it"),
            Step::Override { function, driver: None } => write!(f, "{function}: let any driver bind it"),
            Step::Resize { function, bar, size, below } => {
                write!(f, "{function}: resize BAR {bar} to {}", show_size(*size))?;
                below.map_or(Ok(()), |bridge| write!(f, ", by removing everything below {bridge} and rescanning"))
            }
            Step::Load { module } => write!(f, "load module {module}"),
            Step::Unbind { function, driver } => write!(f, "{function}: unbind it from {driver}"),
            Step::Free { function } => write!(f, "{function}: unbind any driver that bound it first"),
            Step::Evict { function } => write!(f, "{function}: unbind the firmware's framebuffer from its memory"),
            Step::Set { function, attribute, value } => write!(f, "{function}: set {attribute} to '{value}'"),
            Step::Awake { function } => write!(f, "{function}: keep it awake"),
            Step::Probe { function, driver } => write!(f, "{function}: bind to {driver}"),
            Step::Autoprobe { on: true } => write!(f, "let the kernel bind new devices by itself again"),
            Step::Autoprobe { on: false } => write!(f, "keep the kernel from binding new devices by itself"),
            Step::Remove { function } => write!(f, "{function}: remove it from the bus"),
            Step::Rescan { below: Some(bridge), .. } => write!(f, "rescan below {bridge}"),
            Step::Rescan { below: None, .. } => write!(f, "rescan the whole bus"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_read_as_they_are_written() {
        let function = Address::from_sysfs(b"0000:03:00.0").unwrap();
        let driver = "vfio-pci".to_owned();
        for step in [
            Step::Override { function, driver: Some(driver.clone()) },
            Step::Override { function, driver: None },
            Step::Resize { function, bar: 2, size: 8 << 20, below: None },
            Step::Resize { function, bar: 0, size: 8 << 30, below: Some(function) },
            Step::Load { module: "vfio_pci".to_owned() },
            Step::Unbind { function, driver: driver.clone() },
            Step::Free { function },
            Step::Evict { function },
            Step::Probe { function, driver },
            Step::Set { function, attribute: "reset_method".to_owned(), value: "flr bus".to_owned() },
            Step::Set { function, attribute: "reset_method".to_owned(), value: String::new() },
            Step::Awake { function },
            Step::Autoprobe { on: false },
            Step::Remove { function },
            Step::Rescan { below: Some(function), expect: vec![function] },
            Step::Rescan { below: None, expect: Vec::new() },
        ] {
            let json = serde_json::to_string(&step).unwrap();
            assert_eq!(serde_json::from_str::<Step>(&json).unwrap(), step, "{json}");
        }
        assert!(serde_json::from_str::<Step>(r#"{"do":"probe"}"#).is_err());
        assert!(serde_json::from_str::<Step>(r#"{"do":"explode"}"#).is_err());
    }
}
