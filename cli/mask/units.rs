// SPDX-License-Identifier: LGPL-2.1-or-later
//! Units of systemd: those that distributions have are shown, others may be anybody's.

use super::kinds::is_word;
use vfio_suite::plan::setup::is_unit;

const SUFFIXES: [&str; 11] =
    ["service", "scope", "slice", "socket", "target", "mount", "automount", "swap", "timer", "path", "device"];

/// The names of units that are shown, and what such names begin with if it ends with "-" or ".".
const SHOWN: &str = "accounts-daemon avahi-daemon bluetooth boot-efi boot colord cosmic- cron dbus \
    dbus-broker display-manager docker elogind fwupd gdm gdm3 getty gnome- \
    greetd init kmod libvirtd libvirt- lightdm lxdm ly modprobe \
    NetworkManager NetworkManager-wait-online nvidia- org.gnome. pipewire pipewire-pulse plasma- plymouth- podman \
    polkit pulseaudio sddm seatd session ssh sshd system system- \
    systemd- udev upower user vfio- virtproxyd wireplumber xdm";

/// Targets that are shown.
const TARGETS: &str = "basic bluetooth cryptsetup cryptsetup-pre default emergency final getty getty-pre graphical graphical-session \
    graphical-session-pre halt hibernate hybrid-sleep initrd initrd-fs initrd-root-device initrd-root-fs initrd-switch-root \
    integritysetup local-fs local-fs-pre multi-user network network-online network-pre nss-lookup nss-user-lookup paths poweroff \
    printer reboot remote-cryptsetup remote-fs remote-fs-pre rescue shutdown sleep slices smartcard sockets sound suspend swap \
    sysinit system-update time-set time-sync timers umount usb-gadget veritysetup";

/// Templates whose instances are shown: of ours sections, of the others numbers, terminals and modules. Of all others they may
/// be the name of a disk or a person.
const TEMPLATES: [&str; 7] = ["autovt", "getty", "modprobe", "serial-getty", "user", "user-runtime-dir", "vfio-"];

/// The unit that the text begins with: its length, what it ends with, and whether every machine may have it.
pub fn at(text: &str) -> Option<(usize, &str, bool)> {
    let length = text.find(|c: char| !(is_word(c) || matches!(c, '.' | '-' | '@' | ':' | '\\'))).unwrap_or(text.len());
    let unit = text[..length].trim_end_matches(['.', ':']);
    let (name, suffix) =
        unit.rsplit_once('.').filter(|(name, suffix)| !name.is_empty() && SUFFIXES.contains(suffix))?;
    let known = SHOWN.split_ascii_whitespace().any(|shown| {
        let rest = name.strip_prefix(shown);
        rest.is_some_and(|rest| shown.ends_with(['-', '.']) || is_instance(rest))
    });
    let instance = name.split_once('@').is_none_or(|(template, _)| {
        TEMPLATES.iter().any(|shown| template == *shown || (shown.ends_with('-') && template.starts_with(shown)))
    });
    let target = suffix == "target" && TARGETS.split_ascii_whitespace().any(|target| target == name);
    // A recording has the questions that are asked again.
    let asked = is_unit(unit);
    Some((unit.len(), suffix, known && instance || target || asked || name == "-"))
}

/// Whether this may follow: nothing, an instance, which is looked at by itself, or the number of a session or a user.
fn is_instance(rest: &str) -> bool {
    let number = |rest: &str| rest.trim_start_matches('c').bytes().all(|b| b.is_ascii_digit());
    rest.is_empty() || rest.starts_with('@') || rest.strip_prefix('-').is_some_and(number)
}

#[cfg(test)]
mod tests {
    use super::at;

    #[test]
    fn units_of_distributions_are_shown() {
        for unit in [
            "vfio-bind@big.service",
            "gdm.service",
            "gdm3.service",
            "user@1000.service",
            "session-2.scope",
            "user-1000.slice",
            "systemd-logind.service",
            "libvirtd.service",
            "virtqemud.service",
            "display-manager.service",
            "init.scope",
            "multi-user.target",
            "getty@tty1.service",
            "sddm.service",
        ] {
            assert_eq!(at(unit).map(|(length, _, known)| (length, known)), Some((unit.len(), true)), "{unit}");
        }
        for unit in [
            "annas-backup.service",
            "app-gnome-annas-123.scope",
            "home-anna.mount",
            "machine-qemu\\x2d1\\x2danna.scope",
            "systemd-cryptsetup@annas.service",
            "annas.target",
        ] {
            assert_eq!(at(unit).map(|(length, _, known)| (length, known)), Some((unit.len(), false)), "{unit}");
        }
        for unit in vfio_suite::plan::setup::units() {
            assert_eq!(at(&unit).map(|(_, _, known)| known), Some(true), "{unit}");
        }
        assert!(at("virtannad.socket").is_some_and(|(_, _, known)| !known));
        assert!(at("vfio.conf").is_none() && at(".service").is_none());
    }
}
