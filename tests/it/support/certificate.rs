//! A certificate for localhost that signs itself, and its files.

use super::Tree;

/// The files of a certificate, in a directory of their own.
pub struct Certificate {
    files: Tree,
}

impl Certificate {
    pub fn for_localhost() -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let files = Tree::empty();
        files.file("chain.pem", made.cert.pem());
        files.file("key.pem", made.signing_key.serialize_pem());
        files.mode("key.pem", 0o600);
        Self { files }
    }

    /// The path of the chain.
    pub fn chain(&self) -> String {
        self.files.at("chain.pem").to_str().unwrap().to_owned()
    }

    /// The path of the key.
    pub fn key(&self) -> String {
        self.files.at("key.pem").to_str().unwrap().to_owned()
    }

    /// The flags that name both.
    pub fn flags(&self) -> [String; 4] {
        ["--tls-cert".to_owned(), self.chain(), "--tls-key".to_owned(), self.key()]
    }
}
