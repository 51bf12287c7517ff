// SPDX-License-Identifier: LGPL-2.1-or-later
//! Looking through processes, some of which do not let themselves be looked at: a process that waits for a file server that
//! has gone, with its memory's lock held, keeps a program that reads its `maps` waiting, too.
//!
//! So a child does it (`crate::aside`), with a thread more whenever the others are held up. Who has not answered in the end
//! is said to the caller, and counts as somebody who may hold the device.

use super::opened::Found;
use super::opened::Search;
use super::question::{Question, What};
use super::{mounts, nodes, witness, words, Facts, Holder, Seen};
use crate::aside::Aside;
use crate::host::home::cgroup;
use crate::host::process;
use crate::pci::Address;
use crate::root::Root;
use std::cell::RefCell;
use std::process::ExitCode;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The name under which a program of ours is the child that looks.
const CHILD: &str = "vfio-proc-reader";
/// How many threads look at first.
const THREADS: usize = 2;
/// And at most: so many processes may hang without keeping others from being looked at.
const MOST: usize = 64;
/// After so long without news of any the threads count as held up.
const SLOW: Duration = Duration::from_millis(100);
/// How long the last of them are waited for. The largest game's mappings take a tenth of a second.
const PATIENCE: Duration = Duration::from_secs(4);
/// For the child as a whole. It looks at mounts, too, and opens disks.
const WHOLE: Duration = Duration::from_secs(20);

/// If the program was started as the child that looks at processes: answers, and gives its exit code.
pub fn run_as_child() -> Option<ExitCode> {
    crate::aside::serve(CHILD, |question| {
        // Who asks takes anything else for no answer.
        words::question(question).map(|question| words::encode(&answer(&question))).unwrap_or_default()
    })
}

/// Looks for holders, again and again with the same child.
#[derive(Debug)]
pub struct Looker<'a> {
    root: &'a Root,
    child: RefCell<Option<Aside>>,
}

impl<'a> Looker<'a> {
    /// Looks in this root.
    pub fn new(root: &'a Root) -> Self {
        Looker { root, child: RefCell::new(None) }
    }

    /// What holds one of `functions`: mounts first, then processes. A process that cannot be looked at may be one.
    pub fn find(&self, functions: &[Address]) -> Vec<(Address, Holder)> {
        if functions.is_empty() {
            return Vec::new();
        }
        let failed =
            |text: String| functions.iter().map(|address| (*address, Holder::unanswered(text.clone()))).collect();
        self.ask(What::Holders(functions.to_vec())).unwrap_or_else(failed)
    }

    /// Whether somebody who was found still holds what was found, or may. A mount is not looked at again.
    pub fn still_holds(&self, holder: &Holder) -> bool {
        let (Some(pid), Some(address)) = (holder.pid, holder.facts.function) else { return false };
        if !holder.process().is_some_and(|process| process.is_there(self.root)) {
            return false;
        }
        let node = nodes::Node { path: holder.node.clone(), device: holder.facts.device, stacked: Vec::new() };
        self.ask(What::Still(pid, address, node)).map_or(true, |found| match holder.seen {
            Seen::Unanswered => found.iter().any(|(_, now)| now.seen == Seen::Unanswered),
            _ => !found.is_empty(),
        })
    }

    fn ask(&self, what: What) -> Result<Vec<(Address, Holder)>, String> {
        let root = self.root.path().to_owned();
        let question = Question { root, ourselves: std::process::id(), what };
        let mut place = self.child.borrow_mut();
        if place.is_none() {
            *place = Aside::start(CHILD).map_err(|error| error.to_string())?;
        }
        let Some(child) = place.as_mut() else { return Ok(answer(&question)) };
        let told = child.ask(&words::asked(&question), WHOLE).map_err(|error| error.to_string());
        let told =
            told.and_then(|text| words::decode(&text).ok_or_else(|| "the child that reads does not answer".to_owned()));
        // A child has threads that hang then.
        if told.as_ref().map_or(true, |told| told.iter().any(|(_, holder)| holder.seen == Seen::Unanswered)) {
            *place = None;
        }
        told
    }
}

