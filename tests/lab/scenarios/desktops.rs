// SPDX-License-Identifier: LGPL-2.1-or-later
//! Real desktops of Debian's: on a card beside the host's own display, with PipeWire playing on the card's audio. A `hot`
//! start is refused, for all of these keep the card open; then a guest gets it by the session's end.

use super::keep;
use crate::checks::Checks;
use crate::desk;
use crate::images::Disk;
use crate::layers::Initramfs;
use crate::machine::{Boot, Machine};
use crate::{extra, qemu};
use anyhow::Result;
use std::time::Duration;

pub struct Desktop {
    /// The scenario.
    pub name: &'static str,
    /// The process that draws.
    pub program: &'static str,
    /// Whose process that is; anybody's if empty.
    pub owner: &'static str,
    /// Commands after which the user is logged in, again too.
    pub log_in: &'static str,
    /// Commands after which nobody is logged in by itself.
    pub login_screen: &'static str,
    /// Whether the login screen is there.
    pub greets: &'static str,
    /// The display manager's state then.
    pub manager: &'static str,
    /// Further options of the card's display.
    pub display: &'static str,
    /// Further words on the kernel's command line.
    pub words: &'static str,
    /// The machine's memory in MiB.
    pub memory: u32,
    /// How many seconds the desktop has to be drawn.
    pub patience: u32,
}

/// All of these desktops, logind, and sound.
const PACKAGES: &str = "dbus dbus-user-session libpam-systemd pipewire pipewire-bin wireplumber fonts-dejavu-core \
    greetd cage gtkgreet sway swaybg sway-backgrounds lightdm lightdm-gtk-greeter openbox hsetroot xserver-xorg-core \
    xinit x11-xserver-utils";

const GREETD: Desktop = Desktop {
    name: "machine_desktop_greetd_sway",
    program: "sway",
    owner: "",
    // Its first session is started once a boot.
    log_in: "rm -f /run/greetd.run; manager greetd",
    login_screen: ":",
    greets: "on_card cage",
    manager: "active",
    display: "",
    words: "",
    memory: 2048,
    patience: 400,
};

const LIGHTDM: Desktop = Desktop {
    name: "machine_desktop_lightdm_xorg",
    program: "Xorg",
    log_in: "echo /usr/sbin/lightdm >/etc/X11/default-display-manager\n\
        mkdir -p /etc/lightdm/lightdm.conf.d\n\
        printf '[Seat:*]\\nautologin-user=desk\\nautologin-session=openbox\\n' >/etc/lightdm/lightdm.conf.d/lab.conf\n\
        manager lightdm",
    login_screen: "rm /etc/lightdm/lightdm.conf.d/lab.conf",
    greets: "on_card Xorg && pidof lightdm-gtk-greeter && drawn",
    ..GREETD
};

const STARTX: Desktop = Desktop {
    name: "machine_desktop_startx",
    program: "Xorg",
    log_in: "on_console '[ \"$(tty)\" != /dev/tty1 ] || startx'",
    greets: "pidof login",
    manager: "inactive",
    ..GREETD
};

const AUTOLOGIN: Desktop = Desktop {
    name: "machine_desktop_autologin",
    log_in: "on_console '[ \"$(tty)\" != /dev/tty1 ] || exec /usr/lib/lab/wayland sway'",
    greets: "on_card sway && drawn",
    manager: "inactive",
    ..GREETD
};

const GREETD_CONFIGURATION: &str = "\
[terminal]
vt = 7
[default_session]
command = \"/usr/lib/lab/wayland cage -s -- gtkgreet\"
user = \"_greetd\"
[initial_session]
command = \"/usr/lib/lab/wayland sway\"
user = \"desk\"
";

/// Without a renderer of OpenGL wlroots uses one card, and would take the machine's first.
const WAYLAND: &str = "\
#!/bin/sh
for node in /sys/bus/pci/devices/0000:01:00.0/drm/card*; do
	export WLR_DRM_DEVICES=\"/dev/dri/${node##*/}\"
