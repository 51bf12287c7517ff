// SPDX-License-Identifier: LGPL-2.1-or-later
//! CPUs of real processors, as the kernel shows them in sysfs, and what a guest gets of them.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::host::cpu_list::parse_list;
use crate::host::cpus::read;
use crate::root::Root;
use std::fs;
use std::path::Path;

/// A machine of which files are written as the kernel would.
struct Machine(tempfile::TempDir);

impl Machine {
    /// CPUs that are online, of those that are present. Each core is its threads; each cache its CPUs, a die with a cache each.
    fn new(present: &str, online: &str, cores: &[&str], caches: &[&str]) -> Machine {
        let machine = Machine(tempfile::tempdir().unwrap());
        machine.put("sys/devices/system/cpu/online", online);
        machine.put("sys/devices/system/cpu/present", present);
        for core in cores {
            for cpu in parse_list(core).unwrap() {
                machine.put(&format!("sys/devices/system/cpu/cpu{cpu}/topology/core_cpus_list"), core);
                machine.put(&format!("sys/devices/system/cpu/cpu{cpu}/topology/physical_package_id"), "0");
                machine.put(&format!("sys/devices/system/cpu/cpu{cpu}/topology/die_id"), "0");
            }
        }
        for cache in caches {
            for cpu in parse_list(cache).unwrap() {
                machine.put(&format!("sys/devices/system/cpu/cpu{cpu}/cache/index3/shared_cpu_list"), cache);
            }
        }
        machine
    }

    /// Cores whose threads are `apart` from each other, from the first core's on.
    fn of_pairs(count: u32, apart: u32, caches: &[&str]) -> Machine {
        let pairs: Vec<String> = (0..count).map(|core| format!("{core},{}", core + apart)).collect();
        let pairs: Vec<&str> = pairs.iter().map(String::as_str).collect();
        let all = format!("0-{}", 2 * count - 1);
        Machine::new(&all, &all, &pairs, caches)
    }

    fn put(&self, path: &str, text: &str) {
        let path: &Path = &self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{text}\n")).unwrap();
    }

    fn node(&self, number: u32, cpus: &str, distances: &str) {
        self.put(&format!("sys/devices/system/node/node{number}/cpulist"), cpus);
        self.put(&format!("sys/devices/system/node/node{number}/distance"), distances);
    }

    fn cpus(&self) -> Cpus {
        read(&Root::open(self.0.path()).unwrap())
    }

    /// What is chosen, as `PINNED threads N`, or the sentence.
    fn choose(&self, wish: &Wish, node: Option<u32>) -> String {
        match choose(wish, &self.cpus(), node) {
            Ok(chosen) => {
                let pinned: Vec<String> = chosen.pinned.iter().map(ToString::to_string).collect();
                format!("{} threads {}", pinned.join(","), chosen.threads)
            }
            Err(why) => why.to_string(),
        }
    }
}

fn list(text: &str) -> Wish {
    Wish::List(parse_list(text).unwrap())
}

/// Ryzen 7 5800X3D: eight cores, one cache.
fn ryzen_5800x3d() -> Machine {
    Machine::of_pairs(8, 8, &["0-15"])
}

#[test]
fn with_one_cache_a_guest_gets_its_second_half() {
    let machine = ryzen_5800x3d();
    assert_eq!(machine.choose(&Wish::Auto, None), "4,12,5,13,6,14,7,15 threads 2");
    assert_eq!(machine.choose(&Wish::Number(4), None), "6,14,7,15 threads 2");
    assert_eq!(machine.choose(&Wish::Number(14), None).matches(',').count(), 13);
    assert_eq!(machine.choose(&Wish::Number(16), None), "is more than the 14 CPUs that a guest can get here");
    assert_eq!(
        machine.choose(&Wish::Number(5), None),
        "is not a number of whole cores: the cores here have 2 threads each; write 4 or 6"
    );
    assert_eq!(
        machine.choose(&Wish::Number(1), None),
        "is not a number of whole cores: the cores here have 2 threads each; write 2 or 4"
    );
    let chosen = choose(&Wish::Auto, &machine.cpus(), None).unwrap();
    assert_eq!((chosen.cores(), chosen.caches, show_list(&chosen.others)), (4, 1, "0-3,8-11".to_owned()));
}

