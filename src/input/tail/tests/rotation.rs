use super::troubled::Mount;
use super::*;

fn path_of(chunk: &Chunk) -> String {
    let mut out = Vec::new();
    let (_, fields) = chunk.source.fields.iter().find(|(key, _)| *key == Key::LOG).unwrap();
    Literal::write_json(fields, &mut out);
    String::from_utf8(out).unwrap()
}

fn gzip(bench: &Bench, from: &str, to: &str) {
    let mut encoder = flate2::write::GzEncoder::new(
        fs::File::create(bench.path(to)).unwrap(),
        flate2::Compression::fast(),
    );
    encoder.write_all(&fs::read(bench.path(from)).unwrap()).unwrap();
    encoder.finish().unwrap();
    fs::remove_file(bench.path(from)).unwrap();
}

// As gzip, by what the ending says.
fn pack(bench: &Bench, from: &str, to: &str) {
    let text = fs::read(bench.path(from)).unwrap();
    let packed = match to.rsplit_once('.').unwrap().1 {
        "zst" => ruzstd::encoding::compress_to_vec(
            &text[..],
            ruzstd::encoding::CompressionLevel::Fastest,
        ),
        "xz" => {
            let options = lzma_rust2::XzOptions::with_preset(6);
            let mut writer = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
            writer.write_all(&text).unwrap();
            writer.finish().unwrap()
        }
        _ => {
            let mut writer = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            writer.write_all(&text).unwrap();
            writer.finish().unwrap()
        }
    };
    fs::write(bench.path(to), packed).unwrap();
    fs::remove_file(bench.path(from)).unwrap();
}

fn numbered(from: usize, to: usize) -> String {
    (from..to).map(|n| format!("line {n:05} of a log with some more text in it\n")).collect()
}

#[test]
fn a_file_is_read_as_it_grows_with_one_source_and_offsets() {
    let mut bench = Bench::new(&["*.log"]);
    bench.append("a.log", "one\ntw");
    bench.start();
    bench.append("a.log", "o\nthree\n");
    bench.step();
    assert_eq!(bench.text(), "one\ntwo\nthree\n");
    let offsets: Vec<u64> = bench.chunks.iter().map(|chunk| chunk.offset).collect();
    assert_eq!(offsets, [0, 4]);
    let id = bench.chunks[0].source.id;
    assert!(bench.chunks.iter().all(|chunk| chunk.source.id == id));
    assert_eq!(bench.chunks[0].source.kind, SourceKind::File { generation: id });
    let path = bench.path("a.log");
    assert_eq!(
        path_of(&bench.chunks[0]),
        format!("{{\"file\":{{\"path\":\"{}\"}}}}", path.display())
    );
    assert_eq!(bench.metric("logweir_input_bytes_total"), 14);
    assert_eq!(bench.metric("logweir_input_lag_bytes"), 0);
}

#[test]
fn a_renamed_file_is_finished_before_its_successor_and_keeps_its_source() {
    for paths in [["*.log"], ["*"]] {
        let mut bench = Bench::new(&paths);
        bench.append("a.log", "1\n");
        bench.start();
        bench.append("a.log", "2\n");
        bench.rename("a.log", "a.log.1");
        bench.append("a.log", "4\n");
        bench.append("a.log.1", "3\n");
        bench.step();
        assert_eq!(bench.text(), "1\n2\n3\n4\n", "{paths:?}");
        assert_eq!(bench.chunks[0].source.id, bench.chunks[1].source.id);
        assert_ne!(bench.chunks[0].source.id, bench.chunks[2].source.id);
        // The writer may go on in the renamed file for long.
        bench.pass(60);
        bench.append("a.log.1", "5\n");
        bench.step();
        assert_eq!(bench.lines().last().unwrap(), "5", "{paths:?}");
        assert_eq!(bench.metric("logweir_input_rotations_total"), 1);
    }
}

#[test]
fn copytruncate_gives_each_line_once_whether_the_copy_matches_or_not() {
    for paths in [["a.log"], ["a.log*"]] {
        let mut bench = Bench::new(&paths);
        bench.append("a.log", numbered(0, 50));
        bench.start();
        for round in 1..5 {
            bench.append("a.log", numbered(round * 100, round * 100 + 10));
            bench.step();
            bench.append("a.log", numbered(round * 100 + 10, round * 100 + 30));
            if round > 1 {
                bench.rename("a.log.1", "a.log.2");
            }
            bench.copy_truncate("a.log", "a.log.1");
            if round % 2 == 0 {
                bench.append("a.log", numbered(round * 100 + 30, round * 100 + 99));
            }
            bench.step();
            bench.pass(12);
        }
        let mut expected = numbered(0, 50);
        for round in 1..5 {
            let end = if round % 2 == 0 { 99 } else { 30 };
            expected += &numbered(round * 100, round * 100 + end);
        }
        let expected: Vec<String> = expected.lines().map(str::to_string).collect();
        assert_eq!(bench.faults(&expected), (vec![], vec![]), "{paths:?}");
        assert_eq!(bench.metric("logweir_input_truncations_total"), 4);
    }
}

