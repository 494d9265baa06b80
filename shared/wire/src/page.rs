//! Requests for a page of a list, and the links of an answer.

use domain::limits::ITEMS_PER_PAGE;
use domain::query::Order;
use store::page::{Page, PageQuery};

use crate::answer::Links;
use crate::cursor::{Cursor, CursorScope, Direction};
use crate::failure::Failure;
use crate::query::{Query, bad_parameter};

/// A request for a page, from the parameters `per_page`, `order` and `cursor`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PageRequest {
    /// The most items of the page, from 1 to [`ITEMS_PER_PAGE`].
    pub per_page: usize,
    pub order: Order,
    /// The place to go on from; `None` for the first page.
    pub cursor: Option<Cursor>,
}

impl PageRequest {
    /// Reads the requested page from a query. The order of a request that gives none is the cursor's, and without one
    /// `default_order`.
    ///
    /// # Errors
    /// 400 naming the parameter, what it may be and what it was.
    pub fn parse(query: &Query, scope: &CursorScope<'_>, default_order: Order) -> Result<Self, Failure> {
        Self::parse_with(query, scope, default_order, ITEMS_PER_PAGE)
    }

    /// Reads a page as [`parse`](Self::parse) does, of a list that has another default for `per_page`.
    ///
    /// # Errors
    /// As there.
    pub fn parse_with(
        query: &Query,
        scope: &CursorScope<'_>,
        default_order: Order,
        default_per_page: usize,
    ) -> Result<Self, Failure> {
        let per_page = query.get("per_page")?.map_or(Ok(default_per_page), per_page)?;
        let order = query.get("order")?.map(order).transpose()?;
        let cursor = query.get("cursor")?.map(|text| scope.open(text)).transpose()?;
        if let (Some(order), Some(cursor)) = (order, &cursor)
            && order != cursor.order
        {
            return Err(Failure::bad_request(format!(
                "`order` is {}, but `cursor` is of a list in the order {}",
                order.as_str(),
                cursor.order.as_str()
            )));
        }
        let order = cursor.as_ref().map(|cursor| cursor.order).or(order).unwrap_or(default_order);
        Ok(Self { per_page, order, cursor })
    }

    /// The same request, as the store takes it.
    #[must_use]
    pub fn query(&self) -> PageQuery {
        PageQuery {
            from: self.cursor.as_ref().map(|cursor| cursor.position.clone()),
            backwards: self.cursor.as_ref().is_some_and(|cursor| cursor.direction == Direction::Previous),
            descending: self.order == Order::Descending,
            limit: self.per_page,
        }
    }

    /// The links of a page that the store read: `next` goes on after its last item and `previous` before its first one,
    /// where there is more. `position` gives an item's position in the list.
    #[must_use]
    pub fn links_of<Item>(
        &self,
        query: &Query,
        scope: &CursorScope<'_>,
        page: &Page<Item>,
        position: impl Fn(&Item) -> String,
    ) -> Links {
        let next = page.items.last().filter(|_| page.more_after).map(&position);
        let previous = page.items.first().filter(|_| page.more_before).map(&position);
        self.links(query, scope, next, previous)
    }

    /// The links of a page that was searched for: `ahead` is the position to go on from in the direction of reading, if
    /// there may be more, and `first` the position of the first item that was found. In the other direction there is a
    /// link where the request had a cursor.
    #[must_use]
    pub fn links_of_walk(
        &self,
        query: &Query,
        scope: &CursorScope<'_>,
        first: Option<String>,
        ahead: Option<String>,
    ) -> Links {
        let behind = first.filter(|_| self.cursor.is_some());
        if self.query().backwards {
            self.links(query, scope, behind, ahead)
        } else {
            self.links(query, scope, ahead, behind)
        }
    }

    /// The links of a page by positions: `next` goes on after that of its last item, `previous` before that of its
    /// first one; each is given only when there are items beyond it.
    #[must_use]
    pub fn links(
        &self,
        query: &Query,
        scope: &CursorScope<'_>,
        next: Option<String>,
        previous: Option<String>,
    ) -> Links {
        let link = |direction, position: Option<String>| {
            position.map(|position| query.with_cursor(&scope.seal(&Cursor { direction, order: self.order, position })))
        };
        Links { next: link(Direction::Next, next), previous: link(Direction::Previous, previous) }
    }
}

fn per_page(given: &str) -> Result<usize, Failure> {
    let is_number = given.bytes().all(|byte| byte.is_ascii_digit());
    match given.parse() {
        Ok(number) if is_number && (1..=ITEMS_PER_PAGE).contains(&number) => Ok(number),
        _ => Err(bad_parameter("per_page", &format!("a whole number from 1 to {ITEMS_PER_PAGE}"), given)),
    }
}

