//! Arguments in, exit code out.

fn main() -> std::process::ExitCode {
    logweir::cli::main()
}
