// SPDX-License-Identifier: LGPL-2.1-or-later
//! Our own state: status of each card, whether anything is bound in this boot, and the failed-boot counter.

use super::files;
use crate::host::display;
use crate::host::reset;
use crate::host::run::boot_counter::{self, Before, BootCounter};
use crate::host::run::card_status::{self, Status};
use crate::host::run::guest_status::{self, GuestOutcome, GuestStatus};
use crate::host::run::marks::{active_path, given_back_path};
use crate::host::run::notice;
use crate::pci::Address;
use crate::plan::reset::silent;
use crate::root::{Root, RUN};
use std::io;

/// Leaves a card's status for `vfio status`.
pub fn write_status(root: &Root, status: &Status) -> io::Result<()> {
    files::replace_json(root, &card_status::path(&status.gpu), status)
}

pub use crate::host::run::claims::{claim_path, CLAIMS};

/// Leaves a guest's status.
pub fn write_guest_status(root: &Root, guest: &str, outcome: GuestOutcome, why: &[String]) {
    let status = GuestStatus { guest: guest.to_owned(), outcome, why: why.to_vec() };
    if let Err(error) = files::replace_json(root, &guest_status::path(guest), &status) {
        log::warn!("the status of [guest {guest}] cannot be written: {error}");
    }
    write_notices(root);
}

/// Leaves for the console's login why starts failed, and for whoever logs in what did not come back; takes away what is over.
fn write_notices(root: &Root) {
    let guests = notice::guests(root);
    for (path, text) in [(notice::path(), notice::issue(&guests)), (notice::not_back_path(), notice::not_back(&guests))]
    {
        let done =
            if text.is_empty() { files::remove(root, &path) } else { files::replace(root, &path, text.as_bytes()) };
        if let Err(error) = done {
            log::warn!("/{path}: {error}");
        }
    }
}

/// Writes down on which display the early part of this boot saw the firmware's framebuffer, once.
pub fn remember_boot_display(root: &Root, function: Address) -> io::Result<()> {
    let path = display::boot_display_path();
    if root.exists(&path) {
        return Ok(());
    }
    files::replace(root, &path, format!("{function}\n").as_bytes())
}

/// Says which cards this boot binds, there or not; where none is, the udev rule costs nothing.
pub fn set_active(root: &Root, names: &[&str]) -> io::Result<()> {
    files::replace(root, &active_path(), format!("{}\n", names.join("\n")).as_bytes())
}

/// Says whether a person gave a card back, so that replayed events leave it where it is.
pub fn set_given_back(root: &Root, gpu: &str, given_back: bool) -> io::Result<()> {
    if given_back {
        files::replace(root, &given_back_path(gpu), b"")
    } else {
        files::remove(root, &given_back_path(gpu))
    }
}

/// Why a card must be left alone until the next boot, if so. One of whose functions does not answer is written down here: a
/// driver that meets it may never come back from it, and what answers again is in no state to rely on.
pub fn dead(root: &Root, gpu: &str, functions: &[Address]) -> Option<String> {
    if let Some(why) = reset::dead(root, gpu) {
        return Some(why);
    }
    let why = silent(*functions.iter().find(|function| reset::is_silent(root, **function))?);
    if let Err(error) = files::replace(root, &reset::dead_path(gpu), format!("{why}\n").as_bytes()) {
        log::warn!("/{} cannot be written: {error}", reset::dead_path(gpu));
    }
    Some(why)
}

/// Says that nothing is bound in this boot, and why.
pub fn set_off(root: &Root, why: &str) -> io::Result<()> {
    files::replace(root, &format!("{RUN}/off"), format!("{why}\n").as_bytes())
}

/// Counts this boot as failed until it comes up, once however often it is asked. Gives what is known of the boots before
/// it: nothing, if this one cannot be counted, for then nobody would know of it either.
pub fn begin_boot(root: &Root) -> Before {
    let current = boot_counter::current(root);
    let read = BootCounter::read(root);
    let now = match &read {
        Ok(before) => before.begun(&current),
        Err(_) => BootCounter::anew(&current),
    };
    let written = if read.as_ref() == Ok(&now) { Ok(()) } else { write_boots(root, &now) };
    match (read, written) {
        (_, Err(error)) => Before::NotKnown(format!("/{} cannot be written ({error})", boot_counter::path())),
        (Err(why), Ok(())) => Before::NotKnown(format!("{why} and was rewritten")),
        (Ok(before), Ok(())) => before.before(&current),
    }
}

/// This boot came up.
pub fn boot_came_up(root: &Root) -> io::Result<()> {
    write_boots(root, &BootCounter::came_up(&boot_counter::current(root)))
}

fn write_boots(root: &Root, boots: &BootCounter) -> io::Result<()> {
    files::replace_json(root, &boot_counter::path(), boots)
}
