//! What a package has beside the program: the manual page, and completions for shells. Both are made from the
//! parser, so that no flag can be missing. And certificates to try TLS out.
//!
//! It owns where pages and completions are written. What the parser does not know is in `man.roff`.

pub mod certificate;
pub mod man;

use std::path::Path;

use clap_complete::Shell as Generator;

use crate::commands::parser::{Product, Shell, parser};
use crate::error::StartupError;

/// Makes a product. Without a directory it is returned, for standard output; otherwise it is written to files
/// in the directory `out`, which is created if it does not exist.
///
/// # Errors
/// [`StartupError::Generated`] if a file can't be written, and those of [`certificate::run`].
pub fn run(product: &Product, out: Option<&Path>) -> Result<String, StartupError> {
    let (name, text) = match product {
        Product::Man => ("mayhttpd.8", man::page()),
        Product::Completions { shell } => (file_name(*shell), completions(*shell)),
        Product::Certificate { names, force } => {
            let needed = || StartupError::Usage("a certificate needs --out DIR for its two files".to_owned());
            return certificate::run(names, out.ok_or_else(needed)?, *force);
        }
    };
    let Some(directory) = out else { return Ok(text) };
    let path = directory.join(name);
    std::fs::create_dir_all(directory)
        .and_then(|()| std::fs::write(&path, text))
        .map_err(|source| StartupError::Generated { path, source })?;
    Ok(String::new())
}

/// The name of the file that a shell looks for.
fn file_name(shell: Shell) -> &'static str {
    match shell {
        Shell::Bash => "mayhttpd",
        Shell::Zsh => "_mayhttpd",
        Shell::Fish => "mayhttpd.fish",
    }
}

fn completions(shell: Shell) -> String {
    let generator = match shell {
        Shell::Bash => Generator::Bash,
        Shell::Zsh => Generator::Zsh,
        Shell::Fish => Generator::Fish,
    };
    let mut text = Vec::new();
    clap_complete::generate(generator, &mut parser(), "mayhttpd", &mut text);
    // The parser has UTF-8 alone.
    String::from_utf8_lossy(&text).into_owned()
}
