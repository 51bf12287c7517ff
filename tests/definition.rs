// SPDX-License-Identifier: LGPL-2.1-or-later
//! Domains as libvirt has them, a section, and what `vfio guest edit` makes of both: `tests/golden/definition/NAME.xml` and
//! `NAME.conf` become `NAME.txt` (what is printed) and `NAME.after.xml`. `UPDATE_GOLDEN=1 cargo test --test definition` writes
//! the last two; read the difference then. The domains are what libvirt 11.3 (Debian 13) dumps of those in
//! `tests/golden/domains`; `tests/libvirt.sh` has the real libvirt judge what became of them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::definition::{card, facts, guests};
use common::keyboards::keyboard_and_mouse;
use common::{domain, hosts, Tree};
use proptest::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};
use vfio_suite::plan::definition::request::Request;
use vfio_suite::plan::definition::{plan, three_way};

const VFIO: &str = env!("CARGO_BIN_EXE_vfio");

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/definition")
}

/// One case: a machine with its configuration and a domain.
struct Case {
    name: String,
    tree: Tree,
    domain: String,
    before: String,
}

/// Four cores of two threads each, in two last-level caches.
fn eight_cpus(tree: &Tree) {
    let cpus = "sys/devices/system/cpu";
    tree.write(&format!("{cpus}/online"), "0-7\n");
    tree.write(&format!("{cpus}/present"), "0-7\n");
    for cpu in 0..8 {
        let (core, cache) = (cpu / 2 * 2, cpu / 4 * 4);
        tree.write(&format!("{cpus}/cpu{cpu}/topology/core_cpus_list"), &format!("{core}-{}\n", core + 1));
        tree.write(&format!("{cpus}/cpu{cpu}/cache/index3/shared_cpu_list"), &format!("{cache}-{}\n", cache + 3));
    }
}

impl Case {
    fn new(name: &str, before: &str) -> Case {
        let conf = fs::read_to_string(golden().join(format!("{name}.conf"))).unwrap();
        let (first, config) = conf.split_once('\n').unwrap();
        let machine = first.strip_prefix("# machine: ").expect("the first line names the machine");
        let tree = hosts::unpack(machine);
        tree.config(config);
        eight_cpus(&tree);
        keyboard_and_mouse(&tree);
        tree.write("sys/class/net/br0/bridge/bridge_id", "8000.000000000000\n");
        for directory in ["etc/libvirt/qemu/networks", "run/libvirt/network"] {
            tree.write(&format!("{directory}/default.xml"), "<network/>\n");
        }
        tree.write("etc/passwd", "root:x:0:0::/root:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh\n");
        let name_line = config.lines().find_map(|line| line.strip_prefix("domain = ")).unwrap();
        domain::define(&tree, name_line, before);
        Case { name: name.to_owned(), domain: name_line.to_owned(), tree, before: before.to_owned() }
    }

    fn edit(&self, options: &[&str]) -> (Option<i32>, String) {
        let words: Vec<&str> = ["guest", "edit", "w"].iter().chain(options).copied().collect();
        let ran = self.tree.run(VFIO, &words);
        // What the simulator says that it does is for who calls it.
        let said = ran.stderr.lines().filter(|line| !line.starts_with("vfio: would run: "));
        let said: String = said.map(|line| format!("{line}\n")).collect();
        (ran.status, format!("{}{said}", ran.stdout).replace(&self.tree.path().display().to_string(), "ROOT"))
    }

    fn now(&self) -> String {
        self.tree.read(&format!(".kernel/domains/{}.xml", self.domain))
    }

    fn kept(&self) -> bool {
        let kept = self.tree.join("var/lib/vfio/domains");
        kept.exists() && fs::read_dir(kept).unwrap().next().is_some()
    }
}

fn cases() -> Vec<Case> {
    let files = fs::read_dir(golden()).unwrap().map(|entry| entry.unwrap().path());
    let names = files.filter_map(|path| Some(path.file_name()?.to_str()?.strip_suffix(".conf")?.to_owned()));
    let mut names: Vec<String> = names.collect();
    names.sort();
    assert!(names.len() >= 40, "cases are missing");
    let before = |name: &String| fs::read_to_string(golden().join(format!("{name}.xml"))).unwrap();
    names.iter().map(|name| Case::new(name, &before(name))).collect()
}

/// Whether nothing was to be changed.
fn is_refused(printed: &str) -> bool {
    printed.contains("refused: ") || printed.starts_with("vfio: ")
}

