// SPDX-License-Identifier: LGPL-2.1-or-later
//! The boot entry without us for rEFInd: one more line of a `refind_linux.conf`, or a submenu of the first stanza of this system.
//! Both are in the submenu of an entry, so that no entry of the menu itself gets another number.

use super::{parameters, Line};
use crate::host::boot::rescue_entry::TITLE;
use crate::host::boot::Format;
use crate::plan::cmdline::format::{self, Problem};
use crate::plan::cmdline::line::Change;

fn in_quotes(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

fn options(format: Format, text: &str, line: &Line, ours: &[String]) -> Result<String, Problem> {
    let raw = &text[line.span.clone()];
    let quoted = if raw.starts_with('"') { raw.to_owned() } else { in_quotes(raw) };
    format::edit(format, &quoted, &Change { remove: ours, add: &parameters(&line.parameters) })
}

/// The line of ours in a `refind_linux.conf`.
pub(super) fn line(text: &str, line: &Line, ours: &[String]) -> Result<Vec<String>, Problem> {
    let options = options(Format::RefindLinux, text, line, ours)?;
    Ok(vec![format!("{} {options}", in_quotes(&format!("{}{TITLE}", line.key)))])
}

/// The lines of ours in a stanza of a `refind.conf`, and where they go: before its end. None if the options are those of a submenu.
pub(super) fn lines(text: &str, line: &Line, ours: &[String]) -> Result<Option<(usize, Vec<String>)>, Problem> {
    let Some(end) = end_of_stanza(text, line.span.start) else { return Ok(None) };
    let options = options(Format::Refind, text, line, ours)?;
    let lines = vec![
        format!("    submenuentry {} {{", in_quotes(&format!("{}{TITLE}", line.key))),
        format!("        options {options}"),
        "    }".to_owned(),
    ];
    Ok(Some((end, lines)))
}

/// Where the line begins that ends the stanza, if the place is in the stanza itself.
fn end_of_stanza(text: &str, place: usize) -> Option<usize> {
    let (mut at, mut is_in_submenu) = (0, false);
    for whole in text.split_inclusive('\n') {
        let start = at;
        at += whole.len();
        let first = whole.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
        match first.as_str() {
            "submenuentry" => is_in_submenu = true,
            "}" if is_in_submenu => is_in_submenu = false,
            "}" if start > place => return Some(start),
            _ if (start..at).contains(&place) && is_in_submenu => return None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn first(format: Format, text: &str) -> Line {
        format::lines(format, text).unwrap().remove(0)
    }

    #[test]
    fn a_line_beside_kernels() {
        let ours = ["iommu=pt".to_owned()];
        let of = |text: &str| line(text, &first(Format::RefindLinux, text), &ours).unwrap().concat();
        assert_eq!(
            of("\"Boot \"\"it\"\"\" \"ro a=\"\"b c\"\" iommu=pt\"\n"),
            "\"Boot \"\"it\"\" (without VFIO)\" \"ro a=\"\"b c\"\" vfio=off\""
        );
        assert_eq!(of("plain ro\n"), "\"plain (without VFIO)\" \"ro vfio=off\"");
    }

    #[test]
    fn a_submenu_of_the_stanza() {
        let text =
            "menuentry \"Arch\" {\n    loader /vmlinuz\n    initrd /i\n    options \"root=/dev/sda3 iommu=pt\"\n    \
                    submenuentry \"x\" {\n        add_options \"y\"\n    }\n}\nmenuentry Other {\n}\n";
        let (at, found) = lines(text, &first(Format::Refind, text), &["iommu=pt".to_owned()]).unwrap().unwrap();
        assert_eq!(&text[at..], "}\nmenuentry Other {\n}\n");
        assert_eq!(
            found,
            ["    submenuentry \"Arch (without VFIO)\" {", "        options \"root=/dev/sda3 vfio=off\"", "    }"]
        );
        let inner = "menuentry a {\n  loader /vmlinuz\n  submenuentry b {\n    options \"ro\"\n  }\n}\n";
        assert_eq!(lines(inner, &first(Format::Refind, inner), &[]).unwrap(), None);
    }
}
