//! Blocks of addresses: their division into subnets, and the proof that slots have none in common.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

use kinfra::address_block::AddressBlock;
use kinfra::proof::subnets::prove;
use kinfra::slot::SlotId;
use kinfra::spec::Spec;
use proptest::prelude::*;

use super::check;

properties! {
    parts_are_apart_equal_and_inside: 256,
    only_a_block_that_is_too_small_is_not_divided: 256,
    slots_are_apart_iff_no_address_is_in_two: 256,
    a_slot_keeps_its_block_when_others_change: 64,
}

/// The addresses of a block, read from its text.
fn addresses(block: AddressBlock) -> RangeInclusive<u64> {
    let text = block.to_string();
    let (first, prefix) = text.split_once('/').expect("CIDR notation");
    let first = u64::from(u32::from(first.parse::<Ipv4Addr>().expect("an address")));
    let size = 1_u64 << (32 - prefix.parse::<u32>().expect("a prefix"));
    first..=first + size - 1
}

fn size(block: AddressBlock) -> u64 {
    let addresses = addresses(block);
    addresses.end() - addresses.start() + 1
}

/// Blocks near each other, of any size.
fn blocks() -> impl Strategy<Value = AddressBlock> {
    (0..=u32::MAX, 8..=32_u8, any::<bool>()).prop_map(|(address, prefix, is_near)| {
        let address = if is_near { 0x0ad5_0000 | (address & 0x3ff) } else { address };
        AddressBlock::around(&format!("{}/{prefix}", Ipv4Addr::from_bits(address))).expect("a block")
    })
}

fn parts_are_apart_equal_and_inside(cases: u32) {
    check(cases, (blocks(), 1..=70_usize), |(block, count)| {
        let Ok(parts) = block.divide(count) else { return Ok(()) };
        let (parts, whole) = (parts.collect::<Vec<_>>(), addresses(block));
        prop_assert_eq!(parts.len(), count);
        let mut next = *whole.start();
        for part in parts {
            let own = addresses(part);
            prop_assert_eq!(*own.start(), next, "one follows the other");
            prop_assert!(own.end() <= whole.end(), "{} leaves {}", part, block);
            prop_assert!(size(part) >= 8, "{} is smaller than a /29", part);
            prop_assert_eq!(size(block) / size(part), count.next_power_of_two() as u64);
            next = own.end() + 1;
        }
        Ok(())
    });
}

fn only_a_block_that_is_too_small_is_not_divided(cases: u32) {
    check(cases, (blocks(), 1..=70_usize), |(block, count)| {
        let needed = 8 * count.next_power_of_two() as u64;
        match block.divide(count) {
            Ok(_) => prop_assert!(size(block) >= needed),
            Err(fault) => {
                prop_assert!(size(block) < needed);
                let advice = fault.advice.expect("what would do");
                let prefix = advice.split_once('/').expect("a prefix").1;
                let prefix: u32 = prefix.split(' ').next().expect("a word").parse().expect("a number");
                prop_assert_eq!(1_u64 << (32 - prefix), needed, "{}", advice);
            }
        }
        Ok(())
    });
}

fn slots_are_apart_iff_no_address_is_in_two(cases: u32) {
    check(cases, prop::collection::btree_map(1..=300_u16, blocks(), 0..=12), |blocks| {
        let slots: BTreeMap<SlotId, AddressBlock> =
            blocks.into_iter().map(|(id, block)| (SlotId::new(id).expect("an id"), block)).collect();
        let meet = |one: AddressBlock, other: AddressBlock| {
            let (one, other) = (addresses(one), addresses(other));
            one.contains(other.start()) || other.contains(one.start())
        };
        let any =
            slots.iter().any(|(id, one)| slots.iter().any(|(slot, other)| slot > id && meet(*one, *other)));
        match prove(slots.clone()) {
            Ok(()) => prop_assert!(!any, "an overlap was not seen"),
            Err([(one, block), (other, overlapping)]) => {
                prop_assert!(one != other && meet(block, overlapping), "{} and {}", block, overlapping);
                prop_assert_eq!((slots[&one], slots[&other]), (block, overlapping));
            }
        }
        Ok(())
    });
}

fn a_slot_keeps_its_block_when_others_change(cases: u32) {
    let ids = || prop::collection::btree_set(1..=600_u16, 1..=20);
    check(cases, (ids(), ids()), |(before, after)| {
        let of = |ids: &std::collections::BTreeSet<u16>| {
            let ids: Vec<String> = ids.iter().map(u16::to_string).collect();
            let spec = format!(
                "version = 1\n[pool]\nname = 'shop'\nroot = '~/shop'\n[ports]\nweb = 8000\n\
                 [[profiles]]\nname = 'only'\n[[slots]]\nids = '{}'\nprofile = 'only'\n[compose]\n\
                 [stack]\nsubnet = '10.{{{{ 100 + slot.id // 256 }}}}.{{{{ slot.id % 256 }}}}.0/24'\n",
                ids.join(",")
            );
            Spec::parse(&spec).expect("a valid spec").stack.subnet.expect("a subnet")
        };
        let (first, second) = (of(&before), of(&after));
        for id in before.iter().chain(&after) {
            let slot = SlotId::new(*id).expect("an id");
            let block = first.block(slot).expect("a block");
            prop_assert_eq!(block, second.block(slot).expect("a block"));
            prop_assert_eq!(block.to_string(), format!("10.{}.{}.0/24", 100 + id / 256, id % 256));
        }
        Ok(())
    });
}
