//! `gantry pull`, in docker's words.

use std::process::ExitCode;
use std::sync::OnceLock;

use gantry_cache::Store;
use gantry_executor::registry::{Moment, PullRequest, Pulled, Registry, TransferError, Watch};
use gantry_image::{Digest, Platform, Reference};
use gantry_sandbox::Host;
use gantry_solver::CancelToken;

use super::Context;
use crate::args::Transfer;
use crate::ui::bars::Bars;
use crate::ui::{Failure, Ui};
use crate::{privilege, settings};

/// Download an image from a registry
#[derive(Debug, clap::Args)]
#[command(override_usage = "gantry pull [OPTIONS] NAME[:TAG|@DIGEST]")]
pub(crate) struct PullArgs {
    #[arg(value_name = "NAME[:TAG|@DIGEST]")]
    name: String,
    /// Download all tagged images in the repository
    #[arg(short, long)]
    all_tags: bool,
    /// Download the images for all platforms, and what is said about them; the name stands for all
    #[arg(long)]
    all_platforms: bool,
    /// Set platform if server is multi-platform capable
    #[arg(long, value_name = "string")]
    platform: Option<Platform>,
    /// Suppress verbose output
    #[arg(short, long)]
    quiet: bool,
    /// Skip image verification (there is none besides that of digests)
    #[arg(long, default_value_t = true, default_missing_value = "true", num_args = 0..=1,
          require_equals = true, action = clap::ArgAction::Set, hide = true)]
    disable_content_trust: bool,
    #[command(flatten)]
    transfer: Transfer,
}

pub(crate) fn run(args: &PullArgs, context: &Context) -> Result<ExitCode, Failure> {
    let name: Reference = args.name.parse()?;
    let exact = name.tag().is_some() || name.digest().is_some();
    if args.all_tags && exact {
        return Err(Failure::text("tag can't be used with --all-tags/-a"));
    }
    let transfer = args.transfer.completed()?;
    // Trees hold files of ids that exist in the user namespace only.
    let host = gantry_sandbox::probe();
    if let Some(code) = privilege::escalate(&host)? {
        return Ok(code);
    }
    let store = context.store()?;
    let registry = context.registry_by(transfer.over(settings::registry(), Some(name.domain()))?);
    let pull = Pull {
        registry: &registry,
        store: &store,
        host: &host,
        platform: args.platform.as_ref(),
        all: args.all_platforms,
        bars: if args.quiet { || None } else { Bars::on_stdout },
        say: &|line| {
            // A reader that went away does not stop what goes into the store.
            if !args.quiet {
                let _ = context.ui.line(line);
            }
        },
    };
    if args.all_tags {
        let tags = registry.tags(&name, &CancelToken::new())?;
        let mut newer = false;
        for tag in tags {
            newer |= pull.one(&name.with_tag(&tag)?)?.newer;
        }
        pull.status(newer, &name.familiar());
        context.ui.line(&name)?;
    } else {
        if !exact {
            (pull.say)("Using default tag: latest");
        }
        let name = name.with_default_tag();
        let pulled = pull.one(&name)?;
        pull.status(pulled.newer, &name.familiar());
        context.ui.line(&name)?;
    }
    store.sync()?;
    Ok(ExitCode::SUCCESS)
}

/// A pull that tells what happens line by line.
struct Pull<'a> {
    registry: &'a Registry,
    store: &'a Store,
    host: &'a Host,
    platform: Option<&'a Platform>,
    all: bool,
    /// Makes the bars of an image, where there is a terminal for them.
    bars: fn() -> Option<Bars>,
    say: &'a (dyn Fn(&str) + Sync),
}

