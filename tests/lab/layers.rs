// SPDX-License-Identifier: LGPL-2.1-or-later
//! The layers below the machine lab's disks, each cached: a Debian from the mirror, and on it a kernel with one of the two
//! initramfs generators.
//!
//! All is built in directories and chroots on the host, at the host's speed. No loop device, no mount that outlives its
//! command.

use crate::{apt, cache, tools};
use anyhow::{bail, Context, Result};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What every machine has beside the essential packages. QEMU is for the guest in the guest.
const PACKAGES: &str = "systemd,systemd-sysv,udev,kmod,e2fsprogs,procps,pciutils,pci.ids,qemu-system-x86,seabios";

/// What builds a kernel module, beside the kernel's headers.
pub const COMPILER: &str = "gcc make pahole";

/// How packages are installed in a tree.
pub const APT: &str = "apt-get -y --no-install-recommends";

/// Units that cost time at boot or act on their own, and that no scenario is about.
const MASKED: [&str; 29] = [
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "systemd-tmpfiles-clean.timer",
    "getty@tty1.service",
    "serial-getty@ttyS0.service",
    "getty-static.service",
    "systemd-timesyncd.service",
    "systemd-networkd.service",
    "systemd-networkd-wait-online.service",
    "systemd-pstore.service",
    "systemd-firstboot.service",
    "systemd-machine-id-commit.service",
    "ldconfig.service",
    "systemd-journal-catalog-update.service",
    "systemd-hwdb-update.service",
    "systemd-sysusers.service",
    "systemd-update-done.service",
    "sys-kernel-config.mount",
    "sys-fs-fuse-connections.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "proc-sys-fs-binfmt_misc.automount",
    "modprobe@efi_pstore.service",
];

/// The initramfs generators of Debian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Initramfs {
    /// dracut: systemd in the initramfs.
    Dracut,
    /// initramfs-tools: a shell and scripts in the initramfs.
    InitramfsTools,
}

impl Initramfs {
    fn packages(self) -> &'static str {
        match self {
            Initramfs::Dracut => "dracut",
            Initramfs::InitramfsTools => "initramfs-tools zstd busybox-static",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Initramfs::Dracut => "dracut",
            Initramfs::InitramfsTools => "initramfs-tools",
        }
    }

    /// What an administrator of this machine would have written, only that it boots any machine and packs quickly.
    fn configuration(self) -> (&'static str, &'static str) {
        match self {
            Initramfs::Dracut => ("etc/dracut.conf.d/lab.conf", "hostonly=\"no\"\ncompress=\"cat\"\n"),
            Initramfs::InitramfsTools => {
                ("etc/initramfs-tools/conf.d/lab.conf", "COMPRESS=zstd\nCOMPRESSLEVEL=1\nMODULES=most\n")
            }
        }
    }

    /// Builds the initramfs anew.
    pub fn rebuild(self) -> &'static str {
        match self {
            Initramfs::Dracut => "dracut --quiet --force /boot/initrd.img-$(ls /lib/modules) $(ls /lib/modules)",
            Initramfs::InitramfsTools => "update-initramfs -c -k $(ls /lib/modules)",
        }
    }
}

/// Layer 1: a Debian without a kernel; the packages of the kernel and of both generators are there, not installed.
pub fn base(suite: &str) -> Result<PathBuf> {
    if !nix::unistd::geteuid().is_root() {
        bail!("the machine lab builds its images with chroot and needs root; the micro lab does not (`-- micro`)");
    }
    let init = include_str!("guest/machine.sh");
    let key = cache::key(&(suite, include_str!("layers.rs"), init));
    cache::entry(&format!("machine-{suite}"), key, |dir| {
        let tree = dir.join("tree");
        let mut debstrap = tools::command("mmdebstrap")?;
        debstrap.args(["--mode=root", "--variant=minbase", "--skip=cleanup/apt,cleanup/tmp"]);
        debstrap.arg(format!("--include={PACKAGES}")).arg("--aptopt=APT::Install-Recommends \"false\"");
        for proxy in apt::proxies()? {
            debstrap.arg(format!("--aptopt={proxy}"));
        }
        let source = apt::source(suite)?;
        tools::output(debstrap.args([suite, &tree.display().to_string(), source.trim()]).env("LC_ALL", "C"))?;
        for initramfs in [Initramfs::Dracut, Initramfs::InitramfsTools] {
            enter(&tree, &install("--download-only", initramfs))?;
        }
        enter(&tree, &format!("{APT} --download-only install {COMPILER}"))?;
        configure(&tree)
    })
}

