//! The rows about everyday builds, and the order of all.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::Options;
use crate::peer::{Peers, Rivals};
use crate::row::{Kind, Row, print, print_head};
use crate::workspace::{Problem, Workspace, paired, peak, run, settle};
use crate::{deep, floors, language, travel, trees};

/// What all rows are measured with.
pub(crate) struct Bench<'w> {
    pub(crate) workspace: &'w Workspace,
    pub(crate) options: &'w Options,
    pub(crate) rivals: Rivals<'w>,
}

/// Measures every row, one after the other, in one temporary directory, and prints it.
pub(crate) fn measure(options: &Options) -> Result<(), Problem> {
    let workspace = Workspace::new(&options.gantry)?;
    print_head(options.json);
    if options.text {
        let context = workspace.context("large", "", options.files)?;
        print(&language::lowering(&workspace, options.runs * 20)?, options.json);
        print(&language::ignoring(&context, options.files, options.runs * 2)?, options.json);
        return Ok(());
    }
    workspace.import_busybox()?;
    let rivals = Rivals::new(&workspace, options.peer_runs)?;
    let bench = Bench { workspace: &workspace, options, rivals };
    type Group = fn(&Bench<'_>) -> Result<(), Problem>;
    let groups: [(&str, Group); 8] = [
        ("cached", cached),
        ("stages", deep::stages),
        ("files", large_context),
        ("steps", deep::steps),
        ("chatty", chatty),
        ("layers", deep::layers),
        ("travel", travel::all),
        ("trees", trees::all),
    ];
    if options.only.is_none() {
        bench.print(&language::lowering(&workspace, options.runs * 20)?);
    }
    let wanted = |name: &str| options.only.as_ref().is_none_or(|only| name.contains(only));
    groups.into_iter().filter(|(name, _)| wanted(name)).try_for_each(|(_, group)| group(&bench))
}

impl Bench<'_> {
    /// Prints a row as it was asked for.
    pub(crate) fn print(&self, row: &Row) {
        print(row, self.options.json);
    }

    /// What the peers take for a build that they have just done.
    pub(crate) fn rebuilt(&self, context: &Path) -> Result<Peers<Option<Duration>>, Problem> {
        self.rivals.measure(|peer| {
            run(&mut peer.build(&[], context))?;
            run(&mut peer.build(&[], context))
        })
    }

    /// What the peers take for a build without their caches.
    pub(crate) fn cold(&self, context: &Path) -> Result<Peers<Option<Duration>>, Problem> {
        self.rivals.measure(|peer| {
            settle()?;
            run(&mut peer.build(&["--no-cache"], context))
        })
    }

    /// A build of `context` by gantry.
    pub(crate) fn build(&self, tag: &str, flags: &[&str], context: &Path) -> Command {
        let mut build = self.workspace.gantry(["build", "-q", "-t", tag]);
        build.args(flags).arg(context);
        build
    }

    /// Builds twice: the context index trusts what is older than the clock's grain.
    pub(crate) fn warm(&self, tag: &str, flags: &[&str], context: &Path) -> Result<(), Problem> {
        run(&mut self.build(tag, flags, context))?;
        std::thread::sleep(Duration::from_millis(50));
        run(&mut self.build(tag, flags, context)).map(drop)
    }
}

/// A rebuild with nothing to do, over a context of a few hundred files. The budget is 8 ms; the
/// floor, a gantry process that only prints its version, took 1.4 ms where that was set.
fn cached(bench: &Bench<'_>) -> Result<(), Problem> {
    let dockerfile =
        "FROM busybox\nWORKDIR /app\nCOPY src src\nRUN ls src > list\nCMD [\"cat\", \"list\"]\n";
    let context = bench.workspace.context("small", dockerfile, 300)?;
    bench.warm("small", &[], &context)?;
    let build = || bench.build("small", &[], &context);
    let (gantry, floor) = paired(
        bench.options.runs * 4,
        |_| run(&mut build()),
        |_| run(&mut bench.workspace.gantry(["version"])),
    )?;
    bench.print(&Row {
        kind: Kind::Cached,
        work: "cached rebuild, 300 context files".to_owned(),
        gantry,
        floor,
        budget: Some(8.0 / 1.4),
        floor_is: "the same binary printing its version",
        memory: peak(&mut build())?,
        peers: bench.rebuilt(&context)?,
    });
    Ok(())
}