done
export WLR_RENDERER=pixman WLR_LIBINPUT_NO_DEVICES=1
exec \"$@\"
";

/// X would take the machine's first display.
pub const XORG: &str = "\
Section \"Device\"
	Identifier \"card\"
	Driver \"modesetting\"
	BusID \"PCI:1:0:0\"
	Option \"AccelMethod\" \"none\"
EndSection
";

/// Plays for ever, as soon as there is a server.
const PLAY: &str = "\
[Unit]
Description=Music
ConditionUser=desk
StartLimitIntervalSec=0

[Service]
ExecStart=/usr/lib/lab/play
Restart=always
RestartSec=2

[Install]
WantedBy=default.target
";

/// Guests that get the card in each way.
fn configuration() -> String {
    let mut text = "[gpu big]\ndevice = 0000:01:00.0\nidentity = 1234:1111\nbind = guest\n".to_owned();
    for way in ["auto", "hot", "steal"] {
        let command = desk::QEMU.replace("NAME", way).replace("WORDS", "");
        text += &format!(
            "\n[guest {way}]\ngpus = big\nhandover = {way}\nrunner = command\ncommand = {command}\nstart-timeout = 4min\n\
             stop-timeout = 60s\n"
        );
    }
    text
}

fn disk() -> Result<Disk> {
    disk_of(
        "desktops",
        PACKAGES,
        &[
            ("usr/lib/lab/wayland", WAYLAND),
            ("etc/greetd/config.toml", GREETD_CONFIGURATION),
            ("etc/X11/xorg.conf.d/10-card.conf", XORG),
            ("etc/skel/.xinitrc", "exec openbox-session\n"),
            ("etc/skel/.config/openbox/autostart", "hsetroot -add '#204060' -add '#e08020' -gradient 30\n"),
        ],
    )
}

