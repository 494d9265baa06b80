//! Each item has its effect once, and its result says what happened, however its chunk is delivered and wherever a
//! worker dies.

mod agreements;
mod buried;
mod chains;
mod crashes;
mod later_writes;
mod lost_track;
mod poison;
mod redelivery;
mod scene;
mod starts_and_ends;
mod swept;
mod uncommitted;
mod validated;