#[test]
fn a_copy_seen_while_it_is_made_is_not_read() {
    let mut bench = Bench::new(&["a.log*"]);
    let text = numbered(0, 400);
    bench.append("a.log", &text);
    bench.start();
    for part in text.as_bytes().chunks(3000) {
        bench.append("a.log.1", part);
        bench.look(vec![Wake::Appeared(bench.path("a.log.1"))]);
        bench.drain();
    }
    fs::File::create(bench.path("a.log")).unwrap();
    bench.append("a.log", "new\n");
    bench.step();
    bench.pass(20);
    assert_eq!(bench.text(), text + "new\n");
}

#[test]
fn files_with_equal_headers_are_two_files() {
    let mut bench = Bench::new(&["*.log"]);
    let header = "# a header that is longer than a kilobyte\n".repeat(30);
    bench.append("app.log", format!("{header}one\n"));
    bench.append("app-2.log", format!("{header}two\n"));
    bench.start();
    bench.append("app.1.log", &header);
    bench.step();
    bench.append("app.1.log", "three\n");
    bench.step();
    for line in ["one", "two", "three"] {
        assert_eq!(bench.lines().iter().filter(|l| *l == line).count(), 1, "{line}");
    }
    assert_eq!(bench.text().len(), 3 * header.len() + 14);
}

#[test]
fn tiny_and_empty_files_are_read_at_once_and_a_tiny_equal_one_soon() {
    let mut bench = Bench::new(&["*.log"]);
    bench.append("a.log", "");
    bench.append("b.log", "\n");
    bench.append("c.log", "x\n");
    bench.start();
    assert_eq!(bench.sorted(), ["", "x"]);
    bench.append("c.1.log", "x\n");
    bench.step();
    bench.pass(6);
    assert_eq!(bench.sorted(), ["", "x", "x"]);
}

#[test]
fn a_last_line_without_a_line_feed_is_handed_on_after_its_time() {
    let mut bench = Bench::new(&["*.log"]);
    bench.append("a.log", "one\nend");
    bench.start();
    bench.pass(4);
    assert_eq!(bench.text(), "one\n");
    bench.append("a.log", "s");
    bench.step();
    bench.pass(4);
    assert_eq!(bench.text(), "one\n");
    bench.pass(2);
    assert_eq!(bench.text(), "one\nends");
    bench.append("a.log", "more\n");
    bench.step();
    assert_eq!(bench.text(), "one\nendsmore\n");
    assert_eq!(bench.chunks.len(), 3);
}

#[test]
fn a_line_of_ten_megabytes_is_split_and_the_file_goes_on() {
    let mut bench = Bench::new(&["*.log"]);
    let long = "x".repeat(10_000_000);
    bench.append("a.log", format!("before\n{long}"));
    bench.start();
    bench.append("a.log", "\nafter\n");
    bench.step();
    assert_eq!(bench.text(), format!("before\n{long}\nafter\n"));
    assert_eq!(bench.chunks.iter().filter(|chunk| chunk.piece).count(), 10);
    assert_eq!(bench.metric("logweir_input_lines_split_total"), 1);
    assert!(!bench.chunks.last().unwrap().piece);
}

#[test]
fn invalid_utf_8_passes_as_it_is() {
    let mut bench = Bench::new(&["*.log"]);
    bench.append("a.log", b"\xff\xfe\n\xc3\n");
    bench.start();
    assert_eq!(bench.chunks[0].text, b"\xff\xfe\n\xc3\n");
}

#[test]
fn the_hole_of_a_writer_without_append_is_left_out_and_counted() {
    let mut bench = Bench::new(&["a.log"]);
    bench.append("a.log", numbered(0, 20));
    bench.start();
    let end = fs::metadata(bench.path("a.log")).unwrap().len();
    bench.copy_truncate("a.log", "a.log.1");
    use std::os::unix::fs::FileExt;
    let file = fs::OpenOptions::new().write(true).open(bench.path("a.log")).unwrap();
    file.write_all_at(b"new\n", end).unwrap();
    bench.step();
    assert_eq!(bench.text(), numbered(0, 20) + "new\n");
    assert_eq!(bench.metric("logweir_input_bytes_skipped_total{reason=\"hole\"}"), end as i64);
}

