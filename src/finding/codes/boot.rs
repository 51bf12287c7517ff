// SPDX-License-Identifier: LGPL-2.1-or-later
//! Codes of messages about how the machine boots, as `vfio doctor` and `vfio cmdline` give them.

codes! {
    OK "ok"
        "What was checked is as it should be."
        "Nothing.";
    INTERNAL "internal"
        "vfio contradicts itself: this is a bug."
        "Please report it, with the output of 'vfio report'.";
    RECORD_UNREADABLE "record-unreadable"
        "/var/lib/vfio/cmdline, the record of the kernel parameters that vfio added, cannot be read, so nobody knows which are vfio's."
        "Follow the message: restore the file, or remove the parameters manually and then the file.";
    BOOTS_NOT_COUNTED "boots-not-counted"
        "Failed boots cannot be counted, or their count is lost at a reboot: the protection against a boot loop does not work. Where nothing can be counted, nothing is bound at boot."
        "Repair /var/lib/vfio (a directory on a disk, writable), or write 'failed-boots = 0' into [host] to do without the protection.";
    SWITCHED_OFF "switched-off"
        "Nothing is bound: the kernel command line says vfio=off (or rd.vfio=off), or 'enable' in [host] is 'no'."
        "Boot without that parameter, or set 'enable = yes'.";
    SYNC_FAILED "sync-failed"
        "The last attempt to bring boot entries and initramfs images up to date failed."
        "Read the reason in the message, fix it, then run 'vfio sync'.";
    EDITS_NOT_WATCHED "edits-not-watched"
        "vfio-sync.path is not enabled, so an edit of the configuration does not reach boot entries and images by itself."
        "Run 'systemctl enable --now vfio-sync.path', or 'vfio sync' after each edit.";
    PARAMETER_NOT_RUNNING "parameter-not-running"
        "The running kernel was booted without a kernel parameter that the configuration requires."
        "Run 'vfio sync' if a boot entry lacks it, then reboot. With a boot loader that vfio does not know, add it manually.";
    BOOTS_FROM_ELSEWHERE "boots-from-elsewhere"
        "Boot files have had the required kernel parameters since before this boot, and the running kernel did not get them: it was started from boot files that vfio does not know, or by a loader that has a command line of its own."
        "Find out where this machine boots from: the message names what the boot loader and the kernel's command line tell. Mount that partition and run 'vfio sync', or have the firmware start this system's own loader; then reboot.";
    PARAMETER_OBSOLETE "parameter-obsolete"
        "The running kernel was booted with a parameter that vfio added and that is no longer required."
        "Reboot.";
    BOOT_FILE_NOT_AS_REQUIRED "boot-file-not-as-required"
        "A boot file lacks a required kernel parameter, or has one of vfio's that is no longer required: the next boot will not be as configured."
        "Run 'vfio sync'.";
    BOOT_FILE_LEFT_ALONE "boot-file-left-alone"
        "A boot file, or a boot loader, is not changed, because changing it could break it or because its tool is missing."
        "Follow the message; it names the file and the line.";
    BOOT_FILES_NOT_FOUND "boot-files-not-found"
        "The boot files that this machine boots from cannot be changed: what they are on is not mounted, or they are where vfio does not look."
        "Mount it (/boot, or the EFI system partition), then run 'vfio sync'; if they are on no other file system, add the parameters manually.";
    BOOT_FILES_NOTE "boot-files-note"
        "Something about boot files that is worth knowing: files that are not looked at, or left alone on purpose."
        "Nothing, or what the message says.";
    NO_RESCUE_ENTRY "no-rescue-entry"
        "'rescue-entry = yes' in [host] asks for a boot entry without VFIO, and with this boot loader none can be made, or not where its files are now."
        "Nothing, if typing vfio=off in the boot loader's menu is enough: the message says how. Otherwise correct what it names, or remove the key.";
    INITRAMFS_NOT_BUILT "initramfs-not-built"
        "On this system vfio builds no initramfs (image-based systems): host drivers may bind the card before vfio does."
        "Nothing; the message says what that costs.";
    INITRAMFS_NOT_FOUND "initramfs-not-found"
        "No initramfs image of an installed kernel was found where boot loaders keep them."
        "Mount /boot or the EFI system partition, then run 'vfio sync'.";
    INITRAMFS_NOT_AS_REQUIRED "initramfs-not-as-required"
        "An initramfs image does not reserve the cards that the configuration binds at boot, or reserves others: a host driver may bind the card first."
        "Run 'vfio sync', or rebuild the image with the tool that made it.";
    INITRAMFS_UNREADABLE "initramfs-unreadable"
        "An initramfs image could not be looked into; its age decides what is assumed."
        "Install the program that unpacks it (the message names it), or run 'vfio sync'.";
    INITRAMFS_LACKS_RULE "initramfs-lacks-rule"
        "An initramfs image has no udev rule of vfio: a card that appears late is not reserved in it."
        "Rebuild the image.";
    INITRAMFS_OTHER_TEXT "initramfs-other-text"
        "An initramfs image has an older text of the configuration that means the same for it."
        "Nothing.";
}
