//! Transactions of one group share its pages; one that cannot be applied leaves nothing of it behind.

mod support;

use support::groups::groups_are_whole;

#[test]
fn a_transaction_that_fails_half_way_leaves_the_others_of_its_group_as_they_are() {
    let tally = groups_are_whole();
    assert!(tally.refused_beside_others > 20, "few met the fault alone");
    assert!(tally.unknown > 20, "in few groups the log failed");
}
