use proptest::prelude::*;

use super::super::trial::{Trial, problems, run, written};

const KEYS: &str = "keys = [\"password\", \"token\", \"api_key\"]\n";

fn redact(settings: &str) -> String {
    format!("[[filters]]\ntype = \"redact\"\n{settings}\n")
}

/// A text as the field `message`, redacted.
#[track_caller]
fn text(settings: &str, message: &str) -> String {
    let json = serde_json::json!({ "message": message }).to_string();
    let document = run(&redact(settings), &json);
    let value: serde_json::Value = serde_json::from_str(&document).unwrap();
    value["message"].as_str().unwrap().to_string()
}

#[track_caller]
fn texts(settings: &str, cases: &[(&str, &str)]) {
    for (message, expected) in cases {
        assert_eq!(text(settings, message), *expected, "{message}");
    }
}

#[test]
fn the_value_behind_a_key_goes_in_any_text() {
    texts(
        KEYS,
        &[
            ("password=abc&user=bob", "password=***&user=bob"),
            ("GET /x?token=a,b;c HTTP/1.1", "GET /x?token=*** HTTP/1.1"),
            ("PASSWORD=x Api-Key=y apikey=z", "PASSWORD=*** Api-Key=*** apikey=***"),
            ("db_password=x", "db_password=***"),
            ("password: abc, user: bob", "password: ***, user: bob"),
            ("password : abc", "password : ***"),
            ("password = abc", "password = ***"),
            ("password=\"a b\" user=c", "password=\"***\" user=c"),
            ("password='a \" b' user=c", "password='***' user=c"),
            (r#"{"password":"a\"b","n":1}"#, r#"{"password":"***","n":1}"#),
            (r#"{"password" : 12345,"n":1}"#, r#"{"password" : "***","n":1}"#),
            (r#"{"password":{"a":["}"]},"n":1}"#, r#"{"password":"***","n":1}"#),
            (r#"{"password":null,"n":1}"#, r#"{"password":null,"n":1}"#),
            ("{'password': 'abc', 'n': 1}", "{'password': '***', 'n': 1}"),
            (
                r#"body="{\"password\":\"a\\\"b\",\"n\":1}""#,
                r#"body="{\"password\":\"***\",\"n\":1}""#,
            ),
            (r#"body="{\"password\":17,\"n\":1}""#, r#"body="{\"password\":\"***\",\"n\":1}""#),
            (r#"{:password=>"abc", :n=>1}"#, r#"{:password=>"***", :n=>1}"#),
            ("token: api-key=>\"x y\" z", "token: ***\" z"),
            ("token:password='a b' c", "token:***' c"),
            (r#"{"token": Password: abc d}"#, r#"{"token": "***" *** d}"#),
            ("q=password%3Dabc%26user%3Dbob", "q=password%3D***%26user%3Dbob"),
            ("q=%22password%22%3A%22abc%22%2C1", "q=%22password%22%3A%22***%22%2C1"),
            ("q=password%253Dabc%2526user", "q=password%253D***%2526user"),
            ("a\npassword=x\nb\ttoken: y\n", "a\npassword=***\nb\ttoken: ***\n"),
            ("passwörter password=ä€😀 é", "passwörter password=*** é"),
        ],
    );
}

#[test]
fn what_only_looks_like_a_key_stays() {
    texts(
        KEYS,
        &[
            ("the password is not here", "the password is not here"),
            ("password_hash=x tokens=5 tokenizer: y", "password_hash=x tokens=5 tokenizer: y"),
            ("password=", "password="),
            ("password=&user=x", "password=&user=x"),
            ("", ""),
        ],
    );
}

#[test]
fn a_value_without_its_end_takes_the_rest() {
    texts(
        KEYS,
        &[
            ("password=\"abc def", "password=\"***"),
            (r#"{"password":["a","b"#, r#"{"password":"***""#),
            (r#"{"password":"abc\"#, r#"{"password":"***"#),
        ],
    );
}

#[test]
fn headers_lose_all_of_their_secret() {
    let keys = "keys = [\"authorization\", \"cookie\"]";
    texts(
        keys,
        &[
            ("Authorization: Bearer abc.def", "Authorization: ***"),
            ("authorization: Basic dXNlcjpwYXNz x", "authorization: *** x"),
            ("Cookie: a=b; c=d\nHost: x", "Cookie: ***\nHost: x"),
            ("Set-Cookie: sid=1; Path=/", "Set-Cookie: ***"),
        ],
    );
}

#[test]
fn fields_of_that_name_lose_their_value_wherever_they_are() {
    let json = r#"{"Password":"x","n":{"api-key":5,"deep":[{"token":{"a":1}},"token=y"]},"accessToken":true,"token_count":5,"tokens":["password: z"],"none":null,"token":null}"#;
    assert_eq!(
        run(&redact(KEYS), json),
        r#"{"Password":"***","n":{"api-key":"***","deep":[{"token":"***"},"token=***"]},"accessToken":"***","token_count":5,"tokens":["password: ***"],"none":null,"token":null}"#
    );
}

#[test]
fn raw_json_stays_json_and_what_is_clean_stays_as_it_was_read() {
    let clean = r#"{"a":{"b": [1.50, "x\u0041"], "c":{}},"d":"\u00e9"}"#;
    assert_eq!(run(&redact(KEYS), clean), clean);
    assert_eq!(
        run(&redact(KEYS), r#"{"a":{"pass\u0077ord" : "x", "t":"\u0074oken=a\"b", "u":"\n"}}"#),
        r#"{"a":{"pass\u0077ord" : "***", "t":"token=***", "u":"\n"}}"#
    );
}

#[test]
fn opened_objects_and_lists_are_searched_too() {
    let toml = "[[filters]]\ntype = \"set\"\nfields = { \"o.new\" = \"token=a\", \"l.0\" = \"x\" }\n\
        [[filters]]\ntype = \"tag\"\nadd = \"password=b\"\n";
    let toml = format!("{toml}{}", redact(KEYS));
    assert_eq!(
        run(&toml, r#"{"o":{"token":"c"},"l":["token=d","token=e"]}"#),
        r#"{"o":{"token":"***","new":"token=***"},"l":["x","token=***"],"tags":["password=***"]}"#
    );
}

#[test]
fn known_kinds_of_secrets_are_found() {
    let detect = |name: &str| format!("detect = [\"{name}\"]");
    let cases: &[(&str, &[(&str, &str)])] = &[
        (
            "credit_card",
            &[
                ("card 4111 1111 1111 1111.", "card ***."),
                ("4111-1111-1111-1111", "***"),
                ("c=4111%201111%201111%201111&d=4111+1111+1111+1111", "c=***&d=***"),
                ("x5500005555555559y", "x***y"),
                ("2026-11-22 378282246310005 17", "2026-11-22 *** 17"),
                (
                    "4111111111111112 1795309323004 20261122010203004",
                    "4111111111111112 1795309323004 20261122010203004",
                ),
            ],
        ),
        ("jwt", &[("a eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl b", "a *** b")]),
        (
            "aws_key",
            &[
                ("id AKIAIOSFODNN7EXAMPLE.", "id ***."),
                (
                    "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                    "aws_secret_access_key = ***",
                ),
                (
                    "q=aws_secret_access_key%3DwJalrXUtnFEMI%2FK7MDENG%2BbPxRfiCYEXAMPLEKEY&x",
                    "q=aws_secret_access_key%3D***&x",
                ),
            ],
        ),
        ("email", &[("mail <bob.x+y@mail.example.com>, ok", "mail <***>, ok"), ("a@b", "a@b")]),
        (
            "ipv4",
            &[
                ("from 10.1.2.3:80 to 255.255.255.255.", "from ***:80 to ***."),
                ("version 1.2.3.4.5 300.1.1.1", "version 1.2.3.4.5 300.1.1.1"),
            ],
        ),
        (
            "bearer",
            &[
                ("Authorization: Bearer abcDEF123._-x", "Authorization: Bearer ***"),
                ("the bearer forwards messages", "the bearer forwards messages"),
            ],
        ),
        (
            "private_key",
            &[
                (
                    "k: -----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY----- x",
                    "k: *** x",
                ),
                ("-----BEGIN PRIVATE KEY-----\nMII", "***"),
                (
                    "k=-----BEGIN+EC%20PRIVATE+KEY-----%0AMII%0A-----END+EC+PRIVATE+KEY-----&x",
                    "k=***&x",
                ),
                ("-----BEGIN CERTIFICATE-----", "-----BEGIN CERTIFICATE-----"),
            ],
        ),
        (
            "slack_token",
            &[
                ("t xoxb-12345678901-abcdef x", "t *** x"),
                (
                    "https://hooks.slack.com/services/T000/B000/XXXX",
                    "https://hooks.slack.com/services/***",
                ),
            ],
        ),
        (
            "ipv6",
            &[
                ("from [2001:db8::7:1]:443 at 10:11:12", "from [***]:443 at 10:11:12"),
                ("q=2001%3Adb8%3A%3A7&x", "q=***&x"),
            ],
        ),
        (
            "basic_auth",
            &[
                ("Authorization: Basic dXNlcjpwYXNz x", "Authorization: Basic *** x"),
                ("h=Basic%20dXNlcjpwYXNzMQ%3D%3D&x", "h=Basic%20***&x"),
                ("basic authentication failed", "basic authentication failed"),
            ],
        ),
        (
            "gcp_key",
            &[("k AIzaSyA1234567890abcdefghijklmnopqrstuv x", "k *** x"), ("AIza", "AIza")],
        ),
        (
            "stripe_key",
            &[
                ("sk_live_abcdefghij0123456789, pk_test_ABCDEFGHIJ", "***, ***"),
                ("sk_live", "sk_live"),
            ],
        ),
        (
            "phone",
            &[
                ("call +49 (30) 901820-17.", "call ***."),
                ("call 0049 30 901820 or (415) 555-2671", "call *** or ***"),
                ("n=%2B4930901820&x", "n=***&x"),
                ("at 10:00:00+1000 1795309323004 v1.2.3", "at 10:00:00+1000 1795309323004 v1.2.3"),
            ],
        ),
        (
            "high_entropy",
            &[
                ("k q7Rz0Lw2NfT9xKd4Vb8YsQe x", "k *** x"),
                ("a NullPointerException", "a NullPointerException"),
            ],
        ),
        ("github_token", &[("ghp_16C7e42F292c6912E7710c838347Ae178B4a!", "***!")]),
        (
            "url_credentials",
            &[
                ("postgres://bob:s3cr@t@db:5432/x", "postgres://bob:***@db:5432/x"),
                (
                    "u=redis%3A%2F%2Fbob%3As3c%21ret%40db%2Fx&y",
                    "u=redis%3A%2F%2Fbob%3A***%40db%2Fx&y",
                ),
                ("http://host:80/a?b=c@d", "http://host:80/a?b=c@d"),
            ],
        ),
        (
            "iban",
            &[
                ("to DE89 3704 0044 0532 0130 00 now", "to *** now"),
                ("GB82WEST12345698765432", "***"),
                ("DE00 3704 0044 0532 0130 00", "DE00 3704 0044 0532 0130 00"),
            ],
        ),
    ];
    for (name, cases) in cases {
        texts(&detect(name), cases);
    }
    assert_eq!(
        run(
            &redact(&detect("credit_card")),
            r#"{"n":4111111111111111,"o":{"m":[4111111111111111]}}"#
        ),
        r#"{"n":"***","o":{"m":["***"]}}"#
    );
    assert_eq!(
        run(&redact(&detect("credit_card")), r#"{"n":4111111111111111000}"#),
        r#"{"n":4111111111111111000}"#
    );
    assert_eq!(
        run(
            &redact(&detect("credit_card")),
            r#"{"n":6011000990139424000,"m":4000000000000000006}"#
        ),
        r#"{"n":6011000990139424000,"m":"***"}"#
    );
}

#[test]
fn patterns_replace_their_match_or_their_group() {
    texts(
        "patterns = ['[0-9]{3}-[0-9]{2}', 'pin is (?P<secret>[0-9]+)']",
        &[("ssn 123-45 pin is 99", "ssn *** pin is ***"), ("pin", "pin")],
    );
    let json = r#"{"a":["x","xy"]}"#;
    assert_eq!(run(&redact("patterns = ['^x$']"), json), r#"{"a":["***","xy"]}"#);
}

#[test]
fn overlapping_rules_leave_nothing_of_any_of_them() {
    let settings = "keys = [\"token\"]\ndetect = [\"email\"]\npatterns = ['bob@[a-z]+']";
    texts(
        settings,
        &[("token=bob@example.com.x&y", "token=***&y"), ("a bob@example.com b", "a *** b")],
    );
}

#[test]
fn only_the_named_fields_are_searched_when_fields_are_named() {
    let settings =
        format!("{KEYS}fields = [\"a\", \"o.token\", \"none\"]\nreplacement = \"[gone]\"");
    assert_eq!(
        run(&redact(&settings), r#"{"a":"token=x","b":"token=y","o":{"token":1,"b":"token=z"}}"#),
        r#"{"a":"token=[gone]","b":"token=y","o":{"token":"[gone]","b":"token=z"}}"#
    );
}

#[test]
fn mistakes_in_the_settings_are_pointed_at() {
    let shown =
        problems(&redact("detect = [\"jwt\", \"creditcard\"]\npatterns = ['a(']\nkeys = [\"-\"]"));
    for says in ["did you mean \"credit_card\"?", "unclosed group", "this key is no name"] {
        assert!(shown.contains(says), "{says} is not in\n{shown}");
    }
    assert!(problems(&redact("")).contains("nothing to look for"));
}

#[test]
fn a_part_of_a_long_secret_may_stay_and_a_digest_tells_which_it_was() {
    let partial = format!("{KEYS}detect = [\"credit_card\"]\nmode = \"partial\"");
    texts(&partial, &[("4111111111111111 password=hunter2", "***1111 password=***")]);
    let partial = format!("{KEYS}mode = \"partial\"\nkeep = 2");
    assert_eq!(
        run(&redact(&partial), r#"{"token":"abcdefgh","n":{"token":"xyzxyz12"}}"#),
        r#"{"token":"***gh","n":{"token":"***12"}}"#
    );
    let hash = format!("{KEYS}mode = \"hash\"\nkey = \"k\"");
    let found =
        run(&redact(&hash), r#"{"token":"abc","a":"token=abc","n":{"token":"abc"},"b":"token=x"}"#);
    let found: serde_json::Value = serde_json::from_str(&found).unwrap();
    let digest = found["token"].as_str().unwrap();
    assert_eq!(digest.len(), 16);
    assert_eq!(found["n"]["token"], digest);
    assert_eq!(found["a"], format!("token={digest}"));
    assert_ne!(found["b"], format!("token={digest}"));
    assert!(problems(&redact(&format!("{KEYS}mode = \"hash\""))).contains("`key` is missing"));
    assert!(problems(&redact(&format!("{KEYS}mode = \"hide\""))).contains("mask, partial"));
}

#[test]
fn a_field_may_go_with_its_secret() {
    let settings = format!("{KEYS}detect = [\"email\", \"credit_card\"]\nmode = \"drop_field\"");
    let json = r#"{"token":"x","m":"to a@example.com","ok":"fine","l":["a","b@example.com"],"o":{"p":{"password":1,"n":[4111111111111111,2]},"q":"\u0061@example.com","r":true}}"#;
    assert_eq!(
        run(&redact(&settings), json),
        r#"{"ok":"fine","l":["a"],"o":{"p":{"n":[2]},"r":true}}"#
    );
    let one = format!("{KEYS}fields = [\"a\", \"o.x\"]\nmode = \"drop_field\"");
    assert_eq!(
        run(&redact(&one), r#"{"a":"token=1","o":{"x":"token=2","y":"token=3"}}"#),
        r#"{"o":{"y":"token=3"}}"#
    );
}

#[test]
fn a_secret_in_the_name_of_a_field_goes_too() {
    let settings = "detect = [\"email\", \"credit_card\"]";
    assert_eq!(
        run(
            &redact(settings),
            r#"{"a@example.com":1,"b@example.com":2,"n":{"x":{"c@example.com":{"4111111111111111":3}}}}"#
        ),
        r#"{"***":1,"***_2":2,"n":{"x":{"***":{"***_2":3}}}}"#
    );
    let dropping = format!("{settings}\nmode = \"drop_field\"");
    assert_eq!(
        run(&redact(&dropping), r#"{"a@example.com":1,"n":{"b@example.com":2,"c":3}}"#),
        r#"{"n":{"c":3}}"#
    );
}

#[test]
fn replaced_values_are_counted() {
    let mut trial = Trial::new(&redact(&format!("{KEYS}id = \"r\"")));
    trial.run(r#"{"token":"x","a":"token=y","b":"clean"}"#);
    assert_eq!(trial.counted("logweir_redacted_values_total{filter=\"r\"}"), 2);
}

const SECRET: &str = "Hunter2Zq";

/// A text with the secret in a form that the rules name, and any text around it.
fn planted() -> impl Strategy<Value = String> {
    let forms = prop::sample::select(vec![
        "password=Hunter2Zq",
        "Password: Hunter2Zq",
        "\"token\":\"Hunter2Zq\"",
        "'api_key' : 'Hunter2Zq'",
        "api-key=>\"x Hunter2Zq y\"",
        "password%3DHunter2Zq",
        "%22token%22%3A%22Hunter2Zq%22",
        "\\\"password\\\":\\\"Hunter2Zq\\\"",
        "\\\\\\\"token\\\\\\\":\\\\\\\"Hunter2Zq\\\\\\\"",
        "\"password\":{\"a\":[\"Hunter2Zq\"]}",
        "\"password\": [1, \"Hunter2Zq\"]",
        "my_password = Hunter2Zq",
    ]);
    let around = "[ \\n\\t\"'\\\\{}\\[\\],:=&%a-z0-9é*]{0,12}";
    (around, forms, around).prop_map(|(before, form, after)| format!("{before} {form}{after}"))
}

/// JSON that holds only planted texts, at any depth, and named members.
fn tree() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        planted().prop_map(serde_json::Value::String),
        any::<i32>().prop_map(Into::into),
        any::<f32>().prop_map(|n| f64::from(n).into()),
        Just(serde_json::Value::Null),
        "\\PC{0,8}".prop_map(serde_json::Value::String),
        // A document within a text within a text.
        planted().prop_map(|text| {
            let inner = serde_json::json!({ "a": text, "token": SECRET }).to_string();
            serde_json::Value::String(serde_json::json!({ "m": inner }).to_string())
        }),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let named = Just(serde_json::json!({ "user_token": SECRET, "b": 1 }));
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::Array),
            prop::collection::hash_map("[a-z\"\\\\é]{1,5}", inner, 0..4)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            named,
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn a_planted_secret_is_in_no_output(a in tree(), b in tree(), open in any::<bool>()) {
        let opener = "[[filters]]\ntype = \"set\"\nfields = { \"o.opened\" = 1 }\n";
        let settings = format!("{KEYS}detect = [\"credit_card\", \"email\", \"url_credentials\"]");
        let toml = format!("{}{}", if open { opener } else { "" }, redact(&settings));
        let json = serde_json::json!({ "message": a, "o": { "x": b, "Password": SECRET } }).to_string();
        let mut trial = Trial::new(&toml);
        let mut batch = trial.batch(&[&json]);
        trial.chain.apply(&mut batch);
        let document = written(&batch, 0);
        prop_assert!(!document.contains(SECRET), "{json}\nbecame\n{document}");
    }

    #[test]
    fn arbitrary_texts_never_panic(text in "\\PC*|[\"'\\\\{}\\[\\]:=%a0-9 ]*|(password|=|:|\"|\\\\|%22|%3D|\\{|\\[|null|Bearer| )*") {
        let settings = format!("{KEYS}detect = [\"credit_card\", \"email\", \"iban\", \"ipv4\", \"jwt\", \"bearer\", \"url_credentials\"]");
        let json = serde_json::json!({ "message": text, "n": [text] }).to_string();
        run(&redact(&settings), &json);
    }
}
