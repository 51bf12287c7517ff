// SPDX-License-Identifier: LGPL-2.1-or-later
//! `make bench`: what stands in the boot path, as whole processes, side by side with what else starts there.
//!
//! Wall time is the median of many starts, the programs in turn, so that what else the machine does hits all alike.
//! Instructions are callgrind's, which do not depend on that. Nothing here fails on a number: docs/PERFORMANCE.md has
//! them, and what is aimed at.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../tests/common/mod.rs"]
mod common;

use common::{hosts, Tree};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Starts of each program: so many rounds of so many starts.
const ROUNDS: usize = 40;
const STARTS: usize = 10;
/// The first argument that makes this program start another inside a tree and time it.
const INSIDE: &str = "--inside";

struct Case {
    name: String,
    program: String,
    arguments: Vec<String>,
    tree: PathBuf,
}

impl Case {
    /// Some starts, in microseconds, timed by a copy of this program that has the tree for its root.
    fn starts(&self) -> Vec<f64> {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg(INSIDE).arg(&self.tree).arg(&self.program).args(&self.arguments);
        let output = command.stdin(Stdio::null()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{}: {}", self.name, String::from_utf8_lossy(&output.stderr));
        text.lines().map(|line| line.parse().unwrap()).collect()
    }

    /// Instructions in user space, in thousands; none for scripts, whose work is done by other processes.
    fn instructions(&self) -> Option<u64> {
        if script(&self.tree.join(self.program.trim_start_matches('/'))) {
            return None;
        }
        let inside = "mount --bind /proc $0/proc && mount --bind /dev $0/dev && \
                      exec chroot $0 /usr/bin/valgrind.bin --tool=callgrind --callgrind-out-file=/dev/null \"$@\"";
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", inside]).arg(&self.tree).arg(&self.program).args(&self.arguments);
        let output = command.stdin(Stdio::null()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let collected = text.lines().find_map(|l| l.split_once("Collected : ")).unwrap_or_else(|| panic!("{text}"));
        Some(collected.1.trim().parse::<u64>().unwrap() / 1000)
    }
}

/// Starts a program inside a tree and prints how long each start took.
fn inside(arguments: &[String]) {
    std::os::unix::fs::chroot(&arguments[0]).expect("the bench must be run by root");
    std::env::set_current_dir("/").unwrap();
    for _ in 0..STARTS {
        let mut command = Command::new(&arguments[1]);
        command.args(&arguments[2..]).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let begin = Instant::now();
        let _ = command.status().unwrap();
        println!("{}", begin.elapsed().as_secs_f64() * 1e6);
    }
}

/// Copies files of this machine, and the libraries of those that have some, to the same places in a tree.
fn copy(files: &[&Path], tree: &Path) {
    let mut all: Vec<PathBuf> = files.iter().map(|f| f.to_path_buf()).collect();
    for file in files {
        let ldd = Command::new("ldd").arg(file).output().unwrap();
        let text = String::from_utf8_lossy(&ldd.stdout).into_owned();
        all.extend(text.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from));
    }
    for file in all {
        let target = tree.join(file.strip_prefix("/").unwrap());
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(&file, &target).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    }
}

fn script(program: &Path) -> bool {
    std::fs::read(program).unwrap_or_default().starts_with(b"#!")
}

/// A machine with so many functions and one card bound at boot.
fn server(functions: usize) -> Tree {
    let tree = hosts::server(functions).build();
    let card = "0000:02:00.0";
    assert!(tree.exists(&format!("sys/bus/pci/devices/{card}/boot_vga")), "the second card is not at {card}");
    tree.config(&format!("[gpu big]\ndevice = {card}\nidentity = 1002:73bf\n"));
    tree
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|a| a == INSIDE) {
        return inside(&arguments[1..]);
    }
    // cargo test --benches runs this too; there is nothing to assert.
    if !arguments.iter().any(|a| a == "--bench") {
        return;
    }
    let zram = Path::new("/usr/lib/systemd/system-generators/zram-generator");
    let tools =
        ["/usr/libexec/valgrind/callgrind-amd64-linux", "/usr/libexec/valgrind/default.supp", "/usr/bin/valgrind.bin"];
    let mut files: Vec<&Path> = vec![Path::new("/bin/true"), zram];
    files.extend(tools.map(Path::new));
    for (file, package) in files.iter().zip(["coreutils", "systemd-zram-generator", "valgrind", "valgrind", "valgrind"])
    {
        assert!(file.exists(), "{} (package {package}) must be installed", file.display());
    }
    let programs = [
        ("vfio", env!("CARGO_BIN_EXE_vfio")),
        ("vfio-generator", env!("CARGO_BIN_EXE_vfio-generator")),
        ("vfio-udev", env!("CARGO_BIN_EXE_vfio-udev")),
        ("vfio-bind", env!("CARGO_BIN_EXE_vfio-bind")),
    ];
    let equip = |tree: Tree| {
        copy(&files, tree.path());
        std::fs::create_dir_all(tree.join("tmp/out")).unwrap();
        std::fs::write(tree.join("dev/null"), "").unwrap();
        for (name, built) in programs {
            copy(&[Path::new(built)], tree.path());
            // As packages install them: stripped.
            let stripped = Command::new("strip").arg("-o").arg(tree.join(&format!("bin/{name}"))).arg(built).status();
            assert!(stripped.unwrap().success(), "strip (package binutils)");
        }
        tree
    };
    let empty = equip(hosts::server(256).build());
    let shipped = equip(hosts::server(256).build());
    shipped.config(&std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("vfio.conf")).unwrap());
    let servers: Vec<(usize, Tree)> = [32, 256, 4096].map(|n| (n, equip(server(n)))).into_iter().collect();

    let mut cases: Vec<Case> = Vec::new();
    let mut add = |name: &str, program: &str, arguments: &[&str], tree: &Path| {
        let arguments = arguments.iter().map(|a| (*a).to_owned()).collect();
        cases.push(Case { name: name.to_owned(), program: program.to_owned(), arguments, tree: tree.to_owned() });
    };
    let out = "/tmp/out";
    add("/bin/true", "/bin/true", &[], empty.path());
    add("vfio-generator, no configuration", "/bin/vfio-generator", &[out], empty.path());
    add("vfio-generator, as installed", "/bin/vfio-generator", &[out], shipped.path());
    for (n, tree) in &servers {
        add(&format!("vfio-generator, {n} functions"), "/bin/vfio-generator", &[out], tree.path());
    }
    for (n, tree) in &servers {
        add(&format!("vfio-udev, another device, {n}"), "/bin/vfio-udev", &["0000:00:00.0"], tree.path());
        add(&format!("vfio-udev, the card, {n}"), "/bin/vfio-udev", &["0000:02:00.0"], tree.path());
    }
    for (n, tree) in &servers {
        add(&format!("vfio groups --json, {n}"), "/bin/vfio", &["groups", "--json"], tree.path());
    }
    add("zram-generator", &zram.display().to_string(), &[out], empty.path());
    // A shell script with all its tools; it looks at this machine and changes nothing on it.
    let driverctl = ["/usr/sbin/driverctl", "/usr/bin/driverctl"].into_iter().find(|p| Path::new(p).exists());
    let driverctl = driverctl.expect("driverctl (package driverctl) must be installed");
    add("driverctl load-override", driverctl, &["load-override", "0000:00:00.0"], Path::new("/"));
    add("driverctl list-devices", driverctl, &["list-devices"], Path::new("/"));

    let mut times: Vec<Vec<f64>> = cases.iter().map(|_| Vec::new()).collect();
    for round in 0..ROUNDS {
        for (case, times) in cases.iter().zip(&mut times) {
            // The slow ones need fewer.
            if round % 10 == 0 || times.last().is_none_or(|t| *t < 15_000.0) {
                times.extend(case.starts());
            }
        }
    }
    let median = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    let medians: Vec<f64> = times.iter_mut().map(median).collect();
    let devices = std::fs::read_dir("/sys/bus/pci/devices").map_or(0, Iterator::count);
    let counts: Vec<Option<u64>> = cases.iter().map(Case::instructions).collect();

    println!("| program | wall, ms | of /bin/true | instructions, thousands | of /bin/true |");
    println!("|---|---|---|---|---|");
    for ((case, wall), count) in cases.iter().zip(&medians).zip(&counts) {
        let instructions = count.map_or("a script".to_owned(), |c| c.to_string());
        let ratio = count.map_or(String::new(), |c| format!("{:.2}", c as f64 / counts[0].unwrap() as f64));
        println!("| {} | {:.2} | {:.2} | {instructions} | {ratio} |", case.name, wall / 1e3, wall / medians[0]);
    }
    let of = |name: &str| cases.iter().position(|c| c.name == name).map(|at| medians[at]).unwrap();
    println!();
    for (few, many) in [(32, 256), (256, 4096), (32, 4096)] {
        let slope = |what: &str| {
            let (a, b) = (of(&what.replace('N', &few.to_string())), of(&what.replace('N', &many.to_string())));
            (b - a) / f64::from(many - few)
        };
        let (groups, generator) = (slope("vfio groups --json, N"), slope("vfio-generator, N functions"));
        println!("from {few} to {many} functions, microseconds each: groups {groups:.2}, generator {generator:.2}");
    }
    println!(
        "driverctl list-devices: {:.0} microseconds a device ({devices} devices)",
        of("driverctl list-devices") / devices as f64
    );
    println!();
    for (name, _) in programs {
        println!("{name}: {} bytes", std::fs::metadata(empty.join(&format!("bin/{name}"))).unwrap().len());
    }
}
