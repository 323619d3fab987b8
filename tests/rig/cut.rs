//! A way to a server that is cut at a certain message.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

/// Where a connection is cut, counted over all connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Before the server has what the client sends as its so many-th piece.
    BeforeRequest(usize),
    /// After the server has answered for the so many-th time, before the client has the answer.
    BeforeAnswer(usize),
}

/// The way.
pub(crate) struct Proxy {
    port: u16,
    was_cut: Arc<AtomicBool>,
    may_end: Arc<AtomicBool>,
}

/// What all connections of a way count.
struct Counts {
    cut: Cut,
    requests: AtomicUsize,
    answers: AtomicUsize,
    was_cut: Arc<AtomicBool>,
    /// Whether what is cut may end. Until then it hangs.
    may_end: Arc<AtomicBool>,
}

impl Proxy {
    /// A way to a port of this machine. Only one connection is cut: later ones are not.
    pub(crate) fn to(server: u16, cut: Cut) -> Self {
        Self::of(server, cut, true)
    }

    /// The same, which hangs at the message until [`Proxy::end`]: so the client can be killed there.
    pub(crate) fn hanging(server: u16, cut: Cut) -> Self {
        Self::of(server, cut, false)
    }

    fn of(server: u16, cut: Cut, may_end: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let was_cut = Arc::new(AtomicBool::new(false));
        let may_end = Arc::new(AtomicBool::new(may_end));
        let counts = Arc::new(Counts {
            cut,
            requests: 0.into(),
            answers: 0.into(),
            was_cut: Arc::clone(&was_cut),
            may_end: Arc::clone(&may_end),
        });
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(("127.0.0.1", server)).expect("the server");
                let both = |stream: &TcpStream| stream.try_clone().expect("a stream");
                let (from, to, own) = (both(&client), both(&server), Arc::clone(&counts));
                thread::spawn(move || own.pass(from, to, true));
                let (from, to, own) = (server, client, Arc::clone(&counts));
                thread::spawn(move || own.pass(from, to, false));
            }
        });
        Self { port, was_cut, may_end }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Ends what hangs.
    pub(crate) fn end(&self) {
        self.may_end.store(true, SeqCst);
    }

    /// Whether the message came.
    pub(crate) fn was_cut(&self) -> bool {
        self.was_cut.load(SeqCst)
    }
}

impl Counts {
    fn pass(&self, mut from: TcpStream, mut to: TcpStream, is_request: bool) {
        let mut bytes = vec![0; 1 << 16];
        loop {
            let count = from.read(&mut bytes).unwrap_or(0);
            let is_cut = count > 0
                && !self.was_cut.load(SeqCst)
                && match self.cut {
                    Cut::BeforeRequest(at) => is_request && self.requests.fetch_add(1, SeqCst) == at,
                    Cut::BeforeAnswer(at) => !is_request && self.answers.fetch_add(1, SeqCst) == at,
                };
            if is_cut {
                self.was_cut.store(true, SeqCst);
                while !self.may_end.load(SeqCst) {
                    thread::sleep(Duration::from_millis(1));
                }
            }
            if count == 0 || is_cut || to.write_all(&bytes[..count]).is_err() {
                let _ = from.shutdown(Shutdown::Both);
                let _ = to.shutdown(Shutdown::Both);
                return;
            }
        }
    }
}
