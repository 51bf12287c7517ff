// SPDX-License-Identifier: LGPL-2.1-or-later
//! GNOME on Wayland, logged in by GDM and drawn by the processor. It has an image of its own.

use super::desktops::{disk_of, run, Desktop};
use anyhow::Result;

const PACKAGES: &str = "dbus dbus-user-session libpam-systemd pipewire pipewire-bin wireplumber fonts-dejavu-core \
    libgl1-mesa-dri gdm3 gnome-session gnome-shell";

const GNOME: Desktop = Desktop {
    name: "machine_desktop_gdm_gnome",
    program: "gnome-shell",
    // GDM's greeter is a gnome-shell too.
    owner: "desk",
    // GDM logs in by itself once a boot.
    log_in: "rm -f /run/gdm3/ran-once\n\
        echo /usr/sbin/gdm3 >/etc/X11/default-display-manager\n\
        printf '[daemon]\\nAutomaticLoginEnable=true\\nAutomaticLogin=desk\\n' >/etc/gdm3/daemon.conf\n\
        manager gdm",
    login_screen: "echo '[daemon]' >/etc/gdm3/daemon.conf",
    greets: "on_card gnome-shell Debian-gdm && drawn 20",
    manager: "active",
    display: "xres=800,yres=600,",
    // rep_good, which every machine of the lab is without, and avx: with it gnome-shell ended in a segmentation fault, in code of
    // no file, before it had drawn anything (QEMU 7.2).
    words: " clearcpuid=112,156",
    memory: 4096,
    patience: 900,
};

/// Everything is slow here: what systemd starts for a user gets the time.
const PATIENCE: &str = "[Manager]\nDefaultTimeoutStartSec=15min\n";

/// An emulator translates code that was only just made again and again: none for JavaScript, little for graphics.
const ENVIRONMENT: &str = "GJS_DISABLE_JIT=1\nGIO_USE_VFS=local\nLP_NATIVE_VECTOR_WIDTH=128\n";

/// Mutter draws on the card, and leaves the host's own display alone.
const MUTTER: &str = "\
SUBSYSTEM==\"drm\", KERNEL==\"card[0-9]*\", KERNELS==\"0000:01:00.0\", TAG+=\"mutter-device-preferred-primary\"
SUBSYSTEM==\"drm\", KERNEL==\"card[0-9]*\", KERNELS==\"0000:00:10.0\", TAG+=\"mutter-device-ignore\"
";

/// GDM's own rules turn Wayland off in a virtual machine that has a card of its host's beside an emulated one, which they take
/// this card for when it has come back.
const GDM: &str = "# Nothing: in place of GDM's own.\n";

/// Nothing moves, nothing locks, nobody is welcomed.
const GSETTINGS: &str = "\
[org.gnome.desktop.interface]
enable-animations=false
[org.gnome.desktop.session]
idle-delay=0
[org.gnome.desktop.screensaver]
lock-enabled=false
[org.gnome.shell]
welcome-dialog-last-shown-version='9999'
";

/// What costs minutes in an emulator, and has nothing to do with a card.
const QUIET: &str = "\
for unit in localsearch-3 gvfs-daemon gvfs-metadata xdg-desktop-portal xdg-desktop-portal-gnome xdg-desktop-portal-gtk \
    xdg-document-portal; do ln -sf /dev/null /etc/systemd/user/$unit.service; done
for name in afc goa gphoto2 mtp udisks2; do ln -sf /dev/null /etc/systemd/user/gvfs-$name-volume-monitor.service; done
for name in PrintNotifications Smartcard Wacom Sharing Sound Housekeeping Datetime Color UsbProtection Rfkill ScreensaverProxy; do
    ln -sf /dev/null /etc/systemd/user/org.gnome.SettingsDaemon.$name.service
done
systemctl mask colord.service udisks2.service upower.service
glib-compile-schemas /usr/share/glib-2.0/schemas";

pub fn gdm_gnome() -> Result<()> {
    let files = [
        ("etc/systemd/user.conf.d/lab.conf", PATIENCE),
        ("etc/environment", ENVIRONMENT),
        ("etc/environment.d/lab.conf", ENVIRONMENT),
        ("etc/udev/rules.d/61-gdm.rules", GDM),
        ("etc/udev/rules.d/62-lab.rules", MUTTER),
        ("usr/share/glib-2.0/schemas/90_lab.gschema.override", GSETTINGS),
    ];
    let mut disk = disk_of("gnome", PACKAGES, &files)?;
    disk.commands.push(QUIET.to_owned());
    run(&GNOME, &disk)
}
