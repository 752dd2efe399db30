//! What counts for a key and what does not (features B10), and the bytes of the encoding.

use std::sync::Arc;

use gantry_solver::{
    Key, LayerRef, Nearest, Op, Preimage, Role,
    key::{Change, DecodeError, InputId, Listing, Value, hex, preimage},
    op::{
        ContextOp, CopyItem, CopyOp, EnvVar, GitOp, HttpOp, ImageOp, InlineFile, Limits, MakeDirOp,
        Mount, Network, RunOp, Security, Selection, Sharing, SourcePath, Ulimit,
    },
    why::{Case, Why},
};
use proptest::prelude::*;

use crate::toys::run_op;

fn base() -> (Role, InputId) {
    (Role::Base, InputId::Key(Key([1; 32]), None))
}

fn key(op: &Op) -> Key {
    preimage::of_step(op, [base()]).key()
}

fn run(change: impl FnOnce(&mut RunOp)) -> Key {
    let mut op = run_op("make all");
    op.env = env(&[("A", "1"), ("PATH", "/bin")]);
    op.mounts = vec![cache(), secret(), bind()];
    change(&mut op);
    key(&Op::Run(Box::new(op)))
}

fn env(vars: &[(&str, &str)]) -> Arc<[EnvVar]> {
    vars.iter()
        .map(|(name, value)| EnvVar { name: (*name).into(), value: (*value).into(), arg: false })
        .collect()
}

fn cache() -> Mount {
    Mount::Cache {
        target: "/c".into(),
        id: "id".into(),
        sharing: Sharing::Shared,
        read_only: false,
        mode: 0o755,
        uid: None,
        gid: None,
        seed: None,
    }
}

fn secret() -> Mount {
    Mount::Secret {
        id: "s".into(),
        target: Some("/run/secrets/s".into()),
        env: None,
        required: false,
        mode: 0o400,
        uid: 0,
        gid: 0,
    }
}

fn bind() -> Mount {
    Mount::Bind { target: "/b".into(), input: 0, source: "src".into(), read_only: true }
}

fn copy(change: impl FnOnce(&mut CopyOp)) -> Key {
    let path = SourcePath { base: None, pattern: "a".into(), literal: true };
    let mut op = CopyOp {
        items: vec![CopyItem::Tree { input: 0, path, unpack: false }],
        dest: "/d/".into(),
        chown: None,
        chmod: None,
        exclude: vec![],
        link: false,
    };
    change(&mut op);
    let source = (Role::Source(0), InputId::Key(Key([2; 32]), None));
    preimage::of_step(&Op::Copy(Box::new(op)), [base(), source]).key()
}

#[test]
fn what_counts_for_a_run() {
    let plain = run(|_| {});
    let changes: Vec<(&str, Key)> = vec![
        ("args", run(|op| op.argv.push("x".into()))),
        ("args, split elsewhere", run(|op| op.argv = vec!["make all".into()])),
        ("env value", run(|op| op.env = env(&[("A", "2"), ("PATH", "/bin")]))),
        ("env name", run(|op| op.env = env(&[("B", "1"), ("PATH", "/bin")]))),
        ("env unset", run(|op| op.env = env(&[("PATH", "/bin")]))),
        ("env empty", run(|op| op.env = env(&[("A", ""), ("PATH", "/bin")]))),
        ("cwd", run(|op| op.cwd = "/w".into())),
        ("user", run(|op| op.user = Some("u".into()))),
        ("network", run(|op| op.network = Network::None)),
        ("security", run(|op| op.security = Security::Insecure)),
        (
            "ulimits",
            run(|op| {
                op.ulimits = vec![Ulimit { name: "nofile".into(), soft: 1, hard: 2 }];
            }),
        ),
        ("extra host name", run(|op| op.extra_hosts = vec![("h".into(), "1".into())])),
        ("shm size", run(|op| op.shm_size = Some(1))),
        ("host name", run(|op| op.hostname = Some("h".into()))),
        ("platform", run(|op| op.platform = "linux/arm64".into())),
        (
            "script",
            run(|op| {
                op.script = Some(InlineFile { name: "E".into(), content: "#!".into() });
            }),
        ),
        (
            "mount target",
            run(|op| {
                op.mounts[2] = Mount::Bind {
                    target: "/e".into(),
                    input: 0,
                    source: "src".into(),
                    read_only: true,
                };
            }),
        ),
        (
            "mount source path",
            run(|op| {
                op.mounts[2] = Mount::Bind {
                    target: "/b".into(),
                    input: 0,
                    source: "x".into(),
                    read_only: true,
                };
            }),
        ),
        ("mount type", run(|op| op.mounts[2] = Mount::Tmpfs { target: "/b".into(), size: None })),
        ("mount order", run(|op| op.mounts.reverse())),
        ("mount missing", run(|op| drop(op.mounts.pop()))),
    ];
    for (n, (what, key)) in changes.iter().enumerate() {
        assert_ne!(*key, plain, "{what} must count");
        for (other, same) in &changes[..n] {
            assert_ne!(key, same, "{what} and {other} must differ");
        }
    }
    let op = Op::Run(Box::new(run_op("x")));
    let with = |role, id| preimage::of_step(&op, [(role, InputId::Key(Key([id; 32]), None))]).key();
    assert_ne!(with(Role::Base, 1), with(Role::Base, 2), "the parent chain must count");
    assert_ne!(with(Role::Base, 1), with(Role::Mount(0), 1), "the role of an input must count");
    assert_ne!(
        preimage::of_step(&op, [(Role::Base, InputId::Content([1; 32]))]).key(),
        with(Role::Base, 1),
        "a content is no key"
    );
}

