// SPDX-License-Identifier: LGPL-2.1-or-later
//! Files of a recording without what tells whose machine it is. Programs read them again, so each keeps its form: the value of a
//! key goes, the key and its quotes stay.

use super::{parameters, paths, Kind, Mask, MASKED};
use std::fmt::Write as _;
use vfio_suite::pci::Address;
use vfio_suite::recording::{Node, Nodes, TIMES};
use vfio_suite::root::{CONFIG_DIRS, CONFIG_FILE};

/// What begins a line of a boot file that has a kernel command line behind it.
const CARRIERS: [&str; 16] = [
    "APPEND",
    "KERNEL_CMDLINE",
    "add_options_line",
    "append",
    "cmdline",
    "cmdline:",
    "kernel_cmdline",
    "kernel_cmdline:",
    "kernel_options",
    "linux",
    "linux16",
    "linuxefi",
    "module",
    "module2",
    "multiboot2",
    "options",
];
/// Kernel parameters that say where the system is: their values are looked at for themselves.
const PLACES: [&str; 5] = ["root", "resume", "initrd", "systemd.machine_id", "rootflags"];
/// What the value of such a one begins with.
const PLACED: [&str; 7] = ["/dev/", "LABEL=", "PARTLABEL=", "PARTUUID=", "UUID=", "subvol=", "/boot/"];
/// Where boot files are.
const BOOT: [&str; 7] = ["boot/", "efi/", "etc/cmdline.d/", "etc/default/", "etc/grub.d/", "etc/kernel/", "loader/"];
/// Text files without comments of somebody's.
const WITHOUT_COMMENTS: [&str; 3] = ["etc/", "usr/local/", "home/"];
/// Keys and certificates: nothing of these is shown.
const KEYS: [&str; 5] = [".ssh/", "etc/ssh/ssh_host", "etc/shadow", "etc/gshadow", "/private/"];

impl Mask {
    /// All files of a recording.
    pub fn nodes(&self, nodes: Nodes) -> Nodes {
        let mut masked = Nodes::new();
        for (path, node) in nodes {
            let node = match node {
                Node::Directory => Node::Directory,
                Node::Link(target) => Node::Link(self.target(&path, &target)),
                Node::File(mode, content) => Node::File(mode, self.file(&path, content)),
            };
            masked.insert(self.file_path(&path), node);
        }
        masked
    }

