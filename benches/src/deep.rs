//! Rows about long and wide Dockerfiles: many stages, many steps, many layers.

use std::time::Duration;

use crate::floors;
use crate::row::{Kind, Row};
use crate::rows::Bench;
use crate::workspace::{Problem, median, paired, peak, run};

/// 500 instructions in 50 stages that copy from one another: with nothing to do, with everything,
/// and with the first step changed, upon which all others depend.
pub(crate) fn stages(bench: &Bench<'_>) -> Result<(), Problem> {
    const STAGES: usize = 50;
    let text = |first: &str| {
        let mut text = String::new();
        for stage in 0..STAGES {
            text += &format!("FROM busybox AS s{stage}\nWORKDIR /w\n");
            if stage > 0 {
                text += &format!("COPY --from=s{} /w/out /w/in\n", stage - 1);
            } else {
                text += "COPY src /w/in\n";
            }
            for number in 0..6 {
                text += &format!("ENV N{number}=v{stage}\n");
            }
            text += &match stage {
                0 => format!("RUN mkdir out && echo 0{first} > out/s\n"),
                _ => format!("RUN mkdir out && cat in/s > out/s && echo {stage} >> out/s\n"),
            };
        }
        text
    };
    let context = bench.workspace.context("stages", &text(""), 3)?;
    let alone = ["--network", "none"];
    bench.warm("stages", &alone, &context)?;
    let (gantry, floor) = paired(
        bench.options.runs * 4,
        |_| run(&mut bench.build("stages", &alone, &context)),
        |_| run(&mut bench.workspace.gantry(["version"])),
    )?;
    bench.print(&Row {
        kind: Kind::CachedStages,
        work: "cached rebuild, 500 instructions, 50 stages".to_owned(),
        gantry,
        floor,
        budget: Some(26.0 / 1.4),
        floor_is: "the same binary printing its version; the budget is 26 ms",
        memory: peak(&mut bench.build("stages", &alone, &context))?,
        peers: bench.rebuilt(&context)?,
    });

    let bare = floors::step(bench.workspace, "stages", 100)? * u32::try_from(STAGES)?;
    let all = ["--network", "none", "--no-cache"];
    let times = (0..bench.options.runs).map(|_| run(&mut bench.build("stages", &all, &context)));
    bench.print(&Row {
        kind: Kind::ColdStages,
        work: "500 instructions, 50 stages, nothing cached".to_owned(),
        gantry: median(times.collect::<Result<_, _>>()?),
        floor: bare,
        budget: None,
        floor_is: "50 bare steps",
        memory: peak(&mut bench.build("stages", &all, &context))?,
        peers: bench.cold(&context)?,
    });

    let mut number = 0;
    let mut change = || -> Result<(), Problem> {
        number += 1;
        Ok(fs_err::write(context.join("Dockerfile"), text(&format!(" {number}")))?)
    };
    let mut times = Vec::new();
    for _ in 0..bench.options.runs {
        change()?;
        times.push(run(&mut bench.build("stages", &alone, &context))?);
    }
    change()?;
    let memory = peak(&mut bench.build("stages", &alone, &context))?;
    bench.print(&Row {
        kind: Kind::ChangedStages,
        work: "500 instructions, 50 stages, first step changed".to_owned(),
        gantry: median(times),
        floor: bare,
        budget: None,
        floor_is: "50 bare steps",
        memory,
        peers: bench.rivals.measure(|peer| {
            change()?;
            run(&mut peer.build(&[], &context))
        })?,
    });
    Ok(())
}

