// SPDX-License-Identifier: LGPL-2.1-or-later
//! Machines with Secure Boot: what may be started is signed, and the kernel is locked down.

use crate::checks::Checks;
use crate::desk;
use crate::efi::{EfiDisk, EfiMachine, Keys, Loader};
use crate::qemu::Outcome;
use anyhow::Result;

/// Ours for the configuration below.
const WORDS: [&str; 3] = ["intel_iommu=on", "iommu=pt", "vfio_lab.word=1"];

fn sections() -> String {
    let command = desk::QEMU.replace("NAME", "tiny").replace("WORDS", "");
    format!(
        "\n[host]\niommu = on\nkernel-parameters = vfio_lab.word=1\n\n[gpu big]\ndevice = 0000:01:00.0\n\
         identity = 1234:1111\nbind = boot\n\n[guest tiny]\ngpus = big\nrunner = command\ncommand = {command}\n\
         start-timeout = 4min\nstop-timeout = 60s"
    )
}

fn machine(name: &str, loader: Loader, keys: Keys) -> Result<(Outcome, Checks)> {
    let machine = EfiMachine::new(name, &EfiDisk { keys: Some(keys), ..EfiDisk::new(loader) })?;
    let script = include_str!("../guest/efi/secure.sh").replace("@SECTIONS@", &sections());
    let mut boot = EfiMachine::usual("boot", &format!("{}{script}", include_str!("../guest/efi/boot.sh")));
    boot.reboots = true;
    let run = machine.boot(&boot)?;

    let mut checks = Checks::default();
    checks.same(&format!("`vfio cmdline apply`: {}", run.text("apply")), run.fact("apply"), "0");
    checks.same("the loader's own program", run.fact("judged"), "0");
    for (step, has) in [("first", false), ("second", true)] {
        checks.same(&format!("Secure Boot, {step} boot"), run.fact(&format!("secure.{step}")), "1");
        let lockdown = run.fact(&format!("lockdown.{step}"));
        checks.same(&format!("the kernel is locked, {step} boot ({lockdown})"), lockdown.contains("[integrity]"), true);
        let line = run.fact(&format!("cmdline.{step}"));
        let is_there = |word: &str| line.split(' ').any(|other| other == word);
        checks.same(&format!("our words in {line:?}, {step} boot"), WORDS.map(is_there), [has; 3]);
    }
    checks.same(&format!("`vfio cmdline status`: {}", run.text("status")), run.fact("status"), "0");
    for function in ["0000:01:00.0", "0000:01:00.1"] {
        checks.same(&format!("{function} after the reboot"), run.fact(&format!("second.{function}")), "vfio-pci");
    }
    checks.same("the guest's start", run.fact("start"), "0");
    checks.line("the card as the guest sees it", &run.text("serial"), &["1234:1111 class 038000"]);
    checks.line("how the guest ended", &run.text("serial"), &["pocket: power button"]);
    let refused = run.fact("unsigned") != "0";
    checks.same(&format!("a module without a signature is refused: {}", run.text("insmod")), refused, true);
    checks.same("a signed one is taken", run.fact("signed"), "0");
    checks.line(
        &format!("`vfio doctor`; the kernel said {}", run.text("locked")),
        &run.text("doctor"),
        &["[module-not-signed]"],
    );
    checks.no_line("`vfio doctor`", &run.text("doctor"), &["hibernation"]);
    checks.same("exit of the purge", run.fact("purge"), "0");
    checks.same("boot files after the purge", run.text("after"), run.text("before"));
    Ok((run, checks))
}

pub fn grub() -> Result<()> {
    machine("efi_secure_boot_grub", Loader::Grub, Keys::Distribution)?.1.done()
}

/// What we add is signed with the owner's key where the machine says which that is; else nothing is written.
pub fn uki() -> Result<()> {
    let (run, mut checks) = machine("efi_secure_boot_uki", Loader::Uki, Keys::Owner)?;
    checks.same(&format!("exit without a key: {}", run.text("keyless")), run.fact("keyless"), "2");
    checks.line("what is missing", &run.text("keyless"), &["signing key", "/etc/kernel/uki.conf"]);
    checks.same("boot files then", run.text("keyless.after"), run.text("keyless.before"));
    checks.done()
}
