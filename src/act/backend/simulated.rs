// SPDX-License-Identifier: LGPL-2.1-or-later
//! In a test tree the model answers: through the program `vfio`, which alone has it. The programs of the boot path stay
//! as small as they can be.

use crate::act::backend::child;
use crate::act::backend::kernel::Kernel;
use crate::act::backend::rehearsal_tools;
use crate::act::model::ModelKernel;
use crate::root::{Root, ROOT_VARIABLE};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

/// The name under which `vfio` is the model.
const CHILD: &str = "vfio-model";
/// The model answers at once, unless the machine is very busy.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// The model of a tree's kernel, asked through `vfio`.
#[derive(Debug)]
pub struct Rehearsal<'a> {
    root: &'a Root,
}

impl<'a> Rehearsal<'a> {
    /// The kernel of a test tree.
    pub fn new(root: &'a Root) -> Self {
        Rehearsal { root }
    }

    /// The tree.
    pub(crate) fn root(&self) -> &'a Root {
        self.root
    }

    /// `vfio` as the model of this tree, to be asked this.
    pub(crate) fn question(&self, request: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.arg0(CHILD).args(request).env(ROOT_VARIABLE, self.root.path());
        command
    }

    fn ask(&self, request: &[&str]) -> io::Result<()> {
        match child::ask(&mut self.question(request), DEADLINE) {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                Err(io::Error::new(io::ErrorKind::TimedOut, "the kernel has not answered in time"))
            }
            other => other,
        }
    }
}

/// `vfio`: beside this program where it was built, in its own place once installed.
fn program() -> PathBuf {
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join("vfio")));
    let installed = || PathBuf::from(option_env!("VFIO_BINDIR").unwrap_or("/usr/bin")).join("vfio");
    beside.filter(|path| path.is_file()).unwrap_or_else(installed)
}

impl Kernel for Rehearsal<'_> {
    fn write(&self, attribute: &str, value: &str) -> io::Result<()> {
        self.ask(&["write", attribute, value])
    }

    fn modprobe(&self, module: &str) -> io::Result<()> {
        log::info!("would run: modprobe {module}");
        self.ask(&["modprobe", module])
    }
}

/// If the program was started as the model: answers one request, and gives its exit code. Only `vfio` calls this.
pub fn run_as_model() -> Option<ExitCode> {
    if !child::is_called(CHILD) {
        return None;
    }
    let request: Vec<String> = std::env::args_os().skip(1).map(|a| a.to_string_lossy().into_owned()).collect();
    let request: Vec<&str> = request.iter().map(String::as_str).collect();
    if let ["run" | "signal", ..] = request[..] {
        return Some(rehearsal_tools::answer(&request));
    }
    Some(child::answer(Root::from_option(None).and_then(|root| {
        let model = ModelKernel::new(&root);
        match request[..] {
            _ if root.is_system() => Err(io::Error::from(io::ErrorKind::PermissionDenied)),
            ["write", attribute, value] => model.write(attribute, value),
            ["modprobe", module] => model.modprobe(module),
            _ => Err(io::Error::from(io::ErrorKind::InvalidInput)),
        }
    })))
}
