// SPDX-License-Identifier: LGPL-2.1-or-later
//! A guest's sound on the sound server of a user of the host: QEMU runs as a user of its own, who may not enter that user's
//! directory.

use super::leaving::Leaving;
use super::{GuestContext, GuestStep};
use crate::config::Guest;
use crate::finding::{codes, Finding};

/// A sound server that the domain plays on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SoundServer {
    /// Its socket, as `/run/user/1000/pipewire-0`.
    pub socket: String,
    /// Whether the socket is there.
    pub listens: bool,
    /// Whose it is: the number in the path.
    pub uid: u32,
    /// The user's name, if the machine knows one.
    pub user: Option<String>,
    /// Whether AppArmor keeps QEMU from the socket.
    pub confined: bool,
    /// Whether the user's services go on without a session (logind's lingering).
    pub lingers: bool,
}

impl SoundServer {
    /// The user in a sentence.
    fn owner(&self) -> String {
        self.user.clone().unwrap_or_else(|| format!("user {}", self.uid))
    }

    /// The directories on the way to the socket that are the user's own, the outermost first, and the socket.
    fn paths(&self) -> Vec<String> {
        let own = format!("/run/user/{}", self.uid);
        let below = self.socket.strip_prefix(&own).unwrap_or_default();
        let ends = below.match_indices('/').map(|(at, _)| at).chain([below.len()]);
        ends.map(|end| format!("{own}{}", &below[..end])).collect()
    }
}

/// Why the guest would have no sound, which QEMU does not start without.
pub(super) fn check(guest: &Guest, leaving: &Leaving<'_>, context: &GuestContext) -> Vec<Finding> {
    let problem = |server: &SoundServer| {
        let (owner, finding) = (server.owner(), |text| Finding::guest(guest, codes::SOUND_SERVER, text));
        if !server.listens {
            let text = format!("the sound server of {owner} does not run: {} is not there", server.socket);
            return Some(finding(text).hint(format!("start a session of {owner}, or choose another 'audio'")));
        }
        if server.confined {
            let socket = &server.socket;
            let text = format!(
                "QEMU cannot reach the sound server of {owner}: AppArmor's rules for domains do not have {socket}"
            );
            let hint = format!(
                "add the rules '{socket} rw,' and '/usr/share/pipewire/** r,' to /etc/apparmor.d/local/abstractions/libvirt-qemu"
            );
            return Some(Finding::guest(guest, codes::SOUND_APPARMOR, text).hint(hint));
        }
        let uid = server.uid.to_string();
        let of_user = || context.sessions.iter().filter(|session| session.uid == uid);
        let goes = of_user().next().is_some() && of_user().all(|session| leaving.ends(session));
        (goes && !server.lingers).then(|| {
            let text =
                format!("the sound server of {owner} ends with the session of {owner}, which ends for the guest");
            let account = server.user.clone().unwrap_or(uid);
            finding(text).hint(format!("'loginctl enable-linger {account}' lets it run on, or use 'audio = card'"))
        })
    };
    context.sound.iter().filter_map(problem).collect()
}

/// The steps that let QEMU's user reach the servers; none for QEMU as root or as the user.
pub(super) fn steps(context: &GuestContext) -> Vec<GuestStep> {
    let Some(qemu) = context.qemu_user.as_ref().filter(|user| user.uid != 0) else { return Vec::new() };
    let others = context.sound.iter().filter(|server| server.uid != qemu.uid);
    let step = |server: &SoundServer| GuestStep::ShareSound {
        owner: server.uid,
        paths: server.paths(),
        user: qemu.name.clone(),
        uid: qemu.uid,
    };
    others.map(step).collect()
}

#[cfg(test)]
#[path = "sound_tests.rs"]
mod tests;