#[test]
fn a_restart_goes_on_where_the_journal_says() {
    let mut bench = Bench::new(&["*.log"]);
    bench.append("a.log", "1\n2\n");
    bench.start();
    bench.append("a.log", "3\n");
    bench.start();
    bench.start();
    assert_eq!(bench.text(), "1\n2\n3\n");
    assert_eq!(bench.chunks[0].source.id, bench.chunks[1].source.id);
}

#[test]
fn a_restart_begins_at_the_first_line_that_a_decoder_held_with_the_same_source() {
    for held in [1, 20, 40] {
        for rotated in [false, true] {
            let mut bench = Bench::new(&["a.log"]);
            bench.append("a.log", numbered(0, 40));
            bench.start();
            let line = numbered(0, 1).len() as u64;
            for position in bench.journal.values_mut() {
                position.offset -= held * line;
            }
            if rotated {
                gzip(&bench, "a.log", "a.log.1.gz");
            }
            bench.start();
            let again = numbered(40 - held as usize, 40);
            assert_eq!(bench.text(), numbered(0, 40) + &again, "{held} {rotated}");
            assert_eq!(bench.chunks[0].source.id, bench.chunks[1].source.id);
        }
    }
}

#[test]
fn what_was_rotated_while_the_agent_was_down_is_finished_first() {
    for paths in [["a.log"], ["a.log*"]] {
        for how in 0..4 {
            let mut bench = Bench::new(&paths);
            bench.append("a.log", numbered(0, 40));
            bench.start();
            bench.append("a.log", numbered(40, 50));
            match how {
                0 => bench.rename("a.log", "a.log.1"),
                1 => bench.rename("a.log", "a.log-20260101"),
                2 => bench.copy_truncate("a.log", "a.log.1"),
                _ => gzip(&bench, "a.log", "a.log.1.gz"),
            }
            bench.append("a.log", numbered(50, 60));
            bench.start();
            assert_eq!(bench.text(), numbered(0, 60), "{paths:?} {how}");
            assert_eq!(bench.chunks[0].source.id, bench.chunks[1].source.id);
            bench.pass(40);
            bench.start();
            bench.pass(40);
            assert_eq!(bench.text(), numbered(0, 60), "{paths:?} {how}, once more");
        }
    }
}

#[test]
fn a_rotated_file_that_is_compressed_while_we_look_is_not_read_again() {
    let mut bench = Bench::new(&["a.log*"]);
    bench.append("a.log", numbered(0, 40));
    bench.start();
    bench.rename("a.log", "a.log.1");
    bench.append("a.log", numbered(40, 50));
    bench.step();
    gzip(&bench, "a.log.1", "a.log.1.gz");
    bench.step();
    bench.pass(60);
    bench.start();
    bench.rename("a.log.1.gz", "a.log.2.gz");
    bench.step();
    bench.pass(20);
    assert_eq!(bench.text(), numbered(0, 50));
}

#[test]
fn the_rest_of_a_half_read_file_is_read_from_it_whatever_compressed_it() {
    for ending in ["zst", "xz", "bz2"] {
        for paths in [["a.log"], ["a.log*"]] {
            let mut bench = Bench::new(&paths);
            bench.append("a.log", numbered(0, 40));
            bench.start();
            bench.append("a.log", numbered(40, 50));
            pack(&bench, "a.log", &format!("a.log-20260101.{ending}"));
            bench.append("a.log", numbered(50, 60));
            bench.start();
            assert_eq!(bench.text(), numbered(0, 60), "{ending} {paths:?}");
            assert_eq!(bench.chunks[0].source.id, bench.chunks[1].source.id);
            bench.pass(40);
            bench.start();
            bench.pass(40);
            assert_eq!(bench.text(), numbered(0, 60), "{ending} {paths:?}, once more");
        }
    }
}

#[test]
fn an_unknown_gzip_is_read_from_its_start() {
    let mut bench = Bench::new(&["a.log*"]);
    bench.append("old", numbered(0, 20_000));
    gzip(&bench, "old", "a.log.9.gz");
    bench.start();
    assert_eq!(bench.text(), numbered(0, 20_000));
    bench.start();
    assert_eq!(bench.text(), numbered(0, 20_000));
}

