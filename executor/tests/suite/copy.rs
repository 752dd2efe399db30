//! COPY and ADD: where files come to lie, whose they are, and what is refused.

use gantry_executor::{ContextSource, NamedContext};
use gantry_tree::Node;

use crate::common::{Sandbox, explain, set_mode};

/// Builds `FROM busybox` and one more line.
fn line(sandbox: &Sandbox, line: &str) -> crate::common::Built {
    sandbox.build(&format!("FROM busybox\n{line}\n"))
}

fn refusal(sandbox: &Sandbox, line: &str) -> String {
    explain(&sandbox.fail(&format!("FROM busybox\n{line}\n")))
}

#[test]
fn a_file_becomes_the_destination_or_goes_into_it() {
    needs_root!();
    let sandbox = Sandbox::with([("f", "x"), ("g", "y")]);
    assert_eq!(line(&sandbox, "COPY f /a/b/c").top(), ["a", "a/b", "a/b/c"]);
    assert_eq!(line(&sandbox, "COPY f /a/b/").top(), ["a", "a/b", "a/b/f"]);
    // `/tmp` is a directory of the base, and keeps its looks.
    let built = line(&sandbox, "COPY f /tmp");
    assert_eq!(built.top(), ["tmp", "tmp/f"]);
    assert_eq!(built.file("tmp").mode, 0o1777);
    assert_eq!(line(&sandbox, "COPY f g /d/").top(), ["d", "d/f", "d/g"]);
    assert_eq!(line(&sandbox, "WORKDIR /w\nCOPY f .").top(), ["w", "w/f"]);
}

#[test]
fn a_directorys_contents_are_merged_into_the_destination() {
    needs_root!();
    let sandbox = Sandbox::with([("d/f", "new"), ("d/sub/g", "y"), ("e/h", "z")]);
    set_mode(&sandbox.context().join("d"), 0o700);
    set_mode(&sandbox.context().join("d/sub"), 0o711);
    let built =
        line(&sandbox, "RUN mkdir -p /x/sub && echo old > /x/f && echo k > /x/keep\nCOPY d /x");
    assert_eq!(built.text("x/f"), "new");
    assert_eq!(built.text("x/keep"), "k\n");
    // What was there keeps its mode at the top, and takes the source's below.
    assert_eq!(built.file("x").mode, 0o755);
    assert_eq!(built.file("x/sub").mode, 0o711);
    // A new destination looks like any new directory, and not like its source; BuildKit's flags
    // leave it so.
    let built = line(&sandbox, "COPY --chmod=600 --chown=3:4 d /new");
    let (new, sub) = (built.file("new"), built.file("new/sub"));
    assert_eq!((new.mode, new.uid, new.gid), (0o755, 3, 4));
    assert_eq!((sub.mode, sub.uid, sub.gid), (0o600, 3, 4));
    // The same files twice make the same layer twice, and the root filesystem is whole.
    let twice =
        line(&sandbox, "COPY d /z\nRUN rm -r /z/sub\nCOPY d /z/\nRUN cat /z/sub/g /z/f > /r");
    assert_eq!(twice.text("r"), "ynew");
    assert_eq!(line(&sandbox, "COPY d e /y/").top(), ["y", "y/f", "y/h", "y/sub", "y/sub/g"]);
}

#[test]
fn what_is_in_the_way_is_named() {
    needs_root!();
    let sandbox = Sandbox::with([("d/f", "x"), ("f/g", "x"), ("file", "x")]);
    let text = refusal(&sandbox, "RUN echo > /file\nCOPY d /file");
    assert!(text.contains("cannot copy to non-directory: /file"), "{text}");
    let text = refusal(&sandbox, "RUN mkdir -p /t/f\nCOPY d /t");
    assert!(text.contains("cannot replace to directory /t/f with file"), "{text}");
    let text = refusal(&sandbox, "RUN mkdir -p /t && echo > /t/g\nCOPY file /t/g/");
    assert!(text.contains("cannot copy to non-directory: /t/g"), "{text}");
    sandbox.assert_clean();
}

#[test]
fn links_of_the_root_filesystem_are_followed_inside_it() {
    needs_root!();
    let sandbox = Sandbox::with([("f", "x")]);
    let built = line(
        &sandbox,
        "RUN mkdir /real && ln -s real /link && ln -s /real /abs\nCOPY f /link/\nCOPY f /abs/g",
    );
    assert_eq!(built.text("real/f"), "x");
    assert_eq!(built.text("real/g"), "x");
    let built = line(&sandbox, "RUN ln -s ../../../../../../gone /out\nCOPY f /out/x");
    assert_eq!(built.text("gone/x"), "x");
    assert!(!std::path::Path::new("/gone").exists());
}

