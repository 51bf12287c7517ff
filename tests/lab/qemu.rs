// SPDX-License-Identifier: LGPL-2.1-or-later
//! One run of QEMU: started, watched, given what its guest asks for, and ended by its process id.
//!
//! A run has a directory. In it: `console.log` (the serial console), `qemu.log`, and `share`, which the guest mounts
//! at /lab. The guest runs `share/script` and leaves there: `facts` (lines `name=value`), `output` (what the script
//! printed) and whatever else it writes. A guest that writes `share/request` gets `share/reply` (guest/lab.sh: `host`).

use crate::{picture, qmp::Qmp, tools};
use anyhow::{bail, Context, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

/// So many virtual machines at once, whatever the number of test threads: each keeps a core busy, or two.
const AT_ONCE: usize = 2;

static RUNNING: Mutex<usize> = Mutex::new(0);
static ENDED: Condvar = Condvar::new();

/// Without what no scenario needs and a kernel under emulation takes seconds to find.
const MACHINE: &str = "q35,kernel-irqchip=split,sata=off,smbus=off,i8042=off";

/// Without the string instructions that kernels clear and copy pages with: emulated byte by byte they are slow, and QEMU
/// 7.2 was seen to hang in them, one byte a timer tick. `WORDS` has the kernel leave those alone that remain.
const CPU: &str = "max,erms=off,fsrm=off";

/// Words for every kernel: the flag rep_good off (see `CPU`), no slowness that guards against other guests, no test of the
/// timer that fails on a busy host, a panic ends the run, and each driver that is tried on a device is logged.
pub const WORDS: &str =
    "console=ttyS0 clearcpuid=112 mitigations=off no_timer_check panic=-1 log_buf_len=8M dyndbg=\"file dd.c +p\"";

/// What the guest calls in its script.
const LIBRARY: &str = include_str!("guest/lab.sh");

/// What a machine starts from.
pub enum Start {
    /// QEMU loads the kernel.
    Kernel {
        /// The kernel.
        kernel: PathBuf,
        /// Its initramfs.
        initrd: PathBuf,
        /// The kernel's command line.
        words: String,
        /// OVMF starts it instead of SeaBIOS: the machine's own copy of that firmware's variables.
        variables: Option<PathBuf>,
    },
    /// OVMF starts what it finds on the disk.
    Firmware {
        /// The machine's own copy of the firmware's variables.
        variables: PathBuf,
        /// Whether it is the firmware for Secure Boot, which keeps its variables from the kernel.
        secure: bool,
    },
}

/// A power cut.
#[derive(Clone)]
pub struct Cut {
    /// It comes when the console has shown this,
    pub at: String,
    /// and then this time has passed.
    pub after: Duration,
}

/// What to run.
pub struct Spec {
    /// What it starts from.
    pub start: Start,
    /// The disk, /dev/vda: raw if its name ends in `.img`, otherwise qcow2.
    pub disk: Option<PathBuf>,
    /// The devices that the disk is on, after all others: `drive=disk`. By itself it is a virtio disk before them.
    pub attached: Vec<String>,
    /// Memory in MiB.
    pub memory: u32,
    /// `-device` and its like, in order, after the IOMMU.
    pub devices: Vec<String>,
    /// What the guest does.
    pub script: String,
    /// The machine is cut off.
    pub cut: Option<Cut>,
    /// The guest may reboot; otherwise a reboot ends the run.
    pub reboots: bool,
    /// It must be over by then.
    pub deadline: Duration,
}

impl Spec {
    /// Its firmware does not come back from a reset that the guest asks for: now and then OVMF never reaches its loader again
    /// (QEMU 7.2, TCG, with an IOMMU that the guest had switched on). A reboot is a new QEMU then, on the same disk.
    fn starts_from_its_disk(&self) -> bool {
        matches!(self.start, Start::Firmware { .. })
    }
}

/// What a run left.
#[derive(Debug)]
pub struct Outcome {
    dir: PathBuf,
    facts: BTreeMap<String, String>,
}

impl Outcome {
    /// A fact that the guest wrote down; "" if it did not.
    pub fn fact(&self, name: &str) -> &str {
        self.facts.get(name).map_or("", String::as_str)
    }

    /// All facts.
    pub fn facts(&self) -> &BTreeMap<String, String> {
        &self.facts
    }

    /// A file that the guest left in the share; "" if it did not. Bytes that are no text are replaced.
    pub fn text(&self, name: &str) -> String {
        fs::read(self.file(name)).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default()
    }

    /// Where such a file is.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.join("share").join(name)
    }

    /// The colours of a screenshot that the guest asked for.
    pub fn colours(&self, name: &str) -> Result<BTreeSet<[u8; 3]>> {
        picture::colours(&self.file(&format!("{name}.ppm")))
    }

    /// A JSON file that the guest left.
    pub fn json(&self, name: &str) -> Result<serde_json::Value> {
        serde_json::from_str(&self.text(name)).with_context(|| format!("{name} is not JSON: {:?}", self.text(name)))
    }
}

