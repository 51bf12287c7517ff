// SPDX-License-Identifier: LGPL-2.1-or-later
//! What machines boot with, as distributions lay it out: files of loaders, kernels, variables of the firmware.

use super::pe;
use super::text::{Node, Nodes};

/// A machine's boot files.
#[derive(Debug, Clone, Default)]
pub struct Boot(pub Nodes);

const LOADER: &str = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
const GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
/// The ESP's UUID, as the firmware writes it.
const PARTITION: &str = "6F1A9C2E-0001-4B1D-9E55-0A0B0C0D0E0F";

impl Boot {
    /// A machine with Intel's processor that was booted with a command line.
    pub fn intel(line: &str) -> Boot {
        let cpu = "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\n\n".repeat(16);
        Boot::default().file("proc/cpuinfo", &cpu).file("proc/cmdline", &format!("{line}\n"))
    }

    /// The same with AMD's.
    pub fn amd(line: &str) -> Boot {
        Boot::intel(line).file("proc/cpuinfo", "processor\t: 0\nvendor_id\t: AuthenticAMD\n")
    }

    /// A file.
    pub fn file(self, path: &str, text: &str) -> Boot {
        self.bytes(path, text.as_bytes().to_vec())
    }

    /// A file that is not text.
    pub fn bytes(mut self, path: &str, bytes: Vec<u8>) -> Boot {
        self.0.insert(path.to_owned(), Node::File(0o644, bytes));
        self
    }

    /// Without a file.
    pub fn without(mut self, path: &str) -> Boot {
        assert!(self.0.remove(path).is_some(), "{path}");
        self
    }

    /// A link.
    pub fn link(mut self, path: &str, target: &str) -> Boot {
        self.0.insert(path.to_owned(), Node::Link(target.to_owned()));
        self
    }

    /// Programs, by their paths.
    pub fn programs(mut self, paths: &[&str]) -> Boot {
        for path in paths {
            self.0.insert((*path).to_owned(), Node::File(0o755, b"\x7fELF".to_vec()));
        }
        self
    }

    /// A kernel with its configuration below `/boot`.
    pub fn kernel(self, release: &str, config: &str) -> Boot {
        self.modules(release).file(&format!("boot/config-{release}"), &format!("CONFIG_PCI=y\n{config}\n"))
    }

    /// A kernel's modules alone.
    pub fn modules(self, release: &str) -> Boot {
        self.file(&format!("usr/lib/modules/{release}/modules.builtin"), "")
            .file(&format!("usr/lib/modules/{release}/kernel/drivers/vfio/pci/vfio-pci.ko"), "")
    }

    /// File systems: where, of which kind, from which device.
    pub fn mounts(self, mounts: &[(&str, &str, &str)]) -> Boot {
        let line = |(number, (at, kind, source)): (usize, &(&str, &str, &str))| {
            format!("{} 1 259:{number} / {at} rw,relatime shared:1 - {kind} {source} rw\n", number + 20)
        };
        let text: String = mounts.iter().enumerate().map(line).collect();
        self.file("proc/self/mountinfo", &text)
    }

    /// A variable of a loader.
    pub fn variable(self, name: &str, text: &str) -> Boot {
        let value = text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes);
        let bytes = [6, 0, 0, 0].into_iter().chain(value).collect();
        self.bytes(&format!("sys/firmware/efi/efivars/{name}-{LOADER}"), bytes)
    }

    /// The firmware checks signatures, or not.
    pub fn secure_boot(self, on: bool) -> Boot {
        self.bytes(&format!("sys/firmware/efi/efivars/SecureBoot-{GLOBAL}"), vec![6, 0, 0, 0, u8::from(on)])
    }

    /// systemd-boot on the ESP, booted from it.
    pub(super) fn systemd_boot(self, esp: &str, version: &str) -> Boot {
        self.bytes(&format!("{esp}/EFI/systemd/systemd-bootx64.efi"), pe::systemd_boot(version))
            .bytes(&format!("{esp}/EFI/BOOT/BOOTX64.EFI"), pe::systemd_boot(version))
            .variable("LoaderInfo", &format!("systemd-boot {version}"))
            .variable("LoaderDevicePartUUID", PARTITION)
            .link(&format!("dev/disk/by-partuuid/{}", PARTITION.to_lowercase()), "../../nvme0n1p1")
    }

    /// systemd's stub for addons, and what builds them.
    pub fn with_ukify(self) -> Boot {
        self.programs(&["usr/bin/ukify"])
            .bytes("usr/lib/systemd/boot/efi/addonx64.efi.stub", pe::program(&[(".text", b"\xc3")]))
    }
}

