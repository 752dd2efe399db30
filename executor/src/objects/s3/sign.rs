//! Signatures of AWS, version 4, in the header `Authorization`.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>

use gantry_image::registry::{WebError, WebRequest};
use gantry_image::{DateTime, Digest};
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use sha2::Sha256;

use super::S3Keys;
use super::address::encode;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Signs a request with its body and all of its headers, at a time in seconds since 1970.
///
/// # Errors
/// The key or the token can't stand in a header.
pub(super) fn sign(
    mut request: WebRequest,
    keys: &S3Keys,
    region: &str,
    at: i64,
) -> Result<WebRequest, WebError> {
    let time: String = DateTime::from_unix(at, 0).as_str().replace(['-', ':'], "");
    let date = time.split('T').next().unwrap_or_default();
    let body = Digest::of(&request.body).hex();
    let mut set = |name: &'static str, value: &str| -> Result<(), WebError> {
        let invalid = |_| WebError::Request(format!("the value of `{name}` can't be sent"));
        let mut value = HeaderValue::from_str(value).map_err(invalid)?;
        value.set_sensitive(name != "x-amz-date");
        request.headers.insert(HeaderName::from_static(name), value);
        Ok(())
    };
    set("x-amz-date", &time)?;
    set("x-amz-content-sha256", &body)?;
    if let Some(token) = &keys.session {
        set("x-amz-security-token", token.reveal())?;
    }
    let (canonical, signed) = canonical(&request, &body);
    let scope = format!("{date}/{region}/s3/aws4_request");
    let hash = Digest::of(canonical.as_bytes()).hex();
    let text = format!("{ALGORITHM}\n{time}\n{scope}\n{hash}");
    let first = format!("AWS4{}", keys.secret.reveal()).into_bytes();
    let key = [date, region, "s3", "aws4_request"];
    let key = key.iter().fold(first, |key, part| mac(&key, part.as_bytes()));
    let signature: String =
        mac(&key, text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let proof = format!(
        "{ALGORITHM} Credential={}/{scope},SignedHeaders={signed},Signature={signature}",
        keys.id
    );
    let invalid = |_| WebError::Request("the access key's ID can't be sent".to_owned());
    let mut proof = HeaderValue::from_str(&proof).map_err(invalid)?;
    proof.set_sensitive(true);
    request.headers.insert(AUTHORIZATION, proof);
    Ok(request)
}

/// Returns what is signed of a request, and the names of its headers.
fn canonical(request: &WebRequest, body: &str) -> (String, String) {
    let host = request.url.host_str().unwrap_or_default();
    let port = request.url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let mut headers = vec![("host".to_owned(), format!("{host}{port}"))];
    headers.extend(request.headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        let words: Vec<&str> = value.split(' ').filter(|word| !word.is_empty()).collect();
        (name.as_str().to_owned(), words.join(" "))
    }));
    headers.sort();
    let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
    let names = names.join(";");
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let pairs = request.url.query_pairs();
    let mut query: Vec<String> =
        pairs.map(|(name, value)| encode(&name, false) + "=" + &encode(&value, false)).collect();
    query.sort();
    let (method, path) = (request.method.as_str(), request.url.path());
    (format!("{method}\n{path}\n{}\n{lines}\n{names}\n{body}", query.join("&")), names)
}

fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    // A key of any length will do.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use gantry_image::registry::credentials::Secret;
    use reqwest::Method;

    use super::*;

    /// The keys of AWS's own examples.
    fn keys() -> S3Keys {
        S3Keys {
            id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret: Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
            session: None,
        }
    }

    fn signature(
        method: Method,
        path: &str,
        headers: &[(&'static str, &str)],
        body: &str,
    ) -> String {
        let url = format!("https://examplebucket.s3.amazonaws.com/{path}").parse().unwrap();
        let mut request = WebRequest::new(method, url);
        request.body = body.as_bytes().to_vec().into();
        for (name, value) in headers {
            request.headers.insert(*name, value.parse().unwrap());
        }
        let signed = sign(request, &keys(), "us-east-1", 1_369_353_600).unwrap();
        assert_eq!(signed.headers["x-amz-date"], "20130524T000000Z");
        signed.headers[AUTHORIZATION].to_str().unwrap().to_owned()
    }

    /// The examples of the page above.
    #[test]
    fn the_published_examples_have_their_signatures() {
        let range = [("range", "bytes=0-9")];
        assert_eq!(
            signature(Method::GET, "test.txt", &range, ""),
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
             SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,\
             Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        );
        let put = [
            ("date", "Fri, 24 May 2013 00:00:00 GMT"),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ];
        let body = "Welcome to Amazon S3.";
        for (signed, expected) in [
            (
                signature(Method::PUT, "test%24file.text", &put, body),
                "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
            ),
            (
                signature(Method::GET, "?lifecycle", &[], ""),
                "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
            ),
            (
                signature(Method::GET, "?max-keys=2&prefix=J", &[], ""),
                "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
            ),
        ] {
            assert!(signed.ends_with(&format!("Signature={expected}")), "{signed}");
        }
    }

    #[test]
    fn tokens_are_signed_and_nothing_secret_is_shown() {
        let session = Some(Secret::new("session-token"));
        let request = WebRequest::new(Method::GET, "http://127.0.0.1:9000/b/k".parse().unwrap());
        let signed = sign(request, &S3Keys { session, ..keys() }, "r", 0).unwrap();
        let proof = signed.headers[AUTHORIZATION].to_str().unwrap();
        assert!(proof.contains("x-amz-date;x-amz-security-token,"), "{proof}");
        assert!(!proof.contains("wJalr"), "{proof}");
        let shown = format!("{:?} {:?}", signed.headers, S3Keys { session: None, ..keys() });
        for secret in ["session-token", "Signature=", "wJalr"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }

    #[test]
    fn a_token_that_cannot_be_sent_is_an_error() {
        let session = Some(Secret::new("a\nb"));
        let request = WebRequest::new(Method::GET, "http://h/".parse().unwrap());
        let error = sign(request, &S3Keys { session, ..keys() }, "r", 0).err().unwrap();
        assert_eq!(
            error.to_string(),
            "No request can be made: the value of `x-amz-security-token` can't be sent"
        );
    }
}