fn read(path: &Path) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).replace('\r', "")).unwrap_or_default()
}

/// Waits for one of the places; gives it back when dropped.
struct BootFile;

impl BootFile {
    fn take() -> Result<Self> {
        let poisoned = |_| anyhow::anyhow!("another test of the lab panicked");
        let mut running = RUNNING.lock().map_err(poisoned)?;
        while *running >= AT_ONCE {
            running = ENDED.wait(running).map_err(|_| anyhow::anyhow!("another test of the lab panicked"))?;
        }
        *running += 1;
        Ok(BootFile)
    }
}

impl Drop for BootFile {
    fn drop(&mut self) {
        if let Ok(mut running) = RUNNING.lock() {
            *running -= 1;
        }
        ENDED.notify_one();
    }
}

/// A QEMU that ends with its owner.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already in the usual case; then both calls find nothing to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A multi-function card on a root port of its own (`rpN`, bus N where nothing but such ports is before it): a display
/// that bochs drives, and its audio, in one IOMMU group, as graphics cards have them.
pub fn card(n: u32) -> Vec<String> {
    let mut devices = vec![port(n)];
    devices.extend([
        format!("-device secondary-vga,id=card{n}v,bus=rp{n},addr=0.0,multifunction=on"),
        format!("-device intel-hda,id=card{n}a,bus=rp{n},addr=0.1,multifunction=on"),
        format!("-device hda-output,bus=card{n}a.0,audiodev=silence"),
    ]);
    devices
}

/// A root port without a card. Its window is reserved, for a card that is plugged in later. All windows together must
/// stay below 1G: SeaBIOS hangs where they do not fit.
pub fn port(n: u32) -> String {
    port_of(n, "64M")
}

/// The same with another window.
pub fn port_of(n: u32, reserve: &str) -> String {
    format!("-device pcie-root-port,id=rp{n},chassis={n},slot={n},pref64-reserve={reserve}")
}

/// The display that the firmware boots on.
pub fn host_display() -> String {
    "-device VGA,id=hostvga,addr=0x10".to_owned()
}

