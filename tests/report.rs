// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio report` is pasted in public: nothing of whose machine it is may be in it, and everything that it is for.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{desktop, domain, hosts, Tree};
use vfio_suite::finding::codes::logs::{LogSource, RULES};

const VFIO: &str = env!("CARGO_BIN_EXE_vfio");
const VIDEO: &str = "0000:03:00.0";
const SOUND: &str = "0000:03:00.1";

/// What must not be seen, by what it is: a part of it that is long enough to be nothing else.
const SECRETS: [(&str, &str); 70] = [
    ("a password", "Qhunter2Q"),
    ("a password in quotes", "horse battery"),
    ("a credential", "credQ7value"),
    ("a key file", "annaskeyfile"),
    ("a word alone", "wordaloneQ"),
    ("an argument of the first program", "argumentQ"),
    ("an address of version 4", "10.11.12.13"),
    ("an address of version 4 with a port", "10.11.12.14:5901"),
    ("a network", "10.11.0.0/16"),
    ("an address of version 6", "2001:db8:77::15"),
    ("an address of version 6 with an interface", "fe80::5054:ff:fe12:9"),
    ("a MAC address", "52:54:00:aa:bb:c1"),
    ("BOOTIF", "52-54-00-aa-bb-c2"),
    ("a MAC address of Bluetooth", "52_54_00_AA_BB_C3"),
    ("an interface with its address", "525400aabbc4"),
    ("a UUID", "0b8e1a2c-7777-4abc-9def-0123456789ab"),
    ("a UUID in a name", "1b8e1a2c-7777-4abc-9def-0123456789ab"),
    ("a UUID of a partition", "2b8e1a2c-7777-4abc-9def-0123456789ab"),
    ("a partition of an MBR", "7a7b7c7d-05"),
    ("FAT", "7A7B-7C7D"),
    ("NTFS", "01D977B4C5D6E7F8"),
    ("an array", "77777777:6d7e8f90:a1b2c3d4:e5f60718"),
    ("LVM", "Ab77ef-0123-4567-89ab-cdEF-ghij-klmnop"),
    ("a machine", "77777777777777789abcdef012345678"),
    ("ZFS", "17777777777777777777"),
    ("WWN", "0x5000c77777b2c3d4"),
    ("EUI", "0025387777b0a1c2"),
    ("NVMe over a fabric", "org.nvmexpress:uuid:77"),
    ("iSCSI", "iqn.2001-04.com.acmecorp"),
    ("a label", "LabelQone"),
    ("a label of a partition", "PartLabelQ"),
    ("a disk by its label", "LabelQtwo"),
    ("a disk by its id", "S7QNNJ0W77"),
    ("a disk by its path", "pci-0000:04:00.0-nvme-7"),
    ("a disk's name alone", "WCC7K7777777"),
    ("a mapped device", "annascrypt"),
    ("a volume group", "qvolgroup"),
    ("a file in the home directory", "tax-return"),
    ("a mount point", "annasvault"),
    ("another mount point", "annasbackup"),
    ("the host", "fortressq"),
    ("the domain", "acmecorp"),
    ("a search domain", "searchq.berlin"),
    ("a host of the list", "printerq"),
    ("a user", "mariecurieq"),
    ("a user's name", "Sklodowska"),
    ("a user of a directory", "jdoeq"),
    ("a user with a home", "zoeq"),
    ("a user who is nowhere listed", "ghostq"),
    ("an address of mail", "someone.q@"),
    ("a host of the net", "nasq.example.net"),
    ("a server", "filerq"),
    ("a share", "sharesq"),
    ("a pool", "tankq"),
    ("an interface", "annaslanq"),
    ("an address of the web", "intranetq"),
    ("a token", "ghp77C7e42F292c6912E7710c838"),
    ("a token in three parts", "eyJhbGciOiJIUzI1NiJ9"),
    ("a key of ssh", "AAAAC3NzaC1lZDI1NTE5AAAAQ"),
    ("a private key", "b3BlbnNzaC1rZXktdjEA"),
    ("a domain of libvirt", "annas-gamingq"),
    ("an image", "ledgerq"),
    ("a screen's password", "vncQpass"),
    ("a command", "backupqtool"),
    ("a process", "secretappq"),
    ("a process that has ended", "endedappq"),
    ("a unit", "annasunitq"),
    ("a keyboard", "Maries board"),
    ("a key of the configuration", "Qconfigvalue"),
    ("a comment", "Qcomment"),
];

