//! `gantry images`: the images of the store, a line for each name.

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use gantry_cache::{Image, Store};
use gantry_image::{ImageConfig, Raw, Reference};
use gantry_parser::glob::Glob;

use super::{Context, now};
use crate::ui::filter::{Filter, Filters};
use crate::ui::listing::{Listing, Row, row};
use crate::ui::{Failure, human};

/// List images
#[derive(Debug, clap::Args)]
#[command(override_usage = "gantry images [OPTIONS] [REPOSITORY[:TAG]]")]
pub(crate) struct ImagesArgs {
    /// Show only images whose name fits
    #[arg(value_name = "REPOSITORY[:TAG]")]
    name: Option<String>,
    /// Show all images (default hides those that were built with an image for another platform)
    #[arg(short, long)]
    all: bool,
    /// Show digests
    #[arg(long)]
    digests: bool,
    /// Filter output based on conditions provided
    #[arg(short, long = "filter", value_name = "filter")]
    filters: Vec<Filter>,
    /// Format output: 'table', 'table TEMPLATE', 'json' or a Go template
    #[arg(long, value_name = "string")]
    format: Option<String>,
    /// Don't truncate output
    #[arg(long)]
    no_trunc: bool,
    /// Only show image IDs
    #[arg(short, long)]
    quiet: bool,
}

const LISTING: Listing = Listing {
    columns: &[
        ("Repository", "REPOSITORY"),
        ("Tag", "TAG"),
        ("Digest", "DIGEST"),
        ("ID", "IMAGE ID"),
        ("CreatedSince", "CREATED"),
        ("CreatedAt", "CREATED AT"),
        ("Size", "SIZE"),
    ],
    default: "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}",
    key: "ID",
};

const WITH_DIGESTS: &str =
    "{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}";

const FILTERS: &[&str] = &["before", "dangling", "label", "reference", "since", "until"];

pub(crate) fn run(args: &ImagesArgs, context: &Context) -> Result<ExitCode, Failure> {
    let default = if args.digests { WITH_DIGESTS } else { LISTING.default };
    let listing = Listing { default, ..LISTING };
    let format = listing.format(args.format.as_deref(), args.quiet)?;
    let filters = Filters::new(&args.filters, FILTERS)?;
    let mut rows = Vec::new();
    if let Some(store) = context.existing_store()? {
        let selection = Selection::new(&filters, args.name.as_deref(), &store)?;
        for image in store.images().list()? {
            // The name of another image stands for this one too.
            let hidden = !args.all && image.names.is_empty() && !image.is_dangling();
            if !hidden && selection.takes(&image, &store)? {
                rows.extend(rows_of(&image, &selection, args));
            }
        }
    }
    if args.quiet {
        // Every image once, however many names it has.
        rows.dedup_by(|a, b| a["ID"] == b["ID"]);
    }
    listing.print(&format, rows, &context.ui)?;
    Ok(ExitCode::SUCCESS)
}

/// Which images, and which of their names.
struct Selection<'a> {
    filters: &'a Filters,
    dangling: Option<bool>,
    names: Vec<Glob>,
    before: Option<SystemTime>,
    since: Option<SystemTime>,
    until: Option<SystemTime>,
}

impl<'a> Selection<'a> {
    fn new(filters: &'a Filters, name: Option<&str>, store: &Store) -> Result<Self, Failure> {
        let patterns = filters.values("reference").iter().map(String::as_str).chain(name);
        let names = patterns.map(Glob::new).collect::<Result<_, _>>()?;
        let made = |key: &str| -> Result<Option<SystemTime>, Failure> {
            let Some(name) = filters.values(key).last() else { return Ok(None) };
            Ok(Some(created(&store.images().resolve(name)?)))
        };
        let until = match filters.values("until").last() {
            Some(text) => Some(point_in_time(text)?),
            None => None,
        };
        Ok(Self {
            filters,
            dangling: filters.flag("dangling")?,
            names,
            before: made("before")?,
            since: made("since")?,
            until,
        })
    }

