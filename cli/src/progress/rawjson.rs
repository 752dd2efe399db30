//! BuildKit's `SolveStatus` messages, one JSON object a line, for programs that watch a build.

use std::io::Write;
use std::time::{Duration, SystemTime};

use gantry_image::Digest;
use gantry_solver::{Event, Stream, VertexId};
use serde::Serialize;

use super::model::{Build, Step};
use super::tail::{Warned, Warnings};
use super::{Display, Heard};

/// See the module.
pub(super) struct RawJson {
    started: SystemTime,
}

#[derive(Serialize, Default)]
struct SolveStatus<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    vertexes: Vec<Vertex<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    statuses: Vec<Status<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    logs: Vec<Log>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Warning>,
}

#[derive(Serialize)]
struct Vertex<'a> {
    digest: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    inputs: Vec<String>,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    started: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cached: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Serialize)]
struct Status<'a> {
    id: &'a str,
    vertex: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    current: u64,
    timestamp: String,
    started: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed: Option<String>,
}

#[derive(Serialize)]
struct Log {
    vertex: String,
    stream: u8,
    data: String,
    timestamp: String,
}

#[derive(Serialize)]
struct Warning {
    #[serde(skip_serializing_if = "Option::is_none")]
    vertex: Option<String>,
    level: u8,
    short: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    detail: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

/// What the Dockerfile is warned of, told as BuildKit tells it: of the vertex that read it.
pub(super) fn warnings(build: &Build, warnings: &Warnings) -> String {
    let reader = |step: &&Step| step.title.starts_with("[internal] load build definition");
    let vertex = build.steps().iter().find(reader).map(|step| digest(step.vertex));
    let warning = |warned: &Warned| Warning {
        vertex: vertex.clone(),
        level: 1,
        short: base64(warned.short.as_bytes()),
        detail: warned.detail.iter().map(|detail| base64(detail.as_bytes())).collect(),
        url: warned.url.clone(),
    };
    let line = |warned| {
        let status = SolveStatus { warnings: vec![warning(warned)], ..SolveStatus::default() };
        serde_json::to_string(&status).map(|line| line + "\n").unwrap_or_default()
    };
    warnings.list.iter().map(line).collect()
}

impl RawJson {
    /// `started` is when the build started, from which the times of events are counted.
    pub(super) fn new(started: SystemTime) -> Self {
        Self { started }
    }

    fn time(&self, at: Duration) -> String {
        jiff::Timestamp::try_from(self.started + at)
            .map_or_else(|_| String::new(), |t| t.to_string())
    }

    fn status<'a>(&self, build: &'a Build, heard: &Heard<'_>) -> Option<SolveStatus<'a>> {
        let now = self.time(heard.at);
        let mut status = SolveStatus::default();
        match heard.event {
            Event::VertexAdded { vertex, inputs, .. } => {
                let inputs = inputs.iter().map(|input| digest(*input)).collect();
                let vertex = self.vertex(step(build, *vertex)?);
                status.vertexes.push(Vertex { inputs, ..vertex });
            }
            Event::Started { vertex } => status.vertexes.push(self.vertex(step(build, *vertex)?)),
            Event::Cached { vertex } => status.vertexes.push(Vertex {
                started: Some(now.clone()),
                completed: Some(now),
                cached: true,
                ..self.vertex(step(build, *vertex)?)
            }),
            Event::Done { vertex, .. } => status
                .vertexes
                .push(Vertex { completed: Some(now), ..self.vertex(step(build, *vertex)?) }),
            Event::Failed { vertex, messages, .. } => status.vertexes.push(Vertex {
                completed: Some(now),
                error: Some(messages.join(": ")),
                ..self.vertex(step(build, *vertex)?)
            }),
            Event::Canceled { vertex } => status.vertexes.push(Vertex {
                completed: Some(now),
                error: Some("context canceled".to_owned()),
                ..self.vertex(step(build, *vertex)?)
            }),
            Event::Log { vertex, stream, data } => status.logs.push(Log {
                vertex: digest(*vertex),
                stream: match stream {
                    Stream::Stdout => 1,
                    Stream::Stderr => 2,
                },
                data: base64(data),
                timestamp: now,
            }),
            Event::Status { vertex, name, .. } => {
                let step = step(build, *vertex)?;
                let part = step.statuses.iter().find(|status| status.name == *name)?;
                status.statuses.push(Status {
                    id: &part.name,
                    vertex: digest(*vertex),
                    total: part.total,
                    current: part.current,
                    started: self.time(part.started),
                    completed: part.is_done().then(|| now.clone()),
                    timestamp: now,
                });
            }
            Event::Warning { vertex, message } => status.warnings.push(Warning {
                vertex: vertex.map(digest),
                level: 1,
                short: base64(message.as_bytes()),
                detail: Vec::new(),
                url: None,
            }),
            Event::Instructions { .. }
            | Event::Named { .. }
            | Event::Skipped { .. }
            | Event::Missed { .. }
            | Event::Waiting { .. } => return None,
        }
        Some(status)
    }

