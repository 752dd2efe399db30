//! One file a command: its arguments, then its `run`.

pub(crate) mod build;
mod builds;
mod buildx;
mod check;
mod commit;
mod completion;
mod context;
mod diff;
mod du;
mod fmt;
mod fsck;
mod groups;
mod history;
mod image_prune;
mod images;
mod import;
mod info;
mod inspect;
mod load;
mod login;
mod manifest;
mod parse;
mod plugin;
mod prune;
mod ps;
mod pull;
mod push;
mod rm;
mod rmi;
mod run;
mod save;
mod search;
mod system_df;
mod tag;
mod version;
mod why;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use gantry_cache::{OpenOptions, Store};
use gantry_executor::registry::{Fetcher, Registry};
use gantry_image::registry::Settings;
use gantry_solver::CancelToken;

use crate::args::{Cli, Globals};
use crate::plugin::Called;
use crate::settings;
use crate::ui::{Failure, Ui};

/// The commands.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Build(Box<build::BuildArgs>),
    Check(check::CheckArgs),
    Fmt(fmt::FmtArgs),
    Parse(parse::ParseArgs),
    #[command(subcommand)]
    Builds(builds::Builds),
    Why(why::WhyArgs),
    #[command(subcommand)]
    Context(context::ContextCommand),
    Run(Box<run::RunArgs>),
    Pull(pull::PullArgs),
    Push(push::PushArgs),
    Search(search::SearchArgs),
    Login(login::LoginArgs),
    Logout(login::LogoutArgs),
    Images(images::ImagesArgs),
    History(history::HistoryArgs),
    Inspect(inspect::InspectArgs),
    Tag(tag::TagArgs),
    Rmi(rmi::RmiArgs),
    Load(load::LoadArgs),
    Import(import::ImportArgs),
    Save(save::SaveArgs),
    Ps(ps::PsArgs),
    Rm(rm::RmArgs),
    Commit(commit::CommitArgs),
    Diff(diff::DiffArgs),
    Du(du::DuArgs),
    Fsck(fsck::FsckArgs),
    Prune(prune::PruneArgs),
    Info(info::InfoArgs),
    Version(version::VersionArgs),
    #[command(subcommand)]
    Image(groups::Image),
    #[command(subcommand)]
    Container(groups::Container),
    #[command(subcommand)]
    Builder(groups::Builder),
    #[command(subcommand)]
    Buildx(groups::Buildx),
    #[command(subcommand)]
    Manifest(manifest::Manifest),
    #[command(subcommand)]
    System(groups::System),
    #[command(subcommand)]
    Plugin(plugin::Plugin),
    Completion(completion::CompletionArgs),
}

impl Command {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        match self {
            Self::Build(args) => build::run(args, context),
            Self::Check(args) => check::run(args, context),
            Self::Fmt(args) => fmt::run(args, context),
            Self::Parse(args) => parse::run(args, context),
            Self::Builds(group) => group.run(context),
            Self::Why(args) => why::run(args, context),
            Self::Context(group) => group.run(context),
            Self::Run(args) => run::run(args, context),
            Self::Pull(args) => pull::run(args, context),
            Self::Push(args) => push::run(args, context),
            Self::Search(args) => search::run(args, context),
            Self::Login(args) => login::run(args, context),
            Self::Logout(args) => login::logout(args, context),
            Self::Images(args) => images::run(args, context),
            Self::History(args) => history::run(args, context),
            Self::Inspect(args) => inspect::run(args, context),
            Self::Tag(args) => tag::run(args, context),
            Self::Rmi(args) => rmi::run(args, context),
            Self::Load(args) => load::run(args, context),
            Self::Import(args) => import::run(args, context),
            Self::Save(args) => save::run(args, context),
            Self::Ps(args) => ps::run(args, context),
            Self::Rm(args) => rm::run(args, context),
            Self::Commit(args) => commit::run(args, context),
            Self::Diff(args) => diff::run(args, context),
            Self::Du(args) => du::run(args, context),
            Self::Fsck(args) => fsck::run(args, context),
            Self::Prune(args) => prune::run(args, context),
            Self::Info(args) => info::run(args, context),
            Self::Version(args) => version::run(args, context),
            Self::Image(group) => group.run(context),
            Self::Container(group) => group.run(context),
            Self::Builder(group) => group.run(context),
            Self::Buildx(group) => group.run(context),
            Self::Manifest(group) => group.run(context),
            Self::System(group) => group.run(context),
            Self::Plugin(group) => group.run(context),
            Self::Completion(args) => completion::run(args, context),
        }
    }
}

/// What a command is given.
pub(crate) struct Context {
    /// Where it speaks.
    pub(crate) ui: Ui,
    /// Whether it explains more.
    pub(crate) debug: bool,
    /// As which program gantry was started.
    pub(crate) called: Called,
    root: Option<PathBuf>,
}

impl Context {
    fn new(globals: &Globals, called: Called) -> Self {
        Self { ui: Ui::new(), debug: globals.debug, called, root: globals.root.clone() }
    }

    /// Where the store lies.
    pub(crate) fn root(&self) -> Result<PathBuf, Failure> {
        settings::store_root(self.root.as_deref())
    }

    /// Opens the store, and makes it if it isn't there yet.
    pub(crate) fn store(&self) -> Result<Store, Failure> {
        let options = OpenOptions { create: true, ..OpenOptions::default() };
        Ok(self.fetching(Store::open(&self.root()?, options)?))
    }

    /// A client of registries. Nothing is read and no connection opened before it is used.
    pub(crate) fn registry(&self) -> Registry {
        Registry::new(settings::registry)
    }

    /// The same, by settings that a command's own flags are part of.
    pub(crate) fn registry_by(&self, settings: Settings) -> Registry {
        Registry::new(move || settings.clone())
    }

    /// The same, by settings that are put together when a registry is first asked.
    pub(crate) fn registry_from(
        &self,
        settings: impl Fn() -> Settings + Send + Sync + 'static,
    ) -> Registry {
        Registry::new(settings)
    }

    /// Opens the store if it is there; looking makes none.
    pub(crate) fn existing_store(&self) -> Result<Option<Store>, Failure> {
        Ok(Store::open_existing(&self.root()?)?.map(|store| self.fetching(store)))
    }

    /// Layers of images that no build has needed come when a command does.
    fn fetching(&self, store: Store) -> Store {
        let registry = Arc::new(self.registry());
        store.with_fetcher(Arc::new(Fetcher::new(registry, CancelToken::new())))
    }
}

/// What gantry exits with after a mistake of its own.
const INTERNAL: u8 = 100;

/// Runs the command and turns its end into an exit code.
///
/// `SIGPIPE` stays ignored, as the Rust runtime leaves it: a reader that goes away must not kill
/// gantry in the middle of a write to the store. Writing to a closed stdout fails instead, and that
/// ends the command quietly with 141, which is what a shell shows for a program killed by it.
pub(crate) fn run(cli: &Cli, called: Called) -> ExitCode {
    let context = Context::new(&cli.globals, called);
    let ran = || cli.command.run(&context);
    let Ok(ran) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(ran)) else {
        context.ui.note("ERROR: internal error: this is a bug in gantry, told of above");
        return ExitCode::from(INTERNAL);
    };
    match ran {
        Ok(code) => code,
        Err(failure) if failure.broken_pipe() => ExitCode::from(141),
        Err(failure) => {
            failure.print(&context.ui);
            ExitCode::from(failure.code())
        }
    }
}

/// Seconds since 1970, for telling how long ago something was.
pub(crate) fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}
