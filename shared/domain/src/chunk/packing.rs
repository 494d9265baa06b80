//! Packing: which items of a job travel together.

use std::collections::HashMap;

use crate::account::AccountId;
use crate::job::JobId;
use crate::limits;
use crate::plan::size_in_answer;
use crate::request::JobRequest;
use crate::request::item::{Item, OrderingKey, client_ref};
use crate::types::TypesMade;

use super::message::{Chunk, ChunkItem, Content, carried_by_sqs, cost};

/// Limits on what one chunk may hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Packing {
    pub items: usize,
    /// Bytes of its items' text, approximately.
    pub bytes: usize,
}

impl Default for Packing {
    /// [`limits::ITEMS_PER_CHUNK`] and [`limits::CHUNK_BYTES`]: what every deployment uses.
    fn default() -> Self {
        Self { items: limits::ITEMS_PER_CHUNK, bytes: limits::CHUNK_BYTES }
    }
}

impl Packing {
    fn takes(self, items: usize, bytes: usize) -> bool {
        items <= self.items && bytes <= self.bytes
    }
}

/// A request, packed into chunks.
#[derive(Debug)]
pub struct Packed<'body> {
    pub chunks: Vec<Chunk<'body>>,
    /// The types whose records its items may make.
    pub makes: TypesMade,
    /// Bytes that all `client_ref`s of the request take in an answer.
    pub refs_bytes: usize,
}

/// Packs a request into chunks.
#[must_use]
pub fn pack<'body>(account: &AccountId, job: JobId, request: &JobRequest<'body>, packing: Packing) -> Packed<'body> {
    let mut packer = Packer { account, job, request, packing, chunks: Vec::new(), open: None };
    let mut makes = TypesMade::default();
    let mut refs_bytes = 0;
    for group in groups(account, request, &mut makes, &mut refs_bytes) {
        packer.place(group);
    }
    Packed { chunks: packer.chunks, makes, refs_bytes }
}

/// The items of a request, those of one record together, in the order in which each record is first named. Their text is
/// already as the queue carries it, since the escapes take room that a chunk must have.
fn groups<'body>(
    account: &AccountId,
    request: &JobRequest<'body>,
    makes: &mut TypesMade,
    refs_bytes: &mut usize,
) -> Vec<Vec<ChunkItem<'body>>> {
    let may_make = request.operation.may_make();
    let mut groups: Vec<Vec<ChunkItem<'body>>> = Vec::with_capacity(request.items.len());
    let mut places: HashMap<OrderingKey, usize> = HashMap::with_capacity(request.items.len());
    for (position, raw) in (0_u32..).zip(&request.items) {
        let (client_ref, parsed) = match client_ref(raw.get()) {
            Ok(client_ref) => (client_ref, Item::parse(request.operation, raw.get())),
            Err(problem) => (None, Err(problem)),
        };
        if let Some(client_ref) = &client_ref {
            *refs_bytes += size_in_answer(&serde_json::to_vec(client_ref).unwrap_or_default());
        }
        if let Some(named) = parsed.as_ref().ok().and_then(Item::type_key).filter(|_| may_make) {
            makes.note(named);
        }
        let (key, content) = match parsed {
            Err(problem) => (None, Content::Refused(problem)),
            Ok(item) if raw.get().len() <= limits::PLAIN_ITEM_BYTES => {
                (item.ordering_key(account), Content::Raw(carried_by_sqs(raw.get().into())))
            }
            Ok(item) => match item.rewritten(client_ref.as_deref()) {
                Ok(json) => (item.ordering_key(account), Content::Raw(carried_by_sqs(json.into()))),
                Err(problem) => (None, Content::Refused(problem)),
            },
        };
        let item = ChunkItem { position, content, client_ref };
        match key {
            None => groups.push(vec![item]),
            Some(key) => {
                let place = *places.entry(key).or_insert(groups.len());
                match groups.get_mut(place) {
                    Some(group) => group.push(item),
                    None => groups.push(vec![item]),
                }
            }
        }
    }
    groups
}

struct Packer<'packing, 'body> {
    account: &'packing AccountId,
    job: JobId,
    request: &'packing JobRequest<'body>,
    packing: Packing,
    chunks: Vec<Chunk<'body>>,
    /// The chunk that still takes groups: its place and how many bytes it holds.
    open: Option<(usize, usize)>,
}

impl<'body> Packer<'_, 'body> {
    fn place(&mut self, group: Vec<ChunkItem<'body>>) {
        let bytes = group.iter().map(cost).sum();
        if !self.packing.takes(group.len(), bytes) {
            self.chain(group);
            return;
        }
        match self.open {
            Some((place, held)) if self.packing.takes(self.chunks[place].items.len() + group.len(), held + bytes) => {
                self.chunks[place].items.extend(group);
                self.open = Some((place, held + bytes));
            }
            _ => {
                let place = self.start();
                self.chunks[place].items = group;
                self.open = Some((place, bytes));
            }
        }
    }

    /// Spreads a group that no chunk can hold over chunks of its own, each of which names the next.
    fn chain(&mut self, group: Vec<ChunkItem<'body>>) {
        let mut place = self.start();
        let mut held = 0;
        for item in group {
            let bytes = cost(&item);
            if !self.packing.takes(self.chunks[place].items.len() + 1, held + bytes) {
                let next = self.start();
                self.chunks[place].then = Some(self.chunks[next].index);
                place = next;
                held = 0;
            }
            held += bytes;
            self.chunks[place].items.push(item);
        }
    }

    fn start(&mut self) -> usize {
        let place = self.chunks.len();
        self.chunks.push(Chunk {
            account: self.account.clone(),
            job: self.job,
            operation: self.request.operation,
            // At most 10,000 items, so at most as many chunks.
            index: u32::try_from(place).unwrap_or(u32::MAX),
            total: u32::try_from(self.request.items.len()).unwrap_or(u32::MAX),
            then: None,
            validate_only: self.request.validate_only,
            items: Vec::new(),
        });
        place
    }
}