    /// What a link says: the same place as before, by its new name.
    fn target(&self, path: &str, target: &str) -> String {
        if path.starts_with("proc/") && path.ends_with("/exe") {
            // The name of a program is that of its process.
            return format!("/usr/bin/{}", self.process(target.rsplit('/').next().unwrap_or_default()));
        }
        let of_kernel = ["sys/", "dev/"].iter().any(|place| path.starts_with(place));
        if target.starts_with('/') || of_kernel || !target.contains(|c: char| c != '/' && c != '.') {
            return self.file_path(target);
        }
        let mut at: Vec<&str> = path.split('/').collect();
        at.pop();
        let up = "../".repeat(at.len());
        for part in target.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(at.pop()),
                part => at.push(part),
            }
        }
        up + &self.file_path(&at.join("/"))
    }

    /// A path of a recording.
    pub fn file_path(&self, path: &str) -> String {
        if path.starts_with(".kernel/") {
            return path.to_owned();
        }
        let of_kernel = ["sys/", "proc/", "../"].iter().any(|place| path.trim_start_matches('/').starts_with(place));
        let absolute = format!("/{}", path.trim_start_matches('/'));
        // Below what is shown there may be names that are known, too.
        let shown = if of_kernel { absolute.len() } else { paths::at(&absolute, None).map_or(0, |cut| cut.shown) };
        let (mut at, kind) = (0, paths::kind(&absolute));
        let parts: Vec<String> = absolute
            .split('/')
            .map(|part| {
                at += part.len() + 1;
                if at <= shown + 1 {
                    self.known_names(part)
                } else if let Some(kind) = kind {
                    self.instead(kind, part)
                } else {
                    self.component(part)
                }
            })
            .collect();
        let masked = parts.join("/");
        if path.starts_with('/') {
            masked
        } else {
            masked[1..].to_owned()
        }
    }

    /// A name of a file that is shown but for what is somebody's in it.
    fn known_names(&self, name: &str) -> String {
        if paths::is_common(name) {
            return name.to_owned();
        }
        self.scan(name, None, Kind::Kernel)
    }

    /// The content of a file.
    pub fn file(&self, path: &str, content: Vec<u8>) -> Vec<u8> {
        if path == TIMES {
            return self.times(&String::from_utf8_lossy(&content)).into_bytes();
        }
        if KEYS.iter().any(|place| path.contains(place)) {
            return format!("{MASKED}\n").into_bytes();
        }
        if path.starts_with("sys/firmware/efi/efivars/") {
            return self.variable(path, content);
        }
        match String::from_utf8(content) {
            Ok(text) if !text.contains('\0') => self.text_file(path, &text).into_bytes(),
            Ok(text) => self.bytes(path, text.into_bytes()),
            Err(error) => self.bytes(path, error.into_bytes()),
        }
    }

    /// What is not text: only the kernel's own is shown.
    fn bytes(&self, path: &str, content: Vec<u8>) -> Vec<u8> {
        if path.starts_with("sys/") || path.starts_with("proc/config") {
            content
        } else {
            Vec::new()
        }
    }

    fn times(&self, text: &str) -> String {
        let line = |line: &str| {
            let (stamp, path) = line.split_once(' ')?;
            Some(format!("{stamp} {}\n", self.file_path(path)))
        };
        text.lines().filter_map(line).collect()
    }

    /// A variable of the firmware: four bytes of attributes, then text in UTF-16LE, or a flag.
    fn variable(&self, path: &str, content: Vec<u8>) -> Vec<u8> {
        let name = path.rsplit('/').next().unwrap_or_default();
        if !(name.starts_with("Loader") || name.starts_with("Stub")) {
            // Flags are a byte; whatever is longer may be anything.
            return if content.len() <= 5 { content } else { Vec::new() };
        }
        let (attributes, value) = content.split_at(content.len().min(4));
        let units = value.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
        let text: String = char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
        let parts: Vec<String> = text.split('\0').map(|part| self.scan(part, None, Kind::File)).collect();
        let masked = parts.join("\0").encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        [attributes, &masked].concat()
    }

    fn text_file(&self, path: &str, text: &str) -> String {
        let name = path.rsplit('/').next().unwrap_or(path);
        let is_config = path == CONFIG_FILE || CONFIG_DIRS.iter().any(|directory| path.starts_with(directory));
        match path {
            _ if is_config => self.configuration(text),
            "proc/cmdline" | "etc/kernel/cmdline" => self.command_line(text),
            _ if path.starts_with("etc/cmdline.d/") => self.command_line(text),
            "etc/passwd" => self.accounts(text),
            _ if name == "os-release" => Mask::release(text),
            _ if path.starts_with("run/vfio/") || path.starts_with("var/lib/vfio/") => self.state(text),
            _ if path.starts_with("proc/") && name == "comm" => format!("{}\n", self.process(text.trim_end())),
            _ if path.starts_with("proc/") && matches!(name, "stat" | "status") => self.status(text),
            _ if path.starts_with("proc/") && name == "cgroup" => self.control_groups(text),
            _ if path.starts_with("proc/") && name.contains("mount") || path == "proc/swaps" => {
                self.lines(text, Kind::File)
            }
            _ if path.starts_with("sys/") || path.starts_with("proc/") => self.lines(text, Kind::Kernel),
            _ if name.ends_with(".xml") => self.xml(text),
            _ if is_boot_file(path) => self.boot_file(path, text),
            _ => self.plain_file(path, text),
        }
    }

    /// Control groups: a path of units.
    fn control_groups(&self, text: &str) -> String {
        let part = |part: &str| match super::units::at(part).filter(|(length, ..)| *length == part.len()) {
            Some((_, suffix, known)) => self.unit(part, suffix, known).1,
            None => self.scan(part, None, Kind::Kernel),
        };
        let line = |line: &str| line.split('/').map(part).collect::<Vec<String>>().join("/") + "\n";
        text.lines().map(line).collect()
    }

    fn lines(&self, text: &str, kind: Kind) -> String {
        text.split_inclusive('\n').map(|line| self.scan(line, None, kind)).collect()
    }

    /// Somebody's file: comments go, but for those that have something to do with us or that programs know.
    fn plain_file(&self, path: &str, text: &str) -> String {
        let comments = WITHOUT_COMMENTS.iter().any(|place| path.starts_with(place));
        let line = |line: &str| match without_comment(line).filter(|_| comments) {
            Some(bare) => bare.to_owned(),
            None => self.scan(line, None, Kind::File),
        };
        text.split_inclusive('\n').map(line).collect()
    }

    /// A file of a boot loader: of kernel command lines what may be seen.
    fn boot_file(&self, path: &str, text: &str) -> String {
        let is_refind = path.ends_with("refind_linux.conf");
        // Scripts have variables of their own.
        let kind = if path.contains("grub") && path != "etc/default/grub" { Kind::File } else { Kind::Boot };
        let line = |line: &str| {
            if let Some(bare) = without_comment(line) {
                return bare.to_owned();
            }
            match carried(line, is_refind) {
                Some((before, behind)) => {
                    format!("{}{}", self.scan(before, None, Kind::Boot), self.command_line(behind))
                }
                None => self.scan(line, None, kind),
            }
        };
        text.split_inclusive('\n').map(line).collect()
    }

    /// A kernel command line with its blanks and quotes, of which only parameters are shown that may be seen.
    pub fn command_line(&self, text: &str) -> String {
        let mut out = String::new();
        // A value in quotes may have blanks; it is a part of the word before it.
        let mut inside = None;
        for word in text.split_inclusive(|c: char| c.is_whitespace()) {
            let (bare, blank) = word.split_at(word.trim_end().len());
            match inside {
                None => out.push_str(&self.word(bare)),
                Some(true) => {}
                Some(false) => out.push_str(&self.word(bare)),
            }
            // Only a value that is masked as a whole swallows what follows.
            let opens = bare.matches('"').count() % 2 == 1 && !bare.ends_with("\"\"");
            inside = match inside {
                None if opens && bare.contains("=\"") && !is_assignment(bare) => Some(true),
                Some(true) if opens => {
                    out.push('"');
                    None
                }
                other => other,
            };
            out.push_str(blank);
        }
        out
    }

    fn word(&self, word: &str) -> String {
        let begin = word.find(|c| !matches!(c, '"' | '\'')).unwrap_or(word.len());
        let (quotes, rest) = word.split_at(begin);
        let (bare, behind) = rest.split_at(rest.trim_end_matches(['"', '\'', ',', ')']).len());
        let shown = match bare.split_once('=') {
            _ if bare.is_empty() || bare == "--" || self.is_stand_in(bare) => bare.to_owned(),
            _ if bare.starts_with('/') || bare.starts_with("($") || bare.starts_with('(') || bare.starts_with("${") => {
                self.scan(bare, None, Kind::Boot)
            }
            Some((key, value)) if is_assignment(bare) => format!("{key}={}", self.word(value)),
            Some((key, value)) if parameters::is_shown(key) => {
                format!("{key}={}", self.scan(value, Some('='), Kind::Boot))
            }
            Some((key, value)) if PLACES.contains(&key) && PLACED.iter().any(|start| value.starts_with(start)) => {
                format!("{key}={}", self.scan(value, None, Kind::Boot))
            }
            Some((key, value))
                if key.len() <= 48 && key.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c)) =>
            {
                let quote = if value.starts_with('"') { "\"" } else { "" };
                format!("{}={quote}{MASKED}", self.only_names(key))
            }
            None if parameters::is_shown(bare) => bare.to_owned(),
            _ => MASKED.to_owned(),
        };
        format!("{quotes}{shown}{behind}")
    }

    /// Our own configuration: of values what can be nobody's.
    fn configuration(&self, text: &str) -> String {
        let line = |line: &str| {
            let bare = line.trim_start();
            if let Some(mark) = bare.chars().next().filter(|c| matches!(c, '#' | ';')) {
                return format!("{mark}\n");
            }
            let Some((key, value)) = line.split_once('=').filter(|_| !bare.starts_with('[')) else {
                return self.words(line);
            };
            let value = match key.trim() {
                "kernel-parameters" => self.command_line(value),
                _ => self.words(value),
            };
            format!("{}={value}", self.words(key))
        };
        text.split_inclusive('\n').map(line).collect()
    }

    /// A line of the configuration, with its blanks: words that may be anybody's.
    fn words(&self, text: &str) -> String {
        let trimmed = text.trim();
        // A command, a name with blanks.
        if let Some((length, shown)) = self.name(trimmed).filter(|(length, _)| *length == trimmed.len() && *length > 0)
        {
            debug_assert_eq!(length, trimmed.len());
            return text.replacen(trimmed, &shown, 1);
        }
        let is_blank = |c: char| c.is_whitespace() || c == ',';
        let word = |word: &str| {
            let (bare, blank) = word.split_at(word.trim_end_matches(is_blank).len());
            format!("{}{blank}", self.value(bare))
        };
        text.split_inclusive(is_blank).map(word).collect()
    }

    fn value(&self, word: &str) -> String {
        let bare = word.trim_matches(['[', ']', '"', '\'']);
        let shown = self.scan(word, None, Kind::File);
        let number = |c: char| c.is_ascii_digit() || matches!(c, 'x' | '.' | '-' | ':' | 's' | 'm' | 'i' | 'n');
        let is_shown = bare.is_empty()
            || shown != word
            || bare.starts_with('/')
            || bare.starts_with('-')
            || bare.parse::<Address>().is_ok()
            || self.is_known(bare)
            || bare.len() <= 16 && bare.starts_with(|c: char| c.is_ascii_digit()) && bare.chars().all(number);
        if is_shown {
            shown
        } else {
            MASKED.to_owned()
        }
    }

    /// A list of users: of people only the number and where they live.
    fn accounts(&self, text: &str) -> String {
        let line = |line: &str| {
            let fields: Vec<&str> = line.split(':').collect();
            let [name, _, id, group, _, home, shell] = fields[..] else { return String::new() };
            format!(
                "{}:x:{id}:{group}::{}:{}\n",
                self.scan(name, None, Kind::File),
                self.file_path(home),
                self.file_path(shell)
            )
        };
        text.lines().map(line).collect()
    }

    /// A name of a process, as our sentences have it.
    fn process(&self, command: &str) -> String {
        super::context::process(self, command)
    }

    /// What the kernel says of a process: its name is between brackets, or behind "Name:".
    fn status(&self, text: &str) -> String {
        let line = |line: &str| match (line.strip_prefix("Name:\t"), line.find('('), line.rfind(')')) {
            (Some(name), ..) => format!("Name:\t{}\n", self.process(name.trim_end())),
            (None, Some(begin), Some(end)) if begin < end => {
                format!("{}{}{}", &line[..=begin], self.process(&line[begin + 1..end]), &line[end..])
            }
            _ => line.to_owned(),
        };
        text.split_inclusive('\n').map(line).collect()
    }

    /// What we have written down ourselves: sentences in JSON, or lines.
    fn state(&self, text: &str) -> String {
        match serde_json::from_str::<serde_json::Value>(text) {
            Ok(mut value) => {
                self.json(&mut value);
                format!("{value}\n")
            }
            // A journal, a record to a line; a sentence; numbers.
            Err(_) if text.lines().count() > 1 => text.split_inclusive('\n').map(|line| self.state(line)).collect(),
            Err(_) => self.text(text),
        }
    }

    /// What runs here, as far as it is the same wherever it runs.
    fn release(text: &str) -> String {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ' ' | '"');
        let kept = |line: &&str| {
            let Some((key, value)) = line.split_once('=') else { return false };
            matches!(key, "ID" | "ID_LIKE" | "VERSION_ID" | "VARIANT_ID")
                && value.len() <= 32
                && value.chars().all(plain)
        };
        text.lines().filter(kept).flat_map(|line| [line, "\n"]).collect()
    }

    fn json(&self, value: &mut serde_json::Value) {
        match value {
            serde_json::Value::String(text) => *text = self.text(text),
            serde_json::Value::Array(all) => all.iter_mut().for_each(|value| self.json(value)),
            serde_json::Value::Object(all) => all.values_mut().for_each(|value| self.json(value)),
            _ => {}
        }
    }

    /// A document of libvirt's: what people write in it goes, values keep their quotes.
    pub fn xml(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (begin, end) in [
            ("<!--", "-->"),
            ("<title>", "</title>"),
            ("<description>", "</description>"),
            ("<metadata>", "</metadata>"),
            ("<serial>", "</serial>"),
            ("<qemu:env ", "/>"),
            ("<entry name='serial'>", "</entry>"),
            ("<entry name='uuid'>", "</entry>"),
        ] {
            text = without_inside(&text, begin, end);
        }
        let mut out = String::new();
        let mut rest = text.as_str();
        // An attribute with a secret: libvirt writes single quotes.
        while let Some(at) = rest.find("='") {
            let key = rest[..at].rsplit(|c: char| c.is_whitespace()).next().unwrap_or_default();
            let secret = super::SECRETS.iter().any(|secret| key.eq_ignore_ascii_case(secret));
            let end = rest[at + 2..].find('\'').map_or(rest.len(), |end| at + 2 + end);
            out.push_str(&rest[..at + 2]);
            out.push_str(if secret { MASKED } else { &rest[at + 2..end] });
            rest = &rest[end..];
        }
        out.push_str(rest);
        self.lines(&out, Kind::File)
    }

    /// What a program printed that programs read: keys and values, names of units, lists.
    pub fn printed(&self, text: &str) -> String {
        self.lines(text, Kind::File)
    }

    /// A line of a log: what a rule knows of it is everybody's, all between that is looked at as any sentence.
    pub fn log_line(&self, line: &str, pattern: &str) -> String {
        let (mut out, mut rest, mut quote) = (String::new(), line, None);
        for piece in pattern.split('*').filter(|piece| !piece.is_empty()) {
            let Some(at) = rest.find(piece) else { break };
            let _ = write!(out, "{}{piece}", self.between(&rest[..at], quote));
            rest = &rest[at + piece.len()..];
            quote = piece.chars().next_back().filter(|c| matches!(c, '"' | '\''));
        }
        out + &self.between(rest, quote)
    }

    /// What is between two pieces, behind a quote or not: what is in quotes came from somebody.
    fn between(&self, text: &str, quote: Option<char>) -> String {
        let ends = |at: &usize| !text[at + 1..].starts_with(super::is_word);
        let end = quote.and_then(|quote| text.find(quote)).filter(ends).or(quote.map(|_| text.len()));
        let (inside, behind) = text.split_at(end.unwrap_or(0));
        let masked = self.text(inside);
        let is_shown = inside.trim().is_empty() || inside.starts_with('/') || masked != inside || self.is_known(inside);
        // Behind the quote that ends something a sentence goes on.
        let is_sentence = behind.is_empty() && inside.starts_with([' ', ',', ';', ')']);
        let shown = if is_shown || is_sentence { masked } else { MASKED.to_owned() };
        shown + &self.text(behind)
    }
}

