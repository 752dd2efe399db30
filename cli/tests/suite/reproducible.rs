//! The same Dockerfile at the same `SOURCE_DATE_EPOCH` is the same bytes: in another store, at
//! another moment, as another user, put together in another way (B7-14, C8-14).

use std::io::{Read as _, Write as _};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::sandbox::{Sandbox, required};

const EPOCH: i64 = 1_714_564_800;

/// Every kind of entry, and times of now wherever a step leaves some.
const TEXT: &str = r#"FROM busybox AS made
WORKDIR /made
RUN mkdir deep && date > /dev/null && echo now > deep/file && ln deep/file deep/hard \
    && ln -s file deep/soft && ln deep/file deep/again && mkfifo deep/fifo && chmod 1777 deep \
    && chown 7:8 deep/file && chmod 4750 deep/file && echo other > other
RUN chown 5:6 other && chmod 2711 other && chown -h 9 deep/soft \
    && rm /bin/wget deep/again
FROM busybox
ENV A=b C="d e"
WORKDIR /work/here
COPY --chown=12:34 file soft tool ./
COPY --from=made /made/ /made/
RUN mkdir -p /full/sub/deep /full/gone && touch /full/a /full/sub/b /full/sub/deep/c
RUN rm -r /home /full && mkdir -p /home /full/sub/deep && echo new > /full/a && touch -d '2031-02-03 04:05' /future
ADD --chmod=600 file /added/
COPY <<END /typed
here
END
LABEL of=it
VOLUME /data
CMD ["cat", "/made/deep/file"]
"#;

/// What is looked at of one build.
#[derive(Debug, PartialEq)]
struct Made {
    image: String,
    manifest: String,
    oci: Vec<u8>,
    docker: Vec<u8>,
}

/// A project of its own: the store and the times of all files differ from any other's.
fn project(text: &str) -> Sandbox {
    let sandbox = Sandbox::with([("Dockerfile", text), ("file", "content\n"), ("tool", "#!\n")]);
    let path = |name: &str| sandbox.project().join(name);
    fs_err::set_permissions(path("tool"), PermissionsExt::from_mode(0o755)).unwrap();
    symlink("file", path("soft")).unwrap();
    sandbox.write("../base.tar", crate::base::busybox_tar());
    let mut import = sandbox.command(["import", "../base.tar", "busybox"]);
    import.env("SOURCE_DATE_EPOCH", EPOCH.to_string()).stdout(Stdio::null());
    assert!(import.status().unwrap().success());
    sandbox
}

/// A build with all the outputs that [`collect`] looks at.
const OUTPUTS: [&str; 11] = [
    "build",
    "-t",
    "made",
    "-o",
    "type=oci,dest=../oci.tar",
    "-o",
    "type=docker,dest=../docker.tar",
    "-o",
    "type=image",
    "--metadata-file=../about.json",
    ".",
];

fn build(sandbox: &Sandbox, flags: &[&str]) -> Made {
    let output = sandbox.command(OUTPUTS).args(flags).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    collect(sandbox)
}

fn collect(sandbox: &Sandbox) -> Made {
    let about: serde_json::Value = serde_json::from_slice(&sandbox.read("../about.json")).unwrap();
    let digest = |name: &str| about[name].as_str().unwrap().to_owned();
    Made {
        image: digest("containerimage.config.digest"),
        manifest: digest("containerimage.digest"),
        oci: sandbox.read("../oci.tar"),
        docker: sandbox.read("../docker.tar"),
    }
}

/// Says which part differs, and not all bytes of it.
#[track_caller]
fn assert_same(one: &Made, two: &Made) {
    assert_eq!(one.image, two.image, "image ID");
    assert_eq!(one.manifest, two.manifest, "manifest digest");
    assert!(one.oci == two.oci, "`type=oci` differs");
    assert!(one.docker == two.docker, "`type=docker` differs");
}

fn next_second() {
    std::thread::sleep(Duration::from_millis(1100));
}

