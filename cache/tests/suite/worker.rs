//! Other processes: this test binary itself, started with a task in its environment.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fs_err as fs;
use gantry_cache::{PruneOptions, Store};

use crate::support::{big_layer, image, key, layer, record, try_record};

/// A process that works on the same store.
pub(crate) struct Worker(Child);

impl Worker {
    pub(crate) fn start(task: &str, root: &Path, out: &Path) -> Worker {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "worker::does_what_its_environment_says", "--nocapture"])
            .env("GANTRY_CACHE_TASK", task)
            .env("GANTRY_CACHE_ROOT", root)
            .env("GANTRY_CACHE_OUT", out)
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        Worker(child)
    }

    pub(crate) fn finish(mut self) {
        assert!(self.0.wait().unwrap().success());
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // A test that failed must not leave it running.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn wait_for(mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(30), "waited for too long");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn does_what_its_environment_says() {
    let Ok(task) = std::env::var("GANTRY_CACHE_TASK") else { return };
    let path = |name: &str| PathBuf::from(std::env::var_os(name).unwrap());
    let (root, out) = (path("GANTRY_CACHE_ROOT"), path("GANTRY_CACHE_OUT"));
    if task == "fill" {
        return fill(&root, &out);
    }
    let store = reopen(&root);
    match &task[..] {
        "step" => step(&store, &out),
        "hold" => hold(&store, &out),
        "churn" => churn(&store, &out),
        "mount" => mount(&store, &out),
        other => panic!("no task `{other}`"),
    }
}

/// Looks, locks, looks again, runs: as every step of a build does.
fn step(store: &Store, out: &Path) {
    let key = key("step");
    if store.records().get(&key).unwrap().is_some() {
        return;
    }
    let _lock = store.lock("step", &key.0).unwrap();
    if store.records().get(&key).unwrap().is_some() {
        return;
    }
    fs::write(out.join(std::process::id().to_string()), "ran").unwrap();
    std::thread::sleep(Duration::from_millis(100));
    let id = layer(store, &[("file", "text")]);
    record(store, "step", &[id]);
}

fn hold(store: &Store, out: &Path) {
    let _lock = store.lock("test", b"key").unwrap();
    let work = store.work_dir().unwrap();
    fs::write(work.upper().join("big"), vec![0; 100_000]).unwrap();
    fs::write(out.join("holding"), "").unwrap();
    std::thread::sleep(Duration::from_secs(60));
}

/// Everything that changes a store, over and over.
fn churn(store: &Store, out: &Path) {
    let me = std::process::id();
    for n in 0.. {
        let text = format!("{me} {n}");
        let id = layer(store, &[("a/b", &text), ("c", "always the same")]);
        record(store, &text, &[id]);
        store.layers().ensure_diff_id(&id, None).unwrap();
        let image = image(store, &format!("config {text}"), &[id]);
        store.images().tag(&format!("app{}:latest", n % 3).parse().unwrap(), &image).unwrap();
        match n % 8 {
            3 => store.sync().unwrap(),
            5 => drop(store.prune(&PruneOptions::default()).unwrap()),
            7 => drop(store.images().remove(&format!("app{}", n % 3), true)),
            _ => {}
        }
        fs::write(out.join(me.to_string()), n.to_string()).unwrap();
    }
}

/// Counts how many are in a locked cache mount at a time.
fn mount(store: &Store, out: &Path) {
    for _ in 0..20 {
        let mount = store
            .mounts()
            .acquire("counter", gantry_cache::Sharing::Locked, &mut |_| Ok(()))
            .unwrap();
        let inside = mount.path().join("inside");
        let alone = fs::OpenOptions::new().write(true).create_new(true).open(&inside).is_ok();
        if !alone {
            fs::write(out.join("crowded"), "").unwrap();
        }
        let counter = mount.path().join("counter");
        let count: u32 = fs::read_to_string(&counter).map_or(0, |text| text.parse().unwrap());
        fs::write(&counter, (count + 1).to_string()).unwrap();
        fs::remove_file(&inside).unwrap();
    }
}

/// Fills a disk, and holds the store against its promises.
fn fill(root: &Path, out: &Path) {
    let store = reopen(root);
    let good = big_layer(&store, "good", 50_000);
    record(&store, "good", &[good]);
    let error = (0..200).find_map(|n| big_blob(&store, n).err()).expect("the disk gets full");
    assert!(error.is_full(), "{error:?}");
    crate::full_disk::fill_up(&out.join("filler"));
    assert_eq!(crate::support::check(&store).problems, []);
    let error = try_layer(&store).unwrap_err();
    assert!(error.is_full(), "{error:?}");
    drop(store);

    let store = reopen(root);
    let lease = store.lease();
    let error = try_record(&store, "one too many").unwrap_err();
    assert!(error.is_full(), "{error:?}");
    assert_eq!(crate::support::check(&store).problems, []);
    assert!(store.records().get(&key("good")).unwrap().is_some());
    // Not even a lease can be written, so nothing is kept; but the pruning works.
    drop(lease);
    let report = store.prune(&PruneOptions::default()).unwrap();
    assert_eq!(report.failures, [] as [&str; 0]);
    assert!(crate::full_disk::free(root) > 1 << 20, "{report:?}");
    record(&store, "room again", &[]);
    assert_eq!(crate::support::check(&store).problems, []);
}

fn reopen(root: &Path) -> Store {
    let options = gantry_cache::OpenOptions { create: true, ..Default::default() };
    Store::open(root, options).unwrap()
}

fn try_layer(store: &Store) -> Result<(), gantry_cache::StoreError> {
    let work = store.work_dir()?;
    let manifest = crate::support::manifest_of(&work.upper());
    store.layers().commit_tree(&work.upper(), &manifest)?;
    try_record(store, "noise")
}

fn big_blob(store: &Store, n: u32) -> Result<gantry_image::Digest, gantry_cache::StoreError> {
    use std::io::Write;
    let mut writer = store.blobs().writer()?;
    let bytes = [n.to_le_bytes(); 16_384].concat();
    writer
        .write_all(&bytes)
        .map_err(|error| gantry_cache::StoreError::io("write a blob", error))?;
    Ok(writer.finish(None)?.0)
}
