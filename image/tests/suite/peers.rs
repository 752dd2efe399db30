//! Other programs read our tars, and we read theirs.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use gantry_image::layer::{self, Limits};
use gantry_tree::{ContentId, Node, Root, ScanOptions, scan};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::support::{RawTar, Tree, entry, file, has_peer, is_root, path, run, trees};

const LIST: &str = r"
import sys, tarfile
with tarfile.open(sys.argv[1]) as tar:
    for m in tar:
        attrs = sorted((k, v) for k, v in m.pax_headers.items() if k.startswith('SCHILY'))
        data = tar.extractfile(m).read() if m.isreg() else b''
        print(m.name, m.type.decode(), oct(m.mode), m.uid, m.gid, m.size, float(m.mtime), m.linkname, attrs, sum(data), sep='|')
";

#[test]
fn python_reads_what_we_write() {
    if !has_peer("python3") {
        return;
    }
    let long = "n".repeat(120);
    let entries = vec![
        entry("f", file(b"abc")),
        entry(&long, file(b"")),
        entry("l", Node::Symlink { target: b"t".repeat(101) }),
        entry("h", Node::HardLink { target: path("f") }),
    ];
    let mut entries = entries;
    entries[0].mtime = gantry_tree::Time { secs: 12, nanos: 500_000_000 };
    entries[0].uid = 3_000_000;
    entries[0].xattrs = vec![(b"user.x".to_vec(), b"v".to_vec())];
    let files = [(path("f"), b"abc".to_vec()), (path(&long), Vec::new())].into();
    let tree = Tree { manifest: gantry_tree::Manifest::new(entries).unwrap(), files };
    let tar = tempfile::NamedTempFile::new().unwrap();
    tar.as_file().write_all(&tree.tar()).unwrap();
    let output = run(Command::new("python3").args(["-c", LIST]).arg(tar.path()));
    let expected = format!(
        "f|0|0o644|3000000|0|3|12.5||[('SCHILY.xattr.user.x', 'v')]|294\n\
         h|1|0o644|3000000|0|0|12.5|f|[('SCHILY.xattr.user.x', 'v')]|0\n\
         l|2|0o644|0|0|0|0.0|{}|[]|0\n\
         {long}|0|0o644|0|0|0|0.0||[]|0\n",
        "t".repeat(101)
    );
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
}

#[test]
fn gnu_tar_unpacks_what_we_write() {
    let dir = tempfile::tempdir().unwrap();
    if !has_peer("tar") || !is_root(dir.path()) {
        return;
    }
    let mut runner = TestRunner::deterministic();
    for round in 0..12 {
        let tree = trees().new_tree(&mut runner).unwrap().current();
        // To GNU tar whiteouts are files; they have their own test.
        let manifest = tree.manifest.entries().iter().filter(|e| e.node != Node::Whiteout).cloned();
        let manifest = manifest.map(|mut entry| {
            if let Node::Dir { opaque } = &mut entry.node {
                *opaque = false;
            }
            // GNU tar keeps user's attributes only, unless told.
            entry.xattrs.retain(|(name, _)| name.starts_with(b"user."));
            entry
        });
        let tree =
            Tree { manifest: gantry_tree::Manifest::new(manifest.collect()).unwrap(), ..tree };
        let (tar, to) = (dir.path().join("tar"), dir.path().join(round.to_string()));
        fs_err::write(&tar, tree.tar()).unwrap();
        fs_err::create_dir(&to).unwrap();
        run(Command::new("tar")
            .args(["--numeric-owner", "--same-owner", "--xattrs", "-xpPf"])
            .arg(&tar)
            .arg("-C")
            .arg(&to));
        let include_root = tree.manifest.entries().first().is_some_and(|e| e.path.is_root());
        let options = ScanOptions { include_root, ..ScanOptions::default() };
        let found = scan(&Root::open(&to).unwrap(), &options).unwrap().manifest;
        assert_eq!(found, tree.manifest);
    }
}

/// A directory with a long name, a long link, a file with holes and some bytes.
fn source(dir: &Path) {
    let deep = dir.join("d".repeat(90)).join("e".repeat(90));
    fs_err::create_dir_all(&deep).unwrap();
    fs_err::write(deep.join("f".repeat(90)), "long").unwrap();
    fs_err::os::unix::fs::symlink("t".repeat(200), dir.join("link")).unwrap();
    fs_err::hard_link(deep.join("f".repeat(90)), dir.join("hard")).unwrap();
    for (name, stretches) in [("holes", 3_u64), ("many", 60)] {
        let file = fs_err::File::create(dir.join(name)).unwrap().into_parts().0;
        for at in 0..stretches {
            std::os::unix::fs::FileExt::write_at(&file, b"data", at * 100_000 + 50_000).unwrap();
        }
        file.set_len(stretches * 100_000 + 123_456).unwrap();
    }
}

