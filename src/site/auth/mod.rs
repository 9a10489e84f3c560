//! Sign-in by name and password (RFC 7617): whether a request has the credentials of a user.
//!
//! The steps of [`SignIns::check`]:
//!
//! 1. Credentials that were right within five minutes are let in.
//! 2. Few verifications are made for one address at once; further attempts wait. A client that has sent wrong
//!    passwords waits, the longer the more they were. Its coroutine waits, no thread.
//! 3. A background thread compares the password with the user's hash, once for all requests that have the
//!    same credentials at the time. For a user who does not exist it compares with the hash of another one,
//!    so that the time does not tell.
//! 4. A right password is remembered, a wrong one is counted for the address of the client.
//!
//! **Invariants:** no password is kept longer than its job. All tables are bounded. All of this is of one
//! worker: each has counts and memories of its own.

mod digest;
mod failures;
mod origin;
pub mod protection;
mod remembered;
mod verifications;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::background::{Background, JobHandle, JobOutcome, JobWaiter};
use crate::http::authorization::BasicCredentials;
use crate::password::stored_hash::StoredHash;
use crate::password::users::Users;
use crate::sys::socket::PeerAddress;
use crate::time::{Now, TICK_MS};

use digest::{CredentialsDigest, DigestKey};
use failures::{Admission, SignInFailures};
use origin::Origin;
use remembered::RememberedSignIns;
use verifications::{OriginPlace, PasswordJob, PasswordVerdict, Verifications};

/// When a client may try again of which too many attempts wait, in seconds.
const RETRY_AFTER: u32 = 10;

/// The users of all files, and what is known of the last sign-ins.
pub struct SignIns {
    key: DigestKey,
    /// By the number of the file.
    files: Vec<Mutex<Arc<Users>>>,
    state: Mutex<SignInState>,
}

struct SignInState {
    remembered: RememberedSignIns,
    failures: SignInFailures,
    verifications: Verifications,
}

/// Whether a request is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignInOutcome {
    /// It has the credentials of a user.
    Allowed,
    /// It has not: 401.
    Refused,
    /// The client has sent too many wrong ones, and too many of its attempts wait already: 429. It may try
    /// again after so many seconds.
    TooMany(u32),
    /// Too many verifications wait: 503.
    Busy,
}

/// A request that wants to sign in.
pub struct SignInRequest<'a> {
    /// The number of the users file.
    pub file: usize,
    /// What the client has sent.
    pub credentials: &'a BasicCredentials,
    /// The address that failures are counted for.
    pub client: PeerAddress,
}

/// Credentials, and what they are compared with.
struct Comparison {
    digest: CredentialsDigest,
    /// The user's hash, or that of another user.
    hash: Arc<StoredHash>,
    /// True if the user exists.
    is_user: bool,
}

/// What a request does next.
enum NextStep {
    End(SignInOutcome),
    Pause(u32),
    /// Wait until one of the verifications of the same address has ended.
    Queue(PasswordJob),
    Wait(JobHandle<PasswordVerdict>),
}

impl SignIns {
    /// For files of these users.
    ///
    /// # Errors
    /// See getrandom(2).
    pub fn new(files: Vec<Arc<Users>>) -> io::Result<SignIns> {
        let state = SignInState {
            remembered: RememberedSignIns::new(),
            failures: SignInFailures::new(),
            verifications: Verifications::default(),
        };
        let files = files.into_iter().map(Mutex::new).collect();
        Ok(SignIns { key: DigestKey::random()?, files, state: Mutex::new(state) })
    }

    /// Takes up a new version of a file. What is remembered of users who have the same hash as before stays.
    pub fn replace(&self, file: usize, users: Arc<Users>) {
        if let Some(place) = self.files.get(file) {
            *lock(place) = users;
        }
    }

