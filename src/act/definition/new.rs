// SPDX-License-Identifier: LGPL-2.1-or-later
//! Making a guest's libvirt domain, and unmaking it.
//!
//! What is about to be made is on disk before it is made (`kept::File::Defined`), so what a program that was killed leaves is
//! known, and an undo takes no disk that a guest has written to.

use super::error::DefinitionError;
use super::kept::{self, File};
use super::{described, libvirt, lock, read_back, uuid, Kept, Probed};
use crate::act::backend::tools::{ToolError, Tools};
use crate::act::definition::facts;
use crate::act::files;
use crate::config::{Config, Guest};
use crate::host::domain::document;
use crate::host::domain::xml::{child, text};
use crate::host::image;
use crate::host::libvirt::Version;
use crate::host::platform::{Architecture, Platform};
use crate::plan::definition::installation::Installation;
use crate::plan::definition::new_domain::{self, DiskWish, Looked, Surroundings, Wish};
use crate::plan::definition::request::Card;
use crate::plan::definition::{self, Definition};
use crate::plan::Finding;
use crate::root::{Root, STATE};
use crate::survey;
use serde::{Deserialize, Serialize};
use std::io;
use std::time::Duration;

/// For virt-install, which looks at the whole machine, and for a disk that is made.
const PATIENCE: Duration = Duration::from_secs(120);

/// Since when `virsh undefine` can be told to keep a TPM's state.
const KEEP_TPM: Version = Version(8, 9, 0);

/// What is kept of a domain that we made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Defined {
    /// Where libvirt is.
    pub uri: String,
    /// The domain's name.
    pub domain: String,
    /// The disk that we made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<MadeDisk>,
}

/// A disk that we made, and how it was then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeDisk {
    /// Where it is.
    pub path: String,
    /// Its size in bytes and the time of its last change; `None` while it is being made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<(i64, i64, u64)>,
}

/// A domain that can be made.
#[derive(Debug)]
pub struct New {
    /// The guest's section, with what a new domain needs beside it.
    pub guest: Guest,
    /// What is to be installed.
    pub installation: Installation,
    /// Its text as virt-install recommends it, and what surrounds it.
    pub probed: Probed,
    /// What we make of that text.
    pub definition: Definition,
    /// The image with the drivers for Windows.
    pub virtio_win: Option<String>,
}

impl New {
    /// The domain's text.
    pub fn text(&self) -> String {
        self.definition.apply(&self.probed.xml)
    }
}

/// Looks whether the domain can be made, and what it would be like. Changes nothing. Findings: why not.
pub fn probe(
    root: &Root,
    tools: &dyn Tools,
    config: &Config,
    guest: &Guest,
    wish: &Wish,
) -> Result<Result<New, Vec<Finding>>, DefinitionError> {
    let libvirt = libvirt(tools, guest);
    let exists = guest.runner == crate::config::Runner::Libvirt && libvirt.exists()?;
    let surroundings = surroundings(root, guest, wish, exists)?;
    let installation = match new_domain::judge(guest, wish, &surroundings) {
        Ok(installation) => installation,
        Err(refusals) => return Ok(Err(refusals)),
    };
    if installation.disk.made.is_some() && is_missing(&tools.run(&["qemu-img", "--version"], PATIENCE)) {
        return Ok(Err(vec![new_domain::no_qemu_img(guest)]));
    }
    let (virtio_win, lacks_drivers) = new_domain::drivers(guest, &installation, &surroundings);
    let guest = installation.complete(guest, virtio_win.clone(), wish.memory);
    let xml = match recommended(root, tools, &guest, &installation)? {
        Ok(xml) => xml,
        Err(refusal) => return Ok(Err(vec![refusal])),
    };
    let (selections, host) = survey::of_guest(root, config, &guest);
    let cards = Card::of(&selections, &host);
    let missing = selections.iter().filter_map(|selection| selection.selected.as_ref().err());
    let missing: Vec<Finding> = missing.map(|finding| finding.for_guest(&guest)).collect();
    let mut facts = facts::of_machine(root, tools, &guest, &cards, &xml);
    (facts.libvirt, facts.qemu) = libvirt.versions()?;
    facts.capabilities =
        libvirt.capabilities(definition::machine(&xml).as_deref().unwrap_or("q35")).unwrap_or_else(|error| {
            log::debug!("{error}");
            None
        });
    let probed = Probed { xml, cards, missing, facts };
    let unclear = |why| DefinitionError::Text { domain: guest.domain.clone(), why };
    let mut plan =
        definition::plan(&probed.xml, &probed.request(&guest, false, Some(&installation))).map_err(unclear)?;
    plan.refusals.splice(0..0, probed.missing.iter().cloned());
    plan.warnings.extend(lacks_drivers);
    if !plan.refusals.is_empty() {
        return Ok(Err(plan.refusals));
    }
    Ok(Ok(New { guest, installation, probed, definition: plan, virtio_win }))
}

