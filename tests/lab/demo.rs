// SPDX-License-Identifier: LGPL-2.1-or-later
//! `make demo`: what a user does on a fresh Debian 13, in a machine of the lab, shown as it happens.

use crate::images::Disk;
use crate::layers::Initramfs;
use crate::machine::{Boot, Machine};
use anyhow::Result;

/// Runs at each boot of the machine; what it does depends on how far it is.
const SCRIPT: &str = r##"
say() { host say "$*"; }
# Shows a command as if typed, and what it prints.
show() {
	host say "
# $*
$("$@" 2>&1)"
}
cards() {
	for slot in 01 02; do
		for function in 0 1; do
			echo "0000:$slot:00.$function  $(driver 0000:$slot:00.$function)"
		done
	done
}
if [ ! -e /root/configured ]; then
	say "
== Before: the package is installed, /etc/vfio.conf has no [gpu]. Host drivers have both cards.
   (up after $(cut -d. -f1 /proc/uptime) s, kernel $(uname -r))"
	show vfio groups
	say "
== The configuration"
	cat >>/etc/vfio.conf <<-END

		[gpu big]
		device = 0000:01:00.0
		identity = 1234:1111
		bind = boot
	END
	show tail -n 4 /etc/vfio.conf
	show vfio check
	show vfio plan
	touch /root/configured /run/lab-stays
	say "
== The reboot"
	sync
	systemctl --no-block reboot
else
	say "
== After: every function of the chosen card is on vfio-pci, its identical twin is the host's.
   (up after $(cut -d. -f1 /proc/uptime) s)"
	show vfio status
	show vfio groups
	say "
# what the kernel's log says about the card's drivers
$(dmesg | sed -n 's/^[][ 0-9.]*//; /0000:01:00.*probing driver/p')"
	show ls /dev/vfio
fi
"##;

/// Shows it. The machine's console is kept in the run's directory.
pub fn run() -> Result<()> {
    let disk = Disk {
        name: "demo",
        suite: "trixie",
        initramfs: Initramfs::InitramfsTools,
        files: Vec::new(),
        commands: Vec::new(),
        rebuild: true,
        report: Vec::new(),
    };
    println!("A Debian 13 machine with two identical graphics cards (each with its audio function) and a display of");
    println!("its own. It is emulated down to the processor, so each of its two boots takes a minute or so.");
    let machine = Machine::new("demo", &disk)?;
    let mut boot = Boot::new("boot", SCRIPT);
    boot.reboots = true;
    machine.boot(&boot)?;
    println!("\nThe machine's console and logs: {}", crate::cache::dir()?.join("runs/demo/boot").display());
    Ok(())
}
