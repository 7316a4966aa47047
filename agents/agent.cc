#include "agents/agent.h"

#include <google/protobuf/descriptor.h>

#include "agents/item_time.h"
#include "base/assert.h"

namespace afdg::agents {

std::map<std::string, const google::protobuf::Descriptor*> describe_slots(const AgentBase& agent) {
  std::map<std::string, const google::protobuf::Descriptor*> entities;
  agent.visit_slots([&](const Slot& slot) {
    AFDG_ASSERT(slot.descriptor()->FindFieldByNumber(kItemTimeField) == nullptr,
                "a stored message may not use field number 536870911: it holds the time of an item");
    entities.emplace(slot.name(), slot.descriptor());
  });
  return entities;
}

}  // namespace afdg::agents
