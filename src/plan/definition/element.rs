// SPDX-License-Identifier: LGPL-2.1-or-later
//! An element that is put into a domain, and how it is written.

use std::borrow::Cow;

/// An element that is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    children: Vec<Element>,
    text: String,
}

/// How the document around it is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    /// Around values of attributes.
    pub quote: char,
    /// Between two lines; empty where the elements stand on one line.
    pub newline: &'static str,
    /// What a level is set in by.
    pub step: &'static str,
}

impl Element {
    /// An empty element.
    pub fn new(name: &str) -> Element {
        Element { name: name.to_owned(), attributes: Vec::new(), children: Vec::new(), text: String::new() }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// With an attribute.
    pub fn with(mut self, name: &str, value: impl ToString) -> Element {
        self.attributes.push((name.to_owned(), value.to_string()));
        self
    }

    /// With a text in it.
    pub fn text(self, text: impl ToString) -> Element {
        Element { text: text.to_string(), ..self }
    }

    /// With an element in it.
    pub fn child(mut self, child: Element) -> Element {
        self.children.push(child);
        self
    }

    /// With elements in it.
    pub fn children(mut self, children: impl IntoIterator<Item = Element>) -> Element {
        self.children.extend(children);
        self
    }

    /// Writes it; its own first line is set in by whoever puts it somewhere.
    pub(super) fn write(&self, out: &mut String, indent: &str, style: Style) {
        out.push('<');
        out.push_str(&self.name);
        for (name, value) in &self.attributes {
            out.push(' ');
            out.push_str(&attribute(name, value, style.quote));
        }
        if self.children.is_empty() && self.text.is_empty() {
            out.push_str("/>");
            return;
        }
        out.push('>');
        out.push_str(&escape(&self.text, None));
        let inner = format!("{indent}{}", style.step);
        for child in &self.children {
            if !style.newline.is_empty() {
                out.push_str(style.newline);
                out.push_str(&inner);
            }
            child.write(out, &inner, style);
        }
        if !self.children.is_empty() && !style.newline.is_empty() {
            out.push_str(style.newline);
            out.push_str(indent);
        }
        out.push_str("</");
        out.push_str(&self.name);
        out.push('>');
    }
}

/// An attribute as it is written.
pub(super) fn attribute(name: &str, value: &str, quote: char) -> String {
    format!("{name}={quote}{}{quote}", escape(value, Some(quote)))
}

/// A text with what XML has a meaning for written as a reference.
pub(super) fn escape(text: &str, quote: Option<char>) -> Cow<'_, str> {
    let special = |c: char| matches!(c, '&' | '<' | '>' | '\t' | '\n' | '\r') || Some(c) == quote;
    if !text.contains(special) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\'' if quote == Some(c) => out.push_str("&apos;"),
            '"' if quote == Some(c) => out.push_str("&quot;"),
            // A parser makes blanks of them in a value.
            '\t' | '\n' | '\r' => out.push_str(&format!("&#{};", u32::from(c))),
            c => out.push(c),
        }
    }
    out.into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LINES: Style = Style { quote: '\'', newline: "\n", step: "  " };

    #[test]
    fn elements_are_set_in_as_libvirt_does() {
        let element =
            Element::new("a").with("b", "it's").child(Element::new("c").text("1 < 2")).child(Element::new("d"));
        let mut out = String::new();
        element.write(&mut out, "  ", LINES);
        assert_eq!(out, "<a b='it&apos;s'>\n    <c>1 &lt; 2</c>\n    <d/>\n  </a>");
        out.clear();
        element.write(&mut out, "", Style { quote: '"', newline: "", step: "" });
        assert_eq!(out, "<a b=\"it's\"><c>1 &lt; 2</c><d/></a>");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_written_is_what_is_read(value in "[ -~\t\n\ra-zß€]{0,40}", quote in "['\"]") {
            let quote = quote.chars().next().unwrap();
            let text = format!("<a {}/>", attribute("b", &value, quote));
            let read = roxmltree::Document::parse(&text).unwrap();
            prop_assert_eq!(read.root_element().attribute("b"), Some(value.as_str()));
        }
    }
}
