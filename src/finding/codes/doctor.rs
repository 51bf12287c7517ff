// SPDX-License-Identifier: LGPL-2.1-or-later
//! Codes of what only `vfio doctor` looks at.

codes! {
    LOG_NOT_READ "log-not-read"
        "A log could not be read, so troubles that only it shows are not told of."
        "Run 'vfio doctor' as root.";
    CARD_NOT_AS_CONFIGURED "card-not-as-configured"
        "A card is not in the state that the configuration asks for: 'vfio status' says the same."
        "Do what the message says; 'vfio bind NAME' binds a card now, 'vfio restore NAME' gives it back.";
    GUEST_NOT_WELL "guest-not-well"
        "The last start of a guest failed, or not everything came back from it: 'vfio guest status' says the same."
        "Run 'vfio doctor --last' for what the logs say of it; 'vfio guest restore NAME' tries again to give back.";
    PROGRAM_MISSING "program-missing"
        "A program that guests need is not installed."
        "Install the package that the message names.";
    LIBVIRT_NOT_READY "libvirt-not-ready"
        "libvirt or its network does not run, or does not start at boot."
        "Run 'vfio setup --services'; with '--dry-run' it shows what it would do.";
    HOOK_NOT_SEEN "hook-not-seen"
        "libvirt's daemon looks for hooks when it starts, and was started before that of vfio was installed: a guest that libvirt starts by itself does not get its cards."
        "Restart libvirt's daemon; guests go on running.";
    CLOCK_SLOW "clock-slow"
        "The kernel does not use the processor's clock, and reading another one is slow in guests."
        "Update the firmware, or boot with 'tsc=reliable' if the clock is known to be good.";
    USER_NOT_IN_GROUPS "user-not-in-groups"
        "The user who called sudo is not in the groups that may use KVM and manage the guests of libvirt."
        "Run 'vfio setup --services', and log in again; nothing, if only root starts guests.";
    CARD_MAY_SLEEP "card-may-sleep"
        "A card that is bound to vfio is allowed to sleep, and some cards do not wake up again."
        "Run 'vfio bind NAME', which keeps it and the ports above it awake.";
    LEFTOVER_HOOK "leftover-hook"
        "Scripts of another way of passing cards through run when a domain starts or ends, and do what vfio does, too."
        "Remove them, or those lines that unbind, bind or stop what vfio does.";
    LEFTOVER_IDS "leftover-ids"
        "A module option or kernel parameter gives every device of a kind to vfio-pci, also one that the host is to keep."
        "Remove it and rebuild the initramfs; vfio reserves each card by its address.";
    LEFTOVER_BLACKLIST "leftover-blacklist"
        "A driver of the host is blacklisted, so a card that comes back from a guest has no driver."
        "Remove the line, if the host is to use the card; else nothing.";
    LEFTOVER_OVERRIDE "leftover-override"
        "driverctl writes a driver for a function of a card at every boot, as vfio does."
        "Run 'driverctl unset-override ADDRESS'.";
    LEFTOVER_RULE "leftover-rule"
        "A udev rule changes BARs or reset methods, which vfio may write as well."
        "Write it into the configuration ('barN', 'reset') and remove the rule.";
    LEFTOVER_SWITCHER "leftover-switcher"
        "supergfxctl is allowed to bind cards to vfio, which vfio does, too."
        "Set 'vfio_enable' to false in /etc/supergfxd.conf.";
}
