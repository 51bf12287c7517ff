// SPDX-License-Identifier: LGPL-2.1-or-later
//! What the machine is: read from sysfs, procfs and our own run state. Never writes, never decides.
