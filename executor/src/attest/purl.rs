//! Package URLs of images (<https://github.com/package-url/purl-spec>), as BuildKit writes them.

use gantry_image::{Platform, Reference};

/// `pkg:docker/alpine@3.20?platform=linux%2Famd64`; nothing if the name is none.
pub(super) fn of_image(kind: &str, reference: &Reference, platform: Option<&Platform>) -> String {
    let digest = reference.digest();
    let tag = match (reference.tag(), digest) {
        (Some(tag), _) => Some(tag),
        (None, Some(_)) => None,
        (None, None) => Some("latest"),
    };
    let mut url = format!("pkg:{kind}");
    for part in reference.familiar_name().split('/') {
        url.push('/');
        url.push_str(&escaped(part));
    }
    if let Some(tag) = tag {
        url.push('@');
        url.push_str(&escaped(tag));
    }
    let mut mark = '?';
    let digest = digest.map(|digest| ("digest", digest.to_string()));
    let platform = platform.map(|platform| ("platform", platform.normalized().to_string()));
    for (key, value) in digest.into_iter().chain(platform) {
        url.push(mark);
        url.push_str(key);
        url.push('=');
        url.push_str(&escaped(&value));
        mark = '&';
    }
    url
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_have_package_urls() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let check = |name: &str, platform: Option<&str>, wanted: &str| {
            let platform = platform.map(|platform| platform.parse().unwrap());
            assert_eq!(of_image("docker", &name.parse().unwrap(), platform.as_ref()), wanted);
        };
        check("alpine", None, "pkg:docker/alpine@latest");
        check("alpine:3.20", Some("linux/amd64"), "pkg:docker/alpine@3.20?platform=linux%2Famd64");
        check("foo/bar:v2", None, "pkg:docker/foo/bar@v2");
        check("localhost:5000/a/b:1", None, "pkg:docker/localhost%3A5000/a/b@1");
        check(
            &format!("alpine@{digest}"),
            Some("linux/arm/v7"),
            &format!(
                "pkg:docker/alpine?digest=sha256%3A{}&platform=linux%2Farm%2Fv7",
                "a".repeat(64)
            ),
        );
    }
}