#[test]
fn sources_do_not_leave_the_context() {
    needs_root!();
    let sandbox = Sandbox::with([("f", "inside")]);
    let outside = sandbox.dir.path().join("secret");
    fs_err::write(&outside, "outside").unwrap();
    std::os::unix::fs::symlink(&outside, sandbox.context().join("link")).unwrap();
    std::os::unix::fs::symlink("../..", sandbox.context().join("up")).unwrap();
    assert_eq!(line(&sandbox, "COPY ../../f /x").text("x"), "inside");
    let text = refusal(&sandbox, "COPY link /x");
    assert!(text.contains("\"/link\": not found"), "{text}");
    // `up` leads to the context's own root.
    assert_eq!(line(&sandbox, "COPY up/f /x").text("x"), "inside");
    let text = refusal(&sandbox, "COPY up/secret /x");
    assert!(text.contains("not found"), "{text}");
}

#[test]
fn a_link_that_is_named_is_followed_and_others_stay_links() {
    needs_root!();
    let sandbox = Sandbox::with([("d/f", "x")]);
    std::os::unix::fs::symlink("f", sandbox.context().join("d/l")).unwrap();
    std::os::unix::fs::symlink("d/f", sandbox.context().join("named")).unwrap();
    let built = line(&sandbox, "COPY named /n/\nCOPY d /d");
    assert_eq!(built.text("n/named"), "x");
    assert_eq!(built.file("d/l").node, Node::Symlink { target: b"f".to_vec() });
}

#[test]
fn patterns_are_gos_and_may_match_nothing() {
    needs_root!();
    let sandbox = Sandbox::with([("a.txt", "a"), ("b.txt", "b"), ("c.md", "c"), ("d/e.txt", "e")]);
    assert_eq!(line(&sandbox, "COPY *.txt /t/").top(), ["t", "t/a.txt", "t/b.txt"]);
    assert_eq!(line(&sandbox, "COPY ?.md d/*.txt /t/").top(), ["t", "t/c.md", "t/e.txt"]);
    assert_eq!(line(&sandbox, "COPY none* /t/").top(), Vec::<String>::new());
    assert_eq!(line(&sandbox, "COPY a.txt none* /t/").top(), ["t", "t/a.txt"]);
}

#[test]
fn a_missing_source_names_the_line_that_drops_it() {
    needs_root!();
    let sandbox = Sandbox::with([("app", "x"), ("apple", "y"), (".dockerignore", "# c\napp\n")]);
    let text = refusal(&sandbox, "COPY app /");
    assert!(text.contains("\"/app\": not found"), "{text}");
    assert!(text.contains("line 2 of `.dockerignore`, `app`"), "{text}");
    assert!(text.contains("add `!app` below line 2"), "{text}");
    let text = refusal(&sandbox, "COPY aple /");
    assert!(text.contains("Did you mean `apple`?"), "{text}");
    assert_eq!(line(&sandbox, "COPY . /c").top(), ["c", "c/.dockerignore", "c/apple"]);
}

#[test]
fn exceptions_of_the_ignore_file_let_files_of_dropped_directories_in() {
    needs_root!();
    let sandbox = Sandbox::with([
        ("d/keep/f", "x"),
        ("d/drop/g", "y"),
        ("other/h", "z"),
        (".dockerignore", "d\n!d/keep\nother\n.dockerignore\n"),
    ]);
    assert_eq!(line(&sandbox, "COPY . /c").top(), ["c", "c/d", "c/d/keep", "c/d/keep/f"]);
    assert_eq!(line(&sandbox, "COPY d /c").top(), ["c", "c/keep", "c/keep/f"]);
    let text = refusal(&sandbox, "COPY other /c");
    assert!(text.contains("not found"), "{text}");
}

#[test]
fn a_dockerfiles_own_ignore_file_wins() {
    needs_root!();
    let sandbox = Sandbox::with([
        ("a", "x"),
        ("b", "y"),
        (".dockerignore", "a\n"),
        ("sub/Dockerfile", "FROM busybox\nCOPY a b* /c/\n"),
        ("sub/Dockerfile.dockerignore", "b\n"),
    ]);
    let mut request = sandbox.request("");
    request.dockerfile = gantry_executor::DockerfileSource::InContext("sub/Dockerfile".into());
    assert_eq!(sandbox.run(request).top(), ["c", "c/a"]);
}

