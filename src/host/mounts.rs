// SPDX-License-Identifier: LGPL-2.1-or-later
//! What is mounted where (proc_pid_mountinfo(5)).

use crate::root::Root;

/// A mounted file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The device: `MAJOR:MINOR`. What is on no block device, btrfs too, has a number of its own with the major 0.
    pub number: String,
    /// What of the file system is mounted: `/`, or a part of it that is bound to another place.
    pub part: String,
    /// Where, as an absolute path.
    pub at: String,
    /// The type of file system.
    pub kind: String,
    /// What is mounted: a device, a dataset, an export.
    pub source: String,
    /// The options of the file system.
    pub details: String,
}

impl Mount {
    /// A line: `ID PARENT MAJOR:MINOR PART PLACE OPTIONS [TAGS...] - TYPE SOURCE OPTIONS`.
    fn of_line(line: &str) -> Option<Mount> {
        let (before, after) = line.split_once(" - ")?;
        let mut fields = before.split(' ').skip(2);
        let (number, part, at) = (fields.next()?, fields.next()?, fields.next()?);
        let mut after = after.split(' ');
        let (kind, source) = (after.next()?, after.next()?);
        let details = after.next().unwrap_or_default();
        Some(Mount {
            number: number.to_owned(),
            part: unescaped(part),
            at: unescaped(at),
            kind: kind.to_owned(),
            source: unescaped(source),
            details: details.to_owned(),
        })
    }
}

/// The mounts of the system. Not our own: a unit's view of them is narrowed (`ProtectHome=` and the like).
pub fn of_system(root: &Root) -> Vec<Mount> {
    let text = root.read("proc/1/mountinfo").or_else(|_| root.read("proc/self/mountinfo")).unwrap_or_default();
    mounts(&String::from_utf8_lossy(&text))
}

/// The mounts of a `mountinfo`, in its order. Of two at one place the later one is what is seen there.
pub fn mounts(text: &str) -> Vec<Mount> {
    text.lines().filter_map(Mount::of_line).collect()
}

/// The kernel writes blanks, tabs, line ends and backslashes as `\040` and so on (`fs/seq_file.c`, `mangle_path`).
pub fn unescaped(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()).filter(u8::is_ascii);
        match code {
            Some(code) => {
                plain.push(char::from(code));
                plain.push_str(&part[3..]);
            }
            None => {
                plain.push('\\');
                plain.push_str(part);
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_mountinfo() {
        assert_eq!(mounts("no such line\n1 2 3\n1 2 3:4 / - x\n"), []);
        let [mount] = &mounts("1 2 3:4 /sub /mnt/a\\040b\\134\\9 rw shared:1 - fuse.x \\ rw,addr=1")[..] else {
            panic!()
        };
        assert_eq!((&*mount.at, &*mount.source, &*mount.part), ("/mnt/a b\\\\9", "\\", "/sub"));
        assert_eq!((&*mount.number, &*mount.kind, &*mount.details), ("3:4", "fuse.x", "rw,addr=1"));
        assert_eq!(mounts("1 2 3:4 / / rw - ext4 /dev/vda rw")[0].at, "/");
    }
}
