// SPDX-License-Identifier: LGPL-2.1-or-later
//! Sharing a socket and taking that back, in a directory of which its user may make anything.
#![allow(clippy::unwrap_used)]

use super::*;
use std::fs;
use std::os::unix::fs::{symlink, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;

/// Whom it is shared with.
const QEMU: u32 = 64055;

struct Session {
    tree: tempfile::TempDir,
    uid: u32,
}

impl Session {
    /// A user's directory with the socket of a sound server, the user being who runs the test.
    fn new() -> Session {
        let session = Session { tree: tempfile::tempdir().unwrap(), uid: rustix::process::getuid().as_raw() };
        let own = session.path("");
        fs::create_dir_all(&own).unwrap();
        fs::set_permissions(&own, fs::Permissions::from_mode(0o700)).unwrap();
        session.listen();
        session
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.tree.path().join(format!("run/user/{}{name}", self.uid))
    }

    fn listen(&self) {
        drop(UnixListener::bind(self.path("/pipewire-0")).unwrap());
        fs::set_permissions(self.path("/pipewire-0"), fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn paths(&self) -> [String; 2] {
        ["", "/pipewire-0"].map(|name| format!("/run/user/{}{name}", self.uid))
    }

    fn root(&self) -> Root {
        Root::open(self.tree.path()).unwrap()
    }

    fn share(&self) -> Result<(), GuestError> {
        share(&self.root(), &self.paths(), self.uid, QEMU)
    }

    fn permitted(&self) -> String {
        permitted(&self.root(), &self.paths(), self.uid)
    }

    fn take_back(&self, before: &str) {
        take_back(&self.root(), before, self.uid, QEMU).unwrap();
    }

    fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.path(name)).unwrap().mode() & 0o777
    }
}

#[test]
fn what_was_shared_is_exactly_as_before() {
    let session = Session::new();
    let before = session.permitted();
    assert_eq!(before.lines().count(), 2, "{before}");
    session.share().unwrap();
    assert_ne!(session.permitted(), before);
    // The group's bits of a mode show the mask.
    assert_eq!((session.mode(""), session.mode("/pipewire-0")), (0o710, 0o660));
    session.share().unwrap();
    for _ in 0..2 {
        session.take_back(&before);
        assert_eq!(session.permitted(), before);
        assert_eq!((session.mode(""), session.mode("/pipewire-0")), (0o700, 0o600));
        let place = Place::open(&session.root(), &session.paths()[0], session.uid).unwrap();
        assert_eq!(place.attribute().unwrap(), None, "no list is left");
    }
}

#[test]
fn what_somebody_has_changed_meanwhile_stays() {
    let session = Session::new();
    let before = session.permitted();
    session.share().unwrap();
    let root = session.root();
    share(&root, &session.paths()[..1], session.uid, 33).unwrap();
    session.take_back(&before);
    let place = Place::open(&root, &session.paths()[0], session.uid).unwrap();
    assert_eq!(place.acl().unwrap(), Acl::of_mode(0o700).with(33, PASS));
}

#[test]
fn a_list_that_was_there_comes_back() {
    let session = Session::new();
    share(&session.root(), &session.paths(), session.uid, 33).unwrap();
    let before = session.permitted();
    session.share().unwrap();
    session.take_back(&before);
    assert_eq!(session.permitted(), before);
}

#[test]
fn a_server_that_was_started_again_has_another_socket() {
    let session = Session::new();
    let before = session.permitted();
    session.share().unwrap();
    fs::rename(session.path("/pipewire-0"), session.path("/old")).unwrap();
    session.listen();
    fs::set_permissions(session.path("/pipewire-0"), fs::Permissions::from_mode(0o640)).unwrap();
    session.take_back(&before);
    assert_eq!((session.mode(""), session.mode("/pipewire-0")), (0o700, 0o640));
    // And when all has gone with the session.
    fs::remove_dir_all(session.path("")).unwrap();
    session.take_back(&before);
    assert_eq!(session.permitted(), "");
}

#[test]
fn no_link_is_followed_and_nothing_else_is_touched() {
    let session = Session::new();
    let secret = session.tree.path().join("secret");
    fs::create_dir(&secret).unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o700)).unwrap();
    fs::remove_file(session.path("/pipewire-0")).unwrap();
    symlink("../../../secret", session.path("/pipewire-0")).unwrap();
    let error = session.share().unwrap_err().to_string();
    assert!(error.ends_with("it is neither a directory nor a socket"), "{error}");
    assert_eq!(fs::metadata(&secret).unwrap().mode() & 0o777, 0o700);
    fs::remove_file(session.path("/pipewire-0")).unwrap();
    fs::write(session.path("/pipewire-0"), "a file").unwrap();
    assert!(session.share().is_err());
    let elsewhere = ["/secret".to_owned(), format!("/run/user/{}0", session.uid), "/run/user".to_owned()];
    for path in elsewhere {
        assert!(share(&session.root(), std::slice::from_ref(&path), session.uid, QEMU).is_err(), "{path}");
    }
    let error = share(&session.root(), &session.paths()[..1], session.uid + 1, QEMU).unwrap_err().to_string();
    assert!(error.ends_with("it is not below the user's own directory"), "{error}");
}
