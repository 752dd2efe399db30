//! Arguments of `build` as typed → a build as meant.

use std::collections::BTreeMap;
use std::path::Path;

use gantry_executor::{
    BuildRequest, ConfigChanges, DefaultNetwork, Entitlements, NamedContext, Snapshotter,
};
use gantry_image::{Platform, Reference};
use gantry_parser::remote::{SourceKind, source_kind};
use gantry_solver::NoCache;
use gantry_solver::lower::BadAddress;
use gantry_solver::op::{GitOp, HttpOp};

use super::args::BuildArgs;
use super::output::{self, Wanted};
use super::values::{self, ExtraHost, KeyValue, SecretSource};
use super::{attest, cache, environment, limits, parse_tag, source};
use crate::ui::{Failure, Ui};
use crate::{privilege, settings};

/// What buildx says where a build leaves nothing but the cache.
const NO_OUTPUT: &str = "WARNING: No output specified with gantry driver. Build result will only \
                         remain in the build cache. To push result image into registry use --push \
                         or to load image into docker use --load";

/// Makes the request.
///
/// # Errors
/// Whatever is wrong with the arguments, in docker's words.
pub(super) fn make(
    args: &BuildArgs,
    path: &str,
    file: Option<&str>,
    ui: &Ui,
) -> Result<BuildRequest, Failure> {
    args.podman.check()?;
    let attestations = attest::attestations(args, path, file)?;
    let tags = args.tags.iter().chain(&args.podman.manifest);
    let tags = tags.map(|tag| parse_tag(tag)).collect::<Result<Vec<_>, _>>()?;
    let platforms = platforms(&args.platform)?;
    let allow = entitlements(&args.allow)?;
    let mut annotations = Vec::new();
    for text in &args.annotations {
        annotations.extend(output::parse_annotation(text).map_err(Failure::text)?);
    }
    let outputs = output::resolve(&Wanted {
        specs: &args.outputs,
        load: args.load,
        push: args.push,
        annotations,
        docker_types: args.podman.format.as_deref() == Some("docker"),
        keep_times: args.rewrite_timestamp == Some(false),
        has_tags: !tags.is_empty(),
        may_delete: allow.local_delete,
        several: platforms.len() > 1,
        attested: attestations.is_any(),
        nothing_by_default: environment::is_set("BUILDX_NO_DEFAULT_LOAD"),
    })?;
    if outputs.has_files && args.iidfile().is_some() {
        return Err(Failure::text("local and tar exporters are incompatible with image ID file"));
    }
    if outputs.cache_only && !privilege::is_second_run() {
        ui.note(NO_OUTPUT);
    }
    let no_cache = match (args.no_cache, args.no_cache_filter.as_slice()) {
        (true, [_, ..]) => {
            return Err(Failure::text(
                "--no-cache and --no-cache-filter cannot currently be used together",
            ));
        }
        (true, []) => NoCache::All,
        (false, []) if args.podman.no_cache() => NoCache::All,
        (false, []) => NoCache::Never,
        (false, stages) => NoCache::Stages(stages.to_vec()),
    };
    environment::refuse_policy()?;
    let sources = source::find(path, file)?;
    let mut request = BuildRequest::new(sources.dockerfile, sources.context);
    request.ignore = sources.ignore;
    request.named_contexts = named_contexts(&args.build_contexts)?;
    request.target = args.target().map(str::to_owned);
    if let Some(path) = &args.podman.ignorefile {
        let text = fs_err::read(path)?;
        let name = path.display().to_string();
        request.ignore = Some((name, String::from_utf8_lossy(&text).into_owned()));
    }
    request.build_args = build_args(args)?;
    request.labels = environment::git_labels(path, file);
    let given = |label: &KeyValue| (label.key.clone(), label.value.clone().unwrap_or_default());
    request.labels.extend(args.labels.iter().map(given));
    request.platforms = platforms;
    request.from = args.podman.from.clone();
    request.jobs = args.podman.jobs;
    request.squash = args.squash || args.podman.layers == Some(false);
    request.base_annotations = args.base_annotations;
    request.changes = ConfigChanges {
        env: args.podman.envs.iter().map(given).collect(),
        unset_env: args.podman.unset_envs.clone(),
        unset_labels: args.podman.unset_labels.clone(),
    };
    request.on_fail = args.on_fail_output.clone().map(|spec| spec.0);
    request.no_cache = no_cache;
    request.pull = args.pull;
    request.network = network(&args.network)?;
    args.secrets.iter().try_for_each(SecretSource::check).map_err(Failure::text)?;
    request.secrets =
        args.secrets.iter().map(|secret| (secret.id.clone(), secret.secret())).collect();
    request.ssh = super::ssh::agents(&args.ssh)?;
    request.allow = allow.of_steps;
    request.extra_hosts = args.add_hosts.iter().flat_map(ExtraHost::pairs).collect();
    request.shm_size = args.shm_size;
    request.ulimits = args.ulimits.clone();
    request.limits = limits::limits(&args.limits, &args.resources)?;
    request.tags = tags.into_iter().chain(outputs.names).collect();
    request.cache_from = cache::sources(&args.cache_from)?;
    let inline = request.build_args.get("BUILDKIT_INLINE_CACHE");
    let inline = inline.is_some_and(|value| values::parse_bool(value) == Ok(true));
    let caches = cache::targets(&args.cache_to, inline)?;
    (request.cache_to, request.cache_inline) = (caches.targets, caches.inline);
    request.outputs = outputs.outputs;
    request.dangling_prefix = outputs.dangling_prefix;
    request.canonical_names = outputs.canonical;
    match epoch(args, outputs.epoch.as_deref())? {
        Epoch::Seconds(seconds) => request.source_date_epoch = seconds,
        Epoch::Named(name) => {
            request.build_args.entry(settings::SOURCE_DATE_EPOCH.to_owned()).or_insert(name);
        }
    }
    request.attestations = attestations;
    request.stable_modes = args.explain.stable_modes;
    request.snapshotter = match args.legacy.snapshotter.as_str() {
        "auto" => Snapshotter::Auto,
        "trees" => Snapshotter::Trees,
        "copying" => Snapshotter::Copying,
        other => return Err(Failure::text(format_args!("There is no snapshotter `{other}`"))),
    };
    Ok(request)
}

