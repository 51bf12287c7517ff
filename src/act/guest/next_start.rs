// SPDX-License-Identifier: LGPL-2.1-or-later
//! Looking at what the next start of a domain needs that is being defined.

use super::{needs, roms, services};
use crate::act::backend::tools::Tools;
use crate::host::accounts::{self, Group};
use crate::host::domain::Domain;
use crate::host::shared_memory;
use crate::plan::guest::next_start::NextStart;
use crate::root::Root;

/// The group whose members may manage the system's guests.
const MANAGERS: &str = "libvirt";

/// Looks at it. `domain` is what the text that is to be defined says.
pub(crate) fn look(root: &Root, tools: &dyn Tools, domain: &Domain, system: bool) -> NextStart {
    let paths = domain.hostdevs.iter().filter_map(|device| device.rom.clone()).collect();
    let mut groups = accounts::groups(root).unwrap_or_default();
    let shares = !domain.shared.is_empty();
    groups.retain(|group| group.name == MANAGERS || (shares && group.name == shared_memory::GROUP));
    NextStart {
        host: needs::look(root, domain, system),
        roms: roms::files(root, paths),
        outsiders: if system { outsiders(root, tools, &groups) } else { Vec::new() },
    }
}

/// Who is logged in with a desktop and is not in all of these groups.
fn outsiders(root: &Root, tools: &dyn Tools, groups: &[Group]) -> Vec<(String, Vec<&'static str>)> {
    if groups.is_empty() {
        return Vec::new();
    }
    let sessions = services::sessions(tools).unwrap_or_else(|error| {
        log::debug!("{error}");
        Vec::new()
    });
    let users = accounts::users(root).unwrap_or_default();
    let mut seen: Vec<String> = Vec::new();
    let mut found = Vec::new();
    for session in sessions.into_iter().filter(|session| session.is_graphical() && !session.greeter) {
        // Of a user of a directory service the groups are not known, and root needs none.
        let Some(user) = users.iter().find(|user| user.name == session.user && user.uid != 0) else { continue };
        if seen.contains(&user.name) {
            continue;
        }
        seen.push(user.name.clone());
        let is_out = |group: &&Group| group.gid != user.gid && !group.members.contains(&user.name);
        let names = groups.iter().filter(is_out);
        let names = names.map(|group| if group.name == MANAGERS { MANAGERS } else { shared_memory::GROUP });
        let names: Vec<&str> = names.collect();
        if !names.is_empty() {
            found.push((user.name.clone(), names));
        }
    }
    found
}
