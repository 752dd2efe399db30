//! The flags of `build` (C1), each at work.

use super::{build, cached, config, history, project, told};
use crate::sandbox::Sandbox;

fn words(sandbox: &Sandbox, flags: &[&str], code: i32) -> String {
    let mut words = vec!["build"];
    words.extend(flags);
    words.push(".");
    sandbox.gantry_words(&words).code(code).stderr
}

/// The first line of what is said to flags that can't be.
fn refused(flags: &[&str]) -> String {
    let shown = words(&project("FROM busybox\n"), flags, 1);
    shown.lines().next().unwrap_or_default().to_owned()
}

fn json(sandbox: &Sandbox, path: &str) -> serde_json::Value {
    serde_json::from_slice(&sandbox.read(path)).unwrap()
}

#[test]
fn c1_01_contexts_that_are_not_there() {
    let sandbox = project("FROM busybox\n");
    assert_eq!(
        sandbox.gantry(["build"]).code(1).stderr,
        "ERROR: please specify build context (e.g. \".\" for the current directory)\n"
    );
    assert_eq!(
        sandbox.gantry(["build", "x"]).code(1).stderr,
        "ERROR: unable to prepare context: path \"x\" not found\n"
    );
}

#[test]
fn c1_02_dockerfiles_elsewhere() {
    let sandbox = Sandbox::with([("a/f", "x")]).with_busybox();
    sandbox.write("../D", "FROM busybox\nCOPY f /f\n");
    std::os::unix::fs::symlink("../D", sandbox.project().join("L")).unwrap();
    sandbox.gantry(["build", "-f", "../D", "a"]).success();
    sandbox.gantry(["build", "-f", "L", "a"]).success();
    sandbox.gantry_with_input(["build", "-f", "-", "a"], b"FROM busybox\nCOPY f /\n").success();
}

#[test]
fn c1_03_tags() {
    let sandbox = project("FROM busybox\n");
    sandbox.gantry(["build", "-t", "a", "-t", "b:1", "."]).success();
    let names = sandbox.gantry(["images", "--format", "{{.Repository}}:{{.Tag}}"]).success();
    assert!(names.stdout.contains("a:latest") && names.stdout.contains("b:1"), "{}", names.stdout);
    assert_eq!(
        refused(&["-t", "UPPER"]),
        "ERROR: invalid tag \"UPPER\": invalid reference format: repository name \
         (library/UPPER) must be lowercase"
    );
}

#[test]
fn c1_04_and_05_arguments_and_targets() {
    let sandbox = project("FROM busybox AS a\nARG X=no\nRUN echo $X\nFROM busybox AS b\n");
    let sandbox = sandbox.env("X", "outside");
    assert_eq!(build(&sandbox, ["--target", "a", "--build-arg", "X"]), "outside\n");
    assert_eq!(build(&sandbox, ["--target", "a", "--build-arg", "X=given"]), "given\n");
}

#[test]
fn c1_06_no_cache_for_all_and_for_stages() {
    let sandbox = project(
        "FROM busybox AS a\nRUN echo a > /a\nFROM busybox AS b\nRUN echo b > /b\n\
         FROM busybox\nCOPY --from=a /a /\nCOPY --from=b /b /\n",
    );
    build(&sandbox, []);
    // What the last stage is made from is not even looked for.
    assert_eq!(cached(&told(&sandbox, [])), 2);
    let filtered = told(&sandbox, ["--no-cache-filter", "a"]);
    let block = |text: &str, title: &str| {
        let found = text.split("\n\n").find(|block| block.contains(title)).unwrap().to_owned();
        found.contains("CACHED")
    };
    assert!(!block(&filtered, "RUN echo a") && block(&filtered, "RUN echo b"), "{filtered}");
    assert_eq!(cached(&told(&sandbox, ["--no-cache"])), 0);
    // What ran is in the cache again.
    assert_eq!(cached(&told(&sandbox, [])), 2);
    assert_eq!(
        refused(&["--no-cache", "--no-cache-filter", "a"]),
        "ERROR: --no-cache and --no-cache-filter cannot currently be used together"
    );
    assert_eq!(cached(&told(&sandbox, ["--no-cache=false"])), 2);
}

#[test]
fn c1_08_and_09_load_and_push() {
    let sandbox = project("FROM busybox\n");
    words(&sandbox, &["--load", "-t", "loaded"], 0);
    assert!(sandbox.gantry(["inspect", "loaded"]).success().stdout.contains("loaded:latest"));
    // Both are there: the archive, and the image in the store.
    words(&sandbox, &["--load", "-t", "two", "-o", "type=oci,dest=o.tar"], 0);
    assert!(sandbox.project().join("o.tar").is_file());
    let _ = sandbox.gantry(["inspect", "two"]).success();
    assert_eq!(refused(&["--push"]), "ERROR: tag is needed when pushing to registry");
}

