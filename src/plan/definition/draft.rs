// SPDX-License-Identifier: LGPL-2.1-or-later
//! Changes to a domain's text, element by element: what an element is becomes splices at the places where the parser found it.

use super::element::{attribute, escape, Element, Style};
use super::splice::Splice;
use roxmltree::{Node, NodeId};
use std::ops::Range;

/// Changes that are being collected.
#[derive(Debug)]
pub struct Draft<'a> {
    text: &'a str,
    newline: &'static str,
    splices: Vec<Splice>,
    /// Elements that go into one that has none yet, which is opened once for all of them.
    filled: Vec<(NodeId, Range<usize>, String, Vec<Element>)>,
}

/// The order in which libvirt writes the children of `<domain>` (`virDomainDefFormatInternalSetRootName`,
/// src/conf/domain_conf.c).
const DOMAIN: &[&str] = &[
    "name",
    "uuid",
    "genid",
    "title",
    "description",
    "metadata",
    "maxMemory",
    "memory",
    "currentMemory",
    "blkiotune",
    "memtune",
    "memoryBacking",
    "vcpu",
    "vcpus",
    "iothreads",
    "iothreadids",
    "defaultiothread",
    "cputune",
    "numatune",
    "resource",
    "sysinfo",
    "os",
    "idmap",
    "features",
    "cpu",
    "clock",
    "on_poweroff",
    "on_reboot",
    "on_crash",
    "on_lockfailure",
    "pm",
    "perf",
    "iommufd",
    "devices",
    "seclabel",
    "keywrap",
    "launchSecurity",
];

/// The same of `<devices>`.
const DEVICES: &[&str] = &[
    "emulator",
    "disk",
    "controller",
    "lease",
    "filesystem",
    "interface",
    "smartcard",
    "serial",
    "parallel",
    "console",
    "channel",
    "input",
    "tpm",
    "graphics",
    "sound",
    "audio",
    "video",
    "hostdev",
    "redirdev",
    "redirfilter",
    "hub",
    "watchdog",
    "memballoon",
    "nvram",
    "rng",
    "panic",
    "shmem",
    "memory",
    "crypto",
    "iommu",
    "vsock",
];

/// The same of those parts of a domain to which something is added in between.
const PARTS: &[(&str, &[&str])] = &[
    ("domain", DOMAIN),
    ("devices", DEVICES),
    ("hostdev", &["driver", "source", "iommufd", "teaming", "boot", "alias", "rom", "acpi", "address"]),
    (
        "os",
        &[
            "type", "firmware", "loader", "nvram", "varstore", "kernel", "initrd", "cmdline", "dtb", "acpi", "boot",
            "bootmenu", "smbios",
        ],
    ),
    ("memoryBacking", &["hugepages", "nosharepages", "locked", "source", "access", "allocation", "discard"]),
    ("cpu", &["model", "vendor", "topology", "cache", "maxphysaddr", "feature", "numa"]),
    ("cputune", &["shares", "period", "quota", "vcpupin", "emulatorpin", "iothreadpin"]),
    (
        "hyperv",
        &[
            "relaxed",
            "vapic",
            "spinlocks",
            "vpindex",
            "runtime",
            "synic",
            "stimer",
            "reset",
            "vendor_id",
            "frequencies",
        ],
    ),
];

