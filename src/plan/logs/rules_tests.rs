// SPDX-License-Identifier: LGPL-2.1-or-later
//! Each rule with a line that it must know, and one like it that it must not know. Lines are made up after the sources that
//! the tables name; a rule that is not in this list fails.
#![allow(clippy::unwrap_used)]

use super::cards::LoggedCards;
use super::gather::findings;
use super::search::{Log, LogForm, Patterns};
use crate::finding::codes::logs::RULES;
use crate::finding::codes::{logs, Code};
use crate::finding::{Finding, Severity};

const LINES: &[(Code, &str, &str)] = &[
    // The IOMMU.
    (
        logs::ONE_TO_ONE_REFUSED,
        "vfio-pci 0000:01:00.0: Firmware has requested this device have a 1:1 IOMMU mapping, rejecting configuring the device without a 1:1 mapping. Contact your platform vendor.",
        "DMAR: Intel-IOMMU: 1:1 IOMMU mapping for device 0000:01:00.0",
    ),
    (
        logs::RMRR_REFUSED,
        "vfio-pci 0000:04:00.0: Device is ineligible for IOMMU domain attach due to platform RMRR requirement.  Contact your platform vendor.",
        "vfio-pci 0000:04:00.0: DMAR: Setting RMRR requirement",
    ),
    (
        logs::INTERRUPTS_NOT_REMAPPED,
        "vfio_iommu_type1_attach_group: No interrupt remapping support.  Use the module param \"allow_unsafe_interrupts\" to enable VFIO IOMMU support on this platform",
        "DMAR-IR: Enabled IRQ remapping in x2apic mode",
    ),
    (
        logs::INTERRUPT_REMAPPING_ERRATUM,
        "DMAR-IR: This system BIOS has enabled interrupt remapping",
        "AMD-Vi: Interrupt remapping enabled",
    ),
    (
        logs::VFIO_PROBE_FAILED,
        "vfio-pci 0000:01:00.0: probe with driver vfio-pci failed with error -22",
        "nvidia 0000:01:00.0: probe with driver nvidia failed with error -1",
    ),
    (
        logs::IOMMU_WAIT_TIMED_OUT,
        "AMD-Vi: Event logged [IOTLB_INV_TIMEOUT device=0b:00.0 address=0x1003a1ab0]",
        "AMD-Vi: Interrupt remapping enabled",
    ),
    (
        logs::DMA_REFUSED,
        "DMAR: [DMA Read NO_PASID] Request device [01:00.0] fault addr 0x7a000000 [fault reason 0x06] PTE Read access is not set",
        "DMAR: [INTR-REMAP] Request device [f0:1f.0] fault index 0x0",
    ),
    (
        logs::IOMMU_TABLE_BROKEN,
        "AMD-Vi: [Firmware Bug]: : IOAPIC[4] not in IVRS table",
        "ACPI: [Firmware Bug]: BIOS _OSI(Linux) query ignored",
    ),
    // Power, resets and the link.
    (
        logs::NOT_READY_AFTER_RESUME,
        "vfio-pci 0000:01:00.0: not ready 65535ms after resume; giving up",
        "vfio-pci 0000:01:00.0: not ready 1023ms after resume; waiting",
    ),
    (
        logs::NOT_READY_AFTER_RESET,
        "vfio-pci 0000:01:00.0: not ready 65535ms after FLR; giving up",
        "vfio-pci 0000:01:00.0: not ready 1023ms after bus reset; waiting",
    ),
    (
        logs::CARD_STAYS_WITHOUT_POWER,
        "vfio-pci 0000:01:00.0: Unable to change power state from D3cold to D0, device inaccessible",
        "atomisp 0000:00:03.0: Unable to change power state from D0 to D3hot, device inaccessible",
    ),
    (
        logs::RESET_WITH_WORK_PENDING,
        "vfio-pci 0000:01:00.0: timed out waiting for pending transaction; performing function level reset anyway",
        "nvme 0000:01:00.0: timed out waiting for pending transaction",
    ),
    (
        logs::CONFIGURATION_LOST,
        "vfio-pci 0000:01:00.0: vfio_bar_restore: reset recovery - restoring BARs",
        "pci 0000:01:00.0: restoring BARs",
    ),
    (
        logs::RESET_METHOD_UNSUPPORTED,
        "pci 0000:01:00.0: Unsupported reset method 'device_specific'",
        "pci 0000:01:00.0: reset method 'bus' set",
    ),
    (
        logs::VENDOR_RESET_FAILED,
        "vfio-pci 0000:03:00.0: AMD_POLARIS10: failed to reset device",
        "vfio-pci 0000:03:00.0: AMD_POLARIS10: version 1.0",
    ),
    (
        logs::LINK_ERROR,
        "pcieport 0000:00:01.1: AER: Uncorrected (Fatal) error received: 0000:01:00.0",
        "pcieport 0000:00:01.1: AER: enabled with IRQ 27",
    ),
    (
        logs::LINK_ERRORS_CORRECTED,
        "vfio-pci 0000:01:00.0: PCIe Bus Error: severity=Corrected, type=Physical Layer, (Receiver ID)",
        "vfio-pci 0000:01:00.0:   device [10de:2684] error status/mask=00000001/0000a000",
    ),
    (
        logs::LINK_NOT_TRAINED,
        "pcieport 0000:00:01.1: broken device, retraining non-functional downstream link at 2.5GT/s",
        "pcieport 0000:00:01.1: retraining link",
    ),
    (
        logs::CARD_FELL_OFF_BUS,
        "NVRM: Xid (PCI:0000:01:00): 79, pid='<unknown>', name=<unknown>, GPU has left.",
        "NVRM: Xid (PCI:0000:01:00): 31, pid=1234, name=game",
    ),
    (
        logs::AMDGPU_FOUND_CARD_NOT_RESET,
        "amdgpu 0000:03:00.0: amdgpu: SMU: I'm not done with your previous command!",
        "amdgpu 0000:03:00.0: amdgpu: SMU is initialized successfully!",
    ),
    // BARs and option ROMs.
    (
        logs::BAR_TAKEN,
        "vfio-pci 0000:01:00.0: BAR 1: can't reserve [mem 0xe0000000-0xefffffff 64bit pref]",
        "vfio-pci 0000:01:00.0: BAR 5: can't reserve [io  0xe000-0xe07f]",
    ),
    (
        logs::BAR_WITHOUT_SPACE,
        "pci 0000:01:00.0: BAR 1 [mem size 0x400000000 64bit pref]: can't assign; no space",
        "pci 0000:00:1c.0: bridge window [mem size 0x00200000]: can't assign; no space",
    ),
    (
        logs::ROM_NOT_AWAKE,
        "vfio-pci 0000:01:00.0: Invalid PCI ROM header signature: expecting 0xaa55, got 0xffff",
        "vfio-pci 0000:01:00.0: Invalid PCI ROM header signature: expecting 0xaa55, got 0x0000",
    ),
    (
        logs::ROM_HEADER_INVALID,
        "vfio-pci 0000:01:00.0: Invalid PCI ROM header signature: expecting 0xaa55, got 0x0000",
        "vfio-pci 0000:01:00.0: Invalid PCI ROM header signature: expecting 0xaa55, got 0xffff",
    ),
    (
        logs::ROM_DAMAGED,
        "vfio-pci 0000:01:00.0: Invalid PCI ROM data signature: expecting 0x52494350, got 0x00000000",
        "vfio-pci 0000:01:00.0: PCI ROM data is fine",
    ),
    (
        logs::MEMORY_TYPE_LEFT,
        "x86/PAT: Xorg:1234 freeing invalid memtype [mem 0xe0000000-0xe00fffff]",
        "x86/PAT: Configuration [0-7]: WB  WC  UC- UC  WB  WP  UC- WT",
    ),
    // Drivers of the host.
    (
        logs::DRIVER_LEFT_FILES,
        "sysfs: cannot create duplicate filename '/devices/pci0000:00/0000:00:01.0/0000:01:00.0/mem_info_vram_total'",
        "sysfs: cannot remove filename '/devices/x'",
    ),
    (
        logs::NVIDIA_REMOVE_WAITS,
        "NVRM: Attempting to remove device 0000:01:00.0 with non-zero usage count!",
        "NVRM: Attempting to remove nothing",
    ),
    (
        logs::NVIDIA_INIT_FAILED,
        "NVRM: GPU 0000:01:00.0: RmInitAdapter failed! (0x22:0x56:762)",
        "NVRM: GPU 0000:01:00.0: RmInitAdapter succeeded",
    ),
    (
        logs::SOUND_FUNCTION_SILENT,
        "snd_hda_intel 0000:01:00.1: CORB reset timeout#2, CORBRP = 65535",
        "snd_hda_intel 0000:01:00.1: CORB reset timeout#1, CORBRP = 0",
    ),
    (
        logs::KERNEL_LOCKED_DOWN,
        "Lockdown: setpci: direct PCI access is restricted; see man kernel_lockdown.7",
        "Lockdown: swapper/0: hibernation is restricted; see man kernel_lockdown.7",
    ),
    (
        logs::MODULE_NOT_SIGNED,
        "Loading of unsigned module is rejected",
        "Loading compiled-in X.509 certificates",
    ),
    (
        logs::MODULE_NOT_SIGNED,
        "Lockdown: insmod: unsigned module loading is restricted; see man kernel_lockdown.7",
        "Lockdown: setpci: direct PCI access is restricted; see man kernel_lockdown.7",
    ),
    (
        logs::INTERRUPT_SHARED,
        "genirq: Flags mismatch irq 16. 00000000 (vfio-intx(0000:04:00.0)) vs. 00000080 (ehci_hcd:usb1)",
        "genirq: Threaded handler for irq 16",
    ),
    (
        logs::SPLIT_LOCK,
        "x86/split lock detection: #AC: CPU 2/KVM/4321 took a split_lock trap at address: 0xfffff80312345678",
        "x86/split lock detection: #AC: crashing the kernel on kernel split_locks and warning on user-space split_locks",
    ),
    (
        logs::MSR_NOT_KNOWN,
        "kvm [4321]: vcpu0, guest rIP: 0xfffff80312345678 unhandled rdmsr: 0x611",
        "x86: unhandled rdmsr of the host",
    ),
    (logs::VIRTUAL_FUNCTIONS_GONE, "i915 0000:00:02.0: Disabled 7 VFs", "i915 0000:00:02.0: Enabled 7 VFs"),
    (
        logs::CLOCK_UNSTABLE,
        "clocksource: timekeeping watchdog on CPU3: Marking clocksource 'tsc' as unstable because the skew is too large:",
        "clocksource: Switched to clocksource tsc",
    ),
    (logs::DRIVER_REMOVE_HANGS, " ? nv_pci_remove+0x1b4/0x2f0 [nvidia]", " ? pci_device_remove+0x36/0xa0"),
    // QEMU.
    (
        logs::QEMU_GROUP_NOT_VIABLE,
        "qemu-system-x86_64: -device vfio-pci,host=0000:01:00.0: vfio 0000:01:00.0: group 14 is not viable",
        "qemu-system-x86_64: group 14 is viable",
    ),
    (
        logs::QEMU_NO_GROUP,
        "qemu-system-x86_64: vfio 0000:01:00.0: no iommu_group found: No such file or directory",
        "qemu-system-x86_64: Could not open 'disk.img': No such file or directory",
    ),
    (
        logs::QEMU_GROUP_NOT_USABLE,
        "qemu-system-x86_64: vfio 0000:01:00.0: failed to setup container for group 14: Failed to set group container: Invalid argument",
        "qemu-system-x86_64: failed to setup the display",
    ),
    (
        logs::QEMU_GROUP_BUSY,
        "qemu-system-x86_64: vfio 0000:01:00.0: failed to open /dev/vfio/14: Device or resource busy",
        "qemu-system-x86_64: failed to open /dev/net/tun: Device or resource busy",
    ),
    (
        logs::QEMU_GROUP_NOT_PERMITTED,
        "qemu-system-x86_64: vfio 0000:01:00.0: failed to open /dev/vfio/14: Permission denied",
        "qemu-system-x86_64: failed to open /dev/kvm: Permission denied",
    ),
    (
        logs::QEMU_MEMORY_LOCK,
        "qemu-system-x86_64: VFIO_MAP_DMA failed: Cannot allocate memory",
        "qemu-system-x86_64: cannot set up guest memory 'pc.ram': Cannot allocate memory",
    ),
    (
        logs::QEMU_ADDRESS_TOO_WIDE,
        "qemu-system-x86_64: vfio: DMA mapping failed, unable to continue",
        "qemu-system-x86_64: DMA mapping done, able to continue",
    ),
    (
        logs::QEMU_PEER_MAPPING,
        "qemu-system-x86_64: vfio_container_dma_map(0x55d1, 0x380000000000, 0x2000000, 0x7f01) = -22 (Invalid argument)",
        "qemu-system-x86_64: vfio_container_dma_unmap(0x55d1) = -22 (No such device)",
    ),
    (
        logs::QEMU_MEMORY_NOT_SHARED,
        "qemu-system-x86_64: VFIO_MAP_DMA failed: Bad address",
        "qemu-system-x86_64: VFIO_UNMAP_DMA failed: Bad address",
    ),
    (
        logs::QEMU_IOMMU_TOO_WIDE,
        "qemu-system-x86_64: vfio 0000:01:00.0: aw-bits 48 > host aw-bits 39",
        "qemu-system-x86_64: supported values for aw-bits are: 39, 48",
    ),
    (
        logs::QEMU_ROM_NOT_READ,
        "qemu-system-x86_64: vfio-pci: Cannot read device rom at 0000:01:00.0",
        "qemu-system-x86_64: Cannot read the disk",
    ),
    (
        logs::QEMU_ROM_FILE,
        "qemu-system-x86_64: -device vfio-pci,romfile=/x.rom: failed to find romfile \"/x.rom\"",
        "qemu-system-x86_64: failed to find a bus",
    ),
    (
        logs::QEMU_CARD_TWICE,
        "qemu-system-x86_64: vfio 0000:01:00.0: device is already attached",
        "qemu-system-x86_64: device is attached",
    ),
    (
        logs::QEMU_HUGE_PAGES,
        "qemu-system-x86_64: unable to map backing store for guest RAM: Cannot allocate memory",
        "qemu-system-x86_64: unable to map backing store for guest RAM: Permission denied",
    ),
    (
        logs::QEMU_NO_KVM,
        "Could not access KVM kernel module: No such file or directory",
        "qemu-system-x86_64: accel KVM is the default",
    ),
    (
        logs::QEMU_CARD_IN_D3,
        "qemu-system-x86_64: vfio: Unable to power on device, stuck in D3",
        "qemu-system-x86_64: vfio: device is in D3",
    ),
    (
        logs::QEMU_CARD_DEAD,
        "qemu-system-x86_64: ../hw/pci/pci.c:1654: pci_irq_handler: Assertion `0 <= irq_num && irq_num < PCI_NUM_PINS' failed.",
        "qemu-system-x86_64: ../block.c:1654: bdrv_close: Assertion `x' failed.",
    ),
    (
        logs::QEMU_CANNOT_RESET,
        "qemu-system-x86_64: vfio: Cannot reset device 0000:01:00.0, depends on group 15 which is not owned.",
        "qemu-system-x86_64: vfio: Cannot reset the clock",
    ),
    (
        logs::QEMU_INTERRUPT_LINE,
        "qemu-system-x86_64: vfio 0000:01:00.0: Failed to setup INTx fd: Device or resource busy",
        "qemu-system-x86_64: vfio: failed to setup MSI",
    ),
    (
        logs::QEMU_SLOW_BAR,
        "qemu-system-x86_64: Failed to mmap 0000:01:00.0 BAR 1. Performance may be slow",
        "qemu-system-x86_64: Failed to mmap the kernel",
    ),
    (
        logs::QEMU_INTEL_GRAPHICS,
        "qemu-system-x86_64: IGD device 0000:00:02.0 failed to enable VGA access, legacy mode disabled",
        "qemu-system-x86_64: IGD device 0000:00:02.0 has VGA access",
    ),
    // libvirt and what confines it.
    (
        logs::LIBVIRT_CARD_DEAD,
        "internal error: Unknown PCI header type '127' for device '0000:01:00.0'",
        "internal error: Unknown PCI header type '2' for device '0000:01:00.0'",
    ),
    (
        logs::LIBVIRT_CARD_IN_USE,
        "Requested operation is not valid: PCI device 0000:01:00.0 is in use by driver QEMU, domain other",
        "Requested operation is not valid: PCI device 0000:01:00.0 is not in use",
    ),
    (
        logs::LIBVIRT_CARD_UNMANAGED,
        "Unmanaged PCI device 0000:01:00.0 must be manually detached from the host",
        "Managed PCI device 0000:01:00.0 detached from the host",
    ),
    (
        logs::LIBVIRT_CARD_NOT_ASSIGNABLE,
        "PCI device 0000:01:00.0 is not assignable",
        "PCI device 0000:01:00.0 is assignable",
    ),
    (
        logs::LIBVIRT_NO_PASSTHROUGH,
        "unsupported configuration: host doesn't support passthrough of host PCI devices",
        "unsupported configuration: host doesn't support nested guests",
    ),
    (
        logs::LIBVIRT_LOCKED,
        "Timed out during operation: cannot acquire state change lock (held by monitor=remoteDispatchDomainCreate)",
        "Timed out during operation: cannot acquire memory",
    ),
    (
        logs::LIBVIRT_NETWORK_OFF,
        "Requested operation is not valid: network 'default' is not active",
        "Requested operation is not valid: storage pool 'default' is not active",
    ),
    (
        logs::LIBVIRT_NO_FIRMWARE,
        "operation failed: Unable to find any firmware to satisfy 'efi'",
        "operation failed: Unable to find any disk",
    ),
    (
        logs::LIBVIRT_NO_TPM,
        "unsupported configuration: TPM version '2.0' is not supported",
        "unsupported configuration: disk version '2.0' is not supported",
    ),
    (
        logs::LIBVIRT_MODULES_GONE,
        "modprobe: FATAL: Module vfio-pci not found in directory /lib/modules/6.12.1-arch1-1",
        "modprobe: ERROR: could not insert 'vfio_pci': Invalid argument",
    ),
    (
        logs::APPARMOR_DENIED,
        "audit: type=1400 audit(1700000000.123:45): apparmor=\"DENIED\" operation=\"open\" profile=\"libvirt-5f0c\" name=\"/home/x/card.rom\" comm=\"qemu-system-x86\"",
        "audit: type=1400 audit(1700000000.123:45): apparmor=\"ALLOWED\" operation=\"open\" profile=\"libvirt-5f0c\" name=\"/x\"",
    ),
    (
        logs::SELINUX_DENIED,
        "type=AVC msg=audit(1700000000.123:45): avc:  denied  { read } for  pid=9 comm=\"qemu-system-x86\" name=\"card.rom\" tcontext=unconfined_u:object_r:user_home_t:s0",
        "type=AVC msg=audit(1700000000.123:45): avc:  denied  { read } for  pid=9 comm=\"httpd\" name=\"x\"",
    ),
    (
        logs::UNIT_START_LIMIT,
        "vfio-guest@win10.service: Start request repeated too quickly.",
        "vfio-guest@win10.service: Scheduled restart job",
    ),
    // Lines that mean no harm.
    (
        logs::HARMLESS_VGA_DECODES,
        "vfio-pci 0000:01:00.0: vgaarb: VGA decodes changed: olddecodes=io+mem,decodes=none:owns=none",
        "vgaarb: loaded",
    ),
    (
        logs::HARMLESS_HIDDEN_CAPABILITY,
        "vfio-pci 0000:01:00.0: vfio_ecap_init: hiding ecap 0x19@0x900",
        "vfio-pci 0000:01:00.0: vfio_ecap_init: found it",
    ),
    (
        logs::HARMLESS_DEVICE_ENABLED,
        "vfio-pci 0000:01:00.0: enabling device (0000 -> 0003)",
        "vfio-pci 0000:01:00.0: enabling bus mastering",
    ),
    (
        logs::HARMLESS_ROM_CHAIN,
        "vfio-pci 0000:01:00.0: No more image in the PCI ROM",
        "vfio-pci 0000:01:00.0: an image in the PCI ROM",
    ),
    (
        logs::HARMLESS_NO_IOMMUV2,
        "AMD-Vi: AMD IOMMUv2 functionality not available on this system - This is not a bug.",
        "AMD-Vi: AMD IOMMUv2 loaded and initialized",
    ),
    (logs::HARMLESS_IOMMU_ENABLED, "DMAR: IOMMU enabled", "DMAR: IOMMU feature pgsel_inv inconsistent"),
    (
        logs::HARMLESS_RESET_WAIT,
        "vfio-pci 0000:01:00.0: not ready 1023ms after bus reset; waiting",
        "vfio-pci 0000:01:00.0: not ready 65535ms after bus reset; giving up",
    ),
    (logs::HARMLESS_VFIO_RESET, "vfio-pci 0000:01:00.0: resetting", "nvme 0000:01:00.0: resetting"),
    (
        logs::HARMLESS_ROM_MAPPED,
        "resource sanity check: requesting [mem 0x000c0000-0x000dffff], which spans more than PCI Bus 0000:00 [mem 0x000c0000-0x000cbfff]",
        "resource: requesting [mem 0x000c0000-0x000dffff]",
    ),
    (
        logs::HARMLESS_TAINT,
        "vendor_reset: module verification failed: signature and/or required key missing - tainting kernel",
        "vendor_reset: loading out-of-tree module taints kernel.",
    ),
    (
        logs::HARMLESS_NO_HIBERNATION,
        "Lockdown: swapper/0: hibernation is restricted; see man kernel_lockdown.7",
        "Kernel is locked down from EFI Secure Boot; see man kernel_lockdown.7",
    ),
    (
        logs::HARMLESS_NVIDIA_PROBE,
        "NVRM: The NVIDIA probe routine was not called for 1 device(s).",
        "NVRM: The NVIDIA probe routine failed for 1 device(s).",
    ),
    (
        logs::HARMLESS_SOUND_PROBE,
        "snd_hda_intel 0000:01:00.1: GPU sound probed, but not operational: please add a quirk to driver_denylist",
        "snd_hda_intel 0000:01:00.1: enabling device (0 -> 2)",
    ),
    (
        logs::HARMLESS_NO_RESET_OF_ITS_OWN,
        "error writing '1' to '/sys/bus/pci/devices/0000:01:00.1/reset': Inappropriate ioctl for device",
        "error writing '1' to '/sys/bus/pci/devices/0000:01:00.1/remove': Permission denied",
    ),
    (
        logs::HARMLESS_QEMU_ENDED,
        "internal error: QEMU unexpectedly closed the monitor (vm='win10'): 2024-01-02T03:04:05.678901Z qemu-system-x86_64: x",
        "internal error: the daemon closed the monitor",
    ),
];

