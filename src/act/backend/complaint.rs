// SPDX-License-Identifier: LGPL-2.1-or-later
//! What a program that builds something printed of its own failure. What comes after the first error mostly follows from it.

/// The first line that speaks of an error, without the name of the part of the program that says it.
pub fn first_error(printed: &str) -> Option<&str> {
    let speaks =
        |line: &&str| line.split(|c: char| !c.is_ascii_alphabetic()).any(|word| word.eq_ignore_ascii_case("error"));
    let line = printed.lines().map(str::trim).find(speaks)?;
    let text = ["ERROR", "error"].iter().find_map(|word| line.split_once(word)).map_or(line, |(_, text)| text);
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
            // No error is spoken of: an OSError is another word.
            ("OSError: [Errno 30]\nsed: -e expression #1, char 48: unknown option to `s'\n", None),
            ("all is well\n", None),
            ("error\n", None),
        ] {
            assert_eq!(first_error(printed), first, "{printed}");
        }
    }
}
