//! skopeo, umoci and podman's libraries take our archives, and we take theirs.

use std::path::Path;
use std::process::Command;

use gantry_image::archive::{Archive, DirectorySpool, write_oci_directory, write_oci_tar};
use gantry_image::compress::Compression;
use gantry_image::{MediaType, Platform};

use crate::archive::Sample;
use crate::support::{has_peer, is_root, run};

/// Runs skopeo without a policy of the host's.
fn skopeo(args: &[&str]) -> String {
    let output = run(Command::new("skopeo").arg("--insecure-policy").args(args));
    String::from_utf8(output.stdout).unwrap()
}

fn spec(transport: &str, path: &Path, tag: &str) -> String {
    format!("{transport}:{}{tag}", path.display())
}

#[test]
fn skopeo_reads_our_archives() {
    if !has_peer("skopeo") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let sample = Sample::new(compression);
        let (docker, oci, layout) = (
            dir.path().join("d.tar"),
            dir.path().join("o.tar"),
            dir.path().join(format!("l-{compression}")),
        );
        fs_err::write(&docker, sample.docker(&["fridge:latest"])).unwrap();
        let mut tar = Vec::new();
        write_oci_tar(&[], &mut [sample.save(&["fridge:latest"])], &mut tar).unwrap();
        fs_err::write(&oci, &tar).unwrap();
        write_oci_directory(&[], &mut [sample.save(&["fridge:latest"])], &layout).unwrap();
        // The docker archive as docker archive, and the same file as OCI archive.
        let mut specs = vec![
            spec("oci-archive", &docker, ":latest"),
            spec("oci-archive", &oci, ":latest"),
            spec("oci", &layout, ":latest"),
        ];
        // A docker archive's layers are uncompressed or gzip to those who know no media types.
        if compression != Compression::Zstd {
            specs.push(spec("docker-archive", &docker, ":fridge:latest"));
        }
        for spec in specs {
            let inspected = skopeo(&["inspect", "--config", "--raw", &spec]);
            assert_eq!(inspected.as_bytes(), sample.config.bytes(), "{spec}");
            // Copying reads every layer and checks digests and diff IDs.
            let copied = dir.path().join("copied");
            skopeo(&["copy", "-q", &spec, &format!("dir:{}", copied.display())]);
            fs_err::remove_dir_all(&copied).unwrap();
        }
    }
}

#[test]
fn we_read_skopeos_archives() {
    if !has_peer("skopeo") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let sample = Sample::new(Compression::Gzip);
    let layout = dir.path().join("layout");
    write_oci_directory(&[], &mut [sample.save(&["fridge:latest"])], &layout).unwrap();
    let from = spec("oci", &layout, ":latest");
    for (transport, tag) in [
        ("docker-archive", ":fridge:latest"),
        ("oci-archive", ":fridge:latest"),
        ("oci", ":fridge:latest"),
    ] {
        let path = dir.path().join(transport);
        skopeo(&["copy", "-q", &from, &spec(transport, &path, tag)]);
        let spooled = dir.path().join(format!("spool-{transport}"));
        fs_err::create_dir(&spooled).unwrap();
        let mut spool = DirectorySpool::new(spooled);
        let archive = Archive::open(&path, &mut spool).unwrap();
        let [image] = archive.images() else { panic!("{archive:?}") };
        assert_eq!(image.config.digest(), sample.config.digest(), "{transport}");
        assert_eq!(image.names[0].familiar(), "fridge:latest");
        for layer in &image.layers {
            std::io::copy(&mut archive.open_tar(layer).unwrap(), &mut std::io::sink()).unwrap();
        }
    }
}

#[test]
fn umoci_unpacks_our_layout() {
    let dir = tempfile::tempdir().unwrap();
    if !has_peer("umoci") || !is_root(dir.path()) {
        return;
    }
    let sample = Sample::new(Compression::Gzip);
    let layout = dir.path().join("layout");
    let mut image = sample.save(&["fridge:latest"]);
    image.platform = Some("linux/amd64".parse::<Platform>().unwrap());
    write_oci_directory(&[], &mut [image], &layout).unwrap();
    let bundle = dir.path().join("bundle");
    run(Command::new("umoci")
        .args(["unpack", "--image"])
        .arg(format!("{}:latest", layout.display()))
        .arg(&bundle));
    assert_eq!(
        fs_err::read_to_string(bundle.join("rootfs/tmp/cool-file")).unwrap(),
        "cool content\n"
    );
    assert_eq!(fs_err::read_to_string(bundle.join("rootfs/bin/app")).unwrap(), "#!/bin/sh\n");
}

#[test]
fn docker_types_are_kept_where_they_were_used() {
    let sample = Sample::new(Compression::Gzip);
    let config = gantry_image::Descriptor::new(
        MediaType::DockerConfig,
        sample.config.digest(),
        sample.config.size(),
    );
    let layers = sample.blobs.iter().map(|(descriptor, _)| descriptor.clone()).collect();
    let manifest = gantry_image::Raw::write(gantry_image::ImageManifest::new(config, layers, true));
    let mut image = sample.save(&["a:1"]);
    image.manifest = Some(manifest.clone());
    let mut tar = Vec::new();
    write_oci_tar(&[], &mut [image], &mut tar).unwrap();
    crate::archive::both_ways(&tar, |archive| {
        let archive = archive.unwrap();
        let found = archive.images()[0].manifest.as_ref().unwrap();
        assert_eq!(
            (found.digest(), found.media_type()),
            (manifest.digest(), MediaType::DockerManifest)
        );
    });
}
