#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "log/groups/coordinator.h"

namespace afdg::log::groups::testing {

using std::chrono::milliseconds;

/// A coordinator with its world: a log in memory, a clock that tests move, and the replies that arrived.
/// Appends become durable at once unless `hold_appends` is set; then end_append() ends them one by one.
class Driver {
 public:
  explicit Driver(Options options = {}, std::uint64_t seed = 1) : options_(options), random_(seed) {
    log.resize(static_cast<std::size_t>(options.partitions));
    restart();
  }

  /// The process dies: what was not durable is gone, no request is answered any more. A new one loads the
  /// log.
  void restart() {
    held.clear();
    coordinator = std::make_unique<Coordinator>(options_, random_);
    deadline.reset();
    for (std::size_t p = 0; p < log.size(); ++p) {
      for (const Record& r : log[p]) {
        const Status status =
            coordinator->load(static_cast<std::int32_t>(p), r.key,
                              r.value ? std::optional<std::string_view>(*r.value) : std::nullopt);
        EXPECT_TRUE(status.ok()) << status.to_string();
      }
      coordinator->loaded(static_cast<std::int32_t>(p), now());
    }
    collect();
  }

  [[nodiscard]] Now now() const { return {clock.now(), clock.monotonic()}; }

  /// Moves the clock, calling tick() when the coordinator asked for it.
  void pass(milliseconds time) {
    const Monotonic end = clock.monotonic() + time;
    while (deadline && *deadline <= end) {
      if (*deadline > clock.monotonic())
        clock.advance(std::chrono::ceil<milliseconds>(*deadline - clock.monotonic()));
      coordinator->tick(now());
      collect();
    }
    clock.advance(std::chrono::ceil<milliseconds>(end - clock.monotonic()));
  }

  void collect() {
    Effects effects = coordinator->take();
    for (Reply& r : effects.replies) {
      const bool first = replies.emplace(r.token, std::move(r.body)).second;
      EXPECT_TRUE(first) << "request " << r.token << " was answered twice";
    }
    for (Append& a : effects.appends) held.push_back(std::move(a));
    deadline = effects.next_deadline;
    while (!hold_appends && !held.empty()) end_append(Status());
  }

  /// The oldest append ends so.
  void end_append(const Status& status) {
    Append a = std::move(held.front());
    held.pop_front();
    if (status.ok()) {
      auto& records = log[static_cast<std::size_t>(a.partition)];
      records.insert(records.end(), a.records.begin(), a.records.end());
    }
    appended.push_back(a);
    coordinator->append_done(a.token, status, now());
    collect();
  }

  RequestToken join(JoinRequest r) {
    return call([&](RequestToken t) { coordinator->join(t, std::move(r), now()); });
  }
  RequestToken sync(SyncRequest r) {
    return call([&](RequestToken t) { coordinator->sync(t, std::move(r), now()); });
  }
  RequestToken leave(LeaveRequest r) {
    return call([&](RequestToken t) { coordinator->leave(t, std::move(r), now()); });
  }
  RequestToken commit(CommitRequest r) {
    return call([&](RequestToken t) { coordinator->commit(t, std::move(r), now()); });
  }
  RequestToken fetch(FetchRequest r) {
    return call([&](RequestToken t) { coordinator->fetch(t, std::move(r), now()); });
  }
  RequestToken delete_offsets(OffsetDeleteRequest r) {
    return call([&](RequestToken t) { coordinator->delete_offsets(t, std::move(r), now()); });
  }
  RequestToken delete_groups(DeleteRequest r) {
    return call([&](RequestToken t) { coordinator->delete_groups(t, std::move(r), now()); });
  }
  Errors heartbeat(HeartbeatRequest r) {
    const RequestToken token = call([&](RequestToken t) { coordinator->heartbeat(t, std::move(r), now()); });
    return reply<HeartbeatReply>(token).error;
  }
  DescribeReply::Group describe(const std::string& group) {
    return describe(DescribeRequest{{group}}).groups.at(0);
  }
  DescribeReply describe(const DescribeRequest& r) {
    const RequestToken token = call([&](RequestToken t) { coordinator->describe(t, r, now()); });
    return reply<DescribeReply>(token);
  }
  ListReply list(ListRequest r = {}) {
    const RequestToken token = call([&](RequestToken t) { coordinator->list(t, r, now()); });
    return reply<ListReply>(token);
  }
  void topic_deleted(const std::string& topic) {
    coordinator->topic_deleted(topic, now());
    collect();
  }

  [[nodiscard]] bool answered(RequestToken token) const { return replies.contains(token); }
  /// The reply to the request. Precondition: answered(), with that type.
  template <typename T>
  [[nodiscard]] const T& reply(RequestToken token) const {
    static const T kNothing{};
    auto it = replies.find(token);
    if (it == replies.end()) {
      ADD_FAILURE() << "request " << token << " is not answered";
      return kNothing;
    }
    return std::get<T>(it->second);
  }

  ManualClock clock;
  std::unique_ptr<Coordinator> coordinator;
  std::vector<std::vector<Record>> log;  ///< by partition
  std::deque<Append> held;
  std::vector<Append> appended;  ///< that ended, well or not
  bool hold_appends = false;
  std::map<RequestToken, decltype(Reply::body)> replies;
  std::optional<Monotonic> deadline;
  RequestToken last_token = 0;

 private:
  template <typename F>
  RequestToken call(F f) {
    const RequestToken token = ++last_token;
    f(token);
    collect();
    return token;
  }

  Options options_;
  SeededRandom random_;
};

}  // namespace afdg::log::groups::testing
