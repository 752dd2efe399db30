//! What containers make of images: the merged tree, writable layers, `diff`, `commit` (A1, A3).

use std::process::{Child, Stdio};

use serde_json::Value;

use super::project;
use crate::sandbox::Sandbox;

fn lines(sandbox: &Sandbox, args: &[&str]) -> Vec<String> {
    sandbox.gantry_words(args).success().stdout.lines().map(str::to_owned).collect()
}

fn inspect(sandbox: &Sandbox, name: &str) -> Value {
    let text = sandbox.gantry(["inspect", name]).success().stdout;
    serde_json::from_str::<Vec<Value>>(&text).unwrap().remove(0)
}

/// Runs a script in a container with this name, which stays.
fn run(sandbox: &Sandbox, name: &str, script: &str) -> String {
    let run = ["run", "--network", "none", "--name", name, "busybox", "sh", "-ec", script];
    sandbox.gantry(run).success().stdout
}

fn sizes(sandbox: &Sandbox) -> Vec<String> {
    lines(sandbox, &["ps", "-as", "--format", "{{.Names}} {{.Size}}"])
}

#[test]
fn a1_15_containers_add_their_own_layers_alone() {
    let sandbox = Sandbox::new().with_busybox();
    let layers = || {
        let mut names: Vec<_> = fs_err::read_dir(sandbox.store().join("layers"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        names
    };
    run(&sandbox, "one", "true");
    let before = layers();
    for name in ["two", "three"] {
        run(&sandbox, name, "echo x > /x");
    }
    assert_eq!(layers(), before);
    assert_eq!(lines(&sandbox, &["ps", "-aq"]).len(), 3);
}

#[test]
fn a3_01_one_merged_tree() {
    let sandbox = project(
        "FROM busybox\nRUN mkdir /d && echo 1 > /d/a && echo 1 > /d/b && echo 1 > /d/gone\n\
         RUN echo 2 > /d/b && echo 2 > /d/c && rm /d/gone\n",
    );
    sandbox.gantry(["build", "-q", "-t", "x", "."]).success();
    let script = "cd /d; ls | xargs; cat a b c | xargs";
    let seen = sandbox.gantry(["run", "--rm", "x", "sh", "-c", script]).success().stdout;
    assert_eq!(seen, "a b c\n1 2 2\n");
}

#[test]
fn a3_02_layers_below_stay_as_they_are() {
    let sandbox = Sandbox::new().with_busybox();
    sandbox.gantry(["save", "-o", "before.tar", "busybox"]).success();
    run(
        &sandbox,
        "one",
        "echo x >> /etc/passwd; chmod 700 /bin; rm -r /home; touch -d @1 /bin/busybox; mv /tmp /t",
    );
    sandbox.gantry(["fsck"]).success();
    sandbox.gantry(["save", "-o", "after.tar", "busybox"]).success();
    assert!(sandbox.read("before.tar") == sandbox.read("after.tar"));
    assert_eq!(run(&sandbox, "two", "tail -n 1 /etc/passwd; stat -c %a /bin; ls -d /home /tmp"), {
        "nobody:x:65534:65534:nobody:/home:/bin/false\n755\n/home\n/tmp\n"
    });
}

#[test]
fn a3_03_the_writable_layer_has_a_size() {
    let sandbox = Sandbox::new().with_busybox();
    run(&sandbox, "nothing", "true");
    let whole = inspect(&sandbox, "busybox")["Size"].as_u64().unwrap();
    let image = lines(&sandbox, &["images", "--format", "{{.Size}}", "busybox"]).remove(0);
    assert_eq!(sizes(&sandbox), [format!("nothing 0B (virtual {image})")]);
    let table = lines(&sandbox, &["ps", "-a", "--size"]);
    assert!(table[0].ends_with("   NAMES     SIZE"), "{table:?}");
    assert!(!lines(&sandbox, &["ps", "-a"])[0].contains("SIZE"));
    sandbox.gantry(["rm", "nothing"]).success();
    run(&sandbox, "some", "head -c 1895 /dev/zero > /tmp/x; rm /bin/wget; ln -s x /tmp/y");
    assert!(sizes(&sandbox)[0].starts_with("some 1.9kB (virtual "), "{:?}", sizes(&sandbox));
    sandbox.gantry(["rm", "some"]).success();
    // A file that is touched is there whole.
    run(&sandbox, "copied", "chmod 700 /bin/busybox");
    let busybox = fs_err::metadata("/bin/busybox").unwrap().len();
    assert!(busybox <= whole);
    let written = sizes(&sandbox).remove(0);
    let unit =
        |text: &str| text.trim_start_matches("copied ").split(' ').next().unwrap().to_owned();
    assert!(unit(&written).ends_with("MB"), "{written}");
    let megabytes: f64 = unit(&written).trim_end_matches("MB").parse().unwrap();
    #[expect(clippy::cast_precision_loss, reason = "compared roughly")]
    let expect = busybox as f64 / 1e6;
    assert!((megabytes - expect).abs() < 0.01, "{written}");
}

#[test]
fn a3_04_what_differs_from_the_image() {
    let sandbox = Sandbox::new().with_busybox();
    let script = "echo x > /tmp/x; mkdir -p /new/dir; rm /bin/wget; rm -r /home; mkdir /home; \
                  echo x >> /etc/passwd; touch /made; rm /made";
    run(&sandbox, "one", script);
    let expect = [
        "C /bin",
        "D /bin/wget",
        "C /etc",
        "C /etc/passwd",
        "C /home",
        "A /new",
        "A /new/dir",
        "C /tmp",
        "A /tmp/x",
    ];
    assert_eq!(lines(&sandbox, &["diff", "one"]), expect);
    let id = lines(&sandbox, &["ps", "-aq"]).remove(0);
    assert_eq!(lines(&sandbox, &["container", "diff", &id[..5]]), expect);
    // A layer says the same by a whiteout's name.
    sandbox.gantry(["commit", "one", "x"]).success();
    sandbox.gantry(["save", "--format", "oci-dir", "-o", "layout", "x"]).success();
    let blobs = fs_err::read_dir(sandbox.project().join("layout/blobs/sha256")).unwrap();
    let mut names = Vec::new();
    for blob in blobs.map(|entry| entry.unwrap().path()) {
        let mut archive = tar::Archive::new(fs_err::File::open(&blob).unwrap());
        let entries = archive.entries().unwrap();
        names.extend(entries.flatten().map(|e| e.path().unwrap().display().to_string()));
    }
    assert!(names.contains(&"bin/.wh.wget".to_owned()), "{names:?}");
    let error = sandbox.gantry(["diff", "nothing"]).code(1).stderr;
    assert_eq!(error, "ERROR: No such container: nothing\n");
}

#[test]
fn a3_05_containers_do_not_see_each_others_files() {
    let sandbox = Sandbox::new().with_busybox();
    run(&sandbox, "one", "echo one > /x");
    assert_eq!(run(&sandbox, "two", "ls /x 2>/dev/null || echo nothing"), "nothing\n");
    // What the first one wrote is still its own.
    assert_eq!(lines(&sandbox, &["diff", "one"]), ["A /x"]);
    assert_eq!(lines(&sandbox, &["diff", "two"]), [""; 0]);
}

#[test]
fn a3_07_a_container_becomes_an_image() {
    let text = "FROM busybox\nENV A=1\nONBUILD RUN true\nENTRYPOINT [\"sh\", \"-ec\"]\n";
    let sandbox = project(text);
    sandbox.gantry(["build", "-q", "-t", "base", "."]).success();
    sandbox.write("data/old", "x");
    let script = "echo cool content > /tmp/cool-file; rm /bin/wget; echo y > /data/new";
    let run = ["run", "--network", "none", "--name", "kitchen", "-e", "B=2", "-w", "/tmp"];
    sandbox.gantry_words(&[&run[..], &["-v", "./data:/data", "base", script]].concat()).success();
    let commit = ["commit", "-a", "A. Uthor", "-m", "a message", "-c", "LABEL of=\"a b\""];
    let more = ["--change", "CMD [\"cat /tmp/cool-file $A $B\"]", "kitchen", "fridge:1"];
    let id = sandbox.gantry_words(&[&commit[..], &more].concat()).success().stdout;
    let id = id.trim_end();
    assert!(id.len() == "sha256:".len() + 64 && id.starts_with("sha256:"), "{id}");
    let (base, made) = (inspect(&sandbox, "base"), inspect(&sandbox, "fridge:1"));
    assert_eq!((&made["Id"], &made["Author"]), (&id.into(), &"A. Uthor".into()));
    assert_eq!(made["Comment"], "a message");
    let layers = |image: &Value| image["RootFS"]["Layers"].as_array().unwrap().clone();
    let (below, all) = (layers(&base), layers(&made));
    assert_eq!((below.as_slice(), all.len()), (&all[..below.len()], below.len() + 1));
    let config = &made["Config"];
    assert_eq!(config["Entrypoint"].to_string(), r#"["sh","-ec"]"#);
    assert_eq!(config["Env"].as_array().unwrap().last().unwrap(), "B=2");
    assert_eq!((&config["WorkingDir"], &config["Labels"]["of"]), (&"/tmp".into(), &"a b".into()));
    assert_eq!(config["OnBuild"].to_string(), r#"["RUN true"]"#);
    let history = ["history", "--no-trunc", "--format", "{{.CreatedBy}}|{{.Comment}}", "fridge:1"];
    assert_eq!(lines(&sandbox, &history)[0], format!("{script}|a message"));
    // The files, and none of those that were mounted.
    let see =
        "cat /tmp/cool-file; ls /bin/wget /data 2>&1 | wc -l; ls -a /data 2>/dev/null | wc -l";
    let seen = sandbox.gantry(["run", "--rm", "fridge:1", see]).success().stdout;
    assert_eq!(seen, "cool content\n2\n0\n");
    // The same once more is the same layer; the container goes on being what it was.
    assert_eq!(lines(&sandbox, &["commit", "kitchen", "again"]).len(), 1);
    assert_eq!(layers(&inspect(&sandbox, "again")), all);
    sandbox.gantry(["rm", "kitchen"]).success();
    // And it can be built upon, saved and loaded.
    sandbox.write("Dockerfile", "FROM fridge:1\nRUN cat /tmp/cool-file\n");
    sandbox.gantry(["build", "."]).success();
    sandbox.gantry(["save", "-o", "f.tar", "fridge:1"]).success();
    let there = Sandbox::new();
    let archive = sandbox.project().join("f.tar");
    there.gantry(["load", "-i", archive.to_str().unwrap()]).success();
    assert_eq!(inspect(&there, "fridge:1")["Id"], id);
    sandbox.gantry(["fsck"]).success();
    let error = sandbox.gantry(["commit", "-c", "RUN true", "x"]).code(1).stderr;
    assert_eq!(error, "ERROR: No such container: x\n");
}

/// Ends with the test, however that ends.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        drop((self.0.kill(), self.0.wait()));
    }
}

/// One that runs stands still meanwhile, and goes on afterwards.
#[test]
fn a3_07_a_running_container_is_paused() {
    let sandbox = Sandbox::new().with_busybox();
    sandbox.write("signs/x", "");
    let count = "for i in $(seq 20000); do echo $i >> /a; echo $i >> /b; touch /signs/begun; \
                 test -e /signs/end && exit; done; exit 9";
    let run = ["run", "--network", "none", "--name", "counter", "-v", "./signs:/signs"];
    let mut command = sandbox.command(run);
    command.args(["busybox", "sh", "-ec", count]).stdout(Stdio::null());
    let mut child = Killed(command.spawn().unwrap());
    let begun = sandbox.project().join("signs/begun");
    for _ in 0..500 {
        if begun.exists() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(lines(&sandbox, &["ps", "--format", "{{.Names}}"]), ["counter"]);
    assert_eq!(lines(&sandbox, &["diff", "counter"]), ["A /a", "A /b"]);
    for (number, flags) in [&[][..], &["--no-pause"], &["--pause=false"]].iter().enumerate() {
        let name = format!("shot:{number}");
        let words = [&["commit"][..], flags, &["counter", &name]].concat();
        if number > 0 {
            // It may be caught in the midst of a write, and then says so.
            drop(sandbox.gantry_words(&words));
            continue;
        }
        sandbox.gantry_words(&words).success();
        let script = "wc -l < /a; wc -l < /b";
        let seen = sandbox.gantry(["run", "--rm", &name, "sh", "-c", script]).success().stdout;
        let counts: Vec<u64> = seen.lines().map(|line| line.parse().unwrap()).collect();
        assert!(counts[0] == counts[1] || counts[0] == counts[1] + 1, "{seen}");
    }
    assert!(child.0.try_wait().unwrap().is_none(), "it goes on");
    sandbox.write("signs/end", "");
    assert!(child.0.wait().unwrap().success());
    sandbox.gantry(["fsck"]).success();
}

#[test]
fn a3_08_a_commits_name() {
    let sandbox = Sandbox::new().with_busybox();
    run(&sandbox, "one", "echo x > /x");
    sandbox.gantry(["container", "commit", "one", "fridge"]).success();
    let named = ["images", "--format", "{{.Repository}}:{{.Tag}}", "fridge"];
    assert_eq!(lines(&sandbox, &named), ["fridge:latest"]);
    sandbox.gantry(["commit", "-m", "no name", "one"]).success();
    let dangling = ["images", "-f", "dangling=true", "--format", "{{.Repository}}:{{.Tag}}"];
    assert_eq!(lines(&sandbox, &dangling), ["<none>:<none>"]);
    // What wrote nothing adds no layer.
    run(&sandbox, "idle", "true");
    sandbox.gantry(["commit", "idle", "same"]).success();
    let layers = |name: &str| inspect(&sandbox, name)["RootFS"]["Layers"].clone();
    assert_eq!(layers("same"), layers("busybox"));
    let sizes = lines(&sandbox, &["history", "--format", "{{.Size}}", "same"]);
    assert_eq!((sizes.len(), sizes[0].as_str()), (2, "0B"));
}

/// Whoever unpacks and runs it, and with what umask: everybody may enter the root directory.
#[test]
fn a3_06_the_umask_is_nobodys_business() {
    let sandbox = Sandbox::new().with_busybox();
    sandbox
        .write("Dockerfile", "FROM busybox\nUSER nobody\nRUN ls / > /dev/null\nRUN stat -c %a /\n");
    let gantry = sandbox.command([]).get_program().to_str().unwrap().to_owned();
    let script = format!(
        "umask 077; {gantry} run --rm --network none -u nobody busybox stat -c %a /; \
         {gantry} build --progress plain ."
    );
    let mut command = sandbox.other(std::path::Path::new("sh"), &["-ec", &script]);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert_eq!(output.stdout, b"755\n");
    assert_eq!(super::printed(&told), "755\n");
}