impl<'a> Draft<'a> {
    /// No changes yet.
    pub fn new(text: &'a str) -> Draft<'a> {
        let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
        Draft { text, newline, splices: Vec::new(), filled: Vec::new() }
    }

    /// The splices, in no order; none if there is nothing to change.
    pub fn finish(mut self) -> Vec<Splice> {
        for (_, range, indent, elements) in std::mem::take(&mut self.filled) {
            let style = self.style(range.start, true);
            let name_end = self.text[range.start + 1..range.end].find(|c: char| c.is_whitespace() || "/>".contains(c));
            let name = &self.text[range.start + 1..range.start + 1 + name_end.unwrap_or(0)];
            let tag = self.start_tag(range.start);
            let open = self.text[tag.clone()].trim_end_matches('>').trim_end_matches('/').trim_end();
            let mut text = String::from(">");
            for element in elements {
                text.push_str(style.newline);
                text.push_str(&indent);
                text.push_str(style.step);
                element.write(&mut text, &format!("{indent}{}", style.step), style);
            }
            text.push_str(style.newline);
            text.push_str(&indent);
            text.push_str(&format!("</{name}>"));
            self.splices.push(Splice { range: tag.start + open.len()..range.end, text });
        }
        self.splices
    }

    /// The start tag of the element that begins there: it ends at the first '>' outside of quotes.
    fn start_tag(&self, start: usize) -> Range<usize> {
        let mut quote = None;
        let end = self.text[start..].bytes().position(|b| match (quote, b) {
            (None, b'>') => true,
            (None, b'"' | b'\'') => {
                quote = Some(b);
                false
            }
            (Some(open), close) => {
                if open == close {
                    quote = None;
                }
                false
            }
            _ => false,
        });
        start..start + end.map_or(0, |end| end + 1)
    }

    /// The blanks between the beginning of a line and what stands there, if nothing else does.
    fn indent(&self, at: usize) -> Option<&'a str> {
        let line = self.text[..at].rfind('\n')? + 1;
        let before = &self.text[line..at];
        before.bytes().all(|b| b == b' ' || b == b'\t').then_some(before)
    }

    /// How the element that begins there is written.
    fn style(&self, start: usize, lines: bool) -> Style {
        let tag = &self.text[self.start_tag(start)];
        let quote = tag.chars().find(|c| matches!(c, '\'' | '"'));
        // The document's own, by its first value.
        let quote = quote.or_else(|| self.text.chars().find(|c| matches!(c, '\'' | '"'))).unwrap_or('\'');
        let lines = lines && self.indent(start).is_some();
        Style { quote, newline: if lines { self.newline } else { "" }, step: if lines { "  " } else { "" } }
    }

    /// Takes an element out, with its line if it has lines of its own.
    pub fn remove(&mut self, node: Node<'_, '_>) {
        let Range { start, end } = node.range();
        let after = self.text[end..].trim_start_matches([' ', '\t']);
        let alone = after.starts_with(['\n', '\r']) || after.starts_with("</");
        let start = match self.indent(start) {
            Some(indent) if alone => {
                let line = start - indent.len();
                // The line break before it goes with it.
                let line = self.text[..line].strip_suffix('\n').map_or(line, str::len);
                self.text[..line].strip_suffix('\r').map_or(line, str::len)
            }
            _ => start,
        };
        self.splices.push(Splice { range: start..end, text: String::new() });
    }

    /// Puts another element in the place of one.
    pub fn replace(&mut self, node: Node<'_, '_>, element: &Element) {
        let range = node.range();
        let style = self.style(range.start, true);
        let indent = self.indent(range.start).unwrap_or_default();
        let mut text = String::new();
        element.write(&mut text, indent, style);
        if self.text.get(range.clone()) != Some(text.as_str()) {
            self.splices.push(Splice { range, text });
        }
    }

    /// Puts an element into another, where libvirt would write it.
    pub fn insert(&mut self, parent: Node<'_, '_>, element: Element) {
        let order =
            PARTS.iter().find(|(name, _)| *name == parent.tag_name().name()).map_or(&[][..], |(_, order)| *order);
        let rank = |name: &str| order.iter().position(|known| *known == name);
        let own = rank(element.name());
        let siblings = || parent.children().filter(Node::is_element);
        let last = match own {
            Some(own) => {
                let before = |n: &Node<'_, '_>| {
                    n.tag_name().namespace().is_none() && rank(n.tag_name().name()).is_some_and(|rank| rank <= own)
                };
                siblings().rev().find(before)
            }
            None => siblings().next_back(),
        };
        if siblings().next().is_none() {
            return self.fill(parent, element);
        }
        let first = siblings().next();
        let (at, like) = match (last, first) {
            (Some(last), _) => (last.range().end, last),
            (None, Some(first)) => (self.start_tag(parent.range().start).end, first),
            (None, None) => return,
        };
        let style = self.style(like.range().start, true);
        let indent = self.indent(like.range().start).unwrap_or_default();
        let mut text = String::from(style.newline);
        text.push_str(if style.newline.is_empty() { "" } else { indent });
        element.write(&mut text, indent, style);
        self.splices.push(Splice { range: at..at, text });
    }