/// Ryzen 9 7950X3D: two CCDs of eight cores, the large cache on the first.
#[test]
fn of_two_caches_the_one_without_cpu_0_is_taken_whole() {
    let machine = Machine::of_pairs(16, 16, &["0-7,16-23", "8-15,24-31"]);
    machine.node(0, "0-31", "10");
    let auto = machine.choose(&Wish::Auto, Some(0));
    assert_eq!(auto, "8,24,9,25,10,26,11,27,12,28,13,29,14,30,15,31 threads 2");
    // The user may have the one with the large cache.
    assert_eq!(machine.choose(&list("1-7,17-23"), Some(0)), "1,17,2,18,3,19,4,20,5,21,6,22,7,23 threads 2");
    // More than one cache has is taken from both, the rest from the end of the other.
    let more = choose(&Wish::Number(18), &machine.cpus(), Some(0)).unwrap();
    assert_eq!((more.caches, more.pinned.contains(&7), more.pinned.contains(&0)), (2, true, false));
}

/// Ryzen Threadripper 2950X in NUMA mode: two dies with two caches each; cores of two threads with numbers 16 apart.
#[test]
fn the_card_s_node_comes_before_everything() {
    let machine = Machine::of_pairs(16, 16, &["0-3,16-19", "4-7,20-23", "8-11,24-27", "12-15,28-31"]);
    machine.node(0, "0-7,16-23", "10 16");
    machine.node(1, "8-15,24-31", "16 10");
    assert_eq!(machine.choose(&Wish::Auto, Some(0)), "4,20,5,21,6,22,7,23 threads 2");
    assert_eq!(machine.choose(&Wish::Auto, Some(1)), "8,24,9,25,10,26,11,27 threads 2");
    assert_eq!(machine.choose(&Wish::Number(12), Some(1)), "8,24,9,25,10,26,11,27,14,30,15,31 threads 2");
}

/// Core i9-13900K: eight large cores of two threads that follow each other, sixteen small ones, one cache.
#[test]
fn small_cores_are_never_taken_unasked() {
    let mut cores: Vec<String> = (0..8).map(|core| format!("{}-{}", 2 * core, 2 * core + 1)).collect();
    cores.extend((16..32).map(|cpu| cpu.to_string()));
    let cores: Vec<&str> = cores.iter().map(String::as_str).collect();
    let machine = Machine::new("0-31", "0-31", &cores, &["0-31"]);
    machine.put("sys/devices/cpu_core/cpus", "0-15");
    machine.put("sys/devices/cpu_atom/cpus", "16-31");
    assert_eq!(machine.choose(&Wish::Auto, None), "2,3,4,5,6,7,8,9,10,11,12,13,14,15 threads 2");
    // The small ones are enough for the host.
    assert_eq!(machine.choose(&Wish::Number(16), None).matches(',').count(), 15);
    assert_eq!(
        machine.choose(&Wish::Number(18), None),
        "is more than the 16 CPUs that a guest can get here without the 16 efficient cores; name CPUs to use those"
    );
    assert_eq!(machine.choose(&list("14-17"), None), "14,15,16,17 threads 1", "a guest's cores are alike");
    assert_eq!(machine.choose(&list("16-19"), None), "16,17,18,19 threads 1");
}

/// Core i5-9600K: six cores of one thread.
#[test]
fn a_core_may_have_one_thread() {
    let machine = Machine::new("0-5", "0-5", &["0", "1", "2", "3", "4", "5"], &["0-5"]);
    assert_eq!(machine.choose(&Wish::Auto, None), "3,4,5 threads 1");
    assert_eq!(machine.choose(&Wish::Number(1), None), "5 threads 1");
    assert_eq!(machine.choose(&Wish::Number(5), None), "1,2,3,4,5 threads 1");
}

