//! The library beside its floor, and beside the library that `SOCCR_BASELINE` names: `benches::command` is all of it.

fn main() -> std::process::ExitCode {
    benches::command::main()
}
