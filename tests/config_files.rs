// SPDX-License-Identifier: LGPL-2.1-or-later
//! Files that are not what a configuration file should be: each is refused with a sentence, and the others still count.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{symlink, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use vfio_suite::config::{load, Config, Severity};
use vfio_suite::finding::codes::{self, Code};
use vfio_suite::root::Root;

/// A test tree with one good drop-in, which must count whatever happens beside it.
struct Tree(tempfile::TempDir);

impl Tree {
    fn new() -> Self {
        let tree = Tree(tempfile::tempdir().unwrap());
        tree.mode(".", 0o755);
        tree.write("usr/lib/vfio.conf.d/50-good.conf", "[gpu good]\ndevice = 0000:03:00.0\n");
        tree
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    /// Makes the directories above `path`, with modes of our own, and returns the whole path.
    fn place(&self, path: &str) -> PathBuf {
        let mut dir = self.0.path().to_owned();
        for part in Path::new(path).parent().unwrap() {
            dir.push(part);
            if !dir.is_dir() {
                fs::create_dir(&dir).unwrap();
                fs::set_permissions(&dir, Permissions::from_mode(0o755)).unwrap();
            }
        }
        self.path(path)
    }

    fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        fs::write(self.place(path), text).unwrap();
        self.mode(path, 0o644);
    }

    fn mode(&self, path: &str, mode: u32) {
        fs::set_permissions(self.path(path), Permissions::from_mode(mode)).unwrap();
    }

    fn load(&self) -> Config {
        let config = load(&Root::open(self.0.path()).unwrap());
        assert!(config.gpu("good").is_some(), "{:?}", config.diagnostics);
        config
    }

    /// Loads; there must be exactly one message, an error with this code about `path` as a whole.
    fn refused(&self, path: &str, code: Code) {
        let config = self.load();
        let [error] = &config.diagnostics[..] else { panic!("{path}: {:?}", config.diagnostics) };
        let at = error.at.as_ref().unwrap();
        assert_eq!((error.code, error.severity, &*at.path, at.line), (code, Severity::Error, path, 0), "{error}");
        assert_eq!(config.gpus.len(), 1, "the refused file was read");
    }
}

const OTHER: &str = "[gpu other]\ndevice = 0000:04:00.0\n";

#[test]
fn nothing_but_the_good_file_says_nothing() {
    let tree = Tree::new();
    assert_eq!(tree.load().diagnostics, []);
    tree.write("etc/vfio.conf", OTHER);
    let config = tree.load();
    assert_eq!((config.gpus.len(), config.diagnostics.len()), (2, 0));
    // The main file comes first, whatever the drop-ins are called.
    assert_eq!(config.gpus[0].name, "other");
}

#[test]
fn an_empty_tree_is_an_empty_configuration() {
    let tree = tempfile::tempdir().unwrap();
    assert_eq!(load(&Root::open(tree.path()).unwrap()), Config::default());
}

#[test]
fn what_others_may_write_is_refused() {
    let tree = Tree::new();
    tree.write("etc/vfio.conf", OTHER);
    for (mode, trusted) in [(0o644, true), (0o600, true), (0o664, true), (0o646, false), (0o666, false), (0o642, false)]
    {
        tree.mode("etc/vfio.conf", mode);
        if trusted {
            let config = tree.load();
            assert_eq!((config.gpus.len(), config.diagnostics.len()), (2, 0), "{mode:o}");
        } else {
            tree.refused("/etc/vfio.conf", codes::CONFIG_WRITABLE_BY_OTHERS);
        }
    }
}

