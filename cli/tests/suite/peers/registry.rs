//! A registry between gantry and the others: what one pushes, another pulls.

use super::written::digest;
use super::{Peers, gantry_run};
use crate::registry::server::Server;
use crate::sandbox::Sandbox;

/// Every tool gets the image that was pushed, whatever its layers are compressed by, and the same
/// digest of it.
#[test]
fn they_pull_what_gantry_pushes() {
    let (Some(peers), Some(server)) = (Peers::new(), Server::start()) else { return };
    let expected = peers.gantry_run(&["made"]);
    for (tag, keys) in [
        ("plain", ""),
        ("zstd", ",compression=zstd,force-compression=true"),
        ("docker", ",oci-mediatypes=false"),
    ] {
        let name = server.name(&format!("made:{tag}"));
        let output = format!("type=image,name={name},push=true{keys}");
        peers
            .sandbox
            .gantry(["build", "-q", "-o", &output, "--metadata-file", "m.json", "."])
            .success();
        let metadata: serde_json::Value =
            serde_json::from_slice(&peers.sandbox.read("m.json")).unwrap();
        let ours = metadata["containerimage.digest"].as_str().unwrap().to_owned();
        let source = format!("docker://{name}");
        let raw = peers.skopeo(&["inspect", "--raw", "--tls-verify=false", &source]);
        assert_eq!(digest(raw.as_bytes()), ours, "{tag}");
        // A copy of it is the same, in another repository and in a layout.
        let copy = format!("docker://{}", server.name(&format!("copy:{tag}")));
        let insecure = ["--src-tls-verify=false", "--dest-tls-verify=false"];
        // Else it may take a layer that it knows the registry to have in another compression.
        peers.skopeo(
            &[&["copy", "-q", "--preserve-digests"][..], &insecure, &[&source, &copy]].concat(),
        );
        let raw = peers.skopeo(&["inspect", "--raw", "--tls-verify=false", &copy]);
        assert_eq!(digest(raw.as_bytes()), ours, "{tag}");
        // podman's zstd is young; what it runs is the same.
        let pulled = peers.podman(&["pull", "-q", "--tls-verify=false", &name]);
        assert_eq!(peers.podman_run(&[pulled.trim()]), expected, "{tag}");
        let from = peers.buildah(&["from", "--tls-verify=false", "--pull-always", &name]);
        let seen = ["run", "--isolation", "chroot", from.trim(), "cat", "/facts"];
        assert!(peers.buildah(&seen).starts_with("echo \"$GREETING"), "{tag}");
        peers.buildah(&["rm", from.trim()]);
        peers.podman(&["rmi", "-f", pulled.trim()]);
    }
    let layout = format!("docker://{}", server.name("made:plain"));
    peers.skopeo(&["copy", "-q", "--src-tls-verify=false", &layout, "oci:peers/fetched:made"]);
    peers.peer(&["umoci", "unpack", "--image", "peers/fetched:made", "peers/bundle"]);
    peers.peer(&["cmp", "facts", "peers/bundle/rootfs/facts"]);
}

#[test]
fn gantry_pulls_what_they_push() {
    let (Some(peers), Some(server)) = (Peers::new(), Server::start()) else { return };
    let expected = peers.gantry_run(&["made"]);
    let image = peers.buildah(&["pull", "-q", "docker-archive:saved.tar"]);
    peers.podman(&["load", "-q", "-i", "saved.tar"]);
    let mut names = Vec::new();
    for format in ["oci", "v2s2"] {
        let name = server.name(&format!("buildah:{format}"));
        let words = ["push", "-q", "--tls-verify=false", "--format", format, image.trim()];
        peers.buildah(&[&words[..], &[&format!("docker://{name}")]].concat());
        names.push(name);
        let name = server.name(&format!("podman:{format}"));
        let made = "docker.io/library/made:latest";
        let words = ["push", "-q", "--tls-verify=false", "--format", format, made, &name];
        peers.podman(&words);
        names.push(name);
        let name = server.name(&format!("skopeo:{format}"));
        let (from, to) = ("oci:layout", format!("docker://{name}"));
        let words = ["copy", "-q", "--dest-tls-verify=false", "--format", format, from, &to];
        peers.skopeo(&words);
        names.push(name);
    }
    for name in names {
        let there = Sandbox::new();
        there.gantry(["pull", "-q", &name]).success();
        assert_eq!(gantry_run(&there, &[&name]), expected, "{name}");
        // And a build upon it is one.
        there.write("Dockerfile", format!("FROM {name}\nUSER root\nRUN test ! -e /bin/wget\n"));
        there.gantry(["build", "-q", "."]).success();
        there.gantry(["fsck"]).success();
    }
}
