#include "kafka/messages/delete_topics.h"

#include <utility>

#include "kafka/handlers/handlers.h"
#include "kafka/handlers/topics.h"

namespace afdg::kafka {
namespace {

struct Deleting {
  CallPtr call;
  DeleteTopicsRequest request;
  DeleteTopicsResponse response;
  std::size_t left = 1;
  void done() {
    if (--left == 0) call->reply(response);
  }
};

}  // namespace

void handlers::delete_topics(Broker& broker, const CallPtr& call) {
  const auto deleting = std::make_shared<Deleting>();
  deleting->call = call;
  if (!decode_or_hang_up(*call, deleting->request)) return;
  for (const std::string_view name : deleting->request.topic_names) {
    DeleteTopicsRequest::Topic topic;
    topic.name = name;
    deleting->request.topics.push_back(topic);
  }
  const auto view = broker.cluster().view();
  std::vector<std::pair<std::size_t, std::string>> wanted;
  for (const auto& asked : deleting->request.topics) {
    auto& out = deleting->response.responses.emplace_back();
    out.name = asked.name;
    out.topic_id = asked.topic_id;
    if (asked.name.has_value() != (asked.topic_id == Uuid{})) {
      out.error_code = ErrorCode::kInvalidRequest;
      out.error_message = "a topic is named by its name or by its id: give one of them";
      continue;
    }
    const auto* topic = asked.name ? view->find(*asked.name) : find_topic(*view, asked.topic_id);
    if (topic == nullptr) {
      out.error_code = asked.name ? ErrorCode::kUnknownTopicOrPartition : ErrorCode::kUnknownTopicId;
      continue;
    }
    if (!asked.name) out.name = call->keep(topic->name);
    out.topic_id = topic_uuid(*view, topic->id);
    if (topic->kind != TopicKind::kPlain) {
      out.error_code = ErrorCode::kTopicAuthorizationFailed;
      out.error_message = topic->kind == TopicKind::kInternal
                              ? std::string_view("the topic belongs to the cluster itself")
                              : std::string_view("the topic belongs to a grid: delete the grid instead");
      continue;
    }
    wanted.emplace_back(deleting->response.responses.size() - 1, topic->name);
  }
  deleting->left += wanted.size();
  for (auto& [index, name] : wanted) {
    broker.cluster().delete_topic(std::move(name), [&broker, deleting, index = index](const Status& deleted) {
      broker.later([deleting, index, deleted] {
        auto& out = deleting->response.responses[index];
        if (!deleted.ok()) {
          out.error_code = topic_error(deleted.code());
          out.error_message = deleting->call->keep(deleted.error().text());
        }
        deleting->done();
      });
    });
  }
  deleting->done();
}

}  // namespace afdg::kafka