/// Compares with a golden file, or writes it.
fn compare(path: &Path, found: &str, wrong: &mut Vec<String>) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        return fs::write(path, found).unwrap();
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    if expected != found {
        let line = expected.lines().zip(found.lines()).position(|(one, other)| one != other).unwrap_or(0);
        let at = |text: &str| text.lines().skip(line).take(4).collect::<Vec<_>>().join("\n");
        wrong.push(format!("{}:{}\nexpected:\n{}\nfound:\n{}", path.display(), line + 1, at(&expected), at(found)));
    }
}

#[test]
fn domains_become_what_their_sections_say_and_back() {
    let cases = cases();
    let wrong = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for part in cases.chunks(cases.len().div_ceil(4)) {
            scope.spawn(|| part.iter().for_each(|case| wrong.lock().unwrap().extend(there_and_back(case))));
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}\nUPDATE_GOLDEN=1 writes what is found", wrong.join("\n"));
}

/// Shows, changes, changes again, and undoes; what differs from the golden files.
fn there_and_back(case: &Case) -> Vec<String> {
    let mut wrong = Vec::new();
    let name = &case.name;
    let (code, dry) = case.edit(&["--dry-run"]);
    assert_eq!(case.now(), case.before, "{name}: --dry-run changed the domain");
    assert!(!case.kept(), "{name}: --dry-run left something");
    let (asked, _) = case.edit(&[]);
    assert_eq!(case.now(), case.before, "{name}: it was changed without a question");
    let (done, printed) = case.edit(&["--yes"]);
    compare(&golden().join(format!("{name}.txt")), &printed, &mut wrong);
    compare(&golden().join(format!("{name}.after.xml")), &case.now(), &mut wrong);
    if is_refused(&printed) {
        assert_eq!((code, asked, done), (Some(2), Some(2), Some(2)), "{name}: {dry}");
        assert_eq!(case.now(), case.before, "{name}: refused, and changed");
        assert!(!case.kept(), "{name}: refused, and something is left");
        return wrong;
    }
    assert_eq!((code, asked, done), (Some(1), Some(64), Some(0)), "{name}: {dry}{printed}");
    assert!(printed.starts_with(&dry), "{name}: what was done is not what was shown");
    // Twice is once.
    let after = case.now();
    let (again, said) = case.edit(&["--yes"]);
    // What the next start needs is said each time.
    let said: String = said.lines().filter(|line| !line.starts_with("warning: ")).collect();
    assert_eq!((again, said.as_str()), (Some(0), "nothing to do"), "{name}");
    assert_eq!(case.now(), after, "{name}");
    // And back, to the byte.
    let (undone, said) = case.edit(&["--undo", "--yes"]);
    assert_eq!(undone, Some(0), "{name}: {said}");
    assert_eq!(case.now(), case.before, "{name}: undo after edit is not nothing");
    assert!(!case.kept(), "{name}: something is left after the undo");
    let (none, said) = case.edit(&["--undo", "--yes"]);
    assert_eq!(none, Some(2), "{name}: {said}");
    wrong
}

/// A case, its domain after an edit, and where its texts are kept.
fn edited(name: &str) -> (Case, String, String) {
    let case = Case::new(name, &fs::read_to_string(golden().join(format!("{name}.xml"))).unwrap());
    let (code, said) = case.edit(&["--yes"]);
    assert_eq!(code, Some(0), "{said}");
    let after = case.now();
    let uuid = fs::read_dir(case.tree.join("var/lib/vfio/domains")).unwrap().next().unwrap().unwrap().file_name();
    (case, after, format!("var/lib/vfio/domains/{}", uuid.to_str().unwrap()))
}

/// A program that is killed at any point loses nothing: these are the files of each point (`act::definition::kept`), with the
/// domain as it was and as it became.
#[test]
fn an_edit_that_was_killed_is_undone_and_repeated() {
    for (files, has_changed) in [
        (&["before.xml"][..], false),
        (&["before.xml", "after.xml"], false),
        (&["before.xml", "after.xml", "pending.xml"], false),
        // libvirt has taken the text, and what it made of it was not written down.
        (&["before.xml", "after.xml", "pending.xml"], true),
    ] {
        for again in [false, true] {
            let (case, after, kept) = edited("win10-single-amd");
            fs::remove_file(case.tree.join(&format!("{kept}/after.xml"))).unwrap();
            for file in files {
                let text = if *file == "pending.xml" { &after } else { &case.before };
                case.tree.write(&format!("{kept}/{file}"), text);
            }
            domain::define(&case.tree, &case.domain, if has_changed { &after } else { &case.before });
            if again {
                let (code, said) = case.edit(&["--yes"]);
                assert_eq!(code, Some(0), "{files:?}: {said}");
                assert_eq!(case.now(), after, "{files:?}");
            }
            let (code, said) = case.edit(&["--undo", "--yes"]);
            assert_eq!(code, Some(0), "{files:?}: {said}");
            assert_eq!(case.now(), case.before, "{files:?}");
            assert!(!case.kept(), "{files:?}");
        }
    }
}

