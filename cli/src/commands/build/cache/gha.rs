//! `type=gha`: the cache service of GitHub Actions, as buildx fills in what is not said.

use std::time::Duration;

use gantry_executor::{CachePlace, GhaPlace, GhaVersion};
use gantry_image::registry::credentials::Secret;

use super::{CacheSpec, EXPORTED, Variables};
use crate::commands::build::values::parse_bool;
use crate::ui::human::parse_duration;

/// What is said of one. `ghtoken` and `repository` would save requests and change no result.
const KNOWN: [&str; 8] =
    ["url", "url_v2", "token", "scope", "timeout", "ghtoken", "repository", "version"];

/// How BuildKit knows that an old client means the newer service.
const RESULTS: &str = "results-receiver.actions.githubusercontent.com";

const TIMEOUT: Duration = Duration::from_secs(600);

/// Reads one. `None` outside of GitHub Actions, where buildx passes over it without a word.
///
/// # Errors
/// In BuildKit's words.
pub(super) fn place(
    spec: &CacheSpec,
    variables: Variables<'_>,
) -> Result<Option<CachePlace>, String> {
    spec.only(&[&KNOWN[..], &EXPORTED].concat())?;
    let or = |name: &str, variable: &str| {
        spec.get(name).map(str::to_owned).or_else(|| variables(variable).filter(|v| !v.is_empty()))
    };
    let version = match spec.get("version") {
        Some(text) => text.parse::<i64>().map_err(|_| {
            format!("failed to parse api version {text:?}, expected positive integer")
        })?,
        None => {
            let newer = variables("ACTIONS_CACHE_SERVICE_V2");
            if newer.is_some_and(|text| parse_bool(&text) == Ok(true)) { 2 } else { 0 }
        }
    };
    let newer = match version {
        1 => None,
        2 => or("url_v2", "ACTIONS_RESULTS_URL"),
        _ => spec.get("url_v2").map(str::to_owned),
    };
    let older = or("url", "ACTIONS_CACHE_URL").or_else(|| or("url", "ACTIONS_RESULTS_URL"));
    let (url, version) = match (newer, older) {
        (Some(url), _) => (url, GhaVersion::V2),
        (None, Some(url)) if spec.get("version").is_some() && version > 1 => (url, GhaVersion::V2),
        (None, Some(url)) if version != 1 && url.contains(RESULTS) => (url, GhaVersion::V2),
        (None, Some(url)) => (url, GhaVersion::V1),
        (None, None) => return Ok(None),
    };
    let Some(token) = or("token", "ACTIONS_RUNTIME_TOKEN") else { return Ok(None) };
    let timeout = spec.get("timeout").map(parse_duration).transpose();
    let timeout = timeout
        .map_err(|error| format!("failed to parse timeout for github actions cache: {error}"))?;
    Ok(Some(CachePlace::Gha(Box::new(GhaPlace {
        scope: spec.get("scope").unwrap_or("buildkit").to_owned(),
        url,
        version,
        token: Secret::new(token),
        timeout: timeout.unwrap_or(TIMEOUT),
    }))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, variables: &[(&str, &str)]) -> Result<Option<GhaPlace>, String> {
        let spec: CacheSpec = format!("type=gha{text}").parse()?;
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Ok(place(&spec, &variable)?.map(|place| match place {
            CachePlace::Gha(place) => *place,
            other => panic!("{other:?}"),
        }))
    }

    const TOKEN: (&str, &str) = ("ACTIONS_RUNTIME_TOKEN", "t");
    const OLD: (&str, &str) = ("ACTIONS_CACHE_URL", "https://old/");
    const NEW: (&str, &str) = ("ACTIONS_RESULTS_URL", "https://new/");
    const SERVICE: (&str, &str) = ("ACTIONS_CACHE_SERVICE_V2", "True");

    #[test]
    fn the_service_is_the_one_that_buildx_takes() {
        use GhaVersion::{V1, V2};
        let hub = ("ACTIONS_CACHE_URL", "https://results-receiver.actions.githubusercontent.com/");
        for (text, variables, url, version) in [
            ("", &[TOKEN, OLD, NEW, SERVICE][..], "https://new/", V2),
            ("", &[TOKEN, OLD, NEW], "https://old/", V1),
            ("", &[TOKEN, NEW], "https://new/", V1),
            ("", &[TOKEN, hub], hub.1, V2),
            (",version=1", &[TOKEN, OLD, NEW, SERVICE], "https://old/", V1),
            (",version=1", &[TOKEN, hub], hub.1, V1),
            (",version=2", &[TOKEN, OLD], "https://old/", V2),
            (",version=2", &[TOKEN, OLD, NEW], "https://new/", V2),
            (",url=http://here", &[TOKEN, OLD], "http://here", V1),
            (",url_v2=http://here", &[TOKEN, OLD], "http://here", V2),
        ] {
            let place = read(text, variables).unwrap().unwrap();
            assert_eq!((&*place.url, place.version), (url, version), "{text} {variables:?}");
            assert_eq!((&*place.scope, place.token.reveal()), ("buildkit", "t"));
        }
    }

    #[test]
    fn outside_of_actions_there_is_none() {
        for (text, variables) in [
            ("", &[][..]),
            ("", &[TOKEN]),
            ("", &[OLD]),
            ("", &[("ACTIONS_RUNTIME_TOKEN", ""), OLD]),
            (",mode=max,scope=x", &[]),
        ] {
            assert_eq!(read(text, variables), Ok(None), "{text}");
        }
    }

    #[test]
    fn mistakes_are_errors_everywhere() {
        for (text, error) in [
            (",ref=x", "unsupported option `ref` of a gha cache"),
            (",version=x", "failed to parse api version \"x\", expected positive integer"),
        ] {
            assert_eq!(read(text, &[]), Err(error.to_owned()));
        }
        let error = read(",timeout=x", &[TOKEN, OLD]).unwrap_err();
        assert!(error.starts_with("failed to parse timeout for github actions cache: "), "{error}");
        let place = read(",timeout=1m30s,ghtoken=g,repository=a/b", &[TOKEN, OLD]).unwrap();
        assert_eq!(place.unwrap().timeout, Duration::from_secs(90));
    }
}
