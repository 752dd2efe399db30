//! Pruning: what goes, what stays, why, and how much.

use std::time::{Duration, SystemTime};

use gantry_cache::{
    Budget, Caps, Filter, Keeping, Kind, LayerId, Pin, PruneOptions, PruneReport, Sharing, Store,
};
use gantry_image::layer::UnpackOptions;

use crate::support::{Fixture, big_layer, image, is_root, key, layer, record};

fn prune(store: &Store, options: PruneOptions) -> PruneReport {
    let report = store.prune(&options).unwrap();
    assert_eq!(report.failures, [] as [&str; 0]);
    assert!(report.freed.iter().all(|freed| !freed.reason.is_empty()), "{report:?}");
    assert_eq!(report.bytes, report.freed.iter().map(|freed| freed.size).sum::<u64>());
    report
}

fn used(store: &Store) -> u64 {
    store.du().unwrap().iter().map(|usage| usage.size).sum()
}

fn there(store: &Store, id: &LayerId) -> bool {
    store.layers().get(id).unwrap().is_some()
}

#[test]
fn what_images_and_containers_use_stays() {
    let fixture = Fixture::new();
    let ids = ["named", "dangling", "pinned", "cache"].map(|n| layer(&fixture.store, &[(n, n)]));
    let [named, dangling, pinned, cache] = ids;
    let tagged = image(&fixture.store, "tagged", &[named]);
    fixture.store.images().tag(&"app".parse().unwrap(), &tagged).unwrap();
    let nameless = image(&fixture.store, "nameless", &[named, dangling]);
    fixture.store.pins().set("container:x", &[Pin::Layer(pinned)]).unwrap();
    record(&fixture.store, "cache", &[cache]);
    let fixture = fixture.reopened();
    let store = &fixture.store;

    let plan = prune(store, PruneOptions { dry_run: true, ..PruneOptions::default() });
    assert!(ids.iter().all(|id| there(store, id)), "a dry run changes nothing");
    let report = prune(store, PruneOptions::default());
    assert_eq!(plan.freed, report.freed, "a dry run says what happens");
    assert_eq!(ids.map(|id| there(store, &id)), [true, false, true, false]);
    assert!(store.images().get(&tagged).unwrap().is_some());
    assert!(store.blobs().open(&tagged).unwrap().is_some());
    assert!(store.images().get(&nameless).unwrap().is_none());
    assert!(store.blobs().open(&nameless).unwrap().is_none());
    fixture.clean();

    store.pins().clear("container:x").unwrap();
    prune(store, PruneOptions::default());
    assert!(!there(store, &pinned));
}

#[test]
fn a_budget_takes_the_least_recently_used_and_no_more_than_it_must() {
    let mut fixture = Fixture::new();
    let mut ids = Vec::new();
    for (name, seconds) in ["a", "b", "c", "d", "e"].into_iter().zip(0..) {
        fixture = fixture.at(seconds);
        ids.push(big_layer(&fixture.store, name, 1 << 20));
        record(&fixture.store, name, &ids[ids.len() - 1..]);
    }
    let fixture = fixture.reopened();
    let store = &fixture.store;
    let before = used(store);
    let budget =
        PruneOptions { max_used_space: Some(before - (3 << 19)), ..PruneOptions::default() };
    let report = prune(store, budget.clone());
    assert_eq!(
        ids.iter().map(|id| there(store, id)).collect::<Vec<_>>(),
        [false, false, true, true, true]
    );
    assert!(report.freed[0].reason.contains("least recently used"), "{report:?}");
    assert!(used(store) <= before - (3 << 19));
    assert_eq!(prune(store, budget).freed, []);
    // What is reserved is never pruned, whatever the budget says.
    let floor = used(store);
    let options = PruneOptions {
        max_used_space: Some(0),
        reserved_space: Some(floor),
        ..PruneOptions::default()
    };
    assert_eq!(prune(store, options).freed, []);
}

