//! Blobs.

use std::io::{Read, Write};

use gantry_cache::StoreError;
use gantry_image::Digest;
use proptest::prelude::*;

use crate::support::Fixture;

#[test]
fn a_wrong_digest_leaves_nothing() {
    let fixture = Fixture::new();
    let mut writer = fixture.store.blobs().writer().unwrap();
    writer.write_all(b"these").unwrap();
    let error = writer.finish(Some(Digest::of(b"those"))).unwrap_err();
    assert!(matches!(error, StoreError::DigestMismatch { .. }), "{error}");
    for digest in [Digest::of(b"these"), Digest::of(b"those")] {
        assert!(fixture.store.blobs().open(&digest).unwrap().is_none());
        assert!(!fixture.store.blobs().path(&digest).exists());
    }
    fixture.clean();
}

#[test]
fn a_dropped_writer_leaves_nothing() {
    let fixture = Fixture::new();
    let mut writer = fixture.store.blobs().writer().unwrap();
    writer.write_all(b"half").unwrap();
    drop(writer);
    let fixture = fixture.reopened();
    fixture.clean();
    assert_eq!(fs_err::read_dir(fixture.root().join("work")).unwrap().count(), 0);
}

#[test]
fn reading_whole_verifies_and_is_bounded() {
    let fixture = Fixture::new();
    let digest = fixture.store.blobs().put(b"config").unwrap();
    assert_eq!(fixture.store.blobs().read(&digest, 6).unwrap().unwrap(), b"config");
    let error = fixture.store.blobs().read(&digest, 5).unwrap_err();
    assert!(error.to_string().contains("larger than 5 bytes"), "{error}");
    fs_err::write(fixture.store.blobs().path(&digest), "CONFIG").unwrap();
    let error = fixture.store.blobs().read(&digest, 6).unwrap_err();
    assert!(matches!(error, StoreError::BadFile { .. }), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn what_is_written_is_read(chunks: Vec<Vec<u8>>) {
        let fixture = Fixture::new();
        let mut writer = fixture.store.blobs().writer().unwrap();
        for chunk in &chunks {
            writer.write_all(chunk).unwrap();
        }
        let whole = chunks.concat();
        let (digest, size) = writer.finish(Some(Digest::of(&whole))).unwrap();
        prop_assert_eq!(size, whole.len() as u64);
        prop_assert_eq!(fixture.store.blobs().size(&digest).unwrap(), Some(size));
        let mut read = Vec::new();
        fixture.store.blobs().open(&digest).unwrap().unwrap().read_to_end(&mut read).unwrap();
        prop_assert_eq!(read, whole);
    }
}