#[test]
fn every_rule_knows_its_line_and_no_near_miss() {
    let patterns = Patterns::of_all_rules().unwrap();
    let known = |line: &str| patterns.explain(line).map(|rule| rule.code);
    for (code, line, miss) in LINES {
        assert_eq!(known(line), Some(*code), "{line}");
        assert_ne!(known(miss), Some(*code), "{miss}");
    }
    let without: Vec<Code> = RULES
        .iter()
        .flat_map(|rules| rules.iter())
        .map(|rule| rule.code)
        .filter(|code| !LINES.iter().any(|(known, ..)| known == code))
        .collect();
    assert!(without.is_empty(), "rules without a line of their own: {without:?}");
}

/// A pattern that can never be found because another one takes its lines, or that says nothing, is none.
#[test]
fn every_pattern_can_be_found() {
    let patterns = Patterns::of_all_rules().unwrap();
    for rule in RULES.iter().flat_map(|rules| rules.iter()) {
        for pattern in rule.patterns {
            let line = pattern.replace('*', "x");
            assert_eq!(patterns.explain(&line).map(|rule| rule.code), Some(rule.code), "{pattern}");
            assert!(super::pattern::anchor(pattern).len() >= 6, "{pattern}: it is looked for by less than six letters");
        }
        assert!(rule.severity != Severity::Ok || rule.follows.is_empty(), "{}", rule.code);
    }
}

