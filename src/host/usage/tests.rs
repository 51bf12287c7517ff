// SPDX-License-Identifier: LGPL-2.1-or-later
#![allow(clippy::unwrap_used)]

use super::*;
use std::path::Path;

const NVME: &str = "sys/devices/pci0000:00/0000:00:01.1/0000:01:00.0/nvme/nvme0/nvme0n1";
const SATA: &str = "sys/devices/pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0/block/sda";
const VIRTUAL: &str = "sys/devices/virtual/block";

/// A machine in the making.
struct Tree(tempfile::TempDir);

impl Tree {
    fn new() -> Tree {
        Tree(tempfile::tempdir().unwrap())
    }

    fn write(&self, path: &str, text: &str) -> &Tree {
        let path = self.0.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    fn directory(&self, path: &str) -> &Tree {
        std::fs::create_dir_all(self.0.path().join(path)).unwrap();
        self
    }

    /// A link as sysfs makes it.
    fn link(&self, path: &str, to: &str) -> &Tree {
        let place = self.0.path().join(path);
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        let target = Path::new(&"../".repeat(path.matches('/').count())).join(to);
        std::os::unix::fs::symlink(target, place).unwrap();
        self
    }

    /// A block device in this directory of sysfs, made of others.
    fn block(&self, device: &str, number: &str, slaves: &[&str]) -> &Tree {
        let name = device.rsplit('/').next().unwrap();
        self.write(&format!("{device}/dev"), &format!("{number}\n"));
        self.link(&format!("sys/class/block/{name}"), device).link(&format!("sys/dev/block/{number}"), device);
        for slave in slaves {
            let below = std::fs::canonicalize(self.0.path().join("sys/class/block").join(slave)).unwrap();
            let below = below.strip_prefix(self.0.path().canonicalize().unwrap()).unwrap().to_str().unwrap().to_owned();
            self.link(&format!("{device}/slaves/{slave}"), &below).link(&format!("{below}/holders/{name}"), device);
        }
        self
    }

    /// An interface.
    fn interface(&self, directory: &str, name: &str) -> &Tree {
        self.directory(directory).link(&format!("sys/class/net/{name}"), directory)
    }

    fn input(&self, directory: &str, name: &str, keys: &str, axes: &str) -> &Tree {
        self.write(&format!("{directory}/name"), &format!("{name}\n"));
        self.write(&format!("{directory}/capabilities/key"), &format!("{keys}\n"));
        self.write(&format!("{directory}/capabilities/rel"), &format!("{axes}\n"));
        self.link(&format!("sys/class/input/{}", directory.rsplit('/').next().unwrap()), directory)
    }

    fn look(&self) -> Vec<Usage> {
        read_usage(&Root::open(self.0.path()).unwrap(), &[], &[], &[])
    }

    /// What is said of each function: address and the rest of the sentence.
    fn said(&self) -> Vec<String> {
        let mut said: Vec<String> = Vec::new();
        for Usage { functions, what } in self.look() {
            let functions: Vec<String> = functions.iter().map(ToString::to_string).collect();
            said.push(format!("{} {what}", functions.join("/")));
        }
        said.sort();
        said
    }
}

const NVME_PATH: &str = "0000:00:01.1/0000:01:00.0";

fn mounts(tree: &Tree, lines: &[&str]) {
    tree.write("proc/1/mountinfo", &(lines.join("\n") + "\n"));
}

#[test]
fn a_partition_is_known_by_its_number() {
    let tree = Tree::new();
    tree.block(NVME, "259:0", &[]).block(&format!("{NVME}/nvme0n1p2"), "259:2", &[]);
    tree.block(&format!("{NVME}/nvme0n1p3"), "259:3", &[]).block(SATA, "8:0", &[]);
    mounts(
        &tree,
        &[
            "29 1 259:2 / / rw,relatime shared:1 - ext4 /dev/root rw",
            "30 29 259:2 /var/lib/docker /var/lib/docker rw - ext4 /dev/root rw",
            "31 29 259:3 / /srv/my\\040files rw - ext4 /dev/nvme0n1p3 rw",
            "32 29 0:5 / /dev rw - devtmpfs udev rw",
            "wrong",
        ],
    );
    assert_eq!(
        tree.said(),
        [
            format!("{NVME_PATH} carries the file system that is mounted at /srv/my files (nvme0n1p3)"),
            format!("{NVME_PATH} carries the root file system (nvme0n1p2)"),
        ]
    );
}

/// LVM on dm-crypt on a partition, a mirror below another volume, swap in a third.
#[test]
fn what_is_mounted_is_followed_down_to_its_disks() {
    let tree = Tree::new();
    tree.block(NVME, "259:0", &[]).block(&format!("{NVME}/nvme0n1p3"), "259:3", &[]);
    tree.block(SATA, "8:0", &[]).block(&format!("{SATA}/sda1"), "8:1", &[]).block(&format!("{SATA}/sda2"), "8:2", &[]);
    tree.block(&format!("{VIRTUAL}/dm-0"), "253:0", &["nvme0n1p3"]);
    tree.block(&format!("{VIRTUAL}/dm-1"), "253:1", &["dm-0"]).block(&format!("{VIRTUAL}/dm-2"), "253:2", &["dm-0"]);
    tree.block(&format!("{VIRTUAL}/md0"), "9:0", &["sda1"]).block(&format!("{VIRTUAL}/dm-3"), "253:3", &["sda2"]);
    tree.write(&format!("{VIRTUAL}/dm-3/dm/name"), "vg-spare\n").write(&format!("{VIRTUAL}/dm-3/dm/uuid"), "LVM-x\n");
    tree.write(&format!("{VIRTUAL}/dm-2/dm/name"), "vg-swap\n");
    mounts(&tree, &["29 1 253:1 / / rw - ext4 /dev/mapper/vg-root rw", "30 29 9:0 / /home rw - xfs /dev/md0 rw"]);
    tree.write("proc/swaps", "Filename Type Size Used Priority\n/dev/dm-2 partition 8 0 -2\n/swapfile file 8 0 -3\n");
    assert_eq!(
        tree.said(),
        [
            format!("{NVME_PATH} carries the root file system (nvme0n1p3)"),
            "0000:00:17.0 carries a part of the LVM volume vg-spare (sda2)".to_owned(),
            "0000:00:17.0 carries the file system that is mounted at /home (sda1)".to_owned(),
        ]
    );
    mounts(&tree, &["30 29 9:0 / /home rw - xfs /dev/md0 rw"]);
    assert!(tree.said().contains(&format!("{NVME_PATH} carries swap (nvme0n1p3)")), "{:?}", tree.said());
}

/// btrfs and ZFS mount a number of no device; both disks of each are the host's.
#[test]
fn file_systems_of_several_devices() {
    let second = "sys/devices/pci0000:00/0000:00:01.2/0000:02:00.0/nvme/nvme1/nvme1n1";
    let uuid = "sys/fs/btrfs/0b0b/devices";
    let tree = Tree::new();
    tree.block(NVME, "259:0", &[]).block(second, "259:1", &[]).block(SATA, "8:0", &[]);
    tree.block(&format!("{SATA}/sda1"), "8:1", &[]).block(&format!("{SATA}/sda2"), "8:2", &[]);
    tree.directory("sys/fs/btrfs/features")
        .link(&format!("{uuid}/nvme0n1"), NVME)
        .link(&format!("{uuid}/nvme1n1"), second);
    tree.directory("proc/spl/kstat/zfs/tank");
    tree.write("run/udev/data/b8:1", "E:ID_FS_TYPE=zfs_member\nE:ID_FS_LABEL=tank\n");
    tree.write("run/udev/data/b8:2", "E:ID_FS_TYPE=zfs_member\nE:ID_FS_LABEL=exported\n");
    mounts(&tree, &["29 1 0:26 /@ / rw - btrfs /dev/nvme1n1 rw,subvol=/@"]);
    assert_eq!(
        tree.said(),
        [
            format!("{NVME_PATH} carries the root file system (nvme0n1)"),
            "0000:00:01.2/0000:02:00.0 carries the root file system (nvme1n1)".to_owned(),
            "0000:00:17.0 carries a part of the ZFS pool tank (sda1)".to_owned(),
        ]
    );
    mounts(&tree, &["29 1 0:26 / / rw - zfs tank/ROOT/debian rw"]);
    let said = tree.said();
    assert!(said.contains(&"0000:00:17.0 carries the root file system (sda1)".to_owned()), "{said:?}");
    assert!(said.iter().any(|text| text.contains("btrfs file system 0b0b")), "mounted elsewhere: {said:?}");
}

/// Everything above a disk is named: a USB controller, a VMD controller with a domain of its own.
#[test]
fn disks_behind_other_controllers() {
    let usb = "sys/devices/pci0000:00/0000:00:14.0/usb1/1-4/1-4:1.0/host6/target6:0:0/6:0:0:0/block/sdb";
    let vmd = "sys/devices/pci0000:00/0000:00:0e.0/pci10000:e0/10000:e0:06.0/10000:e1:00.0/nvme/nvme0/nvme0n1";
    let tree = Tree::new();
    tree.block(usb, "8:16", &[]).block(&format!("{usb}/sdb1"), "8:17", &[]).block(vmd, "259:0", &[]);
    mounts(&tree, &["29 1 8:17 / / rw - ext4 /dev/sdb1 rw", "30 29 259:0 / /home rw - ext4 /dev/nvme0n1 rw"]);
    assert_eq!(
        tree.said(),
        [
            "0000:00:0e.0/10000:e0:06.0/10000:e1:00.0 carries the file system that is mounted at /home (nvme0n1)",
            "0000:00:14.0 carries the root file system (sdb1)",
        ]
    );
}

/// A namespace of a subsystem hangs on the controllers that show it, and on no other of the subsystem.
#[test]
fn nvme_multipath() {
    let subsystem = "sys/devices/virtual/nvme-subsystem/nvme-subsys0";
    let controller = |n: u32| format!("sys/devices/pci0000:00/0000:00:01.1/0000:01:00.{n}/nvme/nvme{n}");
    let tree = Tree::new();
    tree.block(&format!("{subsystem}/nvme0n1"), "259:0", &[]);
    tree.block(&format!("{subsystem}/nvme0n1/nvme0n1p1"), "259:1", &[]);
    tree.link("sys/class/nvme-subsystem/nvme-subsys0", subsystem);
    for n in 0..3 {
        tree.directory(&controller(n)).link(&format!("{subsystem}/nvme{n}"), &controller(n));
    }
    tree.directory(&format!("{}/nvme0c0n1", controller(0))).directory(&format!("{}/nvme0c1n1", controller(1)));
    tree.directory(&format!("{}/nvme0c2n2", controller(2)));
    mounts(&tree, &["29 1 259:1 / / rw - ext4 /dev/nvme0n1p1 rw"]);
    let said = tree.said();
    assert_eq!(said, ["0000:00:01.1/0000:01:00.0/0000:01:00.1 carries the root file system (nvme0n1p1)"]);
}

#[test]
fn interfaces_with_routes_and_what_hangs_on_them() {
    let card = "sys/devices/pci0000:00/0000:00:1c.0/0000:05:00.0/net/enp5s0";
    let other = "sys/devices/pci0000:00/0000:00:1c.1/0000:06:00.0/net/enp6s0";
    let tree = Tree::new();
    tree.interface(card, "enp5s0").interface(other, "enp6s0").interface("sys/devices/virtual/net/br0", "br0");
    tree.directory(&format!("{card}/upper_br0"));
    tree.write("proc/net/route", "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n");
    assert_eq!(tree.said(), [] as [&str; 0]);
    tree.write(
        "proc/net/route",
        "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n\
         br0 00000000 0101A8C0 0003 0 0 0 00000000 0 0 0\nbr0 0001A8C0 00000000 0001 0 0 0 00FFFFFF 0 0 0\n",
    );
    let default = "0000:00:1c.0/0000:05:00.0 has the network interface enp5s0 with the default route";
    assert_eq!(tree.said(), [default]);
    let zero = "00000000000000000000000000000000";
    tree.write(
        "proc/net/ipv6_route",
        &format!(
            "fe800000000000000000000000000000 40 {zero} 00 {zero} 00000100 00000001 00000000 00000001 enp6s0\n\
             {zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200200 lo\n"
        ),
    );
    assert_eq!(tree.said(), [default], "link-local addresses are on every interface");
    tree.write(
        "proc/net/ipv6_route",
        &format!("20010db8000000000000000000000000 40 {zero} 00 {zero} 00000100 00000001 0 00000001 enp6s0\n"),
    );
    assert_eq!(tree.said()[1], "0000:00:1c.1/0000:06:00.0 has the network interface enp6s0, which is in use");
    // What comes over the network comes by the route to its server.
    let reached = |n: usize| tree.said()[n].contains("by which the root file system is reached");
    mounts(&tree, &["29 1 0:30 / / rw - nfs4 192.168.1.9:/srv/root rw,vers=4.2,addr=192.168.1.9,local_lock=none"]);
    assert_eq!((reached(0), reached(1)), (true, false), "{:?}", tree.said());
    mounts(&tree, &["29 1 0:30 / / rw - nfs4 10.0.0.1:/srv/root rw,addr=10.0.0.1"]);
    assert_eq!((reached(0), reached(1)), (true, false), "{:?}", tree.said());
    // iSCSI by software hangs on no function.
    let iscsi = "sys/devices/platform/host7/session1/target7:0:0/7:0:0:1/block/sdc";
    tree.block(iscsi, "8:32", &[]);
    mounts(&tree, &["29 1 8:32 / / rw - ext4 /dev/sdc rw"]);
    assert_eq!((reached(0), reached(1)), (true, false), "{:?}", tree.said());
    tree.write("proc/net/route", "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n");
    assert!(tree.look().iter().all(|usage| usage.what.is_data()), "no default route: {:?}", tree.said());
}

#[test]
fn keyboards_and_mice() {
    let usb = "sys/devices/pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0/0003:046D:C31C.0001/input/input5";
    let mouse = "sys/devices/pci0000:00/0000:00:14.0/usb1/1-3/1-3:1.0/0003:046D:C077.0002/input/input6";
    let serio = "sys/devices/platform/i8042/serio0/input/input2";
    let power = "sys/devices/LNXSYSTM:00/LNXPWRBN:00/input/input0";
    let tree = Tree::new();
    tree.input(usb, "A Keyboard", "1000000000007 ff9f207ac14057ff febeffdfffefffff fffffffffffffffe", "0");
    tree.input(mouse, "A Mouse", "70000 0 0 0 0", "903");
    tree.input(serio, "AT Keyboard", "402000000 3803078f800d001 feffffdfffefffff fffffffffffffffe", "0");
    tree.input(power, "Power Button", "10000000000000 0", "0");
    assert_eq!(
        tree.said(),
        [
            " has the keyboard 'AT Keyboard'",
            "0000:00:14.0 has the keyboard 'A Keyboard'",
            "0000:00:14.0 has the mouse 'A Mouse'"
        ]
    );
}

/// A keyboard by Bluetooth goes with the adapter's function, as long as there is one adapter only.
#[test]
fn keyboards_by_bluetooth() {
    let keys = "1000000000007 ff9f207ac14057ff febeffdfffefffff fffffffffffffffe";
    let tree = Tree::new();
    tree.input("sys/devices/virtual/misc/uhid/0005:046D:B369.0003/input/input9", "Keys", keys, "0");
    assert_eq!(tree.said(), [" has the keyboard 'Keys'"]);
    let adapter = |number: u32, function: &str| {
        let device = format!("sys/devices/pci0000:00/{function}/usb{number}/1-4/1-4:1.0/bluetooth/hci{number}");
        tree.directory(&device).link(&format!("sys/class/bluetooth/hci{number}"), &device);
    };
    adapter(1, "0000:00:14.0");
    assert_eq!(tree.said(), ["0000:00:14.0 has the keyboard 'Keys'"]);
    adapter(3, "0000:00:0d.0");
    assert_eq!(tree.said(), [" has the keyboard 'Keys'"]);
}

/// A chip is not in AMD's security processor.
#[test]
fn the_tpm_of_a_firmware_and_a_chip() {
    for (driver, said) in [("tpm_crb", &["0000:0c:00.2"][..]), ("tpm_tis", &[])] {
        let tree = Tree::new();
        let device = "sys/devices/LNXSYSTM:00/LNXSYBUS:00/MSFT0101:00";
        let chip = format!("{device}/tpm/tpm0");
        tree.directory(&chip).link("sys/class/tpm/tpm0", &chip).link(&format!("{chip}/device"), device);
        let by = format!("sys/bus/acpi/drivers/{driver}");
        tree.directory(&by).link(&format!("{device}/driver"), &by);
        let processor = "0000:0c:00.2";
        let uevent = "PCI_CLASS=108000\nPCI_ID=1022:1486\nPCI_SUBSYS_ID=1022:1486\n";
        tree.write(&format!("sys/bus/pci/devices/{processor}/uevent"), uevent);
        let root = Root::open(tree.0.path()).unwrap();
        let slot = processor.parse::<Address>().unwrap().slot;
        let found = super::input::tpm(&root, &crate::host::Host::scan_slot(&root, slot));
        let functions: Vec<String> = found.iter().flat_map(|usage| &usage.functions).map(Address::to_string).collect();
        assert_eq!(functions, said, "{driver}");
    }
}

#[test]
fn sound_that_is_open_and_sound_that_is_not() {
    let tree = Tree::new();
    let card = "sys/devices/pci0000:00/0000:00:03.1/0000:09:00.1/sound/card1";
    tree.directory(card).link("sys/class/sound/card1", card);
    tree.write("proc/asound/card1/pcm3p/sub0/status", "closed\n");
    assert_eq!(tree.said(), [] as [&str; 0]);
    tree.write("proc/asound/card1/pcm7p/sub0/status", "state: RUNNING\nowner_pid   : 812\n");
    assert_eq!(tree.said(), ["0000:00:03.1/0000:09:00.1 is playing or recording sound (card1)"]);
}

/// A disk is in use when a part of it is; another volume of the same group, and another partition of the same disk, are not.
#[test]
fn what_is_given_as_a_disk_is_found_by_every_path() {
    let usb = "sys/devices/pci0000:00/0000:00:14.0/usb3/3-2/3-2:1.0/host6/target6:0:0/6:0:0:0/block/sdb";
    let tree = Tree::new();
    tree.block(NVME, "259:0", &[]).block(SATA, "8:0", &[]).block(usb, "8:16", &[]);
    for (disk, part, number) in
        [(NVME, "nvme0n1p2", "259:2"), (NVME, "nvme0n1p3", "259:3"), (SATA, "sda1", "8:1"), (SATA, "sda2", "8:2")]
    {
        tree.block(&format!("{disk}/{part}"), number, &[]).write(&format!("{disk}/{part}/partition"), "1\n");
    }
    // The root is a volume on the first disk, beside one that nobody uses; the second has swap and a spare partition.
    tree.block(&format!("{VIRTUAL}/dm-0"), "253:0", &["nvme0n1p3"]).block(
        &format!("{VIRTUAL}/dm-1"),
        "253:1",
        &["nvme0n1p3"],
    );
    tree.write(&format!("{VIRTUAL}/dm-1/dm/name"), "vg-win\n");
    tree.link("dev/vg/root", "dev/dm-0").link("dev/vg/win", "dev/dm-1");
    tree.link("dev/disk/by-id/ata-disk", "dev/sda").link("dev/disk/by-id/ata-disk-part2", "dev/sda2");
    tree.directory("sys/bus/scsi/devices/0:0:0:0/block/sda").directory("sys/bus/scsi/devices/6:0:0:0/block/sdb");
    tree.write("proc/swaps", "Filename Type Size Used Priority\n/dev/sda1 partition 8 0 -2\n");
    mounts(
        &tree,
        &["29 1 253:0 / / rw - ext4 /dev/mapper/vg-root rw", "30 1 8:16 / /media/stick rw - vfat /dev/sdb rw"],
    );
    let root = Root::open(tree.0.path()).unwrap();
    let uses = BlockUses::read(&root);
    let said = |what: Option<&Use>| what.map(ToString::to_string);
    for (path, expected) in [
        ("/dev/nvme0n1", Some("carries the root file system (nvme0n1p3)")),
        ("/dev/nvme0n1p3", Some("carries the root file system (nvme0n1p3)")),
        ("/dev/nvme0n1p2", None),
        ("/dev/vg/root", Some("carries the root file system (dm-0)")),
        ("/dev/vg/win", None),
        ("/dev/mapper/vg-win", None),
        ("/dev/sda", Some("carries swap (sda1)")),
        ("/dev/disk/by-id/ata-disk", Some("carries swap (sda1)")),
        ("/dev/disk/by-id/ata-disk-part2", None),
        ("/dev/sdc", None),
        ("/var/lib/libvirt/images/a.qcow2", None),
    ] {
        assert_eq!(said(uses.of_path(path)).as_deref(), expected, "{path}");
    }
    assert_eq!(said(uses.of_scsi("0:0:0:0")).as_deref(), Some("carries swap (sda1)"));
    assert_eq!(said(uses.of_scsi("1:0:0:0")), None);
    let stick = "carries the file system that is mounted at /media/stick (sdb)";
    assert_eq!(said(uses.of_usb("3-2")).as_deref(), Some(stick));
    assert_eq!(said(uses.of_usb("3-1")), None);
}
