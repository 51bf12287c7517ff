// SPDX-License-Identifier: LGPL-2.1-or-later
#![allow(clippy::unwrap_used)]

use super::super::tests::{audio, claim, function, machine, video, Case};
use super::super::{FileProblem, Memory};
use super::*;
use crate::finding::codes::Code;
use crate::finding::Severity;
use crate::host::accounts::User;
use crate::host::holders::Holder;

const BIG: &str = "[gpu big]\ndevice = 0000:09:00.0\nbind = guest\n";
const WIN10: &str = "[guest win10]\ngpus = big\n";

fn base() -> Case {
    Case::new(&format!("{BIG}\n{WIN10}"), machine())
}

fn with(card: &str, guest: &str) -> Case {
    Case::new(&format!("{BIG}{card}\n{WIN10}{guest}"), machine())
}

fn checked(case: &Case) -> (Vec<Finding>, Vec<Finding>) {
    case.said(|guest, selections, _, host, context| check(guest, selections, host, context))
}

fn texts(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(ToString::to_string).collect()
}

fn fine(case: &Case) {
    assert_eq!(checked(case), (Vec::new(), Vec::new()));
}

/// All refusals have this code and these sentences, and there is no warning.
fn refused(case: &Case, code: Code, expected: &[&str]) {
    let (refusals, warnings) = checked(case);
    assert_eq!((texts(&refusals), warnings), (expected.iter().map(|s| (*s).to_owned()).collect(), Vec::new()));
    assert!(refusals.iter().all(|finding| finding.code == code), "{refusals:?}");
}

/// All warnings have this code and these sentences, and there is no refusal.
fn warned(case: &Case, code: Code, expected: &[&str]) {
    let (refusals, warnings) = checked(case);
    assert_eq!((refusals, texts(&warnings)), (Vec::new(), expected.iter().map(|s| (*s).to_owned()).collect()));
    assert!(warnings.iter().all(|finding| finding.code == code), "{warnings:?}");
}

