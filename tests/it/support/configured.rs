//! A server with a settings file.

use std::sync::Arc;

use super::launch::run_with;
use super::{Launch, Server, Tree};

/// A server with a settings file that can be written again.
pub struct Configured {
    /// The server.
    pub server: Server,
    /// The directory of its settings file, `may.toml`.
    pub settings: Tree,
}

impl std::ops::Deref for Configured {
    type Target = Server;
    fn deref(&self) -> &Server {
        &self.server
    }
}

/// The usual site, with these settings.
#[track_caller]
pub fn site(settings: &str) -> Configured {
    serve(Tree::site(), settings, &[])
}

/// A server of `tree` with a settings file of this text, and these flags.
#[track_caller]
pub fn serve(tree: impl Into<Arc<Tree>>, text: &str, flags: &[&str]) -> Configured {
    launched(Launch::of(tree).flags(flags), text)
}

/// A server with a settings file of this text, started like this.
#[track_caller]
pub fn launched(launch: Launch, text: &str) -> Configured {
    let settings = Tree::empty();
    let file = settings.file("may.toml", text);
    let server = launch.flags(["-c", file.to_str().unwrap()]).start();
    Configured { server, settings }
}

/// What the server's program says of these settings without a start. The file is called `FILE`.
#[track_caller]
pub fn refused(text: &str) -> String {
    let settings = Tree::empty();
    let file = settings.file("may.toml", text);
    let finished = run_with(&["-t", "-c", file.to_str().unwrap()]);
    assert_ne!(finished.code, Some(0), "{finished:?}");
    assert_eq!(finished.errors.lines().count(), 1, "{finished:?}");
    finished.errors.replace(file.to_str().unwrap(), "FILE")
}
