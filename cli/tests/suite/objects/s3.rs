//! `type=s3`.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use super::bucket::{Bucket, ID, NAME, REGION, SECRET, SESSION};
use super::http::Server;
use super::{assert_secret, build_from};
use crate::registry::cache::{project, ran, unpacked};
use crate::registry::check_store;
use crate::sandbox::Sandbox;

/// Names the bucket; who one is comes from the environment.
fn cache(server: &Server<Bucket>, more: &str) -> String {
    format!(
        "type=s3,bucket={NAME},region={REGION},endpoint_url=http://{},use_path_style=true{more}",
        server.host
    )
}

fn keyed(sandbox: Sandbox) -> Sandbox {
    sandbox.env("AWS_ACCESS_KEY_ID", ID).env("AWS_SECRET_ACCESS_KEY", SECRET)
}

#[test]
fn c5_05_another_store_finds_every_step_in_a_bucket() {
    let server = Bucket::start();
    let here = keyed(project());
    let to = cache(&server, ",mode=max,prefix=p/,name=commit;branch");
    let build = ["build", "--progress=plain", "--iidfile", "id", "--cache-to", &to, "."];
    let told = here.gantry(build).success().stderr;
    assert!(told.contains("exporting cache to Amazon S3"), "{told}");
    let keys = server.service.keys();
    let (blobs, manifests): (Vec<&String>, Vec<&String>) =
        keys.iter().partition(|key| key.starts_with("p/blobs/sha256:"));
    assert_eq!(manifests, ["p/manifests/branch", "p/manifests/commit"]);
    // As BuildKit writes it: the document by itself, with what a manifest would say of layers.
    let document: Value =
        serde_json::from_slice(&server.service.bytes("p/manifests/branch")).unwrap();
    let layers = document["layers"].as_array().unwrap();
    let named: BTreeSet<&str> = layers.iter().map(|it| it["blob"].as_str().unwrap()).collect();
    assert_eq!(named.len(), blobs.len());
    for layer in layers {
        let said = &layer["annotations"];
        let bytes = server.service.bytes(&format!("p/blobs/{}", layer["blob"].as_str().unwrap()));
        assert_eq!(said["size"], bytes.len());
        assert_eq!(said["mediaType"], "application/vnd.oci.image.layer.v1.tar+gzip");
        assert_eq!(said["createdAt"], "2023-11-14T22:13:20Z");
        assert!(said["diffID"].as_str().unwrap().starts_with("sha256:"));
    }
    assert!(document["records"].as_array().unwrap().len() > 4);

    let there = keyed(project());
    let before = unpacked(&there);
    server.asked();
    let told = build_from(&there, &cache(&server, ",prefix=p/,name=branch"));
    assert_eq!(ran(&told), [""; 0], "{told}");
    assert!(told.contains("importing cache manifest from s3:bucket-of-a-test/p/manifests/branch"));
    assert_eq!(unpacked(&there), before, "nobody needed any file yet");
    let id = there.gantry(["inspect", "-f", "{{.Id}}", "x"]).success().stdout;
    assert_eq!(id.trim(), String::from_utf8(here.read("id")).unwrap());
    // What is only in the other stage is no part of the image.
    let fetched =
        server.asked().iter().filter(|line| line.contains("GET") && line.contains("blobs")).count();
    assert!(fetched < blobs.len(), "{fetched} of {}", blobs.len());
    assert_eq!(there.gantry(["run", "--rm", "x"]).success().stdout, "tool\nfile\n");
    check_store(&there);

    // What is there is not sent again.
    here.gantry(["build", "-q", "--cache-to", &to, "."]).success();
    let puts = server.asked().into_iter().filter(|line| line.starts_with("PUT"));
    let mut puts: Vec<String> = puts.collect();
    puts.sort();
    let manifest = |name: &str| format!("PUT /{NAME}/p/manifests/{name}");
    assert_eq!(puts, [manifest("branch"), manifest("commit")]);
}