#[test]
fn a_budget_holds_after_every_step_of_many_builds() {
    let fixture = Fixture::new();
    let fixture = fixture.reopened();
    let budget = used(&fixture.store) + (4 << 20);
    for n in 0..40u32 {
        let store = fixture.again();
        let name = format!("{}", n * 7 % 13);
        if store.records().get(&key(&name)).unwrap().is_none() {
            let id = big_layer(&store, &name, (n as usize * 311 % 1000) << 10);
            record(&store, &name, &[id]);
        }
        let max_used_space = Some(budget);
        prune(&store, PruneOptions { max_used_space, ..PruneOptions::default() });
        assert!(used(&store) <= budget, "build {n}");
    }
    fixture.clean();
}

#[test]
fn filters_say_what_may_go() {
    let fixture = Fixture::new();
    let (old, new) = (layer(&fixture.store, &[("1", "1")]), layer(&fixture.store, &[("2", "2")]));
    record(&fixture.store, "RUN make", &[old]);
    record(&fixture.store, "RUN test", &[new]);
    fixture.store.blobs().put(b"blob").unwrap();
    let fixture = fixture.reopened();
    let store = &fixture.store;
    let freed = |filters: Vec<Filter>, later: u64| {
        let now = Some(SystemTime::now() + Duration::from_secs(later));
        let options = PruneOptions { filters, now, dry_run: true, ..PruneOptions::default() };
        prune(store, options).freed
    };
    assert_eq!(freed(vec![], 0).len(), 3);
    assert_eq!(freed(vec![Filter::Until(Duration::from_secs(3600))], 0), []);
    assert_eq!(freed(vec![Filter::Until(Duration::from_secs(3600))], 3601).len(), 3);
    assert_eq!(freed(vec![Filter::Kind(Kind::Blob)], 0).len(), 1);
    let id = old.to_string();
    let by_id = freed(vec![Filter::Id(id[..20].to_owned())], 0);
    assert_eq!(by_id.iter().map(|f| &f.id).collect::<Vec<_>>(), [&id]);
    let text = freed(vec![Filter::Description("make".to_owned())], 0);
    assert_eq!(text.iter().map(|f| &f.id).collect::<Vec<_>>(), [&id]);
    assert_eq!(text[0].description, "RUN make");
}

#[test]
fn a_form_that_another_brings_back_goes_before_any_layer() {
    if !is_root("unpacking a layer as root") {
        return;
    }
    let fixture = Fixture::new();
    let made = big_layer(&fixture.store, "x", 1 << 20);
    let mut bytes = Vec::new();
    let (diff_id, _) = fixture.store.layers().tar_stream(&made, None, &mut bytes).unwrap();
    let digest = fixture.store.blobs().put(&bytes).unwrap();
    let id = fixture.store.layers().add_blob(&diff_id, &digest, "tar").unwrap();
    fixture.store.layers().ensure_tree(&id, &UnpackOptions::root()).unwrap();
    let base = image(&fixture.store, "base", &[id]);
    fixture.store.images().tag(&"base".parse().unwrap(), &base).unwrap();
    record(&fixture.store, "x", &[made]);
    let fixture = fixture.reopened();
    let store = &fixture.store;

    let max_used_space = Some(used(store) - 1000);
    let report = prune(store, PruneOptions { max_used_space, ..PruneOptions::default() });
    assert_eq!(report.freed.len(), 1, "{report:?}");
    assert!(report.freed[0].reason.contains("bring the files back"), "{report:?}");
    assert!(there(store, &made));
    let layer = store.layers().get(&id).unwrap().unwrap();
    assert_eq!((layer.forms.tree, layer.forms.blobs.len()), (false, 1));
    fixture.clean();
    let layer = store.layers().ensure_tree(&id, &UnpackOptions::root()).unwrap();
    assert!(layer.tree().unwrap().join("x").is_file());
    fixture.clean();
}