#[test]
fn two_stores_at_two_moments() {
    let one = project(TEXT).at_time(EPOCH);
    let first = build(&one, &[]);
    next_second();
    let two = project(TEXT).at_time(EPOCH);
    let second = build(&two, &["--no-cache"]);
    assert_same(&first, &second);
    // Everything says the time that was given.
    let created = two.gantry(["inspect", "-f", "{{.Created}}", "made"]).success().stdout;
    assert_eq!(created, "2024-05-01T12:00:00Z\n");
    two.gantry(["build", "-o", "type=tar,dest=root.tar", "."]).success();
    for entry in tar::Archive::new(&*two.read("root.tar")).entries().unwrap() {
        let entry = entry.unwrap();
        let time = entry.header().mtime().unwrap();
        assert!(time <= EPOCH.unsigned_abs(), "{:?} is of {time}", entry.path());
    }
}

#[test]
fn the_variable_the_build_argument_and_the_global_arg_are_one() {
    let given = build(&project(TEXT).at_time(EPOCH), &[]);
    let argument = format!("SOURCE_DATE_EPOCH={EPOCH}");
    assert_same(&given, &build(&project(TEXT), &["--build-arg", &argument]));
    let text = format!("ARG SOURCE_DATE_EPOCH={EPOCH}\n{TEXT}");
    assert_same(&given, &build(&project(&text), &[]));
    // The build argument is nearer than the environment.
    let later = project(TEXT).at_time(EPOCH + 86_400);
    assert_same(&given, &build(&later, &["--build-arg", &argument]));
    // And the test can fail.
    let other = build(&project(TEXT).at_time(EPOCH + 86_400), &[]);
    assert_ne!(given.image, other.image);
    assert!(given.oci != other.oci);
}

#[test]
fn a_bad_time_is_refused() {
    let sandbox = project(TEXT);
    let argument = "SOURCE_DATE_EPOCH=yesterday";
    let error = sandbox.gantry(["build", "--build-arg", argument, "."]).code(1).stderr;
    assert!(error.contains("invalid SOURCE_DATE_EPOCH: yesterday"), "{error}");
}

#[test]
fn layers_as_they_are_and_unpacked_and_copied() {
    let stacked = build(&project(TEXT).at_time(EPOCH), &[]);
    for snapshotter in ["attached", "trees", "copying"] {
        let other = project(TEXT).at_time(EPOCH).env("GANTRY_SNAPSHOTTER", snapshotter);
        assert_same(&stacked, &build(&other, &["--no-cache"]));
    }
}

#[test]
fn what_is_cached_is_what_would_be_built() {
    let sandbox = project(TEXT).at_time(EPOCH);
    let built = build(&sandbox, &[]);
    next_second();
    assert_same(&built, &build(&sandbox, &[]));
    assert_same(&built, &build(&sandbox, &["--no-cache"]));
}

/// A store that was filled without an epoch serves a build that has one.
#[test]
fn a_cache_of_another_time_is_no_hindrance() {
    let sandbox = project(TEXT);
    build(&sandbox, &[]);
    let argument = format!("SOURCE_DATE_EPOCH={EPOCH}");
    let cached = build(&sandbox, &["--build-arg", &argument]);
    assert_same(&cached, &build(&project(TEXT).at_time(EPOCH), &[]));
}

/// Root, and what an unprivileged user becomes, the root of a user namespace: the same bytes.
#[test]
fn as_root_and_in_a_user_namespace() {
    if !rustix::process::geteuid().is_root() {
        assert!(!required("root"), "root is required");
        return crate::eprintln_skip("only root can be both");
    }
    let plain = build(&project(TEXT).at_time(EPOCH), &[]);
    let sandbox = project(TEXT).at_time(EPOCH);
    let inner = sandbox.command(OUTPUTS);
    let mut outer = Command::new("unshare");
    outer.args(["--user", "sh", "-c", "echo; read _; exec \"$0\" \"$@\""]);
    outer.arg(inner.get_program()).args(inner.get_args()).current_dir(sandbox.project());
    outer.env_clear().envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut child = outer.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    // Not before it is in its namespace.
    child.stdout.take().unwrap().read_exact(&mut [0]).unwrap();
    for map in ["uid_map", "gid_map"] {
        fs_err::write(format!("/proc/{}/{map}", child.id()), "0 0 65536\n").unwrap();
    }
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert!(child.wait().unwrap().success());
    assert_same(&plain, &collect(&sandbox));
}

