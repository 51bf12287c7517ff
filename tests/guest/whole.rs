// SPDX-License-Identifier: LGPL-2.1-or-later
//! Nothing goes wrong: the hand-over, the guest's end in every way, the give-back.

use super::*;
use vfio_suite::act::backend::kernel_for;

/// Runs a guest, ends it, gives back; gives what the supervisor said.
fn whole(tree: &Tree, end: impl FnOnce(&Tree)) -> Ran {
    let before = tree.snapshot();
    let running = started(tree, "demo");
    assert!(has_card(tree));
    assert_eq!(desktop::unit_state(tree, ALIAS).as_deref(), Some("inactive"));
    assert_eq!(desktop::unit_state(tree, "ollama.service").as_deref(), Some("inactive"));
    assert_eq!(tree.read("run/vfio/claims/big"), "demo\n");
    end(tree);
    let ran = running.end();
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    let back = give_back(tree, "demo");
    assert_eq!(back.status, Some(0), "{}", back.stderr);
    tree.assert_same(&before, "after the guest");
    assert_nothing_left(tree, "after the guest");
    assert_eq!(tree.read(".kernel/ran"), "/usr/bin/begin the guest\n/usr/bin/finish\n");
    ran
}

fn model(tree: &Tree, words: &[&str]) {
    let ran = tree.simulate(&[&["run"], words].concat());
    assert_eq!(ran.status, Some(0), "{} {}", ran.stdout, ran.stderr);
}

#[test]
fn a_guest_that_shuts_itself_down() {
    let ran = whole(&machine(), |tree| model(tree, &["guest-ends", "demo"]));
    // Each step is told, in order; drivers are touched only when nobody holds the card any more.
    let told = |words: &str| ran.stderr.find(words).unwrap_or_else(|| panic!("{words}: {}", ran.stderr));
    let order = [
        "reserve [gpu big]",
        "run '/usr/bin/begin \"the guest\"'",
        "end session 2 of ada",
        "ask pipewire (pid 2200, user 1000, pipewire.service) to end",
        "stop gdm.service",
        "stop ollama.service",
        "wait until nobody holds 0000:03:00.0, 0000:03:00.1",
        "keep other drivers from [gpu big]",
        "bind [gpu big] to vfio",
        "start domain demo",
        "the guest has ended",
    ];
    assert!(order.windows(2).all(|pair| told(pair[0]) < told(pair[1])), "{}", ran.stderr);
}

#[test]
fn a_guest_that_is_destroyed() {
    whole(&machine(), |tree| model(tree, &["virsh", "--connect", "qemu:///system", "destroy", "--", "demo"]));
}

#[test]
fn a_guest_whose_qemu_is_killed() {
    whole(&machine(), |tree| {
        let pid = domain::pid(tree, "demo").to_string();
        assert_eq!(tree.simulate(&["signal", &pid, "KILL"]).status, Some(0));
    });
}

#[test]
fn a_guest_that_is_stopped() {
    whole(&machine(), |tree| assert_eq!(tree.run(VFIO_GUEST, &["stop", "demo"]).status, Some(0)));
}

#[test]
fn a_guest_that_does_not_shut_down_is_switched_off() {
    let tree = machine();
    domain(&tree, "demo", &[VIDEO, SOUND], &["ignores-shutdown"]);
    whole(&tree, |tree| {
        let ran = tree.run(VFIO_GUEST, &["stop", "demo"]);
        assert_eq!(ran.status, Some(0), "{}", ran.stderr);
        assert!(ran.stderr.contains("has not shut down within 2 s"), "{}", ran.stderr);
    });
}

#[test]
fn libvirt_may_be_down_while_the_guest_runs_and_when_it_ends() {
    let ran = whole(&machine(), |tree| {
        tree.write(".kernel/no-libvirt", "");
        model(tree, &["guest-ends", "demo"]);
        tree.remove(".kernel/no-libvirt");
        assert!(has_card(tree) && tree.exists("run/libvirt/qemu/demo.pid"));
    });
    assert!(!ran.stderr.contains("has not noticed"), "{}", ran.stderr);
}

