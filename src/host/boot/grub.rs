// SPDX-License-Identifier: LGPL-2.1-or-later
//! GRUB, in the three ways in which distributions keep its command lines.

use super::esp::Partitions;
use super::{rescue_entry, BootFile, Format, Loader, LoaderKind, Role};
use crate::host::boot::probe::{assigned, files, first_program, program, text};
use crate::root::Root;

/// What `grub-mkconfig` reads.
const DEFAULT: &str = "etc/default/grub";
/// What Debian's `grub-mkconfig` reads after it.
const DROP_INS: &str = "etc/default/grub.d";
/// Where boot entries are that GRUB reads by itself.
pub(super) const ENTRIES: &str = "boot/loader/entries";
/// The variable that ours among the drop-ins adds to.
const OURS_ADDS_TO: &str = "GRUB_CMDLINE_LINUX_DEFAULT";
/// Ours among the drop-ins, unless another comes after it, which might set the variable again: then its name begins with as many
/// `z` as it takes.
const OURS: &str = "etc/default/grub.d/95-vfio.cfg";
/// More of these nobody writes.
const MOST_Z: usize = 64;

/// Finds it.
pub(super) fn find(root: &Root, partitions: &Partitions) -> Option<Loader> {
    let default = text(root, DEFAULT);
    if default.is_none() && !root.exists(DEFAULT) {
        return None;
    }
    let menu = menu(root, partitions)?;
    let entries = files(root, ENTRIES, ".conf");
    if !entries.is_empty() && default.and_then(|text| assigned(&text, "GRUB_ENABLE_BLSCFG")).as_deref() == Some("true")
    {
        return Some(with_entries(root, &entries));
    }
    let mkconfig = first_program(root, &["grub-mkconfig", "grub2-mkconfig"]);
    let reads_drop_ins = || text(root, &program(root, mkconfig?)?).map(|script| script.contains("default/grub.d"));
    let mut boot_files = Vec::new();
    let kind = match reads_drop_ins() {
        Some(true) => {
            with_drop_ins(root, &mut boot_files);
            LoaderKind::GrubDropIn
        }
        _ => {
            boot_files.push(BootFile::read(root, DEFAULT, Format::GrubDefault, Role::Source));
            LoaderKind::GrubFile
        }
    };
    if root.exists(rescue_entry::GRUB_SCRIPT) {
        boot_files.push(BootFile::read(root, rescue_entry::GRUB_SCRIPT, Format::GrubScript, Role::WithoutVfio));
    }
    boot_files.push(BootFile::read(root, &menu, Format::GrubCfg, Role::Generated));
    let make = |mkconfig: &str| [mkconfig, "-o", &format!("/{menu}")].map(str::to_owned).to_vec();
    // Debian's writes to this one only.
    let update = (menu == "boot/grub/grub.cfg").then(|| program(root, "update-grub")).flatten();
    let tool = match (kind, update) {
        (LoaderKind::GrubDropIn, Some(_)) => vec!["update-grub".to_owned()],
        _ => make(mkconfig.unwrap_or("grub-mkconfig")),
    };
    let check = first_program(root, &["grub-script-check", "grub2-script-check"]);
    Some(Loader {
        kind,
        boot_files,
        missing: if mkconfig.is_none() { vec!["grub-mkconfig".to_owned()] } else { Vec::new() },
        tools: vec![tool],
        check: check.map(|name| vec![name.to_owned()]),
    })
}

/// The menu that GRUB reads: on openSUSE and Fedora below `grub2`, and on the ESP where `grub-install` was told to
/// (`--boot-directory`), or long ago.
fn menu(root: &Root, partitions: &Partitions) -> Option<String> {
    let two = program(root, "grub2-mkconfig").is_some() && program(root, "grub-mkconfig").is_none();
    let names = if two { ["grub2", "grub"] } else { ["grub", "grub2"] };
    let usual = names.map(|name| format!("boot/{name}/grub.cfg"));
    let on_esp = names.into_iter().flat_map(|name| partitions.each(root, &format!("{name}/grub.cfg")));
    let vendors = partitions.each(root, "EFI").into_iter().flat_map(|efi| {
        let names = root.list(&efi).unwrap_or_default();
        names.into_iter().map(move |name| format!("{efi}/{name}/grub.cfg"))
    });
    // What the ESP has instead where the menu is elsewhere.
    let is_stub = |path: &String| text(root, path).is_some_and(|text| leads_elsewhere(&text));
    let found = usual.into_iter().chain(on_esp).chain(vendors.filter(|path| !is_stub(path)));
    found.into_iter().find(|path| root.exists(path))
}

