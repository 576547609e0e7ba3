//! Traces as the runtimes print them, among ordinary lines. `%%%%` closes an event.

use super::{Feed, gives_events};

const JAVA: &str = "2026-11-22 10:00:00 INFO  [main] c.a.Shop - started
%%%%
2026-11-22 10:00:01 ERROR [http-1] c.a.Orders - order 17 failed
com.acme.orders.OrderRejected: no stock
for item 9
\tat com.acme.orders.Stock.take(Stock.java:41)
\tat java.base/java.lang.Thread.run(Thread.java:1583)
\tSuppressed: java.io.IOException: close failed
\t\tat com.acme.orders.Stock.close(Stock.java:77)
\t\t... 4 more
Caused by: java.lang.IllegalStateException: empty shelf
\tat com.acme.orders.Shelf.pick(Shelf.java:12)
\t... 12 more
%%%%
2026-11-22 10:00:02 INFO  [main] c.a.Shop - going on
%%%%
Exception in thread \"main\" java.lang.NullPointerException
\tat com.acme.Main.main(Main.java:3)
%%%%

%%%%
2026-11-22 10:00:03 ERROR [http-1] c.a.Orders - no trace here
%%%%
2026-11-22 10:00:04 WARN  [http-1] c.a.Orders - retry after java.net.SocketTimeoutException: Read timed out
%%%%
2026-11-22 10:00:05 INFO  [http-1] c.a.Orders - done
%%%%
";

