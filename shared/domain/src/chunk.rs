//! Chunks: the pieces of a job that travel through the queue, and how a job is packed into them.
//!
//! Items that touch one record share a chunk, in order. Where they are too many for one, the next chunk of them follows
//! only when the one before is recorded: see [`Chunk::then`].

mod message;
mod packing;

pub use self::message::{Chunk, ChunkItem, Content, UnreadableChunk};
pub use self::packing::{Packed, Packing, pack};

#[cfg(test)]
mod tests;