#[test]
fn owners_are_root_or_who_chown_says() {
    needs_root!();
    let sandbox = Sandbox::with([("f", "x"), ("d/g", "y")]);
    std::os::unix::fs::chown(sandbox.context().join("f"), Some(1234), Some(1234)).unwrap();
    let owner = |text: &str, path: &str| {
        let entry = line(&sandbox, text).file(path);
        (entry.uid, entry.gid)
    };
    assert_eq!(owner("USER app\nCOPY f /f", "f"), (0, 0));
    assert_eq!(owner("COPY --chown=app f /f", "f"), (1000, 1001));
    assert_eq!(owner("COPY --chown=7 f /f", "f"), (7, 7));
    assert_eq!(owner("COPY --chown=7:staff f /f", "f"), (7, 50));
    assert_eq!(owner("COPY --chown=app:9 d /d", "d/g"), (1000, 9));
    // Directories made on the way are given away too.
    assert_eq!(owner("COPY --chown=app f /new/f", "new"), (1000, 1001));
    let text = refusal(&sandbox, "COPY --chown=nobody f /f");
    assert!(text.contains("unable to find user nobody"), "{text}");
    let text = refusal(&sandbox, "COPY --chown=app:nogroup f /f");
    assert!(text.contains("unable to find group nogroup"), "{text}");
}

#[test]
fn modes_are_kept_or_what_chmod_says() {
    needs_root!();
    let sandbox = Sandbox::with([("f", "x"), ("d/g", "y")]);
    set_mode(&sandbox.context().join("f"), 0o4751);
    set_mode(&sandbox.context().join("d/g"), 0o600);
    assert_eq!(line(&sandbox, "COPY f /f").file("f").mode, 0o4751);
    assert_eq!(line(&sandbox, "COPY --chmod=640 f /f").file("f").mode, 0o640);
    let built = line(&sandbox, "COPY --chmod=u=rwX,go=rX d /d");
    assert_eq!((built.file("d").mode, built.file("d/g").mode), (0o755, 0o644));
}

#[test]
fn whole_seconds_and_hard_links_and_attributes_are_kept() {
    needs_root!();
    let sandbox = Sandbox::with([("d/f", "x")]);
    let file = sandbox.context().join("d/f");
    fs_err::hard_link(&file, sandbox.context().join("d/g")).unwrap();
    let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::new(1_234_567, 89);
    std::fs::File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
    let built = line(&sandbox, "COPY d /d");
    assert_eq!(built.file("d/f").mtime, gantry_tree::Time { secs: 1_234_567, nanos: 0 });
    let manifest =
        sandbox.store.layers().require(built.image().layers.last().unwrap()).unwrap().manifest();
    let manifest = manifest.unwrap();
    let links: Vec<_> = manifest
        .entries()
        .iter()
        .filter(|entry| matches!(entry.node, Node::HardLink { .. }))
        .map(|entry| entry.path.to_string())
        .collect();
    assert_eq!(links, ["d/g"]);
}

#[test]
fn copies_from_stages_images_and_named_contexts() {
    needs_root!();
    let sandbox = Sandbox::new();
    let other = sandbox.dir.path().join("other");
    fs_err::create_dir_all(other.join("sub")).unwrap();
    fs_err::write(other.join("sub/n"), "named").unwrap();
    let mut request = sandbox.request(
        "FROM busybox AS one\n\
         RUN mkdir /o && echo 1 > /o/a && chown app:staff /o/a && ln -s a /o/l\n\
         RUN echo 2 > /o/b && rm /o/l && ln /o/a /o/h\n\
         FROM scratch\n\
         COPY --from=one /o /stage\n\
         COPY --from=0 /o/a /index\n\
         COPY --from=busybox /etc/passwd /image\n\
         COPY --from=extra sub/ /named/\n",
    );
    request.named_contexts.insert("extra".into(), NamedContext::Directory(other));
    let built = sandbox.run(request);
    assert_eq!(built.text("stage/b"), "2\n");
    assert_eq!(built.text("index"), "1\n");
    assert_eq!(built.text("named/n"), "named");
    assert!(built.text("image").starts_with("root:"));
    let entry = built.file("stage/a");
    assert_eq!((entry.uid, entry.gid), (1000, 50));
    assert!(!built.files().contains_key("stage/l"));
    assert!(built.files().contains_key("stage/h"));
}

#[test]
fn parents_keep_the_path_below_the_pivot() {
    needs_root!();
    let sandbox = Sandbox::with([("a/b/f.c", "x"), ("a/g.c", "y"), ("a/b/h.o", "z")]);
    assert_eq!(
        line(&sandbox, "COPY --parents a/b/f.c /p/").top(),
        ["p", "p/a", "p/a/b", "p/a/b/f.c"]
    );
    assert_eq!(line(&sandbox, "COPY --parents a/./b/f.c /p/").top(), ["p", "p/b", "p/b/f.c"]);
    assert_eq!(
        line(&sandbox, "COPY --parents **/*.c /p/").top(),
        ["p", "p/a", "p/a/b", "p/a/b/f.c", "p/a/g.c"]
    );
    let text = refusal(&sandbox, "COPY --parents a/none /p/");
    assert!(text.contains("\"/a/none\": not found"), "{text}");
}

