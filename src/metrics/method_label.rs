//! The labels of the methods that requests are counted by.

use crate::http::method::Method;

/// The labels, in the order of the counts. The last is for requests whose head was never complete.
pub const METHOD_LABELS: [&str; METHODS] = {
    let mut labels = ["unread"; METHODS];
    let mut at = 0;
    while at < Method::ALL.len() {
        labels[at] = Method::ALL[at].label();
        at += 1;
    }
    labels
};

/// The number of labels.
pub const METHODS: usize = Method::ALL.len() + 1;
