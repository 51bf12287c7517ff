#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Stands in for vfio-sim where boot files are changed (tests/common/boot_tools.rs): the tools that make or keep boot files
# do here, on the tree in $VFIO_ROOT, what "vfio cmdline" relies on. real-sim beside this script answers everything else.
set -eu

here=${0%/*}

fail() {
    printf '5\n%s' "$*"
    exit 1
}

# menu FILE: the command lines of GRUB's menu again, from what /etc/default/grub and the drop-ins say. As grub-mkconfig of
# Debian 12 and 13 (grub 2.06-13+deb12u2, 2.12-9+deb13u4) was seen to: "set -e" while they are read, names in the order of
# their bytes, and no menu where one of them fails, cannot be read, or says "exit 0".
menu() {
    drop_ins=''
    # Debian's alone reads drop-ins.
    # shellcheck disable=SC2016 # for the inner shell
    [ "$program" != update-grub ] || drop_ins='for file in ./etc/default/grub.d/*.cfg; do [ ! -e "$file" ] || . "$file"; done'
    # shellcheck disable=SC2016 # for the inner shell, which a file of somebody else may end
    complaint=$(MADE_LINE=.kernel/line.$$ LC_ALL=C sh -e -c "GRUB_CMDLINE_LINUX='' GRUB_CMDLINE_LINUX_DEFAULT=''
        . ./etc/default/grub
        $drop_ins"'
        printf %s "$GRUB_CMDLINE_LINUX_DEFAULT" >"$MADE_LINE.default"
        printf %s "$GRUB_CMDLINE_LINUX $GRUB_CMDLINE_LINUX_DEFAULT" >"$MADE_LINE"' 2>&1 >/dev/null) ||
        fail "$program: $complaint"
    [ -e .kernel/line.$$ ] || return 0
    LINE=$(cat .kernel/line.$$) awk '
        match($0, /^[ \t]*linux[ \t]+[^ \t]+ root=[^ \t]+( r[ow])?/) {
            $0 = substr($0, 1, RLENGTH) " " ENVIRON["LINE"]
        }
        /^### BEGIN \/etc\/grub.d\/41_vfio ###/ { left = 1 }
        !left { print }
        /^### END \/etc\/grub.d\/41_vfio ###/ { left = 0 }
    ' "$1" >.kernel/menu.$$
    cat .kernel/menu.$$ >"$1"
    # The scripts that print entries get the variables in their environment, and one that fails ends the menu.
    if [ -x etc/grub.d/41_vfio ]; then
        {
            echo '### BEGIN /etc/grub.d/41_vfio ###'
            GRUB_CMDLINE_LINUX_DEFAULT=$(cat .kernel/line.$$.default) ./etc/grub.d/41_vfio
            echo '### END /etc/grub.d/41_vfio ###'
        } >>"$1"
    fi
    rm .kernel/menu.$$ .kernel/line.$$ .kernel/line.$$.default
}

# 20-grub.install fedora|rhel VERSION: a new kernel's entry on a machine with GRUB and boot entries. As Fedora's plugin of that
# name (dist-git rpms/grub2, f40) was seen to with grub2-mkconfig of rhboot/grub2's fedora-45, and of rhel-9.4.0 and rhel-10.0:
# where /etc/kernel/cmdline is the older file, Fedora's makes it and every entry again from /etc/default/grub (10_linux,
# update_bls_cmdline); RHEL's does not since 9.4. In either case the new entry's line is /etc/kernel/cmdline then.
new_kernel() {
    cmdline=etc/kernel/cmdline
    if [ "$1" = fedora ] && [ "$(bash -c '[[ etc/kernel/cmdline -ot etc/default/grub ]] && echo older')" ]; then
        # shellcheck source=/dev/null
        line="root=UUID=56 ro $(. ./etc/default/grub && echo "${GRUB_CMDLINE_LINUX-} ${GRUB_CMDLINE_LINUX_DEFAULT-}")"
        echo "$line" >$cmdline
        sed -i "s|^options.*|options $line|" boot/loader/entries/*.conf
    fi
    # Words, with one blank between them.
    options=$(tr -s '[:space:]' ' ' <$cmdline)
    printf 'title Fedora Linux (%s)\nversion %s\nlinux /vmlinuz-%s\noptions %s\n' "$2" "$2" "$2" "${options% }" \
        >"boot/loader/entries/5f-$2.conf"
}

# 50-systemd-boot VERSION: a new kernel's entry. Compared with void-packages' hook of that name (srcpkgs/systemd-boot,
# files/kernel.d/systemd-boot.post-install): the line is CMDLINE, or comes from /etc/fstab.
void_hook() {
    CMDLINE='' SYSTEMD_BOOT_DISABLE=''
    # shellcheck source=/dev/null
    . ./etc/default/systemd-boot
    [ -z "$SYSTEMD_BOOT_DISABLE" ] || return 0
    [ -n "$CMDLINE" ] || CMDLINE="$(awk '$1 !~ /^#/ && $2 == "/" { print "rootfstype=" $3, "root=" $1; exit }' etc/fstab) quiet rw"
    printf 'title        Void Linux x86_64 %s\nsort-key     void\nversion      %s\noptions      %s\nlinux        vmlinuz-%s\ninitrd       initramfs-%s.img\narchitecture x64\n' \
        "$1" "$1" "$CMDLINE" "$1" "$1" >"boot/loader/entries/void-x86_64-$1.conf"
}

# words FILE...: what is in files, but for comments, in one line.
words() {
    grep -hv '^#' "$@" | tr -s '\n ' ' ' | sed 's/ $//'
}

# kernelstub [-o LIST | -a LIST | -d LIST]: its configuration, and the entry that it makes from that. Compared with
# kernelstub of November 2025 (kernelstub/application.py, installer.py), which was run: "-d" makes the list again from a set,
# "-o" with nothing changes nothing, and without a kernel in /boot it prints an error, does nothing and ends with 0.
# A list is words, one of them a line or all in one.
# shellcheck disable=SC2086,SC2116
kernelstub() {
    settings=etc/kernelstub/configuration
    first=$settings
    [ -e "$first" ] || first=etc/default/kernelstub
    list=$(sed -n '/^  "user"/,$ s/^      "\(.*\)",*$/\1/p' "$first")
    case ${1:-} in
    '') ;;
    -o) [ -z "$2" ] || list=$(echo "$2" | tr -s ' ' '\n') ;;
    -a) list=$(printf '%s\n' $list $2 | awk '!seen[$0]++') ;;
    -d) list=$(printf '%s\n' $list | grep -vxF "$(printf '%s\n' $2)" | sort -ru) || list= ;;
    *) fail "kernelstub: what is $1?" ;;
    esac
    for kernel in boot/vmlinuz-*; do
        if [ ! -e "$kernel" ]; then
            printf "kernelstub           : ERROR    Can't find the kernel image '/vmlinuz'! \n\n"
            return
        fi
    done
    sed -i "s|^options .*|options root=UUID=9a ro $(echo $list)|" boot/efi/loader/entries/Pop_OS-current.conf
    mkdir -p etc/kernelstub
    awk -v list="$(echo $list)" '
        BEGIN { count = split(list, words, " ") }
        /^  "user"/ { user = 1 }
        user && /"kernel_options": \[/ {
            print
            for (i = 1; i <= count; i++) printf "      \"%s\"%s\n", words[i], i < count ? "," : ""
            skip = 1
            next
        }
        skip && /^    \]/ { skip = 0 }
        !skip
    ' "$first" >.kernel/settings
    # Python writes no line end.
    printf %s "$(cat .kernel/settings)" >"$settings"
    rm .kernel/settings
}

# read_lines FILE: $line and what is in a file, as sdbootutil reads it: a last line without a line end is left out.
read_lines() {
    [ -s "$1" ] || return 0
    while read -r words; do
        case $words in
        '#'*) ;;
        *) line="${line:+$line }$words" ;;
        esac
    done <"$1"
}

# sdbootutil update-all-entries: the options of each entry of this system, again from its sources. Compared with sdbootutil of
# August 2026 (create_boot_options, sedrootflags, update_entry_conf), which was run: it reads drop-ins twice, and no other
# system's or snapshot's entry is changed.
sdbootutil() {
    line='' own='rootflags=subvol=@/.snapshots/4/snapshot'
    for file in etc/kernel/cmdline usr/lib/kernel/cmdline proc/cmdline; do
        if [ -e "$file" ]; then
            read_lines "$file"
            break
        fi
    done
    for file in etc/kernel/cmdline.d/* etc/kernel/cmdline.d/*; do
        read_lines "$file"
    done
    if [ -n "$line" ]; then
        case " $line" in
        *' root='*) line=$(echo "$line" | sed -E 's|\broot=\S*|root=UUID=78|') ;;
        *) line="$line root=UUID=78" ;;
        esac
        line="$(echo "$line" | tr -s ' \t' ' ') $own"
    fi
    for entry in boot/efi/loader/entries/*.conf; do
        if grep -Eq "^options .*root=(UUID=78|/dev/nvme0n1p2) .*$own" "$entry"; then
            sed -i "s|^options\s*.*$|options    $line|g" "$entry"
        fi
    done
}

# proxmox-boot-tool refresh: the entries, or the menu, of every partition. Compared with proxmox-kernel-helper 8.1.0
# (src/proxmox-boot/zz-proxmox-boot), which was run: it reads one line, and skips what it cannot mount (here: "unmountable"
# lies there) or finds no kernel for, and ends with 0.
proxmox_boot_tool() {
    [ "$*" = refresh ] || fail "proxmox-boot-tool: what is $*?"
    if [ -e etc/kernel/cmdline ]; then
        line=$(head -n 1 etc/kernel/cmdline)
        case $line in
        *root=*) ;;
        *) fail "proxmox-boot-tool: No root= parameter in /etc/kernel/cmdline found!" ;;
        esac
    else
        line=$(sed 's/initrd=\S* *//' proc/cmdline)
    fi
    while read -r uuid; do
        partition=/dev/disk/by-uuid/$uuid
        if [ ! -h ".$partition" ]; then
            echo "WARN: $partition does not exist - clean '/etc/kernel/proxmox-boot-uuids'! - skipping"
            continue
        elif [ -e "unmounted/$uuid/unmountable" ]; then
            echo "mount of $partition failed - skipping"
            continue
        fi
        echo "Copying and configuring kernels on $partition"
        for kernel in boot/vmlinuz-*; do
            if [ ! -e "$kernel" ]; then
                echo "No linux-image /boot/vmlinuz-6.8.12-1-pve found - skipping"
            elif [ -e "unmounted/$uuid/grub" ]; then
                echo "	Copying kernel ${kernel#*-}"
                program=update-grub
                menu "unmounted/$uuid/grub/grub.cfg"
            else
                echo "	Copying kernel and creating boot-entry for ${kernel#*-}"
                sed -i "s|^options .*|options  $line|" "unmounted/$uuid/loader/entries/proxmox-${kernel#*-}.conf"
            fi
        done
    done <etc/kernel/proxmox-boot-uuids
}