#[test]
fn a_position_beyond_the_file_or_of_another_content_starts_again() {
    let mut bench = Bench::new(&["*.log"]);
    bench.append("a.log", "old 1\nold 2\n");
    bench.start();
    fs::write(bench.path("a.log"), "new 1\n").unwrap();
    bench.start();
    fs::write(bench.path("a.log"), "newer 1\nnewer 2\n").unwrap();
    bench.start();
    // The same size, the same inode.
    fs::write(bench.path("a.log"), "other 1\nother 2\n").unwrap();
    bench.step();
    assert_eq!(bench.text(), "old 1\nold 2\nnew 1\nnewer 1\nnewer 2\nother 1\nother 2\n");
    bench.pass(40);
    assert_eq!(bench.journal.len(), 1, "positions of what is gone are forgotten");
}

// Which of the two claims came first was once a matter of their random ids.
#[test]
fn a_file_is_the_one_that_came_after_its_truncation_though_nothing_was_read_before() {
    for _ in 0..8 {
        let mut bench = Bench::new(&["app.log*"]);
        bench.append("app.log", "a line that never en");
        bench.start();
        fs::write(bench.path("app.log"), "").unwrap();
        bench.append("app.log", "1\n2\n");
        bench.step();
        bench.rename("app.log", "app.log.1");
        bench.append("app.log.1", "3\n");
        bench.append("app.log", "4\n");
        bench.start();
        bench.pass(45);
        assert_eq!(bench.text(), "1\n2\n3\n4\n");
    }
}

#[test]
fn an_inode_that_is_used_again_is_another_file() {
    let mut bench = Bench::new(&["*.log"]);
    for round in 0..20 {
        let name = format!("{round}.log");
        bench.append(&name, format!("first of {round}\nsecond of {round}\n"));
        if round % 3 == 0 {
            bench.start();
        } else {
            bench.step();
        }
        bench.pass(3);
        fs::remove_file(bench.path(&name)).unwrap();
    }
    assert_eq!(bench.lines().len(), 40);
    bench.step();
    bench.pass(40);
    assert_eq!(bench.journal.len(), 0);
    assert_eq!(bench.metric("logweir_input_files{}").max(0), 0);
    assert_eq!(bench.metric("logweir_input_files_open"), 0);
}

#[test]
fn a_removed_file_is_read_to_its_end() {
    let mut bench = Bench::new(&["*.log"]);
    bench.append("a.log", "1\n");
    bench.start();
    bench.append("a.log", "2\n");
    bench.look(vec![Wake::Changed(bench.path("a.log"))]);
    bench.tailer.hold();
    fs::remove_file(bench.path("a.log")).unwrap();
    bench.append("a.log", "3\n");
    bench.step();
    assert_eq!(bench.text(), "1\n2\n3\n");
}

#[test]
fn a_file_that_is_removed_while_it_is_open_is_let_go_after_a_while() {
    let mut bench = Bench::new(&["*.log"]);
    bench.append("a.log", "1\n");
    bench.start();
    fs::remove_file(bench.path("a.log")).unwrap();
    bench.step();
    bench.pass(20);
    assert_eq!(bench.metric("logweir_input_files_open"), 1);
    bench.pass(40);
    assert_eq!((bench.metric("logweir_input_files_open"), bench.journal.len()), (0, 0));
}

#[test]
fn start_at_end_counts_once_and_later_files_are_read_whole() {
    let mut bench = Bench::with(&["*.log"], |s| s.start_at = StartAt::End, disk());
    bench.append("a.log", "old\nhalf");
    bench.start();
    bench.append("a.log", " line\n");
    bench.append("b.log", "b\n");
    bench.step();
    bench.append("c.log", "c\n");
    bench.start();
    assert_eq!(bench.sorted(), ["b", "c", "half line"]);
}

#[test]
fn hard_links_are_one_file_and_a_swapped_link_is_another() {
    let mut bench = Bench::new(&["*.log"]);
    bench.append("one", "one\n");
    bench.append("two", "two\n");
    std::os::unix::fs::symlink(bench.path("one"), bench.path("link.log")).unwrap();
    fs::hard_link(bench.path("one"), bench.path("hard.log")).unwrap();
    bench.start();
    assert_eq!(bench.text(), "one\n");
    fs::remove_file(bench.path("link.log")).unwrap();
    std::os::unix::fs::symlink(bench.path("two"), bench.path("link.log")).unwrap();
    bench.append("one", "one more\n");
    bench.step();
    assert_eq!(bench.sorted(), ["one", "one more", "two"]);
}

#[test]
fn two_thousand_idle_files_hold_few_descriptors() {
    let mut bench = Bench::new(&["*.log"]);
    for n in 0..2000 {
        bench.append(&format!("{n}.log"), format!("{n}\n"));
    }
    bench.start();
    assert_eq!(bench.lines().len(), 2000);
    assert!(bench.metric("logweir_input_files_open") <= 64);
    bench.pass(5);
    assert_eq!(bench.metric("logweir_input_files_open"), 0);
    assert_eq!(
        bench.metric("logweir_input_files{}").max(bench.metric("logweir_input_files ")),
        2000
    );
}

