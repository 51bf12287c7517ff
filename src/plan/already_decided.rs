// SPDX-License-Identifier: LGPL-2.1-or-later
//! Whether a card's unit has anything to do: it is started by the boot, but also by every replayed event.

use crate::host::run::card_status::Outcome;

/// What has happened to a card in this boot so far.
#[derive(Debug, Clone, Copy)]
pub struct CardHistory<'a> {
    /// The `[gpu]` section's name.
    pub gpu: &'a str,
    /// A person gave it back to the host.
    pub given_back: bool,
    /// How the last act on it ended.
    pub last: Option<Outcome>,
    /// The early part of the boot is over.
    pub boot_is_over: bool,
    /// The early part of the boot knew that it is to be bound.
    pub decided_at_boot: bool,
}

/// Why nothing is to be done although the unit was started: a person has decided otherwise, it failed before, or the boot
/// is over and had not heard of this card.
pub fn settled(so_far: &CardHistory<'_>) -> Option<String> {
    let CardHistory { gpu, given_back, last, boot_is_over, decided_at_boot } = *so_far;
    if given_back {
        return Some(format!("was given back by 'vfio restore': 'vfio bind {gpu}' takes it again"));
    }
    if matches!(last, Some(Outcome::Failed | Outcome::Stuck)) {
        return Some(format!("failed in this boot already: 'vfio bind {gpu}' tries again"));
    }
    let late = boot_is_over && !decided_at_boot;
    late.then(|| format!("was configured after this boot: reboot, or 'vfio bind {gpu}'"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A card that the boot is about to bind.
    const BOOT: CardHistory<'static> = CardHistory {
        gpu: "big",
        given_back: false,
        last: Some(Outcome::Reserved),
        boot_is_over: false,
        decided_at_boot: true,
    };

    #[test]
    fn what_the_boot_has_decided_is_done_early_and_late() {
        for boot_is_over in [false, true] {
            for last in
                [None, Some(Outcome::Reserved), Some(Outcome::Bound), Some(Outcome::Refused), Some(Outcome::Restored)]
            {
                assert_eq!(settled(&CardHistory { last, boot_is_over, ..BOOT }), None, "{last:?}");
            }
        }
        assert_eq!(settled(&CardHistory { decided_at_boot: false, ..BOOT }), None, "no initramfs of ours has run");
    }

    #[test]
    fn what_a_person_gave_back_stays_with_the_host() {
        for last in [None, Some(Outcome::Restored), Some(Outcome::Failed)] {
            let why = settled(&CardHistory { given_back: true, last, ..BOOT }).unwrap();
            assert!(why.contains("given back") && why.contains("'vfio bind big'"), "{why}");
        }
    }

    #[test]
    fn what_failed_is_not_tried_again_by_itself() {
        for last in [Outcome::Failed, Outcome::Stuck] {
            let why = settled(&CardHistory { last: Some(last), ..BOOT }).unwrap();
            assert!(why.contains("failed in this boot already"), "{why}");
        }
    }

    #[test]
    fn what_was_configured_after_the_boot_waits_for_the_next() {
        let late = CardHistory { boot_is_over: true, decided_at_boot: false, last: None, ..BOOT };
        let why = settled(&late).unwrap();
        assert!(why.contains("configured after this boot"), "{why}");
    }
}
