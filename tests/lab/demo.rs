// SPDX-License-Identifier: LGPL-2.1-or-later
//! `make demo`: what a user does on a fresh Debian 13, in a machine of the lab, shown as it happens.

use crate::checks::Checks;
use crate::images::Disk;
use crate::layers::Initramfs;
use crate::machine::{Boot, Machine};
use crate::scenarios::probed;
use anyhow::{Context, Result};
use std::time::Instant;

/// The functions of the card that the configuration names.
const CARD: [&str; 2] = ["0000:01:00.0", "0000:01:00.1"];

/// The functions of its twin, and the drivers of the host that have them.
const TWIN: [(&str, &str); 2] = [("0000:02:00.0", "bochs-drm"), ("0000:02:00.1", "snd_hda_intel")];

/// Buses 1 and 2: a Radeon RX 6800 and its HDMI audio each.
const CARDS: &str = "1,0,0x73bf1002,0x030000,1,1,0xab281002,0x040300,2,0,0x73bf1002,0x030000,2,1,0xab281002,0x040300";

/// The host's driver for what is an emulated bochs display all the same; the real one would not know what to do with it.
const DRIVER: &str = "[Unit]\nDefaultDependencies=no\nAfter=systemd-modules-load.service\nBefore=sysinit.target\n\n\
                      [Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo 1002 73bf >/sys/bus/pci/drivers/bochs-drm/new_id'\n\n\
                      [Install]\nWantedBy=sysinit.target\n";

/// Runs at each boot of the machine; what it does depends on how far it is.
const SCRIPT: &str = r##"
say() { host say "$*"; }
# Shows a command as if typed, and what it prints.
show() {
	host say "
# $*
$("$@" 2>&1)"
}
# What is asserted: the driver of each function.
keep_drivers() {
	for address in 0000:01:00.0 0000:01:00.1 0000:02:00.0 0000:02:00.1; do fact "$1.$address" "$(driver "$address")"; done
}
if [ ! -e /root/configured ]; then
	keep_drivers before
	say "
== Before: the package is installed, /etc/vfio.conf has no [gpu]. Host drivers have both cards.
   (up after $(cut -d. -f1 /proc/uptime) s, kernel $(uname -r))"
	show vfio groups
	say "
== The configuration"
	cat >>/etc/vfio.conf <<-END

		[gpu big]
		device = 0000:01:00.0
		identity = 1002:73bf
		bind = boot
	END
	show tail -n 4 /etc/vfio.conf
	show vfio check
	show vfio plan
	touch /root/configured /run/lab-stays
	say "
== The reboot"
	sync
	systemctl --no-block reboot 2>/dev/null
else
	keep_drivers after
	dmesg >/lab/dmesg.after
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
        cards: Some(CARDS),
        files: vec![
            ("etc/modules-load.d/lab-card.conf", "bochs\n".to_owned()),
            ("etc/systemd/system/lab-card.service", DRIVER.to_owned()),
        ],
        commands: vec!["systemctl enable lab-card.service".to_owned()],
        ..Disk::new("demo", Initramfs::InitramfsTools)
    };
    println!(
        "A Debian 13 machine with a display of its own and two identical cards with the ids of a Radeon RX 6800 and of\n\
         its HDMI audio (below them are bochs displays). All of it is emulated. The first run makes the machine's disk,\n\
         which takes ten minutes and 4 GB below {}; each of the two boots takes a minute or so.",
        crate::cache::dir()?.display()
    );
    let begin = Instant::now();
    let machine = Machine::new("demo", &disk)?;
    let mut boot = Boot::new("boot", SCRIPT);
    boot.reboots = true;
    boot.words += " modprobe.blacklist=amdgpu";
    let run = machine.boot(&boot)?;
    let logs = crate::cache::dir()?.join("runs/demo/boot");
    println!("\nThe machine's console and logs: {}", logs.display());

    let mut checks = Checks::default();
    let dmesg = run.text("dmesg.after");
    for address in CARD {
        checks.same(&format!("the drivers that {address} was tried with"), probed(&dmesg, address), ["vfio-pci"]);
        checks.same(&format!("the driver of {address} after"), run.fact(&format!("after.{address}")), "vfio-pci");
    }
    for (step, functions) in
        [("before", [CARD, TWIN.map(|(address, _)| address)].concat()), ("after", vec![TWIN[0].0, TWIN[1].0])]
    {
        for address in functions {
            let function = address.chars().last().context("an address ends with its function")?;
            let host = TWIN.iter().find(|(twin, _)| twin.ends_with(function)).map_or("", |(_, driver)| driver);
            checks.same(&format!("the driver of {address} {step}"), run.fact(&format!("{step}.{address}")), host);
        }
    }
    checks.done().context("what was shown is not what it should be")?;
    println!(
        "\nSummary: in {} minutes, one edit and one reboot moved both functions of the card to vfio-pci. No host driver had\n\
         been tried on them, and the twin stayed with the host.",
        begin.elapsed().as_secs().div_ceil(60)
    );
    Ok(())
}
