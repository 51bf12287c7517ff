#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The guide's start hook for a card whose driver is unloaded once libvirt has taken the card from it (its "AMD"), step by
# step in other words. Nothing is checked, and nothing is waited for. What did not work as it stands there:
#
# - The user's services are stopped with "systemctl --user -M $USER". A hook has no USER, and a name without "@" is that of
#   a container. Even "-M desk@" needs a bus of the user's, which is not installed here, and takes 3 s to say so: the user's
#   manager is asked directly. It is not Plasma that holds the card here, but a service that plays on its audio.
# - It cuts the addresses out of lspci's output without their colon ("pci_0000_0100.0"); these are libvirt's names.
# - "efi-framebuffer.0" need not be unbound since Linux 6.0, and cannot be bound again; for the cards of the last years the
#   guide leaves it out itself.
#
# And what it does that nobody asked for: with a second display on the same driver, as here, that one goes with the module.
PS4='+ $EPOCHREALTIME '
exec 2>>/run/guide.log
set -x
systemctl stop display-manager
runuser -u desk -- env XDG_RUNTIME_DIR=/run/user/1000 systemctl --user stop lab-sound.service
echo 0 >/sys/class/vtconsole/vtcon0/bind
echo 0 >/sys/class/vtconsole/vtcon1/bind
virsh nodedev-detach pci_0000_01_00_0
virsh nodedev-detach pci_0000_01_00_1
modprobe -r bochs
modprobe vfio-pci