/// A script that makes GRUB's menu, as Debian has it.
const MKCONFIG_DEBIAN: &str = "#! /bin/sh\nset -e\nsysconfdir=\"/etc\"\n\
    if test -f ${sysconfdir}/default/grub ; then\n  . ${sysconfdir}/default/grub\nfi\n\
    for x in ${sysconfdir}/default/grub.d/*.cfg ; do\n  if [ -e \"${x}\" ]; then\n    . \"${x}\"\n  fi\ndone\n";
/// As upstream has it.
const MKCONFIG: &str = "#! /bin/sh\nset -e\nsysconfdir=\"/etc\"\ngrub_mkconfig_dir=\"${sysconfdir}\"/grub.d\n\
    if test -f ${sysconfdir}/default/grub ; then\n  . ${sysconfdir}/default/grub\nfi\n";
const DEBIAN_CONFIG: &str = "CONFIG_INTEL_IOMMU=y\n# CONFIG_INTEL_IOMMU_DEFAULT_ON is not set\n\
    CONFIG_INTEL_IOMMU_DEFAULT_ON_INTGPU_OFF=y";
const ON: &str = "CONFIG_INTEL_IOMMU=y\nCONFIG_INTEL_IOMMU_DEFAULT_ON=y";
const OFF: &str = "CONFIG_INTEL_IOMMU=y\n# CONFIG_INTEL_IOMMU_DEFAULT_ON is not set";

pub(super) const UEFI: [(&str, &str, &str); 2] =
    [("/", "ext4", "/dev/nvme0n1p2"), ("/boot/efi", "vfat", "/dev/nvme0n1p1")];
pub(super) const ESP_AT_BOOT: [(&str, &str, &str); 2] =
    [("/", "btrfs", "/dev/nvme0n1p2"), ("/boot", "vfat", "/dev/nvme0n1p1")];

/// Every machine by its name.
pub fn all() -> Vec<(&'static str, Boot)> {
    let mut all = vec![
        ("arch-grub", arch_grub()),
        ("arch-systemd-boot", arch_systemd_boot()),
        ("arch-uki", arch_uki()),
        ("arch-uki-drop-ins", arch_uki_drop_ins()),
        ("arch-uki-no-source", arch_uki().without("etc/kernel/cmdline")),
        ("bootc-composefs", bootc_composefs()),
        ("cachyos-limine", cachyos_limine()),
        ("cachyos-sdboot-manage", cachyos_sdboot_manage()),
        ("debian-grub", debian_grub()),
        ("debian-systemd-boot", debian_systemd_boot()),
        ("debian-uki", debian_uki()),
        ("debian-uki-secure-boot", debian_uki_secure_boot()),
        ("fedora", fedora()),
        ("fedora-bootc", fedora_bootc()),
        ("fedora-silverblue", silverblue()),
        ("gentoo-grub", gentoo_grub()),
        ("limine-by-hand", limine_by_hand()),
        ("nothing-known", Boot::amd("root=/dev/sda1 ro").file("etc/lilo.conf", "append=\"quiet\"\n")),
        ("opensuse-grub", opensuse_grub()),
        ("opensuse-sdbootutil", opensuse_sdbootutil()),
        ("pop-os", pop_os()),
        ("proxmox-grub", proxmox_grub()),
        ("proxmox-zfs", proxmox_zfs()),
        ("refind", refind()),
        ("ubuntu-cloud", ubuntu_cloud()),
    ];
    all.extend(super::boots_limine::all());
    all.extend(super::boots_made::all());
    all
}

/// One of them.
pub fn of(name: &str) -> Boot {
    all().into_iter().find(|(there, _)| *there == name).unwrap_or_else(|| panic!("{name}")).1
}