/// What of an unused layer a blob could bring back goes with the layer, and is told once.
#[test]
fn a_layer_goes_whole_though_a_form_of_it_would_go_before() {
    if !is_root("unpacking a layer as root") {
        return;
    }
    let fixture = Fixture::new();
    let made = big_layer(&fixture.store, "x", 1 << 20);
    let mut bytes = Vec::new();
    let (diff_id, _) = fixture.store.layers().tar_stream(&made, None, &mut bytes).unwrap();
    let digest = fixture.store.blobs().put(&bytes).unwrap();
    let id = fixture.store.layers().add_blob(&diff_id, &digest, "tar").unwrap();
    fixture.store.layers().ensure_tree(&id, &UnpackOptions::root()).unwrap();
    let fixture = fixture.reopened();
    let store = &fixture.store;
    for budget in [None, Some(0)] {
        let options = PruneOptions {
            all: budget.is_none(),
            max_used_space: budget,
            dry_run: true,
            ..PruneOptions::default()
        };
        let plan = prune(store, options);
        let steps = plan.freed.iter().filter(|freed| freed.id == id.to_string());
        assert_eq!(steps.count(), 1, "{budget:?}: {plan:?}");
    }
    let usages = store.du().unwrap();
    let whole = usages.iter().filter(|usage| matches!(usage.kind, Kind::Layer | Kind::Blob));
    let expected: u64 = whole.map(|usage| usage.size).sum();
    let report = prune(store, PruneOptions { all: true, ..PruneOptions::default() });
    assert!(!there(store, &id) && !there(store, &made), "{report:?}");
    assert!(store.blobs().open(&digest).unwrap().is_none());
    assert_eq!(report.bytes, expected, "{report:?}");
    fixture.clean();
}

/// A layer that is there as a tar and as a directory loses the directory, and no layer goes.
#[test]
fn a_tree_goes_where_the_tar_stays() {
    if !is_root("unpacking a layer as root") {
        return;
    }
    let fixture = Fixture::new();
    let made = big_layer(&fixture.store, "x", 1 << 20);
    let work = fixture.store.work_dir().unwrap();
    let tar = work.scratch().join("layer.tar");
    let mut bytes = Vec::new();
    let (diff_id, _) = fixture.store.layers().tar_stream(&made, None, &mut bytes).unwrap();
    fs_err::write(&tar, &bytes).unwrap();
    let manifest = fixture.store.layers().ensure_manifest(&made).unwrap();
    let layers = fixture.store.layers();
    let id = layers.commit_tar(&tar, None, &manifest, diff_id, true).unwrap();
    layers.ensure_tree(&id, &UnpackOptions::root()).unwrap();
    let base = image(&fixture.store, "base", &[id]);
    fixture.store.images().tag(&"base".parse().unwrap(), &base).unwrap();
    record(&fixture.store, "x", &[made]);
    drop(work);
    let fixture = fixture.reopened();
    let store = &fixture.store;

    let size = || {
        let usages = store.du().unwrap();
        usages.iter().find(|usage| usage.id == id.to_string()).unwrap().size
    };
    let before = size();
    let max_used_space = Some(used(store) - 1000);
    let report = prune(store, PruneOptions { max_used_space, ..PruneOptions::default() });
    assert_eq!(report.freed.len(), 1, "{report:?}");
    assert!(report.freed[0].reason.contains("its tar can bring the files back"), "{report:?}");
    assert_eq!(size(), before - report.bytes, "it says what it frees");
    assert!(there(store, &made));
    let layer = store.layers().get(&id).unwrap().unwrap();
    assert_eq!((layer.forms.tree, layer.forms.tar), (false, true));
    drop(layer);
    fixture.clean();
    let layer = store.layers().ensure_tree(&id, &UnpackOptions::root()).unwrap();
    assert!(layer.tree().unwrap().join("x").is_file());
    fixture.clean();

    // Once nothing needs it, all of it goes, and is counted once.
    drop(layer);
    let fixture = fixture.reopened();
    let store = &fixture.store;
    store.images().remove("base", true).unwrap();
    let expected: u64 = store
        .du()
        .unwrap()
        .iter()
        .filter(|usage| usage.kind == Kind::Layer)
        .map(|usage| usage.size)
        .sum();
    let report = prune(store, PruneOptions { all: true, ..PruneOptions::default() });
    assert!(!there(store, &id) && !there(store, &made));
    let layers = report.freed.iter().filter(|freed| freed.kind == Kind::Layer);
    assert_eq!(layers.map(|freed| freed.size).sum::<u64>(), expected, "{report:?}");
    fixture.clean();
}