/// The text with nothing between these.
fn without_inside(text: &str, begin: &str, end: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(begin) {
        out.push_str(&rest[..at + begin.len()]);
        rest = &rest[at + begin.len()..];
        rest = rest.find(end).map_or("", |at| &rest[at..]);
    }
    out + rest
}

/// `KEY="..."` of a shell: nobody's parameter is called so.
fn is_assignment(word: &str) -> bool {
    let key = word.trim_start_matches(['"', '\'']).split(['=', '+', '[']).next().unwrap_or_default();
    key.len() > 2 && key.bytes().all(|b| b.is_ascii_uppercase() || b == b'_' || b.is_ascii_digit())
}

/// Whether boot loaders read it.
fn is_boot_file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    BOOT.iter().any(|place| path.starts_with(place))
        || ["limine.conf", "refind_linux.conf", "refind.conf", "grub.cfg", "limine.cfg"].contains(&name)
        || path.contains("/loader/")
        || path.contains("/kernel/")
        || path.starts_with("etc/kernelstub/")
}

/// A comment that is somebody's, without what it says.
fn without_comment(line: &str) -> Option<&str> {
    let bare = line.trim_start();
    let known = line.contains("vfio") || bare.starts_with("### BEGIN") || bare.starts_with("### END");
    (bare.starts_with('#') && !known).then_some(if line.ends_with('\n') { "#\n" } else { "#" })
}

