// SPDX-License-Identifier: LGPL-2.1-or-later
//! What is expensive to make (kernels, trees, disks) is kept outside the checkout, by a hash of all that it is made of.

use anyhow::{Context, Result};
use nix::fcntl::{Flock, FlockArg};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// An entry that another recipe of the same name has replaced goes when nobody has used it for so long: longer than any
/// test, which may be of another checkout.
const KEEP: Duration = Duration::from_secs(3600);

/// The lab's cache: `$VFIO_LAB_CACHE`, else below `$XDG_CACHE_HOME`, else below `~/.cache`.
pub fn dir() -> Result<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let dir = match (variable("VFIO_LAB_CACHE"), variable("XDG_CACHE_HOME"), variable("HOME")) {
        (Some(dir), ..) => dir,
        (_, Some(cache), _) => cache.join("vfio-suite-lab"),
        (.., Some(home)) => home.join(".cache/vfio-suite-lab"),
        _ => anyhow::bail!("neither VFIO_LAB_CACHE, XDG_CACHE_HOME nor HOME is set: set one of them"),
    };
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    Ok(dir.canonicalize()?)
}

/// A hash of everything an entry is made of: a tuple of its parts.
pub fn key(parts: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    hasher.finish()
}

/// A hash of a file's bytes.
pub fn file_key(path: &Path) -> Result<u64> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(key(&bytes))
}

/// The entry `name` with `key`: made by `build` in a directory of its own if it is not there. Two that want the same
/// entry at once, threads or processes, wait for one another.
pub fn entry(name: &str, key: u64, build: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let cache = dir()?;
    let entry = cache.join(format!("{name}-{key:016x}"));
    let lock = std::fs::File::create(cache.join(format!(".{name}.lock")))?;
    let _lock = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, errno)| errno)?;
    let used = entry.join(".used");
    if !entry.is_dir() {
        let part = cache.join(format!(".{name}-{key:016x}.part"));
        remove(&part)?;
        std::fs::create_dir(&part)?;
        let start = Instant::now();
        eprintln!("lab: making {name} in {}", entry.display());
        build(&part).with_context(|| format!("cannot make the lab's {name}"))?;
        std::fs::rename(&part, &entry)?;
        eprintln!("lab: {name} made in {:.0} s", start.elapsed().as_secs_f32());
        prune(&cache, name, &entry)?;
    }
    std::fs::write(used, "")?;
    Ok(entry)
}

/// Removes what an older recipe of `name` left, if it was not used lately.
fn prune(cache: &Path, name: &str, keep: &Path) -> Result<()> {
    for other in std::fs::read_dir(cache)? {
        let other = other?.path();
        let file = other.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let ours = file.rsplit_once('-').is_some_and(|(left, hash)| left == name && hash.len() == 16);
        let used = std::fs::metadata(other.join(".used")).and_then(|data| data.modified());
        let stale = used.is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age > KEEP));
        if ours && stale && other != keep {
            remove(&other)?;
        }
    }
    Ok(())
}

/// Removes a directory, unless something is mounted in it: what is below a mount is not ours.
pub fn remove(dir: &Path) -> Result<()> {
    let Ok(data) = std::fs::symlink_metadata(dir) else {
        return Ok(());
    };
    for inner in ["proc", "sys", "dev", "run"] {
        for inner in [dir.join(inner), dir.join("tree").join(inner)] {
            if std::fs::symlink_metadata(&inner).is_ok_and(|inner| inner.dev() != data.dev()) {
                anyhow::bail!("something is mounted on {}: unmount it first", inner.display());
            }
        }
    }
    std::fs::remove_dir_all(dir).with_context(|| format!("cannot remove {}", dir.display()))
}
