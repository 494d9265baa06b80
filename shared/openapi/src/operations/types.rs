//! Operations on object types and relationship types.

use domain::limits;

use super::{Answer, Operation};

pub fn object_types() -> Vec<Operation> {
    vec![
        Operation::new("get", "/objects/types", "listObjectTypes", "List object types")
            .paged()
            .answering(Answer::page("A page of types.", "ObjectType")),
        Operation::new("post", "/objects/types", "createObjectType", "Define an object type")
            .saying(format!("At most {} of an account.", limits::TYPES_PER_ACCOUNT))
            .reading("ObjectTypeToCreate", limits::TYPE_BODY_BYTES)
            .answering(Answer::made("The type.", "ObjectType")),
        Operation::new("get", "/objects/types/{key}", "getObjectType", "Show an object type")
            .answering(Answer::of(200, "The type.", "ObjectType"))
            .refusing([404]),
        Operation::new("put", "/objects/types/{key}", "replaceObjectType", "Replace an object type's schema")
            .saying("Records that are there stay as they are until their next write.")
            .reading("ObjectTypeToReplace", limits::TYPE_BODY_BYTES)
            .answering(Answer::of(200, "The type.", "ObjectType"))
            .refusing([404]),
        Operation::new("delete", "/objects/types/{key}", "deleteObjectType", "Delete an object type")
            .saying("Not while there are records of it, or relationship types that name it.")
            .answering(Answer::empty("It is gone."))
            .refusing([404, 422]),
        Operation::new("get", "/objects/types/{key}/permissions", "getObjectTypePermissions", "Show who may do what")
            .saying("The same for every type today.")
            .answering(Answer::of(200, "What each role may do.", "Permissions"))
            .refusing([404]),
    ]
}

pub fn relationship_types() -> Vec<Operation> {
    vec![
        Operation::new("get", "/relationships/types", "listRelationshipTypes", "List relationship types")
            .paged()
            .answering(Answer::page("A page of types.", "RelationshipType")),
        Operation::new("post", "/relationships/types", "createRelationshipType", "Define a relationship type")
            .saying(format!("It is never changed. At most {} of an account.", limits::TYPES_PER_ACCOUNT))
            .reading("RelationshipTypeToCreate", limits::TYPE_BODY_BYTES)
            .answering(Answer::made("The type.", "RelationshipType")),
        Operation::new("get", "/relationships/types/{key}", "getRelationshipType", "Show a relationship type")
            .answering(Answer::of(200, "The type.", "RelationshipType"))
            .refusing([404]),
        Operation::new("delete", "/relationships/types/{key}", "deleteRelationshipType", "Delete a relationship type")
            .saying("Not while there are records of it.")
            .answering(Answer::empty("It is gone."))
            .refusing([404, 422]),
        Operation::new(
            "get",
            "/relationships/types/{key}/permissions",
            "getRelationshipTypePermissions",
            "Show who may do what",
        )
        .saying("The same for every type today.")
        .answering(Answer::of(200, "What each role may do.", "Permissions"))
        .refusing([404]),
    ]
}
