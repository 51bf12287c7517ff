// SPDX-License-Identifier: LGPL-2.1-or-later
//! Lines about power, resets and the link (`drivers/pci/pci.c`, `drivers/pci/pcie/aer.c`, `drivers/vfio/pci/`).

rules! {
    NOT_READY_AFTER_RESUME "not-ready-after-resume" Kernel Error
        ["not ready *ms after resume; giving up"]
        "The card has slept and does not wake up again."
        "Switch the machine off and on. vfio keeps a card that it has bound awake ('vfio bind NAME'); docs/RESET.md has what else may put it to sleep.";
    NOT_READY_AFTER_RESET "not-ready-after-reset" Kernel Error
        ["not ready *ms after *; giving up"]
        "The card does not answer any more after a reset."
        "Reboot; if it does not answer then either, switch the machine off and on. 'vfio reset' lists other methods, and docs/RESET.md what is known of the card.";
    CARD_STAYS_WITHOUT_POWER "card-stays-without-power" Kernel Error
        ["Unable to change power state from * to D0, device inaccessible", "can't change power state from * to D0 (config space inaccessible)", "efused to change power state, currently in D3"]
        follows [NOT_READY_AFTER_RESUME, NOT_READY_AFTER_RESET]
        "The platform has taken the power from the card and does not give it back."
        "Switch the machine off and on. vfio keeps a card that it has bound awake ('vfio bind NAME'); docs/RESET.md has what else may put it to sleep.";
    RESET_WITH_WORK_PENDING "reset-with-work-pending" Kernel Warning
        ["timed out waiting for pending transaction; performing function level reset anyway"]
        follows [NOT_READY_AFTER_RESET]
        "The card was reset although it had not finished its work: it had hung in the guest."
        "If it comes back, see docs/RESET.md for what is known of the card, and the guest's driver.";
    CONFIGURATION_LOST "configuration-lost" Kernel Warning
        ["reset recovery - restoring BARs"] many 4
        follows [NOT_READY_AFTER_RESUME, NOT_READY_AFTER_RESET, CARD_STAYS_WITHOUT_POWER]
        "The card has lost its configuration again and again: something resets it, or it has lost power."
        "See how the card is reset ('vfio reset'), and whether it sleeps ('power_state' of the card in sysfs).";
    RESET_METHOD_UNSUPPORTED "reset-method-unsupported" Kernel Warning
        ["Unsupported reset method '*'", "Invalid reset method '*'"]
        "Something has asked the kernel for a reset method that the card does not have, such as the udev rules of vendor-reset without its module."
        "Remove the udev rule that writes 'reset_method' ('grep -r reset_method /etc/udev/rules.d'), and use 'reset' in the [gpu] section instead.";
    VENDOR_RESET_FAILED "vendor-reset-failed" Kernel Error
        ["AMD_*: failed to reset device", "AMD_*SMU error 0x", "AMD_*PSP * timed out"]
        "The module vendor-reset could not reset the card."
        "Suspend and wake the machine, or reboot. Use a newer vendor-reset if there is one.";
    LINK_ERROR "link-error" Kernel Warning
        ["PCIe Bus Error: severity=Uncorrect", "AER: Uncorrect"]
        "The PCI Express link to the card has had an error that was not corrected."
        "Check the riser and the slot; set the slot's speed lower in the firmware's setup. Pass all functions of the card through, not single ones.";
    LINK_ERRORS_CORRECTED "link-errors-corrected" Kernel Note
        ["PCIe Bus Error: severity=Correct", "AER: Correct"] many 100
        "The PCI Express link to the card has errors, which are corrected."
        "Check the riser and the slot, or set the slot's speed lower in the firmware's setup.";
    LINK_NOT_TRAINED "link-not-trained" Kernel Warning
        ["broken device, retraining", ": retraining failed", "Data Link Layer Link Active not set in"]
        "The PCI Express link to the card did not come up: after a reset, or because nothing has initialised the card."
        "Switch the machine off and on. Some cards must have been initialised by the host's driver once: 'bind = guest'.";
    CARD_FELL_OFF_BUS "card-fell-off-bus" Kernel Error
        ["GPU has fallen off the bus", "NVRM: Xid (PCI:*): 79,"]
        follows [CARD_STAYS_WITHOUT_POWER, NOT_READY_AFTER_RESUME]
        "NVIDIA's driver has lost the card: it has no power, or its link is down."
        "Reboot. Check the power supply and the riser; switch off the driver's power management where the card is used by turns.";
    AMDGPU_FOUND_CARD_NOT_RESET "amdgpu-found-card-not-reset" Kernel Warning
        ["trn=* ACK should not assert", "I'm not done with your previous command", "[drm:amdgpu_job_timedout", "amdgpu: ring * timeout", "amdgpu: GPU reset begin!"]
        "The driver amdgpu has got a card that does not work: as a rule one that was not reset after a guest had it."
        "Leave the card on vfio until the next reboot ('bind = boot'), or suspend and wake the machine; 'vfio reset' lists what else there is.";
}