#[test]
fn excluded_files_are_left_out() {
    needs_root!();
    let sandbox =
        Sandbox::with([("d/a.txt", "1"), ("d/b.md", "2"), ("d/s/c.txt", "3"), ("e.txt", "4")]);
    assert_eq!(line(&sandbox, "COPY --exclude=**/*.txt d /x").top(), ["x", "x/b.md", "x/s"]);
    assert_eq!(line(&sandbox, "COPY --exclude=s --exclude=b.md d /x").top(), ["x", "x/a.txt"]);
    assert_eq!(
        line(&sandbox, "COPY --exclude=*.txt *.txt d /x/").top(),
        ["x", "x/b.md", "x/s", "x/s/c.txt"]
    );
}

#[test]
fn a_linked_copy_does_not_look_at_its_base() {
    needs_root!();
    let sandbox = Sandbox::with([("f", "x")]);
    let built = line(&sandbox, "RUN mkdir /real && ln -s real /link\nCOPY --link f /link/");
    // Laid over it, not followed.
    assert_eq!(built.top(), ["link", "link/f"]);
    // And so it need not be made again when the base changes.
    let again = line(&sandbox, "RUN mkdir /other\nCOPY --link f /link/");
    assert_eq!(again.ran(), ["RUN mkdir /other"]);
}

#[test]
fn heredocs_become_files() {
    needs_root!();
    let sandbox = Sandbox::new();
    let built = sandbox.build(
        "FROM busybox\nARG who=me\nCOPY <<one <<'two' /h/\nhi ${who}\none\nraw ${who}\ntwo\n",
    );
    assert_eq!(built.text("h/one"), "hi me\n");
    assert_eq!(built.text("h/two"), "raw ${who}\n");
    assert_eq!(built.file("h/one").mode, 0o644);
}

#[test]
fn add_unpacks_what_is_an_archive_by_its_bytes() {
    needs_root!();
    let sandbox = Sandbox::with([("no.tar", "not a tar at all")]);
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |path: &str, text: &str, uid: u64| {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o640);
        header.set_uid(uid);
        header.set_gid(5);
        tar.append_data(&mut header, path, text.as_bytes()).unwrap();
    };
    add("in/f", "x", 77);
    add("lib/g", "y", 0);
    let bytes = tar.into_inner().unwrap();
    sandbox.write("odd.name", &bytes);
    let built =
        line(&sandbox, "RUN ln -s usr /lib && mkdir /at\nADD odd.name no.tar /at/\nADD odd.name /");
    assert_eq!(built.text("at/in/f"), "x");
    assert_eq!(built.text("at/no.tar"), "not a tar at all");
    let entry = built.file("in/f");
    assert_eq!((entry.uid, entry.gid, entry.mode), (77, 5, 0o640));
    // A link of the base to a directory is gone through, so `/lib/g` is there.
    assert_eq!(built.text("usr/g"), "y");
    assert_eq!(line(&sandbox, "COPY odd.name /at/").top(), ["at", "at/odd.name"]);
    assert_eq!(line(&sandbox, "ADD --unpack=false odd.name /at/").top(), ["at", "at/odd.name"]);
    let entry = line(&sandbox, "ADD --chown=app odd.name /at/").file("at/in/f");
    assert_eq!((entry.uid, entry.gid), (1000, 1001));
}

#[test]
fn a_context_can_be_a_tar_or_nothing() {
    needs_root!();
    let sandbox = Sandbox::new();
    let mut tar = tar::Builder::new(Vec::new());
    for (path, text) in [("Dockerfile", "FROM busybox\nCOPY f /f\n"), ("f", "from tar")] {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, text.as_bytes()).unwrap();
    }
    let bytes = tar.into_inner().unwrap();
    let mut request = sandbox.request("");
    request.dockerfile = gantry_executor::DockerfileSource::InContext("Dockerfile".into());
    request.context = ContextSource::Tar(Box::new(std::io::Cursor::new(bytes)));
    assert_eq!(sandbox.run(request).text("f"), "from tar");
    let mut request = sandbox.request("FROM busybox\nCOPY f /f\n");
    request.context = ContextSource::Empty;
    let text = explain(&sandbox.fail_request(request));
    assert!(text.contains("\"/f\": not found"), "{text}");
    sandbox.assert_clean();
}

