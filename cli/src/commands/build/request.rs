//! Arguments of `build` as typed → a build as meant.

use std::collections::BTreeMap;
use std::path::Path;

use gantry_executor::{BuildRequest, DefaultNetwork, Entitlements, NamedContext, Snapshotter};
use gantry_image::{Platform, Reference};
use gantry_parser::remote::{SourceKind, source_kind};
use gantry_solver::NoCache;
use gantry_solver::lower::BadAddress;
use gantry_solver::op::{self, GitOp, HttpOp};

use super::args::{BuildArgs, Limits};
use super::values::KeyValue;
use super::{output, parse_tag, source};
use crate::settings;
use crate::ui::{Failure, human};

/// Makes the request.
///
/// # Errors
/// Whatever is wrong with the arguments, in docker's words.
pub(super) fn make(
    args: &BuildArgs,
    path: &str,
    file: Option<&str>,
) -> Result<BuildRequest, Failure> {
    let tags = args.tags.iter().map(|tag| parse_tag(tag)).collect::<Result<Vec<_>, _>>()?;
    let outputs = output::resolve(&args.outputs)?;
    if outputs.has_files && args.iidfile.is_some() {
        return Err(Failure::text("local and tar exporters are incompatible with image ID file"));
    }
    if args.load && !args.outputs.is_empty() {
        return Err(Failure::text("load and output may not be used together"));
    }
    let no_cache = match (args.no_cache, args.no_cache_filter.as_slice()) {
        (true, [_, ..]) => {
            return Err(Failure::text(
                "--no-cache and --no-cache-filter cannot currently be used together",
            ));
        }
        (true, []) => NoCache::All,
        (false, []) => NoCache::Never,
        (false, stages) => NoCache::Stages(stages.to_vec()),
    };
    let sources = source::find(path, file)?;
    let mut request = BuildRequest::new(sources.dockerfile, sources.context);
    request.ignore = sources.ignore;
    request.named_contexts = named_contexts(&args.build_contexts)?;
    request.target = args.target.clone();
    request.build_args = build_args(args);
    request.labels = args
        .labels
        .iter()
        .map(|label| (label.key.clone(), label.value.clone().unwrap_or_default()))
        .collect();
    request.platform = platform(&args.platform)?;
    request.no_cache = no_cache;
    request.pull = args.pull;
    request.network = network(&args.network)?;
    request.secrets =
        args.secrets.iter().map(|secret| (secret.id.clone(), secret.secret())).collect();
    request.ssh = super::ssh::agents(&args.ssh)?;
    request.allow = entitlements(&args.allow)?;
    request.extra_hosts =
        args.add_hosts.iter().map(|host| (host.name.clone(), host.address.clone())).collect();
    request.shm_size = args.shm_size;
    request.ulimits = args.ulimits.clone();
    request.limits = limits(&args.limits)?;
    request.tags = tags.into_iter().chain(outputs.names).collect();
    request.outputs = outputs.outputs;
    request.source_date_epoch = settings::source_date_epoch()?;
    request.snapshotter = match args.legacy.snapshotter.as_str() {
        "auto" => Snapshotter::Auto,
        "copying" => Snapshotter::Copying,
        other => return Err(Failure::text(format_args!("There is no snapshotter `{other}`"))),
    };
    Ok(request)
}

/// `--build-arg K` takes the value of the environment, and counts for nothing if there is none.
fn build_args(args: &BuildArgs) -> BTreeMap<String, String> {
    let value = |arg: &KeyValue| match &arg.value {
        Some(value) => Some(value.clone()),
        None => std::env::var(&arg.key).ok(),
    };
    args.build_args.iter().filter_map(|arg| Some((arg.key.clone(), value(arg)?))).collect()
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

fn platform(texts: &[String]) -> Result<Option<Platform>, Failure> {
    let [text] = texts else {
        if texts.is_empty() {
            return Ok(None);
        }
        return Err(Failure::text("building for several platforms at once is not supported yet")
            .with_hint("Build once for each of them"));
    };
    if text == "local" {
        return Ok(Some(Platform::host()));
    }
    Ok(Some(text.parse()?))
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

fn entitlements(texts: &[String]) -> Result<Entitlements, Failure> {
    let mut allowed = Entitlements::default();
    for text in texts {
        match text.as_str() {
            "network.host" => allowed.network_host = true,
            "security.insecure" => allowed.security_insecure = true,
            // Files of this host are written with the rights of whoever builds, and nothing more.
            "buildx.local.delete" => {}
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

fn limits(limits: &Limits) -> Result<op::Limits, Failure> {
    let swap = match limits.memory_swap.as_deref() {
        None => None,
        Some("-1") => Some(-1),
        Some(text) => {
            let bytes = human::parse_size(text).map_err(Failure::usage)?;
            Some(i64::try_from(bytes).unwrap_or(i64::MAX))
        }
    };
    Ok(op::Limits {
        memory: limits.memory,
        memory_swap: swap,
        cpu_shares: limits.cpu_shares,
        cpu_period: limits.cpu_period,
        cpu_quota: limits.cpu_quota,
        cpuset_cpus: limits.cpuset_cpus.clone(),
        cpuset_mems: limits.cpuset_mems.clone(),
        cgroup_parent: limits.cgroup_parent.clone(),
    })
}
