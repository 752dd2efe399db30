//! RUN (B4-11, B5).

use std::convert::Infallible;

use super::{Report, Request};
use crate::ast::{Device, Network, Run, Security};
use crate::go::{parse_bool, quote};
use crate::grammar::flags::{Flags, Takes};
use crate::mount::{Mount, MountError, csv};
use crate::suggest::with_suggestion;
use crate::{Spanned, Word};

const FLAGS: [(&str, Takes); 4] = [
    ("mount", Takes::Many),
    ("network", Takes::One),
    ("security", Takes::One),
    ("device", Takes::Many),
];

/// The here-documents come later, from whoever has read them.
pub(super) fn run(request: &Request<'_>, report: &mut Report<'_, '_>) -> Option<Run> {
    let flags = Flags::check(request.flags, &FLAGS, report);
    let mounts = flags.values("mount").iter().filter_map(|text| mount(text, report)).collect();
    let devices = flags.values("device").iter().filter_map(|text| device(text, report)).collect();
    let network = flags.value("network").and_then(|word| network(&word, report));
    let security = flags.value("security").and_then(|word| security(&word, report));
    request.at_least_one(report)?;
    let command = request.command(request.args, report)?;
    Some(Run { mounts, network, security, devices, command, heredocs: Vec::new() })
}

/// A mount without variables is evaluated at once, to find mistakes early.
fn mount(text: &Word, report: &mut Report<'_, '_>) -> Option<Mount> {
    let mount = match Mount::parse(text) {
        Ok(mount) => mount,
        Err(error) => {
            report.says(&error.message, error.span, error.hint);
            return None;
        }
    };
    if !mount.may_expand() {
        let evaluated = mount.evaluate(|word| Ok::<_, Infallible>(word.text.clone()));
        if let Err(MountError::Invalid(error)) = evaluated {
            report.says(&error.message, error.span, error.hint);
        }
    }
    Some(mount)
}

fn network(word: &Word, report: &mut Report<'_, '_>) -> Option<Spanned<Network>> {
    let network = match word.text.as_str() {
        "default" => Network::Default,
        "none" => Network::None,
        "host" => Network::Host,
        other => {
            let message = format!("invalid network mode {}", quote(other));
            report.says(message, word.span, "Modes are `default`, `none` and `host`");
            return None;
        }
    };
    Some(Spanned::new(network, word.span))
}

fn security(word: &Word, report: &mut Report<'_, '_>) -> Option<Spanned<Security>> {
    let security = match word.text.as_str() {
        "sandbox" => Security::Sandbox,
        "insecure" => Security::Insecure,
        other => {
            let message = format!("security {} is not valid", quote(other));
            report.says(message, word.span, "Modes are `sandbox` and `insecure`");
            return None;
        }
    };
    Some(Spanned::new(security, word.span))
}

/// `name[,required]`; a CDI name may itself hold a `=`.
fn device(text: &Word, report: &mut Report<'_, '_>) -> Option<Device> {
    match read_device(text) {
        Ok(device) => Some(device),
        Err((message, word)) => {
            report.says(message, word.span, "Write `--device=NAME` or `--device=NAME,required`");
            None
        }
    }
}

fn read_device(text: &Word) -> Result<Device, (String, Word)> {
    let fields = csv(text)
        .map_err(|error| (format!("failed to parse csv devices: {error}"), text.clone()))?;
    let mut name: Option<Word> = None;
    let mut required = false;
    for field in fields {
        let (key, value) = match field.text.split_once('=') {
            Some((key, value)) => (key.to_lowercase(), Some(value.to_owned())),
            None => (field.text.to_lowercase(), None),
        };
        match (key.as_str(), value) {
            ("required", None) => required = true,
            ("required", Some(value)) => {
                required = parse_bool(&value).ok_or_else(|| {
                    (format!("invalid value for required: {value}"), field.clone())
                })?;
            }
            ("name", Some(_)) => match &name {
                Some(name) => {
                    return Err((format!("device name already set to {name}"), field));
                }
                None => name = Some(field.part("name=".len(), field.text.len())),
            },
            _ if name.is_none() => name = Some(field),
            (_, None) => {
                let message = format!("invalid field '{field}' must be a key=value pair");
                return Err((message, field));
            }
            (key, Some(_)) => {
                let message = format!("unexpected key '{key}' in '{field}'");
                return Err((with_suggestion(message, key, ["name", "required"], true), field));
            }
        }
    }
    let name = name.unwrap_or_else(|| Word::new("", text.span));
    Ok(Device { name, required })
}