fn debian_grub() -> Boot {
    let menu = "menuentry 'Debian GNU/Linux' --class debian {\n\tlinux\t/boot/vmlinuz-6.12.48+deb13-amd64 root=UUID=ab ro quiet\n}\n";
    Boot::intel("BOOT_IMAGE=/boot/vmlinuz-6.12.48+deb13-amd64 root=UUID=ab ro quiet")
        .kernel("6.1.0-38-amd64", DEBIAN_CONFIG)
        .kernel("6.12.48+deb13-amd64", DEBIAN_CONFIG)
        // A kernel that is gone has left what was made for it.
        .file("usr/lib/modules/6.1.0-9-amd64/modules.dep", "")
        .mounts(&UEFI)
        .file(
            "etc/default/grub",
            "GRUB_DEFAULT=0\nGRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\nGRUB_CMDLINE_LINUX=\"console=ttyS0\"\n",
        )
        .file("boot/grub/grub.cfg", menu)
        .file("boot/efi/EFI/debian/grub.cfg", "search.fs_uuid ab root\nconfigfile $prefix/grub.cfg\n")
        .bytes("boot/efi/EFI/debian/grubx64.efi", pe::program(&[(".text", b"GRUB")]))
        .file("usr/sbin/grub-mkconfig", MKCONFIG_DEBIAN)
        .programs(&["usr/sbin/update-grub", "usr/bin/grub-script-check"])
        .variable("LoaderInfo", "GRUB 2.12-9+deb13u2")
        .secure_boot(true)
}

fn ubuntu_cloud() -> Boot {
    Boot::amd("BOOT_IMAGE=/vmlinuz-6.8.0-79-generic root=UUID=cd ro console=tty1 console=ttyS0 crashkernel=1G")
        .kernel("6.8.0-79-generic", ON)
        .mounts(&[("/", "ext4", "/dev/vda1"), ("/boot", "ext4", "/dev/vda16"), ("/boot/efi", "vfat", "/dev/vda15")])
        .file("etc/default/grub", "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet splash iommu=pt\"\nGRUB_CMDLINE_LINUX=\"\"\n")
        .file(
            "etc/default/grub.d/50-cloudimg-settings.cfg",
            "GRUB_TIMEOUT=0\nGRUB_CMDLINE_LINUX_DEFAULT=\"console=tty1 console=ttyS0\"\n",
        )
        .file("etc/default/grub.d/init-select.cfg", "_DPKG=1\n")
        .file(
            "etc/default/grub.d/kdump-tools.cfg",
            "GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT crashkernel=1G\"\n",
        )
        .file("boot/grub/grub.cfg", "linux /vmlinuz-6.8.0-79-generic root=UUID=cd ro console=tty1\n")
        .file("usr/sbin/grub-mkconfig", MKCONFIG_DEBIAN)
        .programs(&["usr/sbin/update-grub", "usr/bin/grub-script-check"])
}

fn arch_grub() -> Boot {
    Boot::intel("BOOT_IMAGE=/boot/vmlinuz-linux root=UUID=ef rw loglevel=3")
        .modules("6.17.1-arch1-1")
        .file("proc/sys/kernel/osrelease", "6.17.1-arch1-1\n")
        .bytes("proc/config.gz", packed(&format!("CONFIG_PCI=y\n{OFF}\n")))
        .mounts(&[("/", "ext4", "/dev/sda2"), ("/efi", "vfat", "/dev/sda1")])
        .file(
            "etc/default/grub",
            "# GRUB boot loader configuration\nGRUB_CMDLINE_LINUX_DEFAULT=\"loglevel=3 quiet\"\nGRUB_CMDLINE_LINUX=\"\"\n",
        )
        .file("boot/grub/grub.cfg", "linux /boot/vmlinuz-linux root=UUID=ef rw loglevel=3 quiet\n")
        .file("usr/bin/grub-mkconfig", MKCONFIG)
        .programs(&["usr/bin/grub-script-check"])
}

fn arch_systemd_boot() -> Boot {
    let entry = |name: &str, image: &str| {
        format!("title   {name}\nlinux   /vmlinuz-linux\ninitrd  /{image}\noptions root=PARTUUID=12 rw quiet\n")
    };
    Boot::intel("initrd=\\initramfs-linux.img root=PARTUUID=12 rw quiet")
        .modules("6.17.1-arch1-1")
        .file("usr/lib/modules/6.17.1-arch1-1/build/.config", &format!("CONFIG_PCI=y\n{ON}\n"))
        .mounts(&ESP_AT_BOOT)
        .systemd_boot("boot", "258.1-1-arch")
        .variable("LoaderEntrySelected", "arch.conf")
        .file("boot/loader/loader.conf", "default arch.conf\ntimeout 3\n")
        .file("boot/loader/entries/arch.conf", &entry("Arch Linux", "initramfs-linux.img"))
        .file("boot/loader/entries/arch-fallback.conf", &entry("Arch Linux (fallback)", "initramfs-linux-fallback.img"))
        .file("boot/loader/entries/windows.conf", "title Windows\nefi /EFI/Microsoft/Boot/bootmgfw.efi\n")
        .file("boot/loader/entries/memtest.conf", "title Memtest86+\nlinux /memtest86+/memtest.bin\n")
}

