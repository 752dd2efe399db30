//! `--attest`, `--provenance`, `--sbom`: what is to be said about the result (C1-21), in buildx's
//! words; and how much of the provenance goes into `--metadata-file`.

use std::collections::{BTreeMap, BTreeSet};

use gantry_executor::{Attestations, Provenance, ProvenanceMode, Sbom, SlsaVersion};
use gantry_image::Reference;

use super::args::BuildArgs;
use super::environment;
use super::values::{csv, parse_bool};
use crate::ui::Failure;

/// One attestation as typed.
#[derive(Debug, Default, PartialEq, Eq)]
struct Attest {
    kind: String,
    disabled: bool,
    attrs: BTreeMap<String, String>,
}

/// Gathers what the flags and the environment ask for. Nothing is said unless asked for.
///
/// # Errors
/// In the words of buildx, or of BuildKit, which reads the values.
pub(super) fn attestations(
    args: &BuildArgs,
    path: &str,
    file: Option<&str>,
) -> Result<Attestations, Failure> {
    let mut texts = args.attests.clone();
    texts.extend(args.provenance.as_deref().and_then(|text| canonical("provenance", text)));
    texts.extend(args.sbom.as_deref().and_then(|text| canonical("sbom", text)));
    let mut asked = of_texts(&texts).map_err(Failure::text)?;
    if asked.provenance.is_none()
        && let Ok(value) = std::env::var(NO_DEFAULT)
        && let Err(error) = parse_bool(&value)
    {
        return Err(Failure::text(format_args!("invalid {NO_DEFAULT}: {error}")));
    }
    if args.metadata_file().is_some() {
        asked.told = told(std::env::var("BUILDX_METADATA_PROVENANCE").ok().as_deref());
    }
    if asked.provenance.is_some() || asked.told == Some(ProvenanceMode::Max) {
        asked.vcs = environment::git_info(path, file);
    }
    Ok(asked)
}

/// Says that there is to be no provenance by default. There is none anyway.
const NO_DEFAULT: &str = "BUILDX_NO_DEFAULT_ATTESTATIONS";

/// `--provenance=true` as `--attest` has it.
fn canonical(kind: &str, text: &str) -> Option<String> {
    match (text, parse_bool(text)) {
        ("", _) => None,
        (_, Ok(on)) => Some(format!("type={kind},disabled={}", !on)),
        (text, Err(_)) => Some(format!("type={kind},{text}")),
    }
}

/// What `BUILDX_METADATA_PROVENANCE` asks for.
fn told(variable: Option<&str>) -> Option<ProvenanceMode> {
    match variable.unwrap_or_default().to_lowercase().as_str() {
        "max" => Some(ProvenanceMode::Max),
        "disabled" => None,
        other if parse_bool(other) == Ok(false) => None,
        _ => Some(ProvenanceMode::Min),
    }
}

fn of_texts(texts: &[String]) -> Result<Attestations, String> {
    let mut known = BTreeSet::new();
    let mut all = Vec::new();
    for text in texts {
        let attest = parse(text)?;
        if !known.insert(attest.kind.clone()) {
            return Err(format!("duplicate attestation field {}", attest.kind));
        }
        all.push(attest);
    }
    let mut asked = Attestations::default();
    for Attest { kind, attrs, .. } in all.into_iter().filter(|attest| !attest.disabled) {
        match kind.to_lowercase().as_str() {
            "provenance" => asked.provenance = Some(provenance(attrs)?),
            "sbom" => asked.sbom = Some(sbom(attrs)?),
            _ => return Err(format!("failed to solve: unknown attestation type {kind:?}")),
        }
    }
    Ok(asked)
}

fn parse(text: &str) -> Result<Attest, String> {
    let mut attest = Attest::default();
    for field in csv(text)? {
        let (key, value) = field.split_once('=').ok_or_else(|| format!("invalid value {field}"))?;
        match key.to_lowercase().trim() {
            "type" => value.clone_into(&mut attest.kind),
            "disabled" => {
                attest.disabled =
                    parse_bool(value).map_err(|error| format!("invalid value {field}: {error}"))?;
            }
            _ => {
                attest.attrs.insert(key.to_owned(), value.to_owned());
            }
        }
    }
    match attest.kind.is_empty() {
        true => Err("attestation type not specified".to_owned()),
        false => Ok(attest),
    }
}

