//! What a package has beside the program: the manual page, and completions for shells. Made of the parser itself, so that
//! no flag can be missing.
//!
//! Owns where it is written. What cannot be read off the parser stands in `man.roff`.

pub mod man;

use std::path::Path;

use clap_complete::Shell as Generator;

use crate::config::{Product, Shell, cli};
use crate::error::StartupError;

/// Makes a product, and returns what is to go to standard output: all of it, or nothing where a directory `out` is named,
/// which is made if it is not there.
///
/// # Errors
/// [`StartupError::Generated`] where a file can't be written.
pub fn run(product: Product, out: Option<&Path>) -> Result<String, StartupError> {
    let (name, text) = match product {
        Product::Man => ("mayhttpd.8", man::page()),
        Product::Completions(shell) => (file_name(shell), completions(shell)),
    };
    let Some(directory) = out else { return Ok(text) };
    let path = directory.join(name);
    std::fs::create_dir_all(directory)
        .and_then(|()| std::fs::write(&path, text))
        .map_err(|source| StartupError::Generated { path, source })?;
    Ok(String::new())
}

/// The name under which a shell looks for it.
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
    clap_complete::generate(generator, &mut cli::parser(), "mayhttpd", &mut text);
    // The parser's words are all text.
    String::from_utf8_lossy(&text).into_owned()
}
