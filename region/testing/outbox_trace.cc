#include <algorithm>

#include "base/codec.h"
#include "region/testing/ledger_agent.h"
#include "region/testing/region_trace.h"
#include "region/testing/simulated_region.h"

namespace afdg::region::testing {
namespace {

constexpr std::int32_t kRegions = 3;

class OutboxTrace {
 public:
  OutboxTrace(std::uint64_t seed, Options options, const TraceLimits& limits)
      : random_(seed), limits_(limits) {
    options.regions = kRegions;
    options.types = {"ledger"};
    options.dirty_bytes_max = 64u << 10;
    if (pick(2) == 0) options.produced_seal_bytes = 200;  // batches that crashes cut
    for (std::int32_t p = 0; p < 2 * kRegions; ++p) producers_.emplace_back().region = p % kRegions;
    for (std::int32_t r = 0; r < kRegions; ++r) {
      SimulatedRegion::Setup setup{.region = RegionId(r), .options = options, .log = {}};
      setup.log.commit = log::MemoryCommit::kManual;
      setup.log.trim_applied = pick(2) == 0;
      regions_.push_back(std::make_unique<SimulatedRegion>(setup, ledger_types(), clock_));
    }
  }

  std::string run() {
    for (auto& region : regions_) ok(region->start());
    for (int i = 0; i < limits_.steps && violation_.empty(); ++i) {
      step();
      look();
    }
    finish();
    return violation_;
  }

 private:
  struct Call {
    std::string agent, payload, id;
    bool answered = false;
  };
  struct Ticket {
    std::size_t call = 0;
    std::int32_t source = -1;  ///< of a parcel
    std::uint64_t number = 0;
    std::int32_t producer = -1;
    std::size_t batch = 0;
  };
  /// An idempotent Kafka producer: it has up to five batches under way and sends again what is unanswered.
  struct Producer {
    std::int32_t region = 0;
    std::int32_t sequence = 0;
    struct Batch {
      std::string bytes;
      std::vector<std::string> agents;
      bool answered = false;
    };
    std::vector<Batch> batches;
    std::size_t began = 0;  ///< batches below it were sent over the present connection, in order
    std::map<std::string, std::uint64_t> sent;  ///< to each agent
    [[nodiscard]] std::size_t unanswered() const {
      std::size_t first = 0;
      while (first < batches.size() && batches[first].answered) ++first;
      return first;
    }
  };
  struct Ack {
    std::int32_t source, target;
    std::uint64_t number;
  };

  std::uint64_t pick(std::uint64_t below) { return random_.next() % below; }
  void broken(std::string what) {
    if (violation_.empty()) violation_ = std::move(what);
  }
  bool ok(const Status& status) {
    if (!status.ok()) broken(status.to_string());
    return status.ok();
  }
  std::string agent() { return "a" + std::to_string(pick(static_cast<std::uint64_t>(limits_.agents))); }
  static std::int32_t home(std::string_view agent) { return key_partition(agent, kRegions); }
  SimulatedRegion& of(std::int32_t region) { return *regions_[static_cast<std::size_t>(region)]; }

