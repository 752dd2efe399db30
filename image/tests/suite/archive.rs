//! Archives written are archives read, in every wrapping.

use std::io::{Cursor, Read, Write};
use std::path::Path;

use gantry_image::archive::{
    Archive, ArchivedImage, DirectorySpool, LayerBytes, SaveImage, SaveLayer, write_docker,
    write_oci_directory, write_oci_tar,
};
use gantry_image::compress::{Compression, Encoder};
use gantry_image::{
    Config, Descriptor, DiffId, Digest, History, ImageConfig, MediaType, Raw, RootFs,
};

use crate::support::{RawTar, Tree};

/// An image of two layers, and their tars; the upper is compressed as `compression` says.
pub(crate) struct Sample {
    pub(crate) config: Raw<ImageConfig>,
    pub(crate) tars: Vec<Vec<u8>>,
    pub(crate) blobs: Vec<(Descriptor, Vec<u8>)>,
}

impl Sample {
    pub(crate) fn new(compression: Compression) -> Self {
        let tars = vec![
            Tree::of(&[("bin/app", "#!/bin/sh\n"), ("etc/motd", "cool content\n")]).tar(),
            Tree::of(&[("tmp/cool-file", "cool content\n")]).tar(),
        ];
        let blobs = tars.iter().zip([Compression::None, compression]).map(|(tar, compression)| {
            let mut encoder = Encoder::new(compression, None, 1, Vec::new()).unwrap();
            encoder.write_all(tar).unwrap();
            let blob = encoder.finish().unwrap();
            let media_type = MediaType::layer(compression, false).unwrap();
            (Descriptor::new(media_type, Digest::of(&blob), blob.len() as u64), blob)
        });
        let mut config = ImageConfig {
            config: Config {
                cmd: vec!["/bin/app".to_owned()],
                working_dir: "/".to_owned(),
                ..Config::default()
            },
            history: vec![History { created_by: "COPY . /".to_owned(), ..History::default() }; 2],
            rootfs: RootFs {
                diff_ids: tars.iter().map(|tar| DiffId(Digest::of(tar))).collect(),
                ..RootFs::default()
            },
            ..ImageConfig::default()
        };
        config.set_platform(&"linux/amd64".parse().unwrap());
        Self { config: Raw::write(config), blobs: blobs.collect(), tars }
    }

    pub(crate) fn save(&self, names: &[&str]) -> SaveImage<'_> {
        SaveImage {
            names: names.iter().map(|name| name.parse().unwrap()).collect(),
            config: self.config.clone(),
            manifest: None,
            layers: self
                .blobs
                .iter()
                .map(|(descriptor, blob)| SaveLayer {
                    descriptor: descriptor.clone(),
                    open: Box::new(move || Ok(LayerBytes::Stream(Box::new(&blob[..])))),
                    told: Box::new(|_| ()),
                })
                .collect(),
            annotations: Vec::new(),
            platform: None,
        }
    }

    pub(crate) fn docker(&self, names: &[&str]) -> Vec<u8> {
        let mut tar = Vec::new();
        write_docker(&[], &mut [self.save(names)], &mut tar).unwrap();
        tar
    }

    #[track_caller]
    fn check(&self, archive: &Archive<'_>, names: &[&str]) {
        let [image] = archive.images() else { panic!("{:?}", archive.images()) };
        self.check_image(archive, image, names);
    }

    #[track_caller]
    fn check_image(&self, archive: &Archive<'_>, image: &ArchivedImage, names: &[&str]) {
        assert_eq!(image.config.digest(), self.config.digest());
        assert_eq!(image.platform.to_string(), "linux/amd64");
        assert_eq!(image.names.iter().map(|name| name.familiar()).collect::<Vec<_>>(), names);
        assert_eq!(image.layers.len(), 2);
        for (layer, tar) in image.layers.iter().zip(&self.tars) {
            let (mut found, mut blob) = (Vec::new(), Vec::new());
            archive.open_tar(layer).unwrap().read_to_end(&mut found).unwrap();
            assert!(found == *tar);
            archive.open_blob(layer).unwrap().read_to_end(&mut blob).unwrap();
            assert_eq!(blob.len() as u64, layer.size);
        }
    }
}

