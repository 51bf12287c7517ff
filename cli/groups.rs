// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio groups`: IOMMU groups with all that decides whether a guest can have them.

use crate::output::{Output, Text};
use crate::Answer as Exit;
use std::collections::BTreeMap;
use vfio_suite::host::function::is_vfio;
use vfio_suite::host::iommu::Iommu;
use vfio_suite::host::pci_ids::Names;
use vfio_suite::host::usage::Use;
use vfio_suite::host::{Function, Host};
use vfio_suite::pci::{Address, Class, Identity, Slot};
use vfio_suite::plan::group::{blockers, Blocker};
use vfio_suite::root::Root;

struct Answer<'a> {
    iommu: &'a Iommu,
    groups: Vec<Group<'a>>,
    /// Functions in no group: the IOMMU does not translate for them.
    ungrouped: Vec<Member<'a>>,
}

struct Group<'a> {
    group: u32,
    /// Whether a guest could get the group's free members now.
    viable: bool,
    /// The members that keep it from guests, with the host driver that has each.
    blockers: Vec<Blocker>,
    functions: Vec<Member<'a>>,
}

struct Member<'a> {
    address: Address,
    ids: Identity,
    class: Class,
    kind: &'static str,
    name: Option<&'a str>,
    driver: Option<&'a str>,
    boot_display: bool,
    /// The physical function of a virtual one.
    physfn: Option<Address>,
    /// In the order in which the kernel tries them; null if it knows none.
    reset_methods: Option<&'a [String]>,
    /// What the host has on it.
    uses: Vec<&'a Use>,
}

/// What the host has on each function, but for bridges: all that is below them hangs on them.
type Uses<'a> = BTreeMap<Address, Vec<&'a Use>>;

fn uses(host: &Host) -> Uses<'_> {
    let mut uses = Uses::new();
    for usage in &host.usage {
        let is_bridge = |function: &&Address| host.function(**function).is_some_and(Function::is_bridge);
        for function in usage.functions.iter().filter(|function| !is_bridge(function)) {
            let known = uses.entry(*function).or_default();
            // A keyboard with keys for sound shows itself twice.
            if !known.contains(&&usage.what) {
                known.push(&usage.what);
            }
        }
    }
    uses
}

/// Lists the groups.
pub fn run(root: &Root, out: &Output, gpu: Option<&str>) -> anyhow::Result<Exit> {
    let mut host = Host::scan_by_two(root);
    host.find_displays(root);
    host.find_usage(root, &[]);
    let host = host;
    let names = Names::read(root, &host.functions);
    // Borrowed, all of it: on a server there are thousands.
    fn member<'a>(f: &'a Function, host: &Host, names: &'a Names, uses: &Uses<'a>) -> Member<'a> {
        Member {
            address: f.address,
            ids: Identity { vendor: f.vendor, device: f.device, subsystem: f.subsystem },
            class: Class(f.class),
            kind: f.kind(),
            name: names.of(f),
            driver: f.driver.as_deref(),
            boot_display: host.is_boot_display(f.address),
            physfn: f.physfn,
            reset_methods: f.reset_methods.as_deref(),
            uses: uses.get(&f.address).cloned().unwrap_or_default(),
        }
    }
    let uses = uses(&host);
    let mut order: Vec<&Function> = host.functions.iter().collect();
    order.sort_by_key(|f| f.group.map_or((true, 0), |g| (false, g)));
    let (mut groups, mut ungrouped) = (Vec::new(), Vec::new());
    for run in order.chunk_by(|a, b| a.group == b.group) {
        let functions = run.iter().map(|f| member(f, &host, &names, &uses)).collect();
        match run[0].group {
            Some(group) => {
                let blockers = blockers(run.iter().copied());
                groups.push(Group { group, viable: blockers.is_empty(), blockers, functions });
            }
            None => ungrouped = functions,
        }
    }
    if let Some(card) = gpu {
        let slot = find(&host, card)?;
        let has = |functions: &[Member<'_>]| functions.iter().any(|member| member.address.slot == slot);
        groups.retain(|group| has(&group.functions));
        ungrouped.retain(|member| member.address.slot == slot);
    }
    let code = if host.iommu.active { Exit::Done } else { Exit::No };
    if out.is_json() {
        out.json_text(&Answer { iommu: &host.iommu, groups, ungrouped }.json()?)?;
        return Ok(code);
    }
    out.text(&text(&host.iommu, &groups, &ungrouped, out))?;
    Ok(code)
}

