// SPDX-License-Identifier: LGPL-2.1-or-later
//! Resizable BARs with the kernel's own code: a module shows emulated functions as cards that have them (guest/rebar).
//!
//! 0000:01:00.0 is alone below its port. 0000:02:00.0 has a neighbour with a place in the same window. 0000:03:00.0 has more
//! than the window of its port can take. 0000:00:05.0 sits on the root bus: with no bridge above it, 6.1 and 6.12 do not notice that
//! they find no place.

use crate::checks::Checks;
use crate::compiled::{module, REBAR};
use crate::images::Disk;
use crate::layers::Initramfs;
use crate::machine::{Boot, Machine};
use crate::micro::Micro;
use crate::qemu;
use anyhow::Result;

const SCRIPT: &str = r#"
modprobe vfio-pci
cd /sys/bus/pci/devices
card=0000:01:00.0 pinned=0000:02:00.0 cramped=0000:03:00.0 bare=0000:00:05.0
insmod /lab_rebar.ko card=1,0,8,7,2,0,4,4,3,0,5,6,0,5,4,4 || exit
fact kernel "$(uname -r)"

# bar ADDRESS NUMBER: its size in MiB, or "nowhere".
bar() {
	sed -n "$(($2 + 1))p" "$1/resource" | {
		read -r start end flags
		if [ $((start)) = 0 ] || [ $((flags)) = 0 ]; then echo nowhere; else echo $(((end - start + 1) >> 20))M; fi
	}
}
# both ADDRESS: both of its BARs.
both() { echo "$(bar "$1" 0) $(bar "$1" 2)"; }
# resize NAME ADDRESS NUMBER VALUE: what the kernel says, and what the BARs are then.
resize() {
	error=$({ echo "$4" >"$2/resource$3_resize"; } 2>&1) && error=ok
	fact "$1" "${error##*: }, $(both "$2")"
}

fact card "$(cat $card/vendor $card/device $card/class | tr '\n' ' ')$(both $card)"
fact offers "$(cat $card/resource0_resize $card/resource2_resize | tr '\n' ' ')"
cat /proc/iomem >/lab/iomem.before
resize grow $card 0 13
resize shrink $card 2 3
resize no_such $card 0 7
resize no_room $card 0 16
cp $card/resource /lab/no_room
resize again $card 0 8
resize back $card 2 7
fact pinned "$(both $pinned)"
resize pinned.grow $pinned 0 9
resize pinned.shrink $pinned 2 3
resize pinned.back $pinned 2 4
fact cramped "$(both $cramped)"
resize cramped.shrink $cramped 2 3
fact bare "$(both $bare)"
resize bare.grow $bare 0 9
resize bare.back $bare 0 4
echo vfio-pci >$card/driver_override
echo $card >/sys/bus/pci/drivers_probe
resize bound $card 0 13
echo $card >/sys/bus/pci/drivers/vfio-pci/unbind
echo >$card/driver_override

# The boot: the overrides stand, vfio-pci is loaded and takes the card at once, then its unit resizes and binds it.
cat >/etc/vfio.conf <<END
[gpu big]
device = $card
identity = 1002:73bf
bar0 = 8G
bar2 = 8M
[gpu pinned]
device = $pinned
functions = 0
bind = guest
bar0 = 1G
[gpu bare]
device = $bare
bind = guest
bar0 = 64G
END
/usr/lib/vfio/vfio-bind early
echo $card >/sys/bus/pci/drivers_probe
fact early "$(driver $card) $(both $card)"
/usr/lib/vfio/vfio-bind gpu big
fact boot "$? $(driver $card) $(both $card)"
cp $card/resource /lab/bound
vfio restore big
fact restored "$? $(driver $card) $(both $card)"

# By hand, with more than there is room for: what fits is known before.
sed -i 's/bar0 = 8G/bar0 = 64G/' /etc/vfio.conf
vfio bind big >/lab/too_much 2>&1
fact too_much "$? $(driver $card) $(both $card)"
vfio restore big
fact restored.again "$? $(both $card)"
# Where a neighbour keeps the window there is only the room in it.
vfio bind pinned >/lab/pinned 2>&1
fact pinned.bound "$? $(driver $pinned) $(both $pinned)"
vfio rebar >/lab/table 2>&1

