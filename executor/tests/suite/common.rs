//! The one way to build in tests: a store of one's own with a busybox image, a context of one's
//! own, and an observer that remembers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use gantry_cache::{FsckOptions, Image, NewImage, OpenOptions, Store};
use gantry_executor::{
    BuildError, BuildOutcome, BuildRequest, ContextSource, DefaultNetwork, DockerfileSource, build,
};
use gantry_image::{Config, ImageConfig, Platform, Raw, RootFs};
use gantry_parser::SourceFile;
use gantry_sandbox::Host;
use gantry_solver::{CancelToken, Event, Observer};
use gantry_tree::{Entry, Follow, Manifest, Node, Root, ScanOptions, TreePath, View, scan};

/// Names of programs that the base image links to busybox.
const APPLETS: &[&str] = &[
    "cat", "chmod", "chown", "cp", "cut", "echo", "env", "find", "grep", "head", "id", "ip", "ln",
    "ls", "mkdir", "mount", "mv", "pwd", "rm", "rmdir", "sed", "seq", "sh", "sleep", "sort",
    "stat", "test", "touch", "tr", "true", "false", "wc", "date", "df", "hostname", "kill", "tail",
    "od",
];

/// A store, a context and what is built of them.
pub struct Sandbox {
    pub dir: tempfile::TempDir,
    pub store: Store,
    pub host: Arc<Host>,
}

/// A build that succeeded.
pub struct Built {
    pub outcome: BuildOutcome,
    pub events: Vec<Event>,
    store: Store,
}

impl Sandbox {
    /// Makes a store that has the image `busybox`, and an empty context.
    pub fn new() -> Self {
        Self::with([])
    }

    /// The same, with files in the context.
    pub fn with<const N: usize>(files: [(&str, &str); N]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = OpenOptions { create: true, ..OpenOptions::default() };
        let store = Store::open(&dir.path().join("store"), options).unwrap();
        add_busybox(&store);
        fs_err::create_dir(dir.path().join("context")).unwrap();
        let sandbox = Self { dir, store, host: Arc::new(gantry_sandbox::probe()) };
        for (path, text) in files {
            sandbox.write(path, text);
        }
        sandbox
    }

    pub fn context(&self) -> PathBuf {
        self.dir.path().join("context")
    }

    /// Writes a file of the context.
    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.context().join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }

    /// Asks for a build of `dockerfile`, without network.
    pub fn request(&self, dockerfile: &str) -> BuildRequest {
        let source = SourceFile::new("Dockerfile", dockerfile);
        let context = ContextSource::Directory(self.context());
        let mut request = BuildRequest::new(DockerfileSource::Text(source), context);
        request.network = DefaultNetwork::None;
        request
    }

    pub fn try_request(&self, request: BuildRequest) -> (Result<Built, BuildError>, Vec<Event>) {
        let heard = Arc::new(Heard::default());
        let observer: Arc<dyn Observer> = Arc::clone(&heard) as _;
        let outcome = build(request, &self.store, &self.host, observer, &CancelToken::new());
        let events = heard.0.lock().unwrap().clone();
        let store = self.store.clone();
        (outcome.map(|outcome| Built { outcome, events: events.clone(), store }), events)
    }

    #[track_caller]
    pub fn run(&self, request: BuildRequest) -> Built {
        match self.try_request(request) {
            (Ok(built), _) => built,
            (Err(error), events) => panic!("{}\n{}", explain(&error), logs_of(&events)),
        }
    }

    /// Builds, and is sure that it works.
    #[track_caller]
    pub fn build(&self, dockerfile: &str) -> Built {
        self.run(self.request(dockerfile))
    }

    /// Builds, and is sure that it fails.
    #[track_caller]
    pub fn fail(&self, dockerfile: &str) -> BuildError {
        self.fail_request(self.request(dockerfile))
    }

    #[track_caller]
    pub fn fail_request(&self, request: BuildRequest) -> BuildError {
        match self.try_request(request).0 {
            Ok(_) => panic!("the build succeeded"),
            Err(error) => error,
        }
    }

    /// The store keeps its promises, and nothing is left in its work directory.
    #[track_caller]
    pub fn assert_clean(&self) {
        let options = FsckOptions { deep: true, repair: false };
        let report = self.store.fsck(options).unwrap();
        assert!(report.is_clean(), "{:?}", report.problems);
        let work = self.store.root().join("work");
        let mut left = Vec::new();
        for owner in fs_err::read_dir(work).unwrap().flatten() {
            for entry in fs_err::read_dir(owner.path()).into_iter().flatten().flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                if name.starts_with("dir-") {
                    left.push(name);
                }
            }
        }
        assert_eq!(left, Vec::<String>::new());
        let mounts = fs_err::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(self.dir.path().to_str().unwrap()), "{mounts}");
    }
}

