//! What gantry writes, read and run by others.

use super::{Peers, gantry_run};
use crate::sandbox::Sandbox;

pub(super) fn digest(bytes: &[u8]) -> String {
    gantry_image::Digest::of(bytes).to_string()
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

/// The archives that gantry wrote, as the peers name them.
const WRITTEN: [&str; 6] = [
    "docker-archive:saved.tar",
    "docker-archive:docker.tar",
    "oci-archive:saved.tar",
    "oci-archive:docker.tar",
    "oci-archive:oci.tar",
    "oci:layout",
];

#[test]
fn skopeo_reads_every_archive() {
    let Some(peers) = Peers::new() else { return };
    let id = peers.id();
    for source in WRITTEN {
        let config = peers.skopeo(&["inspect", "--config", "--raw", source]);
        assert_eq!(digest(config.as_bytes()), id, "{source}");
        let about = json(&peers.skopeo(&["inspect", source]));
        assert_eq!(about["Labels"], serde_json::json!({"of": "some text"}), "{source}");
        // All layers are read and their digests looked at; the same form stays the same bytes.
        let (form, _) = source.split_once(':').unwrap();
        let copy = format!("{form}:peers/copy:made:latest");
        peers.skopeo(&["copy", source, &copy]);
        let config = peers.skopeo(&["inspect", "--config", "--raw", &copy]);
        assert_eq!(digest(config.as_bytes()), id, "{source}");
        peers.peer(&["rm", "-rf", "peers/copy"]);
    }
    let manifest = |source: &str| peers.skopeo(&["inspect", "--raw", source]);
    peers.skopeo(&["copy", "--preserve-digests", "oci:layout", "oci-archive:peers/copy.tar"]);
    assert_eq!(manifest("oci-archive:peers/copy.tar"), manifest("oci:layout"));
    assert_eq!(manifest("oci-archive:oci.tar"), manifest("oci:layout"));
}

/// skopeo writes the config anew on the way from one form to the other, so that its digest is
/// another one for images of whatever tool; what it says is the same.
#[test]
fn skopeo_turns_one_form_into_the_other() {
    let Some(peers) = Peers::new() else { return };
    let config = |source: &str| {
        let mut config = json(&peers.skopeo(&["inspect", "--config", "--raw", source]));
        // Unknown to the older ones of them.
        config["config"].as_object_mut().unwrap().remove("ArgsEscaped");
        config
    };
    peers.skopeo(&["copy", "docker-archive:saved.tar", "oci:peers/to-oci:made"]);
    assert_eq!(config("oci:peers/to-oci:made"), config("oci:layout"));
    peers.skopeo(&["copy", "oci:layout", "docker-archive:peers/to-docker.tar:made:latest"]);
    let there = Sandbox::new();
    let archive = peers.sandbox.project().join("peers/to-docker.tar");
    there.gantry(["load", "-i", archive.to_str().unwrap()]).success();
    assert_eq!(gantry_run(&there, &["made"]), peers.gantry_run(&["made"]));
}

#[test]
fn buildah_reads_every_archive() {
    let Some(peers) = Peers::new() else { return };
    let id = peers.id();
    for source in WRITTEN {
        let image = peers.buildah(&["pull", "-q", source]);
        assert_eq!(format!("sha256:{}", image.trim()), id, "{source}");
    }
    let about = json(&peers.buildah(&["inspect", "--type", "image", &id]));
    let config = &about["OCIv1"]["config"];
    assert_eq!(config["User"], "nobody");
    assert_eq!(config["WorkingDir"], "/work");
    assert_eq!(config["Entrypoint"], serde_json::json!(["sh", "/facts"]));
    assert_eq!(config["Cmd"], serde_json::json!(["by default"]));
    assert_eq!(config["ExposedPorts"], serde_json::json!({"80/tcp": {}}));
    assert_eq!(about["Docker"]["config"]["Labels"]["of"], "some text");
}

#[test]
fn umoci_unpacks_the_same_tree() {
    let Some(peers) = Peers::new() else { return };
    peers.peer(&["umoci", "unpack", "--image", "layout:latest", "peers/bundle"]);
    peers.peer(&["sh", "-ec", "mkdir peers/root && tar -xpf root.tar -C peers/root"]);
    let list = |place: &str| {
        let files = "find . ! -type d -printf '%P %y %m %U:%G %l %s %n %T@\\n'";
        let directories = "find . -mindepth 1 -type d -printf '%P %y %m %U:%G\\n'";
        let script = format!("cd {place} && {{ {files}; {directories}; }} | sort");
        peers.peer(&["sh", "-ec", &script])
    };
    let (theirs, ours) = (list("peers/bundle/rootfs"), list("peers/root"));
    for needed in ["work/dir/new", "work/again", "copied/f", "facts"] {
        assert!(ours.contains(needed), "{ours}");
    }
    similar_lines(&theirs, &ours);
    let bytes = ["diff", "-r", "--no-dereference", "peers/bundle/rootfs", "peers/root"];
    assert_eq!(peers.peer(&bytes), "");
}

/// Shows the lines that differ alone.
#[track_caller]
fn similar_lines(one: &str, two: &str) {
    let only = |these: &str, others: &str| -> Vec<String> {
        let others: std::collections::BTreeSet<&str> = others.lines().collect();
        these.lines().filter(|line| !others.contains(line)).map(str::to_owned).collect()
    };
    assert_eq!(only(one, two), only(two, one));
}

#[test]
fn podman_runs_what_gantry_runs() {
    let Some(peers) = Peers::new() else { return };
    let expected = peers.gantry_run(&["made"]);
    assert!(expected.starts_with("hello there, by default\n65534\n"), "{expected}");
    assert!(expected.contains("no wget\n"), "{expected}");
    for archive in ["saved.tar", "docker.tar", "oci.tar"] {
        let loaded = peers.podman(&["load", "-q", "-i", archive]);
        let name = loaded.trim().rsplit(' ').next().unwrap();
        assert_eq!(peers.podman_run(&[name]), expected, "{archive} {loaded}");
        peers.podman(&["rmi", "-f", name]);
    }
    let loaded = peers.podman(&["load", "-q", "-i", "saved.tar"]);
    assert_eq!(loaded, "Loaded image: docker.io/library/made:latest\n");
    for words in [
        &["made", "other", "words"][..],
        &["--entrypoint", "echo", "made", "$GREETING"],
        &["-u", "0:staff", "-w", "/copied", "made"],
        &["-e", "GREETING=", "made"],
    ] {
        // It sometimes ends before it has read what a quick process printed.
        let theirs = (0..5).map(|_| peers.podman_run(words)).find(|printed| !printed.is_empty());
        assert_eq!(theirs.unwrap_or_default(), peers.gantry_run(words), "{words:?}");
    }
}