/// Opens bytes as a file and as a stream, and checks both.
#[track_caller]
pub(crate) fn both_ways(
    bytes: &[u8],
    check: impl Fn(Result<Archive<'_>, gantry_image::archive::ArchiveError>),
) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("archive");
    fs_err::write(&path, bytes).unwrap();
    for stream in [false, true] {
        let spooled = dir.path().join(format!("spool-{stream}"));
        fs_err::create_dir(&spooled).unwrap();
        let mut spool = DirectorySpool::new(&spooled);
        let archive = match stream {
            false => Archive::open(&path, &mut spool),
            true => Archive::read(Cursor::new(bytes.to_vec()), &mut spool),
        };
        check(archive);
    }
}

fn compressed(compression: Compression, data: &[u8]) -> Vec<u8> {
    match compression {
        Compression::Bzip2 => {
            let mut out = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            out.write_all(data).unwrap();
            out.finish().unwrap()
        }
        Compression::Xz => {
            let mut out = liblzma::write::XzEncoder::new(Vec::new(), 1);
            out.write_all(data).unwrap();
            out.finish().unwrap()
        }
        other => {
            let mut out = Encoder::new(other, None, 1, Vec::new()).unwrap();
            out.write_all(data).unwrap();
            out.finish().unwrap()
        }
    }
}

#[test]
fn what_was_saved_is_loaded_in_every_wrapping() {
    for layers in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let sample = Sample::new(layers);
        let tar = sample.docker(&["fridge:latest", "ghcr.io/a/fridge:v2"]);
        for wrapping in [
            Compression::None,
            Compression::Gzip,
            Compression::Zstd,
            Compression::Bzip2,
            Compression::Xz,
        ] {
            both_ways(&compressed(wrapping, &tar), |archive| {
                sample.check(&archive.unwrap(), &["fridge:latest", "ghcr.io/a/fridge:v2"]);
            });
        }
    }
}

#[test]
fn the_tar_is_the_same_every_time_and_holds_what_docker_and_oci_want() {
    let sample = Sample::new(Compression::None);
    let tar = sample.docker(&["fridge:latest"]);
    assert_eq!(tar, sample.docker(&["fridge:latest"]));
    let mut archive = tar::Archive::new(&tar[..]);
    let names: Vec<String> = archive
        .entries()
        .unwrap()
        .map(|e| e.unwrap().path().unwrap().display().to_string())
        .collect();
    assert_eq!(
        names[..5],
        ["oci-layout", "index.json", "manifest.json", "blobs/", "blobs/sha256/"]
    );
    assert_eq!(names.len(), 5 + 4);
    // oci-spec is another reader of the same documents.
    let mut archive = tar::Archive::new(&tar[..]);
    let index = archive
        .entries()
        .unwrap()
        .map(Result::unwrap)
        .find(|e| e.path().unwrap() == Path::new("index.json"))
        .unwrap();
    let index = oci_spec::image::ImageIndex::from_reader(index).unwrap();
    let annotations = index.manifests()[0].annotations().clone().unwrap();
    assert_eq!(annotations["org.opencontainers.image.ref.name"], "latest");
    assert_eq!(annotations["io.containerd.image.name"], "docker.io/library/fridge:latest");
}

#[test]
fn two_images_share_their_layers() {
    let sample = Sample::new(Compression::None);
    let mut other = Sample::new(Compression::None);
    let mut config = other.config.value().clone();
    config.author = "somebody".to_owned();
    other.config = Raw::write(config);
    let mut tar = Vec::new();
    write_docker(
        &[],
        &mut [sample.save(&["a:1"]), other.save(&["b:1"]), sample.save(&["c:1"])],
        &mut tar,
    )
    .unwrap();
    let blobs = tar::Archive::new(&tar[..])
        .entries()
        .unwrap()
        .filter(|e| e.as_ref().unwrap().path().unwrap().components().count() == 3)
        .count();
    assert_eq!(blobs, 2 + 2 + 2);
    both_ways(&tar, |archive| {
        let archive = archive.unwrap();
        let [first, second] = archive.images() else { panic!("{archive:?}") };
        sample.check_image(&archive, first, &["a:1", "c:1"]);
        other.check_image(&archive, second, &["b:1"]);
    });
}

#[test]
fn an_image_without_a_name_has_none() {
    let sample = Sample::new(Compression::None);
    both_ways(&sample.docker(&[]), |archive| sample.check(&archive.unwrap(), &[]));
}