/// Nothing of the host's platform may be needed, for nothing here could run another's programs.
#[test]
fn c1_10_several_platforms_make_an_index() {
    let sandbox = Sandbox::with([
        ("Dockerfile", "FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH /which\nCOPY both /\n"),
        ("amd64", "a"),
        ("arm64", "b"),
        ("both", "same"),
    ]);
    let flags = ["--platform", "linux/amd64,linux/arm64", "-t", "x", "--metadata-file", "m"];
    let outputs = ["-o", "type=oci,dest=l,tar=false", "-o", "type=image"];
    let shown = words(&sandbox, &[&flags[..], &outputs].concat(), 0);
    assert!(shown.contains("[linux/amd64 1/2] COPY amd64 /which"), "{shown}");
    assert!(shown.contains("[linux/arm64 1/2] COPY arm64 /which"), "{shown}");
    let layout = json(&sandbox, "l/index.json");
    let entry = &layout["manifests"][0];
    assert_eq!(layout["manifests"].as_array().unwrap().len(), 1, "one name, one index");
    assert_eq!(entry["mediaType"], "application/vnd.oci.image.index.v1+json");
    let digest = entry["digest"].as_str().unwrap().to_owned();
    let index = json(&sandbox, &format!("l/blobs/{}", digest.replace(':', "/")));
    let platforms: Vec<_> =
        index["manifests"].as_array().unwrap().iter().map(|m| &m["platform"]).collect();
    assert_eq!(platforms[0]["architecture"], "amd64");
    assert_eq!(platforms[1]["architecture"], "arm64");
    let about = json(&sandbox, "m");
    assert_eq!(about["containerimage.digest"], digest.as_str());
    assert!(about.get("containerimage.config.digest").is_none(), "{about}");
    // The store's name stands for the image that can run here.
    let here = gantry_arch();
    let shown = sandbox.gantry(["inspect", "-f", "{{.Architecture}}", "x"]).success().stdout;
    assert_eq!(shown.trim(), here);
    // Another store takes the layout, and finds its own platform in it.
    let other = Sandbox::new();
    let layout = sandbox.project().join("l");
    other.gantry(["load", "-i", layout.to_str().unwrap()]).success();
    let shown = other.gantry(["inspect", "-f", "{{.Architecture}}", "x"]).success().stdout;
    assert_eq!(shown.trim(), here);
    assert_eq!(
        refused(&["--platform", "linux/amd64,linux/arm64", "--load"]),
        "ERROR: docker exporter does not currently support exporting manifest lists"
    );
    // `local` is this host, and one platform, said twice or not, makes no index.
    words(&sandbox, &["--platform", "local", "--platform", "local", "-o", "type=docker,dest=d"], 0);
}

/// A name stands for all platforms' images, and what only one of them needs is not garbage.
#[test]
fn the_images_for_other_platforms_stay_while_there_is_a_name() {
    let sandbox = Sandbox::with([
        ("Dockerfile", "FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH /which\n"),
        ("amd64", "a"),
        ("arm64", "b"),
    ]);
    let both = ["--platform", "linux/amd64,linux/arm64"];
    let ids = |args: &[&str]| -> Vec<String> {
        let list = [&["images", "-q", "--no-trunc"][..], args].concat();
        let shown = sandbox.gantry_words(&list).success().stdout;
        shown.lines().map(str::to_owned).collect()
    };
    words(&sandbox, &[&both[..], &["-t", "x"]].concat(), 0);
    let (named, all) = (ids(&[]), ids(&["-a"]));
    assert_eq!((named.len(), all.len()), (1, 2), "{all:?}");
    let other = all.iter().find(|id| **id != named[0]).unwrap().as_str();
    assert_eq!(ids(&["-a", "--filter", "dangling=true"]), [""; 0]);
    let used = sandbox.gantry(["du", "--filter", "type=image", "--format", "{{.UsedBy}}"]);
    assert_eq!(used.success().stdout, "image x:latest\n".repeat(2));

    // Neither pruning nor the removal of another name takes it away, layers included.
    sandbox.gantry(["tag", other, "y"]).success();
    let removed = sandbox.gantry(["rmi", "y"]).success().stdout;
    assert_eq!(removed, "Untagged: y:latest\n");
    let refused = sandbox.gantry(["rmi", other]).code(1).stderr;
    assert!(refused.contains("image x:latest"), "{refused}");
    for prune in [&["image", "prune", "-f"][..], &["prune", "-af"]] {
        sandbox.gantry_words(prune).success();
        sandbox.gantry(["save", "-o", "other.tar", other]).success();
        sandbox.gantry(["save", "-o", "named.tar", "x"]).success();
        let saved = Sandbox::new();
        let archive = sandbox.project().join("other.tar");
        saved.gantry(["load", "-i", archive.to_str().unwrap()]).success();
        saved.gantry(["inspect", other]).success();
    }
    sandbox.gantry(["fsck"]).success();

    // Another image in its place lets the old one go; so does the end of the last name.
    sandbox.write(if gantry_arch() == "amd64" { "arm64" } else { "amd64" }, "c");
    words(&sandbox, &[&both[..], &["-t", "x"]].concat(), 0);
    sandbox.gantry(["image", "prune", "-f"]).success();
    sandbox.gantry(["inspect", other]).code(1);
    assert_eq!((ids(&[]), ids(&["-a"]).len()), (named, 2));
    sandbox.gantry(["rmi", "x"]).success();
    sandbox.gantry(["image", "prune", "-f"]).success();
    assert_eq!(ids(&["-a"]), [""; 0]);
    words(&sandbox, &[&both[..], &["-t", "x"]].concat(), 0);
    sandbox.gantry(["image", "prune", "-af"]).success();
    assert_eq!(ids(&["-a"]), [""; 0]);
}