fn look(root: &Root, path: &str) -> Looked {
    match image::look(root, path) {
        Ok(image) => Ok(Some(image)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            Err("it is neither a file nor a block device".to_owned())
        }
        Err(error) => Err(error.to_string()),
    }
}

/// What is known of a domain while libvirt cannot be asked.
#[derive(Debug)]
pub struct Preview {
    /// What is to be installed.
    pub installation: Installation,
    /// What there is to know of it.
    pub warning: Option<Finding>,
}

/// The same as `probe` where libvirt cannot be asked yet.
pub fn preview(root: &Root, guest: &Guest, wish: &Wish) -> Result<Result<Preview, Vec<Finding>>, DefinitionError> {
    let surroundings = surroundings(root, guest, wish, false)?;
    Ok(new_domain::judge(guest, wish, &surroundings).map(|installation| {
        let (_, warning) = new_domain::drivers(guest, &installation, &surroundings);
        Preview { installation, warning }
    }))
}

/// Where distributions have the image with the drivers for Windows.
pub const VIRTIO_WIN: &str = "/usr/share/virtio-win/virtio-win.iso";

fn surroundings(root: &Root, guest: &Guest, wish: &Wish, exists: bool) -> Result<Surroundings, DefinitionError> {
    let usual = || root.exists(VIRTIO_WIN.trim_start_matches('/')).then(|| VIRTIO_WIN.to_owned());
    let drivers = wish.virtio_win.clone().or_else(|| guest.definition.virtio_win.clone()).or_else(usual);
    let path = wish.disk.path(guest);
    // A disk that a program which was killed has made is made again.
    let half_made = !exists && find(root, guest)?.is_some_and(|(_, of)| is_half_made(root, &of, wish, &path));
    Ok(Surroundings {
        exists,
        disk: if half_made { Ok(None) } else { look(root, &path) },
        installer: wish.installer.as_deref().map_or(Ok(None), |path| look(root, path)),
        virtio_win: drivers.map(|path| {
            let looked = look(root, &path);
            (path, looked)
        }),
    })
}

/// Whether a disk that is to be made is one that we have made, and that no guest has seen.
fn is_half_made(root: &Root, defined: &Defined, wish: &Wish, path: &str) -> bool {
    let ours = defined.disk.as_ref().filter(|disk| disk.path == path);
    matches!(wish.disk, DiskWish::New(_)) && ours.is_some_and(|disk| is_untouched(root, disk))
}

/// Whether a program is not installed.
fn is_missing(ran: &Result<String, ToolError>) -> bool {
    matches!(ran, Err(ToolError::Io(error)) if error.kind() == io::ErrorKind::NotFound)
}

/// The text that virt-install recommends.
fn recommended(
    root: &Root,
    tools: &dyn Tools,
    guest: &Guest,
    installation: &Installation,
) -> Result<Result<String, Finding>, DefinitionError> {
    let machine = (Platform::scan(root).architecture != Architecture::Arm).then_some("q35");
    let words = installation.words(guest, machine);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let ran = tools.run(&words, PATIENCE);
    if is_missing(&ran) {
        return Ok(Err(new_domain::no_virt_install(guest)));
    }
    let xml = match ran {
        Ok(xml) => xml,
        Err(ToolError::Failed { line, .. }) if line.contains("Unknown OS name") => {
            return Ok(Err(new_domain::unknown_os(guest, &installation.os)));
        }
        Err(ToolError::Failed { line, .. }) if line.contains("--memory amount") => {
            return Ok(Err(new_domain::memory_needed(guest, &installation.os)));
        }
        Err(error) => return Err(error.into()),
    };
    let xml = format!("{}\n", xml.trim());
    match document(&xml) {
        Ok(_) => Ok(Ok(xml)),
        Err(why) => Err(DefinitionError::Text { domain: guest.domain.clone(), why: format!("virt-install: {why}") }),
    }
}

