#include "kafka/messages/alter_configs.h"

#include "kafka/handlers/configs.h"
#include "kafka/handlers/handlers.h"

namespace afdg::kafka {
namespace {

struct Altered {
  CallPtr call;
  AlterConfigsRequest request;
  std::vector<Altering> work;
};

}  // namespace

// All settings of a topic at once: what is not named goes back to its default.
void handlers::alter_configs(Broker& broker, const CallPtr& call) {
  const auto altered = std::make_shared<Altered>();
  altered->call = call;
  if (!decode_or_hang_up(*call, altered->request)) return;
  for (const auto& asked : altered->request.resources) {
    Altering one;
    one.type = asked.resource_type;
    one.name = asked.resource_name;
    one.change.replace = true;
    for (const auto& config : asked.configs) {
      // Kafka's older admin clients send null for "the default".
      const bool first =
          one.change.config
              .try_emplace(std::string(config.name),
                           config.value ? std::optional(std::string(*config.value)) : std::nullopt)
              .second;
      if (first) continue;
      one.error = ErrorCode::kInvalidRequest;
      one.text = "the key " + std::string(config.name.substr(0, 249)) + " is named twice: name it once";
    }
    altered->work.push_back(std::move(one));
  }
  alter(broker, altered->work, altered->request.validate_only,
        [altered] { altered->call->reply(altered_response<AlterConfigsResponse>(altered->work)); });
}

}  // namespace afdg::kafka
