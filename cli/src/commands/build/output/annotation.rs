//! `--annotation [type[,type][[platform]]:]key=value`, and the keys of outputs that say the same
//! (C1-20).

use gantry_executor::{Annotation, AnnotationPlace};
use gantry_image::Platform;

/// Reads an `--annotation`; one for each type that it names.
///
/// # Errors
/// In buildx's words.
pub(crate) fn parse(text: &str) -> Result<Vec<Annotation>, String> {
    let (left, value) = text
        .split_once('=')
        .ok_or_else(|| format!("invalid annotation {text:?}, expected key=value"))?;
    let Some((types, key)) = left.split_once(':') else {
        return Ok(vec![make(AnnotationPlace::Manifest, None, left, value)]);
    };
    let annotation = |word: &str| {
        let (place, platform) = place_and_platform(word)?;
        Ok(make(place, platform, key, value))
    };
    types.split(',').map(annotation).collect()
}

/// Reads a key of an output: `annotation.key`, `annotation-index.key`,
/// `annotation-manifest[linux/amd64].key`.
pub(super) fn of_key(key: &str, value: &str) -> Result<Annotation, String> {
    let unsupported = || format!("unsupported option `{key}={value}`");
    let (kind, name) = key.split_once('.').ok_or_else(unsupported)?;
    let (place, platform) = match kind.strip_prefix("annotation").ok_or_else(unsupported)? {
        "" => (AnnotationPlace::Manifest, None),
        platform if platform.starts_with('[') => {
            place_and_platform(&format!("manifest{platform}"))?
        }
        kind => place_and_platform(kind.strip_prefix('-').ok_or_else(unsupported)?)?,
    };
    Ok(make(place, platform, name, value))
}

fn make(place: AnnotationPlace, platform: Option<Platform>, key: &str, value: &str) -> Annotation {
    Annotation { place, platform, key: key.to_owned(), value: value.to_owned() }
}

/// Reads `manifest`, `index[linux/amd64]` and the like.
fn place_and_platform(text: &str) -> Result<(AnnotationPlace, Option<Platform>), String> {
    let malformed = || {
        format!(
            "invalid annotation type {text:?}, expected type and optional platform in square \
             brackets"
        )
    };
    let (kind, platform) = match text.split_once('[') {
        Some((kind, rest)) => (kind, Some(rest.strip_suffix(']').ok_or_else(malformed)?)),
        None => (text, None),
    };
    if kind.is_empty() || !kind.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-') {
        return Err(malformed());
    }
    let place = match kind {
        "manifest" => AnnotationPlace::Manifest,
        "manifest-descriptor" => AnnotationPlace::ManifestDescriptor,
        "index" => AnnotationPlace::Index,
        "index-descriptor" => AnnotationPlace::IndexDescriptor,
        other => return Err(format!("unknown annotation type {other:?}")),
    };
    let read = |text: &str| {
        text.parse::<Platform>().map_err(|err| format!("invalid platform {text:?}: {err}"))
    };
    Ok((place, platform.map(read).transpose()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(annotations: Vec<Annotation>) -> Vec<String> {
        let show = |a: Annotation| {
            let platform = a.platform.map(|platform| platform.to_string()).unwrap_or_default();
            format!("{:?} {platform} {}={}", a.place, a.key, a.value)
        };
        annotations.into_iter().map(show).collect()
    }

    #[test]
    fn annotations_say_where_they_go() {
        let read = |text: &str| parse(text).map(shown);
        assert_eq!(read("a=b=c").unwrap(), ["Manifest  a=b=c"]);
        assert_eq!(
            read("index,manifest[linux/arm64]:org.x=1").unwrap(),
            ["Index  org.x=1", "Manifest linux/arm64 org.x=1"]
        );
        assert_eq!(read("a").unwrap_err(), "invalid annotation \"a\", expected key=value");
        assert_eq!(read("x:a=b").unwrap_err(), "unknown annotation type \"x\"");
        assert_eq!(
            read("Manifest:a=b").unwrap_err(),
            "invalid annotation type \"Manifest\", expected type and optional platform in square \
             brackets"
        );
        assert!(read("manifest[a/b/c/d]:a=b").unwrap_err().starts_with("invalid platform"));
    }

    #[test]
    fn keys_of_outputs_say_the_same() {
        let read = |key: &str| of_key(key, "v").map(|made| shown(vec![made]).remove(0));
        assert_eq!(read("annotation.a.b"), Ok("Manifest  a.b=v".to_owned()));
        assert_eq!(read("annotation[linux/arm64].a"), Ok("Manifest linux/arm64 a=v".to_owned()));
        assert_eq!(read("annotation-index.a"), Ok("Index  a=v".to_owned()));
        assert!(read("annotations.a").is_err() && read("annotation").is_err());
    }
}