#[test]
fn what_does_not_count_for_a_run() {
    let plain = run(|op| op.extra_hosts = vec![("h".into(), "10.0.0.1".into())]);
    let host = |ip: &str| vec![("h".to_owned(), ip.to_owned())];
    let same: Vec<(&str, Key)> = vec![
        ("extra host address", run(|op| op.extra_hosts = host("10.0.0.2"))),
        (
            "proxies",
            run(|op| {
                op.extra_hosts = host("10.0.0.1");
                op.proxy = env(&[("http_proxy", "x")]);
            }),
        ),
        (
            "limits",
            run(|op| {
                op.extra_hosts = host("10.0.0.1");
                op.limits = Limits { memory: Some(1), ..Limits::default() };
            }),
        ),
        (
            "id and sharing of a cache mount",
            run(|op| {
                op.extra_hosts = host("10.0.0.1");
                if let Mount::Cache { id, sharing, .. } = &mut op.mounts[0] {
                    "other".clone_into(id);
                    *sharing = Sharing::Locked;
                }
            }),
        ),
    ];
    for (what, key) in same {
        assert_eq!(key, plain, "{what} must not count");
    }
}

#[test]
fn what_counts_for_a_copy() {
    let plain = copy(|_| {});
    let tree = |pattern: &str, base: Option<&str>, unpack| {
        let path =
            SourcePath { base: base.map(str::to_owned), pattern: pattern.into(), literal: true };
        vec![CopyItem::Tree { input: 0, path, unpack }]
    };
    let inline = |content: &str| {
        vec![CopyItem::Inline(InlineFile { name: "E".into(), content: content.into() })]
    };
    let changes: Vec<(&str, Key)> = vec![
        ("source", copy(|op| op.items = tree("b", None, false))),
        ("parents", copy(|op| op.items = tree("a", Some(""), false))),
        ("unpack", copy(|op| op.items = tree("a", None, true))),
        ("heredoc", copy(|op| op.items = inline("x"))),
        ("heredoc content", copy(|op| op.items = inline("y"))),
        ("destination", copy(|op| op.dest = "/d".into())),
        ("owner", copy(|op| op.chown = Some("1:1".into()))),
        ("mode", copy(|op| op.chmod = Some("0755".into()))),
        ("exclusions", copy(|op| op.exclude = vec!["*.md".into()])),
        ("link", copy(|op| op.link = true)),
    ];
    for (n, (what, key)) in changes.iter().enumerate() {
        assert_ne!(*key, plain, "{what} must count");
        assert!(changes[..n].iter().all(|(_, other)| other != key), "{what} must differ");
    }
    let op = |link| {
        let op = CopyOp {
            items: vec![],
            dest: "/".into(),
            chown: None,
            chmod: None,
            exclude: vec![],
            link,
        };
        Op::Copy(Box::new(op))
    };
    assert!(preimage::depends_on_base(&op(false)));
    assert!(!preimage::depends_on_base(&op(true)), "a linked copy must not look at its base");
}

