// SPDX-License-Identifier: LGPL-2.1-or-later
//! The machine lab: a Debian with systemd and udev on a disk, our package installed by apt. About 45 seconds a boot.

use crate::images::{Built, Disk};
use crate::qemu::{self, Outcome, Spec};
use crate::{run_dir, tools};
use anyhow::Result;
use std::path::PathBuf;
use std::time::Duration;

/// What udev would load for the emulated processor and board, a second or more each, and no scenario is about.
const UNWANTED: [&str; 16] = [
    "acpi_cpufreq",
    "aesni_intel",
    "button",
    "crct10dif_pclmul",
    "evdev",
    "ghash_clmulni_intel",
    "i2c_i801",
    "iTCO_wdt",
    "joydev",
    "kvm_amd",
    "lpc_ich",
    "pcspkr",
    "polyval_clmulni",
    "powernow_k8",
    "sha1_ssse3",
    "sha512_ssse3",
];

/// A machine with a disk of its own, that may be booted several times.
pub struct Machine {
    dir: PathBuf,
    built: Built,
}

/// One boot of it.
pub struct Boot {
    /// The name of what it leaves, unique in its scenario.
    pub name: &'static str,
    /// Further words on the kernel's command line.
    pub words: String,
    /// Its devices.
    pub devices: Vec<String>,
    /// What it does when it has come up.
    pub script: String,
    /// The power is cut as soon as the console shows this.
    pub cut_at: Option<String>,
    /// The machine may reboot; it ends when it is powered off.
    pub reboots: bool,
    /// It must be over by then.
    pub deadline: Duration,
}

impl Boot {
    /// A boot of the usual machine: IOMMU on, the host's own display, two identical cards: 0000:01:00 and 0000:02:00.
    pub fn new(name: &'static str, script: &str) -> Self {
        let mut devices = qemu::card(1);
        devices.extend(qemu::card(2));
        devices.push(qemu::host_display());
        let words = "intel_iommu=on".to_owned();
        let deadline = Duration::from_secs(600);
        Boot { name, words, devices, script: script.to_owned(), cut_at: None, reboots: false, deadline }
    }
}

impl Machine {
    /// A new machine for a scenario. What it writes to the disk is its own.
    pub fn new(scenario: &str, disk: &Disk) -> Result<Self> {
        let built = disk.build()?;
        let dir = run_dir(scenario)?;
        let mut img = tools::command("qemu-img")?;
        img.args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b"]).arg(built.disk()).arg(dir.join("disk.qcow2"));
        tools::output(&mut img)?;
        Ok(Machine { dir, built })
    }

    /// What the image's report says.
    pub fn report(&self) -> Result<String> {
        self.built.report()
    }

    /// Boots it and waits for its end.
    pub fn boot(&self, boot: &Boot) -> Result<Outcome> {
        let words =
            "root=/dev/vda rw fsck.mode=skip TERM=dumb systemd.getty_auto=no systemd.firstboot=no cryptomgr.notests";
        let spec = Spec {
            kernel: self.built.kernel(),
            initrd: self.built.initrd(),
            words: format!("{} {words} modprobe.blacklist={} {}", qemu::WORDS, UNWANTED.join(","), boot.words),
            disk: Some(self.dir.join("disk.qcow2")),
            memory: 2048,
            devices: boot.devices.clone(),
            script: boot.script.clone(),
            cut_at: boot.cut_at.clone(),
            reboots: boot.reboots,
            deadline: boot.deadline,
        };
        qemu::run(&spec, &self.dir.join(boot.name))
    }
}
