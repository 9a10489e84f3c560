//! The worker's pulse: ten times a second it gives a sign of life, reads the clock, wakes the connections whose deadline has come, and looks
//! whether a drain is complete and whether cached files have changed; each second it flushes the access log and has the site forget what nobody asks for.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::PoisonError;
use std::time::Duration;

use may::io::{CoIo, WaitIo};

use super::MOVED;
use super::accept::Door;
use crate::connection::shared::Shared;
use crate::site::TICK_MS;
use crate::sys::{link, timer};

/// The coroutine that keeps the time.
pub struct Ticker {
    timer: CoIo<OwnedFd>,
    /// The link to the master.
    master: OwnedFd,
    door: &'static Door,
}

impl Ticker {
    /// Starts the timer.
    ///
    /// # Errors
    /// What timerfd_create(2) and epoll_ctl(2) say.
    pub fn new(door: &'static Door, master: OwnedFd) -> io::Result<Ticker> {
        let timer = CoIo::new(timer::periodic(Duration::from_millis(TICK_MS.into()))?)?;
        Ok(Ticker { timer, master, door })
    }

    /// Ticks for ever.
    pub fn run(self) {
        let shared = self.door.shared();
        let mut more = false;
        loop {
            if more {
                // Those who were woken or ended were a lot of a crowd; who is served meanwhile does not wait for it all.
                shared.reactor.give_way();
            } else {
                self.timer.wait_io();
            }
            if !timer::take_expirations(self.timer.inner()) && !more {
                continue;
            }
            shared.metrics.beat(timer::monotonic());
            let new_second = shared.reactor.clock.refresh();
            more = shared.reactor.turn_wheel();
            let now = shared.reactor.clock.now();
            shared.site.catch_up(now);
            more |= shared.site.tend_names(now);
            if new_second {
                each_second(shared);
                self.tell_of_root();
            }
            more |= self.door.pool().tick();
            self.door.tick();
        }
    }
}

impl Ticker {
    /// Tells the master that the root's path leads where a confined worker can't follow. It says so every second, for
    /// the master may have other things under way.
    fn tell_of_root(&self) {
        if self.door.shared().site.root_has_moved() {
            link::send(&self.master, MOVED, &[]);
        }
    }
}

/// Has the log say what there is to know of the names that files are found by.
pub fn tell_of_names(shared: &Shared) {
    for (is_bad, line) in shared.site.take_notices() {
        let level = if is_bad { ::log::Level::Warn } else { ::log::Level::Info };
        ::log::log!(level, "{line}");
    }
}

fn each_second(shared: &Shared) {
    if let Some(access) = &shared.access {
        let mut access = access.lock().unwrap_or_else(PoisonError::into_inner);
        access.flush();
        let dropped = std::mem::take(&mut access.dropped);
        drop(access);
        if dropped > 0 {
            ::log::warn!("the access log could not be written: {dropped} lines are lost");
        }
    }
    shared.site.sweep(shared.reactor.clock.now());
    tell_of_names(shared);
    if shared.site.take_watch_shortage() {
        ::log::warn!(
            "no inotify watch is left for some cached files, which are looked at again at each request; \
             see fs.inotify.max_user_watches and max_user_instances"
        );
    }
}
