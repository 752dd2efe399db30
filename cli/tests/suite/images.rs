//! Images by name: import, images, tag, rmi, inspect, history.

use crate::sandbox::{Sandbox, snapshot};

/// 2024-05-01T12:00:00Z
const MAY: i64 = 1_714_564_800;

#[test]
fn an_imported_image_is_listed() {
    let sandbox = Sandbox::new().with_busybox();
    snapshot!(sandbox.gantry(["images", "--format", "table {{.Repository}}\\t{{.Tag}}\\t{{.CreatedSince}}"]), @"
    exit: 0
    ----- stdout -----
    REPOSITORY   TAG       CREATED
    busybox      latest    [AGO]
    ----- stderr -----
    ");
    let id = sandbox.gantry(["images", "-q"]).success().stdout;
    let full = sandbox.gantry(["images", "-q", "--no-trunc"]).success().stdout;
    assert_eq!(id.trim().len(), 12);
    assert!(full.starts_with(&format!("sha256:{}", id.trim())), "{full}");
}

#[test]
fn names_match_exactly_or_by_pattern() {
    let sandbox = Sandbox::new().with_busybox();
    sandbox.gantry(["tag", "busybox", "radial/nginx:1"]).success();
    let names = |pattern: &str| {
        let run = sandbox.gantry(["images", "--format", "{{.Repository}}:{{.Tag}}", pattern]);
        run.success().stdout.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(names("busybox"), ["busybox:latest"]);
    assert_eq!(names("busybo"), [""; 0]);
    assert_eq!(names("radial/nginx:1"), ["radial/nginx:1"]);
    assert_eq!(names("radial/*"), ["radial/nginx:1"]);
    assert_eq!(names("radial/nginx:2"), [""; 0]);
    let header = sandbox.gantry(["images", "nothing"]).success().stdout;
    assert_eq!(header, "REPOSITORY   TAG       IMAGE ID   CREATED   SIZE\n");
}

#[test]
fn a_name_moves_and_leaves_a_dangling_image() {
    let sandbox = Sandbox::new().with_busybox().at_time(MAY);
    let first = sandbox.gantry(["images", "-q", "--no-trunc"]).success().stdout;
    sandbox.gantry_with_input(["import", "-m", "another", "-", "busybox"], &[0; 1024]).success();
    let dangling = sandbox.gantry(["images", "-q", "--no-trunc", "-f", "dangling=true"]).success();
    assert_eq!(dangling.stdout, first);
    snapshot!(sandbox.gantry(["images", "--format", "{{.Repository}} {{.Tag}}"]), @"
    exit: 0
    ----- stdout -----
    <none> <none>
    busybox latest
    ----- stderr -----
    ");
}

#[test]
fn an_image_goes_with_its_last_name() {
    let sandbox = Sandbox::new().with_busybox();
    sandbox.gantry(["tag", "busybox", "other:1"]).success();
    snapshot!(sandbox.gantry(["rmi", "busybox"]), @"
    exit: 0
    ----- stdout -----
    Untagged: busybox:latest
    ----- stderr -----
    ");
    snapshot!(sandbox.gantry(["rmi", "nothing", "other:1"]), @"
    exit: 1
    ----- stdout -----
    Untagged: other:1
    Deleted: [DIGEST]
    ----- stderr -----
    ERROR: No such image: nothing:latest
    ");
    assert_eq!(sandbox.gantry(["images", "-q"]).success().stdout, "");
    sandbox.gantry(["rmi", "-f", "nothing"]).success();
}

#[test]
fn an_id_with_names_in_several_repositories_needs_force() {
    let sandbox = Sandbox::new().with_busybox();
    sandbox.gantry(["tag", "busybox", "other:1"]).success();
    let id = sandbox.gantry(["images", "-q"]).success().stdout;
    snapshot!(sandbox.gantry(["rmi", id.trim()]), @"
    exit: 1
    ----- stdout -----
    ----- stderr -----
    ERROR: conflict: unable to delete [ID] (must be forced) - image is referenced in multiple repositories
    ");
    snapshot!(sandbox.gantry(["rmi", "-f", id.trim()]), @"
    exit: 0
    ----- stdout -----
    Untagged: busybox:latest
    Untagged: other:1
    Deleted: [DIGEST]
    ----- stderr -----
    ");
}

#[test]
fn an_id_prefix_can_be_tagged() {
    let sandbox = Sandbox::new().with_busybox();
    let id = sandbox.gantry(["images", "-q"]).success().stdout;
    sandbox.gantry(["tag", &id[..6], "localhost:5000/a/b:c"]).success();
    let name = sandbox.gantry(["inspect", "--format", "{{join .RepoTags \" \"}}", "busybox"]);
    assert_eq!(name.success().stdout, "busybox:latest localhost:5000/a/b:c\n");
}

#[test]
fn bad_names_are_refused_in_dockers_words() {
    let sandbox = Sandbox::new().with_busybox();
    snapshot!(sandbox.gantry(["tag", "busybox", "Upper"]), @r#"
    exit: 1
    ----- stdout -----
    ----- stderr -----
    ERROR: Error parsing reference: "Upper" is not a valid repository/tag: invalid reference format: repository name (library/Upper) must be lowercase
    "#);
    snapshot!(sandbox.gantry(["tag", "busybox", "a b"]), @r#"
    exit: 1
    ----- stdout -----
    ----- stderr -----
    ERROR: Error parsing reference: "a b" is not a valid repository/tag: invalid reference format
    "#);
    snapshot!(sandbox.gantry(["tag", "nothing", "x"]), @"
    exit: 1
    ----- stdout -----
    ----- stderr -----
    ERROR: No such image: nothing:latest
    ");
}

#[test]
fn inspect_speaks_dockers_json() {
    let sandbox = Sandbox::new().at_time(MAY);
    sandbox.gantry_with_input(["import", "-m", "empty", "-", "empty:1"], &[0; 1024]).success();
    let mut settings = crate::sandbox::filters();
    settings.add_filter(r#""LastTagTime": ".*""#, r#""LastTagTime": "[TIME]""#);
    settings.add_filter(r#""Architecture": ".*""#, r#""Architecture": "[ARCH]""#);
    let _guard = settings.bind_to_scope();
    insta::assert_snapshot!(sandbox.gantry(["inspect", "empty:1"]), @r#"
    exit: 0
    ----- stdout -----
    [
        {
            "Id": "[DIGEST]",
            "RepoTags": [
                "empty:1"
            ],
            "RepoDigests": [],
            "Parent": "",
            "Comment": "empty",
            "Created": "2024-05-01T12:00:00Z",
            "DockerVersion": "",
            "Author": "",
            "Config": {},
            "Architecture": "[ARCH]",
            "Os": "linux",
            "Size": 0,
            "RootFS": {
                "Type": "layers",
                "Layers": [
                    "[DIGEST]"
                ]
            },
            "Metadata": {
                "LastTagTime": "[TIME]"
            }
        }
    ]
    ----- stderr -----
    "#);
    let layers =
        sandbox.gantry(["inspect", "-f", "{{len .RootFS.Layers}} {{.Config.Cmd}}", "empty:1"]);
    assert_eq!(layers.success().stdout, "1 <no value>\n");
    insta::assert_snapshot!(sandbox.gantry(["inspect", "nothing"]), @"
    exit: 1
    ----- stdout -----
    []
    ----- stderr -----
    ERROR: No such object: nothing
    ");
}

#[test]
fn history_has_a_line_for_each_entry() {
    let sandbox = Sandbox::new().at_time(MAY);
    sandbox.gantry_with_input(["import", "-", "empty:1"], &[0; 1024]).success();
    snapshot!(sandbox.gantry(["history", "--format", "{{.CreatedBy}}|{{.Size}}|{{.Comment}}", "empty:1"]), @"
    exit: 0
    ----- stdout -----
    |0B|Imported from -
    ----- stderr -----
    ");
    snapshot!(sandbox.gantry(["history", "-H=false", "--format", "{{.CreatedAt}} {{.Size}}", "empty:1"]), @"
    exit: 0
    ----- stdout -----
    2024-05-01T12:00:00Z 0
    ----- stderr -----
    ");
    let ids = sandbox.gantry(["history", "-q", "--no-trunc", "empty:1"]).success().stdout;
    assert_eq!(ids, sandbox.gantry(["images", "-q", "--no-trunc"]).success().stdout);
}

#[test]
fn a_broken_tar_leaves_no_image() {
    let sandbox = Sandbox::new();
    let run = sandbox.gantry_with_input(["import", "-", "broken"], &[1; 2048]);
    assert!(run.clone().code(1).stderr.starts_with("ERROR: Failed to read the layer"), "{run}");
    assert_eq!(sandbox.gantry(["images", "-q"]).success().stdout, "");
}

#[test]
fn the_same_tar_at_the_same_time_is_the_same_image() {
    let [one, two] = [(), ()].map(|()| {
        let sandbox = Sandbox::new().at_time(MAY).with_busybox();
        sandbox.gantry(["images", "-q", "--no-trunc"]).success().stdout
    });
    assert_eq!(one, two);
}

#[test]
fn an_import_takes_changes_of_the_config() {
    let sandbox = Sandbox::new();
    let import = |change: &str| {
        let args = ["import", "-c", "ENV A=b", "--change", change, "-", "made:1"];
        sandbox.gantry_with_input(args, &[0; 1024])
    };
    import("CMD [\"sh\"]").success();
    let format = "{{json .Config.Cmd}} {{json .Config.Env}}";
    let shown = sandbox.gantry(["inspect", "--format", format, "made:1"]).success().stdout;
    assert_eq!(shown, "[\"sh\"] [\"A=b\"]\n");
    assert_eq!(
        import("RUN true").code(1).stderr,
        "ERROR: Failed to apply the change `RUN true`: run is not a valid change command\n"
    );
    assert_eq!(sandbox.gantry(["images", "-q"]).success().stdout.lines().count(), 1);
}
