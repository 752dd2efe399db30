//! fsck finds what is broken, and repairing brings the store back to where builds go on.

use fs_err as fs;
use gantry_cache::{FsckOptions, LayerId, Severity};

use crate::support::{Fixture, check, image, key, layer, record};

struct Broken {
    fixture: Fixture,
    layer: LayerId,
}

fn store_with_everything() -> Broken {
    let fixture = Fixture::new();
    let good = layer(&fixture.store, &[("good", "good")]);
    record(&fixture.store, "good", &[good]);
    let layer = layer(&fixture.store, &[("dir/file", "text"), ("other", "x")]);
    record(&fixture.store, "victim", &[layer]);
    let id = image(&fixture.store, "config", &[layer]);
    fixture.store.images().tag(&"app".parse().unwrap(), &id).unwrap();
    fixture.clean();
    Broken { fixture, layer }
}

/// Breaks something and says whether a quick look finds it; a deep one has to.
fn check_found(name: &str, quick: bool, harm: impl FnOnce(&Broken, &std::path::Path)) {
    let broken = store_with_everything();
    let tree = broken.fixture.store.layers().get(&broken.layer).unwrap().unwrap().tree().unwrap();
    harm(&broken, &tree);
    let fixture = broken.fixture.reopened();
    let store = &fixture.store;
    let found = store.fsck(FsckOptions::default()).unwrap();
    assert_eq!(!found.is_clean(), quick, "{name}: {found:?}");
    let found = store.fsck(FsckOptions { deep: true, repair: true }).unwrap();
    assert!(!found.is_clean(), "{name}");
    assert!(found.problems.iter().all(|problem| problem.repaired), "{name}: {found:?}");
    assert_eq!(check(store).problems, [], "{name}");
    assert!(store.records().get(&key("good")).unwrap().is_some(), "{name}: too much went");
    assert!(store.images().resolve("app").is_err(), "{name}");
}

#[test]
fn what_is_broken_is_found_and_removed_and_nothing_else() {
    check_found("a file that is gone", true, |_, tree| {
        fs::remove_file(tree.join("dir/file")).unwrap();
    });
    check_found("a file of another size", true, |_, tree| {
        fs::write(tree.join("dir/file"), "longer text").unwrap();
    });
    check_found("a file of another mode", true, |_, tree| {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::Permissions::from_mode(0o4755);
        fs::set_permissions(tree.join("dir/file"), mode).unwrap();
    });
    check_found("a file where a directory was", true, |_, tree| {
        fs::remove_dir_all(tree.join("dir")).unwrap();
        fs::write(tree.join("dir"), "").unwrap();
    });
    check_found("other content, the same size and time", false, |_, tree| {
        let path = tree.join("dir/file");
        let time = fs::metadata(&path).unwrap().modified().unwrap();
        fs::write(&path, "TEXT").unwrap();
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.file().set_modified(time).unwrap();
    });
    check_found("a file too many", false, |_, tree| {
        fs::write(tree.join("more"), "").unwrap();
    });
    check_found("a manifest that does not read", true, |_, tree| {
        fs::write(tree.parent().unwrap().join("manifest"), "rubbish").unwrap();
    });
    check_found("a layer that is gone", true, |_, tree| {
        fs::remove_dir_all(tree.parent().unwrap()).unwrap();
    });
    check_found("a config that is gone", true, |broken, _| {
        let id = broken.fixture.store.images().resolve("app").unwrap().id;
        fs::remove_file(broken.fixture.store.blobs().path(&id)).unwrap();
    });
    check_found("a config with another byte", false, |broken, _| {
        let id = broken.fixture.store.images().resolve("app").unwrap().id;
        fs::write(broken.fixture.store.blobs().path(&id), "CONFIG").unwrap();
    });
}

#[test]
fn rows_that_lead_nowhere_are_found() {
    let broken = store_with_everything();
    let database = broken.fixture.root().join("gantry.db");
    let connection = rusqlite::Connection::open(database).unwrap();
    connection.execute("delete from layers where id = ?1", [&broken.layer.0[..]]).unwrap();
    drop(connection);
    let fixture = broken.fixture.reopened();
    let found = fixture.store.fsck(FsckOptions { deep: false, repair: true }).unwrap();
    let about = |word: &str| found.problems.iter().any(|p| p.object.starts_with(word));
    assert!(about("record") && about("image"), "{found:?}");
    fixture.clean();
    assert!(fixture.store.records().get(&key("victim")).unwrap().is_none());
}

#[test]
fn leftovers_are_not_damage_and_can_be_cleared_away() {
    let fixture = Fixture::new();
    let root = fixture.root();
    fs::create_dir_all(root.join("layers").join("ab".repeat(32))).unwrap();
    fs::create_dir_all(root.join("work/1-dead")).unwrap();
    fs::write(root.join("blobs/sha256").join("cd".repeat(32)), "").unwrap();
    let found = check(&fixture.store);
    assert_eq!(found.problems.len(), 3);
    assert!(found.is_clean());
    assert!(found.problems.iter().all(|problem| problem.severity == Severity::Leftover));
    let found = fixture.store.fsck(FsckOptions { deep: false, repair: true }).unwrap();
    assert!(found.problems.iter().all(|problem| problem.repaired), "{found:?}");
    fixture.clean();
}