#[test]
fn c5_05_large_layers_go_and_come_in_pieces() {
    let server = Bucket::start();
    let text = "FROM scratch\nCOPY large /\n";
    let here = keyed(Sandbox::with([("Dockerfile", text)]));
    // More than one piece, and no part of it like another.
    let large: Vec<u8> =
        (0..5_000_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    here.write("large", &large);
    let to = cache(&server, ",compression=uncompressed");
    *server.service.busy.lock().unwrap() = 2;
    here.gantry(["build", "-q", "--cache-to", &to, "."]).success();
    let asked = server.asked();
    assert!(asked.iter().filter(|line| line.starts_with("POST")).count() >= 2, "{asked:?}");

    let there = keyed(Sandbox::with([("Dockerfile", text)]));
    there.write("large", &large);
    *server.service.busy.lock().unwrap() = 1;
    *server.service.breaks.lock().unwrap() = 1;
    let told = build_from(&there, &cache(&server, ""));
    assert_eq!(ran(&told), [""; 0], "{told}");
    assert!(!told.contains("not used"), "{told}");
    there.gantry(["build", "-q", "-o", "out", "."]).success();
    assert_eq!(there.read("out/large"), large);
    check_store(&there);
}

/// A part that isn't there, lies, or can't be had is a warning, and the step runs.
#[test]
fn c5_07_what_a_bucket_has_not_is_made_here() {
    let server = Bucket::start();
    let here = keyed(project());
    here.gantry(["build", "-q", "--cache-to", &cache(&server, ",mode=max"), "."]).success();
    let from = cache(&server, "");
    let check = |from: &str, warning: &str| {
        let there = keyed(project());
        let told = build_from(&there, from);
        let ran = ["#9 DONE", "#10 DONE"].map(|line| format!("] RUN cat /tool /f > /two\n{line}"));
        assert!(ran.iter().any(|lines| told.contains(lines)), "{told}");
        assert!(told.contains(warning), "{warning} in {told}");
        assert_eq!(there.gantry(["run", "--rm", "x"]).success().stdout, "tool\nfile\n");
        check_store(&there);
    };
    check(&cache(&server, ",name=other"), "manifests/other is not used: there is none");
    check(&from.replace(NAME, "another"), "404: NoSuchBucket: said of NoSuchBucket");
    server.service.each_blob(|bytes| *bytes.last_mut().unwrap() ^= 1);
    check(&from, "Caches from elsewhere are not used any more");
    server.service.each_blob(|bytes| bytes.truncate(9));
    check(&from, "it has 9 bytes where");
    server.service.remove_blobs();
    check(&from, "is missing in s3:");
}

#[test]
fn c5_05_who_may_not_write_is_told_and_no_key_is_shown() {
    let server = Bucket::start();
    let to = cache(&server, "");
    for (sandbox, why) in [
        (project(), "there are no AWS credentials"),
        (
            project().env("AWS_ACCESS_KEY_ID", ID).env("AWS_SECRET_ACCESS_KEY", "not-the-key"),
            "403: SignatureDoesNotMatch",
        ),
        (
            project().env("AWS_ACCESS_KEY_ID", "AKOTHER").env("AWS_SECRET_ACCESS_KEY", SECRET),
            "answered with status 403",
        ),
    ] {
        let told = sandbox.gantry(["build", "--cache-to", &to, "."]).success().stderr;
        assert!(told.contains("The cache could not be exported to s3:bucket-of-a-test"), "{told}");
        let told = told + &build_from(&sandbox, &cache(&server, ""));
        assert!(told.contains(why), "{told}");
        assert!(told.contains("is not used"), "{told}");
        let strict = format!("{to},ignore-error=false");
        let failed = sandbox.gantry(["build", "--cache-to", &strict, "."]).code(1).stderr;
        let secrets = [SECRET, "not-the-key", "Signature=", "AKOTHER"];
        assert_secret(&sandbox, &(told + &failed), &secrets);
    }
    assert_eq!(server.service.keys(), [""; 0]);
}

#[test]
fn c5_05_keys_come_from_attributes_and_profiles() {
    let server = Bucket::with_session();
    let profile = format!(
        "[ci]\naws_access_key_id = {ID}\naws_secret_access_key = {SECRET}\n\
         aws_session_token = {SESSION}\n"
    );
    let here = project().env("AWS_PROFILE", "ci");
    here.write("../home/.aws/credentials", profile);
    here.gantry(["build", "-q", "--cache-to", &cache(&server, ""), "."]).success();
    let there = project();
    let keys = format!(",access_key_id={ID},secret_access_key={SECRET},session_token={SESSION}");
    let told = build_from(&there, &cache(&server, &keys));
    assert_eq!(ran(&told), ["RUN echo tool > /tool"; 0], "{told}");
    assert_secret(&there, &told, &[SECRET, SESSION]);
}

/// Buckets have rules that remove what is old: what is still of use is made new.
#[test]
fn c5_05_blobs_that_are_old_are_renewed() {
    let server = Bucket::start();
    let here = keyed(project());
    let to = cache(&server, ",touch_refresh=1h,upload_parallelism=1");
    here.gantry(["build", "-q", "--cache-to", &to, "."]).success();
    let blobs = server.service.keys().len() - 1;
    let renewed = || {
        server.asked();
        here.gantry(["build", "-q", "--cache-to", &to, "."]).success();
        server.asked().iter().filter(|line| line.contains("PUT") && line.contains("blobs")).count()
    };
    assert_eq!(renewed(), 0);
    server.service.age(Duration::from_secs(7200));
    assert_eq!(renewed(), blobs);
    assert_eq!(renewed(), 0);
}
