//! `--metadata-file`: what buildx writes of a build, as far as it is known here (C1-14).

use gantry_cache::BuildId;
use gantry_executor::{BuildOutcome, BuiltImage};
use gantry_image::Reference;
use gantry_parser::{Diagnostic, lint};
use serde_json::{Map, Value, json};

use crate::progress::base64;

/// Writes the file's text.
pub(super) fn write(
    built: &BuildOutcome,
    names: &[Reference],
) -> Result<String, serde_json::Error> {
    let mut fields = Map::new();
    if let Some(image) = &built.image {
        if !image.is_index {
            fields.insert("containerimage.config.digest".to_owned(), json!(image.id.to_string()));
        }
        fields.insert("containerimage.descriptor".to_owned(), descriptor(image)?);
        fields.insert("containerimage.digest".to_owned(), json!(image.manifest.to_string()));
    }
    if let Some((id, _)) = &built.past {
        fields.insert("buildx.build.ref".to_owned(), json!(reference(*id)));
    }
    if !names.is_empty() {
        let names: Vec<String> = names.iter().map(Reference::to_string).collect();
        fields.insert("image.name".to_owned(), json!(names.join(",")));
    }
    let several = built.provenance.len() > 1;
    for (platform, provenance) in &built.provenance {
        let key = match several {
            true => format!("buildx.build.provenance/{platform}"),
            false => "buildx.build.provenance".to_owned(),
        };
        fields.insert(key, provenance.clone());
    }
    if super::environment::is_set("BUILDX_METADATA_WARNINGS") {
        fields.insert("buildx.build.warnings".to_owned(), warnings_of(built));
    }
    serde_json::to_string_pretty(&fields)
}

/// The manifest, or the index, as a registry would be told of it.
fn descriptor(image: &BuiltImage) -> Result<Value, serde_json::Error> {
    let mut value = serde_json::to_value(&image.descriptor)?;
    if !image.is_index {
        value["platform"] = serde_json::to_value(&image.platform)?;
    }
    Ok(value)
}

/// The build's name in the history, in buildx's form: builder, node, build.
fn reference(id: BuildId) -> String {
    format!("default/default/{id}")
}

/// Warnings in the form of BuildKit's, with their texts in base64 as Go writes bytes.
fn warnings_of(built: &BuildOutcome) -> Value {
    let source = &built.dockerfile;
    let one = |warning: &Diagnostic| {
        let short = match warning.code {
            Some(code) => format!("{code}: {}", warning.message),
            None => warning.message.clone(),
        };
        let detail: Vec<String> =
            warning.notes.iter().map(|note| base64(note.as_bytes())).collect();
        let mut value = json!({
            "level": 1,
            "short": base64(short.as_bytes()),
            "detail": detail,
            "sourceInfo": { "filename": source.name(), "data": base64(source.text().as_bytes()) },
        });
        let rule = lint::RULES.iter().find(|rule| Some(rule.name) == warning.code);
        if let Some(rule) = rule {
            value["url"] = json!(rule.url());
        }
        if let Some((first, last)) = warning.lines(source) {
            let (start, end) = (json!({ "line": first }), json!({ "line": last }));
            value["range"] = json!([{ "start": start, "end": end }]);
        }
        value
    };
    built.warnings.iter().map(one).collect()
}