#[test]
fn layouts_are_read_from_tar_and_directory() {
    let sample = Sample::new(Compression::Zstd);
    let mut tar = Vec::new();
    write_oci_tar(&[], &mut [sample.save(&["x:1"])], &mut tar).unwrap();
    both_ways(&tar, |archive| sample.check(&archive.unwrap(), &["x:1"]));

    let dir = tempfile::tempdir().unwrap();
    let layout = dir.path().join("layout");
    write_oci_directory(&[], &mut [sample.save(&["x:1"])], &layout).unwrap();
    let other = Sample::new(Compression::Gzip);
    write_oci_directory(&[], &mut [other.save(&["y:1"])], &layout).unwrap();
    // The same name again replaces its entry, and nothing else.
    write_oci_directory(&[], &mut [other.save(&["y:1"])], &layout).unwrap();
    let mut spool = DirectorySpool::new(dir.path());
    let archive = Archive::open(&layout, &mut spool).unwrap();
    let [first, second] = archive.images() else { panic!("{archive:?}") };
    sample.check_image(&archive, first, &["x:1"]);
    other.check_image(&archive, second, &["y:1"]);
    let left: Vec<_> = fs_err::read_dir(&layout).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "{left:?}");
}

/// Docker's own archives before OCI: members named by ID, equal layers as links.
pub(crate) fn plain_docker(sample: &Sample) -> RawTar {
    let config = format!("{}.json", sample.config.digest().hex());
    let list = format!(
        r#"[{{"Config":"{config}","RepoTags":["fridge:latest"],"Layers":["a/layer.tar","b/layer.tar"]}}]"#
    );
    RawTar::default()
        .add(b'0', &config, "", sample.config.bytes())
        .dir("a/")
        .add(b'0', "a/layer.tar", "", &sample.tars[0])
        .add(b'0', "c/layer.tar", "", &sample.tars[1])
        .symlink("b/layer.tar", "../c/layer.tar")
        .file("manifest.json", &list)
}

#[test]
fn plain_docker_archives_are_read() {
    let sample = Sample::new(Compression::None);
    both_ways(&plain_docker(&sample).end(), |archive| {
        let archive = archive.unwrap();
        sample.check(&archive, &["fridge:latest"]);
        assert!(archive.images()[0].manifest.is_none());
    });
}