/// The UUID in a text.
fn uuid_in(xml: &str) -> Option<String> {
    let document = document(xml).ok()?;
    let uuid = text(child(document.root_element(), "uuid")?).trim().to_owned();
    kept::is_uuid(&uuid).then_some(uuid)
}

/// Makes the domain, and its disk if that is new. What fails leaves neither.
pub fn carry_out(root: &Root, tools: &dyn Tools, new: &New) -> Result<(), DefinitionError> {
    let guest = &new.guest;
    let libvirt = libvirt(tools, guest);
    let _lock = lock(root, guest)?;
    if libvirt.exists()? {
        return Err(DefinitionError::MadeMeanwhile { domain: guest.domain.clone() });
    }
    // What a program that was killed has left of a domain that libvirt does not have.
    if let Some((uuid, left)) = find(root, guest)? {
        if let Some(disk) = &left.disk {
            let is_made_again = new.installation.disk.made.is_some() && new.installation.disk.path == disk.path;
            remove_disk(root, disk, is_made_again)?;
        }
        Kept { root, uuid: &uuid }.forget_all()?;
    }
    let xml = new.text();
    let uuid = uuid_in(&xml).ok_or_else(|| DefinitionError::NoUuid { domain: guest.domain.clone() })?;
    let kept = Kept { root, uuid: &uuid };
    let mut defined = Defined { uri: guest.uri.clone(), domain: guest.domain.clone(), disk: None };
    let made = make_disk(root, tools, new, &kept, &mut defined).and_then(|()| {
        kept.write(File::Pending, &xml)?;
        libvirt.define(&root.show(&kept::path(&uuid, File::Pending)), true)?;
        kept.remove(File::Pending)
    });
    let undo = || {
        if let Some(disk) = &defined.disk {
            remove_disk(root, disk, true)?;
        }
        kept.forget_all()
    };
    if let Err(error) = made {
        undo()?;
        return Err(error);
    }
    let after = described(libvirt)?;
    let request = new.probed.request(guest, false, Some(&new.installation));
    match read_back(&request, &after) {
        None => Ok(()),
        Some(keys) => {
            libvirt.undefine(true)?;
            undo()?;
            Err(DefinitionError::NotMade { domain: guest.domain.clone(), keys })
        }
    }
}

/// Makes the disk, and writes down that it is ours.
fn make_disk(
    root: &Root,
    tools: &dyn Tools,
    new: &New,
    kept: &Kept<'_>,
    defined: &mut Defined,
) -> Result<(), DefinitionError> {
    let disk = &new.installation.disk;
    let Some(bytes) = disk.made else { return write_defined(kept, defined) };
    let fail = |error| DefinitionError::Kept { path: disk.path.clone(), error };
    let relative = disk.path.trim_start_matches('/');
    // It gets its name when it is whole and written down, so what has the name is ours only if it is as we made it.
    let unfinished = unfinished(relative);
    defined.disk = Some(MadeDisk { path: disk.path.clone(), made: None });
    write_defined(kept, defined)?;
    files::create_private(root, &unfinished).map_err(fail)?;
    tools.run(
        &["qemu-img", "create", "-q", "-f", disk.format.name(), "--", &root.show(&unfinished), &bytes.to_string()],
        PATIENCE,
    )?;
    let stat = root.stat(&unfinished).map_err(fail)?;
    let made = Some((stat.st_size, stat.st_mtime, stat.st_mtime_nsec));
    defined.disk = Some(MadeDisk { path: disk.path.clone(), made });
    write_defined(kept, defined)?;
    files::rename_new(root, &unfinished, relative).map_err(fail)
}

/// The name of a disk that is not whole yet.
fn unfinished(path: &str) -> String {
    let (directory, name) = path.rsplit_once('/').unwrap_or((".", path));
    format!("{directory}/.{name}.vfio-new")
}

fn write_defined(kept: &Kept<'_>, defined: &Defined) -> Result<(), DefinitionError> {
    kept.write(File::Defined, &(serde_json::to_string(defined).unwrap_or_default() + "\n"))
}

/// Removes what of a disk is not whole, and if `whole` also a disk that is as we made it.
fn remove_disk(root: &Root, disk: &MadeDisk, whole: bool) -> Result<(), DefinitionError> {
    let fail = |error| DefinitionError::Kept { path: disk.path.clone(), error };
    let path = disk.path.trim_start_matches('/');
    files::remove(root, &unfinished(path)).map_err(fail)?;
    if whole && is_untouched(root, disk) {
        files::remove(root, path).map_err(fail)?;
    }
    Ok(())
}

