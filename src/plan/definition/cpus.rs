// SPDX-License-Identifier: LGPL-2.1-or-later
//! The guest's processors, and on which of the host's they run (formatdomain, "CPU Allocation", "CPU Tuning", "CPU model and
//! topology").

use super::draft::Draft;
use super::element::Element;
use super::{change, Look, Said};
use crate::finding::codes;
use crate::finding::Finding;
use crate::host::cpu_list::show_list;
use crate::host::domain::xml::{child, is, number, text};
use crate::host::libvirt::Version;
use crate::plan::cpus::Chosen;
use roxmltree::Node;

/// Since when there is `<cache mode='passthrough'/>`; `migratable`, which is older, counts from 6.5.0 on for every machine.
const CACHE: Version = Version(6, 5, 0);
/// Since when there is `<maxphysaddr limit=.../>`.
const ADDRESS_LIMIT: Version = Version(9, 3, 0);

/// The CPUs that were chosen.
fn wanted<'r>(look: &'r Look<'_, '_>) -> Result<Option<&'r Chosen>, Finding> {
    match &look.request.facts.cpus {
        None => Ok(None),
        Some(Ok(chosen)) => Ok(Some(chosen)),
        Some(Err(why)) => Err(look.refuse(codes::CPUS_NOT_CHOSEN, why.clone())),
    }
}

/// How many there are, what they are and how they belong together: one without the other is refused by libvirt.
pub(super) fn processors(look: &Look<'_, '_>) -> Said {
    let Some(chosen) = wanted(look)? else { return Ok(None) };
    let count = chosen.pinned.len().to_string();
    let (cores, threads) = (chosen.cores(), chosen.threads.max(1));
    let cpu = look.part("cpu");
    if cpu.and_then(|cpu| child(cpu, "numa")).is_some() {
        let text = "'cpus' cannot be set: the domain divides its processors among NUMA cells of its own";
        return Err(look.refuse(codes::DEFINITION_UNCLEAR, text).hint("change the cells by hand, or remove 'cpus'"));
    }
    let mut draft = look.draft();
    match look.part("vcpu") {
        Some(vcpu) => {
            draft.unset(vcpu, "current");
            draft.unset(vcpu, "cpuset");
            if vcpu.attribute("placement").is_some_and(|placement| placement != "static") {
                draft.set(vcpu, "placement", "static");
            }
            draft.set_text(vcpu, &count);
        }
        None => draft.insert(look.domain, Element::new("vcpu").with("placement", "static").text(&count)),
    }
    // What it says of each of them does not fit another number.
    if let Some(each) = look.part("vcpus") {
        if each.children().filter(|n| is(*n, "vcpu")).count() != chosen.pinned.len() {
            draft.remove(each);
        }
    }
    let topology = [("sockets", 1), ("dies", 1), ("cores", cores), ("threads", threads as usize)];
    let needs = if look.request.facts.address_bits.is_some() { ADDRESS_LIMIT } else { CACHE };
    // QEMU has no 'host' processor without KVM.
    let is_emulated = look.domain.attribute("type").is_some_and(|kind| kind != "kvm");
    match cpu {
        cpu if is_emulated => {
            if let Some(there) = cpu.and_then(|cpu| child(cpu, "topology")).filter(|there| !is_so(*there, &topology)) {
                draft.replace(there, &topology_of(&topology));
            }
        }
        Some(cpu) => refit(look, &mut draft, cpu, chosen, &topology),
        None => {
            let mut parts = vec![topology_of(&topology), cache()];
            parts.extend(limit(look));
            parts.extend((look.request.facts.amd && threads > 1).then(topoext));
            draft.insert(look.domain, bare_cpu().children(parts));
        }
    }
    let why = if is_emulated {
        format!("{count} processors; without KVM they stay of the kind that they are")
    } else {
        let plural = if threads == 1 { "" } else { "s" };
        format!("{count} processors as the host's are: {cores} cores of {threads} thread{plural}")
    };
    Ok(change("cpus", why, needs, draft))
}

fn bare_cpu() -> Element {
    Element::new("cpu").with("mode", "host-passthrough").with("check", "none").with("migratable", "off")
}

fn topology_of(topology: &[(&str, usize)]) -> Element {
    topology.iter().fold(Element::new("topology"), |element, (name, number)| element.with(name, number))
}

/// Whether a `<topology>` says this.
fn is_so(there: Node<'_, '_>, topology: &[(&str, usize)]) -> bool {
    let has = |name: &str| there.attribute(name).and_then(number).unwrap_or(1) as usize;
    topology.iter().all(|(name, number)| has(name) == *number) && has("clusters") == 1
}

fn cache() -> Element {
    Element::new("cache").with("mode", "passthrough")
}