# Without a bridge: what does not fit is not asked for. Somebody else does, and the kernel says yes.
vfio bind bare >/lab/bare 2>&1
fact bare.bound "$? $(driver $bare) $(both $bare)"
vfio restore bare
fact bare.restored "$? $(driver $bare) $(both $bare)"
resize bare.no_room $bare 0 16
cp $bare/resource /lab/bare.resource
vfio bind bare >/lab/lost 2>&1
fact lost "$? $(driver $bare) $(both $bare)"

# Without the kernel's help: a size goes into the register of BAR 0, and the card off its bus and back.
bus=$(dirname "$(readlink -f $card)")/pci_bus/0000:01
by_hand() {
	printf "$2" | dd of=$card/config bs=1 seek=265 conv=notrunc 2>/dev/null
	echo 1 >$card/remove
	echo 1 >"$bus/rescan"
	fact "$1" "$(driver $card) $(both $card)"
}
by_hand by_hand.grow '\015'
by_hand by_hand.no_room '\020'
by_hand by_hand.back '\010'

# The same by the configuration, for a card whose own other function keeps the window; the first size has no room.
vfio restore pinned
fact pinned.restored "$? $(driver $pinned) $(both $pinned)"
cat >/etc/vfio.conf <<END
[gpu big]
device = $pinned
bar0 = 64G
rebar-method = rescan
END
vfio bind big >/lab/anew 2>&1
fact anew "$? $(driver $pinned) $(driver ${pinned%0}1) $(both $pinned)"
fact anew.override "$(cat $pinned/driver_override) $(cat /sys/bus/pci/drivers_autoprobe)"
vfio restore big
fact anew.restored "$? $(driver $pinned) $(both $pinned)"
# A card that shares its bridge with something that is not given away.
sed -i '/device/a functions = 0' /etc/vfio.conf
vfio bind big >/lab/shared 2>&1
fact shared "$? $(driver $pinned) $(both $pinned)"
"#;

/// What a kernel does that another does not.
struct Kernel {
    name: &'static str,
    suite: &'static str,
    /// What is answered, and what is left, for a size that has no room below the root bus.
    no_room: &'static str,
    /// The same for a BAR whose neighbour keeps the window.
    pinned_grow: &'static str,
    /// What is answered, and what is left, for a BAR that could shrink beside such a neighbour.
    pinned_shrink: &'static str,
    /// What the neighbour leaves for a card that wants 1G.
    pinned_bound: &'static str,
    /// The largest size that a card which is found anew has room for, in GiB: how tightly windows are laid out.
    anew: u64,
    /// For a BAR that has no place.
    cramped: [&'static str; 2],
    /// What is answered, and what is left, for a size that has no room and a function on the root bus.
    bare_no_room: &'static str,
    /// What `vfio bind` makes of that function then, and what it says.
    lost: &'static str,
    lost_says: &'static [&'static str],
}

