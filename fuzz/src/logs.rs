// SPDX-License-Identifier: LGPL-2.1-or-later
//! Lines of logs: of the journal, of a domain and of audit.

use std::sync::OnceLock;
use vfio_suite::plan::logs::cards::LoggedCards;
use vfio_suite::plan::logs::gather::findings;
use vfio_suite::plan::logs::parse::{moment, shown};
use vfio_suite::plan::logs::search::{rule, Log, LogForm, Patterns};

/// A log, whatever is in it.
pub fn check(data: &[u8]) {
    static PATTERNS: OnceLock<Patterns> = OnceLock::new();
    let patterns = PATTERNS.get_or_init(|| Patterns::of_all_rules().unwrap());
    let text = String::from_utf8_lossy(data).into_owned();
    let address = "0000:01:00.0".parse().unwrap();
    let cards = LoggedCards { functions: vec![(address, "big".to_owned())], ports: Vec::new() };
    for form in [LogForm::Journal, LogForm::Domain, LogForm::Audit] {
        let log = Log { form, before: false, guest: None, since: Some(1_700_000_000), text: text.clone() };
        let hits = patterns.hits(&log);
        for hit in &hits {
            // What is found in a log is known where it stands alone, too.
            assert!(patterns.explain(&hit.line).is_some() && rule(hit.rank).is_some());
            assert!(text.contains(&hit.line) && !hit.line.contains('\n'));
        }
        for finding in findings(&hits, &cards, true) {
            let seen = finding.seen().unwrap();
            assert!(seen.count > 0 && seen.first <= seen.last.or(seen.first), "{seen:?}");
            assert!(seen.function.is_none() || seen.function.as_deref() == Some("0000:01:00.0"));
        }
    }
    for line in text.lines() {
        if let Some(time) = line.get(..19).and_then(moment) {
            assert!(shown(time).ends_with(" UTC"));
        }
    }
}
