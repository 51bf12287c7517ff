// SPDX-License-Identifier: LGPL-2.1-or-later
//! What the child that looks at processes is asked and answers: rows of words, for the programs of the boot path have this
//! too and are small.

use super::nodes::{Device, Node};
use super::question::{Question, What};
use super::{Facts, Holder, Seen};
use crate::pci::Address;

/// A word that may be missing.
type Word = Option<String>;

pub(super) fn asked(question: &Question) -> String {
    let mut words = vec![question.root.to_string_lossy().into_owned(), question.ourselves.to_string()];
    match &question.what {
        What::Holders(functions) => words.extend(functions.iter().map(ToString::to_string)),
        What::Still(pid, address, node) => {
            words.extend([pid.to_string(), address.to_string(), node.path.clone()]);
            words.extend(node.device.map(device_word));
        }
    }
    let still = matches!(question.what, What::Still(..));
    // Texts and nothing else: they can be written.
    serde_json::to_string(&(still, words)).unwrap_or_default()
}

pub(super) fn question(text: &str) -> Option<Question> {
    let (still, words): (bool, Vec<String>) = serde_json::from_str(text).ok()?;
    let mut words = words.into_iter();
    let (root, ourselves) = (words.next()?.into(), words.next()?.parse().ok()?);
    let what = if still {
        let (pid, address, path) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?, words.next()?);
        What::Still(
            pid,
            address,
            Node { path, device: words.next().and_then(|word| device(&word)), stacked: Vec::new() },
        )
    } else {
        What::Holders(words.map(|word| word.parse().ok()).collect::<Option<_>>()?)
    };
    Some(Question { root, ourselves, what })
}

pub(super) fn encode(holders: &[(Address, Holder)]) -> String {
    let row = |(address, holder): &(Address, Holder)| -> [Word; 13] {
        let Holder { node, pid, command, user, unit, executable, seen, facts } = holder.clone();
        let seen = match seen {
            Seen::Holds => "holds",
            Seen::Unanswered => "unanswered",
            Seen::Unseen => "unseen",
        };
        [
            Some(address.to_string()),
            Some(node),
            pid.map(|pid| pid.to_string()),
            Some(command),
            user,
            unit,
            executable,
            Some(seen.to_owned()),
            facts.cgroup,
            facts.started,
            facts.parent.map(|parent| parent.to_string()),
            facts.device.map(device_word),
            facts.function.map(|function| function.to_string()),
        ]
    };
    serde_json::to_string(&holders.iter().map(|holder| row(holder).to_vec()).collect::<Vec<_>>()).unwrap_or_default()
}

pub(super) fn decode(text: &str) -> Option<Vec<(Address, Holder)>> {
    let rows: Vec<Vec<Word>> = serde_json::from_str(text).ok()?;
    let holder = |row: Vec<Word>| {
        let [address, node, pid, command, user, unit, executable, seen, cgroup, started, parent, number, function] =
            <[Word; 13]>::try_from(row).ok()?;
        let seen = match seen?.as_str() {
            "holds" => Seen::Holds,
            "unseen" => Seen::Unseen,
            _ => Seen::Unanswered,
        };
        let facts = Facts {
            cgroup,
            started,
            parent: parent.and_then(|parent| parent.parse().ok()),
            device: number.and_then(|number| device(&number)),
            function: function.and_then(|function| function.parse().ok()),
        };
        let pid = match pid {
            Some(pid) => Some(pid.parse().ok()?),
            None => None,
        };
        Some((
            address?.parse().ok()?,
            Holder { node: node?, pid, command: command?, user, unit, executable, seen, facts },
        ))
    };
    rows.into_iter().map(holder).collect()
}

fn device_word(device: Device) -> String {
    format!("{}{}:{}", if device.block { 'b' } else { 'c' }, device.major, device.minor)
}

fn device(word: &str) -> Option<Device> {
    let block = word.starts_with('b');
    Device::parse(word.strip_prefix(['b', 'c'])?, block)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_heard() {
        let address: Address = "0000:03:00.0".parse().unwrap();
        let facts = Facts {
            cgroup: Some("/a\nb".to_owned()),
            started: Some("77".to_owned()),
            parent: Some(1),
            device: Some(Device { block: true, major: 259, minor: 2 }),
            function: Some(address),
        };
        let full = Holder {
            node: "/dev/nvme0n1p2".to_owned(),
            pid: Some(700),
            command: "\"\n\u{1b}\\".to_owned(),
            user: Some("1000".to_owned()),
            unit: Some("a.service".to_owned()),
            executable: Some("/usr/bin/a".to_owned()),
            seen: Seen::Unanswered,
            facts,
        };
        let unchecked = Holder { seen: Seen::Unseen, ..Holder::default() };
        let all =
            [full, unchecked, Holder::mount("/dev/sda1".to_owned(), "/".to_owned())].map(|holder| (address, holder));
        let text = encode(&all);
        assert!(!text.contains('\n'), "a line");
        assert_eq!(decode(&text).unwrap(), all);
        for broken in ["", "[[]]", "[[null]]", "{}"] {
            assert!(decode(broken).is_none(), "{broken}");
        }
    }

    #[test]
    fn what_is_asked_is_understood() {
        let address: Address = "0000:03:00.0".parse().unwrap();
        let device = Some(Device { block: false, major: 226, minor: 0 });
        let node = Node { path: "/dev/dri/card0".to_owned(), device, stacked: Vec::new() };
        for what in [
            What::Holders(vec![address]),
            What::Still(700, address, node.clone()),
            What::Still(700, address, Node { device: None, ..node }),
        ] {
            let asked_ = Question { root: "/a b".into(), ourselves: 9, what };
            let text = asked(&asked_);
            assert_eq!(format!("{:?}", question(&text).unwrap()), format!("{asked_:?}"), "{text}");
        }
        assert!(question("[false,[\"/\"]]").is_none() && question("").is_none());
    }
}
