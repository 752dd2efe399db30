//! Reading an OCI archive: what its image says, and what every layer holds.

use std::collections::BTreeMap;
use std::io::Read as _;

use serde_json::Value;

/// An image of one platform, as two builders can be compared.
pub(super) struct Image {
    /// The config, without what depends on the time.
    pub(super) config: Vec<String>,
    /// A line for each entry of each layer: `path kind … in layer`.
    pub(super) files: Vec<String>,
}

impl Image {
    /// Reads the archive's only image, whose layers are not compressed.
    pub(super) fn read(archive: &[u8]) -> Self {
        let blobs = members(archive);
        let json = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
        let blob = |descriptor: &Value| {
            let digest = descriptor["digest"].as_str().unwrap().replace(':', "/");
            &blobs[&format!("blobs/{digest}")]
        };
        let mut manifest = json(blob(&json(&blobs["index.json"])["manifests"][0]));
        if manifest["manifests"].is_array() {
            manifest = json(blob(&manifest["manifests"][0]));
        }
        let mut config = json(blob(&manifest["config"]));
        let all = config.as_object_mut().unwrap();
        all.remove("created");
        let diff_ids = all["rootfs"]["diff_ids"].as_array().map_or(0, Vec::len);
        all.insert("rootfs".to_owned(), diff_ids.into());
        for entry in all["history"].as_array_mut().into_iter().flatten() {
            entry.as_object_mut().unwrap().remove("created");
        }
        let mut lines = Vec::new();
        leaves("", &config, &mut lines);
        let layers = manifest["layers"].as_array().cloned().unwrap_or_default();
        let files = layers.iter().enumerate().flat_map(|(n, layer)| entries(n, blob(layer)));
        Self { config: lines, files: files.collect() }
    }
}

/// The files of an archive, by their path.
pub(super) fn members(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut members = BTreeMap::new();
    for entry in tar::Archive::new(archive).entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        members.insert(entry.path().unwrap().to_str().unwrap().to_owned(), bytes);
    }
    members
}

/// `path = value` for every leaf; an absent, empty or null member means the same.
pub(super) fn leaves(path: &str, value: &Value, lines: &mut Vec<String>) {
    match value {
        Value::Null | Value::Bool(false) => {}
        Value::String(text) if text.is_empty() => {}
        Value::Array(items) if items.is_empty() => {}
        Value::Object(members) => {
            for (name, value) in members {
                leaves(&format!("{path}.{name}"), value, lines);
            }
        }
        Value::Array(items) if items[0].is_object() || items[0].is_array() => {
            for (number, value) in items.iter().enumerate() {
                leaves(&format!("{path}[{number}]"), value, lines);
            }
        }
        leaf => lines.push(format!("{path} = {leaf}")),
    }
}

fn entries(layer: usize, blob: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in tar::Archive::new(blob).entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_str().unwrap().trim_end_matches('/').to_owned();
        let header = entry.header();
        let (kind, mode) = (header.entry_type(), header.mode().unwrap());
        let owner = format!("{}:{}", header.uid().unwrap_or(0), header.gid().unwrap_or(0));
        let link = entry.link_name().unwrap().map(|link| link.to_str().unwrap().to_owned());
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        let text = if text.len() > 200 { digest(&bytes) } else { text.into() };
        lines.push(format!("{path} {kind:?} {mode:o} {owner} {link:?} {text:?} in layer {layer}"));
    }
    lines.sort();
    lines
}

/// What stands for many bytes.
fn digest(bytes: &[u8]) -> String {
    let mut hasher = std::hash::DefaultHasher::new();
    std::hash::Hasher::write(&mut hasher, bytes);
    format!("{} bytes of {:x}", bytes.len(), std::hash::Hasher::finish(&hasher))
}
