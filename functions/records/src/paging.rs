//! Pages of lists: the one that a request asks for, and the links beside it.

use domain::time::Timestamp;
use domain::types::TypeKey;
use store::page::{Page, PageQuery};
use wire::{CursorScope, Failure, List, Order, PageRequest, Query};

/// Bytes of records in one page: a page that would have more ends early.
///
/// An answer holds [`domain::limits::ANSWER_BYTES`], 6.27 MB. Besides these 4 MB, in which each record's attributes
/// count with 256 bytes for the members around them, there are at most 1,000 external ids; one takes up to 255 × 6
/// bytes when every character has to be escaped. Together 5.53 MB.
pub(crate) const PAGE_BYTES: usize = 4_000_000;

/// One list of one account, and the page of it that a request asks for.
pub(crate) struct Paging<'list> {
    parameters: &'list Query,
    scope: CursorScope<'list>,
    request: PageRequest,
}

impl<'list> Paging<'list> {
    /// Reads the requested page. Lists begin with the oldest unless the request says otherwise.
    ///
    /// # Errors
    /// 400 naming the parameter that is wrong.
    pub(crate) fn parse(parameters: &'list Query, scope: CursorScope<'list>) -> Result<Self, Failure> {
        let request = PageRequest::parse(parameters, &scope, Order::Ascending)?;
        Ok(Self { parameters, scope, request })
    }

    /// The requested page, as the store takes it.
    pub(crate) fn query(&self) -> PageQuery {
        self.request.query()
    }

    /// Cuts the page out of a list that is given whole, oldest first, where a later item has a greater position.
    pub(crate) fn cut<Item>(&self, mut items: Vec<Item>, position: impl Fn(&Item) -> String) -> Page<Item> {
        let query = self.query();
        if query.descending {
            items.reverse();
        }
        // Items that stand before the cursor's place, and those that stand before or at it. The item itself may be gone.
        let places = query.from.as_ref().map(|from| {
            let is_before =
                |item: &Item| if query.descending { position(item) > *from } else { position(item) < *from };
            let before = items.partition_point(is_before);
            (before, before + usize::from(items.get(before).is_some_and(|item| position(item) == *from)))
        });
        let (start, end) = match places {
            Some((before, _)) if query.backwards => (before.saturating_sub(query.limit), before),
            Some((_, through)) => (through, items.len().min(through + query.limit)),
            None => (0, items.len().min(query.limit)),
        };
        let (more_before, more_after) = (start > 0, end < items.len());
        items.truncate(end);
        Page { items: items.split_off(start), more_after, more_before }
    }

    /// The answer that shows `page`. `position` gives an item's position, from which the pages beside it go on.
    pub(crate) fn answer<Item>(&self, page: Page<Item>, position: impl Fn(&Item) -> String) -> List<Item> {
        List { links: self.request.links_of(self.parameters, &self.scope, &page, position), items: page.items }
    }
}

/// The position of a type in the list of its account's types, in the order in which the store lists them.
pub(crate) fn type_position(created_at: Timestamp, key: &TypeKey) -> String {
    format!("{:013}#{}", created_at.as_millis(), key.folded())
}

#[cfg(test)]
mod tests {
    use domain::account::AccountId;
    use wire::CursorKey;

    use super::*;

    /// The page of `list` that `uri` asks for, and its links.
    fn page(uri: &str, list: &[&'static str]) -> (Vec<&'static str>, Option<String>, Option<String>) {
        let account = AccountId::parse("acme").unwrap();
        let key = CursorKey::new([7; 32]);
        let query = Query::parse(&uri.parse().unwrap());
        let paging = Paging::parse(&query, key.scope(&account, "letters")).unwrap_or_else(|_| panic!("{uri}"));
        let position = |item: &&str| (*item).to_owned();
        let list = paging.answer(paging.cut(list.to_vec(), position), position);
        (list.items, list.links.next, list.links.previous)
    }

    #[test]
    fn pages_of_a_list_in_memory_turn_both_ways() {
        let letters = ["a", "b", "c", "d", "e"];
        for (order, pages) in [
            ("asc", [vec!["a", "b"], vec!["c", "d"], vec!["e"]]),
            ("desc", [vec!["e", "d"], vec!["c", "b"], vec!["a"]]),
        ] {
            let (first, next, previous) = page(&format!("/letters?per_page=2&order={order}"), &letters);
            assert_eq!((first, previous), (pages[0].clone(), None));
            let (second, next, previous) = page(&next.unwrap(), &letters);
            assert_eq!(second, pages[1]);
            assert_eq!(page(&previous.unwrap(), &letters).0, pages[0]);
            let (third, next, previous) = page(&next.unwrap(), &letters);
            assert_eq!((third, next), (pages[2].clone(), None));
            let (second, next, previous) = page(&previous.unwrap(), &letters);
            assert_eq!((second, next.is_some(), previous.is_some()), (pages[1].clone(), true, true));
        }
    }

    #[test]
    fn a_list_goes_on_where_it_was_when_items_come_and_go() {
        let next = page("/letters?per_page=2", &["a", "b", "c", "d"]).1.unwrap();
        assert_eq!(page(&next, &["a", "bb", "c", "d"]).0, ["bb", "c"]);
        let (items, next, previous) = page(&next, &["a", "b"]);
        assert_eq!((items, next, previous), (vec![], None, None));
    }

    #[test]
    fn types_made_in_one_millisecond_have_their_own_positions() {
        let position = |key| type_position(Timestamp::from_millis(1_509_724_806_123), &TypeKey::parse(key).unwrap());
        assert_eq!(position("Product"), "1509724806123#product");
        assert!(position("ab") < position("abc"));
    }
}
