#include "region/testing/region_trace.h"

#include <set>

#include "region/testing/ledger_agent.h"
#include "region/testing/simulated_region.h"

namespace afdg::region::testing {
namespace {

using namespace std::chrono_literals;

struct Call {
  std::uint64_t session = 0, sequence = 0;
  std::string request_id;
  std::string agent;
  std::string payload;
  Want want = Want::kAnswer;
  std::optional<SimulatedRegion::Answer> answer;
  std::string refusal;  ///< the last answer that was none
};

class RegionTrace {
 public:
  RegionTrace(std::uint64_t seed, const Options& options, const TraceLimits& limits)
      : random_(seed), limits_(limits), region_(setup(options), ledger_types(), clock_) {}

  std::string run() {
    if (!ok(region_.start())) return violation_;
    for (int i = 0; i < limits_.steps && violation_.empty(); ++i) {
      step();
      look();
    }
    finish();
    return violation_;
  }

 private:
  SimulatedRegion::Setup setup(Options options) {
    SimulatedRegion::Setup setup;
    options.seal_bytes = pick(3) == 0 ? 256 : 64u << 10;
    options.dirty_bytes_max = 4096;
    options.live_bytes_max = pick(2) == 0 ? 2000 : 1u << 20;
    setup.options = options;
    setup.log.commit = log::MemoryCommit::kManual;
    dense_ = pick(3) != 0;
    setup.log.offset_gap = dense_ ? 0 : 3;
    setup.log.trim_applied = pick(2) == 0;
    return setup;
  }
  std::uint64_t pick(std::uint64_t below) { return random_.next() % below; }
  void broken(std::string what) {
    if (violation_.empty()) violation_ = std::move(what);
  }
  bool ok(const Status& status) {
    if (!status.ok()) broken(status.to_string());
    return status.ok();
  }
  std::string agent() { return "a" + std::to_string(pick(static_cast<std::uint64_t>(limits_.agents))); }

  void step() {
    const std::uint64_t what = pick(100);
    if (what < 45) {
      new_call();
    } else if (what < 56) {
      if (!calls_.empty()) ask(pick(calls_.size()));
    } else if (what < 63) {
      read(agent());
    } else if (what < 74) {
      region_.core().seal();
    } else if (what < 82) {
      region_.core().poll();
    } else if (what < 90) {
      if (pick(2) == 0) {
        region_.log().commit_one();
      } else {
        region_.log().commit_all();
      }
    } else if (what < 93) {
      if (pick(8) == 0) region_.store().refuse_writes(fail(Code::kDiskFull));
      region_.checkpoint(pick(2) == 0);
      region_.store().refuse_writes(std::nullopt);
      if (dense_) broken_if(region_.check_store());
    } else if (what < 96) {
      crash();
    } else if (what == 96) {
      region_.log().answer_unknown(pick(2) == 0 ? log::MemoryLogStorage::Unknown::kKept
                                                : log::MemoryLogStorage::Unknown::kLost);
    } else if (what == 97) {
      region_.log().set_disk_full(true);
      region_.core().seal();
      region_.log().set_disk_full(false);
    } else if (what == 98) {
      clock_.advance(std::chrono::milliseconds(pick(3000)));
    } else {
      region_.log().fence(Epoch(0));
    }
    if (region_.up() && !region_.core().failed().ok()) {
      region_.core().poll();
      crash_core();
    } else if (region_.up()) {
      region_.core().poll();
      if (!region_.core().failed().ok()) {
        region_.core().poll();
        crash_core();
      }
    }
  }
  void broken_if(const std::string& what) {
    if (!what.empty()) broken(what);
  }
  void crash() {
    region_.crash();
    crash_store();
    // It died of a message: then the next ones are logged before they run.
    if (pick(3) == 0) {
      const Offset end = region_.log().committed_end(log::Stream::kMessages);
      region_.deaths_at[end.value() + static_cast<std::int64_t>(pick(8))] = 1;
    }
    restart();
  }
  void crash_core() {
    region_.crash();
    restart();
  }
  void crash_store() {
    auto& store = region_.store();
    const std::uint64_t oldest = store.oldest_state();
    ok(store.revert_to(oldest + pick(store.state() - oldest + 1)));
  }
  void restart() {
    look();
    tickets_.clear();  // nobody answers them any more
    reads_.clear();
    ok(region_.start());
  }

