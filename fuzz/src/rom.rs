// SPDX-License-Identifier: LGPL-2.1-or-later
//! Option ROM files, and the firmware's table of them.

use vfio_suite::host::domain::Firmware;
use vfio_suite::host::rom::{self, vfct, End};
use vfio_suite::plan::rom::judge::{judge, Purpose};
use vfio_suite::plan::rom::trim::trim;

/// A file, whatever is in it.
pub fn check(data: &[u8]) {
    for entry in vfct::entries(data) {
        assert!(!entry.image.is_empty() && entry.image.len() < data.len());
    }
    let purpose = Purpose { card: Some((0x10de, 0x2482)), firmware: Some(Firmware::Uefi) };
    let rom = match rom::read(data, None) {
        Ok(rom) => rom,
        Err(why) => {
            assert_eq!(judge(Err(why), purpose).len(), 1);
            return;
        }
    };
    judge(Ok(&rom), purpose);
    let mut end = rom.start();
    for image in &rom.images {
        assert!(image.offset == end && image.offset < data.len() && image.length >= 512);
        end = image.end();
    }
    assert!(rom.images.len() <= 32 && rom.pci_end <= data.len());
    assert_eq!(end > data.len(), matches!(rom.end, End::Cut(_)));
    for all in [false, true] {
        let Ok(kept) = trim(&rom, all) else { continue };
        // What is trimmed is a ROM that needs no trimming.
        let trimmed = &data[kept];
        let again = rom::read(trimmed, None).unwrap();
        assert_eq!(trim(&again, all), Ok(0..trimmed.len()));
    }
}
