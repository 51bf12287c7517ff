// SPDX-License-Identifier: LGPL-2.1-or-later
//! Machines with Limine, as distributions lay it out: Omarchy (its `default/limine` and `etc/limine-entry-tool.d`, 4.0),
//! CachyOS with limine-entry-tool 1.38 and limine-snapper-sync, archinstall (`installer.py`, `_add_limine_bootloader`), and
//! an `update-limine` of Void's.

use super::boots::{Boot, ESP_AT_BOOT};
use super::pe;

const MACHINE: &str = "0123456789abcdef0123456789abcdef";
const ROOT: &str = "cryptdevice=PARTUUID=f9:root root=/dev/mapper/root rw rootflags=subvol=@ rootfstype=btrfs";
/// What belongs to Omarchy's own drop-in.
const LOOK: &str = "quiet splash loglevel=0";

/// Every machine by its name.
pub fn all() -> Vec<(&'static str, Boot)> {
    vec![
        ("archinstall-limine", archinstall()),
        ("cachyos-limine-layers", layers()),
        ("cachyos-limine-plain", plain()),
        ("limine-kernel-cmdline", kernel_cmdline()),
        ("omarchy-limine", omarchy()),
        ("void-update-limine", update_limine()),
    ]
}

/// A menu as limine-entry-tool and limine-snapper-sync write it, with another system on the same ESP.
fn menu(name: &str, line: &str, fallback: &str) -> String {
    format!(
        "timeout: 3\ndefault_entry: 2\n\n/+{name}\ncomment: {name}\ncomment: machine-id={MACHINE} order-priority=50\n\
         \x20 //linux\n  comment: Kernel version: 7.0.14\n  comment: kernel-id=linux\n  protocol: efi\n\
         \x20 path: boot():/EFI/Linux/omarchy_linux.efi#1ebe\n  cmdline: {line}\n\
         \x20 //linux-fallback\n  comment: kernel-id=linux-fallback\n  protocol: efi\n\
         \x20 path: boot():/EFI/Linux/omarchy_linux-fallback.efi#1ebf\n  cmdline: {fallback}\n\
         \x20    //Snapshots\n     comment: 1 snapshot\n     ///1 \u{2502} 2026-09-23 20:04:05\n     ////linux\n\
         \x20    path: boot():/{MACHINE}/limine_history/omarchy_linux.efi_sha256_8d2b#081c\n\
         \x20    cmdline: {ROOT} rootflags=subvol=/@/.snapshots/1/snapshot\n\n\
         /Other Linux\ncomment: machine-id=ffffffffffffffffffffffffffffffff\n  //linux\n  comment: kernel-id=linux\n\
         \x20 protocol: linux\n  path: boot():/other\n  cmdline: root=UUID=77 quiet\n\n\
         /EFI fallback\ncomment: Default EFI loader\nprotocol: efi\npath: boot():/EFI/BOOT/BOOTX64.EFI\n"
    )
}

fn with_tool(line: &str) -> Boot {
    Boot::amd(&format!("{line} initrd=x"))
        .modules("7.0.14-arch1-1")
        .mounts(&ESP_AT_BOOT)
        .variable("LoaderInfo", "Limine 12.6.0")
        .file("etc/machine-id", &format!("{MACHINE}\n"))
        .file(
            "etc/limine-entry-tool.conf",
            "### Settings in /etc/default/limine override these\n#KERNEL_CMDLINE[default]+=rw\nENABLE_UKI=yes\n",
        )
        .bytes("boot/EFI/limine/limine_x64.efi", pe::program(&[(".text", b"Limine")]))
        .bytes("boot/EFI/Linux/omarchy_linux.efi", pe::image("258.1-1-arch", line))
        .programs(&[
            "usr/bin/limine",
            "usr/bin/limine-entry-tool",
            "usr/bin/limine-mkinitcpio",
            "usr/bin/limine-update",
        ])
}

