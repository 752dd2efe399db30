//! Archives that lie.

use std::io::Read;

use gantry_image::Digest;
use gantry_image::archive::{
    ArchiveError, LayerBytes, SaveImage, SaveLayer, write_docker, write_oci_directory,
};
use gantry_image::compress::Compression;

use crate::archive::{Sample, both_ways, large, plain_docker, three_megabytes};
use crate::support::RawTar;

#[track_caller]
fn refused(bytes: &[u8], why: &str) {
    both_ways(bytes, |archive| {
        let mut err: &dyn std::error::Error = &archive.expect_err(why);
        let mut chain = err.to_string();
        while let Some(source) = err.source() {
            chain += &format!(": {source}");
            err = source;
        }
        assert!(chain.contains(why), "{chain}");
    });
}

#[test]
fn what_is_no_archive_is_said() {
    refused(&RawTar::default().file("hello", "x").end(), "holds no image");
    refused(b"", "holds no image");
    refused(&[b'x'; 2000], "archive's tar");
}

#[test]
fn members_cannot_lead_out() {
    refused(&RawTar::default().file("../x", "").end(), "`..`");
    refused(&RawTar::default().symlink("manifest.json", "/etc/passwd").end(), "leads out");
    refused(&RawTar::default().symlink("manifest.json", "../../etc/passwd").end(), "leads out");
    refused(&RawTar::default().symlink("a/b", "../../a/b").end(), "leads out");
    refused(&RawTar::default().hard_link("manifest.json", "../x").end(), "leads out");
    refused(&RawTar::default().add(b'6', "manifest.json", "", b"").end(), "device or fifo");
    let circle = RawTar::default().symlink("manifest.json", "x").symlink("x", "manifest.json");
    refused(&circle.end(), "holds no image");
    let config = r#"[{"Config":"../../etc/passwd","Layers":[]}]"#;
    refused(&RawTar::default().file("manifest.json", config).end(), "`..`");
    let config = r#"[{"Config":"/etc/passwd","Layers":[]}]"#;
    refused(&RawTar::default().file("manifest.json", config).end(), "absolute");
    let repositories = r#"{"a":{"1":"../x"}}"#;
    refused(&RawTar::default().file("repositories", repositories).end(), "no layer's ID");
}

/// Replaces the data of every member whose name contains `name`.
fn with_member(tar: &[u8], name: &str, change: impl Fn(&mut [u8])) -> Vec<u8> {
    let ranges: Vec<_> = tar::Archive::new(tar)
        .entries()
        .unwrap()
        .map(Result::unwrap)
        .filter(|e| e.path().unwrap().to_str().unwrap().contains(name))
        .map(|e| (e.raw_file_position() as usize, e.size() as usize))
        .collect();
    assert!(!ranges.is_empty());
    let mut changed = tar.to_vec();
    for (start, size) in ranges {
        change(&mut changed[start..start + size]);
    }
    changed
}

#[test]
fn documents_with_a_wrong_digest_are_corrupt() {
    let sample = Sample::new(Compression::None);
    let tar = sample.docker(&["a:1"]);
    let config = sample.config.digest().hex();
    // Still JSON, and another config.
    let changed = with_member(&tar, &config, |data| {
        let at = data.windows(5).position(|w| w == b"amd64").unwrap();
        data[at..at + 5].copy_from_slice(b"arm64");
    });
    both_ways(&changed, |archive| assert!(matches!(archive, Err(ArchiveError::Corrupt { .. }))));
    let plain = plain_docker(&sample).end();
    let changed = with_member(&plain, &config, |data| data[10] = b'y');
    both_ways(&changed, |archive| assert!(archive.is_err()));
}

#[test]
fn layers_with_a_wrong_digest_fail_at_their_end() {
    for compression in [Compression::None, Compression::Gzip] {
        let sample = Sample::new(compression);
        let layer = sample.blobs[1].0.digest.hex();
        let changed = with_member(&sample.docker(&["a:1"]), &layer, |data| {
            let last = data.len() - 1;
            data[last] ^= 1;
        });
        both_ways(&changed, |archive| {
            let archive = archive.unwrap();
            let layer = &archive.images()[0].layers[1];
            let read = |mut data: Box<dyn Read + Send + '_>| data.read_to_end(&mut Vec::new());
            assert!(read(archive.open_blob(layer).unwrap()).is_err());
            assert!(read(archive.open_tar(layer).unwrap()).is_err());
        });
    }
    // A docker archive has no digest of a layer's blob, but a diff ID.
    let sample = Sample::new(Compression::None);
    let changed = with_member(&plain_docker(&sample).end(), "c/layer.tar", |data| data[600] ^= 1);
    both_ways(&changed, |archive| {
        let archive = archive.unwrap();
        let mut tar = archive.open_tar(&archive.images()[0].layers[1]).unwrap();
        assert!(tar.read_to_end(&mut Vec::new()).is_err());
    });
}

