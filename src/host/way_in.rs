// SPDX-License-Identifier: LGPL-2.1-or-later
//! The ways into this machine that need no picture of it: sshd, by the port that it listens on, and a login on a serial line.

use super::kernel_cmdline::KernelCmdline;
use crate::root::Root;
use std::net::Ipv4Addr;

/// What there is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WayIn {
    /// The port on which something listens that sshd's configuration names, on other addresses than this machine's own.
    pub ssh: Option<u16>,
    /// This machine's addresses.
    pub addresses: Vec<String>,
    /// The serial line with the kernel's console, on which systemd offers a login.
    pub serial: Option<String>,
}

impl WayIn {
    /// Whether there is any.
    pub fn is_some(&self) -> bool {
        self.ssh.is_some() || self.serial.is_some()
    }
}

/// Looks for them.
pub fn look(root: &Root) -> WayIn {
    let listening = listening(root);
    let ssh = ports(root).into_iter().find(|port| listening.contains(port));
    WayIn { ssh, addresses: if ssh.is_some() { addresses(root) } else { Vec::new() }, serial: serial(root) }
}

/// sshd's own file, and where it is told to look for more.
const SSHD: &str = "etc/ssh/sshd_config";
const SSHD_MORE: &str = "etc/ssh/sshd_config.d";

/// The ports that sshd's configuration names (sshd_config(5)).
fn ports(root: &Root) -> Vec<u16> {
    let more = root.list(SSHD_MORE).unwrap_or_default();
    let files = more.iter().filter(|name| name.ends_with(".conf")).map(|name| format!("{SSHD_MORE}/{name}"));
    let mut ports: Vec<u16> = Vec::new();
    for file in files.chain([SSHD.to_owned()]) {
        let text = root.read_text(&file).unwrap_or_default();
        for line in text.lines() {
            let mut words = line.split([' ', '\t', '=']).filter(|word| !word.is_empty());
            if words.next().is_some_and(|key| key.eq_ignore_ascii_case("port")) {
                ports.extend(words.next().and_then(|port| port.parse::<u16>().ok()));
            }
        }
    }
    if ports.is_empty() {
        ports.push(22);
    }
    ports
}

/// The state of a socket that listens (`TCP_LISTEN`, `include/net/tcp_states.h`).
const LISTENS: &str = "0A";

/// The ports on which anything listens for others than this machine itself (`get_tcp4_sock()`, `net/ipv4/tcp_ipv4.c`).
fn listening(root: &Root) -> Vec<u16> {
    let port = |line: &str| {
        let mut words = line.split_ascii_whitespace().skip(1);
        let (local, _, state) = (words.next()?, words.next()?, words.next()?);
        let (address, port) = local.split_once(':')?;
        // The numbers are the machine's own words: of a little-endian one 127.0.0.1 is 0100007F.
        let own = address.ends_with("7F") && address.len() == 8 || address == "00000000000000000000000001000000";
        (state == LISTENS && !own).then(|| u16::from_str_radix(port, 16).ok())?
    };
    let tables = ["proc/net/tcp", "proc/net/tcp6"].map(|table| root.read_text(table).unwrap_or_default());
    tables.iter().flat_map(|table| table.lines().skip(1).filter_map(port)).collect()
}

/// This machine's own addresses on the network of its default route; all but 127.0.0.0/8 where it has none.
fn addresses(root: &Root) -> Vec<String> {
    let (routes, trie) =
        (root.read_text("proc/net/route").unwrap_or_default(), root.read_text("proc/net/fib_trie").unwrap_or_default());
    let mut found: Vec<Ipv4Addr> = Vec::new();
    let mut last = None;
    for line in trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse::<Ipv4Addr>().ok();
        } else if line == "/32 host LOCAL" {
            found.extend(last.take().filter(|address| !address.is_loopback()));
        }
    }
    found.sort_unstable();
    found.dedup();
    let routes: Vec<Route<'_>> = routes.lines().skip(1).filter_map(Route::parse).collect();
    let default = routes.iter().find(|route| route.mask == 0).map(|route| route.interface);
    let near = |address: &Ipv4Addr| {
        let number = u32::from_ne_bytes(address.octets());
        let on = |route: &Route<'_>| Some(route.interface) == default && route.mask != 0;
        routes.iter().filter(|route| on(route)).any(|route| number & route.mask == route.destination)
    };
    found.iter().filter(|address| default.is_none() || near(address)).map(ToString::to_string).collect()
}

