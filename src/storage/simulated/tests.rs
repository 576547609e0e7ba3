use super::*;

#[test]
fn synced_bytes_survive_every_crash_and_unsynced_ones_only_some() {
    let storage = SimulatedStorage::default();
    let (directory, path) = (Path::new("/d"), Path::new("/d/f"));
    storage.create_directory(directory).unwrap();
    let file = storage.open_write(path).unwrap();
    file.write_all_at(b"safe", 0).unwrap();
    file.sync().unwrap();
    storage.sync_directory(directory).unwrap();
    file.write_all_at(b"perhaps", 4).unwrap();
    let mut seen = BTreeSet::new();
    for seed in 0..64 {
        let left = storage.crash(seed).contents(path).unwrap();
        assert_eq!(left[..4], *b"safe");
        seen.insert(left);
    }
    assert!(seen.contains(&b"safe"[..]), "dropped");
    assert!(seen.contains(&b"safeperhaps"[..]), "kept");
    assert!(seen.iter().any(|left| left.len() > 4 && left.len() < 11), "torn");
    assert_eq!(storage.contents(path).unwrap(), b"safeperhaps", "the running world sees all");
}

#[test]
fn a_failed_sync_forgets_what_was_written_before_it() {
    let storage = SimulatedStorage::default();
    let path = Path::new("/f");
    let file = storage.open_write(path).unwrap();
    file.sync().unwrap();
    storage.sync_directory(Path::new("/")).unwrap();
    file.write_all_at(b"lost", 0).unwrap();
    storage.fail_syncs(Some(EIO));
    assert!(file.sync().is_err());
    storage.fail_syncs(None);
    file.sync().unwrap();
    for seed in 0..16 {
        assert_eq!(storage.crash(seed).contents(path).unwrap(), b"");
    }
}

#[test]
fn a_full_disk_does_a_part_of_a_write() {
    let storage = SimulatedStorage::default();
    storage.set_space(Some(3));
    let file = storage.open_write(Path::new("/f")).unwrap();
    let error = file.write_all_at(b"12345", 0).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(ENOSPC));
    assert_eq!(storage.contents(Path::new("/f")).unwrap(), b"123");
    storage.set_space(None);
    file.write_all_at(b"12345", 0).unwrap();
}

#[test]
fn a_directory_sync_keeps_the_names_of_that_directory_only() {
    let storage = SimulatedStorage::default();
    for name in ["/a/f", "/b/f"] {
        let path = Path::new(name);
        storage.create_directory(path.parent().unwrap()).unwrap();
        storage.open_write(path).unwrap();
    }
    storage.sync_directory(Path::new("/a")).unwrap();
    let kept = |seed| storage.crash(seed).names();
    assert!((0..20).all(|seed| kept(seed).contains(&PathBuf::from("/a/f"))));
    assert!((0..20).any(|seed| kept(seed).len() == 1));
}

#[test]
fn an_end_tears_the_write_it_comes_in_and_a_kill_keeps_what_was_written() {
    let storage = SimulatedStorage::default();
    let path = Path::new("/f");
    let file = storage.open_write(path).unwrap();
    storage.end_after(1);
    file.write_all_at(b"one.", 0).unwrap();
    assert!(!storage.has_ended());
    assert!(file.write_all_at(b"two.", 4).is_err());
    assert!(storage.has_ended() && file.sync().is_err() && storage.open_read(path).is_err());
    let after = storage.kill();
    assert_eq!(after.contents(path).unwrap(), b"one.tw");
    assert!(after.open_read(path).is_ok());
}
