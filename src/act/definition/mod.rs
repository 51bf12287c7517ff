// SPDX-License-Identifier: LGPL-2.1-or-later
//! Changing a guest's libvirt domain, and undoing it.
//!
//! What libvirt had before is on disk before libvirt is told anything, so a program that is killed at any point loses nothing:
//! `kept` has the files. What libvirt makes of a change is read back, and a change that did not come about is taken back.

pub mod error;
pub(crate) mod facts;
pub mod kept;
pub mod new;

use crate::act::backend::tools::Tools;
use crate::act::files;
use crate::act::guest;
use crate::act::guest::runner::Libvirt;
use crate::act::lock::Lock;
use crate::config::{Config, Guest, Runner};
use crate::host::domain;
use crate::host::libvirt::DomainInfo;
use crate::plan::definition::installation::Installation;
use crate::plan::definition::request::{Card, Facts, Request};
use crate::plan::definition::three_way::{self, Undone};
use crate::plan::definition::{self, Definition};
use crate::plan::guest::next_start;
use crate::plan::setup::ASIDE;
use crate::plan::Finding;
use crate::root::Root;
use crate::survey;
use error::DefinitionError;
use kept::File;
use std::time::Duration;

/// How long to wait for the guest's own programs.
const PATIENCE: Duration = Duration::from_secs(5);

/// A domain and what surrounds it.
#[derive(Debug)]
pub struct Probed {
    /// Its text, as libvirt has it.
    pub xml: String,
    /// Its guest's cards.
    pub cards: Vec<Card>,
    /// Cards that the section names and that are not there, each with why.
    pub missing: Vec<Finding>,
    /// The machine.
    pub facts: Facts,
}

impl Probed {
    /// What is asked for.
    pub fn request<'a>(
        &'a self,
        guest: &'a Guest,
        reset_variables: bool,
        installation: Option<&'a Installation>,
    ) -> Request<'a> {
        Request { guest, cards: &self.cards, facts: &self.facts, reset_variables, installation }
    }
}

fn libvirt<'a>(tools: &'a dyn Tools, guest: &'a Guest) -> Libvirt<'a> {
    Libvirt { tools, uri: &guest.uri, domain: &guest.domain, guest: &guest.name }
}

/// Looks at the domain and at what its definition needs.
pub fn probe(root: &Root, tools: &dyn Tools, config: &Config, guest: &Guest) -> Result<Probed, DefinitionError> {
    let (selections, host) = survey::of_guest(root, config, guest);
    let cards = Card::of(&selections, &host);
    let missing = selections.iter().filter_map(|selection| selection.selected.as_ref().err());
    let missing = missing.map(|finding| finding.for_guest(guest)).collect();
    if guest.runner == Runner::Command {
        return Ok(Probed { xml: String::new(), cards, missing, facts: Facts::default() });
    }
    let libvirt = libvirt(tools, guest);
    let info = libvirt.info()?;
    let xml = described(libvirt)?;
    let mut facts = facts::of_machine(root, tools, guest, &cards, &xml);
    facts.info = info;
    (facts.libvirt, facts.qemu) = libvirt.versions()?;
    if guest.definition.tpm == Some(true) || guest.definition.secure_boot.is_some() {
        let machine = definition::machine(&xml).unwrap_or_else(|| "q35".to_owned());
        // Who cannot be asked is not known to lack anything.
        facts.capabilities = libvirt.capabilities(&machine).unwrap_or_else(|error| {
            log::debug!("{error}");
            None
        });
    }
    Ok(Probed { xml, cards, missing, facts })
}

/// The same for a domain that libvirt cannot be asked about, since it does not run yet: `xml` is its text. What only libvirt
/// knows is not known to lack anything.
pub fn preview(root: &Root, tools: &dyn Tools, config: &Config, guest: &Guest, xml: &str) -> Probed {
    let (selections, host) = survey::of_guest(root, config, guest);
    let cards = Card::of(&selections, &host);
    let facts = facts::of_machine(root, tools, guest, &cards, xml);
    Probed { xml: xml.to_owned(), cards, missing: Vec::new(), facts }
}

/// The domain's text with its passwords, without the line break that virsh prints behind it.
fn described(libvirt: Libvirt<'_>) -> Result<String, DefinitionError> {
    let mut xml = libvirt.whole_description()?;
    xml.truncate(xml.trim_end().len());
    xml.push('\n');
    match domain::parse(&xml) {
        Ok(_) => Ok(xml),
        Err(why) => Err(DefinitionError::Text { domain: libvirt.domain.to_owned(), why }),
    }
}

