// A server for the end-to-end tests, with agents that send to each other and that can be told to misbehave.
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "agents/agent.h"
#include "probe.pb.h"
#include "proto/protocol.h"
#include "server/node.h"

namespace probe {

using Probe = afdg::Protocol<"probe",  //
                             afdg::Ask<Pass, Passed>, afdg::Tell<Got>, afdg::Read<GetSeen, Seen>,
                             afdg::Ask<Act, Acted>, afdg::Tell<Strike>, afdg::Read<GetCount, Acted>>;

class ProbeAgent : public afdg::Agent<Probe> {
 public:
  afdg::Result<Passed> on(const Pass& message, afdg::Turn& turn) {
    Got got;
    got.set_from(std::string(turn.key()));
    got.set_number(message.number());
    for (const auto& to : message.to()) {
      if (auto sent = turn.send<Probe>(to, got); !sent) return sent.error();
    }
    return Passed();
  }
  afdg::Status on(const Got& message, afdg::Turn&) {
    seen_[message.from()].append(static_cast<std::int64_t>(message.number()));
    return {};
  }
  afdg::Result<Seen> on(const GetSeen&, const afdg::ReadTurn&) const {
    Seen answer;
    for (const auto& key : seen_.keys()) {
      From& from = *answer.add_from();
      from.set_from(key);
      for (const std::int64_t number : seen_[key]) from.add_numbers(static_cast<std::uint64_t>(number));
    }
    return answer;
  }

  afdg::Result<Acted> on(const Act& message, afdg::Turn&) { return act(message); }
  afdg::Status on(const Strike& message, afdg::Turn&) { return act(message.act()).status(); }
  afdg::Result<Acted> on(const GetCount&, const afdg::ReadTurn&) const {
    Acted answer;
    answer.set_count(static_cast<std::uint64_t>(*count_));
    return answer;
  }

 private:
  afdg::Result<Acted> act(const Act& message) {
    count_.edit() += 1;
    Acted answer;
    switch (message.what()) {
      case Act::SLEEP:
        std::this_thread::sleep_for(std::chrono::milliseconds(message.amount()));
        break;
      case Act::SEGV:
        ::raise(SIGSEGV);
        break;
      case Act::ABORT:
        std::abort();
      case Act::THROW:
        throw std::runtime_error("the probe was told to throw");
      case Act::REFUSE:
        return afdg::fail(afdg::Code::kApplication, "the probe was told to refuse");
      case Act::GROW:
        for (std::uint32_t left = message.amount(); left > 0;) {
          const std::uint32_t piece = std::min<std::uint32_t>(left, 100'000);
          grown_["all"].append(std::string(piece, 'x'));
          left -= piece;
        }
        break;
      case Act::ANSWER:
        answer.set_filler(std::string(message.amount(), 'x'));
        break;
      default:
        break;
    }
    answer.set_count(static_cast<std::uint64_t>(*count_));
    return answer;
  }

  afdg::Value<std::int64_t> count_{*this, "count"};
  afdg::Entity<std::int64_t> seen_{*this, "seen"};
  afdg::Entity<std::string> grown_{*this, "grown"};
};

}  // namespace probe

int main(int argc, char** argv) {
  std::vector<std::string> arguments(argv, argv + argc);
  bool no_dedup = false;  // planted, so that a test shows that it would find it
  if (argc > 2 && arguments[1] == "--inject" && arguments[2] == "no-dedup") {
    no_dedup = true;
    arguments.erase(arguments.begin() + 1, arguments.begin() + 3);
  }
  std::vector<const char*> rest;
  for (const auto& argument : arguments) rest.push_back(argument.c_str());
  afdg::Node node(static_cast<int>(rest.size()), rest.data());
  if (no_dedup) node.plant_no_dedup();
  return node.agent<probe::ProbeAgent>().run();
}
