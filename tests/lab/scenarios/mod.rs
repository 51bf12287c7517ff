// SPDX-License-Identifier: LGPL-2.1-or-later
//! The scenarios: each a function that runs a machine or more, and says what must be true of it.

mod boot;
mod crash;
mod desktops;
mod doctor;
mod edit;
mod efi;
mod facts;
mod gnome;
mod guest;
mod holders;
mod hotplug;
mod kernels;
mod mission;
mod openrc;
mod power;
mod rebar;
mod refusals;
mod removal;
mod replay;
mod reset;
mod resize;
mod root;
mod secure;
mod setup;
mod soak;

use crate::qemu::Outcome;
use anyhow::Result;
use libtest_mimic::Trial;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

/// A scenario by name.
type Scenario = (&'static str, fn() -> Result<()>);

/// Part of every check of the project.
const ALWAYS: &[Scenario] = &[
    ("efi_mission_systemd_boot", mission::systemd_boot),
    ("efi_power_cut_grub", power::grub_few),
    ("machine_dracut", boot::dracut),
    ("machine_initramfs_tools", boot::initramfs_tools),
    ("machine_failed_boots", refusals::failed_boots),
    ("machine_hotplug", hotplug::hotplug),
    ("machine_switched_off", refusals::switched_off),
    ("machine_removed_dracut", removal::dracut),
    ("machine_removed_initramfs_tools", removal::initramfs_tools),
    ("machine_root_disk", root::initramfs_tools),
    ("machine_virtual_function", root::virtual_function),
    ("machine_framebuffer", root::framebuffer),
    ("machine_guest_hand_over", guest::hand_over),
    ("machine_guest_second_card", guest::second_card),
    ("micro_iommu_off", refusals::iommu_off),
    ("micro_only_display", refusals::only_display),
    ("micro_rescan", hotplug::rescan),
    ("micro_rescan_older_kernel", hotplug::rescan_older_kernel),
    ("micro_killed_while_binding", crash::killed_while_binding),
    ("micro_holders", holders::by_any_path),
    ("micro_reset", reset::methods),
    ("micro_vendor_reset", reset::vendor_reset),
    ("rebar_verdicts", kernels::verdicts),
    ("micro_rebar", resize::trixie),
    ("machine_rebar", rebar::guests),
    ("micro_kernel_facts", facts::kernel_facts_trixie),
    ("micro_kernel_facts_bookworm", facts::kernel_facts_bookworm),
    ("micro_kernel_facts_backports", facts::kernel_facts_backports),
];

/// Long, or of interest only to a few: run with `VFIO_LAB=all`, or `--include-ignored`.
const LONG: &[Scenario] = &[
    ("micro_rebar_bookworm", resize::bookworm),
    ("micro_rebar_backports", resize::backports),
    ("machine_root_disk_dracut", root::dracut),
    ("efi_mission_systemd_boot_dracut", mission::systemd_boot_dracut),
    ("efi_mission_grub", mission::grub),
    ("efi_mission_backports", mission::backports),
    ("efi_mission_fault_sync", mission::fault_sync),
    ("efi_mission_fault_generator", mission::fault_generator),
    ("efi_mission_fault_initramfs_tools", mission::fault_initramfs_tools),
    ("efi_mission_fault_dracut", mission::fault_dracut),
    ("efi_setup", setup::grub),
    ("efi_grub", efi::grub),
    ("efi_systemd_boot", efi::systemd_boot),
    ("efi_uki", efi::uki),
    ("efi_elsewhere", efi::elsewhere),
    ("efi_secure_boot_grub", secure::grub),
    ("efi_secure_boot_uki", secure::uki),
    ("efi_rescue_grub", efi::rescue_grub),
    ("efi_rescue_systemd_boot", efi::rescue_systemd_boot),
    ("efi_unstable_dracut", efi::unstable_dracut),
    ("efi_power_loss_grub", power::grub),
    ("efi_power_loss_systemd_boot", power::systemd_boot),
    ("efi_by_hand_grub", efi::by_hand_grub),
    ("efi_by_hand_systemd_boot", efi::by_hand_systemd_boot),
    ("efi_by_hand_uki", efi::by_hand_uki),
    ("machine_openrc", openrc::openrc),
    ("machine_replay", replay::replay),
    ("machine_doctor", doctor::doctor),
    ("machine_guest", guest::libvirt),
    ("machine_guest_edit", edit::edit),
    ("machine_guest_program", guest::program),
    ("machine_guest_refusals", guest::refusals),
    ("machine_soak", soak::soak),
    ("micro_soak", soak::micro),
    ("machine_desktop_greetd_sway", desktops::greetd_sway),
    ("machine_desktop_lightdm_xorg", desktops::lightdm_xorg),
    ("machine_desktop_startx", desktops::startx),
    ("machine_desktop_autologin", desktops::autologin),
    ("machine_desktop_gdm_gnome", gnome::gdm_gnome),
];

/// The card at 0000:01:00 is bound at boot.
const CONFIGURATION: &str = "[gpu big]\ndevice = 0000:01:00.0\nidentity = 1234:1111\nbind = boot\n";

/// The drivers that were tried on a function, in order, from a kernel log with dd.c's debug messages.
pub fn probed<'l>(dmesg: &'l str, address: &str) -> Vec<&'l str> {
    let lines = dmesg.lines().filter(|line| line.contains(address));
    lines.filter_map(|line| line.split_once("really_probe: probing driver ")?.1.split(' ').next()).collect()
}

/// All scenarios as tests.
pub fn trials() -> Vec<Trial> {
    let all = std::env::var("VFIO_LAB").is_ok_and(|value| value == "all");
    let always = ALWAYS.iter().map(|scenario| trial(*scenario));
    always.chain(LONG.iter().map(|scenario| trial(*scenario).with_ignored_flag(!all))).collect()
}

fn trial((name, scenario): Scenario) -> Trial {
    Trial::test(name, move || {
        let begin = Instant::now();
        let result = scenario();
        note(name, begin.elapsed().as_secs(), result.is_ok())?;
        let runs = crate::cache::dir()?.join("runs").join(name);
        match result {
            Ok(()) if std::env::var_os("VFIO_LAB_KEEP").is_none() => Ok(crate::cache::remove(&runs)?),
            Ok(()) => Ok(()),
            Err(error) => Err(format!("{error:#}\nWhat the machine left is in {}", runs.display()).into()),
        }
    })
}

/// Keeps a file that a run left beside the file of results, where somebody wants one: the record of a scenario that passed.
fn keep(scenario: &str, file: &str, run: &Outcome) -> Result<()> {
    let Some(path) = std::env::var_os("VFIO_LAB_RESULTS").map(PathBuf::from) else { return Ok(()) };
    let name = file.trim_start_matches("../");
    path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
    let from = run.file(file);
    if from.exists() {
        std::fs::copy(from, path.with_file_name(format!("{scenario}.{name}")))?;
    }
    Ok(())
}

/// A line of JSON for the file of results, where somebody wants one.
fn note(scenario: &str, seconds: u64, passed: bool) -> std::io::Result<()> {
    let Some(path) = std::env::var_os("VFIO_LAB_RESULTS").map(PathBuf::from) else { return Ok(()) };
    path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
    let verdict = if passed { "passed" } else { "failed" };
    let line = serde_json::json!({ "scenario": scenario, "seconds": seconds, "verdict": verdict });
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    // In one write: scenarios run beside each other.
    file.write_all(format!("{line}\n").as_bytes())
}