const CONFIG: &str = "\
# Qcomment of mariecurieq at 10.11.12.13
[host]
kernel-parameters = pcie_acs_override=downstream rd.api=Qhunter2Q wordaloneQ
secret-key = Qconfigvalue
[gpu big]
device = 0000:03:00.0
sentinel = 'Qconfigvalue of mariecurieq'
driver = Qconfigvalue
[gpu other]
device = 0000:03:00.0
[guest win]
domain = annas-gamingq
uri = qemu+ssh://mariecurieq@nasq.example.net/system?Qhunter2Q
gpus = big
before = /usr/local/bin/backupqtool --password vncQpass --to nasq.example.net
after = relative-backupqtool Qhunter2Q
";

/// Sentences with everything in them that any program may have said.
const SAID: &str = "\
BOOTIF=01-52-54-00-aa-bb-c2 52-54-00-aa-bb-c2 52:54:00:aa:bb:c1 dev_52_54_00_AA_BB_C3 on enx525400aabbc4
10.11.12.13, 10.11.12.14:5901 10.11.0.0/16; [2001:db8:77::15]:22 (fe80::5054:ff:fe12:9%eth0)
0b8e1a2c-7777-4abc-9def-0123456789ab luks-1b8e1a2c-7777-4abc-9def-0123456789ab PARTUUID=2b8e1a2c-7777-4abc-9def-0123456789ab
PARTUUID=7a7b7c7d-05 7a7b7c7d-05 7A7B-7C7D 01D977B4C5D6E7F8 77777777:6d7e8f90:a1b2c3d4:e5f60718
Ab77ef-0123-4567-89ab-cdEF-ghij-klmnop 77777777777777789abcdef012345678 17777777777777777777
wwn-0x5000c77777b2c3d4 0x5000c77777b2c3d4 eui.0025387777b0a1c2 nvme-eui.0025387777b0a1c2
nqn.2014-08.org.nvmexpress:uuid:77 iqn.2001-04.com.acmecorp:storage.disk1
LABEL=LabelQone LABEL=\"LabelQone b\" PARTLABEL=PartLabelQ /dev/disk/by-label/LabelQtwo
/dev/disk/by-id/nvme-Big_500_S7QNNJ0W77-part2 nvme-Big_500_S7QNNJ0W77 /dev/disk/by-path/pci-0000:04:00.0-nvme-7
ata-WDC_WD40-68N_WD-WCC7K7777777 /dev/mapper/annascrypt /dev/qvolgroup/root the LVM volume qvolgroup-root (sda2)
/home/mariecurieq/tax-return.pdf '/home/zoeq/tax-return of 2025.pdf' ~mariecurieq /run/media/ghostq/annasbackup
mounted at /annasvault (sda1), and /mnt/annasbackup too; fortressq FORTRESSQ fortressq.acmecorp.example nasq.example.net
fs.searchq.berlin printerq mail to someone.q@gmail.com by https://intranetq/x?y=Qhunter2Q or smb://mariecurieq:Qhunter2Q@nasq/x
password=Qhunter2Q --password Qhunter2Q, passphrase: credQ7value; token ghp77C7e42F292c6912E7710c838 rd.key=\"horse battery\"
ghp77C7e42F292c6912E7710c838 eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAQ x
-----BEGIN OPENSSH PRIVATE KEY----- b3BlbnNzaC1rZXktdjEA
root=/dev/sda1 luks.name=annascrypt systemd.set_credential=a:credQ7value ip=10.11.12.13::10.11.12.1
the disk '/var/lib/libvirt/images/ledgerq.qcow2' is not there; domain annas-gamingq ANNAS-GAMINGQ and 'annas-gamingq'
secretappq (pid 4242, user jdoeq, annasunitq.service) has /dev/dri/card1 open
[gpu big] ask endedappq (pid 4299, user ghostq, app-annasunitq-1.scope) to end
end session 7 of ACMECORP\\jdoeq on seat0 and jdoeq@acmecorp.example
run '/usr/local/bin/backupqtool --password vncQpass --to nasq.example.net'
would run: /usr/local/bin/backupqtool vncQpass
/usr/local/bin/backupqtool: it has not ended; has the keyboard 'Maries board'
annasunitq.service: Qhunter2Q said wordaloneQ to mariecurieq, MarieCurieQ, Sklodowska, zoeq and jdoeq of acmecorp
mount.nfs: filerq:/exported is busy, //sharesq/exported too; has the network interface annaslanq0, which is in use; tankq/home
its XML has a memory of 'Qconfigvalue', which is not a size
";