/// F6: what differs between the machines and habits of two people is in no image: umask, zone,
/// locale, host name, the number of threads, the names of directories.
#[test]
fn f6_a_machine_leaves_no_mark() {
    let plain = build(&project(TEXT).at_time(EPOCH), &[]);
    let root = rustix::process::geteuid().is_root();
    let elsewhere = "mkdir -p ../some/where/else; cp -a . ../some/where/else/; \
                     GANTRY_ROOT=$PWD/../another-store; export GANTRY_ROOT; \
                     \"$0\" import ../base.tar busybox > ../id; mkdir ../some/where/out; \
                     cd ../some/where/else; \"$0\" \"$@\"; mv ../about.json ../*.tar ../../../";
    for (what, script) in [
        ("umask 077", "umask 077; exec \"$0\" \"$@\""),
        ("umask 0", "umask 0; exec \"$0\" \"$@\""),
        ("zone", "TZ=Asia/Kathmandu LC_ALL=tr_TR.UTF-8 LANG=de_DE LANGUAGE=ja exec \"$0\" \"$@\""),
        ("one step at a time", "exec \"$0\" \"$@\" --jobs 1"),
        ("many steps at a time", "exec \"$0\" \"$@\" --jobs 16"),
        (
            "one CPU",
            "exec taskset -c \"$(taskset -cp $$ | sed 's/.*: //; s/[-,].*//')\" \"$0\" \"$@\"",
        ),
        (
            "host name",
            "exec unshare --uts sh -ec 'hostname elsewhere; exec \"$0\" \"$@\"' \"$0\" \"$@\"",
        ),
        ("directory and store", elsewhere),
    ] {
        if what == "host name" && !root {
            assert!(!required("root"), "root is required");
            crate::eprintln_skip("only root names hosts");
            continue;
        }
        let sandbox = project(TEXT).at_time(EPOCH);
        let inner = sandbox.command(OUTPUTS);
        let mut outer = sandbox.other(std::path::Path::new("sh"), &["-ec", script]);
        outer.arg(inner.get_program()).args(inner.get_args()).stdin(Stdio::null());
        let output = outer.output().unwrap();
        assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
        let made = collect(&sandbox);
        assert_eq!(plain.image, made.image, "{what}: image ID");
        assert_eq!(plain.manifest, made.manifest, "{what}: manifest digest");
        assert!(plain == made, "{what}: the archives differ");
    }
}

/// The same of compressed layers, and the digest that a registry gets to see.
#[test]
fn f6_compression_does_not_count_threads() {
    let digests: Vec<Vec<u8>> = ["1", "16"]
        .iter()
        .map(|jobs| {
            let sandbox = project("FROM busybox\nRUN seq 1 900000 > /numbers\n").at_time(EPOCH);
            let mut all = Vec::new();
            for kind in ["gzip", "zstd"] {
                let output = format!("type=oci,dest=../{kind},tar=false,compression={kind}");
                let flags = ["-o", &output, "--jobs", jobs, "."];
                let mut command = match *jobs {
                    "1" => sandbox.other(std::path::Path::new("taskset"), &["-c", &first_cpu()]),
                    _ => sandbox.other(std::path::Path::new("env"), &[]),
                };
                command.arg(sandbox.command([]).get_program()).arg("build").args(flags);
                let output = command.stdin(Stdio::null()).output().unwrap();
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                all.extend(sandbox.read(&format!("../{kind}/index.json")));
            }
            all
        })
        .collect();
    assert_eq!(digests[0], digests[1]);
}

/// A CPU that this process may run on.
fn first_cpu() -> String {
    let status = fs_err::read_to_string("/proc/self/status").unwrap();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
    list.trim().split(['-', ',']).next().unwrap().to_owned()
}