#[test]
fn what_is_not_a_file_is_left_alone_and_the_rest_goes_on() {
    let mut bench = Bench::new(&["*.log"]);
    fs::create_dir(bench.path("folder.log")).unwrap();
    bench.append("a.log", "a\n");
    bench.start();
    bench.step();
    assert_eq!(bench.text(), "a\n");
    assert_eq!(bench.tailer.problem(), None);
}

// A log that the machine lost power under: bytes that are left, NUL bytes behind them, what came since.
fn after_a_cut(left: u64, zeros: u64, since: &str) -> Vec<String> {
    let storage = Arc::new(blinking::Blinking::default());
    let mut bench = Bench::with(&["app.log"], |_| {}, storage.clone());
    bench.append("app.log", "");
    bench.start();
    for n in 0..50 {
        bench.append("app.log", numbered(n, n + 1));
        bench.step();
    }
    model::cut_short(&bench.path("app.log"), left, zeros);
    storage.cut();
    if !since.is_empty() {
        bench.append("app.log", since);
    }
    bench.start();
    bench.append("app.log", "the last\n");
    bench.step();
    bench.start();
    bench.pass(45);
    bench.start();
    bench.step();
    bench.lines()
}

#[test]
fn a_file_whose_end_a_power_cut_took_goes_on_where_it_ends() {
    let size = numbered(0, 50).len() as u64;
    let all = |more: &[&str]| {
        let all = numbered(0, 50);
        all.lines().chain(more.iter().copied()).map(str::to_string).collect::<Vec<String>>()
    };
    for left in [1024, 1500, size - 48, size - 1, size] {
        assert_eq!(after_a_cut(left, 0, ""), all(&["the last"]), "{left} of {size} bytes");
        let lines = after_a_cut(left, size - left, "");
        assert_eq!(lines, all(&["the last"]), "{left} of {size} bytes, then NUL bytes");
        assert_eq!(after_a_cut(left, size - left, "new\n"), all(&["new", "the last"]));
    }
}

#[test]
fn what_a_file_got_since_a_power_cut_is_not_left_out_though_it_stands_where_other_lines_stood() {
    let size = numbered(0, 50).len() as u64;
    for (lost, since) in
        [(46, "new"), (46, "a line that is longer than the cut took from this"), (460, "1")]
    {
        let lines = after_a_cut(size - lost, 0, &format!("{since}\n"));
        assert_eq!(&lines[..50], numbered(0, 50).lines().collect::<Vec<_>>());
        assert!(lines.ends_with(&[since.to_string(), "the last".to_string()]), "{lines:?}");
        // What comes again begins where the file was compared.
        assert!(lost > 46 || lines.len() <= 50 + 3, "{} lines", lines.len());
    }
}

#[test]
fn lines_that_a_decoder_held_are_read_though_a_power_cut_took_what_came_behind_them() {
    let size = numbered(0, 50).len() as u64;
    for (left, zeros) in [(size - 20, 0), (size - 20, 20), (size - 60, 0), (size - 150, 0)] {
        let storage = Arc::new(blinking::Blinking::default());
        let mut bench = Bench::with(&["app.log"], |_| {}, storage.clone());
        bench.append("app.log", numbered(0, 50));
        bench.start();
        bench.chunks.clear();
        // As the gate does while a decoder holds the lines from there on.
        let held_from = numbered(0, 48).len() as u64;
        bench.journal.values_mut().for_each(|position| position.offset = held_from);
        model::cut_short(&bench.path("app.log"), left, zeros);
        storage.cut();
        bench.start();
        bench.append("app.log", "\nthe last\n");
        bench.step();
        let text = fs::read_to_string(bench.path("app.log")).unwrap();
        assert_eq!(bench.text(), text[held_from.min(left) as usize..], "{left} of {size} bytes");
    }
}