/// Of the kernel's command line what a boot by the network, a cloud or an installer puts there.
const COMMAND_LINE: &str = "\
root=UUID=0b8e1a2c-7777-4abc-9def-0123456789ab rd.luks.uuid=luks-1b8e1a2c-7777-4abc-9def-0123456789ab \
resume=PARTUUID=2b8e1a2c-7777-4abc-9def-0123456789ab rd.md.uuid=77777777:6d7e8f90:a1b2c3d4:e5f60718 BOOTIF=01-52-54-00-aa-bb-c2 \
ip=10.11.12.13::10.11.12.1:255.255.255.0:fortressq:enx525400aabbc4:none nfsroot=nasq.example.net:/srv/annasvault \
rd.iscsi.initiator=iqn.2001-04.com.acmecorp:77 rd.iscsi.password=Qhunter2Q rd.lvm.lv=qvolgroup/root netconsole=@10.11.12.14:5901/eth0 \
zfs=annasbackup/ROOT systemd.hostname=fortressq ds=nocloud-net;s=https://intranetq/x?y=Qhunter2Q rd.znet=Qhunter2Q";

/// What is said in the same places and is what a report is for.
const WANTED: &str = "\
[gpu big] 0000:03:00.0 (1002:73df:1da2:e445) is held: gnome-shell (pid 2100, user 1000, session-2.scope) has /dev/dri/card1 open
vfio-bind@big.service: IOMMU group 14: 0000:03:00.1 amdgpu snd_hda_intel vfio-pci, 16G of 0x0000008000000000
/etc/vfio.conf:3: 'bind = boot' iommu=pt amdgpu.gpu_recovery=1 vfio-pci.ids=1002:73df,1002:ab28 pcie_acs_override=downstream
";

fn lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}

/// A machine with all of this in every place that a report reads.
fn machine() -> Tree {
    let tree = hosts::unpack("root-on-lvm-luks");
    desktop::desktop(&tree, VIDEO, Some(SOUND));
    tree.config(CONFIG);
    let all = SAID.replace('\n', " ");
    tree.write(
        "proc/cmdline",
        &format!(
            "BOOT_IMAGE=/boot/vmlinuz-6.12 iommu=pt amdgpu.gpu_recovery=1 module_blacklist=nouveau quiet wordaloneQ \
             rd.password=Qhunter2Q rd.key=\"horse battery\" systemd.set_credential=a:credQ7value luks.keyfile=annaskeyfile \
             net.x=LabelQone {COMMAND_LINE} -- argumentQ argumentQ=1\n"
        ),
    );
    tree.write("proc/sys/kernel/hostname", "FortressQ.acmecorp.example\n");
    tree.write("etc/hostname", "fortressq\n");
    tree.write("etc/hosts", "127.0.0.1 localhost\n10.11.12.13 printerq.acmecorp.example printerq # printerq\n");
    tree.write("etc/resolv.conf", "nameserver 10.11.12.13\nsearch searchq.berlin acmecorp.example\n");
    tree.write(
        "etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\nmariecurieq:x:1000:1000:Marie Sklodowska,10.11.12.13:/home/mariecurieq:/bin/sh\n",
    );
    tree.write("home/zoeq/.keep", "");
    let mounts = tree.read("proc/1/mountinfo");
    tree.write(
        "proc/1/mountinfo",
        &format!(
            "{mounts}90 1 0:90 / /tank rw - zfs tankq/home rw\n91 1 0:91 / /mnt/x rw - cifs //sharesq/exported rw\n"
        ),
    );
    tree.write("etc/crypttab", "annascrypt UUID=0b8e1a2c-7777-4abc-9def-0123456789ab annaskeyfile\n");
    let release = "NAME=\"Debian of mariecurieq\"\nID=debian\nVERSION_ID=\"13\"\nPRETTY_NAME=\"Debian Qhunter2Q at 10.11.12.13\"\n";
    tree.write("etc/os-release", &format!("{release}VARIANT_ID=\"Qhunter2Q {all}\"\n"));
    desktop::process(
        &tree,
        4242,
        "secretappq",
        4000,
        "/system.slice/annasunitq.service",
        &desktop::nodes(&tree, VIDEO),
    );
    desktop::session(&tree, "7", &["seat seat0", "name ACMECORP\\jdoeq", "user 70001", "process 4242", "class user"]);
    domain::domain(&tree, "annas-gamingq", &[VIDEO, SOUND], &[]);
    let quoted = serde_json::to_string(&lines(SAID)).unwrap();
    let desired = serde_json::to_string(&lines(WANTED)).unwrap();
    tree.write(
        "run/vfio/sync",
        &format!(
            "{{\"version\":1,\"outcome\":\"failed\",\"did\":{quoted},\"why\":[{}]}}\n",
            serde_json::to_string(&all).unwrap()
        ),
    );
    tree.write(
        "run/vfio/guest-status/win",
        &format!("{{\"guest\":\"win\",\"outcome\":\"failed\",\"why\":{quoted}}}\n"),
    );
    tree.write(
        "run/vfio/guest-status/gone",
        &format!("{{\"guest\":\"gone\",\"outcome\":\"stuck\",\"why\":{quoted}}}\n"),
    );
    tree.write(
        "run/vfio/status/gone",
        &format!("{{\"gpu\":\"gone\",\"outcome\":\"failed\",\"why\":{desired},\"functions\":[\"{VIDEO}\"]}}\n"),
    );
    tree.write(
        "run/vfio/status/big",
        &format!("{{\"gpu\":\"big\",\"outcome\":\"failed\",\"why\":{quoted},\"functions\":[\"{VIDEO}\"]}}\n"),
    );
    tree.write("run/vfio/off", &all);
    let title = "title Debian for mariecurieq at fortressq\nversion 6.12\nlinux /vmlinuz\n";
    tree.write("boot/loader/loader.conf", "default *\n# Qcomment\n");
    tree.write(
        "boot/loader/entries/one.conf",
        &format!("{title}options quiet {all}\noptions rd.password=\"Qhunter2Q\n"),
    );
    tree.write(
        "etc/default/grub",
        &format!(
            "# {all}\nGRUB_DISTRIBUTOR=\"mariecurieq\"\nGRUB_CMDLINE_LINUX_DEFAULT=\"quiet rd.password=Qhunter2Q `x\n"
        ),
    );
    tree.write(
        "boot/grub/grub.cfg",
        &format!("menuentry 'mariecurieq' {{\n linux /vmlinuz {}\n}}\n", all.replace(['"', '\''], "")),
    );
    tree.write("etc/kernel/cmdline", &all);
    let journal: String = lines(SAID).iter().map(|line| format!("[    5.123456] vfio-guest[812]: {line}\n")).collect();
    tree.write(".kernel/journal", &format!("{journal}[    6.0] vfio-bind[9]: {WANTED}"));
    logs(&tree);
    files(&tree);
    tree
}

