//! A way to the brokers that can be cut and joined again: what was sent meanwhile arrives then, as through a network whose
//! link was down. Refuses to change a byte.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::BrokerError;
use crate::cluster::{CLIENT_PORT, CONTROLLER_PORT, Cluster, free_addresses, temporary_folder};

/// Where a broker listens for those who come this way, and where it says that it does.
const BEHIND_PORT: u16 = 19_094;
const DETOUR_PORT: u16 = 19_095;
/// How much is taken in one go.
const CHUNK_BYTES: usize = 16 << 10;

/// A second way to every broker of a cluster. Whoever begins at [`Detour::bootstrap`] only ever goes this way.
pub struct Detour {
    addresses: Vec<Ipv4Addr>,
    gate: Arc<Gate>,
}

/// Whether anything passes.
#[derive(Default)]
struct Gate {
    cut: Mutex<bool>,
    joined: Condvar,
    /// Nobody wants the way any more.
    gone: AtomicBool,
}

impl Gate {
    fn set(&self, cut: bool) {
        *self.cut.lock().unwrap_or_else(PoisonError::into_inner) = cut;
        self.joined.notify_all();
    }

    /// Waits while the way is cut.
    fn pass(&self) {
        let cut = self.cut.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.joined.wait_while(cut, |cut| *cut).unwrap_or_else(PoisonError::into_inner));
    }
}

impl Cluster {
    /// Starts `nodes` brokers to which there are two ways: straight, by [`Cluster::bootstrap`], and the detour.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub fn start_with_detour(nodes: usize) -> Result<(Self, Detour), BrokerError> {
        let addresses = free_addresses(nodes);
        let straight = format!("PLAINTEXT://{{host}}:{CLIENT_PORT}");
        let listeners = format!("{straight},DETOUR://{{host}}:{BEHIND_PORT},CONTROLLER://{{host}}:{CONTROLLER_PORT}");
        let more = [
            ("listeners", listeners.as_str()),
            ("advertised.listeners", &format!("{straight},DETOUR://{{host}}:{DETOUR_PORT}")),
            ("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,DETOUR:PLAINTEXT,CONTROLLER:PLAINTEXT"),
        ];
        let cluster = Self::launch(temporary_folder()?, &addresses, &more, &[])?;
        let gate = Arc::<Gate>::default();
        for address in &addresses {
            let listener =
                TcpListener::bind((*address, DETOUR_PORT)).map_err(BrokerError::file("the detour's port"))?;
            let (address, gate) = (*address, Arc::clone(&gate));
            std::thread::spawn(move || lead(&listener, address, &gate));
        }
        Ok((cluster, Detour { addresses, gate }))
    }
}

impl Detour {
    /// Where clients find the cluster on this way: `host:port`, several with commas.
    pub fn bootstrap(&self) -> String {
        let all: Vec<_> = self.addresses.iter().map(|address| format!("{address}:{DETOUR_PORT}")).collect();
        all.join(",")
    }

    /// Nothing passes any more, in either direction; connections stay open, and new ones are taken.
    pub fn cut(&self) {
        self.gate.set(true);
    }

    /// Undoes [`Detour::cut`]: what waited passes, in its order.
    pub fn join(&self) {
        self.gate.set(false);
    }
}

impl Drop for Detour {
    fn drop(&mut self) {
        self.gate.gone.store(true, Ordering::Relaxed);
        self.join();
        for address in &self.addresses {
            // Wakes who waits for somebody to come.
            let _ = TcpStream::connect((*address, DETOUR_PORT));
        }
    }
}

/// Leads whoever comes to the broker.
fn lead(listener: &TcpListener, address: Ipv4Addr, gate: &Arc<Gate>) {
    for client in listener.incoming().map_while(Result::ok) {
        if gate.gone.load(Ordering::Relaxed) {
            return;
        }
        let gate = Arc::clone(gate);
        std::thread::spawn(move || {
            gate.pass();
            // A broker that is down takes nobody: the client hears so, as without a detour.
            let Ok(broker) = TcpStream::connect((address, BEHIND_PORT)) else { return };
            let _ = connect(&client, &broker, &gate);
        });
    }
}

fn connect(client: &TcpStream, broker: &TcpStream, gate: &Arc<Gate>) -> io::Result<()> {
    client.set_nodelay(true)?;
    broker.set_nodelay(true)?;
    let (from, to) = (broker.try_clone()?, client.try_clone()?);
    let there = Arc::clone(gate);
    let back = std::thread::spawn(move || carry(from, to, &there));
    carry(client.try_clone()?, broker.try_clone()?, gate);
    let _ = back.join();
    Ok(())
}

/// Carries bytes until one side has ended.
fn carry(mut from: TcpStream, mut to: TcpStream, gate: &Gate) {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let length = from.read(&mut chunk).unwrap_or(0);
        gate.pass();
        if length == 0 || to.write_all(&chunk[..length]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
