// SPDX-License-Identifier: LGPL-2.1-or-later
//! QEMU's monitor, as the command of a guest without libvirt names it: the machine protocol on a socket (qemu-qmp-ref(7)).

use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// For an answer to the power button.
const ANSWER: Duration = Duration::from_secs(5);

/// Why QEMU did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum MonitorError {
    /// Nobody listens, or what came is not of its protocol.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It says no; its own words.
    #[error("{0}")]
    Refused(String),
}

/// The socket on which QEMU serves its machine protocol, if the command's words name one: `-qmp unix:PATH,server=on`.
pub fn socket(command: &[String]) -> Option<&str> {
    let at = command.iter().position(|word| word == "-qmp" || word == "--qmp")?;
    let mut options = command.get(at + 1)?.strip_prefix("unix:")?.split(',');
    let path = options.next()?;
    // Without it QEMU connects to a server of somebody else's.
    options.any(|option| matches!(option, "server" | "server=on" | "server=yes" | "server=true")).then_some(path)
}

/// A conversation with QEMU.
#[derive(Debug)]
struct Conversation {
    stream: BufReader<UnixStream>,
    /// What has come of a line that has not come to its end.
    line: Vec<u8>,
}

impl Conversation {
    /// Connects. Each answer is waited for so long.
    fn open(socket: &str, answer: Duration) -> io::Result<Conversation> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(answer))?;
        stream.set_write_timeout(Some(answer))?;
        Ok(Conversation { stream: BufReader::new(stream), line: Vec::new() })
    }

    /// Asks for something.
    fn say(&self, command: &str) -> io::Result<()> {
        self.stream.get_ref().write_all(format!("{{\"execute\":\"{command}\"}}\n").as_bytes())
    }

    /// Reads on to the message with this member. A pause (`WouldBlock`) is not an end: it can be called again.
    fn hear(&mut self, awaited: &str) -> Result<(), MonitorError> {
        loop {
            if self.stream.read_until(b'\n', &mut self.line)? == 0 {
                return Err(MonitorError::Io(ErrorKind::UnexpectedEof.into()));
            }
            if !self.line.ends_with(b"\n") {
                continue;
            }
            let message: serde_json::Value =
                serde_json::from_slice(&std::mem::take(&mut self.line)).map_err(io::Error::from)?;
            if let Some(error) = message.get("error") {
                return Err(MonitorError::Refused(error.to_string()));
            }
            if message.get(awaited).is_some() {
                return Ok(());
            }
        }
    }
}

/// `system_powerdown`.
pub fn power_button(socket: &str) -> Result<(), MonitorError> {
    let mut qemu = Conversation::open(socket, ANSWER)?;
    qemu.hear("QMP")?;
    qemu.say("qmp_capabilities")?;
    qemu.hear("return")?;
    qemu.say("system_powerdown")?;
    qemu.hear("return")
}

/// Finds out whether QEMU has come up. It greets early, but answers a command only when all of its devices are there.
#[derive(Debug)]
pub struct Greeting<'s> {
    socket: &'s str,
    qemu: Option<Conversation>,
    greeted: bool,
}

impl<'s> Greeting<'s> {
    /// On this socket, which need not be there yet.
    pub fn new(socket: &'s str) -> Greeting<'s> {
        Greeting { socket, qemu: None, greeted: false }
    }

    /// Whether QEMU has answered. Waits a moment for it; may be called again and again.
    pub fn has_come(&mut self, moment: Duration) -> bool {
        match self.go_on(moment) {
            Ok(()) => true,
            Err(MonitorError::Io(error)) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                false
            }
            Err(error) => {
                // Nobody listens yet, or who did was not the one: from the beginning.
                log::debug!("{}: {error}", self.socket);
                (self.qemu, self.greeted) = (None, false);
                std::thread::sleep(moment);
                false
            }
        }
    }

    fn go_on(&mut self, moment: Duration) -> Result<(), MonitorError> {
        let qemu = match &mut self.qemu {
            Some(qemu) => qemu,
            none => none.insert(Conversation::open(self.socket, moment)?),
        };
        if !self.greeted {
            qemu.hear("QMP")?;
            qemu.say("qmp_capabilities")?;
            self.greeted = true;
        }
        qemu.hear("return")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn found(words: &str) -> Option<String> {
        let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        socket(&words).map(str::to_owned)
    }

    #[test]
    fn the_socket_is_found_where_qemu_serves_it() {
        for more in ["server=on,wait=off", "server,nowait", "wait=off,server=yes"] {
            assert_eq!(found(&format!("qemu -m 8G -qmp unix:/run/a.qmp,{more} -S")).as_deref(), Some("/run/a.qmp"));
        }
        for words in
            ["qemu", "qemu -qmp", "qemu -qmp stdio", "qemu -qmp unix:/run/a.qmp", "qemu -qmp unix:/a,server=off"]
        {
            assert_eq!(found(words), None, "{words}");
        }
    }
}
