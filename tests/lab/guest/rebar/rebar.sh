# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh disable=SC1091,SC2154,SC2317
# Resizable BARs: a function for each boot, which calls one of them. What they have below which port is in resize.rs.

modprobe vfio-pci
cd /sys/bus/pci/devices || exit
card=0000:01:00.0 pinned=0000:02:00.0 cramped=0000:03:00.0 beside=0000:04:00.0 bare=0000:00:06.0
fact kernel "$(uname -r)"

# cards BUS,SLOT,SIZE,SIZE[,...]: makes them cards.
cards() { insmod /lab_rebar.ko card="$1" || exit; }

# bar ADDRESS NUMBER: its size in MiB, or "nowhere".
bar() {
	sed -n "$(($2 + 1))p" "$1/resource" | {
		read -r start end flags
		if [ $((start)) = 0 ] || [ $((flags)) = 0 ]; then echo nowhere; else echo $(((end - start + 1) >> 20))M; fi
	}
}

# both ADDRESS: both of its BARs.
both() { echo "$(bar "$1" 0) $(bar "$1" 2)"; }

# others ADDRESS: the places of all functions but those below the same port.
others() {
	around=$(dirname "$(readlink -f "$1")")
	for f in *; do
		if [ "${around##*/}" = pci0000:00 ]; then
			[ "$f" = "$1" ] || sed "s/^/$f /" "$f/resource"
		else
			case $(readlink -f "$f")/ in "$around"/*) ;; *) sed "s/^/$f /" "$f/resource" ;; esac
		fi
	done
}

# resize NAME ADDRESS NUMBER VALUE: what the kernel says, and what the BARs are then.
resize() {
	error=$({ echo "$4" >"$2/resource$3_resize"; } 2>&1) && error=ok
	fact "$1" "${error##*: }, $(both "$2")"
}

# looking NAME ADDRESS COMMAND...: does it, and sees whether it left others in their places.
looking() {
	name=$1 address=$2
	shift 2
	others "$address" >"/lab/$name.before"
	"$@" >"/lab/$name.says" 2>&1
	code=$?
	others "$address" >"/lab/$name.after"
	if cmp -s "/lab/$name.before" "/lab/$name.after"; then others=same; else others=moved; fi
	fact "$name.others" $others
	return $code
}

# ours NAME ADDRESS COMMAND...: a program of ours.
ours() {
	fact "$1.was" "$(both "$2")"
	looking "$@"
	fact "$1" "$? $(driver "$2") $(both "$2")"
}

# anew VALUE FUNCTION...: a size goes into the register of the first one's BAR 0, and all of them off their bus and back.
anew() {
	bus=$(dirname "$(readlink -f "$2")")
	bus=$bus/pci_bus/$(echo "$2" | cut -c1-7)
	# shellcheck disable=SC2059 # octal
	printf "$1" | dd of="$2/config" bs=1 seek=265 conv=notrunc
	shift
	for f; do echo 1 >"$f/remove"; done
	echo 1 >"$bus/rescan"
}

# by_hand NAME VALUE FUNCTION...: that, without any program of ours.
by_hand() {
	name=$1
	shift
	looking "$name" "$2" anew "$@"
	fact "$name" "$(driver "$2") $(both "$2")"
}

# What the kernel says to whoever writes to resourceN_resize.
sizes() {
	cards 1,0,8,7
	fact card "$(cat $card/vendor $card/device $card/class | tr '\n' ' ')$(both $card)"
	fact offers "$(cat $card/resource0_resize $card/resource2_resize | tr '\n' ' ')"
	resize no_such $card 0 7
	echo vfio-pci >$card/driver_override
	echo $card >/sys/bus/pci/drivers_probe
	resize bound $card 0 13
	echo $card >/sys/bus/pci/drivers/vfio-pci/unbind
	echo >$card/driver_override
	resize grow $card 0 13
	resize shrink $card 2 3
	resize back $card 0 8
}

no_room() {
	cards 1,0,8,7
	resize no_room $card 0 16
	resize no_room.then $card 0 13
}

# Each has a port of its own, and needs little room.
windows() {
	cards 2,0,4,4,3,0,5,6,4,0,4,4,0,6,4,4
	fact pinned "$(both $pinned)"
	resize pinned.grow $pinned 0 9
	resize pinned.shrink $beside 2 3
	fact cramped "$(both $cramped)"
	resize cramped.shrink $cramped 2 3
	fact bare "$(both $bare)"
	resize bare.grow $bare 0 9
}

by_rescan() {
	cards 1,0,8,7
	by_hand rescan.grow '\015' $card
	by_hand rescan.back '\010' $card
}

rescan_no_room() {
	cards 1,0,8,7
	by_hand rescan.no_room '\020' $card
	by_hand rescan.no_room.back '\010' $card
}

# How large a card can be that is found anew with its neighbour.
rescan_16G() {
	cards 2,0,4,4
	by_hand rescan.16G '\016' $pinned ${pinned%0}1
}

rescan_8G() {
	cards 2,0,4,4
	by_hand rescan.8G '\015' $pinned ${pinned%0}1
}

# The boot: the overrides stand, vfio-pci is loaded and takes the card at once, then its unit resizes and binds it.
boot() {
	cards 1,0,8,7
	printf '[gpu big]\ndevice = %s\nidentity = 1002:73bf\nbar0 = 8G\nbar2 = 8M\n' $card >/etc/vfio.conf
	/usr/lib/vfio/vfio-bind early
	echo $card >/sys/bus/pci/drivers_probe
	fact early "$(driver $card) $(both $card)"
	ours boot $card /usr/lib/vfio/vfio-bind gpu big
	ours boot.restored $card vfio restore big
}

# With more than there is room for: what fits is known before.
too_much() {
	cards 1,0,8,7
	printf '[gpu big]\ndevice = %s\nbar0 = 64G\nbar2 = 8M\n' $card >/etc/vfio.conf
	ours too_much $card vfio bind big
	ours too_much.restored $card vfio restore big
}

# Where a neighbour keeps the window there is only the room in it.
neighbour() {
	cards 2,0,4,4,4,0,4,4
	# A group of which the host uses another function could be given to nobody.
	for other in ${pinned%0}1 ${beside%0}1; do
		[ ! -e "$other/driver" ] || echo "$other" >"$other/driver/unbind"
	done
	printf '[gpu pinned]\ndevice = %s\nfunctions = 0\nbind = guest\nbar0 = 1G\n' $pinned >/etc/vfio.conf
	ours pinned.bound $pinned vfio bind pinned
	ours pinned.restored $pinned vfio restore pinned
	# A card that shares its bridge with something that is not given away cannot be found anew.
	printf '[gpu big]\ndevice = %s\nfunctions = 0\nbar0 = 64G\nrebar-method = rescan\n' $beside >/etc/vfio.conf
	ours shared $beside vfio bind big
	ours shared.restored $beside vfio restore big
}

# Without a bridge: what does not fit is not asked for.
root_bus() {
	cards 0,6,4,4
	printf '[gpu bare]\ndevice = %s\nbind = guest\nbar0 = 64G\n' $bare >/etc/vfio.conf
	ours bare.bound $bare vfio bind bare
	ours bare.restored $bare vfio restore bare
}

# Somebody else asks for it, then we want the card.
lost() {
	cards 0,6,4,4
	printf '[gpu bare]\ndevice = %s\nbind = guest\nbar0 = 64G\n' $bare >/etc/vfio.conf
	resize bare.no_room $bare 0 16
	ours lost $bare vfio bind bare
}

# A card whose own other function keeps the window; the first size has no room.
found_anew() {
	cards 2,0,4,4
	printf '[gpu big]\ndevice = %s\nfunctions = 0,1\nbar0 = 64G\nrebar-method = rescan\n' $pinned >/etc/vfio.conf
	ours anew $pinned vfio bind big
	fact anew.beside "$(driver ${pinned%0}1) $(cat $pinned/driver_override) $(cat /sys/bus/pci/drivers_autoprobe)"
	ours anew.restored $pinned vfio restore big
}