/// Regression: an access list that lets a user write was not looked at.
#[test]
fn what_others_may_write_by_an_access_list_is_refused() {
    let tree = Tree::new();
    tree.write("etc/vfio.conf", OTHER);
    let entry =
        |tag: u16, rights: u16, id: u32| [&tag.to_le_bytes()[..], &rights.to_le_bytes(), &id.to_le_bytes()].concat();
    let all = u32::MAX;
    let list = |user: u32, mask: u16| {
        let entries = [entry(1, 6, all), entry(2, 6, user), entry(4, 4, all), entry(16, mask, all), entry(32, 4, all)];
        [&2_u32.to_le_bytes()[..], &entries.concat()].concat()
    };
    let put = |path: &str, list: &[u8]| {
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(tree.path(path), "system.posix_acl_access", list, flags)
    };
    // A file system without access lists has nothing to be looked at.
    if put("etc/vfio.conf", &list(4321, 6)).is_err() {
        return;
    }
    tree.refused("/etc/vfio.conf", codes::CONFIG_WRITABLE_BY_OTHERS);
    put("etc/vfio.conf", &list(4321, 4)).unwrap();
    assert_eq!(tree.load().gpus.len(), 2, "the mask forbids it");
    put("etc/vfio.conf", &list(0, 6)).unwrap();
    assert_eq!(tree.load().gpus.len(), 2, "root may");
    let mode = list(4321, 7);
    put("etc", &mode).unwrap();
    tree.refused("/etc", codes::CONFIG_WRITABLE_BY_OTHERS);
}

/// Regression: whoever may write a directory above may put another file in its place.
#[test]
fn a_directory_above_that_others_may_write_is_refused() {
    let tree = Tree::new();
    tree.write("etc/vfio.conf", OTHER);
    tree.write("etc/vfio.conf.d/60-more.conf", OTHER);
    tree.mode("etc", 0o777);
    tree.refused("/etc", codes::CONFIG_WRITABLE_BY_OTHERS);
    tree.mode("etc", 0o755);
    tree.mode("usr", 0o757);
    let config = load(&Root::open(tree.0.path()).unwrap());
    assert_eq!((config.gpus.len(), config.diagnostics.len()), (1, 1), "{:?}", config.diagnostics);
    assert_eq!(config.diagnostics[0].code, codes::CONFIG_WRITABLE_BY_OTHERS);
    assert_eq!(&*config.diagnostics[0].at.as_ref().unwrap().path, "/usr");
    tree.mode("usr", 0o755);
    tree.mode(".", 0o777);
    assert_eq!(load(&Root::open(tree.0.path()).unwrap()).gpus, []);
}

/// What is put into an image belongs to root there: a refused file must not be among it.
#[test]
fn an_image_gets_what_counts_and_nothing_else() {
    let tree = Tree::new();
    tree.write("etc/vfio.conf", OTHER);
    tree.write("etc/vfio.conf.d/60-others.conf", OTHER);
    tree.write("run/vfio.conf.d/70-now.conf", OTHER);
    symlink("/dev/null", tree.place("etc/vfio.conf.d/80-masked.conf")).unwrap();
    let files = || {
        let files = vfio_suite::config::lasting_files(&Root::open(tree.0.path()).unwrap());
        files.into_iter().map(|(path, bytes)| (path, bytes.is_some())).collect::<Vec<_>>()
    };
    let good = ("usr/lib/vfio.conf.d/50-good.conf".to_owned(), true);
    let masked = ("etc/vfio.conf.d/80-masked.conf".to_owned(), false);
    let (main, more) = (("etc/vfio.conf".to_owned(), true), ("etc/vfio.conf.d/60-others.conf".to_owned(), true));
    assert_eq!(files(), [main.clone(), good.clone(), more, masked.clone()]);
    tree.mode("etc/vfio.conf.d/60-others.conf", 0o666);
    assert_eq!(files(), [main, good.clone(), masked]);
    tree.mode("etc", 0o757);
    assert_eq!(files(), [good]);
}

/// All files are read for each function of the machine while it boots.
#[test]
fn there_is_an_end_to_files() {
    let tree = Tree::new();
    for number in 0..300 {
        tree.write(&format!("etc/vfio.conf.d/{number}.conf"), "");
    }
    tree.refused("/etc/vfio.conf.d", codes::CONFIG_TOO_MANY_FILES);
    let tree = Tree::new();
    for name in ["10", "20", "30", "60"] {
        tree.write(&format!("etc/vfio.conf.d/{name}.conf"), "#\n".repeat(1 << 19));
    }
    tree.refused("/etc/vfio.conf.d/60.conf", codes::CONFIG_FILES_TOO_LARGE);
}

