//! `gantry build`: a Dockerfile and its context made into an image.
//!
//! | file | owns |
//! |---|---|
//! | `args` | the flags; `podman`, `legacy`: those of other builders |
//! | `attest` | `--attest`, `--provenance` and `--sbom` |
//! | `dry_run` | what would run, and why |
//! | `cache` | `--cache-from` and `--cache-to` |
//! | `contexts` | `--build-context` |
//! | `source` | where Dockerfile and context come from |
//! | `ssh` | `--ssh` |
//! | `output` | `--output` |
//! | `values` | flags whose values have parts |
//! | `limits` | `--resource` |
//! | `environment` | what variables and docker's configuration add |
//! | `request` | arguments as typed → a build as meant |
//! | `metadata` | `--metadata-file` |
//! | `engine` | an image that a docker client asked for, and its engine |
//! | `outcome` | what is said and written when it is over |

mod args;
mod attest;
mod cache;
mod contexts;
mod dry_run;
mod engine;
mod environment;
mod legacy;
mod limits;
mod metadata;
mod outcome;
mod output;
mod podman;
mod request;
pub(super) mod source;
mod ssh;
pub(crate) mod values;

use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gantry_executor::registry::Registry;
use gantry_executor::{BuildError, BuildOutcome, BuildRequest, Output, Timing};
use gantry_image::Reference;
use gantry_image::registry::{Security, Settings};
use gantry_sandbox::Host;
use gantry_solver::CancelToken;

use super::{Context, check};
use crate::progress::{Mode, Progress, Warnings};
use crate::ui::{Failure, github};
use crate::{privilege, settings, signals};
use check::call::Call;

use self::outcome::Shown;

pub(crate) use args::BuildArgs;

pub(crate) fn run(args: &BuildArgs, context: &Context) -> Result<ExitCode, Failure> {
    let mode = mode(args)?;
    let host = Arc::new(gantry_sandbox::probe());
    // Podman and buildah mean the current directory where none is named.
    let here = context.called.as_podman().then_some(".");
    let path = args.context.as_deref().or(here).ok_or_else(|| {
        Failure::text("please specify build context (e.g. \".\" for the current directory)")
    })?;
    let file = args.file.clone().or_else(|| {
        // Podman and buildah look for the one before the other (C2-08).
        let file = Path::new(path).join("Containerfile");
        (context.called.as_podman() && file.is_file()).then(|| file.display().to_string())
    });
    let ignored = legacy::warning(&args.legacy.ignored());
    if let Some(warning) = ignored.filter(|_| !privilege::is_second_run()) {
        context.ui.note(warning);
    }
    if let Some(call) = call(args)? {
        let sources = source::find(path, file.as_deref())?;
        let platform = args.platform.first().map(String::as_str);
        let target = args.target();
        let marked_as = github::is_on().then(|| shown_as(path, file.as_deref()));
        let build_args = &args.build_args;
        let request = check::call::Request { sources, build_args, target, platform, marked_as };
        return check::call::run(call, request, context);
    }
    let reads_stdin = source::uses_stdin(path, file.as_deref());
    // Stdin can be read once only: by the process in which steps can run.
    if reads_stdin && let Some(code) = privilege::escalate(&host)? {
        return Ok(code);
    }
    let mut request = request::make(args, path, file.as_deref(), &context.ui)?;
    let how = Shown {
        mode,
        free: !request.outputs.iter().any(Output::is_stream),
        file: github::is_on().then(|| shown_as(path, file.as_deref())),
    };
    if let Some(form) = args.explain.dry_run {
        return dry_run::run(form, request, context, &host, &how);
    }
    request.registry = Some(Arc::new(registry(args, context)?));
    outcome::prepare(args)?;
    let names = names(&request);
    let progress = Progress::start(mode, how.free);
    match build(request, context, &host, &progress) {
        Err(Ended::NeedsUserNamespace) => privilege::again(),
        Ok(built) => {
            progress.finish(outcome::warnings(&built.warnings, &built.dockerfile, context));
            if args.explain.timing
                && let Some((_, record)) = &built.past
            {
                context.ui.note(super::builds::timing::text(record, &Timing::of(record)));
            }
            outcome::succeeded(&built, &names, args, context, &how)
        }
        Err(Ended::Failed(error)) => {
            progress.finish(match &*error {
                BuildError::Steps(failures) => {
                    outcome::warnings(&failures.warnings, &failures.source, context)
                }
                _ => Warnings::default(),
            });
            Err(outcome::failed(*error, &how, args.propagate_exit_code))
        }
        Err(Ended::Refused(failure)) => Err(failure),
    }
}

/// What the Dockerfile is called where GitHub's runner reads paths from.
fn shown_as(context: &str, file: Option<&str>) -> String {
    let there = |path: &Path| path.is_file().then(|| path.to_path_buf());
    let named = file
        .and_then(|file| there(Path::new(file)).or_else(|| there(&Path::new(context).join(file))));
    let path = named.unwrap_or_else(|| Path::new(context).join("Dockerfile"));
    github::name_of(&path)
}