fn cards() -> LoggedCards {
    let address = |text: &str| text.parse().unwrap();
    LoggedCards {
        functions: vec![(address("0000:01:00.0"), "big".to_owned()), (address("0000:01:00.1"), "big".to_owned())],
        ports: vec![(address("0000:00:01.0"), "big".to_owned())],
    }
}

fn found_in(logs: &[(LogForm, bool, &str)], failed_before: bool) -> Vec<Finding> {
    let patterns = Patterns::of_all_rules().unwrap();
    let log = |(form, before, text): &(LogForm, bool, &str)| Log {
        form: *form,
        before: *before,
        guest: None,
        since: None,
        text: (*text).to_owned(),
    };
    let hits: Vec<_> = logs.iter().flat_map(|of| patterns.hits(&log(of))).collect();
    findings(&hits, &cards(), failed_before)
}

fn codes_in(text: &str) -> Vec<&'static str> {
    found_in(&[(LogForm::Journal, false, text)], false).iter().map(|finding| finding.code.name()).collect()
}

#[test]
fn lines_of_other_devices_are_left_out() {
    for (line, expected) in [
        (
            "1700000000.1 kernel: vfio-pci 0000:01:00.1: not ready 65535ms after FLR; giving up",
            &["not-ready-after-reset"][..],
        ),
        ("1700000000.1 kernel: nvme 0000:02:00.0: not ready 65535ms after FLR; giving up", &[]),
        ("1700000000.1 kernel: pcieport 0000:00:01.0: AER: Uncorrected (Fatal) error", &["link-error"]),
        ("1700000000.1 kernel: pcieport 0000:00:02.0: AER: Uncorrected (Fatal) error", &[]),
        ("1700000000.1 kernel: DMAR: [DMA Write] Request device [01:00.0] fault addr 0", &["dma-refused"]),
        ("1700000000.1 kernel: Loading of unsigned module is rejected", &["module-not-signed"]),
        // A program may write what it likes; the kernel's rules are for the kernel.
        ("1700000000.1 libvirtd[9]: Loading of unsigned module is rejected", &[]),
        ("1700000000.1 kernel: vfio-pci 0000:01:00.0: resetting", &[]),
    ] {
        assert_eq!(codes_in(line), expected, "{line}");
    }
}

