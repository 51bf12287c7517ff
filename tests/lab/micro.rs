// SPDX-License-Identifier: LGPL-2.1-or-later
//! The micro lab: a distribution's kernel, a file system in memory made of busybox, the modules and our programs.
//! From start to power-off in 5 to 8 seconds.

use crate::cpio::Archive;
use crate::qemu::{self, Outcome, Spec, Start};
use crate::{apt, cache, run_dir, tools};
use anyhow::{bail, Context, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What the micro lab can load: the way out (9p), vfio, and the two host drivers with their friends. Without its codec's driver a
/// sound card is bound and has no card: snd_hda_intel gives up a moment later, and after 32 of these it binds none any more (the
/// kernel never clears their bits in `probed_devs`, `sound/pci/hda/hda_intel.c`).
const MODULES: [&str; 9] = [
    "virtio_pci",
    "9pnet_virtio",
    "9p",
    "vfio_pci",
    "vfio_iommu_type1",
    "bochs",
    "snd_hda_intel",
    "snd_hda_codec_generic",
    "fuse",
];

/// How the packages of a kernel begin, before its version: one package up to Debian 13, four after it.
const KERNEL: [&str; 4] = ["linux-base-", "linux-binary-", "linux-image-", "linux-modules-"];

/// Our programs, as cargo has just built them, where the package installs them.
const PROGRAMS: [(&str, &str); 5] = [
    ("usr/bin/vfio", env!("CARGO_BIN_EXE_vfio")),
    ("usr/lib/vfio/vfio-bind", env!("CARGO_BIN_EXE_vfio-bind")),
    ("usr/lib/vfio/vfio-guest", env!("CARGO_BIN_EXE_vfio-guest")),
    ("usr/lib/udev/vfio-udev", env!("CARGO_BIN_EXE_vfio-udev")),
    ("usr/lib/systemd/system-generators/vfio-generator", env!("CARGO_BIN_EXE_vfio-generator")),
];

/// A scenario of the micro lab.
pub struct Micro {
    /// The scenario's name; what it leaves is kept under it.
    pub name: String,
    /// Whose kernel: `trixie` (6.12), `bookworm` (6.1) or `trixie-backports` (newest).
    pub suite: &'static str,
    /// Further words on the kernel's command line.
    pub words: &'static str,
    /// The machine's devices (`qemu::card`, `qemu::host_display`).
    pub devices: Vec<String>,
    /// Files in the machine, all root's, mode 0644.
    pub files: Vec<(&'static str, String)>,
    /// Files of the host that are copied in.
    pub copies: Vec<(PathBuf, &'static str)>,
    /// Programs of the host, with their libraries.
    pub programs: Vec<&'static str>,
    /// What to do.
    pub script: String,
    /// Its deadline.
    pub deadline: Duration,
}

impl Micro {
    /// A scenario with the usual machine: the host's own display and two identical cards, 0000:01:00 and 0000:02:00.
    pub fn new(name: &str, script: &str) -> Self {
        let mut devices = qemu::card(1);
        devices.extend(qemu::card(2));
        devices.push(qemu::host_display());
        Micro {
            name: name.to_owned(),
            suite: "trixie",
            words: "intel_iommu=on",
            devices,
            files: Vec::new(),
            copies: Vec::new(),
            programs: Vec::new(),
            script: script.to_owned(),
            deadline: Duration::from_secs(180),
        }
    }

    /// Runs it.
    pub fn run(&self) -> Result<Outcome> {
        let dir = run_dir(&self.name)?;
        let base = base(self.suite)?;
        let initrd = dir.join("initrd");
        let mut bytes = fs::read(base.join("base.cpio"))?;
        bytes.extend(self.archive()?);
        fs::write(&initrd, bytes)?;
        let outcome = qemu::run(
            &Spec {
                start: Start::Kernel {
                    kernel: base.join("vmlinuz"),
                    initrd: initrd.clone(),
                    words: format!("{} {}", qemu::WORDS, self.words),
                    variables: None,
                },
                disk: None,
                attached: Vec::new(),
                memory: 1024,
                devices: self.devices.clone(),
                script: self.script.clone(),
                cut: None,
                reboots: false,
                deadline: self.deadline,
            },
            &dir,
        );
        fs::remove_file(initrd)?;
        outcome
    }

    /// What this scenario adds: our programs, its programs, its files.
    fn archive(&self) -> Result<Vec<u8>> {
        let mut archive = Archive::default();
        let mut libraries = BTreeSet::new();
        for (path, program) in PROGRAMS {
            archive.file(path, 0o755, &fs::read(program).with_context(|| program.to_owned())?);
            libraries.extend(closure(Path::new(program))?);
        }
        for name in &self.programs {
            let program = tools::find(name)?;
            archive.file(&format!("usr/bin/{name}"), 0o755, &fs::read(&program)?);
            libraries.extend(closure(&program)?);
        }
        for library in libraries {
            archive.file(&library.to_string_lossy(), 0o755, &fs::read(&library)?);
        }
        for (file, path) in &self.copies {
            archive.file(path, 0o644, &fs::read(file)?);
        }
        for (path, content) in &self.files {
            archive.file(path, 0o644, content.as_bytes());
        }
        Ok(archive.finish())
    }
}

/// The libraries that a program is loaded with, the loader among them.
fn closure(program: &Path) -> Result<Vec<PathBuf>> {
    let list = tools::output(tools::command("ldd")?.arg(program))?;
    Ok(list
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
        .map(PathBuf::from)
        .filter(|p| p.is_file())
        .collect())
}

/// The kernel packages of a suite, unpacked, and `version`.
pub fn kernel(suite: &str) -> Result<PathBuf> {
    let recipe = (suite, KERNEL, include_str!("apt.rs"));
    cache::entry(&format!("kernel-{suite}"), cache::key(&recipe), |dir| {
        let part = |name: &str| {
            let rest = KERNEL.iter().find_map(|part| name.strip_prefix(part));
            rest.is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()))
        };
        let apt = dir.join("apt");
        for package in apt::download(suite, &apt, "linux-image-amd64", part)? {
            tools::output(tools::command("dpkg-deb")?.arg("-x").arg(&package).arg(dir))?;
        }
        cache::remove(&apt)?;
        if !dir.join("lib").exists() {
            std::os::unix::fs::symlink("usr/lib", dir.join("lib"))?;
        }
        let mut versions = fs::read_dir(dir.join("lib/modules"))?;
        let version = versions.next().context("no modules in the kernel's package")??.file_name();
        let version = version.to_string_lossy();
        fs::write(dir.join("version"), version.as_bytes())?;
        tools::output(tools::command("depmod")?.arg("-b").arg(dir).arg(&*version))?;
        Ok(())
    })
}

/// Kernel and common part of the initramfs: busybox, the modules uncompressed, the first process.
fn base(suite: &str) -> Result<PathBuf> {
    let kernel = kernel(suite)?;
    let busybox = tools::find("busybox")?;
    let loaded = closure(&busybox);
    if loaded.is_ok_and(|libraries| !libraries.is_empty()) {
        bail!("{} needs libraries; install `busybox-static`", busybox.display());
    }
    let recipe =
        (kernel.clone(), include_str!("micro.rs"), include_str!("cpio.rs"), include_str!("guest/micro-init.sh"));
    let key = cache::key(&(recipe, cache::file_key(&busybox)?));
    cache::entry(&format!("micro-{suite}"), key, |dir| {
        let version = fs::read_to_string(kernel.join("version"))?;
        let images = [format!("boot/vmlinuz-{version}"), format!("lib/modules/{version}/vmlinuz")];
        let image = images.iter().map(|image| kernel.join(image)).find(|image| image.is_file());
        fs::copy(image.context("no vmlinuz in the kernel's package")?, dir.join("vmlinuz"))?;
        let stage = dir.join("stage");
        modules(&kernel.join("lib/modules").join(&version), &stage.join("lib/modules").join(&version))?;
        tools::output(tools::command("depmod")?.arg("-b").arg(&stage).arg(&version))?;
        let mut archive = Archive::default();
        for path in ["proc", "sys", "dev", "run", "tmp", "lab", "root", "etc", "var/lib", "usr/sbin", "usr/bin"] {
            archive.dir(path);
        }
        archive.file("init", 0o755, include_bytes!("guest/micro-init.sh"));
        archive.file("usr/bin/busybox", 0o755, &fs::read(&busybox)?);
        for applet in tools::output(tools::command("busybox")?.arg("--list"))?.lines().filter(|a| *a != "busybox") {
            archive.link(&format!("usr/bin/{applet}"), "busybox");
        }
        archive.link("bin", "usr/bin");
        archive.link("sbin", "usr/bin");
        archive.tree("lib/modules", &stage.join("lib/modules"))?;
        fs::write(dir.join("base.cpio"), archive.finish())?;
        Ok(fs::remove_dir_all(stage)?)
    })
    .with_context(|| format!("the micro lab of {suite}"))
}

/// Copies what `MODULES` need, uncompressed: not every modprobe and not every kernel opens them compressed.
fn modules(from: &Path, to: &Path) -> Result<()> {
    let list = fs::read_to_string(from.join("modules.dep"))?;
    let builtin = fs::read_to_string(from.join("modules.builtin"))?;
    let name = |path: &str| {
        let file = path.rsplit('/').next().unwrap_or_default();
        file.split(".ko").next().unwrap_or_default().replace('-', "_")
    };
    let builtin: BTreeSet<String> = builtin.lines().map(name).collect();
    let depends: BTreeMap<String, (&str, &str)> =
        list.lines().filter_map(|line| line.split_once(':')).map(|(path, rest)| (name(path), (path, rest))).collect();
    let mut paths = BTreeSet::new();
    for module in MODULES {
        match depends.get(module) {
            Some((path, rest)) => paths.extend(rest.split_whitespace().chain([*path])),
            None if builtin.contains(module) => (),
            None => bail!("{} has no module {module}", from.display()),
        }
    }
    for path in paths {
        let target = to.join(path.trim_end_matches(".xz"));
        fs::create_dir_all(target.parent().context("a module without a directory")?)?;
        if path.ends_with(".xz") {
            let mut xz = tools::command("xz")?;
            let output = xz.arg("-dc").arg(from.join(path)).output()?;
            anyhow::ensure!(output.status.success(), "xz cannot unpack {path}");
            fs::write(target, output.stdout)?;
        } else {
            fs::copy(from.join(path), target)?;
        }
    }
    for file in ["modules.order", "modules.builtin", "modules.builtin.modinfo"] {
        fs::copy(from.join(file), to.join(file))?;
    }
    Ok(())
}