  void step() {
    const auto r = static_cast<std::int32_t>(pick(kRegions));
    const std::uint64_t what = pick(100);
    if (what < 25) {
      Call call{.agent = agent(), .payload = {}, .id = "id " + std::to_string(calls_.size())};
      v1::entity::Increment m;
      m.set_key(pick(5) == 0 ? "x" : ">" + agent());
      m.set_by(static_cast<std::int64_t>(pick(16)));
      call.payload = m.SerializeAsString();
      calls_.push_back(call);
      ask(calls_.size() - 1);
    } else if (what < 27) {
      if (!calls_.empty()) ask(pick(calls_.size()));
    } else if (what < 33) {
      produce_some();
    } else if (what < 45) {
      of(r).core().poll();
    } else if (what < 55) {
      of(r).log().commit_all();
    } else if (what < 80) {
      carry_one();
    } else if (what < 88) {
      if (!acks_.empty()) {
        const std::size_t at = pick(acks_.size());
        const Ack ack = acks_[at];
        if (pick(3) != 0) acks_.erase(acks_.begin() + static_cast<std::ptrdiff_t>(at));
        if (pick(4) != 0) of(ack.source).core().delivered(RegionId(ack.target), ack.number);
      }
    } else if (what < 91) {
      of(r).checkpoint();
    } else if (what < 94) {
      of(r).crash();
      auto& store = of(r).store();
      const std::uint64_t oldest = store.oldest_state();
      ok(store.revert_to(oldest + pick(store.state() - oldest + 1)));
    } else if (what < 96) {
      of(r).core().redeliver(RegionId(static_cast<std::int32_t>(pick(kRegions))), pick(5));
    } else if (what < 98) {
      of(r).log().answer_unknown(pick(2) == 0 ? log::MemoryLogStorage::Unknown::kKept
                                              : log::MemoryLogStorage::Unknown::kLost);
      of(r).core().poll();
    } else if (!carried_.empty()) {
      carried_.erase(carried_.begin() + static_cast<std::ptrdiff_t>(pick(carried_.size())));
    }
    mend(r);
  }
  void mend(std::int32_t r) {
    for (int i = 0; i < 2 && of(r).up(); ++i) {
      if (!of(r).core().failed().ok()) of(r).crash();
      if (of(r).up()) of(r).core().seal();
    }
    if (!of(r).up()) {
      look();
      tickets_[r].clear();
      for (Producer& producer : producers_)
        if (producer.region == r) producer.began = producer.unanswered();
      ok(of(r).start());
    }
  }
  void ask(std::size_t index) {
    const Call& call = calls_[index];
    Inbound m{
        .type = "ledger", .key = call.agent, .message = "Increment", .payload = call.payload, .identity = {}};
    m.identity.request_id = call.id;
    m.ticket = ++last_ticket_;
    tickets_[home(call.agent)][m.ticket] = {.call = index};
    of(home(call.agent)).core().handle(m);
  }
  void produce_some() {
    const auto p = static_cast<std::int32_t>(pick(producers_.size()));
    Producer& producer = producers_[static_cast<std::size_t>(p)];
    if (producer.began == producer.batches.size() && producer.batches.size() < producer.unanswered() + 5)
      make_batch(p, producer);
    if (producer.began < producer.batches.size() && pick(3) != 0) {
      produce(p, producer.began++);
    } else if (producer.began > 0) {
      // One that is under way, or that was answered and comes late.
      const std::size_t oldest = producer.began < 5 ? 0 : producer.began - 5;
      produce(p, oldest + pick(producer.began - oldest));
    }
  }
  void make_batch(std::int32_t p, Producer& producer) {
    log::BatchBuilder builder;
    Producer::Batch batch;
    const std::uint64_t records = 1 + pick(6);
    const std::uint64_t keys = pick(3);
    for (std::uint64_t i = 0; i < records; ++i) {
      std::string to = agent();
      for (int tries = 0; keys == 0 && tries < 20 && home(to) != producer.region; ++tries) to = agent();
      v1::entity::Range range;
      range.set_key("producer " + std::to_string(p));
      range.set_from(++producer.sent[to]);
      const log::Header headers[] = {{kMessageHeader, "Range"}, {kContentHeader, kProtobufContent}};
      builder.add(clock_.now(), to, range.SerializeAsString(), headers, std::size(headers));
      batch.agents.push_back(std::move(to));
    }
    batch.bytes = produced_batch(builder, p, 0, producer.sequence);
    producer.sequence += static_cast<std::int32_t>(records);
    producer.batches.push_back(std::move(batch));
  }
  void produce(std::int32_t p, std::size_t batch) {
    const Producer& producer = producers_[static_cast<std::size_t>(p)];
    tickets_[producer.region][++last_ticket_] = {.producer = p, .batch = batch};
    of(producer.region)
        .core()
        .handle({.payload = producer.batches[batch].bytes,
                 .want = Want::kReceipt,
                 .identity = {},
                 .produced = true,
                 .ticket = last_ticket_});
  }
  void judge_produced(std::int32_t r, const Ticket& ticket, const SimulatedRegion::Answer& answer) {
    Producer& producer = producers_[static_cast<std::size_t>(ticket.producer)];
    if (answer.code != Code::kOk) {  // its connection takes nothing before that batch came again
      producer.began = std::min(producer.began, std::min(ticket.batch, producer.unanswered()));
      return;
    }
    auto& batch = producer.batches[ticket.batch];
    batch.answered = true;
    if (answer.offset < Offset(0)) return;
    for (std::size_t i = 0; i < batch.agents.size(); ++i) {
      const auto at = static_cast<std::size_t>(answer.offset.value()) + i;
      if (at >= of(r).messages().size() || of(r).message(at).key != batch.agents[i])
        broken("Invariant 8: a produced record is not at the offset that was told");
    }
  }
  void collect() {
    for (auto& region : regions_) {
      for (auto& parcel : region->outgoing) carried_.push_back(std::move(parcel));
      region->outgoing.clear();
    }
  }
  void carry_one() {
    collect();
    if (carried_.empty()) return;
    const std::size_t at = pick(3) == 0 ? pick(carried_.size()) : 0;
    const SimulatedRegion::Parcel parcel = carried_[at];
    if (pick(5) != 0) carried_.erase(carried_.begin() + static_cast<std::ptrdiff_t>(at));
    hand_over(parcel);
    mend(parcel.target.value());
  }
  void hand_over(const SimulatedRegion::Parcel& parcel) {
    Inbound m{.type = parcel.type,
              .key = parcel.key,
              .message = parcel.message,
              .payload = parcel.payload,
              .content = parcel.content,
              .want = Want::kReceipt,
              .identity = {}};
    m.identity.source_region = parcel.source.value();
    m.identity.source_number = parcel.number;
    m.ticket = ++last_ticket_;
    tickets_[parcel.target.value()][m.ticket] = {.source = parcel.source.value(), .number = parcel.number};
    of(parcel.target.value()).core().handle(m);
  }

