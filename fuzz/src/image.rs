// SPDX-License-Identifier: LGPL-2.1-or-later
//! Images of the initramfs, packed or not, and unified kernel images.

use crate::tree::Spot;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use vfio_suite::host::initramfs::error::UnpackError;
use vfio_suite::host::initramfs::image::{read_image, Packing, Unpack};

/// What the programs of the system do.
struct Unpacker;

impl Unpack for Unpacker {
    fn unpack(&self, packing: Packing, mut file: File) -> Result<Box<dyn Read>, UnpackError> {
        match packing {
            Packing::Gzip => Ok(Box::new(flate2::read::MultiGzDecoder::new(file).take(1 << 22))),
            // Any other packing, as if it stored: what comes out of a program is anybody's bytes.
            _ => {
                file.seek(SeekFrom::Current(6))?;
                Ok(Box::new(file))
            }
        }
    }
}

/// What is found is of the configuration and no more than is kept at most.
pub fn check(data: &[u8]) {
    thread_local!(static SPOT: Spot = Spot::new("boot/initrd"));
    SPOT.with(|spot| {
        spot.put(data);
        if let Ok(seen) = read_image(spot.root(), &["boot/initrd".to_owned()], &Unpacker) {
            let kept: usize = seen.files.iter().map(|(_, text)| text.as_ref().map_or(0, Vec::len)).sum();
            assert!(kept <= 16 << 20);
            vfio_suite::config::parse_lasting(&seen.files);
        }
    });
}
