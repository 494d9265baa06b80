//! `sundial types`: object types shown and changed, with their schemas from files.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use serde_json::{Value, json};

use super::data;
use super::pages::list;
use super::show::{plain, say_deleted, show_list, time};
use crate::arguments::TypesCommand;
use crate::client::{Client, Request, escape};
use crate::failure::{Failure, Verdict};
use crate::output::{Output, write_json};

pub(crate) async fn types(command: TypesCommand, client: &Client, output: &Output) -> Result<Verdict, Failure> {
    let path = |key: &str| format!("/objects/types/{}", escape(key));
    match command {
        TypesCommand::List { page } => {
            let types = list(client, Request::get("/objects/types"), page, None).await?;
            show_list(output, &types, &["KEY", "VERSION", "UPDATED (UTC)", "ATTRIBUTES"], |object_type| {
                let names = object_type["schema"]["properties"].as_object();
                let names = names.map(|names| names.keys().cloned().collect::<Vec<_>>().join(", "));
                let text = |name: &str| plain(&object_type[name]);
                vec![text("key"), text("version"), time(&object_type["updated_at"]), names.unwrap_or_default()]
            })?;
        }
        TypesCommand::Show { key } => show_type(output, &data(client.send(Request::get(&path(&key))).await?))?,
        TypesCommand::Create { key, schema } => {
            let body = json!({"data": {"key": key, "schema": schema_file(&schema)?}});
            show_type(output, &data(client.send(Request::post("/objects/types", &body)).await?))?;
        }
        TypesCommand::Replace { key, schema } => {
            let body = json!({"data": {"schema": schema_file(&schema)?}});
            show_type(output, &data(client.send(Request::put(&path(&key), &body)).await?))?;
        }
        TypesCommand::Delete { key } => {
            client.send(Request::delete(&path(&key))).await?;
            say_deleted(output, &key)?;
        }
    }
    Ok(Verdict::Succeeded)
}

/// A schema from a file: itself, or in the `{"data": {"schema"}}` that the API takes and gives.
fn schema_file(path: &Path) -> Result<Value, Failure> {
    let mut text = String::new();
    if path.as_os_str() == "-" {
        std::io::stdin().lock().read_to_string(&mut text)?;
    } else {
        text = fs::read_to_string(path)
            .map_err(|error| Failure::NotDone(format!("cannot read {}: {error}", path.display())))?;
    }
    let mut value: Value = serde_json::from_str(&text)
        .map_err(|error| Failure::NotDone(format!("{} is not JSON: {error}", path.display())))?;
    if value["data"].is_object() {
        value = value["data"].take();
    }
    let is_wrapped = value["schema"].is_object() && !value["properties"].is_object();
    Ok(if is_wrapped { value["schema"].take() } else { value })
}

fn show_type(output: &Output, object_type: &Value) -> Result<(), Failure> {
    if output.is_json() {
        return write_json(object_type);
    }
    let schema = &object_type["schema"];
    let is_required = |name: &str| schema["required"].as_array().is_some_and(|names| names.iter().any(|it| it == name));
    let rows: Vec<Vec<String>> = schema["properties"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, property)| {
            let required = if is_required(name) { "yes" } else { "" };
            vec![name.clone(), plain(&property["type"]), required.to_owned(), plain(&property["description"])]
        })
        .collect();
    output.line(&format!("{}, version {}", plain(&object_type["key"]), object_type["version"]))?;
    output.table(&["ATTRIBUTE", "KIND", "REQUIRED", "DESCRIPTION"], &rows)
}