/// `--reset-nvram` puts the guest's UEFI variables aside before libvirt makes new ones for another firmware; they come back with
/// an undo, and where libvirt does not take the change.
#[test]
fn variables_are_put_aside_for_another_firmware_and_come_back() {
    const VARIABLES: &str = "var/lib/libvirt/qemu/nvram/win11_VARS.fd";
    let name = "win11-tpm-secure-boot";
    let before = fs::read_to_string(golden().join(format!("{name}.xml"))).unwrap();
    let conf = fs::read_to_string(golden().join(format!("{name}.conf"))).unwrap();
    for (fails, undo) in [(true, false), (false, true)] {
        let case = Case::new(name, &before);
        let variables = vfio_suite::plan::definition::variables(&before).unwrap_or(format!("/{VARIABLES}"));
        let (variables, aside) = (variables.trim_start_matches('/').to_owned(), format!("{variables}.before-vfio"));
        case.tree.write(&variables, "the guest's");
        let (_, config) = conf.split_once('\n').unwrap();
        let without: String =
            config.lines().filter(|line| !line.starts_with("secure-boot")).map(|line| format!("{line}\n")).collect();
        case.tree.config(&format!("{without}secure-boot = no\n"));
        let (code, said) = case.edit(&["--yes"]);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("[firmware-change]"), "{said}");
        assert_eq!(case.tree.read(&variables), "the guest's", "refused, and they are gone");
        if fails {
            case.tree.faults("*define* EIO\n");
        }
        let (code, said) = case.edit(&["--yes", "--reset-nvram"]);
        assert_eq!(code, Some(if fails { 2 } else { 0 }), "{said}");
        if undo {
            assert!(!case.tree.exists(&variables) && case.tree.exists(&aside[1..]), "they were not put aside");
            // The guest has started meanwhile, with new ones.
            case.tree.write(&variables, "new");
            let (code, said) = case.edit(&["--undo", "--yes"]);
            assert_eq!(code, Some(0), "{said}");
        }
        assert_eq!(case.now(), before);
        assert_eq!(case.tree.read(&variables), "the guest's");
        assert!(!case.tree.exists(&aside[1..]) && !case.kept());
    }
}

/// libvirt that fails leaves the domain as it was, and nothing of ours.
#[test]
fn a_definition_that_fails_changes_nothing() {
    let name = "win10-single-amd";
    for fault in ["*define* EIO", "*dominfo* EIO", "*dumpxml* EIO", "*version* EIO"] {
        let case = Case::new(name, &fs::read_to_string(golden().join(format!("{name}.xml"))).unwrap());
        case.tree.faults(&format!("{fault}\n"));
        let (code, said) = case.edit(&["--yes"]);
        assert_eq!(code, Some(2), "{fault}: {said}");
        assert!(said.contains("vfio: virsh: "), "{fault}: {said}");
        assert_eq!(case.now(), case.before, "{fault}");
        assert!(!case.kept(), "{fault}");
    }
}

/// What vfio keeps of a domain is root's alone: it may have a password in it.
#[test]
fn what_is_kept_is_read_by_nobody_else() {
    use std::os::unix::fs::PermissionsExt;
    let (case, _, kept) = edited("win10-single-amd");
    let mode = |path: &str| fs::metadata(case.tree.join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&kept), 0o700);
    assert_eq!((mode(&format!("{kept}/before.xml")), mode(&format!("{kept}/after.xml"))), (0o600, 0o600));
}

