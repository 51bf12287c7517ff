// SPDX-License-Identifier: LGPL-2.1-or-later
//! The images of the machine lab, in layers, each cached: a Debian from the mirror, a kernel with one of the two initramfs
//! generators, and what a scenario puts on it (our package by apt, its configuration, a new initramfs).
//!
//! All is built in directories and chroots on the host, at the host's speed; the disk is written by mke2fs. No loop
//! device, no mount that outlives its command.

use crate::{apt, cache, tools};
use anyhow::{bail, Context, Result};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What every machine has beside the essential packages. QEMU is for the guest in the guest.
const PACKAGES: &str = "systemd,systemd-sysv,udev,kmod,e2fsprogs,procps,pciutils,pci.ids,qemu-system-x86,seabios";

/// Units that cost time at boot or act on their own, and that no scenario is about.
const MASKED: [&str; 16] = [
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
    fn rebuild(self) -> &'static str {
        match self {
            Initramfs::Dracut => "dracut --quiet --force /boot/initrd.img-$(ls /lib/modules) $(ls /lib/modules)",
            Initramfs::InitramfsTools => "update-initramfs -c -k $(ls /lib/modules)",
        }
    }
}

/// A machine's disk as a scenario wants it.
#[derive(Debug, Clone, Hash)]
pub struct Disk {
    /// Scenarios that want the same disk say the same name.
    pub name: &'static str,
    /// Its Debian.
    pub suite: &'static str,
    /// What builds its initramfs.
    pub initramfs: Initramfs,
    /// Files written after our package was installed.
    pub files: Vec<(&'static str, String)>,
    /// Commands run then, in the machine's root. `REBUILD` in one stands for the command that builds the initramfs.
    pub commands: Vec<String>,
    /// Whether the initramfs is built anew then, as an administrator does who has changed the configuration.
    pub rebuild: bool,
    /// Commands run last; what they print is kept as `report`.
    pub report: Vec<&'static str>,
}

/// A disk that is ready.
#[derive(Debug, Clone)]
pub struct Built {
    dir: PathBuf,
}

impl Built {
    /// The disk: raw, never to be written to.
    pub fn disk(&self) -> PathBuf {
        self.dir.join("disk.img")
    }

    /// Its kernel.
    pub fn kernel(&self) -> PathBuf {
        self.dir.join("vmlinuz")
    }

    /// Its initramfs.
    pub fn initrd(&self) -> PathBuf {
        self.dir.join("initrd")
    }

    /// What the report's commands printed.
    pub fn report(&self) -> Result<String> {
        Ok(fs::read_to_string(self.dir.join("report"))?)
    }
}

impl Disk {
    /// The disk, built if it is not there.
    pub fn build(&self) -> Result<Built> {
        let from = with_kernel(self.suite, self.initramfs)?;
        let package = package()?;
        let key = cache::key(&(self, &from, cache::file_key(&package)?, include_str!("images.rs")));
        let dir = cache::entry(&format!("disk-{}", self.name), key, |dir| {
            let tree = dir.join("tree");
            copy(&from.join("tree"), &tree)?;
            fs::copy(&package, tree.join("vfio-suite.deb"))?;
            enter(&tree, "apt-get -y --no-install-recommends install /vfio-suite.deb")?;
            fs::remove_file(tree.join("vfio-suite.deb"))?;
            for (path, content) in &self.files {
                write(&tree, path, content, 0o644)?;
            }
            for command in &self.commands {
                enter(&tree, &command.replace("REBUILD", self.initramfs.rebuild()))?;
            }
            if self.rebuild {
                enter(&tree, self.initramfs.rebuild())?;
            }
            let mut report = String::new();
            for command in &self.report {
                report += &enter(&tree, command)?;
            }
            fs::write(dir.join("report"), report)?;
            for (name, file) in [("vmlinuz-", "vmlinuz"), ("initrd.img-", "initrd")] {
                fs::copy(find(&tree.join("boot"), name)?, dir.join(file))?;
            }
            let mut mke2fs = tools::command("mke2fs")?;
            mke2fs.args(["-q", "-t", "ext4", "-E", "root_owner=0:0", "-d"]).arg(&tree).arg(dir.join("disk.img"));
            tools::output(mke2fs.arg("4G"))?;
            cache::remove(&tree)
        })?;
        Ok(Built { dir })
    }
}

/// Our package: the newest in dist/, or `$VFIO_LAB_DEB`.
pub fn package() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("VFIO_LAB_DEB") {
        return Ok(PathBuf::from(path));
    }
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("dist");
    let entries = fs::read_dir(&dist).map(|entries| entries.filter_map(Result::ok).map(|e| e.path()).collect());
    let mut packages: Vec<PathBuf> = entries.unwrap_or_default();
    packages.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("vfio-suite_") && name.ends_with("_amd64.deb")
    });
    packages.sort_by_key(|path| fs::metadata(path).and_then(|data| data.modified()).ok());
    packages.pop().with_context(|| format!("there is no package in {}: run `make deb` first", dist.display()))
}

/// Layer 1: a Debian without a kernel; the packages of the kernel and of both generators are there, not installed.
fn base(suite: &str) -> Result<PathBuf> {
    if !rustix::process::geteuid().is_root() {
        bail!("the machine lab builds its images with chroot and needs root; the micro lab does not (`-- micro`)");
    }
    let init = include_str!("guest/machine.sh");
    let key = cache::key(&(suite, include_str!("images.rs"), init));
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
        configure(&tree)
    })
}

/// How a kernel and a generator are installed. The initramfs comes later: a scenario changes it anyway.
fn install(option: &str, initramfs: Initramfs) -> String {
    let packages = initramfs.packages();
    format!("INITRD=No apt-get -y --no-install-recommends {option} install linux-image-amd64 {packages}")
}

/// Layer 2: with a kernel.
fn with_kernel(suite: &str, initramfs: Initramfs) -> Result<PathBuf> {
    let from = base(suite)?;
    let key = cache::key(&(&from, include_str!("images.rs")));
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
fn enter(tree: &Path, command: &str) -> Result<String> {
    let setup = "mount -t proc proc \"$1/proc\"; mount -t tmpfs tmpfs \"$1/run\"; mount --rbind /dev \"$1/dev\"; \
                 exec chroot \"$1\" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
                 DEBIAN_FRONTEND=noninteractive /bin/sh -ec \"$2\"";
    let mut unshare: Command = tools::command("unshare")?;
    unshare.args(["--mount", "--pid", "--fork", "--kill-child", "/bin/sh", "-ec", setup, "sh"]);
    let output = tools::output(unshare.arg(tree).arg(command));
    output.with_context(|| format!("in the machine's root: {command}"))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    tools::output(tools::command("cp")?.args(["--archive", "--reflink=auto"]).arg(from).arg(to)).map(drop)
}

fn write(tree: &Path, path: &str, content: &str, mode: u32) -> Result<()> {
    let file = tree.join(path);
    fs::create_dir_all(file.parent().context("a file without a directory")?)?;
    fs::write(&file, content).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(fs::set_permissions(&file, fs::Permissions::from_mode(mode))?)
}

/// The one file in `dir` whose name starts so.
fn find(dir: &Path, start: &str) -> Result<PathBuf> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(start) {
            return Ok(entry.path());
        }
    }
    bail!("{} has no {start}*", dir.display())
}
