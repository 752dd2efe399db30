//! The image config: the document whose digest is the image's ID.
//!
//! Own structs and not oci-spec's, which drop unknown fields (docker's `Healthcheck`, `Shell`,
//! `OnBuild`, …) and keep labels in a hash map, so that one config would be written in many ways.
//!
//! Written as BuildKit writes it (`exporter/containerimage/writer.go`): it patches a map of raw
//! values, so the outermost fields are sorted by name, unknown ones among them; inside `config`
//! and `history` the order of Go's structs holds, and empty values are left out.

use std::collections::{BTreeMap, BTreeSet};

use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::datetime::DateTime;
use crate::digest::DiffId;
use crate::json::{Document, null_is_default};
use crate::platform::Platform;

/// An image config, docker's or OCI's (they differ in the media type alone).
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct ImageConfig {
    /// When the image was made.
    #[serde(default)]
    pub created: Option<DateTime>,
    /// `MAINTAINER`, or `--author` of a commit.
    #[serde(default, deserialize_with = "null_is_default")]
    pub author: String,
    /// `amd64`, …
    #[serde(default, deserialize_with = "null_is_default")]
    pub architecture: String,
    /// `linux`, …
    #[serde(default, deserialize_with = "null_is_default")]
    pub os: String,
    /// Windows' build number.
    #[serde(rename = "os.version", default, deserialize_with = "null_is_default")]
    pub os_version: String,
    /// Windows' features.
    #[serde(rename = "os.features", default, deserialize_with = "null_is_default")]
    pub os_features: Vec<String>,
    /// `v7`, …
    #[serde(default, deserialize_with = "null_is_default")]
    pub variant: String,
    /// What a container of this image runs as.
    #[serde(default, deserialize_with = "null_is_default")]
    pub config: Config,
    /// The layers, lowest first.
    #[serde(default, deserialize_with = "null_is_default")]
    pub rootfs: RootFs,
    /// What made the layers, oldest first.
    #[serde(default, deserialize_with = "null_is_default")]
    pub history: Vec<History>,
    /// Fields that gantry doesn't know, written back as they were.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

/// What a container of the image runs as: the part of the config that instructions change.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_docs, reason = "each is documented by the OCI image spec under its own name")]
pub struct Config {
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub user: String,
    #[serde(default, with = "go_set", skip_serializing_if = "BTreeSet::is_empty")]
    pub exposed_ports: BTreeSet<String>,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub entrypoint: Vec<String>,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub cmd: Vec<String>,
    #[serde(default, with = "go_set", skip_serializing_if = "BTreeSet::is_empty")]
    pub volumes: BTreeSet<String>,
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub working_dir: String,
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub labels: BTreeMap<String, String>,
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub stop_signal: String,
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "std::ops::Not::not"
    )]
    pub args_escaped: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub on_build: Vec<String>,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub shell: Vec<String>,
    /// Fields that gantry doesn't know (classic docker's `Hostname`, `AttachStdin`, …).
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

/// `HEALTHCHECK`. Durations are nanoseconds; 0 means the default (or what the base image says).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_docs, reason = "named as in docker's image spec")]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", args…]`, `["CMD-SHELL", command]`, or empty to inherit.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<String>,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub interval: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub timeout: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub start_period: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub start_interval: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retries: i64,
}

/// The layers by their diff IDs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// Always `layers`.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// Lowest layer first.
    #[serde(default, deserialize_with = "null_is_default")]
    pub diff_ids: Vec<DiffId>,
}

impl Default for RootFs {
    fn default() -> Self {
        Self { kind: "layers".to_owned(), diff_ids: Vec::new() }
    }
}

/// One line of `docker history`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<DateTime>,
    /// The instruction, in BuildKit's or the classic builder's words.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub created_by: String,
    /// By whom.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub author: String,
    /// `buildkit.dockerfile.v0`, or the message of a commit.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub comment: String,
    /// Does no layer belong to it?
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "std::ops::Not::not"
    )]
    pub empty_layer: bool,
}

impl ImageConfig {
    /// Returns what the image runs on.
    #[must_use]
    pub fn platform(&self) -> Platform {
        let text = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        Platform {
            architecture: self.architecture.clone(),
            os: self.os.clone(),
            os_version: text(&self.os_version),
            os_features: self.os_features.clone(),
            variant: text(&self.variant),
        }
    }

    /// Sets what the image runs on.
    pub fn set_platform(&mut self, platform: &Platform) {
        self.architecture.clone_from(&platform.architecture);
        self.os.clone_from(&platform.os);
        self.os_version = platform.os_version.clone().unwrap_or_default();
        self.os_features.clone_from(&platform.os_features);
        self.variant = platform.variant.clone().unwrap_or_default();
    }

    /// Returns the config that a child image starts from: without the fields nobody here knows
    /// (`container_config`, `docker_version`, … describe the parent), as BuildKit has it.
    #[must_use]
    pub fn as_base(&self) -> Self {
        let config = Config { extra: BTreeMap::new(), ..self.config.clone() };
        Self { config, extra: BTreeMap::new(), ..self.clone() }
    }

