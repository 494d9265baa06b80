//! `sundial records`: object records shown, found and deleted.

use serde_json::{Map, Value, json};

use super::data;
use super::pages::list;
use super::show::{plain, say_deleted, show_list, show_one, time};
use crate::arguments::RecordsCommand;
use crate::client::{Client, Repeat, Request, escape};
use crate::export;
use crate::failure::{Failure, Verdict};
use crate::output::Output;

pub(crate) async fn records(command: RecordsCommand, client: &Client, output: &Output) -> Result<Verdict, Failure> {
    const HEADINGS: [&str; 5] = ["ID", "TYPE", "EXTERNAL ID", "UPDATED (UTC)", "ATTRIBUTES"];
    match command {
        RecordsCommand::Get { id } => {
            let request = Request::get(&format!("/objects/records/{}", escape(&id)));
            show_one(output, &data(client.send(request).await?))?;
        }
        RecordsCommand::List { object_type, external_id, page } => {
            let mut request = Request::get("/objects/records").query("type", object_type);
            if let Some(external_id) = external_id {
                request = request.query("external_id", external_id);
            }
            show_list(output, &list(client, request, page, None).await?, &HEADINGS, record_cells)?;
        }
        RecordsCommand::Search { query, object_type, conditions, page } => {
            let body = search_body(query.as_deref(), object_type, conditions)?;
            let request = Request::post("/objects/query", &body).repeat(Repeat::Always);
            show_list(output, &list(client, request, page, Some(&body)).await?, &HEADINGS, record_cells)?;
        }
        RecordsCommand::Export { object_type, format, output: path } => {
            return export::run(&object_type, format, path.as_deref(), client, output).await;
        }
        RecordsCommand::Delete { id } => {
            client.send(Request::delete(&format!("/objects/records/{}", escape(&id)))).await?;
            say_deleted(output, &id)?;
        }
    }
    Ok(Verdict::Succeeded)
}

fn search_body(
    query: Option<&str>,
    object_type: Option<String>,
    conditions: Vec<(String, String)>,
) -> Result<Value, Failure> {
    let mut parts = Vec::new();
    if let Some(query) = query {
        let query: Value =
            serde_json::from_str(query).map_err(|error| Failure::Usage(format!("--query is not JSON: {error}")))?;
        parts.push(query);
    }
    if let Some(object_type) = object_type {
        parts.push(json!({"_type": object_type}));
    }
    for (name, text) in conditions {
        // A number or a boolean is itself, and anything else a text; "12" with its quotes is the text.
        let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        parts.push(Value::Object(Map::from_iter([(name, value)])));
    }
    Ok(match parts.len() {
        0 => json!({"query": {}}),
        1 => json!({"query": parts[0]}),
        _ => json!({"query": {"$and": parts}}),
    })
}

fn record_cells(record: &Value) -> Vec<String> {
    let text = |name: &str| plain(&record[name]);
    vec![text("id"), text("type"), text("external_id"), time(&record["updated_at"]), text("attributes")]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::search_body;

    #[test]
    fn a_search_puts_its_conditions_together() {
        let conditions = vec![("price".to_owned(), "2".to_owned()), ("name".to_owned(), "gum".to_owned())];
        let body = search_body(None, Some("product".to_owned()), conditions).unwrap();
        assert_eq!(body, json!({"query": {"$and": [{"_type": "product"}, {"price": 2}, {"name": "gum"}]}}));
        assert_eq!(search_body(Some("{}"), None, Vec::new()).unwrap(), json!({"query": {}}));
        assert!(search_body(Some("{"), None, Vec::new()).is_err());
    }
}
