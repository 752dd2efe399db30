//! `type=gha`.

use std::collections::BTreeSet;

use serde_json::Value;

use super::actions::{Actions, SIGNED, token};
use super::http::Server;
use super::{assert_secret, build_from};
use crate::registry::cache::{project, ran, unpacked};
use crate::registry::check_store;
use crate::sandbox::Sandbox;

const MAIN: &str = "refs/heads/main";

/// The first digits of the sha256 of [`MAIN`], by which BuildKit knows a branch.
const MAIN_DIGITS: &str = "f921bd05";

type Start = fn(Sandbox, &Server<Actions>, &[(&str, u8)]) -> Sandbox;

/// A step of a workflow, as a runner of today starts it.
fn job(sandbox: Sandbox, server: &Server<Actions>, scopes: &[(&str, u8)]) -> Sandbox {
    sandbox
        .env("ACTIONS_CACHE_SERVICE_V2", "True")
        .env("ACTIONS_RESULTS_URL", &format!("http://{}/v2/", server.host))
        .env("ACTIONS_RUNTIME_TOKEN", &token(scopes))
}

/// The same with the older service.
fn old_job(sandbox: Sandbox, server: &Server<Actions>, scopes: &[(&str, u8)]) -> Sandbox {
    sandbox
        .env("ACTIONS_CACHE_URL", &format!("http://{}/v1/", server.host))
        .env("ACTIONS_RUNTIME_TOKEN", &token(scopes))
}

#[test]
fn c5_04_the_next_job_finds_every_step() {
    for (old, start) in [(false, job as Start), (true, old_job)] {
        let server = Actions::start();
        let here = start(project(), &server, &[(MAIN, 3)]);
        let to = "type=gha,mode=max,ignore-error=false";
        let build = ["build", "--progress=plain", "--iidfile", "id", "--cache-to", to, "."];
        let told = here.gantry(build).success().stderr;
        assert!(told.contains("exporting to GitHub Actions Cache"), "{told}");
        let asked = server.asked().join("\n");
        assert_eq!(asked.contains("_apis/artifactcache"), old, "{asked}");
        let keys = server.service.keys();
        let (index, blobs) = keys.split_last().unwrap();
        assert_eq!(*index, format!("index-buildkit-1-{MAIN_DIGITS}#1"));
        assert!(blobs.iter().all(|key| key.starts_with("buildkit-blob-1-sha256:")), "{keys:?}");
        let document: Value = serde_json::from_slice(&server.service.bytes(index)).unwrap();
        let layers = document["layers"].as_array().unwrap();
        let named: BTreeSet<&str> = layers.iter().map(|it| it["blob"].as_str().unwrap()).collect();
        assert_eq!(named.len(), blobs.len());
        for layer in layers {
            let key = format!("buildkit-blob-1-{}", layer["blob"].as_str().unwrap());
            assert_eq!(layer["annotations"]["size"], server.service.bytes(&key).len());
        }

        let there = start(project(), &server, &[(MAIN, 3)]);
        let before = unpacked(&there);
        let told = build_from(&there, "type=gha");
        assert_eq!(ran(&told), [""; 0], "{told}");
        assert!(told.contains("importing cache manifest from gha:buildkit"), "{told}");
        assert_eq!(unpacked(&there), before, "nobody needed any file yet");
        let id = there.gantry(["inspect", "-f", "{{.Id}}", "x"]).success().stdout;
        assert_eq!(id.trim(), String::from_utf8(here.read("id")).unwrap());
        assert_eq!(there.gantry(["run", "--rm", "x"]).success().stdout, "tool\nfile\n");
        check_store(&there);

        // The newest document counts, and no layer goes again.
        let build = ["build", "-q", "--target=tool", "--cache-to", "type=gha", "."];
        here.gantry(build).success();
        let later = server.service.keys();
        assert_eq!(later[keys.len()..], [format!("index-buildkit-1-{MAIN_DIGITS}#2")]);
        let told = build_from(&start(project(), &server, &[(MAIN, 3)]), "type=gha");
        assert_eq!(ran(&told).len(), 4, "{told}");
    }
}

/// A pull request reads what its own branch wrote, then what the default branch did, and writes to its
/// own only.
#[test]
fn c5_04_branches_read_what_they_may() {
    let server = Actions::start();
    let pull = [("refs/pull/7/merge", 3), (MAIN, 1)];
    let main = job(project(), &server, &[(MAIN, 3)]);
    main.gantry(["build", "-q", "--cache-to", "type=gha,mode=max,scope=app", "."]).success();
    let request = job(project(), &server, &pull);
    request.write("f", "changed\n");
    let build = [
        "build",
        "--progress=plain",
        "--cache-from",
        "type=gha,scope=app",
        "--cache-to",
        "type=gha,scope=app,mode=max",
        ".",
    ];
    let told = request.gantry(build).success().stderr;
    assert_eq!(ran(&told), ["COPY f /f", "RUN cat /tool /f > /two"], "{told}");
    // Both are asked, each for what it has.
    for text in ["changed\n", "file\n"] {
        let next = job(project(), &server, &pull);
        next.write("f", text);
        let told = build_from(&next, "type=gha,scope=app");
        assert_eq!(ran(&told), [""; 0], "{told}");
    }
    let other = job(project(), &server, &[("refs/heads/other", 3), (MAIN, 1)]);
    other.write("f", "changed\n");
    assert_eq!(ran(&build_from(&other, "type=gha,scope=app")).len(), 2);
    let told = build_from(&job(project(), &server, &pull), "type=gha,scope=another");
    assert!(told.contains("The cache of gha:another is not used: there is none"), "{told}");
    // Who may only read is told so.
    let reader = job(project(), &server, &[(MAIN, 1)]);
    let told = reader.gantry(["build", "--cache-to", "type=gha,scope=new", "."]).success().stderr;
    assert!(told.contains("status 403: permission_denied: read only"), "{told}");
}

