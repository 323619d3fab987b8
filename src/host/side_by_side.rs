//! Looks at several places at once: with an end to the patience, so that a disk that does not answer stops
//! only the look at it, or on all cores, where there are many.

use std::num::NonZeroUsize;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::clock::Stopwatch;

/// How long a place is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// How many places are looked at at the same time.
const AT_ONCE: usize = 64;

/// How many places are worth a core of their own. Pools of a usual size start no thread.
const FOR_A_CORE: usize = 250;

/// Looks at each place, in their order. Many are divided among the cores of this machine.
pub fn on_all_cores<P: Sync, S: Send>(places: &[P], look: impl Fn(&P) -> S + Sync) -> Vec<S> {
    let look = &look;
    let seen = |places: &[P]| places.iter().map(look).collect::<Vec<S>>();
    let parts = places.len() / FOR_A_CORE;
    if parts < 2 {
        return seen(places);
    }
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let (first, rest) = places.split_at(places.len().div_ceil(cores.min(parts)));
    thread::scope(|scope| {
        let begun = rest.chunks(first.len()).map(|part| {
            // The machine may have no room for a thread.
            let begun = thread::Builder::new().spawn_scoped(scope, move || part.iter().map(look).collect());
            (part, begun.ok())
        });
        let begun: Vec<_> = begun.collect();
        let others = |(part, begun): (&[P], Option<thread::ScopedJoinHandle<'_, Vec<S>>>)| {
            begun.and_then(|begun| begun.join().ok()).unwrap_or_else(|| seen(part))
        };
        seen(first).into_iter().chain(begun.into_iter().flat_map(others)).collect()
    })
}

/// Looks at each place, all at the same time. `None` for one that does not answer within two seconds: the
/// look at it ends with this process.
pub fn side_by_side<P, S>(places: Vec<P>, look: fn(&P) -> S) -> Vec<(P, Option<S>)>
where
    P: Clone + Send + 'static,
    S: Send + 'static,
{
    let mut seen: Vec<(P, Option<S>)> = places.into_iter().map(|place| (place, None)).collect();
    for some in seen.chunks_mut(AT_ONCE) {
        look_at(some, look);
    }
    seen
}

fn look_at<P, S>(places: &mut [(P, Option<S>)], look: fn(&P) -> S)
where
    P: Clone + Send + 'static,
    S: Send + 'static,
{
    let (sender, arrivals) = mpsc::channel();
    let mut pending = 0;
    for (number, (place, seen)) in places.iter_mut().enumerate() {
        let (sender, there) = (sender.clone(), place.clone());
        let begun = thread::Builder::new().spawn(move || sender.send((number, look(&there))));
        match begun {
            Ok(_) => pending += 1,
            // The machine has no room for a thread.
            Err(_) => *seen = Some(look(place)),
        }
    }
    let waiting = Stopwatch::start();
    while pending > 0 {
        let left = PATIENCE.saturating_sub(waiting.elapsed());
        let Ok((number, saw)) = arrivals.recv_timeout(left) else { return };
        if let Some((_, seen)) = places.get_mut(number) {
            *seen = Some(saw);
        }
        pending -= 1;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_place_is_looked_at_once_and_in_its_order() {
        for many in [0, 1, FOR_A_CORE, 2 * FOR_A_CORE, 2 * FOR_A_CORE + 1, 5 * FOR_A_CORE - 1] {
            let places: Vec<usize> = (0..many).collect();
            assert_eq!(on_all_cores(&places, |place| *place), places);
        }
    }

    #[test]
    fn many_places_are_divided_among_the_cores_and_few_are_not() {
        let threads = |many: usize| {
            let seen = on_all_cores(&vec![(); many], |()| format!("{:?}", thread::current().id()));
            seen.into_iter().collect::<BTreeSet<String>>().len()
        };
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        assert_eq!(threads(2 * FOR_A_CORE - 1), 1);
        assert_eq!(threads(2 * FOR_A_CORE), cores.min(2));
        assert_eq!(threads(20 * FOR_A_CORE), cores.min(20));
    }
}
