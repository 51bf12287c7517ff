// SPDX-License-Identifier: LGPL-2.1-or-later
//! Names that are known by what our own sentences say before and after them. Anybody may choose the name of a process, and
//! one that has ended is in no list.

use super::{Mask, MASKED};

/// What comes after these words up to the next blank, comma or bracket, and its kind.
const AFTER: [(&str, &str); 8] = [
    ("the LVM volume ", "volume"),
    ("the encrypted device ", "volume"),
    ("the multipath device ", "volume"),
    ("the mapped device ", "volume"),
    ("the ZFS pool ", "volume"),
    ("domain ", "domain"),
    (", user ", "user"),
    ("the network interface ", "interface"),
];

/// What may come after "domain" without being one's name.
const PROSE: &str =
    " is has does not was and or of with by that which it its to for as in on at can cannot will gets XML from name ";

/// What the names of network interfaces begin with that the kernel and systemd give.
const INTERFACES: [&str; 22] = [
    "bond",
    "br",
    "docker",
    "en",
    "eth",
    "ib",
    "lan",
    "lo",
    "macvtap",
    "ppp",
    "tailscale",
    "tap",
    "team",
    "tun",
    "usb",
    "veth",
    "virbr",
    "vlan",
    "vnet",
    "wg",
    "wl",
    "ww",
];

/// Whether the rest of an interface's name is only where it is: `p5s0f1np1`.
fn is_place(rest: &str) -> bool {
    rest.len() <= 10 && rest.chars().all(|c| c.is_ascii_digit() || "adfinopsuvbxP".contains(c))
}

/// Whether the kernel or systemd has named an interface.
pub fn is_interface(name: &str) -> bool {
    INTERFACES.iter().any(|prefix| name.strip_prefix(prefix).is_some_and(is_place))
}

/// What comes after these words up to the last quote of the line, or up to one with these characters behind it.
const QUOTED: [(&str, &str); 4] =
    [("the keyboard '", "name"), ("the mouse '", "name"), ("run '", "command"), ("run: ", "command")];

/// Who may hold a card on any machine.
const PROCESSES: &str = " Xorg X Xwayland gnome-shell mutter kwin_wayland kwin_x11 plasmashell sway Hyprland hyprland weston labwc wayfire \
    river niri cosmic-comp gamescope cage mango cinnamon muffin budgie-wm xfwm4 marco pipewire wireplumber pulseaudio systemd \
    systemd-logind systemd-udevd seatd elogind elogind-daemon gdm gdm3 gdm-session-wor gdm-wayland-ses gdm-x-session sddm sddm-helper \
    lightdm greetd ly lxdm xdm steam steamwebhelper firefox chrome chromium mpv vlc ollama llama-server qemu-system-x86 qemu-kvm \
    libvirtd virtqemud nvidia-persiste nvidia-powerd Xvnc fbterm plymouthd kmscon aplay speech-dispatch ";

/// The line with those masked; the rest is not looked at here.
pub fn masked(mask: &Mask, line: &str) -> String {
    let line = processes(mask, line);
    let line = quoted(mask, &line);
    let line = after(mask, &line);
    let line = sessions(mask, &line);
    in_quotes(mask, &line)
}

/// `COMMAND (pid 712, ...`.
fn processes(mask: &Mask, line: &str) -> String {
    const MARK: &str = " (pid ";
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find(MARK) {
        let (before, behind) = (&rest[..at], &rest[at + MARK.len()..]);
        let digits = behind.find(|c: char| !c.is_ascii_digit()).unwrap_or(behind.len());
        let known = behind[..digits].parse().ok().and_then(|pid| mask.commands.get(&pid));
        let begin = match known.filter(|command| before.ends_with(command.as_str())) {
            Some(command) => at - command.len(),
            None => sentence_begin(before),
        };
        let command = &before[begin..];
        out.push_str(&before[..begin]);
        out.push_str(&process(mask, command));
        out.push_str(MARK);
        rest = behind;
    }
    out + rest
}

/// The name of a process: that of a program that may run on any machine is shown.
pub fn process(mask: &Mask, command: &str) -> String {
    if PROCESSES.contains(&format!(" {command} ")) || command.is_empty() || mask.is_stand_in(command) {
        command.to_owned()
    } else {
        mask.instead("process", command)
    }
}

