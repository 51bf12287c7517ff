// SPDX-License-Identifier: LGPL-2.1-or-later
//! Lines of QEMU (`hw/vfio/`), in the domain's log or quoted by libvirt.

use super::address_space::{ROM_HEADER_INVALID, ROM_NOT_AWAKE};
use super::iommu::{INTERRUPTS_NOT_REMAPPED, ONE_TO_ONE_REFUSED, RMRR_REFUSED, VFIO_PROBE_FAILED};
use super::reset::{CARD_STAYS_WITHOUT_POWER, NOT_READY_AFTER_RESET, NOT_READY_AFTER_RESUME};

rules! {
    QEMU_GROUP_NOT_VIABLE "qemu-group-not-viable" Qemu Error
        ["group * is not viable", "Please ensure all devices within the iommu_group are bound"]
        "A member of the card's IOMMU group is bound to a driver of the host, so QEMU does not get the group."
        "See which ('vfio groups'); add it to 'also' if the host may lose it, or use another slot.";
    QEMU_NO_GROUP "qemu-no-group" Qemu Error
        ["no iommu_group found: No such file or directory"] follows [VFIO_PROBE_FAILED]
        "The card is in no IOMMU group: the IOMMU is off, or does not translate for it."
        "'vfio doctor --only cards' says why and where it is switched on.";
    QEMU_GROUP_NOT_USABLE "qemu-group-not-usable" Qemu Error
        ["failed to setup container for group", "failed to set iommu for container", "Failed to set group container"]
        follows [ONE_TO_ONE_REFUSED, RMRR_REFUSED, INTERRUPTS_NOT_REMAPPED]
        "The kernel has refused the card's IOMMU group to QEMU; its own log says why."
        "Look at the kernel's log of that time: memory mapped 1:1, or interrupts that are not remapped.";
    QEMU_GROUP_BUSY "qemu-group-busy" Qemu Error
        ["/dev/vfio/*: Device or resource busy"]
        "Another program has the card's IOMMU group open, such as another virtual machine."
        "See which ('vfio holders NAME'), and shut it down.";
    QEMU_GROUP_NOT_PERMITTED "qemu-group-not-permitted" Qemu Error
        ["/dev/vfio/*: Permission denied"]
        "QEMU may not open the card's IOMMU group. libvirt permits it by itself; QEMU that a user starts needs a rule."
        "Start the guest with libvirt, or give the node to a group of the user by a udev rule.";
    QEMU_MEMORY_LOCK "qemu-memory-lock" Qemu Error
        ["VFIO_MAP_DMA failed: Cannot allocate memory", "dma_map(*) = -12 (Cannot allocate memory)"]
        "QEMU may not lock as much memory as the guest has."
        "Set 'LimitMEMLOCK=infinity' for what starts QEMU, or <memtune><hard_limit> in the domain.";
    QEMU_ADDRESS_TOO_WIDE "qemu-address-too-wide" Qemu Error
        ["DMA mapping failed, unable to continue", "VFIO_MAP_DMA failed: Invalid argument"]
        "The guest uses addresses that this machine's IOMMU cannot translate: many Intel IOMMUs have 39 bits."
        "Write <maxphysaddr mode='passthrough' limit='39'/> in <cpu> of the domain, or give the guest less memory.";
    QEMU_PEER_MAPPING "qemu-peer-mapping" Qemu Note
        ["dma_map(*) = -22 (Invalid argument)", "PCI peer-to-peer transactions on BARs are not supported"]
        follows [QEMU_ADDRESS_TOO_WIDE]
        "A BAR of the card could not be mapped for other devices of the guest, which need it rarely."
        "Nothing, if the guest works; else write <maxphysaddr mode='passthrough' limit='39'/> in <cpu> of the domain.";
    QEMU_MEMORY_NOT_SHARED "qemu-memory-not-shared" Qemu Error
        ["VFIO_MAP_DMA failed: Bad address", "dma_map(*) = -14 (Bad address)"]
        "A part of the guest's memory cannot be mapped for the card: memory in a file that is gone, or not shared although virtiofs needs it."
        "Write <source type='memfd'/> and <access mode='shared'/> in <memoryBacking> of the domain.";
    QEMU_IOMMU_TOO_WIDE "qemu-iommu-too-wide" Qemu Error
        ["aw-bits * > host aw-bits"]
        "The domain's virtual IOMMU has wider addresses than the machine's."
        "Write <driver aw_bits='39'/> in <iommu> of the domain.";
    QEMU_ROM_NOT_READ "qemu-rom-not-read" Qemu Warning
        ["Cannot read device rom at", "Device option ROM contents are probably invalid"]
        follows [ROM_NOT_AWAKE, ROM_HEADER_INVALID]
        "QEMU could not read the card's option ROM."
        "Nothing if the guest shows a picture; else name a file with the ROM: 'rom' in the [gpu] section.";
    QEMU_ROM_FILE "qemu-rom-file" Qemu Error
        ["failed to find romfile \"", "romfile \"*Permission denied"]
        "QEMU cannot read the file with the option ROM: its path, the permissions of its directories, AppArmor or SELinux."
        "Put the file below /usr/share/vgabios, readable for all, and correct its path.";
    QEMU_CARD_TWICE "qemu-card-twice" Qemu Error
        ["device is already attached"]
        "The domain names a function of the card twice."
        "Remove one of the two host devices ('virsh edit').";
    QEMU_HUGE_PAGES "qemu-huge-pages" Qemu Error
        ["unable to map backing store for guest RAM: Cannot allocate memory", "Insufficient free host memory pages"]
        "Fewer huge pages were free than the guest needs."
        "Reserve more huge pages, or leave them out of the domain.";
    QEMU_NO_KVM "qemu-no-kvm" Qemu Error
        ["Could not access KVM kernel module", "failed to initialize kvm"]
        "KVM does not work: the processor's virtualisation is switched off, or its module is not loaded."
        "Switch on SVM or VT-x in the firmware's setup, and load kvm_amd or kvm_intel.";
    QEMU_CARD_IN_D3 "qemu-card-in-d3" Qemu Error
        ["Unable to power on device, stuck in D3"]
        follows [CARD_STAYS_WITHOUT_POWER, NOT_READY_AFTER_RESUME, NOT_READY_AFTER_RESET]
        "The card did not wake up when the guest started."
        "Switch the machine off and on. Some cards must have been initialised by the host's driver once ('bind = guest').";
    QEMU_CARD_DEAD "qemu-card-dead" Qemu Error
        ["pci_irq_handler: Assertion"]
        follows [CARD_STAYS_WITHOUT_POWER, NOT_READY_AFTER_RESUME, NOT_READY_AFTER_RESET]
        "The card answered with ones only when QEMU started: it has crashed or lost power."
        "Reboot; if it does not answer then either, switch the machine off and on.";
    QEMU_CANNOT_RESET "qemu-cannot-reset" Qemu Warning
        ["Cannot reset device *, no available reset mechanism", "Cannot reset device *, depends on group * which is not owned"]
        "QEMU cannot reset the card: it has no reset of its own, and a reset of its bus would reach devices that the guest does not have."
        "Give the guest all functions of the slot; 'vfio reset' lists what the kernel knows.";
    QEMU_INTERRUPT_LINE "qemu-interrupt-line" Qemu Warning
        ["ailed to setup INTx fd"]
        "The card shares its interrupt line with a device of the host."
        "Use MSI in the guest, or another slot.";
    QEMU_SLOW_BAR "qemu-slow-bar" Qemu Note
        ["Failed to mmap *. Performance may be slow"]
        "Memory of the card could not be mapped into QEMU, so each access to it is slow."
        "Reboot; see what on the host has used the memory of the card before (/proc/iomem).";
    QEMU_INTEL_GRAPHICS "qemu-intel-graphics" Qemu Note
        ["failed to enable VGA access, legacy mode disabled"]
        "Intel's graphics are not the first display of the guest, so QEMU does not emulate the old VGA registers."
        "Nothing for a guest with UEFI firmware and a ROM file for these graphics.";
}
