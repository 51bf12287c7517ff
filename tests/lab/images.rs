// SPDX-License-Identifier: LGPL-2.1-or-later
//! The machine lab's disks: a Debian with a kernel (layers.rs), our package put on it by apt, a scenario's configuration, a
//! new initramfs. Each is cached.

use crate::compiled::{module, CARD};
use crate::extra::with_packages;
use crate::layers::{copy, enter, write, Initramfs};
use crate::{cache, tools};
use anyhow::{bail, Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// What kernel-install calls.
const KERNEL_INSTALL: &str = "usr/lib/kernel/install.d/95-vfio.install";

/// The programs of our package that are for systems without systemd too.
const PROGRAMS: [&str; 7] = [
    "usr/bin/vfio",
    "usr/lib/udev/vfio-udev",
    "usr/lib/vfio/vfio-bind",
    "usr/lib/vfio/vfio-guest",
    "usr/lib/vfio/vfio-sync",
    "usr/sbin/vfio-libvirt-hook",
    KERNEL_INSTALL,
];

/// A machine's disk as a scenario wants it.
#[derive(Debug, Clone, Hash)]
pub struct Disk {
    /// Scenarios that want the same disk say the same name.
    pub name: &'static str,
    /// Its Debian.
    pub suite: &'static str,
    /// What builds its initramfs.
    pub initramfs: Initramfs,
    /// Further packages of Debian, with blanks between them.
    pub packages: &'static str,
    /// Our package's programs and the scripts for OpenRC, as `make install` puts them there, instead of the package.
    pub openrc: bool,
    /// What the cards look like (guest/card): the parameter `card` of its module.
    pub cards: Option<&'static str>,
    /// Files written after our package was installed; scripts are executable.
    pub files: Vec<(&'static str, String)>,
    /// Files of the host that are copied in.
    pub copies: Vec<(PathBuf, &'static str)>,
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
    /// A Debian 13 with our package, as installed.
    pub fn new(name: &'static str, initramfs: Initramfs) -> Self {
        Disk {
            name,
            suite: "trixie",
            initramfs,
            packages: "",
            openrc: false,
            cards: None,
            files: Vec::new(),
            copies: Vec::new(),
            commands: Vec::new(),
            rebuild: true,
            report: Vec::new(),
        }
    }

    /// The disk, built if it is not there.
    pub fn build(&self) -> Result<Built> {
        let from = with_packages(self.suite, self.initramfs, self.packages)?;
        let package = package()?;
        let key = cache::key(&(self, &from, cache::file_key(&package)?, include_str!("images.rs")));
        let dir = cache::entry(&format!("disk-{}", self.name), key, |dir| {
            let tree = dir.join("tree");
            copy(&from.join("tree"), &tree)?;
            if self.openrc {
                openrc(&package, &tree)?;
            } else {
                fs::copy(&package, tree.join("vfio-suite.deb"))?;
                enter(&tree, "apt-get -y --no-install-recommends install /vfio-suite.deb")?;
                fs::remove_file(tree.join("vfio-suite.deb"))?;
            }
            for (path, content) in &self.files {
                write(&tree, path, content, if content.starts_with("#!") { 0o755 } else { 0o644 })?;
            }
            for (file, path) in &self.copies {
                let to = tree.join(path);
                fs::create_dir_all(to.parent().context("a file without a directory")?)?;
                fs::copy(file, to).with_context(|| format!("cannot copy {}", file.display()))?;
            }
            if let Some(cards) = self.cards {
                disguise(&tree, self.suite, cards)?;
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

/// The programs of a package, laid out for a system without systemd.
fn openrc(package: &Path, tree: &Path) -> Result<()> {
    let unpacked = tree.with_extension("package");
    tools::output(tools::command("dpkg-deb")?.arg("-x").arg(package).arg(&unpacked))?;
    let programs = unpacked.join("programs");
    fs::create_dir(&programs)?;
    for path in PROGRAMS {
        let file = Path::new(path).file_name().context("a program without a name")?;
        fs::rename(
            unpacked.join(path),
            programs.join(if path == KERNEL_INSTALL { "vfio-kernel-install".as_ref() } else { file }),
        )?;
    }
    let mut make = tools::command("make")?;
    make.arg("-C").arg(env!("CARGO_MANIFEST_DIR")).args(["install", "NOBUILD=1", "OPENRC=1", "SYSTEMD="]);
    make.arg("UDEVDIR=/usr/lib/udev").arg(format!("RELEASE={}", programs.display()));
    tools::output(make.arg(format!("DESTDIR={}", tree.display())))?;
    cache::remove(&unpacked)
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

/// Has the initramfs of initramfs-tools give the cards another identity, before anything looks at them.
fn disguise(tree: &Path, suite: &str, cards: &str) -> Result<()> {
    let modules = find(&tree.join("usr/lib/modules"), "")?;
    fs::create_dir_all(modules.join("extra"))?;
    fs::copy(module(suite, CARD)?, modules.join("extra/lab_card.ko"))?;
    enter(tree, "depmod $(ls /usr/lib/modules)")?;
    write(tree, "etc/modprobe.d/lab-card.conf", &format!("options lab_card card={cards}\n"), 0o644)?;
    let hook = "#!/bin/sh\n. /usr/share/initramfs-tools/hook-functions\nmanual_add_modules lab_card\n";
    write(tree, "etc/initramfs-tools/hooks/lab-card", hook, 0o755)?;
    // The scripts of init-top that wait for nothing run by name.
    let script = "#!/bin/sh\n[ \"$1\" = prereqs ] || modprobe lab_card\n";
    write(tree, "etc/initramfs-tools/scripts/init-top/00-card", script, 0o755)
}

/// The one file in `dir` whose name starts so.
pub fn find(dir: &Path, start: &str) -> Result<PathBuf> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(start) {
            return Ok(entry.path());
        }
    }
    bail!("{} has no {start}*", dir.display())
}
