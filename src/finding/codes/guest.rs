// SPDX-License-Identifier: LGPL-2.1-or-later
//! Codes of messages about guests.

codes! {
    CARD_IN_FOREIGN_GUEST "card-in-foreign-guest"
        "A program that vfio has not started, such as a virtual machine, has the card's vfio device open."
        "Shut that virtual machine down, or end that program.";
    CARD_NOT_BOUND "card-not-bound"
        "The card is bound to a driver of the host, and 'handover = none' starts the guest only if the card is bound to vfio already."
        "Bind the card at boot ('bind = boot', then reboot) or with 'vfio bind NAME', or use 'handover = auto'.";
    HOLDER_UNKNOWN "holder-unknown"
        "It is not known whether a process holds the card, or which process holds it."
        "Find out which process holds the card ('vfio holders'), end it, and try again.";
    SESSION_ENDS "session-ends"
        "A login session that shows something on the card ends when the guest starts."
        "Save the work in that session first. 'bind = boot' keeps sessions from the card; with 'handover = hot' no session is ended.";
    SESSION_MAY_END "session-may-end"
        "With 'handover = hot' a program that shows something on the card is told by udev that the card goes. It may release the card and live on, keep it (then the guest does not start), or crash, as sway did when its only card went; its session ends then."
        "Save the work in that session first, or use 'handover = auto', which ends the session in order.";
    UNRELATED_SESSION_ENDS "unrelated-session-ends"
        "Login sessions on other seats end when the guest starts, because the display manager that is stopped serves all seats."
        "Save the work in those sessions first, or bind the card at boot ('bind = boot').";
    SYSTEMD_DOES_NOT_ANSWER "systemd-does-not-answer"
        "systemd could not be asked which units run, so vfio could not start again what it stops."
        "Try again; if it stays so, see 'systemctl status' and whether D-Bus runs.";
    NEEDS_SYSTEMD "needs-systemd"
        "A unit or the display manager would have to be stopped for the guest and started again after it, which vfio does by systemd, and this machine has another init (such as OpenRC)."
        "Bind the card at boot ('bind = boot'); or, before each start, log out of what uses the card and stop the display manager. Take 'stop-units' and 'display-manager' out of the section.";
    LOGIND_DOES_NOT_ANSWER "logind-does-not-answer"
        "A process shows something on the card, and logind could not be asked which session it belongs to."
        "Try again; if it stays so, see 'systemctl status systemd-logind'.";
    NO_DBUS "no-dbus"
        "systemd runs the guest's commands and is asked to by D-Bus, which this machine does not have."
        "Install dbus.";
    NO_SUCH_USER "no-such-user"
        "The user that is to run the guest's command does not exist."
        "Create the user ('systemd-sysusers' creates vfio-guest), or set 'user' to one that 'getent passwd' lists.";
    VFIO_PCI_MISSING "vfio-pci-missing"
        "The running kernel has no vfio-pci: the driver is not registered, and the kernel has no such module."
        "If the kernel was updated, reboot: the modules of the running kernel may be gone. Otherwise install a kernel with vfio-pci.";
    MODULE_NOT_RELOADABLE "module-not-reloadable"
        "Modules of the host's driver would be unloaded for the guest, and could not be loaded again, because they are not there for the running kernel."
        "If the kernel or the driver was updated, reboot.";
    GUEST_FILE "guest-file"
        "A file that the guest needs (disk, firmware, option ROM, program) is not there or cannot be used."
        "Correct the file, or change what names it: the configuration, or the domain ('virsh edit').";
    MEMORY_EXCEEDS_MACHINE "memory-exceeds-machine"
        "The domain needs more memory than this machine has. A guest with a card needs all of its memory from the start."
        "Give the domain less memory ('virsh edit').";
    MEMORY_NOT_AVAILABLE "memory-not-available"
        "The domain needs more memory than is available now. A guest with a card needs all of its memory from the start."
        "End programs on the host, or give the domain less memory ('virsh edit').";
    HUGE_PAGES_NOT_FREE "huge-pages-not-free"
        "The domain's memory is in huge pages, too few of them are free, and the rest will not come or may not come."
        "End programs that use memory, have the kernel reserve the pages at boot ('hugepagesz=1G hugepages=8'), or change the domain ('virsh edit').";
    CPUS_NOT_ISOLATED "cpus-not-isolated"
        "'cpus-isolate = yes' cannot be done, or only in part: no vCPU of the domain is bound to CPUs, no CPU is left to the host, another guest has it, or the control groups of this machine have no CPUs to allow."
        "Bind the domain's vCPUs to CPUs ('cpus'), leave a core to the host, and run one such guest at a time.";
    SOUND_SERVER "sound-server"
        "The domain plays sound on the sound server of a user of the host, which does not run or ends with a session that ends for the guest."
        "Log in as that user, let the user's services run on ('loginctl enable-linger USER'), or use the card's own sound ('audio = card').";
    SHARED_MEMORY "shared-memory"
        "The domain shares memory with a program of the host (Looking Glass), and what is at its place in /dev/shm cannot be used: it is too small, not a file, or somebody else's."
        "Remove it, and what makes it at boot (tmpfiles.d): vfio makes the file when the guest starts.";
    DOMAIN_UNKNOWN "domain-unknown"
        "libvirt does not know the domain, or does not answer."
        "See 'virsh list --all' for the domains' names, and whether libvirt runs; 'domain' and 'uri' in the [guest] section say where the domain is.";
    DOMAIN_XML "domain-xml"
        "The domain's XML cannot be understood, so it is not known which devices the domain gets."
        "Correct the domain ('virsh edit').";
    DOMAIN_NOT_SHUT_OFF "domain-not-shut-off"
        "The domain runs, is paused, crashed or suspended; only a domain that is shut off can be started."
        "Shut the domain down ('virsh shutdown'), or end it ('virsh destroy').";
    DOMAIN_LACKS_CARD "domain-lacks-card"
        "The [guest] section names the card, and the domain does not get any function of it."
        "Add the card's functions to the domain as PCI host devices ('virsh edit'), or remove the card from 'gpus'.";
    DOMAIN_LACKS_FUNCTION "domain-lacks-function"
        "The domain gets the card without some of its functions, which the host loses all the same."
        "Add these functions to the domain as PCI host devices ('virsh edit').";
    DOMAIN_DEVICE_ABSENT "domain-device-absent"
        "The domain gets a PCI host device at an address where this machine has nothing."
        "Remove or correct that device in the domain ('virsh edit').";
    DOMAIN_GETS_OTHER_CARD "domain-gets-other-card"
        "The domain also gets a card of a [gpu] section that 'gpus' of the guest does not name."
        "Add that section to 'gpus', or remove the device from the domain ('virsh edit').";
    DOMAIN_GETS_UNLISTED_FUNCTION "domain-gets-unlisted-function"
        "The domain also gets a function of the card that 'functions' in the [gpu] section leaves out."
        "Add the function to 'functions', or remove the device from the domain ('virsh edit').";
    DOMAIN_GETS_HOST_DISPLAY "domain-gets-host-display"
        "The domain also gets a display that the host uses and that no [gpu] section names."
        "Name the display in a [gpu] section, or remove the device from the domain ('virsh edit').";
    DOMAIN_GETS_HOST_DEVICE "domain-gets-host-device"
        "The domain also gets a device of the host, which libvirt unbinds from the host's driver when the domain starts."
        "Make sure that the host does not need the device; if it does, remove the device from the domain ('virsh edit').";
    HOSTDEV_NOT_MANAGED "hostdev-not-managed"
        "The domain also gets a device that is not bound to vfio and that libvirt does not bind either, because it is not managed."
        "Write managed='yes' at that device in the domain ('virsh edit').";
    DOMAIN_LACKS_DISPLAY "domain-lacks-display"
        "The domain gets a card without the function that makes the picture, or libvirt only takes that function from the host (<address type='unassigned'/>)."
        "Add that function to the domain as a PCI host device, or remove <address type='unassigned'/> there ('virsh edit').";
    DOMAIN_WITHOUT_SECTION "domain-without-section"
        "The domain gets a configured card that a driver of the host still has, and no [guest] section says how the host gives it away: libvirt would take the card from under the desktop."
        "Write a [guest] section for the domain (vfio.conf(5)), or bind the card with 'vfio bind NAME' before the domain is started.";
    DOMAIN_IS_SAVED "domain-is-saved"
        "libvirt keeps a saved state of the domain (managed save), and goes on from it at the next start, with the devices that the domain had then."
        "Give the saved state up ('virsh managedsave-remove'), or start the domain once without the card and shut it down.";
    NETWORK_NOT_ACTIVE "network-not-active"
        "A network of libvirt's that the domain is connected to is not defined or not active, so the domain does not start."
        "Start the network ('virsh net-start'; 'virsh net-autostart' for every boot), or change the domain ('virsh edit').";
    INTERFACE_MISSING "interface-missing"
        "A bridge or a network interface of the host that the domain is connected to is not there, so the domain does not start."
        "Make the bridge, or name the interface that is there now in the domain ('virsh edit').";
    USB_DEVICE_MISSING "usb-device-missing"
        "A USB device of the host without which the domain does not start is not plugged in, or cannot be told from another of the same kind."
        "Plug the device in, write startupPolicy='optional' at it, or name it by bus and device ('virsh edit').";
    SCSI_DEVICE_MISSING "scsi-device-missing"
        "A SCSI device of the host that the domain is given is not there, so the domain does not start."
        "Correct its address in the domain ('virsh edit'): host adapters are numbered anew at each boot.";
    CPU_NOT_ONLINE "cpu-not-online"
        "A part of the domain is bound to CPUs that are not online or that this machine does not have, so the domain does not start."
        "Correct <cputune> in the domain ('virsh edit'), or bring the CPUs online.";
    NUMA_NODE_MISSING "numa-node-missing"
        "The domain takes its memory from a NUMA node that this machine does not have or that has no memory."
        "Correct <numatune> in the domain ('virsh edit').";
    HUGE_PAGES_NOT_MOUNTED "huge-pages-not-mounted"
        "The domain's memory comes from huge pages by a mounted file system, and none with pages of that size is mounted."
        "Write <source type='memfd'/> in <memoryBacking>, or mount one (mount(8), hugetlbfs) and restart libvirt's daemon.";
    MACHINE_UNKNOWN "machine-unknown"
        "The domain's emulator does not know the machine that the domain is to be: it was made with another version of QEMU."
        "Write a machine that 'qemu-system-x86_64 -machine help' lists into <type machine=...> ('virsh edit').";
    VIRTIOFSD_MISSING "virtiofsd-missing"
        "The domain shares a directory by virtiofs, and libvirt finds no program for that."
        "Install virtiofsd.";
    QEMU_PART_MISSING "qemu-part-missing"
        "The domain's sound or picture goes by a part of QEMU that the distribution has in a package of its own, and that package is not installed: QEMU would end at once."
        "Install the package that the message names.";
    SOUND_APPARMOR "sound-apparmor"
        "AppArmor confines domains here, and none of its rules for them lets QEMU connect to the sound server that the domain plays on. libvirt adds no rule for it; the package's counts where libvirt includes rules of packages (Debian 13)."
        "Add the rules that the message names to /etc/apparmor.d/local/abstractions/libvirt-qemu.";
    GUEST_UNSEEN "guest-unseen"
        "The guest's card is the second GPU of a laptop, to which no monitor can be connected, and the domain has neither an emulated display nor the memory of Looking Glass."
        "Write 'looking-glass', or 'display = vnc' as long as the guest is set up; docs/MUXLESS.md has the ways.";
    EMULATED_DISPLAY_FIRST "emulated-display-first"
        "The domain has an emulated display (QXL, virtio, VGA) beside the card, and the host shows no picture while the guest runs: the guest shows its firmware and perhaps its desktop on the display that nobody sees."
        "Set 'display = card' in the [guest] section and run 'vfio guest edit NAME', or set 'display = vnc' if the display is meant to be reached by VNC.";
    NO_INPUT "no-input"
        "The host shows no picture while the guest runs, and the guest gets no keyboard, mouse, USB device or USB controller of the host, so nobody could type."
        "Set 'input = auto' in the [guest] section and run 'vfio guest edit NAME', or give the domain a USB controller.";
    BAR_TOO_LARGE_FOR_WINDOWS "bar-too-large-for-windows"
        "BAR 2 of a card of the RX 6000 series is larger than 8M, with which Windows' driver reports Code 43."
        "Write 'bar2 = 8M' in the [gpu] section.";
    ROM_NEEDED "rom-needed"
        "The card has no option ROM of its own that the guest could read: it is the boot display, where the kernel shows a copy in memory that the firmware has made, or the graphics of a processor, whose ROM the firmware alone has."
        "Give the card a file with its option ROM ('rom', docs/ROM.md): 'vfio rom dump' reads one where that is possible.";
    NO_WAY_IN "no-way-in"
        "The host shows no picture while the guest runs, and nobody can log in from elsewhere: nothing listens on sshd's port, and the kernel's console is on no serial line."
        "Enable sshd ('systemctl enable --now ssh', or 'sshd'), and try to log in from another machine.";
    UEFI_MISSING "uefi-missing"
        "The domain boots with UEFI firmware that libvirt chooses, and no such firmware is installed, so the domain does not start."
        "Install the package that the message names.";
    ADDRESSES_TOO_WIDE "addresses-too-wide"
        "The guest's processor has wider addresses than the IOMMU reaches. Its firmware puts large BARs and much memory at their end, where they cannot be mapped for the card."
        "Write <maxphysaddr mode='passthrough' limit='39'/> with the IOMMU's number into <cpu> ('virsh edit'); 'cpus' in the [guest] section and 'vfio guest edit' do the same.";
    QEMU_ARGUMENT "qemu-argument"
        "An argument for QEMU itself in the domain's XML makes QEMU end at once."
        "Write <qemu:override> instead of '-set', and an option and its value as two <qemu:arg> ('virsh edit').";
}
