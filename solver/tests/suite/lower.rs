//! Lowering, case by case: `testdata/lower/<case>/` holds a `Dockerfile`, perhaps `options`, and
//! what must come out. `BLESS=1` rewrites the latter.
//!
//! Lines of `options`: `target x`, `build-arg k=v`, `label k=v`, `platform p`, `multi-platform`,
//! `context name=local|image:ref|oci-layout:x|git:url|http:url`, `add-host h=ip`.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use gantry_image::{DateTime, DiffId, Digest, ImageConfig, Platform};
use gantry_parser::{Diagnostic, SourceFile};
use gantry_solver::{
    BoxFuture, Dated, Graph, ImageRequest, LayerRef, LowerErrors, LowerOptions, Lowered, Op,
    Resolve, ResolveError, ResolvedImage, VertexId,
    lower::{Context, lower_text},
    op::{CopyItem, CopyOp, GitOp, HttpOp, Network, RunOp, Security, Selection, SourcePath},
};

use crate::toys::runtime;

/// Images that the cases build upon: their configs, without what lowering fills in.
const IMAGES: &[(&str, &str)] = &[
    ("bare", r#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#),
    (
        "busybox",
        r#"{"architecture":"amd64","os":"linux","created":"2024-01-01T00:00:00Z","config":{"Env":["PATH=/bin"],"Cmd":["sh"]},"history":[{"created":"2024-01-01T00:00:00Z","created_by":"ADD file:1 in / "},{"created":"2024-01-01T00:00:00Z","created_by":"CMD [\"sh\"]","empty_layer":true}],"rootfs":{"type":"layers","diff_ids":["sha256:0000000000000000000000000000000000000000000000000000000000000001"]}}"#,
    ),
    (
        "app",
        r#"{"architecture":"amd64","os":"linux","author":"somebody","config":{"User":"app","Env":["PATH=/usr/bin","VERSION=from-base","LANG=C"],"Entrypoint":["/entry"],"Cmd":["serve"],"WorkingDir":"srv/app","Labels":{"a":"base","b":"base"},"ExposedPorts":{"80/tcp":{}},"Volumes":{"/data":{}},"StopSignal":"SIGQUIT","Shell":["/bin/bash","-c"]},"history":[{"created_by":"one"}],"rootfs":{"type":"layers","diff_ids":["sha256:0000000000000000000000000000000000000000000000000000000000000002"]}}"#,
    ),
    (
        "triggers",
        r#"{"architecture":"amd64","os":"linux","config":{"Env":["PATH=/bin"],"OnBuild":["ARG FLAVOUR=plain","COPY . /src","RUN make $FLAVOUR","COPY --from=tools /t /t"]},"history":[{"created_by":"one"}],"rootfs":{"type":"layers","diff_ids":["sha256:0000000000000000000000000000000000000000000000000000000000000003"]}}"#,
    ),
    (
        "badtrigger",
        r#"{"architecture":"amd64","os":"linux","config":{"OnBuild":["RUN --mount=type=nope true"]},"history":[{"created_by":"one"}],"rootfs":{"type":"layers","diff_ids":["sha256:0000000000000000000000000000000000000000000000000000000000000003"]}}"#,
    ),
];

/// Knows the images above, for any platform, and remembers who was asked for.
#[derive(Default)]
struct Shelf(Mutex<Vec<String>>);

impl Resolve for Shelf {
    fn image<'a>(
        &'a self,
        request: &'a ImageRequest,
    ) -> BoxFuture<'a, Result<ResolvedImage, ResolveError>> {
        let text = request.name.text();
        self.0.lock().unwrap().push(format!("{text} for {}", request.platform));
        let name = text.rsplit('/').next().unwrap().split([':', '@']).next().unwrap();
        let found = IMAGES.iter().find(|(known, _)| *known == name).map(|(_, config)| *config);
        let result =
            found.map(|config| resolved(name, config, &request.platform)).ok_or_else(|| {
                ResolveError {
                    message: "not found".into(),
                    source: None,
                    hint: Some("Only images on the shelf can be had".into()),
                }
            });
        Box::pin(std::future::ready(result))
    }

    /// The time is the number at the end of the name of whatever it is.
    fn time<'a>(&'a self, source: &'a Dated) -> BoxFuture<'a, Result<Option<i64>, ResolveError>> {
        let text = match source {
            Dated::Context => "context-1000".to_owned(),
            Dated::Git(git) => git.remote.trim_end_matches(".git").to_owned(),
            Dated::Http(http) => http.url.clone(),
        };
        self.0.lock().unwrap().push(format!("the time of {text}"));
        let time = text.rsplit('-').next().and_then(|number| number.parse().ok());
        let result = match text.contains("broken") {
            true => Err(ResolveError { message: "it is broken".into(), source: None, hint: None }),
            false => Ok(time),
        };
        Box::pin(std::future::ready(result))
    }
}