/// Only this is said, which is known of a card and is passed on as it is: its sentence and its code are the card's.
fn passed_on(case: &Case, code: Code, severity: Severity, known: impl Fn(&[Selection<'_>], &Host) -> Option<Finding>) {
    let expected = case.said(|guest, selections, _, host, _| {
        vec![Finding { severity, ..known(selections, host).unwrap().for_guest(guest) }]
    });
    assert!(expected.0.iter().chain(&expected.1).all(|finding| finding.code == code), "{expected:?}");
    assert_eq!(checked(case), expected);
}

fn holder(node: &str, pid: Option<u32>) -> Holder {
    let mount = Holder::mount(node.to_owned(), "/mnt".to_owned());
    match pid {
        Some(_) => Holder { pid, command: "qemu".to_owned(), ..mount },
        None => mount,
    }
}

#[test]
fn a_card_that_can_be_had_is_had() {
    for handover in ["auto", "steal", "hot"] {
        let mut case = with("", &format!("handover = {handover}\n"));
        case.host.holders = vec![(audio().address, holder("/dev/snd/pcmC0D3p", Some(7)))];
        fine(&case);
    }
    let mut case = with("", "handover = none\n");
    case.driver("0000:09:00.0", Some("vfio-pci"));
    case.driver("0000:09:00.1", None);
    fine(&case);
}

#[test]
fn a_section_that_means_no_card() {
    let mut case = base();
    case.host.functions.retain(|f| f.address.slot != video().address.slot);
    passed_on(&case, codes::CARD_ABSENT, Severity::Error, |selections, _| {
        selections[0].selected.as_ref().err().cloned()
    });
}

#[test]
fn what_is_odd_about_a_card_is_said() {
    let case = with("also = 0000:77:00.0\n", "");
    passed_on(&case, codes::ALSO_ABSENT, Severity::Warning, |selections, _| {
        selections[0].selected.as_ref().unwrap().warnings.first().cloned()
    });
}

#[test]
fn claims() {
    let mut case = base();
    case.context.claims = claim(&[("big", "win10"), ("small", "other")]);
    fine(&case);
    // Nothing else is said of a card that another guest has: it is as that guest needs it.
    case.context.claims = claim(&[("big", "other")]);
    case.driver("0000:09:00.0", Some("strange"));
    refused(
        &case,
        codes::CARD_IN_GUEST,
        &["/etc/vfio.conf:6: [guest win10] [gpu big] belongs to [guest other] now; 'vfio guest stop other' first"],
    );
}

#[test]
fn a_guest_that_is_none_of_ours_has_it() {
    let mut case = base();
    case.driver("0000:09:00.0", Some("vfio-pci"));
    case.host.holders = [video().address, audio().address].map(|a| (a, holder("/dev/vfio/15", Some(7)))).to_vec();
    refused(
        &case,
        codes::CARD_IN_FOREIGN_GUEST,
        &["/etc/vfio.conf:2: [guest win10] [gpu big] 0000:09:00.0 is already in use by a guest: qemu (pid 7) has \
           /dev/vfio/15 open; shut that guest down first"],
    );
}

#[test]
fn no_iommu() {
    let mut case = base();
    case.host.iommu.active = false;
    case.host.iommu.firmware = Some("DMAR");
    for function in &mut case.host.functions {
        function.group = None;
    }
    passed_on(&case, codes::IOMMU_OFF, Severity::Error, |selections, host| {
        let functions = &selections[0].selected.as_ref().unwrap().functions;
        iommu::without(&selections[0], functions, host)
    });
}

/// The desktop would have ended first.
#[test]
fn memory_that_is_mapped_one_to_one() {
    let mut case = base();
    case.host.direct = vec![(15, "0x7b800000 to 0x7fffffff".to_owned())];
    for (firmware, kernel, is_refused) in [
        ("IVRS", "6.6.0", true),
        ("IVRS", "6.12.57+deb13-amd64", true),
        ("IVRS", "10.0", true),
        ("IVRS", "6.5.13", false),
        ("IVRS", "5.15.0-91-generic", false),
        ("DMAR", "6.1.0-44-amd64", true),
        ("IVRS", "", true),
    ] {
        (case.host.iommu.firmware, case.host.kernel) = (Some(firmware), kernel.to_owned());
        if is_refused {
            passed_on(&case, codes::GROUP_MAPPED_ONE_TO_ONE, Severity::Error, |selections, host| {
                group::one_to_one(&selections[0], host)
            });
        } else {
            passed_on(&case, codes::GROUP_MAPPED_ONE_TO_ONE, Severity::Warning, |selections, host| {
                group::one_to_one_later(&selections[0], host)
            });
        }
    }
    case.host.direct = vec![(14, "0x0 to 0x1".to_owned())];
    fine(&case);
}

#[test]
fn an_also_from_another_group() {
    let case = with("also = 0000:05:00.0\n", "");
    passed_on(&case, codes::ALSO_NOT_IN_GROUP, Severity::Error, |selections, host| {
        group::foreign_also(&selections[0], host)
    });
}

#[test]
fn groups_that_are_not_viable() {
    let sentence =
        "/etc/vfio.conf:2: [guest win10] [gpu big] 0000:05:00.0 (network, igc) shares IOMMU group 15 and keeps \
                    the group from guests; if the host may lose this device, add it to 'also', else put the card into another slot";
    let mut case = base();
    case.at("0000:05:00.0").group = Some(15);
    case.at("0000:00:01.0").group = Some(15);
    refused(&case, codes::GROUP_NOT_VIABLE, &[sentence]);
    // Drivers that share a group, or none.
    for driver in [None, Some("vfio-pci"), Some("pci-stub")] {
        case.driver("0000:05:00.0", driver);
        fine(&case);
    }
    // libvirt itself moves it, if it is to.
    case.driver("0000:05:00.0", Some("igc"));
    case.domain(&[("0000:09:00.0", true), ("0000:05:00.0", true)]);
    fine(&case);
    case.domain(&[("0000:09:00.0", true), ("0000:05:00.0", false)]);
    refused(&case, codes::GROUP_NOT_VIABLE, &[sentence]);
    // A bridge with another driver than pcieport.
    let mut case = base();
    case.at("0000:00:01.0").group = Some(15);
    case.driver("0000:00:01.0", Some("shpchp"));
    refused(
        &case,
        codes::GROUP_NOT_VIABLE,
        &["/etc/vfio.conf:2: [guest win10] [gpu big] 0000:00:01.0 (PCI bridge, shpchp) shares IOMMU group 15 and its driver \
           keeps the group from guests; keep that driver from loading"],
    );
    // Half of a card.
    refused(
        &with("functions = 0\n", ""),
        codes::GROUP_NOT_VIABLE,
        &["/etc/vfio.conf:2: [guest win10] [gpu big] 0000:09:00.1 (audio, snd_hda_intel) is a function of the same card in \
           IOMMU group 15 and stays with the host; use 'functions = all'"],
    );
}

/// Each blocker is named once, whatever number of cards it is beside; another card of the same guest is none.
#[test]
fn two_cards_in_one_group() {
    let config = format!("{BIG}\n[gpu odd]\ndevice = 0000:05:00.0\nbind = guest\n\n[guest win10]\ngpus = big, odd\n");
    let mut case = Case::new(&config, machine());
    case.at("0000:05:00.0").group = Some(15);
    let odd =
        |selections: &[Selection<'_>], _: &Host| selections[1].selected.as_ref().unwrap().warnings.first().cloned();
    passed_on(&case, codes::NOT_A_GRAPHICS_CARD, Severity::Warning, odd);
    case.host.functions.push(function("0000:0a:00.0", 0x01_0601, 15, Some("ahci")));
    let (refusals, _) = checked(&case);
    assert_eq!(refusals.len(), 1);
    assert_eq!(refusals[0].code, codes::GROUP_NOT_VIABLE);
    assert!(refusals[0].text.contains("0000:0a:00.0 (storage controller, ahci)"), "{refusals:?}");
}

#[test]
fn no_hand_over_takes_nothing() {
    let bound = "(0000:09:00.0 to amdgpu, 0000:09:00.1 to snd_hda_intel)";
    refused(
        &with("", "handover = none\n"),
        codes::CARD_NOT_BOUND,
        &[&format!(
            "/etc/vfio.conf:2: [guest win10] [gpu big] is not bound to vfio {bound}, and 'handover = none' unbinds nothing \
             from the host's drivers; set 'bind = boot' and reboot, or use 'handover = auto'"
        )],
    );
    let boot = "[gpu big]\ndevice = 0000:09:00.0\nbind = boot\n[guest win10]\ngpus = big\nhandover = none\n";
    refused(
        &Case::new(boot, machine()),
        codes::CARD_NOT_BOUND,
        &[&format!(
            "/etc/vfio.conf:2: [guest win10] [gpu big] is not bound to vfio {bound}, and 'handover = none' unbinds nothing \
             from the host's drivers; 'vfio bind big' first, or reboot"
        )],
    );
}

#[test]
fn drivers_that_do_not_release_a_card() {
    let mut case = base();
    case.driver("0000:09:00.1", Some("strange"));
    passed_on(&case, codes::DRIVER_STAYS, Severity::Error, |selections, host| {
        unbind::stays(selections[0].gpu, host.function(audio().address).unwrap())
    });
}

#[test]
fn a_mounted_disk_is_not_ended_like_a_program() {
    let mut case = base();
    case.driver("0000:09:00.1", Some("xhci_hcd"));
    case.host.holders = vec![(audio().address, holder("/dev/sdb1", None))];
    refused(
        &case,
        codes::CARD_HELD,
        &["/etc/vfio.conf:2: [guest win10] [gpu big] 0000:09:00.1 stays bound to xhci_hcd: /dev/sdb1 is mounted or in use at \
           /mnt; unmount it first"],
    );
}

fn nvidia() -> Case {
    let mut case = base();
    case.driver("0000:09:00.0", Some("nvidia"));
    case.context.modules = ["nvidia", "nvidia_modeset", "nvidia_drm"].map(str::to_owned).to_vec();
    case
}

#[test]
fn nvidia_releases_a_card_if_no_other_card_keeps_its_modules() {
    fine(&nvidia());
    let sentence =
        "/etc/vfio.conf:2: [guest win10] [gpu big] 0000:09:00.0 stays bound to nvidia, which does not release it while \
                    nvidia_drm is loaded, and the host needs that module for 0000:0a:00.0; use 'bind = boot' and reboot";
    let mut case = nvidia();
    case.host.functions.push(function("0000:0a:00.0", 0x03_0000, 30, Some("nvidia")));
    refused(&case, codes::NVIDIA_DRM_LOADED, &[sentence]);
    case.context.modules = vec!["nvidia".to_owned()];
    fine(&case);
    case.host.nvidia_drm = true;
    refused(&case, codes::NVIDIA_DRM_LOADED, &[sentence]);
    case.driver("0000:0a:00.0", Some("vfio-pci"));
    fine(&case);
}

#[test]
fn the_way_back() {
    let missing = |modules: &[&str]| {
        let mut case = nvidia();
        case.context.unloadable_missing = modules.iter().map(|m| (*m).to_owned()).collect();
        case
    };
    let sentence = |what: &str| {
        format!(
            "/etc/vfio.conf:2: [guest win10] [gpu big] could not be given back to the host: {what} not there for the running \
             kernel; if the kernel or the driver was updated, reboot"
        )
    };
    refused(&missing(&["nvidia"]), codes::MODULE_NOT_RELOADABLE, &[&sentence("nvidia would be unloaded, and is")]);
    refused(
        &missing(&["nvidia", "nvidia_drm"]),
        codes::MODULE_NOT_RELOADABLE,
        &[&sentence("nvidia, nvidia_drm would be unloaded, and are")],
    );
    // Nothing is unloaded: not for another driver, not for a card that the host has no longer, not for half of them.
    for driver in ["amdgpu", "vfio-pci"] {
        let mut case = missing(&["nvidia"]);
        case.driver("0000:09:00.0", Some(driver));
        fine(&case);
    }
    let mut case = missing(&["nvidia"]);
    case.context.modules.pop();
    case.host.functions.push(function("0000:0a:00.0", 0x03_0000, 30, Some("nvidia")));
    fine(&case);
}

#[test]
fn vfio_must_be_there() {
    let mut case = base();
    case.context.vfio_available = false;
    refused(
        &case,
        codes::VFIO_PCI_MISSING,
        &["/etc/vfio.conf:5: [guest win10] [gpu big] needs vfio-pci, which is not there for the running kernel; if the \
           kernel was updated, reboot"],
    );
    case.driver("0000:09:00.0", Some("vfio-pci"));
    case.driver("0000:09:00.1", Some("vfio-pci"));
    fine(&case);
}

#[test]
fn the_last_display() {
    let sentence =
        "/etc/vfio.conf:2: [guest win10] [gpu big] is the host's last display, and with 'handover = hot' the \
                    host's sessions stay; use 'handover = auto'";
    let only = |card: &str, handover: &str| {
        let mut case = with(card, &format!("handover = {handover}\n"));
        case.host.functions.retain(|f| f.address.to_string() != "0000:00:02.0");
        case
    };
    fine(&only("", "steal"));
    fine(&only("", "auto"));
    refused(&only("", "hot"), codes::LAST_DISPLAY, &[sentence]);
    fine(&only("only-display = yes\n", "hot"));
    fine(&with("", "handover = hot\n"));
    // It is not a display of the host already.
    let mut case = only("", "hot");
    case.driver("0000:09:00.0", Some("vfio-pci"));
    fine(&case);
    // Both displays at once.
    let config = format!(
        "{BIG}\n[gpu small]\ndevice = 0000:00:02.0\nbind = guest\n\n[guest win10]\ngpus = big, small\nhandover = hot\n"
    );
    let (refusals, _) = checked(&Case::new(&config, machine()));
    assert_eq!(refusals.len(), 2, "{refusals:?}");
    assert_eq!(refusals[0].to_string(), sentence);
}

#[test]
fn files() {
    let problem = |path: &str, what, problem: &str| FileProblem { path: path.into(), what, problem: problem.into() };
    let mut case = with("rom = /var/lib/vfio/big.rom\n", "");
    case.context.files = vec![
        problem("/var/lib/vfio/big.rom", "option ROM", "is not there"),
        problem("/var/lib/libvirt/images/a.img", "disk", "cannot be read: Permission denied"),
    ];
    refused(
        &case,
        codes::GUEST_FILE,
        &[
            "/etc/vfio.conf:4: [guest win10] [gpu big] the option ROM /var/lib/vfio/big.rom is not there; put that right or \
             remove this line",
            "/etc/vfio.conf:6: [guest win10] the disk /var/lib/libvirt/images/a.img cannot be read: Permission denied; put \
             that right or change the domain ('virsh -c qemu:///system edit win10')",
        ],
    );
    let mut case = with("", "runner = command\ncommand = /usr/bin/qemu -nodefaults\n");
    case.context.files = vec![problem("/usr/bin/qemu", "program", "is not there")];
    case.context.user = Some(User { name: "vfio-guest".to_owned(), uid: 996, gid: 996 });
    refused(
        &case,
        codes::GUEST_FILE,
        &["/etc/vfio.conf:5: [guest win10] the program /usr/bin/qemu is not there; put that right or change 'command'"],
    );
}

#[test]
fn the_user_of_a_command_must_exist() {
    let case = |user: &str, known: bool| {
        let mut case = with("", &format!("runner = command\ncommand = /usr/bin/qemu\n{user}"));
        case.context.user = known.then(|| User { name: String::new(), uid: 996, gid: 996 });
        case
    };
    let unknown = "/etc/vfio.conf:5: [guest win10] there is no user";
    refused(
        &case("", false),
        codes::NO_SUCH_USER,
        &[&format!(
            "{unknown} 'vfio-guest' to run its command; 'systemd-sysusers' creates it; or set 'user' to the user that is to \
             run the command"
        )],
    );
    refused(
        &case("user = ada\n", false),
        codes::NO_SUCH_USER,
        &[&format!("{unknown} 'ada' to run its command; set 'user' to one that 'getent passwd' lists")],
    );
    fine(&case("user = ada\n", true));
    fine(&case("user = root\n", false));
}

/// Regression: a command ended at once, and that D-Bus was missing was said only by systemd-run, in the journal.
#[test]
fn commands_are_run_by_way_of_the_bus() {
    let without =
        "/etc/vfio.conf:5: [guest win10] systemd is asked through D-Bus to run its commands, and there is no D-Bus here; \
                   install dbus";
    for (guest, why) in [
        ("runner = command\ncommand = /usr/bin/qemu\nuser = root\n", &[without][..]),
        ("before = /bin/true\n", &[without]),
        ("after = /bin/true\n", &[without]),
        ("", &[]),
    ] {
        let mut case = with("", guest);
        case.context.lacks_bus = true;
        refused(&case, codes::NO_DBUS, why);
        case.context.lacks_bus = false;
        fine(&case);
    }
}

#[test]
fn memory() {
    const GIB: u64 = 1 << 30;
    let case = |guest: &str, huge_pages, needs: u64, memory: Memory| {
        let mut case = with("", guest);
        case.domain(&[("0000:09:00.0", true), ("0000:09:00.1", true)]);
        let Some(DomainState::Known { domain, .. }) = &mut case.context.domain else { unreachable!() };
        (domain.memory, domain.huge_pages) = (needs, huge_pages);
        case.context.memory = memory;
        case
    };
    let machine = Memory { total: 32 * GIB, available: 20 * GIB };
    let needs = "/etc/vfio.conf:5: [guest win10] domain win10 needs";
    let edit = "change the domain ('virsh -c qemu:///system edit win10')";
    for huge in [HugePages::No, HugePages::Default] {
        let text = format!("{needs} 33 GiB of memory and this machine has 32 GiB; {edit}");
        refused(&case("", huge, 33 * GIB, machine), codes::MEMORY_EXCEEDS_MACHINE, &[&text]);
    }
    for (handover, way) in [
        ("steal", "it starts only if the end of the desktop frees the rest"),
        ("hot", "end programs that use memory, or it may not start"),
    ] {
        let text = format!("{needs} 24.5 GiB of memory and 20 GiB are available; {way}");
        warned(
            &case(&format!("handover = {handover}\n"), HugePages::No, 24 * GIB + GIB / 2, machine),
            codes::MEMORY_NOT_AVAILABLE,
            &[&text],
        );
    }
    fine(&case("", HugePages::No, 20 * GIB, machine));
    // What is not known does not matter.
    for huge in [HugePages::No, HugePages::Default, HugePages::Mixed] {
        fine(&case("", huge, 64 * GIB, Memory::default()));
    }
    fine(&case("", HugePages::Mixed, 24 * GIB, machine));
}
