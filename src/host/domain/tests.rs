// SPDX-License-Identifier: LGPL-2.1-or-later
#![allow(clippy::unwrap_used)]

use super::limits::DEEPEST;
use super::xml::QEMU;
use super::xml::{number, size};
use super::*;

pub(super) fn domain(inside: &str) -> Result<Domain, String> {
    parse(&format!("<domain type='kvm'><name>win10</name>{inside}</domain>"))
}

fn device(inside: &str) -> Result<Domain, String> {
    domain(&format!("<devices>{inside}</devices>"))
}

fn paths(domain: &Domain) -> Vec<(&str, &str)> {
    domain.files.iter().filter(|f| !f.optional).map(|f| (f.path.as_str(), f.what)).collect()
}

#[test]
fn sizes_are_libvirts() {
    for (number, unit, bytes) in [
        ("8388608", "KiB", Some(8 << 30)),
        ("8388608", "k", Some(8 << 30)),
        ("8388608", "kib", Some(8 << 30)),
        ("1000", "KB", Some(1_000_000)),
        ("16", "GiB", Some(16 << 30)),
        ("16", "G", Some(16 << 30)),
        ("16", "GB", Some(16_000_000_000)),
        ("512", "MB", Some(512_000_000)),
        ("512", "MiB", Some(512 << 20)),
        ("1", "T", Some(1 << 40)),
        ("7", "b", Some(7)),
        ("7", "bytes", Some(7)),
        ("15", "EiB", Some(15 << 60)),
        ("16", "EiB", None),
        ("99999999999999999999", "b", None),
        ("-1", "KiB", None),
        ("+1", "q", None),
        ("1", "", None),
        ("1", "KiBi", None),
        ("1", "ß", None),
        ("", "KiB", None),
    ] {
        assert_eq!(size(number, unit), bytes, "{number} {unit}");
    }
}

#[test]
fn numbers_are_as_in_c() {
    for (text, expected) in [
        ("0", Some(0)),
        ("0x1f", Some(31)),
        ("0X1F", Some(31)),
        ("31", Some(31)),
        ("037", Some(31)),
        ("09", None),
        ("+1", None),
        ("0x+1", None),
        ("-1", None),
        ("0x", None),
        ("", None),
        ("1 ", None),
        ("ff", None),
        ("0x100000000", None),
    ] {
        assert_eq!(number(text), expected, "{text}");
    }
}

#[test]
fn addresses_of_host_devices() {
    let at = |attributes: &str| {
        let xml = format!("<hostdev mode='subsystem' type='pci'><source><address {attributes}/></source></hostdev>");
        Ok::<_, String>(device(&xml)?.hostdevs[0].address.to_string())
    };
    for (attributes, expected) in [
        ("domain='0x0000' bus='0x0b' slot='0x00' function='0x1'", "0000:0b:00.1"),
        ("domain='0' bus='11' slot='31' function='7'", "0000:0b:1f.7"),
        ("bus='013'", "0000:0b:00.0"),
        ("domain='0x10000' bus='0xe1'", "10000:e1:00.0"),
    ] {
        assert_eq!(at(attributes).unwrap(), expected, "{attributes}");
    }
    for (attributes, part) in [
        ("bus='256'", "bus is '256'"),
        ("slot='0x20'", "slot is '0x20'"),
        ("function='8'", "function is '8'"),
        ("domain='nonsense'", "domain is 'nonsense'"),
        ("domain='0x100000000'", "domain is '0x100000000'"),
    ] {
        let error = at(attributes).unwrap_err();
        assert_eq!(error, format!("its XML has a PCI host device whose {part}, which cannot be"));
    }
}

