//! What the scheduler does when a server has no room, and what it says about refusals that last.

use super::*;

const BUSY: &[u8] =
    br#"{"error":{"type":"es_rejected_execution_exception","reason":"current bytes 17"}}"#;

/// Plays until everything is settled; `answers` may answer a request itself.
fn play(world: &mut World, mut answers: impl FnMut(&mut World, &Shipment) -> bool) {
    for _ in 0..20_000 {
        let deadline = world.run();
        if world.scheduler.is_empty() && world.frames.is_empty() {
            return;
        }
        for shipment in std::mem::take(&mut world.under_way) {
            if !answers(world, &shipment) {
                world.serve(&shipment, |_| None);
            }
        }
        world.now_ns = deadline.unwrap_or(0).max(world.now_ns + MS);
    }
    panic!("did not come to an end: {:?}", world.scheduler.state(world.now_ns));
}

fn long_frames(count: u64) -> Vec<Arc<Frame>> {
    let text = "t".repeat(1000);
    let one = |sequence| {
        let body = |n| ("logs-x", format!("{{\"f\":{sequence},\"n\":{n},\"text\":\"{text}\"}}"));
        frame(sequence, &(0..100).map(body).collect::<Vec<_>>())
    };
    (1..=count).map(one).collect()
}

fn with_large_requests(frames: Vec<Arc<Frame>>) -> World {
    let mut world = World::new(false, 1, frames);
    let report = Report::new(&Metrics::default(), "logs");
    let policy = Policy { bulk_bytes: 1 << 20, waiting_bytes: 16 << 20, ..policy(false) };
    world.budget = 5 << 20;
    world.scheduler = Scheduler::new(policy, vec!["http://n0".into()], report);
    world
}

#[test]
fn a_node_that_never_has_room_for_a_request_of_full_size_gets_smaller_ones() {
    const ROOM: usize = 200_000;
    let mut world = with_large_requests(long_frames(40));
    let mut refusals = 0;
    play(&mut world, |world, shipment| {
        let refused = shipment.body.len() > ROOM;
        if refused {
            refusals += 1;
            world.answer(shipment, 429, BUSY.to_vec());
        }
        refused
    });
    assert_eq!(world.node.bodies(), world.all_documents());
    assert_eq!((world.letters.len(), world.node.conflicts), (0, 0));
    assert!(refusals < 40, "{refusals} refusals for about 25 requests");
    assert!(world.now_ns < 60_000 * MS, "{} ms", world.now_ns / MS);
}

#[test]
fn requests_grow_again_when_the_node_has_room_again() {
    let mut world = with_large_requests(long_frames(400));
    let (mut seen, mut largest) = (0, 0);
    play(&mut world, |world, shipment| {
        seen += 1;
        if seen <= 8 {
            world.answer(shipment, 429, BUSY.to_vec());
        } else if seen > 20 {
            largest = largest.max(shipment.body.len());
        }
        seen <= 8
    });
    assert_eq!(world.node.bodies(), world.all_documents());
    assert!(largest > 1 << 19, "{largest} bytes");
}

#[test]
fn refusals_of_single_documents_for_lack_of_room_make_fewer_requests() {
    let mut world = World::new(false, 1, frames(400, 20, "logs-x"));
    let busy: Fault = Some((429, "es_rejected_execution_exception", "queue full"));
    let mut most = 0;
    for round in 0..200 {
        let deadline = world.run();
        if round > 30 {
            most = most.max(world.under_way.len());
        }
        for shipment in std::mem::take(&mut world.under_way) {
            let mut n = 0;
            world.serve(&shipment, |_| {
                n += 1;
                if n % 2 == 0 { busy } else { None }
            });
        }
        world.now_ns = deadline.unwrap_or(0).max(world.now_ns + MS);
    }
    assert_eq!(most, 1, "requests at a time");
    world.settle(|_| None);
    assert_eq!(world.node.bodies(), world.all_documents());
}

