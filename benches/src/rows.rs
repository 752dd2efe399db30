//! The rows of the table: what gantry does, its floor, and the ratio to design for.

use std::path::Path;
use std::time::Duration;

use crate::Options;
use crate::floors;
use crate::language;
use crate::peer::Peer;
use crate::workspace::{Problem, Workspace, paired, run, settle};

/// One line of the table; times are medians.
pub(crate) struct Row {
    pub(crate) work: String,
    pub(crate) gantry: Duration,
    pub(crate) floor: Duration,
    /// The largest ratio that the design allows.
    pub(crate) budget: f64,
    pub(crate) floor_is: &'static str,
    /// What the peer took for the same.
    pub(crate) peer: Option<Duration>,
}

impl Row {
    pub(crate) fn ratio(&self) -> f64 {
        self.gantry.as_secs_f64() / self.floor.as_secs_f64().max(1e-9)
    }
}

/// Measures every row, one after the other, in one temporary directory.
pub(crate) fn measure(options: &Options) -> Result<Vec<Row>, Problem> {
    let workspace = Workspace::new(&options.gantry)?;
    if options.text {
        let context = workspace.context("large", "", options.files)?;
        return Ok(vec![
            language::lowering(&workspace, options.runs * 20)?,
            language::ignoring(&context, options.files, options.runs * 2)?,
        ]);
    }
    workspace.import_busybox()?;
    let peer = match options.peer_runs {
        0 => None,
        runs => Peer::new(&workspace, runs)?,
    };
    let peer = peer.as_ref();
    let mut rows = vec![
        language::lowering(&workspace, options.runs * 20)?,
        cached(&workspace, options, peer)?,
        many_stages(&workspace, options, peer)?,
    ];
    rows.extend(large_context(&workspace, options, peer)?);
    rows.push(step(&workspace, options, peer)?);
    Ok(rows)
}

/// A rebuild with nothing to do, over a context of a few hundred files. The budget is 8 ms; the
/// floor, a gantry process that only prints its version, took 1.4 ms where that was set.
fn cached(
    workspace: &Workspace,
    options: &Options,
    peer: Option<&Peer<'_>>,
) -> Result<Row, Problem> {
    let dockerfile =
        "FROM busybox\nWORKDIR /app\nCOPY src src\nRUN ls src > list\nCMD [\"cat\", \"list\"]\n";
    let context = workspace.context("small", dockerfile, 300)?;
    let mut build = workspace.gantry(["build", "-q", "-t", "small"]);
    build.arg(&context);
    run(&mut build)?;
    // The context index trusts what is older than the clock's grain; let it be.
    std::thread::sleep(Duration::from_millis(50));
    run(&mut build)?;
    let runs = options.runs * 4;
    let (gantry, floor) =
        paired(runs, |_| run(&mut build), |_| run(&mut workspace.gantry(["version"])))?;
    Ok(Row {
        work: "cached rebuild, 300 context files".to_owned(),
        gantry,
        floor,
        budget: 8.0 / 1.4,
        floor_is: "the same binary printing its version",
        peer: rebuilt(peer, &context)?,
    })
}

/// What the peer takes for a build that it has just done.
fn rebuilt(peer: Option<&Peer<'_>>, context: &Path) -> Result<Option<Duration>, Problem> {
    let Some(peer) = peer else { return Ok(None) };
    run(&mut peer.build(&[], context))?;
    peer.measure(|peer| run(&mut peer.build(&[], context))).map(Some)
}

/// A rebuild with nothing to do, of 500 instructions in 50 stages that copy from one another.
fn many_stages(
    workspace: &Workspace,
    options: &Options,
    peer: Option<&Peer<'_>>,
) -> Result<Row, Problem> {
    let mut text = String::new();
    for stage in 0..50 {
        text += &format!("FROM busybox AS s{stage}\nWORKDIR /w\n");
        if stage > 0 {
            text += &format!("COPY --from=s{} /w/out /w/in\n", stage - 1);
        } else {
            text += "COPY src /w/in\n";
        }
        for number in 0..6 {
            text += &format!("ENV N{number}=v{stage}\n");
        }
        text += &format!("RUN mkdir out && echo {stage} > out/s\n");
    }
    let context = workspace.context("stages", &text, 3)?;
    let mut build = workspace.gantry(["build", "-q", "-t", "stages"]);
    build.arg(&context);
    run(&mut build)?;
    std::thread::sleep(Duration::from_millis(50));
    run(&mut build)?;
    let (gantry, floor) =
        paired(options.runs * 4, |_| run(&mut build), |_| run(&mut workspace.gantry(["version"])))?;
    Ok(Row {
        work: "cached rebuild, 500 instructions, 50 stages".to_owned(),
        gantry,
        floor,
        budget: 26.0 / 1.4,
        floor_is: "the same binary printing its version; the budget is 26 ms",
        peer: rebuilt(peer, &context)?,
    })
}

