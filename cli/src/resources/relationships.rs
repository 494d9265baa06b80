//! `sundial relationships`: relationship records and their types.

use serde_json::json;

use super::data;
use super::pages::list;
use super::show::{plain, say_deleted, show_list, show_one, time};
use crate::arguments::{RelationshipTypesCommand, RelationshipsCommand};
use crate::client::{Client, Request, escape};
use crate::failure::{Failure, Verdict};
use crate::output::Output;

pub(crate) async fn relationships(
    command: RelationshipsCommand,
    client: &Client,
    output: &Output,
) -> Result<Verdict, Failure> {
    let path = |id: &str| format!("/relationships/records/{}", escape(id));
    match command {
        RelationshipsCommand::Types(command) => relationship_types(command, client, output).await?,
        RelationshipsCommand::List { relationship_type, source, page } => {
            let request = match source {
                Some(id) => {
                    // Ids of things that are kept elsewhere have colons, which stand in a path as they are.
                    let (id, key) = (escape(&id).replace("%3A", ":"), escape(&relationship_type));
                    Request::get(&format!("/objects/records/{id}/relationships/{key}"))
                }
                None => Request::get("/relationships/records").query("type", relationship_type),
            };
            let found = list(client, request, page, None).await?;
            show_list(output, &found, &["ID", "TYPE", "SOURCE", "TARGET", "CREATED (UTC)"], |record| {
                let text = |name: &str| plain(&record[name]);
                vec![text("id"), text("relationship_type"), text("source"), text("target"), time(&record["created_at"])]
            })?;
        }
        RelationshipsCommand::Create { relationship_type, source, target } => {
            let link = json!({"relationship_type": relationship_type, "source": source, "target": target});
            let request = Request::post("/relationships/records", &json!({"data": link}));
            show_one(output, &data(client.send(request).await?))?;
        }
        RelationshipsCommand::Get { id } => show_one(output, &data(client.send(Request::get(&path(&id))).await?))?,
        RelationshipsCommand::Delete { id } => {
            client.send(Request::delete(&path(&id))).await?;
            say_deleted(output, &id)?;
        }
    }
    Ok(Verdict::Succeeded)
}

async fn relationship_types(
    command: RelationshipTypesCommand,
    client: &Client,
    output: &Output,
) -> Result<(), Failure> {
    let path = |key: &str| format!("/relationships/types/{}", escape(key));
    match command {
        RelationshipTypesCommand::List { page } => {
            let types = list(client, Request::get("/relationships/types"), page, None).await?;
            show_list(output, &types, &["KEY", "SOURCE", "TARGET", "CREATED (UTC)"], |kind| {
                let text = |name: &str| plain(&kind[name]);
                vec![text("key"), text("source"), text("target"), time(&kind["created_at"])]
            })
        }
        RelationshipTypesCommand::Show { key } => {
            show_one(output, &data(client.send(Request::get(&path(&key))).await?))
        }
        RelationshipTypesCommand::Create { key, source, target, many } => {
            let target = if many { json!([target]) } else { json!(target) };
            let body = json!({"data": {"key": key, "source": source, "target": target}});
            show_one(output, &data(client.send(Request::post("/relationships/types", &body)).await?))
        }
        RelationshipTypesCommand::Delete { key } => {
            client.send(Request::delete(&path(&key))).await?;
            say_deleted(output, &key)
        }
    }
}