/// The slot of a card by its address, whose domain and function may be left out as lspci(8) leaves them out.
fn find(host: &Host, text: &str) -> anyhow::Result<Slot> {
    let domain = if text.matches(':').count() < 2 { "0000:" } else { "" };
    let function = if text.contains('.') { "" } else { ".0" };
    let Ok(address) = format!("{domain}{text}{function}").parse::<Address>() else {
        anyhow::bail!("'{text}' is not an address, as 0000:03:00.0 is");
    };
    if host.functions.iter().any(|function| function.address.slot == address.slot) {
        return Ok(address.slot);
    }
    let displays = host.functions.iter().filter(|function| function.is_display());
    let displays: Vec<String> = displays.map(|function| function.address.to_string()).collect();
    anyhow::bail!("nothing is at {address}; displays are at {}", displays.join(", "))
}

impl Answer<'_> {
    /// The answer as a line of JSON. By hand, because serde's way through a program that is optimised for size costs
    /// four times as much, and this is most of what is done for a function of a server.
    fn json(&self) -> serde_json::Result<String> {
        let mut json = Json { text: String::with_capacity(1 << 16) };
        json.raw("{\"schema\":\"vfio.groups/1\",\"iommu\":");
        json.raw(&serde_json::to_string(self.iommu)?);
        json.raw(",\"groups\":");
        json.list(&self.groups, |json, group| {
            json.raw("{\"group\":");
            json.number(group.group);
            json.raw(",\"viable\":");
            json.yes_or_no(group.viable);
            json.raw(",\"blockers\":");
            json.list(&group.blockers, |json, blocker| {
                json.raw("{\"function\":\"");
                blocker.function.push_to(&mut json.text);
                json.raw("\",\"driver\":");
                json.string(&blocker.driver)?;
                json.raw("}");
                Ok(())
            })?;
            json.raw(",\"functions\":");
            json.list(&group.functions, Json::member)?;
            json.raw("}");
            Ok(())
        })?;
        json.raw(",\"ungrouped\":");
        json.list(&self.ungrouped, Json::member)?;
        json.raw("}\n");
        Ok(json.text)
    }
}

/// JSON in the making.
struct Json {
    text: String,
}

impl Json {
    fn member(&mut self, member: &Member<'_>) -> serde_json::Result<()> {
        self.raw("{\"address\":\"");
        member.address.push_to(&mut self.text);
        self.raw("\",\"ids\":\"");
        member.ids.push_to(&mut self.text);
        self.raw("\",\"class\":\"");
        member.class.push_to(&mut self.text);
        self.raw("\",\"kind\":");
        self.string(member.kind)?;
        self.raw(",\"name\":");
        self.string_or_null(member.name)?;
        self.raw(",\"driver\":");
        self.string_or_null(member.driver)?;
        self.raw(",\"boot_display\":");
        self.yes_or_no(member.boot_display);
        self.raw(",\"physfn\":");
        match member.physfn {
            Some(physical) => {
                self.raw("\"");
                physical.push_to(&mut self.text);
                self.raw("\"");
            }
            None => self.raw("null"),
        }
        self.raw(",\"reset_methods\":");
        match member.reset_methods {
            Some(methods) => self.list(methods, |json, method| json.string(method))?,
            None => self.raw("null"),
        }
        self.raw(",\"uses\":");
        self.list(&member.uses, |json, what| {
            json.raw(&serde_json::to_string(what)?);
            Ok(())
        })?;
        self.raw("}");
        Ok(())
    }