/// What the result is called, in the store and elsewhere.
fn names(request: &BuildRequest) -> Vec<Reference> {
    let mut all = request.tags.clone();
    for output in &request.outputs {
        if let Output::Registry { names, .. }
        | Output::Docker { names, .. }
        | Output::Oci { names, .. } = output
        {
            for name in names {
                if !all.contains(name) {
                    all.push(name.clone());
                }
            }
        }
    }
    all
}

/// How a build ended that made nothing.
enum Ended {
    NeedsUserNamespace,
    Failed(Box<BuildError>),
    Refused(Failure),
}

fn build(
    request: BuildRequest,
    context: &Context,
    host: &Arc<Host>,
    progress: &Progress,
) -> Result<BuildOutcome, Ended> {
    let store = context.store().map_err(Ended::Refused)?;
    let cancel = CancelToken::new();
    cancel_on_signals(&cancel).map_err(Ended::Refused)?;
    let observer = Arc::new(progress.clone());
    let engine = engine::wanted(&request, context).map_err(Ended::Refused)?;
    let built = gantry_executor::build(request, &store, host, observer, &cancel);
    let built = built.map_err(|error| match error {
        BuildError::NeedsUserNamespace => Ended::NeedsUserNamespace,
        error => Ended::Failed(Box::new(error)),
    })?;
    if let Some(engine) = engine {
        let loaded = engine::load(&engine, &built, &store, host, progress, &cancel, context);
        if loaded.map_err(Ended::Refused)? == engine::Ended::NeedsUserNamespace {
            return Err(Ended::NeedsUserNamespace);
        }
    }
    store.sync().map_err(|error| Ended::Refused(error.into()))?;
    Ok(built)
}

/// The first Ctrl-C cancels the build, and it ends with 130. The second kills: whoever presses it
/// has waited long enough.
fn cancel_on_signals(cancel: &CancelToken) -> Result<(), Failure> {
    /// One press may arrive twice: from the terminal, and forwarded by the process outside of the
    /// user namespace.
    const ONE_PRESS: Duration = Duration::from_millis(300);
    let cancel = cancel.clone();
    let mut first: Option<Instant> = None;
    signals::watch(&signals::ending(), move |_| match first {
        None => {
            first = Some(Instant::now());
            cancel.cancel();
        }
        Some(first) if first.elapsed() < ONE_PRESS => {}
        #[expect(clippy::exit, reason = "nothing may hold up a second Ctrl-C")]
        Some(_) => std::process::exit(outcome::CANCELED.into()),
    })
    .map_err(|err| Failure::new(err).context("Failed to listen for signals"))
}

/// What is asked for instead of an image.
fn call(args: &BuildArgs) -> Result<Option<Call>, Failure> {
    match (&args.call, args.check) {
        (None, true) => Ok(Some(Call::CHECK)),
        (None, false) => Ok(None),
        (Some(text), check) => {
            let call = Call::parse(text)?;
            if check && call != Some(Call::CHECK) {
                return Err(Failure::usage("--check and --call cannot be used together"));
            }
            Ok(call)
        }
    }
}

fn mode(args: &BuildArgs) -> Result<Mode, Failure> {
    let given = args.progress.filter(|mode| *mode != Mode::Auto);
    let mode = match (given, args.quiet) {
        (Some(Mode::Quiet) | None, true) => return Ok(Mode::Quiet),
        (Some(mode), true) => {
            let name = format!("{mode:?}").to_lowercase();
            return Err(Failure::text(format_args!(
                "progress={name} and quiet cannot be used together"
            )));
        }
        (Some(mode), false) => mode,
        (None, false) => Mode::of_environment().map_err(|error| {
            Failure::text(error).with_hint("`BUILDKIT_PROGRESS` names one of those of `--progress`")
        })?,
    };
    if mode == Mode::Tty && !std::io::stderr().is_terminal() {
        return Err(Failure::text("failed to get console: provided file is not a console")
            .with_hint(
                "`--progress=tty` draws on a terminal, which stderr is not; `plain` needs none",
            ));
    }
    Ok(mode)
}

/// Reads a name for an image.
fn parse_tag(text: &str) -> Result<Reference, Failure> {
    let invalid =
        |why: &dyn std::fmt::Display| Failure::text(format_args!("invalid tag \"{text}\": {why}"));
    let reference: Reference = text.parse().map_err(|err| invalid(&err))?;
    if reference.digest().is_some() {
        return Err(invalid(&"a name with a digest can't be given to an image"));
    }
    Ok(reference.with_default_tag())
}

/// How this build talks to registries.
fn registry(args: &BuildArgs, context: &Context) -> Result<Registry, Failure> {
    let transfer = args.podman.transfer.completed()?;
    let insecure = output::insecure_registries(&args.outputs, &args.tags);
    // What is wrong with files that were named is told now; all else when a registry is asked.
    transfer.over(Settings::default(), None)?;
    Ok(context.registry_from(move || {
        let mut settings = settings::registry();
        settings = transfer.over(settings.clone(), None).unwrap_or(settings);
        let asked = insecure.iter().map(|host| (host.clone(), Some(Security::Any)));
        settings.hosts.asked.extend(asked);
        settings
    }))
}