/// The flags of a workflow do nothing elsewhere, as with buildx.
#[test]
fn c5_04_outside_of_actions_nothing_happens() {
    let sandbox = project();
    let flags = ["--cache-from", "type=gha", "--cache-to", "type=gha,mode=max"];
    let words = [&["build", "--progress=plain"], &flags[..], &["."]].concat();
    let told = sandbox.gantry_words(&words).success().stderr;
    for word in ["gha", "GitHub", "importing", "exporting cache", "not used"] {
        assert!(!told.contains(word), "{told}");
    }
}

#[test]
fn c5_04_large_layers_go_in_pieces_and_a_busy_service_is_asked_again() {
    let large: Vec<u8> =
        (0..5_000_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let made = || {
        let sandbox = Sandbox::with([("Dockerfile", "FROM scratch\nCOPY large /\n")]);
        sandbox.write("large", &large);
        sandbox
    };
    for start in [job as Start, old_job] {
        let server = Actions::start();
        let here = start(made(), &server, &[(MAIN, 3)]);
        *server.service.busy.lock().unwrap() = 2;
        let to = "type=gha,compression=uncompressed,ignore-error=false";
        here.gantry(["build", "-q", "--cache-to", to, "."]).success();
        let there = start(made(), &server, &[(MAIN, 3)]);
        *server.service.busy.lock().unwrap() = 1;
        let told = build_from(&there, "type=gha");
        assert_eq!(ran(&told), [""; 0], "{told}");
        assert!(!told.contains("not used"), "{told}");
        there.gantry(["build", "-q", "-o", "out", "."]).success();
        assert_eq!(there.read("out/large"), large);
    }
}

#[test]
fn c5_07_what_the_service_lost_is_made_here() {
    let server = Actions::start();
    let here = job(project(), &server, &[(MAIN, 3)]);
    here.gantry(["build", "-q", "--cache-to", "type=gha,mode=max", "."]).success();
    let check = |warning: &str| {
        let there = job(project(), &server, &[(MAIN, 3)]);
        let told = build_from(&there, "type=gha");
        let ran = ["#9 DONE", "#10 DONE"].map(|line| format!("] RUN cat /tool /f > /two\n{line}"));
        assert!(ran.iter().any(|lines| told.contains(lines)), "{told}");
        assert!(told.contains(warning), "{warning} in {told}");
        assert_eq!(there.gantry(["run", "--rm", "x"]).success().stdout, "tool\nfile\n");
        check_store(&there);
    };
    server.service.each_blob(|bytes| *bytes.last_mut().unwrap() ^= 1);
    check("Caches from elsewhere are not used any more");
    server.service.remove_blobs();
    check("is missing in gha:buildkit");
}

/// Somebody took the next key and was killed: it is given up after a while.
#[test]
fn c5_04_a_key_that_is_taken_for_ever_is_skipped() {
    let server = Actions::start();
    let here = job(project(), &server, &[(MAIN, 3)]);
    server.service.abandon(&format!("index-buildkit-1-{MAIN_DIGITS}#1"), MAIN);
    let to = "type=gha,ignore-error=false";
    here.gantry(["build", "-q", "--cache-to", to, "."]).success();
    let keys = server.service.keys();
    assert_eq!(*keys.last().unwrap(), format!("index-buildkit-1-{MAIN_DIGITS}#2"));
}

#[test]
fn c5_04_tokens_and_signed_addresses_are_never_shown() {
    let server = Actions::start();
    let here = job(project(), &server, &[(MAIN, 3)]);
    let good = token(&[(MAIN, 3)]);
    here.gantry(["build", "-q", "--cache-to", "type=gha", "."]).success();
    *server.service.denies.lock().unwrap() = true;
    let words = ["--cache-from", "type=gha", "--cache-to", "type=gha,scope=x,mode=max"];
    let words = [&["build", "--progress=plain", "--debug"], &words[..], &["."]].concat();
    let there = job(project(), &server, &[(MAIN, 3)]);
    let told = there.gantry_words(&words).success().stderr;
    assert!(told.contains("The cache of gha:buildkit is not used"), "{told}");
    assert!(told.contains("could not be exported to gha:x"), "{told}");
    assert!(told.contains("403: AuthenticationFailed: denied"), "{told}");
    assert_secret(&there, &told, &[&good, SIGNED, "storage/"]);
    for bad in ["ghp_not-a-token", &token(&[]).replace('.', "_")] {
        let from = format!("type=gha,version=2,url_v2=http://{}/v2/,token={bad}", server.host);
        let told = build_from(&there, &from);
        assert!(told.contains("is not used: Failed to use gha:buildkit: the token is no JWT"));
        assert_secret(&there, &told, &[bad]);
    }
}
