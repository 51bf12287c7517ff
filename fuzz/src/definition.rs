// SPDX-License-Identifier: LGPL-2.1-or-later
//! The XML of a libvirt domain, as `vfio guest edit` changes it.

use crate::common::definition::{card, facts, guests};
use vfio_suite::host::domain;
use vfio_suite::plan::definition::request::Request;
use vfio_suite::plan::definition::{plan, three_way};

/// Which of the sections, in a byte; then the domain. What becomes of a domain is one, and goes back.
pub fn check(data: &[u8]) {
    let Some((which, rest)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let guests = &guests().guests;
    let (facts, cards) = (facts(), [card()]);
    let guest = &guests[usize::from(*which) % guests.len()];
    let request = Request { guest, cards: &cards, facts: &facts, reset_variables: true, installation: None };
    let Ok(found) = plan(text, &request) else { return };
    let after = found.apply(text);
    if domain::parse(text).is_ok() {
        assert!(domain::parse(&after).is_ok(), "{after}");
        assert_eq!(three_way::undo(text, &after, &after).unwrap().text, text);
    }
}
