use super::*;

#[test]
fn set_writes_literals_and_texts_made_of_fields() {
    check(
        "set",
        "fields = { a = 1, b = \"{c}-{a}\", d = [1, \"x\"], \"e.f\" = true, g.h = 2.5 }",
        "{\"c\":\"x\",\"g\":{\"i\":1}}",
        r#"{"c":"x","g":{"i":1,"h":2.5},"a":1,"b":"x-1","d":[1,"x"],"e":{"f":true}}"#,
    );
    check("set", "fields = { a = \"{{x}}\" }", "{}", r#"{"a":"{x}"}"#);
    check("set", "fields = { a = \"{none}\", b = \"{none:-d}\" }", "{}", r#"{"b":"d"}"#);
    check(
        "set",
        "only_if_absent = true\nfields = { a = 1, b = 2 }",
        "{\"a\":0}",
        r#"{"a":0,"b":2}"#,
    );
    check("set", "fields.day = \"{@timestamp:%Y.%m.%d}\"", "{}", r#"{"day":"2026.11.22"}"#);
    refused("set", "fields = { \"@timestamp\" = 1 }", "cannot be changed here");
    refused("set", "fields = { a = \"%{b}\" }", "write {b}");
    refused("set", "fields = { a = 2026-01-01 }", "a field cannot be a date");
    refused("set", "", "`fields` is missing");
}

#[test]
fn two_events_that_got_the_same_literal_do_not_share_it() {
    let mut trial = Trial::new(
        "[[filters]]\ntype = \"set\"\nfields = { o = [1], p = {} }\n\
         [[filters]]\ntype = \"merge\"\nfrom = \"x\"\ninto = \"o\"\n",
    );
    let mut batch = trial.batch(&["{\"x\":1}", "{\"x\":2}"]);
    trial.chain.apply(&mut batch);
    assert_eq!(written(&batch, 0), r#"{"x":1,"o":[1,1],"p":{}}"#);
    assert_eq!(written(&batch, 1), r#"{"x":2,"o":[1,2],"p":{}}"#);
}

#[test]
fn remove_takes_fields_out_also_by_the_beginning_of_their_name() {
    let json = r#"{"a":1,"tmp_a":2,"tmp_b":3,"o":{"x1":1,"x2":2,"y":3},"z":[1,2]}"#;
    check("remove", "field = \"a\"", "{\"a\":1}", "{}");
    check(
        "remove",
        "fields = [\"tmp_*\", \"o.x*\", \"z.0\", \"none.none\"]",
        json,
        r#"{"a":1,"o":{"y":3},"z":[2]}"#,
    );
    refused("remove", "fields = [\"*\"]", "every field");
    refused("remove", "fields = [\"@timestamp\"]", "cannot be changed here");
    refused("remove", "fields = [\"[a]b\"]", "after `]` comes");
}

#[test]
fn rename_and_copy_move_values_between_names() {
    let json = r#"{"a":{"b":[1]},"c":2}"#;
    check(
        "rename",
        "fields = { \"a.b\" = \"d.e\", c = \"f\", none = \"g\" }",
        json,
        r#"{"a":{},"d":{"e":[1]},"f":2}"#,
    );
    check(
        "copy",
        "fields = { a = \"z\", none = \"g\" }",
        json,
        r#"{"a":{"b":[1]},"c":2,"z":{"b":[1]}}"#,
    );
    check(
        "copy",
        "fields = { \"@timestamp\" = \"event.created\" }",
        "{}",
        r#"{"event":{"created":"2026-11-22T01:02:03.004Z"}}"#,
    );
    refused("rename", "fields = { a = 1 }", "a field's name expected");
    refused("rename", "fields = { \"@timestamp\" = \"b\" }", "cannot be changed here");
    refused("copy", "fields = { a = \"b..c\" }", "no field's name");
}

#[test]
fn a_copy_is_not_changed_with_its_original() {
    let toml = "[[filters]]\ntype = \"set\"\nfields = { \"a.n\" = 1 }\n\
        [[filters]]\ntype = \"copy\"\nfields = { a = \"b\" }\n\
        [[filters]]\ntype = \"set\"\nfields = { \"b.n\" = 2 }\n";
    assert_eq!(run(toml, "{}"), r#"{"a":{"n":1},"b":{"n":2}}"#);
}

#[test]
fn letters_are_changed_in_texts_and_in_lists_of_texts() {
    let json = r#"{"a":"aB É\n","b":["ab",2,"CDE"],"c":{"d":" x "}}"#;
    check(
        "lowercase",
        "fields = [\"a\", \"b\"]",
        json,
        r#"{"a":"ab é\n","b":["ab",2,"cde"],"c":{"d":" x "}}"#,
    );
    check(
        "uppercase",
        "fields = [\"a\", \"b\"]",
        json,
        r#"{"a":"AB É\n","b":["AB",2,"CDE"],"c":{"d":" x "}}"#,
    );
    check(
        "capitalize",
        "fields = [\"b\"]",
        json,
        r#"{"a":"aB É\n","b":["Ab",2,"Cde"],"c":{"d":" x "}}"#,
    );
    check(
        "strip",
        "fields = [\"a\", \"c.d\", \"none\"]",
        json,
        r#"{"a":"aB É","b":["ab",2,"CDE"],"c":{"d":"x"}}"#,
    );
    refused("lowercase", "", "`fields` is missing");
}

#[test]
fn gsub_replaces_every_match() {
    let gsub = |pattern: &str, replacement: &str| {
        format!("fields = [\"a\"]\npattern = '{pattern}'\nreplacement = '{replacement}'")
    };
    check("gsub", &gsub("[0-9]+", "#"), r#"{"a":"1 a 22"}"#, r##"{"a":"# a #"}"##);
    check("gsub", &gsub("(a)(?P<x>b)", r"$2\1$${x}-$$1"), r#"{"a":"ab"}"#, r#"{"a":"bab-$1"}"#);
    check(
        "gsub",
        &gsub("extinct", "common"),
        r#"{"a":["x extinct",1,{"extinct":1}]}"#,
        r#"{"a":["x common",1,{"extinct":1}]}"#,
    );
    check("gsub", &gsub("[/]", "_"), r#"{"a":"x\/y"}"#, r#"{"a":"x_y"}"#);
    check("gsub", &gsub("x*", "-"), r#"{"a":"axxbé"}"#, r#"{"a":"-a-b-é-"}"#);
    check("gsub", &gsub("z", "-"), r#"{"a":"\u0061"}"#, r#"{"a":"\u0061"}"#);
    check("gsub", &gsub("z", "-"), r#"{"b":"z"}"#, r#"{"b":"z"}"#);
    refused("gsub", &gsub("a", "$1"), "has no group `1`");
    refused("gsub", &gsub("a(", "x"), "unclosed group");
}

#[test]
fn split_and_join_are_each_others_opposite() {
    check(
        "split",
        "field = \"a\"\nseparator = \",\"",
        r#"{"a":"foo,bar,baz"}"#,
        r#"{"a":["foo","bar","baz"]}"#,
    );
    check("split", "field = \"a\"\nseparator = \",\"", r#"{"a":"foo"}"#, r#"{"a":["foo"]}"#);
    check(
        "split",
        "field = \"a\"\nseparator = \",\"",
        r#"{"a":",a,,b,,"}"#,
        r#"{"a":["","a","","b"]}"#,
    );
    check(
        "split",
        "field = \"a\"\nseparator = \"::\"",
        r#"{"a":"a::b:c\n"}"#,
        r#"{"a":["a","b:c\n"]}"#,
    );
    check("split", "field = \"a\"\nseparator = \" \"", r#"{"a":"  a \t b"}"#, r#"{"a":["a","b"]}"#);
    check(
        "split",
        "field = \"a\"\nseparator = \",\"",
        r#"{"a":{"b":"c,d"}}"#,
        r#"{"a":{"b":"c,d"}}"#,
    );
    check(
        "join",
        "field = \"a\"\nseparator = \", \"",
        r#"{"a":["x",1,null,true]}"#,
        r#"{"a":"x, 1, , true"}"#,
    );
    check("join", "field = \"a\"\nseparator = \",\"", r#"{"a":"x"}"#, r#"{"a":"x"}"#);
    refused("split", "field = \"a\"\nseparator = \"\"", "separator is empty");
}

#[test]
fn merge_makes_one_list_or_one_object() {
    let settings = "from = \"b\"\ninto = \"a\"";
    let cases = [
        (r#"{"a":["x"],"b":"y"}"#, r#"{"a":["x","y"],"b":"y"}"#),
        (r#"{"a":"x","b":["y"]}"#, r#"{"a":["x","y"],"b":["y"]}"#),
        (r#"{"a":"x","b":"y"}"#, r#"{"a":["x","y"],"b":"y"}"#),
        (r#"{"b":"y"}"#, r#"{"b":"y","a":"y"}"#),
        (r#"{"a":{"x":1,"y":1},"b":{"y":2}}"#, r#"{"a":{"x":1,"y":2},"b":{"y":2}}"#),
        (r#"{"a":{"x":1},"b":1}"#, r#"{"a":{"x":1},"b":1,"tags":["_mutate_error"]}"#),
        (r#"{"a":1}"#, r#"{"a":1}"#),
    ];
    for (json, expected) in cases {
        check("merge", settings, json, expected);
    }
    refused("merge", "from = \"b\"", "`into` is missing");
}

#[test]
fn tags_are_added_once_and_removed() {
    check(
        "tag",
        "add = [\"a\", \"x-{n}\", \"{none}\"]",
        r#"{"n":1,"tags":["a"]}"#,
        r#"{"n":1,"tags":["a","x-1"]}"#,
    );
    check("tag", "remove = [\"a\"]", r#"{"tags":["a","b"]}"#, r#"{"tags":["b"]}"#);
    check("tag", "remove = [\"a\"]", r#"{"tags":["a"]}"#, "{}");
    check("tag", "remove = [\"a\"]\nadd = \"b\"", r#"{"tags":"a"}"#, r#"{"tags":["b"]}"#);
    check("tag", "remove = \"z\"", r#"{"tags":"a"}"#, r#"{"tags":"a"}"#);
    refused("tag", "", "`add` is missing");
}