# limine-update: the menu, from the layers of limine-entry-tool (its /etc/limine-entry-tool.conf, 1.38): a value loses the
# quotes around all of it, a kernel's own key counts instead of default, and where no layer has the key, /etc/kernel/cmdline
# does, or /proc/cmdline. What += puts between is not said there: nothing is put there here. Entries of snapshots and of other
# machines stay.
limine_update() {
    set -- usr/share/limine-entry-tool.d/*.conf etc/limine-entry-tool.conf etc/limine-entry-tool.d/*.conf etc/default/limine
    for file; do
        shift
        [ ! -e "$file" ] || set -- "$@" "$file"
    done
    if [ -e etc/kernel/cmdline ]; then base=$(words etc/kernel/cmdline); else base=$(words proc/cmdline); fi
    machine=$(cat etc/machine-id 2>/dev/null || echo none)
    cp boot/limine.conf boot/limine.conf.old
    BASE=$base awk -v machine="$machine" '
        function trim(text) { gsub(/^[ \t]+|[ \t]+$/, "", text); return text }
        FILENAME != "boot/limine.conf.old" {
            if (!match($0, /^[ \t]*KERNEL_CMDLINE\[[^]]*\][ \t]*\+?=/)) next
            name = substr($0, RSTART, RLENGTH); value = trim(substr($0, RLENGTH + 1))
            adds = name ~ /\+=$/
            sub(/^[^[]*\[/, "", name); sub(/\].*$/, "", name); gsub(/["'\'']/, "", name)
            if (value ~ /^".*"$/) value = substr(value, 2, length(value) - 2)
            cmdline[name] = (adds ? cmdline[name] : "") value
            next
        }
        /^[ \t]*\// {
            title = $0; sub(/^[ \t]*/, "", title); depth = match(title, /[^\/]/) - 1
            title = substr(title, depth + 1); sub(/^\+/, "", title); title = trim(title)
            if (snapshots && depth <= snapshots) snapshots = 0
            if (!snapshots && title == "Snapshots") snapshots = depth
            if (depth == 1) other = 0
            kernel = title
        }
        /comment: .*machine-id=/ { id = $0; sub(/.*machine-id=/, "", id); sub(/ .*/, "", id); other = id != machine }
        /comment: .*kernel-id=/ { kernel = $0; sub(/.*kernel-id=/, "", kernel); sub(/ .*/, "", kernel) }
        /^[ \t]*cmdline:/ && !snapshots && !other {
            key = kernel in cmdline ? kernel : kernel ~ /fallback/ && "fallback" in cmdline ? "fallback" : "default"
            line = key in cmdline ? trim(cmdline[key]) : ENVIRON["BASE"]
            sub(/cmdline:.*/, ""); print $0 "cmdline: " line; next
        }
        { print }
    ' "$@" boot/limine.conf.old >boot/limine.conf
    rm boot/limine.conf.old
}