#[test]
fn libvirt_notices_the_end_before_the_host_has_the_card_again() {
    whole(&machine(), |tree| {
        // Only its socket is there: whoever asks starts its daemon.
        tree.write(".kernel/libvirt-sleeps", "");
        model(tree, &["guest-ends", "demo"]);
        assert!(tree.exists("run/libvirt/qemu/demo.pid"));
    });
}

#[test]
fn a_libvirt_that_does_not_come_back_does_not_keep_the_card() {
    let tree = machine();
    let running = started(&tree, "demo");
    tree.write(".kernel/no-libvirt", "");
    model(&tree, &["guest-ends", "demo"]);
    let ran = running.end();
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("libvirt has not noticed the end of demo: virsh: "), "{}", ran.stderr);
    assert_eq!(give_back(&tree, "demo").status, Some(0));
    assert_nothing_left(&tree, "after a guest that libvirt has not seen to end");
    // This is what was warned of.
    tree.remove(".kernel/no-libvirt");
    model(&tree, &["virsh", "--connect", "qemu:///system", "domstate", "--", "demo"]);
    assert_eq!(tree.read(".kernel/reset-in-use"), format!("{VIDEO}\n{SOUND}\n"));
}

#[test]
fn promise_3_ten_guests_in_a_row_leave_nothing() {
    let tree = machine();
    for _ in 0..10 {
        let before = tree.snapshot();
        let running = started(&tree, "demo");
        model(&tree, &["guest-ends", "demo"]);
        assert_eq!(running.end().status, Some(0));
        assert_eq!(give_back(&tree, "demo").status, Some(0));
        tree.assert_same(&before, "after one of ten");
        assert_nothing_left(&tree, "after one of ten");
    }
}

#[test]
fn giving_back_twice_is_giving_back_once() {
    let tree = machine();
    let before = tree.snapshot();
    let ran = give_back(&tree, "demo");
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), ""));
    tree.assert_same(&before, "nothing to give back");
}

#[test]
fn a_card_that_is_bound_at_boot_takes_nothing_from_the_desktop() {
    let tree = machine();
    tree.config(
        "[gpu big]\ndevice = 0000:03:00.0\nidentity = 1002:73bf\nbind = boot\n\
         [guest demo]\ngpus = big\nhandover = none\n",
    );
    desktop::unit(&tree, "gdm.service", &["state inactive"]);
    for pid in [2000, 2050, 2100, 2200] {
        std::fs::remove_dir_all(tree.join(&format!("proc/{pid}"))).unwrap();
    }
    assert_eq!(tree.run(VFIO, &["bind", "big"]).status, Some(0));
    let before = tree.snapshot();
    let running = started(&tree, "demo");
    model(&tree, &["guest-ends", "demo"]);
    assert_eq!(running.end().status, Some(0));
    assert_eq!(give_back(&tree, "demo").status, Some(0));
    assert!(has_card(&tree), "it stays with vfio");
    tree.assert_same(&before, "after the guest");
}

#[test]
fn what_a_start_would_do_is_shown_and_not_done() {
    let tree = machine();
    let before = tree.times();
    let ran = tree.run(VFIO, &["guest", "plan", "demo"]);
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    assert!(
        ran.stdout.contains("bind [gpu big] to vfio") && ran.stdout.contains("start domain demo"),
        "{}",
        ran.stdout
    );
    let changed: Vec<_> = tree.times().into_iter().filter(|(path, time)| before.get(path) != Some(time)).collect();
    assert!(changed.iter().all(|(path, _)| path.components().any(|c| c.as_os_str() == ".kernel")), "{changed:?}");
}

#[test]
fn who_holds_a_card_is_told() {
    let tree = machine();
    let ran = tree.run(VFIO, &["holders", "big"]);
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    for words in
        ["gnome-shell", "2100", "session-2.scope", "/dev/dri/card", "pipewire", "pipewire.service", "/dev/snd/"]
    {
        assert!(ran.stdout.contains(words), "{words}: {}", ran.stdout);
    }
}

