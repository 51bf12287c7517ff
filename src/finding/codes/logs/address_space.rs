// SPDX-License-Identifier: LGPL-2.1-or-later
//! Lines about BARs and option ROMs (`drivers/pci/setup-res.c`, `drivers/pci/rom.c`, `arch/x86/mm/pat/`).

rules! {
    BAR_TAKEN "bar-taken" Kernel Error
        ["BAR *: can't reserve [mem", "BAR *: cannot reserve [mem"]
        "Something on the host keeps memory of the card: the firmware's framebuffer, or what a driver has left."
        "See which ('grep -A3 -i pci /proc/iomem'); 'vfio plan' says whether vfio frees it. Kernels before 6.0 may need 'video=efifb:off'.";
    BAR_WITHOUT_SPACE "bar-without-space" Kernel Warning
        ["BAR *: no space for [mem", "BAR *: failed to assign [mem", "BAR *[mem *]: can't assign; no space", "BAR *[mem *]: failed to assign"]
        "A BAR of the card found no free space below the bridges above it."
        "Switch on \"Above 4G Decoding\" in the firmware's setup; ask for less with 'barN'; or boot with 'pci=realloc'.";
    ROM_NOT_AWAKE "rom-not-awake" Kernel Warning
        ["Invalid PCI ROM header signature: expecting 0xaa55, got 0xffff"]
        "The option ROM reads as ones: the card slept, or did not answer."
        "Bind the card ('vfio bind NAME'), which keeps it awake, or name a file with the ROM: 'rom' in the [gpu] section.";
    ROM_HEADER_INVALID "rom-header-invalid" Kernel Note
        ["Invalid PCI ROM header signature: expecting 0xaa55, got"]
        "The option ROM of the card cannot be read: of the boot display the kernel has only a copy, and graphics of a processor have none."
        "Nothing if the guest shows a picture or has a ROM file; else name one: 'rom' in the [gpu] section.";
    ROM_DAMAGED "rom-damaged" Kernel Note
        ["Invalid PCI ROM data signature: expecting 0x52494350"]
        "The option ROM of the card is cut off or changed."
        "Name a good file: 'rom' in the [gpu] section.";
    MEMORY_TYPE_LEFT "memory-type-left" Kernel Note
        ["x86/PAT: *freeing invalid memtype", "x86/PAT: *map pfn expected mapping type"]
        "Memory of the card is still mapped with another cache type: by a framebuffer, or since before a BAR was resized."
        "Reboot if the guest is slow.";
}
