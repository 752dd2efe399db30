//! What a stage starts with: the state of another one, an image, a context, or nothing.

use std::sync::Arc;

use gantry_image::{ImageConfig, Platform};

use crate::{
    graph::Vertex,
    lower::{
        Context, HistoryItem, Lowering,
        images::{self, Images},
        paths,
        stage::State,
        stages::{Base, Origin, Stage, Stages},
        title::Counter,
        variables::{Scan, Variables},
    },
    op::{ImageOp, Op},
    resolve::ResolvedImage,
};

/// What PATH is where the base image has none (B4-29).
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Returns what a stage starts with: the state of its base, or what its image says.
pub(super) fn begin(
    lowering: &mut Lowering<'_>,
    stages: &Stages<'_>,
    images: &Images,
    states: &[Option<State>],
    index: usize,
) -> State {
    let stage = &stages.list[index];
    let platform = images::platform(stage, lowering.options).clone();
    if let Base::Stage(base) = stage.base
        && let Some(base) = &states[base]
    {
        let mut state = base.clone();
        // Triggers go one level down, not further; a CMD of the base is inherited, not set here.
        state.config.config.on_build.clear();
        state.has_cmd = false;
        state.counter = Counter::new(lowering, stages, stage, &state.platform);
        state.shown = stage.shown.as_str().into();
        state.index = index;
        state.scan = Scan::of_globals(lowering.globals, stage.name.as_deref());
        return state;
    }
    let mut state = State {
        vertex: lowering.scratch(),
        config: empty_config(&platform),
        history: Vec::new(),
        variables: Variables::default(),
        counter: Counter::new(lowering, stages, stage, &platform),
        platform_text: platform.to_string().into(),
        cwd: "/".into(),
        shell: Vec::new(),
        platform,
        has_cmd: false,
        shown: stage.shown.as_str().into(),
        index,
        position: 0,
        scan: match stage.implicit {
            true => Scan::default(),
            false => Scan::of_globals(lowering.globals, stage.name.as_deref()),
        },
    };
    if let Some(image) = images.get(&index) {
        from_image(lowering, &mut state, stage, image);
    } else if let Base::Context(name) = &stage.base
        && matches!(lowering.context(name), Context::Local | Context::Git(_) | Context::Http(_))
    {
        // COPY and mounts look into the context itself; only FROM needs a root filesystem of it.
        if !stage.implicit {
            state.vertex = lowering.context_tree(name, "");
            let created_by = format!("FROM {name} # context");
            state.history.push(HistoryItem { created_by, vertex: Some(state.vertex) });
        }
    }
    let config = &mut state.config.config;
    if !config.env.iter().any(|var| var.starts_with("PATH=")) && state.platform.os != "windows" {
        config.env.push(format!("PATH={DEFAULT_PATH}"));
    }
    if !config.working_dir.is_empty() {
        config.working_dir = paths::join("/", &config.working_dir);
    }
    for var in &config.env {
        let (name, value) = var.split_once('=').unwrap_or((var, ""));
        state.variables.set_env(name, value);
    }
    state.follow_config();
    state
}

fn empty_config(platform: &Platform) -> ImageConfig {
    let mut config = ImageConfig::default();
    config.set_platform(platform);
    config.config.working_dir = "/".to_owned();
    config
}

fn from_image(
    lowering: &mut Lowering<'_>,
    state: &mut State,
    stage: &Stage<'_>,
    image: &Arc<ResolvedImage>,
) {
    state.config = image.config.as_base();
    state.config.created = None;
    state.config.config.on_build.clear();
    // A platform that nobody asked for is the one that the image says.
    if stage.platform.is_none()
        && lowering.options.platform.is_none()
        && !image.config.os.is_empty()
    {
        state.platform = image.config.platform().normalized();
        state.platform_text = state.platform.to_string().into();
    }
    if image.layers.is_empty() {
        return;
    }
    let from = format!("FROM {}", image.reference);
    let title = state.counter.title(&from, Origin::Stage, &state.variables);
    state.counter.count();
    let op = Op::Image(ImageOp {
        reference: image.reference.clone(),
        config: image.config_digest.clone(),
        platform: state.platform.to_string(),
        layers: image.layers.clone(),
    });
    let mut vertex = Vertex::new(op, title);
    vertex.span = Some(stage.span);
    state.vertex = lowering.graph.add(vertex, &[]);
}
