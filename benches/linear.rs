// SPDX-License-Identifier: LGPL-2.1-or-later
//! `make bench`: whether every reader of other people's bytes takes twice as long for twice as much, and no longer.
//!
//! Each gets inputs of one shape, doubled until one takes half a second or is as large as a reader takes it. The last doubling
//! is judged: one that took more than three times as long fails the bench.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../tests/common/mod.rs"]
mod common;

use common::{boot, roms, Tree};
use nix::time::{clock_gettime, ClockId};
use std::fs::File;
use std::io::Read;
use std::time::Duration;
use vfio_suite::config;
use vfio_suite::host::boot::assignments::Assignments;
use vfio_suite::host::boot::{efi, BootSystem, Format};
use vfio_suite::host::domain;
use vfio_suite::host::initramfs::error::UnpackError;
use vfio_suite::host::initramfs::image::{self, Packing, Unpack};
use vfio_suite::host::kernel_cmdline::KernelCmdline;
use vfio_suite::host::rom;
use vfio_suite::plan::cmdline::record::Record;
use vfio_suite::plan::cmdline::unchecked;

/// What is measured no better than this is not judged.
const MEASURABLE: Duration = Duration::from_millis(20);
/// What takes longer is large enough.
const LONG: Duration = Duration::from_millis(500);
/// A doubling that takes more than so many times as long is not linear. Caches that no longer hold all cost less.
const WORST: f64 = 3.0;
/// No file that is read whole is larger, in bytes.
const MOST: usize = 1 << 20;

/// An entry between the comments that make it ours.
const WITHOUT_VFIO: &str =
    "# vfio: a boot entry without it ([host] rescue-entry); it is made again, changes are lost\n/a\ncmdline: ro\n# vfio: the end of that entry\n";

type Make = Box<dyn Fn(usize) -> Vec<u8>>;
type Reader = Box<dyn Fn(&[u8])>;

/// A shape of input.
struct Case {
    name: &'static str,
    /// So many times the unit of the shape, as bytes.
    make: Make,
    /// What reads them.
    read: Reader,
    most: usize,
}

fn case(name: &'static str, make: impl Fn(usize) -> String + 'static, read: impl Fn(&str) + 'static) -> Case {
    let make = Box::new(move |n| make(n).into_bytes());
    Case { name, make, read: Box::new(move |bytes| read(std::str::from_utf8(bytes).unwrap())), most: MOST }
}

fn lines(line: &'static str) -> impl Fn(usize) -> String {
    move |n| line.repeat(n)
}

fn numbered(begin: &'static str, end: &'static str) -> impl Fn(usize) -> String {
    move |n| (0..n).map(|n| format!("{begin}{n}{end}")).collect()
}

/// A file as the configuration.
fn configuration(name: &'static str, begin: &'static str, make: impl Fn(usize) -> String + 'static) -> Case {
    let read = |text: &str| drop(config::parse_files(&[("/etc/vfio.conf", text.as_bytes())]));
    case(name, move |n| format!("{begin}{}", make(n)), read)
}

/// A file as a boot file: words put in, put in again, taken out, and what is to be said of it.
fn boot_file(
    name: &'static str,
    format: Format,
    begin: &'static str,
    make: impl Fn(usize) -> String + 'static,
) -> Case {
    let read = move |text: &str| {
        let words = ["iommu=pt".to_owned(), "lab.word=1".to_owned()];
        drop(unchecked::sentences(&boot::system(format, text)));
        let first = boot::planned(format, text, &words, &Record::default(), false);
        let Ok(new) = boot::after(&first, text) else { return };
        drop(boot::planned(format, &new, &words, &first.record, true));
        drop(boot::planned(format, &new, &[], &first.record, false));
    };
    case(name, move |n| format!("{begin}{}", make(n)), read)
}

/// A file in a tree that is looked at whole.
fn in_a_tree(name: &'static str, path: &'static str, make: impl Fn(usize) -> String + 'static) -> Case {
    let read = move |text: &str| {
        let tree = common::Machine::new().build();
        tree.write("etc/default/limine", "KERNEL_CMDLINE[default]=\"ro\"\n");
        tree.write("boot/EFI/refind/refind.conf", "timeout 1\n");
        tree.write("boot/loader/entries/a.conf", "linux /a\noptions ro\n");
        tree.write(path, text);
        drop(BootSystem::scan(&tree.root()));
    };
    case(name, make, read)
}

/// Assignments as mkinitcpio's presets have them: one shape, again and again.
fn assignments(name: &'static str, begin: &'static str, shape: &'static str) -> Case {
    let read = |text: &str| drop(Assignments::read(text));
    case(name, move |n| format!("{begin}{}", shape.repeat(n)), read)
}

