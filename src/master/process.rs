//! Starts child processes, receives their messages and reaps them.
//!
//! **Invariant:** a child of a fork has a copy of all that the master has open. It first drops what would
//! keep other processes alive or their ports open. `Master::drop_inherited` is the one list, for all kinds
//! of children.

use std::io;
use std::os::fd::OwnedFd;

use super::admin_listener::AdminSettings;
use super::admin_process::AdminProcess;
use super::background::BackgroundStart;
use super::certificate_watch::CertificateWatch;
use super::children::Children;
use super::generation::Generation;
use super::listeners::Listeners;
use super::pid_file::PidFile;
use super::root_watch::RootWatch;
use super::state::Master;
use super::supervisor::event::{ChildId, ChildKind, Event};
use super::systemd::ServiceManager;
use crate::error::cause;
use crate::ipc::FromChild;
use crate::metrics::{MAX_WORKERS, Row};
use crate::sys::link;
use crate::sys::process::{self, Exit, Fork};
use crate::sys::secret_page::SecretPage;
use crate::sys::timer;
use crate::{admin, worker};

impl Master {
    /// Starts a child. A fork that fails is handled like a child that could not serve.
    pub(super) fn start_child(&mut self, id: ChildId) {
        let started = match id.kind {
            ChildKind::Worker => self.start_worker(id),
            ChildKind::Admin => self.start_admin(id),
        };
        if let Err(why) = started {
            self.caused_events.extend([Event::Failed(id, why), Event::Exited(id, Exit::Code(1))]);
        }
    }

    fn start_admin(&mut self, id: ChildId) -> Result<(), String> {
        let listener = self.admin.listener().ok_or("it has no address")?;
        if listener.reserve().is_err() {
            // The previous master does not report when it closes the address, so this is tried again.
            self.caused_events.push(Event::AddressInUse(id));
            return Ok(());
        }
        listener.begin_binding();
        let (address, settings) = (listener.address(), listener.settings().clone());
        let master = process::id();
        let forked = link::pair().and_then(|(mine, theirs)| Ok((process::fork()?, mine, theirs)));
        match forked {
            Ok((Fork::Parent(pid), mine, _)) => {
                self.children.insert(id, pid, mine, None, timer::monotonic());
                ::log::info!("{id} started at {address}, pid {pid}");
                Ok(())
            }
            Ok((Fork::Child, mine, link)) => {
                drop(mine);
                self.confine_ticket_page(&link, SecretPage::give_up);
                drop(self.drop_inherited());
                let (AdminSettings { identity, sandbox, hosts, .. }, metrics) = (settings, self.metrics);
                admin::run(admin::AdminStart { master, link, address, hosts, identity, sandbox, metrics })
            }
            Err(error) => {
                self.admin.end_binding();
                Err(cannot_fork(&error))
            }
        }
    }

    fn start_worker(&mut self, id: ChildId) -> Result<(), String> {
        let index = self.generations.iter().position(|generation| generation.number == id.generation);
        let Some(index) = index else { return Err("its generation is gone".to_owned()) };
        let backlog = self.generations[index].settings.backlog;
        self.generations[index]
            .listeners
            .extend_to(id.slot + 1, backlog)
            .map_err(|error| error.to_string())?;
        let (mine, theirs) = link::pair().map_err(|error| cannot_fork(&error))?;
        let master = process::id();
        let full = || format!("there are {MAX_WORKERS} workers already, those that drain included");
        let row = self.metrics.claim().ok_or_else(full)?;
        // The slots of a starting generation are counted when it serves.
        if self.supervisor.current() == Some(id.generation) {
            self.metrics.add_slot(id.slot);
        }
        match process::fork().map_err(|error| cannot_fork(&error))? {
            Fork::Parent(pid) => {
                let now = timer::monotonic();
                self.metrics.occupy(row, pid, id.slot, id.generation, now);
                self.children.insert(id, pid, mine, Some(row), now);
                ::log::info!("{id} started, pid {pid}");
                Ok(())
            }
            Fork::Child => {
                drop(mine);
                self.become_worker(id, master, theirs, row)
            }
        }
    }

