// SPDX-License-Identifier: LGPL-2.1-or-later
//! A card whose BARs are resized for guests that come and go. What kernels do with resizable BARs: `resize.rs`.

use crate::checks::Checks;
use crate::compiled::{module, REBAR};
use crate::images::Disk;
use crate::layers::Initramfs;
use crate::machine::{Boot, Machine};
use crate::qemu;
use anyhow::Result;

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
    // By which systemd is asked to run the guests' commands.
    disk.packages = "dbus";
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
