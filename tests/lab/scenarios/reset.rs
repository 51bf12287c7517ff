// SPDX-License-Identifier: LGPL-2.1-or-later
//! Resets: which methods functions have, what is written and when, and what becomes of it; with a stand-in for
//! vendor-reset.

use super::probed;
use crate::checks::Checks;
use crate::compiled::{module, CARD, VENDOR_RESET};
use crate::micro::Micro;
use crate::qemu;
use anyhow::Result;

const VENDOR_RESET_SCRIPT: &str = r#"
modprobe bochs
modprobe snd_hda_intel
# The card becomes an RX 580 with its sound; its twin stays what it is.
insmod /root/lab_card.ko card=1,0,0x67df1002,0x030000,1,1,0xaaf01002,0x040300
cd /sys/bus/pci/devices
card=0000:01:00.0
modules=/lib/modules/$(uname -r)
method() { tr ' ' + <$1/reset_method; }
fact method.found "$(method $card)"
fact method.sound "$(ls 0000:01:00.1/reset_method 2>/dev/null)"

# Absent; for another kernel; for a card that it does not know. Each time the card is bound all the same.
vfio bind big 2>/lab/absent
fact absent "$? $(driver $card) $(method $card)"
vfio restore big
other=/lib/modules/6.1.0-40-amd64
mkdir -p $other/updates/dkms
echo updates/dkms/vendor-reset.ko: >$other/modules.dep
vfio bind big 2>/lab/elsewhere
fact elsewhere "$? $(driver $card)"
vfio restore big
rm -r $other
mkdir -p $modules/updates/dkms
cp /root/vendor-reset.ko $modules/updates/dkms
echo updates/dkms/vendor-reset.ko: >>$modules/modules.dep
vfio bind twin 2>/lab/unsupported
fact unsupported "$? $(driver 0000:02:00.0)"
vfio restore twin
rmmod vfio_pci
fact loaded.before "$(ls -d /sys/module/vendor_reset /sys/bus/pci/drivers/vfio-pci 2>/dev/null)"

# As at boot: nobody has given anything back.
rm -r /run/vfio
mkdir /tmp/units
/usr/lib/systemd/system-generators/vfio-generator /tmp/units
cat /tmp/units/vfio-bind@big.service.d/50-vfio.conf >/lab/drop-in
echo "lab: boot" >/dev/kmsg
/usr/lib/vfio/vfio-bind early
/usr/lib/vfio/vfio-bind gpu big
fact boot "$? $(driver $card) $(method $card)"
# Between two guests; the kernel asks the module.
echo "lab: reset" >/dev/kmsg
vfio reset big >/lab/reset 2>&1
fact reset "$?"
# Found again it is a new function, with the kernel's own order.
echo "lab: rescan" >/dev/kmsg
vfio rescan big
fact rescan "$? $(driver $card) $(method $card)"
vfio reset --json >/lab/table.json
vfio restore big
fact restored "$? $(driver $card) $(method $card)"
"#;