#[test]
fn a_directory_that_others_may_write_is_refused() {
    let tree = Tree::new();
    tree.write("etc/vfio.conf.d/60-other.conf", OTHER);
    assert_eq!(tree.load().gpus.len(), 2);
    for mode in [0o757, 0o1777] {
        tree.mode("etc/vfio.conf.d", mode);
        tree.refused("/etc/vfio.conf.d", codes::CONFIG_WRITABLE_BY_OTHERS);
    }
    // A file in it overrides nothing then.
    fs::rename(tree.path("etc/vfio.conf.d/60-other.conf"), tree.path("etc/vfio.conf.d/50-good.conf")).unwrap();
    tree.refused("/etc/vfio.conf.d", codes::CONFIG_WRITABLE_BY_OTHERS);
}

/// In a sticky directory others cannot replace what is root's: the root of an initramfs is one.
#[test]
fn a_sticky_directory_above_is_passed_through() {
    let tree = Tree::new();
    tree.write("etc/vfio.conf.d/60-other.conf", OTHER);
    tree.mode("etc", 0o1777);
    assert_eq!(tree.load().gpus.len(), 2);
    tree.mode("etc", 0o777);
    let config = load(&Root::open(tree.0.path()).unwrap());
    assert!(config.gpu("other").is_none() && config.diagnostics.len() == 1, "{:?}", config.diagnostics);
}

/// Only root can give a file away. Anybody else checks what is left: that its own file is trusted in its own tree, which
/// the other tests do; the rule itself has its table in src/config/files.rs.
#[test]
fn a_file_of_another_owner_is_refused() {
    let tree = Tree::new();
    tree.write("etc/vfio.conf", OTHER);
    let path = tree.path("etc/vfio.conf");
    if std::os::unix::fs::chown(&path, Some(12345), None).is_err() {
        assert_ne!(fs::metadata(tree.path(".")).unwrap().uid(), 0, "root could not change an owner");
        return;
    }
    tree.refused("/etc/vfio.conf", codes::CONFIG_WRITABLE_BY_OTHERS);
    // A group that may write is refused too, unless it is root's.
    std::os::unix::fs::chown(&path, Some(0), Some(12345)).unwrap();
    tree.mode("etc/vfio.conf", 0o664);
    tree.refused("/etc/vfio.conf", codes::CONFIG_WRITABLE_BY_OTHERS);
}

#[test]
fn what_is_no_file_is_refused() {
    let tree = Tree::new();
    let main = tree.place("etc/vfio.conf");

    fs::create_dir(&main).unwrap();
    tree.refused("/etc/vfio.conf", codes::CONFIG_NOT_A_FILE);
    fs::remove_dir(&main).unwrap();

    // A FIFO without a writer must not make us wait.
    rustix::fs::mknodat(rustix::fs::CWD, &main, rustix::fs::FileType::Fifo, 0o644.into(), 0).unwrap();
    tree.refused("/etc/vfio.conf", codes::CONFIG_NOT_A_FILE);
    fs::remove_file(&main).unwrap();

    symlink("/nowhere/at/all", &main).unwrap();
    tree.refused("/etc/vfio.conf", codes::CONFIG_DANGLING_LINK);
    fs::remove_file(&main).unwrap();

    let socket = std::os::unix::net::UnixListener::bind(&main).unwrap();
    tree.refused("/etc/vfio.conf", codes::CONFIG_UNREADABLE);
    drop(socket);
}

#[test]
fn a_drop_in_that_is_no_file_is_refused() {
    let tree = Tree::new();
    fs::create_dir(tree.place("etc/vfio.conf.d/10-dir.conf")).unwrap();
    tree.refused("/etc/vfio.conf.d/10-dir.conf", codes::CONFIG_NOT_A_FILE);
    // It takes the place of the weaker directory's file all the same: what was meant is not known.
    fs::remove_dir(tree.path("etc/vfio.conf.d/10-dir.conf")).unwrap();
    tree.write("usr/lib/vfio.conf.d/60-other.conf", OTHER);
    symlink("gone", tree.place("etc/vfio.conf.d/60-other.conf")).unwrap();
    tree.refused("/etc/vfio.conf.d/60-other.conf", codes::CONFIG_DANGLING_LINK);
}

