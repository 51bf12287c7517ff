// SPDX-License-Identifier: LGPL-2.1-or-later
//! Which card a guest is to get: the one that `--gpu` names, or the one that the host can do without.

use super::facts::{Card, Facts};
use super::Stop;
use crate::finding::codes;
use crate::pci::Address;
use std::str::FromStr;

/// `--gpu`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GpuSelector {
    /// The one that the host can do without.
    Auto,
    /// By the address of one of its functions.
    Address(Address),
    /// `vendor:device`.
    Ids(String),
    /// By its maker.
    Maker(&'static str, u16),
}

/// The makers that have a word of their own.
const MAKERS: [(&str, u16); 3] = [("nvidia", 0x10de), ("amd", 0x1002), ("intel", 0x8086)];

impl FromStr for GpuSelector {
    type Err = String;

    fn from_str(text: &str) -> Result<GpuSelector, String> {
        let lower = text.to_ascii_lowercase();
        if lower == "auto" {
            return Ok(GpuSelector::Auto);
        }
        if let Some((word, vendor)) = MAKERS.iter().find(|(word, _)| *word == lower) {
            return Ok(GpuSelector::Maker(word, *vendor));
        }
        // As lspci prints it where there is one domain.
        let address = lower.parse().or_else(|_| format!("0000:{lower}").parse());
        if let Ok(address) = address {
            return Ok(GpuSelector::Address(address));
        }
        let is_id = |part: &str| part.len() == 4 && part.bytes().all(|b| b.is_ascii_hexdigit());
        match lower.split_once(':') {
            Some((vendor, device)) if is_id(vendor) && is_id(device) => Ok(GpuSelector::Ids(lower)),
            _ => Err("expected auto, an address, vendor:device, nvidia, amd or intel".to_owned()),
        }
    }
}

impl GpuSelector {
    fn means(&self, card: &Card) -> bool {
        match self {
            GpuSelector::Auto => true,
            GpuSelector::Address(address) => card.address.is_some_and(|own| own.slot == address.slot),
            GpuSelector::Ids(ids) => card.ids == *ids || card.ids.starts_with(&format!("{ids}:")),
            GpuSelector::Maker(_, vendor) => card.vendor == *vendor,
        }
    }

    fn word(&self) -> String {
        match self {
            GpuSelector::Auto => "auto".to_owned(),
            GpuSelector::Address(address) => address.to_string(),
            GpuSelector::Ids(ids) => ids.clone(),
            GpuSelector::Maker(word, _) => (*word).to_owned(),
        }
    }
}

/// The card.
pub fn choose<'f>(facts: &'f Facts, selector: &GpuSelector) -> Result<&'f Card, Stop> {
    let meant: Vec<&Card> = facts.cards.iter().filter(|card| selector.means(card)).collect();
    match (meant.as_slice(), selector) {
        ([], GpuSelector::Auto) => {
            Err(Stop::new(codes::SETUP_NO_CARD, "the kernel shows no graphics card", "look for it with 'lspci'"))
        }
        ([], selector) => {
            let all: Vec<String> = facts.cards.iter().map(describe).collect();
            let hint = if all.is_empty() { "there is none".to_owned() } else { format!("there is {}", all.join("; ")) };
            let text = format!("no graphics card is what --gpu={} means", selector.word());
            Err(Stop::new(codes::SETUP_NO_CARD, text, hint).usage())
        }
        ([only], _) => Ok(only),
        (several, GpuSelector::Auto) => spare(several).ok_or_else(|| {
            let text = "nothing tells which card the host can do without".to_owned();
            ambiguous(several, text)
        }),
        (several, selector) => {
            let text = format!("--gpu={} fits {} cards", selector.word(), several.len());
            Err(ambiguous(several, text))
        }
    }
}

fn describe(card: &Card) -> String {
    format!("{} ({})", card.at(), card.title())
}

fn ambiguous(cards: &[&Card], text: String) -> Stop {
    let idle: Vec<&&Card> = cards.iter().filter(|card| !is_used(card)).collect();
    let which = match idle.as_slice() {
        [one] => format!("say which: --gpu={} is the one without a monitor", one.at()),
        _ => format!(
            "say which: {}",
            cards.iter().map(|card| format!("--gpu={}", card.at())).collect::<Vec<_>>().join(", ")
        ),
    };
    let all: Vec<String> = cards.iter().map(|card| describe(card)).collect();
    Stop::new(codes::SETUP_CARD_AMBIGUOUS, format!("{text}: {}", all.join("; ")), which).usage()
}

