//! Arguments of `build` as typed → a build as meant.

use std::collections::BTreeMap;

use gantry_executor::{
    Annotation, BuildRequest, ConfigChanges, DefaultNetwork, Entitlements, Snapshotter,
};
use gantry_image::{Platform, Reference};
use gantry_solver::NoCache;

use super::args::BuildArgs;
use super::output::{self, Outputs, Wanted};
use super::values::{self, ExtraHost, KeyValue, SecretSource};
use super::{attest, cache, contexts, environment, limits, parse_tag, source};
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
    let outputs = output::resolve(&Wanted {
        specs: &args.outputs,
        load: args.load,
        push: args.push,
        annotations: annotations(args)?,
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
    let no_cache = no_cache(args)?;
    environment::refuse_policy()?;
    let sources = source::find(path, file)?;
    let mut request = BuildRequest::new(sources.dockerfile, sources.context);
    request.ignore = sources.ignore;
    request.labels = environment::git_labels(path, file);
    request.platforms = platforms;
    request.no_cache = no_cache;
    request.allow = allow.of_steps;
    request.attestations = attestations;
    set_inputs(&mut request, args)?;
    set_steps(&mut request, args)?;
    set_image(&mut request, args);
    set_caches(&mut request, args)?;
    set_outputs(&mut request, args, tags, outputs)?;
    Ok(request)
}

/// What the Dockerfile is built from, besides the main context.
fn set_inputs(request: &mut BuildRequest, args: &BuildArgs) -> Result<(), Failure> {
    request.named_contexts = contexts::named(&args.build_contexts)?;
    request.target = args.target().map(str::to_owned);
    if let Some(path) = &args.podman.ignorefile {
        let text = fs_err::read(path)?;
        let name = path.display().to_string();
        request.ignore = Some((name, String::from_utf8_lossy(&text).into_owned()));
    }
    request.build_args = build_args(args)?;
    request.from = args.podman.from.clone();
    request.pull = args.pull;
    Ok(())
}

/// How steps run, and what they are given.
fn set_steps(request: &mut BuildRequest, args: &BuildArgs) -> Result<(), Failure> {
    request.network = network(&args.network)?;
    args.secrets.iter().try_for_each(SecretSource::check).map_err(Failure::text)?;
    request.secrets =
        args.secrets.iter().map(|secret| (secret.id.clone(), secret.secret())).collect();
    request.ssh = super::ssh::agents(&args.ssh)?;
    request.extra_hosts = args.add_hosts.iter().flat_map(ExtraHost::pairs).collect();
    request.shm_size = args.shm_size;
    request.ulimits = args.ulimits.clone();
    request.limits = limits::limits(&args.limits, &args.resources)?;
    request.jobs = args.podman.jobs;
    request.on_fail = args.on_fail_output.clone().map(|spec| spec.0);
    request.stable_modes = args.explain.stable_modes;
    request.snapshotter = match args.legacy.snapshotter.as_str() {
        "auto" => Snapshotter::Auto,
        "attached" => Snapshotter::Attached,
        "trees" => Snapshotter::Trees,
        "copying" => Snapshotter::Copying,
        other => return Err(Failure::text(format_args!("There is no snapshotter `{other}`"))),
    };
    Ok(())
}

/// What becomes of the Dockerfile's image.
fn set_image(request: &mut BuildRequest, args: &BuildArgs) {
    let given = |pair: &KeyValue| (pair.key.clone(), pair.value.clone().unwrap_or_default());
    request.labels.extend(args.labels.iter().map(given));
    request.squash = args.squash || args.podman.layers == Some(false);
    request.base_annotations = args.base_annotations;
    request.changes = ConfigChanges {
        env: args.podman.envs.iter().map(given).collect(),
        unset_env: args.podman.unset_envs.clone(),
        unset_labels: args.podman.unset_labels.clone(),
    };
}

/// Caches elsewhere; `BUILDKIT_INLINE_CACHE` is a build arg that asks for one.
fn set_caches(request: &mut BuildRequest, args: &BuildArgs) -> Result<(), Failure> {
    request.cache_from = cache::sources(&args.cache_from)?;
    let inline = request.build_args.get("BUILDKIT_INLINE_CACHE");
    let inline = inline.is_some_and(|value| values::parse_bool(value) == Ok(true));
    let caches = cache::targets(&args.cache_to, inline)?;
    (request.cache_to, request.cache_inline) = (caches.targets, caches.inline);
    Ok(())
}

/// Where the image goes, under which names, and how old it says that it is.
fn set_outputs(
    request: &mut BuildRequest,
    args: &BuildArgs,
    tags: Vec<Reference>,
    outputs: Outputs,
) -> Result<(), Failure> {
    request.tags = tags.into_iter().chain(outputs.names).collect();
    request.outputs = outputs.outputs;
    request.dangling_prefix = outputs.dangling_prefix;
    request.canonical_names = outputs.canonical;
    match epoch(args, outputs.epoch.as_deref())? {
        Epoch::Seconds(seconds) => request.source_date_epoch = seconds,
        Epoch::Named(name) => {
            request.build_args.entry(settings::SOURCE_DATE_EPOCH.to_owned()).or_insert(name);
        }
    }
    Ok(())
}

fn annotations(args: &BuildArgs) -> Result<Vec<Annotation>, Failure> {
    let mut annotations = Vec::new();
    for text in &args.annotations {
        annotations.extend(output::parse_annotation(text).map_err(Failure::text)?);
    }
    Ok(annotations)
}

fn no_cache(args: &BuildArgs) -> Result<NoCache, Failure> {
    Ok(match (args.no_cache, args.no_cache_filter.as_slice()) {
        (true, [_, ..]) => {
            return Err(Failure::text(
                "--no-cache and --no-cache-filter cannot currently be used together",
            ));
        }
        (true, []) => NoCache::All,
        (false, []) if args.podman.no_cache() => NoCache::All,
        (false, []) => NoCache::Never,
        (false, stages) => NoCache::Stages(stages.to_vec()),
    })
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