# update-limine: the menu, from the one variable that a shell reads.
update_limine() {
    LIMINE_CMDLINE_LINUX_DEFAULT=''
    # shellcheck source=/dev/null
    . ./etc/default/limine
    sed -i "s|^\(    cmdline:\).*|\1 root=UUID=de $LIMINE_CMDLINE_LINUX_DEFAULT|" boot/limine.conf
}

# clr-boot-manager update: each entry's root, then the vendor's files that are not masked, /etc/kernel/cmdline and the
# administrator's (src/lib/cmdline.c, cbm_parse_cmdline_files; src/bootloaders/systemd-class.c).
clr_boot_manager() {
    line=''
    for file in usr/share/kernel/cmdline.d/*.conf etc/kernel/cmdline etc/kernel/cmdline.d/*.conf; do
        [ -e "$file" ] || continue
        case $file in usr/*) [ ! -e "etc/kernel/cmdline.d/${file##*/}" ] || continue ;; esac
        line="$line $(words "$file")"
    done
    sed -i "s|^options root=PARTUUID=9c .*|options root=PARTUUID=9c$line|" boot/loader/entries/Solus-*.conf
}

# take KIND FILE: a program of the firmware, or a deployment, with $line in it, as the test has made it.
take() {
    made="$here/$1 $(echo "$line" | tr / '|')"
    [ -e "$made" ] || fail "$program: $1 with '$line'"
    cp "$made" "$2"
}