fn resolved(name: &str, config: &str, platform: &Platform) -> ResolvedImage {
    let digest = Digest::of(format!("{config}{platform}").as_bytes());
    let mut config: ImageConfig = serde_json::from_str(config).unwrap();
    config.set_platform(platform);
    let layers = config.rootfs.diff_ids.iter().map(|id| {
        let mut bytes = [0; 32];
        bytes[31] = id.to_string().bytes().last().unwrap();
        LayerRef(bytes)
    });
    ResolvedImage {
        reference: format!("docker.io/library/{name}:latest@{}", digest.short()),
        config_digest: digest.to_string(),
        layers: layers.collect(),
        config: Arc::new(config),
    }
}

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/lower")
}

fn options(text: &str) -> LowerOptions {
    let mut options = LowerOptions::new("linux/amd64".parse().unwrap());
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let (what, rest) = line.split_once(' ').unwrap_or((line, ""));
        let pair = || {
            let (key, value) = rest.split_once('=').unwrap();
            (key.to_owned(), value.to_owned())
        };
        match what {
            "target" => options.target = Some(rest.to_owned()),
            "build-arg" => options.build_args.extend([pair()]),
            "label" => options.labels.extend([pair()]),
            "platform" => options.platform = Some(rest.parse().unwrap()),
            "multi-platform" => options.multi_platform = true,
            "add-host" => options.extra_hosts.push(pair()),
            "context" => {
                let (name, value) = pair();
                let (kind, rest) = value.split_once(':').unwrap_or((&value, ""));
                let rest = rest.to_owned();
                let context = match kind {
                    "local" => Context::Local,
                    "image" => Context::Image(rest),
                    "oci-layout" => Context::OciLayout(rest),
                    "git" => Context::Git(GitOp::parse(&rest).unwrap()),
                    "http" => {
                        Context::Http(HttpOp { url: rest, name: "file".into(), checksum: None })
                    }
                    other => panic!("unknown kind of context {other}"),
                };
                options.contexts.insert(name, context);
            }
            other => panic!("unknown option {other}"),
        }
    }
    options
}

fn run(dockerfile: &str, options: &LowerOptions) -> (Result<Lowered, LowerErrors>, Vec<String>) {
    let shelf = Shelf::default();
    let source = SourceFile::new("Dockerfile", dockerfile);
    let result = runtime().block_on(lower_text(&source, options, &shelf));
    let mut asked = shelf.0.into_inner().unwrap();
    asked.sort_unstable();
    (result, asked)
}

#[test]
fn cases() {
    let bless = std::env::var_os("BLESS").is_some();
    let mut failed = Vec::new();
    let mut count = 0;
    for entry in fs_err::read_dir(testdata()).unwrap() {
        let dir = entry.unwrap().path();
        let text = fs_err::read_to_string(dir.join("Dockerfile")).unwrap();
        let options = options(&fs_err::read_to_string(dir.join("options")).unwrap_or_default());
        let (result, asked) = run(&text, &options);
        let shown = show(&text, result, &asked);
        let expected = dir.join("expected");
        count += 1;
        if bless {
            fs_err::write(&expected, &shown).unwrap();
        } else if fs_err::read_to_string(&expected).unwrap_or_default() != shown {
            failed.push(format!("--- {}\n{shown}", dir.display()));
        }
    }
    assert!(count >= 30, "only {count} cases were found");
    assert!(failed.is_empty(), "these differ (BLESS=1 accepts):\n{}", failed.join("\n"));
}

