use super::*;

const MIB: u64 = 1024 * 1024;
const CHUNK: usize = limits::CHUNK_BYTES;
/// What a chunk takes up.
const TAKEN: u64 = CHUNK as u64 * limits::INPUT_MEMORY_FACTOR;

fn budget(mib: u64) -> Budget {
    Budget::new(mib * MIB, 1, &Metrics::default())
}

fn take_all(budget: &Budget) -> Vec<Memory> {
    std::iter::from_fn(|| budget.try_input(CHUNK)).collect()
}

#[test]
fn input_leaves_a_quarter_to_the_outputs_and_an_eighth_to_what_cannot_wait() {
    let budget = budget(16);
    let chunks = take_all(&budget);
    assert_eq!(budget.used(Use::Chunks), 10 * MIB);
    assert_eq!(budget.room(), 5 * MIB);
    drop(chunks);
    let _bulks = budget.hold(Use::Outputs, 10 * MIB);
    assert_eq!(take_all(&budget).iter().map(Memory::bytes).sum::<u64>(), 4 * MIB);
}

#[test]
fn a_pipeline_without_a_chunk_gets_one_however_much_the_others_hold() {
    let budget = budget(16);
    let _dead = take_all(&budget);
    let _more = budget.hold(Use::Connections, 100 * MIB);
    let other = budget.pipeline();
    let chunk = other.try_input(10 * CHUNK);
    assert!(chunk.is_some() && other.try_input(1).is_none());
    drop(chunk);
    let _frames = other.hold(Use::Journal, 100 * MIB);
    assert!(other.try_input(1).is_some(), "a frame that a dead output holds stops nobody");
}

#[test]
fn who_waits_is_woken_by_what_is_given_back() {
    let budget = budget(16);
    let mut chunks = take_all(&budget);
    let waiting = budget.clone();
    let thread = std::thread::spawn(move || {
        std::iter::repeat_with(|| waiting.input_within(CHUNK, Duration::from_secs(60)))
            .find_map(|held| held)
            .map(|held| held.bytes())
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let waiting = budget.clone();
        let task = tokio::spawn(async move { waiting.input(CHUNK).await.bytes() });
        tokio::task::yield_now().await;
        assert!(!task.is_finished());
        chunks.clear();
        assert_eq!(task.await.unwrap(), TAKEN);
    });
    assert_eq!(thread.join().unwrap(), Some(TAKEN));
    assert_eq!(budget.used(Use::Chunks), 0);
}

#[test]
fn parts_of_a_small_budget_are_small_and_of_a_large_one_as_usual() {
    let metrics = Metrics::default();
    let budget = Budget::new(32 * MIB, 2, &metrics);
    assert_eq!(budget.share_of(4 * MIB, 16), MIB);
    assert_eq!(budget.connections_max() as u64, 4 * MIB);
    assert_eq!(Budget::default().share_of(4 * MIB, 16), 4 * MIB);
    let _held = budget.hold(Use::Journal, 7);
    let text = metrics.render();
    assert!(text.contains("logweir_memory_budget_bytes{use=\"journal\"} 7"), "{text}");
    assert!(text.contains("logweir_memory_limit_bytes 33554432"), "{text}");
}
