// SPDX-License-Identifier: LGPL-2.1-or-later
//! `kill -9` of the program that binds, at each point of its journal; then `vfio restore`: all is as it was.

use super::CONFIGURATION;
use crate::checks::Checks;
use crate::micro::Micro;
use anyhow::Result;
use std::time::Duration;

/// The card is bound to its host's drivers. The program is killed when it is about to sync for the Nth time, for each N
/// until it ends by itself; every record of the journal is synced before the change that it announces.
const SCRIPT: &str = r#"
state() {
	for device in 0000:01:00.0 0000:01:00.1 0000:02:00.0 0000:02:00.1; do
		echo "$device $(driver $device) $(cat /sys/bus/pci/devices/$device/driver_override)"
	done
	echo "autoprobe $(cat /sys/bus/pci/drivers_autoprobe)"
	ls /dev/vfio
}
modprobe -a bochs snd_hda_intel vfio_pci
state >/lab/start
n=1
while :; do
	strace -f -o /dev/null -e trace=fsync,fdatasync -e inject=fsync,fdatasync:signal=SIGKILL:when=$n \
		vfio bind big >>/lab/bind 2>&1
	code=$?
	state >/lab/killed.$n
	if [ $code -ne 137 ]; then
		fact end "$code"
		break
	fi
	vfio restore big >>/lab/restore 2>&1 || fact restore.$n $?
	state >/lab/state.$n
	cmp -s /lab/start /lab/state.$n || fact differs.$n "$(diff /lab/start /lab/state.$n | tr '\n' ' ')"
	n=$((n + 1))
	[ $n -lt 100 ] || break
done
fact killed $((n - 1))
drivers
vfio restore big >>/lab/restore 2>&1
fact restored $?
state >/lab/end
"#;

pub fn killed_while_binding() -> Result<()> {
    let mut micro = Micro::new("micro_killed_while_binding", SCRIPT);
    micro.files.push(("etc/vfio.conf", CONFIGURATION.to_owned()));
    micro.programs.push("strace");
    micro.deadline = Duration::from_secs(300);
    let run = micro.run()?;
    let mut checks = Checks::default();
    let killed: u32 = run.fact("killed").parse().unwrap_or(0);
    // Two overrides, two unbinds, two probes: a record each at least.
    checks.same("killed at six points or more", killed >= 6, true);
    for n in 1..=killed {
        checks.same(&format!("difference after kill {n} and restore"), run.fact(&format!("differs.{n}")), "");
        checks.same(&format!("exit of the restore after kill {n}"), run.fact(&format!("restore.{n}")), "");
    }
    let halfway = (1..=killed).any(|n| run.text(&format!("killed.{n}")) != run.text("start"));
    checks.same("some kill came halfway", halfway, true);
    checks.same("exit of the last, which was not killed", run.fact("end"), "0");
    checks.same("video function then", run.fact("0000:01:00.0"), "vfio-pci");
    checks.same("audio function then", run.fact("0000:01:00.1"), "vfio-pci");
    checks.same("exit of its restore", run.fact("restored"), "0");
    checks.same("state then", run.text("end"), run.text("start"));
    checks.done()
}