fn resize(kernel: &Kernel) -> Result<()> {
    let mut micro = Micro::new(kernel.name, SCRIPT);
    micro.suite = kernel.suite;
    micro.copies.push((module(kernel.suite, REBAR)?, "lab_rebar.ko"));
    micro.devices = vec![
        qemu::port_of(1, "512M"),
        "-device e1000e,bus=rp1,addr=0.0".to_owned(),
        qemu::port(2),
        "-device e1000e,bus=rp2,addr=0.0,multifunction=on".to_owned(),
        "-device virtio-rng-pci,bus=rp2,addr=0.1".to_owned(),
        qemu::port(3),
        "-device e1000e,bus=rp3,addr=0.0".to_owned(),
        "-device e1000e,bus=pcie.0,addr=0x5".to_owned(),
        qemu::host_display(),
    ];
    let run = micro.run()?;
    let mut checks = Checks::default();
    for (fact, value) in [
        ("card", "0x1002 0x73bf 0x030000 256M 128M"),
        ("offers", "000000000001ff00 00000000000001fe "),
        ("grow", "ok, 8192M 128M"),
        ("shrink", "ok, 8192M 8M"),
        ("no_such", "Invalid argument, 8192M 8M"),
        ("no_room", kernel.no_room),
        ("again", "ok, 256M 8M"),
        ("back", "ok, 256M 128M"),
        ("pinned", "16M 16M"),
        ("pinned.grow", kernel.pinned_grow),
        ("pinned.shrink", kernel.pinned_shrink),
        ("cramped", kernel.cramped[0]),
        ("cramped.shrink", kernel.cramped[1]),
        ("bare", "16M 16M"),
        ("bare.grow", "ok, 512M 16M"),
        ("bare.back", "ok, 16M 16M"),
        ("bound", "Device or resource busy, 256M 128M"),
        ("early", "vfio-pci 256M 128M"),
        ("boot", "0 vfio-pci 8192M 8M"),
        ("restored", "0 none 256M 128M"),
        ("too_much", "0 vfio-pci 16384M 8M"),
        ("restored.again", "0 256M 128M"),
        ("pinned.bound", kernel.pinned_bound),
        ("bare.bound", "0 vfio-pci 16384M 16M"),
        ("bare.restored", "0 none 16M 16M"),
        ("bare.no_room", kernel.bare_no_room),
        ("lost", kernel.lost),
        ("by_hand.grow", "none 8192M 128M"),
        ("by_hand.no_room", "none nowhere nowhere"),
        ("by_hand.back", "none 256M 128M"),
        ("pinned.restored", "0 none 16M 16M"),
        ("anew", &format!("0 vfio-pci vfio-pci {}M 16M", kernel.anew << 10)),
        ("anew.override", "vfio-pci 1"),
        ("anew.restored", "0 none 16M 16M"),
        ("shared", "0 vfio-pci 16M 16M"),
    ] {
        checks.same(fact, run.fact(fact), value);
    }
    checks.line("`vfio bind big`", &run.text("too_much"), &["BAR 0 gets 16G instead of 64G", "root bus"]);
    let why = "the window of bridge 0000:00:03.0 cannot move: 0000:02:00.1 has a place in it too";
    checks.line("`vfio bind pinned`", &run.text("pinned"), &[why]);
    let why = format!("BAR 0 is {}G now, not 64G: the kernel finds no place for it", kernel.anew);
    checks.line("`vfio bind`, found anew", &run.text("anew"), &["0000:02:00.0", &why]);
    let why = "rebar-method = rescan needs a bridge above the card with nothing else below it";
    checks.line("`vfio bind` beside something else", &run.text("shared"), &[why]);
    checks.line("`vfio bind bare`", &run.text("lost"), kernel.lost_says);
    checks.done()
}

const TRIXIE: Kernel = Kernel {
    name: "micro_rebar",
    suite: "trixie",
    no_room: "No space left on device, 8192M 8M",
    pinned_grow: "No space left on device, 16M 16M",
    pinned_shrink: "ok, 16M 8M",
    pinned_bound: "0 vfio-pci 32M 16M",
    anew: 16,
    cramped: ["32M nowhere", "No such file or directory, 32M nowhere"],
    bare_no_room: "ok, nowhere 16M",
    lost: "1 none nowhere 16M",
    lost_says: &["0000:00:05.0 has no place for its BAR 0 any more", "reboot"],
};

pub fn trixie() -> Result<()> {
    resize(&TRIXIE)
}

