use super::*;

fn sample() -> Frame {
    draft().seal(0xabc, 12)
}

fn draft() -> Draft {
    let mut draft = Draft::new(Vec::new());
    let prefix = draft.string(b"gen");
    let logs = draft.string(b"logs-x").unwrap();
    let errors = draft.string(b"errors-x").unwrap();
    draft.body().extend_from_slice(b"{\"a\":1}");
    draft.add(Head { routes: 0b101, time_ns: -5, prefix, suffix: 77, sub: 0 }, &[logs, errors]);
    draft.body().extend_from_slice(b"{}");
    draft.add(Head { routes: 0b100, time_ns: 9, prefix: None, suffix: 1, sub: 2 }, &[errors]);
    draft.position(Position { key: 3, offset: 4, identity: b"who".to_vec(), new: true });
    draft
}

#[test]
fn a_sealed_frame_reads_back_as_it_was_filled() {
    let frame = Frame::open(sample().bytes().to_vec()).unwrap();
    assert_eq!((frame.sequence(), frame.document_count()), (12, 2));
    let first = frame.document(0);
    assert_eq!(first.body, b"{\"a\":1}");
    assert_eq!(first.address(0), Some(&b"logs-x"[..]));
    assert_eq!(first.address(1), None);
    assert_eq!(first.address(2), Some(&b"errors-x"[..]));
    let id = |n: usize| {
        let mut out = Vec::new();
        frame.document(n).write_id(&mut out);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(id(0), "gen-000000004d");
    assert_eq!(id(1), "0000000000000abc-000000000c-000001-0002");
    assert_eq!(frame.positions()[0].identity, b"who");
}

#[test]
fn a_frame_for_memory_is_the_same_without_a_checksum() {
    let (sealed, frame) = (sample(), draft().seal_in_memory(0xabc, 12));
    let mut bytes = frame.bytes().to_vec();
    assert!(Frame::open(bytes.clone()).is_err(), "it cannot pass for one that was written");
    layout::add_checksum(&mut bytes);
    assert_eq!(bytes, sealed.bytes());
}

#[test]
fn every_flipped_bit_and_every_cut_is_noticed() {
    let good = sample().bytes().to_vec();
    for at in 0..good.len() {
        assert!(Frame::open(good[..at].to_vec()).is_err(), "cut at {at}");
        for bit in 0..8 {
            let mut bad = good.clone();
            bad[at] ^= 1 << bit;
            assert!(Frame::open(bad).is_err(), "bit {bit} of byte {at}");
        }
    }
}

#[test]
fn numbers_in_ids_have_as_many_digits_as_they_need_and_at_least_so_many() {
    for number in [0, 1, 0xA, 0xFFF_FFFF_FFFF, u64::MAX] {
        for least in [4, 6, 10, 16] {
            let mut out = Vec::new();
            write_hex(number, least, &mut out);
            assert_eq!(out, format!("{number:00$x}", least as usize).into_bytes());
        }
    }
}

#[test]
fn a_void_frame_keeps_its_place_and_number_and_holds_nothing() {
    let full = sample();
    let bytes = Outline::check(full.bytes()).unwrap().void();
    assert_eq!(bytes.len(), full.bytes().len());
    let void = Outline::check(&bytes).unwrap();
    assert!(void.is_void() && !Outline::check(full.bytes()).unwrap().is_void());
    assert_eq!((void.sequence(), void.epoch()), (12, 0xabc));
    assert_eq!((void.document_count(), void.positions(&bytes).len()), (0, 0));
    assert!(bytes[HEADER_BYTES..].iter().all(|byte| *byte == 0), "nothing of what it was");
    // One that says to be void and holds something was not written by us.
    let mut bytes = full.bytes().to_vec();
    bytes[60] = 1;
    layout::add_checksum(&mut bytes);
    assert_eq!(Outline::check(&bytes).err(), Some(FrameError::Offsets));
}