/// A step that computes and prints 2 million lines, with its log stored; and the same with what it
/// prints read by a `cat` beside it.
fn chatty(bench: &Bench<'_>) -> Result<(), Problem> {
    let lines = "awk 'BEGIN { for (i = 0; i < 2000000; i++) { x = (x * 31 + i) % 65521; \
                 print i, x, \"a line as long as those that a compiler is called by and prints\" } }'";
    let text = |step: &str| format!("FROM busybox\nRUN {step}\n");
    let told = bench.workspace.context("told", &text(lines), 1)?;
    let read = format!("--mount=type=tmpfs,target=/t {lines} | cat > /t/out");
    let read = bench.workspace.context("read", &text(&read), 1)?;
    let build = |context| bench.build("chatty", &["--no-cache"], context);
    let (gantry, floor) =
        paired(bench.options.runs, |_| run(&mut build(&told)), |_| run(&mut build(&read)))?;
    bench.print(&Row {
        kind: Kind::Chatty,
        work: "RUN that prints 2 million lines".to_owned(),
        gantry,
        floor,
        budget: Some(1.05),
        floor_is: "the same step, read by `cat > file` in it",
        memory: peak(&mut build(&told))?,
        peers: bench.cold(&told)?,
    });
    Ok(())
}

/// Four rows over one context of many files: the cached rebuild, what ignore patterns would add to
/// the walk, COPY and a RUN on top, and the rebuild after one file has changed.
fn large_context(bench: &Bench<'_>) -> Result<(), Problem> {
    let (workspace, options) = (bench.workspace, bench.options);
    let files = options.files;
    let dockerfile = "FROM busybox\nCOPY src /src\nRUN true\n";
    let context = workspace.context("large", dockerfile, files)?;
    let source = context.join("src");
    let place = |kind: &str, turn: usize| workspace.path(&format!("{kind}{turn}"));
    let build = |flags: &[&str]| bench.build("large", flags, &context);
    let as_tar = mounts_tars(workspace)?;

    // Each run copies anew, without the cache.
    let (gantry, floor) = paired(
        options.runs,
        |_| {
            settle()?;
            run(&mut build(&["--no-cache"]))
        },
        |turn| match as_tar {
            true => floors::pack(&source),
            false => floors::copy(&source, &place("copy", turn)),
        },
    )?;
    bench.print(&Row {
        kind: Kind::CopyFiles,
        work: format!("COPY of {files} files, and a RUN on top"),
        gantry,
        floor,
        budget: Some(if as_tar { 1.3 } else { 1.2 }),
        floor_is: if as_tar { "tar | sha256" } else { "cp -a" },
        memory: peak(&mut build(&["--no-cache"]))?,
        peers: bench.cold(&context)?,
    });

    bench.warm("large", &[], &context)?;
    let (gantry, floor) =
        paired(options.runs * 2, |_| run(&mut build(&[])), |_| floors::walk(&context))?;
    bench.print(&Row {
        kind: Kind::CachedFiles,
        work: format!("cached rebuild, {files} context files"),
        gantry,
        floor,
        budget: Some(1.3),
        floor_is: "walk + lstat on 2 threads",
        memory: peak(&mut build(&[]))?,
        peers: bench.rebuilt(&context)?,
    });
    bench.print(&language::ignoring(&context, files, options.runs * 2)?);

    let change = || {
        let text = format!("changed at {:?}\n", std::time::SystemTime::now());
        fs_err::write(source.join("d0000/f000007.txt"), text)?;
        settle()
    };
    let (gantry, floor) = paired(
        options.runs,
        |_| {
            change()?;
            run(&mut build(&[]))
        },
        |turn| match as_tar {
            true => floors::copy_and_hash(workspace, &place("tar", turn)),
            false => floors::hard_link(&source, &place("links", turn)),
        },
    )?;
    change()?;
    let memory = peak(&mut build(&[]))?;
    bench.print(&Row {
        kind: Kind::ChangedFile,
        work: format!("one of {files} files changed, rebuild"),
        gantry,
        floor,
        budget: Some(1.5),
        floor_is: if as_tar { "the layer's tar copied and hashed" } else { "cp -al" },
        memory,
        peers: bench.rivals.measure(|peer| {
            change()?;
            run(&mut peer.build(&[], &context))
        })?,
    });
    Ok(())
}

/// Says whether layers are tars here that steps run on.
fn mounts_tars(workspace: &Workspace) -> Result<bool, Problem> {
    let info = workspace.gantry(["info"]).output()?.stdout;
    Ok(String::from_utf8(info)?.contains("can be mounted from their tars"))
}
