//! Finds what two stacks take at once.

use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use camino::{Utf8Path, Utf8PathBuf};

use super::cidr;
use super::claims::{Claim, claims};
use super::conflict::{Conflict, Isolation, Party};
use super::note::notes;
use super::risk::hold_data;
use super::stack::{Owner, Stack};
use super::thing::HostThing;
use crate::compose::model::Model;
use crate::compose::resource::{Resource, full_image};
use crate::file::normal;
use crate::slot::SlotId;

/// Two claims, by their positions.
type Pair = (usize, usize);

/// Proves that stacks share nothing but `shared`, or says what they share.
pub fn prove(stacks: &[Stack<'_>], shared: &BTreeSet<Resource>) -> Isolation {
    let shared = Shared::new(shared);
    let mut taken = Vec::new();
    for (place, stack) in stacks.iter().enumerate() {
        let claims = claims(stack).into_iter().filter(|claim| !shared.covers(&claim.thing));
        let (owner, worktree) = (&stack.owner, stack.worktree);
        taken.extend(claims.map(|claim| Taken { place, owner, worktree, claim, party: OnceCell::new() }));
    }
    // A container of the stack's own is in its files: joining it is as good as `service:NAME`.
    taken.retain(|taken| !(taken.claim.inside && matches!(taken.claim.thing, HostThing::Namespace(_))));
    let notes = stacks.iter().flat_map(notes).collect();
    Isolation { conflicts: conflicts(&taken), notes }
}

/// Something that one of several stacks takes.
struct Taken<'a> {
    /// The stack's position.
    place: usize,
    owner: &'a Owner,
    worktree: &'a Utf8Path,
    claim: Claim<'a>,
    /// Made once, however many conflicts it is in.
    party: OnceCell<Rc<Party>>,
}

impl Taken<'_> {
    fn party(&self) -> Rc<Party> {
        Rc::clone(self.party.get_or_init(|| Rc::new(self.claim.party(self.owner.clone()))))
    }
}

/// The conflicts of stacks, ordered by stack.
fn conflicts(taken: &[Taken<'_>]) -> Vec<Conflict> {
    let things: Vec<&HostThing> = taken.iter().map(|taken| &taken.claim.thing).collect();
    let mut pairs = same_name(&things);
    pairs.extend(overlapping(&things));
    pairs.extend(nested(&things));
    let mut found: Vec<(&Taken<'_>, &Taken<'_>)> = pairs
        .into_iter()
        // What is taken is in the order of the stacks, and so are the two of a pair.
        .filter_map(|(one, other)| Some((taken.get(one.min(other))?, taken.get(one.max(other))?)))
        .filter(|(first, second)| first.place != second.place && clash(first, second))
        .collect();
    found.sort_by_key(|(first, second)| (first.place, second.place, &first.claim.thing, &second.claim.thing));
    let conflict = |(first, second): (&Taken<'_>, &Taken<'_>)| Conflict {
        thing: common(&first.claim.thing, &second.claim.thing),
        first: first.party(),
        second: second.party(),
    };
    found.into_iter().map(conflict).collect()
}

/// What every slot of these files would share with the main stack and every other slot. Ports, container
/// names, subnets and images are missing here: each slot gets its own of these.
///
/// `worktree` is where the model was resolved: what lies in it moves with the slot. An absolute path of the
/// files into it does not move, and looks the same here: only a model resolved elsewhere shows it.
pub fn shared_by_every_slot(
    model: &Model,
    worktree: &Utf8Path,
    shared: &BTreeSet<Resource>,
) -> Vec<Conflict> {
    let shared = Shared::new(shared);
    let stack = Stack { owner: Owner::Main, model, worktree };
    let claims = claims(&stack).into_iter().filter(|claim| claim.fixed && !shared.covers(&claim.thing));
    let conflict = |claim: Claim<'_>| {
        let first = Rc::new(claim.party(Owner::Main));
        let second = Rc::new(claim.party(Owner::Slot(SlotId::new(1)?)));
        Some(Conflict { thing: claim.thing, first, second })
    };
    claims.filter_map(conflict).collect()
}

impl Claim<'_> {
    fn party(&self, owner: Owner) -> Party {
        Party {
            owner,
            services: self.services.iter().map(|service| (*service).to_owned()).collect(),
            thing: self.thing.clone(),
            targets: self.targets.iter().cloned().collect(),
            inside: self.inside,
        }
    }
}

/// What slots may use together.
struct Shared {
    names: BTreeSet<HostThing>,
    paths: Vec<Utf8PathBuf>,
}

impl Shared {
    fn new(resources: &BTreeSet<Resource>) -> Self {
        let mut shared = Self { names: BTreeSet::new(), paths: Vec::new() };
        for resource in resources {
            let thing = match resource {
                Resource::Volume(name) => HostThing::Volume(name.clone()),
                Resource::Network(name) => HostThing::Network(name.clone()),
                Resource::Image(name) => HostThing::Image(full_image(name)),
                Resource::Mount(path) | Resource::Device(path) => {
                    shared.paths.push(normal(path));
                    continue;
                }
            };
            shared.names.insert(thing);
        }
        shared
    }