fn start(spec: &Spec, dir: &Path) -> Result<Command> {
    let share = dir.join("share");
    // The machine ends with the thread that started it, also when the tests are killed.
    let mut command = tools::command("setpriv")?;
    command.args(["--pdeathsig", "KILL"]).arg(tools::find("qemu-system-x86_64")?);
    // One processor: with two, each now and then runs what the other has just patched in the kernel ("Oops: int3").
    command.args(["-machine", MACHINE, "-accel", "tcg,thread=single", "-cpu", CPU]);
    command.args(["-m", &spec.memory.to_string(), "-nodefaults", "-no-user-config", "-display", "none"]);
    command.args(["-audiodev", "none,id=silence"]);
    command.args(["-device", "intel-iommu,intremap=on,caching-mode=on"]);
    let (variables, secure) = match &spec.start {
        Start::Kernel { kernel, initrd, words, variables } => {
            command.arg("-kernel").arg(kernel).arg("-initrd").arg(initrd).args(["-append", words]);
            (variables.as_ref(), false)
        }
        Start::Firmware { variables, secure } => (Some(variables), *secure),
    };
    if secure {
        command.args(["-machine", "smm=on", "-global", "driver=cfi.pflash01,property=secure,value=on"]);
        command.args(["-global", "ICH9-LPC.disable_s3=1"]);
    }
    if let Some(variables) = variables {
        let code = tools::firmware(if secure { "OVMF_CODE_4M.secboot.fd" } else { "OVMF_CODE_4M.fd" })?;
        let flash = |unit, more, file: &Path| format!("if=pflash,format=raw,unit={unit}{more},file={}", file.display());
        command.args(["-drive", &flash(0, ",readonly=on", &code), "-drive", &flash(1, "", variables)]);
    }
    let console = dir.join("console.log");
    command.arg("-chardev").arg(format!("file,id=console,append=on,path={}", console.display()));
    command.args(["-serial", "chardev:console"]);
    command.args(["-chardev", "stdio,id=qmp,signal=off", "-mon", "chardev=qmp,mode=control"]);
    command.arg("-virtfs").arg(format!("local,path={},mount_tag=lab,security_model=none", share.display()));
    if let Some(disk) = &spec.disk {
        let format = if disk.extension().is_some_and(|extension| extension == "img") { "raw" } else { "qcow2" };
        command.arg("-drive").arg(format!("file={},if=none,id=disk,format={format}", disk.display()));
        // Without a place in the order the firmware tries the network and its shell too; QEMU's own kernel is the first.
        if spec.attached.is_empty() {
            command.args(["-device", "virtio-blk-pci,drive=disk,bootindex=1"]);
        }
    }
    for device in spec.devices.iter().chain(&spec.attached) {
        command.args(device.split_whitespace());
    }
    if !spec.reboots || spec.starts_from_its_disk() {
        command.arg("-no-reboot");
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(fs::File::create(dir.join("qemu.log"))?);
    Ok(command)
}

/// Runs a machine to its end. A guest that does not finish its script is an error, unless it was to be cut off.
pub fn run(spec: &Spec, dir: &Path) -> Result<Outcome> {
    let share = dir.join("share");
    fs::create_dir_all(&share)?;
    fs::write(share.join("script"), &spec.script)?;
    fs::write(share.join("lab.sh"), LIBRARY)?;
    // QEMU goes on where the last one ended.
    fs::write(dir.join("console.log"), "")?;
    let mut command = start(spec, dir)?;
    fs::write(dir.join("command"), format!("{command:?}\n"))?;
    let _place = BootFile::take()?;
    let began = Instant::now();
    let mut process = Process(command.spawn().context("cannot start QEMU")?);
    let mut qmp = Qmp::new(&mut process.0)?;
    let mut busy = 0.0;
    let was_cut = loop {
        busy = processor_seconds(process.0.id()).unwrap_or(busy);
        if let Some(status) = process.0.try_wait()? {
            if !status.success() {
                bail!("QEMU ended with {status}: {}", read(&dir.join("qemu.log")));
            }
            if spec.reboots && spec.starts_from_its_disk() && !read(&share.join("facts")).contains("exit=") {
                if began.elapsed() > spec.deadline {
                    bail!("it was not over after {} s; {}", spec.deadline.as_secs(), tail(dir));
                }
                process = Process(start(spec, dir)?.spawn().context("cannot start QEMU again")?);
                qmp = Qmp::new(&mut process.0)?;
                continue;
            }
            break false;
        }
        if let Some(cut) = spec.cut.as_ref().filter(|cut| read(&dir.join("console.log")).contains(cut.at.as_str())) {
            std::thread::sleep(cut.after);
            // The guest's memory is gone at once, and so is what QEMU itself had not yet written for it: the tables of a
            // qcow2 image, without which a write to a new cluster has not been, are safe only after a flush. As on a disk
            // with a cache, what the guest had not flushed is lost or not, in any order.
            process.0.kill()?;
            process.0.wait()?;
            break true;
        }
        if began.elapsed() > spec.deadline {
            // Systemd has ended all there is; an emulated NVMe disk with virtual functions was once not switched off then.
            let is_over = read(&share.join("facts")).contains("exit=")
                && read(&dir.join("console.log")).contains("systemd-shutdown[1]: Powering off.");
            if is_over && !spec.reboots && spec.cut.is_none() {
                println!("lab: {} was over, and not switched off", dir.display());
                process.0.kill()?;
                process.0.wait()?;
                break true;
            }
            bail!("it was not over after {} s; {}", spec.deadline.as_secs(), tail(dir));
        }
        serve(&share, &mut qmp)?;
        std::thread::sleep(Duration::from_millis(50));
    };
    let facts: BTreeMap<_, _> = read(&share.join("facts"))
        .lines()
        .filter_map(|line| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())))
        .collect();
    fs::write(dir.join("seconds"), format!("{:.1}, of a processor {busy:.1}\n", began.elapsed().as_secs_f32()))?;
    let outcome = Outcome { dir: dir.to_owned(), facts };
    match (&spec.cut, was_cut, outcome.fact("exit")) {
        (Some(_), true, _) | (None, _, "0") => Ok(outcome),
        (Some(cut), false, _) => bail!("the console never showed {:?}; {}", cut.at, tail(dir)),
        (None, _, "") => bail!("the machine went down before its script had ended; {}", tail(dir)),
        (None, _, code) => bail!("the script in the machine ended with {code}; {}", tail(dir)),
    }
}