    /// Decides whether a request is let in. `now` becomes the time after a wait.
    pub fn check(
        &self,
        request: &SignInRequest<'_>,
        now: &mut Now,
        background: &Background,
        waiter: &mut dyn JobWaiter,
    ) -> SignInOutcome {
        let comparison = self.comparison(request);
        let mut is_admitted = false;
        loop {
            let place = (is_admitted, *now, background);
            let step = self.next_step(request, comparison.as_ref(), place, waiter);
            match step {
                NextStep::End(outcome) => return outcome,
                // 2. The wait of a client that has failed. Another request may be let in meanwhile.
                NextStep::Pause(ticks) => match waiter.pause(ticks) {
                    Ok(later) => (*now, is_admitted) = (later, true),
                    Err(_) => return SignInOutcome::Busy,
                },
                NextStep::Queue(job) => {
                    let waited = waiter.wait(job.completion());
                    lock(&self.state).verifications.stop_waiting(Origin::of(request.client));
                    match waited {
                        Ok(later) => *now = later,
                        Err(_) => return SignInOutcome::Busy,
                    }
                }
                // 3. The verification.
                NextStep::Wait(job) => {
                    match waiter.wait(job.completion()) {
                        Ok(later) => *now = later,
                        Err(_) => return SignInOutcome::Busy,
                    }
                    return self.finish(request, comparison.as_ref(), &job, *now);
                }
            }
        }
    }

    /// What the credentials of a request are compared with; `None` if there are no users.
    fn comparison(&self, request: &SignInRequest<'_>) -> Option<Comparison> {
        let SignInRequest { file, credentials, .. } = *request;
        let users = Arc::clone(&lock(self.files.get(file)?));
        // Also for one who exists, so that it takes the same time.
        let stand_in = users.stand_in(self.key.number(credentials.user()))?;
        let own = users.hash_of(credentials.user());
        let hash = own.unwrap_or(stand_in);
        let digest = self.key.digest(file, credentials, hash.as_str());
        Some(Comparison { digest, hash: Arc::clone(hash), is_user: own.is_some() })
    }

    fn next_step(
        &self,
        request: &SignInRequest<'_>,
        comparison: Option<&Comparison>,
        (is_admitted, now, background): (bool, Now, &Background),
        waiter: &mut dyn JobWaiter,
    ) -> NextStep {
        let mut state = lock(&self.state);
        if let Some(comparison) = comparison {
            // 1. What is remembered, and what is being found out.
            if comparison.is_user && state.remembered.has(&comparison.digest, now.tick) {
                return NextStep::End(SignInOutcome::Allowed);
            }
            if let Some(job) = state.verifications.under_way(&comparison.digest) {
                return NextStep::Wait(job);
            }
        }
        if !waiter.may_wait() {
            return NextStep::End(SignInOutcome::Busy);
        }
        // 2. A client waits for its place, and one that has failed also for its turn.
        let origin = Origin::of(request.client);
        match state.verifications.place(origin) {
            OriginPlace::Free => {}
            OriginPlace::After(job) => return NextStep::Queue(job),
            OriginPlace::Refused => return NextStep::End(SignInOutcome::TooMany(RETRY_AFTER)),
        }
        if !is_admitted {
            match state.failures.admit(origin, now.tick) {
                Admission::Now => {}
                Admission::After(ticks) => return NextStep::Pause(ticks),
                Admission::Refused(ticks) => {
                    return NextStep::End(SignInOutcome::TooMany((ticks * TICK_MS).div_ceil(1000)));
                }
            }
        }
        // 3. The verification.
        let Some(comparison) = comparison else {
            state.failures.add(origin, now.tick);
            return NextStep::End(SignInOutcome::Refused);
        };
        let (key, hash) = ((comparison.digest, origin), Arc::clone(&comparison.hash));
        match state.verifications.start(key, background, hash, request.credentials.password()) {
            Ok(job) => NextStep::Wait(job),
            Err(_) => NextStep::End(SignInOutcome::Busy),
        }
    }