#[test]
fn an_index_that_is_only_busy_but_takes_nothing_for_a_while_is_told() {
    let mut world = World::new(false, 1, frames(1, 20, "logs-x"));
    let busy: Fault = Some((429, "es_rejected_execution_exception", "queue full"));
    for _ in 0..30 {
        let deadline = world.run();
        for shipment in std::mem::take(&mut world.under_way) {
            world.serve(&shipment, |_| busy);
        }
        world.now_ns = deadline.unwrap_or(0).max(world.now_ns + MS);
    }
    assert_eq!(
        world.scheduler.state(world.now_ns),
        State::Degraded(
            "the server has no room for the documents of 1 indices (`logs-x`: es_rejected_execution_exception); they \
             are kept and sent again: if this lasts, the cluster needs more nodes, or `requests` must be smaller"
                .into()
        )
    );
    world.settle(|_| None);
    assert_eq!(world.scheduler.state(world.now_ns), State::Fine);
}

#[test]
fn a_node_that_has_no_room_is_told_in_the_same_words_each_time() {
    let mut world = World::new(false, 1, frames(5, 4, "logs-x"));
    let mut states = HashSet::new();
    for round in 0..40 {
        let deadline = world.run();
        for shipment in std::mem::take(&mut world.under_way) {
            let body = format!(
                "{{\"error\":{{\"type\":\"es_rejected_execution_exception\",\"reason\":\"bytes={round}\"}}}}"
            );
            world.answer(&shipment, 429, body.into_bytes());
        }
        world.now_ns = deadline.unwrap_or(0).max(world.now_ns + MS);
        if let State::Paused(why) = world.scheduler.state(world.now_ns) {
            states.insert(why);
        }
    }
    assert_eq!(
        states.into_iter().collect::<Vec<_>>(),
        [
            "http://n0 cannot take documents now (429 es_rejected_execution_exception): requests are made fewer and \
             smaller; if this lasts, the cluster needs more memory or nodes; everything is kept in the journal"
        ]
    );
}

#[test]
fn dead_letters_are_told_for_a_minute_in_the_same_words_and_then_no_more() {
    let mut world = World::new(true, 1, frames(3, 4, "logs-x"));
    world.settle(|d| {
        let odd = d.body.contains("\"n\":2");
        odd.then_some((400, "document_parsing_exception", "failed to parse field [n]"))
    });
    world.run();
    assert_eq!((world.letters.len(), world.cursor), (3, 3));
    assert_eq!(
        world.scheduler.state(world.now_ns),
        State::Degraded(
            "documents became dead letters in the last minute, such as one for the index `logs-x` \
             (document_parsing_exception): correct the field by a filter, or the mapping in the template of the index"
                .into()
        )
    );
    let deadline = world.run().expect("health changes by itself");
    assert!(deadline <= world.now_ns + 60_000 * MS);
    world.now_ns = deadline;
    assert_eq!(world.scheduler.state(world.now_ns), State::Fine);
    assert_eq!(world.run(), None);
}

#[test]
fn an_index_whose_shard_is_away_holds_up_no_other() {
    let away: Fault = Some((503, "unavailable_shards_exception", "primary shard is not active"));
    let mixed: Vec<Arc<Frame>> = (1..=20)
        .map(|s| {
            let body = |n: usize| format!("{{\"f\":{s},\"n\":{n}}}");
            frame(s, &[("logs-x", body(0)), ("lost-x", body(1))])
        })
        .collect();
    let mut world = World::new(true, 1, mixed);
    while world.now_ns < 30_000 * MS {
        let deadline = world.run();
        for shipment in std::mem::take(&mut world.under_way) {
            world.serve(&shipment, |d| if d.index == "lost-x" { away } else { None });
        }
        world.now_ns = deadline.unwrap_or(0).max(world.now_ns + MS);
    }
    assert_eq!(world.node.stored.len(), 20, "all of the other index");
    let State::Degraded(why) = world.scheduler.state(world.now_ns) else { panic!("not degraded") };
    assert!(why.contains("the primary shard of the index `lost-x` is on no working node"), "{why}");
    world.settle(|_| None);
    assert_eq!(world.node.bodies(), world.all_documents());
}
