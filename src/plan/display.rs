// SPDX-License-Identifier: LGPL-2.1-or-later
//! Displays: the boot display and the other one as selectors; the last display is not taken unless the file says so; which
//! monitors go dark.

use super::Finding;
use crate::config::{Gpu, Selector};
use crate::finding::{codes, Part, Severity};
use crate::host::display::BootSign;
use crate::host::{Function, Host};
use crate::pci::{Address, Slot};
use crate::plan::device::Device;
use crate::plan::device::{candidates, only_device};
use crate::plan::selection::Selection;

/// The boot display, or the one display beside it; with what the user should know.
pub fn by_role(gpu: &Gpu, host: &Host) -> Result<(Device, Vec<Finding>), Finding> {
    let refuse = |code, text: &str| Finding::card(gpu, &gpu.device.at, code, text);
    let boot: Vec<Slot> = host.boot_display.functions.iter().map(|f| f.slot).collect();
    // A virtual function is nobody's boot display and nobody's monitor.
    let displays = || host.functions.iter().filter(|f| f.is_display() && !f.is_virtual());
    if boot.is_empty() {
        let all = only_device(displays()).map_or_else(|devices| devices, |device| vec![device]);
        return Err(if all.is_empty() {
            refuse(codes::NO_DISPLAY, "this machine has no display")
        } else {
            refuse(
                codes::BOOT_DISPLAY_UNKNOWN,
                "which display is the boot display is not known (the firmware's framebuffer lies in none, and none has \
                 boot_display or boot_vga)",
            )
            .hint(format!("choose by address: {}", candidates(host, &all)))
        });
    }
    let beside = gpu.device.value == Selector::NotBootDisplay;
    let role = if beside { "display besides the boot display" } else { "boot display" };
    let device = only_device(displays().filter(|f| boot.contains(&f.address.slot) != beside)).or_else(|devices| {
        // Of several the identity may leave one.
        let is = |device: &&Device| gpu.identity.as_ref().is_some_and(|i| has(host, device, i.value));
        match devices.iter().filter(is).collect::<Vec<_>>()[..] {
            [device] => Ok(*device),
            _ => Err(if devices.is_empty() {
                refuse(codes::NO_DISPLAY, &format!("there is no {role}"))
            } else {
                refuse(codes::CARD_AMBIGUOUS, &format!("there is more than one {role}"))
                    .hint(format!("choose by address: {}", candidates(host, &devices)))
            }),
        }
    })?;
    Ok((device, depends(gpu, device.slot, host).into_iter().collect()))
}

/// Whether something of this identity is a part of a device.
fn has(host: &Host, device: &Device, identity: crate::pci::Identity) -> bool {
    device.members(host).iter().any(|f| identity.matches(f.vendor, f.device, f.subsystem))
}

/// A card that is not chosen by its address must be what `identity` says all the same.
pub fn identity(gpu: &Gpu, device: &Device, host: &Host) -> Option<Finding> {
    let expected = gpu.identity.as_ref().filter(|i| !has(host, device, i.value))?;
    let there = *device.members(host).first()?;
    let what = match gpu.device.value {
        Selector::BootDisplay => "the boot display",
        Selector::NotBootDisplay => "the display besides the boot display",
        Selector::Address(_) | Selector::Identity(_) => "the card",
    };
    let text =
        format!("{what} is {} ({}), not {}, which 'identity' asks for", there.address, there.ids(), expected.value);
    let finding = Finding::card(gpu, &expected.at, codes::CARD_IS_ANOTHER, text);
    Some(match gpu.device.value {
        Selector::Address(_) | Selector::Identity(_) => finding,
        _ => finding.hint(
            "if that is because of the monitors that were connected when the machine started, connect them as before and \
             reboot",
        ),
    })
}

