//! The contract of [`ObjectClient`] as checks that any implementation can run in its tests.

use super::ObjectClient;

/// Panics, naming what is wrong, unless `objects`, which are empty, keep the contract of
/// [`ObjectClient`]. They are empty again afterwards.
///
/// # Panics
/// The contract is broken.
#[track_caller]
pub fn check(objects: &dyn ObjectClient) {
    assert_eq!(list(objects, ""), [""; 0], "the store is empty");
    appears_as_a_whole(objects);
    is_read_in_pieces(objects);
    is_replaced(objects);
    outlives_its_removal(objects);
    keeps_names(objects);
    assert_eq!(list(objects, ""), [""; 0], "everything was removed");
}

#[track_caller]
fn list(objects: &dyn ObjectClient, folder: &str) -> Vec<String> {
    objects.list(folder).expect("a listing")
}

#[track_caller]
fn put(objects: &dyn ObjectClient, name: &str, pieces: &[&[u8]]) {
    let mut upload = objects.upload(name).expect("an upload");
    for piece in pieces {
        upload.write(piece).expect("bytes are taken");
    }
    upload.finish().expect("the object appears");
}

#[track_caller]
fn remove(objects: &dyn ObjectClient, name: &str) {
    objects.remove(name).expect("the object is removed");
}

fn appears_as_a_whole(objects: &dyn ObjectClient) {
    let mut upload = objects.upload("t/1").expect("an upload");
    upload.write(b"hello").expect("bytes are taken");
    assert!(objects.open("t/1").is_err(), "open before the finish");
    drop(upload);
    assert_eq!(list(objects, ""), [""; 0], "a dropped upload is listed");
    put(objects, "t/2", &[b"hello ", b"", b"world"]);
    put(objects, "t/1", &[]);
    put(objects, "tt/1", &[b"x"]);
    assert_eq!(list(objects, ""), ["t/1", "t/2", "tt/1"]);
    assert_eq!(list(objects, "t"), ["t/1", "t/2"], "one folder only");
    assert_eq!(list(objects, "u"), [""; 0], "a folder that does not exist");
    remove(objects, "tt/1");
}

fn is_read_in_pieces(objects: &dyn ObjectClient) {
    let object = objects.open("t/2").expect("the object");
    assert_eq!((object.len(), object.is_empty()), (11, false));
    let read = |range| object.read(range).map(|bytes| bytes.to_vec());
    assert_eq!(read(4..7).expect("a piece"), b"o w");
    assert_eq!(read(0..11).expect("the whole"), b"hello world");
    assert_eq!(read(11..11).expect("nothing at the end"), b"");
    assert!(read(4..12).is_err(), "a range that reaches beyond the end");
    assert!(read(12..13).is_err(), "a range beyond the end");
    let empty = objects.open("t/1").expect("the empty object");
    assert!(empty.is_empty() && empty.read(0..0).expect("nothing").is_empty());
    assert!(
        objects.open("t/9").is_err(),
        "an object that does not exist"
    );
}

fn is_replaced(objects: &dyn ObjectClient) {
    put(objects, "t/1", &[b"again"]);
    let object = objects.open("t/1").expect("the object");
    assert_eq!(object.read(0..5).expect("its bytes")[..], b"again"[..]);
}

fn outlives_its_removal(objects: &dyn ObjectClient) {
    let object = objects.open("t/2").expect("the object");
    remove(objects, "t/2");
    assert_eq!(list(objects, "t"), ["t/1"], "a removed object is listed");
    assert!(objects.open("t/2").is_err(), "a removed object is opened");
    let bytes = object.read(0..5).expect("an open object, once removed");
    assert_eq!(bytes[..], b"hello"[..]);
    drop(object);
    remove(objects, "t/2");
    remove(objects, "t/1");
}

/// Every character that a tenant's name may have, and the longest one.
fn keeps_names(objects: &dyn ObjectClient) {
    let mut names = [
        "!-_.*'()/1.part".to_owned(),
        format!("{}/1", "x".repeat(150)),
    ];
    names.sort();
    for name in &names {
        put(objects, name, &[name.as_bytes()]);
    }
    assert_eq!(list(objects, ""), names);
    for name in &names {
        let object = objects.open(name).expect("an object by its listed name");
        let bytes = object.read(0..object.len()).expect("its bytes");
        assert_eq!(bytes, name.as_bytes());
        remove(objects, name);
    }
}
