//! Who gets a connection: so many in all, and so many from one address. It counts connections, it does not read them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::Limits;

#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// The places for connections.
#[derive(Debug)]
pub(crate) struct Places {
    max: usize,
    per_address_max: usize,
    open: Mutex<Open>,
}

/// One connection's place; free again when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    address: IpAddr,
}

impl Places {
    pub(crate) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            max: limits.connections_max,
            per_address_max: limits.connections_per_address_max,
            open: Mutex::default(),
        })
    }

    /// A place for a connection from `address`, or which limit is in the way.
    pub(crate) fn take(self: &Arc<Self>, address: IpAddr) -> Result<Place, &'static str> {
        let mut open = self.open();
        if open.all >= self.max {
            return Err("connections");
        }
        let address = address.to_canonical();
        let here = open.by_address.entry(address).or_default();
        if *here >= self.per_address_max && !address.is_loopback() {
            return Err("connections_per_address");
        }
        *here += 1;
        open.all += 1;
        Ok(Place { places: Arc::clone(self), address })
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.places.open();
        open.all -= 1;
        if let Some(here) = open.by_address.get_mut(&self.address) {
            *here -= 1;
            if *here == 0 {
                open.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn places(max: usize, per_address_max: usize) -> Arc<Places> {
        Places::new(&Limits { connections_max: max, connections_per_address_max: per_address_max, ..Limits::default() })
    }

    const FAR: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn one_address_cannot_take_all_places() {
        let places = places(10, 2);
        let kept = [places.take(FAR), places.take(FAR)];
        assert!(kept.iter().all(Result::is_ok));
        assert_eq!(places.take(FAR).err(), Some("connections_per_address"));
        let mapped = IpAddr::V6(Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped());
        assert_eq!(places.take(mapped).err(), Some("connections_per_address"), "the same address written otherwise");
        drop(kept);
        assert!(places.take(FAR).is_ok());
        assert!(places.open().by_address.is_empty(), "nothing is remembered of those who left");
    }

    #[test]
    fn loopback_is_limited_by_the_total_only() {
        let places = places(3, 1);
        let kept: Vec<_> = (0..3).map(|_| places.take(HOME)).collect();
        assert!(kept.iter().all(Result::is_ok));
        assert_eq!(places.take(HOME).err(), Some("connections"));
    }
}
