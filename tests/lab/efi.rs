// SPDX-License-Identifier: LGPL-2.1-or-later
//! Machines that start from their own disk: OVMF, an EFI system partition, one of Debian's boot loaders, a root on ext4.
//!
//! The file systems are written into the disk's file at their places, from a tree: no loop device, no mount. The boot
//! loader is then installed by a first start of the machine itself, in which its disk is a real one; QEMU still loads the
//! kernel then.

use crate::extra::{pocket, with_packages};
use crate::images::{find, package};
use crate::layers::{copy, enter, write, Initramfs};
use crate::machine::{words, Boot};
use crate::qemu::{self, Outcome, Spec, Start};
use crate::{cache, run_dir, tools};
use anyhow::{bail, Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The file system of the root.
const ROOT: &str = "6c616200-0000-4000-8000-000000000002";

/// The EFI system partition's, as mkfs.vfat and as fstab wants it.
const ESP: (&str, &str) = ("6C616201", "6C61-6201");

/// Where the partitions begin, in sectors of 512 bytes. A smaller EFI system partition has too few clusters for FAT32,
/// which Linux does not mind and the firmware does.
const BEGINS: (u64, u64) = (2048, 2048 + 512 * 2048);

/// The whole disk, in MiB; the file has holes.
const SIZE: u64 = 4096;

/// What starts the lab's script without waiting for all of the machine: file systems are there, devices too.
const EARLY: [(&str, &str); 2] = [
    (
        "etc/systemd/system/lab-early.target",
        "[Unit]\nDescription=The machine, as far as file systems\nRequires=sysinit.target\nWants=lab-early.service\n\
         After=sysinit.target\n",
    ),
    (
        "etc/systemd/system/lab-early.service",
        "[Unit]\nDescription=The lab's script\nDefaultDependencies=no\nAfter=sysinit.target\n\
         Conflicts=shutdown.target\nBefore=shutdown.target\n\n\
         [Service]\nType=oneshot\nExecStart=/usr/lib/lab/run\nTimeoutStartSec=infinity\n",
    ),
];

/// For the second kernel, which has its version in its name only: the modules are found under the name it believes in.
const KERNEL_HOOK: &str = "#!/bin/sh\n\
    [ \"$1\" != prereqs ] || exit 0\n\
    case $version in *-lab) ;; *) exit 0 ;; esac\n\
    mkdir -p \"$DESTDIR/usr/lib/modules\"\n\
    ln -s \"$version\" \"$DESTDIR/usr/lib/modules/FIRST\"\n";

/// Debian's ways to boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Loader {
    /// GRUB, its files and the kernels below /boot on the root.
    Grub,
    /// systemd-boot; kernels and their entries on the EFI system partition.
    SystemdBoot,
    /// systemd-boot; each kernel, its initramfs and its command line are one EFI program.
    Uki,
}

