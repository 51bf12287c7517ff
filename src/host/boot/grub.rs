// SPDX-License-Identifier: LGPL-2.1-or-later
//! GRUB, in the three ways in which distributions keep its command lines.

use super::esp::Partitions;
use super::{BootFile, Format, Loader, LoaderKind, Role};
use crate::host::boot::probe::{assigned, files, first_program, program, text};
use crate::root::Root;

/// What `grub-mkconfig` reads.
const DEFAULT: &str = "etc/default/grub";
/// What Debian's `grub-mkconfig` reads after it.
const DROP_INS: &str = "etc/default/grub.d";
/// Where boot entries are that GRUB reads by itself.
pub(super) const ENTRIES: &str = "boot/loader/entries";
/// Ours among the drop-ins: the first unless another comes after it, which might set the variable again.
const OURS: [&str; 2] = ["etc/default/grub.d/95-vfio.cfg", "etc/default/grub.d/zz-vfio.cfg"];

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

/// The menu that GRUB reads: on openSUSE and Fedora below `grub2`, on machines set up long ago on the ESP.
fn menu(root: &Root, partitions: &Partitions) -> Option<String> {
    let two = program(root, "grub2-mkconfig").is_some() && program(root, "grub-mkconfig").is_none();
    let [first, second] = if two { ["grub2", "grub"] } else { ["grub", "grub2"] };
    let usual = [first, second].map(|name| format!("boot/{name}/grub.cfg"));
    let on_esp = || {
        let vendors = partitions.each(root, "EFI").into_iter().flat_map(|efi| {
            let names = root.list(&efi).unwrap_or_default();
            names.into_iter().map(move |name| format!("{efi}/{name}/grub.cfg"))
        });
        vendors.into_iter().find(|path| root.exists(path))
    };
    usual.into_iter().find(|path| root.exists(path)).or_else(on_esp)
}

/// Debian and Ubuntu: a drop-in of ours, after all others.
fn with_drop_ins(root: &Root, boot_files: &mut Vec<BootFile>) {
    let others: Vec<String> =
        files(root, DROP_INS, ".cfg").into_iter().filter(|path| !OURS.contains(&path.as_str())).collect();
    let read: Vec<(&str, String)> = std::iter::once(DEFAULT)
        .chain(others.iter().map(String::as_str))
        .map(|path| (path, text(root, path).unwrap_or_default()))
        .collect();
    for (format, name) in
        [(Format::GrubDefault, "GRUB_CMDLINE_LINUX_DEFAULT"), (Format::GrubLinux, "GRUB_CMDLINE_LINUX")]
    {
        // What a later file sets again is no longer in any entry.
        let begin = read.iter().rposition(|(_, text)| sets_anew(text, name)).unwrap_or(0);
        let named =
            read[begin..].iter().enumerate().filter(|(at, (_, text))| *at == 0 || values(text, name).next().is_some());
        boot_files.extend(named.map(|(_, (path, _))| BootFile::read(root, path, format, Role::Base)));
    }
    let last = others.last().and_then(|path| path.rsplit('/').next());
    let there: Vec<&str> = OURS.into_iter().filter(|path| root.exists(path)).collect();
    let ours =
        if there.is_empty() { vec![OURS[usize::from(last.is_some_and(|name| name > "95-vfio.cfg"))]] } else { there };
    boot_files.extend(ours.into_iter().map(|path| BootFile::read(root, path, Format::GrubDropIn, Role::Source)));
}

/// The raw values that a file gives a variable, and whether each is added to what it had.
fn values<'t>(text: &'t str, name: &'t str) -> impl Iterator<Item = (bool, &'t str)> {
    text.lines().filter_map(move |line| {
        let rest = line.trim_start();
        let rest = rest.strip_prefix("export ").unwrap_or(rest).trim_start().strip_prefix(name)?;
        match rest.strip_prefix("+=") {
            Some(value) => Some((true, value)),
            None => Some((false, rest.strip_prefix('=')?)),
        }
    })
}

/// Whether a file gives a variable a value without the one it had.
fn sets_anew(text: &str, name: &str) -> bool {
    let mentions = |value: &str, start: &str| {
        let of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        value.match_indices(start).any(|(at, _)| !value[at + start.len()..].starts_with(of_name))
    };
    let keeps = [format!("${name}"), format!("${{{name}")];
    values(text, name).any(|(adds, value)| !adds && !keeps.iter().any(|keep| mentions(value, keep)))
}

/// Fedora: entries, and what new ones are made from. `/etc/kernel/cmdline` comes second, for if it is the older one of the two
/// Fedora's tools write it, and every entry, again (`20-grub.install`).
fn with_entries(root: &Root, entries: &[String]) -> Loader {
    let mut boot_files = vec![
        BootFile::read(root, DEFAULT, Format::GrubLinux, Role::Source),
        BootFile::read(root, "etc/kernel/cmdline", Format::Plain, Role::Source),
    ];
    boot_files.extend(entries.iter().map(|path| {
        let role = if path.contains("-0-rescue") { Role::Rescue } else { Role::Entry };
        BootFile::read(root, path, Format::Bls, role)
    }));
    Loader { kind: LoaderKind::GrubBls, boot_files, tools: Vec::new(), missing: Vec::new(), check: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_set_anew() {
        let anew = |text: &str| sets_anew(text, "GRUB_CMDLINE_LINUX");
        assert!(anew("GRUB_CMDLINE_LINUX=\"a\"\n"));
        assert!(anew(" export GRUB_CMDLINE_LINUX=\n"));
        assert!(anew("GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX_DEFAULT\"\n"));
        assert!(anew("GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX a\"\nGRUB_CMDLINE_LINUX=b\n"));
        for kept in ["=\"$GRUB_CMDLINE_LINUX a\"", "=\"${GRUB_CMDLINE_LINUX} a\"", "+=\" a\"", "_DEFAULT=\"a\""] {
            assert!(!anew(&format!("# x\nGRUB_CMDLINE_LINUX{kept}\n")), "{kept}");
        }
        assert!(!anew("#GRUB_CMDLINE_LINUX=\n"));
    }
}