    fn takes(&self, image: &Image, store: &Store) -> Result<bool, Failure> {
        let created = created(image);
        if self.dangling.is_some_and(|wanted| wanted != image.is_dangling())
            || self.before.is_some_and(|before| created >= before)
            || self.since.is_some_and(|since| created <= since)
            || self.until.is_some_and(|until| created > until)
        {
            return Ok(false);
        }
        if self.filters.values("label").is_empty() {
            return Ok(true);
        }
        let config = read_config(image, store)?;
        let labels = &config.value().config.labels;
        Ok(self.filters.allow_labels(|key| labels.get(key).map(String::as_str)))
    }

    fn takes_name(&self, name: &Reference) -> bool {
        let fits = |glob: &Glob| {
            glob.matches(name.familiar().as_bytes())
                || glob.matches(name.familiar_name().as_bytes())
        };
        self.names.is_empty() || self.names.iter().any(fits)
    }
}

fn rows_of(image: &Image, selection: &Selection<'_>, args: &ImagesArgs) -> Vec<Row> {
    let id = if args.no_trunc { image.id.to_string() } else { image.id.short() };
    let created = seconds(created(image));
    let make = |repository: &str, tag: &str, digest: &str| {
        row([
            ("Repository", repository.into()),
            ("Tag", tag.into()),
            ("Digest", digest.into()),
            ("ID", id.as_str().into()),
            ("CreatedSince", human::ago(created, now()).into()),
            ("CreatedAt", human::timestamp(created).into()),
            ("Size", human::size(image.size).into()),
        ])
    };
    if image.names.is_empty() {
        // A pattern asks for names, and there is none that could fit.
        let shown = selection.names.is_empty();
        return shown.then(|| make("<none>", "<none>", "<none>")).into_iter().collect();
    }
    let digest_of = |name: &Reference| {
        let same = image.names.iter().filter(|other| other.name() == name.name());
        let digest = same.filter_map(Reference::digest).next();
        digest.map_or_else(|| "<none>".to_owned(), |digest| digest.to_string())
    };
    let tagged: Vec<&Reference> = image.names.iter().filter(|name| name.tag().is_some()).collect();
    let alone = image.names.iter().filter(|name| {
        name.tag().is_none() && tagged.iter().all(|tagged| tagged.name() != name.name())
    });
    tagged
        .iter()
        .copied()
        .chain(alone)
        .filter(|name| selection.takes_name(name))
        .map(|name| make(&name.familiar_name(), name.tag().unwrap_or("<none>"), &digest_of(name)))
        .collect()
}

/// Reads an image's config.
pub(super) fn read_config(image: &Image, store: &Store) -> Result<Raw<ImageConfig>, Failure> {
    /// No config comes near this.
    const LIMIT: u64 = 8 << 20;
    let bytes = store.blobs().read(&image.id, LIMIT)?;
    let bytes = bytes.ok_or_else(|| {
        Failure::text(format_args!("The config of the image `{}` is gone", image.id.short()))
            .with_hint("Remove the image with `gantry rmi`, and build or load it again")
    })?;
    Ok(Raw::parse(bytes)?)
}

/// When an image was made, as far as it says.
pub(super) fn created(image: &Image) -> SystemTime {
    image.created.unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Seconds since 1970.
pub(super) fn seconds(time: SystemTime) -> i64 {
    let whole = |span: Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => whole(after),
        Err(before) => -whole(before.duration()),
    }
}

/// Reads a time, or how long ago it was: `2024-05-01T12:00:00Z`, `1714564800`, `24h`.
pub(super) fn point_in_time(text: &str) -> Result<SystemTime, Failure> {
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        let since = Duration::from_secs(u64::try_from(time.as_second()).unwrap_or(0));
        return Ok(SystemTime::UNIX_EPOCH + since);
    }
    if let Ok(seconds) = text.parse::<u64>() {
        return Ok(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    }
    let span = human::parse_duration(text).map_err(Failure::usage)?;
    Ok(SystemTime::now().checked_sub(span).unwrap_or(SystemTime::UNIX_EPOCH))
}
