// SPDX-License-Identifier: LGPL-2.1-or-later
//! The boot entry without us (`[host] rescue-entry`): one more, with the kernel parameters of the entry that is started otherwise,
//! without ours and with `vfio=off`. It is never the first and never the default, and has the newest kernel alone.

mod bls;
mod by_hand;
mod grub_script;
mod limine;
mod newest;
mod refind;

use super::format::{self, own_block, Line};
use super::own::is_own;
use super::record::{Owned, Record};
use super::{own_parameters, said, text_of, CmdlinePlan, FileChange, Part};
use crate::host::boot::identity::Identity;
use crate::host::boot::rescue_entry::{GRUB_ENTRY, GRUB_SCRIPT, SYSTEMD_BOOT};
use crate::host::boot::{BootFile, BootSystem, Content, Format, Loader, LoaderKind, Role};
use crate::host::kernel_cmdline::KernelCmdline;

/// What switches us off in a boot.
const OFF: &str = "vfio=off";

/// What such a file of ours says of itself in a line.
fn first_line() -> &'static str {
    "# Written by vfio from /etc/vfio.conf ([host] rescue-entry): it is made again, and changes are lost."
}

/// What has to be put in beside parameters so that they switch us off.
fn parameters(there: &[String]) -> Vec<String> {
    let is_off = KernelCmdline::parse(&there.join(" ")).switched_off().is_some();
    if is_off {
        Vec::new()
    } else {
        vec![OFF.to_owned()]
    }
}

/// What is asked of a loader.
pub(super) struct Asked<'a> {
    pub(super) system: &'a BootSystem,
    /// Whether there has to be such an entry.
    pub(super) is_wanted: bool,
    pub(super) record: &'a Record,
}

/// Adds to the part of a plan that a loader needs what makes such an entry, or takes it away.
pub(super) fn add(loader: &Loader, part: &mut Part, asked: &Asked<'_>) {
    let made = match loader.kind {
        LoaderKind::SystemdBoot | LoaderKind::GrubBls => add_entry(loader, part, asked),
        LoaderKind::GrubFile | LoaderKind::GrubDropIn => add_script(loader, part, asked),
        LoaderKind::Limine | LoaderKind::Refind => add_blocks(loader, part, asked),
        _ if asked.is_wanted => Err(by_hand::of_loader(loader.kind).to_owned()),
        _ => Ok(()),
    };
    // Of what did not start this boot nobody needs one.
    if let Err(why) = made.map_err(|why| by_hand::sentence(asked.system, loader.kind, &why)) {
        if asked.is_wanted && !asked.system.did_not_start(loader.kind) {
            part.no_rescue_entry = Some(why);
        }
    }
}

/// Plans for these entries alone, where they are files of their own: after a kernel was installed or removed.
pub fn plan(system: &BootSystem, is_wanted: bool, record: &Record) -> CmdlinePlan {
    let mut plan = CmdlinePlan { record: record.clone(), ..CmdlinePlan::default() };
    let asked = Asked { system, is_wanted, record };
    for loader in &system.loaders {
        if matches!(loader.kind, LoaderKind::SystemdBoot | LoaderKind::GrubBls) {
            let mut part = Part::default();
            add(loader, &mut part, &asked);
            if let Err(sentence) = plan.take(loader, part, record, &system.identity) {
                plan.problems.push(sentence);
            }
        }
    }
    plan
}

/// What is in a file after what is planned so far.
fn text_then<'t>(part: &'t Part, boot_file: &'t BootFile) -> Option<&'t str> {
    match part.changes.iter().find(|change| change.path == boot_file.path) {
        Some(change) => change.new.as_deref(),
        None => text_of(boot_file).ok().filter(|_| boot_file.content.is_some()),
    }
}

/// What is ours in a file then.
fn owned_then<'t>(part: &'t Part, record: &'t Record, boot_file: &BootFile) -> &'t [Owned] {
    let key = boot_file.key();
    let planned = part.owned.iter().find(|(path, _)| *path == key).map(|(_, owned)| owned);
    planned.or_else(|| record.boot_files.get(&key)).map(Vec::as_slice).unwrap_or_default()
}

fn ours_in(owned: &[Owned], line: &Line) -> Vec<String> {
    owned.iter().filter(|owned| owned.key == line.key).flat_map(|owned| owned.parameters.clone()).collect()
}

/// The first command line of a text that starts this system, and not for emergencies.
fn first_own(format: Format, text: &str, identity: &Identity) -> Option<Line> {
    let lines = format::lines(format, text).ok()?;
    lines.into_iter().find(|line| is_own(format, line, identity) && !line.for_emergencies)
}