#[test]
fn what_counts_as_a_host_device() {
    let source = "<source><address type='pci' domain='0' bus='3' slot='0' function='0'/></source>";
    for (xml, managed) in [
        (format!("<hostdev mode='subsystem' type='pci' managed='yes'>{source}</hostdev>"), Some(true)),
        (format!("<hostdev type='pci' managed='no'><driver name='vfio'/>{source}</hostdev>"), Some(false)),
        (format!("<interface type='hostdev' managed='yes'>{source}</interface>"), Some(true)),
        (format!("<hostdev mode='subsystem' type='usb'>{source}</hostdev>"), None),
        (format!("<hostdev mode='subsystem' type='mdev' model='vfio-pci'>{source}</hostdev>"), None),
        (format!("<hostdev mode='capabilities' type='misc'>{source}</hostdev>"), None),
        (format!("<interface type='network'>{source}</interface>"), None),
        (
            "<interface type='hostdev'><source><address type='usb' bus='0' device='2'/></source></interface>".into(),
            None,
        ),
    ] {
        let found = device(&xml).unwrap();
        assert_eq!(found.hostdevs.first().map(|h| h.managed), managed, "{xml}");
        assert!(found.hostdevs.iter().all(|h| h.address.to_string() == "0000:03:00.0"), "{xml}");
    }
    let nvme = "<disk type='nvme' device='disk'><source type='pci' managed='yes' namespace='1'>\
                <address domain='0x0000' bus='0x01' slot='0x00' function='0x0'/></source></disk>";
    let found = device(nvme).unwrap();
    assert_eq!((found.hostdevs[0].address.to_string().as_str(), found.hostdevs[0].managed), ("0000:01:00.0", true));
}

#[test]
fn option_roms_are_needed_unless_switched_off() {
    let with =
        |rom: &str| device(&format!("<hostdev type='pci'><source><address bus='3'/></source>{rom}</hostdev>")).unwrap();
    let found = with("<rom bar='on' file='/var/lib/vfio/big.rom'/>");
    assert_eq!(found.hostdevs[0].rom.as_deref(), Some("/var/lib/vfio/big.rom"));
    assert_eq!(paths(&found), [("/var/lib/vfio/big.rom", "option ROM")]);
    for rom in ["", "<rom bar='off'/>", "<rom file=''/>", "<rom enabled='no' file='/x'/>"] {
        let found = with(rom);
        assert_eq!((&found.hostdevs[0].rom, &found.files[..]), (&None, &[][..]), "{rom}");
        assert_eq!(found.hostdevs[0].rom_off, rom.contains("off") || rom.contains("no"), "{rom}");
    }
}

#[test]
fn disks_that_must_be_there() {
    for (xml, expected) in [
        ("<disk type='file' device='disk'><source file='/a'/></disk>", &[("/a", "disk")][..]),
        ("<disk><source file='/a'/></disk>", &[("/a", "disk")]),
        ("<disk type='block' device='disk'><source dev='/dev/vg/a' index='1'/></disk>", &[("/dev/vg/a", "disk")]),
        ("<disk type='file' device='cdrom'><target dev='sda'/></disk>", &[]),
        ("<disk type='file' device='cdrom'><source file=''/></disk>", &[]),
        ("<disk type='file' device='cdrom'><source file='/i.iso'/></disk>", &[("/i.iso", "CD image")]),
        ("<disk type='file' device='cdrom'><source file='/i' startupPolicy='optional'/></disk>", &[]),
        ("<disk type='file' device='disk'><source file='/i' startupPolicy='requisite'/></disk>", &[("/i", "disk")]),
        ("<disk type='network'><source protocol='rbd' name='p/i'/></disk>", &[]),
        ("<disk type='volume'><source pool='p' volume='v'/></disk>", &[]),
        (
            "<disk type='file'><source file='/top'/><backingStore type='block'><source dev='/dev/base'/>\
             <backingStore/></backingStore></disk>",
            &[("/top", "disk"), ("/dev/base", "disk")],
        ),
    ] {
        assert_eq!(paths(&device(xml).unwrap()), expected, "{xml}");
    }
}

#[test]
fn firmware_and_kernels() {
    let found = domain(
        "<os firmware='efi'><loader readonly='yes' type='pflash'>/code.fd</loader>\
         <nvram template='/vars.fd'>/nvram/win10.fd</nvram><kernel>/vmlinuz</kernel><initrd> /initrd </initrd></os>",
    );
    let found = found.unwrap();
    assert_eq!(
        paths(&found),
        [("/code.fd", "firmware"), ("/vars.fd", "firmware"), ("/vmlinuz", "kernel"), ("/initrd", "initrd")]
    );
    assert_eq!(found.files[1].unless.as_deref(), Some("/nvram/win10.fd"));
    assert!(domain("<os firmware='efi'><nvram>/nvram/win10.fd</nvram></os>").unwrap().files.is_empty());
}

