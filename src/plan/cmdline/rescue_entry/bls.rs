// SPDX-License-Identifier: LGPL-2.1-or-later
//! The boot entry without us as a file of its own (type 1), made from the entry that is started otherwise.

use super::{first_line, parameters, Line};
use crate::host::boot::rescue_entry::TITLE;
use crate::host::boot::{Format, LoaderKind};
use crate::plan::cmdline::format::{self, Problem};
use crate::plan::cmdline::line::Change;

/// Keys that an entry has for itself: its place in the menu, and what it is called by.
const OF_ONE: [&str; 2] = ["sort-key", "id"];

/// Its text, from that of an entry with parameters of ours.
pub(super) fn text(loader: LoaderKind, of: &str, line: &Line, ours: &[String]) -> Result<String, Problem> {
    let raw = &of[line.span.clone()];
    let change = Change { remove: ours, add: &parameters(&line.parameters) };
    let changed =
        format!("{}{}{}", &of[..line.span.start], format::edit(Format::Bls, raw, &change)?, &of[line.span.end..]);
    let mut text = format!("{}\n", first_line());
    let mut has_title = false;
    for line in changed.lines() {
        let bare = line.trim();
        let (key, value) = bare.split_once([' ', '\t']).unwrap_or((bare, ""));
        match key {
            // GRUB reads no further than a key without a value.
            _ if value.trim().is_empty() || key.starts_with('#') || OF_ONE.contains(&key) => {}
            "title" if has_title => {}
            "title" => {
                has_title = true;
                text.push_str(&format!("title {}{TITLE}\n", value.trim()));
            }
            // Fedora's grub2-mkconfig makes each line anew that begins so (10_linux, update_bls_cmdline).
            "options" if loader == LoaderKind::GrubBls => text.push_str(&format!(" {bare}\n")),
            _ => text.push_str(&format!("{bare}\n")),
        }
    }
    if !has_title {
        text.push_str(&format!("title Linux{TITLE}\n"));
    }
    Ok(text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn made(loader: LoaderKind, of: &str) -> String {
        let line = format::lines(Format::Bls, of).unwrap().remove(0);
        let made = text(loader, of, &line, &["iommu=pt".to_owned(), "a=\"b c\"".to_owned()]).unwrap();
        made.strip_prefix(&format!("{}\n", first_line())).unwrap().to_owned()
    }

    #[test]
    fn an_entry_from_the_one_that_is_started() {
        let of = "# Made by kernel-install\ntitle Debian GNU/Linux 13\nversion 6.12\nmachine-id 5f\nsort-key debian\n\
                  options root=UUID=1 ro iommu=pt\noptions quiet a=\"b c\"\nlinux /5f/6.12/linux\ninitrd /5f/6.12/initrd\n";
        assert_eq!(
            made(LoaderKind::SystemdBoot, of),
            "title Debian GNU/Linux 13 (without VFIO)\nversion 6.12\nmachine-id 5f\noptions root=UUID=1 ro vfio=off\n\
             options quiet\nlinux /5f/6.12/linux\ninitrd /5f/6.12/initrd\n"
        );
    }

    #[test]
    fn what_grub_does_not_read_is_not_there_and_mkconfig_leaves_its_options() {
        let of = "title F\nid fedora-6\nlinux /v\r\noptions $kernelopts iommu=pt $tuned_params\ngrub_users $g\ngrub_arg \n\n# x\n";
        assert_eq!(
            made(LoaderKind::GrubBls, of),
            "title F (without VFIO)\nlinux /v\n options $kernelopts $tuned_params vfio=off\ngrub_users $g\n"
        );
        assert_eq!(
            made(LoaderKind::SystemdBoot, "linux /v\noptions iommu=pt\n"),
            "linux /v\noptions vfio=off\ntitle Linux (without VFIO)\n"
        );
    }

    #[test]
    fn one_that_is_off_already_stays_so() {
        let made = made(LoaderKind::SystemdBoot, "title x\nlinux /v\noptions ro vfio=off\n");
        assert_eq!(made, "title x (without VFIO)\nlinux /v\noptions ro vfio=off\n");
    }
}
