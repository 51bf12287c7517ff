// SPDX-License-Identifier: LGPL-2.1-or-later
//! A file whose first line is the command line, whatever it begins with (proxmox-kernel-helper, `get_first_line`).

use super::{Line, Problem};

/// The one command line. Without `root=` in it the tool writes nothing and fails (`update_esps`).
pub fn lines(text: &str) -> Result<Vec<Line>, Problem> {
    let first = text.split('\n').next().unwrap_or_default();
    let problem = |why: &str| {
        let message = format!("{why}, and proxmox-boot-tool reads no other line: write the whole command line into it");
        Err(Problem { line: 1, message })
    };
    if first.trim_start().starts_with('#') {
        return problem("is a comment");
    }
    if !first.contains("root=") {
        return problem("has no root=");
    }
    Ok(vec![Line { parameters: super::parameters(first), ..Line::new("", 1, 0..first.len()) }])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_all() {
        // Seen with proxmox-boot-tool 8.1.0, on these bytes.
        for (text, parameters) in [
            ("root=ZFS=rpool/ROOT/pve-1 boot=zfs\n", Some("root=ZFS=rpool/ROOT/pve-1 boot=zfs")),
            ("root=ZFS=x", Some("root=ZFS=x")),
            ("root=ZFS=x\nquiet\n", Some("root=ZFS=x")),
            ("  root=ZFS=x\ty \r\n", Some("root=ZFS=x y")),
            ("# mine\nroot=ZFS=x\n", None),
            // The tool would take this for the command line.
            ("# root=ZFS=x\nroot=ZFS=x\n", None),
            ("\nroot=ZFS=x\n", None),
            ("", None),
        ] {
            let found = lines(text).map(|lines| lines[0].parameters.join(" ")).ok();
            assert_eq!(found.as_deref(), parameters, "{text:?}");
        }
    }
}