    /// Whether it is declared. Where two paths overlap, the one below is what both stacks see: if it is
    /// declared, the pair is no conflict.
    fn covers(&self, thing: &HostThing) -> bool {
        match thing.path() {
            Some(path) => self.paths.iter().any(|dir| path.starts_with(dir)),
            None => self.names.contains(thing),
        }
    }
}

/// Things that clash if they have one name.
fn same_name(things: &[&HostThing]) -> Vec<Pair> {
    let mut groups: HashMap<(u8, &str, &str), Vec<usize>> = HashMap::new();
    for (place, thing) in things.iter().enumerate() {
        let key = match thing {
            HostThing::ContainerName(name) | HostThing::Namespace(name) => (0, name.as_str(), ""),
            HostThing::Volume(name) => (1, name.as_str(), ""),
            HostThing::Network(name) => (2, name.as_str(), ""),
            HostThing::Address { network, address } => (3, network.as_str(), address.as_str()),
            HostThing::Image(name) => (4, name.as_str(), ""),
            HostThing::Port { .. }
            | HostThing::Subnet { .. }
            | HostThing::Mount(_)
            | HostThing::Device(_) => continue,
        };
        groups.entry(key).or_default().push(place);
    }
    let mut pairs = Vec::new();
    for group in groups.values() {
        let mut group = group.as_slice();
        while let [one, others @ ..] = group {
            pairs.extend(others.iter().map(|other| (*one, *other)));
            group = others;
        }
    }
    pairs
}

/// Ranges of ports and subnets that overlap.
fn overlapping(things: &[&HostThing]) -> Vec<Pair> {
    let range = |(place, thing): (usize, &&HostThing)| {
        let (kind, first, last) = range(thing)?;
        Some((kind.to_owned(), first, last, place))
    };
    let mut ranges: Vec<(String, u128, u128, usize)> = things.iter().enumerate().filter_map(range).collect();
    ranges.sort();
    let (mut pairs, mut open) = (Vec::new(), Vec::<&(String, u128, u128, usize)>::new());
    for range in &ranges {
        open.retain(|earlier| earlier.0 == range.0 && earlier.2 >= range.1);
        pairs.extend(open.iter().map(|earlier| (earlier.3, range.3)));
        open.push(range);
    }
    pairs
}

/// A port or subnet as a range of numbers of one kind.
fn range(thing: &HostThing) -> Option<(&str, u128, u128)> {
    if let HostThing::Port { first, last, protocol, .. } = thing {
        return Some((protocol, u128::from(*first), u128::from(*last)));
    }
    let HostThing::Subnet { subnet, .. } = thing else { return None };
    let (is_v6, first, last) = cidr::range(subnet)?;
    Some((if is_v6 { "subnet-6" } else { "subnet-4" }, first, last))
}

/// Paths of which one contains the other.
fn nested(things: &[&HostThing]) -> Vec<Pair> {
    let mut paths: Vec<(&Utf8Path, usize)> =
        things.iter().enumerate().filter_map(|(place, thing)| Some((thing.path()?, place))).collect();
    // A directory comes right before all that lies in it, because the order is by component.
    paths.sort();
    let (mut pairs, mut above) = (Vec::new(), Vec::<(&Utf8Path, usize)>::new());
    for (path, place) in paths {
        while above.pop_if(|(dir, _)| !path.starts_with(dir)).is_some() {}
        pairs.extend(above.iter().map(|(_, other)| (*other, place)));
        above.push((path, place));
    }
    pairs
}

/// Whether two claims on overlapping things of two stacks are a conflict.
fn clash(first: &Taken<'_>, second: &Taken<'_>) -> bool {
    let (one, other) = (&first.claim, &second.claim);
    match (&one.thing, &other.thing) {
        (HostThing::Port { address: one, .. }, HostThing::Port { address: other, .. }) => {
            one.is_none() || other.is_none() || one == other
        }
        // On one network it is one subnet, and the network itself is the conflict.
        (HostThing::Subnet { network: one, .. }, HostThing::Subnet { network: other, .. }) => one != other,
        // A worktree can lie in another's: each still has its own.
        _ if one.inside && other.inside => {
            // Two stacks of one worktree run the same code, and must not run two databases on one directory.
            let is_one_worktree = normal(first.worktree) == normal(second.worktree);
            is_one_worktree && (hold_data(&one.targets) || hold_data(&other.targets))
        }
        _ => true,
    }
}

/// What two overlapping things have in common.
fn common(one: &HostThing, other: &HostThing) -> HostThing {
    let smaller = match (one, other) {
        (
            HostThing::Port { first, last, protocol, address },
            HostThing::Port { first: other_first, last: other_last, address: other_address, .. },
        ) => {
            return HostThing::Port {
                first: *first.max(other_first),
                last: *last.min(other_last),
                protocol: protocol.clone(),
                address: address.or(*other_address),
            };
        }
        (HostThing::Subnet { .. }, HostThing::Subnet { .. }) => {
            let size = |thing| range(thing).map(|(_, first, last)| last - first);
            if size(other) < size(one) { other } else { one }
        }
        (_, HostThing::Namespace(_)) => other,
        _ => {
            let depth = |thing: &HostThing| thing.path().map(|path| path.components().count());
            if depth(other) > depth(one) { other } else { one }
        }
    };
    smaller.clone()
}