/// Two Xeons of eight cores, threads 16 apart, CPUs of the packages in turn as some firmwares number them.
#[test]
fn of_two_packages_the_card_s_is_taken_and_cpu_0_left_alone() {
    let pairs: Vec<String> = (0..16).map(|core| format!("{core},{}", core + 16)).collect();
    let pairs: Vec<&str> = pairs.iter().map(String::as_str).collect();
    let (even, odd) = ("0,2,4,6,8,10,12,14,16,18,20,22,24,26,28,30", "1,3,5,7,9,11,13,15,17,19,21,23,25,27,29,31");
    let machine = Machine::new("0-31", "0-31", &pairs, &[even, odd]);
    machine.node(0, even, "10 21");
    machine.node(1, odd, "21 10");
    assert_eq!(machine.choose(&Wish::Auto, Some(1)), "1,17,3,19,5,21,7,23,9,25,11,27,13,29,15,31 threads 2");
    assert_eq!(machine.choose(&Wish::Auto, Some(0)), "2,18,4,20,6,22,8,24,10,26,12,28,14,30 threads 2");
    // Where the firmware does not say where the card is, what is without CPU 0 is best.
    assert_eq!(machine.choose(&Wish::Auto, None), machine.choose(&Wish::Auto, Some(1)));
}

/// A virtual machine: no cache of level 3; without one the die counts.
#[test]
fn without_a_cache_the_die_counts() {
    let machine = Machine::new("0-3", "0-3", &["0", "1", "2", "3"], &[]);
    assert_eq!(machine.choose(&Wish::Auto, None), "2,3 threads 1");
}

/// CPUs that are switched off, one thread of a core and whole cores: threads are told by their core, never by number.
#[test]
fn cpus_that_are_offline_leave_their_core_with_one_thread() {
    let pairs: Vec<String> = (0..8).map(|core| format!("{core},{}", core + 8)).collect();
    let pairs: Vec<&str> = pairs.iter().map(String::as_str).collect();
    let machine = Machine::new("0-15", "0-4,6-9,11-12,14-15", &pairs, &["0-15"]);
    // 5, 10 and 13 are off: core 2 has one thread left, core 5 none.
    assert_eq!(machine.choose(&list("2,7,15"), None), "2,7,15 threads 1");
    assert_eq!(machine.choose(&list("6,14,7,15"), None), "6,14,7,15 threads 2");
    assert_eq!(machine.choose(&list("4,6-7"), None), "4,6,7 threads 1", "half cores");
    assert_eq!(machine.choose(&list("5"), None), "names CPU 5, which is offline (online are 0-4,6-9,11-12,14-15)");
    assert_eq!(machine.choose(&list("15-17"), None), "names CPU 16-17, which this machine does not have (it has 0-15)");
    assert_eq!(machine.choose(&Wish::Number(4), None), "6,14,7,15 threads 2");
    // Switched off beforehand, by hand or by nosmt.
    let machine = Machine::new("0-7", "0-3", &["0,4", "1,5", "2,6", "3,7"], &["0-7"]);
    assert_eq!(machine.choose(&Wish::Auto, None), "2,3 threads 1");
}

#[test]
fn a_machine_with_one_core_has_none_to_spare() {
    let machine = Machine::new("0-1", "0-1", &["0-1"], &["0-1"]);
    let sentence = "finds no core that the host could spare: this machine has 1";
    assert_eq!(machine.choose(&Wish::Auto, None), sentence);
    assert_eq!(machine.choose(&Wish::Number(2), None), "is more than the 0 CPUs that a guest can get here");
    assert_eq!(machine.choose(&list("0-1"), None), "0,1 threads 2");
    assert_eq!(choose(&Wish::Auto, &Cpus::default(), None), Err(NotChosen::NoneToSpare { cores: 0 }));
    assert_eq!(machine.choose(&Wish::List(Vec::new()), None), "names no CPU");
    assert_eq!(machine.choose(&Wish::Number(0), None), "names no CPU");
}
