//! Rows about trees of unusual shapes: COPY of one into the store, and the cached rebuild.

use std::path::Path;
use std::process::Command;

use crate::floors;
use crate::row::{Kind, Row};
use crate::rows::Bench;
use crate::workspace::{Problem, paired, peak, run, settle};

const COPY: &str = "FROM busybox\nCOPY src /src\n";

/// Two rows for each shape.
pub(crate) fn all(bench: &Bench<'_>) -> Result<(), Problem> {
    let full = bench.options.full;
    let pick = |small: u64, large: u64| if full { large } else { small };

    let files = usize::try_from(pick(5_000, 500_000))?;
    bench.workspace.context("very-many", COPY, files)?;
    both(bench, Kind::ManyFiles, "very-many", &format!("{files} files"))?;

    let megabytes = pick(64, 6_000);
    let src = bench.workspace.context("one-large", COPY, 0)?.join("src");
    // Bytes that no filesystem folds together.
    let fill = format!(
        "openssl enc -aes-128-ctr -K 00 -iv 00 -in /dev/zero 2>/dev/null | head -c {megabytes}000000 > large"
    );
    run(Command::new("sh").args(["-c", &fill]).current_dir(&src))?;
    both(bench, Kind::LargeFile, "one-large", &format!("one file of {megabytes} MB"))?;

    let depth = usize::try_from(pick(100, 1_000))?;
    let src = bench.workspace.context("deep", COPY, 0)?.join("src");
    // Names of two bytes: the whole path must stay below the kernel's 4096.
    let down = format!("for i in $(seq {depth}); do mkdir d && cd -P d && echo $i > f; done");
    run(Command::new("sh").args(["-c", &down]).current_dir(&src))?;
    both(bench, Kind::Deep, "deep", &format!("{depth} directories, one in the other"))?;

    let links = pick(1_000, 100_000);
    let src = bench.workspace.context("linked", COPY, 0)?.join("src");
    // Filesystems take 65,000 names of one file at most.
    for number in 0..links {
        let first = src.join(format!("first{}", number / 50_000));
        match number % 50_000 {
            0 => fs_err::write(first, "linked\n".repeat(100))?,
            _ => fs_err::hard_link(first, src.join(format!("link{number}")))?,
        }
    }
    both(bench, Kind::HardLinks, "linked", &format!("{links} hard links"))?;

    let megabytes = pick(256, 6_000);
    let src = bench.workspace.context("sparse", COPY, 0)?.join("src");
    let file = fs_err::File::create(src.join("sparse"))?;
    file.set_len(megabytes * 1_000_000)?;
    std::os::unix::fs::FileExt::write_all_at(file.file(), &[1; 4096], megabytes * 500_000)?;
    drop(file);
    both(bench, Kind::Sparse, "sparse", &format!("a file of {megabytes} MB with 4 KB of data"))
}

fn both(bench: &Bench<'_>, kind: Kind, name: &str, what: &str) -> Result<(), Problem> {
    let (workspace, options) = (bench.workspace, bench.options);
    let context = workspace.path(name);
    let source = context.join("src");
    let runs = if options.full { 1 } else { options.runs.min(3) };
    let build = |flags: &[&str], context: &Path| bench.build(name, flags, context);
    let (gantry, floor) = paired(
        runs,
        |_| {
            settle()?;
            run(&mut build(&["--no-cache"], &context))
        },
        |turn| floors::copy(&source, &workspace.path(&format!("{name}.copy{turn}"))),
    )?;
    bench.print(&Row {
        kind,
        work: format!("COPY, {what}"),
        gantry,
        floor,
        budget: None,
        floor_is: "cp -a",
        memory: peak(&mut build(&["--no-cache"], &context))?,
        peers: if options.full { Default::default() } else { bench.cold(&context)? },
    });
    bench.warm(name, &[], &context)?;
    let (gantry, floor) =
        paired(options.runs, |_| run(&mut build(&[], &context)), |_| floors::walk(&context))?;
    bench.print(&Row {
        kind,
        work: format!("cached rebuild, {what}"),
        gantry,
        floor,
        budget: None,
        floor_is: "walk + lstat on 2 threads",
        memory: peak(&mut build(&[], &context))?,
        peers: if options.full { Default::default() } else { bench.rebuilt(&context)? },
    });
    Ok(())
}
