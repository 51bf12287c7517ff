// SPDX-License-Identifier: LGPL-2.1-or-later
//! What our programs wrote down, and what a crash or somebody else made of it.

use crate::tree::Spot;
use vfio_suite::host::holders::Holder;
use vfio_suite::host::run::boot_counter::BootCounter;
use vfio_suite::host::run::card_status::{self, Status};
use vfio_suite::host::run::sync_report;
use vfio_suite::journal::{self, Record};
use vfio_suite::plan::cmdline::record;

/// A journal, a status, a counter or a record, by the first byte. What was read can be written, and is the same again.
pub fn check(data: &[u8]) {
    thread_local! {
        static JOURNAL: Spot = Spot::new("run/vfio/journal/card");
        static STATUS: Spot = Spot::new("run/vfio/status/card");
        static BOOTS: Spot = Spot::new("var/lib/vfio/boots");
        static SYNC: Spot = Spot::new("run/vfio/sync");
    }
    let Some((first, rest)) = data.split_first() else { return };
    match (first.wrapping_sub(b'A')) % 6 {
        0 => JOURNAL.with(|spot| {
            spot.put(rest);
            if let Ok(records) = journal::read(spot.root(), "card") {
                let text: String = records.iter().map(|r| format!("{}\n", serde_json::to_string(r).unwrap())).collect();
                spot.put(text.as_bytes());
                let again: Vec<Record> = journal::read(spot.root(), "card").unwrap();
                assert_eq!(format!("{again:?}"), format!("{records:?}"));
            }
            let _ = journal::reset_before(spot.root(), "card");
        }),
        1 => STATUS.with(|spot| {
            spot.put(rest);
            card_status::read_all(spot.root());
            let _ = serde_json::from_slice::<Status>(rest);
        }),
        2 => BOOTS.with(|spot| {
            spot.put(rest);
            let _ = BootCounter::read(spot.root());
        }),
        3 => SYNC.with(|spot| {
            spot.put(rest);
            sync_report::read(spot.root());
        }),
        4 => {
            if let Ok(record) = serde_json::from_slice::<record::Record>(rest) {
                let text = serde_json::to_vec(&record).unwrap();
                assert_eq!(serde_json::from_slice::<record::Record>(&text).unwrap(), record);
            }
        }
        _ => {
            if let Ok(holder) = serde_json::from_slice::<Holder>(rest) {
                let _ = (holder.who(), holder.may_end(), holder.outlives_sessions());
            }
        }
    }
}
