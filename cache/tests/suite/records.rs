//! Records and logs.

use std::io::{Read, Write};

use gantry_cache::StoreError;

use crate::support::{Fixture, key, layer, new_record, record};

#[test]
fn a_record_comes_back_as_it_was_put() {
    let fixture = Fixture::new();
    let layers = [layer(&fixture.store, &[("a", "1")]), layer(&fixture.store, &[("b", "2")])];
    let mut log = fixture.store.logs().writer().unwrap();
    log.write_all(b"hello\n").unwrap();
    let log = log.finish().unwrap();
    let mut new = new_record(key("k"), &layers, "RUN make");
    new.log = Some(log);
    fixture.store.records().put(&new).unwrap();

    let fixture = fixture.reopened();
    let found = fixture.store.records().get(&key("k")).unwrap().unwrap();
    assert_eq!(found.layers, layers);
    assert_eq!((found.took, &found.extra[..]), (new.took, new.extra));
    assert_eq!((&found.stage[..], found.position, &found.text[..]), ("build", 3, "RUN make"));
    let preimage = fixture.store.records().preimage(&key("k")).unwrap().unwrap();
    assert_eq!(preimage, b"what it was made from");
    let mut text = String::new();
    let mut reader = fixture.store.logs().open(&found.log.unwrap()).unwrap().unwrap();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello\n");
    assert!(fixture.store.records().get(&key("other")).unwrap().is_none());
}

#[test]
fn a_record_of_a_layer_that_is_not_there_is_refused() {
    let fixture = Fixture::new();
    let id = gantry_cache::LayerId([7; 32]);
    let error = fixture.store.records().put(&new_record(key("k"), &[id], "x")).unwrap_err();
    assert!(matches!(error, StoreError::LayerGone { layer } if layer == id), "{error}");
    assert!(fixture.store.records().get(&key("k")).unwrap().is_none());
}

#[test]
fn the_nearest_are_of_the_same_place_or_text_the_best_first() {
    let fixture = Fixture::new();
    let put = |name: &str, stage: &str, position: u32, text: &str| {
        let mut new = new_record(key(name), &[], text);
        (new.stage, new.position) = (stage, position);
        fixture.store.records().put(&new).unwrap();
    };
    put("same place", "build", 3, "RUN make");
    put("same text", "test", 9, "RUN make all");
    put("both", "build", 3, "RUN make all");
    put("neither", "build", 4, "RUN true");
    let nearest = fixture.store.records().nearest("build", 3, "RUN make all").unwrap();
    assert_eq!(nearest.len(), 3);
    assert_eq!(nearest[0].key, key("both"));
    assert!(nearest.iter().all(|record| record.key != key("neither")));
}

#[test]
fn a_record_of_the_same_key_replaces_the_old_one() {
    let fixture = Fixture::new();
    let (one, two) = (layer(&fixture.store, &[("a", "1")]), layer(&fixture.store, &[("a", "2")]));
    record(&fixture.store, "k", &[one]);
    record(&fixture.store, "k", &[two]);
    assert_eq!(fixture.store.records().get(&key("k")).unwrap().unwrap().layers, [two]);
    fixture.clean();
}
