//! Other spellings of the same commands: `image ls`, `builder prune`, `buildx du`, `system info`.

use std::process::ExitCode;

use super::{
    Context, build, builds, buildx, commit, diff, du, history, image_prune, images, import, info,
    inspect, load, manifest, prune, ps, pull, push, rm, rmi, run, save, system_df, tag,
};
use crate::ui::Failure;

/// Manage images
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Image {
    Build(Box<build::BuildArgs>),
    #[command(visible_alias = "list")]
    Ls(images::ImagesArgs),
    History(history::HistoryArgs),
    Inspect(inspect::InspectArgs),
    Tag(tag::TagArgs),
    #[command(visible_alias = "remove")]
    Rm(rmi::RmiArgs),
    Load(load::LoadArgs),
    Import(import::ImportArgs),
    Pull(pull::PullArgs),
    Push(push::PushArgs),
    Save(save::SaveArgs),
    Prune(image_prune::ImagePruneArgs),
}

impl Image {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        match self {
            Self::Build(args) => build::run(args, context),
            Self::Ls(args) => images::run(args, context),
            Self::History(args) => history::run(args, context),
            Self::Inspect(args) => inspect::run(args, context),
            Self::Tag(args) => tag::run(args, context),
            Self::Rm(args) => rmi::run(args, context),
            Self::Load(args) => load::run(args, context),
            Self::Import(args) => import::run(args, context),
            Self::Pull(args) => pull::run(args, context),
            Self::Push(args) => push::run(args, context),
            Self::Save(args) => save::run(args, context),
            Self::Prune(args) => image_prune::run(args, context),
        }
    }
}

/// Manage containers
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Container {
    Run(Box<run::RunArgs>),
    #[command(visible_alias = "list", alias = "ps")]
    Ls(ps::PsArgs),
    Rm(rm::RmArgs),
    Commit(commit::CommitArgs),
    Diff(diff::DiffArgs),
}

impl Container {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        match self {
            Self::Run(args) => run::run(args, context),
            Self::Ls(args) => ps::run(args, context),
            Self::Rm(args) => rm::run(args, context),
            Self::Commit(args) => commit::run(args, context),
            Self::Diff(args) => diff::run(args, context),
        }
    }
}

/// Manage the build cache
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Builder {
    Build(Box<build::BuildArgs>),
    Prune(prune::PruneArgs),
}

impl Builder {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        match self {
            Self::Build(args) => build::run(args, context),
            Self::Prune(args) => prune::run(args, context),
        }
    }
}

/// Build with the spelling of docker's build plugin
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Buildx {
    Build(Box<build::BuildArgs>),
    Du(du::DuArgs),
    Prune(prune::PruneArgs),
    Version(buildx::VersionArgs),
    Inspect(buildx::InspectArgs),
    Ls(buildx::LsArgs),
    #[command(hide = true)]
    Install(buildx::AliasArgs),
    #[command(hide = true)]
    Uninstall(buildx::AliasArgs),
    #[command(hide = true)]
    Create(buildx::BuilderArgs),
    #[command(hide = true)]
    Use(buildx::BuilderArgs),
    #[command(hide = true)]
    Rm(buildx::BuilderArgs),
    #[command(hide = true)]
    Stop(buildx::BuilderArgs),
    #[command(subcommand)]
    History(builds::Builds),
    #[command(subcommand)]
    Imagetools(manifest::Imagetools),
}

impl Buildx {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        match self {
            Self::Build(args) => build::run(args, context),
            Self::Du(args) => du::run(args, context),
            Self::Prune(args) => prune::run(args, context),
            Self::Version(args) => buildx::version(args, context),
            Self::Inspect(args) => buildx::inspect(args, context),
            Self::Ls(args) => buildx::ls(args, context),
            Self::Install(_) => buildx::alias(true),
            Self::Uninstall(_) => buildx::alias(false),
            Self::Create(args) => buildx::builder("create", args, context),
            Self::Use(args) => buildx::builder("use", args, context),
            Self::Rm(args) => buildx::builder("rm", args, context),
            Self::Stop(args) => buildx::builder("stop", args, context),
            Self::History(group) => group.run(context),
            Self::Imagetools(group) => group.run(context),
        }
    }
}

/// Manage gantry
#[derive(Debug, clap::Subcommand)]
pub(crate) enum System {
    Df(system_df::DfArgs),
    Info(info::InfoArgs),
}

impl System {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        match self {
            Self::Df(args) => system_df::run(args, context),
            Self::Info(args) => info::run(args, context),
        }
    }
}