/// A disk with a user who is to be logged in, and whose music plays then.
pub fn disk_of(name: &'static str, packages: &'static str, files: &[(&'static str, &str)]) -> Result<Disk> {
    let mut disk = Disk::new(name, Initramfs::InitramfsTools);
    disk.packages = packages;
    disk.files = vec![
        ("etc/vfio.conf", configuration()),
        ("usr/lib/lab/play", include_str!("../guest/desk/play.sh").to_owned()),
        ("etc/systemd/user/lab-play.service", PLAY.to_owned()),
    ];
    disk.files.extend(files.iter().map(|(path, content)| (*path, (*content).to_owned())));
    disk.copies = vec![(extra::pocket()?, "var/lib/libvirt/boot/pocket")];
    disk.commands = vec![
        "useradd --create-home --shell /bin/sh --groups audio,video desk".to_owned(),
        "systemctl --global enable lab-play.service".to_owned(),
    ];
    Ok(disk)
}

pub fn run(desktop: &Desktop, disk: &Disk) -> Result<()> {
    let script = include_str!("../guest/desk/desktops.sh")
        .replace("@PROGRAM@", desktop.program)
        .replace("@OWNER@", desktop.owner)
        .replace("@PATIENCE@", &desktop.patience.to_string())
        .replace("@LOG_IN@", desktop.log_in)
        .replace("@LOGIN_SCREEN@", desktop.login_screen)
        .replace("@GREETS@", desktop.greets);
    let mut boot = Boot::new("boot", &format!("{}{}{script}", desk::UNITS, include_str!("../guest/desk/log-in.sh")));
    boot.devices = [qemu::card(1), vec![qemu::host_display()]].concat();
    for device in &mut boot.devices {
        *device = device.replace("secondary-vga,", &format!("secondary-vga,{}", desktop.display));
    }
    boot.memory = desktop.memory;
    boot.words += desktop.words;
    boot.deadline = Duration::from_secs(3600);
    let run = Machine::new(desktop.name, disk)?.boot(&boot)?;
    for picture in ["before", "hot", "after-hot", "steal", "after", "again"] {
        keep(desktop.name, &format!("{picture}.ppm"), &run)?;
    }
    println!(
        "{}: login screen back {} s after the guest was told to end",
        desktop.name,
        run.fact("seconds.steal.back")
    );
    let mut checks = Checks::default();
    let functions = [("0000:01:00.0", "bochs-drm"), ("0000:01:00.1", "snd_hda_intel")];
    let host = |checks: &mut Checks, when: &str| {
        for (function, driver) in functions {
            checks.same(&format!("{function} {when}"), run.fact(&format!("{when}.{function}")), driver);
        }
        checks.same(&format!("what is left in /run/vfio {when}"), run.fact(&format!("left.{when}")), "");
        checks.same(&format!("units that failed {when}"), run.fact(&format!("failed.{when}")), "");
    };
    checks.line("`vfio holders`: what draws", &run.text("holders"), &[desktop.program, "/dev/dri/card"]);
    checks.same("PipeWire plays on the card", run.fact("sounds"), "0");
    for service in ["lab-play.service", "pipewire.service", "wireplumber.service"] {
        for when in ["before", "after"] {
            checks.line(&format!("the user's units {when}"), &run.text(&format!("user-units.{when}")), &[service]);
        }
    }

    checks.line("the plan of 'hot'", &run.text("plan.hot"), &[desktop.program, "may crash"]);
    let crashed = run
        .text("dmesg")
        .lines()
        .any(|line| line.contains(&format!("{}[", desktop.program)) && line.contains("segfault"));
    if run.fact("program.hot") == "gone" && crashed {
        // sway now and then, when udev has said that its only card goes: nobody holds the card any more.
        println!("{}: {} crashed with 'hot'", desktop.name, desktop.program);
        checks.same("a 'hot' start then", run.fact("start.hot"), "0");
        for (function, _) in functions {
            checks.same(&format!("{function} with 'hot'"), run.fact(&format!("hot.{function}")), "vfio-pci");
        }
    } else {
        // The program that draws keeps the card open: no driver is touched.
        checks.same("a 'hot' start fails", run.fact("start.hot"), "1");
        for (function, driver) in functions {
            checks.same(&format!("{function} with 'hot'"), run.fact(&format!("hot.{function}")), driver);
        }
        checks.line("`vfio guest status` then", &run.text("status.hot"), &[desktop.program, "/dev/dri/card"]);
        checks.same("the compositor after 'hot'", run.fact("program.hot"), "same");
    }
    checks.same("the desktop on the card after 'hot'", run.fact("back.hot"), "0");
    host(&mut checks, "after-hot");

    checks.same(&format!("exit of the start by 'steal': {}", run.text("status.steal")), run.fact("start.steal"), "0");
    for (function, _) in functions {
        checks.same(&format!("{function} with 'steal'"), run.fact(&format!("steal.{function}")), "vfio-pci");
    }
    let stripes = [[0x00, 0xa0, 0xe0], [0xe0, 0x80, 0x00]];
    checks.same("what the guest shows", run.colours("steal")?.into_iter().collect::<Vec<_>>(), stripes.to_vec());
    checks.same("the guest's unit when it has ended", run.fact("state.steal"), "inactive");
    checks.same("the login screen afterwards", run.fact("greets"), "0");
    checks.same("the display manager afterwards", run.fact("manager"), desktop.manager);
    host(&mut checks, "after");
    checks.same("the desktop of who logs in then", run.fact("back.steal"), "0");
    checks.same("its sound", run.fact("sounds.again"), "0");
    checks.done()
}

pub fn greetd_sway() -> Result<()> {
    run(&GREETD, &disk()?)
}

pub fn lightdm_xorg() -> Result<()> {
    run(&LIGHTDM, &disk()?)
}

pub fn startx() -> Result<()> {
    run(&STARTX, &disk()?)
}

pub fn autologin() -> Result<()> {
    run(&AUTOLOGIN, &disk()?)
}
