#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What the packages' scripts do while a guest runs, each as its package manager calls it: at an upgrade nothing is asked of
# the guest or its unit, and what is written down of it stays; at a removal it is shut down. The scripts are those of the
# packages; they run here with their paths below a folder, and with stand-ins for the system's programs, which write
# down how they are called.
# Usage: upgrade.sh FOLDER (with the .deb, the .rpm and the .pkg.tar.zst)
set -euo pipefail

dist=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
passed=0
fail() {
    echo "upgrade: $*" >&2
    exit 1
}
one() { find "$dist" -maxdepth 1 -name "$1" ! -name '*.src.rpm' | grep . || fail "there is no $1 in $dist"; }

# Paths that are the package's or the system's, below the folder.
below() { sed -E "s,(^|[^A-Za-z0-9_./])/(run/(systemd/system|udev|vfio)|etc|var/lib|usr/lib/vfio|usr/bin/vfio|boot|tmp)(/|\\b),\\1$root/\\2\\4,g"; }

stand_ins=$work/bin
mkdir "$stand_ins"
for name in systemctl systemd-sysusers deb-systemd-helper deb-systemd-invoke udevadm dpkg-trigger update-initramfs dracut; do
    cat >"$stand_ins/$name" <<SCRIPT
#!/bin/sh
echo "$name \$*" >>$work/ran
SCRIPT
done
chmod +x "$stand_ins"/*

# A machine with a card, where the guest win10 runs.
machine() {
    rm -rf "$root" "$work/ran"
    mkdir -p "$root"/{run/systemd/system,run/udev,run/vfio/guests/win10,run/vfio/claims,run/vfio/journal,etc,var/lib/vfio,usr/lib/vfio,usr/bin}
    : >"$root/run/udev/control"
    echo '[gpu big]' >"$root/etc/vfio.conf"
    echo '{"step":{"do":"claim","gpu":"big"},"before":null}' >"$root/run/vfio/guests/win10/journal"
    echo win10 >"$root/run/vfio/claims/big"
    : >"$root/var/lib/vfio/initramfs"
    : >"$work/ran"
    below <"$work/before-removal" >"$root/usr/lib/vfio/before-removal"
    printf '#!/bin/sh\necho "vfio $*" >>%s/ran\n' "$work" >"$root/usr/bin/vfio"
    chmod +x "$root/usr/lib/vfio/before-removal" "$root/usr/bin/vfio"
}
state() { (cd "$root" && find run/vfio var/lib/vfio etc -type f -exec cksum {} + | LC_ALL=C sort -k 3); }
# A script on standard input, with its arguments.
run() { below | PATH=$stand_ins:$PATH sh -s -- "$@" >>"$work/said" 2>&1 || fail "$kind: a script failed: $(tail -n 3 "$work/said")"; }

# As the package manager orders them: old and new are the same here, for the next version has these scripts.
deb_script() { [ ! -e "$work/deb/$1" ] || run "${@:2}" <"$work/deb/$1"; }
deb_upgrade() {
    deb_script prerm upgrade 0.2.0
    deb_script preinst upgrade 0.1.0
    deb_script postrm upgrade 0.2.0
    deb_script postinst configure 0.1.0
}
deb_removal() {
    deb_script prerm remove
    deb_script postrm remove
}
rpm_script() { rpm -qp --qf "%|$1?{%{$1}}|\n" "$rpm" | run "$2"; }
rpm_upgrade() {
    rpm_script PREIN 2
    rpm_script POSTIN 2
    rpm_script PREUN 1
    rpm_script POSTUN 1
    rpm_script POSTTRANS 2
}
rpm_removal() {
    rpm_script PREUN 0
    rpm_script POSTUN 0
}
arch_function() { { cat "$work/arch.INSTALL" && printf '\nif command -v %s >/dev/null; then %s "$@"; fi\n' "$1" "$1"; } | run "${@:2}"; }
arch_upgrade() {
    arch_function pre_upgrade 0.2.0-1 0.1.0-1
    arch_function post_upgrade 0.2.0-1 0.1.0-1
}
arch_removal() {
    arch_function pre_remove 0.1.0-1
    arch_function post_remove 0.1.0-1
}

deb=$(one 'vfio-suite_*.deb') rpm=$(one 'vfio-suite-*.rpm') arch=$(one 'vfio-suite-*.pkg.tar.zst')
dpkg-deb -e "$deb" "$work/deb"
zstd -dcq "$arch" | tar -xO .INSTALL >"$work/arch.INSTALL"
dpkg-deb --fsys-tarfile "$deb" | tar -xO ./usr/lib/vfio/before-removal >"$work/before-removal"

for kind in deb rpm arch; do
    machine
    before=$(state)
    "${kind}_upgrade"
    [ "$(state)" = "$before" ] || fail "$kind: an upgrade changes what is written down: $(diff <(echo "$before") <(state))"
    ! grep -E 'guest|win10' "$work/ran" || fail "$kind: an upgrade does something to the guest"
    # The one unit that may be stopped and started is the one that notices edits.
    ! grep -E '\b(stop|restart|try-restart|reload-or-restart|kill|isolate|disable)\b' "$work/ran" | grep -vE ' vfio-sync\.(path|service)$' ||
        fail "$kind: an upgrade stops more than vfio-sync.path"
    # On Arch Linux pacman's and mkinitcpio's own hooks do all.
    [ -s "$work/ran" ] || [ "$kind" = arch ] || fail "$kind: an upgrade runs nothing at all: it was not looked at"
    # What shows that it would have been seen.
    machine
    "${kind}_removal"
    grep -qx 'vfio guest restore win10' "$work/ran" || fail "$kind: a removal leaves the guest with its card: $(cat "$work/ran")"
    passed=$((passed + 2))
done
echo "upgrade: $passed checks passed"
