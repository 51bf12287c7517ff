// SPDX-License-Identifier: LGPL-2.1-or-later
//! What there is of what guests need of the system: services, libvirt's network, users and groups.

use super::error::SetupError;
use super::DEADLINE;
use crate::act::backend::tools::{ToolError, Tools};
use crate::act::guest::services::{blocks, value};
use crate::host::{accounts, networks};
use crate::plan::setup::{self, Init, Service, SetupContext};
use crate::root::Root;
use std::io;

/// What there is.
pub fn probe_context(root: &Root, tools: &dyn Tools) -> Result<SetupContext, SetupError> {
    // As sd_booted(3) and OpenRC's own scripts ask.
    let init = match () {
        () if root.exists("run/systemd/system") => Some(Init::Systemd),
        () if root.exists("run/openrc") => Some(Init::OpenRc),
        () => None,
    };
    let services = match init {
        Some(Init::Systemd) => units(tools)?,
        Some(Init::OpenRc) => openrc(root)?,
        None => Vec::new(),
    };
    let network = networks::find(root, setup::NETWORK);
    let network = network.map_err(|error| error.to_string()).transpose();
    Ok(SetupContext { init, services, network, users: accounts::users(root)?, groups: accounts::groups(root)? })
}

/// libvirt's units that are there, and an SSH server's.
fn units(tools: &dyn Tools) -> Result<Vec<Service>, ToolError> {
    let names = setup::units();
    let mut words = vec!["systemctl", "show", "--property=Id,LoadState,ActiveState,UnitFileState", "--"];
    words.extend(names.iter().map(String::as_str));
    let text = tools.run(&words, DEADLINE)?;
    let service = |block: Vec<(&str, &str)>| Service {
        name: value(&block, "Id").to_owned(),
        enabled: value(&block, "UnitFileState") == "enabled",
        active: matches!(value(&block, "ActiveState"), "active" | "activating" | "reloading"),
        masked: value(&block, "LoadState") == "masked",
    };
    let there = |block: &Vec<(&str, &str)>| !matches!(value(block, "LoadState"), "not-found" | "");
    let mut services: Vec<Service> = Vec::new();
    // One name of an SSH server may be another name of the other.
    for service in blocks(&text).filter(there).map(service) {
        if !services.iter().any(|known| known.name == service.name) {
            services.push(service);
        }
    }
    Ok(services)
}

/// libvirt's scripts of OpenRC, by the links that it keeps.
fn openrc(root: &Root) -> io::Result<Vec<Service>> {
    let list = |path: &str| match root.list(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        names => names,
    };
    let started = list("run/openrc/started")?;
    let mut enabled = Vec::new();
    for level in list("etc/runlevels")? {
        enabled.extend(list(&format!("etc/runlevels/{level}"))?);
    }
    let there = setup::OPENRC_SERVICES.iter().filter(|name| root.exists(&format!("etc/init.d/{name}")));
    let service = |name: &&str| Service {
        name: (*name).to_owned(),
        enabled: enabled.iter().any(|other| other == name),
        active: started.iter().any(|other| other == name),
        masked: false,
    };
    Ok(there.map(service).collect())
}
