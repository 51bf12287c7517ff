#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# In a tree of Debian with libvirt, as root: has libvirt define each domain of /opt/domains, dumps it, defines what became of it
# with --validate, dumps that into /opt/dumps, starts it without what only its own machine has, defines the first dump again, and
# compares the bytes. Then guests are made from nothing (define.sh).
set -eu

virsh() { command virsh --quiet --connect qemu:///system "$@"; }
mount -t tmpfs tmpfs /run
mount -t devpts -o newinstance,ptmxmode=0666 devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
# QEMU as root, without cgroups and namespaces: there is no systemd here, and nothing to be kept apart.
cat >/etc/libvirt/qemu.conf <<'END'
user = "root"
group = "root"
cgroup_controllers = [ ]
security_driver = "none"
namespaces = [ ]
swtpm_user = "root"
swtpm_group = "root"
remember_owner = 0
END
virtlogd --daemon
libvirtd --daemon
for _ in $(seq 100); do
    virsh version >/dev/null 2>&1 && break
    sleep 0.1
done
virsh version --daemon | sed -n 's/^Running/with/p'
machine=$(qemu-system-x86_64 -machine help | sed -n 's/^q35 .*(alias of pc-q35-\(.*\))$/\1/p')

mkdir -p /opt/dumps
# Starts what became of a domain, emulated, and ends it.
start() {
    xsltproc /opt/startable.xsl "/opt/dumps/$1.xml" | sed "/<uuid>/d; s:^  <name>.*:  <name>started</name>:" >/tmp/started.xml
    # Disks and images are empty ones.
    grep -o "<source file=['\"][^'\"]*" /tmp/started.xml | sed "s/.*['\"]//" | while read -r file; do
        [ -e "$file" ] || {
            mkdir -p "${file%/*}"
            case $file in
            *.qcow2) qemu-img create -q -f qcow2 "$file" 64M ;;
            *) truncate -s 64M "$file" ;;
            esac
        }
    done
    # QEMU leaves the file of a shared memory behind, and takes none that is smaller.
    rm -f /dev/shm/looking-glass
    virsh create /tmp/started.xml >/tmp/said 2>&1 || {
        why=$(sed -n 's/^error: //p' /tmp/said | tail -n 1)
        notstarted="$notstarted$1: ${why:-$(tail -n 1 /tmp/said)}
"
        return 0
    }
    started=$((started + 1))
    virsh destroy started >/dev/null
}

good=0 bad=0 started=0 notstarted=
fail() {
    echo "$1: $2" >&2
    bad=$((bad + 1))
}
for before in /opt/domains/*.xml; do
    name=${before##*/}
    name=${name%.xml}
    case $name in *.after) continue ;; esac
    after=/opt/domains/$name.after.xml
    # Without the machine's own version, which this QEMU may not have.
    for text in "$before" "$after"; do
        sed -E "s/machine='pc-(q35|i440fx)-[0-9.]+'/machine='pc-\1-$machine'/" "$text" >"/tmp/${text##*/}"
    done
    # One that its own schema does not know is judged as 'vfio guest edit' has it judged.
    validate=--validate
    virsh define --validate -- "/tmp/$name.xml" >/dev/null 2>&1 || validate=
    # shellcheck disable=SC2086 # an option or nothing
    if ! virsh define $validate -- "/tmp/$name.xml" >/tmp/said 2>&1; then
        fail "$name" "libvirt does not take the domain: $(cat /tmp/said)"
        continue
    fi
    domain=$(sed -n 's:^  <uuid>\(.*\)</uuid>$:\1:p' "/tmp/$name.xml")
    virsh dumpxml --inactive --security-info -- "$domain" >/tmp/first
    # shellcheck disable=SC2086
    if virsh define $validate -- "/tmp/$name.after.xml" >/tmp/said 2>&1; then
        virsh dumpxml --inactive --security-info -- "$domain" >"/opt/dumps/$name.xml"
        good=$((good + 1))
        start "$name"
    else
        fail "$name" "libvirt does not take what became of it: $(cat /tmp/said)"
    fi
    # shellcheck disable=SC2086
    if virsh define $validate -- /tmp/first >/tmp/said 2>&1; then
        virsh dumpxml --inactive --security-info -- "$domain" >/tmp/again
        cmp -s /tmp/first /tmp/again || fail "$name" "after the undo it is another domain: $(diff /tmp/first /tmp/again | head -n 5)"
    else
        fail "$name" "libvirt does not take the first dump again: $(cat /tmp/said)"
    fi
    virsh undefine --keep-nvram --keep-tpm -- "$domain" >/dev/null 2>&1 || virsh undefine --keep-nvram -- "$domain" >/dev/null
done
echo "$good domains defined, edited and back, $bad wrong; $started of them started"
printf %s "$notstarted"
# What names the firmware of another distribution does not start here.
[ "$bad" = 0 ]
[ "$started" -ge 55 ]
bash /opt/define.sh