/// A card that vfio has with one size, and one that it gets only with a guest: guests that want other sizes come and go.
const GUESTS: &str = r#"
# The images are for another boot.
systemctl stop vfio-sync.path
insmod /root/lab_rebar.ko card=1,0,8,7,2,0,4,4
cd /sys/bus/pci/devices
bar() {
	sed -n "$(($2 + 1))p" "$1/resource" | { read -r start end flags; echo $(((end - start + 1) >> 20))M; }
}
look() { fact "$1" "$(driver $2) $(bar $2 0) $(bar $2 2) $(systemctl is-active vfio-guest@$3)"; }
big=0000:01:00.0 lent=0000:02:00.0
cat >/etc/vfio.conf <<END
[gpu big]
device = $big
identity = 1002:73bf
bar0 = 8G
[gpu lent]
device = $lent
bind = guest
[guest one]
gpus = big
big.bar0 = 512M
big.bar2 = 8M
runner = command
command = /usr/local/bin/guest {bdf}
handover = none
stop-timeout = 5s
[guest two]
gpus = lent
lent.bar0 = 256M
runner = command
command = /usr/local/bin/guest {bdf}
display-manager = none
stop-timeout = 5s
END
modprobe vfio-pci
vfio bind big >/lab/bind 2>&1
look bound $big one
for name in one two; do
	case $name in one) card=$big ;; two) card=$lent ;; esac
	look $name.before $card $name
	systemctl start vfio-guest@$name
	fact $name.start $?
	look $name.with $card $name
	systemctl stop vfio-guest@$name
	look $name.after $card $name
done
fact left "$(ls /run/vfio/guests /run/vfio/claims 2>/dev/null | grep -cv '^$\|:')"
vfio restore big
look restored $big one
"#;

/// What is a guest here: it has the card open, as a QEMU would.
const GUEST: &str = "#!/bin/sh\n\
    exec 3<>\"/dev/vfio/$(basename \"$(readlink \"/sys/bus/pci/devices/$1/iommu_group\")\")\"\nexec sleep 900\n";

pub fn guests() -> Result<()> {
    let mut disk = Disk::new("rebar", Initramfs::InitramfsTools);
    disk.copies = vec![(module("trixie", REBAR)?, "root/lab_rebar.ko")];
    disk.files = vec![("usr/local/bin/guest", GUEST.to_owned())];
    let mut boot = Boot::new("boot", GUESTS);
    // There is nothing behind the BARs that it could drive.
    boot.words += " module_blacklist=amdgpu";
    let card = |n: u32| [qemu::port_of(n, "512M"), format!("-device e1000e,bus=rp{n},addr=0.0")];
    boot.devices = [card(1), card(2)].concat();
    boot.devices.push(qemu::host_display());
    let run = Machine::new("machine_rebar", &disk)?.boot(&boot)?;
    let mut checks = Checks::default();
    for (fact, value) in [
        ("bound", "vfio-pci 8192M 128M inactive"),
        ("one.before", "vfio-pci 8192M 128M inactive"),
        ("one.start", "0"),
        ("one.with", "vfio-pci 512M 8M active"),
        ("one.after", "vfio-pci 8192M 128M inactive"),
        ("two.before", "none 16M 16M inactive"),
        ("two.start", "0"),
        ("two.with", "vfio-pci 256M 16M active"),
        ("two.after", "none 16M 16M inactive"),
        ("left", "0"),
        ("restored", "none 256M 128M inactive"),
    ] {
        checks.same(fact, run.fact(fact), value);
    }
    checks.done()
}

pub fn bookworm() -> Result<()> {
    resize(&Kernel {
        name: "micro_rebar_bookworm",
        suite: "bookworm",
        pinned_grow: "No such file or directory, 16M 16M",
        pinned_shrink: "No such file or directory, 16M 16M",
        pinned_bound: "0 vfio-pci 16M 16M",
        cramped: ["32M nowhere", "Device or resource busy, 32M nowhere"],
        ..TRIXIE
    })
}

pub fn backports() -> Result<()> {
    resize(&Kernel {
        name: "micro_rebar_backports",
        suite: "trixie-backports",
        anew: 8,
        cramped: ["32M nowhere", "Invalid argument, 32M nowhere"],
        bare_no_room: "No space left on device, 16M 16M",
        lost: "0 vfio-pci 16384M 16M",
        lost_says: &["0000:00:05.0: BAR 0 gets 16G instead of 64G", "root bus"],
        ..TRIXIE
    })
}
