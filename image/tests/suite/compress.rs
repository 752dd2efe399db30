//! Compressed streams: the same bytes on any number of threads, taken by every reader there is.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use gantry_image::Digest;
use gantry_image::compress::{Compression, Encoder, decoder, reader, sniff};
use proptest::prelude::*;

use crate::support::{has_peer, run};

const WRITTEN: [Compression; 3] = [Compression::None, Compression::Gzip, Compression::Zstd];

fn compress(compression: Compression, level: Option<i32>, threads: usize, data: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::new(compression, level, threads, Vec::new()).unwrap();
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn decompress(data: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut out = Vec::new();
    reader(data)?.1.read_to_end(&mut out).map(|_| out)
}

/// Something with structure, of more than a few blocks.
fn sample(size: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    let words: Vec<Vec<u8>> = (0..2000)
        .map(|_| (0..3 + next() % 9).map(|_| b'a' + (next() % 26) as u8).collect())
        .collect();
    let mut data = Vec::new();
    while data.len() < size {
        data.extend_from_slice(&words[next() % words.len()]);
        data.push(b' ');
    }
    data.truncate(size);
    data
}

#[test]
fn bytes_depend_on_nothing_but_the_input_and_are_pinned() {
    let data = sample(9_300_000);
    for (compression, pinned) in [(Compression::Gzip, PINNED[0]), (Compression::Zstd, PINNED[1])] {
        let one = compress(compression, None, 1, &data);
        for threads in [2, 3, 8] {
            assert!(
                compress(compression, None, threads, &data) == one,
                "{compression} on {threads} threads"
            );
        }
        // However the input is cut into writes, and whoever flushes in between.
        let mut encoder = Encoder::new(compression, None, 2, Vec::new()).unwrap();
        for piece in data.chunks(77_777) {
            encoder.write_all(piece).unwrap();
            encoder.flush().unwrap();
        }
        assert!(encoder.finish().unwrap() == one, "{compression} in pieces");
        assert!(decompress(&one).unwrap() == data, "{compression} comes back");
        assert!(one.len() < data.len() / 2, "{compression} compresses");
        assert_eq!(Digest::of(&one).short(), pinned, "{compression}");
    }
}

/// If these change, so does the digest of every layer that is pushed: pin the libraries back, or say
/// so in the change log.
const PINNED: [&str; 2] = ["94c6898b1558", "97f697c4709c"];

#[test]
fn an_empty_stream_is_a_stream() {
    for compression in [Compression::Gzip, Compression::Zstd] {
        let data = compress(compression, None, 2, b"");
        assert_eq!(sniff(&data), compression);
        assert_eq!(decompress(&data).unwrap(), b"");
    }
}

proptest! {
    #[test]
    fn what_goes_in_comes_out(data in proptest::collection::vec(any::<u8>(), 0..5000), level in 1..=12, threads in 1_usize..4) {
        for compression in WRITTEN {
            prop_assert_eq!(decompress(&compress(compression, Some(level), threads, &data)).unwrap(), &data[..]);
        }
    }

    #[test]
    fn no_bytes_make_a_reader_panic(mut data in proptest::collection::vec(any::<u8>(), 0..300), magic in 0..5) {
        let magics: [&[u8]; 5] = [b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"BZh9", b"\xfd7zXZ\0", b""];
        data.splice(..0, magics[magic as usize].iter().copied());
        let mut out = Vec::new();
        let _ = reader(&data[..]).unwrap().1.take(1 << 20).read_to_end(&mut out);
    }
}

/// Pipes `data` through a program.
fn pipe(program: &str, args: &[&str], data: &[u8]) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("input");
    fs_err::write(&input, data).unwrap();
    let stdin = Stdio::from(fs_err::File::open(&input).unwrap().into_parts().0);
    run(Command::new(program).args(args).stdin(stdin)).stdout
}