// The same, but the log was compressed, or copied and truncated, before the agent is there again; `since` was written
// to it before.
fn after_a_cut_and_rotation(
    (left, since): (u64, &str),
    copied: bool,
    glob: &str,
    ends: usize,
) -> Vec<String> {
    let storage = Arc::new(blinking::Blinking::default());
    let mut bench = Bench::with(&[glob], |_| {}, storage.clone());
    bench.append("app.log", "");
    bench.start();
    for n in 0..150 {
        bench.append("app.log", numbered(n, n + 1));
        bench.step();
    }
    model::cut_short(&bench.path("app.log"), left, 0);
    storage.cut();
    if !since.is_empty() {
        model::tick(&bench);
        bench.append("app.log", since);
    }
    if copied {
        bench.copy_truncate("app.log", "app.log.1");
        bench.append("app.log", "the new log\n");
    } else {
        bench.rename("app.log", "app.log.1");
        bench.append("app.log", "the new log\n");
        model::gzip(&bench.path("app.log.1"));
    }
    for _ in 0..=ends {
        bench.start();
        bench.pass(10);
    }
    bench.pass(60);
    bench.append("app.log", "the last\n");
    bench.step();
    bench.lines()
}

#[test]
fn a_log_whose_end_a_power_cut_took_is_known_though_it_was_compressed_before_it_was_found() {
    let all = numbered(0, 150);
    let size = all.len() as u64;
    let all: Vec<&str> = all.lines().chain(["the new log", "the last"]).collect();
    for (glob, ends) in [("app.log", 0), ("app.log*", 0), ("app.log", 2), ("app.log*", 2)] {
        for left in [size - 460, size - 48, size] {
            let lines = after_a_cut_and_rotation((left, ""), false, glob, ends);
            assert_eq!(lines, all, "{left} of {size} bytes, {glob}, {ends} ends more");
            // What came since the cut begins where the file was compared.
            let lines = after_a_cut_and_rotation((left, "since\n"), false, glob, ends);
            let missing = all.iter().find(|line| !lines.iter().any(|found| found == *line));
            assert_eq!(missing, None);
            assert_eq!(lines.iter().filter(|line| line.ends_with("since")).count(), 1);
            assert!(lines.len() <= all.len() + 50, "{} lines", lines.len());
        }
        // Nothing but the first kilobyte speaks for it: all of its lines come, also those that came before.
        let lines = after_a_cut_and_rotation((1024, ""), false, glob, ends);
        assert!(lines.len() > all.len());
    }
}

#[test]
fn what_came_since_a_power_cut_took_the_end_of_a_log_is_read_though_it_was_copied_and_truncated() {
    let all = numbered(0, 150);
    let size = all.len() as u64;
    let all: Vec<&str> = all.lines().chain(["the new log", "the last"]).collect();
    for (glob, ends) in [("app.log", 0), ("app.log*", 0), ("app.log", 2), ("app.log*", 2)] {
        for (left, since) in [(size - 460, ""), (size - 460, "since\n"), (size - 2, "since\n")] {
            let lines = after_a_cut_and_rotation((left, since), true, glob, ends);
            let missing = all.iter().find(|line| !lines.iter().any(|found| found == *line));
            assert_eq!(missing, None);
            let new = lines.iter().filter(|line| line.ends_with("since")).count();
            assert_eq!(
                new,
                usize::from(!since.is_empty()),
                "{left} of {size} bytes, {glob}, {ends} ends"
            );
            assert!(lines.len() <= all.len() + 50, "{} lines", lines.len());
        }
    }
}

#[test]
fn an_archive_of_another_log_that_begins_like_one_whose_end_a_power_cut_took_is_read() {
    for glob in ["app.log", "app.log*"] {
        let header = "# a header that is longer than a kilobyte\n".repeat(30);
        let storage = Arc::new(blinking::Blinking::default());
        let mut bench = Bench::with(&[glob], |_| {}, storage.clone());
        bench.append("app.log", &header);
        bench.start();
        for n in 0..50 {
            bench.append("app.log", numbered(n, n + 1));
            bench.step();
        }
        storage.cut();
        fs::remove_file(bench.path("app.log")).unwrap();
        bench.append("app.log.1", format!("{header}{}", numbered(100, 120)));
        model::gzip(&bench.path("app.log.1"));
        bench.append("app.log", "the new log\n");
        bench.start();
        bench.pass(60);
        let lines = bench.lines();
        let missing: Vec<String> = numbered(100, 120)
            .lines()
            .filter(|l| !lines.iter().any(|o| o == l))
            .map(String::from)
            .collect();
        assert_eq!(missing, [""; 0], "{glob}");
    }
}

#[test]
fn two_rotations_seen_in_the_wrong_order_do_not_wait_for_one_another() {
    let mut bench = Bench::new(&["app.log"]);
    bench.append("app.log", "2\n");
    // The pipeline takes nothing for now.
    bench.tailer.start(&[]);
    bench.rename("app.log", "app.log.1");
    bench.look(vec![Wake::Changed(bench.path("app.log")), Wake::Appeared(bench.path("app.log.1"))]);
    bench.rename("app.log.1", "app.log");
    bench.look(vec![Wake::Changed(bench.path("app.log.1")), Wake::Appeared(bench.path("app.log"))]);
    model::tick(&bench);
    bench.append("app.log.2", "1\n");
    bench.look(vec![Wake::Appeared(bench.path("app.log.2"))]);
    bench.drain();
    bench.append("app.log", "3\n");
    bench.step();
    bench.pass(20);
    assert_eq!(bench.sorted(), ["1", "2", "3"]);
}