/// What should become of the domain: changes, or why not.
pub fn plan(guest: &Guest, probed: &Probed, reset_variables: bool) -> Result<Definition, DefinitionError> {
    let mut refusals = definition::refusals(guest, &probed.facts.info);
    refusals.extend(probed.missing.iter().cloned());
    if guest.runner == Runner::Command {
        return Ok(Definition { refusals, ..Definition::default() });
    }
    let text = |why| DefinitionError::Text { domain: guest.domain.clone(), why };
    let mut found = definition::plan(&probed.xml, &probed.request(guest, reset_variables, None)).map_err(text)?;
    refusals.append(&mut found.refusals);
    Ok(Definition { refusals, ..found })
}

/// What is to be put right before the next start of a domain with this text.
pub fn next_start(root: &Root, tools: &dyn Tools, guest: &Guest, cards: &[Card], xml: &str) -> Vec<Finding> {
    // A text that is no domain has been refused already.
    let Ok(domain) = domain::parse(xml) else { return Vec::new() };
    let found = guest::next_start::look(root, tools, &domain, libvirt(tools, guest).is_local());
    next_start::check(guest, &domain, cards, &found)
}

fn uuid<'i>(guest: &Guest, info: &'i DomainInfo) -> Result<&'i str, DefinitionError> {
    let uuid = info.uuid.as_str();
    let none = || DefinitionError::NoUuid { domain: guest.domain.clone() };
    kept::is_uuid(uuid).then_some(uuid).ok_or_else(none)
}

/// Nobody starts the guest meanwhile.
fn lock(root: &Root, guest: &Guest) -> Result<Lock, DefinitionError> {
    match guest::lock(root, &guest.name, PATIENCE) {
        Ok(Some(lock)) => Ok(lock),
        Ok(None) => Err(DefinitionError::AtWork { guest: guest.name.clone() }),
        Err(error) => Err(DefinitionError::Lock { guest: guest.name.clone(), error }),
    }
}

/// The files that are kept of one domain.
struct Kept<'r> {
    root: &'r Root,
    uuid: &'r str,
}

impl Kept<'_> {
    fn fail(&self, file: File) -> impl Fn(std::io::Error) -> DefinitionError + '_ {
        move |error| DefinitionError::Kept { path: format!("/{}", kept::path(self.uuid, file)), error }
    }

    fn read(&self, file: File) -> Result<Option<String>, DefinitionError> {
        kept::read(self.root, self.uuid, file).map_err(self.fail(file))
    }

    fn write(&self, file: File, text: &str) -> Result<(), DefinitionError> {
        kept::write(self.root, self.uuid, file, text).map_err(self.fail(file))
    }

    fn remove(&self, file: File) -> Result<(), DefinitionError> {
        kept::remove(self.root, self.uuid, file).map_err(self.fail(file))
    }

    fn forget(&self) -> Result<(), DefinitionError> {
        kept::forget(self.root, self.uuid).map_err(self.fail(File::Before))
    }

    /// Forgets that we made the domain, too.
    fn forget_all(&self) -> Result<(), DefinitionError> {
        self.remove(File::Defined)?;
        self.forget()
    }

    /// Gives libvirt a text by a file that only root may read. `now` is the domain as libvirt has it: where its schema does not
    /// know that either, it cannot judge the text.
    fn define(&self, libvirt: Libvirt<'_>, text: &str, now: &str) -> Result<(), DefinitionError> {
        let file = self.root.show(&kept::path(self.uuid, File::Pending));
        self.write(File::Pending, text)?;
        let Err(error) = libvirt.define(&file, true) else { return Ok(()) };
        self.write(File::Pending, now)?;
        if libvirt.define(&file, true).is_ok() {
            return Err(error.into());
        }
        log::debug!("libvirt's schema does not know the domain as it is: {error}");
        self.write(File::Pending, text)?;
        Ok(libvirt.define(&file, false)?)
    }

    /// Puts the UEFI variables aside, so that libvirt makes new ones for another firmware.
    fn put_aside(&self, variables: &str) -> Result<(), DefinitionError> {
        if self.root.exists(variables.trim_start_matches('/')) {
            self.write(File::Variables, variables)?;
            self.move_variables(variables, "", ASIDE)?;
        }
        Ok(())
    }

    /// Puts those that were put aside back into the place of what libvirt has made since.
    fn put_back(&self) -> Result<(), DefinitionError> {
        match self.read(File::Variables)? {
            Some(variables) => self.move_variables(&variables, ASIDE, ""),
            None => Ok(()),
        }
    }

    fn move_variables(&self, path: &str, from: &str, to: &str) -> Result<(), DefinitionError> {
        let inside = path.trim_start_matches('/');
        let fail = |error| DefinitionError::Kept { path: path.to_owned(), error };
        files::rename(self.root, &format!("{inside}{from}"), &format!("{inside}{to}")).map_err(fail)
    }

    /// The domain as it would be without what we have changed so far.
    fn without_ours(&self, now: &str) -> Result<Option<Undone>, DefinitionError> {
        let Some(before) = self.read(File::Before)? else { return Ok(None) };
        let after = match (self.read(File::After)?, self.read(File::Pending)?) {
            (Some(after), None) => after,
            (Some(after), Some(_)) if after == now => after,
            // The program that was to write down what libvirt made of the change was killed before that.
            (_, Some(_)) => now.to_owned(),
            // It was killed before it gave libvirt anything.
            (None, None) => return Ok(Some(Undone { text: now.to_owned(), both: Vec::new() })),
        };
        let text = |why| DefinitionError::Text { domain: "as it was kept".to_owned(), why };
        three_way::undo(&before, &after, now).map(Some).map_err(text)
    }
}