impl Pull<'_> {
    fn one(&self, name: &Reference) -> Result<Pulled, TransferError> {
        let what = match name.tag().filter(|_| name.digest().is_none()) {
            Some(tag) => tag.to_owned(),
            None => name.to_string(),
        };
        let head = format!("{what}: Pulling from {}", name.path());
        let (platform, all) = (self.platform, self.all);
        let request = PullRequest { reference: name, platform, all, tag: true };
        let watch = Lines { head, bars: OnceLock::new(), on: self.bars, say: self.say };
        let cancel = CancelToken::new();
        let pulled = self.registry.pull(&request, self.store, self.host, &watch, &cancel)?;
        (self.say)(&format!("Digest: {}", pulled.digest));
        Ok(pulled)
    }

    fn status(&self, newer: bool, name: &str) {
        let what = if newer { "Downloaded newer image" } else { "Image is up to date" };
        (self.say)(&format!("Status: {what} for {name}"));
    }
}

/// Pulls an image that a container is to be made from; all that is told goes to stderr.
pub(super) fn pull_for_run(
    name: &Reference,
    platform: Option<&Platform>,
    store: &Store,
    host: &Host,
    context: &Context,
) -> Result<Digest, Failure> {
    let registry = context.registry();
    let say = |line: &str| context.ui.note(line);
    let pull = Pull {
        registry: &registry,
        store,
        host,
        platform,
        all: false,
        bars: Bars::on_stderr,
        say: &say,
    };
    let pulled = pull.one(name)?;
    pull.status(pulled.newer, &name.familiar());
    Ok(pulled.id)
}

/// Says from where the image comes, once it is there, and of each layer what became of it.
///
/// On a terminal each layer has a line from the start, which tells how far it has come.
struct Lines<'a> {
    head: String,
    /// There once the layers are known.
    bars: OnceLock<Option<Bars>>,
    on: fn() -> Option<Bars>,
    say: &'a (dyn Fn(&str) + Sync),
}

impl Lines<'_> {
    fn ended(&self, layer: &Digest, word: &str) {
        match self.bars.get() {
            Some(Some(bars)) => bars.end(layer, word),
            _ => (self.say)(&format!("{}: {word}", layer.short())),
        }
    }
}

impl Watch for Lines<'_> {
    fn moment(&self, moment: Moment) {
        match moment {
            Moment::Layers(layers) => {
                (self.say)(&self.head);
                if let Some(bars) = self.bars.get_or_init(self.on) {
                    layers.iter().for_each(|layer| bars.say(layer, "Pulling fs layer"));
                }
            }
            Moment::Progress { layer, current, total } => {
                if let Some(Some(bars)) = self.bars.get() {
                    match current < total {
                        true => bars.moved(&layer, "Downloading", current, total),
                        // It was unpacked meanwhile, all but the last of it.
                        false => bars.say(&layer, "Extracting"),
                    }
                }
            }
            Moment::Exists(layer) => self.ended(&layer, "Already exists"),
            Moment::Pulled(layer) => self.ended(&layer, "Pull complete"),
            _ => {}
        }
    }
}

/// Says of each layer what became of it on its way out, and on a terminal how far it has come.
pub(super) struct PushLines<'a> {
    ui: &'a Ui,
    bars: Option<Bars>,
}

impl<'a> PushLines<'a> {
    pub(super) fn new(ui: &'a Ui) -> Self {
        Self { ui, bars: Bars::on_stdout() }
    }
}

impl Watch for PushLines<'_> {
    fn moment(&self, moment: Moment) {
        let (layer, what) = match moment {
            Moment::Layers(layers) => {
                if let Some(bars) = &self.bars {
                    // The uppermost is the first to go.
                    layers.iter().rev().for_each(|layer| bars.say(layer, "Preparing"));
                }
                return;
            }
            Moment::Progress { layer, current, total } => {
                if let Some(bars) = &self.bars {
                    bars.moved(&layer, "Pushing", current, total);
                }
                return;
            }
            Moment::Exists(layer) => (layer, "Layer already exists".to_owned()),
            Moment::Pushed(layer) => (layer, "Pushed".to_owned()),
            Moment::Mounted { layer, from } => (layer, format!("Mounted from {from}")),
            Moment::Foreign(layer) => (layer, "Skipped foreign layer".to_owned()),
            _ => return,
        };
        match &self.bars {
            Some(bars) => bars.end(&layer, &what),
            // A reader that went away does not stop what goes to the registry.
            None => drop(self.ui.line(format_args!("{}: {what}", layer.short()))),
        }
    }
}
