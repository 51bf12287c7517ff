// SPDX-License-Identifier: LGPL-2.1-or-later
//! What is kept of a domain that was changed: `/var/lib/vfio/domains/UUID`, root's alone, for a domain's text may have
//! passwords in it.
//!
//! | file | what |
//! |---|---|
//! | `before.xml` | the domain as libvirt had it before our first change, with what its user changed in between |
//! | `after.xml` | the domain as libvirt had it after our last change |
//! | `pending.xml` | what libvirt is being given now; there only while a change is made, or after one that was killed |
//! | `defined` | that 'vfio guest define' made the domain, and with which disk |
//! | `variables` | where the UEFI variables lay that were put aside for a change of the firmware |

use crate::act::files;
use crate::root::{Root, STATE};
use std::io::{self, Read};

/// A file of a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum File {
    /// `before.xml`.
    Before,
    /// `after.xml`.
    After,
    /// `pending.xml`.
    Pending,
    /// `variables`.
    Variables,
    /// `defined`.
    Defined,
}

impl File {
    const OF_AN_EDIT: [File; 4] = [File::Pending, File::After, File::Variables, File::Before];

    fn name(self) -> &'static str {
        match self {
            File::Before => "before.xml",
            File::After => "after.xml",
            File::Pending => "pending.xml",
            File::Variables => "variables",
            File::Defined => "defined",
        }
    }
}

fn directory(uuid: &str) -> String {
    format!("{STATE}/domains/{uuid}")
}

/// Where a file of a domain is.
pub fn path(uuid: &str, file: File) -> String {
    format!("{}/{}", directory(uuid), file.name())
}

/// Whether a text is a UUID, and nothing that leads elsewhere.
pub fn is_uuid(text: &str) -> bool {
    text.len() == 36 && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

/// What a file says; `None` if it is not there.
pub fn read(root: &Root, uuid: &str, file: File) -> io::Result<Option<String>> {
    let mut text = String::new();
    match root.open_file(&path(uuid, file)) {
        Ok(opened) => {
            opened.take(crate::host::domain::LARGEST as u64 + 1).read_to_string(&mut text)?;
            Ok(Some(text))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes a file, whole or not at all.
pub fn write(root: &Root, uuid: &str, file: File, text: &str) -> io::Result<()> {
    files::make_private_dir(root, &directory(uuid))?;
    files::replace_private(root, &path(uuid, file), text.as_bytes())
}

/// Removes a file.
pub fn remove(root: &Root, uuid: &str, file: File) -> io::Result<()> {
    files::remove(root, &path(uuid, file))
}

/// Forgets what was changed in a domain: nothing of ours is in it any more. What is needed for an undo goes last. That we made
/// the domain stays known.
pub fn forget(root: &Root, uuid: &str) -> io::Result<()> {
    File::OF_AN_EDIT.iter().try_for_each(|file| remove(root, uuid, *file))?;
    File::OF_AN_EDIT.iter().try_for_each(|file| files::remove_temporaries(root, &path(uuid, *file)))?;
    if root.exists(&path(uuid, File::Defined)) {
        return Ok(());
    }
    files::remove_temporaries(root, &path(uuid, File::Defined))?;
    files::remove_dir(root, &directory(uuid))
}
