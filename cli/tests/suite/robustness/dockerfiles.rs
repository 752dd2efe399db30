//! Dockerfiles that are no text, too large, or ask for what is not there.

use super::{build_refused, built, in_image, project};

#[test]
fn a_base_image_that_is_not_there() {
    let sandbox = project("FROM busybox\nRUN true\nFROM nosuch:1\nRUN true\n");
    build_refused(
        &sandbox,
        &["nosuch:1", "failed to resolve source metadata for docker.io/library/nosuch:1"],
    );
}

#[test]
fn stages_in_a_circle_and_stages_that_are_not_there() {
    let circle = "FROM b AS a\nFROM a AS b\n";
    build_refused(&project(circle), &[]);
    let copies = "FROM busybox AS a\nCOPY --from=b /x /\nFROM busybox AS b\nCOPY --from=a /x /\n";
    build_refused(&project(copies), &[]);
    build_refused(&project("FROM busybox AS a\nCOPY --from=a /x /\n"), &[]);
}

#[test]
fn a_nul_byte_is_no_part_of_a_word() {
    let cases: [(&[u8], &str); 4] = [
        (b"FROM busybox\nRUN echo a\0b\n", "NUL"),
        (b"FROM busybox\nENV A=a\0b\nRUN env\n", "NUL"),
        (b"FROM busybox\nWORKDIR /a\0b\n", "NUL"),
        (b"FROM busybox\nCOPY a\0b /x\n", ""),
    ];
    for (dockerfile, word) in cases {
        build_refused(&project(dockerfile), &[word]);
    }
    let image = project(b"FROM busy\0box\n");
    build_refused(&image, &["Dockerfile", "failed to solve"][1..]);
    let nothing = project([0; 4096]);
    build_refused(&nothing, &["unknown instruction"]);
}

#[test]
fn bytes_that_are_no_utf8_are_replaced() {
    let sandbox = project(b"# caf\xe9\nFROM busybox\nRUN echo 'a\xffb' > /text\n");
    built(&sandbox);
    assert_eq!(in_image(&sandbox, ["cat", "/text"]), "a\u{fffd}b\n");
    build_refused(&project(b"\xff\xfe\xfd\n\x80\x80"), &["unknown instruction"]);
}

#[test]
fn ten_megabytes_of_dockerfile_are_read() {
    let comments = "# a line that says nothing at all\n".repeat(300_000);
    assert!(comments.len() > 10_000_000);
    let sandbox = project(format!("FROM busybox\n{comments}RUN echo far > /text\n"));
    built(&sandbox);
    assert_eq!(in_image(&sandbox, ["cat", "/text"]), "far\n");
}

#[test]
fn a_line_is_no_longer_than_docker_allows() {
    let long = "x".repeat(3_000_000);
    let error = build_refused(
        &project(format!("FROM busybox\nENV BIG={long}\nRUN true\n")),
        &["dockerfile line greater than max allowed size of 65535"],
    );
    assert!(error.stderr.contains("Dockerfile:2\n"), "the place is told");
}

#[test]
fn an_environment_larger_than_the_kernel_takes_fails_the_step() {
    use std::fmt::Write as _;
    let mut dockerfile = "FROM busybox\n".to_owned();
    let value = "x".repeat(60_000);
    for number in 0..60 {
        writeln!(dockerfile, "ENV V{number}={value}").unwrap();
    }
    build_refused(&project(format!("{dockerfile}RUN true\n")), &["Argument list too long"]);
    // As long as nobody has to run with it, it is as good as any.
    built(&project(format!("FROM busybox\nRUN true\n{}", &dockerfile["FROM busybox\n".len()..])));
}
