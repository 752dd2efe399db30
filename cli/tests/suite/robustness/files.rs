//! Sources that lead elsewhere or can't be read.

use std::os::unix::fs::{PermissionsExt, symlink};

use super::{build_refused, built, in_image, project};

#[test]
fn a_link_in_the_context_does_not_lead_out_of_it() {
    let sandbox = project("");
    fs_err::create_dir(sandbox.project().with_file_name("outside")).unwrap();
    fs_err::write(sandbox.project().with_file_name("outside").join("f"), "secret").unwrap();
    symlink("../outside", sandbox.project().join("relative")).unwrap();
    symlink(sandbox.project().with_file_name("outside"), sandbox.project().join("absolute"))
        .unwrap();
    for source in ["relative/f", "absolute/f", "../outside/f", "x/../../outside/f", "/../outside/f"]
    {
        for instruction in ["COPY", "ADD"] {
            sandbox.write("Dockerfile", format!("FROM busybox\n{instruction} {source} /f\n"));
            let error = build_refused(&sandbox, &["not found"]);
            assert!(error.stderr.contains("Dockerfile:2\n"), "{}", error.stderr);
        }
    }
}

#[test]
fn a_link_in_an_image_stays_in_the_image() {
    let sandbox = project("");
    let outside = sandbox.project().with_file_name("outside");
    fs_err::write(&outside, "secret").unwrap();
    let made = format!(
        "FROM busybox AS made\nRUN ln -s {} /direct && ln -s ../../../../../.. /up && mkdir /d\n",
        outside.display()
    );
    let asked = outside.display().to_string();
    for source in ["/direct".to_owned(), format!("/up{asked}"), format!("/../..{asked}")] {
        let copy = format!("{made}FROM busybox\nCOPY --from=made {source} /f\n");
        sandbox.write("Dockerfile", copy);
        build_refused(&sandbox, &["not found"]);
    }
    // What a link is followed to is the image's own.
    let copy = "FROM busybox\nCOPY --from=made /up/etc/group /f\nCOPY Dockerfile /up/../d\n";
    sandbox.write("Dockerfile", format!("{made}{copy}"));
    built(&sandbox);
    assert!(in_image(&sandbox, ["cat", "/f"]).contains("staff"));
}

#[test]
fn a_link_at_the_destination_stays_in_the_image() {
    let sandbox = project("");
    let outside = sandbox.project().with_file_name("outside");
    fs_err::create_dir(&outside).unwrap();
    let target = outside.display();
    sandbox.write(
        "Dockerfile",
        format!("FROM busybox\nRUN ln -s {target} /l\nCOPY f /l/f\nADD f /l/g\nWORKDIR /l/w\n"),
    );
    sandbox.write("f", "text");
    built(&sandbox);
    assert_eq!(fs_err::read_dir(&outside).unwrap().count(), 0, "nothing is written there");
    assert_eq!(in_image(&sandbox, ["cat", &format!("{target}/f"), "/l/g"]), "texttext");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let sandbox = project("FROM busybox\nCOPY dir /dir\n");
    sandbox.write("dir/open", "open");
    sandbox.write("dir/closed", "closed");
    let path = sandbox.project().join("dir/closed");
    fs_err::set_permissions(&path, PermissionsExt::from_mode(0o000)).unwrap();
    if fs_err::File::open(&path).is_ok() {
        return crate::eprintln_skip("root reads everything; the other user's run shows this");
    }
    build_refused(&sandbox, &["dir/closed", "Permission denied"]);
    // Neither does it matter to whoever does not copy it.
    sandbox.write("Dockerfile", "FROM busybox\nCOPY dir/open /open\n");
    built(&sandbox);
    sandbox.write("Dockerfile", "FROM busybox\nCOPY dir /dir\n");
    sandbox.write(".dockerignore", "dir/closed\n");
    built(&sandbox);
}