# What a deployment of ostree has: the staged one's, or the newest entry's.
deployed() {
    if [ -e run/ostree/staged-deployment ]; then
        cat run/ostree/line
    else
        sed -n 's/^options //p' boot/loader.1/entries/ostree-2.conf
    fi
}

# stage LINE: the deployment of the next boot, in /run alone (ostree-sysroot-deploy.c, ostree_sysroot_stage_tree_with_options).
stage() {
    line=$1
    if [ "$line" = "$(deployed)" ]; then
        echo "No changes."
        return
    fi
    mkdir -p run/ostree
    take staged run/ostree/staged-deployment
    echo "$line" >run/ostree/line
}

# rpm-ostree kargs --append-if-missing=PARAMETER... --delete-if-present=PARAMETER...: in the order of
# src/daemon/rpmostreed-transaction-types.cxx (2026.2), kernel_arg_apply_patching.
rpm_ostree() {
    [ "$1" = kargs ] || fail "rpm-ostree: what is $1?"
    shift
    new=$(deployed)
    for option; do
        parameter=${option#*=}
        case $option in
        --append-if-missing=*)
            case " $new " in *" $parameter "*) ;; *) new="$new $parameter" ;; esac
            ;;
        --delete-if-present=*) ;;
        *) fail "rpm-ostree: what is $option?" ;;
        esac
    done
    for option; do
        case $option in
        --delete-if-present=*) new=$(echo " $new " | sed "s| ${option#*=} | |;s/^ //;s/ $//") ;;
        esac
    done
    stage "$new"
}

