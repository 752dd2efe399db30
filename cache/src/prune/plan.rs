//! What is to go, in which order, and why. Changes nothing.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use super::defaults::TEMPORARY;
use super::leftovers;
use super::{Filter, Freed, PruneOptions, PruneReport};
use crate::db;
use crate::store::Inner;
use crate::usage::{
    LayerUsage, Seen, Snapshot, disk_usage, image_title, layer_title, measure_trees,
};
use crate::{Kind, LayerId, StoreError, lease};
use gantry_image::units::human_size;

/// What is to go, first things first.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    /// What the store takes before.
    pub(super) total: u64,
}

/// One thing to go.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) target: Target,
    pub(super) freed: Freed,
    /// When it was last used, in milliseconds.
    used: i64,
    /// How long it takes to make it again, in milliseconds.
    cost: u64,
}

/// What is to be done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Image(String),
    /// The whole layer, and the records that name it.
    Layer(LayerId),
    /// Its tree, tar and index; its blob stays.
    Unpacked(LayerId),
    /// Its tree; its tar stays.
    Tree(LayerId),
    Blob(String),
    /// A file or directory that stands for itself.
    File(PathBuf),
    CacheMount(String),
}

impl Plan {
    pub(super) fn into_report(self) -> PruneReport {
        let bytes = self.steps.iter().map(|step| step.freed.size).sum();
        PruneReport {
            freed: self.steps.into_iter().map(|step| step.freed).collect(),
            bytes,
            remaining: self.total.saturating_sub(bytes),
            failures: Vec::new(),
        }
    }
}

pub(super) fn make(inner: &Arc<Inner>, options: &PruneOptions) -> Result<Plan, StoreError> {
    let budgeted = options.max_used_space.is_some() || options.min_free_space.is_some();
    let mut snapshot = Snapshot::take(inner)?;
    if budgeted && goal_of(inner, options, &snapshot)? == 0 {
        // Upper bounds are enough to see that nothing is to be done.
        return Ok(Plan { steps: Vec::new(), total: snapshot.total() });
    }
    measure_trees(inner)?;
    let measured = Snapshot::take(inner)?;
    snapshot = measured;
    let total = snapshot.total();
    let goal = if budgeted { goal_of(inner, options, &snapshot)? } else { u64::MAX };
    let mut planner = Planner {
        options,
        now: db::to_millis(options.now.unwrap_or_else(SystemTime::now)),
        goal,
        freed: 0,
        reason: reason(options),
        plan: Plan { steps: Vec::new(), total },
    };
    if options.orphans {
        planner.cache(inner, &snapshot, false);
        return Ok(planner.plan);
    }
    for step in leftovers::find(inner, &snapshot)? {
        planner.take(step);
    }
    planner.images(&mut snapshot);
    if budgeted || options.all {
        planner.forms(inner, &snapshot);
    }
    planner.cache(inner, &snapshot, budgeted || options.all);
    Ok(planner.plan)
}

/// How many bytes have to go.
pub(super) fn goal_of(
    inner: &Inner,
    options: &PruneOptions,
    snapshot: &Snapshot,
) -> Result<u64, StoreError> {
    let temporary = || {
        let files = snapshot.files.iter().filter(|file| TEMPORARY.contains(&file.kind));
        files.map(|file| file.size).sum()
    };
    let total = if options.temporary { temporary() } else { snapshot.total() };
    goal(inner, options, total)
}

fn goal(inner: &Inner, options: &PruneOptions, total: u64) -> Result<u64, StoreError> {
    let mut goal = 0;
    if let Some(most) = options.max_used_space {
        goal = total.saturating_sub(most);
    }
    if let Some(least) = options.min_free_space {
        let root = inner.layout.root();
        let stat = rustix::fs::statvfs(root)
            .map_err(|e| StoreError::io(format!("look at `{}`", root.display()), e.into()))?;
        goal = goal.max(least.saturating_sub(stat.f_bavail * stat.f_frsize));
    }
    Ok(goal.min(total.saturating_sub(options.reserved_space.unwrap_or(0))))
}

/// By what goes first.
const LEAST: &str = "least recently used for its size and the time it takes to make";

fn reason(options: &PruneOptions) -> String {
    match (options.max_used_space, options.min_free_space) {
        (Some(most), _) => format!("over the budget of {}, {LEAST}", human_size(most)),
        (None, Some(least)) => format!("less than {} are free, {LEAST}", human_size(least)),
        (None, None) => match options.keep {
            Some(_) => "nothing uses it, and nothing did for as long as is kept".to_owned(),
            None => "nothing uses it".to_owned(),
        },
    }
}

impl Step {
    pub(super) fn new(target: Target, kind: Kind, id: String, size: u64, used: i64) -> Step {
        let (description, reason) = (String::new(), String::new());
        // What nobody measured is taken to be read or written at 50 MB a second.
        let cost = size / 50_000;
        let last_used = (used > 0).then(|| db::from_millis(used));
        let freed = Freed { id, kind, description, size, reason, last_used };
        Step { target, used, cost, freed }
    }