#[test]
fn we_read_every_format_of_gnu_tar() {
    if !has_peer("tar") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    source(dir.path());
    let expected =
        scan(&Root::open(dir.path()).unwrap(), &ScanOptions::default()).unwrap().manifest;
    let pax = ["--format=pax", "--pax-option=delete=atime,delete=ctime"];
    let sparse = |version| [pax[0], pax[1], "-S", version];
    let formats: [&[&str]; 6] = [
        &["--format=gnu"],
        &["--format=gnu", "-S"],
        &pax,
        &sparse("--sparse-version=0.0"),
        &sparse("--sparse-version=0.1"),
        &sparse("--sparse-version=1.0"),
    ];
    for format in formats {
        let output = run(Command::new("tar")
            .args(format)
            .args(["--numeric-owner", "-cf", "-", "-C"])
            .arg(dir.path())
            .arg("."));
        if format.contains(&"-S") {
            assert!(output.stdout.len() < 1 << 20, "{format:?} has holes");
        }
        let read = layer::index(&mut &output.stdout[..], &Limits::default())
            .unwrap_or_else(|err| panic!("{format:?}: {err}"));
        let exact = format.len() > 1 && format[0] == "--format=pax";
        let entries = read.manifest.into_entries().into_iter().filter(|e| !e.path.is_root());
        for (found, expected) in entries.zip(expected.entries()) {
            assert_eq!((&found.path, &found.node), (&expected.path, &expected.node), "{format:?}");
            assert_eq!(found.mtime.secs, expected.mtime.secs);
            assert!(!exact || found.mtime == expected.mtime);
        }
    }
}

#[test]
fn holes_stay_holes_on_disk() {
    if !has_peer("tar") {
        return;
    }
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let size = 64 << 20;
    fs_err::File::create(from.path().join("sparse")).unwrap().into_parts().0.set_len(size).unwrap();
    let output =
        run(Command::new("tar").args(["-S", "-cf", "-", "-C"]).arg(from.path()).arg("sparse"));
    let root = Root::open(to.path()).unwrap();
    let options = layer::UnpackOptions::rootless(layer::Ids::Single);
    let unpacked = layer::unpack(&mut &output.stdout[..], &root, &options).unwrap();
    let stat = root.stat(&path("sparse"), gantry_tree::Follow::Parents).unwrap();
    assert_eq!(stat.size, size);
    assert!(stat.blocks < 128, "{} blocks", stat.blocks);
    let zeros = ContentId(*blake3::hash(&vec![0; size as usize]).as_bytes());
    assert_eq!(unpacked.manifest.entries()[0].content(), Some(zeros));
}

#[test]
fn we_read_every_format_of_python() {
    if !has_peer("python3") {
        return;
    }
    let script = r"
import sys, tarfile, io
with tarfile.open(fileobj=sys.stdout.buffer, mode='w|', format=getattr(tarfile, sys.argv[1])) as tar:
    info = tarfile.TarInfo('d/' * 40 + 'é' * 30)
    info.size, info.mtime, info.uid = 3, 7, int(sys.argv[2])
    tar.addfile(info, io.BytesIO(b'abc'))
";
    for (format, uid) in [("USTAR_FORMAT", 5), ("GNU_FORMAT", 3_000_000), ("PAX_FORMAT", 3_000_000)]
    {
        let output = run(Command::new("python3").args(["-c", script, format, &uid.to_string()]));
        let read = layer::index(&mut &output.stdout[..], &Limits::default()).unwrap().manifest;
        let found = read.entries().last().unwrap();
        assert_eq!(
            (found.path.to_string(), found.uid, found.mtime.secs),
            ("d/".repeat(40) + &"é".repeat(30), uid, 7)
        );
        assert_eq!(found.content(), Some(ContentId::of(b"abc")));
    }
}

#[test]
fn the_tar_crate_reads_the_same_members() {
    let mut runner = TestRunner::deterministic();
    for _ in 0..32 {
        let tree = trees().new_tree(&mut runner).unwrap().current();
        let tar = tree.tar();
        let mut archive = tar::Archive::new(&tar[..]);
        let names = archive.entries().unwrap().map(Result::unwrap).fold(0, |count, _| count + 1);
        let opaque =
            tree.manifest.entries().iter().filter(|e| e.node == Node::Dir { opaque: true }).count();
        assert_eq!(names, tree.manifest.entries().len() + opaque);
    }
}

#[test]
fn the_old_header_without_magic_is_read() {
    let mut tar = RawTar::default().file("a", "x").end();
    tar[257..265].fill(0);
    tar[148..156].fill(b' ');
    let sum: u32 = tar[..512].iter().map(|b| u32::from(*b)).sum();
    tar[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let read = layer::index(&mut &tar[..], &Limits::default()).unwrap().manifest;
    assert_eq!(read.entries()[0].path, path("a"));
}