/// What holds one of `functions`, looked for in this process: for a program that may be left behind with it.
pub fn find_here(root: &Root, functions: &[Address]) -> Vec<(Address, Holder)> {
    let what = What::Holders(functions.to_vec());
    answer(&Question { root: root.path().to_owned(), ourselves: std::process::id(), what })
}

fn answer(question: &Question) -> Vec<(Address, Holder)> {
    let root = || Root::open(&question.root);
    let (Ok(root), Ok(own)) = (root(), root()) else { return Vec::new() };
    match &question.what {
        What::Holders(functions) => {
            let desired: Vec<_> = functions.iter().map(|a| (*a, nodes::nodes(&root, *a))).collect();
            let mut holders = mounts::of_disks(&root, &desired);
            // Without /proc there are no processes to find.
            let pids = root.list("proc").unwrap_or_default();
            let mut pids: Vec<u32> = pids.iter().filter_map(|name| name.parse().ok()).collect();
            // We hold nothing. The processes of a test tree are others, though one may have our number.
            let ours = [question.ourselves, std::process::id()];
            pids.retain(|pid| !root.is_system() || !ours.contains(pid));
            let search = Arc::new(Search::new(own, desired));
            let idle = |held: &Address| witness::is_idle(&root, *held);
            let found = processes(&search, pids).into_iter();
            // Who has not answered is nobody's holder where the kernel counts none.
            holders.extend(found.filter(|(held, holder)| holder.is_certain() || !idle(held)));
            holders.extend(witness::unchecked(&root, &search.desired, &holders));
            holders
        }
        What::Still(pid, address, node) => {
            let search = Arc::new(Search::new(own, vec![(*address, vec![node.clone()])]));
            processes(&search, vec![*pid])
        }
    }
}

/// News of a thread that looks.
enum News {
    /// It is about to look at a process.
    Begun(u32),
    /// It has been found to hold these.
    Held(Vec<(Address, Holder)>),
    /// All of it has been looked at.
    Done(u32),
}

/// Looks at one process: at its descriptors first, which hardly ever take long.
fn look_at(search: &Search, pid: u32, tell: &mut dyn FnMut(Vec<(Address, Holder)>)) {
    let open = search.open(pid);
    let mut held: Vec<_> = open.iter().map(|found| holder(search, pid, found)).collect();
    if !held.is_empty() {
        tell(std::mem::take(&mut held));
    }
    let only_mapped = search.mapped(pid).into_iter().filter(|found| !open.contains(found));
    held.extend(only_mapped.map(|found| holder(search, pid, &found)));
    if !held.is_empty() {
        tell(held);
    }
}

fn processes(search: &Arc<Search>, pids: Vec<u32>) -> Vec<(Address, Holder)> {
    let mut holders = Vec::new();
    for pid in with_patience(search, pids, &mut holders) {
        // Where it is known to hold one of them, nothing more is to be known.
        if !holders.iter().any(|(_, holder)| holder.pid == Some(pid)) {
            holders.extend(search.desired.iter().map(|(address, _)| (*address, silent_one(search, pid, *address))));
        }
    }
    holders.sort_by(|(a, one), (b, other)| (one.pid, a, &one.node).cmp(&(other.pid, b, &other.node)));
    holders
}

