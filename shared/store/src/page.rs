//! Pages of lists, as the store reads them.

/// A request for one page of a list.
#[derive(Clone, Debug)]
pub struct PageQuery {
    /// The place in the list to go on from, as an item of an earlier page gave it; `None` for the first page.
    pub from: Option<String>,
    /// Whether to read towards the start of the list instead of its end. The items come in the list's order all the
    /// same.
    pub backwards: bool,
    /// Whether the list begins with the newest item.
    pub descending: bool,
    /// The most items of the page, at least 1.
    pub limit: usize,
}

impl PageQuery {
    /// Whether the index is read in its own order.
    pub(crate) const fn scans_forward(&self) -> bool {
        self.descending == self.backwards
    }
}

/// A page, in the order of the list.
#[derive(Clone, Debug)]
pub struct Page<Item> {
    pub items: Vec<Item>,
    /// Whether something comes after the last item.
    pub more_after: bool,
    /// Whether something comes before the first item.
    pub more_before: bool,
}

impl<Item> Page<Item> {
    /// Makes a page of what was read in reading order, up to one item more than the limit.
    pub(crate) fn of(query: &PageQuery, mut read: Vec<Item>) -> Self {
        let more = read.len() > query.limit;
        read.truncate(query.limit);
        Self::cut(query, read, more)
    }

    /// Makes a page of what was read in reading order, when it is known whether there is more.
    pub(crate) fn cut(query: &PageQuery, mut read: Vec<Item>, more: bool) -> Self {
        // Where a reader came from there is something, or was.
        let behind = query.from.is_some() && !read.is_empty();
        if query.backwards {
            read.reverse();
            Self { items: read, more_after: behind, more_before: more }
        } else {
            Self { items: read, more_after: more, more_before: behind }
        }
    }
}