#[test]
fn memory_and_huge_pages() {
    let found = |inside: &str| domain(inside).map(|d| (d.memory, d.huge_pages));
    let backed = |pages: &str| domain(&format!("<memoryBacking>{pages}</memoryBacking>")).unwrap().huge_pages;
    assert_eq!(found("<memory>1024</memory>").unwrap(), (1 << 20, HugePages::No));
    assert_eq!(found("<memory dumpCore='off' unit='GiB'> 2 </memory>").unwrap().0, 2 << 30);
    assert_eq!(found("").unwrap().0, 0);
    assert_eq!(found("<memory>lots</memory>").unwrap_err(), "its XML has a memory of 'lots', which is not a size");
    assert_eq!(backed("<hugepages/>"), HugePages::Default);
    assert_eq!(backed("<locked/>"), HugePages::No);
    assert_eq!(backed("<hugepages><page size='1' unit='G'/></hugepages>"), HugePages::Size(1 << 30));
    assert_eq!(backed("<hugepages><page size='2048'/></hugepages>"), HugePages::Size(2 << 20));
    assert_eq!(backed("<hugepages><page size='2048' nodeset='0'/></hugepages>"), HugePages::Mixed);
    assert_eq!(backed("<hugepages><page size='4'/><page size='2048' nodeset='1'/></hugepages>"), HugePages::Mixed);
    let error = domain("<memoryBacking><hugepages><page/></hugepages></memoryBacking>").unwrap_err();
    assert_eq!(error, "its XML has huge pages of '', which is not a size");
}

fn with_arguments(values: &[&str]) -> Result<Domain, String> {
    let arguments: String = values.iter().map(|value| format!("<qemu:arg value='{value}'/>")).collect();
    parse(&format!(
        "<domain xmlns:qemu='{QEMU}'><name>a</name><qemu:commandline>{arguments}</qemu:commandline></domain>"
    ))
}

#[test]
fn arguments_for_qemu_itself() {
    let with = |value: &str| with_arguments(&["-device", value]);
    let found = with("vfio-pci,host=0b:00.0,multifunction=on,romfile=/x.rom").unwrap();
    assert_eq!(found.hostdevs[0].address.to_string(), "0000:0b:00.0");
    assert_eq!((found.hostdevs[0].managed, paths(&found)), (false, vec![("/x.rom", "option ROM")]));
    for (value, address) in [
        ("driver=vfio-pci,host=3:0.0", "0000:03:00.0"),
        ("host=3:1f.7,driver=vfio-pci-nohotplug", "0000:03:1f.7"),
        ("vfio-pci,host=1:3:0.0,id=a,,b", "0001:03:00.0"),
        ("vfio-pci,sysfsdev=/sys/bus/pci/devices/0000:03:00.0,host=9:0.0", "0000:03:00.0"),
        ("vfio-pci,sysfsdev=/sys/devices/pci0000:00/0000:00:01.0/0000:03:00.1/", "0000:03:00.1"),
        ("{&quot;driver&quot;:&quot;vfio-pci&quot;,&quot;host&quot;:&quot;0000:03:00.0&quot;,&quot;bootindex&quot;:1}", "0000:03:00.0"),
    ] {
        let found = with(value).unwrap();
        assert_eq!(found.hostdevs[0].address.to_string(), address, "{value}");
    }
    for value in [
        "ivshmem-plain,memdev=looking-glass,host=1",
        "vfio-pci,sysfsdev=/sys/bus/mdev/devices/x",
        "vfio-pci,,host=3:0.0",
        "virtio-net-pci,id=vfio-pci",
        "{&quot;driver&quot;:&quot;qemu-xhci&quot;,&quot;host&quot;:&quot;0000:03:00.0&quot;}",
    ] {
        assert!(with(value).unwrap().hostdevs.is_empty(), "{value}");
    }
    for host in ["big", "3", "3:0", "3:0.8", "3:20.0", "100:0.0", "0:0:3:0.0", ":0.0", "+3:0.0", "3:0.0 "] {
        let error = with(&format!("vfio-pci,host={host}")).unwrap_err();
        assert_eq!(
            error,
            format!("its XML has a vfio-pci argument for QEMU whose host is '{host}', which is not an address")
        );
    }
    let error = with("{driver:vfio-pci}").unwrap_err();
    assert_eq!(error, "its XML has an argument '-device' for QEMU that is not JSON: '{driver:vfio-pci}'");
}