/// A change of a file of which nothing is planned yet.
fn push_change(
    loader: &Loader,
    part: &mut Part,
    (path, format): (&str, Format),
    old: Option<&str>,
    new: Option<String>,
) {
    if old == new.as_deref() {
        return;
    }
    let off = |is_so: bool| if is_so { vec![OFF.to_owned()] } else { Vec::new() };
    part.changes.push(FileChange {
        loader: loader.kind,
        path: path.to_owned(),
        format,
        old: old.map(str::to_owned),
        adds: off(old.is_none()),
        removes: off(new.is_none()),
        new,
        builder: Vec::new(),
    });
}

/// Whether a file under a name of ours is ours.
fn is_written_by_us(boot_file: &BootFile) -> bool {
    matches!(&boot_file.content, Some(Content::Text(text)) if text.lines().take(2).any(|line| line == first_line()))
}

fn not_ours(path: &str) -> String {
    format!("/{path} is not of vfio: give it another name")
}

/// Files of ours: the one that has to be there, with this text, and none other.
fn place_file(
    loader: &Loader,
    part: &mut Part,
    format: Format,
    wanted: Option<(String, String)>,
) -> Result<(), String> {
    let there = loader.boot_files.iter().filter(|boot_file| boot_file.role == Role::WithoutVfio);
    let mut old = None;
    for boot_file in there {
        let is_the_one = wanted.as_ref().is_some_and(|(path, _)| *path == boot_file.path);
        match (is_the_one, is_written_by_us(boot_file)) {
            (true, false) => return Err(not_ours(&boot_file.path)),
            (true, true) => old = text_of(boot_file).ok(),
            (false, true) => {
                push_change(loader, part, (&boot_file.path, format), text_of(boot_file).ok(), None);
            }
            (false, false) => {}
        }
    }
    if let Some((path, text)) = wanted {
        push_change(loader, part, (&path, format), old, Some(text));
        part.rescue_entries.push(path);
    }
    Ok(())
}

/// systemd-boot, and GRUB with boot entries: a file beside that of the newest kernel.
fn add_entry(loader: &Loader, part: &mut Part, asked: &Asked<'_>) -> Result<(), String> {
    // It removes what it has not written, whenever it runs (REMOVE_EXISTING).
    let is_kept =
        loader.boot_files.iter().all(|boot_file| boot_file.format != Format::SdbootManage) || loader.tools.is_empty();
    if asked.is_wanted && !is_kept {
        place_file(loader, part, Format::Bls, None)?;
        return Err("sdboot-manage removes boot entries that it has not made".to_owned());
    }
    let identity = &asked.system.identity;
    let is_own_entry = |boot_file: &&BootFile| {
        let starts = |text: &str| first_own(Format::Bls, text, identity).is_some();
        boot_file.role == Role::Entry
            && boot_file.format == Format::Bls
            && text_then(part, boot_file).is_some_and(starts)
    };
    let entries: Vec<&BootFile> = loader.boot_files.iter().filter(is_own_entry).collect();
    let first = newest::first(&entries).filter(|_| asked.is_wanted);
    let made = first.and_then(|entry| {
        let text = text_then(part, entry)?;
        let line = first_own(Format::Bls, text, identity)?;
        let ours = ours_in(owned_then(part, asked.record, entry), &line);
        let name = if loader.kind == LoaderKind::GrubBls { GRUB_ENTRY } else { SYSTEMD_BOOT };
        let path = match entry.path.rsplit_once('/') {
            Some((directory, _)) => format!("{directory}/{name}"),
            None => name.to_owned(),
        };
        let made = bls::text(loader.kind, text, &line, &ours).map_err(|problem| said(entry, &problem));
        Some(made.map(|text| (path, text)))
    });
    match made.transpose() {
        Ok(None) if asked.is_wanted => {
            place_file(loader, part, Format::Bls, None)?;
            Err("no boot entry of this system was found that it could be made from".to_owned())
        }
        Ok(made) => place_file(loader, part, Format::Bls, made),
        Err(why) => Err(why),
    }
}

