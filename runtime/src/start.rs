//! From a request to a running process, and to what is left of it.

use std::path::PathBuf;

use gantry_cache::{Image, Lease, Store};
use gantry_image::{Config, ImageConfig, Raw};
use gantry_sandbox::{
    Bind, BindSource, Child, ExitStatus, Host, Mount, Network, NetworkError, Networks, Security,
    Spec, Stdio, Tmpfs, UserSpec,
};

use crate::record::now;
use crate::{Container, Containers, NetworkMode, RunError, RunRequest, Streams, command, rootfs};

/// A container whose process runs.
#[derive(Debug)]
pub struct Running {
    child: Child,
    container: Container,
    remove: bool,
    _lease: Lease,
}

impl Container {
    /// Makes a container and starts its process. `warn` is told what isn't as asked for.
    ///
    /// Blocks until the process has executed. The container dies with the calling process.
    ///
    /// # Errors
    /// Any [`RunError`]; a container with `remove` set is gone again then.
    pub fn start(
        request: &RunRequest,
        store: &Store,
        host: &Host,
        warn: &mut dyn FnMut(String),
    ) -> Result<Running, RunError> {
        let image = store.images().resolve_for(&request.image, request.platform.as_ref())?;
        let lease = store.lease()?;
        lease.keep_layers(&image.layers)?;
        let config = config(store, &image)?;
        let argv = command::argv(request, &config)?;
        let name = request.name.as_deref();
        let containers = Containers::new(store);
        let mut container = containers.create(
            &image,
            &request.image,
            name,
            argv.clone(),
            command::config(request, &config),
        )?;
        match container.launch(request, store, host, &image, &config, argv, warn) {
            Ok(child) => Ok(Running { child, container, remove: request.remove, _lease: lease }),
            Err(error) => {
                if request.remove {
                    containers.discard(&container.dir, &container.record.id)?;
                } else {
                    container.record.started = Some(now());
                    container.ended(i32::from(error.exit_code()), false)?;
                }
                Err(error)
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one caller, right above")]
    fn launch(
        &mut self,
        request: &RunRequest,
        store: &Store,
        host: &Host,
        image: &Image,
        config: &Config,
        argv: Vec<String>,
        warn: &mut dyn FnMut(String),
    ) -> Result<Child, RunError> {
        let hostname = match &request.hostname {
            Some(hostname) => hostname.clone(),
            None => self.short_id().to_owned(),
        };
        let terminal = matches!(request.streams, Streams::Terminal { .. });
        let rootfs = rootfs::prepare(store, host, image, &self.dir, request.read_only)?;
        let mut spec = Spec::new(rootfs, argv);
        spec.env = command::env(request, config, &hostname, terminal)
            .into_iter()
            .map(Into::into)
            .collect();
        spec.cwd = request.workdir.clone().unwrap_or_else(|| config.working_dir.clone());
        if spec.cwd.is_empty() {
            "/".clone_into(&mut spec.cwd);
        }
        spec.user = UserSpec::Text(request.user.clone().unwrap_or_else(|| config.user.clone()));
        spec.hostname = hostname;
        spec.mounts = mounts(request)?;
        spec.network = network(request.network, store, host, warn)?;
        spec.security = if request.privileged { Security::Insecure } else { Security::Sandbox };
        spec.limits = request.limits.clone();
        spec.rlimits.clone_from(&request.rlimits);
        if let Some(size) = request.shm_size {
            spec.shm_size = size;
        }
        spec.stdio = match request.streams {
            Streams::Pipes { stdin } => Stdio::Piped { stdin },
            Streams::Terminal { size, .. } => Stdio::Terminal(size),
        };
        spec.extra_hosts.clone_from(&request.extra_hosts);
        spec.dns.clone_from(&request.dns);
        let child = gantry_sandbox::spawn(spec)?;
        self.record.started = Some(now());
        let binds = request.binds.iter().map(|bind| bind.target.display().to_string());
        self.record.mounts = binds.chain(request.tmpfs.iter().cloned()).collect();
        self.record.pid = Some(child.pid());
        self.record.write(&self.dir)?;
        Ok(child)
    }

    fn ended(&mut self, code: i32, oom_killed: bool) -> Result<(), RunError> {
        self.record.finished = Some(now());
        self.record.exit_code = Some(code);
        self.record.oom_killed = oom_killed;
        self.record.write(&self.dir)
    }
}

impl Running {
    /// The container's process: its pipes or terminal, and signals to it.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// The container.
    pub fn container(&self) -> &Container {
        &self.container
    }

    /// Waits for the end of the process, and notes it, or removes the container if that was
    /// asked for. Take its pipes or terminal before, and read them meanwhile.
    ///
    /// # Errors
    /// When the record can't be written, or what is left can't be removed.
    pub fn finish(mut self, store: &Store) -> Result<ExitStatus, RunError> {
        let status = self.child.wait();
        if self.remove {
            Containers::new(store).discard(&self.container.dir, &self.container.record.id)?;
        } else {
            self.container.ended(status.shell_code(), status.oom_killed)?;
        }
        // Only now does it not run any more, for whoever looks.
        drop(self.container.lock);
        Ok(status)
    }
}

fn config(store: &Store, image: &Image) -> Result<Config, RunError> {
    const LIMIT: u64 = 16 << 20;
    let gone = gantry_cache::StoreError::BlobGone { digest: image.id };
    let bytes = store.blobs().read(&image.id, LIMIT)?.ok_or(gone)?;
    Raw::<ImageConfig>::parse(bytes)
        .map(|raw| raw.value().config.clone())
        .map_err(|cause| RunError::Config { image: image.id.to_string(), cause })
}

fn mounts(request: &RunRequest) -> Result<Vec<Mount>, RunError> {
    let mut mounts = Vec::new();
    for bind in &request.binds {
        let error = |cause| RunError::Bind { path: bind.source.display().to_string(), cause };
        if bind.create && !bind.source.exists() {
            fs_err::create_dir_all(&bind.source).map_err(error)?;
        }
        fs_err::metadata(&bind.source).map_err(error)?;
        mounts.push(Mount::Bind(Bind {
            source: BindSource::Path(bind.source.clone()),
            target: bind.target.clone(),
            read_only: bind.read_only,
            recursive: true,
        }));
    }
    let tmpfs = |target: &String| Mount::Tmpfs(Tmpfs::new(PathBuf::from(target), None));
    mounts.extend(request.tmpfs.iter().map(tmpfs));
    Ok(mounts)
}

fn network(
    mode: NetworkMode,
    store: &Store,
    host: &Host,
    warn: &mut dyn FnMut(String),
) -> Result<Network, RunError> {
    match mode {
        NetworkMode::None => Ok(Network::None),
        NetworkMode::Host => Ok(Network::Host),
        NetworkMode::Bridge => match Networks::new(host, store.root().join("networks")).private() {
            Ok(network) => Ok(Network::Private(network)),
            Err(NetworkError::Unavailable { reason }) => {
                warn(format!(
                    "The container uses the host's network, as no private one can be made: \
                         {reason}"
                ));
                Ok(Network::Host)
            }
            Err(error) => Err(error.into()),
        },
    }
}
