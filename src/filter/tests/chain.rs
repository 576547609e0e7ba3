use super::*;

#[test]
fn a_filter_gets_only_the_events_for_which_its_condition_holds() {
    let mut trial = Trial::new(
        "[[filters]]\ntype = \"set\"\nwhen = 'a == 1'\nid = \"mark\"\nfields = { m = true }\n\
         [[filters]]\ntype = \"drop\"\nwhen = 'not exists(m)'\n\
         [[filters]]\ntype = \"tag\"\nadd = \"seen\"\n",
    );
    let mut batch = trial.batch(&["{\"a\":1}", "{\"a\":2}", "{\"a\":1}"]);
    trial.chain.apply(&mut batch);
    let kept = "{\"a\":1,\"m\":true,\"tags\":[\"seen\"]}";
    let all: Vec<String> = (0..3).map(|n| written(&batch, n)).collect();
    assert_eq!(all, [kept, "dropped", kept]);
    assert_eq!(trial.counted("logweir_filter_events_total{filter=\"mark\"}"), 2);
    assert_eq!(trial.counted("logweir_filter_events_total{filter=\"drop\"}"), 1);
    assert_eq!(trial.counted("logweir_filter_events_total{filter=\"tag\"}"), 2);
}

#[test]
fn if_sends_each_event_through_one_of_two_chains() {
    let toml = "[[filters]]\ntype = \"if\"\nwhen = 'a == 1'\n\
        [[filters.then]]\ntype = \"set\"\nfields = { a = 2, branch = \"then\" }\n\
        [[filters.else]]\ntype = \"if\"\nwhen = 'a == 3'\n\
        [[filters.else.then]]\ntype = \"drop\"\n\
        [[filters.else.else]]\ntype = \"tag\"\nadd = \"other\"\n";
    assert_eq!(run(toml, "{\"a\":1}"), "{\"a\":2,\"branch\":\"then\"}");
    assert_eq!(run(toml, "{\"a\":2}"), "{\"a\":2,\"tags\":[\"other\"]}");
    assert_eq!(run(toml, "{\"a\":3}"), "dropped");
}

#[test]
fn if_without_a_condition_or_without_filters_is_refused() {
    assert!(problems("[[filters]]\ntype = \"if\"\nwhen = 'a == 1'\n").contains("has no filters"));
    let shown = problems("[[filters]]\ntype = \"if\"\n[[filters.then]]\ntype = \"drop\"\n");
    assert!(shown.contains("`when` is missing"), "{shown}");
}

#[test]
fn all_mistakes_of_all_filters_are_shown_at_once() {
    let shown = problems(
        "[[filters]]\ntype = \"grk\"\n\
         [[filters]]\ntype = \"lowercase\"\nwhen = 'level = \"x\"'\nfileds = [\"a\"]\n\
         [[filters]]\nfield = \"x\"\n\
         [[filters]]\ntype = \"if\"\nwhen = 'a'\n[[filters.then]]\ntype = \"lowercas\"\nfield = \"x\"\n",
    );
    for says in [
        "there is no filter \"grk\"",
        "write `==` to compare",
        "`fields` is missing in `filters[2]`",
        "unknown key `fileds` in `filters[2]`",
        "`type` is missing in `filters[3]`",
        "exists(a)",
        "did you mean \"lowercase\"?",
    ] {
        assert!(shown.contains(says), "{says} is not in\n{shown}");
    }
}

#[test]
fn the_caret_of_a_condition_is_under_the_faulty_word() {
    let shown = problems(&filter("drop", "when = 'level =~ /a(?=b)/'"));
    assert!(shown.contains("t.toml:3:20"), "{shown}");
    assert!(shown.contains("^^^\n"), "{shown}");
}

#[test]
fn a_dropped_event_goes_no_further() {
    let mut trial =
        Trial::new("[[filters]]\ntype = \"drop\"\n[[filters]]\ntype = \"tag\"\nadd = \"x\"\n");
    assert_eq!(trial.run("{}"), "dropped");
    assert_eq!(trial.counted("logweir_filter_events_total{filter=\"tag\"}"), 0);
}

#[test]
fn a_percentage_of_the_events_is_dropped() {
    let mut trial = Trial::new("[[filters]]\ntype = \"drop\"\npercentage = 30\n");
    let jsons = vec!["{}"; 10_000];
    let mut batch = trial.batch(&jsons);
    trial.chain.apply(&mut batch);
    let dropped = batch.events.iter().filter(|e| e.dropped).count();
    assert!((2_700..3_300).contains(&dropped), "{dropped}");
    check("drop", "percentage = 0", "{\"a\":1}", "{\"a\":1}");
    refused("drop", "percentage = 101", "from 0 to 100");
}
