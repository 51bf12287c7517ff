// SPDX-License-Identifier: LGPL-2.1-or-later
#![allow(clippy::unwrap_used)]

use super::super::tests::{audio, claim, function, machine, video, Case};
use super::super::{FileProblem, Memory};
use super::*;
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

fn checked(case: &Case) -> (Vec<String>, Vec<String>) {
    case.said(|guest, choices, _, host, around| check(guest, choices, host, around))
}

fn refused(case: &Case, expected: &[&str]) {
    assert_eq!(checked(case), (expected.iter().map(|s| (*s).to_owned()).collect(), Vec::new()));
}

fn warned(case: &Case, expected: &[&str]) {
    assert_eq!(checked(case), (Vec::new(), expected.iter().map(|s| (*s).to_owned()).collect()));
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
        refused(&case, &[]);
    }
    let mut case = with("", "handover = none\n");
    case.driver("0000:09:00.0", Some("vfio-pci"));
    case.driver("0000:09:00.1", None);
    refused(&case, &[]);
}

#[test]
fn a_section_that_means_no_card() {
    let mut case = base();
    case.host.functions.retain(|f| f.address.slot != video().address.slot);
    refused(&case, &["/etc/vfio.conf:2: [guest win10] [gpu big] is not there now: nothing is at 0000:09:00.0; displays are at: 0000:00:02.0 (8086:4680)"]);
}

#[test]
fn what_is_odd_about_a_card_is_said() {
    let case = with("also = 0000:77:00.0\n", "");
    warned(&case, &["/etc/vfio.conf:4: [guest win10] [gpu big] nothing is at 0000:77:00.0, which 'also' names"]);
}

#[test]
fn claims() {
    let mut case = base();
    case.around.claims = claim(&[("big", "win10"), ("small", "other")]);
    refused(&case, &[]);
    // Nothing else is said of a card that another guest has: it is as that guest needs it.
    case.around.claims = claim(&[("big", "other")]);
    case.driver("0000:09:00.0", Some("strange"));
    refused(
        &case,
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
        &["/etc/vfio.conf:2: [guest win10] [gpu big] 0000:09:00.0 is in use by a guest already: qemu (pid 7) has \
           /dev/vfio/15 open; shut that down first"],
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
    refused(
        &case,
        &["/etc/vfio.conf:2: [guest win10] [gpu big] the IOMMU is off in the kernel; boot with 'intel_iommu=on'"],
    );
}

/// The desktop would have ended first.
#[test]
fn memory_that_is_mapped_one_to_one() {
    let sentence = "/etc/vfio.conf:2: [guest win10] [gpu big] IOMMU group 15 is not for guests: the firmware wants memory of it \
                    mapped 1:1 (0x7b800000 to 0x7fffffff); a firmware update, another slot, or the switch for pre-boot DMA \
                    protection in the firmware's setup may help";
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
        match is_refused {
            true => refused(&case, &[sentence]),
            false => warned(&case, &[&format!("{sentence}; this kernel does not look, later ones do")]),
        }
    }
    case.host.direct = vec![(14, "0x0 to 0x1".to_owned())];
    refused(&case, &[]);
}

#[test]
fn an_also_from_another_group() {
    let case = with("also = 0000:05:00.0\n", "");
    refused(
        &case,
        &["/etc/vfio.conf:4: [guest win10] [gpu big] 0000:05:00.0 in 'also' (network) is not in the card's IOMMU group; \
           remove it from this line"],
    );
}

