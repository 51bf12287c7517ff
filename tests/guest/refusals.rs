// SPDX-License-Identifier: LGPL-2.1-or-later
//! What is refused, before anything is touched or after the desktop was stopped and came back.

use super::*;
use vfio_suite::host::holders;

/// A start that is refused: nothing was touched, and the sentence has these words.
#[track_caller]
fn refused(tree: &Tree, guest: &str, words: &[&str]) {
    let before = tree.snapshot();
    let ran = tree.run(VFIO_GUEST, &["run", guest]);
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    words.iter().for_each(|word| assert!(ran.stderr.contains(word), "{word}: {}", ran.stderr));
    tree.assert_same(&before, "refused");
    assert!(!tree.exists(&format!("run/vfio/guests/{guest}/journal")), "nothing was begun");
    let status = tree.run(VFIO, &["guest", "status", guest]);
    // A configuration with errors is more than a start that was refused.
    let wrong = tree.run(VFIO, &["check"]).stdout.contains(" error: ");
    assert_eq!(status.status, Some(if wrong { 2 } else { 1 }));
    words.iter().for_each(|word| assert!(status.stdout.contains(word), "{word}: {}", status.stdout));
}

#[test]
fn a_card_that_another_guest_has() {
    let tree = machine();
    let running = started(&tree, "demo");
    refused(&tree, "other", &["[guest demo]"]);
    assert!(domain::runs(&tree, "demo") && has_card(&tree));
    drop(running);
}

#[test]
fn a_domain_that_is_not_there_or_broken_or_running() {
    let tree = machine();
    std::fs::remove_file(tree.join(".kernel/domains/demo.xml")).unwrap();
    refused(&tree, "demo", &["libvirt has no such domain; it has other"]);
    domain::define(&tree, "demo", "<domain><name>demo</name");
    refused(&tree, "demo", &["[guest demo]"]);
    let tree = machine();
    tree.write(".kernel/no-libvirt", "");
    refused(&tree, "demo", &["Failed to connect"]);
}

#[test]
fn a_domain_without_the_card_and_one_without_its_disk() {
    let tree = machine();
    domain(&tree, "demo", &[], &[]);
    refused(&tree, "demo", &["0000:03:00.0"]);
    domain(&tree, "demo", &[VIDEO, SOUND], &[]);
    tree.remove("var/lib/libvirt/images/demo.qcow2");
    refused(&tree, "demo", &["/var/lib/libvirt/images/demo.qcow2"]);
}

