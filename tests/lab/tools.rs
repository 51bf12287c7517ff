// SPDX-License-Identifier: LGPL-2.1-or-later
//! The host's programs that the lab needs. A missing one is named with the Debian package that has it.

use anyhow::{bail, Context, Result};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Each program and its package in Debian.
const PACKAGES: [(&str, &str); 19] = [
    ("apt-cache", "apt"),
    ("apt-config", "apt"),
    ("apt-get", "apt"),
    ("busybox", "busybox-static"),
    ("depmod", "kmod"),
    ("dpkg-deb", "dpkg"),
    ("gcc", "gcc"),
    ("ldd", "libc-bin"),
    ("make", "make"),
    ("mke2fs", "e2fsprogs"),
    ("mkfs.vfat", "dosfstools"),
    ("mmdebstrap", "mmdebstrap"),
    ("openssl", "openssl"),
    ("qemu-img", "qemu-utils"),
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("sfdisk", "fdisk"),
    ("strace", "strace"),
    ("unshare", "util-linux"),
    ("xz", "xz-utils"),
];

/// Where a program is. The system's directories are looked in too: a user's PATH often lacks them.
pub fn find(name: &str) -> Result<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    for dir in path.split(':').chain(["/usr/sbin", "/usr/bin", "/sbin", "/bin"]) {
        let file = Path::new(dir).join(name);
        if !dir.is_empty() && file.is_file() {
            return Ok(file);
        }
    }
    match PACKAGES.iter().find(|(program, _)| *program == name) {
        Some((_, package)) => bail!("the lab needs `{name}`; install it with `apt-get install {package}`"),
        None => bail!("the lab needs `{name}`, and it is not on this machine"),
    }
}

/// A file of the firmware OVMF.
pub fn firmware(name: &str) -> Result<PathBuf> {
    let file = Path::new("/usr/share/OVMF").join(name);
    if !file.is_file() {
        bail!("the lab needs {}; install it with `apt-get install ovmf`", file.display());
    }
    Ok(file)
}

/// A command that runs a program of the host, without a terminal.
pub fn command(name: &str) -> Result<Command> {
    let mut command = Command::new(find(name)?);
    command.stdin(Stdio::null());
    Ok(command)
}

/// Runs a command to its end and gives its standard output; a failure carries the end of what it printed.
pub fn output(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().with_context(|| name.clone())?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let said = format!("{text}{}", String::from_utf8_lossy(&output.stderr));
        let lines: Vec<&str> = said.lines().collect();
        let tail = lines[lines.len().saturating_sub(25)..].join("\n");
        let arguments: Vec<_> = command.get_args().map(|a| a.to_string_lossy()).collect();
        let arguments: String = arguments.join(" ").chars().take(160).collect();
        bail!("`{name} {arguments}`: {}\n{tail}", output.status);
    }
    Ok(text)
}