# bootc loader-entries set-options-for-source --source vfio [--options LIST]: what the source had goes, then LIST comes
# (bootc 1.16.9, crates/lib/src/loader_entries.rs).
bootc() {
    [ "$1 $2 $3 $4" = "loader-entries set-options-for-source --source vfio" ] || fail "bootc: what is $*?"
    new=$(deployed)
    if [ -e var/lib/source ]; then
        tr ' ' '\n' <var/lib/source >var/lib/parameters
        while read -r parameter; do
            new=$(echo " $new " | sed "s| $parameter | |;s/^ //;s/ $//")
        done <var/lib/parameters
        rm var/lib/source var/lib/parameters
    fi
    if [ "${5:-}" = --options ]; then
        new="$new $6"
        echo "$6" >var/lib/source
    fi
    stage "$new"
}

# ostree admin finalize-staged: what a shutdown does.
ostree() {
    [ "$*" = "admin finalize-staged" ] || fail "ostree: what is $*?"
    [ -e run/ostree/staged-deployment ] || return 0
    sed -i "s|^options .*|options $(cat run/ostree/line)|" boot/loader.1/entries/ostree-2.conf
    rm -r run/ostree
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

[ "$1" = run ] || exec "$here/real-sim" "$@"
cd "$VFIO_ROOT"
# The simulator's own (sim/mkinitcpio.rs, sim/installkernel.rs).
case $2 in mkinitcpio | installkernel)
    (shift && echo "$*" >>.kernel/ran)
    exec "$here/real-sim" "$@"
    ;;
esac
shift
program=$1
echo "$*" >>.kernel/ran
shift
case $program in
update-grub) menu boot/grub/grub.cfg ;;
grub-mkconfig | grub2-mkconfig) menu ".$2" ;;
kernelstub) kernelstub "$@" ;;
rpm-ostree) rpm_ostree "$@" ;;
bootc) bootc "$@" ;;
ostree) ostree "$@" ;;
proxmox-boot-tool) proxmox_boot_tool "$@" ;;
ukify) ukify "$@" ;;
sdbootutil) sdbootutil ;;
limine-update) limine_update ;;
update-limine) update_limine ;;
clr-boot-manager) clr_boot_manager ;;
20-grub.install) new_kernel "$@" ;;
50-systemd-boot) void_hook "$@" ;;
# What they make is no boot file that is looked at, or is changed by us as well.
grub-script-check | grub2-script-check | sdboot-manage) ;;
*) fail "$program: not known here" ;;
esac
