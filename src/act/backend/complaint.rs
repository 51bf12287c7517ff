// SPDX-License-Identifier: LGPL-2.1-or-later
//! What a program that builds something printed of its own failure. What comes after the first error mostly follows from it.

/// The first line that speaks of an error, without the name of the part of the program that says it.
pub fn first_error(printed: &str) -> Option<&str> {
    let speaks =
        |line: &&str| line.split(|c: char| !c.is_ascii_alphabetic()).any(|word| word.eq_ignore_ascii_case("error"));
    let line = printed.lines().map(str::trim).find(speaks)?;
    let is_alone = |before: &str| {
        before.trim_end().ends_with(':') || !before.contains(|c: char| c.is_ascii_alphanumeric() || c == '/')
    };
    let text = match ["ERROR", "error"].iter().find_map(|word| line.split_once(word)) {
        Some((before, text)) if is_alone(before) => text,
        // A part of a sentence: "FILE: Syntax error: ...".
        _ => line,
    };
    Some(text.trim_start_matches([':', ' '])).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What these programs printed when they were run.
    #[test]
    fn the_first_error_is_the_one() {
        for (printed, first) in [
            // kernelstub of November 2025 without a kernel in /boot; it ended with 0.
            (
                "kernelstub           : ERROR    Can't find the kernel image '/vmlinuz'! \n\n\
                 Please use the --kernel-path option to specify the path to the kernel image\nNoneType: None\n",
                Some("Can't find the kernel image '/vmlinuz'!"),
            ),
            (
                "kernelstub.Installer : ERROR    Couldn't copy the kernel onto the ESP!\nTraceback (most recent call last):\n\
                 OSError: [Errno 30] Read-only file system: '/boot/efi/EFI/Pop_OS-9a/vmlinuz.efi'\n",
                Some("Couldn't copy the kernel onto the ESP!"),
            ),
            ("ERROR: Can't determine entry-token\n", Some("Can't determine entry-token")),
            // mkinitcpio 41.
            ("==> ERROR: module not found: 'nothing'\n", Some("module not found: 'nothing'")),
            // update-grub of Debian 13 with a drop-in in which a quote is open.
            (
                "/usr/sbin/grub-mkconfig: 3: /etc/default/grub.d/50-other.cfg: Syntax error: Unterminated quoted string\n",
                Some(
                    "/usr/sbin/grub-mkconfig: 3: /etc/default/grub.d/50-other.cfg: Syntax error: Unterminated quoted string",
                ),
            ),
            // No error is spoken of: an OSError is another word.
            ("OSError: [Errno 30]\nsed: -e expression #1, char 48: unknown option to `s'\n", None),
            ("all is well\n", None),
            ("error\n", None),
        ] {
            assert_eq!(first_error(printed), first, "{printed}");
        }
    }
}
