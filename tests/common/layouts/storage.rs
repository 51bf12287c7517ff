// SPDX-License-Identifier: LGPL-2.1-or-later
//! Where the root can be: on a stick, below LUKS and LVM, in a pool, on an array, behind the network. All on one board with
//! an RX 6700 XT in the first slot; the processor's graphics show the desktop.

use super::boards::{lga1700, with_desk};
use crate::common::cards::{self, endpoint, port};
use crate::common::machine::Machine;
use crate::common::parts::{disk, stick, Part, StackKind};

/// Every machine here.
pub fn all() -> Vec<(&'static str, Machine)> {
    vec![
        ("root-on-stick", on_stick()),
        ("root-on-lvm-luks", on_lvm_luks()),
        ("root-on-zfs", on_zfs()),
        ("root-on-btrfs", on_btrfs()),
        ("root-on-array", on_array()),
        ("root-on-cache", on_cache()),
        ("root-by-nfs", by_nfs()),
        ("root-by-iscsi", by_iscsi()),
        ("swap-on-second-disk", swap_on_second()),
        ("hba-in-use", hba()),
    ]
}

/// The board: a disk at 04:00.0, a second one at 06:00.0, SATA at 00:17.0, USB at 00:14.0 and another USB host at 08:00.0.
fn board() -> Machine {
    let igpu = cards::igpu(0x4680, 0).boots().connectors(&[("HDMI-A-1", true), ("DP-1", false)]);
    let [mut video, sound] = cards::rx6700xt("0000:03:00", "0000:02:00.0", 14);
    video.connectors = vec![("DP-1", false), ("HDMI-A-1", false)];
    let machine = Machine::new()
        .with([igpu])
        .with(lga1700())
        .with([
            cards::nvme("0000:06:00.0", "0000:00:06.0", 15),
            port("0000:00:1d.0", (0x8086, 0x7a30), 16),
            endpoint("0000:08:00.0", (0x1b21, 0x2142), 0x0c_0330, 17).under("0000:00:1d.0").driver("xhci_hcd"),
        ])
        .with(cards::amd_switch("0000:01:00.0", "0000:02:00.0", "0000:00:01.0", (12, 13)))
        .with([video, sound])
        .words("intel_iommu=on")
        .window("0000:02:00.0", 32 << 30, 0x80_0000_0000);
    with_desk(machine, "0000:00:14.0", ("0000:05:00.0", "enp5s0"))
}

/// The root is on a stick in the second USB host.
fn on_stick() -> Machine {
    board().on("0000:08:00.0", stick("1", "sda", 2)).mount("/", "sda2", "ext4").mount("/boot/efi", "sda1", "vfat")
}

/// The root and the swap are logical volumes in a LUKS container on NVMe.
fn on_lvm_luks() -> Machine {
    board()
        .on("0000:04:00.0", Part::Nvme(disk("nvme0n1", 3)))
        .stack(
            "dm-0",
            StackKind::Mapper("nvme0n1p3_crypt", "CRYPT-LUKS2-0d4d3c1a8a5f4b55-nvme0n1p3_crypt"),
            &["nvme0n1p3"],
        )
        .stack("dm-1", StackKind::Mapper("vg-root", "LVM-kRtFz0a1b2c3"), &["dm-0"])
        .stack("dm-2", StackKind::Mapper("vg-swap", "LVM-kRtFz9x8y7z6"), &["dm-0"])
        .mount("/", "dm-1", "ext4")
        .mount("/boot", "nvme0n1p2", "ext4")
        .mount("/boot/efi", "nvme0n1p1", "vfat")
        .swap("dm-2")
        .udev("nvme0n1p3", &["ID_FS_TYPE=crypto_LUKS", "ID_FS_USAGE=crypto"])
        .udev("dm-0", &["DM_NAME=nvme0n1p3_crypt", "ID_FS_TYPE=LVM2_member", "ID_FS_USAGE=raid"])
        .udev("dm-1", &["DM_NAME=vg-root", "ID_FS_TYPE=ext4", "ID_FS_USAGE=filesystem"])
}

/// The root is in a pool of ZFS that is mirrored over both NVMe disks: no disk has a holder, none is the source of a mount.
fn on_zfs() -> Machine {
    board()
        .on("0000:04:00.0", Part::Nvme(disk("nvme0n1", 2)))
        .on("0000:06:00.0", Part::Nvme(disk("nvme1n1", 2)))
        .pool("rpool", "ID_FS_LABEL=rpool", &["nvme0n1p2", "nvme1n1p2"])
        .mount("/", "rpool/ROOT/debian", "zfs")
        .mount("/home", "rpool/home", "zfs")
        .mount("/boot/efi", "nvme0n1p1", "vfat")
}