#[test]
fn what_counts_for_a_directory() {
    let dir = |path: &str, mode, user: Option<&str>| {
        let user = user.map(str::to_owned);
        key(&Op::MakeDir(MakeDirOp { path: path.into(), mode, user }))
    };
    let plain = dir("/a", 0o755, None);
    for other in [dir("/b", 0o755, None), dir("/a", 0o700, None), dir("/a", 0o755, Some("u"))] {
        assert_ne!(other, plain);
    }
}

#[test]
fn a_source_is_what_it_holds() {
    let of =
        |op: &Op, content: u8| preimage::of_source(op, Some(([content; 32], None))).unwrap().key();
    let context = |name: &str, path: &str| {
        Op::Context(ContextOp { name: name.into(), selection: Selection::of(path) })
    };
    assert_eq!(of(&context("a", "x"), 1), of(&context("b", "y"), 1), "names and patterns");
    assert_ne!(of(&context("a", "x"), 1), of(&context("a", "x"), 2), "content");

    let http = |url: &str| Op::Http(HttpOp { url: url.into(), name: "f".into(), checksum: None });
    assert_eq!(of(&http("https://a/f"), 1), of(&http("https://user:pass@b/f"), 1), "the address");
    assert_ne!(of(&http("https://a/f"), 1), of(&context("a", "x"), 1), "the kind of source");

    let git = |remote: &str, subdir: Option<&str>| {
        Op::Git(GitOp {
            remote: remote.into(),
            reference: Some("main".into()),
            subdir: subdir.map(str::to_owned),
            keep_git_dir: false,
            checksum: None,
            submodules: true,
            commit_time: None,
            fetch_by_commit: false,
        })
    };
    assert_eq!(of(&git("https://x/y.git", None), 1), of(&git("https://t@z/y.git", None), 1));
    assert_ne!(of(&git("https://x/y.git", None), 1), of(&git("https://x/y.git", Some("d")), 1));

    let image = |reference: &str, config: &str, platform: &str| {
        let op = Op::Image(ImageOp {
            reference: reference.into(),
            config: config.into(),
            platform: platform.into(),
            layers: vec![LayerRef([0; 32])],
        });
        preimage::of_source(&op, None).unwrap().key()
    };
    assert_eq!(image("a:1", "sha256:1", "p"), image("b:2", "sha256:1", "p"), "the tag");
    assert_ne!(image("a:1", "sha256:1", "p"), image("a:1", "sha256:2", "p"), "the config");
    assert_ne!(image("a:1", "sha256:1", "p"), image("a:1", "sha256:1", "q"), "the platform");
}

#[test]
fn details_are_stored_and_do_not_count() {
    let with = |detail: Option<Value>| {
        let op = Op::Context(ContextOp { name: "a".into(), selection: Selection::of("") });
        preimage::of_source(&op, Some(([7; 32], detail))).unwrap()
    };
    let (bare, detailed) = (with(None), with(Some(Value::tree([("f", "1".into())]))));
    assert_eq!(bare.key(), detailed.key());
    assert_ne!(bare.encode(), detailed.encode());
    assert_eq!(Preimage::decode(&detailed.encode()).unwrap(), detailed);
}

/// These bytes are in stores: if they change, so must the version, and old keys are worthless.
#[test]
fn the_encoding_is_what_it_was() {
    let value = Value::tree([
        ("b", Value::List(vec![Value::Absent, true.into(), 5_u32.into()])),
        ("a", "x".into()),
        ("c", Value::Digest([0xab; 32], Some(Box::new("detail".into())))),
    ]);
    let preimage = Preimage(value);
    let expected = [
        "676b657901",                                   // magic, version
        "0503000000",                                   // a tree of three
        "0100000061030100000078",                       // a: "x"
        "01000000620403000000000101020500000000000000", // b: a list of three
        "0100000063",                                   // c: a digest with detail
        "07abababababababababababababababababababababababababababababababab",
        "030600000064657461696c",
    ];
    assert_eq!(hex(&preimage.encode()), expected.concat());
    // What is hashed has the digest without its detail.
    let hashed =
        expected.concat().replace("07abab", "06abab").replace("030600000064657461696c", "");
    let bytes: Vec<u8> = (0..hashed.len())
        .step_by(2)
        .map(|n| u8::from_str_radix(&hashed[n..n + 2], 16).unwrap())
        .collect();
    assert_eq!(preimage.key(), Key(*blake3::hash(&bytes).as_bytes()));
}

