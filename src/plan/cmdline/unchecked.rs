// SPDX-License-Identifier: LGPL-2.1-or-later
//! What a person should know of what was not looked at, and of what others do with boot files.

use super::format::{self, Line, Owner};
use super::next_kernel;
use super::own::is_own;
use crate::host::boot::esp::LeftAlone;
use crate::host::boot::{BootFile, BootSystem, Content, Format, Loader, Role};
use std::collections::BTreeSet;

/// Sentences on a machine's boot files: what could not be read, files that are read by other files, what the next kernel loses.
pub fn sentences(system: &BootSystem) -> Vec<String> {
    let mut notes: Vec<String> = system.closed.iter().map(|path| closed(path)).collect();
    notes.extend(system.left_alone.iter().map(left_alone));
    notes.extend(system.loaders.iter().any(copies_elsewhere).then(|| NOT_MOUNTED.to_owned()));
    let is_left_over = |loader: &&Loader| system.left_over.contains(&loader.kind);
    notes.extend(system.loaders.iter().filter(is_left_over).map(left_over));
    let entries = system.loaders.iter().flat_map(|loader| &loader.boot_files);
    notes.extend(entries.flat_map(|boot_file| of_others(boot_file, system)));
    notes.extend(next_kernel::sentence(system));
    // GRUB's file is there once for each variable that is looked at.
    let mut seen = BTreeSet::new();
    let others = system.loaders.iter().flat_map(|loader| &loader.boot_files).flat_map(reads_others);
    notes.extend(others.filter(|note| seen.insert(note.clone())));
    notes
}

/// Of Proxmox.
const NOT_MOUNTED: &str =
    "the partitions that /etc/kernel/proxmox-boot-uuids names are not mounted: what proxmox-boot-tool makes on \
                           them is not shown here";

/// Whether a tool of the loader copies to partitions that are not mounted.
fn copies_elsewhere(loader: &Loader) -> bool {
    loader.tools.iter().any(|command| command.first().is_some_and(|program| program == "proxmox-boot-tool"))
}

fn left_over(loader: &Loader) -> String {
    let paths: Vec<String> = loader.boot_files.iter().map(|boot_file| format!("/{}", boot_file.path)).collect();
    format!(
        "{} did not start this boot and its tool is not installed: {} are taken for what is left of it, and get no parameter",
        loader.kind.name(),
        paths.join(", ")
    )
}

/// Entries of other systems in files that are changed. Snapshots are no news.
fn of_others(boot_file: &BootFile, system: &BootSystem) -> Vec<String> {
    let is_entry = boot_file.role == Role::Entry;
    let Some(Content::Text(text)) = boot_file.content.as_ref().filter(|_| is_entry) else { return Vec::new() };
    let lines = format::lines(boot_file.format, text).unwrap_or_default();
    let is_other = |line: &Line| line.owner != Owner::Snapshot && !is_own(boot_file.format, line, &system.identity);
    let said = |line: Line| {
        let title = if line.key.is_empty() { String::new() } else { format!("'{}' ", line.key) };
        format!("/{}:{}: the entry {title}starts another system, and is left alone", boot_file.path, line.number)
    };
    lines.into_iter().filter(is_other).map(said).collect()
}

fn closed(path: &str) -> String {
    format!("/{path} cannot be read by you: boot files in it are not shown here, root sees them")
}

fn left_alone(file_system: &LeftAlone) -> String {
    let LeftAlone { at, why } = file_system;
    format!("/{at} {why}, so boot entries on it are left alone: if this machine boots from it, change them manually")
}

/// Another file that a shell reads in the place of a line; it may set the variables again.
fn reads_others(boot_file: &BootFile) -> Vec<String> {
    let by_a_shell = matches!(
        boot_file.format,
        Format::GrubDefault | Format::GrubLinux | Format::LimineShell | Format::VoidHook | Format::SdbootManage
    );
    let Some(Content::Text(text)) = boot_file.content.as_ref().filter(|_| by_a_shell) else { return Vec::new() };
    let said = |(number, line): (usize, &str)| {
        let file = read_by(line)?;
        Some(format!("/{}:{}: {file} is read there, and vfio does not see its words", boot_file.path, number + 1))
    };
    text.lines().enumerate().filter_map(said).collect()
}

/// The file that a line has a shell read: `. FILE`, `source FILE`, also after a condition.
fn read_by(line: &str) -> Option<&str> {
    let mut parameters = line.split_whitespace().take_while(|parameter| !parameter.starts_with('#'));
    let mut begins = true;
    while let Some(parameter) = parameters.next() {
        if begins && matches!(parameter, "." | "source") {
            return parameters.next().map(|file| file.trim_matches(['"', '\'', ';']));
        }
        begins =
            parameter.ends_with(';') || matches!(parameter, "&&" | "||" | "then" | "else" | "do" | "{" | "!" | "if");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_read_a_file() {
        for (line, file) in [
            (". /etc/default/grub.local", Some("/etc/default/grub.local")),
            ("  source \"$dir/more\" # why", Some("$dir/more")),
            ("[ -e /x ] && . /x", Some("/x")),
            ("if [ -e /x ]; then . /x; fi", Some("/x")),
            ("# . /x", None),
            ("GRUB_CMDLINE_LINUX=\"a . b\"", None),
            ("GRUB_TIMEOUT=5 # source /x", None),
            (".", None),
            ("./x", None),
        ] {
            assert_eq!(read_by(line), file, "{line}");
        }
    }
}
