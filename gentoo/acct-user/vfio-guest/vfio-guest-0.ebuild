# Copyright 2026 The vfio-suite developers
# SPDX-License-Identifier: LGPL-2.1-or-later

EAPI=8

inherit acct-user

DESCRIPTION="Guests of vfio-suite that are commands"

# Of an overlay: whichever is free.
ACCT_USER_ID=-1
# /dev/kvm is this group's. Where there is systemd, it gives the group to a guest that starts; elsewhere nobody does.
ACCT_USER_GROUPS=( vfio-guest kvm )
ACCT_USER_HOME=/var/lib/vfio-guest
# As systemd makes it: each guest has a folder of its own there, and none may put another in a folder's place.
ACCT_USER_HOME_OWNER=root:root

acct-user_add_deps
