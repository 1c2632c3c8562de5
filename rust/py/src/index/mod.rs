//! Secondary indexes and joins, inside one transaction.

mod call;
mod class;
mod define;
mod join;

pub use class::{IndexParticipant, open_index};
pub use define::{create_index, drop_index, has_made, list_indexes};
pub use join::{JoinParticipant, Places, open_join};
