//! Bytes of an entry, at a signed address of Azure's blob storage: in one request, or in blocks that
//! become one blob at the end.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use gantry_cache::remote::RemoteError;
use gantry_image::registry::WebRequest;
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Method, Url};

use super::service::Service;
use crate::objects::ANSWER;
use crate::objects::pieces::Pieces;
use crate::objects::said::failed;

/// What is said with each request.
const VERSION: (&str, &str) = ("x-ms-version", "2020-10-02");

/// Sends all pieces.
///
/// # Errors
/// They can't be sent, or are not those that were promised.
pub(super) fn upload(
    service: &Service,
    what: &str,
    url: &Url,
    pieces: &mut Pieces<'_>,
) -> Result<(), RemoteError> {
    if pieces.is_one() {
        let body = pieces.next()?.unwrap_or_default();
        return put(service, what, url, &[], ("x-ms-blob-type", "BlockBlob"), &body);
    }
    let mut blocks = String::new();
    let mut number = 0_u32;
    while let Some(body) = pieces.next()? {
        // Names of blocks have one length.
        let name = STANDARD.encode(format!("{number:032}"));
        put(service, what, url, &[("comp", "block"), ("blockid", &name)], VERSION, &body)?;
        blocks.push_str(&format!("<Latest>{name}</Latest>"));
        number += 1;
    }
    let list = format!("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>{blocks}</BlockList>");
    put(service, what, url, &[("comp", "blocklist")], VERSION, &list.into())
}

fn put(
    service: &Service,
    what: &str,
    url: &Url,
    query: &[(&str, &str)],
    header: (&'static str, &'static str),
    body: &Bytes,
) -> Result<(), RemoteError> {
    let mut url = url.clone();
    if !query.is_empty() {
        // What is signed stays as it is.
        url.query_pairs_mut().extend_pairs(query);
    }
    let answer = service.reach().ask(ANSWER, || {
        let mut request = WebRequest::new(Method::PUT, url.clone());
        for (name, value) in [VERSION, header] {
            let (name, value) = (HeaderName::from_static(name), HeaderValue::from_static(value));
            request.headers.insert(name, value);
        }
        let octets = HeaderValue::from_static("application/octet-stream");
        request.headers.insert(CONTENT_TYPE, octets);
        request.body = body.clone();
        Ok(request)
    });
    let answer = answer.map_err(failed(what))?;
    match answer.status.is_success() {
        true => Ok(()),
        false => Err(service.refused(&answer).during(what)),
    }
}
