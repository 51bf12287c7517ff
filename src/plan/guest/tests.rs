// SPDX-License-Identifier: LGPL-2.1-or-later
//! A machine and what surrounds a guest, for the tests of the checks.
#![allow(clippy::unwrap_used)]

use crate::config::{parse_files, Config, Guest};
use crate::finding::{Finding, Severity};
use crate::host::domain::{Domain, HostDevice};
use crate::host::{Function, Host};
use crate::pci::Address;
use crate::plan::guest::{cards, plan, DomainState, GuestContext, GuestPlan};
use crate::plan::select;
use crate::plan::selection::Selection;

/// A function of Intel's.
pub fn function(address: &str, class: u32, group: u32, driver: Option<&str>) -> Function {
    Function {
        driver: driver.map(str::to_owned),
        group: Some(group),
        ..Function::new(address.parse().unwrap(), (0x8086, 0x4680), class)
    }
}

pub fn video() -> Function {
    function("0000:09:00.0", 0x03_0000, 15, Some("amdgpu"))
}

pub fn audio() -> Function {
    function("0000:09:00.1", 0x04_0300, 15, Some("snd_hda_intel"))
}

/// The processor's graphics, a root port, a network card, a USB controller, and the card with its sound.
pub fn machine() -> Host {
    let functions = vec![
        function("0000:00:01.0", 0x06_0400, 2, Some("pcieport")),
        function("0000:00:02.0", 0x03_0000, 0, Some("i915")),
        function("0000:00:14.0", 0x0c_0330, 4, Some("xhci_hcd")),
        function("0000:05:00.0", 0x02_0000, 11, Some("igc")),
        video(),
        audio(),
    ];
    let mut host = Host { functions, ..Host::default() };
    host.iommu.active = true;
    host
}

/// Cards and the guests that they belong to.
pub fn claim(claims: &[(&str, &str)]) -> Vec<(String, String)> {
    claims.iter().map(|(gpu, guest)| ((*gpu).to_owned(), (*guest).to_owned())).collect()
}

/// A configuration with the guest win10, a machine, and what surrounds them.
#[derive(Clone)]
pub struct Case {
    config: Config,
    pub host: Host,
    pub context: GuestContext,
}

impl Case {
    pub fn new(config: &str, host: Host) -> Case {
        let config = parse_files(&[("/etc/vfio.conf", config.as_bytes())]);
        assert!(config.worst().is_none_or(|worst| worst < Severity::Error), "{:?}", config.diagnostics);
        Case { config, host, context: GuestContext { vfio_available: true, ..GuestContext::default() } }
    }

    pub fn at(&mut self, address: &str) -> &mut Function {
        let address: Address = address.parse().unwrap();
        self.host.functions.iter_mut().find(|f| f.address == address).unwrap()
    }

    pub fn driver(&mut self, address: &str, driver: Option<&str>) {
        self.at(address).driver = driver.map(str::to_owned);
    }

    /// A domain that is off, with these host devices, managed or not.
    pub fn domain(&mut self, hostdevs: &[(&str, bool)]) {
        let device = |(address, managed): &(&str, bool)| HostDevice {
            address: address.parse().unwrap(),
            managed: *managed,
            rom: None,
            rom_off: false,
            assigned: true,
        };
        let hostdevs = hostdevs.iter().map(device).collect();
        let domain = Box::new(Domain { name: "win10".to_owned(), hostdevs, ..Domain::default() });
        self.context.domain = Some(DomainState::Known { state: "shut off".to_owned(), domain });
    }

    /// The plan for a start of the guest.
    pub fn planned(&self) -> GuestPlan {
        let guest = self.config.guest("win10").unwrap();
        let mut host = self.host.clone();
        host.functions.sort_by_key(|f| f.address.key());
        let selections = cards(&self.config, guest, &host);
        plan(&self.config, guest, &selections, &host, &self.context)
    }

    /// What a check says: refusals, warnings. It is given the guest, its selections, and the functions of other sections.
    pub fn said(
        &self,
        check: impl Fn(&Guest, &[Selection<'_>], &[(Address, String)], &Host, &GuestContext) -> Vec<Finding>,
    ) -> (Vec<Finding>, Vec<Finding>) {
        let guest = self.config.guest("win10").unwrap();
        let mut host = self.host.clone();
        host.functions.sort_by_key(|f| f.address.key());
        let (ours, theirs): (Vec<_>, Vec<_>) =
            select::select_all(&self.config, &host).into_iter().partition(|c| guest.gpus.value.contains(&c.gpu.name));
        let functions = |c: &Selection<'_>| {
            let name = c.gpu.name.clone();
            c.selected.as_ref().unwrap().functions.iter().map(|a| (*a, name.clone())).collect::<Vec<_>>()
        };
        let others: Vec<(Address, String)> = theirs.iter().flat_map(functions).collect();
        let findings = check(guest, &ours, &others, &host, &self.context);
        findings.into_iter().partition(|finding| finding.severity == Severity::Error)
    }

    /// What is said of the domain where no section names it.
    pub fn foreign(
        &self,
        judge: impl Fn(&Config, &[Selection<'_>], &Domain, &Host) -> Option<Finding>,
    ) -> Option<Finding> {
        let Some(DomainState::Known { domain, .. }) = &self.context.domain else { unreachable!() };
        judge(&self.config, &select::select_all(&self.config, &self.host), domain, &self.host)
    }
}