#[test]
fn groups_that_are_not_viable() {
    let sentence =
        "/etc/vfio.conf:2: [guest win10] [gpu big] 0000:05:00.0 (network, igc) shares IOMMU group 15 and keeps \
                    it from guests; if the host may lose it, add it to 'also', else put the card into another slot";
    let mut case = base();
    case.at("0000:05:00.0").group = Some(15);
    case.at("0000:00:01.0").group = Some(15);
    refused(&case, &[sentence]);
    // Drivers that share a group, or none.
    for driver in [None, Some("vfio-pci"), Some("pci-stub")] {
        case.driver("0000:05:00.0", driver);
        refused(&case, &[]);
    }
    // libvirt itself moves it, if it is to.
    case.driver("0000:05:00.0", Some("igc"));
    case.domain(&[("0000:09:00.0", true), ("0000:05:00.0", true)]);
    refused(&case, &[]);
    case.domain(&[("0000:09:00.0", true), ("0000:05:00.0", false)]);
    refused(&case, &[sentence]);
    // A bridge with another driver than pcieport.
    let mut case = base();
    case.at("0000:00:01.0").group = Some(15);
    case.driver("0000:00:01.0", Some("shpchp"));
    refused(
        &case,
        &["/etc/vfio.conf:2: [guest win10] [gpu big] 0000:00:01.0 (PCI bridge, shpchp) shares IOMMU group 15 and its driver \
           keeps the group from guests; keep that driver from loading"],
    );
    // Half of a card.
    refused(
        &with("functions = 0\n", ""),
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
    let odd = "/etc/vfio.conf:6: [guest win10] [gpu odd] 0000:05:00.0 is no graphics card (network)";
    warned(&case, &[odd]);
    case.host.functions.push(function("0000:0a:00.0", 0x01_0601, 15, Some("ahci")));
    let (refusals, _) = checked(&case);
    assert_eq!(refusals.len(), 1);
    assert!(refusals[0].contains("0000:0a:00.0 (storage controller, ahci) shares IOMMU group 15"), "{refusals:?}");
}

#[test]
fn no_hand_over_takes_nothing() {
    let has = "(0000:09:00.0 has amdgpu, 0000:09:00.1 has snd_hda_intel)";
    refused(
        &with("", "handover = none\n"),
        &[&format!(
            "/etc/vfio.conf:2: [guest win10] [gpu big] is not on vfio {has}, and 'handover = none' takes nothing from the \
             host; set 'bind = boot' and reboot, or use 'handover = auto'"
        )],
    );
    let boot = "[gpu big]\ndevice = 0000:09:00.0\nbind = boot\n[guest win10]\ngpus = big\nhandover = none\n";
    refused(
        &Case::new(boot, machine()),
        &[&format!(
            "/etc/vfio.conf:2: [guest win10] [gpu big] is not on vfio {has}, and 'handover = none' takes nothing from the \
             host; 'vfio bind big' first, or reboot"
        )],
    );
}

#[test]
fn drivers_that_do_not_let_go() {
    let mut case = base();
    case.driver("0000:09:00.1", Some("strange"));
    refused(
        &case,
        &["/etc/vfio.conf:2: [guest win10] [gpu big] 0000:09:00.1 stays with strange, which is not known to let go of a \
           device while the system runs; use 'bind = boot' and reboot"],
    );
}

#[test]
fn a_mounted_disk_is_not_ended_like_a_program() {
    let mut case = base();
    case.driver("0000:09:00.1", Some("xhci_hcd"));
    case.host.holders = vec![(audio().address, holder("/dev/sdb1", None))];
    refused(
        &case,
        &["/etc/vfio.conf:2: [guest win10] [gpu big] 0000:09:00.1 stays with xhci_hcd: /dev/sdb1 is mounted or in use at \
           /mnt; unmount it first"],
    );
}

fn nvidia() -> Case {
    let mut case = base();
    case.driver("0000:09:00.0", Some("nvidia"));
    case.around.modules = ["nvidia", "nvidia_modeset", "nvidia_drm"].map(str::to_owned).to_vec();
    case
}

#[test]
fn nvidia_lets_go_if_no_other_card_keeps_its_modules() {
    refused(&nvidia(), &[]);
    let sentence =
        "/etc/vfio.conf:2: [guest win10] [gpu big] 0000:09:00.0 stays with nvidia, which does not let go while \
                    nvidia_drm is loaded, and the host needs that for 0000:0a:00.0; use 'bind = boot' and reboot";
    let mut case = nvidia();
    case.host.functions.push(function("0000:0a:00.0", 0x03_0000, 30, Some("nvidia")));
    refused(&case, &[sentence]);
    case.around.modules = vec!["nvidia".to_owned()];
    refused(&case, &[]);
    case.host.nvidia_drm = true;
    refused(&case, &[sentence]);
    case.driver("0000:0a:00.0", Some("vfio-pci"));
    refused(&case, &[]);
}

#[test]
fn the_way_back() {
    let missing = |modules: &[&str]| {
        let mut case = nvidia();
        case.around.unloadable_missing = modules.iter().map(|m| (*m).to_owned()).collect();
        case
    };
    let sentence = |what: &str| {
        format!(
            "/etc/vfio.conf:2: [guest win10] [gpu big] would not come back to the host: {what} not there for the running \
             kernel; if the kernel or the driver was updated, reboot"
        )
    };
    refused(&missing(&["nvidia"]), &[&sentence("nvidia would be unloaded, and is")]);
    refused(&missing(&["nvidia", "nvidia_drm"]), &[&sentence("nvidia, nvidia_drm would be unloaded, and are")]);
    // Nothing is unloaded: not for another driver, not for a card that the host has no longer, not for half of them.
    for driver in ["amdgpu", "vfio-pci"] {
        let mut case = missing(&["nvidia"]);
        case.driver("0000:09:00.0", Some(driver));
        refused(&case, &[]);
    }
    let mut case = missing(&["nvidia"]);
    case.around.modules.pop();
    case.host.functions.push(function("0000:0a:00.0", 0x03_0000, 30, Some("nvidia")));
    refused(&case, &[]);
}

#[test]
fn vfio_must_be_there() {
    let mut case = base();
    case.around.vfio_available = false;
    refused(
        &case,
        &["/etc/vfio.conf:5: [guest win10] [gpu big] needs vfio-pci, which is not there for the running kernel; if the \
           kernel was updated, reboot"],
    );
    case.driver("0000:09:00.0", Some("vfio-pci"));
    case.driver("0000:09:00.1", Some("vfio-pci"));
    refused(&case, &[]);
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
    refused(&only("", "steal"), &[]);
    refused(&only("", "auto"), &[]);
    refused(&only("", "hot"), &[sentence]);
    refused(&only("only-display = yes\n", "hot"), &[]);
    refused(&with("", "handover = hot\n"), &[]);
    // It is no display of the host already.
    let mut case = only("", "hot");
    case.driver("0000:09:00.0", Some("vfio-pci"));
    refused(&case, &[]);
    // Both displays at once.
    let config = format!(
        "{BIG}\n[gpu small]\ndevice = 0000:00:02.0\nbind = guest\n\n[guest win10]\ngpus = big, small\nhandover = hot\n"
    );
    let (refusals, _) = checked(&Case::new(&config, machine()));
    assert_eq!(refusals.len(), 2, "{refusals:?}");
    assert_eq!(refusals[0], sentence);
}

#[test]
fn files() {
    let problem = |path: &str, what, problem: &str| FileProblem { path: path.into(), what, problem: problem.into() };
    let mut case = with("rom = /var/lib/vfio/big.rom\n", "");
    case.around.files = vec![
        problem("/var/lib/vfio/big.rom", "option ROM", "is not there"),
        problem("/var/lib/libvirt/images/a.img", "disk", "cannot be read: Permission denied"),
    ];
    refused(
        &case,
        &[
            "/etc/vfio.conf:4: [guest win10] [gpu big] the option ROM /var/lib/vfio/big.rom is not there; put that right or \
             remove this line",
            "/etc/vfio.conf:6: [guest win10] the disk /var/lib/libvirt/images/a.img cannot be read: Permission denied; put \
             that right or change the domain ('virsh -c qemu:///system edit win10')",
        ],
    );
    let mut case = with("", "runner = command\ncommand = /usr/bin/qemu -nodefaults\n");
    case.around.files = vec![problem("/usr/bin/qemu", "program", "is not there")];
    case.around.user = Some(User { name: "vfio-guest".to_owned(), uid: 996, gid: 996 });
    refused(
        &case,
        &["/etc/vfio.conf:5: [guest win10] the program /usr/bin/qemu is not there; put that right or change 'command'"],
    );
}

#[test]
fn a_command_is_somebodys_to_run() {
    let case = |user: &str, known: bool| {
        let mut case = with("", &format!("runner = command\ncommand = /usr/bin/qemu\n{user}"));
        case.around.user = known.then(|| User { name: String::new(), uid: 996, gid: 996 });
        case
    };
    let unknown = "/etc/vfio.conf:5: [guest win10] there is no user";
    refused(
        &case("", false),
        &[&format!(
            "{unknown} 'vfio-guest' to run its command; 'systemd-sysusers' makes it; or write user = and the one who is to run \
             the command"
        )],
    );
    refused(
        &case("user = ada\n", false),
        &[&format!("{unknown} 'ada' to run its command; write user = and one that 'getent passwd' lists")],
    );
    refused(&case("user = ada\n", true), &[]);
    refused(&case("user = root\n", false), &[]);
}

/// Regression: a command ended at once, and that D-Bus was missing was said only by systemd-run, in the journal.
#[test]
fn commands_are_run_by_way_of_the_bus() {
    let without =
        "/etc/vfio.conf:5: [guest win10] systemd is asked by D-Bus to run its commands, and there is no D-Bus here; \
                   install dbus";
    for (guest, why) in [
        ("runner = command\ncommand = /usr/bin/qemu\nuser = root\n", &[without][..]),
        ("before = /bin/true\n", &[without]),
        ("after = /bin/true\n", &[without]),
        ("", &[]),
    ] {
        let mut case = with("", guest);
        case.around.lacks_bus = true;
        refused(&case, why);
        case.around.lacks_bus = false;
        refused(&case, &[]);
    }
}

#[test]
fn memory() {
    const GIB: u64 = 1 << 30;
    let case = |guest: &str, huge_pages, needs: u64, memory: Memory| {
        let mut case = with("", guest);
        case.domain(&[("0000:09:00.0", true), ("0000:09:00.1", true)]);
        let Some(DomainState::Known { domain, .. }) = &mut case.around.domain else { unreachable!() };
        (domain.memory, domain.huge_pages) = (needs, huge_pages);
        case.around.memory = memory;
        case
    };
    let machine = Memory { total: 32 * GIB, available: 20 * GIB, free_huge: Some(4 * GIB) };
    let needs = "/etc/vfio.conf:5: [guest win10] domain win10 needs";
    let edit = "change the domain ('virsh -c qemu:///system edit win10')";
    for huge in [HugePages::No, HugePages::Default] {
        let text = format!("{needs} 33 GiB of memory and this machine has 32 GiB; {edit}");
        refused(&case("", huge, 33 * GIB, machine), &[&text]);
    }
    for (handover, way) in [
        ("steal", "it starts only if the end of the desktop frees the rest"),
        ("hot", "end something, or it may not start"),
    ] {
        let text = format!("{needs} 24.5 GiB of memory and 20 GiB are available; {way}");
        warned(&case(&format!("handover = {handover}\n"), HugePages::No, 24 * GIB + GIB / 2, machine), &[&text]);
    }
    refused(&case("", HugePages::No, 20 * GIB, machine), &[]);
    refused(
        &case("", HugePages::Size(GIB), 8 * GIB, machine),
        &[&format!("{needs} 8 GiB in huge pages of 1 GiB and 4 GiB are free; reserve more or {edit}")],
    );
    let none = Memory { free_huge: Some(0), ..machine };
    refused(
        &case("", HugePages::Default, 8 * GIB, none),
        &[&format!("{needs} 8 GiB in huge pages and 0 MiB are free; reserve more or {edit}")],
    );
    warned(
        &case("before = /usr/local/bin/reserve\n", HugePages::Size(2 << 20), 8 * GIB, machine),
        &[&format!(
            "{needs} 8 GiB in huge pages of 2 MiB and 4 GiB are free; it starts only if a 'before' command reserves the rest"
        )],
    );
    // What is not known does not matter.
    for huge in [HugePages::No, HugePages::Default, HugePages::Mixed] {
        refused(&case("", huge, 64 * GIB, Memory::default()), &[]);
    }
    refused(&case("", HugePages::Mixed, 24 * GIB, machine), &[]);
    refused(&case("", HugePages::Default, 4 * GIB, machine), &[]);
}
