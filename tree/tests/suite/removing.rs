use std::os::unix::fs::PermissionsExt;

use gantry_tree::{TreePath, remove_tree};

use crate::common::{Place, path, skip};

#[test]
fn all_is_removed_whatever_its_mode() {
    let place = Place::with(&[("d/e/file", "x"), ("d/f", "y")]);
    for (dir, mode) in [("d/e", 0o000), ("d", 0o400)] {
        let mode = std::fs::Permissions::from_mode(mode);
        fs_err::set_permissions(place.tree().join(dir), mode).unwrap();
    }
    remove_tree(place.tree()).unwrap();
    assert!(!place.tree().exists());
    remove_tree(place.tree()).unwrap();
}

#[test]
fn the_root_is_emptied_and_stays() {
    let place = Place::with(&[("a/b", ""), ("c", "")]);
    place.root().remove_all(&TreePath::root()).unwrap();
    assert_eq!(fs_err::read_dir(place.tree()).unwrap().count(), 0);
    place.root().remove_all(&path("nothing/there")).unwrap();
}

#[test]
fn a_very_deep_tree_is_removed() {
    let place = Place::new();
    let deep = path(&vec!["d"; 3000].join("/"));
    place.root().mkdir_all(&deep, 0o755).unwrap();
    remove_tree(place.tree()).unwrap();
    assert!(!place.tree().exists());
}

#[test]
fn other_mounts_are_not_entered() {
    let place = Place::with(&[("a", ""), ("mnt/", "")]);
    let mount = |args: &[&str]| {
        let status = std::process::Command::new("mount")
            .args(args)
            .arg(place.tree().join("mnt"))
            .stderr(std::process::Stdio::null())
            .status();
        status.is_ok_and(|status| status.success())
    };
    if !mount(&["-t", "tmpfs", "tmpfs"]) {
        return skip("root", &"mounting a tmpfs is refused");
    }
    fs_err::write(place.tree().join("mnt/precious"), "x").unwrap();
    let removed = remove_tree(place.tree());
    let kept = place.tree().join("mnt/precious").exists();
    let unmounted =
        std::process::Command::new("umount").arg(place.tree().join("mnt")).status().unwrap();
    assert!(unmounted.success());
    assert!(removed.is_err());
    assert!(kept);
}
