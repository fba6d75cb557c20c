//! The watches that Rooms live by: the Rooms themselves, and whatever decides who may do what.

use std::{collections::HashSet, sync::Arc};

use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use kube::{
    Api, Client, Resource,
    api::ApiResource,
    core::PartialObjectMeta,
    runtime::{watcher, watcher::Event},
};

use super::{
    catalog::Rooms,
    room::{Room, WatchedRoom},
};
use crate::{authz::Authorizer, catalog::watch::follow};

/// Watches Rooms into `rooms` for ever. Members of a Room become Roles and RoleBindings: whatever happens to it, what was
/// decided is asked anew.
pub async fn rooms(client: Client, rooms: Arc<Rooms>, authorizer: Arc<Authorizer>) {
    let resource = ApiResource::erase::<api::Room>(&());
    let api = Api::<WatchedRoom>::all_with(client, &resource);
    let mut listed = HashSet::new();
    let apply = |event: Event<WatchedRoom>| {
        match event {
            Event::Init => {
                listed = HashSet::new();
                return;
            }
            Event::InitApply(object) => {
                let room = Room::from(object);
                listed.insert(room.key.uid.clone());
                rooms.apply(room);
                return;
            }
            Event::InitDone => rooms.retain(&std::mem::take(&mut listed)),
            Event::Apply(object) => rooms.apply(object.into()),
            Event::Delete(object) => rooms.remove(&object.into()),
        }
        authorizer.forget_rooms();
    };
    follow(api, watcher::Config::default(), apply).await;
}

/// Watches Roles and their bindings for ever. Any change may change what somebody may do.
pub async fn rbac(client: Client, authorizer: Arc<Authorizer>) {
    tokio::join!(
        rights::<Role>(client.clone(), &authorizer),
        rights::<RoleBinding>(client.clone(), &authorizer),
        rights::<ClusterRole>(client.clone(), &authorizer),
        rights::<ClusterRoleBinding>(client, &authorizer),
    );
}

/// Nothing of the objects is kept.
async fn rights<K>(client: Client, authorizer: &Authorizer)
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + Send + 'static,
    PartialObjectMeta<K>: Resource<DynamicType = ()>,
{
    let api = Api::<PartialObjectMeta<K>>::all(client);
    let apply = |event: Event<PartialObjectMeta<K>>| match event {
        Event::Init | Event::InitApply(_) => {}
        // Also when all was listed anew: nobody knows what was missed.
        Event::InitDone | Event::Apply(_) | Event::Delete(_) => authorizer.forget_rooms(),
    };
    follow(api, watcher::Config::default(), apply).await;
}
