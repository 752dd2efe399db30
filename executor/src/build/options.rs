//! From what a build is asked for to what lowering wants to know.

use gantry_image::Platform;
use gantry_solver::lower::{Context, LowerOptions};
use gantry_solver::op::Network;

use crate::request::{BuildRequest, DefaultNetwork, NamedContext};

/// The build argument that pins time.
pub(crate) const EPOCH: &str = "SOURCE_DATE_EPOCH";

/// Takes out of `request` what nobody else needs.
pub(crate) fn lower_options(request: &mut BuildRequest) -> LowerOptions {
    let mut build_args = std::mem::take(&mut request.build_args);
    if let Some(epoch) = request.source_date_epoch {
        build_args.entry(EPOCH.to_owned()).or_insert_with(|| epoch.to_string());
    }
    let contexts = std::mem::take(&mut request.named_contexts).into_iter().map(
        |(name, context)| match context {
            NamedContext::Directory(_) => (name, Context::Local),
            NamedContext::Image(reference) => (name, Context::Image(reference)),
            NamedContext::OciLayout(place) => (name, Context::OciLayout(place)),
            NamedContext::Git(git) => (name, Context::Git(git)),
            NamedContext::Http(http) => (name, Context::Http(http)),
        },
    );
    LowerOptions {
        target: request.target.clone(),
        build_args,
        labels: std::mem::take(&mut request.labels).into_iter().collect(),
        platform: None,
        host: Platform::host(),
        multi_platform: request.platforms.len() > 1,
        context: Context::Local,
        contexts: contexts.collect(),
        network: match request.network {
            DefaultNetwork::Private => Network::Default,
            DefaultNetwork::None => Network::None,
            DefaultNetwork::Host => Network::Host,
        },
        extra_hosts: std::mem::take(&mut request.extra_hosts),
        ulimits: std::mem::take(&mut request.ulimits),
        shm_size: request.shm_size,
        limits: request.limits.clone(),
    }
}