struct Plain;

impl Unpack for Plain {
    fn unpack(&self, _: Packing, _: File) -> Result<Box<dyn Read>, UnpackError> {
        Err(UnpackError::Failed { program: "nothing" })
    }
}

/// Entries of an initramfs.
fn archive(name: &'static str, entry: fn(usize) -> (String, u32, Vec<u8>)) -> Case {
    let make = move |n| {
        let mut bytes = Vec::new();
        for n in 0..n {
            let (name, mode, content) = entry(n);
            let fields = [n + 7, mode as usize, 0, 0, 1, 0, content.len(), 8, 1, 0, 0, name.len() + 1, 0];
            bytes.extend(b"070701");
            fields.iter().for_each(|field| bytes.extend(format!("{field:08X}").bytes()));
            bytes.extend(name.bytes().chain([0]));
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes.extend(content);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        bytes
    };
    let read = |bytes: &[u8]| {
        let tree = Tree::new(&common::text::Nodes::default());
        std::fs::create_dir_all(tree.join("boot")).unwrap();
        std::fs::write(tree.join("boot/initrd"), bytes).unwrap();
        drop(image::read_image(&tree.root(), &["boot/initrd".to_owned()], &Plain));
    };
    Case { name, make: Box::new(make), read: Box::new(read), most: 64 << 20 }
}

fn of_configuration() -> Vec<Case> {
    const GUEST: &str = "[gpu a]\ndevice=0000:01:00.0\n[guest g]\ngpus=a\n";
    vec![
        configuration("configuration: dotted keys", GUEST, numbered("a", ".bar0=256M\n")),
        configuration("configuration: equal dotted keys", GUEST, lines("a.bar0=256M\n")),
        configuration("configuration: unknown keys", GUEST, numbered("key", "=x\n")),
        configuration("configuration: commands", GUEST, lines("before=true\n")),
        configuration("configuration: equal keys", "[gpu a]\n", lines("device=0000:01:00.0\n")),
        configuration("configuration: sections", "", |n| {
            (0..n).map(|n| format!("[gpu g{n}]\ndevice=0000:{:02x}:{:02x}.0\n", n / 32 % 256, n % 32)).collect()
        }),
        configuration("configuration: equal sections", "", lines("[gpu a]\ndevice=0000:01:00.0\n")),
        configuration("configuration: guests", "[gpu a]\ndevice=0000:01:00.0\n", |n| {
            (0..n).map(|n| format!("[guest g{n}]\ngpus=a\n")).collect()
        }),
        configuration("configuration: unknown sections", "", numbered("[x", "]\n")),
        configuration("configuration: broken lines", "[host]\n", lines("x\n")),
        configuration("configuration: open lines", "[gpu a]\n", lines("rom=a\\\n")),
        configuration("configuration: broken headers", "", numbered("[gpu a", "\n")),
        configuration("configuration: comments", "", lines("# x\n")),
        configuration("configuration: one long line", "[host]\nkernel-parameters=", lines("a=b ")),
    ]
}

fn of_boot_files() -> Vec<Case> {
    use Format::{
        Bls, FirstLine, GrubCfg, GrubDefault, Kernelstub, Limine, LimineDefault, Plain, ReadLines, Refind, RefindLinux,
        SdbootManage,
    };
    const ENTRY: &str = "linux /l\n";
    vec![
        boot_file("plain: words", Plain, "", numbered("a", "=b ")),
        boot_file("plain: comments", Plain, "", lines("# x\n")),
        boot_file("plain: our words", Plain, "", lines("iommu=pt ")),
        boot_file("plain: quotes", Plain, "", lines("\" \" ")),
        boot_file("first line: words", FirstLine, "root=x ", numbered("a", "=b ")),
        boot_file("first line: more lines", FirstLine, "root=x\n", lines("a=b\n")),
        boot_file("read lines: words", ReadLines, "", numbered("a", "=b\n")),
        boot_file("read lines: an open line", ReadLines, "a\n", lines("a=b ")),
        boot_file("BLS: words", Bls, "linux /l\noptions ", numbered("a", "=b ")),
        boot_file("BLS: options lines", Bls, ENTRY, lines("options a=b\n")),
        boot_file("BLS: options lines of ours", Bls, ENTRY, lines("options iommu=pt\n")),
        boot_file("BLS: other lines", Bls, ENTRY, lines("x y\n")),
        boot_file("grub.cfg: entries", GrubCfg, "", lines("menuentry 'a' {\nlinux /l ro\n}\n")),
        boot_file("grub.cfg: quotes", GrubCfg, "", lines("linux \"/l ro\n")),
        boot_file("refind_linux.conf: equal titles", RefindLinux, "", lines("\"a\" \"ro\"\n")),
        boot_file(
            "refind_linux.conf: numbered titles",
            RefindLinux,
            "",
            numbered("\"a #", "\" \"ro\"\n\"a\" \"ro\"\n"),
        ),
        boot_file("refind_linux.conf: one long line", RefindLinux, "\"a\" \"", numbered("a", " ")),
        boot_file("refind_linux.conf: tokens", RefindLinux, "", lines("a ")),
        boot_file("refind.conf: stanzas", Refind, "", lines("menuentry a {\nloader /vmlinuz\noptions ro\n}\n")),
        boot_file("refind.conf: options", Refind, "menuentry a {\nloader /vmlinuz\n", lines("options ro\n")),
        boot_file(
            "refind.conf: added options",
            Refind,
            "menuentry a {\nloader /vmlinuz\n",
            lines("submenuentry b {\nadd_options ro\n}\n"),
        ),
        boot_file("refind.conf: a long title", Refind, "", |n| {
            format!("menuentry {} {{\nloader /vmlinuz\n{}", "a".repeat(n * 10), "options ro\n".repeat(n))
        }),
        boot_file("limine.conf: equal titles", Limine, "", lines("/a\nprotocol: linux\ncmdline: ro\n")),
        boot_file("limine.conf: numbered titles", Limine, "", numbered("/a #", "\ncmdline: ro\n/a\ncmdline: ro\n")),
        boot_file("limine.conf: command lines", Limine, "/a\n", lines("cmdline: ro\n")),
        boot_file("limine.conf: a long title", Limine, "", |n| {
            format!("/{}\n{}", "a".repeat(n * 10), "//b\ncmdline: ro\n".repeat(n))
        }),
        boot_file("limine.conf: deep", Limine, "", |n| {
            let deep = (n as f64).sqrt() as usize * 4;
            let down: String = (1..deep).map(|n| format!("{}a\n", "/".repeat(n))).collect();
            format!("{down}{}", format!("{}b\ncmdline: ro\n", "/".repeat(deep)).repeat(n / 8))
        }),
        boot_file("kernelstub: words", Kernelstub, "", |n| {
            format!("{{\"user\": {{\"kernel_options\": [{}\"b\"]}}}}", "\"a\",".repeat(n))
        }),
        boot_file("kernelstub: brackets", Kernelstub, "", lines("[")),
        boot_file("sdboot-manage: words", SdbootManage, "", |n| format!("LINUX_OPTIONS=\"{}\"\n", "a=b ".repeat(n))),
        boot_file("limine's defaults: elements", LimineDefault, "", numbered("KERNEL_CMDLINE[k", "]=\"ro\"\n")),
        boot_file("limine's defaults: one element", LimineDefault, "", lines("KERNEL_CMDLINE[default]+=\" ro\"\n")),
        boot_file("shell: assignments", GrubDefault, "", numbered("A", "=1\n")),
        boot_file("shell: one variable", GrubDefault, "", lines("GRUB_CMDLINE_LINUX_DEFAULT=\"ro\"\n")),
        boot_file("shell: appended", GrubDefault, "", lines("GRUB_CMDLINE_LINUX_DEFAULT+=\" ro\"\n")),
        boot_file("shell: each of the one before", GrubDefault, "A0=x\n", |n| {
            (0..n).map(|n| format!("A{}=\"$A{n} x\"\n", n + 1)).collect()
        }),
        boot_file("shell: files that are read", GrubDefault, "", numbered("A=1\n. /x", "\n")),
        boot_file("shell: variables and files that are read", GrubDefault, "", |n| {
            (0..n).map(|n| format!("A{n}=1\n. /x\n")).collect()
        }),
        boot_file("shell: background", GrubDefault, "", lines("a & ")),
        boot_file("shell: background in a block", GrubDefault, "{\n", lines("a & ")),
        boot_file("shell: background in a chain", GrubDefault, "a &&\n", lines("a & ")),
        boot_file("shell: a chain", GrubDefault, "", lines("a && ")),
        boot_file("shell: pipes", GrubDefault, "", lines("a | ")),
        boot_file("shell: blocks", GrubDefault, "", lines("if a; then\n")),
        boot_file("shell: blocks that end", GrubDefault, "", |n| {
            format!("{}{}", "if a; then\n".repeat(n), "a\nfi\n".repeat(n))
        }),
        boot_file("shell: braces", GrubDefault, "", lines("{ ")),
        boot_file("shell: brackets", GrubDefault, "", lines("( ")),
        boot_file("shell: functions", GrubDefault, "", numbered("f", "() {\nA=1\n}\n")),
        boot_file("shell: substitutions", GrubDefault, "A=", lines("$(a)")),
        boot_file("shell: nested substitutions", GrubDefault, "A=", |n| {
            format!("{}{}", "$(a ".repeat(n), ")".repeat(n))
        }),
        boot_file("shell: backquotes", GrubDefault, "A=", lines("`a`")),
        boot_file("shell: computed variables", GrubDefault, "A=", lines("${A:=1}")),
        boot_file("shell: arithmetic", GrubDefault, "A=", lines("$((A=1))")),
        boot_file("shell: here-documents", GrubDefault, "", lines("cat <<'A'\nA\n")),
        boot_file("shell: here-documents of one line", GrubDefault, "cat", |n| {
            format!("{}\n{}", " <<'A'".repeat(n), "A\n".repeat(n))
        }),
        boot_file("shell: broken lines", GrubDefault, "A=", lines("a\\\n")),
        boot_file("shell: comments", GrubDefault, "", lines("# x\n")),
        boot_file("shell: exports", GrubDefault, "export", numbered(" A", "=1")),
        boot_file("shell: declarations", GrubDefault, "", numbered("declare A", "=1\n")),
        boot_file("shell: quotes", GrubDefault, "A=", lines("'a'\"b\"")),
        boot_file("Limine: entries without vfio", Limine, "/a\ncmdline: ro\n", lines(WITHOUT_VFIO)),
    ]
}

/// An image of so many blocks of 512 bytes, then as many bytes as there are more.
fn option_rom(name: &'static str, make: impl Fn(usize) -> Vec<u8> + 'static) -> Case {
    let read = |bytes: &[u8]| {
        drop(rom::read(bytes, None));
        drop(rom::vfct::entries(bytes));
    };
    Case { name, make: Box::new(make), read: Box::new(read), most: 16 << 20 }
}

fn of_option_roms() -> Vec<Case> {
    let image = |blocks| roms::Image { blocks, ..roms::legacy((0x10de, 0x2482)) }.bytes();
    vec![
        option_rom("option ROM: padding", move |n| {
            let mut bytes = image(4);
            bytes.resize(n * 512, 0xff);
            bytes
        }),
        option_rom("option ROM: images", move |n| image(2).repeat(n)),
        option_rom("option ROM: beginnings without an end", |n| [0x55, 0xaa, 0x18, 0].repeat(n * 128)),
        option_rom("option ROM: VFCT", move |n| {
            let one = image(2);
            let entries: Vec<roms::VfctEntry<'_>> = (0..n).map(|_| ((1, 0, 0), (0x1002, 1), &one[..])).collect();
            roms::vfct(&entries)
        }),
    ]
}

fn of_the_machine() -> Vec<Case> {
    let mount = |begin: &'static str, end: &'static str| {
        move |n| (0..n).map(|n| format!("{n} 1 8:{} / /{begin}{n} rw - {end}\n", n % 16)).collect::<String>()
    };
    let domain = |text: &str| drop(domain::parse(text));
    vec![
        in_a_tree("mounts: FAT", "proc/self/mountinfo", mount("boot/", "vfat /dev/sda1 rw")),
        in_a_tree("mounts: others", "proc/self/mountinfo", mount("", "tmpfs none rw")),
        in_a_tree("mounts: one place", "proc/self/mountinfo", |n| "1 1 8:1 / /boot rw - vfat /dev/sda1 rw\n".repeat(n)),
        in_a_tree("limine.conf", "boot/limine.conf", lines("/a\ncmdline: ro\n")),
        in_a_tree("refind.conf", "boot/EFI/refind/refind.conf", lines("menuentry a {\n}\n")),
        in_a_tree(
            "mkinitcpio's presets",
            "etc/mkinitcpio.d/a.preset",
            numbered("a_uki=\"/boot/EFI/Linux/", ".efi\"\n"),
        ),
        assignments("presets: a variable in itself", "A=a\n", "A=$A$A$A\n"),
        assignments("presets: more of a variable", "A=a\n", "A+=$A\n"),
        assignments("presets: arrays", "A=a\n", "A+=(a)\n"),
        assignments("presets: arrays that do not end", "A=a\n", "A=("),
        assignments("presets: single quotes", "A=a\n", "A='"),
        assignments("presets: double quotes", "A=a\n", "A=\""),
        assignments("presets: names of variables", "A=a\n", "${"),
        assignments("presets: round brackets", "A=a\n", "("),
        assignments("presets: ends of arrays", "A=a\n", ")"),
        assignments("presets: comments", "A=a\n", "#"),
        assignments("presets: signs", "A=a\n", "="),
        assignments("presets: backslashes", "A=a\n", "\\"),
        in_a_tree("GRUB's file", "etc/default/grub", lines("GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX a\"\n")),
        case("the kernel's words", numbered("a", "=b "), |text| drop(KernelCmdline::parse(text))),
        case("firmware's variables", lines("a\0"), |text| drop(efi::texts(text.as_bytes()))),
        case(
            "domain: attributes",
            |n| format!("<domain><metadata><a {}/></metadata></domain>", numbered("a", "='1' ")(n)),
            domain,
        ),
        case("domain: CDATA", |n| format!("<domain><name>{}</name></domain>", "<![CDATA[a]]>".repeat(n)), domain),
        case("domain: elements", |n| format!("<domain>{}</domain>", "<a/>".repeat(n)), domain),
        case("domain: depth", |n| format!("<domain>{}{}</domain>", "<a>".repeat(n), "</a>".repeat(n)), domain),
        case(
            "domain: devices",
            |n| {
                let device = "<hostdev type='pci'><source><address domain='0' bus='1' slot='0' function='0'/></source></hostdev>";
                format!("<domain><devices>{}</devices></domain>", device.repeat(n))
            },
            domain,
        ),
        case("domain: entities", |n| format!("<domain><name>{}</name></domain>", "&amp;".repeat(n)), domain),
        case(
            "domain: namespaces",
            |n| format!("<domain>{}{}</domain>", numbered("<a xmlns:a", "='x'>")(n), "</a>".repeat(n)),
            domain,
        ),
        archive("initramfs: other files", |n| (format!("usr/lib/{n}"), 0o10_0644, Vec::new())),
        archive("initramfs: configuration", |n| (format!("etc/vfio.conf.d/{n}.conf"), 0o10_0644, b"#".to_vec())),
        archive("initramfs: large configuration", |n| {
            (format!("etc/vfio.conf.d/{n}.conf"), 0o10_0644, vec![b'#'; 1 << 16])
        }),
        archive("initramfs: links", |n| {
            (format!("etc/vfio.conf.d/{n}.conf"), 0o12_0777, format!("{}.conf", n + 1).into_bytes())
        }),
    ]
}

/// The time that this process had of the processors so far: what others do meanwhile does not count.
fn spent() -> Duration {
    let now = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).unwrap();
    Duration::from(now)
}

