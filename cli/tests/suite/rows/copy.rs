//! COPY and ADD (B6), and what people complain of elsewhere (G-04 to G-06).

use std::io::Read;

use super::{build, project, refusal, refused, steps, told};
use crate::sandbox::Sandbox;

/// A context with a bit of everything, and this after `FROM busybox`.
fn with(lines: &str) -> Sandbox {
    let sandbox = project(&format!("FROM busybox\n{lines}\n"));
    for path in ["a", "b", "d/f", "d/e/g", "d/n.md", "d/e/m.md", "x[1]"] {
        sandbox.write(path, format!("{path}\n"));
    }
    sandbox
}

/// What is in `/n` after this COPY or ADD.
fn copied(line: &str) -> String {
    let sandbox = with(&format!("{line}\nRUN cd /; find n 2>/dev/null | sort | xargs echo"));
    build(&sandbox, []).trim_end().to_owned()
}

#[test]
fn b6_01_too_few_words() {
    let error = "COPY requires at least two arguments, but only one was provided. Destination could not be determined";
    assert_eq!(refusal("COPY a"), error);
    assert_eq!(refusal("ADD a"), error.replace("COPY", "ADD"));
}

#[test]
fn b6_02_sources_are_clamped_at_the_root() {
    for source in ["a", "/a", "../../a", "d/../../a", "a/", "./a"] {
        assert_eq!(copied(&format!("COPY {source} /n/")), "n n/a", "{source}");
    }
}

#[test]
fn b6_03_directories_merge() {
    assert_eq!(copied("COPY d /n"), "n n/e n/e/g n/e/m.md n/f n/n.md");
    assert_eq!(copied("COPY d/e /n/\nCOPY d/ /n"), "n n/e n/e/g n/e/m.md n/f n/g n/m.md n/n.md");
    assert_eq!(refused(&with("COPY d /etc/passwd")), "cannot copy to non-directory: /etc/passwd");
    let sandbox = with("COPY over /");
    sandbox.write("over/etc", "a file");
    assert_eq!(refused(&sandbox), "cannot replace to directory /etc with file");
}

#[test]
fn b6_04_slashes_make_directories() {
    assert_eq!(copied("COPY a /n"), "n");
    assert_eq!(copied("COPY a /n/"), "n n/a");
    assert_eq!(copied("COPY a /n/p/q"), "n n/p n/p/q");
    assert_eq!(copied("WORKDIR /n\nCOPY a ."), "n n/a");
}

/// Without a slash the destination is the file, and the last source is what stays.
#[test]
fn b6_05_many_sources() {
    assert_eq!(copied("COPY a b d/f /n/"), "n n/a n/b n/f");
    assert_eq!(copied("COPY a b /n"), "n");
}

#[test]
fn b6_06_and_07_missing_sources() {
    let error = refused(&with("COPY badfile /n/"));
    assert!(error.starts_with("failed to compute cache key: "), "{error}");
    assert!(error.ends_with("\"/badfile\": not found"), "{error}");
    assert_eq!(copied("COPY badfile* /n/"), "");
    assert_eq!(copied("COPY badfile* a /n/"), "n n/a");
}

#[test]
fn b6_08_patterns() {
    assert_eq!(copied("COPY ? /n/"), "n n/a n/b n/e n/e/g n/e/m.md n/f n/n.md".to_owned());
    for (pattern, found) in [
        ("[ab]", "n n/a n/b"),
        ("*/f", "n n/f"),
        ("d/*.md", "n n/n.md"),
        ("*/*/*.md", "n n/m.md"),
        ("\\a", "n n/a"),
        ("x[[]1]", "n n/x[1]"),
        ("**/m.md", ""),
    ] {
        assert_eq!(copied(&format!("COPY {pattern} /n/")), found, "{pattern}");
    }
}

#[test]
fn b6_09_owners_and_g_04() {
    let text = "FROM busybox AS s\nRUN echo 1 > /f && chown 5:6 /f\nFROM busybox\nUSER nobody\n\
         COPY Dockerfile /c\nCOPY --from=s /f /s\nRUN stat -c '%n %u:%g' /c /s\n";
    assert_eq!(steps(text), "/c 0:0\n/s 5:6\n");
}