fn gantry_arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// A program for other machines can't be executed, and it is said what is to be done.
#[test]
fn c1_10_a_step_for_other_machines() {
    let other = if gantry_arch() == "arm64" { "amd64" } else { "arm64" };
    let machine: u8 = if other == "arm64" { 183 } else { 62 };
    if fs_err::read_dir("/proc/sys/fs/binfmt_misc").is_ok_and(|found| found.count() > 2) {
        assert!(!crate::sandbox::required("no-binfmt"), "no emulator may be registered");
        return crate::eprintln_skip("an emulator is registered");
    }
    let sandbox = Sandbox::with([("Dockerfile", "FROM scratch\nCOPY sh /bin/sh\nRUN true\n")]);
    let mut elf = vec![0x7f, b'E', b'L', b'F', 2, 1, 1];
    elf.resize(16, 0);
    elf.extend([2, 0, machine, 0, 1, 0, 0, 0]);
    elf.resize(64, 0);
    sandbox.write("sh", elf);
    let path = sandbox.project().join("sh");
    fs_err::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let platform = format!("linux/{other}");
    let shown = words(&sandbox, &["--platform", &platform], 1);
    let wanted =
        format!("exec format error: the step is for {platform}, and this host runs linux/");
    assert!(shown.contains(&wanted), "{shown}");
    assert!(shown.contains("hint: Register an emulator"), "{shown}");
    assert!(shown.contains(&format!("--install {other}`")), "{shown}");
}

#[test]
fn c1_11_and_12_progress_and_quiet() {
    let error = refused(&["-q", "--progress", "plain"]);
    assert_eq!(error, "ERROR: progress=plain and quiet cannot be used together");
    let sandbox = project("FROM busybox\nRUN echo hi\n");
    let printed = sandbox.gantry(["build", "-q", "."]).success();
    assert!(printed.stdout.starts_with("sha256:") && printed.stdout.lines().count() == 1);
    assert_eq!(printed.stderr, "");
    let printed = sandbox.env("BUILDKIT_PROGRESS", "rawjson").gantry(["build", "."]).success();
    assert!(printed.stderr.starts_with('{'), "{}", printed.stderr);
}

/// Every value of the flag, alone and with `-q`; the variable is what `auto` means.
#[test]
fn c1_11_every_form_of_progress() {
    let sandbox = project("FROM busybox\nRUN echo hi\n");
    let shown = |mode: &str| {
        let printed = sandbox.gantry(["build", "--progress", mode, "."]).success();
        (printed.stdout, printed.stderr)
    };
    for mode in ["auto", "plain"] {
        assert!(shown(mode).1.starts_with("#1 [internal] load build definition"), "{mode}");
    }
    for mode in ["quiet", "none"] {
        assert_eq!(shown(mode), (String::new(), String::new()), "{mode}");
    }
    assert!(shown("rawjson").1.starts_with("{\"vertexes\":["));
    assert!(shown("steps").0.starts_with("Step 1/2 : FROM busybox\n"));
    let tty = "ERROR: failed to get console: provided file is not a console";
    assert_eq!(refused(&["--progress=tty"]), tty);
    for mode in ["plain", "tty", "rawjson", "none", "steps"] {
        let wanted = format!("ERROR: progress={mode} and quiet cannot be used together");
        assert_eq!(refused(&["-q", "--progress", mode]), wanted);
    }
    let quiet = |sandbox: &Sandbox, flag: &[&str]| {
        let printed = sandbox.gantry_words(&[&["build", "-q"], flag, &["."]].concat()).success();
        assert_eq!((printed.stdout.len(), printed.stderr.as_str()), (7 + 64 + 1, ""), "{flag:?}");
    };
    for flag in ["--progress=auto", "--progress=quiet"] {
        quiet(&sandbox, &[flag]);
    }
    let sandbox = sandbox.env("BUILDKIT_PROGRESS", "rawjson");
    quiet(&sandbox, &[]);
    assert!(words(&sandbox, &["--progress=auto"], 0).starts_with('{'));
    assert!(words(&sandbox, &["--progress=plain"], 0).starts_with("#1 "));
    let sandbox = sandbox.env("BUILDKIT_PROGRESS", "");
    assert!(words(&sandbox, &[], 0).starts_with("#1 "));
    let sandbox = sandbox.env("BUILDKIT_PROGRESS", "sideways");
    assert!(words(&sandbox, &[], 1).starts_with("ERROR: invalid progress mode sideways\n"));
    quiet(&sandbox, &[]);
}

