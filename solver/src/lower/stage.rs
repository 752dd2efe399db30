//! One stage: what it starts with, and its instructions one after the other.

use std::{collections::BTreeSet, sync::Arc};

use gantry_image::{ImageConfig, Platform};
use gantry_parser::{Diagnostic, Word, expand::Expanded};

use crate::{
    graph::{Role, Vertex, VertexId},
    lower::{
        Context, HistoryItem, Lowering,
        images::{self, Images},
        instruction, paths,
        stages::{Base, Command, Origin, Stage, Stages},
        title::{self, Counter},
        variables::{Variables, expand},
    },
    op::{ImageOp, Op, RunOp},
    resolve::ResolvedImage,
    store::Place,
};

/// What PATH is where the base image has none (B4-29).
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How far a stage has come.
#[derive(Clone)]
pub(super) struct State {
    /// Its root filesystem.
    pub(super) vertex: VertexId,
    pub(super) config: ImageConfig,
    pub(super) history: Vec<HistoryItem>,
    pub(super) variables: Variables,
    pub(super) platform: Platform,
    /// Whether this very stage has a CMD, so that ENTRYPOINT leaves it.
    pub(super) has_cmd: bool,
    pub(super) counter: Counter,
    /// What titles and places call the stage.
    pub(super) shown: String,
    /// The number of the stage.
    pub(super) index: usize,
    /// The how-manieth instruction is being lowered.
    position: u32,
}

/// One instruction, with all that its lowering needs.
pub(super) struct Step<'s, 'a> {
    pub(super) command: &'s Command<'a>,
    pub(super) stages: &'s Stages<'a>,
    pub(super) states: &'s [Option<State>],
    pub(super) images: &'s Images,
}

/// Lowers the stages that the target needs, in the order of the file.
pub(super) fn lower_reachable(
    lowering: &mut Lowering<'_>,
    stages: &Stages<'_>,
    images: &Images,
    target: usize,
) -> Option<State> {
    let reachable = stages.reachable(target);
    let mut states: Vec<Option<State>> = vec![None; stages.list.len()];
    for index in (0..stages.list.len()).filter(|index| reachable[*index]) {
        let stage = &stages.list[index];
        // Implicit stages stand behind those that use them, and depend on none.
        let used = stage.commands.iter().flat_map(|command| command.sources.iter().flatten());
        for &implicit in used.filter(|used| stages.list[**used].implicit) {
            if states[implicit].is_none() {
                let state = begin(lowering, stages, images, &states, implicit);
                states[implicit] = Some(state);
            }
        }
        if stage.implicit {
            continue;
        }
        let mut state = begin(lowering, stages, images, &states, index);
        for (position, command) in (0..).zip(&stage.commands) {
            state.position = position;
            let step = Step { command, stages, states: &states, images };
            let warned = lowering.warnings.len();
            let result = instruction::lower(lowering, &mut state, &step);
            let at = |diagnostic: Diagnostic| match command.origin {
                Origin::ImageTrigger => images::foreign(diagnostic, &command.statement.text, stage),
                Origin::Stage | Origin::Trigger => diagnostic.within(command.statement.span),
            };
            for warning in lowering.warnings.split_off(warned) {
                let skip = command.statement.check.as_ref().map(|check| &check.skip);
                if !warning.code.zip(skip).is_some_and(|(code, skip)| skip.contains(code)) {
                    lowering.warnings.push(at(warning));
                }
            }
            if let Err(error) = result {
                lowering.errors.push(at(error));
            }
        }
        states[index] = Some(state);
    }
    states.swap_remove(target)
}