impl Built {
    pub fn image(&self) -> Image {
        let image = self.outcome.image.as_ref().expect("an image");
        self.store.images().get(&image.id).unwrap().expect("in the store")
    }

    pub fn config(&self) -> Raw<ImageConfig> {
        let bytes = self.store.blobs().read(&self.image().id, 1 << 20).unwrap().unwrap();
        Raw::parse(bytes).unwrap()
    }

    /// Titles of the steps that were executed, without the numbers in front.
    pub fn ran(&self) -> Vec<String> {
        let text = |title: &String| {
            title.split_once("] ").map_or(title.clone(), |(_, text)| text.to_owned())
        };
        let mut ran: Vec<String> = self.outcome.stats.ran.iter().map(text).collect();
        ran.sort();
        ran
    }

    /// What the steps printed.
    pub fn log(&self) -> String {
        logs_of(&self.events)
    }

    /// Everything in the image's root filesystem, by path.
    pub fn files(&self) -> BTreeMap<String, Entry> {
        let manifests: Vec<Arc<Manifest>> = self
            .image()
            .layers
            .iter()
            .map(|layer| self.store.layers().require(layer).unwrap().manifest().unwrap())
            .collect();
        let layers: Vec<&Manifest> = manifests.iter().map(|manifest| &**manifest).collect();
        let view = View::new(&layers);
        view.walk(&TreePath::root())
            .into_iter()
            .map(|found| (found.1.path.to_string(), view.real(found).clone()))
            .collect()
    }

    #[track_caller]
    pub fn file(&self, path: &str) -> Entry {
        match self.files().get(path) {
            Some(entry) => entry.clone(),
            None => panic!("`{path}` is not in {:?}", self.own_paths()),
        }
    }

    /// Paths of the upper layers, the base image's left out.
    pub fn own_paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        for layer in self.image().layers.iter().skip(1) {
            paths.extend(self.paths_of(layer));
        }
        paths
    }

    /// Paths of the uppermost layer; whiteouts begin with `-`.
    pub fn top(&self) -> Vec<String> {
        self.paths_of(self.image().layers.last().unwrap())
    }

    fn paths_of(&self, layer: &gantry_cache::LayerId) -> Vec<String> {
        let manifest = self.store.layers().require(layer).unwrap().manifest().unwrap();
        let show = |entry: &Entry| match entry.node {
            Node::Whiteout => format!("-{}", entry.path),
            _ => entry.path.to_string(),
        };
        manifest.entries().iter().map(show).collect()
    }

    /// The text of a file of the image.
    #[track_caller]
    pub fn text(&self, path: &str) -> String {
        let place = TreePath::new(path).unwrap();
        for layer in self.image().layers.iter().rev() {
            let layer = self.store.layers().require(layer).unwrap();
            let manifest = layer.manifest().unwrap();
            let Some(entry) = manifest.get(&place) else { continue };
            assert!(entry.node != Node::Whiteout, "`{path}` is deleted");
            let bytes = root_of(&layer).read(&place, 1 << 20).unwrap().unwrap();
            return String::from_utf8(bytes).unwrap();
        }
        panic!("`{path}` is in no layer");
    }
}

/// Opens a layer in the form that it was made in.
fn root_of(layer: &gantry_cache::Layer) -> Root {
    match layer.tree() {
        Some(tree) => Root::open(tree).unwrap(),
        None => {
            let (tar, index) = layer.mountable().expect("a tree or an index");
            Root::from_fd(gantry_sandbox::mount_index(&tar, &index).unwrap())
        }
    }
}