#[test]
fn what_dead_processes_left_goes_first() {
    let fixture = Fixture::new();
    let root = fixture.root();
    let orphan = root.join("layers").join("ab".repeat(32));
    fs_err::create_dir_all(orphan.join("tree")).unwrap();
    fs_err::create_dir_all(root.join("work/1-dead/dir-0/upper")).unwrap();
    fs_err::write(root.join("work/1-dead/owner"), "").unwrap();
    fs_err::write(root.join("blobs/sha256").join("cd".repeat(32)), "x").unwrap();
    let report = prune(&fixture.store, PruneOptions::default());
    assert_eq!(report.freed.len(), 3, "{report:?}");
    assert!(report.freed.iter().all(|freed| freed.reason.starts_with("left behind")));
    assert!(!orphan.exists() && !root.join("work/1-dead").exists());
    fixture.clean();
}

/// Puts a layer and the record of the step that made it.
fn made(store: &Store, name: &str, size: usize, took: Duration) -> LayerId {
    let id = big_layer(store, name, size);
    let layers = [id];
    let mut new = crate::support::new_record(key(name), &layers, name);
    new.took = took;
    store.records().put(&new).unwrap();
    id
}

#[test]
fn what_is_large_and_cheap_to_make_goes_before_what_is_small_and_dear() {
    // The oldest took long to make, the newest no time at all.
    let fixture = Fixture::new().at(0);
    let dear = made(&fixture.store, "dear", 1 << 20, Duration::from_secs(600));
    let fixture = fixture.at(1);
    let small = made(&fixture.store, "small", 100 << 10, Duration::from_millis(10));
    let cheap = made(&fixture.store, "cheap", 1 << 20, Duration::from_millis(10));
    let fixture = fixture.reopened();
    let store = &fixture.store;
    let max_used_space = Some(used(store) - (1 << 19));
    let options = PruneOptions { max_used_space, dry_run: true, ..PruneOptions::default() };
    let report = prune(store, options);
    assert_eq!(report.freed.len(), 1, "{report:?}");
    assert_eq!(report.freed[0].id, cheap.to_string());
    let all = PruneOptions { max_used_space: Some(0), dry_run: true, ..PruneOptions::default() };
    let order: Vec<String> = prune(store, all).freed.into_iter().map(|freed| freed.id).collect();
    assert_eq!(order, [cheap, small, dear].map(|id| id.to_string()));
}

#[test]
fn what_was_used_lately_is_kept_even_beyond_the_budget() {
    let fixture = Fixture::new();
    let id = made(&fixture.store, "x", 1 << 20, Duration::from_secs(1));
    let fixture = fixture.reopened();
    let store = &fixture.store;
    let options = |keep: u64, later: u64| PruneOptions {
        max_used_space: Some(0),
        keep: Some(Duration::from_secs(keep)),
        now: Some(SystemTime::now() + Duration::from_secs(later)),
        ..PruneOptions::default()
    };
    assert_eq!(prune(store, options(3600, 0)).freed, []);
    assert_eq!(prune(store, options(3600, 3601)).freed.len(), 1);
    assert!(!there(store, &id));
}

#[test]
fn a_store_keeps_to_its_budget_by_itself_but_not_at_the_cost_of_whom_uses_it() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    assert_eq!(store.budget().unwrap(), Budget::default());
    assert_eq!(store.keep_to_budget().unwrap(), PruneReport::default());
    let mine = made(store, "mine", 2 << 20, Duration::ZERO);
    let budget = Budget { max_size: Some(used(store) + (1 << 20)), ..Budget::default() };
    store.set_budget(&budget).unwrap();
    assert_eq!(fixture.again().budget().unwrap(), budget);
    let other = fixture.again();
    for n in 0..6 {
        made(&fixture.again(), &n.to_string(), 1 << 20, Duration::ZERO);
        let report = other.keep_to_budget().unwrap();
        assert!(report.freed.iter().all(|freed| freed.id != mine.to_string()), "{report:?}");
        assert!(used(&other) <= budget.max_size.unwrap(), "after {n}");
    }
    assert!(there(store, &mine));
    store.set_budget(&Budget::default()).unwrap();
    assert_eq!(other.budget().unwrap(), Budget::default());
    fixture.clean();
}

const DAY: Duration = Duration::from_secs(86400);

fn after(span: Duration) -> SystemTime {
    SystemTime::now() + span
}

/// No limit at all.
const ENDLESS: Caps = Caps { max_used: u64::MAX, min_free: 0, reserved: 0, temporary: u64::MAX };