pub fn vendor_reset() -> Result<()> {
    let mut micro = Micro::new("micro_vendor_reset", VENDOR_RESET_SCRIPT);
    micro.copies =
        vec![(module("trixie", CARD)?, "root/lab_card.ko"), (module("trixie", VENDOR_RESET)?, "root/vendor-reset.ko")];
    let configuration = "[gpu big]\ndevice = 0000:01:00.0\nidentity = 1002:67df\nbind = boot\n\n\
                         [gpu twin]\ndevice = 0000:02:00.0\nbind = guest\nreset = vendor-reset\n";
    micro.files = vec![("etc/vfio.conf", configuration.to_owned())];
    let run = micro.run()?;
    let mut checks = Checks::default();
    checks.same("method.found: function 0 lists a bus that it shares", run.fact("method.found"), "bus");
    checks.same("absent", run.fact("absent"), "0 vfio-pci bus");
    checks.line("absent", &run.text("absent"), &["(Polaris 10)", "vendor-reset is not installed"]);
    checks.same("elsewhere", run.fact("elsewhere"), "0 vfio-pci");
    checks.line("elsewhere", &run.text("elsewhere"), &["not built for the running kernel", "6.1.0-40-amd64"]);
    checks.same("unsupported", run.fact("unsupported"), "0 vfio-pci");
    checks.line("unsupported", &run.text("unsupported"), &["(1234:1111) is not supported by vendor-reset"]);
    checks.same("loaded.before", run.fact("loaded.before"), "");
    checks.line("drop-in", &run.text("drop-in"), &["After=modprobe@vendor_reset.service"]);
    checks.no_line("drop-in", &run.text("drop-in"), &["vfio_pci"]);
    checks.same("boot", run.fact("boot"), "0 vfio-pci device_specific");
    checks.same("reset", run.fact("reset"), "0");
    checks.same("rescan", run.fact("rescan"), "0 vfio-pci device_specific");
    // Loaded, then asked for the card, then the card is bound: from the kernel's log.
    let dmesg = run.text("dmesg");
    let (_, boot) = dmesg.split_once("lab: boot").unwrap_or_default();
    let (boot, later) = boot.split_once("lab: reset").unwrap_or_default();
    let (reset, rescan) = later.split_once("lab: rescan").unwrap_or_default();
    let place = |words: &str| boot.find(words);
    let order = [
        place("vendor_reset: loaded"),
        place("vendor_reset: 0000:01:00.0: can be reset"),
        place("0000:01:00.0: bus: 'pci': really_probe: probing driver vfio-pci"),
    ];
    checks.same("loaded, written, bound at boot", order.iter().all(Option::is_some) && order.is_sorted(), true);
    checks.same("drivers that were tried on the card at boot", probed(boot, "0000:01:00.0"), ["vfio-pci"]);
    checks.line("the kernel's log of `vfio reset`", reset, &["vendor_reset: 0000:01:00.0: reset"]);
    checks.line("the kernel's log of `vfio rescan`", rescan, &["vendor_reset: 0000:01:00.0: can be reset"]);
    checks.same("restored", run.fact("restored").split(' ').next(), Some("0"));
    checks.done()
}

const METHODS_SCRIPT: &str = r#"
cd /sys/bus/pci/devices
modprobe vfio-pci
# Nobody runs systemd here: no unit is there.
printf '#!/bin/sh\n' >/usr/bin/systemctl
chmod +x /usr/bin/systemctl
card=0000:01:00.0
port=$(basename $(dirname $(readlink $card)))
show() { printf '%s %s %s' "$(tr ' ' + <$1/reset_method)" "$(cat $1/power/control)" "$(cat $1/d3cold_allowed)"; }
fact found "$(driver $card) $(show $card)"
fact pair.found "$(show 0000:02:00.0)"
# Nothing resets what a driver of the host has.
vfio reset rng 2>/lab/host
fact host $?
# A guest gets it. Card and port may sleep before and after, and not meanwhile.
echo auto >$card/power/control
echo auto >$port/power/control
echo 1 >$port/d3cold_allowed
fact before "$(driver $card) $(show $card) $(cat $port/power/control $port/d3cold_allowed | tr '\n' +)"
/usr/lib/vfio/vfio-guest run short >/lab/guest 2>&1
fact run $?
/usr/lib/vfio/vfio-guest give-back short >>/lab/guest 2>&1
fact back $?
fact after "$(driver $card) $(show $card) $(cat $port/power/control $port/d3cold_allowed | tr '\n' +)"
# By each method that it has, while it is on vfio.
vfio bind rng
fact bound "$(driver $card) $(show $card)"
for method in flr pm bus; do
	vfio reset rng --method $method --dry-run >/lab/dry-$method 2>&1
	vfio reset rng --method $method >/lab/reset-$method 2>&1
	fact reset.$method "$? $(show $card)"
done
vfio reset rng --method device_specific 2>/lab/impossible
fact impossible "$? $(show $card)"
vfio rescan rng
fact rescan "$? $(driver $card) $(show $card)"
vfio bind pair 2>/lab/pair
fact pair "$? $(show 0000:02:00.0)"
vfio reset >/lab/table
fact table $?
(echo bus >0000:02:00.0/reset_method) 2>/dev/null
fact pair.bus $?
echo default >0000:02:00.0/reset_method
fact pair.default "$(show 0000:02:00.0)"
vfio restore rng
fact restored "$(driver $card) $(show $card)"
"#;

