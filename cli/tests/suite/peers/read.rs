//! What others write, read and run by gantry.

use super::{Peers, gantry_run};
use crate::sandbox::Sandbox;

#[test]
fn gantry_reads_what_they_write() {
    let Some(peers) = Peers::new() else { return };
    let expected = peers.gantry_run(&["made"]);
    peers.podman(&["load", "-q", "-i", "saved.tar"]);
    let image = peers.buildah(&["pull", "-q", "docker-archive:saved.tar"]);
    let image = image.trim();
    let name = "docker.io/library/made:latest";
    for form in ["docker-archive", "oci-archive", "oci-dir", "docker-dir"] {
        let place = format!("peers/podman-{form}");
        peers.podman(&["save", "-q", "--format", form, "-o", &place, name]);
    }
    for form in ["docker-archive", "oci-archive", "oci"] {
        peers.buildah(&["push", "-q", image, &format!("{form}:peers/buildah-{form}:{name}")]);
        let place = format!("{form}:peers/skopeo-{form}:{name}");
        peers.skopeo(&["copy", "-q", "docker-archive:docker.tar", &place]);
    }
    for archive in [
        "podman-docker-archive",
        "podman-oci-archive",
        "podman-oci-dir",
        "buildah-docker-archive",
        "buildah-oci-archive",
        "buildah-oci",
        "skopeo-docker-archive",
        "skopeo-oci-archive",
        "skopeo-oci",
    ] {
        let there = Sandbox::new();
        let path = peers.sandbox.project().join("peers").join(archive);
        let loaded = there.gantry(["load", "-i", path.to_str().unwrap()]).success().stdout;
        let name = loaded.trim().rsplit(' ').next().unwrap();
        assert_eq!(gantry_run(&there, &[name]), expected, "{archive}: {loaded}");
        assert!(loaded.starts_with("Loaded image: made:latest\n"), "{archive}: {loaded}");
    }
}

/// The same Dockerfile, built by another builder, gives a tree that looks the same from within.
#[test]
fn buildah_builds_the_same_from_the_same_dockerfile() {
    let Some(peers) = Peers::new() else { return };
    peers.sandbox.gantry(["save", "-o", "base.tar", "busybox"]).success();
    let base = peers.buildah(&["pull", "-q", "docker-archive:base.tar"]);
    peers.buildah(&["tag", base.trim(), "docker.io/library/busybox"]);
    let flags = ["--isolation", "chroot", "--pull-never", "--layers", "-t", "theirs"];
    let open = "nofile=1024:1024";
    peers.buildah(&[&["bud", "-q", "--ulimit", open][..], &flags, &["."]].concat());
    peers.buildah(&["push", "-q", "theirs", "oci-archive:peers/theirs.tar:theirs:latest"]);
    peers.sandbox.gantry(["load", "-i", "peers/theirs.tar"]).success();
    assert_eq!(peers.gantry_run(&["theirs"]), peers.gantry_run(&["made"]));
}