    fn vertex<'a>(&self, step: &'a Step) -> Vertex<'a> {
        Vertex {
            digest: digest(step.vertex),
            inputs: Vec::new(),
            name: &step.title,
            started: step.started.map(|at| self.time(at)),
            completed: None,
            cached: false,
            error: None,
        }
    }
}

fn step(build: &Build, vertex: VertexId) -> Option<&Step> {
    Some(&build.steps()[build.position(vertex)?])
}

/// BuildKit names vertices by digests, and its readers want names that look so.
fn digest(vertex: VertexId) -> String {
    Digest::of(vertex.to_string().as_bytes()).to_string()
}

/// Bytes as Go's JSON has them.
pub(crate) fn base64(data: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(data.len().div_ceil(3) * 4);
    for chunk in data.chunks(3) {
        let word = chunk.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte));
        let word = word << (8 * (3 - chunk.len()));
        for position in 0..4 {
            let index = (word >> (18 - 6 * position)) as usize & 63;
            text.push(if position <= chunk.len() { ALPHABET[index].into() } else { '=' });
        }
    }
    text
}

impl Display for RawJson {
    fn event(&mut self, build: &Build, heard: Heard<'_>, out: &mut dyn Write) {
        if let Some(status) = self.status(build, &heard)
            && let Ok(mut line) = serde_json::to_vec(&status)
        {
            line.push(b'\n');
            let _ = out.write_all(&line);
        }
    }

    fn tick(&mut self, _: &Build, _: Duration, _: &mut dyn Write) {}

    fn finish(&mut self, _: &Build, _: Duration, out: &mut dyn Write) {
        let _ = out.flush();
    }

    fn wants_ticks(&self) -> bool {
        false
    }

    fn wants_lines(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::super::script::{Script, play};
    use super::*;

    #[test]
    fn base64_pads() {
        for (data, expect) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(data.as_bytes()), expect);
        }
    }

    #[test]
    fn a_build_is_told_in_buildkits_words() {
        let script = Script::default()
            .add(1, "[1/2] FROM x")
            .cached(1)
            .add(2, "[2/2] RUN y")
            .start(2)
            .wait(1500)
            .log(2, "hi\n")
            .status(2, "layer", 5, Some(5))
            .warn("careful")
            .fail(2, &["a", "b"]);
        let mut settings = insta::Settings::clone_current();
        settings.add_filter("sha256:([0-9a-f]{4})[0-9a-f]{60}", "sha256:$1…");
        let _guard = settings.bind_to_scope();
        insta::assert_snapshot!(play(RawJson::new(SystemTime::UNIX_EPOCH), script), @r#"
        {"vertexes":[{"digest":"sha256:8876…","name":"[1/2] FROM x"}]}
        {"vertexes":[{"digest":"sha256:8876…","name":"[1/2] FROM x","started":"1970-01-01T00:00:00Z","completed":"1970-01-01T00:00:00Z","cached":true}]}
        {"vertexes":[{"digest":"sha256:4392…","name":"[2/2] RUN y"}]}
        {"vertexes":[{"digest":"sha256:4392…","name":"[2/2] RUN y","started":"1970-01-01T00:00:00Z"}]}
        {"logs":[{"vertex":"sha256:4392…","stream":1,"data":"aGkK","timestamp":"1970-01-01T00:00:01.5Z"}]}
        {"statuses":[{"id":"layer","vertex":"sha256:4392…","total":5,"current":5,"timestamp":"1970-01-01T00:00:01.5Z","started":"1970-01-01T00:00:01.5Z","completed":"1970-01-01T00:00:01.5Z"}]}
        {"warnings":[{"level":1,"short":"Y2FyZWZ1bA=="}]}
        {"vertexes":[{"digest":"sha256:4392…","name":"[2/2] RUN y","started":"1970-01-01T00:00:00Z","completed":"1970-01-01T00:00:01.5Z","error":"a: b"}]}
        "#);
    }
}
