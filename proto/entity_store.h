#pragma once

#include "afdg/v1/entity.pb.h"
#include "proto/protocol.h"

namespace afdg {

/// The contract of the built-in entity store: agent type "entity". The messages are described in
/// afdg/v1/entity.proto.
using EntityStore = Protocol<
    "entity",  //
    Ask<v1::entity::Put, v1::entity::PutAnswer>, Ask<v1::entity::PutIfAbsent, v1::entity::PutIfAbsentAnswer>,
    Ask<v1::entity::CompareAndSet, v1::entity::CompareAndSetAnswer>,
    Ask<v1::entity::Remove, v1::entity::RemoveAnswer>,
    Ask<v1::entity::Increment, v1::entity::IncrementAnswer>,
    Ask<v1::entity::Append, v1::entity::AppendAnswer>, Read<v1::entity::Get, v1::entity::GetAnswer>,
    Read<v1::entity::Range, v1::entity::RangeAnswer>, Read<v1::entity::Length, v1::entity::LengthAnswer>,
    Read<v1::entity::Keys, v1::entity::KeysAnswer>>;

}  // namespace afdg
