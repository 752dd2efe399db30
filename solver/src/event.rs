//! Events: the one stream that tells what a build does.
//!
//! Terminal, plain and JSON progress, the stored history and any later server read this stream,
//! and nothing is printed elsewhere. Events carry no clock time: whoever reads them knows when.
//!
//! A vertex's events come in this order: `VertexAdded`; perhaps `Waiting`; then one of `Cached`,
//! `Skipped`, `Canceled`, or `Started`, followed by any number of `Missed`, `Log`, `Status`,
//! `Warning`, and by one of `Done`, `Failed`, `Canceled`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{graph::VertexId, why::Why};

/// Hears what happens.
///
/// Called from worker threads and from the scheduler itself, so it must return quickly: put the
/// event into a channel if there is more to do. What happened to one vertex is heard in order.
pub trait Observer: Send + Sync + 'static {
    /// Takes one event.
    fn event(&self, event: Event);

    /// Whether [`Event::Instructions`] and [`Event::Named`] are of use. Where they aren't, nobody
    /// does the work for them.
    fn follows_file(&self) -> bool {
        false
    }
}

/// Hears nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Deaf;

impl Observer for Deaf {
    fn event(&self, _: Event) {}
}

/// Which output of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// An instruction of the Dockerfile, and what carries it out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instruction {
    /// Its text in one line.
    pub text: String,
    /// For which platform, if there are several.
    pub platform: Option<String>,
    /// Its vertex; those that only change the image's config have none, and a FROM has those of the
    /// triggers in the base image as well.
    pub vertices: Vec<VertexId>,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// What the Dockerfile says of the stages that are built. Told once, before their vertices, and
    /// only to who [follows](Observer::follows_file) it.
    Instructions {
        /// In the order of the file.
        list: Vec<Instruction>,
    },
    /// What the vertex makes is known by this name, which stays as long as it makes the same. Told
    /// right before `Cached` or `Done`, of steps and of base images, to who
    /// [follows](Observer::follows_file) the file.
    Named {
        /// The vertex.
        vertex: VertexId,
        /// 12 hex digits.
        id: String,
    },
    /// The build has this vertex. Told for all vertices that the targets can need, inputs first.
    VertexAdded {
        /// The vertex.
        vertex: VertexId,
        /// What it does, in one word ([`Op::kind`](crate::Op::kind)).
        kind: String,
        /// Its title, such as `[build 2/5] RUN make`.
        title: String,
        /// The vertices that it is made from.
        inputs: Vec<VertexId>,
    },
    /// Another build runs the same step right now; what it makes will be used.
    Waiting {
        /// The vertex.
        vertex: VertexId,
    },
    /// The vertex is being worked on.
    Started {
        /// The vertex.
        vertex: VertexId,
    },
    /// The store had the result.
    Cached {
        /// The vertex.
        vertex: VertexId,
    },
    /// Nobody needed the result: whatever would have needed it was in the store.
    Skipped {
        /// The vertex.
        vertex: VertexId,
    },
    /// The store had no result, for this reason.
    Missed {
        /// The vertex.
        vertex: VertexId,
        /// What differs from the nearest earlier run.
        why: Why,
    },
    /// A process wrote something.
    Log {
        /// The vertex.
        vertex: VertexId,
        /// To which output.
        stream: Stream,
        /// The bytes, as they came; may end in the middle of a character.
        data: Vec<u8>,
    },
    /// Something that takes its time has come this far.
    Status {
        /// The vertex.
        vertex: VertexId,
        /// What it is: a layer, a download.
        name: String,
        /// How much is done.
        current: u64,
        /// Of how much, if that is known.
        total: Option<u64>,
    },
    /// The vertex is finished.
    Done {
        /// The vertex.
        vertex: VertexId,
        /// How long it took.
        took: Duration,
    },
    /// The vertex failed.
    Failed {
        /// The vertex.
        vertex: VertexId,
        /// What failed, with all causes, outermost first.
        messages: Vec<String>,
        /// The exit code of its process.
        exit_code: Option<i32>,
    },
    /// The vertex was stopped or never started, because the build failed elsewhere or was
    /// interrupted.
    Canceled {
        /// The vertex.
        vertex: VertexId,
    },
    /// Something that the user should know.
    Warning {
        /// The vertex that it is about, if it is about one.
        vertex: Option<VertexId>,
        /// What it is.
        message: String,
    },
}
