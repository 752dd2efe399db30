//! `gantry inspect`: all that is known of an image, as docker's JSON or by a template.

use std::process::ExitCode;

use gantry_cache::{Image, Store, StoreError};
use gantry_image::{Config, ImageConfig, Platform};
use serde::Serialize;
use serde_json::Value;

use super::Context;
use super::images::{read_config, seconds};
use crate::ui::{Failure, human, listing};

/// Return low-level information on images
#[derive(Debug, clap::Args)]
#[command(override_usage = "gantry inspect [OPTIONS] NAME|ID [NAME|ID...]")]
pub(crate) struct InspectArgs {
    #[arg(value_name = "NAME|ID", required = true)]
    names: Vec<String>,
    /// Format output: 'json' or a Go template
    #[arg(short, long, value_name = "string")]
    format: Option<String>,
    /// Inspect the image for this platform of several that a name stands for. Formatted as
    /// "os[/arch[/variant]]"
    #[arg(long, value_name = "string")]
    platform: Option<Platform>,
    /// Only inspect objects of the given type
    #[arg(long = "type", value_name = "string", value_parser = ["image"])]
    kind: Option<String>,
}

/// An image in docker's words.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected<'a> {
    id: String,
    repo_tags: Vec<String>,
    repo_digests: Vec<String>,
    parent: &'a str,
    comment: &'a str,
    created: Option<&'a str>,
    docker_version: &'a str,
    author: &'a str,
    config: &'a Config,
    architecture: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    variant: &'a str,
    os: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    os_version: &'a str,
    size: u64,
    #[serde(rename = "RootFS")]
    root_fs: RootFs,
    metadata: Metadata,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct RootFs {
    #[serde(rename = "Type")]
    kind: &'static str,
    layers: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata {
    last_tag_time: String,
}

/// Fields of `Config` that a template may name even where the image sets none of them.
const CONFIG_FIELDS: [&str; 13] = [
    "ArgsEscaped",
    "Cmd",
    "Entrypoint",
    "Env",
    "ExposedPorts",
    "Healthcheck",
    "Labels",
    "OnBuild",
    "Shell",
    "StopSignal",
    "User",
    "Volumes",
    "WorkingDir",
];

pub(crate) fn run(args: &InspectArgs, context: &Context) -> Result<ExitCode, Failure> {
    let store = context.existing_store()?;
    let mut shown = Vec::new();
    let mut code = ExitCode::SUCCESS;
    for name in &args.names {
        let found = match &store {
            Some(store) => match store.images().resolve_for(name, args.platform.as_ref()) {
                Ok(image) => Some((image, store)),
                Err(error @ StoreError::NoPlatform { .. }) => {
                    Failure::from(error).print(&context.ui);
                    code = ExitCode::FAILURE;
                    continue;
                }
                Err(_) => None,
            },
            None => None,
        };
        let Some((image, store)) = found else {
            Failure::text(format_args!("No such object: {name}")).print(&context.ui);
            code = ExitCode::FAILURE;
            continue;
        };
        let config = read_config(&image, store)?;
        let inspected = inspected(&image, config.value(), store);
        match args.format.as_deref() {
            None => shown.push(pretty(&inspected)?),
            Some("json") => context.ui.line(serde_json::to_string(&inspected)?)?,
            Some(template) => {
                let mut data = serde_json::to_value(&inspected)?;
                if let Some(config) = data.get_mut("Config").and_then(Value::as_object_mut) {
                    for field in CONFIG_FIELDS {
                        config.entry(field).or_insert(Value::Null);
                    }
                }
                listing::print_one(template, &data, &context.ui)?;
            }
        }
    }
    if args.format.is_none() {
        context.ui.write(&array(&shown))?;
    }
    Ok(code)
}

fn inspected<'a>(image: &Image, config: &'a ImageConfig, _store: &Store) -> Inspected<'a> {
    let names = |digests: bool| {
        let named = image.names.iter().filter(|name| name.digest().is_some() == digests);
        named.map(gantry_image::Reference::familiar).collect()
    };
    Inspected {
        id: image.id.to_string(),
        repo_tags: names(false),
        repo_digests: names(true),
        parent: "",
        comment: config.history.last().map_or("", |entry| entry.comment.as_str()),
        created: config.created.as_ref().map(|time| time.as_str()),
        docker_version: "",
        author: &config.author,
        config: &config.config,
        architecture: &config.architecture,
        variant: &config.variant,
        os: &config.os,
        os_version: &config.os_version,
        size: image.size,
        root_fs: RootFs {
            kind: "layers",
            layers: config.rootfs.diff_ids.iter().map(|diff_id| diff_id.0.to_string()).collect(),
        },
        metadata: Metadata { last_tag_time: human::rfc3339(seconds(image.stored)) },
    }
}

/// JSON indented by four spaces.
fn pretty(value: &impl Serialize) -> Result<String, serde_json::Error> {
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, formatter))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Puts pieces of indented JSON into an array.
fn array(items: &[String]) -> String {
    if items.is_empty() {
        return "[]\n".to_owned();
    }
    let indented: Vec<String> =
        items.iter().map(|item| format!("    {}", item.replace('\n', "\n    "))).collect();
    format!("[\n{}\n]\n", indented.join(",\n"))
}