    /// Counts the history entries that stand for a layer; B9-05 wants as many as diff IDs.
    #[must_use]
    pub fn history_layers(&self) -> usize {
        self.history.iter().filter(|item| !item.empty_layer).count()
    }
}

impl Document for ImageConfig {
    const WHAT: &'static str = "the image config";

    fn check(&self) -> Result<(), String> {
        match self.rootfs.kind.as_str() {
            "layers" | "" => Ok(()),
            kind => Err(format!("its `rootfs.type` is `{kind}` and not `layers`")),
        }
    }
}

impl Serialize for ImageConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(untagged)]
        enum Field<'a> {
            Text(&'a str),
            Texts(&'a [String]),
            Time(&'a DateTime),
            Config(&'a Config),
            RootFs(&'a RootFs),
            History(&'a [History]),
            Extra(&'a Value),
        }
        let mut fields: BTreeMap<&str, Field<'_>> =
            self.extra.iter().map(|(name, value)| (name.as_str(), Field::Extra(value))).collect();
        let texts = [
            ("author", &self.author),
            ("os.version", &self.os_version),
            ("variant", &self.variant),
        ];
        fields.extend(
            texts.into_iter().filter(|(_, t)| !t.is_empty()).map(|(n, t)| (n, Field::Text(t))),
        );
        fields.insert("architecture", Field::Text(&self.architecture));
        fields.insert("os", Field::Text(&self.os));
        if !self.os_features.is_empty() {
            fields.insert("os.features", Field::Texts(&self.os_features));
        }
        if let Some(created) = &self.created {
            fields.insert("created", Field::Time(created));
        }
        fields.insert("config", Field::Config(&self.config));
        fields.insert("rootfs", Field::RootFs(&self.rootfs));
        if !self.history.is_empty() {
            fields.insert("history", Field::History(&self.history));
        }
        let mut map = serializer.serialize_map(Some(fields.len()))?;
        for (name, value) in &fields {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// Go's `map[string]struct{}`: `{"80/tcp":{}}`.
mod go_set {
    use super::*;

    pub(super) fn serialize<S: Serializer>(
        set: &BTreeSet<String>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(set.iter().map(|name| (name, Value::Object(serde_json::Map::new()))))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeSet<String>, D::Error> {
        let map: BTreeMap<String, serde::de::IgnoredAny> = null_is_default(deserializer)?;
        Ok(map.into_keys().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Raw;

    /// As `docker buildx build` (0.12) wrote it, shortened.
    const BUILDKIT: &str = r#"{"architecture":"arm64","config":{"ExposedPorts":{"80/tcp":{}},"Env":["PATH=/bin","A=1"],"Entrypoint":["/e"],"Cmd":["-g","daemon off;"],"Volumes":{"/data":{}},"WorkingDir":"/w","Labels":{"a":"1","b":"\u003c2\u003e"},"StopSignal":"SIGQUIT","ArgsEscaped":true,"Healthcheck":{"Test":["CMD-SHELL","true"],"Interval":30000000000,"Retries":3},"OnBuild":["RUN x"],"Shell":["/bin/sh","-c"]},"created":"2024-05-01T12:00:00.123Z","history":[{"created":"2024-05-01T12:00:00Z","created_by":"RUN /bin/sh -c a \u0026\u0026 b # buildkit","comment":"buildkit.dockerfile.v0"},{"created":"2024-05-01T12:00:00Z","created_by":"CMD [\"x\"]","comment":"buildkit.dockerfile.v0","empty_layer":true}],"moby.buildkit.cache.v0":"e30=","os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]},"variant":"v8"}"#;

    #[test]
    fn a_config_of_buildkit_is_read_and_written_to_the_byte() {
        let raw: Raw<ImageConfig> = Raw::parse(BUILDKIT.as_bytes()).unwrap();
        assert_eq!(raw.history_layers(), raw.rootfs.diff_ids.len());
        assert_eq!(raw.config.healthcheck.as_ref().unwrap().retries, 3);
        let again = Raw::write(raw.value().clone());
        assert_eq!(String::from_utf8_lossy(again.bytes()), BUILDKIT);
        assert_eq!(again.digest(), raw.digest());
        assert!(raw.as_base().extra.is_empty());
    }

    #[test]
    fn classic_docker_writes_null_for_nothing() {
        let classic = r#"{"architecture":"amd64","config":{"Hostname":"x","ExposedPorts":null,"Env":null,"Cmd":null,"Volumes":null,"Labels":null,"OnBuild":null,"Healthcheck":null},"container":"abc","created":"2015-01-01T00:00:00Z","docker_version":"1.9","os":"linux","rootfs":{"type":"layers","diff_ids":null},"history":null}"#;
        let raw: Raw<ImageConfig> = Raw::parse(classic.as_bytes()).unwrap();
        assert_eq!(raw.config.extra["Hostname"], "x");
        assert_eq!(raw.extra["container"], "abc");
        assert_eq!(raw.config.cmd, Vec::<String>::new());
    }

    #[test]
    fn what_is_no_config_is_refused() {
        for bad in [
            "",
            "[]",
            r#"{"config":5}"#,
            r#"{"rootfs":{"type":"foreign"}}"#,
            r#"{"rootfs":{"type":"layers","diff_ids":["x"]}}"#,
        ] {
            assert!(Raw::<ImageConfig>::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