/// Whether the host has a picture on it.
fn is_used(card: &Card) -> bool {
    card.boot_display || card.has_session || !card.monitors.is_empty()
}

/// The one card of several that the host can do without: none of the processor's where there is another; one that shows nothing, or
/// less than the others.
fn spare<'f>(cards: &[&'f Card]) -> Option<&'f Card> {
    let discrete: Vec<&'f Card> = cards.iter().copied().filter(|card| !card.integrated).collect();
    let cards = if discrete.is_empty() { cards } else { &discrete };
    let rules: [fn(&Card) -> bool; 3] =
        [|card| !is_used(card), |card| !card.boot_display && !card.has_session, |_| true];
    let left = rules.iter().map(|rule| cards.iter().copied().filter(|card| rule(card)).collect::<Vec<_>>());
    match left.into_iter().find(|left| !left.is_empty())?.as_slice() {
        [one] => Some(one),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn card(address: &str, vendor: u16) -> Card {
        let ids = format!("{vendor:04x}:1234");
        Card { address: Some(address.parse().unwrap()), vendor, ids, ..Card::default() }
    }

    fn chosen(cards: Vec<Card>, gpu: &str) -> Result<String, (bool, String)> {
        let facts = Facts { cards, ..Facts::default() };
        let found = choose(&facts, &gpu.parse().unwrap());
        found.map(Card::at).map_err(|stop| (stop.usage, stop.finding.sentence()))
    }

    #[test]
    fn a_card_is_named_in_many_ways() {
        let three = || vec![card("0000:00:02.0", 0x8086), card("0000:0a:00.0", 0x10de), card("0000:42:00.0", 0x1002)];
        for (word, expected) in [
            ("intel", "0000:00:02.0"),
            ("NVIDIA", "0000:0a:00.0"),
            ("1002:1234", "0000:42:00.0"),
            ("42:00.1", "0000:42:00.0"),
            ("0000:0a:00.0", "0000:0a:00.0"),
        ] {
            assert_eq!(chosen(three(), word).unwrap(), expected, "{word}");
        }
        assert!("geforce".parse::<GpuSelector>().is_err());
        assert!("12345:1".parse::<GpuSelector>().is_err());
        let (usage, said) = chosen(three(), "1234:5678").unwrap_err();
        assert!(usage && said.contains("--gpu=1234:5678") && said.contains("0000:42:00.0"), "{said}");
    }

    #[test]
    fn the_host_keeps_what_it_needs() {
        let integrated = Card { integrated: true, boot_display: true, ..card("0000:00:02.0", 0x8086) };
        let dark = Card { integrated: true, ..card("0000:00:02.0", 0x8086) };
        let shown = Card { monitors: vec!["DP-1".to_owned()], boot_display: true, ..card("0000:0a:00.0", 0x10de) };
        let idle = card("0000:42:00.0", 0x10de);
        for (cards, expected) in [
            (vec![integrated.clone(), idle.clone()], "0000:42:00.0"),
            (vec![shown.clone(), idle.clone()], "0000:42:00.0"),
            (vec![dark.clone(), idle.clone()], "0000:42:00.0"),
            (vec![shown.clone()], "0000:0a:00.0"),
            // What the processor has shows nothing, and is of little use to a guest.
            (vec![dark, shown.clone()], "0000:0a:00.0"),
        ] {
            assert_eq!(chosen(cards, "auto").unwrap(), expected);
        }
        let (usage, said) = chosen(vec![idle.clone(), card("0000:43:00.0", 0x10de)], "auto").unwrap_err();
        assert!(usage && said.contains("--gpu=0000:43:00.0"), "{said}");
        let (_, said) = chosen(vec![shown, idle], "nvidia").unwrap_err();
        assert!(said.contains("--gpu=0000:42:00.0 is the one without a monitor"), "{said}");
        assert!(!chosen(Vec::new(), "auto").unwrap_err().0);
    }
}
