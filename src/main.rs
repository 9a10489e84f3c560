//! The program: [`mayhttpd::run`] and its exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    mayhttpd::report(mayhttpd::run())
}