#[test]
fn a_part_that_is_absent_is_as_good_as_not_named() {
    let named = Preimage(Value::Tree([("a".into(), Value::Absent)].into()));
    let unnamed = Preimage(Value::Tree([].into()));
    assert_eq!(named.key(), unnamed.key());
    assert_eq!(named.encode(), unnamed.encode());
    assert_eq!(Preimage::diff(&named, &unnamed), vec![]);
    let empty = Preimage(Value::tree([("a", "".into())]));
    assert_ne!(empty.key(), unnamed.key());
    assert_eq!(Preimage::diff(&unnamed, &empty).len(), 1);
}

#[test]
fn keys_are_what_they_were() {
    let step = run(|_| {});
    assert_eq!(step.to_string(), RUN_KEY);
    assert_eq!(copy(|_| {}).to_string(), COPY_KEY);
}

const RUN_KEY: &str = "0e6b68b521627e2726962b60b9260b4b49a08c21829e5ece41ca1b9c1db21baf";
const COPY_KEY: &str = "dafb0edf20a5a48761d00a65e7072d0471de4db461c0907f257970a2c2b0018e";

#[test]
fn damaged_bytes_are_refused() {
    let good = Preimage(Value::tree([("a", "x".into()), ("b", Value::Flag(true))])).encode();
    assert!(Preimage::decode(&good).is_ok());
    for length in 0..good.len() {
        assert!(Preimage::decode(&good[..length]).is_err(), "cut at {length}");
    }
    let mut newer = good.clone();
    newer[4] = 9;
    assert_eq!(Preimage::decode(&newer), Err(DecodeError::Version(9)));
    let mut longer = good.clone();
    longer.push(0);
    assert!(Preimage::decode(&longer).is_err(), "something behind the end");
    // Names out of order would be a second encoding of the same value.
    let swapped = hex(&good).replace("0100000061", "0100000063");
    let bytes: Vec<u8> = (0..swapped.len())
        .step_by(2)
        .map(|n| u8::from_str_radix(&swapped[n..n + 2], 16).unwrap())
        .collect();
    assert!(Preimage::decode(&bytes).is_err());
    // Nested deeper than anybody would.
    let deep: Vec<u8> =
        b"gkey\x01".iter().copied().chain([4, 1, 0, 0, 0].repeat(100_000)).collect();
    assert!(Preimage::decode(&deep).is_err());
}

/// However many files a step takes: what is kept to explain it is the same bytes.
#[test]
fn a_listing_is_a_tree() {
    let file = |content: &str| Value::tree([("content", content.into()), ("gid", 7_u32.into())]);
    let tree =
        |third: &str| Value::tree([("a-b", file("1")), ("a/b", file(third)), ("c", file("3"))]);
    let listing = |third: &str| {
        let mut listing = Listing::with_capacity(3);
        // As paths are sorted, which is not the order of their bytes; and the last of equals counts.
        for (name, content) in [("a/b", "0"), ("a-b", "1"), ("a/b", third), ("c", "3")] {
            listing.add(name, |part| {
                part.text("content", format_args!("{content}"));
                part.number("gid", 7);
            });
        }
        Value::Listing(listing.finish())
    };
    let detailed = |detail| {
        let op = Op::Context(ContextOp { name: "a".into(), selection: Selection::of("") });
        let digest = *blake3::hash(format!("{detail:?}").as_bytes()).as_bytes();
        preimage::of_source(&op, Some((digest, Some(detail)))).unwrap()
    };
    let bytes = |detail| Preimage(Value::Digest([1; 32], Some(Box::new(detail)))).encode();
    assert_eq!(bytes(listing("2")), bytes(tree("2")));
    let differences = Preimage::diff(&detailed(tree("2")), &detailed(listing("5")));
    assert_eq!(differences.len(), 1, "{differences:?}");
    assert_eq!(differences[0].path, ["content", "a/b", "content"]);
    assert_eq!(differences[0].change, Change::Changed { old: "2".into(), new: "5".into() });
    let empty = Value::Listing(Listing::with_capacity(0).finish());
    assert_eq!(bytes(empty), bytes(Value::tree::<&str>([])));
}

