// SPDX-License-Identifier: LGPL-2.1-or-later
//! Machines whose boot entries are made from something else: Solus (clr-boot-manager 3.4, `src/bootloaders/systemd-class.c`),
//! NixOS (`systemd-boot-builder.py`), Void (`systemd-boot.post-install`), ZFSBootMenu 3.1; and one with the files of a loader
//! that is gone.

use super::boots::{Boot, ESP_AT_BOOT, UEFI};
use super::pe;

/// Every machine by its name.
pub fn all() -> Vec<(&'static str, Boot)> {
    vec![
        ("left-over-grub", left_over_grub()),
        ("nixos", nixos()),
        ("refind-include", refind_include()),
        ("solus", solus()),
        ("void-systemd-boot", void("CMDLINE=\"root=UUID=0a rw quiet\"\n")),
        ("void-systemd-boot-no-source", void("#CMDLINE=\"\"\n")),
        ("zfsbootmenu", zfs_boot_menu()),
    ]
}

/// systemd-boot boots; GRUB was removed and its files were not.
fn left_over_grub() -> Boot {
    let entry = "title Debian\nlinux /5f/linux\noptions root=UUID=ab ro quiet\n";
    Boot::intel("root=UUID=ab ro quiet")
        .mounts(&UEFI)
        .systemd_boot("boot/efi", "257.9-1~deb13u1")
        .file("boot/efi/loader/entries/5f-6.12.conf", entry)
        .file("etc/default/grub", "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\n")
        .file("boot/grub/grub.cfg", "menuentry 'Debian' {\n\tlinux /boot/vmlinuz-6.1 root=UUID=ab ro quiet\n}\n")
}

fn nixos() -> Boot {
    let entry = |generation: u32| {
        format!(
            "title NixOS\nsort-key nixos\nversion Generation {generation} NixOS 26.05, built on 2026-11-01\n\
             linux /EFI/nixos/x-linux.efi\ninitrd /EFI/nixos/x-initrd.efi\noptions init=/nix/store/x/init loglevel=4\nmachine-id 5f\n"
        )
    };
    Boot::amd("init=/nix/store/x/init loglevel=4")
        .mounts(&ESP_AT_BOOT)
        .systemd_boot("boot", "258")
        .file("etc/NIXOS", "")
        .file("etc/machine-id", "5f\n")
        .file("boot/loader/entries/nixos-generation-6.conf", &entry(6))
        .file("boot/loader/entries/nixos-generation-7.conf", &entry(7))
        .file("nix/store/x/kernel-params", "loglevel=4")
        .link("nix/var/nix/profiles/system", "system-7-link")
        .link("nix/var/nix/profiles/system-7-link", "../../../store/x")
}

fn solus() -> Boot {
    let entry = "title Solus\nlinux /EFI/com.solus-project/kernel-com.solus-project.current.6.12.41-321\n\
                 initrd /EFI/com.solus-project/initrd-com.solus-project.current.6.12.41-321\n\
                 options root=PARTUUID=9c quiet loglevel=3 splash\n";
    Boot::amd("root=PARTUUID=9c quiet loglevel=3 splash")
        .mounts(&ESP_AT_BOOT)
        .systemd_boot("boot", "257")
        .file("boot/loader/entries/Solus-current-6.12.41-321.conf", entry)
        .file("usr/share/kernel/cmdline.d/10_solus.conf", "quiet loglevel=3\n")
        .file("usr/share/kernel/cmdline.d/20_masked.conf", "iommu=pt\n")
        .file("etc/kernel/cmdline.d/20_masked.conf", "# not here\nsplash\n")
        .programs(&["usr/bin/clr-boot-manager"])
}

/// Entries that a hook of the kernel's package writes from `/etc/default/systemd-boot`, or from `/etc/fstab`.
fn void(settings: &str) -> Boot {
    let entry = "title        Void Linux x86_64 6.12.41_1\nsort-key     void\nversion      6.12.41_1\n\
                 options      root=UUID=0a rw quiet\nlinux        vmlinuz-6.12.41_1\n\
                 initrd       initramfs-6.12.41_1.img\narchitecture x64\n";
    Boot::amd("root=UUID=0a rw quiet")
        .mounts(&ESP_AT_BOOT)
        .systemd_boot("boot", "260.1")
        .file("boot/loader/entries/void-x86_64-6.12.41_1.conf", entry)
        .file("etc/default/systemd-boot", &format!("#SYSTEMD_BOOT_DISABLE=1\n#BOOT=\"/boot\"\n{settings}"))
        .file("etc/fstab", "# <file system> <dir> <type>\nUUID=0a / ext4 defaults 0 1\n")
        .programs(&["etc/kernel.d/post-install/50-systemd-boot"])
}

/// The firmware starts ZFSBootMenu, a Linux with a command line of its own.
fn zfs_boot_menu() -> Boot {
    Boot::amd("root=zfs:zroot/ROOT/void quiet spl.spl_hostid=0x0080a010")
        .mounts(&[("/", "zfs", "zroot/ROOT/void"), ("/boot/efi", "vfat", "/dev/nvme0n1p1")])
        .bytes("boot/efi/EFI/ZBM/VMLINUZ.EFI", pe::image("258", "loglevel=4 zbm.prefer=zroot"))
        .file("boot/efi/EFI/ZBM/refind_linux.conf", "\"Boot default\"  \"quiet loglevel=0 zbm.skip\"\n")
        .file("boot/efi/EFI/refind/refind.conf", "timeout 20\n")
        .programs(&["usr/bin/zbm-kcl"])
}

/// Stanzas in a file that rEFInd's own includes; those of another system and those that start no Linux.
fn refind_include() -> Boot {
    let stanza = |name: &str, root: &str| {
        format!("menuentry \"{name}\" {{\n    loader /vmlinuz-linux\n    initrd /initramfs-linux.img\n    options \"root=UUID={root} rw\"\n}}\n")
    };
    let windows = "menuentry Windows {\n    loader /EFI/Microsoft/Boot/bootmgfw.efi\n}\n";
    Boot::amd("root=UUID=aa rw")
        .mounts(&ESP_AT_BOOT)
        .variable("LoaderInfo", "rEFInd 0.14.2")
        .file(
            "boot/EFI/refind/refind.conf",
            &format!("timeout 20\ninclude manual.conf\ninclude themes/dark.conf\n{windows}"),
        )
        .file("boot/EFI/refind/manual.conf", &(stanza("Arch", "aa") + &stanza("Debian", "bb")))
        .file("boot/EFI/refind/themes/dark.conf", "icons_dir themes/dark\n")
        .bytes("boot/EFI/refind/refind_x64.efi", pe::program(&[(".text", b"rEFInd")]))
}
