// SPDX-License-Identifier: LGPL-2.1-or-later
//! What a guest's libvirt domain is to be like: from its XML and the `[guest]` section to a list of changes.
//!
//! Each feature looks at the text as the features before it left it, and says what it would change as splices: all bytes
//! outside of them stay. A feature that finds the domain as it should be changes nothing, whoever wrote it that way.
//! docs/GUEST-DEFINITION.md has what each writes, and why.

mod audio;
mod card;
mod cdrom;
mod cpus;
mod display;
mod draft;
mod element;
mod firmware;
mod hide;
mod input;
pub mod installation;
mod looking_glass;
mod memory;
mod mine;
mod muxless;
pub mod new_domain;
mod refusals;
pub mod request;
pub mod splice;
pub mod three_way;
mod tpm;
mod usb;

use crate::finding::{codes, Finding};
use crate::host::domain::document;
use crate::host::domain::xml::QEMU;
use crate::host::domain::xml::{child, is};
use crate::host::libvirt::Version;
use request::Request;
use roxmltree::Node;
use serde::Serialize;
use splice::Splice;

pub use firmware::variables;
pub use refusals::{changed_since, lacking, not_ours, refusals};

/// One change to a domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The key that asks for it.
    pub key: &'static str,
    /// Why, in one line.
    pub why: String,
    /// The oldest libvirt that knows what is written.
    pub needs: Version,
    /// What becomes of the text as the changes before this one left it.
    pub splices: Vec<Splice>,
}

/// The changes that make a domain what its guest's section says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Definition {
    /// The changes, in order.
    pub changes: Vec<Change>,
    /// Why the domain may not be changed, if so.
    pub refusals: Vec<Finding>,
    /// What is to be known although it may.
    pub warnings: Vec<Finding>,
}

impl Definition {
    /// The domain's text after each change, and the text before the first.
    pub fn texts(&self, before: &str) -> Vec<String> {
        let mut texts = vec![before.to_owned()];
        for change in &self.changes {
            let next = splice::apply(texts.last().map_or("", String::as_str), &change.splices);
            texts.push(next);
        }
        texts
    }

    /// The domain's text after all changes.
    pub fn apply(&self, before: &str) -> String {
        self.changes.iter().fold(before.to_owned(), |text, change| splice::apply(&text, &change.splices))
    }
}

/// What a feature looks at.
struct Look<'a, 'd: 'a> {
    /// The domain's text.
    text: &'d str,
    /// Its root element.
    domain: Node<'a, 'd>,
    /// What it is to be.
    request: &'a Request<'a>,
}

impl<'a, 'd> Look<'a, 'd> {
    /// A child of the domain.
    fn part(&self, name: &str) -> Option<Node<'a, 'd>> {
        child(self.domain, name)
    }

    /// All devices of libvirt's own with this name.
    fn devices(&self, name: &str) -> Vec<Node<'a, 'd>> {
        self.part("devices").iter().flat_map(|devices| devices.children()).filter(|n| is(*n, name)).collect()
    }

    /// Puts a device into the domain.
    fn add(&self, draft: &mut draft::Draft<'_>, device: element::Element) {
        match self.part("devices") {
            Some(devices) => draft.insert(devices, device),
            None => draft.insert(self.domain, element::Element::new("devices").child(device)),
        }
    }

    /// The arguments for QEMU itself.
    fn arguments(&self) -> Vec<Node<'a, 'd>> {
        let lists = self.domain.children().filter(|n| n.has_tag_name((QEMU, "commandline")));
        lists.flat_map(|list| list.children()).filter(|n| n.has_tag_name((QEMU, "arg"))).collect()
    }

    /// Changes to this text.
    fn draft(&self) -> draft::Draft<'d> {
        draft::Draft::new(self.text)
    }

    /// Why the domain cannot be made so, as a finding about the guest.
    fn refuse(&self, code: codes::Code, text: impl Into<String>) -> Finding {
        Finding::guest(self.request.guest, code, text)
    }
}

/// What a feature says: nothing, a change, or why not.
type Said = Result<Option<Change>, Finding>;

/// A change, unless nothing is changed.
fn change(key: &'static str, why: impl Into<String>, needs: Version, draft: draft::Draft<'_>) -> Option<Change> {
    let splices = draft.finish();
    (!splices.is_empty()).then(|| Change { key, why: why.into(), needs, splices })
}

/// The key of the cards.
const CARDS: &str = "gpus";

/// libvirt of every distribution that is still kept up knows it.
const ALWAYS: Version = Version(1, 3, 3);

/// The features, in the order in which they look at the domain: some look at what others leave.
const FEATURES: &[fn(&Look<'_, '_>) -> Said] = &[
    installation::disk,
    installation::installer,
    memory::size,
    memory::huge_pages,
    cpus::processors,
    cpus::pins,
    firmware::secure_boot,
    hide::hidden,
    hide::hyperv,
    cdrom::virtio_win,
    tpm::tpm,
    looking_glass::shared_memory,
    display::display,
    input::input,
    audio::audio,
    usb::usb,
    card::functions,
    card::balloon,
    muxless::acpi_table,
];

/// The changes that this domain needs. What is refused is left out of them, and said.
///
/// # Errors
/// A sentence: the text is no domain (`host::domain::document`).
pub fn plan(xml: &str, request: &Request<'_>) -> Result<Definition, String> {
    let mut found = Definition::default();
    let mut text = xml.to_owned();
    let mut features = FEATURES.iter();
    loop {
        let document = document(&text)?;
        let look = Look { text: &text, domain: document.root_element(), request };
        let mut next = None;
        for feature in features.by_ref() {
            match feature(&look) {
                Ok(None) => {}
                Ok(Some(change)) => {
                    next = Some(change);
                    break;
                }
                Err(finding) if finding.severity == crate::finding::Severity::Error => found.refusals.push(finding),
                Err(finding) => found.warnings.push(finding),
            }
        }
        let Some(change) = next else { return Ok(found) };
        found.refusals.extend(too_old(request, &change));
        let after = splice::apply(&text, &change.splices);
        found.changes.push(change);
        drop(document);
        text = after;
    }
}

/// The machine type that a domain's text names.
pub fn machine(xml: &str) -> Option<String> {
    let document = document(xml).ok()?;
    let kind = child(child(document.root_element(), "os")?, "type")?;
    kind.attribute("machine").map(str::to_owned)
}

/// libvirt does not know what is to be written.
fn too_old(request: &Request<'_>, change: &Change) -> Option<Finding> {
    let here = request.facts.libvirt.filter(|here| *here < change.needs)?;
    let text = format!("'{}' needs libvirt {}, and this is {here}", change.key, change.needs);
    Some(Finding::guest(request.guest, codes::LIBVIRT_TOO_OLD, text).hint(format!("remove '{}'", change.key)))
}
