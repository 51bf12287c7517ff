// SPDX-License-Identifier: LGPL-2.1-or-later
//! virt-install and qemu-img, as `vfio guest define` asks them. What virt-install recommends are recordings of 5.0.0 (Debian 13)
//! beside this file, `virt-install/SYSTEM.xml`; `tests/libvirt.sh` has the real one say the same (`tests/libvirt/record.sh`).

use crate::error::{failed, unknown};
use crate::tree::Tree;
use std::io;

/// What was recorded: the system, and the text.
const RECORDED: [(&str, &str); 4] = [
    ("win11", include_str!("virt-install/win11.xml")),
    ("win10", include_str!("virt-install/win10.xml")),
    ("debian12", include_str!("virt-install/debian12.xml")),
    ("generic", include_str!("virt-install/generic.xml")),
];

/// `virt-install --print-xml --dry-run ...`.
pub(crate) fn virt_install(arguments: &[&str]) -> io::Result<String> {
    let ["--print-xml", "--dry-run", "--import", "--connect", _, "--name", name, "--osinfo", os, "--machine", "q35", "--boot", boot @ ("uefi,hd" | "uefi,hd,cdrom"), "--disk", "none", "--network", "network=default,model=virtio", "--channel", "unix,target.type=virtio,target.name=org.qemu.guest_agent.0", ref memory @ ..] =
        *arguments
    else {
        return Err(unknown("virt-install", arguments));
    };
    let Some((_, text)) = RECORDED.iter().find(|(known, _)| *known == os) else {
        let text = format!("ERROR    Unknown OS name '{os}'. See `--osinfo list` for valid values.");
        return Err(failed("virt-install", &text));
    };
    let memory = match *memory {
        [] if os == "generic" => {
            return Err(failed("virt-install", "ERROR    \n--memory amount in MiB is required"));
        }
        [] => None,
        ["--memory", number] => number.parse::<u64>().ok(),
        _ => return Err(unknown("virt-install", arguments)),
    };
    let name = name.replace('&', "&amp;").replace('<', "&lt;");
    let line = |line: &str| {
        let amount = memory.filter(|_| line.contains("emory>"));
        match (amount, line.find('>')) {
            (Some(mebibytes), Some(end)) if line.trim_start().starts_with("<memory>") => {
                format!("{}{}</memory>\n", &line[..=end], mebibytes * 1024)
            }
            (Some(mebibytes), Some(end)) => format!("{}{}</currentMemory>\n", &line[..=end], mebibytes * 1024),
            _ => format!("{}\n", line.replace("<name>recorded<", &format!("<name>{name}<"))),
        }
    };
    let lines = text.lines().filter(|line| boot.ends_with("cdrom") || !line.contains("<boot dev=\"cdrom\"/>"));
    Ok(lines.map(line).collect::<String>() + "\n\n")
}

/// `qemu-img --version`, `qemu-img create -q -f FORMAT -- FILE BYTES`: an image that begins as one of that format does.
pub(crate) fn qemu_img(tree: &Tree<'_>, arguments: &[&str]) -> io::Result<String> {
    match *arguments {
        ["--version"] => Ok("qemu-img version 10.0.13 (Debian 1:10.0.13+ds-0+deb13u1)\n".to_owned()),
        ["create", "-q", "-f", "qcow2", "--", file, bytes] if bytes.parse::<u64>().is_ok() => {
            let inside = file.strip_prefix(&tree.root.path().display().to_string()).unwrap_or(file);
            tree.put(inside.trim_start_matches('/'), b"QFI\xfb\0\0\0\x03")?;
            Ok(String::new())
        }
        _ => Err(unknown("qemu-img", arguments)),
    }
}