/// An option's value is the next word; many options have none.
#[test]
fn options_and_values_are_told_apart() {
    let card = "vfio-pci,host=3:0.0";
    let hostdevs = |values: &[&str]| with_arguments(values).unwrap().hostdevs.len();
    assert_eq!(hostdevs(&["-nodefaults", "-device", card, "-no-reboot"]), 1);
    assert_eq!(hostdevs(&["--device", card]), 1);
    assert_eq!(hostdevs(&["-cpu", card, card]), 0);
    assert_eq!(hostdevs(&["-device", "-device", card]), 1);
    assert_eq!(with_arguments(&["-device vfio-pci,host=3:0.0"]).unwrap().joined, ["-device vfio-pci,host=3:0.0"]);
    assert!(with_arguments(&["-smbios", "type=1,product=a b"]).unwrap().joined.is_empty());
}

/// QEMU finds by `-set` only what was made of words before it.
#[test]
fn devices_of_libvirt_are_not_set() {
    let sets = |values: &[&str]| with_arguments(values).unwrap().sets;
    assert_eq!(sets(&["-set", "device.hostdev0.x-vga=on"]), ["hostdev0"]);
    assert_eq!(sets(&["-set", "device.ua-gpu.x-vga=on"]), ["ua-gpu"]);
    assert!(sets(&["-device", "vfio-pci,host=3:0.0,id=gpu", "-set", "device.gpu.x-vga=on"]).is_empty());
    assert_eq!(sets(&["-set", "device.gpu.x-vga=on", "-device", "vfio-pci,host=3:0.0,id=gpu"]), ["gpu"]);
    assert!(sets(&["-set", "machine.x=y"]).is_empty());
}

#[test]
fn files_of_arguments() {
    let found = with_arguments(&[
        "-object",
        "input-linux,id=k,evdev=/dev/input/event3",
        "-object",
        "memory-backend-file,id=lg,mem-path=/dev/kvmfr0,size=64M",
        "-object",
        "memory-backend-file,id=shm,mem-path=/dev/shm/looking-glass,size=64M",
        "-drive",
        "file=/dev/sdb,format=raw",
        "-drive",
        "file=/srv/a.iso,media=cdrom",
        "-drive",
        "file=nbd:localhost:10809",
        "-acpitable",
        "file=/srv/slic.bin",
        "-audiodev",
        "pa,id=a,server=unix:/run/user/1000/pulse/native",
        "-audiodev",
        "pa,id=b,server=tcp:192.0.2.1",
        "-hda",
        "/dev/sdc",
    ])
    .unwrap();
    assert_eq!(
        paths(&found),
        [
            ("/dev/input/event3", "input device"),
            ("/dev/kvmfr0", KVMFR),
            ("/dev/sdb", "disk"),
            ("/srv/a.iso", "CD image"),
            ("/srv/slic.bin", "ACPI or SMBIOS table"),
            ("/run/user/1000/pulse/native", "sound server's place"),
            ("/dev/sdc", "disk"),
        ]
    );
    let written: Vec<&str> = found.files.iter().filter(|file| file.written).map(|file| file.path.as_str()).collect();
    assert_eq!(written, ["/dev/sdb", "/dev/sdc"]);
}

#[test]
fn what_is_only_taken_from_the_host_is_not_assigned() {
    let with = |guest: &str| {
        let source = "<source><address bus='3'/></source>";
        device(&format!("<hostdev type='pci' managed='yes'>{source}{guest}</hostdev>")).unwrap().hostdevs[0].assigned
    };
    assert!(!with("<address type='unassigned'/>"));
    assert!(with("") && with("<address type='pci' bus='0x06'/>"));
}

