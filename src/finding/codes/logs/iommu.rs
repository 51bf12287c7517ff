// SPDX-License-Identifier: LGPL-2.1-or-later
//! Lines about the IOMMU and its groups (`drivers/iommu/`, `drivers/vfio/vfio_iommu_type1.c`).

rules! {
    ONE_TO_ONE_REFUSED "one-to-one-refused" Kernel Error
        ["Firmware has requested this device have a 1:1 IOMMU mapping"]
        "The firmware requires memory of the card to be mapped 1:1, and the kernel therefore refuses the card to guests (6.6 and later do)."
        "Update the firmware; switch off \"Pre-boot DMA Protection\" and set the IOMMU to Enabled instead of Auto in its setup, or use another slot.";
    RMRR_REFUSED "rmrr-refused" Kernel Error
        ["Device is ineligible for IOMMU domain attach due to platform RMRR requirement"]
        "The firmware keeps memory of the slot for itself (RMRR), and the kernel therefore refuses the card to guests."
        "Use the server vendor's switch for it (HPE: 'conrep' switches the shared memory features of a slot off), or another slot.";
    INTERRUPTS_NOT_REMAPPED "interrupts-not-remapped" Kernel Error
        ["No interrupt remapping support*allow_unsafe_interrupts", "MSI interrupts are not secure, they cannot be isolated"]
        "The platform does not remap interrupts, so the kernel gives no device to a guest: the guest could raise any interrupt of the host."
        "Switch on interrupt remapping or x2APIC in the firmware's setup, and remove 'nointremap' from the kernel command line. The module parameter 'allow_unsafe_interrupts=1' does away with the protection.";
    INTERRUPT_REMAPPING_ERRATUM "interrupt-remapping-erratum" Kernel Warning
        ["BIOS has enabled interrupt remapping"]
        "The chipset has a fault in interrupt remapping (Intel X58 and 5500), so the kernel has switched interrupt remapping off."
        "Update the firmware. Without interrupt remapping devices can be given to guests only with the unsafe module parameter 'allow_unsafe_interrupts=1'.";
    VFIO_PROBE_FAILED "vfio-probe-failed" Kernel Error
        ["vfio-pci: probe of * failed with error -22", "probe with driver vfio-pci failed with error -22"]
        follows [ONE_TO_ONE_REFUSED, RMRR_REFUSED]
        "The driver vfio-pci has refused the card, because it is in no IOMMU group or its group belongs to somebody else."
        "See whether the IOMMU works ('vfio doctor --only cards'), and end what holds the group.";
    IOMMU_WAIT_TIMED_OUT "iommu-wait-timed-out" Kernel Error
        ["AMD-Vi: Completion-Wait loop timed out", "AMD-Vi: Event logged [IOTLB_INV_TIMEOUT", "AMD-Vi: Event logged [INVALID_DEVICE_REQUEST"]
        "A device went away while the IOMMU waited for it. The host may hang when it is used again."
        "Reboot before the next start of a guest. If it comes back with one card, 'pci=noats' on the kernel command line avoids the request.";
    DMA_REFUSED "dma-refused" Kernel Warning
        ["DMAR: [DMA *] Request device [", "AMD-Vi: Event logged [IO_PAGE_FAULT", "AMD-Vi: IO_PAGE_FAULT"] many 10
        "The IOMMU has refused accesses of the card to memory. A few at the start or the end of a guest do no harm; many mean that the card was not reset, or that a driver of the host still uses it."
        "See how the card is reset ('vfio reset'). For a device that stays with the host, update the firmware.";
    IOMMU_TABLE_BROKEN "iommu-table-broken" Kernel Note
        ["DMAR: [Firmware Bug]", "AMD-Vi: [Firmware Bug]"]
        "The firmware's table of the IOMMU has errors. The kernel works around them where it can."
        "Update the firmware. If interrupts are not remapped because of it, 'ivrs_ioapic[...]=' on the kernel command line replaces the wrong entry (AMD).";
}