/// Whether a configuration only reads another one: Debian's and Fedora's on the ESP.
fn leads_elsewhere(text: &str) -> bool {
    let commands = || text.lines().filter_map(|line| line.split_whitespace().next());
    let boots = |command| matches!(command, "menuentry" | "submenu" | "blscfg" | "linux" | "linux16" | "linuxefi");
    commands().any(|command| command == "configfile") && !commands().any(boots)
}

/// Debian and Ubuntu: a drop-in of ours, after all others.
fn with_drop_ins(root: &Root, boot_files: &mut Vec<BootFile>) {
    let (mut ours, others): (Vec<String>, Vec<String>) = files(root, DROP_INS, ".cfg").into_iter().partition(is_ours);
    let read: Vec<(&str, String)> = std::iter::once(DEFAULT)
        .chain(others.iter().map(String::as_str))
        .map(|path| (path, text(root, path).unwrap_or_default()))
        .collect();
    for (format, name) in [(Format::GrubDefault, OURS_ADDS_TO), (Format::GrubLinux, "GRUB_CMDLINE_LINUX")] {
        // What a later file sets again is no longer in any entry.
        let begin = read.iter().rposition(|(_, text)| sets_anew(text, name).is_some()).unwrap_or(0);
        let named =
            read[begin..].iter().enumerate().filter(|(at, (_, text))| *at == 0 || values(text, name).next().is_some());
        boot_files.extend(named.map(|(_, (path, _))| BootFile::read(root, path, format, Role::Base)));
    }
    // Ours stays where it is as long as nobody behind it sets the variable anew.
    let is_last = |path: &String| {
        read.iter().all(|(other, text)| *other < path.as_str() || sets_anew(text, OURS_ADDS_TO).is_none())
    };
    if !ours.last().is_some_and(is_last) {
        let name = name_behind(others.last());
        if ours.last().is_none_or(|last| *last < name) {
            ours.push(name);
        }
    }
    boot_files.extend(ours.iter().map(|path| BootFile::read(root, path, Format::GrubDropIn, Role::Source)));
}

/// Whether a drop-in is ours, by its name.
fn is_ours(path: &String) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    path == OURS || name.strip_suffix("-vfio.cfg").is_some_and(|z| z.len() >= 2 && z.bytes().all(|byte| byte == b'z'))
}

/// A name for ours that comes behind another. A shell sorts them by their bytes (`grub-mkconfig` of Debian has dash); where even `z`
/// does not come last, the menu that is made of them tells.
fn name_behind(last: Option<&String>) -> String {
    let with = |count: usize| format!("{DROP_INS}/{}-vfio.cfg", "z".repeat(count));
    let mut names = std::iter::once(OURS.to_owned()).chain((2..MOST_Z).map(with));
    names.find(|name| last.is_none_or(|last| last < name)).unwrap_or_else(|| with(2))
}

/// The raw values that a file gives a variable: the number of the line, and whether each is added to what it had.
fn values<'t>(text: &'t str, name: &'t str) -> impl Iterator<Item = (usize, bool, &'t str)> {
    text.lines().zip(1..).filter_map(move |(line, number)| {
        let rest = line.trim_start();
        let rest = rest.strip_prefix("export ").unwrap_or(rest).trim_start().strip_prefix(name)?;
        match rest.strip_prefix("+=") {
            Some(value) => Some((number, true, value)),
            None => Some((number, false, rest.strip_prefix('=')?)),
        }
    })
}

