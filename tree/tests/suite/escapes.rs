//! Ways out of a root, each of which has to be shut.

use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};

use gantry_tree::{
    CopyPlan, Follow, Overrides, Root, ScanOptions, TreePath, copy, remove_tree, scan,
};

use crate::common::{Place, path};

/// A tree `t` with links out of it, beside a secret.
fn place() -> Place {
    let place = Place::with(&[("inside/file", "inside")]);
    fs_err::create_dir(place.path().join("outside")).unwrap();
    fs_err::write(place.path().join("outside/secret"), "secret").unwrap();
    let tree = place.tree();
    symlink("../outside", tree.join("relative")).unwrap();
    symlink(place.path().join("outside"), tree.join("absolute")).unwrap();
    symlink("../../../../../../../../../../../../outside", tree.join("up")).unwrap();
    symlink("/inside", tree.join("rooted")).unwrap();
    symlink("/proc/self/root/etc", tree.join("magic")).unwrap();
    place
}

#[test]
fn reading_stays_inside() {
    let place = place();
    let root = place.root();
    for link in ["relative", "absolute", "up"] {
        for at in [link.to_owned(), format!("{link}/secret")] {
            let at = path(&at);
            assert!(root.stat(&at, Follow::Last).is_err(), "{at}");
            assert!(root.open_file(&at, Follow::Last).is_err(), "{at}");
            assert!(root.read_dir(&at, Follow::Last).is_err(), "{at}");
            assert!(root.open_in(&at).is_err(), "{at}");
        }
    }
    assert_eq!(root.read(&path("rooted/file"), 10).unwrap().unwrap(), b"inside");
    assert_eq!(root.resolve(&path("rooted/file"), Follow::Last).unwrap(), path("inside/file"));
    assert_eq!(root.resolve(&path("up/x"), Follow::Last).unwrap(), path("outside/x"));
}

#[test]
fn magic_links_lead_nowhere() {
    let root = Root::open("/").unwrap();
    assert!(root.read(&path("proc/self/root/etc/passwd"), 1 << 20).is_err());
    assert!(root.open_in(&path("proc/self/cwd")).is_err());
    assert!(root.read_dir(&path("proc/self/fd/0"), Follow::Last).is_err());
    assert!(place().root().read_dir(&path("magic"), Follow::Last).is_err());
}

#[test]
fn changing_follows_no_link_at_all() {
    let place = place();
    let root = place.root();
    for link in ["relative", "absolute", "up", "rooted"] {
        let at = path(&format!("{link}/new"));
        assert!(root.create_file(&at, 0o600).is_err(), "{at}");
        assert!(root.mkdir(&at, 0o700).is_err(), "{at}");
        assert!(root.mkdir_all(&at, 0o700).is_err(), "{at}");
        assert!(root.symlink(b"x", &at).is_err(), "{at}");
        assert!(root.hard_link(&path("inside/file"), &at).is_err(), "{at}");
        assert!(root.whiteout(&at).is_err(), "{at}");
        assert!(root.rename(&path("inside/file"), &at).is_err(), "{at}");
        let old = path(&format!("{link}/secret"));
        assert!(root.set_mode(&old, 0o777).is_err(), "{old}");
        assert!(root.set_owner(&old, 0, 0).is_err(), "{old}");
        assert!(root.hard_link(&old, &path("stolen")).is_err(), "{old}");
        assert!(root.remove_file(&old).is_err(), "{old}");
        // A link is created over by nobody.
        assert!(root.create_file(&path(link), 0o600).is_err(), "{link}");
        assert!(root.mkdir_all(&path(link), 0o700).is_err(), "{link}");
    }
    assert_eq!(fs_err::read_dir(place.path().join("outside")).unwrap().count(), 1);
}

#[test]
fn deleting_takes_links_and_not_what_they_name() {
    let place = place();
    place.root().remove_all(&path("relative")).unwrap();
    assert!(place.root().remove_all(&path("absolute/secret")).is_err());
    remove_tree(place.tree()).unwrap();
    assert_eq!(fs_err::read(place.path().join("outside/secret")).unwrap(), b"secret");
}

#[test]
fn a_scan_lists_links_and_enters_none() {
    let place = place();
    let manifest = place.scan().manifest;
    assert_eq!(manifest.entries().len(), 7);
    assert!(manifest.get(&path("relative/secret")).is_none());
}

#[test]
fn a_directory_that_keeps_becoming_a_link_never_leads_out() {
    let place = Place::with(&[("d/secret", "public"), ("e", "")]);
    let outside = place.path().join("outside");
    fs_err::create_dir(&outside).unwrap();
    fs_err::write(outside.join("secret"), "secret").unwrap();
    let tree = place.tree();
    symlink(&outside, tree.join("l")).unwrap();
    /// Ends the other thread even if this one fails.
    struct Done<'a>(&'a AtomicBool);
    impl Drop for Done<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let done = AtomicBool::new(false);
    let root = place.root();
    let public = gantry_tree::ContentId::of(b"public");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                for (from, to) in [("d", "x"), ("l", "d"), ("d", "l"), ("x", "d")] {
                    fs_err::rename(tree.join(from), tree.join(to)).unwrap();
                }
            }
        });
        let _done = Done(&done);
        for round in 0..150 {
            if let Ok(scan) = scan(&root, &ScanOptions::default()) {
                for entry in scan.manifest.entries().iter().filter(|e| e.size() > 0) {
                    assert_eq!(entry.content(), Some(public), "{}", entry.path);
                }
                let to = place.path().join(format!("copy{round}"));
                fs_err::create_dir(&to).unwrap();
                let mut plan = CopyPlan::default();
                let top = TreePath::root();
                plan.add_subtree(0, &scan.manifest, &top, &top, &Overrides::default());
                let to = Root::open(&to).unwrap();
                let _ = copy(&[&root], &to, &plan);
                for at in ["d/secret", "l/secret", "x/secret"] {
                    if let Ok(Some(text)) = to.read(&path(at), 100) {
                        assert_ne!(text, b"secret");
                    }
                }
            }
        }
    });
}