impl Loader {
    /// Its own, and dbus, without which no guest that is a command is started; with Secure Boot what is signed, or signs, and
    /// what unpacks a module.
    fn packages(self, keys: Option<Keys>) -> &'static str {
        match (self, keys) {
            (Loader::Grub, None) => "grub-efi-amd64 dbus",
            (Loader::Grub, Some(_)) => "grub-efi-amd64 grub-efi-amd64-signed shim-signed xz-utils dbus",
            (_, None) => "systemd-boot systemd-boot-efi systemd-ukify dbus",
            (_, Some(_)) => "systemd-boot systemd-boot-efi systemd-ukify sbsigntool xz-utils dbus",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Loader::Grub => "grub",
            Loader::SystemdBoot => "systemd-boot",
            Loader::Uki => "uki",
        }
    }

    /// What the first start does, on real partitions.
    fn install(self, keys: Option<Keys>) -> String {
        match self {
            Loader::Grub => {
                // What is signed looks for its settings below its vendor's name.
                let place = keys.map_or("--removable", |_| "--uefi-secure-boot --force-extra-removable");
                format!("grub-install --target=x86_64-efi --efi-directory=/boot/efi {place} --no-nvram\nupdate-grub\n")
            }
            Loader::SystemdBoot | Loader::Uki => {
                // bootctl prefers the signed one.
                let sign = keys.map_or(String::new(), |_| {
                    format!(
                        "loader=/usr/lib/systemd/boot/efi/systemd-bootx64.efi\n\
                         sbsign --key {KEY} --cert {CERTIFICATE} --output \"$loader.signed\" \"$loader\"\n"
                    )
                });
                format!(
                    "{sign}bootctl install --no-variables\nkernel=$(ls /usr/lib/modules)\n\
                     kernel-install add \"$kernel\" \"/boot/vmlinuz-$kernel\"\n"
                )
            }
        }
    }

    /// The kernel's command line, in the file where this machine's administrator keeps it.
    fn configure(self, tree: &Path) -> Result<()> {
        let words = words();
        if self == Loader::Grub {
            let file = tree.join("etc/default/grub");
            let mut text = String::new();
            for line in fs::read_to_string(&file)?.lines() {
                text += &match line.split_once('=') {
                    Some(("GRUB_TIMEOUT", _)) => "GRUB_TIMEOUT=0".to_owned(),
                    Some(("GRUB_CMDLINE_LINUX", _)) => {
                        format!("GRUB_CMDLINE_LINUX=\"{}\"", words.replace('"', "\\\""))
                    }
                    Some(("#GRUB_TERMINAL", _)) => "GRUB_TERMINAL=console".to_owned(),
                    _ => line.to_owned(),
                };
                text.push('\n');
            }
            return Ok(fs::write(file, text)?);
        }
        write(tree, "etc/kernel/cmdline", &format!("root=UUID={ROOT} ro {words}\n"), 0o644)?;
        if self == Loader::Uki {
            write(tree, "etc/kernel/install.conf", "layout=uki\n", 0o644)?;
        }
        // A minute in an emulator, and dpkg has it done.
        let depmod = tree.join("etc/kernel/install.d/50-depmod.install");
        fs::create_dir_all(depmod.parent().context("a file without a directory")?)?;
        Ok(std::os::unix::fs::symlink("/dev/null", depmod)?)
    }
}

/// Whose signatures the firmware takes, with Secure Boot on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Keys {
    /// Microsoft's, as a machine is sold: shim, the loader and the kernel are Debian's signed ones.
    Distribution,
    /// The machine's owner's, who signs the loader and images: those of OVMF's test certificate, whose key Debian ships.
    Owner,
}

impl Keys {
    /// The firmware's variables with these keys.
    fn variables(self) -> &'static str {
        match self {
            Keys::Distribution => "OVMF_VARS_4M.ms.fd",
            Keys::Owner => "OVMF_VARS_4M.snakeoil.fd",
        }
    }
}

/// Where the owner of a machine has the key and its certificate.
const KEY: &str = "/etc/kernel/owner.key";
const CERTIFICATE: &str = "/etc/kernel/owner.pem";

/// The owner's key, without its password, and what has images signed with it.
fn sign_images(tree: &Path) -> Result<()> {
    let from = Path::new("/usr/share/ovmf");
    let mut openssl = tools::command("openssl")?;
    openssl.args(["rsa", "-passin", "pass:snakeoil", "-in"]).arg(from.join("PkKek-1-snakeoil.key"));
    write(tree, KEY.trim_start_matches('/'), &tools::output(&mut openssl)?, 0o600)?;
    let certificate = fs::read_to_string(from.join("PkKek-1-snakeoil.pem"))?;
    write(tree, CERTIFICATE.trim_start_matches('/'), &certificate, 0o644)?;
    let settings = format!("[UKI]\nSecureBootPrivateKey={KEY}\nSecureBootCertificate={CERTIFICATE}\n");
    write(tree, "etc/kernel/uki.conf", &settings, 0o644)
}

/// The disk of such a machine. In it is /srv/linux-image-lab.deb, a second kernel, if initramfs-tools builds its initramfs.
#[derive(Debug, Clone, Hash)]
pub struct EfiDisk {
    /// Its Debian.
    pub suite: &'static str,
    /// What builds its initramfs.
    pub initramfs: Initramfs,
    /// Its boot loader.
    pub loader: Loader,
    /// The host's drivers for the cards are in it, as a distribution may have them.
    pub host_drivers: bool,
    /// Further packages of Debian, with blanks between them.
    pub packages: &'static str,
    /// Commands run in the machine's root, the last before its initramfs is built.
    pub commands: &'static [&'static str],
    /// Our package is installed, with this configuration, and scripts run as early as they can.
    pub early: Option<&'static str>,
    /// Secure Boot is on.
    pub keys: Option<Keys>,
}