fn show(text: &str, result: Result<Lowered, LowerErrors>, asked: &[String]) -> String {
    let source = SourceFile::new("Dockerfile", text);
    let mut out = String::new();
    match result {
        Ok(lowered) => show_lowered(&mut out, &source, &lowered),
        Err(LowerErrors(errors)) => {
            for error in errors {
                show_diagnostic(&mut out, "error", &source, &error);
            }
        }
    }
    for image in asked {
        let _ = writeln!(out, "asked for {image}");
    }
    out
}

fn show_diagnostic(out: &mut String, kind: &str, source: &SourceFile, diagnostic: &Diagnostic) {
    let _ = writeln!(out, "{kind}: {}", diagnostic.message);
    for label in &diagnostic.labels {
        let at = source.position(label.span.start);
        let under = source.slice(label.span).lines().next().unwrap_or_default();
        let text = if label.text.is_empty() { String::new() } else { format!(" ({})", label.text) };
        let _ = writeln!(out, "  {}:{} `{under}`{text}", at.line, at.column);
    }
    for note in &diagnostic.notes {
        let _ = writeln!(out, "  note: {note}");
    }
    if let Some(hint) = &diagnostic.hint {
        let _ = writeln!(out, "  hint: {hint}");
    }
}

fn show_lowered(out: &mut String, source: &SourceFile, lowered: &Lowered) {
    let _ = writeln!(out, "graph:");
    for id in lowered.graph.reachable(&[lowered.target]) {
        show_vertex(out, &lowered.graph, id);
    }
    let _ = writeln!(out, "history:");
    for item in &lowered.history {
        let vertex = item.vertex.map_or("--".to_owned(), |vertex| format!("{vertex:?}"));
        let _ = writeln!(out, "  {vertex} {}", item.created_by.replace('\n', "\\n"));
    }
    let config = serde_json::to_string_pretty(&lowered.config).unwrap();
    let _ = writeln!(out, "config:\n{config}");
    let _ = writeln!(out, "platform: {}", lowered.platform);
    if let Some(epoch) = lowered.source_date_epoch {
        let _ = writeln!(out, "source date epoch: {epoch}");
    }
    for warning in &lowered.warnings {
        show_diagnostic(out, "warning", source, warning);
    }
    // As many layers as history says (B9-05).
    let layers: Vec<DiffId> =
        lowered.layer_vertices().map(|_| DiffId(Digest::of(b"a layer"))).collect();
    let config = lowered.image_config(&layers, &DateTime::from_unix(0, 0));
    assert_eq!(config.history_layers(), config.rootfs.diff_ids.len());
}

fn show_vertex(out: &mut String, graph: &Graph, id: VertexId) {
    let vertex = graph.vertex(id);
    let inputs: Vec<_> =
        graph.inputs(id).iter().map(|(role, input)| format!("{role} {input:?}")).collect();
    let title = vertex.title.replace('\n', "\\n");
    let _ = writeln!(out, "  {id:?} {title}");
    if !inputs.is_empty() {
        let _ = writeln!(out, "      from {}", inputs.join(", "));
    }
    match &vertex.op {
        Op::Scratch => {}
        Op::Image(image) => {
            let _ = writeln!(out, "      image {} {}", image.reference, image.platform);
        }
        Op::Context(context) => {
            let selection = show_selection(&context.selection);
            let _ = writeln!(out, "      context {}: {selection}", context.name);
        }
        Op::Http(http) => {
            let _ = writeln!(out, "      http {} as {} {:?}", http.url, http.name, http.checksum);
        }
        Op::Git(git) => {
            let _ = writeln!(out, "      {git:?}");
        }
        Op::Run(run) => show_run(out, run),
        Op::Copy(copy) => show_copy(out, copy),
        Op::MakeDir(dir) => {
            let user = dir.user.as_deref().unwrap_or("root");
            let _ = writeln!(out, "      make {} {:o} for {user}", dir.path, dir.mode);
        }
    }
}

fn show_selection(selection: &Selection) -> String {
    let paths: Vec<_> = selection.paths.iter().map(show_path).collect();
    format!("{} exclude {:?}", paths.join(" "), selection.exclude)
}

fn show_path(path: &SourcePath) -> String {
    let base = path.base.as_ref().map(|base| format!("{base:?}/./")).unwrap_or_default();
    let kind = if path.literal { "" } else { " (pattern)" };
    format!("{base}{:?}{kind}", path.pattern)
}

