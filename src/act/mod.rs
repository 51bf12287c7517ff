// SPDX-License-Identifier: LGPL-2.1-or-later
//! Making it so, and undoing it: the only code that changes the system.