#[test]
fn other_programs_read_what_we_write() {
    let data = sample(3_500_000);
    let gzip = compress(Compression::Gzip, None, 2, &data);
    let python = "import gzip, sys, zlib; sys.stdout.buffer.write(gzip.GzipFile(fileobj=sys.stdin.buffer).read())";
    if has_peer("gzip") {
        assert!(pipe("gzip", &["-dc"], &gzip) == data);
    }
    if has_peer("python3") {
        assert!(pipe("python3", &["-c", python], &gzip) == data);
    }
    if has_peer("zstd") {
        assert!(pipe("zstd", &["-dc"], &compress(Compression::Zstd, None, 2, &data)) == data);
    }
    // flate2's plain decoder stops after the first member; the one for many takes all.
    let mut all = Vec::new();
    flate2::read::MultiGzDecoder::new(&gzip[..]).read_to_end(&mut all).unwrap();
    assert!(all == data);
}

#[test]
fn we_read_what_other_programs_write() {
    let data = sample(300_000);
    for (program, args, is) in [
        ("gzip", &["-c"][..], Compression::Gzip),
        ("zstd", &["-c"], Compression::Zstd),
        ("zstd", &["-c", "--long=27"], Compression::Zstd),
        ("bzip2", &["-c"], Compression::Bzip2),
        ("xz", &["-c"], Compression::Xz),
        ("xz", &["-c9"], Compression::Xz),
    ] {
        if !has_peer(program) {
            continue;
        }
        let compressed = pipe(program, args, &data);
        assert_eq!(sniff(&compressed), is);
        assert!(decompress(&compressed).unwrap() == data, "{program}");
        // Two streams behind each other are one.
        let twice = [&compressed[..], &compressed].concat();
        assert!(decompress(&twice).unwrap() == [&data[..], &data].concat(), "{program} twice");
        let cut = &compressed[..compressed.len() - 5];
        assert!(decompress(cut).is_err(), "{program} cut off");
    }
}

#[test]
fn zstd_skippable_frames_are_skipped() {
    let skippable = b"\x50\x2a\x4d\x18\x04\0\0\0abcd";
    let data =
        [&skippable[..], &compress(Compression::Zstd, None, 1, b"hello"), skippable].concat();
    assert_eq!(sniff(&data), Compression::Zstd);
    assert_eq!(decompress(&data).unwrap(), b"hello");
}

#[test]
fn wrong_levels_and_formats_are_said() {
    for (compression, level) in
        [(Compression::Gzip, -1), (Compression::Gzip, 13), (Compression::Zstd, 23)]
    {
        let err = Encoder::new(compression, Some(level), 1, Vec::new()).err().unwrap();
        assert_eq!(err.kind(), std::io::ErrorKind::InvalidInput);
    }
    let err = Encoder::new(Compression::Xz, None, 1, Vec::new()).err().unwrap();
    assert_eq!(err.kind(), std::io::ErrorKind::Unsupported);
    assert!(decoder(Compression::Xz, &b"no xz at all"[..]).unwrap().read(&mut [0; 9]).is_err());
}

/// BuildKit's levels begin with 0.
#[test]
fn the_lowest_level_is_zero() {
    let data = sample(3_000_000);
    let stored = compress(Compression::Gzip, Some(0), 2, &data);
    assert!(stored.len() > data.len() && stored.len() < data.len() + data.len() / 100);
    assert!(decompress(&stored).unwrap() == data);
    let fast = compress(Compression::Zstd, Some(0), 2, &data);
    assert!(fast == compress(Compression::Zstd, Some(1), 2, &data));
}

#[test]
fn a_writer_that_fails_ends_the_stream_with_its_error() {
    struct Full(usize);
    impl Write for Full {
        fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
            self.0 = self.0.checked_sub(data.len()).ok_or(std::io::ErrorKind::StorageFull)?;
            Ok(data.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut encoder = Encoder::new(Compression::Gzip, None, 3, Full(500_000)).unwrap();
    let written = encoder.write_all(&sample(8 << 20));
    let err = written.err().or_else(|| encoder.finish().err()).unwrap();
    assert_eq!(err.kind(), std::io::ErrorKind::StorageFull);
}
