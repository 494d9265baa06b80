//! The request bodies of the published documentation, to the letter.

pub(super) const POST: &str = r#"{
  "type": "resources",
  "action": "post",
  "data": [
    {
      "type": "product",
      "external_id": "3",
      "attributes": {
        "id": "3",
        "name": "Strawberry Chewing Gum"
      }
    },
    {
      "type": "product",
      "external_id": "4",
      "attributes": {
        "id": "4",
        "name": "Coffee Chewing Gum"
      }
    }
  ]
}"#;

pub(super) const UPDATE: &str = r#"{
  "type": "resources",
  "action": "update",
  "data": [
    {
      "id": "576a0d0d-fb3f-11e9-80f8-65590b274410",
      "attributes": {
        "name": "Strawberry Chewing Gum v2"
      }
    },
    {
      "id": "576a5b2e-fb3f-11e9-80f8-f1af99ee4b4c",
      "attributes": {
        "name": "Coffee Chewing Gum (decaf)"
      }
    }
  ]
}"#;

pub(super) const SET: &str = r#"{
  "type": "resources",
  "action": "external_id_set",
  "data": [
    {
      "type": "product",
      "external_id": "4",
      "attributes": {
        "name": "Coffee Chewing Gum (decaf)"
      }
    },
    {
      "type": "product",
      "external_id": "5",
      "attributes": {
        "name": "Blueberry Chewing Gum"
      }
    }
  ]
}"#;

pub(super) const DELETE: &str = r#"{
  "type": "resources",
  "action": "delete",
  "data": [
    "576a0d0d-fb3f-11e9-80f8-65590b274410",
    "576a5b2e-fb3f-11e9-80f8-f1af99ee4b4c",
    "69d0b3e2-ec4e-11e9-ad75-4b6f5c0467f5"
  ]
}"#;

pub(super) const DELETE_RELATIONSHIPS: &str = r#"{
  "type": "relationships",
  "action": "delete",
  "data": [
    "576a0d0d-fb3f-11e9-80f8-65590b274410",
    "576a5b2e-fb3f-11e9-80f8-f1af99ee4b4c",
    "69d0b3e2-ec4e-11e9-ad75-4b6f5c0467f5"
  ]
}"#;

pub(super) const DELETE_BY_EXTERNAL_ID: &str = r#"{
  "type": "resources",
  "action": "external_id_delete",
  "data": [
    {
      "type": "product",
      "external_id": "4"
    },
    {
      "type": "product",
      "external_id": "5"
    }
  ]
}"#;
