//! Where an object is.

use std::net::IpAddr;

use reqwest::Url;

use super::S3Place;

/// Percent-encodes all but letters, digits and `-._~`, and `/` if it may stay: the form in which
/// paths and queries are signed, and sent.
pub(super) fn encode(text: &str, slashes: bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            b'/' if slashes => encoded.push('/'),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// Returns the address of an object.
///
/// # Errors
/// What the place says makes no address; in words.
pub(super) fn object(place: &S3Place, key: &str, query: &[(&str, &str)]) -> Result<Url, String> {
    let S3Place { bucket, region, endpoint, path_style, .. } = place;
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    if bucket.is_empty() || !plain(bucket) || !plain(region) {
        return Err(format!("no bucket can be called {bucket:?} in the region {region:?}"));
    }
    let (scheme, host, path, in_path) = match endpoint {
        Some(endpoint) => {
            let invalid = || format!("the endpoint_url {endpoint:?} is no address of a server");
            let url: Url = endpoint.parse().map_err(|_| invalid())?;
            let host = url.host_str().ok_or_else(invalid)?;
            if !matches!(url.scheme(), "http" | "https") {
                return Err(invalid());
            }
            let address = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
            let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
            let path = url.path().trim_end_matches('/').to_owned();
            (url.scheme().to_owned(), format!("{host}{port}"), path, *path_style || address)
        }
        None => {
            let china = if region.starts_with("cn-") { ".cn" } else { "" };
            let host = format!("s3.{region}.amazonaws.com{china}");
            // No certificate is for a name of so many parts.
            ("https".to_owned(), host, String::new(), bucket.contains('.'))
        }
    };
    let key = encode(key, true);
    let text = match in_path {
        true => format!("{scheme}://{host}{path}/{bucket}/{key}"),
        false => format!("{scheme}://{bucket}.{host}{path}/{key}"),
    };
    let mut pairs = Vec::new();
    for (name, value) in query {
        pairs.push(format!("{}={}", encode(name, false), encode(value, false)));
    }
    let query = if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) };
    let invalid = |_| format!("the bucket {bucket:?} in the region {region:?} has no address");
    Url::parse(&(text + &query)).map_err(invalid)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(bucket: &str, region: &str, endpoint: Option<&str>, path_style: bool) -> String {
        let place = S3Place {
            bucket: bucket.to_owned(),
            region: region.to_owned(),
            blobs: "blobs/".to_owned(),
            manifests: "manifests/".to_owned(),
            names: vec!["buildkit".to_owned()],
            touch_refresh: Duration::ZERO,
            endpoint: endpoint.map(str::to_owned),
            path_style,
            parallelism: 4,
            tries: None,
            keys: Err(String::new()),
        };
        object(&place, "p/a:b c", &[("uploads", "")]).map_or_else(|why| why, |url| url.to_string())
    }

    #[test]
    fn objects_are_where_the_sdks_look_for_them() {
        let key = "p/a%3Ab%20c?uploads=";
        for (bucket, region, endpoint, path_style, expected) in [
            ("b", "eu-west-1", None, true, "https://b.s3.eu-west-1.amazonaws.com/"),
            ("a.b", "eu-west-1", None, false, "https://s3.eu-west-1.amazonaws.com/a.b/"),
            ("b", "cn-north-1", None, false, "https://b.s3.cn-north-1.amazonaws.com.cn/"),
            ("b", "r", Some("http://minio:9000"), true, "http://minio:9000/b/"),
            ("b", "r", Some("http://minio:9000/"), false, "http://b.minio:9000/"),
            ("b", "r", Some("https://h.example/s3/"), true, "https://h.example/s3/b/"),
            ("b", "r", Some("http://127.0.0.1:9000"), false, "http://127.0.0.1:9000/b/"),
            ("b", "r", Some("http://[::1]:9000"), false, "http://[::1]:9000/b/"),
        ] {
            assert_eq!(at(bucket, region, endpoint, path_style), format!("{expected}{key}"));
        }
    }

    #[test]
    fn what_makes_no_address_is_said() {
        assert!(at("b@evil.example/", "r", None, false).contains("no bucket can be called"));
        assert!(at("b", "r#", None, false).contains("no bucket can be called"));
        assert!(at("b", "r", Some("minio"), false).contains("is no address of a server"));
        assert!(at("b", "r", Some("ftp://minio"), false).contains("is no address of a server"));
    }
}
