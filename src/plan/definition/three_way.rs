// SPDX-License-Identifier: LGPL-2.1-or-later
//! Taking back what was changed in a text that somebody else has changed since: element by element, from the text before our
//! change, the text after it, and the text as it is now.

use crate::host::domain::document;
use crate::host::domain::xml::child;
use roxmltree::Node;
use similar::{capture_diff_slices, Algorithm, DiffOp};
use std::borrow::Cow;

/// What comes of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Undone {
    /// The text without our changes and with theirs.
    pub text: String,
    /// Elements that both have changed, as paths (`/domain/devices/video`); in the text they are as they are now.
    pub both: Vec<String>,
}

/// Takes back what became of `before` when it became `after`, in `now`.
///
/// # Errors
/// A sentence: one of them is no domain.
pub fn undo(before: &str, after: &str, now: &str) -> Result<Undone, String> {
    if now == after {
        return Ok(Undone { text: before.to_owned(), both: Vec::new() });
    }
    let (old, ours, theirs) = (document(before)?, document(after)?, document(now)?);
    let mut out = Undone::default();
    // What stands before and after the root is theirs.
    let root = theirs.root_element().range();
    out.text.push_str(&now[..root.start]);
    let three = Three {
        before: Side { text: before, node: old.root_element() },
        after: Side { text: after, node: ours.root_element() },
        now: Side { text: now, node: theirs.root_element() },
    };
    merge(three, "", &mut out);
    out.text.push_str(&now[root.end..]);
    Ok(out)
}

/// An element in one of the texts.
#[derive(Clone, Copy)]
struct Side<'a, 'd> {
    text: &'d str,
    node: Node<'a, 'd>,
}

/// The same element in all three.
#[derive(Clone, Copy)]
struct Three<'a, 'd> {
    before: Side<'a, 'd>,
    after: Side<'a, 'd>,
    now: Side<'a, 'd>,
}

/// A piece of what is in an element: a child element or a comment, with the blanks before it.
#[derive(Clone, Copy)]
struct Unit<'a, 'd> {
    /// The whole piece.
    whole: &'d str,
    /// The element or comment alone, and its text.
    element: Side<'a, 'd>,
    own: &'d str,
}

/// What an element is made of.
struct Parts<'a, 'd> {
    start: Cow<'d, str>,
    units: Vec<Unit<'a, 'd>>,
    end: Cow<'d, str>,
}

impl<'a, 'd> Side<'a, 'd> {
    fn own(&self) -> &'d str {
        &self.text[self.node.range()]
    }

    /// The start tag, the pieces, and what comes behind the last; `None` for an element with a text of its own.
    fn parts(&self) -> Option<Parts<'a, 'd>> {
        let range = self.node.range();
        let own = self.own();
        let Some(first) = self.node.first_child() else {
            let (start, end) = match own.strip_suffix("/>") {
                Some(start) => {
                    let name = own[1..].split(|c: char| c.is_whitespace() || c == '/').next().unwrap_or_default();
                    (format!("{}>", start.trim_end()), format!("</{name}>"))
                }
                None => own.rsplit_once("</").map(|(start, end)| (start.to_owned(), format!("</{end}")))?,
            };
            return Some(Parts { start: start.into(), units: Vec::new(), end: end.into() });
        };
        let mut at = first.range().start;
        let start = self.text[range.start..at].into();
        let mut units = Vec::new();
        for node in self.node.children().filter(|node| !node.is_text()) {
            let inner = node.range();
            let element = Side { text: self.text, node };
            units.push(Unit { whole: &self.text[at..inner.end], element, own: &self.text[inner.clone()] });
            at = inner.end;
        }
        let is_text = |n: Node<'_, '_>| n.is_text() && !n.text().unwrap_or_default().trim().is_empty();
        let has_own = units.is_empty() && self.node.children().any(is_text);
        (!has_own).then(|| Parts { start, units, end: self.text[at..range.end].into() })
    }

    fn name(&self) -> &'a str {
        self.node.tag_name().name()
    }

    /// What makes it this one among others of its name.
    fn identity(&self) -> Option<&'a str> {
        for (part, attribute) in [("alias", "name"), ("target", "dev"), ("mac", "address")] {
            if let Some(value) = child(self.node, part).and_then(|part| part.attribute(attribute)) {
                return Some(value);
            }
        }
        ["name", "vcpu", "id", "index"].iter().find_map(|name| self.node.attribute(*name))
    }

    fn is_like(&self, other: &Side<'_, '_>) -> bool {
        self.node.is_element() && self.name() == other.name() && self.identity() == other.identity()
    }
}

/// What one side did with the pieces of `after`.
struct Fate<'a, 'd> {
    /// For each piece: kept, gone, or another in its place.
    of: Vec<Outcome<'a, 'd>>,
    /// Pieces that were put before each, and behind the last.
    new: Vec<Vec<Unit<'a, 'd>>>,
}

#[derive(Clone, Copy)]
enum Outcome<'a, 'd> {
    Kept,
    Gone,
    Changed(Unit<'a, 'd>),
}