#[test]
fn c1_13_the_image_id_in_a_file() {
    let sandbox = project("FROM busybox\n");
    let id = sandbox.gantry(["build", "-q", "--iidfile", "id", "."]).success().stdout;
    assert_eq!(sandbox.read("id"), id.trim_end().as_bytes());
    // The one of a build that failed is gone, and what is no image's config is the index.
    sandbox.write("Dockerfile", "FROM busybox\nRUN false\n");
    words(&sandbox, &["--iidfile", "id"], 1);
    assert!(!sandbox.project().join("id").exists());
    sandbox.write("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n");
    let several = ["--platform", "linux/amd64,linux/arm64", "--iidfile", "id"];
    words(&sandbox, &[&several[..], &["-o", "type=oci,dest=l,tar=false"]].concat(), 0);
    let index = json(&sandbox, "l/index.json")["manifests"][0]["digest"].clone();
    assert_eq!(String::from_utf8(sandbox.read("id")).unwrap(), index.as_str().unwrap());
    let error = refused(&["--iidfile", "id", "-o", "out"]);
    assert_eq!(error, "ERROR: local and tar exporters are incompatible with image ID file");
}

#[test]
fn c1_14_the_metadata_file() {
    let sandbox = project("FROM busybox as b\n").env("BUILDX_METADATA_WARNINGS", "1");
    words(&sandbox, &["-t", "a", "-t", "b:1", "--metadata-file", "m"], 0);
    let about = json(&sandbox, "m");
    let digest = about["containerimage.digest"].as_str().unwrap();
    let descriptor = &about["containerimage.descriptor"];
    assert_eq!(descriptor["digest"], digest);
    assert_eq!(descriptor["mediaType"], "application/vnd.oci.image.manifest.v1+json");
    assert!(descriptor["size"].as_u64().unwrap() > 100);
    assert_eq!(descriptor["platform"]["os"], "linux");
    assert_eq!(about["image.name"], "docker.io/library/a:latest,docker.io/library/b:1");
    assert_eq!(about["buildx.build.ref"].as_str().unwrap().split('/').count(), 3);
    let warning = &about["buildx.build.warnings"][0];
    assert_eq!(warning["range"][0]["start"]["line"], 1);
    let url = warning["url"].as_str().unwrap();
    assert!(url.ends_with("/from-as-casing/"), "{url}");
}

/// What the image is called is told wherever the name was given, and nothing of what is no image.
#[test]
fn c1_14_names_in_the_metadata_file() {
    let sandbox = project("FROM busybox\nRUN true\n").env("BUILDX_METADATA_PROVENANCE", "disabled");
    let about = |flags: &[&str]| {
        words(&sandbox, &[flags, &["--metadata-file", "m"]].concat(), 0);
        json(&sandbox, "m")
    };
    for (output, name) in [
        ("type=oci,dest=o.tar,name=q:1", "docker.io/library/q:1"),
        (
            "type=docker,dest=o.tar,\"name=q,r:2\"",
            "docker.io/library/q:latest,docker.io/library/r:2",
        ),
        ("type=image,name=q:1", "docker.io/library/q:1"),
    ] {
        assert_eq!(about(&["-o", output])["image.name"], name);
        // `--tag` stands in its place.
        let tagged = about(&["-t", "zz", "-o", output]);
        assert_eq!(tagged["image.name"], "docker.io/library/zz:latest");
    }
    let prefixed = about(&["-o", "type=image,dangling-name-prefix=x/y"]);
    let name = format!("docker.io/x/y@{}", prefixed["containerimage.digest"].as_str().unwrap());
    assert_eq!(prefixed["image.name"], name);
    assert!(about(&[]).get("image.name").is_none());
    let files = about(&["-o", "out"]);
    let keys: Vec<_> = files.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["buildx.build.ref"], "{files}");
}

