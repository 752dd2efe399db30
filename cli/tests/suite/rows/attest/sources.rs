//! What a provenance says of where things came from: repositories and downloads.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;

use serde_json::json;

use crate::repositories::Server;
use crate::sandbox::Sandbox;

/// Serves `content` under every path; returns its address.
fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            // A client that goes away is no failure of the test.
            let _ = stream.write_all(
                b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\ncontent\n",
            );
        }
    });
    address
}

/// Everything is known of a build from a repository, so it is complete, and needs no network.
#[test]
fn e_11_commits_and_checksums() {
    let (server, address) = (Server::start(), serve());
    let other = server.repository("other", &[("f", "2")]);
    let text = format!("FROM scratch\nCOPY f /\nADD {} /o/\nADD {address}/d /d\n", other.url);
    let repository = server.repository("r", &[("Dockerfile", &text), ("f", "1")]);
    let commit = repository.git(&["rev-parse", "HEAD"]);
    let of_other = other.git(&["rev-parse", "HEAD"]);
    let sandbox = Sandbox::new();
    let context = format!("{}#main", repository.url);
    let output = ["-o", "type=local,dest=out", &context];
    for again in [false, true] {
        sandbox
            .gantry_words(&[&["build", "--provenance=mode=min"][..], &output].concat())
            .success();
        let statement: serde_json::Value =
            serde_json::from_slice(&sandbox.read("out/provenance.json")).unwrap();
        let predicate = &statement["predicate"];
        let digest = json!({ "sha1": commit });
        assert_eq!(
            predicate["invocation"]["configSource"],
            json!({ "uri": context, "digest": digest, "entryPoint": "Dockerfile" }),
            "{again}"
        );
        let mut materials = vec![
            json!({ "uri": other.url, "digest": { "sha1": of_other } }),
            json!({ "uri": context, "digest": digest }),
        ];
        materials.sort_by_key(|material| material["uri"].to_string());
        materials.push(json!({
            "uri": format!("{address}/d"),
            "digest": {
                "sha256": "434728a410a78f56fc1b5899c3593436e61ab0c731e9072d95e96db290205e53"
            },
        }));
        assert_eq!(predicate["materials"], json!(materials), "{again}");
        assert_eq!(predicate["invocation"]["parameters"].get("locals"), None);
        let metadata = &predicate["metadata"];
        assert_eq!(metadata["completeness"]["materials"], true);
        assert_eq!(metadata["https://mobyproject.org/buildkit@v1#hermetic"], true);
    }
}
