#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Stands in for vfio-sim where boot files are changed (tests/common/boot_tools.rs): the tools that make or keep boot files
# do here, on the tree in $VFIO_ROOT, what "vfio cmdline" relies on. $REAL_SIM answers everything else.
set -eu

here=${0%/*}

fail() {
    printf '5\n%s' "$*"
    exit 1
}

# menu FILE: the command lines of GRUB's menu again, from what /etc/default/grub and the drop-ins say.
menu() {
    GRUB_CMDLINE_LINUX='' GRUB_CMDLINE_LINUX_DEFAULT=''
    # shellcheck source=/dev/null
    . ./etc/default/grub
    # Debian's alone reads drop-ins.
    if [ "$program" = update-grub ]; then
        for file in ./etc/default/grub.d/*.cfg; do
            # shellcheck source=/dev/null
            [ ! -e "$file" ] || . "$file"
        done
    fi
    line="$GRUB_CMDLINE_LINUX $GRUB_CMDLINE_LINUX_DEFAULT"
    sed -i -E "s|^(\s*linux\s+\S+ root=\S+( r[ow])?).*|\1 $line|" "$1"
}

# words FILE...: what is in files, but for comments, in one line.
words() {
    grep -hv '^#' "$@" | tr -s '\n ' ' ' | sed 's/ $//'
}

# kernelstub -a|-d PARAMETERS: its configuration, and the entry that it makes from that.
kernelstub() {
    entry=boot/efi/loader/entries/Pop_OS-current.conf
    for parameter in $2; do
        case $1 in
        -a)
            sed -i "s|^\(    \"kernel_options\": \[.*\)\]|\1, \"$parameter\"]|" etc/kernelstub/configuration
            sed -i "s|^options .*|& $parameter|" "$entry"
            ;;
        -d)
            sed -i "s|^\(    \"kernel_options\": \[.*\), \"$parameter\"|\1|" etc/kernelstub/configuration
            sed -i "/^options /s| $parameter\\b||" "$entry"
            ;;
        *) fail "kernelstub: what is $1?" ;;
        esac
    done
}

# mkinitcpio -P: each image with the line that it reads.
mkinitcpio() {
    if [ -e etc/kernel/cmdline ]; then
        line=$(words etc/kernel/cmdline)
    else
        line=$(words etc/cmdline.d/*.conf)
    fi
    for image in efi/EFI/Linux/*.efi; do
        take image "$image"
    done
}

# sdbootutil update-all-entries: the words of all drop-ins, after the snapshot's own.
sdbootutil() {
    line=$(words etc/kernel/cmdline.d/*.conf)
    sed -i -E "s|^(options .* rootflags=\S+).*|\1 $line|" boot/efi/loader/entries/opensuse-6.17.2-1-default-4.conf
}

# limine-update: the menu, from the lines that are added up.
limine_update() {
    line=$(sed -n 's/^KERNEL_CMDLINE\[default\]+*="\(.*\)"$/\1/p' etc/default/limine | tr '\n' ' ' | sed 's/ $//')
    sed -i "s|^\(  cmdline:\).*|\1 $line|" boot/limine.conf
}

# take KIND FILE: a program of the firmware with $line in it, as the test has made it.
take() {
    [ -e "$here/$1 $line" ] || fail "$program: $1 with '$line'"
    cp "$here/$1 $line" "$2"
}

# rpm-ostree kargs --append-if-missing=PARAMETER... --delete-if-present=PARAMETER...
rpm_ostree() {
    [ "$1" = kargs ] || fail "rpm-ostree: what is $1?"
    shift
    for option; do
        parameter=${option#*=}
        case $option in
        --append-if-missing=*) sed -i "s|^options .*|& $parameter|" boot/loader.1/entries/ostree-2.conf ;;
        --delete-if-present=*) sed -i "/^options /s| $parameter\\b||" boot/loader.1/entries/ostree-2.conf ;;
        *) fail "rpm-ostree: what is $option?" ;;
        esac
    done
}

# ukify build --cmdline=LINE --output=FILE
ukify() {
    [ "$1" = build ] || fail "ukify: what is $1?"
    for option; do
        case $option in
        --cmdline=*) line=${option#*=} ;;
        --output=*) output=${option#*=} ;;
        esac
    done
    take addon "$output"
}

[ "$1" = run ] || exec "$REAL_SIM" "$@"
cd "$VFIO_ROOT"
shift
program=$1
echo "$*" >>.kernel/ran
shift
case $program in
update-grub) menu boot/grub/grub.cfg ;;
grub-mkconfig | grub2-mkconfig) menu ".$2" ;;
kernelstub) kernelstub "$@" ;;
rpm-ostree) rpm_ostree "$@" ;;
ukify) ukify "$@" ;;
mkinitcpio) mkinitcpio ;;
sdbootutil) sdbootutil ;;
limine-update) limine_update ;;
# What they make is no boot file that is looked at, or is changed by us as well.
grub-script-check | grub2-script-check | sdboot-manage) ;;
*) fail "$program: not known here" ;;
esac
