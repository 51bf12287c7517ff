// SPDX-License-Identifier: LGPL-2.1-or-later
#![allow(clippy::unwrap_used)]

use super::super::tests::{function, machine, Case};
use super::super::DomainState;
use crate::finding::codes::{self, Code};
use crate::host::domain::{parse, Domain, Link, UsbDevice};
use crate::host::networks::LinkProblem;
use crate::host::usage::{Usage, Use};
use crate::plan::guest::domain_checks::check;

const EDIT: &str = "change the domain ('virsh -c qemu:///system edit win10')";

/// A guest whose domain has this inside, and its card.
fn case(inside: &str) -> Case {
    let mut case = Case::new("[gpu big]\ndevice = 0000:09:00.0\nbind = guest\n[guest win10]\ngpus = big\n", machine());
    let card: String = ["0", "1"]
        .map(|f| {
            format!("<hostdev type='pci' managed='yes'><source><address bus='9' function='{f}'/></source></hostdev>")
        })
        .concat();
    let inside = match inside.split_once("<devices>") {
        Some((before, rest)) => format!("{before}<devices>{card}{rest}"),
        None => format!("{inside}<devices>{card}</devices>"),
    };
    let qemu = "xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'";
    let domain = parse(&format!("<domain type='kvm' {qemu}><name>win10</name>{inside}</domain>")).unwrap();
    case.context.domain = Some(DomainState::Known { state: "shut off".to_owned(), domain: Box::new(domain) });
    case
}

fn domain(case: &mut Case) -> &mut Domain {
    let Some(DomainState::Known { domain, .. }) = &mut case.context.domain else { unreachable!() };
    domain
}

#[track_caller]
fn starts(case: &Case) {
    assert_eq!(case.said(check), (Vec::new(), Vec::new()));
}

#[track_caller]
fn refused(case: &Case, code: Code, expected: &str) {
    let (refusals, warnings) = case.said(check);
    let said: Vec<String> = refusals.iter().map(crate::finding::Finding::sentence).collect();
    assert_eq!((said, warnings), (vec![expected.to_owned()], Vec::new()));
    assert_eq!(refusals[0].code, code);
}

#[test]
fn a_part_of_qemu_that_is_not_installed() {
    use crate::host::qemu::Module;
    for (module, expected) in [
        (
            Module::Pipewire,
            "domain win10 plays by PipeWire, and that part of QEMU is not installed; install qemu-system-gui (Debian, Ubuntu) or \
             qemu-audio-pipewire",
        ),
        (
            Module::Spice,
            "domain win10 is shown by Spice, and that part of QEMU is not installed; install qemu-system-modules-spice (Debian, \
             Ubuntu), qemu-spice (openSUSE) or qemu-ui-spice-core",
        ),
    ] {
        let mut case = case("");
        case.context.host.modules = vec![module];
        refused(&case, codes::QEMU_PART_MISSING, expected);
    }
}

#[test]
fn a_disk_that_is_the_hosts() {
    let mut case = case("");
    let root = Use::Mounted { at: "/".to_owned(), device: "sda2".to_owned() };
    case.context.host.in_use = vec![("the disk /dev/sda".to_owned(), root)];
    refused(
        &case,
        codes::HOST_DATA_ON_DEVICE,
        &format!(
            "domain win10 may write to the disk /dev/sda, which carries the root file system (sda2); unmount it first or {EDIT}"
        ),
    );
}