/// Which of several displays the firmware uses may depend on the monitors that it finds: on graphics of a processor and of a
/// card, mostly. Then the same words mean another card after the next start.
fn depends(gpu: &Gpu, slot: Slot, host: &Host) -> Option<Finding> {
    // Of a server's management controller, and in a virtual machine, nobody connects monitors.
    let graphics = |f: &&Function| matches!(f.vendor, 0x8086 | 0x1002 | 0x10de) && has_output(host, f);
    let displays: Vec<&Function> = host.functions.iter().filter(graphics).collect();
    let boot = displays.iter().find(|f| host.is_boot_display(f.address))?;
    let other = displays.iter().find(|f| f.address.slot != boot.address.slot && f.ids() != boot.ids())?;
    let ours = displays.iter().find(|f| f.address.slot == slot).filter(|_| gpu.identity.is_none())?;
    let text = format!(
        "which display is the boot display may depend on the monitors that are connected when the machine starts: now it is {} \
         ({}), it may be {} ({}) the next time",
        boot.address,
        boot.ids(),
        other.address,
        other.ids(),
    );
    let finding = Finding::card(gpu, &gpu.device.at, codes::BOOT_DISPLAY_MAY_CHANGE, text).warning();
    Some(finding.hint(format!("'identity = {}' lets no other card be taken", ours.ids())))
}

/// Refuses, among sections bound at boot, those that would take the host's last display.
///
/// At boot no DRM driver is loaded, so what remains is judged by PCI class: a display that is not a 3D controller. Where DRM
/// drivers are loaded by now, one that has no connectors is none.
pub fn keep_one_at_boot(selections: &mut [Selection<'_>], host: &Host) {
    // Refusing one section gives its displays back, so look again until something remains or nothing is left to refuse.
    while !selections.is_empty() && !outputs(host).any(|f| !f.is_given_away() && !taken(selections, f)) {
        let refuse = |selection: &Selection<'_>| !selection.gpu.only_display && takes_outputs(selection, host);
        let boot = |selection: &Selection<'_>| functions(selection).iter().any(|a| host.is_boot_display(*a));
        let pick = selections.iter().position(|c| refuse(c) && boot(c)).or_else(|| selections.iter().position(refuse));
        let Some(pick) = pick else { return };
        selections[pick].selected = Err(last(selections[pick].gpu, host, true));
    }
}

/// Why a running host may not lose these displays: no other is left that a host driver could drive.
pub fn keep_one_now(selection: &Selection<'_>, host: &Host) -> Option<Finding> {
    let gpu = selection.gpu;
    let may = gpu.only_display || !takes_outputs(selection, host) || keeps_one(std::slice::from_ref(selection), host);
    (!may).then(|| last(gpu, host, false))
}

/// The refusal, and what could be done: never what makes no sense now.
fn last(gpu: &Gpu, host: &Host, at_boot: bool) -> Finding {
    let what =
        if at_boot { "would take the host's last display at boot" } else { "would take the host's last display" };
    let mut ways = Vec::new();
    if at_boot {
        ways.extend(["keep another card for the host", "use 'bind = guest'"].map(str::to_owned));
    }
    let known = host.displays.iter().any(|d| d.card.is_some());
    let monitor = host.displays.iter().flat_map(|d| &d.connectors).any(|c| c.connected);
    match host.claims.first() {
        // A display that a guest has is the host's again when the guest has ended.
        Some(_) if at_boot => {}
        Some((card, guest)) => ways.push(format!("end [guest {guest}], which has [gpu {card}], first")),
        None if known && !monitor => {
            let way = "say 'headless = yes' in [host], as no monitor is connected, if this machine needs no picture of its own";
            ways.push(way.to_owned());
        }
        None => ways.push("say 'only-display = yes' if you reach this machine in another way".into()),
    }
    let ways = match ways.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, [first])) => format!("{first} or {last}"),
        Some((last, others)) => format!("{}, or {last}", others.join(", ")),
        None => String::new(),
    };
    let finding = Finding::card(gpu, &gpu.device.at, codes::LAST_DISPLAY, what);
    if ways.is_empty() {
        finding
    } else {
        finding.hint(ways)
    }
}