/// A fraction would cost each file two more blocks, and other builders leave it out as well.
#[test]
fn layers_have_times_in_whole_seconds() {
    let text =
        "WORKDIR /w\nCOPY f /n/\nRUN echo made > /made && mkdir /d && ln -s f /l && rm -r /w";
    let sandbox = with(text);
    sandbox.write("f", "f");
    let time = std::time::UNIX_EPOCH + std::time::Duration::new(1_234_567, 890);
    let mut writing = fs_err::OpenOptions::new();
    let file = writing.write(true).open(sandbox.project().join("f")).unwrap();
    file.file().set_modified(time).unwrap();
    build(&sandbox, ["-t", "whole"]);
    sandbox.gantry(["save", "-o", "whole.tar", "whole"]).success();
    let mut files = std::collections::HashMap::new();
    for entry in tar::Archive::new(&*sandbox.read("whole.tar")).entries().unwrap() {
        let mut entry = entry.unwrap();
        let (name, mut bytes) = (entry.path().unwrap().display().to_string(), Vec::new());
        entry.read_to_end(&mut bytes).unwrap();
        files.insert(name, bytes);
    }
    let manifest: serde_json::Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
    let layers = manifest[0]["Layers"].as_array().unwrap();
    let mut times = std::collections::BTreeMap::new();
    for layer in &layers[1..] {
        for entry in tar::Archive::new(&*files[layer.as_str().unwrap()]).entries().unwrap() {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().display().to_string();
            assert!(entry.pax_extensions().unwrap().is_none(), "{name} has records of its own");
            times.insert(name, entry.header().mtime().unwrap());
        }
    }
    assert_eq!(times["n/f"], 1_234_567);
    for made in ["w/", "n/", "made", "d/", "l"] {
        assert!(times[made] > 1_234_567, "{made}: {times:?}");
    }
}

