//! The ticker. Ten times a second it writes the heartbeat, reads the clock, wakes connections whose deadline
//! has passed, advances a drain, and has the store handle changes of files. Each second it writes out the
//! access log and has the store drop entries that are not used.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use may::io::{CoIo, WaitIo};

use super::acceptors::Acceptors;
use super::coroutines::Coroutines;
use super::exit::write_access_logs;
use crate::connection::context::Context;
use crate::connection::leadership::Leadership;
use crate::ipc::FromChild;
use crate::log::access::Buffer;
use crate::store::Exhaustion;
use crate::sys::{link, timer};
use crate::time::TICK_MS;
use crate::time::warning::Warning;

/// The coroutine that ticks.
pub struct Ticker {
    timer: CoIo<OwnedFd>,
    /// The link to the master.
    master: OwnedFd,
    context: &'static Context,
    coroutines: &'static Coroutines,
    acceptors: &'static Acceptors,
    /// Warns that files could not be opened.
    exhaustion: Warning,
}

impl Ticker {
    /// Starts the timer.
    ///
    /// # Errors
    /// What timerfd_create(2) and epoll_ctl(2) say.
    pub fn new(acceptors: &'static Acceptors, master: OwnedFd) -> io::Result<Ticker> {
        let Acceptors { context, coroutines, .. } = *acceptors;
        let first = context.timers.clock.next_tick();
        let timer = CoIo::new(timer::periodic(first, Duration::from_millis(TICK_MS.into()))?)?;
        Ok(Ticker { timer, master, context, coroutines, acceptors, exhaustion: Warning::default() })
    }

    /// Ticks for ever.
    pub fn run(self) {
        let (context, coroutines) = (self.context, self.coroutines);
        let mut more = false;
        loop {
            if more {
                // Another batch is due. The other coroutines run first, so that no connection waits for all
                // of it.
                coroutines.give_way();
            } else {
                self.timer.wait_io();
            }
            if !timer::take_expirations(self.timer.inner()) && !more {
                continue;
            }
            context.metrics.beat(timer::monotonic());
            context.timers.clock.refresh();
            more = context.timers.turn_wheel();
            let now = context.timers.clock.now();
            let new_second = context.rendered_time.refresh(now.wall);
            more |= context.site.store.tick(now);
            if new_second {
                each_second(context);
                self.warn_of_exhaustion(now.tick);
                self.report_stale_root();
            }
            more |= coroutines.tick();
            self.acceptors.tick();
        }
    }
}

impl Ticker {
    /// Tells the master that the path of a root leads to a directory that a confined worker can't open. It
    /// does so every second, because the master may be busy with a reload or an upgrade.
    fn report_stale_root(&self) {
        if self.context.site.store.has_stale_root() {
            link::send(&self.master, &FromChild::RootMoved.encode(), &[]);
        }
    }

    /// Warns that files could not be opened, at most once a minute, with the counts since the last warning.
    fn warn_of_exhaustion(&self, tick: u32) {
        let store = &self.context.site.store;
        if store.is_exhausted() && self.exhaustion.is_due(tick) {
            exhaustion_warning(store.take_exhaustion()).into_iter().for_each(|line| ::log::warn!("{line}"));
        }
    }
}

/// The warning about requests whose file could not be opened, if there were any.
fn exhaustion_warning(exhaustion: Exhaustion) -> Option<String> {
    let Exhaustion { stale, refused } = exhaustion;
    (stale + refused > 0).then(|| {
        format!(
            "descriptors or memory have run out: {stale} requests were answered from cached files that \
             could not be checked, which is done for 10 s after the last check; {refused} got 503"
        )
    })
}

/// Logs what the operator should know of the name indexes.
pub fn log_name_warnings(context: &Context) {
    for (is_bad, line) in context.site.store.take_name_warnings() {
        let level = if is_bad { ::log::Level::Warn } else { ::log::Level::Info };
        ::log::log!(level, "{line}");
    }
}

/// Warns of what is not understood in `_redirects` and `_headers`, in one worker alone.
pub fn log_site_file_warnings(context: &Context) {
    for line in context.site.take_site_file_warnings() {
        if context.slot == 0 {
            ::log::warn!("{line}");
        }
    }
}

fn each_second(context: &Context) {
    write_access_logs(context, Buffer::flush);
    context.site.sweep(context.timers.clock.now());
    log_name_warnings(context);
    if context.slot == 0 {
        context.site.follow_site_files(context.timers.clock.now());
    }
    log_site_file_warnings(context);
    if context.site.store.take_watch_shortage() {
        ::log::warn!(
            "no inotify watch is left for some cached files, which are checked again at each request; \
             see fs.inotify.max_user_watches and max_user_instances"
        );
    }
}
