// SPDX-License-Identifier: LGPL-2.1-or-later
//! Lines of the host's drivers, its modules and its kernel.

rules! {
    DRIVER_LEFT_FILES "driver-left-files" Kernel Error
        ["sysfs: cannot create duplicate filename", "kobject_add_internal failed for *-EEXIST"]
        "A driver has left files behind when the card was unbound while it was in use, and cannot bind it again."
        "Reboot. vfio unbinds no card that a process holds.";
    NVIDIA_REMOVE_WAITS "nvidia-remove-waits" Kernel Error
        ["NVRM: Attempting to remove *with non-zero usage count"]
        "NVIDIA's driver waits for processes that hold the card, and may wait for ever even when these have ended."
        "Reboot. 'vfio holders NAME' lists who holds a card before it is unbound.";
    NVIDIA_INIT_FAILED "nvidia-init-failed" Kernel Error
        ["RmInitAdapter failed! (0x"]
        "NVIDIA's driver could not initialise the card: it has no power, was not reset, or has the wrong option ROM."
        "Reboot; 'vfio reset' lists how the card is reset.";
    SOUND_FUNCTION_SILENT "sound-function-silent" Kernel Note
        ["CORB reset timeout#*, CORBRP = 65535", "no codecs initialized"]
        "The card's sound function does not answer its driver: the card is off or was not reset."
        "Reset the card with all its functions ('vfio reset NAME'), or reboot.";
    MODULE_NOT_SIGNED "module-not-signed" Kernel Warning
        ["Loading of unsigned module is rejected", "Loading of module with unavailable key is rejected",
         "Lockdown: *: unsigned module loading is restricted"]
        "The kernel takes only signed modules, and a module has no signature that it knows."
        "Sign the module with a key of your own (mokutil), or switch off Secure Boot.";
    KERNEL_LOCKED_DOWN "kernel-locked-down" Kernel Note
        ["Lockdown: *: direct PCI access is restricted", "Lockdown: *: unsafe module parameters is restricted",
         "Lockdown: *: modifying ACPI tables is restricted"]
        "With Secure Boot the kernel refuses what a program asked for, such as writing configuration space."
        "Nothing, if everything works; else leave out what needs it, or switch off Secure Boot.";
    INTERRUPT_SHARED "interrupt-shared" Kernel Warning
        ["genirq: Flags mismatch irq ", "irq *: nobody cared"]
        "Two devices share an interrupt line and one of them does not say which interrupts are its own."
        "Use MSI in the guest, or another slot. 'vfio-pci.nointxmask=1' gives the card a line of its own, if there is one.";
    SPLIT_LOCK "split-lock" Kernel Note
        ["split lock detection: #*/KVM*took a split_lock trap"]
        "The guest uses a locked access across cache lines, for each of which the kernel makes it wait."
        "Set the sysctl 'kernel.split_lock_mitigate' to 0 if the guest stutters.";
    MSR_NOT_KNOWN "msr-not-known" Kernel Note
        ["kvm*unhandled rdmsr", "kvm*unhandled wrmsr", "kvm*ignored rdmsr", "kvm*ignored wrmsr"]
        "The guest asked for a register of the processor that KVM does not have. Windows may crash because of it."
        "Set 'options kvm ignore_msrs=1 report_ignored_msrs=0' in /etc/modprobe.d, if the guest crashes.";
    VIRTUAL_FUNCTIONS_GONE "virtual-functions-gone" Kernel Note
        ["Disabled * VFs"]
        "A driver has removed the virtual functions of its card, as when it was unbound."
        "Keep the physical function with the host's driver, and make virtual functions before a guest starts.";
    CLOCK_UNSTABLE "clock-unstable" Kernel Warning
        ["Marking clocksource 'tsc' as unstable", "tsc: Marking TSC unstable due to"]
        "The kernel does not trust the processor's clock any more and uses a slower one, which slows guests down."
        "Update the firmware; 'tsc=reliable' on the kernel command line trusts it all the same.";
    DRIVER_REMOVE_HANGS "driver-remove-hangs" Kernel Error
        ["vfio_pci_core_disable+0x", "snd_card_free+0x", "nv_pci_remove+0x", "amdgpu_pci_remove+0x"]
        follows [NVIDIA_REMOVE_WAITS]
        "A driver has crashed or waits for ever while a card was unbound."
        "Reboot, and see docs/GUESTS.md for what each driver needs before it is unbound.";
}
