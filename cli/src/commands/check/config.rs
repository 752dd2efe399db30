//! `.hadolint.yaml`: which of hadolint's rules count, and how much.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gantry_parser::lint::hadolint::{LabelKind, Level, Settings};
use serde::Deserialize;

use crate::ui::Failure;

/// What the file says.
#[derive(Debug)]
pub(super) struct Config {
    pub(super) settings: Settings,
    /// What findings fail the command; `None` for none.
    pub(super) threshold: Option<Level>,
    /// Nothing does.
    pub(super) no_fail: bool,
}

/// As it is written; keys that mean nothing here are passed over, as hadolint does.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Written {
    ignored: Vec<String>,
    #[serde(rename = "override")]
    overrides: BTreeMap<String, Vec<String>>,
    #[serde(rename = "failure-threshold")]
    failure_threshold: Option<String>,
    #[serde(rename = "no-fail")]
    no_fail: bool,
    #[serde(rename = "trustedRegistries")]
    trusted_registries: Vec<String>,
    #[serde(rename = "label-schema")]
    label_schema: BTreeMap<String, String>,
    #[serde(rename = "strict-labels")]
    strict_labels: bool,
}

impl Config {
    /// Reads the file that was named, or else the first of those that may be there.
    pub(super) fn load(named: Option<&Path>, dockerfile: Option<&Path>) -> Result<Self, Failure> {
        let written = match named.map(Path::to_owned).or_else(|| find(dockerfile)) {
            None => Written::default(),
            Some(path) => {
                let text = fs_err::read_to_string(&path)?;
                let invalid = |err: serde_saphyr::Error| {
                    Failure::text(format_args!("Failed to read `{}`: {err}", path.display()))
                };
                if text.trim().is_empty() {
                    Written::default()
                } else {
                    serde_saphyr::from_str(&text).map_err(invalid)?
                }
            }
        };
        let mut settings = Settings {
            ignored: written.ignored,
            trusted_registries: written.trusted_registries,
            strict_labels: written.strict_labels,
            ..Settings::default()
        };
        for (name, rules) in written.overrides {
            let level = level(&name)?;
            settings.levels.extend(rules.into_iter().map(|rule| (rule, level)));
        }
        for (label, name) in written.label_schema {
            let kind = label_kind(&label, &name)?;
            settings.label_schema.insert(label, kind);
        }
        let threshold = match written.failure_threshold {
            Some(name) => threshold(&name)?,
            None => Some(Level::Style),
        };
        Ok(Self { settings, threshold, no_fail: written.no_fail })
    }
}

fn find(dockerfile: Option<&Path>) -> Option<PathBuf> {
    let beside = dockerfile.and_then(Path::parent).unwrap_or(Path::new(""));
    [Path::new(""), beside]
        .iter()
        .flat_map(|directory| [".hadolint.yaml", ".hadolint.yml"].map(|name| directory.join(name)))
        .find(|path| path.is_file())
}

/// The level of which findings fail the command; `none` is no level.
pub(super) fn threshold(name: &str) -> Result<Option<Level>, Failure> {
    level(name).map(|level| Some(level).filter(|level| *level != Level::Ignore))
}

fn level(name: &str) -> Result<Level, Failure> {
    Level::named(name).ok_or_else(|| {
        Failure::text(format_args!("There is no level `{name}`"))
            .with_hint("There are error, warning, info, style and ignore")
    })
}

fn label_kind(label: &str, name: &str) -> Result<LabelKind, Failure> {
    LabelKind::named(name).ok_or_else(|| {
        let names = LabelKind::ALL.map(|(name, _)| name);
        Failure::text(format_args!("There is no type `{name}` for the label `{label}`"))
            .with_hint(format!("Types are {}", names.join(", ")))
    })
}