#[test]
fn c1_15_to_17_secrets_agents_and_contexts() {
    let error = |flag, value| refused(&[flag, value]);
    assert_eq!(error("--secret", "id=x,type=y"), "ERROR: unsupported secret type \"y\"");
    let missing = "ERROR: failed to stat nofile: stat nofile: no such file or directory";
    assert_eq!(error("--secret", "id=x,src=nofile"), missing);
    assert_eq!(error("--secret", "id=nofile"), missing);
    assert_eq!(error("--secret", "src=Dockerfile"), "ERROR: secret missing ID");
    let sandbox = project("FROM busybox\nRUN --mount=type=secret,id=S cat /run/secrets/S\n");
    sandbox.write("S", "of a file\n");
    assert_eq!(build(&sandbox, ["--secret", "id=S"]), "of a file\n");
    let sandbox = sandbox.env("S", "of a variable\n");
    assert_eq!(build(&sandbox, ["--no-cache", "--secret", "id=S"]), "of a variable\n");
    assert_eq!(
        error("--ssh", "default"),
        "ERROR: invalid empty ssh agent socket: make sure SSH_AUTH_SOCK is set"
    );
    assert_eq!(
        error("--build-context", "x"),
        "ERROR: invalid context value: x, expected key=value"
    );
}

#[test]
fn c1_19_labels_win() {
    let sandbox = project("FROM busybox\nLABEL a=file b=file\n");
    build(&sandbox, ["--label", "a=flag", "--label", "c"]);
    let labels = &config(&sandbox)["Labels"];
    assert_eq!(
        (&labels["a"], &labels["b"], &labels["c"]),
        (&"flag".into(), &"file".into(), &"".into())
    );
}

#[test]
fn c1_20_annotations() {
    let sandbox = Sandbox::with([("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")]);
    let output = ["-o", "type=oci,dest=l,tar=false"];
    words(
        &sandbox,
        &[&["--annotation", "a=b", "--annotation", "manifest-descriptor:c=d"][..], &output]
            .concat(),
        0,
    );
    let layout = json(&sandbox, "l/index.json");
    let entry = &layout["manifests"][0];
    assert_eq!(entry["annotations"]["c"], "d");
    let digest = entry["digest"].as_str().unwrap().replace(':', "/");
    assert_eq!(json(&sandbox, &format!("l/blobs/{digest}"))["annotations"]["a"], "b");
    fs_err::remove_dir_all(sandbox.project().join("l")).unwrap();
    let several = ["--platform", "linux/amd64,linux/arm64"];
    let annotations = [
        "--annotation",
        "index,index-descriptor:all=1",
        "--annotation",
        "manifest[linux/arm64]:only=arm",
    ];
    words(&sandbox, &[&several[..], &annotations, &output].concat(), 0);
    let layout = json(&sandbox, "l/index.json");
    let entry = &layout["manifests"][0];
    assert_eq!(entry["annotations"]["all"], "1");
    let blob = |digest: &serde_json::Value| {
        json(&sandbox, &format!("l/blobs/{}", digest.as_str().unwrap().replace(':', "/")))
    };
    let index = blob(&entry["digest"]);
    assert_eq!(index["annotations"]["all"], "1");
    let manifests: Vec<_> =
        index["manifests"].as_array().unwrap().iter().map(|m| blob(&m["digest"])).collect();
    assert!(manifests[0].get("annotations").is_none(), "{}", manifests[0]);
    assert_eq!(manifests[1]["annotations"]["only"], "arm");
    assert_eq!(
        words(&sandbox, &["--annotation", "index:a=b"], 1).lines().next(),
        Some("ERROR: failed to solve: index annotations not supported for single platform export")
    );
    assert_eq!(
        refused(&["--annotation", "x"]),
        "ERROR: invalid annotation \"x\", expected key=value"
    );
}

#[test]
fn c1_22_networks() {
    let error = refused(&["--network", "mine"]);
    assert!(error.starts_with("ERROR: network mode \"mine\" not supported"), "{error}");
    let text = "FROM busybox\nRUN grep -c : /proc/net/dev\n";
    assert_eq!(build(&project(text), ["--network", "none"]), "1\n");
}

#[test]
fn c1_23_hosts() {
    let sandbox = project("FROM busybox\nRUN grep me /etc/hosts | tr '\\t' ' '\n");
    let flags = ["--add-host", "me=10.1.2.3,[fe80::1]", "--add-host", "also.me:10.1.2.4"];
    let shown = build(&sandbox, flags);
    for line in ["10.1.2.3 me\n", "fe80::1 me\n", "10.1.2.4 also.me\n"] {
        assert!(shown.contains(line), "{shown}");
    }
    // The host is where the network says; a network without it has no name for it.
    let gateway = |network: &str| {
        let flags = ["--add-host", "me=host-gateway", "--add-host", "its.me:10.1.2.5"];
        build(
            &sandbox,
            [flags[0], flags[1], flags[2], flags[3], "--network", network, "--no-cache"],
        )
    };
    assert_eq!(gateway("none"), "10.1.2.5 its.me\n");
    assert_eq!(gateway("host"), "127.0.0.1 me\n10.1.2.5 its.me\n");
    let error = refused(&["--add-host", "x"]);
    assert_eq!(error, "ERROR: invalid host x");
}