fn order(given: &str) -> Result<Order, Failure> {
    Order::of_word(given).ok_or_else(|| bad_parameter("order", "asc or desc", given))
}

#[cfg(test)]
mod tests {
    use domain::account::AccountId;
    use proptest::prelude::*;

    use super::*;
    use crate::cursor::CursorKey;

    const KEY: CursorKey = CursorKey::new([7; 32]);

    fn account() -> AccountId {
        AccountId::parse("a").unwrap()
    }

    fn page(query: &str) -> Result<PageRequest, String> {
        let query = Query::parse(&format!("/jobs?{query}").parse().unwrap());
        PageRequest::parse(&query, &KEY.scope(&account(), "jobs"), Order::Descending).map_err(|failure| {
            assert_eq!(failure.status(), 400);
            failure.problems()[0].detail.clone().into_owned()
        })
    }

    fn check(query: &str, per_page: usize, order: Order) {
        assert_eq!(page(query), Ok(PageRequest { per_page, order, cursor: None }), "{query}");
    }

    fn check_refused(query: &str, detail: &str) {
        assert_eq!(page(query), Err(detail.to_owned()), "{query}");
    }

    #[test]
    fn a_request_that_says_nothing_gets_the_first_page_at_its_largest() {
        check("", 1_000, Order::Descending);
        check("per_page=1", 1, Order::Descending);
        check("per_page=1000&order=asc&unknown=x", 1_000, Order::Ascending);
        check("order=desc", 1_000, Order::Descending);
        check("per_page=&order=&cursor=", 1_000, Order::Descending);
    }

    #[test]
    fn a_wrong_parameter_is_named_with_its_range_and_its_value() {
        for wrong in ["0", "1001", "-1", "%2B5", "1.5", "a", "99999999999999999999"] {
            let given = if wrong == "%2B5" { "+5" } else { wrong };
            let detail = format!("`per_page` must be a whole number from 1 to 1000, not {given:?}");
            check_refused(&format!("per_page={wrong}"), &detail);
        }
        check_refused("order=ASC", r#"`order` must be asc or desc, not "ASC""#);
        check_refused("cursor=x", "`cursor` is not one that this list gave out");
    }

    /// The links of the page that `query` asks for, when the list goes on both ways.
    fn links(query: &str) -> Links {
        let query = Query::parse(&format!("/api/sunshine/jobs?{query}").parse().unwrap());
        let account = account();
        let scope = KEY.scope(&account, "jobs");
        let page = PageRequest::parse(&query, &scope, Order::Descending).unwrap();
        page.links(&query, &scope, Some("last".to_owned()), Some("first".to_owned()))
    }

    #[test]
    fn following_a_link_asks_for_the_page_beside() {
        for (query, order) in [("per_page=2&order=asc", Order::Ascending), ("per_page=2&x=y", Order::Descending)] {
            let links = links(query);
            for (link, direction, position) in
                [(links.next, Direction::Next, "last"), (links.previous, Direction::Previous, "first")]
            {
                let link = link.unwrap();
                assert!(link.starts_with(&format!("/api/sunshine/jobs?{query}&cursor=")), "{link}");
                let cursor = Some(Cursor { direction, order, position: position.to_owned() });
                let (_, followed) = link.split_once('?').unwrap();
                assert_eq!(page(followed), Ok(PageRequest { per_page: 2, order, cursor }));
                // And on from there, with the new cursor in the old one's place.
                assert_eq!(self::links(followed).next.unwrap().matches("cursor=").count(), 1);
            }
        }
    }

    #[test]
    fn at_the_ends_of_a_list_there_is_no_link() {
        let query = Query::parse(&"/jobs".parse().unwrap());
        let account = account();
        let scope = KEY.scope(&account, "jobs");
        let page = PageRequest::parse(&query, &scope, Order::Descending).unwrap();
        assert_eq!(page.links(&query, &scope, None, None), Links::default());
    }

    #[test]
    fn an_order_that_contradicts_the_cursor_is_refused() {
        let next = links("order=asc").next.unwrap();
        let (_, query) = next.split_once('?').unwrap();
        check_refused(
            &query.replace("order=asc", "order=desc"),
            "`order` is desc, but `cursor` is of a list in the order asc",
        );
        let page = page(&query.replace("order=asc&", "")).unwrap();
        assert_eq!(page.order, Order::Ascending);
    }

    proptest! {
        #[test]
        fn arbitrary_parameters_never_panic(value: Vec<u8>) {
            let value: String = form_urlencoded::byte_serialize(&value).collect();
            if !value.is_empty() {
                let refused = Err("`cursor` is not one that this list gave out".to_owned());
                prop_assert_eq!(page(&format!("cursor={value}")), refused);
            }
            let _ = (page(&format!("per_page={value}")), page(&format!("order={value}")));
        }
    }
}
