//! Lowering: from a parsed Dockerfile to a graph, an image config and a history. All words of
//! the Dockerfile language end here.
//!
//! ```text
//! Dockerfile ─globals→ variables of FROM lines
//!            ─stages→  stages, what each builds upon and needs; target, cycles
//!            ─images→  base images of reachable stages resolved; their ONBUILD triggers
//!            ─stage→   one State a stage, moved by one file an instruction
//!            ─finish→  the target's config, labels and platform
//! ```
//! Instructions that only change the config are no vertices. Errors are collected: one bad
//! instruction does not hide the next.

mod options;
mod output;

mod begin;
mod context;
mod cycles;
mod epoch;
mod from;
mod globals;
mod images;
mod instruction;
mod stage;
mod stages;
mod title;
mod variables;

pub(crate) mod git;
mod go;
mod paths;

use gantry_parser::{Diagnostic, Dockerfile, SourceFile, ast::CheckOptions, expand::Lexer};

pub(crate) use paths::base as base_name;

pub use git::BadAddress;
pub use options::{Context, LowerOptions};
pub use output::{HistoryItem, LowerErrors, Lowered, Scans};

use crate::{graph::Graph, lower::variables::Globals, resolve::Resolve};

/// Lowers a Dockerfile that was parsed without errors.
///
/// # Errors
/// [`LowerErrors`] for whatever is wrong with it: expansion, stages, images that can't be
/// resolved, ONBUILD triggers. Errors of the earliest kind hide those of later kinds.
pub async fn lower(
    dockerfile: &Dockerfile,
    options: &LowerOptions,
    resolve: &dyn Resolve,
) -> Result<Lowered, LowerErrors> {
    let layout = dockerfile.layout();
    let lexer = Lexer::new(dockerfile.directives.escape);
    if layout.stages.is_empty() {
        let error = Diagnostic::error_in_file("dockerfile contains no stages to build");
        return Err(LowerErrors(vec![error.with_hint("Add a FROM, such as `FROM alpine`")]));
    }
    let last = layout.stages.last().and_then(|stage| stage.from.stage_name());
    let target_name = options.target.as_deref().or(last.as_deref());
    let mut globals = globals::globals(options, target_name, &lexer, &layout.globals)?;
    let (source_date_epoch, options) =
        epoch::resolve(options, &mut globals, &layout, &lexer, resolve).await?;
    let options = &*options;

    let mut warnings = Vec::new();
    let mut stages = stages::plan(&layout, options, &globals, &lexer, &mut warnings)?;
    let target = stages.target(options.target.as_deref())?;
    cycles::check(&stages)?;
    let images = images::resolve(&mut stages, target, options, resolve).await?;

    let mut lowering = Lowering {
        options,
        globals: &globals,
        lexer,
        graph: Graph::with_capacity(dockerfile.statements.len().min(512)),
        proxy: variables::proxies(&options.build_args),
        warnings,
        errors: Vec::new(),
        trigger_args: Vec::new(),
    };
    let state = stage::lower_reachable(&mut lowering, &stages, &images, target);
    if !lowering.errors.is_empty() {
        return Err(LowerErrors(lowering.errors));
    }
    let Some((state, stages)) = state else {
        let error = Diagnostic::error_in_file("The target has no stage");
        return Err(LowerErrors(vec![error.with_hint("Name a stage of the file with `--target`")]));
    };
    let undeclared = globals::undeclared(options, &dockerfile.statements, &lowering.trigger_args);
    lowering.warnings.extend(undeclared);
    let Lowering { graph, mut warnings, .. } = lowering;
    warnings.retain(|warning| !skipped(dockerfile.directives.check.as_ref(), warning));
    let mut config = state.config;
    config.config.labels.extend(options.labels.clone());
    finish_platform(&mut config, options);
    let platform = config.platform().normalized();
    config.set_platform(&platform);
    Ok(Lowered {
        graph,
        target: state.vertex,
        config,
        history: state.history,
        platform,
        source_date_epoch,
        scans: Scans { context: state.scan.context, stages },
        warnings,
    })
}

/// An explicit `--platform` is what the image says of itself, whatever its base says (B9-09).
fn finish_platform(config: &mut gantry_image::ImageConfig, options: &LowerOptions) {
    let Some(platform) = &options.platform else { return };
    let same = config.os == platform.os && config.architecture == platform.architecture;
    config.os.clone_from(&platform.os);
    config.architecture.clone_from(&platform.architecture);
    if platform.variant.is_some() || !same {
        config.variant = platform.variant.clone().unwrap_or_default();
    }
    if platform.os_version.is_some() || !same {
        config.os_version = platform.os_version.clone().unwrap_or_default();
    }
}

/// Returns whether a `check` directive says that a warning is not wanted.
fn skipped(check: Option<&CheckOptions>, warning: &Diagnostic) -> bool {
    check.zip(warning.code).is_some_and(|(check, code)| check.skip.contains(code))
}

impl From<Diagnostic> for LowerErrors {
    fn from(error: Diagnostic) -> Self {
        LowerErrors(vec![error])
    }
}

impl From<Vec<Diagnostic>> for LowerErrors {
    fn from(errors: Vec<Diagnostic>) -> Self {
        LowerErrors(errors)
    }
}

/// What the lowering of all stages shares.
struct Lowering<'a> {
    options: &'a LowerOptions,
    globals: &'a Globals,
    lexer: Lexer,
    graph: Graph,
    proxy: std::sync::Arc<[crate::op::EnvVar]>,
    warnings: Vec<Diagnostic>,
    errors: Vec<Diagnostic>,
    /// ARGs that triggers of base images declared.
    trigger_args: Vec<String>,
}

/// Parses and lowers in one go, for whoever has only text.
///
/// # Errors
/// Errors of the grammar, else as [`lower`].
pub async fn lower_text(
    source: &SourceFile,
    options: &LowerOptions,
    resolve: &dyn Resolve,
) -> Result<Lowered, LowerErrors> {
    let parsed = gantry_parser::parse(source);
    if parsed.has_errors() {
        return Err(LowerErrors(parsed.diagnostics));
    }
    let mut lowered = lower(&parsed.dockerfile, options, resolve).await?;
    lowered.warnings.splice(0..0, parsed.diagnostics);
    Ok(lowered)
}
