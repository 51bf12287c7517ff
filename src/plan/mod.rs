// SPDX-License-Identifier: LGPL-2.1-or-later
//! What should happen: pure functions from configuration and machine to a `Plan`. No file, no clock, no process.