/// Whatever would end the start after the desktop was stopped is found before: each of these domains is refused with this
/// code, and with the near miss beside it starts.
#[test]
fn promise_2_a_start_that_would_fail_is_refused_before_the_desktop_is_touched() {
    const NVRAM: &str = "<nvram>/var/lib/libvirt/qemu/nvram/demo_VARS.fd</nvram>";
    const DEVICES: &str = "  <devices>";
    const QEMU: &str = "<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>";
    let disk = |source: &str| format!("  <devices><disk type='block' device='disk'><source dev='{source}'/></disk>");
    let usb = |policy: &str| {
        format!(
            "  <devices><hostdev mode='subsystem' type='usb'><source{policy}><vendor id='0x046d'/><product \
             id='0xc52b'/></source></hostdev>"
        )
    };
    let pin = |cpus: &str| format!("<cputune><vcpupin vcpu='0' cpuset='{cpus}'/></cputune>\n  <devices>");
    let pages = |more: &str| {
        format!("<memoryBacking><hugepages><page size='1' unit='G'/></hugepages>{more}</memoryBacking>\n  <devices>")
    };
    let argument = |values: [&str; 2]| {
        let values: String = values.iter().map(|value| format!("<qemu:arg value='{value}'/>")).collect();
        format!("<qemu:commandline>{values}</qemu:commandline>\n  <devices>")
    };
    let network = |name: &str| format!("  <devices><interface type='network'><source network='{name}'/></interface>");
    let link = |kind: &str, key: &str, name: &str| {
        format!("  <devices><interface type='{kind}'><source {key}='{name}'/></interface>")
    };
    let audio = |place: &str| format!("  <devices><audio id='1' type='pipewire' runtimeDir='{place}'/>");
    let evdev = |path: &str| format!("  <devices><input type='evdev'><source dev='{path}'/></input>");
    let tpm =
        |path: &str| format!("  <devices><tpm><backend type='passthrough'><device path='{path}'/></backend></tpm>");
    let shared = |more: &str| {
        format!("  <devices><filesystem type='mount'><driver type='virtiofs'/>{more}<source dir='/srv'/></filesystem>")
    };
    let node = |nodes: &str| format!("<numatune><memory mode='strict' nodeset='{nodes}'/></numatune>\n  <devices>");
    let cases: Vec<(&str, &str, String, String)> = vec![
        ("host-data-on-device", DEVICES, disk("/dev/sda"), disk("/dev/sdb")),
        ("usb-device-missing", DEVICES, usb(""), usb(" startupPolicy='optional'")),
        ("cpu-not-online", DEVICES, pin("64"), pin("1-2")),
        ("huge-pages-not-mounted", DEVICES, pages(""), pages("<source type='memfd'/>")),
        ("network-not-active", DEVICES, network("isolated"), network("default")),
        ("interface-missing", DEVICES, link("bridge", "bridge", "br9"), link("bridge", "bridge", "br0")),
        ("interface-missing", DEVICES, link("direct", "dev", "eth9"), link("direct", "dev", "br0")),
        ("sound-server", DEVICES, audio("/run/user/4711"), audio("/run/user/1000")),
        ("guest-file", DEVICES, audio("/run/pipewire"), audio("/srv")),
        ("guest-file", DEVICES, evdev("/dev/input/by-id/gone-event-kbd"), evdev("/dev/input/event3")),
        ("guest-file", DEVICES, tpm("/dev/tpm7"), tpm("/dev/tpm0")),
        ("virtiofsd-missing", DEVICES, shared(""), shared("<binary path='/usr/libexec/virtiofsd'/>")),
        ("numa-node-missing", DEVICES, node("3"), node("0")),
        (
            "guest-file",
            "/usr/bin/qemu-system-x86_64",
            "/opt/qemu/gone".to_owned(),
            "/usr/bin/qemu-system-x86_64".to_owned(),
        ),
        (
            "guest-file",
            NVRAM,
            "<nvram type='file' template='/gone.fd'><source file='/nvram/none.fd'/></nvram>".to_owned(),
            "<nvram type='file' template='/gone.fd'><source file='/var/lib/libvirt/qemu/nvram/demo_VARS.fd'/></nvram>"
                .to_owned(),
        ),
        (
            "qemu-argument",
            DEVICES,
            argument(["-set", "device.hostdev0.x-vga=on"]),
            argument(["-global", "ICH9-LPC.disable_s3=1"]),
        ),
        (
            "guest-file",
            DEVICES,
            argument(["-object", "memory-backend-file,id=a,mem-path=/dev/kvmfr7,size=64M"]),
            argument(["-object", "memory-backend-file,id=a,mem-path=/dev/kvmfr0,size=64M"]),
        ),
        (
            "guest-file",
            "managed='yes'>\n      <source>",
            "managed='yes'><driver iommufd='yes'/>\n      <source>".to_owned(),
            "managed='yes'><driver name='vfio'/>\n      <source>".to_owned(),
        ),
    ];
    let tree = machine();
    for (path, text) in [
        ("sys/class/block/sda/dev", "8:0\n"),
        ("sys/class/block/sdb/dev", "8:16\n"),
        ("dev/sda", ""),
        ("dev/sdb", ""),
        ("dev/tpm0", ""),
        ("dev/kvmfr0", ""),
        ("dev/input/event3", ""),
        ("usr/bin/qemu-system-x86_64", ""),
        ("usr/libexec/virtiofsd", ""),
        ("run/user/1000/pipewire-0", ""),
        ("etc/passwd", "root:x:0:0::/root:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh\n"),
        ("var/lib/systemd/linger/ada", ""),
        ("srv/file", ""),
        ("sys/class/net/br0/bridge/bridge_id", ""),
        ("etc/libvirt/qemu/networks/default.xml", ""),
        ("etc/libvirt/qemu/networks/isolated.xml", ""),
        ("run/libvirt/network/default.xml", ""),
        ("sys/devices/system/cpu/online", "0-7\n"),
        ("sys/devices/system/cpu/possible", "0-15\n"),
        ("sys/devices/system/node/has_memory", "0\n"),
        ("proc/swaps", "Filename Type Size Used Priority\n/dev/sda partition 8 0 -2\n"),
    ] {
        tree.write(path, text);
    }
    let plain = tree.read(".kernel/domains/demo.xml").replace("<domain type='kvm'>", QEMU);
    for (code, place, wrong, right) in &cases {
        assert!(plain.contains(place), "{place}");
        domain::define(&tree, "demo", &plain.replacen(place, wrong, 1));
        refused(&tree, "demo", &[&format!("[{code}]")]);
        domain::define(&tree, "demo", &plain.replacen(place, right, 1));
        let planned = tree.run(VFIO, &["guest", "plan", "demo"]);
        assert!(!planned.stdout.contains(&format!("[{code}]")), "{right}: {}", planned.stdout);
    }
    domain::define(&tree, "demo", &plain);
    tree.write("var/lib/libvirt/qemu/save/demo.save", "");
    refused(&tree, "demo", &["[domain-is-saved]", "managedsave-remove demo"]);
}