#[test]
fn a_log_is_known_by_its_content_when_its_device_has_another_number_whatever_it_is_called() {
    for name in ["app.log", "messages"] {
        let storage = Arc::new(troubled::Troubled::default());
        let mut bench = Bench::with(&[name], |_| {}, storage.clone());
        bench.append(name, numbered(0, 100));
        bench.start();
        storage.renumber();
        bench.append(name, numbered(100, 200));
        bench.start();
        bench.pass(60);
        assert_eq!(bench.text(), numbered(0, 200), "{name}");
    }
}

#[test]
fn a_log_that_is_replaced_by_its_copy_goes_on_whatever_it_is_called() {
    for name in ["app.log", "messages"] {
        let mut bench = Bench::new(&[name]);
        bench.append(name, numbered(0, 100));
        bench.start();
        bench.pass(10);
        fs::copy(bench.path(name), bench.path("x")).unwrap();
        bench.rename("x", name);
        bench.append(name, numbered(100, 200));
        bench.step();
        bench.pass(60);
        assert_eq!(bench.text(), numbered(0, 200), "{name}");
    }
}

#[test]
fn a_folder_that_cannot_be_listed_for_a_while_costs_no_rotated_file() {
    for paths in [["app.log"], ["app.log*"]] {
        for told in [vec![Wake::Everything], vec![]] {
            let storage = Arc::new(troubled::Troubled::default());
            let mut bench = Bench::with(&paths, |_| {}, storage.clone());
            bench.append("app.log", numbered(0, 100));
            bench.start();
            bench.pass(10);
            storage.list_nothing(true);
            bench.append("app.log", numbered(100, 200));
            bench.rename("app.log", "app.log.1");
            bench.append("app.log", numbered(200, 300));
            let mut wakes = vec![Wake::Changed(bench.path("app.log"))];
            wakes.extend(told);
            bench.look(wakes);
            bench.pass(60);
            let problem = bench.tailer.problem().unwrap_or_default();
            assert!(problem.contains("LimitNOFILE"), "{problem}");
            storage.list_nothing(false);
            bench.step();
            bench.pass(60);
            let all: Vec<String> = numbered(0, 300).lines().map(str::to_string).collect();
            assert_eq!(bench.faults(&all), (vec![], vec![]), "{paths:?}");
            assert_eq!(bench.tailer.problem(), None);
        }
    }
}

#[test]
fn what_is_excluded_or_in_no_glob_any_more_is_not_read_on_after_a_restart() {
    let exclude = |bench: &mut Bench| {
        bench.settings.exclude = vec![Exclude::Name(glob::Pattern::new("b.log").unwrap())];
    };
    let take_out = |bench: &mut Bench| {
        bench.settings.paths = globs(bench.folder.path(), &["a.log"]);
    };
    for change in [exclude, take_out] as [fn(&mut Bench); 2] {
        let mut bench = Bench::new(&["*.log"]);
        bench.append("a.log", "1\n");
        bench.append("b.log", "1\n");
        bench.start();
        // Known by the path under which it was first seen.
        bench.append("a.log", "2\n");
        bench.rename("a.log", "a.log.1");
        bench.append("a.log", "3\n");
        change(&mut bench);
        bench.start();
        assert_eq!(bench.journal.len(), 2, "the journal forgets it");
        bench.append("b.log", "left out\n");
        bench.append("a.log.1", "4\n");
        bench.step();
        bench.pass(60);
        assert_eq!(bench.sorted(), ["1", "1", "2", "3", "4"]);
    }
}

#[test]
fn a_file_that_paths_means_by_another_name_now_goes_on() {
    let mut bench = Bench::new(&["here/*.log"]);
    fs::create_dir(bench.path("here")).unwrap();
    bench.append("here/a.log", "1\n");
    bench.start();
    bench.rename("here", "there");
    bench.settings.paths = globs(bench.folder.path(), &["there/*.log"]);
    bench.append("there/a.log", "2\n");
    bench.start();
    bench.append("there/a.log", "3\n");
    bench.rename("there/a.log", "there/a.log.1");
    bench.append("there/a.log", "4\n");
    bench.start();
    bench.pass(60);
    assert_eq!(bench.text(), "1\n2\n3\n4\n");
    let path = bench.path("there/a.log").display().to_string();
    assert!(bench.chunks[1..].iter().all(|chunk| path_of(chunk).contains(&path)));
}