/// What mkinitcpio is told of one kernel.
const PRESET: &str = "ALL_kver=\"/boot/vmlinuz-linux\"\nPRESETS=('default' 'fallback')\n\n\
    #default_image=\"/boot/initramfs-linux.img\"\ndefault_uki=\"/efi/EFI/Linux/arch-linux.efi\"\n\
    #default_options=\"--splash /usr/share/systemd/bootctl/splash-arch.bmp\"\n\n\
    fallback_uki=\"/efi/EFI/Linux/arch-linux-fallback.efi\"\nfallback_options=\"-S autodetect\"\n";

fn arch_uki() -> Boot {
    let line = "root=UUID=34 rw quiet";
    Boot::amd(line)
        .modules("6.17.1-arch1-1")
        .mounts(&[("/", "btrfs", "/dev/nvme0n1p2"), ("/efi", "vfat", "/dev/nvme0n1p1")])
        .systemd_boot("efi", "258.1-1-arch")
        .variable("StubInfo", "systemd-stub 258.1-1-arch")
        .variable("LoaderEntrySelected", "arch-linux.efi")
        .bytes("efi/EFI/Linux/arch-linux.efi", pe::image("258.1-1-arch", line))
        .bytes("efi/EFI/Linux/arch-linux-fallback.efi", pe::image("258.1-1-arch", line))
        .file("boot/vmlinuz-linux", "kernel")
        .file("etc/mkinitcpio.conf", "HOOKS=(base udev)\n")
        .file("etc/mkinitcpio.d/linux.preset", PRESET)
        .file("etc/kernel/cmdline", &format!("{line}\n"))
        .programs(&["usr/bin/mkinitcpio"])
}

fn arch_uki_drop_ins() -> Boot {
    arch_uki()
        .without("etc/kernel/cmdline")
        .file("etc/cmdline.d/root.conf", "root=UUID=34 rw\n")
        .file("etc/cmdline.d/look.conf", "# a comment\nquiet\n")
}

fn gentoo_grub() -> Boot {
    Boot::intel("BOOT_IMAGE=/vmlinuz-6.12.41-gentoo root=/dev/sda3 ro")
        .modules("6.12.41-gentoo")
        .file("usr/lib/modules/6.12.41-gentoo/build/.config", &format!("CONFIG_PCI=y\n{OFF}\n"))
        .file("etc/default/grub", "GRUB_DISTRIBUTOR=\"Gentoo\"\n#GRUB_CMDLINE_LINUX=\"\"\n")
        .file("boot/grub/grub.cfg", "linux /vmlinuz-6.12.41-gentoo root=/dev/sda3 ro\n")
        .file("usr/sbin/grub-mkconfig", MKCONFIG)
}

/// An entry as kernel-install writes it.
fn entry(title: &str, release: &str, line: &str) -> String {
    format!(
        "title      {title}\nversion    {release}\nmachine-id 5f\nsort-key   x\noptions    {line}\n\
         linux      /5f/{release}/linux\ninitrd     /5f/{release}/initrd\n"
    )
}