/// Remembers all events.
#[derive(Default)]
pub struct Heard(pub Mutex<Vec<Event>>);

impl Observer for Heard {
    fn event(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

pub fn logs_of(events: &[Event]) -> String {
    let mut text = Vec::new();
    for event in events {
        if let Event::Log { data, .. } = event {
            text.extend(data);
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// An error with all of its causes and its hint.
pub fn explain(error: &BuildError) -> String {
    let mut text = error.to_string();
    if let BuildError::Dockerfile(wrong) = error {
        for diagnostic in &wrong.diagnostics {
            text.push_str(&format!("\n{}", diagnostic.message));
            diagnostic.notes.iter().for_each(|note| text.push_str(&format!("\n{note}")));
            diagnostic.hint.iter().for_each(|hint| text.push_str(&format!("\nhint: {hint}")));
        }
    }
    if let BuildError::Steps(failures) = error {
        for step in &failures.steps {
            text.push_str(&format!("\n{}", step.error.messages().join("\n")));
        }
    }
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        text.push_str(&format!("\n{cause}"));
        next = cause.source();
    }
    if let Some(hint) = error.hint() {
        text.push_str(&format!("\nhint: {hint}"));
    }
    text
}

/// Puts an image of one layer into a store: busybox, links to it, and account files.
pub fn add_busybox(store: &Store) {
    let work = store.work_dir().unwrap();
    let root = work.upper();
    for dir in ["bin", "etc", "tmp", "root", "usr"] {
        fs_err::create_dir(root.join(dir)).unwrap();
    }
    set_mode(&root.join("tmp"), 0o1777);
    set_mode(&root.join("root"), 0o700);
    fs_err::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
    set_mode(&root.join("bin/busybox"), 0o755);
    for applet in APPLETS {
        std::os::unix::fs::symlink("busybox", root.join("bin").join(applet)).unwrap();
    }
    fs_err::write(
        root.join("etc/passwd"),
        "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001:app:/:/bin/sh\n",
    )
    .unwrap();
    fs_err::write(root.join("etc/group"), "root:x:0:\napp:x:1001:\nstaff:x:50:app\n").unwrap();
    let scanned = scan(&Root::open(&root).unwrap(), &ScanOptions::default()).unwrap();
    // The same times in every store, so that the same builds give the same images.
    let mut entries = scanned.manifest.into_entries();
    let tree = Root::open(&root).unwrap();
    for entry in &mut entries {
        entry.mtime = gantry_tree::Time { secs: 1_000_000, nanos: 0 };
    }
    for entry in entries.iter().rev() {
        tree.set_mtime(&entry.path, entry.mtime).unwrap();
        assert_eq!(tree.stat(&entry.path, Follow::Parents).unwrap().mtime, entry.mtime);
    }
    let layer = store.layers().commit_tree(&root, &Manifest::new(entries).unwrap()).unwrap();
    let (diff_id, _) = store.layers().ensure_diff_id(&layer, None).unwrap();
    let platform = Platform::host();
    let mut config = ImageConfig {
        rootfs: RootFs { diff_ids: vec![diff_id], ..RootFs::default() },
        config: Config { cmd: vec!["sh".to_owned()], ..Config::default() },
        ..ImageConfig::default()
    };
    config.set_platform(&platform);
    let config = Raw::write(config);
    let id = store.blobs().put(config.bytes()).unwrap();
    store
        .images()
        .put(&NewImage {
            id,
            manifest: None,
            platform: &platform,
            layers: &[layer],
            size: 0,
            created: None,
        })
        .unwrap();
    store.images().tag(&"busybox".parse().unwrap(), &id).unwrap();
}

pub fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Leaves a test that needs root, where this process is not.
macro_rules! needs_root {
    () => {
        if !crate::common::is_root() {
            return;
        }
    };
}

/// Says whether this process can run steps; a machine that promised it may not skip.
pub fn is_root() -> bool {
    let root = gantry_sandbox::probe().is_root();
    if !root {
        let required = std::env::var("GANTRY_TEST_REQUIRE").unwrap_or_default();
        assert!(!required.split(',').any(|word| word == "root"), "not root");
        eprintln!("skipped: not root");
    }
    root
}
