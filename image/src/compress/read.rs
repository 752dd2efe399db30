//! Decompressing whatever comes.

use std::io::{self, BufReader, Read};

use super::{Compression, SNIFF_LEN, sniff};

/// zstd's `--long` up to 128 MiB, as much as its own tools take without being asked.
const ZSTD_WINDOW_LOG: u32 = 27;
/// What xz's own tools need for their highest preset, and then some.
const XZ_MEMORY: u64 = 128 << 20;
const BUFFER: usize = 256 << 10;

/// Looks at the first bytes and returns a reader of what they unpack to, with what was found.
///
/// Streams: memory is bounded by the formats' windows. How much comes out is for the caller to
/// limit; a kilobyte can unpack to a gigabyte.
///
/// # Errors
/// What reading the first bytes fails with.
pub fn reader<'a>(
    mut inner: impl Read + Send + 'a,
) -> io::Result<(Compression, Box<dyn Read + Send + 'a>)> {
    let mut first = Vec::with_capacity(SNIFF_LEN);
    inner.by_ref().take(SNIFF_LEN as u64).read_to_end(&mut first)?;
    let compression = sniff(&first);
    Ok((compression, decoder(compression, io::Cursor::new(first).chain(inner))?))
}

/// Returns a reader of what `inner`, compressed so, unpacks to. Concatenated members, frames and
/// streams are one.
///
/// # Errors
/// If a decompressor can't be set up.
pub fn decoder<'a>(
    compression: Compression,
    inner: impl Read + Send + 'a,
) -> io::Result<Box<dyn Read + Send + 'a>> {
    let inner = BufReader::with_capacity(BUFFER, inner);
    Ok(match compression {
        Compression::None => Box::new(inner),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(inner)),
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(inner)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG)?;
            Box::new(decoder)
        }
        Compression::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(inner)),
        Compression::Xz => {
            let flags = liblzma::stream::CONCATENATED;
            let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, flags)
                .map_err(io::Error::other)?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(inner, stream))
        }
    })
}