/// libvirt makes variables of a file from their template, those of a block device never, and those elsewhere it cannot see.
#[test]
fn variables_of_firmware_in_each_form() {
    let with = |nvram: &str| {
        let files = domain(&format!("<os>{nvram}</os>")).unwrap().files;
        files.into_iter().map(|file| (file.path, file.unless)).collect::<Vec<_>>()
    };
    let (template, own) = ("/vars.fd".to_owned(), "/nvram/a.fd".to_owned());
    for (nvram, expected) in [
        ("<nvram template='/vars.fd'>/nvram/a.fd</nvram>", vec![(template.clone(), Some(own.clone()))]),
        (
            "<nvram type='file' template='/vars.fd'><source file='/nvram/a.fd'/></nvram>",
            vec![(template.clone(), Some(own.clone()))],
        ),
        ("<varstore template='/vars.fd' path='/nvram/a.fd'/>", vec![(template.clone(), Some(own.clone()))]),
        ("<nvram type='file'><source file='/nvram/a.fd'/></nvram>", vec![]),
        (
            "<nvram template='/vars.fd'/>",
            vec![(template.clone(), Some("/var/lib/libvirt/qemu/nvram/win10_VARS.fd".to_owned()))],
        ),
        (
            "<nvram template='/vars.fd' format='qcow2'/>",
            vec![(template, Some("/var/lib/libvirt/qemu/nvram/win10_VARS.qcow2".to_owned()))],
        ),
        ("<nvram type='block'><source dev='/dev/vg/nvram'/></nvram>", vec![("/dev/vg/nvram".to_owned(), None)]),
        ("<nvram type='network' template='/vars.fd'><source protocol='iscsi' name='iqn'/></nvram>", vec![]),
    ] {
        assert_eq!(with(nvram), expected, "{nvram}");
    }
}

#[test]
fn lists_of_cpus_are_libvirts() {
    let pins = |cpuset: &str| {
        domain(&format!("<cputune><vcpupin vcpu='0' cpuset='{cpuset}'/></cputune>"))
            .map(|domain| domain.pins[0].cpus.clone())
    };
    for (cpuset, cpus) in [("3", vec![3]), ("0-3,^1,8", vec![0, 2, 3, 8]), (" 1 , 2 ", vec![1, 2])] {
        assert_eq!(pins(cpuset).unwrap(), cpus, "{cpuset}");
    }
    for cpuset in ["x", "^1", "1,^1", "3-1", "9999", "1,,2", "0-8191,0-8191,0-8191"] {
        let error = pins(cpuset).unwrap_err();
        assert_eq!(error, format!("its XML has a vcpupin to '{cpuset}', which is not a list of CPUs"));
    }
    let many = |number: usize| "<vcpupin vcpu='0' cpuset='3'/>".repeat(number);
    assert!(domain(&format!("<cputune>{}</cputune>", many(1024))).is_ok());
    let error = domain(&format!("<cputune>{}</cputune>", many(2000))).unwrap_err();
    assert_eq!(error, "its XML binds more than 1024 of its parts to CPUs");
    // The same of nodes: what is beyond is not looked at.
    let nodes: String = (0..2000).map(|n| format!("<memnode cellid='0' mode='strict' nodeset='{n}'/>")).collect();
    assert_eq!(domain(&format!("<numatune>{nodes}</numatune>")).unwrap().nodes.len(), 1024);
}

#[test]
fn wrong_texts_get_one_sentence() {
    for (xml, expected) in [
        ("", "its XML cannot be read: the document does not have a root node"),
        ("<network/>", "its XML describes a 'network' and no domain"),
        ("<domain xmlns='urn:x'><name>a</name></domain>", "its XML describes a 'domain' and no domain"),
        ("<domain/>", "its XML has no name in it"),
        ("<domain><name> </name></domain>", "its XML has no name in it"),
        ("<!DOCTYPE domain><domain/>", "its XML cannot be read: XML with DTD detected"),
    ] {
        assert_eq!(parse(xml).unwrap_err(), expected, "{xml}");
    }
    let error = device("<hostdev type='pci'/>").unwrap_err();
    assert_eq!(error, "its XML has a PCI host device without a source");
    let error = device("<hostdev type='pci'><source/></hostdev>").unwrap_err();
    assert_eq!(error, "its XML has a PCI host device without an address");
}

