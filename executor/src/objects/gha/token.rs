//! The token of a job: a JWT whose claims say which scopes it may read and write. It is not verified:
//! that is the service's part.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

/// Who may write.
const WRITE: u64 = 2;

/// A branch, and what may be done with its entries.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Scope {
    /// As `refs/heads/main`.
    #[serde(rename = "Scope")]
    pub(super) name: String,
    /// 1 is reading, 2 writing.
    #[serde(rename = "Permission")]
    permission: u64,
}

#[derive(Deserialize)]
struct Claims {
    ac: Option<String>,
    exp: Option<f64>,
    nbf: Option<f64>,
}

/// Reads the scopes of a token, in its order.
///
/// # Errors
/// It is none of a job's, or its time is over; in words, without the token.
pub(super) fn scopes(token: &str) -> Result<Vec<Scope>, String> {
    let payload = token.split('.').nth(1).unwrap_or_default().trim_end_matches('=');
    let bytes = URL_SAFE_NO_PAD.decode(payload).map_err(|_| "the token is no JWT")?;
    let claims: Claims = serde_json::from_slice(&bytes).map_err(|_| "the token is no JWT")?;
    let access = claims.ac.ok_or("the token is one without access controls")?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    if claims.exp.is_some_and(|end| end < now) {
        return Err("the token's time is over".to_owned());
    }
    if claims.nbf.is_some_and(|begin| begin > now) {
        return Err("the token's time has not come".to_owned());
    }
    serde_json::from_str(&access)
        .map_err(|_| "the token's access controls can't be read".to_owned())
}

/// The scope that is written to: the last one that may be.
pub(super) fn written(scopes: &[Scope]) -> &str {
    let writable = |scope: &&Scope| scope.permission & WRITE != 0;
    scopes.iter().rfind(writable).map_or("", |scope| scope.name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(payload: &str) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload))
    }

    #[test]
    fn scopes_come_from_the_access_controls() {
        let access = r#"[{\"Scope\":\"refs/pull/7/merge\",\"Permission\":3},{\"Scope\":\"refs/heads/main\",\"Permission\":1}]"#;
        let read =
            scopes(&token(&format!(r#"{{"ac":"{access}","exp":99999999999,"nbf":0}}"#))).unwrap();
        let names: Vec<&str> = read.iter().map(|scope| scope.name.as_str()).collect();
        assert_eq!(names, ["refs/pull/7/merge", "refs/heads/main"]);
        assert_eq!(written(&read), "refs/pull/7/merge");
        assert_eq!(written(&read[1..]), "");
    }

    #[test]
    fn other_tokens_are_refused_without_being_shown() {
        for (text, why) in [
            ("ghp_secret".to_owned(), "no JWT"),
            (token("[]"), "no JWT"),
            (token("{}"), "without access controls"),
            (token(r#"{"ac":"[]","exp":1}"#), "time is over"),
            (token(r#"{"ac":"[]","nbf":99999999999}"#), "has not come"),
            (token(r#"{"ac":"{}"}"#), "can't be read"),
        ] {
            let error = scopes(&text).unwrap_err();
            assert!(error.contains(why), "{error}");
            assert!(!error.contains(&text), "{error}");
        }
    }
}
