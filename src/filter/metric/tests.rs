//! Derived metrics as they are printed.

use super::super::trial::{Trial, problems};

fn filter(settings: &str) -> String {
    format!("[[filters]]\ntype = \"metric\"\n{settings}\n")
}

fn printed(toml: &str, jsons: &[&str]) -> String {
    let mut trial = Trial::new(toml);
    let mut batch = trial.batch(jsons);
    trial.chain.apply(&mut batch);
    let text = trial.metrics.render();
    let own = text.lines().filter(|line| !line.contains("logweir_"));
    own.map(|line| format!("{line}\n")).collect()
}

#[test]
fn a_counter_counts_by_the_values_of_fields() {
    let toml = filter(
        "name = \"http_requests_total\"\nhelp = \"Requests.\"\nlabels = { method = \"m\", status = \"s.code\" }",
    );
    let sent =
        [r#"{"m":"GET","s":{"code":200}}"#, r#"{"m":"GET","s":{"code":200}}"#, r#"{"m":"a\"b"}"#];
    assert_eq!(
        printed(&toml, &sent),
        "# HELP http_requests_total Requests.\n# TYPE http_requests_total counter\n\
         http_requests_total{method=\"GET\",status=\"200\"} 2\n\
         http_requests_total{method=\"a\\\"b\",status=\"\"} 1\n"
    );
}

#[test]
fn a_histogram_has_buckets_a_sum_and_a_count_and_a_gauge_the_last_value() {
    let toml = filter(
        "name = \"d_seconds\"\nkind = \"histogram\"\nvalue = \"ms\"\nscale = 0.001\nbuckets = [0.1, 1]",
    );
    assert_eq!(
        printed(&toml, &["{\"ms\":100}", "{\"ms\":\"400\"}", "{\"ms\":2000}", "{}"]),
        "# HELP d_seconds Derived from events by logweir.\n# TYPE d_seconds histogram\n\
         d_seconds_bucket{le=\"0.1\"} 1\nd_seconds_bucket{le=\"1\"} 2\nd_seconds_bucket{le=\"+Inf\"} 3\n\
         d_seconds_sum 2.5\nd_seconds_count 3\n"
    );
    let toml = filter("name = \"g\"\nkind = \"gauge\"\nvalue = \"v\"");
    assert!(printed(&toml, &["{\"v\":1}", "{\"v\":-2.5}"]).ends_with("\ng -2.5\n"));
}

#[test]
fn label_values_beyond_the_bound_share_one_series() {
    let toml = filter("name = \"x_total\"\nlabels = { l = \"l\" }\nmax_series = 2");
    let jsons: Vec<String> = (0..10).map(|n| format!("{{\"l\":{n}}}")).collect();
    let jsons: Vec<&str> = jsons.iter().map(String::as_str).collect();
    let text = printed(&toml, &jsons);
    assert!(
        text.ends_with("x_total{l=\"0\"} 1\nx_total{l=\"1\"} 1\nx_total{l=\"_other\"} 8\n"),
        "{text}"
    );
    let mut trial = Trial::new(&toml);
    let mut batch = trial.batch(&jsons);
    trial.chain.apply(&mut batch);
    assert_eq!(trial.counted("logweir_filter_series_refused_total{filter=\"metric\"}"), 8);
}

#[test]
fn label_values_that_are_too_long_share_one_series() {
    let toml = filter("name = \"x_total\"\nlabels = { l = \"l\", m = \"m\" }");
    let long = |bytes: usize| format!("{{\"l\":\"{}\",\"m\":1}}", "x".repeat(bytes));
    let mut trial = Trial::new(&toml);
    let sent = [long(256), long(257), long(100_000)];
    let mut batch = trial.batch(&sent.each_ref().map(String::as_str));
    trial.chain.apply(&mut batch);
    let text = trial.metrics.render();
    let series: Vec<&str> = text.lines().filter(|line| line.starts_with("x_total{")).collect();
    let whole = format!("x_total{{l=\"{}\",m=\"1\"}} 1", "x".repeat(256));
    assert_eq!(series, ["x_total{l=\"_other\",m=\"_other\"} 2", &whole]);
    assert_eq!(trial.counted("logweir_filter_series_refused_total{filter=\"metric\"}"), 2);
}

#[test]
fn a_value_that_is_no_number_is_tagged_and_not_counted() {
    let mut trial = Trial::new(&filter("name = \"x_total\"\nvalue = \"v\""));
    assert_eq!(trial.run("{\"v\":\"a\"}"), "{\"v\":\"a\",\"tags\":[\"_metric_failure\"]}");
    assert_eq!(trial.run("{\"v\":-1}"), "{\"v\":-1,\"tags\":[\"_metric_failure\"]}");
    assert_eq!(trial.run("{}"), "{}");
}

#[test]
fn names_that_prometheus_or_the_agent_has_no_room_for_are_refused() {
    for (settings, says) in [
        ("name = \"1x_total\"", "no digit first"),
        ("name = \"logweir_x_total\"", "the agent's own"),
        ("name = \"x\"", "ends with `_total`"),
        ("name = \"x\"\nkind = \"gauge\"", "`value` is missing"),
        ("name = \"x_total\"\nlabels = { le = \"a\" }", "cannot be the name of a label"),
        ("name = \"x\"\nkind = \"histogram\"\nvalue = \"v\"\nbuckets = [2, 1]", "ascending"),
    ] {
        let shown = problems(&filter(settings));
        assert!(shown.contains(says), "{says} is not in\n{shown}");
    }
}

#[test]
fn the_metrics_of_an_mcp_server_follow_from_its_log() {
    let pipeline = include_str!("../../../pipelines/mcp-metrics.toml");
    let start = pipeline.find("[[filters]]").unwrap();
    let end = pipeline.find("[outputs.logs]").unwrap();
    let text = printed(
        &pipeline[start..end],
        &[
            r#"{"service":"mcp-server","event_type":"http_request","method":"GET","path":"/mcp","status_code":200,"duration_ms":12.5}"#,
            r#"{"service":"mcp-server","event_type":"http_request","method":"GET","path":"/mcp","status_code":500,"duration_ms":300}"#,
            r#"{"event_type":"tool_call","tool_name":"search","duration_ms":640,"success":true}"#,
        ],
    );
    for line in [
        "# TYPE http_requests_total counter",
        r#"http_requests_total{service="mcp-server",method="GET",endpoint="/mcp",status_code="200"} 1"#,
        r#"http_requests_total{service="mcp-server",method="GET",endpoint="/mcp",status_code="500"} 1"#,
        r#"http_request_duration_seconds_bucket{service="mcp-server",method="GET",endpoint="/mcp",le="0.05"} 1"#,
        r#"mcp_tool_calls_total{tool_name="search",status="success"} 1"#,
        "# TYPE mcp_tool_call_duration_seconds histogram",
        r#"mcp_tool_call_duration_seconds_bucket{tool_name="search",le="0.5"} 0"#,
        r#"mcp_tool_call_duration_seconds_bucket{tool_name="search",le="1"} 1"#,
        r#"mcp_tool_call_duration_seconds_sum{tool_name="search"} 0.64"#,
        r#"mcp_tool_call_duration_seconds_count{tool_name="search"} 1"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
}
