//! `type=s3`: a bucket, in the words of BuildKit's `cache/remotecache/s3`.

use std::time::Duration;

use gantry_executor::{CachePlace, S3Keys, S3Place};
use gantry_image::registry::credentials::Secret;

use super::{CacheSpec, EXPORTED, Variables, aws};
use crate::ui::human::parse_duration;

/// What is said of one. `retry_mode` and `disable_accept_encoding` are about what BuildKit's SDK does.
const KNOWN: [&str; 16] = [
    "bucket",
    "region",
    "prefix",
    "manifests_prefix",
    "blobs_prefix",
    "name",
    "touch_refresh",
    "endpoint_url",
    "access_key_id",
    "secret_access_key",
    "session_token",
    "use_path_style",
    "upload_parallelism",
    "disable_accept_encoding",
    "retry_mode",
    "retry_max_attempts",
];

const DAY: Duration = Duration::from_secs(86_400);

/// A thread for each more would cost more than it gains.
const MOST: usize = 64;

/// Reads one.
///
/// # Errors
/// In BuildKit's words. Credentials that are missing are told when they are needed.
pub(super) fn place(spec: &CacheSpec, variables: Variables<'_>) -> Result<CachePlace, String> {
    spec.only(&[&KNOWN[..], &EXPORTED].concat())?;
    let variable = |name: &str| variables(name).filter(|value| !value.is_empty());
    let or = |name: &str, from: &str| {
        let value = spec.get(name).map(str::to_owned).or_else(|| variable(from));
        value.ok_or_else(|| format!("{name} (${from}) not set for s3 cache"))
    };
    let (bucket, region) = (or("bucket", "AWS_BUCKET")?, or("region", "AWS_REGION")?);
    let prefix = spec.given("prefix").unwrap_or_default();
    let below = |name: &str, usual: &str| format!("{prefix}{}", spec.given(name).unwrap_or(usual));
    let names = spec.get("name").unwrap_or_default().split(';').filter(|name| !name.is_empty());
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    if names.is_empty() {
        names.push("buildkit".to_owned());
    }
    let positive = |name: &str| {
        let wrong = || format!("{name} must be a positive integer");
        let number = spec.get(name).map(|text| text.parse::<u32>().ok().filter(|n| *n > 0));
        number.map(|number| number.ok_or_else(wrong)).transpose()
    };
    let parallelism = positive("upload_parallelism")?.unwrap_or(4);
    if !matches!(spec.get("retry_mode"), None | Some("standard" | "adaptive")) {
        return Err("retry_mode must be \"standard\" or \"adaptive\"".to_owned());
    }
    spec.flag("disable_accept_encoding")?;
    let touch = spec.get("touch_refresh").map(parse_duration).transpose()?;
    let endpoint = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"];
    let endpoint = spec
        .get("endpoint_url")
        .map(str::to_owned)
        .or_else(|| endpoint.into_iter().find_map(variable));
    Ok(CachePlace::S3(Box::new(S3Place {
        bucket,
        region,
        blobs: below("blobs_prefix", "blobs/"),
        manifests: below("manifests_prefix", "manifests/"),
        names,
        touch_refresh: touch.unwrap_or(DAY),
        endpoint,
        path_style: spec.flag("use_path_style")?.unwrap_or(false),
        parallelism: usize::try_from(parallelism).unwrap_or(MOST).min(MOST),
        tries: positive("retry_max_attempts")?,
        keys: keys(spec, variables),
    })))
}

/// A key that is given counts whole; of one that is given by half, the rest is looked up.
fn keys(spec: &CacheSpec, variables: Variables<'_>) -> Result<S3Keys, String> {
    let [id, secret, session] =
        ["access_key_id", "secret_access_key", "session_token"].map(|name| spec.get(name));
    let secretly = |text: Option<&str>| text.map(Secret::new);
    if let (Some(id), Some(secret)) = (id, secret) {
        let (id, secret) = (id.to_owned(), Secret::new(secret));
        return Ok(S3Keys { id, secret, session: secretly(session) });
    }
    let found = aws::keys(variables, &|path| fs_err::read_to_string(path))?;
    Ok(S3Keys {
        id: id.map_or(found.id, str::to_owned),
        secret: secretly(secret).unwrap_or(found.secret),
        session: secretly(session).or(found.session),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, variables: &[(&str, &str)]) -> Result<S3Place, String> {
        let spec: CacheSpec = format!("type=s3{text}").parse()?;
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        match place(&spec, &variable)? {
            CachePlace::S3(place) => Ok(*place),
            other => panic!("{other:?}"),
        }
    }

    const HERE: &str = ",bucket=b,region=r";

    #[test]
    fn what_is_not_said_is_buildkits() {
        let env = [("AWS_BUCKET", "b"), ("AWS_REGION", "r"), ("HOME", "/nonexistent")];
        let place = read("", &env).unwrap();
        assert_eq!((&*place.bucket, &*place.region), ("b", "r"));
        assert_eq!((&*place.blobs, &*place.manifests), ("blobs/", "manifests/"));
        assert_eq!(place.names, ["buildkit"]);
        assert_eq!((place.touch_refresh, place.parallelism), (DAY, 4));
        assert_eq!((place.endpoint, place.path_style, place.tries), (None, false, None));
        assert!(place.keys.unwrap_err().starts_with("there are no AWS credentials"));
    }

    #[test]
    fn names_and_prefixes() {
        let all = format!(
            "{HERE},prefix=p/,blobs_prefix=,manifests_prefix=m-,name=one;two,touch_refresh=1h,\
             use_path_style=true,endpoint_url=http://h,upload_parallelism=9,retry_max_attempts=2,\
             access_key_id=i,secret_access_key=s,session_token=t,mode=max"
        );
        let place = read(&all, &[("AWS_ACCESS_KEY_ID", "other")]).unwrap();
        assert_eq!((&*place.blobs, &*place.manifests), ("p/", "p/m-"));
        assert_eq!(place.names, ["one", "two"]);
        assert_eq!((place.parallelism, place.tries, place.path_style), (9, Some(2), true));
        assert_eq!(place.touch_refresh, Duration::from_secs(3600));
        let session = Some(Secret::new("t"));
        let keys = S3Keys { id: "i".to_owned(), secret: Secret::new("s"), session };
        assert_eq!(place.keys, Ok(keys));
        assert!(!format!("{place:?}").contains("\"s\""));
    }

    #[test]
    fn mistakes_are_worded_as_buildkit_words_them() {
        for (text, error) in [
            (",region=r", "bucket ($AWS_BUCKET) not set for s3 cache"),
            (",bucket=b", "region ($AWS_REGION) not set for s3 cache"),
            (",upload_parallelism=0", "upload_parallelism must be a positive integer"),
            (",retry_max_attempts=x", "retry_max_attempts must be a positive integer"),
            (",retry_mode=often", "retry_mode must be \"standard\" or \"adaptive\""),
            (",acl=public", "unsupported option `acl` of a s3 cache"),
        ] {
            let text = if text.len() < 11 { text.to_owned() } else { format!("{HERE}{text}") };
            assert_eq!(read(&text, &[]).unwrap_err(), error);
        }
    }
}
