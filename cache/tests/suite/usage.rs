//! `du` is exact: its sum is what `du` says.

use std::process::Command;

use fs_err as fs;
use gantry_cache::{Kind, Sharing};

use crate::support::{Fixture, image, key, layer, manifest_of, new_record, record};

fn du_of(path: &std::path::Path) -> u64 {
    let out = Command::new("du").args(["-s", "-B1"]).arg(path).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    text.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn the_sum_is_what_du_says_of_the_files() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let big = "x".repeat(70_000);
    let one = layer(store, &[("a/b/c", &big), ("a/d", "small"), ("e", "")]);
    let mut log = store.logs().writer().unwrap();
    std::io::Write::write_all(&mut log, big.as_bytes()).unwrap();
    let mut new = new_record(key("one"), std::slice::from_ref(&one), "RUN one");
    new.log = Some(log.finish().unwrap());
    store.records().put(&new).unwrap();
    // A second layer that shares the first one's large file.
    let work = store.work_dir().unwrap();
    let tree = store.layers().get(&one).unwrap().unwrap().tree().unwrap();
    fs::hard_link(tree.join("a/b/c"), work.upper().join("linked")).unwrap();
    fs::write(work.upper().join("own"), &big[..9_000]).unwrap();
    let manifest = manifest_of(&work.upper());
    let two = store.layers().commit_tree(&work.upper(), &manifest).unwrap();
    record(store, "two", &[two]);
    image(store, "config", &[one, two]);
    let mount = store
        .mounts()
        .acquire("m", Sharing::Shared, &mut |path| {
            fs::write(path.join("cached"), &big).unwrap();
            Ok(())
        })
        .unwrap();
    drop((work, mount));
    let fixture = fixture.reopened();

    let usages = fixture.store.du().unwrap();
    let sum: u64 = usages.iter().map(|usage| usage.size).sum();
    let expected = du_of(&fixture.root());
    assert_eq!(sum, expected, "{usages:#?}");
    let size = |id: String| usages.iter().find(|usage| usage.id == id).unwrap().size;
    assert!(size(one.to_string()) > 70_000);
    assert!(size(two.to_string()) < 40_000, "the shared file is the first one's");
    let row = usages.iter().find(|usage| usage.id == one.to_string()).unwrap();
    assert_eq!((&row.description[..], row.kind), ("RUN one", Kind::Layer));
    assert!(row.created.is_some() && row.last_used.is_some());
}

/// A file in many pieces needs a block more when the filesystem writes it out, to list them.
#[test]
fn what_was_measured_before_it_was_written_out_is_measured_again() {
    use std::os::unix::fs::FileExt;
    let fixture = Fixture::new();
    let store = &fixture.store;
    let work = store.work_dir().unwrap();
    let file = fs::File::create(work.upper().join("pieces")).unwrap();
    for piece in 0..40 {
        file.file().write_all_at(&[1; 4096], piece * 16384).unwrap();
    }
    drop(file);
    let manifest = manifest_of(&work.upper());
    let id = store.layers().commit_tree(&work.upper(), &manifest).unwrap();
    image(store, "config", &[id]);
    drop(work);
    let fixture = fixture.reopened();
    let options = gantry_cache::PruneOptions { dry_run: true, all: true, ..Default::default() };
    fixture.store.prune(&options).unwrap();
    fixture.store.sync().unwrap();
    let sum: u64 = fixture.store.du().unwrap().iter().map(|usage| usage.size).sum();
    assert_eq!(sum, du_of(&fixture.root()));
}

#[test]
fn when_the_layer_that_a_shared_file_is_counted_with_goes_the_other_has_it() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let one = layer(store, &[("file", &"x".repeat(100_000))]);
    let work = store.work_dir().unwrap();
    let tree = store.layers().get(&one).unwrap().unwrap().tree().unwrap();
    fs::hard_link(tree.join("file"), work.upper().join("file")).unwrap();
    fs::write(work.upper().join("other"), "x").unwrap();
    let manifest = manifest_of(&work.upper());
    let two = store.layers().commit_tree(&work.upper(), &manifest).unwrap();
    drop(work);
    let fixture = fixture.reopened();
    let size = |id: &gantry_cache::LayerId| {
        let usages = fixture.store.du().unwrap();
        usages.iter().find(|usage| usage.id == id.to_string()).map(|usage| usage.size)
    };
    assert!(size(&one).unwrap() >= 100_000 && size(&two).unwrap() < 100_000);
    let lease = fixture.store.lease().unwrap();
    assert!(lease.keep(&two).unwrap());
    fixture.again().prune(&gantry_cache::PruneOptions::default()).unwrap();
    assert_eq!(size(&one), None);
    assert!(size(&two).unwrap() >= 100_000);
}

#[test]
fn it_says_who_uses_what() {
    let fixture = Fixture::new();
    let ids = ["1", "2"].map(|name| layer(&fixture.store, &[(name, name)]));
    let config = image(&fixture.store, "config", &ids[..1]);
    fixture.store.images().tag(&"app:1".parse().unwrap(), &config).unwrap();
    let fixture = fixture.reopened();
    let usages = fixture.store.du().unwrap();
    let row = |id: &str| usages.iter().find(|usage| usage.id == id).unwrap();
    assert_eq!(row(&ids[0].to_string()).used_by.as_deref(), Some("image app:1"));
    assert!(!row(&ids[0].to_string()).reclaimable);
    assert_eq!(row(&ids[1].to_string()).used_by, None);
    assert!(row(&ids[1].to_string()).reclaimable);
    let lease = fixture.store.lease().unwrap();
    lease.keep(&ids[1]).unwrap();
    let usages = fixture.again().du().unwrap();
    let row = usages.iter().find(|usage| usage.id == ids[1].to_string()).unwrap();
    assert_eq!(row.used_by.as_deref(), Some("a running process"));
}