/// The fastest of some runs.
fn time(case: &Case, input: &[u8]) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..3 {
        let begin = spent();
        (case.read)(input);
        best = best.min(spent() - begin);
        if best > LONG {
            break;
        }
    }
    best
}

/// Doubles as long as it can be waited for, and judges the last doubling: what grows faster shows where it is large. Says the
/// bytes, the time for them and how many times as long as half of it they took.
fn judge(case: &Case) -> bool {
    let (mut half, mut now) = (Duration::ZERO, Duration::ZERO);
    let (mut n, mut bytes, mut n_of_half) = (32, 0, 0);
    while now < LONG {
        n *= 2;
        let input = (case.make)(n);
        if input.len() > case.most {
            break;
        }
        (half, now, bytes, n_of_half) = (now, time(case, &input), input.len(), n / 2);
    }
    // A busy machine slows down one of the two.
    for _ in 0..3 {
        if half >= MEASURABLE && now.as_secs_f64() / half.as_secs_f64() > WORST {
            half = half.min(time(case, &(case.make)(n_of_half)));
            now = now.min(time(case, &(case.make)(n_of_half * 2)));
        }
    }
    let ratio = (half >= MEASURABLE).then(|| now.as_secs_f64() / half.as_secs_f64());
    let ratio_text = ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
    let bad = ratio.is_some_and(|ratio| ratio > WORST);
    let mark = if bad { "  NOT LINEAR" } else { "" };
    println!("{:44} {:>9} bytes {:>9.1} ms {:>6}{mark}", case.name, bytes, now.as_secs_f64() * 1e3, ratio_text);
    !bad
}

fn main() {
    // cargo bench passes --bench; a word chooses.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    println!("{:44} {:>15} {:>12} {:>6}", "shape", "size", "time", "ratio");
    let all = [of_configuration(), of_boot_files(), of_option_roms(), of_the_machine()].into_iter().flatten();
    let selected = all.filter(|case| words.is_empty() || words.iter().any(|word| case.name.contains(word.as_str())));
    let bad = selected.filter(|case| !judge(case)).count();
    if bad > 0 {
        println!("{bad} shapes are not read in linear time");
        std::process::exit(1);
    }
}