#[test]
fn networks_and_interfaces() {
    let net = |name: &str| Link::Network(name.to_owned());
    for (link, problem, code, expected) in [
        (
            net("default"),
            LinkProblem::NotActive,
            codes::NETWORK_NOT_ACTIVE,
            "domain win10 needs libvirt's network 'default', which is not active; start it ('virsh -c qemu:///system net-start \
             default')"
                .to_owned(),
        ),
        (
            net("my net; $x"),
            LinkProblem::NotActive,
            codes::NETWORK_NOT_ACTIVE,
            "domain win10 needs libvirt's network 'my net; $x', which is not active; start it ('virsh -c qemu:///system \
             net-start 'my net; $x'')"
                .to_owned(),
        ),
        (
            net("lab"),
            LinkProblem::NotDefined,
            codes::NETWORK_NOT_ACTIVE,
            format!(
                "domain win10 needs libvirt's network 'lab', which is not defined; define it ('virsh -c qemu:///system \
                 net-define') or {EDIT}"
            ),
        ),
        (
            Link::Bridge("br0".to_owned()),
            LinkProblem::Absent,
            codes::INTERFACE_MISSING,
            format!("domain win10 needs the bridge br0, which is not there; make it or {EDIT}"),
        ),
        (
            Link::Bridge("eth0".to_owned()),
            LinkProblem::NoBridge,
            codes::INTERFACE_MISSING,
            format!(
                "domain win10 needs the bridge eth0, and the network interface eth0 is not one; make a bridge or {EDIT}"
            ),
        ),
        (
            Link::Parent("enp5s0".to_owned()),
            LinkProblem::Absent,
            codes::INTERFACE_MISSING,
            format!(
                "domain win10 needs the network interface enp5s0, which is not there; see 'ip link' for its name now, or {EDIT}"
            ),
        ),
    ] {
        let mut case = case("");
        case.context.host.links = vec![(link, problem)];
        refused(&case, code, &expected);
    }
}

#[test]
fn usb_and_scsi_devices() {
    let named = UsbDevice { id: Some((0x046d, 0xc52b)), place: None };
    let placed = UsbDevice { id: None, place: Some((3, 7)) };
    let optional = format!("plug it in, or write startupPolicy='optional' at its <source>: {EDIT}");
    for (device, found, expected) in [
        (named, 0, format!("domain win10 needs the USB device 046d:c52b, which is not there; {optional}")),
        (placed, 0, format!("domain win10 needs the USB device 7 on bus 3, which is not there; {optional}")),
        (
            named,
            2,
            format!(
                "domain win10 needs the USB device 046d:c52b, and there are 2 of them; name one by <address bus=... \
                 device=...>: {EDIT}"
            ),
        ),
    ] {
        let mut case = case("");
        case.context.host.usb = vec![(device, found)];
        refused(&case, codes::USB_DEVICE_MISSING, &expected);
    }
    let mut case = case("");
    case.context.host.scsi = vec!["1:0:0:0".to_owned()];
    let expected = format!(
        "domain win10 needs the SCSI device 1:0:0:0, which is not there; see 'lsscsi' for its address now: {EDIT}"
    );
    refused(&case, codes::SCSI_DEVICE_MISSING, &expected);
}

#[test]
fn cpus_that_are_not_online_or_not_there() {
    let with = |pin: &str| {
        let mut case = case(&format!("<cputune>{pin}</cputune>"));
        (case.context.host.online, case.context.host.possible) = ((0..=6).collect(), (0..=7).collect());
        case
    };
    for (pin, expected) in [
        (
            "<vcpupin vcpu='2' cpuset='12'/>",
            format!("domain win10 binds vcpupin 2 to CPU 12, and this machine has only 0-6; {EDIT}"),
        ),
        (
            "<emulatorpin cpuset='0,8-9'/>",
            format!("domain win10 binds emulatorpin to CPUs 8-9, and this machine has only 0-6; {EDIT}"),
        ),
        (
            "<iothreadpin iothread='1' cpuset='7'/>",
            format!("domain win10 binds iothreadpin 1 to CPU 7, which is not online; online are 0-6: {EDIT}"),
        ),
    ] {
        refused(&with(pin), codes::CPU_NOT_ONLINE, &expected);
    }
    // One of several is enough, and what no pin names may be offline.
    starts(&with("<vcpupin vcpu='0' cpuset='6-7'/>"));
    starts(&with("<vcpupin vcpu='0' cpuset='0-3,^2'/>"));
    let mut unknown = with("<vcpupin vcpu='2' cpuset='12'/>");
    unknown.context.host.online.clear();
    starts(&unknown);
}

#[test]
fn nodes_and_huge_pages() {
    let numa = |nodes: &str| case(&format!("<numatune><memory mode='strict' nodeset='{nodes}'/></numatune>"));
    let mut two = numa("0-1");
    two.context.host.nodes = vec![0];
    let expected = format!("domain win10 takes its memory from NUMA node 1, and this machine has memory in 0; {EDIT}");
    refused(&two, codes::NUMA_NODE_MISSING, &expected);
    two.context.host.nodes = vec![0, 1];
    starts(&two);
    starts(&numa("7"));
    let mut pages = case("");
    pages.context.host.not_mounted = vec![1 << 30];
    let expected = "domain win10 needs a mounted file system of huge pages of 1 GiB, and there is none; write <source \
                    type='memfd'/> in <memoryBacking>, which needs none, or mount one ('mount -t hugetlbfs -o pagesize=1024M \
                    hugetlbfs DIRECTORY') and restart libvirt's daemon";
    refused(&pages, codes::HUGE_PAGES_NOT_MOUNTED, expected);
}

