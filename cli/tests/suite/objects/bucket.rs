//! As much of S3 as a cache needs: a service that takes nothing whose signature isn't right.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use gantry_image::Digest;

use super::http::{Request, Response, Server, Service, encode};

/// What may be asked for in its name.
pub(crate) const ID: &str = "AKIDTEST";
pub(crate) const SECRET: &str = "very/secret+key";
pub(crate) const SESSION: &str = "session-token-of-the-test";
pub(crate) const NAME: &str = "bucket-of-a-test";
pub(crate) const REGION: &str = "eu-test-1";

#[derive(Clone)]
struct Object {
    bytes: Vec<u8>,
    written: SystemTime,
}

/// One bucket.
#[derive(Default)]
pub(crate) struct Bucket {
    objects: Mutex<BTreeMap<String, Object>>,
    uploads: Mutex<BTreeMap<String, BTreeMap<u32, Vec<u8>>>>,
    /// So many requests are turned away.
    pub(crate) busy: Mutex<u32>,
    /// So many downloads of blobs break after their first bytes.
    pub(crate) breaks: Mutex<u32>,
    /// Keys need a session's token.
    session: bool,
}

fn less(count: &Mutex<u32>) -> bool {
    let mut count = count.lock().unwrap();
    let some = *count > 0;
    *count = count.saturating_sub(1);
    some
}

fn error(status: u16, code: &str) -> Response {
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code>\
         <Message>said of {code}</Message><Key>{SECRET}</Key></Error>"
    );
    Response::new(status, text).with("content-type", "application/xml")
}

fn xml(text: String) -> Response {
    Response::new(200, text).with("content-type", "application/xml")
}

impl Bucket {
    pub(crate) fn start() -> Server<Self> {
        Server::start(|_| Self::default())
    }

    /// Starts one where each request needs the token of a session.
    pub(crate) fn with_session() -> Server<Self> {
        Server::start(|_| Self { session: true, ..Self::default() })
    }

    pub(crate) fn keys(&self) -> Vec<String> {
        self.objects.lock().unwrap().keys().cloned().collect()
    }

    pub(crate) fn bytes(&self, key: &str) -> Vec<u8> {
        self.objects.lock().unwrap()[key].bytes.clone()
    }

    /// Does something with each blob.
    pub(crate) fn each_blob(&self, mut change: impl FnMut(&mut Vec<u8>)) {
        let mut objects = self.objects.lock().unwrap();
        objects
            .iter_mut()
            .filter(|(key, _)| key.contains("blobs/"))
            .for_each(|(_, object)| change(&mut object.bytes));
    }

    /// Makes all objects older.
    pub(crate) fn age(&self, by: Duration) {
        self.objects.lock().unwrap().values_mut().for_each(|object| object.written -= by);
    }

    pub(crate) fn remove_blobs(&self) {
        self.objects.lock().unwrap().retain(|key, _| !key.contains("blobs/"));
    }

    fn put(&self, key: &str, bytes: Vec<u8>) -> String {
        let tag = format!("\"{}\"", Digest::of(&bytes).hex());
        let object = Object { bytes, written: SystemTime::now() };
        self.objects.lock().unwrap().insert(key.to_owned(), object);
        tag
    }

    fn post(&self, request: &Request, key: &str) -> Response {
        let mut uploads = self.uploads.lock().unwrap();
        if request.parameter("uploads").is_some() {
            let id = format!("upload-{}", uploads.len());
            uploads.insert(id.clone(), BTreeMap::new());
            return xml(format!(
                "<InitiateMultipartUploadResult><UploadId>{id}</UploadId>\
                 </InitiateMultipartUploadResult>"
            ));
        }
        let id = request.parameter("uploadId").unwrap_or_default();
        let Some(parts) = uploads.remove(id) else { return error(404, "NoSuchUpload") };
        let body = String::from_utf8(request.body.clone()).unwrap();
        for (number, bytes) in &parts {
            let tag = Digest::of(bytes).hex();
            // Whether quotes are escaped is the client's to choose.
            let found = body.replace("&#34;", "\"").replace("&quot;", "\"");
            let named = found.contains(&format!("<PartNumber>{number}</PartNumber>"))
                && found.contains(&format!("<ETag>\"{tag}\"</ETag>"));
            if !named {
                return error(400, "InvalidPart");
            }
        }
        let last = parts.len();
        let small = parts.values().take(last - 1).any(|part| part.len() < 5 << 20);
        if small {
            return error(400, "EntityTooSmall");
        }
        let tag = self.put(key, parts.into_values().flatten().collect());
        xml(format!(
            "<CompleteMultipartUploadResult><ETag>{tag}</ETag></CompleteMultipartUploadResult>"
        ))
    }
}