#[test]
fn lines_are_counted_and_the_last_one_is_shown() {
    let line = |second: u32, ms: u32| {
        format!("17000000{second:02}.1 kernel: vfio-pci 0000:01:00.0: not ready {ms}ms after FLR; giving up\n")
    };
    let text = [line(10, 1), line(30, 3), line(20, 2)].concat();
    let found = found_in(&[(LogForm::Journal, false, &text)], false);
    let seen = found[0].seen().unwrap();
    assert_eq!((found.len(), seen.count, seen.first, seen.last), (1, 3, Some(1_700_000_010), Some(1_700_000_030)));
    assert!(seen.line.ends_with("not ready 3ms after FLR; giving up"), "{}", seen.line);
    assert!(found[0].text.starts_with("[gpu big] 0000:01:00.0: the card does not answer"), "{}", found[0].text);
    assert!(found[0].text.ends_with("(3 lines, the last at 2023-11-14 22:13:50 UTC)"), "{}", found[0].text);
}

#[test]
fn what_follows_from_a_trouble_is_told_with_it() {
    let refused =
        "1700000000.1 kernel: vfio-pci 0000:01:00.0: Firmware has requested this device have a 1:1 IOMMU mapping\n";
    let probe = "1700000001.1 kernel: vfio-pci 0000:01:00.0: probe with driver vfio-pci failed with error -22\n";
    let qemu = "1700000030.1 libvirtd[9]: qemu: vfio 0000:01:00.0: failed to setup container for group 14\n";
    let late = "1700000900.1 libvirtd[9]: qemu: vfio 0000:01:00.0: failed to setup container for group 14\n";
    let found = found_in(&[(LogForm::Journal, false, &[refused, probe, qemu].concat())], false);
    assert_eq!(found.len(), 1);
    let followed = &found[0].seen().unwrap().followed;
    assert_eq!(followed, &[logs::VFIO_PROBE_FAILED, logs::QEMU_GROUP_NOT_USABLE]);
    assert_eq!(codes_in(&[refused, late].concat()), ["one-to-one-refused", "qemu-group-not-usable"]);
    assert_eq!(codes_in(qemu), ["qemu-group-not-usable"]);
}