/// Returns what a stage starts with: the state of its base, or what its image says.
fn begin(
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
        state.shown.clone_from(&stage.shown);
        state.index = index;
        return state;
    }
    let mut state = State {
        vertex: lowering.scratch(),
        config: empty_config(&platform),
        history: Vec::new(),
        variables: Variables::default(),
        counter: Counter::new(lowering, stages, stage, &platform),
        platform,
        has_cmd: false,
        shown: stage.shown.clone(),
        index,
        position: 0,
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

impl State {
    /// Expands a word with the stage's variables; warns of undefined ones.
    pub(super) fn expand(
        &self,
        lowering: &mut Lowering<'_>,
        word: &Word,
    ) -> Result<String, Diagnostic> {
        self.expand_all(lowering, word).map(|expanded| expanded.text)
    }

    /// Like [`expand`](Self::expand), with everything that is known about the result.
    pub(super) fn expand_all(
        &self,
        lowering: &mut Lowering<'_>,
        word: &Word,
    ) -> Result<Expanded, Diagnostic> {
        let expanded = expand(&lowering.lexer, word, &self.variables)?;
        self.warn_undefined(lowering, &expanded.unset, word);
        Ok(expanded)
    }

    /// Warns of variables that were looked up and not found.
    pub(super) fn warn_undefined(
        &self,
        lowering: &mut Lowering<'_>,
        unset: &BTreeSet<String>,
        word: &Word,
    ) {
        if !unset.is_empty() {
            lowering.warnings.extend(self.variables.undefined(unset, word));
        }
    }

    /// Expands a word that may be missing.
    pub(super) fn expand_optional(
        &self,
        lowering: &mut Lowering<'_>,
        word: Option<&Word>,
    ) -> Result<Option<String>, Diagnostic> {
        word.map(|word| self.expand(lowering, word)).transpose()
    }

    /// Returns the working directory of the next step.
    pub(super) fn cwd(&self) -> String {
        let cwd = &self.config.config.working_dir;
        if cwd.is_empty() { "/".to_owned() } else { cwd.clone() }
    }

    /// Returns who the next step runs as.
    pub(super) fn user(&self) -> Option<String> {
        Some(self.config.config.user.clone()).filter(|user| !user.is_empty())
    }

    /// Returns the program that shell forms are given to.
    pub(super) fn shell(&self) -> Vec<String> {
        let shell = &self.config.config.shell;
        if shell.is_empty() { vec!["/bin/sh".to_owned(), "-c".to_owned()] } else { shell.clone() }
    }

    /// Notes an instruction that makes no layer.
    pub(super) fn note(&mut self, created_by: String) {
        self.history.push(HistoryItem { created_by, vertex: None });
    }

    /// Returns the title of a step, and counts it.
    pub(super) fn title(&mut self, lowering: &Lowering<'_>, step: &Step<'_, '_>) -> String {
        let title = self.next_title(lowering, step);
        self.counter.count();
        title
    }

    /// Returns the title that a step will have: what it fetches is called the same.
    pub(super) fn next_title(&self, lowering: &Lowering<'_>, step: &Step<'_, '_>) -> String {
        let statement = &step.command.statement;
        let name = statement.instruction.name();
        let text = title::text(lowering.lexer, self, name, &statement.text, &[]);
        self.counter.title(&text, step.command.origin, &self.variables)
    }

    /// Adds an operation with one layer on top of the stage, and notes it.
    pub(super) fn push(
        &mut self,
        lowering: &mut Lowering<'_>,
        step: &Step<'_, '_>,
        op: Op,
        title: String,
        inputs: Vec<(Role, VertexId)>,
        created_by: String,
    ) {
        let statement = &step.command.statement;
        let place = Place {
            stage: self.shown.clone(),
            position: self.position,
            text: statement.text.clone(),
        };
        let span = Some(step.command.place(step.stages.list[self.index].span));
        let inputs: Vec<_> = [(Role::Base, self.vertex)].into_iter().chain(inputs).collect();
        self.vertex = lowering.graph.add(Vertex { op, title, place, span }, &inputs);
        self.history.push(HistoryItem { created_by, vertex: Some(self.vertex) });
    }

    /// Returns a RUN of this stage that does nothing yet.
    pub(super) fn run_op(&mut self, lowering: &Lowering<'_>) -> RunOp {
        let options = lowering.options;
        RunOp {
            argv: Vec::new(),
            env: self.variables.env(),
            proxy: lowering.proxy.clone(),
            cwd: self.cwd(),
            user: self.user(),
            mounts: Vec::new(),
            network: options.network,
            security: crate::op::Security::default(),
            script: None,
            extra_hosts: options.extra_hosts.clone(),
            ulimits: options.ulimits.clone(),
            shm_size: options.shm_size,
            hostname: options.build_args.get("BUILDKIT_SANDBOX_HOSTNAME").cloned(),
            limits: options.limits.clone(),
            platform: self.platform.to_string(),
        }
    }
}
