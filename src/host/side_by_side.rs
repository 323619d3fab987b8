//! Looks at several places at once, with an end to the patience: a disk that does not answer stops only the
//! look at it.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::clock::Stopwatch;

/// How long a place is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// How many places are looked at at the same time.
const AT_ONCE: usize = 64;

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
