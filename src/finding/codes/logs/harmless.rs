// SPDX-License-Identifier: LGPL-2.1-or-later
//! Lines that mean no harm and that people ask about: `vfio doctor --explain LINE` says so.

rules! {
    HARMLESS_VGA_DECODES "harmless-vga-decodes" Kernel Ok
        ["vgaarb: *VGA decodes"]
        "The kernel has arranged who answers to the old VGA addresses. A picture that stops at this line was on the card that vfio has bound."
        "Nothing; connect a monitor to the display that stays, if the picture stops here.";
    HARMLESS_HIDDEN_CAPABILITY "harmless-hidden-capability" Kernel Ok
        ["vfio_ecap_init: hiding ecap", "vfio_cap_init: hiding cap"]
        "vfio hides capabilities of the card that guests must not use."
        "Nothing.";
    HARMLESS_DEVICE_ENABLED "harmless-device-enabled" Kernel Ok
        ["enabling device (0"]
        "The kernel has switched on the card's access to its memory."
        "Nothing.";
    HARMLESS_ROM_CHAIN "harmless-rom-chain" Kernel Ok
        ["No more image in the PCI ROM"]
        "The last image of an option ROM does not say that it is the last one."
        "Nothing.";
    HARMLESS_NO_IOMMUV2 "harmless-no-iommuv2" Kernel Ok
        ["AMD IOMMUv2 functionality not available"]
        "A feature of AMD's IOMMU that passing cards through does not need is not there."
        "Nothing.";
    HARMLESS_IOMMU_ENABLED "harmless-iommu-enabled" Kernel Ok
        ["DMAR: IOMMU enabled"]
        "The kernel has read a parameter of its command line. Whether the IOMMU works is seen elsewhere."
        "Look at 'vfio groups': an IOMMU that works has groups.";
    HARMLESS_RESET_WAIT "harmless-reset-wait" Kernel Ok
        ["not ready *ms after *; waiting"]
        "The kernel waits for a card after a reset or sleep, which may take seconds."
        "Nothing, unless a line with 'giving up' follows.";
    HARMLESS_VFIO_RESET "harmless-vfio-reset" Kernel Ok
        ["vfio-pci *: resetting", "vfio-pci *: reset done"]
        "vfio resets the card, as it does whenever a guest opens or closes it."
        "Nothing.";
    HARMLESS_ROM_MAPPED "harmless-rom-mapped" Kernel Ok
        ["resource sanity check: requesting *which spans more than", "mapping multiple BARs"]
        "A driver has read the copy of an option ROM that the firmware left in memory."
        "Nothing.";
    HARMLESS_TAINT "harmless-taint" Kernel Ok
        ["module verification failed: signature and/or required key missing"]
        "A module without a signature was loaded, which the kernel only takes note of."
        "Nothing.";
    HARMLESS_NO_HIBERNATION "harmless-no-hibernation" Kernel Ok
        ["Lockdown: *: hibernation is restricted"]
        "With Secure Boot the kernel does not hibernate, and says so at every boot."
        "Nothing.";
    HARMLESS_NVIDIA_PROBE "harmless-nvidia-probe" Kernel Ok
        ["NVRM: The NVIDIA probe routine was not called for"]
        "NVIDIA's driver was loaded and did not get the card that vfio has."
        "Nothing, if that card is for a guest.";
    HARMLESS_SOUND_PROBE "harmless-sound-probe" Kernel Ok
        ["GPU sound probed, but not operational"]
        "The sound driver has met the sound function of a card whose display vfio has."
        "Nothing; with 'functions' left out of the [gpu] section the sound function goes to the guest as well.";
    HARMLESS_NO_RESET_OF_ITS_OWN "harmless-no-reset-of-its-own" Libvirt Ok
        ["error writing '1' to *reset*: Inappropriate ioctl for device"]
        "The function has no reset of its own; vfio resets its bus instead."
        "Nothing, if the guest has all functions of the slot.";
    HARMLESS_QEMU_ENDED "harmless-qemu-ended" Libvirt Ok
        ["QEMU unexpectedly closed the monitor", "qemu unexpectedly closed the monitor", "process exited while connecting to monitor"]
        "libvirt says that QEMU has ended. Why is in the text after it, or in the domain's log."
        "Look at what follows in the line, and at /var/log/libvirt/qemu/DOMAIN.log.";
}