fn fate<'a, 'd>(after: &[Unit<'a, 'd>], other: &[Unit<'a, 'd>]) -> Fate<'a, 'd> {
    let owns = |units: &[Unit<'_, 'd>]| units.iter().map(|unit| unit.own).collect::<Vec<&str>>();
    let mut fate = Fate { of: vec![Outcome::Kept; after.len()], new: vec![Vec::new(); after.len() + 1] };
    for op in capture_diff_slices(Algorithm::Myers, &owns(after), &owns(other)) {
        let (_, old, new) = op.as_tag_tuple();
        if matches!(op, DiffOp::Equal { .. }) {
            continue;
        }
        let mut left: Vec<&Unit<'a, 'd>> = other[new].iter().collect();
        for at in old.clone() {
            let like = left.iter().position(|unit| unit.element.is_like(&after[at].element));
            fate.of[at] = Outcome::Gone;
            if let Some(like) = like {
                // What stands before it comes before it.
                fate.new[at].extend(left.drain(..like).copied());
                fate.of[at] = Outcome::Changed(*left.remove(0));
            }
        }
        fate.new[old.end].extend(left.into_iter().copied());
    }
    fate
}

/// Puts the element without our changes and with theirs behind the text.
fn merge(three: Three<'_, '_>, above: &str, out: &mut Undone) {
    let Three { before, after, now } = three;
    let (old, ours, theirs) = (before.own(), after.own(), now.own());
    if theirs == ours || theirs == old {
        return out.text.push_str(old);
    }
    if old == ours {
        return out.text.push_str(theirs);
    }
    let path = format!("{above}/{}", now.name());
    let (Some(before), Some(after), Some(now)) = (before.parts(), after.parts(), now.parts()) else {
        out.both.push(path);
        return out.text.push_str(theirs);
    };
    // The start tags have attributes; nobody divides these.
    out.text.push_str(match (after.start == now.start, before.start == after.start || before.start == now.start) {
        (true, _) => &before.start,
        (false, true) => &now.start,
        (false, false) => {
            out.both.push(path.clone());
            &now.start
        }
    });
    let (back, since) = (fate(&after.units, &before.units), fate(&after.units, &now.units));
    for at in 0..=after.units.len() {
        for unit in &back.new[at] {
            // They may have put the same there.
            if !since.new[at].iter().any(|other| other.own == unit.own) {
                out.text.push_str(unit.whole);
            }
        }
        since.new[at].iter().for_each(|unit| out.text.push_str(unit.whole));
        let Some(unit) = after.units.get(at) else { break };
        match (back.of[at], since.of[at]) {
            (Outcome::Kept, Outcome::Kept) => out.text.push_str(unit.whole),
            (Outcome::Gone, Outcome::Kept | Outcome::Gone) | (Outcome::Kept, Outcome::Gone) => {}
            (Outcome::Changed(one), Outcome::Kept) | (Outcome::Kept, Outcome::Changed(one)) => {
                out.text.push_str(one.whole);
            }
            (Outcome::Changed(old), Outcome::Changed(new)) => {
                out.text.push_str(&new.whole[..new.whole.len() - new.own.len()]);
                let three = Three { before: old.element, after: unit.element, now: new.element };
                merge(three, &path, out);
            }
            // One took it out and the other changed it.
            (Outcome::Gone, Outcome::Changed(new)) => {
                out.both.push(format!("{path}/{}", unit.element.name()));
                out.text.push_str(new.whole);
            }
            (Outcome::Changed(_), Outcome::Gone) => out.both.push(format!("{path}/{}", unit.element.name())),
        }
    }
    out.text.push_str(&now.end);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const BEFORE: &str = "<domain>\n  <name>a</name>\n  <vcpu>4</vcpu>\n  <devices>\n    <video/>\n    <disk>\n      \
                          <target dev='vda'/>\n    </disk>\n  </devices>\n</domain>\n";
    const AFTER: &str = "<domain>\n  <name>a</name>\n  <vcpu>8</vcpu>\n  <devices>\n    <disk>\n      <target dev='vda'/>\n    \
                         </disk>\n    <hostdev>\n      <alias name='ua-vfio-big-0'/>\n    </hostdev>\n  </devices>\n</domain>\n";

    fn undone(now: &str) -> Undone {
        undo(BEFORE, AFTER, now).unwrap()
    }

    #[test]
    fn what_nobody_touched_is_as_it_was() {
        assert_eq!(undone(AFTER), Undone { text: BEFORE.to_owned(), both: Vec::new() });
        assert_eq!(undone(BEFORE).text, BEFORE);
    }

    #[test]
    fn what_others_changed_stays() {
        let new = "    <sound/>\n  </devices>";
        let now = AFTER.replace("  </devices>", new).replace("dev='vda'", "dev='sda'").replace("<name>a", "<name>b");
        let expected =
            BEFORE.replace("  </devices>", new).replace("dev='vda'", "dev='sda'").replace("<name>a", "<name>b");
        assert_eq!(undone(&now), Undone { text: expected, both: Vec::new() });
    }

    #[test]
    fn what_both_changed_is_named_and_stays_as_it_is() {
        let found = undone(&AFTER.replace("<vcpu>8", "<vcpu>6"));
        assert_eq!(found.both, ["/domain/vcpu"]);
        assert!(found.text.contains("<vcpu>6</vcpu>") && !found.text.contains("hostdev"), "{}", found.text);
        let found = undone(&AFTER.replace("<alias", "<rom file='/a'/><alias"));
        assert_eq!(found.both, ["/domain/devices/hostdev"]);
    }
}