/// Whether nothing was written to a disk since we made it.
fn is_untouched(root: &Root, disk: &MadeDisk) -> bool {
    let stat = root.stat(disk.path.trim_start_matches('/'));
    stat.is_ok_and(|stat| disk.made == Some((stat.st_size, stat.st_mtime, stat.st_mtime_nsec)))
}

/// What we keep of a domain that we made, with its UUID.
fn find(root: &Root, guest: &Guest) -> Result<Option<(String, Defined)>, DefinitionError> {
    let directory = format!("{STATE}/domains");
    let names = match root.list(&directory) {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(DefinitionError::Kept { path: format!("/{directory}"), error }),
    };
    for uuid in names.into_iter().filter(|name| kept::is_uuid(name)) {
        let Some(text) = (Kept { root, uuid: &uuid }).read(File::Defined)? else { continue };
        // One that was cut short says nothing of any domain.
        let Ok(defined) = serde_json::from_str::<Defined>(&text) else { continue };
        if defined.domain == guest.domain && defined.uri == guest.uri {
            return Ok(Some((uuid, defined)));
        }
    }
    Ok(None)
}

/// What an undo would do.
#[derive(Debug, Default)]
pub struct Undoing {
    /// Why it may not be done.
    pub refusals: Vec<Finding>,
    /// Whether libvirt has the domain.
    pub exists: bool,
    /// Files that go.
    pub removes: Vec<String>,
    /// Files that stay.
    pub keeps: Vec<String>,
    uuid: String,
    keeps_tpm: bool,
    disk: Option<MadeDisk>,
}

impl Undoing {
    /// Whether we have made the domain, or begun to.
    pub fn is_ours(&self) -> bool {
        !self.uuid.is_empty()
    }
}

/// Whether libvirt has the domain, and we have made it.
pub fn is_made(root: &Root, tools: &dyn Tools, guest: &Guest) -> Result<bool, DefinitionError> {
    Ok(libvirt(tools, guest).exists()? && plan_undo(root, tools, guest)?.is_ours())
}

/// Looks what an undo would do. Changes nothing.
pub fn plan_undo(root: &Root, tools: &dyn Tools, guest: &Guest) -> Result<Undoing, DefinitionError> {
    let libvirt = libvirt(tools, guest);
    let exists = guest.runner == crate::config::Runner::Libvirt && libvirt.exists()?;
    let info = if exists { Some(libvirt.info()?) } else { None };
    let found = find(root, guest)?.filter(|(known, _)| info.as_ref().is_none_or(|info| info.uuid == *known));
    let Some((known, defined)) = found else {
        return Ok(Undoing { refusals: vec![definition::not_ours(guest)], ..Undoing::default() });
    };
    let mut undoing = Undoing { exists, uuid: known, ..Undoing::default() };
    if let Some(info) = &info {
        uuid(guest, info)?;
        undoing.refusals = definition::refusals(guest, info);
        let xml = described(libvirt)?;
        let there = |path: &String| root.exists(path.trim_start_matches('/'));
        undoing.keeps.extend(definition::variables(&xml).filter(there));
        let tpm = format!("/var/lib/libvirt/swtpm/{}", undoing.uuid);
        undoing.keeps.extend(Some(tpm).filter(there));
        undoing.keeps_tpm = libvirt.versions()?.0.is_none_or(|version| version >= KEEP_TPM);
    }
    if let Some(disk) = defined.disk {
        let there = root.exists(disk.path.trim_start_matches('/'));
        let list = if is_untouched(root, &disk) { &mut undoing.removes } else { &mut undoing.keeps };
        list.extend(there.then(|| disk.path.clone()));
        undoing.disk = Some(disk);
    }
    Ok(undoing)
}

/// Takes the domain out of libvirt, and removes what we made and no guest has written to.
pub fn undo(root: &Root, tools: &dyn Tools, guest: &Guest, undoing: &Undoing) -> Result<(), DefinitionError> {
    let libvirt = libvirt(tools, guest);
    let _lock = lock(root, guest)?;
    if undoing.exists {
        libvirt.undefine(undoing.keeps_tpm)?;
    }
    if let Some(disk) = &undoing.disk {
        remove_disk(root, disk, true)?;
    }
    Kept { root, uuid: &undoing.uuid }.forget_all()
}