/// The root is on btrfs over both NVMe disks; only the first is the source of the mount.
fn on_btrfs() -> Machine {
    board()
        .on("0000:04:00.0", Part::Nvme(disk("nvme0n1", 2)))
        .on("0000:06:00.0", Part::Nvme(disk("nvme1n1", 1)))
        .btrfs("system", "3c9a6f0e-7b1d-4a52-9e7f-2b9d5c1f0a63", &["nvme0n1p2", "nvme1n1p1"])
        .udev("nvme0n1p2", &["ID_FS_TYPE=btrfs", "ID_FS_UUID=3c9a6f0e-7b1d-4a52-9e7f-2b9d5c1f0a63"])
        .udev("nvme1n1p1", &["ID_FS_TYPE=btrfs", "ID_FS_UUID=3c9a6f0e-7b1d-4a52-9e7f-2b9d5c1f0a63"])
        .mount("/", "nvme0n1p2", "btrfs")
        .mount("/boot/efi", "nvme0n1p1", "vfat")
}

/// The root is on an array over two SATA disks; the NVMe disks are empty.
fn on_array() -> Machine {
    board()
        .on("0000:00:17.0", Part::Ata(disk("sda", 2)))
        .on("0000:00:17.0", Part::Ata(disk("sdb", 2)))
        .on("0000:04:00.0", Part::Nvme(disk("nvme0n1", 0)))
        .on("0000:06:00.0", Part::Nvme(disk("nvme1n1", 0)))
        .stack("md127", StackKind::Array("raid1"), &["sda2", "sdb2"])
        .udev("sda2", &["ID_FS_TYPE=linux_raid_member", "ID_FS_USAGE=raid"])
        .udev("sdb2", &["ID_FS_TYPE=linux_raid_member", "ID_FS_USAGE=raid"])
        .mount("/", "md127", "xfs")
        .mount("/boot/efi", "sda1", "vfat")
}

/// The root is on a SATA disk with an NVMe disk as its cache.
fn on_cache() -> Machine {
    board()
        .on("0000:00:17.0", Part::Ata(disk("sda", 2)))
        .on("0000:04:00.0", Part::Nvme(disk("nvme0n1", 1)))
        .on("0000:06:00.0", Part::Nvme(disk("nvme1n1", 0)))
        .stack("bcache0", StackKind::Cache, &["sda2", "nvme0n1p1"])
        .mount("/", "bcache0", "ext4")
        .mount("/boot/efi", "sda1", "vfat")
}

/// The root is on a server; there is no disk.
fn by_nfs() -> Machine {
    board().mount("/", "192.168.1.2:/srv/root", "nfs4")
}

/// The root is a disk that a server lends: below no PCI function.
fn by_iscsi() -> Machine {
    let session = "sys/devices/platform/host9/session1/target9:0:0/9:0:0:0/block";
    board().disk_in(session, disk("sda", 2)).mount("/", "sda2", "ext4")
}

/// A second NVMe disk that has only the swap, and games on it.
fn swap_on_second() -> Machine {
    board()
        .on("0000:04:00.0", Part::Nvme(disk("nvme0n1", 2)))
        .on("0000:06:00.0", Part::Nvme(disk("nvme1n1", 2)))
        .mount("/", "nvme0n1p2", "ext4")
        .mount("/boot/efi", "nvme0n1p1", "vfat")
        .swap("nvme1n1p1")
}

/// A SAS controller with four disks in a pool, the root elsewhere; a guest could have it if the pool were not imported.
fn hba() -> Machine {
    let mut machine = board().with([endpoint("0000:09:00.0", (0x1000, 0x00ac), 0x01_0700, 18)
        .under("0000:00:1d.0")
        .driver("mpt3sas")
        .reset(&["flr", "bus"])]);
    machine = machine.on("0000:04:00.0", Part::Nvme(disk("nvme0n1", 2)));
    for name in ["sda", "sdb", "sdc", "sdd"] {
        machine = machine.on("0000:09:00.0", Part::Scsi(disk(name, 1)));
    }
    machine
        .pool("tank", "ID_FS_LABEL=tank", &["sda1", "sdb1", "sdc1", "sdd1"])
        .mount("/", "nvme0n1p2", "ext4")
        .mount("/boot/efi", "nvme0n1p1", "vfat")
        .mount("/tank", "tank", "zfs")
}