#[test]
fn archives_of_the_first_dockers_are_read() {
    let tars = Sample::new(Compression::None).tars;
    let (low, high) = ("a".repeat(64), "b".repeat(64));
    let json = |id: &str, parent: &str| {
        format!(
            r##"{{"id":"{id}"{parent},"created":"2015-01-02T03:04:05Z","container_config":{{"Cmd":["/bin/sh","-c","#(nop) ADD"]}},"config":{{"Cmd":["/bin/app"]}},"architecture":"amd64","os":"linux"}}"##
        )
    };
    let tar = RawTar::default()
        .file(&format!("{high}/VERSION"), "1.0")
        .file(&format!("{high}/json"), &json(&high, &format!(r#","parent":"{low}""#)))
        .add(b'0', &format!("{high}/layer.tar"), "", &tars[1])
        .file(&format!("{low}/VERSION"), "1.0")
        .file(&format!("{low}/json"), &json(&low, ""))
        .add(b'0', &format!("{low}/layer.tar"), "", &tars[0])
        .file("repositories", &format!(r#"{{"old/app":{{"1.0":"{high}"}}}}"#));
    both_ways(&tar.end(), |archive| {
        let archive = archive.unwrap();
        let [image] = archive.images() else { panic!("{archive:?}") };
        assert_eq!(image.names[0].familiar(), "old/app:1.0");
        assert_eq!(image.config.config.cmd, ["/bin/app"]);
        let diff_ids = tars.iter().map(|tar| DiffId(Digest::of(tar)));
        assert_eq!(image.config.rootfs.diff_ids, diff_ids.collect::<Vec<_>>());
        assert_eq!(image.config.history_layers(), 2);
        assert_eq!(image.config.history[0].created_by, "/bin/sh -c #(nop) ADD");
    });
}

/// An image of one layer of three megabytes, whose bytes come as `bytes` says.
pub(crate) fn large<'a>(
    data: &'a [u8],
    bytes: impl Fn() -> LayerBytes<'a> + 'a,
) -> [SaveImage<'a>; 1] {
    let descriptor = Descriptor::new(MediaType::OciLayer, Digest::of(data), data.len() as u64);
    let config = ImageConfig {
        rootfs: RootFs { diff_ids: vec![DiffId(descriptor.digest)], ..RootFs::default() },
        ..ImageConfig::default()
    };
    let open = Box::new(move || Ok(bytes()));
    [SaveImage {
        names: vec!["large:1".parse().unwrap()],
        config: Raw::write(config),
        manifest: None,
        layers: vec![SaveLayer { descriptor, open, told: Box::new(|_| ()) }],
        annotations: Vec::new(),
        platform: None,
    }]
}

pub(crate) fn three_megabytes() -> Vec<u8> {
    (0..3_000_001_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

#[test]
fn a_layer_in_a_file_is_copied_to_wherever_the_archive_goes() {
    let (data, dir) = (three_megabytes(), tempfile::tempdir().unwrap());
    let path = dir.path().join("layer");
    fs_err::write(&path, &data).unwrap();
    let file = || LayerBytes::File(fs_err::File::open(&path).unwrap().into_parts().0);
    let mut expected = Vec::new();
    let stream = || LayerBytes::Stream(Box::new(&data[..]));
    write_docker(&[], &mut large(&data, stream), &mut expected).unwrap();
    let mut told = Vec::new();
    let mut image = large(&data, || LayerBytes::Checked(Box::new(&data[..])));
    image[0].layers[0].told = Box::new(|bytes| told.push(bytes));
    let mut checked = Vec::new();
    write_docker(&[], &mut image, &mut checked).unwrap();
    drop(image);
    assert!(checked == expected && told.is_sorted() && told.last() == Some(&3_000_001));

    let mut memory = Vec::new();
    write_docker(&[], &mut large(&data, file), &mut memory).unwrap();
    assert!(memory == expected);
    let archive = dir.path().join("archive");
    write_docker(&[], &mut large(&data, file), &mut fs_err::File::create(&archive).unwrap())
        .unwrap();
    assert!(fs_err::read(&archive).unwrap() == expected);
    // At the end of a file that is only appended to the kernel copies nothing.
    let mut appended = fs_err::OpenOptions::new().append(true).open(&archive).unwrap();
    write_docker(&[], &mut large(&data, file), &mut appended).unwrap();
    assert!(fs_err::read(&archive).unwrap() == [&expected[..], &expected].concat());
    let (mut pipe, end) = std::io::pipe().unwrap();
    let piped = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut end = std::fs::File::from(std::os::fd::OwnedFd::from(end));
            write_docker(&[], &mut large(&data, file), &mut end).unwrap();
        });
        let mut piped = Vec::new();
        pipe.read_to_end(&mut piped).unwrap();
        piped
    });
    assert!(piped == expected);
    let layout = dir.path().join("layout");
    write_oci_directory(&[], &mut large(&data, file), &layout).unwrap();
    let blob = layout.join("blobs/sha256").join(Digest::of(&data).hex());
    assert!(fs_err::read(blob).unwrap() == data);
}

#[test]
fn a_stretch_of_an_archive_is_copied_while_it_is_read() {
    let (data, dir) = (three_megabytes(), tempfile::tempdir().unwrap());
    let path = dir.path().join("archive");
    let mut out = fs_err::File::create(&path).unwrap();
    write_docker(&[], &mut large(&data, || LayerBytes::Stream(Box::new(&data[..]))), &mut out)
        .unwrap();
    let mut spool = DirectorySpool::new(dir.path());
    let archive = Archive::open(&path, &mut spool).unwrap();
    let layer = &archive.images()[0].layers[0];
    let stretch = archive.stretch(layer).unwrap().unwrap();
    assert_eq!((stretch.size(), stretch.spooled()), (3_000_001, None));
    let copy = || {
        let mut options = fs_err::OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true).open(dir.path().join("copy"))
    };
    let to = copy().unwrap();
    let mut read = Vec::new();
    stretch.clone().copy_into(to.file()).read_to_end(&mut read).unwrap();
    assert!(read == data && fs_err::read(to.path()).unwrap() == data);
    // Somebody cuts the archive meanwhile.
    fs_err::OpenOptions::new().write(true).open(&path).unwrap().set_len(2_000_000).unwrap();
    let to = copy().unwrap();
    let error = stretch.copy_into(to.file()).read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
}