fn topoext() -> Element {
    Element::new("feature").with("policy", "require").with("name", "topoext")
}

fn limit(look: &Look<'_, '_>) -> Option<Element> {
    let bits = look.request.facts.address_bits?;
    Some(Element::new("maxphysaddr").with("mode", "passthrough").with("limit", bits))
}

/// Makes a `<cpu>` that is there as it should be; what else it says stays.
fn refit(look: &Look<'_, '_>, draft: &mut Draft<'_>, cpu: Node<'_, '_>, chosen: &Chosen, topology: &[(&str, usize)]) {
    if cpu.attribute("mode") != Some("host-passthrough") {
        draft.set(cpu, "mode", "host-passthrough");
        draft.set(cpu, "check", "none");
        draft.set(cpu, "migratable", "off");
        ["match"].iter().for_each(|name| draft.unset(cpu, name));
        // A model is another processor than the host's.
        let models = cpu.children().filter(|n| is(*n, "model") || is(*n, "vendor"));
        models.for_each(|model| draft.remove(model));
    }
    match child(cpu, "topology") {
        Some(there) if is_so(there, topology) => {}
        Some(there) => draft.replace(there, &topology_of(topology)),
        None => draft.insert(cpu, topology_of(topology)),
    }
    match child(cpu, "cache") {
        Some(there) if there.attribute("mode") == Some("passthrough") => {}
        Some(there) => draft.replace(there, &cache()),
        None => draft.insert(cpu, cache()),
    }
    if let Some(limit) = limit(look) {
        match child(cpu, "maxphysaddr") {
            // Somebody knows better.
            Some(_) => {}
            None => draft.insert(cpu, limit),
        }
    }
    let mut features = cpu.children().filter(|n| is(*n, "feature"));
    let named = features.find(|n| n.attribute("name") == Some("topoext"));
    match (look.request.facts.amd && chosen.threads > 1, named) {
        (true, Some(there)) => draft.set(there, "policy", "require"),
        (true, None) => draft.insert(cpu, topoext()),
        (false, _) => {}
    }
}

/// Which of the host's processors each of the guest's runs on, and QEMU's own threads beside them.
pub(super) fn pins(look: &Look<'_, '_>) -> Said {
    // Why there are none was said for their number.
    let Ok(Some(chosen)) = wanted(look) else { return Ok(None) };
    let mut draft = look.draft();
    let threads = look.part("iothreads").map(text).and_then(|count| number(&count));
    if threads.is_none_or(|threads| threads == 0) {
        match look.part("iothreads") {
            Some(there) => draft.set_text(there, "1"),
            None => draft.insert(look.domain, Element::new("iothreads").text(1)),
        }
    }
    let pin = |vcpu: usize, cpu: &u32| Element::new("vcpupin").with("vcpu", vcpu).with("cpuset", cpu);
    let pins = || chosen.pinned.iter().enumerate().map(|(vcpu, cpu)| pin(vcpu, cpu));
    let emulator = || Element::new("emulatorpin").with("cpuset", show_list(&chosen.others));
    let iothread = || Element::new("iothreadpin").with("iothread", 1).with("cpuset", show_list(&chosen.others));
    let Some(tune) = look.part("cputune") else {
        let tune = Element::new("cputune").children(pins()).children([emulator(), iothread()]);
        draft.insert(look.domain, tune);
        return Ok(change("cpus", why(chosen), CACHE, draft));
    };
    let there: Vec<Node<'_, '_>> = tune.children().filter(|n| is(*n, "vcpupin")).collect();
    let said = |node: &Node<'_, '_>| Some((number(node.attribute("vcpu")?)?, number(node.attribute("cpuset")?)?));
    let mut said: Vec<Option<(u32, u32)>> = there.iter().map(said).collect();
    said.sort_unstable();
    let desired: Vec<Option<(u32, u32)>> = (0..).zip(&chosen.pinned).map(|(vcpu, cpu)| Some((vcpu, *cpu))).collect();
    if said != desired {
        there.iter().for_each(|pin| draft.remove(*pin));
        pins().for_each(|pin| draft.insert(tune, pin));
    }
    match child(tune, "emulatorpin") {
        Some(there) => draft.set(there, "cpuset", &show_list(&chosen.others)),
        None => draft.insert(tune, emulator()),
    }
    let mut iothreads = tune.children().filter(|n| is(*n, "iothreadpin")).peekable();
    if iothreads.peek().is_none() {
        draft.insert(tune, iothread());
    }
    iothreads.for_each(|there| draft.set(there, "cpuset", &show_list(&chosen.others)));
    Ok(change("cpus", why(chosen), CACHE, draft))
}

fn why(chosen: &Chosen) -> String {
    format!("each processor stays on one of the host's; QEMU's own threads run on {}", show_list(&chosen.others))
}