/// Four rows over one context of many files: COPY and a RUN on top, the cached rebuild, the rebuild
/// after one file has changed, and what ignore patterns would add to the walk.
fn large_context(
    workspace: &Workspace,
    options: &Options,
    peer: Option<&Peer<'_>>,
) -> Result<Vec<Row>, Problem> {
    let files = options.files;
    let dockerfile = "FROM busybox\nCOPY src /src\nRUN true\n";
    let context = workspace.context("large", dockerfile, files)?;
    let source = context.join("src");
    let place = |kind: &str, turn: usize| workspace.path(&format!("{kind}{turn}"));
    let build = || {
        let mut build = workspace.gantry(["build", "-q", "-t", "large"]);
        build.arg(&context);
        build
    };

    // Each run copies anew, without the cache.
    let (gantry, floor) = paired(
        options.runs,
        |_| {
            settle()?;
            run(build().arg("--no-cache"))
        },
        |turn| floors::copy(&source, &place("copy", turn)),
    )?;
    let copy = Row {
        work: format!("COPY of {files} files, and a RUN on top"),
        gantry,
        floor,
        budget: 1.2,
        floor_is: "cp -a",
        peer: match peer {
            Some(peer) => Some(peer.measure(|peer| {
                settle()?;
                run(&mut peer.build(&["--no-cache"], &context))
            })?),
            None => None,
        },
    };

    run(&mut build())?;
    let (gantry, floor) =
        paired(options.runs * 2, |_| run(&mut build()), |_| floors::walk(&context))?;
    let cached = Row {
        work: format!("cached rebuild, {files} context files"),
        gantry,
        floor,
        budget: 1.3,
        floor_is: "walk + lstat on 2 threads",
        peer: rebuilt(peer, &context)?,
    };

    let change = || {
        let text = format!("changed at {:?}\n", std::time::SystemTime::now());
        fs_err::write(source.join("d0000/f000007.txt"), text)?;
        settle()
    };
    let (gantry, floor) = paired(
        options.runs,
        |_| {
            change()?;
            run(&mut build())
        },
        |turn| floors::hard_link(&source, &place("links", turn)),
    )?;
    let changed = Row {
        work: format!("one of {files} files changed, rebuild"),
        gantry,
        floor,
        budget: 1.5,
        floor_is: "cp -al",
        peer: match peer {
            Some(peer) => Some(peer.measure(|peer| {
                change()?;
                run(&mut peer.build(&[], &context))
            })?),
            None => None,
        },
    };
    let ignoring = language::ignoring(&context, files, options.runs * 2)?;
    Ok(vec![cached, ignoring, copy, changed])
}

/// What a RUN step costs: the difference between a build of many and a build of one, over the
/// number of steps between them.
fn step(workspace: &Workspace, options: &Options, peer: Option<&Peer<'_>>) -> Result<Row, Problem> {
    const STEPS: usize = 100;
    let one = workspace.context("one", "FROM busybox\nRUN true\n", 0)?;
    let many = format!("FROM busybox\n{}", "RUN true\n".repeat(STEPS + 1));
    let many = workspace.context("many", &many, 0)?;
    let build = |context: &Path| {
        let mut build = workspace.gantry(["build", "-q", "--no-cache", "--network", "none"]);
        build.arg(context);
        run(&mut build)
    };
    let (gantry, floor) = paired(
        options.runs,
        |_| {
            let (few, all) = (build(&one)?, build(&many)?);
            Ok(all.saturating_sub(few) / u32::try_from(STEPS)?)
        },
        |turn| floors::step(workspace, turn, STEPS),
    )?;
    let peer = match peer {
        Some(peer) => Some(peer.measure(|peer| {
            let few = run(&mut peer.build(&["--no-cache"], &one))?;
            let all = run(&mut peer.build(&["--no-cache"], &many))?;
            Ok(all.saturating_sub(few) / u32::try_from(STEPS)?)
        })?),
        None => None,
    };
    Ok(Row {
        work: format!("one RUN step, mean of {STEPS}"),
        gantry,
        floor,
        budget: 1.5,
        floor_is: "clone + overlay + mounts + pivot_root + exec",
        peer,
    })
}
