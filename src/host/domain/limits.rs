// SPDX-License-Identifier: LGPL-2.1-or-later
//! What is refused before the parser sees it: more of anything than a domain has.

/// No domain is larger, in bytes: libvirt's own protocol carries no longer texts (`REMOTE_STRING_MAX`).
pub const LARGEST: usize = 4 << 20;

/// No domain has more elements, texts and comments; it keeps memory bounded, whatever the text is.
pub(super) const MOST_NODES: u32 = 200_000;

/// The most attributes of an element. The parser compares each with all before it in the element.
const MOST_ATTRIBUTES: usize = 100;

/// The most namespaces that are declared. The parser looks for each prefix among them.
const MOST_NAMESPACES: usize = 256;

/// The most CDATA sections; libvirt makes none. The parser copies the text before one to put them together.
const MOST_CDATA: usize = 100;

/// The most functions of the host, and the most files, that a domain may have. They are compared with each other and looked
/// at one by one.
pub(super) const MOST_DEVICES: usize = 256;

/// The most parts of a domain that are bound to CPUs or nodes; each names up to 8,192 of them.
pub(super) const MOST_BOUND: usize = 1024;

/// How deep elements may lie in each other; libvirt's own need not twenty. The parser calls itself for each level.
pub(super) const DEEPEST: usize = 256;

/// What a text has more of than any domain, of those things for which the parser takes more than twice the time for twice as
/// many. It is counted in one pass, as far as the text is well-formed: where it is not, the parser stops.
pub(super) fn too_much(xml: &str) -> Option<String> {
    if xml.len() > LARGEST {
        return Some(format!("it is larger than {} MiB", LARGEST >> 20));
    }
    if xml.matches("xmlns").count() > MOST_NAMESPACES {
        return Some(format!("it declares more than {MOST_NAMESPACES} namespaces"));
    }
    let (mut rest, mut depth, mut sections) = (xml, 0usize, 0usize);
    while let Some(at) = rest.find('<') {
        rest = &rest[at..];
        let skipped = [("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>")].iter().find_map(|(open, close)| {
            let inside = rest.strip_prefix(open)?;
            sections += usize::from(open.ends_with('['));
            Some(inside.find(close).map_or("", |end| &inside[end + close.len()..]))
        });
        if sections > MOST_CDATA {
            return Some(format!("it has more than {MOST_CDATA} CDATA sections"));
        }
        if let Some(skipped) = skipped {
            rest = skipped;
            continue;
        }
        if rest.starts_with("</") {
            depth = depth.saturating_sub(1);
            rest = &rest[2..];
            continue;
        }
        // A start tag ends at the first '>' outside of quotes.
        let (mut quote, mut attributes) = (None, 0);
        let end = rest.bytes().position(|b| match (quote, b) {
            (None, b'>') => true,
            (None, b'"' | b'\'') => {
                quote = Some(b);
                false
            }
            (None, b'=') => {
                attributes += 1;
                attributes > MOST_ATTRIBUTES
            }
            (Some(open), close) if open == close => {
                quote = None;
                false
            }
            _ => false,
        });
        if attributes > MOST_ATTRIBUTES {
            return Some(format!("an element has more than {MOST_ATTRIBUTES} attributes"));
        }
        let end = end?;
        depth += usize::from(!rest[..end].ends_with('/'));
        if depth > DEEPEST {
            return Some(format!("its elements lie more than {DEEPEST} deep in each other"));
        }
        rest = &rest[end + 1..];
    }
    None
}