/// What dracut would put into an image for any machine, and this one does not use.
const UNUSED: &str = "hwdb kernel-modules-extra lunmask nvdimm overlay-root qemu resume shutdown \
    systemd-battery-check systemd-pcrphase systemd-sysctl terminfo usrmount virtfs virtiofs";

/// What dracut asks for the libraries of each program: without ldd, which starts four programs for one answer. In an emulator
/// starting programs is what takes dracut its minutes.
const LDD: (&str, &str) = ("usr/lib/lab/ldd", "#!/bin/sh\nexec /lib64/ld-linux-x86-64.so.2 --list \"$@\"\n");

/// What an initramfs has. It is read by firmware in an emulator, and built there: so it is little, and the same files make the
/// same bytes, in the machine and before it ever ran (in what it takes for a container dracut makes no device nodes). The
/// host's drivers are loaded before udev starts.
fn image(initramfs: Initramfs, host_drivers: bool) -> [(&'static str, String); 2] {
    let (disk, drivers) = ("virtio_pci virtio_blk ext4", if host_drivers { "bochs snd_hda_intel" } else { "" });
    let modules = format!("{disk} {drivers}");
    match initramfs {
        Initramfs::Dracut => [
            (
                "etc/dracut.conf.d/lab.conf",
                format!(
                    "hostonly=\"no\"\ncompress=\"cat\"\nreproducible=\"yes\"\ndrivers=\"{modules}\"\n\
                     omit_dracutmodules+=\" {UNUSED} \"\nexport DRACUT_LDD=/{}\n\
                     systemd-detect-virt() {{ return 1; }}\n",
                    LDD.0
                ),
            ),
            ("etc/dracut.conf.d/force.conf", format!("force_drivers+=\" {drivers} \"\n")),
        ],
        Initramfs::InitramfsTools => [
            (
                "etc/initramfs-tools/conf.d/lab.conf",
                "COMPRESS=zstd\nCOMPRESSLEVEL=1\nMODULES=list\nFSTYPE=ext4\nexport SOURCE_DATE_EPOCH=1\n".to_owned(),
            ),
            ("etc/initramfs-tools/modules", modules.trim_end().replace(' ', "\n") + "\n"),
        ],
    }
}

impl EfiDisk {
    /// A Debian 13 without our package.
    pub fn new(loader: Loader) -> Self {
        EfiDisk {
            suite: "trixie",
            initramfs: Initramfs::InitramfsTools,
            loader,
            host_drivers: false,
            packages: "",
            commands: &[],
            early: None,
            keys: None,
        }
    }

    /// The disk, built if it is not there.
    fn build(&self) -> Result<PathBuf> {
        let packages = format!("{} {}", self.loader.packages(self.keys), self.packages);
        let from = with_packages(self.suite, self.initramfs, packages.trim_end())?;
        let ours = if self.early.is_some() { Some(cache::file_key(&package()?)?) } else { None };
        let key = cache::key(&(self, &from, ours, include_str!("efi.rs"), words()));
        let kind = match (self.early.is_some(), self.host_drivers, self.packages, self.keys) {
            (true, ..) => "-early",
            (false, true, "", _) => "-drivers",
            (false, true, ..) => "-libvirt",
            (false, false, _, Some(_)) => "-signed",
            (false, false, _, None) => "",
        };
        let name = match self.initramfs {
            Initramfs::InitramfsTools => format!("efi-{}{kind}", self.loader.name()),
            Initramfs::Dracut => format!("efi-{}-{}-dracut{kind}", self.loader.name(), self.suite),
        };
        let dir = cache::entry(&name, key, |dir| {
            let tree = dir.join("tree");
            copy(&from.join("tree"), &tree)?;
            self.fill(&tree)?;
            let disk = dir.join("disk.img");
            partitions(&tree, &disk)?;
            for (name, file) in [("vmlinuz-", "vmlinuz"), ("initrd.img-", "initrd")] {
                fs::copy(find(&tree.join("boot"), name)?, dir.join(file))?;
            }
            cache::remove(&tree)?;
            let spec = Spec {
                start: Start::Kernel {
                    kernel: dir.join("vmlinuz"),
                    initrd: dir.join("initrd"),
                    words: format!("root=/dev/vda2 rw {} systemd.unit=lab-early.target", words()),
                    variables: None,
                },
                disk: Some(disk),
                attached: Vec::new(),
                memory: 2048,
                devices: Vec::new(),
                script: format!("set -ex\n{}{}", self.loader.install(self.keys), self.configure()),
                cut: None,
                reboots: false,
                deadline: Duration::from_secs(900),
            };
            qemu::run(&spec, &dir.join("install")).map(drop)
        })?;
        Ok(dir.join("disk.img"))
    }

    /// The end of the first start: the entries that it has made are those of a machine without our configuration.
    fn configure(&self) -> String {
        let write = |configuration: &str| format!("cat >/etc/vfio.conf <<'END'\n{configuration}END\n");
        self.early.map_or_else(String::new, write)
    }

    /// Makes a machine of a tree with the loader's packages.
    fn fill(&self, tree: &Path) -> Result<()> {
        let fstab =
            format!("UUID={ROOT} / ext4 errors=remount-ro,noatime 0 1\nUUID={} /boot/efi vfat umask=0077 0 1\n", ESP.1);
        write(tree, "etc/fstab", &fstab, 0o644)?;
        fs::create_dir_all(tree.join("boot/efi"))?;
        for (path, content) in EARLY {
            write(tree, path, content, 0o644)?;
        }
        for (path, content) in image(self.initramfs, self.host_drivers) {
            write(tree, path, &content, 0o644)?;
        }
        if self.initramfs == Initramfs::Dracut {
            write(tree, LDD.0, LDD.1, 0o755)?;
        }
        self.loader.configure(tree)?;
        if self.keys == Some(Keys::Owner) {
            sign_images(tree)?;
        }
        if self.initramfs == Initramfs::InitramfsTools {
            second_kernel(tree)?;
        }
        if self.early.is_some() {
            fs::copy(package()?, tree.join("vfio-suite.deb"))?;
            enter(tree, "INITRD=No apt-get -y --no-install-recommends install /vfio-suite.deb")?;
            fs::remove_file(tree.join("vfio-suite.deb"))?;
            enter(tree, "systemctl set-default lab-early.target")?;
        }
        for command in self.commands {
            enter(tree, command)?;
        }
        // What dracut is called with is in its image: with what its own package does then.
        let hook = "etc/kernel/postinst.d/dracut";
        let command = if tree.join(hook).exists() {
            format!("/{hook} $(ls /usr/lib/modules)")
        } else {
            self.initramfs.rebuild().to_owned()
        };
        enter(tree, &command).map(drop)
    }
}

/// A package with a kernel of another name, that does what Debian's packages of kernels do.
fn second_kernel(tree: &Path) -> Result<()> {
    let modules = find(&tree.join("usr/lib/modules"), "")?;
    let first = modules.file_name().context("a kernel without a name")?.to_string_lossy().into_owned();
    let second = format!("{}-lab", first.trim_end_matches("-amd64"));
    let package = tree.join("srv/linux-image-lab");
    let control = format!(
        "Package: linux-image-lab\nVersion: 1\nArchitecture: amd64\nMaintainer: The lab <lab@mail.invalid>\n\
         Depends: linux-base\nDescription: the kernel {first} as {second}\n"
    );
    write(&package, "DEBIAN/control", &control, 0o644)?;
    for (script, when) in [("postinst", "configure"), ("postrm", "remove")] {
        let hooks = format!("linux-run-hooks image {script} {second} /boot/vmlinuz-{second} -- \"$@\"");
        let text = format!("#!/bin/sh\nset -e\n[ \"$1\" != {when} ] || {hooks}\n");
        write(&package, &format!("DEBIAN/{script}"), &text, 0o755)?;
    }
    fs::create_dir_all(package.join("boot"))?;
    for name in ["vmlinuz", "config", "System.map"] {
        fs::copy(tree.join(format!("boot/{name}-{first}")), package.join(format!("boot/{name}-{second}")))?;
    }
    fs::create_dir_all(package.join("usr/lib/modules"))?;
    std::os::unix::fs::symlink(&first, package.join("usr/lib/modules").join(&second))?;
    enter(tree, "dpkg-deb --root-owner-group -Znone --build /srv/linux-image-lab /srv/linux-image-lab.deb")?;
    fs::remove_dir_all(package)?;
    write(tree, "etc/initramfs-tools/hooks/lab-kernel", &KERNEL_HOOK.replace("FIRST", &first), 0o755)
}

/// A disk with a partition table, an empty EFI system partition, and the tree as its root.
fn partitions(tree: &Path, disk: &Path) -> Result<()> {
    fs::File::create(disk)?.set_len(SIZE << 20)?;
    let table = tree.with_extension("table");
    let (esp, root) = BEGINS;
    fs::write(&table, format!("label: gpt\nstart={esp}, size={}, type=U\nstart={root}, type=L\n", root - esp))?;
    let mut sfdisk = tools::command("sfdisk")?;
    tools::output(sfdisk.arg("--quiet").arg(disk).stdin(fs::File::open(&table)?))?;
    fs::remove_file(table)?;
    let mut vfat = tools::command("mkfs.vfat")?;
    vfat.args(["-F", "32", "-i", ESP.0, "--offset", &esp.to_string()]).arg(disk);
    tools::output(vfat.arg(((root - esp) / 2).to_string()))?;
    let mut ext4 = tools::command("mke2fs")?;
    let place = format!("root_owner=0:0,offset={}", root * 512);
    ext4.args(["-q", "-F", "-t", "ext4", "-U", ROOT, "-E", &place, "-d"]).arg(tree).arg(disk);
    // The second copy of the partition table is in the last MiB.
    tools::output(ext4.arg(format!("{}M", SIZE - root / 2048 - 1))).map(drop)
}

/// Such a machine, that may be booted several times.
pub struct EfiMachine {
    dir: PathBuf,
    secure: bool,
}

impl EfiMachine {
    /// A new machine for a scenario: what it writes to its disk and to its firmware's variables is its own.
    pub fn new(scenario: &str, disk: &EfiDisk) -> Result<Self> {
        let (disk, keys) = (disk.build()?, disk.keys);
        let dir = run_dir(scenario)?;
        let mut img = tools::command("qemu-img")?;
        img.args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b"]).arg(disk).arg(dir.join("disk.qcow2"));
        tools::output(&mut img)?;
        let variables = keys.map_or("OVMF_VARS_4M.fd", Keys::variables);
        fs::copy(tools::firmware(variables)?, dir.join("variables.fd"))?;
        Ok(EfiMachine { dir, secure: keys.is_some() })
    }

    /// A boot of it that waits for the whole machine, with one card.
    pub fn usual(name: &str, script: &str) -> Boot {
        let mut boot = Boot::new(name, script);
        boot.words.clear();
        boot.devices = qemu::card(1);
        boot.devices.push(qemu::host_display());
        boot.deadline = Duration::from_secs(1800);
        boot
    }

    /// Boots it and waits for its end. Our package is there as /lab/vfio-suite.deb, and the kernel of a guest as /lab/pocket.
    pub fn boot(&self, boot: &Boot) -> Result<Outcome> {
        if !boot.words.is_empty() {
            bail!("a machine that starts from its own disk gets its command line there, not {:?}", boot.words);
        }
        let spec = Spec {
            start: Start::Firmware { variables: self.dir.join("variables.fd"), secure: self.secure },
            disk: Some(self.dir.join("disk.qcow2")),
            attached: Vec::new(),
            memory: 2048,
            devices: boot.devices.clone(),
            script: boot.script.clone(),
            cut: boot.cut.clone(),
            reboots: boot.reboots,
            deadline: boot.deadline,
        };
        let dir = self.dir.join(&boot.name);
        fs::create_dir_all(dir.join("share"))?;
        for (file, name) in [(package()?, "vfio-suite.deb"), (pocket()?, "pocket")] {
            fs::copy(&file, dir.join("share").join(name)).with_context(|| format!("cannot copy {}", file.display()))?;
        }
        qemu::run(&spec, &dir)
    }
}