  void look() {
    collect();
    for (std::int32_t r = 0; r < kRegions; ++r) {
      SimulatedRegion& region = of(r);
      const auto& messages = region.messages();
      for (std::size_t& at = folded_[r]; at < messages.size(); ++at) {
        const MessageView message = region.message(at);
        models_[r].apply(message);
        if (home(message.key) != r) broken("Invariant 6: a message for another region's agent");
        if (message.identity.source_number == 0) continue;
        std::uint64_t& last = numbers_[{message.identity.source_region, r}];
        if (message.identity.source_number != last + 1) {
          broken("Invariant 7: region " + std::to_string(r) + " took number " +
                 std::to_string(message.identity.source_number) + " of region " +
                 std::to_string(message.identity.source_region) + " after " + std::to_string(last));
        }
        last = message.identity.source_number;
      }
      if (!region.violation.empty()) broken(region.violation);
      for (const auto& [number, answer] : region.answers) judge(r, number, answer);
      region.answers.clear();
    }
  }
  void judge(std::int32_t r, std::uint64_t number, const SimulatedRegion::Answer& answer) {
    const auto found = tickets_[r].find(number);
    if (found == tickets_[r].end()) return;
    const Ticket ticket = found->second;
    tickets_[r].erase(found);
    if (ticket.producer >= 0) return judge_produced(r, ticket, answer);
    if (ticket.source < 0) {
      if (answer.offset.value() >= 0) calls_[ticket.call].answered = true;
      return;
    }
    if (answer.code == Code::kOk) {
      if (ticket.number > numbers_[{ticket.source, r}])
        broken("Invariant 4: a message was acknowledged before its commit");
      acks_.push_back({ticket.source, r, ticket.number});
    } else if (answer.code == Code::kFailedPrecondition && of(ticket.source).up()) {
      of(ticket.source).core().redeliver(RegionId(r), 0);
    }
  }