/// Whether the host keeps a display that it can show something on when all these cards are taken at once.
pub fn keeps_one(selections: &[Selection<'_>], host: &Host) -> bool {
    outputs(host).any(|f| !f.is_given_away() && !taken(selections, f) && shows(host, f))
}

/// Whether these cards have the host's displays, and it keeps none that it can show something on.
pub fn goes_dark(selections: &[Selection<'_>], host: &Host) -> bool {
    selections.iter().any(|selection| takes_outputs(selection, host)) && !keeps_one(selections, host)
}

/// Whether a display can show something now: its DRM driver has connectors for it, or the firmware's framebuffer is on
/// it. As long as no DRM driver has anything, its class decides alone.
fn shows(host: &Host, function: &Function) -> bool {
    let known = host.displays.iter().any(|d| d.card.is_some());
    let display = host.displays.iter().find(|d| d.function == function.address);
    !known || display.is_some_and(|d| !d.connectors.is_empty() || d.firmware_framebuffer)
}

/// Whether a monitor can hang on a function, as far as anybody knows: a 3D controller has no outputs unless the firmware
/// showed its messages there, and what a DRM driver has found no connectors on has none either.
fn has_output(host: &Host, function: &Function) -> bool {
    let display = host.displays.iter().find(|d| d.function == function.address);
    let none = display.is_some_and(|d| d.card.is_some() && d.connectors.is_empty() && !d.firmware_framebuffer);
    !none && (function.has_outputs() || function.is_display() && host.is_boot_display(function.address))
}

fn outputs(host: &Host) -> impl Iterator<Item = &Function> {
    host.functions.iter().filter(|f| has_output(host, f))
}

fn functions<'c>(selection: &'c Selection<'_>) -> &'c [Address] {
    selection.selected.as_ref().map(|c| c.functions.as_slice()).unwrap_or_default()
}

fn taken(selections: &[Selection<'_>], function: &Function) -> bool {
    selections.iter().any(|selection| functions(selection).contains(&function.address))
}

fn takes_outputs(selection: &Selection<'_>, host: &Host) -> bool {
    functions(selection).iter().filter_map(|a| host.function(*a)).any(|f| has_output(host, f))
}

/// Monitors that show nothing of the host any more once functions are taken from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dark {
    /// Their connectors, as sysfs names them: `card1-DP-1`.
    pub connectors: Vec<String>,
    /// Connectors with a monitor that the host keeps, each with its function.
    pub kept: Vec<String>,
    /// Where there is none of those: connectors that the host keeps and that a monitor could be plugged into.
    pub free: Vec<String>,
    /// Displays that the host keeps and of whose connectors nothing is known, since no DRM driver has them.
    pub unknown: Vec<Address>,
}

impl Dark {
    /// Whether no monitor is left that shows anything of the host.
    pub fn is_last(&self) -> bool {
        self.kept.is_empty()
    }

    /// What goes dark, and where a picture remains. `when` is a clause that ends the first half, as `when the guest starts`.
    pub fn sentence(&self, when: &str) -> String {
        let connectors: Vec<String> = self.connectors.iter().map(|name| format!("{name} (connected)")).collect();
        let go = if connectors.len() == 1 { "goes" } else { "go" };
        let unknown: Vec<String> = self.unknown.iter().map(ToString::to_string).collect();
        let remains = match (&self.kept[..], &self.free[..], &unknown[..]) {
            (kept @ [_, ..], ..) => format!("a picture remains on {}", kept.join(", ")),
            ([], free @ [_, ..], _) => format!("no other monitor is connected: plug one into {}", free.join(" or ")),
            ([], [], unknown @ [_, ..]) => {
                format!("a picture remains only if a monitor is connected to {}", unknown.join(" or "))
            }
            ([], [], []) => "no picture remains on this machine".to_owned(),
        };
        format!("{} {go} dark {when}; {remains}", connectors.join(", "))
    }
}

/// Whether a connector is the socket of a panel that is built in, into which nobody plugs a monitor (names as in
/// `drivers/gpu/drm/drm_connector.c`).
fn internal(connector: &str) -> bool {
    ["eDP-", "LVDS-", "DSI-"].iter().any(|kind| connector.starts_with(kind))
}

/// The display that shows what a card without outputs draws: that of the panel of a laptop whose outputs all hang on the
/// processor's graphics. `None` for a card that has outputs, or of which that is not known.
pub fn shown_by(functions: &[Address], host: &Host) -> Option<Address> {
    let mut displays = functions.iter().filter_map(|address| host.function(*address)).filter(|f| f.is_display());
    if displays.clone().all(Function::is_virtual) || displays.any(|function| has_output(host, function)) {
        return None;
    }
    let has_panel = |d: &&crate::host::display::Display| d.connectors.iter().any(|c| internal(&c.name));
    host.displays.iter().filter(|d| !functions.contains(&d.function)).find(has_panel).map(|d| d.function)
}

/// That a card is the second GPU of such a laptop, for who looks at cards.
pub fn muxless(gpu: &str, functions: &[Address], host: &Host) -> Option<Finding> {
    let by = shown_by(functions, host)?;
    let text = format!("has no outputs: {by}, which has the laptop's panel, shows what it draws");
    let hint = "a guest shows it by Looking Glass or a stream, and may want its option ROM by ACPI: docs/MUXLESS.md";
    Some(Finding::card_named(gpu, codes::CARD_WITHOUT_OUTPUTS, text).hint(hint).note())
}

/// The monitors that go dark when the host loses functions, `taken` being all that it loses at the same time; none if no
/// monitor is connected to `functions`, or if no DRM driver has them.
pub fn dark(functions: &[Address], taken: &[Address], host: &Host) -> Option<Dark> {
    let displays = |lost: bool| host.displays.iter().filter(move |d| taken.contains(&d.function) == lost);
    let of = |display: &crate::host::display::Display, connected: bool| -> Vec<String> {
        let Some(card) = &display.card else { return Vec::new() };
        let connectors =
            display.connectors.iter().filter(|c| c.connected == connected && (connected || !internal(&c.name)));
        connectors.map(|c| format!("{card}-{}", c.name)).collect()
    };
    let ours = host.displays.iter().filter(|d| functions.contains(&d.function));
    let connectors: Vec<String> = ours.flat_map(|d| of(d, true)).collect();
    if connectors.is_empty() {
        return None;
    }
    let with_function = |connected| -> Vec<String> {
        let place = |d: &crate::host::display::Display| {
            let at = d.function;
            of(d, connected).into_iter().map(move |name| format!("{name} ({at})")).collect::<Vec<_>>()
        };
        displays(false).flat_map(place).collect()
    };
    let nobody = |d: &&crate::host::display::Display| {
        let function = host.function(d.function);
        d.card.is_none() && function.is_some_and(|f| !f.is_given_away() && has_output(host, f))
    };
    let unknown = displays(false).filter(nobody).map(|d| d.function).collect();
    Some(Dark { connectors, kept: with_function(true), free: with_function(false), unknown })
}

/// What is to be said of the monitors of a card that is bound at boot; `boot` are all that are. The second says whether it is
/// a warning: no monitor is left, and nothing in the file says that none is needed.
pub fn dark_at_boot(selection: &Selection<'_>, boot: &[Selection<'_>], host: &Host) -> Option<(Finding, bool)> {
    let taken: Vec<Address> = boot.iter().flat_map(|c| functions(c).iter().copied()).collect();
    let dark = dark(functions(selection), &taken, host)?;
    let gpu = selection.gpu;
    let warns = dark.is_last() && !gpu.only_display;
    let text = dark.sentence("when the card is bound at boot");
    Some((Finding::card(gpu, &gpu.device.at, codes::MONITOR_GOES_DARK, text), warns))
}

/// What doctor says of the displays: which is the boot display and how that is known, and of cards bound at boot what
/// depends on monitors and which of those go dark.
pub fn checks(boot: &[Selection<'_>], host: &Host) -> Vec<Finding> {
    let mut checks = Vec::new();
    let by = match host.boot_display.sign {
        Some(BootSign::Framebuffer) => "the firmware's framebuffer lies in its memory",
        Some(BootSign::BootDisplay) => "boot_display of its DRM node says so",
        Some(BootSign::BootVga) => "boot_vga says so",
        None => "",
    };
    for function in host.boot_display.functions.iter().filter_map(|a| host.function(*a)) {
        let text = format!("{} ({}) is the boot display: {by}", function.address, function.ids());
        checks.push(Finding::check(Part::Display, "boot-display", Severity::Ok, codes::OK, text));
    }
    if host.boot_display.functions.is_empty() && host.functions.iter().any(Function::is_display) {
        let text = "which display is the boot display is not known: the firmware's framebuffer lies in none now, and none has \
                    boot_display or boot_vga";
        checks.push(Finding::check(Part::Display, "boot-display", Severity::Note, codes::BOOT_DISPLAY_UNKNOWN, text));
    }
    for selection in boot {
        let slot = selection.selected.as_ref().ok().map(|c| c.slot);
        let by_role = matches!(selection.gpu.device.value, Selector::BootDisplay | Selector::NotBootDisplay);
        let depends = slot.filter(|_| by_role).and_then(|slot| depends(selection.gpu, slot, host));
        checks.extend(depends.map(|finding| finding.as_check(Part::Display, "boot-display", Severity::Warning)));
        if let Some((finding, warns)) = dark_at_boot(selection, boot, host) {
            let severity = if warns { Severity::Warning } else { Severity::Note };
            checks.push(finding.as_check(Part::Display, "monitor", severity));
        }
    }
    checks
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::{self, Config};
    use crate::host::display::{BootDisplay, Connector, Display};
    use crate::plan::boot;

    const CARD: &str = "0000:03:00.0";
    const OTHER: &str = "0000:04:00.0";

    fn address(text: &str) -> Address {
        text.parse().unwrap()
    }

    fn function(at: &str, class: u32, device: u16) -> Function {
        Function::new(address(at), (0x1002, device), class)
    }

    /// A machine of a card with a monitor, and another display of this class; `other`: its connectors, if a driver has it.
    fn host(class: u32, other: Option<&[bool]>) -> Host {
        let display = |at: &str, number: u32, connectors: Option<&[bool]>| Display {
            function: address(at),
            boot: false,
            firmware_framebuffer: false,
            card: connectors.map(|_| format!("card{number}")),
            connectors: connectors
                .into_iter()
                .flatten()
                .enumerate()
                .map(|(n, connected)| Connector { name: format!("DP-{}", n + 1), connected: *connected })
                .collect(),
        };
        Host {
            functions: vec![function(CARD, 0x03_0000, 0x73bf), function(OTHER, class, 0x738c)],
            displays: vec![display(CARD, 0, Some(&[true])), display(OTHER, 1, other)],
            ..Host::default()
        }
    }

    fn parse(text: &str) -> Config {
        config::parse_files(&[("/etc/vfio.conf", text.as_bytes())])
    }

    /// What is said of the card, if it is refused.
    fn refused(text: &str, host: &Host) -> Option<Finding> {
        boot::selections(&parse(text), host).remove(0).selected.err()
    }

    #[test]
    fn what_has_no_connectors_is_no_display_that_remains() {
        let config = "[gpu big]\ndevice = 0000:03:00.0\n";
        for (class, other, remains) in [
            (0x03_0000, Some(&[false][..]), true),
            (0x03_8000, Some(&[true][..]), true),
            // Nobody knows yet.
            (0x03_8000, None, true),
            (0x03_8000, Some(&[][..]), false),
            (0x03_0000, Some(&[][..]), false),
            (0x03_0200, None, false),
            (0x03_0200, Some(&[][..]), false),
        ] {
            let mut host = host(class, other);
            let code = refused(config, &host).map(|finding| finding.code);
            assert_eq!(code, (!remains).then_some(codes::LAST_DISPLAY), "{class:06x} {other:?}");
            for way in ["only-display = yes\n", "[host]\nheadless = yes\n"] {
                assert_eq!(refused(&format!("{config}{way}"), &host), None, "{class:06x} {other:?}");
            }
            // Where the firmware showed the boot something can be seen, whatever the class says.
            host.displays[1].firmware_framebuffer = true;
            host.boot_display = BootDisplay { functions: vec![address(OTHER)], sign: Some(BootSign::Framebuffer) };
            assert_eq!(refused(config, &host), None, "{class:06x} {other:?}");
        }
    }

    #[test]
    fn a_card_without_outputs_is_shown_by_the_panels_display() {
        let said = |host: &Host, at: &str| shown_by(&[address(at)], host);
        for (class, other, panel, expected) in [
            (0x03_0200, None, "eDP-1", true),
            (0x03_0200, Some(&[][..]), "LVDS-1", true),
            // As some laptops have it.
            (0x03_0000, Some(&[][..]), "eDP-1", true),
            // Nobody knows: no driver has the card.
            (0x03_0000, None, "eDP-1", false),
            (0x03_0000, Some(&[false][..]), "eDP-1", false),
            // A card that only computes, beside one with monitors.
            (0x03_0200, None, "DP-1", false),
        ] {
            let mut host = host(class, other);
            host.displays[0].connectors[0].name = panel.to_owned();
            let by = expected.then(|| address(CARD));
            assert_eq!(said(&host, OTHER), by, "{class:06x} {other:?} {panel}");
            assert_eq!(said(&host, CARD), None, "the panel's own");
            let code = muxless("big", &[address(OTHER)], &host).map(|finding| finding.code);
            assert_eq!(code, expected.then_some(codes::CARD_WITHOUT_OUTPUTS));
        }
        assert_eq!(shown_by(&[], &host(0x03_0200, None)), None);
    }

    #[test]
    fn nothing_is_advised_that_makes_no_sense_now() {
        let config = "[gpu big]\ndevice = 0000:03:00.0\n";
        let mut host = host(0x03_0200, None);
        let said = |host: &Host| refused(config, host).unwrap().sentence();
        assert!(said(&host).contains("'only-display = yes'") && !said(&host).contains("headless"), "{}", said(&host));
        host.displays[0].connectors[0].connected = false;
        assert!(said(&host).contains("'headless = yes'") && !said(&host).contains("only-display"), "{}", said(&host));
        host.claims = vec![("big".to_owned(), "win10".to_owned())];
        for advice in ["only-display", "headless"] {
            assert!(!said(&host).contains(advice), "{}", said(&host));
        }
        let config = parse(config);
        let selections = crate::plan::select::select_all(&config, &host);
        let now = keep_one_now(&selections[0], &host).unwrap();
        assert_eq!(now.code, codes::LAST_DISPLAY);
        let now = now.sentence();
        assert!(now.contains("[guest win10]") && !now.contains("only-display"), "{now}");
    }

    #[test]
    fn a_display_by_its_role_is_there_once() {
        let sign = Some(BootSign::BootVga);
        let boot = |at: &[&str]| BootDisplay { functions: at.iter().map(|at| address(at)).collect(), sign };
        let mut host = host(0x03_0000, Some(&[true]));
        let code = |role: &str, host: &Host| {
            let found = by_role(&parse(&format!("[gpu big]\ndevice = {role}\n")).gpus[0], host);
            found.map(|(device, _)| device.slot).map_err(|finding| finding.code)
        };
        assert_eq!(code("boot-display", &host), Err(codes::BOOT_DISPLAY_UNKNOWN));
        host.boot_display = boot(&[CARD]);
        assert_eq!(code("boot-display", &host), Ok(address(CARD).slot));
        assert_eq!(code("not-boot-display", &host), Ok(address(OTHER).slot));
        host.boot_display = boot(&[CARD, OTHER]);
        assert_eq!(code("boot-display", &host), Err(codes::CARD_AMBIGUOUS));
        assert_eq!(code("not-boot-display", &host), Err(codes::NO_DISPLAY));
        host.boot_display = boot(&[]);
        host.functions.clear();
        assert_eq!(code("boot-display", &host), Err(codes::NO_DISPLAY));
    }

    #[test]
    fn where_a_picture_remains_is_said() {
        let remains = |class, other: Option<&[bool]>| {
            let host = host(class, other);
            let lost = [address(CARD)];
            dark(&lost, &lost, &host).unwrap().sentence("now")
        };
        for (class, other, end) in [
            (0x03_0000, Some(&[false, true][..]), "now; a picture remains on card1-DP-2 (0000:04:00.0)"),
            (0x03_0000, Some(&[false][..]), "no other monitor is connected: plug one into card1-DP-1 (0000:04:00.0)"),
            (0x03_0000, None, "a picture remains only if a monitor is connected to 0000:04:00.0"),
            (0x03_0200, None, "no picture remains on this machine"),
            (0x03_8000, Some(&[][..]), "no picture remains on this machine"),
        ] {
            let said = remains(class, other);
            assert!(said.starts_with("card0-DP-1 (connected) goes dark now; ") && said.ends_with(end), "{said}");
        }
        let mut host = host(0x03_0000, Some(&[true]));
        let (card, other) = (address(CARD), address(OTHER));
        assert!(dark(&[card], &[card, other], &host).unwrap().is_last(), "both are taken at once");
        assert_eq!(dark(&[], &[], &host), None);
        host.displays[0].connectors[0].connected = false;
        assert_eq!(dark(&[card], &[card], &host), None, "nothing is connected to it");
    }
}
