//! Commands that show and change one thing at a time.

mod jobs;
mod pages;
mod records;
mod relationships;
mod show;
mod types;

use serde_json::Value;

use crate::client::{Client, Request};
use crate::failure::{Failure, Verdict};
use crate::output::Output;
use show::{plain, show_list};

pub(crate) use jobs::jobs;
pub(crate) use pages::Pages;
pub(crate) use records::records;
pub(crate) use relationships::relationships;
pub(crate) use types::types;

pub(crate) async fn limits(client: &Client, output: &Output) -> Result<Verdict, Failure> {
    let limits = data(client.send(Request::get("/limits")).await?);
    let limits = limits.as_array().cloned().unwrap_or_default();
    show_list(output, &limits, &["LIMIT", "USED", "OF"], |limit| {
        ["key", "count", "limit"].map(|name| plain(&limit[name])).to_vec()
    })?;
    Ok(Verdict::Succeeded)
}

fn data(mut answer: Value) -> Value {
    answer["data"].take()
}