/// What the real libvirt dumps of the domains that became of ours needs no further change: `tests/libvirt.sh` makes the
/// directory.
#[test]
fn what_libvirt_makes_of_them_is_as_it_should_be() {
    let Some(dumps) = std::env::var_os("VFIO_LIBVIRT_DUMPS") else { return };
    let mut seen = 0;
    for suite in fs::read_dir(dumps).unwrap() {
        for entry in fs::read_dir(suite.unwrap().path()).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap();
            let case = Case::new(name, &fs::read_to_string(&path).unwrap());
            let printed = fs::read_to_string(golden().join(format!("{name}.txt"))).unwrap();
            let (code, said) = case.edit(&["--dry-run"]);
            if is_refused(&printed) {
                assert_eq!((code, said.as_str()), (Some(2), printed.as_str()), "{}", path.display());
            } else {
                // What is to be known of the guest is said again.
                assert_eq!((code, said.lines().last()), (Some(0), Some("nothing to do")), "{}: {said}", path.display());
            }
            seen += 1;
        }
    }
    assert!(seen >= 40, "{seen} dumps");
}

/// A piece of a domain or of its devices; `#` becomes a number of its own.
fn piece(devices: bool) -> impl Strategy<Value = &'static str> {
    const UNKNOWN: [&str; 6] = [
        "<x# a='1' b=\"2\">t<y/></x#>",
        "<!-- kept # -->",
        "<p:q xmlns:p='urn:#' n='a > b'/>",
        "<x#><![CDATA[<vcpu>#</vcpu>]]></x#>",
        "<x#/>",
        "<?kept #?>",
    ];
    const DOMAIN: [&str; 9] = [
        "<memory unit='GiB'>4</memory>",
        "<currentMemory>4194304</currentMemory>",
        "<memoryBacking><locked/><!-- in # --></memoryBacking>",
        "<vcpu>2</vcpu>",
        "<features/>",
        "<features><acpi/><hyperv mode='custom'><stimer state='on'/></hyperv></features>",
        "<cpu mode='custom'><model>a</model><feature policy='disable' name='x'/></cpu>",
        "<cputune><vcpupin vcpu='0' cpuset='1'/><shares>5</shares></cputune>",
        "<iothreads>2</iothreads>",
    ];
    const DEVICES: [&str; 14] = [
        "<graphics type='spice' autoport=\"yes\"/>",
        "<graphics type='vnc' listen='0.0.0.0' passwd='secret'><listen type='address' address='0.0.0.0'/></graphics>",
        "<video><model type='qxl'/></video>",
        "<video><model type='none'/></video>",
        "<channel type='spicevmc'><target type='virtio'/></channel>",
        "<redirdev bus='usb' type='spicevmc'/>",
        "<sound model='ich9'/>",
        "<memballoon model='virtio'/>",
        "<input type='tablet' bus='usb'/>",
        "<input type='evdev'><source dev='/dev/input/by-id/k-event-kbd'/></input>",
        "<shmem name='other'><model type='ivshmem-plain'/><size unit='M'>4</size></shmem>",
        "<hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0' bus='3' slot='0' function='0'/>\
         </source><address type='unassigned'/></hostdev>",
        "<hostdev type='usb'><source><vendor id='0x046d'/><product id='0xc52b'/></source></hostdev>",
        "<disk type='file' device='disk'><source file='/a'/><target dev='sda' bus='sata'/></disk>",
    ];
    let known: Vec<&str> = if devices { DEVICES.to_vec() } else { DOMAIN.to_vec() };
    prop_oneof![proptest::sample::select(UNKNOWN.to_vec()), proptest::sample::select(known)]
}