    /// Step 4: what a verification that is done means.
    fn finish(
        &self,
        request: &SignInRequest<'_>,
        comparison: Option<&Comparison>,
        job: &JobHandle<PasswordVerdict>,
        now: Now,
    ) -> SignInOutcome {
        let Some(Comparison { digest, is_user, .. }) = comparison else { return SignInOutcome::Refused };
        let mut state = lock(&self.state);
        let is_first = state.verifications.take_done(digest, job);
        match job.outcome() {
            Some(JobOutcome::Result(Ok(true))) if *is_user => {
                if is_first {
                    state.remembered.add(*digest, now.tick);
                }
                SignInOutcome::Allowed
            }
            Some(JobOutcome::Result(Ok(_))) => {
                // Requests with the same credentials at the same time are one guess.
                if is_first {
                    state.failures.add(Origin::of(request.client), now.tick);
                }
                SignInOutcome::Refused
            }
            Some(JobOutcome::Result(Err(_)) | JobOutcome::Panicked | JobOutcome::Dropped) | None => {
                SignInOutcome::Busy
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic under the lock leaves tables that are at worst too small.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::sync::mpsc;
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::background::{Completion, GaveUp};
    use crate::metrics::Row;
    use crate::metrics::job_kind::JobKind;
    use crate::sys::process;

    /// "right" and "other" by SHA-256-crypt, which is quick with so few rounds.
    const RIGHT: &str = "$5$rounds=1000$right$r2egymy6H9DAes98MXhT0pxgEXaMlrzxdYP28.M1orB";
    const OTHER: &str = "$5$rounds=1000$other$5U0XBcGnplQ0pNbIlW2Cf2I4nGQuqRQ6y9R.h.PD0O9";

    const CLIENT: &str = "192.0.2.1";

    #[test]
    fn a_right_password_is_verified_once_and_then_remembered() {
        let mut test = Test::new();
        assert_eq!(test.check("anna:right"), SignInOutcome::Allowed);
        assert_eq!(test.check("anna:right"), SignInOutcome::Allowed);
        assert_eq!((test.jobs, test.paused), (1, 0));
        assert_eq!(test.check("ben:right"), SignInOutcome::Allowed, "whose password is the same");
        assert_eq!(test.jobs, 2);
        test.now.tick += 3000;
        assert_eq!(test.check("anna:right"), SignInOutcome::Allowed);
        assert_eq!(test.jobs, 3, "it is forgotten after five minutes");
    }

    #[test]
    fn a_wrong_one_and_an_unknown_user_take_a_job_each_time_and_the_next_attempt_waits() {
        let mut test = Test::new();
        for (number, credentials) in ["anna:wrong", "anna:", "zoe:right", "zoe:other"].iter().enumerate() {
            assert_eq!(test.check(credentials), SignInOutcome::Refused, "{credentials}");
            assert_eq!(test.jobs, number + 1, "{credentials}");
        }
        assert_eq!(test.paused, 2 + 4 + 8);
        assert_eq!(test.check("anna:right"), SignInOutcome::Allowed, "after its turn has come");
        assert_eq!(test.paused, 2 + 4 + 8 + 16);
        assert_eq!(test.check("anna:right"), SignInOutcome::Allowed);
        assert_eq!(test.paused, 2 + 4 + 8 + 16, "what is remembered does not wait");
        test.client = PeerAddress::Unix;
        assert_eq!(test.check("anna:wrong"), SignInOutcome::Refused);
        assert_eq!(test.paused, 2 + 4 + 8 + 16, "another client does not wait");
    }

    #[test]
    fn an_attempt_that_may_not_wait_yet_is_none() {
        let mut test = Test::new();
        for _ in 0..3 {
            let (credentials, mut now) = (read("anna:wrong"), test.now);
            let request = SignInRequest { file: 0, credentials: &credentials, client: test.client };
            for _ in 0..10 {
                let outcome = test.sign_ins.check(&request, &mut now, &test.background, &mut NoWaits);
                assert_eq!(outcome, SignInOutcome::Busy);
            }
            assert_eq!(test.check("anna:wrong"), SignInOutcome::Refused);
        }
        assert_eq!((test.jobs, test.paused), (3, 2 + 4), "each attempt was counted once");
    }

    #[test]
    fn a_client_with_too_many_attempts_in_its_line_is_sent_away() {
        let mut test = Test::new();
        test.pauses_pass = false;
        for _ in 0..7 {
            lock(&test.sign_ins.state).failures.add(Origin::of(test.client), test.now.tick);
        }
        assert_eq!(test.check("anna:right"), SignInOutcome::Busy, "it gave up in its line");
        test.check("anna:right");
        assert_eq!(test.check("anna:right"), SignInOutcome::TooMany(15));
        assert_eq!(test.jobs, 0);
    }

    #[test]
    fn a_new_version_of_the_file_counts_at_once_and_leaves_what_it_does_not_change() {
        let mut test = Test::new();
        assert_eq!(test.check("anna:right"), SignInOutcome::Allowed);
        assert_eq!(test.check("ben:right"), SignInOutcome::Allowed);
        test.sign_ins.replace(0, users(&[("ben", RIGHT), ("anna", OTHER)]));
        assert_eq!(test.check("ben:right"), SignInOutcome::Allowed);
        assert_eq!(test.jobs, 2);
        assert_eq!(test.check("anna:right"), SignInOutcome::Refused);
        assert_eq!(test.check("anna:other"), SignInOutcome::Allowed);
        test.sign_ins.replace(0, users(&[("anna", OTHER)]));
        assert_eq!(test.check("ben:right"), SignInOutcome::Refused, "who was removed");
    }

    #[test]
    fn each_file_has_users_of_its_own_and_one_without_users_has_none() {
        let mut test = Test::new();
        assert_eq!(test.check("anna:right"), SignInOutcome::Allowed);
        test.file = 1;
        assert_eq!(test.check("anna:right"), SignInOutcome::Refused);
        assert_eq!(test.check("anna:other"), SignInOutcome::Allowed);
        test.file = 2;
        let jobs = test.jobs;
        assert_eq!(test.check("anna:right"), SignInOutcome::Refused);
        test.file = 3;
        assert_eq!(test.check("anna:right"), SignInOutcome::Refused, "there is no such file");
        assert_eq!(test.jobs, jobs);
    }

    #[test]
    fn requests_at_once_with_the_same_credentials_share_a_verification_and_others_are_bounded() {
        let test = Test::new();
        let (release, held) = mpsc::channel::<()>();
        let work = move || held.recv().is_ok();
        test.background.submit_cpu(JobKind::List, work).unwrap().detach();
        let step = |number: usize, credentials: &str| match test.step(number, credentials) {
            NextStep::Wait(job) => Ok(job),
            NextStep::End(outcome) => Err(outcome),
            NextStep::Pause(_) | NextStep::Queue(_) => panic!("a pause"),
        };
        let first = step(0, "anna:right").unwrap();
        assert!((0..100).all(|n| Arc::ptr_eq(&step(n, "anna:right").unwrap().job(), &first.job())));
        let others: Vec<_> = (1..64).map(|n| step(n, &format!("anna:{n}")).unwrap()).collect();
        assert!(matches!(step(64, "anna:64"), Err(SignInOutcome::Busy)));
        assert!(step(0, "anna:63").is_ok() && step(0, "anna:right").is_ok());
        release.send(()).unwrap();
        let mut waiter =
            Waiter { background: &test.background, now: test.now, paused: 0, passes: true, jobs: 0 };
        others.iter().for_each(|job| assert!(waiter.wait(job.completion()).is_ok()));
        drop(others);
        assert!(step(64, "anna:64").is_ok(), "those that are done leave room");
    }

    #[test]
    fn one_address_has_few_verifications_at_once_and_its_line_is_not_endless() {
        let test = Test::new();
        let (release, held) = mpsc::channel::<()>();
        let work = move || held.recv().is_ok();
        test.background.submit_cpu(JobKind::List, work).unwrap().detach();
        let NextStep::Wait(first) = test.step(0, "anna:1") else { panic!("no place for the first") };
        let NextStep::Wait(second) = test.step(0, "anna:2") else { panic!("no place for the second") };
        let second_job = second.job();
        // Its client has gone away.
        drop(second);
        for n in 0..64 {
            let NextStep::Queue(job) = test.step(0, &format!("anna:a{n}")) else { panic!("{n}") };
            assert!(Arc::ptr_eq(&job, &first.job()), "the oldest");
        }
        assert!(matches!(test.step(0, "anna:b"), NextStep::End(SignInOutcome::TooMany(10))));
        assert!(matches!(test.step(0, "anna:1"), NextStep::Wait(_)), "no further guess");
        assert!(matches!(test.step(1, "anna:right"), NextStep::Wait(_)), "another address");
        lock(&test.sign_ins.state).verifications.stop_waiting(Origin::of(numbered(0)));
        assert!(matches!(test.step(0, "anna:b"), NextStep::Queue(_)), "one waits no more");

        release.send(()).unwrap();
        let mut waiter =
            Waiter { background: &test.background, now: test.now, paused: 0, passes: true, jobs: 0 };
        assert!(waiter.wait(first.completion()).is_ok() && waiter.wait(second_job.completion()).is_ok());
        let NextStep::Wait(_third) = test.step(0, "anna:c") else { panic!("no place") };
        let NextStep::Wait(_fourth) = test.step(0, "anna:d") else { panic!("no place") };
        (0..64).for_each(|_| lock(&test.sign_ins.state).verifications.stop_waiting(Origin::of(numbered(0))));
    }

    /// Another client for each number.
    fn numbered(number: usize) -> PeerAddress {
        PeerAddress::Ip([10, 0, 0, u8::try_from(number).unwrap()].into())
    }

    fn users(lines: &[(&str, &str)]) -> Arc<Users> {
        let lines: Vec<String> = lines.iter().map(|(user, hash)| format!("{user}:{hash}\n")).collect();
        Arc::new(Users::parse(lines.concat().as_bytes()).unwrap())
    }

    fn read(credentials: &str) -> BasicCredentials {
        BasicCredentials::decoded(credentials.as_bytes().to_vec()).unwrap()
    }

    /// Three files: anna and ben, whose passwords are "right"; anna with "other"; no users.
    struct Test {
        sign_ins: SignIns,
        background: Background,
        now: Now,
        file: usize,
        client: PeerAddress,
        pauses_pass: bool,
        /// Verifications so far.
        jobs: usize,
        /// Ticks of all pauses.
        paused: u32,
    }

    impl Test {
        fn new() -> Test {
            let files =
                vec![users(&[("anna", RIGHT), ("ben", RIGHT)]), users(&[("anna", OTHER)]), users(&[])];
            Test {
                sign_ins: SignIns::new(files).unwrap(),
                background: Background::start(0, 1, Row::alone().unwrap()).unwrap(),
                now: Now { tick: 100, wall: SystemTime::UNIX_EPOCH },
                file: 0,
                client: PeerAddress::Ip(CLIENT.parse().unwrap()),
                pauses_pass: true,
                jobs: 0,
                paused: 0,
            }
        }

        /// The first step of a request of another client for each number.
        fn step(&self, number: usize, credentials: &str) -> NextStep {
            let credentials = read(credentials);
            let client = numbered(number);
            let request = SignInRequest { file: 0, credentials: &credentials, client };
            let comparison = self.sign_ins.comparison(&request);
            let (background, now) = (&self.background, self.now);
            let mut waiter = Waiter { background, now, paused: 0, passes: true, jobs: 0 };
            self.sign_ins.next_step(&request, comparison.as_ref(), (false, now, background), &mut waiter)
        }

        fn check(&mut self, credentials: &str) -> SignInOutcome {
            let credentials = read(credentials);
            let request = SignInRequest { file: self.file, credentials: &credentials, client: self.client };
            let (background, now, passes) = (&self.background, self.now, self.pauses_pass);
            let mut waiter = Waiter { background, now, paused: 0, passes, jobs: 0 };
            let outcome = self.sign_ins.check(&request, &mut self.now, background, &mut waiter);
            self.paused += waiter.paused;
            self.jobs += waiter.jobs;
            outcome
        }
    }

    /// A stream that must not wait yet.
    struct NoWaits;

    impl JobWaiter for NoWaits {
        fn may_wait(&mut self) -> bool {
            false
        }

        fn wait(&mut self, _: &Completion) -> Result<Now, GaveUp> {
            panic!("a wait")
        }

        fn wait_until(&mut self, _: &Completion, _: Duration) -> Result<Now, GaveUp> {
            panic!("a wait")
        }

        fn pause(&mut self, _: u32) -> Result<Now, GaveUp> {
            panic!("a pause")
        }
    }

    /// A connection whose jobs are waited for, and whose pauses take no time.
    struct Waiter<'a> {
        background: &'a Background,
        now: Now,
        paused: u32,
        passes: bool,
        jobs: usize,
    }

    impl JobWaiter for Waiter<'_> {
        fn wait(&mut self, job: &Completion) -> Result<Now, GaveUp> {
            self.jobs += 1;
            let event = self.background.event().unwrap();
            while !job.is_done() {
                let deadline = Some(Duration::from_secs(10));
                assert_eq!(process::wait_readable(&[event.as_fd()], deadline).unwrap(), [true]);
                crate::sys::timer::take_expirations(&event);
                self.background.wake_waiters();
            }
            Ok(self.now)
        }

        fn wait_until(&mut self, job: &Completion, _: Duration) -> Result<Now, GaveUp> {
            self.wait(job)
        }

        fn pause(&mut self, ticks: u32) -> Result<Now, GaveUp> {
            if !self.passes {
                return Err(GaveUp::ClientGone);
            }
            self.paused += ticks;
            self.now.tick += ticks;
            Ok(self.now)
        }
    }
}