/// The time that stands for now.
enum Epoch {
    Seconds(Option<i64>),
    /// `context`, or the name of a context or a stage.
    Named(String),
}

/// Finds the nearest that says one.
fn epoch(args: &BuildArgs, of_output: Option<&str>) -> Result<Epoch, Failure> {
    let flag = args.source_date_epoch.as_deref();
    let timestamp = args.podman.timestamp.as_deref();
    if flag.is_some() && timestamp.is_some() {
        return Err(Failure::text("--timestamp and --source-date-epoch cannot be used together"));
    }
    let environment = settings::source_date_epoch_text();
    if let Some(text) = timestamp.or(of_output.filter(|_| flag.is_none())) {
        return match text.parse() {
            Ok(seconds) => Ok(Epoch::Seconds(Some(seconds))),
            Err(_) => Err(Failure::text(format_args!("invalid SOURCE_DATE_EPOCH: {text}"))),
        };
    }
    Ok(match flag.or(environment.as_deref()) {
        Some(text) => match text.parse() {
            Ok(seconds) => Epoch::Seconds(Some(seconds)),
            Err(_) => Epoch::Named(text.to_owned()),
        },
        None => Epoch::Seconds(None),
    })
}

/// `--build-arg K` takes the value of the environment, and counts for nothing if there is none.
/// The command line wins over files, and both over docker's configuration.
fn build_args(args: &BuildArgs) -> Result<BTreeMap<String, String>, Failure> {
    let value = |arg: &KeyValue| match &arg.value {
        Some(value) => Some(value.clone()),
        None => std::env::var(&arg.key).ok(),
    };
    let mut all: BTreeMap<String, String> = environment::proxies().into_iter().collect();
    for arg in args.podman.build_args()?.iter().chain(&args.build_args) {
        if let Some(value) = value(arg) {
            all.insert(arg.key.clone(), value);
        }
    }
    Ok(all)
}

fn named_contexts(texts: &[String]) -> Result<BTreeMap<String, NamedContext>, Failure> {
    let mut contexts = BTreeMap::new();
    for text in texts {
        let (name, value) = text.split_once('=').ok_or_else(|| {
            Failure::text(format_args!("invalid context value: {text}, expected key=value"))
                .with_hint("Write it like `--build-context name=DIR`")
        })?;
        contexts.insert(context_name(name)?, named_context(name, value)?);
    }
    Ok(contexts)
}