/// Raw lines of every log, one for each pattern that a rule has: the sentences stand before it, in every place where anything
/// may stand, and behind it.
fn logs(tree: &Tree) {
    let (mut journal, mut domain, mut audit) = (String::new(), String::new(), String::new());
    let sentences = lines(SAID);
    let mut next = 0;
    let mut sentence = || {
        next += 1;
        sentences[next % sentences.len()]
    };
    for rule in RULES.iter().flat_map(|rules| rules.iter()) {
        for pattern in rule.patterns {
            let mut line = format!("{} ", sentence());
            for piece in pattern.split('*') {
                line += &format!("{piece} {} {VIDEO} ", sentence());
            }
            let (writer, log) = match rule.source {
                LogSource::Kernel => ("1700000000.1 kernel: ", &mut journal),
                LogSource::Libvirt => ("1700000000.1 virtqemud[812]: ", &mut journal),
                LogSource::Qemu => ("2023-11-14T22:13:22.000000Z qemu-system-x86_64: ", &mut domain),
                LogSource::Audit => ("type=AVC msg=audit(1700000000.1:4): ", &mut audit),
            };
            log.push_str(&format!("{writer}{line}\n{} and no rule knows this\n", sentence()));
        }
    }
    journal +=
        "1700000000.1 systemd[1]: vfio-guest@win.service of annasunitq.service: Failed with result 'mariecurieq'.\n";
    tree.write(".kernel/log", &journal);
    tree.write(".kernel/log-before", &journal);
    let start = "2023-11-14 22:13:21.000+0000: starting up libvirt version: 11.3.0 of mariecurieq at fortressq\n";
    tree.write("var/log/libvirt/qemu/annas-gamingq.log", &format!("{start}{domain}"));
    tree.write("var/log/audit/audit.log", &audit);
}

