//! The `tollgate` command: see [`tollgate::cli`].

fn main() -> std::process::ExitCode {
    tollgate::cli::main()
}