#[test]
fn c1_24_and_25_limits_of_steps() {
    let sandbox =
        project("FROM busybox\nRUN ulimit -n; df -k /dev/shm | tail -1 | awk '{print $2}'\n");
    let flags = ["--ulimit", "nofile=123:456", "--shm-size", "3m"];
    assert_eq!(build(&sandbox, flags), "123\n3072\n");
    // They are in no key.
    let more = ["--ulimit", "nofile=123:456", "--shm-size", "3m", "--resource", "cpu-shares=512"];
    assert_eq!(cached(&told(&sandbox, more)), 1);
    assert_eq!(refused(&["--resource", "x=1"]), "ERROR: unknown resource \"x\"");
    assert_eq!(
        refused(&["--resource", "memory=x"]),
        "ERROR: invalid value \"x\" for resource \"memory\": invalid size: 'x'"
    );
}

/// By either flag, and below a group that was not there.
#[test]
fn c1_24_and_25_processors_of_steps() {
    let text = "FROM busybox\nRUN grep Cpus_allowed_list /proc/self/status | cut -f 2; nproc\n";
    let sandbox = project(text);
    let status = fs_err::read_to_string("/proc/self/status").unwrap();
    let mine = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
    let cpu = mine.trim().split([',', '-']).next().unwrap().to_owned();
    let resource = format!("cpuset-cpus={cpu}");
    let parent = format!("/gantry-test-{}", std::process::id());
    let all = [
        &["--resource", &resource][..],
        &["--cpuset-cpus", &cpu],
        &["--resource", &resource, "--cgroup-parent", &parent],
    ];
    for flags in all {
        let build = ["build", "--progress", "plain", "--no-cache"];
        let run = sandbox.gantry_words(&[&build[..], flags, &["."]].concat());
        let shown = run.to_string();
        if !run.succeeded() && shown.contains("cgroup") {
            assert!(!crate::sandbox::required("cgroup"), "CPUs can't be limited: {shown}");
            return crate::eprintln_skip("CPUs can't be limited here");
        }
        assert_eq!(super::printed(&run.success().stderr), format!("{cpu}\n1\n"), "{flags:?}");
    }
    // Whoever names a group has it to keep.
    super::limits::remove_groups(&parent);
    let error = words(&sandbox, &["--ulimit", "nofile=5:3"], 125);
    let wanted = "invalid argument \"nofile=5:3\" for \"--ulimit\" flag: ulimit soft limit must be \
                  less than or equal to hard limit: 5 > 3\n";
    assert!(error.starts_with(wanted), "{error}");
}

#[test]
fn c1_26_entitlements() {
    let sandbox = project("FROM busybox\nRUN --security=insecure true\n");
    let shown = words(&sandbox, &[], 1);
    assert!(shown.contains("entitlement security.insecure is not allowed"), "{shown}");
    assert_eq!(refused(&["--allow", "x"]), "ERROR: unknown entitlement x");
    let error = refused(&["--allow", "buildx.local.delete=x"]);
    assert_eq!(error, "ERROR: buildx.local.delete does not accept a value");
}

#[test]
fn c1_27_checks_and_calls() {
    let sandbox = project("FROM busybox\n");
    let shown = sandbox.gantry(["build", "--check", "."]).success().stdout;
    assert!(shown.contains("Check complete, no warnings found."), "{shown}");
    let _ = project("FROM busybox as x\n").gantry(["build", "--check", "."]).code(1);
    let shown = sandbox.gantry(["build", "--call=targets,format=json", "."]).success().stdout;
    assert!(serde_json::from_str::<serde_json::Value>(&shown).is_ok(), "{shown}");
}

/// New layers become one, the base's stay; nothing that was removed is left in any layer (F21).
#[test]
fn c1_29_squash() {
    let text = "FROM busybox\nRUN mkdir /d && echo secret-canary > /d/key && echo kept > /kept\n\
        RUN rm /d/key /bin/wget && ln /kept /also && ln -s kept /soft && chmod 711 /d\n\
        WORKDIR /w\nENV A=b\nRUN touch /w/x && rm -r /home && mkdir /home && echo n > /home/n\n";
    let sandbox = project(text);
    let layers = |name: &str| -> Vec<String> {
        let shown = sandbox.gantry(["inspect", "-f", "{{json .RootFS.Layers}}", name]).success();
        serde_json::from_str(&shown.stdout).unwrap()
    };
    let list = "cd / && find . -xdev \\( -path ./proc -o -path ./sys -o -path ./dev \\) -prune -o \
                -exec stat -c '%n %f %u %g %s %Y' {} + | grep -v '^./etc[ /]\\|^. ' | sort";
    let run = |name: &str| sandbox.gantry(["run", "--rm", name, "sh", "-c", list]).success().stdout;
    build(&sandbox, ["-t", "plain"]);
    build(&sandbox, ["-t", "squashed", "--squash"]);
    let base = layers("busybox");
    let (plain, squashed) = (layers("plain"), layers("squashed"));
    assert_eq!(plain.len(), base.len() + 4);
    assert_eq!(squashed.len(), base.len() + 1);
    assert_eq!(squashed[..base.len()], base[..]);
    assert_eq!(run("plain"), run("squashed"), "the same root filesystem");
    assert!(run("squashed").contains("./soft"));
    sandbox.gantry(["build", "--squash", "-o", "type=oci,dest=o.tar", "."]).success();
    let tar = sandbox.read("o.tar");
    let holds = |needle: &[u8]| tar.windows(needle.len()).any(|window| window == needle);
    // It is in the history's text alone.
    assert!(!holds(b"secret-canary\n"), "the deleted file is in a layer");
    assert!(holds(b"kept\n"));
    // History and layers fit, and a rebuild makes the same image.
    let id = |name: &str| sandbox.gantry(["inspect", "-f", "{{.Id}}", name]).success().stdout;
    let first = id("squashed");
    assert_eq!(cached(&told(&sandbox, ["-t", "squashed", "--squash"])), 4);
    assert_eq!(id("squashed"), first);
    assert_ne!(id("plain"), first);
    assert!(history(&sandbox).iter().any(|line| line == "ENV A=b"));
}