#[test]
fn a_section_that_is_not_there_or_disabled() {
    let tree = machine();
    let ran = tree.run(VFIO_GUEST, &["run", "nobody"]);
    assert_eq!(ran.status, Some(1));
    assert!(ran.stderr.contains("there is demo, other"), "{}", ran.stderr);
    tree.config("[gpu big]\ndevice = 0000:03:00.0\n[guest demo]\ngpus = large\n");
    refused(&tree, "demo", &["/etc/vfio.conf:", "large"]);
    tree.config(&CONFIGURATION.replace("[gpu big]", "[host]\nenable = no\n[gpu big]"));
    refused(&tree, "demo", &["'enable' in [host]"]);
}

/// Who comes when the plan is made already: until then it is a refusal (making_way.rs).
#[test]
fn promise_2_who_holds_the_card_and_does_not_end_is_named_and_the_desktop_is_back() {
    let tree = machine();
    let open = desktop::nodes(&tree, VIDEO);
    desktop::stubborn(&tree, &[4000]);
    let before = tree.snapshot();
    tree.faults("run:/usr/bin/begin* slow\n");
    let running = Running::start(&tree, "demo");
    until("the plan", || tree.exists("run/vfio/guests/demo/journal"));
    desktop::process(&tree, 4000, "miner", 1000, "/system.slice/miner.service", &open);
    let ran = running.end();
    assert_eq!(ran.status, Some(1));
    for words in ["miner", "4000", "miner.service", "/dev/dri/card"] {
        assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
    }
    assert!(!ran.stderr.contains("keep other drivers"), "no driver was touched: {}", ran.stderr);
    tree.no_faults();
    let back = give_back(&tree, "demo");
    assert_eq!(back.status, Some(0), "{}", back.stderr);
    std::fs::remove_dir_all(tree.join("proc/4000")).unwrap();
    tree.assert_same(&before, "after a stubborn holder");
    assert_nothing_left(&tree, "after a stubborn holder");
}

#[test]
fn who_does_not_end_is_killed_if_the_configuration_says_so() {
    let tree = machine();
    tree.config(&CONFIGURATION.replace("gpus = big\n", "gpus = big\nkill-holders = yes\n"));
    let open = desktop::nodes(&tree, VIDEO);
    desktop::process(&tree, 4000, "miner", 1000, "/system.slice/miner.service", &open);
    desktop::stubborn(&tree, &[4000]);
    let running = started(&tree, "demo");
    assert!(!tree.exists("proc/4000") && has_card(&tree));
    guest_ends(&tree, "demo");
    let ran = running.end();
    assert!(ran.stderr.contains("killed (kill-holders = yes)"), "{}", ran.stderr);
    assert_eq!(give_back(&tree, "demo").status, Some(0));
    assert_nothing_left(&tree, "after a kill");
}

/// A compositor gets a moment to end with its session; what the user's manager runs beside it would not end.
#[test]
fn who_outlives_a_session_is_known_by_its_control_group() {
    let tree = machine();
    let manager = "/user.slice/user-1000.slice/user@1000.service";
    let functions = [VIDEO, SOUND].map(|address| address.parse().unwrap());
    let outlives = |pid: u32| {
        let found = holders::find(&tree.root(), &functions);
        found.iter().any(|(_, holder)| holder.pid == Some(pid) && holder.outlives_sessions())
    };
    let (card, sound) = (&desktop::nodes(&tree, VIDEO)[0], &desktop::nodes(&tree, SOUND)[0]);
    for (pid, cgroup, node, expected) in [
        (4000, format!("{manager}/app.slice/music.service"), sound, true),
        (4001, format!("{manager}/background.slice/index.service"), card, true),
        (4002, format!("{manager}/session.slice/org.gnome.Shell@wayland.service"), card, false),
        (4003, format!("{manager}/session.slice/pipewire.service"), sound, true),
        (4004, "/user.slice/user-1000.slice/session-2.scope".to_owned(), sound, false),
        (4005, "/system.slice/colord.service".to_owned(), card, false),
    ] {
        desktop::process(&tree, pid, "holder", 1000, &cgroup, std::slice::from_ref(node));
        assert_eq!(outlives(pid), expected, "{cgroup}");
    }
    desktop::process(&tree, 4006, "systemd", 1000, &format!("{manager}/init.scope"), std::slice::from_ref(card));
    tree.write("proc/4006/stat", &stat(4006, 1, 77));
    assert!(!outlives(4006), "it holds what its services hold");
}