/// GRUB with a menu that `grub-mkconfig` makes: a script that prints the entry.
fn add_script(loader: &Loader, part: &mut Part, asked: &Asked<'_>) -> Result<(), String> {
    let has_tool = loader.missing.is_empty() && !loader.tools.is_empty();
    if !asked.is_wanted || !has_tool {
        place_file(loader, part, Format::GrubScript, None)?;
        let was_there = asked.record.rescue_entries.iter().any(|known| known == GRUB_SCRIPT);
        part.menu_is_behind = was_there && loader.boot_files.iter().any(|menu| has_entry(menu) == Some(true));
        let why = "grub-mkconfig, which makes GRUB's menu, is not installed";
        return if has_tool { Ok(()) } else { Err(why.to_owned()) };
    }
    let mut ours: Vec<String> = Vec::new();
    for source in loader.boot_files.iter().filter(|boot_file| boot_file.role == Role::Source) {
        ours.extend(owned_then(part, asked.record, source).iter().flat_map(|owned| owned.parameters.clone()));
    }
    let changes = part.changes.len();
    place_file(loader, part, Format::GrubScript, Some((GRUB_SCRIPT.to_owned(), grub_script::text(&ours))))?;
    // Its tool was cut off. A menu without any entry of this system cannot have ours either.
    let identity = &asked.system.identity;
    let has_others = |menu: &BootFile| own_parameters(menu, identity).is_ok_and(|lines| !lines.is_empty());
    let lacks = |menu: &BootFile| has_entry(menu) == Some(false) && has_others(menu);
    part.menu_is_behind = part.changes.len() == changes && loader.boot_files.iter().any(lacks);
    Ok(())
}

/// Whether a menu that GRUB reads has the entry; `None` if the file is not such a menu.
fn has_entry(menu: &BootFile) -> Option<bool> {
    let text = text_of(menu).ok().filter(|_| menu.format == Format::GrubCfg)?;
    Some(text.contains(&format!("'{}'", grub_script::ID)))
}

/// Limine and rEFInd: lines in each file with an entry of this system.
fn add_blocks(loader: &Loader, part: &mut Part, asked: &Asked<'_>) -> Result<(), String> {
    let files = loader.boot_files.iter().filter(|boot_file| boot_file.role == Role::Entry);
    let mut why_not = Some(by_hand::of_loader(loader.kind).to_owned());
    for boot_file in files {
        match with_block(boot_file, part, asked) {
            Ok(Some((text, is_there))) => {
                if is_there {
                    part.rescue_entries.push(boot_file.path.clone());
                    why_not = None;
                }
                replace_text(loader, part, boot_file, text, is_there);
            }
            Ok(None) => {}
            Err(why) => why_not = why_not.map(|_| why),
        }
    }
    why_not.map_or(Ok(()), Err)
}

/// The text of a file with ours in it, or without where none is wanted or can be made; and whether it is in it.
fn with_block(boot_file: &BootFile, part: &Part, asked: &Asked<'_>) -> Result<Option<(String, bool)>, String> {
    let Some(text) = text_then(part, boot_file) else { return Ok(None) };
    let text = own_block::without(text).map_err(|problem| said(boot_file, &problem))?;
    let line = first_own(boot_file.format, &text, &asked.system.identity).filter(|_| asked.is_wanted);
    let Some(line) = line else { return Ok(Some((text, false))) };
    let ours = ours_in(owned_then(part, asked.record, boot_file), &line);
    let end = text.len();
    let made = match boot_file.format {
        Format::Limine => {
            if let Some(number) = limine::default_behind_last(&text) {
                return Err(format!(
                    "/{}: default_entry {number} is behind the last entry: correct it",
                    boot_file.path
                ));
            }
            limine::lines(&text, &line, &ours).map(|lines| Some((end, lines)))
        }
        Format::RefindLinux => refind::line(&text, &line, &ours).map(|lines| Some((end, lines))),
        Format::Refind => refind::lines(&text, &line, &ours),
        _ => Ok(None),
    };
    Ok(match made.map_err(|problem| said(boot_file, &problem))? {
        Some((at, lines)) => Some((own_block::put(&text, at, &lines), true)),
        None => Some((text, false)),
    })
}

/// Has a file become a text, whatever else of it is planned.
fn replace_text(loader: &Loader, part: &mut Part, boot_file: &BootFile, text: String, is_there: bool) {
    let Ok(old) = text_of(boot_file) else { return };
    let had = own_block::ranges(old).is_ok_and(|ranges| !ranges.is_empty());
    let off = |is_so: bool| is_so.then(|| OFF.to_owned());
    let (came, went) = (off(is_there && !had), off(had && !is_there));
    match part.changes.iter().position(|change| change.path == boot_file.path) {
        Some(at) if old == text => drop(part.changes.remove(at)),
        Some(at) => {
            let change = &mut part.changes[at];
            change.new = Some(text);
            change.adds.extend(came);
            change.removes.extend(went);
        }
        None if old == text => {}
        None => part.changes.push(FileChange {
            loader: loader.kind,
            path: boot_file.path.clone(),
            format: boot_file.format,
            old: Some(old.to_owned()),
            new: Some(text),
            adds: came.into_iter().collect(),
            removes: went.into_iter().collect(),
            builder: Vec::new(),
        }),
    }
}