  void new_call() {
    Call call;
    call.agent = agent();
    call.want = pick(6) == 0 ? Want::kReceipt : Want::kAnswer;
    v1::entity::Increment m;
    m.set_key(pick(4) == 0 ? ">" + agent() : std::string(1, static_cast<char>('x' + pick(3))));
    m.set_by(static_cast<std::int64_t>(pick(16)));
    call.payload = m.SerializeAsString();
    const std::uint64_t identity = pick(10);
    if (identity < 6) {
      call.session = 1 + pick(3);
      call.sequence = ++sequences_[call.session];
    } else {
      call.request_id = "id " + std::to_string(calls_.size());
    }
    calls_.push_back(std::move(call));
    ask(calls_.size() - 1);
  }
  std::uint64_t answered_below(std::uint64_t session) const {
    for (const Call& call : calls_) {
      if (call.session == session && !call.answer) return call.sequence;
    }
    return sequences_.at(session) + 1;
  }
  void ask(std::size_t index) {
    const Call& call = calls_[index];
    Inbound m{.type = "ledger",
              .key = call.agent,
              .message = "Increment",
              .payload = call.payload,
              .want = call.want,
              .identity = {}};
    m.identity.session = call.session;
    m.identity.sequence = call.sequence;
    if (call.session != 0) m.identity.answered_below = answered_below(call.session);
    m.identity.request_id = call.request_id;
    m.ticket = ++last_ticket_;
    tickets_[m.ticket] = {index, m.identity.answered_below > call.sequence && call.session != 0};
    region_.core().handle(m);
  }
  void read(const std::string& key) {
    const v1::entity::Get get;
    const std::string payload = get.SerializeAsString();
    const std::uint64_t ticket = ++last_ticket_;
    region_.core().handle({.type = "ledger",
                           .key = key,
                           .message = "Get",
                           .payload = payload,
                           .identity = {},
                           .ticket = ticket});
    reads_[ticket] = {key, region_.core().info().applied};
  }

  // Folds what was committed meanwhile, and judges new answers by it.
  void look() {
    const auto& messages = region_.messages();
    while (models_.size() <= messages.size()) {
      const MessageView message = region_.message(models_.size() - 1);
      models_.push_back(models_.back());
      offsets_.push_back(message.offset);
      const auto outcome = models_.back().apply(message);
      outcomes_[message.offset] = outcome;
      if (!outcome.ok && message.want == Want::kReceipt) ++dead_;
      std::string identity(message.identity.request_id);
      if (message.identity.session != 0)
        identity = std::to_string(message.identity.session) + "#" + std::to_string(message.identity.sequence);
      if (!identity.empty() && !identities_.emplace(identity, message.offset).second)
        broken("Invariant 8: '" + identity + "' took effect twice");
    }
    broken_if(region_.violation);
    for (auto& [ticket, answer] : region_.answers) judge(ticket, answer);
    region_.answers.clear();
  }
  void judge(std::uint64_t ticket, const SimulatedRegion::Answer& answer) {
    if (const auto read = reads_.find(ticket); read != reads_.end()) {
      const auto [key, applied] = read->second;
      reads_.erase(read);
      if (answer.code != Code::kOk) return;
      std::size_t seen = 0;
      while (seen < offsets_.size() && offsets_[seen] < applied) ++seen;
      if (dense_ && Offset(static_cast<std::int64_t>(seen)) != applied)
        return broken("Invariant 4: a read left before what it saw was committed");
      if (const std::string expected = models_[seen].show(key); shown(answer.text) != expected)
        broken("a read of " + key + " gave '" + shown(answer.text) + "', not '" + expected + "'");
      return;
    }
    const auto asked = tickets_.find(ticket);
    if (asked == tickets_.end()) return;  // it crossed a crash
    const auto [index, acknowledged] = asked->second;
    tickets_.erase(asked);
    Call& call = calls_[index];
    call.refusal = answer.text;
    switch (answer.code) {
      case Code::kInDoubt:  // it stays unanswered
      case Code::kFenced:
      case Code::kUnavailable:
      case Code::kOverloaded:
      case Code::kDiskFull:
        return;
      case Code::kRequestExpired:
        if (!acknowledged) broken("a call was called expired that the client still waited for");
        return;
      default:
        break;
    }
    const auto outcome = outcomes_.find(answer.offset);
    if (outcome == outcomes_.end())
      return broken("Invariant 3: an answer names a message that is not committed: " +
                    std::string(code_name(answer.code)) + " " + answer.text);
    const bool expected_ok = outcome->second.ok || call.want == Want::kReceipt;
    if ((answer.code == Code::kOk) != expected_ok)
      return broken("message " + std::to_string(answer.offset.value()) + " was answered " +
                    std::string(code_name(answer.code)) + ": " + answer.text);
    if (call.want == Want::kAnswer && expected_ok && answer.text != outcome->second.answer)
      return broken("a wrong answer");
    if (call.want == Want::kAnswer && !expected_ok && answer.code != Code::kApplication &&
        answer.code != Code::kHandlerFailed)
      return broken("a wrong error");
    if (call.answer && (call.answer->code != answer.code || call.answer->text != answer.text ||
                        call.answer->offset != answer.offset))
      return broken("Invariant 8: a repeat got another answer");
    call.answer = answer;
  }

