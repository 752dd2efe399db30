//! Measures walking, hashing, copying and removing against `find` and `cp`.
//!
//! ```text
//! cargo run -p gantry-tree --release --example measure -- [DIRECTORY] [FILES] [BYTES]
//! ```
//!
//! Makes a tree of small files below DIRECTORY (the temporary one by default), runs each row
//! several times and prints the shortest time of each. Everything is warm: the files were just made.
//!
//! On ext4 without a journal, an inode is not used again for up to five minutes after its deletion,
//! and creating files then searches past all such inodes: figures taken soon after a large deletion
//! on the same disk (by this program's last run, say) are several times too high.
//! `GANTRY_MEASURE_WORKERS` sets how many threads copy.
#![expect(clippy::print_stdout, reason = "printing figures is what this is for")]
#![forbid(unsafe_code)]

use std::error::Error;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use gantry_tree::{
    Contents, CopyPlan, Donor, Manifest, Overrides, Root, Scan, ScanOptions, TreePath, View, copy,
    remove_tree, scan,
};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const ROUNDS: usize = 3;
const IN_A_DIRECTORY: usize = 50;

fn main() -> Outcome {
    let mut args = std::env::args().skip(1);
    let below = args.next().map_or_else(std::env::temp_dir, Into::into);
    let files = args.next().map_or(Ok(50_000), |count| count.parse())?;
    let bytes = args.next().map_or(Ok(1024), |count| count.parse())?;
    let place = below.join(format!("gantry-measure-{}", std::process::id()));
    let outcome = measure(&place, files, bytes);
    remove_tree(&place)?;
    outcome
}

fn measure(place: &Path, files: usize, bytes: usize) -> Outcome {
    let source = place.join("source");
    make(&source, files, bytes)?;
    let root = Root::open(&source)?;
    let entries = scan(&root, &ScanOptions::default())?.manifest.entries().len();
    println!("{files} files of {bytes} bytes, {entries} entries; the shortest of {ROUNDS}\n");

    let find = row("find -ls", None, || run(Command::new("find").arg(&source).arg("-ls")))?;
    let stat_only = ScanOptions { contents: Contents::Skip, ..ScanOptions::default() };
    row("scan, stat only", Some(find), || Ok(scan(&root, &stat_only).map(drop)?))?;
    let whole = scan(&root, &ScanOptions::default())?;
    let index = Index::of(&whole);
    let known = |path: &TreePath, stat: &gantry_tree::Stat| index.get(path, stat);
    let indexed = ScanOptions { known: Some(&known), ..ScanOptions::default() };
    row("scan, all contents known", Some(find), || Ok(scan(&root, &indexed).map(drop)?))?;
    row("scan, hashing", Some(find), || Ok(scan(&root, &ScanOptions::default()).map(drop)?))?;
    let encoded = whole.manifest.encode();
    row("manifest, decode", None, || Ok(Manifest::decode(&encoded).map(drop)?))?;
    row("manifest, content digest", None, || {
        std::hint::black_box(whole.manifest.content_digest());
        Ok(())
    })?;
    row("view, walk of 3 equal layers", None, || {
        let layers = [&whole.manifest, &whole.manifest, &whole.manifest];
        std::hint::black_box(View::new(&layers).walk(&TreePath::root()));
        Ok(())
    })?;

    let (mut cp, mut both, mut alone, mut linked) =
        (Duration::MAX, Duration::MAX, Duration::MAX, Duration::MAX);
    // In turns, and each into a place of its own: what else the disk does, and what was deleted
    // lately, makes more of a difference than anything here.
    for round in 0..ROUNDS {
        let target = |name: &str| place.join(format!("{name}{round}"));
        cp = cp.min(time(|| run(Command::new("cp").arg("-a").arg(&source).arg(target("cp"))))?);
        both = both.min(time(|| {
            let listed = scan(&root, &stat_only)?;
            copy_to(&root, &listed.manifest, &target("both"), None)
        })?);
        alone = alone.min(time(|| copy_to(&root, &whole.manifest, &target("alone"), None))?);
        let donor_root = Root::open(target("alone"))?;
        let donor = Donor { root: &donor_root, manifest: &whole.manifest };
        let linking = || copy_to(&root, &whole.manifest, &target("linked"), Some(donor));
        linked = linked.min(time(linking)?);
    }
    show("cp -a", cp, None);
    show("scan (stat only) + copy, hashing", both, Some(cp));
    show("copy after a hashing scan, verifying", alone, Some(cp));
    show("copy by links from an equal layer", linked, Some(cp));
    let rm = time(|| run(Command::new("rm").arg("-r").arg(place.join("cp0"))))?;
    show("rm -r, once", rm, None);
    let removed = time(|| Ok(remove_tree(place.join("both0"))?))?;
    show("remove_tree, once", removed, Some(rm));
    Ok(())
}

fn copy_to(root: &Root, manifest: &Manifest, to: &Path, donor: Option<Donor<'_>>) -> Outcome {
    fs_err::create_dir(to)?;
    let workers = std::env::var("GANTRY_MEASURE_WORKERS").map_or(Ok(0), |n| n.parse())?;
    let mut plan = CopyPlan { donor, workers, ..CopyPlan::default() };
    let top = TreePath::root();
    plan.add_subtree(0, manifest, &top, &top, &Overrides::default());
    copy(&[root], &Root::open(to)?, &plan)?;
    Ok(())
}

/// What a build remembers of its context, in the simplest form.
struct Index(std::collections::HashMap<TreePath, (u64, u64, gantry_tree::ContentId)>);

impl Index {
    fn of(scan: &Scan) -> Self {
        let line = |(path, stat, content): (&TreePath, &gantry_tree::Stat, _)| {
            (path.clone(), (stat.ino, stat.size, content))
        };
        Self(scan.indexable().map(line).collect())
    }

    fn get(&self, path: &TreePath, stat: &gantry_tree::Stat) -> Option<gantry_tree::ContentId> {
        let (ino, size, content) = self.0.get(path)?;
        ((*ino, *size) == (stat.ino, stat.size)).then_some(*content)
    }
}

fn make(source: &Path, files: usize, bytes: usize) -> Outcome {
    for index in 0..files {
        let number = index / IN_A_DIRECTORY;
        let dir = source.join(format!("part{}", number % 20)).join(format!("dir{number}"));
        if index % IN_A_DIRECTORY == 0 {
            fs_err::create_dir_all(&dir)?;
        }
        let mut content = format!("file {index}\n").into_bytes();
        content.resize(bytes, b'.');
        fs_err::write(dir.join(format!("file{index}.txt")), content)?;
    }
    Ok(())
}

fn run(command: &mut Command) -> Outcome {
    let status = command.stdout(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}").into()) }
}

fn time(mut work: impl FnMut() -> Outcome) -> Outcome<Duration> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed())
}

fn row(
    name: &str,
    floor: Option<Duration>,
    mut work: impl FnMut() -> Outcome,
) -> Outcome<Duration> {
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        best = best.min(time(&mut work)?);
    }
    show(name, best, floor);
    Ok(best)
}

fn show(name: &str, took: Duration, floor: Option<Duration>) {
    let took = took.as_secs_f64();
    let ratio = floor.map_or(String::new(), |floor| format!("{:.2}x", took / floor.as_secs_f64()));
    println!("{name:<40} {:>9.1} ms {ratio:>7}", took * 1000.0);
}