#[test]
fn a_saved_state_is_not_gone_on_from() {
    let mut case = case("");
    case.context.host.saved = Some("/var/lib/libvirt/qemu/save/win10.save".to_owned());
    let expected =
        "domain win10 would go on from its saved state (/var/lib/libvirt/qemu/save/win10.save), with the devices that \
                    it had then; give that state up ('virsh -c qemu:///system managedsave-remove win10')";
    refused(&case, codes::DOMAIN_IS_SAVED, expected);
}

#[test]
fn a_machine_that_the_emulator_does_not_know() {
    let mut case = case(
        "<os><type machine='pc-q35-9.9'>hvm</type></os><devices><emulator>/usr/bin/qemu-system-x86_64</emulator></devices>",
    );
    starts(&case);
    case.context.host.machines = Some(vec!["pc-q35-9.2".to_owned(), "q35".to_owned()]);
    let expected = format!(
        "domain win10 is a machine of the type pc-q35-9.9, which /usr/bin/qemu-system-x86_64 does not know; \
         '/usr/bin/qemu-system-x86_64 -machine help' lists those that it knows: {EDIT}"
    );
    refused(&case, codes::MACHINE_UNKNOWN, &expected);
    domain(&mut case).machine.as_mut().unwrap().name = "q35".to_owned();
    starts(&case);
}

#[test]
fn a_program_for_shared_directories() {
    let mut case = case("");
    case.context.host.lacks_virtiofsd = true;
    let expected = "domain win10 shares a directory by virtiofs, and no virtiofsd is installed; install virtiofsd";
    refused(&case, codes::VIRTIOFSD_MISSING, expected);
}

#[test]
fn arguments_with_which_qemu_ends() {
    let arguments = |values: &[&str]| {
        let values: String = values.iter().map(|value| format!("<qemu:arg value='{value}'/>")).collect();
        case(&format!("<qemu:commandline>{values}</qemu:commandline>"))
    };
    let expected = format!(
        "domain win10 has arguments '-set device.hostdev0...' for QEMU, which does not find libvirt's own devices by that; write \
         <qemu:override> for that device (libvirt 8.2 or later): {EDIT}"
    );
    let twice = ["-set", "device.hostdev0.x-vga=on", "-set", "device.hostdev0.x-igd-opregion=on"];
    refused(&arguments(&twice), codes::QEMU_ARGUMENT, &expected);
    let expected = format!(
        "domain win10 has the argument '-device qemu-xhci' for QEMU, which takes it as one word; write the option and its value \
         as two <qemu:arg>: {EDIT}"
    );
    refused(&arguments(&["-device qemu-xhci"]), codes::QEMU_ARGUMENT, &expected);
    starts(&arguments(&["-device", "qemu-xhci,id=a", "-set", "device.a.ports=4"]));
}

#[test]
fn a_card_without_its_picture() {
    let mut unassigned = case("");
    domain(&mut unassigned).hostdevs[0].assigned = false;
    let expected = format!(
        "domain win10 does not get 0000:09:00.0 (VGA display) of [gpu big], and so no picture; remove <address \
         type='unassigned'/> there: {EDIT}"
    );
    refused(&unassigned, codes::DOMAIN_LACKS_DISPLAY, &expected);
    let mut sound = case("");
    sound.domain(&[("0000:09:00.1", true)]);
    let expected = String::from(
        "domain win10 does not get 0000:09:00.0 (VGA display) of [gpu big], and so no picture; 'vfio guest edit win10' \
         adds it"
    );
    refused(&sound, codes::DOMAIN_LACKS_DISPLAY, &expected);
    // Sound that is only taken from the host is a loss, and no reason not to start.
    let mut quiet = case("");
    domain(&mut quiet).hostdevs[1].assigned = false;
    let (refusals, warnings) = quiet.said(check);
    assert!(refusals.is_empty() && warnings[0].code == codes::DOMAIN_LACKS_FUNCTION, "{refusals:?} {warnings:?}");
}

