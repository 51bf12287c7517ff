// SPDX-License-Identifier: LGPL-2.1-or-later
//! Codes of messages about cards.

codes! {
    CARD_ABSENT "card-absent"
        "The card that the section names is not in the machine now."
        "Nothing, if the card comes later (an external GPU); else correct 'device' ('vfio groups' lists what is there).";
    CARD_WITHOUT_OUTPUTS "card-without-outputs"
        "The card has no outputs: it is the second GPU of a laptop whose panel and monitors hang on the processor's graphics."
        "A guest shows it by Looking Glass or a stream, and its driver may want the option ROM by ACPI: docs/MUXLESS.md.";
    CARD_IS_ANOTHER "card-is-another"
        "What sits where the section says is not the card that 'identity' asks for."
        "Put the card back, or correct 'device' or 'identity' as the message says.";
    CARD_AMBIGUOUS "card-ambiguous"
        "More than one device fits what the section says."
        "Choose the card by its address ('device = 0000:03:00.0').";
    CARD_CLAIMED_TWICE "card-claimed-twice"
        "Two [gpu] sections mean the same function."
        "Name another card in one of them, or remove one.";
    FUNCTION_ABSENT "function-absent"
        "'functions' lists a function that the card does not have, or one that is a device of its own."
        "List only functions that the card has; a virtual function needs a [gpu] section of its own.";
    ALSO_ABSENT "also-absent"
        "'also' names an address at which nothing is."
        "Correct or remove it.";
    ALSO_NOT_IN_GROUP "also-not-in-group"
        "'also' names a device that is not in the card's IOMMU group: the host would lose it for nothing."
        "Remove it from the line.";
    BRIDGE_IS_NEVER_GIVEN "bridge-is-never-given"
        "A [gpu] section or a libvirt domain names a bridge. Bridges stay with the host: everything behind them depends on them."
        "Name the device behind the bridge, in the section or in the domain ('virsh edit').";
    VIRTUAL_FUNCTION "virtual-function"
        "The card is a virtual function (SR-IOV): it is there only when its physical function's driver has made it, and a rescan does not find it."
        "Nothing; make virtual functions before the guest starts.";
    HAS_VIRTUAL_FUNCTIONS "has-virtual-functions"
        "The physical function has made virtual ones, which would disappear with it."
        "Remove them first (0 in sriov_numvfs), or give a virtual function to the guest instead.";
    NOT_A_GRAPHICS_CARD "not-a-graphics-card"
        "The device is not a display or an accelerator."
        "Nothing, if it is what you mean.";
    REST_OF_SLOT_STAYS "rest-of-slot-stays"
        "The card's slot has more functions than the card: those stay with the host."
        "Nothing; list them in 'functions' to give them to the guest too.";
    CARD_HELD "card-held"
        "A process holds the card, or a file system on it is mounted, so it cannot be unbound or changed."
        "End the process that the message names, or unmount, and try again.";
    CARD_IN_GUEST "card-in-guest"
        "The card belongs to a guest now."
        "Stop that guest first.";
    CARD_HAS_NO_DRIVER "card-has-no-driver"
        "The function is bound to no driver, and after a rescan any driver may bind it."
        "Run 'vfio bind NAME' first.";
    CARD_BOUND_TO_HOST_DRIVER "card-bound-to-host-driver"
        "The function is bound to a driver of the host, which would not survive what was asked for."
        "Run 'vfio bind NAME' first.";
    CARD_DOES_NOT_ANSWER "card-does-not-answer"
        "Reading from the card gives only ones: it has crashed or lost power. A driver that meets it may hang."
        "Reboot; if it does not answer then either, switch the machine off and on.";
    DRIVER_STAYS "driver-stays"
        "The driver is not known to release a device while the system runs; unbinding it might hang."
        "Use 'bind = boot' and reboot, so that the driver never gets the card.";
    NVIDIA_DRM_LOADED "nvidia-drm-loaded"
        "NVIDIA's driver does not release a card while nvidia_drm is loaded."
        "Unload nvidia_drm first, or use 'bind = boot' and reboot.";
    HOST_DATA_ON_DEVICE "host-data-on-device"
        "A device that a [gpu] section or a libvirt domain names carries data of the host: a mounted file system, swap, a member of a volume. It is never given to a guest."
        "Leave the device out of the section or the domain ('virsh edit'), or choose another; unmount what is on it if the guest is to have it.";
    LAST_KEYBOARD "last-keyboard"
        "The host's last keyboard hangs on the function."
        "Plug in another keyboard elsewhere, or list the functions explicitly if the host may lose it.";
    HOST_LOSES "host-loses"
        "The host loses something with the function: network, sound, keyboards, monitors."
        "Nothing, if that is what you want.";
    LAST_DISPLAY "last-display"
        "The host would be left without a display."
        "Keep another card for the host, or use 'bind = guest', or say 'only-display = yes' or 'headless = yes' if you reach the machine in another way.";
    NO_DISPLAY "no-display"
        "The machine has no display that fits 'device'."
        "Choose the card by its address.";
    BOOT_DISPLAY_UNKNOWN "boot-display-unknown"
        "Which display the firmware used cannot be told."
        "Choose the card by its address.";
    BOOT_DISPLAY_MAY_CHANGE "boot-display-may-change"
        "Which display is the boot display may depend on the monitors that are connected at power-on, so 'boot-display' may mean another card next time."
        "Add 'identity', which lets no other card be taken.";
    MONITOR_GOES_DARK "monitor-goes-dark"
        "Monitors that are connected to the card go dark when it is bound at boot."
        "Connect a monitor to the display that stays, or use 'bind = guest'.";
    FRAMEBUFFER_STAYS "framebuffer-stays"
        "The firmware's framebuffer keeps memory of the card reserved, and this kernel frees it only for the display's own driver: a guest fails with \"can't reserve\"."
        "Use 'bind = guest', or a newer kernel.";
    IOMMU_OFF "iommu-off"
        "No IOMMU works: no device can be given to a guest."
        "Switch it on where the message says: in the firmware's setup, or by a kernel parameter.";
    NO_IOMMU_GROUP "no-iommu-group"
        "The IOMMU does not translate for this device."
        "Boot with 'intel_iommu=on' if the message says so; else another slot may help.";
    GROUP_NOT_VIABLE "group-not-viable"
        "The card's IOMMU group has other devices that are bound to host drivers, which keeps the whole group from guests."
        "Add them to 'also' if the host may lose them, or put the card into another slot.";
    GROUP_MAPPED_ONE_TO_ONE "group-mapped-one-to-one"
        "The firmware requires memory of the group to be mapped 1:1 (RMRR, unity mappings), so kernels refuse it to guests."
        "A firmware update, another slot, or the firmware's switch for pre-boot DMA protection may help.";
    RESET_METHOD_UNAVAILABLE "reset-method-unavailable"
        "The card cannot be reset in the way that 'reset' asks for; the kernel's own order stays."
        "Use one of the methods that 'vfio reset' lists, or 'reset = auto'.";
    RESET_METHOD_NOT_SET "reset-method-not-set"
        "The card is bound to vfio already, and its reset method is not the configured one yet."
        "Run 'vfio bind NAME'.";
    VENDOR_RESET_MISSING "vendor-reset-missing"
        "The chip needs the vendor-reset module to come back from a guest, and the module cannot be had."
        "Install, build or sign vendor-reset, as the message says.";
    SIGNATURE_UNKNOWN "signature-unknown"
        "The kernel takes only signed modules, and whether vendor-reset is signed cannot be told."
        "Look at the kernel log after 'modprobe vendor-reset'.";
    CANNOT_BE_RESET "cannot-be-reset"
        "The kernel knows no way to reset the card: the next guest finds it as the last one left it."
        "A reboot resets it; some cards work all the same.";
    MAY_NOT_COME_BACK "may-not-come-back"
        "Cards of this kind are known not always to come back after a guest had them."
        "Try it before you rely on it; docs/RESET.md has what is known.";
    BAR_NOT_RESIZABLE "bar-not-resizable"
        "'barN' asks for a size of a BAR that no function of the card lets be resized."
        "Remove the key; 'vfio rebar' lists what can be resized.";
    BAR_SIZE_NOT_OFFERED "bar-size-not-offered"
        "The BAR does not offer the size that is asked for; the nearest smaller one is used."
        "Ask for a size that 'vfio rebar' lists.";
    BAR_LACKS_SPACE "bar-lacks-space"
        "The bridge window above the card has not enough free space for the size that is asked for."
        "Ask for less, or try 'rebar-method = rescan', or switch on \"Above 4G Decoding\" in the firmware's setup.";
    BAR_RESCAN_IMPOSSIBLE "bar-rescan-impossible"
        "'rebar-method = rescan' cannot be used for this card."
        "Use 'rebar-method = kernel'.";
    BAR_IN_USE "bar-in-use"
        "A process holds the card, so its BARs stay as they are."
        "End the guest, then bind the card again.";
    BAR_LOST "bar-lost"
        "A BAR of the card has no address any more since one was resized: no driver and no guest can use the card."
        "Reboot.";
    KERNEL_MAY_LOSE_BARS "kernel-may-lose-bars"
        "This kernel is known not always to give BARs their addresses back after a resize."
        "Use a newer kernel; a card that loses a BAR needs a reboot.";
}
