//! The access logs of a worker: that of the server, and those that hosts have of their own.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config::{AccessLogTarget, Settings};
use crate::log::access::{AccessLogOutput, Buffer};

/// The access logs of a worker, by the numbers of
/// [`Settings::access_logs`](crate::config::Settings::access_logs).
pub struct AccessLogs {
    logs: Vec<Mutex<Buffer>>,
    /// The log of requests whose host is not known, if it is on.
    pub default: Option<u16>,
}

impl AccessLogs {
    /// The logs of these settings, open, in the same order.
    pub fn new(settings: &Settings, outputs: Vec<AccessLogOutput>) -> AccessLogs {
        let default = (settings.access_log != AccessLogTarget::Off && !outputs.is_empty()).then_some(0);
        let count = outputs.len();
        let shared_budget = Arc::default();
        let buffer = |log| Mutex::new(Buffer::one_of(count, log, Arc::clone(&shared_budget)));
        AccessLogs { logs: outputs.into_iter().map(buffer).collect(), default }
    }

    /// True if there is no log.
    pub fn is_empty(&self) -> bool {
        self.logs.is_empty()
    }

    /// The log with a number. Not to be held across a wait.
    pub fn get(&self, number: u16) -> Option<MutexGuard<'_, Buffer>> {
        Some(self.logs.get(usize::from(number))?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// All of them, each to be dropped before the next one.
    pub fn all(&self) -> impl Iterator<Item = MutexGuard<'_, Buffer>> {
        self.logs.iter().map(|log| log.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