#[test]
fn a_device_beside_the_card_whose_group_cannot_be_viable() {
    let mut machine = machine();
    machine.functions.push(function("0000:05:00.1", 0x0c_0330, 11, Some("xhci_hcd")));
    let mut case = Case::new("[gpu big]\ndevice = 0000:09:00.0\nbind = guest\n[guest win10]\ngpus = big\n", machine);
    let card = [("0000:09:00.0", true), ("0000:09:00.1", true)];
    case.domain(&[&card[..], &[("0000:05:00.0", true)]].concat());
    case.driver("0000:05:00.0", Some("vfio-pci"));
    let expected = format!(
        "domain win10 also gets 0000:05:00.0, and 0000:05:00.1 (USB controller, xhci_hcd) shares IOMMU group 11 and keeps the \
         group from guests; {EDIT}"
    );
    refused(&case, codes::GROUP_NOT_VIABLE, &expected);
    // What libvirt moves to vfio, and what has no driver, keeps no group.
    let mut moved = case;
    moved.driver("0000:05:00.1", None);
    starts(&moved);
}

#[test]
fn a_controller_with_data_of_the_host_beside_the_card() {
    let mut case = case("");
    let card = [("0000:09:00.0", true), ("0000:09:00.1", true), ("0000:05:00.0", true)];
    case.domain(&card);
    case.driver("0000:05:00.0", Some("nvme"));
    let what = Use::Swap { device: "nvme0n1p2".to_owned() };
    case.host.usage = vec![Usage { functions: vec!["0000:05:00.0".parse().unwrap()], what }];
    let expected = format!(
        "domain win10 also gets 0000:05:00.0 (network, nvme), which carries swap (nvme0n1p2); unmount it first or {EDIT}"
    );
    refused(&case, codes::HOST_DATA_ON_DEVICE, &expected);
}

/// The same may be found on two ways.
#[test]
fn no_sentence_is_said_twice() {
    let mut case = case("");
    let root = Use::Mounted { at: "/".to_owned(), device: "sda2".to_owned() };
    case.context.host.in_use = vec![("the disk /dev/sda".to_owned(), root); 2];
    assert_eq!(case.planned().refusals.len(), 1);
}

#[test]
fn firmware_that_libvirt_would_choose_must_be_there() {
    let mut case = case("<os firmware='efi'><type arch='x86_64'>hvm</type></os>");
    assert!(domain(&mut case).chooses_uefi);
    starts(&case);
    case.context.host.lacks_uefi = Some("install ovmf".to_owned());
    let text = "domain win10 has UEFI firmware that libvirt chooses, and none is installed; install ovmf";
    refused(&case, codes::UEFI_MISSING, text);
    // One with a file of its own, and a BIOS.
    let file = "<os firmware='efi'><loader type='pflash'>/usr/share/OVMF/OVMF_CODE.fd</loader></os>";
    for os in [file, "<os firmware='bios'/>", "<os><type arch='x86_64'>hvm</type></os>"] {
        assert!(!domain(&mut self::case(os)).chooses_uefi, "{os}");
    }
}

#[test]
fn addresses_that_the_iommu_does_not_reach() {
    const EFI: &str = "<os firmware='efi'/>";
    let of = |cpu: &str, os: &str, bits| {
        let mut case = case(&format!("{os}{cpu}"));
        case.context.host.address_bits = bits;
        let (refusals, warnings) = case.said(check);
        assert!(refusals.is_empty(), "{refusals:?}");
        warnings.iter().map(|warning| warning.code).collect::<Vec<_>>()
    };
    let whole = "<cpu mode='host-passthrough'/>";
    assert_eq!(of(whole, EFI, Some(39)), [codes::ADDRESSES_TOO_WIDE]);
    assert_eq!(of(whole, EFI, None), []);
    assert_eq!(of(whole, "", Some(39)), []);
    assert_eq!(
        of("<cpu mode='host-passthrough'><maxphysaddr mode='passthrough' limit='39'/></cpu>", EFI, Some(39)),
        []
    );
    assert_eq!(of("<cpu mode='custom'><model>Skylake-Client</model></cpu>", EFI, Some(39)), []);
}
