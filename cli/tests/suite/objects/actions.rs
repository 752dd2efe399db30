//! The cache service of GitHub Actions, in both of its versions, with the storage behind it.

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde_json::{Value, json};

use super::http::{Request, Response, Server, Service, decode};

/// A part of every signed address.
pub(crate) const SIGNED: &str = "sig=signature-of-the-test";

/// An entry: its key, who may read it, its bytes once it is filled.
#[derive(Clone)]
struct Entry {
    key: String,
    version: String,
    scope: String,
    bytes: Option<Vec<u8>>,
}

/// The service of one repository.
#[derive(Default)]
pub(crate) struct Actions {
    host: String,
    entries: Mutex<Vec<Entry>>,
    /// What was sent of entries that are being filled, by number and offset or name of a block.
    parts: Mutex<BTreeMap<(usize, String), Vec<u8>>>,
    /// So many calls are turned away with 429.
    pub(crate) busy: Mutex<u32>,
    /// The storage denies everything.
    pub(crate) denies: Mutex<bool>,
}

/// Makes the token of a job: scopes, and what is allowed there (1 reads, 2 writes).
pub(crate) fn token(scopes: &[(&str, u8)]) -> String {
    let scopes: Vec<Value> = scopes
        .iter()
        .map(|(scope, permission)| json!({"Scope": scope, "Permission": permission}))
        .collect();
    let access = Value::from(scopes).to_string();
    let claims = json!({"ac": access, "exp": 9_999_999_999_u64, "nbf": 1, "iat": 1});
    format!("{}.{}.c2ln", base64(br#"{"alg":"none"}"#), base64(claims.to_string().as_bytes()))
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits =
            (0..3).fold(0_u32, |bits, at| bits << 8 | u32::from(*chunk.get(at).unwrap_or(&0)));
        for at in 0..=chunk.len() {
            text.push(char::from(ALPHABET[(bits >> (18 - 6 * at) & 63) as usize]));
        }
    }
    text
}

fn decoded(text: &str) -> Vec<u8> {
    let places =
        text.bytes().map(|byte| ALPHABET.iter().position(|it| *it == byte).unwrap() as u32);
    let places: Vec<u32> = places.collect();
    let mut bytes = Vec::new();
    for chunk in places.chunks(4) {
        let bits = (0..4).fold(0, |bits, at| bits << 6 | chunk.get(at).unwrap_or(&0));
        bytes.extend(&bits.to_be_bytes()[1..chunk.len()]);
    }
    bytes
}

/// The scopes of a token, with whether they may be written to.
fn scopes(request: &Request) -> Option<Vec<(String, bool)>> {
    let token = request.header("authorization").strip_prefix("Bearer ")?;
    let claims: Value = serde_json::from_slice(&decoded(token.split('.').nth(1)?)).ok()?;
    let access: Vec<Value> = serde_json::from_str(claims["ac"].as_str()?).ok()?;
    let scope =
        |it: &Value| Some((it["Scope"].as_str()?.to_owned(), it["Permission"].as_u64()? & 2 != 0));
    access.iter().map(scope).collect()
}

fn answer(status: u16, value: &Value) -> Response {
    Response::new(status, value.to_string()).with("content-type", "application/json")
}

impl Actions {
    pub(crate) fn start() -> Server<Self> {
        Server::start(|host| Self { host: host.to_owned(), ..Self::default() })
    }

    /// The keys of all entries that are filled, oldest first.
    pub(crate) fn keys(&self) -> Vec<String> {
        let entries = self.entries.lock().unwrap();
        let filled = entries.iter().filter(|entry| entry.bytes.is_some());
        filled.map(|entry| entry.key.clone()).collect()
    }

    pub(crate) fn bytes(&self, key: &str) -> Vec<u8> {
        let entries = self.entries.lock().unwrap();
        entries.iter().find(|entry| entry.key == key).unwrap().bytes.clone().unwrap()
    }

    pub(crate) fn each_blob(&self, mut change: impl FnMut(&mut Vec<u8>)) {
        let mut entries = self.entries.lock().unwrap();
        let blobs = entries.iter_mut().filter(|entry| entry.key.starts_with("buildkit-blob-"));
        blobs.filter_map(|entry| entry.bytes.as_mut()).for_each(&mut change);
    }

    pub(crate) fn remove_blobs(&self) {
        self.entries.lock().unwrap().retain(|entry| !entry.key.starts_with("buildkit-blob-"));
    }

    /// Takes a key for somebody who is never heard of again.
    pub(crate) fn abandon(&self, key: &str, scope: &str) {
        let made_by = "693bb7016429d80366022f036f84856888c9f13e00145f5f6f4dce303a38d6f2";
        self.reserve(key, made_by, scope);
    }

    fn address(&self, number: usize) -> String {
        format!("http://{}/storage/{number}?sv=2020-10-02&{SIGNED}", self.host)
    }

    /// The newest entry whose key begins so, in the first scope that has one.
    fn find(
        &self,
        keys: &[&str],
        version: &str,
        scopes: &[(String, bool)],
    ) -> Option<(String, usize)> {
        let entries = self.entries.lock().unwrap();
        keys.iter().find_map(|key| {
            scopes.iter().find_map(|(scope, _)| {
                let fits = |entry: &Entry| {
                    entry.key.starts_with(key)
                        && entry.version == version
                        && entry.scope == *scope
                        && entry.bytes.is_some()
                };
                let at = entries.iter().rposition(fits)?;
                Some((entries[at].key.clone(), at))
            })
        })
    }

    fn reserve(&self, key: &str, version: &str, scope: &str) -> Option<usize> {
        let mut entries = self.entries.lock().unwrap();
        let same =
            |entry: &Entry| entry.key == key && entry.version == version && entry.scope == scope;
        if entries.iter().any(same) {
            return None;
        }
        let [key, version, scope] = [key, version, scope].map(str::to_owned);
        entries.push(Entry { key, version, scope, bytes: None });
        Some(entries.len() - 1)
    }

    fn fill(&self, number: usize, bytes: Vec<u8>) {
        self.entries.lock().unwrap()[number].bytes = Some(bytes);
    }

    /// All that was sent of an entry, in the order of its names.
    fn sent(&self, number: usize) -> Vec<u8> {
        let parts = self.parts.lock().unwrap();
        parts
            .iter()
            .filter(|((of, _), _)| *of == number)
            .flat_map(|(_, part)| part.clone())
            .collect()
    }

    fn v1(&self, request: &Request, path: &str, scopes: &[(String, bool)]) -> Response {
        if !request.header("accept").contains("api-version=6.0-preview.1") {
            return answer(400, &json!({"message": "no version"}));
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let number = path.strip_prefix("caches/").and_then(|text| text.parse::<usize>().ok());
        match (request.method.as_str(), path, number) {
            ("GET", "cache", _) => {
                let keys: Vec<&str> = request.parameter("keys").unwrap().split(',').collect();
                match self.find(&keys, request.parameter("version").unwrap(), scopes) {
                    None => Response::new(204, ""),
                    Some((key, at)) => {
                        answer(200, &json!({"cacheKey": key, "archiveLocation": self.address(at)}))
                    }
                }
            }
            ("POST", "caches", _) => {
                let Some((scope, _)) = scopes.iter().find(|(_, writes)| *writes) else {
                    return answer(403, &json!({"message": "read only"}));
                };
                let [key, version] = ["key", "version"].map(|name| body[name].as_str().unwrap());
                match self.reserve(key, version, scope) {
                    Some(at) => answer(201, &json!({"cacheId": at + 1})),
                    None => answer(
                        409,
                        &json!({
                            "typeKey": "ArtifactCacheItemAlreadyExistsException",
                            "message": "Cache already exists."
                        }),
                    ),
                }
            }
            ("PATCH", _, Some(number)) => {
                let range = request.header("content-range");
                let range = range.strip_prefix("bytes ").and_then(|it| it.strip_suffix("/*"));
                let (start, end) = range.and_then(|it| it.split_once('-')).unwrap();
                let (start, end): (usize, usize) = (start.parse().unwrap(), end.parse().unwrap());
                assert_eq!(end + 1 - start, request.body.len());
                let name = format!("{start:020}");
                self.parts.lock().unwrap().insert((number - 1, name), request.body.clone());
                Response::new(204, "")
            }
            ("POST", _, Some(number)) => {
                let bytes = self.sent(number - 1);
                if body["size"] != bytes.len() {
                    return answer(400, &json!({"message": "another size"}));
                }
                self.fill(number - 1, bytes);
                Response::new(204, "")
            }
            _ => Response::new(405, ""),
        }
    }

    fn v2(&self, request: &Request, call: &str, scopes: &[(String, bool)]) -> Response {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let (key, version) = (text("key"), text("version"));
        match call {
            "GetCacheEntryDownloadURL" => match self.find(&[&key], &version, scopes) {
                None => answer(200, &json!({"ok": false})),
                Some((key, at)) => answer(
                    200,
                    &json!({
                        "ok": true,
                        "matched_key": key,
                        "signed_download_url": self.address(at)
                    }),
                ),
            },
            "CreateCacheEntry" => {
                let Some((scope, _)) = scopes.iter().find(|(_, writes)| *writes) else {
                    return answer(403, &json!({"code": "permission_denied", "msg": "read only"}));
                };
                match self.reserve(&key, &version, scope) {
                    Some(at) => {
                        answer(200, &json!({"ok": true, "signed_upload_url": self.address(at)}))
                    }
                    None => answer(409, &json!({"code": "already_exists", "msg": "it is there"})),
                }
            }
            "FinalizeCacheEntryUpload" => {
                let entries = self.entries.lock().unwrap().clone();
                let fits = |entry: &Entry| entry.key == key && entry.version == version;
                let Some(at) = entries.iter().rposition(fits) else {
                    return answer(404, &json!({"code": "not_found"}));
                };
                let size = self.sent(at).len();
                if body["size_bytes"] != size {
                    return answer(
                        400,
                        &json!({"code": "invalid_argument", "msg": "another size"}),
                    );
                }
                self.fill(at, self.sent(at));
                answer(200, &json!({"ok": true, "entry_id": (at + 1).to_string()}))
            }
            _ => answer(404, &json!({"code": "bad_route"})),
        }
    }

    /// Azure's blob storage, behind signed addresses.
    fn storage(&self, request: &Request, number: usize) -> Response {
        let error = |status: u16, code: &str| {
            let said = format!("<Error><Code>{code}</Code><Message>denied</Message></Error>");
            Response::new(status, said)
        };
        // Whoever holds the address needs no other proof, and must not show one.
        if request.parameter("sig") != Some(&SIGNED["sig=".len()..])
            || !request.header("authorization").is_empty()
            || *self.denies.lock().unwrap()
        {
            return error(403, "AuthenticationFailed");
        }
        match (request.method.as_str(), request.parameter("comp")) {
            ("GET", None) => {
                match self.entries.lock().unwrap().get(number).and_then(|it| it.bytes.clone()) {
                    Some(bytes) => Response::file(request, &bytes),
                    None => error(404, "BlobNotFound"),
                }
            }
            ("PUT", None) if request.header("x-ms-blob-type") == "BlockBlob" => {
                let part = (number, String::new());
                self.parts.lock().unwrap().insert(part, request.body.clone());
                Response::new(201, "")
            }
            ("PUT", Some("block")) => {
                let name = request.parameter("blockid").unwrap().to_owned();
                self.parts.lock().unwrap().insert((number, name), request.body.clone());
                Response::new(201, "")
            }
            ("PUT", Some("blocklist")) => {
                let list = String::from_utf8(request.body.clone()).unwrap();
                let parts = self.parts.lock().unwrap();
                let of = parts.keys().filter(|(of, _)| *of == number);
                let named = of.clone().all(|(_, name)| list.contains(&format!(">{name}<")));
                if !named || of.count() < 2 {
                    return error(400, "InvalidBlockList");
                }
                Response::new(201, "")
            }
            _ => error(400, "UnsupportedHeader"),
        }
    }
}

impl Service for Actions {
    fn answer(&self, request: &Request) -> Response {
        let path = decode(&request.path);
        if let Some(number) = path.strip_prefix("/storage/") {
            return self.storage(request, number.parse().unwrap());
        }
        let Some(scopes) = scopes(request) else {
            return answer(401, &json!({"message": "no token"}));
        };
        {
            let mut busy = self.busy.lock().unwrap();
            if *busy > 0 {
                *busy -= 1;
                return answer(429, &json!({"message": "too many"})).with("retry-after", "1");
            }
        }
        let twirp = "/v2/twirp/github.actions.results.api.v1.CacheService/";
        match (path.strip_prefix("/v1/_apis/artifactcache/"), path.strip_prefix(twirp)) {
            (Some(path), _) => self.v1(request, path, &scopes),
            (_, Some(call)) => self.v2(request, call, &scopes),
            _ => answer(404, &json!({"message": "nothing is here"})),
        }
    }
}
