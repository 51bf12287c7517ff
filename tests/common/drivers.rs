// SPDX-License-Identifier: LGPL-2.1-or-later
//! The drivers that a described machine may have.

/// What can be loaded: driver, module, aliases. In the order in which they register, if they are.
pub const DRIVERS: &[(&str, &str, &[&str])] = &[
    ("pcieport", "-", &["pci:v*d*sv*sd*bc06sc04i00*", "pci:v*d*sv*sd*bc06sc04i01*"]),
    ("vmd", "vmd", &["pci:v00008086d00009A0Bsv*sd*bc*sc*i*", "pci:v00008086d0000467Fsv*sd*bc*sc*i*"]),
    ("ahci", "ahci", &["pci:v*d*sv*sd*bc01sc06i01*"]),
    ("nvme", "nvme", &["pci:v*d*sv*sd*bc01sc08i02*"]),
    ("mpt3sas", "mpt3sas", &["pci:v00001000d000000ACsv*sd*bc*sc*i*"]),
    ("smartpqi", "smartpqi", &["pci:v00009005d0000028Fsv*sd*bc*sc*i*"]),
    ("virtio-pci", "virtio_pci", &["pci:v00001AF4d*sv*sd*bc*sc*i*"]),
    ("xhci_hcd", "xhci_pci", &["pci:v*d*sv*sd*bc0Csc03i30*"]),
    ("igc", "igc", &["pci:v00008086d000015F3sv*sd*bc*sc*i*"]),
    ("r8169", "r8169", &["pci:v000010ECd00008168sv*sd*bc*sc*i*", "pci:v000010ECd00008125sv*sd*bc*sc*i*"]),
    ("e1000e", "e1000e", &["pci:v00008086d000015FAsv*sd*bc*sc*i*"]),
    ("igb", "igb", &["pci:v00008086d00001521sv*sd*bc*sc*i*"]),
    ("tg3", "tg3", &["pci:v000014E4d0000165Fsv*sd*bc*sc*i*"]),
    ("ixgbe", "ixgbe", &["pci:v00008086d00001563sv*sd*bc*sc*i*"]),
    ("ixgbevf", "ixgbevf", &["pci:v00008086d00001565sv*sd*bc*sc*i*"]),
    ("iwlwifi", "iwlwifi", &["pci:v00008086d00002725sv*sd*bc*sc*i*", "pci:v00008086d00007A70sv*sd*bc*sc*i*"]),
    ("mt7921e", "mt7921e", &["pci:v000014C3d00000616sv*sd*bc*sc*i*"]),
    ("thunderbolt", "thunderbolt", &["pci:v*d*sv*sd*bc0Csc03i40*"]),
    ("intel-lpss", "intel_lpss_pci", &["pci:v00008086d0000A0E8sv*sd*bc*sc*i*", "pci:v00008086d000051E8sv*sd*bc*sc*i*"]),
    ("mlx5_core", "mlx5_core", &["pci:v000015B3d0000101Dsv*sd*bc*sc*i*", "pci:v000015B3d0000101Esv*sd*bc*sc*i*"]),
    ("i801_smbus", "i2c_i801", &["pci:v00008086d00007AA3sv*sd*bc*sc*i*", "pci:v00008086d0000A0A3sv*sd*bc*sc*i*"]),
    ("piix4_smbus", "i2c_piix4", &["pci:v00001022d0000790Bsv*sd*bc*sc*i*"]),
    (
        "ccp",
        "ccp",
        &[
            "pci:v00001022d00001486sv*sd*bc*sc*i*",
            "pci:v00001022d000015C7sv*sd*bc*sc*i*",
            "pci:v00001022d000015DFsv*sd*bc*sc*i*",
            "pci:v00001022d00001649sv*sd*bc*sc*i*",
            "pci:v00001022d000017E0sv*sd*bc*sc*i*",
        ],
    ),
    ("snd_pci_ps", "snd_pci_ps", &["pci:v00001022d000015E2sv*sd*bc04sc80i00*"]),
    ("k10temp", "k10temp", &["pci:v00001022d00001443sv*sd*bc*sc*i*"]),
    (
        "snd_hda_intel",
        "snd_hda_intel",
        &[
            "pci:v00001002d*sv*sd*bc04sc03i00*",
            "pci:v00001022d*sv*sd*bc04sc03i00*",
            "pci:v000010DEd*sv*sd*bc04sc03i00*",
            "pci:v00008086d*sv*sd*bc04sc03i*",
        ],
    ),
    (
        "i915",
        "i915",
        &[
            "pci:v00008086d00004680sv*sd*bc*sc*i*",
            "pci:v00008086d00009A49sv*sd*bc*sc*i*",
            "pci:v00008086d000046A6sv*sd*bc*sc*i*",
            "pci:v00008086d0000A780sv*sd*bc*sc*i*",
            "pci:v00008086d00003E98sv*sd*bc*sc*i*",
            "pci:v00008086d000056A0sv*sd*bc*sc*i*",
            "pci:v00008086d000056C0sv*sd*bc*sc*i*",
        ],
    ),
    ("xe", "xe", &["pci:v00008086d0000E20Bsv*sd*bc*sc*i*", "pci:v00008086d0000E211sv*sd*bc*sc*i*"]),
    ("amdgpu", "amdgpu", &["pci:v00001002d*sv*sd*bc03sc00i00*", "pci:v00001002d*sv*sd*bc03sc80i00*"]),
    ("nvidia", "nvidia", &["pci:v000010DEd*sv*sd*bc03sc00i00*", "pci:v000010DEd*sv*sd*bc03sc02i00*"]),
    ("nouveau", "nouveau", &["pci:v000010DEd*sv*sd*bc03sc*i*"]),
    ("nvidia-gpu", "i2c_nvidia_gpu", &["pci:v000010DEd*sv*sd*bc0Csc80i00*"]),
    ("ast", "ast", &["pci:v00001A03d00002000sv*sd*bc03sc*i*"]),
    ("bochs-drm", "bochs", &["pci:v00001234d00001111sv*sd*bc*sc*i*"]),
    ("pci-stub", "-", &[]),
    ("vfio-pci", "vfio_pci", &["vfio_pci:v*d*sv*sd*bc*sc*i*"]),
    ("mlx5_vfio_pci", "mlx5_vfio_pci", &["vfio_pci:v000015B3d0000101Esv*sd*bc*sc*i*"]),
    ("xe-vfio-pci", "xe_vfio_pci", &["vfio_pci:v00008086d0000E211sv*sd*bc*sc*i*"]),
    ("-", "vendor_reset", &[]),
    ("-", "nvidia_modeset", &[]),
    ("-", "nvidia_drm", &[]),
    ("-", "nvidia_uvm", &[]),
];

/// What a module is built on, of those above.
pub const DEPENDS: &[(&str, &[&str])] =
    &[("nvidia_modeset", &["nvidia"]), ("nvidia_drm", &["nvidia_modeset"]), ("nvidia_uvm", &["nvidia"])];