/// What a RUN step costs: the difference between a build of many and a build of one, over the
/// number of steps between them. And the build of many as a whole.
pub(crate) fn steps(bench: &Bench<'_>) -> Result<(), Problem> {
    const STEPS: usize = 100;
    let (workspace, options) = (bench.workspace, bench.options);
    let file = |count: usize| format!("FROM busybox\n{}", "RUN true\n".repeat(count));
    let one = workspace.context("one", &file(1), 0)?;
    let many = workspace.context("many", &file(STEPS + 1), 0)?;
    let mean = |few: Duration, all: Duration| -> Result<Duration, Problem> {
        Ok(all.saturating_sub(few) / u32::try_from(STEPS)?)
    };
    let flags = ["--no-cache", "--network", "none"];
    let (gantry, floor) = paired(
        options.runs,
        |_| {
            let few = run(&mut bench.build("one", &flags, &one))?;
            mean(few, run(&mut bench.build("many", &flags, &many))?)
        },
        |turn| floors::step(workspace, &format!("one{turn}"), STEPS),
    )?;
    bench.print(&Row {
        kind: Kind::Step,
        work: format!("one RUN step, mean of {STEPS}"),
        gantry,
        floor,
        budget: Some(1.5),
        floor_is: "clone + overlay + mounts + pivot_root + exec",
        memory: None,
        peers: bench.rivals.measure(|peer| {
            let few = run(&mut peer.build(&["--no-cache"], &one))?;
            mean(few, run(&mut peer.build(&["--no-cache"], &many))?)
        })?,
    });

    let count = if options.full { 2000 } else { STEPS };
    let all = workspace.context("all", &file(count), 0)?;
    let times = (0..options.runs.min(3)).map(|_| run(&mut bench.build("all", &flags, &all)));
    bench.print(&Row {
        kind: Kind::Steps,
        work: format!("{count} x RUN true"),
        gantry: median(times.collect::<Result<_, _>>()?),
        floor: floor * u32::try_from(count)?,
        budget: None,
        floor_is: "as many bare steps",
        memory: peak(&mut bench.build("all", &flags, &all))?,
        // A stage of so many layers is beyond what the peers can mount.
        peers: if options.full { Default::default() } else { bench.cold(&all)? },
    });
    bench.warm("all", &["--network", "none"], &all)?;
    let (gantry, floor) = paired(
        options.runs,
        |_| run(&mut bench.build("all", &["--network", "none"], &all)),
        |_| run(&mut workspace.gantry(["version"])),
    )?;
    bench.print(&Row {
        kind: Kind::Steps,
        work: format!("cached rebuild, {count} x RUN true"),
        gantry,
        floor,
        budget: None,
        floor_is: "the same binary printing its version",
        memory: peak(&mut bench.build("all", &["--network", "none"], &all))?,
        peers: if options.full { Default::default() } else { bench.rebuilt(&all)? },
    });
    Ok(())
}

/// A stage whose steps all leave a layer of their own.
pub(crate) fn layers(bench: &Bench<'_>) -> Result<(), Problem> {
    let (workspace, options) = (bench.workspace, bench.options);
    let count: u32 = if options.full { 300 } else { 50 };
    let mut text = "FROM busybox\n".to_owned();
    for number in 0..count {
        text += &format!("RUN echo {number} > /f{number}\n");
    }
    let context = workspace.context("layers", &text, 0)?;
    let alone = ["--network", "none"];
    let cold = ["--network", "none", "--no-cache"];
    let bare = floors::step(workspace, "layers", 100)? * count;
    let times = (0..options.runs.min(3)).map(|_| run(&mut bench.build("layers", &cold, &context)));
    bench.print(&Row {
        kind: Kind::Layers,
        work: format!("a stage of {count} layers, nothing cached"),
        gantry: median(times.collect::<Result<_, _>>()?),
        floor: bare,
        budget: None,
        floor_is: "as many bare steps over one layer",
        memory: peak(&mut bench.build("layers", &cold, &context))?,
        // Docker's overlay takes 128 layers at most.
        peers: if options.full { Default::default() } else { bench.cold(&context)? },
    });
    bench.warm("layers", &alone, &context)?;
    let (gantry, floor) = paired(
        options.runs,
        |_| run(&mut bench.build("layers", &alone, &context)),
        |_| run(&mut workspace.gantry(["version"])),
    )?;
    bench.print(&Row {
        kind: Kind::Layers,
        work: format!("cached rebuild, a stage of {count} layers"),
        gantry,
        floor,
        budget: None,
        floor_is: "the same binary printing its version",
        memory: peak(&mut bench.build("layers", &alone, &context))?,
        peers: if options.full { Default::default() } else { bench.rebuilt(&context)? },
    });
    Ok(())
}