/// A line of `/proc/net/route` (`fib_route_seq_show()`, `net/ipv4/fib_trie.c`): numbers as the machine has them in memory.
struct Route<'t> {
    interface: &'t str,
    destination: u32,
    mask: u32,
}

impl Route<'_> {
    fn parse(line: &str) -> Option<Route<'_>> {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let number = |at: usize| u32::from_str_radix(words.get(at)?, 16).ok();
        Some(Route { interface: words.first()?, destination: number(1)?, mask: number(7)? })
    }
}

/// A serial line that the kernel's console is on: systemd-getty-generator(8) offers a login there.
fn serial(root: &Root) -> Option<String> {
    let cmdline = KernelCmdline::read(root);
    let consoles = cmdline.iter().filter_map(|parameter| parameter.strip_prefix("console="));
    let names = consoles.map(|console| console.split(',').next().unwrap_or_default());
    let is_serial = |name: &&str| ["ttyS", "ttyAMA", "ttyUSB", "hvc"].iter().any(|kind| name.starts_with(kind));
    names.filter(is_serial).last().map(str::to_owned)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::fs;

    const HEAD: &str =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
    const TRIE: &str = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     |-- 127.0.0.1\n        \
                        /32 host LOCAL\n     |-- 192.168.1.0\n        /24 link UNICAST\n     |-- 192.168.1.5\n        \
                        /32 host LOCAL\n     |-- 192.168.122.1\n        /32 host LOCAL\nLocal:\n     |-- 192.168.1.5\n        \
                        /32 host LOCAL\n";

    /// A number of an address as `/proc/net` shows it on this machine.
    fn shown(address: [u8; 4]) -> String {
        format!("{:08X}", u32::from_ne_bytes(address))
    }

    #[test]
    fn sshd_is_a_way_in_where_others_reach_it() {
        let tree = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = tree.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let root = Root::open(tree.path()).unwrap();
        let listens = |address: &str, port: u16, state: &str| {
            put("proc/net/tcp", &format!("{HEAD}   0: {address}:{port:04X} 00000000:0000 {state} 0 0 0 0 0 0\n"));
        };
        assert_eq!(look(&root), WayIn::default());
        assert!(!look(&root).is_some());
        let any = "00000000";
        listens(any, 22, "0A");
        assert_eq!(look(&root).ssh, Some(22));
        // A connection, this machine alone, another port.
        for (address, port, state) in [(any, 22, "01"), ("0100007F", 22, "0A"), (any, 631, "0A")] {
            listens(address, port, state);
            assert_eq!(look(&root).ssh, None, "{address} {port} {state}");
        }
        put("etc/ssh/sshd_config.d/a.conf", "# Port 1\nport = 631\n");
        assert_eq!(look(&root).ssh, Some(631));
        put("proc/net/fib_trie", TRIE);
        assert_eq!(look(&root).addresses, ["192.168.1.5", "192.168.122.1"], "no default route");
        let (net, all) = (shown([192, 168, 1, 0]), shown([255, 255, 255, 0]));
        let virt = shown([192, 168, 122, 0]);
        let route = format!(
            "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n\
             eth0 00000000 {0} 0003 0 0 0 00000000 0 0 0\neth0 {net} 00000000 0001 0 0 0 {all} 0 0 0\n\
             virbr0 {virt} 00000000 0001 0 0 0 {all} 0 0 0\n",
            shown([192, 168, 1, 1])
        );
        put("proc/net/route", &route);
        assert_eq!(look(&root).addresses, ["192.168.1.5"]);
    }

    #[test]
    fn a_login_on_a_serial_line_is_a_way_in() {
        let tree = tempfile::tempdir().unwrap();
        fs::create_dir_all(tree.path().join("proc")).unwrap();
        let root = Root::open(tree.path()).unwrap();
        for (line, expected) in [("console=tty0 console=ttyS0,115200n8", Some("ttyS0")), ("console=tty1 quiet", None)] {
            fs::write(tree.path().join("proc/cmdline"), line).unwrap();
            let found = look(&root);
            assert_eq!((found.serial.as_deref(), found.is_some()), (expected, expected.is_some()));
        }
    }
}
