//! The store as a whole: fsck, du, prune, system df.

use crate::sandbox::Sandbox;

fn built() -> Sandbox {
    let text = "FROM busybox\nRUN chown 1:1 /tmp && touch /f && chown 33 /f && chmod 600 /f\n";
    let sandbox = Sandbox::with([("Dockerfile", text)]).with_busybox();
    sandbox.gantry(["build", "-q", "-t", "x", "."]).success();
    sandbox
}

#[test]
fn a_good_store_is_clean() {
    let sandbox = built();
    let checked = sandbox.gantry(["fsck", "--deep"]).success().stdout;
    assert!(checked.starts_with("Checked 2 images, "), "{checked}");
}

#[test]
fn damage_is_found_and_removed() {
    let sandbox = built();
    let blobs = sandbox.store().join("blobs/sha256");
    let id = sandbox.gantry(["inspect", "-f", "{{.Id}}", "x"]).success().stdout;
    let blob = blobs.join(id.trim().trim_start_matches("sha256:"));
    let size = fs_err::metadata(&blob).unwrap().len();
    fs_err::write(&blob, vec![b'x'; usize::try_from(size).unwrap()]).unwrap();
    let found = sandbox.gantry(["fsck", "--deep"]).code(1).stdout;
    assert!(found.starts_with("damage: "), "{found}");
    sandbox.gantry(["fsck", "--deep", "--repair"]).success();
    let checked = sandbox.gantry(["fsck", "--deep"]).success().stdout;
    assert!(!checked.contains("damage: "), "{checked}");
    sandbox.gantry(["build", "-q", "-t", "x", "."]).success();
}

#[test]
fn a_database_beyond_reading_is_set_aside() {
    use std::os::unix::fs::FileExt as _;
    let sandbox = built();
    let path = sandbox.store().join("gantry.db");
    for suffix in ["-wal", "-shm"] {
        // There is none if the last process could write all back.
        let _ = fs_err::remove_file(sandbox.store().join(format!("gantry.db{suffix}")));
    }
    let pages = fs_err::metadata(&path).unwrap().len().saturating_sub(4096);
    let file = fs_err::OpenOptions::new().write(true).open(&path).unwrap();
    file.file().write_all_at(&vec![0xaa; usize::try_from(pages).unwrap()], 4096).unwrap();
    let error = sandbox.gantry(["build", "."]).code(1).stderr;
    assert!(error.contains("is damaged") && error.contains("gantry fsck --repair"), "{error}");
    let mended = sandbox.gantry(["fsck", "--repair"]).success().stdout;
    assert!(mended.contains("gantry.db.damaged-"), "{mended}");
    assert_eq!(sandbox.gantry(["images", "-q"]).success().stdout, "");
    let sandbox = sandbox.with_busybox();
    sandbox.gantry(["build", "-q", "."]).success();
}

#[test]
fn every_byte_is_accounted_for() {
    let sandbox = built();
    let listed = sandbox.gantry(["du", "--format", "json"]).success().stdout;
    assert!(listed.lines().count() > 3, "{listed}");
    for line in listed.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
    let table = sandbox.gantry(["du"]).success().stdout;
    assert!(table.contains("\nReclaimable:\t") && table.contains("\nTotal:\t\t"), "{table}");
    let images = sandbox.gantry(["system", "df", "--format", "{{.Type}} {{.TotalCount}}"]);
    assert!(images.success().stdout.starts_with("Images 2\n"));
}

#[test]
fn pruning_asks_first_and_keeps_what_images_need() {
    let sandbox = built();
    let refused = sandbox.gantry(["prune"]).code(1).stderr;
    assert!(
        refused.starts_with("WARNING! This will remove all dangling build cache."),
        "{refused}"
    );
    let plan = sandbox.gantry(["prune", "-a", "--dry-run"]).success().stdout;
    let done = sandbox.gantry(["prune", "-a", "-f"]).success().stdout;
    assert!(plan.contains("Total:\t") && done.contains("Total:\t"), "{plan} {done}");
    let run = sandbox.gantry(["run", "--rm", "--network", "none", "x", "stat", "-c", "%a", "/f"]);
    assert_eq!(run.success().stdout, "600\n");
    sandbox.gantry(["rmi", "x", "busybox"]).success();
    sandbox.gantry(["prune", "-a", "-f"]).success();
    let left = sandbox.gantry(["du", "--filter", "type=layer", "--format", "{{.ID}}"]);
    assert_eq!(left.success().stdout, "");
}

#[test]
fn files_of_other_owners_are_saved_and_exported() {
    let sandbox = built();
    sandbox.gantry(["save", "-o", "x.tar", "x"]).success();
    // Everything is cached, so that only writing the tar is left to do.
    sandbox.gantry(["build", "-o", "type=tar,dest=root.tar", "."]).success();
    let tar = sandbox.read("root.tar");
    let mut tar = tar::Archive::new(tar.as_slice());
    let owner = tar.entries().unwrap().find_map(|entry| {
        let entry = entry.unwrap();
        (entry.path().unwrap().to_str() == Some("f")).then(|| entry.header().uid().unwrap())
    });
    assert_eq!(owner, Some(33));
}
