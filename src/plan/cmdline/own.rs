// SPDX-License-Identifier: LGPL-2.1-or-later
//! Which command lines of a file start this system: not its snapshots, and no other system beside it.

use super::format::{self, Line, Owner, Problem};
use super::{not_found, text_of};
use crate::host::boot::identity::Identity;
use crate::host::boot::{BootFile, Format, Loader, Role};

/// A sentence if no boot file is one that starts this system: a menu without a Linux, or with that of another system alone,
/// shows nothing.
pub(super) fn nothing_is_reached(loaders: &[&Loader], required: &[String], identity: &Identity) -> Option<String> {
    let reaches = |boot_file: &BootFile| {
        boot_file.role == Role::Source
            || boot_file.format.is_changed_by_a_tool()
            || boot_file.role != Role::WithoutVfio
                && own_lines(boot_file, identity).is_ok_and(|lines| !lines.is_empty())
    };
    let files = || loaders.iter().flat_map(|loader| &loader.boot_files);
    let entries: Vec<&BootFile> = files().filter(|boot_file| boot_file.role == Role::Entry).collect();
    if entries.is_empty() || files().any(reaches) {
        return None;
    }
    let paths: Vec<String> = entries.iter().map(|boot_file| format!("/{}", boot_file.path)).collect();
    Some(format!("no entry of this system is in {}: {}", paths.join(", "), not_found::add(required)))
}

/// The command lines of a file that start this system: not its snapshots, and no other system beside it.
pub(super) fn own_lines(boot_file: &BootFile, identity: &Identity) -> Result<Vec<Line>, Problem> {
    let mut lines = format::lines(boot_file.format, text_of(boot_file)?)?;
    lines.retain(|line| is_own(boot_file.format, line, identity));
    Ok(lines)
}

pub(super) fn is_own(format: Format, line: &Line, identity: &Identity) -> bool {
    let is_said = match &line.owner {
        Owner::NotSaid => true,
        Owner::Machine(id) => !identity.is_other_machine(id),
        Owner::Snapshot => false,
    };
    is_said && !(format.has_entries() && identity.is_other(&line.parameters))
}

/// The parameters of each of these.
pub(super) fn own_parameters(boot_file: &BootFile, identity: &Identity) -> Result<Vec<Vec<String>>, Problem> {
    Ok(own_lines(boot_file, identity)?.into_iter().map(|line| line.parameters).collect())
}

/// What every entry has that is made from a file with a part for all entries.
pub(super) fn base_parameters(boot_file: &BootFile) -> Result<Vec<String>, Problem> {
    let lines = format::lines(boot_file.format, text_of(boot_file)?)?;
    let of_all = lines.into_iter().filter(|line| line.key.is_empty() || line.key == format::LIMINE_ALL);
    Ok(of_all.flat_map(|line| line.parameters).collect())
}