    /// In the child: becomes the worker of a slot.
    fn become_worker(&mut self, id: ChildId, master: i32, link: OwnedFd, metrics: Row) -> ! {
        let waits = self.supervisor.keeps_from_accepting(id.generation);
        self.confine_ticket_page(&link, SecretPage::only_read);
        let mut generations = self.drop_inherited();
        let mine = generations.iter().position(|generation| generation.number == id.generation);
        let mine = mine.map(|index| generations.swap_remove(index));
        drop(generations);
        match mine {
            Some(generation) => generation.become_worker((id.slot, waits), master, link, metrics),
            None => worker::fail(&link, "its generation is gone"),
        }
    }

    /// In a child: gives up the page with the keys of tickets, or the right to write there.
    fn confine_ticket_page(&mut self, link: &OwnedFd, how: fn(SecretPage) -> io::Result<()>) {
        if let Some(Err(error)) = self.ticket_page.take().map(how) {
            worker::fail(link, &format!("cannot leave the keys of TLS tickets: {}", cause(&error)));
        }
    }

    /// In a child: drops what would keep other processes alive or their ports or files open. Returns the
    /// generations. The list names every field, so that a new field breaks the build here.
    fn drop_inherited(&mut self) -> Vec<Generation> {
        let Master {
            children,
            admin,
            generations,
            kept_listeners,
            background_start,
            pid_file,
            systemd,
            root_watch,
            inputs: _,
            users_watch: _,
            certificate_watch,
            // Each kind of child confines it in its own way.
            ticket_page: _,
            first_actions: _,
            caused_events: _,
            supervisor: _,
            watchdog: _,
            // It refers to listeners and holds none.
            steering: _,
            // The child makes its own. A signalfd shows each process only its own signals.
            signals: _,
            // It is shared memory. The child gives up the right to change the other rows.
            metrics: _,
            successor: _,
            previous_master: _,
        } = self;
        *children = Children::default();
        *admin = AdminProcess::default();
        *kept_listeners = Listeners::default();
        *background_start = BackgroundStart::default();
        *systemd = ServiceManager::default();
        // It may hold directories open.
        *root_watch = RootWatch::default();
        // It may hold private keys.
        *certificate_watch = CertificateWatch::default();
        pid_file.take().into_iter().for_each(PidFile::drop_inherited);
        std::mem::take(generations)
    }

    /// The messages of a child since the last call, as events.
    pub(super) fn receive(&mut self, id: ChildId) -> Vec<Event> {
        let messages = self.children.receive(id, timer::monotonic());
        let event = |message| match message {
            Ok(FromChild::Ready) => Event::Ready(id),
            Ok(FromChild::Listens) => {
                self.admin.end_binding();
                Event::Ready(id)
            }
            Ok(FromChild::Failed(why)) => Event::Failed(id, why),
            Ok(FromChild::Draining) => Event::Draining(id),
            Ok(FromChild::RootMoved) => Event::RootMoveReported(id),
            Err(what) => Event::BadMessage(id, what),
        };
        messages.into_iter().map(event).collect()
    }

    /// Reaps all children that have ended. Returns their last messages and their exits as events.
    pub(super) fn reap(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some((pid, exit)) = process::reap() {
            self.steering.process_ended(pid);
            if self.successor == Some(pid) {
                self.successor_ended(exit);
            } else if let Some(id) = self.children.remove_given_up(pid) {
                ::log::info!("{id}, pid {pid}, which did not end when it was killed, has ended");
                events.push(Event::EndedLate(id));
            } else if let Some(id) = self.children.id(pid) {
                events.extend(self.receive(id));
                self.children.remove(id);
                self.forget_child(id, pid);
                events.push(Event::Exited(id, exit));
            }
        }
        events
    }

    /// Drops what is known of a child process that runs no more.
    pub(super) fn forget_child(&mut self, id: ChildId, pid: i32) {
        self.metrics.release(pid);
        match id.kind {
            ChildKind::Worker => self.watchdog.ended(id),
            ChildKind::Admin => self.admin.end_binding(),
        }
    }
}

fn cannot_fork(error: &io::Error) -> String {
    format!("cannot fork: {}", cause(error))
}