  void finish() {
    for (int round = 0; round < 2000 && violation_.empty(); ++round) {
      bool rest = true;
      for (std::int32_t r = 0; r < kRegions; ++r) {
        if (!ok(of(r).settle())) return;
        of(r).checkpoint();
      }
      look();
      for (std::size_t i = 0; i < calls_.size(); ++i) {
        if (calls_[i].answered) continue;
        rest = false;
        ask(i);
      }
      for (std::size_t p = 0; p < producers_.size(); ++p) {
        for (std::size_t b = 0; b < producers_[p].batches.size(); ++b) {
          if (producers_[p].batches[b].answered) continue;
          rest = false;
          produce(static_cast<std::int32_t>(p), b);
          break;
        }
      }
      while (!carried_.empty()) {
        const SimulatedRegion::Parcel parcel = carried_.front();
        carried_.pop_front();
        hand_over(parcel);
      }
      for (std::int32_t r = 0; r < kRegions; ++r) ok(of(r).settle());
      look();
      for (const Ack& ack : acks_) of(ack.source).core().delivered(RegionId(ack.target), ack.number);
      acks_.clear();
      for (auto& region : regions_) {
        if (region->core().info().outbox == 0) continue;
        rest = false;
        if (round % 5 == 4) {  // the carrier lost some
          for (std::int32_t t = 0; t < kRegions; ++t) region->core().redeliver(RegionId(t), 0);
        }
      }
      if (!rest) continue;
      check();
      return;
    }
    broken("the regions do not come to rest");
  }
  void check() {
    for (std::int32_t r = 0; r < kRegions && violation_.empty(); ++r) {
      if (const std::string what = of(r).check_marks(); !what.empty()) broken(what);
      for (const auto& [name, ledger] : models_[r].agents) {
        for (const auto& [target, numbers] : ledger.sent) {
          std::deque<std::int64_t> all;
          for (std::int64_t n = 1; n <= numbers.back(); ++n) all.push_back(n);
          if (models_[home(target)].agents[target].got[name] != all)
            broken("Invariant 7: " + name + " sent " + std::to_string(all.size()) + " messages to " + target +
                   ", which has others");
        }
      }
    }
    for (std::size_t p = 0; p < producers_.size() && violation_.empty(); ++p) {
      const std::string name = "producer " + std::to_string(p);
      for (const auto& [target, count] : producers_[p].sent) {
        std::deque<std::int64_t> all;
        for (std::uint64_t n = 1; n <= count; ++n) all.push_back(static_cast<std::int64_t>(n));
        if (models_[home(target)].agents[target].got[name] != all)
          broken("Invariant 8: " + name + " produced " + std::to_string(count) + " records for " + target +
                 ", which took others, or in another order");
      }
    }
    // And the regions hold what the messages say, also from the log alone.
    for (std::int32_t r = 0; r < kRegions && violation_.empty(); ++r) {
      of(r).crash();
      ok(of(r).store().remove_range("", ""));
      if (!ok(of(r).settle())) return;
      of(r).answers.clear();
      for (int i = 0; i < limits_.agents; ++i) {
        const std::string name = "a" + std::to_string(i);
        if (home(name) != r) continue;
        const std::uint64_t ticket = ++last_ticket_;
        of(r).core().handle({.type = "ledger",
                             .key = name,
                             .message = "Get",
                             .payload = {},
                             .identity = {},
                             .ticket = ticket});
        if (!ok(of(r).settle())) return;
        if (const std::string expected = models_[r].show(name); shown(of(r).answers[ticket].text) != expected)
          broken(name + " is '" + shown(of(r).answers[ticket].text) + "', not '" + expected + "'");
      }
    }
  }

  SeededRandom random_;
  TraceLimits limits_;
  ManualClock clock_;
  std::vector<std::unique_ptr<SimulatedRegion>> regions_;
  std::string violation_;
  std::vector<Call> calls_;
  std::map<std::int32_t, std::map<std::uint64_t, Ticket>> tickets_;
  std::uint64_t last_ticket_ = 0;
  std::deque<SimulatedRegion::Parcel> carried_;
  std::vector<Ack> acks_;
  std::vector<Producer> producers_;
  std::map<std::int32_t, std::size_t> folded_;
  std::map<std::int32_t, LedgerModel> models_;
  std::map<std::pair<std::int32_t, std::int32_t>, std::uint64_t> numbers_;
};

}  // namespace

std::string run_outbox_trace(std::uint64_t seed, const Options& options, const TraceLimits& limits) {
  return OutboxTrace(seed, options, limits).run();
}

}  // namespace afdg::region::testing