/// The processor time that a process has used: fields 14 and 15 of its stat, in hundredths of a second.
fn processor_seconds(pid: u32) -> Option<f32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let ticks: f32 = fields.next()?.parse().ok()?;
    let system: f32 = fields.next()?.parse().ok()?;
    Some((ticks + system) / 100.0).filter(|seconds| *seconds > 0.0)
}

/// The end of what the console and the script said.
fn tail(dir: &Path) -> String {
    let last = |path: PathBuf| {
        let text = read(&path);
        let lines: Vec<&str> = text.lines().collect();
        format!("{} ends:\n{}", path.display(), lines[lines.len().saturating_sub(12)..].join("\n"))
    };
    format!("{}\n{}", last(dir.join("console.log")), last(dir.join("share/output")))
}

/// Does what the guest asks for, if it does: `qmp JSON` carries out a command of QEMU, `screenshot DEVICE NAME` leaves what a
/// display shows as NAME.ppm and answers how many colours it has, `say TEXT` prints it here.
fn serve(share: &Path, qmp: &mut Qmp) -> Result<()> {
    let request = share.join("request");
    let Ok(text) = fs::read_to_string(&request) else {
        return Ok(());
    };
    fs::remove_file(&request)?;
    let reply = match text.trim().split_once(' ') {
        Some(("qmp", json)) => {
            let json: serde_json::Value = serde_json::from_str(json).with_context(|| format!("request {text:?}"))?;
            let name = json["execute"].as_str().context("a QMP request without 'execute'")?.to_owned();
            match qmp.execute(&name, json.get("arguments").cloned()) {
                Ok(value) => value.to_string(),
                Err(error) => format!("error: {error:#}"),
            }
        }
        Some(("screenshot", words)) => {
            let (device, name) = words.split_once(' ').context("a screenshot wants a device and a name")?;
            let file = share.join(format!("{name}.ppm"));
            let arguments = serde_json::json!({ "device": device, "filename": file });
            let taken = qmp.execute("screendump", Some(arguments)).and_then(|_| picture::colours(&file));
            taken.map_or_else(|error| format!("error: {error:#}"), |colours| colours.len().to_string())
        }
        Some(("say", words)) => {
            println!("{words}");
            String::new()
        }
        _ => bail!("the guest asks for {text:?}, which the lab does not know"),
    };
    // Renamed, so that the guest never reads half of it.
    fs::write(share.join("reply.new"), reply)?;
    fs::rename(share.join("reply.new"), share.join("reply"))?;
    Ok(())
}