const PYTHON: &str = "INFO:app:ready
%%%%
ERROR:app:cannot load
Traceback (most recent call last):
  File \"/app/load.py\", line 10, in load
    return parse(text)
           ^^^^^^^^^^^
  File \"/app/parse.py\", line 3, in parse
    raise KeyError(\"id\")
KeyError: 'id'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File \"/app/main.py\", line 7, in <module>
    load(path)
app.errors.LoadError: no id in file
%%%%

%%%%
INFO:app:next
%%%%
  + Exception Group Traceback (most recent call last):
  |   File \"/app/group.py\", line 2, in <module>
  |     raise ExceptionGroup(\"two\", errors)
  | ExceptionGroup: two (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | ValueError: 1
    +---------------- 2 ----------------
    | TypeError: 2
    +------------------------------------
%%%%
INFO:app:last
%%%%
";

const GO: &str = "2026/11/22 10:00:00 listening on :8080
%%%%
panic: runtime error: index out of range [5] with length 3 [recovered]
\tpanic: again

goroutine 1 [running]:
main.pick(...)
\t/app/main.go:12
main.main()
\t/app/main.go:7 +0x1d

goroutine 18 [chan receive, 5 minutes]:
main.(*Pool).work(0xc000012345, {0x1, 0x2})
\t/app/pool.go:31 +0x45
created by main.NewPool in goroutine 1
\t/app/pool.go:20 +0x99
exit status 2
%%%%
2026/11/22 10:00:01 restarted
%%%%
2026/11/22 10:00:02 http: panic serving 127.0.0.1:51000: boom
goroutine 34 [running]:
net/http.(*conn).serve.func1()
\t/go/src/net/http/server.go:1947 +0xbe
panic({0x6e5a00?, 0x7a1b20?})
\t/go/src/runtime/panic.go:785 +0x132
%%%%
2026/11/22 10:00:03 served again
%%%%
fatal error: all goroutines are asleep - deadlock!

goroutine 1 [select (no cases)]:
main.main()
\t/app/main.go:9 +0x18
%%%%

%%%%
bye
%%%%
";

const RUBY: &str = "I, [2026-11-22T10:00:00 #7]  INFO -- : ready
%%%%
app.rb:3:in 'Integer#/': divided by 0 (ZeroDivisionError)
\tfrom app.rb:3:in 'Object#ratio'
\tfrom app.rb:7:in '<main>'
%%%%
I, [2026-11-22T10:00:01 #7]  INFO -- : next
%%%%
app.rb:1:in `<main>': undefined method `upcas' for \"a\":String (NoMethodError)

puts name.upcas
         ^^^^^^
Did you mean?  upcase
\tfrom boot.rb:2:in `require'
%%%%
E, [2026-11-22T10:00:02 #7] ERROR -- : boom (RuntimeError)
/app/jobs/mail.rb:12:in 'MailJob#perform'
/app/lib/queue.rb:40:in 'block in Queue#run'
%%%%
I, [2026-11-22T10:00:03 #7]  INFO -- : last
%%%%
";

const NODE: &str = "server listening on 3000
%%%%
/app/server.js:12
    throw new TypeError('no user');
    ^

TypeError: no user
    at load (/app/server.js:12:11)
    at async handle (/app/router.js:40:5) {
  code: 'E_USER',
  [cause]: Error: db
      at query (/app/db.js:3:9)
}

Node.js v22.11.0
%%%%
GET /health 200
%%%%
2026-11-22T10:00:00Z error: request failed: Error: connect ECONNREFUSED 127.0.0.1:5432
    at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1611:16)
    ... 4 lines matching cause stack trace ...
    at main (/app/main.js:1:1)
%%%%
GET /health 200
%%%%
";

#[test]
fn java_traces_are_joined_with_the_line_that_announces_them() {
    gives_events("preset = \"java\"", JAVA);
}

#[test]
fn python_tracebacks_are_joined_over_chained_exceptions() {
    gives_events("preset = \"python\"", PYTHON);
}

#[test]
fn go_panics_are_joined_over_blank_lines_between_goroutines() {
    gives_events("preset = \"go\"", GO);
}

#[test]
fn ruby_errors_are_joined_with_the_code_they_blame() {
    gives_events("preset = \"ruby\"", RUBY);
}

#[test]
fn node_errors_are_joined_with_their_place_and_properties() {
    gives_events("preset = \"node\"", NODE);
}

#[test]
fn any_knows_all_languages_at_once() {
    gives_events("preset = \"any\"", &[JAVA, PYTHON, GO, RUBY, NODE].concat());
    gives_events("preset = \"any\"", &[NODE, RUBY, GO, PYTHON, JAVA].concat());
}

#[test]
fn ordinary_lines_are_given_out_at_once() {
    let lines = [
        "2026-11-22 10:00:00 INFO  [main] c.a.Shop - started",
        "{\"level\":\"ERROR\",\"message\":\"java.lang.IllegalStateException: x\"}",
        "127.0.0.1 - - [22/Nov/2026:10:00:00 +0000] \"GET / HTTP/1.1\" 500 12",
        "",
        "  indented text",
        "TERRORS is no level",
        "no ErrorHandler is set",
    ];
    for preset in ["java", "python", "go", "ruby", "node", "any"] {
        let mut feed = Feed::new("multiline", &format!("preset = \"{preset}\""), "");
        for (n, line) in lines.iter().enumerate() {
            feed.chunk(format!("{line}\n").as_bytes(), false, false);
            assert_eq!(feed.events.len(), n + 1, "{preset}: {line}");
            assert_eq!(feed.position(), feed.offset);
        }
    }
}

#[test]
fn a_header_whose_trace_never_comes_does_not_take_other_lines_with_it() {
    let mut feed = Feed::new("multiline", "preset = \"any\"", "");
    feed.chunk(b"Error: one\ntwo\n\nthree\n", false, false);
    assert_eq!(feed.messages(), Vec::<String>::new());
    feed.flush(i64::MAX);
    assert_eq!(feed.messages(), ["Error: one", "two", "", "three"]);
    let offsets: Vec<u64> = feed.events.iter().map(|(offset, _)| *offset).collect();
    assert_eq!(offsets, [0, 11, 15, 16]);
}

#[test]
fn frames_without_their_beginning_are_one_event() {
    let frames = "\tat a.B.c(B.java:1)\n\tat a.B.d(B.java:2)\n%%%%\nordinary\n%%%%\n";
    gives_events("preset = \"java\"", frames);
}