impl Service for Bucket {
    fn answer(&self, request: &Request) -> Response {
        if let Err(why) = signed(request, self.session) {
            return error(403, why);
        }
        if less(&self.busy) {
            return error(503, "SlowDown");
        }
        let path = super::http::decode(&request.path);
        let Some(key) = path.strip_prefix(&format!("/{NAME}/")) else {
            return error(404, "NoSuchBucket");
        };
        let found = self.objects.lock().unwrap().get(key).cloned();
        match (request.method.as_str(), found) {
            ("GET" | "HEAD", None) => error(404, "NoSuchKey"),
            ("GET" | "HEAD", Some(object)) => {
                let since = object.written.duration_since(SystemTime::UNIX_EPOCH).unwrap();
                let mut response = Response::file(request, &object.bytes)
                    .with("last-modified", http_date(since.as_secs()));
                if request.method == "GET" && key.contains("blobs/") && less(&self.breaks) {
                    response.cut = Some(response.body.len() / 2);
                }
                response
            }
            ("PUT", _) if request.parameter("partNumber").is_some() => {
                let number = request.parameter("partNumber").unwrap().parse().unwrap();
                let id = request.parameter("uploadId").unwrap_or_default();
                let mut uploads = self.uploads.lock().unwrap();
                let Some(upload) = uploads.get_mut(id) else { return error(404, "NoSuchUpload") };
                let tag = format!("\"{}\"", Digest::of(&request.body).hex());
                upload.insert(number, request.body.clone());
                Response::new(200, "").with("etag", tag)
            }
            ("PUT", found) => {
                let source = super::http::decode(request.header("x-amz-copy-source"));
                let bytes = match (source.is_empty(), found) {
                    (true, _) => request.body.clone(),
                    (false, Some(object))
                        if source.trim_start_matches('/') == format!("{NAME}/{key}")
                            && request.header("x-amz-metadata-directive") == "REPLACE" =>
                    {
                        object.bytes
                    }
                    _ => return error(400, "InvalidRequest"),
                };
                let tag = self.put(key, bytes);
                let answer = format!("<CopyObjectResult><ETag>{tag}</ETag></CopyObjectResult>");
                let body = if source.is_empty() { String::new() } else { answer };
                xml(body).with("etag", tag)
            }
            ("POST", _) => self.post(request, key),
            ("DELETE", _) => {
                let id = request.parameter("uploadId").unwrap_or_default();
                self.uploads.lock().unwrap().remove(id);
                Response::new(204, "")
            }
            _ => error(405, "MethodNotAllowed"),
        }
    }
}

/// Checks a signature of version 4, by the bytes that came. The executor's own tests hold the other
/// side against AWS's published examples.
fn signed(request: &Request, session: bool) -> Result<(), &'static str> {
    let proof = request.header("authorization");
    let proof = proof.strip_prefix("AWS4-HMAC-SHA256 ").ok_or("AccessDenied")?;
    let part = |name: &str| {
        let parts = proof.split(',').map(str::trim);
        let mut found = parts.filter_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        found.next().unwrap_or_default().to_owned()
    };
    let (credential, names, signature) =
        (part("Credential"), part("SignedHeaders"), part("Signature"));
    let time = request.header("x-amz-date");
    let date = time.get(..8).ok_or("AccessDenied")?;
    let scope = format!("{date}/{REGION}/s3/aws4_request");
    if credential != format!("{ID}/{scope}") {
        return Err("InvalidAccessKeyId");
    }
    if session && request.header("x-amz-security-token") != SESSION {
        return Err("InvalidToken");
    }
    let body = request.header("x-amz-content-sha256");
    if body != Digest::of(&request.body).hex() && body != "UNSIGNED-PAYLOAD" {
        return Err("XAmzContentSHA256Mismatch");
    }
    for (name, _) in &request.headers {
        if (name == "host" || name.starts_with("x-amz-")) && !names.split(';').any(|it| it == name)
        {
            return Err("AccessDenied");
        }
    }
    let headers: String =
        names.split(';').map(|name| format!("{name}:{}\n", request.header(name))).collect();
    let strict = |text: &str| encode(text, b"-._~");
    let mut query: Vec<String> = request
        .query
        .iter()
        .map(|(name, value)| format!("{}={}", strict(name), strict(value)))
        .collect();
    query.sort();
    let canonical = format!(
        "{}\n{}\n{}\n{headers}\n{names}\n{body}",
        request.method,
        request.path,
        query.join("&")
    );
    let hash = Digest::of(canonical.as_bytes()).hex();
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{hash}");
    let key = [date, REGION, "s3", "aws4_request"];
    let first = format!("AWS4{SECRET}").into_bytes();
    let key = key.iter().fold(first, |key, part| hmac(&key, part.as_bytes()));
    let expected: String =
        hmac(&key, text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    if expected == signature { Ok(()) } else { Err("SignatureDoesNotMatch") }
}

/// RFC 2104, for keys that are shorter than a block.
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let pad = |with: u8| -> Vec<u8> {
        (0..64).map(|at| key.get(at).copied().unwrap_or(0) ^ with).collect()
    };
    let bytes = |digest: Digest| -> Vec<u8> {
        let hex = digest.hex();
        (0..32).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect()
    };
    let inner = bytes(Digest::of(&[&pad(0x36)[..], text].concat()));
    bytes(Digest::of(&[pad(0x5c), inner].concat()))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(seconds: u64) -> String {
    let output = std::process::Command::new("date")
        .args(["-u", "-d", &format!("@{seconds}"), "+%a, %d %b %Y %H:%M:%S GMT"])
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