/// A mapping stays when what was mapped is closed. Games have more mappings than fit into a file of the usual size.
#[test]
fn who_has_only_mapped_the_card_holds_it() {
    // As the kernel writes it: padded to the same column, unless the fields before need more (fs/proc/task_mmu.c).
    let line = |inode: &str, path: &str| {
        let fields = format!("7f0000000000-7f0000001000 rw-s 10023f000 00:06 {inode} ");
        format!("{fields:<73}{path}\n")
    };
    let node = desktop::nodes(&machine(), VIDEO).remove(0);
    for (what, maps) in [
        ("as usual", line("312", &node)),
        ("after a removal", line("312", &format!("{node} (deleted)"))),
        ("with long fields", line("18446744073709551615", &node)),
        ("after many others", line("0", "[heap]").repeat(20_000) + &line("312", &node)),
    ] {
        let tree = machine();
        desktop::process(&tree, 4000, "game", 1000, "/user.slice/user-1000.slice/session-2.scope", &[]);
        tree.write("proc/4000/maps", &(line("77", "/usr/lib/libc.so.6") + &maps + &line("0", "[stack]")));
        let ran = tree.run(VFIO, &["holders", "big"]);
        let told = ran.stdout.lines().find(|line| line.contains("game"));
        assert!(told.is_some_and(|line| line.contains(&node)), "{what}: {}", ran.stdout);
    }
    let tree = machine();
    desktop::process(&tree, 4000, "game", 1000, "/user.slice/user-1000.slice/session-2.scope", &[]);
    tree.write("proc/4000/maps", &line("77", &format!("/home/ada{node}")));
    assert!(!tree.run(VFIO, &["holders", "big"]).stdout.contains("game"), "a file of that name elsewhere");
}

#[test]
fn who_computes_on_the_only_card_of_amdgpu_holds_it() {
    let tree = small_machine().build();
    tree.config(CONFIGURATION);
    tree.write("sys/class/kfd/kfd/uevent", "");
    desktop::process(
        &tree,
        4000,
        "trainer",
        1000,
        "/user.slice/user-1000.slice/session-2.scope",
        &["/dev/kfd".to_owned()],
    );
    // The twin of the card is amdgpu's as well: which of the two is computed on cannot be told.
    assert_eq!(tree.run(VFIO, &["holders", "big"]).status, Some(0));
    let root = tree.root();
    kernel_for(&root).write("sys/bus/pci/drivers/amdgpu/unbind", "0000:04:00.0").unwrap();
    let ran = tree.run(VFIO, &["holders", "big"]);
    assert_eq!(ran.status, Some(1));
    assert!(ran.stdout.contains("trainer") && ran.stdout.contains("/dev/kfd"), "{}", ran.stdout);
}

/// `CONFIG_VFIO_GROUP=n`: a function has a node of its own, and its group has none.
#[test]
fn a_kernel_without_nodes_of_groups_gives_functions_by_their_own() {
    let tree = machine();
    tree.write(".kernel/vfio-cdev", "");
    tree.write(".kernel/no-vfio-group", "");
    let running = started(&tree, "demo");
    assert!(has_card(&tree) && !tree.exists("dev/vfio/11"));
    let status = tree.run(VFIO, &["status"]);
    assert!(status.stdout.contains("/dev/vfio/devices/vfio0"), "{}", status.stdout);
    let held = tree.run(VFIO, &["holders", "big"]);
    assert!(held.stdout.contains("/dev/vfio/devices/vfio0") && held.stdout.contains("qemu-system"), "{}", held.stdout);
    // Another guest does not get what is in use.
    let other = tree.run(VFIO, &["guest", "plan", "other"]);
    assert!(other.stdout.contains("[card-in-guest]"), "{}", other.stdout);
    guest_ends(&tree, "demo");
    assert_eq!(running.end().status, Some(0));
    assert_eq!(give_back(&tree, "demo").status, Some(0));
    assert_nothing_left(&tree, "after a guest without nodes of groups");
}
