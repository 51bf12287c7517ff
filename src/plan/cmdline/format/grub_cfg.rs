// SPDX-License-Identifier: LGPL-2.1-or-later
//! The command lines of a `grub.cfg`, to see whether grub-mkconfig has run since its sources changed. Never written: the next
//! run of grub-mkconfig would undo it.

use super::super::line;
use super::Line;

/// What starts a kernel.
const COMMANDS: [&str; 3] = ["linux", "linux16", "linuxefi"];

/// The command lines of this system's own entries but those for emergencies. With entries in files of their own (`blscfg`)
/// there is none.
pub fn lines(text: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    // Whether the part comes from a script that lists this system's kernels (`10_linux`), and not another system's.
    let (mut own, mut rescue, mut at) = (true, false, 0);
    for (number, whole) in text.split_inclusive('\n').enumerate() {
        let start = at;
        at += whole.len();
        let line = whole.trim_end_matches(['\n', '\r']);
        let bare = line.trim_start_matches([' ', '\t']);
        if let Some(script) = bare.strip_prefix("### BEGIN ").and_then(|rest| rest.strip_suffix(" ###")) {
            own = script.rsplit('/').next().is_some_and(|name| name.contains("linux"));
        } else if bare.starts_with("### END ") {
            own = true;
        }
        let (command, arguments) = bare.split_once([' ', '\t']).unwrap_or((bare, ""));
        if matches!(command, "menuentry" | "submenu") {
            rescue = command == "menuentry" && title(arguments).to_lowercase().contains("recovery");
        }
        if !own || rescue || !COMMANDS.contains(&command) {
            continue;
        }
        let arguments = arguments.trim_start_matches([' ', '\t']);
        // The kernel's file comes first.
        let kernel = line::parameters(arguments).first().map_or(arguments.len(), |range| range.end);
        let span = start + (line.len() - arguments.len()) + kernel..start + line.len();
        let value = &text[span.clone()];
        let parameters: Vec<String> =
            line::parameters(value).into_iter().map(|range| value[range].to_owned()).collect();
        let has = |parameter: &str| parameters.iter().any(|other| other == parameter);
        if has("single") || has("recovery") && has("nomodeset") {
            continue;
        }
        let key = (lines.len() + 1).to_string();
        lines.push(Line { parameters, ..Line::new(&key, number + 1, span) });
    }
    lines
}

/// The title of an entry.
fn title(arguments: &str) -> &str {
    let arguments = arguments.trim_start();
    match arguments.chars().next() {
        Some(quote @ ('\'' | '"')) => arguments[1..].split(quote).next().unwrap_or_default(),
        _ => arguments.split_ascii_whitespace().next().unwrap_or_default(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn own_entries_but_no_rescue_and_no_other_system() {
        let text = "### BEGIN /etc/grub.d/00_header ###\nset x=linux\n### END /etc/grub.d/00_header ###\n\
                    ### BEGIN /etc/grub.d/10_linux ###\nmenuentry 'Debian' --class debian {\n\tlinux\t/vmlinuz root=UUID=1 ro  \
                    quiet a=\"b c\"\n}\nsubmenu 'Advanced' {\n\tmenuentry 'Debian, 6.1' {\n\t\tlinux /vmlinuz ro\n\t}\n\t\
                    menuentry 'Debian (recovery mode)' {\n\t\tlinux /vmlinuz ro\n\t}\n\tmenuentry 'single' {\n\t\tlinux \
                    /vmlinuz ro single\n\t}\n}\n### END /etc/grub.d/10_linux ###\n### BEGIN /etc/grub.d/30_os-prober ###\n\
                    menuentry 'Arch' {\n\tlinux /boot/vmlinuz-linux rw\n}\n### END /etc/grub.d/30_os-prober ###\n";
        let found: Vec<(String, usize, String)> =
            lines(text).into_iter().map(|l| (l.key, l.number, l.parameters.join("|"))).collect();
        assert_eq!(
            found,
            [("1".to_owned(), 6, "root=UUID=1|ro|quiet|a=\"b c\"".to_owned()), ("2".to_owned(), 10, "ro".to_owned()),]
        );
        assert_eq!(lines("insmod blscfg\nblscfg\n"), []);
        assert_eq!(lines("linux\nlinux /v\nlinuxefi /v a").last().unwrap().parameters, ["a"]);
    }
}