/// How a kernel and a generator are installed. The initramfs comes later: a scenario changes it anyway.
fn install(option: &str, initramfs: Initramfs) -> String {
    let packages = initramfs.packages();
    format!("INITRD=No {APT} {option} install linux-image-amd64 {packages}")
}

/// Layer 2: with a kernel.
pub fn with_kernel(suite: &str, initramfs: Initramfs) -> Result<PathBuf> {
    let from = base(suite)?;
    let key = cache::key(&(&from, include_str!("layers.rs")));
    cache::entry(&format!("machine-{suite}-{}", initramfs.name()), key, |dir| {
        let tree = dir.join("tree");
        copy(&from.join("tree"), &tree)?;
        let (path, content) = initramfs.configuration();
        write(&tree, path, content, 0o644)?;
        enter(&tree, &install("", initramfs))?;
        enter(&tree, "apt-get clean")?;
        Ok(())
    })
}

/// What makes a tree a machine of the lab.
fn configure(tree: &Path) -> Result<()> {
    write(tree, "etc/fstab", "/dev/vda / ext4 defaults,noatime 0 0\n", 0o644)?;
    write(tree, "etc/hostname", "lab\n", 0o644)?;
    // With an id of its own no boot is a first boot, on which systemd does more.
    write(tree, "etc/machine-id", "6c616200000000000000000000000001\n", 0o444)?;
    write(tree, "etc/systemd/journald.conf.d/lab.conf", "[Journal]\nStorage=volatile\nRateLimitBurst=0\n", 0o644)?;
    write(tree, "usr/lib/lab/run", include_str!("guest/machine.sh"), 0o755)?;
    let unit = "[Unit]\nDescription=The lab's script\nDefaultDependencies=no\nAfter=multi-user.target\n\
                Conflicts=shutdown.target\nBefore=shutdown.target\n\n\
                [Service]\nType=oneshot\nExecStart=/usr/lib/lab/run\nTimeoutStartSec=infinity\n\n\
                [Install]\nWantedBy=multi-user.target\n";
    write(tree, "etc/systemd/system/lab.service", unit, 0o644)?;
    enter(tree, &format!("systemctl mask {}", MASKED.join(" ")))?;
    enter(tree, "systemctl enable lab.service && systemctl set-default multi-user.target")?;
    Ok(())
}

/// Runs a shell command in a tree: root changed, with /proc, /dev and an empty /run, in name spaces that end with it.
pub fn enter(tree: &Path, command: &str) -> Result<String> {
    let setup = "mount -t proc proc \"$1/proc\"; mount -t tmpfs tmpfs \"$1/run\"; mount --rbind /dev \"$1/dev\"; \
                 exec chroot \"$1\" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
                 DEBIAN_FRONTEND=noninteractive /bin/sh -ec \"$2\"";
    let mut unshare: Command = tools::command("unshare")?;
    unshare.args(["--mount", "--pid", "--fork", "--kill-child", "/bin/sh", "-ec", setup, "sh"]);
    let output = tools::output(unshare.arg(tree).arg(command));
    output.with_context(|| format!("in the machine's root: {command}"))
}

/// Copies a tree with all that belongs to its files.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    tools::output(tools::command("cp")?.args(["--archive", "--reflink=auto"]).arg(from).arg(to)).map(drop)
}

/// Writes a file of a tree, and the directories above it.
pub fn write(tree: &Path, path: &str, content: &str, mode: u32) -> Result<()> {
    let file = tree.join(path);
    fs::create_dir_all(file.parent().context("a file without a directory")?)?;
    fs::write(&file, content).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(fs::set_permissions(&file, fs::Permissions::from_mode(mode))?)
}
