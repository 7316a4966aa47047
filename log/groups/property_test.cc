#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "log/groups/records.h"
#include "log/groups/testing/driver.h"

namespace afdg::log::groups {
namespace {

using namespace std::chrono_literals;
using testing::Driver;

// Clients that join, sync, commit, leave, fall silent and start again at random, over a log whose appends end
// late, badly or, in a crash, without anybody hearing of it.
class Trace {
 public:
  explicit Trace(std::uint64_t seed) : random_(seed), d_(make_options(random_), seed) {
    d_.hold_appends = true;
    for (int i = 0; i < 7; ++i) {
      Client& c = clients_.emplace_back();
      c.name = "c" + std::to_string(i);
      c.group = i < 4 ? "g" : "h";
      if (i % 3 == 1) c.instance = "i" + std::to_string(i);
    }
  }

  void run(int steps) {
    for (int step = 0; step < steps && !::testing::Test::HasFailure(); ++step) {
      const auto dice = pick(100);
      Client& c = clients_[pick(clients_.size())];
      if (dice < 22) {
        join(c);
      } else if (dice < 42) {
        sync(c);
      } else if (dice < 50) {
        expect(d_.heartbeat({c.group, c.generation, c.id, c.instance}) != Errors::kUnknownServerError,
               "heartbeat");
      } else if (dice < 62) {
        commit(c);
      } else if (dice < 65) {
        d_.leave({c.group, {{c.id, c.instance}}});
        open_.insert(d_.last_token);
        if (pick(2) == 0) c.id.clear();
      } else if (dice < 67) {
        c.id.clear();  // the client starts again and knows nothing
        c.generation = -1;
      } else if (dice < 69) {
        c.metadata = pick(4);
      } else if (dice < 71) {
        drop(c);
      } else if (dice < 80) {
        d_.pass(milliseconds(pick(4000)));
      } else if (dice < 81) {
        d_.pass(milliseconds(pick(120'000)));
      } else if (dice < 96) {
        end_appends(pick(4));
      } else if (dice < 98) {
        check_offsets();
        check_stable();
      } else {
        crash();
      }
      look();
    }
    finish();
  }

 private:
  using milliseconds = std::chrono::milliseconds;
  struct Client {
    std::string name, group, id;
    std::optional<std::string> instance;
    std::int32_t generation = -1;
    std::uint64_t metadata = 0;
    RequestToken joins = 0;
    RequestToken syncs = 0;
    std::int32_t sync_generation = -1;
    std::vector<JoinedMember> members;
    bool assigns = false;
  };
  struct Slot {
    std::int64_t acked = -1;
    std::int64_t deleted_at = -1;
  };

  static Options make_options(Random& random) {
    Options options;
    options.partitions = 1 + static_cast<std::int32_t>(random.next() % 3);
    options.initial_rebalance_delay = milliseconds(random.next() % 2 * 3000);
    options.members_max = 3 + random.next() % 3;
    return options;
  }
  std::uint64_t pick(std::uint64_t below) { return random_.next() % below; }
  static void expect(bool good, const char* what) { EXPECT_TRUE(good) << what; }

  void join(Client& c) {
    JoinRequest r;
    r.group = c.group;
    r.member_id = c.id;
    r.instance_id = c.instance;
    r.client_id = c.name;
    r.client_host = "/::1";
    r.protocol_type = "consumer";
    // A client's metadata begins with its name, so that assignments can name clients across changes of ids.
    r.protocols = {{"range", c.name + "/" + std::to_string(c.metadata)}, {"sticky", c.name + "/"}};
    if (c.metadata == 3) std::swap(r.protocols[0], r.protocols[1]);
    r.session_timeout = milliseconds(6000 + pick(10'000));
    r.rebalance_timeout = milliseconds(5000 + pick(30'000));
    r.member_id_required = pick(3) != 0;
    r.skip_assignment_known = pick(2) == 0;
    c.joins = d_.join(r);
    open_.insert(c.joins);
  }

  void sync(Client& c) {
    SyncRequest r{c.group, c.generation, c.id, c.instance, "consumer", std::nullopt, {}};
    if (c.assigns) {
      const std::string nonce = std::to_string(++nonces_);
      for (const JoinedMember& m : c.members) {
        if (pick(10) != 0)
          r.assignments.push_back({m.member_id, c.group + "," + std::to_string(c.generation) + "," +
                                                    m.metadata.substr(0, m.metadata.find('/')) + "," +
                                                    nonce});
      }
    }
    c.sync_generation = c.generation;
    c.syncs = d_.sync(r);
    open_.insert(c.syncs);
    syncs_[c.syncs] = c.name;
  }

  void commit(Client& c) {
    CommitRequest r;
    r.group = pick(5) == 0 ? "s" : c.group;
    if (r.group == c.group) {
      r.generation = c.generation;
      r.member_id = c.id;
      r.instance_id = c.instance;
    }
    const std::int64_t value = ++values_;
    const auto partition = static_cast<std::int32_t>(pick(3));
    const std::string topic = pick(2) == 0 ? "t" : "u";
    r.topics.push_back({topic, {{partition, value, -1, "", std::nullopt}}});
    const RequestToken token = d_.commit(r);
    open_.insert(token);
    commits_[token] = {r.group, topic, partition, value};
    slots_.try_emplace({r.group, topic, partition});
  }

  void drop(Client& c) {
    const auto which = pick(3);
    const std::string group = pick(2) == 0 ? "s" : c.group;
    for (auto& [key, slot] : slots_) {
      const bool hit = which == 0 ? std::get<1>(key) == "t" : std::get<0>(key) == group;
      if (hit) slot.deleted_at = values_;
    }
    if (which == 0) return d_.topic_deleted("t");
    open_.insert(which == 1 ? d_.delete_groups({{group}})
                            : d_.delete_offsets({group, {{"t", {0, 1, 2}}, {"u", {0, 1, 2}}}}));
  }

  void end_appends(std::uint64_t count) {
    for (; count > 0 && !d_.held.empty(); --count) end_append(pick(8) != 0);
  }
  void end_append(bool well) {
    const Append append = d_.held.front();
    if (well) remember(append);
    d_.end_append(well ? Status() : Status(fail(Code::kDiskFull)));
  }
  // What the log will hold once the append is in it.
  void remember(const Append& append) {
    for (const Record& r : append.records) {
      const Key key = decode_key(r.key).value();
      if (const auto* group = std::get_if<GroupKey>(&key)) {
        if (!r.value) {
          delivered_.erase(group->group);
          assigned_.erase(group->group);
          lasts_.erase(group->group);
          begin_again(group->group);
          continue;
        }
        lasts_[group->group] = decode_group_value(*r.value).value();
        for (const auto& m : lasts_[group->group].members) durable_assignments_.insert(m.assignment);
      } else if (r.value) {
        durable_values_.insert(decode_offset_value(*r.value).value().offset);
      }
    }
  }

  void begin_again(const std::string& group) {
    seen_.erase(group);
    std::erase_if(leaders_, [&](const auto& l) { return std::get<1>(l.first) == group; });
  }

  // Takes the answers that came and checks each.
  void look() {
    for (const char* group : {"g", "h"}) {
      if (d_.describe(group).state == "Dead") begin_again(group);
    }
    for (auto it = open_.begin(); it != open_.end();) {
      if (!d_.answered(*it)) {
        ++it;
        continue;
      }
      const auto& body = d_.replies.at(*it);
      if (const auto* r = std::get_if<CommitReply>(&body)) commit_answered(*it, *r);
      if (const auto* r = std::get_if<SyncReply>(&body)) sync_answered(*it, *r);
      it = open_.erase(it);
    }
    for (Client& c : clients_) {
      if (c.joins == 0 || !d_.answered(c.joins)) continue;
      join_answered(c, d_.reply<JoinReply>(c.joins));
      c.joins = 0;
    }
  }

  void join_answered(Client& c, const JoinReply& r) {
    if (r.error == Errors::kMemberIdRequired) c.id = r.member_id;
    if (r.error == Errors::kUnknownMemberId || r.error == Errors::kFencedInstanceId) c.id.clear();
    if (r.error != Errors::kNone) return;
    c.id = r.member_id;
    c.generation = r.generation;
    c.members = r.members;
    c.assigns = !r.members.empty() && !r.skip_assignment;
    EXPECT_GE(r.generation, delivered_[c.group]) << "the generation went back below one that had assignments";
    std::int32_t& seen = seen_[c.group];
    EXPECT_GE(r.generation, seen) << "the generation went back";
    seen = r.generation;
    if (c.assigns) {
      EXPECT_EQ(r.leader, c.id);
      const auto leader = leaders_.try_emplace({life_, c.group, r.generation}, c.id).first;
      EXPECT_EQ(leader->second, c.id) << "two leaders of one generation";
    }
  }

  void sync_answered(RequestToken token, const SyncReply& r) {
    if (r.error != Errors::kNone || r.assignment.empty()) return;
    std::vector<std::string> parts{""};
    for (const char ch : r.assignment) ch == ',' ? parts.emplace_back() : parts.back() += {ch};
    const auto client = std::find_if(clients_.begin(), clients_.end(),
                                     [&](const Client& c) { return c.name == syncs_[token]; });
    EXPECT_EQ(parts.at(0), client->group);
    EXPECT_EQ(parts.at(2), client->name) << "somebody else's assignment";
    const std::int32_t generation = std::stoi(parts.at(1));
    if (client->syncs == token) {
      EXPECT_EQ(generation, client->sync_generation) << "of another generation";
    }
    EXPECT_TRUE(durable_assignments_.contains(r.assignment)) << "given before it was durable";
    EXPECT_GE(generation, delivered_[client->group]);
    delivered_[client->group] = generation;
    const auto nonce = assigned_[client->group].try_emplace(generation, parts.at(3)).first;
    EXPECT_EQ(nonce->second, parts.at(3)) << "two assignments of one generation";
  }

  void commit_answered(RequestToken token, const CommitReply& r) {
    const auto& [group, topic, partition, value] = commits_.at(token);
    if (r.topics.at(0).partitions.at(0).error != Errors::kNone) return;
    EXPECT_TRUE(durable_values_.contains(value)) << "acknowledged before it was durable";
    slots_[{group, topic, partition}].acked = value;
  }

  void check_offsets() {
    look();
    for (const auto& [key, slot] : slots_) {
      const auto& [group, topic, partition] = key;
      const RequestToken token = d_.fetch({{{group, {{{topic, {partition}}}}}}, false});
      const auto& p = d_.reply<FetchReply>(token).groups.at(0).topics.at(0).partitions.at(0);
      if (slot.acked > slot.deleted_at) {
        EXPECT_GE(p.offset, slot.acked) << "an acknowledged commit of " << group << " is lost";
      }
      if (p.offset != -1) {
        EXPECT_TRUE(durable_values_.contains(p.offset)) << p.offset << " was read but is not durable";
      }
    }
  }

  // In Stable, memory and log say the same.
  void check_stable() {
    for (const char* group : {"g", "h"}) {
      const bool pending = std::any_of(d_.held.begin(), d_.held.end(), [&](const Append& a) {
        return std::any_of(a.records.begin(), a.records.end(),
                           [&](const Record& r) { return r.key == encode_key(GroupKey{group}); });
      });
      const DescribeReply::Group g = d_.describe(group);
      if (pending || g.state != "Stable") continue;
      const GroupValue& stored = lasts_.at(group);
      ASSERT_EQ(g.members.size(), stored.members.size());
      EXPECT_EQ(g.protocol_name, stored.protocol);
      for (std::size_t i = 0; i < g.members.size(); ++i) {
        EXPECT_EQ(g.members[i].member_id, stored.members[i].member_id);
        EXPECT_EQ(g.members[i].assignment, stored.members[i].assignment);
        EXPECT_EQ(g.members[i].metadata, stored.members[i].subscription);
      }
    }
  }

  void crash() {
    look();
    const bool quiet = d_.held.empty();
    // Some of what waits became durable, but nobody was told.
    for (auto kept = pick(3); kept > 0 && !d_.held.empty(); --kept) {
      const Append a = d_.held.front();
      d_.held.pop_front();
      remember(a);
      auto& records = d_.log[static_cast<std::size_t>(a.partition)];
      records.insert(records.end(), a.records.begin(), a.records.end());
    }
    std::map<std::string, DescribeReply::Group> before;
    for (const char* group : {"g", "h"}) before[group] = d_.describe(group);
    open_.clear();
    for (Client& c : clients_) c.joins = c.syncs = 0;
    ++life_;
    seen_.clear();
    d_.restart();
    check_stable();
    check_offsets();
    for (const auto& [group, was] : before) {
      // Static members that are absent may take a group above the bound; once loaded, it rebalances.
      if (quiet && was.state == "Stable" && was.members.size() <= d_.coordinator->options().members_max) {
        const DescribeReply::Group is = d_.describe(group);
        EXPECT_EQ(is.state, "Stable");
        EXPECT_EQ(is.members.size(), was.members.size());
      }
    }
  }

  // Everybody falls silent: every request is answered, every group empties.
  void finish() {
    for (int i = 0; i < 50 && !::testing::Test::HasFailure(); ++i) {
      while (!d_.held.empty()) end_append(true);
      d_.pass(milliseconds(60'000));
    }
    look();
    EXPECT_TRUE(open_.empty()) << open_.size() << " requests were never answered";
    EXPECT_EQ(d_.coordinator->stats().members, 0u);
    check_offsets();
  }

  SeededRandom random_;
  Driver d_;
  std::vector<Client> clients_;
  std::set<RequestToken> open_;
  std::map<RequestToken, std::string> syncs_;
  std::map<RequestToken, std::tuple<std::string, std::string, std::int32_t, std::int64_t>> commits_;
  std::map<std::tuple<std::string, std::string, std::int32_t>, Slot> slots_;
  std::set<std::int64_t> durable_values_;
  std::set<std::string> durable_assignments_;
  std::map<std::string, GroupValue> lasts_;        // the last record of each group in the log
  std::map<std::string, std::int32_t> delivered_;  // the last generation whose assignments were given
  std::map<std::string, std::int32_t> seen_;       // the last generation that was told, in this life
  std::map<std::string, std::map<std::int32_t, std::string>> assigned_;
  std::map<std::tuple<int, std::string, std::int32_t>, std::string> leaders_;
  int life_ = 0;
  int nonces_ = 0;
  std::int64_t values_ = 0;
};

TEST(GroupProperty, HoldsThroughTimeoutsFailedAppendsAndCrashes) {
  const char* text = std::getenv("AFDG_SEED");
  const std::uint64_t first = text != nullptr ? std::strtoull(text, nullptr, 10) : 1;
  const char* seeds = std::getenv("AFDG_SEEDS");
  const std::uint64_t count = seeds != nullptr  ? std::strtoull(seeds, nullptr, 10)
                              : text != nullptr ? 1
                                                : 150;
  for (std::uint64_t seed = first; seed < first + count && !HasFailure(); ++seed) {
    SCOPED_TRACE("repeat with AFDG_SEED=" + std::to_string(seed) +
                 " log_test --gtest_filter=GroupProperty.HoldsThroughTimeoutsFailedAppendsAndCrashes");
    Trace(seed).run(800);
  }
}

}  // namespace
}  // namespace afdg::log::groups