    /// Notes how long it took to make it.
    fn taking(mut self, millis: Option<u64>) -> Step {
        self.cost = millis.unwrap_or(self.cost);
        self
    }

    /// What its going is worth: the bytes that nobody missed, for as long as nobody did, by the
    /// time that it takes to make them again.
    fn worth(&self, now: i64) -> u128 {
        let idle = u128::try_from(now.saturating_sub(self.used)).unwrap_or(0).max(1);
        // What takes no time still takes a step of its own.
        idle * u128::from(self.freed.size.max(4096)) / u128::from(self.cost.max(100))
    }

    pub(super) fn about(mut self, description: impl Into<String>) -> Step {
        self.freed.description = description.into();
        self
    }

    pub(super) fn because(mut self, reason: impl Into<String>) -> Step {
        self.freed.reason = reason.into();
        self
    }
}

struct Planner<'a> {
    options: &'a PruneOptions,
    now: i64,
    goal: u64,
    freed: u64,
    reason: String,
    plan: Plan,
}

impl Planner<'_> {
    /// Takes a step in, if the goal is not reached and the filters let it. Says whether it did.
    fn take(&mut self, step: Step) -> bool {
        let young = self.options.keep.is_some_and(|keep| {
            let keep = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
            self.now.saturating_sub(step.used) < keep
        });
        let passes = self.freed < self.goal
            && !young
            && (!self.options.temporary || TEMPORARY.contains(&step.freed.kind))
            && self.options.filters.iter().all(|filter| self.passes(filter, &step));
        if passes {
            self.freed += step.freed.size;
            self.plan.steps.push(step);
        }
        passes
    }

    fn passes(&self, filter: &Filter, step: &Step) -> bool {
        match filter {
            Filter::Until(age) => {
                let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
                self.now.saturating_sub(step.used) >= age
            }
            Filter::Id(prefix) => {
                let id = &step.freed.id;
                id.starts_with(prefix)
                    || id.strip_prefix("sha256:").is_some_and(|hex| hex.starts_with(prefix))
            }
            Filter::Description(part) => step.freed.description.contains(part),
            Filter::Kind(kind) => step.freed.kind == *kind,
        }
    }

    /// Images without a name. Their layers are nobody's then.
    fn images(&mut self, snapshot: &mut Snapshot) {
        let mut images = std::mem::take(&mut snapshot.images);
        images.sort_by_key(|image| image.used);
        let kept = images.into_iter().filter(|image| {
            let pinned = snapshot.pins.contains_key(&("image".to_owned(), image.id.clone()));
            let leased = snapshot.leases.contains(&lease::line_of_blob(&image.id));
            if !image.names.is_empty() || image.within.is_some() || pinned || leased {
                return true;
            }
            let target = Target::Image(image.id.clone());
            let step = Step::new(target, Kind::Image, image.id.clone(), 0, image.used);
            !self.take(step.about(image_title(image)).because("no name stands for it"))
        });
        let kept = kept.collect();
        snapshot.images = kept;
    }

    /// Forms that another form of the same layer can bring back.
    fn forms(&mut self, inner: &Inner, snapshot: &Snapshot) {
        let mut layers: Vec<_> = snapshot.layers.iter().collect();
        layers.sort_by_key(|layer| layer.used);
        for layer in layers {
            let leased = snapshot.leases.contains(&lease::line_of_layer(&layer.id))
                || snapshot.pins.contains_key(&("layer".to_owned(), layer.id.to_string()));
            if leased || !layer.unpacked {
                continue;
            }
            let by_blob = layer.imported && !layer.exact_blobs.is_empty();
            if layer.tree_and_tar && !by_blob {
                self.tree(inner, layer);
            }
            if layer.exact_blobs.is_empty() {
                continue;
            }
            if layer.imported {
                let target = Target::Unpacked(layer.id);
                let step =
                    Step::new(target, Kind::Layer, layer.id.to_string(), layer.usage, layer.used);
                let why = format!("its blob can bring the files back; {}", self.reason);
                self.take(step.about(layer_title(layer)).because(why));
                continue;
            }
            // A manifest promises these very bytes, and compressing anew may give others.
            let promised = snapshot
                .images
                .iter()
                .any(|image| image.manifest.is_some() && image.layers.contains(&layer.id));
            // Nor may it be all that is left of another layer.
            let spare = |digest: &&String| {
                let mut others = snapshot.layers.iter().filter(|other| other.id != layer.id);
                !promised
                    && others.all(|other| !other.blobs.contains(digest) || other.is_without_blob())
            };
            for digest in layer.exact_blobs.iter().filter(spare) {
                if let Some(step) = blob_step(snapshot, digest) {
                    let why = format!("its layer can be compressed again; {}", self.reason);
                    self.take(step.because(why));
                }
            }
        }
    }

    /// A tree that the tar beside it can bring back.
    fn tree(&mut self, inner: &Inner, layer: &LayerUsage) {
        // Not more than was counted: a file that layers share is another one's.
        let size = disk_usage(&inner.layout.tree(&layer.id), &mut Seen::default());
        let size = size.unwrap_or(0).min(layer.usage);
        let (target, id) = (Target::Tree(layer.id), layer.id.to_string());
        let step = Step::new(target, Kind::Layer, id, size, layer.used);
        let why = format!("its tar can bring the files back; {}", self.reason);
        self.take(step.about(layer_title(layer)).because(why));
    }

    /// Layers with their records, blobs, context indexes and cache mounts, least recently used
    /// first.
    fn cache(&mut self, inner: &Inner, snapshot: &Snapshot, mounts: bool) {
        let mut steps = Vec::new();
        for layer in &snapshot.layers {
            let cached = self.options.orphans && layer.text.is_some();
            if !cached && snapshot.layer_used_by(&layer.id).is_none() {
                let target = Target::Layer(layer.id);
                // Some of it may be going already.
                let size = layer.usage - self.form_of(&layer.id).map_or(0, |(_, size)| size);
                let step = Step::new(target, Kind::Layer, layer.id.to_string(), size, layer.used);
                steps.push(step.about(layer_title(layer)).taking(layer.took));
            }
        }
        for blob in &snapshot.blobs {
            let of_layer = snapshot.layers.iter().any(|l| l.blobs.contains(&blob.digest));
            if !of_layer && snapshot.blob_used_by(blob).is_none() {
                steps.extend(blob_step(snapshot, &blob.digest));
            }
        }
        for file in snapshot.files.iter().filter(|_| !self.options.orphans) {
            let target = match file.kind {
                Kind::Context => Target::File(inner.layout.contexts().join(&file.name)),
                Kind::CacheMount if mounts => Target::CacheMount(file.name.clone()),
                // Only to keep to a budget: what happened can't be made again.
                Kind::Build if self.goal != u64::MAX => {
                    Target::File(inner.layout.builds().join(&file.name))
                }
                _ => continue,
            };
            let step = Step::new(target, file.kind, file.name.clone(), file.size, file.used);
            steps.push(step.about(file.description.clone()));
        }
        match self.goal {
            // All of them go.
            u64::MAX => steps.sort_by_key(|step| step.used),
            _ => steps.sort_by_cached_key(|step| std::cmp::Reverse(step.worth(self.now))),
        }
        let mut gone: HashSet<LayerId> = HashSet::new();
        for step in steps {
            let target = step.target.clone();
            let reason = self.reason.clone();
            if self.take(step.because(reason))
                && let Target::Layer(id) = target
            {
                gone.insert(id);
                self.swallow_form(&id);
                self.blobs_of(&id, &gone, snapshot);
            }
        }
    }

    /// The step by which a form of this layer goes, and how much that frees.
    fn form_of(&self, id: &LayerId) -> Option<(usize, u64)> {
        let of = |step: &Step| match &step.target {
            Target::Unpacked(of) | Target::Tree(of) => of == id,
            _ => false,
        };
        let place = self.plan.steps.iter().position(of)?;
        Some((place, self.plan.steps[place].freed.size))
    }

    /// The last step takes a whole layer: what took a form of it before is a part of that. A layer
    /// that goes twice would be saved by the one for the other.
    fn swallow_form(&mut self, id: &LayerId) {
        if let Some((place, size)) = self.form_of(id) {
            self.plan.steps.remove(place);
            if let Some(whole) = self.plan.steps.last_mut() {
                whole.freed.size += size;
            }
        }
    }

    /// The blobs that go with a layer, because nothing else needs them.
    fn blobs_of(&mut self, id: &LayerId, gone: &HashSet<LayerId>, snapshot: &Snapshot) {
        let blobs = snapshot.layers.iter().filter(|l| l.id == *id).flat_map(|l| &l.blobs);
        for digest in blobs {
            let wanted = snapshot
                .layers
                .iter()
                .any(|layer| !gone.contains(&layer.id) && layer.blobs.contains(digest));
            let leased = snapshot.leases.contains(&lease::line_of_blob(digest))
                || snapshot.pins.contains_key(&("blob".to_owned(), digest.clone()));
            let counted = self.plan.steps.iter().any(|s| s.target == Target::Blob(digest.clone()));
            if let Some(step) =
                blob_step(snapshot, digest).filter(|_| !wanted && !leased && !counted)
            {
                // Not asked whether it may: without its layer it is of no use.
                self.freed += step.freed.size;
                self.plan.steps.push(step.because("its layer goes"));
            }
        }
    }
}

fn blob_step(snapshot: &Snapshot, digest: &str) -> Option<Step> {
    let blob = snapshot.blobs.iter().find(|blob| blob.digest == digest)?;
    let target = Target::Blob(blob.digest.clone());
    let step = Step::new(target, Kind::Blob, blob.digest.clone(), blob.size, blob.used);
    Some(step.about("blob"))
}
