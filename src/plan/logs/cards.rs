// SPDX-License-Identifier: LGPL-2.1-or-later
//! Which functions a line of a log must name to be about a card of the configuration.

use crate::config::Selector;
use crate::pci::Address;
use crate::plan::selection::Selection;

/// The cards of the configuration, and the ports above them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoggedCards {
    /// Functions, each with the name of its `[gpu]` section.
    pub functions: Vec<(Address, String)>,
    /// Ports above them: an error of a link is said of both of its ends.
    pub ports: Vec<(Address, String)>,
}

impl LoggedCards {
    /// The cards of these sections. `parents` tells the ports above a function.
    pub fn of(selections: &[Selection<'_>], parents: impl Fn(Address) -> Vec<Address>) -> LoggedCards {
        let mut cards = LoggedCards::default();
        for selection in selections {
            let (gpu, functions) = match &selection.selected {
                Ok(selected) => (&selection.gpu.name, selected.functions.clone()),
                // What it means is not known, or it is not there any more: a log may still say why.
                Err(_) => match selection.gpu.device.value {
                    Selector::Address(address) => (&selection.gpu.name, vec![address]),
                    _ => continue,
                },
            };
            for function in functions {
                let ports = parents(function);
                let is_new = |port: &Address| !cards.ports.iter().any(|(known, _)| known == port);
                let ports: Vec<Address> = ports.into_iter().filter(is_new).collect();
                cards.ports.extend(ports.into_iter().map(|port| (port, gpu.clone())));
                cards.functions.push((function, gpu.clone()));
            }
        }
        cards
    }

    /// The function that a line is about, with its section: of those that it names a card's before a port.
    pub fn concerned(&self, named: &[Address]) -> Option<(Address, &str)> {
        let mut known = self.functions.iter().chain(&self.ports);
        known.find(|(known, _)| named.contains(known)).map(|(address, gpu)| (*address, gpu.as_str()))
    }
}
