// SPDX-License-Identifier: LGPL-2.1-or-later
//! Codes of messages about option ROMs.

codes! {
    ROM_INVALID "rom-invalid"
        "The file is not an option ROM: it is empty, too large, or has no image that begins with 55 AA and has a PCI data structure."
        "Get the ROM again: 'vfio rom dump' reads the card's own, docs/ROM.md lists other sources.";
    ROM_FLASH_HEADER "rom-flash-header"
        "The file is a copy of the card's flash memory, which begins with a header of the vendor's. A guest's firmware finds no ROM in it."
        "Write the ROM alone with 'vfio rom trim IN OUT'.";
    ROM_TRUNCATED "rom-truncated"
        "The file ends inside an image of the ROM."
        "Get the ROM again: the file was not read or copied whole.";
    ROM_CHAIN "rom-chain"
        "An image of the ROM says that another follows, and what follows is not an image. Firmware uses the images before it."
        "Compare the file with another copy of the card's ROM; if the picture is fine in the guest, nothing is to be done.";
    ROM_NO_LENGTH "rom-no-length"
        "The PCI data structure of an image has no length. SeaBIOS takes the length in the header of a legacy image, OVMF and the kernel stop there."
        "Get the ROM from another source; docs/ROM.md lists them.";
    ROM_NOT_ALIGNED "rom-not-aligned"
        "The PCI data structure of an image does not lie at a multiple of 4 bytes. Newer Linux kernels do not read such a ROM."
        "Nothing is to be done for guests that are not Linux; otherwise get the ROM from another source.";
    ROM_CHECKSUM "rom-checksum"
        "The bytes of a legacy image do not add up to 0: the image was changed after it was made, or is a copy that was already initialised."
        "Get the ROM again, not from a shadow copy in memory: docs/ROM.md.";
    ROM_OTHER_CARD "rom-other-card"
        "The ROM is for a card of another vendor."
        "Get the card's own ROM: 'vfio rom dump'.";
    ROM_OTHER_DEVICE "rom-other-device"
        "The ROM is for another device of the same vendor. Some ROMs serve several devices and name only one of them."
        "Make sure that the ROM is for this card: compare the board's name and the subsystem.";
    ROM_CLASS "rom-class"
        "The ROM is not for a display: its class code says something else."
        "Give a display the ROM of a display; 'vfio rom show' prints the class.";
    ROM_NO_CODE "rom-no-code"
        "The ROM has neither a legacy nor an EFI image, so a guest's firmware does not use it."
        "Get the card's ROM from another source; docs/ROM.md lists them.";
    ROM_NO_EFI "rom-no-efi"
        "The guest boots with UEFI and the ROM has no EFI image that UEFI comes to: the card shows nothing before the guest's driver starts."
        "Get a ROM with an EFI image (GOP); nothing is to be done if the missing boot messages do not matter.";
    ROM_NO_LEGACY "rom-no-legacy"
        "The guest boots with a BIOS and the ROM has no legacy image: the card shows nothing before the guest's driver starts."
        "Give the guest UEFI firmware, or get a ROM with a legacy image.";
    ROM_HIDDEN_IMAGES "rom-hidden-images"
        "An image that is not the last says in its PCI data structure that it is: firmware and kernel do not come to the images behind it."
        "Nothing is to be done if these images are not needed; otherwise get the ROM from another source.";
    ROM_REST "rom-rest"
        "Bytes that are no padding stand behind the last image of the ROM. Firmware does not read them."
        "Nothing; 'vfio rom trim' removes them.";
    ROM_NO_SOURCE "rom-no-source"
        "The card's option ROM is not where it was to be read: the card has no ROM BAR, the firmware's table VFCT has no entry for the card, or no driver shows it in debugfs."
        "docs/ROM.md lists other sources: the firmware update of a laptop, the board vendor's flash tool.";
    ROM_SHADOW "rom-shadow"
        "The kernel shows a copy in memory instead of the boot display's own option ROM. After a start with UEFI the copy is anything; after a start with a BIOS it was changed by running it."
        "Start the machine with another card as the boot display and read the ROM then, or get the ROM from another source (docs/ROM.md).";
    ROM_CARD_IN_USE "rom-card-in-use"
        "The option ROM of a card that a host driver or a guest uses is not read: on some cards the memory cannot be reached while the ROM is."
        "Bind the card to vfio first ('vfio bind NAME'), or shut the guest down; --force reads the ROM all the same.";
    ROM_NOT_READABLE "rom-not-readable"
        "The option ROM was to be read and the kernel refused it. With 'Input/output error' the kernel found no ROM where the card should have one."
        "See the kernel's log: 0xffff means that the card sleeps or hides its ROM, 0xbb77 or 0x4e56 that NVIDIA's own image comes first. Try again with no driver bound, or take another source (docs/ROM.md).";
    ROM_OTHER_ADDRESS "rom-other-address"
        "The firmware's table VFCT has an option ROM for the card's vendor and device at another address; the firmware may number buses differently from the kernel."
        "If the machine has several such cards, compare the subsystem that is printed with that of the card.";
    ROM_NOT_IN_DOMAIN "rom-not-in-domain"
        "'rom' names an option ROM, and the domain does not give it to the card: what the domain has counts, so the guest sees the card's own."
        "Add <rom file='PATH'/> to the card's device in the domain, or remove 'rom'.";
    ROM_OTHER_IN_DOMAIN "rom-other-in-domain"
        "'rom' names an option ROM, and the domain gives the card another one, which counts."
        "Write the same path in both places.";
    ROM_NOT_IN_COMMAND "rom-not-in-command"
        "'rom' names an option ROM, and neither {rom} nor its path is in the guest's 'command'."
        "Write romfile={rom} at the card's device in 'command', or remove 'rom'.";
    ROM_NOT_SET "rom-not-set"
        "The guest's 'command' has {rom}, and its first card has no 'rom'."
        "Set 'rom' in the [gpu] section, or take the argument out of 'command'.";
    ROM_APPARMOR "rom-apparmor"
        "AppArmor confines domains here, and none of its rules for them lets QEMU read the option ROM. libvirt adds no rule for it."
        "Move the file to /var/lib/vfio, if libvirt's rules include those of packages (Debian 13), else to /usr/share/vgabios.";
    ROM_PERMISSIONS "rom-permissions"
        "The user that QEMU runs as may not read the option ROM, or not enter one of its directories. libvirt changes neither for the ROM of a host device."
        "Let others read the file (chmod 644) and enter its directories, or move it to /var/lib/vfio.";
    ROM_SELINUX "rom-selinux"
        "SELinux is enforced, and keeps QEMU from reading files with the type that the option ROM has. libvirt does not change it."
        "Give the file the type virt_content_t: 'semanage fcontext -a' writes the rule, 'restorecon' follows it.";
}