/// A machine on whose card a service of the user's plays, process 4000.
fn machine_with_music() -> Tree {
    let tree = machine();
    let open = desktop::nodes(&tree, SOUND);
    let service = "/user.slice/user-1000.slice/user@1000.service/app.slice/music.service";
    desktop::process(&tree, 4000, "aplay", 1000, service, &open);
    tree
}

/// They end while the display manager does, not after it.
#[test]
fn who_outlives_a_session_is_asked_to_end_before_the_display_manager_is_stopped() {
    let tree = machine_with_music();
    let running = started(&tree, "demo");
    assert!(!tree.exists("proc/4000") && has_card(&tree));
    guest_ends(&tree, "demo");
    let ran = running.end();
    let told = |words: &str| ran.stderr.find(words).unwrap_or_else(|| panic!("{words}: {}", ran.stderr));
    let asked = told("ask aplay (pid 4000, user 1000, music.service) to end");
    assert!(told("end session 2 of ada") < asked && asked < told("stop gdm.service"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("asked to end"), "nobody was left to be asked: {}", ran.stderr);
    assert_eq!(give_back(&tree, "demo").status, Some(0));
    assert_nothing_left(&tree, "after an early question");
}

/// Being asked is not all: it is waited for, named, and all comes back.
#[test]
fn who_was_asked_early_and_does_not_end_is_named() {
    let tree = machine_with_music();
    desktop::stubborn(&tree, &[4000]);
    let before = tree.snapshot();
    let ran = tree.run(VFIO_GUEST, &["run", "demo"]);
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("aplay (pid 4000, user 1000, music.service) has /dev/snd/"), "{}", ran.stderr);
    assert_eq!(ran.stderr.matches("asked to end").count(), 0, "it is asked once: {}", ran.stderr);
    assert_eq!(give_back(&tree, "demo").status, Some(0));
    tree.assert_same(&before, "after a stubborn player");
}

/// Services of a user that are only starting when the session ends.
#[test]
fn who_opens_the_card_after_the_wait_is_waited_for_too() {
    let tree = machine();
    let open = desktop::nodes(&tree, VIDEO);
    tree.faults("*driver_override* slow\n");
    let running = Running::start(&tree, "demo");
    until("the reservation", || {
        std::fs::read_to_string(tree.join("run/vfio/guests/demo/journal")).is_ok_and(|text| text.contains("reserve"))
    });
    desktop::process(&tree, 4000, "pipewire", 1000, "/user.slice/pipewire.service", &open);
    until("the guest", || domain::runs(&tree, "demo"));
    assert!(!tree.exists("proc/4000") && has_card(&tree));
    guest_ends(&tree, "demo");
    let ran = running.end();
    assert!(ran.stderr.contains("pipewire"), "{}", ran.stderr);
    assert_eq!(give_back(&tree, "demo").status, Some(0));
    assert_nothing_left(&tree, "after a late holder");
}

#[test]
fn a_hot_hand_over_ends_nobody() {
    let tree = machine();
    tree.config(&CONFIGURATION.replace("gpus = big\n", "gpus = big\nhandover = hot\n"));
    let before = tree.snapshot();
    let ran = tree.run(VFIO_GUEST, &["run", "demo"]);
    assert_eq!(ran.status, Some(1));
    assert!(ran.stderr.contains("gnome-shell"), "{}", ran.stderr);
    assert!(tree.exists("proc/2100") && !ran.stderr.contains("would send SIG"), "{}", ran.stderr);
    assert_eq!(desktop::unit_state(&tree, ALIAS).as_deref(), Some("active"));
    assert_eq!(give_back(&tree, "demo").status, Some(0));
    tree.assert_same(&before, "after a hot hand-over that nobody made way for");
}

/// Under OpenRC nobody stops a unit of systemd's, nor starts it again; a card that nobody uses is given away and comes back.
#[test]
fn another_init_than_systemd() {
    let tree = machine();
    tree.write("run/openrc/softlevel", "default\n");
    refused(&tree, "demo", &["ollama.service would have to be stopped", "[needs-systemd]"]);
    refused(&tree, "other", &["the display manager of session 2 would have to be stopped", "[needs-systemd]"]);
    let tree = small_machine().build();
    tree.config(CONFIGURATION);
    domain(&tree, "other", &[VIDEO, SOUND], &[]);
    tree.write("run/openrc/softlevel", "default\n");
    let running = started(&tree, "other");
    assert!(has_card(&tree));
    guest_ends(&tree, "other");
    assert_eq!(running.end().status, Some(0));
    assert_eq!(give_back(&tree, "other").status, Some(0));
    assert!(!has_card(&tree));
}
