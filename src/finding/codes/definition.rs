// SPDX-License-Identifier: LGPL-2.1-or-later
//! Codes of messages about what a guest's domain is to be like.

codes! {
    DOMAIN_LACKS_SETTING "domain-lacks-setting"
        "The [guest] section says what the domain is to be like, and the domain is not like that. A start does not change it."
        "Bring the domain to what the section says ('vfio guest edit NAME'), or remove the key.";
    GUEST_HAS_NO_DOMAIN "guest-has-no-domain"
        "The guest is a command ('runner = command'): it has no libvirt domain that could be changed."
        "Change 'command'.";
    DOMAIN_TRANSIENT "domain-transient"
        "The domain is not defined but was only started: libvirt forgets it when it ends, and a change of it too."
        "Define it ('virsh define') and try again.";
    DOMAIN_HAS_SAVED_STATE "domain-has-saved-state"
        "A state of the domain was saved. Its next start goes on with it, and with the devices that the domain had then."
        "Start the domain and shut it down, or drop the state ('virsh managedsave-remove').";
    DOMAIN_CHANGED_SINCE "domain-changed-since"
        "What vfio changed in the domain was changed again by somebody else, so it is not known what an undo should leave."
        "Change these elements by hand ('virsh edit'), then undo the rest.";
    LIBVIRT_TOO_OLD "libvirt-too-old"
        "The libvirt of this machine does not know what is to be written into the domain."
        "Update libvirt, or remove the key.";
    DEFINITION_UNCLEAR "definition-unclear"
        "The domain has something that must be changed together with what the key asks for, and only its user knows how."
        "Change that by hand ('virsh edit'), or remove the key.";
    FIRMWARE_CHANGE "firmware-change"
        "The key needs another firmware than the domain has. The UEFI variables of the guest begin anew with it, and what was installed for BIOS does not boot by UEFI."
        "If the guest has UEFI, repeat with '--reset-nvram' and have BitLocker's recovery key at hand; otherwise define a new domain.";
    FIRMWARE_MISSING "firmware-missing"
        "libvirt finds no UEFI firmware with the features that are needed."
        "Install it: ovmf (Debian, Ubuntu), edk2-ovmf (Fedora, Arch Linux), qemu-ovmf-x86_64 (openSUSE).";
    TPM_MISSING "tpm-missing"
        "The domain is to have an emulated TPM, and libvirt does not find swtpm, which emulates it."
        "Install swtpm and swtpm-tools.";
    INPUT_NOT_FOUND "input-not-found"
        "No keyboard or mouse was found that the guest could share, or one that is named is not there."
        "Plug it in, or name its event node in 'input': those below /dev/input/by-id stay the same.";
    AUDIO_USER_UNKNOWN "audio-user-unknown"
        "It is not known whose sound server is to play the guest's sound."
        "Set 'audio-user' to the user whose desktop plays it.";
    CPUS_NOT_CHOSEN "cpus-not-chosen"
        "'cpus' asks for processors that this machine does not have, or for what is not a number of whole cores."
        "Write 'cpus = auto', another number, or a list of processors that are online.";
    LOOKING_GLASS_WITHOUT_DESKTOP "looking-glass-without-desktop"
        "Looking Glass shows the guest's picture on the host's desktop, which 'handover = steal' ends."
        "Use 'handover = hot' or 'bind = boot', or remove 'looking-glass'.";
    DOMAIN_EXISTS "domain-exists"
        "'vfio guest define' makes new domains only, and libvirt has one of this name."
        "Bring it to what the section says with 'vfio guest edit NAME', or set 'domain' to another name.";
    IMAGE_UNUSABLE "image-unusable"
        "A disk or the image of a CD-ROM is not there, is not what it is given for, or is in the way of a new one."
        "Give another file; for a new disk give a size.";
    VIRTIO_WIN_MISSING "virtio-win-missing"
        "Windows has no driver for virtio disks of its own, and the guest gets no CD-ROM with one."
        "Download virtio-win.iso, and set 'virtio-win' or repeat with '--virtio-win FILE'.";
    VIRT_INSTALL_MISSING "virt-install-missing"
        "'vfio guest define' begins with what virt-install recommends for a system, and virt-install is not installed."
        "Install virtinst (Debian, Ubuntu), virt-install (Fedora, Arch Linux, openSUSE) or app-emulation/virt-manager (Gentoo).";
    QEMU_IMG_MISSING "qemu-img-missing"
        "A new disk is made by qemu-img, which is not installed."
        "Install qemu-utils (Debian, Ubuntu), qemu-img (Fedora, Arch Linux, openSUSE) or app-emulation/qemu (Gentoo).";
    OS_UNKNOWN "os-unknown"
        "virt-install asks libosinfo what a system needs, and libosinfo knows no system of this name."
        "'virt-install --osinfo list' prints the names; 'generic' fits any system.";
    MEMORY_NEEDED "memory-needed"
        "libosinfo does not say how much memory the system needs."
        "Give it with '--memory', or set 'memory'.";
    USER_NOT_IN_GROUP "user-not-in-group"
        "Members of the group libvirt may manage guests without a password, and members of kvm may open the memory that a guest shares with Looking Glass. A user who is logged in with a desktop is not a member."
        "Run 'vfio setup --services --user NAME' and log in again.";
    DOMAIN_NOT_OURS "domain-not-ours"
        "'vfio guest define --undo' removes only domains that 'vfio guest define' has made."
        "Remove it by hand ('virsh undefine'), or take back changes with 'vfio guest edit NAME --undo'.";
}
