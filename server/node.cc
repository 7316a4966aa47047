#include "server/node.h"

#include <pthread.h>
#include <signal.h>

#include <chrono>
#include <cstdio>

#include "server/config.h"
#include "server/runtime.h"
#include "server/scheduling.h"
#include "server/verify.h"

namespace afdg {
namespace {

server::RuntimeSetup setup_of(const server::Config& config, std::vector<Node::GridWish> grids,
                              std::vector<agents::AgentType> types, bool no_dedup) {
  server::RuntimeSetup setup;
  setup.config = config;
  setup.grids = std::move(grids);
  setup.types = std::move(types);
  setup.plant_no_dedup = no_dedup;
  return setup;
}

std::vector<const char*> pointers(const std::vector<std::string>& arguments) {
  std::vector<const char*> raw;
  for (const auto& argument : arguments) raw.push_back(argument.c_str());
  return raw;
}

int failed(const std::string& program, const Error& error) {
  std::fprintf(stderr, "%s: %s\n", program.c_str(), error.text().c_str());
  return server::exit_code(error.code());
}

}  // namespace

Node& Node::add(agents::AgentType type) {
  if (!grids_.empty()) grids_.back().types.push_back(type.name);
  for (const auto& known : types_) {
    if (known.name == type.name) return *this;  // in another grid already
  }
  types_.push_back(std::move(type));
  return *this;
}

Result<std::unique_ptr<RunningNode>> Node::start() {
  const auto raw = pointers(arguments_);
  AFDG_ASSIGN(const server::CommandLine line,
              server::read_command_line(static_cast<int>(raw.size()), raw.data()));
  if (line.verb != server::CommandLine::Verb::kServe)
    return fail(Code::kInvalidArgument, "start() only serves: use run()");
  return server::start_node(setup_of(line.config, grids_, std::move(types_), plant_no_dedup_));
}

int Node::run() {
  using Verb = server::CommandLine::Verb;
  const auto raw = pointers(arguments_);
  auto line = server::read_command_line(static_cast<int>(raw.size()), raw.data());
  if (!line.ok())
    return failed(server::program_name(arguments_.empty() ? "" : arguments_.front()), line.error());
  const std::string program = line->config.program;
  if (line->verb == Verb::kHelp || line->verb == Verb::kShowVersion) {
    std::fputs(line->text.c_str(), stdout);
    return 0;
  }
  if (line->verb == Verb::kVerify) return server::verify_node(line->config.data, program);
  if (line->config.check_config) {
    std::puts("the configuration is good");
    return 0;
  }
  // Before any thread: all inherit the mask, and this one takes the signals.
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, number);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  // Threads to come inherit it. A request passes several, and each would wait for whoever keeps the
  // processors busy.
  server::prefer_short_turns(std::chrono::microseconds(300));
  auto setup = setup_of(line->config, grids_, std::move(types_), plant_no_dedup_);
  setup.handle_signals = true;
  setup.say = [](const std::string& text) {
    std::puts(text.c_str());
    std::fflush(stdout);
  };
  setup.give_up = [] {
    sigset_t pending;
    sigpending(&pending);
    return sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1;
  };
  auto node = server::start_node(std::move(setup));
  if (!node.ok()) return node.code() == Code::kCancelled ? 0 : failed(program, node.error());
  int number = 0;
  do {
    sigwait(&signals, &number);
  } while (number == SIGHUP);
  std::puts("stopping");
  std::fflush(stdout);
  const Status stopped = (*node)->stop();
  if (!stopped.ok()) return failed(program, stopped.error());
  std::puts("stopped");
  return 0;
}

}  // namespace afdg
