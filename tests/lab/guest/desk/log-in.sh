# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh
# How sessions of desktops are logged in. After units.sh.

# manager UNIT: the display manager is this one, and starts anew.
manager() {
	systemctl stop display-manager.service 2>/dev/null
	ln -sf "/usr/lib/systemd/system/$1.service" /etc/systemd/system/display-manager.service
	systemctl daemon-reload
	systemctl start display-manager.service
}

# on_console PROFILE: the user is logged in on the first console by itself; the shell reads PROFILE.
on_console() {
	printf '%s\n' "$1" >/home/desk/.profile
	rm -f /etc/systemd/system/getty@tty1.service
	mkdir -p /etc/systemd/system/getty@tty1.service.d
	printf '[Service]\nExecStart=\nExecStart=-/sbin/agetty --noclear --autologin desk %%I linux\n' \
		>/etc/systemd/system/getty@tty1.service.d/lab.conf
	systemctl daemon-reload
	systemctl restart getty@tty1.service
	busybox chvt 1
}
