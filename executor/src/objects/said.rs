//! What object stores say about errors: XML of S3 and Azure, JSON of GitHub.

use gantry_cache::remote::RemoteError;
use gantry_image::registry::WebAnswer;
use serde_json::Value;

use crate::registry::TransferError;

/// Nobody reads more.
const LIMIT: usize = 300;

/// An answer that is no success.
#[derive(Debug, thiserror::Error)]
#[error("`{host}` answered with status {status}{}", told(.code, .message))]
pub(super) struct Refusal {
    host: String,
    /// The status.
    pub(super) status: u16,
    /// What the error is called, as `NoSuchKey` or `already_exists`.
    pub(super) code: String,
    message: String,
}

fn told(code: &str, message: &str) -> String {
    [code, message].iter().filter(|text| !text.is_empty()).map(|text| format!(": {text}")).collect()
}

impl Refusal {
    /// Reads an answer; `secrets` are blotted out of it.
    pub(super) fn new(answer: &WebAnswer, secrets: &[&str]) -> Self {
        let (host, status) = (answer.host.clone(), answer.status.as_u16());
        let text = String::from_utf8_lossy(&answer.body);
        // GitHub's begin with the mark of a byte order.
        let text = text.trim_start_matches('\u{feff}').trim_start();
        let (code, message) = match serde_json::from_str::<Value>(text) {
            Ok(json) => {
                let of = |names: [&str; 2]| {
                    let found = names.iter().find_map(|name| json[*name].as_str());
                    found.unwrap_or_default().to_owned()
                };
                (of(["typeKey", "code"]), of(["message", "msg"]))
            }
            Err(_) => {
                ["Code", "Message"].map(|name| element(text, name).unwrap_or_default()).into()
            }
        };
        let clean = |text: &str| clean(text, secrets);
        Self { host, status, code: clean(&code), message: clean(&message) }
    }

    /// Is it that somebody else has made it, or is about to?
    pub(super) fn is_already_there(&self) -> bool {
        self.code.contains("AlreadyExists")
            || self.code == "already_exists"
            || self.message.to_lowercase().contains("already exists")
    }

    /// Makes the error of it.
    pub(super) fn during(self, what: &str) -> RemoteError {
        RemoteError::Transport { what: what.to_owned(), source: Box::new(self) }
    }
}

/// Says what was being done when there was no answer.
pub(super) fn failed(what: &str) -> impl FnOnce(TransferError) -> RemoteError {
    let what = what.to_owned();
    |source| RemoteError::Transport { what, source: Box::new(source) }
}

fn clean(text: &str, secrets: &[&str]) -> String {
    let mut text = text.to_owned();
    for secret in secrets.iter().filter(|secret| secret.len() > 3) {
        text = text.replace(secret, "***");
    }
    let words = text.split(|c: char| c.is_control() || c.is_whitespace());
    let text = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    text.chars().take(LIMIT).collect()
}

/// Returns the text of the first element of that name, which holds no elements itself.
pub(super) fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    // `&` comes last, since what it gives may look like one of the others.
    let entities =
        [("&quot;", "\""), ("&apos;", "'"), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")];
    let text = entities.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
    (!text.contains("<")).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(body: &str) -> Refusal {
        let answer = WebAnswer {
            host: "h".to_owned(),
            status: reqwest::StatusCode::CONFLICT,
            headers: reqwest::header::HeaderMap::new(),
            body: body.as_bytes().to_vec(),
        };
        Refusal::new(&answer, &["secret"])
    }

    #[test]
    fn errors_are_read_in_every_form() {
        for (body, told) in [
            ("", ""),
            ("<html>", ""),
            (
                "<?xml version=\"1.0\"?>\n<Error><Code>NoSuchKey</Code><Message>It &amp; its \
                 secret</Message><Key>k</Key></Error>",
                ": NoSuchKey: It & its ***",
            ),
            ("\u{feff}{\"typeKey\":\"Gone\",\"message\":\"a\\nb\"}", ": Gone: a b"),
            ("{\"code\":\"not_found\",\"msg\":\"c\"}", ": not_found: c"),
        ] {
            let expected = format!("`h` answered with status 409{told}");
            assert_eq!(refusal(body).to_string(), expected);
        }
    }

    #[test]
    fn what_is_there_already_is_told_in_three_ways() {
        for body in [
            "{\"typeKey\":\"ArtifactCacheItemAlreadyExistsException\",\"message\":\"x\"}",
            "{\"code\":\"already_exists\",\"msg\":\"x\"}",
            "{\"message\":\"Cache already exists. Scope: x\"}",
        ] {
            assert!(refusal(body).is_already_there(), "{body}");
        }
        assert!(!refusal("{\"code\":\"internal\"}").is_already_there());
    }
}