#[test]
fn c1_30_legacy_flags_are_warned_of_once() {
    let sandbox = project("FROM busybox\n");
    let flags = ["--rm", "--force-rm=true", "--compress", "--isolation=x", "--security-opt=x"];
    let shown = words(&sandbox, &[&flags[..], &["-m", "1g", "-c", "3"]].concat(), 0);
    let warnings: Vec<&str> = shown.lines().filter(|line| line.starts_with("WARNING")).collect();
    assert_eq!(
        warnings,
        ["WARNING: --rm, --force-rm, --compress, --isolation and --security-opt have no effect \
          and are ignored"]
    );
}

#[test]
fn c1_31_builders_and_debug() {
    let sandbox = project("FROM busybox as x\n");
    let shown = words(&sandbox, &["--builder", "other", "-D"], 0);
    assert!(shown.contains("FromAsCasing"), "{shown}");
}

#[test]
fn c1_32_podmans_flags() {
    let sandbox =
        project("FROM nothing\nARG A=no\nRUN echo $A\nENV X=1 Y=2\nLABEL l=1 m=2\nCOPY . /c\n");
    sandbox.write("args", "# comment\nA=file\n");
    sandbox.write("ignore", "args\n");
    let flags = [
        "--from=busybox",
        "--build-arg-file=args",
        "--ignorefile=ignore",
        "--jobs=2",
        "--layers",
        "--env=Z=3",
        "--unsetenv=X",
        "--unsetlabel=l",
        "--skip-unused-stages",
        "--manifest=other",
        "--timestamp=1700000000",
    ];
    assert_eq!(build(&sandbox, flags), "file\n");
    let config = config(&sandbox);
    let env = config["Env"].to_string();
    assert!(env.contains("Y=2") && env.contains("Z=3") && !env.contains("X=1"), "{env}");
    assert_eq!(config["Labels"], serde_json::json!({ "m": "2" }));
    let listed = sandbox.gantry(["run", "--rm", "x", "ls", "/c"]).success().stdout;
    assert!(!listed.contains("args") && listed.contains("ignore"), "{listed}");
    let created = sandbox.gantry(["inspect", "-f", "{{.Created}}", "other"]).success().stdout;
    assert_eq!(created, "2023-11-14T22:13:20Z\n");
    words(&sandbox, &["--from=busybox", "--format=docker", "-o", "type=oci,dest=l,tar=false"], 0);
    assert_eq!(
        json(&sandbox, "l/index.json")["manifests"][0]["mediaType"],
        "application/vnd.docker.distribution.manifest.v2+json"
    );
    assert_eq!(refused(&["-v", "/a:/b"]), "ERROR: --volume is not supported");
    assert_eq!(
        refused(&["--timestamp=1", "--source-date-epoch=1"]),
        "ERROR: --timestamp and --source-date-epoch cannot be used together"
    );
    assert_eq!(refused(&["--timestamp=x"]), "ERROR: invalid SOURCE_DATE_EPOCH: x");
}

