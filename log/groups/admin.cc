#include <algorithm>
#include <cctype>
#include <unordered_set>
#include <utility>

#include "log/groups/internal/impl.h"

// DescribeGroups, ListGroups and DeleteGroups.
namespace afdg::log::groups {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

std::string trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return lower(text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1));
}

}  // namespace

void Coordinator::Impl::describe(RequestToken token, const DescribeRequest& request) {
  DescribeReply body;
  std::unordered_set<std::string_view> told;
  std::size_t bytes = 0;
  for (const std::string& id : request.groups) {
    if (!told.insert(id).second) continue;  // once, however often it is asked for
    DescribeReply::Group& answer = body.groups.emplace_back();
    answer.group = id;
    if (home(id).loading) {
      answer.error = Errors::kCoordinatorLoadInProgress;
      continue;
    }
    const Group* group = find(id);
    if (group == nullptr) {
      answer.state = "Dead";
      continue;
    }
    if (bytes >= options.reply_bytes_max) {
      answer.error = refused(Bound::kReplyBytes);
      continue;
    }
    const bool stable = group->is(State::kStable);
    answer.state = state_name(group->state());
    answer.protocol_type = group->protocol_type().value_or("");
    if (stable) answer.protocol_name = *group->protocol();
    for (const auto& [member_id, m] : group->members()) {
      const auto& member = answer.members.emplace_back(
          DescribeReply::Member{member_id, m.instance_id, m.client_id, m.client_host,
                                stable ? m.metadata(*group->protocol()) : std::string(), m.assignment});
      bytes += sizeof member + member.metadata.size() + member.assignment.size();
    }
  }
  reply(token, std::move(body));
}

void Coordinator::Impl::list(RequestToken token, const ListRequest& request) {
  ListReply body;
  std::set<std::string> states;
  for (const std::string& s : request.states) states.insert(trimmed(s));
  const bool classic =
      request.types.empty() || std::any_of(request.types.begin(), request.types.end(),
                                           [](const std::string& type) { return lower(type) == "classic"; });
  for (const Partition& partition : partitions) {
    if (partition.loading) {
      body.error = Errors::kCoordinatorLoadInProgress;
      body.groups.clear();
      break;
    }
    for (const auto& [id, group] : partition.groups) {
      const std::string_view state = state_name(group->state());
      if (classic && (states.empty() || states.contains(lower(state))))
        body.groups.push_back({id, group->protocol_type().value_or(""), std::string(state)});
    }
  }
  reply(token, std::move(body));
}

void Coordinator::Impl::delete_groups(RequestToken token, const DeleteRequest& request) {
  struct Progress {
    DeleteReply body;
    std::size_t waits = 1;  // this function
  };
  auto progress = std::make_shared<Progress>();
  const auto finish = [this, token, progress] {
    if (--progress->waits == 0) reply(token, std::move(progress->body));
  };
  for (const std::string& id : request.groups) {
    const std::size_t index = progress->body.groups.size();
    DeleteReply::Group& answer = progress->body.groups.emplace_back();
    answer.group = id;
    Group* group = nullptr;
    if (home(id).loading) {
      answer.error = Errors::kCoordinatorLoadInProgress;
    } else if (group = find(id); group == nullptr || group->deleting) {
      answer.error = Errors::kGroupIdNotFound;
    } else if (!group->is(State::kEmpty)) {
      answer.error = Errors::kNonEmptyGroup;
    }
    if (answer.error != Errors::kNone) continue;
    ++progress->waits;
    begin_deletion(*group, [progress, index, finish](Errors error, Now) {
      progress->body.groups[index].error = error;
      finish();
    });
  }
  finish();
}

}  // namespace afdg::log::groups
