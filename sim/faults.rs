// SPDX-License-Identifier: LGPL-2.1-or-later
//! What goes wrong on purpose.

use crate::tree::{glob, Tree};
use rustix::io::Errno;
use std::io;
use std::time::Duration;

/// Names of errors that a fault may have; any other is written as a number.
const ERRNOS: [(&str, Errno); 15] = [
    ("EPERM", Errno::PERM),
    ("ENOENT", Errno::NOENT),
    ("EIO", Errno::IO),
    ("ENXIO", Errno::NXIO),
    ("EAGAIN", Errno::AGAIN),
    ("ENOMEM", Errno::NOMEM),
    ("EACCES", Errno::ACCESS),
    ("EBUSY", Errno::BUSY),
    ("EEXIST", Errno::EXIST),
    ("ENODEV", Errno::NODEV),
    ("EINVAL", Errno::INVAL),
    ("ENOSPC", Errno::NOSPC),
    ("EROFS", Errno::ROFS),
    ("ENOTTY", Errno::NOTTY),
    // The kernel's own number, which strerror(3) does not know.
    ("ENOTSUPP", Errno::from_raw_os_error(524)),
];

/// How long a slow kernel takes: longer than any of our programs needs to start and look around.
const SLOW: Duration = Duration::from_millis(500);

/// Counts an act, and lets it happen, fail, or both.
pub(crate) fn around(tree: &Tree<'_>, what: &str, act: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let count = tree.facts("count")?.concat().first().and_then(|n| n.parse().ok()).unwrap_or(0) + 1;
    tree.put(".kernel/count", &format!("{count}\n"))?;
    match planned(tree, what, Some(count))? {
        None => act(),
        Some((error, _)) if error.kind() == io::ErrorKind::Interrupted => {
            std::thread::sleep(SLOW);
            act()
        }
        Some((error, false)) => Err(error),
        Some((error, true)) => act().and(Err(error)),
    }
}

/// The fault that waits for `what`, and whether the act takes effect first.
pub(crate) fn planned(tree: &Tree<'_>, what: &str, count: Option<u64>) -> io::Result<Option<(io::Error, bool)>> {
    for words in tree.facts("faults")? {
        let hit = match words[0].parse::<u64>() {
            Ok(n) => Some(n) == count,
            Err(_) => glob(&words[0], what),
        };
        if hit {
            let late = words.iter().skip(2).any(|word| word == "late");
            return Ok(Some((error(words.get(1).map_or("", String::as_str))?, late)));
        }
    }
    Ok(None)
}

fn error(name: &str) -> io::Result<io::Error> {
    match name {
        "hang" => return Ok(io::ErrorKind::TimedOut.into()),
        "slow" => return Ok(io::ErrorKind::Interrupted.into()),
        _ => {}
    }
    if let Some((_, errno)) = ERRNOS.iter().find(|(known, _)| *known == name) {
        return Ok((*errno).into());
    }
    name.parse().map(io::Error::from_raw_os_error).map_err(|_| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("'.kernel/faults' names an error '{name}' that is not known"),
        )
    })
}