/// Looks at processes by threads. Gives those that have not answered.
fn with_patience(search: &Arc<Search>, pids: Vec<u32>, holders: &mut Vec<(Address, Holder)>) -> Vec<u32> {
    let mut left = pids.clone();
    let queue = Arc::new(Mutex::new(pids.into_iter()));
    let (sender, news) = mpsc::channel();
    let mut threads = 0;
    let mut busy: Vec<u32> = Vec::new();
    let mut since = Instant::now();
    while !left.is_empty() {
        let held_up = since.elapsed() >= SLOW && busy.len() < left.len();
        if threads < THREADS.min(left.len()) || held_up && threads < MOST {
            threads += 1;
            start_thread(search, &queue, &sender);
            since = Instant::now();
        }
        match news.recv_timeout(if threads < THREADS { Duration::ZERO } else { SLOW }) {
            Ok(News::Begun(pid)) => {
                busy.push(pid);
                since = Instant::now();
            }
            Ok(News::Held(held)) => holders.extend(held),
            Ok(News::Done(pid)) => {
                busy.retain(|at| *at != pid);
                left.retain(|at| *at != pid);
                since = Instant::now();
            }
            Err(RecvTimeoutError::Timeout) if since.elapsed() < PATIENCE => {}
            Err(_) => break,
        }
    }
    left
}

fn start_thread(search: &Arc<Search>, queue: &Arc<Mutex<std::vec::IntoIter<u32>>>, news: &Sender<News>) {
    let (search, queue, news) = (Arc::clone(search), Arc::clone(queue), news.clone());
    let looks = move || {
        // Who does not listen any more has had enough.
        while let Some(pid) = queue.lock().ok().and_then(|mut queue| queue.next()) {
            if news.send(News::Begun(pid)).is_err() {
                return;
            }
            look_at(&search, pid, &mut |held| drop(news.send(News::Held(held))));
            if news.send(News::Done(pid)).is_err() {
                return;
            }
        }
    };
    if let Err(error) = std::thread::Builder::new().spawn(looks) {
        log::debug!("no thread more looks at processes: {error}");
    }
}

/// A process with what it holds.
fn holder(search: &Search, pid: u32, (address, node): &Found<'_>) -> (Address, Holder) {
    let holder = who(&search.root, pid, node.path.clone());
    let facts = Facts { device: node.device, function: Some(*address), ..holder.facts };
    (*address, Holder { facts, ..holder })
}

/// A process that has not answered.
fn silent_one(search: &Search, pid: u32, address: Address) -> Holder {
    let holder = who(&search.root, pid, format!("/proc/{pid}/maps"));
    let facts = Facts { function: Some(address), ..holder.facts };
    Holder { seen: Seen::Unanswered, facts, ..holder }
}

/// Who a process is. Nothing of this takes the lock of its memory.
fn who(root: &Root, pid: u32, node: String) -> Holder {
    let cgroup = cgroup(root, pid);
    let executable = root.read_link(&format!("proc/{pid}/exe")).ok();
    let executable = executable.map(|path| path.to_string_lossy().trim_end_matches(" (deleted)").to_owned());
    let facts = Facts {
        started: process::started(root, pid),
        parent: process::parent(root, pid),
        cgroup,
        device: None,
        function: None,
    };
    Holder {
        node,
        pid: Some(pid),
        command: root.read_text(&format!("proc/{pid}/comm")).unwrap_or_else(|_| "?".to_owned()),
        user: user(root, pid),
        unit: facts.cgroup.as_deref().and_then(unit),
        executable,
        seen: Seen::Holds,
        facts,
    }
}

/// Whose process it is: the effective user id (proc_pid_status(5)).
fn user(root: &Root, pid: u32) -> Option<String> {
    let status = root.read_text(&format!("proc/{pid}/status")).ok()?;
    let uid = status.lines().find_map(|l| l.strip_prefix("Uid:"))?.split_ascii_whitespace().nth(1)?;
    Some(uid.to_owned())
}

/// The unit from the cgroup path: its last part that names a service or scope. A name for people: who may make control groups
/// below their own may give them any.
fn unit(path: &str) -> Option<String> {
    let unit = path.rsplit('/').find(|part| part.ends_with(".service") || part.ends_with(".scope"))?;
    Some(unit.to_owned())
}

#[cfg(test)]
#[path = "look_tests.rs"]
mod tests;