/// Other files that our readers read, with all that people write into them.
fn files(tree: &Tree) {
    let all = SAID.replace('\n', " ");
    let comments: String = lines(SAID).iter().map(|line| format!("# {line}\n")).collect();
    for path in
        ["etc/modprobe.d/anna.conf", "etc/mkinitcpio.conf", "etc/dracut.conf", "etc/libvirt/qemu.conf", "etc/fstab"]
    {
        tree.write(path, &comments);
    }
    tree.write("etc/machine-id", "77777777777777789abcdef012345678\n");
    tree.write("etc/kernel/entry-token", "fortressq\n");
    let utf16 = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let variables = "sys/firmware/efi/efivars";
    for (name, text) in [
        ("LoaderInfo", "systemd-boot 257 of mariecurieq\0"),
        ("LoaderEntrySelected", "77777777777777789abcdef012345678-6.12.conf\0"),
        ("LoaderDevicePartUUID", "2b8e1a2c-7777-4abc-9def-0123456789ab\0"),
    ] {
        let path = format!("{variables}/{name}-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f");
        tree.write(&path, "");
        std::fs::write(tree.join(&path), [vec![6, 0, 0, 0], utf16(text)].concat()).unwrap();
    }
    let xml = tree.read(".kernel/domains/annas-gamingq.xml");
    let more = format!(
        "<title>mariecurieq</title><description>{}</description><metadata><x>Qhunter2Q</x></metadata>\
         <!-- Qcomment --><graphics type='vnc' port='-1' passwd='vncQpass'/>",
        all.replace(['<', '>', '&'], "")
    );
    tree.write(".kernel/domains/annas-gamingq.xml", &xml.replacen("<devices>", &format!("<devices>{more}"), 1));
}

/// Everything that `vfio report` prints, where one kind is.
fn report(tree: &Tree, json: bool) -> (String, String) {
    let arguments: &[&str] = if json { &["report", "--json"] } else { &["report"] };
    let ran = tree.run(VFIO, arguments);
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    (ran.stdout, ran.stderr)
}

#[test]
fn nothing_of_whose_machine_it_is_is_seen() {
    let tree = machine();
    let mut found = Vec::new();
    for json in [false, true] {
        let (stdout, stderr) = report(&tree, json);
        assert_eq!(stderr, "", "a report says nothing beside what is masked");
        for (number, line) in stdout.replace("\\n", "\n").lines().enumerate() {
            for (what, secret) in SECRETS {
                if line.to_lowercase().contains(&secret.to_lowercase()) {
                    found.push(format!("{what} ({secret}), line {number}: {line}"));
                }
            }
        }
    }
    assert!(found.is_empty(), "{} are seen:\n{}", found.len(), found.join("\n"));
}

/// The test above is worth something: the verbs that a report asks do say these things, and the journal all of them.
#[test]
fn what_is_planted_is_said_without_a_report() {
    let tree = machine();
    let mut said = tree.read(".kernel/journal");
    assert!(SECRETS.iter().filter(|(_, secret)| said.contains(secret)).count() > 55);
    for verb in
        [&["check"][..], &["status"], &["plan"], &["groups"], &["cmdline", "status"], &["guest", "list"], &["doctor"]]
    {
        let ran = tree.run(VFIO, verb);
        said += &format!("{}{}", ran.stdout, ran.stderr);
    }
    let silent: Vec<&str> =
        SECRETS.iter().filter(|(_, secret)| !said.contains(secret)).map(|(what, _)| *what).collect();
    // These are read as what else is masked, or not at all.
    assert!(silent.len() < 5, "{silent:?}");
}

#[test]
fn what_a_report_is_for_is_seen() {
    let tree = machine();
    let (stdout, _) = report(&tree, false);
    let (stdout, recording) = stdout.split_once("== recording\n").unwrap();
    for code in ["not ready ", "apparmor=\"DENIED\""] {
        assert!(recording.contains(code), "a line that a rule knows is there: {code}");
    }
    assert!(!recording.contains("no rule knows this"), "no other line is");
    for desired in lines(WANTED) {
        assert_eq!(
            stdout.matches(desired).count(),
            3,
            "in the status, by the doctor and in the journal: {desired}\n{stdout}"
        );
    }
    for desired in [
        "system: debian 13\n",
        "kernel: 6.12",
        "command line: BOOT_IMAGE=/boot/vmlinuz-6.12 iommu=pt amdgpu.gpu_recovery=1 module_blacklist=nouveau quiet masked \
         rd.password=masked rd.key=masked ",
        "== vfio check (exit code 2)",
        "/etc/vfio.conf:4: warning: unknown key",
        "IOMMU group 14: ",
        "0000:03:00.0  VGA display (1002:73df); bound to amdgpu; ",
        "0000:03:00.1",
        "pcie_acs_override=downstream",
        "GRUB  /boot/grub/grub.cfg ",
        "to do: run 'systemctl enable --now vfio-sync.path', or 'vfio sync' after",
        "== journal\n",
        "[    5.123456] vfio-guest[812]: ",
    ] {
        assert!(stdout.contains(desired), "not there: {desired}\n{stdout}");
    }
    // The same thing has the same name wherever it is said.
    let user = stdout.split("/annas").next().unwrap();
    assert!(user.contains("user-1") && stdout.contains("user-2"), "{stdout}");
}