fn fedora() -> Boot {
    let line = "root=UUID=56 ro rhgb quiet";
    let bls = |title: &str| {
        format!("title {title}\nversion x\nlinux /vmlinuz-x\ninitrd /initramfs-x.img $tuned_initrd\noptions {line} $tuned_params\ngrub_class fedora\n")
    };
    Boot::intel(&format!("BOOT_IMAGE=(hd0,gpt2)/vmlinuz-6.17.4-300.fc43.x86_64 {line}"))
        .modules("6.17.4-300.fc43.x86_64")
        .file("usr/lib/modules/6.17.4-300.fc43.x86_64/config", &format!("CONFIG_PCI=y\n{ON}\n"))
        .mounts(&[("/", "btrfs", "/dev/vda3"), ("/boot", "ext4", "/dev/vda2"), ("/boot/efi", "vfat", "/dev/vda1")])
        .file(
            "etc/default/grub",
            "GRUB_TIMEOUT=5\nGRUB_CMDLINE_LINUX=\"rhgb quiet\"\nGRUB_DISABLE_RECOVERY=\"true\"\nGRUB_ENABLE_BLSCFG=true\n",
        )
        .file("etc/kernel/cmdline", &format!("{line}\n"))
        .file("boot/grub2/grub.cfg", "insmod blscfg\nblscfg\n")
        .file("boot/efi/EFI/fedora/grub.cfg", "configfile $prefix/grub.cfg\n")
        .bytes("boot/efi/EFI/BOOT/BOOTX64.EFI", pe::program(&[(".text", b"shim")]))
        .file("boot/loader/entries/5f-0-rescue.conf", &bls("Fedora Linux (0-rescue-5f)"))
        .file("boot/loader/entries/5f-6.17.4-300.fc43.x86_64.conf", &bls("Fedora Linux (6.17.4)"))
        .file("usr/bin/grub2-mkconfig", MKCONFIG)
        .programs(&["usr/bin/grub2-script-check", "usr/sbin/grubby"])
}

fn silverblue() -> Boot {
    let entry = |version: u32, line: &str| {
        format!("title Fedora Linux 43 (ostree:{version})\nversion {version}\noptions {line} ostree=/ostree/boot.1/fedora/x/0\nlinux /ostree/fedora-x/vmlinuz\n")
    };
    fedora()
        .without("boot/loader/entries/5f-0-rescue.conf")
        .without("boot/loader/entries/5f-6.17.4-300.fc43.x86_64.conf")
        .file("run/ostree-booted", "")
        .file("boot/loader.1/entries/ostree-1.conf", &entry(1, "root=UUID=56 rw quiet"))
        .file("boot/loader.1/entries/ostree-2.conf", &entry(2, "root=UUID=56 rw quiet rhgb"))
        .link("boot/loader", "loader.1")
        .programs(&["usr/bin/rpm-ostree"])
}

/// The same without rpm-ostree: an image of bootc's.
fn fedora_bootc() -> Boot {
    silverblue().without("usr/bin/rpm-ostree").file("usr/bin/bootc", "\x7fELF set-options-for-source")
}

/// bootc with its other backend.
fn bootc_composefs() -> Boot {
    let line = "root=UUID=57 rw composefs=2aa5";
    Boot::intel(line)
        .modules("6.17.4-300.fc43.x86_64")
        .mounts(&UEFI)
        .systemd_boot("boot/efi", "258.1-1")
        .file(
            "boot/efi/loader/entries/bootc_fedora-43.20251125.0-1.conf",
            &format!("title Fedora\nversion 43\nlinux /EFI/Linux/bootc_2aa5/vmlinuz\noptions {line}\n"),
        )
        .programs(&["usr/bin/bootc", "usr/bin/dracut"])
}

fn opensuse_grub() -> Boot {
    Boot::amd("BOOT_IMAGE=/boot/vmlinuz-6.17.2-1-default root=UUID=78 splash=silent")
        .modules("6.17.2-1-default")
        .file("usr/lib/modules/6.17.2-1-default/config", &format!("CONFIG_PCI=y\n{OFF}\n"))
        .mounts(&UEFI)
        .file("etc/default/grub", "GRUB_CMDLINE_LINUX_DEFAULT=\"splash=silent\"\nGRUB_CMDLINE_LINUX=\"\"\n")
        .file("etc/sysconfig/bootloader", "LOADER_TYPE=\"grub2-efi\"\n")
        .file("boot/grub2/grub.cfg", "linux /boot/vmlinuz-6.17.2-1-default root=UUID=78 splash=silent\n")
        .file("usr/sbin/grub2-mkconfig", MKCONFIG)
        .file("usr/bin/sdbootutil", "#!/bin/bash\nfor i in /etc/kernel/cmdline.d/*; do :; done\n")
        .programs(&["usr/bin/grub2-script-check"])
}

