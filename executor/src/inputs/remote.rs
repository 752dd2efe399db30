//! Contexts and Dockerfiles that lie elsewhere: fetched as sources of the graph are, before there
//! is one.

use std::io::Read;
use std::sync::Arc;
use std::time::Instant;

use gantry_image::compress;
use gantry_parser::SourceFile;
use gantry_solver::op::{GitOp, HttpOp};
use gantry_solver::{CancelToken, Event, Events, Observer, Op, VertexId};
use gantry_tree::{Follow, Root, TreePath};

use super::TEXT_LIMIT;
use crate::error::{BuildError, ContextError};
use crate::work::{Executor, Origin, is_tar_header, layer_id, without_password};

/// The internal vertices before these are files that were read.
const FIRST_VERTEX: u32 = 8;

/// Fetches for one build.
pub(super) struct Remote<'a> {
    pub(super) executor: &'a Executor,
    pub(super) observer: &'a Arc<dyn Observer>,
    pub(super) cancel: &'a CancelToken,
}

/// What lay behind an address.
pub(super) enum Fetched {
    /// A tar, compressed or not.
    Tar(Box<dyn Read + Send>),
    /// Something else, and the directory that it lies in.
    Other { root: Root, text: Vec<u8> },
}

impl Remote<'_> {
    /// Fetches a repository and opens its directory.
    pub(super) fn repository(&self, git: GitOp) -> Result<(Root, Origin), BuildError> {
        let address = without_password(&git.remote);
        self.fetch(0, &format!("load git source {address}"), &address, Op::Git(git))
    }

    /// Fetches a file, and looks whether it is a tar.
    pub(super) fn file(&self, url: &str) -> Result<(Fetched, Origin), BuildError> {
        let (root, origin, address, path) = self.download(0, url, "load remote build context")?;
        let unreadable = |source| ContextError::Read { path: address.clone(), source };
        let open = || root.open_file(&path, Follow::Parents).map_err(unreadable);
        let mut header = [0; 512];
        let start = compress::reader(std::io::BufReader::new(open()?))
            .and_then(|(_, mut reader)| reader.read_exact(&mut header));
        if start.is_ok() && is_tar_header(&header) {
            return Ok((Fetched::Tar(Box::new(open()?)), origin));
        }
        let text = root.read(&path, TEXT_LIMIT).map_err(unreadable)?;
        let text = text.ok_or(ContextError::TooLarge { path: address })?;
        Ok((Fetched::Other { root, text }, origin))
    }

    /// Fetches a Dockerfile.
    pub(super) fn dockerfile(&self, url: &str) -> Result<SourceFile, BuildError> {
        let (root, _, address, path) = self.download(1, url, "load remote Dockerfile")?;
        match root.read(&path, TEXT_LIMIT) {
            Ok(Some(bytes)) => Ok(SourceFile::from_bytes("Dockerfile", &bytes)),
            Ok(None) => Err(ContextError::TooLarge { path: address }.into()),
            Err(source) => Err(ContextError::Read { path: address, source }.into()),
        }
    }

    fn download(
        &self,
        number: u32,
        url: &str,
        title: &str,
    ) -> Result<(Root, Origin, String, TreePath), BuildError> {
        const NAME: &str = "context";
        let address = without_password(url);
        let op = HttpOp { url: url.to_owned(), name: NAME.to_owned(), checksum: None };
        let (root, origin) = self.fetch(number, title, &address, Op::Http(op))?;
        let path = TreePath::clamp(NAME).unwrap_or_else(|_| TreePath::root());
        Ok((root, origin, address, path))
    }

    /// Fetches a source, and tells of it as of a vertex.
    fn fetch(
        &self,
        number: u32,
        title: &str,
        address: &str,
        op: Op,
    ) -> Result<(Root, Origin), BuildError> {
        let vertex = VertexId::internal(FIRST_VERTEX + number);
        let tell = |event| self.observer.event(event);
        tell(Event::VertexAdded {
            vertex,
            kind: "internal".to_owned(),
            title: format!("[internal] {title}"),
            inputs: Vec::new(),
        });
        tell(Event::Started { vertex });
        let started = Instant::now();
        let events = Events::new(Arc::clone(self.observer), vertex);
        match self.executor.fetch_source(&op, &events, self.cancel) {
            Ok((answer, origin)) => {
                tell(Event::Done { vertex, took: started.elapsed() });
                Ok((self.open(address, answer.own.first().map(layer_id))?, origin))
            }
            Err(error) if error.is_canceled() => {
                tell(Event::Canceled { vertex });
                Err(BuildError::Canceled)
            }
            Err(source) => {
                let (messages, exit_code) = (source.messages(), source.exit_code());
                tell(Event::Failed { vertex, messages, exit_code });
                Err(ContextError::Fetch { address: address.to_owned(), source }.into())
            }
        }
    }

    fn open(
        &self,
        address: &str,
        layer: Option<gantry_cache::LayerId>,
    ) -> Result<Root, BuildError> {
        let store = &self.executor.store;
        let gone = || gantry_solver::StepError::new("what was fetched is not in the store");
        let fetch = |source| ContextError::Fetch { address: address.to_owned(), source };
        let layer = layer.ok_or_else(|| fetch(gone()))?;
        let layer = store.layers().ensure_tree(&layer, &self.executor.unpack)?;
        let tree = layer.tree().ok_or_else(|| fetch(gone()))?;
        let read = |source| ContextError::Read { path: address.to_owned(), source };
        Ok(Root::open(tree).map_err(read)?)
    }
}