  void finish() {
    for (int round = 0; round < 50 && violation_.empty(); ++round) {
      if (!ok(region_.settle())) return;
      look();
      region_.checkpoint();
      bool all = true;
      for (std::size_t i = 0; i < calls_.size(); ++i) {
        if (calls_[i].answer) continue;
        all = false;
        ask(i);
      }
      if (all) break;
    }
    for (const Call& call : calls_) {
      if (!call.answer) return broken("a call was never answered: " + call.refusal);
    }
    broken_if(region_.check_marks());
    check_agents("at the end");
    if (region_.core().info().dead_end != Offset(dead_) && dense_)
      broken("Invariant 1: " + std::to_string(dead_) + " one-way messages failed, the dead letters end at " +
             std::to_string(region_.core().info().dead_end.value()));
    region_.checkpoint();
    if (dense_) broken_if(region_.check_store());
    crash();
    check_agents("after a crash");
    // All of it from the log alone.
    region_.crash();
    ok(region_.store().remove_range("", ""));
    ok(region_.start());
    check_agents("rebuilt from changes");
  }
  void check_agents(const char* when) {
    if (!violation_.empty() || !ok(region_.settle())) return;
    look();
    for (int i = 0; i < limits_.agents; ++i) read("a" + std::to_string(i));
    if (!ok(region_.settle())) return;
    look();
    if (!reads_.empty()) broken("a read was not answered");
    if (!violation_.empty()) violation_ += std::string(" (") + when + ")";
  }

  SeededRandom random_;
  TraceLimits limits_;
  ManualClock clock_;
  bool dense_ = true;
  SimulatedRegion region_;
  std::string violation_;
  std::vector<Call> calls_;
  std::map<std::uint64_t, std::uint64_t> sequences_;
  std::map<std::uint64_t, std::pair<std::size_t, bool>> tickets_;
  std::map<std::uint64_t, std::pair<std::string, Offset>> reads_;
  std::uint64_t last_ticket_ = 0;
  std::vector<LedgerModel> models_{LedgerModel()};
  std::vector<Offset> offsets_;
  std::map<Offset, LedgerModel::Outcome> outcomes_;
  std::map<std::string, Offset> identities_;
  std::int64_t dead_ = 0;
};

}  // namespace

std::string run_region_trace(std::uint64_t seed, const Options& options, const TraceLimits& limits) {
  return RegionTrace(seed, options, limits).run();
}

}  // namespace afdg::region::testing
