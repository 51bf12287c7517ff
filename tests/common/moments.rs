// SPDX-License-Identifier: LGPL-2.1-or-later
//! When something goes wrong: at moments drawn by lot, or at each of the calls that write.

/// How a test run begins to draw; `PROPTEST_RNG_SEED`, which "make check" sets, makes it the same each time.
fn seed() -> u64 {
    match std::env::var("PROPTEST_RNG_SEED") {
        Ok(seed) => seed.parse().expect("PROPTEST_RNG_SEED is a number"),
        Err(_) => {
            u64::from(std::process::id()) << 20 ^ u64::from(std::time::UNIX_EPOCH.elapsed().unwrap().subsec_nanos())
        }
    }
}

/// Numbers from 1 to `most`, of which one in `share` of `VFIO_KILLS` (100 if that is not set; "make check-all" sets 1000).
pub fn drawn(most: u32, share: u32) -> Vec<u32> {
    let kills: u32 = std::env::var("VFIO_KILLS").map_or(100, |kills| kills.parse().expect("VFIO_KILLS is a number"));
    let mut state = seed() | 1;
    let mut next = || {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        u32::try_from(state >> 33).unwrap() % most + 1
    };
    (0..kills.div_ceil(share)).map(|_| next()).collect()
}

/// Calls by which a file is changed, with what they may answer.
const WRITES: [(&str, &[&str]); 5] = [
    ("write,pwrite64,writev", &["EIO", "ENOSPC", "EDQUOT"]),
    ("fsync,fdatasync", &["EIO", "ENOSPC"]),
    ("rename,renameat,renameat2", &["EIO", "ENOSPC", "EROFS"]),
    ("mkdir,mkdirat,unlink,unlinkat", &["EIO", "EROFS"]),
    ("ftruncate,fchmod,fchown", &["EIO", "EPERM"]),
];

/// Which writes fail in a test, each in a run of its own: the calls, which of them, and what it answers. The first ones of a
/// kind each, later ones further apart.
pub fn failing_writes() -> impl Iterator<Item = (&'static str, u32, &'static str)> {
    WRITES.into_iter().flat_map(|(calls, errors)| {
        let most = if calls.starts_with("write") { 40 } else { 24 };
        let tried = (1..=most).filter(|n| *n <= 12 || n % 3 == 0);
        tried.map(move |n| (calls, n, errors[n as usize % errors.len()]))
    })
}
