# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh
# A disk with virtual functions, one of which is bound at boot; the root is on the physical one.
devices=/sys/bus/pci/devices
pf=0000:01:00.0 vf=0000:01:00.1 other=0000:01:00.2
fact root "$(findmnt -n -o SOURCE /)"
fact made "$(cat $devices/$pf/sriov_numvfs)"
until_true 120 sh -c "[ -e $devices/$vf/driver ]"
# The host's own driver may take a while to find that nobody answers behind a function that is not switched on.
until_true 60 sh -c '! systemctl is-active --quiet vfio-bind@vf.service || systemctl show --property=SubState vfio-bind@vf.service | grep -q exited'
for function in $pf $vf $other; do fact "$function" "$(driver "$function")"; done
fact ids "$(cat $devices/$vf/vendor $devices/$vf/device | tr '\n' ' ')"
fact raw "$(od -An -tx2 -N4 $devices/$vf/config | tr -d ' ')"
for verb in check plan status groups "bind pf"; do
	# shellcheck disable=SC2086 # words
	vfio $verb >"/lab/${verb%% *}" 2>&1
	fact "${verb%% *}" $?
done
fact after.pf "$(driver $pf)"
echo lab >/root/written
sync
fact written "$(cat /root/written)"
timeout 200 qemu-system-x86_64 -machine q35 -accel tcg -m 32 -S -nodefaults -display none -monitor stdio \
	-device vfio-pci,host=$vf >/lab/nested 2>&1 <<END
info pci
quit
END
fact nested $?
systemctl list-units --failed --plain --no-legend >/lab/failed