/// A name as `FROM` would have it, `:latest` left out; what follows `::` is a platform (B8-16).
fn context_name(text: &str) -> Result<String, Failure> {
    let (name, platform) = match text.split_once("::") {
        Some((name, platform)) => (name, Some(platform)),
        None => (text, None),
    };
    let reference: Reference = name
        .to_lowercase()
        .parse()
        .map_err(|err| Failure::new(err).context(format!("invalid context name {name}")))?;
    let familiar = reference.familiar();
    let name = familiar.strip_suffix(":latest").unwrap_or(&familiar);
    match platform {
        Some(platform) => Ok(format!("{name}::{}", platform.parse::<Platform>()?)),
        None => Ok(name.to_owned()),
    }
}

/// B8-17.
fn named_context(name: &str, value: &str) -> Result<NamedContext, Failure> {
    let kind = match source_kind(value) {
        SourceKind::Path if value.starts_with("github.com/") && !Path::new(value).exists() => {
            SourceKind::Git
        }
        kind => kind,
    };
    match (kind, value.split_once("://")) {
        (SourceKind::Git, _) => {
            let invalid = |err: BadAddress| {
                Failure::text(format_args!("invalid context specifier {value} for {name}: {err}"))
                    .with_hint(err.hint())
            };
            Ok(NamedContext::Git(GitOp::parse(value).map_err(invalid)?))
        }
        (SourceKind::Http, _) => Ok(NamedContext::Http(HttpOp::new(value))),
        (SourceKind::Path, Some(("docker-image", image))) => {
            Ok(NamedContext::Image(image.to_owned()))
        }
        (SourceKind::Path, Some(("oci-layout", layout))) => {
            Ok(NamedContext::OciLayout(layout.to_owned()))
        }
        (SourceKind::Path, Some((scheme, _))) => Err(Failure::text(format_args!(
            "unsupported context source {scheme} for {name}"
        ))
        .with_hint(
            "There are directories, docker-image://, oci-layout://, git repositories and http(s)",
        )),
        (SourceKind::Path, None) => match value.strip_prefix("target:") {
            Some(_) => {
                Err(Failure::text(format_args!("unsupported context source target for {name}"))
                    .with_hint("Targets are contexts in bake files only; name a stage or an image"))
            }
            None => Ok(NamedContext::Directory(value.into())),
        },
    }
}

/// Each platform once, in the order in which they were asked for.
fn platforms(texts: &[String]) -> Result<Vec<Platform>, Failure> {
    let mut platforms: Vec<Platform> = Vec::new();
    for text in texts.iter().map(|text| text.trim()).filter(|text| !text.is_empty()) {
        let platform = match text {
            "local" => Platform::host(),
            text => text.parse::<Platform>()?.normalized(),
        };
        if !platforms.contains(&platform) {
            platforms.push(platform);
        }
    }
    Ok(platforms)
}

fn network(text: &str) -> Result<DefaultNetwork, Failure> {
    match text {
        "default" | "" => Ok(DefaultNetwork::Private),
        "none" => Ok(DefaultNetwork::None),
        "host" => Ok(DefaultNetwork::Host),
        other => Err(Failure::text(format_args!("network mode \"{other}\" not supported"))
            .with_hint("There are `default`, `none` and `host`")),
    }
}

/// What `--allow` allows.
struct Allowed {
    of_steps: Entitlements,
    /// `buildx.local.delete`
    local_delete: bool,
}

fn entitlements(texts: &[String]) -> Result<Allowed, Failure> {
    let mut allowed = Allowed { of_steps: Entitlements::default(), local_delete: false };
    for text in texts.iter().filter(|text| !text.is_empty()) {
        match text.as_str() {
            "network.host" => allowed.of_steps.network_host = true,
            "security.insecure" => allowed.of_steps.security_insecure = true,
            "buildx.local.delete" => allowed.local_delete = true,
            other if other.starts_with("buildx.local.delete=") => {
                return Err(Failure::text("buildx.local.delete does not accept a value"));
            }
            other if other.split('=').next() == Some("device") => {
                return Err(Failure::text("entitlement device is not supported")
                    .with_hint("Steps are given no devices of this host"));
            }
            other => {
                return Err(Failure::text(format_args!("unknown entitlement {other}"))
                    .with_hint("There are `network.host` and `security.insecure`"));
            }
        }
    }
    Ok(allowed)
}