/// The second snapshot of four, on which entries are made; another system has an entry on the same ESP.
fn opensuse_sdbootutil() -> Boot {
    let line = |snapshot: u8| format!("root=UUID=78 splash=silent rootflags=subvol=@/.snapshots/{snapshot}/snapshot");
    let now = entry("openSUSE Tumbleweed", "4@6.17.2-1-default", &line(4)).replace("machine-id 5f\n", "");
    let then = now.replace("sort-key   x", "sort-key   snapper-opensuse").replace(&line(4), &line(3));
    Boot::amd(&line(4))
        .modules("6.17.2-1-default")
        .file(
            "proc/self/mountinfo",
            "20 1 0:30 /@/.snapshots/4/snapshot / rw,relatime shared:1 - btrfs /dev/nvme0n1p2 rw\n\
             21 1 259:1 / /boot/efi rw,relatime shared:1 - vfat /dev/nvme0n1p1 rw\n",
        )
        .link("dev/disk/by-uuid/78", "../../nvme0n1p2")
        .link("dev/disk/by-uuid/99", "../../sda2")
        .systemd_boot("boot/efi", "257.9+suse")
        .file("etc/sysconfig/bootloader", "LOADER_TYPE=\"systemd-boot\"\n")
        .file("etc/kernel/cmdline", "root=UUID=78 splash=silent\n")
        .file("etc/kernel/cmdline.d/quiet.conf", "quiet\n")
        .file("boot/efi/loader/entries/opensuse-6.17.2-1-default-4.conf", &now)
        .file("boot/efi/loader/entries/opensuse-6.17.2-1-default-3.conf", &then)
        .file("boot/efi/loader/entries/other.conf", "title Other\nlinux /other\noptions root=UUID=99 ro\n")
        .file("usr/bin/sdbootutil", "#!/bin/bash\nfor i in /etc/kernel/cmdline.d/*; do :; done\n")
        .file("etc/default/grub", "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\n")
}

/// kernelstub's configuration as it writes it, with what the user has in the list.
pub fn kernelstub(options: &[&str]) -> String {
    let list: Vec<String> = options.iter().map(|option| format!("      \"{option}\"")).collect();
    let part = |name: &str, list: &str, yes: bool| {
        format!(
            "  \"{name}\": {{\n    \"kernel_options\": [\n{list}\n    ],\n    \"esp_path\": \"/boot/efi\",\n    \
             \"setup_loader\": {yes},\n    \"manage_mode\": {yes},\n    \"force_update\": false,\n    \
             \"live_mode\": false,\n    \"config_rev\": 3\n  }}"
        )
    };
    let default = part("default", "      \"quiet\",\n      \"splash\"", false);
    format!("{{\n{default},\n{}\n}}", part("user", &list.join(",\n"), true))
}

fn pop_os() -> Boot {
    let huge = ["quiet", "hugepagesz=1G", "hugepages=4", "hugepagesz=2M", "hugepages=64"];
    let entry = |options: &str| {
        format!(
            "title Pop!_OS\nlinux /EFI/Pop_OS-9a/vmlinuz.efi\ninitrd /EFI/Pop_OS-9a/initrd.img\noptions {options}\n"
        )
    };
    let line = format!("root=UUID=9a ro {}", huge.join(" "));
    Boot::intel(&format!("initrd=\\EFI\\Pop_OS-9a\\initrd.img {line}"))
        .kernel("6.16.3-76061603-generic", ON)
        .file("boot/vmlinuz-6.16.3-76061603-generic", "")
        .file("boot/initrd.img-6.16.3-76061603-generic", "")
        .mounts(&UEFI)
        .systemd_boot("boot/efi", "255.4-1ubuntu8")
        .file("etc/kernelstub/configuration", &kernelstub(&huge))
        .file("boot/efi/loader/entries/Pop_OS-current.conf", &entry(&line))
        // Of a kernel that is no longer there: it is not written again.
        .file("boot/efi/loader/entries/Pop_OS-oldkern.conf", &entry("root=UUID=9a ro quiet"))
        .file(
            "boot/efi/loader/entries/Recovery-1B2C.conf",
            "title Pop!_OS recovery\nlinux /EFI/Recovery-1B2C/vmlinuz.efi\noptions boot=casper hostname=recovery\n",
        )
        .programs(&["usr/bin/kernelstub"])
}

