// SPDX-License-Identifier: LGPL-2.1-or-later
//! What drivers of displays, sound cards and vfio show of a function, and the firmware's framebuffer.

use super::machine::{Framebuffer, Function};
use super::shown::Shown;

impl Shown {
    /// Cards of DRM and ALSA, and vfio's device.
    pub fn made_by_driver(&mut self, function: &Function, driver: &str, path: &str, inhabited: bool) {
        let (sub, base) = (function.class >> 8 & 0xff, function.class >> 16);
        if driver.contains("vfio") {
            let device = format!("{path}/vfio-dev/vfio{}", self.vfios);
            self.file(format!("{device}/uevent"), 0o644, format!("DEVNAME=vfio/devices/vfio{}\n", self.vfios));
            self.link(format!("sys/class/vfio-dev/vfio{}", self.vfios), &device);
            self.vfios += 1;
        } else if base == 0x03 {
            let number = self.drm(path, &function.connectors, true, function.boot_display);
            for minor in function.seat.iter().flat_map(|_| [number, 128 + number]) {
                let seat = function.seat.unwrap();
                let text = format!("I:2000000\nE:ID_SEAT={seat}\nG:master-of-seat\nG:seat\nQ:seat\nV:1\n");
                self.file(format!("run/udev/data/c226:{minor}"), 0o644, text);
            }
        } else if (base, sub) == (0x04, 0x03) {
            self.sound(function, path, inhabited);
        }
    }

    /// A card of DRM with its connectors; gives its number. Since 6.18 the one that the machine started on says so, in
    /// each of its minors (`boot_display_visible()`, drivers/gpu/drm/drm_sysfs.c).
    pub fn drm(&mut self, path: &str, connectors: &[(&str, bool)], renders: bool, boot_display: bool) -> u32 {
        let number = self.cards;
        self.cards += 1;
        let card = format!("card{number}");
        let mut minors = vec![(card.clone(), number)];
        if renders {
            minors.push((format!("renderD{}", 128 + number), 128 + number));
        }
        for (name, minor) in &minors {
            self.node(&format!("{path}/drm/{name}"), "class/drm", (226, *minor), &format!("dri/{name}"), "");
            if boot_display {
                self.file(format!("{path}/drm/{name}/boot_display"), 0o444, "1\n");
            }
        }
        for (name, connected) in connectors {
            let connector = format!("{path}/drm/{card}/{card}-{name}");
            let status = if *connected { "connected" } else { "disconnected" };
            self.device(&connector, "class/drm", "");
            self.file(format!("{connector}/status"), 0o644, format!("{status}\n"));
            self.file(format!("{connector}/enabled"), 0o444, if *connected { "enabled\n" } else { "disabled\n" });
        }
        number
    }

    /// A sound card; where somebody is at work, with the state of its first stream (`snd_pcm_substream_proc_status_read()`,
    /// sound/core/pcm.c). That of a monitor is the fourth device.
    fn sound(&mut self, function: &Function, path: &str, inhabited: bool) {
        let card = self.sounds;
        self.sounds += 1;
        let device = format!("{path}/sound/card{card}");
        self.file(format!("{device}/id"), 0o644, format!("HDMI{card}\n"));
        self.device(&device, "class/sound", "");
        let control = format!("controlC{card}");
        self.node(&format!("{device}/{control}"), "class/sound", (116, card * 32), &format!("snd/{control}"), "");
        if inhabited {
            let number = if function.address.ends_with(".1") { 3 } else { 0 };
            let stream = format!("pcmC{card}D{number}p");
            let minor = (116, card * 32 + 16 + number);
            self.node(&format!("{device}/{stream}"), "class/sound", minor, &format!("snd/{stream}"), "");
            let status = if function.plays {
                "state: RUNNING\nowner_pid   : 2200\ntrigger_time: 100.000000000\n"
            } else {
                "closed\n"
            };
            self.file(format!("proc/asound/card{card}/pcm{number}p/sub0/status"), 0o444, status);
            self.file(format!("proc/asound/card{card}/id"), 0o444, format!("HDMI{card}\n"));
        }
    }

    /// The firmware's framebuffer as a platform device: below the card since 6.9 (`sysfb_parent_dev()`,
    /// drivers/firmware/sysfb.c), before that below `sys/devices/platform`. simpledrm is bound to the device that
    /// `sysfb_create_simplefb()` makes and shows a card of its own.
    pub fn framebuffer(&mut self, framebuffer: &Framebuffer, card: &str) {
        let above = if framebuffer.below_card { card } else { "sys/devices/platform" };
        let (name, driver) = match framebuffer.claim {
            "efifb" => ("efi-framebuffer", "efi-framebuffer"),
            "vesafb" => ("vesa-framebuffer", "vesa-framebuffer"),
            _ => ("simple-framebuffer", "simple-framebuffer"),
        };
        let path = format!("{above}/{name}.0");
        let bound = framebuffer.claim != "BOOTFB";
        let uevent = format!("MODALIAS=platform:{name}\n");
        self.device(&path, "bus/platform", &if bound { format!("DRIVER={driver}\n{uevent}") } else { uevent });
        self.file(format!("{path}/driver_override"), 0o644, "(null)\n");
        let directory = format!("sys/bus/platform/drivers/{driver}");
        for attribute in ["bind", "unbind", "uevent"] {
            self.file(format!("{directory}/{attribute}"), 0o200, "");
        }
        if !bound {
            return;
        }
        self.link(format!("{path}/driver"), &directory);
        self.link(format!("{directory}/{name}.0"), &path);
        if framebuffer.claim == "simpledrm" {
            self.drm(&path, &[("Unknown-1", true)], false, false);
        }
        self.node(&format!("{path}/graphics/fb0"), "class/graphics", (29, 0), "fb0", "");
    }
}