/// A line parted where its kernel command line begins.
fn carried(line: &str, is_refind: bool) -> Option<(&str, &str)> {
    let at = line.len() - line.trim_start().len();
    let bare = &line[at..];
    if is_refind && bare.starts_with('"') {
        return Some(("", line));
    }
    if is_assignment(bare) && (bare.contains("CMDLINE") || bare.contains("OPTIONS")) {
        return Some(("", line));
    }
    let length = bare.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(bare.len());
    let word = bare[..length].trim_end_matches(':');
    CARRIERS.iter().any(|carrier| carrier.trim_end_matches(':') == word).then(|| line.split_at(at + length))
}

#[cfg(test)]
mod tests {
    use super::super::tests::mask;

    #[test]
    fn files_keep_their_form() {
        for (path, text, expected) in [
            (
                "proc/cmdline",
                "root=UUID=0b8e1a2c-1234-4abc-9def-0123456789ab ro quiet rd.password=hunter2 word x.y=\"a b\" iommu=pt -- z\n",
                "root=UUID=00000000-0000-0000-0000-000000000001 ro quiet rd.password=masked masked x.y=\"masked \" iommu=pt -- masked\n",
            ),
            (
                "etc/default/grub",
                "# anna\nGRUB_DISTRIBUTOR=\"anna\"\nGRUB_CMDLINE_LINUX_DEFAULT=\"quiet rd.key=hunter2 amdgpu.dc=1\"\n",
                "#\nGRUB_DISTRIBUTOR=\"user-1\"\nGRUB_CMDLINE_LINUX_DEFAULT=\"quiet rd.key=masked amdgpu.dc=1\"\n",
            ),
            (
                "boot/loader/entries/a.conf",
                "title Debian of anna\nlinux /vmlinuz-6.12\noptions root=/dev/sda1 foo.bar=hunter2 secretword quiet\n",
                "title Debian of user-1\nlinux /vmlinuz-6.12\noptions root=/dev/sda1 foo.bar=masked masked quiet\n",
            ),
            (
                "etc/vfio.conf",
                "# anna's\n[gpu big]\ndevice = 0000:03:00.0\nrom = /home/anna/my.rom\nbar2 = 8M\nsecret = Qx7value\n",
                "#\n[gpu big]\ndevice = 0000:03:00.0\nrom = /home/user-1/name-1.rom\nbar2 = 8M\nmasked = masked\n",
            ),
            ("etc/passwd", "anna:x:1000:1000:Anna S,:/home/anna:/bin/sh\n", "user-1:x:1000:1000::/home/user-1:/bin/sh\n"),
            ("sys/class/net/eth0/address", "52:54:00:12:34:56\n", "02:00:00:00:00:01\n"),
            ("sys/x/uevent", "PCI_ID=1002:73BF\nKEY=10000000000007 ff9f207ac14057ff\n", "PCI_ID=1002:73BF\nKEY=10000000000007 ff9f207ac14057ff\n"),
            ("proc/712/stat", "712 (annas secret) S 1 2\n", "712 (process-1) S 1 2\n"),
            ("proc/1/mountinfo", "30 1 8:1 / /home/anna rw - ext4 /dev/mapper/vg-anna rw\n", "30 1 8:1 / /home/user-1 rw - ext4 /dev/mapper/name-1 rw\n"),
            (
                "etc/libvirt/qemu/a.xml",
                "<name>annas pc</name><title>x</title><graphics passwd='hunter3' type='vnc'/><uuid>0b8e1a2c-1234-4abc-9def-0123456789ab</uuid>\n",
                "<name>domain-1</name><title></title><graphics passwd='masked' type='vnc'/><uuid>00000000-0000-0000-0000-000000000001</uuid>\n",
            ),
            ("run/vfio/status/a", "{\"why\":[\"anna at 10.1.2.3\"]}\n", "{\"why\":[\"user-1 at 198.18.0.1\"]}\n"),
        ] {
            let shown = String::from_utf8(mask().file(path, text.as_bytes().to_vec())).unwrap_or_default();
            assert_eq!(shown, expected, "{path}");
        }
        for (path, expected) in [
            ("home/anna/x", "home/user-1/name-1"),
            ("etc/libvirt/qemu/annas pc.xml", "etc/libvirt/qemu/domain-1.xml"),
            ("sys/devices/pci0000:00/0000:00:01.0/net/eth0", "sys/devices/pci0000:00/0000:00:01.0/net/eth0"),
            ("../../devices/pci0000:00/0000:00:01.0", "../../devices/pci0000:00/0000:00:01.0"),
            ("/var/log/libvirt/qemu/annas pc.log", "/var/log/libvirt/qemu/domain-1.log"),
        ] {
            assert_eq!(mask().file_path(path), expected, "{path}");
        }
        let pattern = "apparmor=\"DENIED\"*profile=\"libvirt-*\"*name=\"*\"";
        let line = "audit: apparmor=\"DENIED\" profile=\"libvirt-0b8e1a2c-1234-4abc-9def-0123456789ab\" name=\"/home/anna/x\" key=hunter2";
        assert_eq!(
            mask().log_line(line, pattern),
            "audit: apparmor=\"DENIED\" profile=\"libvirt-00000000-0000-0000-0000-000000000001\" name=\"/home/user-1/name-1\" key=masked"
        );
    }
}