/// Proxmox VE on ZFS: two ESPs, which are not mounted; here they are below `unmounted`.
fn proxmox(line: &str) -> Boot {
    Boot::intel(line)
        .kernel("6.8.12-1-pve", ON)
        .file("boot/vmlinuz-6.8.12-1-pve", "")
        .file("boot/initrd.img-6.8.12-1-pve", "")
        .mounts(&[("/", "zfs", "rpool/ROOT/pve-1")])
        .file("etc/kernel/proxmox-boot-uuids", "ABCD-1234\nABCD-5678\n")
        .link("dev/disk/by-uuid/ABCD-1234", "../../nvme0n1p2")
        .link("dev/disk/by-uuid/ABCD-5678", "../../nvme1n1p2")
        .file(
            "etc/default/grub",
            "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\nGRUB_CMDLINE_LINUX=\"root=ZFS=rpool boot=zfs\"\n",
        )
        .file("boot/grub/grub.cfg", "linux /boot/vmlinuz-6.8.12-1-pve root=ZFS=/ROOT/pve-1 ro\n")
        .file("usr/sbin/grub-mkconfig", MKCONFIG_DEBIAN)
        .programs(&["usr/sbin/update-grub", "usr/bin/grub-script-check", "usr/sbin/proxmox-boot-tool"])
}

fn proxmox_zfs() -> Boot {
    let line = "root=ZFS=rpool/ROOT/pve-1 boot=zfs";
    let entry = format!(
        "title    Proxmox Virtual Environment\nversion  6.8.12-1-pve\noptions  {line}\n\
         linux    /EFI/proxmox/6.8.12-1-pve/vmlinuz-6.8.12-1-pve\n\
         initrd   /EFI/proxmox/6.8.12-1-pve/initrd.img-6.8.12-1-pve\n"
    );
    proxmox(&format!("initrd=\\EFI\\proxmox\\6.8.12-1-pve\\initrd.img-6.8.12-1-pve {line}"))
        .variable("LoaderInfo", "systemd-boot 252.31-1~deb12u1")
        .file("etc/kernel/cmdline", &format!("{line}\n"))
        .file("unmounted/ABCD-1234/loader/entries/proxmox-6.8.12-1-pve.conf", &entry)
        .file("unmounted/ABCD-5678/loader/entries/proxmox-6.8.12-1-pve.conf", &entry)
}

fn proxmox_grub() -> Boot {
    let menu = "linux /vmlinuz-6.8.12-1-pve root=ZFS=/ROOT/pve-1 ro\n";
    proxmox("BOOT_IMAGE=/vmlinuz-6.8.12-1-pve root=ZFS=/ROOT/pve-1 ro root=ZFS=rpool boot=zfs quiet")
        .file("unmounted/ABCD-1234/grub/grub.cfg", menu)
        .file("unmounted/ABCD-5678/grub/grub.cfg", menu)
}

fn cachyos_sdboot_manage() -> Boot {
    let entry = |image: &str, line: &str| {
        format!("title\tLinux Cachyos\nlinux\t/vmlinuz-linux-cachyos\ninitrd\t/{image}\noptions\t{line}\n")
    };
    Boot::amd("root=UUID=bc rw quiet")
        .modules("6.17.1-2-cachyos")
        .mounts(&ESP_AT_BOOT)
        .systemd_boot("boot", "258.1-1-arch")
        .file(
            "etc/sdboot-manage.conf",
            "# config file for sdboot-manage\nLINUX_OPTIONS=\"quiet\"\n#NO_AUTOGEN=\"no\"\n",
        )
        .file("boot/loader/entries/linux-cachyos.conf", &entry("initramfs-linux-cachyos.img", "root=UUID=bc rw quiet"))
        .file(
            "boot/loader/entries/linux-cachyos-fallback.conf",
            &entry("initramfs-linux-cachyos-fallback.img", "root=UUID=bc rw"),
        )
        .programs(&["usr/bin/sdboot-manage", "usr/bin/mkinitcpio"])
}

fn cachyos_limine() -> Boot {
    let menu = "timeout: 3\n\n/+CachyOS\n  //linux-cachyos\n  protocol: linux\n  path: boot():/x/vmlinuz\n  cmdline: root=UUID=de rw quiet\n";
    Boot::intel("root=UUID=de rw quiet")
        .modules("6.17.1-2-cachyos")
        .mounts(&ESP_AT_BOOT)
        .variable("LoaderInfo", "Limine 10.1.1")
        .file(
            "etc/default/limine",
            "ESP_PATH=\"/boot\"\nKERNEL_CMDLINE[default]+=\"root=UUID=de rw quiet\"\nENABLE_UKI=yes\n",
        )
        .file("boot/limine.conf", menu)
        .bytes("boot/EFI/limine/limine_x64.efi", pe::program(&[(".text", b"Limine")]))
        .bytes("boot/EFI/Linux/cachyos_linux-cachyos.efi", pe::image("258.1-1-arch", "root=UUID=de rw quiet"))
        .programs(&["usr/bin/limine", "usr/bin/limine-mkinitcpio", "usr/bin/limine-update"])
}