// A folder `d` with a file system of its own and a log in it.
fn mounted(paths: &[&str]) -> (Bench, Arc<troubled::Troubled>, PathBuf) {
    let storage = Arc::new(troubled::Troubled::default());
    let bench = Bench::with(paths, |_| {}, storage.clone());
    fs::create_dir(bench.path("d")).unwrap();
    let folder = bench.path("d").canonicalize().unwrap();
    storage.mount(&folder, Mount::There);
    bench.append("d/a.log", numbered(0, 100));
    (bench, storage, folder)
}

#[test]
fn what_is_in_a_file_system_that_is_away_for_long_goes_on_when_it_is_back() {
    for away in [Mount::Empty, Mount::Gone] {
        for (restart, renumbered) in [(true, false), (true, true), (false, false)] {
            let (mut bench, storage, folder) = mounted(&["d/*.log"]);
            bench.start();
            bench.pass(if restart { 0 } else { 10 });
            storage.mount(&folder, away);
            if restart {
                bench.start();
            } else {
                bench.step();
            }
            bench.pass(120);
            assert_eq!(bench.metric("logweir_input_files_open"), 0);
            if renumbered {
                storage.renumber();
            }
            storage.mount(&folder, Mount::There);
            bench.append("d/a.log", numbered(100, 200));
            bench.step();
            bench.pass(20);
            assert_eq!(bench.text(), numbered(0, 200), "{restart} {renumbered}");
        }
    }
}

#[test]
fn a_file_system_that_never_comes_back_is_waited_for_for_a_week() {
    let (mut bench, storage, folder) = mounted(&["d/*.log"]);
    bench.start();
    storage.mount(&folder, Mount::Gone);
    bench.start();
    for day in 1..=8 {
        bench.clock.advance_ns(24 * 3_600_000_000_000);
        bench.pass(60);
        assert_eq!(bench.journal.len(), usize::from(day < 7), "after {day} days");
    }
    assert_eq!(bench.metric("logweir_input_files_gone_total"), 1);
}

#[test]
fn what_is_removed_in_a_file_system_that_is_there_is_forgotten_soon() {
    // Links to another file system: the folder they are in is on another one as a rule.
    let (mut bench, _, _) = mounted(&["links/*.log"]);
    bench.append("d/b.log", "b\n");
    fs::create_dir(bench.path("links")).unwrap();
    for name in ["a.log", "b.log"] {
        let link = bench.path("links").join(name);
        std::os::unix::fs::symlink(bench.path("d").join(name), link).unwrap();
    }
    bench.start();
    fs::remove_file(bench.path("links/a.log")).unwrap();
    fs::remove_file(bench.path("d/a.log")).unwrap();
    bench.step();
    bench.pass(60);
    assert_eq!(bench.journal.len(), 1);
    // A folder that is removed with all that is in it.
    let (mut bench, _, _) = mounted(&["d/e/*.log", "d/*.log"]);
    fs::create_dir(bench.path("d/e")).unwrap();
    bench.append("d/e/b.log", "b\n");
    bench.start();
    fs::remove_dir_all(bench.path("d/e")).unwrap();
    bench.step();
    bench.pass(60);
    assert_eq!(bench.journal.len(), 1);
}

#[test]
fn what_is_rotated_behind_a_link_is_finished() {
    for restart in [true, false] {
        for how in 0..2 {
            let mut bench = Bench::new(&["containers/*.log"]);
            fs::create_dir(bench.path("containers")).unwrap();
            fs::create_dir(bench.path("pods")).unwrap();
            bench.append("pods/0.log", numbered(0, 100));
            let link = bench.path("containers/x.log");
            std::os::unix::fs::symlink(bench.path("pods/0.log"), link).unwrap();
            bench.start();
            bench.pass(10);
            bench.append("pods/0.log", numbered(100, 200));
            match how {
                0 => bench.rename("pods/0.log", "pods/0.log.20261122-000000"),
                _ => gzip(&bench, "pods/0.log", "pods/0.log.20261122-000000.gz"),
            }
            bench.append("pods/0.log", numbered(200, 300));
            if restart {
                bench.start();
            } else {
                bench.step();
            }
            bench.pass(60);
            assert_eq!(bench.text(), numbered(0, 300), "{restart} {how}");
            bench.start();
            bench.pass(60);
            assert_eq!(bench.text(), numbered(0, 300), "{restart} {how}, once more");
        }
    }
}