/// Changes the domain as was planned.
pub fn carry_out(
    root: &Root,
    tools: &dyn Tools,
    guest: &Guest,
    probed: &Probed,
    plan: &Definition,
    reset_variables: bool,
) -> Result<(), DefinitionError> {
    let libvirt = libvirt(tools, guest);
    let uuid = uuid(guest, &probed.facts.info)?;
    let kept = Kept { root, uuid };
    let _lock = lock(root, guest)?;
    if described(libvirt)? != probed.xml {
        return Err(DefinitionError::ChangedMeanwhile { domain: guest.domain.clone() });
    }
    // What both changed is theirs from now on.
    let former = kept.without_ours(&probed.xml)?.map_or_else(|| probed.xml.clone(), |undone| undone.text);
    let first = kept.read(File::Before)?.is_none();
    kept.write(File::Before, &former)?;
    // So an undo of it from here on changes nothing but what we change.
    kept.write(File::After, &probed.xml)?;
    let other_firmware = plan.changes.iter().any(|change| change.key == "secure-boot");
    if let Some(variables) = definition::variables(&probed.xml).filter(|_| reset_variables && other_firmware) {
        kept.put_aside(&variables)?;
    }
    let given = kept.define(libvirt, &plan.apply(&probed.xml), &probed.xml);
    if let Err(error) = given {
        // Nothing has changed.
        kept.put_back()?;
        if first {
            kept.forget()?;
        } else {
            kept.remove(File::Pending)?;
        }
        return Err(error);
    }
    let after = described(libvirt)?;
    kept.write(File::After, &after)?;
    kept.remove(File::Pending)?;
    read_back(&probed.request(guest, reset_variables, None), &after).map_or(Ok(()), |keys| {
        let domain = guest.domain.clone();
        match kept.define(libvirt, &probed.xml, &after) {
            Ok(()) => {
                kept.put_back()?;
                if first {
                    kept.forget()?;
                } else {
                    kept.write(File::After, &described(libvirt)?)?;
                    kept.remove(File::Pending)?;
                }
                Err(DefinitionError::NotDone { domain, keys })
            }
            Err(error) => {
                let kept = format!("/{}", kept::path(uuid, File::Before));
                Err(DefinitionError::NotBack { domain, keys, why: error.to_string(), kept })
            }
        }
    })
}

/// The keys that libvirt did not bring about.
fn read_back(request: &Request<'_>, after: &str) -> Option<String> {
    let left = definition::plan(after, request).ok()?;
    let mut keys: Vec<String> = Vec::new();
    for change in &left.changes {
        let key = format!("'{}'", change.key);
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    (!keys.is_empty()).then(|| keys.join(", "))
}

/// What an undo would make of the domain.
pub fn plan_undo(root: &Root, guest: &Guest, probed: &Probed) -> Result<Undone, DefinitionError> {
    let kept = Kept { root, uuid: uuid(guest, &probed.facts.info)? };
    let nothing = || DefinitionError::NothingKept { domain: guest.domain.clone() };
    kept.without_ours(&probed.xml)?.ok_or_else(nothing)
}

/// Why an undo may not be made.
pub fn refuse_undo(guest: &Guest, probed: &Probed, undone: &Undone) -> Vec<Finding> {
    let mut refusals = definition::refusals(guest, &probed.facts.info);
    refusals.extend(definition::changed_since(guest, &undone.both));
    refusals
}

/// Makes the domain what it was before our first change, with what its user changed since.
pub fn undo(
    root: &Root,
    tools: &dyn Tools,
    guest: &Guest,
    probed: &Probed,
    undone: &Undone,
) -> Result<(), DefinitionError> {
    let libvirt = libvirt(tools, guest);
    let kept = Kept { root, uuid: uuid(guest, &probed.facts.info)? };
    let _lock = lock(root, guest)?;
    let now = described(libvirt)?;
    if now != probed.xml {
        return Err(DefinitionError::ChangedMeanwhile { domain: guest.domain.clone() });
    }
    if undone.text != now {
        kept.define(libvirt, &undone.text, &now)?;
    }
    kept.put_back()?;
    kept.forget()
}
