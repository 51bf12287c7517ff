// SPDX-License-Identifier: LGPL-2.1-or-later
//! Links libgcc's unwinder statically. The standard library asks for `-lgcc_s` by name, so `-static-libgcc` has no
//! effect; a linker script of that name in the search path has. It saves the dynamic loader one library at every start:
//! 0.2 ms of 1.27 ms for an empty program, and we start once per PCI function during boot (docs/PERFORMANCE.md).

fn main() -> std::io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    let env = |name| std::env::var(name).unwrap_or_default();
    if env("CARGO_CFG_TARGET_OS") == "linux" && env("CARGO_CFG_TARGET_ENV") == "gnu" {
        let out = env("OUT_DIR");
        std::fs::write(format!("{out}/libgcc_s.so"), "INPUT(-l:libgcc_eh.a -l:libgcc.a)\n")?;
        println!("cargo:rustc-link-search=native={out}");
        // What stands in the boot path aborts where others unwind, and has no names to show in a backtrace. The index for
        // that is 12 KB; debuggers do without it. The others keep it: their errors carry a backtrace if RUST_BACKTRACE asks
        // for one, and without the index libgcc would abort over that.
        if env("PROFILE") == "release" {
            for program in ["vfio-bind", "vfio-generator", "vfio-udev"] {
                println!("cargo:rustc-link-arg-bin={program}=-Wl,--no-eh-frame-hdr");
            }
        }
    }
    Ok(())
}
