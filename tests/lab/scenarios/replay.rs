// SPDX-License-Identifier: LGPL-2.1-or-later
//! What a bug report brings: on any machine it shows what it shows on its own.

use crate::checks::Checks;
use crate::desk;
use crate::machine::Machine;
use anyhow::Result;
use serde_json::Value;
use std::collections::BTreeSet;

/// What `vfio doctor --json` has found, without names.
fn codes(answer: &Value) -> BTreeSet<String> {
    let checks = answer["checks"].as_array().map(Vec::as_slice).unwrap_or_default();
    checks.iter().map(|check| format!("{} {} {}", check["part"], check["level"], check["code"])).collect()
}

/// The machine of the guest scenarios: a desktop on a card, libvirt with domains, a kernel's log.
pub fn replay() -> Result<()> {
    let boot = desk::boot(include_str!("../guest/replay.sh"));
    let run = Machine::new("machine_replay", &desk::disk()?)?.boot(&boot)?;
    let mut checks = Checks::default();
    checks.same(&format!("exit of `vfio report`: {}", run.text("report.said")), run.fact("report"), "0");
    // `vfio cards` names users.
    for verb in ["groups", "plan"] {
        let replayed = run.text(&format!("replayed.{verb}"));
        checks.same(&format!("`vfio {verb}` says something"), replayed.is_empty(), false);
        checks.same(&format!("`vfio --root REPORT {verb}`"), replayed, run.text(&format!("real.{verb}")));
    }
    for verb in ["groups", "cards", "plan", "doctor"] {
        let code = run.fact(&format!("real.{verb}"));
        checks.same(&format!("exit of `vfio --root REPORT {verb}`"), run.fact(&format!("replayed.{verb}")), code);
    }
    let real = codes(&run.json("real.doctor")?);
    for part in ["guests", "system", "logs"] {
        checks.same(&format!("doctor says something of {part}"), real.iter().any(|found| found.contains(part)), true);
    }
    checks.same("what doctor finds in the report", codes(&run.json("replayed.doctor")?), real);
    checks.done()
}
