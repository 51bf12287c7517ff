// SPDX-License-Identifier: LGPL-2.1-or-later
//! Why a start failed, where the user finds it who comes back to a login screen: on the console and after the next login.

use super::guest_status::{self, GuestOutcome, GuestStatus};
use crate::root::{Root, RUN};

/// The text for the console. `/etc/issue.d/vfio.issue` is a link to it: agetty(8) shows what that directory has in every
/// version, and `/run/issue.d` only since util-linux 2.41.
pub fn path() -> String {
    format!("{RUN}/issue")
}

/// The text for whoever logs in: `/run/motd.d/50-vfio` is a link to it (`units/vfio-tmpfiles.conf`).
pub fn not_back_path() -> String {
    format!("{RUN}/not-back")
}

/// The guests of which a user must be told: whose last start failed after the desktop had gone, or who still have a card.
pub fn guests(root: &Root) -> Vec<GuestStatus> {
    let mut guests = guest_status::all(root);
    guests.retain(|status| matches!(status.outcome, GuestOutcome::Failed | GuestOutcome::Stuck));
    guests
}

/// What is to be said of a guest: a heading, and the reason.
pub fn said(status: &GuestStatus) -> (String, String) {
    let what = match status.outcome {
        GuestOutcome::Stuck => "not all is back with the host",
        _ => "the last start failed",
    };
    let why = status.why.first().map_or("no reason is known", String::as_str);
    (format!("[guest {}] {what}", status.guest), why.to_owned())
}

/// The text for the console; nothing where there is nothing to say. A backslash begins an escape sequence of agetty's, and
/// what is no ASCII may not show there.
pub fn issue(guests: &[GuestStatus]) -> String {
    let mut text = String::new();
    for status in guests {
        let (what, why) = said(status);
        let line = format!("vfio: {what}: {why}");
        let plain = crate::text::line(&line).replace('\\', "\\\\");
        text.extend(plain.chars().map(|c| if c.is_ascii() { c } else { '?' }));
        text.push('\n');
    }
    if !text.is_empty() {
        text.push_str("vfio: 'vfio status' says more\n\n");
    }
    text
}

/// The text for whoever logs in: what did not come back, and nothing else.
pub fn not_back(guests: &[GuestStatus]) -> String {
    let stuck = guests.iter().filter(|status| status.outcome == GuestOutcome::Stuck);
    stuck.flat_map(|status| &status.why).map(|why| format!("vfio: {}\n", crate::text::line(why))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_console_shows_the_reason_and_nothing_of_agettys() {
        let status = |outcome, why: &str| GuestStatus { guest: "win10".to_owned(), outcome, why: vec![why.to_owned()] };
        assert_eq!(issue(&[]), "");
        let text = issue(&[status(GuestOutcome::Failed, "no \\n\u{1b}[2J file 'ä'"), status(GuestOutcome::Stuck, "b")]);
        assert_eq!(
            text,
            "vfio: [guest win10] the last start failed: no \\\\n\\\\u{1b}[2J file '?'\n\
             vfio: [guest win10] not all is back with the host: b\n\
             vfio: 'vfio status' says more\n\n"
        );
        let both = [status(GuestOutcome::Failed, "a"), status(GuestOutcome::Stuck, "b\n")];
        assert_eq!(not_back(&both), "vfio: b\\n\n");
        assert_eq!(not_back(&both[..1]), "");
    }
}
