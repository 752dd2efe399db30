//! Archives that lie: members that would be written elsewhere, and bytes that are not what they
//! are said to be.

use std::io::Write as _;
use std::process::{Command, Stdio};

use super::{build_refused, clean, project, refused};
use crate::sandbox::Sandbox;

/// A member as it stands in the tar, whatever its name says.
fn member(tar: &mut tar::Builder<Vec<u8>>, kind: tar::EntryType, name: &str, link: &str) {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(0o644);
    let data: &[u8] = if kind == tar::EntryType::Regular { b"evil" } else { b"" };
    header.set_size(data.len() as u64);
    let raw = header.as_mut_bytes();
    raw[..name.len()].copy_from_slice(name.as_bytes());
    raw[157..157 + link.len()].copy_from_slice(link.as_bytes());
    header.set_cksum();
    tar.append(&header, data).unwrap();
}

/// Archives that would write to `outside`, each with the reason for which it is refused.
fn escapes(outside: &str) -> Vec<(&'static str, Vec<u8>, &'static str)> {
    use tar::EntryType as T;
    let make = |members: &[(T, &str, &str)]| {
        let mut tar = tar::Builder::new(Vec::new());
        for (kind, name, link) in members {
            member(&mut tar, *kind, name, link);
        }
        tar.into_inner().unwrap()
    };
    let absolute = format!("{outside}/evil");
    vec![
        ("dots.tar", make(&[(T::Regular, "a/../../evil", "")]), "Refused `a/../../evil`"),
        ("absolute.tar", make(&[(T::Regular, &absolute, "")]), "Refused `"),
        (
            "through.tar",
            make(&[(T::Symlink, "l", outside), (T::Regular, "l/evil", "")]),
            "Refused `l",
        ),
        ("hard.tar", make(&[(T::Link, "l", "../../../../../etc/passwd")]), "Refused `l`"),
    ]
}

/// An empty directory beside the project, for archives to write to.
fn outside(sandbox: &Sandbox) -> String {
    let path = sandbox.project().with_file_name("outside");
    fs_err::create_dir(&path).unwrap();
    path.into_os_string().into_string().unwrap()
}

#[test]
fn no_archive_writes_outside_of_its_place() {
    let sandbox = project("");
    let outside = outside(&sandbox);
    for (name, bytes, reason) in escapes(&outside) {
        sandbox.write(name, bytes);
        sandbox.write("Dockerfile", format!("FROM busybox\nADD {name} /x/\n"));
        refused(&sandbox, ["import", name, "bad"], &[reason]);
        refused(&sandbox, ["load", "-i", name], &["Refused `"]);
        build_refused(&sandbox, &[reason]);
        let written = fs_err::read_dir(&outside).unwrap().count();
        assert_eq!(written, 0, "{name}");
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut child = Command::new("gzip")
        .arg("-c")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(bytes));
        child.wait_with_output().unwrap().stdout
    })
}

#[test]
fn half_a_compressed_archive_is_none() {
    let sandbox = project("FROM busybox\nADD half.tar.gz /x/\n");
    let whole = gzip(crate::base::busybox_tar());
    for (what, bytes) in [
        ("cut", whole[..whole.len() / 2].to_vec()),
        ("without its checksum", whole[..whole.len() - 8].to_vec()),
        ("with another checksum", {
            let mut bytes = whole.clone();
            let at = bytes.len() - 6;
            bytes[at] ^= 1;
            bytes
        }),
    ] {
        sandbox.write("half.tar.gz", bytes);
        let reason: &[&str] = &[if what == "cut" { "half.tar.gz" } else { "" }];
        refused(&sandbox, ["import", "half.tar.gz", "bad"], &[]);
        refused(&sandbox, ["load", "-i", "half.tar.gz"], reason);
        build_refused(&sandbox, &[]);
    }
}

#[test]
fn a_layer_with_another_digest_is_refused() {
    let here = project("FROM busybox\nRUN echo cool content > /f\n");
    super::built(&here);
    here.gantry(["save", "-o", "good.tar", "good"]).success();
    let mut bytes = here.read("good.tar");
    let at = bytes.windows(12).position(|window| window == b"cool content").unwrap();
    bytes[at..at + 4].copy_from_slice(b"evil");
    let there = Sandbox::new();
    there.write("bad.tar", &bytes);
    refused(&there, ["load", "-i", "bad.tar"], &["sha256:"]);
    // Where the good layer is known already, the bad one does not take its place.
    here.write("bad.tar", &bytes);
    let _ = here.gantry(["load", "-i", "bad.tar"]);
    clean(&here);
    assert_eq!(super::in_image(&here, ["cat", "/f"]), "cool content\n");
}
