//! Bytes on their way down, whose number is known. Answers break off and others go on in their
//! place: this counts what came, leaves out what came before, and looks whether an answer fits.
//! Whom to ask, how often, and whether the bytes are the right ones is for whoever has this.

use bytes::{Buf as _, Bytes};
use reqwest::StatusCode;
use reqwest::header::CONTENT_RANGE;

use super::error::RegistryError;
use super::range::ContentRange;
use super::send::Answer;

/// After so many more bytes the count of tries starts anew.
const HEADWAY: u64 = 1 << 20;

/// Bytes of which some came.
pub(super) struct Incoming {
    size: u64,
    count: u64,
    /// So many bytes of the answer are here already.
    skip: u64,
    /// How far it was when the count of tries began.
    headway: u64,
    answer: Option<Answer>,
}

/// What comes next.
pub(super) enum Came {
    Bytes(Bytes),
    /// Nothing more: that was all.
    All,
    /// Nobody was asked for what is missing: see [`Incoming::begin`].
    Unasked,
    /// The answer broke off, and somebody must be asked for the rest.
    Broken(RegistryError),
    /// The answer has other bytes than were promised.
    Unfit(Unfit),
}

/// Why an answer is not the one that was asked for.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unfit {
    #[error("it has {found} bytes where {size} were promised")]
    Size { found: u64, size: u64 },
    #[error("it has more than the {size} bytes that were promised")]
    TooMuch { size: u64 },
    #[error("another part of it came than was asked for")]
    Part,
}

impl Incoming {
    /// Waits for `size` bytes, of which the first `count` are here.
    pub(super) fn new(size: u64, count: u64) -> Self {
        Self { size, count, skip: 0, headway: count, answer: None }
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Who sends, while somebody does.
    pub(super) fn host(&self) -> Option<&str> {
        self.answer.as_ref().map(|answer| answer.host.as_str())
    }

    /// Takes the answer, of a status that is a success, to a request for the bytes from
    /// [`count`](Self::count) on, or for all of them.
    pub(super) fn begin(&mut self, answer: Answer) -> Result<(), Unfit> {
        self.skip = match answer.status() {
            StatusCode::PARTIAL_CONTENT => {
                let range = answer.header(CONTENT_RANGE.as_str()).and_then(ContentRange::parse);
                let fits = range.is_some_and(|range| {
                    range.start == self.count && range.total.is_none_or(|total| total == self.size)
                });
                if !fits {
                    return Err(Unfit::Part);
                }
                0
            }
            _ => {
                let found = answer.response.content_length();
                if let Some(found) = found.filter(|found| *found != self.size) {
                    return Err(Unfit::Size { found, size: self.size });
                }
                self.count
            }
        };
        self.answer = Some(answer);
        Ok(())
    }

    /// Waits for more bytes.
    pub(super) async fn next(&mut self) -> Came {
        while self.count < self.size {
            let Some(answer) = &mut self.answer else { return Came::Unasked };
            let failure = match answer.chunk().await {
                Ok(Some(bytes)) => match self.take(bytes) {
                    Ok(bytes) if bytes.is_empty() => continue,
                    Ok(bytes) => return Came::Bytes(bytes),
                    Err(unfit) => return Came::Unfit(unfit),
                },
                Ok(None) => RegistryError::Broken {
                    host: answer.host.clone(),
                    source: format!("it ended after {} of {} bytes", self.count, self.size).into(),
                },
                Err(failure) => failure,
            };
            self.answer = None;
            return Came::Broken(failure);
        }
        Came::All
    }

    /// Says, once for each, that so much came that failures before it don't count any more.
    pub(super) fn has_headway(&mut self) -> bool {
        let far = self.count - self.headway >= HEADWAY;
        if far {
            self.headway = self.count;
        }
        far
    }

    /// Counts, and leaves out what is here already.
    fn take(&mut self, mut bytes: Bytes) -> Result<Bytes, Unfit> {
        let known = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
        bytes.advance(known);
        self.skip -= known as u64;
        if bytes.len() as u64 > self.size - self.count {
            return Err(Unfit::TooMuch { size: self.size });
        }
        self.count += bytes.len() as u64;
        Ok(bytes)
    }
}