fn show_run(out: &mut String, run: &RunOp) {
    let _ = writeln!(out, "      argv {:?}", run.argv);
    let env: Vec<_> = run.env.iter().map(|var| format!("{}={}", var.name, var.value)).collect();
    let _ = writeln!(out, "      env {env:?} in {} as {:?}", run.cwd, run.user);
    if !run.proxy.is_empty() {
        let _ = writeln!(out, "      proxy {:?}", run.proxy);
    }
    for mount in &run.mounts {
        let _ = writeln!(out, "      mount {mount:?}");
    }
    if run.network != Network::Default || run.security != Security::Sandbox {
        let _ = writeln!(out, "      {:?} {:?}", run.network, run.security);
    }
    if let Some(script) = &run.script {
        let _ = writeln!(out, "      script {} {:?}", script.name, script.content);
    }
    if !run.extra_hosts.is_empty() || run.hostname.is_some() {
        let _ = writeln!(out, "      hosts {:?} {:?}", run.extra_hosts, run.hostname);
    }
}

fn show_copy(out: &mut String, copy: &CopyOp) {
    for item in &copy.items {
        let text = match item {
            CopyItem::Tree { input, path, unpack } => {
                format!("tree {input} {}{}", show_path(path), if *unpack { " unpack" } else { "" })
            }
            CopyItem::Download { input, name, unpack } => {
                format!("download {input} {name}{}", if *unpack { " unpack" } else { "" })
            }
            CopyItem::Git { input } => format!("git {input}"),
            CopyItem::Inline(file) => format!("inline {} {:?}", file.name, file.content),
        };
        let _ = writeln!(out, "      item {text}");
    }
    let CopyOp { items: _, dest, chown, chmod, exclude, link } = copy;
    let _ = writeln!(
        out,
        "      to {dest} chown {chown:?} chmod {chmod:?} exclude {exclude:?} link {link}"
    );
}

#[test]
fn stages_that_the_target_does_not_need_are_not_even_resolved() {
    let file = "FROM nowhere AS a\nRUN x\nFROM busybox AS b\nFROM a AS c\n";
    let mut options = options("");
    options.target = Some("b".into());
    let (result, asked) = run(file, &options);
    assert!(result.is_ok());
    assert_eq!(asked, ["busybox for linux/amd64"]);
}

#[test]
fn an_image_is_asked_for_once() {
    let file =
        "FROM busybox AS a\nFROM busybox AS b\nCOPY --from=a /x /\nCOPY --from=busybox /y /\n";
    let (result, asked) = run(file, &options(""));
    assert_eq!(asked, ["busybox for linux/amd64"]);
    let lowered = result.unwrap();
    let images =
        lowered.graph.ids().filter(|id| matches!(lowered.graph.vertex(*id).op, Op::Image(_)));
    assert_eq!(images.count(), 1);
}

#[test]
fn metadata_between_steps_changes_no_step() {
    let plain = "FROM busybox\nRUN a\nRUN b\n";
    let noisy = "FROM busybox\nLABEL x=y\nRUN a\nEXPOSE 80\nCMD [\"x\"]\nVOLUME /v\nSTOPSIGNAL 9\nHEALTHCHECK NONE\nRUN b\nENTRYPOINT x\n";
    let ops = |file| {
        let lowered = run(file, &options("")).0.unwrap();
        let ids = lowered.graph.ids();
        ids.map(|id| lowered.graph.vertex(id).op.clone()).collect::<Vec<_>>()
    };
    assert_eq!(ops(plain), ops(noisy));
}

#[test]
fn thousands_of_stages_and_steps_are_no_matter() {
    let mut file = String::new();
    for n in 0..2_000 {
        let base = if n == 0 { "busybox".to_owned() } else { format!("s{}", n - 1) };
        let _ = writeln!(file, "FROM {base} AS s{n}\nRUN echo {n}");
    }
    let lowered = run(&file, &options("")).0.unwrap();
    assert_eq!(lowered.layer_vertices().count(), 2_000);
}

#[test]
fn the_same_file_lowers_to_the_same_graph() {
    let file =
        "ARG V=1\nFROM busybox AS a\nARG V\nENV A=1 B=2\nCOPY a b* /x/\nRUN make\nFROM a\nRUN x\n";
    let show = || {
        let (result, asked) = run(file, &options("build-arg V=2"));
        show(file, result, &asked)
    };
    assert_eq!(show(), show());
}