fn limine_by_hand() -> Boot {
    let menu = "/Linux\n    protocol: linux\n    kernel_path: boot():/vmlinuz\n    kernel_cmdline: root=/dev/sda2 rw\n";
    Boot::intel("root=/dev/sda2 rw")
        .mounts(&[("/", "ext4", "/dev/sda2"), ("/boot", "vfat", "/dev/sda1")])
        .file("boot/limine/limine.conf", menu)
        .file("boot/limine.cfg", ":Linux\nPROTOCOL=linux\nKERNEL_CMDLINE=root=/dev/sda2 rw\n")
}

fn debian_systemd_boot() -> Boot {
    let line = "root=UUID=f0 ro quiet systemd.machine_id=5f";
    Boot::intel(line)
        .kernel("6.12.48+deb13-amd64", DEBIAN_CONFIG)
        .mounts(&UEFI)
        .systemd_boot("boot/efi", "257.9-1~deb13u1")
        .variable("LoaderEntrySelected", "5f-6.12.48+deb13-amd64.conf")
        .file("etc/machine-id", "5f\n")
        .file("etc/kernel/cmdline", "root=UUID=f0 ro quiet\n")
        .file("boot/efi/loader/entries/5f-6.12.48+deb13-amd64.conf", &entry("Debian", "6.12.48+deb13-amd64", line))
        .file("boot/efi/loader/entries/5f-6.12.57+deb13-amd64+3-1.conf", &entry("Debian", "6.12.57+deb13-amd64", line))
        .file("boot/efi/loader/entries/5f-6.12.57+deb13-amd64+3-1.conf.tmp", "options half\n")
        // Another system's on the same ESP.
        .file("boot/efi/loader/entries/77-6.17.4.conf", &entry("Fedora", "6.17.4", line).replace("5f", "77"))
}

fn debian_uki() -> Boot {
    let line = "root=UUID=f1 ro quiet";
    Boot::intel(line)
        .kernel("6.12.48+deb13-amd64", DEBIAN_CONFIG)
        .mounts(&UEFI)
        .systemd_boot("boot/efi", "257.9-1~deb13u1")
        .variable("StubInfo", "systemd-stub 257.9-1~deb13u1")
        .file("etc/kernel/install.conf", "layout=uki\n")
        .file("etc/kernel/cmdline", &format!("{line}\n"))
        .bytes("boot/efi/EFI/Linux/5f-6.12.48+deb13-amd64.efi", pe::image("257.9-1~deb13u1", line))
        .bytes("boot/efi/loader/addons/vfio.addon.efi", pe::addon("intel_iommu=on iommu=pt"))
        .file("usr/bin/kernel-install", "verbs: add add-all remove\n")
        .with_ukify()
}

fn debian_uki_secure_boot() -> Boot {
    debian_uki().secure_boot(true).file(
        "etc/kernel/uki.conf",
        "[UKI]\nSecureBootPrivateKey=/etc/kernel/key.pem\nSecureBootCertificate=/etc/kernel/cert.pem\n",
    )
}

fn refind() -> Boot {
    let stanza = |name: &str, last: &str| {
        format!("menuentry \"{name}\" {{\n    loader /vmlinuz-linux\n    options \"root=UUID=aa rw\"\n{last}}}\n")
    };
    Boot::amd("root=UUID=aa rw initrd=initramfs-linux.img")
        .modules("6.17.1-arch1-1")
        .mounts(&ESP_AT_BOOT)
        .variable("LoaderInfo", "rEFInd 0.14.2")
        .file("boot/refind_linux.conf", "\"Boot with standard options\"  \"root=UUID=aa rw\"\n")
        .file("boot/EFI/refind/refind.conf", &(stanza("Arch", "") + &stanza("Sample", "    disabled\n")))
        .bytes("boot/EFI/refind/refind_x64.efi", pe::program(&[(".text", b"rEFInd")]))
}

/// Text as gzip packs it.
pub fn packed(text: &str) -> Vec<u8> {
    use std::io::Write as _;
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(text.as_bytes()).unwrap();
    packer.finish().unwrap()
}
