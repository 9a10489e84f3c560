//! Answers that have to wait for a job of a background thread: each has a coroutine of its own meanwhile, so
//! that the other streams of the connection go on.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::request::{self, StreamRequest};
use super::wakeup::{JobWakeup, Wakeup};
use crate::background::Wake;
use crate::connection::context::Context;
use crate::connection::job_wait::{JobWait, JobWaits};
use crate::connection::leadership::Leadership;
use crate::site::Answer;
use crate::sys::socket::PeerAddress;

/// The most coroutines that answer for one connection. The requests after them wait.
const MAX_UNDER_WAY: usize = 16;

/// An answer that had to wait.
pub struct LateAnswer {
    /// What it answers.
    pub request: StreamRequest,
    /// The client of the request.
    pub client: PeerAddress,
    /// The answer; `None` if it panicked.
    pub answer: Option<Answer>,
}

/// The answers of one connection that wait.
pub struct LateAnswers {
    done: Arc<Mutex<Vec<LateAnswer>>>,
    waits: Arc<JobWaits>,
    under_way: usize,
    queued: VecDeque<(StreamRequest, PeerAddress)>,
}

/// What an answer needs of its connection.
#[derive(Clone)]
pub struct AnswerPlace {
    /// What connections share.
    pub context: &'static Context,
    /// What makes coroutines.
    pub leadership: &'static dyn Leadership,
    /// Hears when it is done.
    pub wakeup: Arc<Wakeup>,
}

impl LateAnswers {
    /// None.
    pub fn new() -> LateAnswers {
        LateAnswers { done: Arc::default(), waits: Arc::default(), under_way: 0, queued: VecDeque::new() }
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.under_way == 0 && self.queued.is_empty()
    }

    /// Answers a request as soon as it can be.
    pub fn add(&mut self, request: StreamRequest, client: PeerAddress, place: &AnswerPlace) {
        self.queued.push_back((request, client));
        self.start(place);
    }

    /// Takes the answers that are there.
    pub fn take(&mut self, place: &AnswerPlace) -> Vec<LateAnswer> {
        if self.under_way == 0 {
            return Vec::new();
        }
        let done = std::mem::take(&mut *self.done.lock().unwrap_or_else(PoisonError::into_inner));
        self.under_way -= done.len().min(self.under_way);
        self.start(place);
        done
    }

    fn start(&mut self, place: &AnswerPlace) {
        while self.under_way < MAX_UNDER_WAY
            && let Some((request, client)) = self.queued.pop_front()
        {
            self.under_way += 1;
            let late = LateAnswer { request, client, answer: None };
            let (done, waits) = (Arc::clone(&self.done), Arc::clone(&self.waits));
            let task = Task { late: Some(late), done, waits, place: place.clone() };
            place.leadership.spawn(Box::new(move || task.run()));
        }
    }
}

impl Drop for LateAnswers {
    fn drop(&mut self) {
        // A coroutine must not outlive the connection, whose permit bounds how many there are.
        self.waits.end();
    }
}

/// One answer in its coroutine. However it ends, the connection gets it back.
struct Task {
    late: Option<LateAnswer>,
    done: Arc<Mutex<Vec<LateAnswer>>>,
    waits: Arc<JobWaits>,
    place: AnswerPlace,
}

impl Task {
    fn run(mut self) {
        let AnswerPlace { context, leadership, .. } = self.place;
        let Some(late) = &mut self.late else { return };
        let mut line = Vec::new();
        request::write_line(&late.request.parts, &mut line);
        // It was read once before.
        let Ok(mut request) = request::read(&late.request.parts, &line) else { return };
        request.is_https = late.request.is_https;
        request.is_misdirected = late.request.is_misdirected;
        let mut waiter = JobWait::new(context, leadership, Arc::clone(&self.waits));
        let now = context.timers.clock.now();
        late.answer = Some(context.site.answer(&request, late.client, now, &mut waiter));
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if let Some(late) = self.late.take() {
            self.done.lock().unwrap_or_else(PoisonError::into_inner).push(late);
            JobWakeup(Arc::clone(&self.place.wakeup)).wake();
        }
    }
}
