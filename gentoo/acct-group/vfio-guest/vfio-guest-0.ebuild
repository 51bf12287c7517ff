# Copyright 2026 The vfio-suite developers
# SPDX-License-Identifier: LGPL-2.1-or-later

EAPI=8

inherit acct-group

DESCRIPTION="Group of the guests of vfio-suite that are commands"

# Of an overlay: whichever is free.
ACCT_GROUP_ID=-1
