//! The one binary: server, command line and demo.

mod cli;
mod config;
mod demo;
mod server;

fn main() -> std::process::ExitCode {
    cli::main()
}
