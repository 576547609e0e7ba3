//! The programs around a benchmark of agents (`bench/run.py` starts them).
//!
//! Is: one program with four parts. In: arguments. Out: see each part. Promises: nothing here shares code with the
//! agent, so that a fault of the one cannot hide in the other. On failure: a sentence and exit code 1.

mod corpus;
mod null;
mod sink;

const USAGE: &str = "\
usage: bench-tools corpus KIND LINES FILE   writes a corpus; KIND: nginx, json, mcp
       bench-tools null KIND FILE ADDRESS   ships a file without looking into it
       bench-tools sink ADDRESS             a stand-in for Elasticsearch that counts; GET /figures";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        ["corpus", kind, lines, file] => lines
            .parse()
            .map_err(|_| std::io::Error::other("LINES is no number"))
            .and_then(|lines| corpus::write(kind, lines, file)),
        ["null", kind, file, address] => null::ship(kind, file, address),
        ["sink", address] => sink::serve(address),
        _ => Err(std::io::Error::other(USAGE)),
    };
    if let Err(why) = done {
        eprintln!("{why}");
        std::process::exit(1);
    }
}