/// Its own parameters in a drop-in, the root in the last layer.
fn omarchy() -> Boot {
    let line = format!("{LOOK} {ROOT}");
    with_tool(&line)
        .file(
            "etc/limine-entry-tool.d/omarchy-defaults.conf",
            &format!(
                "TARGET_OS_NAME=\"Omarchy\"\n\nKERNEL_CMDLINE[default]+=\" {LOOK}\"\n\nCUSTOM_UKI_NAME=\"omarchy\"\n"
            ),
        )
        .file("etc/limine-entry-tool.d/resume.conf", "KERNEL_CMDLINE[default]+=\" resume=/dev/mapper/root\"\n")
        .file("etc/default/limine", &format!("ESP_PATH=\"/boot\"\n\nKERNEL_CMDLINE[default]+=\" {ROOT}\"\n"))
        .file(
            "boot/limine.conf",
            &menu(
                "Omarchy",
                &format!("{LOOK} resume=/dev/mapper/root {ROOT}"),
                &format!("{LOOK} resume=/dev/mapper/root {ROOT}"),
            ),
        )
}

/// Kernels with command lines of their own.
fn layers() -> Boot {
    let settings = format!(
        "TARGET_OS_NAME=\"CachyOS\"\nKERNEL_CMDLINE[default]+=\"{ROOT} quiet\"\nKERNEL_CMDLINE[linux]={ROOT} acpi_osi=\"Windows 2015\"\n\
         KERNEL_CMDLINE[fallback]=\"{ROOT}\"\n"
    );
    with_tool(ROOT)
        .file("etc/limine-entry-tool.d/look.conf", "KERNEL_CMDLINE[default]=splash\n")
        .file("etc/default/limine", &settings)
        .file("boot/limine.conf", &menu("CachyOS", &format!("{ROOT} acpi_osi=\"Windows 2015\""), ROOT))
}

/// A plain `=` in the last layer, without quotes: no drop-in counts. A menu that archinstall left is read before the tool's.
fn plain() -> Boot {
    let left = format!("timeout: 5\n\n/Arch Linux (linux)\n    protocol: linux\n    path: boot():/vmlinuz-linux\n    cmdline: {ROOT}\n");
    with_tool(ROOT)
        .file("etc/limine-entry-tool.d/look.conf", "KERNEL_CMDLINE[default]+=splash\n")
        .file("etc/default/limine", &format!("KERNEL_CMDLINE[default]={ROOT}\n"))
        .file("boot/limine.conf", &menu("CachyOS", ROOT, ROOT))
        .file("boot/EFI/arch-limine/limine.conf", &left)
}

/// No layer has the key: the tool takes `/etc/kernel/cmdline`.
fn kernel_cmdline() -> Boot {
    with_tool(ROOT)
        .file("usr/share/limine-entry-tool.d/10-defaults.conf", "BOOT_ORDER=\"*, *fallback, Snapshots\"\n")
        .file("etc/kernel/cmdline", &format!("{ROOT}\n"))
        .file("boot/limine.conf", &menu("Arch Linux", ROOT, ROOT))
}

/// Written once, then kept by hand: two kernels, another distribution beside them, one entry for emergencies.
fn archinstall() -> Boot {
    let entry = |title: &str, image: &str, line: &str| {
        format!("\n/{title}\n    protocol: linux\n    path: boot():/vmlinuz-linux\n    cmdline: {line}\n    module_path: boot():/{image}\n")
    };
    let line = "root=PARTUUID=ab-12 rw rootfstype=ext4";
    let menu = format!(
        "timeout: 5\n{}{}{}",
        entry("Arch Linux (linux)", "initramfs-linux.img", line),
        entry("Arch Linux (linux fallback)", "initramfs-linux-fallback.img", line),
        entry("Debian", "initrd.img", "root=PARTUUID=cd-34 ro quiet"),
    );
    Boot::intel(line)
        .mounts(&ESP_AT_BOOT)
        .variable("LoaderInfo", "Limine 10.6.3")
        .file("boot/EFI/arch-limine/limine.conf", &menu)
        .bytes("boot/EFI/arch-limine/BOOTX64.EFI", pe::program(&[(".text", b"Limine")]))
        .programs(&["usr/bin/limine"])
}

/// A tool with a file of the same name and variables of its own.
fn update_limine() -> Boot {
    let line = "root=UUID=de rw loglevel=4";
    Boot::intel(line)
        .mounts(&ESP_AT_BOOT)
        .variable("LoaderInfo", "Limine 10.6.3")
        .file("etc/default/limine", "LIMINE_TIMEOUT=5\nLIMINE_CMDLINE_LINUX_DEFAULT=\"rw loglevel=4\"\n")
        .file("boot/limine.conf", &format!("timeout: 5\n/VoidBR 6.12.41_1\n    protocol: linux\n    cmdline: {line}\n"))
        .programs(&["usr/bin/limine", "usr/bin/update-limine"])
}