/// However large or deep: an answer, in bounded time, and a short one.
#[test]
fn a_flood_is_refused() {
    let many = "<a/>".repeat(300_000);
    for xml in [
        "\u{1}\u{2}garbage<>&;".repeat(100_000),
        "<a>".repeat(400_000),
        format!("<domain><name>a</name>{many}</domain>"),
        format!("<domain><name>a</name></{}>", "ä".repeat(500_000)),
        format!("<{}/>", "b".repeat(1 << 20)),
        format!("<domain><name>a</name><memory>{}</memory></domain>", "9".repeat(1 << 20)),
    ] {
        let error = parse(&xml).unwrap_err();
        assert!(error.len() < 1000 && error.lines().count() == 1, "{error}");
    }
    let below = "<backingStore type='file'><source file='/x'/>";
    let deep = |levels: usize| {
        let layers = format!("{}{}", below.repeat(levels), "</backingStore>".repeat(levels));
        device(&format!("<disk type='file'><source file='/x'/>{layers}</disk>"))
    };
    assert_eq!(deep(DEEPEST - 4).unwrap().files.len(), DEEPEST - 3);
    for levels in [DEEPEST, 40_000] {
        let error = deep(levels).unwrap_err();
        assert_eq!(error, "its XML cannot be read: its elements lie more than 256 deep in each other");
    }
}

/// What only looks like a tag is none; what hides tags from us hides them from the parser.
#[test]
fn depth_is_counted_as_the_parser_counts() {
    let many = "<a>".repeat(1000);
    for xml in [
        format!("<domain><name>a</name><!-- {many} --></domain>"),
        format!("<domain><name>a</name><x><![CDATA[{many}]]></x></domain>"),
        format!("<?xml version='1.0'?><domain><?p {many}?><name>a</name></domain>"),
        format!("<domain><name>a</name>{}</domain>", "<a b='/' c=\"'>\"/>".repeat(1000)),
        format!("<domain><name>a</name>{}</domain>", "<a b='/'></a>".repeat(1000)),
    ] {
        assert_eq!(too_much(&xml), None, "{xml}");
        assert!(parse(&xml).is_ok(), "{xml}: {:?}", parse(&xml));
    }
    for before in ["<a b='>", "<a b=\"'/>\">", "<!-- -->", "<![CDATA[", "</a></a>", "<a/>", "<?x ?>", "<!-- -- -->"] {
        let xml = format!("<domain>{before}{}", "<a>".repeat(100_000));
        assert!(parse(&xml).is_err(), "{before}");
    }
}

/// Regression: the parser takes four times the time for twice as many of these, minutes for what fits into a description.
#[test]
fn what_the_parser_is_slow_with_is_counted_before() {
    let with = |inside: String| domain(&format!("<metadata>{inside}</metadata>")).map(|_| ());
    let attributes = |number: usize| format!("<a {}/>", (0..number).map(|n| format!(" a{n}='='")).collect::<String>());
    let cdata = |number: usize| "<![CDATA[x]]>".repeat(number);
    let namespaces = |number: usize| (0..number).map(|n| format!("<a xmlns:n{n}='n'/>")).collect::<String>();
    let devices = |number: usize| {
        let device = "<hostdev type='pci'><source><address bus='1'/></source></hostdev>";
        device_of(&device.repeat(number))
    };
    assert_eq!(with(attributes(100)), Ok(()));
    assert_eq!(with(cdata(100)), Ok(()));
    assert_eq!(with(namespaces(256)), Ok(()));
    assert_eq!(devices(256), Ok(()));
    for (result, what) in [
        (with(attributes(101)), "an element has more than 100 attributes"),
        (with(attributes(40_000)), "an element has more than 100 attributes"),
        (with(cdata(101)), "more than 100 CDATA sections"),
        (with(cdata(600_000)), "larger than 4 MiB"),
        (with(cdata(200_000)), "more than 100 CDATA sections"),
        (with(namespaces(257)), "more than 256 namespaces"),
        (devices(257), "more than 256 devices or files"),
        (with("<a/>".repeat(200_000)), "nodes limit"),
        (with(" ".repeat(LARGEST)), "larger than 4 MiB"),
    ] {
        let error = result.unwrap_err();
        assert!(error.contains(what), "{error}");
    }
}

fn device_of(inside: &str) -> Result<(), String> {
    device(inside).map(|_| ())
}