    fn raw(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn yes_or_no(&mut self, yes: bool) {
        self.raw(if yes { "true" } else { "false" });
    }

    fn number(&mut self, number: u32) {
        let mut unit = 1;
        while number / unit >= 10 {
            unit *= 10;
        }
        while unit > 0 {
            self.text.push(char::from(b'0' + (number / unit % 10) as u8));
            unit /= 10;
        }
    }

    /// Most strings are words, which need no second look.
    fn string(&mut self, text: &str) -> serde_json::Result<()> {
        if text.bytes().all(|b| b >= b' ' && b != b'"' && b != b'\\') {
            self.raw("\"");
            self.raw(text);
            self.raw("\"");
        } else {
            self.raw(&serde_json::to_string(text)?);
        }
        Ok(())
    }

    fn string_or_null(&mut self, text: Option<&str>) -> serde_json::Result<()> {
        match text {
            Some(text) => self.string(text)?,
            None => self.raw("null"),
        }
        Ok(())
    }

    fn list<T>(
        &mut self,
        of: &[T],
        mut each: impl FnMut(&mut Json, &T) -> serde_json::Result<()>,
    ) -> serde_json::Result<()> {
        self.raw("[");
        for (at, one) in of.iter().enumerate() {
            if at > 0 {
                self.raw(",");
            }
            each(self, one)?;
        }
        self.raw("]");
        Ok(())
    }
}

/// The groups as a tree, in lines that fit the terminal.
fn text(iommu: &Iommu, groups: &[Group<'_>], ungrouped: &[Member<'_>], out: &Output) -> Text {
    let mut text = out.lines();
    for group in groups {
        let name = format!("IOMMU group {}", group.group);
        let is_bridges = group.functions.iter().all(Member::is_bridge);
        let name = if is_bridges { out.dim(&name) } else { out.bold(&name) };
        match state(group) {
            State::Viable if is_bridges => text.line(name),
            State::Viable => text.line(format_args!("{name}: {}", out.good("viable"))),
            State::Bound(drivers) => text.line(format_args!("{name}: bound to {}", drivers.join(", "))),
            State::Mixed(kept) => text.line(format_args!("{name}: {}", out.bad(&format!("not viable: {kept}")))),
        }
        tree(&mut text, &group.functions, out);
    }
    if !ungrouped.is_empty() {
        let why = if iommu.active { "not translated by the IOMMU" } else { "the IOMMU is off" };
        text.line(format_args!("{}: {}", out.bold("In no IOMMU group"), out.bad(why)));
        tree(&mut text, ungrouped, out);
    }
    text
}

/// How a group is now.
enum State {
    /// A guest could get it as it is.
    Viable,
    /// It is the host's, by these drivers: nothing is wrong with that.
    Bound(Vec<String>),
    /// A part of it is for guests, and the host keeps another part.
    Mixed(String),
}

fn state(group: &Group<'_>) -> State {
    if group.blockers.is_empty() {
        return State::Viable;
    }
    if group.functions.iter().any(|member| member.driver.is_some_and(is_vfio)) {
        let kept = |blocker: &Blocker| format!("{} is bound to {}", blocker.function, blocker.driver);
        return State::Mixed(group.blockers.iter().map(kept).collect::<Vec<_>>().join(", "));
    }
    let mut drivers: Vec<String> = Vec::new();
    for blocker in &group.blockers {
        if !drivers.contains(&blocker.driver) {
            drivers.push(blocker.driver.clone());
        }
    }
    State::Bound(drivers)
}

/// The members of a group, one below the other.
fn tree(text: &mut Text, members: &[Member<'_>], out: &Output) {
    for (at, member) in members.iter().enumerate() {
        let last = at + 1 == members.len();
        let begin = format!("  {} {}  ", if last { "`-" } else { "|-" }, member.address);
        let next = format!("  {}", if last { " " } else { "|" });
        let next = format!("{next:wide$}", wide = begin.len());
        let mut lines = out.lines();
        lines.wrapped(&begin, &next, &member.said(), out.width());
        if member.is_bridge() {
            lines.each(|line| text.line(out.dim(line)));
        } else {
            text.add(&lines);
        }
    }
}

impl Member<'_> {
    /// PCI bridges, and what stands for a host bridge: no guest gets one.
    fn is_bridge(&self) -> bool {
        self.class.0 >> 16 == 0x06
    }

    fn said(&self) -> String {
        let reset = match self.reset_methods {
            None | Some([]) => "no reset".to_owned(),
            Some(methods) => format!("reset {}", methods.join(" ")),
        };
        let boot = if self.boot_display { ", boot display" } else { "" };
        let of = self.physfn.map(|physical| format!(", virtual function of {physical}")).unwrap_or_default();
        let what = self.name.map_or_else(|| self.kind.to_owned(), |name| format!("{}: {name}", self.kind));
        let driver = self.driver.map_or("no driver".to_owned(), |driver| format!("bound to {driver}"));
        let uses: String = self.uses.iter().map(|what| format!("; {what}")).collect();
        let ids = Identity { subsystem: None, ..self.ids };
        // What is the same of every bridge says nothing.
        let plain = self.is_bridge() && matches!(self.driver, None | Some("pcieport"));
        let more = if plain { String::new() } else { format!("; {driver}; {reset}{uses}") };
        format!("{what} ({ids}){boot}{of}{more}")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::{json, Value};
    use vfio_suite::host::platform::Platform;

    #[test]
    fn what_is_written_by_hand_is_json() {
        let address = Address::from_sysfs(b"10000:e1:00.1").unwrap();
        let physical = Address::from_sysfs(b"10000:e1:00.0").unwrap();
        let methods = ["flr".to_owned(), "bus".to_owned()];
        let tpm = Use::Tpm;
        let member = |name, driver, physfn, reset_methods| Member {
            address,
            ids: Identity { vendor: 0x1002, device: 0x73bf, subsystem: Some((0x1da2, 0xe445)) },
            class: Class(0x03_0000),
            kind: "VGA display",
            name,
            driver,
            boot_display: true,
            physfn,
            reset_methods,
            uses: vec![&tpm],
        };
        let shown = |name: Value, driver: Value, physfn: Value, methods: Value| {
            json!({"address": "10000:e1:00.1", "ids": "1002:73bf:1da2:e445", "class": "030000", "kind": "VGA display",
                "name": name, "driver": driver, "boot_display": true, "physfn": physfn, "reset_methods": methods,
                "uses": [{"use": "tpm"}]})
        };
        let iommu = Iommu {
            active: true,
            units: vec!["ivhd0".to_owned()],
            firmware: Some("IVRS"),
            platform: Platform::default(),
        };
        let group = |group| Group {
            group,
            viable: false,
            blockers: vec![Blocker { function: address, driver: "amd\"gpu".to_owned() }],
            functions: vec![
                member(Some("a \"b\" \\ \u{1}\n é"), None, Some(physical), Some(&methods[..])),
                member(None, Some("x"), None, None),
            ],
        };
        let numbers = [0, 7, 10, 199, u32::MAX];
        let groups = numbers.map(group).into();
        let answer = Answer { iommu: &iommu, groups, ungrouped: vec![member(None, None, None, Some(&[]))] };
        let text = answer.json().unwrap();
        assert!(text.ends_with("}\n") && !text.contains(": "), "{text}");
        let functions = json!([
            shown(json!("a \"b\" \\ \u{1}\n é"), Value::Null, json!("10000:e1:00.0"), json!(["flr", "bus"])),
            shown(Value::Null, json!("x"), Value::Null, Value::Null),
        ]);
        let groups = numbers.map(|group| {
            json!({"group": group, "viable": false, "functions": functions,
                "blockers": [{"function": "10000:e1:00.1", "driver": "amd\"gpu"}]})
        });
        let expected = json!({"schema": "vfio.groups/1", "groups": groups,
            "iommu": {"active": true, "units": ["ivhd0"], "firmware": "IVRS"},
            "ungrouped": [shown(Value::Null, Value::Null, Value::Null, json!([]))]});
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
    }
}
