//! A cache in an OCI layout directory: `type=local`.
//!
//! ```text
//! <dir>/
//! ├── oci-layout
//! ├── index.json         the manifest of each tag
//! ├── index.json.lock    taken while index.json changes, as BuildKit takes it
//! ├── ingest/            blobs that are being written
//! └── blobs/sha256/<hex>
//! ```

use std::collections::HashSet;
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};

use fs_err as fs;
use gantry_image::json::to_go_vec;
use gantry_image::{Descriptor, Digest, Hasher, ImageIndex, MediaType, Raw};
use rustix::fs::{FlockOperation, flock};

use super::{Found, RemoteCache, RemoteError};

/// What says which tag a manifest of `index.json` has.
const TAG: &str = "org.opencontainers.image.ref.name";

/// No manifest comes near this.
const LIMIT: u64 = 8 << 20;

/// A cache in an OCI layout directory.
#[derive(Debug)]
pub struct LayoutCache {
    directory: PathBuf,
    tag: String,
    digest: Option<Digest>,
    reset: bool,
}

impl LayoutCache {
    /// Takes the cache that `index.json` has under a tag, or the one with this digest.
    pub fn new(directory: impl Into<PathBuf>, tag: &str, digest: Option<Digest>) -> Self {
        Self { directory: directory.into(), tag: tag.to_owned(), digest, reset: false }
    }

    /// Has everything else removed from the directory when a cache was written.
    #[must_use]
    pub fn reset(self, reset: bool) -> Self {
        Self { reset, ..self }
    }

    fn blob(&self, digest: &Digest) -> PathBuf {
        self.directory.join("blobs/sha256").join(digest.hex())
    }

    fn read_index(&self) -> Result<Option<Raw<ImageIndex>>, RemoteError> {
        let path = self.directory.join("index.json");
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(RemoteError::io("read the cache's index")(error)),
        };
        let invalid = |why: &dyn ToString| RemoteError::Invalid {
            place: self.place(),
            why: format!("`index.json`: {}", why.to_string()),
        };
        Raw::parse(bytes).map(Some).map_err(|error| invalid(&error))
    }

    /// Writes a file under another name, and renames it.
    fn put(
        &self,
        path: &Path,
        fill: impl FnOnce(&mut fs::File) -> io::Result<()>,
    ) -> io::Result<()> {
        let ingest = self.directory.join("ingest");
        fs::create_dir_all(&ingest)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let unfinished = ingest.join(format!("gantry-{}-{name}", std::process::id()));
        let written = || {
            let mut file = fs::File::create(&unfinished)?;
            fill(&mut file)?;
            fs::rename(&unfinished, path)
        };
        written().inspect_err(|_| {
            // It may never have come to be.
            let _ = fs::remove_file(&unfinished);
        })
    }

    /// Removes blobs that no manifest of the index needs.
    fn sweep(&self, index: &ImageIndex) -> Result<(), RemoteError> {
        let doing = || RemoteError::io(format!("remove old blobs from {}", self.place()));
        let mut needed = HashSet::new();
        for manifest in &index.manifests {
            needed.insert(manifest.digest.hex());
            let bytes = fs::read(self.blob(&manifest.digest)).map_err(doing())?;
            let document: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
            let lists = ["manifests", "layers"].map(|name| document[name].as_array().cloned());
            let listed = lists.into_iter().flatten().flatten().chain([document["config"].clone()]);
            for described in listed {
                let digest = described["digest"].as_str().unwrap_or_default();
                needed.insert(digest.trim_start_matches("sha256:").to_owned());
            }
        }
        for entry in fs::read_dir(self.directory.join("blobs/sha256")).map_err(doing())? {
            let entry = entry.map_err(doing())?;
            if !needed.contains(&*entry.file_name().to_string_lossy()) {
                fs::remove_file(entry.path()).map_err(doing())?;
            }
        }
        Ok(())
    }
}

impl RemoteCache for LayoutCache {
    fn place(&self) -> String {
        format!("the directory `{}`", self.directory.display())
    }

    fn is_near(&self) -> bool {
        true
    }

