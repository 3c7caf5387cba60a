//! One contract, every implementation of [`Files`].

use std::path::{Path, PathBuf};

use headwater_env::{
    FaultyFiles, FileErrorKind, Files, FilesExt, MemoryFiles, OpenMode, RealFiles,
};

/// Runs a case on every implementation, each in an empty directory.
fn everywhere(case: impl Fn(&dyn Files, &Path)) {
    let dir = tempfile::tempdir().unwrap();
    case(&RealFiles, dir.path());
    for files in [&MemoryFiles::new() as &dyn Files, &FaultyFiles::new(1)] {
        let root = PathBuf::from("some/dir");
        files.create_dir_all(&root).unwrap();
        case(files, &root);
    }
}

fn put(files: &dyn Files, path: &Path, bytes: &[u8]) {
    let file = files.open(path, OpenMode::Truncate).unwrap();
    file.write_at(0, bytes).unwrap();
}

#[test]
fn writes_are_read_back_and_gaps_are_zeros() {
    everywhere(|files, root| {
        let file = files.open(&root.join("f"), OpenMode::CreateNew).unwrap();
        assert!(file.is_empty().unwrap());
        file.write_at(4, b"tail").unwrap();
        file.write_at(0, b"he").unwrap();
        file.sync().unwrap();
        assert_eq!(files.read(&root.join("f")).unwrap(), b"he\0\0tail");
        let mut buf = [0; 8];
        assert_eq!(file.read_at(6, &mut buf).unwrap(), 2);
        assert_eq!(file.read_at(60, &mut buf).unwrap(), 0);
        file.set_len(3).unwrap();
        assert_eq!(&*files.map(&root.join("f")).unwrap(), b"he\0");
        file.preallocate(10).unwrap();
        assert_eq!(file.len().unwrap(), 10);
    });
}

#[test]
fn open_modes_differ() {
    everywhere(|files, root| {
        let path = root.join("f");
        let missing = files.open(&path, OpenMode::Read).unwrap_err();
        assert!(missing.is_not_found());
        put(files, &path, b"abc");
        let taken = files.open(&path, OpenMode::CreateNew).unwrap_err();
        assert_eq!(taken.kind(), FileErrorKind::AlreadyExists);
        files.open(&path, OpenMode::Write).unwrap();
        assert_eq!(files.file_len(&path).unwrap(), Some(3));
        let reader = files.open(&path, OpenMode::Read).unwrap();
        assert!(reader.write_at(0, b"x").is_err());
        files.open(&path, OpenMode::Truncate).unwrap();
        assert_eq!(files.file_len(&path).unwrap(), Some(0));
        assert!(files.map(&path).unwrap().is_empty());
    });
}

#[test]
fn directories_list_rename_link_and_vanish() {
    everywhere(|files, root| {
        let (a, b) = (root.join("a"), root.join("b"));
        files.create_dir_all(&a.join("deep")).unwrap();
        files.create_dir_all(&a.join("deep")).unwrap();
        put(files, &a.join("2"), b"22");
        put(files, &a.join("1"), b"1");
        files.hard_link(&a.join("2"), &a.join("3")).unwrap();
        assert!(files.hard_link(&a.join("2"), &a.join("3")).is_err());
        let names: Vec<String> = files
            .list(&a)
            .unwrap()
            .into_iter()
            .map(|e| format!("{}{}", e.name, if e.is_dir { "/" } else { "" }))
            .collect();
        assert_eq!(names, ["1", "2", "3", "deep/"]);
        assert_eq!(files.dir_size(&a).unwrap(), 5);
        files.rename(&a, &b).unwrap();
        files.rename(&b.join("1"), &b.join("2")).unwrap();
        files.sync_dir(root).unwrap();
        assert_eq!(files.read(&b.join("2")).unwrap(), b"1");
        assert_eq!(files.read(&b.join("3")).unwrap(), b"22");
        assert!(!files.exists(&a).unwrap());
        files.remove_file(&b.join("3")).unwrap();
        assert!(files.remove_file(&b.join("3")).unwrap_err().is_not_found());
        files.remove_dir_all(&b).unwrap();
        assert!(!files.is_dir(&b));
    });
}

#[test]
fn locks_belong_to_one_handle() {
    everywhere(|files, root| {
        let path = root.join("lock");
        let first = files.open(&path, OpenMode::Write).unwrap();
        let second = files.open(&path, OpenMode::Write).unwrap();
        assert!(first.try_lock().unwrap());
        assert!(!second.try_lock().unwrap());
        drop(first);
        assert!(second.try_lock().unwrap());
    });
}

#[test]
fn atomic_writes_replace_whole_files() {
    everywhere(|files, root| {
        let path = root.join("state");
        files.write_atomic(&path, b"one").unwrap();
        files.write_atomic(&path, b"two").unwrap();
        assert_eq!(files.read(&path).unwrap(), b"two");
        assert_eq!(files.list(root).unwrap().len(), 1);
        assert!(files.free_space(root).unwrap() > 0);
        assert!(files.total_space(root).unwrap() >= files.free_space(root).unwrap());
    });
}

/// Whatever the moment of the crash, an atomic write leaves old or new.
#[test]
fn atomic_writes_survive_power_cuts() {
    let path = Path::new("state");
    let run = |disk: &FaultyFiles| {
        disk.write_atomic(path, b"first")?;
        disk.write_atomic(path, b"second")
    };
    let clean = FaultyFiles::new(0);
    run(&clean).unwrap();
    for cut in 0..clean.operations() {
        for seed in 0..8 {
            let disk = FaultyFiles::new(seed);
            disk.cut_power_after(cut);
            run(&disk).unwrap_err();
            disk.crash();
            if let Ok(left) = disk.read(path) {
                assert!(left == b"first" || left == b"second", "cut {cut}: {left:?}");
            } else {
                assert!(
                    cut <= clean.operations() / 2,
                    "cut {cut}: lost the old state"
                );
            }
        }
    }
}