#[test]
fn b6_10_modes_times_and_links() {
    let sandbox = with(
        "COPY t /n\nCOPY t/ln /top\nRUN cd /n; stat -c '%n %a %h %F' f hard dir; \
         stat -c %Y f; readlink ln; test -f /top -a ! -L /top",
    );
    sandbox.write("t/f", "f");
    let file = |name: &str| sandbox.project().join("t").join(name);
    fs_err::create_dir(file("dir")).unwrap();
    let mode = |name: &str, mode: u32| {
        use std::os::unix::fs::PermissionsExt as _;
        fs_err::set_permissions(file(name), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("f", 0o4751);
    mode("dir", 0o711);
    fs_err::hard_link(file("f"), file("hard")).unwrap();
    fs_err::os::unix::fs::symlink("f", file("ln")).unwrap();
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    fs_err::File::open(file("f")).unwrap().file().set_modified(time).unwrap();
    assert_eq!(
        build(&sandbox, []),
        "f 4751 2 regular file\nhard 4751 2 regular file\ndir 711 2 directory\n1000000000\nf\n"
    );
}

#[test]
fn b6_11_chown_and_g_05() {
    for (owner, is) in [
        ("12", "12:12"),
        ("nobody", "65534:65534"),
        ("nobody:staff", "65534:50"),
        ("1:staff", "1:50"),
    ] {
        let sandbox = with(&format!("COPY --chown={owner} a /n\nRUN stat -c %u:%g /n"));
        assert_eq!(build(&sandbox, []), format!("{is}\n"), "{owner}");
    }
    assert_eq!(
        refused(&with("COPY --chown=foo a /n")),
        "unable to find user foo: no matching entries in passwd file"
    );
    assert_eq!(
        refused(&with("COPY --chown=1:foo a /n")),
        "unable to find group foo: no matching entries in group file"
    );
}

#[test]
fn b6_12_chmod() {
    let sandbox = with(
        "ARG M=640\nCOPY --chmod=$M a /1\nCOPY --chmod=u=rwX,go=rX d /2\nCOPY --chmod=4755 a /3\n\
         RUN stat -c %a /1 /2 /2/f /3",
    );
    assert_eq!(build(&sandbox, []), "640\n755\n644\n4755\n");
    for mode in ["64a", "17777"] {
        assert_eq!(
            refused(&with(&format!("COPY --chmod={mode} a /n"))),
            format!(
                "invalid chmod parameter: '{mode}'. it should be octal string and between 0 and 07777"
            )
        );
    }
}

/// Its layer is there already when the base is another one.
#[test]
fn b6_13_a_linked_layer_is_reused_on_another_base() {
    let text = |base: &str| {
        format!("FROM busybox\nRUN echo {base} > /base\nCOPY --link a /n/\nRUN cat /base /n/a\n")
    };
    let sandbox = with("");
    sandbox.write("Dockerfile", text("1"));
    assert_eq!(build(&sandbox, []), "1\na\n");
    sandbox.write("Dockerfile", text("2"));
    let told = told(&sandbox, []);
    let (_, copy) = told.split_once("COPY --link a /n/\n").unwrap();
    assert!(copy.split_once("\n\n").unwrap().0.ends_with("CACHED"), "{told}");
    assert_eq!(super::printed(&told), "2\na\n");
}

/// Nothing else runs before it, or after it.
#[test]
fn b6_13_a_linked_copy_alone() {
    let sandbox = with("COPY --link a /n");
    told(&sandbox, []);
    let shown = sandbox.gantry(["run", "--rm", "x", "cat", "/n"]).success().stdout;
    assert_eq!(shown, "a\n");
}

#[test]
fn b6_13_links_of_the_destination_are_followed_unless_it_is_linked() {
    let base = "RUN mkdir /real && ln -s /real /n\n";
    let look = "\nRUN cd /; ls -d real/* 2>/dev/null; test -L n && echo link; true";
    assert_eq!(build(&with(&format!("{base}COPY a /n/{look}")), []), "real/a\nlink\n");
    assert_eq!(build(&with(&format!("{base}COPY --link a /n/{look}")), []), "");
    let plain = format!("{base}COPY --link --chmod=600 a /n/{look}");
    assert_eq!(build(&with(&plain), []), "real/a\nlink\n", "`--chmod` makes it a plain copy");
    assert_eq!(
        refused(&with("COPY --link --chown=nobody a /n")),
        "unable to find user nobody: no matching entries in passwd file"
    );
}

#[test]
fn b6_14_parents() {
    for (sources, found) in [
        ("d/e/g", "n n/d n/d/e n/d/e/g"),
        ("d/./e/g", "n n/e n/e/g"),
        ("d/**/*.md", "n n/d n/d/e n/d/e/m.md n/d/n.md"),
        ("nope*/x d/f", "n n/d n/d/f"),
    ] {
        assert_eq!(copied(&format!("COPY --parents {sources} /n/")), found, "{sources}");
    }
    let error = refused(&with("COPY --parents nope/x /n/"));
    assert!(error.ends_with("\"/nope/x\": not found"), "{error}");
}

#[test]
fn b6_15_exclude() {
    for (flags, found) in [
        ("--exclude=*.md", "n n/e n/e/g n/e/m.md n/f"),
        ("--exclude=**/*.md", "n n/e n/e/g n/f"),
        ("--exclude=e --exclude=f", "n n/n.md"),
        ("--exclude=**/*.md --exclude=!e/m.md", "n n/e n/e/g n/e/m.md n/f"),
    ] {
        assert_eq!(copied(&format!("COPY {flags} d /n/")), found, "{flags}");
    }
}

#[test]
fn b6_16_from() {
    assert_eq!(
        refusal("COPY --from=$A a /n"),
        "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround"
    );
    assert_eq!(refusal("COPY --from=9 a /n"), "invalid stage index 9");
    let text = "FROM busybox AS s\nCOPY --from=later /a /n\nFROM busybox AS later\nFROM s\n";
    assert_eq!(
        refused(&project(text)),
        "cannot copy from stage \"later\", it needs to be defined before current stage \"s\""
    );
    let text = "FROM busybox AS Stage\nRUN echo stage > /f\nFROM busybox\n\
         COPY --from=stage /f /1\nCOPY --from=0 /f /2\nCOPY --from=busybox /etc/group /3\n\
         COPY --from=named one /4\nRUN cat /1 /2 /4; head -1 /3\n";
    let sandbox = project(text);
    sandbox.write("other/one", "named\n");
    assert_eq!(
        build(&sandbox, ["--build-context", "named=other"]),
        "stage\nstage\nnamed\nroot:x:0:\n"
    );
}

#[test]
fn b6_17_and_23_what_copy_refuses() {
    assert_eq!(refusal("COPY http://x/a /n"), "source can't be a URL for COPY");
    assert_eq!(refusal("COPY git@github.com:a/b.git /n"), "source can't be a git ref for COPY");
    assert_eq!(refusal("COPY --checksum=sha256:0 a /n"), "checksum can't be specified for COPY");
}

#[test]
fn b6_18_archives_are_known_by_their_bytes() {
    let sandbox = with(
        "ADD odd.txt /n/\nADD --unpack=false odd.txt /p/\nADD a.tar /q/\nCOPY odd.txt /c/\n\
         RUN find /n /p /q /c -type f | sort",
    );
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(2);
    header.set_mode(0o644);
    tar.append_data(&mut header, "in/side", &b"x\n"[..]).unwrap();
    sandbox.write("odd.txt", tar.into_inner().unwrap());
    sandbox.write("a.tar", "not an archive");
    assert_eq!(build(&sandbox, []), "/c/odd.txt\n/n/in/side\n/p/odd.txt\n/q/a.tar\n");
}

#[test]
fn b6_25_what_is_ignored_is_not_there() {
    let sandbox = with("COPY d/f /n");
    sandbox.write(".dockerignore", "d/f\n");
    let error = refused(&sandbox);
    assert!(error.contains("\"/d/f\": not found"), "{error}");
}

/// A file that cannot even be opened is no matter to a build that does not name it.
#[test]
fn b6_26_only_what_is_named_is_read() {
    let sandbox = with("COPY a /n\nRUN cat /n");
    let fifo = sandbox.project().join("unnamed");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    assert_eq!(build(&sandbox, []), "a\n");
    sandbox.write("b", "changed");
    assert_eq!(super::cached(&told(&sandbox, [])), 2);
}

/// The mode of a directory that was there stays, unless the layer is to know nothing of it (B6-13).
#[test]
fn g_06_the_directories_of_the_base_stay_as_they_are() {
    let look = "RUN stat -c '%a %u:%g' /tmp /own";
    let base = "RUN mkdir -m 711 /own && chown 7:8 /own\n";
    for (flag, modes) in [("", "1777 0:0\n711 7:8\n"), ("--link", "755 0:0\n755 0:0\n")] {
        let sandbox = with(&format!("{base}COPY {flag} a /tmp/\nCOPY {flag} a /own/x/\n{look}"));
        assert_eq!(build(&sandbox, []), modes, "{flag}");
    }
}