    fn found(&self) -> Result<Vec<Found>, RemoteError> {
        let digest = match self.digest {
            Some(digest) => digest,
            None => {
                let Some(index) = self.read_index()? else { return Ok(Vec::new()) };
                let tagged = |listed: &&Descriptor| listed.annotations.get(TAG) == Some(&self.tag);
                let Some(found) = index.manifests.iter().find(tagged) else {
                    return Ok(Vec::new());
                };
                found.digest
            }
        };
        let file = match fs::File::open(self.blob(&digest)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(RemoteError::io("open the cache's manifest")(error)),
        };
        let mut bytes = Vec::new();
        let doing = RemoteError::io("read the cache's manifest");
        file.take(LIMIT + 1).read_to_end(&mut bytes).map_err(doing)?;
        let actual = Digest::of(&bytes);
        if actual != digest {
            return Err(RemoteError::Digest { place: self.place(), expected: digest, actual });
        }
        Ok(vec![Found::Manifest(bytes)])
    }

    fn read(&self, blob: &Descriptor) -> Result<Box<dyn Read + Send>, RemoteError> {
        match fs::File::open(self.blob(&blob.digest)) {
            Ok(file) => Ok(Box::new(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(RemoteError::BlobMissing { digest: blob.digest, place: self.place() })
            }
            Err(error) => Err(RemoteError::io("open a blob of the cache")(error)),
        }
    }

    fn missing(&self, blobs: &[Descriptor]) -> Result<Vec<Digest>, RemoteError> {
        let is_there = |blob: &&Descriptor| {
            let found = fs::metadata(self.blob(&blob.digest));
            !found.is_ok_and(|found| found.is_file() && found.len() == blob.size)
        };
        Ok(blobs.iter().filter(is_there).map(|blob| blob.digest).collect())
    }

    fn write(&self, blob: &Descriptor, from: &mut dyn Read) -> Result<(), RemoteError> {
        let doing = || RemoteError::io(format!("write a blob into {}", self.place()));
        fs::create_dir_all(self.directory.join("blobs/sha256")).map_err(doing())?;
        let mut actual = None;
        let fill = |file: &mut fs::File| {
            let mut buffer = vec![0; 1 << 16];
            let mut hasher = Hasher::new();
            loop {
                let count = from.read(&mut buffer)?;
                if count == 0 {
                    break;
                }
                hasher.update(&buffer[..count]);
                file.write_all(&buffer[..count])?;
            }
            let digest = hasher.finish();
            actual = Some(digest);
            match digest == blob.digest {
                true => Ok(()),
                false => Err(io::ErrorKind::InvalidData.into()),
            }
        };
        let written = self.put(&self.blob(&blob.digest), fill);
        match actual {
            Some(actual) if actual != blob.digest => {
                let (place, expected) = (self.place(), blob.digest);
                Err(RemoteError::Digest { place, expected, actual })
            }
            _ => written.map_err(doing()),
        }
    }

    fn commit(&self, manifest: &[u8], media_type: &MediaType) -> Result<(), RemoteError> {
        let doing = || RemoteError::io(format!("write the cache's index into {}", self.place()));
        let digest = Digest::of(manifest);
        let described = Descriptor::new(media_type.clone(), digest, manifest.len() as u64);
        self.write(&described, &mut &*manifest)?;
        let lock = fs::File::create(self.directory.join("index.json.lock")).map_err(doing())?;
        flock(&lock, FlockOperation::LockExclusive).map_err(|e| doing()(e.into()))?;
        let mut index = match self.read_index() {
            Ok(Some(index)) if !self.reset => index.value().clone(),
            Ok(_) => ImageIndex::new(Vec::new(), false),
            Err(error) if !self.reset => return Err(error),
            Err(_) => ImageIndex::new(Vec::new(), false),
        };
        index.manifests.retain(|listed| listed.annotations.get(TAG) != Some(&self.tag));
        index.manifests.push(described.annotate(TAG, &self.tag));
        let marker = self.directory.join("oci-layout");
        if !marker.exists() {
            let text = b"{\"imageLayoutVersion\":\"1.0.0\"}";
            self.put(&marker, |file| file.write_all(text)).map_err(doing())?;
        }
        let bytes = to_go_vec(&index, false);
        self.put(&self.directory.join("index.json"), |file| file.write_all(&bytes))
            .map_err(doing())?;
        if self.reset { self.sweep(&index) } else { Ok(()) }
    }
}