#[test]
fn an_image_with_missing_parts_is_not_loaded() {
    let sample = Sample::new(Compression::None);
    let tar = sample.docker(&["a:1"]);
    let layer = sample.blobs[1].0.digest.hex();
    let mut other = layer.clone();
    other.replace_range(..1, if layer.starts_with('0') { "1" } else { "0" });
    // Rename the blob's member: header bytes, so the checksum has to follow.
    let mut renamed = tar.clone();
    let at = renamed
        .windows(77)
        .position(|w| w == format!("blobs/sha256/{layer}").as_bytes() && w.len() == 77);
    let start = (0..renamed.len() / 512)
        .map(|b| b * 512)
        .find(|b| renamed[*b..].starts_with(format!("blobs/sha256/{layer}").as_bytes()))
        .unwrap();
    assert!(at.is_some());
    renamed[start..start + 77].copy_from_slice(format!("blobs/sha256/{other}").as_bytes());
    let mut header = tar::Header::new_old();
    header.as_mut_bytes().copy_from_slice(&renamed[start..start + 512]);
    header.set_cksum();
    renamed[start..start + 512].copy_from_slice(header.as_bytes());
    refused(&renamed, "is not in the archive");
}

#[test]
fn counts_must_agree() {
    let sample = Sample::new(Compression::None);
    let config = format!("{}.json", sample.config.digest().hex());
    let list = format!(r#"[{{"Config":"{config}","RepoTags":null,"Layers":[]}}]"#);
    let tar = RawTar::default()
        .add(b'0', &config, "", sample.config.bytes())
        .file("manifest.json", &list);
    refused(&tar.end(), "0 layers, its config 2");
    let list = format!(r#"[{{"Config":"{config}","RepoTags":["UPPER"],"Layers":["l","l"]}}]"#);
    let tar = RawTar::default()
        .add(b'0', &config, "", sample.config.bytes())
        .file("l", "")
        .file("manifest.json", &list);
    refused(&tar.end(), "must be lowercase");
}

#[test]
fn an_index_that_is_two_things_is_refused() {
    let index = r#"{"schemaVersion":2,"manifests":[],"layers":[]}"#;
    let tar = RawTar::default()
        .file("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#)
        .file("index.json", index);
    refused(&tar.end(), "read as two things");
    let tar = RawTar::default()
        .file("oci-layout", r#"{"imageLayoutVersion":"2.0.0"}"#)
        .file("index.json", index);
    refused(&tar.end(), "its version is `2.0.0`");
}

#[test]
fn a_layer_that_is_not_what_was_promised_is_not_saved() {
    let sample = Sample::new(Compression::None);
    for content in [&b"short"[..], &[b'x'; 100_000]] {
        let SaveImage { mut layers, .. } = sample.save(&["a:1"]);
        let descriptor = layers.remove(1).descriptor;
        let open = Box::new(move || Ok(LayerBytes::Stream(Box::new(content))));
        layers.push(SaveLayer { descriptor, open, told: Box::new(|_| ()) });
        let mut image = [SaveImage { layers, ..sample.save(&["a:1"]) }];
        let err = write_docker(&[], &mut image, &mut Vec::new()).unwrap_err();
        assert!(matches!(err, ArchiveError::Write { .. }), "{err:?}");
    }
    let mut image = [SaveImage { layers: Vec::new(), ..sample.save(&["a:1"]) }];
    assert!(matches!(
        write_docker(&[], &mut image, &mut Vec::new()),
        Err(ArchiveError::Inconsistent(_))
    ));
}

#[test]
fn a_file_that_is_not_what_was_promised_is_not_saved() {
    let (data, dir) = (three_megabytes(), tempfile::tempdir().unwrap());
    let path = dir.path().join("layer");
    let mut damaged = data.clone();
    damaged[2_000_000] ^= 1;
    for (content, why) in [
        (&damaged[..], "its digest is"),
        (&data[..2_000_000], "2000000"),
        (&[&data[..], b"more"].concat(), "were promised"),
    ] {
        fs_err::write(&path, content).unwrap();
        let file = || LayerBytes::File(fs_err::File::open(&path).unwrap().into_parts().0);
        let mut out = fs_err::File::create(dir.path().join("archive")).unwrap();
        let layout = dir.path().join("layout");
        for error in [
            write_docker(&[], &mut large(&data, file), &mut Vec::new()).unwrap_err(),
            write_docker(&[], &mut large(&data, file), &mut out).unwrap_err(),
            write_oci_directory(&[], &mut large(&data, file), &layout).unwrap_err(),
        ] {
            let ArchiveError::Write { name, source } = &error else { panic!("{error:?}") };
            assert!(name.ends_with(&Digest::of(&data).hex()), "{name}");
            assert!(source.to_string().contains(why), "{source}");
        }
        // The documents are there, and no index that names them.
        let left = fs_err::read_dir(layout.join("blobs/sha256")).unwrap().count();
        assert_eq!((left, layout.join("index.json").exists()), (2, false));
    }
}

#[test]
fn a_stream_that_says_it_was_checked_has_the_right_size_at_least() {
    let data = three_megabytes();
    for content in [&data[..10], &[&data[..], b"more"].concat()] {
        let checked = || LayerBytes::Checked(Box::new(content));
        let error = write_docker(&[], &mut large(&data, checked), &mut Vec::new()).unwrap_err();
        assert!(matches!(error, ArchiveError::Write { .. }), "{error:?}");
    }
}