fn provenance(attrs: BTreeMap<String, String>) -> Result<Provenance, String> {
    let mut asked = Provenance::default();
    let flag = |key: &str, value: &str| {
        parse_bool(value).map_err(|error| {
            format!("failed to solve: failed to parse {key} flag {value:?}: {error}")
        })
    };
    for (key, value) in &attrs {
        match key.as_str() {
            "mode" => {
                asked.mode = match value.as_str() {
                    "min" => ProvenanceMode::Min,
                    "max" | "full" => ProvenanceMode::Max,
                    other => return Err(format!("failed to solve: invalid mode {other:?}")),
                }
            }
            "version" => {
                asked.version = match value.as_str() {
                    "v1" => SlsaVersion::V1,
                    "v0.2" => SlsaVersion::V02,
                    "" => {
                        return Err(
                            "failed to solve: provenance SLSA version cannot be empty".to_owned()
                        );
                    }
                    other => {
                        return Err(format!(
                            "failed to solve: invalid provenance SLSA version: {other}"
                        ));
                    }
                }
            }
            "builder-id" => asked.builder_id.clone_from(value),
            "reproducible" => asked.reproducible = flag(key, value)?,
            "inline-only" => asked.inline_only = flag(key, value)?,
            // What steps take of the machine is not measured.
            "capture-usage" if !flag(key, value)? => {}
            _ => return Err(format!("unsupported provenance parameter `{key}={value}`")),
        }
    }
    Ok(asked)
}

fn sbom(mut attrs: BTreeMap<String, String>) -> Result<Sbom, String> {
    let generator = attrs.remove("generator").unwrap_or_else(|| Sbom::GENERATOR.to_owned());
    let reference: Reference = generator.parse().map_err(|error| {
        format!("failed to solve: failed to parse sbom scanner {generator}: {error}")
    })?;
    let generator = match reference.digest() {
        Some(_) => reference.to_string(),
        None => reference.with_default_tag().to_string(),
    };
    Ok(Sbom { generator, parameters: attrs })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(texts: &[&str]) -> Result<Attestations, String> {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        of_texts(&texts)
    }

    fn flags(provenance: &str, sbom: &str) -> Result<Attestations, String> {
        let texts = [canonical("provenance", provenance), canonical("sbom", sbom)];
        of_texts(&texts.into_iter().flatten().collect::<Vec<_>>())
    }

    #[test]
    fn the_short_flags_are_attestations_too() {
        assert_eq!(flags("", "").unwrap(), Attestations::default());
        assert_eq!(flags("false", "0").unwrap(), Attestations::default());
        let all = flags("true", "true").unwrap();
        assert_eq!(all.provenance, Some(Provenance::default()));
        assert_eq!(all.sbom.unwrap().generator, "docker.io/docker/buildkit-syft-scanner:stable-1");
        let text = "mode=min,version=v1,builder-id=https://ci/1,reproducible=true,inline-only=true";
        let wanted = Provenance {
            mode: ProvenanceMode::Min,
            version: SlsaVersion::V1,
            builder_id: "https://ci/1".to_owned(),
            reproducible: true,
            inline_only: true,
        };
        assert_eq!(flags(text, "").unwrap().provenance, Some(wanted));
        let sbom = flags("", "generator=a/b,SELECT=x").unwrap().sbom.unwrap();
        assert_eq!(sbom.generator, "docker.io/a/b:latest");
        assert_eq!(sbom.parameters["SELECT"], "x");
    }

    #[test]
    fn mistakes_are_worded_as_buildx_and_buildkit_word_them() {
        let error = |texts: &[&str]| asked(texts).unwrap_err();
        assert_eq!(error(&["mode=max"]), "attestation type not specified");
        assert_eq!(error(&["type=sbom,x"]), "invalid value x");
        assert_eq!(
            error(&["type=sbom,disabled=x"]),
            "invalid value disabled=x: strconv.ParseBool: parsing \"x\": invalid syntax"
        );
        assert_eq!(error(&["type=sbom", "type=sbom"]), "duplicate attestation field sbom");
        assert_eq!(error(&["type=x"]), "failed to solve: unknown attestation type \"x\"");
        assert_eq!(asked(&["type=x,disabled=true"]).unwrap(), Attestations::default());
        let error = |text: &str| flags(text, "").unwrap_err();
        assert_eq!(error("mode=x"), "failed to solve: invalid mode \"x\"");
        assert_eq!(error("version=v3"), "failed to solve: invalid provenance SLSA version: v3");
        assert_eq!(
            error("reproducible=x"),
            "failed to solve: failed to parse reproducible flag \"x\": strconv.ParseBool: parsing \
             \"x\": invalid syntax"
        );
        assert_eq!(
            error("capture-usage=true"),
            "unsupported provenance parameter `capture-usage=true`"
        );
        assert_eq!(
            flags("true", "generator=").unwrap_err(),
            "failed to solve: failed to parse sbom scanner : invalid reference format"
        );
    }

    #[test]
    fn metadata_tells_the_provenance_in_brief_unless_asked_otherwise() {
        assert_eq!(told(None), Some(ProvenanceMode::Min));
        assert_eq!(told(Some("MAX")), Some(ProvenanceMode::Max));
        assert_eq!((told(Some("disabled")), told(Some("false"))), (None, None));
    }
}