/// What runs as the guest: it only looks.
const GUEST: &str = "\
cd /sys/bus/pci/devices
. /lab/lab.sh
port=$(basename $(dirname $(readlink $1)))
fact guest \"$(driver $1) $(cat $1/reset_method $1/power/control $1/d3cold_allowed | tr '\\n' +)\"
fact guest.port \"$(cat $port/power/control $port/d3cold_allowed | tr '\\n' +)\"
";

pub fn methods() -> Result<()> {
    let mut micro = Micro::new("micro_reset", METHODS_SCRIPT);
    // A faster port is to report its link after a reset of the bus, which QEMU 7.2 does too late for the kernel.
    let mut devices = vec!["-device pcie-root-port,id=rp1,chassis=1,slot=1,x-speed=5".to_owned()];
    devices.push("-device virtio-rng-pci,bus=rp1".to_owned());
    devices.extend(qemu::card(2));
    devices.push(qemu::host_display());
    micro.devices = devices;
    let configuration = "[gpu rng]\ndevice = 0000:01:00.0\nbind = guest\nreset = pm\n\n\
                         [gpu pair]\ndevice = 0000:02:00.0\nbind = guest\nreset = bus\n\n\
                         [guest short]\ngpus = rng\nrunner = command\nuser = root\ncommand = /bin/sh /root/guest {bdf}\n\
                         handover = hot\ndisplay-manager = none\ninhibit-sleep = no\n";
    micro.files = vec![("etc/vfio.conf", configuration.to_owned()), ("root/guest", GUEST.to_owned())];
    let run = micro.run()?;
    let mut checks = Checks::default();
    checks.same("found", run.fact("found"), "virtio-pci flr+pm+bus on 1");
    checks.same("host", run.fact("host"), "1");
    checks.line("host", &run.text("host"), &["is bound to virtio-pci"]);
    // A guest.
    checks.same("before", run.fact("before"), "virtio-pci flr+pm+bus auto 1 auto+1+");
    checks.same("run", run.fact("run"), "0");
    checks.same("guest", run.fact("guest"), "vfio-pci pm+on+0+");
    checks.same("guest.port", run.fact("guest.port"), "on+0+");
    checks.same("back", run.fact("back"), "0");
    checks.same("after", run.fact("after"), run.fact("before"));
    // Each method; what it shows afterwards is what was configured, awake for as long as it is with vfio.
    let bound = "pm on 0";
    checks.same("bound", run.fact("bound"), format!("vfio-pci {bound}"));
    for method in ["flr", "pm", "bus"] {
        checks.line("dry run", &run.text(&format!("dry-{method}")), &["would be reset by", method]);
        checks.line("reset", &run.text(&format!("reset-{method}")), &["0000:01:00.0 was reset by", method]);
        checks.same("reset", run.fact(&format!("reset.{method}")), format!("0 {bound}"));
    }
    checks.same("impossible", run.fact("impossible"), format!("1 {bound}"));
    checks.line("impossible", &run.text("impossible"), &["by device_specific, only by flr, pm, bus;"]);
    checks.same("rescan", run.fact("rescan"), format!("0 vfio-pci {bound}"));
    // A card of two functions: its first lists a bus that it cannot reset alone, and that it does not get again.
    checks.same("pair.found", run.fact("pair.found").split(' ').next(), Some("bus"));
    checks.same("pair", run.fact("pair").split(' ').next(), Some("0"));
    checks.line("pair", &run.text("pair"), &["0000:02:00.0 shares its bus with other functions"]);
    checks.same("pair.bus", run.fact("pair.bus"), "1");
    checks.same("pair.default", run.fact("pair.default").split(' ').next(), Some(""));
    checks.same("exit of the table", run.fact("table"), "1");
    checks.line("table", &run.text("table"), &["flr", "resets this function and no other"]);
    checks.line("table", &run.text("table"), &["bus", "listed since it was found, but not possible"]);
    checks.same("restored", run.fact("restored"), "virtio-pci flr+pm+bus auto 1");
    checks.done()
}