/// A domain of pieces, each known element of a domain once, and what of it no feature may touch.
fn assembled(own: &[&'static str], devices: &[&'static str], newline: &str, indent: bool) -> (String, Vec<String>) {
    let (mut number, mut kept, mut seen) = (0, Vec::new(), Vec::new());
    let mut write = |pieces: &[&'static str], depth: usize, once: bool| {
        let mut text = String::new();
        for piece in pieces {
            let name = piece.trim_start_matches('<').split([' ', '>', '/']).next().unwrap();
            // libvirt's own elements of a domain are there once, and of its devices no two are alike: each has an address.
            let one = if once { name } else { piece };
            if !piece.contains('#') {
                if seen.contains(&one) {
                    continue;
                }
                seen.push(one);
            }
            number += 1;
            let one = piece.replace('#', &number.to_string());
            if piece.contains('#') && !piece.contains("in #") {
                kept.push(one.clone());
            }
            text.push_str(&if indent { format!("{newline}{}{one}", "  ".repeat(depth)) } else { one });
        }
        text
    };
    let own = write(own, 1, true);
    let devices = write(devices, 2, false);
    let (start, end) = if indent { (format!("{newline}  "), newline) } else { (String::new(), "") };
    let text = format!(
        "<domain type='kvm'>{start}<name>a</name>{start}<os><type machine='pc-q35-10.0'>hvm</type></os>{own}{start}<devices>\
         {devices}{start}</devices>{end}</domain>{end}"
    );
    (text, kept)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Edit twice is edit once; what no feature knows stays where it is, to the byte; an undo takes back what was changed and
    /// leaves what others added.
    #[test]
    fn a_domain_of_any_pieces_is_edited_once_and_loses_nothing(
        own in proptest::collection::vec(piece(false), 0..8),
        devices in proptest::collection::vec(piece(true), 0..12),
        crlf in any::<bool>(),
        indent in any::<bool>(),
        which in 0..4usize,
    ) {
        let (before, kept) = assembled(&own, &devices, if crlf { "\r\n" } else { "\n" }, indent);
        let (facts, cards) = (facts(), [card()]);
        let request = Request { guest: &guests().guests[which], cards: &cards, facts: &facts, reset_variables: true, installation: None };
        let changes = plan(&before, &request).unwrap();
        let after = changes.apply(&before);
        let texts = changes.texts(&before);
        prop_assert_eq!(texts.last(), Some(&after));
        let again = plan(&after, &request).unwrap();
        prop_assert!(again.changes.is_empty(), "{:?}\n{}\n{}", again.changes, before, after);
        let mut at = 0;
        for piece in &kept {
            let found = after[at..].find(piece.as_str());
            prop_assert!(found.is_some(), "{} is lost or moved:\n{}\n{}", piece, before, after);
            at += found.unwrap() + piece.len();
        }
        prop_assert_eq!(&three_way::undo(&before, &after, &after).unwrap().text, &before);
        let theirs = after.replace("</devices>", "<theirs/></devices>");
        let undone = three_way::undo(&before, &after, &theirs).unwrap();
        prop_assert!(undone.both.is_empty(), "{:?}", undone.both);
        prop_assert!(undone.text.contains("<theirs/>") && !undone.text.contains("ua-vfio"), "{}", undone.text);
        prop_assert_eq!(undone.text.replace("<theirs/>", ""), before);
    }
}

/// What the next start needs, and an edit does not change: said, and the domain is changed all the same.
#[test]
fn what_the_next_start_needs_is_said() {
    use std::os::unix::fs::PermissionsExt;
    let before = fs::read_to_string(golden().join("huge-pages-1g.xml")).unwrap();
    let network =
        "<interface type='network'>\n      <source network='lab'/>\n    </interface>\n    <audio id='1' type='none'/>";
    let case = Case::new("huge-pages-1g", &before.replacen("<audio id='1' type='none'/>", network, 1));
    let tree = &case.tree;
    common::desktop::desktop(tree, "0000:03:00.0", None);
    let passwd = tree.read("etc/passwd");
    tree.write("etc/passwd", &format!("{passwd}libvirt-qemu:x:64055:109::/:/bin/false\n"));
    tree.write("etc/group", "kvm:x:104:\nlibvirt:x:120:ada\n");
    tree.write("etc/libvirt/qemu/networks/lab.xml", "<network/>\n");
    tree.write("var/lib/vfio/big.rom", "x");
    fs::set_permissions(tree.join("var/lib/vfio/big.rom"), fs::Permissions::from_mode(0o600)).unwrap();
    tree.write("usr/lib/x86_64-linux-gnu/qemu/audio-alsa.so", "");
    let (code, said) = case.edit(&["--yes"]);
    assert_eq!(code, Some(0), "{said}");
    for part in [
        "domain huge needs libvirt's network 'lab', which is not active; start it ('virsh -c qemu:///system net-start lab')",
        "domain huge plays by PulseAudio, and that part of QEMU is not installed; install qemu-system-gui",
        "the option ROM /var/lib/vfio/big.rom cannot be read by QEMU: 'libvirt-qemu', who runs QEMU, may not read it; 'chmod \
         644 /var/lib/vfio/big.rom'",
        "ada, who is logged in with a desktop, is not in the group kvm; 'vfio setup --services --user ada' adds them",
    ] {
        assert!(said.lines().any(|line| line.starts_with("warning: ") && line.contains(part)), "{part}: {said}");
    }
    assert_ne!(case.now(), case.before);
}