/// The last line in which a file gives a variable a value without the one it had, from 1, as far as a line tells.
pub fn sets_anew(text: &str, name: &str) -> Option<usize> {
    let mentions = |value: &str, start: &str| {
        let of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        value.match_indices(start).any(|(at, _)| !value[at + start.len()..].starts_with(of_name))
    };
    let keeps = [format!("${name}"), format!("${{{name}")];
    let anew = values(text, name).filter(|(_, adds, value)| !adds && !keeps.iter().any(|keep| mentions(value, keep)));
    anew.map(|(number, ..)| number).last()
}

/// Fedora: entries, and what new ones are made from.
fn with_entries(root: &Root, entries: &[String]) -> Loader {
    let mut boot_files = vec![
        BootFile::read(root, DEFAULT, Format::GrubLinux, Role::Source),
        BootFile::read(root, "etc/kernel/cmdline", Format::Plain, Role::Source),
    ];
    boot_files.extend(entries.iter().map(|path| {
        let role = match path.contains("-0-rescue") {
            _ if rescue_entry::is_ours(path) => Role::WithoutVfio,
            true => Role::Rescue,
            false => Role::Entry,
        };
        BootFile::read(root, path, Format::Bls, role)
    }));
    Loader { kind: LoaderKind::GrubBls, boot_files, tools: Vec::new(), missing: Vec::new(), check: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_set_anew() {
        let anew = |text: &str| sets_anew(text, "GRUB_CMDLINE_LINUX").is_some();
        assert!(anew("GRUB_CMDLINE_LINUX=\"a\"\n"));
        assert!(anew(" export GRUB_CMDLINE_LINUX=\n"));
        assert!(anew("GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX_DEFAULT\"\n"));
        assert!(anew("GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX a\"\nGRUB_CMDLINE_LINUX=b\n"));
        for kept in ["=\"$GRUB_CMDLINE_LINUX a\"", "=\"${GRUB_CMDLINE_LINUX} a\"", "+=\" a\"", "_DEFAULT=\"a\""] {
            assert!(!anew(&format!("# x\nGRUB_CMDLINE_LINUX{kept}\n")), "{kept}");
        }
        assert!(!anew("#GRUB_CMDLINE_LINUX=\n"));
        assert_eq!(sets_anew("A=1\n# x\nA=2\nA=\"$A 3\"\n", "A"), Some(3));
    }

    #[test]
    fn a_name_behind_all_others() {
        for (last, name) in [
            (None, "95-vfio.cfg"),
            (Some("50-cloudimg-settings.cfg"), "95-vfio.cfg"),
            (Some("99-mine.cfg"), "zz-vfio.cfg"),
            (Some("kdump-tools.cfg"), "zz-vfio.cfg"),
            (Some("zz-mine.cfg"), "zz-vfio.cfg"),
            (Some("zz-vfio2.cfg"), "zzz-vfio.cfg"),
            (Some("zzz.cfg"), "zzzz-vfio.cfg"),
            (Some("~.cfg"), "zz-vfio.cfg"),
            (Some("\u{e4}.cfg"), "zz-vfio.cfg"),
        ] {
            let last = last.map(|last| format!("{DROP_INS}/{last}"));
            let found = name_behind(last.as_ref());
            assert_eq!(found, format!("{DROP_INS}/{name}"), "{last:?}");
            assert!(is_ours(&found), "{found}");
        }
        assert!(!is_ours(&format!("{DROP_INS}/z-vfio.cfg")) && !is_ours(&format!("{DROP_INS}/96-vfio.cfg")));
    }

    #[test]
    fn what_only_leads_to_the_menu() {
        for (text, stub) in [
            ("search.fs_uuid ab root hd0,gpt2\nset prefix=($root)'/boot/grub'\nconfigfile $prefix/grub.cfg\n", true),
            ("menuentry 'x' {\n\tconfigfile /x\n}\n", false),
            ("insmod blscfg\nblscfg\nconfigfile /y\n", false),
            ("linux /vmlinuz\n", false),
            ("", false),
        ] {
            assert_eq!(leads_elsewhere(text), stub, "{text}");
        }
    }
}
