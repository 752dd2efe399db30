//! Arguments of `build` as typed → a build as meant.

use std::collections::BTreeMap;

use gantry_executor::{BuildRequest, DefaultNetwork, Entitlements, NamedContext, Snapshotter};
use gantry_image::Platform;
use gantry_solver::NoCache;
use gantry_solver::op;

use super::args::{BuildArgs, Limits};
use super::values::KeyValue;
use super::{output, parse_tag, source};
use crate::settings;
use crate::ui::{Failure, human};

/// Makes the request.
///
/// # Errors
/// Whatever is wrong with the arguments, in docker's words.
pub(super) fn make(args: &BuildArgs, path: &str) -> Result<BuildRequest, Failure> {
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
    let sources = source::find(path, args.file.as_deref())?;
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
        })?;
        let context = if let Some(image) = value.strip_prefix("docker-image://") {
            NamedContext::Image(image.to_owned())
        } else if let Some(layout) = value.strip_prefix("oci-layout://") {
            NamedContext::OciLayout(layout.to_owned())
        } else if value.contains("://") {
            return Err(Failure::text(format_args!(
                "the context `{name}` can't be `{value}`: only directories, docker-image:// and \
                 oci-layout:// are supported yet"
            )));
        } else {
            NamedContext::Directory(value.into())
        };
        contexts.insert(name.to_lowercase(), context);
    }
    Ok(contexts)
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
            other => return Err(Failure::text(format_args!("invalid entitlement: {other}"))),
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
