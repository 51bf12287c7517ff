// SPDX-License-Identifier: LGPL-2.1-or-later
//! A guest from start to end: the hand-over, the supervision, the give-back.
