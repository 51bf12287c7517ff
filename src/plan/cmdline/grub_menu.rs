// SPDX-License-Identifier: LGPL-2.1-or-later
//! The menu that GRUB's tool made of its sources, read again after it has run: that decides, and not how the tool ended. A drop-in of somebody
//! else that says `exit 0` ends `grub-mkconfig` well, without a menu.

use super::format;
use super::{at, base, missing, text_of, CmdlinePlan};
use crate::host::boot::{sets_anew, BootFile, BootSystem, Format, Loader, Role};

/// The variable that our drop-in adds to.
const VARIABLE: &str = "GRUB_CMDLINE_LINUX_DEFAULT";

/// What is wrong with what the tools of a plan made, if none of the entries is as it was to be: a sentence. Of entries that differ
/// from each other `status` tells.
pub fn shortcoming(system: &BootSystem, plan: &CmdlinePlan) -> Option<String> {
    let ran = |loader: &&Loader| plan.tools.iter().any(|run| run.loader == loader.kind);
    system.loaders.iter().filter(ran).find_map(|loader| {
        let menus = loader
            .boot_files
            .iter()
            .filter(|boot_file| boot_file.role == Role::Generated && boot_file.format == Format::GrubCfg);
        menus.into_iter().find_map(|menu| of_menu(loader, menu, plan))
    })
}

fn of_menu(loader: &Loader, menu: &BootFile, plan: &CmdlinePlan) -> Option<String> {
    let lines = format::lines(menu.format, text_of(menu).ok()?).ok()?;
    let first = lines.first()?;
    let tool = loader.tools.first()?.first()?;
    let place = at(menu, first.number);
    let lacks = |parameters: &[String]| missing(&plan.required, parameters);
    if !plan.required.is_empty() && lines.iter().all(|line| !lacks(&line.parameters).is_empty()) {
        let lacks = lacks(&first.parameters).join(" ");
        let why = match wins(loader) {
            Some((path, number)) => format!(
                "/{path}:{number} sets {VARIABLE} anew after vfio's file; begin its value with ${VARIABLE} there"
            ),
            None => {
                format!("a file in /etc/default or a script in /etc/grub.d drops what {VARIABLE} says, or ends early")
            }
        };
        return Some(format!("{place}: {tool} ran, and no entry has {lacks}: {why}"));
    }
    // What the user's own files say stays.
    let theirs = base::parameters(loader).unwrap_or_default();
    let gone: Vec<&String> = plan.gone.iter().filter(|parameter| !theirs.contains(parameter)).collect();
    let stays = |parameter: &&&String| lines.iter().all(|line| line.parameters.contains(parameter));
    let stay: Vec<&str> = gone.iter().filter(stays).map(|parameter| parameter.as_str()).collect();
    (!stay.is_empty()).then(|| format!("{place}: {tool} ran, and every entry still has {}", stay.join(" ")))
}

/// The file behind ours that sets the variable anew, and the line.
fn wins(loader: &Loader) -> Option<(&str, usize)> {
    let ours = loader.boot_files.iter().rfind(|boot_file| boot_file.format == Format::GrubDropIn)?;
    let behind = loader.boot_files.iter().filter(|other| other.role == Role::Base && other.path > ours.path);
    let line = |other: &'_ BootFile| sets_anew(text_of(other).ok()?, VARIABLE);
    behind.filter_map(|other| Some((other.path.as_str(), line(other)?))).next_back()
}
