//! The names of the holders of a pool's slots, as tables show them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hash;

use camino::Utf8Path;

use crate::claims::listing::Listed;
use crate::identifier::Owner;
use crate::shown::{Paths, made_printable};
use crate::slot::SlotId;

/// The holders' names by slot: the last component, or the path if two directories share a name. The claim of
/// an owner has that name, too.
pub(super) fn names(slots: &[Listed], paths: Paths<'_>) -> BTreeMap<SlotId, String> {
    let claims = slots.iter().filter_map(|listed| Some((listed.slot, listed.entry.claim.as_ref()?)));
    let unknown = Utf8Path::new("unknown");
    let held: Vec<(SlotId, &Utf8Path, Option<&Owner>)> = claims
        .map(|(slot, claim)| {
            (slot, claim.claimed_by.directory().unwrap_or(unknown), claim.claim_owner.as_ref())
        })
        .collect();
    let directories: HashSet<&Utf8Path> = held.iter().map(|(_, path, _)| *path).collect();
    let alike = counts(directories.iter().map(|path| path.file_name()));
    let shown = |(slot, path, owner): &(SlotId, &Utf8Path, Option<&Owner>)| {
        let name = path.file_name().filter(|name| alike.get(&Some(name)) == Some(&1));
        let name = name.map_or_else(|| paths.show(path).into_string(), str::to_owned);
        let owner = owner.map_or_else(String::new, |owner| format!(" ({owner})"));
        (*slot, made_printable(name + &owner))
    };
    held.iter().map(shown).collect()
}

/// How often each of these occurs.
fn counts<T: Hash + Eq>(all: impl Iterator<Item = T>) -> HashMap<T, usize> {
    let mut counts = HashMap::new();
    for one in all {
        *counts.entry(one).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::hash::Hasher;

    use super::*;

    thread_local! {
        static COMPARED: Cell<usize> = const { Cell::new(0) };
    }

    /// A name that counts how often it is compared.
    #[derive(Eq)]
    struct Counted(usize);

    impl Hash for Counted {
        fn hash<H: Hasher>(&self, state: &mut H) {
            self.0.hash(state);
        }
    }

    impl PartialEq for Counted {
        fn eq(&self, other: &Self) -> bool {
            COMPARED.set(COMPARED.get() + 1);
            self.0 == other.0
        }
    }

    #[test]
    fn no_name_is_compared_with_every_other_one() {
        let counted = counts((0..10_000).map(|at| Counted(at / 2)));
        assert_eq!((counted.len(), counted.get(&Counted(7))), (5000, Some(&2)));
        assert!(COMPARED.get() <= 20_000, "{} comparisons of 10,000 names", COMPARED.get());
    }
}
