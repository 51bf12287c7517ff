// SPDX-License-Identifier: LGPL-2.1-or-later
//! Programs of the system, as far as a hand-over and `vfio setup` use them: what is asked of systemctl, loginctl, virsh,
//! modprobe, udevadm, OpenRC's programs, gpasswd and package managers, word by word, and the commands of the user. What is not known here is an error, never a success.

use crate::error::{failed, unknown};
use crate::tree::Tree;
use crate::{
    accounts, domains, faults, images, logins, modules, openrc, packages, processes, udev, units, virt_install,
};
use std::io::{self, Read};
use vfio_suite::act::backend::tools::Signal;
use vfio_suite::root::Root;

/// Where the user's own commands are listed as they are run, a line each.
const RAN: &str = ".kernel/ran";

/// What `journalctl` prints of the units of vfio.
const JOURNAL: &str = ".kernel/journal";
/// What it prints of a boot where it is asked for that, in the form `short-unix`: this one and the one before.
const BOOTS: [(&str, &str); 2] = [("--boot=0", ".kernel/log"), ("--boot=-1", ".kernel/log-before")];

/// What a report asks for: it changes nothing, is not an act to be counted, and leaves no trace. Nothing for other programs.
pub(crate) fn only_told(root: &Root, words: &[&str]) -> Option<io::Result<String>> {
    match words {
        ["journalctl", boot, ..] if BOOTS.iter().any(|(asked, _)| asked == boot) => {
            let path = BOOTS.iter().find(|(asked, _)| asked == boot).map_or("", |(_, path)| path);
            // As long as a real one: what is small is read elsewhere.
            let mut text = Vec::new();
            Some(match root.open_regular(path).and_then(|mut file| file.read_to_end(&mut text)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
                read => read.map(|_| String::from_utf8_lossy(&text).into_owned()),
            })
        }
        ["journalctl", ..] => Some(root.read(JOURNAL).map(|text| String::from_utf8_lossy(&text).into_owned())),
        ["loginctl", "list-users", "--no-legend"] => Some(Ok(logins::users(root))),
        _ => None,
    }
}

/// Runs a program. A fault makes it fail with the errno's text; `ENOENT` and `EACCES` mean that it cannot be started.
pub(crate) fn run(tree: &Tree<'_>, words: &[&str]) -> io::Result<String> {
    let (program, arguments) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut output = String::new();
    let act = || {
        output = match *program {
            "systemctl" => units::systemctl(tree, arguments)?,
            "loginctl" => logins::loginctl(tree, arguments)?,
            "virsh" => domains::virsh(tree, arguments)?,
            "virt-install" => virt_install::virt_install(arguments)?,
            "qemu-img" => virt_install::qemu_img(tree, arguments)?,
            "rc-update" => openrc::rc_update(tree, arguments)?,
            "rc-service" => openrc::rc_service(tree, arguments)?,
            "gpasswd" => accounts::gpasswd(tree, arguments)?,
            manager if packages::is_manager(manager) => packages::install(tree, manager, arguments)?,
            "modprobe" => modprobe(tree, arguments)?,
            "udevadm" => udev::udevadm(tree, arguments)?,
            "update-initramfs" | "mkinitcpio" | "dracut" | "installkernel" => images::build(tree, program, arguments)?,
            // What they make from boot files is theirs; a simulation of it would prove nothing.
            "update-grub" | "grub-mkconfig" | "grub2-mkconfig" | "grub-script-check" => String::new(),
            "guest-ends" => domains::ends_from_inside(tree, arguments)?,
            // By either a notification is shown.
            "notify-send" => command(tree, words)?,
            "busctl" if arguments.starts_with(&["--user", "call"]) => command(tree, words)?,
            path if path.starts_with('/') => command(tree, words)?,
            _ => return Err(unknown(program, arguments)),
        };
        Ok(())
    };
    match faults::around(tree, &format!("run:{}", words.join(" ")), act) {
        Ok(()) => Ok(output),
        Err(error) if error.raw_os_error().is_none() => Err(error),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => Err(error),
        Err(error) => Err(failed(program, &error.to_string())),
    }
}

/// Sends a signal.
pub(crate) fn signal(tree: &Tree<'_>, pid: u32, signal: Signal) -> io::Result<()> {
    let name = if signal == Signal::Kill { "KILL" } else { "TERM" };
    faults::around(tree, &format!("signal:{pid}:{name}"), || processes::signal(tree, pid, signal))
}

fn modprobe(tree: &Tree<'_>, arguments: &[&str]) -> io::Result<String> {
    match *arguments {
        ["-r", "--", module] => modules::remove(tree, module),
        ["--", module] => modules::load(tree, module).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => failed("modprobe", &format!("FATAL: Module {module} not found.")),
            _ => error,
        }),
        _ => Err(unknown("modprobe", arguments)),
    }?;
    Ok(String::new())
}

/// A command of the user's succeeds.
fn command(tree: &Tree<'_>, words: &[&str]) -> io::Result<String> {
    let before = tree.root.read(RAN).unwrap_or_default();
    tree.put(RAN, &format!("{}{}\n", String::from_utf8_lossy(&before), words.join(" ")))?;
    Ok(String::new())
}