#[test]
fn a_changed_file_is_copied_and_the_others_are_linked() {
    needs_root!();
    use std::os::unix::fs::MetadataExt;
    let sandbox = Sandbox::with([("d/a", "1"), ("d/b", "2")]);
    let build = || {
        let mut request = sandbox.request("FROM busybox\nCOPY d /d\n");
        request.snapshotter = gantry_executor::Snapshotter::Trees;
        sandbox.run(request)
    };
    let first = build();
    sandbox.write("d/a", "changed");
    let second = build();
    assert_eq!(second.text("d/a"), "changed");
    let inode = |built: &crate::common::Built| {
        let layer = *built.image().layers.last().unwrap();
        let tree = sandbox.store.layers().require(&layer).unwrap().tree().unwrap();
        fs_err::metadata(tree.join("d/b")).unwrap().ino()
    };
    assert_eq!(inode(&first), inode(&second));
    sandbox.assert_clean();
}

/// The layer that COPY makes is a tar with an index, and everything that needs its files gets them
/// from there.
#[test]
fn what_is_copied_is_not_unpacked() {
    needs_root!();
    let sandbox = Sandbox::with([
        ("d/a", "1"),
        ("d/sub/b", "two"),
        ("d/bin/tool", "#!/bin/sh\necho ran\n"),
        ("passwd", "root:x:0:0::/:/bin/sh\ncopied:x:77:78::/:/bin/sh\n"),
    ]);
    set_mode(&sandbox.context().join("d/bin/tool"), 0o755);
    if let Err(reason) = sandbox.host.index(sandbox.store.root()) {
        let required = std::env::var("GANTRY_TEST_REQUIRE").unwrap_or_default();
        assert!(!required.split(',').any(|word| word == "index"), "{reason}");
        eprintln!("skipped: {reason}");
        return;
    }
    let dockerfile = "FROM busybox AS one\n\
         RUN chmod 711 /\n\
         COPY d /d\n\
         COPY passwd /etc/passwd\n\
         FROM busybox\n\
         RUN chmod 711 /\n\
         COPY d /d\n\
         COPY passwd /etc/passwd\n\
         COPY --from=one --chown=copied /d/sub /sub\n\
         RUN --mount=from=one,source=/d/sub,target=/m cat /m/b > /seen\n\
         RUN --mount=from=one,source=/d/a,target=/n,ro cat /n >> /seen\n\
         USER copied\n\
         RUN /d/bin/tool; id -u; stat -c %a /; stat -c %u:%g /sub/b; rm /d/a 2>&1 | cut -c1-3\n\
         USER root\n\
         RUN rm -r /d/sub && mkdir /d/sub && echo new >> /d/a\n\
         RUN cat /d/a; ls -A /d/sub\n";
    let built = sandbox.build(dockerfile);
    assert_eq!(built.text("seen"), "two1");
    let told = crate::common::logs_of(&built.events);
    assert_eq!(told, "ran\n77\n711\n77:78\nrm:\n1new\n");
    let layers = sandbox.store.layers();
    let forms = |position: usize| {
        let layer = layers.require(&built.image().layers[position]).unwrap();
        (layer.tree().is_some(), layer.mountable().is_some())
    };
    // busybox, RUN, then three copies.
    assert_eq!([forms(2), forms(3), forms(4)], [(false, true); 3]);
    // What was found by trying is known to the next process.
    let next = gantry_sandbox::probe();
    next.recall(sandbox.store.root(), &sandbox.store.hint("mounting").unwrap());
    assert_eq!(next.memory(sandbox.store.root()), sandbox.store.hint("mounting"));

    // What changed is changed, also in a tar that is mostly the one of before.
    sandbox.write("d/a", "changed");
    let again = sandbox.build(dockerfile);
    assert_eq!(
        (again.text("d/a"), again.text("seen")),
        ("changednew\n".into(), "twochanged".into())
    );
    assert_eq!(crate::common::logs_of(&again.events), "ran\n77\n711\n77:78\nrm:\nchangednew\n");
    sandbox.assert_clean();

    // Where it can't be mounted, the tree is made from the tar.
    let mut request = sandbox.request("FROM busybox AS one\nRUN chmod 711 /\nCOPY d /d\nRUN cat /d/sub/b && stat -c %a / /d/bin/tool\n");
    request.snapshotter = gantry_executor::Snapshotter::Trees;
    let unpacked = sandbox.run(request);
    assert_eq!(crate::common::logs_of(&unpacked.events), "two711\n755\n");
    sandbox.assert_clean();
}