#[test]
fn a_file_in_place_of_the_drop_in_directory_is_refused() {
    let tree = Tree::new();
    tree.write("etc/vfio.conf.d", OTHER);
    tree.refused("/etc/vfio.conf.d", codes::CONFIG_UNREADABLE);
}

#[test]
fn an_unreadable_file_is_refused() {
    let tree = Tree::new();
    tree.write("etc/vfio.conf", OTHER);
    tree.mode("etc/vfio.conf", 0);
    if fs::read(tree.path("etc/vfio.conf")).is_ok() {
        // Root reads everything; a loop of links is what not even root can open.
        fs::remove_file(tree.path("etc/vfio.conf")).unwrap();
        symlink("vfio.conf", tree.path("etc/vfio.conf")).unwrap();
    }
    tree.refused("/etc/vfio.conf", codes::CONFIG_UNREADABLE);
}

#[test]
fn large_files() {
    let tree = Tree::new();
    let mut text = vec![b'#'; 1 << 20];
    text[0] = b'\n';
    tree.write("etc/vfio.conf", &text);
    assert_eq!(tree.load().diagnostics, [], "1 MiB is allowed");
    text.push(b'#');
    tree.write("etc/vfio.conf", &text);
    tree.refused("/etc/vfio.conf", codes::CONFIG_TOO_LARGE);
}

#[test]
fn a_line_of_a_megabyte() {
    let tree = Tree::new();
    let mut text = b"[gpu other]\ndevice = ".to_vec();
    text.resize((1 << 20) - 100, b'x');
    text.extend(b"\n[gpu after]\ndevice = 0000:05:00.0\n");
    tree.write("etc/vfio.conf", text);
    let config = tree.load();
    let [error] = &config.diagnostics[..] else { panic!("{:?}", config.diagnostics) };
    assert_eq!((error.code, error.at.as_ref().unwrap().line), (codes::LINE_TOO_LONG, 2), "{error}");
    assert!(config.gpu("after").is_some() && config.disabled_section("gpu", "other").is_some());
}

#[test]
fn utf_16_is_named() {
    let tree = Tree::new();
    let text: Vec<u8> = "\u{feff}[gpu other]\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    tree.write("etc/vfio.conf", text);
    tree.refused("/etc/vfio.conf", codes::CONFIG_UTF16);
}

#[test]
fn masks() {
    let tree = Tree::new();
    tree.write("usr/lib/vfio.conf.d/60-other.conf", OTHER);
    tree.write("run/vfio.conf.d/60-other.conf", "[gpu other]\ndevice = 0000:05:00.0\n");
    // There is no /dev/null in this tree: the link alone says it.
    symlink("/dev/null", tree.place("etc/vfio.conf.d/60-other.conf")).unwrap();
    symlink("/dev/null", tree.place("etc/vfio.conf")).unwrap();
    let config = tree.load();
    assert_eq!((config.gpus.len(), config.diagnostics.len()), (1, 0));
    // With one, too.
    tree.write("dev/null", "");
    let config = tree.load();
    assert_eq!((config.gpus.len(), config.diagnostics.len()), (1, 0));
}

#[test]
fn names_that_do_not_count() {
    let tree = Tree::new();
    for name in [".hidden.conf", "60-other.conf~", "60-other.conf.dpkg-new", "60-other.CONF", "README", ".conf"] {
        tree.write(&format!("etc/vfio.conf.d/{name}"), OTHER);
    }
    assert_eq!(tree.load().gpus.len(), 1);
    assert_eq!(tree.load().diagnostics, []);

    let odd = tree.path("etc/vfio.conf.d").join(std::ffi::OsStr::from_bytes(b"\xff.conf"));
    fs::write(odd, OTHER).unwrap();
    tree.write("etc/vfio.conf.d/new\nline.conf", OTHER);
    let config = tree.load();
    let [warning] = &config.diagnostics[..] else { panic!("{:?}", config.diagnostics) };
    assert_eq!((warning.code, warning.severity), (codes::CONFIG_FILE_NAME, Severity::Warning));
    assert_eq!(&*warning.at.as_ref().unwrap().path, "/etc/vfio.conf.d");
    assert_eq!(config.gpus.len(), 1);
}
