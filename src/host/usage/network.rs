// SPDX-License-Identifier: LGPL-2.1-or-later
//! Network interfaces that the host uses: those with routes, and those below a bridge, bond or VLAN that has routes.

use super::storage::OverNetwork;
use super::{functions_above, Usage, Use};
use crate::root::Root;
use std::net::Ipv4Addr;

const NET: &str = "sys/class/net";

/// A route, as far as it matters here.
struct Route {
    interface: String,
    /// Destination and mask; none of IPv6.
    to: Option<(u32, u32)>,
    default: bool,
}

/// The interfaces that hang on a function and have routes, with the file systems that may come by them.
pub(super) fn read_network(root: &Root, over_network: &[OverNetwork]) -> Vec<Usage> {
    let routes = routes(root);
    if routes.is_empty() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for interface in root.list(NET).unwrap_or_default() {
        let functions = functions_above(root, &format!("{NET}/{interface}"));
        if functions.is_empty() {
            continue;
        }
        let above = with_uppers(root, &interface);
        let of_these: Vec<&Route> = routes.iter().filter(|route| above.contains(&route.interface)).collect();
        if of_these.is_empty() {
            continue;
        }
        let default_route = of_these.iter().any(|route| route.default);
        let comes = |mount: &&OverNetwork| leads_to(&routes, mount.server).iter().any(|name| above.contains(name));
        let carries = over_network.iter().filter(comes).map(|mount| &mount.at).min_by_key(|at| at.len()).cloned();
        found.push(Usage { functions, what: Use::Network { interface, default_route, carries } });
    }
    found
}

/// The interfaces by which a server may be reached: those of the routes to it with the longest mask. Of a server that is
/// not known, those of the default route; if there is none, all.
fn leads_to(routes: &[Route], server: Option<Ipv4Addr>) -> Vec<String> {
    let names = |is: &dyn Fn(&Route) -> bool| -> Vec<String> {
        routes.iter().filter(|route| is(route)).map(|route| route.interface.clone()).collect()
    };
    // The kernel prints addresses as numbers of its own byte order.
    let server = server.map(|address| u32::from_ne_bytes(address.octets()));
    let length = |route: &Route| {
        let (to, mask) = route.to?;
        (server? & mask == to).then(|| mask.count_ones())
    };
    if let Some(longest) = routes.iter().filter_map(length).max() {
        return names(&|route| length(route) == Some(longest));
    }
    let by_default = names(&|route| route.default);
    if by_default.is_empty() {
        names(&|_| true)
    } else {
        by_default
    }
}

/// All routes (`net/ipv4/fib_trie.c`, `fib_route_seq_show`; `net/ipv6/route.c`, `rt6_info_route`, of which link-local and
/// multicast routes say nothing).
fn routes(root: &Root) -> Vec<Route> {
    let read = |name: &str| {
        let text = root.read(&format!("proc/1/net/{name}")).or_else(|_| root.read(&format!("proc/net/{name}")));
        String::from_utf8_lossy(&text.unwrap_or_default()).into_owned()
    };
    let mut routes = Vec::new();
    let number = |text: &str| u32::from_str_radix(text, 16).ok();
    // Iface Destination Gateway Flags RefCnt Use Metric Mask ...
    for line in read("route").lines().skip(1) {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        if let [interface, destination, _, _, _, _, _, mask, ..] = fields[..] {
            let to = number(destination).zip(number(mask));
            routes.push(Route { interface: interface.to_owned(), to, default: to == Some((0, 0)) });
        }
    }
    // destination prefix source prefix next-hop metric refcnt use flags interface
    for line in read("ipv6_route").lines() {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        if let [destination, prefix, .., interface] = fields[..] {
            let own = destination.starts_with("fe80") || destination.starts_with("ff") || interface == "lo";
            if !own {
                let default = prefix == "00" && destination.bytes().all(|digit| digit == b'0');
                routes.push(Route { interface: interface.to_owned(), to: None, default });
            }
        }
    }
    routes
}

/// An interface and all that are made of it: bridges, bonds, VLANs (`upper_NAME` links, `net/core/dev.c`).
fn with_uppers(root: &Root, interface: &str) -> Vec<String> {
    let mut names = vec![interface.to_owned()];
    let mut at = 0;
    while let Some(name) = names.get(at).cloned() {
        for entry in root.list(&format!("{NET}/{name}")).unwrap_or_default() {
            if let Some(upper) = entry.strip_prefix("upper_").filter(|upper| !names.iter().any(|known| known == upper))
            {
                names.push(upper.to_owned());
            }
        }
        at += 1;
    }
    names
}
