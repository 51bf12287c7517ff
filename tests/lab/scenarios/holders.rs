// SPDX-License-Identifier: LGPL-2.1-or-later
//! Who holds a card, by whatever path it was opened; who does not, whatever the path says; who does not let itself be looked
//! at; and somebody whom /proc does not show.

use super::CONFIGURATION;
use crate::checks::Checks;
use crate::micro::Micro;
use anyhow::Result;
use std::time::Duration;

/// Each of these begins with `exec`, so that the process which is looked for is the shell's child itself. A fact a way: what
/// `vfio holders` answers, and a file with what it says.
const SCRIPT: &str = r#"
modprobe -a bochs snd_hda_intel vfio_pci fuse
mount -t debugfs debugfs /sys/kernel/debug
device=/sys/bus/pci/devices/0000:01:00.0
card=$(basename "$device"/drm/card*)
number=$(cat "$device/drm/$card/dev")
framebuffer=$(basename "$device"/graphics/fb*)
fact node "/dev/dri/$card"
fact framebuffer "/dev/$framebuffer"

# look NAME: who holds it now.
look() {
	vfio holders big >"/lab/holders.$1" 2>&1
	fact "$1" $?
}

# held NAME COMMAND...: with this process.
held() {
	name=$1
	shift
	"$@" &
	pid=$!
	# It says when it is ready, and waits.
	until_true 60 [ -e /tmp/ready ]
	rm -f /tmp/ready
	look "$name"
	kill -9 $pid
	wait $pid
}

# Where it sleeps in the end, with descriptor 5 open.
sleeps=': >/tmp/ready; exec sleep 1000'
look nobody
held by_its_path sh -c "exec 5</dev/dri/$card; $sleeps"
: >/tmp/elsewhere
mount --bind "/dev/dri/$card" /tmp/elsewhere
held bind_mount sh -c "exec 5</tmp/elsewhere; $sleeps"
umount /tmp/elsewhere
mkdir -p /tmp/jail/tmp /tmp/jail/bin
cp /usr/bin/busybox /tmp/jail/bin/sh
ln -s sh /tmp/jail/bin/sleep
mknod /tmp/jail/any c "${number%:*}" "${number#*:}"
mount --bind /tmp /tmp/jail/tmp
held chroot chroot /tmp/jail /bin/sh -c "exec 5</any; $sleeps"
umount /tmp/jail/tmp
mknod /tmp/gone c "${number%:*}" "${number#*:}"
held deleted sh -c "exec 5</tmp/gone; rm /tmp/gone; $sleeps"
held namespace unshare -m sh -c "mount -t tmpfs none /dev; mkdir /dev/other
	mknod /dev/other/card c ${number%:*} ${number#*:}; exec 5</dev/other/card; $sleeps"
held file_of_that_name unshare -m sh -c "mount -t tmpfs none /dev; mkdir /dev/dri; : >/dev/dri/$card
	exec 5</dev/dri/$card; $sleeps"

# Mapped through another path, and closed.
: >/tmp/elsewhere
mount --bind "/dev/$framebuffer" /tmp/elsewhere
for how in 1 2; do
	held mapped.$how perl -e 'open F, "<", "/tmp/elsewhere" or die; syscall(9, 0, 4096, 1, '$how', fileno(F), 0) > 0 or die;
		close F; open R, ">", "/tmp/ready"; close R; sleep 1000'
done
umount /tmp/elsewhere

# On its way through a socket: nobody's descriptor.
held in_flight perl -e 'socketpair(A, B, 1, 1, 0) or die; open F, "<", "/dev/dri/'"$card"'" or die;
	$byte = "x"; $part = pack("PQ", $byte, 1); $rights = pack("QiiiI", 20, 1, 1, fileno(F), 0);
	$message = pack("QQPQPQQ", 0, 0, $part, 1, $rights, 24, 0);
	syscall(46, fileno(A), $message, 0) == 1 or die "$!";
	close F; open R, ">", "/tmp/ready"; close R; sleep 1000'

# A process whose mappings are those of a server that has never answered.
sleep 1000 &
stuck=$!
exec 3<>/dev/fuse
mount -t fuse -o fd=3,rootmode=100444,user_id=0,group_id=0 hung /proc/$stuck/maps
fact mounted $?
look hangs
fact stuck $stuck
vfio bind big >/lab/bind.hangs 2>&1
fact bind.hangs $?
umount /proc/$stuck/maps
exec 3>&-
kill -9 $stuck
wait $stuck

# With vfio, where nothing is open.
vfio bind big >/lab/bind 2>&1
fact bind $?
fact uses "$(cat /sys/module/vfio_pci/refcnt)"
look vfio_nobody
group=$(basename "$(readlink "$device/iommu_group")")
: >/tmp/elsewhere
mount --bind "/dev/vfio/$group" /tmp/elsewhere
held vfio_bind_mount sh -c "exec 5<>/tmp/elsewhere; $sleeps"
umount /tmp/elsewhere
fact group "/dev/vfio/$group"
vfio restore big >/lab/restore 2>&1
fact restore $?
look end
"#;

pub fn by_any_path() -> Result<()> {
    let mut micro = Micro::new("micro_holders", SCRIPT);
    micro.files.push(("etc/vfio.conf", CONFIGURATION.to_owned()));
    micro.programs.push("perl");
    micro.deadline = Duration::from_secs(600);
    let run = micro.run()?;
    let mut checks = Checks::default();
    let says = |name: &str| run.text(&format!("holders.{name}"));
    let node = run.fact("node");
    for (name, command) in [
        ("by_its_path", "sleep"),
        ("bind_mount", "sleep"),
        ("chroot", "sleep"),
        ("deleted", "sleep"),
        ("namespace", "sleep"),
        ("mapped.1", "perl"),
        ("mapped.2", "perl"),
    ] {
        let node = if command == "perl" { run.fact("framebuffer") } else { node };
        checks.same(&format!("{name}: `vfio holders`"), run.fact(name), "1");
        checks.line(&format!("{name}: `vfio holders`"), &says(name), &[command, node, "pid"]);
    }
    for name in ["nobody", "file_of_that_name", "vfio_nobody", "end"] {
        checks.same(&format!("{name}: `vfio holders`"), run.fact(name), "0");
        checks.line(&format!("{name}: `vfio holders`"), &says(name), &["nobody holds [gpu big]"]);
    }
    checks.same("in flight: `vfio holders`", run.fact("in_flight"), "1");
    checks.line("in flight", &says("in_flight"), &[node, "whom /proc does not show", "/clients"]);
    checks.same("the file system that never answers is there", run.fact("mounted"), "0");
    let stuck = format!("pid {}", run.fact("stuck"));
    checks.same("who hangs: `vfio holders`", run.fact("hangs"), "1");
    checks.line("who hangs", &says("hangs"), &["sleep", &stuck, "has not let", "be read in time"]);
    checks.same("who hangs: `vfio bind`", run.fact("bind.hangs"), "1");
    checks.line("who hangs: `vfio bind`", &run.text("bind.hangs"), &["sleep", &stuck]);
    checks.same("`vfio bind` then", run.fact("bind"), "0");
    checks.same("uses of vfio-pci while nothing is open", run.fact("uses"), "0");
    checks.same("vfio: `vfio holders`", run.fact("vfio_bind_mount"), "1");
    checks.line("vfio: `vfio holders`", &says("vfio_bind_mount"), &["sleep", run.fact("group")]);
    checks.same("`vfio restore`", run.fact("restore"), "0");
    checks.done()
}