#[test]
fn c8_14_variables() {
    let sandbox = project("FROM busybox\nARG SOURCE_DATE_EPOCH\nRUN echo $SOURCE_DATE_EPOCH\n");
    let sandbox = sandbox.at_time(1_700_000_000).env("BUILDX_GIT_LABELS", "1");
    let git = |args: &[&str]| {
        let mut git = std::process::Command::new("git");
        git.args(["-c", "user.name=x", "-c", "user.email=x@x", "-c", "init.defaultBranch=main"]);
        let status = git.args(args).current_dir(sandbox.project()).output().unwrap().status;
        assert!(status.success(), "git {args:?}");
    };
    git(&["init"]);
    git(&["add", "."]);
    git(&["commit", "-m", "x"]);
    git(&["remote", "add", "origin", "https://user:secret@example.com/r.git"]);
    assert_eq!(build(&sandbox, []), "1700000000\n");
    let labels = config(&sandbox)["Labels"].clone();
    assert_eq!(labels["com.docker.image.source.entrypoint"], "Dockerfile");
    assert_eq!(labels["org.opencontainers.image.source"], "https://example.com/r.git");
    let revision = labels["org.opencontainers.image.revision"].as_str().unwrap();
    assert!(revision.len() == 40, "{revision}");
    // A look at every file takes its time, so it has to be asked for.
    sandbox.write("new", "");
    build(&sandbox, []);
    assert_eq!(config(&sandbox)["Labels"]["org.opencontainers.image.revision"], revision);
    let sandbox = sandbox.env("BUILDX_GIT_CHECK_DIRTY", "true").env("BUILDX_GIT_LABELS", "full");
    build(&sandbox, []);
    let labels = config(&sandbox)["Labels"].clone();
    let dirty = labels["org.opencontainers.image.revision"].as_str().unwrap();
    assert_eq!(dirty, format!("{revision}-dirty"));
    let none = sandbox.env("BUILDX_GIT_LABELS", "0").env("BUILDX_NO_DEFAULT_LOAD", "1");
    let shown = words(&none, &["-t", "nothing"], 0);
    assert!(shown.starts_with("WARNING: No output specified with gantry driver."), "{shown}");
    let _ = none.gantry(["inspect", "nothing"]).code(1);
}

#[test]
fn c8_14_each_variable_does_what_it_does_for_buildx() {
    let text = "FROM busybox\nARG TARGETARCH\nRUN echo $TARGETARCH $HTTP_PROXY\n";
    let with = |name: &str, value: &str| project(text).env(name, value);
    // There is one builder, whatever it is called, and nothing to keep of it.
    for name in ["BUILDX_BUILDER", "BUILDX_CONFIG", "DOCKER_BUILDKIT", "BUILDX_EXPERIMENTAL"] {
        let shown = words(&with(name, "1"), &[], 0);
        assert!(shown.starts_with("#1 [internal]"), "{name}: {shown}");
    }
    let shown = words(&with("BUILDKIT_PROGRESS", "quiet"), &[], 0);
    assert_eq!(shown, "");
    let shown = words(&with("BUILDKIT_PROGRESS", "quiet"), &["--progress=plain"], 0);
    assert!(shown.starts_with("#1 [internal]"), "a flag comes first: {shown}");
    let shown = words(&with("BUILDKIT_PROGRESS", "sideways"), &[], 1);
    assert!(shown.contains("sideways"), "{shown}");
    let other = if cfg!(target_arch = "aarch64") { "amd64" } else { "arm64" };
    let sandbox = with("DOCKER_DEFAULT_PLATFORM", &format!("linux/{other}"));
    sandbox.write("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n");
    words(&sandbox, &["-t", "x"], 0);
    let arch = sandbox.gantry(["inspect", "-f", "{{.Architecture}}", "x"]).success().stdout;
    assert_eq!(arch.trim_end(), other);
    let sandbox = with("DOCKER_CONFIG", "docker");
    sandbox.write(
        "docker/config.json",
        r#"{"proxies": {"default": {"httpProxy": "http://of-docker:1"}}}"#,
    );
    assert!(build(&sandbox, []).ends_with(" http://of-docker:1\n"));
    // What would have been forbidden must not be built because nobody looked.
    let error = words(&with("EXPERIMENTAL_BUILDKIT_SOURCE_POLICY", "policy.json"), &[], 1);
    assert!(
        error.starts_with("ERROR: EXPERIMENTAL_BUILDKIT_SOURCE_POLICY is set, and there are no"),
        "{error}"
    );
    let warned = |value: &str| {
        let sandbox = with("BUILDX_METADATA_WARNINGS", value);
        sandbox.write("Dockerfile", "FROM busybox as x\n");
        words(&sandbox, &["--metadata-file", "m"], 0);
        json(&sandbox, "m").get("buildx.build.warnings").is_some()
    };
    assert!(warned("true") && !warned("0") && !warned(""));
}

#[test]
fn b7_16_proxies_of_dockers_configuration() {
    let sandbox = project("FROM busybox\nRUN echo $HTTP_PROXY $no_proxy\n");
    sandbox.write(
        "../home/.docker/config.json",
        r#"{"proxies": {"default": {"httpProxy": "http://p:1", "noProxy": "x"}}}"#,
    );
    assert_eq!(build(&sandbox, []), "http://p:1 x\n");
    let given = ["--no-cache", "--build-arg", "HTTP_PROXY=http://nearer"];
    assert_eq!(build(&sandbox, given), "http://nearer x\n");
}
