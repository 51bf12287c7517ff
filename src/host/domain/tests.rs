// SPDX-License-Identifier: LGPL-2.1-or-later
#![allow(clippy::unwrap_used)]

use super::limits::DEEPEST;
use super::qemu::QEMU;
use super::xml::number;
use super::*;

fn domain(inside: &str) -> Result<Domain, String> {
    parse(&format!("<domain type='kvm'><name>win10</name>{inside}</domain>"))
}

fn device(inside: &str) -> Result<Domain, String> {
    domain(&format!("<devices>{inside}</devices>"))
}

fn paths(domain: &Domain) -> Vec<(&str, &str)> {
    domain.files.iter().map(|f| (f.path.as_str(), f.what)).collect()
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

#[test]
fn arguments_for_qemu_itself() {
    let with = |value: &str| {
        parse(&format!(
            "<domain xmlns:qemu='{QEMU}'><name>a</name><qemu:commandline><qemu:arg value='-device'/>\
             <qemu:arg value='{value}'/></qemu:commandline></domain>"
        ))
    };
    let found = with("vfio-pci,host=0b:00.0,multifunction=on,romfile=/x.rom").unwrap();
    assert_eq!(found.hostdevs[0].address.to_string(), "0000:0b:00.0");
    assert_eq!((found.hostdevs[0].managed, paths(&found)), (false, vec![("/x.rom", "option ROM")]));
    assert!(with("ivshmem-plain,memdev=looking-glass,host=1").unwrap().hostdevs.is_empty());
    assert!(with("vfio-pci,sysfsdev=/sys/bus/mdev/devices/x").unwrap().hostdevs.is_empty());
    let error = with("vfio-pci,host=big").unwrap_err();
    assert_eq!(error, "its XML has a vfio-pci argument for QEMU whose host is 'big', which is not an address");
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