/// Where the name of a process that is not known any more begins: behind what our sentences have before one.
fn sentence_begin(before: &str) -> usize {
    if before.rsplit([' ', '\'']).next().is_some_and(|last| PROCESSES.contains(&format!(" {last} "))) {
        return before.rfind([' ', '\'']).map_or(0, |at| at + 1);
    }
    let marks =
        [": ", ", ", "; ", " by ", "ask ", "that ", "and ", "while ", "because ", "] ", "has ", "of ", "to ", "is "];
    marks.iter().filter_map(|mark| Some(before.rfind(mark)? + mark.len())).max().unwrap_or(0)
}

fn quoted(mask: &Mask, line: &str) -> String {
    let found = QUOTED.iter().filter_map(|(mark, kind)| Some((line.find(mark)? + mark.len(), *mark, *kind)));
    let Some((begin, mark, kind)) = found.min() else { return line.to_owned() };
    let inside = line[begin..].trim_end_matches('\n');
    let end = if mark.ends_with('\'') {
        // A name may have quotes in it.
        ["', ", "'; ", "' and ", "' ("].iter().filter_map(|end| inside.find(end)).min().or(inside.rfind('\''))
    } else {
        None
    };
    let end = end.unwrap_or(inside.len());
    let (inside, behind) = (&inside[..end], &line[begin + end..]);
    // What we say is to be run is not a command of the user's.
    let shown = if kind == "command" && mask.is_known(inside) || mask.is_stand_in(inside) {
        inside.to_owned()
    } else {
        mask.instead(kind, inside)
    };
    format!("{}{shown}{}", &line[..begin], quoted_rest(mask, behind))
}

/// More of them may follow.
fn quoted_rest(mask: &Mask, behind: &str) -> String {
    if behind.len() > 1 {
        quoted(mask, behind)
    } else {
        behind.to_owned()
    }
}

fn after(mask: &Mask, line: &str) -> String {
    let mut line = line.to_owned();
    for (mark, kind) in AFTER {
        let mut out = String::new();
        let mut rest = line.as_str();
        while let Some(at) = rest.find(mark) {
            let begin = at + mark.len();
            let length = rest[begin..].find([' ', ',', ')', ';', '\n']).unwrap_or(rest.len() - begin);
            let name = &rest[begin..begin + length];
            out.push_str(&rest[..begin]);
            // A number says nothing, root is everywhere, and not every word after these is a name.
            let prose = match kind {
                "domain" => PROSE.contains(&format!(" {name} ")),
                "interface" => is_interface(name),
                _ => false,
            };
            if prose || name.parse::<u16>().is_ok() || mask.is_stand_in(name) || matches!(name, "root" | "") {
                out.push_str(name);
            } else {
                out.push_str(&mask.instead(kind, name));
            }
            rest = &rest[begin + length..];
        }
        line = out + rest;
    }
    line
}

/// `session 2 of USER on seat0`.
fn sessions(mask: &Mask, line: &str) -> String {
    const MARK: &str = "session ";
    let Some(at) = line.find(MARK) else { return line.to_owned() };
    let id = &line[at + MARK.len()..];
    let after_id = id.find(' ').and_then(|end| Some((end, id[end..].strip_prefix(" of ")?)));
    let Some((end, user)) = after_id else { return line.to_owned() };
    let begin = at + MARK.len() + end + " of ".len();
    let length = [" on seat", ", ", ";", "\n"].iter().filter_map(|end| user.find(end)).min().unwrap_or(user.len());
    let shown = mask.instead("user", &user[..length]);
    format!("{}{shown}{}", &line[..begin], sessions(mask, &user[length..]))
}

/// `'...'`: what we quote came from somebody else, unless it is a word of ours or the kernel's.
fn in_quotes(mask: &Mask, line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(begin) = rest.find('\'') {
        let opens = !rest[..begin].ends_with(super::is_word);
        let closes = |(at, _): &(usize, &str)| !rest[begin + 1 + at + 1..].starts_with(super::is_word);
        let end = rest[begin + 1..].match_indices('\'').find(closes).map(|(at, _)| begin + 1 + at).filter(|_| opens);
        let Some(end) = end else {
            out.push_str(&rest[..=begin]);
            rest = &rest[begin + 1..];
            continue;
        };
        let inside = &rest[begin + 1..end];
        out.push_str(&rest[..=begin]);
        // A path and what is masked already are looked at for themselves.
        if inside.starts_with('/') || mask.is_stand_in(inside) || mask.is_known(inside) {
            out.push_str(inside);
        } else {
            out.push_str(MASKED);
        }
        out.push('\'');
        rest = &rest[end + 1..];
    }
    out + rest
}
