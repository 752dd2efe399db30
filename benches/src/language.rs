//! Rows about text: what parsing, lowering and ignore patterns cost. Measured inside of this
//! process, since a process alone takes longer than they do.

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use gantry_parser::SourceFile;
use gantry_parser::ignore::{DirState, IgnoreFile};
use gantry_solver::lower::lower_text;
use gantry_solver::{BoxFuture, ImageRequest, LowerOptions, Resolve, ResolveError, ResolvedImage};

use crate::floors;
use crate::peer::Peers;
use crate::row::{Kind, Row};
use crate::workspace::{Problem, Workspace, paired};

/// A Dockerfile of 500 instructions, from its text to the graph of its steps. The budget is one
/// millisecond, whatever the floor takes.
pub(crate) fn lowering(workspace: &Workspace, runs: usize) -> Result<Row, Problem> {
    const BUDGET: Duration = Duration::from_millis(1);
    let path = workspace.path("Dockerfile.500");
    fs_err::write(&path, dockerfile(500))?;
    let options = LowerOptions::new("linux/amd64".parse()?);
    let (gantry, floor) = paired(
        runs,
        |_| {
            let start = Instant::now();
            let source = SourceFile::from_bytes("Dockerfile", &fs_err::read(&path)?);
            let lowered = at_once(lower_text(&source, &options, &Nothing))?;
            let lowered = black_box(lowered.map_err(|errors| format!("{errors:?}"))?);
            let took = start.elapsed();
            // A build uses the graph; throwing it away is not part of making it.
            drop(lowered);
            Ok(took)
        },
        |_| {
            let start = Instant::now();
            black_box(fs_err::read(&path)?);
            Ok(start.elapsed())
        },
    )?;
    Ok(Row {
        kind: Kind::Lowering,
        work: "500 instructions: read, parse, lower".to_owned(),
        gantry,
        floor,
        budget: Some(BUDGET.as_secs_f64() / floor.as_secs_f64()),
        floor_is: "reading the file; the budget is 1 ms",
        memory: None,
        peers: Peers::default(),
    })
}

/// Ten stages of what Dockerfiles usually hold.
fn dockerfile(instructions: usize) -> String {
    let mut text = String::new();
    for number in 0..instructions {
        let stage = number / 50;
        let _ = match number % 10 {
            0 if number % 50 == 0 => writeln!(text, "FROM scratch AS stage{stage}"),
            0 => writeln!(text, "ARG VERSION{number}=1.{number}"),
            1 if number % 50 > 1 => {
                let arg = number - 1;
                writeln!(
                    text,
                    "ENV NAME{number}=\"value of $VERSION{arg}\" OTHER=${{VERSION{arg}:-x}}"
                )
            }
            2 => writeln!(text, "WORKDIR /srv/app{number}"),
            3 => writeln!(text, "COPY --chown=1000:1000 src/a{number} src/b* ./"),
            4 if stage > 0 => writeln!(text, "COPY --from=stage{} /out /in", stage - 1),
            5 => writeln!(text, "LABEL org.example.number=\"{number}\""),
            6 => writeln!(text, "RUN --mount=type=cache,target=/c <<EOF\nmake step{number}\nEOF"),
            _ => writeln!(
                text,
                "RUN echo {number} \\\n    && make part{number} \\\n    && rm -rf /tmp/*"
            ),
        };
    }
    text
}

/// Every path of a context of `files` files against 100 patterns, as a walk asks for them; the
/// walk itself is the floor.
pub(crate) fn ignoring(context: &Path, files: usize, runs: usize) -> Result<Row, Problem> {
    let patterns = IgnoreFile::parse(&patterns(100))?;
    let mut tree = Tree::default();
    list(context, context, &mut tree)?;
    let (gantry, floor) = paired(
        runs,
        |_| {
            let start = Instant::now();
            black_box(excluded(&patterns, &tree, &patterns.root()));
            Ok(start.elapsed())
        },
        |_| floors::walk(context),
    )?;
    Ok(Row {
        kind: Kind::Ignoring,
        work: format!("{files} paths against 100 ignore patterns"),
        gantry,
        floor,
        budget: Some(2.0),
        floor_is: "walk + lstat on 2 threads",
        memory: None,
        peers: Peers::default(),
    })
}

/// Patterns of all kinds, few of which match, and an exception.
fn patterns(count: usize) -> String {
    let mut text = String::from("!src/d0001/f000*.txt\n");
    for number in 1..count {
        let _ = match number % 6 {
            0 => writeln!(text, "**/*.tmp{number}"),
            1 => writeln!(text, "node_modules{number}"),
            2 => writeln!(text, "src/d00{number}/*9.txt"),
            3 => writeln!(text, "**/cache{number}/**"),
            4 => writeln!(text, "build/[a-f]*/out{number}"),
            _ => writeln!(text, "*.log{number}"),
        };
    }
    text
}

/// A directory: paths of its files, and its directories.
#[derive(Default)]
struct Tree {
    files: Vec<Vec<u8>>,
    dirs: Vec<(Vec<u8>, Tree)>,
}

fn list(root: &Path, dir: &Path, tree: &mut Tree) -> Result<(), Problem> {
    for entry in fs_err::read_dir(dir)? {
        let entry = entry?;
        let path = entry.path();
        let relative = path.strip_prefix(root)?.as_os_str().as_encoded_bytes().to_vec();
        if entry.file_type()?.is_dir() {
            let mut inner = Tree::default();
            list(root, &path, &mut inner)?;
            tree.dirs.push((relative, inner));
        } else {
            tree.files.push(relative);
        }
    }
    Ok(())
}

fn excluded(patterns: &IgnoreFile, tree: &Tree, state: &DirState) -> usize {
    let here = tree.files.iter().filter(|path| patterns.matches_in(state, path).excluded).count();
    let below = tree.dirs.iter().map(|(path, inner)| {
        let state = patterns.enter(state, path);
        if patterns.prunes_in(&state, path) { 1 } else { excluded(patterns, inner, &state) }
    });
    here + below.sum::<usize>()
}

/// The result of a future that waits for nothing.
fn at_once<T>(future: impl Future<Output = T>) -> Result<T, Problem> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Ok(value),
        Poll::Pending => Err("lowering waits for something".into()),
    }
}

/// Knows no image; none is asked for.
struct Nothing;

impl Resolve for Nothing {
    fn image<'a>(
        &'a self,
        request: &'a ImageRequest,
    ) -> BoxFuture<'a, Result<ResolvedImage, ResolveError>> {
        let message = format!("{}: there are no images here", request.name.text());
        Box::pin(std::future::ready(Err(ResolveError { message, source: None, hint: None })))
    }
}
