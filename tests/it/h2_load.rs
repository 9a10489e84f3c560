//! Reload, upgrade and the end of a worker under the load of HTTP/2 over TLS: no request is lost but those
//! that a killed worker had.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use rustix::process::Signal;

use crate::support::authority::Authority;
use crate::support::configured::{Configured, launched};
use crate::support::h2::Failure;
use crate::support::h2_frames::*;
use crate::support::tree::{PAGE, large, text};
use crate::support::{DEADLINE, Dice, H2, Launch, Stop, Tls, eventually, within};
use crate::upgrade::{PidFile, upgrade};

/// Clients at a time.
const CLIENTS: usize = 4;

/// The most requests of a client at a time.
const AT_ONCE: usize = 12;

struct Subject {
    server: Configured,
    tls: Tls,
    /// A reload reads its files again.
    _authority: Authority,
}

/// What the clients have seen.
#[derive(Default)]
struct Seen {
    answers: AtomicUsize,
    /// Requests that were sent again, as a GOAWAY or REFUSED_STREAM allows.
    repeated: AtomicUsize,
    lost: AtomicUsize,
}

impl Subject {
    /// Two workers behind TLS.
    #[track_caller]
    fn start(flags: &[&str]) -> Self {
        let authority = Authority::new();
        let launch = Launch::site().tls().workers(2).flags(flags.iter().copied());
        let server = launched(launch, &authority.issue(&["test"]).table());
        Self { server, tls: Tls::trusting(&authority), _authority: authority }
    }

    /// Has clients ask for as long as `act` takes.
    #[track_caller]
    fn under_load(&self, act: impl FnOnce(&Seen)) -> Seen {
        let (seen, stop) = (Seen::default(), AtomicBool::new(false));
        std::thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS as u64)
                .map(|seed| {
                    let (seen, stop) = (&seen, &stop);
                    scope.spawn(move || self.ask(seen, stop, &mut Dice::new(seed)))
                })
                .collect();
            let ending = Stop(&stop);
            act(&seen);
            drop(ending);
            clients.into_iter().for_each(|client| client.join().unwrap());
        });
        seen
    }

    /// Asks again and again, some requests at a time, on a connection until the server says that it ends.
    fn ask(&self, seen: &Seen, stop: &AtomicBool, dice: &mut Dice) {
        while !stop.load(Relaxed) {
            let address = self.server.tls_address();
            let Some(mut client) = H2::attempt(&self.tls, address) else {
                seen.lost.fetch_add(1, Relaxed);
                continue;
            };
            while client.goaway.is_none() && client.end.is_none() && !stop.load(Relaxed) {
                self.ask_some(&mut client, seen, dice);
            }
        }
    }

    fn ask_some(&self, client: &mut H2, seen: &Seen, dice: &mut Dice) {
        let asked: Vec<(u32, &str)> = (0..=dice.below(AT_ONCE))
            .map(|_| {
                let path = ["/page.html", "/page.html", "/text.txt", "/large.html"][dice.below(4)];
                (client.ask("GET", path, &[]), path)
            })
            .collect();
        for (stream, path) in asked {
            match client.outcome(stream) {
                Ok(response) => {
                    match path {
                        "/page.html" => response.is(200, PAGE),
                        "/text.txt" => response.is(200, text()),
                        _ => response.is(200, large()),
                    }
                    seen.answers.fetch_add(1, Relaxed);
                }
                Err(Failure::Refused(NO_ERROR) | Failure::Reset(REFUSED_STREAM)) => {
                    seen.repeated.fetch_add(1, Relaxed);
                }
                Err(failure) => {
                    eprintln!("stream {stream} ({path}): {failure:?}; {}", client.story());
                    seen.lost.fetch_add(1, Relaxed);
                }
            }
        }
    }
}

/// Waits until so many requests more are answered.
#[track_caller]
fn goes_on(seen: &Seen) {
    let target = seen.answers.load(Relaxed) + 50;
    within(DEADLINE * 2, "answers go on to come", || (seen.answers.load(Relaxed) >= target).then_some(()));
}

#[test]
fn reloads_under_load_lose_no_request() {
    let subject = Subject::start(&[]);
    let server = &subject.server;
    let seen = subject.under_load(|seen| {
        for _ in 0..6 {
            let before = server.workers();
            goes_on(seen);
            server.signal(Signal::HUP);
            within(DEADLINE * 2, "the workers are replaced", || {
                let workers = server.workers();
                (workers.len() == 2 && !workers.iter().any(|worker| before.contains(worker))).then_some(())
            });
        }
        goes_on(seen);
    });
    assert_eq!(seen.lost.into_inner(), 0, "requests were lost");
}

#[test]
fn an_upgrade_under_load_loses_no_request() {
    let file = PidFile::new("h2-load");
    let mut subject = Subject::start(&file.flag());
    let mut new = None;
    let seen = subject.under_load(|seen| {
        goes_on(seen);
        new = Some(upgrade(&subject.server, &file));
        goes_on(seen);
        subject.server.signal(Signal::QUIT);
        within(DEADLINE * 2, "the old program ends", || (!subject.server.master.lives()).then_some(()));
        goes_on(seen);
    });
    assert_eq!(seen.lost.into_inner(), 0, "requests were lost");
    assert_eq!(subject.server.server.exit_code(), Some(0));
}

#[test]
fn workers_killed_under_load_cost_what_they_had_and_no_more() {
    const KILLS: usize = 4;
    let subject = Subject::start(&[]);
    let server = &subject.server;
    let seen = subject.under_load(|seen| {
        for _ in 0..KILLS {
            goes_on(seen);
            let victim = server.workers()[0];
            victim.signal(Signal::KILL);
            eventually("a successor is started", || {
                (!victim.lives() && server.workers().len() == 2).then_some(())
            });
        }
        goes_on(seen);
    });
    let lost = seen.lost.into_inner();
    assert!(lost <= KILLS * CLIENTS * (AT_ONCE + 1), "{lost} requests lost by {KILLS} kills");
    // Nothing is lost without a kill.
    let seen = subject.under_load(|seen| (0..10).for_each(|_| goes_on(seen)));
    assert_eq!(seen.lost.into_inner() + seen.repeated.into_inner(), 0);
}
