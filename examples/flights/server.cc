// The flights grid's own server: a program that links the node library and hosts the airport agents.
#include <cstring>
#include <string_view>
#include <vector>

#include "airport_agent.h"
#include "server/node.h"

int main(int argc, char** argv) {
  // --inject no-dedup plants a bug, so that a reader sees that the demo's check can fail. It is no option of
  // afdgd.
  std::vector<char*> rest;
  bool no_dedup = false;
  for (int i = 0; i < argc; ++i) {
    if (std::string_view(argv[i]) == "--inject" && i + 1 < argc &&
        std::string_view(argv[i + 1]) == "no-dedup") {
      no_dedup = true;
      ++i;
    } else {
      rest.push_back(argv[i]);
    }
  }
  rest.push_back(nullptr);
  afdg::Node node(static_cast<int>(rest.size()) - 1, rest.data());
  if (no_dedup) node.plant_no_dedup();
  return node.grid("flights", {.regions = 8}).agent<flights::AirportAgent>().run();
}
