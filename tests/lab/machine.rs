// SPDX-License-Identifier: LGPL-2.1-or-later
//! The machine lab: a Debian with systemd and udev on a disk, our package installed by apt. About 45 seconds a boot.

use crate::images::{Built, Disk};
use crate::qemu::{self, Cut, Outcome, Spec, Start};
use crate::{run_dir, tools};
use anyhow::Result;
use std::fs;
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

/// What every machine's kernel is told, beside where its root is.
pub fn words() -> String {
    let words = "fsck.mode=skip TERM=dumb systemd.getty_auto=no systemd.firstboot=no cryptomgr.notests";
    format!("{} {words} modprobe.blacklist={}", qemu::WORDS, UNWANTED.join(","))
}

/// A machine with a disk of its own, that may be booted several times.
pub struct Machine {
    dir: PathBuf,
    built: Built,
}

/// One boot of it.
pub struct Boot {
    /// The name of what it leaves, unique in its scenario.
    pub name: String,
    /// Further words on the kernel's command line.
    pub words: String,
    /// Its memory in MiB.
    pub memory: u32,
    /// Its devices.
    pub devices: Vec<String>,
    /// The devices that its disk is on, after all others, and the disk's name there; /dev/vda if empty.
    pub attached: (Vec<String>, &'static str),
    /// An archive that the kernel unpacks over its initramfs: an image that somebody has edited.
    pub over: Vec<u8>,
    /// OVMF starts it, so that there is a boot framebuffer.
    pub ovmf: bool,
    /// What it does when it has come up.
    pub script: String,
    /// The power is cut.
    pub cut: Option<Cut>,
    /// The machine may reboot; it ends when it is powered off.
    pub reboots: bool,
    /// It must be over by then.
    pub deadline: Duration,
}

impl Boot {
    /// A boot of the usual machine: IOMMU on, the host's own display, two identical cards: 0000:01:00 and 0000:02:00.
    pub fn new(name: &str, script: &str) -> Self {
        let mut devices = qemu::card(1);
        devices.extend(qemu::card(2));
        devices.push(qemu::host_display());
        let words = "intel_iommu=on".to_owned();
        let deadline = Duration::from_secs(600);
        let (name, script) = (name.to_owned(), script.to_owned());
        let attached = (Vec::new(), "/dev/vda");
        let over = Vec::new();
        let (memory, ovmf, cut, reboots) = (2048, false, None, false);
        Boot { name, words, memory, devices, attached, over, ovmf, script, cut, reboots, deadline }
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

    /// Leaves a file for its script, in the boot of this name.
    pub fn hand(&self, boot: &str, name: &str, content: &[u8]) -> Result<()> {
        let share = self.dir.join(boot).join("share");
        fs::create_dir_all(&share)?;
        Ok(fs::write(share.join(name), content)?)
    }

    /// Boots it and waits for its end.
    pub fn boot(&self, boot: &Boot) -> Result<Outcome> {
        let dir = self.dir.join(&boot.name);
        fs::create_dir_all(&dir)?;
        let (attached, root) = &boot.attached;
        let mut start = Start::Kernel {
            kernel: self.built.kernel(),
            initrd: self.built.initrd(),
            words: format!("root={root} rw {} {}", words(), boot.words),
            variables: None,
        };
        if let Start::Kernel { initrd, variables, .. } = &mut start {
            if !boot.over.is_empty() {
                let mut bytes = fs::read(&*initrd)?;
                bytes.resize(bytes.len().next_multiple_of(4), 0);
                bytes.extend(&boot.over);
                *initrd = dir.join("initrd");
                fs::write(&*initrd, bytes)?;
            }
            if boot.ovmf {
                let own = dir.join("variables.fd");
                fs::copy(tools::firmware("OVMF_VARS_4M.fd")?, &own)?;
                *variables = Some(own);
            }
        }
        let spec = Spec {
            start,
            disk: Some(self.dir.join("disk.qcow2")),
            attached: attached.clone(),
            memory: boot.memory,
            devices: boot.devices.clone(),
            script: boot.script.clone(),
            cut: boot.cut.clone(),
            reboots: boot.reboots,
            deadline: boot.deadline,
        };
        qemu::run(&spec, &dir)
    }
}
