//! What the filter promises.

use super::super::trial::{problems, run};

fn filter(settings: &str) -> String {
    format!("[[filters]]\ntype = \"xml\"\nsource = \"x\"\n{settings}\n")
}

#[track_caller]
fn check(settings: &str, xml: &str, expected: &str) {
    let event = serde_json::json!({ "x": xml }).to_string();
    let made: serde_json::Value = serde_json::from_str(&run(&filter(settings), &event)).unwrap();
    let wanted: serde_json::Value = serde_json::from_str(expected).unwrap();
    assert_eq!(made["t"], wanted, "{settings} {xml}");
}

#[test]
fn what_a_path_selects_alone_is_no_list_where_lists_are_not_forced() {
    let text = "[[filters]]\ntype = \"xml\"\nsource = \"x\"\nstore_xml = false\nforce_array = false\n\
                remove_field = \"x\"\nxpath = { \"/a/b/text()\" = \"b\", \"/a/c/text()\" = \"c\" }\n";
    assert_eq!(
        run(text, r#"{"x":"<a><b>1</b><c>2</c><c>3</c></a>"}"#),
        r#"{"b":"1","c":["2","3"]}"#
    );
}

#[test]
fn elements_become_fields_as_in_logstash() {
    let t = "target = \"t\"";
    check(t, "<foo key=\"value\"/>", r#"{"key":"value"}"#);
    check(t, "<foo><key>value</key></foo>", r#"{"key":["value"]}"#);
    check(t, "<foo><key>a</key><key>b</key></foo>", r#"{"key":["a","b"]}"#);
    check(t, "<foo>bar</foo>", "\"bar\"");
    check(t, "<foo a='1'>bar</foo>", r#"{"a":"1","content":"bar"}"#);
    check(t, "<a><b c='1'>x<d/></b></a>", r#"{"b":[{"c":"1","d":[null],"content":"x"}]}"#);
    check(t, "<a>one<b>x</b>two</a>", r#"{"b":["x"],"content":["one","two"]}"#);
    check(t, "<a><b/><c> </c><d>x</d></a>", r#"{"d":["x"]}"#);
    check(t, "<a xmlns:h='urn:h'><h:b h:c='1'/></a>", r#"{"xmlns:h":"urn:h","b":[{"h:c":"1"}]}"#);
    check(
        t,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<a><b>&lt;é&#65;</b><!-- c --><![CDATA[ <x> ]]></a>",
        r#"{"b":["<éA"],"content":" <x> "}"#,
    );
}

#[test]
fn the_shape_can_be_chosen() {
    let t = "target = \"t\"\n";
    check(
        &format!("{t}force_array = false"),
        "<a><b>x</b><c>1</c><c>2</c></a>",
        r#"{"b":"x","c":["1","2"]}"#,
    );
    check(&format!("{t}force_content = true"), "<a><b>x</b></a>", r#"{"b":[{"content":"x"}]}"#);
    check(&format!("{t}suppress_empty = false"), "<a><b/></a>", r#"{"b":[{}]}"#);
}

#[test]
fn paths_select_texts() {
    let select = |path: &str, xml: &str, expected: &str| {
        check(&format!("store_xml = false\nxpath = {{ \"{path}\" = \"t\" }}"), xml, expected);
    };
    let xml = "<foo><key>value</key><key a='1'>two</key><in><key>&amp;</key></in></foo>";
    select("/foo/key/text()", xml, r#"["value","two"]"#);
    select("/foo/key", xml, r#"["<key>value</key>","<key a='1'>two</key>"]"#);
    select("//key/text()", xml, r#"["value","two","&"]"#);
    select("/foo/key[2]/text()", xml, r#"["two"]"#);
    select("/foo/key[last()]/@a", xml, r#"["1"]"#);
    select("//key[@a='1']/text()", xml, r#"["two"]"#);
    select("//key[not]", xml, "null");
    select("/foo[in]/key[text()='value']/text()", xml, r#"["value"]"#);
    select("/foo/*/key/text() | //@a", xml, r#"["1","&"]"#);
    select("//in/../key[1]/text()", xml, r#"["value"]"#);
    select("count(//key)", xml, r#"["3"]"#);
    select("name(/*)", xml, r#"["foo"]"#);
    select("string(/foo/in)", xml, r#"["&"]"#);
    select("/bar", xml, "null");
}

#[test]
fn names_of_namespaces_are_found_by_prefix_or_without_them() {
    let xml = "<foo xmlns:h=\"urn:h\"><h:div>Content</h:div></foo>";
    let all = "<foo xmlns=\"urn:h\"><div>Content</div></foo>";
    let s = "store_xml = false\n";
    check(
        &format!("{s}xpath = {{ \"/foo/h:div\" = \"t\" }}"),
        xml,
        r#"["<h:div>Content</h:div>"]"#,
    );
    check(&format!("{s}xpath = {{ \"/foo/div\" = \"t\" }}"), xml, "null");
    check(
        &format!("{s}remove_namespaces = true\nxpath = {{ \"/foo/div/text()\" = \"t\" }}"),
        xml,
        r#"["Content"]"#,
    );
    check(
        &format!(
            "{s}namespaces = {{ z = \"urn:h\" }}\nxpath = {{ \"/z:foo/z:div/text()\" = \"t\" }}"
        ),
        all,
        r#"["Content"]"#,
    );
}

#[test]
fn what_is_no_xml_is_tagged_and_what_is_empty_is_left() {
    let t = filter("target = \"t\"\nadd_tag = \"done\"");
    assert_eq!(run(&t, r#"{"x":"<a"}"#), r#"{"x":"<a","tags":["_xmlparsefailure"]}"#);
    assert_eq!(run(&t, r#"{"x":"<a></b>"}"#), r#"{"x":"<a></b>","tags":["_xmlparsefailure"]}"#);
    assert_eq!(
        run(&t, r#"{"x":["<a>1</a>","<a/>"]}"#),
        r#"{"x":["<a>1</a>","<a/>"],"tags":["_xmlparsefailure"]}"#
    );
    assert_eq!(run(&t, r#"{"x":["<a>1</a>"]}"#), r#"{"x":["<a>1</a>"],"t":"1","tags":["done"]}"#);
    assert_eq!(run(&t, r#"{"x":""}"#), r#"{"x":""}"#);
    assert_eq!(run(&t, r#"{"y":1}"#), r#"{"y":1}"#);
}

#[test]
fn paths_select_from_what_can_be_read_of_a_document_that_is_not_well_formed() {
    let text = r#"{"x":"<a><b>1</b><c></a>"}"#;
    let only = "store_xml = false\nforce_array = false\nxpath = { \"/a/b/text()\" = \"t\" }";
    assert_eq!(run(&filter(only), text), r#"{"x":"<a><b>1</b><c></a>","t":"1"}"#);
    let tagged = r#"{"x":"<a><b>1</b><c></a>","t":"1","tags":["_xmlparsefailure"]}"#;
    assert_eq!(run(&filter(&only.replace("store_xml = false", "target = \"d\"")), text), tagged);
    let strict = format!("{only}\nparse_options = \"no_error,Strict\"");
    let untouched = r#"{"x":"<a><b>1</b><c></a>","tags":["_xmlparsefailure"]}"#;
    assert_eq!(run(&filter(&strict), text), untouched);
    let no_element = r#"{"x":"<a","tags":["_xmlparsefailure"]}"#;
    assert_eq!(run(&filter(only), r#"{"x":"<a"}"#), no_element);
    let unknown = filter("target = \"t\"\nparse_options = \"strict,such\"");
    assert!(problems(&unknown).contains("there is no parse option `such`"));
}

#[test]
fn a_deep_document_is_refused_and_costs_no_stack() {
    let deep = |n: usize| format!("{{\"x\":\"{}{}\"}}", "<a>".repeat(n), "</a>".repeat(n));
    let text = filter("target = \"t\"\nsuppress_empty = false\nxpath = { \"//a\" = \"s\" }");
    assert!(run(&text, &deep(100_000)).ends_with("\"tags\":[\"_xmlparsefailure\"]}"));
    // The document itself would be deeper than what reads JSON here.
    let selects = filter("store_xml = false\nxpath = { \"/a\" = \"s\" }");
    assert!(!run(&selects, &deep(250)).contains("_xmlparsefailure"));
    assert!(run(&selects, &deep(300)).contains("_xmlparsefailure"));
}

#[test]
fn what_paths_select_is_bounded() {
    let inner = "x".repeat(1 << 20);
    let json = format!("{{\"x\":\"{}{inner}{}\"}}", "<a>".repeat(200), "</a>".repeat(200));
    let made = run(&filter("store_xml = false\nxpath = { \"//a\" = \"s\" }"), &json);
    assert!(made.ends_with("\"tags\":[\"_xmlparsefailure\"]}"));
}

#[test]
fn without_namespaces_elements_are_written_without_prefixes() {
    let json = r#"{"x":"<f xmlns:h='urn:h'><h:d h:k='1'>a<h:e/>&lt;</h:d></f>"}"#;
    let settings = "store_xml = false\nforce_array = false\nremove_namespaces = true\nremove_field = \"x\"\nxpath = { \"/f/d\" = \"t\" }";
    assert_eq!(run(&filter(settings), json), r#"{"t":"<d k=\"1\">a<e/>&lt;</d>"}"#);
}

#[test]
fn entities_that_grow_are_refused() {
    let mut xml = String::from("<!DOCTYPE a [<!ENTITY e0 \\\"xxxxxxxxxx\\\">");
    for n in 1..12 {
        xml.push_str(&format!("<!ENTITY e{n} \\\"{}\\\">", format!("&e{};", n - 1).repeat(10)));
    }
    xml.push_str("]><a>&e11;</a>");
    let made = run(&filter("target = \"t\""), &format!("{{\"x\":\"{xml}\"}}"));
    assert!(made.ends_with("\"tags\":[\"_xmlparsefailure\"]}"), "{made}");
}

#[test]
fn a_path_that_is_not_understood_is_shown() {
    let told = |path: &str| {
        problems(&filter(&format!("store_xml = false\nxpath = {{ \"{path}\" = \"t\" }}")))
    };
    assert!(told("/a/following::b").contains("this axis is not understood"));
    assert!(told("contains(/a, 'b')").contains("this function is not understood"));
    assert!(told("/a[").contains("a name is expected here"));
    assert!(problems(&filter("")).contains("`target` is missing"));
}