#[test]
fn few_lines_of_what_matters_only_in_masses_are_a_note() {
    let line = "1700000000.1 kernel: AMD-Vi: Event logged [IO_PAGE_FAULT device=0000:01:00.0 domain=0x1]\n";
    for (lines, severity) in [(1, Severity::Note), (9, Severity::Note), (10, Severity::Warning)] {
        let found = found_in(&[(LogForm::Journal, false, &line.repeat(lines))], false);
        assert_eq!(found[0].severity, severity, "{lines}");
    }
}

#[test]
fn the_boot_before_is_worth_a_note_unless_a_guest_failed_in_it() {
    let line = "1700000000.1 kernel: vfio-pci 0000:01:00.0: not ready 65535ms after FLR; giving up\n";
    for (failed, severity) in [(false, Severity::Note), (true, Severity::Error)] {
        let found = found_in(&[(LogForm::Journal, true, line)], failed);
        assert_eq!(found[0].severity, severity);
        assert!(found[0].text.contains("in the boot before this one"), "{}", found[0].text);
    }
    let both = found_in(&[(LogForm::Journal, true, line), (LogForm::Journal, false, line)], true);
    assert_eq!((both.len(), both[0].seen().unwrap().before), (1, false));
}

#[test]
fn a_log_without_an_end_takes_no_more_than_its_length() {
    // A line without an end that has a beginning of a rule everywhere.
    let log = Log {
        form: LogForm::Journal,
        before: false,
        guest: None,
        since: None,
        text: "1 kernel: vfio-pci é".repeat(1 << 16),
    };
    assert!(Patterns::of_all_rules().unwrap().hits(&log).is_empty());
    let log = Log { text: format!("{}\n1 kernel: Loading of unsigned module is rejected", log.text), ..log };
    assert_eq!(Patterns::of_all_rules().unwrap().hits(&log).len(), 1);
}
