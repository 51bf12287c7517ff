// SPDX-License-Identifier: LGPL-2.1-or-later
//! Our own state, as it is read: what our programs left in `/run/vfio` and `/var/lib/vfio`. Each file, and who writes it:
//!
//! | path | what | written by |
//! |---|---|---|
//! | `/run/vfio/active` | the names of the cards that this boot binds; the udev rule works only if this file exists | `vfio-bind early` |
//! | `/run/vfio/boot-display` | the display on which the early part of the boot saw the firmware's framebuffer, if a section asks for the boot display | `vfio-bind early` |
//! | `/run/vfio/off` | why nothing is bound in this boot (failed boots, or they cannot be counted): the udev helper prints nothing then | `vfio-bind gpu` |
//! | `/run/vfio/journal/NAME` | what was changed for the card NAME, one JSON record a line, written before the change | `act::journal` |
//! | `/run/vfio/status/NAME` | the outcome of the last act on the card NAME, JSON | `act::state` |
//! | `/run/vfio/guests/NAME/journal` | what was done for the guest NAME, as the cards' journals; removed when everything is given back | `act::guest` |
//! | `/run/vfio/guests/NAME/program` | the process of a guest that is a command: pid and start time | `act::guest::program` |
//! | `/run/vfio/guests/NAME/GPU.sizes` | as a card's journal: what was done to the BARs of a card that stays bound to vfio | `act::guest` |
//! | `/run/vfio/claims/GPU` | the name of the guest that has the card GPU | `act::guest` |
//! | `/run/vfio/guest-status/NAME` | how the guest's last start or end went, and why, JSON | `act::state` |
//! | `/run/vfio/guest-progress/NAME` | what the guest's program has done since the last start, one JSON object a line | `act::guest::progress` |
//! | `/run/vfio/issue` | why guests' last starts failed, for the console's login; only there if one did | `act::state` |
//! | `/run/vfio/guest-locks/NAME` | locked by the program that is at work for the guest; the file stays, empty | `act::guest` |
//! | `/run/vfio/dead/NAME` | why the card NAME is left alone until the next boot: it did not answer | `act::state` |
//! | `/run/vfio/bars/ADDRESS` | the function's BARs before any was resized in this boot: modalias, then number and bytes | `act::card::resize` |
//! | `/run/vfio/given-back/NAME` | the card was given back with `vfio restore`: replayed events leave it with the host | `vfio restore` |
//! | `/run/vfio/booted` | the early part of the boot is over: what is configured from now on waits for the next boot | tmpfiles.d |
//! | `/run/vfio/sync` | how boot entries and initramfs were last brought up to date, JSON | `act::boot::sync` |
//! | `/run/vfio/sync-lock` | locked by the program that brings them up to date | `act::boot::sync` |
//! | `/run/vfio/taken-out` | kernel parameters that were vfio's and were taken out of all boot files since this boot, JSON | `act::boot::taken_out` |
//! | `/run/vfio/lock` | one program of ours at a time, for cards and claims | `act::lock` |
//! | `/run/vfio/setup-lock` | locked by the program that sets up | `act::setup` |
//! | `/var/lib/vfio/cmdline` | which kernel parameters vfio added to which boot file, JSON (docs/BOOT-FILES.md) | `act::boot::cmdline` |
//! | `/var/lib/vfio/synced` | the kernel parameters and cards with which boot entries and images were last up to date, JSON | `act::boot::sync` |
//! | `/var/lib/vfio/initramfs` | exists if an image with anything of ours was built here; with initramfs-tools, for which kernels | the initramfs hooks; `act::boot::sync` removes it |
//! | `/var/lib/vfio/setup` | what `vfio setup` did, as the cards' journals: one JSON record a line, written before the act; removed when all is undone | `act::setup` |
//! | `/var/lib/vfio/boots` | the failed-boot counter | `vfio-bind gpu`, `vfio-bind boot-ok` |

pub mod boot_counter;
pub mod card_status;
pub mod claims;
pub mod guest_progress;
pub mod guest_status;
pub mod marks;
pub mod notice;
pub mod sync_report;
pub mod taken_out;
