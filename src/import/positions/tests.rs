use std::io;

use super::*;

/// One file under every name; `-wal` is the other.
struct Two(&'static [u8], &'static [u8]);

impl Files for Two {
    fn read(&self, _: &Path) -> io::Result<String> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn read_bytes(&self, path: &Path) -> io::Result<Vec<u8>> {
        let is_log = path.to_string_lossy().ends_with("-wal");
        Ok(if is_log { self.1 } else { self.0 }.to_vec())
    }

    fn exists(&self, _: &Path) -> bool {
        true
    }

    fn find(&self, _: &Path) -> Vec<PathBuf> {
        Vec::new()
    }
}

fn read_text(language: Language, text: &'static str) -> (Vec<Adopted>, usize) {
    read(language, Path::new("record"), &Two(text.as_bytes(), b"")).unwrap()
}

fn adopted(path: Option<&str>, inode: u64, offset: u64) -> Adopted {
    Adopted { path: path.map(PathBuf::from), inode, offset }
}

#[test]
fn a_pos_file_has_paths_and_hexadecimal_numbers() {
    let text = "/var/log/a.log\t0000000000000010\t00000000000000ff\nnonsense\n\
                /var/log/gone.log\tffffffffffffffff\t0000000000000001\n\
                /var/log/a.log\t0000000000000020\t00000000000000ff\n";
    let (files, wrong) = read_text(Language::Fluentd, text);
    assert_eq!(files, [adopted(Some("/var/log/a.log"), 255, 32)]);
    assert_eq!(wrong, 1);
}

#[test]
fn a_sincedb_of_either_version_is_read() {
    let text = "255 0 2049 32 1795348800.5 /var/log/a b.log\n256 0 2049 7\n\nx 0 0 0\n";
    let (files, wrong) = read_text(Language::Logstash, text);
    assert_eq!(files, [adopted(Some("/var/log/a b.log"), 255, 32), adopted(None, 256, 7)]);
    assert_eq!(wrong, 2);
    let path = sincedb_of(&["/var/log/a.log".to_string(), "/var/log/b.log".to_string()]);
    assert!(path.to_string_lossy().contains("/.sincedb_"), "{}", path.display());
}

#[test]
fn a_database_is_read_with_what_its_log_has_committed() {
    let closed = include_bytes!("fixture/closed.db");
    let (files, _) = read(Language::FluentBit, Path::new("a.db"), &Two(closed, b"")).unwrap();
    assert_eq!(files.len(), 40);
    assert_eq!(files[3], adopted(Some("/var/log/app/3.log"), 7003, 3000));
    let open = Two(include_bytes!("fixture/wal.db"), include_bytes!("fixture/wal.db-wal"));
    let (files, _) = read(Language::FluentBit, Path::new("a.db"), &open).unwrap();
    let changed = files.iter().find(|file| file.inode == 7003).unwrap();
    assert_eq!((changed.offset, files.len()), (5_000_000_000, 40));
}

#[test]
fn no_damage_of_a_database_is_more_than_an_error() {
    let (file, log) = (include_bytes!("fixture/wal.db"), include_bytes!("fixture/wal.db-wal"));
    for at in (0..file.len()).step_by(3) {
        for value in [0, 0xff, file[at] ^ 1] {
            let mut bytes = file.to_vec();
            bytes[at] = value;
            let _ = sqlite::files(&bytes, log);
        }
        let _ = sqlite::files(&file[..at], log);
    }
    for at in (0..log.len()).step_by(7) {
        let mut bytes = log.to_vec();
        bytes[at] ^= 0xff;
        let _ = sqlite::files(file, &bytes);
    }
    assert!(sqlite::files(b"no database", b"").unwrap_err().contains("no SQLite"));
}