    /// Puts an element before another.
    pub fn insert_before(&mut self, node: Node<'_, '_>, element: &Element) {
        let at = node.range().start;
        let style = self.style(at, true);
        let indent = self.indent(at).unwrap_or_default();
        let mut text = String::new();
        element.write(&mut text, indent, style);
        text.push_str(style.newline);
        text.push_str(if style.newline.is_empty() { "" } else { indent });
        self.splices.push(Splice { range: at..at, text });
    }

    /// Puts an element into one that has no other.
    fn fill(&mut self, parent: Node<'_, '_>, element: Element) {
        let range = parent.range();
        if let Some((_, _, _, elements)) = self.filled.iter_mut().find(|(id, ..)| *id == parent.id()) {
            return elements.push(element);
        }
        let tag = self.start_tag(range.start);
        let is_closed = self.text[tag.clone()].ends_with("/>");
        let only_blanks = || parent.children().all(|n| n.is_text() && n.text().unwrap_or_default().trim().is_empty());
        let indent = self.indent(range.start).unwrap_or_default();
        if is_closed || only_blanks() {
            self.filled.push((parent.id(), range, indent.to_owned(), vec![element]));
            return;
        }
        // Comments and the like stay where they are.
        let style = self.style(range.start, true);
        let mut text = String::from(style.newline);
        let inner = format!("{indent}{}", style.step);
        text.push_str(if style.newline.is_empty() { "" } else { &inner });
        element.write(&mut text, &inner, style);
        self.splices.push(Splice { range: tag.end..tag.end, text });
    }

    /// Gives an attribute a value; adds it where it is missing.
    pub fn set(&mut self, node: Node<'_, '_>, name: &str, value: &str) {
        let there = node.attributes().find(|a| a.name() == name && a.namespace().is_none());
        let Some(there) = there else {
            let tag = self.start_tag(node.range().start);
            let quote = self.style(node.range().start, false).quote;
            let open = self.text[tag.clone()].trim_end_matches('>').trim_end_matches('/').trim_end();
            let at = tag.start + open.len();
            return self.splices.push(Splice { range: at..at, text: format!(" {}", attribute(name, value, quote)) });
        };
        if there.value() == value {
            return;
        }
        let range = there.range();
        let quote = if self.text[range.clone()].ends_with('"') { '"' } else { '\'' };
        self.splices.push(Splice { range, text: attribute(name, value, quote) });
    }

    /// Takes an attribute out, with the blanks before it.
    pub fn unset(&mut self, node: Node<'_, '_>, name: &str) {
        let Some(there) = node.attributes().find(|a| a.name() == name && a.namespace().is_none()) else { return };
        let Range { start, end } = there.range();
        let start = self.text[..start].trim_end().len();
        self.splices.push(Splice { range: start..end, text: String::new() });
    }

    /// Gives an element another text, for all that is in it.
    pub fn set_text(&mut self, node: Node<'_, '_>, new: &str) {
        if node.text().unwrap_or_default().trim() == new {
            return;
        }
        let range = node.range();
        let tag = self.start_tag(range.start);
        if self.text[tag.clone()].ends_with("/>") {
            let element =
                node.attributes().fold(Element::new(node.tag_name().name()), |e, a| e.with(a.name(), a.value()));
            return self.replace(node, &element.text(new));
        }
        // What closes it begins with the last '<' in it.
        let close = self.text[range.clone()].rfind("</").map_or(range.end, |at| range.start + at);
        self.splices.push(Splice { range: tag.end..close, text: escape(new, None).into_owned() });
    }
}