/// Added and removed parts are found wherever they stand among many that are alike.
#[test]
fn trees_are_compared_like_sets_of_names() {
    let tree = |names: &str| {
        let parts =
            names.chars().map(|name| (name.to_string(), Value::from(name.to_string().as_str())));
        Preimage(Value::tree(parts))
    };
    let differing = |old: &str, new: &str| -> String {
        let differences = Preimage::diff(&tree(old), &tree(new));
        let sign = |change: &Change| if matches!(change, Change::Added(_)) { '+' } else { '-' };
        differences
            .iter()
            .flat_map(|d| [sign(&d.change), d.path[0].chars().next().unwrap()])
            .collect()
    };
    assert_eq!(differing("abc", "abc"), "");
    assert_eq!(differing("bd", "abcde"), "+a+c+e");
    assert_eq!(differing("abcde", "bd"), "-a-c-e");
    assert_eq!(differing("ace", "bdf"), "-a+b-c+d-e+f");
    assert_eq!(differing("", "ab"), "+a+b");
    assert_eq!(differing("ab", ""), "-a-b");
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Absent),
        any::<bool>().prop_map(Value::Flag),
        any::<i64>().prop_map(Value::Number),
        ".{0,8}".prop_map(|text| Value::from(text.as_str())),
        any::<[u8; 32]>().prop_map(|digest| Value::Digest(digest, None)),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::List),
            prop::collection::btree_map(".{0,4}", inner.clone(), 0..5).prop_map(Value::tree),
            (any::<[u8; 32]>(), inner)
                .prop_map(|(digest, detail)| Value::Digest(digest, Some(Box::new(detail)))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_value_comes_back(value in values()) {
        let preimage = Preimage(value);
        prop_assert_eq!(Preimage::decode(&preimage.encode()), Ok(preimage.clone()));
        prop_assert_eq!(Preimage::diff(&preimage, &preimage), vec![]);
    }

    #[test]
    fn different_values_have_different_keys_and_differences(a in values(), b in values()) {
        let (a, b) = (Preimage(a), Preimage(b));
        if a.key() != b.key() {
            prop_assert!(!Preimage::diff(&a, &b).is_empty());
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Preimage::decode(&bytes);
        let bytes = [b"gkey\x01".as_slice(), &bytes].concat();
        if let Ok(preimage) = Preimage::decode(&bytes) {
            // One value, one encoding.
            prop_assert_eq!(preimage.encode(), bytes);
        }
    }
}

#[test]
fn differences_name_the_part() {
    let of = |change: &dyn Fn(&mut RunOp)| {
        let mut op = run_op("make");
        op.env = env(&[("A", "1")]);
        change(&mut op);
        preimage::of_step(&Op::Run(Box::new(op)), [base()])
    };
    let plain = of(&|_| {});
    let texts = |change: &dyn Fn(&mut RunOp)| -> Vec<String> {
        Preimage::diff(&plain, &of(change)).iter().map(ToString::to_string).collect()
    };
    assert_eq!(texts(&|op| op.env = env(&[("A", "2")])), ["variable `A` changed"]);
    assert_eq!(
        texts(&|op| op.env = env(&[("B", "1")])),
        ["variable `A` was removed", "variable `B` was added"]
    );
    assert_eq!(texts(&|op| op.argv.push("x".into())), ["the command changed"]);
    let changed = Preimage::diff(&plain, &of(&|op| op.cwd = "/w".into()));
    assert_eq!(changed[0].path, ["cwd"]);
    assert_eq!(changed[0].change, Change::Changed { old: "/".into(), new: "/w".into() });

    let why = |nearest: Option<&Preimage>| {
        let nearest = nearest.map(|preimage| Nearest {
            preimage: preimage.encode().into(),
            took: std::time::Duration::ZERO,
            gone: Some("too much".into()),
        });
        let op = Op::Run(Box::new(run_op("make")));
        let case = Case { op: &op, titles: &[], rebased: false };
        Why::compare(nearest.as_ref(), &plain.encode(), &case)
    };
    assert_eq!(why(None), Why::New);
    assert_eq!(why(Some(&plain)), Why::Gone { pruned: Some("too much".into()) });
    assert_eq!(why(Some(&of(&|op| op.cwd = "/w".into()))).to_string(), "`cwd` changed");
}
