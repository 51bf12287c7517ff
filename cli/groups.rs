// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio groups`: IOMMU groups with all that decides whether a guest can have them.

use crate::output::{table, Output};
use crate::{DONE, NO};
use serde::Serialize;
use vfio_suite::host::iommu::Iommu;
use vfio_suite::host::names::Names;
use vfio_suite::host::{Depth, Function, Host};
use vfio_suite::pci::{Address, Identity};
use vfio_suite::plan::group::{blockers, Blocker};
use vfio_suite::root::Root;

#[derive(Serialize)]
struct Answer<'a> {
    iommu: &'a Iommu,
    groups: Vec<Group>,
    /// Functions in no group: the IOMMU does not translate for them.
    ungrouped: Vec<Member>,
}

#[derive(Serialize)]
struct Group {
    group: u32,
    /// Whether a guest could get the group's free members now.
    viable: bool,
    /// The members that keep it from guests, with the host driver that has each.
    blockers: Vec<Blocker>,
    functions: Vec<Member>,
}

#[derive(Serialize)]
struct Member {
    address: Address,
    ids: Identity,
    class: String,
    kind: &'static str,
    name: Option<String>,
    driver: Option<String>,
    boot_display: bool,
    /// In the order in which the kernel tries them; null if it knows none.
    reset_methods: Option<Vec<String>>,
}

/// Lists the groups.
pub fn run(root: &Root, out: &Output) -> anyhow::Result<u8> {
    let host = Host::scan(root, Depth::Full);
    let names = Names::read(root, &host.functions);
    let member = |f: &Function| Member {
        address: f.address,
        ids: Identity { vendor: f.vendor, device: f.device, subsystem: f.subsystem },
        class: format!("{:06x}", f.class),
        kind: f.kind(),
        name: names.of(f),
        driver: f.driver.clone(),
        boot_display: f.boot_vga,
        reset_methods: f.reset_methods.clone(),
    };
    let mut order: Vec<&Function> = host.functions.iter().collect();
    order.sort_by_key(|f| f.group.map_or((true, 0), |g| (false, g)));
    let (mut groups, mut ungrouped) = (Vec::new(), Vec::new());
    for run in order.chunk_by(|a, b| a.group == b.group) {
        let functions = run.iter().copied().map(member).collect();
        match run[0].group {
            Some(group) => {
                let blockers = blockers(run.iter().copied());
                groups.push(Group { group, viable: blockers.is_empty(), blockers, functions });
            }
            None => ungrouped = functions,
        }
    }
    let code = if host.iommu.active { DONE } else { NO };
    if out.is_json() {
        out.json("vfio.groups/1", &Answer { iommu: &host.iommu, groups, ungrouped })?;
        return Ok(code);
    }
    out.text(&text(&host.iommu, &groups, &ungrouped, out))?;
    Ok(code)
}

fn text(iommu: &Iommu, groups: &[Group], ungrouped: &[Member], out: &Output) -> String {
    let mut text = String::new();
    for group in groups {
        let viable = match group.blockers.as_slice() {
            [] => out.good("viable"),
            blockers => {
                let blockers: Vec<String> =
                    blockers.iter().map(|b| format!("{} has {}", b.driver, b.function)).collect();
                out.bad(&format!("not viable while {}", blockers.join(", ")))
            }
        };
        text.push_str(&format!("{}: {viable}\n", out.bold(&format!("IOMMU group {}", group.group))));
        text.push_str(&members(&group.functions));
    }
    if !ungrouped.is_empty() {
        let why = if iommu.active { "not translated by the IOMMU" } else { "the IOMMU is off" };
        text.push_str(&format!("{}: {}\n", out.bold("In no IOMMU group"), out.bad(why)));
        text.push_str(&members(ungrouped));
    }
    text
}

fn members(members: &[Member]) -> String {
    let row = |m: &Member| {
        let reset = match &m.reset_methods {
            None => "no reset".to_owned(),
            Some(methods) if methods.is_empty() => "no reset".to_owned(),
            Some(methods) => format!("reset {}", methods.join(" ")),
        };
        let boot = if m.boot_display { ", boot display" } else { "" };
        let what = m.name.as_deref().map_or_else(|| m.kind.to_owned(), |name| format!("{}: {name}", m.kind));
        let ids = Identity { subsystem: None, ..m.ids };
        vec![
            m.address.to_string(),
            ids.to_string(),
            m.driver.clone().unwrap_or_else(|| "-".to_owned()),
            reset,
            format!("{what}{boot}"),
        ]
    };
    table(&members.iter().map(row).collect::<Vec<_>>())
}
