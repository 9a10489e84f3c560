//! Builds what all connections of the worker share.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64};

use super::start::{Listener, WorkerStart};
use crate::background::Background;
use crate::connection::access_logs::AccessLogs;
use crate::connection::buffer_pool::BufferPool;
use crate::connection::client_address::TrustedProxies;
use crate::connection::context::Context;
use crate::connection::file_sending::FileSending;
use crate::connection::http2::common_fields::CommonFields;
use crate::connection::rendered_time::RenderedTime;
use crate::connection::socket_timers::SocketTimers;
use crate::connection::timeouts::Timeouts;
use crate::connection::tls_transport::TlsContext;
use crate::site::Site;
use crate::site::auth::SignIns;
use crate::store::Store;
use crate::store::root::OpenedRoot;
use crate::sys::socket;

/// Builds the context out of what the worker was given, whose access logs it takes, and its roots.
pub fn build(
    start: &mut WorkerStart,
    (root, directories): (Option<OpenedRoot>, Vec<OpenedRoot>),
    background: &'static Background,
    sign_ins: Option<SignIns>,
) -> Context {
    let timers = SocketTimers::start(start.slot);
    let now = timers.clock.now();
    let settings = &start.settings;
    let store = Store::new(settings, root, directories, start.metrics, background, now);
    Context {
        site: Site::new(settings, &start.host_numbers, store)
            .with_sign_ins(sign_ins)
            .with_https_port(https_port(&start.listeners)),
        timers,
        rendered_time: RenderedTime::at(now.wall),
        trusted_proxies: TrustedProxies::new(settings),
        timeouts: Timeouts::new(settings),
        file_sending: FileSending { sendfile: settings.sendfile, chunk: settings.send_chunk },
        server: settings.name.clone().into_bytes(),
        access: AccessLogs::new(settings, std::mem::take(&mut start.access)),
        access_format: settings.access_format,
        slot: start.slot,
        accepted: AtomicU64::new(0),
        read_buffers: BufferPool::for_reading(),
        write_buffers: BufferPool::for_writing(),
        frame_buffers: BufferPool::for_frames(),
        piece: Mutex::default(),
        metrics: start.metrics,
        http2_plain: settings.http2_plain,
        common_fields: CommonFields::new(settings.name.as_bytes()),
        tls: start.tls.take().map(|config| TlsContext::new(config, start.certificates.take())),
        draining: AtomicBool::new(false),
    }
}

/// The port of the first TLS listener. In the settings it may be 0.
fn https_port(listeners: &[Listener]) -> Option<u16> {
    let listener = listeners.iter().find(|listener| listener.tls)?;
    socket::local_address(&listener.socket).ok().map(|address| address.port())
}
