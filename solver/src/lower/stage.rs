//! One stage: its instructions one after the other, and how far they have brought it.

use std::{borrow::Cow, collections::BTreeSet, sync::Arc};

use gantry_image::{ImageConfig, Platform};
use gantry_parser::{Diagnostic, Word};

use crate::{
    graph::{Role, Vertex, VertexId},
    lower::{
        HistoryItem, Lowering,
        begin::begin,
        images::{self, Images},
        instruction,
        stages::{Command, Origin, Stages},
        title::{self, Counter},
        variables::{Scan, Variables, as_it_is, expand, expand_words},
    },
    op::{Op, RunOp},
    store::Place,
};

/// How far a stage has come.
#[derive(Clone)]
pub(super) struct State {
    /// Its root filesystem.
    pub(super) vertex: VertexId,
    pub(super) config: ImageConfig,
    pub(super) history: Vec<HistoryItem>,
    pub(super) variables: Variables,
    pub(super) platform: Platform,
    /// The same as text.
    pub(super) platform_text: Arc<str>,
    /// The working directory of the next step; the config's, shared by steps.
    pub(super) cwd: Arc<str>,
    /// The program that shell forms are given to; the config's, or the default.
    pub(super) shell: Vec<Arc<str>>,
    /// Whether this very stage has a CMD, so that ENTRYPOINT leaves it.
    pub(super) has_cmd: bool,
    pub(super) counter: Counter,
    /// What titles and places call the stage.
    pub(super) shown: Arc<str>,
    /// The number of the stage.
    pub(super) index: usize,
    /// The how-manieth instruction is being lowered.
    pub(super) position: u32,
    /// What of it a bill of materials is to tell of.
    pub(super) scan: Scan,
}

/// One instruction, with all that its lowering needs.
pub(super) struct Step<'s, 'a> {
    pub(super) command: &'s Command<'a>,
    pub(super) stages: &'s Stages<'a>,
    pub(super) states: &'s [Option<State>],
    pub(super) images: &'s Images,
}

/// Lowers the stages that the target needs, in the order of the file. Returns the target's state,
/// and the root filesystems of other stages that a bill of materials is to tell of.
pub(super) fn lower_reachable(
    lowering: &mut Lowering<'_>,
    stages: &Stages<'_>,
    images: &Images,
    target: usize,
) -> Option<(State, Vec<(String, VertexId)>)> {
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
    let mut scanned = Vec::new();
    for (index, state) in states.iter().enumerate().filter(|(index, _)| *index != target) {
        if let Some(state) = state.as_ref().filter(|state| state.scan.stage) {
            let stage = &stages.list[index];
            scanned.push((stage.name.clone().unwrap_or_else(|| stage.shown.clone()), state.vertex));
        }
    }
    Some((states.swap_remove(target)?, scanned))
}

impl State {
    /// Expands a word with the stage's variables; warns of undefined ones.
    pub(super) fn expand<'w>(
        &self,
        lowering: &mut Lowering<'_>,
        word: &'w Word,
    ) -> Result<Cow<'w, str>, Diagnostic> {
        if let Some(text) = as_it_is(word) {
            return Ok(Cow::Borrowed(text));
        }
        let expanded = expand(&lowering.lexer, word, &self.variables)?;
        self.warn_undefined(lowering, &expanded.unset, word);
        Ok(Cow::Owned(expanded.text))
    }

    /// Like [`expand`](Self::expand), and splits the value at its spaces.
    pub(super) fn expand_words(
        &self,
        lowering: &mut Lowering<'_>,
        word: &Word,
    ) -> Result<Vec<String>, Diagnostic> {
        let expanded = expand_words(&lowering.lexer, word, &self.variables)?;
        self.warn_undefined(lowering, &expanded.unset, word);
        Ok(expanded.words)
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
        word.map(|word| self.expand(lowering, word).map(Cow::into_owned)).transpose()
    }

    /// Takes over what the config says of the working directory and the shell.
    pub(super) fn follow_config(&mut self) {
        let config = &self.config.config;
        let cwd = if config.working_dir.is_empty() { "/" } else { &config.working_dir };
        self.cwd = cwd.into();
        self.shell = match config.shell.as_slice() {
            [] => vec!["/bin/sh".into(), "-c".into()],
            shell => shell.iter().map(|word| word.as_str().into()).collect(),
        };
    }

    /// Returns who the next step runs as.
    pub(super) fn user(&self) -> Option<String> {
        Some(self.config.config.user.clone()).filter(|user| !user.is_empty())
    }

    /// Returns the arguments that run `text` in the shell.
    pub(super) fn in_shell(&self, text: &str) -> Vec<Arc<str>> {
        let mut argv = Vec::with_capacity(self.shell.len() + 1);
        argv.extend_from_slice(&self.shell);
        argv.push(text.into());
        argv
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
        let vertex = Vertex { op, title, place, span };
        let base = (Role::Base, self.vertex);
        self.vertex = if inputs.is_empty() {
            lowering.graph.add(vertex, &[base])
        } else {
            let mut inputs = inputs;
            inputs.insert(0, base);
            lowering.graph.add(vertex, &inputs)
        };
        self.history.push(HistoryItem { created_by, vertex: Some(self.vertex) });
    }

    /// Returns a RUN of this stage that does nothing yet.
    pub(super) fn run_op(&mut self, lowering: &Lowering<'_>) -> RunOp {
        let options = lowering.options;
        RunOp {
            argv: Vec::new(),
            env: self.variables.env(),
            proxy: lowering.proxy.clone(),
            cwd: self.cwd.clone(),
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
            platform: self.platform_text.clone(),
        }
    }
}