#[test]
fn c8_09_the_default_limits_are_buildkits() {
    let gb = 1_000_000_000;
    let large = Caps::of_disk(2000 * gb);
    assert_eq!((large.max_used, large.min_free, large.reserved), (100 * gb, 400 * gb, 10 * gb));
    let small = Caps::of_disk(50 * gb);
    assert_eq!((small.max_used, small.min_free, small.reserved), (40 * gb, 10 * gb, 5 * gb));
    assert_eq!(small.temporary, 512_000_000);
}

#[test]
fn c8_09_a_store_that_nobody_prunes_stays_within_its_limits() {
    let fixture = Fixture::new();
    for n in 0..6 {
        made(&fixture.store, &n.to_string(), 1 << 20, Duration::from_secs(1));
    }
    let fixture = fixture.reopened();
    let store = &fixture.store;
    let before = used(store);
    let most = before - (3 << 19);
    assert_eq!(store.keep_to(&ENDLESS, after(DAY)).unwrap(), PruneReport::default());
    // What is reserved is never too much, however little is free.
    let full = Caps { min_free: u64::MAX, reserved: before, ..ENDLESS };
    assert_eq!(store.keep_to(&full, after(DAY)).unwrap(), PruneReport::default());
    let caps = Caps { max_used: most, ..ENDLESS };
    let report = store.keep_to(&caps, after(DAY)).unwrap();
    assert!(used(store) <= most, "{report:?}");
    assert!(report.freed.iter().all(|freed| freed.kind == Kind::Layer), "{report:?}");
    assert_eq!(report.freed.len(), 2, "and no more than had to go: {report:?}");
    store.keep_to(&full, after(DAY)).unwrap();
    let full = Caps { reserved: most - (1 << 20), ..full };
    store.keep_to(&full, after(DAY)).unwrap();
    assert!(used(store) <= most, "a full disk makes room down to what is reserved");
    fixture.clean();
}

#[test]
fn c8_09_what_is_made_again_easily_goes_after_two_days_beyond_its_share() {
    let fixture = Fixture::new();
    let layer = made(&fixture.store, "layer", 1 << 20, Duration::from_secs(1));
    let mut init = |dir: &std::path::Path| {
        fs_err::write(dir.join("data"), vec![b'x'; 1 << 20]).unwrap();
        Ok(())
    };
    drop(fixture.store.mounts().try_acquire("cache", Sharing::Shared, &mut init).unwrap());
    let fixture = fixture.reopened();
    let store = &fixture.store;
    let caps = Caps { temporary: 1 << 19, ..ENDLESS };
    let hours = |hours: u32| after(hours * (DAY / 24));
    assert_eq!(store.keep_to(&caps, hours(47)).unwrap().freed, []);
    let much = Caps { temporary: 4 << 20, ..ENDLESS };
    assert_eq!(store.keep_to(&much, hours(49)).unwrap().freed, []);
    let report = store.keep_to(&caps, hours(49)).unwrap();
    let kinds: Vec<Kind> = report.freed.iter().map(|freed| freed.kind).collect();
    assert_eq!(kinds, [Kind::CacheMount]);
    assert!(there(store, &layer));
    fixture.clean();
}

#[test]
fn c8_09_looking_after_itself_can_be_said_otherwise_and_turned_off() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    assert_eq!(store.keeps_to().unwrap(), Keeping::Defaults);
    let budget = Budget { max_size: Some(1), reserved: Some(2), ..Budget::default() };
    for keeping in [Keeping::Nothing, Keeping::Budget(budget), Keeping::Defaults] {
        store.set_keeping(&keeping).unwrap();
        assert_eq!(fixture.again().keeps_to().unwrap(), keeping);
    }
    made(store, "x", 1 << 20, Duration::ZERO);
    let fixture = fixture.reopened();
    let store = &fixture.store;
    store.set_keeping(&Keeping::Nothing).unwrap();
    assert_eq!(store.collect_garbage().unwrap(), PruneReport::default());
    let all = Budget { max_size: Some(1), ..Budget::default() };
    store.set_keeping(&Keeping::Budget(all)).unwrap();
    assert_eq!(store.collect_garbage().unwrap().freed.len(), 1);
    fixture.clean();
}
